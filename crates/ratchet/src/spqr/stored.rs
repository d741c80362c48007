//! The stored form of the braid.

use super::authenticator::Authenticator;
use super::braid::{Braid, CT2_OBJECT, Encaps, HDR_OBJECT, State};
use super::chain::read_secret;
use super::erasure::{Decoder, Encoder};
use keys::SecretBytes;
use keys::codec::{DecodeError, Reader, Writer};
use keys::mlkem_incremental::{CT1_LEN, DK_LEN, EK_LEN, HEADER_LEN};

impl Braid {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u64(self.epoch);
        self.auth.write(out);
        out.u8(self.state.number());
        match &self.state {
            State::KeysUnsampled => {}
            State::KeysSampled { header, ek, dk } => {
                header.write(out);
                out.array(&ek[..]);
                out.array(dk.expose_secret());
            }
            State::HeaderSent { ek, dk, ct1 } => {
                ek.write(out);
                out.array(dk.expose_secret());
                ct1.write(out);
            }
            State::Ct1Received { ek, dk, ct1 } => {
                ek.write(out);
                out.array(dk.expose_secret());
                out.array(&ct1[..]);
            }
            State::EkSentCt1Received { dk, ct1, ct2 } => {
                out.array(dk.expose_secret());
                out.array(&ct1[..]);
                ct2.write(out);
            }
            State::NoHeaderReceived { header } => header.write(out),
            State::HeaderReceived { header } => out.array(&header[..]),
            State::Ct1Sampled { encaps, ct1, ek } => {
                encaps.write(out);
                ct1.write(out);
                ek.write(out);
            }
            State::EkReceivedCt1Sampled { encaps, ct1, ek } => {
                encaps.write(out);
                ct1.write(out);
                out.array(&ek[..]);
            }
            State::Ct1Acknowledged { encaps, ct1, ek } => {
                encaps.write(out);
                out.array(&ct1[..]);
                ek.write(out);
            }
            State::Ct2Sampled { ct2 } => ct2.write(out),
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let epoch = input.u64()?;
        let auth = Authenticator::read(input)?;
        let state = match input.u8()? {
            1 => State::KeysUnsampled,
            2 => State::KeysSampled {
                header: Encoder::read(input, HDR_OBJECT)?,
                ek: Box::new(input.array::<EK_LEN>()?),
                dk: read_dk(input)?,
            },
            3 => State::HeaderSent {
                ek: Encoder::read(input, EK_LEN)?,
                dk: read_dk(input)?,
                ct1: Decoder::read(input, CT1_LEN)?,
            },
            4 => State::Ct1Received {
                ek: Encoder::read(input, EK_LEN)?,
                dk: read_dk(input)?,
                ct1: Box::new(input.array()?),
            },
            5 => State::EkSentCt1Received {
                dk: read_dk(input)?,
                ct1: Box::new(input.array()?),
                ct2: Decoder::read(input, CT2_OBJECT)?,
            },
            6 => State::NoHeaderReceived {
                header: Decoder::read(input, HDR_OBJECT)?,
            },
            7 => State::HeaderReceived {
                header: Box::new(input.array::<HEADER_LEN>()?),
            },
            8 => State::Ct1Sampled {
                encaps: Encaps::read(input)?,
                ct1: Encoder::read(input, CT1_LEN)?,
                ek: Decoder::read(input, EK_LEN)?,
            },
            9 => State::EkReceivedCt1Sampled {
                encaps: Encaps::read(input)?,
                ct1: Encoder::read(input, CT1_LEN)?,
                ek: Box::new(input.array()?),
            },
            10 => State::Ct1Acknowledged {
                encaps: Encaps::read(input)?,
                ct1: Box::new(input.array()?),
                ek: Decoder::read(input, EK_LEN)?,
            },
            11 => State::Ct2Sampled {
                ct2: Encoder::read(input, CT2_OBJECT)?,
            },
            _ => return Err(DecodeError::Invalid),
        };
        if epoch == 0 {
            return Err(DecodeError::Invalid);
        }
        Ok(Self { epoch, auth, state })
    }
}

impl State {
    /// The number of the state in the stored form and in the vectors' order.
    pub(super) fn number(&self) -> u8 {
        match self {
            Self::KeysUnsampled => 1,
            Self::KeysSampled { .. } => 2,
            Self::HeaderSent { .. } => 3,
            Self::Ct1Received { .. } => 4,
            Self::EkSentCt1Received { .. } => 5,
            Self::NoHeaderReceived { .. } => 6,
            Self::HeaderReceived { .. } => 7,
            Self::Ct1Sampled { .. } => 8,
            Self::EkReceivedCt1Sampled { .. } => 9,
            Self::Ct1Acknowledged { .. } => 10,
            Self::Ct2Sampled { .. } => 11,
        }
    }
}

impl Encaps {
    fn write(&self, out: &mut Writer) {
        out.array(&self.header[..]);
        out.array(self.m.expose_secret());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Box::new(input.array()?),
            m: read_secret(input)?,
        })
    }
}

fn read_dk(input: &mut Reader<'_>) -> Result<SecretBytes, DecodeError> {
    Ok(SecretBytes::from(input.take(DK_LEN)?))
}
