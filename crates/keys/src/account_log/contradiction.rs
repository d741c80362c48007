//! What a log that was shown in place of a known one proves (docs/spec/evidence.md).

use super::body::Body;
use super::chain::{Chain, Depth};
use super::entry::{Entry, Signer};
use super::error::LogError;
use super::log::{UnverifiedLog, VerifiedLog};
use super::signatures::{self, Claim, Duty};
use super::state::State;
use crate::AccountId;
use crate::codec::DecodeError;
use crate::label;
use crate::secret::ct_eq;
use crate::sign::VerifyingKey;

/// How a log that was shown stands to the one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contradiction {
    /// It is the known one, or goes on from it as the rules say.
    None,
    /// It is the whole log of another account.
    OtherAccount {
        /// Whose.
        shown: AccountId,
    },
    /// It goes on from the known one, and the old root key named another.
    RootReplaced {
        /// The first entry that did.
        sequence: u64,
    },
    /// It ends before the known one.
    RolledBack {
        /// Its newest entry.
        shown: u64,
        /// The newest known entry.
        known: u64,
    },
    /// It has another entry in one place, and that one is signed and within the rules too.
    Fork {
        /// Where.
        sequence: u64,
    },
    /// A key of the account signed an entry that the rules forbid it to sign.
    AgainstRules {
        /// Which entry.
        sequence: u64,
        /// Who signed.
        signer: Signer,
        /// Whether that is a device which the very same history had revoked.
        revoked: bool,
        /// The rule.
        error: LogError,
    },
    /// From some entry on, no key of the account signed it.
    NotSigned {
        /// The first such entry.
        sequence: u64,
        /// What is wrong with it.
        error: LogError,
    },
}

impl VerifiedLog {
    /// Says what somebody proves who shows `shown` in place of this log.
    ///
    /// Two entries in one place need not come from one hand: two devices that change the log at once sign two, and
    /// an honest relay takes one of them.
    #[must_use]
    pub fn contradiction(&self, shown: UnverifiedLog) -> Contradiction {
        let not_signed = |sequence: usize, error| Contradiction::NotSigned {
            sequence: sequence as u64,
            error,
        };
        let known = self.entries();
        let same = |(place, entry): &(usize, &Entry)| {
            let there = known.get(*place);
            there.is_some_and(|there| ct_eq(&entry.hash(), &there.hash))
        };
        let common = shown
            .entries
            .iter()
            .enumerate()
            .take_while(|pair| same(pair))
            .count();
        if common == 0 {
            return match shown.verify(None, None) {
                Ok(other) => Contradiction::OtherAccount {
                    shown: *other.account_id(),
                },
                Err(error) => not_signed(0, error),
            };
        }
        let mut chain = match self.first(common) {
            Ok(chain) => chain,
            Err(error) => return not_signed(common, error),
        };
        let mut replaced = None;
        for (place, entry) in shown.entries.iter().enumerate().skip(common) {
            let before = chain.clone();
            let signed = chain
                .append(entry, Depth::Whole)
                .and_then(|duty| signatures::verify(&[claim(place, entry, duty)]));
            match signed {
                Ok(()) if place < known.len() => {
                    return Contradiction::Fork {
                        sequence: place as u64,
                    };
                }
                Ok(()) if replaced.is_none() && chain.state.root != before.state.root => {
                    replaced = Some(place as u64);
                }
                Ok(()) => {}
                Err(error) => return refused(&before, entry, error),
            }
        }
        if shown.entries.len() < known.len() {
            return Contradiction::RolledBack {
                shown: (shown.entries.len() as u64).saturating_sub(1),
                known: self.head().sequence,
            };
        }
        match replaced {
            Some(sequence) => Contradiction::RootReplaced { sequence },
            None => Contradiction::None,
        }
    }

    /// The account after so many entries.
    fn first(&self, count: usize) -> Result<Chain, LogError> {
        let entries = UnverifiedLog::decode(self.bytes())?.entries;
        let (genesis, rest) = entries.split_first().ok_or(DecodeError::Short)?;
        let (mut chain, _) = Chain::begin(genesis, Depth::Pinned)?;
        for entry in rest.iter().take(count.saturating_sub(1)) {
            let _ = chain.append(entry, Depth::Pinned)?;
        }
        Ok(chain)
    }
}

fn claim(place: usize, entry: &Entry, duty: Duty) -> Claim<'_> {
    Claim {
        sequence: place as u64,
        entry,
        duty,
    }
}

/// An entry that does not go on from `before`: did a key of the account sign it, in this very place?
fn refused(before: &Chain, entry: &Entry, error: LogError) -> Contradiction {
    let sequence = before.head.sequence.saturating_add(1);
    let signer = in_place(before, entry)
        .then(|| entry.signatures.first())
        .flatten()
        .filter(|(signer, signature)| {
            // SECURITY: a name is no signature; `what_nobody_signed_accuses_nobody` notices.
            let key = key_of(&before.state, signer);
            key.is_some_and(|key| {
                key.verify(label::LOG_ENTRY, &entry.body_bytes, signature)
                    .is_ok()
            })
        });
    match signer {
        Some((signer, _)) => Contradiction::AgainstRules {
            sequence,
            signer: *signer,
            revoked: is_revoked(&before.state, signer),
            error,
        },
        None => Contradiction::NotSigned { sequence, error },
    }
}

/// Whether the body says itself that it follows that history.
fn in_place(before: &Chain, entry: &Entry) -> bool {
    Body::decode(&entry.body_bytes).is_ok_and(|body| {
        before.head.sequence.checked_add(1) == Some(body.sequence)
            && body.account == before.account
            && ct_eq(&body.previous, &before.head.hash)
    })
}

/// The key that somebody has, or had last.
fn key_of<'a>(state: &'a State, signer: &Signer) -> Option<&'a VerifyingKey> {
    match signer {
        Signer::Root => Some(&state.root),
        Signer::Device(id) => {
            let gone = || state.revoked.iter().map(|gone| &gone.record);
            let record = state
                .device(id)
                .or_else(|| gone().find(|record| record.id() == id));
            record.map(|record| record.verifying_key())
        }
        Signer::Recovery(method) => {
            let way = state.ways_back.get(method)?;
            Some(way.record.verifying_key())
        }
    }
}

fn is_revoked(state: &State, signer: &Signer) -> bool {
    let Signer::Device(id) = signer else {
        return false;
    };
    state.device(id).is_none() && state.revoked.iter().any(|gone| gone.record.id() == id)
}
