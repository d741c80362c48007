//! The stored form of a record: version byte, canonical body, SHA-256 of both.

use crate::address::Address;
use crate::chain::{ChainKey, ReceivingChain, Seed, SendingChain};
use crate::double_ratchet::DoubleRatchet;
use crate::limits;
use crate::profile::Profile;
use crate::record::{Archived, Record};
use crate::root::{OurRatchetKey, RootKey, TheirRatchetKey};
use crate::session::{Bound, Pending, Session};
use crate::spqr::Spqr;
use crate::wire::InitiatorProof;
use keys::codec::{DecodeError, Reader, Writer};
use keys::kem::CIPHERTEXT_LEN;
use keys::{Secret, SecretBytes, Timestamp, X25519Public, X25519Secret, sha256};
use std::collections::{BTreeMap, VecDeque};

const VERSION: u8 = 1;
const DIGEST: usize = 32;

impl Record {
    /// The stored form. It holds keys.
    ///
    /// *Shape*: version byte 1, the record, SHA-256 of both; at most 64 MiB.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        out.u8(VERSION);
        write_record(self, &mut out);
        let mut bytes = SecretBytes::new(out.finish()).into_zeroizing();
        let digest = sha256(&[&bytes]);
        let mut whole = Writer::new();
        whole.array(&bytes);
        whole.array(&digest);
        bytes.clear();
        SecretBytes::new(whole.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form, cut or changed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::RECORD {
            return Err(DecodeError::TooLong {
                got: bytes.len(),
                max: limits::RECORD,
            });
        }
        let (body, digest) = bytes
            .split_last_chunk::<DIGEST>()
            .ok_or(DecodeError::Short)?;
        if sha256(&[body]) != *digest {
            return Err(DecodeError::Invalid);
        }
        let mut input = Reader::new(body);
        if input.u8()? != VERSION {
            return Err(DecodeError::Invalid);
        }
        let record = read_record(&mut input)?;
        input.finish()?;
        Ok(record)
    }
}

fn write_record(record: &Record, out: &mut Writer) {
    out.u8(record.profile.number());
    if let Some((ours, theirs)) = &record.addresses {
        for address in [ours, theirs] {
            out.bytes(address.name().as_bytes());
            out.u8(address.device());
        }
    }
    write_option(record.current.as_ref(), out, write_session);
    out.u32(u32::try_from(record.archived.len()).unwrap_or(u32::MAX));
    for archived in &record.archived {
        out.u64(archived.since.as_secs());
        write_session(&archived.session, out);
    }
}

fn read_record(input: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let profile = Profile::from_number(input.u8()?).ok_or(DecodeError::Invalid)?;
    let addresses = match profile {
        Profile::Signal => Some((read_address(input)?, read_address(input)?)),
        Profile::Letterlock => None,
    };
    let current = read_option(input, |input| read_session(profile, input))?;
    let count = input.u32()?;
    if usize::try_from(count).map_or(true, |count| count > profile.parameters().archived) {
        return Err(DecodeError::Invalid);
    }
    let mut archived = VecDeque::new();
    for _ in 0..count {
        let since = Timestamp::from_secs(input.u64()?);
        archived.push_back(Archived {
            since,
            session: read_session(profile, input)?,
        });
    }
    Ok(Record {
        profile,
        addresses,
        current,
        archived,
    })
}

fn read_address(input: &mut Reader<'_>) -> Result<Address, DecodeError> {
    let name =
        std::str::from_utf8(input.bytes(limits::ADDRESS)?).map_err(|_| DecodeError::Invalid)?;
    let address = Address::new(name, input.u8()?);
    if address.name() == name {
        Ok(address)
    } else {
        Err(DecodeError::Invalid)
    }
}

fn write_option<T>(value: Option<&T>, out: &mut Writer, write: impl FnOnce(&T, &mut Writer)) {
    out.u8(u8::from(value.is_some()));
    if let Some(value) = value {
        write(value, out);
    }
}

fn read_option<'a, T>(
    input: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match input.u8()? {
        0 => Ok(None),
        1 => read(input).map(Some),
        _ => Err(DecodeError::Invalid),
    }
}

fn read_secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    Secret::from_slice(input.take(32)?).ok_or(DecodeError::Short)
}

/// A private key as it is written: clamped.
pub(crate) fn read_x25519(input: &mut Reader<'_>) -> Result<X25519Secret, DecodeError> {
    let bytes = read_secret(input)?;
    let key = X25519Secret::from_secret(&bytes);
    // Clamping on reading would give one key many encodings.
    if key.secret().ct_eq(&bytes) {
        Ok(key)
    } else {
        Err(DecodeError::Invalid)
    }
}

fn write_session(session: &Session, out: &mut Writer) {
    write_bound(&session.bound, out);
    write_option(session.pending.as_deref(), out, write_pending);
    write_ratchet(&session.ratchet, out);
    session.spqr.write(out);
}

fn read_session(profile: Profile, input: &mut Reader<'_>) -> Result<Session, DecodeError> {
    let bound = read_bound(input)?;
    let pending = read_option(input, read_pending)?.map(Box::new);
    let ratchet = read_ratchet(input)?;
    let spqr = Spqr::read(input, profile.parameters().spqr)?;
    Ok(Session {
        bound,
        ratchet,
        spqr,
        pending,
    })
}

fn write_bound(bound: &Bound, out: &mut Writer) {
    for key in [&bound.our_identity, &bound.their_identity, &bound.base_key] {
        out.array(key.as_bytes());
    }
    out.u32(bound.our_registration_id);
    out.u32(bound.their_registration_id);
    out.u32(bound.jump);
    out.bytes(&bound.our_list);
    out.bytes(&bound.their_list);
    write_option(bound.wrapper.as_ref(), out, |hash, out| out.array(hash));
}

fn read_bound(input: &mut Reader<'_>) -> Result<Bound, DecodeError> {
    Ok(Bound {
        our_identity: X25519Public(input.array()?),
        their_identity: X25519Public(input.array()?),
        base_key: X25519Public(input.array()?),
        our_registration_id: input.u32()?,
        their_registration_id: input.u32()?,
        jump: input.u32()?,
        our_list: input.bytes(limits::LIST_HASH)?.to_vec(),
        their_list: input.bytes(limits::LIST_HASH)?.to_vec(),
        wrapper: read_option(input, Reader::array)?,
    })
}

fn write_pending(pending: &Pending, out: &mut Writer) {
    write_option(pending.one_time_id.as_ref(), out, |id, out| out.u32(*id));
    out.u32(pending.signed_id);
    out.u32(pending.kem_id);
    out.bytes(&pending.kem_ciphertext);
    out.u64(pending.since.as_secs());
    write_option(pending.proof.as_ref(), out, |proof, out| {
        out.bytes(&proof.initiator_list);
        out.bytes(&proof.responder_list);
        out.bytes(&proof.signature);
    });
}

fn read_pending(input: &mut Reader<'_>) -> Result<Pending, DecodeError> {
    Ok(Pending {
        one_time_id: read_option(input, Reader::u32)?,
        signed_id: input.u32()?,
        kem_id: input.u32()?,
        kem_ciphertext: input.bytes(CIPHERTEXT_LEN.saturating_add(1))?.to_vec(),
        since: Timestamp::from_secs(input.u64()?),
        proof: read_option(input, |input| {
            Ok(InitiatorProof {
                initiator_list: input.bytes(limits::LIST_HASH)?.to_vec(),
                responder_list: input.bytes(limits::LIST_HASH)?.to_vec(),
                signature: input.bytes(limits::SIGNATURE)?.to_vec(),
            })
        })?,
    })
}

fn write_ratchet(ratchet: &DoubleRatchet, out: &mut Writer) {
    out.array(ratchet.root.0.expose_secret());
    out.array(ratchet.ours.secret().secret().expose_secret());
    out.array(ratchet.ours.public().as_bytes());
    out.u32(ratchet.previous_counter);
    out.u32(ratchet.sending.index);
    out.array(ratchet.sending.key.0.expose_secret());
    out.u32(u32::try_from(ratchet.receiving.len()).unwrap_or(u32::MAX));
    for chain in &ratchet.receiving {
        out.array(chain.theirs.0.as_bytes());
        out.u32(chain.next);
        out.array(chain.key.0.expose_secret());
        out.u32(u32::try_from(chain.skipped.len()).unwrap_or(u32::MAX));
        for (index, seed) in &chain.skipped {
            out.u32(*index);
            out.array(seed.0.expose_secret());
        }
    }
}

fn read_ratchet(input: &mut Reader<'_>) -> Result<DoubleRatchet, DecodeError> {
    let root = RootKey(read_secret(input)?);
    let secret = read_x25519(input)?;
    let ours = OurRatchetKey::from_halves(secret, X25519Public(input.array()?));
    let previous_counter = input.u32()?;
    let sending = SendingChain {
        index: input.u32()?,
        key: ChainKey(read_secret(input)?),
    };
    let count = input.u32()?;
    if usize::try_from(count).map_or(true, |count| count > limits::RECEIVING_CHAINS) {
        return Err(DecodeError::Invalid);
    }
    let mut receiving = VecDeque::new();
    for _ in 0..count {
        receiving.push_back(read_chain(input)?);
    }
    Ok(DoubleRatchet {
        root,
        ours,
        previous_counter,
        sending,
        receiving,
    })
}

fn read_chain(input: &mut Reader<'_>) -> Result<ReceivingChain, DecodeError> {
    let theirs = TheirRatchetKey(X25519Public(input.array()?));
    let next = input.u32()?;
    let key = ChainKey(read_secret(input)?);
    let count = input.u32()?;
    if usize::try_from(count).map_or(true, |count| count > limits::SKIPPED_SEEDS) {
        return Err(DecodeError::Invalid);
    }
    let mut skipped = BTreeMap::new();
    let mut last = None;
    for _ in 0..count {
        let index = input.u32()?;
        if index >= next || last.is_some_and(|last| last >= index) {
            return Err(DecodeError::Invalid);
        }
        last = Some(index);
        skipped.insert(index, Seed(read_secret(input)?));
    }
    Ok(ReceivingChain {
        theirs,
        next,
        key,
        skipped,
    })
}
