//! Numbers for the operator, without any id.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) letters_accepted: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    pub(crate) acknowledgements: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) bundles_one_time: AtomicU64,
    pub(crate) bundles_last_resort: AtomicU64,
    pub(crate) blob_bytes_in: AtomicU64,
    pub(crate) blob_bytes_out: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) heads_written: AtomicU64,
    pub(crate) lock_keys: AtomicU64,
    pub(crate) epochs_passed: AtomicU64,
    pub(crate) key_packages_once: AtomicU64,
    pub(crate) key_packages_last_resort: AtomicU64,
}

/// Adds to a number.
pub(crate) fn add(number: &AtomicU64, more: usize) {
    number.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A body was stored in a queue.
    pub(crate) fn accepted(&self, bytes: usize) {
        add(&self.letters_accepted, 1);
        add(&self.body_bytes, bytes);
    }

    /// An acknowledgement was stored.
    pub(crate) fn acknowledged(&self) {
        add(&self.acknowledgements, 1);
    }

    /// A key package was given out.
    pub(crate) fn key_package_taken(&self, once: bool) {
        add(
            if once {
                &self.key_packages_once
            } else {
                &self.key_packages_last_resort
            },
            1,
        );
    }

    /// A bundle was given out.
    pub(crate) fn bundle_taken(&self, one_time: bool) {
        add(
            if one_time {
                &self.bundles_one_time
            } else {
                &self.bundles_last_resort
            },
            1,
        );
    }
}
