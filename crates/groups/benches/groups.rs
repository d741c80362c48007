//! CPU time of commits, letters and joins in groups, beside openmls on its provider of RustCrypto.
//!
//! Ours and theirs take turns in one process. A figure is the median, in microseconds of CPU time of one operation;
//! messages are decoded and encoded on both sides. In a fresh tree nobody but the founder has committed, so a path is
//! sealed to every leaf; in a warm one everybody has. The library alone is measured beside openmls, then the crate's own
//! API over it, where every change is judged and the tree travels apart.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

#[path = "../tests/peers/mod.rs"]
#[allow(dead_code, reason = "test and benchmark take a part each")]
mod peers;
#[allow(dead_code, reason = "tests and benchmark take a part each")]
#[path = "../tests/members/support.rs"]
mod support;

use keys::account_log::{DeviceSecrets, RootSecret, UnverifiedLog, genesis};
use keys::{GroupId, LeafKey, QueueId, Secret, Suite};
use letterlock_groups::replay::{self, CNSA2, HYBRID};
use letterlock_groups::{
    Directory, Group, GroupData, Inbox, KnownDevice, LeafName, OurDevice, Role, Wishes, key_package,
};
use mls_rs_core::crypto::CipherSuite;
use peers::{Change, Member, Received, ours, theirs};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rustix::time::{ClockId, clock_gettime};
use support::{NOW, Person, Town};

const TEXT: [u8; 100] = [b'x'; 100];
/// Letters between two looks at the clock, which takes half a microsecond itself.
const BATCH: usize = 16;

/// CPU time of this process in microseconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = cpu();
    let result = work();
    (cpu() - before, result)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

fn somebody(side: Side, suite: CipherSuite, number: usize) -> Box<dyn Member> {
    let name = format!("member {number}");
    match side {
        Side::Ours => {
            let seed = keys::sha256(&[name.as_bytes()]);
            let provider = replay::provider(Secret::from_fn(|out| *out = seed));
            Box::new(ours::member(provider, suite, &name))
        }
        Side::Theirs => Box::new(theirs::member(suite, &name)),
    }
}

/// A founder who added all others at once, and how long the first of these took to join.
struct Party {
    members: Vec<Box<dyn Member>>,
    joins: Vec<f64>,
}

impl Party {
    /// Of `size` leaves, of which the first `present` have joined.
    fn new(side: Side, suite: CipherSuite, size: usize, present: usize) -> Self {
        let mut members: Vec<_> = (0..size).map(|n| somebody(side, suite, n)).collect();
        members[0].create();
        let packages = members[1..].iter_mut().map(|member| member.key_package());
        let packages = packages.collect();
        let (_, welcome) = members[0].commit(Change::Add(packages));
        members[0].apply_own();
        members.truncate(present);
        let mut joins = Vec::new();
        for member in &mut members[1..] {
            joins.push(timed(|| member.join(welcome.as_ref().unwrap())).0);
        }
        Self { members, joins }
    }

    /// Every member commits once.
    fn warm(&mut self) {
        for committer in 0..self.members.len() {
            self.update(committer);
        }
    }

    /// Commit, its own application, and how long the next member takes to follow.
    fn update(&mut self, committer: usize) -> [f64; 3] {
        let (made, (commit, _)) = timed(|| self.members[committer].commit(Change::Nothing));
        let (applied, ()) = timed(|| self.members[committer].apply_own());
        let mut followed = Vec::new();
        for (place, member) in self.members.iter_mut().enumerate() {
            if place != committer {
                let (took, received) = timed(|| member.receive(&commit));
                assert_eq!(received, Received::Commit);
                followed.push(took);
            }
        }
        [made, applied, median(followed)]
    }

    fn letter(&mut self) -> [f64; 2] {
        let members = &mut self.members;
        let (sealed, messages) = timed(|| -> Vec<_> {
            let letters = (0..BATCH).map(|_| members[0].send(&TEXT));
            letters.collect()
        });
        let (opened, ()) = timed(|| {
            for message in &messages {
                assert_eq!(members[1].receive(message), Received::Letter(TEXT.to_vec()));
            }
        });
        [sealed, opened].map(|time| time / BATCH as f64)
    }
}

fn medians<const N: usize>(times: usize, mut work: impl FnMut() -> [f64; N]) -> [f64; N] {
    let figures: Vec<[f64; N]> = (0..times).map(|_| work()).collect();
    std::array::from_fn(|column| median(figures.iter().map(|row| row[column]).collect()))
}

fn line(what: &str, ours: f64, theirs: f64) {
    println!(
        "  {what:<52} {ours:>10.1} {theirs:>10.1} {:>7.2}",
        theirs / ours
    );
}

/// A pair of parties of one size.
fn pair(suite: CipherSuite, size: usize, present: usize) -> [Party; 2] {
    [Side::Ours, Side::Theirs].map(|side| Party::new(side, suite, size, present))
}

fn updates(parties: &mut [Party; 2], tree: &str) {
    let [ours, theirs] = parties;
    let mut rows = [Vec::new(), Vec::new()];
    for _ in 0..21 {
        rows[0].push(ours.update(0));
        rows[1].push(theirs.update(0));
    }
    let column = |side: usize, column: usize| {
        median(
            rows[side]
                .iter()
                .map(|row: &[f64; 3]| row[column])
                .collect(),
        )
    };
    let both = |side: usize| median(rows[side].iter().map(|row| row[0] + row[1]).collect());
    line(
        &format!("self-update, {tree}: commit and apply"),
        both(0),
        both(1),
    );
    line(
        &format!("self-update, {tree}: commit alone"),
        column(0, 0),
        column(1, 0),
    );
    line(
        &format!("process a commit, {tree}"),
        column(0, 2),
        column(1, 2),
    );
}

fn letters(parties: &mut [Party; 2], size: usize) {
    let [ours, theirs] = parties;
    for _ in 0..3 {
        ours.letter();
        theirs.letter();
    }
    let mut figures = [[0.0; 2]; 2];
    for (side, party) in [ours, theirs].into_iter().enumerate() {
        figures[side] = medians(300, || party.letter());
    }
    for (column, what) in ["encrypt", "decrypt"].into_iter().enumerate() {
        let what = format!("letter, {size} members: {what}");
        line(&what, figures[0][column], figures[1][column]);
    }
}

fn suite(suite: CipherSuite, name: &str, large: usize) {
    println!(
        "\n{name}, microseconds of CPU{:>36} {:>10} {:>7}",
        "ours", "openmls", "times"
    );
    letters(&mut pair(suite, 2, 2), 2);

    let mut parties = pair(suite, 100, 3);
    updates(&mut parties, "100, fresh tree");
    letters(&mut parties, 100);
    let mut parties = pair(suite, 100, 100);
    for party in &mut parties {
        party.warm();
    }
    for party in &mut parties {
        party.members.truncate(3);
    }
    updates(&mut parties, "100, warm tree");

    let mut parties = pair(suite, large, 6);
    let joins = parties.each_ref().map(|party| median(party.joins.clone()));
    line(&format!("join, {large} leaves"), joins[0], joins[1]);
    letters(&mut parties, large);
    let us = &mut parties[0].members[1];
    let saves: Vec<f64> = (0..21).map(|_| timed(|| us.save()).0).collect();
    println!(
        "  {:<52} {:>10.1}",
        format!("save, {large} members"),
        median(saves)
    );
    println!("  {:<52} {:>10}", "bytes of state", us.save().unwrap());
}

/// People of the crate's API: a founder who added all others at once, of whom the first have joined.
struct Assembly {
    people: Vec<Person>,
    joins: Vec<f64>,
}

impl Assembly {
    fn new(size: usize, present: usize) -> Self {
        let mut town = Town::new(1);
        // Five devices a person.
        let mut people: Vec<Person> = (0..size)
            .map(|number| town.device(u8::try_from(number / 5).unwrap()))
            .collect();
        town.create(&mut people[0]);
        town.reload(&mut people[0]);
        let add = people[1..].iter_mut().map(|person| town.package(person));
        let add = add.collect();
        let commit = people[0].commit(Wishes {
            add,
            ..Wishes::default()
        });
        let commit = commit.unwrap();
        let tree = commit.next.tree().unwrap();
        people.truncate(present);
        let mut joins = Vec::new();
        for person in &mut people[1..] {
            let id = &person.package().id;
            let mut welcomes = commit.welcomes.iter();
            let welcome = welcomes.find(|welcome| welcome.package == *id).unwrap();
            let directory: Directory = town.directory();
            let (took, group) = timed(|| {
                let sent = (&welcome.message[..], &tree[..]);
                let package = person.package();
                let package = (&package.id[..], &package.secret[..]);
                Group::join(&person.us, directory, sent, package, &mut town.rng)
            });
            person.group = Some(group.unwrap());
            joins.push(took);
        }
        people[0].group = Some(commit.next);
        Self { people, joins }
    }

    /// A commit, and how long another takes to follow.
    fn update(&mut self, committer: usize) -> [f64; 2] {
        let (made, commit) = timed(|| self.people[committer].commit(Wishes::default()).unwrap());
        let mut followed = Vec::new();
        for (place, person) in self.people.iter_mut().enumerate() {
            if place != committer {
                followed.push(timed(|| person.receive(&commit.message).map(drop).unwrap()).0);
            }
        }
        self.people[committer].group = Some(commit.next);
        [made, median(followed)]
    }

    fn letter(&mut self) -> [f64; 2] {
        let people = &mut self.people;
        let (sealed, messages) = timed(|| -> Vec<_> {
            let letters = (0..BATCH).map(|_| people[0].write(&TEXT));
            letters.collect()
        });
        let (opened, ()) = timed(|| {
            for message in &messages {
                people[1].receive(message).map(drop).unwrap();
            }
        });
        [sealed, opened].map(|time| time / BATCH as f64)
    }

    fn letters(&mut self, size: usize) {
        let [sealed, opened] = medians(300, || self.letter());
        alone(&format!("letter, {size} leaves: encrypt"), sealed);
        alone(&format!("letter, {size} leaves: decrypt"), opened);
    }
}

/// Somebody with one device: the account's log as others get it, and the device as a leaf.
fn account(rng: &mut ChaCha20Rng) -> (Vec<u8>, OurDevice) {
    let root = RootSecret::generate(Suite::Hybrid, rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Hybrid, rng).unwrap();
    let log = genesis(&root, &device, NOW).unwrap();
    let us = OurDevice {
        suite: Suite::Hybrid,
        name: LeafName {
            account: *log.account_id(),
            device: *device.device_id(),
        },
        leaf: LeafKey::of(device.signing(), Suite::Hybrid).unwrap(),
        inbox: Inbox {
            queue: QueueId::random(rng),
            token: Secret::random(rng),
        },
    };
    (log.bytes().to_vec(), us)
}

/// The directory of accounts whose logs have just come, each verified as a whole.
fn verified(logs: &[Vec<u8>]) -> Directory {
    let mut directory = Directory::new();
    for log in logs {
        let log = UnverifiedLog::decode(log).unwrap();
        let log = log.verify(None, None).unwrap();
        let known = |(device, key): &(_, Vec<u8>)| KnownDevice {
            device: *device,
            leaf_keys: vec![key.clone()],
            in_force: true,
        };
        let devices = log.leaf_keys().iter().map(known).collect();
        directory.insert(*log.account_id(), devices, true);
    }
    directory
}

/// Joining among so many accounts of one device each, none of whose logs is here before.
fn join_among_strangers(size: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (logs, devices): (Vec<_>, Vec<_>) = (0..size).map(|_| account(&mut rng)).unzip();
    let packages: Vec<_> = devices[1..]
        .iter()
        .map(|us| key_package(us, NOW, &mut rng).unwrap())
        .collect();
    let data = GroupData {
        name: "the whole town".to_owned(),
        roles: [(devices[0].name.account, Role::Owner)].into(),
        ..GroupData::default()
    };
    let id = GroupId::random(&mut rng);
    let founder = &devices[0];
    let group = Group::create(founder, verified(&logs), &id, &data, NOW, &mut rng).unwrap();
    let add = packages.iter().map(|package| package.public.clone());
    let wishes = Wishes {
        add: add.collect(),
        ..Wishes::default()
    };
    let commit = group.commit(founder, wishes, NOW).unwrap();
    let tree = commit.next.tree().unwrap();
    let joins = {
        let joiners = devices[1..].iter().zip(&packages).take(11);
        let joins = joiners.map(|(us, package)| {
            let mut welcomes = commit.welcomes.iter();
            let welcome = welcomes.find(|welcome| welcome.package == package.id);
            let sent = (&welcome.unwrap().message[..], &tree[..]);
            let (logs, directory) = timed(|| verified(&logs));
            let mut rng = ChaCha20Rng::seed_from_u64(3);
            let join = || {
                Group::join(
                    us,
                    directory,
                    sent,
                    (&package.id, &package.secret),
                    &mut rng,
                )
            };
            let (join, joined) = timed(join);
            joined.unwrap();
            [logs, join, logs + join]
        });
        joins.collect::<Vec<_>>()
    };
    let column = |column: usize| median(joins.iter().map(|row| row[column]).collect());
    alone(&format!("{size} accounts: verify their logs"), column(0));
    alone(&format!("{size} accounts: join"), column(1));
    alone(&format!("{size} accounts: both"), column(2));
    let bytes: usize = logs.iter().map(Vec::len).sum();
    alone(&format!("{size} accounts: bytes of logs"), bytes as f64);
}

fn alone(what: &str, figure: f64) {
    println!("  {what:<52} {figure:>10.1}");
}

fn own_api() {
    println!("\n0x004E hybrid through the crate's API, microseconds of CPU");
    Assembly::new(2, 2).letters(2);
    let mut hundred = Assembly::new(100, 100);
    for committer in 0..100 {
        hundred.update(committer);
    }
    hundred.people.truncate(3);
    let [made, followed] = medians(21, || hundred.update(0));
    alone("self-update, 100, warm tree", made);
    alone("process a commit, 100, warm tree", followed);
    hundred.letters(100);
    let mut thousand = Assembly::new(1000, 6);
    alone("join, 1000 leaves", median(thousand.joins.clone()));
    thousand.letters(1000);
    let group = thousand.people[1].group();
    let [all, state] = medians(21, || {
        [
            timed(|| group.store().map(drop).unwrap()).0,
            timed(|| group.store_state().map(drop).unwrap()).0,
        ]
    });
    alone("save, 1000 leaves: with the tree, after a commit", all);
    alone("save, 1000 leaves: without, after a letter", state);
    let stored = group.store().unwrap();
    alone("bytes of state", stored.state.len() as f64);
    alone("bytes of tree", stored.tree.len() as f64);
    join_among_strangers(1000);
}

fn main() {
    own_api();
    suite(HYBRID, "0x004E hybrid", 1000);
    suite(CNSA2, "0x0907 cnsa2", 1000);
}
