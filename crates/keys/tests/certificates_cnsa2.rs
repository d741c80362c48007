//! The tests of `certificates.rs` again, over accounts of `cnsa2`.

#[path = "certificates.rs"]
mod certificates;
