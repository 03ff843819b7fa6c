//! What a split has lost: blocks of rows of which a part is damaged.
//!
//! Nobody looks for damage. When reading a split fails, all of it is read once; what cannot be read
//! is left out from then on, everything else is found as before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::io::Read;
use std::ops::Range;

use bytes::Bytes;
use logwarden_event::{TimeRange, Timestamp};
use logwarden_store::{BlobError, Blobs};

use crate::cache::Cache;
use crate::columnstore::BlockView;
use crate::split::{Split, SplitMeta};

/// Bytes of parts kept while a split is read through: one block at a time.
const CACHE_BYTES: usize = 1 << 20;

/// What of a split cannot be read. Without any, it can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Blocks of rows, ascending.
    pub(crate) blocks: Vec<LostBlock>,
    /// The words of messages are lost: the rows they lead to are candidates of every lookup.
    pub(crate) has_no_words: bool,
    /// The filter is lost: it rules nothing out.
    pub(crate) has_no_filter: bool,
}

/// A block whose rows are lost, by what the footer says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostBlock {
    /// Its number.
    pub(crate) number: usize,
    /// How many rows.
    pub(crate) rows: u64,
    /// The smallest and the largest seq.
    pub(crate) seqs: (u64, u64),
    /// Times between which its events lie, both inside.
    pub(crate) times: (Timestamp, Timestamp),
}

/// What reading all of a split showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Parts of it are damaged, or none.
    Parts(Damage),
    /// Nothing of it can be read, for ever: why.
    Whole(String),
    /// It cannot be read now, which says nothing of what is stored: why.
    Unavailable(String),
}

impl Damage {
    /// Whether nothing is damaged.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the rows of a block are lost.
    pub(crate) fn has(&self, block: usize) -> bool {
        self.blocks.iter().any(|lost| lost.number == block)
    }

    /// How many rows are lost.
    pub(crate) fn rows(&self) -> u64 {
        self.blocks.iter().map(|lost| lost.rows).sum()
    }

    /// Whether events inside `range` are lost.
    pub(crate) fn lacks(&self, range: TimeRange) -> bool {
        self.blocks.iter().any(|lost| range.overlaps(lost.times.0, lost.times.1))
    }
}

/// Reads all of a split. Blocks.
pub(crate) fn examine(blobs: &Arc<dyn Blobs>, meta: &SplitMeta) -> Found {
    let watched =
        Arc::new(Watched { inner: Arc::clone(blobs), has_failed: AtomicBool::new(false) });
    let door: Arc<dyn Blobs> = Arc::clone(&watched) as _;
    let mut damage = Damage::default();
    let open = |damage: &Damage| {
        let known = Some(Arc::new(damage.clone()));
        Split::open(Arc::clone(&door), meta.clone(), Arc::new(Cache::new(CACHE_BYTES)), known)
    };
    let split = open(&damage).or_else(|_| {
        damage.has_no_words = true;
        open(&damage)
    });
    let found = match split {
        Ok(split) => {
            damage.has_no_words |= !split.has_words_whole();
            damage.has_no_filter = !split.has_filter_whole();
            damage.blocks = lost_blocks(&split, &watched.has_failed);
            Found::Parts(damage)
        }
        Err(error) => Found::Whole(error.to_string()),
    };
    match found {
        Found::Parts(damage) if damage.is_none() => Found::Parts(damage),
        _ if watched.has_failed.load(Ordering::Relaxed) => {
            Found::Unavailable("it cannot be read now".to_owned())
        }
        found => found,
    }
}

fn lost_blocks(split: &Split, has_failed: &AtomicBool) -> Vec<LostBlock> {
    let blocks = split.columns().blocks();
    let is_lost = |number: &usize| {
        let read = catch_unwind(AssertUnwindSafe(|| read_block(split, *number)));
        !matches!(read, Ok(Ok(())))
    };
    let lost = |number: usize| {
        let oldest = blocks.get(number + 1).map_or(split.footer.first, |next| next.newest);
        let (block, rows) = (&blocks[number], split.columns().rows_of(number));
        LostBlock {
            number,
            rows: rows.len() as u64,
            seqs: (block.seq_min, block.seq_max),
            times: (Timestamp::from_nanos(oldest), Timestamp::from_nanos(block.newest)),
        }
    };
    // When reading fails for another reason the rest would fail too, each part after its time.
    let blocks = (0..blocks.len()).take_while(|_| !has_failed.load(Ordering::Relaxed));
    blocks.filter(is_lost).map(lost).collect()
}

fn read_block(split: &Split, number: usize) -> Result<(), String> {
    let mut view = BlockView::new(split.columns(), number)?;
    let rows = split.columns().rows_of(number).len();
    (0..rows).try_for_each(|row| view.event(split.footer.lane, row).map(drop))
}

/// Notes when reading fails for another reason than that something is damaged or not there.
struct Watched {
    inner: Arc<dyn Blobs>,
    has_failed: AtomicBool,
}

impl Watched {
    fn note<T>(&self, read: Result<T, BlobError>) -> Result<T, BlobError> {
        let is_about_the_blob =
            matches!(read, Ok(_) | Err(BlobError::Damaged { .. } | BlobError::NotFound(_)));
        self.has_failed.fetch_or(!is_about_the_blob, Ordering::Relaxed);
        read
    }
}

impl Blobs for Watched {
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError> {
        self.inner.put_new(name, content)
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.note(self.inner.get_range(name, range))
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        self.note(self.inner.size_bytes(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.inner.delete(name)
    }

    fn put_aside(&self, name: &str) -> Result<(), BlobError> {
        self.inner.put_aside(name)
    }
}
