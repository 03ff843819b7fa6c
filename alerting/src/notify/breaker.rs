//! Leaves a receiver alone that fails again and again, so that what waits for it costs little.
//!
//! In: how each attempt ended, and when. Out: whether another may be made now. After
//! [`FAILURES_MAX`] failures in a row nothing is sent for [`PAUSE_MIN`]; then one notification is
//! tried. If that fails too the pause doubles, up to [`PAUSE_MAX`]. The first success ends it.
//! Nothing of this is kept over a restart: a new process tries at once.

use std::time::Duration;

use logwarden_event::Timestamp;

/// Failures in a row after which a receiver is left alone.
pub(super) const FAILURES_MAX: u32 = 5;
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(15);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// What is known of one receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Breaker {
    failures: u32,
    until: Option<Timestamp>,
    pause: Duration,
}

impl Breaker {
    /// Until when nothing may be sent; `None`: now. A clock that was put back ends a pause that
    /// would last longer than any.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now && until.since(now) <= PAUSE_MAX)
    }

    /// An attempt succeeded; answers whether that ended a pause.
    pub(super) fn succeed(&mut self) -> bool {
        let was_paused = self.until.is_some();
        *self = Self::default();
        was_paused
    }

    /// An attempt failed; answers until when nothing is sent, when that begins now.
    pub(super) fn fail(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            return None;
        }
        self.pause = match self.until {
            None => PAUSE_MIN,
            Some(_) => (self.pause * 2).min(PAUSE_MAX),
        };
        self.until = Some(now.saturating_add(self.pause));
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pauses_after_failures_in_a_row_tries_once_and_doubles() {
        let mut breaker = Breaker::default();
        let mut now = Timestamp::from_secs(1_000);
        for _ in 1..FAILURES_MAX {
            assert_eq!(breaker.fail(now), None);
        }
        breaker.succeed();
        for _ in 1..FAILURES_MAX {
            assert_eq!((breaker.fail(now), breaker.paused_until(now)), (None, None));
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let until = breaker.fail(now).expect("a pause");
            assert_eq!(breaker.paused_until(now), Some(until));
            pauses.push(until.since(now).as_secs());
            now = until;
            assert_eq!(breaker.paused_until(now), None, "one is tried");
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 300, 300]);
        assert!(breaker.succeed() && !breaker.succeed());
    }

    #[test]
    fn a_clock_that_is_put_back_ends_the_pause() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.fail(Timestamp::from_secs(1_000_000));
        }
        assert!(breaker.paused_until(Timestamp::from_secs(1_000_001)).is_some());
        assert_eq!(breaker.paused_until(Timestamp::from_secs(5)), None);
    }
}
