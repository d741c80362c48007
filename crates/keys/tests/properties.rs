//! What holds for any input: encodings come back, foreign bytes never panic, changed messages never open.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use letterlock_keys::account_log::{DeviceSecrets, RootSecret, UnverifiedLog};
use letterlock_keys::chunked::{self, ChunkedKey};
use letterlock_keys::codec::{DecodeError, Reader, Writer};
use letterlock_keys::kem::{Kem, KemPublic, KemSecret};
use letterlock_keys::xwing::XWingPublic;
use letterlock_keys::{QueueId, Secret, SecretBytes, X25519Public, xeddsa};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// One value of a form.
#[derive(Debug, Clone)]
enum Item {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Array([u8; 32]),
    Bytes(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u8>().prop_map(Item::U8),
        any::<u16>().prop_map(Item::U16),
        any::<u32>().prop_map(Item::U32),
        any::<u64>().prop_map(Item::U64),
        any::<[u8; 32]>().prop_map(Item::Array),
        vec(any::<u8>(), 0..600).prop_map(Item::Bytes),
    ]
}

fn write(items: &[Item]) -> Vec<u8> {
    let mut out = Writer::new();
    for item in items {
        match item {
            Item::U8(value) => out.u8(*value),
            Item::U16(value) => out.u16(*value),
            Item::U32(value) => out.u32(*value),
            Item::U64(value) => out.u64(*value),
            Item::Array(value) => out.array(value),
            Item::Bytes(value) => out.bytes(value),
        }
    }
    out.finish()
}

/// Whether `input` reads as `items`, to its end.
fn read(items: &[Item], input: &[u8]) -> Result<bool, DecodeError> {
    let mut input = Reader::new(input);
    let mut same = true;
    for item in items {
        same &= match item {
            Item::U8(value) => input.u8()? == *value,
            Item::U16(value) => input.u16()? == *value,
            Item::U32(value) => input.u32()? == *value,
            Item::U64(value) => input.u64()? == *value,
            Item::Array(value) => input.array::<32>()? == *value,
            Item::Bytes(value) => input.bytes(600)? == value,
        };
    }
    input.finish()?;
    Ok(same)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn encodings_come_back_and_every_cut_is_short(items in vec(item(), 1..12)) {
        let bytes = write(&items);
        prop_assert_eq!(read(&items, &bytes), Ok(true));
        for length in 0..bytes.len() {
            prop_assert_eq!(read(&items, &bytes[..length]), Err(DecodeError::Short));
        }
        let more = [&bytes[..], &[0]].concat();
        prop_assert_eq!(read(&items, &more), Err(DecodeError::Trailing));
    }

    #[test]
    fn foreign_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..4000)) {
        let _ = UnverifiedLog::decode(&bytes).and_then(|log| log.verify(None, None));
        let _ = DeviceSecrets::decode(&bytes);
        let _ = RootSecret::decode(&bytes);
        let _ = XWingPublic::from_bytes(&bytes);
        let _ = KemPublic::from_bytes(Kem::MlKem1024, &bytes);
        let _ = KemSecret::from_bytes(Kem::Kyber1024, SecretBytes::new(bytes.clone()));
        let _ = xeddsa::verify(&X25519Public([9; 32]), b"", &bytes);
        let _ = QueueId::from_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn foreign_bytes_behind_a_log_head_do_not_panic(bytes in vec(any::<u8>(), 0..4000)) {
        let log = [&[1, 0, 0, 0, 1, 0, 0, 0, 200, 0, 1][..], &bytes].concat();
        prop_assert!(UnverifiedLog::decode(&log).and_then(|log| log.verify(None, None)).is_err());
    }

    #[test]
    fn chunks_come_back_and_changed_ones_do_not_open(
        plain in vec(any::<u8>(), 0..=chunked::CHUNK_LEN),
        context in vec(any::<u8>(), 0..40),
        number in 0_u64..1 << 38,
        flip in any::<prop::sample::Index>(),
    ) {
        let input = Secret::from_slice(&[5; 32]).unwrap();
        let (key, header) = ChunkedKey::for_sealing(&input, &[6; 24], &context);
        let mut sealed = plain.clone();
        key.seal(number, &mut sealed).unwrap();
        let mut buffer = [&plain[..], &[0; 16]].concat();
        key.seal_buffer(number, &mut buffer).unwrap();
        prop_assert_eq!(&buffer, &sealed);

        let key = ChunkedKey::for_opening(&input, &header, &context).unwrap();
        let mut opened = sealed.clone();
        prop_assert_eq!(&key.open(number, &mut opened).unwrap()[..], &plain[..]);
        let bit = flip.index(sealed.len() * 8);
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(key.open(number, &mut changed).is_err());
        let mut elsewhere = sealed.clone();
        prop_assert!(key.open(number ^ 1, &mut elsewhere).is_err());
    }
}

#[test]
fn chunks_beyond_the_limits_are_refused() {
    let input = Secret::from_slice(&[5; 32]).unwrap();
    let (key, _) = ChunkedKey::for_sealing(&input, &[6; 24], b"");
    assert!(key.seal(0, &mut vec![0; chunked::CHUNK_LEN + 1]).is_err());
    assert!(key.seal(1 << 38, &mut Vec::new()).is_err());
    assert!(
        key.seal_buffer(0, &mut vec![0; chunked::SEALED_CHUNK_LEN + 1])
            .is_err()
    );
    assert!(key.seal_buffer(0, &mut [0; 15]).is_err());
    assert!(key.seal_buffer(1 << 38, &mut [0; 16]).is_err());
    assert!(
        key.open(0, &mut vec![0; chunked::SEALED_CHUNK_LEN + 1])
            .is_err()
    );
    assert!(key.open(0, &mut [0; 15]).is_err());
    let mut last = Vec::new();
    key.seal((1 << 38) - 1, &mut last).unwrap();
    assert!(key.open(1 << 38, &mut last.clone()).is_err());
    assert!(key.open((1 << 38) - 1, &mut last).is_ok());
    let longest = ((1_u64 << 38) - 1) * chunked::CHUNK_LEN as u64 + chunked::CHUNK_LEN as u64 - 1;
    assert!(chunked::sealed_len(longest).is_some() && chunked::sealed_len(longest + 1).is_none());
    assert!(chunked::sealed_len(u64::MAX).is_none());
    let sealed = chunked::sealed_len(longest).unwrap();
    assert_eq!(chunked::plain_len(sealed), Some(longest));
    for more in [1, 16, 17, 10_000] {
        assert_eq!(chunked::plain_len(sealed + more), None, "{more} bytes more");
    }
    assert!(chunked::plain_len(u64::MAX).is_none());
}
