//! `/rules/backtest`: what rules would have found in the past.
//!
//! Events are read in the order of the journal, page by page, and go through the production engine;
//! nothing is written and nobody is told. Bounded by [`EVENTS_MAX`] and [`TIME_MAX`]; an answer
//! beyond them says that it is not complete. Who asks for a stream is told after each page how far it
//! is. Dropping the connection cancels the work.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, stream};
use http::HeaderMap;
use logwarden_alerting::{
    AlertQuery, AlertSummary, Resolution, Span, Trial, TrialDetection, agreeing,
};
use logwarden_event::{TimeRange, Timestamp};
use logwarden_query::{SearchRequest, SortKey};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts;
use super::rules::Problem;
use super::scope::{Scope, Word, control, refuse};
use super::search::{sent, wants_stream};
use crate::App;
use crate::auth::{Caller, SignedIn};
use crate::body::{Json, RULES_BYTES_MAX};
use crate::error::ApiError;
use crate::frame::RequestId;
use crate::json;
use crate::route::{Permission, Routes};

/// Events of one backtest.
const EVENTS_MAX: u64 = 2_000_000;
/// How long one may take.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Events read at a time.
const PAGE_EVENTS: usize = 5_000;
/// Parts of the range in the answer.
const BUCKETS: i64 = 60;
/// Groups in the answer, those with the most detections.
const GROUPS_MAX: usize = 10;
/// Detections in the answer, the newest.
const EXAMPLES_MAX: usize = 20;
/// Alerts that what was found is held against.
const KNOWN_MAX: usize = 1_000;

/// Rules and a range of time to run them over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Backtest {
    /// The rules, as YAML; they may refer to rules in use.
    rules: String,
    /// The id of a rule in use whose text they replace.
    replaces: Option<String>,
    /// Another version of them, as YAML, whose alerts theirs are compared with.
    against: Option<String>,
    /// The first instant.
    from: Word,
    /// The first instant after it; now when nothing is said.
    to: Option<Word>,
}

/// What rules would have found.
#[derive(Debug, Default, Serialize, ToSchema)]
struct BacktestResult {
    /// Events that were looked at.
    events: u64,
    /// Whether these are all events of the range.
    complete: bool,
    /// Alerts that would have been opened, were each dealt with before the next of its group.
    alerts: u64,
    /// The same over time.
    per_bucket: Vec<AlertBucket>,
    /// The length of one part.
    interval_ms: i64,
    /// Which groups cause the most.
    groups: Vec<GroupCount>,
    /// The newest alerts.
    examples: Vec<Example>,
    /// What is wrong with the rules; nothing was run then.
    problems: Vec<Problem>,
    /// The difference to `against`.
    difference: Option<Difference>,
    /// What the rules really found in the range, and which of it they would not find now. Nothing when not
    /// all of the range was read, or who asks sees a part of the events.
    known: Option<KnownAlerts>,
}

/// How the alerts of two versions differ. Alerts are the same when they are of one group at one time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestDifference)]
struct Difference {
    /// Alerts of the other version.
    alerts: u64,
    /// Alerts that the other version would not have opened.
    gained: u64,
    /// Alerts that the other version alone would have opened.
    lost: u64,
    /// What is wrong with the other version; it was not run then.
    problems: Vec<Problem>,
}

/// Alerts of the rules that were opened, whose events are of the range.
#[derive(Debug, Default, Serialize, ToSchema)]
struct KnownAlerts {
    /// The newest, at most 1,000.
    alerts: u64,
    /// Those that the rules would not open, and that nobody resolved as benign, false or double.
    missed: u64,
    /// Those that the rules would not open and that were resolved so: as it is wanted.
    quieted: u64,
    /// The newest that are missed.
    items: Vec<MissedAlert>,
}

/// An alert that would not be opened.
#[derive(Debug, Serialize, ToSchema)]
struct MissedAlert {
    id: String,
    title: String,
    opened_at: String,
    state: &'static str,
}

/// Alerts in one part of the range.
#[derive(Debug, Serialize, ToSchema)]
struct AlertBucket {
    timestamp: String,
    count: u64,
}

/// Alerts of one group.
#[derive(Debug, Serialize, ToSchema)]
struct GroupCount {
    /// The group's values; empty: all events are one group.
    group: String,
    count: u64,
}

/// An alert that would have been opened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestExample)]
struct Example {
    at: String,
    title: String,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ReadRules), routes!(backtest))
}

/// Runs rules over stored events as the detector would; writes nothing and tells nobody. With `Accept:
/// text/event-stream` the answer is a stream of `progress` (`events` looked at, `of` how many, `alerts` so
/// far) and, at the end, `done` with the whole answer.
#[utoipa::path(
    post, path = "/api/v1/rules/backtest", tag = "rules", request_body = Backtest,
    responses((status = 200, body = BacktestResult))
)]
async fn backtest(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Json(asked): Json<Backtest, RULES_BYTES_MAX>,
) -> Result<Response, ApiError> {
    let mut scope = Scope::read(&app, &caller, None, Some(asked.from), asked.to)?;
    scope.range.end = scope.range.end.min(scope.now);
    if scope.range.end <= scope.range.start {
        return Err(ApiError::bad_request("the range ends before it begins"));
    }
    let replaced = asked.replaces.filter(|id| !id.is_empty());
    let text = asked.rules;
    let trial = match on_trial(&app, replaced.as_deref(), text).await? {
        Ok(trial) => trial,
        Err(problems) => {
            let result = BacktestResult { problems, ..BacktestResult::default() };
            return Ok(axum::Json(result).into_response());
        }
    };
    let against = match asked.against {
        Some(text) => Some(on_trial(&app, replaced.as_deref(), text).await?),
        None => None,
    };
    let (tell, progress) = watch::channel(Step::default());
    let work = conclude(app, caller, scope, Tried { trial, against, replaced }, tell).boxed();
    if !wants_stream(&headers) {
        return Ok(axum::Json(work.await?).into_response());
    }
    let running = Running { work: Some(work), progress, request_id };
    Ok(Sse::new(running.into_stream()).keep_alive(KeepAlive::default()).into_response())
}

type OnTrial = Result<Trial, Vec<Problem>>;

async fn on_trial(app: &App, replaced: Option<&str>, text: String) -> Result<OnTrial, ApiError> {
    let trial = app.alerting.trial(replaced, text).await.map_err(alerts::refuse)?;
    Ok(trial.map_err(|problems| problems.into_iter().map(Problem::from).collect()))
}

/// What is tried, and beside it.
struct Tried {
    trial: Trial,
    /// The other version.
    against: Option<OnTrial>,
    /// The rule in use whose text it replaces.
    replaced: Option<String>,
}

/// How far a backtest is.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Step {
    /// Events that were looked at.
    events: u64,
    /// Events of the range.
    of: u64,
    /// Alerts found so far.
    alerts: u64,
}

/// A backtest whose steps are sent as they come. Dropping it cancels the work.
struct Running {
    work: Option<BoxFuture<'static, Result<BacktestResult, ApiError>>>,
    progress: watch::Receiver<Step>,
    request_id: RequestId,
}

impl Running {
    fn into_stream(self) -> impl Stream<Item = Result<SentEvent, Infallible>> {
        stream::unfold(self, async |mut running| {
            let event = running.next().await?;
            Some((Ok(event), running))
        })
    }

    async fn next(&mut self) -> Option<SentEvent> {
        let work = self.work.as_mut()?;
        tokio::select! {
            biased;
            // A slow client hears of the newest step alone.
            Ok(()) = self.progress.changed() => {
                let step = *self.progress.borrow_and_update();
                Some(sent("progress", |out| json::write_serialized(&step, out)))
            }
            result = work => {
                self.work = None;
                Some(match result {
                    Ok(result) => sent("done", |out| json::write_serialized(&result, out)),
                    Err(error) => {
                        let error = error.detail().to_json(&self.request_id.0);
                        SentEvent::default().event("error").data(error)
                    }
                })
            }
        }
    }
}

async fn conclude(
    app: App,
    caller: Arc<Caller>,
    scope: Scope,
    tried: Tried,
    tell: watch::Sender<Step>,
) -> Result<BacktestResult, ApiError> {
    let (tried, events, complete) = run(&app, &caller, &scope, tried, &tell).await?;
    scope.note(&app, &caller, "rule.backtest", events);
    let end = complete.then_some(scope.range.end);
    let mut rules = tried.trial.rules();
    rules.extend(tried.replaced);
    let (detections, beyond) = tried.trial.into_detections(end);
    let mut result = summary(&detections, scope.range);
    result.alerts += beyond;
    result.difference = tried.against.map(|against| match against {
        Ok(other) => difference(&detections, &other.into_detections(end).0),
        Err(problems) => Difference { alerts: 0, gained: 0, lost: 0, problems },
    });
    if complete && !scope.visibility.is_partial() {
        result.known = Some(known(&app, &caller, rules, scope.range, &detections).await?);
    }
    Ok(BacktestResult { events, complete, ..result })
}

fn difference(ours: &[TrialDetection], theirs: &[TrialDetection]) -> Difference {
    let [ours, theirs] =
        [ours, theirs].map(|list| list.iter().map(Span::of_detection).collect::<Vec<_>>());
    let alone = |agreeing: Vec<bool>| agreeing.iter().filter(|agrees| !**agrees).count() as u64;
    Difference {
        alerts: theirs.len() as u64,
        gained: alone(agreeing(&ours, &theirs)),
        lost: alone(agreeing(&theirs, &ours)),
        problems: Vec::new(),
    }
}

/// What rules of these ids really found in the range, against what is found now.
async fn known(
    app: &App,
    caller: &Caller,
    mut rules: Vec<String>,
    range: TimeRange,
    detections: &[TrialDetection],
) -> Result<KnownAlerts, ApiError> {
    rules.sort_unstable();
    rules.dedup();
    let (viewer, _guard) = alerts::viewer(app, caller)?;
    let mut opened: Vec<AlertSummary> = Vec::new();
    for rule in rules {
        let query = AlertQuery { rule: Some(rule), limit: KNOWN_MAX, ..AlertQuery::default() };
        let page = app.alerting.alerts(&query, &viewer).await.map_err(alerts::refuse)?;
        opened.extend(page.items);
    }
    opened.retain(|alert| range.start <= alert.first_event_at && alert.last_event_at < range.end);
    opened.sort_by_key(|alert| Reverse(alert.opened_at));
    opened.truncate(KNOWN_MAX);
    let spans: Vec<Span<'_>> = opened.iter().map(Span::of_alert).collect();
    let found: Vec<Span<'_>> = detections.iter().map(Span::of_detection).collect();
    let agreeing = agreeing(&spans, &found);
    let mut known = KnownAlerts { alerts: opened.len() as u64, ..KnownAlerts::default() };
    for alert in opened.iter().zip(agreeing).filter(|(_, agrees)| !agrees).map(|(alert, _)| alert) {
        if alert.resolution.is_some_and(is_unwanted) {
            known.quieted += 1;
            continue;
        }
        known.missed += 1;
        if known.items.len() < EXAMPLES_MAX {
            known.items.push(MissedAlert {
                id: alert.id.to_string(),
                title: alert.title.clone(),
                opened_at: alert.opened_at.to_string(),
                state: alert.state.name(),
            });
        }
    }
    Ok(known)
}

/// Whether an alert resolved so is one that nobody misses.
fn is_unwanted(resolution: Resolution) -> bool {
    matches!(resolution, Resolution::Benign | Resolution::FalsePositive | Resolution::Duplicate)
}

/// Hands every event of the scope to what is tried; answers how many, and whether these are all.
async fn run(
    app: &App,
    caller: &Caller,
    scope: &Scope,
    mut tried: Tried,
    tell: &watch::Sender<Step>,
) -> Result<(Tried, u64, bool), ApiError> {
    let begun = Instant::now();
    let (mut events, mut is_complete, mut cursor) = (0, true, None);
    loop {
        let request = SearchRequest {
            query: scope.query.clone(),
            range: scope.range,
            limit: PAGE_EVENTS,
            // Rules go by the events' own time: whatever came late is in its place.
            sort: vec![SortKey::parse("timestamp")],
            cursor: cursor.take(),
            visibility: scope.visibility.clone(),
        };
        let (control, _guard) = control(caller);
        let answer = app.engine.search(request, control).await.map_err(refuse)?;
        is_complete &= answer.coverage.complete;
        events += answer.hits.len() as u64;
        let of = answer.total.max(events);
        cursor = answer.next.clone();
        let work = tokio::task::spawn_blocking(move || {
            for event in &answer.hits {
                tried.trial.take(event);
                if let Some(Ok(other)) = &mut tried.against {
                    other.take(event);
                }
            }
            tried
        });
        tried = work.await.map_err(ApiError::internal)?;
        tell.send_replace(Step { events, of, alerts: tried.trial.found() });
        if cursor.is_none() {
            return Ok((tried, events, is_complete));
        }
        if events >= EVENTS_MAX || begun.elapsed() >= TIME_MAX {
            return Ok((tried, events, false));
        }
    }
}

fn summary(detections: &[TrialDetection], range: TimeRange) -> BacktestResult {
    let span = range.end.nanos().saturating_sub(range.start.nanos()).max(BUCKETS);
    let interval = (span / BUCKETS).max(1);
    let mut counts = vec![0_u64; usize::try_from(span / interval).unwrap_or(0).max(1)];
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    for detection in detections {
        let after = detection.at.nanos().saturating_sub(range.start.nanos()).max(0);
        let place = usize::try_from(after / interval).unwrap_or(0).min(counts.len() - 1);
        counts[place] += 1;
        let values: Vec<&str> = detection.group.iter().map(|(_, value)| value.as_str()).collect();
        *groups.entry(values.join(" · ")).or_default() += 1;
    }
    let bucket = |(place, count): (usize, u64)| {
        let offset = interval.saturating_mul(i64::try_from(place).unwrap_or(0));
        let at = Timestamp::from_nanos(range.start.nanos().saturating_add(offset));
        AlertBucket { timestamp: at.to_string(), count }
    };
    let mut groups: Vec<GroupCount> =
        groups.into_iter().map(|(group, count)| GroupCount { group, count }).collect();
    groups.sort_by_key(|group| Reverse(group.count));
    groups.truncate(GROUPS_MAX);
    let example = |found: &TrialDetection| {
        let values: Vec<&str> = found.group.iter().map(|(_, value)| value.as_str()).collect();
        let title = match values.as_slice() {
            [] => found.title.clone(),
            values => format!("{}: {}", found.title, values.join(" · ")),
        };
        Example { at: found.at.to_string(), title }
    };
    BacktestResult {
        alerts: detections.len() as u64,
        per_bucket: counts.into_iter().enumerate().map(bucket).collect(),
        interval_ms: interval / 1_000_000,
        groups,
        examples: detections.iter().rev().take(EXAMPLES_MAX).map(example).collect(),
        ..BacktestResult::default()
    }
}
