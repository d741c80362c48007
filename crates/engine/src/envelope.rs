//! What lies in a queue: a padded, sealed body that tells the relay nothing but its size bucket
//! (docs/spec/letters.md, section 2).
//!
//! A *front-door* body is sealed to the device's envelope key, because the sender shares nothing with the device
//! yet; the sender's account and log are inside. A *route* body is sealed under the key that came with the
//! route; it hides the ratchet's header, and the queue itself tells its owner who writes.

use crate::limits;
use keys::account_log::Pin;
use keys::hpke::{EnvelopePublic, EnvelopeSecret};
use keys::{AccountId, DeviceId, GroupId, QueueId, Secret, label};
use prost::Message as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The lengths a body may have, in bytes.
const BUCKETS: [usize; 4] = [1024, 4096, 16_384, 65_536];
/// Kind, nonce and AES-GCM tag.
pub(crate) const ROUTE_OVERHEAD: usize = 1 + 12 + 16;

/// Which of the ratchet's two message forms follows, or a word without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    PreKey,
    Ratchet,
    Signed,
}

/// A ratchet message, or a signed word, and the device it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) device: DeviceId,
    pub(crate) kind: MessageKind,
    pub(crate) message: Vec<u8>,
}

/// What a stranger says of itself; true only as far as the log's signatures and the ratchet show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) relay: String,
    /// The newest entry of the log.
    pub(crate) head: Pin,
    /// The log, or nothing where it is long or known: then it is fetched.
    pub(crate) log: Vec<u8>,
    /// The ticket of the invite that led here.
    pub(crate) ticket: Option<[u8; 16]>,
}

/// The body cannot be opened, or is too long to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// Wrong key, changed bytes, or not of this form.
    #[error("the body cannot be opened")]
    Unopenable,
    /// More than the largest bucket takes.
    #[error("the content is too long for a body")]
    TooLong,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FrontDoorSchema {
    #[prost(bytes = "vec", tag = "1")]
    account: Vec<u8>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    relay: String,
    #[prost(bytes = "vec", tag = "4")]
    log: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    inner: Option<InnerSchema>,
    #[prost(bytes = "vec", tag = "6")]
    ticket: Vec<u8>,
    #[prost(uint64, tag = "7")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "8")]
    head: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InnerSchema {
    #[prost(bytes = "vec", tag = "1")]
    device: Vec<u8>,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(bytes = "vec", tag = "3")]
    message: Vec<u8>,
}

/// Seals a first letter.
pub(crate) fn seal_front_door(
    rng: &mut dyn CryptoRng,
    to: &EnvelopePublic,
    queue: &QueueId,
    introduction: &Introduction,
    inner: &Inner,
) -> Result<Vec<u8>, EnvelopeError> {
    let message = FrontDoorSchema {
        account: introduction.account.as_bytes().to_vec(),
        name: introduction.name.clone(),
        relay: introduction.relay.clone(),
        log: introduction.log.clone(),
        inner: Some(inner.to_schema()),
        ticket: introduction
            .ticket
            .map(|ticket| ticket.to_vec())
            .unwrap_or_default(),
        sequence: introduction.head.sequence,
        head: introduction.head.hash.to_vec(),
    };
    let padded = pad(&message.encode_to_vec(), keys::hpke::overhead(to.suite()))?;
    keys::hpke::seal(
        rng,
        to,
        label::FRONT_DOOR.as_bytes(),
        queue.as_bytes(),
        &padded,
    )
    .map_err(|_| EnvelopeError::Unopenable)
}

/// Opens a first letter.
pub(crate) fn open_front_door(
    secret: &EnvelopeSecret,
    queue: &QueueId,
    body: &[u8],
) -> Result<(Introduction, Inner), EnvelopeError> {
    let padded = keys::hpke::open(secret, label::FRONT_DOOR.as_bytes(), queue.as_bytes(), body)
        .map_err(|_| EnvelopeError::Unopenable)?;
    let padded = Zeroizing::new(padded);
    read_front_door(unpad(&padded)?)
}

fn read_front_door(bytes: &[u8]) -> Result<(Introduction, Inner), EnvelopeError> {
    let message = FrontDoorSchema::decode(bytes).map_err(|_| EnvelopeError::Unopenable)?;
    let bounded = message.name.len() <= limits::NAME_BYTES
        && message.relay.len() <= limits::RELAY_URL_BYTES
        && message.log.len() <= limits::LOG_IN_ENVELOPE_BYTES;
    if !bounded {
        return Err(EnvelopeError::Unopenable);
    }
    let introduction = Introduction {
        account: AccountId::from_slice(&message.account).ok_or(EnvelopeError::Unopenable)?,
        name: message.name,
        relay: message.relay,
        head: Pin {
            sequence: message.sequence,
            hash: message
                .head
                .as_slice()
                .try_into()
                .map_err(|_| EnvelopeError::Unopenable)?,
        },
        log: message.log,
        ticket: message.ticket.as_slice().try_into().ok(),
    };
    Ok((
        introduction,
        Inner::from_schema(message.inner.ok_or(EnvelopeError::Unopenable)?)?,
    ))
}

/// Whether bytes are what a front-door body holds once opened.
pub(crate) fn is_front_door(bytes: &[u8]) -> bool {
    read_front_door(bytes).is_ok()
}

/// Whether bytes are an inner message.
pub(crate) fn is_inner(bytes: &[u8]) -> bool {
    Inner::decode(bytes).is_ok()
}

/// Whether bytes, behind their first, are a body for several devices, as far as that shows without a key.
pub(crate) fn is_together(bytes: &[u8]) -> bool {
    slots(bytes).is_ok()
}

/// What the first byte of a route's body says of the rest.
const SINGLE: u8 = 1;
const TOGETHER: u8 = 2;

/// Seals a letter for a route: `01 ‖ nonce 12 ‖ sealed`.
pub(crate) fn seal_route(
    rng: &mut dyn CryptoRng,
    key: &Secret<32>,
    queue: &QueueId,
    inner: &Inner,
) -> Result<Vec<u8>, EnvelopeError> {
    let padded = pad(&inner.to_schema().encode_to_vec(), ROUTE_OVERHEAD)?;
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    let sealed = keys::gcm_seal(key, &nonce, &route_data(queue), &padded);
    Ok([&[SINGLE], &nonce[..], &sealed].concat())
}

/// One device that a body is for.
pub(crate) struct Slot<'a> {
    pub(crate) key: &'a Secret<32>,
    pub(crate) queue: &'a QueueId,
    /// Carries the key of the content.
    pub(crate) inner: &'a Inner,
}

/// Seals one body for several devices:
/// `02 ‖ slots 1 ‖ (nonce 12 ‖ BE2(length) ‖ sealed inner)... ‖ AES-256-GCM(key, 0, label, padded content)`.
///
/// A slot's associated data covers the sealed content, so that no slot goes with another content.
pub(crate) fn seal_together(
    rng: &mut dyn CryptoRng,
    slots: &[Slot<'_>],
    key: &Secret<32>,
    content: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    let inners: Vec<Vec<u8>> = slots
        .iter()
        .map(|slot| slot.inner.to_schema().encode_to_vec())
        .collect();
    let slot_bytes = |inner: &Vec<u8>| inner.len().saturating_add(12 + 2 + 16);
    let overhead = inners
        .iter()
        .map(slot_bytes)
        .fold(2 + 16, usize::saturating_add);
    // The key seals this content alone, so the nonce may be fixed.
    let padded = pad(content, overhead)?;
    let sealed_content = keys::gcm_seal(key, &[0; 12], label::CONTENT.as_bytes(), &padded);
    let hash = keys::sha256(&[&sealed_content]);
    let mut body = vec![TOGETHER];
    body.push(u8::try_from(slots.len()).map_err(|_| EnvelopeError::TooLong)?);
    for (slot, inner) in slots.iter().zip(&inners) {
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        let sealed = keys::gcm_seal(slot.key, &nonce, &slot_data(slot.queue, &hash), inner);
        let length = u16::try_from(sealed.len()).map_err(|_| EnvelopeError::TooLong)?;
        body.extend_from_slice(&nonce);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&sealed);
    }
    body.extend_from_slice(&sealed_content);
    Ok(body)
}

/// A content that went to several devices; the key came through the ratchet.
pub(crate) struct SealedContent(Vec<u8>);

impl SealedContent {
    /// Opens the content.
    pub(crate) fn open(&self, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let key = Secret::from_slice(key).ok_or(EnvelopeError::Unopenable)?;
        let padded = keys::gcm_open(&key, &[0; 12], label::CONTENT.as_bytes(), &self.0)
            .map(Zeroizing::new)
            .map_err(|_| EnvelopeError::Unopenable)?;
        Ok(Zeroizing::new(unpad(&padded)?.to_vec()))
    }
}

/// Opens a letter of a contact's queue.
pub(crate) fn open_route(
    key: &Secret<32>,
    queue: &QueueId,
    body: &[u8],
) -> Result<(Inner, Option<SealedContent>), EnvelopeError> {
    match body.split_first() {
        Some((&SINGLE, rest)) => {
            let (nonce, sealed) = rest
                .split_first_chunk::<12>()
                .ok_or(EnvelopeError::Unopenable)?;
            let padded = keys::gcm_open(key, nonce, &route_data(queue), sealed)
                .map_err(|_| EnvelopeError::Unopenable)?;
            Ok((Inner::decode(unpad(&padded)?)?, None))
        }
        Some((&TOGETHER, rest)) => {
            let (inner, content) = open_slot(key, queue, rest)?;
            Ok((inner, Some(content)))
        }
        _ => Err(EnvelopeError::Unopenable),
    }
}

/// Finds the slot that the route's key opens.
fn open_slot(
    key: &Secret<32>,
    queue: &QueueId,
    rest: &[u8],
) -> Result<(Inner, SealedContent), EnvelopeError> {
    let (slots, rest) = slots(rest)?;
    let data = slot_data(queue, &keys::sha256(&[rest]));
    let mut slots = slots.into_iter();
    let inner = slots.find_map(|(nonce, sealed)| keys::gcm_open(key, nonce, &data, sealed).ok());
    let inner = Inner::decode(&inner.ok_or(EnvelopeError::Unopenable)?)?;
    Ok((inner, SealedContent(rest.to_vec())))
}

type Slots<'a> = Vec<(&'a [u8; 12], &'a [u8])>;

/// Takes a body for several devices apart: nonces and sealed inners, and the sealed content.
fn slots(rest: &[u8]) -> Result<(Slots<'_>, &[u8]), EnvelopeError> {
    let unopenable = EnvelopeError::Unopenable;
    let (count, mut rest) = rest.split_first().ok_or(unopenable)?;
    let mut slots = Vec::with_capacity(usize::from(*count));
    for _ in 0..*count {
        let (nonce, after) = rest.split_first_chunk::<12>().ok_or(unopenable)?;
        let (length, after) = after.split_first_chunk::<2>().ok_or(unopenable)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (sealed, after) = after.split_at_checked(length).ok_or(unopenable)?;
        slots.push((nonce, sealed));
        rest = after;
    }
    Ok((slots, rest))
}

fn route_data(queue: &QueueId) -> Vec<u8> {
    [label::ROUTE.as_bytes(), &[0], queue.as_bytes()].concat()
}

fn slot_data(queue: &QueueId, content: &[u8; 32]) -> Vec<u8> {
    [label::SLOT.as_bytes(), &[0], queue.as_bytes(), content].concat()
}

impl Inner {
    fn to_schema(&self) -> InnerSchema {
        InnerSchema {
            device: self.device.as_bytes().to_vec(),
            kind: match self.kind {
                MessageKind::PreKey => 3,
                MessageKind::Ratchet => 2,
                MessageKind::Signed => 4,
            },
            message: self.message.clone(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let message = InnerSchema::decode(bytes).map_err(|_| EnvelopeError::Unopenable)?;
        Self::from_schema(message)
    }

    fn from_schema(message: InnerSchema) -> Result<Self, EnvelopeError> {
        Ok(Self {
            device: DeviceId::from_slice(&message.device).ok_or(EnvelopeError::Unopenable)?,
            kind: match message.kind {
                3 => MessageKind::PreKey,
                2 => MessageKind::Ratchet,
                4 => MessageKind::Signed,
                _ => return Err(EnvelopeError::Unopenable),
            },
            message: message.message,
        })
    }
}

/// Kind, group, epoch, nonce and AES-GCM tag.
pub(crate) const GROUP_OVERHEAD: usize = 1 + 32 + 8 + 12 + 16;
const GROUP: u8 = 3;

/// Seals a message of a group for all members: `03 ‖ group 32 ‖ BE8(epoch) ‖ nonce 12 ‖ sealed`.
///
/// The key is that of the epoch, so only its members see what kind of message it is.
pub(crate) fn seal_group(
    rng: &mut dyn CryptoRng,
    key: &Secret<32>,
    (group, epoch): (&GroupId, u64),
    message: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    let padded = pad(message, GROUP_OVERHEAD)?;
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    let head = [&[GROUP], &group.as_bytes()[..], &epoch.to_be_bytes()].concat();
    let sealed = keys::gcm_seal(key, &nonce, &group_data(&head), &padded);
    Ok([&head[..], &nonce, &sealed].concat())
}

/// The group and epoch that a body names.
pub(crate) fn group_of(body: &[u8]) -> Option<(GroupId, u64)> {
    let rest = body.strip_prefix(&[GROUP])?;
    let (group, rest) = rest.split_first_chunk::<32>()?;
    let (epoch, _) = rest.split_first_chunk::<8>()?;
    Some((GroupId::from_bytes(*group), u64::from_be_bytes(*epoch)))
}

/// Opens a message of a group with the key of its epoch.
pub(crate) fn open_group(
    key: &Secret<32>,
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let unopenable = EnvelopeError::Unopenable;
    let (head, rest) = body.split_at_checked(1 + 32 + 8).ok_or(unopenable)?;
    let (nonce, sealed) = rest.split_first_chunk::<12>().ok_or(unopenable)?;
    let padded = keys::gcm_open(key, nonce, &group_data(head), sealed)
        .map(Zeroizing::new)
        .map_err(|_| unopenable)?;
    Ok(Zeroizing::new(unpad(&padded)?.to_vec()))
}

fn group_data(head: &[u8]) -> Vec<u8> {
    [label::GROUP_BODY.as_bytes(), &[0], head].concat()
}

/// `BE4(length) ‖ content ‖ zeros` up to the smallest bucket less the seal's overhead.
pub(crate) fn pad(content: &[u8], overhead: usize) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let length = u32::try_from(content.len()).map_err(|_| EnvelopeError::TooLong)?;
    let room = BUCKETS
        .iter()
        .filter_map(|bucket| bucket.checked_sub(overhead))
        .find(|room| {
            room.checked_sub(4)
                .is_some_and(|room| room >= content.len())
        })
        .ok_or(EnvelopeError::TooLong)?;
    let mut padded = Vec::with_capacity(room);
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(room, 0);
    Ok(Zeroizing::new(padded))
}

pub(crate) fn unpad(padded: &[u8]) -> Result<&[u8], EnvelopeError> {
    let (length, rest) = padded
        .split_first_chunk::<4>()
        .ok_or(EnvelopeError::Unopenable)?;
    let length =
        usize::try_from(u32::from_be_bytes(*length)).map_err(|_| EnvelopeError::Unopenable)?;
    let (content, padding) = rest
        .split_at_checked(length)
        .ok_or(EnvelopeError::Unopenable)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(EnvelopeError::Unopenable);
    }
    Ok(content)
}
