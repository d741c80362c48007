//! The labelled functions of RFC 9420 over a provider.

use super::ReplayError;
use super::facts::must;
use super::reader::vector;
use crate::provider::SuiteProvider;
use mls_rs_core::crypto::{CipherSuiteProvider as _, HpkeCiphertext, HpkePublicKey, HpkeSecretKey};
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

fn label(label: &[u8]) -> Vec<u8> {
    vector(&[b"MLS 1.0 ", label].concat())
}

/// RFC 9420, section 5.2.
pub(super) fn ref_hash(
    suite: &SuiteProvider,
    label: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, ReplayError> {
    must("hash", suite.hash(&[vector(label), vector(value)].concat()))
}

/// RFC 9420, section 8.
pub(super) fn expand(
    suite: &SuiteProvider,
    secret: &[u8],
    name: &[u8],
    context: &[u8],
    length: usize,
) -> Result<Bytes, ReplayError> {
    let short = must("length", u16::try_from(length))?;
    let info = [&short.to_be_bytes()[..], &label(name), &vector(context)].concat();
    must("expand", suite.kdf_expand(secret, &info, length))
}

/// RFC 9420, section 8.
pub(super) fn derive(
    suite: &SuiteProvider,
    secret: &[u8],
    label: &[u8],
) -> Result<Bytes, ReplayError> {
    expand(suite, secret, label, &[], suite.kdf_extract_size())
}

/// DeriveTreeSecret of RFC 9420, section 9.
pub(super) fn tree_secret(
    suite: &SuiteProvider,
    secret: &[u8],
    label: &[u8],
    generation: u32,
    length: usize,
) -> Result<Bytes, ReplayError> {
    expand(suite, secret, label, &generation.to_be_bytes(), length)
}

pub(super) fn extract(
    suite: &SuiteProvider,
    salt: &[u8],
    ikm: &[u8],
) -> Result<Bytes, ReplayError> {
    must("extract", suite.kdf_extract(salt, ikm))
}

/// RFC 9420, section 5.1.2.
pub(super) fn signs(
    suite: &SuiteProvider,
    public: &[u8],
    name: &[u8],
    content: &[u8],
    signature: &[u8],
) -> bool {
    let content = [label(name), vector(content)].concat();
    suite
        .verify(&public.to_vec().into(), signature, &content)
        .is_ok()
}

pub(super) fn sign(
    suite: &SuiteProvider,
    secret: &[u8],
    name: &[u8],
    content: &[u8],
) -> Result<Vec<u8>, ReplayError> {
    let content = [label(name), vector(content)].concat();
    must("sign", suite.sign(&secret.to_vec().into(), &content))
}

/// RFC 9420, section 5.1.3.
pub(super) fn encrypt(
    suite: &SuiteProvider,
    public: &[u8],
    (name, context): (&[u8], &[u8]),
    plaintext: &[u8],
) -> Result<HpkeCiphertext, ReplayError> {
    let info = [label(name), vector(context)].concat();
    let public = HpkePublicKey::from(public.to_vec());
    must("seal", suite.hpke_seal(&public, &info, None, plaintext))
}

/// RFC 9420, section 5.1.3.
pub(super) fn decrypt(
    suite: &SuiteProvider,
    (secret, public): (&[u8], &[u8]),
    (name, context): (&[u8], &[u8]),
    sealed: &HpkeCiphertext,
) -> Result<Bytes, ReplayError> {
    let info = [label(name), vector(context)].concat();
    let secret = HpkeSecretKey::from(secret.to_vec());
    let public = HpkePublicKey::from(public.to_vec());
    must(
        "open",
        suite.hpke_open(sealed, &secret, &public, &info, None),
    )
}
