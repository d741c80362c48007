//! What one device of the account tells the others: read, deleted, contacts, names (docs/spec/letters.md).
//!
//! An errand is a letter that is never shown: it waits for sessions, is sealed again and confirmed as letters are.

use crate::account;
use crate::amending;
use crate::certificates;
use crate::contacts;
use crate::devices;
use crate::error::EngineError;
use crate::group::word;
use crate::group::words;
use crate::guardians;
use crate::letters;
use crate::limits;
use crate::records::{Contact, Delivery, Direction, Letter, LetterState, Marks};
use crate::sending;
use crate::standby;
use crate::transaction::Transaction;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, LetterId, QueueId};
use zeroize::Zeroizing;

const READ: u8 = 1;
const DELETED: u8 = 2;
const CONTACT: u8 = 3;
const NAME: u8 = 4;
const BACKUP: u8 = 5;
const QUEUES: u8 = 6;
const CERTIFICATE: u8 = 7;
const GUARDIANS: u8 = 8;
const SHARE: u8 = 9;
const NO_SHARE: u8 = 10;
const FAILED: u8 = 13;

fn tell(tx: &mut Transaction<'_>, errand: Vec<u8>) -> Result<(), EngineError> {
    let deliveries = sending::deliveries(tx, None)?;
    let id = LetterId::random(tx.rng);
    send(tx, id, Zeroizing::new(errand), deliveries)
}

/// Passes an errand on to devices of ours that its sender did not know yet.
pub(crate) fn pass_on(
    tx: &mut Transaction<'_>,
    id: LetterId,
    errand: Zeroizing<Vec<u8>>,
    list: Option<u64>,
) -> Result<(), EngineError> {
    let deliveries = sending::missed(tx, list)?;
    send(tx, id, errand, deliveries)
}

pub(crate) fn send(
    tx: &mut Transaction<'_>,
    id: LetterId,
    errand: Zeroizing<Vec<u8>>,
    deliveries: Vec<Delivery>,
) -> Result<(), EngineError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let letter = Letter {
        id,
        contact: account::own(tx)?.id,
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: tx.now,
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries,
        errand,
        author: None,
        marks: Marks::default(),
    };
    letters::store(tx, &letter);
    sending::dispatch(tx, &letter.id)
}

/// Tells that letters were read here.
pub(crate) fn tell_read(tx: &mut Transaction<'_>, ids: &[LetterId]) -> Result<(), EngineError> {
    tell_letters(tx, READ, ids)
}

/// Tells that letters were deleted here.
pub(crate) fn tell_deleted(tx: &mut Transaction<'_>, ids: &[LetterId]) -> Result<(), EngineError> {
    tell_letters(tx, DELETED, ids)
}

/// Tells that a letter that was written here will not arrive: a device that was linked meanwhile has it as sent.
pub(crate) fn tell_failed(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    tell_letters(tx, FAILED, &[*id])
}

fn tell_letters(tx: &mut Transaction<'_>, kind: u8, ids: &[LetterId]) -> Result<(), EngineError> {
    for ids in ids.chunks(limits::ERRAND_LETTERS) {
        let mut out = Writer::new();
        out.u8(kind);
        out.u32(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        for id in ids {
            out.array(id.as_bytes());
        }
        tell(tx, out.finish())?;
    }
    Ok(())
}

/// Tells what is known of a contact, after a person changed it here.
pub(crate) fn tell_contact(tx: &mut Transaction<'_>, contact: &Contact) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(CONTACT);
    out.bytes(&contact.state());
    tell(tx, out.finish())
}

/// Tells what a device is called.
pub(crate) fn tell_name(
    tx: &mut Transaction<'_>,
    device: &DeviceId,
    name: &str,
) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(NAME);
    out.array(device.as_bytes());
    out.bytes(name.as_bytes());
    tell(tx, out.finish())
}

/// Tells how backups are written.
pub(crate) fn tell_backup(tx: &mut Transaction<'_>, told: &[u8]) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(BACKUP);
    out.bytes(told);
    tell(tx, out.finish())
}

/// Tells the queues of this device with what closes each, for the day on which it is lost.
pub(crate) fn tell_queues(
    tx: &mut Transaction<'_>,
    queues: &[(QueueId, [u8; 64])],
) -> Result<(), EngineError> {
    let own = account::own(tx)?.device;
    for queues in queues.chunks(limits::ERRAND_QUEUES) {
        let mut out = Writer::new();
        out.u8(QUEUES);
        out.array(own.as_bytes());
        out.u32(u32::try_from(queues.len()).unwrap_or(u32::MAX));
        for (queue, signature) in queues {
            out.array(queue.as_bytes());
            out.array(signature);
        }
        tell(tx, out.finish())?;
    }
    Ok(())
}

/// Tells that this device vouches for another one.
pub(crate) fn tell_certificate(
    tx: &mut Transaction<'_>,
    certificate: &[u8],
) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(CERTIFICATE);
    out.bytes(certificate);
    tell(tx, out.finish())
}

/// Tells who the guardians of the account are.
pub(crate) fn tell_guardians(tx: &mut Transaction<'_>, told: &[u8]) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(GUARDIANS);
    out.bytes(told);
    tell(tx, out.finish())
}

/// Tells a share that a contact gave us to keep.
pub(crate) fn tell_share(tx: &mut Transaction<'_>, share: &[u8]) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(SHARE);
    out.bytes(share);
    tell(tx, out.finish())
}

/// Tells that a share is worth nothing any more.
pub(crate) fn tell_share_forgotten(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
    set: &[u8; 16],
) -> Result<(), EngineError> {
    let mut out = Writer::new();
    out.u8(NO_SHARE);
    out.array(contact.as_bytes());
    out.array(set);
    tell(tx, out.finish())
}

/// Does what another device of the account tells. One of a later version is passed over.
pub(crate) fn run(tx: &mut Transaction<'_>, errand: &[u8]) -> Result<(), EngineError> {
    match read(errand) {
        Ok(Errand::Read(ids)) => letters::read_elsewhere(tx, &ids),
        Ok(Errand::Deleted(ids)) => letters::delete_all(tx, &ids),
        Ok(Errand::Failed(ids)) => letters::failed_elsewhere(tx, &ids),
        Ok(Errand::Contact(state)) => contacts::synced(tx, &state),
        Ok(Errand::Name(device, name)) => devices::set_name(tx, &device, &name).map(drop),
        Ok(Errand::Queues(device, queues)) => {
            devices::keep_queues(tx, &device, &queues);
            Ok(())
        }
        Ok(Errand::Certificate(bytes)) => certificates::keep(tx, &bytes),
        Ok(Errand::Guardians(told)) => guardians::keep(tx, &told),
        Ok(Errand::Share(share)) => guardians::keep_share(tx, &share),
        Ok(Errand::NoShare(contact, set)) => guardians::forgotten_elsewhere(tx, &contact, &set),
        Ok(Errand::Group(word)) => {
            let own = account::own(tx)?.id;
            words::heard(tx, &own, &word)
        }
        Ok(Errand::Amended(told)) => amending::told(tx, &told),
        Ok(Errand::Backup(told)) => {
            standby::keep(tx, &told);
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Whether bytes are an errand of this version.
pub(crate) fn is_understood(errand: &[u8]) -> bool {
    read(errand).is_ok()
}

enum Errand {
    Read(Vec<LetterId>),
    Deleted(Vec<LetterId>),
    Failed(Vec<LetterId>),
    Contact(Vec<u8>),
    Name(DeviceId, String),
    Backup(Zeroizing<Vec<u8>>),
    Group(Zeroizing<Vec<u8>>),
    Certificate(Vec<u8>),
    Guardians(Zeroizing<Vec<u8>>),
    Share(Zeroizing<Vec<u8>>),
    NoShare(AccountId, [u8; 16]),
    Queues(DeviceId, Vec<(QueueId, [u8; 64])>),
    Amended(Box<amending::Told>),
}

fn read(errand: &[u8]) -> Result<Errand, DecodeError> {
    let mut input = Reader::new(errand);
    let errand = match input.u8()? {
        READ => Errand::Read(ids(&mut input)?),
        DELETED => Errand::Deleted(ids(&mut input)?),
        FAILED => Errand::Failed(ids(&mut input)?),
        CONTACT => Errand::Contact(input.bytes(8192)?.to_vec()),
        NAME => {
            let device = DeviceId::from_bytes(input.array()?);
            let name = input.bytes(limits::DEVICE_NAME_BYTES)?;
            let name = std::str::from_utf8(name).map_err(|_| DecodeError::Invalid)?;
            Errand::Name(device, name.to_owned())
        }
        QUEUES => {
            let device = DeviceId::from_bytes(input.array()?);
            let count = input.u32()?;
            if usize::try_from(count).is_ok_and(|count| count > limits::ERRAND_QUEUES) {
                return Err(DecodeError::Invalid);
            }
            let mut queues = Vec::new();
            for _ in 0..count {
                queues.push((QueueId::from_bytes(input.array()?), input.array()?));
            }
            Errand::Queues(device, queues)
        }
        GUARDIANS => Errand::Guardians(secret(&mut input)?),
        SHARE => Errand::Share(secret(&mut input)?),
        NO_SHARE => Errand::NoShare(AccountId::from_bytes(input.array()?), input.array()?),
        CERTIFICATE => Errand::Certificate(input.bytes(8192)?.to_vec()),
        BACKUP => Errand::Backup(secret(&mut input)?),
        amending::ERRAND => Errand::Amended(Box::new(amending::Told::read(&mut input)?)),
        word::ERRAND => {
            let word = input.take(input.remaining())?;
            if !word::is_understood(word) {
                return Err(DecodeError::Invalid);
            }
            Errand::Group(Zeroizing::new(word.to_vec()))
        }
        _ => return Err(DecodeError::Invalid),
    };
    input.finish()?;
    Ok(errand)
}

/// Words that hold keys.
fn secret(input: &mut Reader<'_>) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
    Ok(Zeroizing::new(input.bytes(8192)?.to_vec()))
}

fn ids(input: &mut Reader<'_>) -> Result<Vec<LetterId>, DecodeError> {
    let count = input.u32()?;
    if usize::try_from(count).is_ok_and(|count| count > limits::ERRAND_LETTERS) {
        return Err(DecodeError::Invalid);
    }
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(LetterId::from_bytes(input.array()?));
    }
    Ok(ids)
}
