//! Comparing states.

use super::ReplayError;
use super::facts::Facts;
use super::json::{array, bytes, field, list, number, optional, text};
use crate::spqr::replay::{Chain, DirectionView, View};
use crate::spqr::{ChainLimits, Role, Spqr, labels};
use serde_json::Value;

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
    match optional(recorded, "chain") {
        Some(chain) => self::chain(facts, ours, chain),
        // libsignal derives the chain at the first message; ours must be what it will derive.
        None => {
            let auth_key = super::json::secret(recorded, "auth_key")?;
            let limits = ChainLimits { jump: 1, window: 1 };
            let fresh = Chain::new(ours.role(), &auth_key, &labels::SIGNAL, limits);
            let same = ours.next_root().ct_eq(fresh.next_root());
            facts.holds("SPQR chain before the first message", same)
        }
    }
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
    let stored_keys = u64::try_from(ours.stored).ok();
    facts.equal("number of stored keys", stored_keys, stored.as_u64())?;
    let next = super::json::hex(next.as_str().unwrap_or_default())?;
    match ours.next {
        Some(ours) => facts.secret("next key", ours, &next),
        None => facts.bytes("next key", &[], &next),
    }
}
