//! What the callers and the threads of the embedded journal share, and how a group is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logwarden_event::{Clock, Position, Timestamp};
use metrics::{counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tracing::{error, warn};

use super::batch::Batch;
use super::cache::Cache;
use super::damage::{self, Lost};
use super::idempotency::{Keys, Known};
use super::local::{Driver, Setup};
use super::queue::{Answer, Next, Queue, Submission};
use super::reader::Reader;
use super::recovery::Recovered;
use super::segment::Segments;
use super::space::Space;
use super::upkeep::Upkeep;
use super::writer::{Committed, PreparedSlot, Uncommitted, Writer, WriterSettings};
use super::{Append, AppendOutcome, Draft, Fullness, JournalError, Receipt, Record};
use crate::catalog::Catalog;
use crate::config::{Durability, OnFull};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::metrics::{JOURNAL_QUEUE_WAITS, JOURNAL_REFUSED_FULL, JOURNAL_UNSAFE};
use crate::random::Entropy;

/// Encoded batches under way, in KiB; more wait at their callers.
const QUEUE_KIB_MAX: u32 = 32 * 1024;
/// How long the writer thread sleeps when nothing comes.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// The journal without its threads.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: [u8; 16],
    pub(super) on_full: OnFull,
    pub(super) durability: Durability,
    pub(super) sync_interval: Option<Duration>,
    pub(super) consumers: Vec<String>,
    pub(super) segment_bytes: u64,
    pub(super) segments: Arc<Segments>,
    pub(super) reader: Reader,
    pub(super) cache: Mutex<Cache>,
    pub(super) keys: Arc<Keys>,
    pub(super) holds: Mutex<BTreeMap<String, u64>>,
    pub(super) space: Space,
    pub(super) queue: Queue,
    pub(super) queue_room: Arc<Semaphore>,
    pub(super) writer: Mutex<Writer>,
    pub(super) prepared: Arc<PreparedSlot>,
    pub(super) files_prepared: Mutex<u64>,
    pub(super) end: watch::Sender<End>,
    pub(super) last_append_at: AtomicI64,
    pub(super) has_failed: AtomicBool,
    pub(super) is_degraded: AtomicBool,
    /// Where readers have found damage in this life.
    found: Mutex<BTreeSet<u64>>,
    /// One at a time puts damage on record.
    pub(super) reporting: tokio::sync::Mutex<()>,
    /// One at a time moves keys or removes segments.
    pub(super) trimming: tokio::sync::Mutex<()>,
    pub(super) upkeep: Upkeep,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) seq: u64,
    pub(super) is_closed: bool,
}

impl Shared {
    pub(super) fn new(
        setup: &Setup<'_>,
        space: Space,
        segment_bytes: u64,
        recovered: Recovered,
        entropy: Entropy,
    ) -> Self {
        let disk = Arc::clone(&setup.disk);
        let clock = Arc::clone(&setup.clock);
        let config = setup.config;
        let segments = Arc::new(Segments::new(recovered.segments));
        let settings = WriterSettings {
            identity: recovered.identity,
            segment_bytes,
            durability: config.durability,
        };
        let writer = Writer::new(
            Arc::clone(&disk),
            Arc::clone(&clock),
            settings,
            Arc::clone(&segments),
            entropy,
            (recovered.next_seq, recovered.last_observed),
        );
        let is_unsafe = config.durability == Durability::UnsafeIntervalMs;
        gauge!(JOURNAL_UNSAFE).set(f64::from(u8::from(is_unsafe)));
        let sync_interval =
            is_unsafe.then(|| Duration::from_millis(config.unsafe_interval_ms.max(1)));
        Self {
            reader: Reader::new(Arc::clone(&disk), Arc::clone(&segments)),
            is_degraded: AtomicBool::new(
                damage::is_noted(&*disk) || !recovered.report.quarantined.is_empty(),
            ),
            disk,
            catalog: Arc::clone(&setup.catalog),
            keys: Arc::new(Keys::new(recovered.keys, clock.now())),
            clock,
            identity: recovered.identity,
            on_full: config.on_full,
            durability: config.durability,
            sync_interval,
            consumers: config.consumers.clone(),
            segment_bytes,
            segments,
            cache: Mutex::new(Cache::new(config.cache_bytes_max)),
            holds: Mutex::default(),
            space,
            queue: Queue::default(),
            queue_room: Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize)),
            prepared: writer.prepared_slot(),
            writer: Mutex::new(writer),
            files_prepared: Mutex::new(0),
            end: watch::Sender::new(End { seq: recovered.next_seq, is_closed: false }),
            last_append_at: AtomicI64::new(i64::MIN),
            has_failed: AtomicBool::new(false),
            found: Mutex::default(),
            reporting: tokio::sync::Mutex::default(),
            trimming: tokio::sync::Mutex::default(),
            upkeep: Upkeep::default(),
        }
    }

    /// Writes audit records about what recovery could not save.
    pub(super) fn report_damage(&self) -> Result<(), OpenError> {
        let io = |error: std::io::Error| OpenError::io_at("damage", &error);
        let unreported = damage::unreported(&*self.disk).map_err(io)?;
        if unreported.is_empty() {
            return Ok(());
        }
        let drafts = unreported.iter().map(Lost::to_draft).collect();
        if self.put_on_record(drafts, Driver::Inline) {
            return damage::forget_unreported(&*self.disk).map_err(io);
        }
        // The next start puts it on record.
        warn!("what is lost is not on record yet");
        Ok(())
    }

    /// Appends records of our own, also when there is no room for those of senders; says whether
    /// they are durable. With threads this waits for the writer, so it is not for async callers.
    pub(super) fn put_on_record(&self, drafts: Vec<Draft>, driver: Driver) -> bool {
        let batch = match Batch::encode(&mut Append { drafts, ..Append::default() }) {
            Ok(batch) => batch,
            Err(error) => {
                error!(error = %error, "records of our own cannot be made: {error}");
                return false;
            }
        };
        let (answer, mut answered) = oneshot::channel();
        let submission = Submission { batch, reservation: None, answer, permit: None };
        let outcome = match driver {
            Driver::Inline => {
                self.commit(vec![submission]);
                answered.try_recv().ok()
            }
            Driver::Threads => {
                let is_queued = self.queue.push(submission);
                is_queued.then(|| answered.blocking_recv().ok()).flatten()
            }
        };
        matches!(outcome, Some(Answer { outcome: Ok(AppendOutcome::Appended(_)), .. }))
    }

    /// Notes what a reader has found lost; answers what is not on record yet, or nothing when it was
    /// found before.
    pub(super) fn note_damage(&self, lost: Lost) -> Vec<Draft> {
        if !lock(&self.found).insert(lost.from) {
            return Vec::new();
        }
        self.is_degraded.store(true, Ordering::Relaxed);
        let noted = damage::note(&*self.disk, std::slice::from_ref(&lost));
        if let Err(error) = noted {
            error!(error = %error, "damage cannot be noted: {error}");
        }
        let unreported = match damage::unreported(&*self.disk) {
            Ok(unreported) if !unreported.is_empty() => unreported,
            _ => vec![lost],
        };
        unreported.iter().map(Lost::to_draft).collect()
    }

    /// What was lost is on record now.
    pub(super) fn forget_unreported(&self) {
        if let Err(error) = damage::forget_unreported(&*self.disk) {
            warn!(error = %error, "a note cannot be removed, it will be on record twice: {error}");
        }
    }

    pub(super) async fn wait_for_room(
        &self,
        bytes: usize,
    ) -> Result<OwnedSemaphorePermit, JournalError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(QUEUE_KIB_MAX);
        let kib = kib.clamp(1, QUEUE_KIB_MAX);
        let room = Arc::clone(&self.queue_room);
        match Arc::clone(&room).try_acquire_many_owned(kib) {
            Ok(permit) => Ok(permit),
            Err(_) => {
                counter!(JOURNAL_QUEUE_WAITS).increment(1);
                room.acquire_many_owned(kib).await.map_err(|_| JournalError::Closed)
            }
        }
    }

    /// Waits until there is something at `seq`; answers the end.
    pub(super) async fn wait_for(&self, seq: u64) -> Result<u64, JournalError> {
        let mut end = self.end.subscribe();
        let found = end
            .wait_for(|end| end.seq > seq || end.is_closed)
            .await
            .map_err(|_| JournalError::Closed)?;
        if found.seq > seq { Ok(found.seq) } else { Err(JournalError::Closed) }
    }

    /// Makes one group of what was submitted, and answers everybody.
    pub(super) fn commit(&self, submissions: Vec<Submission>) {
        if submissions.is_empty() {
            return;
        }
        let mut batches = Vec::with_capacity(submissions.len());
        let mut waiting = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let Submission { batch, reservation, answer, permit } = submission;
            let shape = (batch.key, batch.len() as u64, batch.receipt.clone());
            batches.push(batch);
            waiting.push((answer, shape, reservation, permit));
        }
        let (committed, wants_upkeep) = {
            let mut writer = lock(&self.writer);
            let committed = writer.commit(batches);
            (committed, writer.needs_next_segment())
        };
        if wants_upkeep {
            self.upkeep.wake();
        }
        let (failure, batches) = match committed {
            Ok(Committed { firsts, at, records }) => {
                self.publish(records, at);
                for ((answer, (key, records, receipt), reservation, _), seq) in
                    waiting.into_iter().zip(firsts)
                {
                    let receipt = Receipt { first: Position { lane: 0, seq }, records, receipt };
                    if let Some(key) = key {
                        self.keys.insert(Known { key, receipt: receipt.clone(), observed_at: at });
                    }
                    drop(reservation);
                    // The caller may have gone; the batch is stored all the same.
                    let outcome = Ok(AppendOutcome::Appended(receipt));
                    let _ = answer.send(Answer { outcome, back: None });
                }
                return;
            }
            Err(uncommitted) => uncommitted,
        };
        let refusal: Result<AppendOutcome, JournalError> = match failure {
            Uncommitted::NoRoom => {
                let now = self.clock.now();
                self.space.ran_out(now);
                counter!(JOURNAL_REFUSED_FULL).increment(waiting.len() as u64);
                let full = Fullness { is_full: true, retry_after_secs: 30 };
                Ok(AppendOutcome::Full(self.space.refusal(now).unwrap_or(full)))
            }
            Uncommitted::Stopped(reason) => {
                self.has_failed.store(true, Ordering::Relaxed);
                Err(JournalError::Failed(reason))
            }
            Uncommitted::Unknown => {
                self.has_failed.store(true, Ordering::Relaxed);
                Ok(AppendOutcome::Unknown)
            }
        };
        for ((answer, (key, ..), reservation, _), batch) in waiting.into_iter().zip(batches) {
            // Before the key is free again: it must not be told that nothing was stored.
            if let (Ok(AppendOutcome::Unknown), Some(key)) = (&refusal, key) {
                self.keys.insert_unknown(key);
            }
            drop(reservation);
            let _ = answer.send(Answer { outcome: refusal.clone(), back: Some(batch) });
        }
    }

    /// Lets readers see a durable group.
    pub(super) fn publish(&self, records: Arc<[Record]>, at: Timestamp) {
        self.last_append_at.store(at.nanos(), Ordering::Relaxed);
        let count = records.len() as u64;
        if count == 0 {
            return;
        }
        let first = self.end.borrow().seq;
        lock(&self.cache).push(first, records);
        self.end.send_modify(|end| end.seq = first + count);
    }

    /// The writer thread.
    pub(super) fn write_until_closed(&self) {
        // Should this thread panic, nobody may wait for it forever.
        let _closing = Closing(&self.queue);
        loop {
            match self.queue.wait(self.sync_interval.unwrap_or(IDLE_MAX)) {
                Next::Group(group) => self.commit(group),
                Next::Idle => self.sync(),
                Next::Closed => return self.sync(),
            }
        }
    }

    /// Makes durable what was acknowledged before it was.
    pub(super) fn sync(&self) {
        if let Err(reason) = lock(&self.writer).sync() {
            error!("the journal cannot be made durable: {reason}");
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Closes the queue when the writer thread ends, however it ends.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take_all());
    }
}

/// A panic under one of these locks has been reported by the thread that panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
