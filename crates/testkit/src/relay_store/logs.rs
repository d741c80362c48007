//! Names and account logs.

use super::{RelayStore, no};
use keys::account_log::{DeviceRecord, UnverifiedLog, VerifiedLog};
use keys::label::Label;
use keys::{AccountId, DeviceId, HybridSignature, Timestamp, label};
use wire::{RawLog, RefusalKind, Reply};

/// A registered account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) log: Vec<u8>,
    devices: Vec<DeviceRecord>,
}

impl Account {
    /// Whether a device in force signed what is published in its name.
    pub(super) fn has_signed(&self, request: &wire::PublishPreKeys) -> bool {
        let message = wire::publish_message(request);
        let signature = &request.signature;
        self.is_by(&request.device, label::PUBLISH, &message, signature)
    }

    /// The same of key packages.
    pub(super) fn has_signed_packages(&self, request: &wire::PublishKeyPackages) -> bool {
        let message = wire::publish_key_packages_message(request);
        let (label, signature) = (label::PUBLISH_KEY_PACKAGES, &request.signature);
        self.is_by(&request.device, label, &message, signature)
    }

    fn is_by(&self, device: &DeviceId, label: Label, message: &[u8], signature: &[u8]) -> bool {
        let mut devices = self.devices.iter();
        let Some(device) = devices.find(|known| known.id() == device) else {
            return false;
        };
        let key = device.verifying_key();
        let signature = HybridSignature::from_bytes_of_any_suite(signature);
        signature.is_ok_and(|signature| key.verify(label, message, &signature).is_ok())
    }
}

impl RelayStore {
    /// The log of an account.
    #[must_use]
    pub fn log(&self, account: &AccountId) -> Option<Vec<u8>> {
        self.accounts.get(account).map(|known| known.log.clone())
    }

    /// Shows an account with another log from now on, whatever it says.
    pub fn set_log(&mut self, account: &AccountId, log: &[u8]) {
        if let Some(known) = self.accounts.get_mut(account) {
            known.log = log.to_vec();
        }
    }

    pub(crate) fn register(&mut self, request: &wire::Register, now: Timestamp) -> Reply {
        let log = UnverifiedLog::decode(&request.log).and_then(|log| log.verify(None, None));
        let Some(log) = log.ok().filter(|log| log.check_time(now).is_ok()) else {
            return no(RefusalKind::BadLog);
        };
        let id = *log.account_id();
        let mut others = self.accounts.iter();
        if others.any(|(holder, known)| known.name == request.name && *holder != id) {
            return no(RefusalKind::NameTaken);
        }
        let account = Account {
            name: request.name.clone(),
            log: request.log.clone(),
            devices: log.devices().to_vec(),
        };
        match self.accounts.entry(id).or_insert(account).name == request.name {
            true => Reply::Done,
            false => no(RefusalKind::Conflict),
        }
    }

    pub(crate) fn append_log(&mut self, request: &wire::AppendLog, now: Timestamp) -> Reply {
        self.replace_log(&request.account, &request.log, now)
    }

    pub(crate) fn append_entries(
        &mut self,
        request: &wire::AppendEntries,
        now: Timestamp,
    ) -> Reply {
        let Some(known) = self.accounts.get(&request.account) else {
            return no(RefusalKind::NotFound);
        };
        let Ok(raw) = RawLog::parse(&known.log) else {
            return no(RefusalKind::Storage);
        };
        if raw.has(request.after.saturating_add(1), &request.entries) {
            return Reply::Done;
        }
        if raw.head() != request.after {
            return no(RefusalKind::Conflict);
        }
        match raw.with(&request.entries) {
            Ok(log) => self.replace_log(&request.account, &log, now),
            Err(_) => no(RefusalKind::BadLog),
        }
    }

    fn replace_log(&mut self, account: &AccountId, log: &[u8], now: Timestamp) -> Reply {
        let Some(known) = self.accounts.get_mut(account) else {
            return no(RefusalKind::NotFound);
        };
        let Some(log) = continued(&known.log, log).filter(|log| log.check_time(now).is_ok()) else {
            return no(RefusalKind::BadLog);
        };
        if let Some(wait) = asked_too_soon(&known.log, &log, now) {
            let message = "somebody asks for this account already";
            return Reply::Refused(wire::Refused::for_now(
                RefusalKind::RateLimited,
                message,
                wait,
            ));
        }
        if dated_back(&known.log, &log, now) {
            return no(RefusalKind::BadLog);
        }
        for device in &known.devices {
            let after = log.device(device.id()).filter(|_| !log.is_tombstoned());
            let stays = after.is_some_and(|after| {
                after.identity() == device.identity()
                    && after.verifying_key() == device.verifying_key()
            });
            if !stays {
                self.devices.remove(&(*account, *device.id()));
                self.key_packages.remove(&(*account, *device.id()));
            }
        }
        known.devices = match log.is_tombstoned() {
            true => Vec::new(),
            false => log.devices().to_vec(),
        };
        known.log = log.bytes().to_vec();
        Reply::Done
    }

    pub(crate) fn fetch_log(&self, request: &wire::FetchLog) -> Reply {
        let mut accounts = self.accounts.iter();
        let found = accounts.find(|(id, known)| match request {
            wire::FetchLog::ByName(wanted) => known.name == *wanted,
            wire::FetchLog::ByAccount(wanted) => *id == wanted,
        });
        match found {
            None => no(RefusalKind::NotFound),
            Some((account, known)) if known.log.len() <= wire::limits::LOG_PART_BYTES => {
                Reply::Log(wire::Log {
                    name: known.name.clone(),
                    account: *account,
                    log: known.log.clone(),
                })
            }
            Some((account, known)) => known.part(account, 0),
        }
    }

    pub(crate) fn check_log(&self, request: &wire::CheckLog) -> Reply {
        let Some(known) = self.accounts.get(&request.account) else {
            return no(RefusalKind::NotFound);
        };
        match RawLog::parse(&known.log).map(|raw| raw.head()) {
            Ok(head) if head == request.sequence => Reply::Done,
            Ok(head) if head < request.sequence => no(RefusalKind::Conflict),
            _ => known.part(&request.account, request.sequence.saturating_add(1)),
        }
    }
}

impl Account {
    fn part(&self, account: &AccountId, first: u64) -> Reply {
        let Ok(raw) = RawLog::parse(&self.log) else {
            return no(RefusalKind::Storage);
        };
        match raw.part(first) {
            Some(part) => Reply::Entries(wire::Entries {
                name: self.name.clone(),
                account: *account,
                first,
                entries: part.entries.to_vec(),
                more: part.more,
            }),
            None => no(RefusalKind::NotFound),
        }
    }
}

/// A log, if it continues the one before.
fn continued(before: &[u8], log: &[u8]) -> Option<VerifiedLog> {
    let before = UnverifiedLog::decode(before)
        .and_then(|before| before.verify(None, None))
        .ok()?;
    let log = UnverifiedLog::decode(log).ok()?;
    log.verify_after(&before).ok()
}

/// How many milliseconds a request for recovery has to wait for the one that stands: until a day after its delay.
fn asked_too_soon(before: &[u8], after: &VerifiedLog, now: Timestamp) -> Option<u64> {
    let before = UnverifiedLog::decode(before)
        .ok()?
        .verify(None, None)
        .ok()?;
    let open = before.open_request()?;
    let until = open.ready().saturating_add(24 * 3600);
    let asks = after.requests_at_end(before.head().sequence) > 0;
    (asks && now < until).then(|| until.since(now).saturating_mul(1000))
}

/// Whether a new request for recovery is of another time.
fn dated_back(before: &[u8], after: &VerifiedLog, now: Timestamp) -> bool {
    let known = RawLog::parse(before).map_or(0, |log| log.head());
    let old = |at: Timestamp| at.saturating_add(2 * 3600) < now;
    let request = after.open_request();
    after.requests_at_end(known) > 0 && request.is_some_and(|request| old(request.at()))
}
