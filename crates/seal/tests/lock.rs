//! Sealed files, there and back, and every way to break them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use keys::hpke::EnvelopeSecret;
use keys::{
    AccountId, DeviceId, HybridSignature, SecretBytes, SigningKey, Suite, Timestamp, label,
};
use letterlock_seal::lock::{
    Author, Entry, EntryKind, FileKey, HeaderError, LockFile, Manifest, ManifestError, OpenError,
    Opener, Recipient, SealError, Sealer, StanzaKind, UnverifiedHeader, VerifiedHeader,
};
use letterlock_seal::tree::{Tree, TreeError};
use letterlock_seal::{InOrder, Output, Sink};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A file in memory.
#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl Sink for Memory {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        if all.len() < start + bytes.len() {
            all.resize(start + bytes.len(), 0);
        }
        all[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn give_up(&self) {}
}

struct Person {
    envelope: EnvelopeSecret,
    signing: SigningKey,
}

fn person(suite: Suite, seed: u64) -> Person {
    let mut rng = rng(seed);
    Person {
        envelope: EnvelopeSecret::generate(suite, &mut rng).unwrap(),
        signing: SigningKey::generate(suite, &mut rng).unwrap(),
    }
}

impl Person {
    fn recipient(&self) -> Recipient {
        Recipient::Key(self.envelope.public().clone())
    }

    fn sign(&self, message: &[u8]) -> Option<HybridSignature> {
        self.signing.sign(label::SEAL_SIGNATURE, message).ok()
    }
}

fn author<'a>(person: &Person, sign: &'a dyn Fn(&[u8]) -> Option<HybridSignature>) -> Author<'a> {
    Author {
        account: AccountId::from_bytes([7; 32]),
        device: DeviceId::from_bytes([8; 16]),
        suite: person.signing.suite(),
        time: Timestamp::from_secs(1_700_000_000),
        log: b"a log".to_vec(),
        sign,
    }
}

fn nothing(_: u64) {}

fn sealed(tree: &Tree, to: &[Recipient], by: Option<&Person>) -> Vec<u8> {
    let sign = |message: &[u8]| by.unwrap().sign(message);
    let author = by.map(|person| author(person, &sign));
    let sealer = Sealer {
        recipients: to,
        author: author.as_ref(),
    };
    let out = Memory::default();
    let length = sealer.seal_tree(tree, &out, &nothing, &mut rng(1)).unwrap();
    let out = out.0.into_inner().unwrap();
    assert_eq!(length, out.len() as u64);
    out
}

fn opened(file: &[u8], opener: Opener<'_>) -> Result<LockFile<Vec<u8>>, String> {
    let header = UnverifiedHeader::read(&mut &file[..]).map_err(|error| error.to_string())?;
    let key = header
        .unwrap_key(opener)
        .map_err(|error| error.to_string())?
        .ok_or("not for this key")?;
    let header = header.verify(&key).map_err(|error| error.to_string())?;
    LockFile::open(file.to_vec(), &header).map_err(|error| error.to_string())
}

fn write(path: &Path, length: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..length).map(|i| (i * 31 % 253) as u8).collect();
    fs::write(path, &content).unwrap();
    content
}

/// Whatever a program sees of a directory: paths, contents, modes, times, targets.
fn look(root: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(at) = left.pop() {
        let metadata = at.symlink_metadata().unwrap();
        let name = at.strip_prefix(root).unwrap().display().to_string();
        let mode = metadata.permissions().mode() & 0o777;
        let content = if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&at).unwrap().display())
        } else if metadata.is_dir() {
            left.extend(
                fs::read_dir(&at)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            "directory".to_owned()
        } else {
            format!("{:?}", keys::sha256(&[&fs::read(&at).unwrap()]))
        };
        let modified = match metadata.is_symlink() {
            true => None,
            false => Some(metadata.modified().unwrap()),
        };
        seen.push(format!("{name} {mode:o} {modified:?} {content}"));
    }
    seen.sort();
    seen
}

fn furnish(root: &Path) {
    fs::create_dir_all(root.join("letters/old/empty")).unwrap();
    write(&root.join("letters/one"), 1);
    write(&root.join("letters/none"), 0);
    write(&root.join("letters/chunk"), 16 * 1024);
    write(&root.join("letters/large"), 3 * (1 << 20) + 5);
    write(&root.join("letters/old/more"), 70_000);
    for number in 0..300 {
        write(&root.join(format!("letters/old/{number:03}")), number * 7);
    }
    symlink("one", root.join("letters/link")).unwrap();
    symlink("../none", root.join("letters/old/up")).unwrap();
    fs::set_permissions(root.join("letters/one"), PermissionsExt::from_mode(0o640)).unwrap();
    fs::set_permissions(root.join("letters/old"), PermissionsExt::from_mode(0o750)).unwrap();
}

#[test]
fn a_directory_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let alice = person(Suite::Hybrid, 1);
    let bob = person(Suite::Cnsa2, 2);
    let tree = Tree::of(&[folder.path().join("letters")]).unwrap();
    let file = sealed(&tree, &[alice.recipient(), bob.recipient()], Some(&alice));
    for reader in [&alice, &bob] {
        let out = tempfile::tempdir().unwrap();
        let file = opened(&file, Opener::Key(&reader.envelope)).unwrap();
        assert_eq!(file.manifest(), tree.manifest());
        let extracted = file.extract(out.path(), 1, &nothing).unwrap();
        let claimed = extracted.claimed().unwrap();
        assert_eq!(claimed.account(), &AccountId::from_bytes([7; 32]));
        assert_eq!(claimed.log(), b"a log");
        claimed.verify(alice.signing.verifying_key()).unwrap();
        assert!(claimed.verify(bob.signing.verifying_key()).is_err());
        assert!(extracted.left_out().is_empty());
        let places = extracted.place(out.path(), false).unwrap();
        assert_eq!(places, [out.path().join("letters")]);
        assert_eq!(look(&folder.path().join("letters")), look(&places[0]));
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    }
    let carol = person(Suite::Hybrid, 3);
    assert!(opened(&file, Opener::Key(&carol.envelope)).is_err());
}

#[test]
fn every_length_comes_back_and_is_padded() {
    let folder = tempfile::tempdir().unwrap();
    let alice = person(Suite::Hybrid, 1);
    let block = 1 << 20;
    for length in [
        0,
        1,
        16_383,
        16_384,
        16_385,
        block - 100,
        block,
        block + 1,
        2 * block,
    ] {
        let path = folder.path().join("f");
        let content = write(&path, length);
        let tree = Tree::of(&[path]).unwrap();
        for by in [None, Some(&alice)] {
            let file = sealed(&tree, &[alice.recipient()], by);
            let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
            assert_eq!(file.size(0), Some(length as u64));
            assert_eq!(file.verify(&nothing).unwrap().is_some(), by.is_some());
            let mut all = vec![0; length + 10];
            assert_eq!(file.read(0, 0, &mut all).unwrap(), length);
            assert_eq!(&all[..length], &content[..]);
        }
    }
}

/// What goes in by a pipe and comes out by one is the same, in order, whatever the threads do.
#[test]
fn a_pipe_of_every_length_comes_back() {
    let alice = person(Suite::Hybrid, 1);
    let sign = |message: &[u8]| alice.sign(message);
    let author = author(&alice, &sign);
    let to = [alice.recipient()];
    let sealer = Sealer {
        recipients: &to,
        author: Some(&author),
    };
    let block = 1 << 20;
    for length in [0, 1, 16_340, block - 40, block - 39, block, 9 * block + 3] {
        // Its own zeros and 80 at the end are not padding.
        let mut content: Vec<u8> = (0..length).map(|i| (i * 31 % 253) as u8).collect();
        for byte in content.iter_mut().rev().take(5) {
            *byte = 0;
        }
        if let Some(byte) = content.iter_mut().rev().nth(5) {
            *byte = 0x80;
        }
        let out = InOrder::new(Vec::new());
        sealer
            .seal_stream(b"stdin", &content[..], &out, &nothing, &mut rng(1))
            .unwrap();
        let file = out.into_inner();
        let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
        assert_eq!(file.size(0), Some(length as u64));
        let out = InOrder::new(Vec::new());
        let claimed = file.write_to(0, &out, &nothing).unwrap().unwrap();
        claimed.verify(alice.signing.verifying_key()).unwrap();
        assert!(out.into_inner() == content, "{length}");
    }
}

#[test]
fn a_passphrase_opens_and_another_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, 100);
    let word = |word: &str| SecretBytes::from(word.as_bytes());
    let alice = person(Suite::Hybrid, 1);
    let to = [
        Recipient::Passphrase(word("correct horse")),
        alice.recipient(),
    ];
    let file = sealed(&Tree::of(&[path]).unwrap(), &to, None);
    assert!(opened(&file, Opener::Passphrase(&word("correct horse"))).is_ok());
    assert!(opened(&file, Opener::Passphrase(&word("battery staple"))).is_err());
    assert!(opened(&file, Opener::Key(&alice.envelope)).is_ok());
    let header = UnverifiedHeader::read(&mut &file[..]).unwrap();
    let shown: Vec<_> = header.stanzas().collect();
    assert_eq!(
        shown,
        [StanzaKind::Passphrase, StanzaKind::Key(Suite::Hybrid)]
    );
}

/// Unsigned, so that every byte is the sealed file's own.
fn small() -> (Vec<u8>, Person) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, 20_000);
    let alice = person(Suite::Hybrid, 1);
    let file = sealed(&Tree::of(&[path]).unwrap(), &[alice.recipient()], None);
    (file, alice)
}

fn whole(file: &[u8], alice: &Person) -> bool {
    opened(file, Opener::Key(&alice.envelope)).is_ok_and(|file| file.verify(&nothing).is_ok())
}

const WORD: &[u8] = b"correct horse";

/// Who opens a file of a kind.
enum Reader {
    Key(Box<Person>),
    Passphrase(SecretBytes),
}

impl Reader {
    fn opener(&self) -> Opener<'_> {
        match self {
            Self::Key(person) => Opener::Key(&person.envelope),
            Self::Passphrase(word) => Opener::Passphrase(word),
        }
    }

    fn recipient(&self) -> Recipient {
        match self {
            Self::Key(person) => person.recipient(),
            Self::Passphrase(_) => Recipient::Passphrase(SecretBytes::from(WORD)),
        }
    }
}

/// A short file: of one file or of a folder, to one reader, signed or not.
fn short(suite: Option<Suite>, folder: bool, signed: bool) -> (Vec<u8>, Reader) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("d");
    match folder {
        true => {
            fs::create_dir(&path).unwrap();
            write(&path.join("one"), 40);
            write(&path.join("none"), 0);
            symlink("one", path.join("link")).unwrap();
        }
        false => drop(write(&path, 50)),
    }
    let reader = match suite {
        Some(suite) => Reader::Key(Box::new(person(suite, 1))),
        None => Reader::Passphrase(SecretBytes::from(WORD)),
    };
    let alice = person(Suite::Hybrid, 2);
    let tree = Tree::of(&[path]).unwrap();
    let file = sealed(&tree, &[reader.recipient()], signed.then_some(&alice));
    (file, reader)
}

/// A file whose header opened once: with its key, changed ones are tried without what a passphrase costs.
struct Tried {
    file: Vec<u8>,
    reader: Reader,
    key: FileKey,
    header: VerifiedHeader,
}

impl Tried {
    fn new((file, reader): (Vec<u8>, Reader)) -> Self {
        let read = UnverifiedHeader::read(&mut &file[..]).unwrap();
        let key = read.unwrap_key(reader.opener()).unwrap().unwrap();
        let header = read.verify(&key).unwrap();
        let whole = LockFile::open(file.clone(), &header).unwrap();
        whole.verify(&nothing).unwrap();
        Self {
            file,
            reader,
            key,
            header,
        }
    }

    /// Whether anybody opens a changed file. `unwraps`: as its reader does; else as if the key came out all the same.
    fn opens(&self, changed: &[u8], unwraps: bool) -> bool {
        let length = self.header.bytes().len();
        if changed.get(..length) == self.file.get(..length) {
            let file = LockFile::open(changed.to_vec(), &self.header);
            return file.is_ok_and(|file| file.verify(&nothing).is_ok());
        }
        let Ok(read) = UnverifiedHeader::read(&mut &changed[..]) else {
            return false;
        };
        // Its file key refuses a header whatever a stanza says.
        if unwraps && !matches!(read.unwrap_key(self.reader.opener()), Err(_) | Ok(None)) {
            return true;
        }
        read.verify(&self.key).is_ok()
    }

    /// Every length of it, and one byte more.
    fn cut(&self) {
        for length in 0..self.file.len() {
            assert!(!self.opens(&self.file[..length], false), "{length}");
        }
        assert!(!self.opens(&[&self.file[..], &[0]].concat(), false));
    }

    /// Every bit of it; of each so many a reader tries to unwrap.
    fn flip(&self, unwraps: usize) {
        for bit in 0..self.file.len() * 8 {
            let mut changed = self.file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!self.opens(&changed, bit % unwraps == 0), "{bit}");
        }
    }
}

#[test]
fn every_flip_and_every_cut_of_a_file_to_a_key_is_refused() {
    let file = Tried::new(short(Some(Suite::Hybrid), false, false));
    file.cut();
    file.flip(1);
}

#[test]
fn every_flip_and_every_cut_of_a_file_to_a_key_of_cnsa2_is_refused() {
    let file = Tried::new(short(Some(Suite::Cnsa2), false, false));
    file.cut();
    file.flip(1);
}

#[test]
fn every_flip_and_every_cut_of_a_folder_is_refused() {
    let file = Tried::new(short(Some(Suite::Hybrid), true, false));
    file.cut();
    file.flip(5);
}

#[test]
fn every_flip_and_every_cut_of_a_signed_folder_is_refused() {
    let file = Tried::new(short(Some(Suite::Hybrid), true, true));
    file.cut();
    file.flip(5);
}

/// A passphrase costs what it is to cost: a sample is tried with it, and every flip as if it had opened all the same.
#[test]
fn every_flip_and_every_cut_of_a_file_to_a_passphrase_is_refused() {
    let file = Tried::new(short(None, false, false));
    file.cut();
    file.flip(usize::MAX);
    // Where its stanza has memory, passes, lanes, salt and tag.
    for at in [19, 21, 22, 24, 40, 80] {
        let mut changed = file.file.clone();
        changed[at] ^= 1;
        assert!(!file.opens(&changed, true), "{at}");
    }
}

/// Of a longer file every place is tried with one of its bits, and every chunk's edges are cut.
#[test]
fn every_changed_place_of_a_longer_file_is_refused() {
    let (file, alice) = small();
    assert!(whole(&file, &alice));
    let file = Tried::new((file, Reader::Key(Box::new(alice))));
    let near = |at: usize| at.saturating_sub(40)..(at + 40).min(file.file.len());
    let header = file.header.bytes().len();
    let mut cuts: Vec<usize> = (0..file.file.len()).step_by(97).collect();
    for edge in [
        0,
        header,
        header + 56,
        header + 56 + 16_400,
        file.file.len(),
    ] {
        cuts.extend(near(edge));
    }
    for cut in cuts {
        assert!(!file.opens(&file.file[..cut], true), "{cut}");
    }
    for at in (header..file.file.len()).step_by(11) {
        let mut changed = file.file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!file.opens(&changed, true), "{at}");
    }
}

/// Nothing is written of a file in which anything was changed, wherever that is.
#[test]
fn nothing_is_written_of_a_changed_file() {
    let file = Tried::new(short(Some(Suite::Hybrid), true, true));
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("there"), b"before").unwrap();
    let before = look(out.path());
    let (header, end) = (file.header.bytes().len(), file.file.len());
    let changes = (header..end).step_by(7).map(|at| (at, end));
    for (at, length) in changes.chain((header..end).step_by(61).map(|length| (0, length))) {
        let mut changed = file.file.clone();
        changed[at] ^= u8::from(at > 0) << (at % 8);
        changed.truncate(length);
        let opened = LockFile::open(changed, &file.header);
        assert!(opened.is_err() || opened.unwrap().extract(out.path(), 1, &nothing).is_err());
        assert_eq!(look(out.path()), before, "{at} {length}");
    }
}

#[test]
fn a_changed_header_gives_no_payload_key() {
    let (file, alice) = small();
    // A stanza of a kind that nobody knows, put in front: all old stanzas still open.
    let length = u32::from_be_bytes(file[8..12].try_into().unwrap());
    let extra = [9, 0, 0, 0, 1, 0];
    let mut changed = file[..8].to_vec();
    changed.extend_from_slice(&(length + 6).to_be_bytes());
    changed.extend_from_slice(&extra);
    changed.extend_from_slice(&file[12..]);
    let header = UnverifiedHeader::read(&mut &changed[..]).unwrap();
    assert!(matches!(
        header.unwrap_key(Opener::Key(&alice.envelope)),
        Err(HeaderError::Changed)
    ));
    // The right key and the wrong header.
    let right = UnverifiedHeader::read(&mut &file[..]).unwrap();
    let key = right.unwrap_key(Opener::Key(&alice.envelope)).unwrap();
    assert!(matches!(
        header.verify(&key.unwrap()),
        Err(HeaderError::Changed)
    ));
}

#[test]
fn two_passphrases_are_refused() {
    let word = || Recipient::Passphrase(SecretBytes::from(&b"x"[..]));
    let made = letterlock_seal::lock::VerifiedHeader::create(&[word(), word()], &mut rng(1));
    assert!(matches!(made, Err(HeaderError::Recipients { .. })));
    let (file, _) = small();
    let stanza = [2, 0, 0, 0, 1, 0];
    let mut changed = file[..8].to_vec();
    changed.extend_from_slice(&12u32.to_be_bytes());
    changed.extend_from_slice(&[stanza, stanza].concat());
    changed.extend_from_slice(&[0; 32]);
    assert!(matches!(
        UnverifiedHeader::read(&mut &changed[..]),
        Err(HeaderError::Damaged)
    ));
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    let (file, _) = small();
    let read = |bytes: &[u8]| UnverifiedHeader::read(&mut &bytes[..]).err().unwrap();
    assert!(matches!(read(b""), HeaderError::NotSealed));
    assert!(matches!(
        read(b"age-encryption.org/v1\n"),
        HeaderError::NotSealed
    ));
    assert!(matches!(read(&file[..100]), HeaderError::Damaged));
    let mut newer = file;
    newer[7] = 2;
    assert!(matches!(read(&newer), HeaderError::Newer));
}

/// Whoever can open a file knows its file key: it can put other contents behind the same header, under the old
/// signature, and must not be believed.
#[test]
fn a_signature_is_for_these_recipients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, 100);
    let (alice, bob) = (person(Suite::Hybrid, 1), person(Suite::Hybrid, 2));
    let kept = Mutex::new(None);
    // Alice signs for herself; Bob shows the same signature in a file for himself, with the same contents.
    for (to, replay) in [(&alice, false), (&bob, true)] {
        let sign = |message: &[u8]| {
            let mut kept = kept.lock().unwrap();
            if !replay {
                *kept = alice.sign(message);
            }
            kept.clone()
        };
        let author = author(&alice, &sign);
        let to_whom = [to.recipient()];
        let sealer = Sealer {
            recipients: &to_whom,
            author: Some(&author),
        };
        let out = Memory::default();
        let tree = Tree::of(std::slice::from_ref(&path)).unwrap();
        sealer
            .seal_tree(&tree, &out, &nothing, &mut rng(5))
            .unwrap();
        let file = out.0.into_inner().unwrap();
        let file = opened(&file, Opener::Key(&to.envelope)).unwrap();
        let claimed = file.verify(&nothing).unwrap().unwrap();
        let genuine = claimed.verify(alice.signing.verifying_key()).is_ok();
        assert_eq!(genuine, !replay);
    }
}

#[test]
fn a_signature_is_for_these_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let alice = person(Suite::Hybrid, 1);
    let kept: Mutex<Option<HybridSignature>> = Mutex::new(None);
    for (content, genuine) in [(&b"pay 10"[..], true), (b"pay 99", false)] {
        fs::write(&path, content).unwrap();
        let sign = |message: &[u8]| {
            let mut kept = kept.lock().unwrap();
            Some(
                kept.get_or_insert_with(|| alice.sign(message).unwrap())
                    .clone(),
            )
        };
        let author = author(&alice, &sign);
        let to = [alice.recipient()];
        let sealer = Sealer {
            recipients: &to,
            author: Some(&author),
        };
        let out = Memory::default();
        let tree = Tree::of(std::slice::from_ref(&path)).unwrap();
        sealer
            .seal_tree(&tree, &out, &nothing, &mut rng(5))
            .unwrap();
        let file = out.0.into_inner().unwrap();
        let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
        let claimed = file.verify(&nothing).unwrap().unwrap();
        assert_eq!(
            claimed.verify(alice.signing.verifying_key()).is_ok(),
            genuine
        );
    }
}

#[test]
fn ranges_are_those_of_the_contents() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(&folder.path().join("a"), 40_000);
    let two = write(&folder.path().join("b"), 50_001);
    let alice = person(Suite::Hybrid, 1);
    let paths = [folder.path().join("a"), folder.path().join("b")];
    let file = sealed(&Tree::of(&paths).unwrap(), &[alice.recipient()], None);
    let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
    for (entry, content) in [(0, &one), (1, &two)] {
        for offset in (0..content.len() + 20_000).step_by(3_333) {
            for length in [0, 1, 100, 16_384, 60_000] {
                let mut out = vec![0; length];
                let got = file.read(entry, offset as u64, &mut out).unwrap();
                let end = (offset + length).min(content.len());
                let expected = content.get(offset..end).unwrap_or_default();
                assert_eq!(&out[..got], expected);
            }
        }
    }
    assert_eq!(file.read(2, 0, &mut [0; 4]).unwrap(), 0);
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        mode: 0o600,
        modified: (0, 0),
        kind,
    }
}

fn plain(size: u64) -> EntryKind {
    EntryKind::File { size: Some(size) }
}

#[test]
fn unsafe_paths_are_refused() {
    for path in [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "a\0b",
    ] {
        let made = Manifest::new(vec![
            entry("a", EntryKind::Directory),
            entry(path, plain(0)),
        ]);
        assert_eq!(made.err(), Some(ManifestError::Path), "{path}");
    }
    let long = "x".repeat(256);
    assert!(Manifest::new(vec![entry(&long, plain(0))]).is_err());
    assert!(Manifest::new(vec![entry(&long[1..], plain(0))]).is_ok());
}

#[test]
fn manifests_that_no_tree_has_are_refused() {
    let refused = |entries: Vec<Entry>| Manifest::new(entries).err().unwrap();
    let link = |target: &str| EntryKind::Link {
        target: target.as_bytes().to_vec(),
    };
    let twice = vec![entry("a", plain(0)), entry("a", EntryKind::Directory)];
    assert_eq!(refused(twice), ManifestError::Twice);
    assert_eq!(refused(vec![entry("a/b", plain(0))]), ManifestError::Orphan);
    // A file, or a link, is no directory to lie in.
    let through = vec![entry("a", link("/etc")), entry("a/b", plain(0))];
    assert_eq!(refused(through), ManifestError::Orphan);
    let endless = vec![
        entry("a", EntryKind::File { size: None }),
        entry("b", plain(1)),
    ];
    assert_eq!(refused(endless), ManifestError::Bounds);
    let huge = vec![entry("a", plain(u64::MAX - 1)), entry("b", plain(2))];
    assert_eq!(refused(huge), ManifestError::Bounds);
    let mut setuid = entry("a", plain(0));
    setuid.mode = 0o4755;
    assert_eq!(refused(vec![setuid]), ManifestError::Bounds);
    assert_eq!(refused(vec![entry("a", link(""))]), ManifestError::Bounds);
}

#[test]
fn manifests_come_back_and_every_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let tree = Tree::of(&[folder.path().join("letters")]).unwrap();
    let bytes = tree.manifest().encode().unwrap();
    assert_eq!(&Manifest::decode(&bytes).unwrap(), tree.manifest());
    for cut in 0..bytes.len() {
        assert!(Manifest::decode(&bytes[..cut]).is_err());
    }
    assert!(Manifest::decode(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn a_link_that_leads_out_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    fs::create_dir_all(root.join("in")).unwrap();
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("up", "../outside"),
        ("through", "in/../../outside"),
        ("fine", "in/../in"),
        ("in/fine", "../in"),
        ("in/up", "../../outside"),
        ("in/top", "../../d"),
        ("in/deep", ".././in/fine"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    let alice = person(Suite::Hybrid, 1);
    let tree = Tree::of(&[root]).unwrap();
    let file = sealed(&tree, &[alice.recipient()], None);
    let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let extracted = file.extract(out.path(), 1, &nothing).unwrap();
    assert_eq!(extracted.left_out().len(), 5);
    extracted.place(out.path(), false).unwrap();
    let there = |name: &str| out.path().join("d").join(name).symlink_metadata().is_ok();
    assert!(!there("absolute") && !there("through") && !there("up"));
    assert!(!there("in/up") && !there("in/top"));
    assert!(there("fine") && there("in/fine") && there("in/deep"));
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    write(&folder.path().join("d/new"), 5);
    write(&folder.path().join("f"), 5);
    let alice = person(Suite::Hybrid, 1);
    let paths = [folder.path().join("d"), folder.path().join("f")];
    let file = sealed(&Tree::of(&paths).unwrap(), &[alice.recipient()], None);
    let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
    let out = tempfile::tempdir().unwrap();
    assert!(file.conflict(out.path()).is_none());
    fs::create_dir(out.path().join("d")).unwrap();
    fs::write(out.path().join("d/old"), b"old").unwrap();
    assert_eq!(file.conflict(out.path()), Some(out.path().join("d")));
    let extracted = file.extract(out.path(), 1, &nothing).unwrap();
    let placed = extracted.place(out.path(), false);
    assert!(matches!(placed, Err(OpenError::Exists { .. })));
    assert_eq!(fs::read(out.path().join("d/old")).unwrap(), b"old");
    assert!(!out.path().join("f").exists());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    let extracted = file.extract(out.path(), 1, &nothing).unwrap();
    extracted.place(out.path(), true).unwrap();
    assert!(out.path().join("d/new").exists() && !out.path().join("d/old").exists());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2);
}

#[test]
fn nothing_stays_of_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let content = write(&path, 5 << 20);
    let alice = person(Suite::Hybrid, 1);
    let mut file = sealed(&Tree::of(&[path]).unwrap(), &[alice.recipient()], None);
    let at = file.len() / 2;
    file[at] ^= 1;
    let file = opened(&file, Opener::Key(&alice.envelope)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let extracted = file.extract(out.path(), 1, &nothing);
    assert!(matches!(extracted, Err(OpenError::Damaged)));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    // To a pipe goes what was verified, in order, and then an error.
    let sink = InOrder::new(Vec::new());
    assert!(file.write_to(0, &sink, &nothing).is_err());
    let written = sink.into_inner();
    assert!(written.len() < 3 << 20 && content.starts_with(&written));
}

#[test]
fn a_file_that_changes_while_it_is_sealed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, 100);
    let tree = Tree::of(std::slice::from_ref(&path)).unwrap();
    let alice = person(Suite::Hybrid, 1);
    let to = [alice.recipient()];
    let sealer = Sealer {
        recipients: &to,
        author: None,
    };
    for length in [99, 101] {
        write(&path, length);
        let result = sealer.seal_tree(&tree, &Memory::default(), &nothing, &mut rng(1));
        assert!(matches!(
            result,
            Err(SealError::Tree(TreeError::Changed { .. }))
        ));
    }
}

#[test]
fn an_output_has_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("out");
    let names = || fs::read_dir(folder.path()).unwrap().count();
    let output = Output::create(&place, 1).unwrap();
    output.file().put(0, b"half").unwrap();
    assert!(!place.exists());
    drop(output);
    assert_eq!(names(), 0);
    let output = Output::create(&place, 1).unwrap();
    output.file().put(0, b"whole").unwrap();
    output.keep(false).unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"whole");
    let again = Output::create(&place, 1).unwrap();
    let error = again.keep(false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(names(), 1);
    Output::create(&place, 1).unwrap().keep(true).unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"");
}

/// A pipe that closes ends the work of all threads.
#[test]
fn a_closed_pipe_ends_the_work() {
    struct Closed(usize);
    impl io::Write for Closed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let alice = person(Suite::Hybrid, 1);
    let to = [alice.recipient()];
    let sealer = Sealer {
        recipients: &to,
        author: None,
    };
    let content = vec![1; 20 << 20];
    let out = InOrder::new(Closed(3));
    let result = sealer.seal_stream(b"x", &content[..], &out, &nothing, &mut rng(1));
    assert!(matches!(result, Err(SealError::Write(_))));
}
