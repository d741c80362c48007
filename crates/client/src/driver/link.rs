//! A link under way, on either of its devices: the secret, the comparison, the wait.
//!
//! ```text
//!   offers:  Relay ─LinkReady─► Other ─PairingCode─► Comparing ─a person's word─► Compared ─Linked─► a device
//!   joins:   Knocking ─the relay answers─► Other ─PairingCode─► Comparing ───────► Compared ─Linked─► Settle
//! ```
//!
//! Up to the person's word a link belongs to whoever waits for it: when they go, it ends. After that it goes on
//! in any process of the home.

use super::Loop;
use super::begin::Begun;
use super::calls::{Kind, Pending};
use super::settle::Settling;
use crate::api::Answer;
use crate::failure::unreachable;
use crate::limits;
use crate::names;
use crate::os;
use crate::view::{Failure, HiddenText, Link, PairingCode, Progress};
use engine::{EngineError, Hidden, Input};
use keys::DeviceId;
use keys::link::LinkSecret;
use std::time::Duration;
use tokio::sync::mpsc;

/// A link under way that somebody waits for.
pub(super) struct Linking {
    stage: Stage,
    /// Whether this home is the one with the account.
    offers: bool,
    /// How long to wait for the other device.
    patience: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Our relay is to make the queue.
    Relay,
    /// The other device is to answer.
    Other,
    /// A person is to compare.
    Comparing,
    /// Nothing is to be said any more.
    Compared,
}

/// What a new device begins with, once its relay answers.
pub(super) struct Knock {
    secret: LinkSecret,
    name: String,
}

impl Linking {
    /// Whether a relay that cannot be reached ends the wait.
    pub(super) fn needs_relay(&self) -> bool {
        self.stage == Stage::Relay
    }

    /// Whether the link ends with whoever waits for it.
    fn is_undecided(&self) -> bool {
        self.stage != Stage::Compared
    }
}

impl Loop {
    pub(super) fn device_link(&mut self, answers: mpsc::Sender<Answer>, timeout_ms: u64) -> Begun {
        self.own()?;
        if self.linking().is_some() {
            return Err(EngineError::LinkUnderWay.into());
        }
        let linking = Linking {
            stage: Stage::Relay,
            offers: true,
            patience: Duration::from_millis(timeout_ms),
        };
        let pending = Pending::new(answers, Kind::Link(linking));
        self.command(pending, |command| Input::OfferLink { command })
    }

    pub(super) fn device_accept(
        &mut self,
        answers: mpsc::Sender<Answer>,
        secret: &HiddenText,
        relay: Option<&str>,
        name: Option<&str>,
    ) -> Begun {
        if self.engine.account(&self.store)?.is_some() {
            return Err(EngineError::AccountExists.into());
        }
        let knocks = |pending: &Pending| matches!(pending.kind, Kind::Knock(_));
        if self.linking().is_some() || self.calls.open.values().any(knocks) {
            return Err(EngineError::LinkUnderWay.into());
        }
        let (secret, relay) = names::link_secret(secret, relay)?;
        let name = match name {
            Some(name) => names::device_name(name)?,
            None => os::host_name(),
        };
        let knock = Knock { secret, name };
        let mut pending = Pending::new(answers, Kind::Knock(Box::new(knock)));
        pending.relay = Some(relay.clone());
        let call = self.calls.add(pending);
        self.wait_for_relay(call);
        self.relays.connect(&relay);
        if self.relays.is_up(&relay) {
            self.knock(&relay);
        }
        Ok(None)
    }

    /// The relay answers: who waits for it may knock. Before that nothing is stored.
    pub(super) fn knock(&mut self, relay: &str) {
        let knocks = |pending: &Pending| {
            matches!(pending.kind, Kind::Knock(_)) && pending.relay.as_deref() == Some(relay)
        };
        let open = &mut self.calls.open;
        let Some((call, pending)) = open.iter_mut().find(|(_, pending)| knocks(pending)) else {
            return;
        };
        let (call, goes_on) = (*call, self.own_relay.is_some());
        let linking = Linking {
            stage: Stage::Other,
            offers: false,
            patience: limits::LINK,
        };
        let before = std::mem::replace(&mut pending.kind, Kind::Link(linking));
        // A link that goes on where it was may be beyond the comparison: it has its own deadlines.
        pending.deadline = if goes_on {
            None
        } else {
            os::instant().checked_add(limits::LINK)
        };
        let Kind::Knock(knock) = before else { return };
        let Knock { secret, name } = *knock;
        let command = self.calls.command(call);
        let begun = self.feed(Input::AcceptLink {
            command,
            secret: Hidden(secret),
            relay: relay.to_owned(),
            name,
        });
        if let Err(error) = begun {
            self.fail(call, error.into());
        }
        self.learn_own_relay();
    }

    /// Passes on what a person said.
    pub(super) fn link_compared(&mut self, same: bool) -> Begun {
        let call = self.linking().ok_or(EngineError::NoLink)?;
        self.feed(Input::ConfirmLink { same })?;
        self.at_stage(call, Stage::Compared, None);
        Ok(Some(Vec::new()))
    }

    /// The request that waits for the link under way.
    pub(super) fn linking(&self) -> Option<u64> {
        let links = |pending: &Pending| matches!(pending.kind, Kind::Link(_));
        let mut open = self.calls.open.iter();
        open.find(|(_, pending)| links(pending))
            .map(|(call, _)| *call)
    }

    fn at_stage(&mut self, call: u64, stage: Stage, patience: Option<Duration>) {
        if let Some(pending) = self.calls.open.get_mut(&call)
            && let Kind::Link(linking) = &mut pending.kind
        {
            linking.stage = stage;
            pending.deadline = patience.and_then(|patience| os::instant().checked_add(patience));
        }
    }

    /// The secret may be shown.
    pub(super) fn link_ready(&mut self) {
        let Some(call) = self.linking() else { return };
        let Some(pending) = self.calls.open.get(&call) else {
            return;
        };
        let Kind::Link(linking) = &pending.kind else {
            return;
        };
        // The queue may be made once more, by a relay that forgot it.
        if linking.stage != Stage::Relay {
            return;
        }
        let (answers, patience) = (pending.answers.clone(), linking.patience);
        match self.shown_link() {
            Ok(link) => {
                self.answer(answers, vec![Answer::Link(link)]);
                self.at_stage(call, Stage::Other, Some(patience));
            }
            Err(failure) => self.fail(call, failure),
        }
    }

    fn shown_link(&self) -> Result<Link, Failure> {
        let (own, _) = self.own()?;
        let offer = self.engine.link_offer(&self.store)?;
        let offer = offer.ok_or(EngineError::NoLink)?;
        let valid_for = engine::limits::LINK_SECRET_SECONDS;
        Ok(Link {
            link: HiddenText::from(offer.code.to_string()),
            words: HiddenText::from(offer.words.to_string()),
            relay: own.relay,
            expires_at: os::now().as_secs().saturating_add(valid_for),
        })
    }

    /// Both devices show a code.
    pub(super) fn pairing(&mut self, code: String) {
        let Some(call) = self.linking() else { return };
        self.at_stage(call, Stage::Comparing, None);
        if let Some(pending) = self.calls.open.get(&call) {
            let answers = pending.answers.clone();
            self.answer(answers, vec![Answer::PairingCode(PairingCode { code })]);
        }
    }

    /// History moves.
    pub(super) fn link_progress(&mut self, done: u64, total: u64) {
        let Some(call) = self.linking() else { return };
        self.at_stage(call, Stage::Compared, None);
        if let Some(pending) = self.calls.open.get(&call) {
            let progress = Progress {
                what: "link".to_owned(),
                name: "history".to_owned(),
                done,
                total,
            };
            let _ = pending.answers.try_send(Answer::Progress(progress));
        }
    }

    /// The device is one of the account.
    pub(super) fn linked(&mut self, call: u64, device: DeviceId) {
        let links = self.calls.open.get(&call).map(|pending| &pending.kind);
        match links {
            Some(Kind::Link(linking)) if !linking.offers => {
                self.settle_call(call, Settling::Joined(device));
            }
            Some(Kind::Restore(_)) => self.restored(call),
            _ => match self.device(&device) {
                Ok(device) => self.finish(call, vec![Answer::Device(device), Answer::Done]),
                Err(failure) => self.fail(call, failure),
            },
        }
    }

    /// The link under way is none any more.
    pub(super) fn link_ended(&mut self) {
        self.learn_own_relay();
        self.abandoned = self.own_relay.is_none();
    }

    /// The other device, or the relay, did not answer in time.
    pub(super) fn link_too_late(&mut self, call: u64, needs_relay: bool) {
        let why = self.own_relay.clone();
        let why = why.and_then(|relay| self.relays.failure(&relay));
        let failure = match why {
            Some(failure) => failure,
            None if needs_relay => unreachable("the relay does not answer"),
            None => EngineError::LinkExpired.into(),
        };
        self.fail(call, failure);
        self.take(Input::ConfirmLink { same: false });
    }

    /// Ends a link whose people left before they had compared.
    pub(super) fn stop_unwanted_link(&mut self) {
        let gone = |pending: &Pending| {
            matches!(&pending.kind, Kind::Link(linking) if linking.is_undecided())
                && pending.answers.is_closed()
        };
        if self.calls.open.values().any(gone) {
            self.calls.open.retain(|_, pending| !gone(pending));
            self.take(Input::ConfirmLink { same: false });
        }
    }
}
