//! Replays conversations: both sides, from recorded randomness.
//!
//! Before each message a side stores its record and loads it again, so that the stored form is replayed too.

use super::draws::Draws;
use super::facts::Facts;
use super::json::{bytes, field, list, number, optional, small, text, truth};
use super::party::{NOW, Party, Refusal, Wire, stored};
use super::signal_message::address;
use super::{ReplayError, export, spqr, start, state};
use crate::incoming::MessageKind;
use crate::pre_key::PreKeyBundle;
use crate::profile::Profile;
use crate::record::Record;
use crate::wire::{PreKeyMessage, RatchetMessage};
use serde_json::Value;
use std::collections::BTreeMap;

/// Several conversations in one file.
pub(super) fn replay_cases(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for (place, case) in list(json, "cases")?.iter().enumerate() {
        replay(case, facts).map_err(|error| error.at(format!("case {place}")))?;
    }
    Ok(())
}

/// One conversation.
pub(super) fn replay(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let (alice, bob) = (field(json, "alice")?, field(json, "bob")?);
    let mut conversation = Conversation {
        alice: Party::new(alice, bob, facts)?,
        bob: Party::new(bob, alice, facts)?,
        sent: BTreeMap::new(),
        bundles: BTreeMap::new(),
    };
    for (place, step) in list(json, "steps")?.iter().enumerate() {
        let (op, by) = (text(step, "op")?, text(step, "by")?);
        conversation
            .step(place, op, by, step, facts)
            .map_err(|error| error.at(format!("step {place} ({op} by {by})")))?;
    }
    Ok(())
}

struct Conversation {
    alice: Party,
    bob: Party,
    sent: BTreeMap<u64, Sent>,
    /// By the step that published them.
    bundles: BTreeMap<usize, PreKeyBundle>,
}

struct Sent {
    wire: Wire,
    plaintext: Vec<u8>,
}

impl Conversation {
    fn step(
        &mut self,
        place: usize,
        op: &str,
        by: &str,
        step: &Value,
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        let (own, peer) = match by {
            "alice" => (&mut self.alice, &mut self.bob),
            "bob" => (&mut self.bob, &mut self.alice),
            _ => return Err(ReplayError::new("neither alice nor bob")),
        };
        match op {
            "start" => {
                let recorded = field(step, "peer_bundle")?;
                let bundle = match recorded.as_u64() {
                    Some(_) => {
                        let again: usize = small(step, "peer_bundle")?;
                        let bundle = self.bundles.get(&again).cloned();
                        bundle.ok_or_else(|| ReplayError::new("no such bundle"))?
                    }
                    None => start::publish(peer, recorded, facts)?,
                };
                start::start(own, peer, &bundle, step, facts)?;
                self.bundles.insert(place, bundle);
                Ok(())
            }
            "send" => {
                let sent = send(own, step, facts)?;
                self.sent.insert(number(step, "id")?, sent);
                Ok(())
            }
            "send_lost" => send_lost(own, step),
            "recv" => {
                let sent = self.sent.get(&number(step, "id")?);
                let sent = sent.ok_or_else(|| ReplayError::new("no such message was sent"))?;
                let expected = match optional(step, "error") {
                    None => Expected::Opens(sent.plaintext.clone()),
                    Some(_) => Expected::Refused(refusal(text(step, "error")?)),
                };
                receive(own, &sent.wire, &expected, step, facts)
            }
            "recv_forged" => {
                let wire = Wire::of(step)?;
                let expected = Expected::of(step, &wire)?;
                receive(own, &wire, &expected, step, facts)
                    .map_err(|error| error.at(text(step, "why").unwrap_or_default()))
            }
            "probe" => probe(own, peer, &self.sent, step, facts)
                .map_err(|error| error.at(text(step, "why").unwrap_or_default())),
            "state" => state::record(facts, &own.record, step),
            "delete_session" => {
                own.record = Record::signal(own.address.clone(), peer.address.clone());
                Ok(())
            }
            "export" => export::record(facts, &own.record, &bytes(step, "session_record")?),
            _ => Err(ReplayError::new("unknown step")),
        }
    }
}

fn send(own: &mut Party, step: &Value, facts: &mut Facts) -> Result<Sent, ReplayError> {
    own.reload()?;
    let (recorded, plaintext) = (Wire::of(step)?, bytes(step, "pt")?);
    let mut draws = Draws::of(step)?;
    let outgoing = own
        .record
        .encrypt(&plaintext, NOW, &mut draws)
        .map_err(|error| ReplayError::new(error.to_string()))?;
    draws.finish()?;
    facts.equal("type", outgoing.kind, recorded.kind)?;
    facts.bytes("wire", &outgoing.bytes, &recorded.bytes)?;
    info(&recorded, field(step, "info")?, facts)?;
    Ok(Sent {
        wire: recorded,
        plaintext,
    })
}

/// The message inside, if it is one.
fn inner(wire: &Wire) -> Option<RatchetMessage> {
    let outer = match wire.kind {
        MessageKind::Message => None,
        MessageKind::PreKey => Some(PreKeyMessage::decode(Profile::Signal, &wire.bytes).ok()?),
    };
    let bytes = outer.as_ref().map_or(&wire.bytes, |outer| &outer.message);
    RatchetMessage::decode(Profile::Signal, bytes).ok()
}

/// Recorded as counter, previous counter, SPQR info.
fn info(wire: &Wire, recorded: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let message = inner(wire).ok_or_else(|| ReplayError::new("what we sent does not parse"))?;
    let counters = [message.counter, message.previous_counter].map(|ours| Some(u64::from(ours)));
    let at = |place: usize| recorded.get(place).and_then(Value::as_u64);
    facts.equal("counters", counters, [at(0), at(1)])?;
    let spqr = recorded.get(2).unwrap_or(&Value::Null);
    spqr::message_info(facts, &message.pq_ratchet, spqr)
}

fn send_lost(own: &mut Party, step: &Value) -> Result<(), ReplayError> {
    let plaintext = bytes(step, "pt")?;
    let mut draws = Draws::of(step)?;
    for _ in 0..number(step, "count")? {
        own.record
            .encrypt(&plaintext, NOW, &mut draws)
            .map_err(|error| ReplayError::new(error.to_string()))?;
    }
    draws.finish()
}

/// What must come of a received message.
enum Expected {
    Opens(Vec<u8>),
    Refused(Refusal),
    /// libsignal accepts it; we do not.
    RefusedByUs,
}

impl Expected {
    /// Of a step that says `accepted`.
    fn of(step: &Value, wire: &Wire) -> Result<Self, ReplayError> {
        match truth(step, "accepted")? {
            true if !has_spqr_key(wire) => Ok(Self::RefusedByUs),
            true => Ok(Self::Opens(bytes(step, "pt")?)),
            false => Ok(Self::Refused(refusal(text(step, "error")?))),
        }
    }
}

fn refusal(recorded: &str) -> Refusal {
    match recorded.starts_with("message with old counter") {
        true => Refusal::Duplicate,
        false => Refusal::Other,
    }
}

/// Whether the SPQR part gives a key at all: of version 1, and not index 0 of epoch 1. A message without could be
/// forged with Double Ratchet keys alone; libsignal accepts it.
fn has_spqr_key(wire: &Wire) -> bool {
    inner(wire).is_none_or(|message| match message.pq_ratchet.as_slice() {
        [1, 1, 0, ..] => false,
        [version, ..] => *version == 1,
        [] => false,
    })
}

/// Receives a message; a refused one changes nothing.
fn receive(
    own: &mut Party,
    wire: &Wire,
    expected: &Expected,
    step: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    own.reload()?;
    let before = own.record.encode();
    let mut draws = Draws::of(step)?;
    let outcome = own.receive(wire, &mut draws);
    if outcome.is_err() {
        facts.same_stored("state after a refusal", &own.record.encode(), &before)?;
    }
    compare(&outcome, expected, &draws, facts)
}

/// libsignal draws before it knows that it will refuse, and refuses some messages later than we do.
fn compare(
    outcome: &Result<Vec<u8>, Refusal>,
    expected: &Expected,
    draws: &Draws,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    match (outcome, expected) {
        (Ok(plaintext), Expected::Opens(recorded)) => {
            draws.finish()?;
            facts.bytes("plaintext", plaintext, recorded)
        }
        (Err(ours), Expected::Refused(recorded)) => {
            draws.sufficed()?;
            facts.equal("refusal", ours, recorded)
        }
        (outcome, Expected::RefusedByUs) => {
            draws.sufficed()?;
            facts.stricter("a message without SPQR key", outcome.is_err())
        }
        (Ok(_), Expected::Refused(_)) => Err(ReplayError::new("we accept what was refused")),
        (Err(ours), Expected::Opens(_)) => Err(ReplayError::new(format!(
            "we refuse ({ours:?}) what was accepted"
        ))),
    }
}

/// Delivers a message to a copy, possibly under other addresses.
fn probe(
    own: &Party,
    peer: &Party,
    sent: &BTreeMap<u64, Sent>,
    step: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let wire = Wire::of(step)?;
    let named = |name| optional(step, name).map(address).transpose();
    let sender = named("sender_address")?.unwrap_or_else(|| peer.address.clone());
    let receiver = named("receiver_address")?.unwrap_or_else(|| own.address.clone());
    let mut draws = Draws::of(step)?;
    // Another sender is another record, and a first contact.
    let known = sender == peer.address;
    let mut record = match known {
        true => stored(&own.record)?,
        false => Record::signal(receiver.clone(), sender.clone()),
    };
    record.addresses = Some((receiver, sender));
    let trusted = own.trusted.filter(|_| known);
    let outcome = own.open(&mut record, trusted, &wire, &mut draws);
    let outcome = outcome.map(|received| received.plaintext);
    let mut expected = Expected::of(step, &wire)?;
    // libsignal takes a name in another case for another peer; we do not, and so know the session.
    let sender_text = optional(step, "sender_address").and_then(|sender| sender.get(0));
    let other_case = known && sender_text.is_some_and(|text| *text != peer.name);
    if other_case && matches!(expected, Expected::Refused(_)) {
        let same = sent.values().find(|sent| sent.wire == wire);
        let same = same.ok_or_else(|| ReplayError::new("no such message was sent"))?;
        draws.sufficed()?;
        draws = Draws::new([]);
        expected = Expected::Opens(same.plaintext.clone());
    }
    compare(&outcome, &expected, &draws, facts)
}
