//! What people are told.

use crate::error::EngineError;
use crate::input::CommandId;
use keys::{AccountId, LetterId};

/// How a command ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandOutcome {
    /// Done, nothing more to say.
    Done,
    /// The account is registered.
    AccountCreated,
    /// The invite, one line.
    Invite(String),
    /// A contact was added or found again.
    ContactAdded(AccountId),
    /// The letter is stored and waits for the relay; [`Event::LetterSent`] follows.
    LetterQueued(LetterId),
    /// It failed.
    Failed(EngineError),
}

/// Something to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A command ended.
    Command {
        /// Which.
        command: CommandId,
        /// How.
        outcome: CommandOutcome,
    },
    /// A letter came in and is stored.
    LetterReceived {
        /// From whom.
        contact: AccountId,
        /// Which.
        letter: LetterId,
    },
    /// The relay has accepted a letter for every device of its recipient.
    LetterSent {
        /// Which.
        letter: LetterId,
    },
    /// A device of the recipient has stored the letter.
    LetterDelivered {
        /// Which.
        letter: LetterId,
    },
    /// A letter will not arrive.
    LetterFailed {
        /// Which.
        letter: LetterId,
        /// Why.
        error: EngineError,
    },
    /// Somebody unknown wrote for the first time.
    ContactRequest {
        /// Who.
        contact: AccountId,
    },
    /// A contact's identity is not what was pinned. Sending to it stops; evidence is kept.
    IdentityChanged {
        /// Who.
        contact: AccountId,
    },
    /// The relay shows an older state than before; what it may have lost is sent again.
    RelayRolledBack {
        /// Which.
        relay: String,
    },
    /// A letter could not be opened; it is gone.
    Undecryptable {
        /// From whom, if the envelope told.
        contact: Option<AccountId>,
    },
}
