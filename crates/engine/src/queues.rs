//! Our own queues: made, subscribed, emptied.

use crate::envelope::{self, Inner, Introduction};
use crate::errands;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::group;
use crate::guardians;
use crate::held;
use crate::linking;
use crate::meeting::{self, Meeting};
use crate::outbox;
use crate::own_log;
use crate::peers;
use crate::receiving;
use crate::records::{OwnQueue, Purpose, QueuePurpose, Record as _, key};
use crate::retired;
use crate::sessions::Sealed;
use crate::step::{Outgoing, Subscription};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::{AccountId, QueueId, Secret};

/// Makes a queue: keys here, then a request to our relay.
pub(crate) fn create(
    tx: &mut Transaction<'_>,
    purpose: QueuePurpose,
) -> Result<OwnQueue, EngineError> {
    let (id, token) = (QueueId::random(tx.rng), Secret::random(tx.rng));
    create_as(tx, purpose, id, token)
}

/// Makes a queue whose id and token follow from something else.
pub(crate) fn create_as(
    tx: &mut Transaction<'_>,
    purpose: QueuePurpose,
    id: QueueId,
    token: Secret<32>,
) -> Result<OwnQueue, EngineError> {
    let queue = OwnQueue {
        id,
        purpose,
        receive_key: Secret::random(tx.rng),
        token,
        route_key: Secret::random(tx.rng),
        last_seq: 0,
        used: false,
    };
    store(tx, &queue);
    if let QueuePurpose::Contact(account) = purpose {
        let place = queue_of_contact(&account);
        tx.put(
            Table::Meta,
            place,
            zeroize::Zeroizing::new(queue.id.as_bytes().to_vec()),
        );
    }
    announce(tx, &queue)?;
    if !is_passing(purpose) && crate::account::exists(tx)? {
        errands::tell_queues(tx, &[(queue.id, closing(&queue))])?;
    }
    Ok(queue)
}

/// Whether a queue is made for a short while, before this home is a device of an account.
fn is_passing(purpose: QueuePurpose) -> bool {
    matches!(purpose, QueuePurpose::Link | QueuePurpose::Recovery)
}

/// What closes a queue: good at any time, so that another device of ours can keep it.
fn closing(queue: &OwnQueue) -> [u8; 64] {
    keys::ed25519::sign(&queue.receive_key, &deletion(&queue.id))
}

/// Tells the other devices what closes each queue of this one.
pub(crate) fn tell_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let mut queues = Vec::new();
    tx.each(Table::Queue, &[], |_, _, bytes| {
        let queue = OwnQueue::decode(bytes)?;
        if !is_passing(queue.purpose) {
            queues.push((queue.id, closing(&queue)));
        }
        Ok(())
    })?;
    errands::tell_queues(tx, &queues)
}

/// Closes a queue of a device that is gone, by what that device left for this.
pub(crate) fn close_left(
    tx: &mut Transaction<'_>,
    queue: QueueId,
    signature: [u8; 64],
) -> Result<(), EngineError> {
    let request = wire::Request::DeleteQueue(wire::DeleteQueue {
        queue_id: queue,
        signature,
    });
    outbox::add_own(tx, Purpose::DeleteQueue(queue), request)
}

/// Asks our relay for the queue. Asking again for a queue that is there changes nothing.
fn announce(tx: &mut Transaction<'_>, queue: &OwnQueue) -> Result<(), EngineError> {
    let request = wire::Request::CreateQueue(wire::CreateQueue {
        queue_id: queue.id,
        receive_key: keys::ed25519::public(&queue.receive_key),
        send_token_hash: keys::sha256(&[queue.token.expose_secret()]),
    });
    outbox::add_own(tx, Purpose::CreateQueue(queue.id), request)
}

/// The queue that a contact was, or will be, told of; made on first use.
pub(crate) fn for_contact(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<OwnQueue, EngineError> {
    match tx.get(Table::Meta, &queue_of_contact(contact))? {
        Some(id) => {
            let id = QueueId::from_slice(&id).ok_or(StoreError::Damaged { what: "queue" })?;
            load(tx, &id)?.ok_or_else(|| StoreError::Damaged { what: "queue" }.into())
        }
        None => create(tx, QueuePurpose::Contact(*contact)),
    }
}

/// Closes the queue of a contact, if there is one: the relay forgets it, and what lies in it.
pub(crate) fn close_for_contact(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<(), EngineError> {
    let place = queue_of_contact(contact);
    let Some(id) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    let id = QueueId::from_slice(&id).ok_or(StoreError::Damaged { what: "queue" })?;
    if let Some(queue) = load(tx, &id)? {
        close(tx, &queue)?;
    }
    tx.delete(Table::Meta, place);
    Ok(())
}

/// Closes a queue: the relay forgets it, and what lies in it.
pub(crate) fn close(tx: &mut Transaction<'_>, queue: &OwnQueue) -> Result<(), EngineError> {
    let request = wire::Request::DeleteQueue(wire::DeleteQueue {
        queue_id: queue.id,
        signature: closing(queue),
    });
    outbox::add_own(tx, Purpose::DeleteQueue(queue.id), request)?;
    tx.delete(Table::Queue, queue.id.as_bytes().to_vec());
    Ok(())
}

/// Closes every queue of this device.
pub(crate) fn close_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Queue, &[], |tx, _, bytes| {
        let queue = OwnQueue::decode(bytes)?;
        if let QueuePurpose::Contact(account) = queue.purpose {
            tx.delete(Table::Meta, queue_of_contact(&account));
        }
        close(tx, &queue)
    })
}

/// Signs a subscription for one connection. `None`: the queue is not ours any more.
pub(crate) fn subscription(
    snapshot: &dyn Snapshot,
    queue: &QueueId,
    challenge: &[u8; 32],
) -> Result<Option<wire::Request>, EngineError> {
    let Some(bytes) = snapshot.get(Table::Queue, queue.as_bytes())? else {
        return Ok(None);
    };
    let record = OwnQueue::decode(&bytes)?;
    let message = wire::subscribe_message(challenge, queue);
    let signature = keys::ed25519::sign(&record.receive_key, &message);
    Ok(Some(wire::Request::Subscribe(wire::Subscribe {
        queue_id: *queue,
        signature,
    })))
}

fn deletion(queue: &QueueId) -> Vec<u8> {
    wire::delete_queue_message(queue)
}

/// Every queue is subscribed anew on each connection.
pub(crate) fn subscribe_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Queue, &[], |tx, id, _| {
        let queue = QueueId::from_slice(id).ok_or(StoreError::Damaged { what: "queue" })?;
        tx.send(Outgoing::Subscribe(Subscription { queue }));
        Ok(())
    })
}

/// The relay forgot what it knew: all queues are asked for again.
pub(crate) fn announce_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Queue, &[], |tx, _, bytes| {
        announce(tx, &OwnQueue::decode(bytes)?)
    })
}

/// Handles the answer to a subscription.
pub(crate) fn subscribed(
    tx: &mut Transaction<'_>,
    id: &QueueId,
    next_seq: Option<u64>,
) -> Result<(), EngineError> {
    let Some(mut queue) = load(tx, id)? else {
        return Ok(());
    };
    match next_seq {
        // A relay that never heard of the queue lost it, or has not made it yet: ask again.
        None => {
            queue.last_seq = 0;
            store(tx, &queue);
            announce(tx, &queue)
        }
        Some(next) if next <= queue.last_seq => {
            queue.last_seq = next.saturating_sub(1);
            store(tx, &queue);
            {
                let relay = crate::account::home_relay(tx)?.ok_or(EngineError::NoAccount)?;
                outbox::relay_rolled_back(tx, &relay)
            }
        }
        Some(_) => Ok(()),
    }
}

/// Handles a body that the relay pushed. Whatever it is, it is acknowledged once this step is stored: a body
/// that cannot be opened today cannot be opened tomorrow, and must not stop those behind it.
pub(crate) fn delivered(
    tx: &mut Transaction<'_>,
    id: &QueueId,
    seq: u64,
    body: &[u8],
) -> Result<(), EngineError> {
    let Some(mut queue) = load(tx, id)? else {
        tx.send(Outgoing::Acknowledge {
            queue: *id,
            up_to: seq,
        });
        return Ok(());
    };
    let attempt = match seq > queue.last_seq {
        true => Attempt::First,
        false => Attempt::Again,
    };
    hand_in(tx, &queue, body, attempt)?;
    // The queue may have been closed by what came (a block), and its record may have changed.
    if let Some(current) = load(tx, id)? {
        queue = current;
        queue.last_seq = queue.last_seq.max(seq);
        queue.used = true;
        store(tx, &queue);
    }
    tx.send(Outgoing::Acknowledge {
        queue: *id,
        up_to: seq,
    });
    Ok(())
}

/// Whether the log of a body's sender may still be asked for.
#[derive(Clone, Copy)]
enum Attempt<'a> {
    /// The body just came.
    First,
    /// It was handled before, and the relay was not told; or a relay that was set back gave its number once more.
    Again,
    /// The log was asked for; this is what came of somebody unknown.
    Last(Option<&'a [u8]>),
}

/// Hands a body in that was held, as if it came now.
pub(crate) fn hand_in_as_new(
    tx: &mut Transaction<'_>,
    id: &QueueId,
    body: &[u8],
) -> Result<(), EngineError> {
    match load(tx, id)? {
        Some(queue) => hand_in(tx, &queue, body, Attempt::First),
        None => Ok(()),
    }
}

/// Hands a body in that waited for the log of its sender.
pub(crate) fn hand_in_again(
    tx: &mut Transaction<'_>,
    id: &QueueId,
    body: &[u8],
    log: Option<&[u8]>,
) -> Result<(), EngineError> {
    match load(tx, id)? {
        Some(queue) => hand_in(tx, &queue, body, Attempt::Last(log)),
        None => Ok(()),
    }
}

fn hand_in(
    tx: &mut Transaction<'_>,
    queue: &OwnQueue,
    body: &[u8],
    attempt: Attempt<'_>,
) -> Result<(), EngineError> {
    match queue.purpose {
        QueuePurpose::Link => linking::received(tx, queue, body),
        QueuePurpose::Recovery => guardians::received(tx, queue, body),
        QueuePurpose::Inbox => group::inbox::received(tx, body),
        QueuePurpose::FrontDoor => match open_front_door(tx, queue, body)? {
            Some((introduction, inner)) => {
                from_front_door(tx, (queue, body, attempt), &introduction, &inner)
            }
            None => {
                tx.event(Event::Undecryptable { contact: None });
                Ok(())
            }
        },
        QueuePurpose::Contact(account) => {
            match envelope::open_route(&queue.route_key, &queue.id, body) {
                Ok((inner, content)) => {
                    let sealed = Sealed {
                        inner: &inner,
                        content: content.as_ref(),
                        front_door: None,
                    };
                    receive(tx, (queue, body, attempt), &account, sealed)
                }
                Err(_) => {
                    tx.event(Event::Undecryptable {
                        contact: Some(account),
                    });
                    Ok(())
                }
            }
        }
    }
}

/// Opens a first letter, with the keys of this device, with those it had a while ago, or with those that it is about to have:
/// `what_is_sealed_to_new_keys_opens_before_the_relay_confirms_them` notices.
fn open_front_door(
    tx: &Transaction<'_>,
    queue: &OwnQueue,
    body: &[u8],
) -> Result<Option<(Introduction, Inner)>, EngineError> {
    let own = crate::account::own(tx)?;
    if let Ok(opened) = envelope::open_front_door(own.secrets.envelope(), &queue.id, body) {
        return Ok(Some(opened));
    }
    if let Some(proposed) = own_log::proposed_keys(tx)?
        && let Ok(opened) = envelope::open_front_door(proposed.envelope(), &queue.id, body)
    {
        return Ok(Some(opened));
    }
    let mut replaced = retired::own(tx.snapshot())?.into_iter();
    Ok(replaced.find_map(|keys| {
        let envelope = keys.opening.envelope();
        envelope::open_front_door(envelope, &queue.id, body).ok()
    }))
}

type Came<'a> = (&'a OwnQueue, &'a [u8], Attempt<'a>);

fn from_front_door(
    tx: &mut Transaction<'_>,
    came: Came<'_>,
    introduction: &Introduction,
    inner: &Inner,
) -> Result<(), EngineError> {
    let (queue, body, attempt) = came;
    let fetched = match attempt {
        Attempt::First | Attempt::Again => None,
        Attempt::Last(log) => log,
    };
    let stranger = peers::load(tx, &introduction.account)?.is_none();
    match meeting::meet(tx, introduction, fetched)? {
        Meeting::Known => {
            // What it sent before without its log comes first; `a_long_letter_to_a_new_device_goes_without_the_log`
            // notices.
            if stranger && matches!(attempt, Attempt::First) {
                held::release(tx, &introduction.account, None)?;
            }
            let sealed = Sealed {
                inner,
                content: None,
                front_door: Some(&queue.id),
            };
            receive(tx, came, &introduction.account, sealed)
        }
        Meeting::Refused => Ok(()),
        Meeting::Unknown => match attempt {
            Attempt::First | Attempt::Again => {
                let (account, relay) = (&introduction.account, &introduction.relay);
                held::keep_and_fetch(tx, account, relay, &queue.id, body)
            }
            Attempt::Last(_) => {
                tx.event(Event::Undecryptable { contact: None });
                Ok(())
            }
        },
    }
}

fn receive(
    tx: &mut Transaction<'_>,
    (queue, body, attempt): Came<'_>,
    from: &AccountId,
    sealed: Sealed<'_>,
) -> Result<(), EngineError> {
    let device = &sealed.inner.device;
    if matches!(attempt, Attempt::First) && held::is_behind(tx, from, device)? {
        return held::keep_and_check(tx, (from, device), &queue.id, body);
    }
    let last = matches!(attempt, Attempt::Last(None));
    match (receiving::receive(tx, from, sealed, last)?, attempt) {
        (receiving::Heard::Done, _) => Ok(()),
        // What opened it may be gone by now: nobody is told. A relay that was set back may have given its number to
        // another body: then the repair brings that.
        (receiving::Heard::NewKeys | receiving::Heard::Unopened, Attempt::Again) => {
            receiving::repair(tx, from, sealed.inner)
        }
        (receiving::Heard::Unopened, _) => receiving::unopened(tx, from, sealed),
        // What came of a stranger may have been the beginning of a long log.
        (receiving::Heard::NewKeys, Attempt::First | Attempt::Last(Some(_))) => {
            held::keep_and_check(tx, (from, device), &queue.id, body)
        }
        (receiving::Heard::NewKeys, Attempt::Last(None)) => {
            tx.event(Event::Undecryptable {
                contact: Some(*from),
            });
            Ok(())
        }
    }
}

pub(crate) fn load(tx: &Transaction<'_>, id: &QueueId) -> Result<Option<OwnQueue>, EngineError> {
    match tx.get(Table::Queue, id.as_bytes())? {
        Some(bytes) => Ok(Some(OwnQueue::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, queue: &OwnQueue) {
    tx.put(Table::Queue, queue.id.as_bytes().to_vec(), queue.encode());
}

fn queue_of_contact(contact: &AccountId) -> Vec<u8> {
    key(&[b"queue/", contact.as_bytes()])
}

const FRONT_DOOR: &[u8] = b"front-door";

/// The queue that the directory names, made with the account.
pub(crate) fn ensure_front_door(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, FRONT_DOOR)?.is_none() {
        let queue = create(tx, QueuePurpose::FrontDoor)?;
        tx.put(
            Table::Meta,
            FRONT_DOOR.to_vec(),
            zeroize::Zeroizing::new(queue.id.as_bytes().to_vec()),
        );
    }
    Ok(())
}

const INBOX: &[u8] = b"group-inbox";

/// The queue where this device takes what is sent in its groups, made once.
pub(crate) fn ensure_inbox(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, INBOX)?.is_none() {
        let queue = create(tx, QueuePurpose::Inbox)?;
        let id = zeroize::Zeroizing::new(queue.id.as_bytes().to_vec());
        tx.put(Table::Meta, INBOX.to_vec(), id);
    }
    Ok(())
}

/// The inbox of this device.
pub(crate) fn inbox(tx: &Transaction<'_>) -> Result<OwnQueue, EngineError> {
    let id = tx.get(Table::Meta, INBOX)?.ok_or(EngineError::NoAccount)?;
    let id = QueueId::from_slice(&id).ok_or(StoreError::Damaged { what: "inbox" })?;
    load(tx, &id)?.ok_or_else(|| StoreError::Damaged { what: "inbox" }.into())
}

/// The front door of this device.
pub(crate) fn front_door(tx: &Transaction<'_>) -> Result<OwnQueue, EngineError> {
    let id = tx
        .get(Table::Meta, FRONT_DOOR)?
        .ok_or(EngineError::NoAccount)?;
    let id = QueueId::from_slice(&id).ok_or(StoreError::Damaged { what: "front door" })?;
    load(tx, &id)?.ok_or_else(|| StoreError::Damaged { what: "front door" }.into())
}
