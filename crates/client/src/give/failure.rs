//! Why a transfer did not come to its end, for people.

use crate::blobs::ParcelProblem;
use crate::failure::{failure, on_disk, relay_full, unreachable};
use crate::view::{Failure, FailureKind};
use engine::give::Refusal;
use keys::give::CodeError;

const AGAIN: &str = "let whoever gives type `letterlock give` again, and take the new code";

/// The text is no code.
pub(super) fn code(error: CodeError) -> Failure {
    let hint =
        "a code looks like 4821-guitar-banana-mouse; nothing was sent, so the code still counts";
    failure(FailureKind::Usage, error.to_string(), Some(hint))
}

/// No giver of this relay has the number.
pub(super) fn nobody() -> Failure {
    let hint = "check the number and --relay; a code ends with the `letterlock give` that shows it";
    failure(
        FailureKind::NotFound,
        "nobody gives under this number",
        Some(hint),
    )
}

/// The giver said no.
pub(super) fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::WrongCode => wrong_code(),
        Refusal::Taken => {
            let message = "somebody else took this with the same code";
            let hint =
                "if that was neither you nor whoever you gave the code to, somebody overheard it";
            failure(FailureKind::Refused, message, Some(hint))
        }
        _ => ended(),
    }
}

/// One side's words are not the other's.
pub(super) fn wrong_code() -> Failure {
    let message =
        "the words of the code are wrong, or somebody stands in between; the code is used up";
    failure(FailureKind::Refused, message, Some(AGAIN))
}

/// The giver has gone.
pub(super) fn ended() -> Failure {
    let message = "whoever gives has stopped; nothing was written";
    failure(FailureKind::Failed, message, Some(AGAIN))
}

/// The giver says nothing.
pub(super) fn silent() -> Failure {
    let message = "whoever gives does not answer; nothing was written";
    let hint = "`letterlock give` must run until everything was taken; then type this again";
    failure(FailureKind::Failed, message, Some(hint))
}

/// Somebody does not know the code.
pub(super) fn guessed() -> Failure {
    let message = "somebody guessed or mistyped the code; it is used up, and nothing was given";
    let hint = "give again, and say the new code to the right person";
    failure(FailureKind::Refused, message, Some(hint))
}

/// Nobody took it in time.
pub(super) fn expired() -> Failure {
    let message = "nobody took it in time; it is not at the relay any more";
    let hint = "give again; --expires takes up to 24h";
    failure(FailureKind::Failed, message, Some(hint))
}

/// The link says that it is over.
pub(super) fn link_expired() -> Failure {
    let message = "this link has expired; nothing was written";
    let hint = "let whoever gives type `letterlock give --link` again; if it should still count, look at this machine's clock";
    failure(FailureKind::Refused, message, Some(hint))
}

/// What the link led to is not at the relay.
pub(super) fn link_over() -> Failure {
    let message = "nothing is behind this link any more: it was taken, it has expired, or whoever gave it ended it";
    let hint = "if it was taken and not by you, somebody else has the link, and what was given; let it be given again";
    failure(FailureKind::Refused, message, Some(hint))
}

/// Whoever took it did not say that it came.
pub(super) fn unfinished() -> Failure {
    let message = "the other side began to take it, and did not say that it has everything";
    failure(FailureKind::Failed, message, Some("ask, and give again"))
}

/// The taker stopped.
pub(super) fn stopped() -> Failure {
    let message = "the other side stopped before it had everything";
    failure(FailureKind::Failed, message, Some("give again"))
}

/// All numbers that were tried are in use.
pub(super) fn no_number() -> Failure {
    let message = "every number that was tried is in use at this relay";
    failure(
        FailureKind::Failed,
        message,
        Some("try again later, or use another relay"),
    )
}

/// What is given did not come to the relay.
pub(super) fn not_stored(problem: &ParcelProblem) -> Failure {
    let hint = match problem {
        ParcelProblem::Unreachable(why) => return unreachable(why),
        ParcelProblem::TooLarge => "give less, or use another relay",
        ParcelProblem::NoRoom => return relay_full(),
        _ => "ask the relay's operator",
    };
    failure(FailureKind::Failed, problem.to_string(), Some(hint))
}

/// What was given did not come from the relay. It goes on with the same command, unless it is lost.
pub(super) fn not_fetched(problem: &ParcelProblem) -> Failure {
    match problem {
        ParcelProblem::Unreachable(why) => {
            let hint = "type the same command again: it goes on where it stopped";
            failure(FailureKind::Unreachable, why.as_str(), Some(hint))
        }
        ParcelProblem::Disk(error) => {
            let (cause, hint) = on_disk(error);
            let message = format!("what comes cannot be written: {cause}");
            let hint =
                format!("{hint}, then type the same command again: it goes on where it stopped");
            failure(FailureKind::Failed, message, Some(&hint))
        }
        _ => {
            let message = "the relay does not have what was given; nothing was written";
            failure(FailureKind::Refused, message, Some(AGAIN))
        }
    }
}

/// What came is not what was given.
pub(super) fn changed() -> Failure {
    let message = "the relay gave something else than what was given; nothing was written";
    let hint = "type the same command again; if it fails again, use another relay";
    failure(FailureKind::Refused, message, Some(hint))
}
