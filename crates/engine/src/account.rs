//! The own account: made, announced, shown.

use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::CommandOutcome;
use crate::guardians;
use crate::input::{CommandId, Registration};
use crate::limits;
use crate::linking;
use crate::logs;
use crate::outbox;
use crate::pre_keys;
use crate::queues;
use crate::records::{OwnAccount, Purpose, Record as _};
use crate::restore;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::{self, DeviceSecrets, RootSecret, UnverifiedLog, VerifiedLog};
use keys::{AccountId, DeviceId};
use std::rc::Rc;

pub(crate) const PLACE: &[u8] = b"account";

/// The own account, which must be there.
pub(crate) fn own(tx: &Transaction<'_>) -> Result<Rc<OwnAccount>, EngineError> {
    load(tx)?.ok_or(EngineError::NoAccount)
}

/// The own account, to be changed and stored.
pub(crate) fn own_to_change(tx: &Transaction<'_>) -> Result<OwnAccount, EngineError> {
    decoded(tx)?.ok_or(EngineError::NoAccount)
}

/// The relay that holds our queues: that of the account, or of the account that this home is about to join.
pub(crate) fn home_relay(tx: &Transaction<'_>) -> Result<Option<String>, EngineError> {
    match load(tx)? {
        Some(own) => Ok(Some(own.relay.clone())),
        None => match linking::relay(tx)? {
            Some(relay) => Ok(Some(relay)),
            None => match restore::relay(tx)? {
                Some(relay) => Ok(Some(relay)),
                None => guardians::relay(tx),
            },
        },
    }
}

/// What a home needs to become a device of an account that is there.
pub(crate) struct Arrival {
    pub(crate) name: String,
    pub(crate) relay: String,
    pub(crate) id: AccountId,
    pub(crate) secrets: DeviceSecrets,
    pub(crate) root: Option<RootSecret>,
    pub(crate) log: Vec<u8>,
    pub(crate) device_name: String,
}

/// The home has its account. The log was verified.
pub(crate) fn install(tx: &mut Transaction<'_>, arrival: Arrival) -> Result<DeviceId, EngineError> {
    let device = *arrival.secrets.device_id();
    let log = UnverifiedLog::decode(&arrival.log)
        .and_then(|log| log.verify(Some(&arrival.id), None))
        .map_err(|error| EngineError::LogRefuses { error })?;
    let own = OwnAccount {
        name: arrival.name,
        relay: arrival.relay,
        id: arrival.id,
        device,
        registered: true,
        pin: log.head(),
        log: arrival.log,
        registration_code: None,
        registration_id: registration_id(tx),
        root: arrival.root,
        secrets: arrival.secrets,
    };
    store(tx, &own);
    devices::set_name(tx, &device, &arrival.device_name)?;
    queues::ensure_front_door(tx)?;
    pre_keys::publish_first(tx)?;
    logs::check(tx, &own.id)?;
    Ok(device)
}

fn registration_id(tx: &mut Transaction<'_>) -> u32 {
    let mut id = [0; 2];
    tx.rng.fill_bytes(&mut id);
    u32::from(u16::from_be_bytes(id) & 0x3fff).max(1)
}

/// The root key leaves this device; the recovery bundle has it.
pub(crate) fn drop_root(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let mut own = own_to_change(tx)?;
    if own.root.take().is_some() {
        store(tx, &own);
    }
    Ok(())
}

const LIBRARY: EngineError = EngineError::Internal {
    what: "cryptographic library",
};

/// The account has ended: its root key goes, and keys that nobody has ever seen take the place of this device's.
pub(crate) fn destroy_keys(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let mut own = own_to_change(tx)?;
    own.root = None;
    own.secrets = own
        .secrets
        .renewed(own.secrets.suite(), tx.rng)
        .map_err(|_| LIBRARY)?;
    store(tx, &own);
    Ok(())
}

/// Takes over a newer own log.
pub(crate) fn adopt(tx: &mut Transaction<'_>, log: &VerifiedLog) -> Result<(), EngineError> {
    let mut own = own_to_change(tx)?;
    own.log = log.bytes().to_vec();
    own.pin = log.head();
    store(tx, &own);
    Ok(())
}

pub(crate) fn load(tx: &Transaction<'_>) -> Result<Option<Rc<OwnAccount>>, EngineError> {
    tx.own(|| decoded(tx))
}

fn decoded(tx: &Transaction<'_>) -> Result<Option<OwnAccount>, EngineError> {
    match tx.get(Table::Meta, PLACE)? {
        Some(bytes) => Ok(Some(OwnAccount::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// Whether there is an account.
pub(crate) fn exists(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(load(tx)?.is_some())
}

/// Reads the own account from outside a step.
pub(crate) fn read(
    snapshot: &dyn crate::store::Snapshot,
) -> Result<Option<OwnAccount>, StoreError> {
    snapshot
        .get(Table::Meta, PLACE)?
        .map(|bytes| OwnAccount::decode(&bytes))
        .transpose()
}

/// The own log.
pub(crate) fn log(tx: &Transaction<'_>) -> Result<VerifiedLog, EngineError> {
    let own = own(tx)?;
    log_of(&own)
}

/// The own log. It was verified before it was stored; the hash of its head finds a damaged disk.
pub(crate) fn log_of(own: &OwnAccount) -> Result<VerifiedLog, EngineError> {
    UnverifiedLog::decode(&own.log)
        .and_then(|log| log.trusted(&own.id, &own.pin))
        .map_err(|_| {
            StoreError::Damaged {
                what: "own account log",
            }
            .into()
        })
}

pub(crate) fn store(tx: &mut Transaction<'_>, account: &OwnAccount) {
    tx.put(Table::Meta, PLACE.to_vec(), account.encode());
}

/// A name is 1 to 32 bytes of a-z, 0-9, '.', '-', '_', so that no two names look alike.
pub(crate) fn check_name(name: &str) -> Result<(), EngineError> {
    if wire::is_name(name) {
        Ok(())
    } else {
        Err(EngineError::InvalidName)
    }
}

/// Makes the keys of an account and asks the relay for the name. Asked again before the relay confirmed, it
/// keeps the keys, which are of one suite, and takes the new name, relay and code.
pub(crate) fn create(
    tx: &mut Transaction<'_>,
    command: CommandId,
    registration: Registration,
) -> Result<(), EngineError> {
    check_name(&registration.name)?;
    if registration.relay.is_empty() || registration.relay.len() > limits::RELAY_URL_BYTES {
        return Err(EngineError::InvalidRelay);
    }
    let account = match decoded(tx)? {
        Some(account) if account.registered => return Err(EngineError::AccountExists),
        Some(account) if log_of(&account)?.suite() != registration.suite => {
            return Err(EngineError::AccountExists);
        }
        Some(account) => {
            outbox::forget(tx, |purpose| matches!(purpose, Purpose::Register(_)))?;
            OwnAccount {
                name: registration.name,
                relay: registration.relay,
                registration_code: registration.code,
                ..account
            }
        }
        None => make(tx, registration)?,
    };
    store(tx, &account);
    register(tx, &account, command)?;
    queues::ensure_front_door(tx)?;
    pre_keys::publish_first(tx)
}

fn make(tx: &mut Transaction<'_>, registration: Registration) -> Result<OwnAccount, EngineError> {
    let root = RootSecret::generate(registration.suite, tx.rng).map_err(|_| LIBRARY)?;
    let secrets = DeviceSecrets::generate(registration.suite, tx.rng).map_err(|_| LIBRARY)?;
    let log = account_log::genesis(&root, &secrets, tx.now).map_err(|_| LIBRARY)?;
    devices::set_name(tx, secrets.device_id(), &registration.device_name)?;
    Ok(OwnAccount {
        name: registration.name,
        relay: registration.relay,
        id: *log.account_id(),
        device: *secrets.device_id(),
        registered: false,
        log: log.bytes().to_vec(),
        pin: log.head(),
        registration_code: registration.code,
        registration_id: registration_id(tx),
        root: Some(root),
        secrets,
    })
}

/// Asks the relay for the name. Asking again for what one has changes nothing. A log that does not fit in one
/// request follows when the relay says how much it has ([`reminding`](crate::reminding)).
pub(crate) fn register(
    tx: &mut Transaction<'_>,
    account: &OwnAccount,
    command: CommandId,
) -> Result<(), EngineError> {
    let raw = wire::RawLog::parse(&account.log).map_err(|_| EngineError::Protocol)?;
    let begin = raw.part(0).map(|part| wire::RawLog::begin(part.entries));
    let log = begin.and_then(Result::ok).ok_or(EngineError::Protocol)?;
    let request = wire::Request::Register(wire::Register {
        name: account.name.clone(),
        log,
        code: account.registration_code.clone(),
    });
    outbox::add_own(tx, Purpose::Register(command), request)
}

/// The relay took the name.
pub(crate) fn registered(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    let mut account = own_to_change(tx)?;
    account.registered = true;
    account.registration_code = None;
    store(tx, &account);
    tx.outcome(command, CommandOutcome::AccountCreated);
    Ok(())
}

/// Whether a ticket is of an invite we made; it counts once.
pub(crate) fn redeemed_own_invite(
    tx: &mut Transaction<'_>,
    ticket: Option<[u8; 16]>,
) -> Result<bool, EngineError> {
    let Some(ticket) = ticket else {
        return Ok(false);
    };
    let known = tx.get(Table::Invite, &ticket)?.is_some();
    if known {
        tx.delete(Table::Invite, ticket.to_vec());
    }
    Ok(known)
}
