//! Sessions with the devices of contacts: begun, used, and the routes their letters take.

use crate::account;
use crate::contacts;
use crate::content::{Body, Content, RouteOffer};
use crate::envelope::{self, Inner, Introduction};
use crate::error::{EngineError, StoreError};
use crate::letters;
use crate::limits;
use crate::outbox;
use crate::pre_keys;
use crate::records::{Contact, ContactRoute, OwnAccount, Purpose, Record as _, RouteRecord, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::{DeviceRecord, UnverifiedLog, VerifiedLog};
use keys::{AccountId, DeviceId, LetterId, MessageId, Secret, Timestamp};
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

/// Whether a letter can be sealed for a device now.
pub(crate) fn ready(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    Ok(load(tx, account, device)?.can_send(tx.now) && route_of(tx, account, device)?.is_usable())
}

/// Lets a letter wait for a session, and asks for keys where nobody has.
pub(crate) fn wait(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    put_waiting(tx, account, device, letter)?;
    ask(tx, account, device)
}

fn put_waiting(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let number = tx.next_number("waiting")?;
    let waiting = key(&[&place(account, device), &number.to_be_bytes()]);
    let value = Zeroizing::new(letter.as_bytes().to_vec());
    tx.put(Table::Waiting, waiting, value);
    Ok(())
}

/// Asks the contact's relay for keys of a device, where no question is open.
fn ask(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let asked = mark(ASKED, account, device);
    if tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    let contact = contacts::existing(tx, account)?;
    let request = wire::Request::FetchBundle(wire::FetchBundle {
        account: *account,
        device: *device,
    });
    let purpose = Purpose::FetchBundle(*account, *device);
    outbox::add(tx, purpose, contact.relay, request).map(drop)
}

/// The contact's relay knows no way to a device now, perhaps because it lost it: asked again in a while.
pub(crate) fn wait_longer(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let sent_at = letters::load(tx, letter)?.map(|letter| letter.sent_at);
    if sent_at.is_none_or(|sent_at| tx.now.since(sent_at) > limits::SENT_KEPT_SECONDS) {
        return letters::fail(tx, letter, EngineError::NoPreKeys);
    }
    put_waiting(tx, account, device, letter)?;
    let due = tx.now.saturating_add(limits::ASK_AGAIN_SECONDS).as_secs();
    let value = Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Meta, mark(AGAIN, account, device), value);
    Ok(())
}

/// Asks again for keys of devices whose relay knew none.
pub(crate) fn ask_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Meta, AGAIN, |tx, place, due| {
        if due > tx.now.as_secs().to_be_bytes().as_slice() {
            return Ok(());
        }
        tx.delete(Table::Meta, place.to_vec());
        let damaged = StoreError::Damaged { what: "question" };
        let ids = place
            .strip_prefix(AGAIN)
            .and_then(|ids| ids.split_first_chunk::<32>());
        let (account, device) = ids.ok_or(damaged)?;
        let device =
            DeviceId::from_slice(device).ok_or(StoreError::Damaged { what: "question" })?;
        ask(tx, &AccountId::from_bytes(*account), &device)
    })
}

/// A device's question for keys is open.
const ASKED: &[u8] = b"bundle/";
/// A device's keys are to be asked for again, at a time.
const AGAIN: &[u8] = b"bundle-again/";
/// When a session with a device was last repaired.
const REPAIRED: &[u8] = b"repaired/";
/// The session that begins next is a repair.
const REPAIRING: &[u8] = b"repairing/";

fn mark(what: &[u8], account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[what, &place(account, device)])
}

/// A letter does not open: one side lost its state. We begin a new session, at most once an hour, and what
/// it carries asks the peer for what it sent and we did not confirm.
pub(crate) fn repair(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let place = mark(REPAIRED, &contact.id, device);
    let last = tx.get(Table::Meta, &place)?;
    let last = last.and_then(|last| last.as_slice().try_into().ok().map(u64::from_be_bytes));
    let recent =
        last.is_some_and(|last| tx.now.since(Timestamp::from_secs(last)) < limits::REPAIR_SECONDS);
    // A stranger learns nothing, and a contact whose identity changed gets nothing sealed.
    if recent || contact.request || contact.changed || contact.blocked {
        return Ok(());
    }
    let now = tx.now.as_secs().to_be_bytes().to_vec();
    tx.put(Table::Meta, place, Zeroizing::new(now));
    let repairing = mark(REPAIRING, &contact.id, device);
    tx.put(Table::Meta, repairing, Zeroizing::new(Vec::new()));
    ask(tx, &contact.id, device)
}

/// The letters that wait for a device, in order; they wait no longer.
fn take_waiting(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Vec<LetterId>, EngineError> {
    let prefix = place(account, device);
    let rows = tx.scan(Table::Waiting, &prefix, None, limits::WAITING_LETTERS)?;
    let mut letters = Vec::with_capacity(rows.len());
    for (waiting, letter) in rows {
        letters.extend(LetterId::from_slice(&letter));
        tx.delete(Table::Waiting, waiting);
    }
    Ok(letters)
}

/// Keys came: begin the session and seal what waits.
pub(crate) fn bundle_fetched(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    bundle: &wire::Bundle,
) -> Result<(), EngineError> {
    tx.delete(Table::Meta, mark(ASKED, account, device));
    let contact = contacts::existing(tx, account)?;
    let own = account::own(tx)?;
    let (our_log, their_log) = (own_log(&own)?, contacts::log_of(&contact)?);
    let begun = their_log.device(device).is_some_and(|theirs| {
        begin(tx, (&own, &our_log), (&contact, &their_log, theirs), bundle).unwrap_or(false)
    });
    if !begun {
        // SECURITY: keys that the device did not sign come from the relay; `relay_swaps_pre_keys` notices.
        contacts::keep_evidence(tx, &contact, &bundle.signed_ec);
        for letter in take_waiting(tx, account, device)? {
            letters::fail(tx, &letter, EngineError::BadKeys { contact: *account })?;
        }
        return Ok(());
    }
    let repairing = mark(REPAIRING, account, device);
    if tx.get(Table::Meta, &repairing)?.is_some() {
        tx.delete(Table::Meta, repairing);
        let content = Content {
            id: LetterId::random(tx.rng),
            sent_at: tx.now,
            route: None,
            body: Body::Repair,
        };
        let message = MessageId::random(tx.rng);
        send(tx, account, device, content, message, None)?;
    }
    for letter in take_waiting(tx, account, device)? {
        letters::seal_for(tx, &letter, device)?;
    }
    Ok(())
}

fn begin(
    tx: &mut Transaction<'_>,
    (own, our_log): (&OwnAccount, &VerifiedLog),
    (contact, their_log, theirs): (&Contact, &VerifiedLog, &DeviceRecord),
    bundle: &wire::Bundle,
) -> Result<bool, EngineError> {
    let Some(keys) = pre_keys::decode_bundle(bundle, theirs.identity()) else {
        return Ok(false);
    };
    let mut record = load(tx, &contact.id, theirs.id())?;
    let now = tx.now;
    let (ours, list) = (our_log.device_list_hash(), their_log.device_list_hash());
    let begun = record.initiate(
        &local(own, &[ours]),
        &remote(theirs, list),
        &keys,
        now,
        tx.rng,
    );
    if begun.is_err() {
        return Ok(false);
    }
    store(tx, &contact.id, theirs.id(), &record);
    let mut route = route_of(tx, &contact.id, theirs.id())?;
    let token = Secret::from_fn(|out: &mut [u8; 32]| *out = *bundle.front_door.token.as_bytes());
    route.front_door = Some((bundle.front_door.queue_id, token));
    store_route(tx, &contact.id, theirs.id(), &route);
    Ok(true)
}

/// The relay has no keys for a device: what waits for it waits longer.
pub(crate) fn no_bundle(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    tx.delete(Table::Meta, mark(ASKED, account, device));
    for letter in take_waiting(tx, account, device)? {
        wait_longer(tx, account, device, &letter)?;
    }
    Ok(())
}

fn own_log(own: &OwnAccount) -> Result<VerifiedLog, EngineError> {
    UnverifiedLog::decode(&own.log)
        .and_then(|log| log.verify(Some(&own.id), None))
        .map_err(|_| {
            StoreError::Damaged {
                what: "own account log",
            }
            .into()
        })
}

fn local<'a>(own: &'a OwnAccount, lists: &'a [&'a [u8]]) -> Local<'a> {
    let secrets = &own.secrets;
    Local::letterlock(
        secrets.identity(),
        secrets.signing(),
        own.registration_id,
        lists,
    )
}

fn remote<'a>(device: &'a DeviceRecord, list: &'a [u8]) -> Remote<'a> {
    Remote::letterlock(*device.identity(), device.verifying_key(), list)
}

/// Seals a content for a device with a session and puts it in the outbox.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    mut content: Content,
    message: MessageId,
    letter: Option<LetterId>,
) -> Result<(), EngineError> {
    let contact = contacts::existing(tx, account)?;
    content.route = letters::route_offer(tx, account)?;
    let own = account::own(tx)?;
    let their_log = contacts::log_of(&contact)?;
    let theirs = their_log.device(device).ok_or(EngineError::Undeliverable)?;
    let mut record = load(tx, account, device)?;
    let now = tx.now;
    let sealed = record
        .encrypt(&content.encode(), now, tx.rng)
        .map_err(|_| EngineError::Internal {
            what: "session that may not send",
        })?;
    store(tx, account, device, &record);
    let inner = Inner {
        device: own.device,
        kind: match sealed.kind {
            MessageKind::PreKey => envelope::MessageKind::PreKey,
            MessageKind::Message => envelope::MessageKind::Ratchet,
        },
        message: sealed.bytes,
    };
    let route = route_of(tx, account, device)?;
    let too_long = |_| EngineError::TextTooLong {
        got: 0,
        max: limits::TEXT_BYTES,
    };
    let (relay, queue_id, token, body) = match (&route.contact, &route.front_door) {
        (Some(route), _) => {
            let body =
                envelope::seal_route(tx.rng, &route.key, &route.queue, &inner).map_err(too_long)?;
            (
                route.relay.clone(),
                route.queue,
                *route.token.expose_secret(),
                body,
            )
        }
        (None, Some((queue, token))) => {
            let introduction = Introduction {
                account: own.id,
                name: own.name.clone(),
                relay: own.relay.clone(),
                log: own.log.clone(),
                ticket: contact.invite_ticket,
            };
            let body =
                envelope::seal_front_door(tx.rng, theirs.envelope(), queue, &introduction, &inner)
                    .map_err(too_long)?;
            (contact.relay.clone(), *queue, *token.expose_secret(), body)
        }
        (None, None) => {
            return Err(EngineError::Internal {
                what: "session without route",
            });
        }
    };
    let body = wire::Body::new(body).map_err(|_| EngineError::Internal {
        what: "body of no bucket",
    })?;
    let row = wire::SendRow {
        queue_id,
        token: wire::SendToken::from_bytes(token),
    };
    let request = wire::Request::Send(wire::Send {
        message_id: message,
        body,
        rows: vec![row],
    });
    let purpose = Purpose::Send {
        message,
        account: *account,
        device: *device,
        letter,
    };
    outbox::add(tx, purpose, relay, request).map(drop)
}

/// What opening gave.
pub(crate) enum Decrypted {
    /// The content's bytes.
    Plaintext(Zeroizing<Vec<u8>>),
    /// It was opened before.
    Duplicate,
    /// It does not open.
    Failed,
}

/// Opens a ratchet message of a contact's device.
pub(crate) fn decrypt(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    inner: &Inner,
) -> Result<Decrypted, EngineError> {
    let their_log = contacts::log_of(contact)?;
    let Some(theirs) = their_log.device(&inner.device) else {
        return Ok(Decrypted::Failed);
    };
    let mut record = load(tx, &contact.id, &inner.device)?;
    let opened = match inner.kind {
        envelope::MessageKind::Ratchet => open(tx, &mut record, &inner.message),
        envelope::MessageKind::PreKey => {
            open_first(tx, &mut record, (&their_log, theirs), &inner.message)?
        }
    };
    match opened {
        Ok(received) => {
            store(tx, &contact.id, &inner.device, &record);
            if let Some(used) = &received.used {
                pre_keys::used(tx, used)?;
            }
            Ok(Decrypted::Plaintext(Zeroizing::new(received.plaintext)))
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
    let Ok(incoming) = IncomingPreKeyMessage::decode(Profile::Letterlock, message) else {
        return Ok(Err(DecryptError::Refused));
    };
    let own = account::own(tx)?;
    let our_log = own_log(&own)?;
    let their_list = their_log.device_list_hash();
    let found = pre_keys::Found::of(tx, &incoming.named())?;
    Ok(record.respond(
        &incoming,
        &local(&own, &[our_log.device_list_hash()]),
        &remote(theirs, their_list),
        &found.keys(),
        tx.now,
        tx.rng,
    ))
}

fn route_of(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<RouteRecord, EngineError> {
    match tx.get(Table::Route, &place(account, device))? {
        Some(bytes) => Ok(RouteRecord::decode(&bytes)?),
        None => Ok(RouteRecord {
            front_door: None,
            contact: None,
            highest_seq: 0,
        }),
    }
}

fn store_route(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    route: &RouteRecord,
) {
    tx.put(Table::Route, place(account, device), route.encode());
}

impl RouteRecord {
    fn is_usable(&self) -> bool {
        self.contact.is_some() || self.front_door.is_some()
    }
}

/// A contact's device told where it wants its letters.
pub(crate) fn learn_route(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    offer: RouteOffer,
) -> Result<(), EngineError> {
    let mut route = route_of(tx, account, device)?;
    if route
        .contact
        .as_ref()
        .is_none_or(|known| known.queue != offer.queue)
    {
        route.highest_seq = 0;
    }
    route.contact = Some(ContactRoute {
        queue: offer.queue,
        token: offer.token,
        key: offer.key,
        relay: offer.relay,
    });
    store_route(tx, account, device, &route);
    Ok(())
}

/// A queue of the contact is gone. Says whether the front door is left to try.
pub(crate) fn route_lost(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let mut route = route_of(tx, account, device)?;
    let by_front_door = route.contact.take().is_some();
    if !by_front_door {
        route.front_door = None;
    }
    route.highest_seq = 0;
    store_route(tx, account, device, &route);
    Ok(by_front_door)
}

/// The relay gave a body of ours a place. A place at or below one it gave before shows an older store.
pub(crate) fn accepted_at(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    seq: u64,
    relay: &str,
) -> Result<(), EngineError> {
    let mut route = route_of(tx, account, device)?;
    let went_back = seq <= route.highest_seq;
    route.highest_seq = seq;
    store_route(tx, account, device, &route);
    if went_back {
        outbox::relay_rolled_back(tx, relay)
    } else {
        Ok(())
    }
}
