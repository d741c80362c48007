//! Uploads under way.

use super::Record;
use crate::input::Attachment;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{BlobId, LetterId, Secret};

/// A file on its way to the blob store.
pub struct Upload {
    /// The blob.
    pub blob: BlobId,
    /// The letter it goes with.
    pub letter: LetterId,
    /// The file.
    pub attachment: Attachment,
    /// The relay it goes to.
    pub relay: String,
    /// What seals it.
    pub key: Secret<32>,
    /// The salt of its Cobblestone-256 header, drawn once: a resumed upload continues the same ciphertext.
    pub salt: [u8; 24],
    /// What the uploader shows.
    pub write_token: Secret<32>,
    /// What a reader shows.
    pub read_token: Secret<32>,
    /// Whether the relay has all of it.
    pub done: bool,
}

impl Record for Upload {
    const WHAT: &'static str = "upload";

    fn write(&self, out: &mut Writer) {
        out.array(self.blob.as_bytes());
        out.array(self.letter.as_bytes());
        out.bytes(self.attachment.path.as_bytes());
        out.bytes(self.attachment.name.as_bytes());
        out.u64(self.attachment.length);
        out.array(&self.attachment.fingerprint);
        out.bytes(self.relay.as_bytes());
        out.array(self.key.expose_secret());
        out.array(&self.salt);
        out.array(self.write_token.expose_secret());
        out.array(self.read_token.expose_secret());
        out.u8(u8::from(self.done));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            blob: BlobId::from_bytes(input.array()?),
            letter: LetterId::from_bytes(input.array()?),
            attachment: Attachment {
                path: super::text(input, 8192)?,
                name: super::text(input, 1024)?,
                length: input.u64()?,
                fingerprint: input.array()?,
            },
            relay: super::text(input, 512)?,
            key: super::secret(input)?,
            salt: input.array()?,
            write_token: super::secret(input)?,
            read_token: super::secret(input)?,
            done: input.u8()? == 1,
        })
    }
}
