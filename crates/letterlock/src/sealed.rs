//! Sealing, opening and looking into files.

use crate::cli::Profile;
use crate::cli::seal::{FilePassphrase, Inspect, Open, Seal};
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{ask, os, passphrase, signal, text, time};
use client::api::Answer;
use client::sealed::{self, AskPassphrase, Format, Identity, Stopped, Work};
use client::view::{
    Failure, FailureKind, FileSigner, HiddenText, Progress, SealedEntry, SealedFile,
};
use client::{Client, SecretBytes};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Works with the profile of a home, or without one where there is none.
async fn perhaps_with_client(
    profile: &Profile,
    work: impl AsyncFnOnce(Option<&Client>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    match client::is_profile(&profile.home) {
        true => ask::with_client(profile, false, async |client| work(Some(client)).await).await,
        false => work(None).await,
    }
}

/// Waits for a piece of work, shows how far it is, and ends it when a person wants that.
pub(crate) async fn watched<T>(
    work: &Work,
    what: (&str, &str),
    screen: &mut Screen,
    running: impl Future<Output = Result<T, Stopped>>,
) -> Result<T, Stop> {
    let mut running = std::pin::pin!(running);
    let mut ticks = tokio::time::interval(TICK);
    let (mut interrupted, mut waits) = (false, false);
    let done = loop {
        tokio::select! {
            done = &mut running => break done,
            _ = ticks.tick() => {
                if work.awaits_key() && !waits {
                    screen.talk("somebody went out of the vault: waiting for its new key");
                }
                waits = work.awaits_key();
                let (done, total) = work.progress();
                if total > 0 {
                    screen.show(&Answer::Progress(Progress {
                        what: what.0.to_owned(),
                        name: what.1.to_owned(),
                        done,
                        total,
                    }))?;
                }
            }
            () = signal::stop_asked(), if !interrupted => {
                interrupted = true;
                work.stop();
            }
        }
    };
    screen.clear_bars();
    match done {
        _ if interrupted => Err(Stop::Interrupted),
        Ok(done) => Ok(done),
        Err(Stopped::OutputClosed) => Err(Stop::OutputClosed),
        Err(Stopped::Failed(failure)) => Err(failure.into()),
    }
}

fn name_of(path: Option<&Path>) -> String {
    let name = path.and_then(Path::file_name);
    name.map_or_else(
        || "-".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn passphrase_of(from: &FilePassphrase, new: bool) -> Result<SecretBytes, Failure> {
    match from {
        FilePassphrase::File(path) => passphrase::of_file(Some(path), new),
        FilePassphrase::Asked => passphrase::of_file(None, new),
    }
}

fn asking(from: FilePassphrase) -> AskPassphrase {
    Box::new(move || passphrase_of(&from, false))
}

fn sheet_of(path: Option<&Path>) -> Result<Option<HiddenText>, Failure> {
    let read = |path: &Path| {
        let text =
            os::short_file(path).map_err(|error| failure::file("the sheet", path, &error))?;
        client::read_sheet(&HiddenText::from(text.to_string()))
    };
    path.map(read).transpose()
}

fn identities_of(paths: &[PathBuf]) -> Result<Vec<Identity>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let bytes = os::identity_file(path);
        let bytes = bytes.map_err(|error| failure::file("the file of identities", path, &error))?;
        let ask = || passphrase::of_identities(path);
        all.extend(sealed::identities(path, &bytes, &ask)?);
    }
    Ok(all)
}

/// Makes an identity.
pub(crate) fn keygen(out: Option<&Path>, screen: &mut Screen) -> Result<(), Stop> {
    let mut made = sealed::new_identity()?;
    match (out, &made.text) {
        (Some(path), Some(text)) => {
            let written = os::write_new_private(path, text.as_str().as_bytes());
            written.map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => failure::usage(
                    format!("{} exists", path.display()),
                    "name another file with --out",
                ),
                _ => failure::file("the file of the identity", path, &error),
            })?;
            made.path = Some(path.display().to_string());
            made.text = None;
        }
        _ => screen.talk(&format!("recipient: {}", made.recipient)),
    }
    screen.show(&Answer::NewIdentity(made))
}

/// What stands behind `--to` like a name, and is a path where none was given.
fn behind_to(wish: &Seal) -> Option<String> {
    let mut named = wish.to.iter().filter(|_| wish.paths.is_empty());
    named.find(|name| os::exists(Path::new(name))).cloned()
}

/// Seals.
pub(crate) async fn seal(profile: &Profile, wish: Seal, screen: &mut Screen) -> Result<(), Stop> {
    let passphrase = wish.passphrase.as_ref();
    let passphrase = passphrase
        .map(|from| passphrase_of(from, true))
        .transpose()?;
    let named = match wish.paths.as_slice() {
        [path] => name_of(Some(path)),
        _ => name_of(wish.out.as_deref()),
    };
    let to_pipe = wish.out.is_none();
    let format = wish.format;
    let behind = behind_to(&wish);
    let wish = sealed::Seal {
        paths: wish.paths,
        to: wish.to,
        format,
        armor: wish.armor,
        with_own: wish.with_own,
        passphrase,
        sign: wish.sign,
        out: wish.out,
        replace: wish.replace,
    };
    perhaps_with_client(profile, async |client| {
        let work = Arc::new(Work::default());
        let running = sealed::seal(client, wish, Arc::clone(&work));
        let done = watched(&work, ("seal", &named), screen, running).await;
        let done = done.map_err(|stop| match (stop, behind) {
            (Stop::Failed(unknown), Some(path)) if unknown.kind == FailureKind::NotFound => {
                Stop::Failed(Failure {
                    hint: Some(format!("{path} is a path, and paths come before --to")),
                    ..unknown
                })
            }
            (stop, _) => stop,
        })?;
        for path in &done.left_out {
            screen.talk(&format!(
                "left out: {} is no file, folder or link",
                text::line(path)
            ));
        }
        if format == Format::Age {
            screen.talk("not signed: the age format has no signatures");
        } else if client.is_none() {
            screen.talk("not signed: this home has no account");
        }
        match to_pipe {
            true => Ok(()),
            false => screen.show(&Answer::SealedFile(done)),
        }
    })
    .await
}

/// Opens.
pub(crate) async fn open(profile: &Profile, wish: Open, screen: &mut Screen) -> Result<(), Stop> {
    let named = name_of(wish.file.as_deref());
    let to_pipe = wish.into.is_none();
    let ask = asking(wish.passphrase);
    let wish = sealed::Open {
        file: wish.file,
        into: wish.into,
        identities: identities_of(&wish.identities)?,
        sheet: sheet_of(wish.sheet.as_deref())?,
        from: wish.from,
        any_signature: wish.any_signature,
        replace: wish.replace,
        stream: wish.stream,
    };
    perhaps_with_client(profile, async |client| {
        let work = Arc::new(Work::default());
        let running = sealed::open(client, wish, ask, Arc::clone(&work));
        let done = watched(&work, ("open", &named), screen, running).await?;
        for path in &done.left_out {
            screen.talk(&format!(
                "left out: the link {} leads out of what was sealed",
                text::line(path)
            ));
        }
        screen.talk(&signature(done.signer.as_ref()));
        match to_pipe {
            true => Ok(()),
            false => screen.show(&Answer::SealedFile(done)),
        }
    })
    .await
}

/// Looks into a file.
pub(crate) async fn inspect(
    profile: &Profile,
    wish: Inspect,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let named = name_of(Some(&wish.file));
    let ask = wish.passphrase.map(asking);
    let wish = sealed::Inspect {
        file: wish.file,
        identities: identities_of(&wish.identities)?,
        sheet: sheet_of(wish.sheet.as_deref())?,
    };
    perhaps_with_client(profile, async |client| {
        let work = Arc::new(Work::default());
        let looking = async {
            let looked = sealed::inspect(client, wish, ask, Arc::clone(&work)).await;
            looked.map_err(Stopped::from)
        };
        let (file, entries) = watched(&work, ("verify", &named), screen, looking).await?;
        screen.show(&Answer::SealedFile(file))?;
        for entry in entries {
            screen.show(&Answer::SealedEntry(entry))?;
        }
        Ok(())
    })
    .await
}

/// Who signed, for people.
fn signature(signer: Option<&FileSigner>) -> String {
    let Some(signer) = signer else {
        return "not signed: anybody may have sealed it".to_owned();
    };
    let at = time::local(signer.time);
    let id = text::line(&signer.account_id);
    let mut line = match &signer.name {
        Some(name) if signer.own => format!("signed by you ({}), {at}", text::line(name)),
        Some(name) if signer.verified => format!("signed by {}, verified, {at}", text::line(name)),
        Some(name) => format!(
            "signed by {}, {at}; who that is was not verified: letterlock contact verify {}",
            text::line(name),
            text::line(name)
        ),
        None => format!("signed by the account {id}, which nobody here knows, {at}"),
    };
    if signer.revoked {
        line.push_str("; THE DEVICE WAS REVOKED, whoever has it may have signed");
    }
    line
}

/// A sealed file, for people.
pub(crate) fn file(file: &SealedFile) -> String {
    if !file.written.is_empty() {
        let mut shown = String::new();
        for path in &file.written {
            let _ = writeln!(shown, "{}", text::line(path));
        }
        return shown;
    }
    let keys = text::count(file.keys.into(), "key");
    let openers = match (file.keys, file.passphrase) {
        (0, true) => "a passphrase".to_owned(),
        (_, true) => format!("{keys}, a passphrase"),
        (_, false) => keys,
    };
    let size = file
        .size
        .map_or_else(String::new, |size| format!(", {size} bytes"));
    let mut shown = format!(
        "{}\nformat      {}{size}\nopens with  {openers}\n",
        text::line(&file.path),
        file.format,
    );
    if file.opened {
        let _ = writeln!(shown, "signature   {}", signature(file.signer.as_ref()));
    }
    shown
}

/// A line for what a sealed file holds.
pub(crate) fn entry(entry: &SealedEntry) -> String {
    let size = entry
        .size
        .map_or_else(|| "-".to_owned(), |size| size.to_string());
    let at = u64::try_from(entry.modified).map_or_else(|_| "-".to_owned(), time::local);
    let mut line = format!(
        "{:>4} {size:>14}  {at}  {}",
        entry.mode,
        text::line(&entry.path)
    );
    match (&entry.target, entry.kind.as_str()) {
        (Some(target), _) => {
            let _ = write!(line, " -> {}", text::line(target));
        }
        (None, "directory") => line.push('/'),
        _ => {}
    }
    line.push('\n');
    line
}
