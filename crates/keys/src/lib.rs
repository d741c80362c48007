//! Who someone is and the secrets they hold: the only crate that calls cryptographic primitives.

pub mod account_log;
mod aead;
mod argon;
mod chacha;
pub mod chunked;
pub mod codec;
pub mod content_hash;
mod crockford;
pub mod ed25519;
mod emoji;
mod envelope;
pub mod give;
pub mod give_link;
pub mod hpke;
mod id;
mod kdf;
pub mod kem;
pub mod label;
mod lc;
mod leaf;
pub mod link;
mod ml_dsa;
pub mod mlkem_incremental;
mod module;
pub mod pake;
pub mod request_code;
pub mod rsa;
mod safety_number;
pub mod sas;
pub mod scrypt;
mod sealed;
mod secret;
pub mod sha2;
pub mod shamir;
pub mod sheet;
mod sign;
mod suite;
pub mod vault;
pub mod vault_root;
mod words;
mod x25519;
pub mod xeddsa;
pub mod xwing;

pub use aead::{GcmKey, OpenError, TAG_LEN, cbc_decrypt, cbc_encrypt, gcm_open, gcm_seal};
pub use argon::{ArgonParams, BadParams, argon2id};
pub use chacha::{ChaChaKey, chacha_open, chacha_seal};
pub use id::{AccountId, BlobId, DeviceId, GroupId, LetterId, MessageId, QueueId, Timestamp};
pub use kdf::{
    hkdf_sha256, hkdf_sha512, hmac_sha256, hmac_sha256_secret, hmac_sha256_secrets, sha3_256,
    sha256, sha384, sha512,
};
pub use label::Label;
pub use leaf::{LeafKey, verify_voucher};
pub use module::{Module, module};
pub use safety_number::{VerificationCode, VerificationError, safety_number};
pub use sealed::{Sealable, Sealed};
pub use secret::{Secret, SecretBytes, ct_eq, wipe};
pub use sign::{HybridSignature, Malformed as MalformedSignature, SigningKey, VerifyingKey};
pub use suite::Suite;
pub use x25519::{AllZero, X25519Public, X25519Secret};
pub use xeddsa::BadSignature;
