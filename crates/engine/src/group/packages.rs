//! Key packages: ours at the relay, and those of devices that are to be added.

use super::state;
use crate::account;
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::outbox;
use crate::records::{GroupRecord, Purpose, key};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{GroupError, LeafName};
use keys::{AccountId, DeviceId, GroupId, Suite, Timestamp};
use zeroize::Zeroizing;

/// When the last-resort package was made: BE8 seconds.
const MADE: &[u8] = b"key-packages-made";
/// A package that is to be used for a group, or nothing where the relay had none.
const FETCHED: &[u8] = b"group-package/";
/// A package was asked for.
const ASKED: &[u8] = b"group-package-asked/";

/// How a kept package begins: whether it is the last resort.
const ONE_TIME: u8 = 1;
const LAST_RESORT: u8 = 2;

/// Publishes key packages, in the place of all before.
pub(crate) fn publish(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let now = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
    tx.put(Table::Meta, MADE.to_vec(), now);
    let ours = account::own(tx)?.secrets.suite();
    // A device speaks its own suite and those below.
    for suite in Suite::ALL.into_iter().filter(|suite| *suite <= ours) {
        put(tx, suite, limits::KEY_PACKAGES, true)?;
    }
    Ok(())
}

fn put(
    tx: &mut Transaction<'_>,
    suite: Suite,
    count: u32,
    replace: bool,
) -> Result<(), EngineError> {
    let us = state::us(tx, suite)?;
    let mut make = |kind: u8| {
        let package =
            ::groups::key_package(&us, tx.now, tx.rng).map_err(|_| EngineError::Internal {
                what: "key packages",
            })?;
        let now = tx.now.as_secs().to_be_bytes();
        let kept = Zeroizing::new([&[kind], &now[..], &package.secret].concat());
        tx.put(Table::KeyPackage, package.id, kept);
        Ok::<_, EngineError>(package.public)
    };
    let packages = (0..count)
        .map(|_| make(ONE_TIME))
        .collect::<Result<Vec<_>, _>>()?;
    let mut last_resort = match replace {
        true => Some(make(LAST_RESORT)?),
        false => None,
    };
    // The first request takes the place of what was there, the others add to it.
    let mut batch = Vec::new();
    let mut bytes = last_resort.as_ref().map_or(0, Vec::len);
    let mut replaces = replace;
    for package in packages {
        let more = bytes.saturating_add(package.len());
        if more > limits::KEY_PACKAGES_BYTES {
            let batch = (std::mem::take(&mut batch), last_resort.take());
            request(tx, suite, batch, replaces)?;
            replaces = false;
            bytes = package.len();
        } else {
            bytes = more;
        }
        batch.push(package);
    }
    request(tx, suite, (batch, last_resort), replaces)
}

fn request(
    tx: &mut Transaction<'_>,
    suite: Suite,
    (packages, last_resort): (Vec<Vec<u8>>, Option<Vec<u8>>),
    replace: bool,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let mut request = wire::PublishKeyPackages {
        account: own.id,
        device: own.device,
        suite,
        packages,
        last_resort,
        replace,
        signature: Vec::new(),
    };
    let signed = own.secrets.signing().sign(
        keys::label::PUBLISH_KEY_PACKAGES,
        &wire::publish_key_packages_message(&request),
    );
    request.signature = signed
        .map_err(|_| EngineError::Internal {
            what: "signature of key packages",
        })?
        .as_bytes()
        .to_vec();
    let request = wire::Request::PublishKeyPackages(request);
    outbox::add_own(tx, Purpose::PublishKeyPackages(suite), request)
}

/// The relay said how many one-time packages for groups of a suite are left.
pub(crate) fn counted(
    tx: &mut Transaction<'_>,
    suite: Suite,
    left: u32,
) -> Result<(), EngineError> {
    // SECURITY: a relay that says again and again that none is left fills no disk;
    // `a_relay_that_denies_key_packages_gets_no_end_of_them` notices.
    let kept = tx.scan(Table::KeyPackage, &[], None, limits::KEY_PACKAGES_KEPT)?;
    match left < limits::KEY_PACKAGES / 2 && kept.len() < limits::KEY_PACKAGES_KEPT {
        true => put(tx, suite, limits::KEY_PACKAGES.saturating_sub(left), false),
        false => Ok(()),
    }
}

/// The relay lost what was published, or this device has other keys: everything anew with the next tick.
pub(crate) fn publish_again(tx: &mut Transaction<'_>) {
    tx.delete(Table::Meta, MADE.to_vec());
}

/// The relay does not know our newest log, and refused: later again.
pub(crate) fn refused(tx: &mut Transaction<'_>) {
    let again = tx.now.saturating_add(limits::ASK_AGAIN_SECONDS).as_secs();
    let made = again.saturating_sub(limits::KEY_PACKAGE_SECONDS);
    tx.put(
        Table::Meta,
        MADE.to_vec(),
        Zeroizing::new(made.to_be_bytes().to_vec()),
    );
}

/// When the published packages were made; nothing where they are to be made anew.
pub(crate) fn made(snapshot: &dyn Snapshot) -> Result<Option<Timestamp>, StoreError> {
    Ok(snapshot
        .get(Table::Meta, MADE)?
        .and_then(|made| time(&made)))
}

fn time(bytes: &[u8]) -> Option<Timestamp> {
    let seconds = bytes.try_into().ok().map(u64::from_be_bytes)?;
    Some(Timestamp::from_secs(seconds))
}

/// How many packages are published, and how many secrets of those before are still here.
pub(crate) fn count(snapshot: &dyn Snapshot) -> Result<(u64, u64), StoreError> {
    let made = made(snapshot)?;
    let (mut published, mut replaced) = (0_u64, 0_u64);
    for (_, kept) in snapshot.scan(Table::KeyPackage, &[], None, usize::MAX)? {
        let count = match made.is_some_and(|made| made_at(&kept) >= made) {
            true => &mut published,
            false => &mut replaced,
        };
        *count = count.saturating_add(1);
    }
    Ok((published, replaced))
}

fn made_at(kept: &[u8]) -> Timestamp {
    kept.get(1..9).and_then(time).unwrap_or_default()
}

/// Whether packages are to be made: for the first time, or in the place of old ones.
pub(super) fn are_due(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    let young = |at| tx.now.since(at) < limits::KEY_PACKAGE_SECONDS;
    let made = tx.get(Table::Meta, MADE)?.and_then(|made| time(&made));
    Ok(!made.is_some_and(young))
}

/// Replaces all packages, and destroys old secrets.
pub(super) fn renew(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (id, kept) in tx.scan(Table::KeyPackage, &[], None, usize::MAX)? {
        if tx.now.since(made_at(&kept)) >= limits::KEY_PACKAGE_KEPT_SECONDS {
            tx.delete(Table::KeyPackage, id);
        }
    }
    publish(tx)
}

/// A package of ours: its reference and its private half.
pub(super) type OurPackage = (Vec<u8>, Zeroizing<Vec<u8>>);

/// The private half of the package that a Welcome answers.
pub(super) fn secret_of(
    tx: &Transaction<'_>,
    ids: &Result<Vec<Vec<u8>>, GroupError>,
) -> Result<Option<OurPackage>, EngineError> {
    for id in ids.as_deref().unwrap_or_default() {
        if let Some(kept) = tx.get(Table::KeyPackage, id)? {
            let secret = kept.get(9..).ok_or(StoreError::Damaged {
                what: "key package",
            })?;
            return Ok(Some((id.clone(), Zeroizing::new(secret.to_vec()))));
        }
    }
    Ok(None)
}

/// A package was used; what opens its Welcome is gone, so that nobody joins by it again.
pub(super) fn used(tx: &mut Transaction<'_>, id: &[u8], suite: Suite) -> Result<(), EngineError> {
    let kind = tx.get(Table::KeyPackage, id)?;
    if kind.is_some_and(|kept| kept.first() == Some(&ONE_TIME)) {
        tx.delete(Table::KeyPackage, id.to_vec());
        ask_how_many(tx, suite)?;
    }
    Ok(())
}

/// Asks the relay how many packages of this device it has. Returns the number of the request.
pub(crate) fn ask_how_many(tx: &mut Transaction<'_>, suite: Suite) -> Result<u64, EngineError> {
    let own = account::own(tx)?;
    let request = wire::Request::KeyPackageCount(wire::KeyPackageCount {
        account: own.id,
        device: own.device,
        suite,
    });
    outbox::add(
        tx,
        Purpose::PublishKeyPackages(suite),
        own.relay.clone(),
        request,
    )
}

fn place(what: &[u8], group: &GroupId, name: &LeafName) -> Vec<u8> {
    key(&[
        what,
        group.as_bytes(),
        name.account.as_bytes(),
        name.device.as_bytes(),
    ])
}

/// Packages of devices that are to be added.
pub(super) enum Found {
    /// Some are on their way.
    Waiting,
    /// All that there are, in the order of the names that have one.
    All(Vec<Vec<u8>>),
    /// No device of an account has one.
    None(AccountId),
}

/// Packages of devices, asked for where they are not here. `names` keeps those that have one; an account of `late` may have
/// none.
pub(super) fn all(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    names: &mut Vec<LeafName>,
    late: &[AccountId],
) -> Result<Found, EngineError> {
    let mut packages = Vec::new();
    let mut found = Vec::new();
    let mut waiting = false;
    for name in names.iter() {
        match tx.get(Table::Meta, &place(FETCHED, &record.id, name))? {
            Some(package) if package.is_empty() => {}
            Some(package) => {
                packages.push(package.to_vec());
                found.push(*name);
            }
            None => {
                waiting = true;
                fetch(tx, record, name)?;
            }
        }
    }
    if waiting {
        return Ok(Found::Waiting);
    }
    let without = |name: &&LeafName| !found.iter().any(|found| found.account == name.account);
    let own = account::own(tx)?.id;
    if let Some(name) = names
        .iter()
        .filter(|name| name.account != own && !late.contains(&name.account))
        .find(without)
    {
        return Ok(Found::None(name.account));
    }
    *names = found;
    Ok(Found::All(packages))
}

fn fetch(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    name: &LeafName,
) -> Result<(), EngineError> {
    let asked = place(ASKED, &record.id, name);
    if tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    let request = wire::Request::FetchKeyPackage(wire::FetchKeyPackage {
        account: name.account,
        device: name.device,
        suite: record.suite,
    });
    let purpose = Purpose::FetchKeyPackage {
        group: record.id,
        account: name.account,
        device: name.device,
    };
    outbox::add(tx, purpose, record.relay.clone(), request).map(drop)
}

/// The relay gave a package, or had none.
pub(crate) fn fetched(
    tx: &mut Transaction<'_>,
    group: &GroupId,
    (account, device): (&AccountId, &DeviceId),
    package: Option<&[u8]>,
) -> Result<(), EngineError> {
    let name = LeafName {
        account: *account,
        device: *device,
    };
    tx.delete(Table::Meta, place(ASKED, group, &name));
    let Some(record) = state::load(tx, group)? else {
        return Ok(());
    };
    // SECURITY: a relay cannot put another device in the place of the one that was asked for, nor a package that the
    // group cannot take; the commit checks the key against the log.
    let wanted = (name, record.suite);
    let fits = |package: &&[u8]| ::groups::key_package_of(package) == Ok(wanted);
    let package = package.filter(fits).unwrap_or_default().to_vec();
    tx.put(
        Table::Meta,
        place(FETCHED, group, &name),
        Zeroizing::new(package),
    );
    // A look at the whole group for each of a thousand packages would take as long as a thousand looks.
    match tx.scan(Table::Meta, &key(&[ASKED, group.as_bytes()]), None, 1)? {
        more if !more.is_empty() => Ok(()),
        _ => super::turn::advance(tx, group),
    }
}

/// Devices that had no package are asked for again.
pub(super) fn forget_missing(tx: &mut Transaction<'_>, group: &GroupId) -> Result<(), EngineError> {
    let prefix = key(&[FETCHED, group.as_bytes()]);
    for (place, package) in tx.scan(Table::Meta, &prefix, None, usize::MAX)? {
        if package.is_empty() {
            tx.delete(Table::Meta, place);
        }
    }
    Ok(())
}

/// Packages that were fetched for a group are used, or not needed.
pub(super) fn forget(tx: &mut Transaction<'_>, group: &GroupId) -> Result<(), EngineError> {
    for what in [FETCHED, ASKED] {
        let prefix = key(&[what, group.as_bytes()]);
        for (place, _) in tx.scan(Table::Meta, &prefix, None, usize::MAX)? {
            tx.delete(Table::Meta, place);
        }
    }
    Ok(())
}
