//! Everything that the engine decodes of what others wrote, behind one door: for fuzz targets and for tests.

use crate::amendment::Amendment;
use crate::backup;
use crate::content::Content;
use crate::envelope;
use crate::errands;
use crate::give;
use crate::group::{history, pictures, word};
use crate::guardians;
use crate::invite::Invite;
use crate::link_message::LinkMessage;
use crate::records::{
    Approval, Ask, CodeCheck, Comparison, Contact, ContactState, GroupMembers, GroupRecord,
    GuardianPlan, KeptShare, Letter, OutboxEntry, OwnAccount, OwnGuardians, OwnQueue, Part, Record,
    RouteRecord, Upload, VaultFarWay, VaultRecord, VaultWay,
};
use crate::signed;
use crate::standby;
use crate::vault;
use keys::Secret;

/// Reads bytes as one of the forms that come from outside or from a disk; the first byte chooses. Says whether
/// they were of that form.
///
/// What was understood is written and understood again as the same, where the form has one writing.
///
/// ```
/// assert!(!letterlock_engine::untrusted::read(b"\x00nothing of ours"));
/// assert!(!letterlock_engine::untrusted::read(b""));
/// ```
#[must_use]
pub fn read(bytes: &[u8]) -> bool {
    let Some((form, bytes)) = bytes.split_first() else {
        return false;
    };
    match form {
        0 => content(bytes),
        1 => errands::is_understood(bytes),
        2 => std::str::from_utf8(bytes).is_ok_and(|text| Invite::from_text(text).is_ok()),
        3 => envelope::is_front_door(bytes),
        4 => envelope::is_inner(bytes),
        5 => envelope::is_together(bytes),
        6 => LinkMessage::decode(bytes).is_ok(),
        7 => backup::is_bundle(bytes),
        8 => standby::is_one(bytes),
        9 => ContactState::read(bytes).is_ok(),
        10 => record::<Contact>(bytes),
        11 => record::<Letter>(bytes),
        12 => record::<OutboxEntry>(bytes),
        13 => record::<OwnAccount>(bytes),
        14 => record::<OwnQueue>(bytes),
        15 => record::<Part>(bytes),
        16 => record::<RouteRecord>(bytes),
        17 => record::<Upload>(bytes),
        18 => guardians::is_word(bytes),
        19 => record::<Approval>(bytes),
        20 => record::<KeptShare>(bytes),
        21 => record::<OwnGuardians>(bytes),
        22 => record::<GuardianPlan>(bytes),
        23 => record::<Ask>(bytes),
        24 => record::<Comparison>(bytes),
        25 => record::<CodeCheck>(bytes),
        26 => word::is_understood(bytes),
        27 => envelope::open_group(&Secret::from_fn(|_| {}), bytes).is_ok(),
        28 => record::<GroupRecord>(bytes),
        29 => record::<GroupMembers>(bytes),
        30 => amendment(bytes),
        31 => history::is_part(bytes),
        32 => pictures::is_reference(bytes),
        33 => signed::is_word(bytes),
        34 => vault::word::decodes(bytes),
        35 => record::<VaultRecord>(bytes),
        36 => give::is_message(bytes),
        37 => give::is_word(bytes),
        38 => record::<VaultWay>(bytes),
        39 => record::<VaultFarWay>(bytes),
        _ => false,
    }
}

fn content(bytes: &[u8]) -> bool {
    let Ok(content) = Content::decode(bytes) else {
        return false;
    };
    let again = content.encode();
    Content::decode(&again).is_ok_and(|content| content.encode() == again)
}

fn amendment(bytes: &[u8]) -> bool {
    Amendment::decode(bytes).is_ok_and(|amendment| *amendment.encode() == bytes)
}

fn record<T: Record>(bytes: &[u8]) -> bool {
    let Ok(record) = T::decode(bytes) else {
        return false;
    };
    let again = record.encode();
    T::decode(&again).is_ok_and(|record| record.encode() == again)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::*;
    use crate::archive::PartRef;
    use crate::content::{Body, Copy, Head, Heads, LetterBody, RouteOffer};
    use keys::account_log::Pin;
    use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, QueueId, Timestamp};
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use std::path::{Path, PathBuf};

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/engine_bytes")
    }

    /// One sample of each form that is not a record of a disk.
    fn samples() -> Vec<(&'static str, Vec<u8>)> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let letter = || LetterBody {
            text: "a letter".to_owned(),
            reply_to: Some(LetterId::from_bytes([1; 16])),
            expires_after: Some(60),
            enclosures: Vec::new(),
        };
        let head = |sequence| Head {
            sequence,
            hash: [7; 32],
        };
        let mut content = Content::new(
            LetterId::from_bytes([2; 16]),
            Timestamp::from_secs(1_800_000_000),
            Body::Letter(letter()),
        );
        content.route = Some(RouteOffer {
            queue: QueueId::from_bytes([3; 16]),
            token: Secret::random(&mut rng),
            key: Secret::random(&mut rng),
            relay: "https://relay.example".to_owned(),
        });
        content.heads = Some(Heads {
            ours: head(1),
            yours: head(2),
            backup: 3,
            your_backup: 4,
        });
        let copy = Content::new(
            LetterId::from_bytes([4; 16]),
            Timestamp::from_secs(1_800_000_000),
            Body::Copy(Copy {
                contact: AccountId::from_bytes([5; 32]),
                sent: true,
                letter: letter(),
            }),
        );
        let welcome = LinkMessage::Welcome {
            entries: vec![6; 20],
            parts: vec![PartRef {
                blob: BlobId::from_bytes([7; 16]),
                read_token: Secret::random(&mut rng),
                key: Secret::random(&mut rng),
                size: 99,
            }],
        };
        let answer = LinkMessage::Answer {
            account: AccountId::from_bytes([8; 32]),
            name: "alice".to_owned(),
            pin: Pin {
                sequence: 9,
                hash: [10; 64],
            },
            device: DeviceId::from_bytes([11; 16]),
            nonce: [12; 32],
        };
        let place = (&GroupId::from_bytes([17; 32]), 18);
        let key = Secret::from_fn(|_| {});
        let body = envelope::seal_group(&mut rng, &key, place, b"a message").unwrap();
        let with = |form: u8, bytes: &[u8]| [&[form], bytes].concat();
        let (messages, words) = give::tests::samples();
        let messages = messages
            .iter()
            .map(|(name, it)| (*name, with(36, &it.encode())));
        let words = words
            .iter()
            .map(|(name, it)| (*name, with(37, &it.encode())));
        let given: Vec<_> = messages.chain(words).collect();
        let others = vec![
            ("content_letter", with(0, &content.encode())),
            ("content_copy", with(0, &copy.encode())),
            (
                "errand_read",
                with(1, &[&[1, 0, 0, 0, 1][..], &[13; 16]].concat()),
            ),
            (
                "group_ask",
                with(
                    26,
                    &[&[2][..], &[14; 32], &[15; 32], &[16; 16], &[1; 26]].concat(),
                ),
            ),
            (
                "amendment_reaction",
                with(
                    30,
                    &[
                        &[1][..],
                        &[18; 16],
                        &[0, 0, 0, 0, 0, 0, 0, 1],
                        "👍".as_bytes(),
                    ]
                    .concat(),
                ),
            ),
            (
                "group_picture",
                with(
                    26,
                    &[&[5][..], &[14; 32], &[19; 80], &[0, 0, 0, 0, 0, 0, 1, 0]].concat(),
                ),
            ),
            (
                "group_picture_reference",
                with(
                    32,
                    &[
                        &[1][..],
                        &[20; 32],
                        &[0, 0, 0, 0, 0, 0, 0, 240],
                        &[19; 80],
                        &[0, 0, 0, 0, 0, 0, 1, 0],
                    ]
                    .concat(),
                ),
            ),
            (
                "vault_keys",
                with(
                    34,
                    &[
                        &[1, 0, 0, 0, 1, 0, 0, 0, 1][..],
                        &[21; 32],
                        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7],
                        &[22; 48],
                        &[0],
                    ]
                    .concat(),
                ),
            ),
            ("group_history", with(31, &history::sample())),
            ("group_body", with(27, &body)),
            (
                "signed_word",
                with(
                    33,
                    &[&[19; 16][..], &[0; 8], &[0, 0, 0, 2, 20, 20], b"content"].concat(),
                ),
            ),
            ("link_welcome", with(6, &welcome.encode())),
            ("link_answer", with(6, &answer.encode())),
        ];
        [others, given].concat()
    }

    #[test]
    fn seeds_are_the_forms_of_today() {
        for (name, bytes) in samples() {
            let stored = std::fs::read(folder().join(name)).unwrap_or_default();
            assert!(read(&bytes), "{name}");
            assert!(
                stored == bytes,
                "{name}: {}",
                data_encoding::HEXLOWER.encode(&bytes)
            );
        }
    }

    /// The target of transfers has the same samples, without the byte that chooses.
    #[test]
    fn seeds_of_transfers_are_the_forms_of_today() {
        let folder = folder().with_file_name("give_exchange");
        for (name, bytes) in samples() {
            if let Some(name) = name.strip_prefix("give_") {
                let stored = std::fs::read(folder.join(name)).unwrap_or_default();
                assert!(stored == bytes[1..], "{name}");
            }
        }
        let code = std::fs::read_to_string(folder.join("code")).unwrap();
        assert!(keys::give::GiveCode::from_text(&code).is_ok());
    }

    #[test]
    fn cut_and_changed_bytes_never_panic() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for (_, sample) in samples() {
            for end in 0..sample.len() {
                let _ = read(&sample[..end]);
            }
            for place in 0..sample.len() {
                let mut changed = sample.clone();
                changed[place] ^= 1 << (rng.next_u32() % 8);
                let _ = read(&changed);
            }
        }
    }

    #[test]
    fn noise_is_never_more_than_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for length in 0..400 {
            let mut noise = vec![0; length];
            rng.fill_bytes(&mut noise);
            for form in 0..=39 {
                if let Some(first) = noise.first_mut() {
                    *first = form;
                }
                let _ = read(&noise);
            }
        }
    }
}
