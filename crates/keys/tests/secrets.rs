//! What a secret must not do (I2): print itself, multiply, stay in memory, compare byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use letterlock_keys::account_log::{DeviceSecrets, OpeningSecrets, RecoverySecrets, RootSecret};
use letterlock_keys::chunked::ChunkedKey;
use letterlock_keys::hpke::EnvelopeSecret;
use letterlock_keys::kem::KemSecret;
use letterlock_keys::link::{LinkCode, LinkSecret};
use letterlock_keys::shamir::Share;
use letterlock_keys::sheet::SheetSecret;
use letterlock_keys::xwing::XWingSecret;
use letterlock_keys::{
    GcmKey, Secret, SecretBytes, SigningKey, X25519Secret, ct_eq, mlkem_incremental, wipe,
};
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Compiles only if none of the types has the trait: with it, `lacks` is of two implementations.
macro_rules! lack {
    ($($bound:path),+ => $secrets:ty) => {
        $({
            trait Lacks<A> {
                fn lacks() {}
            }
            impl<T: ?Sized> Lacks<()> for T {}
            struct Has;
            impl<T: ?Sized + $bound> Lacks<Has> for T {}
            <$secrets as Lacks<_>>::lacks();
        })+
    };
}

macro_rules! none_of_these_has_a_public_form {
    ($($secrets:ty),+ $(,)?) => {
        $(lack!(
            fmt::Debug, fmt::Display, fmt::LowerHex, Clone, Copy, PartialEq, PartialOrd,
            std::hash::Hash, AsRef<[u8]>, AsMut<[u8]>, std::ops::Deref, std::borrow::Borrow<[u8]>,
            Into<Vec<u8>>, Default => $secrets
        );)+
    };
}

#[test]
fn secrets_cannot_be_printed_copied_or_compared() {
    none_of_these_has_a_public_form!(
        Secret<32>,
        SecretBytes,
        X25519Secret,
        SigningKey,
        KemSecret,
        XWingSecret,
        EnvelopeSecret,
        RecoverySecrets,
        OpeningSecrets,
        mlkem_incremental::KeyPair,
        GcmKey,
        ChunkedKey,
        DeviceSecrets,
        RootSecret,
        LinkSecret,
        LinkCode,
        SheetSecret,
        Share,
    );
}

#[test]
fn secrets_are_wiped_on_drop_by_their_type() {
    fn wiped<T: ZeroizeOnDrop>() {
        assert!(std::mem::needs_drop::<T>());
    }
    wiped::<Secret<32>>();
    wiped::<SecretBytes>();
    wiped::<X25519Secret>();
}

/// The memory of this process, dropped values and all.
#[cfg(target_os = "linux")]
mod memory {
    #![expect(
        clippy::disallowed_methods,
        reason = "the process's own memory is a file"
    )]
    use std::hint::black_box;
    use std::os::unix::fs::FileExt as _;

    pub(crate) const LEN: usize = 4096;
    const MARK: [u8; 16] = *b"a secret's mark!";

    /// `LEN` bytes that are found again.
    pub(crate) fn marked() -> [u8; LEN] {
        let mut bytes = [0; LEN];
        for chunk in bytes.chunks_exact_mut(MARK.len()) {
            chunk.copy_from_slice(&MARK);
        }
        bytes
    }

    /// How many marks are where the heap value `make` gives was, once it was dropped. The allocator may write
    /// over a few of them, never over all.
    pub(crate) fn marks_after_drop<T>(make: fn() -> T, place: fn(&T) -> &[u8]) -> usize {
        let value = make();
        let address = black_box(place(&value)).as_ptr().addr();
        assert_eq!(count(place(&value)), LEN / MARK.len());
        drop(black_box(value));
        let mut left = [0; LEN];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.read_exact_at(&mut left, address as u64).unwrap();
        count(&left)
    }

    fn count(bytes: &[u8]) -> usize {
        bytes
            .chunks_exact(MARK.len())
            .filter(|chunk| *chunk == MARK)
            .count()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_dropped_secret_stays_in_memory() {
    use memory::{LEN, marked, marks_after_drop};
    // The control: what nobody wipes is there to be seen.
    assert!(marks_after_drop(|| Box::new(marked()), |bytes| &bytes[..]) > LEN / 32);
    assert_eq!(
        marks_after_drop(
            || Box::new(Secret::<LEN>::from_slice(&marked()).unwrap()),
            |secret| secret.expose_secret()
        ),
        0
    );
    assert_eq!(
        marks_after_drop(
            || SecretBytes::from(&marked()[..]),
            |secret| secret.expose_secret()
        ),
        0
    );
    assert_eq!(
        marks_after_drop(
            || SecretBytes::from(&marked()[..]).into_zeroizing(),
            |bytes| bytes
        ),
        0
    );
}

#[test]
fn every_bit_counts_in_a_comparison() {
    let secret = Secret::<32>::from_slice(&[0x5a; 32]).unwrap();
    assert!(secret.ct_eq(&secret.duplicate()));
    for bit in 0..256 {
        let mut other = [0x5a; 32];
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !secret.ct_eq(&Secret::from_slice(&other).unwrap()),
            "bit {bit}"
        );
        assert!(!ct_eq(&[0x5a; 32], &other), "bit {bit}");
    }
    assert!(ct_eq(&[0x5a; 32], &[0x5a; 32]) && ct_eq(&[], &[]));
    assert!(!ct_eq(&[0x5a; 32], &[0x5a; 31]) && !ct_eq(&[], &[0]));
}

#[test]
fn secrets_are_made_of_exactly_their_length() {
    for length in [0, 31, 33] {
        assert!(Secret::<32>::from_slice(&vec![1; length]).is_none());
    }
    assert_eq!(
        Secret::<3>::from_slice(b"abc").unwrap().expose_secret(),
        b"abc"
    );
    assert_eq!(
        Secret::<3>::from_fn(|out| *out = *b"abc").expose_secret(),
        b"abc"
    );
    let bytes = SecretBytes::new(b"abc".to_vec());
    assert!(bytes.len() == 3 && !bytes.is_empty() && SecretBytes::new(Vec::new()).is_empty());
    assert_eq!(bytes.into_zeroizing().as_slice(), b"abc");
}

#[test]
fn a_wiped_buffer_is_zero() {
    let mut bytes = *b"secret";
    wipe(&mut bytes);
    assert_eq!(bytes, [0; 6]);
}

#[test]
fn a_failed_opening_leaves_no_plaintext() {
    let key = GcmKey::new(&Secret::from_slice(&[1; 32]).unwrap());
    let plain = b"sixteen bytes of sixteen bytes of";
    let mut sealed = plain.to_vec();
    key.seal_in_place(&[2; 12], b"aad", &mut sealed);
    assert!(key.open_in_place(&[2; 12], b"other", &mut sealed).is_err());
    assert!((0..plain.len() - 8).all(|at| sealed[at..at + 8] != plain[at..at + 8]));
}
