//! What the tests share: a relay on a free port, and peers that speak its protocol.

mod account;
mod house;
mod http;
mod peer;
mod process;
mod queue;

pub(crate) use account::Account;
pub(crate) use house::House;
pub(crate) use http::{Answer, Outgoing, bearer, pieces, whole};
pub(crate) use peer::Peer;
pub(crate) use process::{Process, command};
pub(crate) use queue::{Queue, body, send, send_all};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use wire::{RefusalKind, Refused, Reply};

/// Randomness that is the same in every run.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The refusal in a reply.
#[track_caller]
pub(crate) fn refused(reply: Reply) -> Refused {
    match reply {
        Reply::Refused(refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

/// The kind of the refusal in a reply.
#[track_caller]
pub(crate) fn refusal(reply: Reply) -> RefusalKind {
    refused(reply).kind
}
