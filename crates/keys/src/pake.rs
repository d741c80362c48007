//! The key exchange of a code: SPAKE2 with the words, an ML-KEM-768 exchange beside it, and one confirmation each way
//! (docs/spec/give.md, section 2).
//!
//! ```text
//!   Taker::begin ── share ──► Giver::answer ── share ──► Taker::finish
//!   Unconfirmed  ── tag ──►   Unconfirmed::confirm
//!   Unconfirmed::confirm ◄── tag ──
//! ```
//!
//! Nothing that either side has said before the taker's tag tells anybody whether words are right. So one wrong tag is
//! one guess, and the giver sees every guess.

use crate::QueueId;
use crate::aead::{OpenError, TAG_LEN, gcm_open, gcm_seal};
use crate::give::GiveCode;
use crate::kdf::{hkdf_sha512, hmac_sha256, sha512};
use crate::label::{self, Label};
use crate::lc::{self, MlKem};
use crate::secret::{Secret, SecretBytes, ct_eq};
use curve25519_dalek::edwards::CompressedEdwardsY;
use rand_core::CryptoRng;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

/// Bytes of a share of SPAKE2: which side, and a point.
pub const SHARE_LEN: usize = 33;
/// Bytes of a public key of ML-KEM-768.
pub const KEM_PUBLIC_LEN: usize = 1184;
/// Bytes of a ciphertext of ML-KEM-768.
pub const KEM_CIPHERTEXT_LEN: usize = 1088;
/// Bytes of a confirmation.
pub const CONFIRMATION_LEN: usize = 32;
/// Bytes that a sealed word is longer than the word: nonce and tag.
pub const WORD_OVERHEAD: usize = NONCE_LEN + TAG_LEN;
const NONCE_LEN: usize = 12;
const STORED_LEN: usize = 4 * 32;

/// A share is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed share of a key exchange")]
pub struct MalformedShare;

/// A confirmation is not what the other side's must be: it has other words, or somebody stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side does not know the code")]
pub struct WrongConfirmation;

/// What the taker says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakerShare {
    /// Of SPAKE2.
    pub pake: [u8; SHARE_LEN],
    /// The public key of ML-KEM-768.
    pub kem: Box<[u8; KEM_PUBLIC_LEN]>,
}

/// What the giver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiverShare {
    /// Of SPAKE2.
    pub pake: [u8; SHARE_LEN],
    /// The ciphertext of ML-KEM-768.
    pub kem: Box<[u8; KEM_CIPHERTEXT_LEN]>,
}

/// The side that takes, before the giver's answer.
///
/// ```
/// # use rand_core::SeedableRng as _;
/// use letterlock_keys::QueueId;
/// use letterlock_keys::give::GiveCode;
/// use letterlock_keys::pake::{Giver, Taker};
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// let code = GiveCode::from_text("4821-guitar-banana-mouse").unwrap();
/// let queue = QueueId::from_bytes([1; 16]);
/// let (taker, hello) = Taker::begin(&code, &queue, &mut rng).unwrap();
/// let (giver, answer) = Giver::answer(&code, &queue, &hello, &mut rng).unwrap();
/// let said = [&b"hello"[..], b"answer"];
/// let (taker, giver) = (taker.finish(&answer, &said).unwrap(), giver.finish(&said));
/// let (to_giver, to_taker) = (taker.confirmation(), giver.confirmation());
/// let (giver, taker) = (giver.confirm(&to_giver).unwrap(), taker.confirm(&to_taker).unwrap());
/// let sealed = giver.seal(&queue, b"a word", &mut rng);
/// assert_eq!(*taker.open(&queue, &sealed).unwrap(), b"a word");
/// ```
pub struct Taker {
    pake: Spake2<Ed25519Group>,
    kem: Secret<64>,
}

/// The side that gives, after its answer.
pub struct Giver {
    pake: Secret<32>,
    kem: Secret<32>,
}

/// Both shares are known, and nothing of the other side's words is.
pub struct Unconfirmed {
    ours: [u8; CONFIRMATION_LEN],
    theirs: [u8; CONFIRMATION_LEN],
    keys: TransferKeys,
}

/// The keys of a transfer whose other side has shown that it knows the code.
pub struct TransferKeys {
    seal: Secret<32>,
    open: Secret<32>,
}

/// The keys that one side has, from what both computed.
#[derive(Clone, Copy)]
enum Side {
    Taker,
    Giver,
}

impl Taker {
    /// Begins an exchange with the giver that is heard at `queue`.
    ///
    /// # Errors
    /// [`MalformedShare`]: never; the libraries report it all the same.
    pub fn begin(
        code: &GiveCode,
        queue: &QueueId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, TakerShare), MalformedShare> {
        let (password, taker, giver) = parties(code, queue);
        let (pake, share) = Spake2::start_a_with_rng(&password, &taker, &giver, &mut *rng);
        let kem = Secret::random(rng);
        let (public, _) = lc::ml_kem_key_pair(MlKem::K768, &kem).map_err(|_| MalformedShare)?;
        let share = TakerShare {
            pake: share.try_into().map_err(|_| MalformedShare)?,
            kem: boxed(public)?,
        };
        Ok((Self { pake, kem }, share))
    }

    /// Takes the giver's answer. `transcript`: all that both said, this answer included.
    ///
    /// # Errors
    /// [`MalformedShare`].
    pub fn finish(
        self,
        answer: &GiverShare,
        transcript: &[&[u8]],
    ) -> Result<Unconfirmed, MalformedShare> {
        let pake = pake_key(self.pake, &answer.pake)?;
        let kem = lc::ml_kem_decapsulate_seed(MlKem::K768, &self.kem, &answer.kem[..]);
        let kem = kem.map_err(|_| MalformedShare)?;
        Ok(schedule(&pake, &kem, transcript, Side::Taker))
    }
}

impl Giver {
    /// Answers a taker.
    ///
    /// # Errors
    /// [`MalformedShare`]: of the taker's.
    pub fn answer(
        code: &GiveCode,
        queue: &QueueId,
        share: &TakerShare,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, GiverShare), MalformedShare> {
        let (password, taker, giver) = parties(code, queue);
        let (pake, ours) = Spake2::start_b_with_rng(&password, &taker, &giver, &mut *rng);
        let pake = pake_key(pake, &share.pake)?;
        let m = Secret::random(rng);
        let (ciphertext, kem) =
            lc::ml_kem_encapsulate(MlKem::K768, &share.kem[..], &m).map_err(|_| MalformedShare)?;
        let answer = GiverShare {
            pake: ours.try_into().map_err(|_| MalformedShare)?,
            kem: boxed(ciphertext)?,
        };
        Ok((Self { pake, kem }, answer))
    }

    /// Ends the exchange. `transcript`: all that both said, the answer included.
    #[must_use]
    pub fn finish(self, transcript: &[&[u8]]) -> Unconfirmed {
        schedule(&self.pake, &self.kem, transcript, Side::Giver)
    }
}

impl Unconfirmed {
    /// Shows the other side that this one knows the code.
    #[must_use]
    pub fn confirmation(&self) -> [u8; CONFIRMATION_LEN] {
        self.ours
    }

    /// Looks at the other side's confirmation.
    ///
    /// # Errors
    /// [`WrongConfirmation`]: the code is used up.
    pub fn confirm(
        self,
        confirmation: &[u8; CONFIRMATION_LEN],
    ) -> Result<TransferKeys, WrongConfirmation> {
        // SECURITY: without it whoever guesses gets what is given; `a_wrong_word_confirms_nothing` notices.
        match ct_eq(confirmation, &self.theirs) {
            true => Ok(self.keys),
            false => Err(WrongConfirmation),
        }
    }

    /// As a taker stores it before its confirmation leaves.
    #[must_use]
    pub fn to_stored(&self) -> SecretBytes {
        let mut stored = Vec::with_capacity(STORED_LEN);
        stored.extend_from_slice(&self.ours);
        stored.extend_from_slice(&self.theirs);
        stored.extend_from_slice(self.keys.seal.expose_secret());
        stored.extend_from_slice(self.keys.open.expose_secret());
        SecretBytes::new(stored)
    }

    /// Takes what [`Self::to_stored`] gave; nothing for any other length.
    #[must_use]
    pub fn from_stored(stored: &[u8]) -> Option<Self> {
        let (ours, rest) = stored.split_first_chunk::<CONFIRMATION_LEN>()?;
        let (theirs, rest) = rest.split_first_chunk::<CONFIRMATION_LEN>()?;
        let (seal, open) = rest.split_at_checked(32)?;
        Some(Self {
            ours: *ours,
            theirs: *theirs,
            keys: TransferKeys {
                seal: Secret::from_slice(seal)?,
                open: Secret::from_slice(open)?,
            },
        })
    }
}

impl TransferKeys {
    /// Takes keys that follow from a secret that both sides have.
    pub(crate) fn new(seal: Secret<32>, open: Secret<32>) -> Self {
        Self { seal, open }
    }

    /// Seals a word for the queue of the other side: `nonce 12 ‖ AES-256-GCM`.
    pub fn seal(&self, queue: &QueueId, word: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let sealed = gcm_seal(&self.seal, &nonce, &word_data(queue), word);
        [&nonce[..], &sealed].concat()
    }

    /// Opens a word that came to the own queue.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, queue: &QueueId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(OpenError)?;
        gcm_open(&self.open, nonce, &word_data(queue), sealed).map(Zeroizing::new)
    }
}

fn word_data(queue: &QueueId) -> Vec<u8> {
    [label::GIVE_WORD.as_bytes(), &[0], queue.as_bytes()].concat()
}

fn parties(code: &GiveCode, queue: &QueueId) -> (Password, Identity, Identity) {
    let named = |label: Label| Identity::new(&[label.as_bytes(), &[0], queue.as_bytes()].concat());
    (
        Password::new(code.password().expose_secret()),
        named(label::GIVE_TAKER),
        named(label::GIVE_GIVER),
    )
}

fn pake_key(
    pake: Spake2<Ed25519Group>,
    share: &[u8; SHARE_LEN],
) -> Result<Secret<32>, MalformedShare> {
    let (_, point) = share.split_last_chunk::<32>().ok_or(MalformedShare)?;
    let point = CompressedEdwardsY(*point);
    // SECURITY: the library takes points outside the group, too; `shares_outside_the_group_are_refused` notices.
    let good = point
        .decompress()
        .filter(|decoded| decoded.is_torsion_free() && decoded.compress() == point);
    good.ok_or(MalformedShare)?;
    let key = Zeroizing::new(pake.finish(share).map_err(|_| MalformedShare)?);
    Secret::from_slice(&key).ok_or(MalformedShare)
}

fn boxed<const N: usize>(bytes: Vec<u8>) -> Result<Box<[u8; N]>, MalformedShare> {
    bytes
        .into_boxed_slice()
        .try_into()
        .map_err(|_| MalformedShare)
}

/// *Formula*: `hash = SHA-512(label ‖ 00 ‖ B(part)...)`, `HKDF-SHA-512(salt hash, ikm PAKE key ‖ KEM secret, info label)` =
/// the taker's MAC key, the giver's, the taker's AEAD key, the giver's; a confirmation is `HMAC-SHA-256(MAC key, hash)`.
fn schedule(pake: &Secret<32>, kem: &Secret<32>, transcript: &[&[u8]], side: Side) -> Unconfirmed {
    let mut hashed = vec![label::GIVE_TRANSCRIPT.as_bytes().to_vec(), vec![0]];
    for part in transcript {
        hashed.push(
            u32::try_from(part.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes()
                .to_vec(),
        );
        hashed.push(part.to_vec());
    }
    let hashed: Vec<&[u8]> = hashed.iter().map(Vec::as_slice).collect();
    let hash = sha512(&hashed);
    let keys: Secret<STORED_LEN> = hkdf_sha512(
        &hash,
        &[pake.expose_secret(), kem.expose_secret()],
        &[label::GIVE_KEYS.as_bytes()],
    );
    let (macs, aeads) = keys.expose_secret().split_at(64);
    let (taker_mac, giver_mac) = macs.split_at(32);
    let (taker_aead, giver_aead) = aeads.split_at(32);
    let secret = |key: &[u8]| Secret::from_fn(|out: &mut [u8; 32]| out.copy_from_slice(key));
    let (ours, theirs, seal, open) = match side {
        Side::Taker => (taker_mac, giver_mac, taker_aead, giver_aead),
        Side::Giver => (giver_mac, taker_mac, giver_aead, taker_aead),
    };
    Unconfirmed {
        ours: hmac_sha256(ours, &[&hash]),
        theirs: hmac_sha256(theirs, &[&hash]),
        keys: TransferKeys {
            seal: secret(seal),
            open: secret(open),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const QUEUE: QueueId = QueueId::from_bytes([7; 16]);

    fn code(text: &str) -> GiveCode {
        GiveCode::from_text(text).unwrap()
    }

    /// Both sides after the exchange, each with its own code, and what the network made of the shares.
    fn exchanged(
        taker: &str,
        giver: &str,
        on_the_way: impl Fn(&mut TakerShare, &mut GiverShare),
    ) -> Result<(Unconfirmed, Unconfirmed), MalformedShare> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (begun, share) = Taker::begin(&code(taker), &QUEUE, &mut rng)?;
        let said = |taker: &TakerShare, giver: &GiverShare| {
            [&taker.pake[..], &taker.kem[..], &giver.pake, &giver.kem[..]].concat()
        };
        let mut received = share.clone();
        let mut dummy = GiverShare {
            pake: [0; SHARE_LEN],
            kem: Box::new([0; KEM_CIPHERTEXT_LEN]),
        };
        on_the_way(&mut received, &mut dummy);
        let (answering, answer) = Giver::answer(&code(giver), &QUEUE, &received, &mut rng)?;
        let giver = answering.finish(&[&said(&received, &answer)]);
        let mut came = answer;
        on_the_way(&mut received, &mut came);
        let taker = begun.finish(&came, &[&said(&share, &came)])?;
        Ok((taker, giver))
    }

    const CODE: &str = "4821-guitar-banana-mouse";

    #[test]
    fn who_knows_the_code_is_confirmed_and_both_have_one_key() {
        let (taker, giver) = exchanged(CODE, CODE, |_, _| {}).unwrap();
        let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
        assert_ne!(taker_tag, giver_tag);
        let giver = giver.confirm(&taker_tag).unwrap();
        let taker = taker.confirm(&giver_tag).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for (from, to) in [(&taker, &giver), (&giver, &taker)] {
            let sealed = from.seal(&QUEUE, b"word", &mut rng);
            assert_eq!(sealed.len(), 4 + WORD_OVERHEAD);
            assert_eq!(*to.open(&QUEUE, &sealed).unwrap(), b"word");
            // Not back to its sender, not in another queue, not cut, not changed.
            assert!(from.open(&QUEUE, &sealed).is_err());
            assert!(to.open(&QueueId::from_bytes([8; 16]), &sealed).is_err());
            for place in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[place] ^= 1;
                assert!(to.open(&QUEUE, &changed).is_err());
                assert!(to.open(&QUEUE, &sealed[..place]).is_err());
            }
        }
    }

    #[test]
    fn a_wrong_word_confirms_nothing() {
        let (taker, giver) = exchanged("4821-guitar-banana-moral", CODE, |_, _| {}).unwrap();
        let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
        assert_eq!(giver.confirm(&taker_tag).err(), Some(WrongConfirmation));
        assert_eq!(taker.confirm(&giver_tag).err(), Some(WrongConfirmation));
    }

    /// A confirmation that is sent back to where it came from shows nothing.
    #[test]
    fn the_own_confirmation_is_not_the_other_sides() {
        let (taker, giver) = exchanged(CODE, CODE, |_, _| {}).unwrap();
        let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
        assert!(taker.confirm(&taker_tag).is_err());
        assert!(giver.confirm(&giver_tag).is_err());
    }

    /// Whatever was changed on the way: a share that is refused, or confirmations that do not fit.
    #[test]
    fn a_changed_share_confirms_nothing() {
        let refused = |change: &dyn Fn(&mut TakerShare, &mut GiverShare)| {
            let Ok((taker, giver)) = exchanged(CODE, CODE, change) else {
                return;
            };
            let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
            assert!(giver.confirm(&taker_tag).is_err());
            assert!(taker.confirm(&giver_tag).is_err());
        };
        for bit in 0..8 {
            for place in 0..SHARE_LEN {
                refused(&|taker, _| taker.pake[place] ^= 1 << bit);
                refused(&|_, giver| giver.pake[place] ^= 1 << bit);
            }
        }
        for place in (0..KEM_CIPHERTEXT_LEN).step_by(17) {
            refused(&|taker, _| taker.kem[place] ^= 1);
            refused(&|_, giver| giver.kem[place] ^= 1);
        }
    }

    #[test]
    fn shares_outside_the_group_are_refused() {
        // Points of order 2 and 4, and a y that no point has.
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut no_point = [0; 32];
        no_point[0] = 2;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (_, good) = Taker::begin(&code(CODE), &QUEUE, &mut rng).unwrap();
        for point in [minus_one, [0; 32], no_point] {
            let mut share = good.clone();
            share.pake[1..].copy_from_slice(&point);
            assert!(Giver::answer(&code(CODE), &QUEUE, &share, &mut rng).is_err());
        }
        // A good point with a small one on top: SPAKE2 alone would take it.
        let point = CompressedEdwardsY(good.pake[1..].try_into().unwrap());
        let small = CompressedEdwardsY(minus_one).decompress().unwrap();
        let mut share = good.clone();
        share.pake[1..]
            .copy_from_slice((point.decompress().unwrap() + small).compress().as_bytes());
        assert!(Giver::answer(&code(CODE), &QUEUE, &share, &mut rng).is_err());
        // A key of ML-KEM with coefficients that are too large.
        let mut share = good;
        share.kem[..2].fill(0xff);
        assert!(Giver::answer(&code(CODE), &QUEUE, &share, &mut rng).is_err());
    }

    #[test]
    fn what_a_taker_stores_goes_on() {
        let (taker, giver) = exchanged(CODE, CODE, |_, _| {}).unwrap();
        let stored = taker.to_stored();
        let taker = Unconfirmed::from_stored(stored.expose_secret()).unwrap();
        let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
        let giver = giver.confirm(&taker_tag).unwrap();
        let taker = taker.confirm(&giver_tag).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let sealed = giver.seal(&QUEUE, b"word", &mut rng);
        assert_eq!(*taker.open(&QUEUE, &sealed).unwrap(), b"word");
        for length in (0..STORED_LEN).chain([STORED_LEN + 1]) {
            assert!(Unconfirmed::from_stored(&vec![0; length]).is_none());
        }
    }

    #[test]
    fn exchange_with_another_queue_confirms_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (begun, share) = Taker::begin(&code(CODE), &QUEUE, &mut rng).unwrap();
        let other = QueueId::from_bytes([8; 16]);
        let (answering, answer) = Giver::answer(&code(CODE), &other, &share, &mut rng).unwrap();
        let giver = answering.finish(&[b"said"]);
        let taker = begun.finish(&answer, &[b"said"]).unwrap();
        assert!(giver.confirm(&taker.confirmation()).is_err());
    }
}
