//! Why a vault was not read or changed, for people.

use super::packs::{NO_KEY, NoJournal};
use crate::failure::{failure, on_disk, relay_full, unreachable};
use crate::sealed::same_name;
use crate::view::{Failure, FailureKind};
use seal::vault::{ObjectError, VaultError};
use std::io;

const NO_KEY_HINT: &str = "somebody who may write in it has to be online: wait, and try again; in a home that was restored \
                           an owner has to let it in again: letterlock vault share";

pub(super) fn vault_failure(error: VaultError) -> Failure {
    let (kind, hint) = match &error {
        VaultError::Pack(error) => return pack_failure(error),
        VaultError::Disk { error: cause, .. } if cause.kind() != io::ErrorKind::NotFound => {
            return disk_failure(&error.to_string(), cause);
        }
        VaultError::Object(ObjectError::NoKey { .. }) => (FailureKind::NotFound, NO_KEY_HINT),
        VaultError::Object(_) | VaultError::Form(_) | VaultError::TooDeep | VaultError::TooMuch => {
            (
                FailureKind::Refused,
                "the relay or a member changed it; older versions may be whole: letterlock vault history",
            )
        }
        VaultError::NotFound { .. } => (
            FailureKind::NotFound,
            "letterlock vault list VAULT shows what is there",
        ),
        VaultError::Disk { .. } => (FailureKind::NotFound, "look at the path"),
        VaultError::Taken { .. } => (
            FailureKind::Usage,
            "name another place with --out, or replace it with --force",
        ),
        VaultError::SameName { .. } => return same_name(&error.to_string()),
        VaultError::Changing { .. } => (
            FailureKind::Failed,
            "put it again when nothing writes to it; nothing was put",
        ),
        _ => (FailureKind::Usage, "name another path"),
    };
    failure(kind, error.to_string(), Some(hint))
}

/// What the home's disk did not take.
pub(super) const NO_JOURNAL: &str = "the journal of what is begun cannot be written";

/// A disk of this machine failed.
pub(super) fn disk_failure(what: &str, error: &io::Error) -> Failure {
    let (cause, hint) = on_disk(error);
    let hint = format!("{hint}, then type the same command again: it goes on, and nothing is lost");
    failure(FailureKind::Failed, format!("{what}: {cause}"), Some(&hint))
}

fn pack_failure(error: &io::Error) -> Failure {
    let inner = error.get_ref();
    if let Some(NoJournal(error)) = inner.and_then(|inner| inner.downcast_ref()) {
        return disk_failure(NO_JOURNAL, error);
    }
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => failure(
            FailureKind::Failed,
            "the relay no longer has a part of this vault",
            Some(
                "ask the relay's operator for a copy; older versions may be whole: `letterlock vault restore VAULT --version NUMBER`; `letterlock vault accept VAULT` takes what the relay shows",
            ),
        ),
        io::ErrorKind::QuotaExceeded => relay_full(),
        io::ErrorKind::FileTooLarge => failure(
            FailureKind::Failed,
            "the relay takes nothing as large as a part of this vault",
            Some("ask its operator to raise `blob_bytes`; what was moved already stays for then"),
        ),
        io::ErrorKind::PermissionDenied => failure(
            FailureKind::Refused,
            "the relay refuses the key of a part of this vault",
            Some("ask the relay's operator; nothing was changed"),
        ),
        NO_KEY => failure(
            FailureKind::NotFound,
            "a part of this vault is under a key that this home does not have",
            Some(NO_KEY_HINT),
        ),
        io::ErrorKind::TimedOut => unreachable(&error.to_string()),
        _ => failure(
            FailureKind::Failed,
            format!("a part of this vault was not moved: {error}"),
            Some("try again; what was moved already stays for this"),
        ),
    }
}
