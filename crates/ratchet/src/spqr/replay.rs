//! What recorded vectors show of SPQR's inside.

pub(crate) use super::chain::{Chain, DirectionView};
pub(crate) use super::erasure::{Chunk, Decoder, Encoder};

use super::braid::State;
use super::message::Message;
use super::{Spqr, SpqrError, gf};
use keys::{Secret, SecretBytes};

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

/// What the state of one side keeps, in the order in which libsignal stores it.
pub(crate) struct Kept<'a> {
    /// Number of the state.
    pub(crate) number: u8,
    pub(crate) objects: Vec<Object<'a>>,
    pub(crate) encoder: Option<&'a Encoder>,
    pub(crate) decoder: Option<&'a Decoder>,
}

/// A whole key, header or ciphertext.
pub(crate) enum Object<'a> {
    Bytes(&'a [u8]),
    Secret(&'a SecretBytes),
    /// Of libcrux's own form; we keep what it is computed of.
    Encapsulation,
}

impl Spqr {
    pub(crate) fn kept(&self) -> Kept<'_> {
        let (objects, encoder, decoder) = self.braid.state.kept();
        let number = self.braid.state.number();
        Kept {
            number,
            objects,
            encoder,
            decoder,
        }
    }

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

type Parts<'a> = (Vec<Object<'a>>, Option<&'a Encoder>, Option<&'a Decoder>);

impl State {
    fn kept(&self) -> Parts<'_> {
        use Object::{Bytes, Encapsulation, Secret};
        match self {
            Self::KeysUnsampled => (vec![], None, None),
            Self::KeysSampled { header, ek, dk } => {
                (vec![Bytes(&ek[..]), Secret(dk)], Some(header), None)
            }
            Self::HeaderSent { ek, dk, ct1 } => (vec![Secret(dk)], Some(ek), Some(ct1)),
            Self::Ct1Received { ek, dk, ct1 } => {
                (vec![Secret(dk), Bytes(&ct1[..])], Some(ek), None)
            }
            Self::EkSentCt1Received { dk, ct1, ct2 } => {
                (vec![Secret(dk), Bytes(&ct1[..])], None, Some(ct2))
            }
            Self::NoHeaderReceived { header } => (vec![], None, Some(header)),
            Self::HeaderReceived { header } => (vec![Bytes(&header[..])], None, None),
            Self::Ct1Sampled { encaps, ct1, ek } => {
                let header = Bytes(&encaps.header[..]);
                let objects = vec![header, Encapsulation, Bytes(ct1.message())];
                (objects, Some(ct1), Some(ek))
            }
            Self::EkReceivedCt1Sampled { ct1, ek, .. } => {
                let objects = vec![Encapsulation, Bytes(&ek[..]), Bytes(ct1.message())];
                (objects, Some(ct1), None)
            }
            Self::Ct1Acknowledged { encaps, ct1, ek } => {
                let header = Bytes(&encaps.header[..]);
                (vec![header, Encapsulation, Bytes(&ct1[..])], None, Some(ek))
            }
            Self::Ct2Sampled { ct2 } => (vec![], Some(ct2), None),
        }
    }

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
