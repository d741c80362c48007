//! Frames as they travel: round trips, truncation, foreign bytes, limits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod samples;

use keys::{AccountId, DeviceId, Suite};
use letterlock_wire::{
    ClientFrame, DecodeError, FetchKeyPackage, KeyPackageCount, PublishKeyPackages, RelayFrame,
    Reply, Request, RowResult, SendResult, limits, publish_key_packages_message,
};
use proptest::prelude::*;
use samples::{client_frames, relay_frames};

fn fuzz_one(bytes: &[u8]) {
    if let Ok(frame) = ClientFrame::decode(bytes.to_vec().into()) {
        assert_eq!(ClientFrame::decode(frame.encode().into()), Ok(frame));
    }
    if let Ok(frame) = RelayFrame::decode(bytes.to_vec().into()) {
        assert_eq!(RelayFrame::decode(frame.encode().into()), Ok(frame));
    }
    let _number = ClientFrame::number(bytes);
}

#[test]
fn every_frame_round_trips() {
    for frame in client_frames() {
        assert_eq!(ClientFrame::decode(frame.encode().into()).unwrap(), frame);
        assert_eq!(
            Request::decode(&frame.request.encode()).unwrap(),
            frame.request
        );
        assert_eq!(ClientFrame::number(&frame.encode()), frame.request_id);
    }
    for frame in relay_frames() {
        assert_eq!(RelayFrame::decode(frame.encode().into()).unwrap(), frame);
    }
}

#[test]
fn truncated_frames_never_pass_for_the_whole() {
    for frame in client_frames() {
        let bytes = frame.encode();
        for end in (0..bytes.len()).filter(|end| *end < 400 || *end > bytes.len() - 400) {
            assert_ne!(
                ClientFrame::decode(bytes[..end].to_vec().into()).as_ref(),
                Ok(&frame),
                "{frame:?} at {end}"
            );
            fuzz_one(&bytes[..end]);
        }
    }
    for frame in relay_frames() {
        let bytes = frame.encode();
        for end in (0..bytes.len()).filter(|end| *end < 400 || *end > bytes.len() - 400) {
            assert_ne!(
                RelayFrame::decode(bytes[..end].to_vec().into()).as_ref(),
                Ok(&frame),
                "{frame:?} at {end}"
            );
            fuzz_one(&bytes[..end]);
        }
    }
}

#[test]
fn frames_beyond_the_limit_are_refused_before_they_are_read() {
    let too_long = |max| DecodeError::TooLong { got: max + 1, max };
    let (from_client, from_relay) = (limits::FRAME_BYTES, limits::REPLY_BYTES);
    assert_eq!(
        ClientFrame::decode(vec![0; from_client + 1].into()),
        Err(too_long(from_client))
    );
    assert_eq!(
        RelayFrame::decode(vec![0; from_relay + 1].into()),
        Err(too_long(from_relay))
    );
}

#[test]
fn fixed_lengths_are_checked() {
    // tag 3 (create queue): queue_id of 15 bytes, the rest as it should be.
    for (queue, key, hash, field) in [
        (15, 32, 32, "queue_id"),
        (16, 31, 32, "receive_key"),
        (16, 32, 33, "send_token_hash"),
        (0, 32, 32, "queue_id"),
    ] {
        let mut inner = Vec::new();
        for (tag, length) in [(0x0a, queue), (0x12, key), (0x1a, hash)] {
            inner.extend([tag, length]);
            inner.extend(std::iter::repeat_n(7, usize::from(length)));
        }
        let mut frame = vec![0x08, 1, 0x1a, u8::try_from(inner.len()).unwrap()];
        frame.extend(inner);
        assert_eq!(
            ClientFrame::decode(frame.into()),
            Err(DecodeError::Field { field })
        );
    }
}

#[test]
fn request_zero_and_unknown_kinds_are_refused() {
    let zero = ClientFrame {
        request_id: 0,
        request: client_frames().remove(0).request,
    };
    assert_eq!(
        ClientFrame::decode(zero.encode().into()),
        Err(DecodeError::Field {
            field: "request_id"
        })
    );
    assert_eq!(
        ClientFrame::decode(vec![8, 1].into()),
        Err(DecodeError::UnknownKind)
    );
    // Field 900, empty.
    assert_eq!(
        ClientFrame::decode(vec![8, 1, 0xa2, 0x38, 0].into()),
        Err(DecodeError::UnknownKind)
    );
    assert_eq!(
        RelayFrame::decode(vec![8, 1].into()),
        Err(DecodeError::UnknownKind)
    );
}

#[test]
fn a_delivery_cannot_pass_for_an_answer() {
    for mut frame in relay_frames() {
        if matches!(frame.reply, Reply::Refused(_)) {
            continue;
        }
        frame.request_id = u64::from(frame.request_id == 0);
        assert_eq!(
            RelayFrame::decode(frame.encode().into()),
            Err(DecodeError::Field {
                field: "request_id"
            })
        );
    }
}

#[test]
fn rows_are_bounded_and_name_no_queue_twice() {
    let rows = |count: usize| samples::send(1024, count);
    assert!(ClientFrame::decode(rows(2_000).encode().into()).is_ok());
    for frame in [rows(0), rows(2_001), samples::send_twice_to_one_queue()] {
        assert_eq!(
            ClientFrame::decode(frame.encode().into()),
            Err(DecodeError::Field { field: "rows" })
        );
    }
}

#[test]
fn the_largest_body_goes_to_as_many_queues_as_there_may_be_in_one_frame() {
    let largest = limits::BODY_BUCKETS[3];
    let frame = samples::send_in_epoch(largest, limits::SEND_ROWS, Some(limits::EPOCH));
    let bytes = frame.encode();
    assert!(bytes.len() < limits::FRAME_BYTES, "{}", bytes.len());
    assert_eq!(ClientFrame::decode(bytes.into()), Ok(frame));
    let rows = vec![RowResult::Accepted { seq: u64::MAX }; limits::SEND_ROWS];
    let reply = Reply::SendResult(SendResult {
        rows,
        store_version: u64::MAX,
    });
    let reply = RelayFrame {
        request_id: u64::MAX,
        reply,
    };
    assert_eq!(RelayFrame::decode(reply.encode().into()), Ok(reply));
}

#[test]
fn epochs_go_forward_and_are_bounded() {
    let decoded = |epoch, next| {
        let mut frame = samples::send_in_epoch(1024, 1, next);
        if let Request::SendInEpoch(request) = &mut frame.request {
            request.epoch = epoch;
        }
        match ClientFrame::decode(frame.encode().into()) {
            Err(DecodeError::Field { field }) => Some(field),
            decoded => {
                assert_eq!(decoded, Ok(frame));
                None
            }
        }
    };
    let largest = limits::EPOCH;
    for (epoch, next, expected) in [
        (0, None, None),
        (0, Some(1), None),
        (3, Some(9), None),
        (largest - 1, Some(largest), None),
        (0, Some(0), Some("next")),
        (3, Some(3), Some("next")),
        (3, Some(2), Some("next")),
        (largest + 1, None, Some("epoch")),
        (3, Some(largest + 1), Some("epoch")),
    ] {
        assert_eq!(decoded(epoch, next), expected, "{epoch} {next:?}");
    }
}

#[test]
fn key_packages_are_bounded() {
    assert_eq!(
        (limits::KEY_PACKAGES, limits::KEY_PACKAGE_BYTES),
        (32, 24_576)
    );
    type Change = fn(&mut PublishKeyPackages);
    let cases: [(Change, Option<&str>); 9] = [
        (|it| it.packages = vec![vec![1; 4000]; 32], None),
        (|it| it.packages = vec![vec![1; 24_576]; 6], None),
        (|it| it.packages.clear(), None),
        (|it| it.last_resort = None, None),
        (|it| it.last_resort = Some(vec![1; 24_576]), None),
        (|it| it.packages = vec![vec![1]; 33], Some("packages")),
        (|it| it.packages[1].clear(), Some("packages")),
        (|it| it.packages[1] = vec![1; 24_577], Some("packages")),
        (
            |it| it.last_resort = Some(vec![1; 24_577]),
            Some("last_resort"),
        ),
    ];
    for (change, expected) in cases {
        let mut request = samples::publication();
        change(&mut request);
        let frame = ClientFrame {
            request_id: 1,
            request: Request::PublishKeyPackages(request),
        };
        match expected {
            None => assert_eq!(ClientFrame::decode(frame.encode().into()), Ok(frame)),
            Some(field) => assert_eq!(
                ClientFrame::decode(frame.encode().into()),
                Err(DecodeError::Field { field })
            ),
        }
    }
}

/// Nobody speaks without a suite, or of one that this version does not know.
#[test]
fn key_packages_are_of_a_suite() {
    let requests = [
        Request::PublishKeyPackages(PublishKeyPackages {
            packages: Vec::new(),
            last_resort: None,
            signature: vec![1; 10],
            ..samples::publication()
        }),
        Request::FetchKeyPackage(FetchKeyPackage {
            account: AccountId::from_bytes([2; 32]),
            device: DeviceId::from_bytes([3; 16]),
            suite: Suite::Cnsa2,
        }),
        Request::KeyPackageCount(KeyPackageCount {
            account: AccountId::from_bytes([2; 32]),
            device: DeviceId::from_bytes([3; 16]),
            suite: Suite::Cnsa2,
        }),
    ];
    for request in requests {
        let frame = ClientFrame {
            request_id: 1,
            request,
        };
        let bytes = frame.encode();
        // The number stands last: its tag, and 2.
        assert_eq!(bytes.last(), Some(&2));
        for number in [0, 3, 0x7f] {
            let mut other = bytes.clone();
            *other.last_mut().unwrap() = number;
            assert_eq!(
                ClientFrame::decode(other.into()),
                Err(DecodeError::Field { field: "suite" })
            );
        }
    }
}

#[test]
fn every_field_of_a_publication_is_signed() {
    let signed = publish_key_packages_message(&samples::publication());
    type Change = fn(&mut PublishKeyPackages);
    let changes: [Change; 8] = [
        |it| it.account = AccountId::from_bytes([9; 32]),
        |it| it.device = DeviceId::from_bytes([9; 16]),
        |it| it.suite = Suite::Hybrid,
        |it| it.packages.truncate(1),
        |it| it.packages[0][0] ^= 1,
        |it| it.last_resort = None,
        |it| it.replace = false,
        // What moves from one field to the next.
        |it| it.last_resort = it.packages.pop(),
    ];
    for change in changes {
        let mut changed = samples::publication();
        change(&mut changed);
        assert_ne!(publish_key_packages_message(&changed), signed);
    }
    let mut short = samples::publication();
    short.packages = vec![vec![7; 2]];
    short.last_resort = None;
    let expected = [
        &short.account.as_bytes()[..],
        short.device.as_bytes(),
        &[0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 7, 0, 0, 0, 0, 1],
    ];
    assert_eq!(publish_key_packages_message(&short), expected.concat());
}

#[test]
fn what_allows_something_is_not_printed() {
    for frame in client_frames() {
        let text = format!("{frame:?}");
        assert!(!text.contains("[201, 201"), "{text}");
    }
    for frame in relay_frames() {
        let text = format!("{frame:?}");
        assert!(!text.contains("[201, 201"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn changed_frames_never_panic(which in 0..100_usize, at in any::<usize>(), bit in 0..8_u32, cut in any::<usize>()) {
        let all: Vec<Vec<u8>> =
            client_frames().iter().map(ClientFrame::encode).chain(relay_frames().iter().map(RelayFrame::encode)).collect();
        let mut bytes = all[which % all.len()].clone();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len().saturating_sub(cut % 8));
        fuzz_one(&bytes);
    }
}
