//! What people do with letters that are there: react, edit, delete.

use super::Loop;
use super::begin::Begun;
use crate::api::{Answer, Request};
use crate::names;
use crate::view::{Deleted, Failure};
use engine::records::{Direction, Letter};
use engine::{Amend, CommandId, EngineError, Input};
use keys::LetterId;
use tokio::sync::mpsc;

impl Loop {
    pub(super) fn begin_for_letters(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::Delete { letters, everyone } => self.delete(answers, &letters, everyone),
            Request::React { letter, emoji } => self.amend(answers, &letter, Amend::React(emoji)),
            Request::Edit { letter, text } => self.amend(answers, &letter, Amend::Edit(text)),
            request => self.begin_for_devices(answers, request),
        }
    }

    fn delete(
        &mut self,
        answers: mpsc::Sender<Answer>,
        letters: &[String],
        everyone: bool,
    ) -> Begun {
        self.own()?;
        let mut ids = Vec::with_capacity(letters.len());
        for text in letters {
            let id = self.known_letter(text)?.id;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let gone = |id: &LetterId| Answer::Deleted(Deleted { id: id.to_string() });
        let deleted = ids.iter().map(gone).collect();
        match everyone {
            true => ids.iter().try_for_each(|id| self.say(id, Amend::Delete))?,
            false => self.feed(Input::DeleteLetters { letters: ids })?,
        }
        self.tell_devices(answers, deleted);
        Ok(None)
    }

    fn amend(&mut self, answers: mpsc::Sender<Answer>, letter: &str, change: Amend) -> Begun {
        self.own()?;
        let id = self.known_letter(letter)?.id;
        self.say(&id, change)?;
        let letter = self.engine.letter(&self.store, &id)?;
        let letter = letter.ok_or(EngineError::UnknownLetter)?;
        let shown = Answer::Letter(self.view_letter(&letter));
        self.tell_devices(answers, vec![shown]);
        Ok(None)
    }

    fn say(&mut self, letter: &LetterId, change: Amend) -> Result<(), EngineError> {
        self.feed(Input::AmendLetter {
            command: CommandId::default(),
            letter: *letter,
            change,
        })
    }

    /// Finds the letter that is meant.
    fn known_letter(&self, text: &str) -> Result<Letter, Failure> {
        let id = names::letter_id(text)?;
        let letter = self.engine.letter(&self.store, &id)?;
        let letter = letter.filter(|letter| letter.direction != Direction::Errand);
        letter.ok_or_else(|| EngineError::UnknownLetter.into())
    }
}
