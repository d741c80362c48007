//! Messages of groups that are longer than a body: they lie in the blob store, and the body says where.
//!
//! | inner | is |
//! |---|---|
//! | `00 ‖ message` | the message itself |
//! | `01 ‖ part` | where it lies, what opens it, how long it is |

use super::back;
use super::inbox;
use super::state;
use super::turn;
use crate::archive::{self, PartRef};
use crate::envelope;
use crate::error::{EngineError, StoreError};
use crate::outbox;
use crate::records::{PartPurpose, Purpose, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::codec::{Reader, Writer};
use keys::{BlobId, GroupId, MessageId, Secret};
use zeroize::Zeroizing;

const INLINE: u8 = 0;
const PART: u8 = 1;

/// A request that leaves once its parcel is at the relay: group ‖ message id ‖ request.
const SENDING: &[u8] = b"group-parcel-out/";
/// A parcel that is being fetched: group ‖ part.
const FETCHING: &[u8] = b"group-parcel-in/";
/// A parcel that came, by the digest of where it lay.
const HERE: &[u8] = b"group-parcel/";

/// A body, and the blob that must be at the relay before it leaves.
pub(super) struct Sealed {
    pub(super) body: Vec<u8>,
    blob: Option<BlobId>,
}

/// Seals a message of any length.
pub(super) fn seal(
    tx: &mut Transaction<'_>,
    envelope_key: &Secret<32>,
    place: (&GroupId, u64),
    message: &[u8],
) -> Result<Sealed, EngineError> {
    let inline = [&[INLINE], message].concat();
    if let Ok(body) = envelope::seal_group(tx.rng, envelope_key, place, &inline) {
        return Ok(Sealed { body, blob: None });
    }
    let part = archive::seal(tx, message, PartPurpose::Group)?;
    let mut out = Writer::new();
    out.u8(PART);
    part.write(&mut out);
    let inner = Zeroizing::new(out.finish());
    let body = envelope::seal_group(tx.rng, envelope_key, place, &inner).map_err(|_| {
        EngineError::Internal {
            what: "place of a parcel",
        }
    })?;
    Ok(Sealed {
        body,
        blob: Some(part.blob),
    })
}

/// Hands a request out, now or once its parcel is at the relay.
pub(super) fn hand_out(
    tx: &mut Transaction<'_>,
    sealed: &Sealed,
    (group, message): (&GroupId, &MessageId),
    relay: String,
    request: wire::Request,
) -> Result<(), EngineError> {
    let Some(blob) = &sealed.blob else {
        let purpose = Purpose::GroupSend {
            group: *group,
            message: *message,
        };
        return outbox::add(tx, purpose, relay, request).map(drop);
    };
    let mut out = Writer::new();
    out.array(group.as_bytes());
    out.array(message.as_bytes());
    out.bytes(relay.as_bytes());
    out.bytes(&request.encode());
    let place = key(&[SENDING, blob.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
    Ok(())
}

/// The relay has a parcel: what names it leaves.
pub(super) fn stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    let Some((group, message, relay, request)) = take_sending(tx, blob)? else {
        return Ok(false);
    };
    let purpose = Purpose::GroupSend { group, message };
    outbox::add(tx, purpose, relay, request)?;
    Ok(true)
}

type Waiting = (GroupId, MessageId, String, wire::Request);

fn take_sending(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<Option<Waiting>, EngineError> {
    let place = key(&[SENDING, blob.as_bytes()]);
    let Some(bytes) = tx.get(Table::Meta, &place)? else {
        return Ok(None);
    };
    tx.delete(Table::Meta, place);
    let mut input = Reader::new(&bytes);
    let mut read = || {
        Ok::<_, keys::codec::DecodeError>((
            GroupId::from_bytes(input.array()?),
            MessageId::from_bytes(input.array()?),
            String::from_utf8_lossy(input.bytes(512)?).into_owned(),
            input.bytes(1 << 20)?,
        ))
    };
    let damaged = StoreError::Damaged {
        what: "parcel of a group",
    };
    let (group, message, relay, request) = read().map_err(|_| damaged.clone())?;
    let request = wire::Request::decode(request).map_err(|_| damaged)?;
    Ok(Some((group, message, relay, request)))
}

/// What a body holds.
pub(super) enum Opened {
    Message(Zeroizing<Vec<u8>>),
    /// Its parcel is on its way.
    Waits,
    /// Nothing that this version knows.
    Unknown,
}

/// Finds the message of an opened body, and fetches it where it lies elsewhere.
pub(super) fn open(
    tx: &mut Transaction<'_>,
    group: &GroupId,
    relay: &str,
    inner: &[u8],
) -> Result<Opened, EngineError> {
    match inner.split_first() {
        Some((&INLINE, message)) => Ok(Opened::Message(Zeroizing::new(message.to_vec()))),
        Some((&PART, part)) => {
            let mut input = Reader::new(part);
            let read = PartRef::read(&mut input).and_then(|part| input.finish().map(|()| part));
            let Ok(found) = read else {
                return Ok(Opened::Unknown);
            };
            let here = key(&[HERE, &keys::sha256(&[part])]);
            if let Some(message) = tx.get(Table::Meta, &here)? {
                tx.delete(Table::Meta, here);
                return Ok(Opened::Message(message));
            }
            let place = key(&[FETCHING, found.blob.as_bytes()]);
            if tx.get(Table::Meta, &place)?.is_none() {
                archive::fetch(tx, &found, relay, PartPurpose::Group);
                let kept = Zeroizing::new([&group.as_bytes()[..], part].concat());
                tx.put(Table::Meta, place, kept);
            }
            Ok(Opened::Waits)
        }
        _ => Ok(Opened::Unknown),
    }
}

/// Whose parcel is being fetched, and where it lies.
type Fetching = (GroupId, Zeroizing<Vec<u8>>);

fn take_fetching(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<Option<Fetching>, EngineError> {
    let place = key(&[FETCHING, blob.as_bytes()]);
    let Some(kept) = tx.get(Table::Meta, &place)? else {
        return Ok(None);
    };
    tx.delete(Table::Meta, place);
    let damaged = StoreError::Damaged {
        what: "parcel of a group",
    };
    let (group, part) = kept.split_first_chunk::<32>().ok_or(damaged)?;
    let part = Zeroizing::new(part.to_vec());
    Ok(Some((GroupId::from_bytes(*group), part)))
}

/// A parcel came: what waits for it is read.
pub(super) fn came(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<bool, EngineError> {
    let Some((group, part)) = take_fetching(tx, blob)? else {
        return Ok(false);
    };
    let read = PartRef::read(&mut Reader::new(&part));
    let opened = read.ok().and_then(|part| archive::open(&part, sealed).ok());
    let Some(message) = opened else {
        return failed_fetch(tx, &group).map(|()| true);
    };
    let here = key(&[HERE, &keys::sha256(&[&part])]);
    tx.put(Table::Meta, here, message);
    inbox::release(tx, &group)?;
    turn::advance(tx, &group)?;
    Ok(true)
}

/// A parcel can be neither stored nor fetched.
pub(super) fn failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    if let Some((group, message, ..)) = take_sending(tx, blob)? {
        turn::not_sent(tx, &group, &message)?;
        return Ok(true);
    }
    match take_fetching(tx, blob)? {
        Some((group, _)) => failed_fetch(tx, &group).map(|()| true),
        None => Ok(false),
    }
}

/// What a commit was is gone: this device cannot follow.
fn failed_fetch(tx: &mut Transaction<'_>, group: &GroupId) -> Result<(), EngineError> {
    match state::load(tx, group)? {
        Some(record) => back::lost(tx, record),
        None => Ok(()),
    }
}
