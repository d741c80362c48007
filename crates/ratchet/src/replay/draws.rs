//! Randomness that was recorded: one call, one draw.

use super::{ReplayError, json};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;

/// Hands out draws in their order.
pub(super) struct Draws {
    left: VecDeque<Vec<u8>>,
    /// Length of the first request that no draw answers.
    unanswered: Option<usize>,
}

impl Draws {
    /// The `draws` of a step.
    pub(super) fn of(step: &Value) -> Result<Self, ReplayError> {
        let mut left = VecDeque::new();
        for draw in json::list(step, "draws")? {
            let text = draw.as_str();
            let text = text.ok_or_else(|| ReplayError::new("a draw is not text"))?;
            left.push_back(json::hex(text)?);
        }
        Ok(Self::new(left))
    }

    pub(super) fn new(left: impl Into<VecDeque<Vec<u8>>>) -> Self {
        Self {
            left: left.into(),
            unanswered: None,
        }
    }

    /// Requires that no more was asked for than is recorded.
    pub(super) fn sufficed(&self) -> Result<(), ReplayError> {
        match self.unanswered {
            None => Ok(()),
            Some(length) => Err(ReplayError::new(format!(
                "{length} random bytes are drawn that were not recorded"
            ))),
        }
    }

    /// Requires that exactly what is recorded was asked for.
    pub(super) fn finish(&self) -> Result<(), ReplayError> {
        self.sufficed()?;
        match self.left.len() {
            0 => Ok(()),
            left => Err(ReplayError::new(format!(
                "{left} recorded draws are not used"
            ))),
        }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A request that no draw answers is noted and gets zeros: an RNG cannot fail.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        match self.left.front() {
            Some(draw) if draw.len() == out.len() => {
                out.copy_from_slice(draw);
                self.left.pop_front();
            }
            _ => {
                out.fill(0);
                self.unanswered.get_or_insert(out.len());
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
