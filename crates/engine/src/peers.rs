//! Whom a session may be with: a contact, or the own account with its other devices.

use crate::account;
use crate::contacts;
use crate::error::EngineError;
use crate::transaction::Transaction;
use keys::AccountId;
use keys::account_log::VerifiedLog;

/// An account with devices, and the way there.
pub(crate) struct Peer {
    pub(crate) id: AccountId,
    /// Its relay.
    pub(crate) relay: String,
    /// Its log, as pinned.
    pub(crate) log: VerifiedLog,
    /// The secret of the invite by which it was added.
    pub(crate) ticket: Option<[u8; 16]>,
    /// Whether it is ourselves.
    pub(crate) own: bool,
    /// Whether nothing may be sealed for it.
    pub(crate) stopped: bool,
}

/// Looks an account up.
pub(crate) fn load(tx: &Transaction<'_>, id: &AccountId) -> Result<Option<Peer>, EngineError> {
    let own = account::own(tx)?;
    if own.id == *id {
        return Ok(Some(Peer {
            id: own.id,
            log: account::log_of(&own)?,
            relay: own.relay.clone(),
            ticket: None,
            own: true,
            stopped: false,
        }));
    }
    let Some(contact) = contacts::load(tx, id)? else {
        return Ok(None);
    };
    Ok(Some(Peer {
        id: contact.id,
        log: contacts::log_of(&contact)?,
        stopped: contact.blocked || contact.changed,
        relay: contact.relay,
        ticket: contact.invite_ticket,
        own: false,
    }))
}

/// An account that must be there.
pub(crate) fn existing(tx: &Transaction<'_>, id: &AccountId) -> Result<Peer, EngineError> {
    load(tx, id)?.ok_or(EngineError::UnknownContact)
}
