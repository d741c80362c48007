//! Key packages: each leaves once and never again, but for the one of last resort. Each suite has a store of its own.

use super::directory;
use super::writer::Tx;
use crate::limits;
use keys::{AccountId, DeviceId, Suite, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use wire::{KeyPackage, KeyPackageCounts, PublishKeyPackages};

/// How a publication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackagesPublished {
    /// So many are left.
    Done(KeyPackageCounts),
    /// They would be too many.
    TooMany,
    /// The log that it was verified with is not the account's any more.
    OtherLog,
}

/// Which store is meant.
#[derive(Clone, Copy)]
pub(super) struct Of {
    account: AccountId,
    device: DeviceId,
    suite: Suite,
}

impl Of {
    fn columns(&self) -> (&[u8], &[u8], u16) {
        let (account, device) = (self.account.as_bytes(), self.device.as_bytes());
        (account, device, self.suite.number())
    }
}

impl From<&wire::FetchKeyPackage> for Of {
    fn from(request: &wire::FetchKeyPackage) -> Self {
        Self {
            account: request.account,
            device: request.device,
            suite: request.suite,
        }
    }
}

impl From<&wire::KeyPackageCount> for Of {
    fn from(request: &wire::KeyPackageCount) -> Self {
        Self {
            account: request.account,
            device: request.device,
            suite: request.suite,
        }
    }
}

/// Stores a publication that was verified with a log.
pub(crate) fn publish(
    tx: &mut Tx<'_>,
    request: &PublishKeyPackages,
    log: &[u8],
    now: Timestamp,
) -> rusqlite::Result<PackagesPublished> {
    let of = Of {
        account: request.account,
        device: request.device,
        suite: request.suite,
    };
    // SECURITY: the device may have been revoked since its signature was verified;
    // `no_key_package_slips_past_a_revocation` notices.
    if !directory::has_log(tx.sql, &of.account, log)? {
        return Ok(PackagesPublished::OtherLog);
    }
    let more = u32::try_from(request.packages.len()).unwrap_or(u32::MAX);
    if !request.replace && left(tx.sql, of)?.packages.saturating_add(more) > limits::KEY_PACKAGES {
        return Ok(PackagesPublished::TooMany);
    }
    let hour = now.to_hour().as_secs();
    let (account, device, suite) = of.columns();
    if request.replace {
        tx.sql
            .prepare_cached(
                "UPDATE key_packages SET package = NULL, hour = ?4
                 WHERE account = ?1 AND device = ?2 AND suite = ?3 AND package IS NOT NULL",
            )?
            .execute(params![account, device, suite, hour])?;
    }
    if request.replace || request.last_resort.is_some() {
        tx.sql
            .prepare_cached(
                "DELETE FROM key_packages WHERE account = ?1 AND device = ?2 AND suite = ?3 AND last_resort",
            )?
            .execute(params![account, device, suite])?;
    }
    let once = request.packages.iter().map(|package| (package, false));
    let last = request.last_resort.iter().map(|package| (package, true));
    for (package, last_resort) in once.chain(last) {
        // SECURITY: the hash of a taken one stays, so that a repeated publication does not bring it back;
        // `a_repeated_publication_brings_no_taken_package_back` notices.
        tx.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO key_packages (account, device, suite, last_resort, hash, hour, package)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                account,
                device,
                suite,
                last_resort,
                keys::sha256(&[package]),
                hour,
                package
            ])?;
    }
    left(tx.sql, of).map(PackagesPublished::Done)
}

/// Forgets a device: it is not in force any more, or has other keys now.
pub(super) fn forget(
    sql: &Connection,
    account: &AccountId,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM key_packages WHERE account = ?1 AND device = ?2")?
        .execute(params![account.as_bytes(), device.as_bytes()])
        .map(drop)
}

fn left(sql: &Connection, of: Of) -> rusqlite::Result<KeyPackageCounts> {
    let mut count = sql.prepare_cached(
        "SELECT count(*) FROM key_packages
         WHERE account = ?1 AND device = ?2 AND suite = ?3 AND last_resort = ?4 AND package IS NOT NULL",
    )?;
    let (account, device, suite) = of.columns();
    let mut count = |last_resort: bool| {
        let place = params![account, device, suite, last_resort];
        count.query_row(place, |row| row.get::<_, u32>(0))
    };
    Ok(KeyPackageCounts {
        packages: count(false)?,
        last_resort: count(true)? > 0,
    })
}

/// How many are left; nothing for a device that has published none.
pub(super) fn counts(sql: &Connection, of: Of) -> rusqlite::Result<Option<KeyPackageCounts>> {
    let known = sql
        .prepare_cached(
            "SELECT 1 FROM key_packages WHERE account = ?1 AND device = ?2 AND suite = ?3 LIMIT 1",
        )?
        .exists(of.columns())?;
    if !known {
        return Ok(None);
    }
    left(sql, of).map(Some)
}

/// Takes the oldest, or the one of last resort where no other one is left.
pub(super) fn take(
    tx: &mut Tx<'_>,
    of: Of,
    now: Timestamp,
) -> rusqlite::Result<Option<KeyPackage>> {
    let found: Option<(i64, bool, Vec<u8>)> = tx
        .sql
        .prepare_cached(
            "SELECT id, last_resort, package FROM key_packages
             WHERE account = ?1 AND device = ?2 AND suite = ?3 AND package IS NOT NULL
             ORDER BY last_resort, id LIMIT 1",
        )?
        .query_row(of.columns(), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, last_resort, package)) = found else {
        return Ok(None);
    };
    if !last_resort {
        tx.sql
            .prepare_cached("UPDATE key_packages SET package = NULL, hour = ?2 WHERE id = ?1")?
            .execute(params![id, now.to_hour().as_secs()])?;
    }
    Ok(Some(KeyPackage {
        package,
        last_resort,
    }))
}

/// Forgets the hashes of those that were taken long ago.
pub(super) fn sweep(sql: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    sql.execute(
        "DELETE FROM key_packages WHERE package IS NULL AND hour < ?1",
        [now.as_secs().saturating_sub(limits::TAKEN_KEY_SECONDS)],
    )
    .map(drop)
}
