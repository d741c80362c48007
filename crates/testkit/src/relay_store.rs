//! What the relay of a world keeps: the stored state of docs/spec/wire.md, in memory.

mod epochs;
mod kept;
mod key_packages;
mod logs;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use epochs::Epoch;
use kept::{HeadRecord, Lock};
use key_packages::Packages;
use keys::{AccountId, DeviceId, GroupId, MessageId, QueueId, Suite, Timestamp};
use logs::Account;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{Body, Bundle, Deliver, RefusalKind, Refused, Reply, Request, RowResult};

/// The stored state of a relay. A clone is a copy of its disk.
#[derive(Debug, Clone)]
pub struct RelayStore {
    pub(crate) relay_id: [u8; 16],
    pub(crate) version: u64,
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    accounts: BTreeMap<AccountId, Account>,
    devices: BTreeMap<(AccountId, DeviceId), Device>,
    key_packages: BTreeMap<(AccountId, DeviceId), BTreeMap<Suite, Packages>>,
    tickets: BTreeMap<[u8; 32], Ticket>,
    heads: BTreeMap<[u8; 32], HeadRecord>,
    locks: BTreeMap<[u8; 32], Lock>,
    groups: BTreeMap<GroupId, Epoch>,
}

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) receive_key: [u8; 32],
    token_hash: [u8; 32],
    pub(crate) bodies: BTreeMap<u64, (Body, Timestamp)>,
    sent: BTreeMap<MessageId, u64>,
    pub(crate) next_seq: u64,
    pub(crate) acknowledged: u64,
}

#[derive(Debug, Clone)]
struct Device {
    published: wire::PublishPreKeys,
    one_time_ec: VecDeque<Vec<u8>>,
    one_time_kem: VecDeque<Vec<u8>>,
    seen: BTreeSet<[u8; 32]>,
}

#[derive(Debug, Clone)]
struct Ticket {
    expires: Timestamp,
    nonce: Option<[u8; 16]>,
}

pub(crate) fn no(kind: RefusalKind) -> Reply {
    Reply::Refused(Refused::new(kind, ""))
}

impl RelayStore {
    /// Takes the heads of an older disk, and nothing else of it.
    pub fn put_heads_back(&mut self, old: &Self) {
        self.heads.clone_from(&old.heads);
    }

    pub(crate) fn new(relay_id: [u8; 16]) -> Self {
        Self {
            relay_id,
            version: 1,
            queues: BTreeMap::new(),
            accounts: BTreeMap::new(),
            devices: BTreeMap::new(),
            key_packages: BTreeMap::new(),
            tickets: BTreeMap::new(),
            heads: BTreeMap::new(),
            locks: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// The number of bodies that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queues.values().map(|queue| queue.bodies.len()).sum()
    }

    /// Everything stored, as one run of bytes: what a thief of the relay's disk would have.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.bytes_but_pre_keys();
        for device in self.devices.values() {
            out.extend_from_slice(&Request::PublishPreKeys(device.published.clone()).encode());
            let records = device.one_time_ec.iter().chain(&device.one_time_kem);
            records.for_each(|record| out.extend_from_slice(record));
        }
        for packages in self.key_packages.values().flat_map(BTreeMap::values) {
            out.extend_from_slice(&packages.bytes());
        }
        out
    }

    /// The same without the pre-keys and key packages, which are most of it and public.
    #[must_use]
    pub fn bytes_but_pre_keys(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (queue_id, queue) in &self.queues {
            out.extend_from_slice(queue_id.as_bytes());
            out.extend_from_slice(&queue.receive_key);
            out.extend_from_slice(&queue.token_hash);
            queue
                .bodies
                .values()
                .for_each(|(body, _)| out.extend_from_slice(body));
            queue
                .sent
                .keys()
                .for_each(|message| out.extend_from_slice(message.as_bytes()));
        }
        for account in self.accounts.values() {
            out.extend_from_slice(account.name.as_bytes());
            out.extend_from_slice(&account.log);
        }
        self.tickets
            .keys()
            .for_each(|hash| out.extend_from_slice(hash));
        self.heads
            .values()
            .for_each(|head| out.extend_from_slice(head.bytes()));
        self.locks
            .values()
            .for_each(|lock| out.extend_from_slice(lock.key.as_bytes()));
        for (group, epoch) in &self.groups {
            out.extend_from_slice(group.as_bytes());
            out.extend_from_slice(epoch.token_hash());
        }
        out
    }

    pub(crate) fn create_queue(&mut self, request: &wire::CreateQueue) -> Reply {
        let fresh = Queue {
            receive_key: request.receive_key,
            token_hash: request.send_token_hash,
            bodies: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_seq: 1,
            acknowledged: 0,
        };
        let queue = self.queues.entry(request.queue_id).or_insert(fresh);
        let same =
            queue.receive_key == request.receive_key && queue.token_hash == request.send_token_hash;
        if same {
            Reply::Done
        } else {
            no(RefusalKind::Conflict)
        }
    }

    pub(crate) fn delete_queue(&mut self, request: &wire::DeleteQueue) -> Reply {
        let message = wire::delete_queue_message(&request.queue_id);
        if let Some(queue) = self.queues.get(&request.queue_id) {
            if keys::ed25519::verify(&queue.receive_key, &message, &request.signature).is_err() {
                return no(RefusalKind::Forbidden);
            }
            self.queues.remove(&request.queue_id);
        }
        Reply::Done
    }

    pub(crate) fn send(
        &mut self,
        request: &wire::Send,
        capacity: usize,
        now: Timestamp,
    ) -> Vec<RowResult> {
        let rows = request.rows.iter();
        rows.map(|row| {
            let Some(queue) = self.queues.get_mut(&row.queue_id) else {
                return RowResult::NoSuchQueue;
            };
            queue.accept(row, request, capacity, now)
        })
        .collect()
    }

    pub(crate) fn acknowledge(&mut self, queue: &QueueId, up_to: u64) {
        let Some(queue) = self.queues.get_mut(queue) else {
            return;
        };
        let up_to = up_to.min(queue.next_seq.saturating_sub(1));
        queue.acknowledged = queue.acknowledged.max(up_to);
        queue.bodies.retain(|seq, _| *seq > up_to);
    }

    pub(crate) fn publish(&mut self, request: &wire::PublishPreKeys) -> Reply {
        let account = self.accounts.get(&request.account);
        if !account.is_some_and(|account| account.has_signed(request)) {
            return no(RefusalKind::NotFound);
        }
        let device = self
            .devices
            .entry((request.account, request.device))
            .or_insert_with(|| Device {
                published: request.clone(),
                one_time_ec: VecDeque::new(),
                one_time_kem: VecDeque::new(),
                seen: BTreeSet::new(),
            });
        device.published = request.clone();
        if request.replace_one_time {
            device.one_time_ec.clear();
            device.one_time_kem.clear();
        }
        for record in &request.one_time_ec {
            if device.seen.insert(keys::sha256(&[record])) {
                device.one_time_ec.push_back(record.clone());
            }
        }
        for record in &request.one_time_kem {
            if device.seen.insert(keys::sha256(&[record])) {
                device.one_time_kem.push_back(record.clone());
            }
        }
        device.counts()
    }

    pub(crate) fn count(&self, request: &wire::PreKeyCount) -> Reply {
        let device = self.devices.get(&(request.account, request.device));
        device.map_or_else(|| no(RefusalKind::NotFound), Device::counts)
    }

    /// Takes the pre-keys for one session, as `FetchBundle` does.
    pub fn take_bundle(&mut self, account: AccountId, device: DeviceId) -> Option<Bundle> {
        let found = self.devices.get_mut(&(account, device))?;
        let one_time_kem = found.one_time_kem.pop_front();
        Some(Bundle {
            account,
            device,
            identity: found.published.identity.clone(),
            signed_ec: found.published.signed_ec.clone(),
            kem_is_one_time: one_time_kem.is_some(),
            kem: one_time_kem.unwrap_or_else(|| found.published.last_resort_kem.clone()),
            one_time_ec: found.one_time_ec.pop_front(),
            front_door: found.published.front_door,
        })
    }

    pub(crate) fn create_ticket(&mut self, request: &wire::CreateTicket) -> Reply {
        let ticket = Ticket {
            expires: request.expires,
            nonce: None,
        };
        self.tickets.entry(request.ticket_hash).or_insert(ticket);
        Reply::Done
    }

    pub(crate) fn redeem(&mut self, request: &wire::RedeemTicket, now: Timestamp) -> Reply {
        let Some(ticket) = self.tickets.get_mut(&keys::sha256(&[&request.ticket])) else {
            return no(RefusalKind::NotFound);
        };
        match ticket.nonce {
            Some(before) if before == request.nonce => Reply::Done,
            Some(_) => no(RefusalKind::Used),
            None if ticket.expires < now => no(RefusalKind::Expired),
            None => {
                ticket.nonce = Some(request.nonce);
                Reply::Done
            }
        }
    }
}

impl Queue {
    /// Whether the token of a row is the queue's.
    fn allows(&self, row: &wire::SendRow) -> bool {
        keys::sha256(&[row.token.as_bytes()]) == self.token_hash
    }

    fn accept(
        &mut self,
        row: &wire::SendRow,
        request: &wire::Send,
        capacity: usize,
        now: Timestamp,
    ) -> RowResult {
        if !self.allows(row) {
            return RowResult::BadToken;
        }
        if let Some(seq) = self.sent.get(&request.message_id) {
            return RowResult::Duplicate { seq: *seq };
        }
        if self.bodies.len() >= capacity {
            return RowResult::QueueFull;
        }
        let seq = self.next_seq;
        self.next_seq = seq.saturating_add(1);
        self.sent.insert(request.message_id, seq);
        self.bodies
            .insert(seq, (request.body.clone(), now.to_hour()));
        RowResult::Accepted { seq }
    }

    /// The body at a number, as it is pushed.
    pub(crate) fn deliver(&self, queue_id: QueueId, seq: u64) -> Option<Deliver> {
        let (body, hour) = self.bodies.get(&seq)?;
        let body = Body::new(Bytes::copy_from_slice(body)).ok()?;
        Some(Deliver {
            queue_id,
            seq,
            body,
            hour: *hour,
        })
    }
}

impl Device {
    fn counts(&self) -> Reply {
        let count = |keys: &VecDeque<Vec<u8>>| u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Reply::PreKeyCounts(wire::PreKeyCounts {
            one_time_ec: count(&self.one_time_ec),
            one_time_kem: count(&self.one_time_kem),
        })
    }
}
