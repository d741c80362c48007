//! Sealed files: whose keys, whose signature. The files themselves are read and written by whoever asks.

use super::Loop;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::os;
use crate::sealed::{Header, header_failure};
use crate::view::{self, Failure, FailureKind};
use data_encoding::HEXLOWER;
use engine::{EngineError, FileRecipient, Known, SignerError};
use keys::{AccountId, DeviceId};

impl Loop {
    /// What a request about sealed files is answered with; nothing where it is about something else.
    pub(super) fn sealed_files(&self, request: &Request) -> Option<Result<Vec<Answer>, Failure>> {
        match request {
            Request::FileRecipients { to, with_own } => Some(self.file_recipients(to, *with_own)),
            Request::FileSign { message } => Some(self.file_sign(message)),
            Request::FileOpen { header } => Some(self.file_open(header)),
            Request::FileSigner {
                account,
                device,
                log,
            } => Some(self.file_signer(account, device, log)),
            _ => None,
        }
    }

    fn file_recipients(&self, to: &[String], with_own: bool) -> Result<Vec<Answer>, Failure> {
        let (own, log) = self.own()?;
        let mut answers = Vec::new();
        let mut of = |account: &AccountId, contact: Option<String>| -> Result<(), Failure> {
            let keys = self.engine.file_recipients(&self.store, account)?;
            answers.extend(keys.into_iter().map(|key| recipient(key, contact.clone())));
            Ok(())
        };
        for who in to {
            let contact = self.find(who)?;
            of(&contact.id, Some(contact.petname))?;
        }
        if with_own {
            of(&own.id, None)?;
        }
        answers.push(Answer::FileAuthor(view::FileAuthor {
            account_id: own.id.to_string(),
            device_id: own.device.to_string(),
            suite: log.suite().name().to_owned(),
            time: os::now().as_secs(),
            log: HEXLOWER.encode(&own.log),
        }));
        Ok(answers)
    }

    fn file_sign(&self, message: &str) -> Result<Vec<Answer>, Failure> {
        let signature = self.engine.sign_file(&self.store, &bytes(message)?)?;
        Ok(vec![Answer::FileSignature(view::FileSignature {
            signature: HEXLOWER.encode(signature.as_bytes()),
        })])
    }

    fn file_open(&self, header: &str) -> Result<Vec<Answer>, Failure> {
        let header = bytes(header)?;
        let header = Header::read(&mut header.as_slice()).map_err(header_failure)?;
        let mut changed = None;
        let key = self.engine.open_with_own(&self.store, |secret| {
            header.by_key(secret).unwrap_or_else(|error| {
                changed = Some(error);
                None
            })
        })?;
        match (key, changed) {
            (Some(key), _) => Ok(vec![Answer::FileKey(view::FileKey { key: key.text() })]),
            (None, Some(error)) => Err(header_failure(error)),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn file_signer(&self, account: &str, device: &str, log: &str) -> Result<Vec<Answer>, Failure> {
        let log = bytes(log)?;
        let ids = AccountId::from_text(account).zip(DeviceId::from_text(device));
        let (account, device) = ids.ok_or_else(malformed)?;
        let signer = self
            .engine
            .file_signer(&self.store, &account, &device, &log)
            .map_err(untold)?;
        let (name, own, verified) = match signer.known {
            Known::Own => (Some(self.own()?.0.name), true, true),
            Known::Contact { petname, verified } => (Some(petname), false, verified),
            _ => (None, false, false),
        };
        Ok(vec![Answer::FileSigner(view::FileSigner {
            name,
            account_id: account.to_string(),
            device_id: device.to_string(),
            time: 0,
            own,
            verified,
            revoked: signer.revoked,
            key: HEXLOWER.encode(signer.key.as_bytes()),
        })])
    }
}

fn recipient(key: FileRecipient, contact: Option<String>) -> Answer {
    Answer::FileRecipient(view::FileRecipient {
        contact,
        account_id: key.account.to_string(),
        device_id: key.device.map(|device| device.to_string()),
        key: HEXLOWER.encode(key.key.as_bytes()),
    })
}

fn malformed() -> Failure {
    failure(FailureKind::Usage, "the request is malformed", None)
}

fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    HEXLOWER.decode(text.as_bytes()).map_err(|_| malformed())
}

fn untold(error: SignerError) -> Failure {
    match error {
        SignerError::Store(error) => EngineError::from(error).into(),
        error => failure(
            FailureKind::Refused,
            error.to_string(),
            Some("ask the sender, by another way, whether the file is genuine"),
        ),
    }
}
