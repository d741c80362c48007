//! Changes of a log. Each gives a new log, checked as a reader checks it.

use super::SENIORITY_SECONDS;
use super::body::{Body, Genesis, Payload, Reason};
use super::device::{DeviceRecord, DeviceSecrets, RootSecret};
use super::entry::{self, Entry, Signer};
use super::error::LogError;
use super::log::VerifiedLog;
use super::recovery::{Method, RecoverySecrets, RecoveryTerms};
use crate::codec::DecodeError;
use crate::sign::{Malformed, SigningKey};
use crate::{AccountId, DeviceId, Timestamp, label};

/// Who changes the list of devices.
#[derive(Clone, Copy)]
pub enum Authority<'a> {
    /// An admin device.
    Device(&'a DeviceSecrets),
    /// A recovery secret.
    Recovery(&'a RecoverySecrets),
}

impl<'a> Authority<'a> {
    pub(super) fn signer(self) -> (Signer, &'a SigningKey) {
        match self {
            Self::Device(device) => by_device(device),
            Self::Recovery(recovery) => (Signer::Recovery(recovery.method()), recovery.signing()),
        }
    }
}

fn by_device(device: &DeviceSecrets) -> (Signer, &SigningKey) {
    (Signer::Device(*device.device_id()), device.signing())
}

/// Makes the log of a new account: one entry, signed by the root key and the device. The account is of their suite.
///
/// # Errors
/// [`Malformed`]: they are of two suites, or the library failed to sign.
pub fn genesis(
    root: &RootSecret,
    device: &DeviceSecrets,
    now: Timestamp,
) -> Result<VerifiedLog, Malformed> {
    let suite = root.suite();
    let record = device.record(true, now);
    if record.suite() != suite {
        return Err(Malformed);
    }
    let body = Body {
        suite,
        account: AccountId::from_bytes([0; 32]),
        sequence: 0,
        previous: [0; 64],
        at: record.added,
        device_list: entry::device_list_hash(suite, std::slice::from_ref(&record)),
        payload: Payload::Genesis(Box::new(Genesis {
            root: root.key().verifying_key().clone(),
            device: record,
            seniority_seconds: SENIORITY_SECONDS,
        })),
    };
    let signers = [(Signer::Root, root.key()), by_device(device)];
    signed(&body, &signers)
        .and_then(|entry| VerifiedLog::of_genesis(&entry))
        .map_err(|_| Malformed)
}

fn signed(body: &Body, signers: &[(Signer, &SigningKey)]) -> Result<Entry, LogError> {
    let body_bytes = body.encode();
    let sign = |(signer, key): &(Signer, &SigningKey)| {
        let signature = key.sign(label::LOG_ENTRY, &body_bytes);
        signature
            .map(|signature| (*signer, signature))
            .map_err(|_| LogError::Library)
    };
    let signatures = signers.iter().map(sign).collect::<Result<_, _>>()?;
    Ok(Entry {
        suite: body.suite,
        body_bytes,
        signatures,
    })
}

impl VerifiedLog {
    /// The time of an entry that is made now.
    pub(super) fn next_at(&self, now: Timestamp) -> Timestamp {
        now.to_hour().max(self.chain.state.at)
    }

    /// The body that comes next, with the hash of a list to be filled in.
    pub(super) fn next_body(&self, at: Timestamp, payload: Payload) -> Body {
        Body {
            suite: self.suite(),
            account: self.chain.account,
            sequence: self.chain.head.sequence.saturating_add(1),
            previous: self.chain.head.hash,
            at,
            payload,
            device_list: [0; 64],
        }
    }

    fn with(
        &self,
        now: Timestamp,
        payload: Payload,
        signers: &[(Signer, &SigningKey)],
    ) -> Result<Self, LogError> {
        let mut body = self.next_body(self.next_at(now), payload);
        if let Payload::UpgradeSuite(root) = &body.payload {
            body.suite = root.suite();
        }
        let mut state = self.chain.state.clone();
        let names: Vec<Signer> = signers.iter().map(|(signer, _)| *signer).collect();
        state.apply(&body, &names)?;
        body.device_list = entry::device_list_hash(state.suite, &state.devices);
        self.extended(&[signed(&body, signers)?])
    }

    /// Revokes a device.
    ///
    /// # Errors
    /// [`LogError`]: the authority may not.
    pub fn revoke(
        &self,
        by: Authority<'_>,
        device: &DeviceId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let payload = Payload::RevokeDevice(*device, reason);
        self.with(now, payload, &[by.signer()])
    }

    /// Puts a device out of force for a while.
    ///
    /// # Errors
    /// [`LogError`]: the authority may not.
    pub fn suspend(
        &self,
        by: Authority<'_>,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        self.with(now, Payload::SuspendDevice(*device), &[by.signer()])
    }

    /// Puts a suspended device in force again.
    ///
    /// # Errors
    /// [`LogError`]: the authority may not, or the device is not suspended.
    pub fn resume(
        &self,
        by: Authority<'_>,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        self.with(now, Payload::ResumeDevice(*device), &[by.signer()])
    }

    /// Gives a device new keys: `new` is [`DeviceSecrets::renewed`] of `old`.
    ///
    /// # Errors
    /// [`LogError`]: the device is not in force, or the keys are not new.
    pub fn rotate_device(
        &self,
        old: &DeviceSecrets,
        new: &DeviceSecrets,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let known = self.device(old.device_id()).ok_or(LogError::NotInForce {
            sequence: self.chain.head.sequence.saturating_add(1),
        })?;
        let record = new.record(known.admin, known.added);
        let payload = Payload::RotateDevice(Box::new(record));
        self.with(now, payload, &[by_device(old), by_device(new)])
    }

    /// Gives the account a new root key. Contacts see a changed root as a hard stop.
    ///
    /// # Errors
    /// [`LogError`]: `old` is not the root key, or `new` is not new.
    pub fn rotate_root(
        &self,
        old: &RootSecret,
        new: &RootSecret,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let payload = Payload::RotateRoot(Box::new(new.key().verifying_key().clone()));
        let signers = [(Signer::Root, old.key()), (Signer::Root, new.key())];
        self.with(now, payload, &signers)
    }

    /// Takes the account to the suite of `new`, which is its new root key. Contacts see a changed root as a hard stop.
    ///
    /// Ways back are cleared. Every device then gets new keys of the suite ([`Self::rotate_device`]); until it has, it
    /// can change nothing else of the log.
    ///
    /// # Errors
    /// [`LogError::SuiteWentBack`], [`LogError::SameSuite`]: it is no higher suite; other [`LogError`]s: `old` is not
    /// the root key, or `new` is not new.
    pub fn upgrade_suite(
        &self,
        old: &RootSecret,
        new: &RootSecret,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let payload = Payload::UpgradeSuite(Box::new(new.key().verifying_key().clone()));
        let signers = [(Signer::Root, old.key()), (Signer::Root, new.key())];
        self.with(now, payload, &signers)
    }

    /// Sets a way to recover, in the place of the earlier one of its method. The secret must be new.
    ///
    /// # Errors
    /// [`LogError`]: the device may not, or the terms do not fit the method ([`RecoveryTerms::fit`]).
    pub fn set_recovery(
        &self,
        by: &DeviceSecrets,
        recovery: &RecoverySecrets,
        terms: &RecoveryTerms,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let method = recovery.method();
        if !terms.fit(method) {
            return Err(DecodeError::Invalid.into());
        }
        let payload = Payload::SetRecovery(method, Some(Box::new(recovery.record(terms))));
        let own = (Signer::Recovery(method), recovery.signing());
        self.with(now, payload, &[by_device(by), own])
    }

    /// Clears a way to recover.
    ///
    /// # Errors
    /// [`LogError`]: the device may not, or none is set.
    pub fn clear_recovery(
        &self,
        by: &DeviceSecrets,
        method: Method,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        self.with(now, Payload::SetRecovery(method, None), &[by_device(by)])
    }

    /// Asks, as a device that is not in the log, to come back through guardians as an admin.
    ///
    /// # Errors
    /// [`LogError`]: no guardians are set, or the device is not new.
    pub fn request_recovery(&self, new: &DeviceSecrets, now: Timestamp) -> Result<Self, LogError> {
        let record = new.record(true, self.next_at(now));
        let payload = Payload::RequestRecovery(Box::new(record));
        self.with(now, payload, &[by_device(new)])
    }

    /// Refuses what was asked of guardians.
    ///
    /// # Errors
    /// [`LogError`]: nothing is open, or the device is not in force.
    pub fn cancel_recovery(&self, by: &DeviceSecrets, now: Timestamp) -> Result<Self, LogError> {
        self.with(now, Payload::CancelRecovery, &[by_device(by)])
    }

    /// Ends the account by its root key.
    ///
    /// # Errors
    /// [`LogError`]: it is another root key.
    pub fn tombstone(&self, root: &RootSecret, now: Timestamp) -> Result<Self, LogError> {
        self.with(now, Payload::Tombstone, &[(Signer::Root, root.key())])
    }

    /// Ends the account by a recovery secret.
    ///
    /// # Errors
    /// [`LogError`]: the method is not in force, or guardians have let nobody in.
    pub fn tombstone_by_recovery(
        &self,
        recovery: &RecoverySecrets,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let signer = Authority::Recovery(recovery).signer();
        self.with(now, Payload::Tombstone, &[signer])
    }

    /// What the log will say of a device that is added at `at`: of one that asked for recovery, what it said then.
    pub(super) fn record_to_add(
        &self,
        new: &DeviceSecrets,
        admin: bool,
        at: Timestamp,
    ) -> DeviceRecord {
        match self.open_request() {
            Some(request) if request.device.id == *new.device_id() => request.device.clone(),
            _ => new.record(admin, at),
        }
    }
}
