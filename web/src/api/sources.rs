//! `/sources`: who has sent anything.

use axum::extract::State as Extract;
use logwarden_query::{FacetsRequest, SearchRequest, Test};
use logwarden_query::{Filter, Predicate, Query, Target};
use logwarden_store::identity::Action;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, control, refuse};
use super::shape::List;
use crate::App;
use crate::auth::{Caller, SignedIn};
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
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ReadSources), routes!(list))
}

/// Lists who has sent events that are still kept, at most 100, the busiest first.
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
    let mut items = Vec::new();
    for (cell, events) in answer.fields.into_iter().flat_map(|facet| facet.values) {
        let name = cell.value().to_string();
        items.push(newest(&app, &caller, &scope, name, events).await?);
    }
    Ok(axum::Json(List::whole(items)))
}

/// A source with the times of its newest event.
async fn newest(
    app: &App,
    caller: &Caller,
    scope: &Scope,
    name: String,
    events: u64,
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
        events,
        last_event_at: newest.map(|event| event.timestamp().to_string()),
        last_received_at: newest.map(|event| event.observed_at().to_string()),
    })
}
