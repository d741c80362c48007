//! The own account.

use super::Record;
use keys::account_log::{DeviceSecrets, Pin, RootSecret, UnverifiedLog};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId};

/// The own account: name, keys, log.
pub struct OwnAccount {
    /// The name at the relay.
    pub name: String,
    /// The relay's URL with its pin.
    pub relay: String,
    /// The account.
    pub id: AccountId,
    /// This device.
    pub device: DeviceId,
    /// Whether the relay confirmed the registration.
    pub registered: bool,
    /// The account log, exactly as signed.
    pub log: Vec<u8>,
    /// Sequence and hash of the log's newest entry; never goes back.
    pub pin: Pin,
    pub(crate) registration_code: Option<String>,
    pub(crate) registration_id: u32,
    /// The root key, on the device where it was made and until a recovery sheet holds it.
    pub(crate) root: Option<RootSecret>,
    pub(crate) secrets: DeviceSecrets,
}

impl OwnAccount {
    /// Whether the root key is on this device.
    #[must_use]
    pub fn has_root_key(&self) -> bool {
        self.root.is_some()
    }
}

impl Record for OwnAccount {
    const WHAT: &'static str = "own account";

    fn write(&self, out: &mut Writer) {
        out.bytes(self.name.as_bytes());
        out.bytes(self.relay.as_bytes());
        out.array(self.id.as_bytes());
        out.array(self.device.as_bytes());
        out.u8(u8::from(self.registered));
        out.bytes(&self.log);
        out.bytes(
            self.registration_code
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        );
        out.u32(self.registration_id);
        match &self.root {
            Some(root) => out.bytes(root.encode().expose_secret()),
            None => out.bytes(&[]),
        }
        out.bytes(self.secrets.encode().expose_secret());
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = super::text(input, 64)?;
        let relay = super::text(input, 512)?;
        let id = AccountId::from_bytes(input.array()?);
        let device = DeviceId::from_bytes(input.array()?);
        let registered = input.u8()? == 1;
        let log = input.bytes(1 << 20)?.to_vec();
        Ok(Self {
            name,
            relay,
            id,
            device,
            registered,
            registration_code: Some(super::text(input, 512)?).filter(|code| !code.is_empty()),
            registration_id: input.u32()?,
            root: match input.bytes(4096)? {
                [] => None,
                root => Some(RootSecret::decode(root).map_err(|_| DecodeError::Invalid)?),
            },
            secrets: DeviceSecrets::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
            pin: read_pin(input, &id, &log)?,
            log,
        })
    }
}

/// The pin; a home of the time before it had one finds it in its log.
fn read_pin(input: &mut Reader<'_>, id: &AccountId, log: &[u8]) -> Result<Pin, DecodeError> {
    if input.remaining() > 0 {
        return Ok(Pin {
            sequence: input.u64()?,
            hash: input.array()?,
        });
    }
    let log = UnverifiedLog::decode(log).and_then(|log| log.verify(Some(id), None));
    log.map(|log| log.head()).map_err(|_| DecodeError::Invalid)
}
