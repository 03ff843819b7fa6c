//! How much each source may send: events per second, bytes per day, bytes in flight.
//!
//! Input: what a source is about to send or has sent. Output: permission, or when to try again. The
//! rate is a debt: a batch is let in whole while the source owes nothing, so that no batch is too
//! large to ever pass. Names of sources come from tokens and listeners, never from records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logwarden_event::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;

/// Bytes in flight are counted in units of this.
const ROOM_UNIT_BYTES: usize = 1_024;
/// Sources that are kept apart; there are as many as tokens and listeners name.
const SOURCES_MAX: usize = 10_000;
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
    events_per_sec_max: Option<u64>,
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
    paid_at: Timestamp,
    day: i64,
    bytes: u64,
    dead_letter_bytes: u64,
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
    pub(crate) retry_after_secs: u64,
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
        }
        quota
    }

    fn make(&self, source: &str) -> Quota {
        let limits = &self.config.limits;
        let settings = self.config.source(source);
        let room_units_max = limits.source_bytes_max / ROOM_UNIT_BYTES;
        Quota {
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
        let used = lock(&self.used);
        if used.paid_at > now {
            let wait = used.paid_at.since(now);
            // A clock that jumped back must not lock a source out.
            let retry_after_secs = wait.as_secs().clamp(0, 3_600) + 1;
            return Err(OverQuota { what: "events_per_sec_max", retry_after_secs });
        }
        let day = now.nanos().div_euclid(NANOS_PER_DAY);
        if used.day == day && self.bytes_per_day_max.is_some_and(|max| used.bytes >= max) {
            let end = Timestamp::from_nanos((day + 1).saturating_mul(NANOS_PER_DAY));
            let retry_after_secs = end.since(now).as_secs() + 1;
            return Err(OverQuota { what: "bytes_per_day_max", retry_after_secs });
        }
        Ok(())
    }

    /// Counts what was made durable.
    pub(crate) fn charge(&self, now: Timestamp, cost: Cost) {
        let Cost { events, bytes, dead_letter_bytes } = cost;
        let mut used = lock(&self.used);
        used.start_day(now);
        used.bytes = used.bytes.saturating_add(bytes);
        used.dead_letter_bytes = used.dead_letter_bytes.saturating_add(dead_letter_bytes);
        if let Some(rate) = self.events_per_sec_max {
            let nanos = u128::from(events) * 1_000_000_000 / u128::from(rate.max(1));
            let cost = std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            used.paid_at = used.paid_at.max(now).saturating_add(cost);
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
    use std::time::Duration;

    use super::*;
    use crate::config::SourceConfig;

    fn quotas() -> Quotas {
        let source: SourceConfig = serde_json::from_value(serde_json::json!({
            "name": "edge", "events_per_sec_max": 100, "bytes_per_day_max": 1_000,
        }))
        .expect("a source");
        let mut config = Config { sources: vec![source], ..Config::default() };
        config.limits.source_bytes_max = 4_096;
        config.limits.dead_letter_bytes_per_day_max = 10;
        Quotas::new(Arc::new(config))
    }

    const NOON: Timestamp = Timestamp::from_secs(12 * 3_600);

    #[test]
    fn a_source_over_its_rate_waits_until_it_owes_nothing() {
        let quota = quotas().of("edge");
        assert_eq!(quota.check(NOON), Ok(()));
        quota.charge(NOON, Cost { events: 250, bytes: 1, ..Cost::default() });
        let over = OverQuota { what: "events_per_sec_max", retry_after_secs: 3 };
        assert_eq!(quota.check(NOON), Err(over));
        assert_eq!(quota.check(NOON.saturating_add(Duration::from_millis(2_500))), Ok(()));
        assert_eq!(quotas().of("other").check(NOON), Ok(()));
    }

    #[test]
    fn bytes_of_a_day_are_forgotten_at_midnight() {
        let quota = quotas().of("edge");
        quota.charge(NOON, Cost { bytes: 1_000, ..Cost::default() });
        let over = quota.check(NOON.saturating_add(Duration::from_secs(60)));
        let expected = OverQuota { what: "bytes_per_day_max", retry_after_secs: 43_141 };
        assert_eq!(over, Err(expected));
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
