//! What a client and a relay say to each other: typed requests and replies, and their protobuf form
//! (docs/spec/wire.md, `schema/letterlock.proto`).
//!
//! ```
//! use letterlock_wire::{ClientFrame, Hello, Request};
//! let frame = ClientFrame { request_id: 1, request: Request::Hello(Hello { version: 1 }) };
//! let bytes = frame.encode();
//! assert_eq!(ClientFrame::decode(bytes.into())?, frame);
//! # Ok::<(), letterlock_wire::DecodeError>(())
//! ```

mod body;
mod capability;
mod epoch;
mod error;
mod frame;
mod head;
mod key_package;
pub mod limits;
mod lock;
mod log;
mod proto;
mod reply;
mod request;
mod signed;

pub use body::{Body, WrongSize};
pub use capability::{EpochToken, LockKey, LockToken, SendToken};
pub use epoch::{NextEpoch, SendInEpoch};
pub use error::DecodeError;
pub use frame::{ClientFrame, RelayFrame};
pub use head::{
    DeleteHead, FetchHead, Head, PutHead, delete_head_message, head_id, put_head_message,
};
pub use key_package::{
    FetchKeyPackage, KeyPackage, KeyPackageCount, KeyPackageCounts, PublishKeyPackages,
    publish_key_packages_message,
};
pub use lock::{
    CancelLock, DeleteLock, LockState, LockStatus, OpenLock, PutLock, cancel_lock_message,
    delete_lock_message, lock_id, put_lock_message,
};
pub use log::{AppendEntries, CheckLog, Entries, LogPart, RawLog};
pub use reply::{
    Bundle, Deliver, Log, PreKeyCounts, RefusalKind, Refused, RegistrationPolicy, RelayLimits,
    Reply, RowResult, SendResult, Subscribed, Welcome,
};
pub use request::{
    Acknowledge, AppendLog, CreateQueue, CreateTicket, DeleteQueue, FetchBundle, FetchLog,
    FrontDoor, Hello, PreKeyCount, PublishPreKeys, RedeemTicket, Register, Request, Send, SendRow,
    Subscribe, is_name,
};
pub use signed::{delete_queue_message, publish_message, subscribe_message};
