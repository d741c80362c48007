//! Requests that end when everything they led to has its answer from our relay.

use super::Loop;
use super::calls::{Kind, Pending};
use crate::api::Answer;
use crate::failure::unreachable;
use crate::limits;
use crate::view::{Failure, Notice, Restored};
use keys::DeviceId;
use tokio::sync::mpsc;

/// What a request says at its end.
pub(super) enum Settling {
    /// The account, now reachable.
    Account,
    /// The account, and this device of it.
    Joined(DeviceId),
    /// The account, and what came back of it.
    Restored(Restored),
    /// The guardians, as the relay knows them.
    Guardians,
    /// Nothing: now it is known whether there is a request to refuse.
    Cancel,
    /// Nothing: what this home asked for is given up.
    Abandoned,
    /// Nothing: what lay at the relay is here.
    CaughtUp,
    /// This, whatever became of the rest: the other devices learn it sooner or later.
    Told(Vec<Answer>),
    /// Why it came to nothing; the other side is to hear of it.
    Failed(Failure),
}

impl Loop {
    /// Ends what waits until our relay has answered everything.
    pub(super) fn settle(&mut self) {
        let Some(relay) = &self.own_relay else { return };
        let caught_up = self.relays.caught_up(relay);
        let waits = |pending: &Pending| match &pending.kind {
            Kind::Settle(Settling::CaughtUp) => caught_up,
            Kind::Settle(_) => true,
            _ => false,
        };
        let open = &self.calls.open;
        if !open.values().any(waits) || !self.relays.answered(relay) {
            return;
        }
        let waiting: Vec<u64> = open
            .iter()
            .filter(|(_, pending)| waits(pending))
            .map(|(call, _)| *call)
            .collect();
        for call in waiting {
            self.settled(call, true);
        }
    }

    /// Waits until our relay has answered everything, or for a while.
    pub(super) fn settle_call(&mut self, call: u64, settling: Settling) {
        if let Some(pending) = self.calls.open.get_mut(&call) {
            pending.kind = Kind::Settle(settling);
        }
        self.wait_for_relay(call);
    }

    /// Waits until what lay at our relay is here, or for a while.
    pub(super) fn catch_up(&mut self, listener: mpsc::Sender<Answer>) {
        let settling = Kind::Settle(Settling::CaughtUp);
        let call = self.calls.add(Pending::new(listener, settling));
        self.wait_until(call, limits::CONNECT);
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
    }

    /// Tells the account's other devices something that is done here, and gives the answers when they were told.
    pub(super) fn tell_devices(&mut self, listener: mpsc::Sender<Answer>, answers: Vec<Answer>) {
        let settling = Settling::Told(answers);
        let call = self
            .calls
            .add(Pending::new(listener, Kind::Settle(settling)));
        self.wait_until(call, limits::CONNECT);
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
    }

    /// Gives the last answers; `told` says whether the relay has everything.
    pub(super) fn settled(&mut self, call: u64, told: bool) {
        let Some(pending) = self.calls.open.get_mut(&call) else {
            return;
        };
        let Kind::Settle(settling) = &mut pending.kind else {
            return;
        };
        if matches!(settling, Settling::Cancel) {
            return self.cancel_seen(call, told);
        }
        let last = match settling {
            Settling::Guardians => self.guardians_show(),
            Settling::Cancel => Ok(Vec::new()),
            Settling::CaughtUp if told => Ok(Vec::new()),
            // SECURITY: who has not heard yet who may write, or what was written, writes over nothing.
            Settling::CaughtUp => {
                let message = "what lies at the relay for this device is not all here yet";
                Err(unreachable(message))
            }
            Settling::Abandoned => {
                self.recovery_ended();
                Ok(Vec::new())
            }
            Settling::Account => self.account_show(),
            Settling::Joined(device) => {
                let device = *device;
                self.joined(&device)
            }
            Settling::Restored(restored) => {
                let restored = restored.clone();
                self.account_show().map(|mut answers| {
                    answers.push(Answer::Restored(restored));
                    answers
                })
            }
            Settling::Failed(failure) => Err(failure.clone()),
            Settling::Told(answers) => {
                let mut last = std::mem::take(answers);
                if !told {
                    let message = "the relay cannot be reached; your other devices, and whoever else is to know, learn it later";
                    let notice = Notice {
                        notice: "told_later".to_owned(),
                        message: message.to_owned(),
                    };
                    last.insert(0, Answer::Notice(notice));
                }
                Ok(last)
            }
        };
        match last {
            Ok(mut last) => {
                last.push(Answer::Done);
                self.finish(call, last);
            }
            Err(failure) => self.fail(call, failure),
        }
    }

    fn joined(&self, device: &DeviceId) -> Result<Vec<Answer>, Failure> {
        let mut answers = self.account_show()?;
        answers.push(Answer::Device(self.device(device)?));
        Ok(answers)
    }
}
