//! The bytes that signatures cover.

use crate::request::PublishPreKeys;
use keys::codec::Writer;
use keys::{QueueId, label};

/// What the receive key signs to subscribe.
///
/// *Formula*: `label ‖ 00 ‖ challenge ‖ queue id`. The challenge is the connection's, so that a signature is of
/// no use on another one.
#[must_use]
pub fn subscribe_message(challenge: &[u8; 32], queue: &QueueId) -> Vec<u8> {
    [
        label::SUBSCRIBE.as_bytes(),
        &[0],
        challenge,
        queue.as_bytes(),
    ]
    .concat()
}

/// What the receive key signs to delete its queue.
///
/// *Formula*: `label ‖ 00 ‖ queue id`.
#[must_use]
pub fn delete_queue_message(queue: &QueueId) -> Vec<u8> {
    [label::DELETE_QUEUE.as_bytes(), &[0], queue.as_bytes()].concat()
}

/// What the device's hybrid key signs, under `label::PUBLISH`, to publish pre-keys.
///
/// *Formula*: `account ‖ device ‖ B(identity) ‖ B(signed EC) ‖ B(last-resort KEM) ‖ L(one-time EC) ‖
/// L(one-time KEM) ‖ front-door queue ‖ front-door token ‖ replace`, where `B(x) = BE4(|x|) ‖ x`, `L(xs)` is
/// `BE4(count)` and each `B(x)`, and `replace` is one byte.
#[must_use]
pub fn publish_message(request: &PublishPreKeys) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(request.account.as_bytes());
    out.array(request.device.as_bytes());
    out.bytes(&request.identity);
    out.bytes(&request.signed_ec);
    out.bytes(&request.last_resort_kem);
    for records in [&request.one_time_ec, &request.one_time_kem] {
        out.u32(u32::try_from(records.len()).unwrap_or(u32::MAX));
        for record in records {
            out.bytes(record);
        }
    }
    out.array(request.front_door.queue_id.as_bytes());
    out.array(request.front_door.token.as_bytes());
    out.u8(u8::from(request.replace_one_time));
    out.finish()
}
