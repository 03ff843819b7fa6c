//! A split: one immutable blob of events, newest first, with what is needed to find them.
//!
//! ```text
//! blocks of events | tantivy files | footer (JSON) | footer length u64 | format u32 | magic
//! ```
//!
//! See `docs/SPLIT.md`. This file reads splits, by ranges; [`crate::builder`] makes them.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use logwarden_event::{Event, SplitId, TimeRange, Timestamp};
use logwarden_store::Blobs;
use serde::{Deserialize, Serialize};
use tantivy::SegmentReader;

use crate::bundle::{Bundle, FileRange};
use crate::cache::Cache;
use crate::candidates::{Candidates, Terms};
use crate::error::IndexError;
use crate::eventstore::{Block, BlockInfo};
use crate::head::may_match;
use crate::lookup::Lookup;
use crate::piece::FieldStat;
use crate::schema::{Schema, tokenizers};

/// The format that this release writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;
/// The last bytes of every split.
pub(crate) const MAGIC: [u8; 8] = *b"LWSPLIT\n";
/// Length of footer length, format and magic.
pub(crate) const TRAILER_BYTES: u64 = 20;
/// Bytes read from the end when a split is opened; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// What the catalog knows about a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitMeta {
    /// Who it is.
    pub(crate) id: SplitId,
    /// The lane of its events.
    pub(crate) lane: u32,
    /// The smallest seq.
    pub(crate) seq_first: u64,
    /// The largest seq.
    pub(crate) seq_last: u64,
    /// Events in it.
    pub(crate) event_count: u64,
    /// Time of its oldest event.
    pub(crate) first: Timestamp,
    /// Time of its newest event.
    pub(crate) last: Timestamp,
    /// Bytes of its blob.
    pub(crate) size_bytes: u64,
    /// Bytes of its events before compression.
    pub(crate) raw_bytes: u64,
}

impl SplitMeta {
    /// The name of its blob.
    pub(crate) fn blob(&self) -> String {
        format!("{BLOB_PREFIX}{}.lws", self.id)
    }
}

/// What the names of all blobs of splits begin with.
pub(crate) const BLOB_PREFIX: &str = "splits/";

/// What stands at the end of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer {
    /// The lane of its events.
    pub(crate) lane: u32,
    /// The smallest seq.
    pub(crate) seq_first: u64,
    /// The largest seq.
    pub(crate) seq_last: u64,
    /// Positions that the journal no longer had when the split was made: first and last.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Events in it.
    pub(crate) event_count: u32,
    /// Time of its oldest event, in nanoseconds.
    pub(crate) first: i64,
    /// Time of its newest event, in nanoseconds.
    pub(crate) last: i64,
    /// Events per dataset.
    pub(crate) datasets: BTreeMap<String, u64>,
    /// Events per field and type.
    pub(crate) fields: Vec<FieldStat>,
    /// Rows without terms: candidates of every lookup.
    pub(crate) unsure_rows: Vec<u32>,
    /// The blocks of events.
    pub(crate) blocks: Vec<BlockInfo>,
    /// The tantivy files.
    pub(crate) files: BTreeMap<String, FileRange>,
}

/// Decompressed blocks, by split and number.
pub(crate) type BlockCache = Cache<(SplitId, u32), Arc<Block>>;

/// An open split.
pub(crate) struct Split {
    meta: SplitMeta,
    /// What stands at its end.
    pub(crate) footer: Footer,
    schema: Schema,
    terms: SegmentReader,
    blobs: Arc<dyn Blobs>,
    blob: Arc<str>,
    cache: Arc<BlockCache>,
}

impl Split {
    /// Opens the split that the catalog knows as `meta`.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the blob is missing, damaged, another one, or of a newer release.
    pub(crate) fn open(
        blobs: Arc<dyn Blobs>,
        meta: SplitMeta,
        cache: Arc<BlockCache>,
    ) -> Result<Self, IndexError> {
        let blob: Arc<str> = meta.blob().into();
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let footer = read_footer(&*blobs, &blob, &meta)?;
            let (schema, terms) = open_terms(&blobs, &blob, &footer)?;
            Ok((footer, schema, terms))
        }));
        let (footer, schema, terms) =
            flatten(opened).map_err(|reason| unreadable(&blob, reason))?;
        Ok(Self { meta, footer, schema, terms, blobs, blob, cache })
    }

    /// Visits events as [`crate::Piece::search`] does.
    pub(crate) fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let rows = self.rows_inside(range)?;
        if rows.is_empty() {
            return Ok(());
        }
        let candidates = self.candidates(lookup)?;
        let mut block: Option<(usize, Arc<Block>)> = None;
        for row in candidates.rows.rows(rows) {
            let number = self.block_of(row);
            let current = match &block {
                Some((open, current)) if *open == number => current,
                _ => &block.insert((number, self.cached_block(number)?)).1,
            };
            let place = row - self.footer.blocks[number].first_row;
            let event = current.event(self.footer.lane, place as usize);
            let event = event.map_err(|reason| self.unreadable(reason))?;
            let is_wanted = candidates.is_exact || may_match(lookup, &event);
            if is_wanted && visit(&event).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Counts events as [`crate::Piece::count`] does.
    pub(crate) fn count(
        &self,
        lookup: &Lookup,
        range: TimeRange,
    ) -> Result<Option<u64>, IndexError> {
        let rows = self.rows_inside(range)?;
        if rows.is_empty() {
            return Ok(Some(0));
        }
        let candidates = self.candidates(lookup)?;
        let is_exact = candidates.is_exact && self.footer.unsure_rows.is_empty();
        Ok(is_exact.then(|| candidates.rows.count(rows)))
    }

    /// All events, in the order of the rows; reads one block at a time, past the cache.
    pub(crate) fn events(&self) -> impl Iterator<Item = Result<Event, IndexError>> + '_ {
        (0..self.footer.blocks.len()).flat_map(move |number| {
            let (block, error) = match self.block(number) {
                Ok(block) => (Some(block), None),
                Err(error) => (None, Some(Err(error))),
            };
            let events = block.into_iter().flat_map(move |block| {
                (0..block.len()).map(move |row| {
                    let event = block.event(self.footer.lane, row);
                    event.map_err(|reason| self.unreadable(reason))
                })
            });
            events.chain(error)
        })
    }

    fn candidates(&self, lookup: &Lookup) -> Result<Candidates, IndexError> {
        let terms =
            Terms { reader: &self.terms, schema: &self.schema, blocks: &self.footer.blocks };
        let found = catch_unwind(AssertUnwindSafe(|| {
            terms.candidates(lookup).map_err(|error| error.to_string())
        }));
        let mut found = flatten(found).map_err(|reason| self.unreadable(reason))?;
        self.footer.unsure_rows.iter().for_each(|row| found.rows.insert(*row));
        Ok(found)
    }

    /// The rows whose time lies inside `range`: newest first, so they stand side by side.
    fn rows_inside(&self, range: TimeRange) -> Result<Range<u32>, IndexError> {
        Ok(self.rows_not_before(range.end)?..self.rows_not_before(range.start)?)
    }

    /// How many rows, from the first on, are not older than `at`.
    fn rows_not_before(&self, at: Timestamp) -> Result<u32, IndexError> {
        if at.nanos() <= self.footer.first {
            return Ok(self.footer.event_count);
        }
        let blocks = &self.footer.blocks;
        let touched = blocks.partition_point(|block| block.newest >= at.nanos());
        let Some(number) = touched.checked_sub(1) else { return Ok(0) };
        let inside = self.cached_block(number)?.rows_not_before(at);
        Ok(blocks[number].first_row + inside as u32)
    }

    fn block_of(&self, row: u32) -> usize {
        self.footer.blocks.partition_point(|block| block.first_row <= row).saturating_sub(1)
    }

    fn cached_block(&self, number: usize) -> Result<Arc<Block>, IndexError> {
        let key = (self.meta.id, number as u32);
        if let Some(block) = self.cache.get(key) {
            return Ok(block);
        }
        let block = Arc::new(self.block(number)?);
        self.cache.insert(key, Arc::clone(&block), block.size_bytes());
        Ok(block)
    }

    fn block(&self, number: usize) -> Result<Block, IndexError> {
        let info = &self.footer.blocks[number];
        let range = info.offset..info.offset + u64::from(info.size_bytes);
        let bytes = self.blobs.get_range(&self.blob, range);
        let bytes = bytes.map_err(|error| self.unreadable(error.to_string()))?;
        let block = Block::decode(info, &bytes).map_err(|reason| self.unreadable(reason))?;
        let next_row = self.footer.blocks.get(number + 1).map(|next| next.first_row);
        let rows = next_row.unwrap_or(self.footer.event_count) - info.first_row;
        if block.len() != rows as usize {
            return Err(self.unreadable(format!("a block has {} rows, not {rows}", block.len())));
        }
        Ok(block)
    }

    fn unreadable(&self, reason: String) -> IndexError {
        unreadable(&self.blob, reason)
    }
}

fn unreadable(blob: &str, reason: String) -> IndexError {
    IndexError::Split { name: blob.to_owned(), reason }
}

/// A panic inside tantivy on bytes that it did not expect is damage like any other.
fn flatten<T>(result: std::thread::Result<Result<T, String>>) -> Result<T, String> {
    result.unwrap_or_else(|_| Err("its terms make no sense".to_owned()))
}

fn read_footer(blobs: &dyn Blobs, blob: &str, meta: &SplitMeta) -> Result<Footer, String> {
    let io = |error: logwarden_store::BlobError| error.to_string();
    let size_bytes = blobs.size_bytes(blob).map_err(io)?;
    if size_bytes != meta.size_bytes || size_bytes < TRAILER_BYTES {
        return Err(format!("it has {size_bytes} bytes, not {}", meta.size_bytes));
    }
    let tail_start = size_bytes.saturating_sub(TAIL_BYTES);
    let tail = blobs.get_range(blob, tail_start..size_bytes).map_err(io)?;
    let (tail, trailer) = tail.split_at(tail.len() - TRAILER_BYTES as usize);
    if trailer[12..] != MAGIC {
        return Err("it does not end as a split does".to_owned());
    }
    let format = u32::from_le_bytes(trailer[8..12].try_into().map_err(|_| "short trailer")?);
    if format != FORMAT {
        return Err(format!("it has format {format}, this release reads {FORMAT}"));
    }
    let len = u64::from_le_bytes(trailer[..8].try_into().map_err(|_| "short trailer")?);
    let end = size_bytes - TRAILER_BYTES;
    let start = end.checked_sub(len).ok_or("its footer is longer than the split")?;
    let footer = match tail.len().checked_sub(len as usize) {
        Some(start) => Bytes::copy_from_slice(&tail[start..]),
        None => blobs.get_range(blob, start..end).map_err(io)?,
    };
    let footer: Footer = serde_json::from_slice(&footer)
        .map_err(|error| format!("its footer cannot be read: {error}"))?;
    check_footer(&footer, meta, start)?;
    Ok(footer)
}

/// Everything that later code relies on.
fn check_footer(footer: &Footer, meta: &SplitMeta, end: u64) -> Result<(), String> {
    let is_the_one = footer.lane == meta.lane
        && footer.seq_first == meta.seq_first
        && footer.seq_last == meta.seq_last
        && u64::from(footer.event_count) == meta.event_count;
    if !is_the_one {
        return Err("it holds other events than the catalog says".to_owned());
    }
    let rows = footer.blocks.iter().map(|block| block.first_row).chain([footer.event_count]);
    let are_rows_ascending = rows.clone().zip(rows.skip(1)).all(|(row, next)| row < next);
    let starts_at_zero = footer.blocks.first().is_some_and(|block| block.first_row == 0);
    let blocks = footer.blocks.iter().map(|block| (block.offset, u64::from(block.size_bytes)));
    let files = footer.files.values().map(|file| (file.offset, file.size_bytes));
    let is_inside = blocks
        .chain(files)
        .all(|(offset, len)| offset.checked_add(len).is_some_and(|until| until <= end));
    if !are_rows_ascending || !starts_at_zero || !is_inside {
        return Err("its footer contradicts itself".to_owned());
    }
    Ok(())
}

fn open_terms(
    blobs: &Arc<dyn Blobs>,
    blob: &Arc<str>,
    footer: &Footer,
) -> Result<(Schema, SegmentReader), String> {
    let files = Arc::new(footer.files.clone());
    let bundle = Bundle::new(Arc::clone(blobs), Arc::clone(blob), files);
    let open = || {
        let mut index = tantivy::Index::open(bundle)?;
        index.set_tokenizers(tokenizers());
        let segments = index.searchable_segments()?;
        let segment = segments.first().map(SegmentReader::open).transpose()?;
        Ok((index.schema(), segment))
    };
    let (found, reader) = open().map_err(|error: tantivy::TantivyError| error.to_string())?;
    let schema = Schema::new();
    let reader = reader.filter(|reader| reader.max_doc() == footer.event_count);
    match reader {
        Some(reader) if found == schema.tantivy => Ok((schema, reader)),
        _ => Err("its terms belong to other events".to_owned()),
    }
}
