//! What is costly to verify of entries, verified together: signatures, and that keys lie on their curve.

use super::device::DeviceRecord;
use super::entry::Entry;
use super::error::LogError;
use crate::label;
use crate::sign::VerifyingKey;
use std::thread;

/// So few are verified before a thread would have started.
const WORTH_A_THREAD: usize = 8;

/// What is left to verify of an entry once links and rules hold.
#[must_use]
pub(super) struct Duty {
    /// The keys that must have signed it, in the order of its signatures.
    pub(super) keys: Vec<VerifyingKey>,
    /// The device that it brings.
    pub(super) record: Option<DeviceRecord>,
}

/// An entry with what is left to verify of it.
pub(super) struct Claim<'a> {
    pub(super) sequence: u64,
    pub(super) entry: &'a Entry,
    pub(super) duty: Duty,
}

impl Claim<'_> {
    fn verify(&self) -> Result<(), LogError> {
        let bad = LogError::BadSignature {
            sequence: self.sequence,
        };
        let Duty { keys, record } = &self.duty;
        if let Some(record) = record {
            record.check_identity()?;
        }
        if keys.len() != self.entry.signatures.len() {
            return Err(bad);
        }
        for (key, (_, signature)) in keys.iter().zip(&self.entry.signatures) {
            // SECURITY: what makes a log more than a claim; `signatures_of_others_are_refused` notices.
            key.verify(label::LOG_ENTRY, &self.entry.body_bytes, signature)
                .map_err(|_| bad)?;
        }
        Ok(())
    }
}

/// Verifies every claim; the error is that of the first entry that is wrong.
pub(super) fn verify(claims: &[Claim<'_>]) -> Result<(), LogError> {
    if claims.len() < WORTH_A_THREAD {
        return one_by_one(claims);
    }
    let (head, tail) = claims.split_at(claims.len() / 2);
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, || one_by_one(tail));
        one_by_one(head)?;
        match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            // No thread was to be had, or it ended early.
            _ => one_by_one(tail),
        }
    })
}

fn one_by_one(claims: &[Claim<'_>]) -> Result<(), LogError> {
    claims.iter().try_for_each(Claim::verify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Suite;

    /// The rules name as many signers as keys; should they not, nothing is taken on trust.
    #[test]
    fn a_key_without_a_signature_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let entry = Entry {
            suite: Suite::Hybrid,
            body_bytes: Vec::new(),
            signatures: Vec::new(),
        };
        let key = VerifyingKey::from_bytes(Suite::Hybrid, &[7; 1984])?;
        let claim = |keys| Claim {
            sequence: 3,
            entry: &entry,
            duty: Duty { keys, record: None },
        };
        let bad = Err(LogError::BadSignature { sequence: 3 });
        assert_eq!(verify(&[claim(vec![key])]), bad);
        assert_eq!(verify(&[claim(Vec::new())]), Ok(()));
        Ok(())
    }
}
