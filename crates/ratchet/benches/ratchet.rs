//! CPU time of session set-up and letters, beside vodozemac (which has no post-quantum part).
//!
//! Ours and theirs alternate in one process, a batch each, so that both see the same machine. Each figure is the
//! median of the batches, in microseconds of CPU time. Decoding and encoding of messages count on both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use keys::{SigningKey, Timestamp, X25519Public, X25519Secret};
use letterlock_ratchet::{
    Address, IncomingMessage, IncomingPreKeyMessage, KemPreKey, Local, MessageKind, OneTimePreKey,
    Outgoing, OwnPreKeys, PreKeyBundle, PreKeyKind, PreKeySigner, Profile, Record, Remote,
    SignedPreKey,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rustix::time::{ClockId, clock_gettime};
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const EXPIRES: Timestamp = Timestamp::from_secs(1_900_000_000);
const TEXT: [u8; 32] = [b'x'; 32];
const BATCHES: usize = 21;

/// CPU time of this process in microseconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Runs `work` `times` times and gives microseconds for one.
fn each(times: usize, mut work: impl FnMut()) -> f64 {
    let before = cpu();
    for _ in 0..times {
        work();
    }
    (cpu() - before) / times as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    *figures.get(figures.len() / 2).unwrap()
}

/// A person's keys for both profiles.
struct Person {
    identity: X25519Secret,
    signing: SigningKey,
}

impl Person {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let signing = SigningKey::generate(keys::Suite::Hybrid, rng).unwrap();
        Self {
            identity: X25519Secret::from_random(rng),
            signing,
        }
    }

    fn public(&self) -> X25519Public {
        self.identity.public()
    }

    fn local<'a>(&'a self, profile: Profile, lists: &'a [&'a [u8]]) -> Local<'a> {
        match profile {
            Profile::Signal => Local::signal(&self.identity, 1),
            Profile::Letterlock => Local::letterlock(&self.identity, &self.signing, 1, lists),
        }
    }

    fn remote<'a>(&'a self, profile: Profile, list: &'a [u8]) -> Remote<'a> {
        match profile {
            Profile::Signal => Remote::signal(self.public()),
            Profile::Letterlock => {
                Remote::letterlock(self.public(), self.signing.verifying_key(), list)
            }
        }
    }
}

struct PreKeys {
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: OneTimePreKey,
}

impl PreKeys {
    fn new(profile: Profile, of: &Person, rng: &mut ChaCha20Rng) -> Self {
        let signer = match profile {
            Profile::Signal => PreKeySigner::Signal(&of.identity),
            Profile::Letterlock => PreKeySigner::Letterlock {
                key: &of.signing,
                expires: EXPIRES,
            },
        };
        Self {
            signed: SignedPreKey::generate(1, &signer, rng).unwrap(),
            kem: KemPreKey::generate(2, PreKeyKind::OneTimeKem, &signer, rng).unwrap(),
            one_time: OneTimePreKey::generate(3, rng),
        }
    }

    fn bundle(&self) -> PreKeyBundle {
        PreKeyBundle {
            registration_id: 1,
            signed: self.signed.public().clone(),
            kem: self.kem.public().clone(),
            one_time: Some(*self.one_time.public()),
        }
    }

    fn own(&self) -> OwnPreKeys<'_> {
        OwnPreKeys {
            signed: Some(&self.signed),
            one_time: Some(&self.one_time),
            kem: Some(&self.kem),
            base_key_seen: false,
        }
    }
}

fn record(profile: Profile, ours: &'static str, theirs: &'static str) -> Record {
    match profile {
        Profile::Signal => Record::signal(Address::new(ours, 1), Address::new(theirs, 1)),
        Profile::Letterlock => Record::letterlock(),
    }
}

const ALICE: &str = "9d0652a3-dcc3-4d11-975f-74d61598733f";
const BOB: &str = "796abedb-ca4e-4f18-8803-1fde5b921f9f";

/// Two people in one profile.
struct World {
    profile: Profile,
    alice: Person,
    bob: Person,
    keys: PreKeys,
    rng: ChaCha20Rng,
}

const LISTS: (&[u8], &[u8]) = (&[1; 64], &[2; 64]);

impl World {
    fn new(profile: Profile) -> Self {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let (alice, bob) = (Person::new(&mut rng), Person::new(&mut rng));
        let keys = PreKeys::new(profile, &bob, &mut rng);
        Self {
            profile,
            alice,
            bob,
            keys,
            rng,
        }
    }

    fn initiate(&mut self) -> Record {
        let mut record = record(self.profile, ALICE, BOB);
        let local = self.alice.local(self.profile, &[LISTS.0]);
        let remote = self.bob.remote(self.profile, LISTS.1);
        record
            .initiate(&local, &remote, &self.keys.bundle(), NOW, &mut self.rng)
            .unwrap();
        record
    }

    fn respond(&mut self, first: &Outgoing) -> Record {
        let mut record = record(self.profile, BOB, ALICE);
        let local = self.bob.local(self.profile, &[LISTS.1]);
        let remote = self.alice.remote(self.profile, LISTS.0);
        let incoming = IncomingPreKeyMessage::decode(self.profile, &first.bytes).unwrap();
        record
            .respond(
                &incoming,
                &local,
                &remote,
                &self.keys.own(),
                NOW,
                &mut self.rng,
            )
            .unwrap();
        record
    }

    /// Sessions in which both have heard each other.
    fn conversation(&mut self) -> (Record, Record) {
        let mut alice = self.initiate();
        let first = alice.encrypt(&TEXT, NOW, &mut self.rng).unwrap();
        let mut bob = self.respond(&first);
        self.pass(&mut bob, &mut alice);
        (alice, bob)
    }

    fn pass(&mut self, from: &mut Record, to: &mut Record) -> usize {
        let sent = from.encrypt(&TEXT, NOW, &mut self.rng).unwrap();
        self.open(to, &sent);
        sent.bytes.len() - TEXT.len()
    }

    fn open(&mut self, to: &mut Record, sent: &Outgoing) {
        assert_eq!(sent.kind, MessageKind::Message);
        let incoming = IncomingMessage::decode(self.profile, &sent.bytes).unwrap();
        to.decrypt(&incoming, NOW, &mut self.rng).unwrap();
    }
}

/// Two people of vodozemac.
struct Olm {
    alice: Account,
    bob: Account,
}

impl Olm {
    fn new() -> Self {
        Self {
            alice: Account::new(),
            bob: Account::new(),
        }
    }

    fn one_time_key(&mut self) -> vodozemac::Curve25519PublicKey {
        self.bob.generate_one_time_keys(1);
        let key = *self.bob.one_time_keys().values().next().unwrap();
        self.bob.mark_keys_as_published();
        key
    }

    fn initiate(&self, one_time: vodozemac::Curve25519PublicKey) -> Session {
        let config = SessionConfig::version_1();
        self.alice
            .create_outbound_session(config, self.bob.curve25519_key(), one_time)
            .unwrap()
    }

    fn respond(&mut self, first: &(usize, Vec<u8>)) -> Session {
        let OlmMessage::PreKey(first) = OlmMessage::from_parts(first.0, &first.1).unwrap() else {
            panic!("a pre-key message comes first")
        };
        let config = SessionConfig::version_1();
        self.bob
            .create_inbound_session(config, self.alice.curve25519_key(), &first)
            .unwrap()
            .session
    }

    fn conversation(&mut self) -> (Session, Session) {
        let key = self.one_time_key();
        let mut alice = self.initiate(key);
        let mut bob = self.respond(&alice.encrypt(TEXT).unwrap().to_parts());
        olm_pass(&mut bob, &mut alice);
        (alice, bob)
    }
}

fn olm_pass(from: &mut Session, to: &mut Session) {
    olm_open(to, &from.encrypt(TEXT).unwrap().to_parts());
}

fn olm_open(to: &mut Session, sent: &(usize, Vec<u8>)) {
    to.decrypt(&OlmMessage::from_parts(sent.0, &sent.1).unwrap())
        .unwrap();
}

/// One line of the table: `signal`, `letterlock`, vodozemac.
struct Line {
    what: &'static str,
    figures: [Vec<f64>; 3],
}

impl Line {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            figures: Default::default(),
        }
    }

    fn add(&mut self, column: usize, figure: f64) {
        self.figures.get_mut(column).unwrap().push(figure);
    }

    fn print(self) {
        let [signal, letterlock, olm] = self.figures.map(median);
        println!(
            "{:<36} {signal:>8.1} {letterlock:>11.1} {olm:>10.1}",
            self.what
        );
    }
}

fn set_up(worlds: &mut [World; 2]) {
    const TIMES: usize = 40;
    let (mut initiate, mut respond) = (
        Line::new("initiate"),
        Line::new("respond, first letter decrypted"),
    );
    for _ in 0..BATCHES {
        for (column, world) in worlds.iter_mut().enumerate() {
            let mut begun = Vec::new();
            initiate.add(column, each(TIMES, || begun.push(world.initiate())));
            let mut first = begun
                .iter_mut()
                .map(|record| record.encrypt(&TEXT, NOW, &mut world.rng).unwrap());
            let first: Vec<_> = first.by_ref().collect();
            let mut first = first.iter();
            respond.add(
                column,
                each(TIMES, || drop(world.respond(first.next().unwrap()))),
            );
        }
        let mut olm = Olm::new();
        let keys: Vec<_> = (0..TIMES).map(|_| olm.one_time_key()).collect();
        let (mut keys, mut begun) = (keys.into_iter(), Vec::new());
        initiate.add(
            2,
            each(TIMES, || begun.push(olm.initiate(keys.next().unwrap()))),
        );
        let first: Vec<_> = begun
            .iter_mut()
            .map(|session| session.encrypt(TEXT).unwrap().to_parts())
            .collect();
        let mut first = first.iter();
        respond.add(2, each(TIMES, || drop(olm.respond(first.next().unwrap()))));
    }
    initiate.print();
    respond.print();
}

fn round_trips(worlds: &mut [World; 2]) {
    const TIMES: usize = 400;
    let mut line = Line::new("round trip of two letters");
    let mut overheads = [Vec::new(), Vec::new()];
    let mut pairs = worlds.each_mut().map(World::conversation);
    let mut olm = Olm::new();
    let mut olm_pair = olm.conversation();
    for _ in 0..BATCHES {
        for (column, (world, (alice, bob))) in worlds.iter_mut().zip(&mut pairs).enumerate() {
            let overhead = overheads.get_mut(column).unwrap();
            let figure = each(TIMES, || {
                overhead.push(world.pass(alice, bob) as f64);
                overhead.push(world.pass(bob, alice) as f64);
            });
            line.add(column, figure);
        }
        let (alice, bob) = &mut olm_pair;
        let figure = each(TIMES, || {
            olm_pass(alice, bob);
            olm_pass(bob, alice);
        });
        line.add(2, figure);
    }
    line.print();
    let [signal, letterlock] = overheads.map(|all| all.iter().sum::<f64>() / all.len() as f64);
    println!(
        "{:<36} {signal:>8.1} {letterlock:>11.1}   (bytes)",
        "mean overhead over 32 bytes"
    );
}

fn same_chain(worlds: &mut [World; 2]) {
    const TIMES: usize = 500;
    let (mut encrypt, mut decrypt) = (
        Line::new("same chain: encrypt"),
        Line::new("same chain: decrypt"),
    );
    let mut pairs = worlds.each_mut().map(World::conversation);
    let mut olm = Olm::new();
    let mut olm_pair = olm.conversation();
    for _ in 0..BATCHES {
        for (column, (world, (alice, bob))) in worlds.iter_mut().zip(&mut pairs).enumerate() {
            world.pass(bob, alice);
            world.pass(alice, bob);
            let mut sent = Vec::with_capacity(TIMES);
            let figure = each(TIMES, || {
                sent.push(alice.encrypt(&TEXT, NOW, &mut world.rng).unwrap())
            });
            encrypt.add(column, figure);
            let mut sent = sent.iter();
            decrypt.add(
                column,
                each(TIMES, || world.open(bob, sent.next().unwrap())),
            );
        }
        let (alice, bob) = &mut olm_pair;
        olm_pass(bob, alice);
        olm_pass(alice, bob);
        let mut sent = Vec::with_capacity(TIMES);
        encrypt.add(
            2,
            each(TIMES, || sent.push(alice.encrypt(TEXT).unwrap().to_parts())),
        );
        let mut sent = sent.iter();
        decrypt.add(2, each(TIMES, || olm_open(bob, sent.next().unwrap())));
    }
    encrypt.print();
    decrypt.print();
}

fn main() {
    println!(
        "{:<36} {:>8} {:>11} {:>10}",
        "microseconds of CPU time", "signal", "letterlock", "vodozemac"
    );
    let mut worlds = [World::new(Profile::Signal), World::new(Profile::Letterlock)];
    set_up(&mut worlds);
    round_trips(&mut worlds);
    same_chain(&mut worlds);
}
