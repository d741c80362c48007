//! Recovery by guardians (docs/spec/recovery.md, sections 5 to 8).
//!
//! ```text
//!   owner:     plan ─► PutLock ─► entry in the log ─► shares to the contacts, first backup
//!   guardian:  keeps a wrapped share ─► a person brings a code ─► OpenLock, the share to whoever asked
//!   new home:  request in the log ─► shares come, the delay passes ─► key of the lock ─► the secret ─► restoration
//! ```
//!
//! No share is ever stored or sent without the wrapping of a key that only the relay has, and no key of the relay
//! is ever stored beside a share by anybody but the device that recovers.

mod answers;
mod approving;
mod asking;
mod keeping;
mod lock;
mod owner;
mod status;
mod words;

pub(crate) use answers::{answer, broken};
pub(crate) use approving::approve;
pub(crate) use asking::{
    begin as ask, carry_on, forget as give_up, received, relay, relay_of, restoration_failed,
    restored, tick as tick_asking,
};
pub(crate) use keeping::{
    contact_log_changed, forgotten_elsewhere, heard, is_word, keep as keep_share,
};
pub(crate) use lock::{log_confirmed, look, started as started_lock, tick as tick_lock};
pub(crate) use owner::{
    GuardianTerms, forget, in_force, keep, known, own_log_changed, plan, plan_failed, told,
};
pub use status::{GuardianState, GuardiansState, OpenRequest, RequestState, ShareState};
pub(crate) use status::{guardians, request, shares};
