//! Why a file was not sealed or opened, for people.

use super::Stopped;
use crate::Client;
use crate::failure::{failure, on_disk};
use crate::view::{Failure, FailureKind};
use seal::age::armor::ArmorError;
use seal::lock::{HeaderError, OpenError, SealError};
use seal::tree::TreeError;
use std::io;
use std::path::Path;

pub(crate) fn usage(message: &str, hint: &str) -> Failure {
    failure(FailureKind::Usage, message, Some(hint))
}

pub(crate) fn exists(place: &Path) -> Failure {
    let message = format!("{} exists", place.display());
    let hint = "name another place with --out, or replace it with --force";
    failure(FailureKind::Usage, message, Some(hint))
}

pub(crate) fn write_failure(place: &Path, error: &io::Error) -> Failure {
    let (cause, hint) = on_disk(error);
    let message = format!("{} cannot be written: {cause}", place.display());
    let hint = format!("{hint}, then type the same command again; nothing was left behind");
    failure(FailureKind::Failed, message, Some(&hint))
}

pub(crate) fn tree_failure(error: &TreeError) -> Failure {
    let (kind, hint) = match error {
        TreeError::Read { path, error } if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is nothing at {}", path.display());
            return failure(FailureKind::NotFound, message, Some("look at the path"));
        }
        TreeError::Read { .. } => (FailureKind::Failed, "look at its rights with: ls -l"),
        TreeError::Changed { .. } => (
            FailureKind::Failed,
            "seal it again when nothing writes to it; nothing was sealed",
        ),
        _ => (
            FailureKind::Usage,
            "name files and directories whose names differ",
        ),
    };
    failure(kind, error.to_string(), Some(hint))
}

pub(crate) fn seal_failure(error: SealError, place: &Path) -> Failure {
    match error {
        SealError::Tree(error) => tree_failure(&error),
        SealError::Header(error) => header_failure(error),
        SealError::Write(error) => write_failure(place, &error),
        SealError::NotOneFile => usage(
            &SealError::NotOneFile.to_string(),
            "leave --format age out, or pack it: tar c PATH | letterlock seal --format age --to ... > FILE.age",
        ),
        error => failure(FailureKind::Failed, error.to_string(), None),
    }
}

/// Why a header was not read.
pub(crate) fn header_failure(error: HeaderError) -> Failure {
    let (kind, hint) = match error {
        HeaderError::NotSealed => (
            FailureKind::Usage,
            "letterlock open takes what letterlock seal or age wrote",
        ),
        HeaderError::Mixed => (
            FailureKind::Usage,
            "contacts and age1pq1... are post-quantum; --without-me leaves your own keys out",
        ),
        HeaderError::Unusable => (
            FailureKind::Failed,
            "look at the recipient; a passphrase of the age format takes up to 4 GiB of memory",
        ),
        HeaderError::Newer => (FailureKind::Failed, "use a newer letterlock"),
        HeaderError::Read(_) => (FailureKind::Failed, "look at the disk"),
        HeaderError::Recipients { .. } => (FailureKind::Usage, "seal it for fewer"),
        _ => (
            FailureKind::Refused,
            "have the file sent again; nothing was written",
        ),
    };
    failure(kind, error.to_string(), Some(hint))
}

pub(crate) fn open_failure(error: OpenError) -> Failure {
    match error {
        OpenError::Exists { path } => exists(&path),
        error @ OpenError::SameName { .. } => same_name(&error.to_string()),
        OpenError::Write { path, error } => write_failure(&path, &error),
        OpenError::Read(error) => {
            let message = format!("the file cannot be read: {}", error.kind());
            failure(FailureKind::Failed, message, Some("look at the disk"))
        }
        error => failure(
            FailureKind::Refused,
            error.to_string(),
            Some("have the file sent again; nothing was written"),
        ),
    }
}

/// A refusal after which something may have come out already.
pub(super) fn of_stream(stopped: Stopped, stream: bool) -> Stopped {
    match stopped {
        Stopped::Failed(refused) if stream && refused.kind == FailureKind::Refused => {
            let hint = "throw away what came out before this error: not all of it was verified";
            Stopped::Failed(Failure {
                hint: Some(hint.to_owned()),
                ..refused
            })
        }
        stopped => stopped,
    }
}

/// Nothing was written: one of two would be lost, or both be mixed.
pub(crate) fn same_name(message: &str) -> Failure {
    let hint = "nothing was written: take it to a disk that tells large and small letters apart, or have one of them called otherwise";
    failure(FailureKind::Failed, message, Some(hint))
}

/// Why a text was not read that is said to be a file of age.
pub(crate) fn armor_failure(error: ArmorError, spool: &Path) -> Failure {
    match error {
        ArmorError::Read(error) => header_failure(HeaderError::Read(error)),
        ArmorError::Write(error) => write_failure(spool, &error),
        error => failure(
            FailureKind::Refused,
            error.to_string(),
            Some("have the file sent again, or copy its text whole; nothing was written"),
        ),
    }
}

pub(crate) fn not_for_us(client: Option<&Client>) -> Failure {
    let hint = match client {
        None => "name a file of identities with -i, or another home with --home DIR",
        Some(_) => {
            "it was sealed for others, or before this device was linked: open it on another device, or with --sheet or -i"
        }
    };
    failure(
        FailureKind::Refused,
        "no key that is here opens the file",
        Some(hint),
    )
}
