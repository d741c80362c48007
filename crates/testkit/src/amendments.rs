//! What people say of letters that are there.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::world::World;
use engine::records::Letter;
use engine::{Amend, CommandOutcome, Engine, EngineError, Input, Store as _, Table, Write};
use keys::LetterId;
use zeroize::Zeroizing;

impl World {
    /// Says something of a letter.
    ///
    /// # Errors
    /// As the command ends.
    pub fn amend(
        &mut self,
        name: &str,
        letter: LetterId,
        change: Amend,
    ) -> Result<(), EngineError> {
        match self.command(name, |command| Input::AmendLetter {
            command,
            letter,
            change,
        }) {
            CommandOutcome::Done => Ok(()),
            CommandOutcome::Failed(error) => Err(error),
            other => panic!("a letter was amended as {other:?}"),
        }
    }

    /// Reacts to a letter.
    pub fn react(&mut self, name: &str, letter: LetterId, emoji: &str) {
        let reaction = Some(emoji.to_owned()).filter(|emoji| !emoji.is_empty());
        let done = self.amend(name, letter, Amend::React(reaction));
        done.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Gives a letter another text.
    pub fn edit(&mut self, name: &str, letter: LetterId, text: &str) {
        let done = self.amend(name, letter, Amend::Edit(text.to_owned()));
        done.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// A letter as somebody has it.
    #[must_use]
    pub fn letter(&self, name: &str, letter: LetterId) -> Option<Letter> {
        let store = &self.person(name).store;
        Engine.letter(store, &letter).ok().flatten()
    }

    /// The reactions to a letter as somebody sees them, by what their authors are called there.
    #[must_use]
    pub fn reactions(&self, name: &str, letter: LetterId) -> Vec<(String, String)> {
        let letter = self.letter(name, letter);
        let marks = letter.map(|letter| letter.marks).unwrap_or_default();
        let own = self.account(name);
        let contacts = self.person(name).contacts();
        let called = |author| {
            let mut contacts = contacts.iter();
            let contact = contacts.find(|contact| contact.id == author);
            match contact {
                Some(contact) => contact.petname.clone(),
                None if author == own => "me".to_owned(),
                None => author.to_string(),
            }
        };
        let standing = marks.standing();
        let mut shown: Vec<_> = standing
            .map(|reaction| (called(reaction.author), reaction.emoji.clone()))
            .collect();
        shown.sort();
        shown
    }

    /// Replaces bytes in a letter on somebody's disk: what a program that lies would do.
    pub fn forge_letter(&mut self, name: &str, letter: LetterId, old: &[u8], new: &[u8]) {
        self.forge(name, (Table::Letter, letter.as_bytes()), old, new);
    }

    /// Replaces bytes in a row on somebody's disk, where they stand last.
    pub fn forge(&mut self, name: &str, (table, key): (Table, &[u8]), old: &[u8], new: &[u8]) {
        let store = &mut self.person_mut(name).store;
        let bytes = engine::Snapshot::get(store, table, key).ok().flatten();
        let mut bytes = bytes.unwrap_or_else(|| panic!("{name} has no such row"));
        let at = bytes.windows(old.len()).rposition(|window| window == old);
        let at = at.unwrap_or_else(|| panic!("the row does not have these bytes"));
        let end = at.saturating_add(old.len());
        bytes.splice(at..end, new.iter().copied());
        let write = Write::Put {
            table,
            key: key.to_vec(),
            value: Zeroizing::new(bytes.to_vec()),
        };
        let applied = store.apply(vec![write]);
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Makes the relay hold other bytes in every part of an archive.
    pub fn spoil_parts(&mut self) {
        for part in self.parts.values_mut() {
            part.iter_mut().for_each(|byte| *byte ^= 1);
        }
    }
}
