//! Who signed a file, and whether that is to be accepted.

use super::{Open, asked, unhex};
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::view::{Failure, FailureKind, FileSigner};
use data_encoding::HEXLOWER;
use keys::{Suite, VerifyingKey};
use seal::lock::Claimed;

/// Who signed, as the profile knows it, or as far as the file itself says.
pub(super) async fn signer(
    client: Option<&Client>,
    claimed: &Claimed,
) -> Result<FileSigner, Failure> {
    let mut told = None;
    if let Some(client) = client {
        let request = Request::FileSigner {
            account: claimed.account().to_string(),
            device: claimed.device().to_string(),
            log: HEXLOWER.encode(claimed.log()),
        };
        for answer in asked(client, request).await? {
            if let Answer::FileSigner(signer) = answer {
                told = Some(signer);
            }
        }
    }
    let forged = || {
        failure(
            FailureKind::Refused,
            "the signature is not genuine",
            Some("somebody changed the file, or another one sealed it; nothing was written"),
        )
    };
    let mut signer = match told {
        Some(signer) => signer,
        None => stranger(claimed).ok_or_else(forged)?,
    };
    let suites = Suite::ALL.into_iter();
    let key = unhex(&std::mem::take(&mut signer.key))?;
    let mut keys = suites.filter_map(|suite| VerifyingKey::from_bytes(suite, &key).ok());
    let key = keys.next().ok_or_else(forged)?;
    claimed.verify(&key).map_err(|_| forged())?;
    signer.time = claimed.time().as_secs();
    Ok(signer)
}

/// What the log in the file says, where there is no profile.
fn stranger(claimed: &Claimed) -> Option<FileSigner> {
    let log = keys::account_log::UnverifiedLog::decode(claimed.log()).ok()?;
    let log = log.verify(Some(claimed.account()), None).ok()?;
    let key = log.device(claimed.device())?.verifying_key();
    Some(FileSigner {
        name: None,
        account_id: claimed.account().to_string(),
        device_id: claimed.device().to_string(),
        time: 0,
        own: false,
        verified: false,
        revoked: false,
        key: HEXLOWER.encode(key.as_bytes()),
    })
}

/// Whether what is signed so may be written.
pub(super) fn accept(signer: Option<&FileSigner>, wish: &Open) -> Result<(), Failure> {
    let refused =
        |message: String, hint: &str| Err(failure(FailureKind::Refused, message, Some(hint)));
    if let Some(wanted) = &wish.from {
        let name = signer.and_then(|signer| signer.name.as_ref());
        let id = signer.map(|signer| &signer.account_id);
        if name != Some(wanted) && id != Some(wanted) {
            let message = format!("{wanted} did not sign the file");
            return refused(
                message,
                "`letterlock inspect FILE` shows who did; nothing was written",
            );
        }
    }
    if wish.any_signature {
        return Ok(());
    }
    match signer {
        Some(signer) if signer.revoked => refused(
            "the device that signed the file was revoked".to_owned(),
            "whoever has the device may have signed, with any date: ask the sender; --any-signature opens it all the \
             same",
        ),
        _ => Ok(()),
    }
}
