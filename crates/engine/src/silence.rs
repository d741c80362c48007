//! Questions for account logs that a relay leaves open although it answers others (docs/spec/groups.md, section 6.1).
//!
//! ```text
//!   asked ─► open for 60 s ─► the relay is asked something else ─► it answers that ─► told; letters of groups go
//!     └──────────┴─────────────────────┴──────── the log is confirmed ─► it is over ───────────┘
//! ```
//!
//! Without a connection seconds say nothing, nor does an answer that lay here while the machine slept: only the answer to what
//! was asked afterwards shows that the relay was there and has left the question open. Questions to relays of contacts that
//! are not ours are not looked after.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::group::packages;
use crate::limits;
use crate::peers;
use crate::records::key;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, Timestamp};
use zeroize::Zeroizing;

/// A log is being asked for: BE8(since when, in seconds) ‖ [`Stage`] 1 ‖ whether people were told 1.
const OPEN: &[u8] = b"log-open/";

/// What was asked to see whether the relay is there: BE8, the number of the request.
const PROBE: &[u8] = b"log-probe";

/// How long a question has been open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// Not for long.
    Young = 0,
    /// For so long that something else was asked, to see whether the relay is there.
    Old = 1,
    /// The relay is there, and does not say it.
    GivenUp = 2,
}

struct Question {
    account: AccountId,
    since: Timestamp,
    stage: Stage,
    told: bool,
}

fn place(account: &AccountId) -> Vec<u8> {
    key(&[OPEN, account.as_bytes()])
}

impl Question {
    fn read(place: &[u8], row: &[u8]) -> Result<Self, StoreError> {
        let damaged = StoreError::Damaged {
            what: "question for a log",
        };
        let account = place.strip_prefix(OPEN).and_then(AccountId::from_slice);
        let (since, rest) = row.split_first_chunk::<8>().ok_or(damaged.clone())?;
        let [stage, told] = *rest else {
            return Err(damaged);
        };
        Ok(Self {
            account: account.ok_or(damaged)?,
            since: Timestamp::from_secs(u64::from_be_bytes(*since)),
            stage: match stage {
                0 => Stage::Young,
                1 => Stage::Old,
                _ => Stage::GivenUp,
            },
            told: told == 1,
        })
    }

    fn store(&self, tx: &mut Transaction<'_>) {
        let since = self.since.as_secs().to_be_bytes();
        let row = key(&[&since, &[self.stage as u8, u8::from(self.told)]]);
        tx.put(Table::Meta, place(&self.account), Zeroizing::new(row));
    }
}

fn all(tx: &Transaction<'_>) -> Result<Vec<Question>, EngineError> {
    let rows = tx.scan(Table::Meta, OPEN, None, limits::PAGE)?;
    let read = rows.iter().map(|(place, row)| Question::read(place, row));
    Ok(read.collect::<Result<_, _>>()?)
}

/// A log is asked for. One that was asked for before, and was not confirmed since, has been asked for since then.
pub(crate) fn asked(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    if tx.get(Table::Meta, &place(account))?.is_none() {
        let question = Question {
            account: *account,
            since: tx.now,
            stage: Stage::Young,
            told: false,
        };
        question.store(tx);
    }
    Ok(())
}

/// A log was confirmed, people were told something worse of it, or nobody asks any more.
pub(crate) fn over(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    let place = place(account);
    if tx.get(Table::Meta, &place)?.is_some() {
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

/// Whether the relay answers others, and not the question for this log.
pub(crate) fn is_given_up(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    let place = place(account);
    let Some(row) = tx.get(Table::Meta, &place)? else {
        return Ok(false);
    };
    Ok(Question::read(&place, &row)?.stage == Stage::GivenUp)
}

/// A connection begins, on which everything open is asked again: the relay has a while to answer.
pub(crate) fn connected(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let before = limits::LOG_UNANSWERED_SECONDS.saturating_sub(limits::LOG_UNANSWERED_ANEW_SECONDS);
    let since = tx.now.as_secs().saturating_sub(before);
    for mut question in all(tx)? {
        question.since = Timestamp::from_secs(since);
        question.stage = Stage::Young;
        question.store(tx);
    }
    Ok(())
}

/// Asks our relay something else where a question has been open for long.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let mut any = false;
    for mut question in all(tx)? {
        if question.stage != Stage::Young {
            continue;
        }
        if question.since > tx.now {
            question.since = tx.now; // The clock was set back.
        } else if tx.now.since(question.since) < limits::LOG_UNANSWERED_SECONDS {
            continue;
        } else if peers::load(tx, &question.account)?.is_none_or(|peer| peer.relay == own.relay) {
            question.stage = Stage::Old;
            any = true;
        } else {
            question.since = tx.now;
        }
        question.store(tx);
    }
    if any && own.registered {
        let probe = packages::ask_how_many(tx, own.secrets.suite())?;
        let row = Zeroizing::new(probe.to_be_bytes().to_vec());
        tx.put(Table::Meta, PROBE.to_vec(), row);
    }
    Ok(())
}

/// A relay answers a request, or puts it off. If that was asked to see whether it is there, or after that, questions that are
/// still open are given up.
pub(crate) fn spoke(tx: &mut Transaction<'_>, id: u64) -> Result<(), EngineError> {
    let probe = tx.get(Table::Meta, PROBE)?;
    // Numbers of requests grow.
    if probe.is_none_or(|probe| probe.as_slice() > id.to_be_bytes().as_slice()) {
        return Ok(());
    }
    tx.delete(Table::Meta, PROBE.to_vec());
    for mut question in all(tx)? {
        if question.stage != Stage::Old {
            continue;
        }
        question.stage = Stage::GivenUp;
        if !question.told {
            // SECURITY: a relay that carries letters cannot hold those back unseen whose logs it does not show;
            // `a_relay_that_says_nothing_of_logs_is_told_of` notices.
            let account = question.account;
            tx.event(Event::LogUnanswered { account });
        }
        question.told = true;
        question.store(tx);
    }
    Ok(())
}
