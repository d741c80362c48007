//! What was kept when an identity was not the pinned one (docs/spec/home.md, section 5).

use super::Loop;
use crate::api::Answer;
use crate::failure::failure;
use crate::os;
use crate::view::{self, Failure, FailureKind};
use engine::{Snapshot as _, StoreError, Table};
use keys::AccountId;
use keys::account_log::UnverifiedLog;
use keys::codec::{DecodeError, Reader};
use std::path::{Path, PathBuf};

/// Longest log or key record that is kept, in bytes.
const SHOWN_BYTES: usize = 1 << 20;

/// One piece of evidence.
struct Evidence {
    seen_at: u64,
    contact: AccountId,
    shown: Vec<u8>,
}

impl Evidence {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid);
        }
        let seen_at = input.u64()?;
        let contact = AccountId::from_bytes(input.array()?);
        let _pinned = input.bytes(SHOWN_BYTES)?;
        let shown = input.bytes(SHOWN_BYTES)?.to_vec();
        input.finish()?;
        Ok(Self {
            seen_at,
            contact,
            shown,
        })
    }

    /// Whose log was shown, where it is one that holds together.
    fn shown_account(&self) -> Option<String> {
        let log = UnverifiedLog::decode(&self.shown).ok()?.verify(None, None);
        Some(log.ok()?.account_id().to_string())
    }
}

impl Loop {
    /// Lists what is kept about a contact and, with `save`, writes each piece to a file of its own.
    pub(super) fn evidence(&self, who: &str, save: Option<&Path>) -> Result<Vec<Answer>, Failure> {
        let contact = self.find(who)?;
        let rows = self.store.scan(Table::Evidence, &[], None, usize::MAX)?;
        let mut answers = Vec::new();
        for (name, bytes) in rows {
            let evidence =
                Evidence::decode(&bytes).map_err(|_| StoreError::Damaged { what: "evidence" })?;
            if evidence.contact != contact.id {
                continue;
            }
            let path = save
                .map(|folder| write(folder, &name, &bytes))
                .transpose()?;
            answers.push(Answer::Evidence(view::Evidence {
                contact: contact.petname.clone(),
                account_id: contact.id.to_string(),
                shown_account_id: evidence.shown_account(),
                seen_at: evidence.seen_at,
                path: path.map(|path| path.to_string_lossy().into_owned()),
            }));
        }
        Ok(answers)
    }
}

fn write(folder: &Path, name: &[u8], bytes: &[u8]) -> Result<PathBuf, Failure> {
    let name = crate::render::base32(name);
    let path = folder.join(format!("{}.evidence", name.get(..16).unwrap_or(&name)));
    let written = os::create_directory(folder).and_then(|()| os::write_private(&path, bytes));
    written.map_err(|error| {
        let hint = "name a directory that you may write to";
        failure(
            FailureKind::Failed,
            format!("{}: {error}", path.display()),
            Some(hint),
        )
    })?;
    Ok(path)
}
