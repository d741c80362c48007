//! Every bound of a session.

/// Furthest step forward in one chain.
pub const FORWARD_JUMP: u32 = 25_000;
/// Seeds of passed-over messages kept in one chain, the newest.
pub const SKIPPED_SEEDS: usize = 2_000;
/// Receiving chains of one session.
pub const RECEIVING_CHAINS: usize = 5;
/// SPQR keys may be late by so many.
pub const SPQR_WINDOW: u32 = 2_000;
/// Archived sessions of one address, `signal` profile.
pub const ARCHIVED_SIGNAL: usize = 40;
/// Archived sessions of one address, `letterlock` profile.
pub const ARCHIVED: usize = 5;
/// Seconds after which an archived session decrypts nothing, `letterlock` profile.
pub const ARCHIVED_SECONDS: u64 = 30 * 24 * 3600;
/// Seconds after which a session that the peer never answered may no longer send.
pub const UNANSWERED_SECONDS: u64 = 30 * 24 * 3600;
/// Longest pinned device-list hash in bytes.
pub const LIST_HASH: usize = 64;
/// Longest message in bytes.
pub const MESSAGE: usize = 1 << 20;
/// Longest stored record in bytes.
pub const RECORD: usize = 64 << 20;
/// Longest plaintext in bytes; leaves room for the rest of a message.
pub const PLAINTEXT: usize = MESSAGE - 16 * 1024;
/// Longest name of an address in bytes.
pub const ADDRESS: usize = 256;
/// Longest stored signature in bytes.
pub const SIGNATURE: usize = 8192;
