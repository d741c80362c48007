//! The world: people, relays and a network between them, moved on by virtual time.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::chance::Chance;
use crate::network::{Network, Weather};
use crate::person::{CrashPoint, Person};
use crate::relay_model::{LineId, RelayModel};
use engine::records::Letter;
use engine::{CommandId, CommandOutcome, Draft, EngineError, Input, Registration};
use keys::{AccountId, BlobId, LetterId, Suite, Timestamp};
use std::collections::BTreeMap;

/// The relay where people are unless they say otherwise.
const RELAY: &str = "https://relay.example";
/// 2026-01-01.
const BEGINNING_MS: u64 = 1_767_225_600_000;
/// Virtual seconds after which a world that does not come to rest is broken.
const PATIENCE_SECONDS: u64 = 3_600;
/// Quiet virtual seconds after which a world is at rest; longer than the longest delay.
const REST_SECONDS: u64 = 8;

/// People, relays and a network between them.
pub struct World {
    seed: u64,
    pub(crate) chance: Chance,
    pub(crate) now_ms: u64,
    pub(crate) network: Network,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) relays: BTreeMap<String, RelayModel>,
    pub(crate) lines: BTreeMap<LineId, (String, String)>,
    pub(crate) numbers: u64,
    pub(crate) tapped: Vec<u8>,
    /// Whether what goes over the network is kept.
    pub(crate) listens: bool,
    /// Parts of archives, as their relay holds them.
    pub(crate) parts: BTreeMap<BlobId, Vec<u8>>,
    /// Whether uploads of parts get nowhere.
    pub(crate) holds_parts: bool,
    /// Parts of so many bytes are refused.
    pub(crate) refused_parts: std::ops::Range<usize>,
}

impl World {
    /// Makes a world with a relay and nobody in it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let relay = RelayModel::new(chance.bytes());
        Self {
            seed,
            chance,
            now_ms: BEGINNING_MS,
            network: Network::new(Weather::calm()),
            people: BTreeMap::new(),
            relays: BTreeMap::from([(RELAY.to_owned(), relay)]),
            lines: BTreeMap::new(),
            numbers: 0,
            tapped: Vec::new(),
            listens: true,
            parts: BTreeMap::new(),
            holds_parts: false,
            refused_parts: 0..0,
        }
    }

    /// Adds another relay.
    pub fn add_relay(&mut self, url: &str) {
        let relay = RelayModel::new(self.chance.bytes());
        self.relays.insert(url.to_owned(), relay);
    }

    /// Changes the network.
    pub fn set_weather(&mut self, weather: Weather) {
        self.network.set_weather(weather);
    }

    /// The source of chance.
    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.now_ms.checked_div(1000).unwrap_or(0))
    }

    /// From now on nothing is kept of what goes over the network: a long life would fill the memory with it.
    pub fn stop_listening(&mut self) {
        self.listens = false;
        self.tapped = Vec::new();
        for relay in self.relays.values_mut() {
            relay.stop_listening();
        }
    }

    pub(crate) fn tap(&mut self, bytes: &[u8]) {
        if self.listens {
            self.tapped.extend_from_slice(bytes);
        }
    }

    /// Everything that ever went over the network, as one run of bytes.
    #[must_use]
    pub fn tapped(&self) -> &[u8] {
        &self.tapped
    }

    /// Sealed parts of archives that a relay holds.
    #[must_use]
    pub fn parts(&self) -> &BTreeMap<BlobId, Vec<u8>> {
        &self.parts
    }

    /// The URL of the first relay.
    #[must_use]
    pub fn relay_url(&self) -> &'static str {
        RELAY
    }

    /// The first relay.
    pub fn relay(&mut self) -> &mut RelayModel {
        self.relay_at(RELAY)
    }

    /// A relay.
    pub fn relay_at(&mut self, url: &str) -> &mut RelayModel {
        self.relays
            .get_mut(url)
            .unwrap_or_else(|| panic!("no relay {url}"))
    }

    /// Copies a relay's disk back over its present one, and restarts it.
    pub fn roll_back_relay(&mut self, store: crate::RelayStore) {
        let lines: Vec<LineId> = self.lines.keys().copied().collect();
        for line in lines {
            self.break_line(line);
        }
        self.relay().restore(store);
    }

    /// A person.
    #[must_use]
    pub fn person(&self, name: &str) -> &Person {
        self.people
            .get(name)
            .unwrap_or_else(|| panic!("no person {name}"))
    }

    /// Whether there is such a person.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.people.contains_key(name)
    }

    /// A person, to be changed.
    pub fn person_mut(&mut self, name: &str) -> &mut Person {
        self.people
            .get_mut(name)
            .unwrap_or_else(|| panic!("no person {name}"))
    }

    /// A person's account.
    #[must_use]
    pub fn account(&self, name: &str) -> AccountId {
        self.person(name)
            .account()
            .unwrap_or_else(|| panic!("{name} has no account"))
    }

    /// A person comes, makes an account at the first relay and is at rest.
    pub fn join(&mut self, name: &str) {
        self.join_at(name, RELAY);
    }

    /// A person comes, makes an account of a suite at the first relay and is at rest.
    pub fn join_in(&mut self, name: &str, suite: Suite) {
        self.join_in_at(name, RELAY, suite);
    }

    /// A person comes, makes an account at a relay and is at rest.
    pub fn join_at(&mut self, name: &str, relay: &str) {
        self.join_in_at(name, relay, Suite::Hybrid);
    }

    /// A person comes, makes an account of a suite at a relay and is at rest.
    pub fn join_in_at(&mut self, name: &str, relay: &str, suite: Suite) {
        self.people.insert(name.to_owned(), Person::new(relay));
        let registration = Registration {
            name: name.to_owned(),
            device_name: name.to_owned(),
            relay: relay.to_owned(),
            code: None,
            suite,
        };
        let made = self.command(name, |command| Input::CreateAccount {
            command,
            registration,
        });
        assert!(
            matches!(made, CommandOutcome::AccountCreated),
            "{name}: {made:?}"
        );
        self.settle();
    }

    /// Gives a command and waits for its outcome.
    pub fn command(
        &mut self,
        name: &str,
        input: impl FnOnce(CommandId) -> Input,
    ) -> CommandOutcome {
        let command = self.begin(name, input);
        for _ in 0..PATIENCE_SECONDS {
            if let Some(outcome) = self.person_mut(name).outcomes.remove(&command) {
                return outcome;
            }
            self.second();
        }
        panic!("a command of {name} has no outcome");
    }

    /// Gives a command and does not wait.
    ///
    /// # Errors
    /// The engine cannot take it, as when the disk is full.
    pub fn try_command(
        &mut self,
        name: &str,
        input: impl FnOnce(CommandId) -> Input,
    ) -> Result<CommandId, EngineError> {
        self.numbers = self.numbers.saturating_add(1);
        let command = CommandId(self.numbers);
        self.feed(name, input(command)).map(|()| command)
    }

    /// Gives a command and does not wait.
    pub fn begin(&mut self, name: &str, input: impl FnOnce(CommandId) -> Input) -> CommandId {
        let begun = self.try_command(name, input);
        begun.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The outcome of a command, once.
    pub fn outcome(&mut self, name: &str, command: CommandId) -> Option<CommandOutcome> {
        self.person_mut(name).outcomes.remove(&command)
    }

    /// Whether a command has ended, as long as nobody took its outcome.
    #[must_use]
    pub fn has_ended(&self, name: &str, command: CommandId) -> bool {
        self.person(name).outcomes.contains_key(&command)
    }

    /// Makes an invite.
    pub fn invite(&mut self, name: &str) -> String {
        match self.command(name, |command| Input::CreateInvite {
            command,
            valid_for: 24 * 3600,
        }) {
            CommandOutcome::Invite(invite) => invite,
            other => panic!("no invite: {other:?}"),
        }
    }

    /// Adds a contact by its invite.
    ///
    /// # Errors
    /// As the command ends.
    pub fn add_by_invite(&mut self, name: &str, invite: &str) -> Result<AccountId, EngineError> {
        let invite = invite.to_owned();
        let outcome = self.command(name, |command| Input::AddByInvite {
            command,
            invite,
            petname: None,
        });
        added(outcome)
    }

    /// Adds a contact by its name at the first relay.
    ///
    /// # Errors
    /// As the command ends.
    pub fn add_by_name(&mut self, name: &str, other: &str) -> Result<AccountId, EngineError> {
        let (other, relay) = (other.to_owned(), RELAY.to_owned());
        let outcome = self.command(name, |command| Input::AddByName {
            command,
            name: other,
            relay,
            petname: None,
        });
        added(outcome)
    }

    /// Two people add each other by invites.
    pub fn befriend(&mut self, one: &str, other: &str) {
        for (one, other) in [(one, other), (other, one)] {
            let invite = self.invite(other);
            let added = self.add_by_invite(one, &invite);
            assert!(added.is_ok(), "{one} adds {other}: {added:?}");
        }
        self.settle();
    }

    /// Writes a letter.
    pub fn send(&mut self, name: &str, to: &str, text: &str) -> LetterId {
        let draft = Draft {
            text: text.to_owned(),
            ..Draft::default()
        };
        let sent = self.send_draft(name, to, draft);
        sent.unwrap_or_else(|error| panic!("{name} cannot write to {to}: {error}"))
    }

    /// Writes a letter.
    ///
    /// # Errors
    /// As the command ends.
    pub fn send_draft(
        &mut self,
        name: &str,
        to: &str,
        draft: Draft,
    ) -> Result<LetterId, EngineError> {
        let contact = self
            .person(name)
            .contact(to)
            .unwrap_or_else(|| panic!("{name} does not know {to}"));
        let letter = LetterId::random(self.chance.rng());
        let to = contact.id;
        match self.command(name, |command| Input::SendLetter {
            command,
            letter,
            to,
            draft,
        }) {
            CommandOutcome::LetterQueued(letter) => Ok(letter),
            CommandOutcome::Failed(error) => Err(error),
            other => panic!("a letter ended as {other:?}"),
        }
    }

    /// Shows the letters that came: who wrote, and what. As the driver does, they are noted as shown first; where
    /// that is not stored, they are not shown.
    pub fn read(&mut self, name: &str) -> Vec<(String, String)> {
        let unread = self.person(name).unread();
        let letters = unread.iter().map(|(_, letter)| letter.id).collect();
        let _full_disk = self.feed(name, Input::MarkRead { letters });
        let left = self.person(name).unread();
        let still = |letter: &Letter| left.iter().any(|(_, other)| other.id == letter.id);
        let shown = unread.into_iter().filter(|(_, letter)| !still(letter));
        shown.map(|(from, letter)| (from, letter.text)).collect()
    }

    /// Lets the program die at a point of the `steps`th step from now.
    pub fn crash(&mut self, name: &str, point: CrashPoint, steps: u32) {
        self.person_mut(name).crash = Some((point, steps));
    }

    /// Lets the program live after all.
    pub fn forget_crash(&mut self, name: &str) {
        self.person_mut(name).crash = None;
    }

    /// Whether a person's program runs.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.person(name).running
    }

    /// Whether a person's machine has a network.
    #[must_use]
    pub fn is_online(&self, name: &str) -> bool {
        self.person(name).online
    }

    /// Ends a person's program.
    pub fn stop(&mut self, name: &str) {
        self.kill(name);
    }

    /// Starts a person's program again.
    pub fn start(&mut self, name: &str) {
        let person = self.person_mut(name);
        if person.running {
            return;
        }
        person.running = true;
        let relay = person.relay.clone();
        self.dial_later(name, &relay);
        let _damage = self.feed(name, Input::Started);
    }

    /// Takes a person's network away, or gives it back. The program goes on.
    pub fn set_online(&mut self, name: &str, online: bool) {
        self.person_mut(name).online = online;
        let relays: Vec<String> = self.person(name).lines.keys().cloned().collect();
        if online {
            let relay = self.person(name).relay.clone();
            self.dial_later(name, &relay);
        } else {
            for relay in relays {
                let line = self.person(name).lines.get(&relay).map(|line| line.id);
                line.into_iter().for_each(|line| self.break_line(line));
            }
        }
    }

    /// Sets a person's clock back.
    pub fn set_back_clock(&mut self, name: &str, seconds: u64) {
        self.person_mut(name).behind = seconds;
    }

    /// Lets seconds pass.
    pub fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second();
        }
    }

    /// Lets time pass in which every machine sleeps.
    pub fn sleep(&mut self, seconds: u64) {
        self.now_ms = self.now_ms.saturating_add(seconds.saturating_mul(1000));
    }

    /// Lets time pass until nothing moves any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..PATIENCE_SECONDS {
            quiet = if self.second() {
                0
            } else {
                u64::saturating_add(quiet, 1)
            };
            if quiet == REST_SECONDS {
                return;
            }
        }
        panic!("the world does not come to rest");
    }
}

fn added(outcome: CommandOutcome) -> Result<AccountId, EngineError> {
    match outcome {
        CommandOutcome::ContactAdded(id) => Ok(id),
        CommandOutcome::Failed(error) => Err(error),
        other => panic!("an addition ended as {other:?}"),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("World::new({}) replays this run", self.seed);
        }
    }
}
