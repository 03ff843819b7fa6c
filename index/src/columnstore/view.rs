//! One block of rows, from which events and single texts are taken.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use logwarden_event::{Event, Position, Timestamp};

use super::ColumnStore;
use super::layout::{Group, Layout, VERBATIM};
use crate::columns::block::Values;
use crate::columns::dictionary::Dictionary;
use crate::columns::rebuild::Rebuilder;
use crate::columns::texts::Texts;

/// A block with what was read of it so far.
pub(crate) struct BlockView<'a> {
    store: &'a ColumnStore,
    block: usize,
    /// Which rows have which shape.
    pub(crate) layout: Arc<Layout>,
    times: Arc<Vec<i64>>,
    seqs: Arc<Vec<i64>>,
    /// Made once more than a few rows were asked for.
    places_by_seq: Option<Arc<Vec<u16>>>,
    rows_asked: usize,
    arrivals: Arc<Vec<i64>>,
    columns: OpenColumns,
    rebuilder: Rebuilder,
    texts: Texts,
    buffer: Vec<u8>,
}

/// Of so many rows the smaller seqs are counted, which takes less time than putting all in order.
const ROWS_COUNTED_MAX: usize = 16;
const TOO_FEW_ROWS: &str = "a block has too few rows";

/// A row as columns have it.
pub(crate) struct StoredRow<'a> {
    /// The texts in its slots.
    pub(crate) texts: &'a Texts,
    /// When it happened.
    pub(crate) timestamp: Timestamp,
    /// Its number in the lane.
    pub(crate) seq: u64,
    /// When it arrived.
    pub(crate) observed_at: Timestamp,
}

/// The texts of a column in a block.
pub(crate) struct ColumnView {
    /// The texts, or their codes.
    pub(crate) values: Arc<Values>,
    /// The column's dictionary.
    pub(crate) dictionary: Arc<Dictionary>,
    /// By group of the layout: where its texts begin, and how many a row has.
    pub(crate) starts: Vec<(u32, u32)>,
}

impl ColumnView {
    /// A column in a block; `None`: it has no texts there.
    pub(crate) fn new(
        store: &ColumnStore,
        column: u32,
        block: usize,
        layout: &Layout,
    ) -> Result<Option<Self>, String> {
        let Some(values) = store.values(column, block)? else { return Ok(None) };
        let mut next = 0;
        let start = |group: &Group| {
            let count = match group.shape {
                VERBATIM => 0,
                shape => store.shapes()[shape as usize - 1].slots_of(column),
            };
            let start = next;
            next += count * group.len;
            (start, count)
        };
        let starts: Vec<(u32, u32)> = layout.groups.iter().map(start).collect();
        if next as usize != values.len() {
            return Err("a column has another number of values than its shapes say".to_owned());
        }
        Ok(Some(Self { values, dictionary: store.dictionary(column)?, starts }))
    }
}

/// The columns of a block that were read so far.
#[derive(Default)]
pub(crate) struct OpenColumns(HashMap<u32, ColumnView>);

impl OpenColumns {
    /// A column that the block has.
    pub(crate) fn open(
        &mut self,
        store: &ColumnStore,
        column: u32,
        block: usize,
        layout: &Layout,
    ) -> Result<&ColumnView, String> {
        match self.0.entry(column) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let view = ColumnView::new(store, column, block, layout)?;
                Ok(new.insert(view.ok_or("a block lacks a column")?))
            }
        }
    }
}

impl<'a> BlockView<'a> {
    /// A block.
    pub(crate) fn new(store: &'a ColumnStore, block: usize) -> Result<Self, String> {
        Ok(Self {
            store,
            block,
            layout: store.layout(block)?,
            times: store.times(block)?,
            seqs: store.seqs(block)?,
            places_by_seq: None,
            rows_asked: 0,
            arrivals: store.arrivals(block)?,
            columns: OpenColumns::default(),
            rebuilder: Rebuilder::default(),
            texts: Texts::default(),
            buffer: Vec::new(),
        })
    }

    /// Time and seq of a row of the block, counted from its first; `None`: it has no such row.
    pub(crate) fn order(&self, row: usize) -> Option<(Timestamp, u64)> {
        let time = Timestamp::from_nanos(*self.times.get(row)?);
        Some((time, *self.seqs.get(row)? as u64))
    }

    /// The event in a row of the block.
    pub(crate) fn event(&mut self, lane: u32, row: usize) -> Result<Event, String> {
        let (group, place) = self.layout.find(row).ok_or(TOO_FEW_ROWS)?;
        let shape = self.layout.groups[group].shape;
        let position = Position { lane, seq: self.seqs[row] as u64 };
        let observed_at = self.observed_at(row)?;
        if shape == VERBATIM {
            let events = self.store.verbatim(self.block)?;
            if place >= events.len() {
                return Err("a block has too few verbatim events".to_owned());
            }
            return Event::decode(events.get(place), position, observed_at)
                .map_err(|error| error.to_string());
        }
        self.read_texts(shape, group, place)?;
        let texts = &self.texts;
        let when = (Timestamp::from_nanos(self.times[row]), position, observed_at);
        let shape = &self.store.shapes()[shape as usize - 1].shape;
        Ok(self.rebuilder.event(shape, |slot| texts.get(slot), when)?)
    }

    /// A row as columns have it; `None`: it is kept verbatim.
    pub(crate) fn stored(&mut self, row: usize) -> Result<Option<StoredRow<'_>>, String> {
        let (group, place) = self.layout.find(row).ok_or(TOO_FEW_ROWS)?;
        let shape = self.layout.groups[group].shape;
        if shape == VERBATIM {
            return Ok(None);
        }
        self.read_texts(shape, group, place)?;
        let (timestamp, seq) = self.order(row).ok_or(TOO_FEW_ROWS)?;
        let observed_at = self.observed_at(row)?;
        Ok(Some(StoredRow { texts: &self.texts, timestamp, seq, observed_at }))
    }

    /// The shape of a row, when it has one.
    pub(crate) fn shape(&self, row: usize) -> Option<u32> {
        let (group, _) = self.layout.find(row)?;
        self.layout.groups[group].shape.checked_sub(1)
    }

    /// Reads the texts in the slots of a row.
    fn read_texts(&mut self, shape: u32, group: usize, place: usize) -> Result<(), String> {
        let stored = &self.store.shapes()[shape as usize - 1];
        self.texts.truncate(0);
        for (column, before) in &stored.slots {
            let column = self.columns.open(self.store, *column, self.block, &self.layout)?;
            let (start, count) = column.starts[group];
            let place = (start + place as u32 * count + before) as usize;
            let text = column.values.text(place, &column.dictionary, &mut self.buffer)?;
            self.texts.push(text);
        }
        Ok(())
    }

    fn observed_at(&mut self, row: usize) -> Result<Timestamp, String> {
        let seq = *self.seqs.get(row).ok_or(TOO_FEW_ROWS)?;
        self.rows_asked += 1;
        let place = match &self.places_by_seq {
            Some(places) => places.get(row).map(|place| usize::from(*place)),
            None if self.rows_asked <= ROWS_COUNTED_MAX => {
                Some(self.seqs.iter().filter(|other| **other < seq).count())
            }
            None => {
                let places = self.places_by_seq.insert(self.store.places_by_seq(self.block)?);
                places.get(row).map(|place| usize::from(*place))
            }
        };
        let nanos = place.and_then(|place| self.arrivals.get(place)).ok_or(TOO_FEW_ROWS)?;
        Ok(Timestamp::from_nanos(*nanos))
    }
}
