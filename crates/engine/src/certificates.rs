//! Device certificates: the devices of an account vouch for each other, for 30 days, and contacts watch it.
//!
//! A relay can hide a revocation from a contact as long as only the revoked device talks to it. It cannot make
//! the other devices vouch for that one: when the last certificate runs out, the contact is told.
//! Accounts with one device need none.

use crate::account;
use crate::errands;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::evidence::{self, Shown};
use crate::limits;
use crate::logs;
use crate::peers::Peer;
use crate::records::key;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{CERTIFICATE_SECONDS, Certificate, CertificateError};
use keys::{AccountId, DeviceId, Timestamp};
use zeroize::Zeroizing;

/// The newest certificate of this device: BE8 seconds when it came, certificate.
const OWN: &[u8] = b"certificate";
/// When this device last issued one for a device of ours: BE8 seconds.
const ISSUED: &[u8] = b"certificate-issued/";
/// Which certificate of ours a device of a contact has seen: BE8 seconds when it came.
const SHOWN: &[u8] = b"certificate-shown/";
/// Until when a device of a contact is vouched for: BE8 seconds.
const VALID: &[u8] = b"certificate-valid/";
/// When certificates were last looked through.
const LOOKED: &[u8] = b"certificates-looked";

fn place(what: &[u8], account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[what, account.as_bytes(), device.as_bytes()])
}

fn time(tx: &Transaction<'_>, place: &[u8]) -> Result<Option<u64>, EngineError> {
    let value = tx.get(Table::Meta, place)?;
    Ok(value.and_then(|value| value.as_slice().try_into().ok().map(u64::from_be_bytes)))
}

fn set_time(tx: &mut Transaction<'_>, place: Vec<u8>, at: u64) {
    tx.put(
        Table::Meta,
        place,
        Zeroizing::new(at.to_be_bytes().to_vec()),
    );
}

/// Issues what is due, once an hour.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let now = tx.now.as_secs();
    if time(tx, LOOKED)?.is_some_and(|at| at <= now && now.abs_diff(at) < limits::SWEEP_SECONDS) {
        return Ok(());
    }
    set_time(tx, LOOKED.to_vec(), now);
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    if log.devices().len() < 2 {
        return Ok(());
    }
    for device in log.devices() {
        let issued = place(ISSUED, &own.id, device.id());
        let due = time(tx, &issued)?.is_none_or(|at| {
            tx.now.since(Timestamp::from_secs(at)) >= limits::CERTIFICATE_RENEWAL_SECONDS
        });
        if !due || !log.may_certify(&own.device, device.id(), tx.now) {
            continue;
        }
        let Ok(certificate) = Certificate::issue(&log, &own.secrets, device.id(), tx.now) else {
            continue; // The clock stands before the log's; another hour will do.
        };
        set_time(tx, issued, now);
        if *device.id() == own.device {
            keep(tx, certificate.bytes())?;
        } else {
            errands::tell_certificate(tx, certificate.bytes())?;
        }
    }
    Ok(())
}

/// The list of our devices changed: everybody is vouched for anew.
pub(crate) fn list_changed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.delete(Table::Meta, LOOKED.to_vec());
    tx.each(Table::Meta, ISSUED, |tx, place, _| {
        tx.delete(Table::Meta, place.to_vec());
        Ok(())
    })
}

/// Another device of ours, or this one, vouched for a device; kept where it is this one.
pub(crate) fn keep(tx: &mut Transaction<'_>, bytes: &[u8]) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    match Certificate::verify(bytes, &log, tx.now) {
        Ok(certificate) if *certificate.device() == own.device => {
            let value = key(&[&tx.now.as_secs().to_be_bytes(), bytes]);
            tx.put(Table::Meta, OWN.to_vec(), Zeroizing::new(value));
        }
        Err(CertificateError::LogBehind { .. }) => logs::check(tx, &own.id)?,
        _ => {}
    }
    Ok(())
}

/// Our certificate, for a device of a contact that has not seen it.
pub(crate) fn to_show(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Option<Vec<u8>>, EngineError> {
    let Some((kept, bytes)) = newest(tx)? else {
        return Ok(None);
    };
    let seen = time(tx, &place(SHOWN, account, device))?;
    Ok((seen != Some(kept)).then_some(bytes))
}

/// The newest certificate of this device, seen from outside a step.
pub(crate) fn own(snapshot: &dyn Snapshot) -> Result<Option<Vec<u8>>, StoreError> {
    let value = snapshot.get(Table::Meta, OWN)?;
    Ok(value.and_then(|value| value.get(8..).map(<[u8]>::to_vec)))
}

/// The newest certificate of this device and when it came.
fn newest(tx: &Transaction<'_>) -> Result<Option<(u64, Vec<u8>)>, EngineError> {
    let Some(value) = tx.get(Table::Meta, OWN)? else {
        return Ok(None);
    };
    let (kept, bytes) = value.split_first_chunk::<8>().ok_or(StoreError::Damaged {
        what: "certificate",
    })?;
    Ok(Some((u64::from_be_bytes(*kept), bytes.to_vec())))
}

/// A device of a contact confirmed a letter of a time; if it was written after the certificate came, it carried it.
pub(crate) fn confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    sent_at: Timestamp,
) -> Result<(), EngineError> {
    if let Some((kept, _)) = newest(tx)?
        && sent_at.as_secs() > kept
    {
        set_time(tx, place(SHOWN, account, device), kept);
    }
    Ok(())
}

/// Looks at the certificate that came with a letter, or at how old the last one is.
pub(crate) fn judge(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    device: &DeviceId,
    shown: Option<&[u8]>,
) -> Result<(), EngineError> {
    if peer.own || peer.log.devices().len() < 2 {
        return Ok(());
    }
    let valid = place(VALID, &peer.id, device);
    let now = tx.now.as_secs();
    match shown.map(|bytes| Certificate::verify(bytes, &peer.log, tx.now)) {
        Some(Ok(certificate)) if certificate.device() == device => {
            let known = time(tx, &valid)?.unwrap_or(0);
            set_time(tx, valid, known.max(certificate.expires().as_secs()));
            return Ok(());
        }
        Some(Err(CertificateError::LogBehind { .. })) => logs::check(tx, &peer.id)?,
        _ => {}
    }
    match time(tx, &valid)? {
        // The first letter of a device that is new here: its certificate may be on its way.
        None => set_time(tx, valid, now.saturating_add(CERTIFICATE_SECONDS)),
        // SECURITY: nobody vouches for it any more; `a_device_that_nobody_vouches_for_is_noticed` notices.
        Some(until) if until < now => {
            let shown = Shown::Certificate {
                device: *device,
                bytes: shown.unwrap_or_default().to_vec(),
            };
            evidence::keep(tx, &peer.id, peer.log.bytes(), shown)?;
            tx.event(Event::DeviceNotVouchedFor {
                contact: peer.id,
                device: *device,
            });
        }
        Some(_) => {}
    }
    Ok(())
}
