//! A split: one immutable blob of events, newest first, with what is needed to find them.
//!
//! ```text
//! columns | words | directory | footer (JSON) | footer length u64 | format u32 | magic
//! ```
//!
//! See `docs/SPLIT.md`. This file reads splits, by ranges; [`crate::builder`] makes them.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use logwarden_event::{Event, SplitId, TimeRange, Timestamp};
use logwarden_store::{BlobError, Blobs};
use serde::{Deserialize, Serialize};

use crate::candidates::{Candidates, Finder};
use crate::columnstore::tally::Wanted;
use crate::columnstore::{BlockView, ColumnStore, PartCache, StoreInfo, shape_bytes};
use crate::damage::Damage;
use crate::error::IndexError;
use crate::head::may_match;
use crate::lookup::Lookup;
use crate::piece::{Counted, FieldStat, GroupPart, Grouped};
use crate::wordindex::{WordIndex, WordIndexInfo};

/// The format that this release writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 6;
/// The oldest it reads: it differs only in that no column has patterns.
pub(crate) const FORMAT_MIN: u32 = 5;
/// The last bytes of every split.
pub(crate) const MAGIC: [u8; 8] = *b"LWSPLIT\n";
/// Length of footer length, format and magic.
pub(crate) const TRAILER_BYTES: u64 = 20;
/// Bytes read from the end when a split is opened; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// Hits that are mostly enough. A hundred are shown.
const HITS_EXPECTED: u64 = 128;

/// What was found out about the events of a lookup before they are visited.
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// How many there are.
    Count(u64),
    /// Which may be some.
    Rows(Candidates),
}

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
    /// Bytes that its events from `since` on take, if they lie evenly in its time.
    pub(crate) fn bytes_since(&self, since: Timestamp) -> u64 {
        if self.first >= since {
            return self.size_bytes;
        }
        let (all, newer) = (self.last.since(self.first), self.last.since(since));
        let part = u128::from(self.size_bytes) * newer.as_nanos() / all.as_nanos().max(1);
        u64::try_from(part).unwrap_or(self.size_bytes)
    }

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
    /// The columns.
    pub(crate) columns: StoreInfo,
    /// Words of messages that are not cut into pieces.
    pub(crate) words: Option<WordIndexInfo>,
}

/// An open split.
pub(crate) struct Split {
    /// What stands at its end.
    pub(crate) footer: Footer,
    columns: ColumnStore,
    words: Option<WordIndex>,
    /// What is known to be damaged.
    damage: Option<Arc<Damage>>,
    blobs: Arc<dyn Blobs>,
    blob: Arc<str>,
}

impl Split {
    /// Opens the split that the catalog knows as `meta`. Rows that `damage` says are lost are in no
    /// answer.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the blob is missing, damaged, another one, or of a newer release.
    pub(crate) fn open(
        blobs: Arc<dyn Blobs>,
        meta: SplitMeta,
        cache: Arc<PartCache>,
        damage: Option<Arc<Damage>>,
    ) -> Result<Self, IndexError> {
        let blob: Arc<str> = meta.blob().into();
        let has_words = !damage.as_ref().is_some_and(|damage| damage.has_no_words);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let tail = Tail::read(&*blobs, &blob, &meta)?;
            let rows = tail.footer.event_count;
            let info = &tail.footer.columns;
            let directory = tail.bytes(&*blobs, &blob, info.directory.range())?;
            let place = (Arc::clone(&blobs), Arc::clone(&blob));
            let columns = ColumnStore::open(place, (meta.id, rows), info, &directory, cache)?;
            let words = tail.footer.words.as_ref().filter(|_| has_words);
            let words = words.map(|info| WordIndex::open(&blobs, &blob, info, rows)).transpose()?;
            Ok((tail.footer, columns, words))
        }));
        let (footer, columns, words) =
            flatten(opened).map_err(|reason| unreadable(&blob, reason))?;
        Ok(Self { footer, columns, words, damage, blobs, blob })
    }

    /// Visits events as [`crate::Piece::search`] does.
    #[cfg(test)]
    pub(crate) fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        self.search_from(lookup, range, (&mut 0, Known::Nothing), visit)
    }

    /// Visits events as [`crate::Piece::search`] does, from row `next` on, which is kept up to date.
    pub(crate) fn search_from(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        (next, known): (&mut u32, Known),
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let rows = self.rows_inside(range)?;
        let rows = rows.start.max(*next)..rows.end;
        let all = self.columns.blocks().len();
        // Mostly the first blocks have all that is wanted; where they have not, others are asked more
        // at a time.
        let mut blocks = match &known {
            _ if self.finder(rows.clone()).is_about_shapes(lookup) => 1,
            Known::Count(count) => {
                let expected = all as u64 * HITS_EXPECTED / (*count).max(1);
                usize::try_from(expected).unwrap_or(all).clamp(1, all)
            }
            Known::Nothing | Known::Rows(_) => all,
        };
        if let (Known::Rows(candidates), None) = (known, &self.damage) {
            return self.visit_rows((lookup, &candidates), rows, next, visit).map(drop);
        }
        for run in self.runs(rows) {
            let mut left = run;
            while !left.is_empty() {
                let last = (self.columns.block_of(left.start) + blocks - 1).min(all - 1);
                let part = left.start..self.columns.rows_of(last).end.min(left.end);
                left.start = part.end;
                let candidates = self.candidates(lookup, part.clone())?;
                if self.visit_rows((lookup, &candidates), part, next, visit)?.is_break() {
                    return Ok(());
                }
                blocks = (blocks * 2).min(all);
            }
        }
        Ok(())
    }

    fn visit_rows(
        &self,
        (lookup, candidates): (&Lookup, &Candidates),
        rows: Range<u32>,
        next: &mut u32,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, IndexError> {
        for block in self.columns.blocks_in(&rows) {
            let found = self.readable(self.columns.rows_at(&candidates.spots, block))?;
            let first = self.columns.rows_of(block).start;
            let mut view: Option<BlockView<'_>> = None;
            for row in found.into_iter().filter(|row| rows.contains(row)) {
                let view = match &mut view {
                    Some(view) => view,
                    None => view.insert(self.readable(BlockView::new(&self.columns, block))?),
                };
                let event = view.event(self.footer.lane, (row - first) as usize);
                let event = self.readable(event)?;
                let is_wanted = candidates.is_exact || may_match(lookup, &event);
                *next = row + 1;
                if is_wanted && visit(&event).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// These rows without those that are lost, as runs of rows side by side.
    fn runs(&self, rows: Range<u32>) -> Vec<Range<u32>> {
        let mut runs = Vec::new();
        let mut start = rows.start;
        for lost in self.damage.iter().flat_map(|damage| &damage.blocks) {
            let lost = self.columns.rows_of(lost.number);
            runs.push(start..lost.start.min(rows.end));
            start = start.max(lost.end);
        }
        runs.push(start..rows.end);
        runs.retain(|run| !run.is_empty());
        runs
    }

    /// Counts events as [`crate::Piece::count`] does.
    pub(crate) fn count(
        &self,
        lookup: &Lookup,
        range: TimeRange,
    ) -> Result<Option<u64>, IndexError> {
        Ok(self.count_and_keep(lookup, range)?.0)
    }

    /// Counts events as [`crate::Piece::count`] does, and tells what else is known of them then.
    pub(crate) fn count_and_keep(
        &self,
        lookup: &Lookup,
        range: TimeRange,
    ) -> Result<(Option<u64>, Known), IndexError> {
        let rows = self.rows_inside(range)?;
        if self.damage.is_none() {
            let finder = self.finder(rows.clone());
            let counted = catch_unwind(AssertUnwindSafe(|| finder.count(lookup)));
            if let Some(count) = self.readable(flatten(counted))? {
                return Ok((Some(count), Known::Count(count)));
            }
        }
        let mut count = 0;
        let mut known = Known::Nothing;
        for rows in self.runs(rows) {
            if *lookup == Lookup::All {
                count += rows.len() as u64;
                continue;
            }
            let candidates = self.candidates(lookup, rows.clone())?;
            if !candidates.is_exact {
                return Ok((None, Known::Rows(candidates)));
            }
            count += self.readable(self.columns.count_at(&candidates.spots, &rows))?;
            known = Known::Rows(candidates);
        }
        // Runs are one, and what is known is all, unless something is damaged.
        Ok((Some(count), if self.damage.is_none() { known } else { Known::Nothing }))
    }

    /// Counts events as [`crate::Piece::count_each`] does.
    pub(crate) fn count_each(
        &self,
        lookup: &Lookup,
        ranges: &[TimeRange],
    ) -> Result<Option<Vec<u64>>, IndexError> {
        if self.damage.is_some() {
            return ranges.iter().map(|range| self.count(lookup, *range)).collect();
        }
        let rows: Vec<Range<u32>> =
            ranges.iter().map(|range| self.rows_inside(*range)).collect::<Result<_, _>>()?;
        let inside = rows.iter().filter(|rows| !rows.is_empty());
        let first = inside.clone().map(|rows| rows.start).min().unwrap_or_default();
        let end = inside.map(|rows| rows.end).max().unwrap_or_default();
        if *lookup == Lookup::All || first == end {
            return Ok(Some(rows.iter().map(|rows| rows.len() as u64).collect()));
        }
        let candidates = self.candidates(lookup, first..end)?;
        if !candidates.is_exact {
            return Ok(None);
        }
        let found = self.readable(self.columns.count_at(&candidates.spots, &(first..end)))?;
        if found == u64::from(end - first) {
            return Ok(Some(rows.iter().map(|rows| rows.len() as u64).collect()));
        }
        let count = |rows: Range<u32>| self.columns.count_at(&candidates.spots, &rows);
        let counts: Result<Vec<u64>, String> = rows.into_iter().map(count).collect();
        self.readable(counts).map(Some)
    }

    /// Tells values as [`crate::Piece::count_values`] does.
    pub(crate) fn count_values(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        field: &str,
        visit: &mut dyn FnMut(Counted<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        let Some(all) = self.wanted(lookup, range)? else { return Ok(false) };
        for wanted in all {
            if self.readable(self.columns.count_values(field, &wanted, visit))?.is_break() {
                break;
            }
        }
        Ok(true)
    }

    /// Tells combinations of values as [`crate::Piece::count_groups`] does.
    pub(crate) fn count_groups(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        parts: &[GroupPart<'_>],
        visit: &mut dyn FnMut(Grouped<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        let Some(all) = self.wanted(lookup, range)? else { return Ok(false) };
        for wanted in all {
            if self.readable(self.columns.count_groups(parts, &wanted, visit))?.is_break() {
                break;
            }
        }
        Ok(true)
    }

    /// The rows that satisfy a lookup, run by run; `None`: only their events would tell.
    fn wanted(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<Vec<Wanted>>, IndexError> {
        let is_all = *lookup == Lookup::All;
        let lane = self.footer.lane;
        let mut wanted = Vec::new();
        for rows in self.runs(self.rows_inside(range)?) {
            let found = if is_all { None } else { Some(self.candidates(lookup, rows.clone())?) };
            if found.as_ref().is_some_and(|found| !found.is_exact) {
                return Ok(None);
            }
            // Nearly every condition leaves our own records out, and few splits have any.
            let mut found = found.map(|found| found.spots);
            if let Some(spots) = &found {
                let counted = self.readable(self.columns.count_at(spots, &rows))?;
                found = found.filter(|_| counted < rows.len() as u64);
            }
            wanted.push(Wanted { rows, found, lane });
        }
        Ok(Some(wanted))
    }

    /// The columns.
    pub(crate) fn columns(&self) -> &ColumnStore {
        &self.columns
    }

    /// The bytes of its shapes, by number.
    pub(crate) fn shape_bytes(&self) -> Result<Vec<Vec<u8>>, String> {
        let range = self.footer.columns.directory.range();
        let directory =
            self.blobs.get_range(&self.blob, range).map_err(|error| error.to_string())?;
        Ok(shape_bytes(&directory, self.footer.columns.blocks.len())?)
    }

    fn finder(&self, range: Range<u32>) -> Finder<'_> {
        Finder {
            store: &self.columns,
            words: self.words.as_ref(),
            range,
            row_count: self.footer.event_count,
            lane: self.footer.lane,
        }
    }

    fn candidates(&self, lookup: &Lookup, range: Range<u32>) -> Result<Candidates, IndexError> {
        let asked = range.clone();
        let finder = self.finder(range);
        let found = catch_unwind(AssertUnwindSafe(|| finder.candidates(lookup)));
        let mut found = self.readable(flatten(found))?;
        if self.damage.as_ref().is_some_and(|damage| damage.has_no_words) {
            let shapes = (1u32..).zip(self.columns.shapes());
            let indexed = shapes.filter(|(_, stored)| stored.shape.is_indexed);
            let codes: Vec<u32> = indexed.map(|(code, _)| code).collect();
            self.readable(self.columns.insert_shapes(&codes, &asked, &mut found.spots))?;
            found.is_exact = false;
        }
        Ok(found)
    }

    /// Whether what leads from words to rows can be read. Reads all of it.
    pub(crate) fn has_words_whole(&self) -> bool {
        let Some(words) = &self.footer.words else { return true };
        let files = words.files.values().map(|file| file.offset..file.offset + file.size_bytes);
        files.chain([words.rows.range()]).all(|range| self.has_whole(range))
    }

    /// Whether the filter can be read. Reads all of it.
    pub(crate) fn has_filter_whole(&self) -> bool {
        self.has_whole(self.footer.columns.filter.range())
    }

    fn has_whole(&self, range: Range<u64>) -> bool {
        self.blobs.get_range(&self.blob, range).is_ok()
    }

    /// What is known to be damaged.
    pub(crate) fn damage(&self) -> Option<&Damage> {
        self.damage.as_deref()
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
        let blocks = self.columns.blocks();
        let touched = blocks.partition_point(|block| block.newest >= at.nanos());
        let is_lost = |block: &usize| self.damage.as_ref().is_some_and(|damage| damage.has(*block));
        if let Some(lost) = touched.checked_sub(1).filter(is_lost) {
            // Where in it does not matter: none of its rows can be read.
            return Ok(blocks[lost].first_row);
        }
        self.readable(self.columns.rows_not_before(at))
    }

    fn readable<T>(&self, read: Result<T, String>) -> Result<T, IndexError> {
        read.map_err(|reason| unreadable(&self.blob, reason))
    }
}

fn unreadable(blob: &str, reason: String) -> IndexError {
    IndexError::Split { name: blob.to_owned(), reason }
}

/// A panic on bytes that nobody expected is damage like any other.
fn flatten<T>(result: std::thread::Result<Result<T, String>>) -> Result<T, String> {
    result.unwrap_or_else(|_| Err("it makes no sense".to_owned()))
}

/// The last bytes of a split, and the footer in them.
struct Tail {
    footer: Footer,
    start: u64,
    bytes: Bytes,
}

impl Tail {
    fn read(blobs: &dyn Blobs, blob: &str, meta: &SplitMeta) -> Result<Self, String> {
        let io = |error: BlobError| error.to_string();
        let size_bytes = blobs.size_bytes(blob).map_err(io)?;
        if size_bytes != meta.size_bytes || size_bytes < TRAILER_BYTES {
            return Err(format!("it has {size_bytes} bytes, not {}", meta.size_bytes));
        }
        let mut start = size_bytes.saturating_sub(TAIL_BYTES);
        let bytes = match blobs.get_range(blob, start..size_bytes) {
            // What is damaged may be something else that lies there.
            Err(BlobError::Damaged { .. }) => {
                start = size_bytes - TRAILER_BYTES;
                blobs.get_range(blob, start..size_bytes).map_err(io)?
            }
            read => read.map_err(io)?,
        };
        let (before, trailer) = bytes.split_at(bytes.len() - TRAILER_BYTES as usize);
        if trailer[12..] != MAGIC {
            return Err("it does not end as a split does".to_owned());
        }
        let format = u32::from_le_bytes(trailer[8..12].try_into().map_err(|_| "short trailer")?);
        if !(FORMAT_MIN..=FORMAT).contains(&format) {
            let known = format!("{FORMAT_MIN} to {FORMAT}");
            return Err(format!("it has format {format}, this release reads {known}"));
        }
        let len = u64::from_le_bytes(trailer[..8].try_into().map_err(|_| "short trailer")?);
        let end = size_bytes - TRAILER_BYTES;
        let footer_start = end.checked_sub(len).ok_or("its footer is longer than the split")?;
        let footer = match before.len().checked_sub(len as usize) {
            Some(at) => bytes.slice(at..before.len()),
            None => blobs.get_range(blob, footer_start..end).map_err(io)?,
        };
        let footer: Footer = serde_json::from_slice(&footer)
            .map_err(|error| format!("its footer cannot be read: {error}"))?;
        check_footer(&footer, meta)?;
        Ok(Self { footer, start, bytes })
    }

    /// Bytes of the split, which are nearly always in the tail.
    fn bytes(&self, blobs: &dyn Blobs, blob: &str, range: Range<u64>) -> Result<Bytes, String> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(self.start)?).ok();
        match (at(range.start), at(range.end)) {
            (Some(from), Some(to)) if from <= to && to <= self.bytes.len() => {
                Ok(self.bytes.slice(from..to))
            }
            _ => blobs.get_range(blob, range).map_err(|error| error.to_string()),
        }
    }
}

/// That it is the split which the catalog means.
fn check_footer(footer: &Footer, meta: &SplitMeta) -> Result<(), String> {
    let is_the_one = footer.lane == meta.lane
        && footer.seq_first == meta.seq_first
        && footer.seq_last == meta.seq_last
        && u64::from(footer.event_count) == meta.event_count;
    if is_the_one { Ok(()) } else { Err("it holds other events than the catalog says".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_for_the_part_of_the_time_that_is_asked_for() {
        let at = |second: i64| Timestamp::from_millis(second * 1_000);
        let meta = SplitMeta {
            id: SplitId::from_u128(1),
            lane: 0,
            seq_first: 0,
            seq_last: 9,
            event_count: 10,
            first: at(100),
            last: at(200),
            size_bytes: 1_000,
            raw_bytes: 9_000,
        };
        for (since, bytes) in [(0, 1_000), (100, 1_000), (150, 500), (200, 0), (300, 0)] {
            assert_eq!(meta.bytes_since(at(since)), bytes, "since {since}");
        }
    }
}
