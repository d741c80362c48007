//! Requests that only look: the account, contacts, letters that are stored.

use super::Loop;
use crate::api::Answer;
use crate::failure::{internal, no_account};
use crate::names;
use crate::render;
use crate::view::{self, Failure};
use engine::records::{Contact, OwnAccount};
use keys::account_log::{Pin, UnverifiedLog, VerifiedLog};
use keys::{AccountId, LetterId};

impl Loop {
    pub(super) fn own(&self) -> Result<(OwnAccount, VerifiedLog), Failure> {
        let own = self.engine.account(&self.store)?.ok_or_else(no_account)?;
        let log = stored(&own.log, &own.id, &own.pin)?;
        Ok((own, log))
    }

    pub(super) fn account_show(&self) -> Result<Vec<Answer>, Failure> {
        let (own, log) = self.own()?;
        Ok(vec![Answer::Account(render::account(&own, &log))])
    }

    pub(super) fn account_log(&self) -> Result<Vec<Answer>, Failure> {
        let (_, log) = self.own()?;
        let entry = |entry: &keys::account_log::EntrySummary| {
            Answer::LogEntry(view::LogEntry {
                sequence: entry.sequence,
                kind: entry.kind.name().to_owned(),
                hash: render::base32(&entry.hash),
                devices: entry.devices.iter().map(ToString::to_string).collect(),
            })
        };
        Ok(log.entries().iter().map(entry).collect())
    }

    pub(super) fn contact_list(&self) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let mut contacts = self.engine.contacts(&self.store)?;
        contacts.sort_by(|a, b| a.petname.cmp(&b.petname));
        Ok(contacts
            .iter()
            .map(|contact| self.view_contact(contact))
            .collect())
    }

    pub(super) fn view_contact(&self, contact: &Contact) -> Answer {
        let log = stored(&contact.log, &contact.id, &contact.pin);
        let devices = log.as_ref().map_or(0, |log| log.devices().len());
        let suite = log.map_or("", |log| log.suite().name());
        Answer::Contact(render::contact(contact, devices, suite))
    }

    pub(super) fn safety_number(&self, who: &str) -> Result<Vec<Answer>, Failure> {
        let (_, ours) = self.own()?;
        let contact = self.find(who)?;
        let theirs = stored(&contact.log, &contact.id, &contact.pin)?;
        let number = keys::safety_number(&ours, &theirs);
        use engine::records::Trust::{ByCode, BySafetyNumber, BySas};
        let compared = matches!(contact.trust, BySafetyNumber | BySas | ByCode);
        let verified = compared && !contact.changed;
        Ok(vec![Answer::SafetyNumber(view::SafetyNumber {
            contact: contact.petname,
            number,
            verified,
        })])
    }

    /// Finds the contact that is meant.
    pub(super) fn find(&self, who: &str) -> Result<Contact, Failure> {
        self.own()?;
        let contacts = self.engine.contacts(&self.store)?;
        names::find(&contacts, who).cloned()
    }

    pub(super) fn read(
        &self,
        conversation: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let contact = conversation
            .map(|who| self.find_conversation(who))
            .transpose()?;
        let mut letters = self.store.newest(contact.as_ref(), limit)?;
        letters.reverse();
        self.show(&letters)
    }

    pub(super) fn search(&self, words: &str, limit: u32) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let letters = self.store.search(words, limit)?;
        self.show(&letters)
    }

    pub(super) fn show(&self, letters: &[LetterId]) -> Result<Vec<Answer>, Failure> {
        let mut shown = Vec::with_capacity(letters.len());
        for id in letters {
            if let Some(letter) = self.engine.letter(&self.store, id)? {
                shown.push(Answer::Letter(self.view_letter(&letter)));
            }
        }
        Ok(shown)
    }
}

/// Reads a log that was verified before it was stored.
fn stored(log: &[u8], account: &AccountId, pin: &Pin) -> Result<VerifiedLog, Failure> {
    UnverifiedLog::decode(log)
        .and_then(|log| log.trusted(account, pin))
        .map_err(|_| internal("a stored account log is not the one that was verified"))
}
