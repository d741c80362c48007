//! The messages as protobuf sees them: field for field `schema/letterlock.proto`, nothing checked yet.
//!
//! They stay inside this crate. `frame.rs`, `request.rs` and `reply.rs` turn them into types whose ids and
//! lengths hold.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientFrame {
    #[prost(uint64, tag = "1")]
    pub(crate) request_id: u64,
    #[prost(
        oneof = "Request",
        tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29"
    )]
    pub(crate) request: Option<Request>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "2")]
    Hello(Hello),
    #[prost(message, tag = "3")]
    CreateQueue(CreateQueue),
    #[prost(message, tag = "4")]
    Subscribe(Subscribe),
    #[prost(message, tag = "5")]
    Acknowledge(Acknowledge),
    #[prost(message, tag = "6")]
    DeleteQueue(DeleteQueue),
    #[prost(message, tag = "7")]
    Send(Send),
    #[prost(message, tag = "8")]
    Register(Register),
    #[prost(message, tag = "9")]
    AppendLog(AppendLog),
    #[prost(message, tag = "10")]
    FetchLog(FetchLog),
    #[prost(message, tag = "11")]
    PublishPreKeys(PublishPreKeys),
    #[prost(message, tag = "12")]
    PreKeyCount(PreKeyCount),
    #[prost(message, tag = "13")]
    FetchBundle(FetchBundle),
    #[prost(message, tag = "14")]
    CreateTicket(CreateTicket),
    #[prost(message, tag = "15")]
    RedeemTicket(RedeemTicket),
    #[prost(message, tag = "16")]
    CheckLog(CheckLog),
    #[prost(message, tag = "17")]
    AppendEntries(AppendEntries),
    #[prost(message, tag = "18")]
    PutHead(PutHead),
    #[prost(message, tag = "19")]
    FetchHead(FetchHead),
    #[prost(message, tag = "20")]
    DeleteHead(DeleteHead),
    #[prost(message, tag = "21")]
    PutLock(PutLock),
    #[prost(message, tag = "22")]
    OpenLock(OpenLock),
    #[prost(message, tag = "23")]
    CancelLock(CancelLock),
    #[prost(message, tag = "24")]
    LockStatus(LockStatus),
    #[prost(message, tag = "25")]
    DeleteLock(DeleteLock),
    #[prost(message, tag = "26")]
    SendInEpoch(SendInEpoch),
    #[prost(message, tag = "27")]
    PublishKeyPackages(PublishKeyPackages),
    #[prost(message, tag = "28")]
    FetchKeyPackage(FetchKeyPackage),
    #[prost(message, tag = "29")]
    KeyPackageCount(KeyPackageCount),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RelayFrame {
    #[prost(uint64, tag = "1")]
    pub(crate) request_id: u64,
    #[prost(
        oneof = "Reply",
        tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17"
    )]
    pub(crate) reply: Option<Reply>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Reply {
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    #[prost(message, tag = "3")]
    Done(Done),
    #[prost(message, tag = "4")]
    Subscribed(Subscribed),
    #[prost(message, tag = "5")]
    Deliver(Deliver),
    #[prost(message, tag = "6")]
    SendResult(SendResult),
    #[prost(message, tag = "7")]
    Log(Log),
    #[prost(message, tag = "8")]
    PreKeyCounts(PreKeyCounts),
    #[prost(message, tag = "9")]
    Bundle(Bundle),
    #[prost(message, tag = "10")]
    Refused(Refused),
    #[prost(message, tag = "11")]
    Entries(Entries),
    #[prost(message, tag = "12")]
    Head(Head),
    #[prost(message, tag = "13")]
    LockState(LockState),
    #[prost(message, tag = "14")]
    LockKey(LockKey),
    #[prost(message, tag = "15")]
    EpochPassed(EpochPassed),
    #[prost(message, tag = "16")]
    KeyPackage(KeyPackage),
    #[prost(message, tag = "17")]
    KeyPackageCounts(KeyPackageCounts),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Welcome {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) relay_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) store_version: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) challenge: Bytes,
    #[prost(uint64, tag = "4")]
    pub(crate) time: u64,
    #[prost(message, optional, tag = "5")]
    pub(crate) limits: Option<Limits>,
    #[prost(enumeration = "RegistrationPolicy", tag = "6")]
    pub(crate) registration: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Limits {
    #[prost(uint32, tag = "1")]
    pub(crate) window: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) rows: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) queue_letters: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) blob_bytes: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) retention_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum RegistrationPolicy {
    Unspecified = 0,
    Open = 1,
    Code = 2,
    Closed = 3,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CreateQueue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) receive_key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) send_token_hash: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Subscribe {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Subscribed {
    #[prost(uint64, tag = "1")]
    pub(crate) next_seq: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) last_acknowledged: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) store_version: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Deliver {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) seq: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) body: Bytes,
    #[prost(uint64, tag = "4")]
    pub(crate) hour: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Acknowledge {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) up_to_seq: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteQueue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Send {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) message_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) body: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(crate) rows: Vec<SendRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SendRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) token: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SendResult {
    #[prost(message, repeated, tag = "1")]
    pub(crate) rows: Vec<RowResult>,
    #[prost(uint64, tag = "2")]
    pub(crate) store_version: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RowResult {
    #[prost(enumeration = "RowStatus", tag = "1")]
    pub(crate) status: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum RowStatus {
    Unspecified = 0,
    Accepted = 1,
    Duplicate = 2,
    NoSuchQueue = 3,
    BadToken = 4,
    QueueFull = 5,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Register {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) log: Bytes,
    #[prost(string, tag = "3")]
    pub(crate) code: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendLog {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) log: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FetchLog {
    #[prost(oneof = "FetchLogBy", tags = "1, 2")]
    pub(crate) by: Option<FetchLogBy>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum FetchLogBy {
    #[prost(string, tag = "1")]
    Name(String),
    #[prost(bytes = "bytes", tag = "2")]
    Account(Bytes),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Log {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) log: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PublishPreKeys {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) identity: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) signed_ec: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) last_resort_kem: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(crate) one_time_ec: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(crate) one_time_kem: Vec<Bytes>,
    #[prost(message, optional, tag = "8")]
    pub(crate) front_door: Option<FrontDoor>,
    #[prost(bool, tag = "9")]
    pub(crate) replace_one_time: bool,
    #[prost(bytes = "bytes", tag = "10")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FrontDoor {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) queue_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) token: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PreKeyCount {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PreKeyCounts {
    #[prost(uint32, tag = "1")]
    pub(crate) one_time_ec: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) one_time_kem: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FetchBundle {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Bundle {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) identity: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) signed_ec: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) kem: Bytes,
    #[prost(bool, tag = "6")]
    pub(crate) kem_is_one_time: bool,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) one_time_ec: Bytes,
    #[prost(message, optional, tag = "8")]
    pub(crate) front_door: Option<FrontDoor>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CreateTicket {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) ticket_hash: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) expires: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RedeemTicket {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) ticket: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) nonce: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CheckLog {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) sequence: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendEntries {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) after: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) entries: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entries {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) account: Bytes,
    #[prost(uint64, tag = "3")]
    pub(crate) first: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) entries: Bytes,
    #[prost(bool, tag = "5")]
    pub(crate) more: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PutHead {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) previous: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) body: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FetchHead {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Head {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) previous: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) body: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteHead {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PutLock {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) token_hash: Bytes,
    #[prost(uint64, tag = "4")]
    pub(crate) delay_seconds: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OpenLock {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) token: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CancelLock {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) opens_at: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LockStatus {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteLock {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) public_key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LockState {
    #[prost(uint64, tag = "1")]
    pub(crate) opens_at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LockKey {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SendInEpoch {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) group: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) token: Bytes,
    #[prost(message, optional, tag = "4")]
    pub(crate) next: Option<NextEpoch>,
    #[prost(message, optional, tag = "5")]
    pub(crate) send: Option<Send>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NextEpoch {
    #[prost(uint64, tag = "1")]
    pub(crate) epoch: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) token_hash: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EpochPassed {
    #[prost(uint64, tag = "1")]
    pub(crate) epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PublishKeyPackages {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) packages: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) last_resort: Bytes,
    #[prost(bool, tag = "5")]
    pub(crate) replace: bool,
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) signature: Bytes,
    #[prost(uint32, tag = "7")]
    pub(crate) suite: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FetchKeyPackage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
    #[prost(uint32, tag = "3")]
    pub(crate) suite: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyPackageCount {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) account: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) device: Bytes,
    #[prost(uint32, tag = "3")]
    pub(crate) suite: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyPackage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) package: Bytes,
    #[prost(bool, tag = "2")]
    pub(crate) last_resort: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyPackageCounts {
    #[prost(uint32, tag = "1")]
    pub(crate) packages: u32,
    #[prost(bool, tag = "2")]
    pub(crate) last_resort: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Done {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Refused {
    #[prost(enumeration = "RefusalKind", tag = "1")]
    pub(crate) kind: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(uint64, tag = "3")]
    pub(crate) retry_after_ms: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) deleted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum RefusalKind {
    Unspecified = 0,
    Malformed = 1,
    Version = 2,
    RateLimited = 3,
    Quota = 4,
    NotFound = 5,
    Forbidden = 6,
    Conflict = 7,
    NameTaken = 8,
    BadLog = 9,
    CodeNeeded = 10,
    CodeUnknown = 11,
    Expired = 12,
    Used = 13,
    Closed = 14,
    Storage = 15,
    Unavailable = 16,
}
