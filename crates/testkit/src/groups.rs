//! Groups of people.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::world::World;
use engine::records::{DataChange, Direction, GroupRecord, GroupStanding, Letter};
use engine::{CommandOutcome, Draft, Engine, EngineError, Input};
use keys::{AccountId, DeviceId, GroupId, LetterId};
use std::collections::BTreeMap;

impl World {
    /// Begins a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn try_create_group(
        &mut self,
        name: &str,
        group_name: &str,
        members: &[&str],
    ) -> Result<GroupId, EngineError> {
        let group = GroupId::random(self.chance().rng());
        let members = self.contacts_of(name, members);
        let group_name = group_name.to_owned();
        let outcome = self.command(name, |command| Input::CreateGroup {
            command,
            group,
            name: group_name,
            members,
        });
        done(outcome).map(|()| group)
    }

    /// Begins a group, and everybody is in.
    pub fn create_group(&mut self, name: &str, group_name: &str, members: &[&str]) -> GroupId {
        let group = self.try_create_group(name, group_name, members);
        let group = group.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.settle();
        group
    }

    pub(crate) fn contacts_of(&self, name: &str, others: &[&str]) -> Vec<AccountId> {
        let contacts = self.person(name).contacts();
        let contacts: BTreeMap<&str, AccountId> = contacts
            .iter()
            .map(|contact| (contact.petname.as_str(), contact.id))
            .collect();
        let contact = |other: &&str| {
            let found = contacts.get(other).copied();
            found.unwrap_or_else(|| panic!("{name} does not know {other}"))
        };
        others.iter().map(contact).collect()
    }

    /// Adds people to a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn add_to_group(
        &mut self,
        name: &str,
        group: GroupId,
        others: &[&str],
    ) -> Result<(), EngineError> {
        self.add_with_history(name, group, others, 0)
    }

    /// Adds people to a group, and sends them letters of before.
    ///
    /// # Errors
    /// As the command ends.
    pub fn add_with_history(
        &mut self,
        name: &str,
        group: GroupId,
        others: &[&str],
        history: u32,
    ) -> Result<(), EngineError> {
        let members = self.contacts_of(name, others);
        done(self.command(name, |command| Input::AddToGroup {
            command,
            group,
            members,
            history,
        }))
    }

    /// Removes people from a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn remove_from_group(
        &mut self,
        name: &str,
        group: GroupId,
        others: &[&str],
    ) -> Result<(), EngineError> {
        let members = others.iter().map(|other| self.account(other)).collect();
        done(self.command(name, |command| Input::RemoveFromGroup {
            command,
            group,
            members,
        }))
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn leave_group(&mut self, name: &str, group: GroupId) -> Result<(), EngineError> {
        done(self.command(name, |command| Input::LeaveGroup { command, group }))
    }

    /// Changes the data of a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn change_group(
        &mut self,
        name: &str,
        group: GroupId,
        change: DataChange,
    ) -> Result<(), EngineError> {
        done(self.command(name, |command| Input::ChangeGroup {
            command,
            group,
            change,
        }))
    }

    /// Writes a letter to a group.
    ///
    /// # Errors
    /// As the command ends.
    pub fn try_write_to_group(
        &mut self,
        name: &str,
        group: GroupId,
        text: &str,
    ) -> Result<LetterId, EngineError> {
        let letter = LetterId::random(self.chance().rng());
        let draft = Draft {
            text: text.to_owned(),
            ..Draft::default()
        };
        match self.command(name, |command| Input::SendLetter {
            command,
            letter,
            to: AccountId::from_bytes(*group.as_bytes()),
            draft,
        }) {
            CommandOutcome::LetterQueued(letter) => Ok(letter),
            CommandOutcome::Failed(error) => Err(error),
            other => panic!("a letter ended as {other:?}"),
        }
    }

    /// Writes a letter to a group.
    pub fn write_to_group(&mut self, name: &str, group: GroupId, text: &str) -> LetterId {
        let written = self.try_write_to_group(name, group, text);
        written.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A group as somebody sees it.
    #[must_use]
    pub fn group(&self, name: &str, group: GroupId) -> Option<GroupRecord> {
        let groups = Engine.groups(&self.person(name).store).unwrap_or_default();
        groups.into_iter().find(|record| record.id == group)
    }

    /// Whether somebody is in a group.
    #[must_use]
    pub fn is_in_group(&self, name: &str, group: GroupId) -> bool {
        let record = self.group(name, group);
        record.is_some_and(|record| record.standing == GroupStanding::In)
    }

    /// The devices of a group as somebody sees them.
    #[must_use]
    pub fn group_devices(&self, name: &str, group: GroupId) -> Vec<DeviceId> {
        let leaves = Engine.group_leaves(&self.person(name).store, &group);
        let leaves = leaves.unwrap_or_default();
        leaves.iter().map(|leaf| leaf.device).collect()
    }

    /// The letters of a group as somebody sees them, oldest first.
    #[must_use]
    pub fn group_letters(&self, name: &str, group: GroupId) -> Vec<Letter> {
        let conversation = AccountId::from_bytes(*group.as_bytes());
        let store = &self.person(name).store;
        Engine
            .conversation(store, &conversation, None, usize::MAX)
            .unwrap_or_default()
    }

    /// The texts of a group's letters that came from others, oldest first.
    #[must_use]
    pub fn group_texts(&self, name: &str, group: GroupId) -> Vec<String> {
        let letters = self.group_letters(name, group).into_iter();
        let received = letters.filter(|letter| letter.direction == Direction::Received);
        received.map(|letter| letter.text).collect()
    }
}

fn done(outcome: CommandOutcome) -> Result<(), EngineError> {
    match outcome {
        CommandOutcome::Done => Ok(()),
        CommandOutcome::Failed(error) => Err(error),
        other => panic!("a command for a group ended as {other:?}"),
    }
}
