//! The picture of a group: its data say where it lies and what it hashes to, each member keeps it.
//!
//! ```text
//!  file ─► part at the relay ─► commit with the reference ─► members fetch it, look at its hash, keep it
//!                                                    gone? ─► ask members one to one: one that has it stores it again
//! ```
//!
//! A relay keeps blobs for 30 days. Whoever joins later, or comes too late, asks: so nobody has to put it there again
//! in time, and it is there as long as one member has it.

use super::state::{self, Part, place};
use super::word::Word;
use super::words::say;
use crate::account;
use crate::archive::{self, PartRef};
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::limits;
use crate::records::{DataChange, GroupRecord, GroupStanding, PartPurpose, Wish, key};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{LeafName, Role};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, GroupId, Timestamp};
use zeroize::Zeroizing;

/// What happens once the relay has a part: `1 ‖ group ‖ command ‖ change` or `2 ‖ account ‖ device ‖ word`.
const OUT: &[u8] = b"group-picture-out/";
/// Parts that are being fetched: group ‖ part.
const IN: &[u8] = b"group-picture-in/";
/// Groups whose picture is not here: when it is asked for again, and its hash.
const MISSING: &[u8] = b"group-picture-missing/";
/// When somebody was last given one: group ‖ account.
const GIVEN: &[u8] = b"group-picture-given/";

const COMMIT: u8 = 1;
const WORD: u8 = 2;
const VERSION: u8 = 1;
/// What sealing adds, in bytes.
const TAG: u64 = 16;

/// The picture of a group, as its data name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// SHA-256 of the file.
    pub hash: [u8; 32],
    /// Its length in bytes.
    pub size: u64,
}

/// `1 ‖ SHA-256 32 ‖ BE8(size) ‖ part`, the `picture` of the group's data.
struct Reference {
    picture: Picture,
    part: PartRef,
}

impl Reference {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.array(&self.picture.hash);
        out.u64(self.picture.size);
        self.part.write(&mut out);
        out.finish()
    }

    /// Nothing where it is of a later version or beyond a limit.
    fn of(record: &GroupRecord) -> Option<Self> {
        Self::decode(record.data.picture.as_deref()?).filter(|reference| fits(&reference.part))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let mut read = || {
            if input.u8()? != VERSION {
                return Err(DecodeError::Invalid);
            }
            let picture = Picture {
                hash: input.array()?,
                size: input.u64()?,
            };
            let part = PartRef::read(&mut input)?;
            Ok(Self { picture, part })
        };
        let reference = read().ok()?;
        input.finish().ok().map(|()| reference)
    }
}

/// Whether bytes say where a picture lies.
pub(crate) fn is_reference(bytes: &[u8]) -> bool {
    Reference::decode(bytes).is_some_and(|reference| reference.encode() == bytes)
}

/// SECURITY: a member names no more than a picture has; `a_picture_that_lies_is_not_taken` notices.
fn fits(part: &PartRef) -> bool {
    let most = u64::try_from(limits::PICTURE_BYTES).unwrap_or(u64::MAX);
    part.size <= most.saturating_add(TAG)
}

/// Whether bytes are a PNG or JPEG file, by how they begin, and not too long.
fn is_picture(bytes: &[u8]) -> bool {
    let known = bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(&[0xff, 0xd8, 0xff]);
    known && bytes.len() <= limits::PICTURE_BYTES
}

/// What the data of a group say of its picture.
pub(crate) fn named(record: &GroupRecord) -> Option<Picture> {
    Reference::of(record).map(|reference| reference.picture)
}

/// The picture of a group, if it is here.
pub(crate) fn read(
    snapshot: &dyn Snapshot,
    id: &GroupId,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let Some(record) = snapshot.get(Table::Group, id.as_bytes())? else {
        return Ok(None);
    };
    let record = <GroupRecord as crate::records::Record>::decode(&record)?;
    let Some(picture) = named(&record) else {
        return Ok(None);
    };
    let kept = snapshot.get(Table::GroupPart, &place(id, Part::Picture))?;
    Ok(kept.filter(|kept| keys::sha256(&[kept]) == picture.hash))
}

/// Uploads a picture; the commit that names it follows.
pub(super) fn upload(
    tx: &mut Transaction<'_>,
    command: CommandId,
    record: &GroupRecord,
    bytes: &[u8],
    change: DataChange,
) -> Result<(), EngineError> {
    if !is_picture(bytes) {
        return Err(EngineError::InvalidPicture);
    }
    if record.data.role(&account::own(tx)?.id) < Role::Admin {
        return Err(EngineError::GroupRole);
    }
    let part = archive::seal(tx, bytes, PartPurpose::Group)?;
    let blob = part.blob;
    let reference = Reference {
        picture: Picture {
            hash: keys::sha256(&[bytes]),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        },
        part,
    };
    let wish = Wish::Change(DataChange {
        picture: Some(reference.encode()),
        ..change
    });
    let mut out = Writer::new();
    out.u8(COMMIT);
    out.array(record.id.as_bytes());
    out.u64(command.0);
    wish.write(&mut out);
    tx.put(
        Table::Meta,
        key(&[OUT, blob.as_bytes()]),
        Zeroizing::new(out.finish()),
    );
    let next = Zeroizing::new(bytes.to_vec());
    tx.put(Table::GroupPart, place(&record.id, Part::NextPicture), next);
    Ok(())
}

/// The relay has a part. Says whether it was one of these.
pub(super) fn stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    let Some(out) = take(tx, &key(&[OUT, blob.as_bytes()]))? else {
        return Ok(false);
    };
    match read_out(&out).map_err(|_| DAMAGED)? {
        Out::Commit(id, command, wish) => {
            let wished =
                super::existing(tx, &id).and_then(|record| super::wish(tx, command, record, wish));
            if let Err(error) = wished {
                tx.outcome(command, CommandOutcome::Failed(error));
            }
        }
        Out::Word(name, word) => say(tx, &name, &word)?,
    }
    Ok(true)
}

/// A part can be neither stored nor fetched. Says whether it was one of these.
pub(super) fn failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    if let Some(out) = take(tx, &key(&[OUT, blob.as_bytes()]))? {
        if let Out::Commit(id, command, _) = read_out(&out).map_err(|_| DAMAGED)? {
            tx.delete(Table::GroupPart, place(&id, Part::NextPicture));
            tx.outcome(command, CommandOutcome::Failed(EngineError::UploadFailed));
        }
        return Ok(true);
    }
    let Some((id, _)) = take_in(tx, blob)? else {
        return Ok(false);
    };
    ask(tx, &id)?;
    Ok(true)
}

const DAMAGED: StoreError = StoreError::Damaged {
    what: "picture of a group",
};

enum Out {
    Commit(GroupId, CommandId, Wish),
    Word(LeafName, Zeroizing<Vec<u8>>),
}

fn read_out(bytes: &[u8]) -> Result<Out, DecodeError> {
    let mut input = Reader::new(bytes);
    Ok(match input.u8()? {
        COMMIT => Out::Commit(
            GroupId::from_bytes(input.array()?),
            CommandId(input.u64()?),
            Wish::read(&mut input)?,
        ),
        _ => Out::Word(
            LeafName {
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
            },
            Zeroizing::new(input.take(input.remaining())?.to_vec()),
        ),
    })
}

fn take(tx: &mut Transaction<'_>, place: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    let bytes = tx.get(Table::Meta, place)?;
    if bytes.is_some() {
        tx.delete(Table::Meta, place.to_vec());
    }
    Ok(bytes)
}

fn take_in(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
) -> Result<Option<(GroupId, PartRef)>, EngineError> {
    let Some(bytes) = take(tx, &key(&[IN, blob.as_bytes()]))? else {
        return Ok(None);
    };
    let mut input = Reader::new(&bytes);
    let mut read = || {
        let id = GroupId::from_bytes(input.array()?);
        Ok::<_, DecodeError>((id, PartRef::read(&mut input)?))
    };
    Ok(Some(read().map_err(|_| DAMAGED)?))
}

/// The data of a group are new: fetches the picture that they name, or drops one that they name no more.
pub(super) fn look(tx: &mut Transaction<'_>, record: &GroupRecord) -> Result<(), EngineError> {
    let id = &record.id;
    let (here, missing) = (place(id, Part::Picture), key(&[MISSING, id.as_bytes()]));
    let kept = tx.get(Table::GroupPart, &here)?;
    let Some(reference) = Reference::of(record) else {
        if kept.is_some() {
            tx.delete(Table::GroupPart, here);
        }
        tx.delete(Table::Meta, missing);
        return Ok(());
    };
    let is_it = |bytes: &Zeroizing<Vec<u8>>| keys::sha256(&[bytes]) == reference.picture.hash;
    if kept.as_ref().is_some_and(is_it) {
        return Ok(());
    }
    let next = place(id, Part::NextPicture);
    if let Some(ours) = tx.get(Table::GroupPart, &next)?.filter(is_it) {
        tx.delete(Table::GroupPart, next);
        tx.put(Table::GroupPart, here, ours);
        tx.delete(Table::Meta, missing);
        return Ok(());
    }
    let awaited = tx.get(Table::Meta, &missing)?;
    if !awaited.is_some_and(|awaited| awaited.ends_with(&reference.picture.hash)) {
        tx.delete(Table::GroupPart, here);
        again(tx, id, &reference.picture);
        fetch(tx, record, &reference.part);
    }
    Ok(())
}

/// Notes when a picture is asked for again.
fn again(tx: &mut Transaction<'_>, id: &GroupId, picture: &Picture) {
    let at = tx.now.saturating_add(limits::PICTURE_AGAIN_SECONDS);
    let place = key(&[MISSING, id.as_bytes()]);
    let value = key(&[&at.as_secs().to_be_bytes(), &picture.hash]);
    tx.put(Table::Meta, place, Zeroizing::new(value));
}

fn fetch(tx: &mut Transaction<'_>, record: &GroupRecord, part: &PartRef) {
    archive::fetch(tx, part, &record.relay, PartPurpose::Group);
    let mut out = Writer::new();
    out.array(record.id.as_bytes());
    part.write(&mut out);
    let place = key(&[IN, part.blob.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
}

/// A part came. Says whether it was one of these.
pub(super) fn came(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<bool, EngineError> {
    let Some((id, part)) = take_in(tx, blob)? else {
        return Ok(false);
    };
    let missing = key(&[MISSING, id.as_bytes()]);
    let Some(record) = state::load(tx, &id)? else {
        return Ok(true);
    };
    let (Some(picture), true) = (named(&record), tx.get(Table::Meta, &missing)?.is_some()) else {
        return Ok(true); // It is another one now, or none.
    };
    // SECURITY: what a relay or a member shows is what the commit named; `a_picture_that_lies_is_not_taken` notices.
    let opened = archive::open(&part, sealed).ok();
    let opened = opened.filter(|opened| keys::sha256(&[opened]) == picture.hash);
    match opened {
        Some(opened) if is_picture(&opened) => {
            tx.put(Table::GroupPart, place(&id, Part::Picture), opened);
            tx.delete(Table::Meta, missing);
            tx.event(Event::GroupPicture { group: id });
        }
        // Whoever set it set no picture: there is none to wait for.
        Some(_) => tx.delete(Table::Meta, missing),
        None => ask(tx, &id)?,
    }
    Ok(true)
}

/// Asks members for the picture that the relay does not have.
fn ask(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let Some(record) = state::load(tx, id)?.filter(|record| record.standing == GroupStanding::In)
    else {
        return Ok(());
    };
    let Some(picture) = named(&record) else {
        return Ok(());
    };
    again(tx, id, &picture);
    let device = state::own_name(tx)?;
    let word = Word::AskPicture {
        group: *id,
        device,
        hash: picture.hash,
    };
    for name in super::back::askable(tx, id, limits::PICTURE_ASKED)? {
        say(tx, &name, &word.encode())?;
    }
    Ok(())
}

/// Asks again for what did not come.
pub(super) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, at) in tx.scan(Table::Meta, MISSING, None, limits::PAGE)? {
        let at = at.first_chunk::<8>().copied().map_or(0, u64::from_be_bytes);
        let id = place.strip_prefix(MISSING).and_then(GroupId::from_slice);
        if let Some(id) = id
            && Timestamp::from_secs(at) <= tx.now
        {
            ask(tx, &id)?;
        }
    }
    Ok(())
}

/// A member asks for the picture.
pub(super) fn asked(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    (id, device): (&GroupId, &LeafName),
    hash: &[u8; 32],
) -> Result<(), EngineError> {
    let mut members = state::members(tx, id)?.into_iter();
    let is_leaf =
        members.any(|member| member.account == device.account && member.device == device.device);
    // SECURITY: only members see it; `a_picture_is_for_members` notices.
    if *from != device.account || !is_leaf {
        return Ok(());
    }
    let Some(kept) = tx.get(Table::GroupPart, &place(id, Part::Picture))? else {
        return Ok(());
    };
    let given = key(&[GIVEN, id.as_bytes(), device.device.as_bytes()]);
    let before = tx.get(Table::Meta, &given)?;
    let before = before.and_then(|at| at.first_chunk::<8>().copied());
    let recently = before.is_some_and(|at| {
        let at = Timestamp::from_secs(u64::from_be_bytes(at));
        tx.now.since(at) < limits::PICTURE_GIVEN_SECONDS
    });
    if keys::sha256(&[&kept]) != *hash || recently {
        return Ok(());
    }
    let now = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
    tx.put(Table::Meta, given, now);
    let part = archive::seal(tx, &kept, PartPurpose::Group)?;
    let blob = part.blob;
    let mut out = Writer::new();
    out.u8(WORD);
    out.array(device.account.as_bytes());
    out.array(device.device.as_bytes());
    out.array(&Word::Picture { group: *id, part }.encode());
    let place = key(&[OUT, blob.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
    Ok(())
}

/// A member says where the picture lies now.
pub(super) fn told(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    id: &GroupId,
    part: &PartRef,
) -> Result<(), EngineError> {
    let mut members = state::members(tx, id)?.into_iter();
    let missing = tx.get(Table::Meta, &key(&[MISSING, id.as_bytes()]))?;
    if missing.is_none() || !fits(part) || !members.any(|member| member.account == *from) {
        return Ok(());
    }
    if let Some(record) = state::load(tx, id)? {
        fetch(tx, &record, part);
    }
    Ok(())
}

/// This device is not in a group any more: nothing of it is asked for.
pub(super) fn forget(tx: &mut Transaction<'_>, id: &GroupId) {
    tx.delete(Table::Meta, key(&[MISSING, id.as_bytes()]));
    tx.delete(Table::GroupPart, place(id, Part::NextPicture));
}
