//! People with several devices.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::person::Person;
use crate::world::World;
use engine::{CommandOutcome, Engine, Event, Hidden, Input};
use keys::DeviceId;
use keys::account_log::Reason;
use keys::link::LinkCode;
use keys::sheet::SheetSecret;

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
        let confirmed = self.feed(name, Input::ConfirmLink { same });
        confirmed.unwrap_or_else(|error| panic!("{name}: {error}"));
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

    /// Deletes a letter.
    pub fn delete(&mut self, name: &str, letter: keys::LetterId) {
        let letters = vec![letter];
        let deleted = self.feed(name, Input::DeleteLetters { letters });
        deleted.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// This device of a person.
    #[must_use]
    pub fn device(&self, name: &str) -> DeviceId {
        let own = Engine.account(&self.person(name).store).ok().flatten();
        own.map(|own| own.device)
            .unwrap_or_else(|| panic!("{name} has no account"))
    }

    /// Revokes a device from another one.
    pub fn revoke(&mut self, by: &str, device: DeviceId, reason: Reason) -> CommandOutcome {
        self.command(by, |command| Input::RevokeDevice {
            command,
            device,
            reason,
        })
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
