//! Requests about key packages.

use crate::directory;
use crate::limits;
use crate::os;
use crate::prekeys::{Statement, signed_by_device};
use crate::refusal;
use crate::state::State;
use crate::store::PackagesPublished;
use keys::label;
use wire::{RefusalKind, Reply};

fn unknown() -> Reply {
    refusal::of(RefusalKind::NotFound, "no key package of this device")
}

/// Stores key packages, if a device in force signed them.
pub(crate) async fn publish(state: &State, request: wire::PublishKeyPackages) -> Reply {
    let statement = Statement {
        account: request.account,
        device: request.device,
        label: label::PUBLISH_KEY_PACKAGES,
        message: wire::publish_key_packages_message(&request),
        signature: &request.signature,
    };
    for _ in 0..limits::LOG_ATTEMPTS {
        let log = match signed_by_device(state, &statement).await {
            Ok(log) => log,
            Err(reply) => return *reply,
        };
        let published = state
            .store
            .publish_key_packages(request.clone(), log, os::now());
        return match published.await {
            Ok(PackagesPublished::OtherLog) => continue,
            Ok(PackagesPublished::Done(counts)) => Reply::KeyPackageCounts(counts),
            Ok(PackagesPublished::TooMany) => {
                refusal::of(RefusalKind::Quota, "too many key packages")
            }
            Err(_) => refusal::storage(),
        };
    }
    directory::changed_meanwhile()
}

/// Counts the key packages that are left.
pub(crate) async fn count(state: &State, request: wire::KeyPackageCount) -> Reply {
    let counts = state.store.key_package_counts(request);
    match counts.await {
        Ok(Some(counts)) => Reply::KeyPackageCounts(counts),
        Ok(None) => unknown(),
        Err(_) => refusal::storage(),
    }
}

/// Gives out a key package.
pub(crate) async fn take(state: &State, request: wire::FetchKeyPackage) -> Reply {
    if let Err(wait) = state.charge_key_package(request.account, request.device) {
        return refusal::rate(wait);
    }
    match state.store.take_key_package(request, os::now()).await {
        Ok(Some(package)) => {
            state.metrics.key_package_taken(!package.last_resort);
            Reply::KeyPackage(package)
        }
        Ok(None) => unknown(),
        Err(_) => refusal::storage(),
    }
}
