//! Sessions with the devices of contacts: begun, used, and the routes their letters take.

use crate::account;
use crate::contacts;
use crate::content::{Body, Content};
use crate::envelope::{self, Inner, Introduction};
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::outbox;
use crate::pre_keys;
use crate::records::{Contact, OwnAccount, Purpose, key};
use crate::routes;
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::waiting;
use keys::account_log::{DeviceRecord, UnverifiedLog, VerifiedLog};
use keys::{AccountId, DeviceId, LetterId, MessageId, Secret};
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
    Ok(load(tx, account, device)?.can_send(tx.now)
        && routes::load(tx, account, device)?.is_usable())
}

/// Keys came: begin the session and seal what waits.
pub(crate) fn bundle_fetched(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    bundle: &wire::Bundle,
) -> Result<(), EngineError> {
    let repair = waiting::answered(tx, account, device)?;
    let contact = contacts::existing(tx, account)?;
    let own = account::own(tx)?;
    let (our_log, their_log) = (own_log(&own)?, contacts::log_of(&contact)?);
    let begun = their_log.device(device).is_some_and(|theirs| {
        begin(tx, (&own, &our_log), (&contact, &their_log, theirs), bundle).unwrap_or(false)
    });
    if !begun {
        // SECURITY: keys that the device did not sign come from the relay; `relay_swaps_pre_keys` notices.
        contacts::keep_evidence(tx, &contact, &bundle.signed_ec);
        for letter in waiting::take(tx, account, device)? {
            sending::fail(tx, &letter, EngineError::BadKeys { contact: *account })?;
        }
        return Ok(());
    }
    let waiting = waiting::take(tx, account, device)?;
    if repair {
        let content = Content {
            id: LetterId::random(tx.rng),
            sent_at: tx.now,
            route: None,
            body: Body::Repair,
        };
        let message = MessageId::random(tx.rng);
        send(tx, account, device, content, message, None)?;
        sending::send_again(tx, account, device)?;
    }
    for letter in waiting {
        sending::seal_for(tx, &letter, device)?;
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
    routes::learn_front_door(tx, &contact.id, theirs.id(), &bundle.front_door)?;
    Ok(true)
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
    content.route = routes::offer(tx, account)?;
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
    let (relay, row, body) = seal(tx, (&own, &contact, theirs), &inner, letter)?;
    let request = wire::Request::Send(wire::Send {
        message_id: message,
        body: wire::Body::new(body).map_err(|_| EngineError::Internal {
            what: "body of no bucket",
        })?,
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

/// Seals a ratchet message for the device's route, or for its front door where it told no route yet, or where
/// it has not confirmed the letters there: what lies in two queues comes in any order.
fn seal(
    tx: &mut Transaction<'_>,
    (own, contact, theirs): (&OwnAccount, &Contact, &DeviceRecord),
    inner: &Inner,
    letter: Option<LetterId>,
) -> Result<(String, wire::SendRow, Vec<u8>), EngineError> {
    let too_long = |_| EngineError::TextTooLong {
        got: inner.message.len(),
        max: limits::TEXT_BYTES,
    };
    let row = |queue_id, token: &Secret<32>| wire::SendRow {
        queue_id,
        token: wire::SendToken::from_bytes(*token.expose_secret()),
    };
    let route = routes::load(tx, &contact.id, theirs.id())?;
    let settled =
        route.front_door.is_none() || routes::front_door_settled(tx, &contact.id, theirs.id())?;
    if let (Some(route), true) = (route.contact, settled) {
        let body = envelope::seal_route(tx.rng, &route.key, &route.queue, inner);
        let body = body.map_err(too_long)?;
        return Ok((route.relay, row(route.queue, &route.token), body));
    }
    let Some((queue, token)) = route.front_door else {
        return Err(EngineError::Internal {
            what: "session without route",
        });
    };
    if let Some(letter) = letter {
        routes::note_front_door(tx, &contact.id, theirs.id(), &letter);
    }
    let introduction = Introduction {
        account: own.id,
        name: own.name.clone(),
        relay: own.relay.clone(),
        log: own.log.clone(),
        ticket: contact.invite_ticket,
    };
    let body = envelope::seal_front_door(tx.rng, theirs.envelope(), &queue, &introduction, inner);
    let body = body.map_err(too_long)?;
    Ok((contact.relay.clone(), row(queue, &token), body))
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
