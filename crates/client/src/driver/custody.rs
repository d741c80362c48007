//! Who holds which key, for people: names instead of ids.

use super::Loop;
use crate::api::Answer;
use crate::failure::failure;
use crate::insight::{self, Names};
use crate::names;
use crate::view::{Failure, FailureKind};
use engine::{EngineError, Item};
use keys::{AccountId, BlobId, GroupId, LetterId};

impl Loop {
    /// Lists every key that opens what a person named: `account`, a contact, a group, a letter, or a file of a letter.
    pub(super) fn custody(&self, named: &str) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let names = self.names()?;
        let mut answers = Vec::new();
        for item in self.meant(named)? {
            let holders = self.engine.custody(&self.store, &item)?;
            let holders = holders.ok_or(EngineError::UnknownLetter)?;
            let shown = holders
                .iter()
                .map(|holder| insight::holder(&item, holder, &names));
            answers.extend(shown.map(Answer::Holder));
        }
        Ok(answers)
    }

    /// What devices and contacts are called here.
    pub(super) fn names(&self) -> Result<Names, Failure> {
        let (own, _) = self.own()?;
        let contacts = self.engine.contacts(&self.store)?;
        Ok(Names {
            this: own.device,
            devices: self.engine.device_names(&self.store)?,
            contacts: contacts
                .into_iter()
                .map(|contact| (contact.id, contact.petname))
                .collect(),
        })
    }

    fn meant(&self, named: &str) -> Result<Vec<Item>, Failure> {
        if named == "account" {
            return Ok(vec![Item::Account]);
        }
        if let Some((letter, number)) = named.split_once('/') {
            return self.file_of(letter, number).map(|item| vec![item]);
        }
        if let Some(id) = LetterId::from_text(named)
            && self.engine.letter(&self.store, &id)?.is_some()
        {
            return Ok(vec![Item::Letter(id)]);
        }
        if let Some(blob) = BlobId::from_text(named)
            && let Some(item) = self.letter_with(&blob)?
        {
            return Ok(vec![item]);
        }
        if LetterId::from_text(named).is_some() {
            return Err(EngineError::UnknownLetter.into());
        }
        let id = self.find_conversation(named)?;
        let group = GroupId::from_bytes(*id.as_bytes());
        let groups = self.engine.groups(&self.store)?;
        Ok(match groups.iter().any(|record| record.id == group) {
            true => vec![Item::Group(group)],
            false => vec![Item::Contact(id), Item::Conversation(id)],
        })
    }

    /// `LETTER/N`: the Nth file, counted from 1.
    fn file_of(&self, letter: &str, number: &str) -> Result<Item, Failure> {
        let id = names::letter_id(letter)?;
        let letter = self.engine.letter(&self.store, &id)?;
        let letter = letter.ok_or(EngineError::UnknownLetter)?;
        let place = number
            .parse()
            .ok()
            .and_then(|number: usize| number.checked_sub(1));
        match place.and_then(|place| letter.enclosures.get(place)) {
            Some(file) => Ok(Item::Enclosure(id, file.blob)),
            None => {
                let message = format!("the letter has no file {number}");
                let hint = "files are counted from 1; see them with `letterlock read`";
                Err(failure(FailureKind::NotFound, message, Some(hint)))
            }
        }
    }

    fn letter_with(&self, blob: &BlobId) -> Result<Option<Item>, Failure> {
        let contacts = self.engine.contacts(&self.store)?.into_iter();
        let groups = self.engine.groups(&self.store)?.into_iter();
        let groups = groups.map(|group| AccountId::from_bytes(*group.id.as_bytes()));
        for id in contacts.map(|contact| contact.id).chain(groups) {
            let letters = self
                .engine
                .conversation(&self.store, &id, None, usize::MAX)?;
            for letter in letters {
                if letter.enclosures.iter().any(|file| file.blob == *blob) {
                    return Ok(Some(Item::Enclosure(letter.id, *blob)));
                }
            }
        }
        Ok(None)
    }
}
