//! What a disk may hold in the place of what a mount left, for fuzz targets and tests.

use super::head;
use super::log::{self, hostile};
use super::source::Source;
use super::staged::Staged;
use super::system::{FileSystem, State};
use keys::codec::Reader;
use keys::vault_root::ObjectRef;
use keys::{GroupId, Secret};
use seal::vault::{Keyring, Meta};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::runtime::{Builder, Runtime};

/// A vault of which nothing is at a relay.
struct Ground {
    _runtime: Runtime,
    source: Arc<Source>,
}

static GROUND: LazyLock<Option<Ground>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let key = Secret::from_fn(|_| {});
    let keys = Keyring::new(GroupId::from_bytes([0; 32]), [(1, &key)])?;
    let source = Source::of_nothing(keys, runtime.handle().clone())?;
    Some(Ground {
        _runtime: runtime,
        source,
    })
});

/// A mounted vault in which nothing is; what is written lies in a directory.
pub(in crate::vault) fn files(directory: &Path) -> Option<Arc<FileSystem>> {
    let source = Arc::clone(&GROUND.as_ref()?.source);
    let base = ObjectRef::NONE;
    let mut state = State::new(1, base);
    state.top.base = None;
    let log = log::Log::begin(directory, &source.keys(), &base, &state.top).ok()?;
    Some(Arc::new(FileSystem {
        source,
        directory: directory.to_path_buf(),
        read_only: false,
        changing: Mutex::new(Some(log)),
        state: Mutex::new(state),
        unnamed: Arc::default(),
        bell: Mutex::default(),
        rang: std::sync::Condvar::new(),
    }))
}

/// Whether whoever goes on after a kill finds all that is written there now.
pub(in crate::vault) fn is_kept(files: &FileSystem) -> bool {
    let source = &files.source;
    let left = log::replay(&files.directory, &source.keys(), source);
    let Ok(Some(left)) = left else { return false };
    let state = files.lock();
    !left.damaged && hostile::bound(&left.top) == hostile::bound(&state.top)
}

/// A record of a log.
pub(crate) fn record(bytes: &[u8]) -> Option<bool> {
    hostile::record(bytes)
}

/// A head of a file.
pub(crate) fn head(bytes: &[u8]) -> Option<bool> {
    head::is_head(bytes)
}

/// A log as it lies on a disk. What was read of it is written, and read again as the same.
pub(crate) fn log(bytes: &[u8]) -> Option<bool> {
    replays(GROUND.as_ref()?, bytes)
}

/// `B(record)...`, as whoever has the key writes them into a log.
pub(crate) fn records(bytes: &[u8]) -> Option<bool> {
    let ground = GROUND.as_ref()?;
    let mut input = Reader::new(bytes);
    let mut records = Vec::new();
    while input.remaining() > 0 {
        records.push(input.bytes(bytes.len()).ok()?);
    }
    replays(ground, &hostile::log(&ground.source.keys(), &records).ok()?)
}

fn replays(ground: &Ground, bytes: &[u8]) -> Option<bool> {
    // The files that such a log names are nowhere.
    let (directory, keys) = (Path::new("/nonexistent"), ground.source.keys());
    let replay = |bytes: &[u8]| hostile::replay(bytes, directory, &keys, &ground.source).ok();
    let left = replay(bytes)?;
    let bound = hostile::bound(&left.top);
    let records: Vec<&[u8]> = bound.iter().map(Vec::as_slice).collect();
    let again = replay(&hostile::log(&keys, &records).ok()?)?;
    Some(!again.damaged && hostile::bound(&again.top) == bound)
}

/// Edits a file that somebody wrote, in a directory, and reads it: each five bytes are a place and what is changed there,
/// or, beyond its end, where it is cut. Whether all bytes are as they were written. Nothing: it is told to be damaged.
pub(crate) fn staged(directory: &Path, edits: &[u8]) -> Option<bool> {
    let source = &GROUND.as_ref()?.source;
    let keys = source.keys();
    let staged = Staged::create(directory, &keys, None, Meta::file()).ok()?;
    for (offset, length, byte) in [(0, 70_000, 1), (200, 66_000, 2), (140_000, 10, 3)] {
        staged.write(source, offset, &vec![byte; length]).ok()?;
    }
    let written = look(&staged, source)?;
    let path = staged.id.path(directory);
    let mut bytes = crate::os::read(&path, 1 << 20).ok()??;
    for edit in edits.chunks_exact(5) {
        let (place, change) = edit.split_first_chunk::<4>()?;
        let place = usize::try_from(u32::from_be_bytes(*place)).ok()?;
        match bytes.get_mut(place) {
            Some(byte) => *byte ^= change.first()?,
            None => bytes.truncate(place.checked_rem(bytes.len()).unwrap_or(0)),
        }
    }
    crate::os::write_private(&path, &bytes).ok()?;
    let found = Staged::open(directory, &keys, staged.id, None);
    let found = found.ok().and_then(|found| look(&found, source));
    crate::os::remove(&path);
    found.map(|found| found == written)
}

/// All of its bytes, and how many it says that there are.
fn look(staged: &Staged, source: &Source) -> Option<(u64, Vec<u8>)> {
    let mut out = vec![0; 200_000];
    let length = staged.read(source, 0, &mut out).ok()?;
    out.truncate(length);
    Some((staged.shown().size, out))
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod tests;
