//! What relays answer, handed to the module that asked.

use crate::account;
use crate::backup;
use crate::contacts;
use crate::error::{EngineError, VaultError};
use crate::event::CommandOutcome;
use crate::group;
use crate::guardians;
use crate::held;
use crate::input::CommandId;
use crate::joining;
use crate::linking;
use crate::logs;
use crate::own_log;
use crate::pre_keys;
use crate::records::{OutboxEntry, Purpose};
use crate::restore;
use crate::sending;
use crate::sessions;
use crate::step::{Outgoing, Subscription};
use crate::transaction::Transaction;
use crate::vault;
use crate::waiting;
use wire::Reply;

/// Handles the answer to a request that has left the outbox.
pub(crate) fn answer(
    tx: &mut Transaction<'_>,
    entry: OutboxEntry,
    reply: wire::Reply,
) -> Result<(), EngineError> {
    let reply = whole(&entry.purpose, reply)?;
    match entry.purpose {
        purpose @ Purpose::Send { .. } => of_send(tx, purpose, reply, (entry.relay, entry.request)),
        Purpose::Guardians(purpose) => guardians::answer(tx, purpose, reply),
        purpose @ (Purpose::LogOfLink
        | Purpose::LinkMessage
        | Purpose::PutHead(_)
        | Purpose::HeadVersion(_)
        | Purpose::RestoreHead
        | Purpose::RestoreLog
        | Purpose::RestoreAppend) => of_devices(tx, purpose, reply),
        purpose @ (Purpose::LogOfMember(_)
        | Purpose::GroupSend { .. }
        | Purpose::PublishKeyPackages(_)
        | Purpose::FetchKeyPackage { .. }) => of_groups(tx, &purpose, &reply),
        purpose @ (Purpose::PutVaultHead { .. } | Purpose::VaultHead { .. }) => {
            of_vaults(tx, purpose, reply)
        }
        purpose @ (Purpose::CheckName(_)
        | Purpose::CheckLog(_)
        | Purpose::LogOfStranger(_)
        | Purpose::LogOfSynced(_)
        | Purpose::AppendLog(_)) => of_logs(tx, purpose, reply),
        purpose => of_account(tx, purpose, &entry.relay, reply),
    }
}

/// Answers to letters.
fn of_send(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    reply: Reply,
    (relay, request): (String, Vec<u8>),
) -> Result<(), EngineError> {
    match (purpose, reply) {
        (purpose, Reply::SendResult(result)) => {
            sending::send_answered(tx, purpose, relay, request, &result)
        }
        (
            Purpose::Send {
                letter: Some(letter),
                device,
                ..
            },
            _,
        ) => sending::fail(tx, &letter, &device, EngineError::Undeliverable),
        _ => Ok(()),
    }
}

/// Answers to what links and restores devices.
fn of_devices(tx: &mut Transaction<'_>, purpose: Purpose, reply: Reply) -> Result<(), EngineError> {
    match (purpose, reply) {
        (Purpose::LogOfLink, Reply::Log(log)) => linking::log_came(tx, &log.log),
        (Purpose::LogOfLink, Reply::Entries(entries)) => joining::more_came(tx, &entries),
        (Purpose::LogOfLink | Purpose::LinkMessage, Reply::Refused(_)) => linking::refused(tx),
        (Purpose::LinkMessage, Reply::SendResult(result)) => match result.rows.first() {
            Some(wire::RowResult::Accepted { .. } | wire::RowResult::Duplicate { .. }) => Ok(()),
            _ => linking::refused(tx),
        },
        (Purpose::LinkMessage, _) => Ok(()),
        (Purpose::PutHead(method), Reply::Done) => backup::head_stored(tx, method),
        (Purpose::PutHead(method), Reply::Refused(refused)) => {
            backup::head_refused(tx, method, refused.kind)
        }
        (Purpose::HeadVersion(method), Reply::Head(head)) => {
            backup::head_version(tx, method, head.version)
        }
        (Purpose::HeadVersion(method), _) => backup::head_version(tx, method, 0),
        (Purpose::RestoreHead, Reply::Head(head)) => restore::head_came(tx, &head),
        (Purpose::RestoreLog, Reply::Log(log)) => restore::log_came(tx, &log.log),
        (Purpose::RestoreLog, Reply::Entries(entries)) => restore::more_came(tx, &entries),
        (Purpose::RestoreLog, Reply::Done) => restore::log_complete(tx),
        (Purpose::RestoreAppend, Reply::Done) => restore::added(tx),
        (
            Purpose::RestoreHead | Purpose::RestoreLog | Purpose::RestoreAppend,
            Reply::Refused(refused),
        ) => restore::refused(tx, refused.kind),
        _ => Err(EngineError::Protocol),
    }
}

/// Answers about groups.
fn of_groups(
    tx: &mut Transaction<'_>,
    purpose: &Purpose,
    reply: &Reply,
) -> Result<(), EngineError> {
    match (purpose, reply) {
        (Purpose::LogOfMember(account), reply) => group::people::answered(tx, account, reply),
        (Purpose::GroupSend { group, message }, reply) => {
            group::turn::answered(tx, group, message, reply)
        }
        (Purpose::PublishKeyPackages(suite), Reply::KeyPackageCounts(count)) => {
            group::packages::counted(tx, *suite, count.packages)
        }
        (Purpose::PublishKeyPackages(_), _) => {
            group::packages::refused(tx);
            Ok(())
        }
        (
            Purpose::FetchKeyPackage {
                group,
                account,
                device,
            },
            reply,
        ) => {
            let package = match reply {
                Reply::KeyPackage(package) => Some(&package.package[..]),
                _ => None,
            };
            group::packages::fetched(tx, group, (account, device), package)
        }
        _ => Ok(()),
    }
}

/// Answers about heads of vaults.
fn of_vaults(tx: &mut Transaction<'_>, purpose: Purpose, reply: Reply) -> Result<(), EngineError> {
    match (purpose, reply) {
        (
            Purpose::PutVaultHead {
                command,
                vault,
                root,
            },
            Reply::Done,
        ) => vault::heads::taken(tx, command, &vault, &root),
        (Purpose::PutVaultHead { .. }, Reply::Refused(refused)) => Err(match refused.kind {
            wire::RefusalKind::Conflict => VaultError::Conflict.into(),
            kind => EngineError::Refused { kind },
        }),
        (Purpose::VaultHead { command, id, .. }, Reply::Head(head)) => {
            vault::heads::came(tx, command, &id, head)
        }
        (Purpose::VaultHead { command, .. }, Reply::Refused(refused)) if refused.deleted > 0 => {
            // Whoever may write goes on from there.
            let (version, body) = (refused.deleted, Vec::new());
            tx.outcome(command, CommandOutcome::VaultHead { version, body });
            Ok(())
        }
        (Purpose::VaultHead { .. }, Reply::Refused(refused)) => Err(match refused.kind {
            wire::RefusalKind::NotFound => VaultError::NoHead.into(),
            kind => EngineError::Refused { kind },
        }),
        _ => Err(EngineError::Protocol),
    }
}

/// Answers about account logs.
fn of_logs(tx: &mut Transaction<'_>, purpose: Purpose, reply: Reply) -> Result<(), EngineError> {
    match (purpose, reply) {
        (Purpose::LogOfSynced(state), Reply::Log(log)) => {
            contacts::log_of_synced(tx, &state, &log.log)
        }
        (Purpose::CheckName(account), Reply::Log(log)) => {
            contacts::name_checked(tx, &account, &log.log)
        }
        (Purpose::LogOfSynced(_) | Purpose::CheckName(_), _) => Ok(()),
        (Purpose::CheckLog(account), reply) => logs::answered(tx, &account, &reply),
        (Purpose::LogOfStranger(account), Reply::Log(log)) => {
            held::fetched(tx, &account, Some(&log.log))
        }
        (Purpose::LogOfStranger(account), _) => held::fetched(tx, &account, None),
        (Purpose::AppendLog(_), Reply::Done) => own_log::appended(tx),
        (Purpose::AppendLog(_), Reply::Refused(refused)) => own_log::refused(tx, refused.kind),
        _ => Err(EngineError::Protocol),
    }
}

/// Answers about the own account, its queues and keys, and new contacts.
fn of_account(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    relay: &str,
    reply: Reply,
) -> Result<(), EngineError> {
    match (purpose, reply) {
        (Purpose::CreateQueue(queue), Reply::Done) => {
            tx.send(Outgoing::Subscribe(Subscription { queue }));
            linking::queue_made(tx, &queue)
        }
        (Purpose::DeleteQueue(_), _) => Ok(()),
        (Purpose::PublishPreKeys, Reply::PreKeyCounts(counts)) => pre_keys::counted(tx, counts),
        (Purpose::PublishPreKeys, _) => {
            pre_keys::refused(tx);
            Ok(())
        }
        (Purpose::Register(command), Reply::Done) => account::registered(tx, command),
        (Purpose::CreateTicket { command, invite }, Reply::Done) => {
            tx.outcome(command, CommandOutcome::Invite(invite));
            Ok(())
        }
        (
            Purpose::RedeemTicket {
                command,
                invite,
                petname,
            },
            Reply::Done,
        ) => contacts::ticket_redeemed(tx, command, invite, petname),
        (
            Purpose::LogOfInvite {
                command,
                invite,
                petname,
            },
            Reply::Log(log),
        ) => contacts::log_of_invite(tx, command, &invite, petname, &log.log),
        (
            Purpose::LogOfName {
                command,
                name,
                petname,
            },
            Reply::Log(log),
        ) => contacts::log_of_name(tx, (command, petname), &name, relay, &log.log),
        (Purpose::FetchBundle(account, device), Reply::Bundle(bundle)) => {
            sessions::bundle_fetched(tx, &account, &device, &bundle)
        }
        (Purpose::FetchBundle(account, device), _) => waiting::no_bundle(tx, &account, &device),
        (purpose, Reply::Refused(refused)) => Err(refusal(&purpose, refused.kind)),
        _ => Err(EngineError::Protocol),
    }
}

/// An answer led to nothing: whoever waits for it is told.
pub(crate) fn broken(
    tx: &mut Transaction<'_>,
    purpose: &Purpose,
    error: EngineError,
) -> Result<(), EngineError> {
    match purpose {
        Purpose::LogOfLink => joining::broken(tx, error),
        Purpose::Guardians(purpose) => guardians::broken(tx, purpose, error),
        Purpose::RestoreHead | Purpose::RestoreLog | Purpose::RestoreAppend => {
            restore::broken(tx, error)
        }
        purpose => {
            tx.outcome(purpose.command(), CommandOutcome::Failed(error));
            Ok(())
        }
    }
}

/// A log that does not fit in one frame comes in parts; its beginning is a log too, and the rest is asked for as
/// newer entries.
fn whole(purpose: &Purpose, reply: wire::Reply) -> Result<wire::Reply, EngineError> {
    match reply {
        // More of a log that began in an earlier answer is for whoever asked.
        wire::Reply::Entries(entries)
            if entries.first == 0
                && !matches!(purpose, Purpose::CheckLog(_) | Purpose::LogOfMember(_)) =>
        {
            let log = wire::RawLog::begin(&entries.entries).map_err(|_| EngineError::Protocol)?;
            Ok(wire::Reply::Log(wire::Log {
                name: entries.name,
                account: entries.account,
                log,
            }))
        }
        reply => Ok(reply),
    }
}

/// A relay's final no, in the words of the command.
fn refusal(purpose: &Purpose, kind: wire::RefusalKind) -> EngineError {
    use wire::RefusalKind;
    match (purpose, kind) {
        (Purpose::Register(_), RefusalKind::NameTaken) => EngineError::NameTaken,
        (Purpose::Register(_), RefusalKind::CodeNeeded) => EngineError::RegistrationCodeNeeded,
        (Purpose::Register(_), RefusalKind::CodeUnknown) => EngineError::RegistrationCodeUnknown,
        (_, RefusalKind::Expired) => EngineError::InviteExpired,
        (_, RefusalKind::Used) => EngineError::InviteUsed,
        (Purpose::RedeemTicket { .. }, RefusalKind::NotFound) => EngineError::InviteExpired,
        (Purpose::Register(_), RefusalKind::Closed) => EngineError::RegistrationCodeNeeded,
        (Purpose::LogOfName { .. } | Purpose::LogOfInvite { .. }, RefusalKind::NotFound) => {
            EngineError::UnknownName
        }
        (_, kind) => EngineError::Refused { kind },
    }
}

impl Purpose {
    /// Who waits for the answer.
    fn command(&self) -> CommandId {
        match self {
            Self::Register(command)
            | Self::CreateTicket { command, .. }
            | Self::RedeemTicket { command, .. }
            | Self::LogOfInvite { command, .. }
            | Self::LogOfName { command, .. }
            | Self::PutVaultHead { command, .. }
            | Self::VaultHead { command, .. }
            | Self::AppendLog(command) => *command,
            _ => CommandId::default(),
        }
    }
}
