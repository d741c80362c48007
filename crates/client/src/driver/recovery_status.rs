//! What would happen today if each device, the sheet or the relay were lost.

use super::Loop;
use crate::api::Answer;
use crate::view::{Device, DeviceState, Failure, Lost, Recovery};
use engine::BackupState;
use keys::account_log::Method;

/// What stands between a loss and the end.
struct Ways {
    /// Whether the log names a sheet.
    sheet: bool,
    /// Whether the log names guardians.
    guardians: bool,
    /// The backup, where this device writes it.
    backup: Option<BackupState>,
    /// Whether the root key is on this device.
    root_here: bool,
    /// How many devices there are.
    devices: usize,
}

/// A stable word, and the same for people.
type Outcome = (&'static str, String);

impl Loop {
    pub(super) fn recovery_status(&self) -> Result<Vec<Answer>, Failure> {
        let (own, log) = self.own()?;
        let devices = self.devices()?.into_iter().map(|(_, device)| device);
        let in_force = |device: &Device| device.state == DeviceState::InForce;
        let devices: Vec<Device> = devices.filter(in_force).collect();
        let ways = Ways {
            sheet: log.recovery(Method::Sheet).is_some(),
            guardians: log.recovery(Method::Guardians).is_some(),
            backup: self.engine.backup(&self.store)?,
            root_here: own.has_root_key(),
            devices: devices.len(),
        };
        let mut lines: Vec<Recovery> = devices
            .iter()
            .map(|device| of_device(device, &devices, &ways))
            .collect();
        if devices.len() > 1 {
            lines.push(ways.line(Lost::AllDevices, ways.of_all_devices()));
        }
        lines.push(ways.line(Lost::Sheet, ways.of_sheet()));
        lines.push(ways.line(Lost::Guardians, ways.of_guardians()));
        let relay = ways.line(Lost::Relay, ways.of_relay());
        lines.push(Recovery {
            name: Some(own.relay),
            ..relay
        });
        Ok(lines.into_iter().map(Answer::Recovery).collect())
    }
}

fn of_device(lost: &Device, all: &[Device], ways: &Ways) -> Recovery {
    let outcome = if all.len() < 2 {
        ways.of_all_devices()
    } else {
        of_one_of_several(lost, all)
    };
    Recovery {
        name: Some(lost.name.clone()),
        this: lost.this,
        ..ways.line(Lost::Device, outcome)
    }
}

fn of_one_of_several(lost: &Device, all: &[Device]) -> Outcome {
    // docs/spec/account-log.md: a young device revokes none that is older.
    let may = |other: &&Device| {
        other.id != lost.id && other.admin && (other.senior || other.added < lost.added)
    };
    match all.iter().find(may) {
        Some(other) => (
            "others_remain",
            format!(
                "your other devices have everything; on {}: letterlock device revoke {} --reason lost",
                other.name, lost.name
            ),
        ),
        None => (
            "others_remain_young",
            "your other devices have everything, but none of them is senior yet: until one is, this one cannot be \
             revoked"
                .to_owned(),
        ),
    }
}

impl Ways {
    fn line(&self, lost: Lost, (word, message): Outcome) -> Recovery {
        let tells = matches!(lost, Lost::Sheet);
        let backup = self.backup.as_ref().filter(|_| tells && self.sheet);
        Recovery {
            lost,
            name: None,
            this: false,
            outcome: word.to_owned(),
            message,
            backup_at: backup.and_then(|backup| backup.at).map(|at| at.as_secs()),
            backup_complete: backup.map(|backup| backup.complete),
        }
    }

    fn of_all_devices(&self) -> Outcome {
        let (word, message) = match (self.sheet, &self.backup) {
            (false, _) if self.guardians => (
                "guardians",
                "only the guardians can bring the account, contacts and letters back",
            ),
            (false, _) => (
                "everything_lost",
                "account, contacts and letters are lost for ever; make a sheet: letterlock recovery sheet",
            ),
            (true, None) if self.devices < 2 => (
                "backup_not_written",
                "the sheet brings back what the backup had when the device that wrote it went; make a new sheet: \
                 letterlock recovery sheet",
            ),
            (true, None) => (
                "restorable_elsewhere",
                "the sheet brings back what the backup has; another device of yours writes it: ask there",
            ),
            (true, Some(backup)) if backup.version == 0 => (
                "no_backup_yet",
                "all is lost: the first backup is not at the relay yet; letterlock receive goes on with it",
            ),
            (true, Some(backup)) if backup.complete => (
                "restorable",
                "the sheet brings account, contacts and letters back: letterlock recovery restore",
            ),
            (true, Some(_)) => (
                "restorable_in_part",
                "the sheet brings back what the backup has; what is newer is lost; letterlock receive completes it",
            ),
        };
        (word, message.to_owned())
    }

    fn of_sheet(&self) -> Outcome {
        if !self.sheet {
            let message = "there is none; make one: letterlock recovery sheet";
            return ("none", message.to_owned());
        }
        let mut message = "nothing is lost while a device is left; whoever finds it can become you: end it by a new \
                           one, letterlock recovery sheet"
            .to_owned();
        if self.devices < 2 && !self.guardians {
            message.push_str("; without it this one device is all you have");
        }
        message.push_str(match (&self.backup, self.root_here) {
            (_, true) => "",
            (Some(backup), false) if backup.opens_root => {
                "; the root key is in its backup alone and would be lost with it"
            }
            (_, false) => "; the root key is not on this device",
        });
        let word = match &self.backup {
            None if self.devices < 2 => "backup_not_written",
            None => "backup_elsewhere",
            Some(backup) if backup.version == 0 => "no_backup_yet",
            Some(backup) if backup.complete => "backup_complete",
            Some(_) => "backup_incomplete",
        };
        (word, message)
    }

    fn of_guardians(&self) -> Outcome {
        if self.guardians {
            (
                "set",
                "nothing is lost while a device is left; name new ones".to_owned(),
            )
        } else {
            ("none", "there are none".to_owned())
        }
    }

    fn of_relay(&self) -> Outcome {
        let mut message =
            "your devices keep what they have; nothing is sent or received until it is back"
                .to_owned();
        if self.sheet || self.guardians {
            message.push_str(
                "; the backup is lost with it, and a device that is lost then does not come back",
            );
        }
        ("letters_stay", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keys::Timestamp;

    fn device(name: &str, senior: bool, added: u64) -> Device {
        Device {
            name: name.to_owned(),
            id: name.to_owned(),
            this: name == "this",
            admin: true,
            added,
            senior,
            state: DeviceState::InForce,
            reason: None,
        }
    }

    fn backup(version: u64, complete: bool) -> BackupState {
        BackupState {
            methods: vec![Method::Sheet],
            at: (version > 0).then(|| Timestamp::from_secs(1000)),
            complete,
            opens_root: true,
            version,
        }
    }

    fn ways(sheet: bool, backup: Option<BackupState>) -> Ways {
        let root_here = backup.is_none();
        Ways {
            sheet,
            guardians: false,
            backup,
            root_here,
            devices: 1,
        }
    }

    #[test]
    fn the_only_device_depends_on_the_sheet_and_its_backup() {
        let all = [device("this", true, 0)];
        for (ways, word) in [
            (ways(false, None), "everything_lost"),
            (ways(true, None), "backup_not_written"),
            (ways(true, Some(backup(0, false))), "no_backup_yet"),
            (ways(true, Some(backup(3, false))), "restorable_in_part"),
            (ways(true, Some(backup(3, true))), "restorable"),
        ] {
            let line = of_device(&all[0], &all, &ways);
            assert_eq!(line.outcome, word);
            assert!(line.this);
            assert_eq!(line.backup_at, None, "that is said of the sheet");
        }
        let guarded = Ways {
            guardians: true,
            ..ways(false, None)
        };
        assert_eq!(of_device(&all[0], &all, &guarded).outcome, "guardians");
    }

    #[test]
    fn one_of_several_is_revoked_by_one_that_may() {
        let old = [device("this", true, 0), device("that", true, 0)];
        let line = of_device(&old[0], &old, &ways(false, None));
        assert_eq!(line.outcome, "others_remain");
        assert!(
            line.message
                .contains("on that: letterlock device revoke this")
        );
        // The new one may not revoke the old one for 72 hours, the old one the new one at once.
        let young = [device("this", true, 0), device("that", false, 3600)];
        let outcome = |lost: &Device| of_device(lost, &young, &ways(false, None)).outcome;
        assert_eq!(outcome(&young[0]), "others_remain_young");
        assert_eq!(outcome(&young[1]), "others_remain");
    }

    #[test]
    fn the_sheet_is_told_with_its_backup() {
        let line = |ways: &Ways| ways.line(Lost::Sheet, ways.of_sheet());
        assert_eq!(line(&ways(false, None)).outcome, "none");
        assert_eq!(line(&ways(true, None)).outcome, "backup_not_written");
        let two = Ways {
            devices: 2,
            ..ways(true, None)
        };
        assert_eq!(line(&two).outcome, "backup_elsewhere");
        assert_eq!(two.of_all_devices().0, "restorable_elsewhere");
        let told = line(&ways(true, Some(backup(2, false))));
        assert_eq!(told.outcome, "backup_incomplete");
        assert_eq!(
            (told.backup_at, told.backup_complete),
            (Some(1000), Some(false))
        );
        assert!(told.message.contains("root key is in its backup alone"));
        let told = line(&ways(true, Some(backup(0, false))));
        assert_eq!(
            (told.outcome.as_str(), told.backup_at),
            ("no_backup_yet", None)
        );
    }

    #[test]
    fn a_lost_relay_takes_the_backup_with_it() {
        assert!(!ways(false, None).of_relay().1.contains("backup"));
        assert!(ways(true, None).of_relay().1.contains("backup"));
    }
}
