//! Replays the vectors of SPQR alone: chain, parsing, transcripts.

use super::draws::Draws;
use super::facts::Facts;
use super::json::{bytes, field, list, number, optional, secret, small, text, truth};
use super::{ReplayError, state};
use crate::limits;
use crate::spqr::labels::SIGNAL;
use crate::spqr::replay::{Chain, info};
use crate::spqr::{ChainLimits, Role, Spqr, SpqrError};
use serde_json::Value;
use std::collections::BTreeMap;

impl From<SpqrError> for ReplayError {
    fn from(error: SpqrError) -> Self {
        Self::new(format!("we refuse: {error}"))
    }
}

/// spqr-chain.json.
pub(super) fn chain(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for (case_number, case) in list(json, "cases")?.iter().enumerate() {
        let role = match text(case, "direction")? {
            "A2B" => Role::A2B,
            "B2A" => Role::B2A,
            other => return Err(ReplayError::new(format!("unknown direction {other}"))),
        };
        let limits = ChainLimits {
            jump: small(case, "max_jump")?,
            window: small(case, "max_ooo_keys")?,
        };
        let mut chain = Chain::new(role, &secret(case, "initial_key")?, &SIGNAL, limits);
        for (place, step) in list(case, "steps")?.iter().enumerate() {
            chain_step(&mut chain, step, facts)
                .map_err(|error| error.at(format!("case {case_number}, step {place}")))?;
        }
    }
    Ok(())
}

fn chain_step(chain: &mut Chain, step: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let epoch = number(step, "epoch")?;
    let refusal = optional(step, "error").and_then(Value::as_str);
    match text(step, "op")? {
        "add_epoch" => {
            let new = chain.new_epoch(epoch, &secret(step, "secret")?, &SIGNAL)?;
            chain.add_epoch(new);
            facts.equal("newest epoch", chain.newest(), epoch)
        }
        "send_key" => match (chain.send_key(epoch, &SIGNAL), refusal) {
            (Ok((index, key)), None) => {
                facts.equal("index of the sending key", index, small(step, "index")?)?;
                facts.secret("sending key", &key, &bytes(step, "key")?)
            }
            (Err(SpqrError::Epoch { got }), Some(recorded)) => {
                facts.equal("refused epoch", got, epoch)?;
                facts.equal("refusal", "SendKeyEpochDecreased", first_word(recorded))
            }
            (ours, recorded) => Err(outcome(ours.err(), recorded)),
        },
        "recv_key" => {
            let staged = chain.stage_receive(epoch, small(step, "index")?, &SIGNAL);
            match (staged, refusal) {
                (Ok((delta, key)), None) => {
                    chain.commit(delta);
                    facts.secret("receiving key", &key, &bytes(step, "key")?)
                }
                (Err(error), Some(recorded)) => {
                    facts.equal("refusal", kind(error), first_word(recorded))
                }
                (ours, recorded) => Err(outcome(ours.err(), recorded)),
            }
        }
        other => Err(ReplayError::new(format!("unknown step {other}"))),
    }
}

fn outcome(ours: Option<SpqrError>, recorded: Option<&str>) -> ReplayError {
    ReplayError::new(format!(
        "outcome differs: ours {ours:?}, recorded {recorded:?}"
    ))
}

/// The recorded name of a refusal; numbers follow in brackets.
fn first_word(recorded: &str) -> &str {
    recorded.split('(').next().unwrap_or_default()
}

fn kind(error: SpqrError) -> &'static str {
    match error {
        SpqrError::Used => "KeyAlreadyRequested",
        SpqrError::Trimmed => "KeyTrimmed",
        SpqrError::Jump { .. } => "KeyJump",
        SpqrError::Epoch { .. } => "EpochOutOfRange",
        SpqrError::Malformed => "MsgDecode",
        SpqrError::Version { .. } => "MinimumVersion",
        _ => "another",
    }
}

const LIMITS: ChainLimits = ChainLimits {
    jump: limits::FORWARD_JUMP,
    window: limits::SPQR_WINDOW,
};

/// spqr-parse.json: each message to a fresh responder. We refuse every message that gives no key.
pub(super) fn parse(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let auth_key = secret(json, "auth_key")?;
    for case in list(json, "cases")? {
        let spqr = Spqr::new(Role::B2A, &auth_key, &SIGNAL, LIMITS);
        let staged = spqr.stage_receive(&bytes(case, "msg")?);
        let why = text(case, "why")?;
        match (staged, truth(case, "ok")?, optional(case, "key")) {
            (Ok(staged), true, Some(_)) => facts.secret(why, staged.key(), &bytes(case, "key")?)?,
            (Err(error), false, None) => {
                facts.equal(why, kind(error), first_word(text(case, "error")?))?;
            }
            (staged, true, None) if case.get("key").is_some() => {
                facts.stricter(why, staged.is_err())?;
            }
            (staged, ..) => return Err(outcome(staged.err(), None).at(why)),
        }
    }
    Ok(())
}

/// spqr-transcripts.json.
pub(super) fn transcripts(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for conversation in list(json, "conversations")? {
        let name = text(conversation, "name")?;
        transcript(conversation, facts).map_err(|error| error.at(name))?;
    }
    Ok(())
}

/// Minimum version 0 and version 0 are not spoken here: of a side that speaks them only what we refuse is checked.
fn transcript(conversation: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let auth_key = secret(conversation, "auth_key")?;
    let minimum_is_ours = number(conversation, "min_version")? == 1;
    let bob_is_ours = minimum_is_ours && number(conversation, "bob_version")? == 1;
    let side = |role, replayed| Side {
        spqr: Spqr::new(role, &auth_key, &SIGNAL, LIMITS),
        replayed,
    };
    let mut alice = side(Role::A2B, minimum_is_ours);
    let mut bob = side(Role::B2A, bob_is_ours);
    let mut sent = BTreeMap::new();
    for (place, step) in list(conversation, "steps")?.iter().enumerate() {
        let (side, other) = match text(step, "by")? {
            "alice" => (&mut alice, &bob),
            "bob" => (&mut bob, &alice),
            _ => return Err(ReplayError::new("neither alice nor bob")),
        };
        let done = match side.replayed {
            true => side.step(step, &mut sent, facts),
            false => side.step_not_spoken(step, other, &mut sent, facts),
        };
        done.map_err(|error| error.at(format!("step {place}")))?;
    }
    Ok(())
}

struct Side {
    spqr: Spqr,
    /// Whether it speaks as we do.
    replayed: bool,
}

/// A message, and its key if there is one.
struct Message {
    bytes: Vec<u8>,
    key: Option<Vec<u8>>,
}

impl Message {
    fn of(step: &Value) -> Result<Self, ReplayError> {
        let key = optional(step, "key")
            .map(|_| bytes(step, "key"))
            .transpose()?;
        let bytes = bytes(step, "msg")?;
        Ok(Self { bytes, key })
    }
}

impl Side {
    fn step(
        &mut self,
        step: &Value,
        sent: &mut BTreeMap<u64, Message>,
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        match text(step, "op")? {
            "send" => {
                let mut draws = Draws::of(step)?;
                let out = self.spqr.send(&mut draws)?;
                draws.finish()?;
                let recorded = Message::of(step)?;
                facts.bytes("message", &out.message, &recorded.bytes)?;
                facts.secret("sending key", &out.key, &bytes(step, "key")?)?;
                self::message_info(facts, &out.message, field(step, "info")?)?;
                sent.insert(number(step, "id")?, recorded);
                self.after(step, facts)
            }
            "recv" => self.receive(step, sent, facts),
            "state" => state::spqr(facts, &self.spqr, field(step, "state")?),
            other => Err(ReplayError::new(format!("unknown step {other}"))),
        }
    }

    fn receive(
        &mut self,
        step: &Value,
        sent: &BTreeMap<u64, Message>,
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        let message = sent.get(&number(step, "id")?);
        let message = message.ok_or_else(|| ReplayError::new("no such message was sent"))?;
        let staged = self.spqr.stage_receive(&message.bytes);
        match (staged, optional(step, "error").and_then(Value::as_str)) {
            (Ok(staged), None) => {
                let key = message.key.as_deref().unwrap_or_default();
                facts.secret("receiving key", staged.key(), key)?;
                self.spqr.commit(staged);
                self.after(step, facts)
            }
            (Err(error), Some(recorded)) => facts.equal("refusal", kind(error), recorded),
            (staged, recorded) => Err(outcome(staged.err(), recorded)),
        }
    }

    /// A step of a side that does not speak as we do: what it sends without key, `other` refuses.
    fn step_not_spoken(
        &self,
        step: &Value,
        other: &Self,
        sent: &mut BTreeMap<u64, Message>,
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        if text(step, "op")? != "send" {
            return Ok(());
        }
        let message = Message::of(step)?;
        if message.key.is_none() {
            let refused = other.spqr.stage_receive(&message.bytes).is_err();
            facts.stricter("a message without key", refused)?;
        }
        sent.insert(number(step, "id")?, message);
        Ok(())
    }

    /// State name, its epoch, newest and sending epoch of the chain.
    fn after(&self, step: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
        let view = self.spqr.view();
        let epochs = [view.epoch, view.chain.newest(), view.chain.send_epoch()];
        match list(step, "after")? {
            [state, recorded @ ..] => {
                facts.equal("state", Some(view.state), state.as_str())?;
                let recorded: Vec<u64> = recorded.iter().filter_map(Value::as_u64).collect();
                facts.equal("epochs", &epochs[..], &recorded)
            }
            [] => Err(ReplayError::new("`after` is empty")),
        }
    }
}

/// Recorded as epoch, key index, type, chunk index.
pub(super) fn message_info(
    facts: &mut Facts,
    message: &[u8],
    recorded: &Value,
) -> Result<(), ReplayError> {
    let (epoch, index, kind, chunk) = info(message)?;
    let ours = serde_json::json!([epoch, index, kind, chunk]);
    facts.equal("SPQR info", &ours, recorded)
}
