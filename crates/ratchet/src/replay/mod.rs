//! Replays recorded vectors (vectors/triple-ratchet/README.md), and the bodies of the fuzz targets.
//!
//! [`file`] recognises what a file holds by its fields and replays all of it.

mod conversation;
mod draws;
mod json;
mod primitives;
mod signal_message;
mod start;

use crate::spqr;
use json::Json;
use serde_json::Value;

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Facts that were compared and held.
    pub checks: usize,
}

/// Why a replay failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file is of no known form.
    #[error("the file is of no known form")]
    UnknownForm,
    /// A field is missing or of another type than expected.
    #[error("step {step}: field `{field}` is missing or malformed")]
    Field {
        /// Which element of the file.
        step: usize,
        /// Which field.
        field: &'static str,
    },
    /// We compute something else than the file says.
    #[error("step {step}: {what} differs")]
    Differs {
        /// Which element of the file.
        step: usize,
        /// What differs.
        what: &'static str,
    },
}

/// Counts facts that hold, and knows which element of the file is at hand.
#[derive(Default)]
pub(crate) struct Check {
    step: usize,
    checks: usize,
}

impl Check {
    pub(crate) fn at(&mut self, step: usize) {
        self.step = step;
    }

    /// Requires a fact.
    pub(crate) fn holds(&mut self, what: &'static str, fact: bool) -> Result<(), ReplayError> {
        if !fact {
            return Err(ReplayError::Differs { step: self.step, what });
        }
        self.checks = self.checks.saturating_add(1);
        Ok(())
    }

    pub(crate) fn field(&self, field: &'static str) -> ReplayError {
        ReplayError::Field { step: self.step, field }
    }
}

/// Replays one file of vectors, whichever it is.
///
/// # Errors
/// [`ReplayError`]: the first thing that differs.
pub fn file(name: &str, value: &Value) -> Result<Report, ReplayError> {
    if let Some(report) = spqr_file(name, value) {
        return report;
    }
    let mut check = Check::default();
    let root = Json::new(value);
    if root.has("steps") && root.has("alice") {
        conversation::replay(root, &mut check)?;
    } else if root.has("agreements") {
        primitives::curve25519(root, &mut check)?;
    } else if root.has("encaps_state_len_of_libcrux") {
        primitives::incremental(root, &mut check)?;
    } else if root.has("aes_256_cbc_pkcs7") {
        signal_message::replay(root, &mut check)?;
    } else if root.first_case_has("kem") {
        primitives::kem(root, &mut check)?;
    } else if root.first_case_has("alice") {
        conversation::replay_cases(root, &mut check)?;
    } else {
        return Err(ReplayError::UnknownForm);
    }
    Ok(Report { checks: check.checks })
}
