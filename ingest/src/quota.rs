//! How much each source may send: events and bytes per second, bytes per day, bytes in flight.
//!
//! Input: what a source is about to send or has sent. Output: permission, or when to try again. A
//! rate is a bucket that holds what may be sent at once: a batch is let in whole while there is
//! anything left in it, so that no batch is too large to ever pass, and what it takes too much is
//! owed. Names of sources come from tokens, listeners and inputs, never from records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logwarden_event::Timestamp;
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{BURST_SECS_DEFAULT, Config};
use crate::metrics::{SOURCE_OVER_QUOTA_TOTAL, SOURCES_FORGOTTEN_TOTAL};

/// Bytes in flight are counted in units of this.
const ROOM_UNIT_BYTES: usize = 1_024;
/// Sources that are kept apart; there are as many as tokens and listeners name.
const SOURCES_MAX: usize = 10_000;
/// A clock that jumped back must not lock a source out for longer.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// The quotas of all sources.
#[derive(Debug)]
pub(crate) struct Quotas {
    config: Arc<Config>,
    total: Arc<Semaphore>,
    sources: Mutex<HashMap<String, Arc<Quota>>>,
}

/// What one source may send.
#[derive(Debug)]
pub(crate) struct Quota {
    source: String,
    events_per_sec_max: Option<u64>,
    bytes_per_sec_max: Option<u64>,
    burst: Duration,
    bytes_per_day_max: Option<u64>,
    dead_letter_bytes_per_day_max: u64,
    room: Arc<Semaphore>,
    room_units_max: usize,
    total: Arc<Semaphore>,
    total_units_max: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// When the events sent so far are paid for.
    events_paid_at: Timestamp,
    /// The same of the bytes.
    bytes_paid_at: Timestamp,
    day: i64,
    bytes: u64,
    dead_letter_bytes: u64,
    refused: u64,
}

/// The quota of a source and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaUse {
    /// Events per second it may send; `None`: any number.
    pub events_per_sec_max: Option<u64>,
    /// Bytes of records per second it may send.
    pub bytes_per_sec_max: Option<u64>,
    /// Bytes of records per day in UTC it may send.
    pub bytes_per_day_max: Option<u64>,
    /// Bytes of records it sent today.
    pub bytes_today: u64,
    /// Times it was told to wait since the start of the process.
    pub refused: u64,
}

/// What a batch takes of the quota of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    /// Records, good and bad.
    pub(crate) events: u64,
    /// Bytes of the records, as they came.
    pub(crate) bytes: u64,
    /// Bytes kept as dead letters.
    pub(crate) dead_letter_bytes: u64,
}

/// Which bound was hit, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverQuota {
    pub(crate) what: &'static str,
    /// How long until it may send again.
    pub(crate) wait: Duration,
}

impl OverQuota {
    /// The whole seconds after which it may send again.
    pub(crate) const fn retry_after_secs(self) -> u64 {
        self.wait.as_secs() + 1
    }
}

/// Bytes in flight, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    source: OwnedSemaphorePermit,
    total: OwnedSemaphorePermit,
}

impl Room {
    /// Gives back what is beyond so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        for permit in [&mut self.source, &mut self.total] {
            let beyond = permit.num_permits().saturating_sub(bytes.div_ceil(ROOM_UNIT_BYTES));
            drop(permit.split(beyond));
        }
    }
}

impl Quotas {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let units = config.limits.total_bytes_max / ROOM_UNIT_BYTES;
        Self { total: Arc::new(Semaphore::new(units)), sources: Mutex::default(), config }
    }

    /// The quota of `source`.
    pub(crate) fn of(&self, source: &str) -> Arc<Quota> {
        let mut sources = lock(&self.sources);
        if let Some(quota) = sources.get(source) {
            return Arc::clone(quota);
        }
        let quota = Arc::new(self.make(source));
        // Beyond the bound a source is not remembered: its rate is not kept, its room is.
        if sources.len() < SOURCES_MAX {
            sources.insert(source.to_owned(), Arc::clone(&quota));
        } else {
            counter!(SOURCES_FORGOTTEN_TOTAL).increment(1);
        }
        quota
    }

    fn make(&self, source: &str) -> Quota {
        let limits = &self.config.limits;
        let settings = self.config.source(source);
        let room_units_max = limits.source_bytes_max / ROOM_UNIT_BYTES;
        Quota {
            source: source.to_owned(),
            bytes_per_sec_max: settings.and_then(|settings| settings.bytes_per_sec_max),
            burst: Duration::from_secs(
                settings.map_or(BURST_SECS_DEFAULT, |settings| settings.burst_secs),
            ),
            events_per_sec_max: settings.and_then(|settings| settings.events_per_sec_max),
            bytes_per_day_max: settings.and_then(|settings| settings.bytes_per_day_max),
            dead_letter_bytes_per_day_max: limits.dead_letter_bytes_per_day_max,
            room: Arc::new(Semaphore::new(room_units_max)),
            room_units_max,
            total: Arc::clone(&self.total),
            total_units_max: limits.total_bytes_max / ROOM_UNIT_BYTES,
            used: Mutex::default(),
        }
    }
}

impl Quota {
    /// Whether the source may send now.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), OverQuota> {
        let mut used = lock(&self.used);
        let over = self.over(&used, now);
        if let Some(over) = over {
            used.refused += 1;
            let source = self.source.clone();
            counter!(SOURCE_OVER_QUOTA_TOTAL, "source" => source, "quota" => over.what)
                .increment(1);
        }
        over.map_or(Ok(()), Err)
    }

    fn over(&self, used: &Used, now: Timestamp) -> Option<OverQuota> {
        let rates = [
            ("events_per_sec_max", used.events_paid_at),
            ("bytes_per_sec_max", used.bytes_paid_at),
        ];
        let (what, owed) = rates
            .into_iter()
            .map(|(what, paid_at)| (what, paid_at.since(now)))
            .max_by_key(|(_, owed)| *owed)?;
        if let Some(wait) = owed.checked_sub(self.burst).filter(|wait| !wait.is_zero()) {
            return Some(OverQuota { what, wait: wait.min(WAIT_MAX) });
        }
        let day = now.nanos().div_euclid(NANOS_PER_DAY);
        if used.day == day && self.bytes_per_day_max.is_some_and(|max| used.bytes >= max) {
            let end = Timestamp::from_nanos((day + 1).saturating_mul(NANOS_PER_DAY));
            return Some(OverQuota { what: "bytes_per_day_max", wait: end.since(now) });
        }
        None
    }

    /// Counts what was made durable.
    pub(crate) fn charge(&self, now: Timestamp, cost: Cost) {
        let Cost { events, bytes, dead_letter_bytes } = cost;
        let mut used = lock(&self.used);
        used.start_day(now);
        used.bytes = used.bytes.saturating_add(bytes);
        used.dead_letter_bytes = used.dead_letter_bytes.saturating_add(dead_letter_bytes);
        pay(&mut used.events_paid_at, now, events, self.events_per_sec_max);
        pay(&mut used.bytes_paid_at, now, bytes, self.bytes_per_sec_max);
    }

    /// The quota and how much of it is used.
    pub(crate) fn used(&self, now: Timestamp) -> QuotaUse {
        let mut used = lock(&self.used);
        used.start_day(now);
        QuotaUse {
            events_per_sec_max: self.events_per_sec_max,
            bytes_per_sec_max: self.bytes_per_sec_max,
            bytes_per_day_max: self.bytes_per_day_max,
            bytes_today: used.bytes,
            refused: used.refused,
        }
    }

    /// Whether dead letters of so many bytes may be kept. They count once they are durable: a batch
    /// that is refused and sent again does not use up the day's.
    pub(crate) fn may_keep_dead_letter(&self, now: Timestamp, bytes: u64) -> bool {
        let mut used = lock(&self.used);
        used.start_day(now);
        used.dead_letter_bytes.saturating_add(bytes) <= self.dead_letter_bytes_per_day_max
    }

    /// Waits until there is room for so many bytes in flight.
    pub(crate) async fn room(&self, bytes: usize) -> Room {
        let units = bytes.div_ceil(ROOM_UNIT_BYTES).max(1);
        let source = acquire(&self.room, units.min(self.room_units_max)).await;
        let total = acquire(&self.total, units.min(self.total_units_max)).await;
        Room { source, total }
    }

    /// Waits until the room holds so many bytes.
    pub(crate) async fn grow(&self, room: &mut Room, bytes: usize) {
        let units = bytes.div_ceil(ROOM_UNIT_BYTES);
        let missing = |permit: &OwnedSemaphorePermit, max: usize| {
            units.min(max).saturating_sub(permit.num_permits())
        };
        let more = missing(&room.source, self.room_units_max);
        room.source.merge(acquire(&self.room, more).await);
        let more = missing(&room.total, self.total_units_max);
        room.total.merge(acquire(&self.total, more).await);
    }
}

/// Puts off the time at which everything sent is paid for.
fn pay(paid_at: &mut Timestamp, now: Timestamp, amount: u64, per_sec: Option<u64>) {
    let Some(per_sec) = per_sec else { return };
    let nanos = u128::from(amount) * 1_000_000_000 / u128::from(per_sec.max(1));
    let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    *paid_at = (*paid_at).max(now).saturating_add(cost);
}

async fn acquire(semaphore: &Arc<Semaphore>, units: usize) -> OwnedSemaphorePermit {
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    let permit = Arc::clone(semaphore).acquire_many_owned(units).await;
    permit.expect("the semaphores of quotas are never closed")
}

impl Used {
    fn start_day(&mut self, now: Timestamp) {
        let day = now.nanos().div_euclid(NANOS_PER_DAY);
        if self.day != day {
            (self.day, self.bytes, self.dead_letter_bytes) = (day, 0, 0);
        }
    }
}

/// Counters stay usable after a panic of another holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceConfig;

    fn quotas() -> Quotas {
        let source =
            |settings| -> SourceConfig { serde_json::from_value(settings).expect("a source") };
        let edge = source(serde_json::json!({
            "name": "edge", "events_per_sec_max": 100, "bytes_per_day_max": 1_000, "burst_secs": 0,
        }));
        let burst = source(serde_json::json!({
            "name": "burst", "events_per_sec_max": 100, "bytes_per_sec_max": 1_000, "burst_secs": 3,
        }));
        let mut config = Config { sources: vec![edge, burst], ..Config::default() };
        config.limits.source_bytes_max = 4_096;
        config.limits.dead_letter_bytes_per_day_max = 10;
        Quotas::new(Arc::new(config))
    }

    const NOON: Timestamp = Timestamp::from_secs(12 * 3_600);

    /// After so long of waiting it may send again.
    fn wait_of(quota: &Quota, now: Timestamp) -> Option<(&'static str, u128)> {
        quota.check(now).err().map(|over| (over.what, over.wait.as_millis()))
    }

    fn after(millis: u64) -> Timestamp {
        NOON.saturating_add(Duration::from_millis(millis))
    }

    #[test]
    fn a_source_over_its_rate_waits_until_it_owes_nothing() {
        let quota = quotas().of("edge");
        assert_eq!(wait_of(&quota, NOON), None);
        quota.charge(NOON, Cost { events: 250, bytes: 1, ..Cost::default() });
        assert_eq!(wait_of(&quota, NOON), Some(("events_per_sec_max", 2_500)));
        assert_eq!(quota.check(NOON).map_err(OverQuota::retry_after_secs), Err(3));
        assert_eq!(wait_of(&quota, after(2_500)), None);
        assert_eq!(wait_of(&quotas().of("other"), NOON), None);
        assert_eq!(quota.used(NOON).refused, 2);
    }

    #[test]
    fn what_was_saved_up_may_be_sent_at_once() {
        let quota = quotas().of("burst");
        for _ in 0..3 {
            assert_eq!(wait_of(&quota, NOON), None);
            quota.charge(NOON, Cost { events: 150, bytes: 100, ..Cost::default() });
        }
        // 4.5 s of events are owed, of which 3 s may be.
        assert_eq!(wait_of(&quota, NOON), Some(("events_per_sec_max", 1_500)));
        assert_eq!(wait_of(&quota, after(1_499)), Some(("events_per_sec_max", 1)));
        assert_eq!(wait_of(&quota, after(1_500)), None);
        // No more is saved up than the bucket holds.
        quota.charge(after(60_000), Cost { events: 1, bytes: 4_000, ..Cost::default() });
        assert_eq!(wait_of(&quota, after(60_000)), Some(("bytes_per_sec_max", 1_000)));
    }

    #[test]
    fn a_clock_that_jumped_back_locks_nobody_out() {
        let quota = quotas().of("edge");
        quota.charge(after(86_400_000), Cost { events: 1_000, ..Cost::default() });
        assert_eq!(wait_of(&quota, NOON), Some(("events_per_sec_max", 3_600_000)));
    }

    #[test]
    fn bytes_of_a_day_are_forgotten_at_midnight() {
        let quota = quotas().of("edge");
        quota.charge(NOON, Cost { bytes: 1_000, ..Cost::default() });
        assert_eq!(wait_of(&quota, after(60_000)), Some(("bytes_per_day_max", 43_140_000)));
        assert_eq!(quota.check(Timestamp::from_secs(86_400)), Ok(()));
    }

    #[test]
    fn dead_letters_have_a_bound_of_their_own() {
        let quota = quotas().of("edge");
        assert!(quota.may_keep_dead_letter(NOON, 10));
        assert!(quota.may_keep_dead_letter(NOON, 10), "nothing was stored yet");
        quota.charge(NOON, Cost { dead_letter_bytes: 10, ..Cost::default() });
        assert!(!quota.may_keep_dead_letter(NOON, 1));
        assert!(quota.may_keep_dead_letter(Timestamp::from_secs(86_400), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_given_back() {
        let quota = quotas().of("edge");
        let room = quota.room(3_000).await;
        let none = tokio::time::timeout(Duration::from_secs(1), quota.room(2_000)).await;
        assert!(none.is_err(), "only 1 KiB is left");
        drop(room);
        // More than there ever is: it takes all there is.
        let _all = quota.room(1 << 30).await;
    }

    #[tokio::test(start_paused = true)]
    async fn room_can_be_given_back_in_part_and_taken_again() {
        let quota = quotas().of("edge");
        let mut room = quota.room(4_096).await;
        room.shrink(1_000);
        let other = quota.room(3_072).await;
        let none = tokio::time::timeout(Duration::from_secs(1), quota.grow(&mut room, 1_025)).await;
        assert!(none.is_err(), "the other has it");
        drop(other);
        quota.grow(&mut room, 1 << 30).await;
    }
}
