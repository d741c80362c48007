//! Epochs of groups: a number and a hash for each, and nothing of who is in it.

use super::counts::Table;
use super::writer::Tx;
use crate::limits;
use keys::{GroupId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use wire::{EpochToken, NextEpoch};

/// The epoch in which a send counts.
#[derive(Debug)]
pub(crate) struct InEpoch {
    /// The group.
    pub(crate) group: GroupId,
    /// The epoch.
    pub(crate) epoch: u64,
    /// Allows to send in it.
    pub(crate) token: EpochToken,
    /// The epoch that the send begins, if it does.
    pub(crate) next: Option<NextEpoch>,
}

/// Whether a send may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may.
    Current,
    /// The group is in this epoch; 0 where it is not known.
    Passed(u64),
    /// The token is not the epoch's.
    BadToken,
    /// There are as many groups as there may be.
    Full,
}

fn find(sql: &Connection, group: &GroupId) -> rusqlite::Result<Option<(u64, [u8; 32])>> {
    sql.prepare_cached("SELECT epoch, token_hash FROM groups WHERE group_id = ?1")?
        .query_row([group.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Compares a send with the epoch of its group.
pub(super) fn judge(tx: &mut Tx<'_>, wanted: &InEpoch) -> rusqlite::Result<Judged> {
    let Some((epoch, token_hash)) = find(tx.sql, &wanted.group)? else {
        return Ok(if wanted.next.is_none() {
            Judged::Passed(0)
        } else if tx.counts.has_room(tx.sql, Table::Groups, tx.max.groups)? {
            Judged::Current
        } else {
            Judged::Full
        });
    };
    // SECURITY: one change an epoch; `of_two_commits_of_an_epoch_one_is_taken` notices.
    if wanted.epoch != epoch {
        return Ok(Judged::Passed(epoch));
    }
    let shown = keys::sha256(&[wanted.token.as_bytes()]);
    // SECURITY: members of the epoch alone; `an_epoch_is_sent_in_by_its_token_alone` notices.
    if keys::ct_eq(&shown, &token_hash) {
        Ok(Judged::Current)
    } else {
        Ok(Judged::BadToken)
    }
}

/// Begins an epoch, also the first one of a group.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    group: &GroupId,
    next: &NextEpoch,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let hour = now.to_hour().as_secs();
    let values = params![group.as_bytes(), next.epoch, next.token_hash, hour];
    let known = tx
        .sql
        .prepare_cached(
            "UPDATE groups SET epoch = ?2, token_hash = ?3, hour = ?4 WHERE group_id = ?1",
        )?
        .execute(values)?;
    if known == 0 {
        tx.sql
            .prepare_cached(
                "INSERT INTO groups (group_id, epoch, token_hash, hour) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(values)?;
        tx.counts.came(Table::Groups);
    }
    Ok(())
}

/// Forgets some of the groups that did not change for long, and says whether there may be more.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> rusqlite::Result<bool> {
    let before = now.as_secs().saturating_sub(limits::GROUP_SECONDS);
    let gone = tx
        .sql
        .prepare_cached(
            "DELETE FROM groups WHERE group_id IN
                 (SELECT group_id FROM groups WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        )?
        .execute(params![before, limits::SWEEP_ROWS])?;
    tx.counts.went(Table::Groups, gone);
    Ok(gone >= usize::try_from(limits::SWEEP_ROWS).unwrap_or(usize::MAX))
}
