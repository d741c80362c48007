//! The side that takes.

use super::exchange::Asking;
use super::failure;
use super::line::{Came, Line, OwnQueue, TheirQueue};
use super::state::{Begun, TakeState};
use crate::blobs::{Parcel, ParcelProblem};
use crate::failure::internal;
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::{self, Stopped, Work, write_failure};
use crate::view::{self, Failure, FailureKind, HiddenText};
use engine::give::{GiveMessage, GiveWord, Offer};
use keys::give::GiveCode;
use keys::hpke::EnvelopeSecret;
use keys::pake::{TransferKeys, Unconfirmed};
use keys::{QueueId, Secret, SecretBytes, Suite};
use seal::age::Identity;
use seal::lock::UnverifiedHeader;
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::timeout;

/// What is to be taken, and where to.
pub struct Take {
    /// The code, as a person typed it.
    pub code: HiddenText,
    /// The relay's URL with its pin.
    pub relay: String,
    /// The directory.
    pub into: PathBuf,
    /// Whether files that exist are replaced.
    pub replace: bool,
    /// Where it is noted how far it is.
    pub state: PathBuf,
}

/// Whether the same command may go on where it stopped.
enum End {
    /// It goes on.
    Later(Failure),
    /// It is over.
    Over(Failure),
}

/// What a taker has while it works.
struct Taking {
    line: Line,
    code: GiveCode,
    url: RelayUrl,
    giver: TheirQueue,
    state: TakeState,
    begun: Begun,
    work: Arc<Work>,
}

/// Takes what is given under a code, or goes on where the same command stopped. After `stop` nothing of it is left.
///
/// # Errors
/// [`Failure`]; then nothing was written.
pub async fn take(
    wish: Take,
    work: Arc<Work>,
    stop: impl Future<Output = ()>,
) -> Result<Option<view::Taken>, Failure> {
    let code = GiveCode::from_text(wish.code.as_str()).map_err(failure::code)?;
    let url = RelayUrl::parse(&wish.relay)?;
    let mut line = Line::open(&url).await?;
    let relay = *line.relay_id();
    let (state, begun, mut left) = TakeState::open(&wish.state, &code.state_name(&relay))?;
    let giver = TheirQueue {
        id: code.nameplate().queue_id(&relay),
        token: code.nameplate().send_token(&relay),
    };
    let begun = match begun {
        Some(begun) if begun.unconfirmed.is_some() => begun,
        // Shares cannot be stored, so what was not answered is asked anew.
        before => {
            if let Some(before) = before {
                left.push(before.own);
            }
            Begun::new(OwnQueue {
                id: QueueId::random(&mut os::entropy()),
                receive_key: Secret::random(&mut os::entropy()),
                token: Secret::random(&mut os::entropy()),
            })
        }
    };
    for queue in left {
        // Of another relay it may be: there is no such queue here, then.
        let _ = line.delete(&queue).await;
    }
    state.save(&begun)?;
    if !line.make(begun.own.copy()).await? {
        return Err(internal("a queue of somebody else"));
    }
    let mut taking = Taking {
        line,
        code,
        url,
        giver,
        state,
        begun,
        work,
    };
    let ended = tokio::select! {
        ended = taking.whole(&wish) => Some(ended),
        () = stop => None,
    };
    taking.end(ended).await
}

impl Taking {
    /// Everything, from wherever it stands.
    async fn whole(&mut self, wish: &Take) -> Result<view::Taken, End> {
        if self.begun.unconfirmed.is_none() {
            self.ask().await?;
        }
        if self.begun.giver_tag.is_none() {
            self.confirm().await?;
        }
        let keys = self.keys()?;
        if self.begun.offer.is_none() {
            self.wait(&keys).await?;
        }
        let taken = match self.begun.written {
            true => view::Taken::default(),
            false => {
                let offer = self.offer()?;
                let file = self.fetch(wish, &offer).await?;
                self.open(wish, &offer, file).await?
            }
        };
        self.begun.written = true;
        self.save()?;
        // Whoever gives may have gone: what was given is here all the same.
        let _ = self.word(&keys, &GiveWord::Done).await;
        Ok(taken)
    }

    /// Puts in order what is to be.
    async fn end(
        mut self,
        ended: Option<Result<view::Taken, End>>,
    ) -> Result<Option<view::Taken>, Failure> {
        if let Some(Err(End::Later(failure))) = ended {
            self.line.leave().await;
            return Err(failure);
        }
        if !matches!(ended, Some(Ok(_)))
            && let Ok(keys) = self.keys()
        {
            self.work.stop();
            let stop = self.word(&keys, &GiveWord::Stop);
            let _ = timeout(limits::GIVE_CLEAN, stop).await;
        }
        self.line.close().await;
        self.state.forget(Some(&self.begun));
        match ended {
            Some(Ok(taken)) => Ok(Some(taken)),
            Some(Err(End::Over(failure) | End::Later(failure))) => Err(failure),
            None => Ok(None),
        }
    }

    fn save(&self) -> Result<(), End> {
        self.state.save(&self.begun).map_err(End::Later)
    }

    /// Says hello, and computes what follows from the answer.
    async fn ask(&mut self) -> Result<(), End> {
        let own = TheirQueue {
            id: self.begun.own.id,
            token: self.begun.own.token.duplicate(),
        };
        let mut rng = os::entropy();
        let begun = Asking::begin(&self.code, self.giver.id, own, &mut rng);
        let (asking, hello) = begun.map_err(End::Over)?;
        self.say(&hello, failure::nobody).await?;
        let (seq, answer) = loop {
            let (seq, message) = self.hear().await?;
            match message {
                GiveMessage::Answer(_) => break (seq, message),
                GiveMessage::Refused(refusal) => {
                    return Err(End::Over(failure::refused(refusal)));
                }
                _ => {}
            }
        };
        let unconfirmed = asking.answered(&answer);
        let unconfirmed = unconfirmed.ok_or_else(|| End::Over(failure::wrong_code()))?;
        self.begun.unconfirmed = Some(unconfirmed.to_stored());
        self.save()?;
        self.line.acknowledge(seq);
        Ok(())
    }

    fn unconfirmed(&self) -> Result<Unconfirmed, End> {
        let stored = self.begun.unconfirmed.as_ref();
        let stored = stored.and_then(|stored| Unconfirmed::from_stored(stored.expose_secret()));
        stored.ok_or_else(|| End::Over(internal("the state of a transfer")))
    }

    /// Shows that this side knows the code, and looks whether the other one does.
    async fn confirm(&mut self) -> Result<(), End> {
        let confirm = GiveMessage::Confirm {
            queue: self.begun.own.id,
            tag: self.unconfirmed()?.confirmation(),
        };
        self.say(&confirm, failure::ended).await?;
        loop {
            let (seq, message) = self.hear().await?;
            match message {
                GiveMessage::Confirmed(tag) => {
                    // SECURITY: whoever does not know the code gives nothing; `a_giver_without_the_code_is_not_confirmed`
                    // notices.
                    if self.unconfirmed()?.confirm(&tag).is_err() {
                        return Err(End::Over(failure::wrong_code()));
                    }
                    self.begun.giver_tag = Some(tag);
                    self.save()?;
                    self.line.acknowledge(seq);
                    return Ok(());
                }
                GiveMessage::Refused(refusal) => {
                    return Err(End::Over(failure::refused(refusal)));
                }
                _ => {}
            }
        }
    }

    fn keys(&self) -> Result<TransferKeys, End> {
        let wrong = || End::Over(failure::wrong_code());
        let tag = self.begun.giver_tag.ok_or_else(wrong)?;
        self.unconfirmed()?.confirm(&tag).map_err(|_| wrong())
    }

    /// Waits until all of it is at the relay.
    async fn wait(&mut self, keys: &TransferKeys) -> Result<(), End> {
        loop {
            let (seq, message) = self.hear().await?;
            let GiveMessage::Word(sealed) = message else {
                continue;
            };
            match GiveWord::open(keys, &self.begun.own.id, &sealed) {
                Ok(word @ GiveWord::Offer(_)) => {
                    let word = SecretBytes::new(word.encode().to_vec());
                    self.begun.offer = Some(word);
                    self.save()?;
                    self.line.acknowledge(seq);
                    return Ok(());
                }
                Ok(GiveWord::Stop) => return Err(End::Over(failure::ended())),
                _ => {}
            }
        }
    }

    fn offer(&self) -> Result<Offer, End> {
        let stored = self.begun.offer.as_ref();
        let word = stored.and_then(|stored| GiveWord::decode(stored.expose_secret()).ok());
        match word {
            Some(GiveWord::Offer(offer)) => Ok(offer),
            _ => Err(End::Over(internal("the state of a transfer"))),
        }
    }

    /// Fetches the sealed bytes beside where they are opened.
    async fn fetch(&mut self, wish: &Take, offer: &Offer) -> Result<PathBuf, End> {
        let spool = match &self.begun.spool {
            Some(spool) => spool.clone(),
            None => beside(&wish.into).join(format!(".letterlock-{}.part", offer.blob)),
        };
        self.begun.spool = Some(spool.clone());
        self.save()?;
        let unwritten = |error| End::Later(write_failure(&spool, &error));
        let mut file = os::open_part(&spool).map_err(unwritten)?;
        let parcel = Parcel {
            url: self.url.clone(),
            blob: offer.blob,
            read_token: offer.read_token.duplicate(),
        };
        self.work.begin(offer.length);
        let told = std::sync::atomic::AtomicU64::new(0);
        let came = |now: u64| {
            let before = told.swap(now, std::sync::atomic::Ordering::Relaxed);
            self.work.add(now.saturating_sub(before));
        };
        let fetched = parcel.fetch(&mut file, offer.length, came).await;
        fetched.map_err(|problem| {
            let told = failure::not_fetched(&problem);
            match problem {
                ParcelProblem::Lost | ParcelProblem::Refused(_) => End::Over(told),
                _ => End::Later(told),
            }
        })?;
        match header_of(&mut file) {
            // SECURITY: the relay may have another file for the same key; `a_blob_of_another_transfer_is_refused` notices.
            Some(hash) if keys::ct_eq(&hash, &offer.header) => Ok(spool),
            _ => {
                os::remove(&spool);
                Err(End::Later(failure::changed()))
            }
        }
    }

    /// Opens what was fetched.
    async fn open(&self, wish: &Take, offer: &Offer, file: PathBuf) -> Result<view::Taken, End> {
        let seed = SecretBytes::from(&offer.recipient.expose_secret()[..]);
        let key = EnvelopeSecret::from_seed(Suite::Hybrid, seed);
        let key = key.map_err(|_| End::Over(internal("a key of X-Wing")))?;
        let open = sealed::Open {
            file: Some(file.clone()),
            into: Some(wish.into.clone()),
            identities: vec![Identity::Hybrid(key)],
            sheet: None,
            from: None,
            any_signature: false,
            replace: wish.replace,
            stream: false,
        };
        let asked = Box::new(|| Err(failure::changed()));
        match sealed::open(None, open, asked, Arc::clone(&self.work)).await {
            Ok(opened) => Ok(view::Taken {
                written: opened.written,
                left_out: opened.left_out,
            }),
            Err(Stopped::Failed(refused)) if refused.kind == FailureKind::Refused => {
                os::remove(&file);
                Err(End::Later(failure::changed()))
            }
            Err(Stopped::Failed(failure)) => Err(End::Later(failure)),
            Err(Stopped::OutputClosed) => Err(End::Later(internal("no output"))),
        }
    }

    /// Waits for the next message.
    async fn hear(&mut self) -> Result<(u64, GiveMessage), End> {
        loop {
            let came = timeout(limits::GIVE_PATIENCE, self.line.next()).await;
            let came = came.map_err(|_| match self.begun.unconfirmed {
                Some(_) => End::Later(failure::silent()),
                None => End::Over(failure::silent()),
            })?;
            let Came { seq, body } = came.map_err(End::Later)?;
            if let Ok(message) = GiveMessage::of_body(&body) {
                return Ok((seq, message));
            }
        }
    }

    async fn say(&mut self, message: &GiveMessage, gone: fn() -> Failure) -> Result<(), End> {
        let body = message.to_body();
        let body = body.map_err(|_| End::Over(internal("a message is too long")))?;
        let sent = self.line.send(&self.giver, body).await;
        sent.map_err(End::Later)?.map_err(|_| End::Over(gone()))
    }

    async fn word(&mut self, keys: &TransferKeys, word: &GiveWord) -> Result<(), End> {
        let body = word.seal(keys, &self.giver.id, &mut os::entropy());
        let body = body.map_err(|_| End::Over(internal("a word is too long")))?;
        let sent = self.line.send(&self.giver, body).await;
        sent.map_err(End::Later)?
            .map_err(|_| End::Over(failure::ended()))
    }
}

/// SHA-256 of the header of a sealed file.
fn header_of(file: &mut File) -> Option<[u8; 32]> {
    file.rewind().ok()?;
    let header = UnverifiedHeader::read(&mut BufReader::new(file)).ok()?;
    Some(keys::sha256(&[header.bytes()]))
}

/// A directory that is there, on the disk where it will be written to.
fn beside(into: &Path) -> PathBuf {
    let there = into.ancestors().find(|place| place.is_dir());
    there.unwrap_or(Path::new(".")).to_path_buf()
}
