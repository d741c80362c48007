//! `crypto-basics.json`.

use super::ReplayError;
use super::facts::{Facts, must};
use super::json::{bytes, field, small, text};
use super::labeled::{decrypt, derive, encrypt, expand, ref_hash, sign, signs, tree_secret};
use mls_rs_core::crypto::{CipherSuiteProvider as _, HpkeCiphertext};
use serde_json::Value;

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let one = field(case, "ref_hash")?;
    let hash = ref_hash(&suite, label(one)?, &bytes(one, "value")?)?;
    facts.same("ref_hash", &hash, &bytes(one, "out")?)?;

    let one = field(case, "expand_with_label")?;
    let secret = bytes(one, "secret")?;
    let context = bytes(one, "context")?;
    let out = expand(
        &suite,
        &secret,
        label(one)?,
        &context,
        small(one, "length")?,
    )?;
    facts.same("expand_with_label", &out, &bytes(one, "out")?)?;

    let one = field(case, "derive_secret")?;
    let out = derive(&suite, &bytes(one, "secret")?, label(one)?)?;
    facts.same("derive_secret", &out, &bytes(one, "out")?)?;

    let one = field(case, "derive_tree_secret")?;
    let (secret, generation) = (bytes(one, "secret")?, small(one, "generation")?);
    let out = tree_secret(
        &suite,
        &secret,
        label(one)?,
        generation,
        small(one, "length")?,
    )?;
    facts.same("derive_tree_secret", &out, &bytes(one, "out")?)?;

    let one = field(case, "sign_with_label")?;
    let (secret, public) = (bytes(one, "priv")?, bytes(one, "pub")?);
    let content = bytes(one, "content")?;
    let mut holds = |signature: &[u8], content: &[u8], expected| {
        let holds = signs(&suite, &public, label(one)?, content, signature);
        facts.equal("sign_with_label", &holds, &expected)
    };
    let recorded = bytes(one, "signature")?;
    holds(&recorded, &content, true)?;
    holds(&recorded, b"other", false)?;
    holds(
        &sign(&suite, &secret, label(one)?, &content)?,
        &content,
        true,
    )?;
    let derived = must("priv", suite.signature_key_derive_public(&secret.into()))?;
    facts.same("pub", &derived, &public)?;

    let one = field(case, "encrypt_with_label")?;
    let (secret, public) = (bytes(one, "priv")?, bytes(one, "pub")?);
    let (context, plaintext) = (bytes(one, "context")?, bytes(one, "plaintext")?);
    let recorded = HpkeCiphertext {
        kem_output: bytes(one, "kem_output")?,
        ciphertext: bytes(one, "ciphertext")?,
    };
    let ours = encrypt(&suite, &public, (label(one)?, &context), &plaintext)?;
    for sealed in [recorded, ours] {
        let opened = decrypt(&suite, (&secret, &public), (label(one)?, &context), &sealed)?;
        facts.same("encrypt_with_label", &opened, &plaintext)?;
    }
    Ok(())
}

fn label(value: &Value) -> Result<&[u8], ReplayError> {
    text(value, "label").map(str::as_bytes)
}
