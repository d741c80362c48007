//! The protobuf form of schema/letterlock.proto. `tests/schema.rs` holds both equal.

use prost::{Message, Oneof};

macro_rules! messages {
    ($($name:ident { $($(#[$attribute:meta])+ $field:ident: $type:ty,)* })*) => {$(
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $name { $($(#[$attribute])+ pub(crate) $field: $type,)* }
    )*};
}

messages! {
    ClientFrame {
        #[prost(uint64, tag = "1")]
        request_id: u64,
        #[prost(oneof = "Request", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
        request: Option<Request>,
    }
    RelayFrame {
        #[prost(uint64, tag = "1")]
        request_id: u64,
        #[prost(oneof = "Reply", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10")]
        reply: Option<Reply>,
    }
    Hello {
        #[prost(uint32, tag = "1")]
        version: u32,
    }
    Welcome {
        #[prost(bytes = "vec", tag = "1")]
        relay_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        challenge: Vec<u8>,
        #[prost(uint64, tag = "3")]
        time: u64,
        #[prost(uint64, tag = "4")]
        store_version: u64,
    }
    CreateQueue {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        receive_key: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        send_token_hash: Vec<u8>,
    }
    Subscribe {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        signature: Vec<u8>,
    }
    Subscribed {
        #[prost(uint64, tag = "1")]
        next_seq: u64,
    }
    Acknowledge {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(uint64, tag = "2")]
        up_to: u64,
    }
    DeleteQueue {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        signature: Vec<u8>,
    }
    Send {
        #[prost(bytes = "vec", tag = "1")]
        message_id: Vec<u8>,
        #[prost(bytes = "bytes", tag = "2")]
        body: bytes::Bytes,
        #[prost(message, repeated, tag = "3")]
        rows: Vec<Row>,
    }
    Row {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        token: Vec<u8>,
    }
    SendResult {
        #[prost(message, repeated, tag = "1")]
        rows: Vec<RowResult>,
    }
    RowResult {
        #[prost(uint32, tag = "1")]
        status: u32,
        #[prost(uint64, tag = "2")]
        seq: u64,
    }
    Deliver {
        #[prost(bytes = "vec", tag = "1")]
        queue_id: Vec<u8>,
        #[prost(uint64, tag = "2")]
        seq: u64,
        #[prost(bytes = "bytes", tag = "3")]
        body: bytes::Bytes,
        #[prost(uint64, tag = "4")]
        hour: u64,
    }
    Register {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(bytes = "vec", tag = "2")]
        log: Vec<u8>,
        #[prost(string, optional, tag = "3")]
        code: Option<String>,
    }
    FetchLog {
        #[prost(oneof = "Who", tags = "1, 2")]
        who: Option<Who>,
    }
    Log {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(bytes = "vec", tag = "2")]
        log: Vec<u8>,
    }
    PublishPreKeys {
        #[prost(bytes = "vec", tag = "1")]
        account_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        device_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        signed_pre_key: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        last_resort_kem: Vec<u8>,
        #[prost(bytes = "vec", repeated, tag = "5")]
        one_time_ec: Vec<Vec<u8>>,
        #[prost(bytes = "vec", repeated, tag = "6")]
        one_time_kem: Vec<Vec<u8>>,
        #[prost(message, optional, tag = "7")]
        front_door: Option<Row>,
        #[prost(bytes = "vec", tag = "8")]
        signature: Vec<u8>,
        #[prost(bool, tag = "9")]
        replace: bool,
    }
    PreKeyCounts {
        #[prost(uint32, tag = "1")]
        one_time_ec: u32,
        #[prost(uint32, tag = "2")]
        one_time_kem: u32,
    }
    FetchBundle {
        #[prost(bytes = "vec", tag = "1")]
        account_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        device_id: Vec<u8>,
    }
    Bundle {
        #[prost(bytes = "vec", tag = "1")]
        signed_pre_key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        kem_pre_key: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "3")]
        one_time_ec: Option<Vec<u8>>,
        #[prost(message, optional, tag = "4")]
        front_door: Option<Row>,
    }
    CreateTicket {
        #[prost(bytes = "vec", tag = "1")]
        ticket_hash: Vec<u8>,
        #[prost(uint64, tag = "2")]
        expires: u64,
    }
    RedeemTicket {
        #[prost(bytes = "vec", tag = "1")]
        ticket: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        nonce: Vec<u8>,
    }
    Refused {
        #[prost(uint32, tag = "1")]
        kind: u32,
        #[prost(uint32, tag = "2")]
        retry_after_ms: u32,
    }
}

/// `google.protobuf`-like empty message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Done {}

#[derive(Clone, PartialEq, Oneof)]
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
    FetchLog(FetchLog),
    #[prost(message, tag = "10")]
    PublishPreKeys(PublishPreKeys),
    #[prost(message, tag = "11")]
    FetchBundle(FetchBundle),
    #[prost(message, tag = "12")]
    CreateTicket(CreateTicket),
    #[prost(message, tag = "13")]
    RedeemTicket(RedeemTicket),
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Reply {
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    #[prost(message, tag = "3")]
    Done(Done),
    #[prost(message, tag = "4")]
    Subscribed(Subscribed),
    #[prost(message, tag = "5")]
    SendResult(SendResult),
    #[prost(message, tag = "6")]
    Log(Log),
    #[prost(message, tag = "7")]
    PreKeyCounts(PreKeyCounts),
    #[prost(message, tag = "8")]
    Bundle(Bundle),
    #[prost(message, tag = "9")]
    Refused(Refused),
    #[prost(message, tag = "10")]
    Deliver(Deliver),
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Who {
    #[prost(string, tag = "1")]
    Name(String),
    #[prost(bytes = "vec", tag = "2")]
    AccountId(Vec<u8>),
}
