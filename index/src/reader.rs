//! Published splits as pieces: opened when they are needed, kept open up to a bound.
//!
//! When a split cannot be read all of it is read once, to tell what is damaged from what is not there
//! at the moment. What is left of a damaged split goes on being searched.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use logwarden_event::{Event, SplitId, TimeRange, Timestamp};
use logwarden_store::Blobs;
use tracing::{error, warn};

use crate::cache::Cache;
use crate::columnstore::PartCache;
use crate::config::Config;
use crate::damage::{Damage, Found, examine};
use crate::error::IndexError;
use crate::lookup::Lookup;
use crate::metrics::{SPLITS_DAMAGED_TOTAL, SPLITS_OPENED_TOTAL, SPLITS_UNREADABLE_TOTAL};
use crate::piece::{Counted, FieldStat, GroupPart, Grouped, Piece, UnreadableSplit};
use crate::split::{Known, Split, SplitMeta};

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

    /// The split, open, without what is damaged. Blocks while it is being opened.
    fn open(
        &self,
        meta: &SplitMeta,
        damage: Option<Arc<Damage>>,
    ) -> Result<Arc<Split>, IndexError> {
        // One that was opened before its damage was known is not taken.
        if let Some(split) =
            self.open.get(meta.id).filter(|split| split.damage() == damage.as_deref())
        {
            return Ok(split);
        }
        ::metrics::counter!(SPLITS_OPENED_TOTAL).increment(1);
        let (blobs, parts) = (Arc::clone(&self.blobs), Arc::clone(&self.parts));
        let split = Arc::new(Split::open(blobs, meta.clone(), parts, damage)?);
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
    /// Held while all of it is read, which one thread does for all.
    examining: Mutex<()>,
}

/// What is known about whether a split can be read.
#[derive(Debug, Clone)]
enum Health {
    Unknown,
    Readable,
    /// Some of it is lost.
    Damaged(Arc<Damage>),
    /// All of it is lost.
    Lost {
        reason: String,
    },
    /// It could not be read, which may pass.
    Unreadable {
        reason: String,
        since: Instant,
    },
}

impl SplitPiece {
    /// The split that the catalog knows as `meta`; it is not opened yet.
    pub(crate) fn new(meta: SplitMeta, readers: Arc<Readers>) -> Self {
        Self { meta, readers, health: Mutex::new(Health::Unknown), examining: Mutex::default() }
    }

    /// The split, open; remembers whether that worked. Blocks.
    pub(crate) fn open(&self) -> Result<Arc<Split>, IndexError> {
        self.read(|_| Ok(())).map(|(split, ())| split)
    }

    /// Opens the split and reads it; once more when it turns out that some of it is damaged, without
    /// that.
    fn read<T>(
        &self,
        mut read: impl FnMut(&Split) -> Result<T, IndexError>,
    ) -> Result<(Arc<Split>, T), IndexError> {
        let mut attempt = || {
            let split = self.readers.open(&self.meta, self.damage())?;
            let done = read(&split)?;
            Ok((split, done))
        };
        let done = match attempt() {
            Err(error) if self.examine(&error) => attempt(),
            done => done,
        };
        if done.is_ok() {
            let mut health = self.health();
            if matches!(*health, Health::Unknown | Health::Unreadable { .. }) {
                *health = Health::Readable;
            }
        }
        done
    }

    /// Finds out why reading failed and remembers it; `true`: it is worth another attempt. Blocks, and
    /// reads all of the split.
    pub(crate) fn examine(&self, error: &IndexError) -> bool {
        let known = self.damage();
        let _one = self.examining.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_lost() || self.damage() != known {
            return !self.is_lost();
        }
        let id = self.meta.id;
        let found = examine(&self.readers.blobs, &self.meta);
        let mut health = self.health();
        match found {
            Found::Parts(damage) if damage.is_none() => {
                warn!(split = %id, %error, "split {id} could not be read, now it can");
                true
            }
            Found::Parts(damage) if known.as_deref() == Some(&damage) => false,
            Found::Parts(damage) => {
                ::metrics::counter!(SPLITS_DAMAGED_TOTAL).increment(1);
                error!(
                    split = %id, events = damage.rows(), %error,
                    "split {id} is damaged, {} events of it cannot be read", damage.rows(),
                );
                self.readers.forget(id);
                *health = Health::Damaged(Arc::new(damage));
                true
            }
            Found::Whole(reason) => {
                ::metrics::counter!(SPLITS_DAMAGED_TOTAL).increment(1);
                error!(split = %id, reason, "nothing of split {id} can be read");
                *health = Health::Lost { reason };
                false
            }
            Found::Unavailable(_) => {
                ::metrics::counter!(SPLITS_UNREADABLE_TOTAL).increment(1);
                error!(split = %id, %error, "split {id} cannot be read now");
                *health = Health::Unreadable { reason: error.to_string(), since: Instant::now() };
                false
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of it is damaged, when that is known and something is left.
    pub(crate) fn damage(&self) -> Option<Arc<Damage>> {
        match &*self.health() {
            Health::Damaged(damage) => Some(Arc::clone(damage)),
            _ => None,
        }
    }

    /// Whether some or all of it is lost.
    pub(crate) fn is_damaged(&self) -> bool {
        matches!(*self.health(), Health::Damaged(_) | Health::Lost { .. })
    }

    /// Whether all of it is lost.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(*self.health(), Health::Lost { .. })
    }

    /// Whether nobody has tried to open it yet, or not for a while since that failed.
    pub(crate) fn needs_opening(&self) -> bool {
        match &*self.health() {
            Health::Unknown => true,
            Health::Readable | Health::Damaged(_) | Health::Lost { .. } => false,
            Health::Unreadable { since, .. } => since.elapsed() >= RETRY_AFTER,
        }
    }

    /// What to say about it when it cannot be read.
    pub(crate) fn unreadable(&self) -> Option<UnreadableSplit> {
        let (Health::Unreadable { reason, .. } | Health::Lost { reason }) = self.health().clone()
        else {
            return None;
        };
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
        let mut next = 0;
        let mut search = |split: &Split| {
            split.search_from(lookup, range, (&mut next, Known::Nothing), &mut *visit)
        };
        self.read(&mut search).map(drop)
    }

    fn count_then_search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        counted: &mut dyn FnMut(Option<u64>) -> Option<TimeRange>,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let (count, mut known) = match range.overlaps(self.meta.first, self.meta.last) {
            true => self.read(|split| split.count_and_keep(lookup, range))?.1,
            false => (Some(0), Known::Nothing),
        };
        let is_inside = |wanted: &TimeRange| wanted.overlaps(self.meta.first, self.meta.last);
        let Some(wanted) = counted(count).filter(is_inside) else { return Ok(()) };
        let mut next = 0;
        let mut search = |split: &Split| {
            let known = std::mem::replace(&mut known, Known::Nothing);
            split.search_from(lookup, wanted, (&mut next, known), &mut *visit)
        };
        self.read(&mut search).map(drop)
    }

    fn count(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<u64>, IndexError> {
        if !range.overlaps(self.meta.first, self.meta.last) {
            return Ok(Some(0));
        }
        self.read(|split| split.count(lookup, range)).map(|(_, count)| count)
    }

    fn count_each(
        &self,
        lookup: &Lookup,
        ranges: &[TimeRange],
    ) -> Result<Option<Vec<u64>>, IndexError> {
        self.read(|split| split.count_each(lookup, ranges)).map(|(_, counts)| counts)
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
        // What was visited cannot be taken back: then the next call does without what is damaged.
        let has_visited = Cell::new(false);
        let mut visit = |counted: Counted<'_>| {
            has_visited.set(true);
            visit(counted)
        };
        match self.open()?.count_values(lookup, range, field, &mut visit) {
            Err(error) if self.examine(&error) && !has_visited.get() => {
                self.open()?.count_values(lookup, range, field, &mut visit)
            }
            done => done,
        }
    }

    fn count_groups(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        parts: &[GroupPart<'_>],
        visit: &mut dyn FnMut(Grouped<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        if !range.overlaps(self.meta.first, self.meta.last) {
            return Ok(true);
        }
        // What was visited cannot be taken back: then the next call does without what is damaged.
        let has_visited = Cell::new(false);
        let mut visit = |grouped: Grouped<'_>| {
            has_visited.set(true);
            visit(grouped)
        };
        match self.open()?.count_groups(lookup, range, parts, &mut visit) {
            Err(error) if self.examine(&error) && !has_visited.get() => {
                self.open()?.count_groups(lookup, range, parts, &mut visit)
            }
            done => done,
        }
    }

    fn lacks(&self, range: TimeRange) -> bool {
        self.damage().is_some_and(|damage| damage.lacks(range))
    }

    fn fields(&self) -> Vec<FieldStat> {
        self.open().map(|split| split.footer.fields.clone()).unwrap_or_default()
    }
}
