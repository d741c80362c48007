//! What the tables of a profile hold, and how it is written there (docs/spec/home.md).
//!
//! Every record begins with a version byte. A record that does not parse is [`StoreError::Damaged`]; nothing
//! is guessed.

mod account;
mod backup;
mod comparison;
mod contact;
mod group;
mod guardians;
mod letter;
mod link;
mod marks;
mod outbox;
mod part;
mod queue;
mod upload;
mod vault;

pub use account::OwnAccount;
pub(crate) use backup::{Backup, BackupMethod, Restore, RestoreStage};
pub(crate) use comparison::{CodeCheck, Comparison, ComparisonStage};
pub use contact::{Contact, Trust};
pub(crate) use contact::{ContactState, Decision};
pub(crate) use group::{Behind, Flight, FlightKind, GroupMember, GroupMembers, Wish};
pub use group::{DataChange, GroupRecord, GroupStanding};
pub use guardians::Lost;
pub(crate) use guardians::{
    APPROVALS, Approval, Approving, Ask, AskStage, Guardian, GuardianPlan, GuardianPurpose,
    KeptShare, OwnGuardians, WRAPPED_BYTES,
};
pub use letter::{Delivery, DeliveryState, Direction, Enclosure, Letter, LetterState};
pub(crate) use link::{Join, JoinStage, Newcomer, Offer, OfferStage};
pub use marks::{Marks, Reaction, Share};
pub(crate) use outbox::{OutboxEntry, Purpose, SentBody};
pub(crate) use part::PartPurpose;
pub use part::{Part, Way};
pub(crate) use queue::{ContactRoute, OwnQueue, QueuePurpose, RouteRecord};
pub use upload::Upload;
pub(crate) use vault::{GENERATIONS, TOLD, ToldRoot, VaultFarWay, VaultWay};
pub use vault::{VaultPin, VaultRecord, VaultSeen};

use crate::error::StoreError;
use keys::codec::{Reader, Writer};
use zeroize::Zeroizing;

/// A record of a table.
pub(crate) trait Record: Sized {
    /// What [`StoreError::Damaged`] calls it.
    const WHAT: &'static str;

    fn write(&self, out: &mut Writer);
    fn read(input: &mut Reader<'_>) -> Result<Self, keys::codec::DecodeError>;

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        out.u8(1);
        self.write(&mut out);
        Zeroizing::new(out.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let parse = || {
            let mut input = Reader::new(bytes);
            if input.u8()? != 1 {
                return Err(keys::codec::DecodeError::Invalid);
            }
            let record = Self::read(&mut input)?;
            input.finish()?;
            Ok(record)
        };
        parse().map_err(|_| StoreError::Damaged { what: Self::WHAT })
    }
}

/// Joins the parts of a key.
pub(crate) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Reads a length-prefixed string.
fn text(input: &mut Reader<'_>, max: usize) -> Result<String, keys::codec::DecodeError> {
    String::from_utf8(input.bytes(max)?.to_vec()).map_err(|_| keys::codec::DecodeError::Invalid)
}

/// Reads 32 secret bytes.
fn secret(input: &mut Reader<'_>) -> Result<keys::Secret<32>, keys::codec::DecodeError> {
    let bytes = Zeroizing::new(input.array::<32>()?);
    keys::Secret::from_slice(&*bytes).ok_or(keys::codec::DecodeError::Invalid)
}

/// Reads a counted list.
fn list<T>(
    input: &mut Reader<'_>,
    max: u32,
    read: impl Fn(&mut Reader<'_>) -> Result<T, keys::codec::DecodeError>,
) -> Result<Vec<T>, keys::codec::DecodeError> {
    let count = input.u32()?;
    if count > max {
        return Err(keys::codec::DecodeError::Invalid);
    }
    (0..count).map(|_| read(input)).collect()
}
