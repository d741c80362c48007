//! Requests about pre-keys.

use crate::directory;
use crate::limits;
use crate::os;
use crate::refusal;
use crate::state::State;
use crate::store::Published;
use keys::label::Label;
use keys::{AccountId, DeviceId, HybridSignature, QueueId, label};
use wire::{Bundle, FrontDoor, PreKeyCounts, RefusalKind, Reply, SendToken};

/// Stores pre-keys, if a device in force signed them.
pub(crate) async fn publish(state: &State, request: wire::PublishPreKeys) -> Reply {
    for _ in 0..limits::LOG_ATTEMPTS {
        if let Some(reply) = try_publish(state, &request).await {
            return reply;
        }
    }
    directory::changed_meanwhile()
}

/// The reply, or nothing if the log changed meanwhile.
async fn try_publish(state: &State, request: &wire::PublishPreKeys) -> Option<Reply> {
    let statement = Statement {
        account: request.account,
        device: request.device,
        label: label::PUBLISH,
        message: wire::publish_message(request),
        signature: &request.signature,
    };
    let log = match signed_by_device(state, &statement).await {
        Ok(log) => log,
        Err(reply) => return Some(*reply),
    };
    Some(
        match state.store.publish(request.clone(), log, os::now()).await {
            Ok(Published::OtherLog) => return None,
            Ok(Published::Done(one_time_ec, one_time_kem)) => Reply::PreKeyCounts(PreKeyCounts {
                one_time_ec,
                one_time_kem,
            }),
            Ok(Published::TooMany) => refusal::of(RefusalKind::Quota, "too many one-time pre-keys"),
            Err(_) => refusal::storage(),
        },
    )
}

/// What a device says of itself.
pub(crate) struct Statement<'a> {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) label: Label,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: &'a [u8],
}

/// The log of the account, in which the device that signed is in force; or the answer where it is not so.
pub(crate) async fn signed_by_device(
    state: &State,
    statement: &Statement<'_>,
) -> Result<Vec<u8>, Box<Reply>> {
    let account = statement.account;
    let known = match state.store.log_by_account(account).await {
        Ok(Some(known)) => known.log,
        Ok(None) => return Err(refusal::of(RefusalKind::NotFound, "no such account").into()),
        Err(_) => return Err(refusal::storage().into()),
    };
    let Some(log) = directory::verified(known.clone(), Some(account)).await else {
        return Err(refusal::storage().into());
    };
    let device = log.device(&statement.device);
    let Some(device) = device.filter(|_| !log.is_tombstoned()) else {
        return Err(refusal::of(RefusalKind::NotFound, "no such device").into());
    };
    let signature = HybridSignature::from_bytes(log.suite(), statement.signature);
    let key = device.verifying_key();
    // SECURITY: only the device speaks for itself; `pre_keys_of_another_device_are_refused` and
    // `key_packages_of_another_device_are_refused` notice.
    match signature.map(|signature| key.verify(statement.label, &statement.message, &signature)) {
        Ok(Ok(())) => Ok(known),
        _ => Err(refusal::of(RefusalKind::Forbidden, "the signature does not hold").into()),
    }
}

/// Counts the one-time pre-keys that are left.
pub(crate) async fn count(state: &State, request: wire::PreKeyCount) -> Reply {
    match state
        .store
        .pre_key_counts(request.account, request.device)
        .await
    {
        Ok(Some((one_time_ec, one_time_kem))) => Reply::PreKeyCounts(PreKeyCounts {
            one_time_ec,
            one_time_kem,
        }),
        Ok(None) => refusal::of(RefusalKind::NotFound, "no such device"),
        Err(_) => refusal::storage(),
    }
}

/// Gives out the pre-keys for one session.
pub(crate) async fn take(state: &State, request: wire::FetchBundle) -> Reply {
    if let Err(wait) = state.charge_device(request.account, request.device) {
        return refusal::rate(wait);
    }
    let parts = match state
        .store
        .take_bundle(request.account, request.device, os::now())
        .await
    {
        Ok(Some(parts)) => parts,
        Ok(None) => return refusal::of(RefusalKind::NotFound, "no such device"),
        Err(_) => return refusal::storage(),
    };
    state.metrics.bundle_taken(parts.kem_is_one_time);
    let (queue, token) = parts
        .front_door
        .split_first_chunk::<16>()
        .unwrap_or((&[0; 16], &[]));
    let Ok(token) = token.try_into().map(SendToken::from_bytes) else {
        return refusal::storage();
    };
    Reply::Bundle(Bundle {
        account: request.account,
        device: request.device,
        identity: parts.identity,
        signed_ec: parts.signed_ec,
        kem: parts.kem,
        kem_is_one_time: parts.kem_is_one_time,
        one_time_ec: parts.one_time_ec,
        front_door: FrontDoor {
            queue_id: QueueId::from_bytes(*queue),
            token,
        },
    })
}
