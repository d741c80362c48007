//! What two people compare to make sure of each other.

use serde::{Deserialize, Serialize};

/// A safety number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SafetyNumber {
    /// Whose.
    pub contact: String,
    /// Twelve groups of five digits, single spaces between.
    pub number: String,
    /// Whether it was compared before.
    pub verified: bool,
}

/// A short authentication string: both sides show the same, and people compare either form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sas {
    /// With whom.
    pub contact: String,
    /// Seven pictures.
    pub emoji: Vec<Emoji>,
    /// Eight digits.
    pub digits: String,
}

/// A picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emoji {
    /// One character.
    pub symbol: String,
    /// What to say aloud, in English.
    pub name: String,
}

/// The code that a contact scans.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerificationCode {
    /// For whom.
    pub contact: String,
    /// One line.
    pub code: String,
}
