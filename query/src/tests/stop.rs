//! A query that is cancelled stops inside of a long piece: bounded by steps, not by time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use logwarden_event::{Event, TimeRange, Timestamp, Value};
use logwarden_index::{Counted, FieldStat, GroupPart, Grouped, IndexError, Lookup, Piece};
use logwarden_store::Store;
use tokio_util::sync::CancellationToken;

use super::{events, query, request};
use crate::scan::STEPS_PER_CHECK;
use crate::{Config, Control, Cut, Engine, HistogramRequest, QueryError, Visibility, time_range};

/// Steps there would be.
const STEPS: u32 = 1_000_000;
/// The step at which the query is cancelled.
const CANCELLED_AT: u32 = 2_345;

/// A piece with many events, or values, and one answer for each question.
struct LongPiece {
    event: Event,
    cancel: CancellationToken,
    steps: AtomicU32,
}

impl LongPiece {
    /// Steps until `step` breaks or there are no more.
    fn go(&self, mut step: impl FnMut(u32) -> ControlFlow<()>) {
        for number in 0..STEPS {
            if self.steps.fetch_add(1, Ordering::Relaxed) == CANCELLED_AT {
                self.cancel.cancel();
            }
            if step(number).is_break() {
                return;
            }
        }
    }
}

impl Piece for LongPiece {
    fn name(&self) -> String {
        "long".to_owned()
    }

    fn time_span(&self) -> (Timestamp, Timestamp) {
        (self.event.timestamp(), self.event.timestamp())
    }

    fn event_count(&self) -> u64 {
        STEPS.into()
    }

    fn search(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        self.go(|_| visit(&self.event));
        Ok(())
    }

    fn count(&self, lookup: &Lookup, _range: TimeRange) -> Result<Option<u64>, IndexError> {
        let is_told = !format!("{lookup:?}").contains("Or(");
        Ok(is_told.then_some(STEPS.into()))
    }

    fn count_values(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        _field: &str,
        visit: &mut dyn FnMut(Counted<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        self.go(|number| visit(Counted::Value(Value::Integer(number.into()), 1)));
        Ok(true)
    }

    fn count_groups(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        parts: &[GroupPart<'_>],
        visit: &mut dyn FnMut(Grouped<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        self.go(|number| {
            visit(Grouped::Values(&vec![Value::Integer(number.into()); parts.len()], 1))
        });
        Ok(true)
    }

    fn fields(&self) -> Vec<FieldStat> {
        Vec::new()
    }
}

fn node() -> (Arc<Engine>, Arc<LongPiece>, Control) {
    let event = events("0 info sshd failed password | user.name=root source.ip=10.0.0.1").remove(0);
    let cancel = CancellationToken::new();
    let piece = LongPiece { event, cancel: cancel.clone(), steps: AtomicU32::new(0) };
    let piece = Arc::new(piece);
    let (store, _simulation) = Store::simulated(1);
    let config = Config { groups_max: usize::MAX, ..Config::default() };
    let engine = Engine::over_pieces(vec![Arc::clone(&piece) as _], store, config);
    (engine, piece, Control { cancel, ..Control::default() })
}

fn check<T>(piece: &LongPiece, answer: Result<T, QueryError>, what: &str) {
    assert!(matches!(answer, Err(QueryError::Cancelled)), "{what}");
    let steps = piece.steps.load(Ordering::Relaxed);
    assert!(steps > CANCELLED_AT, "{what}: it ended after {steps} steps");
    assert!(steps <= CANCELLED_AT + 1 + STEPS_PER_CHECK, "{what}: it went on for {steps} steps");
}

#[tokio::test]
async fn a_cancelled_query_ends_within_a_bounded_number_of_steps() {
    let texts = [
        // Events that are read, because only they tell how many there are.
        "message:failed OR user.name:root",
        "* | sort user.name",
        "* | stats avg(n) by user.name",
        // Values that the index tells.
        "* | top 10 user.name",
        "* | stats count_distinct(user.name)",
        "* | stats count() by user.name, source.ip",
        "* | timechart 1m by user.name",
    ];
    for text in texts {
        let (engine, piece, control) = node();
        let answer = engine.search(request(text, 10), control).await;
        check(&piece, answer, text);
    }
}

#[tokio::test]
async fn a_cancelled_histogram_ends_within_a_bounded_number_of_steps() {
    let (engine, piece, control) = node();
    let request = HistogramRequest {
        query: query("*"),
        range: time_range(None, None),
        cut: Cut::default(),
        by: Some("user.name".to_owned()),
        visibility: Visibility::default(),
    };
    check(&piece, engine.histogram(request, control).await, "histogram");
}
