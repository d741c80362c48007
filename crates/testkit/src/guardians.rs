//! People who lost every device, and those who keep their shares.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::world::World;
use engine::records::Lost;
use engine::{
    CommandId, CommandOutcome, Engine, EngineError, GuardiansState, Hidden, Input, RequestState,
    ShareState, Store as _, Table, Write,
};
use keys::request_code::RequestCode;
use zeroize::Zeroizing;

/// Virtual seconds of the default delay.
pub const DELAY_SECONDS: u64 = engine::limits::GUARDIAN_DELAY_SECONDS;

impl World {
    /// Sets guardians and comes to rest.
    ///
    /// # Errors
    /// As the command ends.
    pub fn set_guardians(
        &mut self,
        name: &str,
        need: u8,
        guardians: &[&str],
    ) -> Result<(), EngineError> {
        let ids = guardians.iter().map(|guardian| {
            let contact = self.person(name).contact(guardian);
            contact.unwrap_or_else(|| panic!("{name} does not know {guardian}"))
        });
        let guardians = ids.map(|contact| contact.id).collect();
        let outcome = self.command(name, |command| Input::SetGuardians {
            command,
            need,
            guardians,
            delay_seconds: DELAY_SECONDS,
        });
        done(outcome)
    }

    /// The guardians of a person's account.
    #[must_use]
    pub fn guardians(&self, name: &str) -> Option<GuardiansState> {
        Engine.guardians(&self.person(name).store).ok().flatten()
    }

    /// The shares that a person's device keeps.
    #[must_use]
    pub fn shares(&self, name: &str) -> Vec<ShareState> {
        let shares = Engine.shares(&self.person(name).store);
        shares.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A home without account asks for the account of a name; the code for its guardians.
    ///
    /// # Errors
    /// As the command ends.
    pub fn request_recovery(&mut self, home: &str, account: &str) -> Result<String, EngineError> {
        let relay = self.relay_url().to_owned();
        let (lost, device) = (Lost::Name(account.to_owned()), home.to_owned());
        let outcome = self.command(home, |command| Input::RequestRecovery {
            command,
            lost,
            relay,
            name: device,
        });
        match outcome {
            CommandOutcome::RecoveryRequested => {
                let code = self.recovery(home).and_then(|state| state.code);
                Ok(code.map(|code| code.to_string()).unwrap_or_default())
            }
            CommandOutcome::Failed(error) => Err(error),
            other => panic!("a request ended as {other:?}"),
        }
    }

    /// What a home asked for.
    #[must_use]
    pub fn recovery(&self, home: &str) -> Option<RequestState> {
        let request = Engine.recovery_request(&self.person(home).store);
        request.unwrap_or_else(|error| panic!("{home}: {error}"))
    }

    /// A guardian says yes.
    ///
    /// # Errors
    /// As the command ends.
    pub fn approve(
        &mut self,
        guardian: &str,
        account: &str,
        code: &str,
    ) -> Result<(), EngineError> {
        let command = self.begin_approval(guardian, account, code);
        for _ in 0..120 {
            if let Some(outcome) = self.outcome(guardian, command) {
                return done(outcome);
            }
            self.run(1);
        }
        panic!("an approval of {guardian} has no outcome");
    }

    /// A guardian says yes; nobody waits.
    pub fn begin_approval(&mut self, guardian: &str, account: &str, code: &str) -> CommandId {
        let contact = self.person(guardian).contact(account);
        let contact = contact
            .unwrap_or_else(|| panic!("{guardian} does not know {account}"))
            .id;
        let code = RequestCode::from_text(code).unwrap_or_else(|error| panic!("{error}"));
        self.begin(guardian, |command| Input::ApproveRecovery {
            command,
            contact,
            code: Hidden(code),
        })
    }

    /// Waits, in a home that asked, for the end.
    pub fn await_recovery(&mut self, home: &str) -> CommandId {
        self.begin(home, |command| Input::ContinueRecovery { command })
    }

    /// Cancels what somebody asked of the guardians.
    ///
    /// # Errors
    /// As the command ends.
    pub fn cancel_recovery(&mut self, name: &str) -> Result<(), EngineError> {
        let outcome = self.command(name, |command| Input::CancelRecovery { command });
        done(outcome)
    }

    /// Changes the wrapped share that a guardian keeps.
    pub fn spoil_share(&mut self, guardian: &str) {
        let store = &mut self.person_mut(guardian).store;
        let rows = engine::Snapshot::scan(store, Table::Share, &[], None, 1);
        let row = rows.ok().and_then(|mut rows| rows.pop());
        let (key, mut value) = row.unwrap_or_else(|| panic!("{guardian} keeps no share"));
        // The share stands before the eight bytes of its date.
        if let Some(byte) = value.iter_mut().rev().nth(9) {
            *byte ^= 1;
        }
        let value = Zeroizing::new(value.to_vec());
        let written = store.apply(vec![Write::Put {
            table: Table::Share,
            key,
            value,
        }]);
        written.unwrap_or_else(|error| panic!("{guardian}: {error}"));
    }
}

fn done(outcome: CommandOutcome) -> Result<(), EngineError> {
    match outcome {
        CommandOutcome::Done => Ok(()),
        CommandOutcome::Failed(error) => Err(error),
        other => panic!("a command ended as {other:?}"),
    }
}
