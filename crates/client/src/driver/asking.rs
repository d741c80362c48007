//! A bare home comes back through the guardians of an account.
//!
//! ```text
//!   request:   Ask ─the relay answers─► the request stands in the log ─► the code is shown
//!   continue:  waits ─enough guardians, the delay is over─► history comes ─Linked─► Settle
//! ```
//!
//! Both go on in any later process of the home.

use super::Loop;
use super::begin::Begun;
use super::calls::{Kind, Pending};
use super::guardians::whole_hour;
use super::recovery::Restoring;
use super::settle::Settling;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::limits;
use crate::names;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::render::span;
use crate::view::{Failure, FailureKind, HiddenText, Notice, RecoveryProgress, RecoveryRequest};
use engine::records::Lost;
use engine::{CommandId, EngineError, Input};
use std::time::Duration;
use tokio::sync::mpsc;

/// A wish to come back that somebody waits for.
pub(super) struct Asking {
    /// For what, until the relay answers.
    wish: Option<(Lost, String)>,
}

impl Asking {
    /// Whether the relay has not answered yet, and nothing is stored.
    pub(super) fn is_new(&self) -> bool {
        self.wish.is_some()
    }
}

impl Loop {
    pub(super) fn begin_asking(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::RecoveryRequest {
                account,
                relay,
                name,
            } => self.recovery_request(answers, &account, &relay, name.as_deref()),
            Request::RecoveryContinue { timeout_ms } => self.recovery_continue(answers, timeout_ms),
            Request::RecoveryAbandon => self.recovery_abandon(answers),
            _ => Err(internal("a request that nobody serves")),
        }
    }

    fn has_account(&self) -> Result<bool, Failure> {
        Ok(self.engine.account(&self.store)?.is_some())
    }

    fn recovery_request(
        &mut self,
        answers: mpsc::Sender<Answer>,
        account: &str,
        relay: &str,
        name: Option<&str>,
    ) -> Begun {
        if self.has_account()? {
            let error = EngineError::AccountExists;
            let hint = "see it with `letterlock account show`; ask from another home: `--home DIR`";
            return Err(failure(FailureKind::Failed, error.to_string(), Some(hint)));
        }
        let lost = names::lost(account)?;
        let name = match name {
            Some(name) => names::device_name(name)?,
            None => os::host_name(),
        };
        let relay = RelayUrl::parse(relay)?.canonical();
        if let Some(before) = self.engine.recovery_request(&self.store)?
            && (before.lost != lost || self.own_relay.as_deref() != Some(relay.as_str()))
        {
            let message =
                "this home asks for another account already, or for this one in other words";
            let hint = "type the same words as before, or give that request up: `letterlock recovery abandon`";
            return Err(failure(FailureKind::Failed, message, Some(hint)));
        }
        let wish = Some((lost, name));
        let mut pending = Pending::new(answers, Kind::Ask(Box::new(Asking { wish })));
        pending.relay = Some(relay.clone());
        let call = self.calls.add(pending);
        self.wait_for_relay(call);
        self.relays.connect(&relay);
        if self.relays.is_up(&relay) {
            self.ask_at(&relay);
        }
        Ok(None)
    }

    /// The relay answers: a wish may go into the log. Before that nothing is stored.
    pub(super) fn ask_at(&mut self, relay: &str) {
        let mut begins = Vec::new();
        for (call, pending) in &mut self.calls.open {
            if let Kind::Ask(asking) = &mut pending.kind
                && pending.relay.as_deref() == Some(relay)
                && let Some(wish) = asking.wish.take()
            {
                begins.push((*call, wish));
            }
        }
        for (call, (lost, name)) in begins {
            let command = self.calls.command(call);
            self.wait_for_relay(call);
            let begun = self.feed(Input::RequestRecovery {
                command,
                lost,
                relay: relay.to_owned(),
                name,
            });
            if let Err(error) = begun {
                self.fail(call, error.into());
            }
            self.learn_own_relay();
        }
    }

    /// The relay takes nothing for a while: another request may stand in the log.
    pub(super) fn asked_to_wait(&mut self, message: &str, pause_ms: u64) {
        let seconds = pause_ms.div_ceil(1000);
        let unit = if seconds > 2 * 3600 { 3600 } else { 60 };
        let rounded = seconds.div_ceil(unit).saturating_mul(unit);
        let message = format!("the relay asks to wait {}: {message}", span(rounded));
        let notice = Answer::Notice(Notice {
            notice: "relay_asks_to_wait".to_owned(),
            message: message.clone(),
        });
        let waits = |kind: &Kind| matches!(kind, Kind::Restore(restoring) if restoring.waits());
        self.calls.tell(&notice, waits);
        let asks = |pending: &Pending| matches!(pending.kind, Kind::Ask(_));
        let open = self.calls.open.iter();
        let asking: Vec<u64> = open
            .filter(|(_, pending)| asks(pending))
            .map(|(call, _)| *call)
            .collect();
        for call in asking {
            let hint = "type the same command then; if somebody else asks, a device that is left refuses it at once: \
                        letterlock recovery cancel";
            self.fail(
                call,
                failure(FailureKind::Refused, message.clone(), Some(hint)),
            );
        }
    }

    /// The request stands in the log.
    pub(super) fn requested(&mut self, call: u64) {
        let waits = |pending: &Pending| matches!(pending.kind, Kind::Restore(_));
        if self.calls.open.get(&call).is_some_and(waits) {
            // Somebody who waits for the end came before the code was there.
            return self.carry_on(call);
        }
        match self.shown_code() {
            Ok(request) => {
                self.finish(call, vec![Answer::RecoveryRequest(request), Answer::Done]);
            }
            Err(failure) => self.fail(call, failure),
        }
    }

    fn shown_code(&self) -> Result<RecoveryRequest, Failure> {
        let state = self.engine.recovery_request(&self.store)?;
        let state = state.ok_or_else(|| internal("a request is gone"))?;
        let (Some(code), Some(account), Some(ready)) = (state.code, state.account, state.ready)
        else {
            return Err(internal("a request does not stand in its log"));
        };
        Ok(RecoveryRequest {
            code: HiddenText::from(code.to_string()),
            account_id: account.to_string(),
            need: state.need,
            ready_at: whole_hour(ready),
        })
    }

    fn recovery_continue(
        &mut self,
        answers: mpsc::Sender<Answer>,
        timeout_ms: Option<u64>,
    ) -> Begun {
        if self.has_account()? {
            return Err(EngineError::AccountExists.into());
        }
        let patience = timeout_ms.map(Duration::from_millis);
        let until = patience.and_then(|patience| os::instant().checked_add(patience));
        let restoring = Restoring::by_guardians(until);
        let mut pending = Pending::new(answers, Kind::Restore(Box::new(restoring)));
        pending.relay = self.own_relay.clone();
        pending.deadline = until;
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
        let call = self.calls.add(pending);
        self.recovery_progress();
        self.carry_on(call);
        Ok(None)
    }

    fn carry_on(&mut self, call: u64) {
        let command = self.calls.command(call);
        if let Err(error) = self.feed(Input::ContinueRecovery { command }) {
            self.fail(call, error.into());
        }
    }

    /// Tells whoever waits how far it is.
    pub(super) fn recovery_progress(&self) {
        if let Some(progress) = self.progress_of_asking() {
            let waits = |kind: &Kind| matches!(kind, Kind::Restore(restoring) if restoring.waits());
            self.calls.tell(&Answer::RecoveryProgress(progress), waits);
        }
    }

    fn progress_of_asking(&self) -> Option<RecoveryProgress> {
        let state = self.engine.recovery_request(&self.store).ok()??;
        state.code.as_ref()?;
        Some(RecoveryProgress {
            got: state.got,
            need: state.need,
            ready_at: state.ready.map(whole_hour),
            opens_at: state.opens_at.map(|at| at.as_secs()),
        })
    }

    /// Nobody waits longer; the request stays.
    pub(super) fn waited_in_vain(&self) -> Failure {
        let message = match self.progress_of_asking() {
            Some(now) if now.got < now.need => format!(
                "the account is not back yet: {} of {} guardians have said yes",
                now.got, now.need
            ),
            Some(_) => "the account is not back yet: the delay is not over".to_owned(),
            None => "the account is not back yet: the relay has not answered".to_owned(),
        };
        let hint = "the request stays; at any time: letterlock recovery continue";
        failure(FailureKind::Failed, message, Some(hint))
    }

    fn recovery_abandon(&mut self, answers: mpsc::Sender<Answer>) -> Begun {
        if self.has_account()? {
            return Err(EngineError::NoRecoveryUnderWay.into());
        }
        let settling = Kind::Settle(Settling::Abandoned);
        let call = self.calls.add(Pending::new(answers, settling));
        self.wait_until(call, limits::LAST_ATTEMPTS);
        // Not the command's end is waited for, but the relay's word that the mailbox is gone.
        let command = CommandId::default();
        if let Err(error) = self.feed(Input::AbandonRecovery { command }) {
            self.calls.open.remove(&call);
            return Err(error.into());
        }
        Ok(None)
    }

    /// What this home asked for came to nothing: there is no account, and the next attempt may choose another
    /// passphrase.
    pub(super) fn recovery_ended(&mut self) {
        self.learn_own_relay();
        self.abandoned = self.own_relay.is_none();
    }
}
