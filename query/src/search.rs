//! Searches: the first hits in an order and how many there are, or the rows of an aggregation.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use logwarden_event::{Event, TimeRange, Timestamp};
use logwarden_index::Piece;

use crate::config::Config;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::hits::{FirstHits, HitKey, HitOrder};
use crate::language::{Aggregate, Pipe, Query, SortKey};
use crate::request::{Control, Coverage};
use crate::scan::{Halt, Scan, for_each_piece};
use crate::table::Table;
use crate::visibility::Visibility;

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Condition and pipes.
    pub query: Query,
    /// The events' time.
    pub range: TimeRange,
    /// Hits wanted, at most [`Config::HITS_MAX`]; 0 for the count alone.
    pub limit: usize,
    /// The order of hits unless the query sorts; none: newest first. Events without the field come
    /// last.
    pub sort: Vec<SortKey>,
    /// [`SearchAnswer::next`] of the answer before, to the same request.
    pub cursor: Option<String>,
    /// What may be seen.
    pub visibility: Visibility,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// Events that satisfy the condition; exact when the coverage is complete.
    pub total: u64,
    /// What the answer rests on.
    pub coverage: Coverage,
    /// How long it took.
    pub took: Duration,
    /// With it the next hits can be asked for; `None` when these are the last.
    pub next: Option<String>,
    /// The hits in order.
    pub hits: Vec<Event>,
    /// The fields that the query's `fields` pipe keeps of each hit.
    pub fields: Option<Vec<String>>,
    /// The rows, when the query aggregates; there are no hits then.
    pub table: Option<Table>,
}

impl Engine {
    /// Searches.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] when the limit is too high or the cursor is not of this search;
    /// [`QueryError::TooExpensive`], [`QueryError::Cancelled`], [`QueryError::Index`].
    pub async fn search(
        &self,
        request: SearchRequest,
        control: Control,
    ) -> Result<SearchAnswer, QueryError> {
        let turn = self.turn(&control).await?;
        let answer = self.search_now(request, control).await;
        turn.end(answer)
    }

    async fn search_now(
        &self,
        request: SearchRequest,
        control: Control,
    ) -> Result<SearchAnswer, QueryError> {
        if request.limit > Config::HITS_MAX {
            return Err(QueryError::Invalid(format!(
                "`limit` is {}, at most {} hits are given; export gives everything",
                request.limit,
                Config::HITS_MAX
            )));
        }
        let started_at = Instant::now();
        let shape = Shape::of(&request);
        let after =
            request.cursor.as_deref().map(|cursor| shape.order.parse_cursor(cursor)).transpose()?;
        let view = request.visibility.view(&request.query);
        let scan = self.scan(view, request.range, control).await?;
        if let Some((rows, pipes)) = shape.rows {
            let (table, coverage) = match rows {
                Rows::Groups(aggregate) => self.tabulate(&scan, aggregate, &pipes).await?,
                Rows::Patterns => self.mine_patterns(&scan, &pipes).await?,
            };
            return Ok(SearchAnswer {
                total: scan.total(),
                coverage,
                took: started_at.elapsed(),
                next: None,
                hits: Vec::new(),
                fields: None,
                table: Some(table),
            });
        }
        let first = Arc::new(Mutex::new(FirstHits::new(shape.limit, after.clone())));
        let collector = Collector { order: shape.order.clone(), first: Arc::clone(&first), after };
        let work = move |scan: &Scan, piece: &dyn Piece| collector.read(scan, piece);
        let coverage = for_each_piece(&scan, &self.cores, work).await?;
        let first = std::mem::replace(&mut *lock(&first), FirstHits::new(0, None));
        let (hits, last) = first.into_events();
        Ok(SearchAnswer {
            total: scan.total(),
            coverage,
            took: started_at.elapsed(),
            next: last.filter(|_| shape.may_go_on).map(|last| shape.order.cursor(&last)),
            hits,
            fields: shape.fields,
            table: None,
        })
    }
}

/// What the pipes make of a request.
struct Shape {
    order: HitOrder,
    limit: usize,
    may_go_on: bool,
    fields: Option<Vec<String>>,
    rows: Option<(Rows, Vec<Pipe>)>,
}

/// What rows are made of.
enum Rows {
    Groups(Aggregate),
    Patterns,
}

impl Shape {
    fn of(request: &SearchRequest) -> Self {
        let mut shape = Self {
            order: HitOrder::new(&request.sort),
            limit: request.limit,
            may_go_on: true,
            fields: None,
            rows: None,
        };
        let rest_after = |place: usize| request.query.pipes[place + 1..].to_vec();
        for (place, pipe) in request.query.pipes.iter().enumerate() {
            match pipe {
                Pipe::Where(_) => {}
                Pipe::Sort(keys) => shape.order = HitOrder::new(keys),
                Pipe::Head(limit) => {
                    shape.may_go_on = *limit > request.limit;
                    shape.limit = request.limit.min(*limit);
                }
                Pipe::Fields(names) => shape.fields = Some(names.clone()),
                Pipe::Aggregate(aggregate) => {
                    shape.rows = Some((Rows::Groups(aggregate.clone()), rest_after(place)));
                    break;
                }
                Pipe::Patterns => {
                    shape.rows = Some((Rows::Patterns, rest_after(place)));
                    break;
                }
            }
        }
        shape
    }
}

/// Collects the hits of all pieces.
struct Collector {
    order: HitOrder,
    first: Arc<Mutex<FirstHits>>,
    after: Option<HitKey>,
}

impl Collector {
    fn read(&self, scan: &Scan, piece: &dyn Piece) -> Result<(), Halt> {
        let range = scan.plan.range;
        let count = Cell::new(None);
        let (mut read, mut is_settled) = (0, false);
        let result = scan.count_and_visit(
            piece,
            |counted| {
                count.set(counted);
                match counted {
                    // Only reading every event tells how many there are.
                    None => Some(range),
                    Some(0) => None,
                    Some(_) => self.wanted_of(piece, range),
                }
            },
            |event| {
                read += 1;
                if !is_settled {
                    is_settled = self.offer(scan, event)?;
                }
                Ok(match is_settled && count.get().is_some() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            },
        );
        scan.add_total(count.get().unwrap_or(read));
        if scan.has_audience() {
            let hits = lock(&self.first).news();
            scan.tell(hits);
        }
        result
    }

    /// Where hits of a piece that has some may still be wanted.
    fn wanted_of(&self, piece: &dyn Piece, range: TimeRange) -> Option<TimeRange> {
        let mut first = lock(&self.first);
        let newest = piece.time_span().1.nanos();
        if self.order.is_newest_first() && first.is_settled_before(newest) {
            first.has_more = true;
            return None;
        }
        Some(self.hits_range(range)).filter(|range| range.start < range.end)
    }

    /// Hits newest first after a cursor lie at its time or before.
    fn hits_range(&self, range: TimeRange) -> TimeRange {
        match &self.after {
            Some(after) if self.order.is_newest_first() => {
                let end = Timestamp::from_nanos(after.timestamp_nanos().saturating_add(1));
                TimeRange { end: range.end.min(end), ..range }
            }
            _ => range,
        }
    }

    /// Offers a hit; true when no later one of this piece can be among the first.
    fn offer(&self, scan: &Scan, event: &Event) -> Result<bool, QueryError> {
        let key = self.order.key(event);
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return Ok(false);
        }
        let mut first = lock(&self.first);
        if first.wants(&key) {
            first.offer(key, event, &scan.memory)?;
            return Ok(false);
        }
        Ok(self.order.is_newest_first())
    }
}
