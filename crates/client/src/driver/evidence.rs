//! What was kept when an identity was not the pinned one (docs/spec/evidence.md).

use super::Loop;
use crate::api::Answer;
use crate::failure::failure;
use crate::os;
use crate::view::{self, Failure, FailureKind};
use engine::{Evidence, Snapshot as _, StoreError, Table};
use std::path::{Path, PathBuf};

impl Loop {
    /// Lists what is kept about a contact and, with `save`, writes each piece to a file of its own.
    pub(super) fn evidence(&self, who: &str, save: Option<&Path>) -> Result<Vec<Answer>, Failure> {
        let contact = self.find(who)?;
        let rows = self.store.scan(Table::Evidence, &[], None, usize::MAX)?;
        let mut answers = Vec::new();
        for (name, bytes) in rows {
            let damaged = |_| StoreError::Damaged { what: "evidence" };
            let evidence = Evidence::decode(&bytes).map_err(damaged)?;
            if evidence.account != contact.id {
                continue;
            }
            let path = save
                .map(|folder| write(folder, &name, &bytes))
                .transpose()?;
            answers.push(Answer::Evidence(view::Evidence {
                contact: contact.petname.clone(),
                account_id: contact.id.to_string(),
                shown_account_id: evidence.shown_account().map(|id| id.to_string()),
                seen_at: evidence.at.as_secs(),
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
