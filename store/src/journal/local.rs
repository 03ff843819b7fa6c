//! The embedded journal: segments in the data directory, one writer, readers in memory and on disk.
//!
//! [`Driver::Threads`] is what a node runs: one thread writes, one makes the next segment and
//! watches the room. [`Driver::Inline`] does the same work on the caller's thread, one group at a
//! time, so that a simulation repeats from its seed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use logwarden_event::{Clock, Position, Timestamp};
use metrics::counter;
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::batch::Batch;
use super::cache::part_of;
use super::damage::{self, Lost};
use super::idempotency::{Claim, Reservation};
use super::queue::Submission;
use super::recovery;
use super::segment;
use super::shared::{Shared, lock};
use super::space::{self, Level, Space};
use super::{
    Append, AppendOutcome, Chunk, IdempotencyKey, Journal, JournalError, JournalHealth,
    JournalState,
};
use crate::Recovery;
use crate::catalog::{Catalog, CatalogError};
use crate::config::{Config, OnFull};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::metrics::{JOURNAL_READS_DISK, JOURNAL_READS_MEMORY, JOURNAL_REFUSED_FULL};
use crate::random::Entropy;

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

    /// Whether records are lost of which nobody has taken note.
    pub(crate) fn is_damaged(&self) -> bool {
        self.shared.is_degraded.load(Ordering::Relaxed)
    }

    /// Puts damage that recovery has not seen on record, once. Reading goes on behind it.
    async fn note_damage(&self, lost: Lost) {
        let shared = &self.shared;
        let _one_at_a_time = shared.reporting.lock().await;
        let drafts = match self.driver {
            Driver::Inline => shared.note_damage(lost),
            Driver::Threads => {
                let shared = Arc::clone(shared);
                let noted = tokio::task::spawn_blocking(move || shared.note_damage(lost));
                noted.await.unwrap_or_default()
            }
        };
        if drafts.is_empty() {
            return;
        }
        match self.append(Append { drafts, ..Append::default() }).await {
            Ok(AppendOutcome::Appended(_)) => shared.forget_unreported(),
            // The next start puts it on record.
            other => warn!("what is lost is not on record yet: {other:?}"),
        }
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
    async fn offer(&self, append: &mut Append) -> Result<AppendOutcome, JournalError> {
        let shared = &self.shared;
        if shared.queue.is_closed() {
            return Err(JournalError::Closed);
        }
        // What the server says of itself is little, and must be said while there is room for it.
        let is_own = append.drafts.iter().all(|draft| draft.kind.is_own());
        let reservation = match append.idempotency {
            Some(key) => match self.claim(key).await? {
                Claimed::Answer(outcome) => return Ok(outcome),
                Claimed::Mine(reservation) => Some(reservation),
            },
            None => None,
        };
        if self.driver == Driver::Inline {
            shared.look_once();
        }
        if let Some(fullness) = shared.space.refusal(shared.clock.now())
            && !(is_own && shared.space.has_spare())
        {
            counter!(JOURNAL_REFUSED_FULL).increment(1);
            return Ok(AppendOutcome::Full(fullness));
        }
        let batch = Batch::encode(append)?;
        let permit = Some(shared.wait_for_room(batch.group_bytes()).await?);
        let (answer, mut answered) = oneshot::channel();
        let submission = Submission { batch, reservation, answer, permit };
        if !shared.queue.push(submission) {
            return Err(JournalError::Closed);
        }
        let answered = if self.driver == Driver::Inline {
            // Others may join the group.
            tokio::task::yield_now().await;
            shared.commit(shared.queue.take());
            // Whoever took this batch has answered before it let others run.
            answered.try_recv().map_err(|_| JournalError::Closed)?
        } else {
            answered.await.map_err(|_| JournalError::Closed)?
        };
        if let Some(batch) = answered.back {
            batch.give_back(append);
        }
        shared.spill_when_over_memory().await;
        answered.outcome
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
        let (chunk, lost) = match self.driver {
            Driver::Inline => shared.reader.read(seq, records_max, end)?,
            Driver::Threads => {
                let shared = Arc::clone(shared);
                tokio::task::spawn_blocking(move || shared.reader.read(seq, records_max, end))
                    .await
                    .map_err(|error| JournalError::Failed(error.to_string()))??
            }
        };
        if let Some(lost) = lost {
            self.note_damage(lost).await;
        }
        Ok(chunk)
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
            volume_bytes: shared.space.volume_bytes(),
            room_bytes: match shared.on_full {
                OnFull::Reject => shared.space.room_bytes(),
                OnFull::DropOldest => u64::MAX,
            },
            used_bytes: shared.segments.size_bytes(),
            durability: shared.durability,
            last_append_at: (last != i64::MIN).then(|| Timestamp::from_nanos(last)),
        }
    }

    async fn close(&self) {
        // The threads end within one group; waiting for them here keeps the order of the stop.
        self.stop();
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, work: fn(&Shared)) -> Result<JoinHandle<()>, OpenError> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&shared))
        .map_err(|error| OpenError::io_at(name, &error))
}

pub(super) fn failed(error: &CatalogError) -> JournalError {
    JournalError::Failed(format!("idempotency keys: {error}"))
}
