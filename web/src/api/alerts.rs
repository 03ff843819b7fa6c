//! `/alerts`: what needs a person, and what that person does with it.

mod view;

use axum::extract::{Path, State as Extract};
use logwarden_alerting::{
    Act, AlertOrder, AlertQuery, AlertState, AlertingError, Level, Resolution, Viewer,
};
use logwarden_event::{AlertId, EventId};
use logwarden_store::identity::{Action, Object, Principal, PrincipalKind, UserInfo, authorize};
use serde::{Deserialize, Serialize};
use tokio_util::sync::DropGuard;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::control;
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::route::{Permission, Routes};
use crate::visibility;
pub(super) use view::AlertItem;
use view::{AlertDetails, AlertList};

const READ: Permission = Permission::May(Action::ReadAlerts);
const HANDLE: Permission = Permission::May(Action::HandleAlerts);

/// Which alerts to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AlertParams {
    /// Only these states, with commas between: `open`, `acknowledged`, `resolved`.
    state: Option<String>,
    /// Only these severities, with commas between.
    severity: Option<String>,
    /// Only of the rule of this id or name.
    rule: Option<String>,
    /// Only about the entity of this value.
    entity: Option<String>,
    /// Only of this assignee.
    assignee: Option<String>,
    /// Only those that the event of this id proves.
    event: Option<String>,
    /// Only with this text in the title.
    q: Option<String>,
    /// `opened_at`, `severity`, `events` or `last_event_at`, with `-` before it for descending; `-opened_at` when
    /// nothing is said, and for whom sees a part of the events, instead of the last two.
    sort: Option<String>,
    /// At most so many; 100 when nothing is said, never more than 1,000.
    limit: Option<usize>,
    /// What `next` of the page before held.
    cursor: Option<String>,
}

/// Who is to handle an alert.
#[derive(Debug, Deserialize, ToSchema)]
struct Assignment {
    /// The name of somebody who may handle alerts, or one's own; null: nobody.
    assignee: Option<String>,
}

/// Somebody who may handle alerts.
#[derive(Debug, Serialize, ToSchema)]
struct Assignee {
    name: String,
}

/// How long alerts took, each from receiving the event that fired to the alert.
#[derive(Debug, Serialize, ToSchema)]
struct AlertLatency {
    /// Alerts that opened with an event that had just come; of the last 24 hours, at most the newest 1,000 are
    /// looked at.
    alerts: u64,
    /// Those of them that did not: their rule waits until no event can come any more, or they were found in what is
    /// stored, for a rule that was edited or an event that came late.
    waited: u64,
    /// What half of them took at most; null without an alert.
    p50_ms: Option<i64>,
    /// What 99 of 100 of them took at most; null without an alert.
    p99_ms: Option<i64>,
}

/// Why an alert is done with.
#[derive(Debug, Deserialize, ToSchema)]
struct Resolving {
    /// `true_positive`, `benign`, `false_positive`, `duplicate` or `other`.
    reason: String,
    /// In words.
    note: Option<String>,
}

/// Something to write down.
#[derive(Debug, Deserialize, ToSchema)]
struct NewNote {
    /// The text, at most 16 KiB.
    text: String,
}

/// Nothing to say: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
struct Nothing {}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(READ, routes!(list))
        .add(HANDLE, routes!(assignees))
        .add(Permission::May(Action::ReadAlertLatency), routes!(latency))
        .add(READ, routes!(show))
        .add(HANDLE, routes!(acknowledge))
        .add(HANDLE, routes!(assign))
        .add(HANDLE, routes!(resolve))
        .add(HANDLE, routes!(reopen))
        .add(HANDLE, routes!(add_note))
}

/// Lists alerts, newest first where no other order is asked for.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "alerts", params(AlertParams),
    responses((status = 200, body = AlertList))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<AlertParams>,
) -> Result<axum::Json<AlertList>, ApiError> {
    let query = AlertQuery {
        states: words(params.state.as_deref(), "state", AlertState::from_name)?,
        severities: words(params.severity.as_deref(), "severity", Level::from_name)?,
        rule: given(params.rule),
        entity: given(params.entity),
        assignee: given(params.assignee),
        event: given(params.event).map(|id| event_id(&id)).transpose()?,
        text: given(params.q),
        order: given(params.sort).map_or(Ok(AlertOrder::default()), |text| order(&text))?,
        limit: params.limit.unwrap_or(0),
        cursor: given(params.cursor),
    };
    let (viewer, _guard) = viewer(&app, &caller)?;
    let page = app.alerting.alerts(&query, &viewer).await.map_err(refuse)?;
    Ok(axum::Json(AlertList {
        items: page.items.into_iter().map(AlertItem::from).collect(),
        next: page.next,
        counts: page.counts.into(),
    }))
}

/// Lists the local accounts that may handle alerts, by name.
#[utoipa::path(
    get, path = "/api/v1/alerts/assignees", tag = "alerts",
    responses((status = 200, body = List<Assignee>))
)]
async fn assignees(Extract(app): Extract<App>) -> axum::Json<List<Assignee>> {
    axum::Json(List::whole(handlers(&app)))
}

fn handlers(app: &App) -> Vec<Assignee> {
    let roles = app.identity.roles();
    let may_handle = |user: &UserInfo| {
        roles.get(&user.role).is_some_and(|grant| {
            let them = Principal::unbound(&user.name, PrincipalKind::User, grant.role);
            authorize(&them, Action::HandleAlerts, &Object::Any).is_ok()
        })
    };
    let users = app.identity.list_users().into_iter().filter(may_handle);
    users.map(|user| Assignee { name: user.name }).collect()
}

/// Says how long the alerts of the last 24 hours took from the event to the alert.
#[utoipa::path(
    get, path = "/api/v1/alerts/latency", tag = "alerts",
    responses((status = 200, body = AlertLatency))
)]
async fn latency(Extract(app): Extract<App>) -> Result<axum::Json<AlertLatency>, ApiError> {
    let took = app.alerting.alert_latency().await.map_err(refuse)?;
    let logwarden_alerting::AlertLatency { alerts, waited, p50_ms, p99_ms } = took;
    Ok(axum::Json(AlertLatency { alerts, waited, p50_ms, p99_ms }))
}

/// Gives one alert: why it was opened, its evidence, its timeline.
#[utoipa::path(
    get, path = "/api/v1/alerts/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn show(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    let (viewer, _guard) = viewer(&app, &caller)?;
    let alert = app.alerting.alert(alert_id(&id)?, &viewer).await.map_err(refuse)?;
    Ok(axum::Json(alert.into()))
}

/// Says that the caller looks at it.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", request_body = Nothing,
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn acknowledge(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    act(&app, &caller, &id, "alert.acknowledge", Act::Acknowledge).await
}

/// Makes somebody responsible, or nobody.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/assign", tag = "alerts", request_body = Assignment,
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn assign(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(assignment): Json<Assignment>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    let assignee = given(assignment.assignee);
    if let Some(name) = &assignee
        && *name != caller.principal.name
        && !handlers(&app).iter().any(|known| known.name == *name)
    {
        return Err(ApiError::bad_request(format!("nobody who may handle alerts is `{name}`")));
    }
    act(&app, &caller, &id, "alert.assign", Act::Assign(assignee.as_deref())).await
}

/// Is done with it.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/resolve", tag = "alerts", request_body = Resolving,
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn resolve(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(resolving): Json<Resolving>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    let reason = Resolution::from_name(&resolving.reason).ok_or_else(|| {
        let known: Vec<&str> = Resolution::ALL.iter().map(|reason| reason.name()).collect();
        ApiError::bad_request(format!("`reason` must be one of {}", known.join(", ")))
    })?;
    let note = given(resolving.note);
    let note = note.as_deref();
    act(&app, &caller, &id, "alert.resolve", Act::Resolve { reason, note }).await
}

/// Is not done with it after all.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/reopen", tag = "alerts", request_body = Nothing,
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn reopen(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    act(&app, &caller, &id, "alert.reopen", Act::Reopen).await
}

/// Writes something down.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/notes", tag = "alerts", request_body = NewNote,
    params(("id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertDetails))
)]
async fn add_note(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(note): Json<NewNote>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    act(&app, &caller, &id, "alert.note", Act::Note(&note.text)).await
}

async fn act(
    app: &App,
    caller: &Caller,
    id: &str,
    action: &'static str,
    act: Act<'_>,
) -> Result<axum::Json<AlertDetails>, ApiError> {
    let done = match act {
        Act::Acknowledge => "acknowledged alert",
        Act::Assign(_) => "assigned alert",
        Act::Resolve { .. } => "resolved alert",
        Act::Reopen => "reopened alert",
        Act::Note(_) => "wrote a note about alert",
    };
    let (viewer, _guard) = viewer(app, caller)?;
    let alert = app.alerting.act(alert_id(id)?, act, &viewer).await.map_err(refuse)?;
    let message = format!("{done} {id}");
    app.audit
        .record(Entry::new(action, &caller.principal, id, message).from_peer(caller.peer))
        .await;
    Ok(axum::Json(alert.into()))
}

/// The caller as alerts know them. Dropping the guard stops what is searched for them.
pub(super) fn viewer(app: &App, caller: &Caller) -> Result<(Viewer, DropGuard), ApiError> {
    let name = caller.principal.name.clone();
    let visibility = visibility::of(&caller.principal, app.audit.now())?;
    let (control, guard) = control(caller);
    let sees_answers = authorize(&caller.principal, Action::WriteNotifiers, &Object::Any).is_ok();
    Ok((Viewer { name, visibility, sees_answers, control }, guard))
}

fn event_id(text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("`event` is not the id of an event"))
}

fn order(text: &str) -> Result<AlertOrder, ApiError> {
    AlertOrder::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = AlertOrder::KEYS.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        ApiError::bad_request(format!("`sort` must be one of {known}, with `-` for descending"))
    })
}

fn alert_id(text: &str) -> Result<AlertId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// An empty text counts as none given.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn words<T>(
    text: Option<&str>,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ApiError> {
    let words = text.unwrap_or_default().split(',').filter(|word| !word.is_empty());
    words
        .map(|word| {
            read(word).ok_or_else(|| ApiError::bad_request(format!("`{name}` cannot be `{word}`")))
        })
        .collect()
}

/// What the client is told when alerting cannot do it.
pub(super) fn refuse(error: AlertingError) -> ApiError {
    match error {
        AlertingError::NotFound => ApiError::not_found(),
        AlertingError::Conflict(reason) => ApiError::conflict("conflict", reason),
        AlertingError::Invalid(reason) => ApiError::bad_request(reason),
        AlertingError::Cursor => ApiError::bad_request(error.to_string()),
        AlertingError::Evidence(reason) => {
            tracing::error!(reason, "events of alerts cannot be read: {reason}");
            ApiError::unavailable("alerts cannot be read at the moment")
        }
        AlertingError::Catalog(error) => {
            tracing::error!(error = %error, "catalog cannot serve: {error}");
            ApiError::unavailable("alerts cannot be read or written at the moment")
        }
        error => ApiError::internal(error),
    }
}
