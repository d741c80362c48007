//! Bodies on their way to subscribers.
//!
//! A body that was just stored goes to its subscriber from memory. Where the subscriber is behind (its window is
//! full, or bodies waited before it came), the reader fetches from the store what comes next.
//!
//! ```text
//!             next == latest + 1                     next <= latest
//!   subscribed ───► up to date ──window full──► behind ──fetched, window open──► up to date
//! ```
//!
//! | state | a body is stored | an acknowledgement comes |
//! |---|---|---|
//! | up to date, window open | push it | open the window |
//! | up to date, but the connection fetches for another queue | become behind | open the window |
//! | up to date, window full | become behind | open the window |
//! | behind | remember its number | open the window, fetch |
//!
//! A connection holds at most [`WINDOW`](crate::limits::WINDOW) unacknowledged bodies, so its mailbox is bounded.

use crate::limits::{self, WINDOW};
use crate::mailbox::Mailbox;
use crate::store::Letter;
use bytes::Bytes;
use keys::{QueueId, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::{Body, Deliver, RelayFrame, Reply};

/// A connection's number, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Who waits for which queue.
#[derive(Default)]
pub(crate) struct Delivery(Mutex<State>);

#[derive(Default)]
struct State {
    queues: HashMap<QueueId, Subscription>,
    connections: HashMap<ConnectionId, Connection>,
    delivered: u64,
}

struct Subscription {
    connection: ConnectionId,
    /// The next number to push; nothing is known before the queue was read.
    next: Option<u64>,
    /// The largest number stored, as far as seen here.
    latest: u64,
    acknowledged: u64,
    listed: bool,
}

struct Connection {
    mailbox: Arc<Mailbox>,
    queues: Vec<QueueId>,
    unacknowledged: u32,
    /// Queues that are behind.
    behind: VecDeque<QueueId>,
    fetching: bool,
}

/// What to read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The queue.
    pub(crate) queue: QueueId,
    /// The first number.
    pub(crate) from: u64,
    /// The last number that is stored.
    pub(crate) to: u64,
    /// How many at most.
    pub(crate) count: u32,
}

/// The connection has not subscribed to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSubscribed;

/// The connection has as many subscriptions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Delivery {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins.
    pub(crate) fn open(&self, id: ConnectionId, mailbox: &Arc<Mailbox>) {
        let connection = Connection {
            mailbox: Arc::clone(mailbox),
            queues: Vec::new(),
            unacknowledged: 0,
            behind: VecDeque::new(),
            fetching: false,
        };
        self.state().connections.insert(id, connection);
    }

    /// A connection ended.
    pub(crate) fn close(&self, id: ConnectionId) {
        let mut state = self.state();
        let Some(connection) = state.connections.remove(&id) else {
            return;
        };
        for queue in &connection.queues {
            if state
                .queues
                .get(queue)
                .is_some_and(|subscription| subscription.connection == id)
            {
                state.queues.remove(queue);
            }
        }
    }

    /// Notes a subscription, before its queue is read, so that nothing stored from now on is missed. An older
    /// subscription to the queue ends.
    pub(crate) fn subscribe(&self, id: ConnectionId, queue: &QueueId) -> Result<(), TooMany> {
        let mut state = self.state();
        state.leave(queue);
        let Some(connection) = state.connections.get_mut(&id) else {
            return Ok(());
        };
        if connection.queues.len() >= limits::SUBSCRIPTIONS {
            return Err(TooMany);
        }
        connection.queues.push(*queue);
        let subscription = Subscription {
            connection: id,
            next: None,
            latest: 0,
            acknowledged: 0,
            listed: false,
        };
        state.queues.insert(*queue, subscription);
        Ok(())
    }

    /// Ends a subscription that came to nothing, or whose queue is deleted.
    pub(crate) fn unsubscribe(&self, queue: &QueueId) {
        self.state().leave(queue);
    }

    /// The queue was read: pushing may begin. Returns whether the connection should fetch.
    pub(crate) fn begin(
        &self,
        id: ConnectionId,
        queue: &QueueId,
        acknowledged: u64,
        next_seq: u64,
    ) -> bool {
        let mut state = self.state();
        let Some(subscription) = state
            .queues
            .get_mut(queue)
            .filter(|found| found.connection == id)
        else {
            return false;
        };
        subscription.acknowledged = acknowledged;
        subscription.next = Some(acknowledged.saturating_add(1));
        subscription.latest = subscription.latest.max(next_seq.saturating_sub(1));
        state.look_at(queue)
    }

    /// A body is stored. Returns the connection that should fetch, if one should.
    pub(crate) fn stored(
        &self,
        queue: &QueueId,
        seq: u64,
        body: &Bytes,
        hour: Timestamp,
    ) -> Option<ConnectionId> {
        let mut state = self.state();
        let subscription = state.queues.get_mut(queue)?;
        subscription.latest = subscription.latest.max(seq);
        let id = subscription.connection;
        let ready = subscription.next == Some(seq);
        let room = state
            .connections
            .get(&id)
            .is_some_and(|connection| !connection.fetching && connection.unacknowledged < WINDOW);
        if ready && room {
            state.push(queue, seq, body.clone(), hour);
            None
        } else {
            state.look_at(queue).then_some(id)
        }
    }

    /// Everything up to a number is stored at the client. Returns whether the connection should fetch.
    pub(crate) fn acknowledged(
        &self,
        id: ConnectionId,
        queue: &QueueId,
        up_to: u64,
    ) -> Result<bool, NotSubscribed> {
        let mut state = self.state();
        let subscription = state
            .queues
            .get_mut(queue)
            .filter(|found| found.connection == id)
            .ok_or(NotSubscribed)?;
        let up_to = up_to.min(subscription.next.unwrap_or(1).saturating_sub(1));
        let freed = up_to.saturating_sub(subscription.acknowledged);
        subscription.acknowledged = subscription.acknowledged.max(up_to);
        let connection = state.connections.get_mut(&id).ok_or(NotSubscribed)?;
        connection.unacknowledged = connection
            .unacknowledged
            .saturating_sub(u32::try_from(freed).unwrap_or(u32::MAX));
        Ok(connection.wants_to_fetch())
    }

    /// What a connection should fetch next; `None` ends its fetching.
    pub(crate) fn wanted(&self, id: ConnectionId) -> Option<Wanted> {
        let mut state = self.state();
        let State {
            queues,
            connections,
            ..
        } = &mut *state;
        let connection = connections.get_mut(&id)?;
        let room = WINDOW.saturating_sub(connection.unacknowledged);
        let mut next = || (room > 0).then(|| connection.behind.pop_front()).flatten();
        while let Some(queue) = next() {
            let Some(subscription) = queues
                .get_mut(&queue)
                .filter(|found| found.connection == id)
            else {
                continue;
            };
            subscription.listed = false;
            if let Some(from) = subscription
                .next
                .filter(|next| *next <= subscription.latest)
            {
                return Some(Wanted {
                    queue,
                    from,
                    to: subscription.latest,
                    count: room.min(limits::READ_LETTERS),
                });
            }
        }
        connection.fetching = false;
        None
    }

    /// What was wanted is here.
    pub(crate) fn fetched(&self, id: ConnectionId, wanted: Wanted, letters: Vec<Letter>) {
        let mut state = self.state();
        // A subscription that began anew meanwhile starts from its own number.
        let Some(subscription) = state
            .queues
            .get_mut(&wanted.queue)
            .filter(|found| found.connection == id && found.next == Some(wanted.from))
        else {
            return;
        };
        if letters.is_empty() {
            // They were deleted meanwhile. What was stored since then is not among them.
            subscription.next = Some(wanted.to.saturating_add(1));
        }
        for letter in letters {
            state.push(&wanted.queue, letter.seq, letter.body, letter.hour);
        }
        state.look_at(&wanted.queue);
    }

    /// The store could not be read: the connection ends, and its client begins anew.
    pub(crate) fn fetch_failed(&self, id: ConnectionId) {
        if let Some(connection) = self.state().connections.get(&id) {
            connection.mailbox.fail();
        }
    }

    /// Numbers for the operator: connections, subscriptions, bodies pushed.
    pub(crate) fn numbers(&self) -> (usize, usize, u64) {
        let state = self.state();
        (state.connections.len(), state.queues.len(), state.delivered)
    }
}

impl State {
    fn leave(&mut self, queue: &QueueId) {
        let Some(old) = self.queues.remove(queue) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&old.connection) {
            connection.queues.retain(|other| other != queue);
            let pushed = old
                .next
                .unwrap_or(1)
                .saturating_sub(1)
                .saturating_sub(old.acknowledged);
            connection.unacknowledged = connection
                .unacknowledged
                .saturating_sub(u32::try_from(pushed).unwrap_or(u32::MAX));
        }
    }

    /// Lists a queue that is behind; returns whether its connection should begin to fetch.
    fn look_at(&mut self, queue: &QueueId) -> bool {
        let Some(subscription) = self.queues.get_mut(queue) else {
            return false;
        };
        let behind = subscription
            .next
            .is_some_and(|next| next <= subscription.latest);
        let Some(connection) = self.connections.get_mut(&subscription.connection) else {
            return false;
        };
        if behind && !subscription.listed {
            subscription.listed = true;
            connection.behind.push_back(*queue);
        }
        connection.wants_to_fetch()
    }

    fn push(&mut self, queue: &QueueId, seq: u64, body: Bytes, hour: Timestamp) {
        let Some(subscription) = self.queues.get_mut(queue) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&subscription.connection) else {
            return;
        };
        // A body in the store is of a bucket: it came through the same check.
        let Ok(body) = Body::new(body) else { return };
        // Numbers that expired count as acknowledged, so that the window opens by what was really pushed.
        let skipped = seq.saturating_sub(subscription.next.unwrap_or(seq));
        subscription.acknowledged = subscription
            .acknowledged
            .saturating_add(skipped)
            .min(seq.saturating_sub(1));
        subscription.next = Some(seq.saturating_add(1));
        connection.unacknowledged = connection.unacknowledged.saturating_add(1);
        self.delivered = self.delivered.saturating_add(1);
        let deliver = Deliver {
            queue_id: *queue,
            seq,
            body,
            hour,
        };
        connection.mailbox.push(RelayFrame {
            request_id: 0,
            reply: Reply::Deliver(deliver),
        });
    }
}

impl Connection {
    fn wants_to_fetch(&mut self) -> bool {
        let begin = !self.fetching && !self.behind.is_empty() && self.unacknowledged < WINDOW;
        self.fetching |= begin;
        begin
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    const ID: ConnectionId = ConnectionId(1);
    const HOUR: Timestamp = Timestamp::from_secs(3600);

    fn queue(number: u8) -> QueueId {
        QueueId::from_bytes([number; 16])
    }

    fn body() -> Bytes {
        vec![0; 1024].into()
    }

    fn letters(range: std::ops::RangeInclusive<u64>) -> Vec<Letter> {
        let letter = |seq| Letter {
            seq,
            body: body(),
            hour: HOUR,
        };
        range.map(letter).collect()
    }

    fn connected() -> (Delivery, Arc<Mailbox>) {
        let (delivery, mailbox) = (Delivery::default(), Arc::new(Mailbox::default()));
        delivery.open(ID, &mailbox);
        (delivery, mailbox)
    }

    /// Subscribes to a queue in which the numbers after `acknowledged` wait, before `next`.
    fn subscribe(delivery: &Delivery, number: u8, acknowledged: u64, next: u64) -> bool {
        delivery.subscribe(ID, &queue(number)).unwrap();
        delivery.begin(ID, &queue(number), acknowledged, next)
    }

    fn pushed(mailbox: &Mailbox) -> Vec<u64> {
        let seq = |frame: RelayFrame| match frame.reply {
            Reply::Deliver(deliver) => Some(deliver.seq),
            _ => None,
        };
        mailbox.take().into_iter().filter_map(seq).collect()
    }

    #[test]
    fn a_stored_body_is_pushed_at_once_and_in_order() {
        let (delivery, mailbox) = connected();
        assert!(!subscribe(&delivery, 1, 4, 5));
        assert_eq!(delivery.stored(&queue(1), 5, &body(), HOUR), None);
        assert_eq!(delivery.stored(&queue(1), 6, &body(), HOUR), None);
        assert_eq!(delivery.stored(&queue(2), 1, &body(), HOUR), None);
        assert_eq!(pushed(&mailbox), [5, 6]);
    }

    #[test]
    fn what_is_stored_while_a_read_finds_nothing_is_not_skipped() {
        let (delivery, mailbox) = connected();
        assert!(subscribe(&delivery, 1, 0, 4));
        let wanted = delivery.wanted(ID).unwrap();
        assert_eq!((wanted.from, wanted.to), (1, 3));
        // One to three expired, and four came after the read.
        assert_eq!(delivery.stored(&queue(1), 4, &body(), HOUR), None);
        delivery.fetched(ID, wanted, Vec::new());
        let wanted = delivery.wanted(ID).unwrap();
        assert_eq!((wanted.from, wanted.to), (4, 4));
        delivery.fetched(ID, wanted, letters(4..=4));
        assert_eq!(pushed(&mailbox), [4]);
        assert_eq!(delivery.wanted(ID), None);
    }

    #[test]
    fn a_read_for_an_older_subscription_is_dropped() {
        let (delivery, mailbox) = connected();
        assert!(subscribe(&delivery, 1, 0, 9));
        delivery.wanted(ID).unwrap();
        let late = Wanted {
            queue: queue(1),
            from: 5,
            to: 8,
            count: 4,
        };
        assert!(!subscribe(&delivery, 1, 0, 9), "it still fetches");
        delivery.fetched(ID, late, letters(5..=8));
        assert_eq!(pushed(&mailbox), [0; 0]);
        let wanted = delivery.wanted(ID).unwrap();
        delivery.fetched(ID, wanted, letters(1..=8));
        assert_eq!(pushed(&mailbox), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_window_holds_for_all_queues_together_also_during_a_read() {
        let (delivery, mailbox) = connected();
        assert!(subscribe(&delivery, 1, 0, 101));
        assert!(!subscribe(&delivery, 2, 0, 1));
        let wanted = delivery.wanted(ID).unwrap();
        assert_eq!(wanted.count, WINDOW);
        for seq in 1..=10 {
            assert_eq!(delivery.stored(&queue(2), seq, &body(), HOUR), None);
        }
        delivery.fetched(ID, wanted, letters(1..=u64::from(WINDOW)));
        assert_eq!(pushed(&mailbox).len(), 32);
        assert_eq!(delivery.wanted(ID), None, "the window is full");
        assert_eq!(delivery.acknowledged(ID, &queue(1), 2), Ok(true));
        assert_eq!(delivery.wanted(ID).unwrap().count, 2);
    }

    #[test]
    fn numbers_beyond_what_was_pushed_open_no_window() {
        let (delivery, mailbox) = connected();
        subscribe(&delivery, 1, 0, 1);
        for seq in 1..=u64::from(WINDOW) {
            delivery.stored(&queue(1), seq, &body(), HOUR);
        }
        assert_eq!(delivery.stored(&queue(1), 33, &body(), HOUR), None);
        assert_eq!(pushed(&mailbox).len(), 32);
        assert_eq!(delivery.acknowledged(ID, &queue(1), u64::MAX), Ok(true));
        assert_eq!(delivery.acknowledged(ID, &queue(1), u64::MAX), Ok(false));
        assert_eq!(delivery.wanted(ID).unwrap().count, WINDOW);
    }
}
