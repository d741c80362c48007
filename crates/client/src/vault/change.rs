//! A change of a vault: read, edit, publish; where somebody was faster, merge and publish again.

use super::failure::{NO_JOURNAL, disk_failure, vault_failure};
use super::journal::Journal;
use super::newest::Newest;
use super::packs::RelayPacks;
use super::session::{NewRoot, Profile, Session};
use super::uses::{Lost, Used, abandon, end, is_in_history, keep, sweep};
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::sealed::Work;
use crate::view::{Failure, FailureKind, VaultRole};
use data_encoding::HEXLOWER;
use keys::vault_root::{ObjectRef, VaultRoot};
use seal::vault::{Author, Conflict, Editor, Kind, VaultError, seal_head};
use std::path::Path;
use std::sync::Arc;

/// The kind that no object has: journals are named by it.
const JOURNAL: u8 = 255;

/// Where and as whom something is changed.
pub(super) struct Place<'a> {
    pub(super) profile: &'a Profile,
    /// The directory of the journals.
    pub(super) journals: &'a Path,
    pub(super) vault: &'a str,
    /// The time, as it is to stand in the names of conflict copies.
    pub(super) time: &'a str,
    pub(super) work: &'a Arc<Work>,
}

/// What a change is made with.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) session: &'a Session,
    /// Where what it writes goes.
    pub(super) packs: &'a RelayPacks,
    /// What it is made from.
    pub(super) newest: &'a Newest,
}

/// What came of a change.
pub(super) struct Changed<T> {
    pub(super) done: T,
    /// The newest version now.
    pub(super) version: u64,
    /// Its directory.
    pub(super) directory: ObjectRef,
    /// Whether it is this change's.
    pub(super) changed: bool,
    pub(super) conflicts: Vec<Conflict>,
}

fn disk(error: &std::io::Error) -> Failure {
    disk_failure(NO_JOURNAL, error)
}

fn begun(session: &Session, journals: &Path) -> Result<Arc<Journal>, Failure> {
    let journal = Journal::create(journals, &name(session));
    journal.map(Arc::new).map_err(|error| disk(&error))
}

/// What journals of this vault are called. Only its keys say whose they are.
pub(super) fn name(session: &Session) -> String {
    let name = session.keys.ids().object_id(JOURNAL, b"journal");
    HEXLOWER.encode(name.get(..8).unwrap_or_default())
}

/// What a change wrote: the directory, and the version before as an object. Nothing: it changes nothing.
type Written = Option<(ObjectRef, ObjectRef)>;

/// A change that begins again where somebody went out meanwhile.
#[derive(Default)]
struct Begin {
    /// What it was first made from: what others change meanwhile is merged whenever it begins again.
    from: Option<Newest>,
    /// The newest generation whose key it has; 0: it may not write.
    generation: u32,
}

/// Changes a vault. What others change meanwhile is merged. Where somebody goes out meanwhile, all is sealed anew, under
/// the new key.
pub(super) fn change<T>(
    place: &Place<'_>,
    mut edit: impl FnMut(&mut Editor<'_>, Desk<'_>) -> Result<T, Failure>,
) -> Result<Changed<T>, Failure> {
    let mut begin = Begin::default();
    for _ in 0..limits::VAULT_MERGES {
        match try_change(place, &mut begin, &mut edit) {
            Ok(Some(changed)) => return Ok(changed),
            Ok(None) => {}
            Err(failure) if failure.kind == FailureKind::Refused && begin.generation != 0 => {
                if !Session::is_outdated(place.profile, place.vault, begin.generation)? {
                    return Err(failure);
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    let message = "people go out of this vault all the time";
    Err(failure(FailureKind::Failed, message, Some("try again")))
}

/// The keys of a vault, to write in it.
fn opened(place: &Place<'_>) -> Result<Session, Failure> {
    let session = Session::to_write(place.profile, place.vault, place.work)?;
    if session.role < VaultRole::Writer {
        let message = format!("you may read in {}, but not write", session.name);
        let hint = "an owner can change that: letterlock vault share VAULT PERSON --role writer";
        return Err(failure(FailureKind::Refused, message, Some(hint)));
    }
    Ok(session)
}

/// Ends the head of an older generation than the newest one, and begins that one's, where anything was ever written.
pub(super) fn move_head(place: &Place<'_>) -> Result<(), Failure> {
    let session = opened(place)?;
    if session.newest(&session.packs(None))?.is_some() {
        writable(&session, place.journals)?;
    }
    Ok(())
}

fn unchanged<T>(done: T, newest: &Newest) -> Changed<T> {
    Changed {
        done,
        version: newest.root.body.counter,
        directory: newest.root.body.directory,
        changed: false,
        conflicts: Vec::new(),
    }
}

/// Nothing: there is a newer key by now.
fn try_change<T>(
    place: &Place<'_>,
    begin: &mut Begin,
    edit: impl FnMut(&mut Editor<'_>, Desk<'_>) -> Result<T, Failure>,
) -> Result<Option<Changed<T>>, Failure> {
    begin.generation = 0;
    let mut session = opened(place)?;
    begin.generation = session.keys.newest();
    let mut newest = writable(&session, place.journals)?;
    sweep(&session, place.journals, &newest);
    let journal = begun(&session, place.journals)?;
    let from = begin.from.get_or_insert_with(|| newest.clone());
    let (done, mut written, mut conflicts) =
        match made(place, &session, &journal, (from, &newest), edit) {
            Ok((done, Some(written), conflicts)) => (done, written, conflicts),
            Ok((done, None, _)) => {
                abandon(&session, &journal, &Used::new());
                keep(&session, place.journals, &newest, false);
                return Ok(Some(unchanged(done, &newest)));
            }
            Err(error) => {
                abandon(&session, &journal, &Used::new());
                return Err(error);
            }
        };
    let mut lost = Lost::Nothing;
    for _ in 0..limits::VAULT_MERGES {
        let (directory, before) = written;
        let wish = NewRoot {
            generation: newest.root.body.generation,
            before: Some((&newest.root, before)),
            directory,
            closed: false,
        };
        let root = session.sign(&wish, os::now().as_secs())?;
        let mut taken = publish(&session, &journal, &root, newest.version)?;
        let base = newest.root.body.directory;
        let (mut version, mut newer) = (root.body.counter, directory);
        if !taken {
            // Somebody was faster, or this was said before.
            session = opened(place)?;
            newest = writable(&session, place.journals)?;
            (version, newer) = (newest.root.body.counter, newest.root.body.directory);
            let own = [(root.body.counter, root.hash())];
            let here = is_in_history(&session, &newest, &own)?;
            if here == Some(true) {
                taken = true; // It was said before; perhaps somebody went on from there.
            } else if session.keys.newest() > begin.generation {
                // What was written is sealed under the old key. Its packs go when the change begins again.
                return Ok(None);
            } else {
                lost = lost.max(here.map_or(Lost::Perhaps, |_| Lost::Surely));
                let merged = merged(place, &session, &journal, &newest, (&base, &directory))?;
                conflicts.extend(merged.0);
                if let Some(more) = merged.1 {
                    written = more;
                    continue;
                }
            }
        }
        end(&session, &journal, &root, (taken, lost));
        keep(&session, place.journals, &newest, taken);
        return Ok(Some(Changed {
            done,
            version,
            directory: newer,
            changed: true,
            conflicts,
        }));
    }
    let message = "others write in this vault all the time";
    Err(failure(FailureKind::Failed, message, Some("try again")))
}

/// Makes a change, and brings it into the newest version where that is not what it was made from.
fn made<T>(
    place: &Place<'_>,
    session: &Session,
    journal: &Arc<Journal>,
    (from, newest): (&Newest, &Newest),
    edit: impl FnMut(&mut Editor<'_>, Desk<'_>) -> Result<T, Failure>,
) -> Result<(T, Written, Vec<Conflict>), Failure> {
    let packs = session.packs(Some(Arc::clone(journal)));
    let (done, written) = edited(session, &packs, from, edit)?;
    match written {
        Some((ours, _)) if from.root != newest.root => {
            let base = from.root.body.directory;
            let (conflicts, written) = merged(place, session, journal, newest, (&base, &ours))?;
            Ok((done, written, conflicts))
        }
        written => Ok((done, written, Vec::new())),
    }
}

fn edited<T>(
    session: &Session,
    packs: &RelayPacks,
    newest: &Newest,
    mut edit: impl FnMut(&mut Editor<'_>, Desk<'_>) -> Result<T, Failure>,
) -> Result<(T, Written), Failure> {
    let mut rng = os::entropy();
    let top = newest.root.body.directory;
    let mut editor =
        Editor::new(session.reader(packs), packs, Some(top), &mut rng).compressing(session.alone);
    let desk = Desk {
        session,
        packs,
        newest,
    };
    let done = edit(&mut editor, desk)?;
    Ok((done, written(&mut editor, newest).map_err(vault_failure)?))
}

/// Brings what was written from one directory to another into the newest version.
fn merged(
    place: &Place<'_>,
    session: &Session,
    journal: &Arc<Journal>,
    newest: &Newest,
    (base, ours): (&ObjectRef, &ObjectRef),
) -> Result<(Vec<Conflict>, Written), Failure> {
    let packs = session.packs(Some(Arc::clone(journal)));
    let mut rng = os::entropy();
    let top = newest.root.body.directory;
    let mut editor =
        Editor::new(session.reader(&packs), &packs, Some(top), &mut rng).compressing(session.alone);
    let author = Author {
        person: session.person.clone(),
        time: place.time.to_owned(),
    };
    let conflicts = editor
        .merge(Some(base), ours, &author)
        .map_err(vault_failure)?;
    let written = written(&mut editor, newest).map_err(vault_failure)?;
    Ok((conflicts, written))
}

fn written(editor: &mut Editor<'_>, newest: &Newest) -> Result<Written, VaultError> {
    let directory = editor.write_all()?;
    if directory.id == newest.root.body.directory.id {
        return Ok(None);
    }
    let before = editor.put_root(&newest.root)?;
    editor.finish()?;
    Ok(Some((directory, before)))
}

/// A root as the version of its generation's head that follows another one.
fn sealed(session: &Session, root: &VaultRoot, version: u64) -> Result<Vec<u8>, Failure> {
    let missing = || crate::failure::internal("a key of a vault");
    let keys = session.keys.generation(root.body.generation);
    let next = version.saturating_add(1);
    let keys = keys.ok_or_else(missing)?;
    Ok(seal_head(keys, next, root, &mut os::entropy()))
}

/// Seals a root as the next version of its generation's head, and publishes it.
fn publish(
    session: &Session,
    journal: &Journal,
    root: &VaultRoot,
    version: u64,
) -> Result<bool, Failure> {
    let body = sealed(session, root, version)?;
    let written = journal.publish(root.body.counter, &root.hash());
    written.map_err(|error| disk(&error))?;
    match session.publish(root, version, &body) {
        // Somebody told of a version of the same number before the relay was asked: whoever was faster is merged with,
        // if the relay shows it.
        Err(failure) if failure.kind == FailureKind::Refused => {
            let newest = session.newest(&session.packs(None))?;
            let counter = newest.map_or(0, |newest| newest.root.body.counter);
            match counter >= root.body.counter {
                true => Ok(false),
                false => Err(failure),
            }
        }
        published => published,
    }
}

/// The newest version, in the newest generation: the first version is written, a head that shows something else is
/// written over, and the head moved, where it must be.
fn writable(session: &Session, journals: &Path) -> Result<Newest, Failure> {
    let mut tries: u32 = 0;
    for _ in 0..limits::VAULT_MERGES {
        let last = session.keys.newest();
        let newest = match session.newest(&session.packs(None)) {
            // What is spoilt was no version that anybody told of: this is the first.
            Err(failure) if failure.kind == FailureKind::Refused => match session.is_unwritten()? {
                true => None,
                false => return Err(failure),
            },
            newest => newest?,
        };
        match &newest {
            Some(newest) if newest.root.body.generation < last => {}
            Some(newest) if newest.root.body.closed => return Err(ended(newest)),
            Some(newest) if newest.shown => return Ok(newest.clone()),
            Some(newest) => {
                put_back(session, newest, tries)?;
                tries = tries.saturating_add(1);
                continue;
            }
            None => {}
        }
        let journal = begun(session, journals)?;
        let packs = session.packs(Some(Arc::clone(&journal)));
        let mut rng = os::entropy();
        let mut editor = Editor::new(session.reader(&packs), &packs, None, &mut rng);
        let (wish, version) = match &newest {
            None => {
                let directory = editor.finish().map_err(vault_failure)?;
                let wish = NewRoot {
                    generation: last,
                    before: None,
                    directory,
                    closed: false,
                };
                (wish, session.head(last)?.version)
            }
            Some(newest) => {
                let before = editor.put_root(&newest.root).map_err(vault_failure)?;
                editor.finish().map_err(vault_failure)?;
                moved(session, newest, before, tries)?
            }
        };
        if version >= wire::limits::HEAD_VERSION {
            abandon(session, &journal, &Used::new());
            return Err(full());
        }
        let root = session.sign(&wish, os::now().as_secs())?;
        let taken = publish(session, &journal, &root, version)?;
        if wish.closed && !taken {
            tries = tries.saturating_add(1);
        }
        // What came too late is looked at like all that is left over.
        if taken {
            journal.finish();
        }
    }
    let message = "others write in this vault all the time";
    Err(failure(FailureKind::Failed, message, Some("try again")))
}

/// The head takes no more.
fn full() -> Failure {
    let message = "the head of this vault cannot be written: somebody in it used its versions up, or writes it all the time";
    let hint = "an owner puts that person out (letterlock vault unshare VAULT PERSON): what is written then has a new head";
    failure(FailureKind::Refused, message, Some(hint))
}

/// The key of the next generation is not here, or there is none: whoever closed this one has to have told it before.
fn ended(newest: &Newest) -> Failure {
    let message = format!(
        "version {} ended the key of this vault, and the next one is not here",
        newest.root.body.counter
    );
    let hint = "it comes when somebody who may write is online: wait, and try again; if it does not, an owner puts out whoever wrote that version (letterlock vault history VAULT, letterlock vault unshare VAULT PERSON)";
    failure(FailureKind::NotFound, message, Some(hint))
}

/// Puts the newest version back into the head of its generation, which shows something else.
pub(super) fn put_back(session: &Session, newest: &Newest, tries: u32) -> Result<(), Failure> {
    if newest.version >= wire::limits::HEAD_VERSION || tries >= limits::VAULT_TRIES {
        return Err(full());
    }
    // What nobody can read is not put in the place of what somebody may.
    let packs = session.packs(None);
    let directory = &newest.root.body.directory;
    let there = session.reader(&packs).object(Kind::Directory, directory);
    let there = there.map_err(vault_failure).map(drop);
    let before = || match newest.root.body.counter {
        1 => Ok(()),
        _ => session.previous(&packs, &newest.root).map(drop),
    };
    there.and_then(|()| before()).map_err(|failure| Failure {
        hint: Some(
            "ask the relay's operator for a copy; if there is none, `letterlock vault accept VAULT` takes the version that the relay shows"
                .to_owned(),
        ),
        ..failure
    })?;
    let body = sealed(session, &newest.root, newest.version)?;
    // False: somebody was faster, and what that is is looked at next.
    session
        .publish(&newest.root, newest.version, &body)
        .map(drop)
}

/// The next step to the newest generation: the old head is closed first, so that no write goes by it. One that takes no
/// more is left as it is.
fn moved<'a>(
    session: &Session,
    newest: &'a Newest,
    before: ObjectRef,
    tries: u32,
) -> Result<(NewRoot<'a>, u64), Failure> {
    let body = &newest.root.body;
    let closes =
        !body.closed && newest.version < wire::limits::HEAD_VERSION && tries < limits::VAULT_TRIES;
    let (generation, version) = match closes {
        true => (body.generation, newest.version),
        false => {
            let last = session.keys.newest();
            (last, session.head(last)?.version)
        }
    };
    let wish = NewRoot {
        generation,
        before: Some((&newest.root, before)),
        directory: body.directory,
        closed: closes,
    };
    Ok((wish, version))
}

/// The newest version may not follow what folders were in step with: from now on they are joined with it, and what is in
/// them alone stays.
pub(super) fn joining<T>(
    session: &Session,
    journals: &Path,
    take: impl FnOnce() -> Result<(T, bool), Failure>,
) -> Result<(T, bool), Failure> {
    let stamp = joined(session, journals);
    let fresh = !os::exists(&stamp);
    let written = os::create_home(journals).and_then(|()| os::write_private(&stamp, b""));
    written.map_err(|error| disk(&error))?;
    // Whoever is killed here joins them without need, and loses nothing.
    let taken = take();
    if fresh && !matches!(taken, Ok((_, true))) {
        os::remove(&stamp);
    }
    // Folders count seconds: one that is in step from now on is so in a later one.
    let now = || i64::try_from(os::now().as_secs()).unwrap_or(i64::MAX);
    for _ in 0..limits::VAULT_JOINING_LOOKS {
        if !is_joined(session, journals, now()) {
            break;
        }
        std::thread::sleep(limits::VAULT_JOINING_LOOK);
    }
    taken
}

fn joined(session: &Session, journals: &Path) -> std::path::PathBuf {
    journals.join(format!("{}.joined", name(session)))
}

/// Whether a folder that was in step at a time is to be joined.
pub(super) fn is_joined(session: &Session, journals: &Path, since: i64) -> bool {
    let said = os::modified(&joined(session, journals));
    said.is_some_and(|said| i64::try_from(said.as_secs()).is_ok_and(|said| since <= said))
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
