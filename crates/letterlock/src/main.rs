//! End-to-end encryption as one system.
fn main() {}
