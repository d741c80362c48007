//! Questions to the person at the terminal: those that have yes or no for an answer, and those that have a line.

use crate::failure::{self, Stop};
use crate::{os, signal};
use client::view::{Failure, HiddenText};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use tokio::sync::oneshot;

/// Whether a question of a command finds its answer.
///
/// *Errors*: usage, where nobody has said yes beforehand and there is no terminal to ask on.
pub(crate) fn can_be_answered(yes: bool) -> Result<(), Failure> {
    if yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(failure::usage(
        "the command asks a question, and there is no terminal to ask on",
        "answer it beforehand: --yes",
    ))
}

/// Asks, and returns at once; the answer comes later. All but yes is no.
pub(crate) fn begin(question: &str) -> Result<oneshot::Receiver<bool>, Stop> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    drop(err);
    let (answer, answered) = oneshot::channel();
    // A thread of its own: it reads on when nobody waits for the answer any more, and ends with the process.
    let read = move || {
        let mut said = String::new();
        let yes = io::stdin().lock().read_line(&mut said).is_ok()
            && matches!(said.trim().to_lowercase().as_str(), "y" | "yes");
        let _ = answer.send(yes);
    };
    std::thread::Builder::new()
        .name("question".to_owned())
        .spawn(read)
        .map_err(|_| failure::failed("no thread to ask on", "answer it beforehand: --yes"))?;
    Ok(answered)
}

/// Asks, and waits for the answer or for the wish to stop.
pub(crate) async fn meant(question: &str) -> Result<bool, Stop> {
    let asked = begin(question)?;
    tokio::select! {
        meant = asked => Ok(meant.unwrap_or(false)),
        () = signal::stop_asked() => Err(Stop::Interrupted),
    }
}

/// Asks for a line where there is a terminal, and waits for it, or for the wish to stop. Nothing: none was typed.
pub(crate) async fn line(question: &str) -> Result<Option<HiddenText>, Stop> {
    let mut err = io::stderr().lock();
    if os::is_terminal() {
        write!(err, "{question}")?;
        err.flush()?;
    }
    drop(err);
    let (tell, told) = oneshot::channel();
    // A thread of its own, for the same reason.
    let read = move || {
        let _ = tell.send(os::line_of_standard_input());
    };
    std::thread::Builder::new()
        .name("question".to_owned())
        .spawn(read)
        .map_err(|_| failure::failed("no thread to ask on", "look at the limits: ulimit -u"))?;
    let line = tokio::select! {
        line = told => line.ok().and_then(Result::ok),
        () = signal::stop_asked() => return Err(Stop::Interrupted),
    };
    Ok(line.map(|line| HiddenText::from(line.to_string())))
}

/// What the person says, once there is a question.
pub(crate) async fn answer_to(question: &mut Option<oneshot::Receiver<bool>>) -> bool {
    match question {
        // Without an answer the codes count as different.
        Some(question) => question.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}
