//! Everything that the client decodes of what lies on a disk, or of what programs of this machine say, behind one door: for
//! fuzz targets and for tests.

use crate::give;
use crate::relay_url::RelayUrl;
use crate::vault::{hostile_dav as dav, hostile_journal, hostile_mount as mount};
use std::path::Path;

/// Reads bytes as one of the forms; the first byte chooses. Nothing: they are not of that form. False: what was understood
/// is not written, or not understood again, as the same.
///
/// ```
/// assert_eq!(letterlock_client::untrusted::read(b"\x00nothing of ours"), None);
/// assert_eq!(letterlock_client::untrusted::read(b""), None);
/// ```
#[must_use]
pub fn read(bytes: &[u8]) -> Option<bool> {
    let (form, bytes) = bytes.split_first()?;
    match form {
        0 => give::is_taker(bytes),
        1 => give::is_giver(bytes),
        2 => Some(hostile_journal(bytes)),
        3 => mount::record(bytes),
        4 => mount::log(bytes),
        5 => mount::records(bytes),
        6 => mount::head(bytes),
        7 => dav::find(bytes),
        8 => dav::patch(bytes),
        9 => dav::name(bytes),
        10 => dav::range(bytes),
        11 => dav::date(bytes),
        12 => relay(bytes),
        _ => None,
    }
}

/// The address of a relay: it is written in one way, and that is the same relay.
fn relay(bytes: &[u8]) -> Option<bool> {
    let url = RelayUrl::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(RelayUrl::parse(&url.canonical()).is_ok_and(|again| again == url))
}

/// Writes to a file of a mounted vault, in a directory, edits what lies there, and reads it: each five bytes are a place
/// and what is changed there, or, beyond its end, where it is cut. Whether all bytes are as they were written. Nothing: it
/// is told to be damaged.
#[must_use]
pub fn staged(directory: &Path, edits: &[u8]) -> Option<bool> {
    mount::staged(directory, edits)
}

/// Says bytes to the server of WebDAV of an empty vault at `h`, whose secret is `s`, and hears its answers. What is
/// written lies in a directory. Also says whether whoever goes on after a kill finds all that was written.
#[must_use]
pub fn dav(directory: &Path, said: &[u8]) -> Option<(Vec<u8>, bool)> {
    dav::talk(directory, said)
}

#[cfg(test)]
#[path = "untrusted_tests.rs"]
mod tests;
