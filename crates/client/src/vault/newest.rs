//! Which version of a vault is the newest: what the relay shows, if it counts; else what this device knew.
//!
//! Every member has the key that writes a head. So one that does not open, or shows what does not count, is no reason to
//! stop: it says as little as a relay that shows the version of before.

use super::packs::{NO_KEY, RelayPacks};
use super::session::{Head, Session, followed};
use crate::api::Request;
use crate::failure::failure;
use crate::limits;
use crate::view::{Failure, FailureKind};
use data_encoding::HEXLOWER;
use keys::vault_root::VaultRoot;
use seal::vault::VaultError;
use std::io;

/// The newest version, which counts.
#[derive(Clone)]
pub(super) struct Newest {
    pub(super) root: VaultRoot,
    /// The version of the head of its generation.
    pub(super) version: u64,
    /// Whether that head shows it. If not, it is what this device knew: whoever may write puts it back.
    pub(super) shown: bool,
}

/// What the heads show.
enum Look {
    Counts(Box<Newest>),
    /// There is none, and this device knew of none.
    Never,
    /// Nothing that counts; why.
    Spoilt(Failure),
}

fn lie(message: &str) -> Failure {
    let hint = "a member may have spoilt it, or the relay lies; who may write and knows the newest version puts it back with \
                `letterlock vault put` or `sync`; `letterlock vault accept VAULT` takes what is there";
    failure(FailureKind::Refused, message, Some(hint))
}

fn keyless() -> Failure {
    let message = "its newest version was written under a key that this home does not have";
    let hint = "an owner lets this home in again with `letterlock vault share`";
    failure(FailureKind::Refused, message, Some(hint))
}

impl Session {
    /// The newest version. It counts, or this is refused. Nothing: none was ever written.
    pub(super) fn newest(&self, packs: &RelayPacks) -> Result<Option<Newest>, Failure> {
        let mut spoilt = None;
        for again in [false, true] {
            if again {
                // Somebody may have gone on between what the relay showed and what the profile was asked, or may be new
                // here.
                self.profile.ask(Request::VaultCaughtUp)?;
                std::thread::sleep(limits::VAULT_LOOK_TWICE);
            }
            let known = self.known()?;
            match self.look(packs, known.as_ref())? {
                Look::Counts(newest) => {
                    let root = &newest.root;
                    self.pin.set(Some((root.body.counter, root.hash())));
                    return Ok(Some(*newest));
                }
                Look::Never => return Ok(None),
                Look::Spoilt(why) => spoilt = Some((known, why)),
            }
        }
        match spoilt {
            Some((Some(known), why)) => self.fall_back(known, &why).map(Some),
            Some((None, why)) => Err(why),
            None => Ok(None),
        }
    }

    /// Whether no version is known here, and no head holds anything that may be one.
    pub(super) fn is_unwritten(&self) -> Result<bool, Failure> {
        if self.pin.get().is_some() {
            return Ok(false);
        }
        for generation in 1..=self.keys.newest() {
            if self.head(generation)?.root.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What this device knew counts as if the relay showed it: unless somebody told of something newer.
    fn fall_back(&self, root: VaultRoot, why: &Failure) -> Result<Newest, Failure> {
        self.judge(root.body.generation, std::slice::from_ref(&root))?;
        let head = self.head(root.body.generation)?;
        self.work.note(&format!(
            "{}; version {} is the newest that is known here",
            why.message, root.body.counter
        ));
        Ok(Newest {
            root,
            version: head.version,
            shown: false,
        })
    }

    /// The newest generation whose head counts; none is older than what is known.
    fn look(&self, packs: &RelayPacks, known: Option<&VaultRoot>) -> Result<Look, Failure> {
        let oldest = known.map_or(1, |known| known.body.generation);
        let mut spoilt = None;
        for generation in (oldest..=self.keys.newest()).rev() {
            let Head { version, root } = self.head(generation)?;
            let why = match root {
                None if version == 0 => continue,
                None => lie("the head of this vault does not open, or was deleted"),
                Some(root) => match self.check(packs, generation, &root) {
                    Ok(()) => {
                        let newest = Newest {
                            root,
                            version,
                            shown: true,
                        };
                        return Ok(Look::Counts(Box::new(newest)));
                    }
                    Err(failure) if failure.kind == FailureKind::Refused => failure,
                    Err(failure) => return Err(failure),
                },
            };
            spoilt.get_or_insert(why);
        }
        Ok(match (spoilt, self.pin.get()) {
            (Some(why), _) => Look::Spoilt(why),
            (None, None) => Look::Never,
            (None, Some(_)) => Look::Spoilt(lie(
                "the relay has lost the head of this vault, or hides it",
            )),
        })
    }

    /// Whether what the relay shows counts.
    fn check(
        &self,
        packs: &RelayPacks,
        generation: u32,
        newest: &VaultRoot,
    ) -> Result<(), Failure> {
        let pinned = self.pin.get().map_or(0, |(counter, _)| counter);
        let mut chain = vec![newest.clone()];
        while let Some(last) = chain.last()
            && last.body.counter > pinned.saturating_add(1)
            && chain.len() < limits::VAULT_ROOTS
        {
            let older = self.before(packs, last)?;
            chain.push(older);
        }
        self.judge(generation, &chain)
    }

    /// The version before one of which nobody knows yet whether it counts.
    fn before(&self, packs: &RelayPacks, root: &VaultRoot) -> Result<VaultRoot, Failure> {
        match self.older(packs, root) {
            Err(VaultError::Pack(error)) if is_gone(&error) => Err(lie(
                "the relay does not have what its newest version follows",
            )),
            // A home that was restored has the keys of before.
            Err(VaultError::Pack(error)) if error.kind() == NO_KEY => Err(keyless()),
            older => followed(older),
        }
    }

    /// Takes what the relay shows for the newest version, whatever was known here: a person decided so.
    pub(super) fn accept(&self) -> Result<VaultRoot, Failure> {
        // Whether its author may write is not known before.
        self.profile.ask(Request::VaultCaughtUp)?;
        let mut why = lie("the relay shows no version of this vault");
        for generation in (1..=self.keys.newest()).rev() {
            let Some(root) = self.head(generation)?.root else {
                continue;
            };
            let request = Request::VaultAccept {
                vault: self.text(),
                generation,
                root: HEXLOWER.encode(&root.encode()),
            };
            match self.profile.ask(request) {
                Ok(_) => return Ok(root),
                Err(failure) if failure.kind == FailureKind::Refused => why = failure,
                Err(failure) => return Err(failure),
            }
        }
        Err(why)
    }

    fn judge(&self, generation: u32, roots: &[VaultRoot]) -> Result<(), Failure> {
        let roots = roots.iter();
        let request = Request::VaultCheck {
            vault: self.text(),
            generation,
            roots: roots.map(|root| HEXLOWER.encode(&root.encode())).collect(),
        };
        // SECURITY: whatever the relay showed counts only now; `rollback_to_an_older_version_is_refused` notices.
        self.profile.ask(request).map(drop)
    }
}

/// Whether the relay says that it does not have something, and not that it cannot be asked.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::PermissionDenied
    )
}
