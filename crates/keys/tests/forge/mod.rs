//! Entries written by hand after docs/spec/account-log.md, with any field wrong, and signed with real keys.

use letterlock_keys::account_log::{
    DeviceRecord, DeviceSecrets, Method, RecoverySecrets, RecoveryTerms, RootSecret, VerifiedLog,
};
use letterlock_keys::codec::Writer;
use letterlock_keys::{SecretBytes, SigningKey, Suite, X25519Secret, label};

/// A name and the key that signs under it.
pub(crate) struct By {
    pub(crate) name: Vec<u8>,
    pub(crate) key: SigningKey,
}

fn copy(key: &SigningKey) -> SigningKey {
    let seed = SecretBytes::from(key.seed().expose_secret());
    SigningKey::from_seed(key.suite(), seed).unwrap()
}

impl By {
    pub(crate) fn root(root: &RootSecret) -> Self {
        let stored = root.encode();
        let start = stored.len() - root.suite().signing_seed_len();
        let seed = SecretBytes::from(&stored.expose_secret()[start..]);
        let key = SigningKey::from_seed(root.suite(), seed).unwrap();
        Self { name: vec![0], key }
    }

    pub(crate) fn device(device: &DeviceSecrets) -> Self {
        Self {
            name: [&[1], &device.device_id().as_bytes()[..]].concat(),
            key: copy(device.signing()),
        }
    }

    pub(crate) fn recovery(recovery: &RecoverySecrets) -> Self {
        let method = match recovery.method() {
            Method::Sheet => 1,
            Method::Guardians => 2,
        };
        Self {
            name: vec![2, method],
            key: copy(recovery.signing()),
        }
    }

    /// Under this name, by another's key.
    pub(crate) fn with_key_of(&self, other: &Self) -> Self {
        Self {
            name: self.name.clone(),
            key: copy(&other.key),
        }
    }

    pub(crate) fn again(&self) -> Self {
        self.with_key_of(self)
    }
}

/// A device record, each field as it goes out.
#[derive(Clone)]
pub(crate) struct Record {
    /// Not in its own encoding.
    pub(crate) suite: u16,
    pub(crate) id: [u8; 16],
    pub(crate) admin: u8,
    pub(crate) added: u64,
    /// Nothing in `cnsa2`.
    pub(crate) identity: Vec<u8>,
    pub(crate) verifying: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
}

impl Record {
    pub(crate) fn of(device: &DeviceSecrets, admin: bool, added: u64) -> Self {
        let identity = device.identity().map(X25519Secret::public);
        Self {
            suite: device.suite().number(),
            id: *device.device_id().as_bytes(),
            admin: u8::from(admin),
            added,
            identity: identity.map_or_else(Vec::new, |key| key.as_bytes().to_vec()),
            verifying: device.signing().verifying_key().as_bytes().to_vec(),
            envelope: device.envelope().public().as_bytes().to_vec(),
        }
    }

    fn read(record: &DeviceRecord) -> Self {
        let identity = record.identity().map(|key| key.as_bytes().to_vec());
        Self {
            suite: record.suite().number(),
            id: *record.id().as_bytes(),
            admin: u8::from(record.is_admin()),
            added: record.added().as_secs(),
            identity: identity.unwrap_or_default(),
            verifying: record.verifying_key().as_bytes().to_vec(),
            envelope: record.envelope().as_bytes().to_vec(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(&self.id);
        out.u8(self.admin);
        out.u64(self.added);
        out.array(&self.identity);
        out.array(&self.verifying);
        out.array(&self.envelope);
        out.finish()
    }
}

/// The payload of a set-recovery entry after its time.
pub(crate) fn recovery_payload(recovery: &RecoverySecrets, terms: &RecoveryTerms) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(&By::recovery(recovery).name[1..]);
    out.u8(1);
    out.array(recovery.verifying_key().as_bytes());
    out.array(recovery.envelope().public().as_bytes());
    out.array(&recovery.head_id());
    out.u64(terms.delay_seconds);
    out.u8(terms.need);
    out.u8(u8::try_from(terms.commitments.len()).unwrap());
    out.array(&terms.commitments.concat());
    out.finish()
}

/// An entry that goes on from a log. Made right; each field may be changed.
pub(crate) struct Forged {
    pub(crate) suite: u16,
    pub(crate) account: [u8; 32],
    pub(crate) sequence: u64,
    pub(crate) previous: [u8; 64],
    pub(crate) kind: u8,
    pub(crate) at: u64,
    /// After the time.
    pub(crate) payload: Vec<u8>,
    /// The devices after the entry.
    pub(crate) devices: Vec<Record>,
    /// `None`: the right one.
    pub(crate) device_list: Option<[u8; 64]>,
    pub(crate) by: Vec<By>,
    pub(crate) before: Vec<u8>,
}

impl Forged {
    pub(crate) fn after(log: &VerifiedLog, kind: u8, at: u64, payload: &[u8], by: Vec<By>) -> Self {
        Self {
            suite: log.suite().number(),
            account: *log.account_id().as_bytes(),
            sequence: log.head().sequence + 1,
            previous: log.head().hash,
            kind,
            at,
            payload: payload.to_vec(),
            devices: log.devices().iter().map(Record::read).collect(),
            device_list: None,
            by,
            before: log.bytes().to_vec(),
        }
    }

    pub(crate) fn add(log: &VerifiedLog, record: &Record, at: u64, by: Vec<By>) -> Self {
        let mut entry = Self::after(log, 2, at, &record.encode(), by);
        entry.devices.push(record.clone());
        entry
    }

    pub(crate) fn revoke(log: &VerifiedLog, id: &DeviceSecrets, at: u64, by: Vec<By>) -> Self {
        let id = id.device_id().as_bytes();
        let payload = [&id[..], &[1]].concat();
        let mut entry = Self::after(log, 3, at, &payload, by);
        entry.devices.retain(|device| device.id != *id);
        entry
    }

    pub(crate) fn rotate(log: &VerifiedLog, record: &Record, at: u64, by: Vec<By>) -> Self {
        let mut entry = Self::after(log, 4, at, &record.encode(), by);
        for device in &mut entry.devices {
            if device.id == record.id {
                *device = record.clone();
            }
        }
        entry
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut sorted = self.devices.clone();
        sorted.sort_by_key(|device| device.id);
        let mut records = Writer::new();
        for record in &sorted {
            if self.suite != 1 {
                records.u16(record.suite);
            }
            records.array(&record.encode());
        }
        let text = [label::DEVICE_LIST.as_bytes(), &[0], &records.finish()].concat();
        let suite = Suite::from_number(self.suite).unwrap_or(Suite::Hybrid);
        let right = suite.hash(&[&text]);
        let mut payload = Writer::new();
        payload.u64(self.at);
        payload.array(&self.payload);
        let mut out = Writer::new();
        out.u16(self.suite);
        out.array(&self.account);
        out.u64(self.sequence);
        out.array(&self.previous);
        out.u8(self.kind);
        out.bytes(&payload.finish());
        out.array(&self.device_list.unwrap_or(right));
        out.finish()
    }

    /// The whole log with this entry at its end.
    pub(crate) fn log(&self) -> Vec<u8> {
        let body = self.body();
        let mut out = Writer::new();
        out.u8(1);
        let count = u32::from_be_bytes(self.before[1..5].try_into().unwrap());
        out.u32(count + 1);
        out.array(&self.before[5..]);
        out.bytes(&body);
        out.u8(u8::try_from(self.by.len()).unwrap());
        for by in &self.by {
            out.array(&by.name);
            let signature = by.key.sign(label::LOG_ENTRY, &body).unwrap();
            out.bytes(signature.as_bytes());
        }
        out.finish()
    }
}
