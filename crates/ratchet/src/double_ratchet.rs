//! The Double Ratchet (docs/spec/ratchet.md, section 4.5).
//!
//! Receiving gives a [`StagedRatchet`], a small difference; the state changes only by
//! [`DoubleRatchet::commit`], once the message's MAC has held.

use crate::chain::{ChainDelta, NoSeed, ReceivingChain, Seed, SendingChain};
use crate::limits;
use crate::profile::Profile;
use crate::root::{OurRatchetKey, RootKey, TheirRatchetKey};
use keys::{AllZero, Secret, X25519Public};
use rand_core::CryptoRng;
use std::collections::VecDeque;

/// State of one side.
pub(crate) struct DoubleRatchet {
    pub(crate) root: RootKey,
    pub(crate) ours: OurRatchetKey,
    pub(crate) previous_counter: u32,
    pub(crate) sending: SendingChain,
    /// Oldest first.
    pub(crate) receiving: VecDeque<ReceivingChain>,
}

/// A ratchet step: everything that the peer's new key replaces.
struct Step {
    root: RootKey,
    ours: OurRatchetKey,
    previous_counter: u32,
    sending: SendingChain,
    receiving: ReceivingChain,
}

/// What receiving one message changes.
pub(crate) struct StagedRatchet {
    step: Option<Box<Step>>,
    theirs: TheirRatchetKey,
    delta: ChainDelta,
}

/// Where an outgoing message stands.
pub(crate) struct Position {
    pub(crate) ratchet_key: X25519Public,
    pub(crate) counter: u32,
    pub(crate) previous_counter: u32,
    pub(crate) seed: Seed,
}

impl DoubleRatchet {
    /// Alice: receives under Bob's signed pre-key, sends under `ours`.
    pub(crate) fn initiator(
        profile: Profile,
        root: &RootKey,
        chain_key: Secret<32>,
        ours: OurRatchetKey,
        signed: TheirRatchetKey,
    ) -> Result<Self, AllZero> {
        let (root, sending) = root.sending_step(profile, &ours, signed)?;
        let receiving = VecDeque::from([ReceivingChain::new(signed, chain_key)]);
        Ok(Self {
            root,
            ours,
            previous_counter: 0,
            sending,
            receiving,
        })
    }

    /// Bob: sends under his signed pre-key until Alice's first ratchet key makes his first step.
    pub(crate) fn responder(root: RootKey, chain_key: Secret<32>, signed: OurRatchetKey) -> Self {
        let sending = SendingChain::new(chain_key);
        Self {
            root,
            ours: signed,
            previous_counter: 0,
            sending,
            receiving: VecDeque::new(),
        }
    }

    /// The next message's place and seed; nothing at the counter's end.
    pub(crate) fn send(&mut self) -> Option<Position> {
        let (counter, seed) = self.sending.next_seed()?;
        Some(Position {
            ratchet_key: *self.ours.public(),
            counter,
            previous_counter: self.previous_counter,
            seed,
        })
    }

    /// Finds the seed of a message without changing anything. Draws 32 bytes for an unknown ratchet key.
    pub(crate) fn stage(
        &self,
        profile: Profile,
        theirs: TheirRatchetKey,
        counter: u32,
        jump: u32,
        rng: &mut dyn CryptoRng,
    ) -> Result<(StagedRatchet, Seed), NoSeed> {
        if let Some(chain) = self.receiving.iter().find(|chain| chain.theirs == theirs) {
            let (delta, seed) = chain.stage(counter, jump)?;
            return Ok((
                StagedRatchet {
                    step: None,
                    theirs,
                    delta,
                },
                seed,
            ));
        }
        // SECURITY: knob 11, before the key is used; `non_canonical_ratchet_key_is_refused` notices.
        if profile == Profile::Letterlock && !theirs.0.is_canonical() {
            return Err(NoSeed::TooFar);
        }
        let (root, receiving) = self
            .root
            .receiving_step(profile, &self.ours, theirs)
            .map_err(|_| NoSeed::TooFar)?;
        let ours = OurRatchetKey::random(rng);
        let (root, sending) = root
            .sending_step(profile, &ours, theirs)
            .map_err(|_| NoSeed::TooFar)?;
        let (delta, seed) = receiving.stage(counter, jump)?;
        let previous_counter = self.sending.index.saturating_sub(1);
        let step = Step {
            root,
            ours,
            previous_counter,
            sending,
            receiving,
        };
        Ok((
            StagedRatchet {
                step: Some(Box::new(step)),
                theirs,
                delta,
            },
            seed,
        ))
    }

    /// Takes what [`DoubleRatchet::stage`] found. What it replaces is wiped here.
    pub(crate) fn commit(&mut self, staged: StagedRatchet) {
        if let Some(step) = staged.step {
            let step = *step;
            self.root = step.root;
            self.ours = step.ours;
            self.previous_counter = step.previous_counter;
            self.sending = step.sending;
            self.receiving.push_back(step.receiving);
            while self.receiving.len() > limits::RECEIVING_CHAINS {
                self.receiving.pop_front();
            }
        }
        if let Some(chain) = self
            .receiving
            .iter_mut()
            .find(|chain| chain.theirs == staged.theirs)
        {
            chain.commit(staged.delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{Draws, PROFILES};
    use keys::X25519Secret;

    fn secret(byte: u8) -> Secret<32> {
        Secret::from_fn(|out| *out = [byte; 32])
    }

    fn pair(byte: u8) -> OurRatchetKey {
        OurRatchetKey::new(X25519Secret::from_secret(&secret(byte)))
    }

    /// The public key of 07…07 plus the point of order two: it agrees to the same secrets.
    const TWIN: [u8; 32] = [
        0x90, 0xc3, 0x4a, 0x83, 0x1c, 0x10, 0x70, 0x0b, 0x35, 0x25, 0xc6, 0x6a, 0x2f, 0xae, 0x1e,
        0xc2, 0x05, 0x1e, 0x06, 0xba, 0x68, 0x86, 0x49, 0xd2, 0x1f, 0x1f, 0x7e, 0x99, 0x6c, 0xa6,
        0x47, 0x5b,
    ];

    #[test]
    fn non_canonical_ratchet_key_is_refused() {
        let public = *pair(7).public();
        let mut top_bit = public;
        top_bit.0[31] |= 0x80;
        for profile in PROFILES {
            let bob = DoubleRatchet::responder(RootKey(secret(1)), secret(2), pair(3));
            let stage = |key| {
                let theirs = TheirRatchetKey(key);
                bob.stage(
                    profile,
                    theirs,
                    0,
                    limits::FORWARD_JUMP,
                    &mut Draws::seeded(1),
                )
                .map(|(_, seed)| seed)
            };
            let seed = stage(public).unwrap();
            for other in [X25519Public(TWIN), top_bit] {
                match (profile, stage(other)) {
                    // Deployed peers check ratchet keys for zero alone.
                    (Profile::Signal, Ok(other)) => assert!(other.0.ct_eq(&seed.0)),
                    (Profile::Letterlock, Err(error)) => assert_eq!(error, NoSeed::TooFar),
                    _ => panic!("{profile:?}"),
                }
            }
        }
    }

    #[test]
    fn staging_draws_only_for_a_new_ratchet_key() {
        use rand_core::Rng as _;
        let mut bob = DoubleRatchet::responder(RootKey(secret(1)), secret(2), pair(3));
        let theirs = TheirRatchetKey(*pair(7).public());
        let mut rng = Draws::seeded(1);
        let (staged, _) = bob.stage(Profile::Signal, theirs, 0, 10, &mut rng).unwrap();
        bob.commit(staged);
        let mut same = Draws::seeded(1);
        same.fill_bytes(&mut [0; 32]);
        assert!(bob.stage(Profile::Signal, theirs, 1, 10, &mut rng).is_ok());
        assert_eq!(rng.next_u64(), same.next_u64());
    }
}
