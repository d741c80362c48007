//! What the recorded vectors, the differential test and the benchmark need, and no program may have.

use crate::provider::{self, Provider};
use keys::Secret;
use mls_rs_core::crypto::{CipherSuite, CryptoProvider};

/// The default suite of groups.
pub const HYBRID: CipherSuite = provider::HYBRID;
/// The suite of accounts of suite `cnsa2`.
pub const CNSA2: CipherSuite = provider::CNSA2;

/// The provider that groups run on.
#[must_use]
pub fn provider(seed: Secret<32>) -> impl CryptoProvider + Clone + 'static {
    Provider::new(seed)
}

/// A provider of the suites of RFC 9420 that AWS-LC has curves for.
#[must_use]
pub fn classical(seed: Secret<32>) -> impl CryptoProvider + Clone + 'static {
    Provider::classical(seed)
}
