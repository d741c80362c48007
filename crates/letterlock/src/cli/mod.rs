//! The command line as typed ([`LowArgs`]) and as meant ([`Job`]); one file a command.

pub(crate) mod account;
pub(crate) mod completions;
pub(crate) mod contact;
pub(crate) mod custody;
pub(crate) mod delete;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod give;
pub(crate) mod group;
pub(crate) mod inventory;
pub(crate) mod invite;
pub(crate) mod keygen;
pub(crate) mod react;
pub(crate) mod read;
pub(crate) mod receive;
pub(crate) mod recovery;
pub(crate) mod relay;
pub(crate) mod seal;
pub(crate) mod search;
pub(crate) mod send;
pub(crate) mod tour;
pub(crate) mod vault;
pub(crate) mod vault_files;
pub(crate) mod verify_evidence;

use crate::{failure, os};
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand};
use client::api::Request;
use client::view::Failure;
use std::path::PathBuf;

const LONG_ABOUT: &str = "\
Letters, files and a relay that cannot read them.

A profile lives in a home, encrypted under a passphrase. It has one account at one relay; contacts are added by \
an invite, which verifies them at once, or by NAME@RELAY, which is a claim until the safety numbers were compared.

Results go to standard output, everything else to standard error.";

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a check such as a changed identity, 4 relay \
unreachable, 5 not found.

Begin with:  letterlock tour";

/// The command line as typed.
#[derive(Debug, Parser)]
#[command(
    name = "letterlock",
    version,
    about = "Letters, files and a relay that cannot read them",
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    styles = Styles::plain(),
    max_term_width = 100
)]
pub(crate) struct LowArgs {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The profile's home [default: letterlock below $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, global = true, value_name = "DIR", env = "LETTERLOCK_HOME")]
    home: Option<PathBuf>,
    /// Write one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Take the passphrase from the first line of a file; else from LETTERLOCK_PASSPHRASE, else it is asked for
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tour(tour::TourArgs),
    Relay(relay::RelayArgs),
    Account(account::AccountArgs),
    Device(device::DeviceArgs),
    Recovery(recovery::RecoveryArgs),
    Invite(invite::InviteArgs),
    Contact(contact::ContactArgs),
    Group(group::GroupArgs),
    Send(send::SendArgs),
    Receive(receive::ReceiveArgs),
    Read(read::ReadArgs),
    Search(search::SearchArgs),
    React(react::ReactArgs),
    Edit(edit::EditArgs),
    Delete(delete::DeleteArgs),
    Seal(seal::SealArgs),
    Open(seal::OpenArgs),
    Inspect(seal::InspectArgs),
    Give(give::GiveArgs),
    Take(give::TakeArgs),
    Keygen(keygen::KeygenArgs),
    Vault(vault::VaultArgs),
    Custody(custody::CustodyArgs),
    Inventory(inventory::InventoryArgs),
    VerifyEvidence(verify_evidence::VerifyEvidenceArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
}

/// A home and the way to its passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The home, absolute.
    pub(crate) home: PathBuf,
    /// Where the passphrase stands, if in a file.
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// What a command line means.
#[derive(Debug)]
pub(crate) enum Job {
    /// Show everything on loopback.
    Tour,
    /// Run a relay.
    Serve(Box<::relay::Config>),
    /// Show what a relay stores.
    Inspect(PathBuf),
    /// Free a name at a relay.
    Release(PathBuf, String),
    /// Ask the profile for one thing and show its answers.
    Ask(Profile, Request),
    /// Ask the profile for an invite or a code, and draw it.
    AskAsQr(Profile, Request),
    /// Show a safety number and note what the person says about it.
    Verify(Profile, contact::Verify),
    /// Compare short codes with a contact who is there.
    Sas(Profile, contact::Sas),
    /// See a link to its end, on either of its devices.
    Link(Profile, device::Wish),
    /// Do what an account cannot undo, once the person means it.
    Irrevocable(Profile, Request, bool),
    /// Leave a vault; where nobody else is in it, once the person means it.
    LeaveVault(Profile, String, bool),
    /// Revoke a device once the person means it.
    Revoke(Profile, device::Revocation),
    /// Seal files.
    Seal(Profile, seal::Seal),
    /// Open a sealed file.
    Open(Profile, seal::Open),
    /// Look into a sealed file.
    InspectFile(Profile, seal::Inspect),
    /// Read or change the files of a vault.
    VaultFiles(Profile, vault_files::Files),
    /// Show a vault as a directory.
    Mount(Profile, crate::mount::Wish),
    /// Give files to whoever knows a code, or take them.
    Transfer(Profile, give::Transfer),
    /// Make an identity, and write it to a file or to standard output.
    Keygen(Option<PathBuf>),
    /// List algorithms and keys, and write a bill of materials.
    Inventory(Profile, Option<PathBuf>),
    /// Check a file of evidence.
    VerifyEvidence(PathBuf),
    /// Draw a recovery sheet and have it retyped.
    NewSheet(Profile, recovery::NewSheet),
    /// Bring an account back from a sheet.
    Restore(Profile, recovery::Restoration),
    /// Name guardians, ask them, or be one.
    Guardians(Profile, recovery::ByGuardians),
    /// Show what this program is made of; whether it must be the FIPS module.
    Doctor { fips: bool },
    /// Print completions.
    Completions(clap_complete::Shell),
}

impl LowArgs {
    /// Turns what was typed into what is meant.
    ///
    /// *Errors*: usage; not found, for files.
    pub(crate) fn into_job(self) -> Result<Job, Failure> {
        match self.command {
            Command::Tour(_) => Ok(Job::Tour),
            Command::Relay(args) => args.into_job(),
            Command::Inventory(args) => args.into_job(self.globals.profile()?),
            Command::Seal(args) => args.into_job(self.globals.profile()?),
            Command::Open(args) => args.into_job(self.globals.profile()?),
            Command::Inspect(args) => args.into_job(self.globals.profile()?),
            Command::Give(args) => args.into_job(self.globals.profile()?),
            Command::Take(args) => args.into_job(self.globals.profile()?),
            Command::Keygen(args) => args.into_job(),
            Command::Custody(args) => Ok(args.into_job(self.globals.profile()?)),
            Command::VerifyEvidence(args) => Ok(args.into_job()),
            Command::Doctor(args) => Ok(Job::Doctor { fips: args.fips }),
            Command::Completions(args) => Ok(Job::Completions(args.shell)),
            Command::Account(args) => args.into_job(self.globals.profile()?),
            Command::Invite(args) => Ok(args.into_job(self.globals.profile()?)),
            Command::Contact(args) => args.into_job(self.globals.profile()?),
            Command::Group(args) => args.into_job(self.globals.profile()?),
            Command::Vault(args) => args.into_job(self.globals.profile()?),
            Command::Send(args) => args.into_job(self.globals.profile()?),
            Command::Receive(args) => args.into_job(self.globals.profile()?),
            Command::Read(args) => Ok(args.into_job(self.globals.profile()?)),
            Command::Search(args) => Ok(args.into_job(self.globals.profile()?)),
            Command::Device(args) => args.into_job(self.globals.profile()?),
            Command::Recovery(args) => args.into_job(self.globals.profile()?),
            Command::React(args) => Ok(args.into_job(self.globals.profile()?)),
            Command::Edit(args) => args.into_job(self.globals.profile()?),
            Command::Delete(args) => Ok(args.into_job(self.globals.profile()?)),
        }
    }
}

impl Globals {
    fn profile(self) -> Result<Profile, Failure> {
        let home = self
            .home
            .or_else(|| os::data_home().map(|folder| folder.join("letterlock")))
            .ok_or_else(|| {
                failure::usage("this user has no home folder", "name one with --home DIR")
            })?;
        Ok(Profile {
            home: absolute(home)?,
            passphrase_file: self.passphrase_file,
        })
    }
}

/// The same path from the root, because another process may use it.
fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&path).map_err(|_| {
        failure::usage(
            format!("{} is no path", path.display()),
            "write it from the root, beginning with /",
        )
    })
}

#[cfg(test)]
mod tests;
