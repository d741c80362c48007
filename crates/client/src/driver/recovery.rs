//! The recovery sheet on its two ways: drawn, retyped and in force; or taken from the drawer after a loss.
//!
//! ```text
//!   sheet:    (Unlock ─►) Draw ─► the sheet is shown;  retyped: (Unlock ─►) Backup ─the first head is stored─► done
//!   restore:  Knocking ─the relay answers─► parts come ─Linked─► Settle
//! ```
//!
//! Both go on in any later process of the home.

use super::Loop;
use super::begin::{Begun, suite_named};
use super::calls::{About, Kind, Pending};
use super::guardians::NewGuardians;
use super::settle::Settling;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal, unreachable};
use crate::limits;
use crate::names;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind, HiddenText, Notice, Progress, Restored, Sheet};
use engine::{CommandId, EngineError, Event, Hidden, Input, Snapshot as _, StoreError, Table};
use keys::Suite;
use keys::account_log::{LogError, Method};
use keys::sheet::SheetSecret;
use std::time::Instant;
use tokio::sync::mpsc;

/// A request for a sheet, or for what it unlocks.
pub(super) enum Making {
    /// The root key comes out of the bundle; then this.
    Unlock(Next),
    /// A sheet is drawn.
    Draw,
    /// The sheet was retyped; so many parts of the first backup are at the relay.
    Backup(u64),
}

/// What needs the root key.
pub(super) enum Next {
    /// A sheet is drawn.
    Draw,
    /// This sheet comes into force.
    Confirm(SheetSecret),
    /// The account gets a new root key.
    RotateRoot,
    /// The account takes a higher suite.
    Upgrade(Suite),
    /// The account ends.
    EndAccount,
    /// These become the guardians.
    Guardians(NewGuardians),
}

/// A restoration that somebody waits for.
pub(super) struct Restoring {
    /// The sheet, until the relay answers.
    sheet: Option<SheetSecret>,
    /// Guardians and the delay are waited for, until then at the longest.
    waits: Option<Option<Instant>>,
    name: String,
    /// When the backup was written, in seconds since 1970.
    backup_at: u64,
    complete: bool,
}

impl Restoring {
    /// One that guardians allow, and that is waited for so long.
    pub(super) fn by_guardians(until: Option<Instant>) -> Self {
        Self {
            sheet: None,
            waits: Some(until),
            name: String::new(),
            backup_at: 0,
            complete: true,
        }
    }

    /// Whether it waits for people and time.
    pub(super) fn waits(&self) -> bool {
        self.waits.is_some()
    }
}

impl Loop {
    pub(super) fn begin_for_recovery(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::AccountEnd { sheet } => {
                self.own()?;
                match sheet {
                    Some(sheet) => self.unlock(answers, &sheet, Next::EndAccount),
                    None => {
                        let pending = Pending::new(answers, Kind::End);
                        self.command(pending, |command| Input::EndAccount { command })
                    }
                }
            }
            Request::AccountUpgrade { suite, sheet } => {
                self.account_upgrade(answers, &suite, sheet.as_ref())
            }
            Request::DeviceRotateRoot { sheet } => {
                self.own()?;
                self.unlock(answers, &sheet, Next::RotateRoot)
            }
            Request::RecoverySheet { old } => self.recovery_sheet(answers, old.as_ref()),
            Request::SheetRetyped { sheet, old } => {
                self.sheet_retyped(answers, &sheet, old.as_ref())
            }
            Request::RecoveryRestore { sheet, relay, name } => {
                self.recovery_restore(answers, &sheet, &relay, name.as_deref())
            }
            Request::RecoveryStatus => self.recovery_status().map(Some),
            request => self.begin_for_guardians(answers, request),
        }
    }

    fn account_upgrade(
        &mut self,
        answers: mpsc::Sender<Answer>,
        suite: &str,
        sheet: Option<&HiddenText>,
    ) -> Begun {
        self.own()?;
        let suite = suite_named(suite)?;
        if let Some(sheet) = sheet {
            return self.unlock(answers, sheet, Next::Upgrade(suite));
        }
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Account);
        self.command(pending, |command| Input::UpgradeSuite { command, suite })
    }

    fn recovery_sheet(&mut self, answers: mpsc::Sender<Answer>, old: Option<&HiddenText>) -> Begun {
        let (own, log) = self.own()?;
        if !log
            .device(&own.device)
            .is_some_and(|device| device.is_admin())
        {
            return Err(EngineError::NotSenior.into());
        }
        if let Some(old) = old {
            return self.unlock(answers, old, Next::Draw);
        }
        if !own.has_root_key() {
            let message = match log.recovery(Method::Sheet) {
                Some(_) => {
                    "the root key is in the backup of the sheet before, which ends with it; if you have that sheet, do \
                     not retype this one, but type: letterlock recovery sheet --old -"
                }
                None => {
                    "the root key is not on this device, and this sheet will not open it; it is on the device on \
                     which the account was made"
                }
            };
            let notice = "root_key_elsewhere".to_owned();
            let message = message.to_owned();
            let _ = answers.try_send(Answer::Notice(Notice { notice, message }));
        }
        let pending = Pending::new(answers, Kind::Sheet(Making::Draw));
        self.command(pending, |command| Input::MakeSheet { command })
    }

    fn sheet_retyped(
        &mut self,
        answers: mpsc::Sender<Answer>,
        retyped: &HiddenText,
        old: Option<&HiddenText>,
    ) -> Begun {
        self.own()?;
        let retyped = names::sheet(retyped)?;
        // Again: a backup that was written meanwhile has put the root key back.
        if let Some(old) = old {
            return self.unlock(answers, old, Next::Confirm(retyped));
        }
        let pending = Pending::new(answers, Kind::Sheet(Making::Backup(0)));
        self.command(pending, |command| confirm(command, retyped))
    }

    pub(super) fn unlock(
        &mut self,
        answers: mpsc::Sender<Answer>,
        sheet: &HiddenText,
        next: Next,
    ) -> Begun {
        let sheet = Hidden(names::sheet(sheet)?);
        let pending = Pending::new(answers, Kind::Sheet(Making::Unlock(next)));
        self.command(pending, |command| Input::UnlockRoot { command, sheet })
    }

    /// A command for a sheet is done: its next one begins, or the request ends. False if it is none.
    pub(super) fn sheet_goes_on(&mut self, call: u64) -> bool {
        let Some(pending) = self.calls.open.get_mut(&call) else {
            return false;
        };
        let Kind::Sheet(making) = &mut pending.kind else {
            return false;
        };
        match std::mem::replace(making, Making::Draw) {
            Making::Unlock(next) => self.unlocked(call, next),
            Making::Draw => match self.shown_sheet() {
                Ok(sheet) => self.finish(call, vec![Answer::Sheet(sheet), Answer::Done]),
                Err(failure) => self.fail(call, failure),
            },
            Making::Backup(_) => self.backed_up(call),
        }
        true
    }

    /// The first backup is at the relay. Guardians are shown when the relay has their shares.
    fn backed_up(&mut self, call: u64) {
        let pending = self.calls.open.get(&call);
        match pending.and_then(|pending| pending.about) {
            Some(About::Guardians) => self.settle_call(call, Settling::Guardians),
            _ => self.finish(call, vec![Answer::Done]),
        }
    }

    fn unlocked(&mut self, call: u64, next: Next) {
        let command = self.calls.command(call);
        let mut about = About::Account;
        let (kind, input) = match next {
            Next::Draw => (Kind::Sheet(Making::Draw), Input::MakeSheet { command }),
            Next::Confirm(sheet) => (Kind::Sheet(Making::Backup(0)), confirm(command, sheet)),
            Next::RotateRoot => (Kind::Command, Input::RotateRoot { command }),
            Next::Upgrade(suite) => (Kind::Command, Input::UpgradeSuite { command, suite }),
            Next::EndAccount => (Kind::End, Input::EndAccount { command }),
            Next::Guardians(new) => {
                about = About::Guardians;
                (Kind::Sheet(Making::Backup(0)), new.input(command))
            }
        };
        if let Some(pending) = self.calls.open.get_mut(&call) {
            pending.kind = kind;
            pending.about = Some(about);
        }
        if let Err(error) = self.feed(input) {
            self.fail(call, error.into());
        }
    }

    fn shown_sheet(&self) -> Result<Sheet, Failure> {
        let sheet = self.engine.sheet(&self.store)?;
        let sheet = sheet.ok_or_else(|| internal("no sheet was drawn"))?;
        let sheet = HiddenText::from(sheet.to_string());
        Ok(Sheet { sheet })
    }

    /// Another part of the first backup is at the relay.
    pub(super) fn backup_progress(&mut self) {
        let mut waiting = Vec::new();
        for (call, pending) in &mut self.calls.open {
            if let Kind::Sheet(Making::Backup(parts)) = &mut pending.kind {
                *parts = parts.saturating_add(1);
                let _ = pending
                    .answers
                    .try_send(Answer::Progress(progress("backup", *parts, 0)));
                waiting.push(*call);
            }
        }
        for call in waiting {
            self.wait_until(call, limits::PART);
        }
    }

    fn recovery_restore(
        &mut self,
        answers: mpsc::Sender<Answer>,
        sheet: &HiddenText,
        relay: &str,
        name: Option<&str>,
    ) -> Begun {
        if self.engine.account(&self.store)?.is_some() {
            let error = EngineError::AccountExists;
            let hint =
                "see it with `letterlock account show`; restore into another home: `--home DIR`";
            return Err(failure(FailureKind::Failed, error.to_string(), Some(hint)));
        }
        let restoring = Restoring {
            sheet: Some(names::sheet(sheet)?),
            waits: None,
            name: match name {
                Some(name) => names::device_name(name)?,
                None => os::host_name(),
            },
            backup_at: 0,
            complete: true,
        };
        let relay = RelayUrl::parse(relay)?.canonical();
        let mut pending = Pending::new(answers, Kind::Restore(Box::new(restoring)));
        pending.relay = Some(relay.clone());
        let call = self.calls.add(pending);
        self.wait_for_relay(call);
        self.relays.connect(&relay);
        if self.relays.is_up(&relay) {
            self.restore_at(&relay);
        }
        Ok(None)
    }

    /// The relay answers: a restoration may begin. Before that nothing is stored.
    pub(super) fn restore_at(&mut self, relay: &str) {
        let mut begins = Vec::new();
        let mut goes_on = Vec::new();
        for (call, pending) in &mut self.calls.open {
            match &mut pending.kind {
                Kind::Restore(restoring)
                    if !restoring.waits() && pending.relay.as_deref() == Some(relay) =>
                {
                    match restoring.sheet.take() {
                        Some(sheet) => begins.push((*call, sheet, restoring.name.clone())),
                        None => goes_on.push(*call),
                    }
                }
                Kind::Sheet(Making::Backup(_)) => goes_on.push(*call),
                _ => {}
            }
        }
        for call in goes_on {
            self.wait_until(call, limits::PART);
        }
        for (call, sheet, name) in begins {
            self.restore(call, sheet, relay, name);
        }
    }

    fn restore(&mut self, call: u64, sheet: SheetSecret, relay: &str, name: String) {
        // What an earlier process began may have come to its end while the relay was called.
        if matches!(self.engine.account(&self.store), Ok(Some(_))) {
            return self.restored(call);
        }
        let command = self.calls.command(call);
        self.wait_until(call, limits::PART);
        let begun = self.feed(Input::RestoreBySheet {
            command,
            sheet: Hidden(sheet),
            relay: relay.to_owned(),
            name,
        });
        if let Err(error) = begun {
            self.fail(call, error.into());
        }
        self.learn_own_relay();
    }

    /// History comes.
    pub(super) fn restore_progress(&mut self, done: u64, total: u64) {
        for call in self.restorations() {
            self.wait_until(call, limits::PART);
            if let Some(pending) = self.calls.open.get(&call) {
                let progress = progress("restore", done, total);
                let _ = pending.answers.try_send(Answer::Progress(progress));
            }
        }
    }

    fn restorations(&self) -> Vec<u64> {
        let restores = |pending: &Pending| matches!(pending.kind, Kind::Restore(_));
        let open = self.calls.open.iter();
        open.filter(|(_, pending)| restores(pending))
            .map(|(call, _)| *call)
            .collect()
    }

    fn change_restorations(&mut self, change: impl Fn(&mut Restoring)) {
        for pending in self.calls.open.values_mut() {
            if let Kind::Restore(restoring) = &mut pending.kind {
                change(restoring);
            }
        }
    }

    /// The backup says when it was written.
    pub(super) fn restored_from(&mut self, at: keys::Timestamp) {
        self.change_restorations(|restoring| restoring.backup_at = at.as_secs());
        self.change_restorations(|restoring| restoring.waits = None);
        for call in self.restorations() {
            self.wait_until(call, limits::PART);
        }
    }

    /// A part of the history did not come, or a recovery moved on.
    pub(super) fn recovery_event(&mut self, event: &Event) {
        match event {
            Event::HistoryMissing => {
                self.change_restorations(|restoring| restoring.complete = false);
            }
            Event::RecoveryRequested { .. } => self.raise_alarm(),
            Event::RecoveryApproved { .. } | Event::RecoveryOpens { .. } => {
                self.recovery_progress();
            }
            Event::RecoveryEnded { .. } => self.recovery_ended(),
            _ => {}
        }
    }

    /// The account is back.
    pub(super) fn restored(&mut self, call: u64) {
        let Some(pending) = self.calls.open.get(&call) else {
            return;
        };
        let Kind::Restore(restoring) = &pending.kind else {
            return;
        };
        let (backup_at, complete) = (restoring.backup_at, restoring.complete);
        match self.count() {
            Ok((contacts, letters)) => {
                let restored = Restored {
                    backup_at,
                    contacts,
                    letters,
                    complete,
                };
                self.settle_call(call, Settling::Restored(restored));
            }
            Err(error) => self.fail(call, error.into()),
        }
    }

    fn count(&self) -> Result<(u64, u64), StoreError> {
        let contacts = self.engine.contacts(&self.store)?.len();
        let letters = self
            .store
            .scan(Table::Conversation, &[], None, usize::MAX)?;
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        Ok((number(contacts), number(letters.len())))
    }

    /// Why a command failed, in the words that fit what it was for.
    pub(super) fn recovery_failure(&mut self, call: u64, error: EngineError) -> Failure {
        let kind = self.calls.open.get(&call).map(|pending| &pending.kind);
        let asks = match kind {
            Some(Kind::Ask(_)) => true,
            Some(Kind::Restore(_)) => false,
            _ => return error.into(),
        };
        self.recovery_ended();
        match error {
            EngineError::LogRefuses {
                error: LogError::NoRecovery { .. },
            } if asks => {
                let message = "this account has no guardians";
                let hint = "if there is a recovery sheet: letterlock recovery restore";
                failure(FailureKind::Refused, message, Some(hint))
            }
            EngineError::LogRefuses { error } => {
                let message =
                    format!("the relay's copy of the account log does not fit the backup: {error}");
                let hint = "the relay may hide something, or was set back: ask its operator, and keep the sheet";
                failure(FailureKind::Refused, message, Some(hint))
            }
            error => error.into(),
        }
    }

    /// The relay did not answer in time.
    pub(super) fn recovery_too_late(&mut self, call: u64) {
        let Some(pending) = self.calls.open.get(&call) else {
            return;
        };
        if matches!(&pending.kind, Kind::Restore(restoring) if restoring.waits()) {
            let failure = self.waited_in_vain();
            return self.fail(call, failure);
        }
        let relay = pending.relay.clone().or_else(|| self.own_relay.clone());
        let why = relay.and_then(|relay| self.relays.failure(&relay));
        let mut why = why.unwrap_or_else(|| unreachable("the relay does not answer"));
        match &pending.kind {
            Kind::Sheet(Making::Backup(_)) => {
                why.message = format!("{}; the first backup is not written yet", why.message);
                let hint = "any later command of this home goes on, for example `letterlock receive`; then see \
                            `letterlock recovery status`";
                why.hint = Some(hint.to_owned());
            }
            Kind::Ask(asking) if !asking.is_new() => {
                let hint = "type the same command again: it goes on where it was";
                why.hint = Some(hint.to_owned());
            }
            Kind::Restore(restoring) if restoring.sheet.is_none() => {
                let hint = "type the same command again: it goes on where it was";
                why.hint = Some(hint.to_owned());
            }
            _ => {}
        }
        self.fail(call, why);
    }

    /// The newest letters go into the backup.
    pub(super) fn last_backup(&mut self) {
        if matches!(self.engine.is_revoked(&self.store), Ok(false)) {
            self.take(Input::Closing);
        }
    }
}

fn confirm(command: CommandId, retyped: SheetSecret) -> Input {
    Input::ConfirmSheet {
        command,
        sheet: Hidden(retyped),
    }
}

fn progress(what: &str, done: u64, total: u64) -> Progress {
    Progress {
        what: what.to_owned(),
        name: "history".to_owned(),
        done,
        total,
    }
}
