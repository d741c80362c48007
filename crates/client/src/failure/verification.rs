//! Why two people could not make sure of each other.

use super::{failure, unreachable};
use crate::view::{Failure, FailureKind};
use engine::SasError;
use keys::VerificationError;

/// What to do where nothing but somebody in between explains it.
const IN_BETWEEN: &str = "somebody may stand between you: send nothing that matters before you have met, or have compared \
     `letterlock contact verify NAME --number` in another way";

/// A comparison of short codes came to nothing.
pub(super) fn sas(error: SasError) -> Failure {
    let (kind, hint) = match error {
        SasError::Different | SasError::Broken => (FailureKind::Refused, IN_BETWEEN),
        SasError::LogsChanged => (
            FailureKind::Refused,
            "if one of you has just linked or revoked a device, try again; if not, a relay may be lying: compare \
             `letterlock contact verify NAME --number`",
        ),
        SasError::Unchecked => return unreachable(&error.to_string()),
        SasError::Stopped => (
            FailureKind::Failed,
            "agree on a time, and both type `letterlock contact verify NAME --sas` again",
        ),
        SasError::Elsewhere => (
            FailureKind::Failed,
            "go on where it is shown; or let it end there, and both type the command again",
        ),
        // Also what a later version may add.
        _ => (
            FailureKind::Failed,
            "agree on a time; the other side types `letterlock contact verify NAME --sas` with your name while this \
             side waits, and must know you as a contact to be told",
        ),
    };
    failure(kind, error.to_string(), Some(hint))
}

/// A code does not verify the contact. How much of it fits is not said.
pub(super) fn code(error: VerificationError) -> Failure {
    let not_theirs = "this is not the code that this contact shows to you";
    let (message, hint) = match error {
        VerificationError::NotACode => (
            "this is not a verification code",
            "take the whole line that begins with letterlock-verify-",
        ),
        VerificationError::Own => (
            "this is the code that you show, not the one of this contact",
            "take the line that the other side sees: `letterlock contact verify NAME --qr`, with your name",
        ),
        VerificationError::TheirRoot | VerificationError::OurRoot => (
            "this is not the code of the person known here: somebody stands between you, and nothing is sent any more",
            "meet, or ask in another way; `letterlock contact evidence NAME` shows what was kept",
        ),
        _ => (
            not_theirs,
            "the other side types `letterlock contact verify NAME --qr` with your name; if it did, somebody may stand \
             between you",
        ),
    };
    failure(FailureKind::Refused, message, Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_stand_in_between_is_a_refusal_and_who_is_late_is_not() {
        use SasError::{Broken, Different, Elsewhere, Expired, LogsChanged, Stopped, Unchecked};
        for error in [Different, Broken, LogsChanged] {
            assert_eq!(sas(error).kind, FailureKind::Refused);
        }
        for error in [Stopped, Elsewhere, Expired] {
            assert_eq!(sas(error).kind, FailureKind::Failed);
        }
        assert_eq!(sas(Unchecked).kind, FailureKind::Unreachable);
    }

    #[test]
    fn a_code_of_somebody_else_does_not_say_what_of_it_fits() {
        use VerificationError::{NotForUs, OtherContact, OurRoot, TheirRoot};
        for (one, other) in [(OtherContact, NotForUs), (TheirRoot, OurRoot)] {
            assert_eq!(code(one).message, code(other).message);
            assert_eq!(code(one).kind, FailureKind::Refused);
        }
    }
}
