//! The clock, entropy and files of this machine. Nothing else in the client reads them.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the client's one file that asks the system"
)]

use keys::Timestamp;
use rand_core::{Rng as _, UnwrapErr};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The system's random generator. It panics when the system has none, which Linux never does after boot.
pub(crate) type Entropy = UnwrapErr<getrandom::SysRng>;

/// Opens the system's random generator.
pub(crate) fn entropy() -> Entropy {
    UnwrapErr(getrandom::SysRng)
}

/// Draws random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    entropy().fill_bytes(&mut bytes);
    bytes
}

/// Reads the clock on the wall.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_secs(since.as_secs())
}

/// Reads the clock on the wall as files have it: seconds since 1970 and nanoseconds.
pub(crate) fn wall() -> (i64, u32) {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    (seconds, since.subsec_nanos())
}

/// What the system calls the time since it was last started; zeros where it does not say.
pub(crate) fn boot() -> [u8; 16] {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = id.trim().replace('-', "");
    let id = data_encoding::HEXLOWER.decode(digits.as_bytes());
    id.ok().and_then(|id| id.try_into().ok()).unwrap_or([0; 16])
}

/// Reads the clock that only goes forward.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Draws a pause between half of `pause` and the whole of it, so that many clients do not come back at once.
pub(crate) fn jitter(pause: Duration) -> Duration {
    let share = u32::from(u16::from_be_bytes(random())).saturating_add(65_536);
    pause
        .saturating_mul(share)
        .checked_div(131_072)
        .unwrap_or(pause)
}

/// What this machine is called, as a first name for the device.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(|c| plain(*c)).take(32).collect();
    if name.is_empty() {
        "device".to_owned()
    } else {
        name
    }
}

/// The user this process acts for.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes the directory of a home, and those above it, if they are not there; only the owner may enter it.
pub(crate) fn create_home(home: &Path) -> io::Result<()> {
    if home.is_dir() {
        return Ok(());
    }
    if let Some(parent) = home.parent() {
        DirBuilder::new().recursive(true).create(parent)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(home)
}

/// Reads a whole file of at most `limit` bytes; nothing if there is no such file.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(Some(bytes))
}

/// Writes a whole file for the owner's eyes: it is there entirely, and survives a loss of power, or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = private(OpenOptions::new().write(true).create(true).truncate(true))
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written?;
    sync_directory(path)
}

/// Writes a file where there is none.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Makes an empty file for the owner's eyes where there is none.
pub(crate) fn touch_private(path: &Path) -> io::Result<()> {
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Ok(_) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes a file away from everyone but its owner.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// Whether something is at a path.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes the directory that a path lies in, with all above it.
pub(crate) fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// When a file was written last, if it is there.
pub(crate) fn modified(path: &Path) -> Option<Timestamp> {
    let written = path.metadata().ok()?.modified().ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(since.as_secs()))
}

/// What lies in a directory; nothing where it is none.
pub(crate) fn paths_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// The files of a directory; none where it cannot be read.
pub(crate) fn files_of(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.map(|entry| entry.path()).collect()
}

/// Takes a lock that the system gives back when this process ends, however it ends; nothing if it is taken.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        let file = private(options.write(true).create(true).truncate(false)).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it may have removed it meanwhile: the next one that comes makes another file, and locks that.
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// Whether this is the file that a path names.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let here = file.metadata()?;
    Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
}

/// Opens a file for reading; a directory or device is refused.
pub(crate) fn open_source(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(file)
}

/// Length of an open file, and what tells whether it was changed: device, inode, length, times.
pub(crate) fn identity(file: &File) -> io::Result<(u64, [u64; 7])> {
    let data = file.metadata()?;
    let times = [
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ]
    .map(i64::cast_unsigned);
    let [mtime, mtime_nsec, ctime, ctime_nsec] = times;
    Ok((
        data.len(),
        [
            data.dev(),
            data.ino(),
            data.len(),
            mtime,
            mtime_nsec,
            ctime,
            ctime_nsec,
        ],
    ))
}

/// Opens a file to be written from its beginning, for the owner's eyes.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)
}

/// Gives a file the name of another one, whose place it takes.
pub(crate) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_directory(to)
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove_all(directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
}

/// Bytes of the disk that a path lies on, and those that are free.
pub(crate) fn room(path: &Path) -> io::Result<(u64, u64)> {
    let room = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
    Ok((bytes(room.f_blocks), bytes(room.f_bavail)))
}

/// Length of an open file.
pub(crate) fn length_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Length of a file; zero if there is none.
pub(crate) fn length(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |data| data.len())
}

/// Opens a file under way for reading and writing, or makes it; a link is refused.
pub(crate) fn open_part(path: &Path) -> io::Result<File> {
    part(path, true)
}

/// Opens a file under way again; nothing if it is not there. A link is refused.
pub(crate) fn reopen_part(path: &Path) -> io::Result<Option<File>> {
    match part(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn part(path: &Path, create: bool) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    let file = private(
        options
            .read(true)
            .write(true)
            .create(create)
            .truncate(false),
    )
    .custom_flags(flags)
    .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(file)
}

/// Gives a file its name unless the name is taken; false if it is.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => sync_directory(to).map(|()| true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        // Some file systems cannot refuse a taken name in one step: a second name can.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            match std::fs::hard_link(from, to) {
                Ok(()) => std::fs::remove_file(from)
                    .and_then(|()| sync_directory(to))
                    .map(|()| true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a directory for saved files.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// A named pipe must not hold the program up.
fn nonblocking() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0)
}

fn sync_directory(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Waits until the names in a directory are on the disk.
pub(crate) fn sync_entries(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The first place of a file, from one on, at which something was written; nothing where all the rest is a hole.
pub(crate) fn data_from(file: &File, at: u64) -> io::Result<Option<u64>> {
    let mut reader = file;
    let found = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(found) => Some(found),
        Err(rustix::io::Errno::NXIO) => None,
        // A file system that knows no holes.
        Err(rustix::io::Errno::INVAL) => Some(at),
        Err(error) => return Err(error.into()),
    };
    reader.rewind()?;
    Ok(found)
}

/// Bytes of the stack that a step of the engine may have used.
const USED_STACK: usize = 512 * 1024;

/// Overwrites the part of the stack that functions used and left: a value that is moved leaves its bytes there.
///
/// SECURITY: `rotated_keys_are_in_no_memory_of_the_process` notices.
#[inline(never)]
pub(crate) fn wipe_stack() {
    // A borrowed constant would become a static: the array must be a variable, and written to.
    let mut used = [0_u8; USED_STACK];
    std::hint::black_box(&mut used);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn homes_and_their_files_are_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("a/b");
        create_home(&home).unwrap();
        write_private(&home.join("k.key"), b"1").unwrap();
        touch_private(&home.join("db")).unwrap();
        assert_eq!(
            [
                mode(&home),
                mode(&home.join("k.key")),
                mode(&home.join("db"))
            ],
            [0o700, 0o600, 0o600]
        );
    }

    #[test]
    fn a_taken_name_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, b"new").unwrap();
        std::fs::write(&to, b"old").unwrap();
        assert!(!rename_new(&from, &to).unwrap());
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
        assert!(rename_new(&from, &directory.path().join("other")).unwrap());
    }

    #[test]
    fn a_file_longer_than_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, [0; 11]).unwrap();
        assert!(read(&path, 10).is_err());
        assert_eq!(read(&path, 11).unwrap().unwrap().len(), 11);
        assert!(read(&directory.path().join("none"), 1).unwrap().is_none());
    }

    #[test]
    fn a_lock_is_taken_once_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = try_lock(&path).unwrap().unwrap();
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }

    /// Those who remove the file while they have it are never two.
    #[test]
    fn a_lock_that_is_removed_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let (path, inside) = (directory.path().join("lock"), AtomicUsize::new(0));
        let often = || {
            for _ in 0..5_000 {
                let Some(held) = try_lock(&path).unwrap() else {
                    continue;
                };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                remove(&path);
                drop(held);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(often);
            }
        });
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        for _ in 0..100 {
            let pause = jitter(Duration::from_millis(1000));
            assert!(pause >= Duration::from_millis(500) && pause <= Duration::from_millis(1000));
        }
    }
}
