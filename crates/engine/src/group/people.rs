//! The account logs of members, contacts or not.

use crate::account;
use crate::contacts;
use crate::content::Head;
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::peers;
use crate::records::{Purpose, key};
use crate::silence;
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::{Directory, GroupError, KnownDevice};
use keys::account_log::{LogError, Pin, UnverifiedLog, VerifiedLog};
use keys::{AccountId, GroupId, Timestamp};
use zeroize::Zeroizing;

/// The log of a member who is no contact is being asked for; or BE8 seconds until it is asked for again.
const ASKED: &[u8] = b"member-asked/";
/// A message was refused by the log of an account, which is asked for once more: SHA-256 of the message.
const DOUBTED: &[u8] = b"member-doubted/";
/// Seconds for which the log of a member who is no contact counts as confirmed.
const FRESH_SECONDS: u64 = 60;

/// What is kept of a member who is no contact: `BE8(confirmed) ‖ BE8(sequence) ‖ hash 64 ‖ log`. The log was verified
/// before it was stored; the hash of its head finds a damaged disk.
struct Kept {
    confirmed: Timestamp,
    head: Pin,
    /// The row, and where the log begins in it.
    row: Zeroizing<Vec<u8>>,
    log: usize,
}

const DAMAGED: StoreError = StoreError::Damaged {
    what: "log of a member",
};

impl Kept {
    fn load(tx: &Transaction<'_>, account: &AccountId) -> Result<Option<Self>, EngineError> {
        let Some(row) = tx.get(Table::MemberLog, account.as_bytes())? else {
            return Ok(None);
        };
        let (at, rest) = row.split_first_chunk::<8>().ok_or(DAMAGED)?;
        let (sequence, rest) = rest.split_first_chunk::<8>().ok_or(DAMAGED)?;
        let (hash, log) = rest.split_first_chunk::<64>().ok_or(DAMAGED)?;
        Ok(Some(Self {
            confirmed: Timestamp::from_secs(u64::from_be_bytes(*at)),
            head: Pin {
                sequence: u64::from_be_bytes(*sequence),
                hash: *hash,
            },
            log: row.len().saturating_sub(log.len()),
            row,
        }))
    }

    fn log(&self, account: &AccountId) -> Result<VerifiedLog, EngineError> {
        let log = UnverifiedLog::decode(self.row.get(self.log..).unwrap_or_default());
        let log = log.and_then(|log| log.trusted(account, &self.head));
        log.map_err(|_| DAMAGED.into())
    }

    fn is_fresh(&self, tx: &Transaction<'_>) -> bool {
        self.confirmed <= tx.now && tx.now.since(self.confirmed) < FRESH_SECONDS
    }
}

/// The log of an account, as far as it is known here.
pub(crate) fn log_of(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Option<VerifiedLog>, EngineError> {
    match peers::load(tx, account)? {
        Some(peer) => Ok(Some(peer.log)),
        None => Kept::load(tx, account)?
            .map(|kept| kept.log(account))
            .transpose(),
    }
}

/// The log of an account, as far as it is known here, and whether it was confirmed a short while ago.
fn known(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Option<(VerifiedLog, bool)>, EngineError> {
    if let Some(peer) = peers::load(tx, account)? {
        return Ok(Some((peer.log, logs::fresh(tx, account)?)));
    }
    match Kept::load(tx, account)? {
        Some(kept) => Ok(Some((kept.log(account)?, kept.is_fresh(tx)))),
        None => Ok(None),
    }
}

pub(super) fn is_fresh(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    if account::own(tx)?.id == *account || contacts::load(tx, account)?.is_some() {
        return logs::fresh(tx, account);
    }
    Ok(Kept::load(tx, account)?.is_some_and(|kept| kept.is_fresh(tx)))
}

/// Whether the logs of accounts were confirmed a short while ago; where not, the group waits for them.
pub(super) fn confirmed(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    accounts: &[AccountId],
) -> Result<bool, EngineError> {
    let mut all = true;
    for account in accounts {
        if !is_fresh(tx, account)? {
            all = false;
            super::inbox::wait_for(tx, id, account);
            ask(tx, account)?;
        }
    }
    Ok(all)
}

/// Adds accounts to a directory. What is missing, or too old and needed, is asked for; then it says false.
pub(super) fn fill(
    tx: &mut Transaction<'_>,
    directory: &mut Directory,
    accounts: &[AccountId],
) -> Result<bool, EngineError> {
    let mut complete = true;
    for account in accounts {
        let stale = directory.contains(account);
        match known(tx, account)? {
            Some((log, fresh)) if fresh || !stale => {
                directory.insert(*account, devices(&log), fresh);
            }
            _ => {
                complete = false;
                ask(tx, account)?;
            }
        }
    }
    Ok(complete)
}

fn devices(log: &VerifiedLog) -> Vec<KnownDevice> {
    let mut devices: Vec<KnownDevice> = Vec::new();
    for (device, leaf_key) in log.leaf_keys() {
        match devices.iter_mut().find(|known| known.device == *device) {
            Some(known) => known.leaf_keys.push(leaf_key.clone()),
            None => devices.push(KnownDevice {
                device: *device,
                leaf_keys: vec![leaf_key.clone()],
                in_force: log.device(device).is_some() && !log.is_tombstoned(),
            }),
        }
    }
    devices
}

/// Asks for the log of a member, or for what is new in it.
pub(super) fn ask(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    if peers::load(tx, account)?.is_some() {
        return logs::check(tx, account);
    }
    let asked = key(&[ASKED, account.as_bytes()]);
    if tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    silence::asked(tx, account)?;
    let request = match Kept::load(tx, account)? {
        Some(kept) => wire::Request::CheckLog(wire::CheckLog {
            account: *account,
            sequence: kept.head.sequence,
        }),
        None => wire::Request::FetchLog(wire::FetchLog::ByAccount(*account)),
    };
    outbox::add_own(tx, Purpose::LogOfMember(*account), request)
}

/// Whether a question for the log of a member is under way.
pub(super) fn is_asked(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    if logs::is_asked(tx, account)? {
        return Ok(true);
    }
    let asked = tx.get(Table::Meta, &key(&[ASKED, account.as_bytes()]))?;
    Ok(asked.is_some_and(|due| due.is_empty()))
}

/// A message was refused because of a log that was confirmed a short while ago, and that may have gone on since. Says
/// whether it is asked for anew, and the message waits; that happens once for each message.
pub(super) fn ask_once_more(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    message: &[u8],
    error: &GroupError,
) -> Result<bool, EngineError> {
    let (GroupError::NotInLog { account, .. }
    | GroupError::NotVouched { account, .. }
    | GroupError::MayNotVouch { account, .. }
    | GroupError::RemovedInForce { account, .. }) = error
    else {
        return Ok(false);
    };
    // A question that is open may have been answered before the log went on, or is the one that was asked for this
    // message: it is seen to after that answer, whatever else lets the group go on.
    if is_asked(tx, account)? {
        super::inbox::wait_for(tx, id, account);
        return Ok(true);
    }
    let place = key(&[DOUBTED, id.as_bytes(), account.as_bytes()]);
    let hash = keys::sha256(&[message]);
    let before = tx.get(Table::Meta, &place)?;
    if before.is_some_and(|before| before.as_slice() == hash) {
        tx.delete(Table::Meta, place);
        return Ok(false);
    }
    tx.put(Table::Meta, place, Zeroizing::new(hash.to_vec()));
    super::inbox::wait_for(tx, id, account);
    ask(tx, account)?;
    Ok(true)
}

/// Asks again for logs that relays did not have, or showed wrongly.
pub(super) fn ask_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (asked, due) in tx.scan(Table::Meta, ASKED, None, limits::PAGE)? {
        if due.is_empty() || due.as_slice() > tx.now.as_secs().to_be_bytes().as_slice() {
            continue;
        }
        tx.delete(Table::Meta, asked.clone());
        if let Some(account) = asked.strip_prefix(ASKED).and_then(AccountId::from_slice) {
            ask(tx, &account)?;
        }
    }
    Ok(())
}

/// What waits for the log goes on waiting, and the relay is asked again in a while.
fn ask_later(tx: &mut Transaction<'_>, account: &AccountId) {
    let due = tx.now.saturating_add(limits::ASK_AGAIN_SECONDS).as_secs();
    let due = Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Meta, key(&[ASKED, account.as_bytes()]), due);
}

/// The relay answered what it knows of a member.
pub(crate) fn answered(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    reply: &wire::Reply,
) -> Result<(), EngineError> {
    let known = Kept::load(tx, account)?;
    let known = known.map(|kept| kept.log(account)).transpose()?;
    let Some(log) = shown(account, known.as_ref(), reply) else {
        ask_later(tx, account);
        return Ok(());
    };
    tx.delete(Table::Meta, key(&[ASKED, account.as_bytes()]));
    silence::over(tx, account)?;
    let now = tx.now.as_secs().to_be_bytes();
    let head = log.head();
    let sequence = head.sequence.to_be_bytes();
    let value = Zeroizing::new([&now[..], &sequence, &head.hash, log.bytes()].concat());
    tx.put(Table::MemberLog, account.as_bytes().to_vec(), value);
    if known.is_none_or(|known| known.head() != head) {
        // SECURITY: a member's revocation is seen to by whoever hears of it, contact or not;
        // `who_knows_nobody_removes_a_revoked_device` notices.
        super::turn::account_changed(tx, account)?;
        if matches!(reply, wire::Reply::Entries(entries) if entries.more) {
            return ask(tx, account);
        }
    }
    super::turn::logs_came(tx, account)
}

/// The log that an answer shows; nothing where it shows none that goes on from the one that is kept.
fn shown(
    account: &AccountId,
    known: Option<&VerifiedLog>,
    reply: &wire::Reply,
) -> Option<VerifiedLog> {
    let bytes = match (reply, known) {
        (wire::Reply::Log(log), _) => log.log.clone(),
        (wire::Reply::Entries(entries), _) if entries.first == 0 => {
            wire::RawLog::begin(&entries.entries).ok()?
        }
        (wire::Reply::Entries(entries), Some(known)) => logs::behind(known, entries)?,
        // Nothing is newer, or the relay has less than was seen here, which stays.
        (wire::Reply::Done, Some(known)) => return Some(known.clone()),
        (wire::Reply::Refused(refused), Some(known))
            if refused.kind == wire::RefusalKind::Conflict =>
        {
            return Some(known.clone());
        }
        _ => return None,
    };
    let log = UnverifiedLog::decode(&bytes).and_then(|log| match known {
        // SECURITY: a log goes on, or it is not taken; `a_member_has_one_history` notices.
        Some(known) => log.verify_after(known),
        None => log.verify(Some(account), None),
    });
    match log {
        Ok(log) => Some(log),
        Err(LogError::RolledBack { .. }) => known.cloned(),
        Err(_) => None,
    }
}

/// A member says how far the log of its account goes.
pub(super) fn told(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    head: &Head,
) -> Result<(), EngineError> {
    if let Some(peer) = peers::load(tx, account)? {
        return logs::told(tx, &peer, head).map(drop);
    }
    match Kept::load(tx, account)? {
        Some(kept) if kept.head.sequence >= head.sequence => Ok(()),
        _ => ask(tx, account),
    }
}
