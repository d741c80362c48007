//! Transfers by code: what a person sees of them.

use crate::cli::Profile;
use crate::cli::give::{Give, Page, Take, Transfer};
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{ask, os, question, signal, text, time};
use client::api::{Answer, Request};
use client::give;
use client::sealed::Work;
use client::view::{Failure, FailureKind, GiveCode, GiveLink, HiddenText, Progress, Taken};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Sees one side of a transfer to its end.
pub(crate) async fn see_to(
    profile: &Profile,
    wish: Transfer,
    screen: &mut Screen,
) -> Result<(), Stop> {
    match wish {
        Transfer::Give(wish) => give(profile, wish, screen).await,
        Transfer::Take(wish) => take(profile, wish, screen).await,
        Transfer::Page(wish) => page(wish, screen).await,
    }
}

/// The relay that was named, or that of the account of this home.
async fn relay_of(profile: &Profile, named: Option<String>) -> Result<String, Stop> {
    if let Some(named) = named {
        return Ok(named);
    }
    if !client::is_profile(&profile.home) {
        return Err(Stop::Failed(failure::usage(
            "no relay was named, and this home has no account",
            "add --relay URL: both sides name the same relay; `letterlock relay serve` runs one",
        )));
    }
    let mut relay = None;
    ask::with_client(profile, false, async |client| {
        ask::hear(client, Request::AccountShow, |answer| {
            if let Answer::Account(account) = answer {
                relay = Some(account.relay);
            }
            Ok(())
        })
        .await
    })
    .await?;
    relay.ok_or_else(|| {
        Stop::Failed(failure::new(
            FailureKind::NotFound,
            "this home has no account",
            "add --relay URL",
        ))
    })
}

fn state() -> Result<PathBuf, Failure> {
    let state = os::state_home().map(|folder| folder.join("letterlock"));
    state.ok_or_else(|| {
        failure::usage(
            "this user has no home folder",
            "name a folder for what is kept meanwhile: XDG_STATE_HOME=DIR",
        )
    })
}

/// Waits for a transfer, and shows how far it is and what it tells. `leave` ends it where nobody reads that.
async fn watched<T>(
    work: &Work,
    what: (&str, &str),
    mut told: mpsc::UnboundedReceiver<Answer>,
    leave: &Notify,
    screen: &mut Screen,
    running: impl Future<Output = Result<Option<T>, Failure>>,
) -> Result<T, Stop> {
    let mut running = std::pin::pin!(running);
    let mut ticks = tokio::time::interval(TICK);
    let mut unread = None;
    let done = loop {
        tokio::select! {
            done = &mut running => break done,
            Some(answer) = told.recv() => {
                if let Err(stop) = screen.show(&answer) {
                    unread = Some(stop);
                    leave.notify_one();
                }
                if let Some(advice) = advice(&answer) {
                    screen.talk(&advice);
                }
            }
            _ = ticks.tick() => {
                let (done, total) = work.progress();
                if total > 0 {
                    screen.show(&Answer::Progress(Progress {
                        what: what.0.to_owned(),
                        name: what.1.to_owned(),
                        done: done.min(total),
                        total,
                    }))?;
                }
            }
        }
    };
    screen.clear_bars();
    match (done, unread) {
        (_, Some(stop)) => Err(stop),
        (Ok(Some(done)), None) => Ok(done),
        (Ok(None), None) => Err(Stop::Interrupted),
        (Err(failure), None) => Err(failure.into()),
    }
}

/// A person's wish to stop, or that of whoever watches.
async fn stopped(leave: &Notify) {
    tokio::select! {
        () = signal::stop_asked() => {}
        () = leave.notified() => {}
    }
}

/// What a person does with what was told.
fn advice(answer: &Answer) -> Option<String> {
    let mut waits = "this must run until it was taken";
    let (left_out, expires, word, relay) = match answer {
        Answer::GiveCode(told) => {
            let relay = format!(" --relay '{}'", text::line(&told.relay));
            (
                &told.left_out,
                told.expires,
                text::line(told.code.as_str()),
                relay,
            )
        }
        Answer::GiveLink(told) => {
            let link = format!("'{}'", text::line(told.link.as_str()));
            waits = "whoever takes it first ends it, and so does Ctrl-C";
            (&told.left_out, told.expires, link, String::new())
        }
        _ => return None,
    };
    let mut lines = String::new();
    for path in left_out {
        let _ = writeln!(
            lines,
            "left out: {} is no file, folder or link",
            text::line(path)
        );
    }
    let until = time::local(expires);
    let _ = write!(
        lines,
        "on the other machine, until {until}:\n  letterlock take {word}{relay}\nwaiting; {waits}"
    );
    Some(lines)
}

/// Gives.
async fn give(profile: &Profile, wish: Give, screen: &mut Screen) -> Result<(), Stop> {
    let relay = relay_of(profile, wish.relay).await?;
    let name = match wish.paths.as_slice() {
        [path] => path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        ),
        paths => format!("{} paths", paths.len()),
    };
    let (tell, told) = mpsc::unbounded_channel();
    let work = Arc::new(Work::default());
    let by_link = wish.link;
    let wish = give::Give {
        paths: wish.paths,
        relay,
        expires: wish.expires,
        state: state()?,
    };
    let leave = Notify::new();
    let works = Arc::clone(&work);
    let running = async {
        match by_link {
            true => give::give_link(wish, works, tell, stopped(&leave)).await,
            false => give::give(wish, works, tell, stopped(&leave)).await,
        }
    };
    let given = watched(&work, ("give", &name), told, &leave, screen, running).await?;
    screen.talk("it was taken, and is not at the relay any more");
    screen.show(&Answer::Given(given))
}

/// A code or a link that a person types.
async fn asked() -> Result<HiddenText, Stop> {
    let line = question::line("Code: ").await?;
    line.map(|line| HiddenText::from(line.as_str().trim().to_owned()))
        .ok_or_else(|| Stop::Failed(failure::usage("no code was typed", "letterlock take CODE")))
}

/// Takes.
async fn take(profile: &Profile, wish: Take, screen: &mut Screen) -> Result<(), Stop> {
    let code = match wish.code {
        Some(code) => code,
        None => asked().await?,
    };
    let by_link = give::is_link(code.as_str());
    let relay = match (by_link, wish.relay) {
        (true, None) => String::new(),
        (true, Some(_)) => {
            return Err(Stop::Failed(failure::usage(
                "a link names its relay itself",
                "leave --relay out",
            )));
        }
        (false, named) => relay_of(profile, named).await?,
    };
    let (tell, told) = mpsc::unbounded_channel();
    drop(tell);
    let work = Arc::new(Work::default());
    let wish = give::Take {
        code,
        relay,
        place: give::Place {
            into: wish.into,
            replace: wish.replace,
        },
        state: state()?,
    };
    let leave = Notify::new();
    let works = Arc::clone(&work);
    let running = async {
        match by_link {
            true => give::take_link(wish, works, stopped(&leave)).await,
            false => give::take(wish, works, stopped(&leave)).await,
        }
    };
    let taken = watched(&work, ("take", "files"), told, &leave, screen, running).await?;
    for path in &taken.left_out {
        screen.talk(&format!(
            "left out: the link {} leads out of what was given",
            text::line(path)
        ));
    }
    screen.show(&Answer::Taken(taken))
}

#[derive(Serialize)]
#[serde(tag = "answer", rename = "listening")]
struct Listening {
    url: String,
}

/// Serves the page in which links open.
async fn page(page: Page, screen: &mut Screen) -> Result<(), Stop> {
    let into = page.into.display().to_string();
    let page = give::Page {
        port: page.port,
        into: page.into,
        replace: page.replace,
        state: state()?,
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut serving = std::pin::pin!(give::serve_page(page, tell, signal::stop_asked()));
    loop {
        tokio::select! {
            done = &mut serving => return Ok(done?),
            Some(url) = told.recv() => {
                screen.either(&format!("listening on {url}\n"), &Listening { url: url.clone() })?;
                screen.talk(&format!("links of `letterlock give --link` open in a browser here, into {}", text::line(&into)));
            }
        }
    }
}

/// The code, for people.
pub(crate) fn code(code: &GiveCode) -> String {
    format!("{}\n", text::line(code.code.as_str()))
}

/// The link, for people.
pub(crate) fn link(link: &GiveLink) -> String {
    format!("{}\n", text::line(link.link.as_str()))
}

/// What was taken, for people.
pub(crate) fn taken(taken: &Taken) -> String {
    let mut shown = String::new();
    for path in &taken.written {
        let _ = writeln!(shown, "{}", text::line(path));
    }
    shown
}
