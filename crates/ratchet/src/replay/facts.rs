//! Comparing what we have with what was recorded.

use super::{ReplayError, Report};
use data_encoding::HEXLOWER;
use keys::{Secret, SecretBytes, ct_eq};

/// Counts facts that hold; the first that does not ends the replay.
#[derive(Default)]
pub(super) struct Facts(Report);

impl Facts {
    pub(super) fn report(&self) -> Report {
        self.0
    }

    /// Requires a fact.
    pub(super) fn holds(&mut self, what: &str, fact: bool) -> Result<(), ReplayError> {
        if !fact {
            return Err(ReplayError::new(format!("{what} differs")));
        }
        self.0.facts = self.0.facts.saturating_add(1);
        Ok(())
    }

    /// Requires the refusal of something that libsignal accepts.
    pub(super) fn stricter(&mut self, what: &str, refused: bool) -> Result<(), ReplayError> {
        if !refused {
            return Err(ReplayError::new(format!("{what} must be refused")));
        }
        self.0.facts = self.0.facts.saturating_add(1);
        self.0.stricter = self.0.stricter.saturating_add(1);
        Ok(())
    }

    /// Requires equal bytes.
    pub(super) fn bytes(
        &mut self,
        what: &str,
        ours: &[u8],
        recorded: &[u8],
    ) -> Result<(), ReplayError> {
        if ours == recorded {
            return self.holds(what, true);
        }
        let place = ours
            .iter()
            .zip(recorded)
            .take_while(|(a, b)| a == b)
            .count();
        Err(ReplayError::new(format!(
            "{what} differs from byte {place} on: ours {}, recorded {}",
            excerpt(ours, place),
            excerpt(recorded, place)
        )))
    }

    /// Requires an equal secret.
    pub(super) fn secret<const N: usize>(
        &mut self,
        what: &str,
        ours: &Secret<N>,
        recorded: &[u8],
    ) -> Result<(), ReplayError> {
        let recorded = Secret::from_slice(recorded);
        self.holds(what, recorded.is_some_and(|recorded| ours.ct_eq(&recorded)))
    }

    /// Requires an equal secret of any length.
    pub(super) fn long_secret(
        &mut self,
        what: &str,
        ours: &SecretBytes,
        recorded: &[u8],
    ) -> Result<(), ReplayError> {
        self.holds(what, ct_eq(ours.expose_secret(), recorded))
    }

    /// Requires equal stored forms.
    pub(super) fn same_stored(
        &mut self,
        what: &str,
        ours: &SecretBytes,
        other: &SecretBytes,
    ) -> Result<(), ReplayError> {
        self.long_secret(what, ours, other.expose_secret())
    }

    /// Requires equal numbers or names.
    pub(super) fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        ours: T,
        recorded: T,
    ) -> Result<(), ReplayError> {
        if ours == recorded {
            return self.holds(what, true);
        }
        Err(ReplayError::new(format!(
            "{what} differs: ours {ours:?}, recorded {recorded:?}"
        )))
    }
}

/// A few bytes from a place on, and the length of the whole.
fn excerpt(bytes: &[u8], place: usize) -> String {
    let shown: Vec<u8> = bytes.iter().skip(place).take(8).copied().collect();
    format!("{} ({} bytes)", HEXLOWER.encode(&shown), bytes.len())
}
