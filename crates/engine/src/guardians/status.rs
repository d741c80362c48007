//! How guardians, kept shares and a request stand, for people.

use crate::account;
use crate::backup;
use crate::error::{EngineError, StoreError};
use crate::guardians::asking;
use crate::guardians::owner;
use crate::records::{KeptShare, Lost, OwnGuardians, Record as _};
use crate::store::{Snapshot, Table};
use keys::account_log::{Method, UnverifiedLog, VerifiedLog};
use keys::{AccountId, DeviceId, Timestamp};
use zeroize::Zeroizing;

/// The guardians of the own account.
#[derive(Debug, Clone)]
pub struct GuardiansState {
    /// Whether the log names them; if not, they are on their way there.
    pub in_force: bool,
    /// How many must say yes.
    pub need: u8,
    /// How many there are.
    pub count: u8,
    /// Seconds between a request and the earliest return.
    pub delay_seconds: u64,
    /// Who they are; empty where this device was not told.
    pub guardians: Vec<GuardianState>,
    /// Whether their backup has the root key, as far as this device writes it.
    pub root_key: bool,
    /// Who asks to come back.
    pub request: Option<OpenRequest>,
    /// When the relay's lock opens or opened, if somebody began to open it.
    pub lock_opens_at: Option<Timestamp>,
}

/// One guardian.
#[derive(Debug, Clone, Copy)]
pub struct GuardianState {
    /// The contact.
    pub account: AccountId,
    /// Whether one of its devices said that it has the share.
    pub has_share: bool,
}

/// A request for recovery that stands in a log.
#[derive(Debug, Clone, Copy)]
pub struct OpenRequest {
    /// The device that wants to come in.
    pub device: DeviceId,
    /// When it was asked.
    pub at: Timestamp,
    /// When guardians may let it in.
    pub ready: Timestamp,
}

/// A share that is kept here for a contact.
#[derive(Debug, Clone, Copy)]
pub struct ShareState {
    /// Whose.
    pub account: AccountId,
    /// How many shares are needed.
    pub need: u8,
    /// How many there are.
    pub count: u8,
    /// Since when.
    pub since: Timestamp,
}

/// A request of this home.
#[derive(Debug, Clone)]
pub struct RequestState {
    /// Whose account was asked for.
    pub lost: Lost,
    /// What the guardians are to be told; nothing, until the request stands in the log.
    pub code: Option<Zeroizing<String>>,
    /// The account, once its log came.
    pub account: Option<AccountId>,
    /// How many guardians said yes.
    pub got: u8,
    /// How many must.
    pub need: u8,
    /// When the log lets this device in.
    pub ready: Option<Timestamp>,
    /// When the relay's lock and the log are both open, as far as the relay said.
    pub opens_at: Option<Timestamp>,
}

/// Reads the guardians of the own account.
pub(crate) fn guardians(snapshot: &dyn Snapshot) -> Result<Option<GuardiansState>, EngineError> {
    let Some(own) = account::read(snapshot)? else {
        return Ok(None);
    };
    let log = account::log_of(&own)?;
    let (known, plan) = owner::read(snapshot)?;
    let Some(record) = log.recovery(Method::Guardians) else {
        return Ok(plan.map(|plan| state(&plan.guardians, &log, false)));
    };
    let known = known.filter(|known| owner::set_in_force(&log) == Some(known.set));
    let mut state = match known {
        Some(known) => state(&known, &log, true),
        None => GuardiansState {
            in_force: true,
            need: record.terms().need,
            count: u8::try_from(record.terms().commitments.len()).unwrap_or(u8::MAX),
            delay_seconds: record.terms().delay_seconds,
            guardians: Vec::new(),
            root_key: false,
            request: request_of(&log),
            lock_opens_at: None,
        },
    };
    state.root_key = backup::has_root(snapshot, Method::Guardians)?;
    Ok(Some(state))
}

fn state(known: &OwnGuardians, log: &VerifiedLog, in_force: bool) -> GuardiansState {
    let guardians = known.guardians.iter();
    GuardiansState {
        in_force,
        need: known.need,
        count: u8::try_from(known.guardians.len()).unwrap_or(u8::MAX),
        delay_seconds: known.delay_seconds,
        guardians: guardians
            .map(|guardian| GuardianState {
                account: guardian.account,
                has_share: guardian.has_share,
            })
            .collect(),
        root_key: false,
        request: request_of(log),
        lock_opens_at: known.opens_at,
    }
}

fn request_of(log: &VerifiedLog) -> Option<OpenRequest> {
    log.open_request().map(|open| OpenRequest {
        device: *open.device().id(),
        at: open.at(),
        ready: open.ready(),
    })
}

/// Reads the shares that are kept here.
pub(crate) fn shares(snapshot: &dyn Snapshot) -> Result<Vec<ShareState>, StoreError> {
    let rows = snapshot.scan(Table::Share, &[], None, usize::MAX)?;
    let shares = rows.iter().map(|(_, bytes)| {
        KeptShare::decode(bytes).map(|share| ShareState {
            account: share.account,
            need: share.need,
            count: share.count,
            since: share.since,
        })
    });
    shares.collect()
}

/// Reads the request of this home.
pub(crate) fn request(snapshot: &dyn Snapshot) -> Result<Option<RequestState>, StoreError> {
    let Some(ask) = asking::read(snapshot)? else {
        return Ok(None);
    };
    let log = UnverifiedLog::decode(&ask.log).and_then(|log| log.verify(None, None));
    let log = log.ok();
    let (got, need) = log
        .as_ref()
        .map_or((0, 0), |log| asking::progress(&ask, log));
    let request = log.as_ref().and_then(VerifiedLog::open_request);
    let own = request.filter(|open| open.device().id() == ask.secrets.device_id());
    Ok(Some(RequestState {
        lost: ask.lost.clone(),
        code: asking::code_of(&ask).map(|code| code.to_text()),
        account: log.as_ref().map(|log| *log.account_id()),
        got: u8::try_from(got).unwrap_or(u8::MAX),
        need,
        ready: own.map(|open| open.ready()),
        opens_at: ask.opens_at,
    }))
}
