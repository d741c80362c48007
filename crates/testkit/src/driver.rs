//! What the client's driver does, step for step, in virtual time: store, then send; ask again; answer.

use crate::network::{Arrival, Lane};
use crate::person::{CrashPoint, Line};
use crate::relay_model::LineId;
use crate::world::World;
use engine::records::Way;
use engine::{Engine, EngineError, Event, Input, Outgoing};
use keys::{BlobId, QueueId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use wire::{ClientFrame, RelayFrame, Reply, Request};

/// Numbers of the driver's own requests begin here; the engine counts from 1.
const OWN_REQUESTS: u64 = 1 << 63;

impl World {
    /// Moves one second on and says whether anything happened.
    pub(crate) fn second(&mut self) -> bool {
        let end = self.now_ms.saturating_add(1000);
        let mut busy = self.dial();
        while let Some((at, line, arrival)) = self.network.next(end) {
            self.now_ms = self.now_ms.max(at);
            self.arrive(line, arrival);
            busy = true;
        }
        self.now_ms = end;
        let names: Vec<String> = self.people.keys().cloned().collect();
        for name in names {
            let _full_disk = self.feed(&name, Input::Tick);
            busy |= self.offer_again(&name);
        }
        busy
    }

    /// Hands an input to a person's engine, stores what it decides, then does it.
    pub(crate) fn feed(&mut self, name: &str, input: Input) -> Result<(), EngineError> {
        let now = self.now();
        let Some(person) = self.people.get_mut(name).filter(|person| person.running) else {
            return Ok(());
        };
        let now = Timestamp::from_secs(now.as_secs().saturating_sub(person.behind));
        let step = Engine.handle(&person.store, input, now, self.chance.rng())?;
        if person.dies_at(CrashPoint::BeforeStore) {
            self.kill(name);
            return Ok(());
        }
        let committed = step.commit(&mut person.store)?;
        if person.dies_at(CrashPoint::AfterStore) {
            self.kill(name);
            return Ok(());
        }
        for event in committed.events {
            match event {
                Event::Command { command, outcome } => {
                    person.outcomes.insert(command, outcome);
                }
                event => person.events.push(event),
            }
        }
        let dies = !committed.outgoing.is_empty() && person.dies_at(CrashPoint::AfterSend);
        for outgoing in committed.outgoing {
            self.outgoing(name, outgoing);
        }
        if dies {
            self.kill(name);
        }
        Ok(())
    }

    fn outgoing(&mut self, name: &str, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Request { id, relay, request } => {
                let line = self.person_mut(name).lines.get_mut(&relay);
                match line.filter(|line| line.challenge.is_some()) {
                    Some(line) => {
                        line.asked.insert(id, (*request).clone());
                        let line = line.id;
                        self.request(line, id, *request);
                    }
                    None => self.dial_later(name, &relay),
                }
            }
            Outgoing::Acknowledge { queue, up_to } => self.acknowledge(name, queue, up_to),
            Outgoing::Subscribe(subscription) => self.subscribe(name, subscription.queue),
            // Blobs go another way than letters; here they are stored at once.
            Outgoing::Upload(upload) => {
                let _full_disk = self.feed(name, Input::Uploaded { blob: upload.blob });
            }
            Outgoing::Part(blob) => self.part(name, blob),
            _ => {}
        }
    }

    /// Parts of archives go another way too; they are stored and fetched at once.
    fn part(&mut self, name: &str, blob: BlobId) {
        let Ok(Some(part)) = Engine.part(&self.person(name).store, &blob) else {
            return;
        };
        let input = match part.way {
            Way::Store { .. } if self.holds_parts => return,
            Way::Store { sealed, .. } if self.refused_parts.contains(&sealed.len()) => {
                Input::PartFailed { blob }
            }
            Way::Store { sealed, .. } => {
                self.tap(&sealed);
                self.parts.insert(blob, sealed);
                Input::PartStored { blob }
            }
            Way::Fetch { .. } => match self.parts.get(&blob) {
                Some(sealed) => Input::PartFetched {
                    blob,
                    sealed: sealed.clone(),
                },
                None => Input::PartFailed { blob },
            },
        };
        let _full_disk = self.feed(name, input);
    }

    fn request(&mut self, line: LineId, request_id: u64, request: Request) {
        let frame = ClientFrame {
            request_id,
            request,
        }
        .encode();
        self.tap(&frame);
        let arrival = Arrival::AtRelay(frame);
        self.network
            .send(line, Lane::Requests, arrival, self.now_ms, &mut self.chance);
    }

    fn own_number(&mut self) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        self.numbers | OWN_REQUESTS
    }

    fn own_line(&mut self, name: &str) -> Option<&mut Line> {
        let person = self.people.get_mut(name)?;
        person.lines.get_mut(&person.relay)
    }

    fn acknowledge(&mut self, name: &str, queue_id: QueueId, up_to_seq: u64) {
        let id = self.own_number();
        if let Some(line) = self.own_line(name).map(|line| line.id) {
            self.request(
                line,
                id,
                Request::Acknowledge(wire::Acknowledge {
                    queue_id,
                    up_to_seq,
                }),
            );
        }
    }

    fn subscribe(&mut self, name: &str, queue: QueueId) {
        let id = self.own_number();
        let Some(challenge) = self.own_line(name).and_then(|line| line.challenge) else {
            return;
        };
        let signed = Engine.subscription(&self.person(name).store, &queue, &challenge);
        if let (Ok(Some(request)), Some(line)) = (signed, self.own_line(name)) {
            line.subscribing.insert(id, queue);
            let line = line.id;
            self.request(line, id, request);
        }
    }

    /// Sends the requests whose time has come, and asks again for what could not be stored.
    fn offer_again(&mut self, name: &str) -> bool {
        let now = self.now_ms;
        let deaf = self.own_line(name).map(|line| {
            let asked = |queue: &&QueueId| !line.subscribing.values().any(|other| other == *queue);
            line.deaf.iter().filter(asked).copied().collect::<Vec<_>>()
        });
        for queue in deaf.into_iter().flatten() {
            self.subscribe(name, queue);
        }
        let mut due = Vec::new();
        for line in self.person_mut(name).lines.values_mut() {
            let (ready, later) = line.later.drain(..).partition(|(at, _)| *at <= now);
            line.later = later;
            let ready: Vec<(u64, u64)> = ready;
            let again = ready
                .into_iter()
                .filter_map(|(_, id)| Some((id, line.asked.get(&id)?.clone())));
            due.extend(again.map(|(id, request)| (line.id, id, request)));
        }
        let any = !due.is_empty();
        due.into_iter()
            .for_each(|(line, id, request)| self.request(line, id, request));
        any
    }

    /// Calls a relay in a while, unless a line stands or is wanted.
    pub(crate) fn dial_later(&mut self, name: &str, relay: &str) {
        let at = self
            .now_ms
            .saturating_add(self.network.delay(&mut self.chance));
        let person = self.person_mut(name);
        if !person.lines.contains_key(relay) {
            person.dial.entry(relay.to_owned()).or_insert(at);
        }
    }

    fn dial(&mut self) -> bool {
        let now = self.now_ms;
        let mut due = Vec::new();
        for (name, person) in self
            .people
            .iter_mut()
            .filter(|(_, person)| person.running && person.online)
        {
            let ready: Vec<String> = person
                .dial
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(to, _)| to.clone())
                .collect();
            for relay in ready {
                person.dial.remove(&relay);
                due.push((name.clone(), relay));
            }
        }
        let waits = self
            .people
            .values()
            .any(|person| person.running && person.online && !person.dial.is_empty());
        let any = waits || !due.is_empty();
        due.into_iter()
            .for_each(|(name, relay)| self.connect(name, relay));
        any
    }

    fn connect(&mut self, name: String, relay: String) {
        let Some(model) = self.relays.get_mut(&relay) else {
            return;
        };
        self.numbers = self.numbers.saturating_add(1);
        let (id, challenge) = (self.numbers, self.chance.bytes());
        model.open(id, challenge);
        let line = Line {
            id,
            challenge: None,
            asked: BTreeMap::new(),
            later: Vec::new(),
            subscribing: BTreeMap::new(),
            deaf: BTreeSet::new(),
        };
        self.person_mut(&name).lines.insert(relay.clone(), line);
        self.lines.insert(id, (name, relay));
        let hello = self.own_number();
        self.request(
            id,
            hello,
            Request::Hello(wire::Hello {
                version: wire::limits::VERSION,
            }),
        );
    }

    /// Both ends lose a line and everything on it.
    pub(crate) fn break_line(&mut self, line: LineId) {
        self.network.cut(line);
        let Some((name, relay)) = self.lines.remove(&line) else {
            return;
        };
        self.relay_at(&relay).close(line);
        let person = self.person_mut(&name);
        if person
            .lines
            .get(&relay)
            .is_some_and(|known| known.id == line)
        {
            person.lines.remove(&relay);
            if person.running {
                self.dial_later(&name, &relay);
            }
        }
    }

    /// Ends a program at once. What it sent still arrives.
    pub(crate) fn kill(&mut self, name: &str) {
        let person = self.person_mut(name);
        person.running = false;
        person.dial.clear();
        let lines: Vec<LineId> = std::mem::take(&mut person.lines)
            .into_values()
            .map(|line| line.id)
            .collect();
        for line in lines {
            self.network.send(
                line,
                Lane::Requests,
                Arrival::Closed,
                self.now_ms,
                &mut self.chance,
            );
        }
    }

    fn arrive(&mut self, line: LineId, arrival: Arrival) {
        let Some((name, relay)) = self.lines.get(&line).cloned() else {
            return;
        };
        match arrival {
            Arrival::AtRelay(bytes) => self.at_relay(line, &relay, bytes),
            Arrival::AtPerson(bytes) => {
                let known = self
                    .person(&name)
                    .lines
                    .get(&relay)
                    .is_some_and(|known| known.id == line);
                if let (true, Ok(frame)) = (known, RelayFrame::decode(bytes.into())) {
                    self.at_person(&name, &relay, frame);
                }
            }
            Arrival::Closed | Arrival::Broken => self.break_line(line),
        }
    }

    fn at_relay(&mut self, line: LineId, relay: &str, bytes: Vec<u8>) {
        let now = self.now();
        let Ok(frame) = ClientFrame::decode(bytes.into()) else {
            return;
        };
        for (line, frame) in self.relay_at(relay).frame(line, frame, now) {
            let lane = if matches!(frame.reply, Reply::SendResult(_)) {
                Lane::Answers
            } else {
                Lane::Pushes
            };
            let bytes = frame.encode();
            self.tap(&bytes);
            self.network.send(
                line,
                lane,
                Arrival::AtPerson(bytes),
                self.now_ms,
                &mut self.chance,
            );
        }
    }

    fn at_person(&mut self, name: &str, relay: &str, frame: RelayFrame) {
        let now = self.now_ms;
        let Some(line) = self.person_mut(name).lines.get_mut(relay) else {
            return;
        };
        match frame.reply {
            Reply::Deliver(deliver) if line.deaf.contains(&deliver.queue_id) => {}
            Reply::Deliver(deliver) => {
                let (queue, seq) = (deliver.queue_id, deliver.seq);
                let body = deliver.body.to_vec();
                match self.feed(name, Input::Delivered { queue, seq, body }) {
                    Ok(()) => {}
                    Err(EngineError::Store(_) | EngineError::Internal { .. }) => {
                        let line = self.own_line(name);
                        line.map(|line| line.deaf.insert(queue));
                    }
                    // It cannot be understood today or tomorrow, and must not stop what is behind it.
                    Err(_) => self.acknowledge(name, queue, seq),
                }
            }
            Reply::Welcome(welcome) => {
                if line.challenge.replace(welcome.challenge).is_none() {
                    let (relay, welcome) = (relay.to_owned(), Box::new(welcome));
                    let _no_account = self.feed(name, Input::Connected { relay, welcome });
                }
            }
            reply => {
                if let Some(queue) = line.subscribing.remove(&frame.request_id) {
                    let next_seq = match reply {
                        Reply::Subscribed(subscribed) => {
                            line.deaf.remove(&queue);
                            Some(subscribed.next_seq)
                        }
                        Reply::Refused(refused) if refused.kind == wire::RefusalKind::NotFound => {
                            None
                        }
                        _ => return,
                    };
                    let _full_disk = self.feed(name, Input::Subscribed { queue, next_seq });
                    return;
                }
                // A relay answers only what it was asked: the number names a request of this line.
                let Some(request) = line.asked.remove(&frame.request_id) else {
                    return;
                };
                if let Some(pause) = reply.try_again_after() {
                    line.asked.insert(frame.request_id, request);
                    line.later
                        .push((now.saturating_add(pause), frame.request_id));
                }
                let _full_disk = self.feed(
                    name,
                    Input::Reply {
                        id: frame.request_id,
                        reply: Box::new(reply),
                    },
                );
            }
        }
    }
}
