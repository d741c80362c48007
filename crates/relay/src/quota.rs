//! Token buckets: how much may be asked, and how long to wait.

use crate::limits;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A rate: so many a second in the long run, and a number at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Thousandths a second.
    pub(crate) milli_per_second: u64,
    /// How many at once.
    pub(crate) burst: u64,
}

/// One bucket; empty means wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// What was taken and has not come back, in thousandths, at `at`.
    taken: u64,
    at: Duration,
}

impl Bucket {
    /// A bucket from which nothing was taken.
    pub(crate) fn full() -> Self {
        Self {
            taken: 0,
            at: Duration::ZERO,
        }
    }

    /// The milliseconds until one may be taken; 0 means now.
    pub(crate) fn wait_ms(&self, rate: Rate, ticks: Duration) -> u64 {
        let after = self.taken_at(rate, ticks).saturating_add(1000);
        let over = after.saturating_sub(rate.burst.saturating_mul(1000));
        if over == 0 {
            return 0;
        }
        match rate.milli_per_second {
            0 => u64::MAX,
            rate => over.saturating_mul(1000).div_ceil(rate),
        }
    }

    /// Takes one, whether or not it is there.
    pub(crate) fn take(&mut self, rate: Rate, ticks: Duration) {
        self.taken = self.taken_at(rate, ticks).saturating_add(1000);
        self.at = ticks;
    }

    fn taken_at(&self, rate: Rate, ticks: Duration) -> u64 {
        let passed = u64::try_from(ticks.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        let back = passed
            .saturating_mul(rate.milli_per_second)
            .checked_div(1000)
            .unwrap_or(0);
        self.taken.saturating_sub(back)
    }

    fn is_idle(&self, rate: Rate, ticks: Duration) -> bool {
        self.taken_at(rate, ticks) == 0
    }
}

/// Buckets by name, bounded in number.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    max: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// No buckets yet.
    pub(crate) fn new(rate: Rate, max: usize) -> Self {
        Self {
            rate,
            max,
            buckets: HashMap::new(),
        }
    }

    /// Takes one, or says how many milliseconds to wait.
    pub(crate) fn take(&mut self, key: K, ticks: Duration) -> Result<(), u64> {
        if self.buckets.len() >= self.max && !self.buckets.contains_key(&key) {
            let rate = self.rate;
            self.buckets
                .retain(|_, bucket| !bucket.is_idle(rate, ticks));
            if self.buckets.len() >= self.max {
                return Err(limits::STOPPING_RETRY_MS);
            }
        }
        let bucket = self.buckets.entry(key).or_insert_with(Bucket::full);
        match bucket.wait_ms(self.rate, ticks) {
            0 => {
                bucket.take(self.rate, ticks);
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        milli_per_second: 2_000,
        burst: 3,
    };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut buckets = Buckets::new(RATE, 10);
        let start = Duration::from_secs(100);
        assert_eq!([(); 3].map(|()| buckets.take(1, start)), [Ok(()); 3]);
        assert_eq!(buckets.take(1, start), Err(500));
        assert_eq!(
            buckets.take(1, start.saturating_add(Duration::from_millis(500))),
            Ok(())
        );
        assert_eq!(buckets.take(2, start), Ok(()));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let mut buckets = Buckets::new(RATE, 2);
        let start = Duration::from_secs(100);
        assert_eq!(
            [1, 2, 3].map(|key| buckets.take(key, start)),
            [Ok(()), Ok(()), Err(limits::STOPPING_RETRY_MS)]
        );
        assert_eq!(
            buckets.take(3, start.saturating_add(Duration::from_secs(10))),
            Ok(())
        );
    }
}
