//! Transfers to whoever has a link: no exchange, and no guess (docs/spec/give.md, section 6).

use super::fetch::{End, Fetching};
use super::giver::{Give, after, clean, left_out, sweep, tree_of};
use super::line::{Line, OwnQueue, TheirQueue};
use super::state::{self, Begun, TakeState};
use super::taker::Take;
use super::{failure, upload};
use crate::api::Answer;
use crate::blobs::Parcel;
use crate::failure::{failure as failed, internal};
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::Work;
use crate::view::{self, Failure, FailureKind};
use engine::give::{GiveMessage, GiveWord, Offer};
use keys::give_link::{GiveLink, LinkSecret};
use keys::{QueueId, Secret, SecretBytes};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Where the receiver's own program serves a page; the relay serves none that handles keys.
const PAGE: &str = "http://127.0.0.1:7465/#";

/// Whether a text is meant as a link, and not as a code.
#[must_use]
pub fn is_link(text: &str) -> bool {
    text.contains('#') || GiveLink::from_text(text).is_ok()
}

/// Gives to whoever has a link, until somebody has everything, or until `stop`; then nothing is left at the relay. The
/// link goes to `tell` when all is uploaded.
///
/// # Errors
/// [`Failure`]: what cannot be read, no relay, nobody in time.
pub async fn give_link(
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
    let secret = LinkSecret::random(&mut os::entropy());
    let given = state::Given {
        queue: OwnQueue {
            id: secret.queue_id(),
            receive_key: Secret::random(&mut os::entropy()),
            token: secret.send_token(),
        },
        parcel: Parcel {
            url: url.clone(),
            blob: secret.blob(),
            read_token: secret.read_token(),
        },
        write_token: Secret::random(&mut os::entropy()),
    };
    let kept = state::note(&wish.state, &given)?;
    let kept = kept.ok_or_else(|| internal("a queue of somebody else"))?;
    let parcel = Arc::new(given.parcel);
    let write_token = Arc::new(given.write_token);
    let left_out = left_out(&tree);
    let waiting = async {
        if !line.make(given.queue.copy()).await? {
            return Err(internal("a queue of somebody else"));
        }
        let (to, token) = (Arc::clone(&parcel), Arc::clone(&write_token));
        let (recipient, works) = (secret.recipient(), Arc::clone(&work));
        let uploaded = upload::upload(to, token, tree, recipient, wish.expires, works).await;
        let (offer, expires) = uploaded?;
        let keys = secret.keys(true);
        let link = GiveLink {
            secret,
            length: offer.length,
            header: offer.header,
            expires,
            relay: url.canonical(),
        };
        let shown = view::GiveLink {
            link: format!("{PAGE}{}", *link.to_fragment()).into(),
            relay: url.canonical(),
            expires: expires.as_secs(),
            left_out,
        };
        let _ = tell.send(Answer::GiveLink(shown));
        let deadline = after(Duration::from_secs(
            expires.as_secs().saturating_sub(os::now().as_secs()),
        ));
        loop {
            let left = deadline.saturating_duration_since(os::instant());
            let came = timeout(left, line.next()).await;
            let came = came.map_err(|_| failure::expired())??;
            let word = match GiveMessage::of_body(&came.body) {
                Ok(GiveMessage::Word(sealed)) => GiveWord::open(&keys, &given.queue.id, &sealed),
                _ => continue,
            };
            if matches!(word, Ok(GiveWord::Done)) {
                return Ok(());
            }
        }
    };
    let ended = tokio::select! {
        ended = waiting => Some(ended),
        () = stop => None,
    };
    work.stop();
    clean(line, &parcel, &write_token, kept).await;
    ended
        .transpose()
        .map(|ended| ended.map(|()| view::Given { size }))
}

/// Takes what a link leads to, or goes on where the same command stopped. After `stop` nothing of it is left.
///
/// # Errors
/// [`Failure`]; then nothing was written.
pub async fn take_link(
    wish: Take,
    work: Arc<Work>,
    stop: impl Future<Output = ()>,
) -> Result<Option<view::Taken>, Failure> {
    let link = GiveLink::from_text(wish.code.as_str()).map_err(|error| {
        let hint =
            "copy it whole and put it in quotes: letterlock take 'http://127.0.0.1:7465/#...'";
        failed(FailureKind::Usage, error.to_string(), Some(hint))
    })?;
    let url = RelayUrl::parse(&link.relay)?;
    let (state, begun, left) = TakeState::open(&wish.state, &link.secret.state_name())?;
    // SECURITY: a relay may keep it for longer; `a_link_is_over_when_its_giver_is_gone` notices.
    if os::now() >= link.expires {
        state.forget(begun.as_ref());
        return Err(failure::link_expired());
    }
    let mut begun = begun.unwrap_or_else(|| {
        // It has no queue of its own: nobody answers.
        Begun::new(OwnQueue {
            id: QueueId::from_bytes([0; 16]),
            receive_key: Secret::from_fn(|_| {}),
            token: Secret::from_fn(|_| {}),
        })
    });
    let offer = GiveWord::Offer(Offer {
        blob: link.secret.blob(),
        read_token: link.secret.read_token(),
        recipient: link.secret.recipient(),
        length: link.length,
        header: link.header,
    });
    begun.offer = Some(SecretBytes::new(offer.encode().to_vec()));
    let mut at = Fetching {
        url,
        state,
        begun,
        work,
        by_link: true,
    };
    let ended = tokio::select! {
        ended = at.whole(&wish.place) => Some(ended),
        () = stop => None,
    };
    at.work.stop();
    let taken = match ended {
        Some(Err(End::Later(failure))) => return Err(failure),
        Some(Err(End::Over(failure))) => Err(failure),
        Some(Ok(taken)) => {
            // Whoever gives may have gone, and hears it by its expiry at the latest.
            let _ = timeout(limits::GIVE_CLEAN, say_done(&at.url, &link.secret, &left)).await;
            Ok(Some(taken))
        }
        None => Ok(None),
    };
    at.state.forget(Some(&at.begun));
    taken
}

async fn say_done(url: &RelayUrl, secret: &LinkSecret, left: &[OwnQueue]) -> Result<(), Failure> {
    let mut line = Line::open(url).await?;
    for queue in left {
        line.delete(queue).await?;
    }
    let giver = TheirQueue {
        id: secret.queue_id(),
        token: secret.send_token(),
    };
    let word = GiveWord::Done.seal(&secret.keys(false), &giver.id, &mut os::entropy());
    let word = word.map_err(|_| internal("a word is too long"))?;
    let _ = line.send(&giver, word).await?;
    line.leave().await;
    Ok(())
}
