//! What recorded vectors, the differential test and the benchmark need, and no program may have.
//!
//! [`file`] recognises what a file of RFC 9420's vectors holds by its fields and replays all of it. Two files run a client
//! over our provider and our storage, joined, stored, taken up again and led on by the functions by which [`Group`](crate::Group)
//! does that: `passive-client-welcome` and `passive-client-handling-commit`; what of `Group` they do not reach, `passive` says.
//! Every message of any file goes through our groups' decoder and back. The library has no public
//! door to what the other files record, so for them the formulas of the RFC stand here, and what is tested is the
//! provider and its key derivation.

mod basics;
mod facts;
mod framing;
mod json;
mod labeled;
mod passive;
mod reader;
mod schedule;
mod secret_tree;
mod tree;
mod tree_cases;

use crate::provider::{self, Provider};
use facts::Facts;
use keys::Secret;
use mls_rs_core::crypto::{CipherSuite, CryptoProvider};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The default suite of groups.
pub const HYBRID: CipherSuite = provider::HYBRID;
/// The suite of accounts of suite `cnsa2`.
pub const CNSA2: CipherSuite = provider::CNSA2;

/// The provider that groups run on.
#[must_use]
pub fn provider(seed: Secret<32>) -> impl CryptoProvider + Clone + 'static {
    Provider::new(seed)
}

/// What a replay found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Facts that were compared.
    pub facts: usize,
    /// Cases of suites that we do not speak, by suite.
    pub skipped: BTreeMap<u16, usize>,
    /// Cases that could not be followed to the end: a commit takes a pre-shared key from an epoch before the present
    /// one, and groups are built without keeping any.
    pub past_epochs: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} facts", self.facts)?;
        if self.past_epochs > 0 {
            write!(
                f,
                ", {} cases end at a key of a past epoch",
                self.past_epochs
            )?;
        }
        for (suite, cases) in &self.skipped {
            write!(f, ", {cases} cases of suite {suite} left out")?;
        }
        Ok(())
    }
}

/// The first thing in a file that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ReplayError {
    /// Where: file, case, field.
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

type Replay = fn(&Value, &mut Facts) -> Result<(), ReplayError>;

/// Replays one file of vectors, whichever it is; `name` is only for the error.
///
/// # Errors
/// [`ReplayError`]: the first thing that differs, or that the file is of no known form.
pub fn file(name: &str, value: &Value) -> Result<Report, ReplayError> {
    let mut facts = Facts::default();
    let replayed = match (form(value), value.as_array()) {
        (Some(replay), Some(cases)) => cases.iter().enumerate().try_for_each(|(number, case)| {
            replay(case, &mut facts).map_err(|error| error.at(format_args!("case {number}")))
        }),
        _ => Err(ReplayError::new("the file is of no known form")),
    };
    let report = facts.report();
    let compared = match replayed {
        Ok(()) if report.facts == 0 => Err(ReplayError::new("the file holds nothing to compare")),
        other => other,
    };
    compared.map_err(|error| error.at(name))?;
    Ok(report)
}

/// Whether a file is one of ours rather than of another protocol: a list of cases.
#[must_use]
pub fn knows(value: &Value) -> bool {
    form(value).is_some()
}

/// Which form a file has, by fields that no other form has.
fn form(value: &Value) -> Option<Replay> {
    let first = value.get(0)?;
    let has = |key: &str| first.get(key).is_some();
    let forms: [(bool, Replay); 13] = [
        (has("ref_hash"), basics::replay),
        (has("vlbytes_header"), reader::replay),
        (has("initial_init_secret"), schedule::replay),
        (has("psks"), schedule::pre_shared_keys),
        (has("confirmation_key"), schedule::transcript),
        (has("n_leaves"), secret_tree::mathematics),
        (has("sender_data"), secret_tree::replay),
        (has("proposal_priv"), framing::replay),
        (has("signer_pub"), framing::welcome),
        (has("tree_hashes"), tree_cases::validation),
        (has("tree_before"), tree_cases::operations),
        (has("update_paths"), tree_cases::treekem),
        (has("initial_epoch_authenticator"), passive::replay),
    ];
    let (_, replay) = forms.into_iter().find(|(is, _)| *is)?;
    Some(replay)
}
