//! An account with one device.

use keys::account_log::{DeviceSecrets, RootSecret, genesis};
use keys::{AccountId, DeviceId, QueueId, Suite, Timestamp, label};
use rand_core::CryptoRng;
use wire::{FrontDoor, PublishKeyPackages, PublishPreKeys, Register, Request, SendToken};

/// An account and the secrets of its device.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) log: Vec<u8>,
    pub(crate) device: DeviceSecrets,
}

impl Account {
    pub(crate) fn draw(rng: &mut dyn CryptoRng) -> Self {
        Self::draw_at(rng, Timestamp::from_secs(1_700_000_000))
    }

    /// One whose log begins at a time.
    pub(crate) fn draw_at(rng: &mut dyn CryptoRng, now: Timestamp) -> Self {
        let root = RootSecret::generate(keys::Suite::Hybrid, rng).unwrap();
        let device = DeviceSecrets::generate(keys::Suite::Hybrid, rng).unwrap();
        let log = genesis(&root, &device, now).unwrap();
        Self {
            id: *log.account_id(),
            log: log.bytes().to_vec(),
            device,
        }
    }

    /// The same account as another device speaks for it.
    pub(crate) fn with_device(&self, device: DeviceSecrets) -> Self {
        Self {
            id: self.id,
            log: self.log.clone(),
            device,
        }
    }

    pub(crate) fn device_id(&self) -> DeviceId {
        *self.device.device_id()
    }

    pub(crate) fn registration(&self, name: &str) -> Request {
        self.registration_with(name, None)
    }

    pub(crate) fn registration_with(&self, name: &str, code: Option<&str>) -> Request {
        Request::Register(Register {
            name: name.to_owned(),
            log: self.log.clone(),
            code: code.map(str::to_owned),
        })
    }

    /// A publication of so many one-time pre-keys of each kind, counted from a number, and signed.
    pub(crate) fn publication(&self, first: u32, count: u32) -> PublishPreKeys {
        let record = |kind: &str, number: u32| format!("{kind} pre-key {number}").into_bytes();
        let one_time = |kind| {
            let numbers = first..first.saturating_add(count);
            numbers.map(|number| record(kind, number)).collect()
        };
        self.signed(PublishPreKeys {
            account: self.id,
            device: self.device_id(),
            identity: b"identity".to_vec(),
            signed_ec: b"signed EC pre-key".to_vec(),
            last_resort_kem: b"last-resort KEM pre-key".to_vec(),
            one_time_ec: one_time("EC"),
            one_time_kem: one_time("KEM"),
            front_door: FrontDoor {
                queue_id: QueueId::from_bytes([7; 16]),
                token: SendToken::from_bytes([8; 32]),
            },
            replace_one_time: false,
            signature: Vec::new(),
        })
    }

    /// A publication of so many key packages, counted from a number, and signed.
    pub(crate) fn packages(&self, first: u32, count: u32) -> PublishKeyPackages {
        let numbers = first..first.saturating_add(count);
        self.signed_packages(PublishKeyPackages {
            account: self.id,
            device: self.device_id(),
            suite: Suite::Hybrid,
            packages: numbers
                .map(|number| format!("key package {number}").into_bytes())
                .collect(),
            last_resort: None,
            replace: false,
            signature: Vec::new(),
        })
    }

    pub(crate) fn signed_packages(&self, mut request: PublishKeyPackages) -> PublishKeyPackages {
        let message = wire::publish_key_packages_message(&request);
        let label = label::PUBLISH_KEY_PACKAGES;
        let signature = self.device.signing().sign(label, &message);
        request.signature = signature.unwrap().as_bytes().to_vec();
        request
    }

    pub(crate) fn signed(&self, mut request: PublishPreKeys) -> PublishPreKeys {
        let message = wire::publish_message(&request);
        let signature = self.device.signing().sign(label::PUBLISH, &message);
        request.signature = signature.unwrap().as_bytes().to_vec();
        request
    }
}
