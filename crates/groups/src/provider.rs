//! The cryptography that MLS runs on.
