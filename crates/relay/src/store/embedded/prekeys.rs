//! Pre-keys: one-time ones leave once and never again.

use super::directory;
use super::writer::Tx;
use crate::limits;
use keys::{AccountId, DeviceId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

const EC: i64 = 0;
const KEM: i64 = 1;

/// The pre-keys for one session.
#[derive(Debug, Clone)]
pub(crate) struct BundleParts {
    /// What every bundle begins with.
    pub(crate) identity: Vec<u8>,
    /// The signed EC pre-key.
    pub(crate) signed_ec: Vec<u8>,
    /// The KEM pre-key.
    pub(crate) kem: Vec<u8>,
    /// Whether it is a one-time one.
    pub(crate) kem_is_one_time: bool,
    /// A one-time EC pre-key.
    pub(crate) one_time_ec: Option<Vec<u8>>,
    /// Queue id and token, 48 bytes.
    pub(crate) front_door: [u8; 48],
}

/// How a publication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// So many one-time keys are left, EC and KEM.
    Done(u32, u32),
    /// They would be too many.
    TooMany,
    /// The log that it was verified with is not the account's any more.
    OtherLog,
}

fn device(
    sql: &Connection,
    account: &AccountId,
    device: &DeviceId,
) -> rusqlite::Result<Option<i64>> {
    sql.prepare_cached("SELECT id FROM devices WHERE account = ?1 AND device = ?2")?
        .query_row(params![account.as_bytes(), device.as_bytes()], |row| {
            row.get(0)
        })
        .optional()
}

/// Stores a publication that was verified with a log.
pub(crate) fn publish(
    tx: &mut Tx<'_>,
    request: &wire::PublishPreKeys,
    log: &[u8],
    now: Timestamp,
) -> rusqlite::Result<Published> {
    // SECURITY: the device may have been revoked since its signature was verified;
    // `no_publication_slips_past_a_revocation` notices.
    if !directory::has_log(tx.sql, &request.account, log)? {
        return Ok(Published::OtherLog);
    }
    let known = device(tx.sql, &request.account, &request.device)?;
    if let (Some(known), false) = (known, request.replace_one_time) {
        let (ec, kem) = left(tx.sql, known)?;
        let beyond = |count: u32, more: usize| {
            count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)) > limits::ONE_TIME_KEYS
        };
        if beyond(ec, request.one_time_ec.len()) || beyond(kem, request.one_time_kem.len()) {
            return Ok(Published::TooMany);
        }
    }
    let door = [
        &request.front_door.queue_id.as_bytes()[..],
        request.front_door.token.as_bytes(),
    ]
    .concat();
    let device: i64 = tx
        .sql
        .prepare_cached(
            "INSERT INTO devices (account, device, identity, signed_ec, last_resort_kem, front_door)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (account, device) DO UPDATE SET identity = excluded.identity,
                 signed_ec = excluded.signed_ec, last_resort_kem = excluded.last_resort_kem,
                 front_door = excluded.front_door
             RETURNING id",
        )?
        .query_row(
            params![
                request.account.as_bytes(),
                request.device.as_bytes(),
                request.identity,
                request.signed_ec,
                request.last_resort_kem,
                door
            ],
            |row| row.get(0),
        )?;
    if request.replace_one_time {
        tx.sql
            .prepare_cached("UPDATE one_time_keys SET record = NULL, hour = ?2 WHERE device = ?1 AND record NOT NULL")?
            .execute(params![device, now.to_hour().as_secs()])?;
    }
    for (kind, records) in [(EC, &request.one_time_ec), (KEM, &request.one_time_kem)] {
        for record in records {
            // SECURITY: the hash of a taken key stays, so that a repeated publication does not bring the key
            // back; `a_repeated_publication_brings_no_taken_key_back` notices.
            tx.sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO one_time_keys (device, kind, hash, record, hour)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    device,
                    kind,
                    keys::sha256(&[record]),
                    record,
                    now.to_hour().as_secs()
                ])?;
        }
    }
    left(tx.sql, device).map(|(ec, kem)| Published::Done(ec, kem))
}

/// Forgets a device: it is not in force any more, or has other keys now.
pub(super) fn forget(
    sql: &Connection,
    account: &AccountId,
    name: &DeviceId,
) -> rusqlite::Result<()> {
    let Some(device) = device(sql, account, name)? else {
        return Ok(());
    };
    sql.prepare_cached("DELETE FROM one_time_keys WHERE device = ?1")?
        .execute([device])?;
    sql.prepare_cached("DELETE FROM devices WHERE id = ?1")?
        .execute([device])
        .map(drop)
}

fn left(sql: &Connection, device: i64) -> rusqlite::Result<(u32, u32)> {
    let mut count = sql.prepare_cached(
        "SELECT count(*) FROM one_time_keys WHERE device = ?1 AND kind = ?2 AND record IS NOT NULL",
    )?;
    let ec = count.query_row(params![device, EC], |row| row.get(0))?;
    Ok((ec, count.query_row(params![device, KEM], |row| row.get(0))?))
}

/// How many one-time pre-keys of each kind are left.
pub(crate) fn counts(
    sql: &Connection,
    account: &AccountId,
    name: &DeviceId,
) -> rusqlite::Result<Option<(u32, u32)>> {
    match device(sql, account, name)? {
        Some(device) => left(sql, device).map(Some),
        None => Ok(None),
    }
}

/// Takes the pre-keys for one session.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    account: &AccountId,
    name: &DeviceId,
    now: Timestamp,
) -> rusqlite::Result<Option<BundleParts>> {
    let Some(device) = device(tx.sql, account, name)? else {
        return Ok(None);
    };
    let one_time_ec = take_one(tx.sql, device, EC, now)?;
    let one_time_kem = take_one(tx.sql, device, KEM, now)?;
    let mut parts = tx
        .sql
        .prepare_cached(
            "SELECT identity, signed_ec, last_resort_kem, front_door FROM devices WHERE id = ?1",
        )?
        .query_row([device], |row| {
            Ok(BundleParts {
                identity: row.get(0)?,
                signed_ec: row.get(1)?,
                kem: row.get(2)?,
                kem_is_one_time: false,
                one_time_ec,
                front_door: row.get(3)?,
            })
        })?;
    if let Some(kem) = one_time_kem {
        parts.kem = kem;
        parts.kem_is_one_time = true;
    }
    Ok(Some(parts))
}

fn take_one(
    sql: &Connection,
    device: i64,
    kind: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let found: Option<(Vec<u8>, Vec<u8>)> = sql
        .prepare_cached(
            "SELECT hash, record FROM one_time_keys WHERE device = ?1 AND kind = ?2 AND record IS NOT NULL LIMIT 1",
        )?
        .query_row(params![device, kind], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((hash, record)) = found else {
        return Ok(None);
    };
    sql.prepare_cached(
        "UPDATE one_time_keys SET record = NULL, hour = ?4 WHERE device = ?1 AND kind = ?2 AND hash = ?3",
    )?
    .execute(params![device, kind, hash, now.to_hour().as_secs()])?;
    Ok(Some(record))
}

/// Forgets the hashes of keys that were taken long ago.
pub(super) fn sweep(sql: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    sql.execute(
        "DELETE FROM one_time_keys WHERE record IS NULL AND hour < ?1",
        [now.as_secs().saturating_sub(limits::TAKEN_KEY_SECONDS)],
    )
    .map(drop)
}
