//! Where the passphrase of a home comes from: a file, the environment, or a person.

use crate::{failure, os, text};
use client::SecretBytes;
use client::view::Failure;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use zeroize::Zeroizing;

const VARIABLE: &str = "LETTERLOCK_PASSPHRASE";

/// Takes the passphrase from `file`, else from the environment, else, where `may_ask`, from a person; a `new` one
/// is asked for twice. Where it may not ask there is nothing to open, and nothing will do.
///
/// *Errors*: usage, where there is none, it is empty, or the two differ; not found, where the file is not there.
pub(crate) fn take(file: Option<&Path>, may_ask: bool, new: bool) -> Result<SecretBytes, Failure> {
    let given = match file {
        Some(path) => {
            Some(os::first_line(path).map_err(|e| failure::file("the passphrase file", path, &e))?)
        }
        None => from_environment()?,
    };
    let passphrase = match given {
        Some(passphrase) => not_empty(passphrase)?,
        None if may_ask => ask(new)?,
        None => Zeroizing::new(String::new()),
    };
    Ok(SecretBytes::new(passphrase.as_bytes().to_vec()))
}

/// Takes the passphrase of a sealed file from the first line of `file`, else from a person; a `new` one is asked for
/// twice.
///
/// *Errors*: usage, where there is none, it is empty, or the two differ; not found, where the file is not there.
pub(crate) fn of_file(file: Option<&Path>, new: bool) -> Result<SecretBytes, Failure> {
    let typed = match file {
        Some(path) => {
            let line = os::first_line(path);
            line.map_err(|e| failure::file("the passphrase file", path, &e))?
        }
        None => {
            let hint = "give --passphrase-from FILE";
            let ask = |question: &str| {
                let typed = rpassword::prompt_password(question).map(Zeroizing::new);
                typed.map_err(|_| failure::usage("the file needs a passphrase", hint))
            };
            let typed = ask("Passphrase of the file: ")?;
            if new && *ask("Once more:              ")? != *typed {
                return Err(failure::usage(
                    "the two passphrases differ",
                    "try again; nothing was sealed",
                ));
            }
            typed
        }
    };
    let typed = not_empty(typed)?;
    Ok(SecretBytes::new(typed.as_bytes().to_vec()))
}

/// Asks a person for the passphrase of a file of identities.
///
/// *Errors*: usage, where there is none to ask, or it is empty.
pub(crate) fn of_identities(path: &Path) -> Result<SecretBytes, Failure> {
    let question = format!(
        "Passphrase of {}: ",
        text::line(&path.display().to_string())
    );
    let typed = rpassword::prompt_password(question).map(Zeroizing::new);
    let typed = typed.map_err(|_| {
        failure::usage(
            format!("{} needs its passphrase", path.display()),
            "type it at a terminal, or name a file of identities without one",
        )
    })?;
    let typed = not_empty(typed)?;
    Ok(SecretBytes::new(typed.as_bytes().to_vec()))
}

fn from_environment() -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(value) = os::variable(VARIABLE) else {
        return Ok(None);
    };
    match value.into_string() {
        Ok(value) => Ok(Some(Zeroizing::new(value))),
        Err(_) => Err(failure::usage(
            format!("{VARIABLE} is not UTF-8"),
            "use --passphrase-file FILE",
        )),
    }
}

fn ask(new: bool) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(failure::usage(
            "the home needs its passphrase, and there is no terminal to ask on",
            format!("give --passphrase-file FILE, or set {VARIABLE}"),
        ));
    }
    let typed = not_empty(prompt("Passphrase: ")?)?;
    if new && *prompt("Once more:  ")? != *typed {
        return Err(failure::usage(
            "the two passphrases differ",
            "try again; nothing was made",
        ));
    }
    Ok(typed)
}

fn prompt(question: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|_| {
            failure::usage(
                "no passphrase was typed",
                format!("give --passphrase-file FILE, or set {VARIABLE}"),
            )
        })
}

fn not_empty(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    if passphrase.is_empty() {
        return Err(failure::usage(
            "the passphrase is empty",
            "choose four or more words that nobody would guess together",
        ));
    }
    Ok(passphrase)
}
