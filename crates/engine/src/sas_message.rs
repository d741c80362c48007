//! What two devices say while their people compare a short code (docs/spec/verification.md, section 2.1).

use crate::contacts;
use crate::content::Sas;
use crate::error::{EngineError, SasError};
use crate::letters;
use crate::limits;
use crate::records::{Direction, Letter, LetterState, Marks};
use crate::sending;
use crate::transaction::Transaction;
use keys::{AccountId, DeviceId, LetterId};
use zeroize::Zeroizing;

const BEGIN: u32 = 1;
const ANSWER: u32 = 2;
const REVEAL: u32 = 3;
const SAME: u32 = 4;
const CANCEL: u32 = 5;

/// What such an errand begins with; a word between guardians begins with its kind, which is never 0.
const ERRAND: u8 = 0;

/// The form in which a letter that is never shown keeps it.
fn to_errand(sas: &Sas) -> Vec<u8> {
    [&[ERRAND][..], &sas.encode()].concat()
}

/// Reads what a letter that is never shown keeps, where it is a word of a comparison.
pub(crate) fn of_errand(errand: &[u8]) -> Option<Sas> {
    let sas = errand.strip_prefix(&[ERRAND])?;
    Sas::decode(sas).ok()
}

/// A message of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SasMessage {
    /// The initiator promises its nonce.
    Begin { commitment: [u8; 32] },
    /// The responder shows its nonce.
    Answer { nonce: [u8; 32] },
    /// The initiator shows the promised nonce.
    Reveal { nonce: [u8; 32] },
    /// A person says that the codes are equal.
    Same,
    /// It is over.
    Cancel(SasError),
}

impl SasMessage {
    /// The form that goes into a content.
    pub(crate) fn to_content(self, id: [u8; 16]) -> Sas {
        let (kind, bytes) = match self {
            Self::Begin { commitment } => (BEGIN, commitment.to_vec()),
            Self::Answer { nonce } => (ANSWER, nonce.to_vec()),
            Self::Reveal { nonce } => (REVEAL, nonce.to_vec()),
            Self::Same => (SAME, Vec::new()),
            Self::Cancel(reason) => (CANCEL, vec![reason.number()]),
        };
        Sas { kind, id, bytes }
    }

    /// Reads a content; nothing where it is of a later version.
    pub(crate) fn from_content(sas: &Sas) -> Option<Self> {
        let array = || <[u8; 32]>::try_from(sas.bytes.as_slice()).ok();
        match sas.kind {
            BEGIN => array().map(|commitment| Self::Begin { commitment }),
            ANSWER => array().map(|nonce| Self::Answer { nonce }),
            REVEAL => array().map(|nonce| Self::Reveal { nonce }),
            SAME => Some(Self::Same),
            // A reason of a later version is a stop all the same.
            CANCEL => Some(Self::Cancel(
                SasError::from_number(sas.bytes.first().copied().unwrap_or_default())
                    .unwrap_or(SasError::Stopped),
            )),
            _ => None,
        }
    }
}

/// To which devices of the contact.
pub(crate) enum To {
    All,
    One(DeviceId),
    AllBut(DeviceId),
}

/// Tells one device that it is over.
pub(crate) fn refuse(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
    (device, id): (&DeviceId, [u8; 16]),
    reason: SasError,
) -> Result<(), EngineError> {
    let cancel = SasMessage::Cancel(reason);
    say(tx, (contact, id), &To::One(*device), cancel)
}

/// Sends a message as a letter that is never shown: it waits for sessions, is sealed again and confirmed as letters
/// are, and is gone when its time is over.
pub(crate) fn say(
    tx: &mut Transaction<'_>,
    (contact, id): (&AccountId, [u8; 16]),
    to: &To,
    message: SasMessage,
) -> Result<(), EngineError> {
    let contact = contacts::existing(tx, contact)?;
    let log = contacts::log_of(&contact)?;
    let mut deliveries = sending::deliveries(tx, Some(&log))?;
    deliveries.retain(|delivery| {
        !delivery.own
            && match to {
                To::All => true,
                To::One(device) => delivery.device == *device,
                To::AllBut(device) => delivery.device != *device,
            }
    });
    if deliveries.is_empty() {
        return Ok(());
    }
    let mut letter = Letter {
        id: LetterId::random(tx.rng),
        contact: contact.id,
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: tx.now,
        reply_to: None,
        expires_after: Some(limits::SAS_SECONDS),
        expires_at: None,
        enclosures: Vec::new(),
        deliveries,
        errand: Zeroizing::new(to_errand(&message.to_content(id))),
        author: None,
        marks: Marks::default(),
    };
    letters::set_expiry(tx, &mut letter);
    letters::store(tx, &letter);
    sending::dispatch(tx, &letter.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_back_from_its_content() {
        let id = [7; 16];
        let (commitment, nonce) = ([1; 32], [2; 32]);
        for message in [
            SasMessage::Begin { commitment },
            SasMessage::Answer { nonce },
            SasMessage::Reveal { nonce },
            SasMessage::Same,
            SasMessage::Cancel(SasError::Different),
            SasMessage::Cancel(SasError::LogsChanged),
        ] {
            let sas = message.to_content(id);
            assert_eq!(of_errand(&to_errand(&sas)).as_ref(), Some(&sas));
            assert_eq!(SasMessage::from_content(&sas), Some(message));
        }
    }

    #[test]
    fn a_nonce_of_another_length_is_no_message() {
        for length in [0, 31, 33] {
            for kind in [BEGIN, ANSWER, REVEAL] {
                let bytes = vec![1; length];
                let sas = Sas {
                    kind,
                    id: [0; 16],
                    bytes,
                };
                assert_eq!(SasMessage::from_content(&sas), None);
            }
        }
    }
}
