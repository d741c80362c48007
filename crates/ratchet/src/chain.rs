//! Sending and receiving chains (docs/spec/ratchet.md, sections 4.1, 4.5 and 4.6).

use crate::limits;
use crate::root::TheirRatchetKey;
use keys::{Secret, hmac_sha256_secrets};
use std::collections::BTreeMap;

/// A chain key.
pub(crate) struct ChainKey(pub(crate) Secret<32>);

/// The seed of one message's keys.
pub(crate) struct Seed(pub(crate) Secret<32>);

/// The chain that our messages use.
pub(crate) struct SendingChain {
    pub(crate) index: u32,
    pub(crate) key: ChainKey,
}

/// A chain that the peer's messages use.
pub(crate) struct ReceivingChain {
    pub(crate) theirs: TheirRatchetKey,
    pub(crate) next: u32,
    pub(crate) key: ChainKey,
    /// Seeds of messages passed over, by index.
    pub(crate) skipped: BTreeMap<u32, Seed>,
}

/// What receiving one message changes in a chain.
pub(crate) enum ChainDelta {
    /// The chain went on; seeds between are kept.
    Advance {
        next: u32,
        key: ChainKey,
        skipped: Vec<(u32, Seed)>,
    },
    /// A kept seed was used.
    Take { index: u32 },
}

/// Why a chain has no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSeed {
    /// It was used, or is too old to be kept.
    Duplicate,
    /// It is further forward than the limit, or the counter is at its end.
    TooFar,
}

impl ChainKey {
    /// *Formula*: `seed = HMAC(ck, 01)`, `ck' = HMAC(ck, 02)`.
    fn step(&self) -> (Seed, Self) {
        let [seed, next] = hmac_sha256_secrets(self.0.expose_secret(), [&[1], &[2]]);
        (Seed(seed), Self(next))
    }
}

impl SendingChain {
    pub(crate) fn new(key: Secret<32>) -> Self {
        Self {
            index: 0,
            key: ChainKey(key),
        }
    }

    /// Whether one more message may be sent.
    pub(crate) fn can_send(&self) -> bool {
        self.index < u32::MAX
    }

    /// The seed of the next message and its index; nothing at the counter's end.
    pub(crate) fn next_seed(&mut self) -> Option<(u32, Seed)> {
        let index = self.index;
        self.index = index.checked_add(1)?;
        let (seed, key) = self.key.step();
        self.key = key;
        Some((index, seed))
    }
}

impl ReceivingChain {
    pub(crate) fn new(theirs: TheirRatchetKey, key: Secret<32>) -> Self {
        Self {
            theirs,
            next: 0,
            key: ChainKey(key),
            skipped: BTreeMap::new(),
        }
    }

    /// Finds the seed of message `n` without changing anything; `jump` is the furthest step forward.
    pub(crate) fn stage(&self, n: u32, jump: u32) -> Result<(ChainDelta, Seed), NoSeed> {
        let Some(distance) = n.checked_sub(self.next) else {
            let seed = self.skipped.get(&n).ok_or(NoSeed::Duplicate)?;
            return Ok((ChainDelta::Take { index: n }, Seed(seed.0.duplicate())));
        };
        // SECURITY: before any hashing; `jump_of_25001_is_refused` notices.
        if distance > jump {
            return Err(NoSeed::TooFar);
        }
        let next = n.checked_add(1).ok_or(NoSeed::TooFar)?;
        let kept = limits::SKIPPED_SEEDS.min(usize::try_from(distance).unwrap_or(usize::MAX));
        let first_kept = n.saturating_sub(u32::try_from(kept).unwrap_or(u32::MAX));
        let mut skipped = Vec::with_capacity(kept);
        let (mut seed, mut key) = self.key.step();
        for index in self.next..n {
            if index >= first_kept {
                skipped.push((index, seed));
            }
            (seed, key) = key.step();
        }
        Ok((ChainDelta::Advance { next, key, skipped }, seed))
    }

    /// Takes what [`ReceivingChain::stage`] found.
    pub(crate) fn commit(&mut self, delta: ChainDelta) {
        match delta {
            ChainDelta::Advance { next, key, skipped } => {
                self.next = next;
                self.key = key;
                self.skipped.extend(skipped);
                while self.skipped.len() > limits::SKIPPED_SEEDS {
                    self.skipped.pop_first();
                }
            }
            ChainDelta::Take { index } => {
                self.skipped.remove(&index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keys::X25519Public;

    fn chain() -> ReceivingChain {
        let key = Secret::from_fn(|out: &mut [u8; 32]| *out = [3; 32]);
        ReceivingChain::new(TheirRatchetKey(X25519Public([9; 32])), key)
    }

    /// Seeds of a sender with the same chain key.
    fn seeds(count: u32) -> Vec<Seed> {
        let mut sending = SendingChain::new(chain().key.0);
        (0..count).map(|_| sending.next_seed().unwrap().1).collect()
    }

    fn receive(chain: &mut ReceivingChain, n: u32) -> Result<Seed, NoSeed> {
        let (delta, seed) = chain.stage(n, limits::FORWARD_JUMP)?;
        chain.commit(delta);
        Ok(seed)
    }

    #[test]
    fn jump_of_25001_is_refused() {
        let sent = seeds(25_001);
        let mut chain = chain();
        assert_eq!(receive(&mut chain, 25_001).err(), Some(NoSeed::TooFar));
        assert_eq!(chain.next, 0);
        let seed = receive(&mut chain, 25_000).unwrap();
        assert!(seed.0.ct_eq(&sent.last().unwrap().0));
        assert_eq!(receive(&mut chain, 50_002).err(), Some(NoSeed::TooFar));
        assert!(receive(&mut chain, 50_001).is_ok());
    }

    #[test]
    fn newest_2000_passed_over_seeds_are_kept_each_once() {
        let sent = seeds(3_002);
        let mut chain = chain();
        receive(&mut chain, 3_000).unwrap();
        assert_eq!(chain.skipped.len(), 2_000);
        assert_eq!(receive(&mut chain, 999).err(), Some(NoSeed::Duplicate));
        for n in [1_000, 2_999] {
            let seed = receive(&mut chain, n).unwrap();
            assert!(seed.0.ct_eq(&sent[n as usize].0));
            assert_eq!(receive(&mut chain, n).err(), Some(NoSeed::Duplicate));
        }
        assert_eq!(receive(&mut chain, 3_000).err(), Some(NoSeed::Duplicate));
        // Steps later on push the oldest out.
        receive(&mut chain, 3_010).unwrap();
        assert_eq!(chain.skipped.len(), 2_000);
        assert_eq!(chain.skipped.keys().next(), Some(&1_008));
    }

    #[test]
    fn last_index_is_neither_sent_nor_received() {
        let mut receiving = chain();
        receiving.next = u32::MAX - 1;
        assert_eq!(
            receive(&mut receiving, u32::MAX).err(),
            Some(NoSeed::TooFar)
        );
        assert!(receive(&mut receiving, u32::MAX - 1).is_ok());
        let mut sending = SendingChain::new(chain().key.0);
        sending.index = u32::MAX;
        assert!(!sending.can_send() && sending.next_seed().is_none());
    }
}
