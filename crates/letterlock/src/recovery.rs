//! `recovery sheet` and `recovery restore`: what goes to paper, and what comes back from it.

use crate::ask;
use crate::cli::recovery::{NewSheet, Restoration};
use crate::failure::{self, Stop};
use crate::paper::Paper;
use crate::screen::Screen;
use crate::{os, question, text, time};
use client::Client;
use client::api::{Answer, Request};
use client::view::{Account, Failure, FailureKind, HiddenText, Lost, Recovery, Restored};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How often a person may type a sheet.
const TRIES: u32 = 3;

/// Draws a sheet, has it retyped, and waits for the first backup.
pub(crate) async fn draw(client: &Client, wish: NewSheet, screen: &mut Screen) -> Result<(), Stop> {
    if let Some(file) = &wish.pdf {
        not_there(file)?;
    }
    let request = Request::RecoverySheet {
        old: wish.old.clone(),
    };
    let mut drawn = None;
    ask::hear(client, request, |answer| {
        if let Answer::Sheet(sheet) = answer {
            drawn = Some(sheet);
            return Ok(());
        }
        screen.show(&answer)
    })
    .await?;
    let drawn = drawn.ok_or_else(|| Stop::Failed(no_sheet()))?;
    let sheet = drawn.sheet.clone();
    let page = match &wish.pdf {
        Some(file) => Some(write_page(client, &sheet, file).await?),
        None => None,
    };
    screen.show(&Answer::Sheet(drawn))?;
    if let Some(page) = &page {
        let file = text::line(&page.file.to_string_lossy());
        screen.talk(&format!(
            "the page is {file}; print it, then delete the file"
        ));
    }
    if !wish.yes {
        screen.talk(
            "these 13 groups are shown once: write them on paper, and keep it where you keep a passport",
        );
        retyped(&sheet, screen).await?;
    }
    if let Some(page) = page {
        page.keep();
    }
    screen.talk("the first backup is on its way to the relay");
    let request = Request::SheetRetyped {
        sheet,
        old: wish.old,
    };
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    screen.clear_bars();
    screen.talk("the sheet is in force, and the first backup is at the relay");
    Ok(())
}

fn no_sheet() -> Failure {
    failure::failed("no sheet was drawn", "type the command again")
}

/// Has the person type the sheet from the paper.
async fn retyped(sheet: &HiddenText, screen: &Screen) -> Result<(), Stop> {
    for _ in 0..TRIES {
        match client::read_sheet(&typed("Retype the sheet: ").await?) {
            Ok(text) if text == *sheet => return Ok(()),
            Ok(_) => screen.talk("that is another sheet"),
            Err(failure) => screen.talk(&text::line(&failure.message)),
        }
    }
    Err(Stop::Failed(failure::new(
        FailureKind::Refused,
        "the sheet was not retyped; it is not in force",
        "draw another one: letterlock recovery sheet",
    )))
}

/// Asks for a sheet, and waits for the line.
async fn typed(question: &str) -> Result<HiddenText, Stop> {
    let line = question::line(question).await?;
    line.ok_or_else(|| {
        Stop::Failed(failure::usage(
            "no sheet was typed",
            "type its 13 groups on one line; a script that keeps what it reads says --yes",
        ))
    })
}

fn not_there(file: &Path) -> Result<(), Failure> {
    if os::exists(file) {
        return Err(failure::usage(
            format!("{} is there already", file.display()),
            "name a new file",
        ));
    }
    Ok(())
}

/// A page that goes again, unless its sheet comes into force.
struct Page {
    file: PathBuf,
    kept: bool,
}

impl Page {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !self.kept {
            os::remove_file(&self.file);
        }
    }
}

async fn write_page(client: &Client, sheet: &HiddenText, file: &Path) -> Result<Page, Stop> {
    let account = account(client).await?;
    let pdf = Paper {
        sheet: sheet.as_str(),
        address: &account.address,
        account: &account.account_id,
        relay: &account.relay,
        made: &time::local(os::now()),
    }
    .to_pdf()?;
    os::write_new_private(file, &pdf).map_err(|e| failure::file("the page", file, &e))?;
    Ok(Page {
        file: file.to_owned(),
        kept: false,
    })
}

async fn account(client: &Client) -> Result<Account, Stop> {
    let mut account = None;
    ask::hear(client, Request::AccountShow, |answer| {
        if let Answer::Account(shown) = answer {
            account = Some(shown);
        }
        Ok(())
    })
    .await?;
    account.ok_or_else(|| Stop::Failed(no_sheet()))
}

/// The sheet to restore from, asked for where it was not given.
pub(crate) async fn sheet_of(wish: &Restoration, screen: &Screen) -> Result<HiddenText, Stop> {
    if let Some(sheet) = &wish.sheet {
        return Ok(sheet.clone());
    }
    if !os::is_terminal() {
        return Err(Stop::Failed(failure::usage(
            "there is no terminal to ask for the sheet on",
            "give it: --sheet FILE, or --sheet - for standard input",
        )));
    }
    let mut tries = TRIES;
    loop {
        tries = tries.saturating_sub(1);
        match client::read_sheet(&typed("Recovery sheet: ").await?) {
            Ok(sheet) => return Ok(sheet),
            Err(failure) if tries > 0 => screen.talk(&text::line(&failure.message)),
            Err(failure) => return Err(Stop::Failed(failure)),
        }
    }
}

/// Brings an account back.
pub(crate) async fn restore(
    client: &Client,
    wish: Restoration,
    sheet: HiddenText,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let request = Request::RecoveryRestore {
        sheet,
        relay: wish.relay,
        name: wish.name,
    };
    let done = ask::hear(client, request, |answer| screen.show(&answer)).await;
    screen.clear_bars();
    if let Err(Stop::Interrupted) = done {
        screen.talk("\nthe same command goes on where it was");
    }
    done?;
    screen.talk(
        "next: letterlock device list, and for each device that is lost: letterlock device revoke NAME --reason lost\n\
         the sheet stays valid: put it back where it was; if somebody may have seen it: letterlock recovery sheet",
    );
    Ok(())
}

/// What came back, for people.
pub(crate) fn restored(restored: &Restored) -> String {
    let missing = if restored.complete {
        ""
    } else {
        "; the relay did not have all of it"
    };
    let as_of = match restored.backup_at {
        0 => String::new(),
        at => format!(", as of {}", time::local(at)),
    };
    format!(
        "restored    {} and {}{as_of}{missing}\n",
        counted(restored.contacts, "contact"),
        counted(restored.letters, "letter")
    )
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

/// What follows a loss, for people.
pub(crate) fn recovery(line: &Recovery) -> String {
    let name = text::line(line.name.as_deref().unwrap_or_default());
    let lost = match line.lost {
        Lost::Device if line.this => format!("this device, {name}, is"),
        Lost::Device => format!("the device {name} is"),
        Lost::AllDevices => "all devices are".to_owned(),
        Lost::Sheet => "the sheet is".to_owned(),
        Lost::Guardians => "the guardians are".to_owned(),
        Lost::Relay => format!("the relay {name} is"),
    };
    let message = text::line(&line.message).replace("; ", "\n  ");
    let mut shown = format!("if {lost} lost:\n  {message}\n");
    let backup = match (line.backup_at, line.backup_complete) {
        (_, None) => return shown,
        (None, Some(_)) => "not written by this device yet".to_owned(),
        (Some(at), Some(true)) => format!("written {}, complete", time::local(at)),
        (Some(at), Some(false)) => {
            format!(
                "written {}; what is newer is not in it yet",
                time::local(at)
            )
        }
    };
    let _ = writeln!(shown, "  backup: {backup}");
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(lost: Lost, name: Option<&str>) -> Recovery {
        Recovery {
            lost,
            name: name.map(str::to_owned),
            this: true,
            outcome: "x".to_owned(),
            message: "it\u{1b}[2J ends; and more".to_owned(),
            backup_at: None,
            backup_complete: None,
        }
    }

    #[test]
    fn a_loss_is_a_heading_and_what_follows() {
        assert_eq!(
            recovery(&line(Lost::Device, Some("laptop"))),
            "if this device, laptop, is lost:\n  it\\u{1b}[2J ends\n  and more\n"
        );
        let sheet = Recovery {
            backup_at: Some(0),
            backup_complete: Some(false),
            ..line(Lost::Sheet, None)
        };
        let shown = recovery(&sheet);
        assert!(
            shown.ends_with("; what is newer is not in it yet\n"),
            "{shown}"
        );
    }

    #[test]
    fn what_came_back_is_counted() {
        let back = Restored {
            backup_at: 0,
            contacts: 1,
            letters: 2,
            complete: false,
        };
        assert_eq!(
            restored(&back),
            "restored    1 contact and 2 letters; the relay did not have all of it\n"
        );
    }
}
