//! A folder on disk that is brought in step with a vault.

use super::change::{Place, change, is_joined};
use super::failure::vault_failure;
use super::session::{Session, with_profile};
use super::{VaultConflict, shown_path};
use crate::Client;
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::sealed::Work;
use crate::view::{Failure, FailureKind, VaultRole, VaultSynced};
use keys::vault_root::ObjectRef;
use seal::vault::{Author, Conflict, Editor, Folder, InStep, Reader, VaultError, What};
use std::path::PathBuf;
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
    left_out: Vec<PathBuf>,
    /// Files that are new to the vault, and their bytes.
    put: (u64, u64),
    conflicts: Vec<Conflict>,
    /// What was written into the folder already, because nothing of it was new to the vault.
    applied: Option<seal::vault::Applied>,
}

/// Brings a folder in step with a vault, both ways. Whoever may only read gets what is new; what is changed in the folder
/// stays there.
///
/// # Errors
/// Nothing is lost then, on either side: the next time goes on.
pub async fn sync(client: &Client, wish: Sync, work: Arc<Work>) -> Result<VaultSynced, Failure> {
    with_profile(client, move |profile| {
        let folder = Folder::create(&wish.folder).map_err(vault_failure)?;
        let Some(_alone) = folder.lock().map_err(vault_failure)? else {
            let message = "this folder is being brought in step by another process";
            let hint = "end that one, or wait until it is done";
            return Err(failure(FailureKind::Refused, message, Some(hint)));
        };
        let session = Session::open(&profile, &wish.vault, &work)?;
        let in_step = folder.in_step().map_err(vault_failure)?;
        let in_step = match in_step {
            None => InStep {
                vault: session.id,
                base: None,
                since: 0,
            },
            Some(in_step) if in_step.vault == session.id => in_step,
            Some(_) => {
                let message = "this folder is kept in step with another vault";
                let hint = "name another folder, or remove .letterlock-sync from it to join them";
                return Err(failure(FailureKind::Refused, message, Some(hint)));
            }
        };
        let in_step = match is_joined(&session, &wish.home.join("vaults"), in_step.since) {
            // SECURITY: what was known of an older history removes nothing;
            // `a_vault_whose_versions_are_lost_goes_on_when_a_person_says_so` notices.
            true => InStep {
                base: None,
                since: 0,
                ..in_step
            },
            false => in_step,
        };
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
        };
        if session.role < VaultRole::Writer {
            read_only(&session, &folder, in_step, &mut synced)?;
            return Ok(synced);
        }
        let place = Place {
            profile: &profile,
            journals: &wish.home.join("vaults"),
            vault: &wish.vault,
            time: &wish.time,
            work: &work,
        };
        for _ in 0..limits::VAULT_LOOKS {
            if round(&place, &folder, &in_step, &mut synced)? {
                return Ok(synced);
            }
        }
        let message = "somebody writes in this folder all the time";
        let hint = "what was there is in step; try again when it is quiet";
        Err(failure(FailureKind::Failed, message, Some(hint)))
    })
    .await
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
    let changed = change(place, |editor, desk| {
        let reader = desk.session.reader(desk.packs);
        let newest = desk.newest.root.body.directory;
        let mut rng = os::entropy();
        let mut look =
            Editor::new(reader, desk.packs, in_step.base, &mut rng).compressing(desk.session.alone);
        let put = folder
            .scan(&mut look, reader, in_step, Some(&newest), bar)
            .map_err(vault_failure)?;
        let ours = match (&put, in_step.base) {
            (None, Some(base)) => base,
            _ => look.finish().map_err(vault_failure)?,
        };
        let author = Author {
            person: desk.session.person.clone(),
            time: place.time.to_owned(),
        };
        let conflicts = editor
            .merge(in_step.base.as_ref(), &ours, &author)
            .map_err(vault_failure)?;
        let both = editor.write_all().map_err(vault_failure)?;
        // Where nothing is new to the vault, nothing of what was written stays there.
        let applied = match both.id == newest.id {
            true => Some(folder.apply(reader, Some(&ours), &newest, bar)),
            false => None,
        };
        Ok(Looked {
            ours,
            left_out: put.unwrap_or_default().left_out,
            put: new_files(&editor.reader(), &newest, &both).map_err(vault_failure)?,
            conflicts,
            applied: applied.transpose().map_err(vault_failure)?,
        })
    })?;
    let Looked {
        ours,
        left_out,
        put: (files, bytes),
        conflicts,
        applied,
    } = changed.done;
    let applied = match applied {
        Some(applied) => applied,
        None => {
            let session = Session::open(place.profile, place.vault, place.work)?;
            let packs = session.packs(None);
            let reader = session.reader(&packs);
            let written = folder.apply(reader, Some(&ours), &changed.directory, bar);
            written.map_err(vault_failure)?
        }
    };
    synced.version = changed.version;
    if changed.changed {
        synced.put = synced.put.saturating_add(files);
        synced.bytes = synced.bytes.saturating_add(bytes);
        let conflicts = conflicts.into_iter().chain(changed.conflicts);
        synced.conflicts.extend(conflicts.map(shown_conflict));
    }
    synced.left_out = left_out.iter().map(shown_path).collect();
    synced.written = synced.written.saturating_add(applied.written);
    synced.removed = synced.removed.saturating_add(applied.removed);
    if applied.busy {
        return Ok(false);
    }
    remember(folder, in_step, changed.directory, since)?;
    Ok(true)
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
    session: &Session,
    folder: &Folder,
    in_step: InStep,
    synced: &mut VaultSynced,
) -> Result<(), Failure> {
    let since = Folder::now();
    let packs = session.packs(None);
    let Some(newest) = session.newest(&packs)? else {
        return Ok(());
    };
    synced.version = newest.root.body.counter;
    let directory = newest.root.body.directory;
    let work = &session.work;
    let (total, progress) = (|bytes| work.begin(bytes), |bytes| work.add(bytes));
    let applied = folder
        .apply(
            session.reader(&packs),
            in_step.base.as_ref(),
            &directory,
            (&total, &progress),
        )
        .map_err(vault_failure)?;
    synced.written = applied.written;
    synced.removed = applied.removed;
    synced.kept = applied.busy;
    remember(folder, &in_step, directory, since)
}

fn remember(
    folder: &Folder,
    before: &InStep,
    directory: ObjectRef,
    since: i64,
) -> Result<(), Failure> {
    let in_step = InStep {
        vault: before.vault,
        base: Some(directory),
        since,
    };
    folder.remember(&in_step).map_err(vault_failure)
}
