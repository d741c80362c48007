//! The tests of `forged_log.rs` again, over accounts of `cnsa2`.

#[path = "forged_log.rs"]
mod forged_log;
