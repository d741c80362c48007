//! Two people begin a session and write to each other, in both profiles.
//!
//! `cargo run -p letterlock-ratchet --example two_people`

use std::error::Error;

use keys::{SecretBytes, SigningKey, Suite, Timestamp, X25519Secret};
use letterlock_ratchet::{
    Address, IncomingMessage, IncomingPreKeyMessage, KemPreKey, Local, MessageKind, OneTimePreKey,
    Outgoing, OwnPreKeys, PreKeyBundle, PreKeyKind, PreKeySigner, Record, Remote, SignedPreKey,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// What a device publishes, with the private halves.
struct PreKeys {
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: OneTimePreKey,
}

impl PreKeys {
    fn new(signer: &PreKeySigner<'_>, rng: &mut ChaCha20Rng) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            signed: SignedPreKey::generate(1, signer, rng)?,
            kem: KemPreKey::generate(2, PreKeyKind::OneTimeKem, signer, rng)?,
            one_time: OneTimePreKey::generate(3, rng),
        })
    }

    /// What a stranger fetches.
    fn bundle(&self, registration_id: u32) -> PreKeyBundle {
        PreKeyBundle {
            registration_id,
            signed: self.signed.public().clone(),
            kem: self.kem.public().clone(),
            one_time: Some(*self.one_time.public()),
        }
    }

    fn own(&self) -> OwnPreKeys<'_> {
        OwnPreKeys {
            signed: Some(&self.signed),
            one_time: Some(&self.one_time),
            kem: Some(&self.kem),
            base_key_seen: false,
        }
    }
}

/// One side: its record, and how it sees itself and the other.
struct Side<'a> {
    name: &'a str,
    record: Record,
    local: Local<'a>,
    remote: Remote<'a>,
}

impl Side<'_> {
    fn receive(
        &mut self,
        outgoing: &Outgoing,
        own: &OwnPreKeys<'_>,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), Box<dyn Error>> {
        let profile = self.record.profile();
        let received = match outgoing.kind {
            MessageKind::PreKey => {
                let incoming = IncomingPreKeyMessage::decode(profile, &outgoing.bytes)?;
                self.record
                    .respond(&incoming, &self.local, &self.remote, own, now, rng)?
            }
            MessageKind::Message => {
                let incoming = IncomingMessage::decode(profile, &outgoing.bytes)?;
                self.record.decrypt(&incoming, now, rng)?
            }
        };
        let text = String::from_utf8(received.plaintext)?;
        println!(
            "  {} reads \"{text}\" from {} bytes ({:?})",
            self.name,
            outgoing.bytes.len(),
            outgoing.kind
        );
        if let Some(used) = received.used {
            println!(
                "  {} deletes one-time pre-keys {:?} and {:?}",
                self.name, used.one_time, used.one_time_kem
            );
        }
        Ok(())
    }
}

fn converse(
    alice: &mut Side<'_>,
    bob: &mut Side<'_>,
    bobs: &PreKeys,
    rng: &mut ChaCha20Rng,
) -> Result<(), Box<dyn Error>> {
    let now = Timestamp::from_secs(1_800_000_000);
    println!("{:?}:", alice.record.profile());
    alice
        .record
        .initiate(&alice.local, &alice.remote, &bobs.bundle(1911), now, rng)?;
    let hello = alice.record.encrypt(b"Hello Bob", now, rng)?;
    bob.receive(&hello, &bobs.own(), now, rng)?;
    let answer = bob.record.encrypt(b"Hello Alice", now, rng)?;
    alice.receive(&answer, &OwnPreKeys::default(), now, rng)?;

    // What is stored goes on where it was.
    alice.record = Record::decode(alice.record.encode().expose_secret())?;
    let letter = alice.record.encrypt(b"How are you?", now, rng)?;
    bob.receive(&letter, &OwnPreKeys::default(), now, rng)
}

fn main() -> Result<(), Box<dyn Error>> {
    // A seeded generator for the sake of the example; a program takes the system's.
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let [alice, bob] = [(); 2].map(|()| X25519Secret::from_random(&mut rng));
    let (alice_public, bob_public) = (alice.public(), bob.public());

    let seed = |byte| SecretBytes::new(vec![byte; 64]);
    let (alice_signs, bob_signs) = (
        SigningKey::from_seed(Suite::Hybrid, seed(1))?,
        SigningKey::from_seed(Suite::Hybrid, seed(2))?,
    );
    let (alice_list, bob_list): (&[&[u8]], &[&[u8]]) =
        (&[b"devices of Alice"], &[b"devices of Bob"]);
    let expires = Timestamp::from_secs(1_900_000_000);
    let pre_keys = PreKeys::new(
        &PreKeySigner::Letterlock {
            key: &bob_signs,
            expires,
        },
        &mut rng,
    )?;
    converse(
        &mut Side {
            name: "Alice",
            record: Record::letterlock(),
            local: Local::letterlock(&alice, &alice_signs, 4660, alice_list),
            remote: Remote::letterlock(bob_public, bob_signs.verifying_key(), b"devices of Bob"),
        },
        &mut Side {
            name: "Bob",
            record: Record::letterlock(),
            local: Local::letterlock(&bob, &bob_signs, 1911, bob_list),
            remote: Remote::letterlock(
                alice_public,
                alice_signs.verifying_key(),
                b"devices of Alice",
            ),
        },
        &pre_keys,
        &mut rng,
    )?;

    let address = |name| Address::new(name, 1);
    let (a, b) = (
        "9d0652a3-dcc3-4d11-975f-74d61598733f",
        "796abedb-ca4e-4f18-8803-1fde5b921f9f",
    );
    let pre_keys = PreKeys::new(&PreKeySigner::Signal(&bob), &mut rng)?;
    converse(
        &mut Side {
            name: "Alice",
            record: Record::signal(address(a), address(b)),
            local: Local::signal(&alice, 4660),
            remote: Remote::signal(bob_public),
        },
        &mut Side {
            name: "Bob",
            record: Record::signal(address(b), address(a)),
            local: Local::signal(&bob, 1911),
            remote: Remote::signal(alice_public),
        },
        &pre_keys,
        &mut rng,
    )
}
