//! Requests under way: who waits for what, and until when.

use super::Loop;
use super::asking::Asking;
use super::devices::published;
use super::link::{Knock, Linking};
use super::recovery::{Making, Restoring};
use super::settle::Settling;
use super::verify::Comparing;
use crate::api::Answer;
use crate::failure::{failure, in_a_vault, relay_full, unreachable, with_words};
use crate::limits;
use crate::os;
use crate::view::{Failure, FailureKind, Notice};
use engine::records::Direction;
use engine::{CommandId, CommandOutcome, EngineError, Registration, VaultError};
use keys::{AccountId, DeviceId, GroupId, LetterId};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a request waits for.
pub(super) enum Kind {
    /// The engine's outcome of a command.
    Command,
    /// The end of the account: until the relay has deleted what was there.
    End,
    /// A connection to the relay at which the account will be.
    Announce(Box<Registration>),
    /// Answers of our relay to everything that is under way.
    Settle(Settling),
    /// A connection to the relay of the account that is to be joined.
    Knock(Box<Knock>),
    /// A link under way.
    Link(Linking),
    /// A recovery sheet, or what it unlocks.
    Sheet(Making),
    /// A wish to come back through guardians, on its way into the account log.
    Ask(Box<Asking>),
    /// A restoration by a sheet or by guardians.
    Restore(Box<Restoring>),
    /// A comparison of short codes.
    Sas(Comparing),
    /// A letter on its way.
    Send(Sending),
    /// Letters to come.
    Receive(Receiving),
    /// What is newer in a vault, until hung up.
    Watch(GroupId),
}

/// What a command changes, to be shown at its end.
#[derive(Clone, Copy)]
pub(super) enum About {
    /// The own account.
    Account,
    /// A contact.
    Contact(AccountId),
    /// A group.
    Group(GroupId),
    /// A vault.
    Vault(GroupId),
    /// A version of a vault.
    Version,
    /// A device of the own account.
    Device(DeviceId),
    /// The guardians.
    Guardians,
    /// The share that is kept for a contact.
    Share(AccountId),
}

/// A letter on its way.
pub(super) struct Sending {
    /// The letter.
    pub(super) letter: LetterId,
    /// Not before the relay has it.
    pub(super) wait: bool,
    /// How long to try since the last progress.
    pub(super) patience: Duration,
}

/// A reader.
pub(super) struct Receiving {
    /// Until hung up.
    pub(super) follow: bool,
    /// How long to wait for a further letter.
    pub(super) patience: Option<Duration>,
    /// Since when letters may be held back.
    pub(super) since: Instant,
    /// Its time is over: nothing is held back any more.
    pub(super) impatient: bool,
    /// Where enclosures go.
    pub(super) save: Option<PathBuf>,
    /// Enclosures that are still to be saved.
    pub(super) to_save: VecDeque<(LetterId, u32)>,
    /// The one that is being saved.
    pub(super) saving: Option<(LetterId, u32)>,
    /// Waits until the listener has taken something.
    pub(super) room: Option<tokio::task::JoinHandle<()>>,
    /// Why the last enclosure could not be saved.
    pub(super) unsaved: Option<Failure>,
}

/// A request under way.
pub(super) struct Pending {
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) kind: Kind,
    pub(super) deadline: Option<Instant>,
    /// The relay it needs, where that may be another than our own.
    pub(super) relay: Option<String>,
    /// What it changes.
    pub(super) about: Option<About>,
    /// When what it makes expires.
    pub(super) expires_at: u64,
}

impl Pending {
    pub(super) fn new(answers: mpsc::Sender<Answer>, kind: Kind) -> Self {
        Self {
            answers,
            kind,
            deadline: None,
            relay: None,
            about: None,
            expires_at: 0,
        }
    }
}

/// All requests under way, oldest first.
#[derive(Default)]
pub(super) struct Calls {
    next: u64,
    pub(super) open: BTreeMap<u64, Pending>,
    /// The engine's commands and the requests that wait for them. The numbers are random: an answer to a command
    /// of an earlier process must not meet one of this.
    commands: BTreeMap<CommandId, u64>,
    /// When the loop is woken to look at deadlines.
    armed: Option<Instant>,
}

impl Calls {
    /// Takes a request in.
    pub(super) fn add(&mut self, pending: Pending) -> u64 {
        self.next = self.next.saturating_add(1);
        self.open.insert(self.next, pending);
        self.next
    }

    /// Draws a command's number for a request.
    pub(super) fn command(&mut self, call: u64) -> CommandId {
        let command = CommandId(u64::from_be_bytes(os::random()) | 1);
        self.commands.insert(command, call);
        command
    }

    /// Says something beside the results to everybody.
    pub(super) fn tell_all(&self, notice: &Notice) {
        for pending in self.open.values() {
            let _ = pending.answers.try_send(Answer::Notice(notice.clone()));
        }
    }

    /// Says such a thing to those whose kind of request it is for.
    pub(super) fn tell(&self, answer: &Answer, whom: impl Fn(&Kind) -> bool) {
        for pending in self.open.values().filter(|pending| whom(&pending.kind)) {
            let _ = pending.answers.try_send(answer.clone());
        }
    }

    /// Drops requests whose listeners are gone.
    pub(super) fn forget_gone(&mut self) {
        self.open.retain(|_, pending| !pending.answers.is_closed());
        let open = &self.open;
        self.commands.retain(|_, call| open.contains_key(call));
    }
}

impl Loop {
    /// Gives the last answers of a request. They are passed on by a task: the loop waits for no listener.
    pub(super) fn finish(&mut self, call: u64, last: Vec<Answer>) {
        if let Some(pending) = self.calls.open.remove(&call) {
            self.answer(pending.answers, last);
        }
    }

    /// Ends a request badly.
    pub(super) fn fail(&mut self, call: u64, failure: Failure) {
        self.finish(call, vec![Answer::Failed(failure)]);
    }

    /// Passes answers on without waiting for the listener.
    pub(super) fn answer(&self, listener: mpsc::Sender<Answer>, answers: Vec<Answer>) {
        self.runtime.spawn(async move {
            for answer in answers {
                if listener.send(answer).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Sets until when a request waits.
    pub(super) fn wait_until(&mut self, call: u64, pause: Duration) {
        if let Some(pending) = self.calls.open.get_mut(&call) {
            pending.deadline = os::instant().checked_add(pause);
        }
    }

    /// Lets a request wait no longer than this, if it would.
    pub(super) fn wait_at_most(&mut self, call: u64, pause: Duration) {
        if let Some(pending) = self.calls.open.get_mut(&call) {
            let latest = os::instant().checked_add(pause);
            let earlier = pending.deadline.into_iter().chain(latest).min();
            pending.deadline = earlier.or(pending.deadline);
        }
    }

    /// A command of the engine ended.
    pub(super) fn outcome(&mut self, command: CommandId, outcome: CommandOutcome) {
        let Some(call) = self.calls.commands.remove(&command) else {
            return;
        };
        match outcome {
            CommandOutcome::Done => self.command_done(call),
            CommandOutcome::AccountCreated => self.settle_call(call, Settling::Account),
            CommandOutcome::Linked(device) => self.linked(call, device),
            CommandOutcome::RecoveryRequested => self.requested(call),
            CommandOutcome::Invite(invite) => self.invited(call, invite),
            CommandOutcome::ContactAdded(contact) => {
                self.show_about(call, About::Contact(contact));
            }
            CommandOutcome::LetterQueued(letter) => self.letter_left(&letter),
            CommandOutcome::VaultHead { version, body } => {
                let body = data_encoding::HEXLOWER.encode(&body);
                let head = Answer::VaultHead(crate::view::VaultHead { version, body });
                self.finish(call, vec![head, Answer::Done]);
            }
            // Where another key is needed meanwhile, the version is made anew as where somebody was faster.
            CommandOutcome::Failed(EngineError::Vault(
                VaultError::Conflict | VaultError::NewKey,
            )) => {
                self.finish(call, vec![published(false), Answer::Done]);
            }
            CommandOutcome::Failed(error) => {
                let Some(error) = self.sas_failed(call, error) else {
                    return;
                };
                let about = self.calls.open.get(&call).and_then(|pending| pending.about);
                let words = match about {
                    Some(About::Vault(_)) => in_a_vault(&error),
                    _ => None,
                };
                let failure = self.recovery_failure(call, error);
                self.fail(call, with_words(failure, words));
            }
            CommandOutcome::VerificationCode(code) => self.code_made(call, code),
            _ => self.finish(call, vec![Answer::Done]),
        }
    }

    /// A command that says no more than that: what it changed is shown.
    fn command_done(&mut self, call: u64) {
        if self.sheet_goes_on(call) || self.sas_done(call) {
            return;
        }
        let pending = self.calls.open.get(&call);
        if pending.is_some_and(|pending| matches!(pending.kind, Kind::End)) {
            return self.settle_call(call, Settling::Account);
        }
        let about = pending.and_then(|pending| pending.about);
        match about {
            Some(about) => self.show_about(call, about),
            None => self.finish(call, vec![Answer::Done]),
        }
    }

    fn show_about(&mut self, call: u64, about: About) {
        match self.view_about(about) {
            Ok(mut last) => {
                last.push(Answer::Done);
                self.finish(call, last);
            }
            Err(failure) => self.fail(call, failure),
        }
    }

    fn invited(&mut self, call: u64, invite: String) {
        let expires_at = self
            .calls
            .open
            .get(&call)
            .map_or(0, |pending| pending.expires_at);
        self.finish(
            call,
            vec![
                Answer::Invite(crate::view::Invite { invite, expires_at }),
                Answer::Done,
            ],
        );
    }

    /// A letter moved on: whoever waits for it may go.
    pub(super) fn letter_left(&mut self, id: &LetterId) {
        let Ok(Some(letter)) = self.engine.letter(&self.store, id) else {
            return;
        };
        use engine::records::LetterState;
        match letter.state {
            LetterState::Sent | LetterState::Delivered => {
                let shown = self.view_letter(&letter);
                for call in self.senders_of(id) {
                    self.finish(call, vec![Answer::Letter(shown.clone()), Answer::Done]);
                }
            }
            LetterState::Failed => self.letter_failed(id, EngineError::Undeliverable),
            _ => {}
        }
    }

    /// A letter will not arrive.
    pub(super) fn letter_failed(&mut self, id: &LetterId, error: EngineError) {
        // What one device tells the others is no letter to people.
        let letter = self.engine.letter(&self.store, id);
        if letter
            .is_ok_and(|letter| letter.is_some_and(|letter| letter.direction == Direction::Errand))
        {
            return;
        }
        let failure = self.files.why(id).unwrap_or_else(|| Failure::from(error));
        let senders = self.senders_of(id);
        if senders.is_empty() {
            let notice = "letter_failed".to_owned();
            self.calls.tell_all(&Notice {
                notice,
                message: format!("a letter will not arrive: {}", failure.message),
            });
        }
        for call in senders {
            self.fail(call, failure.clone());
        }
    }

    /// A contact was stopped: its letters wait in the outbox for a person, and nobody waits for them here.
    pub(super) fn contact_stopped(&mut self, contact: AccountId, error: &EngineError) {
        let letters = self.calls.open.values();
        let letters = letters.filter_map(|pending| match &pending.kind {
            Kind::Send(sending) => Some(sending.letter),
            _ => None,
        });
        for id in letters.collect::<Vec<_>>() {
            let letter = self.engine.letter(&self.store, &id);
            if letter.is_ok_and(|letter| letter.is_some_and(|letter| letter.contact == contact)) {
                for call in self.senders_of(&id) {
                    self.fail(call, error.clone().into());
                }
            }
        }
    }

    /// The requests that wait for a letter to leave.
    pub(super) fn senders_of(&self, id: &LetterId) -> Vec<u64> {
        let waits = |pending: &Pending| matches!(&pending.kind, Kind::Send(sending) if sending.letter == *id);
        self.calls
            .open
            .iter()
            .filter(|(_, pending)| waits(pending))
            .map(|(call, _)| *call)
            .collect()
    }

    /// Ends requests that have waited long enough, and those nobody listens to.
    pub(super) fn look_at_deadlines(&mut self) {
        self.stop_unwanted_link();
        self.stop_unwanted_sas();
        self.calls.forget_gone();
        self.stop_unwanted_downloads();
        let now = os::instant();
        let due = |pending: &Pending| pending.deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<u64> = self
            .calls
            .open
            .iter()
            .filter(|(_, p)| due(p))
            .map(|(call, _)| *call)
            .collect();
        for call in due {
            self.too_late(call);
        }
        // The others' alarms: the next deadline wakes the loop.
        let next = self
            .calls
            .open
            .values()
            .filter_map(|pending| pending.deadline)
            .min();
        if let Some(next) = next.filter(|next| {
            self.calls
                .armed
                .is_none_or(|armed| armed > *next || armed <= now)
        }) {
            self.calls.armed = Some(next);
            self.alarm(
                next.saturating_duration_since(now)
                    .saturating_add(Duration::from_millis(1)),
            );
        }
    }

    fn too_late(&mut self, call: u64) {
        let Some(pending) = self.calls.open.get(&call) else {
            return;
        };
        match &pending.kind {
            Kind::Settle(_) => self.settled(call, false),
            Kind::Link(linking) => {
                let needs_relay = linking.needs_relay();
                self.link_too_late(call, needs_relay);
            }
            Kind::Send(sending) => {
                let (letter, wait) = (sending.letter, sending.wait);
                self.left_to_the_outbox(call, &letter, wait);
            }
            Kind::Sas(_) => self.sas_too_late(call),
            Kind::Receive(_) => self.heard_enough(call),
            Kind::Watch(_) => {}
            Kind::Sheet(_) | Kind::Ask(_) | Kind::Restore(_) => self.recovery_too_late(call),
            Kind::End | Kind::Command | Kind::Announce(_) | Kind::Knock(_) => {
                let relay = pending.relay.clone().or_else(|| self.own_relay.clone());
                let about = pending.about;
                let failure = relay.and_then(|relay| match self.relays.is_full(&relay) {
                    true => Some(relay_full()),
                    false => self.relays.failure(&relay),
                });
                let failure = failure.or_else(|| self.vault_waits(about?));
                let silent = || unreachable("the relay does not answer");
                self.fail(call, failure.unwrap_or_else(silent));
            }
        }
    }

    /// The relay was not reached in time; the letter stays and leaves later.
    fn left_to_the_outbox(&mut self, call: u64, letter: &LetterId, wait: bool) {
        let why = self
            .own_relay
            .as_ref()
            .and_then(|relay| self.relays.failure(relay));
        if wait {
            let message = "the relay has not accepted the letter yet; it stays in the outbox and leaves later";
            let hint = "any later command of this home sends it, for example `letterlock receive`";
            let kind = why
                .filter(|why| why.kind == FailureKind::Refused)
                .map_or(FailureKind::Unreachable, |why| why.kind);
            self.fail(call, failure(kind, message, Some(hint)));
            return;
        }
        let mut last = Vec::new();
        if let Ok(Some(letter)) = self.engine.letter(&self.store, letter) {
            let message = "the relay has not accepted the letter yet; it stays in the outbox and leaves later";
            let notice = Notice {
                notice: "letter_in_outbox".to_owned(),
                message: message.to_owned(),
            };
            last.push(Answer::Notice(notice));
            last.push(Answer::Letter(self.view_letter(&letter)));
        }
        last.push(Answer::Done);
        self.finish(call, last);
    }

    /// A store that fails ends what waits for it: nothing can be promised any more. So does a revocation.
    pub(super) fn end_all(&mut self, error: &EngineError) {
        let failure = Failure::from(error.clone());
        // Whoever ended the account waits for the relay.
        let stays = |pending: &Pending| {
            *error == EngineError::AccountEnded && matches!(pending.kind, Kind::Settle(_))
        };
        let open = self.calls.open.iter();
        let calls = open.filter(|(_, pending)| !stays(pending));
        let calls: Vec<u64> = calls.map(|(call, _)| *call).collect();
        for call in calls {
            self.fail(call, failure.clone());
        }
    }

    /// Time a command waits for a relay.
    pub(super) fn wait_for_relay(&mut self, call: u64) {
        self.wait_until(call, limits::COMMAND);
    }
}
