//! What each command does.

use crate::cli::contact::Verify;
use crate::cli::device::Revocation;
use crate::cli::{Job, LowArgs, Profile};
use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{
    ask, doctor, evidence, give, guardians, insight, link, mount, qr, question, recovery, sas,
    sealed, serve, signal, text, tour, vault_files, vaults,
};
use clap::CommandFactory as _;
use client::Client;
use client::api::{Answer, Request};
use client::view::Failure;
use serde::Serialize;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long the end of a command waits for its threads.
pub(crate) const LEAVING: Duration = Duration::from_secs(2);

/// Does what the command line means.
pub(crate) fn run(job: Job, screen: &mut Screen) -> Result<(), Stop> {
    if matches!(job, Job::Tour) {
        return tour::give(screen);
    }
    let runtime = runtime()?;
    let done = runtime.block_on(dispatch(job, screen));
    // A thread that still works for nobody must not hold the end up for long. The others are waited for: OpenSSL frees
    // what it keeps for a thread when the thread ends, and must not find that the process's exit did it meanwhile.
    runtime.shutdown_timeout(LEAVING);
    done
}

/// Starts the threads on which everything waits for network, disk and signals.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| {
            failure::failed(
                format!("no threads: {}", e.kind()),
                "look at the limits of this user: ulimit -u",
            )
        })?;
    let entered = runtime.enter();
    signal::listen();
    drop(entered);
    Ok(runtime)
}

async fn dispatch(job: Job, screen: &mut Screen) -> Result<(), Stop> {
    match job {
        Job::Tour => Ok(()),
        Job::Serve(config) => serve::serve(*config, screen).await,
        Job::Inspect(data) => serve::inspect(&data, screen),
        Job::Release(data, name) => serve::release(&data, &name, screen),
        Job::Ask(profile, request) => ask_profile(&profile, request, screen).await,
        Job::AskAsQr(profile, request) => {
            ask::with_client(&profile, false, async |client| {
                as_qr(client, request, screen).await
            })
            .await
        }
        Job::Verify(profile, wish) => {
            ask::with_client(&profile, false, async |client| {
                verify(client, wish, screen).await
            })
            .await
        }
        Job::Sas(profile, wish) => {
            question::can_be_answered(wish.yes)?;
            ask::with_client(&profile, false, async |client| {
                sas::compare(client, wish, screen).await
            })
            .await
        }
        Job::Link(profile, wish) => {
            question::can_be_answered(wish.yes)?;
            let creates = matches!(wish.request, Request::DeviceAccept { .. });
            ask::with_client(&profile, creates, async |client| {
                link::link(client, wish, screen).await
            })
            .await
        }
        Job::Irrevocable(profile, request, yes) => {
            question::can_be_answered(yes)?;
            ask::with_client(&profile, false, async |client| {
                irrevocable(client, request, yes, screen).await
            })
            .await
        }
        Job::Revoke(profile, revocation) => {
            question::can_be_answered(revocation.yes)?;
            ask::with_client(&profile, false, async |client| {
                revoke(client, revocation, screen).await
            })
            .await
        }
        Job::LeaveVault(profile, vault, yes) => {
            ask::with_client(&profile, false, async |client| {
                vaults::leave(client, vault, yes, screen).await
            })
            .await
        }
        Job::Inventory(profile, cbom) => {
            ask::with_client(&profile, false, async |client| {
                insight::inventory(client, cbom.as_deref(), screen).await
            })
            .await
        }
        Job::Seal(profile, wish) => sealed::seal(&profile, wish, screen).await,
        Job::Open(profile, wish) => sealed::open(&profile, wish, screen).await,
        Job::InspectFile(profile, wish) => sealed::inspect(&profile, wish, screen).await,
        Job::VaultFiles(profile, wish) => vault_files::see_to(&profile, wish, screen).await,
        Job::Mount(profile, wish) => mount::see_to(&profile, wish, screen).await,
        Job::Transfer(profile, wish) => give::see_to(&profile, wish, screen).await,
        Job::Keygen(out) => sealed::keygen(out.as_deref(), screen),
        Job::VerifyEvidence(file) => evidence::verify(&file, screen),
        Job::NewSheet(profile, wish) => {
            ask::with_client(&profile, false, async |client| {
                recovery::draw(client, wish, screen).await
            })
            .await
        }
        Job::Restore(profile, wish) => restore(&profile, wish, screen).await,
        Job::Guardians(profile, wish) => guardians::see_to(&profile, wish, screen).await,
        Job::Doctor { fips } => doctor::show(fips, screen),
        Job::Completions(shell) => completions(shell, screen),
    }
}

async fn restore(
    profile: &Profile,
    wish: crate::cli::recovery::Restoration,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let sheet = recovery::sheet_of(&wish, screen).await?;
    ask::with_client(profile, true, async |client| {
        recovery::restore(client, wish, sheet, screen).await
    })
    .await
}

async fn ask_profile(profile: &Profile, request: Request, screen: &mut Screen) -> Result<(), Stop> {
    let (nothing, afterwards) = remarks(&request);
    let follows = matches!(request, Request::Receive { follow: true, .. });
    let creates = matches!(request, Request::AccountCreate { .. });
    let done = ask::with_client(profile, creates, async |client| {
        ask::hear(client, request, |answer| screen.show(&answer)).await
    })
    .await;
    match done {
        // To follow is to go on until interrupted: that is its good end.
        Err(Stop::Interrupted) if follows => return Ok(()),
        done => done?,
    }
    let remark = if screen.results() == 0 {
        nothing
    } else {
        afterwards
    };
    if let Some(remark) = remark {
        screen.talk(remark);
    }
    Ok(())
}

/// What to tell a person when there was no result, and when there was one.
fn remarks(request: &Request) -> (Option<&'static str>, Option<&'static str>) {
    match request {
        Request::AccountCreate { .. } => (
            None,
            Some("next: letterlock invite (and give the invite to somebody)"),
        ),
        Request::ContactList => (
            Some("no contacts yet; next: letterlock contact add INVITE"),
            None,
        ),
        Request::GroupList => (
            Some("no groups yet; next: letterlock group create NAME CONTACT..."),
            None,
        ),
        Request::VaultList => (
            Some("no vaults yet; next: letterlock vault create NAME"),
            None,
        ),
        Request::CodeScanned { .. } => (
            None,
            Some(
                "now the other way round, so that the other side is sure of you too: letterlock contact verify NAME --qr",
            ),
        ),
        Request::ContactEvidence { .. } => (
            Some("nothing is kept: the identity of this contact never changed"),
            None,
        ),
        Request::AccountEvidence { .. } => (
            Some(
                "nothing is kept: everybody was shown the history of this account that is known here",
            ),
            None,
        ),
        Request::RecoveryShares => (Some("you are nobody's guardian"), None),
        Request::RecoveryCancel => (
            None,
            Some(
                "refused: whoever asked does not come in, whatever the guardians do\n\
                 if a share was given to somebody else, name new guardians: letterlock recovery guardians --need N \
                 NAME...",
            ),
        ),
        Request::RecoveryAbandon => (
            Some(
                "given up; the request stands in the account log until a device of the account refuses it, and keeps others \
                 out until a day after its time",
            ),
            None,
        ),
        Request::Receive { follow: false, .. } => (Some("no new letters"), None),
        Request::Read { .. } => (Some("no letters here"), None),
        Request::Search { .. } => (Some("no letter has all these words"), None),
        _ => (None, None),
    }
}

async fn as_qr(client: &Client, request: Request, screen: &mut Screen) -> Result<(), Stop> {
    let mut drawn = None;
    ask::hear(client, request, |answer| {
        match &answer {
            Answer::Invite(made) => drawn = Some((qr::draw(&made.invite)?, None)),
            Answer::VerificationCode(made) => {
                let next =
                    "on the other side, with your name: letterlock contact verify NAME --scan CODE";
                drawn = Some((qr::draw(&made.code)?, Some(next)));
            }
            _ => {}
        }
        screen.show(&answer)
    })
    .await?;
    if let Some((drawn, next)) = drawn {
        screen.talk(&drawn);
        next.into_iter().for_each(|next| screen.talk(next));
    }
    Ok(())
}

/// Shows the safety number and, where a person says that it is equal, notes so.
pub(crate) async fn verify(client: &Client, wish: Verify, screen: &mut Screen) -> Result<(), Stop> {
    let request = Request::SafetyNumber {
        contact: wish.contact.clone(),
    };
    let mut verified = false;
    ask::hear(client, request, |answer| {
        if let Answer::SafetyNumber(number) = &answer {
            verified = number.verified;
        }
        screen.show(&answer)
    })
    .await?;
    if verified && !wish.compared {
        screen.talk("noted as verified already");
        return Ok(());
    }
    if !wish.compared && !says_equal(&wish.contact, screen)? {
        return Ok(());
    }
    let request = Request::ContactVerify {
        contact: wish.contact,
    };
    ask::hear(client, request, |answer| screen.show(&answer)).await
}

/// Asks the person at the terminal, if there is one.
fn says_equal(contact: &str, screen: &Screen) -> Result<bool, Stop> {
    let contact = text::line(contact);
    if screen.json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        screen.talk(&format!(
            "compare it with what {contact} sees; if equal: letterlock contact verify {contact} --number --yes"
        ));
        return Ok(false);
    }
    let mut err = io::stderr().lock();
    write!(err, "Does {contact} see the same number? [yes/no] ")?;
    err.flush()?;
    drop(err);
    let mut said = String::new();
    io::stdin().lock().read_line(&mut said)?;
    let equal = matches!(said.trim().to_lowercase().as_str(), "y" | "yes");
    if !equal {
        screen.talk(
            "not noted; if the numbers differ, somebody stands between you: meet in another way",
        );
    }
    Ok(equal)
}

/// What an account cannot undo, once the person means it.
async fn irrevocable(
    client: &Client,
    request: Request,
    yes: bool,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let (asked, nothing, afterwards) = match request {
        Request::AccountUpgrade { .. } => (
            "Take this account to a higher suite? It cannot go back, contacts compare anew, and ways to recover end.",
            "the account stays as it is",
            "next: letterlock recovery sheet; other devices follow when they come online",
        ),
        _ => (
            "End this account for ever, on all its devices? It cannot come back.",
            "the account goes on",
            "the account has ended; what is stored here can still be read",
        ),
    };
    if !yes && !question::meant(asked).await? {
        screen.talk(nothing);
        return Ok(());
    }
    ask::hear(client, request, |answer| screen.show(&answer)).await?;
    screen.talk(afterwards);
    Ok(())
}

/// Revokes a device, once the person means it.
async fn revoke(client: &Client, wish: Revocation, screen: &mut Screen) -> Result<(), Stop> {
    if !wish.yes {
        let device = text::line(&wish.device);
        let asked =
            format!("Revoke {device}? Letters no longer reach it, and it cannot come back.");
        if !question::meant(&asked).await? {
            screen.talk("nothing was revoked");
            return Ok(());
        }
    }
    let request = Request::DeviceRevoke {
        device: wish.device,
        reason: wish.reason,
    };
    ask::hear(client, request, |answer| screen.show(&answer)).await
}

#[derive(Serialize)]
#[serde(tag = "answer", rename = "completions")]
struct Completions {
    shell: String,
    script: String,
}

fn completions(shell: clap_complete::Shell, screen: &mut Screen) -> Result<(), Stop> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut LowArgs::command(), "letterlock", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let programs = Completions {
        shell: shell.to_string(),
        script: script.clone(),
    };
    screen.either(&script, &programs)
}
