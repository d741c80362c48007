//! What is remembered of a folder: what was in step, and when.

#![expect(
    clippy::disallowed_methods,
    reason = "this file is where the state of a folder is read and written"
)]

use super::{Folder, OURS, Refused, disk};
use crate::vault::error::VaultError;
use keys::GroupId;
use keys::codec::{DecodeError, Reader, Writer};
use keys::vault_root::ObjectRef;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const FORM: &[u8; 8] = b"LLSYNC\n\x02";

/// When a folder and a vault were in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InStep {
    /// Which vault.
    pub vault: GroupId,
    /// What both had. Nothing: they never were in step.
    pub base: Option<ObjectRef>,
    /// When the folder was looked through for it, in seconds since 1970.
    pub since: i64,
    /// Where the folder has something else than both were to have, because it could not be written.
    pub refused: Vec<Refused>,
}

impl InStep {
    /// `"LLSYNC" ‖ 0A ‖ 02 ‖ vault 32 ‖ ref of the directory ‖ BE8(since) ‖ BE4(count) ‖ refused... ‖ check 8`
    pub(in crate::vault) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(FORM);
        out.array(self.vault.as_bytes());
        self.base.unwrap_or(ObjectRef::NONE).write(&mut out);
        out.array(&self.since.to_be_bytes());
        out.u32(u32::try_from(self.refused.len()).unwrap_or(u32::MAX));
        for refused in &self.refused {
            refused.write(&mut out);
        }
        out.finish_checked()
    }

    pub(in crate::vault) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // SECURITY: whoever believes a spoilt memory takes what is new for what was removed;
        // `what_was_in_step_is_read_as_it_was_or_not_at_all` notices.
        let mut input = Reader::checked(bytes)?;
        if input.take(FORM.len())? != FORM {
            return Err(DecodeError::Invalid);
        }
        let vault = GroupId::from_bytes(input.array()?);
        let base = Some(ObjectRef::read(&mut input)?).filter(|base| *base != ObjectRef::NONE);
        let since = i64::from_be_bytes(input.array()?);
        let mut refused = Vec::new();
        for _ in 0..input.u32()? {
            refused.push(Refused::read(&mut input)?);
        }
        input.finish()?;
        Ok(Self {
            vault,
            base,
            since,
            refused,
        })
    }
}

pub(super) fn make(path: &Path) -> Result<(), VaultError> {
    fs::create_dir_all(path).map_err(|error| disk(path, error))
}

impl Folder {
    pub(super) fn ours(&self) -> PathBuf {
        self.path.join(OURS)
    }

    fn state(&self) -> PathBuf {
        self.ours().join("state")
    }

    /// Keeps others from bringing this folder in step, until what is returned is dropped. Nothing: somebody does so now.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn lock(&self) -> Result<Option<fs::File>, VaultError> {
        let path = self.ours().join("lock");
        let open = || -> io::Result<fs::File> {
            fs::create_dir_all(self.ours())?;
            fs::File::create(&path)
        };
        let file = open().map_err(|error| disk(&path, error))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(disk(&path, error.into())),
        }
    }

    /// What this folder was in step with. Nothing: with no vault.
    ///
    /// # Errors
    /// [`VaultError::Disk`], [`VaultError::Form`].
    pub fn in_step(&self) -> Result<Option<InStep>, VaultError> {
        let path = self.state();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(InStep::decode(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk(&path, error)),
        }
    }

    /// Remembers what it is in step with, once all that was written is on the disk.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn remember(&self, in_step: &InStep) -> Result<(), VaultError> {
        let path = self.state();
        let begun = path.with_extension("new");
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.ours())?;
            let folder = fs::File::open(&self.path)?;
            rustix::fs::syncfs(&folder)?;
            let mut file = fs::File::create(&begun)?;
            file.write_all(&in_step.encode())?;
            file.sync_all()?;
            fs::rename(&begun, &path)?;
            fs::File::open(self.ours())?.sync_all()
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&begun);
            disk(&path, error)
        })
    }

    /// The time now, as `since` counts it.
    #[must_use]
    pub fn now() -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
    }
}
