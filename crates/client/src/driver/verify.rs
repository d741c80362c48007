//! People make sure of each other: short codes that both compare, or a code that one of them scans.
//!
//! ```text
//!   Relay ─it answers─► Other ─SasReady─► Comparing ─a person: same─► Confirmed ─the other: same─► Settle
//! ```
//!
//! Up to the person's word a comparison belongs to whoever waits for it: when they go, it ends on both sides. After
//! that it goes on in any process of the home.

use super::Loop;
use super::begin::Begun;
use super::calls::{About, Kind, Pending};
use super::settle::Settling;
use crate::api::{Answer, Request};
use crate::os;
use crate::view::{Emoji, Failure, Notice, Sas, VerificationCode};
use engine::{EngineError, Input, SasError, VerificationMeans};
use keys::AccountId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// A comparison of short codes that somebody waits for.
pub(super) struct Comparing {
    contact: AccountId,
    stage: Stage,
    /// How long to wait for the other side.
    patience: Duration,
}

/// Contacts who want to compare short codes, and have not been answered.
#[derive(Default)]
pub(super) struct Wishes {
    /// Nobody here was told yet.
    new: BTreeSet<AccountId>,
    told: BTreeSet<AccountId>,
}

impl Wishes {
    /// A contact begins, or begins anew.
    pub(super) fn came(&mut self, contact: AccountId) {
        self.told.remove(&contact);
        self.new.insert(contact);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Our relay is to answer.
    Relay,
    /// The other side is to answer.
    Other,
    /// A person is to compare.
    Comparing,
    /// The person here has said that the codes are equal; the other one has not yet.
    Confirmed,
    /// The time for it is over.
    Late,
}

impl Comparing {
    /// Whether a relay that cannot be reached ends the wait.
    pub(super) fn needs_relay(&self) -> bool {
        self.stage == Stage::Relay
    }
}

impl Loop {
    /// Requests by which a contact is verified.
    pub(super) fn begin_for_verification(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::SafetyNumber { contact } => self.safety_number(&contact).map(Some),
            Request::ContactVerify { contact } => {
                let contact = self.find(&contact)?.id;
                let means = VerificationMeans::SafetyNumber;
                self.change(answers, contact, |command| Input::MarkVerified {
                    command,
                    contact,
                    means,
                })
            }
            Request::SasStart {
                contact,
                timeout_ms,
            } => self.sas_start(answers, &contact, Duration::from_millis(timeout_ms)),
            Request::SasCompared { contact, same } => self.sas_compared(&contact, same),
            Request::SasStop { contact } => {
                let contact = self.find(&contact)?.id;
                self.feed(Input::StopSas { contact })?;
                Ok(Some(Vec::new()))
            }
            Request::CodeShow { contact } => {
                let contact = self.find(&contact)?.id;
                self.change(answers, contact, |command| Input::ShowCode {
                    command,
                    contact,
                })
            }
            Request::CodeScanned { contact, code } => {
                let contact = self.find(&contact)?.id;
                self.change(answers, contact, |command| Input::CompareCode {
                    command,
                    contact,
                    scanned: code,
                })
            }
            request => self.begin_for_groups(answers, request),
        }
    }

    fn sas_start(
        &mut self,
        answers: mpsc::Sender<Answer>,
        contact: &str,
        patience: Duration,
    ) -> Begun {
        let contact = self.find(contact)?.id;
        let relay = self.own_relay.as_ref();
        let stage = match relay.is_some_and(|relay| self.relays.is_up(relay)) {
            true => Stage::Other,
            false => Stage::Relay,
        };
        let comparing = Comparing {
            contact,
            stage,
            patience,
        };
        let mut pending = Pending::new(answers, Kind::Sas(comparing));
        pending.about = Some(About::Contact(contact));
        let begun = self.command(pending, |command| Input::StartSas { command, contact })?;
        if let Some(call) = self.comparing(&contact)
            && matches!(self.sas_stage(call), Some(Stage::Relay | Stage::Other))
        {
            self.wait_until(call, patience);
        }
        Ok(begun)
    }

    /// Passes on what a person said.
    fn sas_compared(&mut self, contact: &str, same: bool) -> Begun {
        let contact = self.find(contact)?.id;
        self.feed(Input::ConfirmSas { contact, same })?;
        if let Some(call) = self.comparing(&contact) {
            self.sas_at_stage(call, Stage::Confirmed);
        }
        Ok(Some(Vec::new()))
    }

    /// The request that waits for a comparison with a contact.
    pub(super) fn comparing(&self, contact: &AccountId) -> Option<u64> {
        let with = |pending: &Pending| matches!(&pending.kind, Kind::Sas(comparing) if comparing.contact == *contact);
        let mut open = self.calls.open.iter().rev();
        open.find(|(_, pending)| with(pending))
            .map(|(call, _)| *call)
    }

    fn sas_stage(&self, call: u64) -> Option<Stage> {
        match &self.calls.open.get(&call)?.kind {
            Kind::Sas(comparing) => Some(comparing.stage),
            _ => None,
        }
    }

    /// Goes on to a stage; a person may take as long as the engine allows.
    fn sas_at_stage(&mut self, call: u64, stage: Stage) {
        if let Some(pending) = self.calls.open.get_mut(&call)
            && let Kind::Sas(comparing) = &mut pending.kind
        {
            comparing.stage = stage;
            pending.deadline = match stage {
                Stage::Comparing => None,
                _ => os::instant().checked_add(comparing.patience),
            };
        }
    }

    /// A relay answers: who waited for ours now waits for the other side.
    pub(super) fn sas_reaches(&mut self, relay: &str) {
        if self.own_relay.as_deref() != Some(relay) {
            return;
        }
        let calls: Vec<u64> = self.calls.open.keys().copied().collect();
        for call in calls {
            if self.sas_stage(call) == Some(Stage::Relay) {
                self.sas_at_stage(call, Stage::Other);
            }
        }
    }

    /// Finds the wishes that came before this process, for whoever listens now.
    pub(super) fn load_wishes(&mut self) -> Result<(), Failure> {
        let known = self.engine.sas_requests(&self.store, os::now())?;
        let told = &self.wishes.told;
        self.wishes
            .new
            .extend(known.into_iter().filter(|contact| !told.contains(contact)));
        Ok(())
    }

    /// Tells everybody who wants to compare. Not before all that lay at our relay is here: the wish may have been
    /// taken back.
    pub(super) fn tell_wishes(&mut self) {
        let all_here = |relay: &String| self.relays.caught_up(relay) && self.relays.answered(relay);
        let nobody_listens = self.calls.open.is_empty();
        if self.wishes.new.is_empty()
            || nobody_listens
            || !self.own_relay.as_ref().is_some_and(all_here)
        {
            return;
        }
        let new = std::mem::take(&mut self.wishes.new);
        let known = self.engine.sas_requests(&self.store, os::now());
        for contact in known.unwrap_or_default() {
            if !new.contains(&contact) {
                continue;
            }
            self.wishes.told.insert(contact);
            let name = self.name_of(&contact);
            let message = format!(
                "{name} wants to compare codes with you now; to join: letterlock contact verify {name} --sas"
            );
            let notice = "sas_requested".to_owned();
            self.calls.tell_all(&Notice { notice, message });
        }
    }

    /// Both sides show a code.
    pub(super) fn sas_ready(
        &mut self,
        contact: &AccountId,
        emoji: &[keys::sas::Emoji],
        digits: String,
    ) {
        let Some(call) = self.comparing(contact) else {
            return;
        };
        self.sas_at_stage(call, Stage::Comparing);
        let shown = |emoji: &keys::sas::Emoji| Emoji {
            symbol: emoji.symbol.to_owned(),
            name: emoji.name.to_owned(),
        };
        let sas = Sas {
            contact: self.name_of(contact),
            emoji: emoji.iter().map(shown).collect(),
            digits,
        };
        if let Some(pending) = self.calls.open.get(&call) {
            self.answer(pending.answers.clone(), vec![Answer::Sas(sas)]);
        }
    }

    /// Both people said that the codes are equal; false where the command was none of a comparison.
    pub(super) fn sas_done(&mut self, call: u64) -> bool {
        let compares = self.sas_stage(call).is_some();
        if compares {
            self.sas_verified(call, Vec::new());
        }
        compares
    }

    /// The contact is verified here. Our word may still be on its way to the other side.
    fn sas_verified(&mut self, call: u64, mut last: Vec<Answer>) {
        let about = self.calls.open.get(&call).and_then(|pending| pending.about);
        let Some(about) = about else { return };
        match self.view_about(about) {
            Ok(shown) => {
                last.extend(shown);
                self.settle_call(call, Settling::Told(last));
            }
            Err(failure) => self.fail(call, failure),
        }
    }

    /// The other side, or the relay, did not answer in time.
    pub(super) fn sas_too_late(&mut self, call: u64) {
        let Some(Kind::Sas(comparing)) = self.calls.open.get(&call).map(|pending| &pending.kind)
        else {
            return;
        };
        let contact = comparing.contact;
        // Ends with the command's outcome, unless a person here has said "equal", now or before a restart.
        self.sas_at_stage(call, Stage::Late);
        self.take(Input::StopSas { contact });
        if self.sas_stage(call).is_some() {
            let name = self.name_of(&contact);
            let message = format!(
                "{name} has not said yet whether the codes are equal; if they differ there, it is taken back here"
            );
            let notice = Notice {
                notice: "sas_one_sided".to_owned(),
                message,
            };
            self.sas_verified(call, vec![Answer::Notice(notice)]);
        }
    }

    /// A command failed: ends it once the other side can hear why. Returns the error where the command was none of a
    /// comparison.
    pub(super) fn sas_failed(&mut self, call: u64, error: EngineError) -> Option<EngineError> {
        let Some(Kind::Sas(comparing)) = self.calls.open.get(&call).map(|pending| &pending.kind)
        else {
            return Some(error);
        };
        let failure = match comparing.stage {
            Stage::Late => self.why_late(&comparing.contact),
            _ => error.into(),
        };
        let relay = self.own_relay.as_ref();
        if relay.is_some_and(|relay| self.relays.is_up(relay)) {
            self.settle_call(call, Settling::Failed(failure));
        } else {
            self.fail(call, failure);
        }
        None
    }

    /// Why nobody answered.
    fn why_late(&self, contact: &AccountId) -> Failure {
        let contact = self.engine.contact(&self.store, contact).ok().flatten();
        let relays = [self.own_relay.clone(), contact.map(|contact| contact.relay)];
        let mut relays = relays.into_iter().flatten();
        let why = relays.find_map(|relay| self.relays.failure(&relay));
        why.unwrap_or_else(|| EngineError::from(SasError::Expired).into())
    }

    /// Ends comparisons whose people left before they had compared.
    pub(super) fn stop_unwanted_sas(&mut self) {
        let unwanted = |pending: &Pending| match &pending.kind {
            Kind::Sas(comparing) if pending.answers.is_closed() => Some(comparing.contact),
            _ => None,
        };
        let open = &self.calls.open;
        let left: Vec<_> = open
            .iter()
            .filter_map(|(call, pending)| Some((*call, unwanted(pending)?)))
            .collect();
        for (call, contact) in left {
            self.calls.open.remove(&call);
            // Somebody else may have taken it over; what a person has confirmed stays.
            if self.comparing(&contact).is_none() {
                self.take(Input::StopSas { contact });
            }
        }
    }

    /// The code that a contact scans may be shown.
    pub(super) fn code_made(&mut self, call: u64, code: String) {
        let about = self.calls.open.get(&call).and_then(|pending| pending.about);
        let contact = match about {
            Some(About::Contact(contact)) => self.name_of(&contact),
            _ => String::new(),
        };
        let code = VerificationCode { contact, code };
        self.finish(call, vec![Answer::VerificationCode(code), Answer::Done]);
    }
}
