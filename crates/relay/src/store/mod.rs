//! What the relay keeps (docs/spec/relay-store.md). One store exists, the embedded one.

mod embedded;

pub(crate) use embedded::{
    BlobRecord, Closing, Created, HeadFound, HeadPut, InEpoch, Job, Letter, LockPut, LogRecord,
    Noted, Opening, PackagesPublished, Published, Registered, Sent, Store, Threads, Ticket, Tx,
    acknowledge, exists, inspect, letters, make_code, release, send,
};
