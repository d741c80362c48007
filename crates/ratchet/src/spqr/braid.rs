//! The ML-KEM Braid: two sides exchange ML-KEM-768 keys and ciphertexts in chunks, one secret an epoch
//! (docs/spec/ratchet.md, section 5.8).
//!
//! ```text
//! S: KeysUnsampled ─send─► KeysSampled ─Ct1─► HeaderSent ─all Ct1─► Ct1Received ─Ct2─► EkSentCt1Received ─all Ct2─► R, e+1
//! R: NoHeaderReceived ─all Hdr─► HeaderReceived ─send─► Ct1Sampled ─┬─ack──► Ct1Acknowledged ─all Ek─┐
//!      S, e+1 ◄─peer in e+1─ Ct2Sampled ◄─────────────────────────┴─all Ek► EkReceivedCt1Sampled ─ack┘
//! ```
//!
//! Receiving never changes the machine: it gives a [`BraidDelta`], which is either one more chunk or the next
//! state, built of what the next state still needs. What it does not need dies with the old state.

use super::SpqrError;
use super::authenticator::{Authenticator, epoch_secret};
use super::erasure::{Chunk, Decoder, Encoder};
use super::labels::SpqrLabels;
use super::message::Payload;
use keys::mlkem_incremental::{self as kem, CT1_LEN, CT2_LEN, EK_LEN, HEADER_LEN, KeyPair};
use keys::{Secret, SecretBytes, ct_eq};
use rand_core::CryptoRng;

pub(super) const MAC_LEN: usize = 32;
/// Header and its MAC.
pub(super) const HDR_OBJECT: usize = HEADER_LEN + MAC_LEN;
/// Second part of the ciphertext and the MAC over both.
pub(super) const CT2_OBJECT: usize = CT2_LEN + MAC_LEN;

/// A state of the machine.
pub(super) struct Braid {
    pub(super) epoch: u64,
    pub(super) auth: Authenticator,
    pub(super) state: State,
}

/// What each state keeps. `S` sends the key, `R` the ciphertext.
pub(super) enum State {
    /// S: no key yet.
    KeysUnsampled,
    /// S: sends the header.
    KeysSampled {
        header: Encoder,
        ek: Box<[u8; EK_LEN]>,
        dk: SecretBytes,
    },
    /// S: the peer has the header; sends the rest of the key, receives ct1.
    HeaderSent {
        ek: Encoder,
        dk: SecretBytes,
        ct1: Decoder,
    },
    /// S: has ct1; goes on with the key and says so.
    Ct1Received {
        ek: Encoder,
        dk: SecretBytes,
        ct1: Box<[u8; CT1_LEN]>,
    },
    /// S: the peer has the key; receives ct2.
    EkSentCt1Received {
        dk: SecretBytes,
        ct1: Box<[u8; CT1_LEN]>,
        ct2: Decoder,
    },
    /// R: receives the header.
    NoHeaderReceived { header: Decoder },
    /// R: has the header.
    HeaderReceived { header: Box<[u8; HEADER_LEN]> },
    /// R: sends ct1, receives the rest of the key.
    Ct1Sampled {
        encaps: Encaps,
        ct1: Encoder,
        ek: Decoder,
    },
    /// R: has the key; sends ct1 until the peer has it.
    EkReceivedCt1Sampled {
        encaps: Encaps,
        ct1: Encoder,
        ek: Box<[u8; EK_LEN]>,
    },
    /// R: the peer has ct1; receives the rest of the key.
    Ct1Acknowledged {
        encaps: Encaps,
        ct1: Box<[u8; CT1_LEN]>,
        ek: Decoder,
    },
    /// R: sends ct2 until the peer is in the next epoch.
    Ct2Sampled { ct2: Encoder },
}

/// What encaps 2 needs of encaps 1: header and randomness; libcrux's own state is computed anew.
pub(super) struct Encaps {
    pub(super) header: Box<[u8; HEADER_LEN]>,
    pub(super) m: Secret<32>,
}

/// What a received message changes.
pub(super) enum BraidDelta {
    /// Nothing.
    Nothing,
    /// One more chunk in the state's decoder.
    Add(Chunk),
    /// The next state.
    Next(Box<Braid>),
}

/// A secret of an epoch, as soon as a side has it.
pub(super) type Yielded = Option<(u64, Secret<32>)>;

impl Braid {
    /// The initiator begins as S.
    pub(super) fn initiator(auth_key: &Secret<32>, labels: &SpqrLabels) -> Self {
        Self {
            epoch: 1,
            auth: Authenticator::new(auth_key, labels),
            state: State::KeysUnsampled,
        }
    }

    /// The responder begins as R.
    pub(super) fn responder(auth_key: &Secret<32>, labels: &SpqrLabels) -> Self {
        let state = State::NoHeaderReceived {
            header: Decoder::new(HDR_OBJECT),
        };
        Self {
            epoch: 1,
            auth: Authenticator::new(auth_key, labels),
            state,
        }
    }

    fn next(&self, auth: Authenticator, state: State) -> BraidDelta {
        BraidDelta::Next(Box::new(Self {
            epoch: self.epoch,
            auth,
            state,
        }))
    }

    /// What the next message carries. Draws 64 bytes in KeysUnsampled, 32 in HeaderReceived, else none.
    pub(super) fn send(
        &mut self,
        labels: &SpqrLabels,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Payload, Yielded), SpqrError> {
        match &mut self.state {
            State::KeysUnsampled => self.sample_keys(labels, rng),
            State::HeaderReceived { .. } => self.sample_ct1(labels, rng),
            State::KeysSampled { header, .. } => Ok((Payload::Hdr(take(header)), None)),
            State::HeaderSent { ek, .. } => Ok((Payload::Ek(take(ek)), None)),
            State::Ct1Received { ek, .. } => Ok((Payload::EkCt1Ack(take(ek)), None)),
            State::EkSentCt1Received { .. } => Ok((Payload::Ct1Ack, None)),
            State::NoHeaderReceived { .. } | State::Ct1Acknowledged { .. } => {
                Ok((Payload::None, None))
            }
            State::Ct1Sampled { ct1, .. } | State::EkReceivedCt1Sampled { ct1, .. } => {
                Ok((Payload::Ct1(take(ct1)), None))
            }
            State::Ct2Sampled { ct2 } => Ok((Payload::Ct2(take(ct2)), None)),
        }
    }

    fn sample_keys(
        &mut self,
        labels: &SpqrLabels,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Payload, Yielded), SpqrError> {
        let pair = KeyPair::from_seed(&Secret::random(rng)).map_err(|_| SpqrError::Internal)?;
        let mac = self.auth.header_mac(self.epoch, &pair.header, labels);
        let mut header = Encoder::new([&pair.header[..], &mac].concat())?;
        let chunk = take(&mut header);
        self.state = State::KeysSampled {
            header,
            ek: pair.ek,
            dk: pair.dk,
        };
        Ok((Payload::Hdr(chunk), None))
    }

    fn sample_ct1(
        &mut self,
        labels: &SpqrLabels,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Payload, Yielded), SpqrError> {
        let State::HeaderReceived { header } = &self.state else {
            return Err(SpqrError::Internal);
        };
        let m = Secret::random(rng);
        let (ct1, shared) = kem::encaps1(header, &m).map_err(|_| SpqrError::Internal)?;
        let secret = epoch_secret(&shared, self.epoch, labels);
        self.auth = self.auth.updated(self.epoch, &secret, labels);
        let mut ct1 = Encoder::new(ct1.to_vec())?;
        let chunk = take(&mut ct1);
        let encaps = Encaps {
            header: header.clone(),
            m,
        };
        self.state = State::Ct1Sampled {
            encaps,
            ct1,
            ek: Decoder::new(EK_LEN),
        };
        Ok((Payload::Ct1(chunk), Some((self.epoch, secret))))
    }

    /// What a message changes, without changing it.
    pub(super) fn stage_receive(
        &self,
        epoch: u64,
        payload: &Payload,
        labels: &SpqrLabels,
    ) -> Result<(BraidDelta, Yielded), SpqrError> {
        if epoch < self.epoch {
            return Ok((BraidDelta::Nothing, None));
        }
        if epoch > self.epoch {
            return self.peer_went_on(epoch).map(|delta| (delta, None));
        }
        let delta = match (&self.state, payload) {
            (State::KeysSampled { ek, dk, .. }, Payload::Ct1(chunk)) => {
                let mut ct1 = Decoder::new(CT1_LEN);
                ct1.add(chunk);
                let ek = Encoder::new(ek.to_vec())?;
                self.next(
                    self.auth.duplicate(),
                    State::HeaderSent {
                        ek,
                        dk: duplicate(dk),
                        ct1,
                    },
                )
            }
            (State::HeaderSent { ek, dk, ct1 }, Payload::Ct1(chunk)) => {
                match complete(ct1, chunk) {
                    None => BraidDelta::Add(*chunk),
                    Some(ct1) => {
                        let ct1 = boxed(&ct1)?;
                        self.next(
                            self.auth.duplicate(),
                            State::Ct1Received {
                                ek: ek.clone(),
                                dk: duplicate(dk),
                                ct1,
                            },
                        )
                    }
                }
            }
            (State::Ct1Received { dk, ct1, .. }, Payload::Ct2(chunk)) => {
                let mut ct2 = Decoder::new(CT2_OBJECT);
                ct2.add(chunk);
                let state = State::EkSentCt1Received {
                    dk: duplicate(dk),
                    ct1: ct1.clone(),
                    ct2,
                };
                self.next(self.auth.duplicate(), state)
            }
            (State::EkSentCt1Received { dk, ct1, ct2 }, Payload::Ct2(chunk)) => {
                match complete(ct2, chunk) {
                    None => BraidDelta::Add(*chunk),
                    Some(ct2) => return self.decapsulate(dk, ct1, &ct2, labels),
                }
            }
            (State::NoHeaderReceived { header }, Payload::Hdr(chunk)) => {
                match complete(header, chunk) {
                    None => BraidDelta::Add(*chunk),
                    Some(object) => self.header_complete(&object, labels)?,
                }
            }
            (State::Ct1Sampled { .. }, Payload::Ek(_) | Payload::EkCt1Ack(_))
            | (State::EkReceivedCt1Sampled { .. }, Payload::Ct1Ack | Payload::EkCt1Ack(_))
            | (State::Ct1Acknowledged { .. }, Payload::Ek(_) | Payload::EkCt1Ack(_)) => {
                self.key_arrives(payload, labels)?
            }
            _ => BraidDelta::Nothing,
        };
        Ok((delta, None))
    }

    fn peer_went_on(&self, epoch: u64) -> Result<BraidDelta, SpqrError> {
        match &self.state {
            State::Ct2Sampled { .. } if self.epoch.checked_add(1) == Some(epoch) => {
                let auth = self.auth.duplicate();
                Ok(BraidDelta::Next(Box::new(Self {
                    epoch,
                    auth,
                    state: State::KeysUnsampled,
                })))
            }
            _ => Err(SpqrError::Epoch { got: epoch }),
        }
    }

    /// S has both parts of the ciphertext: the secret, and the change of roles.
    fn decapsulate(
        &self,
        dk: &SecretBytes,
        ct1: &[u8; CT1_LEN],
        object: &[u8],
        labels: &SpqrLabels,
    ) -> Result<(BraidDelta, Yielded), SpqrError> {
        let (ct2, mac) = object
            .split_first_chunk::<CT2_LEN>()
            .ok_or(SpqrError::Internal)?;
        let shared = kem::decaps(dk, ct1, ct2).map_err(|_| SpqrError::Internal)?;
        let secret = epoch_secret(&shared, self.epoch, labels);
        let auth = self.auth.updated(self.epoch, &secret, labels);
        // SECURITY: `changed_ciphertext_fails_its_mac` notices.
        if !ct_eq(&auth.ciphertext_mac(self.epoch, ct1, ct2, labels), mac) {
            return Err(SpqrError::BadMac);
        }
        let epoch = self.epoch.checked_add(1).ok_or(SpqrError::CounterEnd)?;
        let state = State::NoHeaderReceived {
            header: Decoder::new(HDR_OBJECT),
        };
        Ok((
            BraidDelta::Next(Box::new(Self { epoch, auth, state })),
            Some((self.epoch, secret)),
        ))
    }

    fn header_complete(&self, object: &[u8], labels: &SpqrLabels) -> Result<BraidDelta, SpqrError> {
        let (header, mac) = object
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(SpqrError::Internal)?;
        // SECURITY: `changed_header_fails_its_mac` notices.
        if !ct_eq(&self.auth.header_mac(self.epoch, header, labels), mac) {
            return Err(SpqrError::BadMac);
        }
        Ok(self.next(
            self.auth.duplicate(),
            State::HeaderReceived {
                header: Box::new(*header),
            },
        ))
    }

    /// R receives the rest of the key, or the news that the peer has ct1.
    fn key_arrives(&self, payload: &Payload, labels: &SpqrLabels) -> Result<BraidDelta, SpqrError> {
        let acknowledged = matches!(payload, Payload::EkCt1Ack(_) | Payload::Ct1Ack);
        match &self.state {
            State::EkReceivedCt1Sampled { encaps, ct1, ek } => {
                self.sample_ct2(encaps, &*boxed::<CT1_LEN>(ct1.message())?, ek, labels)
            }
            State::Ct1Sampled { encaps, ct1, ek } => {
                let chunk = payload.chunk().ok_or(SpqrError::Internal)?;
                match complete(ek, chunk) {
                    None if !acknowledged => Ok(BraidDelta::Add(*chunk)),
                    None => {
                        let mut ek = ek.clone();
                        ek.add(chunk);
                        let ct1 = boxed(ct1.message())?;
                        let state = State::Ct1Acknowledged {
                            encaps: encaps.duplicate(),
                            ct1,
                            ek,
                        };
                        Ok(self.next(self.auth.duplicate(), state))
                    }
                    Some(object) => {
                        let whole = boxed::<EK_LEN>(&object)?;
                        if acknowledged {
                            return self.sample_ct2(
                                encaps,
                                &*boxed::<CT1_LEN>(ct1.message())?,
                                &whole,
                                labels,
                            );
                        }
                        kem::validate(&encaps.header, &whole).map_err(|_| SpqrError::BadKey)?;
                        let state = State::EkReceivedCt1Sampled {
                            encaps: encaps.duplicate(),
                            ct1: ct1.clone(),
                            ek: whole,
                        };
                        Ok(self.next(self.auth.duplicate(), state))
                    }
                }
            }
            State::Ct1Acknowledged { encaps, ct1, ek } => {
                let chunk = payload.chunk().ok_or(SpqrError::Internal)?;
                match complete(ek, chunk) {
                    None => Ok(BraidDelta::Add(*chunk)),
                    Some(object) => {
                        self.sample_ct2(encaps, ct1, &*boxed::<EK_LEN>(&object)?, labels)
                    }
                }
            }
            _ => Err(SpqrError::Internal),
        }
    }

    fn sample_ct2(
        &self,
        encaps: &Encaps,
        ct1: &[u8; CT1_LEN],
        ek: &[u8; EK_LEN],
        labels: &SpqrLabels,
    ) -> Result<BraidDelta, SpqrError> {
        let ct2 = kem::encaps2(&encaps.header, ek, &encaps.m).map_err(|_| SpqrError::BadKey)?;
        let mac = self.auth.ciphertext_mac(self.epoch, ct1, &ct2, labels);
        let ct2 = Encoder::new([&ct2[..], &mac].concat())?;
        Ok(self.next(self.auth.duplicate(), State::Ct2Sampled { ct2 }))
    }

    /// Takes what [`Braid::stage_receive`] found.
    pub(super) fn commit(&mut self, delta: BraidDelta) {
        match delta {
            BraidDelta::Nothing => {}
            BraidDelta::Next(next) => *self = *next,
            BraidDelta::Add(chunk) => match &mut self.state {
                State::HeaderSent { ct1: decoder, .. }
                | State::EkSentCt1Received { ct2: decoder, .. }
                | State::NoHeaderReceived { header: decoder }
                | State::Ct1Sampled { ek: decoder, .. }
                | State::Ct1Acknowledged { ek: decoder, .. } => decoder.add(&chunk),
                _ => {}
            },
        }
    }
}

impl Encaps {
    fn duplicate(&self) -> Self {
        Self {
            header: self.header.clone(),
            m: self.m.duplicate(),
        }
    }
}

fn duplicate(bytes: &SecretBytes) -> SecretBytes {
    SecretBytes::from(bytes.expose_secret())
}

/// Takes the current chunk of an encoder.
fn take(encoder: &mut Encoder) -> Chunk {
    let chunk = encoder.current();
    encoder.advance();
    chunk
}

/// The object, if this chunk completes it.
fn complete(decoder: &Decoder, chunk: &Chunk) -> Option<Vec<u8>> {
    if !decoder.completes_with(chunk) {
        return None;
    }
    let mut decoder = decoder.clone();
    decoder.add(chunk);
    decoder.message()
}

fn boxed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, SpqrError> {
    let array: [u8; N] = bytes.try_into().map_err(|_| SpqrError::Internal)?;
    Ok(Box::new(array))
}
