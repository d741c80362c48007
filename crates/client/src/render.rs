//! From the engine's records to what people see.

use crate::relay_url::authority_of;
use crate::view;
use engine::records::{self, Contact, OwnAccount};
use keys::account_log::VerifiedLog;

/// Shows the own account.
pub(crate) fn account(own: &OwnAccount, log: &VerifiedLog) -> view::Account {
    view::Account {
        name: own.name.clone(),
        address: format!("{}@{}", own.name, authority_of(&own.relay)),
        account_id: own.id.to_string(),
        device_id: own.device.to_string(),
        relay: own.relay.clone(),
        registered: own.registered,
        suite: log.suite().name().to_owned(),
        log_length: log.head().sequence.saturating_add(1),
        log_head: base32(&log.head().hash),
    }
}

/// Shows a contact.
pub(crate) fn contact(contact: &Contact, devices: usize, suite: &str) -> view::Contact {
    view::Contact {
        name: contact.petname.clone(),
        address: address(contact),
        account_id: contact.id.to_string(),
        trust: trust(contact),
        blocked: contact.blocked,
        request: contact.request,
        devices: u32::try_from(devices).unwrap_or(u32::MAX),
        suite: suite.to_owned(),
    }
}

/// NAME@HOST as the contact or its relay claims it.
pub(crate) fn address(contact: &Contact) -> String {
    format!("{}@{}", contact.name, authority_of(&contact.relay))
}

fn trust(contact: &Contact) -> view::Trust {
    if contact.changed {
        return view::Trust::Changed;
    }
    match contact.trust {
        records::Trust::Claimed => view::Trust::Claimed,
        records::Trust::ByInvite
        | records::Trust::BySafetyNumber
        | records::Trust::BySas
        | records::Trust::ByCode => view::Trust::Verified,
    }
}

/// Shows a letter of a conversation that is called `name` here; `author` is what whoever wrote it is called.
pub(crate) fn letter(letter: &records::Letter, name: &str, author: &str) -> view::Letter {
    let (direction, from) = match letter.direction {
        // An errand stands in no conversation.
        records::Direction::Sent | records::Direction::Errand => (view::Direction::Sent, "me"),
        records::Direction::Received => (view::Direction::Received, author),
    };
    view::Letter {
        id: letter.id.to_string(),
        conversation: name.to_owned(),
        from: from.to_owned(),
        direction,
        text: letter.text.clone(),
        sent_at: letter.sent_at.as_secs(),
        state: state(letter.state),
        reply_to: letter.reply_to.map(|id| id.to_string()),
        answers: None,
        expires_at: letter.expires_at.map(|at| at.as_secs()),
        enclosures: letter
            .enclosures
            .iter()
            .map(|enclosure| view::Enclosure {
                name: enclosure.name.clone(),
                size: enclosure.size,
            })
            .collect(),
        edit: letter.marks.edit,
        deleted: letter.marks.deleted,
        reactions: Vec::new(),
        shared_by: None,
    }
}

/// Characters of a letter that one shows which answers it.
const QUOTED: usize = 80;

/// How a letter begins, for one that answers it; `author` is what whoever wrote it is called.
pub(crate) fn quote(letter: &records::Letter, author: &str) -> view::Quote {
    let from = match letter.direction {
        records::Direction::Received => author,
        records::Direction::Sent | records::Direction::Errand => "me",
    };
    let file = letter.enclosures.first().map(|file| file.name.as_str());
    let line = letter.text.lines().find(|line| !line.trim().is_empty());
    let line = line.or(file).unwrap_or_default().trim();
    let mut text: String = line.chars().take(QUOTED).collect();
    if text.len() < line.len() {
        text.push('…');
    }
    view::Quote {
        from: from.to_owned(),
        text,
    }
}

fn state(state: records::LetterState) -> view::LetterState {
    use records::LetterState as Stored;
    match state {
        Stored::Uploading => view::LetterState::Uploading,
        Stored::Queued => view::LetterState::Queued,
        Stored::Sent => view::LetterState::Sent,
        Stored::Delivered => view::LetterState::Delivered,
        Stored::Failed => view::LetterState::Failed,
        Stored::Received => view::LetterState::Received,
        Stored::Read => view::LetterState::Read,
    }
}

/// The first letters of an id: enough to type.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// Bytes as base32, lower case, without padding: the form of every id.
pub(crate) fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD
        .encode(bytes)
        .to_ascii_lowercase()
}

/// Whole seconds as people read them, in the greatest unit that fits.
#[must_use]
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let fits = |(size, _): &&(u64, &str)| {
        seconds >= size.saturating_mul(2) && seconds.is_multiple_of(*size)
    };
    match UNITS.iter().find(fits) {
        Some((size, name)) => format!("{} {name}", seconds.checked_div(*size).unwrap_or(0)),
        None => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn seconds_are_shown_in_the_greatest_unit_that_fits() {
        let spans = [60, 90, 120, 3600, 7200, 86_400, 172_800];
        let expected = [
            "60 seconds",
            "90 seconds",
            "2 minutes",
            "60 minutes",
            "2 hours",
            "24 hours",
            "2 days",
        ];
        assert_eq!(spans.map(span), expected);
    }
}
