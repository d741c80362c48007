//! What becomes of the parts of archives.

use crate::archive;
use crate::backup;
use crate::error::EngineError;
use crate::group::restored::trees;
use crate::group::words;
use crate::joining;
use crate::linking;
use crate::records::{PartPurpose, Way};
use crate::restore;
use crate::transaction::Transaction;
use keys::BlobId;

/// The relay has all of a part.
pub(crate) fn stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    let Some(part) = archive::load(tx, blob)? else {
        return Ok(());
    };
    archive::forget(tx, blob);
    match part.purpose {
        PartPurpose::Link => linking::part_stored(tx),
        PartPurpose::Backup => backup::part_stored(tx),
        PartPurpose::Group => words::part_stored(tx, blob),
        PartPurpose::VaultTree => trees::stored(tx, blob),
    }
}

/// A part came.
pub(crate) fn fetched(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<(), EngineError> {
    let Some(part) = archive::load(tx, blob)? else {
        return Ok(());
    };
    archive::forget(tx, blob);
    match part.purpose {
        PartPurpose::Link => joining::part_came(tx, &part, sealed),
        PartPurpose::Backup => restore::part_came(tx, &part, sealed),
        PartPurpose::Group => words::part_came(tx, blob, sealed),
        PartPurpose::VaultTree => trees::came(tx, blob, sealed),
    }
}

/// A part can be neither stored nor fetched.
pub(crate) fn failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    let Some(part) = archive::load(tx, blob)? else {
        return Ok(());
    };
    archive::forget(tx, blob);
    match (part.purpose, part.way) {
        (PartPurpose::Link, Way::Store { .. }) => linking::part_refused(tx),
        (PartPurpose::Link, Way::Fetch { .. }) => joining::part_failed(tx),
        (PartPurpose::Backup, Way::Store { .. }) => backup::part_refused(tx),
        (PartPurpose::Backup, Way::Fetch { .. }) => restore::part_failed(tx),
        (PartPurpose::Group, way) => words::part_failed(tx, blob, &way),
        (PartPurpose::VaultTree, Way::Store { .. }) => trees::refused(tx, blob),
        (PartPurpose::VaultTree, Way::Fetch { .. }) => trees::missing(tx, blob),
    }
}
