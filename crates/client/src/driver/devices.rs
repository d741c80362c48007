//! The devices of the own account: listed, revoked, renewed, renamed; letters that go from all of them.

use super::Loop;
use super::begin::Begun;
use super::calls::{About, Kind, Pending};
use crate::api::Answer;
use crate::failure::{failure, internal};
use crate::names;
use crate::os;
use crate::render;
use crate::view::{Device, DeviceState, Failure, FailureKind, RevokeReason};
use engine::{EngineError, Input};
use keys::DeviceId;
use keys::account_log::{DeviceRecord, Reason};
use tokio::sync::mpsc;

impl Loop {
    /// All devices that the account has or had, in the order in which they came or went.
    pub(super) fn devices(&self) -> Result<Vec<(DeviceId, Device)>, Failure> {
        let (own, log) = self.own()?;
        let names = self.engine.device_names(&self.store)?;
        let called = |id: &DeviceId| match names.iter().find(|(named, _)| named == id) {
            Some((_, name)) => name.clone(),
            None => render::short(&id.to_string()),
        };
        let now = os::now();
        let view = |record: &DeviceRecord, state: DeviceState, reason: Option<Reason>| {
            let device = Device {
                name: called(record.id()),
                id: record.id().to_string(),
                this: *record.id() == own.device,
                admin: record.is_admin(),
                added: record.added().as_secs(),
                senior: log.is_senior(record.id(), now),
                state,
                reason: reason.map(shown_reason),
            };
            (*record.id(), device)
        };
        let in_force = log.devices().iter();
        let suspended = log.suspended().iter();
        let revoked = log.revoked().iter();
        Ok(in_force
            .map(|record| view(record, DeviceState::InForce, None))
            .chain(suspended.map(|away| view(&away.record, DeviceState::Suspended, None)))
            .chain(revoked.map(|gone| view(&gone.record, DeviceState::Revoked, Some(gone.reason))))
            .collect())
    }

    pub(super) fn device_list(&self) -> Result<Vec<Answer>, Failure> {
        let devices = self.devices()?.into_iter();
        Ok(devices.map(|(_, device)| Answer::Device(device)).collect())
    }

    /// One device of the account.
    pub(super) fn device(&self, id: &DeviceId) -> Result<Device, Failure> {
        let mut devices = self.devices()?.into_iter();
        let found = devices.find(|(other, _)| other == id);
        found
            .map(|(_, device)| device)
            .ok_or_else(|| EngineError::UnknownDevice.into())
    }

    pub(super) fn device_revoke(
        &mut self,
        answers: mpsc::Sender<Answer>,
        who: &str,
        reason: RevokeReason,
    ) -> Begun {
        let device = names::find_device(&self.devices()?, who)?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Device(device));
        let reason = meant_reason(reason);
        self.command(pending, |command| Input::RevokeDevice {
            command,
            device,
            reason,
        })
    }

    /// Suspends a device, or puts it in force again.
    pub(super) fn device_suspend(
        &mut self,
        answers: mpsc::Sender<Answer>,
        who: &str,
        resume: bool,
    ) -> Begun {
        let device = names::find_device(&self.devices()?, who)?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Device(device));
        self.command(pending, |command| {
            if resume {
                Input::ResumeDevice { command, device }
            } else {
                Input::SuspendDevice { command, device }
            }
        })
    }

    pub(super) fn device_rotate(&mut self, answers: mpsc::Sender<Answer>, root: bool) -> Begun {
        let (own, _) = self.own()?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(if root {
            About::Account
        } else {
            About::Device(own.device)
        });
        self.command(pending, |command| {
            if root {
                Input::RotateRoot { command }
            } else {
                Input::RotateDevice { command }
            }
        })
    }

    pub(super) fn device_rename(
        &mut self,
        answers: mpsc::Sender<Answer>,
        who: &str,
        name: &str,
    ) -> Begun {
        let devices = self.devices()?;
        let device = names::find_device(&devices, who)?;
        let name = names::device_name(name)?;
        let taken = |(id, other): &(DeviceId, Device)| *id != device && other.name == name;
        if devices.iter().any(taken) {
            let message = format!("another device is called {name}");
            return Err(failure(
                FailureKind::Usage,
                message,
                Some("choose another name"),
            ));
        }
        self.feed(Input::NameDevice { device, name })?;
        let renamed = Answer::Device(self.device(&device)?);
        self.tell_devices(answers, vec![renamed]);
        Ok(None)
    }

    /// What a command changed, at its end.
    pub(super) fn view_about(&self, about: About) -> Result<Vec<Answer>, Failure> {
        match about {
            About::Account => self.account_show(),
            About::Device(device) => Ok(vec![Answer::Device(self.device(&device)?)]),
            About::Group(group) => self.group_show(&group),
            About::Vault(vault) => self.vault_members(&vault),
            About::Version => Ok(vec![published(true)]),
            About::Guardians => self.guardians_show(),
            About::Share(contact) => self.share_show(&contact),
            About::Contact(contact) => match self.engine.contact(&self.store, &contact)? {
                Some(contact) => Ok(vec![self.view_contact(&contact)]),
                None => Err(internal("a contact is gone")),
            },
        }
    }
}

/// What became of a version of a vault.
pub(super) fn published(taken: bool) -> Answer {
    Answer::VaultPublished(crate::view::VaultPublished { taken })
}

fn shown_reason(reason: Reason) -> RevokeReason {
    match reason {
        Reason::Lost => RevokeReason::Lost,
        Reason::Stolen => RevokeReason::Stolen,
        Reason::Retired => RevokeReason::Retired,
    }
}

fn meant_reason(reason: RevokeReason) -> Reason {
    match reason {
        RevokeReason::Lost => Reason::Lost,
        RevokeReason::Stolen => Reason::Stolen,
        RevokeReason::Retired => Reason::Retired,
    }
}
