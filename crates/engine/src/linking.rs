//! The side of a link that has authority: shows the secret, answers, compares, adds the device, hands over what
//! the account knows. The other side is [`joining`](crate::joining); the words between them are
//! [`LinkMessage`](crate::link_message::LinkMessage).
//!
//! ```text
//!   Offered ─Hello of the account's suite─► Answered ─Proposal─► Comparing ─both same─► Adding ─in the log─► Packing ─► Welcomed ─► gone
//! ```
//!
//! Every state is stored before anything leaves. What does not go on in time ends, and a device that is in the
//! log and never reported is revoked again.

use crate::account;
use crate::archive;
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::joining;
use crate::limits;
use crate::link_message::LinkMessage;
use crate::outbox;
use crate::own_log::{self, Wish};
use crate::queues;
use crate::records::{
    Newcomer, Offer, OfferStage, OwnQueue, PartPurpose, Purpose, QueuePurpose, Record as _,
};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{LogError, Proposal, Reason, VerifiedLog};
use keys::hpke::EnvelopePublic;
use keys::link::{self, LinkCode, LinkSecret};
use keys::{DeviceId, MessageId, QueueId, Secret};
use zeroize::Zeroizing;

const OFFER: &[u8] = b"link-offer";

/// What the face of the device with authority shows.
pub struct LinkOffer {
    /// The whole secret with the relay, one line.
    pub code: Zeroizing<String>,
    /// The secret as twelve words.
    pub words: Zeroizing<String>,
}

/// Reads what is to be shown.
pub(crate) fn shown(snapshot: &dyn Snapshot) -> Result<Option<LinkOffer>, StoreError> {
    let offer = snapshot.get(Table::Meta, OFFER)?;
    let offer = offer.map(|bytes| Offer::decode(&bytes)).transpose()?;
    Ok(offer.map(|offer| LinkOffer {
        code: offer.code,
        words: offer.words,
    }))
}

fn load(tx: &Transaction<'_>) -> Result<Option<Offer>, EngineError> {
    match tx.get(Table::Meta, OFFER)? {
        Some(bytes) => Ok(Some(Offer::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, offer: &Offer) {
    tx.put(Table::Meta, OFFER.to_vec(), offer.encode());
}

/// The relay of an account that this home is about to join.
pub(crate) fn relay(tx: &Transaction<'_>) -> Result<Option<String>, EngineError> {
    joining::relay(tx)
}

/// Draws a one-time secret and opens the queue where it is waited for.
pub(crate) fn offer(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    devices::may_act(tx)?;
    if !log.is_senior(&own.device, tx.now) {
        return Err(EngineError::NotSenior);
    }
    if let Some(before) = load(tx)? {
        if before.stage > OfferStage::Answered {
            return Err(EngineError::LinkUnderWay);
        }
        end(tx, &before)?;
    }
    let secret = LinkSecret::random(tx.rng);
    let words = secret.to_words();
    let (first_key, psk, token) = (secret.first_key(), secret.psk(), secret.send_token());
    let queue = queues::create_as(tx, QueuePurpose::Link, secret.queue_id(), token)?;
    let code = LinkCode::new(secret, own.relay.clone()).map_err(|_| EngineError::InvalidRelay)?;
    let mut old_nonce = [0; 32];
    tx.rng.fill_bytes(&mut old_nonce);
    let offer = Offer {
        stage: OfferStage::Offered,
        command,
        deadline: tx.now.saturating_add(limits::LINK_SECRET_SECONDS),
        code: code.to_text(),
        words,
        queue: queue.id,
        first_key,
        psk,
        newcomer: None,
        old_nonce,
        head: [0; 64],
        pairing: String::new(),
        proposal: Vec::new(),
        device: None,
        name: String::new(),
        ours_same: false,
        theirs_same: false,
        cursor: archive::Cursor::default(),
        parts: Vec::new(),
    };
    store(tx, &offer);
    Ok(())
}

/// The relay has the queue: the secret may be shown.
pub(crate) fn queue_made(tx: &mut Transaction<'_>, queue: &QueueId) -> Result<(), EngineError> {
    if load(tx)?.is_some_and(|offer| offer.queue == *queue) {
        tx.event(Event::LinkReady);
    }
    Ok(())
}

/// A body came to a queue of a link.
pub(crate) fn received(
    tx: &mut Transaction<'_>,
    queue: &OwnQueue,
    body: &[u8],
) -> Result<(), EngineError> {
    let Some(mut offer) = load(tx)?.filter(|offer| offer.queue == queue.id) else {
        return joining::received(tx, queue, body);
    };
    let message = if offer.stage == OfferStage::Offered {
        LinkMessage::open_first(&offer.first_key, &queue.id, body)
    } else {
        let own = account::own(tx)?;
        LinkMessage::open(own.secrets.envelope(), &offer.psk, &queue.id, body)
    };
    // Who does not know the secret is not heard, and stops nobody.
    let Ok(message) = message else { return Ok(()) };
    match (offer.stage, message) {
        (
            OfferStage::Offered,
            LinkMessage::Hello {
                queue,
                token,
                commitment,
                envelope,
            },
        ) => {
            // SECURITY: the secret counts for two minutes and once; `late_secret_is_refused` notices.
            if offer.deadline < tx.now {
                return abandon(tx, &offer, EngineError::LinkExpired);
            }
            let newcomer = Newcomer {
                queue,
                token,
                envelope,
                commitment,
            };
            let suite = account::log(tx)?.suite();
            if newcomer.envelope.len() != suite.envelope_key_len() {
                // Nothing was revealed yet: it commits itself to other keys, and the secret waits for that.
                return say_to(tx, &newcomer, &offer.psk, &LinkMessage::Suite(suite));
            }
            offer.newcomer = Some(newcomer);
            offer.stage = OfferStage::Answered;
            offer.deadline = tx.now.saturating_add(limits::LINK_SECONDS);
            answer(tx, &mut offer)
        }
        (
            OfferStage::Answered,
            LinkMessage::Proposal {
                nonce,
                proposal,
                name,
            },
        ) => proposed(tx, offer, &nonce, proposal, name),
        // Another device changed the log meanwhile: the newcomer proposed itself again.
        (
            OfferStage::Adding,
            LinkMessage::Proposal {
                nonce, proposal, ..
            },
        ) => proposed_again(tx, offer, &nonce, proposal),
        (OfferStage::Comparing, LinkMessage::Same) => {
            offer.theirs_same = true;
            compared(tx, offer)
        }
        (OfferStage::Welcomed, LinkMessage::Installed) => installed(tx, &offer),
        (_, LinkMessage::Stop) => {
            take_back(tx, &offer)?;
            fail(tx, &offer, EngineError::LinkStopped)
        }
        _ => Ok(()),
    }
}

fn answer(tx: &mut Transaction<'_>, offer: &mut Offer) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let pin = account::log_of(&own)?.head();
    if offer.head == [0; 64] {
        offer.head = pin.hash;
    }
    store(tx, offer);
    let message = LinkMessage::Answer {
        account: own.id,
        name: own.name.clone(),
        pin,
        device: own.device,
        nonce: offer.old_nonce,
    };
    say(tx, offer, &message)
}

/// Sends a message to the new device.
fn say(tx: &mut Transaction<'_>, offer: &Offer, message: &LinkMessage) -> Result<(), EngineError> {
    match &offer.newcomer {
        Some(newcomer) => say_to(tx, newcomer, &offer.psk, message),
        None => Ok(()),
    }
}

fn say_to(
    tx: &mut Transaction<'_>,
    newcomer: &Newcomer,
    psk: &Secret<32>,
    message: &LinkMessage,
) -> Result<(), EngineError> {
    let Ok(envelope) = EnvelopePublic::from_bytes_of_any_suite(&newcomer.envelope) else {
        return Ok(());
    };
    let body = message.seal(tx.rng, &envelope, psk, &newcomer.queue);
    let body = body.map_err(|_| EngineError::LinkStopped)?;
    let relay = account::own(tx)?.relay.clone();
    send(tx, relay, &newcomer.queue, &newcomer.token, body)
}

/// Puts a message of a link in the outbox.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    relay: String,
    queue: &QueueId,
    token: &Secret<32>,
    body: Vec<u8>,
) -> Result<(), EngineError> {
    let request = wire::Request::Send(wire::Send {
        message_id: MessageId::random(tx.rng),
        body: wire::Body::new(body).map_err(|_| EngineError::Internal {
            what: "body of no bucket",
        })?,
        rows: vec![wire::SendRow {
            queue_id: *queue,
            token: wire::SendToken::from_bytes(*token.expose_secret()),
        }],
    });
    outbox::add(tx, Purpose::LinkMessage, relay, request).map(drop)
}

/// What the pairing code stands for on the side of the new device: all its public keys.
pub(crate) fn public_keys(device: &keys::account_log::DeviceRecord) -> Vec<u8> {
    [
        &device.id().as_bytes()[..],
        device.identity().map_or(&[], |key| &key.as_bytes()[..]),
        device.verifying_key().as_bytes(),
        device.envelope().as_bytes(),
    ]
    .concat()
}

fn proposed(
    tx: &mut Transaction<'_>,
    mut offer: Offer,
    nonce: &[u8; 32],
    bytes: Vec<u8>,
    name: String,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    let (device, keys) = match promised(tx, &log, &offer, nonce, &bytes) {
        Promise::Kept(device, keys) => (device, keys),
        Promise::Outdated => return answer(tx, &mut offer),
        Promise::Broken => return abandon(tx, &offer, EngineError::LinkStopped),
    };
    offer.pairing = link::pairing_code(nonce, &offer.old_nonce, &keys, &own.id, &offer.head);
    offer.device = Some(device);
    offer.proposal = bytes;
    offer.name = name;
    offer.stage = OfferStage::Comparing;
    store(tx, &offer);
    tx.event(Event::PairingCode {
        code: offer.pairing.clone(),
    });
    Ok(())
}

/// What a proposal is worth.
enum Promise {
    /// It is of the device that the newcomer promised: this one, with these public keys.
    Kept(DeviceId, Vec<u8>),
    /// Another device changed the log meanwhile.
    Outdated,
    /// It is none, or of another device.
    Broken,
}

/// Compares the device of a proposal with what the newcomer promised.
fn promised(
    tx: &Transaction<'_>,
    log: &VerifiedLog,
    offer: &Offer,
    nonce: &[u8; 32],
    proposal: &[u8],
) -> Promise {
    let (Ok(proposal), Some(newcomer)) = (Proposal::decode(proposal), &offer.newcomer) else {
        return Promise::Broken;
    };
    let record = match log.check_proposal(&proposal, tx.now) {
        Ok(record) => record,
        Err(LogError::BrokenChain { .. }) => return Promise::Outdated,
        Err(_) => return Promise::Broken,
    };
    let keys = public_keys(record);
    // SECURITY: without the promise a man in the middle tries nonces until the codes are equal;
    // `broken_promise_ends_the_link` notices.
    if keys::ct_eq(&newcomer.commitment, &link::commitment(nonce, &keys)) {
        Promise::Kept(*record.id(), keys)
    } else {
        Promise::Broken
    }
}

/// Another device changed the log meanwhile: the device that was compared proposes itself on top of it.
fn proposed_again(
    tx: &mut Transaction<'_>,
    mut offer: Offer,
    nonce: &[u8; 32],
    bytes: Vec<u8>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    match promised(tx, &log, &offer, nonce, &bytes) {
        Promise::Kept(device, _) if offer.device == Some(device) => {}
        Promise::Outdated => return answer(tx, &mut offer),
        Promise::Kept(..) | Promise::Broken => {
            return abandon(tx, &offer, EngineError::LinkStopped);
        }
    }
    offer.proposal = bytes;
    store(tx, &offer);
    add(tx, &offer)
}

/// Adds the device as it proposed itself.
fn add(tx: &mut Transaction<'_>, offer: &Offer) -> Result<(), EngineError> {
    let proposal = offer.proposal.clone();
    match own_log::wish(tx, CommandId::default(), &Wish::Add { proposal }) {
        Err(error @ EngineError::LogRefuses { .. }) => not_added(tx, error),
        result => result,
    }
}

/// A person compared the codes on this device.
pub(crate) fn confirm(tx: &mut Transaction<'_>, same: bool) -> Result<(), EngineError> {
    let Some(mut offer) = load(tx)? else {
        return joining::confirm(tx, same);
    };
    // Before the comparison whoever waits may leave, and the link ends; after it, it belongs to nobody who waits.
    if offer.stage > OfferStage::Comparing || (same && offer.stage != OfferStage::Comparing) {
        return Err(EngineError::NoLink);
    }
    if !same {
        return abandon(tx, &offer, EngineError::LinkStopped);
    }
    offer.ours_same = true;
    compared(tx, offer)
}

fn compared(tx: &mut Transaction<'_>, mut offer: Offer) -> Result<(), EngineError> {
    // SECURITY: both people said so; `one_confirmation_adds_nothing` notices.
    if !(offer.ours_same && offer.theirs_same) {
        store(tx, &offer);
        return Ok(());
    }
    offer.stage = OfferStage::Adding;
    store(tx, &offer);
    add(tx, &offer)
}

/// The entry could not be signed as it was proposed.
pub(crate) fn not_added(tx: &mut Transaction<'_>, error: EngineError) -> Result<(), EngineError> {
    let Some(mut offer) = load(tx)?.filter(|offer| offer.stage == OfferStage::Adding) else {
        return Ok(());
    };
    if let EngineError::LogRefuses {
        error: LogError::BrokenChain { .. },
    } = error
    {
        // Another device was faster: the newcomer signs on top of its entry.
        return answer(tx, &mut offer);
    }
    abandon(tx, &offer, error)
}

/// The device is in the log: history is packed.
pub(crate) fn added(tx: &mut Transaction<'_>, log: &VerifiedLog) -> Result<(), EngineError> {
    let Some(device) = log.entries().last().and_then(|entry| entry.subject) else {
        return Ok(());
    };
    let is_its = |offer: &Offer| offer.stage == OfferStage::Adding && offer.device == Some(device);
    let Some(mut offer) = load(tx)?.filter(is_its) else {
        // The link ended while the entry was on its way.
        return retire(tx, device);
    };
    offer.name = devices::set_name(tx, &device, &offer.name)?;
    offer.stage = OfferStage::Packing;
    offer.deadline = tx.now.saturating_add(limits::LINK_INSTALL_SECONDS);
    store(tx, &offer);
    pack(tx, offer)
}

/// Packs the next part, or sends the welcome when all are stored.
fn pack(tx: &mut Transaction<'_>, mut offer: Offer) -> Result<(), EngineError> {
    if let Some(part) = archive::next_part(tx, &mut offer.cursor)? {
        let part = archive::seal(tx, &part, PartPurpose::Link)?;
        offer.parts.push(part);
        store(tx, &offer);
        return Ok(());
    }
    let own = account::own(tx)?;
    let raw = wire::RawLog::parse(&own.log).map_err(|_| EngineError::Protocol)?;
    let Some(device) = offer.device else {
        return Ok(());
    };
    let log = account::log_of(&own)?;
    let before = |entry: &&keys::account_log::EntrySummary| !entry.devices.contains(&device);
    let first = log.entries().iter().take_while(before).count();
    let first = u64::try_from(first).map_err(|_| EngineError::Protocol)?;
    let entries = raw.part(first).ok_or(EngineError::Protocol)?.entries;
    let message = LinkMessage::Welcome {
        entries: entries.to_vec(),
        parts: std::mem::take(&mut offer.parts),
    };
    say(tx, &offer, &message)?;
    offer.stage = OfferStage::Welcomed;
    store(tx, &offer);
    Ok(())
}

/// The relay has a part.
pub(crate) fn part_stored(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(offer) = load(tx)?.filter(|offer| offer.stage == OfferStage::Packing) else {
        return Ok(());
    };
    let done = u64::try_from(offer.parts.len()).unwrap_or(u64::MAX);
    tx.event(Event::LinkProgress { done, total: 0 });
    pack(tx, offer)
}

/// The relay does not take a part.
pub(crate) fn part_refused(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(offer) = load(tx)?.filter(|offer| offer.stage == OfferStage::Packing) else {
        return Ok(());
    };
    abandon(tx, &offer, EngineError::UploadFailed)
}

/// A device of ours spoke: if its report got lost, this is as good.
pub(crate) fn heard_from(tx: &mut Transaction<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let is_its =
        |offer: &Offer| offer.stage == OfferStage::Welcomed && offer.device == Some(*device);
    match load(tx)?.filter(is_its) {
        Some(offer) => installed(tx, &offer),
        None => Ok(()),
    }
}

fn installed(tx: &mut Transaction<'_>, offer: &Offer) -> Result<(), EngineError> {
    end(tx, offer)?;
    if let Some(device) = offer.device {
        tx.event(Event::DeviceLinked { device });
        crate::errands::tell_name(tx, &device, &offer.name)?;
        crate::standby::tell(tx)?;
        tx.outcome(offer.command, CommandOutcome::Linked(device));
    }
    Ok(())
}

/// A device that is in the log and did not come to be goes again. One whose entry is still on its way goes
/// when that has come.
fn take_back(tx: &mut Transaction<'_>, offer: &Offer) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    match offer.device.filter(|device| log.device(device).is_some()) {
        Some(device) => retire(tx, device),
        None => Ok(()),
    }
}

fn retire(tx: &mut Transaction<'_>, device: DeviceId) -> Result<(), EngineError> {
    let reason = Reason::Retired;
    own_log::wish(tx, CommandId::default(), &Wish::Revoke { device, reason })
}

/// The link ends from this side: the other one is told, and a device that is in the log already goes again.
fn abandon(tx: &mut Transaction<'_>, offer: &Offer, error: EngineError) -> Result<(), EngineError> {
    say(tx, offer, &LinkMessage::Stop)?;
    take_back(tx, offer)?;
    fail(tx, offer, error)
}

fn fail(tx: &mut Transaction<'_>, offer: &Offer, error: EngineError) -> Result<(), EngineError> {
    end(tx, offer)?;
    tx.event(Event::LinkEnded {
        error: error.clone(),
    });
    tx.outcome(offer.command, CommandOutcome::Failed(error));
    Ok(())
}

/// Nothing of the link is left.
fn end(tx: &mut Transaction<'_>, offer: &Offer) -> Result<(), EngineError> {
    tx.delete(Table::Meta, OFFER.to_vec());
    for part in &offer.parts {
        archive::forget(tx, &part.blob);
    }
    match queues::load(tx, &offer.queue)? {
        Some(queue) => queues::close(tx, &queue),
        None => Ok(()),
    }
}

/// Ends what took too long.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if let Some(offer) = load(tx)?.filter(|offer| offer.deadline < tx.now) {
        return abandon(tx, &offer, EngineError::LinkExpired);
    }
    joining::tick(tx)
}

/// Goes on after a restart.
pub(crate) fn resume(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(offer) = load(tx)? else {
        return Ok(());
    };
    // Whoever waited at the old process is gone, and with it the screen that shows the secret or the code.
    match offer.stage {
        OfferStage::Offered | OfferStage::Answered | OfferStage::Comparing => {
            say(tx, &offer, &LinkMessage::Stop)?;
            fail(tx, &offer, EngineError::LinkStopped)
        }
        _ => Ok(()),
    }
}

/// A relay refused a message of a link.
pub(crate) fn refused(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    joining::refused(tx)
}

/// The log of the account that is joined came.
pub(crate) fn log_came(tx: &mut Transaction<'_>, log: &[u8]) -> Result<(), EngineError> {
    joining::log_came(tx, log)
}
