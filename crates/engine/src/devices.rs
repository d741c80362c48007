//! Devices that come, go or change their keys, of contacts and of our own account.

use crate::account;
use crate::backup;
use crate::certificates;
use crate::contacts;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::evidence::{self, Shown};
use crate::group;
use crate::guardians;
use crate::own_log;
use crate::peers::{self, Peer};
use crate::pre_keys;
use crate::queues;
use crate::receiving::Heard;
use crate::records::key;
use crate::retired;
use crate::routes;
use crate::sending;
use crate::sessions;
use crate::signed;
use crate::standby;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use crate::upgrade;
use crate::waiting;
use keys::account_log::{Method, VerifiedLog};
use keys::{AccountId, DeviceId, QueueId};
use zeroize::Zeroizing;

/// What a device of ours is called: by device id.
const NAME: &[u8] = b"device-name/";
/// This device was revoked.
const REVOKED: &[u8] = b"revoked";
/// It is not this device alone: the account has ended.
const ENDED: u8 = 2;
/// This device is suspended.
const SUSPENDED: &[u8] = b"suspended";

/// A newer log was taken over: what belongs to devices that are gone, or have other keys, goes.
pub(crate) fn changed(
    tx: &mut Transaction<'_>,
    before: &Peer,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    if before.own {
        standby::take_over(tx, log)?;
        own_standing(tx, &own.device, log)?;
        certificates::list_changed(tx)?;
        guardians::own_log_changed(tx, before, log)?;
    } else {
        guardians::contact_log_changed(tx, &before.id, log)?;
    }
    upgrade::changed(tx, before, log)?;
    let known = before.log.devices();
    let came = log.devices().iter();
    let came = came.filter(|device| !known.iter().any(|known| known.id() == device.id()));
    let came: Vec<DeviceId> = came.map(|device| *device.id()).collect();
    for device in came.iter().filter(|device| **device != own.device) {
        retired::came(tx, log, device)?;
    }
    if !came.is_empty() {
        sending::include(tx, before, &came)?;
        if before.own {
            queues::tell_all(tx)?;
            standby::tell(tx)?;
        }
    }
    if before.own {
        for gone in before.log.suspended() {
            let id = gone.record.id();
            if *id != own.device && is_gone(log, id) {
                close_queues(tx, id)?;
            }
        }
    }
    for device in before.log.devices() {
        if before.own && *device.id() == own.device {
            continue;
        }
        match log.device(device.id()) {
            Some(now) if now.has_keys_of(device) => {}
            // SECURITY: nothing is sealed for a device that is gone; `revoked_device_gets_no_letter`.
            None => {
                sending::forget_device(tx, &before.id, device.id())?;
                forget(tx, &before.id, device.id())?;
                if before.own && is_gone(log, device.id()) {
                    close_queues(tx, device.id())?;
                }
            }
            Some(_) => {
                waiting::forget(tx, &before.id, device.id());
                let sequence = before.log.head().sequence;
                retired::replaced(tx, log, device.id(), sequence)?;
                sending::send_again(tx, &before.id, device.id())?;
            }
        }
    }
    group::turn::account_changed(tx, &before.id)
}

/// Whether a device was revoked.
fn is_gone(log: &VerifiedLog, device: &DeviceId) -> bool {
    log.revoked().iter().any(|gone| gone.record.id() == device)
}

/// What a newer log says of this very device.
fn own_standing(
    tx: &mut Transaction<'_>,
    device: &DeviceId,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let waits = is_suspended(tx)?;
    if log.is_tombstoned() {
        return ended(tx);
    }
    if log.device(device).is_some() {
        if waits {
            tx.delete(Table::Meta, SUSPENDED.to_vec());
            tx.event(Event::DeviceResumed);
            begin_anew(tx, device, log)?;
        }
    } else if is_gone(log, device) {
        tx.delete(Table::Meta, SUSPENDED.to_vec());
        revoked(tx)?;
    } else if !waits {
        tx.put(Table::Meta, SUSPENDED.to_vec(), Zeroizing::new(vec![1]));
        tx.event(Event::DeviceSuspended);
        backup::hand_over(tx)?;
    }
    Ok(())
}

/// Nobody has a session with this device any more, and the relay dropped its pre-keys; what waits here goes out by new
/// ones.
fn begin_anew(
    tx: &mut Transaction<'_>,
    this: &DeviceId,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let last = pre_keys::last(tx)?;
    pre_keys::destroy_until(tx, last)?;
    pre_keys::begin_anew(tx)?;
    let mut logs = vec![log.clone()];
    for contact in contacts::all(tx)? {
        logs.push(contacts::log_of(&contact)?);
    }
    for log in logs {
        let devices = log.devices().iter().map(|device| device.id());
        for device in devices.filter(|device| *device != this) {
            forget(tx, log.account_id(), device)?;
            sending::send_again(tx, log.account_id(), device)?;
        }
    }
    Ok(())
}

/// Sessions, routes and questions of a device go.
fn forget(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    sessions::end(tx, account, device);
    retired::forget(tx, account, device)?;
    routes::forget(tx, account, device);
    waiting::forget(tx, account, device);
    signed::forget(tx, account, device);
    Ok(())
}

/// This device has new keys: new sessions take the place of all that stand on the old ones, and what nobody
/// confirmed is sealed again, for a peer that knows the new keys may not open it any more.
pub(crate) fn have_new_keys(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (account, device) in retired::set_all_aside(tx)? {
        let peer = peers::load(tx, &account)?;
        if peer.is_none_or(|peer| peer.stopped || peer.log.device(&device).is_none()) {
            continue;
        }
        sending::send_again(tx, &account, &device)?;
        // A stranger learns nothing.
        let contact = contacts::load(tx, &account)?;
        if !contact.is_some_and(|contact| contact.request) {
            waiting::renew(tx, &account, &device)?;
        }
    }
    sign_again(tx)?;
    // Leaves of groups follow.
    let own = account::own(tx)?.id;
    group::turn::account_changed(tx, &own)
}

/// Words that nobody confirmed are signed again: their recipients may know the new keys and refuse the old ones.
fn sign_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let mut logs = vec![account::log_of(&own)?];
    for contact in contacts::all(tx)? {
        if !contact.blocked && !contact.changed {
            logs.push(contacts::log_of(&contact)?);
        }
    }
    for log in logs {
        let devices = log.devices().iter().map(|device| device.id());
        for device in devices.filter(|device| **device != own.device) {
            if signed::between(tx, log.account_id(), device)? {
                sending::send_again(tx, log.account_id(), device)?;
            }
        }
    }
    Ok(())
}

/// What closes the queues of another device of ours: device, queue.
const SIBLING_QUEUE: &[u8] = b"sibling-queue/";

/// Another device of ours left what closes its queues.
pub(crate) fn keep_queues(
    tx: &mut Transaction<'_>,
    device: &DeviceId,
    queues: &[(QueueId, [u8; 64])],
) {
    for (queue, signature) in queues {
        let place = key(&[SIBLING_QUEUE, device.as_bytes(), queue.as_bytes()]);
        tx.put(Table::Meta, place, Zeroizing::new(signature.to_vec()));
    }
}

/// The queues of a device of ours that is gone close: whoever has it finds nothing there.
fn close_queues(tx: &mut Transaction<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let prefix = key(&[SIBLING_QUEUE, device.as_bytes()]);
    tx.each(Table::Meta, &prefix, |tx, place, signature| {
        tx.delete(Table::Meta, place.to_vec());
        let queue = place.last_chunk::<16>().copied().map(QueueId::from_bytes);
        match (queue, signature.try_into()) {
            (Some(queue), Ok(signature)) => queues::close_left(tx, queue, signature),
            _ => Err(StoreError::Damaged { what: "queue" }.into()),
        }
    })
}

/// The account has ended: what could still open or sign anything goes, here and at the relay.
fn ended(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, REVOKED)?.is_none() {
        tx.put(Table::Meta, REVOKED.to_vec(), Zeroizing::new(vec![ENDED]));
        tx.event(Event::AccountEnded);
        queues::close_all(tx)?;
        for method in Method::ALL {
            backup::end_method(tx, method)?;
        }
        standby::forget(tx);
        sessions::destroy(tx)?;
        pre_keys::destroy(tx)?;
        crate::group::destroy(tx)?;
        retired::destroy_all(tx)?;
        account::destroy_keys(tx)?;
    }
    Ok(())
}

/// This device is out: its queues close, and it does nothing more.
fn revoked(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, REVOKED)?.is_none() {
        tx.put(Table::Meta, REVOKED.to_vec(), Zeroizing::new(vec![1]));
        tx.event(Event::DeviceRevoked);
        group::leave_all(tx)?;
        queues::close_all(tx)?;
    }
    Ok(())
}

/// Whether this device was revoked.
pub(crate) fn is_revoked(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(tx.get(Table::Meta, REVOKED)?.is_some())
}

/// Whether this device is suspended.
pub(crate) fn is_suspended(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(tx.get(Table::Meta, SUSPENDED)?.is_some())
}

/// Refuses what a device that is not in force may not do.
pub(crate) fn may_act(tx: &Transaction<'_>) -> Result<(), EngineError> {
    match tx.get(Table::Meta, REVOKED)? {
        Some(why) if *why == [ENDED] => return Err(EngineError::AccountEnded),
        Some(_) => return Err(EngineError::DeviceRevoked),
        None => {}
    }
    if is_suspended(tx)? {
        return Err(EngineError::DeviceSuspended);
    }
    Ok(())
}

/// Whether this device is suspended, seen from outside a step.
pub(crate) fn suspended_here(snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
    Ok(snapshot.get(Table::Meta, SUSPENDED)?.is_some())
}

/// Whether this device was revoked, seen from outside a step.
pub(crate) fn revoked_here(snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
    Ok(snapshot.get(Table::Meta, REVOKED)?.is_some())
}

/// A device that an account's log does not name: a new one, or one that was revoked and talks on.
pub(crate) fn unknown(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    device: &DeviceId,
) -> Result<Heard, EngineError> {
    let mut entries = peer.log.entries().iter();
    if !entries.any(|entry| entry.devices.contains(device)) {
        return Ok(Heard::NewKeys);
    }
    let shown = Shown::LetterOfRevoked(*device);
    evidence::keep(tx, &peer.id, peer.log.bytes(), shown)?;
    tx.event(Event::RevokedDeviceSpoke { account: peer.id });
    Ok(Heard::Done)
}

/// The own log is as new as the relay has it: changes of ours that lost a race go on.
pub(crate) fn own_log_confirmed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    guardians::log_confirmed(tx)?;
    match may_act(tx) {
        Ok(()) => {
            pre_keys::publish_refused(tx)?;
            upgrade::follow(tx)?;
        }
        // Somebody waits to hear whether it was resumed.
        Err(EngineError::DeviceSuspended) => tx.event(Event::DeviceSuspended),
        Err(EngineError::DeviceRevoked | EngineError::AccountEnded) => {}
        Err(error) => return Err(error),
    }
    own_log::resume(tx)
}

fn name_place(device: &DeviceId) -> Vec<u8> {
    key(&[NAME, device.as_bytes()])
}

/// Notes what a device of ours is called; a number follows where the name is taken.
pub(crate) fn set_name(
    tx: &mut Transaction<'_>,
    device: &DeviceId,
    name: &str,
) -> Result<String, EngineError> {
    let taken = tx.scan(Table::Meta, NAME, None, usize::MAX)?;
    let place = name_place(device);
    let is_taken = |name: &str| {
        let mut taken = taken.iter();
        taken.any(|(other, value)| *other != place && value.as_slice() == name.as_bytes())
    };
    let mut name = name.to_owned();
    let base = name.clone();
    let mut number: u32 = 2;
    while is_taken(&name) {
        name = format!("{base}-{number}");
        number = number.saturating_add(1);
    }
    tx.put(
        Table::Meta,
        place,
        Zeroizing::new(name.clone().into_bytes()),
    );
    Ok(name)
}

/// Renames a device here and on the others.
pub(crate) fn rename(
    tx: &mut Transaction<'_>,
    device: &DeviceId,
    name: &str,
) -> Result<(), EngineError> {
    let name = set_name(tx, device, name)?;
    crate::errands::tell_name(tx, device, &name)
}

/// What the devices of the account are called here.
pub(crate) fn names(snapshot: &dyn Snapshot) -> Result<Vec<(DeviceId, String)>, StoreError> {
    let rows = snapshot.scan(Table::Meta, NAME, None, usize::MAX)?;
    let read = |(place, name): &(Vec<u8>, Zeroizing<Vec<u8>>)| {
        let id = place.strip_prefix(NAME).and_then(DeviceId::from_slice)?;
        Some((id, String::from_utf8(name.to_vec()).ok()?))
    };
    Ok(rows.iter().filter_map(read).collect())
}
