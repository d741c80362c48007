//! Two versions that grew from one: what both changed is brought together, and nothing that was written is lost.

use super::budget::Budget;
use super::diff::Change;
use super::editor::{Editor, Meta};
use super::error::VaultError;
use super::name::{DEPTH, NAME, Name, VaultPath};
use super::tree::Entry;
use keys::vault_root::ObjectRef;

/// Most bytes of a person's name in the name of a conflict copy.
const PERSON: usize = 64;

/// Whose version becomes a conflict copy, and when.
#[derive(Debug, Clone)]
pub struct Author {
    /// The person.
    pub person: String,
    /// The time, as it is to stand in names: `2026-11-22 14-03`.
    pub time: String,
}

/// Two versions of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path: it has what was there first.
    pub path: VaultPath,
    /// Where the other version is now.
    pub copy: VaultPath,
}

impl Author {
    /// `NAME (conflict, PERSON, TIME)EXT`.
    fn copy_of(&self, name: &Name, number: u32) -> Option<Name> {
        let name = name.as_bytes();
        let dot = name.iter().rposition(|byte| *byte == b'.');
        let dot = dot.filter(|at| *at > 0 && name.len().saturating_sub(*at) <= 32);
        let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
        let person: String = self
            .person
            .chars()
            .map(|char| match char.is_control() || char == '/' {
                true => '_',
                false => char,
            })
            .collect();
        let person = cut(person.as_bytes(), PERSON);
        let time = &self.time;
        let number = match number {
            1 => String::new(),
            number => format!(", {number}"),
        };
        let middle = [
            b" (conflict, ",
            person,
            format!(", {time}{number})").as_bytes(),
        ]
        .concat();
        let rest = NAME
            .checked_sub(middle.len())?
            .checked_sub(extension.len())?;
        Name::new(&[cut(stem, rest), &middle, extension].concat())
    }
}

/// So many bytes at most, and no half of a character of UTF-8.
fn cut(bytes: &[u8], most: usize) -> &[u8] {
    let mut end = bytes.len().min(most);
    while end > 0 && bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end = end.saturating_sub(1);
    }
    bytes.get(..end).unwrap_or_default()
}

/// Mode and time where both changed something: who changed the mode has his way, else theirs; the later time.
fn meta(base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Meta {
    let mode = match base {
        Some(base) if theirs.mode == base.mode => ours.mode,
        _ => theirs.mode,
    };
    Meta {
        mode,
        modified: ours.modified.max(theirs.modified),
    }
}

impl Editor<'_> {
    /// Brings the changes from `base` to `ours` into what is edited, which grew from `base` too. Where both wrote
    /// something else, what is edited keeps the name, and ours becomes a conflict copy beside it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn merge(
        &mut self,
        base: Option<&ObjectRef>,
        ours: &ObjectRef,
        author: &Author,
    ) -> Result<Vec<Conflict>, VaultError> {
        let budget = self.reader().budget();
        let mut merge = Merge {
            editor: self,
            author,
            conflicts: Vec::new(),
            budget,
        };
        merge.directory(&VaultPath::top(), base, Some(ours))?;
        Ok(merge.conflicts)
    }
}

struct Merge<'m, 'a> {
    editor: &'m mut Editor<'a>,
    author: &'m Author,
    conflicts: Vec<Conflict>,
    budget: Budget,
}

impl Merge<'_, '_> {
    /// The changes of a directory that is there, in what is edited.
    fn directory(
        &mut self,
        at: &VaultPath,
        base: Option<&ObjectRef>,
        ours: Option<&ObjectRef>,
    ) -> Result<(), VaultError> {
        if at.names().len() >= DEPTH {
            return Err(VaultError::TooDeep);
        }
        let reader = self.editor.reader();
        let changes = reader.changed(base, ours, at, &mut self.budget)?;
        for (name, change) in changes {
            let theirs = self.editor.entry_as_written(&at.join(&name))?;
            self.entry(at, &name, ours, change, theirs)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: &VaultPath,
        name: &Name,
        directory: Option<&ObjectRef>,
        change: Change,
        theirs: Option<Entry>,
    ) -> Result<(), VaultError> {
        let path = at.join(name);
        let Change {
            before: base,
            after: ours,
        } = change;
        let inner = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::directory);
        let base_inner = inner(&base);
        let reader = self.editor.reader();
        let budget = &mut self.budget;
        if reader.same_in(theirs.as_ref(), ours.as_ref(), budget)? {
            return Ok(());
        }
        if reader.same_in(theirs.as_ref(), base.as_ref(), budget)? {
            return match ours {
                Some(ours) => self.editor.put_entry(&path, ours),
                None => self.editor.remove(&path),
            };
        }
        match (ours, theirs) {
            (None, None) => Ok(()),
            // SECURITY: what one wrote outlives that another removed it; `no_write_is_lost` notices.
            (None, Some(theirs)) => match base_inner.is_some() && theirs.directory().is_some() {
                true => {
                    self.directory(&path, base_inner.as_ref(), None)?;
                    self.remove_if_empty(&path)
                }
                false => Ok(()),
            },
            (Some(ours), None) => match (base_inner, ours.directory()) {
                (Some(base_inner), Some(inner)) => {
                    self.editor.make_directory(&path, Meta::of(&ours))?;
                    self.directory(&path, Some(&base_inner), Some(&inner))?;
                    self.remove_if_empty(&path)
                }
                _ => self.editor.put_entry(&path, ours),
            },
            (Some(ours), Some(theirs)) => {
                let meta = meta(base.as_ref(), &ours, &theirs);
                if let (Some(inner), Some(_)) = (ours.directory(), theirs.directory()) {
                    self.editor.set_meta(&path, meta)?;
                    return self.directory(&path, base_inner.as_ref(), Some(&inner));
                }
                let reader = self.editor.reader();
                let budget = &mut self.budget;
                let unchanged = |entry: &Entry, budget: &mut Budget| match &base {
                    Some(base) => reader.same_content(base, entry, budget),
                    None => Ok(false),
                };
                if reader.same_content(&ours, &theirs, budget)? || unchanged(&ours, budget)? {
                    return self.editor.put_entry(&path, meta.with(theirs.what));
                }
                if unchanged(&theirs, budget)? {
                    return self.editor.put_entry(&path, meta.with(ours.what));
                }
                self.copy(at, name, directory, ours)
            }
        }
    }

    /// Ours beside theirs.
    fn copy(
        &mut self,
        at: &VaultPath,
        name: &Name,
        directory: Option<&ObjectRef>,
        ours: Entry,
    ) -> Result<(), VaultError> {
        for number in 1..=u32::MAX {
            let Some(free) = self.author.copy_of(name, number) else {
                break;
            };
            let copy = at.join(&free);
            let to_come = match directory {
                Some(directory) => self.editor.reader().entry(directory, &free)?,
                None => None,
            };
            if to_come.is_none() && self.editor.find(&copy)?.is_none() {
                self.editor.put_entry(&copy, ours)?;
                self.conflicts.push(Conflict {
                    path: at.join(name),
                    copy,
                });
                return Ok(());
            }
        }
        Err(VaultError::Exists {
            path: at.join(name),
        })
    }

    fn remove_if_empty(&mut self, path: &VaultPath) -> Result<(), VaultError> {
        match self.editor.is_empty(path)? {
            true => self.editor.remove(path),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    fn copy(name: &[u8], person: &str, number: u32) -> Vec<u8> {
        let author = Author {
            person: person.to_owned(),
            time: "2026-11-22 14-03".to_owned(),
        };
        let name = Name::new(name).unwrap();
        author.copy_of(&name, number).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn copies_are_named_after_person_and_time() {
        let plain = copy(b"report.pdf", "Ada", 1);
        assert_eq!(plain, b"report (conflict, Ada, 2026-11-22 14-03).pdf");
        let again = copy(b"report.pdf", "Ada", 2);
        assert_eq!(again, b"report (conflict, Ada, 2026-11-22 14-03, 2).pdf");
        let hidden = copy(b".profile", "Ada", 1);
        assert_eq!(hidden, b".profile (conflict, Ada, 2026-11-22 14-03)");
    }

    #[test]
    fn every_name_has_a_copy() {
        let long = copy("ä".repeat(127).as_bytes(), "A/\n", 1);
        assert!(long.len() <= NAME);
        let text = String::from_utf8(long).unwrap();
        assert!(text.ends_with("ä (conflict, A__, 2026-11-22 14-03)"));
        let person = copy(b"x", &"ö".repeat(1000), 4_000_000_000);
        assert!(String::from_utf8(person).is_ok());
        let dots = copy(&[b'.'; 255], "A", 1);
        assert!(dots.len() <= NAME);
        copy(&[0xff; 255], "A", 1);
    }
}
