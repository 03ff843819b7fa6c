//! Single events by id, and the events around one.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logwarden_event::{Event, EventId, TimeRange, Timestamp, Value};
use logwarden_index::Piece;

use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::filter::{Filter, Target, Test};
use crate::hits::{FirstHits, HitOrder};
use crate::language::{Query, SortKey};
use crate::request::Control;
use crate::scan::{Scan, for_each_piece};
use crate::visibility::{View, Visibility};

/// Events wanted before or after one.
const NEIGHBOURS_MAX: usize = 1_000;
/// How far around an event is looked at first; each further look goes eight times as far.
const FIRST_SPAN: Duration = Duration::from_secs(60);
const SPAN_FACTOR: u32 = 8;

/// Which events around one.
#[derive(Debug, Clone)]
pub struct ContextRequest {
    /// The one in the middle.
    pub id: EventId,
    /// Events wanted before it.
    pub before: usize,
    /// Events wanted after it.
    pub after: usize,
    /// What they have in common with it: `source` (the configured sender) or a field.
    pub by: String,
    /// What may be seen.
    pub visibility: Visibility,
}

/// An event and those around it.
#[derive(Debug, Clone)]
pub struct ContextAnswer {
    /// The one in the middle.
    pub anchor: Event,
    /// Those before it, oldest first.
    pub before: Vec<Event>,
    /// Those after it, oldest first.
    pub after: Vec<Event>,
}

impl Engine {
    /// One event.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] when there is none that may be seen.
    pub async fn event(
        &self,
        id: EventId,
        visibility: Visibility,
        control: Control,
    ) -> Result<Event, QueryError> {
        let seq = Test::Equals { text: id.position().seq.to_string(), cased: false };
        let view = visibility.view_by_id(Filter::is(Target::Seq, seq));
        let scan = self.scan(view, TimeRange::ALL, control).await?;
        let found: Arc<Mutex<Option<Event>>> = Arc::default();
        let shared = Arc::clone(&found);
        let work = move |scan: &Scan, piece: &dyn Piece| {
            if lock(&shared).is_some() {
                return Ok(());
            }
            scan.visit(piece, scan.plan.range, |event| {
                if event.id() != id {
                    return Ok(ControlFlow::Continue(()));
                }
                *lock(&shared) = Some(event.clone());
                Ok(ControlFlow::Break(()))
            })
        };
        for_each_piece(&scan, &self.cores, work).await?;
        let event = lock(&found).take();
        event.ok_or(QueryError::NotFound)
    }

    /// The events around one that have the same source or the same value of a field.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] when the event is not there or may not be seen; [`QueryError::Invalid`] when it
    /// has no such field.
    pub async fn context(
        &self,
        request: ContextRequest,
        control: Control,
    ) -> Result<ContextAnswer, QueryError> {
        let turn = self.turn(&control).await?;
        let answer = self.context_now(request, control).await;
        turn.end(answer)
    }

    async fn context_now(
        &self,
        request: ContextRequest,
        control: Control,
    ) -> Result<ContextAnswer, QueryError> {
        let visibility = request.visibility;
        let anchor = self.event(request.id, visibility.clone(), control.clone()).await?;
        let alike = alike(&anchor, &request.by).ok_or_else(|| {
            QueryError::Invalid(format!(
                "this event has no `{}` that others could share",
                request.by
            ))
        })?;
        let own = anchor.dataset().to_owned();
        // Beside a record of ours stand others of its dataset, which `visible` would leave out.
        let dataset = Filter::is(Target::Dataset, Test::Equals { text: own.clone(), cased: false });
        let query = match own.starts_with("logwarden.") {
            true => Query { filter: alike.and(dataset), pipes: Vec::new() },
            false => Query { filter: alike, pipes: Vec::new() },
        };
        let view = visibility.view(&query);
        let mut before = Vec::new();
        let mut after = Vec::new();
        for is_before in [true, false] {
            let wanted = if is_before { request.before } else { request.after };
            let wanted = wanted.min(NEIGHBOURS_MAX);
            let found = self.neighbours(&anchor, &view, wanted, is_before, &control).await?;
            if is_before { before = found } else { after = found }
        }
        before.reverse();
        Ok(ContextAnswer { anchor, before, after })
    }

    /// The nearest events before (newest first) or after (oldest first) one.
    async fn neighbours(
        &self,
        anchor: &Event,
        view: &View,
        wanted: usize,
        is_before: bool,
        control: &Control,
    ) -> Result<Vec<Event>, QueryError> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let oldest_first = SortKey { name: "timestamp".to_owned(), is_descending: false };
        let seq = SortKey { name: "lw.seq".to_owned(), is_descending: false };
        let keys = if is_before { Vec::new() } else { vec![oldest_first, seq] };
        let order = HitOrder::new(&keys);
        let mut span = FIRST_SPAN;
        loop {
            let range = reach(anchor.timestamp(), span, is_before);
            let scan = self.scan(view.clone(), range, control.clone()).await?;
            let first = Arc::new(Mutex::new(FirstHits::new(wanted, Some(order.key(anchor)))));
            let (shared, order) = (Arc::clone(&first), order.clone());
            let work = move |scan: &Scan, piece: &dyn Piece| {
                scan.visit(piece, scan.plan.range, |event| {
                    lock(&shared).offer(order.key(event), event, &scan.memory)?;
                    Ok(ControlFlow::Continue(()))
                })
            };
            let coverage = for_each_piece(&scan, &self.cores, work).await?;
            let first = std::mem::replace(&mut *lock(&first), FirstHits::new(0, None));
            let (events, _) = first.into_events();
            let is_whole = range.start == Timestamp::MIN || range.end == Timestamp::MAX;
            if events.len() == wanted || is_whole || !coverage.complete {
                return Ok(events);
            }
            span = span.saturating_mul(SPAN_FACTOR);
        }
    }
}

/// The time around an event on one side of it; everything once `span` is longer than that.
fn reach(at: Timestamp, span: Duration, is_before: bool) -> TimeRange {
    const EVERYTHING: Duration = Duration::from_secs(400 * 86_400);
    let is_whole = span > EVERYTHING;
    if is_before {
        let start = if is_whole { Timestamp::MIN } else { at.saturating_sub(span) };
        TimeRange { start, end: Timestamp::from_nanos(at.nanos().saturating_add(1)) }
    } else {
        let end = if is_whole { Timestamp::MAX } else { at.saturating_add(span) };
        TimeRange { start: at, end }
    }
}

/// The condition that an event has what `anchor` has.
fn alike(anchor: &Event, by: &str) -> Option<Filter> {
    if by == "source" || by == "lw.source" {
        let text = anchor.source().to_owned();
        return Some(Filter::is(Target::Source, Test::Equals { text, cased: true }));
    }
    let value = anchor.values(by).find(|value| *value != Value::Null)?;
    let test = Test::Equals { text: value.to_string(), cased: false };
    Some(Filter::is(Target::Field(by.to_owned()), test))
}
