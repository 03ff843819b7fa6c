//! The head: the newest events, in memory, searchable by looking at each of them.
//!
//! Events come in as journal batches and are kept as sorted runs, each more than twice as long as
//! the next, so that there are few runs and adding a batch moves each event a few times at most.
//! A clone is an immutable view and costs a few pointers. Its bounds are kept by the indexer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use logwarden_event::{Event, Position, TimeRange, Timestamp};
use logwarden_store::Record;

use crate::config::Config;
use crate::error::IndexError;
use crate::lookup::Lookup;
use crate::metrics::POISON_EVENTS_TOTAL;
use crate::piece::{FieldStat, Piece};

/// The newest events, from one position of the journal to another.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The first position it covers.
    pub(crate) from: Position,
    /// The first position after it.
    pub(crate) next: Position,
    /// Positions in between that the journal no longer had: first and last.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Bytes of its events in memory.
    pub(crate) size_bytes: usize,
    event_count: usize,
    runs: Vec<Arc<Run>>,
}

/// Events in order, inside the journal's batches.
#[derive(Debug, Default)]
struct Run {
    batches: Vec<Arc<[Record]>>,
    rows: Vec<Row>,
}

/// One event: what it is ordered by, and where it is.
#[derive(Debug, Clone, Copy)]
struct Row {
    timestamp: Timestamp,
    seq: u64,
    batch: u32,
    place: u32,
}

impl Row {
    /// Ascending keys are newest first.
    fn order(&self) -> Reverse<(Timestamp, u64)> {
        Reverse((self.timestamp, self.seq))
    }
}

impl Run {
    fn of(records: &Arc<[Record]>) -> Self {
        let places = 0..u32::try_from(records.len()).expect("a chunk has far fewer records");
        let row = |place: u32| {
            let event = &records[place as usize].event;
            Row { timestamp: event.timestamp(), seq: event.seq(), batch: 0, place }
        };
        Self { batches: vec![Arc::clone(records)], rows: places.map(row).collect() }
    }

    fn add(&mut self, other: &Self) {
        let batches = self.batches.len() as u32;
        self.batches.extend_from_slice(&other.batches);
        let moved = |row: &Row| Row { batch: row.batch + batches, ..*row };
        self.rows.extend(other.rows.iter().map(moved));
    }

    /// A stable sort finds what is in order already.
    fn sort(&mut self) {
        self.rows.sort_by_key(Row::order);
    }

    /// The rows that lie inside `range`.
    fn inside(&self, range: TimeRange) -> &[Row] {
        let first = self.rows.partition_point(|row| row.timestamp >= range.end);
        let end = self.rows.partition_point(|row| row.timestamp >= range.start);
        self.rows.get(first..end).unwrap_or_default()
    }

    fn event(&self, row: &Row) -> &Event {
        &self.batches[row.batch as usize][row.place as usize].event
    }
}

/// How events are ordered: ascending keys are newest first.
#[cfg(test)]
pub(crate) fn order_of(event: &Event) -> Reverse<(Timestamp, u64)> {
    Reverse((event.timestamp(), event.seq()))
}

impl Head {
    /// An empty head that begins at `from`.
    pub(crate) fn new(from: Position) -> Self {
        Self { from, next: from, gaps: Vec::new(), size_bytes: 0, event_count: 0, runs: Vec::new() }
    }

    /// Adds the records that lie before `next`.
    pub(crate) fn push(&mut self, records: &Arc<[Record]>, next: Position) {
        self.next = next;
        self.event_count += records.len();
        self.size_bytes += records.iter().map(|record| record.event.size_bytes()).sum::<usize>();
        let mut run = Run::of(records);
        run.sort();
        let is_short = |previous: &Arc<Run>, run: &Run| previous.rows.len() <= 2 * run.rows.len();
        while let Some(previous) = self.runs.pop_if(|previous| is_short(previous, &run)) {
            run.add(&previous);
            run.sort();
        }
        if !run.rows.is_empty() {
            self.runs.push(Arc::new(run));
        }
    }

    /// Notes that the journal has nothing between `self.next` and `to`.
    pub(crate) fn skip(&mut self, to: Position) {
        if self.next.seq < to.seq {
            self.gaps.push((self.next.seq, to.seq - 1));
        }
        self.next = to;
    }

    /// Events it holds.
    pub(crate) fn len(&self) -> usize {
        self.event_count
    }

    /// Whether it holds no event.
    pub(crate) fn is_empty(&self) -> bool {
        self.event_count == 0
    }

    /// All its events, newest first.
    pub(crate) fn every_event(&self) -> impl Iterator<Item = &Event> {
        merge(self.runs.iter().map(|run| (&**run, &*run.rows)).collect())
    }

    /// Its events inside `range`, newest first.
    fn events(&self, range: TimeRange) -> impl Iterator<Item = &Event> {
        merge(self.runs.iter().map(|run| (&**run, run.inside(range))).collect())
    }

    fn edge(&self, newest: bool) -> Timestamp {
        let runs = self.runs.iter().map(|run| &run.rows);
        let times = runs.filter_map(|rows| if newest { rows.first() } else { rows.last() });
        let times = times.map(|row| row.timestamp);
        if newest { times.max() } else { times.min() }.unwrap_or_default()
    }
}

/// The events of rows of several runs, newest first.
fn merge<'a>(mut runs: Vec<(&'a Run, &'a [Row])>) -> impl Iterator<Item = &'a Event> {
    std::iter::from_fn(move || {
        let runs = runs.iter_mut().filter(|(_, rows)| !rows.is_empty());
        let (run, rows) = runs.min_by_key(|(_, rows)| rows[0].order())?;
        let (first, rest) = rows.split_first()?;
        *rows = rest;
        Some(run.event(first))
    })
}

/// Whether the event may satisfy the lookup. One that breaks the code is taken to.
pub(crate) fn may_match(lookup: &Lookup, event: &Event) -> bool {
    catch_unwind(AssertUnwindSafe(|| lookup.matches(event))).unwrap_or_else(|_| {
        ::metrics::counter!(POISON_EVENTS_TOTAL).increment(1);
        true
    })
}

impl Piece for Head {
    fn name(&self) -> String {
        format!("head-{}", self.from)
    }

    fn time_span(&self) -> (Timestamp, Timestamp) {
        (self.edge(false), self.edge(true))
    }

    fn event_count(&self) -> u64 {
        self.event_count as u64
    }

    fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        for event in self.events(range).filter(|event| may_match(lookup, event)) {
            if visit(event).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<u64>, IndexError> {
        let counted = catch_unwind(AssertUnwindSafe(|| {
            self.events(range).filter(|event| lookup.matches(event)).count() as u64
        }));
        Ok(counted.ok())
    }

    fn fields(&self) -> Vec<FieldStat> {
        let mut stats = FieldStats::default();
        self.every_event().for_each(|event| stats.add(event));
        stats.into_list()
    }
}

/// Counts events per field and type, for at most [`Config::FIELDS_MAX`] names.
#[derive(Debug, Default)]
pub(crate) struct FieldStats(BTreeMap<String, Vec<Counted>>);

#[derive(Debug)]
struct Counted {
    type_name: &'static str,
    count: u64,
    last_seq: Option<u64>,
}

impl FieldStats {
    /// Counts the fields of one event.
    pub(crate) fn add(&mut self, event: &Event) {
        for field in event.fields() {
            if !self.0.contains_key(field.path) {
                if self.0.len() >= Config::FIELDS_MAX {
                    continue;
                }
                self.0.insert(field.path.to_owned(), Vec::new());
            }
            let types = self.0.get_mut(field.path).expect("it was just inserted");
            let type_name = field.value.type_name();
            let place = types.iter().position(|counted| counted.type_name == type_name);
            let place = place.unwrap_or_else(|| {
                types.push(Counted { type_name, count: 0, last_seq: None });
                types.len() - 1
            });
            let counted = &mut types[place];
            if counted.last_seq != Some(event.seq()) {
                counted.last_seq = Some(event.seq());
                counted.count += 1;
            }
        }
    }

    /// Counts events that have a value of this type under this name.
    pub(crate) fn add_count(&mut self, name: &str, type_name: &'static str, count: u64) {
        if count == 0 || self.0.len() >= Config::FIELDS_MAX && !self.0.contains_key(name) {
            return;
        }
        let types = self.0.entry(name.to_owned()).or_default();
        match types.iter_mut().find(|counted| counted.type_name == type_name) {
            Some(counted) => counted.count += count,
            None => types.push(Counted { type_name, count, last_seq: None }),
        }
    }

    /// The counts, by name and type.
    pub(crate) fn into_list(self) -> Vec<FieldStat> {
        let stat = |name: &String, counted: Counted| FieldStat {
            name: name.clone(),
            type_name: counted.type_name.to_owned(),
            count: counted.count,
        };
        let mut list: Vec<FieldStat> = self
            .0
            .into_iter()
            .flat_map(|(name, types)| {
                types.into_iter().map(|counted| stat(&name, counted)).collect::<Vec<_>>()
            })
            .collect();
        list.sort_by(|a, b| (&a.name, &a.type_name).cmp(&(&b.name, &b.type_name)));
        list
    }
}
