//! Compares records with the form in which libsignal stores them (README of the vectors, last section).

use super::ReplayError;
use super::facts::Facts;
use crate::chain::ReceivingChain;
use crate::double_ratchet::DoubleRatchet;
use crate::record::Record;
use crate::session::{Pending, Session};
use crate::spqr::replay::{Chunk, Decoder, DirectionView, Encoder, Kept, Object};
use crate::spqr::{Role, Spqr};
use crate::wire::encode_key;
use keys::Secret;
use std::collections::BTreeMap;

/// Current session and archived ones.
pub(super) fn record(facts: &mut Facts, record: &Record, stored: &[u8]) -> Result<(), ReplayError> {
    let stored = Fields::read(stored)?;
    let current = record.current.as_ref();
    let current = current.ok_or_else(|| ReplayError::new("there is no session"))?;
    session(facts, current, &stored.message(1)?).map_err(|error| error.at("current session"))?;
    let archived = stored.all(2);
    facts.equal("archived sessions", record.archived.len(), archived.len())?;
    for (place, (ours, stored)) in record.archived.iter().zip(archived).enumerate() {
        session(facts, &ours.session, &Fields::read(stored)?)
            .map_err(|error| error.at(format!("archived session {place}")))?;
    }
    Ok(())
}

fn session(facts: &mut Facts, ours: &Session, stored: &Fields<'_>) -> Result<(), ReplayError> {
    let bound = &ours.bound;
    facts.equal("version", 4, stored.number(1))?;
    for (what, key, number) in [
        ("own identity key", &bound.our_identity, 2),
        ("identity key of the peer", &bound.their_identity, 3),
        ("base key", &bound.base_key, 13),
    ] {
        facts.bytes(what, &encode_key(key), stored.bytes(number))?;
    }
    let ids = [bound.their_registration_id, bound.our_registration_id].map(u64::from);
    let stored_ids = [stored.number(10), stored.number(11)];
    facts.equal("registration ids", ids, stored_ids)?;
    double_ratchet(facts, &ours.ratchet, stored)?;
    match &ours.pending {
        Some(pending) => self::pending(facts, pending, &bound.base_key, stored)?,
        None => {
            let none = stored.all(9).is_empty() && stored.all(14).is_empty();
            facts.holds("pending pre-key", none)?;
        }
    }
    spqr(facts, &ours.spqr, &stored.message(15)?).map_err(|error| error.at("SPQR"))
}

/// The time is when the vectors were made.
fn pending(
    facts: &mut Facts,
    ours: &Pending,
    base_key: &keys::X25519Public,
    stored: &Fields<'_>,
) -> Result<(), ReplayError> {
    let (ec, kem) = (stored.message(9)?, stored.message(14)?);
    let one_time = ec.optional_number(1);
    facts.equal(
        "pending one-time id",
        ours.one_time_id.map(u64::from),
        one_time,
    )?;
    facts.bytes("pending base key", &encode_key(base_key), ec.bytes(2))?;
    let ids = [ours.signed_id, ours.kem_id].map(u64::from);
    facts.equal("pending ids", ids, [ec.number(3), kem.number(1)])?;
    facts.bytes("pending KEM ciphertext", &ours.kem_ciphertext, kem.bytes(2))
}

fn double_ratchet(
    facts: &mut Facts,
    ours: &DoubleRatchet,
    stored: &Fields<'_>,
) -> Result<(), ReplayError> {
    facts.secret("root key", &ours.root.0, stored.bytes(4))?;
    let previous = u64::from(ours.previous_counter);
    facts.equal("previous counter", previous, stored.number(5))?;
    let sending = stored.message(6)?;
    facts.bytes(
        "ratchet key",
        &encode_key(ours.ours.public()),
        sending.bytes(1),
    )?;
    facts.secret(
        "private ratchet key",
        ours.ours.secret().secret(),
        sending.bytes(2),
    )?;
    let chain = sending.message(3)?;
    facts.equal(
        "sending index",
        u64::from(ours.sending.index),
        chain.number(1),
    )?;
    facts.secret("sending chain key", &ours.sending.key.0, chain.bytes(2))?;
    let chains = stored.all(7);
    facts.equal("receiving chains", ours.receiving.len(), chains.len())?;
    for (place, (ours, stored)) in ours.receiving.iter().zip(chains).enumerate() {
        receiving(facts, ours, &Fields::read(stored)?)
            .map_err(|error| error.at(format!("receiving chain {place}")))?;
    }
    Ok(())
}

fn receiving(
    facts: &mut Facts,
    ours: &ReceivingChain,
    stored: &Fields<'_>,
) -> Result<(), ReplayError> {
    facts.bytes("ratchet key", &encode_key(&ours.theirs.0), stored.bytes(1))?;
    let chain = stored.message(3)?;
    facts.equal("index", u64::from(ours.next), chain.number(1))?;
    facts.secret("chain key", &ours.key.0, chain.bytes(2))?;
    let skipped = stored.all(4);
    facts.equal("skipped seeds", ours.skipped.len(), skipped.len())?;
    for stored in skipped {
        let stored = Fields::read(stored)?;
        let index = u32::try_from(stored.number(1)).ok();
        let seed = index.and_then(|index| ours.skipped.get(&index));
        let seed = seed.ok_or_else(|| ReplayError::new("a skipped seed is missing"))?;
        facts.secret("skipped seed", &seed.0, stored.bytes(5))?;
    }
    Ok(())
}

fn spqr(facts: &mut Facts, ours: &Spqr, stored: &Fields<'_>) -> Result<(), ReplayError> {
    let view = ours.view();
    let chain = stored.message(2)?;
    let direction = match view.chain.role() {
        Role::A2B => 0,
        Role::B2A => 1,
    };
    facts.equal("direction", direction, chain.number(1))?;
    let epochs = [view.chain.newest(), view.chain.send_epoch()];
    facts.equal("epochs", epochs, [chain.number(2), chain.number(5)])?;
    facts.secret("next root", view.chain.next_root(), chain.bytes(4))?;
    let (links, directions) = (chain.all(3), view.chain.directions());
    facts.equal("links", directions.len(), links.len())?;
    for (stored, [send, recv]) in links.into_iter().zip(directions) {
        let stored = Fields::read(stored)?;
        self::direction(facts, &send, &stored.message(1)?)?;
        self::direction(facts, &recv, &stored.message(2)?)?;
    }

    let kept = ours.kept();
    let machine = stored.message(3)?;
    let state = machine.message(u64::from(kept.number))?;
    let common = state.message(1)?;
    facts.equal("epoch", view.epoch, common.number(1))?;
    let authenticator = common.message(2)?;
    facts.secret("authenticator root", view.root, authenticator.bytes(1))?;
    facts.secret("authenticator MAC key", view.mac, authenticator.bytes(2))?;
    self::kept(facts, &kept, &common, &state)
}

fn direction(
    facts: &mut Facts,
    ours: &DirectionView<'_>,
    stored: &Fields<'_>,
) -> Result<(), ReplayError> {
    facts.equal("counter", u64::from(ours.ctr), stored.number(1))?;
    match ours.next {
        Some(next) => facts.secret("next key", next, stored.bytes(2))?,
        None => facts.bytes("next key", &[], stored.bytes(2))?,
    }
    // BE4 index ‖ key, in no order that matters.
    let (keys, rest) = stored.bytes(3).as_chunks::<36>();
    facts.holds("form of stored keys", rest.is_empty())?;
    facts.equal("stored keys", ours.stored.len(), keys.len())?;
    for key in keys {
        let (index, key) = key.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let ours: Option<&Secret<32>> = ours.stored.get(&u32::from_be_bytes(*index));
        let ours = ours.ok_or_else(|| ReplayError::new("a stored key is missing"))?;
        facts.secret("stored key", ours, key)?;
    }
    Ok(())
}

/// Objects from field 3 of the common part on; encoder, then decoder from field 2 of the state on.
fn kept(
    facts: &mut Facts,
    ours: &Kept<'_>,
    common: &Fields<'_>,
    state: &Fields<'_>,
) -> Result<(), ReplayError> {
    for (object, number) in ours.objects.iter().zip(3..) {
        let what = format!("object {number} of the state");
        match object {
            Object::Bytes(bytes) => facts.bytes(&what, bytes, common.bytes(number))?,
            Object::Secret(secret) => facts.long_secret(&what, secret, common.bytes(number))?,
            Object::Encapsulation => {}
        }
    }
    let mut number = 2;
    if let Some(ours) = ours.encoder {
        encoder(facts, ours, &state.message(number)?)?;
        number = 3;
    }
    match ours.decoder {
        Some(ours) => decoder(facts, ours, &state.message(number)?),
        None => Ok(()),
    }
}

/// Once an index is beyond the message libsignal keeps polynomials; then only the index is compared.
fn encoder(facts: &mut Facts, ours: &Encoder, stored: &Fields<'_>) -> Result<(), ReplayError> {
    let next = u64::from(ours.current().index);
    facts.equal("next chunk", next, stored.number(1))?;
    let values = stored.all(2);
    if values.is_empty() {
        return facts.equal("polynomials", 16, stored.all(3).len());
    }
    let (elements, _) = ours.message().as_chunks::<2>();
    for (lane, values) in values.into_iter().enumerate() {
        let ours: Vec<u8> = elements
            .iter()
            .skip(lane)
            .step_by(16)
            .flatten()
            .copied()
            .collect();
        facts.bytes("values of a polynomial", &ours, values)?;
    }
    Ok(())
}

fn decoder(facts: &mut Facts, ours: &Decoder, stored: &Fields<'_>) -> Result<(), ReplayError> {
    let chunks = ours.chunks();
    let lanes = stored.all(3);
    facts.equal("polynomials", 16, lanes.len())?;
    for (lane, points) in lanes.into_iter().enumerate() {
        let (points, _) = points.as_chunks::<4>();
        let stored: BTreeMap<u16, u16> = points
            .iter()
            .map(|[x1, x0, y1, y0]| {
                (
                    u16::from_be_bytes([*x1, *x0]),
                    u16::from_be_bytes([*y1, *y0]),
                )
            })
            .collect();
        let value = |chunk: &Chunk| {
            let (values, _) = chunk.data.as_chunks::<2>();
            values.get(lane).copied().map_or(0, u16::from_be_bytes)
        };
        let ours = chunks.iter().map(|chunk| (chunk.index, value(chunk)));
        facts.equal("points of a polynomial", ours.collect(), stored)?;
    }
    Ok(())
}

/// A protobuf message.
struct Fields<'a>(Vec<(u64, Field<'a>)>);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn read(mut rest: &'a [u8]) -> Result<Self, ReplayError> {
        let malformed = || ReplayError::new("not protobuf");
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let tag = varint(&mut rest).ok_or_else(malformed)?;
            let value = varint(&mut rest).ok_or_else(malformed)?;
            let field = match tag & 7 {
                0 => Field::Number(value),
                2 => {
                    let length = usize::try_from(value).ok();
                    let split = length.and_then(|length| rest.split_at_checked(length));
                    let (bytes, tail) = split.ok_or_else(malformed)?;
                    rest = tail;
                    Field::Bytes(bytes)
                }
                _ => return Err(malformed()),
            };
            fields.push((tag >> 3, field));
        }
        Ok(Self(fields))
    }

    /// Absent is empty.
    fn bytes(&self, number: u64) -> &'a [u8] {
        self.all(number).last().copied().unwrap_or_default()
    }

    fn all(&self, number: u64) -> Vec<&'a [u8]> {
        let of_number = self.0.iter().filter(|(found, _)| *found == number);
        let bytes = of_number.filter_map(|(_, field)| match field {
            Field::Bytes(bytes) => Some(*bytes),
            Field::Number(_) => None,
        });
        bytes.collect()
    }

    fn message(&self, number: u64) -> Result<Self, ReplayError> {
        let bytes = self.all(number).last().copied();
        let missing = || ReplayError::new(format!("the stored record has no field {number}"));
        Self::read(bytes.ok_or_else(missing)?)
    }

    /// Absent is zero.
    fn number(&self, number: u64) -> u64 {
        self.optional_number(number).unwrap_or(0)
    }

    fn optional_number(&self, number: u64) -> Option<u64> {
        self.0.iter().find_map(|(found, field)| match field {
            Field::Number(value) if *found == number => Some(*value),
            _ => None,
        })
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10_u32 {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f).checked_shl(place.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
