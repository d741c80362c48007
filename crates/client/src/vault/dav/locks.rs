//! Locks of WebDAV: who wrote there last says who may write. They are held in memory, for a while, and for all below.

use crate::limits;
use crate::os;
use data_encoding::HEXLOWER;
use std::time::Instant;

type Names = [Vec<u8>];

struct Lock {
    names: Vec<Vec<u8>>,
    token: String,
    until: Instant,
}

#[derive(Default)]
pub(super) struct Locks(Vec<Lock>);

fn until() -> Instant {
    let now = os::instant();
    now.checked_add(limits::DAV_LOCK).unwrap_or(now)
}

fn touch(one: &Names, other: &Names) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

impl Locks {
    fn drop_old(&mut self) {
        let now = os::instant();
        self.0.retain(|lock| lock.until > now);
    }

    /// Whether nobody else has a lock there; `shown` holds the tokens that a request shows.
    pub(super) fn is_free(&mut self, names: &Names, shown: &str) -> bool {
        self.drop_old();
        let hinders = |lock: &Lock| touch(&lock.names, names) && !shown.contains(&lock.token);
        !self.0.iter().any(hinders)
    }

    /// Takes a lock; its token. Nothing: somebody has one there, or there are too many.
    pub(super) fn lock(&mut self, names: &Names, shown: &str) -> Option<String> {
        if !self.is_free(names, shown) || self.0.len() >= limits::DAV_LOCKS {
            return None;
        }
        let token = HEXLOWER.encode(&os::random::<16>());
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| token.get(part));
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        let token = format!("opaquelocktoken:{}", parts.join("-"));
        self.0.push(Lock {
            names: names.to_vec(),
            token: token.clone(),
            until: until(),
        });
        Some(token)
    }

    /// Holds a lock for longer.
    pub(super) fn refresh(&mut self, names: &Names, shown: &str) -> Option<String> {
        self.drop_old();
        let ours = |lock: &&mut Lock| touch(&lock.names, names) && shown.contains(&lock.token);
        let lock = self.0.iter_mut().find(ours)?;
        lock.until = until();
        Some(lock.token.clone())
    }

    /// Gives a lock back; whether it was there.
    pub(super) fn unlock(&mut self, names: &Names, shown: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|lock| !(touch(&lock.names, names) && shown.contains(&lock.token)));
        self.0.len() < before
    }

    /// What has been there is there no more.
    pub(super) fn forget(&mut self, names: &Names) {
        self.0.retain(|lock| !lock.names.starts_with(names));
    }

    /// The token of a lock of this very path.
    pub(super) fn at(&self, names: &Names) -> Option<&str> {
        let lock = self.0.iter().find(|lock| lock.names == names);
        lock.map(|lock| lock.token.as_str())
    }
}
