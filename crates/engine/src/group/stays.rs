//! Which devices were in a group when: what `custody` says of its letters.
//!
//! A stay goes from one letter to another, by their places among all letters of this profile: the relay gives letters
//! and commits one order, so a device reads exactly the letters between its coming and its going.

use super::state::{Part, place};
use crate::error::{EngineError, StoreError};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::LeafName;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, GroupId};
use zeroize::Zeroizing;

/// A device's time in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) name: LeafName,
    /// The last letter before it came.
    after: u64,
    /// The last letter that it could read; nothing while it is in.
    until: Option<u64>,
}

impl Stay {
    /// Whether a letter at a place was sent to the device.
    pub(crate) fn covers(&self, order: u64) -> bool {
        self.after < order && self.until.is_none_or(|until| order <= until)
    }

    /// Whether the device was in when a letter was the newest one.
    pub(crate) fn was_on(&self, newest: u64) -> bool {
        self.after <= newest && self.until.is_none_or(|until| newest <= until)
    }

    /// Whether the device is in.
    pub(crate) fn goes_on(&self) -> bool {
        self.until.is_none()
    }
}

/// Notes who is in a group from now on.
pub(super) fn note(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    names: &[LeafName],
) -> Result<(), EngineError> {
    let here = place(id, Part::Stays);
    let mut stays = match tx.get(Table::GroupPart, &here)? {
        Some(bytes) => decode(&bytes)?,
        None => Vec::new(),
    };
    let now = tx.number("letters")?;
    for stay in stays.iter_mut().filter(|stay| stay.until.is_none()) {
        if !names.contains(&stay.name) {
            stay.until = Some(now);
        }
    }
    for name in names {
        let mut stays_on = stays.iter();
        if !stays_on.any(|stay| stay.name == *name && stay.until.is_none()) {
            stays.push(Stay {
                name: *name,
                after: now,
                until: None,
            });
        }
    }
    tx.put(Table::GroupPart, here, Zeroizing::new(encode(&stays)));
    Ok(())
}

/// Every stay of every device.
pub(crate) fn of(snapshot: &dyn Snapshot, id: &GroupId) -> Result<Vec<Stay>, StoreError> {
    match snapshot.get(Table::GroupPart, &place(id, Part::Stays))? {
        Some(bytes) => decode(&bytes),
        None => Ok(Vec::new()),
    }
}

fn encode(stays: &[Stay]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u32(u32::try_from(stays.len()).unwrap_or(u32::MAX));
    for stay in stays {
        out.array(stay.name.account.as_bytes());
        out.array(stay.name.device.as_bytes());
        out.u64(stay.after);
        out.u64(stay.until.unwrap_or(u64::MAX));
    }
    out.finish()
}

fn decode(bytes: &[u8]) -> Result<Vec<Stay>, StoreError> {
    let mut input = Reader::new(bytes);
    let mut read = || {
        let count = input.u32()?;
        let stays = (0..count).map(|_| {
            Ok(Stay {
                name: LeafName {
                    account: AccountId::from_bytes(input.array()?),
                    device: DeviceId::from_bytes(input.array()?),
                },
                after: input.u64()?,
                until: Some(input.u64()?).filter(|until| *until != u64::MAX),
            })
        });
        stays.collect::<Result<Vec<_>, DecodeError>>()
    };
    read().map_err(|_| StoreError::Damaged {
        what: "stays in a group",
    })
}
