//! What waits to be written to one connection.

use crate::limits;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use wire::{RelayFrame, Reply};

/// Frames for one connection, put in by any thread and written by the connection's task.
///
/// It is bounded by what may be put in: answers by [`PENDING_REQUESTS`](limits::PENDING_REQUESTS),
/// [`PENDING_BYTES`](limits::PENDING_BYTES) and [`UNWRITTEN_FRAMES`](limits::UNWRITTEN_FRAMES), bodies by
/// [`WINDOW`](limits::WINDOW).
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    frames: Mutex<VecDeque<RelayFrame>>,
    changed: Notify,
    pending: AtomicU32,
    pending_bytes: AtomicUsize,
    failed: AtomicBool,
}

impl Mailbox {
    /// Notes a request of so many bytes, whose answer will come.
    pub(crate) fn expect_answer(&self, bytes: usize) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Requests without an answer.
    pub(crate) fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whether another request may be read: neither the store nor the network is far behind.
    pub(crate) fn has_room(&self) -> bool {
        self.pending() < limits::PENDING_REQUESTS
            && self.pending_bytes.load(Ordering::Relaxed) < limits::PENDING_BYTES
            && self.frames().len() < limits::UNWRITTEN_FRAMES
    }

    /// Puts in the answer to a request that was noted with so many bytes.
    pub(crate) fn answer(&self, request_id: u64, reply: Reply, bytes: usize) {
        let mut frames = self.frames();
        frames.push_back(RelayFrame { request_id, reply });
        // Under the lock: whoever sees that nothing is pending finds the frame.
        self.pending.fetch_sub(1, Ordering::Relaxed);
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        drop(frames);
        self.changed.notify_one();
    }

    /// Puts in a frame.
    pub(crate) fn push(&self, frame: RelayFrame) {
        self.frames().push_back(frame);
        self.changed.notify_one();
    }

    fn frames(&self) -> MutexGuard<'_, VecDeque<RelayFrame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the connection to end.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Whether the connection should end.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Takes all frames out.
    pub(crate) fn take(&self) -> VecDeque<RelayFrame> {
        std::mem::take(&mut *self.frames())
    }

    /// Waits until there may be something to take.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_wait_are_bounded_in_number_and_in_bytes() {
        let large = limits::PENDING_BYTES / 10;
        for (bytes, most) in [(0, 256), (100, 256), (large, 11), (usize::MAX / 2, 1)] {
            let mailbox = Mailbox::default();
            let mut waiting = 0;
            while mailbox.has_room() {
                mailbox.expect_answer(bytes);
                waiting += 1;
            }
            assert_eq!(waiting, most, "{bytes}");
            mailbox.answer(1, Reply::Done, bytes);
            assert!(mailbox.has_room(), "{bytes}");
        }
    }
}
