//! A home, opened: by this process, or through the process that has it open already.
//!
//! ```text
//!              no profile        lock taken, agent answers
//!   Closed ───────────────┐    ┌───────────────────────────► Remote
//!     │ lock free         │    │                               │ agent gone
//!     ▼                   ▼    │                               ▼
//!   Local ◄──────────── account create                    (try both again, up to 10 s)
//! ```

use crate::agent::{self, Agent, Asked, Call};
use crate::api::{Answer, Request};
use crate::driver::{Driver, Left};
use crate::failure::{failure, internal, no_account};
use crate::limits;
use crate::lock::ProfileLock;
use crate::names;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::store::{self, Passphrase, ProfileStore};
use crate::view::{Failure, FailureKind};
use keys::{LetterId, SecretBytes};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};

/// An open home. Dropping it stops everything; [`Client::close`] also lets the last acknowledgements leave.
pub struct Client {
    wishes: mpsc::Sender<Wish>,
}

/// The answers to one request, in order. Dropping it ends the request.
pub type Answers = mpsc::Receiver<Answer>;

enum Wish {
    Call(Call),
    /// The agent that had this call is gone.
    Again(Call),
    Close(oneshot::Sender<()>),
}

impl Client {
    /// Opens a home. A home that does not exist opens too; it knows one request, to create an account.
    ///
    /// Where another process has the home open, requests go to that process, and the passphrase is not looked at.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use letterlock_client::{Client, api::{Answer, Request}};
    ///
    /// let home = std::env::temp_dir().join("letterlock-no-such-home");
    /// let passphrase = letterlock_client::SecretBytes::new(b"correct horse".to_vec());
    /// let client = Client::open(&home, passphrase).await.unwrap();
    /// let answer = client.call(Request::AccountShow).recv().await;
    /// assert!(matches!(answer, Some(Answer::Failed(_))));
    /// client.close().await;
    /// # }
    /// ```
    ///
    /// # Errors
    /// A wrong passphrase, a damaged profile, a disk that fails: kind, message, hint.
    pub async fn open(home: &Path, passphrase: SecretBytes) -> Result<Self, Failure> {
        let (wishes, inbox) = mpsc::channel(limits::ANSWERS);
        let home = std::path::absolute(home)
            .map_err(|error| Failure::from(store::OpenError::Io(error)))?;
        let mut door = Door {
            home,
            passphrase,
            wishes: wishes.downgrade(),
            access: Access::Closed,
            asked: Vec::new(),
        };
        if store::is_profile(&door.home) {
            door.enter().await?;
        }
        tokio::spawn(door.run(inbox));
        Ok(Self { wishes })
    }

    /// Makes a request.
    #[must_use = "dropping the answers ends the request"]
    pub fn call(&self, request: Request) -> Answers {
        let (answers, heard) = mpsc::channel(limits::ANSWERS);
        let call = Call {
            id: LetterId::from_bytes(os::random()),
            request,
            answers,
        };
        let wishes = self.wishes.clone();
        tokio::spawn(async move {
            let _ = wishes.send(Wish::Call(call)).await;
        });
        heard
    }

    /// Closes the home: running requests of other processes are seen to their end, acknowledgements leave, the
    /// lock is given back.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.wishes.send(Wish::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// Whether a home holds a profile, whole or damaged.
#[must_use]
pub fn is_profile(home: &Path) -> bool {
    store::is_profile(home)
}

/// Whether another process has a home open and answers for it, so that no passphrase is needed.
pub async fn is_served(home: &Path) -> bool {
    agent::connect(home).await.is_ok()
}

enum Access {
    Closed,
    Local(Box<Local>),
    Remote,
}

/// What the holder of a home's lock has. The order of the fields is the order in which they go: the lock last.
struct Local {
    agent: Agent,
    driver: Driver,
    /// Whether the profile was not there before.
    made: bool,
    _lock: ProfileLock,
}

struct Door {
    home: PathBuf,
    passphrase: Passphrase,
    wishes: mpsc::WeakSender<Wish>,
    access: Access,
    /// What another process sees to, and how it hears what a person says about it.
    asked: Vec<(Request, mpsc::Sender<Request>)>,
}

impl Door {
    async fn run(mut self, mut inbox: mpsc::Receiver<Wish>) {
        let mut closed = None;
        while let Some(wish) = inbox.recv().await {
            match wish {
                Wish::Call(call) => self.pass(call).await,
                Wish::Again(call) => {
                    if matches!(self.access, Access::Remote) {
                        self.access = Access::Closed;
                    }
                    self.pass(call).await;
                }
                Wish::Close(done) => {
                    closed = Some(done);
                    break;
                }
            }
        }
        if let Access::Local(local) = self.access {
            let Local {
                agent,
                driver,
                made,
                _lock,
            } = *local;
            agent.close().await;
            let left = driver.close().await;
            // No account came of it: the next attempt may choose another passphrase.
            if left == Left::Abandoned || (made && left == Left::Nothing) {
                store::remove(&self.home);
            }
        }
        if let Some(done) = closed {
            let _ = done.send(());
        }
    }

    async fn pass(&mut self, call: Call) {
        if matches!(self.access, Access::Closed) {
            let entered = match admit(&self.home, &call.request) {
                Ok(()) => self.enter().await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = entered {
                let _ = call.answers.send(Answer::Failed(failure)).await;
                return;
            }
        }
        match &self.access {
            Access::Local(local) => local.driver.call(call).await,
            Access::Remote | Access::Closed => {
                if call.request.is_word() && self.pass_word(&call.request) {
                    let _ = call.answers.send(Answer::Done).await;
                    return;
                }
                let said = self.listen(&call.request);
                let (home, wishes) = (self.home.clone(), self.wishes.clone());
                tokio::spawn(ask(home, call, wishes, said));
            }
        }
    }

    /// Opens the way for what a person will say about a request that another process sees to.
    fn listen(&mut self, request: &Request) -> Option<mpsc::Receiver<Request>> {
        self.asked.retain(|(_, say)| !say.is_closed());
        if !request.awaits_word() {
            return None;
        }
        let (say, said) = mpsc::channel(1);
        self.asked.push((request.clone(), say));
        Some(said)
    }

    /// Passes on what a person says; false where nothing is under way that it could be about.
    fn pass_word(&self, word: &Request) -> bool {
        let mut about = self
            .asked
            .iter()
            .filter(|(request, _)| word.is_word_on(request));
        about.any(|(_, say)| say.try_send(word.clone()).is_ok())
    }

    /// Takes the lock, or finds the process that holds it.
    async fn enter(&mut self) -> Result<(), Failure> {
        os::create_home(&self.home).map_err(store::OpenError::Io)?;
        let attempts = async {
            loop {
                if let Some(lock) = ProfileLock::take(&self.home).map_err(store::OpenError::Io)? {
                    return Ok::<_, Failure>(Some(lock));
                }
                if agent::connect(&self.home).await.is_ok() {
                    return Ok(None);
                }
                tokio::time::sleep(limits::LOCK_POLL).await;
            }
        };
        let lock = tokio::time::timeout(limits::LOCK, attempts)
            .await
            .map_err(|_| {
                let hint = "wait until it ends, or end it";
                failure(
                    FailureKind::Failed,
                    "another process has this home open and does not answer",
                    Some(hint),
                )
            })??;
        // Whoever has the lock opens the home, however long this machine takes for it.
        self.access = match lock {
            Some(lock) => Access::Local(Box::new(self.open_here(lock).await?)),
            None => Access::Remote,
        };
        Ok(())
    }

    async fn open_here(&self, lock: ProfileLock) -> Result<Local, Failure> {
        let home = self.home.clone();
        let passphrase = SecretBytes::from(self.passphrase.expose_secret());
        // The passphrase takes a while to stretch; others go on meanwhile.
        let made = !store::is_profile(&home);
        let opened = tokio::task::spawn_blocking(move || {
            if made {
                ProfileStore::create(&home, &passphrase)
            } else {
                ProfileStore::open(&home, &passphrase)
            }
        });
        let store = opened
            .await
            .map_err(|_| internal("the profile's thread ended"))??;
        let driver = Driver::start(store)?;
        let agent = Agent::serve(&self.home, driver.calls()).map_err(store::OpenError::Io)?;
        Ok(Local {
            agent,
            driver,
            made,
            _lock: lock,
        })
    }
}

/// Whether a request may open, or make, a profile. A mistyped command leaves nothing behind.
fn admit(home: &Path, request: &Request) -> Result<(), Failure> {
    if store::is_profile(home) {
        return Ok(());
    }
    match request {
        Request::AccountCreate {
            relay: Some(relay), ..
        } => Ok(RelayUrl::parse(relay).map(drop)?),
        Request::AccountCreate { .. } => Ok(()),
        Request::DeviceAccept { secret, relay, .. } => {
            names::link_secret(secret, relay.as_deref()).map(drop)
        }
        Request::RecoveryRestore { sheet, relay, .. } => {
            RelayUrl::parse(relay)?;
            names::sheet(sheet).map(drop)
        }
        Request::RecoveryRequest { account, relay, .. } => {
            RelayUrl::parse(relay)?;
            names::lost(account).map(drop)
        }
        Request::RecoveryContinue { .. } | Request::RecoveryAbandon => {
            Err(engine::EngineError::NoRecoveryUnderWay.into())
        }
        _ => Err(no_account()),
    }
}

/// Asks the agent; if it goes away before the end, the call goes back to the door.
async fn ask(
    home: PathBuf,
    call: Call,
    wishes: mpsc::WeakSender<Wish>,
    said: Option<mpsc::Receiver<Request>>,
) {
    let asked = match agent::connect(&home).await {
        Ok(stream) => agent::ask(stream, &call, said).await,
        Err(_) => Asked::Gone { unanswered: true },
    };
    let Asked::Gone { unanswered } = asked else {
        return;
    };
    // A letter keeps its id, letters are shown once, a recovery goes on where it was and a version is the same one, so these may be asked again
    // whatever came before.
    let repeatable = matches!(
        call.request,
        Request::Send { .. }
            | Request::Receive { .. }
            | Request::RecoveryContinue { .. }
            | Request::VaultHead { .. }
            | Request::VaultCheck { .. }
            | Request::VaultCaughtUp
            | Request::VaultPublish { .. }
            | Request::VaultNewer { .. }
    );
    let Some(wishes) = wishes.upgrade().filter(|_| unanswered || repeatable) else {
        let hint = "try again";
        let message = "the process that had this home open ended before it answered";
        let _ = call
            .answers
            .send(Answer::Failed(failure(
                FailureKind::Failed,
                message,
                Some(hint),
            )))
            .await;
        return;
    };
    tokio::time::sleep(limits::LOCK_POLL).await;
    let _ = wishes.send(Wish::Again(call)).await;
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
