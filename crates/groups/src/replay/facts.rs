//! Counting what was compared.

use super::json::small;
use super::{ReplayError, Report};
use crate::provider::{Provider, SuiteProvider};
use data_encoding::HEXLOWER;
use keys::Secret;
use mls_rs_core::crypto::{CipherSuite, CryptoProvider as _};
use serde_json::Value;
use std::fmt::Debug;

#[derive(Default)]
pub(super) struct Facts {
    report: Report,
}

impl Facts {
    pub(super) fn report(self) -> Report {
        self.report
    }

    /// The provider of a case's suite; none, and the case is counted, if we do not speak it.
    pub(super) fn suite(&mut self, case: &Value) -> Result<Option<SuiteProvider>, ReplayError> {
        let number: u16 = small(case, "cipher_suite")?;
        let suite = provider().cipher_suite_provider(CipherSuite::new(number));
        if suite.is_none() {
            let skipped = self.report.skipped.entry(number).or_default();
            *skipped = skipped.saturating_add(1);
        }
        Ok(suite)
    }

    pub(super) fn ends_at_past_epoch(&mut self) {
        self.report.past_epochs = self.report.past_epochs.saturating_add(1);
    }

    pub(super) fn holds(&mut self, what: &str, holds: bool) -> Result<(), ReplayError> {
        self.report.facts = self.report.facts.saturating_add(1);
        if holds {
            return Ok(());
        }
        Err(ReplayError::new("does not hold").at(what))
    }

    pub(super) fn same(
        &mut self,
        what: &str,
        ours: &[u8],
        recorded: &[u8],
    ) -> Result<(), ReplayError> {
        self.report.facts = self.report.facts.saturating_add(1);
        if ours == recorded {
            return Ok(());
        }
        let (ours, recorded) = (HEXLOWER.encode(ours), HEXLOWER.encode(recorded));
        Err(ReplayError::new(format!("is {ours}, recorded {recorded}")).at(what))
    }

    pub(super) fn equal<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        ours: &T,
        recorded: &T,
    ) -> Result<(), ReplayError> {
        self.report.facts = self.report.facts.saturating_add(1);
        if ours == recorded {
            return Ok(());
        }
        Err(ReplayError::new(format!("is {ours:?}, recorded {recorded:?}")).at(what))
    }
}

/// What the replay draws is compared with nothing, so any seed will do.
pub(super) fn provider() -> Provider {
    Provider::classical(Secret::from_fn(|seed| seed.fill(1)))
}

/// An operation that must succeed.
pub(super) fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> Result<T, ReplayError> {
    result.map_err(|error| ReplayError::new(format!("{error:?}")).at(what))
}
