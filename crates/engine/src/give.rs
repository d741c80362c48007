//! What the two sides of a transfer by code say to each other (docs/spec/give.md, section 3).
//!
//! ```text
//!   taker                                       giver
//!   Hello    (share, its queue)          ─────►
//!           ◄─────  Answer     (share)
//!   Confirm  (tag)                       ─────►           a wrong one uses the code up
//!           ◄─────  Confirmed  (tag)
//!           ◄─────  Wait       (sealed: so much is at the relay)
//!           ◄─────  Offer      (sealed: where it is, and what opens it)
//!   Done     (sealed)                    ─────►
//! ```
//!
//! Until both confirmed, nothing is sealed: there is no key. Refused says why there will be none.

use crate::envelope;
use keys::codec::{DecodeError, Reader, Writer};
use keys::pake::{
    CONFIRMATION_LEN, GiverShare, KEM_CIPHERTEXT_LEN, KEM_PUBLIC_LEN, SHARE_LEN, TakerShare,
    TransferKeys, WORD_OVERHEAD,
};
use keys::{BlobId, QueueId, Secret};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Version of all that follows.
const VERSION: u8 = 1;
/// Length of a body's content, and the kind of a sealed word.
const WORD_HEAD: usize = 4 + 1;

/// A body is of another form, or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of a transfer")]
pub struct NotUnderstood;

/// Why a giver does not go on with a taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The taker's words are not those of the code.
    WrongCode,
    /// The giving ended: somebody stopped it, it expired, or a wrong guess used the code up.
    Ended,
    /// Somebody else confirmed before.
    Taken,
}

/// One message, as it lies in a queue.
pub enum GiveMessage {
    /// The taker's first word.
    Hello {
        /// Where it is heard.
        queue: QueueId,
        /// What allows to write there.
        token: Secret<32>,
        /// Its share.
        share: TakerShare,
    },
    /// The giver's answer.
    Answer(GiverShare),
    /// The taker knows the code.
    Confirm {
        /// The queue of its Hello.
        queue: QueueId,
        /// Its confirmation.
        tag: [u8; CONFIRMATION_LEN],
    },
    /// The giver knows the code.
    Confirmed([u8; CONFIRMATION_LEN]),
    /// The giver does not go on.
    Refused(Refusal),
    /// A [`GiveWord`], sealed.
    Word(Vec<u8>),
}

/// What lies at the relay, and what opens it.
pub struct Offer {
    /// Its id.
    pub blob: BlobId,
    /// What allows to read it.
    pub read_token: Secret<32>,
    /// The seed of the X-Wing key that it is sealed to.
    pub recipient: Secret<32>,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of its header.
    pub header: [u8; 32],
}

/// One word under the keys of a transfer.
pub enum GiveWord {
    /// The giver's upload is not at its end.
    Wait {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// All is at the relay.
    Offer(Offer),
    /// The taker has all of it.
    Done,
    /// The side that says so has ended.
    Stop,
}

impl Refusal {
    fn number(self) -> u8 {
        match self {
            Self::WrongCode => 1,
            Self::Ended => 2,
            Self::Taken => 3,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::WrongCode, Self::Ended, Self::Taken]
            .into_iter()
            .find(|refusal| refusal.number() == number)
    }
}

impl GiveMessage {
    /// The bytes, without padding; of Hello and Answer what the transcript has of them.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Hello {
                queue,
                token,
                share,
            } => {
                out.u8(1);
                out.u8(VERSION);
                out.array(queue.as_bytes());
                out.array(token.expose_secret());
                out.array(&share.pake);
                out.array(&share.kem[..]);
            }
            Self::Answer(share) => {
                out.u8(2);
                out.array(&share.pake);
                out.array(&share.kem[..]);
            }
            Self::Confirm { queue, tag } => {
                out.u8(3);
                out.array(queue.as_bytes());
                out.array(tag);
            }
            Self::Confirmed(tag) => {
                out.u8(4);
                out.array(tag);
            }
            Self::Refused(refusal) => {
                out.u8(5);
                out.u8(refusal.number());
            }
            Self::Word(sealed) => {
                out.u8(6);
                out.array(sealed);
            }
        }
        Zeroizing::new(out.finish())
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let message = match input.u8()? {
            1 => {
                if input.u8()? != VERSION {
                    return Err(DecodeError::Invalid);
                }
                Self::Hello {
                    queue: QueueId::from_bytes(input.array()?),
                    token: secret(&mut input)?,
                    share: TakerShare {
                        pake: input.array::<SHARE_LEN>()?,
                        kem: Box::new(input.array::<KEM_PUBLIC_LEN>()?),
                    },
                }
            }
            2 => Self::Answer(GiverShare {
                pake: input.array::<SHARE_LEN>()?,
                kem: Box::new(input.array::<KEM_CIPHERTEXT_LEN>()?),
            }),
            3 => Self::Confirm {
                queue: QueueId::from_bytes(input.array()?),
                tag: input.array()?,
            },
            4 => Self::Confirmed(input.array()?),
            5 => Self::Refused(Refusal::from_number(input.u8()?).ok_or(DecodeError::Invalid)?),
            6 => Self::Word(input.take(input.remaining())?.to_vec()),
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(message)
    }

    /// As it lies in a queue: padded to a size.
    ///
    /// # Errors
    /// [`NotUnderstood`]: never; no message is longer than a body.
    pub fn to_body(&self) -> Result<Vec<u8>, NotUnderstood> {
        let padded = envelope::pad(&self.encode(), 0).map_err(|_| NotUnderstood)?;
        Ok(padded.to_vec())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`NotUnderstood`].
    pub fn of_body(body: &[u8]) -> Result<Self, NotUnderstood> {
        let content = envelope::unpad(body).map_err(|_| NotUnderstood)?;
        Self::decode(content).map_err(|_| NotUnderstood)
    }
}

impl GiveWord {
    /// The bytes, without padding.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Wait { done, total } => {
                out.u8(1);
                out.u64(*done);
                out.u64(*total);
            }
            Self::Offer(offer) => {
                out.u8(2);
                out.array(offer.blob.as_bytes());
                out.array(offer.read_token.expose_secret());
                out.array(offer.recipient.expose_secret());
                out.u64(offer.length);
                out.array(&offer.header);
            }
            Self::Done => out.u8(3),
            Self::Stop => out.u8(4),
        }
        Zeroizing::new(out.finish())
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let word = match input.u8()? {
            1 => Self::Wait {
                done: input.u64()?,
                total: input.u64()?,
            },
            2 => Self::Offer(Offer {
                blob: BlobId::from_bytes(input.array()?),
                read_token: secret(&mut input)?,
                recipient: secret(&mut input)?,
                length: input.u64()?,
                header: input.array()?,
            }),
            3 => Self::Done,
            4 => Self::Stop,
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(word)
    }

    /// Seals it for the other side's queue, as a body.
    ///
    /// # Errors
    /// [`NotUnderstood`]: never; no word is longer than a body.
    pub fn seal(
        &self,
        keys: &TransferKeys,
        queue: &QueueId,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, NotUnderstood> {
        let padded = envelope::pad(&self.encode(), WORD_HEAD + WORD_OVERHEAD);
        let padded = padded.map_err(|_| NotUnderstood)?;
        GiveMessage::Word(keys.seal(queue, &padded, rng)).to_body()
    }

    /// Opens a word that came to the own queue.
    ///
    /// # Errors
    /// [`NotUnderstood`].
    pub fn open(
        keys: &TransferKeys,
        queue: &QueueId,
        sealed: &[u8],
    ) -> Result<Self, NotUnderstood> {
        let padded = keys.open(queue, sealed).map_err(|_| NotUnderstood)?;
        let content = envelope::unpad(&padded).map_err(|_| NotUnderstood)?;
        Self::decode(content).map_err(|_| NotUnderstood)
    }
}

fn secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    let bytes = Zeroizing::new(input.array::<32>()?);
    Secret::from_slice(&*bytes).ok_or(DecodeError::Invalid)
}

/// Whether the bytes are a message, written again as the same.
pub(crate) fn is_message(bytes: &[u8]) -> bool {
    GiveMessage::decode(bytes).is_ok_and(|message| *message.encode() == bytes)
}

/// Whether the bytes are a word, written again as the same.
pub(crate) fn is_word(bytes: &[u8]) -> bool {
    GiveWord::decode(bytes).is_ok_and(|word| *word.encode() == bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic,
        reason = "test code"
    )]
    use super::*;
    use keys::give::GiveCode;
    use keys::pake::{Giver, Taker};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    type Named<T> = Vec<(&'static str, T)>;

    /// A sample of each message and of each word, and what it is called.
    pub(crate) fn samples() -> (Named<GiveMessage>, Named<GiveWord>) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let queue = QueueId::from_bytes([1; 16]);
        let share = TakerShare {
            pake: [2; SHARE_LEN],
            kem: Box::new([3; KEM_PUBLIC_LEN]),
        };
        let answer = GiverShare {
            pake: [4; SHARE_LEN],
            kem: Box::new([5; KEM_CIPHERTEXT_LEN]),
        };
        let token = Secret::random(&mut rng);
        let offer = Offer {
            blob: BlobId::from_bytes([6; 16]),
            read_token: Secret::random(&mut rng),
            recipient: Secret::random(&mut rng),
            length: 7,
            header: [8; 32],
        };
        let messages = vec![
            (
                "give_hello",
                GiveMessage::Hello {
                    queue,
                    token,
                    share,
                },
            ),
            ("give_answer", GiveMessage::Answer(answer)),
            (
                "give_confirm",
                GiveMessage::Confirm {
                    queue,
                    tag: [9; 32],
                },
            ),
            ("give_confirmed", GiveMessage::Confirmed([10; 32])),
            ("give_refused", GiveMessage::Refused(Refusal::Ended)),
            ("give_word", GiveMessage::Word(vec![11; 40])),
        ];
        let words = vec![
            ("give_wait", GiveWord::Wait { done: 1, total: 2 }),
            ("give_offer", GiveWord::Offer(offer)),
            ("give_done", GiveWord::Done),
            ("give_stop", GiveWord::Stop),
        ];
        (messages, words)
    }

    #[test]
    fn every_cut_is_refused_and_every_flip_is_another_message() {
        let (messages, words) = samples();
        for (name, message) in messages {
            let bytes = message.encode();
            assert!(is_message(&bytes), "{name}");
            for end in 0..bytes.len() {
                // Only a sealed word has any length: what it says is cut where it is opened.
                assert!(
                    !is_message(&bytes[..end]) || name == "give_word" && end > 0,
                    "{name}"
                );
            }
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                let read = GiveMessage::decode(&changed);
                assert!(
                    read.is_err() || *read.unwrap().encode() == changed,
                    "{name}, bit {bit}"
                );
            }
        }
        for (name, word) in words {
            let bytes = word.encode();
            assert!(is_word(&bytes), "{name}");
            for end in 0..bytes.len() {
                assert!(!is_word(&bytes[..end]), "{name}");
            }
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                let read = GiveWord::decode(&changed);
                assert!(
                    read.is_err() || *read.unwrap().encode() == changed,
                    "{name}, bit {bit}"
                );
            }
        }
    }

    /// Keys of both sides.
    fn transfer() -> (TransferKeys, TransferKeys) {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let code = GiveCode::from_text("4821-guitar-banana-mouse").unwrap();
        let queue = QueueId::from_bytes([1; 16]);
        let (taker, share) = Taker::begin(&code, &queue, &mut rng).unwrap();
        let (giver, answer) = Giver::answer(&code, &queue, &share, &mut rng).unwrap();
        let (taker, giver) = (taker.finish(&answer, &[]).unwrap(), giver.finish(&[]));
        let (taker_tag, giver_tag) = (taker.confirmation(), giver.confirmation());
        (
            taker.confirm(&giver_tag).unwrap(),
            giver.confirm(&taker_tag).unwrap(),
        )
    }

    #[test]
    fn a_word_that_was_cut_or_changed_does_not_open() {
        let (taker, giver) = transfer();
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let queue = QueueId::from_bytes([4; 16]);
        for (name, word) in samples().1 {
            let body = word.seal(&giver, &queue, &mut rng).unwrap();
            assert_eq!(body.len(), 1024, "{name}");
            let Ok(GiveMessage::Word(sealed)) = GiveMessage::of_body(&body) else {
                panic!("{name} is a word");
            };
            let opened = GiveWord::open(&taker, &queue, &sealed).unwrap();
            assert_eq!(*opened.encode(), *word.encode(), "{name}");
            for place in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[place] ^= 1;
                assert!(GiveWord::open(&taker, &queue, &changed).is_err(), "{name}");
                assert!(
                    GiveWord::open(&taker, &queue, &sealed[..place]).is_err(),
                    "{name}"
                );
            }
            // Nor does it in another queue, or on the way back.
            assert!(GiveWord::open(&taker, &QueueId::from_bytes([5; 16]), &sealed).is_err());
            assert!(GiveWord::open(&giver, &queue, &sealed).is_err());
        }
    }

    #[test]
    fn every_body_has_a_size_of_bodies() {
        for (name, message) in samples().0 {
            let body = message.to_body().unwrap();
            assert!(wire::Body::new(body.clone()).is_ok(), "{name}");
            let read = GiveMessage::of_body(&body).unwrap();
            assert_eq!(*read.encode(), *message.encode(), "{name}");
            for end in [0, 4, message.encode().len() / 2] {
                assert!(GiveMessage::of_body(&body[..end]).is_err(), "{name}");
            }
            let mut padding = body;
            *padding.last_mut().unwrap() = 1;
            let is_whole = name == "give_word" && padding.len() == message.encode().len() + 4;
            assert!(
                is_whole || GiveMessage::of_body(&padding).is_err(),
                "{name}"
            );
        }
    }
}
