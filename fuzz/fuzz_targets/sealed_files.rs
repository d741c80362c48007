//! What somebody hands over as a sealed file of either format, an identity or a recipient: as noise, and as real files
//! with bytes changed, which open only as they were.
#![no_main]
#![allow(dead_code)]

#[path = "../../crates/seal/tests/hostile/mod.rs"]
mod hostile;

use hostile::{FORMS, Stage};
use std::sync::LazyLock;

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::new(1));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    match usize::from(*first) {
        form if form < FORMS => STAGE.take(form, bytes),
        _ => STAGE.take_edited(*first, bytes),
    }
});
