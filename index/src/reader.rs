//! Published splits as pieces: opened when they are needed, kept open up to a bound.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use logwarden_event::{Event, SplitId, TimeRange, Timestamp};
use logwarden_store::Blobs;
use tracing::error;

use crate::cache::Cache;
use crate::columnstore::PartCache;
use crate::config::Config;
use crate::error::IndexError;
use crate::lookup::Lookup;
use crate::metrics::{SPLITS_OPENED_TOTAL, SPLITS_UNREADABLE_TOTAL};
use crate::piece::{Counted, FieldStat, Piece, UnreadableSplit};
use crate::split::{Split, SplitMeta};

/// How long a split that could not be read is not tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Opens splits and keeps the ones used last open.
pub(crate) struct Readers {
    blobs: Arc<dyn Blobs>,
    open: Cache<SplitId, Arc<Split>>,
    parts: Arc<PartCache>,
}

impl Readers {
    /// Nothing is open yet.
    pub(crate) fn new(blobs: Arc<dyn Blobs>, config: &Config) -> Self {
        Self {
            blobs,
            open: Cache::new(config.open_splits_max),
            parts: Arc::new(Cache::new(config.block_cache_bytes_max)),
        }
    }

    /// The split, open. Blocks while it is being opened.
    pub(crate) fn open(&self, meta: &SplitMeta) -> Result<Arc<Split>, IndexError> {
        if let Some(split) = self.open.get(meta.id) {
            return Ok(split);
        }
        ::metrics::counter!(SPLITS_OPENED_TOTAL).increment(1);
        let (blobs, parts) = (Arc::clone(&self.blobs), Arc::clone(&self.parts));
        let split = Arc::new(Split::open(blobs, meta.clone(), parts)?);
        self.open.insert(meta.id, Arc::clone(&split), 1);
        Ok(split)
    }

    /// Forgets everything of a split.
    pub(crate) fn forget(&self, id: SplitId) {
        self.open.retain(|open| *open != id);
        self.parts.retain(|(split, ..)| *split != id);
    }
}

/// A published split.
pub(crate) struct SplitPiece {
    /// What the catalog knows about it.
    pub(crate) meta: SplitMeta,
    readers: Arc<Readers>,
    health: Mutex<Health>,
}

/// What is known about whether a split can be read.
#[derive(Debug, Clone)]
enum Health {
    Unknown,
    Readable,
    Unreadable { reason: String, since: Instant },
}

impl SplitPiece {
    /// The split that the catalog knows as `meta`; it is not opened yet.
    pub(crate) fn new(meta: SplitMeta, readers: Arc<Readers>) -> Self {
        Self { meta, readers, health: Mutex::new(Health::Unknown) }
    }

    /// The split, open; remembers whether that worked. Blocks.
    pub(crate) fn open(&self) -> Result<Arc<Split>, IndexError> {
        let opened = self.readers.open(&self.meta);
        let health = match &opened {
            Ok(_) => Health::Readable,
            Err(error) => {
                ::metrics::counter!(SPLITS_UNREADABLE_TOTAL).increment(1);
                error!(split = %self.meta.id, %error, "split {} cannot be read", self.meta.id);
                Health::Unreadable { reason: error.to_string(), since: Instant::now() }
            }
        };
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
        opened
    }

    /// Whether nobody has tried to open it yet, or not for a while since that failed.
    pub(crate) fn needs_opening(&self) -> bool {
        match &*self.health.lock().unwrap_or_else(PoisonError::into_inner) {
            Health::Unknown => true,
            Health::Readable => false,
            Health::Unreadable { since, .. } => since.elapsed() >= RETRY_AFTER,
        }
    }

    /// What to say about it when it cannot be read.
    pub(crate) fn unreadable(&self) -> Option<UnreadableSplit> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Health::Unreadable { reason, .. } = health else { return None };
        Some(UnreadableSplit {
            name: self.name(),
            reason,
            first: self.meta.first,
            last: self.meta.last,
            event_count: self.meta.event_count,
        })
    }
}

impl Piece for SplitPiece {
    fn name(&self) -> String {
        format!("split-{}", self.meta.id)
    }

    fn time_span(&self) -> (Timestamp, Timestamp) {
        (self.meta.first, self.meta.last)
    }

    fn event_count(&self) -> u64 {
        self.meta.event_count
    }

    fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        if !range.overlaps(self.meta.first, self.meta.last) {
            return Ok(());
        }
        self.open()?.search(lookup, range, visit)
    }

    fn count(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<u64>, IndexError> {
        if !range.overlaps(self.meta.first, self.meta.last) {
            return Ok(Some(0));
        }
        self.open()?.count(lookup, range)
    }

    fn count_each(
        &self,
        lookup: &Lookup,
        ranges: &[TimeRange],
    ) -> Result<Option<Vec<u64>>, IndexError> {
        self.open()?.count_each(lookup, ranges)
    }

    fn count_values(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        field: &str,
        visit: &mut dyn FnMut(Counted<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        if !range.overlaps(self.meta.first, self.meta.last) {
            return Ok(true);
        }
        self.open()?.count_values(lookup, range, field, visit)
    }

    fn fields(&self) -> Vec<FieldStat> {
        self.open().map(|split| split.footer.fields.clone()).unwrap_or_default()
    }
}
