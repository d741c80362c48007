//! Which version of a vault counts (docs/spec/vault.md, section 5).

use super::{heads, load, store};
use crate::account;
use crate::dispatch::Engine;
use crate::error::{EngineError, StoreError, VaultError};
use crate::event::{CommandOutcome, Event};
use crate::group::{people, state};
use crate::input::CommandId;
use crate::limits;
use crate::records::{
    GroupRecord, GroupStanding, Record as _, TOLD, ToldRoot, VaultPin, VaultRecord,
};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{LeafName, Role};
use keys::account_log::VerifiedLog;
use keys::vault_root::{RootBody, RootHash, VaultRoot};
use keys::{AccountId, GroupId, HybridSignature, Timestamp};
use rand_core::CryptoRng;
use std::collections::BTreeMap;

/// Who may write in a vault now.
struct Writers {
    /// Devices in the group, where this device is in it.
    leaves: Option<Vec<LeafName>>,
    roles: BTreeMap<AccountId, Role>,
}

impl Writers {
    fn of(tx: &Transaction<'_>, vault: &VaultRecord) -> Result<Self, EngineError> {
        let known = state::is_known(tx, &vault.id)?;
        let record = state::load(tx, &vault.id)?
            .filter(|record| record.data.vault && record.standing != GroupStanding::Out);
        // SECURITY: `a_restored_home_takes_no_version_of_whoever_went_out_since` notices.
        let Some(record) = record.filter(|_| known) else {
            // A home that was restored: as the group last said.
            return Ok(Self {
                leaves: None,
                roles: vault.seen.roles.clone(),
            });
        };
        let members = state::members(tx, &vault.id)?.into_iter();
        let leaves = members.map(|member| LeafName {
            account: member.account,
            device: member.device,
        });
        Ok(Self {
            leaves: Some(leaves.collect()),
            roles: record.data.roles,
        })
    }

    fn may(&self, name: &LeafName) -> bool {
        let role = self.roles.get(&name.account).copied();
        let here = |leaves: &Vec<LeafName>| leaves.contains(name);
        role >= Some(Role::Admin) && self.leaves.as_ref().is_none_or(here)
    }
}

fn author(body: &RootBody) -> LeafName {
    LeafName {
        account: body.account,
        device: body.device,
    }
}

/// Whether the author's device signed it; nothing where its log is not here.
fn is_signed(tx: &Transaction<'_>, root: &VaultRoot) -> Result<Option<bool>, EngineError> {
    let Some(log) = people::log_of(tx, &root.body.account)? else {
        return Ok(None);
    };
    let in_force = log.device(&root.body.device);
    let mut gone = log.revoked().iter().map(|gone| &gone.record);
    let device = in_force.or_else(|| gone.find(|record| *record.id() == root.body.device));
    Ok(Some(device.is_some_and(|device| {
        root.verify(device.verifying_key()).is_ok()
    })))
}

fn is_in_force(log: &VerifiedLog, name: &LeafName) -> bool {
    log.device(&name.device).is_some() && !log.is_tombstoned()
}

/// Judges roots; if they count, the newest is the pin.
pub(crate) fn check(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    generation: u32,
    roots: &[Vec<u8>],
) -> Result<(), EngineError> {
    let mut vault = load(tx, id)?.ok_or(VaultError::Unknown)?;
    if roots.len() > limits::VAULT_ROOTS {
        return Err(VaultError::BadRoot.into());
    }
    let roots: Vec<VaultRoot> = roots
        .iter()
        .map(|root| VaultRoot::decode(root).map_err(|_| VaultError::BadRoot))
        .collect::<Result<_, _>>()?;
    let newest = roots.first().ok_or(VaultError::BadRoot)?;
    judge(tx, &vault, generation, &roots)?;
    let pin = VaultPin::of(newest);
    let is_new = vault.pin != Some(pin);
    if vault.newest_root().as_ref() != Some(newest) {
        vault.pin_to(newest);
        store(tx, &vault);
    }
    tx.outcome(command, CommandOutcome::Done);
    if !is_new {
        return Ok(());
    }
    tx.event(Event::VaultNewer { vault: *id });
    // One of one's own whose answer was lost was told to nobody.
    let own = account::own(tx)?;
    match (newest.body.account, newest.body.device) == (own.id, own.device) {
        true => heads::tell(tx, id, pin),
        false => Ok(()),
    }
}

/// Takes a root for the newest because a person says so: what was known and told before is forgotten where it speaks
/// against it.
pub(crate) fn accept(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    generation: u32,
    root: &[u8],
) -> Result<(), EngineError> {
    let mut vault = load(tx, id)?.ok_or(VaultError::Unknown)?;
    let root = VaultRoot::decode(root).map_err(|_| VaultError::BadRoot)?;
    is_of(&vault, generation, std::slice::from_ref(&root))?;
    let new = VaultPin::of(&root);
    // SECURITY: a person decides between histories, not who writes; `a_person_takes_what_the_relay_shows` notices.
    if vault.pin != Some(new) {
        let judged = judge_author(tx, &vault, &Writers::of(tx, &vault)?, &root);
        // Nobody but a device of its own, of before, wrote in it.
        let own = vault.seen.alone && root.body.account == account::own(tx)?.id;
        match judged {
            Err(EngineError::Vault(VaultError::Restored)) if own => {}
            judged => judged?,
        }
    }
    vault.pin_to(&root);
    let fits = |told: &ToldRoot| told.root.counter < new.counter || told.root == new;
    vault.told.retain(fits);
    store(tx, &vault);
    tx.event(Event::VaultNewer { vault: *id });
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// Rule 1.
fn is_of(vault: &VaultRecord, generation: u32, roots: &[VaultRoot]) -> Result<(), EngineError> {
    let newest = roots.first().ok_or(VaultError::BadRoot)?;
    // SECURITY: `a_version_of_another_vault_is_refused` notices.
    let same = newest.body.generation == generation && vault.key(generation).is_some();
    match same && roots.iter().all(|root| root.body.vault == vault.id) {
        true => Ok(()),
        false => Err(VaultError::OtherVault.into()),
    }
}

fn judge(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    generation: u32,
    roots: &[VaultRoot],
) -> Result<(), EngineError> {
    let newest = roots.first().ok_or(VaultError::BadRoot)?;
    let shown = VaultPin::of(newest);
    let writers = Writers::of(tx, vault)?;
    is_of(vault, generation, roots)?;
    // 4, first half. SECURITY: `rollback_to_an_older_version_is_refused` notices.
    let pin = binding(vault, &writers);
    if shown.counter < pin.counter {
        return Err(VaultError::RolledBack.into());
    }
    // 5 and 6, before it is asked who wrote it: they say more.
    against_told(vault, &writers, roots)?;
    if vault.pin == Some(shown) {
        return Ok(()); // It counted when it became that, whoever is out since.
    }
    // 2 and 3.
    judge_author(tx, vault, &writers, newest)?;
    for root in roots.iter().skip(1) {
        // Whoever wrote the newest vouches for what it follows. SECURITY: nobody is made the author of what it did not
        // write; `a_version_in_between_that_its_author_did_not_sign_is_refused` notices.
        if is_signed(tx, root)? == Some(false) && !is_told(vault, &writers, root) {
            return Err(VaultError::NotSigned.into());
        }
    }
    follows(vault, &writers, &pin, roots)
}

/// The pin that what is shown has to follow: not one whose author may not write any more where nobody else stands up for it.
/// Whoever is out wrote it for some alone, and those who did not see it go on without it.
fn binding(vault: &VaultRecord, writers: &Writers) -> VaultPin {
    // SECURITY: `a_version_that_nobody_stands_up_for_holds_nobody_back` notices.
    match vault.newest_root() {
        Some(root)
            if writers.leaves.is_some()
                && !writers.may(&author(&root.body))
                && !is_told(vault, writers, &root) =>
        {
            VaultPin::NONE
        }
        _ => vault.pin.unwrap_or(VaultPin::NONE),
    }
}

/// Rules 2 and 3.
fn judge_author(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    writers: &Writers,
    root: &VaultRoot,
) -> Result<(), EngineError> {
    let told = is_told(vault, writers, root);
    // 2. SECURITY: `a_version_that_nobody_signed_is_refused` notices. Who told of its own version in the group said so
    // under the signature of its leaf; meanwhile it may have other keys.
    if !told && is_signed(tx, root)? != Some(true) {
        return Err(VaultError::NotSigned.into());
    }
    // 3. SECURITY: `a_version_of_a_reader_is_refused` notices.
    let name = author(&root.body);
    let log = people::log_of(tx, &name.account)?;
    let in_force = log.is_some_and(|log| is_in_force(&log, &name));
    // SECURITY: who may write by now is not known where nobody says it;
    // `a_restored_home_takes_no_version_of_whoever_went_out_since` notices.
    let restored = writers.leaves.is_none();
    let known = !restored || vault.seen.alone;
    match told || (known && in_force && writers.may(&name)) {
        true => Ok(()),
        false if restored => Err(VaultError::Restored.into()),
        false => Err(VaultError::MayNotWrite.into()),
    }
}

/// Whether somebody stands up for it: who may write now told of it; or its author did, when its role allowed that, and of
/// no other one with its counter.
fn is_told(vault: &VaultRecord, writers: &Writers, root: &VaultRoot) -> bool {
    let (shown, author) = (VaultPin::of(root), author(&root.body));
    let same = |told: &&ToldRoot| told.root.counter == shown.counter;
    let told = || vault.told.iter().filter(same);
    // SECURITY: `who_tells_of_two_versions_tells_of_none` notices.
    let by_author = || {
        let mut by = told().filter(|told| told.by == author).peekable();
        by.peek().is_some() && by.all(|told| told.root == shown)
    };
    told().any(|told| told.root == shown && writers.may(&told.by)) || by_author()
}

/// Rules 5 and 6. Who is out or may not write any more tells nothing of what must be.
fn against_told(
    vault: &VaultRecord,
    writers: &Writers,
    roots: &[VaultRoot],
) -> Result<(), EngineError> {
    let shown: Vec<VaultPin> = roots.iter().map(VaultPin::of).collect();
    let newest = shown.first().map_or(0, |newest| newest.counter);
    let told = || vault.told.iter().filter(|told| writers.may(&told.by));
    // 6. SECURITY: `fork_into_two_histories_is_noticed` notices.
    let other = |told: &ToldRoot| {
        let mut shown = shown.iter();
        shown.any(|shown| shown.counter == told.root.counter && shown.hash != told.root.hash)
    };
    if told().any(other) {
        return Err(VaultError::Forked.into());
    }
    // 5. SECURITY: `a_version_that_is_held_back_is_noticed` notices.
    match told().any(|told| told.root.counter > newest) {
        true => Err(VaultError::Withheld.into()),
        false => Ok(()),
    }
}

/// Rule 4: the roots are one chain, and it begins at the pin.
fn follows(
    vault: &VaultRecord,
    writers: &Writers,
    pin: &VaultPin,
    roots: &[VaultRoot],
) -> Result<(), EngineError> {
    let chain: Vec<(VaultPin, &RootBody)> = roots
        .iter()
        .map(|root| (VaultPin::of(root), &root.body))
        .collect();
    // SECURITY: `a_chain_with_a_gap_is_refused` notices.
    for pair in chain.windows(2) {
        if let [(_, newer), (older, body)] = pair
            && !(is_next(newer, older) && (!newer.closed || newer.directory == body.directory))
        {
            return Err(VaultError::NotFollowing.into());
        }
    }
    let (Some((newest, _)), Some((oldest, last))) = (chain.first(), chain.last()) else {
        return Err(VaultError::BadRoot.into());
    };
    // SECURITY: `a_version_that_does_not_follow_the_pin_is_refused` notices.
    let bound = vault.pin.is_none() || *pin != VaultPin::NONE;
    if oldest == pin || is_next(last, pin) || !bound {
        return Ok(());
    }
    // Whoever was away for longer believes a member who was not.
    let known = |told: &ToldRoot| told.root == *newest && writers.may(&told.by);
    let far = roots.len() == limits::VAULT_ROOTS && last.counter > pin.counter;
    match far && vault.told.iter().any(known) {
        true => Ok(()),
        false => Err(VaultError::NotFollowing.into()),
    }
}

/// Whether a root follows another one: of its generation, or of a later one. A closed one ends its generation; one that is
/// open does not keep a later one from beginning, where its head takes no more.
fn is_next(newer: &RootBody, older: &VaultPin) -> bool {
    let hash = match older.counter {
        0 => RootHash::NONE,
        _ => older.hash,
    };
    // SECURITY: `a_head_that_takes_no_more_ends_with_its_generation` notices.
    let generation = match older.closed {
        true => newer.generation > older.generation,
        false => newer.generation >= older.generation,
    };
    newer.counter == older.counter.saturating_add(1) && newer.previous == hash && generation
}

/// Notes a root that was told. Where there are too many, those of whoever may not write go first, then those of whoever
/// told most.
pub(super) fn tell(
    tx: &Transaction<'_>,
    vault: &mut VaultRecord,
    told: ToldRoot,
) -> Result<(), EngineError> {
    let pin = vault.pin.map_or(0, |pin| pin.counter);
    // SECURITY: `who_floods_with_versions_hides_none` notices, here and below.
    if told.root.counter > pin.saturating_add(limits::VAULT_AHEAD) || vault.told.contains(&told) {
        return Ok(());
    }
    vault.told.push(told);
    while vault.told.len() > TOLD {
        let writers = Writers::of(tx, vault)?;
        let rank = |told: &&ToldRoot| {
            let same = |other: &&ToldRoot| other.by.account == told.by.account;
            let all = vault.told.iter().filter(same).count();
            let first = (!writers.may(&told.by), all);
            (first, told.by.account, std::cmp::Reverse(told.root.counter))
        };
        let Some(gone) = vault.told.iter().max_by_key(rank).copied() else {
            return Ok(());
        };
        // Whoever told of two versions of one number has told of none: neither stays alone.
        vault.told.retain(|told| {
            told.by.account != gone.by.account || told.root.counter != gone.root.counter
        });
    }
    Ok(())
}

/// Whether this device may make a root the newest one: it is its own, and follows the pin.
pub(super) fn may_follow(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    root: &VaultRoot,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let ours = LeafName {
        account: own.id,
        device: own.device,
    };
    may_sign(tx, vault, &ours, &root.body)?;
    let key = own.secrets.signing().verifying_key();
    if root.verify(key).is_err() {
        return Err(VaultError::NotSigned.into());
    }
    if !is_next(&root.body, &vault.pin.unwrap_or(VaultPin::NONE)) {
        return Err(VaultError::Conflict.into());
    }
    let writers = Writers::of(tx, vault)?;
    // SECURITY: what others wrote is not written over because the relay hides it; `a_relay_that_is_set_back_is_noticed`
    // notices.
    against_told(vault, &writers, std::slice::from_ref(root))
}

/// Whether this device may put the newest root that it knows back into the head.
pub(super) fn may_repeat(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    root: &VaultRoot,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let ours = LeafName {
        account: own.id,
        device: own.device,
    };
    may_write(tx, vault, &ours)?;
    if Writers::of(tx, vault)?.leaves.is_none() {
        return Err(VaultError::Restored.into()); // What it would write over may count.
    }
    against_told(vault, &Writers::of(tx, vault)?, std::slice::from_ref(root))
}

fn may_sign(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    ours: &LeafName,
    body: &RootBody,
) -> Result<(), EngineError> {
    if body.vault != vault.id || author(body) != *ours {
        return Err(VaultError::OtherVault.into());
    }
    may_write(tx, vault, ours)?;
    // SECURITY: `nothing_is_written_under_the_key_of_somebody_who_went_out` notices. A closed root holds what the one
    // before it held.
    let old =
        body.generation < vault.generation() || awaits_key(tx, vault, &Writers::of(tx, vault)?)?;
    match old && !body.closed {
        false => Ok(()),
        true => Err(VaultError::NewKey.into()),
    }
}

fn may_write(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    ours: &LeafName,
) -> Result<(), EngineError> {
    let writers = Writers::of(tx, vault)?;
    // In a home that was restored the device is new; what counts is that nobody else was in the vault.
    let alone = writers.leaves.is_some() || vault.seen.alone;
    match writers.may(ours) && alone {
        true => Ok(()),
        false => Err(VaultError::Role.into()),
    }
}

/// Whether somebody went out, or is about to, and there is no newer key yet.
fn awaits_key(
    tx: &Transaction<'_>,
    vault: &VaultRecord,
    writers: &Writers,
) -> Result<bool, EngineError> {
    let Some(leaves) = &writers.leaves else {
        return Ok(false); // Nobody else is there who could make one.
    };
    if vault.departed {
        return Ok(true);
    }
    let mut accounts: Vec<AccountId> = leaves.iter().map(|leaf| leaf.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    for account in accounts {
        let Some(log) = people::log_of(tx, &account)? else {
            continue;
        };
        // SECURITY: a device that was revoked has the key until its leaf goes and a newer one comes;
        // `nothing_is_written_under_the_key_of_a_lost_device` notices.
        let mut leaves = leaves.iter().filter(|leaf| leaf.account == account);
        if leaves.any(|leaf| !is_in_force(&log, leaf)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Engine {
    /// Signs the body of a root as this device.
    ///
    /// # Errors
    /// [`VaultError`]: it is of another vault or author, or the role does not allow it; the store failed.
    pub fn sign_vault_root(
        &self,
        snapshot: &dyn Snapshot,
        vault: &GroupId,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<HybridSignature, EngineError> {
        let vault = self.vault(snapshot, vault)?.ok_or(VaultError::Unknown)?;
        let own = account::read(snapshot)?.ok_or(EngineError::NoAccount)?;
        let body = RootBody::decode(body).map_err(|_| VaultError::BadRoot)?;
        let ours = LeafName {
            account: own.id,
            device: own.device,
        };
        let tx = Transaction::new(snapshot, Timestamp::from_secs(0), rng);
        may_sign(&tx, &vault, &ours, &body)?;
        let signed = body.sign(own.secrets.signing());
        let root = signed.map_err(|_| EngineError::Internal {
            what: "signature of a vault's root",
        })?;
        Ok(root.signature)
    }

    /// Whether whoever writes in a vault waits for a new key, because somebody went out.
    ///
    /// # Errors
    /// The store failed.
    pub fn vault_awaits_key(
        &self,
        snapshot: &dyn Snapshot,
        vault: &GroupId,
        rng: &mut dyn CryptoRng,
    ) -> Result<bool, EngineError> {
        let vault = self.vault(snapshot, vault)?.ok_or(VaultError::Unknown)?;
        let tx = Transaction::new(snapshot, Timestamp::from_secs(0), rng);
        awaits_key(&tx, &vault, &Writers::of(&tx, &vault)?)
    }

    /// Reads what is kept of a vault.
    ///
    /// # Errors
    /// The store failed.
    pub fn vault(
        &self,
        snapshot: &dyn Snapshot,
        vault: &GroupId,
    ) -> Result<Option<VaultRecord>, EngineError> {
        let bytes = snapshot.get(Table::Vault, vault.as_bytes())?;
        let vault = bytes.map(|bytes| VaultRecord::decode(&bytes)).transpose()?;
        Ok(vault)
    }

    /// Reads the group of a vault, also where this device has left it.
    ///
    /// # Errors
    /// The store failed.
    pub fn vault_group(
        &self,
        snapshot: &dyn Snapshot,
        vault: &GroupId,
    ) -> Result<Option<GroupRecord>, StoreError> {
        state::of_vault(snapshot, vault)
    }

    /// Reads all vaults, each with its group where this device is or was in it.
    ///
    /// # Errors
    /// The store failed.
    pub fn vaults(&self, snapshot: &dyn Snapshot) -> Result<Vec<Vault>, EngineError> {
        let mut vaults = Vec::new();
        for vault in super::all(snapshot)? {
            let group = state::of_vault(snapshot, &vault.id)?;
            vaults.push((vault, group));
        }
        Ok(vaults)
    }
}

/// A vault, and its group.
pub type Vault = (VaultRecord, Option<GroupRecord>);
