//! What a relay answers.

use crate::body::Body;
use crate::capability::LockKey;
use crate::epoch::epoch_of;
use crate::error::{DecodeError, array, bounded, field, filled};
use crate::head::Head;
use crate::key_package::{KeyPackage, KeyPackageCounts};
use crate::limits;
use crate::lock::LockState;
use crate::log::Entries;
use crate::proto;
use crate::request::{FrontDoor, account_id, bytes_of, device_id, is_name, queue_id};
use keys::{AccountId, DeviceId, QueueId, Timestamp};

/// A reply, checked: ids, lengths and counts hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// To `Hello`.
    Welcome(Welcome),
    /// The request is done and stored.
    Done,
    /// To `Subscribe`.
    Subscribed(Subscribed),
    /// A body of a subscribed queue; its frame has the number 0.
    Deliver(Deliver),
    /// To `Send` and `SendInEpoch`.
    SendResult(SendResult),
    /// To `FetchLog` of a log that fits in one frame.
    Log(Log),
    /// To `PublishPreKeys` and `PreKeyCount`.
    PreKeyCounts(PreKeyCounts),
    /// To `FetchBundle`.
    Bundle(Bundle),
    /// The request is refused and changed nothing.
    Refused(Refused),
    /// To `CheckLog` where there are newer entries, and to `FetchLog` of a log that does not fit in one frame.
    Entries(Entries),
    /// To `FetchHead`.
    Head(Head),
    /// To `OpenLock` while the lock opens, and to `LockStatus`.
    LockState(LockState),
    /// To `OpenLock` of a lock that is open.
    LockKey(LockKey),
    /// To `SendInEpoch` where the group is in another epoch: nothing was sent.
    EpochPassed {
        /// The epoch of the group, as far as this relay knows; 0 where it does not know the group.
        epoch: u64,
    },
    /// To `FetchKeyPackage`.
    KeyPackage(KeyPackage),
    /// To `PublishKeyPackages` and `KeyPackageCount`.
    KeyPackageCounts(KeyPackageCounts),
}

impl Reply {
    /// Milliseconds after which the same request may succeed, where this reply says so: a refusal for now, or a
    /// send of one row whose queue is full.
    #[must_use]
    pub fn try_again_after(&self) -> Option<u64> {
        match self {
            Self::Refused(refused) if refused.is_temporary() => Some(refused.retry_after_ms),
            Self::SendResult(result) if result.rows == [RowResult::QueueFull] => {
                Some(limits::QUEUE_FULL_PAUSE_MS)
            }
            _ => None,
        }
    }
}

/// What the relay says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Drawn when the relay's store was made.
    pub relay_id: [u8; 16],
    /// Grows with every change of the store; a smaller number than before means that it was set back.
    pub store_version: u64,
    /// Drawn for this connection.
    pub challenge: [u8; 32],
    /// The relay's time.
    pub time: Timestamp,
    /// What it takes.
    pub limits: RelayLimits,
    /// Who may register.
    pub registration: RegistrationPolicy,
}

/// What a relay takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayLimits {
    /// Bodies on their way to one connection without an acknowledgement.
    pub window: u32,
    /// Rows of one send.
    pub rows: u32,
    /// Bodies in one queue.
    pub queue_letters: u64,
    /// Bytes of one blob.
    pub blob_bytes: u64,
    /// Seconds after which a body or blob is deleted.
    pub retention_seconds: u64,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Everybody.
    Open,
    /// Whoever has a code of the operator.
    Code,
    /// Nobody.
    Closed,
}

/// A subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// The number the next body will get; the first is 1.
    pub next_seq: u64,
    /// Everything up to here is acknowledged and deleted.
    pub last_acknowledged: u64,
    /// As in [`Welcome`].
    pub store_version: u64,
}

/// A body of a subscribed queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// The queue.
    pub queue_id: QueueId,
    /// Its place there.
    pub seq: u64,
    /// The sealed body.
    pub body: Body,
    /// The hour in which the relay accepted it.
    pub hour: Timestamp,
}

/// What became of the rows of a send, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendResult {
    /// One a row.
    pub rows: Vec<RowResult>,
    /// As in [`Welcome`].
    pub store_version: u64,
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowResult {
    /// Stored.
    Accepted {
        /// Its place in the queue.
        seq: u64,
    },
    /// Stored before under the same message id.
    Duplicate {
        /// Its place in the queue.
        seq: u64,
    },
    /// There is no such queue.
    NoSuchQueue,
    /// The token is not the queue's.
    BadToken,
    /// The queue holds as many bodies as it may; try again later.
    QueueFull,
}

/// An account log as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The registered name.
    pub name: String,
    /// The account, as the relay says.
    pub account: AccountId,
    /// The whole log, at most [`limits::LOG_PART_BYTES`].
    pub log: Vec<u8>,
}

/// How many one-time pre-keys are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreKeyCounts {
    /// EC.
    pub one_time_ec: u32,
    /// KEM.
    pub one_time_kem: u32,
}

/// The pre-keys for one session, as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// What every bundle begins with.
    pub identity: Vec<u8>,
    /// The signed EC pre-key.
    pub signed_ec: Vec<u8>,
    /// A KEM pre-key.
    pub kem: Vec<u8>,
    /// Whether the KEM pre-key is a one-time one.
    pub kem_is_one_time: bool,
    /// A one-time EC pre-key, if one was left.
    pub one_time_ec: Option<Vec<u8>>,
    /// Where first letters go.
    pub front_door: FrontDoor,
}

/// The request is refused and changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub kind: RefusalKind,
    /// A hint for people reading logs.
    pub message: String,
    /// When asking again may help; 0 means that it will not.
    pub retry_after_ms: u64,
    /// Of a head that was deleted: the version that it had, which the next one replaces; else 0.
    pub deleted: u64,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// A kind this version does not know.
    Unknown,
    /// The request breaks the protocol.
    Malformed,
    /// This version of the protocol is not spoken here.
    Version,
    /// Too much at once.
    RateLimited,
    /// A limit of what may be stored is reached.
    Quota,
    /// There is no such thing.
    NotFound,
    /// The signature or capability does not allow this.
    Forbidden,
    /// It exists and is not the same.
    Conflict,
    /// Another account has the name.
    NameTaken,
    /// The account log does not hold.
    BadLog,
    /// Registration takes a code here.
    CodeNeeded,
    /// There is no such registration code.
    CodeUnknown,
    /// The ticket or registration code has expired.
    Expired,
    /// The ticket or registration code was used.
    Used,
    /// Registration is closed.
    Closed,
    /// The relay cannot store at the moment.
    Storage,
    /// The relay is stopping or busy.
    Unavailable,
}

impl Refused {
    /// A refusal for good.
    #[must_use]
    pub fn new(kind: RefusalKind, message: &str) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            retry_after_ms: 0,
            deleted: 0,
        }
    }

    /// A refusal for some time.
    #[must_use]
    pub fn for_now(kind: RefusalKind, message: &str, retry_after_ms: u64) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            retry_after_ms: retry_after_ms.max(1),
            deleted: 0,
        }
    }

    /// There is no such head any more; it had this version.
    #[must_use]
    pub fn deleted(version: u64) -> Self {
        Self {
            deleted: version,
            ..Self::new(RefusalKind::NotFound, "the head was deleted")
        }
    }

    /// Whether asking again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.retry_after_ms > 0
    }
}

impl Reply {
    pub(crate) fn to_proto(&self) -> proto::Reply {
        use proto::Reply as P;
        match self {
            Self::Welcome(welcome) => P::Welcome(welcome.to_proto()),
            Self::Done => P::Done(proto::Done {}),
            Self::Subscribed(reply) => P::Subscribed(proto::Subscribed {
                next_seq: reply.next_seq,
                last_acknowledged: reply.last_acknowledged,
                store_version: reply.store_version,
            }),
            Self::Deliver(deliver) => P::Deliver(proto::Deliver {
                queue_id: bytes_of(deliver.queue_id.as_bytes()),
                seq: deliver.seq,
                body: deliver.body.clone().into_bytes(),
                hour: deliver.hour.as_secs(),
            }),
            Self::SendResult(result) => P::SendResult(proto::SendResult {
                rows: result.rows.iter().map(|row| row.to_proto()).collect(),
                store_version: result.store_version,
            }),
            Self::Log(log) => P::Log(proto::Log {
                name: log.name.clone(),
                account: bytes_of(log.account.as_bytes()),
                log: bytes_of(&log.log),
            }),
            Self::PreKeyCounts(counts) => P::PreKeyCounts(proto::PreKeyCounts {
                one_time_ec: counts.one_time_ec,
                one_time_kem: counts.one_time_kem,
            }),
            Self::Bundle(bundle) => P::Bundle(bundle.to_proto()),
            Self::Refused(refused) => P::Refused(proto::Refused {
                kind: refused.kind.to_proto() as i32,
                message: refused.message.clone(),
                retry_after_ms: refused.retry_after_ms,
                deleted: refused.deleted,
            }),
            Self::Entries(entries) => P::Entries(entries.to_proto()),
            Self::Head(head) => P::Head(head.to_proto()),
            Self::LockState(state) => P::LockState(state.to_proto()),
            Self::LockKey(key) => P::LockKey(proto::LockKey {
                key: bytes_of(key.as_bytes()),
            }),
            Self::EpochPassed { epoch } => P::EpochPassed(proto::EpochPassed { epoch: *epoch }),
            Self::KeyPackage(reply) => P::KeyPackage(reply.to_proto()),
            Self::KeyPackageCounts(reply) => P::KeyPackageCounts(reply.to_proto()),
        }
    }

    pub(crate) fn from_proto(reply: proto::Reply) -> Result<Self, DecodeError> {
        use proto::Reply as P;
        Ok(match reply {
            P::Welcome(welcome) => Self::Welcome(Welcome::from_proto(&welcome)?),
            P::Done(proto::Done {}) => Self::Done,
            P::Subscribed(reply) => Self::Subscribed(Subscribed {
                next_seq: reply.next_seq,
                last_acknowledged: reply.last_acknowledged,
                store_version: reply.store_version,
            }),
            P::Deliver(deliver) => Self::Deliver(Deliver {
                queue_id: queue_id(&deliver.queue_id)?,
                seq: deliver.seq,
                body: Body::new(deliver.body).map_err(|_| field("body"))?,
                hour: Timestamp::from_secs(deliver.hour),
            }),
            P::SendResult(result) => Self::SendResult(SendResult::from_proto(&result)?),
            P::Log(log) => Self::Log(Log::from_proto(log)?),
            P::PreKeyCounts(counts) => Self::PreKeyCounts(PreKeyCounts {
                one_time_ec: counts.one_time_ec,
                one_time_kem: counts.one_time_kem,
            }),
            P::Bundle(bundle) => Self::Bundle(Bundle::from_proto(&bundle)?),
            P::Refused(refused) => Self::Refused(Refused::from_proto(refused)?),
            P::Entries(entries) => Self::Entries(Entries::from_proto(entries)?),
            P::Head(head) => Self::Head(Head::from_proto(&head)?),
            P::LockState(state) => Self::LockState(LockState::from_proto(&state)),
            P::LockKey(key) => Self::LockKey(LockKey::from_bytes(array(&key.key, "key")?)),
            P::EpochPassed(reply) => Self::EpochPassed {
                epoch: epoch_of(reply.epoch)?,
            },
            P::KeyPackage(reply) => Self::KeyPackage(KeyPackage::from_proto(&reply)?),
            P::KeyPackageCounts(reply) => {
                Self::KeyPackageCounts(KeyPackageCounts::from_proto(&reply))
            }
        })
    }
}

impl Welcome {
    fn to_proto(&self) -> proto::Welcome {
        proto::Welcome {
            relay_id: bytes_of(&self.relay_id),
            store_version: self.store_version,
            challenge: bytes_of(&self.challenge),
            time: self.time.as_secs(),
            limits: Some(proto::Limits {
                window: self.limits.window,
                rows: self.limits.rows,
                queue_letters: self.limits.queue_letters,
                blob_bytes: self.limits.blob_bytes,
                retention_seconds: self.limits.retention_seconds,
            }),
            registration: match self.registration {
                RegistrationPolicy::Open => proto::RegistrationPolicy::Open,
                RegistrationPolicy::Code => proto::RegistrationPolicy::Code,
                RegistrationPolicy::Closed => proto::RegistrationPolicy::Closed,
            } as i32,
        }
    }

    fn from_proto(welcome: &proto::Welcome) -> Result<Self, DecodeError> {
        let limits = welcome.limits.as_ref().ok_or_else(|| field("limits"))?;
        Ok(Self {
            relay_id: array(&welcome.relay_id, "relay_id")?,
            store_version: welcome.store_version,
            challenge: array(&welcome.challenge, "challenge")?,
            time: Timestamp::from_secs(welcome.time),
            limits: RelayLimits {
                window: limits.window,
                rows: limits.rows,
                queue_letters: limits.queue_letters,
                blob_bytes: limits.blob_bytes,
                retention_seconds: limits.retention_seconds,
            },
            registration: match welcome.registration() {
                proto::RegistrationPolicy::Open => RegistrationPolicy::Open,
                proto::RegistrationPolicy::Code => RegistrationPolicy::Code,
                proto::RegistrationPolicy::Closed | proto::RegistrationPolicy::Unspecified => {
                    RegistrationPolicy::Closed
                }
            },
        })
    }
}

impl SendResult {
    fn from_proto(result: &proto::SendResult) -> Result<Self, DecodeError> {
        if result.rows.len() > limits::SEND_ROWS {
            return Err(field("rows"));
        }
        let rows = result
            .rows
            .iter()
            .map(RowResult::from_proto)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rows,
            store_version: result.store_version,
        })
    }
}

impl RowResult {
    fn to_proto(self) -> proto::RowResult {
        use proto::RowStatus as P;
        let (status, seq) = match self {
            Self::Accepted { seq } => (P::Accepted, seq),
            Self::Duplicate { seq } => (P::Duplicate, seq),
            Self::NoSuchQueue => (P::NoSuchQueue, 0),
            Self::BadToken => (P::BadToken, 0),
            Self::QueueFull => (P::QueueFull, 0),
        };
        proto::RowResult {
            status: status as i32,
            seq,
        }
    }

    fn from_proto(row: &proto::RowResult) -> Result<Self, DecodeError> {
        use proto::RowStatus as P;
        Ok(match row.status() {
            P::Accepted => Self::Accepted { seq: row.seq },
            P::Duplicate => Self::Duplicate { seq: row.seq },
            P::NoSuchQueue => Self::NoSuchQueue,
            P::BadToken => Self::BadToken,
            P::QueueFull => Self::QueueFull,
            P::Unspecified => return Err(field("status")),
        })
    }
}

impl Log {
    fn from_proto(log: proto::Log) -> Result<Self, DecodeError> {
        if !is_name(&log.name) {
            return Err(field("name"));
        }
        Ok(Self {
            name: log.name,
            account: account_id(&log.account)?,
            log: filled(&log.log, limits::LOG_PART_BYTES, "log")?,
        })
    }
}

impl Bundle {
    fn to_proto(&self) -> proto::Bundle {
        proto::Bundle {
            account: bytes_of(self.account.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            identity: bytes_of(&self.identity),
            signed_ec: bytes_of(&self.signed_ec),
            kem: bytes_of(&self.kem),
            kem_is_one_time: self.kem_is_one_time,
            one_time_ec: self
                .one_time_ec
                .as_deref()
                .map(bytes_of)
                .unwrap_or_default(),
            front_door: Some(self.front_door.to_proto()),
        }
    }

    fn from_proto(bundle: &proto::Bundle) -> Result<Self, DecodeError> {
        let one_time_ec = bounded(&bundle.one_time_ec, limits::RECORD_BYTES, "one_time_ec")?;
        Ok(Self {
            account: account_id(&bundle.account)?,
            device: device_id(&bundle.device)?,
            identity: bounded(&bundle.identity, limits::RECORD_BYTES, "identity")?,
            signed_ec: bounded(&bundle.signed_ec, limits::RECORD_BYTES, "signed_ec")?,
            kem: bounded(&bundle.kem, limits::RECORD_BYTES, "kem")?,
            kem_is_one_time: bundle.kem_is_one_time,
            one_time_ec: Some(one_time_ec).filter(|record| !record.is_empty()),
            front_door: FrontDoor::from_proto(bundle.front_door.as_ref())?,
        })
    }
}

impl Refused {
    fn from_proto(refused: proto::Refused) -> Result<Self, DecodeError> {
        if refused.message.len() > limits::MESSAGE_BYTES {
            return Err(field("message"));
        }
        let kind = RefusalKind::from_proto(refused.kind());
        Ok(Self {
            kind,
            message: refused.message,
            retry_after_ms: refused.retry_after_ms,
            deleted: refused.deleted,
        })
    }
}

/// The two lists of kinds, side by side.
const KINDS: [(RefusalKind, proto::RefusalKind); 17] = [
    (RefusalKind::Unknown, proto::RefusalKind::Unspecified),
    (RefusalKind::Malformed, proto::RefusalKind::Malformed),
    (RefusalKind::Version, proto::RefusalKind::Version),
    (RefusalKind::RateLimited, proto::RefusalKind::RateLimited),
    (RefusalKind::Quota, proto::RefusalKind::Quota),
    (RefusalKind::NotFound, proto::RefusalKind::NotFound),
    (RefusalKind::Forbidden, proto::RefusalKind::Forbidden),
    (RefusalKind::Conflict, proto::RefusalKind::Conflict),
    (RefusalKind::NameTaken, proto::RefusalKind::NameTaken),
    (RefusalKind::BadLog, proto::RefusalKind::BadLog),
    (RefusalKind::CodeNeeded, proto::RefusalKind::CodeNeeded),
    (RefusalKind::CodeUnknown, proto::RefusalKind::CodeUnknown),
    (RefusalKind::Expired, proto::RefusalKind::Expired),
    (RefusalKind::Used, proto::RefusalKind::Used),
    (RefusalKind::Closed, proto::RefusalKind::Closed),
    (RefusalKind::Storage, proto::RefusalKind::Storage),
    (RefusalKind::Unavailable, proto::RefusalKind::Unavailable),
];

impl RefusalKind {
    fn to_proto(self) -> proto::RefusalKind {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or(proto::RefusalKind::Unspecified, |(_, proto)| *proto)
    }

    fn from_proto(kind: proto::RefusalKind) -> Self {
        KINDS
            .iter()
            .find(|(_, proto)| *proto == kind)
            .map_or(Self::Unknown, |(kind, _)| *kind)
    }
}
