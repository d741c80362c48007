//! The account takes a higher suite (docs/spec/account-log.md, section 3, "Upgrade suite").
//!
//! ```text
//!   root key ─► entry: new root key, ways back end ─► this device: new keys of the suite ─► done
//!                    └─ read by another device ─► new keys of the suite, at once and by itself
//! ```

use crate::account;
use crate::backup;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::input::CommandId;
use crate::own_log::{self, Wish};
use crate::peers::Peer;
use crate::standby;
use crate::transaction::Transaction;
use keys::account_log::{Method, RootSecret, VerifiedLog};
use keys::{SecretBytes, Suite};

/// Asks for the entry. Going back, or to where the account is, is refused.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    command: CommandId,
    suite: Suite,
) -> Result<(), EngineError> {
    let new = RootSecret::generate(suite, tx.rng).map_err(|_| EngineError::Internal {
        what: "cryptographic library",
    })?;
    let root = new.encode();
    own_log::wish(tx, command, &Wish::UpgradeSuite { root })
}

/// The entry is in the log. The root key stays on this device until a sheet is drawn; whoever waits goes on waiting for
/// the keys of this device.
pub(crate) fn done(
    tx: &mut Transaction<'_>,
    command: CommandId,
    root: &SecretBytes,
) -> Result<(), EngineError> {
    let mut own = account::own_to_change(tx)?;
    let root = RootSecret::decode(root.expose_secret());
    own.root = Some(root.map_err(|_| StoreError::Damaged { what: "root key" })?);
    account::store(tx, &own);
    own_log::rotate_device_first(tx, command)
}

/// This device has keys of a lower suite than its account: it gives itself new ones, before it changes anything else.
pub(crate) fn follow(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    let in_force = log.device(&own.device).is_some() && !log.is_tombstoned();
    if !in_force || own.secrets.suite() >= log.suite() || own_log::is_first_busy(tx)? {
        return Ok(());
    }
    own_log::rotate_device_first(tx, CommandId::default())
}

/// A newer log was taken over.
pub(crate) fn changed(
    tx: &mut Transaction<'_>,
    before: &Peer,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    if log.suite() == before.log.suite() {
        return Ok(());
    }
    if before.own {
        // What the ways back of before open is the account no more.
        for method in Method::ALL {
            if log.recovery(method).is_none() {
                backup::end_method(tx, method)?;
            }
        }
        standby::forget(tx);
    }
    tx.event(Event::SuiteUpgraded {
        account: before.id,
        suite: log.suite(),
    });
    Ok(())
}
