//! What was kept when an identity was not the pinned one (docs/spec/evidence.md).

use super::Loop;
use crate::api::Answer;
use crate::failure::failure;
use crate::os;
use crate::view::{self, Failure, FailureKind};
use engine::{Evidence, Snapshot as _, StoreError, Table};
use keys::AccountId;
use std::path::{Path, PathBuf};

impl Loop {
    /// Lists what is kept about a contact and, with `save`, writes each piece to a file of its own.
    pub(super) fn evidence(&self, who: &str, save: Option<&Path>) -> Result<Vec<Answer>, Failure> {
        let contact = self.find(who)?;
        self.evidence_about(&contact.id, &contact.petname, save)
    }

    /// The same for the own account: somebody was shown another history of it.
    pub(super) fn own_evidence(&self, save: Option<&Path>) -> Result<Vec<Answer>, Failure> {
        let (own, _) = self.own()?;
        self.evidence_about(&own.id, "me", save)
    }

    fn evidence_about(
        &self,
        account: &AccountId,
        called: &str,
        save: Option<&Path>,
    ) -> Result<Vec<Answer>, Failure> {
        let rows = self.store.scan(Table::Evidence, &[], None, usize::MAX)?;
        let damaged = || StoreError::Damaged { what: "evidence" };
        let mut answers = Vec::new();
        for (name, bytes) in rows {
            let evidence = Evidence::decode(&bytes).map_err(|_| damaged())?;
            if evidence.account != *account {
                continue;
            }
            let finding = evidence.verify().map_err(|_| damaged())?;
            let path = save
                .map(|folder| write(folder, &name, &bytes))
                .transpose()?;
            answers.push(Answer::Evidence(view::Evidence {
                contact: called.to_owned(),
                account_id: account.to_string(),
                shown_account_id: evidence.shown_account().map(|id| id.to_string()),
                seen_at: evidence.at.as_secs(),
                finding: finding.name().to_owned(),
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
