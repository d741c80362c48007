//! Who holds what: computed from a profile and the account logs in it.

use super::{HeldKey, Holder, HolderKind, Place, Remark, contact, letter};
use crate::account;
use crate::backup;
use crate::contacts;
use crate::error::{EngineError, StoreError};
use crate::group::pair;
use crate::group::stays::{self, Stay};
use crate::limits;
use crate::records::{
    Backup, Contact, Delivery, DeliveryState, Direction, Letter, LetterState, OwnAccount,
    Record as _,
};
use crate::store::{Snapshot, Table};
use keys::account_log::{DeviceRecord, EntryKind, Method, VerifiedLog};
use keys::{AccountId, DeviceId, GroupId, LetterId, Timestamp};

/// What is looked at.
pub(super) struct View {
    own: OwnAccount,
    log: VerifiedLog,
    /// The backup, where this device writes it.
    backup: Option<Backup>,
    /// Whether this device could go on with the backup.
    standby: bool,
    /// Methods whose backup holds everything of now.
    complete: Vec<Method>,
}

impl View {
    pub(super) fn new(snapshot: &dyn Snapshot) -> Result<Self, EngineError> {
        let own = account::read(snapshot)?.ok_or(EngineError::NoAccount)?;
        let log = account::log_of(&own)?;
        let row = snapshot.get(Table::Meta, backup::BACKUP)?;
        let state = backup::state(snapshot)?;
        let state = state.filter(|state| state.complete && state.at.is_some());
        Ok(Self {
            own,
            log,
            backup: row.map(|row| Backup::decode(&row)).transpose()?,
            standby: snapshot
                .get(Table::Meta, crate::standby::STANDBY)?
                .is_some(),
            complete: state.map(|state| state.methods).unwrap_or_default(),
        })
    }

    fn holder(&self, kind: HolderKind, account: AccountId, key: HeldKey) -> Holder {
        Holder {
            kind,
            account,
            device: None,
            key,
            place: Place::Profile,
            certain: true,
            since: None,
            until: None,
            need: None,
            delay_seconds: 0,
            remark: None,
        }
    }

    fn own_device(&self, device: &DeviceRecord, key: HeldKey) -> Holder {
        Holder {
            device: Some(*device.id()),
            since: Some(device.added()),
            ..self.holder(HolderKind::OwnDevice, self.own.id, key)
        }
    }

    /// A way back of an account, if it is set.
    fn way_back(&self, log: &VerifiedLog, method: Method, key: HeldKey) -> Option<Holder> {
        let record = log.recovery(method)?;
        let mut entries = log.entries().iter().rev();
        let set = entries.find(|entry| entry.method == Some(method));
        let terms = record.terms();
        let count = u8::try_from(terms.commitments.len()).unwrap_or(u8::MAX);
        let (kind, place, need) = match method {
            Method::Sheet => (HolderKind::Sheet, Place::Paper, None),
            Method::Guardians => (
                HolderKind::Guardians,
                Place::Shares,
                Some((terms.need, count)),
            ),
        };
        Some(Holder {
            place,
            need,
            delay_seconds: terms.delay_seconds,
            since: set.map(|entry| entry.at),
            ..self.holder(kind, *log.account_id(), key)
        })
    }

    /// Who opens the own backup.
    fn backup_of_letter(&self) -> Vec<Holder> {
        let mut holders = Vec::new();
        for method in Method::ALL {
            let way = self.way_back(&self.log, method, HeldKey::Recovery);
            holders.extend(way.map(|holder| self.behind(holder, method)));
        }
        let parts = self.backup.as_ref();
        let parts = parts.filter(|backup| !backup.parts.is_empty() || !backup.packed.is_empty());
        let this = self.log.device(&self.own.device);
        if let (Some(_), Some(device)) = (parts, this) {
            // It packed them; what is in the head alone it cannot open again.
            holders.push(Holder {
                certain: false,
                ..self.own_device(device, HeldKey::BackupParts)
            });
        }
        holders
    }

    fn behind(&self, holder: Holder, method: Method) -> Holder {
        if self.complete.contains(&method) {
            return holder;
        }
        Holder {
            certain: false,
            remark: Some(Remark::BackupBehind),
            ..holder
        }
    }

    /// Who opens the backup of a contact, which we cannot see.
    fn backup_of_contact(&self, log: &VerifiedLog) -> Vec<Holder> {
        let ways = Method::ALL.into_iter();
        let ways = ways.filter_map(|method| self.way_back(log, method, HeldKey::Recovery));
        ways.map(|holder| Holder {
            certain: false,
            remark: Some(Remark::BackupBehind),
            ..holder
        })
        .collect()
    }

    pub(super) fn letter_of(
        &self,
        snapshot: &dyn Snapshot,
        letter: &Letter,
    ) -> Result<Vec<Holder>, EngineError> {
        if letter.author.is_some() {
            return self.letter_of_group(snapshot, letter);
        }
        let theirs = match contact(snapshot, &letter.contact)? {
            Some(contact) => Some(contacts::log_of(&contact)?),
            None => None,
        };
        Ok(self.letter(letter, theirs.as_ref()))
    }

    fn letter(&self, letter: &Letter, theirs: Option<&VerifiedLog>) -> Vec<Holder> {
        let mut holders = self.own_devices(letter);
        if letter.state != LetterState::Uploading {
            holders.extend(
                theirs
                    .into_iter()
                    .flat_map(|log| devices_of(self, letter, log)),
            );
        }
        holders.extend(self.backup_of_letter());
        // A letter that went nowhere is in nobody else's backup.
        let left = letter.direction == Direction::Received
            || holders
                .iter()
                .any(|holder| holder.kind == HolderKind::ContactDevice);
        if left && let Some(log) = theirs {
            holders.extend(self.backup_of_contact(log));
        }
        holders
    }

    /// The devices that were in the group when the letter was sent, and those of whoever it was shared with since; those
    /// of our own that came later may have it with the history.
    fn letter_of_group(
        &self,
        snapshot: &dyn Snapshot,
        letter: &Letter,
    ) -> Result<Vec<Holder>, EngineError> {
        let group = GroupId::from_bytes(*letter.contact.as_bytes());
        let mut stays = stays::of(snapshot, &group)?;
        let pairs = pair::all(snapshot, &letter.contact)?;
        for pair in &pairs {
            stays.extend(stays::of(snapshot, &pair.id)?);
        }
        if !pairs.is_empty() {
            stays.sort_by_key(|stay| !stay.covers(letter.order)); // The first of a device counts.
        }
        let left = matches!(
            letter.state,
            LetterState::Sent | LetterState::Received | LetterState::Read
        );
        // What was shared with us stands here later than it was written.
        let ours = letter.marks.shared_by.is_none();
        let reads = |stay: &&Stay| left && ours && stay.covers(letter.order);
        let shared = |stay: &&Stay| {
            let mut shares = letter.marks.shares.iter();
            shares.any(|share| share.with == stay.name.account && stay.was_on(share.at))
        };
        let of = |device: &DeviceId, has: &dyn Fn(&&Stay) -> bool| {
            let mut stays = stays.iter().filter(|stay| stay.name.device == *device);
            stays.any(|stay| has(&stay))
        };
        let mut holders = Vec::new();
        for device in self.log.devices() {
            let holder = self.own_device(device, HeldKey::Profile);
            let (this, id) = (*device.id() == self.own.device, device.id());
            holders.push(match (this || of(id, &reads), of(id, &shared)) {
                (true, false) => holder,
                (_, true) if ours => holder,
                (_, true) => marked(holder, Remark::Shared),
                (false, false) => with_history(holder),
            });
        }
        let mut known: Vec<DeviceId> = Vec::new();
        for stay in &stays {
            let own = stay.name.account == self.own.id;
            // What is out of force keeps what it had.
            let listed = own && self.log.device(&stay.name.device).is_some();
            let remark = match (reads(&stay), shared(&stay)) {
                _ if listed || known.contains(&stay.name.device) => continue,
                (true, _) => own.then_some(Remark::Revoked),
                (false, true) => Some(Remark::Shared),
                (false, false) if ours || own => continue,
                (false, false) => Some(Remark::Before),
            };
            known.push(stay.name.device);
            let kind = match own {
                true => HolderKind::OwnDevice,
                false => HolderKind::ContactDevice,
            };
            holders.push(Holder {
                device: Some(stay.name.device),
                remark,
                certain: remark != Some(Remark::Before),
                ..self.holder(kind, stay.name.account, HeldKey::Profile)
            });
        }
        holders.extend(self.backup_of_letter());
        Ok(holders)
    }

    /// Who reads what is sent in a group now.
    pub(super) fn group(
        &self,
        snapshot: &dyn Snapshot,
        group: &GroupId,
    ) -> Result<Vec<Holder>, EngineError> {
        let stays = stays::of(snapshot, group)?;
        let mut holders = Vec::new();
        for stay in stays.iter().filter(|stay| stay.goes_on()) {
            let name = &stay.name;
            let own = name.account == self.own.id;
            holders.push(match self.log.device(&name.device) {
                Some(device) if own => self.own_device(device, HeldKey::Profile),
                // It goes with the next commit, and reads until then.
                None if own => Holder {
                    device: Some(name.device),
                    remark: Some(Remark::Revoked),
                    ..self.holder(HolderKind::OwnDevice, name.account, HeldKey::Profile)
                },
                _ => Holder {
                    device: Some(name.device),
                    ..self.holder(HolderKind::ContactDevice, name.account, HeldKey::Profile)
                },
            });
        }
        if !holders.is_empty() {
            holders.extend(self.backup_of_letter());
        }
        Ok(holders)
    }

    fn own_devices(&self, letter: &Letter) -> Vec<Holder> {
        let mut holders = Vec::new();
        for device in self.log.devices() {
            let holder = self.own_device(device, HeldKey::Profile);
            if *device.id() == self.own.device {
                holders.push(holder);
                continue;
            }
            let delivery = delivery_to(letter, device.id(), true);
            let sent_here = letter.deliveries.iter().any(|delivery| !delivery.own);
            let addressed = device.added() <= letter.sent_at
                && !was_away(&self.log, device.id(), letter.sent_at)
                && !(letter.direction == Direction::Sent && sent_here);
            holders.extend(match delivery {
                Some(delivery) => delivered(holder, delivery),
                None if addressed => Some(holder),
                None => Some(with_history(holder)),
            });
        }
        for (record, at, remark) in out_of_force(&self.log) {
            let holder = self.own_device(record, HeldKey::Profile);
            let delivery = delivery_to(letter, record.id(), true);
            holders.extend(was_there(holder, delivery, letter, (at, remark)));
        }
        holders
    }

    pub(super) fn enclosure(
        &self,
        snapshot: &dyn Snapshot,
        letter: &Letter,
    ) -> Result<Vec<Holder>, EngineError> {
        let until = letter.sent_at.saturating_add(limits::BLOB_KEPT_SECONDS);
        let holders = self.letter_of(snapshot, letter)?.into_iter();
        let file = |holder: Holder| Holder {
            // Whoever opens the letter has the key; elsewhere it stands only under another one.
            key: match holder.key {
                HeldKey::Profile => HeldKey::Enclosure,
                key => key,
            },
            until: Some(until),
            ..holder
        };
        Ok(holders.map(file).collect())
    }

    pub(super) fn conversation(
        &self,
        snapshot: &dyn Snapshot,
        contact: &Contact,
    ) -> Result<Vec<Holder>, EngineError> {
        let log = contacts::log_of(contact)?;
        let mut holders: Vec<Holder> = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = snapshot.scan(
                Table::Conversation,
                contact.id.as_bytes(),
                after.as_deref(),
                limits::PAGE,
            )?;
            let Some((last, _)) = rows.last() else {
                break;
            };
            after = Some(last.clone());
            for (_, id) in &rows {
                let id = LetterId::from_slice(id).ok_or(StoreError::Damaged {
                    what: "conversation",
                })?;
                if let Some(letter) = letter(snapshot, &id)? {
                    let of_letter = self.letter(&letter, Some(&log));
                    of_letter
                        .into_iter()
                        .for_each(|holder| merge(&mut holders, holder));
                }
            }
        }
        if holders.is_empty() {
            holders = self.own_devices_alone();
        }
        Ok(holders)
    }

    /// Who will have the next letter at once: an empty conversation.
    fn own_devices_alone(&self) -> Vec<Holder> {
        let devices = self.log.devices().iter();
        devices
            .map(|device| self.own_device(device, HeldKey::Profile))
            .collect()
    }

    pub(super) fn own_account(&self) -> Vec<Holder> {
        let mut holders = self.root();
        for device in self.log.devices() {
            holders.extend(device_keys(
                self.own_device(device, HeldKey::Signing),
                (device, &self.log),
            ));
            let this = *device.id() == self.own.device;
            let here = self.backup.is_some() || self.standby;
            let several = self.log.devices().len() > 1;
            if Method::ALL
                .iter()
                .any(|method| self.log.recovery(*method).is_some())
                && (if this { here } else { several })
            {
                holders.push(Holder {
                    certain: this,
                    ..self.own_device(device, HeldKey::BackupHead)
                });
            }
        }
        let ways = Method::ALL.into_iter();
        holders
            .extend(ways.filter_map(|method| self.way_back(&self.log, method, HeldKey::Recovery)));
        holders
    }

    /// Where the root key is.
    fn root(&self) -> Vec<Holder> {
        let mut holders = Vec::new();
        let this = self.log.device(&self.own.device);
        if let (Some(_), Some(device)) = (&self.own.root, this) {
            holders.push(self.own_device(device, HeldKey::Root));
        }
        let methods = self.backup.iter().flat_map(|backup| &backup.methods);
        let sealed: Vec<Method> = methods
            .filter(|method| !method.sealed_root.is_empty() && method.version > 0)
            .map(|method| method.method)
            .collect();
        for method in Method::ALL {
            let Some(way) = self.way_back(&self.log, method, HeldKey::Root) else {
                continue;
            };
            if self.backup.is_none() || sealed.contains(&method) {
                holders.push(Holder {
                    place: Place::Backup,
                    certain: sealed.contains(&method),
                    ..way
                });
            }
        }
        if holders.iter().all(|holder| !holder.certain) {
            holders.push(Holder {
                place: Place::Unknown,
                certain: false,
                ..self.holder(HolderKind::Root, self.own.id, HeldKey::Root)
            });
        }
        holders
    }

    pub(super) fn contact_account(&self, contact: &Contact) -> Result<Vec<Holder>, EngineError> {
        let log = contacts::log_of(contact)?;
        let mut holders = vec![Holder {
            place: Place::Unknown,
            ..self.holder(HolderKind::Root, contact.id, HeldKey::Root)
        }];
        for device in log.devices() {
            let holder = contact_device(self, &log, device, HeldKey::Signing);
            holders.extend(device_keys(holder, (device, &log)));
        }
        let ways = Method::ALL.into_iter();
        holders.extend(ways.filter_map(|method| self.way_back(&log, method, HeldKey::Recovery)));
        Ok(holders)
    }
}

/// The long-lived keys of a device in force.
fn device_keys(
    holder: Holder,
    (device, log): (&DeviceRecord, &VerifiedLog),
) -> impl Iterator<Item = Holder> {
    // A device that was senior at the newest entry stays so; others become so by time alone.
    let senior = log.is_senior(
        device.id(),
        log.entries()
            .last()
            .map_or_else(|| device.added(), |entry| entry.at),
    );
    let remark = match (device.is_admin(), senior) {
        (false, _) => Remark::Plain,
        (true, true) => Remark::Senior,
        (true, false) => Remark::Young,
    };
    let with = move |(key, remark)| Holder {
        key,
        remark,
        ..holder
    };
    let identity = device.identity().map(|_| (HeldKey::Identity, None));
    let signing = [(HeldKey::Signing, Some(remark))].into_iter();
    let envelope = [(HeldKey::Envelope, None)];
    signing.chain(identity).chain(envelope).map(with)
}

fn contact_device(view: &View, log: &VerifiedLog, device: &DeviceRecord, key: HeldKey) -> Holder {
    Holder {
        device: Some(*device.id()),
        since: Some(device.added()),
        ..view.holder(HolderKind::ContactDevice, *log.account_id(), key)
    }
}

/// Devices of the contact that have a letter, or can open what lies at the relay for them.
fn devices_of(view: &View, letter: &Letter, log: &VerifiedLog) -> Vec<Holder> {
    let mut holders = Vec::new();
    let sent = letter.direction == Direction::Sent;
    // Who sent it from another device of ours saw to its delivery.
    let known = letter.deliveries.iter().any(|delivery| !delivery.own);
    for device in log.devices() {
        let holder = contact_device(view, log, device, HeldKey::Profile);
        let away = was_away(log, device.id(), letter.sent_at);
        let there = device.added() <= letter.sent_at && !away;
        holders.extend(match delivery_to(letter, device.id(), false) {
            Some(delivery) => delivered(holder, delivery),
            None if sent && !known && there => Some(Holder {
                certain: false,
                ..holder
            }),
            None if !sent && there => Some(holder),
            None => Some(with_history(holder)),
        });
    }
    for (record, at, remark) in out_of_force(log) {
        let holder = contact_device(view, log, record, HeldKey::Profile);
        let delivery = delivery_to(letter, record.id(), false);
        holders.extend(was_there(holder, delivery, letter, (at, remark)));
    }
    let reached = |holder: &Holder| holder.certain || holder.remark != Some(Remark::History);
    // What reached no device, none of them can have handed on.
    if sent && known && !holders.iter().any(reached) {
        holders.clear();
    }
    holders
}

fn delivery_to<'a>(letter: &'a Letter, device: &DeviceId, own: bool) -> Option<&'a Delivery> {
    let mut deliveries = letter.deliveries.iter();
    deliveries.find(|delivery| delivery.device == *device && delivery.own == own)
}

/// What a device has of a letter that was sealed for it here.
fn delivered(holder: Holder, delivery: &Delivery) -> Option<Holder> {
    match delivery.state {
        DeliveryState::Delivered => Some(holder),
        DeliveryState::Sealed | DeliveryState::Accepted => Some(Holder {
            key: HeldKey::Message,
            remark: Some(Remark::UnderWay),
            ..holder
        }),
        // Nothing was sealed for it.
        DeliveryState::Waiting | DeliveryState::Failed => None,
    }
}

/// A device of which something else is to be known.
fn marked(holder: Holder, remark: Remark) -> Holder {
    Holder {
        remark: Some(remark),
        ..holder
    }
}

/// A device that joined after a letter.
fn with_history(holder: Holder) -> Holder {
    Holder {
        certain: false,
        remark: Some(Remark::History),
        ..holder
    }
}

/// Devices that are revoked or suspended, and since when.
fn out_of_force(log: &VerifiedLog) -> impl Iterator<Item = (&DeviceRecord, Timestamp, Remark)> {
    let revoked = log.revoked().iter();
    let revoked = revoked.map(|gone| (&gone.record, gone.at, Remark::Revoked));
    let suspended = log.suspended().iter();
    revoked.chain(suspended.map(|gone| (&gone.record, gone.at, Remark::Suspended)))
}

/// Whether a device that is in force may have been suspended when a letter was written.
fn was_away(log: &VerifiedLog, device: &DeviceId, at: Timestamp) -> bool {
    let mut since = None;
    for entry in log.entries() {
        match entry.kind {
            _ if entry.subject.as_ref() != Some(device) => {}
            EntryKind::SuspendDevice => since = Some(entry.at),
            // Logs know the hour alone.
            EntryKind::ResumeDevice if at <= entry.at.saturating_add(3600) => {
                return since.is_some_and(|since| since <= at);
            }
            _ => {}
        }
    }
    false
}

/// A device that was put out of force after a letter was written.
fn was_there(
    holder: Holder,
    delivery: Option<&Delivery>,
    letter: &Letter,
    (gone, remark): (Timestamp, Remark),
) -> Option<Holder> {
    let delivered = delivery.is_some_and(|delivery| delivery.state == DeliveryState::Delivered);
    // Logs know the hour alone.
    let end = gone.saturating_add(3600);
    let there = holder.since.is_some_and(|since| since <= letter.sent_at) && letter.sent_at <= end;
    (delivered || there).then_some(Holder {
        certain: delivered,
        remark: Some(remark),
        ..holder
    })
}

/// Adds a holder to those of other letters: what is certain for one letter is certain.
fn merge(holders: &mut Vec<Holder>, holder: Holder) {
    let same = |other: &&mut Holder| {
        other.kind == holder.kind
            && other.account == holder.account
            && other.device == holder.device
            && other.key == holder.key
    };
    match holders.iter_mut().find(same) {
        Some(other) if holder.certain && !other.certain => *other = holder,
        Some(_) => {}
        None => holders.push(holder),
    }
}
