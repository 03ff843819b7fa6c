//! The writer's core: takes batches, makes one durable group of them, tells what became of it.
//!
//! Synchronous, one caller at a time, no threads and no waiting of its own, so that the embedded
//! journal and the simulations drive the same code. A group is durable when [`Writer::commit`] has
//! returned [`Committed::Durable`]. A failed sync is never repeated on the same file: the group is
//! written again, with the same seqs, into a new segment; when that fails too the writer stops.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use logwarden_event::{Clock, Timestamp};
use metrics::{counter, histogram};
use tracing::{error, warn};

use super::Record;
use super::batch::{self, Batch};
use super::format::{self, BLOCK_BYTES, Salt, SegmentHeader};
use super::segment::{self, Prepared, Segment, Segments};
use crate::config::Durability;
use crate::disk::{Disk, DiskFile, is_no_room};
use crate::metrics::{
    JOURNAL_BYTES, JOURNAL_GROUPS, JOURNAL_RECORDS, JOURNAL_SYNC_FAILURES, JOURNAL_SYNC_SECONDS,
};
use crate::random::Entropy;

/// The first segment after a start is small, so that starting is quick.
pub(crate) const OPENING_BYTES: u64 = 8 * 1024 * 1024;

/// Files a segment is tried to be made in before the writer gives up.
const SEGMENT_ATTEMPTS: usize = 2;

/// A group that is durable and can be read.
pub(crate) struct Committed {
    /// The seq of the first record of every batch, in order.
    pub(crate) firsts: Vec<u64>,
    /// When the group was written.
    pub(crate) at: Timestamp,
    /// All records, stamped.
    pub(crate) records: Arc<[Record]>,
}

/// Why a group is not known to be durable.
pub(crate) enum Uncommitted {
    /// There is no room for another segment. Nothing was written.
    NoRoom,
    /// Nothing was written, and nothing will be.
    Stopped(String),
    /// It may be durable or not. Nothing more will be written.
    Unknown,
}

/// What the writer needs to know about its journal.
pub(crate) struct WriterSettings {
    pub(crate) identity: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) durability: Durability,
}

/// Writes groups into segments.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    settings: WriterSettings,
    segments: Arc<Segments>,
    prepared: Arc<PreparedSlot>,
    entropy: Entropy,
    open: Option<OpenSegment>,
    next_seq: u64,
    last_observed: Timestamp,
    files_made: u64,
    buffer: Vec<u8>,
    stopped: Option<String>,
}

struct OpenSegment {
    file: Arc<dyn DiskFile>,
    salt: Salt,
    offset: u64,
    capacity_bytes: u64,
    has_unsynced: bool,
}

/// The next segment, when it was made in advance.
#[derive(Default)]
pub(crate) struct PreparedSlot {
    prepared: Mutex<Option<Prepared>>,
}

impl PreparedSlot {
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    pub(crate) fn put(&self, prepared: Prepared) {
        *self.lock() = Some(prepared);
    }

    fn take(&self, bytes_min: u64) -> Option<Prepared> {
        let mut slot = self.lock();
        if slot.as_ref()?.capacity_bytes < bytes_min { None } else { slot.take() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Prepared>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt to write a group that did not work.
enum WriteError {
    NoRoom,
    /// Nothing of the group was written.
    Before(io::Error),
    /// Some of it may be on the disk.
    During(io::Error),
}

impl Writer {
    /// A writer that goes on at `next_seq`, in a new segment.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        settings: WriterSettings,
        segments: Arc<Segments>,
        entropy: Entropy,
        (next_seq, last_observed): (u64, Timestamp),
    ) -> Self {
        Self {
            disk,
            clock,
            settings,
            segments,
            prepared: Arc::default(),
            entropy,
            open: None,
            next_seq,
            last_observed,
            files_made: 0,
            buffer: Vec::new(),
            stopped: None,
        }
    }

    /// Where the next segment can be left when it is made in advance.
    pub(crate) fn prepared_slot(&self) -> Arc<PreparedSlot> {
        Arc::clone(&self.prepared)
    }

    /// Whether the open segment is half full, so that the next one will soon be needed.
    pub(crate) fn needs_next_segment(&self) -> bool {
        let is_half_full =
            |open: &OpenSegment| open.offset > open.capacity_bytes / 2 || open.capacity_bytes == 0;
        self.open.as_ref().is_some_and(is_half_full) && self.prepared.is_empty()
    }

    /// Makes the first segment of a new journal, so that its identity is durable before anybody
    /// can name it. Without room it comes with the first batch.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        match self.rotate(0, self.clock.now()) {
            Ok(()) | Err(WriteError::NoRoom) => Ok(()),
            Err(WriteError::Before(error) | WriteError::During(error)) => Err(error),
        }
    }

    /// Makes one durable group of `batches`.
    pub(crate) fn commit(
        &mut self,
        mut batches: Vec<Batch>,
    ) -> Result<Committed, (Uncommitted, Vec<Batch>)> {
        if let Some(reason) = &self.stopped {
            return Err((Uncommitted::Stopped(reason.clone()), batches));
        }
        let now = self.clock.now();
        let firsts = self.stamp(&mut batches, now);
        let failure = match self.write(&batches, now) {
            Ok(()) => {
                let records = batches.into_iter().flat_map(Batch::into_records).collect();
                return Ok(Committed { firsts, at: self.last_observed, records });
            }
            Err(WriteError::NoRoom) => Uncommitted::NoRoom,
            Err(WriteError::Before(error)) => {
                self.stop(&error);
                Uncommitted::Stopped(error.to_string())
            }
            Err(WriteError::During(error)) => {
                self.stop(&error);
                Uncommitted::Unknown
            }
        };
        Err((failure, batches))
    }

    /// Makes durable what was acknowledged without a sync.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        let Some(open) = self.open.as_mut().filter(|open| open.has_unsynced) else {
            return Ok(());
        };
        if let Err(error) = open.file.sync() {
            counter!(JOURNAL_SYNC_FAILURES).increment(1);
            self.stop(&error);
            return Err(error.to_string());
        }
        open.has_unsynced = false;
        Ok(())
    }

    fn stop(&mut self, error: &io::Error) {
        error!(error = %error, "journal stopped writing: {error}");
        self.open = None;
        self.stopped = Some(error.to_string());
    }

    fn stamp(&mut self, batches: &mut [Batch], now: Timestamp) -> Vec<u64> {
        let mut seq = self.next_seq;
        let firsts = batches
            .iter_mut()
            .map(|batch| {
                let first = seq;
                batch.stamp(first, now, &mut self.last_observed);
                seq += batch.len() as u64;
                first
            })
            .collect();
        // A batch without records has a time too.
        self.last_observed = self.last_observed.max(now);
        firsts
    }

    /// Writes and syncs a group, into another segment when the sync fails.
    fn write(&mut self, batches: &[Batch], now: Timestamp) -> Result<(), WriteError> {
        let needed = batch::group_bytes(batches) as u64;
        self.make_room(needed, now)?;
        let Err(error) = self.write_into_open(batches, needed) else {
            return Ok(());
        };
        counter!(JOURNAL_SYNC_FAILURES).increment(1);
        warn!(error = %error, "sync failed, the group goes into a new segment: {error}");
        // Whatever the file holds behind the last durable group is ignored by recovery: the new
        // segment begins with the same seq.
        self.open = None;
        self.rotate(needed, now).map_err(|second| match second {
            // Part of the group may be on the disk now, in the segment that failed.
            WriteError::NoRoom => WriteError::During(error),
            WriteError::Before(second) | WriteError::During(second) => WriteError::During(second),
        })?;
        self.write_into_open(batches, needed).map_err(WriteError::During)
    }

    fn write_into_open(&mut self, batches: &[Batch], needed: u64) -> io::Result<()> {
        let open = self.open.as_mut().expect("room was made in an open segment");
        let seq_first = self.next_seq;
        batch::write_group(batches, seq_first, self.last_observed, &open.salt, &mut self.buffer);
        debug_assert_eq!(self.buffer.len() as u64, needed);
        let begun = Instant::now();
        open.file.write_all_at(&self.buffer, open.offset)?;
        match self.settings.durability {
            Durability::Fsync => open.file.sync()?,
            Durability::UnsafeIntervalMs => open.has_unsynced = true,
        }
        histogram!(JOURNAL_SYNC_SECONDS).record(begun.elapsed().as_secs_f64());
        let records: usize = batches.iter().map(Batch::len).sum();
        counter!(JOURNAL_GROUPS).increment(1);
        counter!(JOURNAL_RECORDS).increment(records as u64);
        counter!(JOURNAL_BYTES).increment(needed);
        self.next_seq += records as u64;
        self.segments.push_group(seq_first, self.next_seq, open.offset, needed);
        open.offset += needed;
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Makes sure that the open segment has `needed` bytes left.
    fn make_room(&mut self, needed: u64, now: Timestamp) -> Result<(), WriteError> {
        let has_room =
            |open: &OpenSegment| open.capacity_bytes.saturating_sub(open.offset) >= needed;
        if self.open.as_ref().is_some_and(has_room) {
            return Ok(());
        }
        // Recovery trusts every segment but the newest, so it must be durable before it is left.
        self.sync().map_err(|reason| WriteError::Before(io::Error::other(reason)))?;
        self.rotate(needed, now)
    }

    /// Opens a new segment that begins with the next seq.
    fn rotate(&mut self, needed: u64, now: Timestamp) -> Result<(), WriteError> {
        let mut attempt = 1;
        loop {
            match self.open_segment(needed, now) {
                Ok(()) => return Ok(()),
                Err(error) if is_no_room(&error) => return Err(WriteError::NoRoom),
                Err(error) if attempt == SEGMENT_ATTEMPTS => return Err(WriteError::Before(error)),
                Err(error) => {
                    counter!(JOURNAL_SYNC_FAILURES).increment(1);
                    warn!(error = %error, "a segment cannot be made, another try: {error}");
                    attempt += 1;
                }
            }
        }
    }

    fn open_segment(&mut self, needed: u64, now: Timestamp) -> io::Result<()> {
        let salt = self.entropy.bytes16();
        let carried = self.carried(&salt)?;
        let bytes_min = needed + (BLOCK_BYTES + carried.len()) as u64;
        let prepared = match self.prepared.take(bytes_min) {
            Some(prepared) => prepared,
            None => {
                self.files_made += 1;
                let name = format!("opening-{}", self.files_made);
                let capacity_bytes = self.settings.segment_bytes.min(OPENING_BYTES).max(bytes_min);
                segment::prepare(&*self.disk, &name, capacity_bytes)?
            }
        };
        let header = SegmentHeader {
            identity: self.settings.identity,
            salt,
            base_seq: self.next_seq,
            base_hash: [0; 32],
            created_at: now,
        };
        if let Err(error) = segment::put_to_use(&*self.disk, &prepared, &header, &carried) {
            // It may have its name already; the next attempt replaces it, recovery finds it empty.
            let _ = self.disk.remove(&prepared.path);
            return Err(error);
        }
        self.segments.add(Segment::new(header.base_seq, header.salt, prepared.capacity_bytes));
        self.open = Some(OpenSegment {
            file: prepared.file,
            salt: header.salt,
            offset: (BLOCK_BYTES + carried.len()) as u64,
            capacity_bytes: prepared.capacity_bytes,
            has_unsynced: false,
        });
        Ok(())
    }

    /// What the newest segment holds when the new one takes its name: groups without records of
    /// their own, which are nothing but receipts, sealed for the new segment.
    fn carried(&self, salt: &Salt) -> io::Result<Vec<u8>> {
        let mut carried = Vec::new();
        if !self.segments.has_base(self.next_seq) {
            return Ok(carried);
        }
        let file = self.disk.open(&segment::path_of(self.next_seq))?;
        let mut bytes = vec![0; file.size_bytes()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes)
            .map_err(|error| io::Error::other(format!("its header is damaged: {error:?}")))?;
        let mut offset = BLOCK_BYTES;
        while let Some(group) =
            bytes.get(offset..).and_then(|bytes| format::read_group(bytes, &header.salt))
        {
            // A group with records here is one whose sync failed: it is about to come again.
            if group.commit.seq_next == self.next_seq {
                format::reseal(&group, &bytes[offset..], salt, &mut carried);
            }
            offset += group.len;
        }
        Ok(carried)
    }
}

/// A buffer larger than this is not kept for the next group.
const BUFFER_KEPT_BYTES: usize = 16 * 1024 * 1024;
