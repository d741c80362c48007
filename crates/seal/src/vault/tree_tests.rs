#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::*;
use keys::{BlobId, GroupId, Secret};

type Decoder<'a> = (&'a [u8], &'a dyn Fn(&[u8]) -> bool);

fn ring() -> Keyring {
    let key = Secret::from_slice(&[1; 32]).unwrap();
    Keyring::new(GroupId::from_bytes([1; 32]), [(1, &key)]).unwrap()
}

fn object(byte: u8) -> ObjectRef {
    ObjectRef {
        id: [byte; 32],
        generation: 1,
        pack: BlobId::from_bytes([byte; 16]),
        offset: 5,
        length: 400,
    }
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn entry(what: What) -> Entry {
    Entry {
        mode: 0o644,
        modified: (-3, 999_999_999),
        what,
    }
}

fn part(byte: u8, length: u64) -> Part {
    Part {
        object: object(byte),
        length,
    }
}

/// Names that end no segment, sorted.
fn names(count: usize) -> Vec<Name> {
    let keys = ring();
    (0..)
        .map(|number| name(&format!("{number:08}")))
        .filter(|name| !keys.ids().ends_segment(name.as_bytes()))
        .take(count)
        .collect()
}

fn all_kinds() -> Segment {
    let names = names(4);
    let few = What::File {
        size: 12,
        parts: Parts::Few(vec![part(1, 5), part(2, 7)]),
    };
    let listed = What::File {
        size: 1 << 40,
        parts: Parts::Listed(object(3)),
    };
    let what = [
        few,
        listed,
        What::Directory(object(4)),
        What::Link(b"../x".to_vec()),
    ];
    Segment(names.into_iter().zip(what.map(entry)).collect())
}

fn read(bytes: &[u8], first: &Name, next: Option<&Name>) -> Result<Segment, DecodeError> {
    Segment::decode(bytes, &ring(), first, next)
}

#[test]
fn every_form_comes_back_and_no_cut_or_tail_is_taken() {
    let segment = all_kinds();
    let first = segment.0[0].0.clone();
    let bytes = segment.encode();
    assert_eq!(read(&bytes, &first, None).unwrap(), segment);
    let list = List {
        level: 0,
        parts: vec![part(1, 9), part(2, 10)],
    };
    let list_bytes = list.encode();
    assert_eq!(List::decode(&list_bytes, 19, Place::Last).unwrap(), list);
    let directory = Directory(vec![(name("a"), object(1)), (name("b"), object(2))]);
    let directory_bytes = directory.encode();
    assert_eq!(Directory::decode(&directory_bytes).unwrap(), directory);
    let empty = Directory::default();
    assert_eq!(Directory::decode(&empty.encode()).unwrap(), empty);
    let decoders: [Decoder<'_>; 3] = [
        (&bytes, &|bytes| read(bytes, &first, None).is_ok()),
        (&list_bytes, &|bytes| {
            List::decode(bytes, 19, Place::Last).is_ok()
        }),
        (&directory_bytes, &|bytes| Directory::decode(bytes).is_ok()),
    ];
    for (bytes, decodes) in decoders {
        assert!(decodes(bytes));
        for length in 0..bytes.len() {
            assert!(!decodes(&bytes[..length]), "{length}");
        }
        assert!(!decodes(&[bytes, &[0]].concat()));
    }
}

/// What decodes encodes to the same bytes again.
#[test]
fn one_content_has_one_encoding() {
    let segment = all_kinds();
    let first = segment.0[0].0.clone();
    let bytes = segment.encode();
    let list = List {
        level: 0,
        parts: vec![part(1, 9), part(2, 10)],
    };
    let directory = Directory(vec![(name("a"), object(1)), (name("b"), object(2))]);
    let flips = |bytes: &[u8], again: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Some(again) = again(&changed) {
                assert_eq!(again, changed, "{bit}");
            }
        }
    };
    flips(&bytes, &|bytes| {
        Some(read(bytes, &first, None).ok()?.encode())
    });
    flips(&list.encode(), &|bytes| {
        Some(List::decode(bytes, 19, Place::Last).ok()?.encode())
    });
    flips(&directory.encode(), &|bytes| {
        Some(Directory::decode(bytes).ok()?.encode())
    });
}

#[test]
fn entries_are_in_order() {
    let mut segment = all_kinds();
    let first = segment.0[0].0.clone();
    segment.0.swap(1, 2);
    assert!(read(&segment.encode(), &first, None).is_err());
    segment.0[1] = segment.0[2].clone();
    assert!(read(&segment.encode(), &first, None).is_err());
    let twice = Directory(vec![(name("a"), object(1)), (name("a"), object(2))]);
    assert!(Directory::decode(&twice.encode()).is_err());
}

#[test]
fn a_segment_of_another_place_is_refused() {
    let segment = all_kinds();
    let bytes = segment.encode();
    let names = names(5);
    assert!(read(&bytes, &names[0], None).is_ok());
    assert!(read(&bytes, &names[1], None).is_err());
    assert!(read(&Segment(Vec::new()).encode(), &names[0], None).is_err());
}

#[test]
fn segments_end_where_their_names_say_it() {
    let keys = ring();
    let link = || entry(What::Link(b"x".to_vec()));
    let whole = |names: Vec<Name>| Segment(names.into_iter().map(|name| (name, link())).collect());
    let mut some = names(4);
    let first = some[0].clone();
    let after = name("9");
    // Nothing says that it ends: so it may not, where another follows.
    let open = whole(some.clone()).encode();
    assert!(read(&open, &first, None).is_ok());
    assert!(read(&open, &first, Some(&after)).is_err());
    let end = (0..)
        .map(|number| name(&format!("8{number:08}")))
        .find(|name| keys.ids().ends_segment(name.as_bytes()))
        .unwrap();
    some.push(end.clone());
    let ended = whole(some.clone()).encode();
    assert!(read(&ended, &first, None).is_ok());
    assert!(read(&ended, &first, Some(&after)).is_ok());
    assert!(
        read(&ended, &first, Some(&end)).is_err(),
        "overlaps the next one"
    );
    some.push(after);
    assert!(
        read(&whole(some).encode(), &first, None).is_err(),
        "goes on behind its end"
    );
    let full = names(PARTS);
    let bytes = whole(full.clone()).encode();
    assert!(read(&bytes, &full[0], Some(&name("9"))).is_ok());
    let more = names(PARTS + 1);
    assert!(read(&whole(more.clone()).encode(), &more[0], None).is_err());
}

#[test]
fn lengths_add_up() {
    let list = |level, parts| List { level, parts }.encode();
    let parts = vec![part(1, 9), part(2, 10)];
    let bytes = list(0, parts.clone());
    assert!(List::decode(&bytes, 19, Place::Last).is_ok());
    assert!(List::decode(&bytes, 18, Place::Last).is_err());
    assert!(List::decode(&bytes, 19, Place::Inner).is_err());
    assert!(List::decode(&list(LEVELS + 1, parts.clone()), 19, Place::Last).is_err());
    assert!(List::decode(&list(0, vec![part(1, 0), part(1, 3)]), 3, Place::Last).is_err());
    let long = CHUNK_MAX as u64 + 1;
    assert!(List::decode(&list(0, vec![part(1, long)]), long, Place::Last).is_err());
    assert!(List::decode(&list(1, vec![part(1, long)]), long, Place::Last).is_ok());
    let beyond = vec![part(1, u64::MAX), part(1, 2)];
    assert!(List::decode(&list(1, beyond), 1, Place::Last).is_err());
    assert!(List::decode(&list(0, Vec::new()), 0, Place::Last).is_err());
    // A part whose id begins with zero ends its list.
    let ends = vec![part(0, 9), part(2, 10)];
    assert!(List::decode(&list(0, ends), 19, Place::Last).is_err());
    let ends = vec![part(2, 9), part(0, 10)];
    assert!(List::decode(&list(0, ends), 19, Place::Inner).is_ok());
    let full = vec![part(1, 1); PARTS];
    assert!(List::decode(&list(0, full), PARTS as u64, Place::Inner).is_ok());

    let file = |size, parts| {
        let what = What::File {
            size,
            parts: Parts::Few(parts),
        };
        let names = names(1);
        read(
            &Segment(vec![(names[0].clone(), entry(what))]).encode(),
            &names[0],
            None,
        )
        .is_ok()
    };
    assert!(file(19, parts.clone()));
    assert!(!file(20, parts));
    assert!(file(0, Vec::new()));
    assert!(!file(0, vec![part(1, 0)]));
    assert!(!file(long, vec![part(1, long)]));
    assert!(file(8, vec![part(1, 1); 8]));
    assert!(!file(9, vec![part(1, 1); 9]));
}

#[test]
fn what_no_file_system_has_is_refused() {
    let names = names(1);
    let taken = |entry: Entry| {
        read(
            &Segment(vec![(names[0].clone(), entry)]).encode(),
            &names[0],
            None,
        )
        .is_ok()
    };
    let link = |target: &[u8]| entry(What::Link(target.to_vec()));
    assert!(taken(link(b"/anywhere")));
    assert!(!taken(link(b"")));
    assert!(!taken(link(b"a\0b")));
    assert!(!taken(link(&[b'x'; 4097])));
    assert!(!taken(Entry {
        mode: 0o1000,
        ..link(b"x")
    }));
    assert!(!taken(Entry {
        modified: (0, 1_000_000_000),
        ..link(b"x")
    }));
}
