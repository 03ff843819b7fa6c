//! `/search`: hits, counts and tables, at once or as they are found.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, stream};
use http::{HeaderMap, header};
use logwarden_query::{Progress, QueryError, SearchAnswer, SearchRequest, SortKey, parse_query};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, names, refuse};
use super::shape::{Datum, Hit, Splits};
use crate::App;
use crate::auth::{Caller, SignedIn};
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::frame::RequestId;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

const SEARCH: Permission = Permission::May(Action::Search);

/// Hits when nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// Steps of a search that wait for a slow client; further ones are left out.
const PROGRESS_WAITING_MAX: usize = 16;

/// What to search for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchParams {
    /// The query; empty or `*` finds everything.
    q: Option<String>,
    /// The first instant: RFC 3339, Unix seconds or milliseconds, or relative such as `now-15m`.
    from: Option<String>,
    /// The first instant after it.
    to: Option<String>,
    /// Hits wanted: 100 when nothing is said, 0 for the count alone, at most 10,000.
    limit: Option<usize>,
    /// A field, with `-` in front for the greatest first; `-timestamp` when nothing is said.
    sort: Option<String>,
    /// What `next` of the answer before held.
    cursor: Option<String>,
    /// Only these fields of each hit, with commas between.
    fields: Option<String>,
}

/// What to search for; the same as the parameters of GET. A name that is none of these is refused: a question
/// that is left out would be answered with everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchBody {
    /// The query; empty or `*` finds everything.
    q: Option<String>,
    /// The first instant: RFC 3339, Unix seconds or milliseconds, or relative such as `now-15m`.
    from: Option<Word>,
    /// The first instant after it.
    to: Option<Word>,
    /// Hits wanted: 100 when nothing is said, 0 for the count alone, at most 10,000.
    limit: Option<usize>,
    /// A field, with `-` in front for the greatest first; `-timestamp` when nothing is said.
    sort: Option<String>,
    /// What `next` of the answer before held.
    cursor: Option<String>,
    /// Only these fields of each hit: a list, or a text with commas.
    fields: Option<Names>,
}

/// Names as a list or with commas between.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Names {
    /// As a list.
    List(Vec<String>),
    /// With commas between.
    Text(String),
}

impl Names {
    pub(super) fn into_list(self) -> Vec<String> {
        match self {
            Self::List(list) => list,
            Self::Text(text) => names(Some(&text)),
        }
    }
}

impl From<SearchParams> for SearchBody {
    fn from(params: SearchParams) -> Self {
        Self {
            q: params.q,
            from: params.from.map(Word::Text),
            to: params.to.map(Word::Text),
            limit: params.limit,
            sort: params.sort,
            cursor: params.cursor,
            fields: params.fields.map(Names::Text),
        }
    }
}

/// What was found: hits, or `columns` and `rows` when a pipe aggregates.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `write_answer` writes by hand")]
struct SearchResult {
    /// Events that satisfy the condition; exact when `complete` is true.
    total: u64,
    /// Everything that lies in the range was read.
    complete: bool,
    took_ms: f64,
    splits: Splits,
    /// Parts that could not be read, by name.
    unreadable: Option<Vec<String>>,
    /// Hand it back as `cursor` for the next hits; null when these are the last.
    next: Option<String>,
    hits: Option<Vec<Hit>>,
    columns: Option<Vec<Column>>,
    rows: Option<Vec<Vec<serde_json::Value>>>,
}

/// One column of a table.
#[derive(Debug, Serialize, ToSchema)]
struct Column {
    name: String,
    /// `string`, `integer`, `float`, `bool`, `ip` or `timestamp`.
    r#type: &'static str,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(SEARCH, routes!(search))
        .add(SEARCH, routes!(search_by_body))
        .add(SEARCH, routes!(check))
}

/// Searches. With `Accept: text/event-stream` the answer is a stream of `hits`, `progress` and, at
/// the end, `done` with the whole answer.
#[utoipa::path(
    get, path = "/api/v1/search", tag = "search", params(SearchParams),
    responses((status = 200, body = SearchResult))
)]
async fn search(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Params(params): Params<SearchParams>,
) -> Result<Response, ApiError> {
    run(&app, &caller, request_id, &headers, params.into()).await
}

/// Whether a query can be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueryCheck)]
struct Check {
    /// What is wrong with it; null: nothing.
    problem: Option<QueryProblem>,
}

/// What is wrong with a query.
#[derive(Debug, Serialize, ToSchema)]
struct QueryProblem {
    /// A sentence for people.
    message: String,
    /// Where, in characters from 0 on.
    position: usize,
    /// What could stand there.
    expected: Vec<String>,
}

/// Which query to check.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CheckParams {
    /// The query.
    q: String,
}

/// Reads a query without running it.
#[utoipa::path(
    get, path = "/api/v1/search/check", tag = "search", params(CheckParams),
    responses((status = 200, body = Check))
)]
async fn check(
    Extract(app): Extract<App>,
    SignedIn(_caller): SignedIn,
    Params(params): Params<CheckParams>,
) -> axum::Json<Check> {
    let problem = parse_query(&params.q, app.audit.now()).err().map(|error| QueryProblem {
        message: error.message,
        position: error.offset,
        expected: error.expected,
    });
    axum::Json(Check { problem })
}

/// Searches, with the query in the body.
#[utoipa::path(
    post, path = "/api/v1/search", tag = "search", request_body = SearchBody,
    responses((status = 200, body = SearchResult))
)]
async fn search_by_body(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Json(body): Json<SearchBody>,
) -> Result<Response, ApiError> {
    run(&app, &caller, request_id, &headers, body).await
}

async fn run(
    app: &App,
    caller: &Caller,
    request_id: RequestId,
    headers: &HeaderMap,
    body: SearchBody,
) -> Result<Response, ApiError> {
    let wanted = body.fields.map(Names::into_list).unwrap_or_default();
    let scope = Scope::read(app, caller, body.q, body.from, body.to)?;
    let request = SearchRequest {
        query: scope.query.clone(),
        range: scope.range,
        limit: body.limit.unwrap_or(LIMIT_DEFAULT),
        sort: names(body.sort.as_deref()).iter().map(|key| SortKey::parse(key)).collect(),
        cursor: body.cursor.filter(|cursor| !cursor.is_empty()),
        visibility: scope.visibility.clone(),
    };
    let (mut control, guard) = control(caller);
    if !wants_stream(headers) {
        let answer = app.engine.search(request, control).await.map_err(refuse)?;
        scope.note(app, caller, "search", answer.total);
        return Ok(json::response(|out| write_answer(&answer, &wanted, out)));
    }
    let (tell, progress) = mpsc::channel(PROGRESS_WAITING_MAX);
    control.progress = Some(tell);
    let (app, caller) = (app.clone(), caller.clone());
    let search = async move {
        let answer = app.engine.search(request, control).await?;
        scope.note(&app, &caller, "search", answer.total);
        Ok(answer)
    };
    let running = Running {
        search: Some(search.boxed()),
        progress,
        waiting: VecDeque::new(),
        wanted,
        request_id,
        _guard: guard,
    };
    Ok(Sse::new(running.into_stream()).keep_alive(KeepAlive::default()).into_response())
}

/// Whether the answer is to be a stream of events.
pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|kind| kind.trim().starts_with("text/event-stream")))
}

/// A search whose steps are sent as they come. Dropping it cancels the search.
struct Running {
    search: Option<BoxFuture<'static, Result<SearchAnswer, QueryError>>>,
    progress: mpsc::Receiver<Progress>,
    waiting: VecDeque<SentEvent>,
    wanted: Vec<String>,
    request_id: RequestId,
    _guard: DropGuard,
}

impl Running {
    fn into_stream(self) -> impl Stream<Item = Result<SentEvent, Infallible>> {
        stream::unfold(self, async |mut running| {
            let event = running.next().await?;
            Some((Ok(event), running))
        })
    }

    async fn next(&mut self) -> Option<SentEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let search = self.search.as_mut()?;
            tokio::select! {
                biased;
                Some(step) = self.progress.recv() => self.tell(&step),
                answer = search => {
                    self.search = None;
                    while let Ok(step) = self.progress.try_recv() {
                        self.tell(&step);
                    }
                    self.waiting.push_back(self.last(answer));
                }
            }
        }
    }

    fn tell(&mut self, step: &Progress) {
        if !step.hits.is_empty() {
            self.waiting.push_back(sent("hits", |out| {
                let mut object = ObjectWriter::begin(out);
                json::write_hits(&step.hits, &self.wanted, object.key("hits"));
                object.end();
            }));
        }
        self.waiting.push_back(sent("progress", |out| {
            let mut object = ObjectWriter::begin(out);
            object.member("splits", Splits::from(step.splits));
            object.member("total", step.total);
            object.end();
        }));
    }

    fn last(&self, answer: Result<SearchAnswer, QueryError>) -> SentEvent {
        match answer {
            Ok(answer) => sent("done", |out| write_answer(&answer, &self.wanted, out)),
            Err(error) => {
                let error = refuse(error).detail().to_json(&self.request_id.0);
                SentEvent::default().event("error").data(error)
            }
        }
    }
}

/// One event of a stream, with JSON as its data.
pub(super) fn sent(name: &str, write: impl FnOnce(&mut Vec<u8>)) -> SentEvent {
    let mut out = Vec::new();
    write(&mut out);
    SentEvent::default().event(name).data(String::from_utf8_lossy(&out))
}

fn write_answer(answer: &SearchAnswer, wanted: &[String], out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.member("total", answer.total);
    object.member("complete", answer.coverage.complete);
    object.member("took_ms", (answer.took.as_secs_f64() * 1e6).round() / 1e3);
    object.member("splits", Splits::from(answer.coverage.splits));
    if !answer.coverage.unreadable.is_empty() {
        object.member("unreadable", &answer.coverage.unreadable);
    }
    object.member("next", &answer.next);
    match &answer.table {
        Some(table) => {
            let columns = table
                .columns
                .iter()
                .map(|column| Column { name: column.name.clone(), r#type: column.type_name });
            object.member("columns", columns.collect::<Vec<_>>());
            let rows = table.rows.iter().map(|row| row.iter().map(Datum).collect::<Vec<_>>());
            object.member("rows", rows.collect::<Vec<_>>());
        }
        None => {
            let wanted = answer.fields.as_deref().unwrap_or(wanted);
            json::write_hits(&answer.hits, wanted, object.key("hits"));
        }
    }
    object.end();
}
