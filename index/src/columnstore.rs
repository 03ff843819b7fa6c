//! The events of a split, whole, as columns of row blocks, read by ranges of its blob.
//!
//! A block holds [`BLOCK_ROWS`] rows. Five core parts have one piece per block: codes of shapes, times,
//! seqs, times of arrival in the order of seqs, and events kept verbatim. Every other column has a
//! piece in the blocks that hold a shape with a slot of that column. The directory says where each
//! piece lies and holds the shapes.

pub(crate) mod writer;

pub(crate) mod layout;
pub(crate) mod search;
mod spots;
pub(crate) mod tally;
mod wordplaces;

pub(crate) mod carry;
mod direct;
mod directory;
mod groups;
mod view;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use logwarden_event::{SplitId, Timestamp};
use logwarden_store::Blobs;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::columns::block::Values;
use crate::columns::dictionary::{self, Dictionary};
use crate::columns::filter::{LINE_BYTES, line_of};
use crate::columns::ints;
use crate::columns::texts::{self, Texts};
use crate::columns::wire::{Damaged, Reader};

pub(crate) use directory::StoredShape;
pub(crate) use directory::shape_bytes;
use directory::{Directory, Part};
use layout::{Layout, order_by};
pub(crate) use view::{BlockView, StoredRow};
use wordplaces::WordPlaces;

/// Rows of a block; few in tests, so that few events fill several.
pub(crate) const BLOCK_ROWS: usize = if cfg!(test) { 16 } else { 4_096 };
/// Rows a split may claim to have in one block.
const BLOCK_ROWS_MAX: u32 = 1 << 16;

/// The parts that every block has: shapes, times, seqs, times of arrival, verbatim events.
pub(crate) const CORE_PARTS: usize = 5;
const SHAPES: usize = 0;
const TIMES: usize = 1;
const SEQS: usize = 2;
const ARRIVALS: usize = 3;
const VERBATIM_EVENTS: usize = 4;
/// The part of a block without verbatim events is so long; no event is that short.
const NO_EVENTS_BYTES: u64 = 4;

/// A range of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRange {
    /// Its first byte.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) size_bytes: u64,
}

impl PartRange {
    /// The same as a range.
    pub(crate) fn range(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size_bytes)
    }
}

/// What the footer says of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockInfo {
    /// The first row.
    pub(crate) first_row: u32,
    /// Time of the first row, the newest, in nanoseconds.
    pub(crate) newest: i64,
    /// The smallest seq.
    pub(crate) seq_min: u64,
    /// The largest seq.
    pub(crate) seq_max: u64,
}

/// What the footer says of the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreInfo {
    /// The blocks of rows.
    pub(crate) blocks: Vec<BlockInfo>,
    /// Where shapes and the places of all parts are said.
    pub(crate) directory: PartRange,
    /// The filter over words.
    pub(crate) filter: PartRange,
}

/// What is read and kept for the next query.
#[derive(Debug, Clone)]
pub(crate) enum Cached {
    /// The layout of a block.
    Layout(Arc<Layout>),
    /// Numbers of a block.
    Numbers(Arc<Vec<i64>>),
    /// Seqs of a block, and its rows in their order.
    Order(Arc<Vec<u16>>),
    /// Verbatim events of a block.
    Texts(Arc<Texts>),
    /// Texts of a column in a block.
    Values(Arc<Values>),
    /// A column's dictionary.
    Dictionary(Arc<Dictionary>),
}

/// Which part of a split: the core parts come first, then the columns; a block, or the dictionary.
pub(crate) type PartKey = (SplitId, u32, u32);

/// Parts by what they are.
pub(crate) type PartCache = Cache<PartKey, Cached>;

const DICTIONARY: u32 = u32::MAX;
const ORDER: u32 = CORE_PARTS as u32;
const FIRST_COLUMN: u32 = CORE_PARTS as u32 + 1;

/// The columns of an open split.
pub(crate) struct ColumnStore {
    blobs: Arc<dyn Blobs>,
    blob: Arc<str>,
    id: SplitId,
    cache: Arc<PartCache>,
    rows: u32,
    blocks: Vec<BlockInfo>,
    filter: PartRange,
    directory: Directory,
    /// Where words of messages stand, and where any words do.
    word_places: [OnceLock<WordPlaces>; 2],
}

impl ColumnStore {
    /// Opens the columns of a split with so many rows; `directory` are the bytes that `info` points to.
    pub(crate) fn open(
        (blobs, blob): (Arc<dyn Blobs>, Arc<str>),
        (id, rows): (SplitId, u32),
        info: &StoreInfo,
        directory: &[u8],
        cache: Arc<PartCache>,
    ) -> Result<Self, String> {
        let ends = info.blocks.iter().skip(1).map(|block| block.first_row).chain([rows]);
        let are_blocks = info.blocks.first().is_some_and(|block| block.first_row == 0)
            && info.blocks.iter().zip(ends).all(|(block, end)| {
                block.first_row < end && end - block.first_row <= BLOCK_ROWS_MAX
            });
        let is_filter = info.filter.size_bytes >= LINE_BYTES as u64
            && info.filter.size_bytes.is_multiple_of(LINE_BYTES as u64);
        if !are_blocks || !is_filter {
            return Err("its footer contradicts itself".to_owned());
        }
        let directory = Directory::decode(directory, info.blocks.len())?;
        Ok(Self {
            blobs,
            blob,
            id,
            cache,
            rows,
            blocks: info.blocks.clone(),
            filter: info.filter,
            directory,
            word_places: Default::default(),
        })
    }

    /// Where words of messages stand, or where any words do.
    pub(crate) fn word_places(&self, only_messages: bool) -> &WordPlaces {
        let known = &self.word_places[usize::from(!only_messages)];
        known.get_or_init(|| WordPlaces::of(self.shapes(), only_messages))
    }

    /// The blocks.
    pub(crate) fn blocks(&self) -> &[BlockInfo] {
        &self.blocks
    }

    /// The shapes, by number.
    pub(crate) fn shapes(&self) -> &[StoredShape] {
        &self.directory.shapes
    }

    /// The rows of a block.
    pub(crate) fn rows_of(&self, block: usize) -> Range<u32> {
        let end = self.blocks.get(block + 1).map_or(self.rows, |next| next.first_row);
        self.blocks[block].first_row..end
    }

    /// The block of a row.
    pub(crate) fn block_of(&self, row: u32) -> usize {
        self.blocks.partition_point(|block| block.first_row <= row).saturating_sub(1)
    }

    /// The texts of a column, by block.
    fn parts_of(&self, column: u32) -> &[Part] {
        &self.directory.columns[column as usize].parts
    }

    /// The shapes with slots of a column, and how many they have.
    pub(crate) fn shapes_of(&self, column: u32) -> &[(u32, u32)] {
        &self.directory.columns[column as usize].shapes
    }

    /// Whether events of a block may be kept verbatim.
    pub(crate) fn has_verbatim(&self, block: usize) -> bool {
        let part = &self.directory.core[block][VERBATIM_EVENTS];
        part.end - part.start > NO_EVENTS_BYTES
    }

    /// The line of the filter in which a word's bits lie; empty, which rules nothing out, when it
    /// cannot be read.
    pub(crate) fn filter_line(&self, hash: u64) -> Bytes {
        let lines = self.filter.size_bytes / LINE_BYTES as u64;
        let start = self.filter.offset + line_of(hash, lines) * LINE_BYTES as u64;
        self.read(start..start + LINE_BYTES as u64).unwrap_or_default()
    }

    /// How many rows, from the first on, are not older than `at`.
    pub(crate) fn rows_not_before(&self, at: Timestamp) -> Result<u32, String> {
        let touched = self.blocks.partition_point(|block| block.newest >= at.nanos());
        let Some(block) = touched.checked_sub(1) else { return Ok(0) };
        let times = self.times(block)?;
        let inside = times.partition_point(|time| *time >= at.nanos());
        Ok(self.blocks[block].first_row + inside as u32)
    }

    /// Which rows of a block have which shape.
    pub(crate) fn layout(&self, block: usize) -> Result<Arc<Layout>, String> {
        let every = |_: &[u32]| true;
        self.layout_if(block, every)?.ok_or_else(misplaced)
    }

    /// The same, when the block has a row of a wanted shape; `is_wanted` is by code.
    pub(crate) fn layout_with(
        &self,
        is_wanted: &[bool],
        block: usize,
    ) -> Result<Option<Arc<Layout>>, String> {
        let is_any = |codes: &[u32]| codes.iter().any(|code| is_wanted[*code as usize]);
        self.layout_if(block, is_any)
    }

    fn layout_if(
        &self,
        block: usize,
        is_asked: impl Fn(&[u32]) -> bool,
    ) -> Result<Option<Arc<Layout>>, String> {
        let key = (self.id, SHAPES as u32, block as u32);
        match self.cache.get(key) {
            Some(Cached::Layout(layout)) => return Ok(Some(layout)),
            Some(_) => return Err(misplaced()),
            None => {}
        }
        let bytes = self.core_bytes(SHAPES, block)?;
        let (rows, shape_max) = (self.rows_of(block).len(), self.directory.shapes.len());
        if !is_asked(&Layout::shapes_in(&bytes, rows, shape_max)?) {
            return Ok(None);
        }
        let layout = Arc::new(Layout::decode(&bytes, rows, shape_max)?);
        self.cache.insert(key, Cached::Layout(Arc::clone(&layout)), layout.size_bytes());
        Ok(Some(layout))
    }

    /// Times of a block's rows.
    pub(crate) fn times(&self, block: usize) -> Result<Arc<Vec<i64>>, String> {
        self.numbers(TIMES, block)
    }

    /// Seqs of a block's rows.
    pub(crate) fn seqs(&self, block: usize) -> Result<Arc<Vec<i64>>, String> {
        self.numbers(SEQS, block)
    }

    /// Times of arrival of a block's rows, in the order of their seqs.
    fn arrivals(&self, block: usize) -> Result<Arc<Vec<i64>>, String> {
        self.numbers(ARRIVALS, block)
    }

    /// By row of a block, its place in the order of seqs.
    fn places_by_seq(&self, block: usize) -> Result<Arc<Vec<u16>>, String> {
        let key = (self.id, ORDER, block as u32);
        if let Some(Cached::Order(order)) = self.cache.get(key) {
            return Ok(order);
        }
        let mut places = vec![0; self.rows_of(block).len()];
        for (place, row) in order_by(&self.seqs(block)?).into_iter().enumerate() {
            places[usize::from(row)] = place as u16;
        }
        let places = Arc::new(places);
        self.cache.insert(key, Cached::Order(Arc::clone(&places)), places.len() * 2);
        Ok(places)
    }

    /// The verbatim events of a block.
    fn verbatim(&self, block: usize) -> Result<Arc<Texts>, String> {
        let read = |bytes: &[u8], len: usize| {
            let mut reader = Reader::new(bytes);
            let events = reader.number_up_to(len)?;
            let texts = Arc::new(texts::decode(&mut reader, events)?);
            Ok((texts.size_bytes(), Cached::Texts(texts)))
        };
        match self.core(VERBATIM_EVENTS, block, read)? {
            Cached::Texts(texts) => Ok(texts),
            _ => Err(misplaced()),
        }
    }

    fn numbers(&self, part: usize, block: usize) -> Result<Arc<Vec<i64>>, String> {
        let read = |bytes: &[u8], len: usize| {
            let numbers = Arc::new(ints::decode(&mut Reader::new(bytes), len)?);
            Ok((numbers.len() * 8, Cached::Numbers(numbers)))
        };
        match self.core(part, block, read)? {
            Cached::Numbers(numbers) => Ok(numbers),
            _ => Err(misplaced()),
        }
    }

    fn core(
        &self,
        part: usize,
        block: usize,
        read: impl FnOnce(&[u8], usize) -> Result<(usize, Cached), Damaged>,
    ) -> Result<Cached, String> {
        let key = (self.id, part as u32, block as u32);
        let range = self.directory.core[block][part].clone();
        let rows = self.rows_of(block).len();
        self.cached(key, range, |bytes| read(bytes, rows))
    }

    /// The texts of a column in a block; `None`: it has none there.
    pub(crate) fn values(&self, column: u32, block: usize) -> Result<Option<Arc<Values>>, String> {
        let parts = &self.directory.columns[column as usize].parts;
        let Ok(place) = parts.binary_search_by_key(&(block as u32), |part| part.block) else {
            return Ok(None);
        };
        let read = |bytes: &[u8]| {
            let values = Arc::new(Values::decode(bytes)?);
            Ok((values.size_bytes(), Cached::Values(values)))
        };
        let key = (self.id, FIRST_COLUMN + column, block as u32);
        match self.cached(key, parts[place].range.clone(), read)? {
            Cached::Values(values) => Ok(Some(values)),
            _ => Err(misplaced()),
        }
    }

    /// The dictionary of a column; empty when it has none.
    pub(crate) fn dictionary(&self, column: u32) -> Result<Arc<Dictionary>, String> {
        let range = self.directory.columns[column as usize].dictionary.clone();
        if range.is_empty() {
            return Ok(Arc::default());
        }
        let read = |bytes: &[u8]| {
            let dictionary = Arc::new(dictionary::decode(&mut Reader::new(bytes))?);
            Ok((dictionary.size_bytes(), Cached::Dictionary(dictionary)))
        };
        match self.cached((self.id, FIRST_COLUMN + column, DICTIONARY), range, read)? {
            Cached::Dictionary(dictionary) => Ok(dictionary),
            _ => Err(misplaced()),
        }
    }

    fn cached(
        &self,
        key: PartKey,
        range: Range<u64>,
        decode: impl FnOnce(&[u8]) -> Result<(usize, Cached), Damaged>,
    ) -> Result<Cached, String> {
        if let Some(cached) = self.cache.get(key) {
            return Ok(cached);
        }
        let (size_bytes, cached) = decode(&self.read(range)?)?;
        self.cache.insert(key, cached.clone(), size_bytes);
        Ok(cached)
    }

    /// The bytes of a core part of a block.
    fn core_bytes(&self, part: usize, block: usize) -> Result<Bytes, String> {
        self.read(self.directory.core[block][part].clone())
    }

    /// Where the texts of a column in a block are; an error when it has none there.
    fn part(&self, column: u32, block: usize) -> Result<&Part, String> {
        let parts = self.parts_of(column);
        let place = parts.binary_search_by_key(&(block as u32), |part| part.block);
        place.map(|place| &parts[place]).map_err(|_| "a block lacks a column".to_owned())
    }

    /// The bytes of a column's texts in a block.
    fn column_bytes(&self, column: u32, block: usize) -> Result<Bytes, String> {
        self.read(self.part(column, block)?.range.clone())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, String> {
        self.blobs.get_range(&self.blob, range).map_err(|error| error.to_string())
    }
}

fn misplaced() -> String {
    "a part is not what it should be".to_owned()
}
