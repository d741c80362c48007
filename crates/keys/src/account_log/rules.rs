//! Who may do what: the rules that every reader checks (docs/spec/account-log.md, section 5).

use super::MAX_DEVICES;
use super::body::{Body, Payload, Reason};
use super::device::DeviceRecord;
use super::entry::Signer;
use super::error::LogError;
use super::recovery::{Method, RecoveryRecord, RecoveryRequest};
use super::state::{Revocation, Standing, State, Suspension, WayBack};
use crate::sign::VerifyingKey;
use crate::{DeviceId, Timestamp};
use std::cmp::Ordering;

/// Keys that must have signed, in the order of the signatures.
type Keys = Vec<VerifyingKey>;

/// The entry that is being judged.
struct Step<'a> {
    sequence: u64,
    at: Timestamp,
    signers: &'a [Signer],
}

impl Step<'_> {
    fn bad_signature(&self) -> LogError {
        LogError::BadSignature {
            sequence: self.sequence,
        }
    }

    /// Refuses signers other than these, in this order.
    fn signed_by(&self, expected: &[Signer]) -> Result<(), LogError> {
        // SECURITY: who is named is who must have signed; `signers_other_than_the_rule_names_are_refused` notices.
        if self.signers == expected {
            Ok(())
        } else {
            Err(self.bad_signature())
        }
    }
}

/// Whose word it is.
enum Authority {
    Senior,
    /// A young admin device, with its standing.
    Young(Standing),
    Recovery(Method),
}

impl State {
    /// Takes an entry in, and says which keys must have signed it, in the order of its signatures. Whoever calls
    /// this verifies them, or knows that it was done.
    pub(super) fn apply(&mut self, body: &Body, signers: &[Signer]) -> Result<Keys, LogError> {
        let step = &Step {
            sequence: body.sequence,
            at: body.at,
            signers,
        };
        let sequence = body.sequence;
        self.check_suite(body)?;
        // SECURITY: nothing comes back to life; `nothing_follows_a_tombstone` notices.
        if self.tombstoned {
            return Err(LogError::Tombstoned { sequence });
        }
        // SECURITY: seniority is counted by these times; `time_never_goes_back` notices.
        if body.at < self.at {
            return Err(LogError::TimeWentBack { sequence });
        }
        let keys = match &body.payload {
            Payload::Genesis(_) => return Err(LogError::BrokenChain { sequence }),
            Payload::AddDevice(record) => self.add(step, record),
            Payload::RevokeDevice(device, reason) => self.revoke(step, device, *reason),
            Payload::RotateDevice(record) => self.rotate(step, record),
            Payload::RotateRoot(root) => self.rotate_root(step, root),
            Payload::SetRecovery(method, record) => {
                self.set_recovery(step, *method, record.as_deref())
            }
            Payload::UpgradeSuite(root) => self.upgrade_suite(step, root),
            Payload::Tombstone => self.end(step),
            Payload::RequestRecovery(record) => self.request(step, record),
            Payload::CancelRecovery => self.cancel(step),
            Payload::SuspendDevice(device) => self.suspend(step, device),
            Payload::ResumeDevice(device) => self.resume(step, device),
        }?;
        self.check_suite_of_keys(body, &keys)?;
        self.at = body.at;
        Ok(keys)
    }

    /// An account changes its suite by an entry of the new suite that says so, and by no other.
    fn check_suite(&self, body: &Body) -> Result<(), LogError> {
        let sequence = body.sequence;
        let upgrade = matches!(body.payload, Payload::UpgradeSuite(_));
        match body.suite.cmp(&self.suite) {
            // SECURITY: who breaks the weaker suite does not bring it back; `a_log_never_goes_back` notices.
            Ordering::Less => Err(LogError::SuiteWentBack { sequence }),
            Ordering::Equal if upgrade => Err(LogError::SameSuite { sequence }),
            Ordering::Greater if !upgrade => Err(LogError::WrongSuite { sequence }),
            _ => Ok(()),
        }
    }

    /// Keys are of the account's suite; a weaker one signs what puts itself out of force and nothing else.
    fn check_suite_of_keys(&self, body: &Body, keys: &Keys) -> Result<(), LogError> {
        let leaving = matches!(
            body.payload,
            Payload::UpgradeSuite(_) | Payload::RotateDevice(_)
        );
        let fits = |(place, key): (usize, &VerifyingKey)| {
            key.suite() == self.suite || (leaving && place == 0 && key.suite() < self.suite)
        };
        // SECURITY: `keys_of_an_old_suite_sign_their_end_alone` notices.
        if keys.iter().enumerate().all(fits) {
            Ok(())
        } else {
            Err(LogError::WrongSuite {
                sequence: body.sequence,
            })
        }
    }

    fn add(&mut self, step: &Step<'_>, record: &DeviceRecord) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        let [by, own] = step.signers else {
            return Err(step.bad_signature());
        };
        if *own != Signer::Device(record.id) {
            return Err(step.bad_signature());
        }
        let (authority, key) = self.authority(step, by)?;
        self.check_new(step, record)?;
        match authority {
            Authority::Senior | Authority::Recovery(Method::Sheet) => {}
            // SECURITY: a stolen device brings no second one in; `young_devices_add_nothing` notices.
            Authority::Young(_) => return Err(LogError::NotSenior { sequence }),
            Authority::Recovery(Method::Guardians) => self.check_delay(step, record)?,
        }
        let asked = self.request.take_if(|open| open.device.id == record.id);
        // Whoever asked before is the device that it said it was then.
        let added = match asked {
            Some(open) if open.device == *record => open.at,
            _ => step.at,
        };
        // SECURITY: a device that dates itself back were senior at once; `devices_do_not_date_themselves` notices.
        if record.added != added {
            return Err(LogError::WrongRecord { sequence });
        }
        if self.devices.len().saturating_add(self.suspended.len()) >= MAX_DEVICES {
            return Err(LogError::TooManyDevices { sequence });
        }
        if let Authority::Recovery(method) = authority
            && let Some(way) = self.ways_back.get_mut(&method)
        {
            way.used = true;
        }
        let standing = Standing {
            place: sequence,
            since: sequence,
            suite_since: sequence,
            by_recovery: matches!(authority, Authority::Recovery(_)),
        };
        self.standings.insert(record.id, standing);
        self.devices.push(record.clone());
        self.remember(record);
        Ok(vec![key, record.verifying.clone()])
    }

    fn revoke(&mut self, step: &Step<'_>, id: &DeviceId, reason: Reason) -> Result<Keys, LogError> {
        let (record, standing) = self.present(step, id)?;
        let (key, by_recovery) = self.against(step, id, standing)?;
        self.take(id);
        self.somebody_stays(step, by_recovery)?;
        self.revoked.push(Revocation {
            record,
            reason,
            at: step.at,
            sequence: step.sequence,
        });
        Ok(vec![key])
    }

    fn suspend(&mut self, step: &Step<'_>, id: &DeviceId) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        if self.device(id).is_none() {
            return Err(LogError::NotInForce { sequence });
        }
        let (record, standing) = self.present(step, id)?;
        let (key, by_recovery) = self.against(step, id, standing)?;
        self.take(id);
        self.somebody_stays(step, by_recovery)?;
        self.suspended.push(Suspension {
            record,
            at: step.at,
            sequence,
            standing,
        });
        Ok(vec![key])
    }

    fn resume(&mut self, step: &Step<'_>, id: &DeviceId) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        let [by] = step.signers else {
            return Err(step.bad_signature());
        };
        let place = self.suspended.iter().position(|gone| gone.record.id == *id);
        let place = place.ok_or(LogError::NotInForce { sequence })?;
        let (authority, key) = self.authority(step, by)?;
        match authority {
            Authority::Senior | Authority::Recovery(Method::Sheet) => {}
            // SECURITY: a stolen device brings no accomplice back; `young_devices_resume_nothing` notices.
            Authority::Young(_) => return Err(LogError::NotSenior { sequence }),
            Authority::Recovery(method) => self.check_used(step, method)?,
        }
        let back = self.suspended.remove(place);
        // Its age is what it was.
        let older = |device: &DeviceRecord| {
            let standing = self.standings.get(&device.id);
            standing.is_some_and(|standing| standing.place < back.standing.place)
        };
        let place = self
            .devices
            .iter()
            .take_while(|device| older(device))
            .count();
        self.devices.insert(place, back.record);
        self.standings.insert(*id, back.standing);
        Ok(vec![key])
    }

    /// A device that is in force or suspended, and since when it is there.
    fn present(
        &self,
        step: &Step<'_>,
        id: &DeviceId,
    ) -> Result<(DeviceRecord, Standing), LogError> {
        if let (Some(record), Some(standing)) = (self.device(id), self.standing(id)) {
            return Ok((record.clone(), standing));
        }
        let mut suspended = self.suspended.iter();
        suspended
            .find(|gone| gone.record.id == *id)
            .map(|gone| (gone.record.clone(), gone.standing))
            .ok_or(LogError::NotInForce {
                sequence: step.sequence,
            })
    }

    /// Whether the signer may put a device out of force: its key, and whether it is one of recovery.
    fn against(
        &self,
        step: &Step<'_>,
        id: &DeviceId,
        standing: Standing,
    ) -> Result<(VerifyingKey, bool), LogError> {
        let sequence = step.sequence;
        let [by] = step.signers else {
            return Err(step.bad_signature());
        };
        if *by == Signer::Device(*id) {
            // SECURITY: the word of a suspended device counts for nothing; `suspended_devices_sign_nothing` notices.
            let own = self.device(id).ok_or(LogError::NotInForce { sequence })?;
            return Ok((own.verifying.clone(), false));
        }
        let (authority, key) = self.authority(step, by)?;
        match authority {
            Authority::Senior => Ok((key, false)),
            // SECURITY: a stolen device locks no older one out; `young_devices_revoke_no_older_ones` notices.
            Authority::Young(own) if own.place > standing.place => {
                Err(LogError::NotSenior { sequence })
            }
            Authority::Young(_) => Ok((key, false)),
            Authority::Recovery(method) => {
                self.check_used(step, method)?;
                Ok((key, true))
            }
        }
    }

    fn take(&mut self, id: &DeviceId) {
        self.devices.retain(|device| device.id != *id);
        self.suspended.retain(|gone| gone.record.id != *id);
        self.standings.remove(id);
    }

    fn somebody_stays(&self, step: &Step<'_>, by_recovery: bool) -> Result<(), LogError> {
        // SECURITY: somebody must be left who can act; `the_last_admin_stays` notices.
        let enough = if by_recovery {
            !self.devices.is_empty()
        } else {
            self.devices.iter().any(|device| device.admin)
        };
        if enough {
            Ok(())
        } else {
            Err(LogError::NoAdminLeft {
                sequence: step.sequence,
            })
        }
    }

    fn rotate(&mut self, step: &Step<'_>, new: &DeviceRecord) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        step.signed_by(&[Signer::Device(new.id), Signer::Device(new.id)])?;
        if self.knows_keys_of(new) {
            return Err(LogError::KeyUsed { sequence });
        }
        let old = self
            .devices
            .iter_mut()
            .find(|device| device.id == new.id)
            .ok_or(LogError::NotInForce { sequence })?;
        // SECURITY: new keys give no new rights and no greater age; `a_rotation_changes_keys_alone` notices.
        if (old.admin, old.added) != (new.admin, new.added) {
            return Err(LogError::WrongRecord { sequence });
        }
        let keys = vec![old.verifying.clone(), new.verifying.clone()];
        let other_suite = old.suite() != new.suite();
        *old = new.clone();
        if let Some(standing) = self.standings.get_mut(&new.id) {
            standing.since = sequence;
            if other_suite {
                standing.suite_since = sequence;
            }
        }
        self.remember(new);
        Ok(keys)
    }

    fn rotate_root(&mut self, step: &Step<'_>, root: &VerifyingKey) -> Result<Keys, LogError> {
        step.signed_by(&[Signer::Root, Signer::Root])?;
        if self.knows_keys(&[root.as_bytes()]) {
            return Err(LogError::KeyUsed {
                sequence: step.sequence,
            });
        }
        self.remember_keys(&[root.as_bytes()]);
        let old = std::mem::replace(&mut self.root, root.clone());
        Ok(vec![old, root.clone()])
    }

    /// The new root key is of the new suite. Devices get new keys one by one, each by itself; ways back are set anew.
    fn upgrade_suite(&mut self, step: &Step<'_>, root: &VerifyingKey) -> Result<Keys, LogError> {
        let keys = self.rotate_root(step, root)?;
        self.suite = root.suite();
        // SECURITY: a key of the weaker suite would let somebody in; `ways_back_end_with_their_suite` notices.
        self.ways_back.clear();
        self.request = None;
        Ok(keys)
    }

    fn set_recovery(
        &mut self,
        step: &Step<'_>,
        method: Method,
        record: Option<&RecoveryRecord>,
    ) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        let by = match (step.signers, record) {
            ([by], None) => by,
            ([by, own], Some(_)) if *own == Signer::Recovery(method) => by,
            _ => return Err(step.bad_signature()),
        };
        let (authority, key) = self.authority(step, by)?;
        match authority {
            Authority::Senior => {}
            // SECURITY: a stolen device makes itself no way back; `young_devices_touch_no_recovery` notices.
            Authority::Young(_) => return Err(LogError::NotSenior { sequence }),
            Authority::Recovery(_) => return Err(step.bad_signature()),
        }
        let mut keys = vec![key];
        if let Some(record) = record {
            let parts = [record.verifying.as_bytes(), record.envelope.as_bytes()];
            if self.knows_keys(&parts) {
                return Err(LogError::KeyUsed { sequence });
            }
            self.remember_keys(&parts);
            keys.push(record.verifying.clone());
            let way = WayBack {
                record: record.clone(),
                used: false,
            };
            self.ways_back.insert(method, way);
        } else if self.ways_back.remove(&method).is_none() {
            return Err(LogError::NoRecovery { sequence });
        }
        // What was asked of the guardians of before is asked of nobody.
        if method == Method::Guardians {
            self.request = None;
        }
        Ok(keys)
    }

    fn end(&mut self, step: &Step<'_>) -> Result<Keys, LogError> {
        let key = match step.signers {
            [Signer::Root] => self.root.clone(),
            [Signer::Recovery(method)] => {
                let key = self.way_back(step, *method)?.record.verifying.clone();
                self.check_used(step, *method)?;
                key
            }
            _ => return Err(step.bad_signature()),
        };
        self.tombstoned = true;
        self.request = None;
        Ok(vec![key])
    }

    fn request(&mut self, step: &Step<'_>, record: &DeviceRecord) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        step.signed_by(&[Signer::Device(record.id)])?;
        let way = self.way_back(step, Method::Guardians)?;
        let ready = step.at.saturating_add(way.record.terms.delay_seconds);
        self.check_new(step, record)?;
        if record.added != step.at {
            return Err(LogError::WrongRecord { sequence });
        }
        self.request = Some(RecoveryRequest {
            sequence,
            at: step.at,
            device: record.clone(),
            ready,
        });
        Ok(vec![record.verifying.clone()])
    }

    fn cancel(&mut self, step: &Step<'_>) -> Result<Keys, LogError> {
        let sequence = step.sequence;
        let [Signer::Device(by)] = step.signers else {
            return Err(step.bad_signature());
        };
        let device = self.device(by).ok_or(LogError::NotInForce { sequence })?;
        let key = device.verifying.clone();
        self.request
            .take()
            .ok_or(LogError::NoRequest { sequence })?;
        Ok(vec![key])
    }

    /// Whose word a signer's is, and the key that proves it.
    fn authority(
        &self,
        step: &Step<'_>,
        signer: &Signer,
    ) -> Result<(Authority, VerifyingKey), LogError> {
        let sequence = step.sequence;
        match signer {
            Signer::Root => Err(step.bad_signature()),
            Signer::Recovery(method) => {
                let key = self.way_back(step, *method)?.record.verifying.clone();
                Ok((Authority::Recovery(*method), key))
            }
            Signer::Device(id) => {
                let (Some(device), Some(standing)) = (self.device(id), self.standing(id)) else {
                    return Err(LogError::NotInForce { sequence });
                };
                if !device.admin {
                    return Err(LogError::NotAdmin { sequence });
                }
                let authority = if self.is_senior(id, step.at) {
                    Authority::Senior
                } else {
                    Authority::Young(standing)
                };
                Ok((authority, device.verifying.clone()))
            }
        }
    }

    fn way_back(&self, step: &Step<'_>, method: Method) -> Result<&WayBack, LogError> {
        self.ways_back.get(&method).ok_or(LogError::NoRecovery {
            sequence: step.sequence,
        })
    }

    /// Guardians do nothing but let somebody in until they have: else those who conspire would revoke, at once,
    /// whoever could cancel.
    fn check_used(&self, step: &Step<'_>, method: Method) -> Result<(), LogError> {
        let used = self.way_back(step, method)?.used;
        // SECURITY: `guardians_revoke_nobody_before_they_let_somebody_in` notices.
        if method == Method::Guardians && !used {
            return Err(LogError::TooEarly {
                sequence: step.sequence,
            });
        }
        Ok(())
    }

    /// Whether this very device asked, and long enough ago.
    fn check_delay(&self, step: &Step<'_>, record: &DeviceRecord) -> Result<(), LogError> {
        let sequence = step.sequence;
        let request = self.request.as_ref();
        let request = request
            .filter(|open| open.device == *record)
            .ok_or(LogError::NoRequest { sequence })?;
        // SECURITY: the delay is when somebody may still cancel; `guardians_wait_out_the_delay` notices.
        if step.at < request.ready {
            return Err(LogError::TooEarly { sequence });
        }
        Ok(())
    }

    /// SECURITY: who was revoked does not come back under the same id or with the same keys;
    /// `ids_and_keys_come_once` notices.
    fn check_new(&self, step: &Step<'_>, record: &DeviceRecord) -> Result<(), LogError> {
        if self.knows_id(&record.id) || self.knows_keys_of(record) {
            return Err(LogError::KeyUsed {
                sequence: step.sequence,
            });
        }
        Ok(())
    }
}
