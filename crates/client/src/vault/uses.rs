//! Which packs of a vault are used. What is not goes; what is is said to be, before the relay forgets it.

use super::change::{name, put_back};
use super::failure::vault_failure;
use super::journal::Journal;
use super::newest::Newest;
use super::session::Session;
use crate::limits;
use crate::os;
use crate::view::{Failure, FailureKind, VaultRole};
use keys::BlobId;
use keys::vault_root::{ObjectRef, VaultRoot};
use seal::vault::Reached;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Packs that versions name, and the generation of each.
pub(super) type Used = BTreeMap<BlobId, u32>;

/// The packs of a change go, but for those that are used.
pub(super) fn abandon(session: &Session, journal: &Journal, used: &Used) {
    let packs = session.packs(None);
    let Ok(begun) = journal.begun() else { return };
    let mut unused = begun
        .packs
        .iter()
        .filter(|(pack, _)| !used.contains_key(pack));
    let gone = unused.all(|(pack, generation)| packs.delete(pack, *generation).is_ok());
    // What could not be deleted is looked at by the next change.
    if gone {
        journal.finish();
    }
}

/// What was written for versions that came too late.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    /// There was none.
    Nothing,
    /// It is in no version.
    Surely,
    /// The relay shows less than it had: nobody knows.
    Perhaps,
}

/// A change came to its end.
pub(super) fn end(
    session: &Session,
    journal: &Journal,
    root: &VaultRoot,
    (taken, lost): (bool, Lost),
) {
    match (taken, lost) {
        (_, Lost::Nothing) | (true, Lost::Perhaps) => journal.finish(),
        (true, Lost::Surely) => tidy(session, journal, root),
        // Others changed the same.
        (false, Lost::Surely) => abandon(session, journal, &Used::new()),
        // The next change looks at it.
        (false, Lost::Perhaps) => {}
    }
}

/// Of what a change wrote only what its version names stays.
fn tidy(session: &Session, journal: &Journal, root: &VaultRoot) {
    let packs = session.packs(None);
    let mut used = Used::new();
    let mut each = |object: &ObjectRef| {
        used.insert(object.pack, object.generation);
    };
    each(&root.body.previous_root);
    let (reader, mut reached) = (session.reader(&packs), Reached::default());
    match reader.objects(&root.body.directory, &mut reached, &mut each) {
        Ok(()) => abandon(session, journal, &used),
        Err(_) => journal.finish(),
    }
}

/// Deletes what changes left behind that came to no end. What cannot be decided now waits for the next time.
pub(super) fn sweep(session: &Session, journals: &Path, newest: &Newest) {
    let mut used = None;
    for journal in Journal::left_over(journals, &name(session)) {
        let Ok(begun) = journal.begun() else { continue };
        match is_in_history(session, newest, &begun.roots) {
            Ok(Some(true)) => journal.finish(),
            Ok(Some(false)) => {
                // SECURITY: the disk of this home may be an older one, and the change came to its end after all;
                // `a_journal_of_old_takes_nothing_away` notices.
                if used.is_none() {
                    let (all, whole) = used_packs(session, newest);
                    used = whole.is_ok().then_some(all);
                }
                if let Some(used) = &used {
                    abandon(session, &journal, used);
                }
            }
            Ok(None) | Err(_) => {}
        }
    }
}

/// The packs of all versions, as far as they can be read, and whether that is all.
pub(super) fn used_packs(session: &Session, newest: &Newest) -> (Used, Result<(), Failure>) {
    let packs = session.packs(None);
    let mut used = Used::new();
    let mut reached = Reached::default();
    let mut root = newest.root.clone();
    let mut whole = Ok(());
    loop {
        let mut each = |object: &ObjectRef| {
            used.insert(object.pack, object.generation);
        };
        let reader = session.reader(&packs);
        let objects = reader.objects(&root.body.directory, &mut reached, &mut each);
        whole = whole.and(objects.map_err(vault_failure));
        if root.body.counter == 1 {
            return (used, whole);
        }
        each(&root.body.previous_root);
        match session.previous(&packs, &root) {
            Ok(older) => root = older,
            Err(failure) => return (used, whole.and(Err(failure))),
        }
    }
}

/// Says to the relay once in a while that all of a vault is used still: the packs of all versions, and the head, which is
/// written as it is unless that was done just now. What cannot be said now is said the next time.
pub(super) fn keep(session: &Session, journals: &Path, newest: &Newest, written: bool) {
    let stamp = journals.join(format!("{}.used", name(session)));
    let now = os::now();
    match os::modified(&stamp) {
        Some(said) if now.since(said) < limits::VAULT_TOUCH_SECONDS => return,
        Some(_) => {
            let head = match written || session.role < VaultRole::Writer {
                true => Ok(()),
                false => put_back(session, newest, 0),
            };
            let unheard = head.is_err_and(|failure| failure.kind == FailureKind::Unreachable);
            if unheard || !touch_all(session, newest) {
                return;
            }
        }
        None => {}
    }
    // Without it the next time looks again: nothing is lost.
    let _ = os::create_home(journals).and_then(|()| os::write_private(&stamp, b""));
}

/// Whether the relay heard of all packs that it has.
fn touch_all(session: &Session, newest: &Newest) -> bool {
    let (used, whole) = used_packs(session, newest);
    if whole.is_err_and(|failure| failure.kind == FailureKind::Unreachable) {
        return false;
    }
    let packs = session.packs(None);
    let left = Mutex::new(used.into_iter());
    let (heard, gone) = (AtomicBool::new(true), AtomicBool::new(false));
    let touch = || {
        while !gone.load(Ordering::Relaxed) {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((pack, generation)) = next else {
                return;
            };
            match packs.touch(&pack, generation).map_err(|error| error.kind()) {
                // What the relay refuses or lacks keeps nobody from saying the rest.
                Ok(_) | Err(ErrorKind::PermissionDenied | ErrorKind::NotFound) => {}
                Err(kind) => {
                    heard.store(false, Ordering::Relaxed);
                    gone.fetch_or(kind == ErrorKind::TimedOut, Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..limits::VAULT_TOUCHES {
            scope.spawn(touch);
        }
    });
    heard.into_inner()
}

/// Whether one of these versions is in the history. Nothing: it may come to be.
pub(super) fn is_in_history(
    session: &Session,
    newest: &Newest,
    roots: &[(u64, keys::vault_root::RootHash)],
) -> Result<Option<bool>, Failure> {
    let oldest = roots.iter().map(|(counter, _)| *counter).min();
    let latest = roots.iter().map(|(counter, _)| *counter).max();
    let Some((oldest, latest)) = oldest.zip(latest) else {
        return Ok(Some(false));
    };
    let packs = session.packs(None);
    let mut at = newest.root.clone();
    let here = |root: &VaultRoot| roots.contains(&(root.body.counter, root.hash()));
    while at.body.counter > oldest && !here(&at) {
        at = session.previous(&packs, &at)?;
    }
    Ok(match here(&at) {
        true => Some(true),
        false => (newest.root.body.counter >= latest).then_some(false),
    })
}
