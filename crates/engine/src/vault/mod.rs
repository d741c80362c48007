//! Vaults: who may do what, and what this device knows of them (docs/spec/vault.md, sections 1, 2 and 5).
//!
//! | module | has |
//! |---|---|
//! | here | what people do with a vault, and what its group does to it |
//! | `word` | what members tell each other |
//! | `roots` | which version counts |
//! | `heads` | versions on their way to and from the relay |
//!
//! Everybody agrees on the key of a generation because all get the words of a group in one order: a word counts in the
//! place where it lands, also for whoever sent it.

pub(crate) mod heads;
pub(crate) mod roots;
pub(crate) mod word;

use self::word::Word;
use crate::account;
use crate::backup;
use crate::error::{EngineError, StoreError, VaultError};
use crate::event::{CommandOutcome, Event};
use crate::group::{self, state};
use crate::input::CommandId;
use crate::limits;
use crate::records::{
    DataChange, GENERATIONS, GroupRecord, GroupStanding, Record as _, ToldRoot, VaultPin,
    VaultRecord, VaultSeen, Wish,
};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{Change, GroupData, LeafName, Role};
use keys::{AccountId, GroupId, Secret};
use std::collections::BTreeMap;

/// Reads what is kept of a vault.
pub(crate) fn load(tx: &Transaction<'_>, id: &GroupId) -> Result<Option<VaultRecord>, EngineError> {
    match tx.get(Table::Vault, id.as_bytes())? {
        Some(bytes) => Ok(Some(VaultRecord::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, vault: &VaultRecord) {
    tx.put(Table::Vault, vault.id.as_bytes().to_vec(), vault.encode());
}

/// Reads all vaults, also those of a home that was restored and is in none of their groups.
pub(crate) fn all(snapshot: &dyn Snapshot) -> Result<Vec<VaultRecord>, StoreError> {
    let rows = snapshot.scan(Table::Vault, &[], None, usize::MAX)?;
    rows.iter()
        .map(|(_, bytes)| VaultRecord::decode(bytes))
        .collect()
}

/// Makes a vault with its first key.
pub(crate) fn create(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    name: String,
) -> Result<(), EngineError> {
    if load(tx, id)?.is_none() {
        let own = account::own(tx)?;
        let mut vault = VaultRecord::new(*id);
        vault.keys.push(Secret::random(tx.rng));
        vault.seen = VaultSeen {
            name: name.clone(),
            roles: BTreeMap::from([(own.id, Role::Owner)]),
            alone: true,
        };
        store(tx, &vault);
    }
    let data = GroupData {
        name,
        vault: true,
        ..GroupData::default()
    };
    group::create(tx, command, id, data, Vec::new())
}

/// Lets people in, or gives those who are here another role.
pub(crate) fn share(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    accounts: Vec<AccountId>,
    role: Option<Role>,
) -> Result<(), EngineError> {
    let record = existing(tx, id)?;
    let members = state::members(tx, id)?;
    let comes = |account: &&AccountId| !members.iter().any(|member| member.account == **account);
    for account in accounts.iter().filter(comes) {
        group::may_come(tx, &record, account)?;
    }
    group::wish(tx, command, record, Wish::Share(accounts, role))
}

/// Puts people out.
pub(crate) fn unshare(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    accounts: Vec<AccountId>,
) -> Result<(), EngineError> {
    let record = existing(tx, id)?;
    group::remove_from(tx, command, record, accounts)
}

/// Leaves a vault.
pub(crate) fn leave(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
) -> Result<(), EngineError> {
    match existing(tx, id) {
        Ok(record) => group::leave_one(tx, command, record),
        // A home that was restored keeps what opens it until somebody says otherwise.
        Err(EngineError::Vault(VaultError::NotIn)) => {
            out(tx, id);
            tx.outcome(command, CommandOutcome::Done);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Calls a vault otherwise.
pub(crate) fn rename(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    name: String,
) -> Result<(), EngineError> {
    group::check_name(&name)?;
    let record = existing(tx, id)?;
    let change = DataChange {
        name: Some(name),
        ..DataChange::default()
    };
    group::wish(tx, command, record, Wish::Change(change))
}

fn existing(tx: &Transaction<'_>, id: &GroupId) -> Result<GroupRecord, EngineError> {
    let record = state::load(tx, id)?.filter(|record| record.data.vault);
    match record {
        Some(record) => Ok(record),
        None if load(tx, id)?.is_some() => Err(VaultError::NotIn.into()),
        None => Err(VaultError::Unknown.into()),
    }
}

/// Whether this device may write, and has what it takes.
fn may_tell(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    vault: &VaultRecord,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?.id;
    Ok(record.standing == GroupStanding::In
        && record.data.role(&own) >= Role::Admin
        && vault.is_sure())
}

/// The other devices that may write.
fn other_writers(tx: &Transaction<'_>, record: &GroupRecord) -> Result<Vec<LeafName>, EngineError> {
    let own = state::own_name(tx)?;
    let members = state::members(tx, &record.id)?.into_iter();
    let names = members.map(|member| LeafName {
        account: member.account,
        device: member.device,
    });
    let writes = |name: &LeafName| record.data.role(&name.account) >= Role::Admin && *name != own;
    Ok(names.filter(writes).collect())
}

/// The device that may write, where it is one alone.
fn sole_writer(
    tx: &Transaction<'_>,
    record: &GroupRecord,
) -> Result<Option<LeafName>, EngineError> {
    let members = state::members(tx, &record.id)?;
    let mut writers = members
        .iter()
        .filter(|member| record.data.role(&member.account) >= Role::Admin);
    let first = writers.next().map(|member| LeafName {
        account: member.account,
        device: member.device,
    });
    Ok(first.filter(|_| writers.next().is_none()))
}

/// Whether this device, which may not write, tells keys to the one that alone may: nobody else could.
fn may_remind(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    vault: &VaultRecord,
) -> Result<bool, EngineError> {
    // SECURITY: the key of somebody who went out is nothing to go on with; `a_reader_who_waits_for_a_key_reminds_nobody`
    // notices.
    let knows = record.standing == GroupStanding::In && vault.is_sure() && !vault.departed;
    Ok(knows
        && sole_writer(tx, record)?
            .is_some_and(|writer| state::own_name(tx).is_ok_and(|ours| ours != writer)))
}

/// All keys that are here, and a new one where somebody went out.
fn keys_now(tx: &mut Transaction<'_>, vault: &VaultRecord) -> Word {
    // SECURITY: whoever hears keys hears no old ones after somebody went out; `a_newcomer_gets_no_key_of_before` notices.
    let next = vault.departed.then(|| Secret::random(tx.rng));
    keys_of(vault, next)
}

/// When this device makes a new key, if nobody else did.
fn after_others(tx: &mut Transaction<'_>) -> keys::Timestamp {
    let after = group::turn::later(tx, limits::GROUP_LOOK_SECONDS);
    after.saturating_add(limits::VAULT_RENEW_SECONDS)
}

fn say(tx: &mut Transaction<'_>, record: &GroupRecord, word: &Word) -> Result<(), EngineError> {
    group::letters::say(tx, record, word::ERRAND, &word.encode())
}

/// All keys that are here, for whoever has none; and those that follow.
fn keys_of(vault: &VaultRecord, next: Option<Secret<32>>) -> Word {
    let all = vault.keys.iter().map(Secret::duplicate).chain(next);
    Word::Keys {
        keys: (1..).zip(all).collect(),
        newest: vault.pin,
    }
}

/// Notes what the group says, for a home that is restored.
fn see(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    vault: &mut VaultRecord,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    let members = state::members(tx, &record.id)?;
    vault.seen = VaultSeen {
        name: record.data.name.clone(),
        roles: record.data.roles.clone(),
        alone: !members.iter().any(|member| member.account != own),
    };
    Ok(())
}

/// A commit counts: whoever came gets keys, whoever went is the reason for a new one. `ours`: this device made it.
pub(crate) fn changed(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    changes: &[Change],
    ours: bool,
) -> Result<(), EngineError> {
    if !record.data.vault {
        return Ok(());
    }
    let mut vault = load(tx, &record.id)?.unwrap_or_else(|| VaultRecord::new(record.id));
    see(tx, record, &mut vault)?;
    let mut changes = changes.iter();
    let out = changes
        .clone()
        .any(|change| matches!(change, Change::Removed(_)));
    let came = changes.any(|change| matches!(change, Change::Added(_)));
    let may = may_tell(tx, record, &vault)?;
    group::restored::note(tx, record)?;
    // SECURITY: who went out has no key of what is written from now on; `whoever_is_out_of_a_vault_has_no_new_key`
    // notices.
    vault.departed |= out;
    if out {
        // SECURITY: a key that was made while they were there may have been sealed for them, if the relay did not take
        // it; `a_key_that_waits_is_made_anew_when_somebody_goes_out` notices.
        group::letters::unsay(tx, &record.id, word::gives_keys)?;
    }
    // In the transaction in which the newcomers count: a crash loses neither or both.
    let word = (ours && may && (out || came)).then(|| keys_now(tx, &vault));
    if out && may {
        vault.renew = Some(after_others(tx));
    }
    if out && vault.unsure.is_some() {
        // Whoever is still there may know no more than this device does.
        vault.ask = Some(tx.now);
    }
    store(tx, &vault);
    tx.event(Event::VaultNewer { vault: record.id });
    match word {
        Some(word) => say(tx, record, &word),
        None => Ok(()),
    }
}

/// This device is in the group of a vault, for the first time or again: it asks, if no keys come. `changes`: what it did
/// not see. `whole`: it missed no word.
pub(crate) fn came_in(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    changes: &[Change],
    whole: bool,
) -> Result<(), EngineError> {
    if !record.data.vault {
        return Ok(());
    }
    let mut vault = load(tx, &record.id)?.unwrap_or_else(|| VaultRecord::new(record.id));
    see(tx, record, &mut vault)?;
    group::restored::note(tx, record)?;
    // SECURITY: `whoever_comes_back_writes_nothing_for_those_who_went_meanwhile` notices.
    let out = |change: &Change| matches!(change, Change::Removed(_));
    vault.departed |= changes.iter().any(out) || took_our_place(tx, record, &vault, changes)?;
    (vault.renew, vault.answer) = (None, None);
    // SECURITY: there may be keys that it missed, and what it would make now is none for the others;
    // `whoever_comes_back_makes_no_key_before_it_knows_all` notices.
    vault.unsure = Some(tx.now.saturating_add(limits::VAULT_ASK_AGAIN_SECONDS));
    group::letters::unsay(tx, &record.id, word::gives_keys)?;
    vault.ask = Some(tx.now.saturating_add(limits::VAULT_ASK_SECONDS));
    vault.elders = other_writers(tx, record)?;
    if whole && !vault.departed && !vault.keys.is_empty() {
        // A key comes only where somebody went out.
        (vault.ask, vault.unsure) = (None, None);
    }
    store(tx, &vault);
    Ok(())
}

/// Whether this device is here in the place of those of its account that are lost, and nobody has told a key since.
fn took_our_place(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    vault: &VaultRecord,
    changes: &[Change],
) -> Result<bool, EngineError> {
    let own = state::own_name(tx)?;
    let restored = backup::was_restored(tx)? && !vault.keys.is_empty();
    let members = state::members(tx, &record.id)?;
    let mut ours = members.iter().filter(|leaf| leaf.account == own.account);
    // SECURITY: a lost device has the keys of before; `nothing_is_written_under_the_key_of_a_lost_home` notices.
    Ok(restored
        && changes.contains(&Change::Added(own))
        && ours.all(|leaf| leaf.device == own.device))
}

/// What another device knows of a vault, or this account knew before it was restored.
pub(crate) fn take_over(
    tx: &mut Transaction<'_>,
    mut vault: VaultRecord,
) -> Result<(), EngineError> {
    let rank = |vault: &VaultRecord| (vault.generation(), vault.pin.map_or(0, |pin| pin.counter));
    if let Some(known) = load(tx, &vault.id)? {
        // What is here came from the group, and may be newer than the archive.
        if rank(&known) > rank(&vault) {
            return Ok(());
        }
        vault.departed |= known.departed;
        (vault.ask, vault.unsure) = (known.ask, known.unsure);
    }
    store(tx, &vault);
    Ok(())
}

/// This device is not in the group any more: what opens the vault goes.
pub(crate) fn out(tx: &mut Transaction<'_>, id: &GroupId) {
    tx.delete(Table::Vault, id.as_bytes().to_vec());
}

/// The account has ended.
pub(crate) fn destroy(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Vault, &[], |tx, place, _| {
        tx.delete(Table::Vault, place.to_vec());
        Ok(())
    })
}

/// A word of a member, or an own one, in its place.
pub(crate) fn heard(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    from: &LeafName,
    word: &[u8],
) -> Result<(), EngineError> {
    let Ok(word) = Word::decode(word) else {
        return Ok(()); // Of a later version.
    };
    let mut vault = load(tx, &record.id)?.unwrap_or_else(|| VaultRecord::new(record.id));
    // SECURITY: `a_reader_tells_no_keys_and_no_roots` notices.
    let counts = record.data.role(&from.account) >= Role::Admin;
    let ours = state::own_name(tx)? == *from;
    match word {
        // What this device said before it was away is nothing new to the others.
        Word::Keys { .. } if ours && !vault.is_sure() => return Ok(()),
        Word::Keys { keys, newest } if counts => take_keys(tx, &mut vault, from, keys, newest)?,
        Word::Keys { keys, .. } if !ours => {
            let alone = sole_writer(tx, record)? == Some(state::own_name(tx)?);
            if !alone || !be_reminded(&mut vault, keys) {
                return Ok(());
            }
            // All agree on what came, whoever it came from.
            vault.answer = Some(tx.now);
            tx.event(Event::VaultNewer { vault: vault.id });
        }
        Word::Root(root) if counts => {
            roots::tell(tx, &mut vault, ToldRoot { root, by: *from })?;
            tx.event(Event::VaultNewer { vault: vault.id });
        }
        Word::Ask if may_tell(tx, record, &vault)? && !ours => {
            vault.answer = Some(group::turn::later(tx, limits::GROUP_LOOK_SECONDS));
        }
        Word::Ask if counts && !ours && may_remind(tx, record, &vault)? => {
            vault.answer = Some(group::turn::later(tx, limits::GROUP_LOOK_SECONDS));
        }
        _ => return Ok(()),
    }
    store(tx, &vault);
    Ok(())
}

fn take_keys(
    tx: &mut Transaction<'_>,
    vault: &mut VaultRecord,
    from: &LeafName,
    keys: Vec<(u32, Secret<32>)>,
    newest: Option<VaultPin>,
) -> Result<(), EngineError> {
    let before = vault.generation();
    let (sure, told) = (vault.is_sure(), keys.len());
    // SECURITY: nobody uses generations up; `a_writer_makes_no_key_that_nobody_needs` notices.
    let most = match sure {
        true => before.saturating_add(u32::from(vault.departed)),
        false => GENERATIONS,
    };
    let (mut whole, mut missing) = (true, false);
    for (index, (generation, key)) in (1_u32..).zip(keys) {
        whole &= generation == index;
        let next = vault.generation().saturating_add(1);
        // SECURITY: the first word for a generation counts; `a_generation_has_one_key` notices.
        if generation == next && generation <= most.min(GENERATIONS) {
            vault.keys.push(key);
        } else if generation >= next {
            missing = !sure;
            break;
        }
        if index == before && whole {
            // Somebody has told all that this device could tell.
            vault.answer = None;
        }
    }
    let all = whole && told >= usize::try_from(before).unwrap_or(usize::MAX);
    if all {
        vault.unsure = None;
    }
    if vault.generation() > before || (all && !sure) {
        (vault.departed, vault.renew) = (false, None);
    }
    vault.ask = missing.then_some(tx.now);
    if let Some(root) = newest {
        if vault.pin.is_none() {
            vault.pin = Some(root);
        }
        roots::tell(tx, vault, ToldRoot { root, by: *from })?;
    }
    tx.event(Event::VaultNewer { vault: vault.id });
    Ok(())
}

/// Takes what a reader tells of keys that this device, which alone may write, made and does not know any more. Whether it
/// took any.
fn be_reminded(vault: &mut VaultRecord, keys: Vec<(u32, Secret<32>)>) -> bool {
    // SECURITY: a reader gives no key where none is missing; `a_reader_gives_no_key_that_nobody_misses` notices. Somebody
    // went out, and the next key is due: this device makes it if it does not hear it.
    if vault.is_sure() || !vault.departed {
        return false;
    }
    let known = vault.generation();
    let next = |(generation, _): &(u32, Secret<32>)| *generation > known;
    let told = (1_u32..).zip(&keys).all(|(index, (generation, key))| {
        // SECURITY: `a_reader_of_another_history_reminds_nobody` notices.
        let same = |known: &Secret<32>| known.ct_eq(key);
        *generation == index && vault.key(index).is_none_or(same)
    });
    if !told || !keys.iter().any(next) {
        return false;
    }
    vault
        .keys
        .extend(keys.into_iter().filter(next).map(|(_, key)| key));
    (vault.unsure, vault.departed, vault.renew) = (None, false, None);
    true
}

/// Does what time brings: makes a generation that nobody made, asks, answers.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (_, bytes) in tx.scan(Table::Vault, &[], None, usize::MAX)? {
        let mut vault = VaultRecord::decode(&bytes)?;
        let due = |at: Option<keys::Timestamp>| at.is_some_and(|at| at <= tx.now);
        let (renew, ask, answer) = (due(vault.renew), due(vault.ask), due(vault.answer));
        let sure = due(vault.unsure);
        // Whoever came to write, or came back, after somebody went out.
        let late = vault.departed && vault.renew.is_none();
        if !(renew || ask || answer || sure || late) {
            continue;
        }
        let Some(record) = state::load(tx, &vault.id)? else {
            continue;
        };
        if record.standing != GroupStanding::In {
            continue;
        }
        let mut words = Vec::new();
        if ask {
            let again = tx.now.saturating_add(limits::VAULT_ASK_AGAIN_SECONDS);
            vault.ask = vault.keys.is_empty().then_some(again);
            words.push(Word::Ask);
        }
        let others = other_writers(tx, &record)?;
        // Whoever came later may know less, and asks this device.
        let elders = vault.elders.iter().any(|elder| others.contains(elder));
        if ask && !sure && vault.unsure.is_some() && !elders {
            // Whoever reads may know more than this device does.
            let wait = tx.now.saturating_add(limits::VAULT_REMIND_SECONDS);
            vault.unsure = (state::members(tx, &vault.id)?.len() > 1).then_some(wait);
        } else if sure {
            // Nobody did answer.
            vault.unsure = None;
        }
        let may = may_tell(tx, &record, &vault)?;
        if late && may {
            vault.renew = Some(after_others(tx));
        }
        if renew || answer {
            if may && (answer || vault.departed) {
                // One that could not be said yet is said better now.
                group::letters::unsay(tx, &vault.id, word::gives_keys)?;
                words.push(keys_now(tx, &vault));
            } else if answer && may_remind(tx, &record, &vault)? {
                words.push(keys_of(&vault, None));
            }
            (vault.renew, vault.answer) = (None, None);
        }
        store(tx, &vault);
        for word in &words {
            say(tx, &record, word)?;
        }
        group::turn::advance(tx, &vault.id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use keys::Timestamp;

    fn key(byte: u8) -> Secret<32> {
        Secret::from_slice(&[byte; 32]).unwrap()
    }

    fn told(keys: &[(u32, u8)]) -> Vec<(u32, Secret<32>)> {
        let keys = keys.iter();
        keys.map(|(generation, byte)| (*generation, key(*byte)))
            .collect()
    }

    /// Whoever alone writes came back with one key, and saw that somebody went out.
    fn came_back() -> VaultRecord {
        let mut vault = VaultRecord::new(GroupId::from_bytes([1; 32]));
        vault.keys.push(key(1));
        vault.departed = true;
        vault.unsure = Some(Timestamp::from_secs(1));
        vault
    }

    #[test]
    fn a_reader_gives_no_key_that_nobody_misses() {
        let whole = || told(&[(1, 1), (2, 2), (3, 3)]);
        let mut vault = came_back();
        assert!(be_reminded(&mut vault, whole()));
        assert_eq!(
            (vault.generation(), vault.departed, vault.is_sure()),
            (3, false, true)
        );
        // Not even then once more.
        assert!(!be_reminded(
            &mut vault,
            told(&[(1, 1), (2, 2), (3, 3), (4, 4)])
        ));
        let mut sure = came_back();
        sure.unsure = None;
        let mut nobody_went = came_back();
        nobody_went.departed = false;
        for mut vault in [sure, nobody_went] {
            assert!(!be_reminded(&mut vault, whole()));
            assert_eq!(vault.generation(), 1);
        }
    }

    #[test]
    fn a_reader_of_another_history_reminds_nobody() {
        for other in [
            &[(1, 9), (2, 2)][..],
            &[(2, 2)],
            &[(1, 1), (3, 3)],
            &[(1, 1)],
        ] {
            let mut vault = came_back();
            assert!(!be_reminded(&mut vault, told(other)), "{other:?}");
            assert_eq!((vault.generation(), vault.departed), (1, true));
        }
    }
}
