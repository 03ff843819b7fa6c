//! What keeps the embedded journal in order between groups: the next segment, the room, trimming.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use logwarden_event::{EventBuilder, Severity, Timestamp, Value};
use metrics::counter;
use tracing::{error, info, warn};

use super::local::{Driver, failed};
use super::segment::{self, Segment};
use super::shared::{Shared, lock};
use super::space::Level;
use super::{Draft, JournalError, RecordKind};
use crate::config::OnFull;
use crate::disk::is_no_room;
use crate::metrics::{WAL_SEGMENTS_DROPPED, WAL_SEGMENTS_TRIMMED};

/// How often the room is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Looks after which all files are counted.
const LOOKS_PER_COUNT: u32 = 10;

/// Wakes the thread that keeps things in order.
#[derive(Default)]
pub(super) struct Upkeep {
    is_wanted: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Shared {
    /// The thread that makes the next segment and watches the room.
    pub(super) fn keep_in_order(&self) {
        let mut looks = 0;
        while self.upkeep.wait(LOOK_INTERVAL) {
            self.prepare_next_segment();
            looks += 1;
            if looks % LOOKS_PER_COUNT == 0
                && let Err(error) = self.space.count_used()
            {
                warn!(error = %error, "the files cannot be counted: {error}");
            }
            self.look(Driver::Threads);
            if self.sync_interval.is_some() {
                self.sync();
            }
        }
    }

    /// What the two threads do between groups, on the caller's thread.
    pub(super) fn look_once(&self) {
        if let Err(error) = self.space.count_used() {
            warn!(error = %error, "the files cannot be counted: {error}");
        }
        self.look(Driver::Inline);
        self.prepare_next_segment();
    }

    fn look(&self, driver: Driver) {
        let now = self.clock.now();
        match self.space.look(now) {
            Ok(Level::Full) if self.on_full == OnFull::DropOldest => self.drop_oldest(now, driver),
            Ok(_) => {}
            Err(error) => warn!(error = %error, "the room cannot be looked at: {error}"),
        }
    }

    pub(super) fn prepare_next_segment(&self) {
        // While batches are refused there is no use for one, and it would take the room that the
        // reserve was given up for.
        let is_wanted = self.space.level() == Level::Enough || self.on_full == OnFull::DropOldest;
        if !is_wanted || !lock(&self.writer).needs_next_segment() {
            return;
        }
        let number = {
            let mut files = lock(&self.files_prepared);
            *files += 1;
            *files
        };
        match segment::prepare(&*self.disk, &format!("next-{number}"), self.segment_bytes) {
            Ok(prepared) => self.prepared.put(prepared),
            Err(error) if is_no_room(&error) => self.space.ran_out(self.clock.now()),
            Err(error) => warn!(error = %error, "the next segment cannot be made: {error}"),
        }
    }

    /// Gives up the oldest segments, read or not, until there is room. Each is on record first, or,
    /// when there is no room even for that, right after.
    fn drop_oldest(&self, now: Timestamp, driver: Driver) {
        while let Some(oldest) = self.segments.oldest_to_drop() {
            let path = segment::path_of(oldest.base_seq);
            warn!(segment.path = %path, "segment `{path}` is dropped to make room");
            let is_on_record = self.put_on_record(vec![tombstone(&oldest)], driver);
            let dropped = self.remove_segment(oldest.base_seq).and_then(|()| {
                counter!(WAL_SEGMENTS_DROPPED).increment(1);
                self.space.count_used()?;
                self.space.look(now)
            });
            let level = match dropped {
                Ok(level) => level,
                Err(error) => {
                    return error!(error = %error, "`{path}` cannot be dropped: {error}");
                }
            };
            if !is_on_record && !self.put_on_record(vec![tombstone(&oldest)], driver) {
                error!(segment.path = %path, "that `{path}` was dropped is on no record");
            }
            if level != Level::Full {
                return;
            }
        }
    }

    pub(super) fn remove_segment(&self, base_seq: u64) -> std::io::Result<()> {
        // Forgotten first: readers must not look for a file that is gone.
        self.segments.forget(base_seq);
        self.disk.remove(&segment::path_of(base_seq))?;
        self.disk.sync_dir(segment::DIR)
    }

    pub(super) async fn trim(&self) -> Result<(), JournalError> {
        let _one_at_a_time = self.trimming.lock().await;
        let now = self.clock.now();
        let Some(floor) = self.held_floor() else {
            return Ok(());
        };
        let below = self.segments.below(floor);
        if let Some(newest) = below.last() {
            // Keys first: a segment goes only when the catalog has its keys durably.
            self.keys
                .spill(&*self.catalog, newest.seq_next, false, now)
                .await
                .map_err(|error| failed(&error))?;
        }
        for segment in &below {
            self.remove_segment(segment.base_seq)
                .map_err(|error| JournalError::Failed(error.to_string()))?;
            counter!(WAL_SEGMENTS_TRIMMED).increment(1);
        }
        if !below.is_empty() {
            info!(segments = below.len(), seq.floor = floor, "trimmed {} segments", below.len());
            self.keys.expire(&*self.catalog, now).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// What every consumer is done with; `None` while one of them has not said.
    pub(super) fn held_floor(&self) -> Option<u64> {
        let holds = lock(&self.holds);
        let all_said = self.consumers.iter().all(|consumer| holds.contains_key(consumer));
        if all_said { holds.values().copied().min() } else { None }
    }

    pub(super) async fn spill_when_over_memory(&self) {
        if !self.keys.is_over_memory() {
            return;
        }
        let _one_at_a_time = self.trimming.lock().await;
        let now = self.clock.now();
        if let Err(error) = self.keys.spill(&*self.catalog, 0, true, now).await {
            warn!(error = %error, "keys cannot be moved to the catalog: {error}");
        }
    }
}

/// The audit record about a segment that goes before its time.
fn tombstone(segment: &Segment) -> Draft {
    let (first, last) = (segment.base_seq, segment.seq_next.saturating_sub(1));
    let message = format!("records {first} to {last} are dropped, the disk is full");
    let record = serde_json::json!({
        "event.action": "journal_dropped", "lw.dropped.seq_first": first,
        "lw.dropped.seq_last": last, "lw.dropped.bytes": segment.size_bytes,
        "lw.reason": "disk_full", "message": message,
    })
    .to_string();
    let mut event = EventBuilder::new(record.as_bytes());
    event
        .severity(Severity::Warning)
        .source("logwarden")
        .dataset("logwarden.audit")
        .message(&message)
        .field("event.action", Value::String("journal_dropped"))
        .field("lw.dropped.seq_first", Value::Integer(i128::from(first)))
        .field("lw.dropped.seq_last", Value::Integer(i128::from(last)))
        .field("lw.dropped.bytes", Value::Integer(i128::from(segment.size_bytes)))
        .field("lw.reason", Value::String("disk_full"));
    Draft { kind: RecordKind::Audit, event: event.build() }
}

impl Upkeep {
    pub(super) fn wake(&self) {
        lock(&self.is_wanted).0 = true;
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        lock(&self.is_wanted).1 = true;
        self.changed.notify_one();
    }

    /// Waits for a wake or the interval; false when it is over.
    pub(super) fn wait(&self, interval: Duration) -> bool {
        let state = lock(&self.is_wanted);
        let mut state = self
            .changed
            .wait_timeout_while(state, interval, |(is_wanted, is_closed)| {
                !*is_wanted && !*is_closed
            })
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        state.0 = false;
        !state.1
    }
}

#[cfg(test)]
mod tests {
    use logwarden_event::EventBuilder;

    use crate::{Append, AppendOutcome, Draft, RecordKind, Store};

    fn batch(record_bytes: u64) -> Append {
        let record = "x".repeat(record_bytes as usize);
        let event = EventBuilder::new(record.as_bytes()).build();
        let drafts = vec![Draft { kind: RecordKind::Event, event }];
        Append { drafts, ..Append::default() }
    }

    #[tokio::test]
    async fn what_the_server_says_of_itself_is_taken_until_the_volume_is_full() {
        let (store, simulation) = Store::simulated(2);
        let whole = simulation.free_bytes();
        let mut own = batch(10);
        own.drafts[0].kind = RecordKind::Audit;
        for (percent, is_taken, own_is_taken) in
            [(50, true, true), (12, false, true), (5, false, false), (50, true, true)]
        {
            simulation.set_free_bytes(whole / 100 * percent);
            for (batch, is_wanted) in [(batch(10), is_taken), (own.clone(), own_is_taken)] {
                let outcome = store.journal.append(batch).await.expect("an answer");
                let was_taken = matches!(outcome, AppendOutcome::Appended(_));
                assert_eq!(was_taken, is_wanted, "{percent} % free: {outcome:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_reserve_is_not_spent_on_the_next_segment() {
        let (store, mut simulation) = Store::simulated(1);
        let (segment, reserve) =
            (simulation.config().segment_bytes, simulation.config().reserve_bytes);
        // More than half of the open segment: the next one is wanted from here on.
        let appended = store.journal.append(batch(segment / 3 * 2)).await;
        assert!(matches!(appended, Ok(AppendOutcome::Appended(_))), "{appended:?}");
        simulation.set_free_bytes(0);
        for _ in 0..3 {
            let refused = store.journal.append(batch(10)).await;
            assert!(matches!(refused, Ok(AppendOutcome::Full(_))), "{refused:?}");
            let free = simulation.free_bytes();
            assert!(free >= reserve, "of {reserve} bytes in reserve {free} are left");
        }
    }
}
