//! Guardians: named and shown by the owner, asked on a bare machine, saying yes.

use crate::ask;
use crate::cli::Profile;
use crate::cli::recovery::{Approval, ByGuardians, Clearing, Method};
use crate::failure::Stop;
use crate::screen::Screen;
use crate::{question, text, time};
use client::Client;
use client::api::{Answer, Request};
use client::view::{
    Guardian, Guardians, OpenRequest, RecoveryMethod, RecoveryProgress, RecoveryRequest, Share,
};
use std::fmt::Write as _;

/// Sees to it in a home that is open.
pub(crate) async fn see_to(
    profile: &Profile,
    wish: ByGuardians,
    screen: &mut Screen,
) -> Result<(), Stop> {
    match &wish {
        ByGuardians::Clear(Clearing { yes, .. }) | ByGuardians::Approve(Approval { yes, .. }) => {
            question::can_be_answered(*yes)?;
        }
        _ => {}
    }
    let creates = matches!(wish, ByGuardians::Ask(_));
    ask::with_client(profile, creates, async |client| match wish {
        ByGuardians::SetOrShow(wish) => set_or_show(client, wish, screen).await,
        ByGuardians::Clear(wish) => clear(client, wish, screen).await,
        ByGuardians::Ask(wish) => request(client, wish, screen).await,
        ByGuardians::ComeBack(wish) => come_back(client, wish, screen).await,
        ByGuardians::Approve(wish) => approve(client, wish, screen).await,
    })
    .await
}

/// Sets guardians, or shows who they are.
async fn set_or_show(client: &Client, request: Request, screen: &mut Screen) -> Result<(), Stop> {
    let sets = matches!(request, Request::GuardiansSet { .. });
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    screen.clear_bars();
    match (sets, screen.results()) {
        (true, _) => screen.talk(
            "in force; guardians who were away get their share when they are back: letterlock recovery guardians shows it",
        ),
        (false, 0) => screen.talk(
            "there are no guardians; next: letterlock recovery guardians --need 2 NAME NAME NAME",
        ),
        (false, _) => {}
    }
    Ok(())
}

/// Ends a way back, once the person means it.
async fn clear(client: &Client, wish: Clearing, screen: &mut Screen) -> Result<(), Stop> {
    let (method, asked, done) = match wish.method {
        Method::Sheet => (
            RecoveryMethod::Sheet,
            "End the sheet? It brings nothing back any more, and a root key that its backup alone holds is lost.",
            "the sheet is not in force any more",
        ),
        Method::Guardians => (
            RecoveryMethod::Guardians,
            "End the guardians? Their shares are worth nothing any more.",
            "there are no guardians any more",
        ),
    };
    if !wish.yes && !question::meant(asked).await? {
        screen.talk("nothing was ended");
        return Ok(());
    }
    let request = Request::RecoveryClear { method };
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    screen.talk(done);
    Ok(())
}

/// Asks the guardians of an account, and shows the code for them.
async fn request(client: &Client, request: Request, screen: &mut Screen) -> Result<(), Stop> {
    let mut shown = None;
    ask::hear(client, request, |answer| {
        if let Answer::RecoveryRequest(request) = &answer {
            shown = Some(RecoveryRequest::clone(request));
        }
        screen.show(&answer)
    })
    .await?;
    if let Some(request) = shown {
        screen.talk(&format!(
            "tell these 11 groups to {} of your guardians, by voice or at a meeting; each types:\n  \
             letterlock recovery approve NAME CODE\n\
             the account log lets this machine in {} at the earliest; any device of the account can refuse until then\n\
             next: letterlock recovery continue",
            request.need,
            time::local(request.ready_at),
        ));
    }
    Ok(())
}

/// Waits for guardians and the delay, until the account is back.
async fn come_back(client: &Client, request: Request, screen: &mut Screen) -> Result<(), Stop> {
    let done = ask::hear(client, request, |answer| screen.show(&answer)).await;
    screen.clear_bars();
    if let Err(Stop::Interrupted) = done {
        screen.talk("\nthe request stays; letterlock recovery continue goes on where it was");
    }
    done?;
    screen.talk(
        "next: letterlock device list, and for each device that is lost: letterlock device revoke NAME --reason lost\n\
         if the sheet is lost too, draw a new one: letterlock recovery sheet\n\
         the shares are spent: name guardians anew, letterlock recovery guardians --need N NAME...",
    );
    Ok(())
}

/// Gives a share, once the person means it.
async fn approve(client: &Client, wish: Approval, screen: &mut Screen) -> Result<(), Stop> {
    let name = text::line(&wish.name);
    let asked = format!(
        "Did {name} tell you this code by voice or at a meeting, and are you sure who it was? Your share goes to that \
         machine."
    );
    if !wish.yes && !question::meant(&asked).await? {
        screen.talk("nothing was given");
        return Ok(());
    }
    let request = Request::RecoveryApprove {
        contact: wish.name,
        code: wish.code,
    };
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    screen
        .talk("your share is with the machine that asked; its owner's devices can still refuse it");
    Ok(())
}

/// The guardians, for people.
pub(crate) fn state(state: &Guardians) -> String {
    let under_way = if state.in_force {
        ""
    } else {
        ", on their way into the account log"
    };
    let mut shown = format!(
        "{} of {} guardians bring the account back, {} after they are asked{under_way}\n",
        state.need,
        state.count,
        client::span(state.delay_seconds)
    );
    if state.guardians.is_empty() {
        shown.push_str("  who they are, the device on which they were named knows\n");
    }
    for guardian in &state.guardians {
        shown.push_str(&self::guardian(guardian));
    }
    if state.in_force && !state.root_key {
        shown.push_str("  their backup does not hold the root key\n");
    }
    if let Some(request) = &state.request {
        shown.push_str(&alarm(request));
    }
    shown
}

fn guardian(guardian: &Guardian) -> String {
    let has = if guardian.has_share {
        "has the share"
    } else {
        "has not said yet that it has the share"
    };
    format!("  {:<16} {has}\n", text::line(&guardian.contact))
}

/// A share that is kept, for people.
pub(crate) fn share(share: &Share) -> String {
    format!(
        "{:<16} {} of {} are needed  since {}\n",
        text::line(&share.contact),
        share.need,
        share.count,
        time::local(share.since)
    )
}

/// How far a recovery is, for people.
pub(crate) fn progress(progress: &RecoveryProgress) -> String {
    let mut shown = format!(
        "{} of {} guardians have said yes",
        progress.got, progress.need
    );
    if let Some(at) = progress
        .opens_at
        .max(progress.ready_at)
        .filter(|at| *at > 0)
    {
        let _ = write!(
            shown,
            "; the account opens {} at the earliest",
            time::local(at)
        );
    }
    shown.push('\n');
    shown
}

/// Somebody asks for the account, for its owner.
pub(crate) fn alarm(request: &OpenRequest) -> String {
    format!(
        "WARNING: somebody asks your guardians to let a new device into this account\n  \
         device  {}\n  \
         asked   in the hour from {}\n  \
         enters  {} at the earliest\n  \
         if that is not you: letterlock recovery cancel\n",
        text::line(&request.device_id),
        time::local(request.asked_at),
        time::local(request.ready_at),
    )
}
