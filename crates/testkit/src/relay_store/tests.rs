//! The model keeps the contract of docs/spec/wire.md that the relay's own tests hold the relay to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::RelayStore;
use keys::account_log::{
    Authority, DeviceSecrets, Reason, RootSecret, UnverifiedLog, VerifiedLog, genesis,
};
use keys::{DeviceId, GroupId, MessageId, QueueId, Secret, Suite, Timestamp, ed25519, label};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use wire::{RawLog, RefusalKind, Reply, RowResult};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

struct House {
    store: RelayStore,
    rng: ChaCha20Rng,
    first: DeviceSecrets,
    others: Vec<DeviceSecrets>,
    log: VerifiedLog,
}

impl House {
    fn open(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let root = RootSecret::generate(keys::Suite::Hybrid, &mut rng).unwrap();
        let first = DeviceSecrets::generate(keys::Suite::Hybrid, &mut rng).unwrap();
        let log = genesis(&root, &first, NOW).unwrap();
        let mut store = RelayStore::new([1; 16]);
        let registration = wire::Register {
            name: "ada".to_owned(),
            log: log.bytes().to_vec(),
            code: None,
        };
        assert_eq!(store.register(&registration, NOW), Reply::Done);
        Self {
            store,
            rng,
            first,
            others: Vec::new(),
            log,
        }
    }

    fn add(&mut self, now: Timestamp) -> DeviceId {
        let device = DeviceSecrets::generate(keys::Suite::Hybrid, &mut self.rng).unwrap();
        let by = Authority::Device(&self.first);
        self.log = self.log.add_device(by, &device, false, now).unwrap();
        let id = *device.device_id();
        self.others.push(device);
        id
    }

    /// What the relay has not yet, at most one part.
    fn next(&self, after: u64) -> wire::AppendEntries {
        let raw = RawLog::parse(self.log.bytes()).unwrap();
        wire::AppendEntries {
            account: *self.log.account_id(),
            after,
            entries: raw.part(after + 1).unwrap().entries.to_vec(),
        }
    }

    fn publish(&mut self, device: DeviceId) -> Reply {
        let mut request = wire::PublishPreKeys {
            account: *self.log.account_id(),
            device,
            identity: vec![1],
            signed_ec: vec![2],
            last_resort_kem: vec![3],
            one_time_ec: Vec::new(),
            one_time_kem: Vec::new(),
            front_door: wire::FrontDoor {
                queue_id: QueueId::from_bytes([4; 16]),
                token: wire::SendToken::from_bytes([5; 32]),
            },
            replace_one_time: false,
            signature: Vec::new(),
        };
        let mut all = self.others.iter().chain([&self.first]);
        let secrets = all.find(|secrets| *secrets.device_id() == device).unwrap();
        let message = wire::publish_message(&request);
        let signature = secrets.signing().sign(label::PUBLISH, &message).unwrap();
        request.signature = signature.as_bytes().to_vec();
        self.store.publish(&request)
    }
}

impl House {
    fn publish_packages(&mut self, device: DeviceId, packages: &[u8], last: Option<u8>) -> Reply {
        let mut request = wire::PublishKeyPackages {
            account: *self.log.account_id(),
            device,
            suite: Suite::Hybrid,
            packages: packages.iter().map(|package| vec![*package]).collect(),
            last_resort: last.map(|package| vec![package]),
            replace: false,
            signature: Vec::new(),
        };
        let mut all = self.others.iter().chain([&self.first]);
        let secrets = all.find(|secrets| *secrets.device_id() == device).unwrap();
        let message = wire::publish_key_packages_message(&request);
        let label = label::PUBLISH_KEY_PACKAGES;
        let signature = secrets.signing().sign(label, &message).unwrap();
        request.signature = signature.as_bytes().to_vec();
        self.store.publish_key_packages(&request)
    }
}

fn refusal(reply: Reply) -> RefusalKind {
    match reply {
        Reply::Refused(refused) => refused.kind,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_long_log_comes_and_goes_in_parts() {
    let mut house = House::open(1);
    let account = *house.log.account_id();
    let check =
        |store: &RelayStore, sequence| store.check_log(&wire::CheckLog { account, sequence });
    assert_eq!(check(&house.store, 0), Reply::Done);
    assert_eq!(refusal(check(&house.store, 1)), RefusalKind::Conflict);
    for after in 0..9 {
        house.add(NOW);
        let request = house.next(after);
        for _twice in 0..2 {
            assert_eq!(house.store.append_entries(&request, NOW), Reply::Done);
        }
    }
    assert!(house.log.bytes().len() > wire::limits::LOG_PART_BYTES);
    assert_eq!(
        house.store.log(&account).as_deref(),
        Some(house.log.bytes())
    );
    let fetch = wire::FetchLog::ByName("ada".to_owned());
    let Reply::Entries(mut part) = house.store.fetch_log(&fetch) else {
        panic!("it is longer than a frame")
    };
    let mut known = RawLog::begin(&part.entries).unwrap();
    while part.more {
        let head = RawLog::parse(&known).unwrap().head();
        let Reply::Entries(next) = check(&house.store, head) else {
            panic!("there is more")
        };
        assert_eq!(next.first, head + 1);
        known = RawLog::parse(&known).unwrap().with(&next.entries).unwrap();
        part = next;
    }
    assert_eq!(known, house.log.bytes());
    assert!(UnverifiedLog::decode(&known).is_ok());
}

#[test]
fn of_two_entries_at_one_place_the_first_stays() {
    let mut house = House::open(2);
    let before = RawLog::parse(house.log.bytes()).unwrap().head();
    let other = {
        let device = DeviceSecrets::generate(keys::Suite::Hybrid, &mut house.rng).unwrap();
        let by = Authority::Device(&house.first);
        house.log.add_device(by, &device, true, NOW).unwrap()
    };
    house.add(NOW);
    let (mine, mut late) = (house.next(before), house.next(before));
    late.entries = RawLog::parse(other.bytes())
        .unwrap()
        .part(1)
        .unwrap()
        .entries
        .to_vec();
    assert_eq!(house.store.append_entries(&mine, NOW), Reply::Done);
    let lost = house.store.append_entries(&late, NOW);
    assert_eq!(refusal(lost), RefusalKind::Conflict);
    late.after = 1;
    let broken = house.store.append_entries(&late, NOW);
    assert_eq!(refusal(broken), RefusalKind::BadLog);
    let ahead = NOW.saturating_add(30 * 24 * 3600);
    house.add(ahead);
    let future = house.store.append_entries(&house.next(1), NOW);
    assert_eq!(refusal(future), RefusalKind::BadLog);
}

#[test]
fn a_revoked_device_has_no_pre_keys() {
    let mut house = House::open(3);
    let (first, second) = (*house.first.device_id(), house.add(NOW));
    assert_eq!(refusal(house.publish(second)), RefusalKind::NotFound);
    house.store.append_entries(&house.next(0), NOW);
    assert!(matches!(house.publish(first), Reply::PreKeyCounts(_)));
    assert!(matches!(house.publish(second), Reply::PreKeyCounts(_)));
    let by = Authority::Device(&house.first);
    house.log = house.log.revoke(by, &second, Reason::Lost, NOW).unwrap();
    assert_eq!(house.store.append_entries(&house.next(1), NOW), Reply::Done);
    let account = *house.log.account_id();
    assert!(house.store.take_bundle(account, second).is_none());
    assert!(house.store.take_bundle(account, first).is_some());
    assert_eq!(refusal(house.publish(second)), RefusalKind::NotFound);
}

#[test]
fn a_key_package_is_given_out_once() {
    let mut house = House::open(4);
    let (account, first) = (*house.log.account_id(), *house.first.device_id());
    let second = house.add(NOW);
    let early = house.publish_packages(second, &[1], None);
    assert_eq!(refusal(early), RefusalKind::NotFound);
    house.store.append_entries(&house.next(0), NOW);
    let counts = |packages, last_resort| {
        Reply::KeyPackageCounts(wire::KeyPackageCounts {
            packages,
            last_resort,
        })
    };
    let package = |package, last_resort| {
        Some(wire::KeyPackage {
            package: vec![package],
            last_resort,
        })
    };
    let of = |device, suite| wire::FetchKeyPackage {
        account,
        device,
        suite,
    };
    let lower = |device| of(device, Suite::Hybrid);
    assert!(house.store.take_key_package(&lower(first)).is_none());
    let published = house.publish_packages(first, &[1, 2], None);
    assert_eq!(published, counts(2, false));
    for device in [first, second] {
        house.publish_packages(device, &[1, 2], Some(9));
    }
    let higher = house.store.take_key_package(&of(first, Suite::Cnsa2));
    assert!(higher.is_none());
    let mut take = |device| house.store.take_key_package(&lower(device));
    assert_eq!(take(first), package(1, false));
    assert_eq!(take(first), package(2, false));
    assert_eq!(
        [take(first), take(first)],
        [package(9, true), package(9, true)]
    );
    let again = house.publish_packages(first, &[2, 3], None);
    assert_eq!(again, counts(1, true));
    let by = Authority::Device(&house.first);
    house.log = house.log.revoke(by, &second, Reason::Lost, NOW).unwrap();
    assert_eq!(house.store.append_entries(&house.next(1), NOW), Reply::Done);
    assert!(house.store.take_key_package(&lower(second)).is_none());
    let late = house.publish_packages(second, &[4], None);
    assert_eq!(refusal(late), RefusalKind::NotFound);
    let count = wire::KeyPackageCount {
        account,
        device: first,
        suite: Suite::Hybrid,
    };
    assert_eq!(house.store.count_key_packages(&count), counts(1, true));
}

fn in_epoch(epoch: u64, next: Option<u64>, number: u8, rows: &[u8]) -> wire::SendInEpoch {
    let token = |epoch: u64| keys::sha256(&[&epoch.to_be_bytes()]);
    let row = |queue: &u8| wire::SendRow {
        queue_id: QueueId::from_bytes([*queue; 16]),
        token: wire::SendToken::from_bytes([*queue; 32]),
    };
    wire::SendInEpoch {
        group: GroupId::from_bytes([1; 32]),
        epoch,
        token: wire::EpochToken::from_bytes(token(epoch)),
        next: next.map(|epoch| wire::NextEpoch {
            epoch,
            token_hash: keys::sha256(&[&token(epoch)]),
        }),
        send: wire::Send {
            message_id: MessageId::from_bytes([number; 16]),
            body: wire::Body::new(vec![number; 1024]).unwrap(),
            rows: rows.iter().map(row).collect(),
        },
    }
}

#[test]
fn one_change_of_a_group_is_taken_in_an_epoch() {
    let mut store = RelayStore::new([1; 16]);
    for queue in 1..=3 {
        store.create_queue(&wire::CreateQueue {
            queue_id: QueueId::from_bytes([queue; 16]),
            receive_key: [0; 32],
            send_token_hash: keys::sha256(&[&[queue; 32]]),
        });
    }
    let mut rows = |request: &wire::SendInEpoch| store.send_in_epoch(request, 3, NOW);
    let sent = |rows| {
        Reply::SendResult(wire::SendResult {
            rows,
            store_version: 1,
        })
    };
    let (accepted, duplicate) = (
        |seq| RowResult::Accepted { seq },
        |seq| RowResult::Duplicate { seq },
    );
    let passed = |epoch| Reply::EpochPassed { epoch };
    assert_eq!(rows(&in_epoch(4, None, 1, &[1])), passed(0));
    let first = in_epoch(0, Some(5), 2, &[1, 2]);
    assert_eq!(rows(&first), sent(vec![accepted(1); 2]));
    let said = in_epoch(5, None, 3, &[1, 2]);
    assert_eq!(rows(&said), sent(vec![accepted(2); 2]));
    assert_eq!(
        rows(&in_epoch(5, Some(6), 4, &[1, 2])),
        sent(vec![accepted(3); 2])
    );
    for (epoch, next) in [(5, Some(6)), (5, None), (7, None)] {
        assert_eq!(rows(&in_epoch(epoch, next, 5, &[1, 2])), passed(6));
    }
    let mut wrong = in_epoch(6, Some(7), 5, &[1]);
    wrong.token = said.token;
    assert_eq!(rows(&wrong), super::no(RefusalKind::Forbidden));
    // Repetitions do not look at the epoch, and begin none.
    assert_eq!(rows(&first), sent(vec![duplicate(1); 2]));
    let more = in_epoch(5, None, 3, &[3, 1]);
    assert_eq!(rows(&more), sent(vec![accepted(1), duplicate(2)]));
    // A queue that is full does not keep the epoch back.
    let full = in_epoch(6, Some(9), 6, &[1, 3]);
    assert_eq!(rows(&full), sent(vec![RowResult::QueueFull, accepted(2)]));
    let epochs: Vec<_> = store.groups().map(|(_, epoch)| epoch).collect();
    assert_eq!(epochs, [9]);
}

fn put_head(seed: &Secret<32>, version: u64, previous: u64, body: &[u8]) -> wire::PutHead {
    let public_key = ed25519::public(seed);
    let message = wire::put_head_message(&public_key, version, previous, body);
    wire::PutHead {
        public_key,
        version,
        previous,
        body: body.to_vec(),
        signature: ed25519::sign(seed, &message),
    }
}

#[test]
fn a_head_is_replaced_by_its_owner_and_in_order() {
    let mut store = RelayStore::new([1; 16]);
    let seed = Secret::from_fn(|seed| seed.fill(7));
    let id = wire::head_id(&ed25519::public(&seed));
    let first = put_head(&seed, 1, 0, b"one");
    assert_eq!(store.put_head(&first), Reply::Done);
    assert_eq!(store.put_head(&first), Reply::Done);
    let forged = wire::PutHead {
        body: b"two".to_vec(),
        ..first.clone()
    };
    assert_eq!(refusal(store.put_head(&forged)), RefusalKind::Forbidden);
    assert_eq!(store.put_head(&put_head(&seed, 5, 1, b"five")), Reply::Done);
    assert_eq!(refusal(store.put_head(&first)), RefusalKind::Conflict);
    let Reply::Head(head) = store.fetch_head(&wire::FetchHead { id }) else {
        panic!("it is there")
    };
    assert!(head.is_signed(&id) && head.version == 5);
    let delete = |version| {
        let public_key = ed25519::public(&seed);
        let message = wire::delete_head_message(&public_key, version);
        wire::DeleteHead {
            public_key,
            version,
            signature: ed25519::sign(&seed, &message),
        }
    };
    assert_eq!(
        refusal(store.delete_head(&delete(1))),
        RefusalKind::Conflict
    );
    assert_eq!(store.delete_head(&delete(5)), Reply::Done);
    assert_eq!(
        refusal(store.fetch_head(&wire::FetchHead { id })),
        RefusalKind::NotFound
    );
    assert_eq!(refusal(store.put_head(&first)), RefusalKind::Conflict);
    assert_eq!(store.put_head(&put_head(&seed, 6, 5, b"six")), Reply::Done);
}

#[test]
fn a_lock_opens_when_its_delay_is_over_and_nobody_objects() {
    let mut store = RelayStore::new([1; 16]);
    let seed = Secret::from_fn(|seed| seed.fill(7));
    let public_key = ed25519::public(&seed);
    let token = wire::LockToken::from_bytes([8; 32]);
    let mut put = wire::PutLock {
        public_key,
        key: wire::LockKey::from_bytes([9; 32]),
        token_hash: keys::sha256(&[token.as_bytes()]),
        delay_seconds: 3600,
        signature: [0; 64],
    };
    assert_eq!(refusal(store.put_lock(&put)), RefusalKind::Forbidden);
    put.signature = ed25519::sign(&seed, &wire::put_lock_message(&put));
    assert_eq!(store.put_lock(&put), Reply::Done);
    let id = wire::lock_id(&public_key);
    let open = wire::OpenLock { id, token };
    let state = |opens_at| Reply::LockState(wire::LockState { opens_at });
    let later = |seconds| NOW.saturating_add(seconds);
    assert_eq!(store.open_lock(&open, NOW), state(Some(later(3600))));
    assert_eq!(
        store.open_lock(&open, later(3599)),
        state(Some(later(3600)))
    );
    let cancel = |opens_at| wire::CancelLock {
        public_key,
        opens_at,
        signature: ed25519::sign(&seed, &wire::cancel_lock_message(&public_key, opens_at)),
    };
    assert_eq!(
        refusal(store.cancel_lock(&cancel(later(1)))),
        RefusalKind::Conflict
    );
    assert_eq!(store.cancel_lock(&cancel(later(3600))), Reply::Done);
    assert_eq!(store.lock_status(&wire::LockStatus { id }), state(None));
    assert_eq!(
        store.open_lock(&open, later(5000)),
        state(Some(later(8600)))
    );
    assert_eq!(
        refusal(store.cancel_lock(&cancel(later(3600)))),
        RefusalKind::Conflict
    );
    assert_eq!(store.open_lock(&open, later(8600)), Reply::LockKey(put.key));
    let wrong = wire::OpenLock {
        token: wire::LockToken::from_bytes([1; 32]),
        ..open
    };
    assert_eq!(
        refusal(store.open_lock(&wrong, later(8600))),
        RefusalKind::Forbidden
    );
}
