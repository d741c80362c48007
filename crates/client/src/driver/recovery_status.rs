//! What would happen today if each device, the sheet, the guardians or the relay were lost.

use super::Loop;
use crate::api::Answer;
use crate::render::span;
use crate::view::{Device, DeviceState, Failure, Lost, Recovery};
use engine::BackupState;
use keys::account_log::Method;
use std::fmt::Write as _;

/// What stands between a loss and the end.
struct Ways {
    /// Whether the log names a sheet.
    sheet: bool,
    /// The guardians, where the log names some.
    guardians: Option<Guarded>,
    /// The backup, where this device writes it.
    backup: Option<BackupState>,
    /// Whether the root key is on this device.
    root_here: bool,
    /// How many devices there are.
    devices: usize,
}

/// Guardians in force.
struct Guarded {
    need: u8,
    count: u8,
    /// How many have their share, where this device was told who they are.
    have: Option<usize>,
    delay_seconds: u64,
    /// Whether their backup holds the root key.
    root_key: bool,
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
            guardians: self.guarded()?,
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

    fn guarded(&self) -> Result<Option<Guarded>, Failure> {
        let state = self.engine.guardians(&self.store)?;
        Ok(state.filter(|state| state.in_force).map(|state| {
            let have = state.guardians.iter().filter(|one| one.has_share).count();
            Guarded {
                need: state.need,
                count: state.count,
                have: (!state.guardians.is_empty()).then_some(have),
                delay_seconds: state.delay_seconds,
                root_key: state.root_key,
            }
        }))
    }
}

impl Guarded {
    /// How many have their share, if they are too few.
    fn too_few(&self) -> Option<usize> {
        self.have.filter(|have| *have < usize::from(self.need))
    }

    fn who(&self) -> String {
        format!("{} of {} guardians", self.need, self.count)
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

const NO_BACKUP_YET: (&str, &str) = (
    "no_backup_yet",
    "all is lost: the first backup is not at the relay yet; letterlock receive goes on with it",
);

impl Ways {
    fn line(&self, lost: Lost, (word, message): Outcome) -> Recovery {
        let tells = match lost {
            Lost::Sheet => self.sheet,
            Lost::Guardians => self.guardians.is_some(),
            _ => false,
        };
        let backup = self.backup.as_ref().filter(|_| tells);
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
        let (word, mut message) = match (self.sheet, &self.guardians) {
            (true, _) => self.by_sheet(),
            (false, Some(guarded)) => self.by_guardians(guarded),
            (false, None) => (
                "everything_lost",
                "account, contacts and letters are lost for ever; make a sheet: letterlock recovery sheet".to_owned(),
            ),
        };
        if let (true, Some(guarded)) = (self.sheet, &self.guardians)
            && guarded.too_few().is_none()
        {
            let after = span(guarded.delay_seconds);
            let _ = write!(
                message,
                "; so do {}, {after} after they are asked",
                guarded.who()
            );
        }
        (word, message)
    }

    fn by_sheet(&self) -> Outcome {
        let (word, message) = match &self.backup {
            None if self.devices < 2 => (
                "backup_not_written",
                "the sheet brings back what the backup had when the device that wrote it went; make a new sheet: \
                 letterlock recovery sheet",
            ),
            None => (
                "restorable_elsewhere",
                "the sheet brings back what the backup has; another device of yours writes it: ask there",
            ),
            Some(backup) if backup.version == 0 => NO_BACKUP_YET,
            Some(backup) if backup.complete => (
                "restorable",
                "the sheet brings account, contacts and letters back: letterlock recovery restore",
            ),
            Some(_) => (
                "restorable_in_part",
                "the sheet brings back what the backup has; what is newer is lost; letterlock receive completes it",
            ),
        };
        (word, message.to_owned())
    }

    fn by_guardians(&self, guarded: &Guarded) -> Outcome {
        if let Some(have) = guarded.too_few() {
            let message = format!(
                "all is lost: {have} of {} guardians have said that they have their share, and {} are needed; letterlock \
                 receive hears of more",
                guarded.count, guarded.need
            );
            return ("guardians_incomplete", message);
        }
        let (word, what) = match &self.backup {
            None if self.devices < 2 => (
                "backup_not_written",
                "what the backup had when the device that wrote it went; name them anew: letterlock recovery guardians",
            ),
            None => (
                "guardians",
                "what the backup has; another device of yours writes it: ask there",
            ),
            Some(backup) if backup.version == 0 => {
                let (word, message) = NO_BACKUP_YET;
                return (word, message.to_owned());
            }
            Some(backup) if backup.complete => (
                "guardians",
                "account, contacts and letters; on a new machine: letterlock recovery request NAME --relay URL",
            ),
            Some(_) => (
                "guardians_in_part",
                "what the backup has; what is newer is lost; letterlock receive completes it",
            ),
        };
        let (who, after) = (guarded.who(), span(guarded.delay_seconds));
        (
            word,
            format!("{who} bring back, {after} after they are asked, {what}"),
        )
    }

    fn of_sheet(&self) -> Outcome {
        if !self.sheet {
            let message = "there is none; make one: letterlock recovery sheet";
            return ("none", message.to_owned());
        }
        let mut message = "nothing is lost while a device is left; whoever finds it can become you: end it by a new \
                           one, letterlock recovery sheet"
            .to_owned();
        if self.devices < 2 && self.guardians.is_none() {
            message.push_str("; without it this one device is all you have");
        }
        let elsewhere = self.guardians.as_ref().is_some_and(|one| one.root_key);
        message.push_str(match (&self.backup, self.root_here || elsewhere) {
            (_, true) => "",
            (Some(backup), false) if backup.opens_root => {
                "; the root key is in its backup alone and would be lost with it"
            }
            (_, false) => "; the root key is not on this device",
        });
        (self.word_of_backup(), message)
    }

    fn word_of_backup(&self) -> &'static str {
        match &self.backup {
            None if self.devices < 2 => "backup_not_written",
            None => "backup_elsewhere",
            Some(backup) if backup.version == 0 => "no_backup_yet",
            Some(backup) if backup.complete => "backup_complete",
            Some(_) => "backup_incomplete",
        }
    }

    fn of_guardians(&self) -> Outcome {
        let Some(guarded) = &self.guardians else {
            let message =
                "there are none; name some: letterlock recovery guardians --need 2 NAME NAME NAME";
            return ("none", message.to_owned());
        };
        let mut message = "nothing is lost while a device is left; name others: letterlock recovery guardians --need N \
                           NAME..."
            .to_owned();
        if self.devices < 2 && !self.sheet {
            message.push_str("; without them this one device is all you have");
        }
        if !self.root_here && !self.sheet && guarded.root_key {
            message.push_str("; the root key is in their backup alone and would be lost with them");
        }
        match guarded
            .have
            .filter(|have| *have < usize::from(guarded.count))
        {
            Some(have) => {
                let _ = write!(
                    message,
                    "; {have} of {} have their share yet",
                    guarded.count
                );
                ("incomplete", message)
            }
            None => ("set", message),
        }
    }

    fn of_relay(&self) -> Outcome {
        let mut message =
            "your devices keep what they have; nothing is sent or received until it is back"
                .to_owned();
        if self.sheet || self.guardians.is_some() {
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
            guardians: None,
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

    fn guarded(have: usize, sheet: bool, backup: Option<BackupState>) -> Ways {
        Ways {
            guardians: Some(Guarded {
                need: 2,
                count: 3,
                have: Some(have),
                delay_seconds: 172_800,
                root_key: true,
            }),
            ..ways(sheet, backup)
        }
    }

    #[test]
    fn guardians_count_when_enough_of_them_have_their_share() {
        for (have, backup, word) in [
            (1, Some(backup(3, true)), "guardians_incomplete"),
            (2, Some(backup(0, false)), "no_backup_yet"),
            (2, Some(backup(3, false)), "guardians_in_part"),
            (2, Some(backup(3, true)), "guardians"),
            (3, None, "backup_not_written"),
        ] {
            assert_eq!(guarded(have, false, backup).of_all_devices().0, word);
        }
        let (_, told) = guarded(2, false, Some(backup(3, true))).of_all_devices();
        assert!(
            told.starts_with("2 of 3 guardians bring back, 2 days after"),
            "{told}"
        );
        let (word, told) = guarded(2, true, Some(backup(3, true))).of_all_devices();
        assert_eq!(word, "restorable");
        assert!(
            told.ends_with("; so do 2 of 3 guardians, 2 days after they are asked"),
            "{told}"
        );
        let (_, told) = guarded(1, true, Some(backup(3, true))).of_all_devices();
        assert!(!told.contains("guardians"), "{told}");
    }

    #[test]
    fn lost_guardians_are_told_with_what_goes_with_them() {
        assert_eq!(ways(false, None).of_guardians().0, "none");
        let (word, told) = guarded(2, false, Some(backup(3, true))).of_guardians();
        assert_eq!(word, "incomplete");
        assert!(told.contains("root key is in their backup alone"), "{told}");
        assert!(told.contains("this one device is all you have"), "{told}");
        let (word, told) = guarded(3, true, Some(backup(3, true))).of_guardians();
        assert_eq!(word, "set");
        assert!(!told.contains("root key"), "{told}");
        let both = guarded(3, true, Some(backup(3, true)));
        assert!(!both.of_sheet().1.contains("alone"), "they have it too");
    }

    #[test]
    fn a_lost_relay_takes_the_backup_with_it() {
        assert!(!ways(false, None).of_relay().1.contains("backup"));
        assert!(ways(true, None).of_relay().1.contains("backup"));
    }
}
