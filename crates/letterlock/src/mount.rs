//! A vault as a directory of this machine.

mod fuse;

use crate::cli::Profile;
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{ask, os, signal, text, time};
use client::api::Answer;
use client::sealed::Work;
use client::vault::{self, Mount, MountEvent, Mounted};
use client::view::{Failure, VaultMounted};
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Which vault is to be mounted where.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) vault: String,
    pub(crate) directory: PathBuf,
    pub(crate) version: Option<u64>,
    pub(crate) read_only: bool,
}

fn now() -> String {
    time::local(os::now()).replace(':', "-")
}

/// Mounts a vault until it is unmounted, or this process is asked to stop.
pub(crate) async fn see_to(profile: &Profile, wish: Wish, screen: &mut Screen) -> Result<(), Stop> {
    ready(&wish.directory)?;
    ask::with_client(profile, false, async |client| {
        let mount = Mount {
            home: profile.home.clone(),
            vault: wish.vault,
            version: wish.version,
            read_only: wish.read_only,
            time: now,
        };
        let work = Arc::new(Work::default());
        let (tell, mut told) = mpsc::unbounded_channel();
        let (up, mut ups) = mpsc::unbounded_channel();
        let directory = wish.directory.clone();
        let face = move |mounted| show(mounted, &directory, &up);
        let running = vault::mount(client, mount, Arc::clone(&work), tell, face);
        let mut running = std::pin::pin!(running);
        let mut asked: u32 = 0;
        let done = loop {
            tokio::select! {
                done = &mut running => break done,
                Some(mounted) = ups.recv() => {
                    screen.show(&Answer::VaultMounted(mounted))?;
                }
                Some(event) = told.recv() => shown(event, screen)?,
                () = signal::stop_asked() => {
                    asked = asked.saturating_add(1);
                    if asked > 1 {
                        // What is not in a version yet is kept.
                        work.stop();
                    }
                    leave(&wish.directory, asked > 1, screen);
                }
            }
        };
        while let Ok(event) = told.try_recv() {
            shown(event, screen)?;
        }
        Ok(done?)
    })
    .await
}

fn shown(event: MountEvent, screen: &mut Screen) -> Result<(), Stop> {
    match event {
        MountEvent::Version(change) => screen.show(&Answer::VaultChange(change))?,
        MountEvent::Waits(failure) => {
            let why = text::line(&failure.message);
            screen.talk(&format!("waits to become a version, and is kept: {why}"));
        }
    }
    Ok(())
}

/// A directory that a vault can be mounted on: it is made if need be.
fn ready(directory: &Path) -> Result<(), Failure> {
    let refused = |error: io::Error| failure::file("cannot mount on", directory, &error);
    // What a process that was killed left there answers nobody.
    if let Err(error) = os::is_empty_directory(directory)
        && error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error())
    {
        detach(directory);
    }
    os::make_directory(directory).map_err(refused)?;
    match os::is_empty_directory(directory).map_err(refused)? {
        true => Ok(()),
        false => Err(failure::usage(
            format!("{} is not empty", directory.display()),
            "name an empty directory, or one that is not there yet",
        )),
    }
}

fn show(
    mounted: Mounted,
    directory: &Path,
    up: &mpsc::UnboundedSender<VaultMounted>,
) -> Result<(), Failure> {
    let Mounted { vault, files } = mounted;
    let (version, _) = files.version();
    let read_only = files.is_read_only();
    let session = fuse::session(files, directory).map_err(|error| not_mounted(&error))?;
    let _ = up.send(VaultMounted {
        vault,
        version,
        place: directory.display().to_string(),
        read_only,
    });
    session.run().map_err(|error| not_mounted(&error))
}

fn not_mounted(error: &io::Error) -> Failure {
    failure::failed(
        format!("the vault was not mounted: {error}"),
        "mounting needs /dev/fuse and the package fuse3, or root",
    )
}

/// Unmounts; with `force` also what is used still.
fn leave(directory: &Path, force: bool, screen: &Screen) {
    if force {
        return detach(directory);
    }
    let busy = match unmount(directory, UnmountFlags::empty()) {
        Ok(()) => false,
        Err(rustix::io::Errno::PERM) => !helped(&["-u", "-q"], directory),
        Err(_) => true,
    };
    if busy {
        let directory = directory.display();
        screen.talk(&format!(
            "{directory} is used by a program: close it, or end this once more to leave it behind"
        ));
    }
}

fn detach(directory: &Path) {
    if unmount(directory, UnmountFlags::DETACH).is_err() {
        helped(&["-u", "-q", "-z"], directory);
    }
}

/// Whoever is not root unmounts by a program that may.
fn helped(words: &[&str], directory: &Path) -> bool {
    let mut line = Command::new("fusermount3");
    line.args(words).arg("--").arg(directory);
    line.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    line.status().is_ok_and(|status| status.success())
}

/// What is told when a vault is mounted.
pub(crate) fn mounted(mounted: &VaultMounted) -> String {
    let how = match mounted.read_only {
        true => ", to be read only",
        false => "",
    };
    format!(
        "{} is at {}, version {}{how}\n",
        text::line(&mounted.vault),
        text::line(&mounted.place),
        mounted.version
    )
}
