//! The symmetric chain: turns epoch secrets into message keys (docs/spec/ratchet.md, section 5.7).

use super::SpqrError;
use super::labels::SpqrLabels;
use crate::parts::part;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{Secret, hkdf_sha256};
use std::collections::{BTreeMap, VecDeque};

/// Which side one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The initiator.
    A2B,
    /// The responder.
    B2A,
}

/// Bounds of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainLimits {
    /// Furthest step forward in one direction of one epoch.
    pub(crate) jump: u32,
    /// How late a key may be used.
    pub(crate) window: u32,
}

/// Most links that a stored chain may have.
const MAX_LINKS: u32 = 64;
const ZERO_SALT: [u8; 32] = [0; 32];

/// One direction of one epoch.
struct Direction {
    ctr: u32,
    /// Erased in the sending direction once a newer epoch is in use.
    next: Option<Secret<32>>,
    /// Keys passed over, by index; receiving only.
    stored: BTreeMap<u32, Secret<32>>,
}

/// Both directions of one epoch.
struct Link {
    send: Direction,
    recv: Direction,
}

/// The chain of one session.
pub(crate) struct Chain {
    role: Role,
    limits: ChainLimits,
    /// Epoch of the first link.
    first: u64,
    links: VecDeque<Link>,
    next_root: Secret<32>,
    send_epoch: u64,
}

/// A new epoch that is not in the chain yet.
pub(crate) struct NewEpoch {
    epoch: u64,
    link: Link,
    next_root: Secret<32>,
}

/// What receiving one message changes.
pub(crate) struct ChainDelta {
    epoch: u64,
    change: Change,
}

enum Change {
    /// The direction went on to `ctr`; keys between are kept.
    Advance {
        ctr: u32,
        next: Secret<32>,
        skipped: Vec<(u32, Secret<32>)>,
    },
    /// A kept key was used.
    Take { index: u32 },
}

fn split(okm: &Secret<96>) -> [Secret<32>; 3] {
    [part(okm, 0), part(okm, 32), part(okm, 64)]
}

fn link(role: Role, a2b: Secret<32>, b2a: Secret<32>) -> Link {
    let (send, recv) = match role {
        Role::A2B => (a2b, b2a),
        Role::B2A => (b2a, a2b),
    };
    Link {
        send: Direction::new(send),
        recv: Direction::new(recv),
    }
}

/// *Formula*: `HKDF(0^32, next, BE4(ctr) ‖ label, 64)` = next ‖ message key.
fn step(next: &Secret<32>, ctr: u32, labels: &SpqrLabels) -> (Secret<32>, Secret<32>) {
    let okm: Secret<64> = hkdf_sha256(
        &ZERO_SALT,
        &[next.expose_secret()],
        &[&ctr.to_be_bytes(), labels.next.as_bytes()],
    );
    (part(&okm, 0), part(&okm, 32))
}

impl Direction {
    fn new(next: Secret<32>) -> Self {
        Self {
            ctr: 0,
            next: Some(next),
            stored: BTreeMap::new(),
        }
    }

    fn write(&self, out: &mut Writer) {
        out.u32(self.ctr);
        out.u8(u8::from(self.next.is_some()));
        if let Some(next) = &self.next {
            out.array(next.expose_secret());
        }
        out.u32(u32::try_from(self.stored.len()).unwrap_or(u32::MAX));
        for (index, key) in &self.stored {
            out.u32(*index);
            out.array(key.expose_secret());
        }
    }

    fn read(input: &mut Reader<'_>, limits: ChainLimits) -> Result<Self, DecodeError> {
        let ctr = input.u32()?;
        let next = match input.u8()? {
            0 => None,
            1 => Some(read_secret(input)?),
            _ => return Err(DecodeError::Invalid),
        };
        let count = input.u32()?;
        if count > limits.window.saturating_add(1) {
            return Err(DecodeError::Invalid);
        }
        let mut stored = BTreeMap::new();
        let mut last = None;
        for _ in 0..count {
            let index = input.u32()?;
            if index > ctr || last.is_some_and(|last| last >= index) {
                return Err(DecodeError::Invalid);
            }
            last = Some(index);
            stored.insert(index, read_secret(input)?);
        }
        Ok(Self { ctr, next, stored })
    }
}

pub(super) fn read_secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    Secret::from_slice(input.take(32)?).ok_or(DecodeError::Short)
}

impl Chain {
    /// Begins with epoch 0.
    ///
    /// *Formula*: `HKDF(0^32, auth key, start, 96)` = next_root ‖ key of A2B ‖ key of B2A.
    pub(crate) fn new(
        role: Role,
        auth_key: &Secret<32>,
        labels: &SpqrLabels,
        limits: ChainLimits,
    ) -> Self {
        let okm: Secret<96> = hkdf_sha256(
            &ZERO_SALT,
            &[auth_key.expose_secret()],
            &[labels.start.as_bytes()],
        );
        let [next_root, a2b, b2a] = split(&okm);
        let links = VecDeque::from([link(role, a2b, b2a)]);
        Self {
            role,
            limits,
            first: 0,
            links,
            next_root,
            send_epoch: 0,
        }
    }

    /// The newest epoch.
    pub(crate) fn newest(&self) -> u64 {
        self.first
            .saturating_add(self.links.len() as u64)
            .saturating_sub(1)
    }

    /// Derives the epoch after the newest one.
    pub(crate) fn new_epoch(
        &self,
        epoch: u64,
        secret: &Secret<32>,
        labels: &SpqrLabels,
    ) -> Result<NewEpoch, SpqrError> {
        if self.newest().checked_add(1) != Some(epoch) {
            return Err(SpqrError::Epoch { got: epoch });
        }
        let okm: Secret<96> = hkdf_sha256(
            self.next_root.expose_secret(),
            &[secret.expose_secret()],
            &[labels.epoch.as_bytes()],
        );
        let [next_root, a2b, b2a] = split(&okm);
        Ok(NewEpoch {
            epoch,
            link: link(self.role, a2b, b2a),
            next_root,
        })
    }

    /// Takes a new epoch.
    pub(crate) fn add_epoch(&mut self, new: NewEpoch) {
        debug_assert_eq!(self.newest().checked_add(1), Some(new.epoch));
        self.links.push_back(new.link);
        self.next_root = new.next_root;
    }

    fn place(&self, epoch: u64) -> Result<usize, SpqrError> {
        epoch
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok())
            .filter(|place| *place < self.links.len())
            .ok_or(SpqrError::Epoch { got: epoch })
    }

    /// Whether [`Chain::send_key`] can give a key of this epoch, or of the one after the newest.
    pub(crate) fn can_send(&self, epoch: u64) -> Result<(), SpqrError> {
        if epoch < self.send_epoch {
            return Err(SpqrError::Epoch { got: epoch });
        }
        match self.links.get(self.place(epoch)?) {
            Some(link) if link.send.ctr < u32::MAX && link.send.next.is_some() => Ok(()),
            _ => Err(SpqrError::CounterEnd),
        }
    }

    /// The next sending key of an epoch, with its index.
    pub(crate) fn send_key(
        &mut self,
        epoch: u64,
        labels: &SpqrLabels,
    ) -> Result<(u32, Secret<32>), SpqrError> {
        self.can_send(epoch)?;
        if epoch > self.send_epoch {
            self.send_epoch = epoch;
            // Receiving keys of one older epoch stay; everything before is dropped, and the old sending chain.
            while self.first.saturating_add(1) < epoch {
                self.links.pop_front();
                self.first = self.first.saturating_add(1);
            }
            if let Some(previous) = epoch
                .checked_sub(1)
                .and_then(|epoch| self.place(epoch).ok())
                && let Some(link) = self.links.get_mut(previous)
            {
                link.send.next = None;
            }
        }
        let place = self.place(epoch)?;
        let link = self
            .links
            .get_mut(place)
            .ok_or(SpqrError::Epoch { got: epoch })?;
        let ctr = link.send.ctr.checked_add(1).ok_or(SpqrError::CounterEnd)?;
        let next = link.send.next.as_ref().ok_or(SpqrError::CounterEnd)?;
        let (next, key) = step(next, ctr, labels);
        link.send.ctr = ctr;
        link.send.next = Some(next);
        Ok((ctr, key))
    }

    /// Finds a receiving key without changing anything.
    pub(crate) fn stage_receive(
        &self,
        epoch: u64,
        index: u32,
        labels: &SpqrLabels,
    ) -> Result<(ChainDelta, Secret<32>), SpqrError> {
        let recv = &self
            .links
            .get(self.place(epoch)?)
            .ok_or(SpqrError::Epoch { got: epoch })?
            .recv;
        if let Some(distance) = index.checked_sub(recv.ctr).filter(|distance| *distance > 0) {
            // SECURITY: before any hashing; `jumps_beyond_the_limit_are_refused` notices.
            if distance > self.limits.jump {
                return Err(SpqrError::Jump {
                    got: distance,
                    max: self.limits.jump,
                });
            }
            return self.stage_advance(epoch, recv, index, labels);
        }
        if index == recv.ctr {
            return Err(SpqrError::Used);
        }
        if index.saturating_add(self.limits.window) < recv.ctr {
            return Err(SpqrError::Trimmed);
        }
        let key = recv.stored.get(&index).ok_or(SpqrError::Used)?.duplicate();
        Ok((
            ChainDelta {
                epoch,
                change: Change::Take { index },
            },
            key,
        ))
    }

    fn stage_advance(
        &self,
        epoch: u64,
        recv: &Direction,
        index: u32,
        labels: &SpqrLabels,
    ) -> Result<(ChainDelta, Secret<32>), SpqrError> {
        let mut skipped = Vec::new();
        let first = recv.next.as_ref().ok_or(SpqrError::Internal)?;
        let mut ctr = recv.ctr.checked_add(1).ok_or(SpqrError::CounterEnd)?;
        let (mut next, mut key) = step(first, ctr, labels);
        while ctr < index {
            if ctr >= index.saturating_sub(self.limits.window) {
                skipped.push((ctr, key));
            }
            ctr = ctr.checked_add(1).ok_or(SpqrError::CounterEnd)?;
            (next, key) = step(&next, ctr, labels);
        }
        Ok((
            ChainDelta {
                epoch,
                change: Change::Advance { ctr, next, skipped },
            },
            key,
        ))
    }

    /// Takes what [`Chain::stage_receive`] found.
    pub(crate) fn commit(&mut self, delta: ChainDelta) {
        let window = self.limits.window;
        let Ok(place) = self.place(delta.epoch) else {
            return;
        };
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        match delta.change {
            Change::Advance { ctr, next, skipped } => {
                link.recv.ctr = ctr;
                link.recv.next = Some(next);
                if !link.recv.stored.is_empty() {
                    link.recv.stored = link.recv.stored.split_off(&ctr.saturating_sub(window));
                }
                link.recv.stored.extend(skipped);
            }
            Change::Take { index } => {
                link.recv.stored.remove(&index);
            }
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u8(match self.role {
            Role::A2B => 0,
            Role::B2A => 1,
        });
        out.u32(self.limits.jump);
        out.u32(self.limits.window);
        out.u64(self.first);
        out.u64(self.send_epoch);
        out.array(self.next_root.expose_secret());
        out.u32(u32::try_from(self.links.len()).unwrap_or(u32::MAX));
        for link in &self.links {
            link.send.write(out);
            link.recv.write(out);
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let role = match input.u8()? {
            0 => Role::A2B,
            1 => Role::B2A,
            _ => return Err(DecodeError::Invalid),
        };
        let limits = ChainLimits {
            jump: input.u32()?,
            window: input.u32()?,
        };
        let first = input.u64()?;
        let send_epoch = input.u64()?;
        let next_root = read_secret(input)?;
        let count = input.u32()?;
        if count == 0 || count > MAX_LINKS || limits.window > 100_000 {
            return Err(DecodeError::Invalid);
        }
        let mut links = VecDeque::new();
        for _ in 0..count {
            links.push_back(Link {
                send: Direction::read(input, limits)?,
                recv: Direction::read(input, limits)?,
            });
        }
        let chain = Self {
            role,
            limits,
            first,
            links,
            next_root,
            send_epoch,
        };
        if first.checked_add(u64::from(count)).is_none() || chain.place(send_epoch).is_err() {
            return Err(DecodeError::Invalid);
        }
        Ok(chain)
    }
}

/// One direction of one epoch, as vectors state it.
#[cfg(feature = "replay")]
pub(crate) struct DirectionView<'a> {
    pub(crate) ctr: u32,
    pub(crate) next: Option<&'a Secret<32>>,
    pub(crate) stored: &'a BTreeMap<u32, Secret<32>>,
}

#[cfg(feature = "replay")]
impl Chain {
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The epoch of the last sent key.
    pub(crate) fn send_epoch(&self) -> u64 {
        self.send_epoch
    }

    pub(crate) fn next_root(&self) -> &Secret<32> {
        &self.next_root
    }

    /// Sending and receiving direction of each epoch, oldest first.
    pub(crate) fn directions(&self) -> Vec<[DirectionView<'_>; 2]> {
        self.links
            .iter()
            .map(|link| [link.send.view(), link.recv.view()])
            .collect()
    }
}

#[cfg(feature = "replay")]
impl Direction {
    fn view(&self) -> DirectionView<'_> {
        DirectionView {
            ctr: self.ctr,
            next: self.next.as_ref(),
            stored: &self.stored,
        }
    }
}
