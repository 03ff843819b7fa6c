//! `/sources`: who has sent anything, and how they are.

use std::collections::BTreeMap;

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use logwarden_query::{FacetsRequest, SearchRequest, Test};
use logwarden_query::{Filter, Predicate, Query, Target};
use logwarden_store::identity::{Action, Object, Principal, authorize};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, control, refuse};
use super::shape::List;
use super::tokens::{CreatedToken, make_for_source};
use crate::App;
use crate::auth::{Caller, SignedIn};
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// Sources in the list, those with the most events first.
const SOURCES_MAX: usize = 100;

/// A sender.
#[derive(Debug, Serialize, ToSchema)]
struct Source {
    /// Its name, from the token or listener.
    name: String,
    /// Its events that are kept.
    events: u64,
    /// The time of its newest event.
    last_event_at: Option<String>,
    /// When that was received.
    last_received_at: Option<String>,
    /// How it is; null for those of old, and for callers who see a part of the events only.
    health: Option<SourceHealth>,
}

/// How a sender is. Counts are since it was first seen, also over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SourceHealth {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// `active`, `silent` or `never_seen`.
    pub state: &'static str,
    /// When its first record came.
    pub first_received_at: Option<String>,
    /// When its last record came.
    pub last_received_at: Option<String>,
    /// Seconds since then, without those in which the server did not run.
    pub quiet_secs: u64,
    /// Seconds after which it is said to be silent; null: never.
    pub silent_after_secs: Option<u64>,
    /// Records, good and bad.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that could not become events.
    pub rejected: u64,
    /// Events per second over the last minute or so.
    pub events_per_sec: f64,
    /// Events per second over the last day or so.
    pub events_per_sec_usual: f64,
    /// The smallest difference between our time and its events' in the last minutes; negative: its
    /// clock is ahead of ours.
    pub clock_skew_ms: Option<i64>,
    /// What could not be read, by reason.
    pub failures: BTreeMap<String, SourceFailures>,
    /// How much of its quota it uses.
    pub quota: SourceQuota,
    /// Names of fields that are new since the source is known.
    pub fields_new: Vec<String>,
    /// Names of fields that most of its events had and none has any more.
    pub fields_gone: Vec<String>,
    /// Names of fields that have values of another kind than before.
    pub fields_retyped: Vec<String>,
    /// Every field, at most 256; only of a single source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<SourceField>,
    /// Sightings of fields beyond those.
    pub fields_beyond: u64,
}

/// Records of a sender that could not become events, for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SourceFailures {
    /// How many.
    pub count: u64,
    /// What was wrong with the last one.
    pub example: String,
    /// When that came.
    pub last_at: String,
}

/// What a sender may send, and what it has.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SourceQuota {
    /// Events per second; null: any number.
    pub events_per_sec_max: Option<u64>,
    /// Bytes of records per second.
    pub bytes_per_sec_max: Option<u64>,
    /// Bytes of records per day in UTC.
    pub bytes_per_day_max: Option<u64>,
    /// Bytes of records today.
    pub bytes_today: u64,
    /// Times it was told to wait since the server started.
    pub refused: u64,
}

/// A field of a sender's events.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SourceField {
    /// Its name.
    pub name: String,
    /// `text`, `number`, `bool`, `ip`, `time`, `object`.
    pub kinds: Vec<&'static str>,
    /// The part of the events that have it, 0 to 1, by samples.
    pub share: f64,
    /// When it was seen first.
    pub first_seen_at: String,
    /// When it was seen last.
    pub last_seen_at: String,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::May(Action::ReadSources), routes!(list))
        .add(Permission::May(Action::ManageTokens), routes!(create))
        .add(Permission::May(Action::ReadSources), routes!(show))
}

/// What the caller may know of how sources are: whoever sees a part of the events only does not
/// learn about all of them.
fn health_for(app: &App, principal: &Principal) -> Vec<SourceHealth> {
    if !principal.filters.is_empty() || !principal.mask.is_empty() {
        return Vec::new();
    }
    let may_see = |health: &SourceHealth| {
        authorize(principal, Action::ReadSources, &Object::Source(&health.name)).is_ok()
    };
    let mut health = (app.sources)();
    health.retain(may_see);
    health
}

/// Tells how one source is, with its fields.
#[utoipa::path(
    get, path = "/api/v1/sources/{name}", tag = "sources",
    params(("name" = String, Path, description = "The name of the source.")),
    responses((status = 200, body = Source))
)]
async fn show(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
) -> Result<axum::Json<Source>, ApiError> {
    let scope = Scope::read(&app, &caller, None, None, None)?;
    let health = health_for(&app, &caller.principal).into_iter().find(|one| one.name == name);
    let source = newest(&app, &caller, &scope, name, None).await?;
    if source.events == 0 && health.is_none() {
        return Err(ApiError::not_found());
    }
    Ok(axum::Json(source.with(health)))
}

/// A source to be: what sends, and what it is let in by.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSource {
    /// Its name: 1 to 128 characters without controls.
    name: String,
    /// The name of its token; the source's own when nothing is said, as far as that can be one.
    token: Option<String>,
    /// How long the token counts, such as `90d`; a year when nothing is said, at most that.
    expires: Option<String>,
}

/// Makes a source: a token that writes as it and as nothing else, shown this once. The source is listed when its first
/// event has come.
#[utoipa::path(
    post, path = "/api/v1/sources", tag = "sources", request_body = NewSource,
    responses((status = 201, body = CreatedToken))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewSource>,
) -> Result<Response, ApiError> {
    make_for_source(&app, &caller, new.name, new.token, new.expires).await
}

/// Lists who has sent events that are still kept, at most 100, the busiest first, and then who else
/// is known.
#[utoipa::path(get, path = "/api/v1/sources", tag = "sources", responses((status = 200, body = List<Source>)))]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<Source>>, ApiError> {
    let scope = Scope::read(&app, &caller, None, None, None)?;
    let request = FacetsRequest {
        query: scope.query.clone(),
        range: scope.range,
        fields: vec!["lw.source".to_owned()],
        limit: SOURCES_MAX,
        visibility: scope.visibility.clone(),
    };
    let (facets_control, _guard) = control(&caller);
    let answer = app.engine.facets(request, facets_control).await.map_err(refuse)?;
    let mut known: BTreeMap<String, SourceHealth> = health_for(&app, &caller.principal)
        .into_iter()
        .map(|health| (health.name.clone(), SourceHealth { fields: Vec::new(), ..health }))
        .collect();
    let mut items = Vec::new();
    for (cell, events) in answer.fields.into_iter().flat_map(|facet| facet.values) {
        let name = cell.value().to_string();
        let health = known.remove(&name);
        let source = newest(&app, &caller, &scope, name, Some(events)).await?;
        items.push(source.with(health));
    }
    items.extend(known.into_iter().map(|(name, health)| Source {
        name,
        events: 0,
        last_event_at: None,
        last_received_at: None,
        health: Some(health),
    }));
    Ok(axum::Json(List::whole(items)))
}

impl Source {
    /// With what is known of it since the start. The event that came last need not be the newest by its own
    /// time.
    fn with(self, health: Option<SourceHealth>) -> Self {
        let heard = health.as_ref().and_then(|health| health.last_received_at.clone());
        // Without the `Z` times of different precision compare as texts.
        let by_time = |at: &String| at.trim_end_matches('Z').to_owned();
        let last_received_at = self.last_received_at.into_iter().chain(heard).max_by_key(by_time);
        Self { last_received_at, health, ..self }
    }
}

/// A source with the times of its newest event.
async fn newest(
    app: &App,
    caller: &Caller,
    scope: &Scope,
    name: String,
    events: Option<u64>,
) -> Result<Source, ApiError> {
    let test = Test::Equals { text: name.clone(), cased: true };
    let filter = Filter::Is(Predicate { target: Target::Source, test });
    let request = SearchRequest {
        query: Query { filter, pipes: Vec::new() },
        range: scope.range,
        limit: 1,
        sort: Vec::new(),
        cursor: None,
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(caller);
    let answer = app.engine.search(request, control).await.map_err(refuse)?;
    let newest = answer.hits.first();
    Ok(Source {
        name,
        events: events.unwrap_or(answer.total),
        health: None,
        last_event_at: newest.map(|event| event.timestamp().to_string()),
        last_received_at: newest.map(|event| event.observed_at().to_string()),
    })
}
