//! Files of vaults, for faces. The process that asks reads and writes files, seals, opens and moves packs; the one that
//! holds the profile knows keys and people, says which version counts, signs, and moves heads.
//!
//! ```text
//!   face ── access ──► profile          face ── packs ──► relay (HTTP)
//!   face ── roots: do they count? ──► profile
//!   face ── new root: sign, publish ──► profile ── head ──► relay
//! ```

mod change;
mod dav;
mod failure;
mod journal;
mod mount;
mod newest;
mod packs;
mod session;
#[cfg(test)]
mod stand;
mod sync;
mod uses;
mod watch;

use self::change::{Changed, Place, change, move_head};
pub use self::dav::serve_dav;
use self::failure::vault_failure;
pub use self::mount::{
    About, Changes, FileSystem, Kind, Mount, MountEvent, Mounted, Trouble, mount,
};
use self::newest::Newest;
use self::packs::RelayPacks;
use self::session::{Profile, Session, with_profile};
pub use self::sync::{Sync, Unsynced, sync};
pub use self::watch::{Standing, Watch};
#[cfg(any(test, feature = "conformance"))]
pub(crate) use self::{dav::hostile as hostile_dav, mount::hostile as hostile_mount};
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::os;
use crate::sealed::Work;
use crate::view::{
    Failure, FailureKind, VaultChange, VaultConflict, VaultEntry, VaultEntryKind, VaultGot,
    VaultVersion,
};
use keys::vault_root::VaultRoot;
use seal::vault::{
    Change, Editor, Entry, Put, Reader, VaultError, VaultPath, What, bytes_on_disk, name_on_disk,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a home may hold as a journal of packs: the lines that say something are read again as the same.
#[cfg(any(test, feature = "conformance"))]
pub(crate) fn hostile_journal(bytes: &[u8]) -> bool {
    journal::Begun::of(bytes).is_written_again()
}

/// Where a vault is changed from.
pub struct Desk {
    /// The home: what is under way is written down there.
    pub home: PathBuf,
    /// The vault: its name, or the beginning of its id.
    pub vault: String,
    /// The time as it is to stand in names of conflict copies: `2026-11-22 14-03`.
    pub time: String,
}

/// What is to be changed.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Put files and directories.
    Put {
        /// On disk.
        paths: Vec<PathBuf>,
        /// The directory in the vault; it is made if need be.
        to: String,
    },
    /// Take things out.
    Remove {
        /// In the vault.
        paths: Vec<String>,
    },
    /// Move or rename.
    Move {
        /// In the vault.
        from: String,
        /// The new path; nothing may be there.
        to: String,
    },
    /// Make a directory, with all above it.
    MakeDirectory {
        /// In the vault.
        path: String,
    },
    /// Bring back what an older version had.
    Restore {
        /// In the vault.
        path: String,
        /// The version.
        version: u64,
    },
}

/// What is to be fetched.
pub struct Get {
    /// The vault.
    pub vault: String,
    /// In the vault; empty for all of it.
    pub path: String,
    /// An older version.
    pub version: Option<u64>,
    /// The directory on disk.
    pub into: PathBuf,
    /// Whether what is there is replaced.
    pub replace: bool,
}

fn path(text: &str) -> Result<VaultPath, Failure> {
    VaultPath::parse(text.as_bytes()).ok_or_else(|| {
        let message = "this is no path of a vault";
        let hint = "names between /, none of them . or ..";
        failure(FailureKind::Usage, message, Some(hint))
    })
}

/// Changes a vault.
///
/// # Errors
/// Nothing is changed then, or nobody knows yet: an answer of the relay was lost. The next change finds out.
pub async fn edit(
    client: &Client,
    desk: Desk,
    edit: Edit,
    work: Arc<Work>,
) -> Result<VaultChange, Failure> {
    with_profile(client, move |profile| {
        let journals = desk.home.join("vaults");
        let place = Place {
            profile: &profile,
            journals: &journals,
            vault: &desk.vault,
            time: &desk.time,
            work: &work,
        };
        let mut name = String::new();
        let changed = change(&place, |editor, desk| {
            name.clone_from(&desk.session.name);
            apply(&edit, editor, desk.session, desk.newest)
        })?;
        Ok(shown_change(name, changed))
    })
    .await
}

fn shown_change(name: String, changed: Changed<Put>) -> VaultChange {
    let conflicts = changed.conflicts.into_iter();
    VaultChange {
        vault: name,
        version: changed.version,
        changed: changed.changed,
        files: changed.done.files,
        bytes: changed.done.bytes,
        left_out: changed.done.left_out.iter().map(shown_path).collect(),
        conflicts: conflicts
            .map(|conflict| VaultConflict {
                path: conflict.path.to_string(),
                copy: conflict.copy.to_string(),
            })
            .collect(),
    }
}

fn shown_path(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

fn apply(
    edit: &Edit,
    editor: &mut Editor<'_>,
    session: &Session,
    newest: &Newest,
) -> Result<Put, Failure> {
    let mut put = Put::default();
    match edit {
        Edit::Put { paths, to } => {
            let to = path(to)?;
            editor.make_directories(&to).map_err(vault_failure)?;
            let bytes = paths.iter().map(|path| bytes_on_disk(path));
            session.work.begin(bytes.fold(0, u64::saturating_add));
            for from in paths {
                let name = name_on_disk(from).map_err(vault_failure)?;
                let work = &session.work;
                let progress = |bytes| work.add(bytes);
                let more = editor.put_path(&to.join(&name), from, &progress);
                let more = more.map_err(vault_failure)?;
                put.files = put.files.saturating_add(more.files);
                put.bytes = put.bytes.saturating_add(more.bytes);
                put.left_out.extend(more.left_out);
            }
        }
        Edit::Remove { paths } => {
            for text in paths {
                editor.remove(&path(text)?).map_err(vault_failure)?;
            }
        }
        Edit::Move { from, to } => {
            let moved = editor.rename(&path(from)?, &path(to)?);
            moved.map_err(vault_failure)?;
        }
        Edit::MakeDirectory { path: text } => {
            let made = editor.make_directories(&path(text)?);
            made.map_err(vault_failure)?;
        }
        Edit::Restore {
            path: text,
            version,
        } => {
            let at = path(text)?;
            if *version == 0 {
                // Before all versions there was nothing. Nothing of those after it has to be at the relay still.
                match at.names() {
                    [] => editor.clear(),
                    _ => editor.remove(&at).map_err(vault_failure)?,
                }
                return Ok(put);
            }
            let packs = session.packs(None);
            let root = version_of(session, &packs, newest, *version)?;
            let entry = found(session, &packs, &root, &at)?;
            restore(editor, &at, entry).map_err(vault_failure)?;
        }
    }
    Ok(put)
}

/// Puts an older entry in the place of what is there now; directories above it are made where they are gone.
fn restore(editor: &mut Editor<'_>, at: &VaultPath, entry: Entry) -> Result<(), VaultError> {
    match at.split_last() {
        Some((place, _)) => {
            editor.make_directories(&place)?;
            editor.put_entry(at, entry)
        }
        None => editor.replace_all(&entry),
    }
}

fn found(
    session: &Session,
    packs: &RelayPacks,
    root: &VaultRoot,
    at: &VaultPath,
) -> Result<Entry, Failure> {
    let entry = session.reader(packs).lookup(&root.body.directory, at);
    let missing = || vault_failure(VaultError::NotFound { path: at.clone() });
    entry.map_err(vault_failure)?.ok_or_else(missing)
}

/// The root of an older version.
fn version_of(
    session: &Session,
    packs: &RelayPacks,
    newest: &Newest,
    version: u64,
) -> Result<VaultRoot, Failure> {
    let mut root = newest.root.clone();
    while root.body.counter > version.max(1) {
        root = session.previous(packs, &root)?;
    }
    match root.body.counter == version {
        true => Ok(root),
        false => Err(failure(
            FailureKind::NotFound,
            format!("there is no version {version}"),
            Some("letterlock vault history VAULT shows them"),
        )),
    }
}

/// A vault to be read: its newest version, or an older one. Nothing: nothing was ever written in it.
fn opened(
    profile: &Profile,
    vault: &str,
    version: Option<u64>,
    work: &Arc<Work>,
) -> Result<(Session, RelayPacks, Option<VaultRoot>), Failure> {
    let (session, packs, newest) = Session::to_read(profile, vault, work)?;
    let root = match (newest, version) {
        (Some(newest), Some(version)) => Some(version_of(&session, &packs, &newest, version)?),
        (newest, _) => newest.map(|newest| newest.root),
    };
    Ok((session, packs, root))
}

/// Writes something of a vault to disk: all of it or nothing.
///
/// # Errors
/// Nothing is written then.
pub async fn get(client: &Client, wish: Get, work: Arc<Work>) -> Result<VaultGot, Failure> {
    with_profile(client, move |profile| {
        let at = path(&wish.path)?;
        let (session, packs, root) = opened(&profile, &wish.vault, wish.version, &work)?;
        let missing = || vault_failure(VaultError::NotFound { path: at.clone() });
        let root = root.ok_or_else(missing)?;
        let entry = found(&session, &packs, &root, &at)?;
        let name = match at.names().last() {
            Some(name) => name.clone(),
            None => name_on_disk(Path::new(&safe(&session.name))).map_err(vault_failure)?,
        };
        let nonce = u64::from_be_bytes(os::random());
        let progress = |bytes| work.add(bytes);
        let reader = session.reader(&packs);
        work.begin(bytes_of(&reader, &entry).map_err(vault_failure)?);
        let got = reader.get(&entry, &name, &wish.into, wish.replace, nonce, &progress);
        let got = got.map_err(vault_failure)?;
        Ok(VaultGot {
            path: shown_path(&got.place),
            version: root.body.counter,
            files: got.files,
            bytes: got.bytes,
            left_out: got.left_out.iter().map(shown_path).collect(),
        })
    })
    .await
}

/// Bytes of a file, or of all files in a directory.
fn bytes_of(reader: &Reader<'_>, entry: &Entry) -> Result<u64, VaultError> {
    let size = |entry: &Entry| match &entry.what {
        What::File { size, .. } => *size,
        _ => 0,
    };
    let mut bytes = size(entry);
    if let Some(directory) = entry.directory() {
        reader.walk(&directory, &mut |_, entry| {
            bytes = bytes.saturating_add(size(entry));
            Ok(())
        })?;
    }
    Ok(bytes)
}

/// What a vault is called, as a name on disk.
fn safe(name: &str) -> String {
    let plain = |char: char| char.is_control() || char == '/';
    let name = name.replace(plain, "_");
    match name.trim_matches('.').is_empty() {
        true => "vault".to_owned(),
        false => name,
    }
}

/// Shows what a directory of a vault holds, or one file; with `all` also what is in its directories.
///
/// # Errors
/// It cannot be read.
pub async fn list(
    client: &Client,
    vault: String,
    text: String,
    version: Option<u64>,
    all: bool,
    work: Arc<Work>,
) -> Result<Vec<VaultEntry>, Failure> {
    with_profile(client, move |profile| {
        let at = path(&text)?;
        let (session, packs, root) = opened(&profile, &vault, version, &work)?;
        let Some(root) = root else {
            return Ok(Vec::new());
        };
        let entry = found(&session, &packs, &root, &at)?;
        let reader = session.reader(&packs);
        let mut shown = Vec::new();
        let Some(directory) = entry.directory() else {
            return Ok(vec![shown_entry(&at, &entry)]);
        };
        let listed = match all {
            false => reader.list(&directory, |name, entry| {
                shown.push(shown_entry(&at.join(name), entry));
                Ok(())
            }),
            true => reader.walk(&directory, &mut |path, entry| {
                let path = path
                    .names()
                    .iter()
                    .fold(at.clone(), |at, name| at.join(name));
                shown.push(shown_entry(&path, entry));
                Ok(())
            }),
        };
        listed.map_err(vault_failure)?;
        Ok(shown)
    })
    .await
}

fn shown_entry(at: &VaultPath, entry: &Entry) -> VaultEntry {
    let (kind, size, target) = match &entry.what {
        What::File { size, .. } => (VaultEntryKind::File, Some(*size), None),
        What::Directory(_) => (VaultEntryKind::Directory, None, None),
        What::Link(target) => {
            let target = String::from_utf8_lossy(target).into_owned();
            (VaultEntryKind::Link, None, Some(target))
        }
    };
    VaultEntry {
        path: at.to_string(),
        kind,
        size,
        mode: entry.mode,
        modified: entry.modified.0,
        target,
    }
}

/// Shows the versions of a vault in which a path changed, the newest first, `limit` at most.
///
/// # Errors
/// It cannot be read.
pub async fn history(
    client: &Client,
    vault: String,
    text: String,
    limit: u32,
    work: Arc<Work>,
) -> Result<Vec<VaultVersion>, Failure> {
    with_profile(client, move |profile| {
        let at = path(&text)?;
        let (session, packs, root) = opened(&profile, &vault, None, &work)?;
        let names = names_of(&profile, &vault)?;
        let mut shown = Vec::new();
        let mut next = root;
        while let Some(root) = next
            && shown.len() < limit as usize
        {
            let older = match root.body.counter {
                1 => Ok(None),
                _ => session.previous(&packs, &root).map(Some),
            };
            let reader = session.reader(&packs);
            let older = match older {
                Err(failure) if is_lost(&failure) => {
                    work.note(&format!(
                        "versions before {} cannot be read: {}",
                        root.body.counter, failure.message
                    ));
                    break;
                }
                older => older?,
            };
            let looked = compared(&reader, &at, older.as_ref(), &root);
            let (now, changes) = match looked.map_err(vault_failure) {
                Err(failure) if is_lost(&failure) => {
                    work.note(&format!(
                        "version {} cannot be compared with the one before: {}",
                        root.body.counter, failure.message
                    ));
                    next = older;
                    continue;
                }
                looked => looked?,
            };
            if changes > 0 {
                let author = root.body.account.to_string();
                let entry = now.as_ref().map(|entry| shown_entry(&at, entry));
                shown.push(VaultVersion {
                    version: root.body.counter,
                    time: root.body.time,
                    author: names.get(&author).cloned().unwrap_or(author),
                    changes,
                    entry,
                });
            }
            next = older;
        }
        Ok(shown)
    })
    .await
}

/// Whether something is not there, or not as it was: what else there is may be whole.
fn is_lost(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Failed | FailureKind::Refused)
}

/// What a path is in a version, and how many paths changed in that since the one before.
fn compared(
    reader: &Reader<'_>,
    at: &VaultPath,
    older: Option<&VaultRoot>,
    root: &VaultRoot,
) -> Result<(Option<Entry>, u64), VaultError> {
    let now = reader.lookup(&root.body.directory, at)?;
    let before = match older {
        Some(older) => reader.lookup(&older.body.directory, at)?,
        None => None,
    };
    let changes = changes(reader, before.as_ref(), now.as_ref())?;
    Ok((now, changes))
}

/// How many paths differ between two versions of one.
fn changes(
    reader: &Reader<'_>,
    before: Option<&Entry>,
    after: Option<&Entry>,
) -> Result<u64, VaultError> {
    let inner = |entry: Option<&Entry>| entry.and_then(Entry::directory);
    let (old, new) = (inner(before), inner(after));
    let mut count = u64::from(!reader.same(before, after)? && (old.is_none() || new.is_none()));
    if let (Some(before), Some(after)) = (before, after)
        && old.is_some()
        && new.is_some()
    {
        count = u64::from(!before.same_meta(after));
    }
    let mut each = |_: &VaultPath, _: &Change| {
        count = count.saturating_add(1);
        Ok(())
    };
    reader.diff(old.as_ref(), new.as_ref(), &mut each)?;
    Ok(count)
}

/// What members, and contacts who were some, are called here, by account.
fn names_of(profile: &Profile, vault: &str) -> Result<HashMap<String, String>, Failure> {
    let request = Request::VaultMembers {
        vault: vault.to_owned(),
    };
    let contacts = profile.ask(Request::ContactList)?.into_iter();
    let members = profile.ask(request)?.into_iter();
    let names = contacts.chain(members).filter_map(|answer| match answer {
        Answer::Contact(contact) => Some((contact.account_id, contact.name)),
        Answer::VaultMember(member) => Some((member.account_id, member.name)),
        _ => None,
    });
    Ok(names.collect())
}

/// Takes the version that the relay shows for the newest one, although this device knew another one.
///
/// # Errors
/// The relay shows none by somebody who may write; what this device knew stays.
pub async fn accept(client: &Client, desk: Desk, work: Arc<Work>) -> Result<VaultChange, Failure> {
    with_profile(client, move |profile| {
        let session = Session::open(&profile, &desk.vault, &work)?;
        let before = session.pin.get();
        let (version, changed) = change::joining(&session, &desk.home.join("vaults"), || {
            let root = session.accept()?;
            let (version, hash) = (root.body.counter, root.hash());
            Ok((version, before != Some((version, hash))))
        })?;
        if let Some((known, _)) = before.filter(|_| changed) {
            work.note(&format!(
                "this device knew of version {known}; what that had and version {version} has not is not in the vault now"
            ));
        }
        Ok(VaultChange {
            vault: session.name,
            version,
            changed,
            files: 0,
            bytes: 0,
            left_out: Vec::new(),
            conflicts: Vec::new(),
        })
    })
    .await
}

/// Ends what is under the old key, once somebody went out and the new key is here: nobody writes under it any more.
///
/// # Errors
/// It was not ended: the next change of the vault does it.
pub async fn renew(client: &Client, desk: Desk, work: Arc<Work>) -> Result<(), Failure> {
    with_profile(client, move |profile| {
        let journals = desk.home.join("vaults");
        move_head(&Place {
            profile: &profile,
            journals: &journals,
            vault: &desk.vault,
            time: &desk.time,
            work: &work,
        })
    })
    .await
}
