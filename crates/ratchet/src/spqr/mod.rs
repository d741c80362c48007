//! SPQR: the post-quantum half of the Triple Ratchet (docs/spec/ratchet.md, section 5).
//!
//! [`Spqr::send`] and [`Spqr::stage_receive`] give one key a message. The key of epoch e - 1 protects messages
//! of epoch e; the braid agrees on the secret of epoch e meanwhile.

mod authenticator;
mod braid;
mod chain;
mod erasure;
mod gf;
pub(crate) mod labels;
mod lagrange;
mod message;
#[cfg(feature = "replay")]
pub(crate) mod replay;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use chain::{ChainLimits, Role};

use braid::{Braid, BraidDelta};
use chain::{Chain, ChainDelta, NewEpoch};
use keys::Secret;
use keys::codec::{DecodeError, Reader, Writer};
use labels::SpqrLabels;
use message::Message;
use rand_core::CryptoRng;

/// Why SPQR gave no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SpqrError {
    /// Not of the form of a message.
    #[error("malformed SPQR message")]
    Malformed,
    /// Another version than 1, or no message at all.
    #[error("SPQR version {got} is not spoken")]
    Version { got: u8 },
    /// The message is made without an SPQR key.
    #[error("an SPQR message without key")]
    NoKey,
    /// An epoch that is not, or no longer, known.
    #[error("SPQR epoch {got} is out of reach")]
    Epoch { got: u64 },
    /// Further forward than the limit.
    #[error("SPQR index jumps by {got}, the limit is {max}")]
    Jump { got: u32, max: u32 },
    /// The key was used.
    #[error("the SPQR key was used")]
    Used,
    /// The key is too old to be kept.
    #[error("the SPQR key is no longer kept")]
    Trimmed,
    /// A MAC of the braid does not hold.
    #[error("a MAC of the braid does not hold")]
    BadMac,
    /// The peer's encapsulation key does not fit its header, or is malformed.
    #[error("the peer's encapsulation key is malformed")]
    BadKey,
    /// A counter is at its end.
    #[error("an SPQR counter is at its end")]
    CounterEnd,
    /// An invariant does not hold.
    #[error("an invariant of SPQR does not hold")]
    Internal,
}

/// The state of SPQR in one session.
pub(crate) struct Spqr {
    labels: &'static SpqrLabels,
    braid: Braid,
    chain: Chain,
}

/// A message to send, and its key.
pub(crate) struct Sent {
    pub(crate) message: Vec<u8>,
    pub(crate) key: Secret<32>,
}

/// What a received message will change, and its key.
pub(crate) struct StagedReceive {
    braid: BraidDelta,
    new_epoch: Option<NewEpoch>,
    chain: ChainDelta,
    key: Secret<32>,
}

impl StagedReceive {
    /// The key of the message.
    pub(crate) fn key(&self) -> &Secret<32> {
        &self.key
    }
}

impl Spqr {
    /// Begins a session.
    pub(crate) fn new(
        role: Role,
        auth_key: &Secret<32>,
        labels: &'static SpqrLabels,
        limits: ChainLimits,
    ) -> Self {
        let braid = match role {
            Role::A2B => Braid::initiator(auth_key, labels),
            Role::B2A => Braid::responder(auth_key, labels),
        };
        Self {
            labels,
            braid,
            chain: Chain::new(role, auth_key, labels, limits),
        }
    }

    /// The next message and its key.
    ///
    /// # Errors
    /// [`SpqrError::CounterEnd`]: the session must be renewed; nothing changed.
    pub(crate) fn send(&mut self, rng: &mut dyn CryptoRng) -> Result<Sent, SpqrError> {
        let epoch = self.braid.epoch;
        let chain_epoch = epoch.checked_sub(1).ok_or(SpqrError::Internal)?;
        self.chain.can_send(chain_epoch)?;
        let (payload, yielded) = self.braid.send(self.labels, rng)?;
        if let Some((epoch, secret)) = yielded {
            let new = self.chain.new_epoch(epoch, &secret, self.labels)?;
            self.chain.add_epoch(new);
        }
        let (index, key) = self.chain.send_key(chain_epoch, self.labels)?;
        Ok(Sent {
            message: Message {
                epoch,
                index,
                payload,
            }
            .encode(),
            key,
        })
    }

    /// Finds the key of a message without changing anything.
    ///
    /// # Errors
    /// [`SpqrError`]: there is no key; nothing changed.
    pub(crate) fn stage_receive(&self, message: &[u8]) -> Result<StagedReceive, SpqrError> {
        let message = Message::decode(message, self.labels.strict)?;
        let (braid, yielded) =
            self.braid
                .stage_receive(message.epoch, &message.payload, self.labels)?;
        let new_epoch = match &yielded {
            Some((epoch, secret)) => Some(self.chain.new_epoch(*epoch, secret, self.labels)?),
            None => None,
        };
        let chain_epoch = message.epoch.checked_sub(1).ok_or(SpqrError::Malformed)?;
        let (chain, key) = self
            .chain
            .stage_receive(chain_epoch, message.index, self.labels)?;
        Ok(StagedReceive {
            braid,
            new_epoch,
            chain,
            key,
        })
    }

    /// Takes what [`Spqr::stage_receive`] found, once the message's MAC has held.
    pub(crate) fn commit(&mut self, staged: StagedReceive) {
        self.braid.commit(staged.braid);
        if let Some(new) = staged.new_epoch {
            self.chain.add_epoch(new);
        }
        self.chain.commit(staged.chain);
    }

    /// Writes the stored form.
    pub(crate) fn write(&self, out: &mut Writer) {
        self.braid.write(out);
        self.chain.write(out);
    }

    /// Reads the stored form.
    pub(crate) fn read(
        input: &mut Reader<'_>,
        labels: &'static SpqrLabels,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            labels,
            braid: Braid::read(input)?,
            chain: Chain::read(input)?,
        })
    }
}
