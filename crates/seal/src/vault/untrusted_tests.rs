#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::*;
use crate::vault::folder::Refused;
use crate::vault::tree::{Entry, Part, Parts, What};
use keys::vault_root::{RootBody, RootHash};
use keys::{AccountId, DeviceId, HybridSignature, Suite};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/vault_bytes")
}

fn part(byte: u8, length: u64) -> Part {
    let object = ObjectRef {
        id: [byte; 32],
        generation: 1,
        pack: BlobId::from_bytes([byte; 16]),
        offset: 5,
        length: 400,
    };
    Part { object, length }
}

fn root() -> VaultRoot {
    let body = RootBody {
        vault: GroupId::from_bytes([0; 32]),
        generation: 1,
        counter: 2,
        previous: RootHash([2; 48]),
        previous_root: part(3, 1).object,
        directory: part(4, 1).object,
        time: 5,
        account: AccountId::from_bytes([6; 32]),
        device: DeviceId::from_bytes([7; 16]),
        closed: false,
    };
    // Nothing here verifies it: any bytes of its length will do, and the same ones every time.
    let suite = Suite::Hybrid;
    let signature = HybridSignature::from_bytes(suite, &vec![8; suite.signature_len()]);
    VaultRoot {
        body,
        signature: signature.unwrap(),
    }
}

/// Names that end no segment under the keys of the door.
fn names() -> Vec<Name> {
    let keys = keys().unwrap();
    let names = (0..).map(|number| Name::new(format!("{number:04}").as_bytes()).unwrap());
    let inner = names.filter(|name| !keys.ids().ends_segment(name.as_bytes()));
    inner.take(4).collect()
}

/// Bytes of a checksum.
const CHECK: usize = 8;

/// What a folder remembers that could not write two names.
fn in_step() -> InStep {
    let refused = |name: &[u8], before| Refused {
        path: VaultPath::parse(name).unwrap(),
        before,
    };
    let file = Entry {
        mode: 0o600,
        modified: (7, 8),
        what: What::Link(b"elsewhere".to_vec()),
    };
    InStep {
        vault: GroupId::from_bytes([1; 32]),
        base: Some(part(2, 0).object),
        since: 1_800_000_000,
        refused: vec![refused(b"a/b", None), refused(b"c", Some(file))],
    }
}

/// One sample of each form.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let with = |form: u8, parts: &[&[u8]]| [&[form], parts.concat().as_slice()].concat();
    let list = List {
        level: 0,
        parts: vec![part(1, 9), part(2, 10)],
    };
    let names = names();
    let file = |parts| What::File { size: 12, parts };
    let what = [
        file(Parts::Few(vec![part(1, 5), part(2, 7)])),
        file(Parts::Listed(part(3, 0).object)),
        What::Directory(part(4, 0).object),
        What::Link(b"../x".to_vec()),
    ];
    let entry = |what| Entry {
        mode: 0o644,
        modified: (-3, 5),
        what,
    };
    let entries = names.iter().cloned().zip(what.map(entry)).collect();
    let first = names[0].as_bytes();
    let length = u32::try_from(first.len()).unwrap().to_be_bytes();
    let directory = Directory(
        names
            .iter()
            .map(|name| (name.clone(), part(5, 0).object))
            .collect(),
    );
    let memory = in_step().encode();
    let mut plain = [&[0, 0, 0, 0, 7][..], b"content"].concat();
    plain.resize(256, 0);
    let frame = zstd::bulk::compress(&[7; 3000], 3).unwrap();
    let mut packed = vec![1, 0, 0, 0, u8::try_from(frame.len()).unwrap()];
    packed.extend_from_slice(&frame);
    packed.resize(256, 0);
    vec![
        (
            "list",
            with(0, &[&[0], &19_u64.to_be_bytes(), &list.encode()]),
        ),
        (
            "segment",
            with(1, &[&length, first, &[0; 4], &Segment(entries).encode()]),
        ),
        ("directory", with(2, &[&directory.encode()])),
        ("root", with(3, &[&root().encode()])),
        ("object_plain", with(4, &[&plain])),
        ("object_packed", with(4, &[&packed])),
        ("path", with(7, &[b"plans/old/bridge"])),
        ("in_step", with(8, &[&memory[..memory.len() - CHECK]])),
    ]
}

/// `LETTERLOCK_BLESS=1` writes the seeds instead of comparing them.
#[test]
fn seeds_are_of_their_forms() {
    let bless = std::env::var_os("LETTERLOCK_BLESS").is_some();
    for (name, sample) in samples() {
        assert!(untrusted(&sample), "{name}");
        let path = folder().join(name);
        if bless {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &sample).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), sample, "{name}");
    }
}

#[test]
fn no_seed_is_understood_when_cut_and_none_panics_when_changed() {
    for (name, sample) in samples() {
        for length in 0..sample.len() {
            let understood = untrusted(&sample[..length]);
            assert!(!understood || name == "path", "{name} {length}");
        }
        for place in 0..sample.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = sample.clone();
                changed[place] ^= change;
                let _ = untrusted(&changed);
            }
        }
    }
    for form in 0..=9 {
        assert!(!untrusted(&[form]) || form == 7);
        let _ = untrusted(&[&[form][..], &[0xff; 400]].concat());
    }
}

/// What is remembered of a folder, with every bit of it changed and every length of it.
#[test]
fn what_was_in_step_is_read_as_it_was_or_not_at_all() {
    let whole = in_step().encode();
    assert_eq!(InStep::decode(&whole).unwrap(), in_step());
    for length in 0..whole.len() {
        assert!(InStep::decode(&whole[..length]).is_err(), "{length}");
    }
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(InStep::decode(&changed).is_err(), "{bit}");
    }
}
