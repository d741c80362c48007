//! The tests of `log_model.rs` again, over accounts of `cnsa2`.

#[path = "log_model.rs"]
mod log_model;
