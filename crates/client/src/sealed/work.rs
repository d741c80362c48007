//! How far sealing and opening are, and how they are ended.

use seal::{Sink, Stored};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far a piece of work is; whoever waits for it may end it.
#[derive(Debug, Default)]
pub struct Work {
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
    notes: Mutex<Vec<String>>,
    awaits_key: AtomicBool,
}

impl Work {
    /// What is to be told to a person besides the result; each is told once.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes)
    }

    pub(crate) fn note(&self, note: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.iter().any(|told| told == note) {
            notes.push(note.to_owned());
        }
    }

    /// Whether it waits for the new key of a vault that somebody went out of.
    #[must_use]
    pub fn awaits_key(&self) -> bool {
        self.awaits_key.load(Ordering::Relaxed)
    }

    pub(crate) fn await_key(&self, waits: bool) {
        self.awaits_key.store(waits, Ordering::Relaxed);
    }

    /// Bytes done, and bytes in all; 0 where that is not known.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&self.done), load(&self.total))
    }

    /// Ends the work: nothing of it stays.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn on(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
}

/// A sink that can be told to end.
pub(crate) struct Stoppable<'a>(pub(crate) &'a dyn Sink, pub(crate) &'a Work);

impl Sink for Stoppable<'_> {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.1.on().map_err(|_| io::Error::other("stopped"))?;
        self.0.put(offset, bytes)
    }

    fn give_up(&self) {
        self.0.give_up();
    }
}

/// A file that can be told to end.
pub(super) struct Reading {
    pub(super) file: File,
    pub(super) work: Arc<Work>,
}

impl Stored for Reading {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.work.on().map_err(|_| io::Error::other("stopped"))?;
        Stored::read_at(&self.file, offset, out)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
