//! Enclosures: files, sealed piece by piece on their way to a relay's blob store, and back. Parts of archives,
//! which are small, go the same ways.
//!
//! A file is never whole in memory, and nothing of it is stored twice: the sealed form exists only on the wire
//! and at the relay. Both ways go on where they stopped.

mod download;
pub(crate) mod http;
mod name;
mod parcel;
mod part;
pub(crate) mod put;
mod upload;

pub(crate) use download::{DownloadJob, download};
pub(crate) use parcel::{Parcel, ParcelProblem};
pub(crate) use part::{PartJob, move_part};
pub(crate) use upload::{UploadJob, upload};

use crate::failure::failure;
use crate::os;
use crate::view::{Failure, FailureKind};
use engine::Attachment;
use keys::{BlobId, LetterId};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Sealed bytes that travel together: a MiB of plaintext.
const PIECE_SEALED: usize = 64 * keys::chunked::SEALED_CHUNK_LEN;
/// Pieces between the disk and the network.
const PIECES: usize = 4;

/// News of a file.
pub(crate) enum FileEvent {
    /// So much of an upload is sent.
    Sent {
        /// The upload.
        blob: BlobId,
        /// Plaintext bytes.
        done: u64,
        /// Plaintext bytes in all.
        total: u64,
    },
    /// The relay has all of it.
    Uploaded {
        /// The upload.
        blob: BlobId,
    },
    /// The file is not what it was when the upload began.
    Changed {
        /// The upload.
        blob: BlobId,
        /// The file as it is now.
        attachment: Attachment,
    },
    /// The upload cannot go on.
    NotUploaded {
        /// The upload.
        blob: BlobId,
        /// Why.
        failure: Failure,
    },
    /// So much of a download is saved.
    Came {
        /// The request that wants it.
        call: u64,
        /// Plaintext bytes.
        done: u64,
    },
    /// A download is saved, whole and verified.
    Saved {
        /// The request that wants it.
        call: u64,
        /// Where.
        path: PathBuf,
    },
    /// The relay has all of a part of an archive.
    PartStored {
        /// The part.
        blob: BlobId,
    },
    /// A part of an archive came.
    PartFetched {
        /// The part.
        blob: BlobId,
        /// All of it.
        sealed: Vec<u8>,
    },
    /// A part of an archive can be neither stored nor fetched.
    PartFailed {
        /// The part.
        blob: BlobId,
    },
    /// A download is not saved.
    NotSaved {
        /// The request that wants it.
        call: u64,
        /// Why.
        failure: Failure,
        /// Whether trying again is of no use.
        lost: bool,
    },
}

/// Which enclosure of which letter.
pub(crate) type Place = (LetterId, u32);

/// Looks at a file that is to be sent.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn attachment(path: &Path) -> Result<Attachment, Failure> {
    let shown = path.display();
    let described = os::open_source(path).and_then(|file| describe(path, &file));
    described.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failure(
            FailureKind::NotFound,
            format!("{shown}: there is no such file"),
            Some("check the path"),
        ),
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => {
            let hint = "pack a folder first, for example with tar; save what comes from a pipe or device to a file";
            failure(
                FailureKind::Usage,
                format!("{shown} is not a plain file"),
                Some(hint),
            )
        }
        _ => {
            let hint = "check that you may read the file, and that its name is UTF-8";
            failure(
                FailureKind::Failed,
                format!("{shown}: {error}"),
                Some(hint),
            )
        }
    })
}

/// Name, length and fingerprint of an open file.
fn describe(path: &Path, file: &File) -> io::Result<Attachment> {
    let (length, identity) = os::identity(file)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // A path that is not UTF-8 cannot be kept until the upload ends.
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?
        .to_owned();
    let identity: Vec<u8> = identity
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    Ok(Attachment {
        path,
        name,
        length,
        fingerprint: keys::sha256(&[&identity]),
    })
}
