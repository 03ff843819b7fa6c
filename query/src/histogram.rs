//! Histograms: events per span of time, split by a field where asked.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logwarden_event::{Event, TimeRange, Timestamp, Value};
use logwarden_index::{GroupPart, Grouped, Piece};

use crate::config::Config;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::filter::Target;
use crate::language::Query;
use crate::request::{Control, Coverage};
use crate::scan::{Halt, Memory, Scan, for_each_piece};
use crate::values::each_value;
use crate::visibility::{View, Visibility};

/// Values by which buckets are split; the rest is `other`.
const SPLIT_VALUES_MAX: usize = 10;
/// Buckets when nothing is said.
const BUCKETS_DEFAULT: usize = 60;
/// Bytes a split value takes per bucket it occurs in.
const SPLIT_ENTRY_BYTES: usize = 48;

/// What to count over time.
#[derive(Debug, Clone)]
pub struct HistogramRequest {
    /// The condition; pipes up to an aggregation count too.
    pub query: Query,
    /// The span that is cut. An open end is that of the events there are; for somebody who sees a part,
    /// that of those they find.
    pub range: TimeRange,
    /// How it is cut.
    pub cut: Cut,
    /// The field to split buckets by.
    pub by: Option<String>,
    /// What may be seen.
    pub visibility: Visibility,
}

/// How a range is cut into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Evenly into so many, at most [`Config::BUCKETS_MAX`].
    Buckets(usize),
    /// Into spans of this length from the range's start on; the last one may be shorter.
    Interval(Duration),
}

impl Default for Cut {
    fn default() -> Self {
        Self::Buckets(BUCKETS_DEFAULT)
    }
}

/// Events over time.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramAnswer {
    /// The buckets, oldest first, the empty ones too.
    pub buckets: Vec<Bucket>,
    /// Length of one bucket.
    pub interval: Duration,
    /// The range that was cut.
    pub range: TimeRange,
    /// Events in all buckets.
    pub total: u64,
    /// What the answer rests on.
    pub coverage: Coverage,
}

/// Events in one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub timestamp: Timestamp,
    /// Events in it.
    pub count: u64,
    /// Events by value, of the values with the most events, most first; those of all others are
    /// under `other`. Events without the field are in none.
    pub by: Vec<(String, u64)>,
    /// Not all that lies in it was read: there may be more.
    pub is_unread: bool,
}

impl Engine {
    /// Counts events over time.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] when there would be no or too many buckets; otherwise as a search.
    pub async fn histogram(
        &self,
        request: HistogramRequest,
        control: Control,
    ) -> Result<HistogramAnswer, QueryError> {
        let turn = self.turn(&control).await?;
        let answer = self.histogram_now(request, control).await;
        turn.end(answer)
    }

    async fn histogram_now(
        &self,
        request: HistogramRequest,
        control: Control,
    ) -> Result<HistogramAnswer, QueryError> {
        let view = request.visibility.view(&request.query);
        let is_open = request.range.start == Timestamp::MIN || request.range.end == Timestamp::MAX;
        let range = match request.visibility.is_partial() && is_open {
            true => self.range_seen(view.clone(), request.range, control.clone()).await?,
            false => request.range,
        };
        let scan = self.scan(view, range, control).await?;
        let grid = Arc::new(Grid::new(closed(range, &scan), request.cut)?);
        let by = request.by.as_deref().map(Target::of_name);
        let all = Arc::new(Mutex::new(Counts::new(grid.len)));
        let (shared, cut) = (Arc::clone(&all), Arc::clone(&grid));
        let work = move |scan: &Scan, piece: &dyn Piece| {
            let mut counts = Counts::new(cut.len);
            let result = counts.read(scan, piece, &cut, by.as_ref());
            scan.add_total(counts.events.iter().sum());
            lock(&shared).merge(counts, &scan.memory);
            scan.tell(Vec::new());
            result
        };
        let coverage = for_each_piece(&scan, &self.cores, work).await?;
        let counts = std::mem::replace(&mut *lock(&all), Counts::new(0));
        Ok(HistogramAnswer {
            total: counts.events.iter().sum(),
            buckets: counts.into_buckets(&grid, &coverage.unread),
            interval: grid.interval(),
            range: grid.range,
            coverage,
        })
    }

    /// The range with open ends closed by the first and the last event that are found; where none is, no
    /// time passes.
    async fn range_seen(
        &self,
        view: View,
        range: TimeRange,
        control: Control,
    ) -> Result<TimeRange, QueryError> {
        let scan = self.scan(view, range, control).await?;
        let span: Arc<Mutex<Option<(Timestamp, Timestamp)>>> = Arc::default();
        let shared = Arc::clone(&span);
        let work = move |scan: &Scan, piece: &dyn Piece| {
            scan.visit(piece, scan.plan.range, |event| {
                let at = event.timestamp();
                let mut span = lock(&shared);
                let (first, last) = span.unwrap_or((at, at));
                *span = Some((first.min(at), last.max(at)));
                Ok(ControlFlow::Continue(()))
            })
        };
        for_each_piece(&scan, &self.cores, work).await?;
        let has_start = range.start != Timestamp::MIN;
        let nowhere = if has_start { range.start } else { range.end };
        let (first, after) = lock(&span).map_or((nowhere, nowhere), |(first, last)| {
            (first, Timestamp::from_nanos(last.nanos().saturating_add(1)))
        });
        let start = if has_start { range.start } else { first };
        let end = if range.end == Timestamp::MAX { after } else { range.end };
        Ok(TimeRange { start, end })
    }
}

/// The range with open ends closed by the events there are.
fn closed(range: TimeRange, scan: &Scan) -> TimeRange {
    let spans = || scan.pieces.iter().map(|piece| piece.time_span());
    let first = spans().map(|(first, _)| first).min().unwrap_or_default();
    let last = spans().map(|(_, last)| last).max().unwrap_or_default();
    let start = if range.start == Timestamp::MIN {
        first.max(scan.plan.range.start).min(range.end)
    } else {
        range.start
    };
    let end = if range.end == Timestamp::MAX {
        let after = Timestamp::from_nanos(last.nanos().saturating_add(1));
        after.min(scan.plan.range.end).max(start)
    } else {
        range.end
    };
    TimeRange { start, end }
}

/// A range and how it is cut.
struct Grid {
    range: TimeRange,
    len: usize,
    /// Nanoseconds of a bucket when they are given; otherwise the range is cut evenly.
    interval_nanos: Option<i128>,
}

impl Grid {
    fn new(range: TimeRange, cut: Cut) -> Result<Self, QueryError> {
        let nanos = nanos_of(range).max(0);
        let (len, interval_nanos) = match cut {
            Cut::Buckets(len) => (len as i128, None),
            Cut::Interval(span) => {
                let span = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
                if span == 0 {
                    return Err(QueryError::Invalid("`interval` is zero".to_owned()));
                }
                ((nanos + span - 1) / span, Some(span))
            }
        };
        match usize::try_from(len) {
            Ok(len) if (1..=Config::BUCKETS_MAX).contains(&len) || nanos == 0 => {
                let len = if nanos == 0 { 0 } else { len };
                Ok(Self { range, len, interval_nanos })
            }
            _ => Err(QueryError::Invalid(format!(
                "the range would be cut into {len} buckets, 1 to {} are given",
                Config::BUCKETS_MAX
            ))),
        }
    }

    fn start_of(&self, bucket: usize) -> Timestamp {
        let offset = match self.interval_nanos {
            Some(span) => span * bucket as i128,
            None => nanos_of(self.range) * bucket as i128 / (self.len as i128).max(1),
        };
        let start = i128::from(self.range.start.nanos()) + offset;
        let start = Timestamp::from_nanos(i64::try_from(start).unwrap_or(i64::MAX));
        start.min(self.range.end)
    }

    fn bucket(&self, bucket: usize) -> TimeRange {
        TimeRange { start: self.start_of(bucket), end: self.start_of(bucket + 1) }
    }

    /// The bucket an instant lies in.
    fn place(&self, at: Timestamp) -> Option<usize> {
        if !self.range.contains(at) {
            return None;
        }
        let offset = i128::from(at.nanos()) - i128::from(self.range.start.nanos());
        let place = match self.interval_nanos {
            Some(span) => offset / span,
            None => offset * self.len as i128 / nanos_of(self.range),
        };
        let mut place = usize::try_from(place).ok()?;
        // Starts are rounded down to whole nanoseconds.
        while place + 1 < self.len && self.start_of(place + 1) <= at {
            place += 1;
        }
        (place < self.len).then_some(place)
    }

    fn interval(&self) -> Duration {
        let nanos = match self.interval_nanos {
            Some(span) => span,
            None => nanos_of(self.range) / (self.len as i128).max(1),
        };
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn nanos_of(range: TimeRange) -> i128 {
    i128::from(range.end.nanos()) - i128::from(range.start.nanos())
}

/// Events per bucket, and per value and bucket.
struct Counts {
    events: Vec<u64>,
    by: HashMap<String, BTreeMap<usize, u64>>,
}

impl Counts {
    fn new(buckets: usize) -> Self {
        Self { events: vec![0; buckets], by: HashMap::new() }
    }

    fn read(
        &mut self,
        scan: &Scan,
        piece: &dyn Piece,
        grid: &Grid,
        by: Option<&Target>,
    ) -> Result<(), Halt> {
        let is_told = match by {
            None => self.count(scan, piece, grid)?,
            // What was told before it broke off is worth nothing.
            Some(by) => self.count_by(scan, piece, grid, by).inspect_err(|_| {
                *self = Self::new(grid.len);
            })?,
        };
        if is_told {
            return Ok(());
        }
        self.events.fill(0);
        let range = intersection(grid.range, scan.plan.range);
        scan.visit(piece, range, |event| {
            if let Some(place) = grid.place(event.timestamp()) {
                self.events[place] += 1;
                if let Some(by) = by {
                    self.add_values(event, by, place, &scan.memory)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Lets the index count; false when it cannot.
    fn count(&mut self, scan: &Scan, piece: &dyn Piece, grid: &Grid) -> Result<bool, Halt> {
        let (first, last) = piece.time_span();
        let inside = |bucket: &usize| {
            let range = intersection(grid.bucket(*bucket), scan.plan.range);
            range.start < range.end && range.overlaps(first, last)
        };
        let buckets: Vec<usize> = (0..grid.len).filter(inside).collect();
        let range = |bucket: &usize| intersection(grid.bucket(*bucket), scan.plan.range);
        let ranges: Vec<TimeRange> = buckets.iter().map(range).collect();
        let Some(counts) = scan.count_each(piece, &ranges)? else { return Ok(false) };
        buckets.into_iter().zip(counts).for_each(|(bucket, count)| self.events[bucket] = count);
        Ok(true)
    }

    /// The same by the values of a field.
    fn count_by(
        &mut self,
        scan: &Scan,
        piece: &dyn Piece,
        grid: &Grid,
        by: &Target,
    ) -> Result<bool, Halt> {
        let Some(name) = by.counted_name() else { return Ok(false) };
        let range = intersection(grid.range, scan.plan.range);
        let bucket_of = |at| match grid.place(at) {
            Some(place) => (place as i64, grid.bucket(place)),
            None => (-1, TimeRange { start: at, end: at }),
        };
        let parts = [GroupPart::Time(&bucket_of), GroupPart::Field(name)];
        scan.count_groups(piece, range, &parts, |grouped| {
            let (place, value, times) = match grouped {
                Grouped::Values([Value::Integer(place), value], times) => (*place, *value, times),
                Grouped::Values(..) => return Ok(()),
                Grouped::Event(event) => {
                    let Some(place) = grid.place(event.timestamp()) else { return Ok(()) };
                    self.events[place] += 1;
                    return self.add_values(event, by, place, &scan.memory);
                }
            };
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let Some(events) = self.events.get_mut(place) else { return Ok(()) };
            *events += times;
            match value {
                Value::Null => Ok(()),
                value => self.add_value(&value.to_string(), place, times, &scan.memory),
            }
        })
    }

    fn add_values(
        &mut self,
        event: &Event,
        by: &Target,
        place: usize,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let mut result = Ok(());
        each_value(event, by, &mut |value| {
            if result.is_ok() {
                result = self.add_value(&value.to_string(), place, 1, memory);
            }
        });
        result
    }

    fn add_value(
        &mut self,
        text: &str,
        place: usize,
        times: u64,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let buckets = match self.by.get_mut(text) {
            Some(buckets) => buckets,
            None => {
                memory.take(SPLIT_ENTRY_BYTES + text.len())?;
                self.by.entry(text.to_owned()).or_default()
            }
        };
        if let Some(count) = buckets.get_mut(&place) {
            *count += times;
        } else {
            memory.take(SPLIT_ENTRY_BYTES)?;
            buckets.insert(place, times);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self, memory: &Memory) {
        self.events.iter_mut().zip(other.events).for_each(|(sum, count)| *sum += count);
        for (text, buckets) in other.by {
            if self.by.contains_key(&text) {
                memory.give(SPLIT_ENTRY_BYTES + text.len());
            }
            let sums = self.by.entry(text).or_default();
            for (place, count) in buckets {
                if sums.contains_key(&place) {
                    memory.give(SPLIT_ENTRY_BYTES);
                }
                *sums.entry(place).or_default() += count;
            }
        }
    }

    fn into_buckets(self, grid: &Grid, unread: &[(Timestamp, Timestamp)]) -> Vec<Bucket> {
        let mut values: Vec<(String, BTreeMap<usize, u64>)> = self.by.into_iter().collect();
        let sum = |buckets: &BTreeMap<usize, u64>| buckets.values().sum::<u64>();
        values.sort_by(|(one, one_counts), (other, other_counts)| {
            sum(other_counts).cmp(&sum(one_counts)).then_with(|| one.cmp(other))
        });
        let mut buckets: Vec<Bucket> = self
            .events
            .iter()
            .enumerate()
            .map(|(place, count)| Bucket {
                timestamp: grid.start_of(place),
                count: *count,
                by: Vec::new(),
                is_unread: unread
                    .iter()
                    .any(|(first, last)| grid.bucket(place).overlaps(*first, *last)),
            })
            .collect();
        for (rank, (text, counts)) in values.into_iter().enumerate() {
            for (place, count) in counts {
                let by = &mut buckets[place].by;
                match by.last_mut() {
                    Some((last, others)) if rank > SPLIT_VALUES_MAX && last == OTHER => {
                        *others += count;
                    }
                    _ if rank >= SPLIT_VALUES_MAX => by.push((OTHER.to_owned(), count)),
                    _ => by.push((text.clone(), count)),
                }
            }
        }
        buckets
    }
}

/// The name under which the values beyond the first are counted.
const OTHER: &str = "other";

fn intersection(one: TimeRange, other: TimeRange) -> TimeRange {
    TimeRange { start: one.start.max(other.start), end: one.end.min(other.end) }
}
