//! How long rules take for the events that come to them.
//!
//! In: how long one event took in one rule's windows. Out: what 99 of 100 stay under. It is only looked at by
//! people: nothing that is found depends on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The first events of a rule are all timed, and of those after them one in so many: a look at the clock takes as
/// long as the rest.
const TIMED_ONE_IN: u64 = 64;
/// One for each power of two of nanoseconds, up to nine minutes.
const BUCKETS: usize = 40;

/// The times of one rule since it was loaded.
#[derive(Debug)]
pub(crate) struct Timing {
    seen: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Timing {
    fn default() -> Self {
        Self { seen: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Timing {
    /// An event comes; `Some` when it is timed.
    pub(crate) fn begin(&self) -> Option<Instant> {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        (seen < TIMED_ONE_IN || seen.is_multiple_of(TIMED_ONE_IN)).then(Instant::now)
    }

    /// It is done with.
    pub(crate) fn end(&self, begun: Option<Instant>) {
        if let Some(begun) = begun {
            self.record(begun.elapsed());
        }
    }

    fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - nanos.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// What 99 of 100 events stay under, to the next power of two; `None` before the first one.
    pub(crate) fn p99(&self) -> Option<Duration> {
        let counts: Vec<u64> =
            self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += count;
            below > 0 && below * 100 >= all * 99
        })?;
        Some(Duration::from_nanos(1 << bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_event_of_a_hundred_is_not_the_p99() {
        let timing = Timing::default();
        assert_eq!(timing.p99(), None);
        (0..99).for_each(|_| timing.record(Duration::from_nanos(700)));
        timing.record(Duration::from_secs(3_600));
        assert_eq!(timing.p99(), Some(Duration::from_nanos(1_024)));
        timing.record(Duration::from_secs(3_600));
        assert!(timing.p99() > Some(Duration::from_secs(60)));
    }
}
