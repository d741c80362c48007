//! Objects: what a vault consists of, each sealed by itself (docs/spec/vault.md, section 3).

use super::keyring::Keyring;
use keys::chunked::{self, CHUNK_LEN, ChunkedKey, HEADER_LEN, SEALED_CHUNK_LEN};
use keys::label;
use keys::vault_root::ObjectRef;
use zeroize::Zeroizing;

/// Most bytes of an object.
pub const OBJECT: usize = 8 << 20;
/// Most bytes of an object that is stored compressed.
const COMPRESSED: usize = 4 << 20;
/// `form 1 ‖ BE4(length)`.
const FRONT: usize = 5;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The smallest size class is 256 bytes.
const SMALLEST: u32 = 8;
/// Fast enough to keep up with a disk.
const LEVEL: i32 = 3;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A chunk of a file.
    Chunk = 1,
    /// A list of chunks, or of lists.
    List = 2,
    /// A segment of a directory.
    Segment = 3,
    /// A directory.
    Directory = 4,
    /// A root that is not the newest.
    Root = 5,
}

/// An object that is not what a ref names: changed, another one, of another vault, or of no known form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The key of its generation is not here.
    #[error("the key of generation {generation} is not here")]
    NoKey {
        /// Which.
        generation: u32,
    },
    /// It does not open, or is another object.
    #[error("an object is not what it is to be")]
    Broken,
    /// Longer than an object may be.
    #[error("an object is too long")]
    TooLong,
}

/// The id of an object.
#[must_use]
pub fn id(keys: &Keyring, kind: Kind, bytes: &[u8]) -> [u8; 32] {
    keys.ids().object_id(kind as u8, bytes)
}

/// The smallest size class that holds so many bytes: `2^k · (8 + j) / 8`, j = 0 to 7, k ≥ 8.
#[must_use]
pub fn size_class(length: usize) -> usize {
    let power = length.max(1).ilog2().max(SMALLEST);
    let step = 1_usize << power.saturating_sub(3);
    length.max(1 << SMALLEST).next_multiple_of(step)
}

pub(super) fn context(keys: &Keyring, kind: Kind, id: &[u8; 32]) -> [u8; CONTEXT] {
    let mut out = [0; CONTEXT];
    let parts: [&[u8]; 5] = [
        label::VAULT_OBJECT.as_bytes(),
        &[0],
        keys.vault().as_bytes(),
        &[kind as u8],
        id,
    ];
    let bytes = parts.into_iter().flatten();
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

const CONTEXT: usize = label::VAULT_OBJECT.as_bytes().len() + 1 + 32 + 1 + 32;

/// Seals an object with the newest key, under its id. One salt seals one object.
///
/// # Errors
/// [`ObjectError::TooLong`]; [`ObjectError::NoKey`]: there is none at all.
pub fn seal(
    keys: &Keyring,
    kind: Kind,
    id: &[u8; 32],
    bytes: &[u8],
    compress: bool,
    salt: &[u8; 24],
) -> Result<Vec<u8>, ObjectError> {
    if bytes.len() > OBJECT {
        return Err(ObjectError::TooLong);
    }
    let generation = keys.newest();
    let with = keys
        .generation(generation)
        .ok_or(ObjectError::NoKey { generation })?;
    let frame = compress
        .then(|| shorter(bytes))
        .flatten()
        .map(Zeroizing::new);
    let (form, stored) = match &frame {
        Some(frame) => (ZSTD, frame.as_slice()),
        None => (PLAIN, bytes),
    };
    let (key, header) = ChunkedKey::for_sealing(with.content(), salt, &context(keys, kind, id));
    let front = front(form, stored.len()).ok_or(ObjectError::TooLong)?;
    seal_padded(&key, &header, &front, stored).ok_or(ObjectError::TooLong)
}

fn front(form: u8, length: usize) -> Option<[u8; FRONT]> {
    let [a, b, c, d] = u32::try_from(length).ok()?.to_be_bytes();
    Some([form, a, b, c, d])
}

/// A zstd frame, where it is smaller by a size class.
fn shorter(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > COMPRESSED {
        return None;
    }
    let frame = zstd::bulk::compress(bytes, LEVEL).ok()?;
    let saves = size_class(frame.len().saturating_add(FRONT))
        < size_class(bytes.len().saturating_add(FRONT));
    saves.then_some(frame)
}

/// Seals `front ‖ stored ‖ zeros` in the place where the ciphertext is to be.
fn seal_padded(
    key: &ChunkedKey,
    header: &[u8; HEADER_LEN],
    front: &[u8],
    stored: &[u8],
) -> Option<Vec<u8>> {
    let length = size_class(front.len().checked_add(stored.len())?);
    let sealed = usize::try_from(chunked::sealed_len(length as u64)?).ok()?;
    let mut out = Vec::with_capacity(sealed);
    out.extend_from_slice(header);
    let (mut front, mut stored, mut left) = (front, stored, length);
    for number in 0..=length.checked_div(CHUNK_LEN)? as u64 {
        let start = out.len();
        let end = start.checked_add(left.min(CHUNK_LEN))?;
        for part in [&mut front, &mut stored] {
            let (now, later) = part.split_at(part.len().min(end.checked_sub(out.len())?));
            out.extend_from_slice(now);
            *part = later;
        }
        left = left.checked_sub(end.checked_sub(start)?)?;
        out.resize(end.checked_add(keys::TAG_LEN)?, 0);
        key.seal_buffer(number, out.get_mut(start..)?).ok()?;
    }
    Some(out)
}

/// Opens what a ref names.
///
/// # Errors
/// [`ObjectError`].
pub fn open(
    keys: &Keyring,
    kind: Kind,
    reference: &ObjectRef,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ObjectError> {
    let bytes = open_any(keys, kind, reference, sealed)?;
    // SECURITY: one id names one content, whoever sealed it; `a_member_cannot_seal_another_content_under_an_id`
    // notices.
    match id(keys, kind, &bytes) == reference.id {
        true => Ok(bytes),
        false => Err(ObjectError::Broken),
    }
}

/// Opens what somebody with the key sealed under an id, whether it has that id or not.
pub(super) fn open_any(
    keys: &Keyring,
    kind: Kind,
    reference: &ObjectRef,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ObjectError> {
    let generation = reference.generation;
    let with = keys
        .generation(generation)
        .ok_or(ObjectError::NoKey { generation })?;
    if u64::from(reference.length) != sealed.len() as u64 {
        return Err(ObjectError::Broken);
    }
    let (header, body) = sealed
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(ObjectError::Broken)?;
    // SECURITY: vault, kind and id are context; `objects_do_not_change_places` notices.
    let context = context(keys, kind, &reference.id);
    let key = ChunkedKey::for_opening(with.content(), header, &context)
        .map_err(|_| ObjectError::Broken)?;
    let padded = open_chunks(&key, body).ok_or(ObjectError::Broken)?;
    unpad(padded).ok_or(ObjectError::Broken)
}

fn open_chunks(key: &ChunkedKey, body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let chunks = body.len().checked_div(SEALED_CHUNK_LEN)?;
    let last = body.len().checked_rem(SEALED_CHUNK_LEN)?;
    // The last chunk is shorter than the others, perhaps empty; without one the message was cut.
    let last = last.checked_sub(keys::TAG_LEN)?;
    let length = chunks.checked_mul(CHUNK_LEN)?.checked_add(last)?;
    if length > size_class(OBJECT.checked_add(FRONT)?) {
        return None;
    }
    let mut out = Zeroizing::new(vec![0; length]);
    let mut rest = out.as_mut_slice();
    for (number, chunk) in (0..).zip(body.chunks(SEALED_CHUNK_LEN)) {
        let (now, later) = rest.split_at_mut_checked(chunk.len().checked_sub(keys::TAG_LEN)?)?;
        key.open_into(number, chunk, now).ok()?;
        rest = later;
    }
    Some(out)
}

/// What was stored, of a plaintext that has its size class and zeros behind.
fn unpad(mut padded: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let (&[form, a, b, c, d], rest) = padded.split_first_chunk::<FRONT>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let (stored, zeros) = rest.split_at_checked(length)?;
    // SECURITY: one content has one length, and nothing hides behind it; `padding_is_canonical` notices.
    if padded.len() != size_class(length.checked_add(FRONT)?) || zeros.iter().any(|byte| *byte != 0)
    {
        return None;
    }
    match form {
        PLAIN => {
            padded.truncate(length.checked_add(FRONT)?);
            padded.drain(..FRONT);
            Some(padded)
        }
        ZSTD => decompress(stored).map(Zeroizing::new),
        _ => None,
    }
}

/// One frame, whole, with its length stated.
fn decompress(frame: &[u8]) -> Option<Vec<u8>> {
    let stated = zstd::zstd_safe::get_frame_content_size(frame).ok()??;
    let length = usize::try_from(stated).ok()?;
    // SECURITY: nobody can make this device take memory without end; `a_frame_that_grows_is_refused` notices.
    if length > COMPRESSED
        || zstd::zstd_safe::find_frame_compressed_size(frame).ok()? != frame.len()
    {
        return None;
    }
    let out = zstd::bulk::decompress(frame, length).ok()?;
    (out.len() == length).then_some(out)
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
