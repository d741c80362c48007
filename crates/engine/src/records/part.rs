//! Sealed parts of an archive, on their way to or from a blob store.

use super::Record;
use crate::limits;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{BlobId, Secret};

/// What a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PartPurpose {
    /// History for a device that links.
    Link = 1,
    /// History for the day on which all devices are lost.
    Backup = 2,
    /// The ratchet tree of a group, for devices that come in.
    Group = 3,
    /// That of a vault, for the day on which all devices are lost.
    VaultTree = 4,
}

/// A part of an archive and what its relay wants to see.
pub struct Part {
    /// The blob.
    pub blob: BlobId,
    /// The relay that holds it, or will.
    pub relay: String,
    /// What a reader shows.
    pub read_token: Secret<32>,
    /// Which way it goes.
    pub way: Way,
    pub(crate) purpose: PartPurpose,
}

/// Which way a part goes.
pub enum Way {
    /// To the relay.
    Store {
        /// What the uploader shows.
        write_token: Secret<32>,
        /// The whole blob.
        sealed: Vec<u8>,
    },
    /// From the relay.
    Fetch {
        /// Its length in bytes.
        size: u64,
    },
}

impl Record for Part {
    const WHAT: &'static str = "part of an archive";

    fn write(&self, out: &mut Writer) {
        out.array(self.blob.as_bytes());
        out.bytes(self.relay.as_bytes());
        out.array(self.read_token.expose_secret());
        out.u8(self.purpose as u8);
        match &self.way {
            Way::Store {
                write_token,
                sealed,
            } => {
                out.u8(1);
                out.array(write_token.expose_secret());
                out.bytes(sealed);
            }
            Way::Fetch { size } => {
                out.u8(2);
                out.u64(*size);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            blob: BlobId::from_bytes(input.array()?),
            relay: super::text(input, 512)?,
            read_token: super::secret(input)?,
            purpose: match input.u8()? {
                1 => PartPurpose::Link,
                2 => PartPurpose::Backup,
                3 => PartPurpose::Group,
                4 => PartPurpose::VaultTree,
                _ => return Err(DecodeError::Invalid),
            },
            way: match input.u8()? {
                1 => Way::Store {
                    write_token: super::secret(input)?,
                    sealed: input.bytes(limits::SEALED_PART_BYTES)?.to_vec(),
                },
                2 => Way::Fetch { size: input.u64()? },
                _ => return Err(DecodeError::Invalid),
            },
        })
    }
}
