//! A person of a world: an engine over a store, and what the driver knows only while it runs.

use crate::relay_model::LineId;
use crate::store::MemoryStore;
use engine::records::{Contact, Direction, Letter, LetterState};
use engine::{CommandId, CommandOutcome, Engine, Event, Evidence, Snapshot as _, Table};
use keys::{AccountId, QueueId};
use std::collections::{BTreeMap, BTreeSet};

/// Where a program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// A step is decided and not stored.
    BeforeStore,
    /// A step is stored and nothing of it sent.
    AfterStore,
    /// A step is stored and sent, and no answer has come.
    AfterSend,
}

/// A person.
pub struct Person {
    /// The disk.
    pub store: MemoryStore,
    /// Everything that was ever told.
    pub events: Vec<Event>,
    pub(crate) outcomes: BTreeMap<CommandId, CommandOutcome>,
    pub(crate) relay: String,
    pub(crate) running: bool,
    pub(crate) online: bool,
    pub(crate) crash: Option<(CrashPoint, u32)>,
    /// By how much the clock is behind.
    pub(crate) behind: u64,
    pub(crate) lines: BTreeMap<String, Line>,
    /// Relays to be called again, and when.
    pub(crate) dial: BTreeMap<String, u64>,
}

/// A connection, as the driver sees it.
pub(crate) struct Line {
    pub(crate) id: LineId,
    pub(crate) challenge: Option<[u8; 32]>,
    pub(crate) asked: BTreeMap<u64, wire::Request>,
    pub(crate) later: Vec<(u64, u64)>,
    pub(crate) subscribing: BTreeMap<u64, QueueId>,
    /// Queues of which a body could not be stored. Nothing behind it is heard, or it would be acknowledged away.
    pub(crate) deaf: BTreeSet<QueueId>,
}

impl Person {
    pub(crate) fn new(relay: &str) -> Self {
        Self {
            store: MemoryStore::default(),
            events: Vec::new(),
            outcomes: BTreeMap::new(),
            relay: relay.to_owned(),
            running: true,
            online: true,
            crash: None,
            behind: 0,
            lines: BTreeMap::new(),
            dial: BTreeMap::new(),
        }
    }

    /// Whether the program dies here, now.
    pub(crate) fn dies_at(&mut self, here: CrashPoint) -> bool {
        match &mut self.crash {
            Some((point, steps)) if *point == here => {
                *steps = steps.saturating_sub(1);
                let now = *steps == 0;
                if now {
                    self.crash = None;
                }
                now
            }
            _ => false,
        }
    }

    /// The own account.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        Engine.account(&self.store).ok()?.map(|own| own.id)
    }

    /// A contact by what it is called here.
    #[must_use]
    pub fn contact(&self, petname: &str) -> Option<Contact> {
        self.contacts()
            .into_iter()
            .find(|contact| contact.petname == petname)
    }

    /// All evidence that is kept.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        let rows = self.store.scan(Table::Evidence, &[], None, usize::MAX);
        let rows = rows.unwrap_or_default().into_iter();
        rows.filter_map(|(_, bytes)| Evidence::decode(&bytes).ok())
            .collect()
    }

    /// All contacts.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        Engine.contacts(&self.store).unwrap_or_default()
    }

    /// The letters of a conversation, oldest first.
    #[must_use]
    pub fn letters(&self, petname: &str) -> Vec<Letter> {
        let contact = self.contact(petname).map(|contact| contact.id);
        let letters =
            contact.and_then(|id| Engine.conversation(&self.store, &id, None, usize::MAX).ok());
        letters.unwrap_or_default()
    }

    /// The letters that came and were not shown, oldest first.
    pub(crate) fn unread(&self) -> Vec<(String, Letter)> {
        let mut letters = Vec::new();
        for contact in self.contacts() {
            let of_contact = Engine.conversation(&self.store, &contact.id, None, usize::MAX);
            let unread = of_contact.unwrap_or_default().into_iter().filter(|letter| {
                letter.direction == Direction::Received && letter.state == LetterState::Received
            });
            letters.extend(unread.map(|letter| (contact.petname.clone(), letter)));
        }
        letters.sort_by_key(|(_, letter)| letter.order);
        letters
    }
}
