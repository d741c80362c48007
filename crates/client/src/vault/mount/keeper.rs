//! Makes versions of what is written to a mounted vault, and shows those of others.

use super::MountEvent;
use super::log::{self, Log};
use super::nodes::Kept;
use super::source::Source;
use super::staged::{Staged, StagedId, Whole};
use super::system::{FileSystem, State};
use super::tree::{Folder, Node, entry_with};
use super::trouble::{Trouble, is_damage};
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::sealed::Work;
use crate::vault::VaultConflict;
use crate::vault::change::{Place, change};
use crate::vault::failure::vault_failure;
use crate::vault::session::{Profile, Session};
use crate::view::{Failure, FailureKind, VaultChange};
use keys::vault_root::ObjectRef;
use seal::vault::{
    Author, Conflict, Editor, Entry, Found, Meta, Over, VaultError, VaultPath, What,
};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Files that are in a version, and after how many changes of each.
type Written = HashMap<StagedId, u64>;

/// What came of a version.
pub(super) struct Published {
    /// What was to become one, as a directory.
    ours: ObjectRef,
    /// The newest version now, with what others wrote meanwhile.
    directory: ObjectRef,
    version: u64,
    pub(super) changed: bool,
    conflicts: Vec<Conflict>,
    written: Written,
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
fn reuse(editor: &Editor<'_>, entry: &Entry) -> Result<(), Failure> {
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

/// What is to become a version.
struct Snapshot {
    base: ObjectRef,
    top: Folder,
    clock: u64,
}

/// Makes versions as long as a vault is mounted.
pub(super) struct Keeper {
    pub(super) profile: Profile,
    pub(super) journals: PathBuf,
    pub(super) vault: String,
    pub(super) name: String,
    pub(super) time: fn() -> String,
    pub(super) work: Arc<Work>,
    pub(super) files: Arc<FileSystem>,
    pub(super) tell: mpsc::UnboundedSender<MountEvent>,
    /// Whether versions of others are shown.
    pub(super) follows: bool,
    /// Files that were found damaged, and after how many changes of each: they are looked at again at the end.
    pub(super) damaged: RefCell<Written>,
}

/// What is to be done next.
enum Next {
    End,
    Flush,
    Look,
}

impl Keeper {
    pub(super) fn keep(self) -> Result<(), Failure> {
        let mut failed: Option<(Failure, Instant)> = None;
        loop {
            let not_before = failed
                .as_ref()
                .map(|(_, at)| at.checked_add(limits::VAULT_ASK_AGAIN).unwrap_or(*at));
            let done = match self.next(not_before) {
                Next::End => {
                    let waits = self.files.lock().changed.is_some();
                    let asked = not_before.is_some_and(|until| os::instant() < until);
                    return match failed {
                        // The relay did not answer a moment ago: whoever ends this shall not wait for it again.
                        Some((failure, _))
                            if waits && asked && failure.kind == FailureKind::Unreachable =>
                        {
                            Err(failure)
                        }
                        _ => self.flush(true),
                    };
                }
                Next::Flush => self.flush(false),
                Next::Look => self.look(),
            };
            match done {
                Ok(()) => failed = None,
                Err(failure) => {
                    let before = failed.as_ref().map(|(before, _)| &before.message);
                    // The same is told once.
                    if before != Some(&failure.message) {
                        let _ = self.tell.send(MountEvent::Waits(failure.clone()));
                    }
                    failed = Some((failure, os::instant()));
                }
            }
        }
    }

    /// Waits until something is to be done.
    fn next(&self, not_before: Option<Instant>) -> Next {
        let look_again = os::instant().checked_add(limits::VAULT_LOOK_AGAIN);
        loop {
            let due = due(self.files.lock().changed);
            let mut bell = self
                .files
                .bell
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if bell.end {
                return Next::End;
            }
            if std::mem::take(&mut bell.rung) {
                continue;
            }
            let now = os::instant();
            let may = not_before.is_none_or(|at| at <= now);
            if may && due.is_some_and(|due| due <= now) {
                return Next::Flush;
            }
            let look = bell.newer || look_again.is_some_and(|at| at <= now);
            if may && due.is_none() && look && self.follows {
                bell.newer = false;
                return Next::Look;
            }
            let until = [due, look_again, not_before.filter(|at| *at > now)];
            let until = until.into_iter().flatten().filter(|at| *at > now).min();
            let pause = until.map_or(Duration::from_secs(1), |at| {
                at.saturating_duration_since(now)
            });
            let waited = self.files.rang.wait_timeout(bell, pause);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn session(&self) -> Result<Session, Failure> {
        let session = Session::open(&self.profile, &self.vault, &self.work)?;
        self.files.source.renew(&session);
        Ok(session)
    }

    /// Shows the newest version, if nothing waits to become one.
    fn look(&self) -> Result<(), Failure> {
        let session = self.session()?;
        let Some(newest) = session.newest(&session.packs(None))? else {
            return Ok(());
        };
        let body = &newest.root.body;
        let mut log = self.files.change();
        let mut state = self.files.lock();
        if body.counter <= state.version || !state.top.changes.is_empty() {
            return Ok(());
        }
        let shown = self.show(&mut state, body.counter, &body.directory, &[]);
        shown
            .and_then(|()| self.begin_log(&mut log, &state))
            .map_err(kept_failure)
    }

    /// What was written becomes a version: what is being written only if `all` is to. Nothing of it is lost if not.
    pub(super) fn flush(&self, all: bool) -> Result<(), Failure> {
        if self.files.read_only {
            return Ok(());
        }
        let Some(snapshot) = self.snapshot(all) else {
            return Ok(());
        };
        let time = (self.time)();
        let place = Place {
            profile: &self.profile,
            journals: &self.journals,
            vault: &self.vault,
            time: &time,
            work: &self.work,
        };
        let published = publish(&place, &self.files.source, &snapshot.base, &snapshot.top)?;
        self.session()?;
        self.settle(&snapshot, &published).map_err(kept_failure)?;
        if published.changed {
            let shown = published.shown(self.name.clone());
            let _ = self.tell.send(MountEvent::Version(shown));
        }
        if !published.damaged.is_empty() {
            let failure = damaged(&published, &self.files.directory);
            if all {
                return Err(failure);
            }
            let found = published.damaged.iter();
            let found = found.map(|(_, staged)| (staged.id, staged.changes()));
            self.damaged.borrow_mut().extend(found);
            let _ = self.tell.send(MountEvent::Kept(failure));
        }
        match all && self.files.lock().changed.is_some() {
            true => self.flush(all),
            false => Ok(()),
        }
    }

    fn snapshot(&self, all: bool) -> Option<Snapshot> {
        let _changing = self.files.change();
        let mut state = self.files.lock();
        let (first, last) = state.changed?;
        let now = os::instant();
        let quiet = now.checked_sub(limits::MOUNT_QUIET).unwrap_or(now);
        let patience = now.checked_sub(limits::MOUNT_PATIENCE).unwrap_or(now);
        let mut top = state.top.clone();
        if !all {
            let damaged = self.damaged.borrow();
            top.leave_out(&|staged| damaged.get(&staged.id) == Some(&staged.changes()));
        }
        if !all && first > patience {
            top.leave_out(&|staged| !staged.is_settled(quiet));
        }
        if top.changes.is_empty() {
            // What is being written is looked at again.
            let soon = now.checked_sub(limits::MOUNT_QUIET_LEFT).unwrap_or(now);
            let waits = !state.top.changes.is_empty();
            state.changed = waits.then_some((first, last.max(soon)));
            return None;
        }
        Some(Snapshot {
            base: state.base,
            top,
            clock: state.clock,
        })
    }

    /// Forgets what is in a version now.
    fn settle(&self, snapshot: &Snapshot, published: &Published) -> Result<(), Trouble> {
        let source = &self.files.source;
        let ours = &published.ours;
        let in_version = |staged: &Staged| published.written.get(&staged.id).copied();
        // What has to be read is read before anybody has to wait.
        let mut looked = snapshot.top.clone();
        looked.forget(Some(ours), source, snapshot.clock, &|staged| {
            in_version(staged).is_some()
        })?;
        let mut log = self.files.change();
        let mut state = self.files.lock();
        let mut top = state.top.clone();
        let retired = RefCell::new(Vec::new());
        let has = |staged: &Staged| {
            let retires = in_version(staged).is_some_and(|changes| staged.retire(changes));
            if retires {
                retired.borrow_mut().push(staged.id);
            }
            retires
        };
        if let Err(trouble) = top.forget(Some(ours), source, snapshot.clock, &has) {
            let retired = retired.into_inner();
            state.top.files(&mut |staged| {
                if retired.contains(&staged.id) {
                    staged.go_on();
                }
            });
            return Err(trouble);
        }
        state.top = top;
        state.base = *ours;
        state.version = published.version;
        state.tick();
        let shown = match state.top.changes.is_empty() {
            true => {
                state.changed = None;
                let (version, to) = (published.version, published.directory);
                self.show(&mut state, version, &to, &published.conflicts)
            }
            false => {
                let now = os::instant();
                state.changed = Some((now, now));
                Err(Trouble::Io)
            }
        };
        let logged = self.begin_log(&mut log, &state);
        drop(state);
        if shown.is_err() {
            self.files.ring(|bell| bell.newer = true);
        }
        logged
    }

    fn begin_log(&self, log: &mut Option<Log>, state: &State) -> Result<(), Trouble> {
        if log.is_none() {
            return Ok(());
        }
        let files = &self.files;
        let keys = files.source.keys();
        *log = Some(Log::begin(
            &files.directory,
            &keys,
            &state.base,
            &state.top,
        )?);
        let unnamed = files.unnamed();
        let mut used: HashSet<PathBuf> =
            unnamed.iter().map(|id| id.path(&files.directory)).collect();
        drop(unnamed);
        state.top.files(&mut |staged| {
            used.insert(staged.id.path(&files.directory));
        });
        for path in os::files_of(&files.directory) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.contains('-') && !used.contains(&path) {
                os::remove(&path);
            }
        }
        Ok(())
    }

    /// Shows a version in the place of another one; nothing is changed in either. What is open to be read stays as it was.
    fn show(
        &self,
        state: &mut State,
        version: u64,
        to: &ObjectRef,
        conflicts: &[Conflict],
    ) -> Result<(), Trouble> {
        let source = &self.files.source;
        let next = Folder::new(state.top.meta, Some(*to));
        let mut replaced = Vec::new();
        for number in state.nodes.read() {
            let Some(path) = state.nodes.path(number) else {
                continue;
            };
            let (before, after) = (at(source, &state.base, &path)?, at(source, to, &path)?);
            if let Some(before) = before {
                let same = match &after {
                    Some(after) => source.same_content(&before, after)?,
                    None => false,
                };
                if !same {
                    replaced.push((number, before));
                }
            }
        }
        for (number, before) in replaced {
            state.nodes.unname(number, Some(Kept::Entry(before)));
        }
        for conflict in conflicts {
            // Whoever has it open goes on in what was written by it.
            let number = state.nodes.at(&conflict.path);
            let place = conflict.copy.split_last();
            if let (Some(number), Some((_, name))) = (number, place)
                && state.nodes.is_open(number)
                && let Some(parent) = conflict
                    .path
                    .split_last()
                    .and_then(|(place, _)| state.nodes.at(&place))
                && state.nodes.find(parent, name).is_none()
            {
                state.nodes.rename(number, parent, name);
            }
        }
        state.top = next;
        state.base = *to;
        state.version = version;
        state.tick();
        Ok(())
    }
}

/// What a version has at a path.
fn at(source: &Source, top: &ObjectRef, path: &VaultPath) -> Result<Option<Entry>, Trouble> {
    let mut entry = Entry::top(*top);
    for name in path.names() {
        let Some(directory) = entry.directory() else {
            return Ok(None);
        };
        match source.entry(&directory, name)? {
            Some(inner) => entry = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(entry))
}

/// When what was changed is to become a version.
fn due(changed: Option<(Instant, Instant)>) -> Option<Instant> {
    let (first, last) = changed?;
    let quiet = last.checked_add(limits::MOUNT_QUIET)?;
    let patience = first.checked_add(limits::MOUNT_PATIENCE)?;
    Some(quiet.min(patience))
}

fn kept_failure(trouble: Trouble) -> Failure {
    let message = format!("the newest version cannot be shown: {trouble}");
    let hint = "what was written is kept; it is tried again";
    failure(FailureKind::Failed, message, Some(hint))
}
