//! `/events/{id}` and what stood around it.

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use logwarden_event::EventId;
use logwarden_query::ContextRequest;
use logwarden_store::identity::Action;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, control, refuse};
use super::shape::{Hit, SingleEvent};
use crate::App;
use crate::auth::SignedIn;
use crate::body::Params;
use crate::error::ApiError;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

const SEARCH: Permission = Permission::May(Action::Search);

/// Neighbours on each side when nothing is said.
const NEIGHBOURS_DEFAULT: usize = 25;

/// Which neighbours.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ContextParams {
    /// Events before it; 25 when nothing is said, at most 1,000.
    before: Option<usize>,
    /// Events after it; 25 when nothing is said, at most 1,000.
    after: Option<usize>,
    /// What they have in common: `source` (the configured sender) or a field such as `host.name`.
    by: Option<String>,
}

/// An event and those around it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `context` writes by hand")]
struct Context {
    anchor: Hit,
    /// Oldest first.
    before: Vec<Hit>,
    /// Oldest first.
    after: Vec<Hit>,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(SEARCH, routes!(show)).add(SEARCH, routes!(context))
}

/// Gives one event with its record.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", tag = "search",
    params(("id" = String, Path, description = "The event's id.")),
    responses((status = 200, body = SingleEvent))
)]
async fn show(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = event_id(&id)?;
    let mut scope = Scope::read(&app, &caller, None, None, None)?;
    let (control, _guard) = control(&caller);
    let event = app.engine.event(id, scope.visibility.clone(), control).await.map_err(refuse)?;
    scope.text = format!("event {id}");
    scope.note(&app, &caller, "event", 1);
    let found_by = (app.found_by)(event.raw());
    Ok(json::response(|out| json::write_event(&event, &found_by, out)))
}

/// Gives the events around one.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/context", tag = "search",
    params(("id" = String, Path, description = "The event's id."), ContextParams),
    responses((status = 200, body = Context))
)]
async fn context(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Params(params): Params<ContextParams>,
) -> Result<Response, ApiError> {
    let id = event_id(&id)?;
    let mut scope = Scope::read(&app, &caller, None, None, None)?;
    let request = ContextRequest {
        id,
        before: params.before.unwrap_or(NEIGHBOURS_DEFAULT),
        after: params.after.unwrap_or(NEIGHBOURS_DEFAULT),
        by: params.by.filter(|by| !by.is_empty()).unwrap_or_else(|| "source".to_owned()),
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(&caller);
    let found = app.engine.context(request, control).await.map_err(refuse)?;
    scope.text = format!("events around {id}");
    scope.note(&app, &caller, "context", 1 + (found.before.len() + found.after.len()) as u64);
    Ok(json::response(|out| {
        let mut object = ObjectWriter::begin(out);
        json::write_hit(&found.anchor, &[], object.key("anchor"));
        json::write_hits(&found.before, &[], object.key("before"));
        json::write_hits(&found.after, &[], object.key("after"));
        object.end();
    }))
}

fn event_id(text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}
