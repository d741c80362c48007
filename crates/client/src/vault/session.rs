//! A vault, opened: its keys, its packs, and the newest version that counts.

use super::failure::vault_failure;
use super::journal::Journal;
use super::newest::Newest;
use super::packs::RelayPacks;
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::internal;
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::{Work, asked};
use crate::view::{Failure, FailureKind, VaultAccess, VaultPin, VaultRole};
use data_encoding::HEXLOWER;
use keys::vault_root::{ObjectRef, RootBody, RootHash, VaultRoot};
use keys::{AccountId, DeviceId, GroupId, HybridSignature, Secret};
use seal::vault::{Keyring, NodeCache, Reader, VaultError, open_head};
use std::cell::Cell;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Counter and hash; nothing: none was known.
pub(super) type Pin = Option<(u64, RootHash)>;
type Asked = Result<Vec<Answer>, Failure>;

/// Asks whoever holds the profile, from a thread that may wait.
#[derive(Clone)]
pub(super) struct Profile {
    asks: mpsc::Sender<(Request, oneshot::Sender<Asked>)>,
    pub(super) runtime: Handle,
}

impl Profile {
    /// One that a test answers for.
    #[cfg(test)]
    pub(super) fn answered(
        runtime: Handle,
        mut answer: impl FnMut(Request) -> Asked + Send + 'static,
    ) -> Self {
        let (asks, mut wishes) = mpsc::channel::<(Request, oneshot::Sender<Asked>)>(1);
        std::thread::spawn(move || {
            while let Some((request, answered)) = wishes.blocking_recv() {
                let _ = answered.send(answer(request));
            }
        });
        Self { asks, runtime }
    }

    pub(super) fn ask(&self, request: Request) -> Asked {
        let (answer, answered) = oneshot::channel();
        let sent = self.asks.blocking_send((request, answer));
        let ended = || internal("the profile does not answer");
        sent.map_err(|_| ended())?;
        answered.blocking_recv().map_err(|_| ended())?
    }

    /// Asks what has one answer.
    fn ask_for<T>(
        &self,
        request: Request,
        pick: impl FnMut(Answer) -> Option<T>,
    ) -> Result<T, Failure> {
        let answers = self.ask(request)?;
        let answer = answers.into_iter().find_map(pick);
        answer.ok_or_else(|| internal("the profile's answer is missing"))
    }
}

/// Runs `work` on a thread of its own, which may ask the profile.
pub(super) async fn with_profile<T: Send + 'static>(
    client: &Client,
    work: impl FnOnce(Profile) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (asks, mut wishes) = mpsc::channel(1);
    let profile = Profile {
        asks,
        runtime: Handle::current(),
    };
    let mut running = tokio::task::spawn_blocking(move || work(profile));
    loop {
        tokio::select! {
            done = &mut running => return done.map_err(|_| internal("a thread ended early"))?,
            Some((request, answer)) = wishes.recv() => {
                let _ = answer.send(asked(client, request).await);
            }
        }
    }
}

/// What opens a vault.
pub(super) struct Session {
    pub(super) profile: Profile,
    pub(super) id: GroupId,
    pub(super) name: String,
    pub(super) keys: Arc<Keyring>,
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    /// What the own account is called.
    pub(super) person: String,
    pub(super) role: VaultRole,
    pub(super) alone: bool,
    relay: RelayUrl,
    /// The newest version that was known.
    pub(super) pin: Cell<Pin>,
    pub(super) cache: NodeCache,
    pub(super) work: Arc<Work>,
}

/// What the relay has in the place of a generation's head.
pub(super) struct Head {
    /// 0: nothing. What was deleted has one.
    pub(super) version: u64,
    /// What is in it; nothing: it does not open, or there is none.
    pub(super) root: Option<VaultRoot>,
}

fn malformed() -> Failure {
    internal("the profile's answer is malformed")
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    HEXLOWER.decode(text.as_bytes()).map_err(|_| malformed())
}

fn access(profile: &Profile, vault: &str) -> Result<VaultAccess, Failure> {
    let request = Request::VaultAccess {
        vault: vault.to_owned(),
    };
    profile.ask_for(request, |answer| match answer {
        Answer::VaultAccess(access) => Some(access),
        _ => None,
    })
}

fn pin_of(pin: Option<&VaultPin>) -> Result<Pin, Failure> {
    let Some(pin) = pin else { return Ok(None) };
    let hash = unhex(&pin.hash)?.try_into().map_err(|_| malformed())?;
    Ok(Some((pin.counter, RootHash(hash))))
}

impl Session {
    /// Whether the profile has such a vault.
    pub(super) fn find(profile: &Profile, vault: &str) -> Result<(), Failure> {
        access(profile, vault).map(drop)
    }

    /// Asks for the keys.
    pub(super) fn open(profile: &Profile, vault: &str, work: &Arc<Work>) -> Result<Self, Failure> {
        Self::with(profile, access(profile, vault)?, work)
    }

    /// Asks for the keys and for the newest version. Where somebody goes out meanwhile, that version is under a key that
    /// came after the first question.
    pub(super) fn to_read(
        profile: &Profile,
        vault: &str,
        work: &Arc<Work>,
    ) -> Result<(Self, RelayPacks, Option<Newest>), Failure> {
        loop {
            let session = Self::open(profile, vault, work)?;
            let packs = session.packs(None);
            match session.newest(&packs) {
                Err(failure) if failure.kind == FailureKind::Refused => {
                    let keys = access(profile, vault)?.keys;
                    let newest = keys.last().map_or(0, |key| key.generation);
                    if newest <= session.keys.newest() {
                        return Err(failure);
                    }
                }
                newest => return Ok((session, packs, newest?)),
            }
        }
    }

    /// Asks for the keys; where somebody went out, waits until the new one is here.
    pub(super) fn to_write(
        profile: &Profile,
        vault: &str,
        work: &Arc<Work>,
    ) -> Result<Self, Failure> {
        let since = os::instant();
        loop {
            let access = access(profile, vault)?;
            let waits = access.awaits_key && access.role >= VaultRole::Writer;
            work.await_key(waits);
            if !waits {
                return Self::with(profile, access, work);
            }
            work.on().map_err(|_| internal("stopped"))?;
            if since.elapsed() >= limits::VAULT_KEY_WAIT {
                let error = engine::EngineError::from(engine::VaultError::NewKey);
                return Err(Failure {
                    kind: FailureKind::Unreachable,
                    ..error.into()
                });
            }
            std::thread::sleep(limits::VAULT_KEY_LOOK);
        }
    }

    /// Whether what is written now needs another key than those that are here.
    pub(super) fn is_outdated(
        profile: &Profile,
        vault: &str,
        newest: u32,
    ) -> Result<bool, Failure> {
        let access = access(profile, vault)?;
        let known = access.keys.last().map_or(0, |key| key.generation);
        Ok(access.awaits_key || known > newest)
    }

    fn with(profile: &Profile, access: VaultAccess, work: &Arc<Work>) -> Result<Self, Failure> {
        let id = GroupId::from_text(&access.id).ok_or_else(malformed)?;
        let mut keys = Vec::new();
        for key in &access.keys {
            let bytes = zeroize::Zeroizing::new(unhex(key.key.as_str())?);
            let secret: Secret<32> = Secret::from_slice(&bytes).ok_or_else(malformed)?;
            keys.push((key.generation, secret));
        }
        let given = keys.iter().map(|(generation, key)| (*generation, key));
        let keys = Keyring::new(id, given).ok_or_else(|| {
            let hint = "somebody who may write in it has to be online: wait, and try again";
            let message = "the keys of this vault are not all here yet";
            crate::failure::failure(FailureKind::NotFound, message, Some(hint))
        })?;
        let pin = Cell::new(pin_of(access.pin.as_ref())?);
        Ok(Self {
            profile: profile.clone(),
            id,
            name: access.name,
            keys: Arc::new(keys),
            account: AccountId::from_text(&access.account_id).ok_or_else(malformed)?,
            device: DeviceId::from_text(&access.device_id).ok_or_else(malformed)?,
            person: access.account_name,
            role: access.role,
            alone: access.alone,
            relay: RelayUrl::parse(&access.relay)?,
            pin,
            cache: NodeCache::default(),
            work: Arc::clone(work),
        })
    }

    /// Its packs at the relay.
    pub(super) fn packs(&self, journal: Option<Arc<Journal>>) -> RelayPacks {
        RelayPacks::new(
            self.profile.runtime.clone(),
            self.relay.clone(),
            Arc::clone(&self.keys),
            Arc::clone(&self.work),
            journal,
        )
    }

    pub(super) fn reader<'a>(&'a self, packs: &'a RelayPacks) -> Reader<'a> {
        Reader::new(&self.keys, packs, &self.cache)
    }

    pub(super) fn text(&self) -> String {
        self.id.to_string()
    }

    /// The head of a generation, whatever is in it.
    pub(super) fn head(&self, generation: u32) -> Result<Head, Failure> {
        let request = Request::VaultHead {
            vault: self.text(),
            generation,
        };
        let asked = self.profile.ask_for(request, |answer| match answer {
            Answer::VaultHead(head) => Some(head),
            _ => None,
        });
        let mut found = Head {
            version: 0,
            root: None,
        };
        match asked {
            Ok(head) => {
                let keys = self.keys.generation(generation).ok_or_else(malformed)?;
                let body = unhex(&head.body)?;
                found.version = head.version;
                found.root = open_head(keys, &self.id, head.version, &body).ok();
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
        Ok(found)
    }

    /// What the profile knows by now: the newest version, and its root where it has that.
    pub(super) fn known(&self) -> Result<Option<VaultRoot>, Failure> {
        let pin = access(&self.profile, &self.text())?.pin;
        self.pin.set(pin_of(pin.as_ref())?);
        let root = pin.and_then(|pin| pin.root);
        let root = root.map(|root| unhex(&root)).transpose()?;
        let root = root.map(|root| VaultRoot::decode(&root).map_err(|_| malformed()));
        root.transpose()
    }

    /// The version before one that counts.
    pub(super) fn previous(
        &self,
        packs: &RelayPacks,
        root: &VaultRoot,
    ) -> Result<VaultRoot, Failure> {
        followed(self.older(packs, root))
    }

    /// The version before another one. Nothing: what lies in its place is another one.
    pub(super) fn older(
        &self,
        packs: &RelayPacks,
        root: &VaultRoot,
    ) -> Result<Option<VaultRoot>, VaultError> {
        let older = self.reader(packs).root(&root.body.previous_root)?;
        Ok(is_before(&older, root).then_some(older))
    }

    /// A root that follows another one, signed by this device.
    pub(super) fn sign(&self, wish: &NewRoot<'_>, time: u64) -> Result<VaultRoot, Failure> {
        let before = wish.before.map(|(root, _)| root);
        let body = RootBody {
            vault: self.id,
            generation: wish.generation,
            counter: before.map_or(1, |root| root.body.counter.saturating_add(1)),
            previous: before.map_or(RootHash::NONE, VaultRoot::hash),
            previous_root: wish.before.map_or(ObjectRef::NONE, |(_, object)| object),
            directory: wish.directory,
            time,
            account: self.account,
            device: self.device,
            closed: wish.closed,
        };
        let request = Request::VaultSign {
            vault: self.text(),
            body: HEXLOWER.encode(&body.encode()),
        };
        let signature = self.profile.ask_for(request, |answer| match answer {
            Answer::VaultSignature(signed) => Some(signed.signature),
            _ => None,
        })?;
        let signature = HybridSignature::from_bytes_of_any_suite(&unhex(&signature)?);
        let signature = signature.map_err(|_| malformed())?;
        Ok(VaultRoot { body, signature })
    }

    /// Makes a root the newest one. False: the relay has another version than `version`.
    pub(super) fn publish(
        &self,
        root: &VaultRoot,
        version: u64,
        body: &[u8],
    ) -> Result<bool, Failure> {
        let request = Request::VaultPublish {
            vault: self.text(),
            generation: root.body.generation,
            version: version.saturating_add(1),
            previous: version,
            body: HEXLOWER.encode(body),
            root: HEXLOWER.encode(&root.encode()),
        };
        let taken = self.profile.ask_for(request, |answer| match answer {
            Answer::VaultPublished(published) => Some(published.taken),
            _ => None,
        })?;
        if taken {
            self.pin.set(Some((root.body.counter, root.hash())));
        }
        Ok(taken)
    }
}

/// What [`Session::older`] says, for people.
pub(super) fn followed(older: Result<Option<VaultRoot>, VaultError>) -> Result<VaultRoot, Failure> {
    older.map_err(vault_failure)?.ok_or_else(|| {
        let message = "an older version is not the one that the newer one follows";
        let hint = "the relay or a member changed it: ask the people of the vault";
        crate::failure::failure(FailureKind::Refused, message, Some(hint))
    })
}

/// Whether a root is the one that another one follows.
fn is_before(older: &VaultRoot, newer: &VaultRoot) -> bool {
    let counted = older.body.counter.checked_add(1) == Some(newer.body.counter);
    // SECURITY: a version that counts says which one is before it; `a_version_of_old_is_the_one_that_was` notices.
    counted && older.hash() == newer.body.previous
}

/// What a new root is to say.
pub(super) struct NewRoot<'a> {
    pub(super) generation: u32,
    /// The one before it, and where that lies. Nothing: it is the first.
    pub(super) before: Option<(&'a VaultRoot, ObjectRef)>,
    pub(super) directory: ObjectRef,
    pub(super) closed: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use keys::{BlobId, SecretBytes, SigningKey, Suite};

    fn root(counter: u64, previous: RootHash, time: u64) -> VaultRoot {
        let object = ObjectRef {
            id: [1; 32],
            generation: 1,
            pack: BlobId::from_bytes([2; 16]),
            offset: 3,
            length: 4,
        };
        let body = RootBody {
            vault: GroupId::from_bytes([1; 32]),
            generation: 1,
            counter,
            previous,
            previous_root: object,
            directory: object,
            time,
            account: AccountId::from_bytes([6; 32]),
            device: DeviceId::from_bytes([7; 16]),
            closed: false,
        };
        let suite = Suite::Hybrid;
        let seed = SecretBytes::new(vec![9; suite.signing_seed_len()]);
        let key = SigningKey::from_seed(suite, seed).unwrap();
        body.sign(&key).unwrap()
    }

    /// Versions before the pin are not asked about: the hash of each stands in the next one.
    #[test]
    fn a_version_of_old_is_the_one_that_was() {
        let older = root(4, RootHash([3; 48]), 1);
        let newer = root(5, older.hash(), 2);
        assert!(is_before(&older, &newer));
        assert!(!is_before(&root(4, RootHash([3; 48]), 9), &newer));
        assert!(!is_before(&root(3, RootHash([3; 48]), 1), &newer));
        assert!(!is_before(&newer, &newer));
        assert!(!is_before(&older, &root(6, older.hash(), 2)));
    }
}
