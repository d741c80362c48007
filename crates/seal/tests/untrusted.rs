//! Noise and edited files, as the fuzz target `sealed_files` takes them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod hostile;

use hostile::{FORMS, Stage};
use letterlock_seal::lock::MAGIC;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

#[test]
fn an_edited_file_opens_only_as_it_was() {
    let stage = Stage::new(1);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for which in 0..3 {
        stage.take_edited(which, &[]);
        for round in 0..400_u32 {
            let mut edits = vec![0; 3 * (1 + round as usize % 3)];
            rng.fill_bytes(&mut edits);
            for edit in edits.chunks_exact_mut(3) {
                // Most places are in the file.
                edit[0] &= if round % 4 == 0 { 0x0f } else { 0x07 };
            }
            stage.take_edited(which, &edits);
        }
    }
}

#[test]
fn noise_is_nothing() {
    let stage = Stage::new(3);
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    for form in 0..FORMS {
        for length in 0..300 {
            let mut bytes = vec![0; length];
            rng.fill_bytes(&mut bytes);
            stage.take(form, &bytes);
            // A beginning that some of them have.
            for front in [
                &MAGIC[..],
                b"age-encryption.org/v1\n-> X25519 ",
                b"-----BEGIN AGE ENCRYPTED FILE-----\n",
                b"\x01\0\0\0\x01\x01",
                b"AGE-SECRET-KEY-1",
                b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
            ] {
                stage.take(form, &[front, &bytes].concat());
            }
        }
    }
}
