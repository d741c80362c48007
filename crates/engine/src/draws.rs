//! Random bytes drawn ahead, for a callee that may draw while the transaction is borrowed.

use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use std::convert::Infallible;
use zeroize::ZeroizeOnDrop;

/// As many bytes as one received message can need: one new ratchet key for each session that is tried.
const BYTES: usize = 32 * 64;

/// A supply of random bytes.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Draws {
    bytes: Vec<u8>,
}

impl Draws {
    /// Draws ahead.
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = vec![0; BYTES];
        rng.fill_bytes(&mut bytes);
        Self { bytes }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.bytes.len().checked_sub(out.len());
        #[expect(
            clippy::expect_used,
            reason = "no message makes more ratchet steps than there are sessions"
        )]
        let rest = rest.expect("the supply covers every session of a record");
        out.copy_from_slice(self.bytes.get(rest..).unwrap_or_default());
        self.bytes.truncate(rest);
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
