//! Aggregations: events into groups, groups into rows.
//!
//! All figures are exact. Memory is counted as groups and values are kept, and given back where two
//! pieces had the same group.

mod counts;
mod figure;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use foldhash::quality::RandomState;
use logwarden_event::{Event, TimeRange, Timestamp, Value};
use logwarden_index::{Counted, GroupPart, Grouped, Piece};

use crate::cell::Cell;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::filter::{Subject, Target, with_text};
use crate::language::{Aggregate, Function, GroupBy, Pipe, RowOrder};
use crate::request::Coverage;
use crate::scan::{Halt, Memory, Scan, for_each_piece};
use crate::table::{Table, sort_rows};
use figure::Figure;

/// Groups one event may be in, by the items of its arrays.
const GROUPS_PER_EVENT_MAX: usize = 1_000;
/// Bytes that a group takes beside its text.
const ENTRY_BYTES: usize = 64;

impl Engine {
    /// Reads what the scan gives into a table and works on its rows.
    pub(crate) async fn tabulate(
        &self,
        scan: &Arc<Scan>,
        aggregate: Aggregate,
        pipes: &[Pipe],
    ) -> Result<(Table, Coverage), QueryError> {
        let spec = Arc::new(Spec::new(aggregate, self.config.groups_max));
        if let ([Part::Values(target)], true) = (&*spec.by, spec.only_counts()) {
            let target = target.clone();
            let (mut table, coverage) = self.count_by(scan, spec, target).await?;
            table.apply(pipes);
            return Ok((table, coverage));
        }
        let all = Arc::new(Mutex::new(Groups::default()));
        let (shared, wanted) = (Arc::clone(&all), Arc::clone(&spec));
        let work = move |scan: &Scan, piece: &dyn Piece| {
            if wanted.is_plain_count()
                && let Some(count) = scan.count(piece, scan.plan.range)?
            {
                scan.add_total(count);
                lock(&shared).add_count(&wanted, count);
                return Ok(());
            }
            if let Some((groups, count)) = counted(scan, piece, &wanted)? {
                scan.add_total(count);
                lock(&shared).merge(groups, &wanted, &scan.memory)?;
                scan.tell(Vec::new());
                return Ok(());
            }
            let mut groups = Groups::default();
            let mut count = 0;
            let result = scan.visit(piece, scan.plan.range, |event| {
                count += 1;
                groups.add(event, &wanted, &scan.memory)?;
                Ok(ControlFlow::Continue(()))
            });
            scan.add_total(count);
            lock(&shared).merge(groups, &wanted, &scan.memory)?;
            scan.tell(Vec::new());
            result
        };
        let coverage = for_each_piece(scan, &self.cores, work).await?;
        let groups = std::mem::take(&mut *lock(&all));
        let mut table = groups.into_table(&spec);
        table.apply(pipes);
        Ok((table, coverage))
    }
}

/// The group of a piece and its events, when figures of all events together are asked for and the index
/// can tell the values without their events.
fn counted(scan: &Scan, piece: &dyn Piece, spec: &Spec) -> Result<Option<(Groups, u64)>, Halt> {
    if !spec.by.is_empty() {
        return if spec.only_counts() { counted_groups(scan, piece, spec) } else { Ok(None) };
    }
    let Some(count) = scan.count(piece, scan.plan.range)? else { return Ok(None) };
    let mut group = Group::new(Vec::new(), spec);
    for (figure, (_, target)) in group.figures.iter_mut().zip(&spec.figures) {
        let Some(target) = target else {
            if let Figure::Count(events) = figure {
                *events += count;
            }
            continue;
        };
        let is_told = scan.count_values(piece, target, |counted| match counted {
            Counted::Event(event) => figure.add(event, Some(target), &scan.memory),
            counted => figure.add_counted(counted, &scan.memory),
        })?;
        if !is_told {
            return Ok(None);
        }
    }
    scan.memory.take(group.size_bytes(""))?;
    let mut groups = Groups::default();
    groups.groups.insert(String::new(), group);
    Ok(Some((groups, count)))
}

/// The groups of a piece and its events, when events are only counted and the index can tell the values
/// without them.
fn counted_groups(
    scan: &Scan,
    piece: &dyn Piece,
    spec: &Spec,
) -> Result<Option<(Groups, u64)>, Halt> {
    let spans = spec.by.iter().map(|part| match part {
        Part::Bin(span) => {
            let span = *span;
            let number = move |at| (bin(at, span).nanos(), bin_range(at, span));
            Some(Box::new(number) as Box<TimeNumber>)
        }
        Part::Values(_) => None,
    });
    let spans: Vec<Option<Box<TimeNumber>>> = spans.collect();
    let parts = spec.by.iter().zip(&spans).map(|(part, span)| match (part, span) {
        (_, Some(span)) => Some(GroupPart::Time(&**span)),
        (Part::Values(target), None) => target.counted_name().map(GroupPart::Field),
        (Part::Bin(_), None) => None,
    });
    let Some(parts) = parts.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let (mut groups, mut count) = (Groups::default(), 0);
    let is_told = scan.count_groups(piece, scan.plan.range, &parts, |grouped| match grouped {
        Grouped::Values(values, times) => {
            count += times;
            groups.add_counted(values, times, spec, &scan.memory)
        }
        Grouped::Event(event) => {
            count += 1;
            groups.add(event, spec, &scan.memory)
        }
    })?;
    Ok(is_told.then_some((groups, count)))
}

type TimeNumber = dyn Fn(Timestamp) -> (i64, TimeRange);

/// What is computed, with names resolved.
struct Spec {
    aggregate: Aggregate,
    by: Vec<Part>,
    figures: Vec<(Function, Option<Target>)>,
    groups_max: usize,
}

enum Part {
    Values(Target),
    Bin(i64),
}

impl Spec {
    fn new(aggregate: Aggregate, groups_max: usize) -> Self {
        let part = |group: &GroupBy| match group {
            GroupBy::Field(name) => Part::Values(Target::of_name(name)),
            GroupBy::Bin(span) => Part::Bin(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        };
        let figures = aggregate.figures.iter();
        let figures = figures
            .map(|figure| (figure.function, figure.field.as_deref().map(Target::of_name)))
            .collect();
        // `top` and `rare` give few rows of many groups: memory alone bounds those.
        let groups_max = if aggregate.limit.is_some() { usize::MAX } else { groups_max };
        Self { by: aggregate.by.iter().map(part).collect(), figures, groups_max, aggregate }
    }

    /// Whether it only asks how many events there are.
    fn is_plain_count(&self) -> bool {
        self.by.is_empty() && self.only_counts()
    }

    /// Whether events are only counted.
    fn only_counts(&self) -> bool {
        self.figures.iter().all(|figure| *figure == (Function::Count, None))
    }

    fn check_count(&self, groups: usize) -> Result<(), QueryError> {
        if groups <= self.groups_max {
            return Ok(());
        }
        Err(QueryError::too_expensive(format!(
            "it makes more than {} groups; use `top`, narrow the condition, or group by a field \
             with fewer values",
            self.groups_max
        )))
    }

    /// The first of these rows in the order that is asked for.
    fn table(&self, mut rows: Vec<Vec<Cell>>) -> Table {
        let groups = (0..self.by.len()).map(|place| (place, false));
        let places: Vec<(usize, bool)> = match self.aggregate.order {
            RowOrder::Groups => groups.collect(),
            RowOrder::GreatestFirst => [(self.by.len(), true)].into_iter().chain(groups).collect(),
            RowOrder::SmallestFirst => [(self.by.len(), false)].into_iter().chain(groups).collect(),
        };
        sort_rows(&mut rows, &places);
        rows.truncate(self.aggregate.limit.unwrap_or(usize::MAX));
        Table::new(self.columns(), rows)
    }

    fn columns(&self) -> Vec<(String, &'static str)> {
        let group = |group: &GroupBy| match group {
            GroupBy::Field(name) => (name.clone(), "string"),
            GroupBy::Bin(_) => ("timestamp".to_owned(), "timestamp"),
        };
        let figures = self.aggregate.figures.iter().map(|figure| {
            let usual = match figure.function {
                Function::Count | Function::CountDistinct => "integer",
                _ => "float",
            };
            (figure.name.clone(), usual)
        });
        self.aggregate.by.iter().map(group).chain(figures).collect()
    }
}

/// Groups by their key: the texts of their values, each behind its length.
#[derive(Default)]
struct Groups {
    groups: HashMap<String, Group, RandomState>,
    key: String,
}

struct Group {
    cells: Vec<Cell>,
    figures: Vec<Figure>,
}

impl Groups {
    fn add(&mut self, event: &Event, spec: &Spec, memory: &Memory) -> Result<(), QueryError> {
        self.key.clear();
        for part in &spec.by {
            match part {
                Part::Bin(span) => {
                    push_key(&mut self.key, Value::Timestamp(bin(event.timestamp(), *span)));
                }
                Part::Values(target) => {
                    let mut values = 0;
                    event.any_value(target, &mut |value| {
                        if value != Value::Null {
                            values += 1;
                            if values == 1 {
                                push_key(&mut self.key, value);
                            }
                        }
                        values > 1
                    });
                    match values {
                        0 => push_key(&mut self.key, Value::Null),
                        1 => {}
                        _ => return self.add_to_many(event, spec, memory),
                    }
                }
            }
        }
        if let Some(group) = self.groups.get_mut(&self.key) {
            return group.add(event, spec, memory);
        }
        let cells = spec.by.iter().map(|part| part.cells(event).swap_remove(0)).collect();
        self.insert(cells, event, spec, memory)
    }

    /// An event with several values is in the group of each combination.
    fn add_to_many(
        &mut self,
        event: &Event,
        spec: &Spec,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let mut combinations: Vec<Vec<Cell>> = vec![Vec::new()];
        for part in &spec.by {
            let cells = part.cells(event);
            if combinations.len() * cells.len() > GROUPS_PER_EVENT_MAX {
                return Err(too_many_of_one_event());
            }
            combinations = combinations
                .iter()
                .flat_map(|before| {
                    cells.iter().map(|cell| {
                        let mut all = before.clone();
                        all.push(cell.clone());
                        all
                    })
                })
                .collect();
        }
        for cells in combinations {
            self.key.clear();
            cells.iter().for_each(|cell| push_key(&mut self.key, cell.value()));
            match self.groups.get_mut(&self.key) {
                Some(group) => group.add(event, spec, memory)?,
                None => self.insert(cells, event, spec, memory)?,
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        cells: Vec<Cell>,
        event: &Event,
        spec: &Spec,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let mut group = Group::new(cells, spec);
        memory.take(group.size_bytes(&self.key))?;
        group.add(event, spec, memory)?;
        self.groups.insert(self.key.clone(), group);
        spec.check_count(self.groups.len())
    }

    /// Adds events with these values, or none, that are only counted; times are whole numbers.
    fn add_counted(
        &mut self,
        values: &[Value<'_>],
        times: u64,
        spec: &Spec,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let values = || {
            spec.by.iter().zip(values).map(|(part, value)| match (part, value) {
                (Part::Bin(_), Value::Integer(nanos)) => {
                    Value::Timestamp(Timestamp::from_nanos(i64::try_from(*nanos).unwrap_or(0)))
                }
                (_, value) => *value,
            })
        };
        self.key.clear();
        values().for_each(|value| push_key(&mut self.key, value));
        if !self.groups.contains_key(&self.key) {
            let group = Group::new(values().map(Cell::from).collect(), spec);
            memory.take(group.size_bytes(&self.key))?;
            self.groups.insert(self.key.clone(), group);
            spec.check_count(self.groups.len())?;
        }
        let group = self.groups.get_mut(&self.key);
        for figure in group.into_iter().flat_map(|group| &mut group.figures) {
            if let Figure::Count(events) = figure {
                *events += times;
            }
        }
        Ok(())
    }

    /// Adds events that are only counted.
    fn add_count(&mut self, spec: &Spec, count: u64) {
        let group =
            self.groups.entry(String::new()).or_insert_with(|| Group::new(Vec::new(), spec));
        for figure in &mut group.figures {
            if let Figure::Count(events) = figure {
                *events += count;
            }
        }
    }

    fn merge(&mut self, other: Self, spec: &Spec, memory: &Memory) -> Result<(), QueryError> {
        for (key, group) in other.groups {
            match self.groups.get_mut(&key) {
                Some(same) => {
                    memory.give(group.size_bytes(&key));
                    let figures = same.figures.iter_mut().zip(group.figures);
                    figures.for_each(|(figure, other)| figure.merge(other, memory));
                }
                None => {
                    self.groups.insert(key, group);
                }
            }
        }
        spec.check_count(self.groups.len())
    }

    fn into_table(mut self, spec: &Spec) -> Table {
        if spec.by.is_empty() && self.groups.is_empty() {
            // The figures of no events are a row too.
            self.groups.insert(String::new(), Group::new(Vec::new(), spec));
        }
        let functions = spec.figures.iter().map(|(function, _)| *function);
        let rows: Vec<Vec<Cell>> = self
            .groups
            .into_values()
            .map(|group| {
                let figures = group.figures.into_iter().zip(functions.clone());
                let figures = figures.map(|(figure, function)| figure.into_cell(function));
                group.cells.into_iter().chain(figures).collect()
            })
            .collect();
        spec.table(rows)
    }
}

impl Part {
    /// The different values of an event; null when there is none.
    fn cells(&self, event: &Event) -> Vec<Cell> {
        match self {
            Self::Bin(span) => vec![Cell::Timestamp(bin(event.timestamp(), *span))],
            Self::Values(target) => {
                let mut cells: Vec<Cell> = Vec::new();
                event.any_value(target, &mut |value| {
                    let is_new =
                        || !cells.iter().any(|cell| with_text(value, |text| is(cell, text)));
                    if value != Value::Null && is_new() {
                        cells.push(Cell::from(value));
                    }
                    false
                });
                if cells.is_empty() { vec![Cell::Null] } else { cells }
            }
        }
    }
}

fn too_many_of_one_event() -> QueryError {
    QueryError::too_expensive(format!(
        "one event is in more than {GROUPS_PER_EVENT_MAX} groups, because the fields hold many \
         values; group by fewer of them"
    ))
}

fn is(cell: &Cell, text: &str) -> bool {
    with_text(cell.value(), |other| other == text)
}

/// Values that are the same text are the same group.
fn push_key(key: &mut String, value: Value<'_>) {
    let is_written = with_text(value, |text| write!(key, "{}:{text}", text.len()).is_ok());
    if !is_written {
        key.push('-');
    }
}

fn bin(at: Timestamp, span_nanos: i64) -> Timestamp {
    let start = at.nanos().div_euclid(span_nanos).saturating_mul(span_nanos);
    Timestamp::from_nanos(start)
}

/// The instants that are in the same bin.
fn bin_range(at: Timestamp, span_nanos: i64) -> TimeRange {
    let start = bin(at, span_nanos);
    let end = Timestamp::from_nanos(start.nanos().saturating_add(span_nanos));
    TimeRange { start, end }
}

impl Group {
    fn new(cells: Vec<Cell>, spec: &Spec) -> Self {
        let figures = spec.figures.iter().map(|(function, _)| Figure::new(*function)).collect();
        Self { cells, figures }
    }

    /// Bytes it takes while its figures hold nothing.
    fn size_bytes(&self, key: &str) -> usize {
        let cells: usize = self.cells.iter().map(Cell::size_bytes).sum();
        ENTRY_BYTES + key.len() + cells + self.figures.len() * size_of::<Figure>()
    }

    fn add(&mut self, event: &Event, spec: &Spec, memory: &Memory) -> Result<(), QueryError> {
        for (figure, (_, target)) in self.figures.iter_mut().zip(&spec.figures) {
            figure.add(event, target.as_ref(), memory)?;
        }
        Ok(())
    }
}
