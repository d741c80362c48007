//! Versions on their way to the relay and from it (docs/spec/vault.md, section 5).

use super::roots;
use super::word::Word;
use super::{load, say, store};
use crate::account;
use crate::error::{EngineError, VaultError};
use crate::event::{CommandOutcome, Event};
use crate::group;
use crate::input::CommandId;
use crate::outbox;
use crate::records::{GroupStanding, Purpose, VaultPin, VaultRecord};
use crate::transaction::Transaction;
use keys::GroupId;
use keys::vault::GenerationKeys;
use keys::vault_root::VaultRoot;

/// A new version of a head.
#[derive(Debug, Clone)]
pub struct VaultVersion {
    /// The generation.
    pub generation: u32,
    /// The version, larger than `previous`.
    pub version: u64,
    /// The version that the relay has; 0 for none.
    pub previous: u64,
    /// The head's body, sealed.
    pub body: Vec<u8>,
}

fn keys_of(vault: &VaultRecord, generation: u32) -> Result<GenerationKeys, EngineError> {
    let key = vault.key(generation).ok_or(VaultError::NoKey)?;
    Ok(GenerationKeys::derive(key, &vault.id))
}

/// Asks the relay for the head of a generation.
pub(crate) fn fetch(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    generation: u32,
) -> Result<(), EngineError> {
    let vault = load(tx, id)?.ok_or(VaultError::Unknown)?;
    let head = wire::head_id(&keys_of(&vault, generation)?.head_public());
    let purpose = Purpose::VaultHead {
        command,
        vault: *id,
        id: head,
    };
    let request = wire::Request::FetchHead(wire::FetchHead { id: head });
    outbox::add_own(tx, purpose, request)
}

/// The relay shows a head.
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &[u8; 32],
    head: wire::Head,
) -> Result<(), EngineError> {
    // SECURITY: version and body are those that a member wrote; `a_head_that_no_member_wrote_is_refused` notices.
    if !head.is_signed(id) {
        return Err(EngineError::Protocol);
    }
    let outcome = CommandOutcome::VaultHead {
        version: head.version,
        body: head.body,
    };
    tx.outcome(command, outcome);
    Ok(())
}

/// Makes a root the newest one, if the relay still has what it follows.
pub(crate) fn publish(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    head: VaultVersion,
    root: &[u8],
) -> Result<(), EngineError> {
    let vault = load(tx, id)?.ok_or(VaultError::Unknown)?;
    let root = VaultRoot::decode(root).map_err(|_| VaultError::BadRoot)?;
    let keys = keys_of(&vault, head.generation)?;
    if root.body.generation != head.generation {
        return Err(VaultError::OtherVault.into());
    }
    // SECURITY: whatever somebody with the key did to the head, the newest version is put back;
    // `a_head_of_garbage_is_written_over` notices.
    match vault.pin == Some(VaultPin::of(&root)) {
        true => roots::may_repeat(tx, &vault, &root)?,
        false => roots::may_follow(tx, &vault, &root)?,
    }
    // One that was not answered gives way: the relay took it, and this one is a conflict, or never will. Whoever waits for
    // it reads what the relay has.
    let earlier = outbox::forget(
        tx,
        |purpose| matches!(purpose, Purpose::PutVaultHead { vault, .. } if vault == id),
    )?;
    for purpose in earlier {
        if let Purpose::PutVaultHead { command, .. } = purpose {
            tx.outcome(command, CommandOutcome::Failed(VaultError::Conflict.into()));
        }
    }
    let public_key = keys.head_public();
    let VaultVersion {
        version,
        previous,
        body,
        ..
    } = head;
    let message = wire::put_head_message(&public_key, version, previous, &body);
    let request = wire::Request::PutHead(wire::PutHead {
        public_key,
        version,
        previous,
        signature: keys::ed25519::sign(keys.head_seed(), &message),
        body,
    });
    let purpose = Purpose::PutVaultHead {
        command,
        vault: *id,
        root: root.encode(),
    };
    outbox::add_own(tx, purpose, request)
}

/// The relay has it: it is the pin, and all members are told.
pub(crate) fn taken(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    root: &[u8],
) -> Result<(), EngineError> {
    let root = VaultRoot::decode(root).map_err(|_| VaultError::BadRoot)?;
    let new = VaultPin::of(&root);
    let Some(mut vault) = load(tx, id)? else {
        return Err(VaultError::NotIn.into()); // This device was put out meanwhile.
    };
    if vault
        .pin
        .is_none_or(|pin| pin.counter < new.counter || pin == new)
    {
        vault.pin_to(&root);
    }
    store(tx, &vault);
    tx.event(Event::VaultNewer { vault: *id });
    tx.outcome(command, CommandOutcome::Done);
    tell(tx, id, new)
}

/// Tells all members of a version of one's own that the relay took.
pub(super) fn tell(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    root: VaultPin,
) -> Result<(), EngineError> {
    let record = group::state::load(tx, id)?;
    match record.filter(|record| record.standing == GroupStanding::In) {
        Some(record) => {
            say(tx, &record, &Word::Root(root))?;
            group::turn::advance(tx, id)
        }
        None => account::own(tx).map(drop),
    }
}
