//! `key-schedule.json`, `psk_secret.json` and `transcript-hashes.json`.

use super::ReplayError;
use super::facts::{Facts, must};
use super::json::{bytes, field, list, small, text};
use super::labeled::{derive, expand, extract};
use super::reader::vector;
use crate::provider::SuiteProvider;
use mls_rs_core::crypto::CipherSuiteProvider as _;
use serde_json::Value;
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

/// GroupContext of RFC 9420, section 8.1, without extensions.
pub(super) fn group_context(
    suite: &SuiteProvider,
    group_id: &[u8],
    epoch: u64,
    case: &Value,
) -> Result<Vec<u8>, ReplayError> {
    Ok([
        &1_u16.to_be_bytes()[..],
        &suite.cipher_suite().to_be_bytes(),
        &vector(group_id),
        &epoch.to_be_bytes(),
        &vector(&bytes(case, "tree_hash")?),
        &vector(&bytes(case, "confirmed_transcript_hash")?),
        &vector(&[]),
    ]
    .concat())
}

/// Epoch secret of joiner and pre-shared secret, and the secret that a Welcome is sealed with.
pub(super) fn of_joiner(
    suite: &SuiteProvider,
    joiner: &[u8],
    psk_secret: &[u8],
    context: &[u8],
) -> Result<(Bytes, Bytes), ReplayError> {
    let member = extract(suite, joiner, psk_secret)?;
    let welcome = derive(suite, &member, b"welcome")?;
    let size = suite.kdf_extract_size();
    Ok((expand(suite, &member, b"epoch", context, size)?, welcome))
}

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let group_id = bytes(case, "group_id")?;
    let mut init = Zeroizing::new(bytes(case, "initial_init_secret")?);
    for (number, epoch) in (0_u64..).zip(list(case, "epochs")?) {
        let context = group_context(&suite, &group_id, number, epoch)?;
        facts.same("group_context", &context, &bytes(epoch, "group_context")?)?;
        let joiner = extract(&suite, &init, &bytes(epoch, "commit_secret")?)?;
        let size = suite.kdf_extract_size();
        let joiner = expand(&suite, &joiner, b"joiner", &context, size)?;
        facts.same("joiner_secret", &joiner, &bytes(epoch, "joiner_secret")?)?;
        let psk_secret = bytes(epoch, "psk_secret")?;
        let (secret, welcome) = of_joiner(&suite, &joiner, &psk_secret, &context)?;
        facts.same("welcome_secret", &welcome, &bytes(epoch, "welcome_secret")?)?;
        for (name, label) in [
            ("init_secret", &b"init"[..]),
            ("sender_data_secret", b"sender data"),
            ("encryption_secret", b"encryption"),
            ("exporter_secret", b"exporter"),
            ("external_secret", b"external"),
            ("confirmation_key", b"confirm"),
            ("membership_key", b"membership"),
            ("resumption_psk", b"resumption"),
            ("epoch_authenticator", b"authentication"),
        ] {
            let derived = derive(&suite, &secret, label)?;
            facts.same(name, &derived, &bytes(epoch, name)?)?;
        }
        let external = suite.kem_derive(&bytes(epoch, "external_secret")?);
        let (_, public) = must("external_pub", external)?;
        facts.same("external_pub", &public, &bytes(epoch, "external_pub")?)?;
        let one = field(epoch, "exporter")?;
        let exporter = bytes(epoch, "exporter_secret")?;
        let exporter = derive(&suite, &exporter, text(one, "label")?.as_bytes())?;
        let hash = must("hash", suite.hash(&bytes(one, "context")?))?;
        let out = expand(&suite, &exporter, b"exported", &hash, small(one, "length")?)?;
        facts.same("exporter", &out, &bytes(one, "secret")?)?;
        init = derive(&suite, &secret, b"init")?;
    }
    Ok(())
}

/// RFC 9420, section 8.4.
pub(super) fn pre_shared_keys(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let zero = vec![0; suite.kdf_extract_size()];
    let mut secret = Zeroizing::new(zero.clone());
    let psks = list(case, "psks")?;
    let count = must("psks", u16::try_from(psks.len()))?;
    for (number, psk) in (0_u16..).zip(psks) {
        let label = [
            &[1_u8][..],
            &vector(&bytes(psk, "psk_id")?),
            &vector(&bytes(psk, "psk_nonce")?),
            &number.to_be_bytes(),
            &count.to_be_bytes(),
        ]
        .concat();
        let extracted = extract(&suite, &zero, &bytes(psk, "psk")?)?;
        let size = suite.kdf_extract_size();
        let input = expand(&suite, &extracted, b"derived psk", &label, size)?;
        secret = extract(&suite, &input, &secret)?;
    }
    facts.same("psk_secret", &secret, &bytes(case, "psk_secret")?)
}

/// RFC 9420, section 8.2. The confirmation tag ends the content; what is before it is hashed.
pub(super) fn transcript(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let content = bytes(case, "authenticated_content")?;
    let size = vector(&vec![0; suite.kdf_extract_size()]).len();
    let (hashed, tag) = content
        .split_at_checked(content.len().saturating_sub(size))
        .ok_or_else(|| ReplayError::new("too short"))?;
    let before = bytes(case, "interim_transcript_hash_before")?;
    let confirmed = must("hash", suite.hash(&[&before, hashed].concat()))?;
    let recorded = bytes(case, "confirmed_transcript_hash_after")?;
    facts.same("confirmed_transcript_hash_after", &confirmed, &recorded)?;
    let mac = must(
        "mac",
        suite.mac(&bytes(case, "confirmation_key")?, &confirmed),
    )?;
    facts.same("confirmation tag", &vector(&mac), tag)?;
    let interim = must("hash", suite.hash(&[&confirmed, tag].concat()))?;
    let recorded = bytes(case, "interim_transcript_hash_after")?;
    facts.same("interim_transcript_hash_after", &interim, &recorded)
}
