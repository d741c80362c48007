//! What custody lists is what opens, and nothing else opens it.
//!
//! A *trial* takes one profile as whoever copied it would have it, and everything that ever lay at the relay: it tries
//! every key of the profile on every ciphertext of an item. For sealed bodies these are the envelope key, all route
//! keys, all sessions and pre-keys, through the engine's own functions (`engine::trial`). For files, parts of the
//! backup and its head it is every run of as many bytes as a key has, anywhere in the profile (but in its pre-keys,
//! which open nothing but handshakes) or in what was opened before. What the relay itself stores is tried as if it
//! were a profile too. A letter also counts as opened where it stands in the profile: that is what the profile's key
//! opens. The sheet's trial is the paper alone.

use engine::records::Letter;
use engine::trial::{self, Opened};
use engine::{Attachment, Draft, Engine, HeldKey, Holder, HolderKind, Item, Remark, Table};
use keys::account_log::{
    Authority, DeviceSecrets, Method, Reason, RecoverySecrets, UnverifiedLog, VerifiedLog,
};
use keys::chunked::{CHUNK_LEN, ChunkedKey, HEADER_LEN};
use keys::codec::Reader;
use keys::hpke::{self, EnvelopeSecret};
use keys::sheet::SheetSecret;
use keys::{BlobId, DeviceId, QueueId, Secret, ed25519, label};
use letterlock_testkit::World;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::collections::{BTreeSet, HashSet};

const MARKER: &str = "the words that nobody else may read";
const FILE: &[u8] = b"the bytes of a file that nobody else may read";
const SHEET: &str = "the sheet of alice";
/// Everybody whose keys are tried; each is one device.
const PROFILES: [&str; 5] = ["alice", "tablet", "bob", "phone", "carol"];

type Held = (String, HeldKey);

/// What was tried: who can open an item, and with which key.
type Can = BTreeSet<Held>;

/// Two people with two devices each, a stranger, and a sheet of the first one.
struct Scene {
    world: World,
    sheet: String,
    /// What was asked of the relay before the item came.
    heard: usize,
}

fn scene(seed: u64) -> Scene {
    let mut world = World::new(seed);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    world.befriend("carol", "bob");
    world.link("alice", "tablet");
    world.link("bob", "phone");
    // Everybody hears of everybody's devices and routes.
    for (from, to) in [
        ("alice", "bob"),
        ("phone", "alice"),
        ("tablet", "bob"),
        ("bob", "alice"),
        ("carol", "bob"),
    ] {
        world.send(from, to, "hello");
        world.settle();
    }
    let sheet = world.make_sheet("alice");
    world.run(20);
    let heard = world.relay().heard().len();
    Scene {
        world,
        sheet,
        heard,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(9)
}

/// Every run of 32 bytes that may be a key: keys are random, and have few bytes twice.
fn runs(bytes: &[u8]) -> impl Iterator<Item = [u8; 32]> + '_ {
    let random = |run: &[u8; 32]| {
        let mut seen = [false; 256];
        run.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        seen.iter().filter(|seen| **seen).count() >= 20
    };
    let runs = bytes.windows(32).filter_map(|run| run.try_into().ok());
    runs.filter(random)
}

/// What a trial with one profile brought to light.
struct Tried {
    /// Everything in the profile that may be a key.
    secrets: Vec<[u8; 32]>,
    /// The letters whose sealed bodies it opens.
    opened: Vec<Opened>,
    /// The parts of archives that it opens.
    parts: Vec<Vec<u8>>,
}

impl Scene {
    /// Sealed bodies that went to queues since the scene began.
    fn bodies(&mut self) -> Vec<(QueueId, Vec<u8>)> {
        let heard = self.world.relay().heard().iter().skip(self.heard);
        let sends = heard.filter_map(|request| match request {
            wire::Request::Send(send) => Some(send),
            _ => None,
        });
        let rows = sends.flat_map(|send| {
            let row = |row: &wire::SendRow| (row.queue_id, send.body.to_vec());
            send.rows.iter().map(row).collect::<Vec<_>>()
        });
        rows.collect()
    }

    /// Tries everything with every profile.
    fn tried(&mut self) -> Vec<(String, Tried)> {
        let (bodies, public) = (self.bodies(), self.public());
        let profiles = self.profiles().into_iter();
        let tried = profiles.map(|name| {
            let secrets = self.secrets(&name, &public);
            let tried = Tried {
                opened: self.opened(&name, &bodies),
                parts: self.parts_by(&secrets),
                secrets,
            };
            (name, tried)
        });
        tried.collect()
    }

    /// What a profile opens of these bodies.
    fn opened(&self, name: &str, bodies: &[(QueueId, Vec<u8>)]) -> Vec<Opened> {
        let store = &self.world.person(name).store;
        let tried = bodies.iter().flat_map(|(queue, body)| {
            trial::body(store, queue, body, self.world.now(), &mut rng()).unwrap()
        });
        tried.collect()
    }

    /// Runs of account logs, which everybody may read.
    fn public(&mut self) -> HashSet<[u8; 32]> {
        let accounts = ["alice", "bob", "carol"].map(|name| self.world.account(name));
        let store = self.world.relay().store();
        let logs = accounts.iter().filter_map(|account| store.log(account));
        logs.flat_map(|log| runs(&log).collect::<Vec<_>>())
            .collect()
    }

    /// Everything in a profile that may be a key.
    fn secrets(&self, name: &str, public: &HashSet<[u8; 32]>) -> Vec<[u8; 32]> {
        // Sealed requests are on the other side of the trial.
        let sealed = [Table::PreKey, Table::Outbox, Table::Sent];
        let rows = self.world.person(name).store.rows();
        let rows = rows.filter(|(table, _)| !sealed.contains(table));
        let found = rows.flat_map(|(_, row)| runs(row));
        found.filter(|run| !public.contains(run)).collect()
    }

    /// Opens the head of the backup with the paper, and says what stands in it and in its parts.
    fn by_sheet(&mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let seed = SheetSecret::from_text(&self.sheet).unwrap().seed();
        let secrets = RecoverySecrets::derive(keys::Suite::Hybrid, Method::Sheet, &seed).unwrap();
        let id = secrets.head_id();
        let head = self.world.relay().store().head(&id).unwrap();
        let opened = open_head(secrets.envelope(), &id, &head).unwrap();
        let keys: Vec<[u8; 32]> = runs(&opened).collect();
        let parts = self.parts_by(&keys);
        (opened, parts)
    }

    /// The parts of archives that any of these keys opens.
    fn parts_by(&self, keys: &[[u8; 32]]) -> Vec<Vec<u8>> {
        let parts = self.world.parts().iter();
        let parts = parts.filter_map(|(blob, sealed)| {
            let data = [label::ARCHIVE.as_bytes(), &[0], blob.as_bytes()].concat();
            let mut keys = keys.iter().filter_map(|key| Secret::from_slice(key));
            keys.find_map(|key| keys::gcm_open(&key, &[0; 12], &data, sealed).ok())
        });
        parts.collect()
    }

    /// Who opens letters that hold the marker.
    fn can_open_letter(&mut self, tried: &[(String, Tried)]) -> Can {
        let marked = |bytes: &[u8]| holds(bytes, MARKER.as_bytes());
        let mut can = Can::new();
        for (name, tried) in tried {
            let mut stands = self.world.person(name).store.values(Table::Letter);
            let found = [
                (HeldKey::Profile, stands.any(marked)),
                (
                    HeldKey::Message,
                    tried.opened.iter().any(|opened| opened.text == MARKER),
                ),
                (
                    HeldKey::BackupParts,
                    tried.parts.iter().any(|part| marked(part)),
                ),
            ];
            let found = found.into_iter().filter(|(_, can)| *can);
            can.extend(found.map(|(key, _)| (name.clone(), key)));
        }
        let (head, parts) = self.by_sheet();
        if parts.iter().chain([&head]).any(|bytes| marked(bytes)) {
            can.insert((SHEET.to_owned(), HeldKey::Recovery));
        }
        can
    }

    /// Who opens a file.
    fn can_open_file(&mut self, tried: &[(String, Tried)], sealed: &[u8]) -> Can {
        let by = |bytes: &[u8]| opens_file(runs(bytes), sealed);
        let mut can = Can::new();
        for (name, tried) in tried {
            let found = [
                (
                    HeldKey::Enclosure,
                    opens_file(tried.secrets.iter().copied(), sealed),
                ),
                (
                    HeldKey::Message,
                    tried.opened.iter().any(|opened| by(&opened.content)),
                ),
                (
                    HeldKey::BackupParts,
                    tried.parts.iter().any(|part| by(part)),
                ),
            ];
            let found = found.into_iter().filter(|(_, can)| *can);
            can.extend(found.map(|(key, _)| (name.clone(), key)));
        }
        let (head, parts) = self.by_sheet();
        if parts.iter().chain([&head]).any(|bytes| by(bytes)) {
            can.insert((SHEET.to_owned(), HeldKey::Recovery));
        }
        can
    }

    /// The relay has keys too, if one takes every run of bytes for one.
    fn assert_relay_opens_nothing(&mut self, sealed_file: &[u8]) {
        let stored = self.world.relay().store().bytes_but_pre_keys();
        assert!(!holds(&stored, MARKER.as_bytes()));
        let keys: Vec<[u8; 32]> = runs(&stored).collect();
        assert!(
            self.parts_by(&keys).is_empty(),
            "the relay opens the backup"
        );
        let opened = opens_file(keys.into_iter(), sealed_file);
        assert!(!opened, "the relay opens a file");
    }

    /// All profiles there are by now.
    fn profiles(&self) -> Vec<String> {
        let known = PROFILES.iter().chain(&["laptop"]);
        let known = known.filter(|name| self.world.has(name));
        known.map(|name| (*name).to_owned()).collect()
    }

    /// Who is a device.
    fn called(&self, device: &DeviceId) -> String {
        let mut profiles = self.profiles().into_iter();
        let found = profiles.find(|name| self.world.device(name) == *device);
        found.unwrap()
    }

    fn listed(&self, by: &str, item: &Item) -> Vec<Holder> {
        let holders = Engine.custody(&self.world.person(by).store, item);
        holders.unwrap().unwrap()
    }

    fn held(&self, holder: &Holder) -> Held {
        let who = match (holder.kind, &holder.device) {
            (HolderKind::Sheet, _) => SHEET.to_owned(),
            (_, Some(device)) => self.called(device),
            _ => panic!("{holder:?}"),
        };
        (who, holder.key)
    }

    /// Compares what is listed with what was tried: nobody else can, and those who surely can do.
    fn assert_exact(&self, by: &str, item: &Item, can: &Can) {
        let holders = self.listed(by, item);
        let listed: Can = holders.iter().map(|holder| self.held(holder)).collect();
        let surely = holders.iter().filter(|holder| holder.certain);
        let surely: Can = surely.map(|holder| self.held(holder)).collect();
        let missing: Vec<&Held> = can.difference(&listed).collect();
        assert!(missing.is_empty(), "{by} does not list {missing:?}");
        let wrong: Vec<&Held> = surely.difference(can).collect();
        assert!(wrong.is_empty(), "{by} lists {wrong:?}");
    }

    /// The same for a profile that does not know how far a letter is on its way: who, not by which key.
    fn assert_exact_people(&self, by: &str, item: &Item, can: &Can) {
        let holders = self.listed(by, item);
        let who = |holders: &mut dyn Iterator<Item = &Holder>| -> BTreeSet<String> {
            holders.map(|holder| self.held(holder).0).collect()
        };
        let listed = who(&mut holders.iter());
        let surely = who(&mut holders.iter().filter(|holder| holder.certain));
        let can: BTreeSet<String> = can.iter().map(|(who, _)| who.clone()).collect();
        assert!(can.is_subset(&listed), "{by}: {can:?}, listed {listed:?}");
        assert!(surely.is_subset(&can), "{by}: {can:?}, surely {surely:?}");
    }

    fn letter(&self, by: &str, with: &str) -> Letter {
        let letters = self.world.person(by).letters(with).into_iter();
        let mut marked = letters.filter(|letter| letter.text == MARKER);
        marked.next().unwrap()
    }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn open_head(envelope: &EnvelopeSecret, id: &[u8; 32], head: &wire::Head) -> Option<Vec<u8>> {
    let data = [&id[..], &head.version.to_be_bytes()].concat();
    hpke::open(envelope, label::BACKUP.as_bytes(), &data, &head.body).ok()
}

/// Whether any of these keys opens the file.
fn opens_file(mut keys: impl Iterator<Item = [u8; 32]>, sealed: &[u8]) -> bool {
    let header: &[u8; HEADER_LEN] = sealed.first_chunk().unwrap();
    keys.any(|key| {
        let key = Secret::from_slice(&key).unwrap();
        let Ok(key) = ChunkedKey::for_opening(&key, header, label::ENCLOSURE.as_bytes()) else {
            return false;
        };
        let mut chunk = sealed[HEADER_LEN..].to_vec();
        key.open(0, &mut chunk).is_ok_and(|opened| *opened == *FILE)
    })
}

fn with_file() -> Draft {
    Draft {
        text: MARKER.to_owned(),
        attachments: vec![Attachment {
            path: "/a/file".to_owned(),
            name: "file".to_owned(),
            length: FILE.len() as u64,
            fingerprint: [0; 32],
        }],
        ..Draft::default()
    }
}

/// The file as the driver seals it: under the key that stands in the letter.
fn blob(letter: &Letter) -> (BlobId, Vec<u8>) {
    let enclosure = &letter.enclosures[0];
    let (key, header) =
        ChunkedKey::for_sealing(&enclosure.key, &[3; 24], label::ENCLOSURE.as_bytes());
    let mut chunk = FILE.to_vec();
    assert!(chunk.len() < CHUNK_LEN);
    key.seal(0, &mut chunk).unwrap();
    (enclosure.blob, [&header[..], &chunk].concat())
}

fn can(all: &[(&str, HeldKey)]) -> Can {
    let all = all.iter();
    all.map(|(who, key)| ((*who).to_owned(), *key)).collect()
}

/// A letter and its file while one device of the recipient is away, when it is back, when a device joined and when
/// one was revoked.
#[test]
fn a_letter_and_its_file_open_for_whom_custody_lists() {
    use HeldKey::{Enclosure, Message, Profile, Recovery};
    let mut scene = scene(501);
    scene.world.stop("phone");
    scene.world.send_draft("alice", "bob", with_file()).unwrap();
    scene.world.settle();
    scene.world.run(30);
    let letter = scene.letter("alice", "bob");
    let (blob, sealed) = blob(&letter);
    let items = [
        Item::Letter(letter.id),
        Item::Enclosure(letter.id, blob),
        Item::Conversation(letter.contact),
    ];
    let [words, file, conversation] = &items;

    // Under way to the phone: its session will open it, and nobody else's.
    let expected = [
        ("alice", Profile),
        ("tablet", Profile),
        ("bob", Profile),
        ("phone", Message),
        (SHEET, Recovery),
    ];
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert_eq!(opened, can(&expected));
    scene.assert_exact("alice", words, &opened);
    scene.assert_exact_people("alice", conversation, &opened);
    scene.assert_exact_people("tablet", words, &opened);
    let expected = expected.map(|(who, key)| match key {
        Profile => (who, Enclosure),
        key => (who, key),
    });
    let opened = scene.can_open_file(&tried, &sealed);
    assert_eq!(opened, can(&expected));
    scene.assert_exact("alice", file, &opened);
    scene.assert_exact_people("tablet", file, &opened);
    // The recipient's own list.
    let received = Item::Letter(scene.letter("bob", "alice").id);
    let only_bobs = without_sheet(&scene.can_open_letter(&tried));
    scene.assert_relay_opens_nothing(&sealed);
    scene.assert_exact_people("bob", &received, &only_bobs);

    // Read: the message key is gone.
    scene.world.start("phone");
    scene.world.settle();
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    let expected = [
        ("alice", Profile),
        ("tablet", Profile),
        ("bob", Profile),
        ("phone", Profile),
        (SHEET, Recovery),
    ];
    assert_eq!(opened, can(&expected));
    scene.assert_exact("alice", words, &opened);
    scene.assert_exact_people("phone", words, &without_sheet(&opened));

    // A device that joins gets the history; custody says that it may.
    scene.world.link("alice", "laptop");
    scene.world.run(30);
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert!(opened.contains(&("laptop".to_owned(), Profile)));
    scene.assert_exact("alice", words, &opened);
    let of_laptop = |holder: &&Holder| holder.device == Some(scene.world.device("laptop"));
    let listed = scene.listed("alice", words);
    let laptop = listed.iter().find(of_laptop).unwrap();
    assert_eq!(laptop.remark, Some(Remark::History));

    // One that is suspended keeps what it had; what is written meanwhile it cannot open.
    let tablet = scene.world.device("tablet");
    scene.world.suspend("alice", tablet);
    scene.world.settle();
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert!(opened.contains(&("tablet".to_owned(), Profile)));
    scene.assert_exact("alice", words, &opened);
    let listed = scene.listed("alice", words);
    let away = listed.iter().find(|holder| holder.device == Some(tablet));
    assert_eq!(away.unwrap().remark, Some(Remark::Suspended));

    // One that is revoked keeps what it had.
    scene.world.revoke("alice", tablet, Reason::Retired);
    scene.world.settle();
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert!(opened.contains(&("tablet".to_owned(), Profile)));
    scene.assert_exact("alice", words, &opened);
    let listed = scene.listed("alice", words);
    let gone = listed.iter().find(|holder| holder.device == Some(tablet));
    assert_eq!(gone.unwrap().remark, Some(Remark::Revoked));
}

/// Bob cannot see whether Alice has a sheet in use, and does not know that he is in it; for him it is one way that
/// may be.
fn without_sheet(opened: &Can) -> Can {
    let kept = opened.iter().filter(|(who, _)| who != SHEET);
    kept.cloned().collect()
}

/// A letter that the first backup holds in a part of its own, which the device that packed it can open as well.
#[test]
fn the_backup_opens_for_the_sheet_and_for_who_packed_it() {
    let mut world = World::new(502);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    world.link("alice", "tablet");
    world.link("bob", "phone");
    world.send("alice", "bob", MARKER);
    world.settle();
    // Custody goes as far as the logs that a device knows: now the tablet knows of the phone too.
    world.send("tablet", "bob", "hello");
    world.settle();
    let sheet = world.make_sheet("alice");
    world.run(30);
    let mut scene = Scene {
        world,
        sheet,
        heard: 0,
    };
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert!(opened.contains(&("alice".to_owned(), HeldKey::BackupParts)));
    assert!(opened.contains(&(SHEET.to_owned(), HeldKey::Recovery)));
    let letter = Item::Letter(scene.letter("alice", "bob").id);
    scene.assert_exact("alice", &letter, &opened);
    scene.assert_exact_people("tablet", &letter, &opened);
}

/// A letter that no relay has yet opens for nobody but its writer's devices.
#[test]
fn a_letter_in_the_outbox_opens_at_home_alone() {
    let mut scene = scene(503);
    scene.world.set_online("alice", false);
    scene.world.send("alice", "bob", MARKER);
    scene.world.settle();
    let tried = scene.tried();
    let opened = scene.can_open_letter(&tried);
    assert_eq!(opened, can(&[("alice", HeldKey::Profile)]));
    let letter = Item::Letter(scene.letter("alice", "bob").id);
    let surely = scene.listed("alice", &letter).into_iter();
    let mut surely = surely.filter(|holder| holder.certain && holder.key == HeldKey::Profile);
    assert_eq!(
        surely.next().unwrap().device,
        Some(scene.world.device("alice"))
    );
    assert!(surely.next().is_none());
}

/// Who signs for the account: every run of bytes in every profile is tried as the secrets of a device in force, as a
/// root key, and as a recovery secret; and the sheet.
#[test]
fn an_account_obeys_whom_custody_lists() {
    let mut scene = scene(504);
    scene.world.send("alice", "bob", "bob learns of the sheet");
    scene.world.settle();
    let log = own_log(&scene.world, "alice");
    let public = scene.public();
    let (seed, now) = (
        SheetSecret::from_text(&scene.sheet).unwrap().seed(),
        scene.world.now(),
    );
    let sheet = RecoverySecrets::derive(keys::Suite::Hybrid, Method::Sheet, &seed).unwrap();
    let keys = [HeldKey::Signing, HeldKey::Identity, HeldKey::Envelope];
    let mut obeyed = Can::new();
    for name in scene.profiles() {
        for secrets in devices_in(&scene.world, &name, &log) {
            let renewed = secrets.renewed(keys::Suite::Hybrid, &mut rng()).unwrap();
            if log.rotate_device(&secrets, &renewed, now).is_ok() {
                assert_eq!(*secrets.device_id(), scene.world.device(&name));
                obeyed.extend(keys.map(|key| (name.clone(), key)));
            }
        }
        let secrets = scene.secrets(&name, &public);
        if secrets.iter().any(|key| is_root(key, &log)) {
            obeyed.insert((name.clone(), HeldKey::Root));
        }
        if secrets.iter().any(|key| recovers(key, &log)) {
            obeyed.insert((name.clone(), HeldKey::Recovery));
        }
    }
    let new = DeviceSecrets::generate(keys::Suite::Hybrid, &mut rng()).unwrap();
    let added = log.add_device(Authority::Recovery(&sheet), &new, true, now);
    assert!(added.is_ok() && recovers(seed.expose_secret(), &log));
    obeyed.insert((SHEET.to_owned(), HeldKey::Recovery));
    if runs(&root_of(&scene.by_sheet().0, &sheet)).any(|key| is_root(&key, &log)) {
        obeyed.insert((SHEET.to_owned(), HeldKey::Root));
    }
    let mut expected: Can = can(&[(SHEET, HeldKey::Recovery), (SHEET, HeldKey::Root)]);
    for name in ["alice", "tablet"] {
        expected.extend(keys.map(|key| (name.to_owned(), key)));
    }
    assert_eq!(obeyed, expected, "the root key has left the devices");

    for by in ["alice", "tablet"] {
        let mut holders = scene.listed(by, &Item::Account);
        // It replaces the head of the backup and opens nothing.
        holders.retain(|holder| holder.key != HeldKey::BackupHead);
        holders.retain(|holder| holder.kind != HolderKind::Root);
        let listed: Can = holders.iter().map(|holder| scene.held(holder)).collect();
        assert_eq!(listed, obeyed, "{by}");
    }
    // Bob lists the same devices and ways back; where the root key is, he does not know.
    let contact = scene.world.person("bob").contact("alice").unwrap().id;
    let holders = scene.listed("bob", &Item::Contact(contact));
    let (root, rest): (Vec<Holder>, Vec<Holder>) = holders
        .iter()
        .partition(|holder| holder.kind == HolderKind::Root);
    assert_eq!(root.len(), 1);
    let listed: Can = rest.iter().map(|holder| scene.held(holder)).collect();
    obeyed.remove(&(SHEET.to_owned(), HeldKey::Root));
    assert_eq!(listed, obeyed);
}

/// Before there is a sheet, the root key is on the device where the account was made.
#[test]
fn the_root_key_is_where_the_account_was_made_until_a_sheet_holds_it() {
    let mut world = World::new(506);
    world.join("alice");
    world.link("alice", "tablet");
    let scene = Scene {
        world,
        sheet: String::new(),
        heard: 0,
    };
    let log = own_log(&scene.world, "alice");
    let nothing = HashSet::new();
    for (name, has) in [("alice", true), ("tablet", false)] {
        let secrets = scene.secrets(name, &nothing);
        assert_eq!(secrets.iter().any(|key| is_root(key, &log)), has, "{name}");
    }
    let roots = |by: &str| {
        let mut holders = scene.listed(by, &Item::Account);
        holders.retain(|holder| holder.key == HeldKey::Root);
        let root = |holder: &Holder| (holder.device, holder.certain);
        holders.iter().map(root).collect::<Vec<_>>()
    };
    assert_eq!(roots("alice"), [(Some(scene.world.device("alice")), true)]);
    assert_eq!(roots("tablet"), [(None, false)]);
}

fn own_log(world: &World, name: &str) -> VerifiedLog {
    let own = Engine.account(&world.person(name).store).unwrap().unwrap();
    let log = UnverifiedLog::decode(&own.log).unwrap();
    log.verify(Some(&own.id), None).unwrap()
}

/// Secrets of the account's devices in a profile: id, X25519, signing seed, envelope seed.
fn devices_in(world: &World, name: &str, log: &VerifiedLog) -> Vec<DeviceSecrets> {
    let rows = world.person(name).store.rows();
    let found = rows.flat_map(|(_, row)| {
        row.windows(144)
            .filter(|window| {
                log.devices()
                    .iter()
                    .any(|device| window.starts_with(device.id().as_bytes()))
            })
            .filter_map(|window| DeviceSecrets::decode(window).ok())
            .collect::<Vec<_>>()
    });
    found.collect()
}

/// Whether these bytes are the first half of the root key, by its Ed25519 part.
fn is_root(key: &[u8; 32], log: &VerifiedLog) -> bool {
    let public = ed25519::public(&Secret::from_slice(key).unwrap());
    log.root_key().as_bytes().starts_with(&public)
}

/// Whether these bytes are the recovery secret: the log names the head that follows from it.
fn recovers(key: &[u8; 32], log: &VerifiedLog) -> bool {
    let info = [label::RECOVERY_HEAD.as_bytes(), &[0, 1]].concat();
    let head: Secret<32> = keys::hkdf_sha512(&[], &[key], &[&info]);
    let id = wire::head_id(&ed25519::public(&head));
    log.recovery(Method::Sheet)
        .is_some_and(|record| *record.head_id() == id)
}

/// The root key that stands in an opened head, sealed to the sheet (docs/spec/recovery.md).
fn root_of(head: &[u8], sheet: &RecoverySecrets) -> Vec<u8> {
    let mut input = Reader::new(head);
    assert_eq!(input.u8().unwrap(), 1);
    let account = input.take(32).unwrap().to_vec();
    input.bytes(64).unwrap();
    input.take(8 + 64 + 8 + 8).unwrap();
    let sealed = input.bytes(4096).unwrap();
    let info = label::SEALED_ROOT.as_bytes();
    hpke::open(sheet.envelope(), info, &account, sealed).unwrap()
}

/// What is not in a profile has no custody there.
#[test]
fn a_stranger_lists_nothing() {
    let mut scene = scene(505);
    scene.world.send("alice", "bob", MARKER);
    scene.world.settle();
    let letter = scene.letter("alice", "bob");
    let carol = &scene.world.person("carol").store;
    let items = [
        Item::Letter(letter.id),
        Item::Enclosure(letter.id, BlobId::from_bytes([1; 16])),
        Item::Conversation(scene.world.account("alice")),
        Item::Contact(scene.world.account("alice")),
    ];
    for item in items {
        assert!(Engine.custody(carol, &item).unwrap().is_none(), "{item:?}");
    }
}
