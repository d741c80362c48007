//! The side that gives.

use super::exchange::{Giving, Heard};
use super::line::{Line, OwnQueue, TheirQueue};
use super::state::{self, Kept};
use super::{failure, upload};
use crate::api::Answer;
use crate::blobs::Parcel;
use crate::failure::internal;
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::{Work, tree_failure};
use crate::view::{self, Failure, FailureKind};
use engine::give::{GiveMessage, GiveWord, Offer};
use keys::give::{GiveCode, Nameplate};
use keys::{BlobId, Secret, Timestamp};
use seal::tree::Tree;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, timeout};

/// What is to be given.
pub struct Give {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// The relay's URL with its pin.
    pub relay: String,
    /// How long the code counts.
    pub expires: Duration,
    /// Where it is noted what is to be removed if this process is killed.
    pub state: PathBuf,
}

type Uploading = JoinHandle<Result<(Offer, Timestamp), Failure>>;

/// What a giver has while it waits.
struct Waiting {
    line: Line,
    giving: Giving,
    uploading: Uploading,
    offer: Option<Offer>,
    /// Whether whoever confirmed was told the offer.
    told: bool,
    deadline: Instant,
    work: Arc<Work>,
}

/// Gives until somebody has everything, or until `stop`; then nothing is left at the relay. The code goes to `tell`.
///
/// # Errors
/// [`Failure`]: what cannot be read, no relay, a wrong guess, nobody in time.
pub async fn give(
    wish: Give,
    work: Arc<Work>,
    tell: mpsc::UnboundedSender<Answer>,
    stop: impl Future<Output = ()>,
) -> Result<Option<view::Given>, Failure> {
    let url = RelayUrl::parse(&wish.relay)?;
    let tree = tree_of(wish.paths).await?;
    let size = tree.length();
    work.begin(size);
    let mut line = Line::open(&url).await?;
    sweep(&mut line, &wish.state, &url).await;
    let (kept, given, code) = meet(&mut line, &wish.state, &url).await?;
    let shown = view::GiveCode {
        code: code.to_text().to_string().into(),
        relay: url.canonical(),
        expires: os::now().as_secs().saturating_add(wish.expires.as_secs()),
        left_out: left_out(&tree),
    };
    let _ = tell.send(Answer::GiveCode(shown));
    let parcel = Arc::new(given.parcel);
    let write_token = Arc::new(given.write_token);
    let uploading = upload::upload(
        Arc::clone(&parcel),
        Arc::clone(&write_token),
        tree,
        Secret::random(&mut os::entropy()),
        // Whoever was offered it goes on for as long as it keeps what it has.
        wish.expires
            .max(limits::GIVE_TAKING)
            .saturating_add(Duration::from_secs(limits::GIVE_KEPT_SECONDS)),
        Arc::clone(&work),
    );
    let mut waiting = Waiting {
        line,
        giving: Giving::new(code, given.queue.id),
        uploading: tokio::spawn(uploading),
        offer: None,
        told: false,
        deadline: after(wish.expires),
        work: Arc::clone(&work),
    };
    let ended = tokio::select! {
        ended = waiting.wait() => Some(ended),
        () = stop => None,
    };
    work.stop();
    if !matches!(ended, Some(Ok(()))) {
        waiting.say_stop().await;
    }
    waiting.uploading.abort();
    clean(waiting.line, &parcel, &write_token, kept).await;
    ended
        .transpose()
        .map(|ended| ended.map(|()| view::Given { size }))
}

/// What is to be given, looked at.
pub(super) async fn tree_of(paths: Vec<PathBuf>) -> Result<Arc<Tree>, Failure> {
    let tree = tokio::task::spawn_blocking(move || Tree::of(&paths)).await;
    let tree = tree.map_err(|_| internal("a thread ended early"))?;
    tree.map(Arc::new).map_err(|error| tree_failure(&error))
}

/// What of it is not given.
pub(super) fn left_out(tree: &Tree) -> Vec<String> {
    let paths = tree.left_out().iter();
    paths.map(|path| path.display().to_string()).collect()
}

/// Leaves nothing at the relay. The queue goes first: who comes now is told that nobody gives here.
pub(super) async fn clean(line: Line, parcel: &Parcel, write_token: &Secret<32>, kept: Kept) {
    line.close().await;
    let removed = timeout(limits::GIVE_CLEAN, parcel.remove(write_token)).await;
    if matches!(removed, Ok(Ok(()))) {
        kept.forget();
    }
}

/// The instant so much later.
pub(super) fn after(span: Duration) -> Instant {
    let now = os::instant();
    now.checked_add(span).unwrap_or(now)
}

/// Removes what givers of this user left that were killed.
pub(super) async fn sweep(line: &mut Line, state: &Path, url: &RelayUrl) {
    for (kept, given) in state::left(state, url) {
        let removed = async {
            line.delete(&given.queue).await.is_ok()
                && given.parcel.remove(&given.write_token).await.is_ok()
        };
        if timeout(limits::GIVE_CLEAN, removed).await == Ok(true) {
            kept.forget();
        }
    }
}

/// Draws numbers until one is free, and is heard under it.
async fn meet(
    line: &mut Line,
    state: &Path,
    url: &RelayUrl,
) -> Result<(Kept, state::Given, GiveCode), Failure> {
    for attempt in 0..limits::GIVE_NAMEPLATES {
        let mut rng = os::entropy();
        let nameplate = Nameplate::random(attempt >= limits::GIVE_SHORT_NAMEPLATES, &mut rng);
        let queue = OwnQueue {
            id: nameplate.queue_id(line.relay_id()),
            receive_key: Secret::random(&mut rng),
            token: nameplate.send_token(line.relay_id()),
        };
        let given = state::Given {
            queue: queue.copy(),
            parcel: Parcel {
                url: url.clone(),
                blob: BlobId::random(&mut rng),
                read_token: Secret::random(&mut rng),
            },
            write_token: Secret::random(&mut rng),
        };
        let Some(kept) = state::note(state, &given)? else {
            continue;
        };
        match line.make(queue).await {
            Ok(true) => return Ok((kept, given, GiveCode::random(nameplate, &mut rng))),
            Ok(false) => kept.forget(),
            Err(failure) => {
                kept.forget();
                return Err(failure);
            }
        }
    }
    Err(failure::no_number())
}

impl Waiting {
    /// Waits until a taker has everything.
    async fn wait(&mut self) -> Result<(), Failure> {
        let mut tick = ticks();
        loop {
            let left = self.deadline.saturating_duration_since(os::instant());
            tokio::select! {
                came = self.line.next() => {
                    let came = came?;
                    let done = self.hear(&came.body).await?;
                    self.line.acknowledge(came.seq);
                    if done {
                        return Ok(());
                    }
                }
                uploaded = &mut self.uploading, if self.offer.is_none() => {
                    let offer = uploaded.map_err(|_| internal("a task ended early"))?;
                    self.offer = Some(offer?.0);
                    self.tell().await?;
                }
                _ = tick.tick(), if !self.told => self.tell().await?,
                () = tokio::time::sleep(left) => return Err(match self.giving.taken() {
                    Some(_) => failure::unfinished(),
                    None => failure::expired(),
                }),
            }
        }
    }

    /// Looks at a body; true when the taker has everything.
    async fn hear(&mut self, body: &[u8]) -> Result<bool, Failure> {
        match self.giving.hear(body, &mut os::entropy()) {
            Heard::Nothing => Ok(false),
            Heard::Say(to, message) => {
                self.say(&to, &message).await?;
                Ok(false)
            }
            Heard::Confirmed(message) => {
                self.deadline = self.deadline.max(after(limits::GIVE_TAKING));
                if let Some(taken) = self.giving.taken() {
                    let to = taken.taker.copy();
                    self.say(&to, &message).await?;
                }
                self.tell().await?;
                Ok(false)
            }
            Heard::Guessed(to, message) => {
                // It is used up, whether the taker hears of it or not.
                let _ = self.say(&to, &message).await;
                Err(failure::guessed())
            }
            Heard::Done => Ok(true),
            Heard::Stopped => Err(failure::stopped()),
        }
    }

    async fn say(&mut self, to: &TheirQueue, message: &GiveMessage) -> Result<(), Failure> {
        let body = message.to_body();
        let body = body.map_err(|_| internal("a message is too long"))?;
        self.send(to, body).await.map(drop)
    }

    /// Writes to a taker's queue; whether it is there. Whose queue is gone hears nothing, and that is its affair; a
    /// relay that is away for a while may come back, and a taker asks again.
    async fn send(&mut self, to: &TheirQueue, body: Vec<u8>) -> Result<bool, Failure> {
        match self.line.send(to, body).await {
            Ok(sent) => Ok(sent.is_ok()),
            Err(failure) if failure.kind == FailureKind::Unreachable => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Tells whoever confirmed where it is, or how far the upload is.
    async fn tell(&mut self) -> Result<(), Failure> {
        let Some(taken) = self.giving.taken() else {
            return Ok(());
        };
        let body = match &self.offer {
            Some(offer) => {
                let word = GiveWord::Offer(Offer {
                    blob: offer.blob,
                    read_token: offer.read_token.duplicate(),
                    recipient: offer.recipient.duplicate(),
                    length: offer.length,
                    header: offer.header,
                });
                taken.seal(&word, &mut os::entropy())?
            }
            None => {
                let (done, total) = self.work.progress();
                taken.seal(&GiveWord::Wait { done, total }, &mut os::entropy())?
            }
        };
        let to = taken.taker.copy();
        let offered = self.offer.is_some();
        self.told = self.send(&to, body).await? && offered;
        Ok(())
    }

    /// Whoever confirmed need not wait any longer.
    async fn say_stop(&mut self) {
        let Some(taken) = self.giving.taken() else {
            return;
        };
        if let Ok(body) = taken.seal(&GiveWord::Stop, &mut os::entropy()) {
            let to = taken.taker.copy();
            let _ = timeout(limits::GIVE_CLEAN, self.line.send(&to, body)).await;
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(limits::GIVE_WAIT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
