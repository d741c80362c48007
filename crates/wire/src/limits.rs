//! Every bound on what travels.

/// Version of the protocol.
pub const VERSION: u32 = 1;
/// Longest frame of a client in bytes: the largest body, [`SEND_ROWS`] rows and what else stands in a request.
pub const FRAME_BYTES: usize = 176 * 1024;
/// Longest frame of a relay in bytes.
pub const REPLY_BYTES: usize = 80 * 1024;
/// The lengths a body may have, in bytes.
pub const BODY_BUCKETS: [usize; 4] = [1024, 4096, 16_384, 65_536];
/// Rows of one send.
pub const SEND_ROWS: usize = 2_000;
/// Longest name in bytes.
pub const NAME_BYTES: usize = 32;
/// Longest account log in bytes.
pub const LOG_BYTES: usize = 1 << 20;
/// Most entries of an account log.
pub const LOG_ENTRIES: u32 = 10_000;
/// Most bytes of an account log in one frame, and of one entry.
pub const LOG_PART_BYTES: usize = 64 * 1024;
/// Longest registration code in bytes.
pub const CODE_BYTES: usize = 64;
/// Longest record of a pre-key, or of an identity, in bytes.
pub const RECORD_BYTES: usize = 12 * 1024;
/// One-time pre-keys of one kind in one publication.
pub const ONE_TIME_KEYS: usize = 256;
/// Longest key package in bytes: one of the largest suite has two keys of ML-KEM-1024, a key and two signatures of
/// ML-DSA-87, and a certificate.
pub const KEY_PACKAGE_BYTES: usize = 24 * 1024;
/// Key packages in one publication, as far as the frame has room.
pub const KEY_PACKAGES: usize = 32;
/// Longest signature in bytes.
pub const SIGNATURE_BYTES: usize = 8 * 1024;
/// Longest body of a head in bytes.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Largest version of a head.
pub const HEAD_VERSION: u64 = i64::MAX.cast_unsigned();
/// How far a version of a head may lie above the one that it replaces: whoever has the key needs more time than there is to
/// reach the last one.
pub const HEAD_STEP: u64 = 1 << 24;
/// Largest number of an epoch.
pub const EPOCH: u64 = i64::MAX.cast_unsigned();
/// How long a lock may take to open, in seconds: a minute to 60 days.
pub const LOCK_DELAY_SECONDS: std::ops::RangeInclusive<u64> = 60..=60 * 24 * 3600;
/// Longest hint of a refusal in bytes.
pub const MESSAGE_BYTES: usize = 256;
/// Pause before a body is offered again to a queue that was full, in milliseconds.
pub const QUEUE_FULL_PAUSE_MS: u64 = 10_000;
