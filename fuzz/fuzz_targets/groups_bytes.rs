//! What relays and members hand to a group: key packages, Welcomes, trees, group infos and messages, as noise and as
//! real ones with bytes changed. None is taken but the real ones.
#![no_main]
#![allow(unexpected_cfgs, dead_code)]

#[path = "../../crates/groups/tests/members/hostile.rs"]
mod hostile;
#[path = "../../crates/groups/tests/members/support.rs"]
mod support;

use hostile::{FORMS, Stage};
use std::cell::RefCell;

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::new(Stage::new(1));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    STAGE.with_borrow_mut(|stage| match FORMS.get(usize::from(*first)) {
        Some(form) => {
            let _ = stage.take(*form, bytes);
        }
        None => stage.take_edited(*first, bytes),
    });
});
