//! Every key of a profile, tried on what lies at a relay, as whoever copied the profile could, and what others than this
//! engine make. For tests alone: it adds functions and changes none.

use crate::account;
use crate::contacts;
use crate::content::{Body, Content, Copy, LetterBody};
use crate::envelope::{self, Inner, Introduction, MessageKind, SealedContent};
use crate::error::EngineError;
use crate::group::{back, letters as group_letters, state};
use crate::letters;
use crate::peers::{self, Peer};
use crate::records::{Contact, Decision, Direction, OwnQueue, Record as _, RouteRecord, Trust};
use crate::retired;
use crate::sessions::{self, Decrypted, Sealed};
use crate::signed::{self, Parties};
use crate::step::Step;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use crate::vault;
use ::groups::{Inbox, LeafName, OurDevice};
use keys::account_log::{DeviceSecrets, Pin, UnverifiedLog};
use keys::hpke::EnvelopePublic;
use keys::{AccountId, DeviceId, GroupId, LeafKey, LetterId, QueueId, Secret, Suite, Timestamp};
use rand_core::CryptoRng;
use ratchet::{IncomingMessage, Profile};

/// What was opened: the text of the letter, and the whole content, in which keys of files stand.
pub struct Opened {
    /// The words.
    pub text: String,
    /// As it went through the ratchet.
    pub content: Vec<u8>,
}

/// Tries every key of a profile on a body that lies in a queue: envelope and route keys on the outside; inside,
/// every session with every device, and the pre-keys, as the engine opens letters. Nothing is stored.
///
/// # Errors
/// The profile is damaged, or has no account.
pub fn body(
    snapshot: &dyn Snapshot,
    queue: &QueueId,
    body: &[u8],
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Opened>, EngineError> {
    let mut opened = Vec::new();
    for (inner, content) in insides(snapshot, queue, body, now, rng)? {
        for peer in peers(snapshot, now, rng)? {
            // Its own step each: a ratchet that moved must not keep the next trial from opening.
            let mut tx = Transaction::new(snapshot, now, rng);
            let sealed = Sealed {
                inner: &inner,
                content: content.as_ref(),
                front_door: Some(queue),
            };
            if let Decrypted::Plaintext(plaintext) = sessions::decrypt(&mut tx, &peer, sealed)? {
                opened.extend(read(&plaintext));
            }
        }
        opened.extend(by_any_session(
            snapshot,
            (&inner, content.as_ref()),
            now,
            rng,
        )?);
    }
    Ok(opened)
}

/// The secrets of the device, as others would misuse them.
///
/// # Errors
/// The profile is damaged.
pub fn device_secrets(snapshot: &dyn Snapshot) -> Result<Option<DeviceSecrets>, EngineError> {
    Ok(account::read(snapshot)?.map(|own| own.secrets))
}

type Inside = (Inner, Option<SealedContent>);

/// What lies below the outermost layer.
fn insides(
    snapshot: &dyn Snapshot,
    queue: &QueueId,
    body: &[u8],
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Inside>, EngineError> {
    let mut insides = Vec::new();
    let own = account::own(&Transaction::new(snapshot, now, rng))?;
    if let Ok((_, inner)) = envelope::open_front_door(own.secrets.envelope(), queue, body) {
        insides.push((inner, None));
    }
    for replaced in retired::own(snapshot)? {
        let opened = envelope::open_front_door(replaced.opening.envelope(), queue, body);
        insides.extend(opened.map(|(_, inner)| (inner, None)));
    }
    for key in route_keys(snapshot)? {
        insides.extend(envelope::open_route(&key, queue, body));
    }
    Ok(insides)
}

fn route_keys(snapshot: &dyn Snapshot) -> Result<Vec<Secret<32>>, EngineError> {
    let mut keys = Vec::new();
    for (_, row) in snapshot.scan(Table::Queue, &[], None, usize::MAX)? {
        keys.push(OwnQueue::decode(&row)?.route_key);
    }
    for (_, row) in snapshot.scan(Table::Route, &[], None, usize::MAX)? {
        keys.extend(RouteRecord::decode(&row)?.contact.map(|route| route.key));
    }
    Ok(keys)
}

/// Whoever the profile may have sessions with.
fn peers(
    snapshot: &dyn Snapshot,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Peer>, EngineError> {
    let tx = Transaction::new(snapshot, now, rng);
    let contacts = contacts::all(&tx)?.into_iter();
    let mut ids = vec![account::own(&tx)?.id];
    ids.extend(contacts.map(|contact| contact.id));
    let peers = ids.iter().map(|id| peers::existing(&tx, id));
    peers.collect()
}

/// Any session, whatever device the envelope names.
fn by_any_session(
    snapshot: &dyn Snapshot,
    (inner, content): (&Inner, Option<&SealedContent>),
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Opened>, EngineError> {
    let mut opened = Vec::new();
    if inner.kind != MessageKind::Ratchet {
        return Ok(opened);
    }
    for (_, row) in snapshot.scan(Table::Session, &[], None, usize::MAX)? {
        let Ok(mut record) = ratchet::Record::decode(&row) else {
            continue;
        };
        let Ok(message) = IncomingMessage::decode(Profile::Letterlock, &inner.message) else {
            continue;
        };
        let Ok(received) = record.decrypt(&message, now, rng) else {
            continue;
        };
        match content {
            Some(content) => {
                if let Ok(plaintext) = content.open(&received.plaintext) {
                    opened.extend(read(&plaintext));
                }
            }
            None => opened.extend(read(&received.plaintext)),
        }
    }
    Ok(opened)
}

fn read(plaintext: &[u8]) -> Option<Opened> {
    let text = match Content::decode(plaintext).ok()?.body {
        Body::Letter(letter) => letter.text,
        Body::Copy(copy) => copy.letter.text,
        _ => return None,
    };
    Some(Opened {
        text,
        content: plaintext.to_vec(),
    })
}

/// What a word without a session says, and whom it names: whatever its maker likes.
pub struct Forged {
    /// Whom the word names as its sender.
    pub from: (AccountId, DeviceId),
    /// For whom it is signed.
    pub to: (AccountId, DeviceId),
    /// For which queue it is signed.
    pub queue: QueueId,
    /// When it was sealed, as it says.
    pub sealed_at: Timestamp,
    /// What it says.
    pub says: Says,
}

/// Contents of such a word.
pub enum Says {
    /// An errand.
    Errand(Vec<u8>),
    /// A letter.
    Letter(String),
    /// A letter of another device.
    Copy(String),
    /// Something said of a letter.
    Amendment(Vec<u8>),
    /// Something about a group.
    Group(Vec<u8>),
}

/// What a member could say of a group that it leads somewhere with: the way into one group, under the name of another
/// one, and with another envelope key than the group has.
///
/// # Errors
/// The profile is damaged, or not in both.
pub fn way_in(
    snapshot: &dyn Snapshot,
    (of, into): (&GroupId, &GroupId),
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, EngineError> {
    let mut tx = Transaction::new(snapshot, now, rng);
    back::way_in(&mut tx, of, into)
}

/// A key package as a device publishes it that has an inbox and no profile: a crowd is made of those.
///
/// # Errors
/// The device does not speak the suite `hybrid`, or nothing is signed.
pub fn key_package(
    (account, device): (&AccountId, &DeviceSecrets),
    inbox: (QueueId, Secret<32>),
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<wire::PublishKeyPackages, EngineError> {
    const SUITE: Suite = Suite::Hybrid;
    const INTERNAL: EngineError = EngineError::Internal {
        what: "key packages",
    };
    let (queue, token) = inbox;
    let us = OurDevice {
        suite: SUITE,
        name: LeafName {
            account: *account,
            device: *device.device_id(),
        },
        leaf: LeafKey::of(device.signing(), SUITE).ok_or(INTERNAL)?,
        inbox: Inbox { queue, token },
    };
    let package = ::groups::key_package(&us, now, rng).map_err(|_| INTERNAL)?;
    let mut request = wire::PublishKeyPackages {
        account: *account,
        device: *device.device_id(),
        suite: SUITE,
        packages: vec![package.public],
        last_resort: None,
        replace: true,
        signature: Vec::new(),
    };
    let message = wire::publish_key_packages_message(&request);
    let signing = device.signing();
    let signed = signing.sign(keys::label::PUBLISH_KEY_PACKAGES, &message);
    request.signature = signed.map_err(|_| INTERNAL)?.as_bytes().to_vec();
    Ok(request)
}

/// Makes somebody a contact whose log was fetched by name, and does not compare with all the others: of a crowd nobody is
/// called as somebody else is.
///
/// # Errors
/// The log does not verify.
pub fn contact(
    snapshot: &dyn Snapshot,
    (name, relay): (&str, &str),
    log: &[u8],
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Step, EngineError> {
    let log = UnverifiedLog::decode(log).and_then(|log| log.verify(None, None));
    let log = log.map_err(|_| EngineError::Protocol)?;
    let mut tx = Transaction::new(snapshot, now, rng);
    let contact = Contact {
        id: *log.account_id(),
        petname: name.to_owned(),
        name: name.to_owned(),
        relay: relay.to_owned(),
        trust: Trust::Claimed,
        changed: false,
        blocked: false,
        request: false,
        log: log.bytes().to_vec(),
        pin: log.head(),
        backup: 0,
        invite_ticket: None,
        decision: Decision::default(),
    };
    contacts::store(&mut tx, &contact);
    Ok(tx.into_step())
}

/// What a member whose program lies says in the group of a vault.
pub enum VaultSays {
    /// A word (docs/spec/vault.md, section 1).
    Word(Vec<u8>),
    /// A letter, although nobody writes any there.
    Letter(String),
}

/// Lets a member say something in the group of a vault, whatever its role; it leaves with the next tick.
///
/// # Errors
/// The profile is damaged, or has no such vault.
pub fn say_in_vault(
    snapshot: &dyn Snapshot,
    vault: &GroupId,
    says: &VaultSays,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Step, EngineError> {
    let mut tx = Transaction::new(snapshot, now, rng);
    let mut record = state::load(&tx, vault)?.ok_or(EngineError::UnknownGroup)?;
    record.look = Some(now);
    state::store(&mut tx, &record);
    let (kind, bytes) = match says {
        VaultSays::Word(word) => (vault::word::ERRAND, word.as_slice()),
        VaultSays::Letter(text) => (LETTER, text.as_bytes()),
    };
    group_letters::say(&mut tx, &record, kind, bytes)?;
    if kind == LETTER {
        let (_, id) = group_letters::last(&tx, vault)?.ok_or(EngineError::UnknownLetter)?;
        let mut letter = letters::load(&tx, &id)?.ok_or(EngineError::UnknownLetter)?;
        letter.direction = Direction::Sent;
        letter.text = String::from_utf8_lossy(bytes).into_owned();
        letter.errand.clear();
        letters::store(&mut tx, &letter);
    }
    Ok(tx.into_step())
}

/// No errand begins so.
const LETTER: u8 = 0xFF;

/// Makes a word with keys that somebody has, and seals it for a front door.
///
/// # Errors
/// It is too long.
pub fn forge(
    by: &DeviceSecrets,
    (envelope, door): (&EnvelopePublic, &QueueId),
    forged: &Forged,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, EngineError> {
    let letter = |text: &str| LetterBody {
        text: text.to_owned(),
        reply_to: None,
        expires_after: None,
        enclosures: Vec::new(),
    };
    let body = match &forged.says {
        Says::Errand(errand) => Body::Errand(errand.clone().into()),
        Says::Letter(text) => Body::Letter(letter(text)),
        Says::Amendment(said) => Body::Amendment(said.clone().into()),
        Says::Group(word) => Body::Group(word.clone().into()),
        Says::Copy(text) => Body::Copy(Copy {
            contact: forged.from.0,
            sent: false,
            letter: letter(text),
        }),
    };
    let content = Content::new(LetterId::random(rng), forged.sealed_at, body).encode();
    let parties = Parties {
        from: (&forged.from.0, &forged.from.1),
        to: (&forged.to.0, &forged.to.1),
        queue: &forged.queue,
    };
    let inner = signed::seal(rng, forged.sealed_at, by.signing(), parties, &content)?;
    let introduction = Introduction {
        account: forged.from.0,
        name: "whoever".to_owned(),
        relay: String::new(),
        head: Pin {
            sequence: 0,
            hash: [0; 64],
        },
        log: Vec::new(),
        ticket: None,
    };
    envelope::seal_front_door(rng, envelope, door, &introduction, &inner)
        .map_err(|_| EngineError::Undeliverable)
}
