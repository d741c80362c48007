//! Sessions with the devices of contacts: begun, used, and the routes their letters take.

use crate::account;
use crate::backup;
use crate::certificates;
use crate::contacts;
use crate::content::{Body, Content, Head, Heads};
use crate::envelope::{self, Inner, Introduction, SealedContent};
use crate::error::{EngineError, StoreError};
use crate::evidence::{self, PreKeys, Shown};
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::peers::{self, Peer};
use crate::pre_keys;
use crate::records::{OutboxEntry, OwnAccount, Purpose, key};
use crate::retired;
use crate::routes;
use crate::sending;
use crate::signed;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use crate::waiting;
use keys::account_log::{DeviceRecord, OpeningSecrets, VerifiedLog};
use keys::{AccountId, DeviceId, LetterId, MessageId, QueueId, Secret, Timestamp};
use ratchet::{
    DecryptError, IncomingMessage, IncomingPreKeyMessage, Local, MessageKind, Profile, Received,
    Remote,
};
use zeroize::Zeroizing;

fn place(account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[account.as_bytes(), device.as_bytes()])
}

fn load(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<ratchet::Record, EngineError> {
    match tx.get(Table::Session, &place(account, device))? {
        Some(bytes) => ratchet::Record::decode(&bytes)
            .map_err(|_| StoreError::Damaged { what: "session" }.into()),
        None => Ok(ratchet::Record::letterlock()),
    }
}

fn store(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    record: &ratchet::Record,
) {
    tx.put(
        Table::Session,
        place(account, device),
        record.encode().into_zeroizing(),
    );
}

/// When the newest session with a device began: BE8 seconds.
const BEGUN: &[u8] = b"session-begun/";

fn note_begun(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    let now = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
    tx.put(Table::Meta, begun(account, device), now);
}

fn begun(account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[BEGUN, account.as_bytes(), device.as_bytes()])
}

/// When the newest session with a device began, seen from outside a step.
pub(crate) fn begun_at(
    snapshot: &dyn Snapshot,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Option<Timestamp>, StoreError> {
    let row = snapshot.get(Table::Meta, &begun(account, device))?;
    let at = row.and_then(|row| row.as_slice().try_into().ok());
    Ok(at.map(|at| Timestamp::from_secs(u64::from_be_bytes(at))))
}

/// The session with a device ends.
pub(crate) fn end(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    tx.delete(Table::Session, place(account, device));
    tx.delete(Table::Meta, begun(account, device));
}

/// Whether there is a session with a device in which something can be sealed.
pub(crate) fn can_send(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    Ok(load(tx, account, device)?.can_send(tx.now))
}

/// The account has ended: nothing is opened or sealed any more.
pub(crate) fn destroy(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Session, &[], |tx, place, _| {
        tx.delete(Table::Session, place.to_vec());
        Ok(())
    })
}

/// Whether a letter can be sealed for a device now.
pub(crate) fn ready(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let route = routes::load(tx, account, device)?;
    if can_send(tx, account, device)? {
        return Ok(route.is_usable());
    }
    Ok(route.front_door.is_some() && signed::between(tx, account, device)?)
}

/// Keys came: begin the session and seal what waits.
pub(crate) fn bundle_fetched(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    bundle: &wire::Bundle,
) -> Result<(), EngineError> {
    let repair = waiting::answered(tx, account, device)?;
    let Some(peer) = peers::load(tx, account)? else {
        return Ok(());
    };
    let Some(theirs) = peer.log.device(device) else {
        return Ok(()); // It was revoked meanwhile, and what waited for it is gone.
    };
    let own = account::own(tx)?;
    let our_log = account::log_of(&own)?;
    if signed::without_session(own.secrets.identity().is_some(), theirs) {
        routes::learn_front_door(tx, account, device, &bundle.front_door)?;
        let waiting = waiting::take(tx, account, device)?;
        return seal_all(tx, &waiting, device);
    }
    if !begin(tx, (&own, &our_log), (&peer, theirs), bundle).unwrap_or(false) {
        // The device may have changed its keys since its log was asked for.
        if waiting::doubt(tx, account, device, repair)? {
            return logs::check(tx, account);
        }
        // SECURITY: keys that the device did not sign come from the relay; `relay_swaps_pre_keys` notices.
        let shown = Shown::PreKeys(PreKeys::of(bundle, device));
        evidence::keep(tx, &peer.id, peer.log.bytes(), shown)?;
        for letter in waiting::take(tx, account, device)? {
            let error = EngineError::BadKeys { contact: *account };
            sending::fail(tx, &letter, device, error)?;
        }
        return Ok(());
    }
    waiting::trust(tx, account, device);
    let waiting = waiting::take(tx, account, device)?;
    if repair {
        let content = Content::new(LetterId::random(tx.rng), tx.now, Body::Repair);
        let message = MessageId::random(tx.rng);
        send(tx, account, device, content, message, None)?;
        sending::send_again(tx, account, device)?;
    }
    seal_all(tx, &waiting, device)
}

/// Seals letters that wait no longer. One that cannot be sealed fails and is told: it takes no other one with it.
fn seal_all(
    tx: &mut Transaction<'_>,
    letters: &[LetterId],
    device: &DeviceId,
) -> Result<(), EngineError> {
    for letter in letters {
        match sending::seal_for(tx, letter, device) {
            Ok(()) => {}
            Err(EngineError::Store(error)) => return Err(EngineError::Store(error)),
            Err(error) => sending::fail(tx, letter, device, error)?,
        }
    }
    Ok(())
}

fn begin(
    tx: &mut Transaction<'_>,
    (own, our_log): (&OwnAccount, &VerifiedLog),
    (peer, theirs): (&Peer, &DeviceRecord),
    bundle: &wire::Bundle,
) -> Result<bool, EngineError> {
    let identity = theirs.identity();
    let keys = identity.and_then(|identity| pre_keys::decode_bundle(bundle, identity));
    let (ours, list) = (our_log.device_list_hash(), peer.log.device_list_hash());
    let lists: [&[u8]; 1] = [ours];
    let both = local(own, &lists).zip(remote(theirs, list));
    let Some((keys, (local, remote))) = keys.zip(both) else {
        return Ok(false);
    };
    let mut record = load(tx, &peer.id, theirs.id())?;
    let now = tx.now;
    let begun = record.initiate(&local, &remote, &keys, now, tx.rng);
    if begun.is_err() {
        return Ok(false);
    }
    store(tx, &peer.id, theirs.id(), &record);
    note_begun(tx, &peer.id, theirs.id());
    routes::learn_front_door(tx, &peer.id, theirs.id(), &bundle.front_door)?;
    Ok(true)
}

/// Whether this device and another one have keys for a session.
pub(crate) fn are_possible_with(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let ours = account::own(tx)?.secrets.identity().is_some();
    let peer = peers::load(tx, account)?;
    let theirs = peer.as_ref().and_then(|peer| peer.log.device(device));
    Ok(ours && theirs.is_none_or(|theirs| theirs.identity().is_some()))
}

/// Nothing in a suite without sessions of two devices.
fn local<'a>(own: &'a OwnAccount, lists: &'a [&'a [u8]]) -> Option<Local<'a>> {
    let (identity, signing) = (own.secrets.identity()?, own.secrets.signing());
    let id = own.registration_id;
    Some(Local::letterlock(identity, signing, id, lists))
}

fn remote<'a>(device: &'a DeviceRecord, list: &'a [u8]) -> Option<Remote<'a>> {
    let identity = device.identity()?;
    Some(Remote::letterlock(*identity, device.verifying_key(), list))
}

/// Seals a content for a device with a session and puts it in the outbox.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    content: Content,
    message: MessageId,
    letter: Option<LetterId>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let peer = peers::existing(tx, account)?;
    let theirs = peer.log.device(device).ok_or(EngineError::Undeliverable)?;
    if signed::without_session(own.secrets.identity().is_some(), theirs) {
        return send_signed(tx, (&own, &peer, theirs), content, message, letter);
    }
    let content = filled(tx, &own, (&peer, &[*device]), content)?;
    let inner = encrypt(tx, &own, account, device, &content)?;
    let (relay, row, body) = seal(tx, (&own, &peer, theirs), &inner, letter)?;
    let to = (account, device, letter);
    let entry = entry(to, message, relay, row, body)?;
    outbox::add_all(tx, vec![entry])
}

/// Signs a content for a device with which there is no session, and puts it in the outbox.
fn send_signed(
    tx: &mut Transaction<'_>,
    (own, peer, theirs): (&OwnAccount, &Peer, &DeviceRecord),
    mut content: Content,
    message: MessageId,
    letter: Option<LetterId>,
) -> Result<(), EngineError> {
    // Its recipient would refuse it: letters have forward secrecy.
    if !signed::may_hold(&content) {
        return Err(EngineError::Internal {
            what: "letter without a session",
        });
    }
    let device = theirs.id();
    attach(tx, own, (peer, &[*device]), &mut content)?;
    let Some((queue, token)) = routes::load(tx, &peer.id, device)?.front_door else {
        return Err(EngineError::Internal {
            what: "word without a way",
        });
    };
    let parties = signed::Parties {
        from: (&own.id, &own.device),
        to: (&peer.id, device),
        queue: &queue,
    };
    let inner = signed::seal(
        tx.rng,
        tx.now,
        own.secrets.signing(),
        parties,
        &content.encode(),
    )?;
    let mut introduction = introduction(own, peer)?;
    if signed::has_met(tx, &peer.id, device)? {
        introduction.log.clear();
    }
    let body = seal_introduced(tx, (theirs, &queue), introduction, &inner)?;
    let to = (&peer.id, device, letter);
    let entry = entry(to, message, peer.relay.clone(), row(queue, &token), body)?;
    outbox::add_all(tx, vec![entry])
}

/// Fills in what goes with every content, and where answers are to go.
fn filled(
    tx: &mut Transaction<'_>,
    own: &OwnAccount,
    (peer, devices): (&Peer, &[DeviceId]),
    mut content: Content,
) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    attach(tx, own, (peer, devices), &mut content)?;
    content.route = routes::offer(tx, &peer.id)?;
    Ok(content.encode())
}

/// Fills in what goes with every content.
fn attach(
    tx: &mut Transaction<'_>,
    own: &OwnAccount,
    (peer, devices): (&Peer, &[DeviceId]),
    content: &mut Content,
) -> Result<(), EngineError> {
    for device in devices.iter().filter(|_| !peer.own) {
        let certificate = certificates::to_show(tx, &peer.id, device)?;
        content.certificate = content.certificate.take().or(certificate);
    }
    content.heads = Some(Heads {
        ours: Head::of(&own.pin),
        yours: Head::of(&peer.log.head()),
        backup: backup::version(tx)?,
        your_backup: contacts::load(tx, &peer.id)?.map_or(0, |contact| contact.backup),
    });
    Ok(())
}

/// Encrypts with the session of a device.
fn encrypt(
    tx: &mut Transaction<'_>,
    own: &OwnAccount,
    account: &AccountId,
    device: &DeviceId,
    plaintext: &[u8],
) -> Result<Inner, EngineError> {
    let mut record = load(tx, account, device)?;
    let sealed = record
        .encrypt(plaintext, tx.now, tx.rng)
        .map_err(|_| EngineError::Internal {
            what: "session that may not send",
        })?;
    store(tx, account, device, &record);
    Ok(Inner {
        device: own.device,
        kind: match sealed.kind {
            MessageKind::PreKey => envelope::MessageKind::PreKey,
            MessageKind::Message => envelope::MessageKind::Ratchet,
        },
        message: sealed.bytes,
    })
}

fn entry(
    (account, device, letter): (&AccountId, &DeviceId, Option<LetterId>),
    message: MessageId,
    relay: String,
    row: wire::SendRow,
    body: Vec<u8>,
) -> Result<OutboxEntry, EngineError> {
    let request = wire::Request::Send(wire::Send {
        message_id: message,
        body: wire::Body::new(body).map_err(|_| EngineError::Internal {
            what: "body of no bucket",
        })?,
        rows: vec![row],
    });
    Ok(OutboxEntry {
        purpose: Purpose::Send {
            message,
            account: *account,
            device: *device,
            letter,
        },
        relay,
        request: request.encode(),
    })
}

/// Whether letters to a device go to the queue that it made for us.
pub(crate) fn on_route(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    if !can_send(tx, account, device)? {
        return Ok(false); // What goes without a session goes by the front door.
    }
    let route = routes::load(tx, account, device)?;
    let settled = route.front_door.is_none() || routes::front_door_settled(tx, account, device)?;
    Ok(route.contact.is_some() && settled)
}

/// Seals a content once for several devices of an account, each of which has its session and route: one body,
/// and for each device a slot with the key of the content.
pub(crate) fn send_together(
    tx: &mut Transaction<'_>,
    (account, devices): (&AccountId, &[DeviceId]),
    content: Content,
    message: MessageId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let peer = peers::existing(tx, account)?;
    let content = filled(tx, &own, (&peer, devices), content)?;
    let key = Secret::random(tx.rng);
    let mut slots = Vec::with_capacity(devices.len());
    for device in devices {
        let inner = encrypt(tx, &own, account, device, key.expose_secret())?;
        let route = routes::load(tx, account, device)?.contact;
        slots.push((route.ok_or(EngineError::Undeliverable)?, inner));
    }
    let to = slots.iter().map(|(route, inner)| envelope::Slot {
        key: &route.key,
        queue: &route.queue,
        inner,
    });
    let body = envelope::seal_together(tx.rng, &to.collect::<Vec<_>>(), &key, &content);
    let body = body.map_err(|_| EngineError::TextTooLong {
        got: content.len(),
        max: limits::TEXT_BYTES,
    })?;
    let mut entries = Vec::with_capacity(devices.len());
    for (device, (route, _)) in devices.iter().zip(slots) {
        let row = row(route.queue, &route.token);
        let to = (account, device, Some(*letter));
        entries.push(entry(to, message, route.relay, row, body.clone())?);
    }
    outbox::add_all(tx, entries)
}

fn row(queue_id: QueueId, token: &Secret<32>) -> wire::SendRow {
    wire::SendRow {
        queue_id,
        token: wire::SendToken::from_bytes(*token.expose_secret()),
    }
}

/// Seals a ratchet message for the device's route, or for its front door where it told no route yet, or where
/// it has not confirmed the letters there: what lies in two queues comes in any order.
fn seal(
    tx: &mut Transaction<'_>,
    (own, peer, theirs): (&OwnAccount, &Peer, &DeviceRecord),
    inner: &Inner,
    letter: Option<LetterId>,
) -> Result<(String, wire::SendRow, Vec<u8>), EngineError> {
    let route = routes::load(tx, &peer.id, theirs.id())?;
    let settled =
        route.front_door.is_none() || routes::front_door_settled(tx, &peer.id, theirs.id())?;
    if let (Some(route), true) = (route.contact, settled) {
        let body = envelope::seal_route(tx.rng, &route.key, &route.queue, inner);
        let body = body.map_err(|_| too_long(inner))?;
        return Ok((route.relay, row(route.queue, &route.token), body));
    }
    let Some((queue, token)) = route.front_door else {
        return Err(EngineError::Internal {
            what: "session without route",
        });
    };
    if let Some(letter) = letter {
        routes::note_front_door(tx, &peer.id, theirs.id(), &letter);
    }
    let introduction = introduction(own, peer)?;
    let body = seal_introduced(tx, (theirs, &queue), introduction, inner)?;
    Ok((peer.relay.clone(), row(queue, &token), body))
}

/// Seals a message for a front door, with our log where both fit into one body: without it the recipient asks for it.
fn seal_introduced(
    tx: &mut Transaction<'_>,
    (theirs, queue): (&DeviceRecord, &QueueId),
    mut introduction: Introduction,
    inner: &Inner,
) -> Result<Vec<u8>, EngineError> {
    let to = theirs.envelope();
    let mut body = envelope::seal_front_door(tx.rng, to, queue, &introduction, inner);
    if body.is_err() {
        // `a_long_letter_to_a_new_device_goes_without_the_log` notices.
        introduction.log.clear();
        body = envelope::seal_front_door(tx.rng, to, queue, &introduction, inner);
    }
    body.map_err(|_| too_long(inner))
}

fn too_long(inner: &Inner) -> EngineError {
    EngineError::TextTooLong {
        got: inner.message.len(),
        max: limits::TEXT_BYTES,
    }
}

/// What we say of ourselves at a front door.
fn introduction(own: &OwnAccount, peer: &Peer) -> Result<Introduction, EngineError> {
    Ok(Introduction {
        account: own.id,
        name: own.name.clone(),
        relay: own.relay.clone(),
        head: account::log_of(own)?.head(),
        // Our own devices have the log, and a long one is for the recipient to fetch.
        log: if peer.own || own.log.len() > limits::LOG_IN_ENVELOPE_BYTES {
            Vec::new()
        } else {
            own.log.clone()
        },
        ticket: peer.ticket,
    })
}

/// What opening gave.
pub(crate) enum Decrypted {
    /// The content's bytes.
    Plaintext(Zeroizing<Vec<u8>>),
    /// It was opened before.
    Duplicate,
    /// It does not open.
    Failed,
    /// The sender is no device of the account, as far as its log is known.
    NoDevice,
}

/// What lay in a queue of ours, below the outermost layer.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) inner: &'a Inner,
    /// Where it went to several devices.
    pub(crate) content: Option<&'a SealedContent>,
    /// The queue, where that is our front door.
    pub(crate) front_door: Option<&'a QueueId>,
}

/// Opens a ratchet message, or a word without a session, of a contact's device.
pub(crate) fn decrypt(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    sealed: Sealed<'_>,
) -> Result<Decrypted, EngineError> {
    let (inner, content) = (sealed.inner, sealed.content);
    // SECURITY: a device that is not in the log, or not any more, is not heard.
    let Some(theirs) = peer.log.device(&inner.device) else {
        return Ok(Decrypted::NoDevice);
    };
    if inner.kind == envelope::MessageKind::Signed {
        let Some(queue) = sealed.front_door else {
            return Ok(Decrypted::Failed);
        };
        let opened = signed::open(tx, (peer, theirs), queue, &inner.message)?;
        return Ok(match opened {
            signed::Opened::Content(content) => Decrypted::Plaintext(content),
            signed::Opened::Duplicate => Decrypted::Duplicate,
            signed::Opened::Failed => Decrypted::Failed,
        });
    }
    let mut record = load(tx, &peer.id, &inner.device)?;
    let opened = match inner.kind {
        envelope::MessageKind::Ratchet => open(tx, &mut record, &inner.message),
        envelope::MessageKind::PreKey => {
            open_first(tx, &mut record, (&peer.log, theirs), &inner.message)?
        }
        envelope::MessageKind::Signed => Err(DecryptError::Refused),
    };
    let opened = match opened {
        Ok(received) => {
            store(tx, &peer.id, &inner.device, &record);
            if received.used.is_some() {
                note_begun(tx, &peer.id, &inner.device);
            }
            retired::heard(tx, &peer.id, &inner.device)?;
            Ok(received)
        }
        Err(DecryptError::Refused) => retired::open(tx, peer, inner)?,
        other => other,
    };
    match opened {
        Ok(received) => {
            if let Some(used) = &received.used {
                pre_keys::used(tx, used)?;
            }
            let plaintext = Zeroizing::new(received.plaintext);
            let Some(content) = content else {
                return Ok(Decrypted::Plaintext(plaintext));
            };
            match content.open(&plaintext) {
                Ok(plaintext) => Ok(Decrypted::Plaintext(plaintext)),
                Err(_) => Ok(Decrypted::Failed),
            }
        }
        Err(DecryptError::Duplicate) => Ok(Decrypted::Duplicate),
        Err(_) => Ok(Decrypted::Failed),
    }
}

fn open(
    tx: &mut Transaction<'_>,
    record: &mut ratchet::Record,
    message: &[u8],
) -> Result<Received, DecryptError> {
    let incoming =
        IncomingMessage::decode(Profile::Letterlock, message).map_err(|_| DecryptError::Refused)?;
    record.decrypt(&incoming, tx.now, tx.rng)
}

/// Opens a message that may begin a session. The outer error is the store's.
fn open_first(
    tx: &mut Transaction<'_>,
    record: &mut ratchet::Record,
    (their_log, theirs): (&VerifiedLog, &DeviceRecord),
    message: &[u8],
) -> Result<Result<Received, DecryptError>, EngineError> {
    match IncomingPreKeyMessage::decode(Profile::Letterlock, message) {
        Ok(incoming) => respond(tx, record, (their_log, theirs), (&incoming, None)),
        Err(_) => Ok(Err(DecryptError::Refused)),
    }
}

/// Opens such a message with the keys of this device, or with some that were replaced.
pub(crate) fn respond(
    tx: &mut Transaction<'_>,
    record: &mut ratchet::Record,
    (their_log, theirs): (&VerifiedLog, &DeviceRecord),
    (incoming, replaced): (&IncomingPreKeyMessage, Option<&OpeningSecrets>),
) -> Result<Result<Received, DecryptError>, EngineError> {
    let own = account::own(tx)?;
    let our_log = account::log_of(&own)?;
    let found = pre_keys::Found::of(tx, &incoming.named())?;
    let ours = lists(&our_log);
    let mut opened = Err(DecryptError::Refused);
    // Either list may have changed since the session began.
    for list in lists(their_log) {
        let ours = match replaced {
            None => local(&own, &ours),
            Some(replaced) => replaced.identity().map(|identity| {
                let signing = own.secrets.signing(); // An answer is not signed.
                Local::letterlock(identity, signing, own.registration_id, &ours)
            }),
        };
        let Some((local, remote)) = ours.zip(remote(theirs, list)) else {
            break;
        };
        let keys = found.keys();
        opened = record.respond(incoming, &local, &remote, &keys, tx.now, tx.rng);
        if !matches!(opened, Err(DecryptError::Refused)) {
            break;
        }
    }
    Ok(opened)
}

/// The device lists a session may be bound to, newest first.
fn lists(log: &VerifiedLog) -> Vec<&[u8]> {
    let entries = log.entries().iter().rev();
    let mut lists: Vec<&[u8]> = entries.map(|entry| &entry.device_list[..]).collect();
    lists.dedup();
    lists.truncate(limits::DEVICE_LISTS);
    lists
}
