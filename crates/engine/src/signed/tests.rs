//! What a signature of a word is over, and what does not parse.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]
use super::*;
use keys::Suite;
use keys::account_log::DeviceSecrets;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

struct Scene {
    secrets: DeviceSecrets,
    accounts: [AccountId; 2],
    devices: [DeviceId; 2],
    queue: QueueId,
}

fn scene(suite: Suite) -> Scene {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Scene {
        secrets: DeviceSecrets::generate(suite, &mut rng).unwrap(),
        accounts: [1, 2].map(|byte| AccountId::from_bytes([byte; 32])),
        devices: [3, 4].map(|byte| DeviceId::from_bytes([byte; 16])),
        queue: QueueId::from_bytes([5; 16]),
    }
}

impl Scene {
    fn parties(&self) -> Parties<'_> {
        Parties {
            from: (&self.accounts[0], &self.devices[0]),
            to: (&self.accounts[1], &self.devices[1]),
            queue: &self.queue,
        }
    }

    fn sealed(&self) -> Vec<u8> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let signing = self.secrets.signing();
        seal(&mut rng, NOW, signing, self.parties(), b"a content")
            .unwrap()
            .message
    }

    fn holds(&self, message: &[u8], parties: Parties<'_>) -> bool {
        let key = self.secrets.signing().verifying_key();
        Word::read(message).is_some_and(|word| word.is_by(key, parties))
    }
}

#[test]
fn a_word_holds_between_its_parties_and_no_others() {
    for suite in [Suite::Hybrid, Suite::Cnsa2] {
        let scene = scene(suite);
        let message = scene.sealed();
        assert!(scene.holds(&message, scene.parties()));
        let word = Word::read(&message).unwrap();
        assert_eq!((word.content, word.sealed_at), (&b"a content"[..], NOW));
        let (account, device) = (
            AccountId::from_bytes([9; 32]),
            DeviceId::from_bytes([9; 16]),
        );
        let queue = QueueId::from_bytes([9; 16]);
        let right = scene.parties();
        for wrong in [
            Parties {
                from: (&account, right.from.1),
                ..right
            },
            Parties {
                from: (right.from.0, &device),
                ..right
            },
            Parties {
                to: (&account, right.to.1),
                ..right
            },
            Parties {
                to: (right.to.0, &device),
                ..right
            },
            Parties {
                queue: &queue,
                ..right
            },
            Parties {
                from: right.to,
                to: right.from,
                ..right
            },
        ] {
            assert!(!scene.holds(&message, wrong));
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let scene = scene(Suite::Cnsa2);
    let message = scene.sealed();
    let ends = (0..40).chain(message.len() - 40..message.len());
    for at in ends.chain((40..message.len() - 40).step_by(97)) {
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(!scene.holds(&changed, scene.parties()), "{at}");
    }
    for length in 0..message.len() {
        assert!(
            !scene.holds(&message[..length], scene.parties()),
            "{length}"
        );
    }
}

#[test]
fn a_signature_for_something_else_is_none() {
    let scene = scene(Suite::Cnsa2);
    let statement = statement(scene.parties(), (&[7; 16], NOW), b"a content");
    let signing = scene.secrets.signing();
    let signature = signing.sign(label::PUBLISH, &statement).unwrap();
    let mut out = Writer::new();
    out.array(&[7; 16]);
    out.u64(NOW.as_secs());
    out.bytes(signature.as_bytes());
    let mut message = out.finish();
    message.extend_from_slice(b"a content");
    assert!(!scene.holds(&message, scene.parties()));
}
