//! Comparing states.

use super::ReplayError;
use super::facts::Facts;
use super::json::{array, bytes, field, hex, list, number, optional, secret, small, text, truth};
use crate::chain::ReceivingChain;
use crate::double_ratchet::DoubleRatchet;
use crate::record::Record;
use crate::spqr::replay::{Chain, DirectionView, View};
use crate::spqr::{ChainLimits, Role, Spqr, labels};
use crate::wire::encode_key;
use serde_json::Value;

/// The current session of a record, and how many are archived.
pub(super) fn record(
    facts: &mut Facts,
    record: &Record,
    recorded: &Value,
) -> Result<(), ReplayError> {
    let archived = small(recorded, "archived_sessions")?;
    facts.equal("archived sessions", record.archived.len(), archived)?;
    let session = record.current.as_ref();
    let session = session.ok_or_else(|| ReplayError::new("there is no session"))?;
    let pending = truth(recorded, "pre_key_pending")?;
    facts.equal("pending pre-key", session.pending.is_some(), pending)?;
    let remote = small(recorded, "remote_registration_id")?;
    let registration_id = session.bound.their_registration_id;
    facts.equal("remote registration id", registration_id, remote)?;
    double_ratchet(facts, &session.ratchet, recorded)?;
    spqr(facts, &session.spqr, field(recorded, "spqr")?)
}

fn double_ratchet(
    facts: &mut Facts,
    ours: &DoubleRatchet,
    recorded: &Value,
) -> Result<(), ReplayError> {
    facts.secret("root key", &ours.root.0, &bytes(recorded, "root_key")?)?;
    let previous = small(recorded, "previous_counter")?;
    facts.equal("previous counter", ours.previous_counter, previous)?;
    sending(facts, ours, field(recorded, "sender_chain")?)
        .map_err(|error| error.at("sending chain"))?;
    let chains = list(recorded, "receiver_chains")?;
    facts.equal("receiving chains", ours.receiving.len(), chains.len())?;
    for (place, (ours, recorded)) in ours.receiving.iter().zip(chains).enumerate() {
        receiving(facts, ours, recorded)
            .map_err(|error| error.at(format!("receiving chain {place}")))?;
    }
    Ok(())
}

fn sending(facts: &mut Facts, ours: &DoubleRatchet, recorded: &Value) -> Result<(), ReplayError> {
    let public = bytes(recorded, "ratchet_public")?;
    facts.bytes("ratchet key", &encode_key(ours.ours.public()), &public)?;
    let private = bytes(recorded, "ratchet_private")?;
    let ratchet_key = ours.ours.secret().secret();
    facts.secret("private ratchet key", ratchet_key, &private)?;
    let index = small(recorded, "chain_index")?;
    facts.equal("index", ours.sending.index, index)?;
    let chain_key = bytes(recorded, "chain_key")?;
    facts.secret("chain key", &ours.sending.key.0, &chain_key)?;
    facts.holds("skipped seeds", list(recorded, "skipped")?.is_empty())
}

fn receiving(
    facts: &mut Facts,
    ours: &ReceivingChain,
    recorded: &Value,
) -> Result<(), ReplayError> {
    let public = bytes(recorded, "ratchet_public")?;
    facts.bytes("ratchet key", &encode_key(&ours.theirs.0), &public)?;
    let private = bytes(recorded, "ratchet_private")?;
    facts.bytes("private ratchet key", &[], &private)?;
    facts.equal("index", ours.next, small(recorded, "chain_index")?)?;
    facts.secret("chain key", &ours.key.0, &bytes(recorded, "chain_key")?)?;
    match field(recorded, "skipped")? {
        Value::Array(skipped) => {
            facts.equal("skipped seeds", ours.skipped.len(), skipped.len())?;
            // Recorded in the order in which they were put aside.
            for recorded in skipped {
                let index = recorded.get(0).and_then(Value::as_u64);
                let index = index.and_then(|index| u32::try_from(index).ok());
                let seed = index.and_then(|index| ours.skipped.get(&index));
                let seed = seed.ok_or_else(|| ReplayError::new("a skipped seed is missing"))?;
                let text = recorded.get(1).and_then(Value::as_str);
                facts.secret("seed", &seed.0, &hex(text.unwrap_or_default())?)?;
            }
            Ok(())
        }
        _ => facts.equal(
            "skipped seeds",
            ours.skipped.len(),
            small(recorded, "skipped")?,
        ),
    }
}

/// The state of SPQR.
pub(super) fn spqr(facts: &mut Facts, spqr: &Spqr, recorded: &Value) -> Result<(), ReplayError> {
    let View {
        state,
        epoch,
        root,
        mac,
        chain: ours,
    } = spqr.view();
    facts.equal("SPQR state", state, text(recorded, "state")?)?;
    facts.equal("SPQR epoch", epoch, number(recorded, "epoch")?)?;
    facts.secret("authenticator root", root, &bytes(recorded, "auth_root")?)?;
    facts.secret("authenticator MAC key", mac, &bytes(recorded, "auth_mac")?)?;
    let negotiating = nothing_received(ours);
    let recorded_negotiating = truth(recorded, "negotiating")?;
    facts.equal("negotiation open", negotiating, recorded_negotiating)?;
    if negotiating {
        // libsignal keeps the auth key until it receives; ours must be what it derives of it.
        let auth_key = secret(recorded, "auth_key")?;
        let limits = ChainLimits { jump: 1, window: 1 };
        let fresh = Chain::new(ours.role(), &auth_key, &labels::SIGNAL, limits);
        let same = ours.next_root().ct_eq(fresh.next_root());
        facts.holds("auth key", same)?;
    }
    match optional(recorded, "chain") {
        Some(chain) => self::chain(facts, ours, chain),
        None => facts.holds("SPQR chain before the first message", untouched(ours)),
    }
}

fn untouched(chain: &Chain) -> bool {
    matches!(chain.directions().as_slice(), [[send, recv]] if send.ctr == 0 && recv.ctr == 0)
}

fn nothing_received(chain: &Chain) -> bool {
    matches!(chain.directions().as_slice(), [[_, recv]] if recv.ctr == 0)
}

fn chain(facts: &mut Facts, ours: &Chain, recorded: &Value) -> Result<(), ReplayError> {
    let direction = match ours.role() {
        Role::A2B => "A2B",
        Role::B2A => "B2A",
    };
    facts.equal("SPQR direction", direction, text(recorded, "direction")?)?;
    let newest = number(recorded, "current_epoch")?;
    facts.equal("newest epoch of the chain", ours.newest(), newest)?;
    let sending = number(recorded, "send_epoch")?;
    facts.equal("sending epoch of the chain", ours.send_epoch(), sending)?;
    let next_root = array::<32>(recorded, "next_root")?;
    facts.secret("next root of the chain", ours.next_root(), &next_root)?;
    let links = list(recorded, "links")?;
    let directions = ours.directions();
    facts.equal("number of links", directions.len(), links.len())?;
    for (place, (link, [send, recv])) in links.iter().zip(directions).enumerate() {
        self::direction(facts, &send, field(link, "send")?)
            .map_err(|error| error.at(format!("sending direction of link {place}")))?;
        self::direction(facts, &recv, field(link, "recv")?)
            .map_err(|error| error.at(format!("receiving direction of link {place}")))?;
    }
    Ok(())
}

/// Recorded as counter, next key (empty once it is erased), number of stored keys.
fn direction(
    facts: &mut Facts,
    ours: &DirectionView<'_>,
    recorded: &Value,
) -> Result<(), ReplayError> {
    let parts = (recorded.get(0), recorded.get(1), recorded.get(2));
    let (Some(ctr), Some(next), Some(stored)) = parts else {
        return Err(ReplayError::new("not counter, next key, stored keys"));
    };
    facts.equal("counter", Some(u64::from(ours.ctr)), ctr.as_u64())?;
    let stored_keys = u64::try_from(ours.stored.len()).ok();
    facts.equal("number of stored keys", stored_keys, stored.as_u64())?;
    let next = hex(next.as_str().unwrap_or_default())?;
    match ours.next {
        Some(ours) => facts.secret("next key", ours, &next),
        None => facts.bytes("next key", &[], &next),
    }
}
