//! Waits until a folder or its vault is not what it was.

use super::failure::vault_failure;
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::limits;
use crate::view::{Failure, FailureKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use seal::vault::{Folder, VaultError};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{sleep, timeout};

/// What changes a file or a directory.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW);

/// How a folder and its vault stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In step with a version.
    InStep(u64),
    /// The relay did not answer.
    Away,
    /// Not in step, for so many times one after another, for a reason that may pass.
    Waiting(u32),
}

impl Standing {
    /// How long nothing may happen before all is looked at again.
    fn pause(self) -> Duration {
        match self {
            Self::InStep(_) => limits::VAULT_LOOK_AGAIN,
            Self::Away => limits::VAULT_ASK_AGAIN,
            Self::Waiting(times) => {
                let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
                let pause = limits::VAULT_ASK_AGAIN.saturating_mul(doubled);
                pause.min(limits::VAULT_LOOK_AGAIN)
            }
        }
    }
}

/// A folder and a vault that are watched.
pub struct Watch {
    folder: PathBuf,
    fd: Arc<OwnedFd>,
    events: mpsc::Receiver<std::io::Result<()>>,
    newer: mpsc::Receiver<Answer>,
}

fn system(error: std::io::Error) -> Failure {
    failure(
        FailureKind::Failed,
        format!("the folder cannot be watched: {error}"),
        Some("raise fs.inotify.max_user_watches, or call vault sync without --watch now and then"),
    )
}

impl Watch {
    /// Begins to watch. What happens from now on is not missed.
    ///
    /// # Errors
    /// The system watches no more, or the folder is not there.
    pub fn new(client: &Client, vault: &str, folder: &Path) -> Result<Self, Failure> {
        let flags = CreateFlags::NONBLOCK.union(CreateFlags::CLOEXEC);
        let fd = inotify::init(flags).map_err(|error| system(error.into()))?;
        let fd = Arc::new(fd);
        let (tell, events) = mpsc::channel(1);
        let listened = Arc::clone(&fd);
        std::thread::spawn(move || listen(&listened, &tell));
        let mut watch = Self {
            folder: folder.to_path_buf(),
            fd,
            events,
            newer: client.call(Request::VaultNewer {
                vault: vault.to_owned(),
            }),
        };
        Folder::create(folder).map_err(vault_failure)?;
        watch.directories()?;
        Ok(watch)
    }

    /// Watches all directories; those that are watched stay so.
    fn directories(&mut self) -> Result<(), Failure> {
        let folder = Folder::open(&self.folder).map_err(vault_failure)?;
        let mut refused = None;
        let walked = folder.directories(&mut |path| {
            match inotify::add_watch(&*self.fd, path, CHANGES) {
                // It went meanwhile, or nobody may look into it.
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
                Err(error) => {
                    refused = Some(error);
                    Err(VaultError::TooDeep)
                }
            }
        });
        match refused {
            Some(error) => Err(system(error.into())),
            None => walked.map_err(vault_failure),
        }
    }

    /// Waits until something changed in the folder, the vault has a newer version than the folder, or a while is over, and
    /// then until it is quiet. Where the relay did not answer the while is short; where what it shows does not count it
    /// grows, and what changes in the folder waits for it.
    ///
    /// # Errors
    /// The profile hung up, or the system watches no more.
    pub async fn changed(&mut self, stand: Standing) -> Result<(), Failure> {
        let a_while = sleep(stand.pause());
        tokio::pin!(a_while);
        loop {
            tokio::select! {
                () = &mut a_while => break,
                Some(came) = self.events.recv(), if !matches!(stand, Standing::Waiting(_)) => {
                    came.map_err(system)?;
                    self.quiet().await?;
                    break;
                }
                newer = self.newer.recv() => match newer {
                    Some(Answer::VaultNewer(newer)) if matches!(stand, Standing::InStep(version) if newer.counter <= version) => {}
                    Some(Answer::Failed(failure)) => return Err(failure),
                    Some(_) => break,
                    None => {
                        let message = "the profile was closed";
                        return Err(failure(FailureKind::Failed, message, Some("begin again")));
                    }
                },
            }
        }
        self.directories()
    }

    /// Whoever writes a file writes often: a pause tells that it is done.
    async fn quiet(&mut self) -> Result<(), Failure> {
        let until_quiet = async {
            while let Ok(Some(came)) = timeout(limits::VAULT_QUIET, self.events.recv()).await {
                came.map_err(system)?;
            }
            Ok(())
        };
        let most: Duration = limits::VAULT_QUIET.saturating_mul(10);
        timeout(most, until_quiet).await.unwrap_or(Ok(()))
    }
}

/// Tells of events until nobody listens any more. More than one at a time is one.
fn listen(fd: &OwnedFd, tell: &mpsc::Sender<std::io::Result<()>>) {
    let pause = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let mut room = [MaybeUninit::<u8>::uninit(); 4096];
    while !tell.is_closed() {
        let polled = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&pause));
        let read = match polled {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => drain(fd, &mut room),
            Err(error) => Err(error),
        };
        if let Err(TrySendError::Closed(_)) = tell.try_send(read.map_err(Into::into)) {
            return;
        }
    }
}

fn drain(fd: &OwnedFd, room: &mut [MaybeUninit<u8>]) -> Result<(), Errno> {
    let mut reader = inotify::Reader::new(fd, room);
    loop {
        match reader.next() {
            Ok(_) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let pauses =
            [1, 2, 3, 4, 5, u32::MAX].map(|times| Standing::Waiting(times).pause().as_secs());
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(Standing::Away.pause().as_secs(), 5);
        assert_eq!(Standing::InStep(1).pause().as_secs(), 60);
    }
}
