//! Two people with all that a caller of the crate keeps: identities, pre-keys, a record, the memory of base keys.
//!
//! [`Person::read`] checks at every refusal that record and pre-keys are as they were.
#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code, of which unit and integration tests each use a part"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;

use keys::{SigningKey, Timestamp, VerifyingKey, X25519Public, X25519Secret};
use letterlock_ratchet::{
    Address, BaseKeyUse, DecryptError, EncryptError, IncomingMessage, IncomingPreKeyMessage,
    InitiateError, KemPreKey, Local, MalformedMessage, MessageKind, OneTimePreKey, Outgoing,
    OwnPreKeys, PreKeyBundle, PreKeyKind, PreKeySigner, Profile, Received, Record, Remote,
    SignedPreKey,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};

pub(crate) const PROFILES: [Profile; 2] = [Profile::Signal, Profile::Letterlock];
pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const DAY: u64 = 24 * 3600;
/// When the pre-keys of [`Person::bundle`] expire.
pub(crate) const EXPIRES: Timestamp = START.saturating_add(365 * DAY);

/// Why a message was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    Duplicate,
    Refused,
}

impl From<MalformedMessage> for Refusal {
    fn from(_: MalformedMessage) -> Self {
        Self::Malformed
    }
}

impl From<DecryptError> for Refusal {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::Duplicate => Self::Duplicate,
            _ => Self::Refused,
        }
    }
}

/// Whether a bundle is made while one-time pre-keys are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stock {
    OneTime,
    LastResort,
}

/// A seeded generator whose next draws of 32 bytes a test may prescribe.
pub(crate) struct Draws {
    prescribed: VecDeque<[u8; 32]>,
    seeded: ChaCha20Rng,
}

impl Draws {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            prescribed: VecDeque::new(),
            seeded: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    pub(crate) fn prescribe(&mut self, draw: [u8; 32]) {
        self.prescribed.push_back(draw);
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.seeded.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.seeded.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        match self.prescribed.pop_front() {
            Some(draw) => out.copy_from_slice(&draw),
            None => self.seeded.fill_bytes(out),
        }
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

/// Published pre-keys with their private halves.
#[derive(Default)]
pub(crate) struct PreKeys {
    pub(crate) signed: BTreeMap<u32, SignedPreKey>,
    pub(crate) one_time: BTreeMap<u32, OneTimePreKey>,
    pub(crate) kem: BTreeMap<u32, KemPreKey>,
    pub(crate) seen: BTreeSet<BaseKeyUse>,
    last_id: u32,
}

impl PreKeys {
    pub(crate) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn len(&self) -> (usize, usize, usize, usize) {
        (
            self.signed.len(),
            self.one_time.len(),
            self.kem.len(),
            self.seen.len(),
        )
    }
}

/// What others know of a person.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) identity: X25519Public,
    pub(crate) verifying: VerifyingKey,
    pub(crate) list: Vec<u8>,
}

impl Card {
    pub(crate) fn remote(&self, profile: Profile) -> Remote<'_> {
        match profile {
            Profile::Signal => Remote::signal(self.identity),
            Profile::Letterlock => Remote::letterlock(self.identity, &self.verifying, &self.list),
        }
    }
}

/// One device and everything it keeps.
pub(crate) struct Person {
    pub(crate) profile: Profile,
    pub(crate) identity: X25519Secret,
    pub(crate) signing: SigningKey,
    pub(crate) registration_id: u32,
    /// Hashes of the own device list, newest first.
    pub(crate) lists: Vec<Vec<u8>>,
    pub(crate) pre_keys: PreKeys,
    pub(crate) record: Record,
    pub(crate) rng: Draws,
}

fn address(name: u8) -> Address {
    Address::new(&format!("9d0652a3-dcc3-4d11-975f-74d615987{name:03x}"), 1)
}

impl Person {
    /// `own` and `other` name the two; a record is between them.
    pub(crate) fn new(profile: Profile, own: u8, other: u8, seed: u64) -> Self {
        let mut rng = Draws::seeded(seed.wrapping_mul(256).wrapping_add(own.into()));
        let record = match profile {
            Profile::Signal => Record::signal(address(own), address(other)),
            Profile::Letterlock => Record::letterlock(),
        };
        Self {
            profile,
            identity: X25519Secret::from_random(&mut rng),
            signing: SigningKey::generate(keys::Suite::Hybrid, &mut rng).unwrap(),
            registration_id: rng.next_u32() >> 18,
            lists: vec![vec![own; 64]],
            pre_keys: PreKeys::default(),
            record,
            rng,
        }
    }

    pub(crate) fn card(&self) -> Card {
        Card {
            identity: self.identity.public(),
            verifying: self.signing.verifying_key().clone(),
            list: self.lists[0].clone(),
        }
    }

    /// Makes new pre-keys and publishes them.
    pub(crate) fn bundle(&mut self, stock: Stock) -> PreKeyBundle {
        self.bundle_until(stock, EXPIRES)
    }

    pub(crate) fn bundle_until(&mut self, stock: Stock, expires: Timestamp) -> PreKeyBundle {
        let signer = match self.profile {
            Profile::Signal => PreKeySigner::Signal(&self.identity),
            Profile::Letterlock => PreKeySigner::Letterlock {
                key: &self.signing,
                expires,
            },
        };
        let keys = &mut self.pre_keys;
        let rng = &mut self.rng;
        let signed = SignedPreKey::generate(keys.next_id(), &signer, rng).unwrap();
        let kind = match stock {
            Stock::OneTime => PreKeyKind::OneTimeKem,
            Stock::LastResort => PreKeyKind::LastResortKem,
        };
        let kem = KemPreKey::generate(keys.next_id(), kind, &signer, rng).unwrap();
        let one_time =
            (stock == Stock::OneTime).then(|| OneTimePreKey::generate(keys.next_id(), rng));
        let bundle = PreKeyBundle {
            registration_id: self.registration_id,
            signed: signed.public().clone(),
            kem: kem.public().clone(),
            one_time: one_time.as_ref().map(|key| *key.public()),
        };
        keys.signed.insert(bundle.signed.id, signed);
        keys.kem.insert(bundle.kem.id, kem);
        keys.one_time
            .extend(one_time.map(|key| (key.public().id, key)));
        bundle
    }

    /// Begins a session with a bundle.
    pub(crate) fn start(
        &mut self,
        peer: &Card,
        bundle: &PreKeyBundle,
        now: Timestamp,
    ) -> Result<(), InitiateError> {
        let before = self.stored();
        let lists: Vec<&[u8]> = self.lists.iter().map(Vec::as_slice).collect();
        let local = local(
            self.profile,
            &self.identity,
            &self.signing,
            self.registration_id,
            &lists,
        );
        let remote = peer.remote(self.profile);
        let begun = self
            .record
            .initiate(&local, &remote, bundle, now, &mut self.rng);
        assert!(
            begun.is_ok() || self.stored() == before,
            "a refused bundle changed the record"
        );
        begun
    }

    pub(crate) fn write(&mut self, text: &[u8], now: Timestamp) -> Result<Outgoing, EncryptError> {
        let before = self.stored();
        let sent = self.record.encrypt(text, now, &mut self.rng);
        assert!(
            sent.is_ok() || self.stored() == before,
            "a refused text changed the record"
        );
        sent
    }

    /// Reads a message, and does with pre-keys what the crate says.
    pub(crate) fn read(
        &mut self,
        peer: &Card,
        message: &Outgoing,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let before = (self.stored(), self.pre_keys.len());
        let read = self.read_unchecked(peer, message, now);
        let unchanged = (self.stored(), self.pre_keys.len()) == before;
        assert_eq!(read.is_err(), unchanged, "{read:?}");
        read
    }

    fn read_unchecked(
        &mut self,
        peer: &Card,
        message: &Outgoing,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let received = match message.kind {
            MessageKind::Message => {
                let incoming = IncomingMessage::decode(self.profile, &message.bytes)?;
                self.record.decrypt(&incoming, now, &mut self.rng)?
            }
            MessageKind::PreKey => {
                let incoming = IncomingPreKeyMessage::decode(self.profile, &message.bytes)?;
                self.respond(peer, &incoming, now)?
            }
        };
        if let Some(used) = received.used {
            let keys = &mut self.pre_keys;
            used.one_time.map(|id| keys.one_time.remove(&id).unwrap());
            used.one_time_kem.map(|id| keys.kem.remove(&id).unwrap());
            keys.seen.extend(used.remember);
        }
        Ok(received.plaintext)
    }

    fn respond(
        &mut self,
        peer: &Card,
        incoming: &IncomingPreKeyMessage,
        now: Timestamp,
    ) -> Result<Received, DecryptError> {
        let named = incoming.named();
        let own = OwnPreKeys {
            signed: self.pre_keys.signed.get(&named.signed_id),
            one_time: named
                .one_time_id
                .and_then(|id| self.pre_keys.one_time.get(&id)),
            kem: self.pre_keys.kem.get(&named.kem_id),
            base_key_seen: self.pre_keys.seen.contains(&named.base_key_use),
        };
        let lists: Vec<&[u8]> = self.lists.iter().map(Vec::as_slice).collect();
        let local = local(
            self.profile,
            &self.identity,
            &self.signing,
            self.registration_id,
            &lists,
        );
        let remote = peer.remote(self.profile);
        self.record
            .respond(incoming, &local, &remote, &own, now, &mut self.rng)
    }

    /// The stored form of the record.
    pub(crate) fn stored(&self) -> Vec<u8> {
        self.record.encode().expose_secret().to_vec()
    }

    /// Stores the record and everything else, and loads it again.
    pub(crate) fn reload(&mut self) {
        let stored = self.stored();
        self.record = Record::decode(&stored).unwrap();
        assert_eq!(self.stored(), stored);
        let keys = &mut self.pre_keys;
        for key in keys.signed.values_mut() {
            *key = SignedPreKey::decode(key.encode().expose_secret()).unwrap();
        }
        for key in keys.one_time.values_mut() {
            *key = OneTimePreKey::decode(key.encode().expose_secret()).unwrap();
        }
        for key in keys.kem.values_mut() {
            *key = KemPreKey::decode(key.encode().expose_secret()).unwrap();
        }
    }
}

fn local<'a>(
    profile: Profile,
    identity: &'a X25519Secret,
    signing: &'a SigningKey,
    registration_id: u32,
    lists: &'a [&'a [u8]],
) -> Local<'a> {
    match profile {
        Profile::Signal => Local::signal(identity, registration_id),
        Profile::Letterlock => Local::letterlock(identity, signing, registration_id, lists),
    }
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Alice,
    Bob,
}

use Who::{Alice, Bob};

impl Who {
    pub(crate) fn other(self) -> Self {
        match self {
            Alice => Bob,
            Bob => Alice,
        }
    }
}

/// Two people and the time.
pub(crate) struct Pair {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) now: Timestamp,
}

impl Pair {
    /// Two who have no session.
    pub(crate) fn strangers(profile: Profile, seed: u64) -> Self {
        Self {
            alice: Person::new(profile, 0xa, 0xb, seed),
            bob: Person::new(profile, 0xb, 0xa, seed),
            now: START,
        }
    }

    /// Alice has begun a session and sent nothing.
    pub(crate) fn begun(profile: Profile, seed: u64, stock: Stock) -> Self {
        let mut pair = Self::strangers(profile, seed);
        pair.start(Alice, stock);
        pair
    }

    /// Alice has begun a session and has an answer.
    pub(crate) fn met(profile: Profile, seed: u64) -> Self {
        let mut pair = Self::begun(profile, seed, Stock::OneTime);
        pair.pass(Alice, b"hello");
        pair.pass(Bob, b"hello yourself");
        pair
    }

    pub(crate) fn get(&mut self, who: Who) -> &mut Person {
        match who {
            Alice => &mut self.alice,
            Bob => &mut self.bob,
        }
    }

    fn card(&self, who: Who) -> Card {
        match who {
            Alice => self.alice.card(),
            Bob => self.bob.card(),
        }
    }

    /// Begins a session with new pre-keys of the other.
    pub(crate) fn start(&mut self, who: Who, stock: Stock) {
        let bundle = self.get(who.other()).bundle(stock);
        self.start_with(who, &bundle).unwrap();
    }

    pub(crate) fn start_with(
        &mut self,
        who: Who,
        bundle: &PreKeyBundle,
    ) -> Result<(), InitiateError> {
        let (peer, now) = (self.card(who.other()), self.now);
        self.get(who).start(&peer, bundle, now)
    }

    pub(crate) fn write(&mut self, who: Who, text: &[u8]) -> Outgoing {
        let now = self.now;
        self.get(who).write(text, now).unwrap()
    }

    pub(crate) fn read(&mut self, who: Who, message: &Outgoing) -> Result<Vec<u8>, Refusal> {
        let (peer, now) = (self.card(who.other()), self.now);
        self.get(who).read(&peer, message, now)
    }

    /// One message that is read at once.
    pub(crate) fn pass(&mut self, from: Who, text: &[u8]) {
        let message = self.write(from, text);
        assert_eq!(self.read(from.other(), &message).as_deref(), Ok(text));
    }

    /// Messages to and fro, each read at once.
    pub(crate) fn converse(&mut self, rounds: u32) {
        for round in 0..rounds {
            self.pass(Alice, &round.to_be_bytes());
            self.pass(Bob, &round.to_le_bytes());
        }
    }
}
