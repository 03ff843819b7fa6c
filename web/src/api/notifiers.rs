//! `/notifiers`, `/routes` and `/deliveries`: who is told about which alerts, and what became of it.

use axum::extract::{Path, State as Extract};
use logwarden_alerting::alert::{Delivery as AlertDelivery, DeliveryState};
use logwarden_alerting::{DeliveryQuery, NotifierSummary, RouteConfig};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts::refuse;
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::Params;
use crate::error::ApiError;
use crate::route::{Permission, Routes};
use crate::visibility;

const READ: Permission = Permission::May(Action::ReadNotifiers);

/// Somebody who can be told.
#[derive(Debug, Serialize, ToSchema)]
struct Notifier {
    id: String,
    name: String,
    /// `email` or `webhook`.
    kind: &'static str,
    /// Where it sends to, without secrets.
    target: String,
    /// `ok` or `failing`.
    state: &'static str,
}

impl From<NotifierSummary> for Notifier {
    fn from(notifier: NotifierSummary) -> Self {
        Self {
            id: notifier.id,
            name: notifier.name,
            kind: notifier.kind,
            target: notifier.target,
            state: notifier.state.name(),
        }
    }
}

/// Which alerts go to whom.
#[derive(Debug, Serialize, ToSchema)]
struct Route {
    /// Milder alerts do not take this route; null: every level does.
    severity_min: Option<&'static str>,
    /// Names or ids of rules; empty: every rule.
    rules: Vec<String>,
    /// Names of notifiers.
    notify: Vec<String>,
}

impl From<RouteConfig> for Route {
    fn from(route: RouteConfig) -> Self {
        let severity_min = route.severity_min.map(|level| level.name());
        Self { severity_min, rules: route.rules, notify: route.notify }
    }
}

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
struct TestResult {
    ok: bool,
    /// What the receiver said, or why there was no answer.
    answer: String,
}

/// One notification and what became of it.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    id: String,
    alert_id: String,
    notifier: String,
    /// `email` or `webhook`.
    kind: String,
    /// `pending`, `sent` or `failed`.
    state: &'static str,
    attempts: u32,
    last_attempt_at: Option<String>,
    next_attempt_at: Option<String>,
    answer: String,
}

impl From<AlertDelivery> for Delivery {
    fn from(delivery: AlertDelivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            alert_id: delivery.alert_id.to_string(),
            notifier: delivery.notifier,
            kind: delivery.kind,
            state: delivery.state.name(),
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at.map(|at| at.to_string()),
            next_attempt_at: delivery.next_attempt_at.map(|at| at.to_string()),
            answer: delivery.answer,
        }
    }
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryParams {
    /// Only `pending`, `sent` or `failed` ones.
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
        .add(Permission::May(Action::WriteNotifiers), routes!(test))
        .add(READ, routes!(list_routes))
        .add(READ, routes!(deliveries))
}

/// Lists who can be told.
#[utoipa::path(
    get, path = "/api/v1/notifiers", tag = "notifications",
    responses((status = 200, body = List<Notifier>))
)]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<Notifier>> {
    axum::Json(List::whole(app.alerting.notifiers().into_iter().map(Notifier::from).collect()))
}

/// Lists the routes, from the top: the first that matches takes an alert. Without any, every alert
/// goes to every notifier.
#[utoipa::path(
    get, path = "/api/v1/routes", tag = "notifications",
    responses((status = 200, body = List<Route>))
)]
async fn list_routes(Extract(app): Extract<App>) -> axum::Json<List<Route>> {
    axum::Json(List::whole(app.alerting.routes().into_iter().map(Route::from).collect()))
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
    let mut entry = Entry::new("notifier.test", &caller.principal.name, &id, message);
    if !tested.ok {
        entry = entry.failed();
    }
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(axum::Json(TestResult { ok: tested.ok, answer: tested.answer }))
}

/// Lists notifications, newest first.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "notifications", params(DeliveryParams),
    responses((status = 200, body = List<Delivery>))
)]
async fn deliveries(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<DeliveryParams>,
) -> Result<axum::Json<List<Delivery>>, ApiError> {
    visibility::check_sees_everything(&caller.principal)?;
    let wanted = params.state.filter(|text| !text.is_empty());
    let wanted = wanted.map(|text| {
        DeliveryState::from_name(&text)
            .ok_or_else(|| ApiError::bad_request("`state` must be pending, sent or failed"))
    });
    let alert_id = params.alert_id.filter(|text| !text.is_empty());
    let alert_id = alert_id.map(|text| {
        text.parse().map_err(|_| ApiError::bad_request("`alert_id` is not the id of an alert"))
    });
    let query = DeliveryQuery {
        alert_id: alert_id.transpose()?,
        state: wanted.transpose()?,
        limit: params.limit.unwrap_or(0),
        cursor: params.cursor.filter(|text| !text.is_empty()),
    };
    let page = app.alerting.deliveries(&query).await.map_err(refuse)?;
    let items = page.items.into_iter().map(Delivery::from).collect();
    Ok(axum::Json(List { items, next: page.next }))
}
