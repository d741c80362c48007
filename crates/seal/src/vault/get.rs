//! What a vault holds, on its way to disk.

use super::budget::Budget;
use super::error::VaultError;
use super::name::Name;
use super::reader::{Cursor, Reader};
use super::tree::{Entry, Part, What};
use crate::lock::{self, EntryKind, OpenError};
use crate::parallel::Progress;
use crate::place::Staging;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Chunks that are read at a time: more hide the time that a relay takes, and want more memory.
const THREADS: usize = 8;

/// What was written to disk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Got {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Symbolic links that lead out of what was asked for: they are not made.
    pub left_out: Vec<PathBuf>,
    /// Where it is.
    pub place: PathBuf,
}

struct Job {
    path: Vec<u8>,
    offset: u64,
    part: Part,
}

impl From<OpenError> for VaultError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Write { path, error } => Self::Disk { path, error },
            OpenError::Exists { path } => Self::Taken { path },
            OpenError::SameName { path } => Self::SameName { path },
            _ => Self::Disk {
                path: PathBuf::new(),
                error: std::io::Error::other("not written"),
            },
        }
    }
}

impl Reader<'_> {
    /// Writes a file, or a directory with all that is in it, under a name into a directory on disk: all of it or nothing.
    /// `nonce` makes the name of what is not whole yet one that nobody else has.
    ///
    /// # Errors
    /// [`VaultError`]; nothing of it is there then.
    pub fn get(
        &self,
        entry: &Entry,
        name: &Name,
        into: &Path,
        replace: bool,
        nonce: u64,
        progress: Progress<'_>,
    ) -> Result<Got, VaultError> {
        let place = into.join(OsStr::from_bytes(name.as_bytes()));
        if !replace && place.symlink_metadata().is_ok() {
            return Err(VaultError::Taken { path: place });
        }
        let staging = Staging::create(into, nonce)?;
        let mut all = Vec::new();
        let mut got = Got {
            place,
            ..Got::default()
        };
        let (jobs, taken) = sync_channel::<Job>(THREADS);
        let taken = Mutex::new(taken);
        let (stop, failed) = (AtomicBool::new(false), Mutex::new(None));
        let work = || {
            while let Some(job) = next(&taken) {
                // After an error what is left is only taken, so that nobody waits.
                if stop.load(Ordering::Relaxed) {
                    continue;
                }
                match self.write(&staging, &job) {
                    Ok(()) => progress(job.part.length),
                    Err(error) => {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.get_or_insert(error);
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(work);
            }
            let mut plan = Plan {
                reader: self,
                staging: &staging,
                jobs,
                stop: &stop,
                all: &mut all,
                got: &mut got,
                budget: self.budget(),
            };
            plan.take(name.as_bytes().to_vec(), entry)
        })?;
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), Err)?;
        for left in staging.finish(&all)? {
            got.left_out.push(Staging::place(into, &left.path));
        }
        staging.into_place(&[name.as_bytes().to_vec()], into, replace)?;
        Ok(got)
    }

    fn write(&self, staging: &Staging, job: &Job) -> Result<(), VaultError> {
        let bytes = self.chunk(&job.part)?;
        let at = lock_entry(job.path.clone(), 0, (0, 0), EntryKind::File { size: None });
        Ok(staging.write(&at, job.offset, &bytes)?)
    }
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.recv().ok()
}

fn lock_entry(path: Vec<u8>, mode: u16, modified: (i64, u32), kind: EntryKind) -> lock::Entry {
    lock::Entry {
        path,
        mode,
        modified,
        kind,
    }
}

/// Goes through what is to be written: directories are made here, files by those who take jobs.
struct Plan<'p, 'a> {
    reader: &'p Reader<'a>,
    staging: &'p Staging,
    jobs: SyncSender<Job>,
    stop: &'p AtomicBool,
    all: &'p mut Vec<lock::Entry>,
    got: &'p mut Got,
    budget: Budget,
}

impl Plan<'_, '_> {
    fn take(&mut self, path: Vec<u8>, entry: &Entry) -> Result<(), VaultError> {
        self.budget.entry_at(&path, entry)?;
        let kind = match &entry.what {
            What::File { size, .. } => EntryKind::File { size: Some(*size) },
            What::Directory(_) => EntryKind::Directory,
            What::Link(target) => EntryKind::Link {
                target: target.clone(),
            },
        };
        let made = lock_entry(path.clone(), entry.mode, entry.modified, kind);
        match &entry.what {
            What::Directory(directory) => {
                self.staging.directory(&made)?;
                self.all.push(made);
                // SECURITY: somebody with the key may nest directories without end; `too_deep_a_tree_is_not_written`
                // notices.
                if path.iter().filter(|byte| **byte == b'/').count() >= super::DEPTH {
                    return Err(VaultError::TooDeep);
                }
                let directory = self.reader.directory(directory)?;
                for number in 0..directory.0.len() {
                    for (name, entry) in &self.reader.segment(&directory, number)?.0 {
                        if self.stop.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        self.take([&path, &b"/"[..], name.as_bytes()].concat(), entry)?;
                    }
                }
                Ok(())
            }
            What::File { size, parts } => {
                self.staging.begin(&made)?;
                self.all.push(made);
                self.got.files = self.got.files.saturating_add(1);
                self.got.bytes = self.got.bytes.saturating_add(*size);
                let mut cursor = Cursor::new(self.reader, *size, parts, 0)?;
                while let Some((offset, part)) = cursor.next_in(self.reader, &mut self.budget)? {
                    let path = path.clone();
                    let _ = self.jobs.send(Job { path, offset, part });
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Ok(())
            }
            What::Link(_) => {
                self.all.push(made);
                Ok(())
            }
        }
    }
}
