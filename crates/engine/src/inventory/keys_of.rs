//! The keys of a profile and how they stand, read from the account logs and the tables.

use super::{KeyEntry, KeyKind, KeyState};
use crate::account;
use crate::backup;
use crate::certificates;
use crate::error::{EngineError, StoreError};
use crate::group::packages;
use crate::limits;
use crate::pre_keys::{self, Kind};
use crate::records::{
    Backup, Contact, GroupRecord, GroupStanding, OwnAccount, Record as _, RouteRecord, VaultRecord,
};
use crate::recovery;
use crate::retired;
use crate::sessions;
use crate::store::{Snapshot, Table};
use keys::account_log::{
    Certificate, DeviceRecord, EntryKind, EntrySummary, Method, Reason, VerifiedLog,
};
use keys::{AccountId, DeviceId, Suite, Timestamp};
use std::collections::BTreeMap;

/// Lists the keys of a profile.
pub(crate) fn read(snapshot: &dyn Snapshot, now: Timestamp) -> Result<Vec<KeyEntry>, EngineError> {
    let own = account::read(snapshot)?.ok_or(EngineError::NoAccount)?;
    let log = account::log_of(&own)?;
    let mut keys = root(&own, &log);
    for device in log.devices() {
        keys.extend(device_keys(device, &log, (own.device, now)));
    }
    keys.extend(away(&own, &log, now));
    keys.extend(gone(&own, &log));
    keys.extend(ways_back(snapshot, &log)?);
    keys.extend(pre_keys(snapshot, &own)?);
    keys.extend(sessions_of(snapshot, &own)?);
    keys.extend(queues(snapshot, &own)?);
    keys.extend(backup_keys(snapshot)?);
    keys.extend(certificate(snapshot, (&own, &log), now)?);
    keys.extend(key_packages(snapshot, &own)?);
    keys.extend(vault_keys(snapshot)?);
    for key in &mut keys {
        key.suite = suite_of(key, &log);
    }
    // A group keeps the suite that it was begun with.
    keys.extend(groups(snapshot, &own)?);
    Ok(keys)
}

/// A device has keys of an older suite than its account until it has new ones.
fn suite_of(key: &KeyEntry, log: &VerifiedLog) -> Suite {
    let revoked = log.revoked().iter().map(|gone| &gone.record);
    let suspended = log.suspended().iter().map(|gone| &gone.record);
    let mut records = log.devices().iter().chain(revoked).chain(suspended);
    let record = records.find(|record| Some(record.id()) == key.device.as_ref());
    record.map_or(log.suite(), DeviceRecord::suite)
}

fn entry(kind: KeyKind, state: KeyState) -> KeyEntry {
    KeyEntry {
        kind,
        suite: Suite::Hybrid,
        state,
        account: None,
        device: None,
        here: true,
        count: 1,
        created: None,
        changed: None,
        due: None,
        expires: None,
    }
}

/// Entries of a kind about a device.
fn about<'a>(
    log: &'a VerifiedLog,
    kind: EntryKind,
    device: Option<&'a DeviceId>,
) -> impl Iterator<Item = &'a EntrySummary> {
    let entries = log.entries().iter();
    entries.filter(move |entry| entry.kind == kind && entry.subject.as_ref() == device)
}

fn root(own: &OwnAccount, log: &VerifiedLog) -> Vec<KeyEntry> {
    let mut changes = log.entries().iter().filter(|entry| {
        matches!(
            entry.kind,
            EntryKind::Genesis | EntryKind::RotateRoot | EntryKind::UpgradeSuite
        )
    });
    let made = changes.next().map(|entry| entry.at);
    let rotated: Vec<Timestamp> = changes.map(|entry| entry.at).collect();
    let state = match log.is_tombstoned() {
        true => KeyState::Deactivated,
        false => KeyState::Active,
    };
    let mut keys = vec![KeyEntry {
        here: own.root.is_some(),
        created: rotated.last().copied().or(made),
        ..entry(KeyKind::Root, state)
    }];
    if !rotated.is_empty() {
        keys.push(KeyEntry {
            here: false,
            count: rotated.len() as u64,
            created: made,
            changed: rotated.last().copied(),
            ..entry(KeyKind::Root, KeyState::Destroyed)
        });
    }
    keys
}

/// The kinds of keys that a device has.
fn kinds_of(device: &DeviceRecord) -> impl Iterator<Item = KeyKind> {
    let identity = device.identity().map(|_| KeyKind::DeviceIdentity);
    let others = [KeyKind::DeviceSigning, KeyKind::DeviceEnvelope];
    identity.into_iter().chain(others)
}

fn device_keys(
    device: &DeviceRecord,
    log: &VerifiedLog,
    (this, now): (DeviceId, Timestamp),
) -> Vec<KeyEntry> {
    let rotations: Vec<Timestamp> = about(log, EntryKind::RotateDevice, Some(device.id()))
        .map(|entry| entry.at)
        .collect();
    let here = *device.id() == this;
    // Each device destroys its own at the end of the account; of the others nobody knows whether they have.
    let state = match log.is_tombstoned() {
        true if here => KeyState::Destroyed,
        true => KeyState::Deactivated,
        false => KeyState::Active,
    };
    let mut keys: Vec<KeyEntry> = kinds_of(device)
        .map(|kind| KeyEntry {
            device: Some(*device.id()),
            here: here && state != KeyState::Destroyed,
            created: Some(rotations.last().copied().unwrap_or(device.added())),
            ..entry(kind, state)
        })
        .collect();
    for kind in kinds_of(device) {
        // What opens first letters is kept for those that are under way; what signs is not. The log knows hours.
        let is_kept = |at: &Timestamp| {
            kind != KeyKind::DeviceSigning
                && now.since(*at) < limits::REPLACED_KEPT_SECONDS.saturating_add(3600)
        };
        let (kept, gone): (Vec<Timestamp>, Vec<Timestamp>) =
            rotations.iter().partition(|at| is_kept(at));
        for (state, rotations) in [(KeyState::Deactivated, kept), (KeyState::Destroyed, gone)] {
            let Some(last) = rotations.last() else {
                continue;
            };
            keys.push(KeyEntry {
                device: Some(*device.id()),
                here: state == KeyState::Deactivated && *device.id() == this,
                count: rotations.len() as u64,
                created: Some(device.added()),
                changed: Some(*last),
                ..entry(kind, state)
            });
        }
    }
    keys
}

/// Keys of devices that are suspended.
fn away(own: &OwnAccount, log: &VerifiedLog, now: Timestamp) -> Vec<KeyEntry> {
    let away = log.suspended().iter().flat_map(|away| {
        let keys = device_keys(&away.record, log, (own.device, now)).into_iter();
        keys.map(|key| match key.state {
            KeyState::Active => KeyEntry {
                state: KeyState::Suspended,
                changed: Some(away.at),
                ..key
            },
            _ => key,
        })
    });
    away.collect()
}

/// Keys of devices that were revoked.
fn gone(own: &OwnAccount, log: &VerifiedLog) -> Vec<KeyEntry> {
    let gone = log.revoked().iter().flat_map(|gone| {
        let state = match gone.reason {
            Reason::Retired => KeyState::Deactivated,
            Reason::Lost | Reason::Stolen => KeyState::Compromised,
        };
        kinds_of(&gone.record).map(move |kind| KeyEntry {
            device: Some(*gone.record.id()),
            here: *gone.record.id() == own.device,
            created: Some(gone.record.added()),
            changed: Some(gone.at),
            ..entry(kind, state)
        })
    });
    gone.collect()
}

fn ways_back(snapshot: &dyn Snapshot, log: &VerifiedLog) -> Result<Vec<KeyEntry>, EngineError> {
    let mut keys = Vec::new();
    for (method, kind) in [
        (Method::Sheet, KeyKind::RecoverySheet),
        (Method::Guardians, KeyKind::RecoveryGuardians),
    ] {
        let set: Vec<Timestamp> = log
            .entries()
            .iter()
            .filter(|entry| entry.method == Some(method))
            .map(|entry| entry.at)
            .collect();
        let in_force = log.recovery(method).is_some();
        if in_force {
            keys.push(KeyEntry {
                here: false,
                created: set.last().copied(),
                ..entry(kind, KeyState::Active)
            });
        }
        // Each entry but the one in force set one that was replaced, or cleared one.
        let before = set.len().saturating_sub(usize::from(in_force));
        if before > 0 {
            keys.push(KeyEntry {
                here: false,
                count: before as u64,
                created: set.first().copied(),
                changed: set.last().copied(),
                ..entry(kind, KeyState::Deactivated)
            });
        }
    }
    if recovery::sheet(snapshot)?.is_some() {
        keys.push(entry(KeyKind::RecoverySheet, KeyState::PreActivation));
    }
    let shares = snapshot.scan(Table::Share, &[], None, usize::MAX)?;
    if !shares.is_empty() {
        keys.push(KeyEntry {
            count: shares.len() as u64,
            ..entry(KeyKind::KeptShares, KeyState::Active)
        });
    }
    Ok(keys)
}

fn pre_keys(snapshot: &dyn Snapshot, own: &OwnAccount) -> Result<Vec<KeyEntry>, EngineError> {
    let mut keys = Vec::new();
    let made = pre_keys::made(snapshot)?;
    let due = made.map(|made| made.saturating_add(pre_keys::ROTATE_SECONDS));
    let expires = made.map(|made| made.saturating_add(limits::PRE_KEY_VALID_SECONDS));
    for (kind, stored) in [
        (KeyKind::SignedPreKey, Kind::Signed),
        (KeyKind::LastResortPreKey, Kind::LastResort),
        (KeyKind::OneTimeEcPreKeys, Kind::OneTimeEc),
        (KeyKind::OneTimeKemPreKeys, Kind::OneTimeKem),
    ] {
        let (count, replaced) = pre_keys::count(snapshot, stored)?;
        let of = |state| KeyEntry {
            device: Some(own.device),
            ..entry(kind, state)
        };
        let one_time = matches!(stored, Kind::OneTimeEc | Kind::OneTimeKem);
        if one_time && (count > 0 || own.secrets.identity().is_some()) {
            keys.push(KeyEntry {
                count,
                ..of(KeyState::Active)
            });
            if replaced > 0 {
                keys.push(KeyEntry {
                    count: replaced,
                    ..of(KeyState::Deactivated)
                });
            }
            continue;
        }
        if count > 0 {
            keys.push(KeyEntry {
                created: made,
                due,
                expires,
                ..of(KeyState::Active)
            });
        }
        // Those before the published one still open first letters that are under way.
        let before = replaced.saturating_add(count.saturating_sub(1));
        if before > 0 {
            keys.push(KeyEntry {
                count: before,
                changed: made,
                ..of(KeyState::Deactivated)
            });
        }
    }
    Ok(keys)
}

/// Sessions, by account.
fn sessions_of(snapshot: &dyn Snapshot, own: &OwnAccount) -> Result<Vec<KeyEntry>, EngineError> {
    let mut found: BTreeMap<AccountId, (u64, Option<Timestamp>)> = BTreeMap::new();
    let mut replaced: BTreeMap<AccountId, u64> = BTreeMap::new();
    for (place, _) in snapshot.scan(Table::Session, &[], None, usize::MAX)? {
        let Some((account, device)) = place.split_first_chunk::<32>() else {
            continue;
        };
        let account = AccountId::from_bytes(*account);
        if retired::is_retired(&place) {
            let count = replaced.entry(account).or_default();
            *count = count.saturating_add(1);
            continue;
        }
        let begun = match DeviceId::from_slice(device) {
            Some(device) => sessions::begun_at(snapshot, &account, &device)?,
            None => None,
        };
        let (count, oldest) = found.entry(account).or_default();
        *count = count.saturating_add(1);
        *oldest = match (*oldest, begun) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    let mut keys = Vec::new();
    for (account, (count, created)) in found {
        let row = snapshot.get(Table::Contact, account.as_bytes())?;
        let contact = row.map(|row| Contact::decode(&row)).transpose()?;
        let stopped = contact.is_some_and(|contact| contact.blocked || contact.changed);
        let state = match stopped && account != own.id {
            true => KeyState::Suspended,
            false => KeyState::Active,
        };
        keys.push(KeyEntry {
            account: Some(account),
            count,
            created,
            ..entry(KeyKind::Sessions, state)
        });
    }
    keys.extend(replaced.into_iter().map(|(account, count)| KeyEntry {
        account: Some(account),
        count,
        ..entry(KeyKind::Sessions, KeyState::Deactivated)
    }));
    Ok(keys)
}

/// Groups, by suite and by whether this device can follow.
fn groups(snapshot: &dyn Snapshot, own: &OwnAccount) -> Result<Vec<KeyEntry>, EngineError> {
    let mut found: BTreeMap<(Suite, KeyState), (u64, Timestamp)> = BTreeMap::new();
    for (_, row) in snapshot.scan(Table::Group, &[], None, usize::MAX)? {
        let record = GroupRecord::decode(&row)?;
        let state = match record.standing {
            GroupStanding::In | GroupStanding::Leaving => KeyState::Active,
            GroupStanding::Lost => KeyState::Suspended,
            GroupStanding::Out => continue,
        };
        let place = found.entry((record.suite, state));
        let (count, oldest) = place.or_insert((0, record.renewed));
        *count = count.saturating_add(1);
        *oldest = record.renewed.min(*oldest);
    }
    let entries = found.into_iter().map(|((suite, state), (count, oldest))| {
        let due = oldest.saturating_add(limits::GROUP_RENEW_SECONDS);
        KeyEntry {
            suite,
            device: Some(own.device),
            count,
            created: Some(oldest),
            due: Some(due).filter(|_| state == KeyState::Active),
            ..entry(KeyKind::Groups, state)
        }
    });
    Ok(entries.collect())
}

/// The published key packages, and those before them that invitations on their way may still need.
fn key_packages(snapshot: &dyn Snapshot, own: &OwnAccount) -> Result<Vec<KeyEntry>, EngineError> {
    let (published, replaced) = packages::count(snapshot)?;
    let made = packages::made(snapshot)?;
    let of = |count, state| KeyEntry {
        device: Some(own.device),
        count,
        ..entry(KeyKind::KeyPackages, state)
    };
    let published = (published > 0).then(|| KeyEntry {
        created: made,
        due: made.map(|made| made.saturating_add(limits::KEY_PACKAGE_SECONDS)),
        ..of(published, KeyState::Active)
    });
    let replaced = (replaced > 0).then(|| of(replaced, KeyState::Deactivated));
    Ok(published.into_iter().chain(replaced).collect())
}

/// The newest key of each vault, and those before it, which open what was written under them.
fn vault_keys(snapshot: &dyn Snapshot) -> Result<Vec<KeyEntry>, StoreError> {
    let (mut newest, mut older) = (0_u64, 0_u64);
    for (_, row) in snapshot.scan(Table::Vault, &[], None, usize::MAX)? {
        let generations = u64::from(VaultRecord::decode(&row)?.generation());
        newest = newest.saturating_add(generations.min(1));
        older = older.saturating_add(generations.saturating_sub(1));
    }
    let of = |count, state| KeyEntry {
        count,
        ..entry(KeyKind::VaultKeys, state)
    };
    let entries = [
        of(newest, KeyState::Active),
        of(older, KeyState::Deactivated),
    ];
    Ok(entries
        .into_iter()
        .filter(|entry| entry.count > 0)
        .collect())
}

fn queues(snapshot: &dyn Snapshot, own: &OwnAccount) -> Result<Vec<KeyEntry>, EngineError> {
    let queues = snapshot.scan(Table::Queue, &[], None, usize::MAX)?.len() as u64;
    let mut routes = queues;
    for (_, row) in snapshot.scan(Table::Route, &[], None, usize::MAX)? {
        let told = RouteRecord::decode(&row)?.contact.is_some();
        routes = routes.saturating_add(u64::from(told));
    }
    let of = |kind, count| KeyEntry {
        device: Some(own.device),
        count,
        ..entry(kind, KeyState::Active)
    };
    Ok(vec![
        of(KeyKind::QueueKeys, queues),
        of(KeyKind::RouteKeys, routes),
    ])
}

fn backup_keys(snapshot: &dyn Snapshot) -> Result<Vec<KeyEntry>, EngineError> {
    let Some(row) = snapshot.get(Table::Meta, backup::BACKUP)? else {
        let standby = snapshot
            .get(Table::Meta, crate::standby::STANDBY)?
            .is_some();
        let waiting = entry(KeyKind::BackupHead, KeyState::PreActivation);
        return Ok(standby.then_some(waiting).into_iter().collect());
    };
    let backup = Backup::decode(&row)?;
    let written = Some(backup.at).filter(|at| at.as_secs() > 0);
    let packed = Some(backup.packed_at).filter(|at| at.as_secs() > 0);
    let mut keys = vec![KeyEntry {
        count: backup.methods.len() as u64,
        changed: written,
        ..entry(KeyKind::BackupHead, KeyState::Active)
    }];
    if !backup.parts.is_empty() {
        keys.push(KeyEntry {
            count: backup.parts.len() as u64,
            created: packed,
            due: packed.map(|at| at.saturating_add(limits::BACKUP_WHOLE_SECONDS)),
            ..entry(KeyKind::BackupParts, KeyState::Active)
        });
    }
    Ok(keys)
}

fn certificate(
    snapshot: &dyn Snapshot,
    (own, log): (&OwnAccount, &VerifiedLog),
    now: Timestamp,
) -> Result<Option<KeyEntry>, StoreError> {
    let Some(bytes) = certificates::own(snapshot)? else {
        return Ok(None);
    };
    let of = |state| KeyEntry {
        device: Some(own.device),
        ..entry(KeyKind::DeviceCertificate, state)
    };
    Ok(Some(match Certificate::verify(&bytes, log, now) {
        Ok(certificate) => {
            let issued = certificate.issued();
            KeyEntry {
                created: Some(issued),
                due: Some(issued.saturating_add(limits::CERTIFICATE_RENEWAL_SECONDS)),
                expires: Some(certificate.expires()),
                ..of(KeyState::Active)
            }
        }
        Err(_) => of(KeyState::Deactivated),
    }))
}
