//! What the next commit of a group is to do: what people wish, what logs say, what is due.

use super::super::{pair, people, state};
use super::{is_old, is_time};
use crate::account;
use crate::contacts;
use crate::error::EngineError;
use crate::records::{DataChange, GroupMember, GroupRecord, Wish};
use crate::transaction::Transaction;
use ::groups::{GroupData, LeafName, Role};
use keys::AccountId;
use std::collections::BTreeSet;

/// What the next commit is to do.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) add: Vec<LeafName>,
    /// Accounts that come in with what they have published: a device without key packages comes later.
    pub(super) late: Vec<AccountId>,
    pub(super) remove: Vec<u32>,
    pub(super) data: Option<GroupData>,
    /// A commit is due even if it changes nothing else.
    pub(super) renew: bool,
    /// Devices of ours that the group has no place for.
    pub(super) left_out: bool,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.data.is_none() && !self.renew
    }
}

/// What the next commit is to do; nothing where a log must be confirmed first.
pub(super) fn plan(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    members: &[GroupMember],
    wish: Option<&Wish>,
) -> Result<Option<Plan>, EngineError> {
    let mut plan = Plan::default();
    let own = account::own(tx)?;
    let ours = record.data.role(&own.id);
    match wish {
        Some(Wish::Add(accounts)) => {
            if !people::confirmed(tx, &record.id, accounts)? {
                return Ok(None);
            }
            add_accounts(tx, record, members, (ours, accounts), &mut plan)?;
        }
        Some(Wish::Share(accounts, role)) => {
            if !people::confirmed(tx, &record.id, accounts)? {
                return Ok(None);
            }
            add_accounts(tx, record, members, (ours, accounts), &mut plan)?;
            // Whoever comes in is a reader; the role is a change of its own.
            let here =
                |account: &AccountId| members.iter().any(|member| member.account == *account);
            if let (true, Some(role)) = (accounts.iter().all(here), role) {
                let mut data = record.data.clone();
                for account in accounts {
                    data = changed(&data, &to_role(account, *role), ours)?;
                }
                plan.data = Some(data).filter(|data| *data != record.data);
            }
        }
        Some(Wish::Remove(accounts)) => {
            for account in accounts {
                let over = ours >= record.data.ruler() && ours > record.data.role(account);
                if !over {
                    return Err(EngineError::GroupRole);
                }
                let leaves = members.iter().filter(|member| member.account == *account);
                plan.remove.extend(leaves.map(|member| member.leaf));
            }
            let mut data = record.data.clone();
            data.roles.retain(|account, _| !accounts.contains(account));
            let gone = record.data.vault || !plan.remove.is_empty();
            plan.data = Some(data).filter(|data| *data != record.data && gone);
        }
        Some(Wish::Change(change)) => {
            let data = changed(&record.data, change, ours)?;
            plan.data = Some(data).filter(|data| *data != record.data);
        }
        Some(Wish::Leave) | None => {}
    }
    let wished = plan.add.len();
    if let Some(other) = pair::missing(tx, record, members)? {
        if !people::confirmed(tx, &record.id, &[other])? {
            return Ok(None);
        }
        add_devices(tx, &other, members, &mut plan)?;
    }
    if record.look.is_some_and(|at| at <= tx.now) {
        let out = match wish {
            Some(Wish::Remove(accounts)) => &accounts[..],
            _ => &[],
        };
        look(tx, (&record.data, out), members, &mut plan)?;
    }
    let us = state::us(tx, record.suite)?;
    let own_leaf = members
        .iter()
        .find(|member| member.account == us.name.account && member.device == us.name.device);
    let other_key = own_leaf.is_some_and(|leaf| leaf.key != keys::sha256(&[us.leaf.public()]));
    let old = is_old(tx, record) && is_time(tx, record);
    plan.renew = record.proposed || other_key || old || record.set_back.is_some();
    plan.remove.sort_unstable();
    plan.remove.dedup();
    let mut once = BTreeSet::new();
    plan.add.retain(|name| once.insert(*name));
    fit(&mut plan, members.len(), wished)?;
    Ok(Some(plan))
}

/// Lets no more devices in than the group has places for: of those that people wish for, which come first, all or none;
/// what nobody asked for waits, and keeps nothing else from being done.
fn fit(plan: &mut Plan, members: usize, wished: usize) -> Result<(), EngineError> {
    let stay = members.saturating_sub(plan.remove.len());
    let room = ::groups::LEAVES.saturating_sub(stay);
    if wished > room {
        return Err(EngineError::GroupTooLarge);
    }
    plan.left_out = plan.add.len() > room;
    plan.add.truncate(room);
    Ok(())
}

fn to_role(account: &AccountId, role: Role) -> DataChange {
    DataChange {
        role: Some((*account, role)),
        ..DataChange::default()
    }
}

/// Lets accounts in that are not here yet, as members.
fn add_accounts(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    members: &[GroupMember],
    (ours, accounts): (Role, &[AccountId]),
    plan: &mut Plan,
) -> Result<(), EngineError> {
    let comes = |account: &AccountId| {
        accounts.contains(account) && !members.iter().any(|member| member.account == *account)
    };
    let own = account::own(tx)?.id;
    for account in accounts {
        let other = comes(account) || (record.data.vault && *account != own);
        if other && ours < record.data.ruler() {
            return Err(EngineError::GroupRole);
        }
        // Who is here adds its other devices itself; in a vault an owner may do it as well, for somebody who is here with
        // a lost device alone.
        if other || *account == own {
            add_devices(tx, account, members, plan)?;
        }
        if !comes(account) {
            plan.late.push(*account);
        }
    }
    // Whoever comes back is a member, whatever it was once; but who has a role in a vault lost its devices and no more.
    let mut data = record.data.clone();
    data.roles
        .retain(|account, _| record.data.vault || !comes(account));
    plan.data = Some(data).filter(|data| *data != record.data && !plan.add.is_empty());
    Ok(())
}

/// Everybody who is in a group; in a vault also those who have a role and no device any more.
pub(super) fn accounts_of(data: &GroupData, members: &[GroupMember]) -> Vec<AccountId> {
    let members = members.iter().map(|member| member.account);
    let roles = data.roles.keys().filter(|_| data.vault);
    let mut accounts: Vec<AccountId> = members.chain(roles.copied()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// Compares the leaves with the logs: devices of ours that are missing come in, devices that are not in force go. In a
/// vault those come in whose account has none there any more.
fn look(
    tx: &mut Transaction<'_>,
    (data, out): (&GroupData, &[AccountId]),
    members: &[GroupMember],
    plan: &mut Plan,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    add_devices(tx, &own, members, plan)?;
    let gone = gone(tx, members)?;
    plan.remove.extend(&gone);
    if !data.vault {
        return Ok(());
    }
    for account in accounts_of(data, members) {
        let Some(log) = people::log_of(tx, &account)? else {
            continue;
        };
        let stays =
            |member: &GroupMember| member.account == account && !gone.contains(&member.leaf);
        // Whom somebody puts out is not let back in.
        let wanted = account != own && !out.contains(&account);
        let lost = wanted && !members.iter().any(stays);
        if lost && !log.is_tombstoned() && is_known(tx, &account)? {
            add_devices(tx, &account, members, plan)?;
            plan.late.push(account);
        }
    }
    Ok(())
}

/// The leaves whose log, as far as it is known here, does not have them in force. Our own is none of them.
pub(super) fn gone(tx: &Transaction<'_>, members: &[GroupMember]) -> Result<Vec<u32>, EngineError> {
    let own = account::own(tx)?;
    let mut accounts: Vec<AccountId> = members.iter().map(|member| member.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mut leaves = Vec::new();
    for account in accounts {
        let Some(log) = people::log_of(tx, &account)? else {
            continue;
        };
        // SECURITY: nothing is sealed for a device that is gone; `a_revoked_device_is_out_of_its_groups` notices.
        let gone = members.iter().filter(|member| {
            let here = member.account == own.id && member.device == own.device;
            let in_force = log.device(&member.device).is_some() && !log.is_tombstoned();
            member.account == account && !in_force && !here
        });
        leaves.extend(gone.map(|member| member.leaf));
    }
    Ok(leaves)
}

/// Whether a device of an account would hear an invitation of ours.
fn is_known(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    let contact = contacts::load(tx, account)?;
    Ok(contact.is_some_and(|contact| !contact.request && !contact.blocked && !contact.changed))
}

fn add_devices(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    members: &[GroupMember],
    plan: &mut Plan,
) -> Result<(), EngineError> {
    let Some(log) = people::log_of(tx, account)? else {
        return Ok(());
    };
    for device in log.devices() {
        let mut members = members.iter();
        let known =
            members.any(|member| member.account == *account && member.device == *device.id());
        if !known {
            plan.add.push(LeafName {
                account: *account,
                device: *device.id(),
            });
        }
    }
    Ok(())
}

fn changed(data: &GroupData, change: &DataChange, ours: Role) -> Result<GroupData, EngineError> {
    let mut data = data.clone();
    if ours < data.ruler() {
        return Err(EngineError::GroupRole);
    }
    if let Some(name) = &change.name {
        data.name.clone_from(name);
    }
    if let Some(timer) = change.timer {
        data.timer = Some(timer).filter(|seconds| *seconds != 0);
    }
    if let Some(picture) = &change.picture {
        data.picture = Some(picture.clone()).filter(|picture| !picture.is_empty());
    }
    if let Some((account, role)) = change.role {
        if ours < Role::Owner {
            return Err(EngineError::GroupRole);
        }
        match role {
            Role::Member => data.roles.remove(&account),
            role => data.roles.insert(account, role),
        };
        if !data.roles.values().any(|role| *role == Role::Owner) {
            return Err(EngineError::LastOwner);
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::{EngineError, LeafName, Plan, fit};
    use ::groups::LEAVES;
    use keys::{AccountId, DeviceId};

    fn adding(devices: u8, removing: u32) -> Plan {
        let device = |number| LeafName {
            account: AccountId::from_bytes([1; 32]),
            device: DeviceId::from_bytes([number; 16]),
        };
        Plan {
            add: (0..devices).map(device).collect(),
            remove: (0..removing).collect(),
            ..Plan::default()
        }
    }

    #[test]
    fn whom_people_add_comes_in_with_all_devices_or_not_at_all() {
        let mut plan = adding(3, 0);
        assert_eq!(fit(&mut plan, LEAVES - 3, 3), Ok(()));
        assert_eq!((plan.add.len(), plan.left_out), (3, false));
        assert_eq!(
            fit(&mut plan, LEAVES - 2, 3),
            Err(EngineError::GroupTooLarge)
        );
        // Who goes in the same commit makes room.
        let mut plan = adding(3, 1);
        assert_eq!(fit(&mut plan, LEAVES - 2, 3), Ok(()));
    }

    #[test]
    fn devices_that_find_no_place_wait_and_stop_nobody() {
        let mut plan = adding(3, 0);
        assert_eq!(fit(&mut plan, LEAVES - 2, 1), Ok(()));
        assert_eq!((plan.add.len(), plan.left_out), (2, true));
        let mut plan = adding(1, 0);
        assert_eq!(fit(&mut plan, LEAVES, 0), Ok(()));
        assert!(plan.is_empty() && plan.left_out);
    }
}
