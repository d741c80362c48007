//! What changed in a group, in the words of people.

use crate::render::span;
use engine::{Change, GroupData, LeafName, Role};
use keys::AccountId;
use std::collections::{BTreeMap, BTreeSet};

/// What the own account is called here.
pub(super) const OWN: &str = "this account";

/// Whose devices came and went, and what `by` made of the data of `before`. Clients let devices in and put them out by
/// themselves, so nobody is named for that.
pub(super) fn of(
    by: &AccountId,
    before: &GroupData,
    changes: &[Change],
    name: &dyn Fn(&AccountId) -> String,
) -> Vec<String> {
    let mut words = devices(changes, name);
    // Whoever goes loses the role as well, which nobody needs to hear.
    let gone = |account: &AccountId| {
        let is_gone =
            |change: &Change| matches!(change, Change::Removed(leaf) if leaf.account == *account);
        changes.iter().any(is_gone)
    };
    for change in changes {
        if let Change::Data(now) = change {
            words.extend(data(&name(by), before, now));
            words.extend(roles(&name(by), (before, now), &gone, name));
        }
    }
    words
}

/// One word for all devices of a person to which the same happened.
fn devices(changes: &[Change], name: &dyn Fn(&AccountId) -> String) -> Vec<String> {
    let mut counted: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let mut count = |what, leaf: &LeafName| {
        let devices = counted.entry((what, name(&leaf.account))).or_default();
        *devices = devices.saturating_add(1);
    };
    for change in changes {
        match change {
            Change::Removed(leaf) => count("out", leaf),
            Change::Added(leaf) => count("in", leaf),
            Change::Rejoined(leaf) => count("back", leaf),
            _ => {}
        }
    }
    let words = |((what, whose), devices): ((&str, String), u32)| {
        let (devices, one) = match devices {
            1 => (format!("a device of {whose}"), true),
            more => (format!("{more} devices of {whose}"), false),
        };
        match (what, one) {
            ("in", _) => format!("{devices} came in"),
            ("out", true) => format!("{devices} is out"),
            ("out", false) => format!("{devices} are out"),
            (_, true) => format!("{devices} lost its state and came back"),
            (_, false) => format!("{devices} lost their state and came back"),
        }
    };
    counted.into_iter().map(words).collect()
}

/// What somebody made of the data, but for the roles.
fn data(by: &str, before: &GroupData, now: &GroupData) -> Vec<String> {
    let mut words = Vec::new();
    if now.name != before.name {
        words.push(format!(
            "{by} called it {}, after {}",
            now.name, before.name
        ));
    }
    match now.timer {
        timer if timer == before.timer => {}
        Some(seconds) => words.push(format!(
            "{by} lets letters disappear after {}",
            span(seconds)
        )),
        None => words.push(format!("{by} lets letters stay")),
    }
    // Another picture is told when it is here.
    if before.picture.is_some() && now.picture.is_none() {
        words.push(format!("{by} took its picture away"));
    }
    words
}

/// To whom somebody gave which role.
fn roles(
    by: &str,
    (before, now): (&GroupData, &GroupData),
    gone: &dyn Fn(&AccountId) -> bool,
    name: &dyn Fn(&AccountId) -> String,
) -> Vec<String> {
    let accounts = before.roles.keys().chain(now.roles.keys());
    let changed: BTreeSet<_> = accounts
        .filter(|account| now.role(account) != before.role(account) && !gone(account))
        .collect();
    let words = changed.into_iter().map(|account| {
        let role = role(now.role(account), now.vault);
        format!("{by} made {} {role}", name(account))
    });
    words.collect()
}

fn role(role: Role, vault: bool) -> &'static str {
    match (role, vault) {
        (Role::Owner, _) => "an owner",
        (Role::Admin, false) => "an admin",
        (Role::Member, false) => "a member",
        (Role::Admin, true) => "a writer",
        (Role::Member, true) => "a reader",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use keys::DeviceId;

    fn account(number: u8) -> AccountId {
        AccountId::from_bytes([number; 32])
    }

    fn leaf(account: AccountId, device: u8) -> LeafName {
        LeafName {
            account,
            device: DeviceId::from_bytes([device; 16]),
        }
    }

    fn said(before: &GroupData, changes: &[Change]) -> Vec<String> {
        let name = |account: &AccountId| match account.as_bytes()[0] {
            1 => "alice".to_owned(),
            2 => "bob".to_owned(),
            _ => OWN.to_owned(),
        };
        of(&account(1), before, changes, &name)
    }

    #[test]
    fn what_somebody_changed_is_named_with_who_did_it() {
        let before = GroupData {
            name: "night shift".to_owned(),
            picture: Some(vec![1]),
            timer: Some(60),
            roles: [(account(1), Role::Owner), (account(2), Role::Admin)].into(),
            ..GroupData::default()
        };
        let mut now = GroupData {
            name: "day shift".to_owned(),
            picture: None,
            timer: Some(7200),
            roles: [(account(1), Role::Owner), (account(3), Role::Owner)].into(),
            ..before.clone()
        };
        let words = said(&before, &[Change::Data(now.clone())]);
        assert_eq!(
            words,
            [
                "alice called it day shift, after night shift",
                "alice lets letters disappear after 2 hours",
                "alice took its picture away",
                "alice made bob a member",
                "alice made this account an owner",
            ]
        );
        now = GroupData {
            timer: None,
            ..before.clone()
        };
        let words = said(&before, &[Change::Data(now)]);
        assert_eq!(words, ["alice lets letters stay"]);
        assert!(said(&before, &[Change::Data(before.clone())]).is_empty());
        // Who is out has no role any more, and nobody asks for it.
        now = before.clone();
        now.roles.remove(&account(2));
        let changes = [Change::Removed(leaf(account(2), 1)), Change::Data(now)];
        assert_eq!(said(&before, &changes), ["a device of bob is out"]);
    }

    #[test]
    fn roles_of_vaults_have_their_own_words() {
        let before = GroupData {
            vault: true,
            ..GroupData::default()
        };
        for (role, word) in [(Role::Admin, "a writer"), (Role::Owner, "an owner")] {
            let now = GroupData {
                roles: [(account(2), role)].into(),
                ..before.clone()
            };
            let words = said(&before, &[Change::Data(now)]);
            assert_eq!(words, [format!("alice made bob {word}")]);
        }
    }

    #[test]
    fn devices_of_a_person_are_counted() {
        let changes = [
            Change::Added(leaf(account(2), 1)),
            Change::Added(leaf(account(2), 2)),
            Change::Removed(leaf(account(1), 3)),
            Change::Rejoined(leaf(account(1), 4)),
        ];
        assert_eq!(
            said(&GroupData::default(), &changes),
            [
                "a device of alice lost its state and came back",
                "2 devices of bob came in",
                "a device of alice is out",
            ]
        );
    }
}
