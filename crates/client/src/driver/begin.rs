//! Requests as they come in: checked, resolved, handed to the engine.

use super::Loop;
use super::calls::{About, Kind, Pending, Receiving, Sending};
use crate::agent::Call;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::names::{self, Newcomer};
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use engine::{Draft, Input, Registration};
use keys::{LetterId, Suite};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a request became: answers at once, or nothing yet.
pub(super) type Begun = Result<Option<Vec<Answer>>, Failure>;

impl Loop {
    /// Takes a request in.
    pub(super) fn begin(&mut self, call: Call) {
        let listener = call.answers.clone();
        match self.begin_one(call) {
            Ok(Some(mut answers)) => {
                answers.push(Answer::Done);
                self.answer(listener, answers);
            }
            Ok(None) => {}
            Err(failure) => self.answer(listener, vec![Answer::Failed(failure)]),
        }
    }

    fn begin_one(&mut self, call: Call) -> Begun {
        let Call {
            id,
            request,
            answers,
        } = call;
        self.refuse_revoked(&request)?;
        if let Some(answered) = self.sealed_files(&request) {
            return answered.map(Some);
        }
        self.warn(&answers, &request);
        match request {
            Request::AccountCreate {
                name,
                relay,
                invite,
                suite,
            } => {
                let suite = suite_named(&suite)?;
                self.account_create(answers, (name, suite), relay, invite)
            }
            Request::AccountShow => self.account_show().map(Some),
            Request::AccountLog => self.account_log().map(Some),
            Request::Inventory => self.inventory().map(Some),
            Request::Custody { item } => self.custody(&item).map(Some),
            Request::AccountEvidence { save } => self.own_evidence(save.as_deref()).map(Some),
            Request::Invite { valid_for_seconds } => self.invite(answers, valid_for_seconds),
            Request::ContactAdd { who, petname } => self.contact_add(answers, &who, petname),
            Request::ContactList => self.contact_list().map(Some),
            Request::ContactBlock { contact, blocked } => {
                let contact = self.find(&contact)?.id;
                self.change(answers, contact, |command| Input::Block {
                    command,
                    contact,
                    blocked,
                })
            }
            Request::ContactEvidence { contact, save } => {
                self.evidence(&contact, save.as_deref()).map(Some)
            }
            Request::Send {
                to,
                text,
                files,
                expires_seconds,
                reply_to,
                wait,
                timeout_ms,
            } => {
                let draft = self.draft(text, files, expires_seconds, reply_to)?;
                self.send_letter(
                    answers,
                    id,
                    &to,
                    draft,
                    wait,
                    Duration::from_millis(timeout_ms),
                )
            }
            Request::Receive {
                follow,
                timeout_ms,
                save,
            } => self.receive(answers, follow, timeout_ms, save),
            Request::Read {
                conversation,
                limit,
            } => self.read(conversation.as_deref(), limit).map(Some),
            Request::Search { words, limit } => self.search(&words, limit).map(Some),
            request => self.begin_for_verification(answers, request),
        }
    }

    pub(super) fn begin_for_devices(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::DeviceLink { timeout_ms } => self.device_link(answers, timeout_ms),
            Request::DeviceAccept {
                secret,
                relay,
                name,
            } => self.device_accept(answers, &secret, relay.as_deref(), name.as_deref()),
            Request::LinkCompared { same } => self.link_compared(same),
            Request::DeviceRevoke { device, reason } => {
                self.device_revoke(answers, &device, reason)
            }
            Request::DeviceRotate { root } => self.device_rotate(answers, root),
            Request::DeviceSuspend { device, resume } => {
                self.device_suspend(answers, &device, resume)
            }
            Request::DeviceRename { device, name } => self.device_rename(answers, &device, &name),
            Request::DeviceList => self.device_list().map(Some),
            request => self.begin_for_recovery(answers, request),
        }
    }

    /// A device that was revoked or is suspended shows what it has, and does nothing more.
    fn refuse_revoked(&self, request: &Request) -> Result<(), Failure> {
        let looks = matches!(
            request,
            Request::AccountShow
                | Request::AccountLog
                | Request::AccountEvidence { .. }
                | Request::Custody { .. }
                | Request::Inventory
                | Request::ContactList
                | Request::GroupList
                | Request::GroupShow { .. }
                | Request::VaultList
                | Request::VaultMembers { .. }
                | Request::VaultAccess { .. }
                | Request::SafetyNumber { .. }
                | Request::ContactEvidence { .. }
                | Request::DeviceList
                | Request::RecoveryStatus
                | Request::RecoveryShares
                | Request::Read { .. }
                | Request::Search { .. }
                | Request::FileOpen { .. }
                | Request::FileSigner { .. }
        );
        if !looks && self.engine.is_revoked(&self.store)? {
            let (_, log) = self.own()?;
            return Err(match log.is_tombstoned() {
                true => engine::EngineError::AccountEnded.into(),
                false => engine::EngineError::DeviceRevoked.into(),
            });
        }
        // Whoever receives learns whether it was resumed.
        let hears = looks || matches!(request, Request::Receive { .. });
        if !hears && self.engine.is_suspended(&self.store)? {
            return Err(engine::EngineError::DeviceSuspended.into());
        }
        Ok(())
    }

    fn account_create(
        &mut self,
        answers: mpsc::Sender<Answer>,
        (name, suite): (String, Suite),
        relay: Option<String>,
        code: Option<String>,
    ) -> Begun {
        if self
            .engine
            .account(&self.store)?
            .is_some_and(|own| own.registered)
        {
            return Err(engine::EngineError::AccountExists.into());
        }
        if code
            .as_ref()
            .is_some_and(|code| code.len() > wire::limits::CODE_BYTES)
        {
            return Err(engine::EngineError::RegistrationCodeUnknown.into());
        }
        let relay = relay.ok_or_else(|| {
            failure(
                FailureKind::Usage,
                "a relay is needed",
                Some("add `--relay URL`; the relay's operator knows it"),
            )
        })?;
        let relay = RelayUrl::parse(&relay)?.canonical();
        let registration = Registration {
            name,
            device_name: os::host_name(),
            relay: relay.clone(),
            code,
            suite,
        };
        let mut pending = Pending::new(answers, Kind::Announce(Box::new(registration)));
        pending.relay = Some(relay.clone());
        let call = self.calls.add(pending);
        self.wait_for_relay(call);
        self.relays.connect(&relay);
        if self.relays.is_up(&relay) {
            self.announce(&relay);
        }
        Ok(None)
    }

    /// The relay answers: accounts that wait for it may be made. Before that nothing is made, so that a mistyped
    /// address leaves nothing behind.
    pub(super) fn announce(&mut self, relay: &str) {
        let waits = |pending: &Pending| match &pending.kind {
            Kind::Announce(registration) if registration.relay == relay => {
                Some(Registration::clone(registration))
            }
            _ => None,
        };
        let waiting: Vec<_> = self
            .calls
            .open
            .iter()
            .filter_map(|(call, pending)| Some((*call, waits(pending)?)))
            .collect();
        for (call, registration) in waiting {
            if let Some(pending) = self.calls.open.get_mut(&call) {
                pending.kind = Kind::Command;
            }
            let command = self.calls.command(call);
            if let Err(error) = self.feed(Input::CreateAccount {
                command,
                registration,
            }) {
                self.fail(call, error.into());
            }
            self.learn_own_relay();
        }
    }

    fn invite(&mut self, answers: mpsc::Sender<Answer>, valid_for: u64) -> Begun {
        self.own()?;
        let mut pending = Pending::new(answers, Kind::Command);
        let valid_for = valid_for.clamp(1, engine::limits::INVITE_SECONDS);
        pending.expires_at = os::now().as_secs().saturating_add(valid_for);
        self.command(pending, |command| Input::CreateInvite {
            command,
            valid_for,
        })
    }

    fn contact_add(
        &mut self,
        answers: mpsc::Sender<Answer>,
        who: &str,
        petname: Option<String>,
    ) -> Begun {
        let (own, _) = self.own()?;
        let contacts = self.engine.contacts(&self.store)?;
        let relays: Vec<&str> = std::iter::once(own.relay.as_str())
            .chain(contacts.iter().map(|contact| contact.relay.as_str()))
            .collect();
        let newcomer = names::newcomer(who, &relays)?;
        let petname = names::petname(petname)?;
        let mut pending = Pending::new(answers, Kind::Command);
        match newcomer {
            Newcomer::Invite(invite) => self.command(pending, |command| Input::AddByInvite {
                command,
                invite,
                petname,
            }),
            Newcomer::Name { name, relay } => {
                pending.relay = Some(relay.clone());
                self.command(pending, |command| Input::AddByName {
                    command,
                    name,
                    relay,
                    petname,
                })
            }
        }
    }

    pub(super) fn change(
        &mut self,
        answers: mpsc::Sender<Answer>,
        contact: keys::AccountId,
        input: impl FnOnce(engine::CommandId) -> Input,
    ) -> Begun {
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Contact(contact));
        self.command(pending, input)
    }

    /// Hands a command to the engine and waits for its outcome.
    pub(super) fn command(
        &mut self,
        pending: Pending,
        input: impl FnOnce(engine::CommandId) -> Input,
    ) -> Begun {
        if let Some(relay) = pending.relay.as_ref().or(self.own_relay.as_ref()) {
            self.relays.connect(relay);
        }
        let call = self.calls.add(pending);
        self.wait_for_relay(call);
        let command = self.calls.command(call);
        if let Err(error) = self.feed(input(command)) {
            self.calls.open.remove(&call);
            return Err(error.into());
        }
        Ok(None)
    }

    fn draft(
        &self,
        text: String,
        files: Vec<PathBuf>,
        expires_after: Option<u64>,
        reply_to: Option<String>,
    ) -> Result<Draft, Failure> {
        let attachments = files
            .iter()
            .map(|path| crate::blobs::attachment(path))
            .collect::<Result<_, _>>()?;
        Ok(Draft {
            text,
            reply_to: reply_to.as_deref().map(names::letter_id).transpose()?,
            expires_after,
            attachments,
        })
    }

    fn send_letter(
        &mut self,
        answers: mpsc::Sender<Answer>,
        letter: LetterId,
        to: &str,
        draft: Draft,
        wait: bool,
        patience: Duration,
    ) -> Begun {
        let to = self.find_conversation(to)?;
        let mut pending = Pending::new(
            answers,
            Kind::Send(Sending {
                letter,
                wait,
                patience,
            }),
        );
        pending.relay = self.own_relay.clone();
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
        let call = self.calls.add(pending);
        self.wait_until(call, patience);
        let command = self.calls.command(call);
        if let Err(error) = self.feed(Input::SendLetter {
            command,
            letter,
            to,
            draft,
        }) {
            self.calls.open.remove(&call);
            return Err(error.into());
        }
        Ok(None)
    }

    fn receive(
        &mut self,
        answers: mpsc::Sender<Answer>,
        follow: bool,
        timeout_ms: Option<u64>,
        save: Option<PathBuf>,
    ) -> Begun {
        self.own()?;
        if let Some(directory) = &save {
            os::create_directory(directory).map_err(|error| {
                let hint = "name a directory that you may write to";
                failure(
                    FailureKind::Failed,
                    format!("{}: {error}", directory.display()),
                    Some(hint),
                )
            })?;
        }
        let to_save = if save.is_some() {
            self.store.unsaved()?
        } else {
            Vec::new()
        };
        self.load_unread()?;
        self.load_wishes()?;
        let patience = timeout_ms.map(Duration::from_millis);
        let to_save = VecDeque::from(to_save);
        let receiving = Receiving {
            follow,
            patience,
            since: os::instant(),
            impatient: false,
            save,
            to_save,
            saving: None,
            room: None,
            unsaved: None,
        };
        let call = self
            .calls
            .add(Pending::new(answers, Kind::Receive(receiving)));
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
        self.heard(call);
        Ok(None)
    }
}

/// The suite that people call so.
pub(super) fn suite_named(name: &str) -> Result<Suite, Failure> {
    Suite::from_name(name).ok_or_else(|| {
        failure(
            FailureKind::Usage,
            "there is no such suite",
            Some("use hybrid or cnsa2"),
        )
    })
}
