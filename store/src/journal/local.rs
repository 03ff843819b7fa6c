//! The embedded journal: segments in the data directory, one writer, readers in memory and on disk.
//!
//! [`Driver::Threads`] is what a node runs: one thread writes, one makes the next segment and
//! watches the room. [`Driver::Inline`] does the same work on the caller's thread, one group at a
//! time, so that a simulation repeats from its seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use logwarden_event::{Clock, Position, Timestamp};
use metrics::counter;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{error, info, warn};

use super::batch::Batch;
use super::cache::{Cache, part_of};
use super::damage;
use super::idempotency::{Claim, Keys, Known, Reservation};
use super::queue::{Next, Queue, Submission};
use super::reader::Reader;
use super::recovery::{self, Recovered};
use super::segment::{self, Segments};
use super::space::{self, Level, Space};
use super::writer::{Committed, PreparedSlot, Writer, WriterSettings};
use super::{
    Append, AppendOutcome, Chunk, Fullness, IdempotencyKey, Journal, JournalError, JournalHealth,
    JournalState, Receipt,
};
use crate::Recovery;
use crate::catalog::{Catalog, CatalogError};
use crate::config::{Config, Durability, OnFull};
use crate::disk::{Disk, is_no_room};
use crate::error::OpenError;
use crate::metrics::{
    JOURNAL_QUEUE_WAITS, JOURNAL_READS_DISK, JOURNAL_READS_MEMORY, JOURNAL_REFUSED_FULL,
    WAL_SEGMENTS_DROPPED, WAL_SEGMENTS_TRIMMED,
};
use crate::random::Entropy;

/// Encoded batches under way, in KiB; more wait at their callers.
const QUEUE_KIB_MAX: u32 = 32 * 1024;
/// How often the room is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Looks after which all files are counted.
const LOOKS_PER_COUNT: u32 = 10;
/// How long the writer thread sleeps when nothing comes.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Threads of its own.
    Threads,
    /// Whoever calls.
    Inline,
}

/// What a journal is opened with.
pub(crate) struct Setup<'a> {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: &'a Config,
    pub(crate) entropy: Entropy,
    pub(crate) driver: Driver,
}

/// The journal of one data directory.
pub(crate) struct LocalJournal {
    shared: Arc<Shared>,
    driver: Driver,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    identity: [u8; 16],
    on_full: OnFull,
    sync_interval: Option<Duration>,
    consumers: Vec<String>,
    segment_bytes: u64,
    segments: Arc<Segments>,
    reader: Reader,
    cache: Mutex<Cache>,
    keys: Arc<Keys>,
    holds: Mutex<BTreeMap<String, u64>>,
    space: Space,
    queue: Queue,
    queue_room: Arc<Semaphore>,
    writer: Mutex<Writer>,
    prepared: Arc<PreparedSlot>,
    files_prepared: Mutex<u64>,
    end: watch::Sender<End>,
    last_append_at: AtomicI64,
    has_failed: AtomicBool,
    is_degraded: AtomicBool,
    /// One at a time moves keys or removes segments.
    trimming: tokio::sync::Mutex<()>,
    upkeep: Upkeep,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy)]
struct End {
    seq: u64,
    is_closed: bool,
}

/// Wakes the thread that keeps things in order.
#[derive(Default)]
struct Upkeep {
    is_wanted: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl LocalJournal {
    /// Recovers the segments and opens them. Their tables in the catalog are up to date.
    pub(crate) fn open(mut setup: Setup<'_>) -> Result<(Self, Recovery), OpenError> {
        let disk = Arc::clone(&setup.disk);
        let io = |error: std::io::Error| OpenError::io_at("", &error);
        let volume = disk.volume().map_err(io)?;
        let (segment_bytes, reserve_bytes) = space::sizes(
            setup.config.segment_bytes,
            setup.config.reserve_bytes,
            volume.total_bytes,
        );
        let space = Space::new(Arc::clone(&disk), setup.config.bytes_max, reserve_bytes);
        // First of all: on a full disk the reserve makes room for recovery.
        space.count_used().map_err(io)?;
        space.look(setup.clock.now()).map_err(io)?;
        let recovered = recovery::recover(&*disk, setup.config.on_corruption, &mut setup.entropy)?;
        let report = recovered.report.clone();
        let entropy = std::mem::replace(&mut setup.entropy, Entropy::System);
        let shared = Arc::new(Shared::new(&setup, space, segment_bytes, recovered, entropy));
        if shared.segments.is_empty() {
            let begun = lock(&shared.writer).begin();
            begun.map_err(|error| OpenError::io_at(segment::DIR, &error))?;
        }
        shared.report_damage()?;
        let mut threads = Vec::new();
        if setup.driver == Driver::Threads {
            threads.push(spawn("journal-write", &shared, Shared::write_until_closed)?);
            threads.push(spawn("journal-upkeep", &shared, Shared::keep_in_order)?);
        }
        let driver = setup.driver;
        Ok((Self { shared, driver, threads: Mutex::new(threads) }, report))
    }

    /// Refuses more batches, writes those that wait, and waits for the threads.
    fn stop(&self) {
        self.shared.queue.close();
        self.shared.upkeep.close();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                error!("a thread of the journal panicked");
            }
        }
        if self.driver == Driver::Inline {
            self.shared.commit(self.shared.queue.take());
            self.shared.sync();
        }
        self.shared.end.send_modify(|end| end.is_closed = true);
    }

    async fn claim(&self, key: IdempotencyKey) -> Result<Claimed, JournalError> {
        loop {
            let now = self.shared.clock.now();
            match self.shared.keys.claim(key, now) {
                Claim::Answer(outcome) => return Ok(Claimed::Answer(outcome)),
                Claim::Wait(mut done) => {
                    // An error says that it is done, one way or the other.
                    let _ = done.changed().await;
                }
                Claim::Mine(reservation) => {
                    let catalog = &*self.shared.catalog;
                    let found = self.shared.keys.find_spilled(catalog, key, now).await;
                    return match found.map_err(|error| failed(&error))? {
                        Some(outcome) => Ok(Claimed::Answer(outcome)),
                        None => Ok(Claimed::Mine(reservation)),
                    };
                }
            }
        }
    }
}

enum Claimed {
    Mine(Reservation),
    Answer(AppendOutcome),
}

impl Drop for LocalJournal {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait]
impl Journal for LocalJournal {
    async fn append(&self, batch: Append) -> Result<AppendOutcome, JournalError> {
        let shared = &self.shared;
        if shared.queue.is_closed() {
            return Err(JournalError::Closed);
        }
        let batch = Batch::encode(batch)?;
        let reservation = match batch.key {
            Some(key) => match self.claim(key).await? {
                Claimed::Answer(outcome) => return Ok(outcome),
                Claimed::Mine(reservation) => Some(reservation),
            },
            None => None,
        };
        if self.driver == Driver::Inline {
            shared.look_once();
        }
        if let Some(fullness) = shared.space.refusal(shared.clock.now()) {
            counter!(JOURNAL_REFUSED_FULL).increment(1);
            return Ok(AppendOutcome::Full(fullness));
        }
        let permit = Some(shared.wait_for_room(batch.group_bytes()).await?);
        let (answer, mut answered) = oneshot::channel();
        let submission = Submission { batch, reservation, answer, permit };
        if !shared.queue.push(submission) {
            return Err(JournalError::Closed);
        }
        if self.driver == Driver::Inline {
            // Others may join the group.
            tokio::task::yield_now().await;
            shared.commit(shared.queue.take());
            // Whoever took this batch has answered before it let others run.
            let outcome = answered.try_recv().map_err(|_| JournalError::Closed)?;
            shared.spill_when_over_memory().await;
            return outcome;
        }
        let outcome = answered.await.map_err(|_| JournalError::Closed)?;
        shared.spill_when_over_memory().await;
        outcome
    }

    async fn read(&self, from: Position, records_max: usize) -> Result<Chunk, JournalError> {
        let shared = &self.shared;
        if from.lane != 0 {
            return Err(JournalError::Failed(format!("lane {} does not exist", from.lane)));
        }
        let seq = from.seq.max(1);
        let end = shared.wait_for(seq).await?;
        let cached = lock(&shared.cache).find(seq);
        if let Some((first, records)) = cached {
            counter!(JOURNAL_READS_MEMORY).increment(1);
            let records = part_of(&records, first, seq, records_max);
            let next = Position { lane: 0, seq: seq + records.len() as u64 };
            return Ok(Chunk::Records { records, next });
        }
        counter!(JOURNAL_READS_DISK).increment(1);
        if self.driver == Driver::Inline {
            return shared.reader.read(seq, records_max, end);
        }
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || shared.reader.read(seq, records_max, end))
            .await
            .map_err(|error| JournalError::Failed(error.to_string()))?
    }

    fn end(&self, lane: u32) -> Position {
        Position { lane, seq: if lane == 0 { self.shared.end.borrow().seq } else { 1 } }
    }

    fn start(&self, lane: u32) -> Position {
        let seq = if lane == 0 { self.shared.segments.start() } else { None };
        Position { lane, seq: seq.unwrap_or(1) }
    }

    fn identity(&self) -> [u8; 16] {
        self.shared.identity
    }

    fn hold(&self, consumer: &str, position: Position) {
        lock(&self.shared.holds).insert(consumer.to_owned(), position.seq);
    }

    async fn trim(&self) -> Result<(), JournalError> {
        self.shared.trim().await
    }

    async fn acknowledge_damage(&self) -> Result<(), JournalError> {
        let failed = |error: std::io::Error| JournalError::Failed(error.to_string());
        damage::acknowledge(&*self.shared.disk).map_err(failed)?;
        self.shared.is_degraded.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn health(&self) -> JournalHealth {
        let shared = &self.shared;
        let state = if shared.has_failed.load(Ordering::Relaxed) {
            JournalState::Failed
        } else if shared.space.level() != Level::Enough {
            JournalState::DiskFull
        } else if shared.is_degraded.load(Ordering::Relaxed) {
            JournalState::Degraded
        } else {
            JournalState::Ready
        };
        let last = shared.last_append_at.load(Ordering::Relaxed);
        JournalHealth {
            state,
            free_bytes: shared.space.free_bytes(),
            used_bytes: shared.segments.size_bytes(),
            last_append_at: (last != i64::MIN).then(|| Timestamp::from_nanos(last)),
        }
    }

    async fn close(&self) {
        // The threads end within one group; waiting for them here keeps the order of the stop.
        self.stop();
    }
}

impl Shared {
    fn new(
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
        let sync_interval = (config.durability == Durability::UnsafeIntervalMs)
            .then(|| Duration::from_millis(config.unsafe_interval_ms.max(1)));
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
            trimming: tokio::sync::Mutex::default(),
            upkeep: Upkeep::default(),
        }
    }

    /// Writes audit records about what recovery could not save.
    fn report_damage(&self) -> Result<(), OpenError> {
        let io = |error: std::io::Error| OpenError::io_at("damage", &error);
        let unreported = damage::unreported(&*self.disk).map_err(io)?;
        if unreported.is_empty() {
            return Ok(());
        }
        let drafts = unreported.iter().map(damage::Lost::to_draft).collect();
        let append = Append { drafts, ..Append::default() };
        let batch = match Batch::encode(append) {
            Ok(batch) => batch,
            Err(error) => {
                error!(error = %error, "what is lost cannot be put on record: {error}");
                return Ok(());
            }
        };
        let (answer, mut answered) = oneshot::channel();
        self.commit(vec![Submission { batch, reservation: None, answer, permit: None }]);
        match answered.try_recv() {
            Ok(Ok(AppendOutcome::Appended(_))) => {
                damage::forget_unreported(&*self.disk).map_err(io)
            }
            // The next start puts it on record.
            other => {
                warn!("what is lost is not on record yet: {other:?}");
                Ok(())
            }
        }
    }

    async fn wait_for_room(
        &self,
        bytes: usize,
    ) -> Result<tokio::sync::OwnedSemaphorePermit, JournalError> {
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
    async fn wait_for(&self, seq: u64) -> Result<u64, JournalError> {
        let mut end = self.end.subscribe();
        let found = end
            .wait_for(|end| end.seq > seq || end.is_closed)
            .await
            .map_err(|_| JournalError::Closed)?;
        if found.seq > seq { Ok(found.seq) } else { Err(JournalError::Closed) }
    }

    /// Makes one group of what was submitted, and answers everybody.
    fn commit(&self, submissions: Vec<Submission>) {
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
        let refusal: Result<AppendOutcome, JournalError> = match committed {
            Committed::Durable { firsts, at, records } => {
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
                    let _ = answer.send(Ok(AppendOutcome::Appended(receipt)));
                }
                return;
            }
            Committed::NoRoom => {
                let now = self.clock.now();
                self.space.ran_out(now);
                counter!(JOURNAL_REFUSED_FULL).increment(waiting.len() as u64);
                let full = Fullness { is_full: true, retry_after_secs: 30 };
                Ok(AppendOutcome::Full(self.space.refusal(now).unwrap_or(full)))
            }
            Committed::Stopped(reason) => {
                self.has_failed.store(true, Ordering::Relaxed);
                Err(JournalError::Failed(reason))
            }
            Committed::Unknown => {
                self.has_failed.store(true, Ordering::Relaxed);
                Ok(AppendOutcome::Unknown)
            }
        };
        for (answer, _, reservation, _) in waiting {
            drop(reservation);
            let _ = answer.send(refusal.clone());
        }
    }

    /// Lets readers see a durable group.
    fn publish(&self, records: Arc<[super::Record]>, at: Timestamp) {
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
    fn write_until_closed(&self) {
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
    fn sync(&self) {
        if let Err(reason) = lock(&self.writer).sync() {
            error!("the journal cannot be made durable: {reason}");
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    /// The thread that makes the next segment and watches the room.
    fn keep_in_order(&self) {
        let mut looks = 0;
        while self.upkeep.wait(LOOK_INTERVAL) {
            self.prepare_next_segment();
            looks += 1;
            if looks % LOOKS_PER_COUNT == 0
                && let Err(error) = self.space.count_used()
            {
                warn!(error = %error, "the files cannot be counted: {error}");
            }
            self.look();
            if self.sync_interval.is_some() {
                self.sync();
            }
        }
    }

    /// What the two threads do between groups, on the caller's thread.
    fn look_once(&self) {
        if let Err(error) = self.space.count_used() {
            warn!(error = %error, "the files cannot be counted: {error}");
        }
        self.look();
        self.prepare_next_segment();
    }

    fn look(&self) {
        let now = self.clock.now();
        match self.space.look(now) {
            Ok(Level::Full) if self.on_full == OnFull::DropOldest => self.drop_oldest(now),
            Ok(_) => {}
            Err(error) => warn!(error = %error, "the room cannot be looked at: {error}"),
        }
    }

    fn prepare_next_segment(&self) {
        if !lock(&self.writer).needs_next_segment() {
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

    /// Gives up the oldest segments, read or not, until there is room.
    fn drop_oldest(&self, now: Timestamp) {
        while let Some(oldest) = self.segments.oldest_to_drop() {
            let path = segment::path_of(oldest.base_seq);
            warn!(segment.path = %path, "segment `{path}` is dropped to make room");
            let dropped = self.remove_segment(oldest.base_seq).and_then(|()| {
                counter!(WAL_SEGMENTS_DROPPED).increment(1);
                self.space.count_used()?;
                self.space.look(now)
            });
            match dropped {
                Ok(Level::Full) => {}
                Ok(_) => return,
                Err(error) => {
                    return error!(error = %error, "`{path}` cannot be dropped: {error}");
                }
            }
        }
    }

    fn remove_segment(&self, base_seq: u64) -> std::io::Result<()> {
        // Forgotten first: readers must not look for a file that is gone.
        self.segments.forget(base_seq);
        self.disk.remove(&segment::path_of(base_seq))?;
        self.disk.sync_dir(segment::DIR)
    }

    async fn trim(&self) -> Result<(), JournalError> {
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
    fn held_floor(&self) -> Option<u64> {
        let holds = lock(&self.holds);
        let all_said = self.consumers.iter().all(|consumer| holds.contains_key(consumer));
        if all_said { holds.values().copied().min() } else { None }
    }

    async fn spill_when_over_memory(&self) {
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

/// Closes the queue when the writer thread ends, however it ends.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take_all());
    }
}

impl Upkeep {
    fn wake(&self) {
        lock(&self.is_wanted).0 = true;
        self.changed.notify_one();
    }

    fn close(&self) {
        lock(&self.is_wanted).1 = true;
        self.changed.notify_one();
    }

    /// Waits for a wake or the interval; false when it is over.
    fn wait(&self, interval: Duration) -> bool {
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

fn spawn(name: &str, shared: &Arc<Shared>, work: fn(&Shared)) -> Result<JoinHandle<()>, OpenError> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&shared))
        .map_err(|error| OpenError::io_at(name, &error))
}

fn failed(error: &CatalogError) -> JournalError {
    JournalError::Failed(format!("idempotency keys: {error}"))
}

/// A panic under one of these locks has been reported by the thread that panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
