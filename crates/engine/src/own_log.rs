//! Changes of the own account log: wished for here, signed on its newest entry, accepted by the relay.
//!
//! ```text
//!   wish ─► signed on the head ─► AppendEntries ─► Done ─────► adopted, next wish
//!                ▲                      └────────► Conflict ─► CheckLog ─┐
//!                └───────────────────────────────────────────────────────┘
//! ```
//!
//! Two devices may change the log at once: the relay takes one entry, and the other device signs again on top
//! of it. One wish is under way at a time.

use crate::account;
use crate::backup;
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::CommandOutcome;
use crate::guardians;
use crate::input::CommandId;
use crate::linking;
use crate::logs;
use crate::outbox;
use crate::peers;
use crate::pre_keys;
use crate::records::{OwnAccount, Purpose, key};
use crate::recovery;
use crate::retired;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::upgrade;
use keys::account_log::{
    Authority, DeviceSecrets, LogError, Method, Proposal, Reason, RecoverySecrets, RecoveryTerms,
    RootSecret, UnverifiedLog, VerifiedLog,
};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{DeviceId, Secret, SecretBytes};
use zeroize::Zeroizing;

/// Wishes in order, by number.
const WISH: &[u8] = b"log-wish/";
/// The log with the entry that the relay was asked to take; empty, where it is asked to take old ones again.
const PROPOSED: &[u8] = b"log-proposed";

/// What is to be changed.
pub(crate) enum Wish {
    /// The new device of a link, as it proposed itself.
    Add { proposal: Vec<u8> },
    /// A device goes.
    Revoke { device: DeviceId, reason: Reason },
    /// A device is out of force until it is resumed.
    Suspend { device: DeviceId },
    /// A suspended device is in force again.
    Resume { device: DeviceId },
    /// This device gets new keys.
    RotateDevice { secrets: SecretBytes },
    /// The root key is replaced.
    RotateRoot { root: SecretBytes },
    /// The account takes a higher suite, with this root key.
    UpgradeSuite { root: SecretBytes },
    /// A recovery sheet comes into force.
    SetSheet { seed: Secret<32> },
    /// Guardians come into force.
    SetGuardians {
        seed: Secret<32>,
        need: u8,
        delay_seconds: u64,
        commitments: Vec<[u8; 32]>,
    },
    /// A way to recover goes.
    ClearRecovery { method: Method },
    /// What was asked of guardians is refused.
    CancelRecovery,
    /// The account ends.
    End,
}

/// Whether a change is wished for that the relay has not taken yet.
pub(crate) fn is_busy(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(!tx.scan(Table::Meta, WISH, None, 1)?.is_empty())
}

/// Puts a wish at the end of the line.
pub(crate) fn wish(
    tx: &mut Transaction<'_>,
    command: CommandId,
    wish: &Wish,
) -> Result<(), EngineError> {
    // A wish that cannot be signed now is refused at once, not when its turn comes.
    check(tx, wish)?;
    let number = tx.next_number("log-wish")?;
    tx.put(Table::Meta, place(number), wish.encode(command));
    resume(tx)
}

fn place(number: u64) -> Vec<u8> {
    key(&[WISH, &number.to_be_bytes()])
}

/// The place in front of all wishes, whose numbers begin with 1.
const FIRST: u64 = 0;

/// Whether a wish in front of all others waits.
pub(crate) fn is_first_busy(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(tx.get(Table::Meta, &place(FIRST))?.is_some())
}

/// New keys for this device, before anything else is changed: what waits is to be signed by them.
pub(crate) fn rotate_device_first(
    tx: &mut Transaction<'_>,
    command: CommandId,
) -> Result<(), EngineError> {
    let secrets = renewed(tx)?;
    let wish = Wish::RotateDevice { secrets };
    tx.put(Table::Meta, place(FIRST), wish.encode(command));
    resume(tx)
}

/// Keys of the account's suite for this device.
fn renewed(tx: &mut Transaction<'_>) -> Result<SecretBytes, EngineError> {
    let own = account::own(tx)?;
    let suite = account::log_of(&own)?.suite();
    let new = own.secrets.renewed(suite, tx.rng).map_err(|_| LIBRARY)?;
    Ok(new.encode())
}

/// Whether a wish can be signed now.
pub(crate) fn check(tx: &Transaction<'_>, wish: &Wish) -> Result<(), EngineError> {
    devices::may_act(tx)?;
    let own = account::own(tx)?;
    sign(tx, &own, &account::log_of(&own)?, wish).map(drop)
}

/// New keys for this device.
pub(crate) fn rotate_device(
    tx: &mut Transaction<'_>,
    command: CommandId,
) -> Result<(), EngineError> {
    let secrets = renewed(tx)?;
    wish(tx, command, &Wish::RotateDevice { secrets })
}

/// A new root key.
pub(crate) fn rotate_root(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    let suite = account::log(tx)?.suite();
    let new = RootSecret::generate(suite, tx.rng).map_err(|_| LIBRARY)?;
    let root = new.encode();
    wish(tx, command, &Wish::RotateRoot { root })
}

const LIBRARY: EngineError = EngineError::Internal {
    what: "cryptographic library",
};

/// Goes on with the first wish, where none is under way.
pub(crate) fn resume(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, PROPOSED)?.is_some() {
        return Ok(());
    }
    while let Some((place, command, wish)) = first(tx)? {
        let own = account::own(tx)?;
        let log = account::log_of(&own)?;
        match devices::may_act(tx).and_then(|()| sign(tx, &own, &log, &wish)) {
            Ok(signed) => return propose(tx, command, &log, &signed),
            Err(error) => {
                // What another device did meanwhile forbids it, or has done it.
                tx.delete(Table::Meta, place);
                if has_keys_of(&log, &own, &wish) {
                    // SECURITY: the relay took it and denies that; the keys are in force, and here alone.
                    // `a_relay_that_denies_what_it_took_takes_no_key_away` notices.
                    done(tx, command, &wish, &log)?;
                } else if is_done(&log, &wish) {
                    tx.outcome(command, CommandOutcome::Done);
                } else {
                    failed(tx, command, &wish, error)?;
                }
            }
        }
    }
    Ok(())
}

/// Keys of this device that may be in its log already: the relay has not said here that it took them, and others read them.
pub(crate) fn proposed_keys(tx: &Transaction<'_>) -> Result<Option<DeviceSecrets>, EngineError> {
    match first(tx)? {
        Some((_, _, Wish::RotateDevice { secrets })) => {
            Ok(DeviceSecrets::decode(secrets.expose_secret()).ok())
        }
        _ => Ok(None),
    }
}

/// Whether the log has the keys that a wish brings.
fn has_keys_of(log: &VerifiedLog, own: &OwnAccount, wish: &Wish) -> bool {
    match wish {
        Wish::RotateDevice { secrets } => {
            let secrets = DeviceSecrets::decode(secrets.expose_secret());
            let named = log.device(&own.device);
            secrets.is_ok_and(|secrets| {
                let key = secrets.signing().verifying_key();
                named.is_some_and(|named| named.verifying_key() == key)
            })
        }
        Wish::RotateRoot { root } | Wish::UpgradeSuite { root } => {
            let root = RootSecret::decode(root.expose_secret());
            root.is_ok_and(|root| root.verifying_key() == log.root_key())
        }
        _ => false,
    }
}

/// Whether another device has done what is wished for.
fn is_done(log: &VerifiedLog, wish: &Wish) -> bool {
    match wish {
        Wish::Revoke { device, .. } => {
            let mut revoked = log.revoked().iter();
            revoked.any(|revoked| revoked.record.id() == device)
        }
        Wish::Suspend { device } => {
            let mut suspended = log.suspended().iter();
            suspended.any(|suspended| suspended.record.id() == device)
        }
        Wish::Resume { device } => log.device(device).is_some(),
        Wish::End => log.is_tombstoned(),
        _ => false,
    }
}

fn first(tx: &Transaction<'_>) -> Result<Option<(Vec<u8>, CommandId, Wish)>, EngineError> {
    let Some((place, bytes)) = tx.scan(Table::Meta, WISH, None, 1)?.pop() else {
        return Ok(None);
    };
    let damaged = |_| StoreError::Damaged {
        what: "change of the account log",
    };
    let (command, wish) = Wish::decode(&bytes).map_err(damaged)?;
    Ok(Some((place, command, wish)))
}

fn sign(
    tx: &Transaction<'_>,
    own: &OwnAccount,
    log: &VerifiedLog,
    wish: &Wish,
) -> Result<VerifiedLog, EngineError> {
    let by = Authority::Device(&own.secrets);
    let signed = match wish {
        Wish::Add { proposal } => {
            Proposal::decode(proposal).and_then(|proposal| log.accept_add(by, &proposal, tx.now))
        }
        Wish::Revoke { device, reason } => log.revoke(by, device, *reason, tx.now),
        Wish::Suspend { device } => log.suspend(by, device, tx.now),
        Wish::Resume { device } => log.resume(by, device, tx.now),
        Wish::RotateDevice { secrets } => DeviceSecrets::decode(secrets.expose_secret())
            .map_err(LogError::from)
            .and_then(|new| log.rotate_device(&own.secrets, &new, tx.now)),
        Wish::SetSheet { seed } => RecoverySecrets::derive(log.suite(), Method::Sheet, seed)
            .map_err(LogError::from)
            .and_then(|new| log.set_recovery(&own.secrets, &new, &RecoveryTerms::sheet(), tx.now)),
        Wish::SetGuardians {
            seed,
            need,
            delay_seconds,
            commitments,
        } => {
            let terms = RecoveryTerms {
                delay_seconds: *delay_seconds,
                need: *need,
                commitments: commitments.clone(),
            };
            RecoverySecrets::derive(log.suite(), Method::Guardians, seed)
                .map_err(LogError::from)
                .and_then(|new| log.set_recovery(&own.secrets, &new, &terms, tx.now))
        }
        Wish::ClearRecovery { method } => log.clear_recovery(&own.secrets, *method, tx.now),
        Wish::CancelRecovery => log.cancel_recovery(&own.secrets, tx.now),
        Wish::End => {
            let root = own.root.as_ref().ok_or(EngineError::NoRootKey)?;
            log.tombstone(root, tx.now)
        }
        Wish::RotateRoot { root } => {
            let old = own.root.as_ref().ok_or(EngineError::NoRootKey)?;
            RootSecret::decode(root.expose_secret())
                .map_err(LogError::from)
                .and_then(|new| log.rotate_root(old, &new, tx.now))
        }
        Wish::UpgradeSuite { root } => {
            let old = own.root.as_ref().ok_or(EngineError::NoRootKey)?;
            RootSecret::decode(root.expose_secret())
                .map_err(LogError::from)
                .and_then(|new| log.upgrade_suite(old, &new, tx.now))
        }
    };
    signed.map_err(|error| EngineError::LogRefuses { error })
}

fn propose(
    tx: &mut Transaction<'_>,
    command: CommandId,
    log: &VerifiedLog,
    signed: &VerifiedLog,
) -> Result<(), EngineError> {
    let after = log.head().sequence;
    let raw = wire::RawLog::parse(signed.bytes()).map_err(|_| EngineError::Protocol)?;
    let part = raw.part(after.saturating_add(1));
    let entries = part.ok_or(EngineError::Protocol)?.entries.to_vec();
    let value = Zeroizing::new(signed.bytes().to_vec());
    tx.put(Table::Meta, PROPOSED.to_vec(), value);
    let request = wire::Request::AppendEntries(wire::AppendEntries {
        account: *log.account_id(),
        after,
        entries,
    });
    outbox::add_own(tx, Purpose::AppendLog(command), request)
}

/// Hands entries of the log that the relay lost in again, as many as one request takes; then it is asked what it
/// has.
pub(crate) fn hand_in_again(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    after: u64,
) -> Result<(), EngineError> {
    if tx.get(Table::Meta, PROPOSED)?.is_some() {
        return Ok(()); // That is refused, and then this comes again.
    }
    let raw = wire::RawLog::parse(log.bytes()).map_err(|_| EngineError::Protocol)?;
    let part = raw.part(after.saturating_add(1));
    let entries = part.ok_or(EngineError::Protocol)?.entries.to_vec();
    tx.put(Table::Meta, PROPOSED.to_vec(), Zeroizing::new(Vec::new()));
    let request = wire::Request::AppendEntries(wire::AppendEntries {
        account: *log.account_id(),
        after,
        entries,
    });
    outbox::add_own(tx, Purpose::AppendLog(CommandId::default()), request)
}

/// The relay took the entry.
pub(crate) fn appended(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(bytes) = tx.get(Table::Meta, PROPOSED)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, PROPOSED.to_vec());
    if bytes.is_empty() {
        let own = account::own(tx)?;
        return logs::check(tx, &own.id);
    }
    let Some((place, command, wish)) = first(tx)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    let own = account::own(tx)?;
    let peer = peers::existing(tx, &own.id)?;
    // Another device's entries may have been read meanwhile; then this one is among them or comes next.
    logs::take_over(tx, &peer, &bytes)?;
    let signed = UnverifiedLog::decode(&bytes).and_then(|log| log.verify(Some(&own.id), None));
    let signed = signed.map_err(|error| EngineError::LogRefuses { error })?;
    done(tx, command, &wish, &signed)?;
    resume(tx)
}

fn done(
    tx: &mut Transaction<'_>,
    command: CommandId,
    wish: &Wish,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    match wish {
        Wish::Add { .. } => return linking::added(tx, log),
        Wish::Revoke { .. } | Wish::Suspend { .. } | Wish::Resume { .. } | Wish::End => {}
        Wish::RotateDevice { secrets } => {
            let mut own = account::own_to_change(tx)?;
            retired::keep_own(tx, &own.secrets)?;
            own.secrets = DeviceSecrets::decode(secrets.expose_secret()).map_err(|_| {
                StoreError::Damaged {
                    what: "device keys",
                }
            })?;
            account::store(tx, &own);
            pre_keys::begin_anew(tx)?;
            devices::have_new_keys(tx)?;
        }
        Wish::RotateRoot { root } => {
            let mut own = account::own_to_change(tx)?;
            let root = RootSecret::decode(root.expose_secret())
                .map_err(|_| StoreError::Damaged { what: "root key" })?;
            own.root = Some(root);
            account::store(tx, &own);
            backup::seal_root_again(tx)?;
        }
        Wish::UpgradeSuite { root } => return upgrade::done(tx, command, root),
        Wish::SetSheet { seed } => return recovery::set(tx, command, Method::Sheet, seed),
        Wish::SetGuardians { seed, .. } => return guardians::in_force(tx, command, seed, log),
        Wish::ClearRecovery { method } => backup::end_method(tx, *method)?,
        Wish::CancelRecovery => guardians::look(tx)?,
    }
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

fn failed(
    tx: &mut Transaction<'_>,
    command: CommandId,
    wish: &Wish,
    error: EngineError,
) -> Result<(), EngineError> {
    match wish {
        Wish::Add { .. } => return linking::not_added(tx, error),
        Wish::SetGuardians { .. } => guardians::plan_failed(tx)?,
        _ => {}
    }
    tx.outcome(command, CommandOutcome::Failed(error));
    Ok(())
}

/// The relay did not take the entry.
pub(crate) fn refused(
    tx: &mut Transaction<'_>,
    kind: wire::RefusalKind,
) -> Result<(), EngineError> {
    let again = tx.get(Table::Meta, PROPOSED)?;
    let again = again.is_some_and(|bytes| bytes.is_empty());
    tx.delete(Table::Meta, PROPOSED.to_vec());
    let own = account::own(tx)?;
    if kind == wire::RefusalKind::Conflict {
        // Another device was faster: its entry first, then ours on top of it.
        return logs::check(tx, &own.id);
    }
    if again {
        logs::ask_later(tx, &own.id);
        return Ok(());
    }
    let Some((place, command, wish)) = first(tx)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    failed(tx, command, &wish, EngineError::Refused { kind })?;
    resume(tx)
}

impl Wish {
    fn encode(&self, command: CommandId) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        out.u64(command.0);
        match self {
            Self::Add { proposal } => {
                out.u8(1);
                out.bytes(proposal);
            }
            Self::Revoke { device, reason } => {
                out.u8(2);
                out.array(device.as_bytes());
                out.bytes(reason.name().as_bytes());
            }
            Self::RotateDevice { secrets } => {
                out.u8(3);
                out.bytes(secrets.expose_secret());
            }
            Self::RotateRoot { root } => {
                out.u8(4);
                out.bytes(root.expose_secret());
            }
            Self::UpgradeSuite { root } => {
                out.u8(12);
                out.bytes(root.expose_secret());
            }
            Self::SetSheet { seed } => {
                out.u8(5);
                out.array(seed.expose_secret());
            }
            Self::SetGuardians {
                seed,
                need,
                delay_seconds,
                commitments,
            } => {
                out.u8(6);
                out.array(seed.expose_secret());
                out.u8(*need);
                out.u64(*delay_seconds);
                out.u8(u8::try_from(commitments.len()).unwrap_or(u8::MAX));
                for commitment in commitments {
                    out.array(commitment);
                }
            }
            Self::ClearRecovery { method } => {
                out.u8(7);
                out.u8(*method as u8);
            }
            Self::CancelRecovery => out.u8(8),
            Self::End => out.u8(11),
            Self::Suspend { device } => {
                out.u8(9);
                out.array(device.as_bytes());
            }
            Self::Resume { device } => {
                out.u8(10);
                out.array(device.as_bytes());
            }
        }
        Zeroizing::new(out.finish())
    }

    fn decode(bytes: &[u8]) -> Result<(CommandId, Self), DecodeError> {
        let mut input = Reader::new(bytes);
        let command = CommandId(input.u64()?);
        let wish = match input.u8()? {
            1 => Self::Add {
                proposal: input.bytes(1 << 17)?.to_vec(),
            },
            2 => Self::Revoke {
                device: DeviceId::from_bytes(input.array()?),
                reason: std::str::from_utf8(input.bytes(16)?)
                    .ok()
                    .and_then(Reason::from_name)
                    .ok_or(DecodeError::Invalid)?,
            },
            3 => Self::RotateDevice {
                secrets: SecretBytes::from(input.bytes(4096)?),
            },
            4 => Self::RotateRoot {
                root: SecretBytes::from(input.bytes(4096)?),
            },
            12 => Self::UpgradeSuite {
                root: SecretBytes::from(input.bytes(4096)?),
            },
            5 => Self::SetSheet {
                seed: Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?,
            },
            6 => Self::SetGuardians {
                seed: Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?,
                need: input.u8()?,
                delay_seconds: input.u64()?,
                commitments: {
                    let count = input.u8()?;
                    let mut commitments = Vec::new();
                    for _ in 0..count {
                        commitments.push(input.array()?);
                    }
                    commitments
                },
            },
            7 => {
                let method = input.u8()?;
                let mut methods = Method::ALL.into_iter();
                let method = methods.find(|known| *known as u8 == method);
                Self::ClearRecovery {
                    method: method.ok_or(DecodeError::Invalid)?,
                }
            }
            8 => Self::CancelRecovery,
            11 => Self::End,
            9 => Self::Suspend {
                device: DeviceId::from_bytes(input.array()?),
            },
            10 => Self::Resume {
                device: DeviceId::from_bytes(input.array()?),
            },
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok((command, wish))
    }
}
