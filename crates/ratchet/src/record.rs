//! All sessions with one device (docs/spec/ratchet.md, section 4.7).

use crate::address::{Address, addresses_field};
use crate::incoming::{BaseKeyUse, IncomingMessage, IncomingPreKeyMessage, MessageKind, Outgoing};
use crate::initiate::{self, InitiateError, OwnPreKeys};
use crate::limits;
use crate::party::{Local, Remote};
use crate::pre_key::{PreKeyBundle, PreKeyKind};
use crate::profile::Profile;
use crate::session::{NotOpened, NotSent, Session};
use keys::Timestamp;
use rand_core::CryptoRng;
use std::collections::VecDeque;

/// The sessions with one device: the current one and archived ones.
pub struct Record {
    pub(crate) profile: Profile,
    /// Ours and theirs; `signal` only.
    pub(crate) addresses: Option<(Address, Address)>,
    pub(crate) current: Option<Session>,
    /// Newest first.
    pub(crate) archived: VecDeque<Archived>,
}

/// A session that is no longer used to send, but may decrypt what comes late.
pub(crate) struct Archived {
    pub(crate) session: Session,
    pub(crate) since: Timestamp,
}

/// Why nothing was encrypted. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is no session: fetch a bundle and begin one.
    #[error("there is no session")]
    NoSession,
    /// The peer did not answer for 30 days: fetch a bundle and begin a new session.
    #[error("the peer did not answer for too long")]
    Unanswered,
    /// A counter is at its end: begin a new session.
    #[error("a counter of the session is at its end")]
    CounterEnd,
    /// The plaintext is too long.
    #[error("the plaintext has {got} bytes, the limit is {max}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The state breaks an invariant: begin a new session.
    #[error("the state of the session is broken")]
    Broken,
}

/// Why a message was not decrypted. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// It was decrypted before, or its key is no longer kept: acknowledge it and forget it.
    #[error("the message was decrypted before")]
    Duplicate,
    /// It is not accepted, for whatever reason.
    #[error("the message is refused")]
    Refused,
}

/// A decrypted message, and what must be stored in one transaction with the record.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// The plaintext.
    pub plaintext: Vec<u8>,
    /// What the beginning of a session used up; nothing for other messages.
    pub used: Option<UsedPreKeys>,
}

/// What a new session used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedPreKeys {
    /// One-time EC pre-key to delete.
    pub one_time: Option<u32>,
    /// One-time KEM pre-key to delete.
    pub one_time_kem: Option<u32>,
    /// Use of a last-resort KEM pre-key to remember.
    pub remember: Option<BaseKeyUse>,
}

impl Record {
    /// An empty record of the `letterlock` profile.
    #[must_use]
    pub fn letterlock() -> Self {
        Self {
            profile: Profile::Letterlock,
            addresses: None,
            current: None,
            archived: VecDeque::new(),
        }
    }

    /// An empty record of the `signal` profile between two addresses.
    #[must_use]
    pub fn signal(ours: Address, theirs: Address) -> Self {
        Self {
            profile: Profile::Signal,
            addresses: Some((ours, theirs)),
            current: None,
            archived: VecDeque::new(),
        }
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether a message can be encrypted without fetching a bundle first.
    #[must_use]
    pub fn can_send(&self, now: Timestamp) -> bool {
        self.current.as_ref().is_some_and(|session| {
            session.ratchet.sending.can_send()
                && session
                    .pending
                    .as_ref()
                    .is_none_or(|pending| now.since(pending.since) <= limits::UNANSWERED_SECONDS)
        })
    }

    /// Whether the peer has been heard in the current session.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|session| session.pending.is_none())
    }

    /// How many sessions are archived.
    #[must_use]
    pub fn archived(&self) -> usize {
        self.archived.len()
    }

    /// Begins a session with a fetched bundle and makes it current.
    ///
    /// # Errors
    /// [`InitiateError`]; nothing changed.
    pub fn initiate(
        &mut self,
        local: &Local<'_>,
        remote: &Remote<'_>,
        bundle: &PreKeyBundle,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), InitiateError> {
        let session = initiate::initiate(
            self.profile,
            local,
            remote,
            bundle,
            self.same_account(),
            now,
            rng,
        )?;
        self.make_current(session, now);
        Ok(())
    }

    /// Encrypts in the current session. Store the record before the message leaves.
    ///
    /// # Errors
    /// [`EncryptError`]; nothing changed.
    pub fn encrypt(
        &mut self,
        plaintext: &[u8],
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Outgoing, EncryptError> {
        if plaintext.len() > limits::PLAINTEXT {
            return Err(EncryptError::TooLong {
                got: plaintext.len(),
                max: limits::PLAINTEXT,
            });
        }
        let session = self.current.as_mut().ok_or(EncryptError::NoSession)?;
        let addresses = match &self.addresses {
            Some((ours, theirs)) if session.pending.is_some() => addresses_field(ours, theirs),
            _ => None,
        };
        let (pending, bytes) = session
            .seal(self.profile, plaintext, addresses, now, rng)
            .map_err(|error| match error {
                NotSent::Unanswered => EncryptError::Unanswered,
                NotSent::CounterEnd => EncryptError::CounterEnd,
                NotSent::Internal => EncryptError::Broken,
            })?;
        let kind = if pending {
            MessageKind::PreKey
        } else {
            MessageKind::Message
        };
        Ok(Outgoing { kind, bytes })
    }

    /// Decrypts a message of a session that exists. An archived session that decrypts becomes current, in the
    /// `letterlock` profile only if it has the greater base key and the current one does not wait for its first answer.
    ///
    /// # Errors
    /// [`DecryptError`]; nothing changed.
    pub fn decrypt(
        &mut self,
        incoming: &IncomingMessage,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Received, DecryptError> {
        if incoming.profile != self.profile {
            return Err(DecryptError::Refused);
        }
        let addresses = self.incoming_addresses(&incoming.message.addresses);
        for place in 0..=self.archived.len() {
            let Some(session) = self.session(place, now) else {
                continue;
            };
            match session.stage(self.profile, &incoming.message, addresses.as_deref(), rng) {
                Ok((staged, plaintext)) => {
                    if let Some(archived) = self.staying(place) {
                        archived.session.commit(staged);
                        archived.since = now; // The peer uses it still.
                    } else {
                        if place == 0 {
                            self.answered(now);
                        }
                        self.promote(place, now);
                        if let Some(session) = self.current.as_mut() {
                            session.commit(staged);
                        }
                    }
                    return Ok(Received {
                        plaintext,
                        used: None,
                    });
                }
                Err(NotOpened::Duplicate) => return Err(DecryptError::Duplicate),
                Err(NotOpened::Refused) => {}
            }
        }
        Err(DecryptError::Refused)
    }

    /// Decrypts a pre-key message, beginning a session if it names a new one.
    ///
    /// `own` holds what the caller found under the ids of [`IncomingPreKeyMessage::named`]; `remote` is the device
    /// that the caller expects, with the identity key it trusts.
    ///
    /// # Errors
    /// [`DecryptError`]; nothing changed, and nothing is used up.
    pub fn respond(
        &mut self,
        incoming: &IncomingPreKeyMessage,
        local: &Local<'_>,
        remote: &Remote<'_>,
        own: &OwnPreKeys<'_>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Received, DecryptError> {
        if incoming.profile != self.profile || incoming.outer.identity != remote.identity {
            return Err(DecryptError::Refused);
        }
        if let Some(place) = self.place_of(incoming, now) {
            return self.receive_again(place, incoming, now, rng);
        }
        let mut session = initiate::respond(incoming, local, remote, own, self.same_account())
            .map_err(|_| DecryptError::Refused)?;
        let addresses = self.incoming_addresses(&incoming.inner.addresses);
        let (staged, plaintext) = session
            .stage(self.profile, &incoming.inner, addresses.as_deref(), rng)
            .map_err(outward)?;
        session.commit(staged);
        self.make_current(session, now);
        Ok(Received {
            plaintext,
            used: Some(used(incoming, own)),
        })
    }

    /// A pre-key message of a session that exists.
    fn receive_again(
        &mut self,
        place: usize,
        incoming: &IncomingPreKeyMessage,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Received, DecryptError> {
        let session = self.session(place, now).ok_or(DecryptError::Refused)?;
        // SECURITY: knob 14; `changed_wrapper_of_a_later_message_is_refused` notices. Who began the session holds no
        // hash and takes no wrapper at all; `answer_in_a_wrapper_is_refused` notices.
        if self.profile == Profile::Letterlock
            && session.bound.wrapper != Some(initiate::wrapper_hash(&incoming.outer))
        {
            return Err(DecryptError::Refused);
        }
        if session.bound.their_identity != incoming.outer.identity {
            return Err(DecryptError::Refused);
        }
        let addresses = self.incoming_addresses(&incoming.inner.addresses);
        let (staged, plaintext) = session
            .stage(self.profile, &incoming.inner, addresses.as_deref(), rng)
            .map_err(outward)?;
        self.promote(place, now);
        if let Some(session) = self.current.as_mut() {
            session.commit(staged);
        }
        Ok(Received {
            plaintext,
            used: None,
        })
    }

    /// Place 0 is the current session, the others the archived ones that are young enough.
    fn session(&self, place: usize, now: Timestamp) -> Option<&Session> {
        match place.checked_sub(1) {
            None => self.current.as_ref(),
            Some(place) => {
                let archived = self.archived.get(place)?;
                self.is_young(archived, now).then_some(&archived.session)
            }
        }
    }

    /// An archived session that stays archived although the peer used it: of two sessions that both sides hold, the one
    /// with the greater base key is used. Where two were begun at once, answers that cross would else make them change
    /// places for ever, and one side would go on with a session that the other one lets expire;
    /// `who_began_at_once_understand_each_other_after_a_long_silence` notices. Until the peer is heard in a session that
    /// this side began, it may not know of it, and where it uses another one that says nothing: once it knows, it will not
    /// keep that one; `who_began_anew_stays_there_when_an_older_session_is_heard` notices.
    fn staying(&mut self, place: usize) -> Option<&mut Archived> {
        let archived = self.archived.get_mut(place.checked_sub(1)?)?;
        let current = self.current.as_ref()?;
        let greater =
            current.bound.base_key.as_bytes() > archived.session.bound.base_key.as_bytes();
        let stays = current.pending.is_some() || greater;
        (self.profile == Profile::Letterlock && stays).then_some(archived)
    }

    /// SECURITY: a stolen old session must not become current again for ever;
    /// `archived_session_expires_after_30_days` notices.
    fn is_young(&self, archived: &Archived, now: Timestamp) -> bool {
        let limit = self.profile.parameters().archived_seconds;
        let waits = self.unanswered().is_some_and(|at| archived.since >= at);
        waits || limit.is_none_or(|limit| now.since(archived.since) <= limit)
    }

    /// Since when the peer was not heard in the current session, which this side began.
    fn unanswered(&self) -> Option<Timestamp> {
        let pending = self.current.as_ref()?.pending.as_ref()?;
        Some(pending.since)
    }

    /// The peer is heard, or another session begins. Until its first answer the peer may have used the session before, and
    /// what it sealed there may lie at a relay as long as that keeps it; `who_does_not_know_of_a_new_session_is_understood` notices.
    fn answered(&mut self, now: Timestamp) {
        let Some(at) = self.unanswered() else {
            return;
        };
        for archived in self.archived.iter_mut().filter(|it| it.since >= at) {
            archived.since = now;
        }
    }

    fn place_of(&self, incoming: &IncomingPreKeyMessage, now: Timestamp) -> Option<usize> {
        (0..=self.archived.len()).find(|place| {
            self.session(*place, now)
                .is_some_and(|session| session.bound.base_key == incoming.outer.base_key)
        })
    }

    /// Makes the session at a place current.
    fn promote(&mut self, place: usize, now: Timestamp) {
        let Some(place) = place.checked_sub(1) else {
            return;
        };
        if let Some(archived) = self.archived.remove(place) {
            self.make_current(archived.session, now);
        }
    }

    /// The previous current session loses its pending data and goes to the head of the archive.
    fn make_current(&mut self, session: Session, now: Timestamp) {
        self.answered(now);
        if let Some(mut previous) = self.current.replace(session) {
            previous.pending = None;
            self.archived.push_front(Archived {
                session: previous,
                since: now,
            });
        }
        self.archived.truncate(self.profile.parameters().archived);
        let limit = self.profile.parameters().archived_seconds;
        self.archived
            .retain(|archived| limit.is_none_or(|limit| now.since(archived.since) <= limit));
    }

    fn same_account(&self) -> bool {
        self.addresses
            .as_ref()
            .is_some_and(|(ours, theirs)| ours.same_account(theirs))
    }

    /// What the `addresses` field of a message to us must be; computed only if there is one.
    fn incoming_addresses(&self, named: &Option<Vec<u8>>) -> Option<Vec<u8>> {
        let (ours, theirs) = self.addresses.as_ref()?;
        named.as_ref().and_then(|_| addresses_field(theirs, ours))
    }
}

fn outward(error: NotOpened) -> DecryptError {
    match error {
        NotOpened::Duplicate => DecryptError::Duplicate,
        NotOpened::Refused => DecryptError::Refused,
    }
}

fn used(incoming: &IncomingPreKeyMessage, own: &OwnPreKeys<'_>) -> UsedPreKeys {
    let one_time_kem = own
        .kem
        .is_some_and(|key| key.public().kind == PreKeyKind::OneTimeKem);
    let named = incoming.named();
    UsedPreKeys {
        one_time: named.one_time_id,
        one_time_kem: one_time_kem.then_some(named.kem_id),
        remember: (!one_time_kem).then_some(named.base_key_use),
    }
}
