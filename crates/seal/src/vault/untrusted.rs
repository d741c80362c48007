//! Everything of a vault that is decoded of what others wrote, behind one door: for fuzz targets and for tests.

use super::folder::InStep;
use super::keyring::Keyring;
use super::name::{Name, VaultPath};
use super::object::{self, Kind};
use super::tree::{Directory, List, Place, Segment};
use super::{HEAD, open_head};
use keys::chunked::ChunkedKey;
use keys::codec::{Reader, Writer};
use keys::vault_root::{ObjectRef, VaultRoot};
use keys::{BlobId, GroupId, Secret};

/// Reads bytes as one of the forms; the first byte chooses. Says whether they were of that form. What was understood is
/// written as the same bytes again.
///
/// ```
/// assert!(!letterlock_seal::vault::untrusted(b"\x00nothing of ours"));
/// assert!(!letterlock_seal::vault::untrusted(b""));
/// ```
#[must_use]
pub fn untrusted(bytes: &[u8]) -> bool {
    let Some((form, bytes)) = bytes.split_first() else {
        return false;
    };
    match form {
        0 => list(bytes).unwrap_or(false),
        1 => segment(bytes).unwrap_or(false),
        2 => Directory::decode(bytes).is_ok_and(|read| read.encode() == bytes),
        3 => VaultRoot::decode(bytes).is_ok_and(|read| read.encode() == bytes),
        4 => padded(bytes).unwrap_or(false),
        5 => sealed(bytes).unwrap_or(false),
        6 => head(bytes).unwrap_or(false),
        7 => VaultPath::parse(bytes)
            .is_some_and(|path| VaultPath::parse(&path.to_bytes()).as_ref() == Some(&path)),
        8 => memory(bytes).unwrap_or(false),
        _ => false,
    }
}

fn keys() -> Option<Keyring> {
    let key = Secret::from_fn(|_| {});
    Keyring::new(GroupId::from_bytes([0; 32]), [(1, &key)])
}

/// `place 1 ‖ BE8(length) ‖ list`.
fn list(bytes: &[u8]) -> Option<bool> {
    let mut input = Reader::new(bytes);
    let place = match input.u8().ok()? {
        0 => Place::Last,
        _ => Place::Inner,
    };
    let length = input.u64().ok()?;
    let bytes = input.take(input.remaining()).ok()?;
    let read = List::decode(bytes, length, place).ok()?;
    let _ = read.may_be_top();
    Some(read.encode() == bytes)
}

/// `BE4(length) ‖ first name ‖ BE4(length) ‖ next name, or nothing ‖ segment`.
fn segment(bytes: &[u8]) -> Option<bool> {
    let mut input = Reader::new(bytes);
    let first = Name::new(input.bytes(super::NAME).ok()?)?;
    let next = Name::new(input.bytes(super::NAME).ok()?);
    let bytes = input.take(input.remaining()).ok()?;
    let read = Segment::decode(bytes, &keys()?, &first, next.as_ref()).ok()?;
    Some(read.encode() == bytes)
}

/// What somebody with the key sealed: the plaintext of an object, padding and all.
fn padded(bytes: &[u8]) -> Option<bool> {
    let (keys, id) = (keys()?, [0; 32]);
    let content = keys.generation(1)?.content();
    let context = object::context(&keys, Kind::Chunk, &id);
    let (key, header) = ChunkedKey::for_sealing(content, &[0; 24], &context);
    let sealed = forged(&key, &header, bytes)?;
    let reference = ObjectRef {
        id,
        generation: 1,
        pack: BlobId::from_bytes([0; 16]),
        offset: 0,
        length: u32::try_from(sealed.len()).ok()?,
    };
    Some(object::open_any(&keys, Kind::Chunk, &reference, &sealed).is_ok())
}

fn forged(key: &ChunkedKey, header: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = header.to_vec();
    let pieces = bytes.chunks(keys::chunked::CHUNK_LEN);
    let empty = bytes.len().is_multiple_of(keys::chunked::CHUNK_LEN);
    for (number, piece) in (0..).zip(pieces.chain(empty.then_some(&[][..]))) {
        let mut piece = piece.to_vec();
        key.seal(number, &mut piece).ok()?;
        out.extend_from_slice(&piece);
    }
    Some(out)
}

/// What a relay hands out in the place of an object.
fn sealed(bytes: &[u8]) -> Option<bool> {
    let reference = ObjectRef {
        id: [0; 32],
        generation: 1,
        pack: BlobId::from_bytes([0; 16]),
        offset: 0,
        length: u32::try_from(bytes.len()).ok()?,
    };
    Some(object::open(&keys()?, Kind::Chunk, &reference, bytes).is_ok())
}

/// What a folder remembers, before its checksum.
fn memory(bytes: &[u8]) -> Option<bool> {
    let mut out = Writer::new();
    out.array(bytes);
    let bytes = out.finish_checked();
    Some(InStep::decode(&bytes).ok()?.encode() == bytes)
}

/// What a relay shows as a head.
fn head(bytes: &[u8]) -> Option<bool> {
    let keys = keys()?;
    let mut body = bytes.to_vec();
    body.resize(HEAD, 0);
    let opened = open_head(keys.generation(1)?, keys.vault(), 1, &body);
    Some(opened.is_ok())
}

#[cfg(test)]
#[path = "untrusted_tests.rs"]
mod tests;
