//! The tests of `contradictions.rs` again, over accounts of `cnsa2`.

#[path = "contradictions.rs"]
mod contradictions;
