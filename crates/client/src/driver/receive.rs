//! Readers: each letter that nobody saw is shown once, to one of them.

use super::calls::{Kind, Receiving};
use super::{Loop, Message};
use crate::api::Answer;
use crate::limits;
use crate::view::{self, Failure};
use engine::records::LetterState;
use engine::{Input, StoreError};
use keys::LetterId;
use std::collections::VecDeque;

/// Letters that nobody saw, oldest first; read from the store when the first reader comes.
#[derive(Default)]
pub(super) struct Unread {
    letters: VecDeque<LetterId>,
    loaded: bool,
}

impl Unread {
    /// A letter came.
    pub(super) fn arrived(&mut self, letter: LetterId) {
        if self.loaded {
            self.letters.push_back(letter);
        }
    }

    /// Letters were shown on another device of the account.
    pub(super) fn shown_elsewhere(&mut self, letters: &[LetterId]) {
        self.letters.retain(|letter| !letters.contains(letter));
    }
}

impl Loop {
    /// Finds the letters that came while nobody read.
    pub(super) fn load_unread(&mut self) -> Result<(), Failure> {
        if self.unread.loaded {
            return Ok(());
        }
        let mut place = self.store.shown_up_to()?;
        let mut all_shown = place;
        loop {
            let page = self.store.letters_after(place, 256)?;
            let Some((last, _)) = page.last() else { break };
            place = *last;
            for (order, id) in page {
                let unread = self.is_unread(&id)?;
                if unread {
                    self.unread.letters.push_back(id);
                } else if self.unread.letters.is_empty() {
                    all_shown = order;
                }
            }
        }
        self.unread.loaded = true;
        self.store.note_shown_up_to(all_shown)?;
        Ok(())
    }

    fn is_unread(&self, id: &LetterId) -> Result<bool, StoreError> {
        let letter = self.engine.letter(&self.store, id)?;
        Ok(letter.is_some_and(|letter| letter.state == LetterState::Received))
    }

    /// Shows what there is to those who read, and begins to save what they want saved.
    pub(super) fn serve_readers(&mut self) {
        let readers: Vec<u64> = self
            .calls
            .open
            .iter()
            .filter(|(_, pending)| {
                matches!(pending.kind, Kind::Receive(_)) && !pending.answers.is_closed()
            })
            .map(|(call, _)| *call)
            .collect();
        for call in readers {
            while self.may_show(call) && self.show_some(call) {}
            self.save_next(call);
            self.perhaps_enough(call);
        }
    }

    /// Whether letters are shown now. Those of an account with several devices wait for a moment until everything
    /// that lay at the relay is here: it may say that they were read, or deleted, on another device.
    fn may_show(&self, call: u64) -> bool {
        let Some(Kind::Receive(receiving)) = self.calls.open.get(&call).map(|call| &call.kind)
        else {
            return false;
        };
        let Some(relay) = &self.own_relay else {
            return true;
        };
        if self.unread.letters.is_empty() || receiving.impatient {
            return true;
        }
        let out_of_reach = self.relays.failure(relay).is_some();
        if out_of_reach || (self.relays.caught_up(relay) && self.relays.answered(relay)) {
            return true;
        }
        let since = match self.relays.up_since(relay) {
            Some(up) => up.max(receiving.since),
            None => receiving.since,
        };
        if since.elapsed() >= limits::HOLD {
            return true;
        }
        let names = self.engine.device_names(&self.store);
        names.is_ok_and(|names| names.len() < 2)
    }

    /// Shows as many letters as the reader has room for; false when there is nothing to show, or no room.
    fn show_some(&mut self, call: u64) -> bool {
        let Some(pending) = self.calls.open.get(&call) else {
            return false;
        };
        if self.unread.letters.is_empty() {
            return false;
        }
        let answers = pending.answers.clone();
        let count = answers.capacity().min(self.unread.letters.len());
        // Room is taken before a letter is noted as shown: nobody else can fill it.
        let Ok(mut room) = answers.try_reserve_many(count) else {
            return false;
        };
        if count == 0 {
            self.ask_for_room(call);
            return false;
        }
        let ids: Vec<LetterId> = self.unread.letters.drain(..count).collect();
        match self.mark_shown(&ids) {
            Ok(letters) => {
                for letter in self.hand_out(call, letters) {
                    if let Some(place) = room.next() {
                        place.send(Answer::Letter(letter));
                    }
                }
                true
            }
            Err(error) => {
                for id in ids.into_iter().rev() {
                    self.unread.letters.push_front(id);
                }
                drop(room);
                self.fail(call, error);
                false
            }
        }
    }

    /// Wakes the loop once the reader has taken something.
    pub(super) fn ask_for_room(&mut self, call: u64) {
        let Some(pending) = self.calls.open.get_mut(&call) else {
            return;
        };
        let Kind::Receive(receiving) = &mut pending.kind else {
            return;
        };
        if receiving
            .room
            .as_ref()
            .is_some_and(|asked| !asked.is_finished())
        {
            return;
        }
        let (answers, inbox) = (pending.answers.clone(), self.inbox.clone());
        receiving.room = Some(self.runtime.spawn(async move {
            drop(answers.reserve().await);
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Message::Alarm).await;
            }
        }));
    }

    /// Notes letters as shown before they are, so that none is ever shown twice.
    fn mark_shown(&mut self, ids: &[LetterId]) -> Result<Vec<LetterId>, Failure> {
        let mut unread = Vec::with_capacity(ids.len());
        for id in ids {
            let letter = self.engine.letter(&self.store, id)?;
            let Some(letter) = letter.filter(|letter| letter.state == LetterState::Received) else {
                continue;
            };
            if !letter.enclosures.is_empty() {
                self.store.note_unsaved(
                    id,
                    u32::try_from(letter.enclosures.len()).unwrap_or(u32::MAX),
                )?;
            }
            unread.push(*id);
        }
        if !unread.is_empty() {
            self.feed(Input::MarkRead {
                letters: unread.clone(),
            })?;
        }
        Ok(unread)
    }

    /// Renders letters for a reader, and notes what it wants saved of them.
    fn hand_out(&mut self, call: u64, letters: Vec<LetterId>) -> Vec<view::Letter> {
        let mut enclosures = Vec::new();
        let mut shown = Vec::with_capacity(letters.len());
        for id in letters {
            let Ok(Some(letter)) = self.engine.letter(&self.store, &id) else {
                continue;
            };
            let places = 0..u32::try_from(letter.enclosures.len()).unwrap_or(u32::MAX);
            enclosures.extend(places.map(|place| (id, place)));
            shown.push(self.view_letter(&letter));
        }
        if let Some(receiving) = self
            .receiving(call)
            .filter(|receiving| receiving.save.is_some())
        {
            receiving.to_save.extend(enclosures);
        }
        self.heard(call);
        shown
    }

    pub(super) fn receiving(&mut self, call: u64) -> Option<&mut Receiving> {
        match &mut self.calls.open.get_mut(&call)?.kind {
            Kind::Receive(receiving) => Some(receiving),
            _ => None,
        }
    }

    /// Something came for a reader: the wait for more begins anew.
    pub(super) fn heard(&mut self, call: u64) {
        let Some(receiving) = self.receiving(call) else {
            return;
        };
        if !receiving.follow {
            let patience = receiving.patience.unwrap_or(limits::CONNECT);
            self.wait_until(call, patience);
        }
    }

    /// A reader who named no time goes when everything that lay at the relay is shown, and the relay
    /// has said whether this device is still one of the account's.
    fn perhaps_enough(&mut self, call: u64) {
        let caught_up = self
            .own_relay
            .as_ref()
            .is_some_and(|relay| self.relays.caught_up(relay) && self.relays.answered(relay));
        let nothing_left = self.unread.letters.is_empty() && !self.files.fetches_parts();
        let Some(receiving) = self.receiving(call) else {
            return;
        };
        let patient = receiving.follow || receiving.patience.is_some();
        let saved = receiving.to_save.is_empty() && receiving.saving.is_none();
        if !patient && saved && caught_up && nothing_left {
            self.heard_enough(call);
        }
    }

    /// A reader has waited long enough.
    pub(super) fn heard_enough(&mut self, call: u64) {
        let relay = self.own_relay.clone().unwrap_or_default();
        let up = self.relays.is_up(&relay);
        let held = !self.unread.letters.is_empty();
        let Some(receiving) = self.receiving(call) else {
            return;
        };
        if receiving.saving.is_some() {
            // A file is under way; it has its own limits.
            self.wait_until(call, limits::CONNECT);
            return;
        }
        if held && !receiving.impatient {
            receiving.impatient = true;
            self.wait_until(call, limits::LOCK_POLL);
            return;
        }
        if let Some(failure) = receiving.unsaved.take() {
            return self.fail(call, failure);
        }
        if up {
            self.finish(call, vec![Answer::Done]);
        } else {
            let failure = self.relays.failure(&relay);
            let silent = || crate::failure::unreachable("the relay does not answer");
            self.fail(call, failure.unwrap_or_else(silent));
        }
    }
}
