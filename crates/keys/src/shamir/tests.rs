//! Shares that are cut, changed, mixed or too few.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]
use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::RngSeed;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const SET: [u8; 16] = [7; 16];
const WRAPPED: &str = "395246f0e7c000b35d2e9ce349bb79750507d771df6eeaf10339f0f021d13d9e5d8ad0335be028818de80e49d35b73499a3b";

#[test]
fn a_wrapped_share_opens_under_its_key_set_and_index_alone() {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let secret = Secret::random(&mut rng);
    let key = Secret::random(&mut rng);
    for share in split(&mut rng, &secret, 2, 3).unwrap() {
        let index = share.index();
        let wrapped = share.wrap(&key, &SET);
        let opened = Share::unwrap(&key, &SET, index, &wrapped).unwrap();
        assert_eq!(opened.commitment(&SET), share.commitment(&SET));
        let other = Secret::random(&mut rng);
        assert!(Share::unwrap(&other, &SET, index, &wrapped).is_err());
        assert!(Share::unwrap(&key, &[8; 16], index, &wrapped).is_err());
        assert!(Share::unwrap(&key, &SET, index + 1, &wrapped).is_err());
        for place in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[place] ^= 1;
            assert!(Share::unwrap(&key, &SET, index, &changed).is_err());
            assert!(Share::unwrap(&key, &SET, index, &wrapped[..place]).is_err());
        }
    }
}

/// Computed from docs/spec/recovery.md by another program.
#[test]
fn a_wrapped_share_never_changes() {
    let value = Secret::from_fn(|out| (0..32).for_each(|place| out[place] = place as u8));
    let share = Share { index: 2, value };
    let key = Secret::from_fn(|out| (0..32).for_each(|place| out[place] = 0x20 + place as u8));
    let set = std::array::from_fn(|place| place as u8);
    let wrapped = HEXLOWER.encode(&share.wrap(&key, &set));
    assert_eq!(wrapped, WRAPPED);
}

/// GF(256) by long multiplication and division of polynomials: slow, plain, and written apart.
mod plain {
    pub(super) fn multiply(a: u8, b: u8) -> u8 {
        let mut product = 0_u16;
        for bit in 0..8 {
            product ^= (u16::from(a) << bit) * (u16::from(b) >> bit & 1);
        }
        for bit in (8..15).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11b << (bit - 8);
            }
        }
        product as u8
    }

    pub(super) fn divide(a: u8, b: u8) -> u8 {
        (0..=255).find(|c| multiply(*c, b) == a).unwrap()
    }

    /// The polynomial through `points`, at `at`.
    pub(super) fn interpolate(points: &[(u8, u8)], at: u8) -> u8 {
        let mut value = 0;
        for (x, y) in points {
            let mut term = *y;
            for (other, _) in points.iter().filter(|(other, _)| other != x) {
                term = divide(multiply(term, at ^ other), x ^ other);
            }
            value ^= term;
        }
        value
    }
}

fn secret_of(bytes: [u8; 32]) -> Secret<32> {
    Secret::from_slice(&bytes).unwrap()
}

fn counting(from: u8) -> Secret<32> {
    secret_of(std::array::from_fn(|place| from + place as u8))
}

fn commitments(shares: &[Share]) -> Vec<[u8; 32]> {
    shares.iter().map(|share| share.commitment(&SET)).collect()
}

fn duplicate(share: &Share) -> Share {
    Share::decode(share.encode().expose_secret()).unwrap()
}

fn made(secret: &Secret<32>, need: u8, count: u8) -> (Vec<Share>, Vec<[u8; 32]>) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(need) << 8 | u64::from(count));
    let shares = split(&mut rng, secret, need, count).unwrap();
    let commitments = commitments(&shares);
    (shares, commitments)
}

fn set(need: u8, commitments: &[[u8; 32]]) -> ShareSet<'_> {
    ShareSet {
        id: &SET,
        need,
        commitments,
    }
}

/// Computed from docs/spec/recovery.md by another program.
const VECTORS: [(&str, &str); 5] = [
    (
        "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
        "8e173af9cc7bb713eb2e95c08daed20b72edd3280335752cac4febb4a6cced98",
    ),
    (
        "5b5c55524740494e63646d6a7f7871762b2c25223730393e13141d1a0f080106",
        "81aa078e9ebfd7361084bf9b1958367ee69439b63e38b14e2f5762acec9ea315",
    ),
    (
        "3b3c35322720292e03040d0a1f1811164b4c45425750595e73747d7a6f686166",
        "cda555a744853d7773591d572446d7e5955e66a0a6f2a0e20310cc9336506347",
    ),
    (
        "ecf9c6d3b8ad928744516e7b10053a2fa7b28d98f3e6d9cc0f1a25305b4e7164",
        "1c1b40a5242e8038ceb51ca76c2ec3e4d5da74cb52d86be6f7da72526619a44e",
    ),
    (
        "8c99a6b3d8cdf2e724310e1b70655a4fc7d2edf89386b9ac6f7a45503b2e1104",
        "9fccede29a6a7e95fa0c4d0a68e41e43ec685733481480164ac7f53f9fbce25c",
    ),
];

#[test]
fn shares_and_commitments_never_change() {
    let id = std::array::from_fn(|place| place as u8);
    for (index, (value, commitment)) in (1..).zip(VECTORS) {
        let share = share_at(index, &[counting(64), counting(32)], &counting(0));
        assert_eq!(HEXLOWER.encode(share.value.expose_secret()), value);
        assert_eq!(HEXLOWER.encode(&share.commitment(&id)), commitment);
    }
}

#[test]
fn the_field_is_the_one_of_aes() {
    assert_eq!(multiply(0x57, 0x83), 0xc1, "FIPS 197, section 4.2");
    for a in 0..=255 {
        let lanes = || Lanes::of(&secret_of([a; 32]));
        for b in 0..=255 {
            let product = plain::multiply(a, b);
            assert_eq!(multiply(a, b), product);
            assert_eq!(lanes().times(b).secret().expose_secret(), &[product; 32]);
        }
        if a != 0 {
            assert_eq!(multiply(a, invert(a)), 1);
        }
    }
}

#[test]
fn elements_in_one_word_do_not_meet() {
    for public in [1, 2, 0x80, 0xff] {
        let product = Lanes::of(&counting(200)).times(public).secret();
        for (place, byte) in product.expose_secret().iter().enumerate() {
            let expected = plain::multiply(200 + place as u8, public);
            assert_eq!(*byte, expected);
        }
    }
}

#[test]
fn the_most_shares_that_can_be_give_the_secret() {
    let (shares, commitments) = made(&counting(1), 255, 255);
    let secret = combine(&set(255, &commitments), &shares).unwrap();
    assert!(secret.ct_eq(&counting(1)));
}

#[test]
fn impossible_thresholds_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (need, count) in [(0, 0), (0, 3), (1, 1), (1, 3), (2, 1), (4, 3), (255, 254)] {
        let expected = ShareError::Threshold {
            need,
            count: usize::from(count),
        };
        assert_eq!(
            split(&mut rng, &counting(1), need, count).err(),
            Some(expected)
        );
        let commitments = vec![[0; 32]; usize::from(count)];
        assert_eq!(combine(&set(need, &commitments), &[]).err(), Some(expected));
    }
    let many = vec![[0; 32]; 256];
    assert!(combine(&set(2, &many), &[]).is_err());
}

#[test]
fn too_few_shares_are_counted() {
    let (shares, commitments) = made(&counting(1), 3, 5);
    for got in 0..3 {
        assert_eq!(
            combine(&set(3, &commitments), &shares[..got]).err(),
            Some(ShareError::TooFew { got, need: 3 })
        );
    }
}

#[test]
fn a_share_that_is_there_twice_is_named() {
    let (shares, commitments) = made(&counting(1), 3, 5);
    let twice = [&shares[0], &shares[3], &shares[3]].map(duplicate);
    assert_eq!(
        combine(&set(3, &commitments), &twice).err(),
        Some(ShareError::Duplicate { index: 4 })
    );
}

#[test]
fn every_changed_share_is_named() {
    let (shares, commitments) = made(&counting(1), 3, 5);
    let index = 2;
    for bit in 0..256 {
        let mut value = *shares[1].value.expose_secret();
        value[bit / 8] ^= 1 << (bit % 8);
        let changed = Share {
            index,
            value: secret_of(value),
        };
        let given = [duplicate(&shares[0]), changed, duplicate(&shares[2])];
        assert_eq!(
            combine(&set(3, &commitments), &given).err(),
            Some(ShareError::Foreign { index })
        );
    }
}

#[test]
fn shares_under_other_indices_and_of_other_sets_are_named() {
    let (shares, commitments) = made(&counting(1), 3, 5);
    for index in (1..=255).filter(|index| *index != 2) {
        let moved = Share {
            index,
            value: shares[1].value.duplicate(),
        };
        let error = combine(&set(3, &commitments), &[moved]).err();
        assert_eq!(error, Some(ShareError::Foreign { index }));
    }
    let other = ShareSet {
        id: &[8; 16],
        ..set(3, &commitments)
    };
    let error = combine(&other, &shares).err();
    assert_eq!(error, Some(ShareError::Foreign { index: 1 }));
}

#[test]
fn cut_and_foreign_encodings_are_refused() {
    let (shares, _) = made(&counting(1), 2, 2);
    let bytes = shares[1].encode();
    let bytes = bytes.expose_secret();
    assert_eq!(bytes.len(), 34);
    assert_eq!(bytes[..2], [1, 2]);
    for length in 0..bytes.len() {
        assert!(Share::decode(&bytes[..length]).is_err());
    }
    assert!(Share::decode(&[bytes, &[0]].concat()).is_err());
    assert!(Share::decode(&[&[2], &bytes[1..]].concat()).is_err());
    assert!(Share::decode(&[&[1, 0], &bytes[2..]].concat()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn any_that_suffice_give_the_secret(
        bytes: [u8; 32],
        (need, count, chosen) in (2..=9_u8)
            .prop_flat_map(|need| (Just(need), need..=12))
            .prop_flat_map(|(need, count)| {
                let all: Vec<_> = (0..usize::from(count)).collect();
                let sizes = usize::from(need)..=usize::from(count);
                (Just(need), Just(count), subsequence(all, sizes).prop_shuffle())
            }),
    ) {
        let (shares, commitments) = made(&secret_of(bytes), need, count);
        let chosen: Vec<_> = chosen.iter().map(|place| duplicate(&shares[*place])).collect();
        let secret = combine(&set(need, &commitments), &chosen).unwrap();
        prop_assert!(secret.ct_eq(&secret_of(bytes)));
    }

    /// For every other secret there is a last share that would give it: `need - 1` shares exclude none.
    #[test]
    fn fewer_exclude_no_secret(bytes: [u8; 32], other: [u8; 32], need in 2..=9_u8) {
        let (mut shares, _) = made(&secret_of(bytes), need, need);
        let last = shares.pop().unwrap();
        shares.push(Share {
            index: last.index,
            value: Secret::from_fn(|out| {
                for (place, byte) in out.iter_mut().enumerate() {
                    let known = shares.iter().map(|s| (s.index, s.value.expose_secret()[place]));
                    let points: Vec<_> = known.chain([(0, other[place])]).collect();
                    *byte = plain::interpolate(&points, last.index);
                }
            }),
        });
        let commitments = commitments(&shares);
        let secret = combine(&set(need, &commitments), &shares).unwrap();
        prop_assert!(secret.ct_eq(&secret_of(other)));
    }

    #[test]
    fn foreign_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Share::decode(&bytes);
    }
}
