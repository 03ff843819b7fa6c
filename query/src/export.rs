//! Export: every event that satisfies a condition, newest first.
//!
//! Read page by page, each continuing where the one before ended, so that memory stays that of one
//! page. There is no deadline; dropping the receiver or the control's token ends it. An event is
//! given once; one that is published while the export runs is left out when it is newer.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use logwarden_event::{Event, TimeRange, Timestamp};
use logwarden_index::Piece;
use tokio::sync::mpsc;

use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::hits::{FirstHits, HitKey, HitOrder};
use crate::language::{Pipe, Query};
use crate::request::Control;
use crate::scan::{Scan, for_each_piece};
use crate::visibility::Visibility;

/// Events of one page.
const PAGE_EVENTS: usize = 5_000;

/// What to export.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The condition; of its pipes only `where` counts.
    pub query: Query,
    /// The events' time.
    pub range: TimeRange,
    /// What may be seen.
    pub visibility: Visibility,
}

/// How an export ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportAnswer {
    /// Events given.
    pub total: u64,
    /// Everything was read.
    pub complete: bool,
    /// The pieces that could not be read, by name.
    pub unreadable: Vec<String>,
}

impl Engine {
    /// Sends every event that satisfies the condition, newest first, in pages, and waits while the
    /// receiver is slow.
    ///
    /// # Errors
    ///
    /// [`QueryError::Cancelled`] when the receiver is gone; [`QueryError::Invalid`] when the query
    /// aggregates; otherwise as a search.
    pub async fn export(
        &self,
        request: ExportRequest,
        pages: mpsc::Sender<Vec<Event>>,
        control: Control,
    ) -> Result<ExportAnswer, QueryError> {
        if request.query.pipes.iter().any(|pipe| !matches!(pipe, Pipe::Where(_) | Pipe::Fields(_)))
        {
            let message =
                "an export gives whole events: the query may only use `where` and `fields`";
            return Err(QueryError::Invalid(message.to_owned()));
        }
        let turn = self.turn(&control).await?;
        let answer = self.export_now(request, pages, control).await;
        turn.end(answer)
    }

    async fn export_now(
        &self,
        request: ExportRequest,
        pages: mpsc::Sender<Vec<Event>>,
        control: Control,
    ) -> Result<ExportAnswer, QueryError> {
        let view = request.visibility.view(&request.query);
        let mut answer = ExportAnswer { complete: true, ..ExportAnswer::default() };
        let mut range = request.range;
        let mut after: Option<HitKey> = None;
        loop {
            let snapshot = self.snapshot().await?;
            let limits = (None, self.config.memory_bytes_max);
            let scan = Scan::new(snapshot, view.clone(), range, control.clone(), limits);
            let (events, last) = self.page(Arc::new(scan), after.take(), &mut answer).await?;
            answer.total += events.len() as u64;
            if !events.is_empty() {
                pages.send(events).await.map_err(|_| QueryError::Cancelled)?;
            }
            let Some(last) = last else { return Ok(answer) };
            let end = Timestamp::from_nanos(last.timestamp_nanos().saturating_add(1));
            range.end = range.end.min(end);
            after = Some(last);
        }
    }

    /// The next page, and where it ended when there is more.
    async fn page(
        &self,
        scan: Arc<Scan>,
        after: Option<HitKey>,
        answer: &mut ExportAnswer,
    ) -> Result<(Vec<Event>, Option<HitKey>), QueryError> {
        let order = HitOrder::new(&[]);
        let first = Arc::new(Mutex::new(FirstHits::new(PAGE_EVENTS, after.clone())));
        let shared = Arc::clone(&first);
        let work = move |scan: &Scan, piece: &dyn Piece| {
            if lock(&shared).is_settled_before(piece.time_span().1.nanos()) {
                lock(&shared).has_more = true;
                return Ok(());
            }
            scan.visit(piece, scan.plan.range, |event| {
                let key = order.key(event);
                if after.as_ref().is_some_and(|after| key <= *after) {
                    return Ok(ControlFlow::Continue(()));
                }
                let mut first = lock(&shared);
                if !first.wants(&key) {
                    return Ok(ControlFlow::Break(()));
                }
                first.offer(key, event, &scan.memory)?;
                Ok(ControlFlow::Continue(()))
            })
        };
        let coverage = for_each_piece(&scan, &self.cores, work).await?;
        answer.complete &= coverage.complete;
        for name in coverage.unreadable {
            if !answer.unreadable.contains(&name) {
                answer.unreadable.push(name);
            }
        }
        let first = std::mem::replace(&mut *lock(&first), FirstHits::new(0, None));
        Ok(first.into_events())
    }
}
