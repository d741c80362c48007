//! The own account.

use super::Record;
use keys::account_log::{DeviceSecrets, RootSecret};
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
    pub(crate) registration_code: Option<String>,
    pub(crate) registration_id: u32,
    pub(crate) root: RootSecret,
    pub(crate) secrets: DeviceSecrets,
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
        out.bytes(self.root.encode().expose_secret());
        out.bytes(self.secrets.encode().expose_secret());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: super::text(input, 64)?,
            relay: super::text(input, 512)?,
            id: AccountId::from_bytes(input.array()?),
            device: DeviceId::from_bytes(input.array()?),
            registered: input.u8()? == 1,
            log: input.bytes(1 << 20)?.to_vec(),
            registration_code: Some(super::text(input, 512)?).filter(|code| !code.is_empty()),
            registration_id: input.u32()?,
            root: RootSecret::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
            secrets: DeviceSecrets::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
        })
    }
}
