//! Epochs of groups.

use super::{RelayStore, no};
use keys::{GroupId, Timestamp};
use wire::{RefusalKind, Reply, SendInEpoch, SendResult};

/// All that a relay has of a group.
#[derive(Debug, Clone)]
pub(super) struct Epoch {
    number: u64,
    token_hash: [u8; 32],
}

impl Epoch {
    pub(super) fn token_hash(&self) -> &[u8] {
        &self.token_hash
    }
}

impl RelayStore {
    /// The groups, as (id, epoch).
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, u64)> {
        self.groups.iter().map(|(id, epoch)| (*id, epoch.number))
    }

    /// Forgets the epoch of a group, so that the next change of any epoch is taken: what a relay does that makes two
    /// of a group.
    pub fn forget_epoch(&mut self, group: &GroupId) {
        self.groups.remove(group);
    }

    /// Takes the epochs of an older disk, and nothing else of it.
    pub fn put_epochs_back(&mut self, old: &Self) {
        self.groups.clone_from(&old.groups);
    }

    /// Forgets what lies in a queue, and says nothing of it.
    pub fn forget_bodies(&mut self, queue: &keys::QueueId) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.bodies.clear();
        }
    }

    pub(crate) fn send_in_epoch(
        &mut self,
        request: &SendInEpoch,
        capacity: usize,
        now: Timestamp,
    ) -> Reply {
        if !self.is_repetition(&request.send) {
            if let Some(reply) = self.keeps_out(request) {
                return reply;
            }
            if let Some(next) = request.next {
                let epoch = Epoch {
                    number: next.epoch,
                    token_hash: next.token_hash,
                };
                self.groups.insert(request.group, epoch);
            }
        }
        Reply::SendResult(SendResult {
            rows: self.send(&request.send, capacity, now),
            store_version: self.version,
        })
    }

    fn keeps_out(&self, request: &SendInEpoch) -> Option<Reply> {
        let token_hash = keys::sha256(&[request.token.as_bytes()]);
        let epoch = match self.groups.get(&request.group) {
            None if request.next.is_some() => return None,
            None => 0,
            Some(known) if known.number != request.epoch => known.number,
            Some(known) if known.token_hash != token_hash => {
                return Some(no(RefusalKind::Forbidden));
            }
            Some(_) => return None,
        };
        Some(Reply::EpochPassed { epoch })
    }

    /// Whether a queue that may be sent to has had this message.
    fn is_repetition(&self, send: &wire::Send) -> bool {
        send.rows.iter().any(|row| {
            let queue = self.queues.get(&row.queue_id);
            queue
                .is_some_and(|queue| queue.allows(row) && queue.sent.contains_key(&send.message_id))
        })
    }
}
