//! What recorded vectors show of SPQR's inside.

pub(crate) use super::chain::{Chain, DirectionView};
pub(crate) use super::erasure::{Chunk, Decoder, Encoder};

use super::{Spqr, SpqrError, braid::State, gf, message::Message};
use keys::Secret;

/// The state of one side.
pub(crate) struct View<'a> {
    pub(crate) state: &'static str,
    pub(crate) epoch: u64,
    pub(crate) root: &'a Secret<32>,
    pub(crate) mac: &'a Secret<32>,
    pub(crate) chain: &'a Chain,
}

/// What a message says: epoch, key index, type, chunk index.
pub(crate) type Info = (u64, u32, &'static str, Option<u16>);

impl Spqr {
    pub(crate) fn view(&self) -> View<'_> {
        let (root, mac) = self.braid.auth.keys();
        View {
            state: self.braid.state.name(),
            epoch: self.braid.epoch,
            root,
            mac,
            chain: &self.chain,
        }
    }
}

/// Reads what a message says.
pub(crate) fn info(message: &[u8]) -> Result<Info, SpqrError> {
    const TYPES: [&str; 7] = ["none", "hdr", "ek", "ek_ct1_ack", "ct1_ack", "ct1", "ct2"];
    let message = Message::decode(message, true)?;
    let kind = TYPES.get(usize::from(message.payload.type_byte()));
    Ok((
        message.epoch,
        message.index,
        kind.copied().ok_or(SpqrError::Malformed)?,
        message.payload.chunk().map(|chunk| chunk.index),
    ))
}

/// `a · b` in the field of the erasure code.
pub(crate) fn product(a: u16, b: u16) -> u16 {
    gf::mul(a, b)
}

/// `a / b` in the field of the erasure code.
pub(crate) fn quotient(a: u16, b: u16) -> u16 {
    gf::mul(a, gf::invert(b))
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::KeysUnsampled => "KeysUnsampled",
            Self::KeysSampled { .. } => "KeysSampled",
            Self::HeaderSent { .. } => "HeaderSent",
            Self::Ct1Received { .. } => "Ct1Received",
            Self::EkSentCt1Received { .. } => "EkSentCt1Received",
            Self::NoHeaderReceived { .. } => "NoHeaderReceived",
            Self::HeaderReceived { .. } => "HeaderReceived",
            Self::Ct1Sampled { .. } => "Ct1Sampled",
            Self::EkReceivedCt1Sampled { .. } => "EkReceivedCt1Sampled",
            Self::Ct1Acknowledged { .. } => "Ct1Acknowledged",
            Self::Ct2Sampled { .. } => "Ct2Sampled",
        }
    }
}
