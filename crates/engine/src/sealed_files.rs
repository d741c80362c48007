//! Sealed files (docs/spec/sealed-file.md): whose keys they are sealed to, who signed them, and what opens them here.

use crate::account;
use crate::contacts;
use crate::dispatch::Engine;
use crate::error::{EngineError, StoreError};
use crate::records::{Contact, OwnAccount, Record as _, Trust};
use crate::retired;
use crate::store::{Snapshot, Table};
use keys::account_log::{Method, UnverifiedLog, VerifiedLog};
use keys::hpke::{EnvelopePublic, EnvelopeSecret};
use keys::{AccountId, DeviceId, HybridSignature, VerifyingKey, label};

/// A key that a file is sealed to.
#[derive(Debug, Clone)]
pub struct FileRecipient {
    /// Whose.
    pub account: AccountId,
    /// Which device; nothing: the recovery key.
    pub device: Option<DeviceId>,
    /// The key.
    pub key: EnvelopePublic,
}

/// Whose signature a file has, if it verifies with the key.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileSigner {
    /// Who that is here.
    pub known: Known,
    /// The device's key in the account log.
    pub key: VerifyingKey,
    /// Whether the device is out of force by now: whoever has it may have signed, with any date.
    pub revoked: bool,
}

/// Who an account is here.
#[derive(Debug)]
#[non_exhaustive]
pub enum Known {
    /// This one.
    Own,
    /// A contact.
    Contact {
        /// What it is called here.
        petname: String,
        /// Whether a person made sure who it is.
        verified: bool,
    },
    /// Nobody who is known.
    Stranger,
}

/// Why nothing can be said of a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log that came with it is none, or not of this account.
    #[error("the account log in the file is not genuine")]
    BadLog,
    /// The log that came with it has another history than the one that is known here.
    #[error("the account log in the file contradicts the one that is known here")]
    Contradiction,
    /// No log names the device.
    #[error("no account log names the device that signed")]
    UnknownDevice,
}

fn own(snapshot: &dyn Snapshot) -> Result<OwnAccount, EngineError> {
    account::read(snapshot)?.ok_or(EngineError::NoAccount)
}

fn contact(snapshot: &dyn Snapshot, id: &AccountId) -> Result<Option<Contact>, StoreError> {
    match snapshot.get(Table::Contact, id.as_bytes())? {
        Some(bytes) => Ok(Some(Contact::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn keys_of(log: &VerifiedLog) -> Vec<FileRecipient> {
    let account = *log.account_id();
    let devices = log.devices().iter().map(|device| FileRecipient {
        account,
        device: Some(*device.id()),
        key: device.envelope().clone(),
    });
    let methods = Method::ALL.into_iter();
    let recovery = methods.filter_map(|method| log.recovery(method));
    let recovery = recovery.map(|record| FileRecipient {
        account,
        device: None,
        key: record.envelope().clone(),
    });
    devices.chain(recovery).collect()
}

impl Engine {
    /// The keys that a file for an account is sealed to: its devices and its recovery keys, as far as its log is known
    /// here.
    ///
    /// # Errors
    /// There is no account here, or no such contact; it is blocked, or its identity changed.
    pub fn file_recipients(
        &self,
        snapshot: &dyn Snapshot,
        account: &AccountId,
    ) -> Result<Vec<FileRecipient>, EngineError> {
        let own = own(snapshot)?;
        if own.id == *account {
            return Ok(keys_of(&account::log_of(&own)?));
        }
        let contact = contact(snapshot, account)?.ok_or(EngineError::UnknownContact)?;
        if contact.blocked {
            return Err(EngineError::Blocked);
        }
        // SECURITY: the hard stop, as for letters; `no_file_is_sealed_to_a_changed_identity` notices.
        if contact.changed {
            contacts::not_ended(&contact)?;
            return Err(EngineError::IdentityChanged {
                contact: contact.id,
            });
        }
        Ok(keys_of(&contacts::log_of(&contact)?))
    }

    /// Signs a file with the key of this device.
    ///
    /// # Errors
    /// There is no account, or the library failed.
    pub fn sign_file(
        &self,
        snapshot: &dyn Snapshot,
        message: &[u8],
    ) -> Result<HybridSignature, EngineError> {
        let own = own(snapshot)?;
        let signed = own.secrets.signing().sign(label::SEAL_SIGNATURE, message);
        signed.map_err(|_| EngineError::Internal {
            what: "signature of a file",
        })
    }

    /// Tries the keys of this device, those in force first, then those that were replaced and are still here.
    ///
    /// # Errors
    /// There is no account, or the store failed.
    pub fn open_with_own<T>(
        &self,
        snapshot: &dyn Snapshot,
        mut open: impl FnMut(&EnvelopeSecret) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        let own = own(snapshot)?;
        if let Some(opened) = open(own.secrets.envelope()) {
            return Ok(Some(opened));
        }
        let replaced = retired::own(snapshot)?;
        Ok(replaced
            .iter()
            .rev()
            .find_map(|keys| open(keys.opening.envelope())))
    }

    /// Whose signature it is, by the account log that is known here and the one that came with the file. The caller
    /// verifies with the key.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn file_signer(
        &self,
        snapshot: &dyn Snapshot,
        account: &AccountId,
        device: &DeviceId,
        shown: &[u8],
    ) -> Result<FileSigner, SignerError> {
        let mine = account::read(snapshot)?.filter(|own| own.id == *account);
        let theirs = contact(snapshot, account)?;
        let damaged = |_| StoreError::Damaged {
            what: "account log",
        };
        let pinned = match (&mine, &theirs) {
            (Some(own), _) => Some(account::log_of(own).map_err(damaged)?),
            (None, Some(contact)) => Some(contacts::log_of(contact).map_err(damaged)?),
            (None, None) => None,
        };
        let known = match (mine, theirs) {
            (Some(_), _) => Known::Own,
            (None, Some(contact)) => Known::Contact {
                verified: contact.trust != Trust::Claimed && !contact.changed,
                petname: contact.petname,
            },
            (None, None) => Known::Stranger,
        };
        let shown = match shown.is_empty() {
            true => None,
            false => Some(shown_log(account, shown, pinned.as_ref())?),
        };
        // The device as it was when it signed, or as it is now.
        let key = [shown.as_ref(), pinned.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|log| log.device(device))
            .map(|record| record.verifying_key().clone())
            .ok_or(SignerError::UnknownDevice)?;
        let revoked = [shown.as_ref(), pinned.as_ref()]
            .into_iter()
            .flatten()
            .any(|log| log.revoked().iter().any(|gone| gone.record.id() == device));
        Ok(FileSigner {
            known,
            key,
            revoked,
        })
    }
}

/// The log that came with a file: genuine, and the same history as the one that is known.
fn shown_log(
    account: &AccountId,
    bytes: &[u8],
    pinned: Option<&VerifiedLog>,
) -> Result<VerifiedLog, SignerError> {
    let log = UnverifiedLog::decode(bytes)
        .and_then(|log| log.verify(Some(account), None))
        .map_err(|_| SignerError::BadLog)?;
    // SECURITY: whoever has the root key of an account could show a device that nobody else knows of;
    // `a_file_with_another_history_is_told` notices.
    let entries = pinned.map_or(&[][..], VerifiedLog::entries);
    let mut both = log.entries().iter().zip(entries);
    match both.all(|(shown, known)| shown.hash == known.hash) {
        true => Ok(log),
        false => Err(SignerError::Contradiction),
    }
}
