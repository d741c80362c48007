//! Ed25519 (RFC 8032) alone: the classical half of a hybrid signature, and receive keys of queues, which are no
//! identity and live a short time.

use crate::secret::Secret;
use crate::xeddsa::BadSignature;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

fn key_pair(seed: &Secret<32>) -> Ed25519KeyPair {
    #[expect(clippy::expect_used, reason = "every 32 bytes are an Ed25519 seed")]
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret()).expect("32 bytes");
    pair
}

/// The public key of a seed.
#[must_use]
pub fn public(seed: &Secret<32>) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(key_pair(seed).public_key().as_ref());
    public
}

/// Signs a message.
#[must_use]
pub fn sign(seed: &Secret<32>, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature.copy_from_slice(key_pair(seed).sign(message).as_ref());
    signature
}

/// Verifies a signature.
///
/// # Errors
/// [`BadSignature`], whatever is wrong.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ED25519, public)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}
