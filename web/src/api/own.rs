//! `/audit`: who did what, as a list.

use axum::extract::State as Extract;
use axum::response::Response;
use logwarden_query::SearchRequest;
use logwarden_store::identity::Action;
use serde::Deserialize;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, refuse};
use super::shape::{Hit, List};
use crate::App;
use crate::audit::DATASET as AUDIT_DATASET;
use crate::auth::SignedIn;
use crate::body::Params;
use crate::error::ApiError;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

/// Records when nothing is said.
const LIMIT_DEFAULT: usize = 100;

/// Which records.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RecordParams {
    /// A query that they must match too.
    q: Option<String>,
    /// The first instant.
    from: Option<String>,
    /// The first instant after it.
    to: Option<String>,
    /// Records wanted: 100 when nothing is said, at most 10,000.
    limit: Option<usize>,
    /// What `next` of the page before held.
    cursor: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ReadAudit), routes!(audit))
}

/// Lists who did what, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "administration", params(RecordParams),
    responses((status = 200, body = List<Hit>))
)]
async fn audit(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<RecordParams>,
) -> Result<Response, ApiError> {
    let condition = params.q.filter(|text| !text.trim().is_empty());
    // Parsed alone first, so that no bracket of it can close ours.
    Scope::read(&app, &caller, condition.clone(), None, None)?;
    let text = match condition {
        Some(condition) => format!("dataset:{AUDIT_DATASET} AND ({condition})"),
        None => format!("dataset:{AUDIT_DATASET}"),
    };
    let (from, to) = (params.from.map(Word::Text), params.to.map(Word::Text));
    let scope = Scope::read(&app, &caller, Some(text), from, to)?;
    let request = SearchRequest {
        query: scope.query.clone(),
        range: scope.range,
        limit: params.limit.unwrap_or(LIMIT_DEFAULT),
        sort: Vec::new(),
        cursor: params.cursor.filter(|cursor| !cursor.is_empty()),
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(&caller);
    let answer = app.engine.search(request, control).await.map_err(refuse)?;
    scope.note(&app, &caller, "search", answer.total);
    Ok(json::response(|out| {
        let mut object = ObjectWriter::begin(out);
        json::write_hits(&answer.hits, &[], object.key("items"));
        object.member("next", &answer.next);
        object.end();
    }))
}
