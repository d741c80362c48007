//! Recovery methods of the account: the sheet is drawn, shown once, retyped, entered in the log.

use crate::account;
use crate::backup;
use crate::error::{EngineError, StoreError};
use crate::event::CommandOutcome;
use crate::input::CommandId;
use crate::own_log::{self, Wish};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{Method, RecoverySecrets, RootSecret};
use keys::sheet::SheetSecret;
use keys::{Secret, label};
use zeroize::Zeroizing;

/// The sheet that was shown and not retyped yet.
const SHEET: &[u8] = b"sheet-shown";

/// Draws a sheet; [`Engine::sheet`](crate::Engine::sheet) has its text until it is retyped.
pub(crate) fn make_sheet(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    if !account::log_of(&own)?.is_senior(&own.device, tx.now) {
        return Err(EngineError::NotSenior);
    }
    let sheet = SheetSecret::random(tx.rng);
    let text = Zeroizing::new(sheet.to_text().as_bytes().to_vec());
    tx.put(Table::Meta, SHEET.to_vec(), text);
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// The text of the sheet that waits to be retyped.
pub(crate) fn sheet(snapshot: &dyn Snapshot) -> Result<Option<Zeroizing<String>>, StoreError> {
    let text = snapshot.get(Table::Meta, SHEET)?;
    let text = text.map(|text| String::from_utf8(text.to_vec()));
    let damaged = |_| StoreError::Damaged { what: "sheet" };
    Ok(text.transpose().map_err(damaged)?.map(Zeroizing::new))
}

/// The sheet was retyped: it goes into the log, and the first backup is written.
pub(crate) fn confirm_sheet(
    tx: &mut Transaction<'_>,
    command: CommandId,
    retyped: &SheetSecret,
) -> Result<(), EngineError> {
    let shown = tx
        .get(Table::Meta, SHEET)?
        .ok_or(EngineError::SheetDiffers)?;
    if !keys::ct_eq(&shown, retyped.to_text().as_bytes()) {
        return Err(EngineError::SheetDiffers);
    }
    // From here on the paper alone has it.
    tx.delete(Table::Meta, SHEET.to_vec());
    let wish = Wish::SetSheet {
        seed: retyped.seed(),
    };
    own_log::wish(tx, command, &wish)
}

/// The entry is in the log.
pub(crate) fn set(
    tx: &mut Transaction<'_>,
    command: CommandId,
    method: Method,
    seed: &Secret<32>,
) -> Result<(), EngineError> {
    let suite = account::log(tx)?.suite();
    let secrets =
        RecoverySecrets::derive(suite, method, seed).map_err(|_| EngineError::Internal {
            what: "cryptographic library",
        })?;
    backup::begin(tx, command, &secrets, 0)
}

/// Takes the root key out of the bundle for one change; the next backup puts it back.
pub(crate) fn unlock_root(
    tx: &mut Transaction<'_>,
    command: CommandId,
    sheet: &SheetSecret,
) -> Result<(), EngineError> {
    let mut own = account::own_to_change(tx)?;
    let log = account::log_of(&own)?;
    let secrets = RecoverySecrets::derive(log.suite(), Method::Sheet, &sheet.seed())
        .map_err(|_| EngineError::RecoveryNotInForce)?;
    let in_force = log.recovery(Method::Sheet);
    if in_force.is_none_or(|record| *record.head_id() != secrets.head_id()) {
        return Err(EngineError::RecoveryNotInForce);
    }
    let backup = backup::load(tx)?.ok_or(EngineError::NoRootKey)?;
    let mut methods = backup.methods.iter();
    let method = methods.find(|known| known.method == Method::Sheet);
    let sealed = method.ok_or(EngineError::NoRootKey)?;
    own.root = Some(open_root(&secrets, &own.id, &sealed.sealed_root)?);
    account::store(tx, &own);
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// Opens the root key of a bundle.
pub(crate) fn open_root(
    secrets: &RecoverySecrets,
    account: &keys::AccountId,
    sealed: &[u8],
) -> Result<RootSecret, EngineError> {
    let info = label::SEALED_ROOT.as_bytes();
    let root = keys::hpke::open(secrets.envelope(), info, account.as_bytes(), sealed)
        .map(Zeroizing::new)
        .map_err(|_| EngineError::BadBackup)?;
    RootSecret::decode(&root).map_err(|_| EngineError::BadBackup)
}
