//! The relay of a world: the wire contract over a [`RelayStore`], and ways to break it.
//!
//! The real relay needs sockets, a clock and threads; its own tests hold it to the same contract.

use crate::relay_store::{RelayStore, no};
use keys::{QueueId, Timestamp};
use std::collections::BTreeMap;
use wire::{ClientFrame, Deliver, RefusalKind, RelayFrame, Reply, Request};

/// A connection, never used again.
pub(crate) type LineId = u64;

/// Bodies on their way to one subscription without an acknowledgement.
const WINDOW: u64 = 32;

/// Changes a reply before it leaves.
type Twist = Box<dyn FnMut(&Request, Reply) -> Reply>;
/// Whether a request gets no answer.
type Mute = Box<dyn Fn(&Request) -> bool>;
/// Changes what is pushed: repeats, swaps, drops, invents.
type Distort = Box<dyn FnMut(Deliver) -> Vec<Deliver>>;

/// A relay in memory that keeps the contract until it is told not to.
pub struct RelayModel {
    store: RelayStore,
    lines: BTreeMap<LineId, [u8; 32]>,
    subscriptions: BTreeMap<QueueId, Subscription>,
    capacity: usize,
    twist: Option<Twist>,
    mute: Option<Mute>,
    distort: Option<Distort>,
    heard: Vec<Request>,
    listens: bool,
}

struct Subscription {
    line: LineId,
    next: u64,
}

impl RelayModel {
    pub(crate) fn new(relay_id: [u8; 16]) -> Self {
        Self {
            store: RelayStore::new(relay_id),
            lines: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            capacity: 10_000,
            twist: None,
            mute: None,
            distort: None,
            heard: Vec::new(),
            listens: true,
        }
    }

    /// What it keeps.
    #[must_use]
    pub fn store(&self) -> &RelayStore {
        &self.store
    }

    /// What it keeps, to be changed.
    pub fn store_mut(&mut self) -> &mut RelayStore {
        &mut self.store
    }

    /// Every request it ever got, oldest first.
    #[must_use]
    pub fn heard(&self) -> &[Request] {
        &self.heard
    }

    /// Bodies that a queue takes.
    pub fn set_capacity(&mut self, bodies: usize) {
        self.capacity = bodies;
    }

    /// Lies: every reply passes through `twist`.
    pub fn twist(&mut self, twist: impl FnMut(&Request, Reply) -> Reply + 'static) {
        self.twist = Some(Box::new(twist));
    }

    /// Withholds: it never answers such requests, and does what they ask.
    pub fn mute(&mut self, mute: impl Fn(&Request) -> bool + 'static) {
        self.mute = Some(Box::new(mute));
    }

    /// Lies: everything pushed passes through `distort`.
    pub fn distort(&mut self, distort: impl FnMut(Deliver) -> Vec<Deliver> + 'static) {
        self.distort = Some(Box::new(distort));
    }

    /// Keeps the contract again.
    pub fn repent(&mut self) {
        self.twist = None;
        self.mute = None;
        self.distort = None;
    }

    pub(crate) fn stop_listening(&mut self) {
        self.listens = false;
        self.heard = Vec::new();
    }

    pub(crate) fn restore(&mut self, store: RelayStore) {
        self.store = store;
        self.lines.clear();
        self.subscriptions.clear();
    }

    pub(crate) fn open(&mut self, line: LineId, challenge: [u8; 32]) {
        self.lines.insert(line, challenge);
    }

    pub(crate) fn close(&mut self, line: LineId) {
        self.lines.remove(&line);
        self.subscriptions
            .retain(|_, subscription| subscription.line != line);
    }

    /// Takes a frame and returns what it sends to whom.
    pub(crate) fn frame(
        &mut self,
        line: LineId,
        frame: ClientFrame,
        now: Timestamp,
    ) -> Vec<(LineId, RelayFrame)> {
        let Some(challenge) = self.lines.get(&line).copied() else {
            return Vec::new();
        };
        let ClientFrame {
            request_id,
            request,
        } = frame;
        let reply = self.answer(line, &challenge, &request, now);
        let reply = match &mut self.twist {
            Some(twist) => twist(&request, reply),
            None => reply,
        };
        let mut out = Vec::new();
        if !self.mute.as_ref().is_some_and(|mute| mute(&request)) {
            out.push((line, RelayFrame { request_id, reply }));
        }
        if self.listens {
            self.heard.push(request);
        }
        self.push(&mut out);
        out
    }

    /// Asks over a connection of its own, as anybody can; nothing where these bytes are no request.
    pub fn ask(&mut self, request: Request, now: Timestamp) -> Option<Reply> {
        let frame = ClientFrame {
            request_id: 1,
            request,
        };
        let frame = ClientFrame::decode(frame.encode().into()).ok()?;
        Some(self.answer(LineId::MAX, &[0; 32], &frame.request, now))
    }

    fn answer(
        &mut self,
        line: LineId,
        challenge: &[u8; 32],
        request: &Request,
        now: Timestamp,
    ) -> Reply {
        let store = &mut self.store;
        store.version = store.version.saturating_add(1);
        match request {
            Request::Hello(_) => Reply::Welcome(wire::Welcome {
                relay_id: store.relay_id,
                store_version: store.version,
                challenge: *challenge,
                time: now,
                limits: wire::RelayLimits::default(),
                registration: wire::RegistrationPolicy::Open,
            }),
            Request::CreateQueue(request) => store.create_queue(request),
            Request::DeleteQueue(request) => store.delete_queue(request),
            Request::Subscribe(request) => self.subscribe(line, challenge, request),
            Request::Acknowledge(request) => {
                let mine = self
                    .subscriptions
                    .get(&request.queue_id)
                    .is_some_and(|found| found.line == line);
                if !mine {
                    return no(RefusalKind::Forbidden);
                }
                store.acknowledge(&request.queue_id, request.up_to_seq);
                Reply::Done
            }
            Request::Send(request) => Reply::SendResult(wire::SendResult {
                rows: store.send(request, self.capacity, now),
                store_version: store.version,
            }),
            Request::SendInEpoch(request) => store.send_in_epoch(request, self.capacity, now),
            Request::Register(request) => store.register(request, now),
            Request::FetchLog(request) => store.fetch_log(request),
            Request::CheckLog(request) => store.check_log(request),
            Request::AppendLog(request) => store.append_log(request, now),
            Request::AppendEntries(request) => store.append_entries(request, now),
            Request::PublishPreKeys(request) => store.publish(request),
            Request::PreKeyCount(request) => store.count(request),
            Request::FetchBundle(request) => {
                let bundle = store.take_bundle(request.account, request.device);
                bundle.map_or_else(|| no(RefusalKind::NotFound), Reply::Bundle)
            }
            Request::PublishKeyPackages(request) => store.publish_key_packages(request),
            Request::KeyPackageCount(request) => store.count_key_packages(request),
            Request::FetchKeyPackage(request) => {
                let package = store.take_key_package(request);
                package.map_or_else(|| no(RefusalKind::NotFound), Reply::KeyPackage)
            }
            Request::CreateTicket(request) => store.create_ticket(request),
            Request::RedeemTicket(request) => store.redeem(request, now),
            Request::PutHead(request) => store.put_head(request),
            Request::FetchHead(request) => store.fetch_head(request),
            Request::DeleteHead(request) => store.delete_head(request),
            Request::PutLock(request) => store.put_lock(request),
            Request::OpenLock(request) => store.open_lock(request, now),
            Request::CancelLock(request) => store.cancel_lock(request),
            Request::LockStatus(request) => store.lock_status(request),
            Request::DeleteLock(request) => store.delete_lock(request),
            _ => no(RefusalKind::Malformed),
        }
    }

    fn subscribe(
        &mut self,
        line: LineId,
        challenge: &[u8; 32],
        request: &wire::Subscribe,
    ) -> Reply {
        let Some(queue) = self.store.queues.get(&request.queue_id) else {
            return no(RefusalKind::NotFound);
        };
        let message = wire::subscribe_message(challenge, &request.queue_id);
        if keys::ed25519::verify(&queue.receive_key, &message, &request.signature).is_err() {
            return no(RefusalKind::Forbidden);
        }
        let next = queue.acknowledged.saturating_add(1);
        self.subscriptions
            .insert(request.queue_id, Subscription { line, next });
        Reply::Subscribed(wire::Subscribed {
            next_seq: queue.next_seq,
            last_acknowledged: queue.acknowledged,
            store_version: self.store.version,
        })
    }

    /// Pushes what subscribers have room for.
    fn push(&mut self, out: &mut Vec<(LineId, RelayFrame)>) {
        for (id, subscription) in &mut self.subscriptions {
            let Some(queue) = self.store.queues.get(id) else {
                continue;
            };
            let end = queue
                .next_seq
                .min(queue.acknowledged.saturating_add(WINDOW).saturating_add(1));
            while subscription.next < end {
                let deliver = queue.deliver(*id, subscription.next);
                subscription.next = subscription.next.saturating_add(1);
                let Some(deliver) = deliver else { continue };
                let delivers = match &mut self.distort {
                    Some(distort) => distort(deliver),
                    None => vec![deliver],
                };
                for deliver in delivers {
                    let frame = RelayFrame {
                        request_id: 0,
                        reply: Reply::Deliver(deliver),
                    };
                    out.push((subscription.line, frame));
                }
            }
        }
    }
}
