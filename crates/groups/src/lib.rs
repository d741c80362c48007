//! Groups: MLS (RFC 9420) behind a small API. Nothing of the library that runs the protocol leaks through.

mod provider;
#[cfg(feature = "replay")]
pub mod replay;
