//! Files, folders, environment and standard input of this machine. Nothing else in the program asks for them.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the program's one file that asks the system"
)]

use std::ffi::OsString;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Longest passphrase in bytes, and longest text taken from standard input.
const PASSPHRASE_BYTES: u64 = 4096;
const STDIN_BYTES: u64 = 1 << 20;
/// How often, and how far apart, a folder is removed in which something still writes.
const REMOVALS: u32 = 20;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(50);

/// A variable of the environment; an empty one counts as not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder for data of this user by the XDG Base Directory Specification: `XDG_DATA_HOME` where it is absolute,
/// else `~/.local/share`.
pub(crate) fn data_home() -> Option<PathBuf> {
    variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
}

/// The folder for what is kept from one start to the next, by the same specification: `XDG_STATE_HOME` where it is
/// absolute, else `~/.local/state`.
pub(crate) fn state_home() -> Option<PathBuf> {
    variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
}

/// Reads a passphrase from the first line of a file.
pub(crate) fn first_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?
        .take(PASSPHRASE_BYTES)
        .read_to_string(&mut text)?;
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

/// Reads one line of standard input, and no more than that: whoever writes it may go on writing.
///
/// *Errors*: `UnexpectedEof` where there is none.
pub(crate) fn line_of_standard_input() -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    io::stdin()
        .lock()
        .take(PASSPHRASE_BYTES)
        .read_line(&mut line)?;
    if line.trim().is_empty() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(line)
}

/// Most bytes of a file of identities.
const IDENTITY_BYTES: usize = 1 << 20;

/// Reads a text that is no longer than a passphrase.
///
/// *Errors*: `UnexpectedEof` where there is none, `InvalidData` for what is not UTF-8.
pub(crate) fn short_text(from: &mut dyn io::Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(PASSPHRASE_BYTES).read_to_string(&mut text)?;
    if text.trim().is_empty() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(text)
}

/// Reads such a text from a file.
pub(crate) fn short_file(path: &Path) -> io::Result<Zeroizing<String>> {
    short_text(&mut std::fs::File::open(path)?)
}

/// Reads a file of identities, which may be sealed, and no more of it than anybody has.
pub(crate) fn identity_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(IDENTITY_BYTES));
    let file = std::fs::File::open(path)?;
    let got = file.take(IDENTITY_BYTES as u64).read_to_end(&mut bytes)?;
    match got {
        IDENTITY_BYTES => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        _ => Ok(bytes),
    }
}

/// Reads the lines of a file that are neither empty nor comments, which begin with `#`.
///
/// *Errors*: `FileTooLarge` above 1 MiB, `InvalidData` for what is not UTF-8, and the system's.
pub(crate) fn lines_of(path: &Path) -> io::Result<Vec<String>> {
    let text = String::from_utf8(read_at_most(path, STDIN_BYTES)?)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// Whether a person can be asked: standard input and standard error are terminals.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether something is at a path.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes a new file for the owner's eyes alone.
///
/// *Errors*: `AlreadyExists`; what was not written whole is not there.
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        remove_file(path);
    }
    written
}

/// Removes a file if it is there.
pub(crate) fn remove_file(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// Reads the clock on the wall, in seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Reads the clock on the wall as files have it: seconds since 1970 and nanoseconds.
pub(crate) fn wall() -> (i64, u32) {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    (seconds, since.subsec_nanos())
}

/// Makes a directory, and those above it, if they are not there.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Whether nothing is in a directory.
pub(crate) fn is_empty_directory(path: &Path) -> io::Result<bool> {
    Ok(std::fs::read_dir(path)?.next().is_none())
}

/// Reads the text of a letter from standard input; one line break at its end is not part of it.
///
/// *Errors*: `InvalidData` for what is not UTF-8, `FileTooLarge` above 1 MiB.
pub(crate) fn standard_input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(STDIN_BYTES.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() as u64 > STDIN_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The first of `needles` that occurs in the bytes of any file below a folder, with that file.
pub(crate) fn find_in_files<'n>(
    folder: &Path,
    needles: &[&'n str],
) -> io::Result<Option<(&'n str, PathBuf)>> {
    for path in files(folder)? {
        let bytes = std::fs::read(&path)?;
        for needle in needles {
            if contains(&bytes, needle.as_bytes()) {
                return Ok(Some((needle, path)));
            }
        }
    }
    Ok(None)
}

/// All files below a folder with their sizes added up.
pub(crate) fn size_of_files(folder: &Path) -> io::Result<(u64, u64)> {
    let files = files(folder)?;
    let mut bytes = 0_u64;
    for path in &files {
        bytes = bytes.saturating_add(path.metadata()?.len());
    }
    Ok((files.len() as u64, bytes))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes
        .windows(needle.len().max(1))
        .any(|window| window == needle)
}

/// Writes a file of the tour.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)
}

/// Reads a file that is at most so long.
///
/// *Errors*: `FileTooLarge`, `IsADirectory`, and the system's.
pub(crate) fn read_at_most(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    std::fs::File::open(path)?
        .take(bytes.saturating_add(1))
        .read_to_end(&mut read)?;
    if read.len() as u64 > bytes {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(read)
}

/// Reads a file of the tour.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Makes a folder for a while, which only this user may enter.
pub(crate) fn temporary_folder(prefix: &str) -> io::Result<TempDir> {
    TempDir::with_prefix(prefix)
}

/// Removes such a folder; what ends at this moment may still write to it.
pub(crate) fn remove_folder(folder: TempDir) -> io::Result<()> {
    let path = folder.keep();
    let mut tries = 0;
    loop {
        match std::fs::remove_dir_all(&path) {
            Err(_) if tries < REMOVALS => {
                tries = u32::saturating_add(tries, 1);
                std::thread::sleep(BETWEEN_REMOVALS);
            }
            removed => return removed,
        }
    }
}
