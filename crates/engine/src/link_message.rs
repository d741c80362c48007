//! What two devices that link say to each other (docs/spec/linking.md).
//!
//! ```text
//!   new device                                  device with authority
//!   Hello   (key of the secret)          ─────►
//!           ◄─────  Suite    (the account is of another suite: Hello again)
//!           ◄─────  Answer   (HPKE in PSK mode, to the new device's envelope key)
//!   Proposal (HPKE in PSK mode)          ─────►           both show the pairing code
//!   Same                                 ─────►           both people said that the codes are equal
//!           ◄─────  Welcome
//!   Installed                            ─────►
//! ```
//!
//! Either may say Stop.

use crate::archive::PartRef;
use crate::envelope::{self, EnvelopeError};
use keys::account_log::Pin;
use keys::codec::{DecodeError, Reader, Writer};
use keys::hpke::{EnvelopePublic, EnvelopeSecret};
use keys::{AccountId, DeviceId, QueueId, Secret, Suite, label};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// One message.
pub(crate) enum LinkMessage {
    Hello {
        queue: QueueId,
        token: Secret<32>,
        commitment: [u8; 32],
        envelope: Vec<u8>,
    },
    Answer {
        account: AccountId,
        name: String,
        pin: Pin,
        device: DeviceId,
        nonce: [u8; 32],
    },
    Proposal {
        nonce: [u8; 32],
        proposal: Vec<u8>,
        name: String,
    },
    Same,
    Stop,
    Welcome {
        /// The entries that the new device has not seen.
        entries: Vec<u8>,
        parts: Vec<PartRef>,
    },
    Installed,
    /// The account is of this suite, and the new device has keys of another.
    Suite(Suite),
}

impl LinkMessage {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Hello {
                queue,
                token,
                commitment,
                envelope,
            } => {
                out.u8(1);
                out.array(queue.as_bytes());
                out.array(token.expose_secret());
                out.array(commitment);
                out.bytes(envelope);
            }
            Self::Answer {
                account,
                name,
                pin,
                device,
                nonce,
            } => {
                out.u8(2);
                out.array(account.as_bytes());
                out.bytes(name.as_bytes());
                out.u64(pin.sequence);
                out.array(&pin.hash);
                out.array(device.as_bytes());
                out.array(nonce);
            }
            Self::Proposal {
                nonce,
                proposal,
                name,
            } => {
                out.u8(3);
                out.array(nonce);
                out.bytes(proposal);
                out.bytes(name.as_bytes());
            }
            Self::Same => out.u8(4),
            Self::Stop => out.u8(5),
            Self::Welcome { entries, parts } => {
                out.u8(6);
                out.bytes(entries);
                out.u32(u32::try_from(parts.len()).unwrap_or(u32::MAX));
                for part in parts {
                    part.write(&mut out);
                }
            }
            Self::Installed => out.u8(7),
            Self::Suite(suite) => {
                out.u8(8);
                out.u16(suite.number());
            }
        }
        Zeroizing::new(out.finish())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let text = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Invalid)?;
            Ok::<_, DecodeError>(text.to_owned())
        };
        let message = match input.u8()? {
            1 => Self::Hello {
                queue: QueueId::from_bytes(input.array()?),
                token: {
                    let token = Zeroizing::new(input.array::<32>()?);
                    Secret::from_slice(&*token).ok_or(DecodeError::Invalid)?
                },
                commitment: input.array()?,
                envelope: input.bytes(4096)?.to_vec(),
            },
            2 => Self::Answer {
                account: AccountId::from_bytes(input.array()?),
                name: text(input.bytes(64)?)?,
                pin: Pin {
                    sequence: input.u64()?,
                    hash: input.array()?,
                },
                device: DeviceId::from_bytes(input.array()?),
                nonce: input.array()?,
            },
            3 => Self::Proposal {
                nonce: input.array()?,
                proposal: input.bytes(1 << 16)?.to_vec(),
                name: text(input.bytes(64)?)?,
            },
            4 => Self::Same,
            5 => Self::Stop,
            6 => {
                let entries = input.bytes(1 << 16)?.to_vec();
                let count = input.u32()?;
                if count > 4096 {
                    return Err(DecodeError::Invalid);
                }
                let parts = (0..count).map(|_| PartRef::read(&mut input));
                Self::Welcome {
                    entries,
                    parts: parts.collect::<Result<_, _>>()?,
                }
            }
            7 => Self::Installed,
            8 => Self::Suite(Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?),
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(message)
    }

    /// Seals the first message, under the key that only the secret gives.
    pub(crate) fn seal_first(
        &self,
        rng: &mut dyn CryptoRng,
        key: &Secret<32>,
        queue: &QueueId,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let padded = envelope::pad(&self.encode(), FIRST_OVERHEAD)?;
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        let sealed = keys::gcm_seal(key, &nonce, &first_data(queue), &padded);
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens the first message.
    pub(crate) fn open_first(
        key: &Secret<32>,
        queue: &QueueId,
        body: &[u8],
    ) -> Result<Self, EnvelopeError> {
        let unopenable = EnvelopeError::Unopenable;
        let (nonce, sealed) = body.split_first_chunk::<12>().ok_or(unopenable)?;
        let padded = keys::gcm_open(key, nonce, &first_data(queue), sealed)
            .map_err(|_| EnvelopeError::Unopenable)?;
        Self::decode(envelope::unpad(&padded)?).map_err(|_| EnvelopeError::Unopenable)
    }

    /// Seals a message for the other device; only who knows the secret can.
    pub(crate) fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        to: &EnvelopePublic,
        psk: &Secret<32>,
        queue: &QueueId,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let padded = envelope::pad(&self.encode(), keys::hpke::overhead(to.suite()))?;
        let info = label::LINK_MESSAGE.as_bytes();
        keys::hpke::seal_psk(rng, to, psk, PSK_ID, info, queue.as_bytes(), &padded)
            .map_err(|_| EnvelopeError::Unopenable)
    }

    /// Opens a message of the other device.
    pub(crate) fn open(
        secret: &EnvelopeSecret,
        psk: &Secret<32>,
        queue: &QueueId,
        body: &[u8],
    ) -> Result<Self, EnvelopeError> {
        let info = label::LINK_MESSAGE.as_bytes();
        let padded = keys::hpke::open_psk(secret, psk, PSK_ID, info, queue.as_bytes(), body)
            .map_err(|_| EnvelopeError::Unopenable)?;
        let padded = Zeroizing::new(padded);
        Self::decode(envelope::unpad(&padded)?).map_err(|_| EnvelopeError::Unopenable)
    }
}

/// Nonce and AES-GCM tag.
const FIRST_OVERHEAD: usize = 12 + 16;

/// Names the pre-shared key to HPKE; there is one a link.
const PSK_ID: &[u8] = b"link";

fn first_data(queue: &QueueId) -> Vec<u8> {
    [label::LINK_MESSAGE.as_bytes(), &[0], queue.as_bytes()].concat()
}
