//! The keys of one message (docs/spec/ratchet.md, sections 4.1 to 4.3 and 6.2).

use crate::chain::Seed;
use crate::parts::part;
use crate::profile::Profile;
use crate::wire::{MAC_LEN, RatchetMessage, encode_key};
use keys::codec::Writer;
use keys::{
    Secret, X25519Public, cbc_decrypt, cbc_encrypt, ct_eq, gcm_open, gcm_seal, hkdf_sha256,
    hmac_sha256, label,
};

/// Who a message is from and to, and what both pinned.
pub(crate) struct Parties<'a> {
    pub(crate) sender: &'a X25519Public,
    pub(crate) receiver: &'a X25519Public,
    pub(crate) sender_list: &'a [u8],
    pub(crate) receiver_list: &'a [u8],
}

/// The key of one message; used once, by value.
pub(crate) enum MessageKey {
    /// AES-256-CBC, then HMAC.
    Signal {
        cipher: Secret<32>,
        mac: Secret<32>,
        iv: Secret<16>,
    },
    /// AES-256-GCM.
    Letterlock {
        cipher: Secret<32>,
        nonce: Secret<12>,
    },
}

/// The message does not open.
pub(crate) struct Refused;

impl MessageKey {
    /// *Formula*: `HKDF(salt = SPQR key, ikm = seed, label, 80 or 44)`.
    pub(crate) fn derive(profile: Profile, seed: &Seed, spqr: &Secret<32>) -> Self {
        let info = &[profile.parameters().message.as_bytes()][..];
        let (salt, ikm) = (spqr.expose_secret(), &[&seed.0.expose_secret()[..]][..]);
        match profile {
            Profile::Signal => {
                let okm: Secret<80> = hkdf_sha256(salt, ikm, info);
                Self::Signal {
                    cipher: part(&okm, 0),
                    mac: part(&okm, 32),
                    iv: part(&okm, 64),
                }
            }
            Profile::Letterlock => {
                let okm: Secret<44> = hkdf_sha256(salt, ikm, info);
                Self::Letterlock {
                    cipher: part(&okm, 0),
                    nonce: part(&okm, 32),
                }
            }
        }
    }

    /// Encrypts into `message.ciphertext` and gives the bytes for the wire.
    pub(crate) fn seal(
        self,
        mut message: RatchetMessage,
        plaintext: &[u8],
        parties: &Parties<'_>,
    ) -> Vec<u8> {
        match self {
            Self::Signal { cipher, mac, iv } => {
                message.ciphertext = cbc_encrypt(&cipher, iv.expose_secret(), plaintext);
                let mut bytes = message.encode(Profile::Signal);
                let tag = signal_mac(&mac, &bytes, parties);
                bytes.extend_from_slice(&tag);
                bytes
            }
            Self::Letterlock { cipher, nonce } => {
                let aad = associated_data(&message, parties);
                message.ciphertext = gcm_seal(&cipher, nonce.expose_secret(), &aad, plaintext);
                message.encode(Profile::Letterlock)
            }
        }
    }

    /// Checks the MAC or tag, then decrypts.
    pub(crate) fn open(
        self,
        message: &RatchetMessage,
        parties: &Parties<'_>,
    ) -> Result<Vec<u8>, Refused> {
        match self {
            Self::Signal { cipher, mac, iv } => {
                // SECURITY: MAC before anything is decrypted; `every_flipped_bit_is_refused` notices.
                if !ct_eq(&signal_mac(&mac, &message.covered, parties), &message.mac) {
                    return Err(Refused);
                }
                cbc_decrypt(&cipher, iv.expose_secret(), &message.ciphertext).map_err(|_| Refused)
            }
            Self::Letterlock { cipher, nonce } => {
                let aad = associated_data(message, parties);
                gcm_open(&cipher, nonce.expose_secret(), &aad, &message.ciphertext)
                    .map_err(|_| Refused)
            }
        }
    }
}

/// *Formula*: the first 8 bytes of `HMAC(MAC key, IK_sender ‖ IK_receiver ‖ version byte ‖ protobuf)`.
fn signal_mac(key: &Secret<32>, covered: &[u8], parties: &Parties<'_>) -> [u8; MAC_LEN] {
    mac_of(
        key,
        &encode_key(parties.sender),
        &encode_key(parties.receiver),
        covered,
    )
}

/// The MAC over two serialised identity keys and the message.
pub(crate) fn mac_of(
    key: &Secret<32>,
    sender: &[u8],
    receiver: &[u8],
    covered: &[u8],
) -> [u8; MAC_LEN] {
    let full = hmac_sha256(key.expose_secret(), &[sender, receiver, covered]);
    let mut tag = [0; MAC_LEN];
    for (to, from) in tag.iter_mut().zip(full) {
        *to = from;
    }
    tag
}

/// *Formula*: label ‖ 00 ‖ LP(IK_sender) ‖ LP(IK_receiver) ‖ LP(hash_sender) ‖ LP(hash_receiver) ‖
/// LP(first byte ‖ protobuf without field 4).
fn associated_data(message: &RatchetMessage, parties: &Parties<'_>) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(label::RATCHET_AD.as_bytes());
    out.u8(0);
    out.bytes(&encode_key(parties.sender));
    out.bytes(&encode_key(parties.receiver));
    out.bytes(parties.sender_list);
    out.bytes(parties.receiver_list);
    out.bytes(&message.encode_without_ciphertext(Profile::Letterlock));
    out.finish()
}
