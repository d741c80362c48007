//! What an account tells its guardians, and how a share travels to whoever asked (docs/spec/recovery.md, sections 5
//! and 7).

use crate::envelope;
use crate::error::EngineError;
use crate::limits;
use crate::records::{Approval, Record as _, WRAPPED_BYTES};
use crate::transaction::Transaction;
use keys::account_log::DeviceRecord;
use keys::codec::{DecodeError, Reader, Writer};
use keys::hpke::EnvelopeSecret;
use keys::request_code::RequestSecret;
use keys::{AccountId, hpke, label};
use zeroize::Zeroizing;

const SHARE: u8 = 1;
const FORGET: u8 = 2;

/// What an account tells a guardian.
pub(crate) enum Word {
    /// Keep this.
    Share(Share),
    /// A share of this set is worth nothing any more.
    Forget([u8; 16]),
}

/// A wrapped share and what it is good for.
pub(crate) struct Share {
    pub(crate) set: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) index: u8,
    pub(crate) need: u8,
    pub(crate) count: u8,
    pub(crate) lock: [u8; 32],
    pub(crate) token: [u8; 32],
    pub(crate) relay: String,
    pub(crate) wrapped: Vec<u8>,
}

impl Word {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Share(share) => {
                out.u8(SHARE);
                out.array(&share.set);
                out.u64(share.sequence);
                out.u8(share.index);
                out.u8(share.need);
                out.u8(share.count);
                out.array(&share.lock);
                out.array(&share.token);
                out.bytes(share.relay.as_bytes());
                out.bytes(&share.wrapped);
            }
            Self::Forget(set) => {
                out.u8(FORGET);
                out.array(set);
            }
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let word = match input.u8()? {
            SHARE => Self::Share(Share {
                set: input.array()?,
                sequence: input.u64()?,
                index: input.u8()?,
                need: input.u8()?,
                count: input.u8()?,
                lock: input.array()?,
                token: input.array()?,
                relay: {
                    let relay = input.bytes(limits::RELAY_URL_BYTES)?.to_vec();
                    String::from_utf8(relay).map_err(|_| DecodeError::Invalid)?
                },
                wrapped: input.bytes(WRAPPED_BYTES)?.to_vec(),
            }),
            FORGET => Self::Forget(input.array()?),
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(word)
    }
}

/// Seals a share for the device that asked: to its key, and with the secret that only those have who were told the
/// code.
pub(crate) fn seal(
    tx: &mut Transaction<'_>,
    (account, to): (&AccountId, &DeviceRecord),
    secret: &RequestSecret,
    approval: &Approval,
) -> Result<wire::Body, EngineError> {
    const FAILED: EngineError = EngineError::Internal {
        what: "approval that cannot be sealed",
    };
    let padded = envelope::pad(&approval.encode(), hpke::overhead(to.envelope().suite()))
        .map_err(|_| FAILED)?;
    let queue = secret.queue_id();
    let sealed = hpke::seal_psk(
        tx.rng,
        to.envelope(),
        &secret.psk(),
        queue.as_bytes(),
        label::APPROVAL.as_bytes(),
        account.as_bytes(),
        &padded,
    );
    wire::Body::new(sealed.map_err(|_| FAILED)?).map_err(|_| FAILED)
}

/// Opens what came to the mailbox; nothing, if it is not of somebody who was told the code.
pub(crate) fn open(
    (account, own): (&AccountId, &EnvelopeSecret),
    secret: &RequestSecret,
    body: &[u8],
) -> Option<Approval> {
    let queue = secret.queue_id();
    let padded = hpke::open_psk(
        own,
        &secret.psk(),
        queue.as_bytes(),
        label::APPROVAL.as_bytes(),
        account.as_bytes(),
        body,
    );
    let padded = Zeroizing::new(padded.ok()?);
    Approval::decode(envelope::unpad(&padded).ok()?).ok()
}
