//! `/histogram`: events over time.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use logwarden_query::{Cut, HistogramRequest};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, duration, refuse};
use crate::App;
use crate::auth::SignedIn;
use crate::body::Params;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// What to count over time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct HistogramParams {
    /// The query.
    q: Option<String>,
    /// The first instant; without it the first event's.
    from: Option<String>,
    /// The first instant after it; without it the last event's.
    to: Option<String>,
    /// Into how many buckets the range is cut evenly; 60 when nothing is said.
    buckets: Option<usize>,
    /// Instead: how long one bucket is, such as `5m`.
    interval: Option<String>,
    /// The field to split buckets by; of its values the ten with the most events, and `other`.
    by: Option<String>,
}

/// Events over time.
#[derive(Debug, Serialize, ToSchema)]
struct Histogram {
    /// Oldest first, the empty ones too.
    buckets: Vec<Bucket>,
    /// Length of one bucket.
    interval_ms: u64,
    /// Everything that lies in the range was read.
    complete: bool,
    /// Events in all buckets.
    total: u64,
    /// Parts that could not be read, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

/// Events in one span of time.
#[derive(Debug, Serialize, ToSchema)]
struct Bucket {
    /// Where it begins.
    timestamp: String,
    count: u64,
    /// Events by value, when `by` was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<BTreeMap<String, u64>>,
    /// Not all that lies in it was read: there may be more. Left out when false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unread: bool,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::Search), routes!(histogram))
}

/// Counts events over time.
#[utoipa::path(
    get, path = "/api/v1/histogram", tag = "search", params(HistogramParams),
    responses((status = 200, body = Histogram))
)]
async fn histogram(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<HistogramParams>,
) -> Result<axum::Json<Histogram>, ApiError> {
    let (from, to) = (params.from.map(Word::Text), params.to.map(Word::Text));
    let scope = Scope::read(&app, &caller, params.q, from, to)?;
    let interval = params.interval.filter(|text| !text.is_empty());
    let cut = match (interval, params.buckets) {
        (Some(text), _) => Cut::Interval(duration(&text).ok_or_else(|| {
            ApiError::bad_request("`interval` must be a number with ms, s, m, h, d or w")
        })?),
        (None, Some(buckets)) => Cut::Buckets(buckets),
        (None, None) => Cut::default(),
    };
    let by = params.by.filter(|name| !name.is_empty());
    let is_split = by.is_some();
    let request = HistogramRequest {
        query: scope.query.clone(),
        range: scope.range,
        cut,
        by,
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(&caller);
    let answer = app.engine.histogram(request, control).await.map_err(refuse)?;
    scope.note(&app, &caller, "histogram", answer.total);
    let buckets = answer.buckets.into_iter().map(|bucket| Bucket {
        timestamp: bucket.timestamp.to_string(),
        count: bucket.count,
        by: is_split.then(|| bucket.by.into_iter().collect()),
        unread: bucket.is_unread,
    });
    Ok(axum::Json(Histogram {
        buckets: buckets.collect(),
        interval_ms: u64::try_from(answer.interval.as_millis()).unwrap_or(u64::MAX),
        complete: answer.coverage.complete,
        total: answer.total,
        unreadable: answer.coverage.unreadable,
    }))
}
