//! What does not open, and what members are asked about it (docs/spec/groups.md, section 7).
//!
//! ```text
//!   something does not open ─► asked ─► 60 s ─► asked ─► 120 s ─► asked ─► 240 s ─► asked ─► 480 s ─► asked
//!                                └─────────┴──────── somebody answers, or a commit leads on ─► it is over
//! ```

use super::back;
use super::inbox;
use super::people;
use super::state;
use crate::account;
use crate::error::EngineError;
use crate::limits;
use crate::records::{GroupRecord, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::GroupId;
use zeroize::Zeroizing;

/// Members were asked because something did not open, and nobody has answered: BE8(when they are asked again) ‖ how often
/// that was done.
const DOUBT: &[u8] = b"group-doubt/";

/// A body of this epoch does not open: it is junk, or this device follows another branch than the sender. The others
/// are asked.
pub(super) fn begin(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<(), EngineError> {
    let pause_is_over = record
        .asked
        .is_none_or(|at| at > tx.now || tx.now.since(at) >= limits::GROUP_ASK_AGAIN_SECONDS);
    if pause_is_over {
        back::ask_back(tx, &mut record)?;
        state::store(tx, &record);
        again(tx, &record.id, 0);
    }
    Ok(())
}

/// What members were asked may be lost: a home that was set back seals with numbers that its peers know, and they drop it.
/// So they are asked a few times more, each pause twice as long as the one before;
/// `who_is_set_back_asks_until_somebody_answers` notices.
fn again(tx: &mut Transaction<'_>, id: &GroupId, times: u8) {
    let pause = limits::GROUP_ASK_AGAIN_SECONDS << times.min(limits::GROUP_ASKS);
    let due = tx.now.saturating_add(pause).as_secs().to_be_bytes();
    let row = Zeroizing::new(key(&[&due, &[times]]));
    tx.put(Table::Meta, key(&[DOUBT, id.as_bytes()]), row);
}

/// How often members were asked again, if they are to be asked once more.
fn due(tx: &Transaction<'_>, id: &GroupId) -> Result<Option<u8>, EngineError> {
    let row = tx.get(Table::Meta, &key(&[DOUBT, id.as_bytes()]))?;
    let Some((due, times)) = row.as_ref().and_then(|row| row.split_first_chunk::<8>()) else {
        return Ok(None);
    };
    let is_due = u64::from_be_bytes(*due) <= tx.now.as_secs();
    Ok(times.first().copied().filter(|_| is_due))
}

/// Somebody answered, or the group goes on here.
pub(super) fn forget(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let place = key(&[DOUBT, id.as_bytes()]);
    if tx.get(Table::Meta, &place)?.is_some() {
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

/// Members are to be asked again: first the relay is, as without a connection nobody could have answered.
pub(super) fn tick(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    if due(tx, id)?.is_some() {
        let own = account::own(tx)?.id;
        inbox::wait_for(tx, id, &own);
        people::ask(tx, &own)?;
    }
    Ok(())
}

/// The relay answered: members are asked again, if nobody told anything yet.
pub(super) fn relay_answered(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
) -> Result<(), EngineError> {
    let Some(times) = due(tx, &record.id)? else {
        return Ok(());
    };
    back::ask_back(tx, &mut record)?;
    state::store(tx, &record);
    let times = times.saturating_add(1);
    if times >= limits::GROUP_ASKS {
        return forget(tx, &record.id);
    }
    again(tx, &record.id, times);
    Ok(())
}
