//! The root key and the ratchet keys that move it on (docs/spec/ratchet.md, section 4.1).

use crate::chain::{ReceivingChain, SendingChain};
use crate::parts::part;
use crate::profile::Profile;
use keys::{AllZero, Secret, X25519Public, X25519Secret, hkdf_sha256};
use rand_core::CryptoRng;

/// Our ratchet key: the private half and the public one that our messages name.
pub(crate) struct OurRatchetKey {
    secret: X25519Secret,
    public: X25519Public,
}

/// The peer's ratchet key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TheirRatchetKey(pub(crate) X25519Public);

/// The root key.
pub(crate) struct RootKey(pub(crate) Secret<32>);

impl OurRatchetKey {
    /// Draws a key: 32 bytes in one call of `rng`.
    pub(crate) fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::new(X25519Secret::from_random(rng))
    }

    /// Takes a private key and computes its public half.
    pub(crate) fn new(secret: X25519Secret) -> Self {
        let public = secret.public();
        Self { secret, public }
    }

    /// Takes both halves, which the caller knows to belong together.
    pub(crate) fn from_halves(secret: X25519Secret, public: X25519Public) -> Self {
        Self { secret, public }
    }

    pub(crate) fn public(&self) -> &X25519Public {
        &self.public
    }

    /// For storage.
    pub(crate) fn secret(&self) -> &X25519Secret {
        &self.secret
    }
}

impl RootKey {
    /// Begins a receiving chain.
    ///
    /// *Formula*: `KDF_RK(rk, dh) = HKDF(salt = rk, ikm = dh, label, 64)` = new root ‖ chain key.
    pub(crate) fn receiving_step(
        &self,
        profile: Profile,
        ours: &OurRatchetKey,
        theirs: TheirRatchetKey,
    ) -> Result<(Self, ReceivingChain), AllZero> {
        let (root, key) = self.step(profile, ours, theirs)?;
        Ok((root, ReceivingChain::new(theirs, key)))
    }

    /// Begins a sending chain, by the same formula.
    pub(crate) fn sending_step(
        &self,
        profile: Profile,
        ours: &OurRatchetKey,
        theirs: TheirRatchetKey,
    ) -> Result<(Self, SendingChain), AllZero> {
        let (root, key) = self.step(profile, ours, theirs)?;
        Ok((root, SendingChain::new(key)))
    }

    fn step(
        &self,
        profile: Profile,
        ours: &OurRatchetKey,
        theirs: TheirRatchetKey,
    ) -> Result<(Self, Secret<32>), AllZero> {
        // SECURITY: a key of low order is refused by `agree`; `all_zero_agreement_is_refused` notices.
        let dh = ours.secret.agree(&theirs.0)?;
        let label = profile.parameters().root;
        let okm: Secret<64> = hkdf_sha256(
            self.0.expose_secret(),
            &[dh.expose_secret()],
            &[label.as_bytes()],
        );
        Ok((Self(part(&okm, 0)), part(&okm, 32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::PROFILES;

    fn root() -> RootKey {
        RootKey(Secret::from_fn(|out| *out = [1; 32]))
    }

    fn ours(byte: u8) -> OurRatchetKey {
        let secret = Secret::from_fn(|out: &mut [u8; 32]| *out = [byte; 32]);
        OurRatchetKey::new(X25519Secret::from_secret(&secret))
    }

    #[test]
    fn all_zero_agreement_is_refused() {
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        let mut one = [0; 32];
        one[0] = 1;
        for profile in PROFILES {
            for u in [[0; 32], one, minus_one] {
                let theirs = TheirRatchetKey(X25519Public(u));
                assert!(root().receiving_step(profile, &ours(2), theirs).is_err());
                assert!(root().sending_step(profile, &ours(2), theirs).is_err());
            }
        }
    }

    #[test]
    fn both_sides_step_to_the_same_keys_and_profiles_to_others() {
        let (alice, bob) = (ours(2), ours(3));
        let step = |profile, ours: &OurRatchetKey, theirs: &OurRatchetKey| {
            let theirs = TheirRatchetKey(*theirs.public());
            let (root, sending) = root().sending_step(profile, ours, theirs).unwrap();
            (root.0, sending.key.0)
        };
        let [signal, letterlock] = PROFILES.map(|profile| {
            let (a, b) = (step(profile, &alice, &bob), step(profile, &bob, &alice));
            assert!(a.0.ct_eq(&b.0) && a.1.ct_eq(&b.1) && !a.0.ct_eq(&a.1));
            a
        });
        assert!(!signal.0.ct_eq(&letterlock.0));
    }
}
