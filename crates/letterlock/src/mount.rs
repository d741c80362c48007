//! A vault as a directory of this machine.

#[cfg(target_os = "linux")]
mod fuse;

use crate::cli::Profile;
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{ask, os, signal, text, time};
use client::api::Answer;
use client::sealed::Work;
use client::vault::{self, Mount, MountEvent, Mounted};
use client::view::{Failure, Notice, VaultMounted};
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// Which vault is to be mounted where.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) vault: String,
    pub(crate) place: Place,
    pub(crate) version: Option<u64>,
    pub(crate) read_only: bool,
}

/// Where a vault is to be shown.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// On a folder.
    Folder(PathBuf),
    /// At an address of loopback.
    WebDav(SocketAddr),
}

/// A free port of loopback.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a face tells when it is there.
enum Up {
    /// It is mounted, or served if it says so.
    Mounted(VaultMounted, bool),
    /// It is not mounted, and why; it is served.
    Served(Failure),
}

fn now() -> String {
    time::local(os::now()).replace(':', "-")
}

/// Mounts a vault until it is unmounted, or this process is asked to stop.
pub(crate) async fn see_to(profile: &Profile, wish: Wish, screen: &mut Screen) -> Result<(), Stop> {
    if let Place::Folder(folder) = &wish.place {
        ready(folder)?;
    }
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
        let (end, ended) = watch::channel(false);
        let face = Face {
            place: wish.place.clone(),
            up,
            ended,
            runtime: Handle::current(),
        };
        let running = vault::mount(client, mount, Arc::clone(&work), tell, move |it| {
            face.show(it)
        });
        let mut running = std::pin::pin!(running);
        let (mut asked, mut served): (u32, bool) = (0, false);
        let done = loop {
            tokio::select! {
                done = &mut running => break done,
                Some(up) = ups.recv() => match up {
                    Up::Mounted(mounted, by_webdav) => {
                        served = by_webdav;
                        screen.show(&Answer::VaultMounted(mounted))?;
                    }
                    Up::Served(why) => screen.show(&Answer::Notice(Notice {
                        notice: "mount_served".to_owned(),
                        message: format!("{}: it is served by WebDAV", why.message),
                    }))?,
                },
                Some(event) = told.recv() => shown(event, screen)?,
                () = signal::stop_asked() => {
                    asked = asked.saturating_add(1);
                    if asked > 1 {
                        // What is not in a version yet is kept.
                        work.stop();
                    }
                    match &wish.place {
                        Place::Folder(folder) if !served => leave(folder, asked > 1, screen),
                        _ => drop(end.send(true)),
                    }
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
        MountEvent::Kept(failure) => {
            let hint = failure.hint.unwrap_or_default();
            screen.show(&Answer::Notice(Notice {
                notice: "mount_kept".to_owned(),
                message: format!("{}; {hint}", failure.message),
            }))?;
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

/// What shows a vault, on a thread that may wait.
struct Face {
    place: Place,
    up: mpsc::UnboundedSender<Up>,
    ended: watch::Receiver<bool>,
    runtime: Handle,
}

impl Face {
    fn show(self, mounted: Mounted) -> Result<(), Failure> {
        let Place::Folder(folder) = &self.place else {
            return self.serve(mounted);
        };
        #[cfg(target_os = "linux")]
        match fuse::session(Arc::clone(&mounted.files), folder) {
            Ok(session) => {
                let shown = seen(&mounted, folder.display().to_string());
                let _ = self.up.send(Up::Mounted(shown, false));
                return session.run().map_err(|error| not_mounted(&error));
            }
            Err(error) => drop(self.up.send(Up::Served(not_mounted(&error)))),
        }
        #[cfg(not(target_os = "linux"))]
        let _ = folder;
        self.serve(mounted)
    }

    fn serve(&self, mounted: Mounted) -> Result<(), Failure> {
        let address = match self.place {
            Place::WebDav(address) => address,
            Place::Folder(_) => ANY_PORT,
        };
        let files = Arc::clone(&mounted.files);
        let tell = |url| drop(self.up.send(Up::Mounted(seen(&mounted, url), true)));
        let mut ended = self.ended.clone();
        let stop = async move {
            let _ = ended.wait_for(|ended| *ended).await;
        };
        let served = vault::serve_dav(files, address, tell, stop);
        self.runtime.block_on(served)
    }
}

fn seen(mounted: &Mounted, place: String) -> VaultMounted {
    VaultMounted {
        vault: mounted.vault.clone(),
        version: mounted.files.version().0,
        place,
        read_only: mounted.files.is_read_only(),
    }
}

#[cfg(target_os = "linux")]
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
