#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::*;
use keys::{BlobId, GroupId, Secret};

fn ring(vault: u8, keys: &[u8]) -> Keyring {
    let keys: Vec<(u32, Secret<32>)> = (1..)
        .zip(keys)
        .map(|(generation, key)| (generation, Secret::from_slice(&[*key; 32]).unwrap()))
        .collect();
    let keys = keys.iter().map(|(generation, key)| (*generation, key));
    Keyring::new(GroupId::from_bytes([vault; 32]), keys).unwrap()
}

fn reference(keys: &Keyring, id: [u8; 32], sealed: &[u8]) -> ObjectRef {
    ObjectRef {
        id,
        generation: keys.newest(),
        pack: BlobId::from_bytes([0; 16]),
        offset: 0,
        length: u32::try_from(sealed.len()).unwrap(),
    }
}

fn sealed(keys: &Keyring, kind: Kind, bytes: &[u8], compress: bool) -> (ObjectRef, Vec<u8>) {
    let id = id(keys, kind, bytes);
    let sealed = seal(keys, kind, &id, bytes, compress, &[5; 24]).unwrap();
    (reference(keys, id, &sealed), sealed)
}

/// Seals any plaintext under any id, as a member with the key can.
fn forged(keys: &Keyring, id: [u8; 32], padded: &[u8]) -> (ObjectRef, Vec<u8>) {
    let content = keys.generation(keys.newest()).unwrap().content();
    let (key, header) =
        ChunkedKey::for_sealing(content, &[6; 24], &context(keys, Kind::Chunk, &id));
    let mut out = header.to_vec();
    for number in 0..=padded.len() / CHUNK_LEN {
        let end = ((number + 1) * CHUNK_LEN).min(padded.len());
        let mut chunk = padded[number * CHUNK_LEN..end].to_vec();
        key.seal(number as u64, &mut chunk).unwrap();
        out.extend_from_slice(&chunk);
    }
    (reference(keys, id, &out), out)
}

fn padded(form: u8, stored: &[u8]) -> Vec<u8> {
    let mut out = vec![form];
    out.extend_from_slice(&u32::try_from(stored.len()).unwrap().to_be_bytes());
    out.extend_from_slice(stored);
    out.resize(size_class(out.len()), 0);
    out
}

#[test]
fn size_classes_are_few_and_near() {
    assert_eq!(size_class(0), 256);
    assert_eq!(size_class(256), 256);
    assert_eq!(size_class(257), 288);
    assert_eq!(size_class(1 << 20), 1 << 20);
    assert_eq!(size_class((1 << 20) + 1), (1 << 20) + (1 << 17));
    for length in 1..100_000 {
        let class = size_class(length);
        assert!(class >= length && size_class(class) == class);
        assert!(
            length < 256 || class * 8 <= length * 9 + 8,
            "{length} {class}"
        );
    }
}

#[test]
fn objects_come_back_in_either_form() {
    let keys = ring(1, &[1, 2]);
    let random: Vec<u8> = (0..50_000_u32).map(|i| ((i * i) >> 7) as u8).collect();
    let lengths = [0, 1, 250, 251, CHUNK_LEN - 5, CHUNK_LEN, 40_000];
    for bytes in lengths.map(|length| &random[..length]) {
        for compress in [false, true] {
            let (reference, sealed) = sealed(&keys, Kind::Segment, bytes, compress);
            let opened = open(&keys, Kind::Segment, &reference, &sealed).unwrap();
            assert_eq!(opened.as_slice(), bytes);
        }
    }
    let (_, long) = sealed(&keys, Kind::Chunk, &[7; 100_000], true);
    assert!(long.len() < 512);
    let (_, plain) = sealed(&keys, Kind::Chunk, &[7; 100_000], false);
    assert!(plain.len() > 100_000);
}

#[test]
fn objects_do_not_change_places() {
    let keys = ring(1, &[1, 2]);
    let (first, first_sealed) = sealed(&keys, Kind::Chunk, b"first", false);
    let (second, second_sealed) = sealed(&keys, Kind::Chunk, b"later", false);
    assert!(open(&keys, Kind::Chunk, &first, &first_sealed).is_ok());
    let refused = |keys: &Keyring, kind, reference: &ObjectRef, sealed: &[u8]| {
        assert_eq!(
            open(keys, kind, reference, sealed).unwrap_err(),
            ObjectError::Broken
        );
    };
    refused(&keys, Kind::Chunk, &first, &second_sealed);
    refused(&keys, Kind::Chunk, &second, &first_sealed);
    refused(&keys, Kind::Segment, &first, &first_sealed);
    refused(&ring(2, &[1, 2]), Kind::Chunk, &first, &first_sealed);
    let older = ObjectRef {
        generation: 1,
        ..first
    };
    refused(&keys, Kind::Chunk, &older, &first_sealed);
    let unknown = ObjectRef {
        generation: 3,
        ..first
    };
    assert_eq!(
        open(&keys, Kind::Chunk, &unknown, &first_sealed).unwrap_err(),
        ObjectError::NoKey { generation: 3 }
    );
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    let keys = ring(1, &[1]);
    for compress in [false, true] {
        let (reference, sealed) = sealed(&keys, Kind::Chunk, &[9; 300], compress);
        for length in 0..sealed.len() {
            let short = ObjectRef {
                length: length as u32,
                ..reference
            };
            assert!(open(&keys, Kind::Chunk, &short, &sealed[..length]).is_err());
            assert!(open(&keys, Kind::Chunk, &reference, &sealed[..length]).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&keys, Kind::Chunk, &reference, &changed).is_err(),
                "{bit}"
            );
        }
        let longer = [&sealed[..], &[0]].concat();
        assert!(open(&keys, Kind::Chunk, &reference, &longer).is_err());
    }
    // Cut where a chunk of the encryption ends, with the length that fits.
    let (reference, sealed) = sealed(&keys, Kind::Chunk, &[9; 3 * CHUNK_LEN], false);
    for chunks in 0..3 {
        let length = HEADER_LEN + chunks * SEALED_CHUNK_LEN;
        let short = ObjectRef {
            length: length as u32,
            ..reference
        };
        assert!(open(&keys, Kind::Chunk, &short, &sealed[..length]).is_err());
    }
}

#[test]
fn a_member_cannot_seal_another_content_under_an_id() {
    let keys = ring(1, &[1]);
    let id = id(&keys, Kind::Chunk, b"content");
    let (reference, honest) = forged(&keys, id, &padded(PLAIN, b"content"));
    assert!(open(&keys, Kind::Chunk, &reference, &honest).is_ok());
    let (reference, other) = forged(&keys, id, &padded(PLAIN, b"another"));
    assert_eq!(
        open(&keys, Kind::Chunk, &reference, &other).unwrap_err(),
        ObjectError::Broken
    );
}

#[test]
fn padding_is_canonical() {
    let keys = ring(1, &[1]);
    let id = id(&keys, Kind::Chunk, b"content");
    let refused = |padded: &[u8]| {
        let (reference, sealed) = forged(&keys, id, padded);
        assert!(open(&keys, Kind::Chunk, &reference, &sealed).is_err());
    };
    let good = padded(PLAIN, b"content");
    let mut hidden = good.clone();
    hidden[255] = 1;
    refused(&hidden);
    let mut longer = good.clone();
    longer.resize(288, 0);
    refused(&longer);
    refused(&good[..100]);
    refused(&good[..12]);
    refused(&padded(2, b"content"));
    let mut beyond = good.clone();
    beyond[1..5].copy_from_slice(&252_u32.to_be_bytes());
    refused(&beyond);
}

#[test]
fn a_frame_that_grows_is_refused() {
    let keys = ring(1, &[1]);
    let long = vec![0; COMPRESSED + 1];
    let opened = |content: &[u8], frame: &[u8]| {
        let id = id(&keys, Kind::Chunk, content);
        let (reference, sealed) = forged(&keys, id, &padded(ZSTD, frame));
        open(&keys, Kind::Chunk, &reference, &sealed).is_ok()
    };
    let frame = |content: &[u8]| zstd::bulk::compress(content, LEVEL).unwrap();
    assert!(opened(&long[1..], &frame(&long[1..])));
    assert!(!opened(&long, &frame(&long)));
    // Two frames, a frame without its length, and half of one.
    let two = [frame(b"con"), frame(b"tent")].concat();
    assert!(!opened(b"content", &two));
    assert!(!opened(b"con", &two));
    let unstated = zstd::stream::encode_all(&b"content"[..], LEVEL).unwrap();
    assert!(!opened(b"content", &unstated));
    assert!(opened(b"content", &frame(b"content")));
    assert!(!opened(b"content", &frame(b"content")[..8]));
}
