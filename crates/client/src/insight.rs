//! What people see of keys: who holds them, how old they are, what evidence proves. `--json` prints these field
//! names; `docs/guide/json.md` lists them.

use crate::failure::failure;
use crate::render;
use crate::view::{Failure, FailureKind};
use engine::{Evidence, EvidenceError, HeldKey, HolderKind, Item, Place, Remark};
use keys::account_log::Signer;
use keys::{AccountId, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Largest file that can be evidence, in bytes: two account logs and a little.
pub const EVIDENCE_BYTES: u64 = 2 * (1 << 20) + 4096;

/// What a piece of evidence shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable word, for example `fork`, `log_not_signed`, `nothing`.
    pub finding: String,
    /// Whether the account's own signatures prove it, so that nobody has to believe who kept the evidence.
    pub signed: bool,
    /// The account it is about, base32.
    pub account_id: String,
    /// When it was kept, in seconds since 1970, by the clock of who kept it.
    pub seen_at: u64,
    /// The entry of the account log it is about.
    pub sequence: Option<u64>,
    /// The device it is about, base32.
    pub device_id: Option<String>,
    /// The other account that was shown, base32.
    pub shown_account_id: Option<String>,
    /// For people.
    pub message: String,
}

impl Finding {
    /// Whether what was shown contradicts what was known.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        self.finding != engine::Finding::Nothing.name()
    }
}

/// Checks a piece of evidence. No home, no clock and no network is asked.
///
/// ```
/// use letterlock_client::{insight, view::FailureKind};
///
/// let failure = insight::verify_evidence(b"something else").unwrap_err();
/// assert_eq!(failure.kind, FailureKind::Refused);
/// ```
///
/// # Errors
/// [`FailureKind::Refused`]: no evidence, or damaged.
pub fn verify_evidence(bytes: &[u8]) -> Result<Finding, Failure> {
    let evidence = Evidence::decode(bytes).map_err(refused)?;
    let finding = evidence.verify().map_err(refused)?;
    let (sequence, device, shown) = subjects(&finding);
    Ok(Finding {
        finding: finding.name().to_owned(),
        signed: finding.is_signed(),
        account_id: evidence.account.to_string(),
        seen_at: evidence.at.as_secs(),
        sequence,
        device_id: device,
        shown_account_id: shown,
        message: message(&finding),
    })
}

fn refused(error: EvidenceError) -> Failure {
    let hint = match error {
        EvidenceError::OtherFile => "name a file that `letterlock contact evidence --save` wrote",
        EvidenceError::Newer => "install a newer version of letterlock",
        EvidenceError::Pinned(_) => {
            "no version of letterlock keeps such evidence; do not rely on it"
        }
        _ => "take another copy of the file",
    };
    failure(FailureKind::Refused, error.to_string(), Some(hint))
}

type Subjects = (Option<u64>, Option<String>, Option<String>);

fn subjects(finding: &engine::Finding) -> Subjects {
    use engine::Finding as F;
    match finding {
        F::Fork { sequence } | F::LogNotSigned { sequence, .. } | F::RootReplaced { sequence } => {
            (Some(*sequence), None, None)
        }
        F::AgainstRules {
            sequence, signer, ..
        } => {
            let device = match signer {
                Signer::Device(device) => Some(device.to_string()),
                _ => None,
            };
            (Some(*sequence), device, None)
        }
        F::OtherAccount { shown } => (None, None, Some(shown.to_string())),
        F::RolledBack { shown, .. } => (Some(*shown), None, None),
        F::PreKeysNotSigned { device }
        | F::PreKeysExpired { device }
        | F::NotVouchedFor { device } => (None, Some(device.to_string()), None),
        F::RevokedDeviceWrote { device, sequence } => {
            (Some(*sequence), Some(device.to_string()), None)
        }
        F::Withheld { told, .. } => (Some(*told), None, None),
        _ => (None, None, None),
    }
}

fn message(finding: &engine::Finding) -> String {
    use engine::Finding as F;
    match finding {
        F::Fork { sequence } => format!(
            "keys of this account signed two different histories from entry {sequence} on; devices that change \
             the log at once may sign two entries, but an honest relay shows one of them alone"
        ),
        F::AgainstRules {
            sequence,
            signer,
            revoked: true,
            ..
        } => format!(
            "{} signed entry {sequence}, in a history that had revoked it",
            who(signer)
        ),
        F::AgainstRules {
            sequence,
            signer,
            error,
            ..
        } => format!(
            "{} signed entry {sequence}, which it may not: {error}",
            who(signer)
        ),
        F::RootReplaced { sequence } => format!(
            "entry {sequence} gave the account a new root key, and the old one signed it; the owner did that, or \
             somebody who had the root key"
        ),
        F::OtherRoot => "the code that was scanned names another root key than the known log; codes are not signed, \
                         so this is the word of who kept the evidence"
            .to_owned(),
        F::OtherAccount { shown } => format!(
            "the log of another account was shown, {shown}; names are not signed, so who showed it under this one \
             is the word of who kept the evidence"
        ),
        F::RolledBack { shown, known } => format!(
            "the log that was shown ends at entry {shown}, though entry {known} was known; whoever showed it held \
             entries back"
        ),
        F::LogNotSigned { sequence, error } => format!(
            "no key of this account signed entry {sequence} of the log that was shown ({error}); whoever showed it \
             made it up, and it proves nothing against the account"
        ),
        F::NoLog => {
            "what was shown is no account log; it proves nothing against the account".to_owned()
        }
        F::PreKeysNotSigned { device } => format!(
            "device {device} did not sign the pre-keys that were shown as its own; whoever showed them made them \
             up, and they prove nothing against the account"
        ),
        F::PreKeysExpired { device } => format!(
            "device {device} did sign the pre-keys that were shown, but their time was over; whoever showed them \
             held newer ones back, or the device was away for long"
        ),
        F::RevokedDeviceWrote { device, sequence } => format!(
            "letters came of device {device}, which entry {sequence} had revoked; letters are not signed, so this \
             is the word of who kept the evidence"
        ),
        F::NotVouchedFor { device } => format!(
            "letters came of device {device}, and no other device of the account vouched for it any more"
        ),
        F::Withheld { told, known } => format!(
            "a device of this account told of entry {told}, and nothing behind entry {known} was shown"
        ),
        _ => "what was shown goes with what was known; it proves nothing".to_owned(),
    }
}

fn who(signer: &Signer) -> String {
    match signer {
        Signer::Root => "the root key".to_owned(),
        Signer::Device(device) => format!("device {device}"),
        Signer::Recovery(method) => format!("the recovery key of the {}", method.name()),
        _ => "a key of the account".to_owned(),
    }
}

/// One key that opens something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What it opens: `account`, `contact`, `conversation`, `letter`, `enclosure`.
    pub item: String,
    /// `own_device`, `contact_device`, `sheet`, `guardians`, `root`.
    pub kind: String,
    /// Who, for people.
    pub who: String,
    /// Of which account, base32.
    pub account_id: String,
    /// Which device, base32.
    pub device_id: Option<String>,
    /// Whether it is the device of this home.
    pub this: bool,
    /// Which key: `profile`, `message`, `enclosure`, `backup_parts`, `recovery`, `signing`, `identity`, `envelope`,
    /// `root`, `backup_head`.
    pub key: String,
    /// Where it lives: `profile`, `paper`, `shares`, `backup`, `unknown`.
    pub place: String,
    /// False: it may be there; what this home knows does not decide it.
    pub certain: bool,
    /// Since when, in seconds since 1970, to the hour.
    pub since: Option<u64>,
    /// Until when it opens anything.
    pub until: Option<u64>,
    /// How many guardians it takes.
    pub need: Option<u8>,
    /// Of how many.
    pub of: Option<u8>,
    /// How long the guardians' locks take to open, in seconds.
    pub delay_seconds: u64,
    /// `under_way`, `history`, `revoked`, `backup_behind`, `senior`, `young`, `plain`.
    pub remark: Option<String>,
    /// Key, place and remark, for people.
    pub message: String,
}

/// What devices and contacts are called here.
pub(crate) struct Names {
    /// This device.
    pub(crate) this: DeviceId,
    /// Devices of the own account.
    pub(crate) devices: Vec<(DeviceId, String)>,
    /// Contacts.
    pub(crate) contacts: Vec<(AccountId, String)>,
}

impl Names {
    pub(crate) fn device(&self, id: &DeviceId) -> String {
        let called = self.devices.iter().find(|(device, _)| device == id);
        let name = called.map_or_else(|| render::short(&id.to_string()), |(_, name)| name.clone());
        match *id == self.this {
            true => format!("{name} (this device)"),
            false => name,
        }
    }

    pub(crate) fn contact(&self, id: &AccountId) -> Option<&str> {
        let called = self.contacts.iter().find(|(contact, _)| contact == id);
        called.map(|(_, name)| name.as_str())
    }
}

/// Shows who holds a key.
pub(crate) fn holder(item: &Item, holder: &engine::Holder, names: &Names) -> Holder {
    let item = match item {
        Item::Account => "account",
        Item::Contact(_) => "contact",
        Item::Conversation(_) => "conversation",
        Item::Enclosure(..) => "enclosure",
        Item::Group(_) => "group",
        _ => "letter",
    };
    Holder {
        item: item.to_owned(),
        kind: holder.kind.name().to_owned(),
        who: holder_name(holder, names),
        account_id: holder.account.to_string(),
        device_id: holder.device.map(|device| device.to_string()),
        this: holder.device == Some(names.this),
        key: holder.key.name().to_owned(),
        place: holder.place.name().to_owned(),
        certain: holder.certain,
        since: holder.since.map(Timestamp::as_secs),
        until: holder.until.map(Timestamp::as_secs),
        need: holder.need.map(|(need, _)| need),
        of: holder.need.map(|(_, of)| of),
        delay_seconds: holder.delay_seconds,
        remark: holder.remark.map(|remark| remark.name().to_owned()),
        message: holder_message(holder),
    }
}

fn holder_name(holder: &engine::Holder, names: &Names) -> String {
    let contact = names.contact(&holder.account);
    let whose = contact.map_or_else(String::new, |name| format!(" of {name}"));
    match (holder.kind, &holder.device) {
        (HolderKind::OwnDevice, Some(device)) => names.device(device),
        (_, Some(device)) => format!(
            "{} {}",
            contact.unwrap_or("device"),
            render::short(&device.to_string())
        ),
        (HolderKind::Sheet, None) => format!("recovery sheet{whose}"),
        (HolderKind::Guardians, None) => match holder.need {
            Some((need, of)) => format!("{need} of {of} guardians{whose}"),
            None => format!("guardians{whose}"),
        },
        _ => format!("root key{whose}"),
    }
}

fn holder_message(holder: &engine::Holder) -> String {
    let key = match holder.key {
        HeldKey::Profile => "profile key",
        HeldKey::Message => "session message key",
        HeldKey::Enclosure => "file key, in the letter",
        HeldKey::BackupParts => "keys of backup parts",
        HeldKey::Recovery => "recovery key: head of the backup, then its parts",
        HeldKey::Signing => "signing key",
        HeldKey::Identity => "identity key",
        HeldKey::Envelope => "envelope key",
        HeldKey::Root => "root key",
        HeldKey::BackupHead => "head key: replaces the backup, opens nothing",
        _ => "key",
    };
    let place = match holder.place {
        Place::Profile => "in that device's encrypted profile",
        Place::Paper => "on paper",
        Place::Shares => "with contacts and the relay's locks",
        Place::Backup => "in the backup, sealed",
        _ => "place not known here",
    };
    let remark = holder.remark.and_then(|remark| {
        Some(match remark {
            Remark::UnderWay => "the sealed letter is on its way; used once, then destroyed",
            Remark::History => "joined later, may have got it with the history",
            Remark::Shared => "joined the group later; a member shared it",
            Remark::Before => "of before you joined; was in the group then, or not",
            Remark::Revoked => "revoked; keeps what it had",
            Remark::Suspended => "suspended; keeps what it had",
            Remark::BackupBehind => "the backup may not hold it",
            Remark::Senior => "adds and revokes devices",
            Remark::Young => "too young to add devices or revoke older ones",
            Remark::Plain => "no admin device",
            _ => return None,
        })
    });
    match remark {
        Some(remark) => format!("{key}, {place} ({remark})"),
        None => format!("{key}, {place}"),
    }
}
