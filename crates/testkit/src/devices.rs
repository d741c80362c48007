//! People with several devices.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::person::Person;
use crate::world::World;
use engine::{CommandOutcome, Engine, Event, Hidden, Input, Snapshot as _, Table};
use keys::account_log::{DeviceSecrets, LogError, Reason, UnverifiedLog, VerifiedLog};
use keys::codec::Reader;
use keys::link::LinkCode;
use keys::sheet::SheetSecret;
use keys::{AccountId, DeviceId, QueueId};

impl World {
    /// A home without account comes.
    pub fn new_home(&mut self, name: &str) {
        let relay = self.relay_url().to_owned();
        self.people.insert(name.to_owned(), Person::new(&relay));
    }

    /// Shows the secret of a link on a device.
    ///
    /// # Errors
    /// As the command ends.
    pub fn offer_link(&mut self, name: &str) -> Result<String, engine::EngineError> {
        let from = self.person(name).events.len();
        let command = self.begin(name, |command| Input::OfferLink { command });
        for _ in 0..60 {
            if let Some(CommandOutcome::Failed(error)) = self.outcome(name, command) {
                return Err(error);
            }
            let events = self.person(name).events.iter().skip(from);
            if events
                .into_iter()
                .any(|event| matches!(event, Event::LinkReady))
            {
                let offer = Engine.link_offer(&self.person(name).store);
                let offer = offer.ok().flatten();
                return Ok(offer
                    .map(|offer| offer.code.to_string())
                    .unwrap_or_default());
            }
            self.second();
        }
        panic!("{name} cannot show a secret")
    }

    /// Lets a new home knock with a secret.
    pub fn knock(&mut self, name: &str, code: &str) -> engine::CommandId {
        let code = LinkCode::from_text(code);
        let code = code.unwrap_or_else(|error| panic!("{error}"));
        let (secret, relay) = code.into_parts();
        let device = name.to_owned();
        self.begin(name, |command| Input::AcceptLink {
            command,
            secret: Hidden(secret),
            relay,
            name: device,
        })
    }

    /// The code that a device shows for comparison.
    #[must_use]
    pub fn pairing_code(&self, name: &str) -> Option<String> {
        let events = self.person(name).events.iter().rev();
        events.into_iter().find_map(|event| match event {
            Event::PairingCode { code } => Some(code.clone()),
            _ => None,
        })
    }

    /// Says on a device whether the codes are equal.
    pub fn confirm_link(&mut self, name: &str, same: bool) {
        let confirmed = self.try_confirm_link(name, same);
        confirmed.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Says on a device whether the codes are equal.
    ///
    /// # Errors
    /// The device does not compare anything.
    pub fn try_confirm_link(&mut self, name: &str, same: bool) -> Result<(), engine::EngineError> {
        self.feed(name, Input::ConfirmLink { same })
    }

    /// Links a new home to the account of another one.
    pub fn link(&mut self, old: &str, new: &str) -> DeviceId {
        self.new_home(new);
        let code = self
            .offer_link(old)
            .unwrap_or_else(|error| panic!("{old}: {error}"));
        let command = self.knock(new, &code);
        self.settle();
        assert_eq!(self.pairing_code(old), self.pairing_code(new));
        assert!(self.pairing_code(new).is_some(), "{new} shows no code");
        self.confirm_link(old, true);
        self.confirm_link(new, true);
        self.settle();
        match self.outcome(new, command) {
            Some(CommandOutcome::Linked(device)) => device,
            other => panic!("{new} is not linked: {other:?}"),
        }
    }

    /// Links a new home, as far as what happens meanwhile lets it: devices die, and the network breaks. Says whether
    /// the home was made at all; whether it got an account shows later.
    pub fn try_link(&mut self, old: &str, new: &str) -> bool {
        let from = self.person(old).events.len();
        let offered = self.try_command(old, |command| Input::OfferLink { command });
        if offered.is_err() {
            return false;
        }
        let ready = |world: &Self| {
            let mut events = world.person(old).events.iter().skip(from);
            events.any(|event| matches!(event, Event::LinkReady))
        };
        for _ in 0..20 {
            if ready(self) {
                break;
            }
            self.run(1);
        }
        let offer = Engine.link_offer(&self.person(old).store).ok().flatten();
        let (true, Some(offer)) = (ready(self), offer) else {
            return false;
        };
        self.new_home(new);
        self.knock(new, offer.code.as_ref());
        for _ in 0..30 {
            let codes = [old, new].map(|home| self.pairing_code(home));
            if codes[0].is_some() && codes[0] == codes[1] {
                let _died = self.try_confirm_link(old, true);
                let _died = self.try_confirm_link(new, true);
                break;
            }
            self.run(1);
        }
        true
    }

    /// Deletes a letter.
    pub fn delete(&mut self, name: &str, letter: keys::LetterId) {
        let letters = vec![letter];
        let deleted = self.feed(name, Input::DeleteLetters { letters });
        deleted.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The relay forgets all parts of archives.
    pub fn withhold_parts(&mut self) {
        self.parts.clear();
    }

    /// The relay refuses parts of archives of some lengths.
    pub fn refuse_parts(&mut self, bytes: std::ops::Range<usize>) {
        self.refused_parts = bytes;
    }

    /// The relay forgets parts of archives of some lengths.
    pub fn withhold_parts_of(&mut self, bytes: &std::ops::Range<usize>) {
        self.parts.retain(|_, part| !bytes.contains(&part.len()));
    }

    /// Lets uploads of parts hang, or go on once their programs start again.
    pub fn hold_parts(&mut self, held: bool) {
        self.holds_parts = held;
    }

    /// This device of a person.
    #[must_use]
    pub fn device(&self, name: &str) -> DeviceId {
        let own = Engine.account(&self.person(name).store).ok().flatten();
        own.map(|own| own.device)
            .unwrap_or_else(|| panic!("{name} has no account"))
    }

    /// Hands a program something that has no outcome.
    ///
    /// # Errors
    /// The engine cannot take it.
    pub fn try_input(&mut self, name: &str, input: Input) -> Result<(), engine::EngineError> {
        self.feed(name, input)
    }

    /// Whether a home has an account.
    #[must_use]
    pub fn has_account(&self, name: &str) -> bool {
        self.person(name).account().is_some()
    }

    /// Whether a home knows that its device was revoked.
    #[must_use]
    pub fn was_revoked(&self, name: &str) -> bool {
        self.was_told(name, |event| matches!(event, Event::DeviceRevoked))
    }

    /// Whether a home knows nothing: no account, no link, no contact, no letter.
    #[must_use]
    pub fn is_empty_home(&self, name: &str) -> bool {
        let store = &self.person(name).store;
        let tables = [
            Table::Contact,
            Table::Letter,
            Table::Conversation,
            Table::Session,
            Table::Queue,
            Table::Part,
        ];
        let relay = Engine.home_relay(store).ok().flatten();
        relay.is_none() && tables.iter().all(|table| store.count(*table) == 0)
    }

    /// The own log of a home.
    #[must_use]
    pub fn own_log(&self, name: &str) -> VerifiedLog {
        let own = Engine.account(&self.person(name).store).ok().flatten();
        let log = own.map(|own| own.log).unwrap_or_default();
        verified(&log).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The log of an account, as the first relay has it.
    pub fn log_at_relay(&mut self, account: &AccountId) -> VerifiedLog {
        let log = self.relay().store().log(account).unwrap_or_default();
        verified(&log).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The texts of a conversation on a device, oldest first.
    #[must_use]
    pub fn texts(&self, name: &str, petname: &str) -> Vec<String> {
        let letters = self.person(name).letters(petname);
        letters.into_iter().map(|letter| letter.text).collect()
    }

    /// Whether a person was ever told something.
    #[must_use]
    pub fn was_told(&self, name: &str, what: impl Fn(&Event) -> bool) -> bool {
        self.person(name).events.iter().any(what)
    }

    /// What a thief of an unlocked device has: its secret keys.
    #[must_use]
    pub fn stolen_keys(&self, name: &str) -> DeviceSecrets {
        let row = self.person(name).store.get(Table::Meta, b"account");
        let row = row.ok().flatten().unwrap_or_default();
        device_secrets(&row).unwrap_or_else(|| panic!("{name} has no keys"))
    }

    /// The queues of a home.
    #[must_use]
    pub fn queues(&self, name: &str) -> Vec<QueueId> {
        let rows = self
            .person(name)
            .store
            .scan(Table::Queue, &[], None, usize::MAX);
        let rows = rows.unwrap_or_default();
        rows.iter()
            .filter_map(|(id, _)| QueueId::from_slice(id))
            .collect()
    }

    /// Whether a letter was handed to the first relay for one of some queues, after so many requests.
    pub fn sent_to(&mut self, queues: &[QueueId], from: usize) -> bool {
        let heard = self.relay().heard().iter().skip(from);
        heard.into_iter().any(|request| match request {
            wire::Request::Send(send) => send.rows.iter().any(|row| queues.contains(&row.queue_id)),
            _ => false,
        })
    }

    /// Revokes a device from another one.
    pub fn revoke(&mut self, by: &str, device: DeviceId, reason: Reason) -> CommandOutcome {
        self.command(by, |command| Input::RevokeDevice {
            command,
            device,
            reason,
        })
    }

    /// Suspends a device from another one.
    pub fn suspend(&mut self, by: &str, device: DeviceId) -> CommandOutcome {
        self.command(by, |command| Input::SuspendDevice { command, device })
    }

    /// Resumes a device from another one.
    pub fn resume(&mut self, by: &str, device: DeviceId) -> CommandOutcome {
        self.command(by, |command| Input::ResumeDevice { command, device })
    }

    /// Makes a recovery sheet and retypes it.
    pub fn make_sheet(&mut self, name: &str) -> String {
        self.command(name, |command| Input::MakeSheet { command });
        let text = Engine.sheet(&self.person(name).store).ok().flatten();
        let text = text.unwrap_or_else(|| panic!("{name} has no sheet"));
        let sheet = sheet(&text);
        let done = self.command(name, |command| Input::ConfirmSheet { command, sheet });
        assert!(matches!(done, CommandOutcome::Done), "{name}: {done:?}");
        self.settle();
        text.to_string()
    }

    /// Restores an account in a new home by a sheet.
    pub fn restore(&mut self, name: &str, text: &str) -> CommandOutcome {
        self.new_home(name);
        let relay = self.relay_url().to_owned();
        let (sheet, device) = (sheet(text), name.to_owned());
        self.command(name, |command| Input::RestoreBySheet {
            command,
            sheet,
            relay,
            name: device,
        })
    }
}

fn sheet(text: &str) -> Hidden<SheetSecret> {
    match SheetSecret::from_text(text) {
        Ok(sheet) => Hidden(sheet),
        Err(error) => panic!("{error}"),
    }
}

/// The secret keys in a stored account (docs/spec/home.md).
fn device_secrets(row: &[u8]) -> Option<DeviceSecrets> {
    let mut input = Reader::new(row);
    input.u8().ok()?;
    input.bytes(64).ok()?; // Its name.
    input.bytes(512).ok()?; // Its relay.
    input.array::<32>().ok()?;
    input.array::<16>().ok()?;
    input.u8().ok()?;
    input.bytes(1 << 20).ok()?; // Its log.
    input.bytes(512).ok()?; // A registration code.
    input.u32().ok()?;
    input.bytes(4096).ok()?; // The root key.
    DeviceSecrets::decode(input.bytes(4096).ok()?).ok()
}

fn verified(log: &[u8]) -> Result<VerifiedLog, LogError> {
    UnverifiedLog::decode(log).and_then(|log| log.verify(None, None))
}
