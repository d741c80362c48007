//! From what a person types to the contact that is meant.

use crate::failure::failure;
use crate::relay_url::{RelayUrl, authority_of};
use crate::render;
use crate::view::{Device, DeviceState, Failure, FailureKind, HiddenText};
use engine::records::{Contact, GroupRecord, GroupStanding, Lost};
use keys::link::{LinkCode, LinkCodeError, LinkSecret, WordsError};
use keys::request_code::{RequestCode, RequestCodeError};
use keys::sheet::{SheetError, SheetSecret};
use keys::{AccountId, DeviceId, GroupId, LetterId};

/// Letters of an account id that are enough to mean it.
const ID_PREFIX: usize = 8;
/// Longest name that a contact is given here, in bytes.
const PETNAME_BYTES: usize = 64;

/// Finds the one contact that is meant: by what it is called here, by NAME@HOST, or by the first letters of its
/// account id.
///
/// # Errors
/// Nobody, or more than one.
pub(crate) fn find<'a>(contacts: &'a [Contact], who: &str) -> Result<&'a Contact, Failure> {
    let by_petname = |contact: &&Contact| contact.petname == who;
    let by_address = |contact: &&Contact| render::address(contact) == who;
    let by_id = |contact: &&Contact| {
        let typed = who.to_ascii_lowercase();
        typed.len() >= ID_PREFIX && contact.id.to_string().starts_with(&typed)
    };
    let by_any_case = |contact: &&Contact| contact.petname.eq_ignore_ascii_case(who);
    let ways: [&dyn Fn(&&Contact) -> bool; 4] = [&by_petname, &by_address, &by_id, &by_any_case];
    for way in ways {
        let found: Vec<&Contact> = contacts.iter().filter(way).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            _ => {
                let hint = "name the account id instead; `letterlock contact list --json` shows it";
                return Err(failure(
                    FailureKind::Usage,
                    format!("{who} may mean several contacts"),
                    Some(hint),
                ));
            }
        }
    }
    let hint =
        "see `letterlock contact list`, or add one with `letterlock contact add INVITE|NAME@RELAY`";
    Err(failure(
        FailureKind::NotFound,
        format!("there is no contact {who}"),
        Some(hint),
    ))
}

/// Finds the one group that is meant: by its name, or by the first letters of its id.
///
/// # Errors
/// None, or more than one.
pub(crate) fn find_group(mut groups: Vec<GroupRecord>, who: &str) -> Result<GroupRecord, Failure> {
    let index = find_named(&named(&groups), who, "group", "group list")?;
    Ok(groups.swap_remove(index))
}

/// Ids and names of groups, and whether this account is in them.
pub(crate) fn named(groups: &[GroupRecord]) -> Vec<(GroupId, String, bool)> {
    let named = groups.iter().map(|group| {
        let alive = group.standing != GroupStanding::Out;
        (group.id, group.data.name.clone(), alive)
    });
    named.collect()
}

/// Finds the one that is meant: by its name, or by the first letters of its id. What was left gives way to what was not.
///
/// # Errors
/// None, or more than one.
pub(crate) fn find_named(
    named: &[(GroupId, String, bool)],
    who: &str,
    what: &str,
    list: &str,
) -> Result<usize, Failure> {
    let typed = who.to_ascii_lowercase();
    let by_name = |_: &GroupId, name: &str| name == who;
    let by_id =
        |id: &GroupId, _: &str| typed.len() >= ID_PREFIX && id.to_string().starts_with(&typed);
    let by_any_case = |_: &GroupId, name: &str| name.to_lowercase() == who.to_lowercase();
    type Way<'a> = &'a dyn Fn(&GroupId, &str) -> bool;
    let ways: [Way<'_>; 3] = [&by_name, &by_id, &by_any_case];
    let meant = ways.iter().map(|way| {
        let found = named
            .iter()
            .enumerate()
            .filter(|(_, (id, name, _))| way(id, name));
        let found: Vec<(usize, bool)> = found.map(|(index, (.., alive))| (index, *alive)).collect();
        let alive: Vec<_> = found.iter().filter(|(_, alive)| *alive).copied().collect();
        if alive.is_empty() { found } else { alive }
    });
    let found = meant.into_iter().find(|found| !found.is_empty());
    match found.as_deref() {
        Some([(index, _)]) => Ok(*index),
        Some(_) => {
            let message = format!("{who} may mean several {what}s");
            let hint = format!("name the id instead; `letterlock {list}` shows it");
            Err(failure(FailureKind::Usage, message, Some(&hint)))
        }
        None => {
            let message = format!("there is no {what} {who}");
            let hint = format!("see `letterlock {list}`");
            Err(failure(FailureKind::NotFound, message, Some(&hint)))
        }
    }
}

/// Checks that nothing else of this kind has a name, by which it could not be told apart any more.
///
/// # Errors
/// Something has it that was not left, and is not the one that is `renamed`.
pub(crate) fn is_free(
    named: &[(GroupId, String, bool)],
    name: &str,
    renamed: Option<&GroupId>,
    what: &str,
) -> Result<(), Failure> {
    let mut others = named
        .iter()
        .filter(|(id, _, alive)| *alive && Some(id) != renamed);
    match others.any(|(_, other, _)| other == name) {
        false => Ok(()),
        true => {
            let message = format!("there is a {what} {name} already");
            let hint = format!("call this one otherwise; `letterlock {what} list` shows them");
            Err(failure(FailureKind::Usage, message, Some(&hint)))
        }
    }
}

/// The conversation that is meant, by what was found under its name: with a contact, or of a group, and whether that group
/// is one that this account was in and is not any more.
///
/// # Errors
/// None, or more than one.
pub(crate) fn find_conversation(
    contact: Result<AccountId, Failure>,
    group: Result<(AccountId, bool), Failure>,
    who: &str,
) -> Result<AccountId, Failure> {
    let several = |failure: &Failure| failure.kind == FailureKind::Usage;
    match (contact, group) {
        (Ok(contact), Ok((_, true))) => Ok(contact),
        (Ok(_), Ok(_)) => Err(both(who)),
        (Ok(_), Err(failure)) if several(&failure) => Err(both(who)),
        (Ok(contact), Err(_)) => Ok(contact),
        (Err(failure), _) if several(&failure) => Err(failure),
        (Err(_), Ok((group, _))) => Ok(group),
        (Err(_), Err(failure)) if several(&failure) => Err(failure),
        (Err(contact), Err(group)) if contact.kind == group.kind => Err(failure(
            FailureKind::NotFound,
            format!("there is no contact and no group {who}"),
            Some(
                "see `letterlock contact list` and `letterlock group list`, or add a contact with `letterlock contact add \
                 INVITE|NAME@RELAY`",
            ),
        )),
        (Err(failure), Err(_)) => Err(failure),
    }
}

/// A name that a contact has, and a group, too.
fn both(who: &str) -> Failure {
    failure(
        FailureKind::Usage,
        format!("{who} is a contact and a group"),
        Some("name the id; `letterlock contact list --json` and `letterlock group list` show it"),
    )
}

/// What `contact add` was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Newcomer {
    /// The text of an invite.
    Invite(String),
    /// A name at a relay.
    Name {
        /// The name.
        name: String,
        /// The relay's address with its pin.
        relay: String,
    },
}

/// Reads what `contact add` was given. A bare host is looked up among the relays that are known already, for
/// only they have a pin.
///
/// # Errors
/// Neither form, or a relay without pin that is not known.
pub(crate) fn newcomer(who: &str, known_relays: &[&str]) -> Result<Newcomer, Failure> {
    let who = who.trim();
    if who.starts_with("letterlock:") {
        return Ok(Newcomer::Invite(who.to_owned()));
    }
    let Some((name, relay)) = who.split_once('@') else {
        let hint = "give an invite, which begins with letterlock:, or NAME@RELAY";
        return Err(failure(
            FailureKind::Usage,
            "this is neither an invite nor a name at a relay",
            Some(hint),
        ));
    };
    if relay.contains("://") {
        let relay = RelayUrl::parse(relay)?.canonical();
        return Ok(Newcomer::Name {
            name: name.to_owned(),
            relay,
        });
    }
    match known_relays
        .iter()
        .find(|known| authority_of(known) == relay.to_ascii_lowercase())
    {
        Some(known) => Ok(Newcomer::Name {
            name: name.to_owned(),
            relay: (*known).to_owned(),
        }),
        None => {
            let hint =
                "give its whole address, NAME@https://HOST:PORT#sha256=PIN, or ask for an invite";
            Err(failure(
                FailureKind::Usage,
                format!("the relay {relay} is not known here"),
                Some(hint),
            ))
        }
    }
}

/// Checks what a contact is to be called here: one line that can be typed again.
///
/// # Errors
/// Nothing, too long, or with characters that cannot be typed back.
pub(crate) fn petname(wished: Option<String>) -> Result<Option<String>, Failure> {
    let Some(wished) = wished else {
        return Ok(None);
    };
    let name = wished.trim();
    let usable = (1..=PETNAME_BYTES).contains(&name.len())
        && !name.starts_with('-')
        && !name.contains('@')
        && !name.chars().any(char::is_control);
    if usable {
        return Ok(Some(name.to_owned()));
    }
    let hint = "use up to 64 bytes, without @ and without - at the beginning";
    Err(failure(
        FailureKind::Usage,
        "this is no name for a contact",
        Some(hint),
    ))
}

/// Finds the one device in force that is meant: by its name or by the first letters of its id.
///
/// # Errors
/// None, or more than one.
pub(crate) fn find_device(devices: &[(DeviceId, Device)], who: &str) -> Result<DeviceId, Failure> {
    let there = |(_, device): &&(DeviceId, Device)| device.state != DeviceState::Revoked;
    let by_name = |device: &Device| device.name == who;
    let by_id = |device: &Device| {
        let typed = who.to_ascii_lowercase();
        typed.len() >= ID_PREFIX && device.id.starts_with(&typed)
    };
    let by_any_case = |device: &Device| device.name.eq_ignore_ascii_case(who);
    let ways: [&dyn Fn(&Device) -> bool; 3] = [&by_name, &by_id, &by_any_case];
    let hint = Some("see `letterlock device list`");
    for way in ways {
        let meant = |found: &&(DeviceId, Device)| there(found) && way(&found.1);
        let mut found = devices.iter().filter(meant);
        match (found.next(), found.next()) {
            (None, _) => {}
            (Some((id, _)), None) => return Ok(*id),
            (Some(_), Some(_)) => {
                let message = format!("{who} may mean several devices");
                return Err(failure(FailureKind::Usage, message, hint));
            }
        }
    }
    if devices.iter().any(|(_, device)| by_name(device)) {
        let message = format!("{who} is revoked already");
        return Err(failure(FailureKind::Refused, message, hint));
    }
    let message = format!("there is no device {who}");
    Err(failure(FailureKind::NotFound, message, hint))
}

/// Checks what a device is to be called: one line that can be typed again.
///
/// # Errors
/// Nothing, too long, or with characters that cannot be typed back.
pub(crate) fn device_name(wished: &str) -> Result<String, Failure> {
    let name = wished.trim();
    let usable = (1..=engine::limits::DEVICE_NAME_BYTES).contains(&name.len())
        && !name.starts_with('-')
        && !name.chars().any(char::is_control);
    if usable {
        return Ok(name.to_owned());
    }
    let hint = "use up to 64 bytes, without - at the beginning";
    let message = "this is no name for a device";
    Err(failure(FailureKind::Usage, message, Some(hint)))
}

/// Reads the id of a letter.
///
/// # Errors
/// It is none.
pub(crate) fn letter_id(text: &str) -> Result<LetterId, Failure> {
    LetterId::from_text(text).ok_or_else(|| {
        let message = format!("{text} is not the id of a letter");
        let hint = "see the ids with `letterlock read --json`";
        failure(FailureKind::Usage, message, Some(hint))
    })
}

/// Reads the secret of a link: one line that names the relay, or twelve words and the relay.
///
/// # Errors
/// Neither form; which word or group is wrong, and never how.
pub(crate) fn link_secret(
    text: &HiddenText,
    relay: Option<&str>,
) -> Result<(LinkSecret, String), Failure> {
    let text = text.as_str().trim();
    let by_words = text.split_whitespace().count() > 1 && !text.contains("LL1");
    if by_words {
        let secret = LinkSecret::from_words(text).map_err(|error| not_words(&error))?;
        let relay = relay.ok_or_else(|| {
            let hint = "add `--relay URL`; the other device shows it under the words";
            let message = "the words do not say at which relay";
            failure(FailureKind::Usage, message, Some(hint))
        })?;
        return Ok((secret, RelayUrl::parse(relay)?.canonical()));
    }
    let code = LinkCode::from_text(text).map_err(|error| not_a_code(&error))?;
    if relay.is_some() {
        let hint = "leave `--relay` out";
        let message = "the line names its relay itself";
        return Err(failure(FailureKind::Usage, message, Some(hint)));
    }
    let (secret, relay) = code.into_parts();
    Ok((secret, RelayUrl::parse(&relay)?.canonical()))
}

/// Reads a recovery sheet.
///
/// # Errors
/// It is none: which group cannot be right, and never how close the rest is.
pub(crate) fn sheet(text: &HiddenText) -> Result<SheetSecret, Failure> {
    SheetSecret::from_text(text.as_str()).map_err(|error| {
        let hint = match error {
            SheetError::Character { .. } => "compare that group with the paper",
            SheetError::Checksum => "compare each of the 13 groups with the paper",
            _ => "type all 13 groups of four characters",
        };
        let message = format!("the sheet cannot be read: {error}");
        failure(FailureKind::Usage, message, Some(hint))
    })
}

/// Reads a recovery sheet as somebody typed it, and writes it as it is printed.
///
/// # Errors
/// It is none: which group cannot be right, and never how close the rest is.
pub fn read_sheet(text: &HiddenText) -> Result<HiddenText, Failure> {
    sheet(text).map(|sheet| HiddenText::from(sheet.to_text().to_string()))
}

/// Reads the code that somebody who asks for recovery told.
///
/// # Errors
/// It is none: which group cannot be right, and never how close the rest is.
pub(crate) fn request_code(text: &HiddenText) -> Result<RequestCode, Failure> {
    RequestCode::from_text(text.as_str()).map_err(|error| {
        let hint = match error {
            RequestCodeError::Character { .. } => "have that group told again",
            RequestCodeError::Checksum => "have each of the 11 groups told again",
            _ => "type all 11 groups of four characters",
        };
        let message = format!("the code cannot be read: {error}");
        failure(FailureKind::Usage, message, Some(hint))
    })
}

/// Reads whose account is to come back: its name at the relay, or its id.
///
/// # Errors
/// Neither form.
pub(crate) fn lost(account: &str) -> Result<Lost, Failure> {
    let account = account.trim();
    if let Some(id) = AccountId::from_text(account) {
        return Ok(Lost::Account(id));
    }
    match wire::is_name(account) {
        true => Ok(Lost::Name(account.to_owned())),
        false => Err(engine::EngineError::InvalidName.into()),
    }
}

fn not_words(error: &WordsError) -> Failure {
    let hint = match error {
        WordsError::Unknown { .. } => "compare that word with what the other device shows",
        _ => "type the twelve words as the other device shows them, with spaces between them",
    };
    failure(FailureKind::Usage, error.to_string(), Some(hint))
}

fn not_a_code(error: &LinkCodeError) -> Failure {
    let hint = match error {
        LinkCodeError::Version => "install the same version of letterlock on both devices",
        _ => "copy the whole line that begins with LL1-, or type the twelve words",
    };
    failure(FailureKind::Usage, error.to_string(), Some(hint))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "test code"
    )]
    use super::*;

    #[test]
    fn a_host_means_the_relay_that_is_known_by_it() {
        let known = ["http://127.0.0.1:4000", "http://127.0.0.1:4001"];
        let wanted = Newcomer::Name {
            name: "ada".into(),
            relay: known[1].into(),
        };
        assert_eq!(newcomer("ada@127.0.0.1:4001", &known).unwrap(), wanted);
        assert_eq!(newcomer("ada@HTTP://127.0.0.1:4001/", &[]).unwrap(), wanted);
        assert_eq!(
            newcomer("ada@127.0.0.1:4002", &known).unwrap_err().kind,
            FailureKind::Usage
        );
        assert_eq!(
            newcomer("ada@http://example.org", &known).unwrap_err().kind,
            FailureKind::Usage
        );
    }

    #[test]
    fn a_name_that_several_conversations_have_is_told() {
        let id = |byte| AccountId::from_bytes([byte; 32]);
        let told = |kind| Err::<(), _>(failure(kind, "what it was", None));
        let one = told(FailureKind::NotFound);
        let many = told(FailureKind::Usage);
        let contact = |found: &Result<(), Failure>| found.clone().map(|()| id(1));
        let group = |found: &Result<(), Failure>, left| found.clone().map(|()| (id(2), left));
        let find = |one: &_, other: &_, left| {
            let found = find_conversation(contact(one), group(other, left), "bob");
            found.map_err(|failure| (failure.kind, failure.message))
        };
        assert_eq!(find(&Ok(()), &one, false), Ok(id(1)));
        assert_eq!(find(&one, &Ok(()), true), Ok(id(2)));
        // A group that was left takes no name away from a contact.
        assert_eq!(find(&Ok(()), &Ok(()), true), Ok(id(1)));
        let several = (
            FailureKind::Usage,
            "bob is a contact and a group".to_owned(),
        );
        assert_eq!(find(&Ok(()), &Ok(()), false), Err(several.clone()));
        assert_eq!(find(&Ok(()), &many, false), Err(several));
        // Of several nobody is told that there is none.
        let told = (FailureKind::Usage, "what it was".to_owned());
        assert_eq!(find(&one, &many, false), Err(told.clone()));
        assert_eq!(find(&many, &Ok(()), false), Err(told.clone()));
        assert_eq!(find(&many, &one, false), Err(told));
        let (kind, message) = find(&one, &one, false).unwrap_err();
        assert_eq!(kind, FailureKind::NotFound);
        assert_eq!(message, "there is no contact and no group bob");
    }

    #[test]
    fn an_invite_is_known_by_its_beginning() {
        assert_eq!(
            newcomer(" letterlock:AAAA\n", &[]).unwrap(),
            Newcomer::Invite("letterlock:AAAA".into())
        );
        assert_eq!(newcomer("ada", &[]).unwrap_err().kind, FailureKind::Usage);
    }

    #[test]
    fn a_contact_is_called_what_can_be_typed_again() {
        let called = |name: &str| petname(Some(name.to_owned()));
        assert_eq!(called(" Zoë at work ").unwrap().unwrap(), "Zoë at work");
        assert!(petname(None).unwrap().is_none());
        let long = "x".repeat(PETNAME_BYTES + 1);
        for name in ["", "  ", "-v", "a@b", "a\u{1b}b", &long] {
            assert_eq!(
                called(name).unwrap_err().kind,
                FailureKind::Usage,
                "{name:?}"
            );
        }
    }

    fn secret(text: &str, relay: Option<&str>) -> Result<(LinkSecret, String), Failure> {
        link_secret(&HiddenText::from(text.to_owned()), relay)
    }

    const RELAY: &str = "http://127.0.0.1:4000";

    #[test]
    fn a_link_is_typed_as_a_line_or_as_words() {
        let words = "abandon amount liar amount expire adjust cage candy arch gather drum buyer";
        let (by_words, relay) = secret(words, Some("HTTP://127.0.0.1:4000/")).unwrap();
        assert_eq!(relay, RELAY);
        let code = LinkCode::new(LinkSecret::from_words(words).unwrap(), RELAY.to_owned());
        let line = code.unwrap().to_text();
        let (by_line, relay) = secret(&format!(" {}\n", line.as_str()), None).unwrap();
        assert_eq!(relay, RELAY);
        assert_eq!(by_line.queue_id(), by_words.queue_id());
        assert!(secret(words, None).is_err_and(|f| f.message.contains("which relay")));
        assert!(secret(&line, Some(RELAY)).is_err());
    }

    #[test]
    fn a_wrong_word_is_named() {
        let words = "abandon amount liar amount expire adjust cage candies arch gather drum buyer";
        let Err(failure) = secret(words, Some(RELAY)) else {
            panic!("no such word");
        };
        assert_eq!(failure.kind, FailureKind::Usage);
        assert_eq!(failure.message, "word 8 is not in the list");
        for text in ["", "LL1-", "LL1-0000", "abandon"] {
            assert!(secret(text, Some(RELAY)).is_err_and(|f| f.kind == FailureKind::Usage));
        }
    }

    #[test]
    fn an_account_is_lost_by_name_or_id() {
        assert_eq!(lost(" ada\n").unwrap(), Lost::Name("ada".into()));
        let id = AccountId::from_bytes([7; 32]);
        let shouted = id.to_string().to_uppercase();
        assert_eq!(lost(&shouted).unwrap(), Lost::Account(id));
        for text in ["", "Ada Lovelace", "ada@relay", &shouted[1..]] {
            assert_eq!(lost(text).unwrap_err().kind, FailureKind::Usage, "{text}");
        }
    }

    #[test]
    fn a_code_says_where_it_is_wrong() {
        let code = "000G-40R4-0M30-E209-185G-R38E-1ZRF-3WQK-YKTZ-DXZR-XJ5C";
        let read = |text: &str| request_code(&HiddenText::from(text.to_owned()));
        assert!(read(&code.to_lowercase().replace('-', " ")).is_ok());
        for (text, word) in [
            (code.replace("E209", "E2U9"), "group 4 "),
            (code.replace("E209", "E208"), "checksum"),
            (code.replace("-E209", ""), "40 characters"),
        ] {
            let failure = read(&text).err().unwrap();
            assert_eq!(failure.kind, FailureKind::Usage);
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }

    #[test]
    fn a_device_is_meant_by_its_name_or_id_while_it_is_in_force() {
        let device = |name: &str, byte: u8, state| {
            let id = DeviceId::from_bytes([byte; 16]);
            let device = Device {
                name: name.to_owned(),
                id: id.to_string(),
                this: false,
                admin: true,
                added: 0,
                senior: true,
                state,
                reason: None,
            };
            (id, device)
        };
        let devices = [
            device("tablet", 1, DeviceState::InForce),
            device("phone", 2, DeviceState::Revoked),
            device("Phone", 3, DeviceState::InForce),
        ];
        let meant = |who: &str| find_device(&devices, who);
        assert_eq!(meant("tablet").unwrap(), devices[0].0);
        assert_eq!(meant("phone").unwrap(), devices[2].0);
        assert_eq!(meant(&devices[0].1.id[..8]).unwrap(), devices[0].0);
        assert_eq!(meant("desk").unwrap_err().kind, FailureKind::NotFound);
        let gone = [device("phone", 2, DeviceState::Revoked)];
        let refused = find_device(&gone, "phone").unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
    }
}
