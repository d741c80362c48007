//! Files of vaults: put, fetched, listed, and as people read them.

use crate::cli::Profile;
use crate::cli::vault_files::Files;
use crate::failure::Stop;
use crate::screen::Screen;
use crate::sealed::watched;
use crate::{ask, os, signal, text, time};
use client::Client;
use client::api::{Answer, Request};
use client::sealed::{Stopped, Work};
use client::vault::{self, Desk, Get, Standing, Sync, Unsynced, Watch};
use client::view::{
    Failure, FailureKind, Notice, VaultChange, VaultConflict, VaultEntry, VaultEntryKind, VaultGot,
    VaultSynced, VaultVersion,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// Does what is wished.
pub(crate) async fn see_to(
    profile: &Profile,
    wish: Files,
    screen: &mut Screen,
) -> Result<(), Stop> {
    ask::with_client(profile, false, async |client| {
        let work = Arc::new(Work::default());
        match wish {
            Files::Edit { vault, edit } => {
                let desk = desk(profile, vault);
                let running = vault::edit(client, desk, edit, Arc::clone(&work));
                let running = async { running.await.map_err(Stopped::from) };
                let done = watched(&work, ("put", "vault"), screen, running).await?;
                notes(&work, screen)?;
                left_out(&done.left_out, "is no file, folder or link", screen);
                screen.show(&Answer::VaultChange(done))
            }
            Files::Accept { vault } => {
                let desk = desk(profile, vault);
                let done = vault::accept(client, desk, Arc::clone(&work)).await?;
                notes(&work, screen)?;
                screen.show(&Answer::VaultChange(done))
            }
            Files::Get {
                vault,
                path,
                out,
                version,
                force,
            } => {
                let wish = Get {
                    vault,
                    path,
                    version,
                    into: out,
                    replace: force,
                };
                let running = vault::get(client, wish, Arc::clone(&work));
                let running = async { running.await.map_err(Stopped::from) };
                let got = watched(&work, ("get", "vault"), screen, running).await?;
                notes(&work, screen)?;
                left_out(&got.left_out, "leads out of what was fetched", screen);
                screen.show(&Answer::VaultGot(got))
            }
            Files::Sync {
                vault,
                folder,
                watch,
            } => {
                let wish = Sync {
                    home: profile.home.clone(),
                    vault,
                    folder,
                    time: String::new(),
                };
                match watch {
                    false => once_in_step(client, &wish, &work, screen).await,
                    true => keep_in_step(client, &wish, &work, screen).await,
                }
            }
            Files::Unshare { vault, who } => {
                unshare(client, profile, (vault, who), &work, screen).await
            }
            files => tell(client, files, &work, screen).await,
        }
    })
    .await
}

fn desk(profile: &Profile, vault: String) -> Desk {
    Desk {
        home: profile.home.clone(),
        vault,
        time: time::local(os::now()).replace(':', "-"),
    }
}

/// Tells what is in a vault.
async fn tell(
    client: &Client,
    wish: Files,
    work: &Arc<Work>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    match wish {
        Files::List {
            vault,
            path,
            version,
            all,
        } => {
            let listed = vault::list(client, vault, path, version, all, Arc::clone(work));
            let listed = listed.await?;
            notes(work, screen)?;
            if listed.is_empty() {
                screen.talk("nothing is in it");
            }
            for entry in listed {
                screen.show(&Answer::VaultEntry(entry))?;
            }
            Ok(())
        }
        Files::History { vault, path, limit } => {
            let listed = vault::history(client, vault, path, limit, Arc::clone(work));
            let listed = listed.await?;
            notes(work, screen)?;
            if listed.is_empty() {
                screen.talk("no version has it");
            }
            for version in listed {
                screen.show(&Answer::VaultVersion(version))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What was noticed on the way and did not keep it from being done.
fn notes(work: &Work, screen: &mut Screen) -> Result<(), Stop> {
    for message in work.notes() {
        notice("vault_head", message, screen)?;
    }
    Ok(())
}

fn notice(notice: &str, message: String, screen: &mut Screen) -> Result<(), Stop> {
    let notice = notice.to_owned();
    screen.show(&Answer::Notice(Notice { notice, message }))
}

/// Puts people out. Where what is under the old key cannot be ended now, the next change does it.
async fn unshare(
    client: &Client,
    profile: &Profile,
    (vault, who): (String, Vec<String>),
    work: &Arc<Work>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let request = Request::VaultUnshare {
        vault: vault.clone(),
        who,
    };
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    let desk = Desk {
        home: profile.home.clone(),
        vault,
        time: String::new(),
    };
    let running = vault::renew(client, desk, Arc::clone(work));
    let running = async { running.await.map_err(Stopped::from) };
    match watched(work, ("unshare", "vault"), screen, running).await {
        Err(Stop::Failed(failure)) => {
            screen.talk(&format!(
                "the next version will have another key: {}",
                failure.message
            ));
            Ok(())
        }
        done => done,
    }
}

async fn once_in_step(
    client: &Client,
    wish: &Sync,
    work: &Arc<Work>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let told = &mut BTreeSet::new();
    let (done, _) = in_step(client, wish, work, (screen, told)).await??;
    screen.show(&Answer::VaultSynced(done))
}

/// What came of one sync, and whether anything was moved; or why it did not come to its end, if that may pass.
async fn in_step(
    client: &Client,
    wish: &Sync,
    work: &Arc<Work>,
    (screen, told): (&mut Screen, &mut BTreeSet<String>),
) -> Result<Result<(VaultSynced, bool), Failure>, Stop> {
    let wish = Sync {
        time: time::local(os::now()).replace(':', "-"),
        ..wish.clone()
    };
    let running = vault::sync(client, wish, Arc::clone(work));
    let running = async {
        match running.await {
            Ok(done) => Ok(Ok(done)),
            Err(Unsynced::Passes(failure)) => Ok(Err(failure)),
            Err(Unsynced::Stays(failure)) => Err(Stopped::from(failure)),
        }
    };
    let done = watched(work, ("sync", "vault"), screen, running).await?;
    let noted = work.notes();
    let Ok(done) = done else {
        return Ok(done.map(|done| (done, false)));
    };
    // Who watches reads each once.
    for message in noted.iter().filter(|message| !told.contains(*message)) {
        notice("vault_head", message.clone(), screen)?;
    }
    let lines: Vec<String> = said(&done).collect();
    for line in lines.iter().filter(|line| !told.contains(*line)) {
        screen.talk(line);
    }
    *told = noted.into_iter().chain(lines).collect();
    let moved = done.put > 0 || done.written > 0 || done.removed > 0;
    Ok(Ok((done, moved)))
}

/// What a person is to know of a folder beside what moved.
fn said(done: &VaultSynced) -> impl Iterator<Item = String> {
    let lines = |paths: &[String], before: &str, after: &str| {
        let lines = paths.iter().map(|path| text::line(path));
        let lines: Vec<String> = lines
            .map(|path| format!("{before}: {path} {after}"))
            .collect();
        lines
    };
    let all = [
        lines(&done.left_out, "left out", "is no file, folder or link"),
        lines(
            &done.unread,
            "not put",
            "may not be read, or changes all the time",
        ),
        lines(
            &done.refused,
            "not written",
            "could not be written here: look at the rights with ls -l, and for a name that differs in large and small letters alone",
        ),
        lines(
            &done.aside,
            "kept aside",
            "could not stay where it was: move it where you want it",
        ),
    ];
    let name = text::line(&done.vault);
    let kept = done.kept.then(|| {
        format!("you may only read in {name}: what you changed in the folder stays there alone")
    });
    all.into_iter().flatten().chain(kept)
}

/// Brings a folder in step whenever something changes, until whoever began it ends it. What may pass is waited for: it is
/// told when it begins, and when it is something else.
async fn keep_in_step(
    client: &Client,
    wish: &Sync,
    work: &Arc<Work>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let mut watch = Watch::new(client, &wish.vault, &wish.folder)?;
    let (mut first, mut times) = (true, 0_u32);
    let mut waits: Option<String> = None;
    let told = &mut BTreeSet::new();
    loop {
        let stand = match in_step(client, wish, work, (screen, told)).await? {
            Ok((done, moved)) => {
                let version = done.version;
                if first || moved || waits.is_some() {
                    screen.show(&Answer::VaultSynced(done))?;
                }
                (first, times, waits) = (false, 0, None);
                Standing::InStep(version)
            }
            Err(failure) => {
                let hint = failure.hint.map(|hint| format!("; {hint}"));
                let why = format!("{}: waiting{}", failure.message, hint.unwrap_or_default());
                if waits.as_ref() != Some(&why) {
                    notice("vault_waiting", why.clone(), screen)?;
                }
                waits = Some(why);
                times = times.saturating_add(1);
                match failure.kind {
                    FailureKind::Unreachable => Standing::Away,
                    _ => Standing::Waiting(times),
                }
            }
        };
        tokio::select! {
            changed = watch.changed(stand) => changed?,
            () = signal::stop_asked() => return Ok(()),
        }
    }
}

fn left_out(paths: &[String], why: &str, screen: &mut Screen) {
    for path in paths {
        screen.talk(&format!("left out: {} {why}", text::line(path)));
    }
}

fn size(files: u64, bytes: u64) -> String {
    match files {
        1 => format!("1 file, {}", text::bytes(bytes)),
        more => format!("{more} files, {}", text::bytes(bytes)),
    }
}

/// What came of a change.
pub(crate) fn change(change: &VaultChange) -> String {
    let name = text::line(&change.vault);
    if !change.changed {
        return format!("{name} has it already, in version {}\n", change.version);
    }
    let mut shown = format!("{name} is at version {}", change.version);
    if change.files > 0 {
        let _ = write!(shown, ": {}", size(change.files, change.bytes));
    }
    shown.push('\n');
    conflicts(&mut shown, &change.conflicts);
    shown
}

/// What came of a sync.
pub(crate) fn synced(synced: &VaultSynced) -> String {
    let name = text::line(&synced.vault);
    let whole = match synced.refused.is_empty() {
        true => "in step",
        false => "not all in step",
    };
    let mut shown = format!("{whole} with {name}, version {}", synced.version);
    if synced.put > 0 {
        let _ = write!(shown, "; put {}", size(synced.put, synced.bytes));
    }
    if synced.written > 0 {
        let _ = write!(shown, "; {} written here", synced.written);
    }
    if synced.removed > 0 {
        let _ = write!(shown, "; {} removed here", synced.removed);
    }
    shown.push('\n');
    conflicts(&mut shown, &synced.conflicts);
    shown
}

fn conflicts(shown: &mut String, conflicts: &[VaultConflict]) {
    for conflict in conflicts {
        let (path, copy) = (text::line(&conflict.path), text::line(&conflict.copy));
        let _ = writeln!(shown, "somebody else wrote {path} too; yours is {copy}");
    }
}

/// What was fetched.
pub(crate) fn got(got: &VaultGot) -> String {
    let path = text::line(&got.path);
    let size = size(got.files, got.bytes);
    format!("{path}: {size}, of version {}\n", got.version)
}

/// A line about something in a vault.
pub(crate) fn entry(entry: &VaultEntry) -> String {
    let at = u64::try_from(entry.modified).map_or_else(|_| "?".to_owned(), time::local);
    let size = entry.size.map(text::bytes).unwrap_or_default();
    let path = text::line(&entry.path);
    let path = match (entry.kind, &entry.target) {
        (VaultEntryKind::Directory, _) => format!("{path}/"),
        (_, Some(target)) => format!("{path} -> {}", text::line(target)),
        _ => path,
    };
    format!("{size:>10}  {at:<16}  {path}\n")
}

/// A line about a version.
pub(crate) fn version(version: &VaultVersion) -> String {
    let at = time::local(version.time);
    let author = text::line(&version.author);
    let what = match &version.entry {
        None => "removed".to_owned(),
        Some(VaultEntry {
            size: Some(size), ..
        }) => text::bytes(*size),
        Some(_) if version.changes == 1 => "1 change".to_owned(),
        Some(_) => format!("{} changes", version.changes),
    };
    format!("{:>6}  {at:<16}  {author:<20}  {what}\n", version.version)
}
