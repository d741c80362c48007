//! The client as a state machine: no I/O, no clock, no randomness of its own.
//!
//! ```text
//!   Input + &dyn Snapshot + now + rng ──► Engine::handle ──► Step ──commit(&mut Store)──► Committed { outgoing, events }
//! ```
//!
//! A [`Step`] has private fields. Its only way out is [`Step::commit`], which writes every change in one
//! transaction before it hands out what is to be sent: nothing is sent before it is stored (I8).

mod account;
mod amending;
mod amendment;
mod answers;
mod archive;
mod backup;
mod certificates;
mod comparing;
mod contacts;
mod content;
mod custody;
mod devices;
mod dispatch;
mod envelope;
mod errands;
mod error;
mod event;
mod evidence;
pub mod give;
mod group;
mod guardians;
mod held;
mod input;
mod inventory;
mod invite;
mod joining;
mod letters;
pub mod limits;
mod link_message;
mod linking;
mod logs;
mod meeting;
mod outbox;
mod own_log;
mod parts;
mod peers;
mod pre_keys;
mod queues;
mod receipts;
mod receiving;
pub mod records;
mod recovery;
mod reminding;
mod restore;
mod retired;
mod routes;
mod sas_message;
mod scanning;
mod sealed_files;
mod sending;
mod sessions;
mod signed;
mod silence;
mod standby;
mod step;
mod store;
mod together;
mod transaction;
#[cfg(feature = "trial")]
pub mod trial;
mod turns;
pub mod untrusted;
mod upgrade;
mod uploads;
mod vault;
mod verifying;
mod waiting;

pub use ::groups::{Change, GroupData, GroupError, LeafName, Role};
pub use backup::BackupState;
pub use custody::{HeldKey, Holder, HolderKind, Item, Place, Remark};
pub use dispatch::Engine;
pub use error::{AmendmentError, EngineError, SasError, StoreError, VaultError};
pub use event::{Amended, CommandOutcome, Event};
pub use evidence::{Evidence, EvidenceError, Finding, PreKeys, Shown};
pub use group::pictures::Picture;
pub use guardians::{GuardianState, GuardiansState, OpenRequest, RequestState, ShareState};
pub use input::{
    Amend, Attachment, CommandId, Draft, Hidden, Input, Registration, VerificationMeans,
};
pub use inventory::{Algorithm, KeyEntry, KeyKind, KeyState, Primitive, algorithms};
pub use linking::LinkOffer;
pub use sealed_files::{FileRecipient, FileSigner, Known, SignerError};
pub use step::{Committed, Outgoing, Step, Subscription, Upload};
pub use store::{Row, Snapshot, Store, Table, Write};
pub use vault::heads::VaultVersion;
pub use vault::roots::Vault;
