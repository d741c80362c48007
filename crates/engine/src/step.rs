//! The result of handling one input: changes that must be stored before anything leaves.

use crate::error::StoreError;
use crate::event::Event;
use crate::store::{Store, Write};
use keys::{BlobId, QueueId};

/// A stretch of data for a relay's blob store. The driver seals and sends it; it survives restarts.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The blob, and the name of this job.
    pub blob: BlobId,
}

/// A wish to receive a queue's letters; the driver asks [`Engine::subscription`](crate::Engine::subscription)
/// for the signed request, since the signature covers the connection's challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The queue.
    pub queue: QueueId,
}

/// Something for the driver to do once the step is stored.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outgoing {
    /// A request for a relay. It stays in the outbox, and is offered again after a restart, until
    /// [`Input::Reply`](crate::Input::Reply) brings its answer.
    Request {
        /// The number to hand back with the answer; also the wire's request id.
        id: u64,
        /// The relay's URL with its pin.
        relay: String,
        /// The request.
        request: Box<wire::Request>,
    },
    /// Tells the relay that everything of a queue up to a sequence number is stored here.
    Acknowledge {
        /// The queue.
        queue: QueueId,
        /// The last stored sequence number.
        up_to: u64,
    },
    /// Subscribe to one of our queues on our own relay.
    Subscribe(Subscription),
    /// Store or fetch a part of an archive: [`Engine::part`](crate::Engine::part) says which way it goes, and
    /// [`Input::PartStored`](crate::Input::PartStored), [`Input::PartFetched`](crate::Input::PartFetched) or
    /// [`Input::PartFailed`](crate::Input::PartFailed) what became of it.
    Part(BlobId),
    /// Start, or go on with, an upload.
    Upload(Upload),
}

/// What may be done now that the step is stored.
#[derive(Debug, Default)]
pub struct Committed {
    /// For the network.
    pub outgoing: Vec<Outgoing>,
    /// For people.
    pub events: Vec<Event>,
}

/// The outcome of [`Engine::handle`](crate::Engine::handle). Its fields are private; see [`Step::commit`].
#[must_use = "a step that is not committed is as if its input had never come"]
pub struct Step {
    writes: Vec<Write>,
    committed: Committed,
}

impl Step {
    pub(crate) fn new(writes: Vec<Write>, committed: Committed) -> Self {
        Self { writes, committed }
    }

    /// Stores every change in one transaction, then hands out what is to be sent and shown.
    ///
    /// # Errors
    /// The store failed: nothing changed and nothing may be sent. The caller may handle the input again.
    pub fn commit(self, store: &mut dyn Store) -> Result<Committed, StoreError> {
        // SECURITY: the write stands before the hand-out (I8); `killed_between_store_and_send` notices.
        if !self.writes.is_empty() {
            store.apply(self.writes)?;
        }
        Ok(self.committed)
    }
}
