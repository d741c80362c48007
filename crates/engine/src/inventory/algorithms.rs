//! The algorithms of each suite and of what surrounds it.

use keys::Suite;

/// What an algorithm is, in the words of CycloneDX 1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Primitive {
    /// Key agreement.
    KeyAgree,
    /// Key encapsulation mechanism.
    Kem,
    /// Signature.
    Signature,
    /// Several of one kind, of which one suffices or all must agree.
    Combiner,
    /// Authenticated encryption.
    Ae,
    /// Block cipher.
    BlockCipher,
    /// Message authentication code.
    Mac,
    /// Hash function.
    Hash,
    /// Extendable-output function.
    Xof,
    /// Key derivation.
    Kdf,
    /// Random bit generator.
    Drbg,
    /// A set of rules between parties.
    Protocol,
    /// None of these.
    Other,
}

/// An algorithm and where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Algorithm {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub primitive: Primitive,
    /// Its parameter set, for example `768`.
    pub parameters: &'static str,
    /// The text that defines it.
    pub standard: &'static str,
    /// Bits of security against a classical computer; 0 where that says nothing.
    pub classical_bits: u16,
    /// NIST security category against a quantum computer, 0 for none.
    pub quantum_category: u8,
    /// What it is made of.
    pub parts: &'static [&'static str],
    /// Where it is used.
    pub uses: &'static [&'static str],
}

impl Primitive {
    /// The word of CycloneDX 1.6; protocols are none of its primitives.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyAgree => "key-agree",
            Self::Kem => "kem",
            Self::Signature => "signature",
            Self::Combiner => "combiner",
            Self::Ae => "ae",
            Self::BlockCipher => "block-cipher",
            Self::Mac => "mac",
            Self::Hash => "hash",
            Self::Xof => "xof",
            Self::Kdf => "kdf",
            Self::Drbg => "drbg",
            Self::Protocol => "protocol",
            Self::Other => "other",
        }
    }
}

macro_rules! algorithms {
    ($table:ident: $($name:literal, $primitive:ident, $parameters:literal, $standard:literal, $classical:literal, $quantum:literal,
        $parts:expr, $uses:expr;)*) => {
        const $table: &[Algorithm] = &[$(Algorithm {
            name: $name,
            primitive: Primitive::$primitive,
            parameters: $parameters,
            standard: $standard,
            classical_bits: $classical,
            quantum_category: $quantum,
            parts: &$parts,
            uses: &$uses,
        }),*];
    };
}

/// Every algorithm that an account of a suite uses, and what for.
#[must_use]
pub fn algorithms(suite: Suite) -> &'static [Algorithm] {
    match suite {
        Suite::Cnsa2 => CNSA2,
        _ => HYBRID,
    }
}

algorithms! { HYBRID:
    "PQXDH", Protocol, "letterlock/v1", "docs/spec/ratchet.md, section 3", 128, 5,
        ["X25519", "ML-KEM-1024", "Ed25519+ML-DSA-65", "HKDF-SHA-256", "SHA-256"],
        ["begins a session of two devices"];
    "Triple Ratchet", Protocol, "letterlock/v1", "docs/spec/ratchet.md, sections 4 and 5", 128, 3,
        ["X25519", "ML-KEM-768", "HKDF-SHA-256", "HMAC-SHA-256", "AES-256-GCM"],
        ["letters within a session (Double Ratchet and SPQR)"];
    "MLS 1.0", Protocol, "0x004E", "RFC 9420, docs/spec/groups.md", 128, 3,
        ["X-Wing", "HKDF-SHA-384", "HMAC-SHA-384", "SHA-384", "AES-256-GCM", "Ed25519"],
        ["groups"];
    "HPKE", Protocol, "base, PSK", "RFC 9180", 128, 3,
        ["X-Wing", "HKDF-SHA-512", "HKDF-SHA-384", "AES-256-GCM"],
        ["first letters", "links of devices", "heads of the backup", "the sealed root key", "shares for guardians",
            "paths and invitations of groups", "recipients of sealed files"];
    "SPAKE2", Protocol, "Ed25519 group, SHA-256", "docs/spec/give.md", 128, 0,
        ["HKDF-SHA-512"],
        ["transfers by code, beside ML-KEM-768"];
    "TLS 1.3", Protocol, "1.3", "RFC 8446", 128, 3,
        ["X25519", "ML-KEM-768", "AES-256-GCM"],
        ["connections to relays that are not on loopback"];
    "X25519", KeyAgree, "255", "RFC 7748", 128, 0, [],
        ["PQXDH", "Double Ratchet", "part of X-Wing"];
    "ML-KEM-1024", Kem, "1024", "FIPS 203", 256, 5, [],
        ["PQXDH"];
    "ML-KEM-768", Kem, "768", "FIPS 203", 192, 3, [],
        ["SPQR", "part of X-Wing", "transfers by code"];
    "X-Wing", Combiner, "X25519+ML-KEM-768", "draft-connolly-cfrg-xwing-kem", 128, 3,
        ["X25519", "ML-KEM-768", "SHA-3"],
        ["HPKE"];
    "Ed25519", Signature, "25519", "RFC 8032", 128, 0, ["SHA-512"],
        ["part of every hybrid signature", "messages of groups", "owners of queues", "heads of the backup",
            "guardians' locks"];
    "ML-DSA-65", Signature, "65", "FIPS 204", 192, 3, [],
        ["part of every hybrid signature"];
    "Ed25519+ML-DSA-65", Combiner, "hybrid", "docs/spec/account-log.md", 128, 3,
        ["Ed25519", "ML-DSA-65"],
        ["account logs", "pre-keys", "handshakes", "device certificates", "signatures of sealed files"];
    "AES-256-GCM", Ae, "256", "NIST SP 800-38D", 256, 5, [],
        ["letters", "messages of groups", "envelopes of letters", "parts of the backup and of links",
            "the sealed key of the profile"];
    "Cobblestone-256", Ae, "256", "C2SP chunked encryption", 256, 5, ["AES-256-GCM", "HKDF-SHA-512"],
        ["files that go with letters", "sealed files", "objects of vaults"];
    "AES-256-CBC", BlockCipher, "256", "NIST SP 800-38A", 256, 5, [],
        ["pages of the profile (SQLCipher 4)"];
    "HMAC-SHA-512", Mac, "512", "RFC 2104", 256, 5, ["SHA-512"],
        ["pages of the profile (SQLCipher 4)", "HKDF-SHA-512"];
    "HMAC-SHA-256", Mac, "256", "RFC 2104", 256, 5, ["SHA-256"],
        ["chains of the Double Ratchet", "SPQR authenticator", "HKDF-SHA-256"];
    "SHA-256", Hash, "256", "FIPS 180-4", 128, 2, [],
        ["names of records", "checksums", "transcripts of handshakes"];
    "HMAC-SHA-384", Mac, "384", "RFC 2104", 192, 5, ["SHA-384"],
        ["HKDF-SHA-384", "tags of groups"];
    "SHA-384", Hash, "384", "FIPS 180-4", 192, 4, [],
        ["transcripts and trees of groups"];
    "SHA-512", Hash, "512", "FIPS 180-4", 256, 5, [],
        ["account ids", "hash chain of account logs", "safety numbers", "commitments of comparisons"];
    "SHA-3", Hash, "SHA3-256, SHA3-512, SHAKE256", "FIPS 202", 128, 2, [],
        ["X-Wing", "SPQR"];
    "HKDF-SHA-256", Kdf, "256", "RFC 5869", 256, 5, ["HMAC-SHA-256"],
        ["PQXDH", "Double Ratchet", "SPQR"];
    "HKDF-SHA-384", Kdf, "384", "RFC 5869", 192, 5, ["HMAC-SHA-384"],
        ["groups"];
    "BLAKE3", Hash, "256", "the BLAKE3 paper", 128, 2, [],
        ["digests of sealed files and names of objects in vaults, besides authenticated encryption"];
    "HKDF-SHA-512", Kdf, "512", "RFC 5869", 256, 5, ["HMAC-SHA-512"],
        ["HPKE", "recovery keys", "links of devices", "files", "keys of vaults"];
    "Argon2id", Kdf, "64 MiB, 3 passes, 1 lane", "RFC 9106", 0, 0, [],
        ["the passphrase of the profile", "passphrases of sealed files"];
    "Shamir", Other, "GF(256)", "docs/spec/recovery.md, section 2", 256, 5, [],
        ["shares of guardians"];
    "getrandom", Drbg, "operating system", "getrandom(2)", 256, 5, [],
        ["all keys, nonces and ids"];
}

algorithms! { CNSA2:
    "MLS 1.0", Protocol, "0x0907", "RFC 9420, docs/spec/groups.md", 192, 5,
        ["ML-KEM-1024", "HKDF-SHA-384", "HMAC-SHA-384", "SHA-384", "AES-256-GCM", "ML-DSA-87"],
        ["groups", "conversations of two"];
    "HPKE", Protocol, "base, PSK", "RFC 9180, draft-ietf-hpke-pq", 192, 5,
        ["ML-KEM-1024", "HKDF-SHA-384", "AES-256-GCM"],
        ["first letters", "links of devices", "heads of the backup", "the sealed root key",
            "paths and invitations of groups", "recipients of sealed files"];
    "SPAKE2", Protocol, "Ed25519 group, SHA-256", "docs/spec/give.md", 128, 0,
        ["HKDF-SHA-512"],
        ["transfers by code, beside ML-KEM-768"];
    "TLS 1.3", Protocol, "1.3", "RFC 8446", 128, 3,
        ["X25519", "ML-KEM-768", "AES-256-GCM"],
        ["connections to relays that are not on loopback"];
    "X25519", KeyAgree, "255", "RFC 7748", 128, 0, [],
        ["TLS 1.3"];
    "ML-KEM-1024", Kem, "1024", "FIPS 203", 256, 5, [],
        ["HPKE"];
    "ML-KEM-768", Kem, "768", "FIPS 203", 192, 3, [],
        ["TLS 1.3", "transfers by code"];
    "Ed25519", Signature, "25519", "RFC 8032", 128, 0, ["SHA-512"],
        ["owners of queues", "heads of the backup", "guardians' locks"];
    "ML-DSA-87", Signature, "87", "FIPS 204", 256, 5, [],
        ["account logs", "device certificates", "messages of groups", "signatures of sealed files"];
    "AES-256-GCM", Ae, "256", "NIST SP 800-38D", 256, 5, [],
        ["messages of groups", "envelopes of letters", "parts of the backup and of links", "the sealed key of the profile"];
    "Cobblestone-256", Ae, "256", "C2SP chunked encryption", 256, 5, ["AES-256-GCM", "HKDF-SHA-512"],
        ["files that go with letters", "sealed files", "objects of vaults"];
    "AES-256-CBC", BlockCipher, "256", "NIST SP 800-38A", 256, 5, [],
        ["pages of the profile (SQLCipher 4)"];
    "HMAC-SHA-512", Mac, "512", "RFC 2104", 256, 5, ["SHA-512"],
        ["pages of the profile (SQLCipher 4)", "HKDF-SHA-512"];
    "HMAC-SHA-384", Mac, "384", "RFC 2104", 192, 5, ["SHA-384"],
        ["HKDF-SHA-384"];
    "SHA-256", Hash, "256", "FIPS 180-4", 128, 2, [],
        ["names of records", "checksums"];
    "SHA-384", Hash, "384", "FIPS 180-4", 192, 4, [],
        ["account ids", "hash chain of account logs", "transcripts and trees of groups"];
    "SHA-512", Hash, "512", "FIPS 180-4", 256, 5, [],
        ["safety numbers", "commitments of comparisons", "links of devices"];
    "HKDF-SHA-384", Kdf, "384", "RFC 5869", 192, 5, ["HMAC-SHA-384"],
        ["HPKE", "groups"];
    "BLAKE3", Hash, "256", "the BLAKE3 paper", 128, 2, [],
        ["digests of sealed files and names of objects in vaults, besides authenticated encryption"];
    "HKDF-SHA-512", Kdf, "512", "RFC 5869", 256, 5, ["HMAC-SHA-512"],
        ["recovery keys", "links of devices", "files", "keys of vaults"];
    "Argon2id", Kdf, "64 MiB, 3 passes, 1 lane", "RFC 9106", 0, 0, [],
        ["the passphrase of the profile", "passphrases of sealed files"];
    "Shamir", Other, "GF(256)", "docs/spec/recovery.md, section 2", 256, 5, [],
        ["shares of guardians"];
    "getrandom", Drbg, "operating system", "getrandom(2)", 256, 5, [],
        ["all keys, nonces and ids"];
}
