//! What a client asks.

use crate::body::Body;
use crate::capability::SendToken;
use crate::epoch::SendInEpoch;
use crate::error::{DecodeError, array, bounded, field, filled};
use crate::head::{DeleteHead, FetchHead, PutHead};
use crate::key_package::{FetchKeyPackage, KeyPackageCount, PublishKeyPackages};
use crate::limits;
use crate::lock::{CancelLock, DeleteLock, LockStatus, OpenLock, PutLock};
use crate::log::{AppendEntries, CheckLog};
use crate::proto;
use bytes::Bytes;
use keys::{AccountId, DeviceId, MessageId, QueueId, Timestamp};

/// A request, checked: ids, lengths and counts hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Opens the conversation.
    Hello(Hello),
    /// Makes a queue.
    CreateQueue(CreateQueue),
    /// Asks for the bodies of a queue.
    Subscribe(Subscribe),
    /// Says that bodies are stored at the client.
    Acknowledge(Acknowledge),
    /// Deletes a queue.
    DeleteQueue(DeleteQueue),
    /// Puts one body into queues.
    Send(Send),
    /// Takes a name.
    Register(Register),
    /// Replaces an account log by a longer one.
    AppendLog(AppendLog),
    /// Asks for an account log.
    FetchLog(FetchLog),
    /// Publishes pre-keys.
    PublishPreKeys(PublishPreKeys),
    /// Asks how many one-time pre-keys are left.
    PreKeyCount(PreKeyCount),
    /// Takes the pre-keys for one session.
    FetchBundle(FetchBundle),
    /// Notes the ticket of an invite.
    CreateTicket(CreateTicket),
    /// Uses the ticket of an invite.
    RedeemTicket(RedeemTicket),
    /// Asks for the entries of a log that are newer than a known one.
    CheckLog(CheckLog),
    /// Appends entries to an account log.
    AppendEntries(AppendEntries),
    /// Makes or replaces a head.
    PutHead(PutHead),
    /// Asks for a head.
    FetchHead(FetchHead),
    /// Deletes a head.
    DeleteHead(DeleteHead),
    /// Makes a lock.
    PutLock(PutLock),
    /// Begins to open a lock, and asks for its key once it is open.
    OpenLock(OpenLock),
    /// Closes a lock again.
    CancelLock(CancelLock),
    /// Asks whether a lock is being opened.
    LockStatus(LockStatus),
    /// Deletes a lock.
    DeleteLock(DeleteLock),
    /// Puts one body into queues, in one epoch of a group.
    SendInEpoch(SendInEpoch),
    /// Publishes key packages.
    PublishKeyPackages(PublishKeyPackages),
    /// Takes a key package.
    FetchKeyPackage(FetchKeyPackage),
    /// Asks how many key packages are left.
    KeyPackageCount(KeyPackageCount),
}

/// Opens the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Version of the protocol: [`limits::VERSION`].
    pub version: u32,
}

/// Makes a queue. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateQueue {
    /// The queue.
    pub queue_id: QueueId,
    /// Ed25519 key of whoever may receive and delete.
    pub receive_key: [u8; 32],
    /// SHA-256 of the token that allows to send.
    pub send_token_hash: [u8; 32],
}

/// Asks for the bodies of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// The queue.
    pub queue_id: QueueId,
    /// By the receive key over [`subscribe_message`](crate::subscribe_message).
    pub signature: [u8; 64],
}

/// Everything of a queue up to a number is stored at the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledge {
    /// The queue, subscribed on this connection.
    pub queue_id: QueueId,
    /// The last stored sequence number.
    pub up_to_seq: u64,
}

/// Deletes a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteQueue {
    /// The queue.
    pub queue_id: QueueId,
    /// By the receive key over [`delete_queue_message`](crate::delete_queue_message).
    pub signature: [u8; 64],
}

/// Puts one body into queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// The same id to the same queue is accepted once.
    pub message_id: MessageId,
    /// The sealed body.
    pub body: Body,
    /// 1 to [`limits::SEND_ROWS`] recipients, as far as the frame has room.
    pub rows: Vec<SendRow>,
}

/// One recipient of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRow {
    /// The queue.
    pub queue_id: QueueId,
    /// Allows to send to it.
    pub token: SendToken,
}

/// Takes a name. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// See [`is_name`].
    pub name: String,
    /// The account log, genesis first, at most [`limits::LOG_PART_BYTES`]. A longer one begins with the entries
    /// that fit; [`AppendEntries`] brings the others.
    pub log: Vec<u8>,
    /// A registration code, where the relay asks for one.
    pub code: Option<String>,
}

/// Replaces an account log by one that continues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendLog {
    /// Whose.
    pub account: AccountId,
    /// The whole log, at most [`limits::LOG_PART_BYTES`].
    pub log: Vec<u8>,
}

/// Asks for an account log: `Log`, or [`Entries`](crate::Entries) where it does not fit in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchLog {
    /// By registered name.
    ByName(String),
    /// By account.
    ByAccount(AccountId),
}

/// Publishes pre-keys. Repeating it adds no key again, not even one that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishPreKeys {
    /// The account.
    pub account: AccountId,
    /// A device of its log.
    pub device: DeviceId,
    /// What every bundle begins with.
    pub identity: Vec<u8>,
    /// The signed EC pre-key.
    pub signed_ec: Vec<u8>,
    /// The KEM pre-key given out when no one-time one is left.
    pub last_resort_kem: Vec<u8>,
    /// One-time EC pre-keys to add.
    pub one_time_ec: Vec<Vec<u8>>,
    /// One-time KEM pre-keys to add.
    pub one_time_kem: Vec<Vec<u8>>,
    /// Where first letters go.
    pub front_door: FrontDoor,
    /// Whether one-time pre-keys published before are dropped.
    pub replace_one_time: bool,
    /// Hybrid signature of the device over [`publish_message`](crate::publish_message).
    pub signature: Vec<u8>,
}

/// The queue that takes first letters of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontDoor {
    /// The queue.
    pub queue_id: QueueId,
    /// Allows to send to it.
    pub token: SendToken,
}

/// Asks how many one-time pre-keys are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreKeyCount {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// Takes the pre-keys for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchBundle {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// Notes the ticket of an invite, to be used once. Repeating it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateTicket {
    /// SHA-256 of the ticket.
    pub ticket_hash: [u8; 32],
    /// When it stops to count; the relay keeps the hour, rounded up.
    pub expires: Timestamp,
}

/// Uses a ticket. The same nonce may use it again; another one may not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RedeemTicket {
    /// The ticket.
    pub ticket: [u8; 16],
    /// The redeemer's alone.
    pub nonce: [u8; 16],
}

impl std::fmt::Debug for RedeemTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedeemTicket(..)")
    }
}

/// Whether a text may be a name: 1 to 32 of `a-z 0-9 . - _`, so that no two names look alike.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=limits::NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl Request {
    /// Encodes the request alone, for an outbox.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::frame::encode_request(0, self)
    }

    /// Reads what [`Request::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        crate::frame::decode_request(Bytes::copy_from_slice(bytes)).map(|(_, request)| request)
    }

    pub(crate) fn to_proto(&self) -> proto::Request {
        use proto::Request as P;
        match self {
            Self::Hello(hello) => P::Hello(proto::Hello {
                version: hello.version,
            }),
            Self::CreateQueue(request) => P::CreateQueue(request.to_proto()),
            Self::Subscribe(request) => P::Subscribe(proto::Subscribe {
                queue_id: bytes_of(request.queue_id.as_bytes()),
                signature: bytes_of(&request.signature),
            }),
            Self::Acknowledge(request) => P::Acknowledge(proto::Acknowledge {
                queue_id: bytes_of(request.queue_id.as_bytes()),
                up_to_seq: request.up_to_seq,
            }),
            Self::DeleteQueue(request) => P::DeleteQueue(proto::DeleteQueue {
                queue_id: bytes_of(request.queue_id.as_bytes()),
                signature: bytes_of(&request.signature),
            }),
            Self::Send(request) => P::Send(request.to_proto()),
            Self::Register(request) => P::Register(proto::Register {
                name: request.name.clone(),
                log: bytes_of(&request.log),
                code: request.code.clone().unwrap_or_default(),
            }),
            Self::AppendLog(request) => P::AppendLog(proto::AppendLog {
                account: bytes_of(request.account.as_bytes()),
                log: bytes_of(&request.log),
            }),
            Self::FetchLog(request) => P::FetchLog(request.to_proto()),
            Self::PublishPreKeys(request) => P::PublishPreKeys(request.to_proto()),
            Self::PreKeyCount(request) => P::PreKeyCount(proto::PreKeyCount {
                account: bytes_of(request.account.as_bytes()),
                device: bytes_of(request.device.as_bytes()),
            }),
            Self::FetchBundle(request) => P::FetchBundle(proto::FetchBundle {
                account: bytes_of(request.account.as_bytes()),
                device: bytes_of(request.device.as_bytes()),
            }),
            Self::CreateTicket(request) => P::CreateTicket(proto::CreateTicket {
                ticket_hash: bytes_of(&request.ticket_hash),
                expires: request.expires.as_secs(),
            }),
            Self::RedeemTicket(request) => P::RedeemTicket(proto::RedeemTicket {
                ticket: bytes_of(&request.ticket),
                nonce: bytes_of(&request.nonce),
            }),
            Self::CheckLog(request) => P::CheckLog(request.to_proto()),
            Self::AppendEntries(request) => P::AppendEntries(request.to_proto()),
            Self::PutHead(request) => P::PutHead(request.to_proto()),
            Self::FetchHead(request) => P::FetchHead(request.to_proto()),
            Self::DeleteHead(request) => P::DeleteHead(request.to_proto()),
            Self::PutLock(request) => P::PutLock(request.to_proto()),
            Self::OpenLock(request) => P::OpenLock(request.to_proto()),
            Self::CancelLock(request) => P::CancelLock(request.to_proto()),
            Self::LockStatus(request) => P::LockStatus(request.to_proto()),
            Self::DeleteLock(request) => P::DeleteLock(request.to_proto()),
            Self::SendInEpoch(request) => P::SendInEpoch(request.to_proto()),
            Self::PublishKeyPackages(request) => P::PublishKeyPackages(request.to_proto()),
            Self::FetchKeyPackage(request) => P::FetchKeyPackage(request.to_proto()),
            Self::KeyPackageCount(request) => P::KeyPackageCount(request.to_proto()),
        }
    }

    pub(crate) fn from_proto(request: proto::Request) -> Result<Self, DecodeError> {
        use proto::Request as P;
        Ok(match request {
            P::Hello(hello) => Self::Hello(Hello {
                version: hello.version,
            }),
            P::CreateQueue(request) => Self::CreateQueue(CreateQueue {
                queue_id: queue_id(&request.queue_id)?,
                receive_key: array(&request.receive_key, "receive_key")?,
                send_token_hash: array(&request.send_token_hash, "send_token_hash")?,
            }),
            P::Subscribe(request) => Self::Subscribe(Subscribe {
                queue_id: queue_id(&request.queue_id)?,
                signature: array(&request.signature, "signature")?,
            }),
            P::Acknowledge(request) => Self::Acknowledge(Acknowledge {
                queue_id: queue_id(&request.queue_id)?,
                up_to_seq: request.up_to_seq,
            }),
            P::DeleteQueue(request) => Self::DeleteQueue(DeleteQueue {
                queue_id: queue_id(&request.queue_id)?,
                signature: array(&request.signature, "signature")?,
            }),
            P::Send(request) => Self::Send(Send::from_proto(request)?),
            P::Register(request) => Self::Register(Register::from_proto(request)?),
            P::AppendLog(request) => Self::AppendLog(AppendLog {
                account: account_id(&request.account)?,
                log: filled(&request.log, limits::LOG_PART_BYTES, "log")?,
            }),
            P::FetchLog(request) => Self::FetchLog(FetchLog::from_proto(request)?),
            P::PublishPreKeys(request) => {
                Self::PublishPreKeys(PublishPreKeys::from_proto(&request)?)
            }
            P::PreKeyCount(request) => Self::PreKeyCount(PreKeyCount {
                account: account_id(&request.account)?,
                device: device_id(&request.device)?,
            }),
            P::FetchBundle(request) => Self::FetchBundle(FetchBundle {
                account: account_id(&request.account)?,
                device: device_id(&request.device)?,
            }),
            P::CreateTicket(request) => Self::CreateTicket(CreateTicket {
                ticket_hash: array(&request.ticket_hash, "ticket_hash")?,
                expires: Timestamp::from_secs(request.expires),
            }),
            P::RedeemTicket(request) => Self::RedeemTicket(RedeemTicket {
                ticket: array(&request.ticket, "ticket")?,
                nonce: array(&request.nonce, "nonce")?,
            }),
            P::CheckLog(request) => Self::CheckLog(CheckLog::from_proto(&request)?),
            P::AppendEntries(request) => Self::AppendEntries(AppendEntries::from_proto(&request)?),
            P::PutHead(request) => Self::PutHead(PutHead::from_proto(&request)?),
            P::FetchHead(request) => Self::FetchHead(FetchHead::from_proto(&request)?),
            P::DeleteHead(request) => Self::DeleteHead(DeleteHead::from_proto(&request)?),
            P::PutLock(request) => Self::PutLock(PutLock::from_proto(&request)?),
            P::OpenLock(request) => Self::OpenLock(OpenLock::from_proto(&request)?),
            P::CancelLock(request) => Self::CancelLock(CancelLock::from_proto(&request)?),
            P::LockStatus(request) => Self::LockStatus(LockStatus::from_proto(&request)?),
            P::DeleteLock(request) => Self::DeleteLock(DeleteLock::from_proto(&request)?),
            P::SendInEpoch(request) => Self::SendInEpoch(SendInEpoch::from_proto(request)?),
            P::PublishKeyPackages(request) => {
                Self::PublishKeyPackages(PublishKeyPackages::from_proto(&request)?)
            }
            P::FetchKeyPackage(request) => {
                Self::FetchKeyPackage(FetchKeyPackage::from_proto(&request)?)
            }
            P::KeyPackageCount(request) => {
                Self::KeyPackageCount(KeyPackageCount::from_proto(&request)?)
            }
        })
    }
}

impl CreateQueue {
    fn to_proto(&self) -> proto::CreateQueue {
        proto::CreateQueue {
            queue_id: bytes_of(self.queue_id.as_bytes()),
            receive_key: bytes_of(&self.receive_key),
            send_token_hash: bytes_of(&self.send_token_hash),
        }
    }
}

impl Send {
    pub(crate) fn to_proto(&self) -> proto::Send {
        let row = |row: &SendRow| proto::SendRow {
            queue_id: bytes_of(row.queue_id.as_bytes()),
            token: bytes_of(row.token.as_bytes()),
        };
        proto::Send {
            message_id: bytes_of(self.message_id.as_bytes()),
            body: self.body.clone().into_bytes(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    pub(crate) fn from_proto(request: proto::Send) -> Result<Self, DecodeError> {
        if !(1..=limits::SEND_ROWS).contains(&request.rows.len()) {
            return Err(field("rows"));
        }
        let row = |row: &proto::SendRow| {
            Ok(SendRow {
                queue_id: queue_id(&row.queue_id)?,
                token: SendToken::from_bytes(array(&row.token, "token")?),
            })
        };
        let rows = request
            .rows
            .iter()
            .map(row)
            .collect::<Result<Vec<_>, DecodeError>>()?;
        if rows.len() > 1 {
            let mut ids: Vec<_> = rows.iter().map(|row| row.queue_id).collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.len() != rows.len() {
                return Err(field("rows"));
            }
        }
        Ok(Self {
            message_id: MessageId::from_slice(&request.message_id)
                .ok_or_else(|| field("message_id"))?,
            body: Body::new(request.body).map_err(|_| field("body"))?,
            rows,
        })
    }
}

impl Register {
    fn from_proto(request: proto::Register) -> Result<Self, DecodeError> {
        if !is_name(&request.name) {
            return Err(field("name"));
        }
        if request.code.len() > limits::CODE_BYTES {
            return Err(field("code"));
        }
        Ok(Self {
            name: request.name,
            log: filled(&request.log, limits::LOG_PART_BYTES, "log")?,
            code: Some(request.code).filter(|code| !code.is_empty()),
        })
    }
}

impl FetchLog {
    fn to_proto(&self) -> proto::FetchLog {
        let by = match self {
            Self::ByName(name) => proto::FetchLogBy::Name(name.clone()),
            Self::ByAccount(account) => proto::FetchLogBy::Account(bytes_of(account.as_bytes())),
        };
        proto::FetchLog { by: Some(by) }
    }

    fn from_proto(request: proto::FetchLog) -> Result<Self, DecodeError> {
        match request.by {
            Some(proto::FetchLogBy::Name(name)) if is_name(&name) => Ok(Self::ByName(name)),
            Some(proto::FetchLogBy::Account(account)) => Ok(Self::ByAccount(account_id(&account)?)),
            _ => Err(field("by")),
        }
    }
}

impl PublishPreKeys {
    fn to_proto(&self) -> proto::PublishPreKeys {
        proto::PublishPreKeys {
            account: bytes_of(self.account.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            identity: bytes_of(&self.identity),
            signed_ec: bytes_of(&self.signed_ec),
            last_resort_kem: bytes_of(&self.last_resort_kem),
            one_time_ec: self
                .one_time_ec
                .iter()
                .map(|record| bytes_of(record))
                .collect(),
            one_time_kem: self
                .one_time_kem
                .iter()
                .map(|record| bytes_of(record))
                .collect(),
            front_door: Some(self.front_door.to_proto()),
            replace_one_time: self.replace_one_time,
            signature: bytes_of(&self.signature),
        }
    }

    fn from_proto(request: &proto::PublishPreKeys) -> Result<Self, DecodeError> {
        let record = |bytes: &Bytes, name| filled(bytes, limits::RECORD_BYTES, name);
        let list = |records: &[Bytes], name| {
            if records.len() > limits::ONE_TIME_KEYS {
                return Err(field(name));
            }
            records
                .iter()
                .map(|bytes| record(bytes, name))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            account: account_id(&request.account)?,
            device: device_id(&request.device)?,
            identity: bounded(&request.identity, limits::RECORD_BYTES, "identity")?,
            signed_ec: bounded(&request.signed_ec, limits::RECORD_BYTES, "signed_ec")?,
            last_resort_kem: bounded(&request.last_resort_kem, limits::RECORD_BYTES, "kem")?,
            one_time_ec: list(&request.one_time_ec, "one_time_ec")?,
            one_time_kem: list(&request.one_time_kem, "one_time_kem")?,
            front_door: FrontDoor::from_proto(request.front_door.as_ref())?,
            replace_one_time: request.replace_one_time,
            signature: filled(&request.signature, limits::SIGNATURE_BYTES, "signature")?,
        })
    }
}

impl FrontDoor {
    pub(crate) fn to_proto(self) -> proto::FrontDoor {
        proto::FrontDoor {
            queue_id: bytes_of(self.queue_id.as_bytes()),
            token: bytes_of(self.token.as_bytes()),
        }
    }

    pub(crate) fn from_proto(door: Option<&proto::FrontDoor>) -> Result<Self, DecodeError> {
        let door = door.ok_or_else(|| field("front_door"))?;
        Ok(Self {
            queue_id: queue_id(&door.queue_id)?,
            token: SendToken::from_bytes(array(&door.token, "token")?),
        })
    }
}

pub(crate) fn bytes_of(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub(crate) fn queue_id(bytes: &[u8]) -> Result<QueueId, DecodeError> {
    QueueId::from_slice(bytes).ok_or_else(|| field("queue_id"))
}

pub(crate) fn account_id(bytes: &[u8]) -> Result<AccountId, DecodeError> {
    AccountId::from_slice(bytes).ok_or_else(|| field("account"))
}

pub(crate) fn device_id(bytes: &[u8]) -> Result<DeviceId, DecodeError> {
    DeviceId::from_slice(bytes).ok_or_else(|| field("device"))
}
