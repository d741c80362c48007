//! Shamir's secret sharing over GF(256), in constant time (docs/spec/recovery.md, section 2).
//!
//! A secret byte is only ever multiplied by a public one: the index of a share when splitting, a Lagrange
//! coefficient of public indices when combining. So there is no table that a secret indexes and no branch on one.

use crate::aead::{OpenError, gcm_open, gcm_seal};
use crate::codec::{DecodeError, Reader, Writer};
use crate::kdf::sha512;
use crate::label;
use crate::secret::{Secret, SecretBytes, ct_eq};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Fewest shares that may be needed: with one, every share would be the secret.
pub const NEED_MIN: u8 = 2;

/// The polynomial x^8 + x^4 + x^3 + x + 1 of AES, without its highest term.
const POLYNOMIAL: u8 = 0x1b;
const VERSION: u8 = 1;

/// One share of a secret.
pub struct Share {
    index: u8,
    value: Secret<32>,
}

/// What is publicly known of a set of shares.
#[derive(Debug, Clone, Copy)]
pub struct ShareSet<'a> {
    /// The set's id, so that no share of an older set fits.
    pub id: &'a [u8; 16],
    /// How many shares give the secret.
    pub need: u8,
    /// [`Share::commitment`] of the share with index 1, then 2, and so on.
    pub commitments: &'a [[u8; 32]],
}

/// Why shares cannot be made or give no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Not `2 ≤ need ≤ count`.
    #[error("{need} of {count} shares cannot be")]
    Threshold {
        /// How many would be needed.
        need: u8,
        /// How many there would be.
        count: usize,
    },
    /// One share is there twice.
    #[error("share {index} is there twice")]
    Duplicate {
        /// Its index.
        index: u8,
    },
    /// A share is not the one that was committed to: altered, of another set, or of another secret.
    #[error("share {index} does not belong to this set")]
    Foreign {
        /// Its index.
        index: u8,
    },
    /// All shares are right, and there are too few.
    #[error("{got} shares, {need} are needed")]
    TooFew {
        /// How many there are.
        got: usize,
        /// How many are needed.
        need: u8,
    },
}

impl Share {
    /// The x of the share, from 1. Public.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// What the account log says of the share: it shows nothing of the value and fits no other.
    ///
    /// *Formula*: first 32 bytes of `SHA-512(label ‖ 00 ‖ set id 16 ‖ index 1 ‖ value 32)`.
    #[must_use]
    pub fn commitment(&self, set: &[u8; 16]) -> [u8; 32] {
        let label = label::SHARE.as_bytes();
        let value = self.value.expose_secret();
        let hash = sha512(&[label, &[0], set, &[self.index], value]);
        *hash.first_chunk().unwrap_or(&[0; 32])
    }

    /// The stored form: `01 ‖ index 1 ‖ value 32`.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.u8(self.index);
        out.array(self.value.expose_secret());
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != VERSION {
            return Err(DecodeError::Invalid);
        }
        let index = input.u8()?;
        let value = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Short)?;
        input.finish()?;
        // The value at 0 is the secret itself.
        if index == 0 {
            return Err(DecodeError::Invalid);
        }
        Ok(Self { index, value })
    }

    /// The share under a key that whoever keeps it does not have.
    ///
    /// *Formula*: `AES-256-GCM(key, 0^11 ‖ index 1, label ‖ 00 ‖ set id 16 ‖ index 1, stored form)`. A key wraps one
    /// share of each index.
    #[must_use]
    pub fn wrap(&self, key: &Secret<32>, set: &[u8; 16]) -> Vec<u8> {
        let stored = self.encode();
        let data = wrap_data(set, self.index);
        gcm_seal(key, &wrap_nonce(self.index), &data, stored.expose_secret())
    }

    /// Opens a wrapped share.
    ///
    /// # Errors
    /// [`OpenError`]: another key, set or index, or changed bytes.
    pub fn unwrap(
        key: &Secret<32>,
        set: &[u8; 16],
        index: u8,
        wrapped: &[u8],
    ) -> Result<Self, OpenError> {
        let data = wrap_data(set, index);
        let stored = gcm_open(key, &wrap_nonce(index), &data, wrapped).map(Zeroizing::new)?;
        let share = Self::decode(&stored).map_err(|_| OpenError)?;
        if share.index == index {
            Ok(share)
        } else {
            Err(OpenError)
        }
    }
}

impl ShareSet<'_> {
    /// Checks a share against its commitment.
    ///
    /// # Errors
    /// [`ShareError::Foreign`].
    pub fn check(&self, share: &Share) -> Result<(), ShareError> {
        let place = usize::from(share.index).checked_sub(1);
        let commitment = place.and_then(|place| self.commitments.get(place));
        // SECURITY: a false share would give a false secret and tell nobody whose fault it is;
        // `every_changed_share_is_named` notices.
        commitment
            .is_some_and(|commitment| ct_eq(&share.commitment(self.id), commitment))
            .then_some(())
            .ok_or(ShareError::Foreign { index: share.index })
    }
}

/// Splits a secret into `count` shares of which any `need` give it back and fewer say nothing about it.
///
/// *Formula*: for each byte a polynomial of degree `need - 1` over GF(256) whose value at 0 is the byte and whose
/// other coefficients are random; share `i` is its value at `i`, for i = 1..count.
///
/// ```
/// # use rand_core::SeedableRng as _;
/// use letterlock_keys::Secret;
/// use letterlock_keys::shamir::{self, ShareSet};
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// let secret = Secret::random(&mut rng);
/// let shares = shamir::split(&mut rng, &secret, 2, 3).unwrap();
/// let id = [7; 16];
/// let commitments: Vec<_> = shares.iter().map(|share| share.commitment(&id)).collect();
/// let set = ShareSet { id: &id, need: 2, commitments: &commitments };
/// assert!(shamir::combine(&set, &shares[1..]).unwrap().ct_eq(&secret));
/// ```
///
/// # Errors
/// [`ShareError::Threshold`]: not `2 ≤ need ≤ count`.
pub fn split(
    rng: &mut dyn CryptoRng,
    secret: &Secret<32>,
    need: u8,
    count: u8,
) -> Result<Vec<Share>, ShareError> {
    check_threshold(need, usize::from(count))?;
    // The highest coefficient first, as Horner's rule takes them. It may be zero: were it not, fewer shares would
    // exclude a value of the secret.
    let coefficients: Vec<Secret<32>> = (1..need).map(|_| Secret::random(rng)).collect();
    Ok((1..=count)
        .map(|index| share_at(index, &coefficients, secret))
        .collect())
}

fn wrap_nonce(index: u8) -> [u8; 12] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index]
}

fn wrap_data(set: &[u8; 16], index: u8) -> Vec<u8> {
    [label::WRAPPED_SHARE.as_bytes(), &[0], set, &[index]].concat()
}

/// The value of the polynomial at `index`, by Horner's rule.
fn share_at(index: u8, coefficients: &[Secret<32>], secret: &Secret<32>) -> Share {
    let mut value = Lanes::zero();
    for coefficient in coefficients.iter().chain([secret]) {
        value = value.times(index);
        value.add(&Lanes::of(coefficient));
    }
    Share {
        index,
        value: value.secret(),
    }
}

/// Checks every share against its commitment, and combines them.
///
/// *Formula*: Lagrange's interpolation at 0 over GF(256), through the first `need` shares.
///
/// # Errors
/// [`ShareError`]: the first share that is there twice or does not fit its commitment; too few.
pub fn combine(set: &ShareSet<'_>, shares: &[Share]) -> Result<Secret<32>, ShareError> {
    check_threshold(set.need, set.commitments.len())?;
    for (place, share) in shares.iter().enumerate() {
        let index = share.index;
        if shares.iter().take(place).any(|other| other.index == index) {
            return Err(ShareError::Duplicate { index });
        }
        set.check(share)?;
    }
    let need = set.need;
    let used = shares.get(..usize::from(need)).ok_or(ShareError::TooFew {
        got: shares.len(),
        need,
    })?;
    let mut secret = Lanes::zero();
    for share in used {
        let others = used.iter().map(|other| other.index);
        secret.add(&Lanes::of(&share.value).times(lagrange(share.index, others)));
    }
    Ok(secret.secret())
}

fn check_threshold(need: u8, count: usize) -> Result<(), ShareError> {
    let fits = need >= NEED_MIN && usize::from(need) <= count && count <= usize::from(u8::MAX);
    fits.then_some(())
        .ok_or(ShareError::Threshold { need, count })
}

/// 32 elements of the field at once, eight in a word.
struct Lanes(Zeroizing<[u64; 4]>);

impl Lanes {
    fn zero() -> Self {
        Self(Zeroizing::new([0; 4]))
    }

    fn of(secret: &Secret<32>) -> Self {
        let mut lanes = Self::zero();
        let (words, _) = secret.expose_secret().as_chunks();
        for (lane, word) in lanes.0.iter_mut().zip(words) {
            *lane = u64::from_be_bytes(*word);
        }
        lanes
    }

    fn secret(&self) -> Secret<32> {
        Secret::from_fn(|out| {
            let (words, _) = out.as_chunks_mut();
            for (word, lane) in words.iter_mut().zip(self.0.iter()) {
                *word = lane.to_be_bytes();
            }
        })
    }

    fn add(&mut self, other: &Self) {
        for (lane, other) in self.0.iter_mut().zip(other.0.iter()) {
            *lane ^= other;
        }
    }

    /// Times x, each element: the bit that leaves a byte comes back as the polynomial.
    fn double(&mut self) {
        for lane in self.0.iter_mut() {
            let high = (*lane >> 7) & 0x0101_0101_0101_0101;
            let low = *lane & 0x7f7f_7f7f_7f7f_7f7f;
            *lane = (low << 1) ^ high.wrapping_mul(u64::from(POLYNOMIAL));
        }
    }

    /// Times a public element. It branches on the bits of `public` alone.
    fn times(mut self, public: u8) -> Self {
        let mut product = Self::zero();
        for bit in 0..8 {
            if (public >> bit) & 1 == 1 {
                product.add(&self);
            }
            self.double();
        }
        product
    }
}

/// The coefficient at 0 of the share with `index`, among the shares with `others` (its own index is skipped): the
/// product of `x / (x - index)`. Everything here is public.
fn lagrange(index: u8, others: impl Iterator<Item = u8>) -> u8 {
    others.filter(|x| *x != index).fold(1, |product, x| {
        multiply(product, multiply(x, invert(x ^ index)))
    })
}

/// The product of two public elements.
fn multiply(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut power = a;
    for bit in 0..8 {
        if (b >> bit) & 1 == 1 {
            product ^= power;
        }
        let carry = if power & 0x80 == 0 { 0 } else { POLYNOMIAL };
        power = (power << 1) ^ carry;
    }
    product
}

/// 1 / a for a public a: a^254.
fn invert(a: u8) -> u8 {
    (0..253).fold(a, |power, _| multiply(power, a))
}

#[cfg(test)]
mod tests;
