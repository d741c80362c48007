//! The tour: a real relay and three people on loopback, told step by step.
//!
//! The relay and the people's homes are real and lie in a temporary folder; all they say to each other goes over
//! TCP. Every command that is shown is parsed by the command line's own grammar and then done.

mod operator;
mod person;
mod stage;
mod story;

use crate::failure::Stop;
use crate::screen::Screen;
use crate::{os, run, signal};

/// Gives the tour; its folder goes whatever happens.
pub(crate) fn give(screen: &mut Screen) -> Result<(), Stop> {
    let runtime = run::runtime()?;
    let folder = os::temporary_folder("letterlock-tour-")?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = story::tell(screen, folder.path()) => done,
            () = signal::stop_asked() => Err(Stop::Interrupted),
        }
    });
    runtime.shutdown_timeout(run::LEAVING);
    let path = folder.path().to_owned();
    if os::remove_folder(folder).is_err() {
        screen.talk(&format!("{} is still there; remove it", path.display()));
    }
    done
}
