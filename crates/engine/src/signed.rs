//! Words without a session: what two devices tell each other where one of them has no keys for sessions of two.
//!
//! A word is sealed to the recipient's envelope key, as a body of the front door, and signed by the sender's device. It
//! has no forward secrecy beyond that of the envelope key, so letters never travel in it: they go by groups
//! (docs/spec/letters.md, section 2.4).

use crate::account;
use crate::amending;
use crate::content::{Body, Content};
use crate::envelope::{Inner, MessageKind};
use crate::error::{EngineError, StoreError};
use crate::group::word;
use crate::limits;
use crate::peers::{self, Peer};
use crate::records::key;
use crate::retired;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::DeviceRecord;
use keys::codec::{Reader, Writer};
use keys::{
    AccountId, DeviceId, HybridSignature, QueueId, SigningKey, Timestamp, VerifyingKey, label,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Words that were opened: BE8(sealed) ‖ account ‖ device ‖ id. They are known as long as they would be taken.
const SEEN: &[u8] = b"signed-seen/";
/// A device that knows our log: it has told us something.
const MET: &[u8] = b"signed-met/";

/// Words that are forgotten in one step at most.
const SWEPT_AT_ONCE: usize = 32;

/// Who tells whom, and in which queue it lies.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    pub(crate) from: (&'a AccountId, &'a DeviceId),
    pub(crate) to: (&'a AccountId, &'a DeviceId),
    pub(crate) queue: &'a QueueId,
}

/// A word, taken apart.
struct Word<'a> {
    id: [u8; 16],
    sealed_at: Timestamp,
    signature: &'a [u8],
    content: &'a [u8],
}

/// What opening gave.
pub(crate) enum Opened {
    /// The content's bytes.
    Content(Zeroizing<Vec<u8>>),
    /// It was opened before.
    Duplicate,
    /// It is not of that device, for this device and queue; or it is too old.
    Failed,
}

/// Whether two devices have only signed words: one of them is of a suite without sessions of two.
pub(crate) fn between(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?;
    let peer = peers::load(tx, account)?;
    let theirs = peer.as_ref().and_then(|peer| peer.log.device(device));
    Ok(theirs.is_some_and(|theirs| without_session(own.secrets.identity().is_some(), theirs)))
}

pub(crate) fn without_session(we_have: bool, theirs: &DeviceRecord) -> bool {
    !we_have || theirs.identity().is_none()
}

/// Whether a content may go in a word: letters may not, nor what stands in them, nor the keys of letters of before.
pub(crate) fn may_hold(content: &Content) -> bool {
    match &content.body {
        Body::Letter(_) | Body::Copy(_) | Body::Amendment(_) => false,
        Body::Errand(errand) => match errand.split_first() {
            Some((&amending::ERRAND, _)) => false,
            Some((&word::ERRAND, word)) => !word::is_history(word),
            _ => true,
        },
        Body::Group(word) => !word::is_history(word),
        _ => true,
    }
}

/// Signs a content for one device.
///
/// *Formula*: `id 16 ‖ BE8(sealed) ‖ B(signature) ‖ content`; the signature is over the parties, the queue, and all the
/// rest of it.
pub(crate) fn seal(
    rng: &mut dyn CryptoRng,
    now: Timestamp,
    signing: &SigningKey,
    parties: Parties<'_>,
    content: &[u8],
) -> Result<Inner, EngineError> {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let message = statement(parties, (&id, now), content);
    let signature =
        signing
            .sign(label::SIGNED_WORD, &message)
            .map_err(|_| EngineError::Internal {
                what: "signature of a word",
            })?;
    let mut out = Writer::new();
    out.array(&id);
    out.u64(now.as_secs());
    out.bytes(signature.as_bytes());
    let mut message = out.finish();
    message.extend_from_slice(content);
    Ok(Inner {
        device: *parties.from.1,
        kind: MessageKind::Signed,
        message,
    })
}

fn statement(
    parties: Parties<'_>,
    (id, sealed_at): (&[u8; 16], Timestamp),
    content: &[u8],
) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(key(&[
        parties.from.0.as_bytes(),
        parties.from.1.as_bytes(),
        parties.to.0.as_bytes(),
        parties.to.1.as_bytes(),
        parties.queue.as_bytes(),
        id,
        &sealed_at.as_secs().to_be_bytes(),
        content,
    ]))
}

impl<'a> Word<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut input = Reader::new(message);
        Some(Self {
            id: input.array().ok()?,
            sealed_at: Timestamp::from_secs(input.u64().ok()?),
            signature: input.bytes(limits::WORD_SIGNATURE_BYTES).ok()?,
            content: input.take(input.remaining()).ok()?,
        })
    }

    fn is_by(&self, by: &VerifyingKey, parties: Parties<'_>) -> bool {
        let Ok(signature) = HybridSignature::from_bytes(by.suite(), self.signature) else {
            return false;
        };
        let message = statement(parties, (&self.id, self.sealed_at), self.content);
        by.verify(label::SIGNED_WORD, &message, &signature).is_ok()
    }

    fn place(&self, (account, device): (&AccountId, &DeviceId)) -> Vec<u8> {
        let sealed_at = self.sealed_at.as_secs().to_be_bytes();
        key(&[
            SEEN,
            &sealed_at,
            account.as_bytes(),
            device.as_bytes(),
            &self.id,
        ])
    }
}

/// Whether bytes are a word, as far as that shows without keys.
pub(crate) fn is_word(message: &[u8]) -> bool {
    Word::read(message).is_some()
}

fn is_over(tx: &Transaction<'_>, sealed_at: Timestamp) -> bool {
    sealed_at.saturating_add(limits::WORD_KNOWN_SECONDS) <= tx.now
}

/// Opens what came to our front door, of a device that the log of its account has in force.
pub(crate) fn open(
    tx: &mut Transaction<'_>,
    (peer, theirs): (&Peer, &DeviceRecord),
    queue: &QueueId,
    message: &[u8],
) -> Result<Opened, EngineError> {
    let own = account::own(tx)?;
    let from = (&peer.id, theirs.id());
    let parties = Parties {
        from,
        to: (&own.id, &own.device),
        queue,
    };
    let Some(word) = Word::read(message) else {
        return Ok(Opened::Failed);
    };
    // SECURITY: who has sessions speaks in sessions; `a_word_without_session_is_refused_where_there_are_sessions`.
    if !without_session(own.secrets.identity().is_some(), theirs) {
        return Ok(Opened::Failed);
    }
    // SECURITY: `a_forged_word_is_refused` and its like notice.
    if !word.is_by(theirs.verifying_key(), parties) {
        return Ok(Opened::Failed);
    }
    // SECURITY: what would be forgotten at once is not taken; `an_old_word_is_not_taken_again` notices.
    if is_over(tx, word.sealed_at) {
        return Ok(Opened::Duplicate);
    }
    let place = word.place(from);
    // SECURITY: `a_repeated_word_does_nothing` notices.
    if tx.get(Table::Meta, &place)?.is_some() {
        return Ok(Opened::Duplicate);
    }
    tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
    let met = key(&[MET, peer.id.as_bytes(), theirs.id().as_bytes()]);
    tx.put(Table::Meta, met, Zeroizing::new(Vec::new()));
    Ok(Opened::Content(Zeroizing::new(word.content.to_vec())))
}

/// Whether a word is signed with a key that its device had before: its sender signs again what nobody confirmed.
pub(crate) fn is_late(
    tx: &Transaction<'_>,
    peer: &Peer,
    queue: &QueueId,
    inner: &Inner,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?;
    let parties = Parties {
        from: (&peer.id, &inner.device),
        to: (&own.id, &own.device),
        queue,
    };
    let Some(word) = Word::read(&inner.message) else {
        return Ok(false);
    };
    let mut before = retired::before(&peer.log, &inner.device)?.into_iter();
    Ok(before.any(|record| word.is_by(record.verifying_key(), parties)))
}

/// Whether a device has told us something, so that it knows our log.
pub(crate) fn has_met(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let met = key(&[MET, account.as_bytes(), device.as_bytes()]);
    Ok(tx.get(Table::Meta, &met)?.is_some())
}

/// A device is gone.
pub(crate) fn forget(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    tx.delete(
        Table::Meta,
        key(&[MET, account.as_bytes(), device.as_bytes()]),
    );
}

/// Forgets words that would not be taken any more.
pub(crate) fn sweep(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, _) in tx.scan(Table::Meta, SEEN, None, SWEPT_AT_ONCE)? {
        let sealed_at = place
            .strip_prefix(SEEN)
            .and_then(|rest| rest.first_chunk::<8>())
            .ok_or(StoreError::Damaged {
                what: "word that was seen",
            })?;
        if !is_over(tx, Timestamp::from_secs(u64::from_be_bytes(*sealed_at))) {
            break;
        }
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
