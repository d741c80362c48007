//! Requests about queues.

use crate::delivery::ConnectionId;
use crate::limits;
use crate::mailbox::Mailbox;
use crate::metrics::add;
use crate::os;
use crate::refusal;
use crate::state::{State, fetch};
use crate::store::{self, Created, InEpoch, Job, Sent, Tx};
use bytes::Bytes;
use keys::{QueueId, Timestamp};
use std::sync::Arc;
use wire::{RefusalKind, Reply, RowResult, SendResult, Subscribed};

/// Makes a queue.
pub(crate) async fn create(state: &State, request: wire::CreateQueue) -> Reply {
    match state.store.create_queue(request, os::now()).await {
        Ok(Created::Done) => Reply::Done,
        Ok(Created::Conflict) => refusal::of(RefusalKind::Conflict, "another queue has this id"),
        Ok(Created::Full) => refusal::quota("no more queues"),
        Err(_) => refusal::storage(),
    }
}

/// Subscribes a connection to a queue. What waits there follows.
pub(crate) async fn subscribe(
    state: &Arc<State>,
    connection: ConnectionId,
    challenge: &[u8; 32],
    request: &wire::Subscribe,
) -> Reply {
    let queue = request.queue_id;
    let record = match state.store.queue(queue).await {
        Ok(Some(record)) => record,
        Ok(None) => return refusal::of(RefusalKind::NotFound, "no such queue"),
        Err(_) => return refusal::storage(),
    };
    let message = wire::subscribe_message(challenge, &queue);
    // SECURITY: the receive key alone opens a queue; `a_queue_is_opened_by_its_key_alone` notices.
    if keys::ed25519::verify(&record.receive_key, &message, &request.signature).is_err() {
        return refusal::of(RefusalKind::Forbidden, "the signature does not hold");
    }
    if state.delivery.subscribe(connection, &queue).is_err() {
        return refusal::of(
            RefusalKind::Quota,
            "too many subscriptions on one connection",
        );
    }
    // Read again: what was stored before the subscription stood is in here, what comes after is announced.
    match state.store.queue(queue).await {
        Ok(Some(record)) => Reply::Subscribed(Subscribed {
            next_seq: record.next_seq,
            last_acknowledged: record.acknowledged,
            store_version: state.store.version(),
        }),
        other => {
            state.delivery.unsubscribe(&queue);
            if other.is_ok() {
                refusal::of(RefusalKind::NotFound, "no such queue")
            } else {
                refusal::storage()
            }
        }
    }
}

/// Lets the bodies of a subscription flow, after its reply was put in the mailbox.
pub(crate) fn begin(state: &Arc<State>, connection: ConnectionId, queue: &QueueId, reply: &Reply) {
    if let Reply::Subscribed(subscribed) = reply
        && state.delivery.begin(
            connection,
            queue,
            subscribed.last_acknowledged,
            subscribed.next_seq,
        )
    {
        fetch(state, connection);
    }
}

/// Deletes a queue.
pub(crate) async fn delete(state: &State, request: &wire::DeleteQueue) -> Reply {
    let queue = request.queue_id;
    let record = match state.store.queue(queue).await {
        Ok(Some(record)) => record,
        Ok(None) => return Reply::Done,
        Err(_) => return refusal::storage(),
    };
    let message = wire::delete_queue_message(&queue);
    if keys::ed25519::verify(&record.receive_key, &message, &request.signature).is_err() {
        return refusal::of(RefusalKind::Forbidden, "the signature does not hold");
    }
    match state.store.delete_queue(queue).await {
        Ok(()) => {
            state.delivery.unsubscribe(&queue);
            Reply::Done
        }
        Err(_) => refusal::storage(),
    }
}

/// A send on its way through the store, to its answer and to the subscribers.
pub(crate) struct SendJob {
    pub(crate) state: Arc<State>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) request_id: u64,
    pub(crate) request: wire::Send,
    /// Where it counts in one epoch of a group only.
    pub(crate) epoch: Option<InEpoch>,
    pub(crate) now: Timestamp,
    pub(crate) sent: Option<Sent>,
}

impl Job for SendJob {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.sent = Some(store::send(
            tx,
            &self.request,
            self.epoch.as_ref(),
            self.now,
        )?);
        Ok(())
    }

    fn finish(mut self: Box<Self>, committed: Option<u64>) {
        let reply = match (committed, self.sent.take()) {
            (Some(store_version), Some(Sent::Rows(rows))) => {
                self.deliver(&rows);
                Reply::SendResult(SendResult {
                    rows,
                    store_version,
                })
            }
            (Some(_), Some(Sent::Wait(wait_ms))) => {
                let message = "too many letters for one queue";
                refusal::for_now(RefusalKind::RateLimited, message, wait_ms)
            }
            (Some(_), Some(Sent::EpochPassed(epoch))) => {
                add(&self.state.metrics.epochs_passed, 1);
                Reply::EpochPassed { epoch }
            }
            (Some(_), Some(Sent::BadEpochToken)) => {
                refusal::of(RefusalKind::Forbidden, "not the epoch's token")
            }
            (Some(_), Some(Sent::NoMoreGroups)) => refusal::quota("no more groups"),
            (None, _) | (_, None) => refusal::storage(),
        };
        let weight = self.weight();
        self.mailbox.answer(self.request_id, reply, weight);
    }

    fn weight(&self) -> usize {
        send_weight(&self.request)
    }
}

/// The memory of a send while it waits for the store, in bytes.
pub(crate) fn send_weight(request: &wire::Send) -> usize {
    let rows = request.rows.len().saturating_mul(limits::ROW_BYTES);
    request.body.len().saturating_add(rows)
}

impl SendJob {
    /// Hands the body to the subscribers of the queues that took it.
    fn deliver(&self, rows: &[RowResult]) {
        // The body is a piece of its frame. A copy does not keep the rows in memory as long as it is on its way.
        let body = match rows {
            [_] => self.request.body.clone().into_bytes(),
            _ => Bytes::copy_from_slice(&self.request.body),
        };
        let hour = self.now.to_hour();
        for (row, result) in self.request.rows.iter().zip(rows) {
            if let RowResult::Accepted { seq } = result {
                self.state.metrics.accepted(body.len());
                if let Some(behind) = self.state.delivery.stored(&row.queue_id, *seq, &body, hour) {
                    fetch(&self.state, behind);
                }
            }
        }
    }
}

/// An acknowledgement on its way through the store.
pub(crate) struct AcknowledgeJob {
    pub(crate) state: Arc<State>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) request_id: u64,
    pub(crate) request: wire::Acknowledge,
}

impl Job for AcknowledgeJob {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        store::acknowledge(tx, &self.request.queue_id, self.request.up_to_seq)
    }

    fn finish(self: Box<Self>, committed: Option<u64>) {
        let reply = if committed.is_some() {
            self.state.metrics.acknowledged();
            Reply::Done
        } else {
            refusal::storage()
        };
        self.mailbox.answer(self.request_id, reply, 0);
    }
}
