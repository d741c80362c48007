//! Groups and their members, as people read them.

use crate::text;
use client::span;
use client::view::{Group, GroupState, Member, Role, SavedPicture};

/// A line about a group.
pub(crate) fn group(group: &Group) -> String {
    let mut words = vec![match group.state {
        GroupState::In => role(group.role).to_owned(),
        GroupState::Leaving => "leaving".to_owned(),
        GroupState::Out => "not in it any more".to_owned(),
        GroupState::Lost => "waits to be let back in".to_owned(),
    }];
    words.push(count(group.members, "member"));
    words.push(count(group.devices, "device"));
    words.push(text::line(&group.suite));
    words.extend(
        group
            .timer_seconds
            .map(|seconds| format!("letters disappear after {}", span(seconds))),
    );
    words.extend(
        group
            .picture
            .as_ref()
            .map(|picture| format!("a picture of {}", text::bytes(picture.size))),
    );
    words.extend(group.pending.then(|| "a change is under way".to_owned()));
    format!(
        "{:<24} {}  [{}]\n",
        text::line(&group.name),
        words.join(", "),
        text::line(&group.id)
    )
}

/// A picture that was written.
pub(crate) fn picture(saved: &SavedPicture) -> String {
    format!(
        "saved the picture ({}) as {}\n",
        text::bytes(saved.size),
        text::line(&saved.path)
    )
}

/// A line about a member.
pub(crate) fn member(member: &Member) -> String {
    format!(
        "  {:<22} {:<7} {}  [{}]\n",
        text::line(&member.name),
        role(member.role),
        count(member.devices, "device"),
        text::line(&member.account_id)
    )
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

/// A number of things.
pub(crate) fn count(number: u32, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}
