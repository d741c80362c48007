//! What is kept of a transfer, so that one that was killed goes on, or is cleaned up: private files in the folder of
//! the user's state.
//!
//! | file | of | until |
//! |---|---|---|
//! | `take/HASH` | a taker: its queue, its keys, how far it is | it has everything, or stops |
//! | `give/QUEUE` | a giver: what removes its queue and its blob | it ends; the next giver removes what is left |
//!
//! HASH is of the code and the relay. A file belongs to the process that has locked `FILE.lock`. Whoever begins a transfer
//! takes away what nobody has any more: also a `FILE.lock` and a `FILE.new` that were left beside no file.

use super::line::OwnQueue;
use crate::blobs::Parcel;
use crate::failure::{failure, on_disk};
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use data_encoding::HEXLOWER;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{BlobId, QueueId, Secret, SecretBytes};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const VERSION: u8 = 2;
const PATH_BYTES: usize = 4096;
const TAKE: &str = "take";
const GIVE: &str = "give";
const LOCK: &str = "lock";
/// What is being written.
const NEW: &str = "new";

/// A file that this process has to itself.
pub(super) struct Kept {
    path: PathBuf,
    _lock: File,
}

impl Kept {
    /// Takes a file; nothing where another process has it.
    fn hold(path: PathBuf) -> Result<Option<Self>, Failure> {
        let failed = |error: io::Error| unkept(&path, &error);
        if let Some(directory) = path.parent() {
            os::create_home(directory).map_err(failed)?;
        }
        let lock = os::try_lock(&path.with_extension(LOCK)).map_err(failed)?;
        Ok(lock.map(|lock| {
            // Somebody was killed while it was written.
            os::remove(&path.with_extension(NEW));
            Self { path, _lock: lock }
        }))
    }

    /// The same, where a process that looks for what was left may have it for a moment.
    fn hold_soon(path: &Path) -> Result<Option<Self>, Failure> {
        for _ in 0..limits::GIVE_LOOKS {
            if let Some(kept) = Self::hold(path.to_path_buf())? {
                return Ok(Some(kept));
            }
            std::thread::sleep(limits::GIVE_LOOK);
        }
        Ok(None)
    }

    fn read(&self) -> Result<Option<SecretBytes>, Failure> {
        let read = os::read(&self.path, limits::GIVE_STATE_BYTES);
        let read = read.map_err(|error| unkept(&self.path, &error))?;
        Ok(read.map(SecretBytes::new))
    }

    fn write(&self, bytes: &SecretBytes) -> Result<(), Failure> {
        let written = os::write_private(&self.path, bytes.expose_secret());
        written.map_err(|error| unkept(&self.path, &error))
    }

    /// Nothing is left to go on with.
    pub(super) fn forget(self) {
        os::remove(&self.path);
        os::remove(&self.path.with_extension(LOCK));
    }
}

fn unkept(path: &Path, error: &io::Error) -> Failure {
    let (cause, hint) = on_disk(error);
    let message = format!("{} cannot be written: {cause}", path.display());
    let hint = format!("{hint}; XDG_STATE_HOME names another folder for what is kept meanwhile");
    failure(FailureKind::Failed, message, Some(&hint))
}

fn secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)
}

fn write_queue(out: &mut Writer, queue: &OwnQueue) {
    out.array(queue.id.as_bytes());
    out.array(queue.receive_key.expose_secret());
    out.array(queue.token.expose_secret());
}

fn read_queue(input: &mut Reader<'_>) -> Result<OwnQueue, DecodeError> {
    Ok(OwnQueue {
        id: QueueId::from_bytes(input.array()?),
        receive_key: secret(input)?,
        token: secret(input)?,
    })
}

/// How far a taker is.
pub(super) struct Begun {
    /// Its queue.
    pub(super) own: OwnQueue,
    /// What it computed of the answer, once its confirmation may have left.
    pub(super) unconfirmed: Option<SecretBytes>,
    /// The giver's confirmation.
    pub(super) giver_tag: Option<[u8; 32]>,
    /// The offer.
    pub(super) offer: Option<SecretBytes>,
    /// Where the sealed bytes go.
    pub(super) spool: Option<PathBuf>,
    /// Whether all of it was written.
    pub(super) written: bool,
}

impl Begun {
    /// At the beginning.
    pub(super) fn new(own: OwnQueue) -> Self {
        Self {
            own,
            unconfirmed: None,
            giver_tag: None,
            offer: None,
            spool: None,
            written: false,
        }
    }

    fn encode(&self) -> SecretBytes {
        let exposed = |bytes: &Option<SecretBytes>| {
            bytes
                .as_ref()
                .map(SecretBytes::expose_secret)
                .map_or_else(Vec::new, <[u8]>::to_vec)
        };
        let mut out = Writer::new();
        out.u8(VERSION);
        write_queue(&mut out, &self.own);
        out.bytes(&zeroize::Zeroizing::new(exposed(&self.unconfirmed)));
        out.bytes(self.giver_tag.as_ref().map_or(&[], |tag| &tag[..]));
        out.bytes(&zeroize::Zeroizing::new(exposed(&self.offer)));
        let spool = self.spool.as_deref().map(Path::as_os_str);
        out.bytes(spool.map_or(&[], OsStr::as_bytes));
        out.u8(self.written.into());
        SecretBytes::new(out.finish_checked())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::checked(bytes)?;
        if input.u8()? != VERSION {
            return Err(DecodeError::Invalid);
        }
        let own = read_queue(&mut input)?;
        let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| SecretBytes::from(bytes));
        let unconfirmed = filled(input.bytes(128)?);
        let giver_tag = match input.bytes(32)? {
            [] => None,
            tag => Some(tag.try_into().map_err(|_| DecodeError::Invalid)?),
        };
        let offer = filled(input.bytes(256)?);
        let spool = match input.bytes(PATH_BYTES)? {
            [] => None,
            path => Some(PathBuf::from(OsStr::from_bytes(path))),
        };
        let written = match input.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(Self {
            own,
            unconfirmed,
            giver_tag,
            offer,
            spool,
            written,
        })
    }
}

/// The place of one taker's state.
pub(super) struct TakeState(Kept);

impl TakeState {
    /// Takes the state of a code, and removes what is left of others that stopped long ago; their queues are the third.
    pub(super) fn open(
        state: &Path,
        name: &[u8; 32],
    ) -> Result<(Self, Option<Begun>, Vec<OwnQueue>), Failure> {
        let directory = state.join(TAKE);
        let Some(kept) = Kept::hold_soon(&directory.join(HEXLOWER.encode(name)))? else {
            let message = "another process of this user takes with this code";
            let hint = "wait until it ends";
            return Err(failure(FailureKind::Failed, message, Some(hint)));
        };
        let left = sweep_taken(&directory);
        let begun = kept.read()?;
        // What cannot be read is of another version, or damaged: it is begun anew.
        let begun = begun.and_then(|bytes| Begun::decode(bytes.expose_secret()).ok());
        Ok((Self(kept), begun, left))
    }

    /// Stores how far it is.
    pub(super) fn save(&self, begun: &Begun) -> Result<(), Failure> {
        self.0.write(&begun.encode())
    }

    /// Nothing is left to go on with.
    pub(super) fn forget(self, begun: Option<&Begun>) {
        if let Some(spool) = begun.and_then(|begun| begun.spool.as_deref()) {
            os::remove(spool);
        }
        self.0.forget();
    }
}

fn is_old(path: &Path) -> bool {
    let now = os::now().as_secs();
    let age = os::modified(path).map(|at| now.saturating_sub(at.as_secs()));
    age.is_some_and(|age| age > limits::GIVE_KEPT_SECONDS)
}

/// All that is kept in a directory, and that of which only a lock or a beginning is there.
fn all_in(directory: &Path) -> BTreeSet<PathBuf> {
    let files = os::files_of(directory).into_iter();
    files.map(|path| path.with_extension("")).collect()
}

/// Removes what was kept of transfers that nobody went on with.
fn sweep_taken(directory: &Path) -> Vec<OwnQueue> {
    let mut left = Vec::new();
    for path in all_in(directory) {
        let wanted = |path: &Path| os::exists(path) && !is_old(path);
        if wanted(&path) {
            continue;
        }
        // It may have been begun in this moment.
        let held = Kept::hold(path).ok().flatten();
        let Some(kept) = held.filter(|kept| !wanted(&kept.path)) else {
            continue;
        };
        let begun = kept.read().ok().flatten();
        let begun = begun.and_then(|bytes| Begun::decode(bytes.expose_secret()).ok());
        TakeState(kept).forget(begun.as_ref());
        left.extend(begun.map(|begun| begun.own));
    }
    left
}

/// What a giver has at the relay.
pub(super) struct Given {
    pub(super) queue: OwnQueue,
    pub(super) parcel: Parcel,
    pub(super) write_token: Secret<32>,
}

impl Given {
    fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        write_queue(&mut out, &self.queue);
        out.bytes(self.parcel.url.canonical().as_bytes());
        out.array(self.parcel.blob.as_bytes());
        out.array(self.parcel.read_token.expose_secret());
        out.array(self.write_token.expose_secret());
        SecretBytes::new(out.finish_checked())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::checked(bytes)?;
        if input.u8()? != VERSION {
            return Err(DecodeError::Invalid);
        }
        let queue = read_queue(&mut input)?;
        let url = input.bytes(engine::limits::RELAY_URL_BYTES)?;
        let url = std::str::from_utf8(url).map_err(|_| DecodeError::Invalid)?;
        let given = Self {
            queue,
            parcel: Parcel {
                url: RelayUrl::parse(url).map_err(|_| DecodeError::Invalid)?,
                blob: BlobId::from_bytes(input.array()?),
                read_token: secret(&mut input)?,
            },
            write_token: secret(&mut input)?,
        };
        input.finish()?;
        Ok(given)
    }
}

/// Notes what a giver makes at the relay, before it is made; nothing where another process gives under this number.
pub(super) fn note(state: &Path, given: &Given) -> Result<Option<Kept>, Failure> {
    let path = state.join(GIVE).join(given.queue.id.to_string());
    let kept = Kept::hold_soon(&path)?;
    if let Some(kept) = &kept {
        kept.write(&given.encode())?;
    }
    Ok(kept)
}

/// What givers left at a relay that did not come to their end.
pub(super) fn left(state: &Path, url: &RelayUrl) -> Vec<(Kept, Given)> {
    let mut left = Vec::new();
    for path in all_in(&state.join(GIVE)) {
        let Ok(Some(kept)) = Kept::hold(path) else {
            continue;
        };
        let given = kept.read().ok().flatten();
        let given = given.and_then(|bytes| Given::decode(bytes.expose_secret()).ok());
        match given {
            Some(given) if given.parcel.url == *url => left.push((kept, given)),
            // Of another relay: when something is given there, or never.
            Some(_) if !is_old(&kept.path) => {}
            _ => kept.forget(),
        }
    }
    left
}

/// Whether bytes before a checksum are what a taker keeps; what was understood is written as the same bytes again.
#[cfg(any(test, feature = "conformance"))]
pub(crate) fn is_taker(content: &[u8]) -> Option<bool> {
    let bytes = checked(content);
    let begun = Begun::decode(&bytes).ok()?;
    Some(begun.encode().expose_secret() == bytes)
}

/// Whether bytes before a checksum are what a giver notes. A URL may be written in several ways: it is noted in one.
#[cfg(any(test, feature = "conformance"))]
pub(crate) fn is_giver(content: &[u8]) -> Option<bool> {
    let given = Given::decode(&checked(content)).ok()?.encode();
    let again = Given::decode(given.expose_secret()).ok()?.encode();
    Some(again.expose_secret() == given.expose_secret())
}

#[cfg(any(test, feature = "conformance"))]
fn checked(content: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(content);
    out.finish_checked()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn queue() -> OwnQueue {
        OwnQueue {
            id: QueueId::from_bytes([1; 16]),
            receive_key: Secret::from_slice(&[2; 32]).unwrap(),
            token: Secret::from_slice(&[3; 32]).unwrap(),
        }
    }

    fn begun(folder: &Path) -> Begun {
        Begun {
            unconfirmed: Some(SecretBytes::new(vec![4; 128])),
            giver_tag: Some([5; 32]),
            offer: Some(SecretBytes::new(vec![6; 121])),
            spool: Some(folder.join("spool")),
            ..Begun::new(queue())
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_state_is_private_and_belongs_to_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("letterlock");
        let (kept, before, _) = TakeState::open(&state, &[7; 32]).unwrap();
        assert!(before.is_none());
        let begun = begun(folder.path());
        kept.save(&begun).unwrap();
        let path = state.join(TAKE).join(HEXLOWER.encode(&[7; 32]));
        assert_eq!((mode(&path), mode(&state.join(TAKE))), (0o600, 0o700));
        assert!(TakeState::open(&state, &[7; 32]).is_err());
        drop(kept);
        std::fs::write(folder.path().join("spool"), b"sealed").unwrap();
        let (kept, again, _) = TakeState::open(&state, &[7; 32]).unwrap();
        let again = again.unwrap();
        assert_eq!(
            again.encode().expose_secret(),
            begun.encode().expose_secret()
        );
        kept.forget(Some(&again));
        assert_eq!(os::files_of(&state.join(TAKE)).len(), 0);
        assert!(!folder.path().join("spool").exists());
    }

    /// As after a kill while it is written, or before it was written at all.
    #[test]
    fn what_stands_beside_no_state_goes() {
        let folder = tempfile::tempdir().unwrap();
        let url = RelayUrl::parse("http://127.0.0.1:1").unwrap();
        let (take, give) = (folder.path().join(TAKE), folder.path().join(GIVE));
        for directory in [&take, &give] {
            std::fs::create_dir_all(directory).unwrap();
            for name in ["aa.lock", "bb.new", "cc.new", "cc.lock"] {
                std::fs::write(directory.join(name), b"half").unwrap();
            }
        }
        let wanted = os::try_lock(&take.join("dd.lock")).unwrap().unwrap();
        std::fs::write(take.join("dd.new"), b"half").unwrap();
        assert!(left(folder.path(), &url).is_empty());
        assert_eq!(os::files_of(&give).len(), 0);
        let (kept, _, queues) = TakeState::open(folder.path(), &[7; 32]).unwrap();
        assert!(queues.is_empty());
        kept.forget(None);
        // Somebody works with it.
        assert_eq!(os::files_of(&take).len(), 2);
        drop(wanted);
        let (kept, ..) = TakeState::open(folder.path(), &[7; 32]).unwrap();
        kept.forget(None);
        assert_eq!(os::files_of(&take).len(), 0);
    }

    #[test]
    fn what_was_cut_or_changed_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let whole = begun(folder.path()).encode().into_zeroizing();
        every_flip_and_every_cut(&whole, |bytes| Begun::decode(bytes).is_err());
    }

    fn every_flip_and_every_cut(whole: &[u8], is_refused: impl Fn(&[u8]) -> bool) {
        for end in 0..whole.len() {
            assert!(is_refused(&whole[..end]), "{end}");
        }
        for bit in 0..whole.len().saturating_mul(8) {
            let mut changed = whole.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(is_refused(&changed), "{bit}");
        }
    }

    #[test]
    fn what_a_giver_left_is_found_at_its_relay_alone() {
        let folder = tempfile::tempdir().unwrap();
        let url = |port| RelayUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let given = Given {
            queue: queue(),
            parcel: Parcel {
                url: url(1),
                blob: BlobId::from_bytes([8; 16]),
                read_token: Secret::from_slice(&[9; 32]).unwrap(),
            },
            write_token: Secret::from_slice(&[10; 32]).unwrap(),
        };
        let whole = given.encode().into_zeroizing();
        every_flip_and_every_cut(&whole, |bytes| Given::decode(bytes).is_err());
        let kept = note(folder.path(), &given).unwrap().unwrap();
        // As long as its giver runs it is nobody's.
        assert!(left(folder.path(), &url(1)).is_empty());
        assert!(note(folder.path(), &given).unwrap().is_none());
        drop(kept);
        assert!(left(folder.path(), &url(2)).is_empty());
        let found = left(folder.path(), &url(1));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.encode().expose_secret(), &whole[..]);
    }
}
