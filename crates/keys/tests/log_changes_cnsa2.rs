//! The tests of `log_changes.rs` again, over accounts of `cnsa2`.

#[path = "log_changes.rs"]
mod log_changes;
