//! Answers as people and as programs read them: pure functions to text.

use crate::{
    give, groups, guardians, insight, mount, recovery, sas, sealed, text, time, vault_files, vaults,
};
use client::api::Answer;
use client::view;
use serde::Serialize;
use std::fmt::Write as _;

/// Where a rendered answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A result, for standard output. It ends with a line break.
    Result(String),
    /// Talk, for standard error. It ends with a line break.
    Talk(String),
    /// Nothing to write.
    Nothing,
}

/// Renders an answer for people.
pub(crate) fn for_people(answer: &Answer) -> Shown {
    match answer {
        Answer::Account(account) => Shown::Result(self::account(account)),
        Answer::LogEntry(entry) => Shown::Result(log_entry(entry)),
        Answer::Invite(invite) => Shown::Result(format!("{}\n", text::line(&invite.invite))),
        Answer::Contact(contact) => Shown::Result(self::contact(contact)),
        Answer::SafetyNumber(number) => Shown::Result(format!("{}\n", text::line(&number.number))),
        Answer::Sas(sas) => Shown::Talk(sas::pictures(sas)),
        Answer::VerificationCode(code) => Shown::Result(format!("{}\n", text::line(&code.code))),
        Answer::Evidence(evidence) => Shown::Result(self::evidence(evidence)),
        Answer::Inventory(inventory) => Shown::Result(insight::heading(inventory)),
        Answer::Algorithm(algorithm) => Shown::Result(insight::algorithm(algorithm)),
        Answer::Key(key) => Shown::Result(insight::key(key)),
        Answer::Holder(holder) => Shown::Result(insight::holder(holder)),
        Answer::Letter(letter) => Shown::Result(self::letter(letter)),
        Answer::Link(link) => Shown::Result(format!("{}\n", text::line(link.link.as_str()))),
        Answer::Device(device) => Shown::Result(self::device(device)),
        Answer::Group(group) => Shown::Result(groups::group(group)),
        Answer::Member(member) => Shown::Result(groups::member(member)),
        Answer::Vault(vault) => Shown::Result(vaults::vault(vault)),
        Answer::VaultMember(member) => Shown::Result(vaults::member(member)),
        Answer::VaultChange(change) => Shown::Result(vault_files::change(change)),
        Answer::VaultMounted(mounted) => Shown::Result(mount::mounted(mounted)),
        Answer::VaultSynced(synced) => Shown::Result(vault_files::synced(synced)),
        Answer::VaultGot(got) => Shown::Result(vault_files::got(got)),
        Answer::VaultEntry(entry) => Shown::Result(vault_files::entry(entry)),
        Answer::VaultVersion(version) => Shown::Result(vault_files::version(version)),
        Answer::Picture(saved) => Shown::Result(groups::picture(saved)),
        Answer::Deleted(deleted) => Shown::Result(format!("deleted {}\n", text::line(&deleted.id))),
        Answer::SealedFile(file) => Shown::Result(sealed::file(file)),
        Answer::SealedEntry(entry) => Shown::Result(sealed::entry(entry)),
        Answer::GiveCode(code) => Shown::Result(give::code(code)),
        Answer::GiveLink(link) => Shown::Result(give::link(link)),
        Answer::Given(_) => Shown::Nothing,
        Answer::Taken(taken) => Shown::Result(give::taken(taken)),
        Answer::NewIdentity(identity) => Shown::Result(match &identity.text {
            Some(text) => text.as_str().to_owned(),
            None => format!("{}\n", identity.recipient),
        }),
        Answer::Saved(saved) => Shown::Result(self::saved(saved)),
        Answer::Sheet(sheet) => Shown::Result(format!("{}\n", text::line(sheet.sheet.as_str()))),
        Answer::Restored(restored) => Shown::Result(recovery::restored(restored)),
        Answer::Recovery(line) => Shown::Result(recovery::recovery(line)),
        Answer::Guardians(state) => Shown::Result(guardians::state(state)),
        Answer::Share(share) => Shown::Result(guardians::share(share)),
        Answer::RecoveryRequest(request) => {
            Shown::Result(format!("{}\n", text::line(request.code.as_str())))
        }
        Answer::RecoveryProgress(progress) => Shown::Talk(guardians::progress(progress)),
        Answer::RecoveryAlarm(request) => Shown::Talk(guardians::alarm(request)),
        Answer::Notice(notice) => Shown::Talk(format!("note: {}\n", text::line(&notice.message))),
        _ => Shown::Nothing,
    }
}

/// Renders an answer for programs, as one line of JSON.
pub(crate) fn for_programs(answer: &Answer) -> Shown {
    match answer {
        Answer::Notice(_)
        | Answer::Failed(_)
        | Answer::PairingCode(_)
        | Answer::Sas(_)
        | Answer::RecoveryProgress(_)
        | Answer::RecoveryAlarm(_) => Shown::Talk(json(answer)),
        Answer::Progress(_) | Answer::Done => Shown::Nothing,
        _ => Shown::Result(json(answer)),
    }
}

/// One line of JSON with its line break.
pub(crate) fn json(value: &impl Serialize) -> String {
    // What is shown is structs of strings, numbers and lists: writing them cannot fail.
    let line = serde_json::to_string(value).unwrap_or_default();
    format!("{}\n", text::json(&line))
}

/// A failure for people: what happened, and what to type next.
pub(crate) fn failure(failure: &view::Failure) -> String {
    let mut shown = format!("error: {}\n", text::line(&failure.message));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(shown, "hint: {}", text::line(hint));
    }
    shown
}

fn account(account: &view::Account) -> String {
    let registered = if account.registered {
        "confirmed by the relay"
    } else {
        "not confirmed by the relay yet"
    };
    let rows = [
        ("name", text::line(&account.name)),
        ("address", text::line(&account.address)),
        ("account", text::line(&account.account_id)),
        ("device", text::line(&account.device_id)),
        ("relay", text::line(&account.relay)),
        ("registered", registered.to_owned()),
        ("suite", text::line(&account.suite)),
        ("log", log_summary(account)),
    ];
    let mut shown = String::new();
    for (label, value) in rows {
        let _ = writeln!(shown, "{label:<11} {value}");
    }
    shown
}

fn log_summary(account: &view::Account) -> String {
    let entries = match account.log_length {
        1 => "1 entry".to_owned(),
        more => format!("{more} entries"),
    };
    format!("{entries}, newest {}", text::line(&account.log_head))
}

fn log_entry(entry: &view::LogEntry) -> String {
    let mut shown = format!(
        "{:>4}  {:<14} {}\n",
        entry.sequence,
        text::line(&entry.kind),
        text::line(&entry.hash)
    );
    for device in &entry.devices {
        let _ = writeln!(shown, "      device         {}", text::line(device));
    }
    shown
}

fn evidence(evidence: &view::Evidence) -> String {
    let shown = evidence.shown_account_id.as_deref();
    let mut lines = format!(
        "{}  {}\n  pinned  {}\n  shown   {}\n",
        time::local(evidence.seen_at),
        text::line(&evidence.contact),
        text::line(&evidence.account_id),
        shown.map_or_else(|| "no valid account log".to_owned(), text::line)
    );
    let _ = writeln!(lines, "  finding {}", text::line(&evidence.finding));
    if let Some(path) = &evidence.path {
        let _ = writeln!(lines, "  file    {}", text::line(path));
    }
    lines
}

fn contact(contact: &view::Contact) -> String {
    let mut state = trust(contact.trust).to_owned();
    if contact.blocked {
        state.push_str(", blocked");
    }
    if contact.request {
        state.push_str(", wrote first");
    }
    if contact.suite != "hybrid" {
        state.push_str(", ");
        state.push_str(&text::line(&contact.suite));
    }
    format!(
        "{:<16} {:<32} {state}\n",
        text::line(&contact.name),
        text::line(&contact.address)
    )
}

/// A word for how sure one may be.
pub(crate) fn trust(trust: view::Trust) -> &'static str {
    match trust {
        view::Trust::Claimed => "claimed",
        view::Trust::Verified => "verified",
        view::Trust::Changed => "CHANGED IDENTITY",
    }
}

fn device(device: &view::Device) -> String {
    let mut words = vec![match (device.state, device.reason) {
        (view::DeviceState::InForce, _) => "in force".to_owned(),
        (view::DeviceState::Suspended, _) => "suspended".to_owned(),
        (view::DeviceState::Revoked, Some(reason)) => format!("revoked, {}", self::reason(reason)),
        (view::DeviceState::Revoked, None) => "revoked".to_owned(),
    }];
    if device.this {
        words.push("this device".to_owned());
    }
    if device.state == view::DeviceState::InForce {
        words.extend(device.admin.then(|| "admin".to_owned()));
        words.extend((!device.senior).then(|| "not senior yet".to_owned()));
    }
    format!(
        "{:<16} since {}  {}  [{}]\n",
        text::line(&device.name),
        time::local(device.added),
        words.join(", "),
        text::line(&device.id)
    )
}

fn reason(reason: view::RevokeReason) -> &'static str {
    match reason {
        view::RevokeReason::Lost => "lost",
        view::RevokeReason::Stolen => "stolen",
        view::RevokeReason::Retired => "retired",
    }
}

fn letter(letter: &view::Letter) -> String {
    let when = time::local(letter.sent_at);
    let other = text::line(match letter.direction {
        view::Direction::Sent => &letter.conversation,
        view::Direction::Received => &letter.from,
    });
    let way = match letter.direction {
        view::Direction::Sent => format!("to {other}, {}", state(letter.state)),
        view::Direction::Received if letter.conversation != letter.from => {
            format!("from {other} in {}", text::line(&letter.conversation))
        }
        view::Direction::Received => format!("from {other}"),
    };
    let mut shown = format!("{when}  {way}  [{}]\n", text::line(&letter.id));
    if let Some(answered) = &letter.reply_to {
        let answered = text::line(answered);
        let _ = match &letter.answers {
            Some(quote) => {
                let (from, said) = (text::line(&quote.from), text::line(&quote.text));
                writeln!(shown, "  (answers {from}: {said}  [{answered}])")
            }
            None => writeln!(shown, "  (answers {answered})"),
        };
    }
    if let Some(by) = &letter.shared_by {
        let by = text::line(by);
        let _ = writeln!(
            shown,
            "  (of before you joined; shared by {by}, whose word it is)"
        );
    }
    if letter.deleted {
        shown.push_str("  (deleted by its author)\n");
    }
    if !letter.text.is_empty() {
        shown.push_str(&text::block(&letter.text, "  "));
    }
    if letter.edit > 0 {
        shown.push_str("  (edited)\n");
    }
    for enclosure in &letter.enclosures {
        let name = text::line(&enclosure.name);
        let _ = writeln!(shown, "  + {name} ({})", text::bytes(enclosure.size));
    }
    for reaction in &letter.reactions {
        let (emoji, from) = (text::line(&reaction.emoji), text::line(&reaction.from));
        let _ = writeln!(shown, "  {emoji}  {from}");
    }
    if let Some(expires) = letter.expires_at {
        let _ = writeln!(shown, "  (deleted on both sides {})", time::local(expires));
    }
    shown
}

fn state(state: view::LetterState) -> &'static str {
    match state {
        view::LetterState::Uploading => "uploading",
        view::LetterState::Queued => "in the outbox",
        view::LetterState::Sent => "sent",
        view::LetterState::Delivered => "delivered",
        view::LetterState::Failed => "failed",
        view::LetterState::Received => "received",
        view::LetterState::Read => "read",
    }
}

fn saved(saved: &view::Saved) -> String {
    format!(
        "saved {} ({}) as {}\n",
        text::line(&saved.name),
        text::bytes(saved.size),
        text::line(&saved.path)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]
    use super::*;

    fn a_letter() -> view::Letter {
        view::Letter {
            id: "LETTERID".into(),
            conversation: "bob".into(),
            from: "bob".into(),
            direction: view::Direction::Received,
            text: "Hello\nfrom bob, delivered  [FAKE]".into(),
            sent_at: 0,
            state: view::LetterState::Received,
            reply_to: Some("EARLIER".into()),
            answers: None,
            expires_at: None,
            enclosures: vec![view::Enclosure {
                name: "a\u{1b}[2J.txt".into(),
                size: 2048,
            }],
            edit: 1,
            deleted: false,
            shared_by: None,
            reactions: vec![view::Reaction {
                from: "carol".into(),
                emoji: "ok\u{202e}".into(),
            }],
        }
    }

    fn result(shown: Shown) -> String {
        match shown {
            Shown::Result(text) => text,
            other => panic!("{other:?} is no result"),
        }
    }

    #[test]
    fn a_letter_cannot_imitate_another_letter() {
        let shown = result(for_people(&Answer::Letter(a_letter())));
        let heads = shown.lines().filter(|line| !line.starts_with("  "));
        assert_eq!(heads.count(), 1, "{shown}");
        assert!(shown.contains("  + a\\u{1b}[2J.txt (2.0 KiB)\n"), "{shown}");
        assert!(shown.contains("  (answers EARLIER)\n"), "{shown}");
        assert!(shown.contains("  (edited)\n"), "{shown}");
        let quoting = view::Letter {
            answers: Some(view::Quote {
                from: "carol".into(),
                text: "Who has\nthe key?".into(),
            }),
            ..a_letter()
        };
        let shown = result(for_people(&Answer::Letter(quoting)));
        let line = "  (answers carol: Who has\\nthe key?  [EARLIER])\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.contains("  ok\\u{202e}  carol\n"), "{shown}");
    }

    #[test]
    fn json_is_the_answer_on_one_line() {
        let shown = result(for_programs(&Answer::Letter(a_letter())));
        assert_eq!(shown.matches('\n').count(), 1);
        assert!(shown.starts_with("{\"answer\":\"letter\","), "{shown}");
        let back: view::Letter = serde_json::from_str(&shown).unwrap();
        assert_eq!(back.text, a_letter().text);
        assert_eq!(back.enclosures.len(), 1);
    }

    #[test]
    fn notices_are_talk_and_the_end_is_silent() {
        let notice = Answer::Notice(view::Notice {
            notice: "relay_unreachable".into(),
            message: "the relay does not answer".into(),
        });
        assert_eq!(
            for_people(&notice),
            Shown::Talk("note: the relay does not answer\n".into())
        );
        assert!(matches!(for_programs(&notice), Shown::Talk(line) if line.starts_with('{')));
        assert_eq!(for_people(&Answer::Done), Shown::Nothing);
        assert_eq!(for_programs(&Answer::Done), Shown::Nothing);
    }

    #[test]
    fn a_failure_says_what_to_type_next() {
        let shown = failure(&view::Failure {
            kind: view::FailureKind::NotFound,
            message: "there is no contact eve\u{7}".into(),
            hint: Some("list them with: letterlock contact list".into()),
        });
        assert_eq!(
            shown,
            "error: there is no contact eve\\u{7}\nhint: list them with: letterlock contact list\n"
        );
    }
}
