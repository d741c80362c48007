//! The algorithms and keys of this home.

use super::Loop;
use crate::api::Answer;
use crate::inventory::{self, Inventory};
use crate::os;
use crate::view::Failure;

impl Loop {
    pub(super) fn inventory(&self) -> Result<Vec<Answer>, Failure> {
        let (own, log) = self.own()?;
        let (now, names) = (os::now(), self.names()?);
        let mut answers = vec![Answer::Inventory(Inventory {
            account_id: own.id.to_string(),
            device_id: own.device.to_string(),
            suite: log.suite().name().to_owned(),
            at: now.as_secs(),
        })];
        answers.extend(
            inventory::algorithms(log.suite())
                .into_iter()
                .map(Answer::Algorithm),
        );
        let keys = self.engine.inventory(&self.store, now)?;
        answers.extend(
            keys.iter()
                .map(|entry| Answer::Key(inventory::key(entry, &names, now))),
        );
        if let Some((cost, made)) = self.store.cost()? {
            answers.push(Answer::Key(inventory::profile_key(&cost, made, now)));
        }
        Ok(answers)
    }
}
