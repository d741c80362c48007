//! A folder on disk that is brought in step with a vault.

use super::change::{Desk, Place, change, is_joined};
use super::failure::vault_failure;
use super::session::{Profile, Session, with_profile};
use super::uses::keep;
use super::{VaultConflict, shown_path};
use crate::Client;
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::sealed::Work;
use crate::view::{Failure, FailureKind, VaultRole, VaultSynced};
use keys::vault_root::ObjectRef;
use rand_core::CryptoRng;
use seal::vault::{
    Applied, Author, Conflict, Editor, Folder, InStep, Put, Reader, Refused, VaultError, What,
};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which folder, and which vault.
#[derive(Debug, Clone)]
pub struct Sync {
    /// The home: what is under way is written down there.
    pub home: PathBuf,
    /// The vault: its name, or the beginning of its id.
    pub vault: String,
    /// The folder.
    pub folder: PathBuf,
    /// The time as it is to stand in names of conflict copies: `2026-11-22 14-03`.
    pub time: String,
}

/// What one look through the folder brought.
struct Looked {
    /// The folder as a directory of the vault.
    ours: ObjectRef,
    scanned: Put,
    /// Files that are new to the vault, and their bytes.
    put: (u64, u64),
    conflicts: Vec<Conflict>,
    /// What was written into the folder already, because nothing of it was new to the vault.
    applied: Option<Applied>,
}

/// Why a folder was not brought in step. Nothing is lost then, on either side: the next time goes on.
#[derive(Debug)]
pub enum Unsynced {
    /// It may be over later: the relay does not answer, or shows what does not count.
    Passes(Failure),
    /// Only the person can mend it.
    Stays(Failure),
}

impl Unsynced {
    fn later(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Usage => Self::Stays(failure),
            _ => Self::Passes(failure),
        }
    }

    /// What happened.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Passes(failure) | Self::Stays(failure) => failure,
        }
    }
}

/// Brings a folder in step with a vault, both ways. Whoever may only read gets what is new; what is changed in the folder
/// stays there.
///
/// # Errors
/// [`Unsynced`].
pub async fn sync(client: &Client, wish: Sync, work: Arc<Work>) -> Result<VaultSynced, Unsynced> {
    let done = with_profile(client, move |profile| Ok(run(&profile, &wish, &work))).await;
    done.unwrap_or_else(|failure| Err(Unsynced::Stays(failure)))
}

fn run(profile: &Profile, wish: &Sync, work: &Arc<Work>) -> Result<VaultSynced, Unsynced> {
    let on_disk = |error| Unsynced::Stays(vault_failure(error));
    let folder = Folder::create(&wish.folder).map_err(on_disk)?;
    let Some(_alone) = folder.lock().map_err(on_disk)? else {
        let message = "this folder is being brought in step by another process";
        let hint = "end that one, or wait until it is done";
        let failure = failure(FailureKind::Refused, message, Some(hint));
        return Err(Unsynced::Passes(failure));
    };
    let known = Session::find(profile, &wish.vault);
    known.map_err(|failure| match failure.kind {
        FailureKind::Unreachable => Unsynced::Passes(failure),
        _ => Unsynced::Stays(failure),
    })?;
    let session = Session::open(profile, &wish.vault, work).map_err(Unsynced::later)?;
    let in_step = match remembered(&folder).map_err(Unsynced::Stays)? {
        None => InStep {
            vault: session.id,
            base: None,
            since: 0,
            refused: Vec::new(),
        },
        Some(in_step) if in_step.vault == session.id => in_step,
        Some(_) => {
            let message = "this folder is kept in step with another vault";
            let hint = "name another folder, or remove .letterlock-sync from it to join them";
            let failure = failure(FailureKind::Refused, message, Some(hint));
            return Err(Unsynced::Stays(failure));
        }
    };
    let brought = bring(profile, wish, &session, (&folder, in_step));
    brought.map_err(Unsynced::later)
}

/// What a folder was in step with.
fn remembered(folder: &Folder) -> Result<Option<InStep>, Failure> {
    folder.in_step().map_err(|error| match error {
        VaultError::Form(_) => {
            let message = "what this folder was in step with is damaged, or of another version of letterlock";
            let hint = "remove .letterlock-sync/state from it: folder and vault are joined then, and nothing in them is removed";
            failure(FailureKind::Failed, message, Some(hint))
        }
        error => vault_failure(error),
    })
}

fn bring(
    profile: &Profile,
    wish: &Sync,
    session: &Session,
    (folder, in_step): (&Folder, InStep),
) -> Result<VaultSynced, Failure> {
    let journals = wish.home.join("vaults");
    let mut synced = VaultSynced {
        vault: session.name.clone(),
        version: 0,
        put: 0,
        bytes: 0,
        written: 0,
        removed: 0,
        left_out: Vec::new(),
        conflicts: Vec::new(),
        kept: false,
        unread: Vec::new(),
        refused: Vec::new(),
        aside: Vec::new(),
    };
    let place = Place {
        profile,
        journals: &journals,
        vault: &wish.vault,
        time: &wish.time,
        work: &session.work,
    };
    if session.role < VaultRole::Writer {
        read_only(&place, (folder, &in_step), &mut synced)?;
        return Ok(synced);
    }
    for _ in 0..limits::VAULT_LOOKS {
        let in_step = still_known(session, &journals, &in_step);
        if round(&place, folder, &in_step, &mut synced)? {
            return Ok(synced);
        }
    }
    let message = "somebody writes in this folder all the time";
    let hint = "what was there is in step; try again when it is quiet";
    Err(failure(FailureKind::Failed, message, Some(hint)))
}

/// What a folder was in step with: nothing, where a person said since that another history counts.
fn still_known(session: &Session, journals: &Path, in_step: &InStep) -> InStep {
    let known = in_step.clone();
    match is_joined(session, journals, in_step.since) {
        // SECURITY: what was known of an older history removes nothing;
        // `a_vault_whose_versions_are_lost_goes_on_when_a_person_says_so` notices.
        true => InStep {
            base: None,
            since: 0,
            refused: Vec::new(),
            ..known
        },
        false => known,
    }
}

/// Looks through the folder, publishes what is new, and writes what came. False: something was changed meanwhile.
fn round(
    place: &Place<'_>,
    folder: &Folder,
    in_step: &InStep,
    synced: &mut VaultSynced,
) -> Result<bool, Failure> {
    let since = Folder::now();
    let (total, progress) = (
        |bytes| place.work.begin(bytes),
        |bytes| place.work.add(bytes),
    );
    let bar: (seal::Progress<'_>, seal::Progress<'_>) = (&total, &progress);
    let overtaken = Cell::new(false);
    let changed = change(place, |editor, desk| {
        // SECURITY: the newest version was asked for after the folder's memory was read, and a person may have chosen it
        // between the two; `who_watches_waits_until_somebody_chooses_a_history` notices.
        overtaken
            .set(in_step.base.is_some() && is_joined(desk.session, place.journals, in_step.since));
        if overtaken.get() {
            let message = "another history was chosen";
            return Err(failure(FailureKind::Failed, message, Some("try again")));
        }
        look_and_merge(place, folder, in_step, bar, (editor, desk))
    });
    if overtaken.get() {
        return Ok(false);
    }
    let changed = changed?;
    let Looked {
        ours,
        scanned,
        put: (files, bytes),
        conflicts,
        applied,
    } = changed.done;
    let applied = match applied {
        Some(applied) => applied,
        None => write(place, folder, (&ours, &changed.directory), bar)?,
    };
    synced.version = changed.version;
    if changed.changed {
        synced.put = synced.put.saturating_add(files);
        synced.bytes = synced.bytes.saturating_add(bytes);
        let conflicts = conflicts.into_iter().chain(changed.conflicts);
        synced.conflicts.extend(conflicts.map(shown_conflict));
    }
    synced.left_out = scanned.left_out.iter().map(shown_path).collect();
    synced.unread = scanned.unread.iter().map(shown_path).collect();
    tell(synced, folder, &applied);
    if applied.busy {
        return Ok(false);
    }
    let now = (changed.directory, since, applied.refused);
    remember(folder, in_step, now)?;
    Ok(true)
}

/// Looks through the folder, and merges what is new into the newest version.
fn look_and_merge(
    place: &Place<'_>,
    folder: &Folder,
    in_step: &InStep,
    bar: (seal::Progress<'_>, seal::Progress<'_>),
    (editor, desk): (&mut Editor<'_>, Desk<'_>),
) -> Result<Looked, Failure> {
    let reader = desk.session.reader(desk.packs);
    let newest = desk.newest.root.body.directory;
    let mut rng = os::entropy();
    let before = as_it_is(in_step, desk, &mut rng).map_err(vault_failure)?;
    let mut look =
        Editor::new(reader, desk.packs, before.base, &mut rng).compressing(desk.session.alone);
    let put = folder
        .scan(&mut look, reader, &before, Some(&newest), bar)
        .map_err(vault_failure)?;
    let ours = match (&put, before.base) {
        (None, Some(base)) => base,
        _ => look.finish().map_err(vault_failure)?,
    };
    let author = Author {
        person: desk.session.person.clone(),
        time: place.time.to_owned(),
    };
    let conflicts = editor
        .merge(before.base.as_ref(), &ours, &author)
        .map_err(vault_failure)?;
    let both = editor.write_all().map_err(vault_failure)?;
    // Where nothing is new to the vault, nothing of what was written stays there.
    let applied = match both.id == newest.id {
        true => Some(folder.apply(reader, Some(&ours), &newest, &[], bar)),
        false => None,
    };
    Ok(Looked {
        ours,
        scanned: put.unwrap_or_default(),
        put: new_files(&editor.reader(), &newest, &both).map_err(vault_failure)?,
        conflicts,
        applied: applied.transpose().map_err(vault_failure)?,
    })
}

/// Writes what a version brought that was just published.
fn write(
    place: &Place<'_>,
    folder: &Folder,
    (from, to): (&ObjectRef, &ObjectRef),
    bar: (seal::Progress<'_>, seal::Progress<'_>),
) -> Result<Applied, Failure> {
    let session = Session::open(place.profile, place.vault, place.work)?;
    let packs = session.packs(None);
    let applied = folder.apply(session.reader(&packs), Some(from), to, &[], bar);
    applied.map_err(vault_failure)
}

/// When the folder was in step, with a directory of what it had then: what could not be written is no change of the
/// person's.
fn as_it_is(
    in_step: &InStep,
    desk: Desk<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<InStep, VaultError> {
    let mut before = in_step.clone();
    if !before.refused.is_empty() {
        let reader = desk.session.reader(desk.packs);
        let mut editor = Editor::new(reader, desk.packs, before.base, rng);
        before.take_back(&mut editor)?;
        before.base = Some(editor.finish()?);
    }
    Ok(before)
}

fn tell(synced: &mut VaultSynced, folder: &Folder, applied: &Applied) {
    synced.written = synced.written.saturating_add(applied.written);
    synced.removed = synced.removed.saturating_add(applied.removed);
    let refused = applied.refused.iter();
    let refused = refused.map(|refused| shown_path(refused.path.on_disk(folder.path())));
    synced.refused = refused.collect();
    synced.aside = applied.aside.iter().map(shown_path).collect();
}

/// How many files differ in the newer one of two versions, and how many bytes they have.
fn new_files(
    reader: &Reader<'_>,
    before: &ObjectRef,
    after: &ObjectRef,
) -> Result<(u64, u64), VaultError> {
    let (mut files, mut bytes) = (0_u64, 0_u64);
    reader.diff(Some(before), Some(after), &mut |_, change| {
        if let Some(What::File { size, .. }) = change.after.as_ref().map(|entry| &entry.what) {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(*size);
        }
        Ok(())
    })?;
    Ok((files, bytes))
}

fn shown_conflict(conflict: Conflict) -> VaultConflict {
    VaultConflict {
        path: conflict.path.to_string(),
        copy: conflict.copy.to_string(),
    }
}

/// Whoever may only read gets what is new, and keeps what it changed.
fn read_only(
    place: &Place<'_>,
    (folder, in_step): (&Folder, &InStep),
    synced: &mut VaultSynced,
) -> Result<(), Failure> {
    let since = Folder::now();
    let (session, packs, newest) = Session::to_read(place.profile, place.vault, place.work)?;
    let Some(newest) = newest else {
        return Ok(());
    };
    synced.version = newest.root.body.counter;
    let directory = newest.root.body.directory;
    // After the version was asked for: a person may have chosen it meanwhile.
    let in_step = &still_known(&session, place.journals, in_step);
    let work = &session.work;
    let (total, progress) = (|bytes| work.begin(bytes), |bytes| work.add(bytes));
    let applied = folder
        .apply(
            session.reader(&packs),
            in_step.base.as_ref(),
            &directory,
            &in_step.refused,
            (&total, &progress),
        )
        .map_err(vault_failure)?;
    tell(synced, folder, &applied);
    synced.kept = applied.busy;
    keep(&session, place.journals, &newest, false);
    remember(folder, in_step, (directory, since, applied.refused))
}

fn remember(
    folder: &Folder,
    before: &InStep,
    (directory, since, refused): (ObjectRef, i64, Vec<Refused>),
) -> Result<(), Failure> {
    let in_step = InStep {
        vault: before.vault,
        base: Some(directory),
        since,
        refused,
    };
    folder.remember(&in_step).map_err(vault_failure)
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod whole_tests;
