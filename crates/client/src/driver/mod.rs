//! The loop around the engine: requests, frames and time go in; what the engine decides is stored first, then
//! sent and shown (I8).
//!
//! ```text
//!   faces, agent ──Call──►┐                     ┌──► relays (net.rs)
//!   relays ────────Net───►├─ one thread: engine ┤
//!   files ─────────File──►│  handle, commit,    ├──► files (blobs/)
//!   clock ─────────Tick──►┘  then send          └──► answers
//! ```
//!
//! The thread owns the store. It never waits for the network or for whoever listens.

mod asking;
mod begin;
mod calls;
mod custody;
mod devices;
mod evidence;
mod files;
mod group_words;
mod groups;
mod guardians;
mod inventory;
mod letters;
mod link;
mod notices;
mod receive;
mod recovery;
mod recovery_status;
mod relays;
mod sealed;
mod settle;
mod show;
mod vaults;
mod verify;

use crate::agent::Call;
use crate::blobs::FileEvent;
use crate::failure::internal;
use crate::limits;
use crate::net::NetEvent;
use crate::os;
use crate::store::ProfileStore;
use crate::view::Failure;
use calls::Calls;
use engine::{Engine, EngineError, Event, Input, Outgoing};
use files::Files;
use receive::Unread;
use relays::Relays;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use verify::Wishes;

/// What comes in.
pub(crate) enum Message {
    /// A request.
    Call(Call),
    /// News of a relay.
    Net(NetEvent),
    /// News of an upload or download.
    File(FileEvent),
    /// A second passed.
    Tick,
    /// Something somebody waits for may be due.
    Alarm,
    /// Finish, and hand the connections out so that they can be seen to their end.
    Close(oneshot::Sender<Closed>),
}

/// What is left of a closed profile.
pub(crate) struct Closed {
    /// Connections that still send their last frames.
    connections: Vec<JoinHandle<()>>,
    left: Left,
}

/// What a profile holds when it is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// An account, or the way to one.
    Account,
    /// Nothing, as before.
    Nothing,
    /// Nothing, since a link came to nothing.
    Abandoned,
}

/// The wish to close.
struct Closing {
    since: Instant,
    done: oneshot::Sender<Closed>,
    /// How often the backup may still be brought up to date.
    backups: u8,
}

impl Closing {
    fn new(done: oneshot::Sender<Closed>) -> Self {
        Self {
            since: os::instant(),
            done,
            backups: limits::LAST_BACKUPS,
        }
    }
}

/// The driver of one open profile.
pub(crate) struct Driver {
    inbox: mpsc::Sender<Message>,
    clock: JoinHandle<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Driver {
    /// Starts the loop. Whoever calls holds the profile's lock.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(store: ProfileStore) -> Result<Self, Failure> {
        let (inbox, messages) = mpsc::channel(limits::INBOX);
        let state = Loop {
            engine: Engine,
            store,
            rng: os::entropy(),
            relays: Relays::new(inbox.downgrade()),
            files: Files::new(inbox.downgrade()),
            calls: Calls::default(),
            unread: Unread::default(),
            wishes: Wishes::default(),
            own_relay: None,
            abandoned: false,
            out_of_force: None,
            inbox: inbox.downgrade(),
            runtime: tokio::runtime::Handle::current(),
        };
        let thread = std::thread::Builder::new()
            .name("letterlock".to_owned())
            .spawn(move || state.run(messages))
            .map_err(|_| internal("no thread for the profile"))?;
        let ticks = inbox.downgrade();
        let clock = tokio::spawn(async move {
            let mut pause = tokio::time::interval(limits::TICK);
            pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                pause.tick().await;
                let Some(inbox) = ticks.upgrade() else { return };
                let _ = inbox.send(Message::Tick).await;
            }
        });
        Ok(Self {
            inbox,
            clock,
            thread,
        })
    }

    /// Makes a request.
    pub(crate) async fn call(&self, call: Call) {
        let _ = self.inbox.send(Message::Call(call)).await;
    }

    /// A way in for the agent's calls.
    pub(crate) fn calls(&self) -> mpsc::Sender<Call> {
        let (calls, mut received) = mpsc::channel(limits::ANSWERS);
        let inbox = self.inbox.downgrade();
        tokio::spawn(async move {
            while let Some(call) = received.recv().await {
                let Some(inbox) = inbox.upgrade() else { return };
                let _ = inbox.send(Message::Call(call)).await;
            }
        });
        calls
    }

    /// Lets requests under way get their answers for a short while, then ends. The profile is closed after it.
    pub(crate) async fn close(self) -> Left {
        self.clock.abort();
        let (done, closed) = oneshot::channel();
        let _ = self.inbox.send(Message::Close(done)).await;
        let closed = closed.await.ok();
        // The thread's own end belongs to it: OpenSSL frees what it keeps for a thread there, and a process that
        // exits meanwhile frees the same once more.
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        let Some(Closed { connections, left }) = closed else {
            return Left::Account;
        };
        for connection in connections {
            let _ = tokio::time::timeout(limits::CLOSE, connection).await;
        }
        left
    }
}

/// The loop's state: the store, and what is known only while the process runs.
struct Loop {
    engine: Engine,
    store: ProfileStore,
    rng: os::Entropy,
    relays: Relays,
    files: Files,
    calls: Calls,
    unread: Unread,
    wishes: Wishes,
    /// Our own relay, once there is an account or one is being joined.
    own_relay: Option<String>,
    /// A link ended here, and left no account.
    abandoned: bool,
    /// This device was revoked or suspended; what waits ends.
    out_of_force: Option<EngineError>,
    inbox: mpsc::WeakSender<Message>,
    runtime: tokio::runtime::Handle,
}

impl Loop {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        self.started();
        let mut closing: Option<Closing> = None;
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Call(call) => self.begin(call),
                Message::Net(event) => self.net(event),
                Message::File(event) => self.file(event),
                Message::Tick => self.tick(),
                Message::Alarm => {}
                Message::Close(done) => {
                    self.alarm(limits::CLOSE);
                    closing = Some(Closing::new(done));
                }
            }
            self.tell_wishes();
            self.serve_readers();
            self.settle();
            self.look_at_deadlines();
            os::wipe_stack();
            if let Some(mut wish) = closing.take() {
                if self.may_close(&mut wish) {
                    self.end(wish.done);
                    return;
                }
                closing = Some(wish);
            }
        }
    }

    /// Whether everything that may still be answered is, and the backup has what is new.
    fn may_close(&mut self, wish: &mut Closing) -> bool {
        if wish.since.elapsed() >= limits::CLOSE {
            return true;
        }
        while self.relays.idle() && !self.files.moves_parts() {
            let Some(left) = wish.backups.checked_sub(1) else {
                return true;
            };
            wish.backups = left;
            self.last_backup();
        }
        false
    }

    /// Closes the profile before anybody hears of it.
    fn end(self, done: oneshot::Sender<Closed>) {
        let left = match self.engine.home_relay(&self.store) {
            Ok(None) if self.abandoned => Left::Abandoned,
            Ok(None) => Left::Nothing,
            _ => Left::Account,
        };
        let Self {
            store,
            mut relays,
            files,
            ..
        } = self;
        files.stop();
        let connections = relays.close();
        drop(store);
        let _ = done.send(Closed { connections, left });
    }

    fn started(&mut self) {
        self.learn_own_relay();
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
            self.take(Input::Started);
            // What expired meanwhile goes before anybody can ask for it.
            self.take(Input::Tick);
        }
    }

    fn learn_own_relay(&mut self) {
        if let Ok(relay) = self.engine.home_relay(&self.store) {
            self.own_relay = relay;
        }
    }

    fn tick(&mut self) {
        self.take(Input::Tick);
        self.relays.offer_again();
        self.listen_again();
        self.store.forget_removed();
    }

    /// Hands an input to the engine that nobody waits for; false if it changed nothing.
    fn take(&mut self, input: Input) -> bool {
        match self.feed(input) {
            Ok(()) => true,
            Err(error) => {
                if matches!(error, EngineError::Store(_) | EngineError::Internal { .. }) {
                    self.end_all(&error);
                }
                false
            }
        }
    }

    /// Hands an input to the engine, stores what it decides, then does it.
    fn feed(&mut self, input: Input) -> Result<(), EngineError> {
        let step = self
            .engine
            .handle(&self.store, input, os::now(), &mut self.rng)?;
        let committed = step.commit(&mut self.store)?;
        for outgoing in committed.outgoing {
            self.send(outgoing);
        }
        for event in committed.events {
            self.event(event);
        }
        // After all events: the command that revoked this very device may still end well.
        if let Some(error) = self.out_of_force.take() {
            self.end_all(&error);
        }
        Ok(())
    }

    fn send(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Request { id, relay, request } => self.relays.request(id, &relay, *request),
            Outgoing::Acknowledge { queue, up_to } => self.acknowledge(queue, up_to),
            Outgoing::Subscribe(subscription) => self.subscribe(subscription.queue),
            Outgoing::Upload(upload) => self.upload(&upload.blob),
            Outgoing::Part(blob) => self.part(&blob),
            // A newer engine may wish for more; it asks again after the next start.
            _ => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Command { command, outcome } => self.outcome(command, outcome),
            Event::LetterReceived { letter, .. } => self.unread.arrived(letter),
            Event::LetterSent { letter } | Event::LetterDelivered { letter } => {
                self.letter_left(&letter)
            }
            Event::LetterFailed { letter, error } => self.letter_failed(&letter, error),
            Event::LettersRead { letters } => self.unread.shown_elsewhere(&letters),
            Event::VaultNewer { vault } => self.tell_newer(&vault),
            Event::LinkReady => self.link_ready(),
            Event::PairingCode { code } => self.pairing(code),
            Event::LinkProgress { done, total } => {
                self.link_progress(done, total);
                self.restore_progress(done, total);
            }
            Event::Restored { at } => self.restored_from(at),
            Event::LinkEnded { .. } => self.link_ended(),
            Event::AccountEnded => self.out_of_force = Some(EngineError::AccountEnded),
            Event::DeviceRevoked => self.out_of_force = Some(EngineError::DeviceRevoked),
            Event::DeviceSuspended => self.out_of_force = Some(EngineError::DeviceSuspended),
            Event::SasRequested { contact } => self.wishes.came(contact),
            Event::SasReady {
                contact,
                emoji,
                digits,
            } => self.sas_ready(&contact, &emoji, digits),
            event => {
                self.recovery_event(&event);
                self.notice(&event);
                match event {
                    Event::IdentityChanged { contact } | Event::RootReplaced { contact } => {
                        self.contact_stopped(contact, &EngineError::IdentityChanged { contact });
                    }
                    Event::ContactEnded { contact } => {
                        self.contact_stopped(contact, &EngineError::ContactEnded);
                    }
                    _ => {}
                }
            }
        }
    }

    fn name_of(&self, contact: &keys::AccountId) -> String {
        match self.engine.contact(&self.store, contact) {
            Ok(Some(contact)) => contact.petname,
            _ => self
                .group_name(contact)
                .unwrap_or_else(|| contact.to_string()),
        }
    }

    /// Looks again after a while.
    fn alarm(&self, pause: std::time::Duration) {
        let inbox = self.inbox.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Message::Alarm).await;
            }
        });
    }
}
