//! Makes a version of what was written to a mounted vault.

use super::log::{self, Log};
use super::source::Source;
use super::staged::{Staged, StagedId, Whole};
use super::tree::{Folder, Node, entry_with};
use super::trouble::{Trouble, is_damage};
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::vault::VaultConflict;
use crate::vault::change::{Place, change};
use crate::vault::failure::vault_failure;
use crate::view::{Failure, FailureKind, VaultChange};
use keys::vault_root::ObjectRef;
use seal::vault::{
    Author, Conflict, Editor, Entry, Found, Meta, Over, VaultError, VaultPath, What,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Files that are in a version, and after how many changes of each.
pub(super) type Written = HashMap<StagedId, u64>;

/// What came of a version.
pub(super) struct Published {
    /// What was to become one, as a directory.
    pub(super) ours: ObjectRef,
    /// The newest version now, with what others wrote meanwhile.
    pub(super) directory: ObjectRef,
    pub(super) version: u64,
    pub(super) changed: bool,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) written: Written,
    bytes: u64,
    /// Files that are as they were: what was written to them is damaged.
    pub(super) damaged: Vec<(VaultPath, Arc<Staged>)>,
}

impl Published {
    pub(super) fn shown(&self, vault: String) -> VaultChange {
        let conflicts = self.conflicts.iter();
        VaultChange {
            vault,
            version: self.version,
            changed: self.changed,
            files: self.written.len() as u64,
            bytes: self.bytes,
            left_out: Vec::new(),
            conflicts: conflicts
                .map(|conflict| VaultConflict {
                    path: conflict.path.to_string(),
                    copy: conflict.copy.to_string(),
                })
                .collect(),
        }
    }
}

/// Makes a version of what is changed since one.
pub(super) fn publish(
    place: &Place<'_>,
    source: &Source,
    base: &ObjectRef,
    top: &Folder,
) -> Result<Published, Failure> {
    let changed = change(place, |editor, desk| {
        let newest = desk.newest.root.body.directory;
        let mut writing = Writing {
            source,
            written: Written::new(),
            bytes: 0,
            damaged: Vec::new(),
        };
        let (ours, conflicts) = if newest.id == base.id {
            writing.folder(editor, &VaultPath::top(), top)?;
            (editor.write_all().map_err(vault_failure)?, Vec::new())
        } else {
            let reader = desk.session.reader(desk.packs);
            let mut rng = os::entropy();
            let alone = desk.session.alone;
            let mut look =
                Editor::new(reader, desk.packs, Some(*base), &mut rng).compressing(alone);
            writing.folder(&mut look, &VaultPath::top(), top)?;
            let ours = look.finish().map_err(vault_failure)?;
            let author = Author {
                person: desk.session.person.clone(),
                time: place.time.to_owned(),
            };
            let conflicts = editor.merge(Some(base), &ours, &author);
            (ours, conflicts.map_err(vault_failure)?)
        };
        Ok((ours, conflicts, writing))
    })?;
    let (ours, mut conflicts, writing) = changed.done;
    conflicts.extend(changed.conflicts);
    Ok(Published {
        // What is in the vault already was not stored again.
        ours: match changed.changed {
            true => ours,
            false => changed.directory,
        },
        directory: changed.directory,
        version: changed.version,
        changed: changed.changed,
        conflicts,
        written: writing.written,
        bytes: writing.bytes,
        damaged: writing.damaged,
    })
}

/// What is changed, on its way into a version.
struct Writing<'a> {
    source: &'a Source,
    written: Written,
    bytes: u64,
    damaged: Vec<(VaultPath, Arc<Staged>)>,
}

impl Writing<'_> {
    fn folder(
        &mut self,
        editor: &mut Editor<'_>,
        at: &VaultPath,
        folder: &Folder,
    ) -> Result<(), Failure> {
        for (name, change) in &folder.changes {
            let path = at.join(name);
            match &change.node {
                None => gone(editor, &path).map_err(vault_failure)?,
                Some(Node::Entry(entry)) => {
                    let put = editor.put_entry(&path, entry.clone());
                    put.map_err(vault_failure)?;
                }
                Some(Node::Folder(inner)) => {
                    begin(editor, &path, inner.meta, inner.base).map_err(vault_failure)?;
                    self.folder(editor, &path, inner)?;
                }
                Some(Node::File(staged)) => self.file(editor, &path, staged)?,
            }
        }
        Ok(())
    }

    /// Puts a file as it is at one moment. Where somebody writes to it all the time, it stays as it was.
    fn file(
        &mut self,
        editor: &mut Editor<'_>,
        path: &VaultPath,
        staged: &Arc<Staged>,
    ) -> Result<(), Failure> {
        let before = editor.find(path).map_err(vault_failure)?;
        if before.as_ref().is_some_and(Found::is_directory) {
            editor.remove(path).map_err(vault_failure)?;
        }
        if let Some(base) = &staged.base {
            let what = What::File {
                size: base.size,
                parts: base.parts.clone(),
            };
            reuse(editor, &entry_with(Meta::file(), what))?;
        } else if let Some(Found::Entry(entry)) = &before {
            reuse(editor, entry)?;
        }
        for _ in 0..limits::MOUNT_TRIES {
            let changes = staged.changes();
            let shown = staged.shown();
            let mut whole = Whole {
                staged,
                source: self.source,
                at: 0,
                trouble: None,
            };
            let put = match &staged.base {
                Some(base) => {
                    let over = Over {
                        size: shown.size,
                        base: (base.size, &base.parts),
                        same: &|from, to| staged.is_as_before(from, to),
                    };
                    let read = &mut |at, out: &mut [u8]| whole.read_at(at, out);
                    editor.put_file_over(path, shown.meta, &over, read)
                }
                None => editor.put_file(path, shown.meta, &mut whole),
            };
            match whole.trouble {
                None => {}
                // It keeps nothing else from becoming a version.
                Some(Trouble::Damaged) => {
                    self.damaged.push((path.clone(), Arc::clone(staged)));
                    break;
                }
                Some(trouble) => return Err(unread(path, trouble)),
            }
            put.map_err(vault_failure)?;
            // A version holds no half of a change.
            if staged.changes() == changes {
                self.written.insert(staged.id, changes);
                self.bytes = self.bytes.saturating_add(shown.size);
                return Ok(());
            }
        }
        match before {
            Some(Found::Entry(entry)) => editor.put_entry(path, entry).map_err(vault_failure),
            _ => gone(editor, path).map_err(vault_failure),
        }
    }
}

/// Remembers what a file consists of, as far as that can be read: it spares storing it again, and nothing else.
fn reuse(editor: &mut Editor<'_>, entry: &Entry) -> Result<(), Failure> {
    match editor.reuse(entry) {
        Err(error) if is_damage(&error) => Ok(()),
        reused => reused.map_err(vault_failure),
    }
}

fn unread(path: &VaultPath, trouble: Trouble) -> Failure {
    let message = format!("{path} is in no version yet: {trouble}");
    let hint = "it is kept; the relay has to answer, and the home's disk to be whole";
    failure(FailureKind::Unreachable, message, Some(hint))
}

fn gone(editor: &mut Editor<'_>, path: &VaultPath) -> Result<(), VaultError> {
    match editor.find(path)? {
        Some(_) => editor.remove(path),
        None => Ok(()),
    }
}

/// A directory, as some version has it or empty.
fn begin(
    editor: &mut Editor<'_>,
    path: &VaultPath,
    meta: Meta,
    base: Option<ObjectRef>,
) -> Result<(), VaultError> {
    match base {
        Some(base) => editor.put_entry(path, entry_with(meta, What::Directory(base))),
        None => {
            gone(editor, path)?;
            editor.make_directory(path, meta)
        }
    }
}

/// What did not become a part of a version stays in a directory, alone; without any the directory goes.
pub(super) fn left_over(
    directory: &Path,
    source: &Source,
    mut top: Folder,
    published: &Published,
) -> Result<(), Trouble> {
    let written = |staged: &Staged| published.written.contains_key(&staged.id);
    top.forget(Some(&published.ours), source, u64::MAX, &written)?;
    match top.changes.is_empty() {
        true => log::discard(directory),
        false => drop(Log::begin(
            directory,
            &source.keys(),
            &published.ours,
            &top,
        )?),
    }
    Ok(())
}

/// Which files are in no version because they are damaged, and where they are kept.
pub(super) fn damaged(published: &Published, directory: &Path) -> Failure {
    let files = published.damaged.iter().map(|(path, staged)| {
        let file = staged.id.path(directory);
        format!("{path} ({})", file.display())
    });
    let files: Vec<String> = files.take(limits::MOUNT_DAMAGED_SHOWN).collect();
    let more = published.damaged.len().saturating_sub(files.len());
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "what was written to {}{more} is damaged on this machine's disk, or what it was written over at the relay: it is kept, and all else is in a version",
        files.join(", ")
    );
    let hint = "write these files anew; or put what is damaged back from a copy of the home, and mount the vault again";
    failure(FailureKind::Failed, message, Some(hint))
}
