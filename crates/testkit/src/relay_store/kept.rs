//! Heads and locks.

use super::{RelayStore, no};
use keys::{Timestamp, ed25519, sha256};
use wire::{Head, LockKey, LockState, RefusalKind, Reply};

/// A head, or what is left of one that was deleted.
#[derive(Debug, Clone)]
pub(super) struct HeadRecord {
    version: u64,
    head: Option<Head>,
}

impl HeadRecord {
    pub(super) fn bytes(&self) -> &[u8] {
        self.head.as_ref().map_or(&[], |head| &head.body)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Lock {
    pub(super) key: LockKey,
    token_hash: [u8; 32],
    delay_seconds: u64,
    opens_at: Option<Timestamp>,
}

impl RelayStore {
    /// The head with an id.
    #[must_use]
    pub fn head(&self, id: &[u8; 32]) -> Option<Head> {
        self.heads.get(id).and_then(|known| known.head.clone())
    }

    /// How many heads there are.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.heads
            .values()
            .filter(|known| known.head.is_some())
            .count()
    }

    /// Puts a head back to what it was, or forgets it: a relay that lies.
    pub fn set_head(&mut self, id: [u8; 32], head: Option<Head>) {
        match head {
            Some(head) => {
                let version = head.version;
                let head = Some(head);
                self.heads.insert(id, HeadRecord { version, head });
            }
            None => drop(self.heads.remove(&id)),
        }
    }

    pub(crate) fn put_head(&mut self, request: &wire::PutHead) -> Reply {
        let head = Head {
            public_key: request.public_key,
            version: request.version,
            previous: request.previous,
            body: request.body.clone(),
            signature: request.signature,
        };
        let id = wire::head_id(&head.public_key);
        if !head.is_signed(&id) {
            return no(RefusalKind::Forbidden);
        }
        let known = self.heads.get(&id);
        let is_there = known.is_some_and(|known| {
            known.version == head.version && known.head.is_some() && known.bytes() == head.body
        });
        if is_there {
            return Reply::Done;
        }
        if known.map_or(0, |known| known.version) != request.previous {
            return no(RefusalKind::Conflict);
        }
        self.set_head(id, Some(head));
        Reply::Done
    }

    pub(crate) fn fetch_head(&self, request: &wire::FetchHead) -> Reply {
        match self.heads.get(&request.id) {
            None => no(RefusalKind::NotFound),
            Some(HeadRecord { version, head }) => {
                let deleted = || Reply::Refused(wire::Refused::deleted(*version));
                head.clone().map_or_else(deleted, Reply::Head)
            }
        }
    }

    pub(crate) fn delete_head(&mut self, request: &wire::DeleteHead) -> Reply {
        let message = wire::delete_head_message(&request.public_key, request.version);
        if ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
            return no(RefusalKind::Forbidden);
        }
        match self.heads.get_mut(&wire::head_id(&request.public_key)) {
            Some(known) if known.head.is_some() && known.version != request.version => {
                no(RefusalKind::Conflict)
            }
            Some(known) => {
                known.head = None;
                Reply::Done
            }
            None => Reply::Done,
        }
    }

    /// Somebody with the tokens begins to open every lock, unseen in any log.
    pub fn begin_to_open_locks(&mut self, now: Timestamp) {
        for lock in self.locks.values_mut() {
            let at = now.saturating_add(lock.delay_seconds);
            lock.opens_at.get_or_insert(at);
        }
    }

    /// The locks, as (key, when it opens).
    pub fn locks(&self) -> impl Iterator<Item = (LockKey, Option<Timestamp>)> {
        self.locks.values().map(|lock| (lock.key, lock.opens_at))
    }

    pub(crate) fn put_lock(&mut self, request: &wire::PutLock) -> Reply {
        let message = wire::put_lock_message(request);
        if ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
            return no(RefusalKind::Forbidden);
        }
        let fresh = Lock {
            key: request.key,
            token_hash: request.token_hash,
            delay_seconds: request.delay_seconds,
            opens_at: None,
        };
        let id = wire::lock_id(&request.public_key);
        let lock = self.locks.entry(id).or_insert(fresh);
        let same = lock.key == request.key
            && lock.token_hash == request.token_hash
            && lock.delay_seconds == request.delay_seconds;
        if same {
            Reply::Done
        } else {
            no(RefusalKind::Conflict)
        }
    }

    pub(crate) fn open_lock(&mut self, request: &wire::OpenLock, now: Timestamp) -> Reply {
        let Some(lock) = self.locks.get_mut(&request.id) else {
            return no(RefusalKind::NotFound);
        };
        if sha256(&[request.token.as_bytes()]) != lock.token_hash {
            return no(RefusalKind::Forbidden);
        }
        let opens_at = lock
            .opens_at
            .get_or_insert_with(|| now.saturating_add(lock.delay_seconds));
        if *opens_at <= now {
            return Reply::LockKey(lock.key);
        }
        Reply::LockState(LockState {
            opens_at: Some(*opens_at),
        })
    }

    pub(crate) fn cancel_lock(&mut self, request: &wire::CancelLock) -> Reply {
        let message = wire::cancel_lock_message(&request.public_key, request.opens_at);
        if ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
            return no(RefusalKind::Forbidden);
        }
        let Some(lock) = self.locks.get_mut(&wire::lock_id(&request.public_key)) else {
            return no(RefusalKind::NotFound);
        };
        match lock.opens_at {
            Some(opens_at) if opens_at != request.opens_at => no(RefusalKind::Conflict),
            _ => {
                lock.opens_at = None;
                Reply::Done
            }
        }
    }

    pub(crate) fn lock_status(&self, request: &wire::LockStatus) -> Reply {
        let lock = self.locks.get(&request.id);
        lock.map_or_else(
            || no(RefusalKind::NotFound),
            |lock| {
                Reply::LockState(LockState {
                    opens_at: lock.opens_at,
                })
            },
        )
    }

    pub(crate) fn delete_lock(&mut self, request: &wire::DeleteLock) -> Reply {
        let message = wire::delete_lock_message(&request.public_key);
        if ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
            return no(RefusalKind::Forbidden);
        }
        self.locks.remove(&wire::lock_id(&request.public_key));
        Reply::Done
    }
}
