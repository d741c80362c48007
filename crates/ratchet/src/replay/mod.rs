//! Replays recorded vectors (vectors/triple-ratchet/README.md).
//!
//! [`file`] recognises what a file holds by its fields and replays all of it: whatever we produce must be what was
//! recorded, byte for byte, and whatever was refused must be refused and change nothing. Where libsignal is lax and
//! we are strict on purpose, refusal is what passes; [`Report::stricter`] counts these places.

mod conversation;
mod draws;
mod erasure;
mod export;
mod facts;
mod json;
mod party;
mod primitives;
mod signal_message;
mod spqr;
mod start;
mod state;

use facts::Facts;
use serde_json::Value;
use std::fmt;

/// What a replay found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Facts that were compared.
    pub facts: usize,
    /// How many of them are refusals of what libsignal accepts.
    pub stricter: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} facts", self.facts)?;
        match self.stricter {
            0 => Ok(()),
            stricter => write!(f, ", {stricter} of them stricter than recorded"),
        }
    }
}

/// The first thing in a file that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ReplayError {
    /// Where: file, step, field.
    pub place: String,
    /// What differs, or is missing.
    pub what: String,
}

impl ReplayError {
    fn new(what: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            what: what.into(),
        }
    }

    /// Says from the outside in where it happened.
    fn at(self, place: impl fmt::Display) -> Self {
        let place = match self.place.as_str() {
            "" => place.to_string(),
            inner => format!("{place}, {inner}"),
        };
        Self { place, ..self }
    }
}

/// Replays one file of vectors, whichever it is; `name` is only for the error.
///
/// # Errors
/// [`ReplayError`]: the first thing that differs, or that the file is of no known form.
pub fn file(name: &str, value: &Value) -> Result<Report, ReplayError> {
    let mut facts = Facts::default();
    let replayed = match form(value) {
        Some(replay) => replay(value, &mut facts),
        None => Err(ReplayError::new("the file is of no known form")),
    };
    let report = facts.report();
    let compared = match replayed {
        Ok(()) if report.facts == 0 => Err(ReplayError::new("the file holds nothing to compare")),
        other => other,
    };
    compared.map_err(|error| error.at(name))?;
    Ok(report)
}

type Replay = fn(&Value, &mut Facts) -> Result<(), ReplayError>;

/// Which form a file has, by fields that no other form has.
fn form(value: &Value) -> Option<Replay> {
    let has = |key: &str| value.get(key).is_some();
    let case_has = |key: &str| {
        let first = value.get("cases").and_then(|cases| cases.get(0));
        first.is_some_and(|case| case.get(key).is_some())
    };
    let forms: [(bool, Replay); 10] = [
        (has("steps") && has("alice"), conversation::replay),
        (case_has("alice"), conversation::replay_cases),
        (has("agreements"), primitives::curve25519),
        (case_has("kem"), primitives::kem),
        (has("encaps_state_len_of_libcrux"), primitives::incremental),
        (has("aes_256_cbc_pkcs7"), signal_message::replay),
        (has("gf16"), erasure::replay),
        (case_has("direction"), spqr::chain),
        (has("auth_key") && case_has("msg"), spqr::parse),
        (has("conversations"), spqr::transcripts),
    ];
    let (_, replay) = forms.into_iter().find(|(is, _)| *is)?;
    Some(replay)
}
