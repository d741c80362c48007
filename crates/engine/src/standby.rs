//! Who goes on with the backup when the device that writes it is gone (docs/spec/recovery.md, section 4).

use crate::account;
use crate::archive;
use crate::backup;
use crate::errands;
use crate::error::{EngineError, StoreError};
use crate::input::CommandId;
use crate::records::{Backup, BackupMethod};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::DeviceId;
use keys::account_log::{Method, VerifiedLog};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{Secret, Timestamp};
use zeroize::Zeroizing;

/// Who writes backups, and with what: for the day on which that device is gone.
pub(crate) const STANDBY: &[u8] = b"backup-standby";

/// Tells the other devices how to write backups in place of this one.
pub(crate) fn tell(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match record(tx)? {
        Some(told) => errands::tell_backup(tx, &told),
        None => Ok(()),
    }
}

/// How backups are written, for the day on which this device is gone.
pub(crate) fn record(tx: &Transaction<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    let Some(backup) = backup::load(tx)? else {
        return Ok(None);
    };
    let own = account::own(tx)?;
    let mut out = Writer::new();
    out.array(own.device.as_bytes());
    out.u8(u8::try_from(backup.methods.len()).unwrap_or(u8::MAX));
    for method in &backup.methods {
        out.u8(method.method as u8);
        out.array(method.head_key.expose_secret());
        out.u64(method.highest);
        out.bytes(&method.sealed_root);
    }
    Ok(Some(Zeroizing::new(out.finish())))
}

/// Another device of ours told how it writes backups.
pub(crate) fn keep(tx: &mut Transaction<'_>, told: &[u8]) {
    tx.put(Table::Meta, STANDBY.to_vec(), Zeroizing::new(told.to_vec()));
}

/// What an unfinished archive brought goes again.
pub(crate) fn forget(tx: &mut Transaction<'_>) {
    tx.delete(Table::Meta, STANDBY.to_vec());
}

/// The own devices changed: where the one that writes backups is gone, the oldest of those left goes on.
pub(crate) fn take_over(tx: &mut Transaction<'_>, log: &VerifiedLog) -> Result<(), EngineError> {
    let (Some(told), None) = (tx.get(Table::Meta, STANDBY)?, backup::load(tx)?) else {
        return Ok(());
    };
    let damaged = |_| StoreError::Damaged { what: "backup" };
    let (writer, methods) = read(&told).map_err(damaged)?;
    let own = account::own(tx)?;
    let oldest = log.devices().first().map(|device| *device.id());
    if log.device(&writer).is_some() || oldest != Some(own.device) {
        return Ok(());
    }
    tx.delete(Table::Meta, STANDBY.to_vec());
    let backup = Backup {
        methods,
        parts: Vec::new(),
        packing: Some(archive::Cursor::default()),
        packed: Vec::new(),
        storing: false,
        covered: 0,
        at: Timestamp::from_secs(0),
        refused_at: Timestamp::from_secs(0),
        packed_at: Timestamp::from_secs(0),
        command: CommandId::default(),
    };
    backup::store(tx, &backup);
    backup::run(tx)
}

fn read(told: &[u8]) -> Result<(DeviceId, Vec<BackupMethod>), DecodeError> {
    let mut input = Reader::new(told);
    let writer = DeviceId::from_bytes(input.array()?);
    let mut methods = Vec::new();
    for _ in 0..input.u8()? {
        let method = input.u8()?;
        let method = Method::ALL.into_iter().find(|known| *known as u8 == method);
        let head_key = Zeroizing::new(input.array::<32>()?);
        let highest = input.u64()?;
        methods.push(BackupMethod {
            method: method.ok_or(DecodeError::Invalid)?,
            head_key: Secret::from_slice(&*head_key).ok_or(DecodeError::Invalid)?,
            version: highest,
            highest,
            sealed_root: input.bytes(4096)?.to_vec(),
            sending: false,
        });
    }
    input.finish()?;
    Ok((writer, methods))
}

/// What other methods need, in a home that was restored by one of them.
pub(crate) fn take(tx: &mut Transaction<'_>) -> Result<Vec<BackupMethod>, EngineError> {
    let Some(told) = tx.get(Table::Meta, STANDBY)? else {
        return Ok(Vec::new());
    };
    tx.delete(Table::Meta, STANDBY.to_vec());
    let damaged = |_| StoreError::Damaged { what: "backup" };
    Ok(read(&told).map_err(damaged)?.1)
}

/// Whether bytes are what another device tells of backups.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    read(bytes).is_ok()
}
