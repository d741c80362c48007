//! All objects that a version names, so that nothing of it is thought to be unused.

use super::error::VaultError;
use super::name::DEPTH;
use super::reader::Reader;
use super::tree::{Entry, LEVELS, Part, Parts, Place, What};
use keys::codec::DecodeError;
use keys::vault_root::ObjectRef;
use std::collections::HashSet;
use std::io;

/// Directories, segments and files' lists that were gone through.
#[derive(Default)]
pub struct Reached(HashSet<[u8; 32]>);

impl Reader<'_> {
    /// Shows every object of a directory and of all that is in it. What was reached before is passed over: so the
    /// versions of a vault together take little longer than one.
    ///
    /// # Errors
    /// [`VaultError`]. What is gone or is not of its form does not keep the rest from being shown.
    pub fn objects(
        &self,
        directory: &ObjectRef,
        reached: &mut Reached,
        each: &mut dyn FnMut(&ObjectRef),
    ) -> Result<(), VaultError> {
        Objects::walk(*self, reached, each, |walk| walk.directory(directory, 0))
    }

    /// Shows every chunk and list of a file that was not reached before.
    ///
    /// # Errors
    /// As [`Reader::objects`].
    pub(crate) fn objects_of_file(
        &self,
        entry: &Entry,
        reached: &mut Reached,
        each: &mut dyn FnMut(&ObjectRef),
    ) -> Result<(), VaultError> {
        Objects::walk(*self, reached, each, |walk| walk.file(entry))
    }
}

struct Objects<'w, 'r> {
    reader: Reader<'r>,
    reached: &'w mut Reached,
    each: &'w mut dyn FnMut(&ObjectRef),
    failed: Option<VaultError>,
}

impl<'w, 'r> Objects<'w, 'r> {
    fn walk(
        reader: Reader<'r>,
        reached: &'w mut Reached,
        each: &'w mut dyn FnMut(&ObjectRef),
        from: impl FnOnce(&mut Self) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut walk = Self {
            reader,
            reached,
            each,
            failed: None,
        };
        from(&mut walk)?;
        walk.failed.map_or(Ok(()), Err)
    }

    /// What can be had, if the place of packs can be asked at all.
    fn had<T>(&mut self, found: Result<T, VaultError>) -> Result<Option<T>, VaultError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(VaultError::Pack(error)) if !is_gone(&error) => Err(VaultError::Pack(error)),
            Err(error) => {
                self.failed.get_or_insert(error);
                Ok(None)
            }
        }
    }

    fn directory(&mut self, object: &ObjectRef, depth: usize) -> Result<(), VaultError> {
        if depth > DEPTH {
            return self.had(Err(VaultError::TooDeep)).map(|_: Option<()>| ());
        }
        (self.each)(object);
        if !self.reached.0.insert(object.id) {
            return Ok(());
        }
        let opened = self.reader.directory(object);
        let Some(directory) = self.had(opened)? else {
            return Ok(());
        };
        for (number, (_, segment)) in directory.0.iter().enumerate() {
            (self.each)(segment);
            if !self.reached.0.insert(segment.id) {
                continue;
            }
            let opened = self.reader.segment(&directory, number);
            let Some(segment) = self.had(opened)? else {
                continue;
            };
            for (_, entry) in &segment.0 {
                match &entry.what {
                    What::Directory(inner) => self.directory(inner, depth.saturating_add(1))?,
                    What::File { .. } | What::Link(_) => self.file(entry)?,
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry) -> Result<(), VaultError> {
        match &entry.what {
            What::File {
                parts: Parts::Few(parts),
                ..
            } => parts.iter().for_each(|part| (self.each)(&part.object)),
            What::File {
                size,
                parts: Parts::Listed(object),
            } => {
                let part = Part {
                    object: *object,
                    length: *size,
                };
                self.list(&part, LEVELS.saturating_add(1))?;
            }
            What::Directory(_) | What::Link(_) => {}
        }
        Ok(())
    }

    /// A list of chunks or of lists, which lies below one of level `below`. Whoever has the key may name one list again and
    /// again: it is gone through once.
    fn list(&mut self, part: &Part, below: u8) -> Result<(), VaultError> {
        (self.each)(&part.object);
        if !self.reached.0.insert(part.object.id) {
            return Ok(());
        }
        let opened = self.reader.list_of(part, Place::Last);
        let Some(list) = self.had(opened)? else {
            return Ok(());
        };
        if list.level >= below {
            let ill = Err(DecodeError::Invalid.into());
            return self.had(ill).map(|_: Option<()>| ());
        }
        for part in &list.parts {
            match list.level {
                0 => (self.each)(&part.object),
                level => self.list(part, level)?,
            }
        }
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::PermissionDenied
    )
}
