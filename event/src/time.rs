//! Instants on the event side, ranges of them, and the clock they come from.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};

/// A part of an instant, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// The day of the month, 1 to 31.
    Day,
    /// The week of the year by ISO 8601, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// Such as 2026.
    Year,
}

/// An instant in UTC, in nanoseconds since the Unix epoch (years 1677 to 2262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant that can be said.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that can be said.
    pub const MAX: Self = Self(i64::MAX);

    /// Takes nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Takes milliseconds since the Unix epoch; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Takes seconds since the Unix epoch; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Reads an RFC 3339 time; `None` when it is not one or lies outside the range.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt().map(Self)
    }

    /// The instant `span` later, or [`Timestamp::MAX`].
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The instant `span` earlier, or [`Timestamp::MIN`].
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// A part of the calendar or the clock, in UTC.
    pub fn part(self, part: TimePart) -> i64 {
        let time = self.to_datetime();
        match part {
            TimePart::Minute => time.minute().into(),
            TimePart::Hour => time.hour().into(),
            TimePart::Day => time.day().into(),
            TimePart::Week => time.iso_week().week().into(),
            TimePart::Month => time.month().into(),
            TimePart::Year => time.year().into(),
        }
    }

    /// The same instant for calendar arithmetic.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.0)
    }
}

/// RFC 3339 in UTC with 0, 3, 6 or 9 digits of a second, as many as are known.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A span of time `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl TimeRange {
    /// Every instant but [`Timestamp::MAX`].
    pub const ALL: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// Whether `at` lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether any instant of the closed span `[first, last]` lies inside.
    pub fn overlaps(&self, first: Timestamp, last: Timestamp) -> bool {
        first < self.end && self.start <= last
    }
}

/// Where time comes from, so that a simulation can own it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present by this clock; it may jump, in both directions.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the hands to `now`, which may be earlier.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the hands forward.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().saturating_add(span));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_many_digits_as_are_known() {
        for text in
            ["2026-11-22T04:22:59Z", "2026-11-22T04:22:59.961Z", "2026-11-22T04:22:59.961985001Z"]
        {
            assert_eq!(Timestamp::parse_rfc3339(text).expect("valid").to_string(), text);
        }
    }

    #[test]
    fn a_range_leaves_its_end_out() {
        let range = TimeRange { start: Timestamp::from_secs(1), end: Timestamp::from_secs(2) };
        assert!(range.contains(Timestamp::from_secs(1)));
        assert!(!range.contains(Timestamp::from_secs(2)));
        assert!(range.overlaps(Timestamp::from_secs(0), Timestamp::from_secs(1)));
        assert!(!range.overlaps(Timestamp::from_secs(2), Timestamp::from_secs(3)));
    }
}
