//! Names, account logs, registration codes.

use super::counts::Table;
use super::writer::Tx;
use super::{key_packages, prekeys};
use keys::{AccountId, DeviceId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

/// A registered account.
#[derive(Debug, Clone)]
pub(crate) struct LogRecord {
    /// Its name.
    pub(crate) name: String,
    /// Its id.
    pub(crate) account: AccountId,
    /// Its log, as it was handed in.
    pub(crate) log: Vec<u8>,
}

/// How a registration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The name is the account's, now or before.
    Done,
    /// The name is another account's.
    NameTaken,
    /// The account has another name.
    OtherName,
    /// There is no such code.
    CodeUnknown,
    /// The code has expired.
    CodeExpired,
    /// The code was used by another account.
    CodeUsed,
    /// There are as many accounts as there may be.
    Full,
}

/// Finds an account by name.
pub(crate) fn by_name(sql: &Connection, name: &str) -> rusqlite::Result<Option<LogRecord>> {
    sql.prepare_cached("SELECT name, account, log FROM accounts WHERE name = ?1")?
        .query_row([name], record)
        .optional()
}

/// Finds an account by id.
pub(crate) fn by_account(
    sql: &Connection,
    account: &AccountId,
) -> rusqlite::Result<Option<LogRecord>> {
    sql.prepare_cached("SELECT name, account, log FROM accounts WHERE account = ?1")?
        .query_row([account.as_bytes()], record)
        .optional()
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<LogRecord> {
    Ok(LogRecord {
        name: row.get(0)?,
        account: AccountId::from_bytes(row.get(1)?),
        log: row.get(2)?,
    })
}

/// Binds a name to a verified account. `code_hash` is given where a code is needed.
pub(crate) fn register(
    tx: &mut Tx<'_>,
    wanted: &LogRecord,
    code_hash: Option<&[u8; 32]>,
    now: Timestamp,
) -> rusqlite::Result<Registered> {
    if let Some(holder) = by_name(tx.sql, &wanted.name)? {
        return Ok(if holder.account == wanted.account {
            Registered::Done
        } else {
            Registered::NameTaken
        });
    }
    if by_account(tx.sql, &wanted.account)?.is_some() {
        return Ok(Registered::OtherName);
    }
    if !tx
        .counts
        .has_room(tx.sql, Table::Accounts, tx.max.accounts)?
    {
        return Ok(Registered::Full);
    }
    if let Some(hash) = code_hash {
        let code: Option<(u64, Option<Vec<u8>>)> = tx
            .sql
            .prepare_cached("SELECT expires, account FROM codes WHERE code_hash = ?1")?
            .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match code {
            None => return Ok(Registered::CodeUnknown),
            Some((_, Some(_))) => return Ok(Registered::CodeUsed),
            Some((expires, None)) if expires < now.as_secs() => return Ok(Registered::CodeExpired),
            Some(_) => {}
        }
        tx.sql
            .prepare_cached("UPDATE codes SET account = ?2 WHERE code_hash = ?1")?
            .execute(params![hash, wanted.account.as_bytes()])?;
    }
    tx.sql
        .prepare_cached("INSERT INTO accounts (account, name, log, hour) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            wanted.account.as_bytes(),
            wanted.name,
            wanted.log,
            now.to_hour().as_secs()
        ])?;
    tx.counts.came(Table::Accounts);
    Ok(Registered::Done)
}

/// Replaces a log, if it is still the one that the new one was checked against, and drops what devices that are
/// gone have published.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    account: &AccountId,
    before: &[u8],
    log: &[u8],
    gone: &[DeviceId],
) -> rusqlite::Result<bool> {
    let changed = tx
        .sql
        .prepare_cached("UPDATE accounts SET log = ?3 WHERE account = ?1 AND log = ?2")?
        .execute(params![account.as_bytes(), before, log])?;
    if changed == 1 {
        for device in gone {
            prekeys::forget(tx.sql, account, device)?;
            key_packages::forget(tx.sql, account, device)?;
        }
    }
    Ok(changed == 1)
}

/// Whether an account still has this log.
pub(super) fn has_log(sql: &Connection, account: &AccountId, log: &[u8]) -> rusqlite::Result<bool> {
    sql.prepare_cached("SELECT 1 FROM accounts WHERE account = ?1 AND log = ?2")?
        .exists(params![account.as_bytes(), log])
}

/// Frees a name: its account goes on under another one, which is given back; nothing if nobody has the name.
pub(super) fn release(sql: &mut Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(holder) = by_name(&tx, name)? else {
        return Ok(None);
    };
    let mut number = 1_u32;
    let other = loop {
        let end = format!(".old-{number}");
        let room = wire::limits::NAME_BYTES.saturating_sub(end.len());
        let other = format!("{}{end}", name.get(..room).unwrap_or(name));
        if by_name(&tx, &other)?.is_none() {
            break other;
        }
        number = number.saturating_add(1);
    };
    tx.prepare_cached("UPDATE accounts SET name = ?2 WHERE account = ?1")?
        .execute(params![holder.account.as_bytes(), other])?;
    tx.commit()?;
    Ok(Some(other))
}

/// Stores a code of the operator.
pub(super) fn add_code(
    sql: &Connection,
    hash: &[u8; 32],
    expires: Timestamp,
) -> rusqlite::Result<()> {
    sql.execute(
        "INSERT INTO codes (code_hash, expires) VALUES (?1, ?2)",
        params![hash, expires.as_secs()],
    )
    .map(drop)
}
