//! Files of the age format, there and back, and every way to break them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use keys::hpke::EnvelopeSecret;
use keys::{SecretBytes, Suite};
use letterlock_seal::age::armor::{self, ArmorWriter};
use letterlock_seal::age::{
    AgeFile, Identities, Identity, IdentityError, Opener, Recipient, RecipientError, Sealer,
    StanzaKind, UnverifiedHeader, VerifiedHeader,
};
use letterlock_seal::lock::{HeaderError, SealError};
use letterlock_seal::tree::Tree;
use letterlock_seal::{InOrder, Sink};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

const CHUNK: usize = 64 << 10;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn nothing(_: u64) {}

fn hybrid(seed: u64) -> Identity {
    let key = EnvelopeSecret::generate(Suite::Hybrid, &mut rng(seed)).unwrap();
    Identity::Hybrid(key)
}

fn x25519(seed: u64) -> Identity {
    Identity::X25519(keys::X25519Secret::from_random(&mut rng(seed)))
}

fn ssh(name: &str) -> Identity {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keys")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    Identities::of_text(&text)
        .unwrap()
        .into_iter()
        .next()
        .unwrap()
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 253) as u8).collect()
}

fn sealed(to: &[Recipient], content: &[u8]) -> Vec<u8> {
    let out = InOrder::new(Vec::new());
    let sealer = Sealer { recipients: to };
    let length = sealer
        .seal_stream(content, &out, &nothing, &mut rng(1))
        .unwrap();
    let out = out.into_inner();
    assert_eq!(length, out.len() as u64);
    out
}

fn begun(file: &[u8], opener: Opener<'_>) -> Result<AgeFile<Vec<u8>>, String> {
    let text = |error: HeaderError| error.to_string();
    let header = UnverifiedHeader::read(&mut &file[..]).map_err(text)?;
    let key = header
        .unwrap_key(opener)
        .map_err(text)?
        .ok_or("not for this key")?;
    let header = header.verify(&key).map_err(text)?;
    AgeFile::open(file.to_vec(), &header).map_err(|error| error.to_string())
}

fn opened(file: &[u8], opener: Opener<'_>) -> Result<Vec<u8>, String> {
    let out = InOrder::new(Vec::new());
    let written = begun(file, opener)?.write_to(&out, &nothing);
    written.map_err(|error| error.to_string())?;
    Ok(out.into_inner())
}

#[test]
fn every_kind_of_recipient_opens_and_no_other() {
    let people = [
        hybrid(1),
        hybrid(2),
        x25519(3),
        x25519(4),
        ssh("ed"),
        ssh("rsa"),
    ];
    for (number, person) in people.iter().enumerate() {
        let file = sealed(&[person.recipient()], b"for one");
        for (other, reader) in people.iter().enumerate() {
            let opened = opened(&file, Opener::Identity(reader));
            assert_eq!(opened.is_ok(), number == other, "{number} {other}");
        }
    }
    let to: Vec<Recipient> = people[2..].iter().map(Identity::recipient).collect();
    let file = sealed(&to, b"for four");
    for reader in &people[2..] {
        assert_eq!(
            opened(&file, Opener::Identity(reader)).unwrap(),
            b"for four"
        );
    }
    let header = UnverifiedHeader::read(&mut &file[..]).unwrap();
    let kinds: Vec<StanzaKind> = header.stanzas().collect();
    let ssh = StanzaKind::Ssh;
    assert_eq!(
        kinds,
        [
            StanzaKind::X25519,
            StanzaKind::X25519,
            ssh("ssh-ed25519"),
            ssh("ssh-rsa")
        ]
    );
    // A key of an account is a key of X-Wing.
    let file = sealed(&[hybrid(1).recipient()], b"for an account");
    let account = EnvelopeSecret::generate(Suite::Hybrid, &mut rng(1)).unwrap();
    let wide = EnvelopeSecret::generate(Suite::Cnsa2, &mut rng(1)).unwrap();
    assert_eq!(
        opened(&file, Opener::Key(&account)).unwrap(),
        b"for an account"
    );
    assert!(opened(&file, Opener::Key(&wide)).is_err());
}

#[test]
fn a_passphrase_opens_and_another_does_not() {
    let word = |text: &str| SecretBytes::from(text.as_bytes());
    let file = sealed(&[Recipient::Passphrase(word("correct horse"))], b"by hand");
    assert_eq!(
        opened(&file, Opener::Passphrase(&word("correct horse"))).unwrap(),
        b"by hand"
    );
    assert!(opened(&file, Opener::Passphrase(&word("battery staple"))).is_err());
    assert!(opened(&file, Opener::Identity(&x25519(1))).is_err());
}

#[test]
fn what_age_wrote_for_ssh_keys_opens() {
    for name in ["ed", "rsa"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
        let file = fs::read(path.join(format!("{name}.age"))).unwrap();
        let text = opened(&file, Opener::Identity(&ssh(name))).unwrap();
        assert_eq!(text, format!("sealed by age 1.1.1 for {name}\n").as_bytes());
        let line = fs::read_to_string(path.join(format!("{name}.pub"))).unwrap();
        let public: Recipient = line.parse().unwrap();
        assert_eq!(public.to_string(), ssh(name).recipient().to_string());
        assert!(line.starts_with(&public.to_string()));
    }
}

#[test]
fn what_the_format_keeps_apart_is_not_mixed() {
    let word = || Recipient::Passphrase(SecretBytes::from(&b"word"[..]));
    let (pq, classical) = (|| hybrid(1).recipient(), || x25519(1).recipient());
    for to in [
        vec![pq(), classical()],
        vec![classical(), pq(), pq()],
        vec![word(), classical()],
        vec![word(), pq()],
        vec![word(), word()],
    ] {
        let out = InOrder::new(Vec::new());
        let sealer = Sealer { recipients: &to };
        let refused = sealer.seal_stream(io::empty(), &out, &nothing, &mut rng(1));
        assert!(matches!(
            refused,
            Err(SealError::Header(HeaderError::Mixed))
        ));
        assert!(out.into_inner().is_empty());
    }
    let nobody = Sealer { recipients: &[] };
    let out = InOrder::new(Vec::new());
    assert!(
        nobody
            .seal_stream(io::empty(), &out, &nothing, &mut rng(1))
            .is_err()
    );
}

/// Every length around a chunk and a block: by a pipe, by a file, whole, in ranges.
#[test]
fn every_length_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let person = hybrid(1);
    let to = [person.recipient()];
    let block = 16 * CHUNK;
    for length in [
        0,
        1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        block - 1,
        block,
        block + 1,
        block + CHUNK,
        3 * block,
        3 * block + 70_000,
    ] {
        let content = content(length);
        let file = sealed(&to, &content);
        let path = folder.path().join("plain");
        fs::write(&path, &content).unwrap();
        let tree = Tree::of(&[path]).unwrap();
        let out = fs::File::create(folder.path().join("sealed")).unwrap();
        let sealer = Sealer { recipients: &to };
        sealer
            .seal_file(&tree, &out, &nothing, &mut rng(1))
            .unwrap();
        assert!(
            fs::read(folder.path().join("sealed")).unwrap() == file,
            "{length}"
        );
        assert!(
            opened(&file, Opener::Identity(&person)).unwrap() == content,
            "{length}"
        );
        let file = begun(&file, Opener::Identity(&person)).unwrap();
        assert_eq!(file.length(), length as u64);
        file.verify(&nothing).unwrap();
        for (offset, wanted) in [
            (0, 10),
            (CHUNK - 5, 10),
            (CHUNK, CHUNK),
            (length / 2, 3 * CHUNK),
            (length, 1),
            (length.saturating_sub(1), 2),
            (0, length),
            (length + 7, 3),
        ] {
            let mut out = vec![0; wanted];
            let got = file.read(offset as u64, &mut out).unwrap();
            let end = (offset + wanted).min(length);
            let there = content.get(offset..end).unwrap_or_default();
            assert!(out[..got] == *there, "{length} {offset} {wanted}");
        }
    }
}

/// A file of three chunks in which something is exchanged, left out, repeated or added.
#[test]
fn chunks_stay_where_they_are() {
    let person = x25519(1);
    let file = sealed(&[person.recipient()], &content(2 * CHUNK + 100));
    let start = file.len() - (2 * CHUNK + 100 + 3 * 16);
    let (head, rest) = file.split_at(start);
    let chunks: Vec<&[u8]> = rest.chunks(CHUNK + 16).collect();
    let whole = |order: &[usize]| {
        let chunks = order.iter().flat_map(|number| chunks[*number].to_vec());
        [head.to_vec(), chunks.collect()].concat()
    };
    assert!(opened(&whole(&[0, 1, 2]), Opener::Identity(&person)).is_ok());
    for order in [
        &[1, 0, 2][..],
        &[0, 1],
        &[0, 2],
        &[1, 2],
        &[2],
        &[0],
        &[],
        &[0, 0, 1, 2],
        &[0, 1, 1, 2],
        &[0, 1, 2, 2],
    ] {
        assert!(
            opened(&whole(order), Opener::Identity(&person)).is_err(),
            "{order:?}"
        );
    }
}

/// Of what is wrong in its middle, whole chunks before it are shown, and nothing else.
#[test]
fn a_wrong_chunk_shows_nothing_of_itself() {
    let person = x25519(1);
    let text = content(40 * CHUNK);
    let good = sealed(&[person.recipient()], &text);
    let start = good.len() - 40 * (CHUNK + 16);
    for chunk in [0, 1, 15, 16, 30] {
        let mut file = good.clone();
        file[start + chunk * (CHUNK + 16) + 5] ^= 1;
        let file = begun(&file, Opener::Identity(&person)).unwrap();
        let out = InOrder::new(Vec::new());
        assert!(file.write_to(&out, &nothing).is_err());
        let out = out.into_inner();
        assert!(out.len().is_multiple_of(CHUNK) && out.len() <= chunk * CHUNK);
        assert!(text.starts_with(&out));
        assert!(file.verify(&nothing).is_err());
        assert!(file.read((chunk * CHUNK) as u64, &mut [0; 4]).is_err());
    }
    let mut file = good;
    *file.last_mut().unwrap() ^= 1;
    assert!(
        begun(&file, Opener::Identity(&person)).is_err(),
        "the last chunk is opened at once"
    );
}

/// Every length, and every bit, of a file to one recipient. A stanza for somebody else, or one that was changed, opens nothing; one
/// that opens says nothing of a header that was changed: so each is also tried as if its key had come out all the same.
fn every_flip_and_every_cut_is_refused_to(
    recipient: Recipient,
    opener: Opener<'_>,
    unwraps: usize,
) {
    let good = sealed(&[recipient], b"short");
    let read = UnverifiedHeader::read(&mut &good[..]).unwrap();
    let key = read.unwrap_key(opener).unwrap().unwrap();
    let header = read.verify(&key).unwrap();
    let length = header.bytes().len();
    let payload = |file: &[u8], header: &VerifiedHeader| {
        let out = InOrder::new(Vec::new());
        let file = AgeFile::open(file.to_vec(), header).ok()?;
        file.write_to(&out, &nothing).ok()?;
        Some(out.into_inner())
    };
    assert_eq!(payload(&good, &header).unwrap(), b"short");
    let opens = |changed: &[u8], unwrap: bool| {
        if changed.get(..length) == good.get(..length) {
            return payload(changed, &header).is_some();
        }
        let Ok(read) = UnverifiedHeader::read(&mut &changed[..]) else {
            return false;
        };
        let verified = match unwrap.then(|| read.unwrap_key(opener)) {
            Some(Ok(Some(unwrapped))) => read.verify(&unwrapped),
            _ => read.verify(&key),
        };
        // The nonce of the payload stands behind what the mac covers.
        verified.is_ok_and(|header| payload(changed, &header).is_some())
    };
    for end in 0..good.len() {
        assert!(!opens(&good[..end], false), "{end}");
    }
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&changed, bit % unwraps == 0), "{bit}");
    }
    assert!(!opens(&[&good[..], b"x"].concat(), true));
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    for (person, unwraps) in [
        (hybrid(1), 1),
        (x25519(1), 1),
        (ssh("ed"), 1),
        (ssh("rsa"), 7),
    ] {
        let opener = Opener::Identity(&person);
        every_flip_and_every_cut_is_refused_to(person.recipient(), opener, unwraps);
    }
    // scrypt costs what it is to cost.
    let word = || SecretBytes::from(&b"correct horse"[..]);
    let opener = word();
    let opener = Opener::Passphrase(&opener);
    every_flip_and_every_cut_is_refused_to(Recipient::Passphrase(word()), opener, usize::MAX);
}

/// Armor has one writing but for blanks around it and the ends of its lines: any other change is refused, or is another file.
#[test]
fn every_flip_in_armor_is_refused_or_says_the_same() {
    let person = x25519(1);
    let file = sealed(&[person.recipient()], b"short");
    let text = armored(&file);
    let mut same = 0;
    for bit in 0..text.len() * 8 {
        let mut changed = text.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Some(read) = bare(&changed) else { continue };
        if read == file {
            // Only the end of the last line may be another blank.
            assert_eq!(bit / 8, text.len() - 1, "{bit}");
            same += 1;
        } else {
            assert!(opened(&read, Opener::Identity(&person)).is_err(), "{bit}");
        }
    }
    assert!(same <= 8, "{same}");
}

fn armored(file: &[u8]) -> Vec<u8> {
    let mut writer = ArmorWriter::new(Vec::new());
    // Pieces of every length come to the same text.
    let mut rest = file;
    for length in (1..200).cycle() {
        let (now, later) = rest.split_at(length.min(rest.len()));
        writer.write_all(now).unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    writer.finish().unwrap()
}

fn bare(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    armor::decode(&mut &text[..], &mut out).ok().map(|()| out)
}

#[test]
fn armor_comes_back_for_every_length_and_for_no_other_text() {
    for length in 0..200 {
        let file = content(length);
        let text = armored(&file);
        assert!(armor::begins(&text) && text.is_ascii());
        assert!(
            text.split(|byte| *byte == b'\n')
                .all(|line| line.len() <= 64)
        );
        assert_eq!(bare(&text).unwrap(), file);
        for end in 0..text.len() - 1 {
            assert!(bare(&text[..end]).is_none(), "{length} {end}");
        }
        let around = [b" \r\n\n", &text[..], b"\n \r\n"].concat();
        assert!(armor::begins(&around));
        assert_eq!(bare(&around).unwrap(), file);
        assert!(bare(&[&text[..], b"x"].concat()).is_none());
        assert!(bare(&[b"x", &text[..]].concat()).is_none());
    }
    let space = [&[b' '; 1025], &armored(b"x")[..]].concat();
    assert!(bare(&space).is_none());
}

#[test]
fn strings_come_back_and_changed_ones_do_not() {
    for person in [hybrid(1), x25519(1)] {
        let text = person.text().unwrap();
        let again = Identity::of_text(&text).unwrap();
        assert_eq!(
            again.recipient().to_string(),
            person.recipient().to_string()
        );
        assert!(Identity::of_text(&text.to_lowercase()).is_none());
        let public = person.recipient().to_string();
        assert!(Recipient::is_meant(&public));
        assert_eq!(public.parse::<Recipient>().unwrap().to_string(), public);
        for string in [text.as_str(), &public] {
            for place in 0..string.len() {
                let cut = &string[..place];
                let mut changed = string.as_bytes().to_vec();
                changed[place] = if changed[place] == b'Q' { b'P' } else { b'Q' };
                let changed = String::from_utf8(changed).unwrap();
                for wrong in [
                    cut,
                    &changed,
                    &changed.to_lowercase(),
                    &string.to_uppercase(),
                ] {
                    assert!(
                        wrong.parse::<Recipient>().is_err() || *wrong == public,
                        "{wrong}"
                    );
                    let read = Identity::of_text(wrong);
                    assert!(read.is_none() || wrong == text.as_str(), "{wrong}");
                }
            }
        }
    }
    for name in ["alice", "age1", "age1person", "ssh-ed25519", "bob@relay"] {
        assert!(!Recipient::is_meant(name), "{name}");
    }
    let unknown = "rsa AAAA".parse::<Recipient>();
    assert_eq!(unknown.err(), Some(RecipientError::Unknown));
}

#[test]
fn files_of_identities_are_read_line_by_line() {
    let (one, two) = (hybrid(1).text().unwrap(), x25519(2).text().unwrap());
    let text = format!("# a comment\n\n{}\r\n  {}\n# end", *one, *two);
    let all = Identities::of_text(&text).unwrap();
    let texts: Vec<_> = all
        .iter()
        .map(|identity| identity.text().unwrap())
        .collect();
    assert_eq!(texts, [one.clone(), two.clone()]);
    let error = |text: &str| Identities::of_text(text).err();
    assert_eq!(error(""), Some(IdentityError::Empty));
    assert_eq!(error("# none\n"), Some(IdentityError::Empty));
    assert_eq!(
        error(&format!("{}\nwhat", *one)),
        Some(IdentityError::Malformed { line: 2 })
    );
    let many = format!("{}\n", *two).repeat(1001);
    assert_eq!(error(&many), Some(IdentityError::TooMany));
    let sealed = sealed(&[x25519(1).recipient()], b"");
    assert_eq!(
        error(&String::from_utf8_lossy(&sealed)),
        Some(IdentityError::Encrypted)
    );
}

#[test]
fn keys_of_openssh_are_read_whole_or_not_at_all() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let error = |text: &str| Identities::of_text(text).err();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(error(&read("locked")), Some(IdentityError::Encrypted));
    assert_eq!(error(&read("ecdsa")), Some(IdentityError::Ssh));
    for name in ["ed", "rsa"] {
        let text = read(name);
        for end in 0..text.trim_end().len() {
            assert!(error(&text[..end]).is_some(), "{name} {end}");
        }
        // No change of a letter is a panic; one in the comment or in numbers that are not needed is none.
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let _ = error(&String::from_utf8(changed).unwrap());
        }
        let line = read(&format!("{name}.pub"));
        let key = line.split(' ').nth(1).unwrap().len();
        let start = line.find(' ').unwrap() + 1;
        for end in 0..start + key {
            assert!(line[..end].parse::<Recipient>().is_err(), "{name} {end}");
        }
    }
}

/// The file `vectors/age/hybrid` is what this makes.
#[test]
fn the_bytes_of_a_file_are_those_that_were_written_down() {
    let text = content(CHUNK + 1000);
    let mut file = b"expect: success\npayload: ".to_vec();
    let hash = keys::sha256(&[&text]);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let identity = hybrid(7);
    write!(file, "{hash}\nidentity: {}\n\n", *identity.text().unwrap()).unwrap();
    file.extend(sealed(&[identity.recipient()], &text));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/age/hybrid");
    if std::env::var_os("LETTERLOCK_BLESS").is_some() {
        fs::write(&path, &file).unwrap();
    }
    assert!(fs::read(&path).unwrap() == file);
}

#[test]
fn nothing_but_one_file_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), b"1").unwrap();
    fs::write(folder.path().join("two"), b"2").unwrap();
    let to = [hybrid(1).recipient()];
    let sealer = Sealer { recipients: &to };
    for paths in [
        vec![folder.path().to_path_buf()],
        vec![folder.path().join("one"), folder.path().join("two")],
    ] {
        let tree = Tree::of(&paths).unwrap();
        let out = InOrder::new(Vec::new());
        let refused = sealer.seal_file(&tree, &out, &nothing, &mut rng(1));
        assert!(matches!(refused, Err(SealError::NotOneFile)));
    }
}

/// Disks fill up, on whichever thread.
#[test]
fn a_failing_place_ends_sealing_and_opening() {
    struct Full(u64);
    impl Sink for Full {
        fn put(&self, offset: u64, _: &[u8]) -> io::Result<()> {
            match offset > self.0 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
        fn give_up(&self) {}
    }
    let person = x25519(1);
    let to = [person.recipient()];
    let text = content(5 << 20);
    let sealer = Sealer { recipients: &to };
    let refused = sealer.seal_stream(&text[..], &Full(1 << 20), &nothing, &mut rng(1));
    assert!(matches!(refused, Err(SealError::Write(_))));
    let file = begun(&sealed(&to, &text), Opener::Identity(&person)).unwrap();
    assert!(file.write_to(&Full(1 << 20), &nothing).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// Lines of headers in any order and number, and whatever else stands between them.
    #[test]
    fn no_bytes_of_strangers_are_a_panic(
        pieces in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::strategy::Just(b"age-encryption.org/v1\n".to_vec()),
                proptest::strategy::Just(b"-> X25519 ".to_vec()),
                proptest::strategy::Just(b"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 9\n".to_vec()),
                proptest::strategy::Just(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n".to_vec()),
                proptest::strategy::Just(b"-> grease x y\n\n".to_vec()),
                proptest::strategy::Just(b"--- ".to_vec()),
                proptest::strategy::Just(b"-----BEGIN AGE ENCRYPTED FILE-----\n".to_vec()),
                proptest::strategy::Just(b"-----END AGE ENCRYPTED FILE-----\n".to_vec()),
                proptest::strategy::Just(b"age1pq1".to_vec()),
                proptest::strategy::Just(b"ssh-ed25519 AAAA".to_vec()),
                proptest::strategy::Just(b"AGE-SECRET-KEY-1".to_vec()),
                proptest::collection::vec(0u8.., 0..70),
            ],
            0..12,
        )
    ) {
        let bytes = pieces.concat();
        let person = x25519(1);
        let word = SecretBytes::from(&b"word"[..]);
        assert!(opened(&bytes, Opener::Identity(&person)).is_err());
        assert!(opened(&bytes, Opener::Passphrase(&word)).is_err());
        let _ = bare(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert!(Identities::of_text(&text).is_err());
        assert!(text.parse::<Recipient>().is_err());
    }
}
