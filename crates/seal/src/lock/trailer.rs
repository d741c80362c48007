//! Who signed a file (docs/spec/sealed-file.md, section 4).

use keys::codec::{DecodeError, Reader, Writer};
use keys::{
    AccountId, BadSignature, DeviceId, HybridSignature, Suite, Timestamp, VerifyingKey, label,
    sha512,
};

/// Most bytes of a trailer.
pub(crate) const TRAILER: usize = 64 << 10;
/// Most bytes of an account log in it.
const LOG: usize = 48 << 10;
const VERSION: u8 = 1;

/// Signs: the bytes to sign go in, the signature comes out, or nothing where there is none to be had.
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> Option<HybridSignature>;

/// Whoever signs a file.
pub struct Author<'a> {
    /// The account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// The suite of the signature.
    pub suite: Suite,
    /// When.
    pub time: Timestamp,
    /// The account log; left out where it is longer than 48 KiB.
    pub log: Vec<u8>,
    /// Signs with label [`label::SEAL_SIGNATURE`].
    pub sign: Sign<'a>,
}

/// A signature as it was read. Whose it is, is not known before it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    account: AccountId,
    device: DeviceId,
    time: Timestamp,
    log: Vec<u8>,
    signature: HybridSignature,
    signed: Vec<u8>,
}

fn signed(
    account: &AccountId,
    device: &DeviceId,
    time: Timestamp,
    header: &[u8],
    digest: &[u8; 32],
) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(account.as_bytes());
    out.array(device.as_bytes());
    out.u64(time.as_secs());
    // SECURITY: without it a recipient could hand the file on as sealed by its sender for somebody else;
    // `a_signature_is_for_these_recipients` notices.
    out.array(&sha512(&[header]));
    out.array(digest);
    out.finish()
}

impl Author<'_> {
    fn shown_log(&self) -> &[u8] {
        match self.log.len() > LOG {
            true => &[],
            false => &self.log,
        }
    }

    /// Length of the trailer in bytes.
    pub(crate) fn length(&self) -> usize {
        [
            1 + 32 + 16 + 8 + 4 + 4,
            self.shown_log().len(),
            self.suite.signature_len(),
        ]
        .iter()
        .sum()
    }

    /// The trailer of a file. Nothing: the signature was not to be had.
    pub(crate) fn trailer(&self, header: &[u8], digest: &[u8; 32]) -> Option<Vec<u8>> {
        let message = signed(&self.account, &self.device, self.time, header, digest);
        let signature = (self.sign)(&message)?;
        let mut out = Writer::new();
        out.u8(VERSION);
        out.array(self.account.as_bytes());
        out.array(self.device.as_bytes());
        out.u64(self.time.as_secs());
        out.bytes(self.shown_log());
        out.bytes(signature.as_bytes());
        let out = out.finish();
        (out.len() == self.length()).then_some(out)
    }
}

impl Claimed {
    /// Reads a trailer. Nothing: nobody signed.
    pub(crate) fn decode(
        trailer: &[u8],
        header: &[u8],
        digest: &[u8; 32],
    ) -> Result<Option<Self>, DecodeError> {
        if trailer.is_empty() {
            return Ok(None);
        }
        let mut input = Reader::new(trailer);
        if input.u8()? != VERSION {
            return Err(DecodeError::Invalid);
        }
        let account = AccountId::from_bytes(input.array()?);
        let device = DeviceId::from_bytes(input.array()?);
        let time = Timestamp::from_secs(input.u64()?);
        let log = input.bytes(LOG)?.to_vec();
        let signature = input.bytes(TRAILER)?;
        let signature = HybridSignature::from_bytes_of_any_suite(signature)
            .map_err(|_| DecodeError::Invalid)?;
        input.finish()?;
        let signed = signed(&account, &device, time, header, digest);
        Ok(Some(Self {
            account,
            device,
            time,
            log,
            signature,
            signed,
        }))
    }

    /// The account that is said to have signed.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its device.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// When, by the sender's clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The account log that came with it; nothing in it is verified. May be empty.
    #[must_use]
    pub fn log(&self) -> &[u8] {
        &self.log
    }

    /// Whether the holder of this key signed this file for these recipients. Whose key it is, the account log says.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), BadSignature> {
        key.verify(label::SEAL_SIGNATURE, &self.signed, &self.signature)
    }
}
