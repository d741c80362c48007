//! Bytes of nobody, and real ones that were changed: refused, whatever they are taken for.

use crate::hostile::{FORMS, Form, Stage};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

#[test]
fn real_bytes_are_taken() {
    let mut stage = Stage::new(401);
    for (form, bytes) in stage.samples().to_vec() {
        assert_eq!(stage.take(form, &bytes), Ok(()), "{form:?}");
    }
}

#[test]
fn bytes_of_one_form_are_no_other() {
    let mut stage = Stage::new(402);
    for (form, bytes) in stage.samples().to_vec() {
        for other in FORMS {
            if other != form {
                assert!(stage.take(other, &bytes).is_err(), "{form:?} as {other:?}");
            }
        }
    }
}

#[test]
fn changed_and_cut_bytes_are_refused() {
    let mut stage = Stage::new(403);
    let mut rng = ChaCha20Rng::seed_from_u64(403);
    for (sample, (_, bytes)) in stage.samples().to_vec().into_iter().enumerate() {
        let sample = u8::try_from(sample).unwrap();
        let length = u16::try_from(bytes.len()).unwrap();
        for _ in 0..60 {
            let mut edits = vec![0; 3];
            rng.fill_bytes(&mut edits);
            // Fronts have lengths and kinds.
            let within = if edits[0] & 1 == 0 { 64 } else { length };
            let place = u16::from_be_bytes([edits[0], edits[1]]) % within.min(length);
            edits[..2].copy_from_slice(&place.to_be_bytes());
            edits[2] |= 1;
            stage.take_edited(sample, &edits);
        }
        for end in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let form = stage.samples()[usize::from(sample)].0;
            assert!(
                stage.take(form, &bytes[..end]).is_err(),
                "{form:?} to {end}"
            );
        }
    }
}

#[test]
fn what_stands_behind_real_bytes_is_refused() {
    let mut stage = Stage::new(405);
    for (form, bytes) in stage.samples().to_vec() {
        // Where these stand somebody else says how long they are.
        if matches!(form, Form::Tree | Form::Kept) {
            continue;
        }
        let more = [&bytes[..], &[0]].concat();
        assert!(stage.take(form, &more).is_err(), "{form:?}");
    }
}

#[test]
fn noise_is_refused() {
    let mut stage = Stage::new(404);
    let mut rng = ChaCha20Rng::seed_from_u64(404);
    for form in FORMS {
        for length in [0, 1, 2, 3, 5, 8, 40, 200, 5_000] {
            for _ in 0..4 {
                let mut bytes = vec![0; length];
                rng.fill_bytes(&mut bytes);
                // Version and kind as they should be.
                let front = [0, 1, 0, 1 + u8::try_from(rng.next_u32() % 5).unwrap()];
                assert!(stage.take(form, &bytes).is_err());
                for (to, from) in bytes.iter_mut().zip(front) {
                    *to = from;
                }
                assert!(stage.take(form, &bytes).is_err());
            }
        }
    }
}
