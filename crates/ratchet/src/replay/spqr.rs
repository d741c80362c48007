//! Replays the vectors of SPQR alone: erasure code, chain, parsing, transcripts.
//!
//! Minimum version 0 is not spoken here, so of the conversations that negotiate it only the refusal is checked.

use super::json::{array, bytes, fail, field, hex, list, number, text};
use super::{Draws, ReplayError};
use crate::spqr::labels::SIGNAL;
use crate::spqr::replay::{Chain, ChainLimits, Chunk, Decoder, Encoder, gf};
use crate::spqr::{Role, Spqr, SpqrError};
use keys::Secret;
use serde_json::Value;
use std::collections::BTreeMap;

/// erasure-code.json.
pub(crate) fn erasure(json: &Value) -> Result<usize, ReplayError> {
    let mut checks = 0;
    for case in list(json, "gf16")? {
        let (a, b) = (element(case, "a")?, element(case, "b")?);
        if gf::mul(a, b) != element(case, "a*b")? || gf::mul(a, gf::invert(b)) != element(case, "a/b")? {
            return Err(fail(format!("field arithmetic of {a:04x} and {b:04x}")));
        }
        checks += 2;
    }
    for case in list(json, "cases")? {
        let message = bytes(case, "message")?;
        let encoder = Encoder::new(message.clone()).map_err(|_| fail("message refused"))?;
        checks += chunks_agree(&encoder, case)?;
        for decode in list(case, "decode")? {
            let complete_after = number(decode, "complete_after").ok();
            checks += decodes(&message, decode, complete_after)?;
        }
    }
    for name in ["repeated_index_last_wins", "low_index_points_are_kept"] {
        let case = field(json, name)?;
        let mut decoder = Decoder::new(bytes(case, "message")?.len());
        for chunk in list(case, "feed")? {
            decoder.add(&chunk_of(chunk)?);
        }
        if decoder.message() != Some(bytes(case, "decoded")?) {
            return Err(fail(name));
        }
        checks += 1;
    }
    let wrap = field(json, "wrap_after_65535")?;
    let encoder = Encoder::new(bytes(wrap, "message")?).map_err(|_| fail("message refused"))?;
    Ok(checks + chunks_agree(&encoder, wrap)?)
}

fn element(case: &Value, key: &str) -> Result<u16, ReplayError> {
    Ok(u16::from_be_bytes(array(case, key)?))
}

fn chunk_of(value: &Value) -> Result<Chunk, ReplayError> {
    let index = value.get(0).and_then(Value::as_u64).and_then(|index| u16::try_from(index).ok());
    let data = value.get(1).and_then(Value::as_str).ok_or_else(|| fail("chunk"))?;
    let data = hex(data)?.try_into().map_err(|_| fail("chunk length"))?;
    Ok(Chunk { index: index.ok_or_else(|| fail("chunk index"))?, data })
}

fn chunks_agree(encoder: &Encoder, case: &Value) -> Result<usize, ReplayError> {
    let mut checks = 0;
    for chunk in list(case, "chunks")? {
        let expected = chunk_of(chunk)?;
        if encoder.chunk(expected.index) != expected {
            return Err(fail(format!("chunk {}", expected.index)));
        }
        checks += 1;
    }
    Ok(checks)
}

fn decodes(message: &[u8], case: &Value, complete_after: Option<u64>) -> Result<usize, ReplayError> {
    let mut decoder = Decoder::new(message.len());
    let mut fed = 0_u64;
    for chunk in list(case, "chunks")? {
        decoder.add(&chunk_of(chunk)?);
        fed += 1;
        let complete = decoder.message();
        let expected = complete_after.is_some_and(|after| fed >= after);
        if complete.is_some() != expected || complete.is_some_and(|decoded| decoded != message) {
            return Err(fail(format!("{} after {fed} chunks", text(case, "name")?)));
        }
    }
    Ok(1)
}

/// spqr-chain.json.
pub(crate) fn chain(json: &Value) -> Result<usize, ReplayError> {
    let mut checks = 0;
    for case in list(json, "cases")? {
        let role = if text(case, "direction")? == "A2B" { Role::A2B } else { Role::B2A };
        let limits = ChainLimits { jump: small(case, "max_jump")?, window: small(case, "max_ooo_keys")? };
        let key = Secret::from_slice(&bytes(case, "initial_key")?).ok_or_else(|| fail("key length"))?;
        let mut chain = Chain::new(role, &key, &SIGNAL, limits);
        for (place, step) in list(case, "steps")?.iter().enumerate() {
            chain_step(&mut chain, step).map_err(|error| error.at(place))?;
            checks += 1;
        }
    }
    Ok(checks)
}

fn small(case: &Value, key: &str) -> Result<u32, ReplayError> {
    u32::try_from(number(case, key)?).map_err(|_| fail(key))
}

fn chain_step(chain: &mut Chain, step: &Value) -> Result<(), ReplayError> {
    let epoch = number(step, "epoch")?;
    match text(step, "op")? {
        "add_epoch" => {
            let secret = Secret::from_slice(&bytes(step, "secret")?).ok_or_else(|| fail("secret"))?;
            let new = chain.new_epoch(epoch, &secret, &SIGNAL).map_err(|error| fail(error.to_string()))?;
            chain.add_epoch(new);
            Ok(())
        }
        "send_key" => match (chain.send_key(epoch, &SIGNAL), step.get("error")) {
            (Ok((index, key)), None) => {
                let same = u64::from(index) == number(step, "index")?
                    && key.expose_secret()[..] == bytes(step, "key")?;
                if same { Ok(()) } else { Err(fail("sending key differs")) }
            }
            (Err(_), Some(_)) => Ok(()),
            _ => Err(fail("send_key: refusal differs")),
        },
        "recv_key" => {
            let staged = chain.stage_receive(epoch, small(step, "index")?, &SIGNAL);
            match (staged, step.get("error").and_then(Value::as_str)) {
                (Ok((delta, key)), None) => {
                    chain.commit(delta);
                    if key.expose_secret()[..] == bytes(step, "key")? {
                        Ok(())
                    } else {
                        Err(fail("receiving key differs"))
                    }
                }
                (Err(error), Some(expected)) if same_kind(error, expected) => Ok(()),
                (got, expected) => Err(fail(format!("recv_key: {:?}, expected {expected:?}", got.err()))),
            }
        }
        other => Err(fail(format!("unknown step {other}"))),
    }
}

fn same_kind(error: SpqrError, expected: &str) -> bool {
    match error {
        SpqrError::Used => expected.starts_with("KeyAlreadyRequested"),
        SpqrError::Trimmed => expected.starts_with("KeyTrimmed"),
        SpqrError::Jump { .. } => expected.starts_with("KeyJump"),
        SpqrError::Epoch { .. } => expected.starts_with("EpochOutOfRange"),
        _ => false,
    }
}

/// spqr-parse.json: each message to a fresh responder. Stricter here: messages without key are refused.
pub(crate) fn parse(json: &Value) -> Result<usize, ReplayError> {
    let auth_key = Secret::from_slice(&bytes(json, "auth_key")?).ok_or_else(|| fail("auth_key"))?;
    let mut checks = 0;
    for case in list(json, "cases")? {
        let spqr = Spqr::new(Role::B2A, &auth_key, &SIGNAL, crate::parts::spqr_limits(false));
        let staged = spqr.stage_receive(&bytes(case, "msg")?);
        let key = case.get("key").and_then(Value::as_str);
        match (staged, key) {
            (Ok(staged), Some(key)) if staged.key().expose_secret()[..] == hex(key)? => {}
            (Err(_), None) => {}
            _ => return Err(fail(text(case, "why")?)),
        }
        checks += 1;
    }
    Ok(checks)
}

/// spqr-transcripts.json.
pub(crate) fn transcripts(json: &Value) -> Result<usize, ReplayError> {
    let mut checks = 0;
    for conversation in list(json, "conversations")? {
        let name = text(conversation, "name")?;
        let spoken = number(conversation, "min_version")? == 1 && number(conversation, "bob_version")? == 1;
        let replayed = if spoken { replay(conversation) } else { refused(conversation) };
        checks += replayed.map_err(|error| error.within(name))?;
    }
    Ok(checks)
}

struct Side {
    spqr: Spqr,
}

fn side(role: Role, conversation: &Value) -> Result<Side, ReplayError> {
    let auth_key = Secret::from_slice(&bytes(conversation, "auth_key")?).ok_or_else(|| fail("auth_key"))?;
    Ok(Side { spqr: Spqr::new(role, &auth_key, &SIGNAL, crate::parts::spqr_limits(false)) })
}

fn replay(conversation: &Value) -> Result<usize, ReplayError> {
    let mut alice = side(Role::A2B, conversation)?;
    let mut bob = side(Role::B2A, conversation)?;
    let mut sent: BTreeMap<u64, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    let mut checks = 0;
    for (place, step) in list(conversation, "steps")?.iter().enumerate() {
        let side = if text(step, "by")? == "alice" { &mut alice } else { &mut bob };
        side.step(step, &mut sent).map_err(|error| error.at(place))?;
        checks += 1;
    }
    Ok(checks)
}

impl Side {
    fn step(
        &mut self,
        step: &Value,
        sent: &mut BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    ) -> Result<(), ReplayError> {
        match text(step, "op")? {
            "send" => {
                let mut draws = Draws::new(step)?;
                let out = self.spqr.send(&mut draws).map_err(|error| fail(error.to_string()))?;
                draws.finish()?;
                let (message, key) = (bytes(step, "msg")?, bytes(step, "key")?);
                if out.message != message || out.key.expose_secret()[..] != key {
                    return Err(fail("message or key differs"));
                }
                sent.insert(number(step, "id")?, (message, key));
                self.after(step)
            }
            "recv" => {
                let (message, key) = sent.get(&number(step, "id")?).ok_or_else(|| fail("unknown id"))?;
                let staged = self.spqr.stage_receive(message);
                match (staged, step.get("error")) {
                    (Ok(staged), None) => {
                        let same = staged.key().expose_secret()[..] == key[..];
                        if same == step.get("key_differs_from_sender").is_some() {
                            return Err(fail("received key differs"));
                        }
                        self.spqr.commit(staged);
                        self.after(step)
                    }
                    (Err(_), Some(_)) => Ok(()),
                    (got, _) => Err(fail(format!("refusal differs: {:?}", got.err()))),
                }
            }
            _ => Ok(()),
        }
    }

    /// State name, its epoch, newest and sending epoch of the chain.
    fn after(&self, step: &Value) -> Result<(), ReplayError> {
        let (state, epoch, newest, send_epoch) = self.spqr.summary();
        let expected = list(step, "after")?;
        let name = expected.first().and_then(Value::as_str).unwrap_or_default();
        let numbers: Vec<u64> = expected.iter().skip(1).filter_map(Value::as_u64).collect();
        if STATES.get(usize::from(state).wrapping_sub(1)) != Some(&name) || numbers != [epoch, newest, send_epoch] {
            return Err(fail(format!("state is {state} {epoch} {newest} {send_epoch}, expected {expected:?}")));
        }
        Ok(())
    }
}

/// Names of the states by their numbers.
const STATES: [&str; 11] = [
    "KeysUnsampled",
    "KeysSampled",
    "HeaderSent",
    "Ct1Received",
    "EkSentCt1Received",
    "NoHeaderReceived",
    "HeaderReceived",
    "Ct1Sampled",
    "EkReceivedCt1Sampled",
    "Ct1Acknowledged",
    "Ct2Sampled",
];

/// A conversation with version 0: whatever carries no key is refused.
fn refused(conversation: &Value) -> Result<usize, ReplayError> {
    let (alice, bob) = (side(Role::A2B, conversation)?, side(Role::B2A, conversation)?);
    let mut checks = 0;
    for step in list(conversation, "steps")? {
        if text(step, "op")? != "send" || step.get("key").is_some_and(|key| !key.is_null()) {
            continue;
        }
        let receiver = if text(step, "by")? == "alice" { &bob } else { &alice };
        if receiver.spqr.stage_receive(&bytes(step, "msg")?).is_ok() {
            return Err(fail("a message without key was accepted"));
        }
        checks += 1;
    }
    Ok(checks)
}
