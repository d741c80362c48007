//! The short authentication string: two people verify each other while both are there (docs/spec/verification.md,
//! section 2).
//!
//! The initiator commits to its nonce, the responder shows its own, the initiator shows the committed one. Nobody
//! between them can choose a nonce after having seen the others, so one attempt succeeds with a chance of 2^-42
//! (pictures) or 10^-8 (digits).

use crate::account_log::VerifiedLog;
use crate::codec::Writer;
use crate::emoji::emoji;
use crate::kdf::sha512;
use crate::{AccountId, Suite, label};

pub use crate::emoji::Emoji;

/// Number of pictures; each is worth six bits.
pub const EMOJI: usize = 7;

/// What one side is, as the other side's client sees it too if nobody lies. Public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The account.
    pub account: AccountId,
    /// Hash of the newest entry of its log.
    pub head: [u8; 64],
    /// Hash of its device list.
    pub device_list: [u8; 64],
}

impl Party {
    /// Takes what a log states.
    #[must_use]
    pub fn of(log: &VerifiedLog) -> Self {
        Self {
            account: *log.account_id(),
            head: log.head().hash,
            device_list: *log.device_list_hash(),
        }
    }
}

/// What both sides must agree on: the same bytes on both, whoever began.
///
/// *Shape*: `BE2(suite) ‖ party ‖ party`, the smaller account id first, with
/// `party = account id 32 ‖ head 64 ‖ device list hash 64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript(Vec<u8>);

impl Transcript {
    /// Puts two parties together, in any order; an account has no transcript with itself.
    #[must_use]
    pub fn new(suite: Suite, one: &Party, other: &Party) -> Option<Self> {
        if one.account == other.account {
            return None;
        }
        let mut parties = [one, other];
        parties.sort_by_key(|party| party.account);
        let mut out = Writer::new();
        out.u16(suite.number());
        for party in parties {
            out.array(party.account.as_bytes());
            out.array(&party.head);
            out.array(&party.device_list);
        }
        Some(Self(out.finish()))
    }

    /// The initiator's promise of its nonce, made before it sees the responder's.
    ///
    /// *Formula*: first 32 bytes of `SHA-512(label ‖ 00 ‖ transcript ‖ initiator's nonce 32)`.
    #[must_use]
    pub fn commitment(&self, initiator_nonce: &[u8; 32]) -> [u8; 32] {
        let label = label::SAS_COMMITMENT.as_bytes();
        let hash = sha512(&[label, &[0], &self.0, initiator_nonce]);
        *hash.first_chunk().unwrap_or(&[0; 32])
    }

    /// What both sides show. The responder calls it after it has found the commitment right.
    ///
    /// *Formula*: `SHA-512(label ‖ 00 ‖ transcript ‖ initiator's nonce 32 ‖ responder's nonce 32)`.
    ///
    /// ```
    /// use letterlock_keys::sas::{Party, Transcript};
    /// use letterlock_keys::{AccountId, Suite};
    /// let party = |account| Party {
    ///     account: AccountId::from_bytes([account; 32]),
    ///     head: [0; 64],
    ///     device_list: [0; 64],
    /// };
    /// let transcript = Transcript::new(Suite::Hybrid, &party(1), &party(2)).unwrap();
    /// let sas = transcript.sas(&[3; 32], &[4; 32]);
    /// let shown: Vec<_> = sas.emoji().iter().map(|emoji| emoji.name).collect();
    /// assert_eq!((shown.len(), sas.digits().len()), (7, 8));
    /// ```
    #[must_use]
    pub fn sas(&self, initiator_nonce: &[u8; 32], responder_nonce: &[u8; 32]) -> Sas {
        let label = label::SAS_CODE.as_bytes();
        let hash = sha512(&[label, &[0], &self.0, initiator_nonce, responder_nonce]);
        let (words, _) = hash.as_chunks();
        let mut words = words.iter().map(|word| u64::from_be_bytes(*word));
        Sas {
            emoji: words.next().unwrap_or_default(),
            digits: words.next().unwrap_or_default(),
        }
    }
}

/// What two people compare, as pictures or as digits.
#[derive(Clone, Copy)]
pub struct Sas {
    emoji: u64,
    digits: u64,
}

impl Sas {
    /// Seven pictures: the first 42 bits of the hash, six at a time.
    #[must_use]
    pub fn emoji(&self) -> [Emoji; EMOJI] {
        let mut shift = 64_u32;
        std::array::from_fn(|_| {
            shift = shift.saturating_sub(6);
            emoji(self.emoji >> shift)
        })
    }

    /// Eight digits: `BE8(hash[8..16]) mod 100000000`.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{:08}", self.digits % 100_000_000)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn party(number: u8) -> Party {
        Party {
            account: AccountId::from_bytes([number; 32]),
            head: [number.wrapping_add(1); 64],
            device_list: [number.wrapping_add(2); 64],
        }
    }

    fn transcript() -> Transcript {
        Transcript::new(Suite::Hybrid, &party(0x10), &party(0x20)).unwrap()
    }

    fn names(sas: Sas) -> String {
        sas.emoji().map(|emoji| emoji.name).join(" ")
    }

    /// Computed from docs/spec/verification.md, section 2, by another program.
    #[test]
    fn commitment_and_code_never_change() {
        assert_eq!(
            data_encoding::HEXLOWER.encode(&transcript().commitment(&[5; 32])),
            "3360202fc9bea0c04a4e89be65f10c2435b5b11e953f5f5499183d2caba1b156"
        );
        let sas = transcript().sas(&[5; 32], &[6; 32]);
        assert_eq!(
            names(sas),
            "pig cheese rocket gift bicycle umbrella octopus"
        );
        assert_eq!(sas.digits(), "00232426");
    }

    #[test]
    fn an_account_has_no_transcript_with_itself() {
        let other = Party {
            head: [9; 64],
            ..party(1)
        };
        assert!(Transcript::new(Suite::Hybrid, &party(1), &other).is_none());
    }

    #[test]
    fn initiator_and_responder_are_not_exchanged() {
        assert_ne!(
            names(transcript().sas(&[5; 32], &[6; 32])),
            names(transcript().sas(&[6; 32], &[5; 32]))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(64)
        })]

        #[test]
        fn both_sides_show_the_same(nonces: [[u8; 32]; 2], accounts: [u8; 2]) {
            prop_assume!(accounts[0] != accounts[1]);
            let (one, other) = (party(accounts[0]), party(accounts[1]));
            let ours = Transcript::new(Suite::Hybrid, &one, &other).unwrap();
            let theirs = Transcript::new(Suite::Hybrid, &other, &one).unwrap();
            prop_assert_eq!(ours.commitment(&nonces[0]), theirs.commitment(&nonces[0]));
            let (ours, theirs) = (ours.sas(&nonces[0], &nonces[1]), theirs.sas(&nonces[0], &nonces[1]));
            prop_assert_eq!(ours.emoji(), theirs.emoji());
            prop_assert_eq!(ours.digits(), theirs.digits());
        }

        /// Every bit of what is agreed on, and of each nonce.
        #[test]
        fn any_bit_changes_the_code(bit in 0_usize..(2 * 160 + 2 * 32) * 8) {
            let flip = |field: &mut [u8], from: usize| {
                if let Some(byte) = bit.checked_div(8).and_then(|place| field.get_mut(place.wrapping_sub(from))) {
                    *byte ^= 1_u8.rotate_left(u32::try_from(bit % 8).unwrap());
                }
            };
            let mut parties = [party(0x10), party(0x20)];
            for (place, party) in parties.iter_mut().enumerate() {
                let from = if place == 0 { 0 } else { 160 };
                let mut account = *party.account.as_bytes();
                flip(&mut account, from);
                party.account = AccountId::from_bytes(account);
                flip(&mut party.head, from.wrapping_add(32));
                flip(&mut party.device_list, from.wrapping_add(96));
            }
            let mut nonces = [[5; 32], [6; 32]];
            flip(&mut nonces[0], 320);
            flip(&mut nonces[1], 352);
            let changed = Transcript::new(Suite::Hybrid, &parties[0], &parties[1]).unwrap();
            let sas = changed.sas(&nonces[0], &nonces[1]);
            let before = transcript().sas(&[5; 32], &[6; 32]);
            prop_assert_ne!(names(sas), names(before));
            prop_assert_ne!(sas.digits(), before.digits());
            let same = changed == transcript() && nonces[0] == [5; 32];
            let promised = changed.commitment(&nonces[0]) == transcript().commitment(&[5; 32]);
            prop_assert_eq!(promised, same);
        }
    }
}
