//! The tests of `forged_entries.rs` again, over accounts of `cnsa2`.

#[path = "forged_entries.rs"]
mod forged_entries;
