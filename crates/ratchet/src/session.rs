//! One session: Double Ratchet, SPQR, and what both sides are bound to.

use crate::chain::NoSeed;
use crate::double_ratchet::{DoubleRatchet, StagedRatchet};
use crate::limits;
use crate::message_key::{MessageKey, Parties};
use crate::profile::Profile;
use crate::root::TheirRatchetKey;
use crate::spqr::{ChainLimits, Spqr, StagedReceive};
use crate::wire::{InitiatorProof, MAC_LEN, PreKeyMessage, RatchetMessage};
use keys::{Timestamp, X25519Public, ct_eq};
use rand_core::CryptoRng;

/// A session with one device.
pub(crate) struct Session {
    pub(crate) bound: Bound,
    pub(crate) ratchet: DoubleRatchet,
    pub(crate) spqr: Spqr,
    /// What goes with every message until the peer is heard.
    pub(crate) pending: Option<Box<Pending>>,
}

/// What never changes in a session.
pub(crate) struct Bound {
    pub(crate) our_identity: X25519Public,
    pub(crate) their_identity: X25519Public,
    /// The initiator's base key; names the session.
    pub(crate) base_key: X25519Public,
    pub(crate) our_registration_id: u32,
    pub(crate) their_registration_id: u32,
    /// Furthest step forward.
    pub(crate) jump: u32,
    /// Pinned device-list hashes; empty in the `signal` profile.
    pub(crate) our_list: Vec<u8>,
    pub(crate) their_list: Vec<u8>,
    /// Hash of the wrapper that began the session; only in the `letterlock` profile, only at the responder.
    pub(crate) wrapper: Option<[u8; 32]>,
}

/// The handshake, as long as the peer has not answered.
pub(crate) struct Pending {
    pub(crate) one_time_id: Option<u32>,
    pub(crate) signed_id: u32,
    pub(crate) kem_id: u32,
    /// Type byte ‖ ciphertext.
    pub(crate) kem_ciphertext: Vec<u8>,
    pub(crate) proof: Option<InitiatorProof>,
    pub(crate) since: Timestamp,
}

/// What receiving one message changes.
pub(crate) struct StagedSession {
    ratchet: StagedRatchet,
    spqr: StagedReceive,
}

/// Why a session does not open a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOpened {
    Duplicate,
    Refused,
}

/// Why a session does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    Unanswered,
    CounterEnd,
    Internal,
}

impl Bound {
    pub(crate) fn spqr_limits(&self) -> ChainLimits {
        ChainLimits {
            jump: self.jump,
            window: limits::SPQR_WINDOW,
        }
    }
}

impl Session {
    /// Encrypts; on an error nothing changed.
    pub(crate) fn seal(
        &mut self,
        profile: Profile,
        plaintext: &[u8],
        addresses: Option<Vec<u8>>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(bool, Vec<u8>), NotSent> {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| now.since(pending.since) > limits::UNANSWERED_SECONDS)
        {
            return Err(NotSent::Unanswered);
        }
        // SECURITY: an index that wrapped would use a key twice; `counter_end_refuses_to_send` notices.
        if !self.ratchet.sending.can_send() {
            return Err(NotSent::CounterEnd);
        }
        let sent = self.spqr.send(rng).map_err(|error| match error {
            crate::spqr::SpqrError::CounterEnd => NotSent::CounterEnd,
            _ => NotSent::Internal,
        })?;
        let position = self.ratchet.send().ok_or(NotSent::CounterEnd)?;
        let message = RatchetMessage {
            ratchet_key: position.ratchet_key,
            counter: position.counter,
            previous_counter: position.previous_counter,
            ciphertext: Vec::new(),
            pq_ratchet: sent.message,
            addresses: addresses.filter(|_| self.pending.is_some()),
            covered: Vec::new(),
            mac: [0; MAC_LEN],
        };
        let parties = Parties {
            sender: &self.bound.our_identity,
            receiver: &self.bound.their_identity,
            sender_list: &self.bound.our_list,
            receiver_list: &self.bound.their_list,
        };
        let bytes = MessageKey::derive(profile, &position.seed, &sent.key)
            .seal(message, plaintext, &parties);
        Ok(match &self.pending {
            None => (false, bytes),
            Some(pending) => (true, self.wrap(pending, bytes).encode(profile)),
        })
    }

    fn wrap(&self, pending: &Pending, message: Vec<u8>) -> PreKeyMessage {
        PreKeyMessage {
            one_time_id: pending.one_time_id,
            base_key: self.bound.base_key,
            identity: self.bound.our_identity,
            message,
            registration_id: self.bound.our_registration_id,
            signed_id: pending.signed_id,
            kem_id: pending.kem_id,
            kem_ciphertext: pending.kem_ciphertext.clone(),
            initiator: pending.proof.clone(),
        }
    }

    /// Opens a message without changing anything.
    pub(crate) fn stage(
        &self,
        profile: Profile,
        message: &RatchetMessage,
        addresses: Option<&[u8]>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(StagedSession, Vec<u8>), NotOpened> {
        let theirs = TheirRatchetKey(message.ratchet_key);
        let (ratchet, seed) = self
            .ratchet
            .stage(profile, theirs, message.counter, self.bound.jump, rng)
            .map_err(|error| match error {
                NoSeed::Duplicate => NotOpened::Duplicate,
                NoSeed::TooFar => NotOpened::Refused,
            })?;
        let spqr = self
            .spqr
            .stage_receive(&message.pq_ratchet)
            .map_err(|_| NotOpened::Refused)?;
        let parties = Parties {
            sender: &self.bound.their_identity,
            receiver: &self.bound.our_identity,
            sender_list: &self.bound.their_list,
            receiver_list: &self.bound.our_list,
        };
        // SECURITY: a message for another device is refused; `message_for_another_address_is_refused` notices.
        let addressed = match (&message.addresses, addresses) {
            (None, _) => true,
            (Some(named), Some(expected)) => ct_eq(named, expected),
            (Some(_), None) => false,
        };
        let plaintext = MessageKey::derive(profile, &seed, spqr.key())
            .open(message, &parties)
            .map_err(|_| NotOpened::Refused)?;
        if !addressed {
            return Err(NotOpened::Refused);
        }
        Ok((StagedSession { ratchet, spqr }, plaintext))
    }

    /// Takes what [`Session::stage`] found.
    pub(crate) fn commit(&mut self, staged: StagedSession) {
        self.ratchet.commit(staged.ratchet);
        self.spqr.commit(staged.spqr);
        self.pending = None;
    }
}
