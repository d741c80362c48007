//! Names of requests, as what has them.

use super::Refused;
use crate::vault::mount::{About, FileSystem, Kind, Trouble};
use hyper::StatusCode;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// What has a path. The file system is told when nobody needs it any more.
pub(super) struct Found<'a> {
    files: &'a FileSystem,
    told: Vec<u64>,
    pub(super) about: About,
}

impl Found<'_> {
    pub(super) fn number(&self) -> u64 {
        self.about.number
    }
}

impl Drop for Found<'_> {
    fn drop(&mut self) {
        for number in self.told.iter().rev() {
            self.files.forget(*number, 1);
        }
    }
}

pub(super) fn find<'a>(files: &'a FileSystem, names: &[Vec<u8>]) -> Result<Found<'a>, Trouble> {
    let mut found = Found {
        files,
        told: Vec::new(),
        about: files.about(files.top())?,
    };
    for name in names {
        if found.about.kind != Kind::Directory {
            return Err(Trouble::NotFound);
        }
        found.about = files.look_up(found.about.number, name)?;
        found.told.push(found.about.number);
    }
    match found.about.kind {
        // What a link leads to may lie anywhere: it is not followed.
        Kind::Link => Err(Trouble::NotFound),
        _ => Ok(found),
    }
}

/// The directory that a path lies in, and its name there.
pub(super) fn parent<'a>(
    files: &'a FileSystem,
    names: &[Vec<u8>],
) -> Result<(Found<'a>, Vec<u8>), Refused> {
    let (name, place) = names.split_last().ok_or(StatusCode::FORBIDDEN)?;
    match find(files, place) {
        Ok(found) if found.about.kind == Kind::Directory => Ok((found, name.clone())),
        Ok(_) | Err(Trouble::NotFound) => Err(StatusCode::CONFLICT.into()),
        Err(trouble) => Err(trouble.into()),
    }
}

pub(super) fn child<'a>(
    files: &'a FileSystem,
    parent: &Found<'_>,
    name: &[u8],
) -> Result<Option<Found<'a>>, Trouble> {
    match files.look_up(parent.number(), name) {
        Ok(about) => Ok(Some(Found {
            files,
            told: vec![about.number],
            about,
        })),
        Err(Trouble::NotFound) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

pub(super) fn is_directory(files: &FileSystem, names: &[Vec<u8>]) -> Result<bool, Trouble> {
    Ok(find(files, names)?.about.kind == Kind::Directory)
}

/// Copies a file, or a directory with all that is in it if `deep`.
pub(super) fn copy(
    files: &FileSystem,
    from: &About,
    (parent, name): (u64, &[u8]),
    deep: bool,
) -> Result<(), Trouble> {
    match from.kind {
        Kind::File => {
            let handle = files.open(from.number, false)?;
            let copied = copy_file(files, handle, from.mode);
            files.close(handle);
            files.end_file(parent, name, copied?)
        }
        Kind::Link => {
            let made = files.make_link(parent, name, &files.target(from.number)?)?;
            files.forget(made.number, 1);
            Ok(())
        }
        Kind::Directory => {
            let made = files.make_directory(parent, name, from.mode)?;
            let entries = match deep {
                true => files.list(from.number)?,
                false => Vec::new(),
            };
            let mut copied = Ok(());
            for (name, _) in entries {
                let inner = files.look_up(from.number, name.as_bytes())?;
                copied = copy(files, &inner, (made.number, name.as_bytes()), true);
                files.forget(inner.number, 1);
                if copied.is_err() {
                    break;
                }
            }
            files.forget(made.number, 1);
            copied
        }
    }
}

fn copy_file(
    files: &FileSystem,
    handle: u64,
    mode: u16,
) -> Result<crate::vault::mount::Unnamed, Trouble> {
    let copy = files.begin_file(mode)?;
    let mut at: u64 = 0;
    loop {
        let bytes = files.read(handle, at, PIECE)?;
        if bytes.is_empty() {
            return Ok(copy);
        }
        files.add_to(&copy, at, &bytes)?;
        at = at.saturating_add(bytes.len() as u64);
    }
}
