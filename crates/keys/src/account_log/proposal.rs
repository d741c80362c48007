//! A device that asks to be added: an entry that it has signed and nobody else has.

use super::MAX_CLOCK_SKEW_SECONDS;
use super::body::{Body, Payload};
use super::device::{DeviceRecord, DeviceSecrets};
use super::edit::Authority;
use super::entry::{self, Entry, Signer};
use super::error::LogError;
use super::log::VerifiedLog;
use crate::codec::{DecodeError, Reader, Writer};
use crate::sign::HybridSignature;
use crate::{Suite, Timestamp, label};

/// Longest body in bytes: a device record and what surrounds it is far shorter.
const MAX_BODY: usize = 8 * 1024;
/// Longest signature in bytes.
const MAX_SIGNATURE: usize = 16 * 1024;

/// An add-device entry without the authority's signature. Its fields are read by
/// [`VerifiedLog::check_proposal`] alone.
///
/// *Shape*: `01 ‖ B(body) ‖ B(signature of the new device)`.
pub struct Proposal {
    body: Body,
    body_bytes: Vec<u8>,
    record: DeviceRecord,
    signature: HybridSignature,
}

impl Proposal {
    /// The form that travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(1);
        out.bytes(&self.body_bytes);
        out.bytes(self.signature.as_bytes());
        out.finish()
    }

    /// Reads the form. Nothing is believed yet.
    ///
    /// # Errors
    /// [`LogError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid.into());
        }
        let body_bytes = input.bytes(MAX_BODY)?.to_vec();
        let body = Body::decode(&body_bytes)?;
        let signature = signature(body.suite, input.bytes(MAX_SIGNATURE)?)?;
        input.finish()?;
        let Payload::AddDevice(record) = &body.payload else {
            return Err(DecodeError::Invalid.into());
        };
        Ok(Self {
            record: (**record).clone(),
            body,
            body_bytes,
            signature,
        })
    }
}

fn signature(suite: Suite, bytes: &[u8]) -> Result<HybridSignature, DecodeError> {
    HybridSignature::from_bytes(suite, bytes).map_err(|_| DecodeError::Invalid)
}

impl VerifiedLog {
    /// Asks, as a device that is not in the log, to be added. A device that asked guardians before asks as the one
    /// it said it was.
    ///
    /// # Errors
    /// [`LogError::WrongSuite`]: the device's keys are of another suite than the account; [`LogError::Library`].
    pub fn propose_add(
        &self,
        new: &DeviceSecrets,
        admin: bool,
        now: Timestamp,
    ) -> Result<Proposal, LogError> {
        let at = self.next_at(now);
        let record = self.record_to_add(new, admin, at);
        let mut body = self.next_body(at, Payload::AddDevice(Box::new(record.clone())));
        if record.suite() != body.suite {
            return Err(LogError::WrongSuite {
                sequence: body.sequence,
            });
        }
        let mut devices = self.devices().to_vec();
        devices.push(record.clone());
        body.device_list = entry::device_list_hash(self.suite(), &devices);
        let body_bytes = body.encode();
        let signature = new
            .signing()
            .sign(label::LOG_ENTRY, &body_bytes)
            .map_err(|_| LogError::Library)?;
        Ok(Proposal {
            body,
            body_bytes,
            record,
            signature,
        })
    }

    /// Checks that a proposal goes on from this very log, was made now, and is signed by the device it names.
    /// Whoever is to accept it shows the device to a person.
    ///
    /// # Errors
    /// [`LogError::BrokenChain`]: the log has changed meanwhile, propose again; [`LogError::Stale`] and
    /// [`LogError::FromTheFuture`]: the clocks differ; [`LogError::BadSignature`].
    pub fn check_proposal<'a>(
        &self,
        proposal: &'a Proposal,
        now: Timestamp,
    ) -> Result<&'a DeviceRecord, LogError> {
        let (body, head) = (&proposal.body, self.head());
        let sequence = body.sequence;
        let follows = body.account == *self.account_id()
            && head.sequence.checked_add(1) == Some(sequence)
            && body.previous == head.hash;
        if !follows {
            return Err(LogError::BrokenChain { sequence });
        }
        let ahead_seconds = body.at.since(now);
        if ahead_seconds > MAX_CLOCK_SKEW_SECONDS {
            return Err(LogError::FromTheFuture {
                sequence,
                ahead_seconds,
            });
        }
        // SECURITY: a device that dates itself back were senior too soon; `old_proposals_are_refused` notices.
        // The hour that `at` was rounded down by is no difference of clocks.
        let age_seconds = now.to_hour().since(body.at);
        if age_seconds > MAX_CLOCK_SKEW_SECONDS {
            return Err(LogError::Stale { age_seconds });
        }
        proposal
            .record
            .verifying
            .verify(label::LOG_ENTRY, &proposal.body_bytes, &proposal.signature)
            .map_err(|_| LogError::BadSignature { sequence })?;
        Ok(&proposal.record)
    }

    /// Adds the device of a proposal.
    ///
    /// # Errors
    /// As [`Self::check_proposal`]; other [`LogError`]s: the authority may not.
    pub fn accept_add(
        &self,
        by: Authority<'_>,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let record = self.check_proposal(proposal, now)?;
        let (signer, key) = by.signer();
        let signature = key
            .sign(label::LOG_ENTRY, &proposal.body_bytes)
            .map_err(|_| LogError::Library)?;
        let own = Signer::Device(record.id);
        self.extended(&[Entry {
            suite: proposal.body.suite,
            body_bytes: proposal.body_bytes.clone(),
            signatures: vec![(signer, signature), (own, proposal.signature.clone())],
        }])
    }

    /// Proposes and adds at once, where both secrets are on one machine: after a recovery.
    ///
    /// # Errors
    /// [`LogError`]: the authority may not.
    pub fn add_device(
        &self,
        by: Authority<'_>,
        new: &DeviceSecrets,
        admin: bool,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        self.accept_add(by, &self.propose_add(new, admin, now)?, now)
    }
}
