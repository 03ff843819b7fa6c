//! `/notifiers` and `/deliveries`: who can be told about alerts, and what became of it.

use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use logwarden_alerting::alert::{Delivery as AlertDelivery, DeliveryState};
use logwarden_alerting::{
    Both, DeliveryQuery, NotifierConfig, NotifierState, NotifierSummary, TestAnswer,
};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts::{refuse, viewer};
use super::routing::{self, API, CONFIGURATION, expected, versioned};
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const READ: Permission = Permission::May(Action::ReadNotifiers);
const WRITE: Permission = Permission::May(Action::WriteNotifiers);

/// Somebody who can be told.
#[derive(Debug, Serialize, ToSchema)]
struct Notifier {
    id: String,
    name: String,
    /// Such as `email` or `webhook`.
    kind: &'static str,
    /// Where it sends to, without secrets.
    target: String,
    /// `ok`, `failing`, or `paused` when it failed so often that it is left alone for a while.
    state: &'static str,
    /// Until when it is left alone.
    paused_until: Option<String>,
    /// `configuration` for those of the file, which are changed there; else `api`.
    origin: &'static str,
}

impl Notifier {
    fn of(notifier: NotifierSummary, configured: &[NotifierConfig]) -> Self {
        let is_configured = configured.iter().any(|known| known.name == notifier.name);
        let paused_until = match notifier.state {
            NotifierState::Paused(until) => Some(until.to_string()),
            NotifierState::Ok | NotifierState::Failing => None,
        };
        Self {
            paused_until,
            origin: if is_configured { CONFIGURATION } else { API },
            id: notifier.id,
            name: notifier.name,
            kind: notifier.kind,
            target: notifier.target,
            state: notifier.state.name(),
        }
    }
}

/// How a notifier is set.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NotifierSettings {
    /// What routes call it.
    name: String,
    /// One of the kinds, such as `email` or `webhook`.
    kind: String,
    /// What that kind is told besides. Secrets are references: `env:LOGWARDEN_…`, or a file in
    /// `secrets/` beside the configuration file; addresses are shown up to their path.
    #[schema(value_type = Object)]
    settings: serde_json::Map<String, serde_json::Value>,
    /// `configuration` for those of the file, which are changed there; else `api`.
    #[serde(default)]
    origin: Option<String>,
}

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
struct TestResult {
    ok: bool,
    /// What the receiver said, or why there was no answer.
    answer: String,
    /// What it was sent, without secrets.
    text: String,
}

/// What a test would send.
#[derive(Debug, Serialize, ToSchema)]
struct TestText {
    /// As the receiver gets it, without secrets.
    text: String,
}

/// One notification and what became of it.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    id: String,
    alert_id: String,
    /// The alert's title, as its mails' subject has it; null for who sees a part of the events.
    alert_title: Option<String>,
    /// What it says, such as `alert.opened`, `alert.escalated` or `alert.digest`.
    event: String,
    /// The route that took the alert.
    route: Option<String>,
    notifier: String,
    /// `email` or `webhook`.
    kind: String,
    /// `pending`, `sent`, `failed`, `limited` (held back: its receiver had enough) or `silenced`.
    state: &'static str,
    attempts: u32,
    last_attempt_at: Option<String>,
    next_attempt_at: Option<String>,
    answer: String,
    /// When it was made.
    created_at: String,
    /// From then until its receiver took it; null while none did.
    latency_ms: Option<u64>,
}

impl From<AlertDelivery> for Delivery {
    fn from(delivery: AlertDelivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            alert_id: delivery.alert_id.to_string(),
            alert_title: delivery.title,
            event: delivery.event,
            route: delivery.route,
            notifier: delivery.notifier,
            kind: delivery.kind,
            state: delivery.state.name(),
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at.map(|at| at.to_string()),
            next_attempt_at: delivery.next_attempt_at.map(|at| at.to_string()),
            answer: delivery.answer,
            created_at: delivery.created_at.to_string(),
            latency_ms: delivery.sent_at.map(|at| milliseconds(at.since(delivery.created_at))),
        }
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryParams {
    /// Only `pending`, `sent`, `failed`, `limited` or `silenced` ones.
    state: Option<String>,
    /// Only about the alert of this id.
    alert_id: Option<String>,
    /// At most so many; 100 when nothing is said, never more than 1,000.
    limit: Option<usize>,
    /// What `next` of the page before held.
    cursor: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(READ, routes!(list))
        .add(WRITE, routes!(create))
        .add(WRITE, routes!(show))
        .add(WRITE, routes!(replace))
        .add(WRITE, routes!(remove))
        .add(WRITE, routes!(test, test_text))
        .add(READ, routes!(deliveries))
        .add(READ, routes!(delivery))
        .add(WRITE, routes!(send_again))
}

/// Lists who can be told.
#[utoipa::path(
    get, path = "/api/v1/notifiers", tag = "notifications",
    responses((status = 200, body = List<Notifier>))
)]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<Notifier>> {
    let Both { configured, .. } = app.alerting.notifier_settings();
    let notifiers = app.alerting.notifiers().into_iter();
    axum::Json(List::whole(notifiers.map(|known| Notifier::of(known, &configured)).collect()))
}

/// Gives a notifier's settings, secrets as references.
#[utoipa::path(
    get, path = "/api/v1/notifiers/{id}", tag = "notifications",
    params(("id" = String, Path, description = "The notifier's id.")),
    responses((status = 200, body = NotifierSettings))
)]
async fn show(Extract(app): Extract<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let Both { configured, written } = app.alerting.notifier_settings();
    let version = written.version;
    for (origin, all) in [(CONFIGURATION, configured), (API, written.items)] {
        if let Some(found) = all.into_iter().find(|notifier| notifier.name == id) {
            let NotifierConfig { name, kind, settings } = found;
            let origin = Some(origin.to_owned());
            return Ok(versioned(version, NotifierSettings { name, kind, settings, origin }));
        }
    }
    Err(ApiError::not_found())
}

/// Adds a notifier.
#[utoipa::path(
    post, path = "/api/v1/notifiers", tag = "notifications", request_body = NotifierSettings,
    responses((status = 201, body = NotifierSettings))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NotifierSettings>,
) -> Result<Response, ApiError> {
    let id = new.name.clone();
    let Both { written, .. } = app.alerting.notifier_settings();
    let mut items = written.items;
    items.push(config_of(new));
    write(&app, &caller, ("notifier.create", &id), items, written.version).await?;
    Ok((StatusCode::CREATED, show(Extract(app), Path(id)).await?).into_response())
}

/// Changes a notifier that was written over the API.
#[utoipa::path(
    put, path = "/api/v1/notifiers/{id}", tag = "notifications", request_body = NotifierSettings,
    params(
        ("id" = String, Path, description = "The notifier's id."),
        ("If-Match" = String, Header, description = "The version that was read."),
    ),
    responses((status = 200, body = NotifierSettings))
)]
async fn replace(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NotifierSettings>,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    if new.name != id {
        return Err(ApiError::bad_request("`name` is the notifier's, which stays: routes know it"));
    }
    let mut items = written(&app, &id)?;
    for item in items.iter_mut().filter(|item| item.name == id) {
        item.kind.clone_from(&new.kind);
        item.settings.clone_from(&new.settings);
    }
    write(&app, &caller, ("notifier.change", &id), items, expected).await?;
    show(Extract(app), Path(id)).await
}

/// Removes a notifier that was written over the API and that no route names.
#[utoipa::path(
    delete, path = "/api/v1/notifiers/{id}", tag = "notifications",
    params(
        ("id" = String, Path, description = "The notifier's id."),
        ("If-Match" = String, Header, description = "The version that was read."),
    ),
    responses((status = 204))
)]
async fn remove(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let expected = expected(&headers)?;
    let mut items = written(&app, &id)?;
    items.retain(|item| item.name != id);
    write(&app, &caller, ("notifier.remove", &id), items, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn config_of(new: NotifierSettings) -> NotifierConfig {
    NotifierConfig { name: new.name, kind: new.kind, settings: new.settings }
}

/// Those that were written, among which `id` is.
fn written(app: &App, id: &str) -> Result<Vec<NotifierConfig>, ApiError> {
    let Both { configured, written } = app.alerting.notifier_settings();
    if configured.iter().any(|notifier| notifier.name == id) {
        let message = "it stands in the configuration file and is changed there";
        return Err(ApiError::conflict("configured", message));
    }
    if !written.items.iter().any(|notifier| notifier.name == id) {
        return Err(ApiError::not_found());
    }
    Ok(written.items)
}

async fn write(
    app: &App,
    caller: &Caller,
    (action, id): (&'static str, &str),
    items: Vec<NotifierConfig>,
    expected: u64,
) -> Result<(), ApiError> {
    app.alerting.set_notifiers(items, Some(expected)).await.map_err(routing::refuse)?;
    let message = format!("wrote notifier {id}");
    let entry = Entry::new(action, &caller.principal, id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(())
}

/// Says what a test notification would be, without sending it.
#[utoipa::path(
    get, path = "/api/v1/notifiers/{id}/test", tag = "notifications",
    params(("id" = String, Path, description = "The notifier's id.")),
    responses((status = 200, body = TestText))
)]
async fn test_text(
    Extract(app): Extract<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<TestText>, ApiError> {
    let text = app.alerting.test_text(&id).map_err(refuse)?;
    Ok(axum::Json(TestText { text }))
}

/// Sends a test notification now.
#[utoipa::path(
    post, path = "/api/v1/notifiers/{id}/test", tag = "notifications",
    params(("id" = String, Path, description = "The notifier's id.")),
    responses((status = 200, body = TestResult))
)]
async fn test(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<TestResult>, ApiError> {
    let tested = app.alerting.test_notifier(&id).await.map_err(refuse)?;
    let message = format!("sent a test through notifier {id}");
    let mut entry = Entry::new("notifier.test", &caller.principal, &id, message);
    if !tested.ok {
        entry = entry.failed();
    }
    app.audit.record(entry.from_peer(caller.peer)).await;
    let TestAnswer { ok, answer, text } = tested;
    Ok(axum::Json(TestResult { ok, answer, text }))
}

/// Lists notifications, newest first. Who sees a part of the events sees those about alerts that they see,
/// without the receivers' answers; a page may then hold fewer than asked for.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "notifications", params(DeliveryParams),
    responses((status = 200, body = List<Delivery>))
)]
async fn deliveries(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<DeliveryParams>,
) -> Result<axum::Json<List<Delivery>>, ApiError> {
    let wanted = params.state.filter(|text| !text.is_empty());
    let wanted = wanted.map(|text| {
        DeliveryState::from_name(&text).ok_or_else(|| {
            ApiError::bad_request("`state` must be pending, sent, failed, limited or silenced")
        })
    });
    let alert_id = params.alert_id.filter(|text| !text.is_empty());
    let alert_id = alert_id.map(|text| {
        text.parse().map_err(|_| ApiError::bad_request("`alert_id` is not the id of an alert"))
    });
    let query = DeliveryQuery {
        id: None,
        alert_id: alert_id.transpose()?,
        state: wanted.transpose()?,
        limit: params.limit.unwrap_or(0),
        cursor: params.cursor.filter(|text| !text.is_empty()),
    };
    let (viewer, _guard) = viewer(&app, &caller)?;
    let page = app.alerting.deliveries(&query, &viewer).await.map_err(refuse)?;
    let items = page.items.into_iter().map(Delivery::from).collect();
    Ok(axum::Json(List { items, next: page.next }))
}

/// Gives one notification, to whom the list shows it.
#[utoipa::path(
    get, path = "/api/v1/deliveries/{id}", tag = "notifications",
    params(("id" = String, Path, description = "The delivery's id.")),
    responses((status = 200, body = Delivery))
)]
async fn delivery(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<Delivery>, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let query = DeliveryQuery { id: Some(id), ..DeliveryQuery::default() };
    let (viewer, _guard) = viewer(&app, &caller)?;
    let page = app.alerting.deliveries(&query, &viewer).await.map_err(refuse)?;
    let found = page.items.into_iter().next().ok_or_else(ApiError::not_found)?;
    Ok(axum::Json(Delivery::from(found)))
}

/// Sends a notification that was sent or given up once more, under the id it had.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/send", tag = "notifications",
    params(("id" = String, Path, description = "The delivery's id.")),
    responses((status = 204))
)]
async fn send_again(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let parsed = id.parse().map_err(|_| ApiError::not_found())?;
    app.alerting.send_again(parsed).await.map_err(refuse)?;
    let message = format!("had notification {id} sent again");
    let entry = Entry::new("delivery.send", &caller.principal, &id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}
