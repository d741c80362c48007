//! What people are told beside the results.

use super::{Loop, group_words};
use crate::view::Notice;
use engine::{Amended, Event, SasError};
use keys::AccountId;

impl Loop {
    /// Tells everybody who listens.
    pub(super) fn notice(&self, event: &Event) {
        if let Some((word, message)) = self.words_of(event) {
            self.calls.tell_all(&Notice {
                notice: word.to_owned(),
                message,
            });
        }
    }

    fn words_of(&self, event: &Event) -> Option<(&'static str, String)> {
        Some(match event {
            Event::ContactRequest { contact } => (
                "contact_request",
                format!(
                    "{} wrote for the first time; nobody has verified who that is",
                    self.name_of(contact)
                ),
            ),
            // Whoever waits here hears it as the end of the own command.
            Event::SasFailed {
                contact,
                error: SasError::Different,
            } if self.comparing(contact).is_none() => {
                let name = self.name_of(contact);
                let message = format!(
                    "{name} says that the codes differ: that they were equal here counts no more"
                );
                ("sas_taken_back", message)
            }
            Event::IdentityChanged { contact } => (
                "identity_changed",
                format!(
                    "the identity of {} is not the one known here; nothing is sent to it",
                    self.name_of(contact)
                ),
            ),
            Event::DeviceResumed => (
                "device_resumed",
                "this device is in force again; what was written meanwhile is on the other devices alone"
                    .to_owned(),
            ),
            Event::ContactEnded { contact } => (
                "contact_ended",
                format!(
                    "{} has ended its account; nothing is sent to it any more",
                    self.name_of(contact)
                ),
            ),
            Event::RootReplaced { contact } => (
                "root_replaced",
                format!(
                    "{0} has a new root key, and the safety number of before counts no more; nothing is sent until you \
                     compare the new one: letterlock contact verify {0} --number",
                    self.name_of(contact)
                ),
            ),
            Event::RelayRolledBack { relay } => {
                let relay = crate::relay_url::authority_of(relay);
                (
                    "relay_rolled_back",
                    format!("{relay} shows an older state than before; letters are sent again"),
                )
            }
            Event::Undecryptable { contact } => {
                let from =
                    contact.map_or_else(|| "somebody".to_owned(), |contact| self.name_of(&contact));
                (
                    "undecryptable",
                    format!("a letter from {from} could not be opened"),
                )
            }
            Event::LetterAmended { letter, by, what } => {
                return self.words_of_amendment(letter, by, *what);
            }
            Event::AmendmentRefused {
                by, letter, error, ..
            } => (
                "amendment_refused",
                format!(
                    "what {} said of the letter {letter} does not count: {error}",
                    self.name_of(by)
                ),
            ),
            event => return self.words_of_devices(event),
        })
    }

    /// What somebody else said of a letter that is here.
    fn words_of_amendment(
        &self,
        id: &keys::LetterId,
        by: &AccountId,
        what: Amended,
    ) -> Option<(&'static str, String)> {
        let who = self.member_name(by);
        if who == "me" {
            return None;
        }
        let message = match what {
            Amended::Edit => format!("{who} edited the letter {id}"),
            Amended::Deletion => format!("{who} deleted the letter {id}"),
            _ => {
                let letter = self.engine.letter(&self.store, id).ok()??;
                let mut reactions = letter.marks.standing();
                match reactions.find(|reaction| reaction.author == *by) {
                    Some(reaction) => {
                        format!("{who} reacts with {} to the letter {id}", reaction.emoji)
                    }
                    None => format!("{who} has no reaction to the letter {id} any more"),
                }
            }
        };
        Some(("letter_amended", message))
    }

    fn words_of_devices(&self, event: &Event) -> Option<(&'static str, String)> {
        Some(match event {
            Event::DevicesChanged { contact } => (
                "devices_changed",
                format!(
                    "{} has other devices than before, by its own signed log",
                    self.name_of(contact)
                ),
            ),
            Event::SuiteUpgraded { account, suite } => (
                "suite_upgraded",
                format!("{} is of suite {} now", self.whose(account), suite.name()),
            ),
            Event::DeviceLinked { device } if self.linking().is_none() => {
                let name = self.device(device).ok()?.name;
                (
                    "device_linked",
                    format!("{name} is now a device of this account"),
                )
            }
            Event::LogWithheld { account } => (
                "log_withheld",
                format!(
                    "the relay does not show the newest log of {}; letters to it wait",
                    self.whose(account)
                ),
            ),
            Event::WordLost {
                account,
                device,
                error,
            } => (
                "word_lost",
                format!(
                    "something that this device had to tell the device {device} of {} does not get there: {error}",
                    self.whose(account)
                ),
            ),
            Event::LogUnanswered { account } => (
                "log_unanswered",
                format!(
                    "the relay does not say whether {} has revoked a device: letters to it wait, letters of groups go all \
                     the same",
                    self.whose(account)
                ),
            ),
            Event::OwnLogForked { contact } => {
                let who = contact.map_or_else(
                    || "a device of yours".to_owned(),
                    |contact| self.name_of(&contact),
                );
                (
                    "own_log_forked",
                    format!("{who} was shown another history of this account; evidence is kept"),
                )
            }
            Event::RevokedDeviceSpoke { account } => (
                "revoked_device_spoke",
                format!(
                    "a revoked device of {} talks on; it is not heard",
                    self.whose(account)
                ),
            ),
            event => return self.words_of_recovery(event),
        })
    }

    fn words_of_recovery(&self, event: &Event) -> Option<(&'static str, String)> {
        Some(match event {
            Event::HistoryMissing => (
                "history_missing",
                "the relay does not show a part of the history; the rest is taken".to_owned(),
            ),
            Event::BackupRolledBack { contact } => (
                "backup_rolled_back",
                format!(
                    "{} saw a newer backup than the one this home was restored from: the relay showed an old one, and \
                     what came after it is missing",
                    self.name_of(contact)
                ),
            ),
            event => return self.words_of_guardians(event),
        })
    }

    fn words_of_guardians(&self, event: &Event) -> Option<(&'static str, String)> {
        Some(match event {
            Event::GuardianHasShare { guardian } => (
                "guardian_has_share",
                format!("{} has its share", self.name_of(guardian)),
            ),
            Event::ShareKept { contact } => (
                "share_kept",
                format!(
                    "{0} made you a guardian: a share that helps to bring its account back is kept here; give it only if \
                     {0} asks you in person",
                    self.name_of(contact)
                ),
            ),
            Event::ShareForgotten { contact } => (
                "share_forgotten",
                format!("you are not a guardian of {} any more", self.name_of(contact)),
            ),
            Event::RecoveryClosed => (
                "recovery_closed",
                "nobody asks your guardians any more".to_owned(),
            ),
            Event::LockClosed { key_is_out: false } => (
                "lock_closed",
                "guardians began to open the lock although nobody asks in the account log; it is closed again"
                    .to_owned(),
            ),
            Event::LockClosed { key_is_out: true } => (
                "lock_was_open",
                "the lock of your guardians was open, and its key may be out: set them anew, letterlock recovery \
                 guardians --need N NAME..."
                    .to_owned(),
            ),
            event @ (Event::GroupJoined { .. }
            | Event::GroupChanged { .. }
            | Event::GroupPicture { .. }
            | Event::HistoryShared { .. }
            | Event::HistoryIncomplete { .. }
            | Event::HistoryRefused { .. }
            | Event::GroupLeft { .. }
            | Event::GroupLost { .. }
            | Event::GroupForked { .. }
            | Event::GroupRefused { .. }) => return self.words_of_groups(event),
            Event::ShareUnusable { index } => (
                "share_unusable",
                format!("the share of guardian {index}, as they were named, is a false one; another one is needed"),
            ),
            Event::RecoveryDelayed { error } => (
                "recovery_delayed",
                format!("the recovery does not go on now: {error}; it is tried again"),
            ),
            _ => return None,
        })
    }

    fn words_of_groups(&self, event: &Event) -> Option<(&'static str, String)> {
        let name = |group: &keys::GroupId| {
            let id = AccountId::from_bytes(*group.as_bytes());
            self.vault_name(group).unwrap_or_else(|| self.name_of(&id))
        };
        let what = |group: &keys::GroupId| match self.vault_name(group) {
            Some(vault) => format!("the vault {vault}"),
            None => format!("the group {}", name(group)),
        };
        Some(match event {
            Event::GroupJoined { group } => {
                ("group_joined", format!("you are now in {}", what(group)))
            }
            Event::GroupChanged {
                group,
                by,
                before,
                changes,
            } => {
                let words = group_words::of(by, before, changes, &|account| self.whose(account));
                if words.is_empty() {
                    return None;
                }
                (
                    "group_changed",
                    format!("{}: {}", name(group), words.join(", ")),
                )
            }
            Event::GroupPicture { group } => (
                "group_picture",
                format!("the group {} has another picture", name(group)),
            ),
            Event::GroupLeft { group } => (
                "group_left",
                format!("you are not in {} any more", what(group)),
            ),
            Event::GroupLost { group } => (
                "group_lost",
                format!(
                    "this device cannot follow {}, and asks its members to be let back in",
                    what(group)
                ),
            ),
            Event::GroupForked { group } => (
                "group_forked",
                format!(
                    "the relay let two parts of {} go on apart; they come together again, and what was \
                     written meanwhile reached one part alone",
                    what(group)
                ),
            ),
            Event::GroupRefused { group, error } => (
                "group_refused",
                format!("something in {} was refused: {error}", what(group)),
            ),
            event => return self.words_of_history(event),
        })
    }

    fn words_of_history(&self, event: &Event) -> Option<(&'static str, String)> {
        let name = |group: &keys::GroupId| {
            let id = AccountId::from_bytes(*group.as_bytes());
            self.name_of(&id)
        };
        Some(match event {
            Event::HistoryShared {
                group,
                by,
                with,
                letters,
            } => (
                "history_shared",
                format!(
                    "{}: {} shared {} of before with {}",
                    name(group),
                    self.whose(by),
                    letters_of(*letters),
                    self.whose(with)
                ),
            ),
            Event::HistoryIncomplete { group } => (
                "history_incomplete",
                format!(
                    "letters of before, of the group {}, could not be sent or fetched",
                    name(group)
                ),
            ),
            Event::HistoryRefused { group, by } => (
                "history_refused",
                format!(
                    "{} sent letters of before in the group {} that it may not send; they are not taken",
                    self.whose(by),
                    name(group)
                ),
            ),
            _ => return None,
        })
    }

    /// The name of a contact, or that it is this account.
    fn whose(&self, account: &AccountId) -> String {
        match self.engine.account(&self.store) {
            Ok(Some(own)) if own.id == *account => group_words::OWN.to_owned(),
            _ => self.name_of(account),
        }
    }
}

fn letters_of(count: usize) -> String {
    match count {
        1 => "1 letter".to_owned(),
        more => format!("{more} letters"),
    }
}
