//! How sure one is of an identity, as a type (I7).

use super::log::VerifiedLog;
use crate::AccountId;

/// What made an identity verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Means {
    /// An invite that carried the account id.
    Invite,
    /// A comparison of safety numbers.
    SafetyNumber,
    /// A comparison of short authentication strings.
    Sas,
    /// A code scanned from the other's screen.
    Code,
}

/// An identity that a relay or the person itself states. It becomes a [`VerifiedIdentity`] only through
/// [`ClaimedIdentity::verify`].
///
/// ```compile_fail
/// use letterlock_keys::account_log::{ClaimedIdentity, VerifiedIdentity};
/// fn promote(claimed: ClaimedIdentity) -> VerifiedIdentity {
///     claimed.into()
/// }
/// ```
///
/// The control compiles:
///
/// ```
/// use letterlock_keys::account_log::{ClaimedIdentity, Means, VerifiedIdentity};
/// fn promote(claimed: ClaimedIdentity, id: &letterlock_keys::AccountId) -> Option<VerifiedIdentity> {
///     claimed.verify(id, Means::Invite).ok()
/// }
/// ```
pub struct ClaimedIdentity {
    account: AccountId,
}

/// An identity that a person made sure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedIdentity {
    account: AccountId,
    means: Means,
}

impl ClaimedIdentity {
    /// Takes what a log states.
    #[must_use]
    pub fn of(log: &VerifiedLog) -> Self {
        Self {
            account: *log.account_id(),
        }
    }

    /// The account, as claimed.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.account
    }

    /// Verifies against an account id that came another way than the claim.
    ///
    /// # Errors
    /// The claim itself, if the ids differ.
    pub fn verify(self, expected: &AccountId, means: Means) -> Result<VerifiedIdentity, Self> {
        if self.account == *expected {
            Ok(VerifiedIdentity {
                account: self.account,
                means,
            })
        } else {
            Err(self)
        }
    }
}

impl VerifiedIdentity {
    /// The account.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.account
    }

    /// How it was verified.
    #[must_use]
    pub fn means(&self) -> Means {
        self.means
    }
}
