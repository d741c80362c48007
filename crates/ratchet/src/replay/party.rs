//! One side of a conversation: its keys, its record, and what a client remembers beside it.

use super::facts::Facts;
use super::json::{bytes, secret, small, text};
use super::{ReplayError, primitives};
use crate::address::Address;
use crate::incoming::{BaseKeyUse, IncomingMessage, IncomingPreKeyMessage, MessageKind};
use crate::initiate::OwnPreKeys;
use crate::party::{Local, Remote};
use crate::pre_key::{KemPreKey, OneTimePreKey, SignedPreKey};
use crate::profile::Profile;
use crate::record::{DecryptError, Received, Record};
use crate::wire::encode_key;
use keys::{Timestamp, X25519Public, X25519Secret};
use rand_core::CryptoRng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Vectors record no times; all is done at once.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// One side.
pub(super) struct Party {
    /// The address as it is written.
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) identity: X25519Secret,
    pub(super) registration_id: u32,
    pub(super) record: Record,
    pub(super) signed: BTreeMap<u32, SignedPreKey>,
    pub(super) one_time: BTreeMap<u32, OneTimePreKey>,
    pub(super) kem: BTreeMap<u32, KemPreKey>,
    /// Memory of base keys, as long as the pre-keys.
    base_keys: BTreeSet<BaseKeyUse>,
    /// The peer's identity key, from first use on.
    pub(super) trusted: Option<X25519Public>,
}

/// Why a message was refused, as far as vectors tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Duplicate,
    Other,
}

/// A message on the wire.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wire {
    pub(super) kind: MessageKind,
    pub(super) bytes: Vec<u8>,
}

impl Wire {
    /// Fields `type` and `wire`.
    pub(super) fn of(step: &Value) -> Result<Self, ReplayError> {
        let kind = match small(step, "type")? {
            2_u8 => MessageKind::Message,
            3 => MessageKind::PreKey,
            other => return Err(ReplayError::new(format!("type {other} is none of ours"))),
        };
        let bytes = bytes(step, "wire")?;
        Ok(Self { kind, bytes })
    }
}

/// Reads what is said of one side: its address.
pub(super) fn address_of(json: &Value) -> Result<Address, ReplayError> {
    let device = small(json, "device_id")?;
    Ok(Address::new(text(json, "address")?, device))
}

/// A copy by way of the stored form, which must hold all that matters.
pub(super) fn stored(record: &Record) -> Result<Record, ReplayError> {
    Record::decode(&record.encode().into_zeroizing())
        .map_err(|error| ReplayError::new(format!("the stored record does not load: {error}")))
}

impl Party {
    pub(super) fn new(own: &Value, peer: &Value, facts: &mut Facts) -> Result<Self, ReplayError> {
        let identity = X25519Secret::from_secret(&secret(own, "identity_private")?);
        let public = bytes(own, "identity_public")?;
        facts.bytes("identity key", &encode_key(&identity.public()), &public)?;
        primitives::key(own, "identity_public")?;
        let address = address_of(own)?;
        Ok(Self {
            name: text(own, "address")?.to_owned(),
            record: Record::signal(address.clone(), address_of(peer)?),
            address,
            identity,
            registration_id: small(own, "registration_id")?,
            signed: BTreeMap::new(),
            one_time: BTreeMap::new(),
            kem: BTreeMap::new(),
            base_keys: BTreeSet::new(),
            trusted: None,
        })
    }

    pub(super) fn local(&self) -> Local<'_> {
        Local::signal(&self.identity, self.registration_id)
    }

    /// Stores the record and loads it again.
    pub(super) fn reload(&mut self) -> Result<(), ReplayError> {
        self.record = stored(&self.record)?;
        Ok(())
    }

    /// Opens a message with a record that may be a copy; nothing else changes. `trusted` is the peer's identity key
    /// if it is known; on first use the one that the message names.
    pub(super) fn open(
        &self,
        record: &mut Record,
        trusted: Option<X25519Public>,
        wire: &Wire,
        rng: &mut dyn CryptoRng,
    ) -> Result<Received, Refusal> {
        let outcome = match wire.kind {
            MessageKind::Message => {
                let incoming = IncomingMessage::decode(Profile::Signal, &wire.bytes)
                    .map_err(|_| Refusal::Other)?;
                record.decrypt(&incoming, NOW, rng)
            }
            MessageKind::PreKey => {
                let incoming = IncomingPreKeyMessage::decode(Profile::Signal, &wire.bytes)
                    .map_err(|_| Refusal::Other)?;
                let remote = Remote::signal(trusted.unwrap_or(*incoming.named().identity));
                let own = self.own_pre_keys(&incoming);
                record.respond(&incoming, &self.local(), &remote, &own, NOW, rng)
            }
        };
        outcome.map_err(|error| match error {
            DecryptError::Duplicate => Refusal::Duplicate,
            DecryptError::Refused => Refusal::Other,
        })
    }

    fn own_pre_keys(&self, incoming: &IncomingPreKeyMessage) -> OwnPreKeys<'_> {
        let named = incoming.named();
        OwnPreKeys {
            signed: self.signed.get(&named.signed_id),
            one_time: named.one_time_id.and_then(|id| self.one_time.get(&id)),
            kem: self.kem.get(&named.kem_id),
            base_key_seen: self.base_keys.contains(&named.base_key_use),
        }
    }

    /// Opens a message and takes all that follows from it.
    pub(super) fn receive(
        &mut self,
        wire: &Wire,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Refusal> {
        let (ours, theirs) = (self.address.clone(), self.address.clone());
        let mut record = std::mem::replace(&mut self.record, Record::signal(ours, theirs));
        let outcome = self.open(&mut record, self.trusted, wire, rng);
        self.record = record;
        let received = outcome?;
        if let Ok(incoming) = IncomingPreKeyMessage::decode(Profile::Signal, &wire.bytes) {
            self.trusted.get_or_insert(*incoming.named().identity);
        }
        if let Some(used) = received.used {
            self.one_time.retain(|id, _| Some(*id) != used.one_time);
            self.kem.retain(|id, _| Some(*id) != used.one_time_kem);
            self.base_keys.extend(used.remember);
        }
        Ok(received.plaintext)
    }
}
