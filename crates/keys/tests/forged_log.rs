//! Account logs that somebody forged: written by hand after docs/spec/account-log.md and signed with real keys,
//! so that each check stands alone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    reason = "test code; each test file uses a part of `people`"
)]

mod people;

use letterlock_keys::account_log::{
    DeviceSecrets, LogError, Pin, RootSecret, SENIORITY_SECONDS, UnverifiedLog, VerifiedLog,
    genesis,
};
use letterlock_keys::codec::{DecodeError, Writer};
use letterlock_keys::{SecretBytes, SigningKey, Suite, Timestamp, X25519Secret, label};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const NOW: u64 = 1_700_002_800;
/// `forged_log_cnsa2.rs` runs these tests again.
const SUITE: Suite = people::SUITE;

/// The keys of one account, and the seed they come from.
struct Keys {
    root: SigningKey,
    device: DeviceSecrets,
    /// As `genesis` makes it.
    log: VerifiedLog,
}

impl Keys {
    fn of(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let root = RootSecret::generate(SUITE, &mut rng).unwrap();
        let device = DeviceSecrets::generate(SUITE, &mut rng).unwrap();
        let log = genesis(&root, &device, Timestamp::from_secs(NOW)).unwrap();
        let stored = root.encode();
        let start = stored.len() - SUITE.signing_seed_len();
        let seed = SecretBytes::from(&stored.expose_secret()[start..]);
        let root = SigningKey::from_seed(SUITE, seed).unwrap();
        Self { root, device, log }
    }

    fn sign_by_root(&self, body: &[u8]) -> Vec<u8> {
        signature(&[0], &self.root, body)
    }

    fn sign_by_device(&self, body: &[u8]) -> Vec<u8> {
        let signer = [&[1], &self.device.device_id().as_bytes()[..]].concat();
        signature(&signer, self.device.signing(), body)
    }
}

fn signature(signer: &[u8], key: &SigningKey, body: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(signer);
    out.bytes(key.sign(label::LOG_ENTRY, body).unwrap().as_bytes());
    out.finish()
}

/// A genesis body, each field as it goes out.
struct Body {
    suite: u16,
    account: [u8; 32],
    sequence: u64,
    previous: [u8; 64],
    kind: u8,
    root: Vec<u8>,
    device: Device,
    seniority: u64,
    after: Vec<u8>,
    /// `None`: the right one.
    device_list: Option<[u8; 64]>,
}

struct Device {
    id: [u8; 16],
    admin: u8,
    added: u64,
    /// Nothing in `cnsa2`.
    identity: Vec<u8>,
    verifying: Vec<u8>,
    envelope: Vec<u8>,
}

impl Device {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(&self.id);
        out.u8(self.admin);
        out.u64(self.added);
        out.array(&self.identity);
        out.array(&self.verifying);
        out.array(&self.envelope);
        out.finish()
    }
}

impl Body {
    fn of(keys: &Keys) -> Self {
        Self {
            suite: SUITE.number(),
            account: [0; 32],
            sequence: 0,
            previous: [0; 64],
            kind: 1,
            root: keys.root.verifying_key().as_bytes().to_vec(),
            device: Device {
                id: *keys.device.device_id().as_bytes(),
                admin: 1,
                added: NOW - NOW % 3600,
                identity: identity(keys),
                verifying: keys.device.signing().verifying_key().as_bytes().to_vec(),
                envelope: keys.device.envelope().public().as_bytes().to_vec(),
            },
            seniority: SENIORITY_SECONDS,
            after: Vec::new(),
            device_list: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let device = self.device.encode();
        let named = [&SUITE.number().to_be_bytes()[..], &device].concat();
        let list = if SUITE == Suite::Hybrid {
            &device
        } else {
            &named
        };
        let right = SUITE.hash(&[b"letterlock/v1/device-list\0", list]);
        let mut payload = Writer::new();
        payload.array(&self.root);
        payload.array(&device);
        payload.u64(self.seniority);
        payload.array(&self.after);
        let mut out = Writer::new();
        out.u16(self.suite);
        out.array(&self.account);
        out.u64(self.sequence);
        out.array(&self.previous);
        out.u8(self.kind);
        out.bytes(&payload.finish());
        out.array(&self.device_list.unwrap_or(right));
        out.finish()
    }
}

fn identity(keys: &Keys) -> Vec<u8> {
    let key = keys.device.identity().map(X25519Secret::public);
    key.map_or_else(Vec::new, |key| key.as_bytes().to_vec())
}

fn entry(body: &[u8], signatures: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::new();
    out.bytes(body);
    out.u8(u8::try_from(signatures.len()).unwrap());
    out.array(&signatures.concat());
    out.finish()
}

fn signed(keys: &Keys, body: &[u8]) -> Vec<u8> {
    entry(body, &[keys.sign_by_root(body), keys.sign_by_device(body)])
}

fn log_of(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(1);
    out.u32(u32::try_from(entries.len()).unwrap());
    out.array(&entries.concat());
    out.finish()
}

fn verify(bytes: &[u8]) -> Result<VerifiedLog, LogError> {
    UnverifiedLog::decode(bytes)?.verify(None, None)
}

fn error_of(bytes: &[u8]) -> LogError {
    verify(bytes).err().unwrap()
}

/// What a reader says of a genesis that was changed and then signed as it should be.
fn error_of_signed(change: impl FnOnce(&mut Body)) -> LogError {
    let keys = Keys::of(1);
    let mut body = Body::of(&keys);
    change(&mut body);
    error_of(&log_of(&[signed(&keys, &body.encode())]))
}

const INVALID: LogError = LogError::Malformed(DecodeError::Invalid);
const BROKEN: LogError = LogError::BrokenChain { sequence: 0 };
const UNSIGNED: LogError = LogError::BadSignature { sequence: 0 };

#[test]
fn a_log_written_after_the_specification_verifies() {
    let keys = Keys::of(1);
    let body = Body::of(&keys).encode();
    let log = verify(&log_of(&[signed(&keys, &body)])).unwrap();
    assert_eq!(log.account_id(), keys.log.account_id());
    assert_eq!(log.head(), keys.log.head());
    assert_eq!(keys.log.bytes()[9..9 + body.len()], body);
    let id = SUITE.hash(&[b"letterlock/v1/account-id\0", &body]);
    assert_eq!(log.account_id().as_bytes()[..], id[..32]);
    let hash = SUITE.hash(&[b"letterlock/v1/account-log/hash\0", &body]);
    assert_eq!(log.head(), Pin { sequence: 0, hash });
}

#[test]
fn fields_that_a_genesis_cannot_have_are_refused() {
    assert_eq!(error_of_signed(|body| body.suite = 0), INVALID);
    assert_eq!(error_of_signed(|body| body.suite = 3), INVALID);
    for other in [1, 2].into_iter().filter(|other| *other != SUITE.number()) {
        let error = error_of_signed(|body| body.suite = other);
        assert!(matches!(error, LogError::Malformed(_)), "{error:?}");
    }
    assert_eq!(error_of_signed(|body| body.account[31] = 1), BROKEN);
    assert_eq!(error_of_signed(|body| body.sequence = 1), BROKEN);
    assert_eq!(error_of_signed(|body| body.previous[0] = 1), BROKEN);
    assert_eq!(error_of_signed(|body| body.device.admin = 2), INVALID);
    assert_eq!(error_of_signed(|body| body.device.added += 1), INVALID);
    assert_eq!(
        error_of_signed(|body| body.after.push(0)),
        LogError::Malformed(DecodeError::Trailing)
    );
    assert_eq!(
        error_of_signed(|body| body.device_list = Some([7; 64])),
        LogError::DeviceList { sequence: 0 }
    );
}

#[test]
fn unknown_kinds_are_refused() {
    let keys = Keys::of(1);
    for kind in (0..=u8::MAX).filter(|kind| *kind != 1) {
        let mut body = Body::of(&keys);
        body.kind = kind;
        let log = log_of(&[signed(&keys, &body.encode())]);
        assert_eq!(error_of(&log), INVALID, "kind {kind}");
    }
}

#[test]
fn unknown_kind_after_a_genesis_is_refused() {
    let keys = Keys::of(1);
    let first = Body::of(&keys).encode();
    for kind in (0..=u8::MAX).filter(|kind| *kind != 1) {
        let mut next = Body::of(&keys);
        next.kind = kind;
        next.sequence = 1;
        next.account = *keys.log.account_id().as_bytes();
        next.previous = keys.log.head().hash;
        let log = log_of(&[signed(&keys, &first), signed(&keys, &next.encode())]);
        assert_eq!(error_of(&log), INVALID, "kind {kind}");
    }
}

#[test]
fn nothing_continues_a_chain_as_a_genesis() {
    let keys = Keys::of(1);
    let first = signed(&keys, &Body::of(&keys).encode());
    assert_eq!(error_of(&log_of(&[first.clone(), first.clone()])), BROKEN);
    for sequence in [1, 2, u64::MAX] {
        let mut next = Body::of(&keys);
        next.sequence = sequence;
        next.account = *keys.log.account_id().as_bytes();
        next.previous = keys.log.head().hash;
        let log = log_of(&[first.clone(), signed(&keys, &next.encode())]);
        assert_eq!(error_of(&log), LogError::BrokenChain { sequence });
        // Without its genesis it begins nothing either.
        assert_eq!(error_of(&log_of(&[signed(&keys, &next.encode())])), BROKEN);
    }
}

#[test]
fn changed_genesis_without_new_signatures_is_refused() {
    let keys = Keys::of(1);
    let body = Body::of(&keys).encode();
    let signatures = [keys.sign_by_root(&body), keys.sign_by_device(&body)];
    let mut changed = Body::of(&keys);
    changed.seniority = 0;
    assert_eq!(
        error_of(&log_of(&[entry(&changed.encode(), &signatures)])),
        UNSIGNED
    );
}

#[test]
fn changed_genesis_with_new_signatures_is_another_account() {
    let keys = Keys::of(1);
    let mut changed = Body::of(&keys);
    changed.seniority = 0;
    let bytes = log_of(&[signed(&keys, &changed.encode())]);
    let log = verify(&bytes).unwrap();
    assert_ne!(log.account_id(), keys.log.account_id());
    let refused = |expected, pin| {
        UnverifiedLog::decode(&bytes)
            .unwrap()
            .verify(expected, pin)
            .err()
    };
    assert_eq!(
        refused(Some(keys.log.account_id()), None),
        Some(LogError::OtherAccount)
    );
    assert_eq!(
        refused(None, Some(&keys.log.head())),
        Some(LogError::Forked { sequence: 0 })
    );
}

#[test]
fn a_device_that_is_no_admin_begins_nothing() {
    assert_eq!(error_of_signed(|body| body.device.admin = 0), UNSIGNED);
}

#[test]
fn signers_other_than_root_then_device_are_refused() {
    let (keys, others) = (Keys::of(1), Keys::of(2));
    let body = Body::of(&keys).encode();
    let (root, device) = (keys.sign_by_root(&body), keys.sign_by_device(&body));
    let own_id = [&[1], &keys.device.device_id().as_bytes()[..]].concat();
    let other_id = [&[1], &others.device.device_id().as_bytes()[..]].concat();
    for (why, signatures) in [
        ("in another order", [device.clone(), root.clone()]),
        ("the root twice", [root.clone(), root.clone()]),
        ("the device twice", [device.clone(), device.clone()]),
        ("another root", [others.sign_by_root(&body), device.clone()]),
        (
            "another device",
            [root.clone(), others.sign_by_device(&body)],
        ),
        (
            "another device's name",
            [
                root.clone(),
                signature(&other_id, keys.device.signing(), &body),
            ],
        ),
        (
            "another device's key",
            [
                root.clone(),
                signature(&own_id, others.device.signing(), &body),
            ],
        ),
        (
            "the root as the device",
            [root.clone(), signature(&own_id, &keys.root, &body)],
        ),
        (
            "the device as the root",
            [
                signature(&[0], keys.device.signing(), &body),
                device.clone(),
            ],
        ),
    ] {
        assert_eq!(
            error_of(&log_of(&[entry(&body, &signatures)])),
            UNSIGNED,
            "{why}"
        );
    }
}

#[test]
fn signatures_for_another_purpose_are_refused() {
    let keys = Keys::of(1);
    let body = Body::of(&keys).encode();
    let mut other = Writer::new();
    other.u8(0);
    other.bytes(keys.root.sign(label::PRE_KEY, &body).unwrap().as_bytes());
    let signatures = [other.finish(), keys.sign_by_device(&body)];
    assert_eq!(error_of(&log_of(&[entry(&body, &signatures)])), UNSIGNED);
}

#[test]
fn missing_and_extra_signatures_are_refused() {
    let keys = Keys::of(1);
    let body = Body::of(&keys).encode();
    let (root, device) = (keys.sign_by_root(&body), keys.sign_by_device(&body));
    let error = |signatures: &[&Vec<u8>]| {
        let signatures: Vec<Vec<u8>> = signatures.iter().copied().cloned().collect();
        error_of(&log_of(&[entry(&body, &signatures)]))
    };
    assert_eq!(error(&[]), INVALID);
    assert_eq!(error(&[&root]), UNSIGNED);
    assert_eq!(error(&[&device]), UNSIGNED);
    assert_eq!(error(&[&root, &device, &device]), UNSIGNED);
    assert_eq!(error(&[&root, &device, &root, &device]), UNSIGNED);
    assert_eq!(error(&[&root, &device, &device, &device, &device]), INVALID);
}

/// One half from the right key, the other flipped or from another key: both must hold. Of `cnsa2` any two halves.
#[test]
fn one_half_of_a_signature_is_not_enough() {
    let (keys, others) = (Keys::of(1), Keys::of(2));
    let body = Body::of(&keys).encode();
    let good = [keys.sign_by_root(&body), keys.sign_by_device(&body)];
    let foreign = [others.sign_by_root(&body), others.sign_by_device(&body)];
    for which in 0..2 {
        let start = good[which].len() - SUITE.signature_len();
        let split = start + if SUITE == Suite::Hybrid { 64 } else { 2000 };
        for half in [start..split, split..good[which].len()] {
            for place in [half.start, half.start + half.len() / 2, half.end - 1] {
                let mut signatures = good.clone();
                signatures[which][place] ^= 1;
                assert_eq!(error_of(&log_of(&[entry(&body, &signatures)])), UNSIGNED);
            }
            let mut signatures = good.clone();
            signatures[which][half.clone()].copy_from_slice(&foreign[which][half]);
            assert_eq!(error_of(&log_of(&[entry(&body, &signatures)])), UNSIGNED);
        }
    }
    assert!(verify(&log_of(&[entry(&body, &good)])).is_ok());
}

/// The points of order 1, 2, 4 and 8 and of the twist, in every encoding below 2^255, and a good key in a second
/// encoding (RFC 7748, section 5, masks the top bit).
#[test]
fn low_order_identity_is_refused() {
    if !SUITE.has_identity_keys() {
        return;
    }
    let hex = |text: &str| -> [u8; 32] {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        bytes.try_into().unwrap()
    };
    let mut refused = vec![
        hex("0000000000000000000000000000000000000000000000000000000000000000"),
        hex("0100000000000000000000000000000000000000000000000000000000000000"),
        hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("0200000000000000000000000000000000000000000000000000000000000000"),
    ];
    let mut second = identity(&Keys::of(1));
    second[31] |= 0x80;
    refused.push(second.try_into().unwrap());
    for identity in refused {
        assert_eq!(
            error_of_signed(|body| body.device.identity = identity.to_vec()),
            INVALID,
            "{identity:?}"
        );
    }
}

#[test]
fn counts_and_lengths_beyond_the_limits_are_refused() {
    let keys = Keys::of(1);
    let good = keys.log.bytes();
    for (place, value) in [(0, 0), (0, 2), (4, 0), (4, 2)] {
        let mut bytes = good.to_vec();
        bytes[place] = value;
        assert!(verify(&bytes).is_err(), "byte {place} as {value}");
    }
    let mut many = good.to_vec();
    many[1..5].copy_from_slice(&10_001_u32.to_be_bytes());
    assert_eq!(error_of(&many), INVALID);
    let mut long = good.to_vec();
    long[5..9].copy_from_slice(&(128 * 1024 + 1_u32).to_be_bytes());
    let (got, max) = (128 * 1024 + 1, 128 * 1024);
    assert_eq!(
        error_of(&long),
        LogError::Malformed(DecodeError::TooLong { got, max })
    );
    let (got, max) = ((1 << 20) + 1, 1 << 20);
    let error = error_of(&vec![1; got]);
    assert_eq!(
        error,
        LogError::Malformed(DecodeError::TooLong { got, max })
    );
    let more = [good, &[0]].concat();
    assert_eq!(error_of(&more), LogError::Malformed(DecodeError::Trailing));
}

#[test]
fn every_truncation_is_refused() {
    let keys = Keys::of(1);
    for length in 0..keys.log.bytes().len() {
        let error = error_of(&keys.log.bytes()[..length]);
        assert_eq!(
            error,
            LogError::Malformed(DecodeError::Short),
            "{length} bytes"
        );
    }
}

/// Nobody need know the account or have a pin: every bit is signed or has one value alone.
fn every_flip_is_refused(part: usize, parts: usize) {
    let keys = Keys::of(1);
    let mut bytes = keys.log.bytes().to_vec();
    for bit in (part..bytes.len() * 8).step_by(parts) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(verify(&bytes).is_ok());
}

#[test]
fn every_flipped_even_bit_is_refused() {
    every_flip_is_refused(0, 2);
}

#[test]
fn every_flipped_odd_bit_is_refused() {
    every_flip_is_refused(1, 2);
}
