//! What is kept at the relay for the day on which all devices are lost, and a home that is being restored.

use super::Record;
use crate::archive::{Cursor, PartRef};
use crate::input::CommandId;
use keys::account_log::{DeviceSecrets, Method, Pin};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, Secret, Timestamp};
use zeroize::Zeroizing;

/// One way to open the backup.
pub(crate) struct BackupMethod {
    pub(crate) method: Method,
    /// Ed25519 seed that may replace the head.
    pub(crate) head_key: Secret<32>,
    /// The version that the relay has.
    pub(crate) version: u64,
    /// The highest version there ever was.
    pub(crate) highest: u64,
    /// The root key, sealed to the method's envelope key.
    pub(crate) sealed_root: Vec<u8>,
    /// A head is on its way to the relay.
    pub(crate) sending: bool,
}

/// The backup as it lies at the relay.
pub(crate) struct Backup {
    pub(crate) methods: Vec<BackupMethod>,
    pub(crate) parts: Vec<PartRef>,
    /// A whole backup is being packed, so far.
    pub(crate) packing: Option<Cursor>,
    /// Parts of that one.
    pub(crate) packed: Vec<PartRef>,
    /// A part is on its way to the relay.
    pub(crate) storing: bool,
    /// Changes that the heads cover.
    pub(crate) covered: u64,
    /// When a head was last accepted.
    pub(crate) at: Timestamp,
    /// When the relay last refused a head or a part.
    pub(crate) refused_at: Timestamp,
    /// When the parts were packed.
    pub(crate) packed_at: Timestamp,
    /// Who waits for the first one.
    pub(crate) command: CommandId,
}

impl Record for Backup {
    const WHAT: &'static str = "backup";

    fn write(&self, out: &mut Writer) {
        out.u32(u32::try_from(self.methods.len()).unwrap_or(u32::MAX));
        for method in &self.methods {
            out.u8(method.method as u8);
            out.array(method.head_key.expose_secret());
            out.u64(method.version);
            out.u64(method.highest);
            out.bytes(&method.sealed_root);
            out.u8(u8::from(method.sending));
        }
        write_parts(out, &self.parts);
        out.u8(u8::from(self.packing.is_some()));
        if let Some(cursor) = &self.packing {
            cursor.write(out);
        }
        write_parts(out, &self.packed);
        out.u8(u8::from(self.storing));
        out.u64(self.covered);
        out.u64(self.at.as_secs());
        out.u64(self.refused_at.as_secs());
        out.u64(self.packed_at.as_secs());
        out.u64(self.command.0);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            methods: super::list(input, 8, |input| {
                Ok(BackupMethod {
                    method: read_method(input)?,
                    head_key: super::secret(input)?,
                    version: input.u64()?,
                    highest: input.u64()?,
                    sealed_root: input.bytes(4096)?.to_vec(),
                    sending: input.u8()? == 1,
                })
            })?,
            parts: super::list(input, 4096, PartRef::read)?,
            packing: match input.u8()? {
                0 => None,
                _ => Some(Cursor::read(input)?),
            },
            packed: super::list(input, 4096, PartRef::read)?,
            storing: input.u8()? == 1,
            covered: input.u64()?,
            at: Timestamp::from_secs(input.u64()?),
            refused_at: Timestamp::from_secs(input.u64()?),
            packed_at: Timestamp::from_secs(input.u64()?),
            command: CommandId(input.u64()?),
        })
    }
}

/// How far a restoration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum RestoreStage {
    /// The head is asked for.
    Head = 1,
    /// The account's log is asked for.
    Log = 2,
    /// The new device is on its way into the log.
    Adding = 3,
    /// History is taken over.
    Importing = 4,
}

/// A home that is being restored.
pub(crate) struct Restore {
    pub(crate) stage: RestoreStage,
    pub(crate) command: CommandId,
    pub(crate) method: Method,
    pub(crate) seed: Secret<32>,
    pub(crate) relay: String,
    pub(crate) device_name: String,
    pub(crate) secrets: DeviceSecrets,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) pin: Pin,
    pub(crate) log: Vec<u8>,
    /// When the head was written.
    pub(crate) at: Timestamp,
    pub(crate) version: u64,
    pub(crate) letters: u64,
    pub(crate) sealed_root: Vec<u8>,
    pub(crate) parts: Vec<PartRef>,
    pub(crate) total: u64,
    pub(crate) tail: Zeroizing<Vec<u8>>,
}

impl Record for Restore {
    const WHAT: &'static str = "restoration";

    fn write(&self, out: &mut Writer) {
        out.u8(self.stage as u8);
        out.u64(self.command.0);
        out.u8(self.method as u8);
        out.array(self.seed.expose_secret());
        out.bytes(self.relay.as_bytes());
        out.bytes(self.device_name.as_bytes());
        out.bytes(self.secrets.encode().expose_secret());
        out.array(self.account.as_bytes());
        out.bytes(self.name.as_bytes());
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
        out.bytes(&self.log);
        out.u64(self.at.as_secs());
        out.u64(self.version);
        out.u64(self.letters);
        out.bytes(&self.sealed_root);
        write_parts(out, &self.parts);
        out.u64(self.total);
        out.bytes(&self.tail);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use RestoreStage::{Adding, Head, Importing, Log};
        let stage = input.u8()?;
        let stages = [Head, Log, Adding, Importing];
        let stage = stages.into_iter().find(|known| *known as u8 == stage);
        Ok(Self {
            stage: stage.ok_or(DecodeError::Invalid)?,
            command: CommandId(input.u64()?),
            method: read_method(input)?,
            seed: super::secret(input)?,
            relay: super::text(input, 512)?,
            device_name: super::text(input, 256)?,
            secrets: DeviceSecrets::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
            account: AccountId::from_bytes(input.array()?),
            name: super::text(input, 64)?,
            pin: Pin {
                sequence: input.u64()?,
                hash: input.array()?,
            },
            log: input.bytes(1 << 20)?.to_vec(),
            at: Timestamp::from_secs(input.u64()?),
            version: input.u64()?,
            letters: input.u64()?,
            sealed_root: input.bytes(4096)?.to_vec(),
            parts: super::list(input, 4096, PartRef::read)?,
            total: input.u64()?,
            tail: Zeroizing::new(input.bytes(1 << 17)?.to_vec()),
        })
    }
}

fn read_method(input: &mut Reader<'_>) -> Result<Method, DecodeError> {
    let method = input.u8()?;
    let found = Method::ALL.into_iter().find(|known| *known as u8 == method);
    found.ok_or(DecodeError::Invalid)
}

pub(super) fn write_parts(out: &mut Writer, parts: &[PartRef]) {
    out.u32(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    for part in parts {
        part.write(out);
    }
}
