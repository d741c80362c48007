//! Guardians from both sides: chosen, looked after and ended by the owner; a share kept and handed over by a contact.

use super::Loop;
use super::begin::Begun;
use super::calls::{About, Kind, Pending};
use super::recovery::{Making, Next};
use super::settle::Settling;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::limits;
use crate::names;
use crate::view::{
    Failure, FailureKind, Guardian, Guardians, HiddenText, Notice, OpenRequest, RecoveryMethod,
    Share,
};
use engine::records::{Contact, Trust};
use engine::{CommandId, EngineError, Hidden, Input};
use keys::account_log::Method;
use keys::{AccountId, Timestamp};
use tokio::sync::mpsc;

/// Guardians to be.
pub(super) struct NewGuardians {
    need: u8,
    guardians: Vec<AccountId>,
    delay_seconds: u64,
}

impl NewGuardians {
    /// Sets them.
    pub(super) fn input(self, command: CommandId) -> Input {
        Input::SetGuardians {
            command,
            need: self.need,
            guardians: self.guardians,
            delay_seconds: self.delay_seconds,
        }
    }
}

impl Loop {
    pub(super) fn begin_for_guardians(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::GuardiansSet {
                need,
                guardians,
                delay_seconds,
                sheet,
            } => self.guardians_set(answers, need, &guardians, delay_seconds, sheet.as_ref()),
            Request::GuardiansShow => {
                self.own()?;
                self.look(answers, Settling::Guardians);
                Ok(None)
            }
            Request::RecoveryClear { method } => self.recovery_clear(answers, method),
            Request::RecoveryCancel => self.recovery_cancel(answers),
            Request::RecoveryApprove { contact, code } => {
                self.recovery_approve(answers, &contact, &code)
            }
            Request::RecoveryShares => self.recovery_shares().map(Some),
            request => self.begin_asking(answers, request),
        }
    }

    fn guardians_set(
        &mut self,
        answers: mpsc::Sender<Answer>,
        need: u8,
        guardians: &[String],
        delay_seconds: Option<u64>,
        sheet: Option<&HiddenText>,
    ) -> Begun {
        let found = guardians.iter().map(|who| self.find(who));
        let contacts: Vec<Contact> = found.collect::<Result<_, _>>()?;
        if let Some(failure) = contacts.iter().find_map(cannot_guard) {
            return Err(failure);
        }
        let listener = answers.clone();
        let new = NewGuardians {
            need,
            guardians: contacts.iter().map(|contact| contact.id).collect(),
            delay_seconds: delay_seconds.unwrap_or(engine::limits::GUARDIAN_DELAY_SECONDS),
        };
        let has_root = self.own()?.0.has_root_key();
        let begun = match sheet {
            Some(sheet) if !has_root => self.unlock(answers, sheet, Next::Guardians(new)),
            _ => {
                let mut pending = Pending::new(answers, Kind::Sheet(Making::Backup(0)));
                pending.about = Some(About::Guardians);
                self.command(pending, |command| new.input(command))
            }
        }?;
        let tell = |notice: &str, message: String| {
            let notice = notice.to_owned();
            let _ = listener.try_send(Answer::Notice(Notice { notice, message }));
        };
        if !has_root && sheet.is_none() {
            let message = "the root key is not on this device, and the backup of these guardians will not hold it; if it is \
                           in that of the sheet, type the command again with --sheet -";
            tell("root_key_elsewhere", message.to_owned());
        }
        let unknown = contacts.iter().filter(|one| one.trust == Trust::Claimed);
        let unknown: Vec<&str> = unknown.map(|contact| contact.petname.as_str()).collect();
        if !unknown.is_empty() {
            let message = format!(
                "not verified: {}; if one of them is somebody else, that one keeps the share; letterlock contact verify \
                 NAME tells",
                unknown.join(", ")
            );
            tell("guardian_unverified", message);
        }
        Ok(begun)
    }

    fn recovery_clear(&mut self, answers: mpsc::Sender<Answer>, method: RecoveryMethod) -> Begun {
        let (_, log) = self.own()?;
        let (method, message) = match method {
            RecoveryMethod::Sheet => (Method::Sheet, "there is no sheet in force"),
            RecoveryMethod::Guardians => (Method::Guardians, "there are no guardians"),
        };
        if log.recovery(method).is_none() {
            let hint = Some("see `letterlock recovery status`");
            return Err(failure(FailureKind::NotFound, message, hint));
        }
        let pending = Pending::new(answers, Kind::Command);
        self.command(pending, |command| Input::ClearRecovery { command, method })
    }

    fn recovery_cancel(&mut self, answers: mpsc::Sender<Answer>) -> Begun {
        let (_, log) = self.own()?;
        if log.open_request().is_some() {
            let mut pending = Pending::new(answers, Kind::Command);
            pending.about = Some(About::Guardians);
            return self.command(pending, |command| Input::CancelRecovery { command });
        }
        // The relay may know more than this device.
        self.look(answers, Settling::Cancel);
        Ok(None)
    }

    /// Asks the relay for the newest log and the state of the lock before something is shown or done.
    fn look(&mut self, answers: mpsc::Sender<Answer>, then: Settling) {
        let call = self.calls.add(Pending::new(answers, Kind::Settle(then)));
        self.wait_until(call, limits::CONNECT);
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
        self.take(Input::LookAtRecovery);
    }

    /// The relay told what it knows, or did not: a request that stands in the log is refused.
    pub(super) fn cancel_seen(&mut self, call: u64, told: bool) {
        let known = self.own().map(|(_, log)| log.open_request().is_some());
        match known {
            Ok(true) => {}
            Ok(false) if told => {
                let hint = Some("see `letterlock recovery guardians`");
                let why = failure(FailureKind::Refused, "nobody asks your guardians", hint);
                return self.fail(call, why);
            }
            Ok(false) => return self.recovery_too_late(call),
            Err(failure) => return self.fail(call, failure),
        }
        if let Some(pending) = self.calls.open.get_mut(&call) {
            pending.kind = Kind::Command;
            pending.about = Some(About::Guardians);
        }
        self.wait_for_relay(call);
        let command = self.calls.command(call);
        if let Err(error) = self.feed(Input::CancelRecovery { command }) {
            self.fail(call, error.into());
        }
    }

    fn recovery_approve(
        &mut self,
        answers: mpsc::Sender<Answer>,
        contact: &str,
        code: &HiddenText,
    ) -> Begun {
        let contact = self.find(contact)?;
        let code = names::request_code(code)?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Share(contact.id));
        pending.relay = Some(contact.relay);
        let contact = contact.id;
        self.command(pending, |command| Input::ApproveRecovery {
            command,
            contact,
            code: Hidden(code),
        })
    }

    pub(super) fn guardians_show(&self) -> Result<Vec<Answer>, Failure> {
        let Some(state) = self.engine.guardians(&self.store)? else {
            return Ok(Vec::new());
        };
        let guardian = |guardian: &engine::GuardianState| Guardian {
            contact: self.name_of(&guardian.account),
            account_id: guardian.account.to_string(),
            has_share: guardian.has_share,
        };
        Ok(vec![Answer::Guardians(Guardians {
            in_force: state.in_force,
            need: state.need,
            count: state.count,
            delay_seconds: state.delay_seconds,
            guardians: state.guardians.iter().map(guardian).collect(),
            root_key: state.root_key,
            request: state.request.as_ref().map(shown_request),
        })])
    }

    fn recovery_shares(&self) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let shares = self.engine.shares(&self.store)?;
        let mut shares: Vec<Share> = shares.iter().map(|share| self.view_share(share)).collect();
        shares.sort_by(|a, b| a.contact.cmp(&b.contact));
        Ok(shares.into_iter().map(Answer::Share).collect())
    }

    pub(super) fn share_show(&self, contact: &AccountId) -> Result<Vec<Answer>, Failure> {
        let shares = self.engine.shares(&self.store)?;
        let share = shares.iter().find(|share| share.account == *contact);
        let share = share.ok_or_else(|| internal("a share is gone"))?;
        Ok(vec![Answer::Share(self.view_share(share))])
    }

    fn view_share(&self, share: &engine::ShareState) -> Share {
        Share {
            contact: self.name_of(&share.account),
            account_id: share.account.to_string(),
            need: share.need,
            count: share.count,
            since: share.since.as_secs(),
        }
    }

    /// Tells whoever types anything that somebody asks for the account.
    pub(super) fn warn(&self, answers: &mpsc::Sender<Answer>, request: &Request) {
        // What is about to be shown, or refused, need not be said twice.
        let knows = matches!(
            request,
            Request::GuardiansShow | Request::RecoveryCancel | Request::LinkCompared { .. }
        );
        if let (false, Some(alarm)) = (knows, self.alarm_of()) {
            let _ = answers.try_send(alarm);
        }
    }

    /// Tells everybody who listens.
    pub(super) fn raise_alarm(&self) {
        if let Some(alarm) = self.alarm_of() {
            self.calls.tell(&alarm, |_| true);
        }
    }

    fn alarm_of(&self) -> Option<Answer> {
        let state = self.engine.guardians(&self.store).ok()??;
        Some(Answer::RecoveryAlarm(shown_request(
            state.request.as_ref()?,
        )))
    }
}

fn shown_request(open: &engine::OpenRequest) -> OpenRequest {
    OpenRequest {
        device_id: open.device.to_string(),
        asked_at: open.at.as_secs(),
        ready_at: whole_hour(open.ready),
    }
}

/// When the account log lets a device in: its entries tell the time in whole hours.
pub(super) fn whole_hour(ready: Timestamp) -> u64 {
    const HOUR_SECONDS: u64 = 3600;
    let hours = ready.as_secs().div_ceil(HOUR_SECONDS);
    hours.saturating_mul(HOUR_SECONDS)
}

/// Why a contact cannot be a guardian, by name: the engine says only that one of them cannot.
fn cannot_guard(contact: &Contact) -> Option<Failure> {
    let error = if contact.blocked {
        EngineError::Blocked
    } else if contact.changed {
        EngineError::IdentityChanged {
            contact: contact.id,
        }
    } else if contact.request {
        let message = format!(
            "{} wrote first and was not answered: it cannot be a guardian",
            contact.petname
        );
        let hint = "answer with a letter, once you know who it is";
        return Some(failure(FailureKind::Refused, message, Some(hint)));
    } else {
        return None;
    };
    let mut failure = Failure::from(error);
    failure.message = format!("{}: {}", contact.petname, failure.message);
    Some(failure)
}
