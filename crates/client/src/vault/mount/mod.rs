//! A vault that is mounted: a file system over its newest version, for faces that show one to the system.
//!
//! ```text
//!   face ── read ──► chunks in memory ──► packs at the relay
//!   face ── write ──► sealed on this machine's disk ── a pause ──► the next version
//! ```
//!
//! | module | has |
//! |---|---|
//! | `system`, `writing` | what a face may do |
//! | `nodes` | the numbers that it knows files by |
//! | `source` | what versions have |
//! | `tree` | what is changed and in no version yet |
//! | `staged`, `blocks`, `head` | bytes that were written |
//! | `log` | all that was changed, for whoever goes on after a kill |
//! | `publish` | makes a version of it |
//! | `keeper` | does so as long as it is mounted, and takes those of others |

mod blocks;
mod head;
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod hostile;
mod keeper;
mod log;
mod nodes;
mod publish;
mod source;
mod staged;
mod system;
mod tree;
mod trouble;
mod writing;

use self::keeper::Keeper;
use self::log::{Log, Unread};
use self::source::Source;
use self::system::State;
pub use self::system::{About, FileSystem, Kind};
pub use self::trouble::Trouble;
pub use self::writing::Changes;
pub(super) use self::writing::Unnamed;
use super::change::{Place, change};
use super::session::{Profile, Session, with_profile};
use super::version_of;
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::os;
use crate::sealed::Work;
use crate::view::{Failure, FailureKind, VaultChange, VaultRole};
use data_encoding::HEXLOWER;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// The kind that no object has: what is kept of mounts is named by it.
const MOUNT: u8 = 254;

/// Which vault is to be mounted, and how.
pub struct Mount {
    /// The home: what is in no version yet lies there.
    pub home: PathBuf,
    /// The vault: its name, or the beginning of its id.
    pub vault: String,
    /// An older version, which can only be read.
    pub version: Option<u64>,
    /// Whether nothing is to be changed.
    pub read_only: bool,
    /// The time as it is to stand in names of conflict copies: `2026-11-22 14-03`.
    pub time: fn() -> String,
}

/// What a face gets.
pub struct Mounted {
    /// The vault's name.
    pub vault: String,
    /// Its files.
    pub files: Arc<FileSystem>,
}

/// What happens while a vault is mounted.
#[derive(Debug)]
pub enum MountEvent {
    /// What was written is in a version.
    Version(VaultChange),
    /// It is in none yet, and why; it is tried again.
    Waits(Failure),
    /// It cannot become a part of one as it is, and where it is kept.
    Kept(Failure),
}

/// Mounts a vault: `face` shows it, on a thread that may wait, and returns when it is to end.
///
/// # Errors
/// It cannot be read; or what was written is in no version yet: it is kept, and the next mount goes on with it.
pub async fn mount(
    client: &Client,
    wish: Mount,
    work: Arc<Work>,
    tell: mpsc::UnboundedSender<MountEvent>,
    face: impl FnOnce(Mounted) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let newer = client.call(Request::VaultNewer {
        vault: wish.vault.clone(),
    });
    with_profile(client, move |profile| {
        let begun = begin(&profile, &wish, &work, &tell)?;
        let files = Arc::clone(&begun.files);
        let listening = profile.runtime.spawn(listen(newer, Arc::clone(&files)));
        let keeper = begun.keeper(&profile, &wish, &work, tell);
        let keeping = std::thread::spawn(move || keeper.keep());
        let mounted = Mounted {
            vault: begun.session.name.clone(),
            files: Arc::clone(&files),
        };
        let shown = face(mounted);
        files.ring(|bell| bell.end = true);
        let kept = keeping
            .join()
            .unwrap_or_else(|_| Err(crate::failure::internal("a thread ended early")));
        listening.abort();
        if kept.is_ok() && !files.read_only {
            log::discard(&files.directory);
        }
        drop(begun.lock);
        kept.map_err(|failure| unfinished(&failure)).and(shown)
    })
    .await
}

/// What was written is in no version, but it is not lost.
fn unfinished(why: &Failure) -> Failure {
    let message = format!(
        "what was written last is in no version yet, and is kept in this home: {}",
        why.message
    );
    let hint = "mount the vault again when this is mended: it goes on with what is kept";
    failure(why.kind, message, Some(hint))
}

/// Hears of newer versions.
async fn listen(mut newer: mpsc::Receiver<Answer>, files: Arc<FileSystem>) {
    while let Some(answer) = newer.recv().await {
        if let Answer::VaultNewer(_) = answer {
            files.ring(|bell| bell.newer = true);
        }
    }
}

struct Begun {
    session: Session,
    files: Arc<FileSystem>,
    /// Whoever finds what is kept of this mount knows by it that somebody is there still.
    lock: Option<File>,
}

impl Begun {
    fn keeper(
        &self,
        profile: &Profile,
        wish: &Mount,
        work: &Arc<Work>,
        tell: mpsc::UnboundedSender<MountEvent>,
    ) -> Keeper {
        Keeper {
            profile: profile.clone(),
            journals: wish.home.join("vaults"),
            vault: self.session.id.to_string(),
            name: self.session.name.clone(),
            time: wish.time,
            work: Arc::clone(work),
            files: Arc::clone(&self.files),
            tell,
            follows: wish.version.is_none(),
            damaged: std::cell::RefCell::default(),
        }
    }
}

fn begin(
    profile: &Profile,
    wish: &Mount,
    work: &Arc<Work>,
    tell: &mpsc::UnboundedSender<MountEvent>,
) -> Result<Begun, Failure> {
    let session = Session::open(profile, &wish.vault, work)?;
    let read_only = wish.read_only || wish.version.is_some() || session.role < VaultRole::Writer;
    let journals = wish.home.join("vaults");
    let vault = session.id.to_string();
    let place = Place {
        profile,
        journals: &journals,
        vault: &vault,
        time: &(wish.time)(),
        work,
    };
    if session.role >= VaultRole::Writer {
        // The first version is made here, if there is none.
        change(&place, |_, _| Ok(()))?;
        recover(&place, &session, tell);
    }
    let (session, packs, newest) = Session::to_read(profile, &vault, work)?;
    let newest = newest.ok_or_else(|| {
        let message = format!("nothing was ever written in {}", session.name);
        let hint = "somebody who may write has to begin";
        failure(FailureKind::NotFound, message, Some(hint))
    })?;
    let root = match wish.version {
        Some(version) => version_of(&session, &packs, &newest, version)?,
        None => newest.root,
    };
    let source = Source::new(&session);
    let state = State::new(root.body.counter, root.body.directory);
    let (directory, lock, log) = match read_only {
        true => (wish.home.clone(), None, None),
        false => {
            let (directory, lock) = directory(&journals, &session).map_err(|error| disk(&error))?;
            let log = Log::begin(&directory, &source.keys(), &state.base, &state.top);
            let log = log.map_err(|trouble| disk(&std::io::Error::other(trouble)))?;
            (directory, Some(lock), Some(log))
        }
    };
    let files = Arc::new(FileSystem {
        source,
        directory,
        read_only,
        changing: Mutex::new(log),
        state: Mutex::new(state),
        unnamed: Arc::default(),
        bell: Mutex::default(),
        rang: std::sync::Condvar::new(),
    });
    Ok(Begun {
        session,
        files,
        lock,
    })
}

fn disk(error: &std::io::Error) -> Failure {
    let message = format!(
        "what is written cannot be kept in the home: {}",
        error.kind()
    );
    let hint = "look at the room and the rights of the home's disk";
    failure(FailureKind::Failed, message, Some(hint))
}

/// What directories of mounts of this vault begin with. Only its keys say whose they are.
fn prefix(session: &Session) -> String {
    let name = session.keys.ids().object_id(MOUNT, b"mount");
    let name = HEXLOWER.encode(name.get(..8).unwrap_or_default());
    format!("mount.{name}.")
}

fn lock_of(directory: &Path) -> PathBuf {
    directory.join("lock")
}

/// A directory for what is in no version yet.
fn directory(journals: &Path, session: &Session) -> std::io::Result<(PathBuf, File)> {
    loop {
        let nonce = HEXLOWER.encode(&os::random::<8>());
        let directory = journals.join(format!("{}{nonce}", prefix(session)));
        os::create_home(&directory)?;
        // Who looks for what is left over may hold it in this moment, and removes it then, or have removed it.
        match os::try_lock(&lock_of(&directory)) {
            Ok(Some(lock)) => return Ok((directory, lock)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// What mounts left behind that came to no end becomes a version. What cannot be one now waits for the next time.
fn recover(place: &Place<'_>, session: &Session, tell: &mpsc::UnboundedSender<MountEvent>) {
    let prefix = prefix(session);
    let ours = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with(&prefix))
    };
    for directory in os::paths_in(place.journals).into_iter().filter(ours) {
        let event = match os::try_lock(&lock_of(&directory)) {
            Ok(Some(_lock)) => finish(place, session, &directory, tell),
            // Somebody is there still.
            Ok(None) => Ok(()),
            // Somebody ended it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(MountEvent::Kept(unread(
                &directory,
                &Unread::Disk(error.kind()),
            ))),
        };
        if let Err(event) = event {
            let _ = tell.send(event);
        }
    }
}

/// Makes a version of what one of them left. Nothing is taken away that is in none.
fn finish(
    place: &Place<'_>,
    session: &Session,
    directory: &Path,
    tell: &mpsc::UnboundedSender<MountEvent>,
) -> Result<(), MountEvent> {
    let source = Source::new(session);
    let left = log::replay(directory, &source.keys(), &source);
    let left = left.map_err(|why| MountEvent::Kept(unread(directory, &why)))?;
    let Some(left) = left.filter(|left| left.damaged || !left.top.changes.is_empty()) else {
        log::discard(directory);
        return Ok(());
    };
    let published = publish::publish(place, &source, &left.base, &left.top);
    let published = published.map_err(MountEvent::Waits)?;
    if published.changed || published.damaged.is_empty() {
        let _ = tell.send(MountEvent::Version(published.shown(session.name.clone())));
    }
    if left.damaged {
        // It is not gone through twice: what became of it since would be undone.
        let aside = aside(directory).map_err(|error| MountEvent::Waits(disk(&error)))?;
        return Err(MountEvent::Kept(half(&aside)));
    }
    let kept = publish::left_over(directory, &source, left.top, &published);
    kept.map_err(|trouble| MountEvent::Waits(disk(&std::io::Error::other(trouble))))?;
    match published.damaged.is_empty() {
        true => Ok(()),
        false => Err(MountEvent::Kept(publish::damaged(&published, directory))),
    }
}

/// Gives a directory a name by which no mount looks for it.
fn aside(directory: &Path) -> std::io::Result<PathBuf> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let to = directory.with_file_name(name.replacen("mount.", "damaged.", 1));
    os::replace(directory, &to)?;
    Ok(to)
}

fn unread(directory: &Path, why: &Unread) -> Failure {
    let message = format!(
        "what a mount that came to no end left is in no version, and is kept in {}: {why}",
        directory.display()
    );
    let hint = match why {
        Unread::Version => "mount the vault once with the letterlock that wrote it",
        Unread::Key => "it comes when somebody who may write is online: mount the vault again then",
        Unread::Trouble(Trouble::Io) => {
            "mount the vault again when the relay answers: it goes on with what is kept"
        }
        _ => {
            "look at the disk; put that directory back from a copy of the home and mount the vault again, or remove it to give up what is in it"
        }
    };
    failure(FailureKind::Failed, message, Some(hint))
}

/// What stands in a log behind what is damaged.
fn half(aside: &Path) -> Failure {
    let message = format!(
        "what a mount that came to no end left is damaged: what was written first is in a version, and all of it is kept in {}",
        aside.display()
    );
    let hint = "look through the folder, and write again what is missing; remove that directory when nothing is";
    failure(FailureKind::Failed, message, Some(hint))
}

#[cfg(test)]
mod tests;
