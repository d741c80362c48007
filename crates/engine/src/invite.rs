//! Invites: one line of text that names an account so surely that whoever adds it has verified it
//! (docs/spec/invite.md).
//!
//! `letterlock:` ‖ base64url( 01 ‖ account id 32 ‖ ticket 16 ‖ BE8(expiry) ‖ LP(name) ‖ LP(relay URL) ‖ check 4 ),
//! where check is the head of SHA-256 over all before it. The check finds a cut or mistyped line; it
//! protects nothing else. What protects is that the account id is the hash of the account log's genesis.

use crate::error::EngineError;
use crate::limits;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, Timestamp};

const PREFIX: &str = "letterlock:";

/// The content of an invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invite {
    pub(crate) account: AccountId,
    /// Works once; the relay holds its hash.
    pub(crate) ticket: [u8; 16],
    pub(crate) expires: Timestamp,
    pub(crate) name: String,
    pub(crate) relay: String,
}

impl Invite {
    /// Writes the invite as one line.
    pub(crate) fn to_text(&self) -> String {
        let mut out = Writer::new();
        out.u8(1);
        out.array(self.account.as_bytes());
        out.array(&self.ticket);
        out.u64(self.expires.as_secs());
        out.bytes(self.name.as_bytes());
        out.bytes(self.relay.as_bytes());
        let mut bytes = out.finish();
        let [a, b, c, d, ..] = keys::sha256(&[&bytes]);
        bytes.extend_from_slice(&[a, b, c, d]);
        format!("{PREFIX}{}", data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads an invite.
    ///
    /// # Errors
    /// [`EngineError::InvalidInvite`]: not an invite, or cut or mistyped.
    pub(crate) fn from_text(text: &str) -> Result<Self, EngineError> {
        let code = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(EngineError::InvalidInvite)?;
        if code.len() > 2048 {
            return Err(EngineError::InvalidInvite);
        }
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(code.as_bytes())
            .map_err(|_| EngineError::InvalidInvite)?;
        let (content, check) = bytes
            .split_last_chunk::<4>()
            .ok_or(EngineError::InvalidInvite)?;
        if !keys::sha256(&[content]).starts_with(check) {
            return Err(EngineError::InvalidInvite);
        }
        Self::read(content).map_err(|_| EngineError::InvalidInvite)
    }

    fn read(content: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(content);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid);
        }
        let invite = Self {
            account: AccountId::from_bytes(input.array()?),
            ticket: input.array()?,
            expires: Timestamp::from_secs(input.u64()?),
            name: text(&mut input, limits::NAME_BYTES)?,
            relay: text(&mut input, limits::RELAY_URL_BYTES)?,
        };
        input.finish()?;
        Ok(invite)
    }
}

fn text(input: &mut Reader<'_>, max: usize) -> Result<String, DecodeError> {
    String::from_utf8(input.bytes(max)?.to_vec()).map_err(|_| DecodeError::Invalid)
}
