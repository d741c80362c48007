//! The side that takes.

use super::exchange::Asking;
use super::failure;
use super::fetch::{End, Fetching, Place};
use super::line::{Came, Line, OwnQueue, TheirQueue};
use super::state::{Begun, TakeState};
use crate::failure::internal;
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::Work;
use crate::view::{self, Failure, HiddenText};
use engine::give::{GiveMessage, GiveWord, NotUnderstood};
use keys::give::GiveCode;
use keys::pake::{TransferKeys, Unconfirmed};
use keys::{QueueId, Secret, SecretBytes};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::timeout;

/// What is to be taken, and where to.
pub struct Take {
    /// The code, or the link, as a person typed it.
    pub code: HiddenText,
    /// The relay's URL with its pin; a link names its own.
    pub relay: String,
    /// Where it goes.
    pub place: Place,
    /// Where it is noted how far it is.
    pub state: PathBuf,
}

/// What a taker has while it works.
struct Taking {
    line: Line,
    code: GiveCode,
    giver: TheirQueue,
    at: Fetching,
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
        giver,
        at: Fetching {
            url,
            state,
            begun,
            work,
            by_link: false,
        },
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
        if self.at.begun.unconfirmed.is_none() {
            self.ask().await?;
        }
        if self.at.begun.giver_tag.is_none() {
            self.confirm().await?;
        } else if self.at.begun.offer.is_none() {
            // The same once more: whoever gives says again how far it is, or is not there any more.
            self.say_confirmation().await?;
        }
        let keys = self.keys()?;
        if self.at.begun.offer.is_none() {
            self.wait(&keys).await?;
        }
        let taken = self.at.whole(&wish.place).await?;
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
            self.at.work.stop();
            let stop = self.word(&keys, &GiveWord::Stop);
            let _ = timeout(limits::GIVE_CLEAN, stop).await;
        }
        self.line.close().await;
        self.at.state.forget(Some(&self.at.begun));
        match ended {
            Some(Ok(taken)) => Ok(Some(taken)),
            Some(Err(End::Over(failure) | End::Later(failure))) => Err(failure),
            None => Ok(None),
        }
    }

    /// Says hello, and computes what follows from the answer.
    async fn ask(&mut self) -> Result<(), End> {
        let own = TheirQueue {
            id: self.at.begun.own.id,
            token: self.at.begun.own.token.duplicate(),
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
        self.at.begun.unconfirmed = Some(unconfirmed.to_stored());
        self.at.save()?;
        self.line.acknowledge(seq);
        Ok(())
    }

    fn unconfirmed(&self) -> Result<Unconfirmed, End> {
        let stored = self.at.begun.unconfirmed.as_ref();
        let stored = stored.and_then(|stored| Unconfirmed::from_stored(stored.expose_secret()));
        stored.ok_or_else(|| End::Over(internal("the state of a transfer")))
    }

    /// Shows that this side knows the code, and looks whether the other one does.
    async fn confirm(&mut self) -> Result<(), End> {
        self.say_confirmation().await?;
        loop {
            let (seq, message) = self.hear().await?;
            match message {
                GiveMessage::Confirmed(tag) => {
                    // SECURITY: whoever does not know the code gives nothing; `a_giver_without_the_code_is_not_confirmed`
                    // notices.
                    if self.unconfirmed()?.confirm(&tag).is_err() {
                        return Err(End::Over(failure::wrong_code()));
                    }
                    self.at.begun.giver_tag = Some(tag);
                    self.at.save()?;
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

    async fn say_confirmation(&mut self) -> Result<(), End> {
        let confirm = GiveMessage::Confirm {
            queue: self.at.begun.own.id,
            tag: self.unconfirmed()?.confirmation(),
        };
        self.say(&confirm, failure::ended).await
    }

    fn keys(&self) -> Result<TransferKeys, End> {
        let wrong = || End::Over(failure::wrong_code());
        let tag = self.at.begun.giver_tag.ok_or_else(wrong)?;
        self.unconfirmed()?.confirm(&tag).map_err(|_| wrong())
    }

    /// Waits until all of it is at the relay.
    async fn wait(&mut self, keys: &TransferKeys) -> Result<(), End> {
        loop {
            let (seq, message) = self.hear().await?;
            let word = match &message {
                GiveMessage::Word(sealed) => GiveWord::open(keys, &self.at.begun.own.id, sealed),
                _ => Err(NotUnderstood),
            };
            match word {
                Ok(word @ GiveWord::Offer(_)) => {
                    let word = SecretBytes::new(word.encode().to_vec());
                    self.at.begun.offer = Some(word);
                    self.at.save()?;
                    self.line.acknowledge(seq);
                    return Ok(());
                }
                Ok(GiveWord::Stop) => return Err(End::Over(failure::ended())),
                Ok(GiveWord::Wait { done, total }) => {
                    self.at.work.begin(total);
                    self.at.work.add(done);
                }
                _ => {}
            }
            // The relay pushes no more while too much is not acknowledged.
            self.line.acknowledge(seq);
        }
    }

    /// Waits for the next message.
    async fn hear(&mut self) -> Result<(u64, GiveMessage), End> {
        loop {
            let came = timeout(limits::GIVE_PATIENCE, self.line.next()).await;
            let came = came.map_err(|_| match self.at.begun.unconfirmed {
                Some(_) => End::Later(failure::silent()),
                None => End::Over(failure::silent()),
            })?;
            let Came { seq, body } = came.map_err(End::Later)?;
            if let Ok(message) = GiveMessage::of_body(&body) {
                return Ok((seq, message));
            }
            self.line.acknowledge(seq);
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
