//! Replays signal-message.json.

use super::ReplayError;
use super::facts::Facts;
use super::json::{array, bytes, list, optional, secret, small, text, truth};
use super::primitives::key;
use crate::address::{Address, addresses_field};
use crate::message_key::mac_of;
use crate::profile::Profile;
use crate::wire::RatchetMessage;
use keys::{cbc_decrypt, cbc_encrypt};
use serde_json::Value;

/// Messages of given fields, bodies, and what parses.
pub(super) fn replay(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for (place, case) in list(json, "cases")?.iter().enumerate() {
        message(case, facts).map_err(|error| error.at(format!("case {place}")))?;
    }
    for (place, case) in list(json, "aes_256_cbc_pkcs7")?.iter().enumerate() {
        body(case, facts).map_err(|error| error.at(format!("body {place}")))?;
    }
    for case in list(json, "parsing")? {
        let why = text(case, "why")?;
        parsing(case, facts).map_err(|error| error.at(why))?;
    }
    Ok(())
}

/// An address, recorded as name and device.
pub(super) fn address(value: &Value) -> Result<Address, ReplayError> {
    let name = value.get(0).and_then(Value::as_str);
    let device = value.get(1).and_then(Value::as_u64);
    let device = device.and_then(|device| u8::try_from(device).ok());
    match (name, device) {
        (Some(name), Some(device)) => Ok(Address::new(name, device)),
        _ => Err(ReplayError::new("not an address")),
    }
}

fn message(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let side = |name| optional(case, name).map(address).transpose();
    let sides = side("sender_address")?.zip(side("receiver_address")?);
    let mut message = RatchetMessage {
        ratchet_key: key(case, "ratchet_key")?,
        counter: small(case, "counter")?,
        previous_counter: small(case, "previous_counter")?,
        ciphertext: bytes(case, "ciphertext")?,
        pq_ratchet: bytes(case, "pq_ratchet")?,
        addresses: sides.and_then(|(sender, receiver)| addresses_field(&sender, &receiver)),
        covered: Vec::new(),
        mac: array(case, "mac")?,
    };
    message.covered = message.encode(Profile::Signal);
    let (sender, receiver) = (
        bytes(case, "sender_identity")?,
        bytes(case, "receiver_identity")?,
    );
    let mac = mac_of(
        &secret(case, "mac_key")?,
        &sender,
        &receiver,
        &message.covered,
    );
    facts.bytes("MAC", &mac, &message.mac)?;
    let recorded = bytes(case, "serialized")?;
    let ours = [&message.covered[..], &mac].concat();
    facts.bytes("serialised message", &ours, &recorded)?;
    let parsed = RatchetMessage::decode(Profile::Signal, &recorded);
    facts.holds("parsed message", parsed == Ok(message))
}

fn body(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let (cipher, iv) = (secret(case, "key")?, array(case, "iv")?);
    let (plaintext, ciphertext) = (bytes(case, "plaintext")?, bytes(case, "ciphertext")?);
    let ours = cbc_encrypt(&cipher, &iv, &plaintext);
    facts.bytes("ciphertext", &ours, &ciphertext)?;
    let opened = cbc_decrypt(&cipher, &iv, &ciphertext);
    let opened = opened.map_err(|_| ReplayError::new("the ciphertext does not decrypt"))?;
    facts.bytes("plaintext", &opened, &plaintext)
}

/// libsignal parses messages of version 3 too; we speak 4 alone.
fn parsing(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let ours = RatchetMessage::decode(Profile::Signal, &bytes(case, "bytes")?);
    let accepted = truth(case, "accepted")?;
    match optional(case, "message_version").and_then(Value::as_u64) {
        Some(3) if accepted => facts.stricter("a message of version 3", ours.is_err()),
        version => {
            let nibble = |message: &RatchetMessage| message.covered.first().map(|byte| byte >> 4);
            let ours = ours.as_ref().ok().and_then(nibble).map(u64::from);
            facts.equal("version", ours, version)?;
            facts.equal("accepted", ours.is_some(), accepted)
        }
    }
}
