//! Every bound the relay puts on foreign input, and every time it waits. What an operator may change is in
//! `config.rs`.

use std::time::Duration;

/// Bodies on their way to one connection without an acknowledgement.
pub(crate) const WINDOW: u32 = 32;
/// Requests of one connection that wait for the store; then the relay stops reading from it.
pub(crate) const PENDING_REQUESTS: u32 = 256;
/// Bytes of the requests of one connection that wait for the store; then the relay stops reading from it.
pub(crate) const PENDING_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that a row of a send counts for.
pub(crate) const ROW_BYTES: usize = size_of::<wire::SendRow>();
/// Frames for one connection that are not written; then the relay stops reading from it.
pub(crate) const UNWRITTEN_FRAMES: usize = 64;
/// Subscriptions of one connection.
pub(crate) const SUBSCRIPTIONS: usize = 10_000;
/// Frames of one connection that cannot be read before it is closed.
pub(crate) const MALFORMED_FRAMES: u32 = 8;
/// Bytes of a WebSocket's read buffer.
pub(crate) const READ_BUFFER: usize = 4 * 1024;
/// Bytes gathered before they are written to a connection; the buffer grows only while it is written.
pub(crate) const WRITE_GATHER: usize = 16 * 1024;
/// Bytes of the buffer of an HTTP/1.1 connection; it starts small and grows while much comes.
pub(crate) const HTTP_BUFFER: usize = 256 * 1024;
/// Headers of one HTTP request.
pub(crate) const HTTP_HEADERS: usize = 32;
/// Time for the TLS handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for the head of an HTTP request.
pub(crate) const HTTP_HEAD: Duration = Duration::from_secs(15);
/// Time a refused connection stays to be told so.
pub(crate) const REFUSED: Duration = Duration::from_secs(1);
/// Silence after which the relay pings a WebSocket.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(45);
/// Time a peer may take to read what is written to it.
pub(crate) const WRITE: Duration = Duration::from_secs(30);
/// Time a graceful stop waits for connections.
pub(crate) const STOP: Duration = Duration::from_secs(5);
/// Commands that wait for the writer.
pub(crate) const WRITER_QUEUE: usize = 4 * 1024;
/// Commands of one transaction.
pub(crate) const BATCH_COMMANDS: usize = 2 * 1024;
/// Bytes of the bodies and rows of one transaction.
pub(crate) const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Commands that wait for the reader.
pub(crate) const READER_QUEUE: usize = 8 * 1024;
/// Bodies read from the store at a time.
pub(crate) const READ_LETTERS: u32 = 32;
/// Queues whose keys are kept in memory.
pub(crate) const CACHED_QUEUES: usize = 100_000;
/// Rows deleted at a time when they expire.
pub(crate) const SWEEP_ROWS: u32 = 2_000;
/// Pause between sweeps.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Seconds a message id is known as a duplicate.
pub(crate) const DUPLICATE_SECONDS: u64 = 7 * 24 * 3600;
/// Seconds the hash of a taken one-time pre-key or key package is kept, so that it is not added again.
pub(crate) const TAKEN_KEY_SECONDS: u64 = 90 * 24 * 3600;
/// One-time pre-keys of one kind that a device may have here.
pub(crate) const ONE_TIME_KEYS: u32 = 1_000;
/// Key packages that a device may have here, without the one of last resort.
pub(crate) const KEY_PACKAGES: u32 = 256;
/// Attempts to store what was checked against a log that is changed meanwhile.
pub(crate) const LOG_ATTEMPTS: u32 = 4;
/// Seconds a head is kept after it was last written.
pub(crate) const HEAD_SECONDS: u64 = 400 * 24 * 3600;
/// Seconds a group is kept after its epoch last changed.
pub(crate) const GROUP_SECONDS: u64 = 400 * 24 * 3600;
/// Longest life of a ticket in seconds.
pub(crate) const TICKET_SECONDS: u64 = 31 * 24 * 3600;
/// Bytes of an upload between two flushes to the disk.
pub(crate) const BLOB_FLUSH: u64 = 64 * 1024 * 1024;
/// Bytes of an upload that are read on after the answer was no.
pub(crate) const BLOB_PASSED_OVER: usize = 32 * 1024 * 1024;
/// Bytes written to a blob's file at a time.
pub(crate) const BLOB_CHUNK: usize = 1024 * 1024;
/// Silence in an upload after which it is broken off.
pub(crate) const BLOB_SILENCE: Duration = Duration::from_secs(60);
/// Seconds an upload may take until it is complete.
pub(crate) const BLOB_UNFINISHED_SECONDS: u64 = 2 * 24 * 3600;
/// A lasting blob that nobody has used for so long is deleted, in seconds: as a head.
pub(crate) const BLOB_LASTING_SECONDS: u64 = 400 * 24 * 3600;
/// So often the use of a lasting blob is noted, in seconds.
pub(crate) const BLOB_USE_SECONDS: u64 = 24 * 3600;
/// Peer addresses whose rates are remembered.
pub(crate) const REMEMBERED_PEERS: usize = 100_000;
/// Devices whose rates of bundles, or of key packages, are remembered.
pub(crate) const REMEMBERED_DEVICES: usize = 100_000;
/// Accounts whose rates of requests for recovery are remembered.
pub(crate) const REMEMBERED_REQUESTS: usize = 100_000;
/// Requests for recovery of one account at once.
pub(crate) const REQUESTS_AT_ONCE: u64 = 3;
/// Thousandths of a request for recovery that come back each second.
pub(crate) const REQUESTS_MILLI_PER_SECOND: u64 = 1;
/// Seconds for which a request for recovery, whose delay is over, keeps others out: whoever asked comes back.
pub(crate) const REQUEST_STANDS_SECONDS: u64 = 24 * 3600;
/// Seconds a request for recovery may be dated back: entries tell the hour.
pub(crate) const REQUEST_DATED_SECONDS: u64 = 2 * 3600;
/// Milliseconds after which a client may ask again when a limit of the store is reached.
pub(crate) const QUOTA_RETRY_MS: u64 = 60_000;
/// Seconds after which a client may ask again when the disk is full.
pub(crate) const NO_ROOM_RETRY_SECONDS: u32 = 60;
/// Milliseconds after which a client may ask again when the store failed.
pub(crate) const STORAGE_RETRY_MS: u64 = 2_000;
/// Milliseconds after which a client may ask again when the relay stops.
pub(crate) const STOPPING_RETRY_MS: u64 = 1_000;
/// Bytes read from a blob's file at a time.
pub(crate) const BLOB_READ: usize = 256 * 1024;
/// Pieces of an upload between the network and the disk.
pub(crate) const BLOB_PIECES: usize = 4;
/// Uploads at a time.
pub(crate) const UPLOADS: usize = 64;
/// Time an upload waits for an older one to the same blob to end.
pub(crate) const UPLOAD_TURN: Duration = Duration::from_secs(5);
/// Pause after the system could not accept a connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
