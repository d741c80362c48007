//! For whom a file is sealed: contacts, strings, a passphrase.

use super::failure::usage;
use super::{Format, unhex};
use crate::failure::{failure, internal};
use crate::view::{Failure, FailureKind, FileRecipient};
use keys::hpke::EnvelopePublic;
use keys::{SecretBytes, Suite};
use seal::age::Recipient as AgeRecipient;
use seal::lock;

/// All for whom a file is sealed, in the words of its format.
pub(super) enum Recipients {
    Lock(Vec<lock::Recipient>),
    Age(Vec<AgeRecipient>),
}

/// A key of an account, and the contact whose it is; nothing: the own one.
pub(super) struct AccountKey {
    key: EnvelopePublic,
    contact: Option<String>,
}

impl AccountKey {
    pub(super) fn of(told: FileRecipient) -> Result<Self, Failure> {
        let key = EnvelopePublic::from_bytes_of_any_suite(&unhex(&told.key)?);
        Ok(Self {
            key: key.map_err(|_| internal("the profile's answer is malformed"))?,
            contact: told.contact,
        })
    }
}

/// Reads a string as `--to` takes it.
pub(super) fn of_text(text: &str) -> Result<AgeRecipient, Failure> {
    text.parse().map_err(|error: seal::age::RecipientError| {
        let start: String = text.chars().take(24).collect();
        let hint = "copy it whole: age1pq1..., age1..., or the line of an SSH key in quotes";
        usage(&format!("{start}...: {error}"), hint)
    })
}

impl Recipients {
    pub(super) fn new(
        format: Format,
        accounts: Vec<AccountKey>,
        strings: Vec<AgeRecipient>,
        passphrase: Option<SecretBytes>,
    ) -> Result<Self, Failure> {
        match format {
            Format::Lock => Self::lock(accounts, strings, passphrase),
            Format::Age => Self::age(accounts, strings, passphrase),
        }
    }

    fn lock(
        accounts: Vec<AccountKey>,
        strings: Vec<AgeRecipient>,
        passphrase: Option<SecretBytes>,
    ) -> Result<Self, Failure> {
        let accounts = accounts.into_iter();
        let mut all: Vec<_> = accounts
            .map(|account| lock::Recipient::Key(account.key))
            .collect();
        for recipient in strings {
            let AgeRecipient::Hybrid(key) = recipient else {
                return Err(usage(
                    "a .lock file is for post-quantum keys, and this recipient is none",
                    "name age1pq1... (letterlock keygen makes one), or seal with --format age",
                ));
            };
            all.push(lock::Recipient::Key(key));
        }
        all.extend(passphrase.map(lock::Recipient::Passphrase));
        Ok(Self::Lock(all))
    }

    fn age(
        accounts: Vec<AccountKey>,
        strings: Vec<AgeRecipient>,
        passphrase: Option<SecretBytes>,
    ) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for account in accounts {
            if account.key.suite() != Suite::Hybrid {
                let suite = account.key.suite().name();
                let whose = match &account.contact {
                    Some(name) => format!("{name}'s keys"),
                    None => "your own keys".to_owned(),
                };
                let message = format!("{whose} are of suite {suite}, which age has no word for");
                let hint = match account.contact {
                    Some(_) => "leave --format age out",
                    None => "leave --format age out, or your own keys with --without-me",
                };
                return Err(failure(FailureKind::Refused, message, Some(hint)));
            }
            all.push(AgeRecipient::Hybrid(account.key));
        }
        all.extend(strings);
        all.extend(passphrase.map(AgeRecipient::Passphrase));
        Ok(Self::Age(all))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Lock(all) => all.is_empty(),
            Self::Age(all) => all.is_empty(),
        }
    }
}
