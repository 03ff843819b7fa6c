//! `/health`, `/livez`, `/readyz` and `/metrics`: how the node is.

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use logwarden_store::identity::{Action, Object, authorize};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, MaybeSignedIn, SignedIn};
use crate::error::ApiError;
use crate::frame::RequestId;
use crate::json::{self, ObjectWriter};
use crate::route::{Permission, Routes};

/// How the node is, as the root sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthReport {
    /// `ready`, or why not: `recovering`, `degraded`, `read_only`, `disk_full`, `journal_failed`.
    pub status: &'static str,
    /// In numbers; only for holders of a credential.
    pub details: HealthDetails,
}

/// How the node is, in numbers. Who sees a part of the events is told nothing that counts all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthDetails {
    /// The journal; only for who sees every event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalDetails>,
    /// The index; only for who sees every event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexDetails>,
    /// The detector; only for who sees every event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<DetectorDetails>,
    /// The inputs, in the order of the configuration; none for who does not see every event.
    pub inputs: Vec<InputDetails>,
    /// Files of addresses and threat lists, in the order of the configuration.
    pub enrichments: Vec<EnrichmentDetails>,
    /// The release, such as `0.1.0`.
    pub version: &'static str,
}

/// An input in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InputDetails {
    /// Its name.
    pub name: String,
    /// `file` or `nats`.
    pub kind: &'static str,
    /// What is wrong with it now; empty when nothing is.
    pub problem: String,
    /// Records it made durable since the server started.
    pub records: u64,
    /// Bytes (files) or messages (NATS) that it has still to read, as far as it knows.
    pub lag: u64,
    /// Times it had to begin anew: connections that failed, files that were cut short.
    pub restarts: u64,
}

/// A file of addresses or a threat list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnrichmentDetails {
    /// The list's name, or the file's.
    pub name: String,
    /// What is wrong with it now; empty when nothing is. What was read before stays in force.
    pub problem: String,
    /// When what is in force was written; null: nothing was read yet.
    pub written_at: Option<String>,
    /// Entries in force; 0 for a file of addresses.
    pub entries: u64,
    /// Lines or objects of it that are no entry.
    pub left_out: u64,
}

/// The journal in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalDetails {
    /// The number of the next record.
    pub end: u64,
    /// Bytes free on its volume.
    pub free_bytes: u64,
    /// When a batch is acknowledged: `fsync`, or `unsafe_interval_ms` before it is on the disk.
    pub durability: &'static str,
}

/// The index in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndexDetails {
    /// The number of the next record that becomes searchable.
    pub visible: u64,
    /// Records that are durable and not yet searchable.
    pub lag_events: u64,
    /// Splits published.
    pub splits: u64,
    /// Bytes they take on the volume.
    pub size_bytes: u64,
    /// Bytes of them that the events of the last 24 hours take; null while no event is older than that.
    pub day_bytes: Option<u64>,
}

/// The detector in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectorDetails {
    /// Records it has yet to look at.
    pub lag_events: u64,
}

impl HealthReport {
    /// Whether the node takes and answers everything.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

/// How the node is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ready`, or why not: `recovering`, `degraded`, `read_only`, `disk_full`, `journal_failed`.
    status: &'static str,
    /// Only for holders of a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<HealthDetails>,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::Open, routes!(health))
        .add(Permission::May(Action::AcknowledgeDamage), routes!(acknowledge_damage))
        .add(Permission::Open, routes!(live))
        .add(Permission::Open, routes!(ready))
        .add(Permission::May(Action::ReadMetrics), routes!(metrics))
}

/// Says whether the node is ready; with a credential also how it is in numbers.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
async fn health(Extract(app): Extract<App>, MaybeSignedIn(caller): MaybeSignedIn) -> Response {
    let may =
        |caller: &Caller| authorize(&caller.principal, Action::ReadHealth, &Object::Any).is_ok();
    let sees = caller
        .as_ref()
        .filter(|caller| may(caller))
        .map(|caller| caller.principal.sees_everything());
    answer(&app, sees)
}

/// Takes note of what the journal lost: the node is no longer degraded because of it.
#[utoipa::path(
    post, path = "/api/v1/health/acknowledge-damage", tag = "health",
    responses((status = 200, body = Health))
)]
async fn acknowledge_damage(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<Health>, ApiError> {
    app.journal.acknowledge_damage().await.map_err(ApiError::internal)?;
    let message = "took note of what the journal lost";
    let entry = Entry::new("journal.acknowledge_damage", &caller.principal, "", message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    let report = (app.health)();
    Ok(axum::Json(Health { status: report.status, details: Some(report.details) }))
}

/// Says that the process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Health)))]
async fn live() -> axum::Json<Health> {
    axum::Json(Health { status: "alive", details: None })
}

/// Says whether the node is ready, for load balancers.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
async fn ready(Extract(app): Extract<App>) -> Response {
    answer(&app, None)
}

/// Gives the metrics in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"))
)]
async fn metrics(Extract(app): Extract<App>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], (app.metrics)()).into_response()
}

/// Says that the node is starting: as health it is read by its status, elsewhere by its error.
pub(crate) async fn recovering(Extension(request_id): Extension<RequestId>) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let error = ApiError::new(status, "recovering", "the server is starting");
    let mut response = json::response(|out| {
        let mut object = ObjectWriter::begin(out);
        object.member("status", "recovering");
        error.detail().write(&request_id.0, object.key("error"));
        object.end();
    });
    *response.status_mut() = status;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// `sees_everything`: of whom sees details; `None`: the status alone is said.
fn answer(app: &App, sees_everything: Option<bool>) -> Response {
    let report = (app.health)();
    let is_ready = report.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let details = sees_everything.map(|sees_everything| match sees_everything {
        true => report.details,
        false => HealthDetails {
            journal: None,
            index: None,
            detector: None,
            inputs: Vec::new(),
            ..report.details
        },
    });
    (status, axum::Json(Health { status: report.status, details })).into_response()
}
