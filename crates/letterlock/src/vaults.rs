//! Vaults and their members, as people read them; and leaving one.

use crate::failure::Stop;
use crate::groups::count;
use crate::screen::Screen;
use crate::{ask, question, text};
use client::Client;
use client::api::{Answer, Request};
use client::view::{GroupState, Vault, VaultMember, VaultRole};

/// Leaves a vault; where nobody else is in it, once the person means it.
pub(crate) async fn leave(
    client: &Client,
    vault: String,
    yes: bool,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let mut alone = false;
    if !yes {
        let request = Request::VaultMembers {
            vault: vault.clone(),
        };
        ask::hear(client, request, |answer| {
            if let Answer::Vault(shown) = answer {
                alone = shown.members <= 1;
            }
            Ok(())
        })
        .await?;
    }
    if alone {
        question::can_be_answered(yes)?;
        let name = text::line(&vault);
        let asked = format!(
            "Nobody else is in {name}: when you leave it, nothing opens it any more. Leave it?"
        );
        if !question::meant(&asked).await? {
            screen.talk("you did not leave");
            return Ok(());
        }
    }
    let request = Request::VaultLeave { vault };
    ask::hear(client, request, |answer| screen.show(&answer)).await
}

/// A line about a vault.
pub(crate) fn vault(vault: &Vault) -> String {
    let mut words = vec![match vault.state {
        GroupState::In => role(vault.role).to_owned(),
        GroupState::Leaving => "leaving".to_owned(),
        GroupState::Out => "not in it any more".to_owned(),
        GroupState::Lost => "waits to be let back in".to_owned(),
    }];
    words.push(count(vault.members, "member"));
    words.push(count(vault.devices, "device"));
    words.push(match vault.version {
        0 => "no version seen here".to_owned(),
        version => format!("version {version}"),
    });
    words.extend((vault.generation == 0).then(|| "its key is not here yet".to_owned()));
    words.extend(
        vault
            .stale
            .then(|| "the next version has another key".to_owned()),
    );
    words.extend(vault.pending.then(|| "a change is under way".to_owned()));
    format!(
        "{:<24} {}  [{}]\n",
        text::line(&vault.name),
        words.join(", "),
        text::line(&vault.id)
    )
}

/// A line about a member.
pub(crate) fn member(member: &VaultMember) -> String {
    format!(
        "  {:<22} {:<7} {}  [{}]\n",
        text::line(&member.name),
        role(member.role),
        count(member.devices, "device"),
        text::line(&member.account_id)
    )
}

fn role(role: VaultRole) -> &'static str {
    match role {
        VaultRole::Reader => "reader",
        VaultRole::Writer => "writer",
        VaultRole::Owner => "owner",
    }
}
