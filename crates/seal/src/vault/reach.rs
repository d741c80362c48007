//! All objects that a version names, so that nothing of it is thought to be unused.

use super::error::VaultError;
use super::name::DEPTH;
use super::reader::{Cursor, Reader};
use super::tree::What;
use keys::vault_root::ObjectRef;
use std::collections::HashSet;

/// Directories, segments and files' lists that were gone through.
#[derive(Default)]
pub struct Reached(HashSet<[u8; 32]>);

impl Reader<'_> {
    /// Shows every object of a directory and of all that is in it. What was reached before is passed over: so the
    /// versions of a vault together take little longer than one.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn objects(
        &self,
        directory: &ObjectRef,
        reached: &mut Reached,
        each: &mut dyn FnMut(&ObjectRef),
    ) -> Result<(), VaultError> {
        self.objects_in(directory, 0, reached, each)
    }

    fn objects_in(
        &self,
        object: &ObjectRef,
        depth: usize,
        reached: &mut Reached,
        each: &mut dyn FnMut(&ObjectRef),
    ) -> Result<(), VaultError> {
        if depth > DEPTH {
            return Err(VaultError::TooDeep);
        }
        each(object);
        if !reached.0.insert(object.id) {
            return Ok(());
        }
        let directory = self.directory(object)?;
        for (number, (_, segment)) in directory.0.iter().enumerate() {
            each(segment);
            if !reached.0.insert(segment.id) {
                continue;
            }
            for (_, entry) in &self.segment(&directory, number)?.0 {
                match &entry.what {
                    What::Directory(inner) => {
                        self.objects_in(inner, depth.saturating_add(1), reached, each)?;
                    }
                    What::File { size, parts } => {
                        let mut cursor = Cursor::new(self, *size, parts, 0)?;
                        while let Some((_, part)) = cursor.next(self)? {
                            each(&part.object);
                        }
                        cursor.entered().iter().for_each(&mut *each);
                    }
                    What::Link(_) => {}
                }
            }
        }
        Ok(())
    }
}
