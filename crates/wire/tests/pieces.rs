//! Logs in pieces, heads and locks: what their forms allow, and what is signed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use keys::account_log::{DeviceSecrets, RootSecret, UnverifiedLog, genesis};
use keys::codec::Writer;
use keys::{AccountId, Secret, Suite, Timestamp, ed25519, sha256};
use letterlock_wire::{
    AppendEntries, CancelLock, ClientFrame, DecodeError, DeleteHead, Head, LockKey, PutHead,
    PutLock, RawLog, Request, cancel_lock_message, delete_head_message, delete_lock_message,
    head_id, limits, lock_id, put_head_message, put_lock_message,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// An entry in form only: a body of so many bytes, one signature of each kind of signer.
fn entry(body: usize, fill: u8) -> Vec<u8> {
    let mut out = Writer::new();
    out.bytes(&vec![fill; body]);
    out.u8(3);
    out.u8(0);
    out.bytes(&[fill; 64]);
    out.u8(1);
    out.array(&[fill; 16]);
    out.bytes(&[fill; 65]);
    out.u8(2);
    out.u8(1);
    out.bytes(&[fill; 66]);
    out.finish()
}

fn log(entries: &[Vec<u8>]) -> Vec<u8> {
    RawLog::begin(&entries.concat()).unwrap()
}

/// Asks for one part after the other, as a client does, and puts them together.
fn fetched_in_parts(log: &[u8]) -> Vec<u8> {
    let raw = RawLog::parse(log).unwrap();
    let part = raw.part(0).unwrap();
    let (mut known, mut more) = (RawLog::begin(part.entries).unwrap(), part.more);
    while more {
        let mine = RawLog::parse(&known).unwrap();
        let part = raw.part(mine.head() + 1).unwrap();
        assert!((1..=limits::LOG_PART_BYTES).contains(&part.entries.len()));
        let longer = mine.with(part.entries).unwrap();
        (known, more) = (longer, part.more);
    }
    known
}

#[test]
fn a_real_log_is_cut_and_put_together_again() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    let made = genesis(&root, &device, Timestamp::from_secs(1_700_000_000)).unwrap();
    let raw = RawLog::parse(made.bytes()).unwrap();
    assert_eq!(raw.head(), made.head().sequence);
    let again = fetched_in_parts(made.bytes());
    assert_eq!(again, made.bytes());
    assert!(UnverifiedLog::decode(&again).is_ok());
}

#[test]
fn parts_are_whole_entries_and_fit_in_a_frame() {
    let entries: Vec<_> = (0..60)
        .map(|number| entry(9_000 + 100 * usize::from(number), number))
        .collect();
    let log = log(&entries);
    assert!(log.len() > 500_000);
    let raw = RawLog::parse(&log).unwrap();
    assert_eq!(raw.head(), 59);
    for first in 0..60 {
        let part = raw.part(first).unwrap();
        let place = usize::try_from(first).unwrap();
        assert!(part.entries.starts_with(&entries[place]));
        assert!(part.entries.len() <= limits::LOG_PART_BYTES);
        let rest = entries[place..].concat();
        assert!(rest.starts_with(part.entries));
        assert_eq!(part.more, rest.len() > part.entries.len());
        assert!(raw.has(first, part.entries) && !raw.has(first + 1, part.entries));
        let request = Request::AppendEntries(AppendEntries {
            account: AccountId::from_bytes([1; 32]),
            after: first,
            entries: part.entries.to_vec(),
        });
        let frame = ClientFrame {
            request_id: 1,
            request,
        };
        assert_eq!(ClientFrame::decode(frame.encode().into()), Ok(frame));
    }
    assert!(raw.part(60).is_none() && raw.part(u64::MAX).is_none());
    assert!(!raw.has(60, &[]) && !raw.has(u64::MAX, &[]));
    assert_eq!(fetched_in_parts(&log), log);
}

#[test]
fn an_entry_may_fill_a_part_and_no_more() {
    let frame = entry(0, 1).len();
    let largest = limits::LOG_PART_BYTES - frame;
    let log = log(&[entry(largest, 1), entry(1, 2), entry(largest, 3)]);
    let raw = RawLog::parse(&log).unwrap();
    assert_eq!(
        raw.part(0).unwrap().entries.len(),
        limits::LOG_PART_BYTES,
        "exactly one"
    );
    assert_eq!(fetched_in_parts(&log), log);
    let beyond = entry(largest + 1, 1);
    assert_eq!(
        RawLog::begin(&beyond),
        Err(DecodeError::Field { field: "log" })
    );
}

#[test]
fn what_is_no_log_is_refused() {
    let good = log(&[entry(10, 1), entry(20, 2)]);
    let refused = Err(DecodeError::Field { field: "log" });
    for end in 0..good.len() {
        assert_eq!(RawLog::parse(&good[..end]).map(drop), refused, "at {end}");
    }
    for (at, byte) in [(0, 2), (1, 1), (4, 1), (4, 3), (4, 0)] {
        let mut log = good.clone();
        log[at] = byte;
        assert_eq!(RawLog::parse(&log).map(drop), refused, "{byte} at {at}");
    }
    // A kind of signer that does not exist, and more behind the end.
    let mut unknown = good.clone();
    unknown[5 + 4 + 10 + 1] = 3;
    assert_eq!(RawLog::parse(&unknown).map(drop), refused);
    assert_eq!(
        RawLog::parse(&[good.as_slice(), &[0]].concat()).map(drop),
        refused
    );
    assert_eq!(RawLog::begin(&[]), Err(DecodeError::Field { field: "log" }));
    let raw = RawLog::parse(&good).unwrap();
    assert!(raw.with(&[0, 0]).is_err());
    assert!(raw.with(&vec![0; limits::LOG_BYTES]).is_err());
    let many = entry(60_000, 1).repeat(18);
    assert!(many.len() > limits::LOG_BYTES && RawLog::begin(&many).is_err());
    let small: Vec<u8> = [0; 5].repeat(10_001);
    assert!(RawLog::begin(&small[5..]).is_ok() && RawLog::begin(&small).is_err());
}

fn field_of(request: Request) -> Option<&'static str> {
    let frame = ClientFrame {
        request_id: 1,
        request,
    };
    match ClientFrame::decode(frame.encode().into()) {
        Err(DecodeError::Field { field }) => Some(field),
        decoded => {
            assert_eq!(decoded, Ok(frame));
            None
        }
    }
}

fn put_head(version: u64, previous: u64, body: usize) -> Request {
    Request::PutHead(PutHead {
        public_key: [1; 32],
        version,
        previous,
        body: vec![2; body],
        signature: [3; 64],
    })
}

fn put_lock(delay_seconds: u64) -> PutLock {
    PutLock {
        public_key: [1; 32],
        key: LockKey::from_bytes([2; 32]),
        token_hash: [3; 32],
        delay_seconds,
        signature: [4; 64],
    }
}

#[test]
fn versions_delays_and_lengths_are_bounded() {
    let largest = limits::HEAD_VERSION;
    for (version, previous, body, expected) in [
        (1, 0, 1, None),
        (largest, largest - 1, limits::HEAD_BYTES, None),
        (0, 0, 1, Some("version")),
        (3, 3, 1, Some("version")),
        (3, 4, 1, Some("version")),
        (largest + 1, largest, 1, Some("version")),
        (1, 0, 0, Some("body")),
        (1, 0, limits::HEAD_BYTES + 1, Some("body")),
    ] {
        assert_eq!(field_of(put_head(version, previous, body)), expected);
    }
    for (delay, expected) in [
        (60, None),
        (60 * 24 * 3600, None),
        (59, Some("delay_seconds")),
        (60 * 24 * 3600 + 1, Some("delay_seconds")),
        (u64::MAX, Some("delay_seconds")),
    ] {
        assert_eq!(field_of(Request::PutLock(put_lock(delay))), expected);
    }
    let delete = |version| {
        Request::DeleteHead(DeleteHead {
            public_key: [1; 32],
            version,
            signature: [2; 64],
        })
    };
    assert_eq!(field_of(delete(0)), Some("version"));
    assert_eq!(field_of(delete(1)), None);
    for (length, expected) in [(0, Some("entries")), (limits::LOG_PART_BYTES, None)] {
        let request = Request::AppendEntries(AppendEntries {
            account: AccountId::from_bytes([1; 32]),
            after: 0,
            entries: vec![0; length],
        });
        assert_eq!(field_of(request), expected);
    }
    let cancel = Request::CancelLock(CancelLock {
        public_key: [1; 32],
        opens_at: Timestamp::from_secs(u64::MAX),
        signature: [2; 64],
    });
    assert_eq!(field_of(cancel), None);
}

#[test]
fn no_version_of_a_head_jumps_far() {
    let (step, largest) = (limits::HEAD_STEP, limits::HEAD_VERSION);
    for (version, previous, expected) in [
        (step, 0, None),
        (step + 7, 7, None),
        (step + 1, 0, Some("version")),
        (step + 8, 7, Some("version")),
        (largest, 0, Some("version")),
    ] {
        assert_eq!(field_of(put_head(version, previous, 1)), expected);
    }
}

#[test]
fn every_field_of_a_head_is_signed() {
    let seed = Secret::from_fn(|seed| seed.fill(7));
    let public_key = ed25519::public(&seed);
    let message = put_head_message(&public_key, 5, 4, b"body");
    let head = Head {
        public_key,
        version: 5,
        previous: 4,
        body: b"body".to_vec(),
        signature: ed25519::sign(&seed, &message),
    };
    let id = head_id(&public_key);
    assert!(head.is_signed(&id) && !head.is_signed(&[0; 32]));
    type Change = fn(&mut Head);
    let changes: [Change; 4] = [
        |head| head.version = 6,
        |head| head.previous = 3,
        |head| head.body.push(0),
        |head| head.signature[0] ^= 1,
    ];
    for change in changes {
        let mut changed = head.clone();
        change(&mut changed);
        assert!(!changed.is_signed(&id));
    }
    let other = Secret::from_fn(|seed| seed.fill(8));
    let stranger = Head {
        public_key: ed25519::public(&other),
        signature: ed25519::sign(&other, &message),
        ..head
    };
    assert!(!stranger.is_signed(&id));
}

#[test]
fn messages_are_the_documented_bytes() {
    let key = [1; 32];
    let id = sha256(&[&key]);
    assert_eq!((head_id(&key), lock_id(&key)), (id, id));
    let of = |label: &str, parts: &[&[u8]]| [label.as_bytes(), &[0], &id, &parts.concat()].concat();
    let (five, four) = (5_u64.to_be_bytes(), 4_u64.to_be_bytes());
    let body = sha256(&[b"body"]);
    assert_eq!(
        put_head_message(&key, 5, 4, b"body"),
        of("letterlock/v1/head/put", &[&five, &four, &body])
    );
    assert_eq!(
        delete_head_message(&key, 5),
        of("letterlock/v1/head/delete", &[&five])
    );
    let (kept, delay) = (sha256(&[&[2; 32]]), 60_u64.to_be_bytes());
    assert_eq!(
        put_lock_message(&put_lock(60)),
        of("letterlock/v1/lock/put", &[&kept, &[3; 32], &delay])
    );
    assert_eq!(
        cancel_lock_message(&key, Timestamp::from_secs(5)),
        of("letterlock/v1/lock/cancel", &[&five])
    );
    assert_eq!(
        delete_lock_message(&key),
        of("letterlock/v1/lock/delete", &[])
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_logs_never_panic_and_parts_never_lose_a_byte(
        sizes in proptest::collection::vec(0..3_000_usize, 1..8),
        at in any::<usize>(),
        bit in 0..8_u32,
    ) {
        let entries: Vec<_> = sizes.iter().zip(1..).map(|(size, fill)| entry(*size, fill)).collect();
        let good = log(&entries);
        prop_assert_eq!(fetched_in_parts(&good), good.clone());
        let mut changed = good;
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        if let Ok(raw) = RawLog::parse(&changed) {
            prop_assert_eq!(raw.head() + 1, u64::try_from(sizes.len()).unwrap());
            prop_assert_eq!(fetched_in_parts(&changed), changed.clone());
        }
    }
}
