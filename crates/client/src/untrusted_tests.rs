#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::*;
use keys::codec::Writer;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use seal::vault::{Entry, Name, What};
use std::fs;
use std::path::PathBuf;

fn folder(target: &str) -> PathBuf {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    seeds.join(target)
}

/// `LETTERLOCK_BLESS=1` writes the seeds instead of comparing them.
fn compare(target: &str, name: &str, sample: &[u8]) {
    let path = folder(target).join(name);
    if std::env::var_os("LETTERLOCK_BLESS").is_some() {
        fs::create_dir_all(folder(target)).unwrap();
        fs::write(&path, sample).unwrap();
    }
    assert!(fs::read(&path).unwrap() == sample, "{target}/{name}");
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    out.finish()
}

fn queue(out: &mut Writer) {
    out.array(&[1; 16]);
    out.array(&[2; 32]);
    out.array(&[3; 32]);
}

/// Records as a log of a mount has them: something new, something moved, a time.
fn records() -> Vec<Vec<u8>> {
    let meta = |out: &mut Writer| {
        out.u16(0o755);
        out.array(&7_i64.to_be_bytes());
        out.u32(8);
    };
    let link = Entry {
        mode: 0o777,
        modified: (1, 2),
        what: What::Link(b"../x".to_vec()),
    };
    let link = link.encode(&Name::new(b"-").unwrap());
    let directory = written(|out| {
        out.u8(1);
        out.bytes(b"plans");
        out.u8(2);
        meta(out);
        out.u8(0);
    });
    let link = written(|out| {
        out.u8(1);
        out.bytes(b"plans/link");
        out.u8(1);
        out.bytes(&link);
    });
    let moved = written(|out| {
        out.u8(2);
        out.bytes(b"plans/link");
        out.bytes(b"other");
    });
    let time = written(|out| {
        out.u8(3);
        out.bytes(b"plans");
        meta(out);
    });
    let gone = written(|out| {
        out.u8(1);
        out.bytes(b"other");
        out.u8(0);
    });
    let file = written(|out| {
        out.u8(1);
        out.bytes(b"plans/file");
        out.u8(3);
        out.u32(1);
        out.array(&[5; 16]);
        out.bytes(&[]);
    });
    vec![directory, link, moved, time, gone, file]
}

/// One sample of each form.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let with = |form: u8, bytes: &[u8]| [&[form], bytes].concat();
    let taker = written(|out| {
        out.u8(2);
        queue(out);
        out.bytes(&[4; 128]);
        out.bytes(&[5; 32]);
        out.bytes(&[6; 121]);
        out.bytes(b"/tmp/spool");
        out.u8(1);
    });
    let giver = written(|out| {
        out.u8(2);
        queue(out);
        out.bytes(b"http://127.0.0.1:8440");
        for length in [16, 32, 32] {
            out.array(&vec![7; length]);
        }
    });
    let (id, hash) = ("01".repeat(16), "02".repeat(48));
    let journal = format!("pack 1 {id}\nroot 9 {hash}\npack 2 {id}\npack 3 aa");
    let head = written(|out| {
        for number in [3, 200_000, 7, 12, 9] {
            out.u64(number);
        }
        out.array(&[5; 16]);
        for length in [336_128, 204_928] {
            out.u64(length);
        }
        out.u16(0o644);
        out.array(&7_i64.to_be_bytes());
        out.u32(8);
    });
    let log = [
        b"LLMOUNT\x04\0\0\0\x01",
        &[6; 16][..],
        &[0, 0, 0, 30, 255, 255, 255, 225],
        &[9; 30],
    ];
    let all = written(|out| records().iter().for_each(|record| out.bytes(record)));
    let find = br#"<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:x='urn:x'><!-- all --><D:prop><D:getetag/>
        <x:own a="b"/></D:prop></D:propfind>"#;
    let patch = br#"<a:propertyupdate xmlns:a="DAV:"><a:set><a:prop><a:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT
        </a:getlastmodified></a:prop></a:set></a:propertyupdate>"#;
    let range = [&10_u64.to_be_bytes()[..], b"bytes=2-4"].concat();
    let mut all_of = vec![
        ("taker", with(0, &taker)),
        ("giver", with(1, &giver)),
        ("journal", with(2, journal.as_bytes())),
        ("log", with(4, &log.concat())),
        ("records", with(5, &all)),
        ("head", with(6, &head)),
        ("propfind", with(7, find)),
        ("proppatch", with(8, patch)),
        ("name", with(9, b"a%20b%c3%A4")),
        ("range", with(10, &range)),
        ("date", with(11, b"Sun, 06 Nov 1994 08:49:37 GMT")),
        (
            "relay",
            with(
                12,
                format!("https://a.example:1#sha256={}", "A".repeat(43)).as_bytes(),
            ),
        ),
        ("edits", with(255, &[0, 1, 32, 0, 4])),
    ];
    let names = ["directory", "link", "moved", "time", "gone", "file"];
    let each = names.into_iter().zip(records());
    all_of.extend(each.map(|(name, record)| (name, with(3, &record))));
    all_of
}

#[test]
fn seeds_are_of_their_forms() {
    for (name, sample) in samples() {
        // A log of strangers opens with no key of ours; edits are no form.
        let expected = (!matches!(name, "log" | "edits")).then_some(true);
        assert_eq!(read(&sample), expected, "{name}");
        compare("client_bytes", name, &sample);
    }
}

/// Nothing breaks, and what is understood after all is written and understood as the same.
#[test]
fn no_seed_breaks_anything_when_it_is_cut_or_changed() {
    for (name, sample) in samples() {
        for length in 0..sample.len() {
            let understood = read(&sample[..length]);
            assert_ne!(understood, Some(false), "{name} {length}");
            let whole = matches!(name, "taker" | "giver" | "head") || sample[0] == 3;
            assert!(!whole || understood.is_none(), "{name} {length}");
        }
        for place in 1..sample.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut changed = sample.clone();
                changed[place] ^= change;
                assert_ne!(read(&changed), Some(false), "{name} {place} {change}");
            }
        }
    }
    for form in 0..=13 {
        let _ = read(&[&[form][..], &[0xff; 400]].concat());
        assert_ne!(read(&[form]), Some(false), "{form}");
    }
}

/// What lies on the disk of a mounted vault is read as it was written, or told to be damaged.
#[test]
fn edits_of_what_was_written_are_told_or_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(staged(home.path(), &[]), Some(true));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut told = 0;
    for round in 0..300_u32 {
        let mut edits = vec![0; 5 * (1 + round as usize % 2)];
        rng.fill_bytes(&mut edits);
        for edit in edits.chunks_exact_mut(5) {
            // In the file, in its heads, or anywhere.
            let beyond = [0x0003_ffff, 0x0000_03ff, 0x0000_0fff, u32::MAX][round as usize % 4];
            let place = u32::from_be_bytes(edit[..4].try_into().unwrap()) & beyond;
            edit[..4].copy_from_slice(&place.to_be_bytes());
        }
        let read = staged(home.path(), &edits);
        assert_ne!(read, Some(false), "{edits:?}");
        told += usize::from(read.is_none());
    }
    assert!(told > 50, "{told}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// What programs say to a served vault, each as one connection.
fn talks() -> Vec<(&'static str, String)> {
    let ask = |words: &str, heads: &str, body: &str| {
        let length = body.len();
        format!("{words} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{heads}\r\n{body}")
    };
    let put = |name: &str, body: &str| ask(&format!("PUT /s/{name}"), "", body);
    let find = r#"<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><x xmlns="urn:y"/></D:prop></D:propfind>"#;
    let set = r#"<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified></D:prop></D:set></D:propertyupdate>"#;
    let chunked =
        "PUT /s/c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let there = put("a", "0123456789");
    vec![
        (
            "files",
            [
                put("a", "abc"),
                ask("GET /s/a", "Range: bytes=1-\r\n", ""),
                ask("HEAD /s/a", "", ""),
                ask("DELETE /s/a", "", ""),
            ]
            .concat(),
        ),
        (
            "directories",
            [
                ask("MKCOL /s/d", "", ""),
                put("d/x%20y", "1"),
                ask("PROPFIND /s/d/", "Depth: 1\r\n", find),
                ask("PROPFIND /s/", "Depth: 0\r\n", ""),
            ]
            .concat(),
        ),
        (
            "moves",
            [
                there.clone(),
                ask(
                    "MOVE /s/a",
                    "Destination: http://h/s/b\r\nOverwrite: F\r\n",
                    "",
                ),
                put("a", "2"),
                ask("MOVE /s/a", "Destination: /s/b\r\n", ""),
            ]
            .concat(),
        ),
        (
            "copies",
            [
                ask("MKCOL /s/d", "", ""),
                put("d/a", "1"),
                ask("COPY /s/d", "Destination: /s/e\r\nDepth: infinity\r\n", ""),
                ask("COPY /s/d/a", "Destination: /s/a\r\n", ""),
            ]
            .concat(),
        ),
        (
            "locks",
            [
                ask("LOCK /s/a", "", "<D:lockinfo xmlns:D=\"DAV:\"/>"),
                put("a", "1"),
                ask("UNLOCK /s/a", "Lock-Token: <opaquelocktoken:x>\r\n", ""),
            ]
            .concat(),
        ),
        (
            "properties",
            [
                there,
                ask("PROPPATCH /s/a", "", set),
                ask("OPTIONS /s/", "", ""),
            ]
            .concat(),
        ),
        ("chunked", chunked.to_owned()),
    ]
}

/// The statuses of the answers.
fn statuses(heard: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(heard);
    let lines = text.split("HTTP/1.1 ").skip(1);
    let numbers = lines.filter_map(|line| line.get(..3)).map(str::to_owned);
    // A multistatus has lines of its own.
    numbers.collect()
}

#[test]
fn what_is_said_to_a_served_vault_is_kept() {
    for (name, said) in talks() {
        compare("webdav", name, said.as_bytes());
        let home = tempfile::tempdir().unwrap();
        let (heard, kept) = dav(home.path(), said.as_bytes()).unwrap();
        assert!(kept, "{name}");
        let seen = statuses(&heard);
        let first = seen.first().map(String::as_str);
        assert!(matches!(first, Some("201" | "200")), "{name}: {seen:?}");
    }
}

/// Connections that are cut or changed anywhere break nothing, and nobody hears anything but answers.
#[test]
fn nothing_that_is_said_breaks_a_served_vault() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for (name, said) in talks() {
        for round in 0..60 {
            let mut said = said.clone().into_bytes();
            match round % 3 {
                0 => said.truncate(rng.next_u32() as usize % said.len()),
                _ => {
                    let place = rng.next_u32() as usize % said.len();
                    said[place] ^= 1 << (rng.next_u32() % 8);
                }
            }
            let home = tempfile::tempdir().unwrap();
            let (heard, kept) = dav(home.path(), &said).unwrap();
            let text = String::from_utf8_lossy(&said);
            assert!(kept, "{name}: {text}");
            assert!(
                heard.is_empty() || heard.starts_with(b"HTTP/1."),
                "{name}: {text}"
            );
        }
    }
}
