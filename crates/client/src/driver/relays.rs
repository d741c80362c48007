//! The relays the driver talks to: what is on its way, what comes later, how far each queue is heard.

use super::calls::Kind;
use super::settle::Settling;
use super::{Loop, Message};
use crate::failure::{failure, unreachable};
use crate::limits;
use crate::net::{self, NetEvent, NetProblem, Wish};
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind, Notice};
use bytes::Bytes;
use engine::{EngineError, Input};
use keys::QueueId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Numbers of the driver's own requests begin here; the engine counts from 1.
const OWN_REQUESTS: u64 = 1 << 63;

/// All relays with a connection, or with the wish for one.
pub(super) struct Relays {
    inbox: mpsc::WeakSender<Message>,
    open: BTreeMap<String, Relay>,
    next: u64,
}

struct Relay {
    wishes: mpsc::UnboundedSender<Wish>,
    connection: JoinHandle<()>,
    up: Option<Up>,
    problem: Option<NetProblem>,
}

/// What is known of a connection that stands.
struct Up {
    since: Instant,
    challenge: [u8; 32],
    /// The engine's requests without a final answer.
    asked: BTreeMap<u64, Bytes>,
    /// Requests that the relay wants to see later, and when.
    later: Vec<(Instant, u64)>,
    /// Subscriptions without answer.
    subscribing: BTreeMap<u64, QueueId>,
    /// Queues that hold bodies which did not come yet, up to which number.
    behind: BTreeMap<QueueId, u64>,
    /// Queues with a body that could not be stored. What comes behind it is not taken: its acknowledgement would
    /// cover the one that was lost.
    deaf: BTreeSet<QueueId>,
    /// Whether the last answer was that nothing more can be stored.
    full: bool,
}

impl Relays {
    pub(super) fn new(inbox: mpsc::WeakSender<Message>) -> Self {
        Self {
            inbox,
            open: BTreeMap::new(),
            next: OWN_REQUESTS,
        }
    }

    /// Begins to connect, or ends the pause between two attempts.
    pub(super) fn connect(&mut self, relay: &str) {
        if let Some(known) = self.open.get(relay) {
            if known.up.is_none() {
                let _ = known.wishes.send(Wish::Hurry);
            }
            return;
        }
        let Ok(url) = RelayUrl::parse(relay) else {
            return;
        };
        let (wishes, wished) = mpsc::unbounded_channel();
        let (events, mut heard) = mpsc::channel(limits::ANSWERS);
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                let Some(inbox) = inbox.upgrade() else { return };
                if inbox.send(Message::Net(event)).await.is_err() {
                    return;
                }
            }
        });
        let connection = tokio::spawn(net::run(url, wished, events));
        self.open.insert(
            relay.to_owned(),
            Relay {
                wishes,
                connection,
                up: None,
                problem: None,
            },
        );
    }

    /// Whether a connection stands.
    pub(super) fn is_up(&self, relay: &str) -> bool {
        self.open.get(relay).is_some_and(|relay| relay.up.is_some())
    }

    /// Sends a request of the engine, or sees to a connection, on which the engine offers it again.
    pub(super) fn request(&mut self, id: u64, relay: &str, request: wire::Request) {
        match self
            .open
            .get_mut(relay)
            .and_then(|relay| relay.up.as_mut().map(|up| (&relay.wishes, up)))
        {
            Some((wishes, up)) => {
                let frame = encode(id, request);
                up.asked.insert(id, frame.clone());
                let _ = wishes.send(Wish::Request { id, frame });
            }
            None => self.connect(relay),
        }
    }

    /// Sends a request of the driver's own; nothing where there is no connection.
    fn own_request(&mut self, relay: &str, request: wire::Request) -> Option<(u64, &mut Up)> {
        let relay = self.open.get_mut(relay)?;
        let up = relay.up.as_mut()?;
        self.next = self.next.wrapping_add(1) | OWN_REQUESTS;
        let frame = encode(self.next, request);
        let _ = relay.wishes.send(Wish::Request {
            id: self.next,
            frame,
        });
        Some((self.next, up))
    }

    /// Sends the requests whose time has come.
    pub(super) fn offer_again(&mut self) {
        let now = os::instant();
        for relay in self.open.values_mut() {
            let Some(up) = &mut relay.up else { continue };
            let (due, later): (Vec<_>, Vec<_>) = up.later.drain(..).partition(|(at, _)| *at <= now);
            up.later = later;
            for (_, id) in due {
                if let Some(frame) = up.asked.get(&id) {
                    let _ = relay.wishes.send(Wish::Request {
                        id,
                        frame: frame.clone(),
                    });
                }
            }
        }
    }

    /// Whether every request of a relay has its answer.
    pub(super) fn answered(&self, relay: &str) -> bool {
        self.open
            .get(relay)
            .and_then(|relay| relay.up.as_ref())
            .is_some_and(Up::is_idle)
    }

    /// Whether nothing is on its way that may still be answered.
    pub(super) fn idle(&self) -> bool {
        self.open
            .values()
            .filter_map(|relay| relay.up.as_ref())
            .all(Up::is_idle)
    }

    /// Whether everything that lay in our queues when the connection began is here.
    pub(super) fn caught_up(&self, relay: &str) -> bool {
        let up = self.open.get(relay).and_then(|relay| relay.up.as_ref());
        up.is_some_and(|up| up.subscribing.is_empty() && up.behind.is_empty())
    }

    /// Since when a connection stands; nothing where there is none.
    pub(super) fn up_since(&self, relay: &str) -> Option<Instant> {
        Some(self.open.get(relay)?.up.as_ref()?.since)
    }

    /// Why there is no connection, in the words of people.
    pub(super) fn failure(&self, relay: &str) -> Option<Failure> {
        let problem = self.open.get(relay)?.problem.as_ref()?;
        Some(match problem {
            NetProblem::WrongKey => {
                let hint =
                    "somebody may stand in between, or the relay has a new key: ask its operator";
                failure(FailureKind::Refused, problem.to_string(), Some(hint))
            }
            problem => unreachable(&problem.to_string()),
        })
    }

    /// Whether a relay answers that nothing more can be stored.
    pub(super) fn is_full(&self, relay: &str) -> bool {
        let up = self.open.get(relay).and_then(|relay| relay.up.as_ref());
        up.is_some_and(|up| up.full)
    }

    /// Ends all connections; the handles end once the last frames are out.
    pub(super) fn close(&mut self) -> Vec<JoinHandle<()>> {
        let end = |relay: Relay| {
            if relay.up.is_none() {
                relay.connection.abort();
            }
            relay.connection
        };
        std::mem::take(&mut self.open)
            .into_values()
            .map(end)
            .collect()
    }
}

fn encode(request_id: u64, request: wire::Request) -> Bytes {
    wire::ClientFrame {
        request_id,
        request,
    }
    .encode()
    .into()
}

impl Up {
    fn is_idle(&self) -> bool {
        self.asked.len() == self.later.len() && self.subscribing.is_empty()
    }
}

impl Loop {
    /// Handles news of a relay.
    pub(super) fn net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Up { relay, welcome } => self.up(relay, welcome),
            NetEvent::Reply { relay, id, reply } if id >= OWN_REQUESTS => {
                self.own_reply(&relay, id, *reply)
            }
            NetEvent::Reply { relay, id, reply } => self.reply(&relay, id, reply),
            NetEvent::Deliver {
                relay,
                queue,
                seq,
                body,
            } => self.deliver(&relay, queue, seq, body),
            NetEvent::Down { relay, problem } => self.down(&relay, problem),
        }
    }

    fn up(&mut self, relay: String, welcome: Box<wire::Welcome>) {
        self.announce(&relay);
        self.knock(&relay);
        self.ask_at(&relay);
        self.restore_at(&relay);
        let Some(known) = self.relays.open.get_mut(&relay) else {
            return;
        };
        known.problem = None;
        known.up = Some(Up {
            since: os::instant(),
            challenge: welcome.challenge,
            asked: BTreeMap::new(),
            later: Vec::new(),
            subscribing: BTreeMap::new(),
            behind: BTreeMap::new(),
            deaf: BTreeSet::new(),
            full: false,
        });
        if self.own_relay.is_some() {
            self.sas_reaches(&relay);
            self.take(Input::Connected { relay, welcome });
        }
    }

    fn reply(&mut self, relay: &str, id: u64, reply: Box<wire::Reply>) {
        let Some(up) = self.up_of(relay) else {
            return;
        };
        // A relay answers only what it was asked: the number names a request of this connection.
        let Some(frame) = up.asked.remove(&id) else {
            return;
        };
        let waits = reply.try_again_after();
        up.full = matches!(&*reply, wire::Reply::Refused(refused) if limits::want_of_room(refused.kind) > 0);
        if let Some(pause) = waits {
            let pause = Duration::from_millis(pause).clamp(limits::TICK, limits::RETRY_AFTER);
            up.asked.insert(id, frame);
            up.later.push((
                os::instant().checked_add(pause).unwrap_or_else(os::instant),
                id,
            ));
        }
        if let (Some(pause), wire::Reply::Refused(refused)) = (waits, &*reply) {
            self.asked_to_wait(&refused.message, pause);
        }
        self.take(Input::Reply { id, reply });
    }

    fn own_reply(&mut self, relay: &str, id: u64, reply: wire::Reply) {
        let Some(up) = self.up_of(relay) else {
            return;
        };
        let Some(queue) = up.subscribing.remove(&id) else {
            return;
        };
        let next_seq = match reply {
            wire::Reply::Subscribed(subscribed) => {
                up.deaf.remove(&queue);
                let newest = subscribed.next_seq.saturating_sub(1);
                if newest > subscribed.last_acknowledged {
                    up.behind.insert(queue, newest);
                }
                Some(subscribed.next_seq)
            }
            wire::Reply::Refused(refused) if refused.kind == wire::RefusalKind::NotFound => None,
            // Asked again on the next connection.
            _ => return,
        };
        self.take(Input::Subscribed { queue, next_seq });
    }

    fn deliver(&mut self, relay: &str, queue: QueueId, seq: u64, body: Bytes) {
        // Our queues are at our relay; what another one pushes is none of ours.
        if self.own_relay.as_deref() != Some(relay) {
            return;
        }
        if self.up_of(relay).is_some_and(|up| up.deaf.contains(&queue)) {
            return;
        }
        let handled = match self.feed(Input::Delivered {
            queue,
            seq,
            body: body.into(),
        }) {
            Ok(()) => true,
            Err(error @ (EngineError::Store(_) | EngineError::Internal { .. })) => {
                // Not stored, so not acknowledged: it comes again with the next subscription.
                self.end_all(&error);
                self.up_of(relay).map(|up| up.deaf.insert(queue));
                false
            }
            // It cannot be understood today or tomorrow, and must not stop what is behind it.
            Err(_) => {
                self.acknowledge(queue, seq);
                true
            }
        };
        if let (true, Some(up)) = (handled, self.up_of(relay))
            && up.behind.get(&queue).is_some_and(|newest| *newest <= seq)
        {
            up.behind.remove(&queue);
        }
    }

    fn up_of(&mut self, relay: &str) -> Option<&mut Up> {
        self.relays.open.get_mut(relay)?.up.as_mut()
    }

    /// Asks again for what could not be stored.
    pub(super) fn listen_again(&mut self) {
        let Some(relay) = self.own_relay.clone() else {
            return;
        };
        let Some(up) = self.up_of(&relay) else { return };
        let asked = |queue: &&QueueId| !up.subscribing.values().any(|other| other == *queue);
        let deaf: Vec<QueueId> = up.deaf.iter().filter(asked).copied().collect();
        for queue in deaf {
            self.subscribe(queue);
        }
    }

    fn down(&mut self, relay: &str, problem: NetProblem) {
        let Some(known) = self.relays.open.get_mut(relay) else {
            return;
        };
        let news = known.up.take().is_some() || known.problem.as_ref() != Some(&problem);
        known.problem = Some(problem.clone());
        if news {
            let authority = crate::relay_url::authority_of(relay);
            let message = format!("{authority}: {problem}; trying again");
            self.calls.tell_all(&Notice {
                notice: "relay_unreachable".to_owned(),
                message,
            });
        }
        // Commands that need an answer now do not wait for better weather.
        let own = self.own_relay.as_deref() == Some(relay);
        let waits = |kind: &Kind| match kind {
            Kind::End | Kind::Command | Kind::Announce(_) | Kind::Knock(_) => true,
            Kind::Settle(Settling::Told(_) | Settling::Failed(_)) => true,
            Kind::Link(linking) => linking.needs_relay(),
            Kind::Sas(comparing) => comparing.needs_relay(),
            Kind::Restore(restoring) => !restoring.waits(),
            Kind::Sheet(_) | Kind::Ask(_) => true,
            Kind::Settle(Settling::Cancel | Settling::Guardians) => true,
            Kind::Receive(receiving) => !receiving.follow && receiving.patience.is_none(),
            Kind::Settle(_) | Kind::Send(_) | Kind::Watch(_) => false,
        };
        let stuck: Vec<u64> = self
            .calls
            .open
            .iter()
            .filter(|(_, pending)| waits(&pending.kind))
            .filter(|(_, pending)| {
                pending
                    .relay
                    .as_deref()
                    .map_or(own, |needed| needed == relay)
            })
            .map(|(call, _)| *call)
            .collect();
        for call in stuck {
            match self.relays.failure(relay) {
                Some(failure) if failure.kind == FailureKind::Refused => {
                    self.sas_too_late(call);
                    self.fail(call, failure);
                }
                // Whoever asked after the first attempt had failed hears of the next one.
                _ => self.wait_at_most(call, limits::LAST_ATTEMPTS),
            }
        }
    }

    /// Tells our relay what is stored.
    pub(super) fn acknowledge(&mut self, queue: QueueId, up_to_seq: u64) {
        let Some(relay) = &self.own_relay else { return };
        let request = wire::Request::Acknowledge(wire::Acknowledge {
            queue_id: queue,
            up_to_seq,
        });
        let _ = self.relays.own_request(relay, request);
    }

    /// Asks our relay for a queue's bodies.
    pub(super) fn subscribe(&mut self, queue: QueueId) {
        let Some(relay) = &self.own_relay else { return };
        let up = self
            .relays
            .open
            .get(relay)
            .and_then(|relay| relay.up.as_ref());
        let Some(challenge) = up.map(|up| up.challenge) else {
            return;
        };
        let Ok(Some(request)) = self.engine.subscription(&self.store, &queue, &challenge) else {
            return;
        };
        if let Some((id, up)) = self.relays.own_request(relay, request) {
            up.subscribing.insert(id, queue);
        }
    }
}
