//! Makes versions of what is written to a mounted vault, and shows those of others.

use super::MountEvent;
use super::log::Log;
use super::nodes::Kept;
use super::publish::{Published, Written, damaged, publish};
use super::source::Source;
use super::staged::Staged;
use super::system::{FileSystem, State};
use super::tree::Folder;
use super::trouble::Trouble;
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::sealed::Work;
use crate::vault::change::Place;
use crate::vault::session::{Profile, Session};
use crate::view::{Failure, FailureKind};
use keys::vault_root::ObjectRef;
use seal::vault::{Conflict, Entry, VaultPath};
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

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
