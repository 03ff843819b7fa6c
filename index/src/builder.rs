//! Builds a split in memory, from events that come newest first.
//!
//! An event that breaks the code which reads it is kept verbatim, so that it is found and no other
//! event is lost with it.

use logwarden_event::{Event, Position, SplitId, Timestamp};

use crate::columnstore::carry::{Known, can_carry};
use crate::columnstore::writer::{Dissect, MessageWords, Writer};
use crate::columnstore::{PartRange, StoredRow};
use crate::split::{FORMAT, Footer, MAGIC, Split, SplitMeta};
use crate::wordindex::WordIndexBuilder;

/// Datasets a footer counts at most; the events of more are counted under `""`.
const DATASETS_MAX: usize = 1_000;

/// A split that is not stored yet.
pub(crate) struct BuiltSplit {
    /// What the catalog will know about it.
    pub(crate) meta: SplitMeta,
    /// What its blob will hold.
    pub(crate) content: Vec<u8>,
}

/// Takes events, newest first.
pub(crate) struct SplitBuilder {
    columns: Writer,
    /// Made for the first message that it is needed for.
    words: Option<WordIndexBuilder>,
    event_count: u32,
    lane: u32,
    seq_first: u64,
    seq_last: u64,
    first: Timestamp,
    last: Timestamp,
}

impl SplitBuilder {
    /// An empty split. Without `dissect` every event is kept verbatim.
    pub(crate) fn new(dissect: Option<Dissect>) -> Result<Self, String> {
        Ok(Self {
            columns: Writer::new(dissect).map_err(|error| error.to_string())?,
            words: None,
            event_count: 0,
            lane: 0,
            seq_first: u64::MAX,
            seq_last: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        })
    }

    /// Adds the next event, which is not newer than the last one.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), String> {
        debug_assert!(event.timestamp() <= self.first, "rows are newest first");
        match self.columns.add(event) {
            MessageWords::Elsewhere => {}
            MessageWords::ToIndex if event.message().is_empty() => {}
            MessageWords::ToIndex => self.index(event.message())?,
        }
        self.note(event.id().position(), event.timestamp());
        Ok(())
    }

    /// The number that a shape of another split has here; `None`: its rows come as events.
    pub(crate) fn adopt(&mut self, shape: &[u8]) -> Option<u32> {
        self.columns.adopt(shape)
    }

    /// Adds a row of another split, whose shape has this number here.
    pub(crate) fn add_stored(&mut self, number: u32, lane: u32, row: &StoredRow<'_>) {
        debug_assert!(row.timestamp <= self.first, "rows are newest first");
        self.columns.add_stored(number, row);
        self.note(Position { lane, seq: row.seq }, row.timestamp);
    }

    /// Adds a block of another split when all its shapes are known here; `false`: they are not.
    pub(crate) fn add_block(
        &mut self,
        split: &Split,
        block: usize,
        known: &mut Known,
    ) -> Result<bool, String> {
        let (store, lane) = (split.columns(), split.footer.lane);
        if !can_carry(&*store.layout(block)?, known) {
            return Ok(false);
        }
        let info = &store.blocks()[block];
        let oldest = store.times(block)?.last().copied().unwrap_or(info.newest);
        debug_assert!(Timestamp::from_nanos(info.newest) <= self.first, "rows are newest first");
        self.columns.carry(store, block, known)?;
        let rows = store.rows_of(block).len() as u32;
        self.note(Position { lane, seq: info.seq_min }, Timestamp::from_nanos(info.newest));
        self.note(Position { lane, seq: info.seq_max }, Timestamp::from_nanos(oldest));
        self.event_count += rows - 2;
        Ok(true)
    }

    fn note(&mut self, position: Position, timestamp: Timestamp) {
        self.event_count += 1;
        self.lane = position.lane;
        self.seq_first = self.seq_first.min(position.seq);
        self.seq_last = self.seq_last.max(position.seq);
        self.first = self.first.min(timestamp);
        self.last = self.last.max(timestamp);
    }

    fn index(&mut self, message: &str) -> Result<(), String> {
        let words = match &mut self.words {
            Some(words) => words,
            None => self.words.insert(WordIndexBuilder::new().map_err(|error| error.to_string())?),
        };
        words.add(self.event_count, message).map_err(|error| error.to_string())
    }

    /// Finishes the split under this id; `gaps` are positions that the journal did not have.
    pub(crate) fn finish(self, id: SplitId, gaps: Vec<(u64, u64)>) -> Result<BuiltSplit, String> {
        if self.event_count == 0 {
            return Err("a split holds at least one event".to_owned());
        }
        let raw_bytes = self.columns.raw_bytes();
        let written = self.columns.finish();
        let mut content = written.content;
        let words = self.words.map(|words| words.finish(&mut content)).transpose()?;
        let mut store = written.info;
        store.directory =
            PartRange { offset: content.len() as u64, size_bytes: written.directory.len() as u64 };
        content.extend_from_slice(&written.directory);
        let mut datasets = written.datasets;
        while datasets.len() > DATASETS_MAX {
            let (_, count) = datasets.pop_last().unwrap_or_default();
            *datasets.entry(String::new()).or_default() += count;
        }
        let footer = Footer {
            lane: self.lane,
            seq_first: self.seq_first,
            seq_last: self.seq_last,
            gaps,
            event_count: self.event_count,
            first: self.first.nanos(),
            last: self.last.nanos(),
            datasets,
            fields: written.fields,
            columns: store,
            words,
        };
        append_footer(&footer, &mut content)?;
        let meta = SplitMeta {
            id,
            lane: self.lane,
            seq_first: self.seq_first,
            seq_last: self.seq_last,
            event_count: u64::from(self.event_count),
            first: self.first,
            last: self.last,
            size_bytes: content.len() as u64,
            raw_bytes,
        };
        Ok(BuiltSplit { meta, content })
    }
}

fn append_footer(footer: &Footer, content: &mut Vec<u8>) -> Result<(), String> {
    let footer = serde_json::to_vec(footer).map_err(|error| error.to_string())?;
    content.extend_from_slice(&footer);
    content.extend_from_slice(&(footer.len() as u64).to_le_bytes());
    content.extend_from_slice(&FORMAT.to_le_bytes());
    content.extend_from_slice(&MAGIC);
    Ok(())
}
