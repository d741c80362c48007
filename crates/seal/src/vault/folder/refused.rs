//! What the system did not let be written, so that it is no change of the person's at the next look.

use super::InStep;
use crate::vault::budget::Budget;
use crate::vault::diff::Change;
use crate::vault::editor::{Editor, Meta};
use crate::vault::error::VaultError;
use crate::vault::name::{Name, VaultPath};
use crate::vault::reader::Reader;
use crate::vault::tree::{Entry, read_entry, read_short, write_entry, write_short};
use keys::codec::{self, DecodeError};
use keys::vault_root::ObjectRef;
use std::collections::BTreeMap;

/// A path that could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub path: VaultPath,
    /// What the folder has there. Nothing: nothing is there.
    pub before: Option<Entry>,
}

impl Refused {
    /// `BE2(names) ‖ B2(name)... ‖ (00 | 01 ‖ entry)`
    pub(super) fn write(&self, out: &mut codec::Writer) {
        let names = self.path.names();
        out.u16(u16::try_from(names.len()).unwrap_or(u16::MAX));
        for name in names {
            write_short(out, name.as_bytes());
        }
        match (&self.before, names.last()) {
            (Some(before), Some(name)) => {
                out.u8(1);
                write_entry(out, name, before);
            }
            _ => out.u8(0),
        }
    }

    pub(super) fn read(input: &mut codec::Reader<'_>) -> Result<Self, DecodeError> {
        let mut path = VaultPath::top();
        for _ in 0..input.u16()? {
            let name = Name::new(read_short(input)?).ok_or(DecodeError::Invalid)?;
            path = path.join(&name);
        }
        let before = match input.u8()? {
            0 => None,
            1 => Some(read_entry(input)?.1),
            _ => return Err(DecodeError::Invalid),
        };
        Ok(Self { path, before })
    }

    /// Makes of a directory that the folder was to have the one that it has.
    fn take_back(&self, editor: &mut Editor<'_>) -> Result<(), VaultError> {
        let found = editor.find(&self.path)?;
        match (&self.before, found) {
            (None, Some(_)) => editor.remove(&self.path),
            (None, None) => Ok(()),
            (Some(before), Some(found)) if before.directory().is_some() && found.is_directory() => {
                editor.set_meta(&self.path, Meta::of(before))
            }
            (Some(before), _) => {
                let Some((place, _)) = self.path.split_last() else {
                    return Ok(());
                };
                match editor.make_directories(&place) {
                    Ok(()) => editor.put_entry(&self.path, before.clone()),
                    Err(VaultError::NotADirectory { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

impl InStep {
    /// What the folder has, as far as it was written, is made of its base: an editor that begins with the base writes it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn take_back(&self, editor: &mut Editor<'_>) -> Result<(), VaultError> {
        self.refused.iter().try_for_each(|at| at.take_back(editor))
    }
}

/// What is to be tried once more stands among the changes, with what is there.
pub(super) fn again(
    reader: Reader<'_>,
    to: &ObjectRef,
    refused: &[Refused],
    (budget, changes): (&mut Budget, &mut BTreeMap<VaultPath, Change>),
) -> Result<(), VaultError> {
    for at in refused {
        let after = reader.lookup(to, &at.path)?;
        if at.before.is_none() {
            // Nothing of what was to be in it is there.
            changes.retain(|path, _| !path.is_in(&at.path));
        }
        if at.before.is_none()
            && let Some(directory) = after.as_ref().and_then(Entry::directory)
        {
            reader.walk_in(&directory, &at.path, budget, &mut |path, entry| {
                let change = Change {
                    before: None,
                    after: Some(entry.clone()),
                };
                changes.insert(path.clone(), change);
                Ok(())
            })?;
        }
        let change = Change {
            before: at.before.clone(),
            after,
        };
        changes.insert(at.path.clone(), change);
    }
    Ok(())
}
