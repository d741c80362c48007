//! Failures in the words of people: kind, message, and what to do next.

mod verification;

use crate::relay_url::RelayUrlError;
use crate::store::OpenError;
use crate::view::{Failure, FailureKind};
use engine::{AmendmentError, EngineError, StoreError, VaultError};
use keys::account_log::LogError;
use std::io;

/// Makes a failure.
pub(crate) fn failure(
    kind: FailureKind,
    message: impl Into<String>,
    hint: Option<&str>,
) -> Failure {
    Failure {
        kind,
        message: message.into(),
        hint: hint.map(str::to_owned),
    }
}

/// The home holds no account.
pub(crate) fn no_account() -> Failure {
    let hint = "make one with `letterlock account create NAME --relay URL`";
    failure(
        FailureKind::NotFound,
        "there is no account in this home",
        Some(hint),
    )
}

/// The relay did not answer in time.
pub(crate) fn unreachable(message: &str) -> Failure {
    let hint = "check the network and the relay's address, then try again";
    failure(FailureKind::Unreachable, message, Some(hint))
}

/// The relay stores no more, though it answers.
pub(crate) fn relay_full() -> Failure {
    let hint = "ask the relay's operator for more, or try again later: nothing is lost";
    failure(
        FailureKind::Failed,
        "the relay has no room for more",
        Some(hint),
    )
}

/// Why a disk of this machine takes no more, and what to do about it.
pub(crate) fn on_disk(error: &io::Error) -> (String, &'static str) {
    let (cause, hint) = match error.kind() {
        io::ErrorKind::StorageFull => ("the disk is full", "make room on that disk"),
        io::ErrorKind::QuotaExceeded => (
            "your quota on that disk is used up",
            "make room on that disk, or ask for more of it",
        ),
        io::ErrorKind::FileTooLarge => (
            "it is larger than that disk, or a limit of this process, allows",
            "see `ulimit -f`, or name a place on another disk",
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            ("that disk can only be read", "name a place on another disk")
        }
        kind => {
            return (
                kind.to_string(),
                "look at the disk, and at the rights with: ls -l",
            );
        }
    };
    (cause.to_owned(), hint)
}

/// Something in this program that should not be.
pub(crate) fn internal(what: &str) -> Failure {
    failure(
        FailureKind::Failed,
        format!("internal error: {what}"),
        Some("please report this"),
    )
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        if let OpenError::Store(error) = error {
            return error.into();
        }
        let hint = match &error {
            OpenError::NoProfile => return no_account(),
            OpenError::WrongPassphrase => {
                "try again; without the passphrase nobody can open this home"
            }
            OpenError::KeyFileMissing | OpenError::KeyFileDamaged => {
                "put profile.key back from a copy of the home"
            }
            OpenError::DatabaseDamaged => "put profile.db back from a copy of the home",
            OpenError::Newer { .. } => "install a newer version of letterlock",
            _ => "check the home's path, its owner and its permissions",
        };
        let kind = match error {
            OpenError::WrongPassphrase => FailureKind::Refused,
            _ => FailureKind::Failed,
        };
        failure(kind, error.to_string(), Some(hint))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match error {
            StoreError::Full => "make room on the disk and try again; nothing was lost",
            StoreError::Damaged { .. } => "put the home back from a copy",
            _ => "check the disk that holds the home",
        };
        failure(FailureKind::Failed, error.to_string(), Some(hint))
    }
}

impl From<RelayUrlError> for Failure {
    fn from(error: RelayUrlError) -> Self {
        let hint = match error {
            RelayUrlError::PlainBeyondLoopback => {
                "use the https address that `letterlock relay serve` prints"
            }
            _ => "an address looks like https://HOST:PORT#sha256=PIN or http://127.0.0.1:PORT",
        };
        failure(FailureKind::Usage, error.to_string(), Some(hint))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::NoAccount => no_account(),
            EngineError::Sas(error) => verification::sas(error),
            EngineError::Code(error) => verification::code(error),
            error => failure(kind(&error), error.to_string(), hint(&error)),
        }
    }
}

fn kind(error: &EngineError) -> FailureKind {
    match error {
        EngineError::InvalidName
        | EngineError::OwnInvite
        | EngineError::InvalidRelay
        | EngineError::InvalidInvite
        | EngineError::EmptyLetter
        | EngineError::InvalidGuardians
        | EngineError::InvalidGroupName
        | EngineError::TextTooLong { .. }
        | EngineError::InvalidPicture
        | EngineError::TooManyFiles { .. } => FailureKind::Usage,
        EngineError::IdentityChanged { .. }
        | EngineError::BadKeys { .. }
        | EngineError::Blocked
        | EngineError::InviteExpired
        | EngineError::InviteUsed
        | EngineError::OwnLogForked
        | EngineError::LogRefuses { .. }
        | EngineError::NotSenior
        | EngineError::NoLettersOfTwo
        | EngineError::NoRootKey
        | EngineError::LinkUnderWay
        | EngineError::NoLink
        | EngineError::LinkExpired
        | EngineError::LinkStopped
        | EngineError::DeviceRevoked
        | EngineError::DeviceSuspended
        | EngineError::AccountEnded
        | EngineError::ContactEnded
        | EngineError::BadArchive
        | EngineError::BadBackup
        | EngineError::RecoveryNotInForce
        | EngineError::SheetDiffers
        | EngineError::NoRecoveryRequest
        | EngineError::RequestCodeDiffers
        | EngineError::NotInGroup
        | EngineError::GroupRole
        | EngineError::LastOwner
        | EngineError::OtherRelay { .. }
        | EngineError::GroupSuite { .. }
        | EngineError::Group { .. }
        | EngineError::Amendment(_)
        | EngineError::RecoveryCancelled => FailureKind::Refused,
        EngineError::Vault(error) => match error {
            VaultError::Unknown | VaultError::NoHead => FailureKind::NotFound,
            VaultError::NoKey => FailureKind::Failed,
            _ => FailureKind::Refused,
        },
        EngineError::UnknownName
        | EngineError::UnknownContact
        | EngineError::UnknownLetter
        | EngineError::UnknownDevice
        | EngineError::NoBackup
        | EngineError::NoShare
        | EngineError::UnknownGroup
        | EngineError::NoMember { .. }
        | EngineError::NoRecoveryUnderWay => FailureKind::NotFound,
        _ => FailureKind::Failed,
    }
}

fn hint(error: &EngineError) -> Option<&'static str> {
    Some(match error {
        EngineError::AccountExists => "use another home: `--home DIR`",
        EngineError::InvalidName => "use 1 to 32 of a-z, 0-9, '.', '-' and '_'",
        EngineError::InvalidRelay => {
            "an address looks like https://HOST:PORT#sha256=PIN or http://127.0.0.1:PORT"
        }
        EngineError::NameTaken => {
            "choose another name; if it was yours and every key is lost, the relay's operator can free it: \
             letterlock relay release NAME"
        }
        EngineError::RegistrationCodeNeeded | EngineError::RegistrationCodeUnknown => {
            "ask the relay's operator or a member for an invite, then add `--invite CODE`"
        }
        EngineError::InvalidInvite => "copy the whole line that begins with letterlock:",
        EngineError::InviteExpired | EngineError::InviteUsed => {
            "ask for a new one: the other side types `letterlock invite`"
        }
        EngineError::OwnInvite => "give it to somebody else",
        EngineError::UnknownName => "check the spelling of NAME@RELAY, or ask for an invite",
        EngineError::UnknownContact => "see `letterlock contact list`",
        EngineError::Blocked => "unblock with `letterlock contact block NAME --undo`",
        EngineError::IdentityChanged { .. } => {
            "ask the person in another way, compare `letterlock contact verify NAME --number`, or take a new invite; `letterlock contact evidence NAME` shows what was kept"
        }
        EngineError::NoLettersOfTwo => {
            "write it again: what is new goes to that account in another way"
        }
        EngineError::BadKeys { .. } => "the relay may be lying; ask the person for an invite",
        EngineError::TextTooLong { .. } => "send it as a file: `--file PATH`",
        EngineError::EmptyLetter => "write a text or add `--file PATH`",
        EngineError::TooManyFiles { .. } => "send several letters",
        EngineError::UnknownLetter => "see the ids with `letterlock read --json`",
        EngineError::Amendment(error) => return hint_for_amendments(*error),
        EngineError::NoPreKeys => "the other side has not been online yet; try again later",
        EngineError::Undeliverable => "the recipient may have blocked you, or has left its relay",
        EngineError::UploadFailed => "check that the file is still there, and the relay's quota",
        EngineError::Refused { .. } | EngineError::Protocol => "ask the relay's operator",
        EngineError::Internal { .. } => "please report this",
        error => return hint_for_devices(error),
    })
}

fn hint_for_amendments(error: AmendmentError) -> Option<&'static str> {
    Some(match error {
        AmendmentError::NotAuthor => {
            "only whoever wrote a letter edits it, or deletes it for everybody; without --everyone it goes here alone"
        }
        AmendmentError::TooLate | AmendmentError::TooManyEdits => {
            "answer it with another letter: `letterlock send NAME TEXT --reply-to LETTER`"
        }
        AmendmentError::Empty => "delete it: `letterlock delete LETTER --everyone`",
        AmendmentError::InvalidReaction => "one sign is enough, such as 👍",
        _ => return None,
    })
}

fn hint_for_devices(error: &EngineError) -> Option<&'static str> {
    Some(match error {
        EngineError::OwnLogForked => {
            "the relay may be lying; compare `letterlock account log` on your devices"
        }
        EngineError::LogRefuses {
            error: LogError::SuiteWentBack { .. } | LogError::SameSuite { .. },
        } => "an account goes to a higher suite and never back; see `letterlock account show`",
        EngineError::LogRefuses { .. } | EngineError::NotSenior => {
            "see `letterlock device list`; use an admin device that is senior, or wait until this one is"
        }
        EngineError::NoRootKey => {
            "if there is a recovery sheet, add `--sheet -`; if not, use the device on which the account was made"
        }
        EngineError::LinkUnderWay => "let it come to its end first",
        EngineError::NoLink => {
            "begin with `letterlock device link` on the device that has the account"
        }
        EngineError::LinkExpired | EngineError::BadArchive => {
            "show a new secret with `letterlock device link`, and take it within two minutes"
        }
        EngineError::LinkStopped => {
            "if the codes differed, somebody stands in between: try again over another network"
        }
        EngineError::DeviceRevoked => {
            "what is stored here can still be read; to come back, link a new home with `letterlock device accept`"
        }
        EngineError::AccountEnded => {
            "what is stored here can still be read; a new account needs another home: `--home DIR`"
        }
        EngineError::ContactEnded => "what was written can still be read; ask for a new invite",
        EngineError::DeviceSuspended => {
            "type on another device: letterlock device resume NAME; then here: letterlock receive"
        }
        EngineError::UnknownDevice => "see `letterlock device list`",
        error => return hint_for_recovery(error),
    })
}

fn hint_for_recovery(error: &EngineError) -> Option<&'static str> {
    Some(match error {
        EngineError::NoBackup => {
            "check the relay's address, and that this is the account's newest sheet"
        }
        EngineError::BadBackup => "the relay may be lying; ask its operator, and keep the sheet",
        EngineError::RecoveryNotInForce => "take the account's newest sheet",
        EngineError::SheetDiffers => {
            "compare each group with the sheet, or draw a new one with `letterlock recovery sheet`"
        }
        EngineError::InvalidGuardians => {
            "name 2 to 16 contacts, each once; need at least 2 of them; a delay is 60s to 60d"
        }
        EngineError::GuardiansUnderWay => {
            "`letterlock receive` goes on with them; then see `letterlock recovery guardians`"
        }
        EngineError::NoShare => "see `letterlock recovery shares`",
        EngineError::NoRecoveryRequest => {
            "it may have been cancelled, or it is not at the relay yet: ask the person who told you"
        }
        EngineError::RequestCodeDiffers => {
            "do not give your share to whoever sent this code; ask the person in another way"
        }
        EngineError::RecoveryCancelled => {
            "a device of the account refused it, or somebody asked anew: `letterlock recovery request` asks again"
        }
        EngineError::NoRecoveryUnderWay => {
            "ask first: `letterlock recovery request NAME --relay URL`"
        }
        error => return hint_for_groups(error),
    })
}

/// Message and hint where the people of a vault are meant, and not those of a group.
pub(crate) fn in_a_vault(error: &EngineError) -> Option<(&'static str, &'static str)> {
    let members = "see who is in it and who may do what: `letterlock vault members VAULT`";
    Some(match error {
        EngineError::GroupRole => ("your role in the vault does not allow this", members),
        EngineError::NoMember { .. } => ("this person is not in the vault", members),
        EngineError::NotInGroup => (
            "this account is not in the vault",
            "ask an owner of the vault to share it with you again",
        ),
        EngineError::LastOwner => (
            "the vault would have no owner",
            "make somebody else an owner first: `letterlock vault share VAULT PERSON --role owner`",
        ),
        EngineError::InvalidGroupName => (
            "the name of the vault is empty, too long or unreadable",
            "use one line of up to 256 bytes",
        ),
        EngineError::OtherRelay { .. } => (
            "the contact is at another relay, and a vault has one relay",
            "ask it to make an account at the relay of the vault",
        ),
        EngineError::GroupSuite { .. } => (
            "the contact's account does not speak the vault's suite",
            "make a new vault with it: `letterlock vault create NAME`",
        ),
        _ => return None,
    })
}

/// The same failure in other words, where there are some.
pub(crate) fn with_words(failure: Failure, words: Option<(&str, &str)>) -> Failure {
    match words {
        Some((message, hint)) => self::failure(failure.kind, message, Some(hint)),
        None => failure,
    }
}

fn hint_for_groups(error: &EngineError) -> Option<&'static str> {
    Some(match error {
        EngineError::UnknownGroup => "see `letterlock group list`",
        EngineError::NoMember { .. } | EngineError::GroupRole => {
            "see who is in it and who may do what: `letterlock group show GROUP`"
        }
        EngineError::NotInGroup => "ask an admin of the group to add you again",
        EngineError::LastOwner => "make somebody else an owner first",
        EngineError::InvalidGroupName => "use one line of up to 256 bytes",
        EngineError::NoKeyPackages { .. } => {
            "its program is older than groups, or has not been online since; try again later"
        }
        EngineError::OtherRelay { .. } => "ask it to make an account at the relay of the group",
        EngineError::InvalidPicture => "make it smaller, or convert it with another program",
        EngineError::GroupSuite { .. } => {
            "begin a new group with it: `letterlock group create NAME WHO...`"
        }
        EngineError::GroupTooLarge => {
            "nobody was added, and all devices of a person count: make a second group"
        }
        EngineError::Vault(error) => return hint_for_vaults(*error),
        EngineError::Group { .. } => {
            "nothing has changed; see `letterlock group show GROUP`, and try again after `letterlock receive`"
        }
        _ => return None,
    })
}

fn hint_for_vaults(error: VaultError) -> Option<&'static str> {
    Some(match error {
        VaultError::Unknown => "see `letterlock vault list`",
        VaultError::NotIn => {
            "what is in it can be read; whoever is in it lets this device in once those that are lost are revoked (`letterlock device revoke`), or an owner does by `letterlock vault share`"
        }
        VaultError::Role => "see who may do what: `letterlock vault members VAULT`",
        VaultError::NoKey => {
            "it comes when somebody who may write in the vault is online; `letterlock receive` waits for it"
        }
        VaultError::NewKey => {
            "whoever may write in the vault makes it when online; `letterlock receive` waits for it"
        }
        VaultError::NoHead => {
            "nothing has been put into it yet, or the relay lost it: who may write puts it back with `letterlock vault put` or `sync`"
        }
        VaultError::Conflict => "try again",
        VaultError::MayNotWrite => {
            "whoever wrote it was put out or may only read; who may write puts the newest version back with `letterlock vault put` or `sync`"
        }
        VaultError::Restored => {
            "what it knew can be read; whoever is in it lets this device in once those that are lost are revoked (`letterlock device revoke`), or an owner does by `letterlock vault share`; where nobody else is in it, `letterlock vault accept VAULT` takes what is there"
        }
        VaultError::RolledBack => {
            "the relay was set back, or lies; who may write puts the newest version back with `letterlock vault put` or `sync`; if it is lost, `letterlock vault accept VAULT` takes what is there"
        }
        VaultError::Withheld => {
            "the relay was set back, or lies, or somebody spoilt it; whoever wrote the newer version brings it back with `letterlock vault put` or `sync`; if it is lost, `letterlock vault accept VAULT` takes what is there"
        }
        VaultError::Forked => {
            "the relay lies, or a member does; an owner puts out who does it (`letterlock vault unshare`); `letterlock vault accept VAULT` takes what is there"
        }
        VaultError::BadRoot
        | VaultError::OtherVault
        | VaultError::NotSigned
        | VaultError::NotFollowing => {
            "the relay lies, or somebody with a key of the vault; who may write puts the newest version back with `letterlock vault put` or `sync`; `letterlock vault accept VAULT` takes what is there"
        }
        _ => return None,
    })
}
