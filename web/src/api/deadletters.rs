//! `/deadletters`: records that could not become events, and another try with each.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use logwarden_event::{Event, EventId, Timestamp};
use logwarden_query::{Filter, Predicate, SearchAnswer, SearchRequest, Target, Test};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, refuse};
use super::shape::{Hit, List};
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

/// The dataset of records that could not become events.
const DATASET: &str = "logwarden.deadletter";
/// Letters when nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// Letters of one replay.
const REPLAY_MAX: usize = 1_000;
/// Letters that still are bad, of which the answer says why.
const PROBLEMS_MAX: usize = 100;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Sends letters through the present parser; the reason when that cannot be done now.
pub type Replay = Arc<dyn Fn(Vec<Event>) -> Answer<Vec<ReplayOutcome>> + Send + Sync>;

/// Says when letters were replayed; those that were not are not in it.
pub type ReplayedAt =
    Arc<dyn Fn(Vec<EventId>) -> Answer<HashMap<EventId, Timestamp>> + Send + Sync>;

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// Its record is so many events now.
    Stored(u64),
    /// It was replayed before.
    Before,
    /// It still is no record, for this reason.
    StillBad(String),
    /// It is not whole, or not of a kind that can be replayed.
    NotReplayable,
    /// Nobody knows whether it was.
    Unsettled,
}

/// Which letters. What is left out does not narrow them.
#[derive(Debug, Default, Deserialize, ToSchema, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Letters {
    /// A query that they must match too.
    q: Option<String>,
    /// Who sent them.
    source: Option<String>,
    /// Why they are here, such as `invalid_json`.
    code: Option<String>,
    /// The first instant.
    from: Option<String>,
    /// The first instant after it.
    to: Option<String>,
    /// Letters wanted: 100 when nothing is said, at most 10,000; of a replay 1,000.
    limit: Option<usize>,
    /// What `next` of the page before held.
    cursor: Option<String>,
}

/// A letter: an event that also says when it was replayed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `json.rs` writes by hand")]
struct Letter {
    /// What searches give.
    #[schema(inline)]
    #[serde(flatten)]
    hit: Hit,
    /// When its record was stored after all; null: it was not.
    replayed_at: Option<String>,
}

/// What became of the letters of one page.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Replays {
    /// Letters that were looked at.
    letters: usize,
    /// Letters whose record was stored now.
    replayed: usize,
    /// Events that they became.
    events: u64,
    /// Letters that were replayed before.
    replayed_before: usize,
    /// Letters that still are no record.
    still_bad: usize,
    /// Letters of which only the beginning was kept, or that are no refused record.
    not_replayable: usize,
    /// Letters whose replay was cut off so long ago that nobody knows whether it was stored.
    unsettled: usize,
    /// What is wrong with the first hundred that still are bad.
    problems: Vec<Problem>,
    /// Hand it back as `cursor` for the next page; null on the last one.
    next: Option<String>,
}

/// Why a letter still is no record.
#[derive(Debug, Serialize, ToSchema)]
struct Problem {
    /// The letter.
    id: String,
    /// What is wrong.
    reason: String,
}

pub(super) fn routes() -> Routes {
    let permission = Permission::May(Action::HandleDeadLetters);
    Routes::new().add(permission, routes!(list)).add(permission, routes!(replay))
}

/// Lists records that could not become events of their sender, newest first.
#[utoipa::path(
    get, path = "/api/v1/deadletters", tag = "administration", params(Letters),
    responses((status = 200, body = List<Letter>))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(letters): Params<Letters>,
) -> Result<Response, ApiError> {
    let limit = letters.limit.unwrap_or(LIMIT_DEFAULT);
    let answer = find(&app, &caller, letters, limit).await?;
    let ids = answer.hits.iter().map(Event::id).collect();
    let replayed = (app.replayed_at)(ids).await.map_err(ApiError::unavailable)?;
    Ok(json::response(|out| {
        let mut object = ObjectWriter::begin(out);
        json::write_list(&answer.hits, object.key("items"), |letter, out| {
            let at = replayed.get(&letter.id()).map(Timestamp::to_string);
            json::write_letter(letter, at.as_deref(), out);
        });
        object.member("next", &answer.next);
        object.end();
    }))
}

/// Sends letters through the present parser again: what reads now is stored, each letter once.
#[utoipa::path(
    post, path = "/api/v1/deadletters/replay", tag = "administration",
    request_body = Letters, responses((status = 200, body = Replays))
)]
async fn replay(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(letters): Json<Letters>,
) -> Result<axum::Json<Replays>, ApiError> {
    let limit = letters.limit.unwrap_or(REPLAY_MAX);
    if !(1..=REPLAY_MAX).contains(&limit) {
        return Err(ApiError::bad_request(format!("`limit` is 1 to {REPLAY_MAX}")));
    }
    let answer = find(&app, &caller, letters, limit).await?;
    let ids: Vec<EventId> = answer.hits.iter().map(Event::id).collect();
    // It goes on when the caller does not wait: half a page is no harm, and neither is all of it.
    let outcomes = (app.replay)(answer.hits).await.map_err(ApiError::unavailable)?;
    let replays = Replays { next: answer.next, ..sum(&ids, outcomes) };
    let Replays { letters, replayed, events, .. } = &replays;
    let message = format!("replayed {replayed} of {letters} dead letters as {events} events");
    let entry = Entry::new("deadletter.replay", &caller.principal, "deadletters", message);
    app.audit.record(entry.from_peer(caller.peer).counting(*events)).await;
    Ok(axum::Json(replays))
}

fn sum(ids: &[EventId], outcomes: Vec<ReplayOutcome>) -> Replays {
    let mut sum = Replays { letters: ids.len(), ..Replays::default() };
    for (id, outcome) in ids.iter().zip(outcomes) {
        match outcome {
            ReplayOutcome::Stored(events) => {
                sum.replayed += 1;
                sum.events += events;
            }
            ReplayOutcome::Before => sum.replayed_before += 1,
            ReplayOutcome::NotReplayable => sum.not_replayable += 1,
            ReplayOutcome::Unsettled => sum.unsettled += 1,
            ReplayOutcome::StillBad(reason) => {
                sum.still_bad += 1;
                if sum.problems.len() < PROBLEMS_MAX {
                    sum.problems.push(Problem { id: id.to_string(), reason });
                }
            }
        }
    }
    sum
}

async fn find(
    app: &App,
    caller: &Caller,
    letters: Letters,
    limit: usize,
) -> Result<SearchAnswer, ApiError> {
    let (from, to) = (letters.from.map(Word::Text), letters.to.map(Word::Text));
    let mut scope = Scope::read(app, caller, letters.q, from, to)?;
    if !scope.query.pipes.is_empty() {
        return Err(ApiError::bad_request("`q` has no pipes here"));
    }
    let is = |target, text: &str| {
        let test = Test::Equals { text: text.to_owned(), cased: true };
        Filter::Is(Predicate { target, test })
    };
    let mut filters = vec![is(Target::Dataset, DATASET), scope.query.filter];
    filters.extend(letters.source.as_deref().map(|source| is(Target::Source, source)));
    let code = letters.code.as_deref();
    filters.extend(code.map(|code| is(Target::Field("lw.code".into()), code)));
    scope.query.filter = Filter::And(filters);
    let request = SearchRequest {
        query: scope.query.clone(),
        range: scope.range,
        limit,
        sort: Vec::new(),
        cursor: letters.cursor.filter(|cursor| !cursor.is_empty()),
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(caller);
    let answer = app.engine.search(request, control).await.map_err(refuse)?;
    scope.note(app, caller, "search", answer.total);
    Ok(answer)
}
