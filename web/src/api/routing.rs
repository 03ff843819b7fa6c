//! `/routes` and `/rotas`: who is told about which alerts, and who is on duty when.
//!
//! Each is one list with a version in its `ETag`; PUT replaces what was written over the API and
//! needs `If-Match`. What the configuration file says comes first and is changed there.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use logwarden_alerting::{
    AlertingError, Both, Level, RotaConfig, RouteAnswer, RouteConfig, ToldNames, Turn,
};
use logwarden_query::parse_time;
use logwarden_store::identity::Action;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::{Json, RULES_BYTES_MAX, unfit};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const READ: Permission = Permission::May(Action::ReadNotifiers);
const WRITE: Permission = Permission::May(Action::WriteNotifiers);
/// Turns of each rota that the list shows.
const TURNS_SHOWN: usize = 10;
/// What stands in `origin` of those that the file has.
pub(super) const CONFIGURATION: &str = "configuration";
/// What stands there of those that were written.
pub(super) const API: &str = "api";

/// Which alerts go to whom; of its own routes the first that takes an alert decides.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    /// What deliveries call it; null: its place.
    #[serde(default)]
    name: Option<String>,
    /// Milder alerts do not take this route; null: every level does.
    #[serde(default)]
    severity_min: Option<String>,
    /// Names or ids of rules; empty: every rule.
    #[serde(default)]
    rules: Vec<String>,
    /// Labels of the rule or fields of the alert's group; `*` at a value's end stands for anything.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Only at these times; null: always.
    #[serde(default)]
    hours: Option<Hours>,
    /// Names of notifiers, and `rota:NAME`; null: those of the route around it.
    #[serde(default)]
    notify: Option<Vec<String>>,
    /// `rule`, `severity` or fields: alerts that agree in them become one message.
    #[serde(default)]
    group_by: Option<Vec<String>>,
    /// How long a message waits for further alerts of its group.
    #[serde(default)]
    group_wait_secs: Option<u64>,
    /// Alerts are told of in a digest every so many minutes.
    #[serde(default)]
    digest_mins: Option<u32>,
    /// Alerts told of at once in an hour; further ones are in the digest alone.
    #[serde(default)]
    per_hour_max: Option<u32>,
    /// Who is told when nobody acknowledges.
    #[serde(default)]
    escalate: Option<Vec<Escalation>>,
    /// Routes within this one.
    #[serde(default)]
    #[schema(no_recursion)]
    routes: Vec<Route>,
    /// `configuration` for those of the file; else `api`. Only on outermost ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

/// Hours of the week.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RouteHours)]
struct Hours {
    /// Such as `Europe/Berlin`.
    zone: String,
    /// `mon` to `sun`; empty: every day.
    #[serde(default)]
    days: Vec<String>,
    /// `HH:MM`.
    from: String,
    /// `HH:MM`; before `from` it is on the next day.
    to: String,
}

/// Who is told when an alert stays unacknowledged.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Escalation {
    /// Minutes after the alert was opened.
    after_mins: u32,
    /// Names of notifiers, and `rota:NAME`.
    notify: Vec<String>,
}

/// The routes, from the top.
#[derive(Debug, Serialize, ToSchema)]
struct RouteList {
    items: Vec<Route>,
    next: Option<String>,
    /// For `If-Match`; also in `ETag`.
    version: u64,
    /// What was written and is left out because the configuration file changed.
    problems: Vec<String>,
}

/// The routes to set; those of the configuration may stand among them and are left as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRoutes {
    items: Vec<Route>,
}

/// People who take turns.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rota {
    /// What routes call it, after `rota:`.
    name: String,
    /// Such as `Europe/Berlin`.
    zone: String,
    /// When the first person's first turn begins, `YYYY-MM-DDTHH:MM` in the zone.
    starts: String,
    /// Days of one turn.
    shift_days: u32,
    /// Who takes turns, in this order.
    people: Vec<Person>,
    /// Who stands in, and when.
    #[serde(default)]
    overrides: Vec<StandIn>,
    /// `configuration` for those of the file; else `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// Who is on duty from now on; only read.
    #[serde(default)]
    turns: Vec<DutyTurn>,
}

/// Somebody who takes turns.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Person {
    name: String,
    /// Names of notifiers that reach them.
    notify: Vec<String>,
}

/// Somebody stands in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StandIn {
    /// One of the rota's people.
    person: String,
    /// RFC 3339.
    from: String,
    /// RFC 3339.
    to: String,
}

/// Somebody's time on duty.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct DutyTurn {
    person: String,
    from: String,
    to: String,
    /// Whether they stand in for somebody.
    stands_in: bool,
}

/// The rotas.
#[derive(Debug, Serialize, ToSchema)]
struct RotaList {
    items: Vec<Rota>,
    next: Option<String>,
    /// For `If-Match`; also in `ETag`.
    version: u64,
}

/// The rotas to set; those of the configuration may stand among them and are left as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRotas {
    items: Vec<Rota>,
}

/// An alert that could be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RouteQuestion {
    /// The rule's id or name; null: any that no route names.
    rule: Option<String>,
    /// `informational` to `critical`.
    severity: String,
    /// Fields of the alert's group.
    #[serde(default)]
    group: BTreeMap<String, String>,
    /// When; null: now.
    at: Option<String>,
}

/// Who would be told.
#[derive(Debug, Serialize, ToSchema)]
struct RouteVerdict {
    /// The route that takes it; null: none does.
    route: Option<String>,
    told: Vec<ToldName>,
    /// In a digest every so many minutes; null: at once.
    digest_mins: Option<u64>,
    escalate: Vec<EscalationVerdict>,
}

/// One of those who would be told.
#[derive(Debug, Serialize, ToSchema)]
struct ToldName {
    notifier: String,
    /// Such as `ana is on duty`.
    why: Option<String>,
}

/// Who would be told after some minutes.
#[derive(Debug, Serialize, ToSchema)]
struct EscalationVerdict {
    after_mins: u32,
    told: Vec<ToldName>,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(READ, routes!(list_routes))
        .add(WRITE, routes!(replace_routes))
        .add(READ, routes!(ask_routes))
        .add(READ, routes!(list_rotas))
        .add(WRITE, routes!(replace_rotas))
}

/// Lists the routes, from the top: the first that matches takes an alert. Without any, every alert
/// goes to every notifier.
#[utoipa::path(
    get, path = "/api/v1/routes", tag = "notifications",
    responses((status = 200, body = RouteList))
)]
async fn list_routes(Extract(app): Extract<App>) -> Result<Response, ApiError> {
    let Both { configured, written } = app.alerting.route_settings();
    let version = written.version;
    let mut items = Vec::new();
    for (origin, all) in [(CONFIGURATION, configured), (API, written.items)] {
        for one in all {
            items.push(Route { origin: Some(origin.to_owned()), ..reshaped(&one)? });
        }
    }
    let problems = app.alerting.routing_problems();
    Ok(versioned(version, RouteList { items, next: None, version, problems }))
}

/// Replaces the routes behind those of the configuration.
#[utoipa::path(
    put, path = "/api/v1/routes", tag = "notifications", request_body = NewRoutes,
    params(("If-Match" = String, Header, description = "The version that was read.")),
    responses((status = 200, body = RouteList))
)]
async fn replace_routes(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
    Json(new): Json<NewRoutes, RULES_BYTES_MAX>,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let mut routes: Vec<RouteConfig> = Vec::new();
    for mut route in new.items {
        if route.origin.take().as_deref() != Some(CONFIGURATION) {
            routes.push(reshaped(&route)?);
        }
    }
    let count = routes.len();
    let version = app.alerting.set_routes(routes, Some(expected)).await.map_err(refuse)?;
    let message = format!("wrote {count} routes, version {version}");
    let entry = Entry::new("routes.replace", &caller.principal, "routes", message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    list_routes(Extract(app)).await
}

/// Says who would be told of an alert.
#[utoipa::path(
    post, path = "/api/v1/routes/ask", tag = "notifications", request_body = RouteQuestion,
    responses((status = 200, body = RouteVerdict))
)]
async fn ask_routes(
    Extract(app): Extract<App>,
    Json(question): Json<RouteQuestion>,
) -> Result<axum::Json<RouteVerdict>, ApiError> {
    let severity = Level::from_name(&question.severity)
        .ok_or_else(|| ApiError::bad_request("`severity` is informational to critical"))?;
    let at = question.at.filter(|text| !text.is_empty());
    let at = at.map(|text| parse_time(&text, app.audit.now()));
    let at = at.transpose().map_err(|error| ApiError::bad_request(format!("`at`: {error}")))?;
    let group: Vec<(String, String)> = question.group.into_iter().collect();
    let rule = question.rule.unwrap_or_default();
    let RouteAnswer { route, told, digest_mins, escalate } =
        app.alerting.ask_routes(&rule, severity, &group, at);
    let escalate = escalate.into_iter();
    Ok(axum::Json(RouteVerdict {
        route,
        told: told_names(told),
        digest_mins,
        escalate: escalate
            .map(|(after_mins, told)| EscalationVerdict { after_mins, told: told_names(told) })
            .collect(),
    }))
}

fn told_names(told: ToldNames) -> Vec<ToldName> {
    told.into_iter().map(|(notifier, why)| ToldName { notifier, why }).collect()
}

/// Lists the rotas, each with who is on duty from now on.
#[utoipa::path(
    get, path = "/api/v1/rotas", tag = "notifications",
    responses((status = 200, body = RotaList))
)]
async fn list_rotas(Extract(app): Extract<App>) -> Result<Response, ApiError> {
    let Both { configured, written } = app.alerting.rota_settings();
    let version = written.version;
    let duties = app.alerting.duties(TURNS_SHOWN);
    let mut items = Vec::new();
    for (origin, all) in [(CONFIGURATION, configured), (API, written.items)] {
        for one in all {
            let duty = duties.iter().find(|duty| duty.rota == one.name);
            let turns = duty.map(|duty| duty.turns.iter().map(DutyTurn::from).collect());
            let turns = turns.unwrap_or_default();
            items.push(Rota { origin: Some(origin.to_owned()), turns, ..reshaped(&one)? });
        }
    }
    Ok(versioned(version, RotaList { items, next: None, version }))
}

impl From<&Turn> for DutyTurn {
    fn from(turn: &Turn) -> Self {
        Self {
            person: turn.person.clone(),
            from: turn.from.to_string(),
            to: turn.to.to_string(),
            stands_in: turn.stands_in,
        }
    }
}

/// Replaces the rotas behind those of the configuration.
#[utoipa::path(
    put, path = "/api/v1/rotas", tag = "notifications", request_body = NewRotas,
    params(("If-Match" = String, Header, description = "The version that was read.")),
    responses((status = 200, body = RotaList))
)]
async fn replace_rotas(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
    Json(new): Json<NewRotas, RULES_BYTES_MAX>,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let mut rotas: Vec<RotaConfig> = Vec::new();
    for rota in new.items {
        if rota.origin.as_deref() == Some(CONFIGURATION) {
            continue;
        }
        let mut value = serde_json::to_value(&rota).map_err(ApiError::internal)?;
        if let Some(object) = value.as_object_mut() {
            object.remove("turns");
            object.remove("origin");
        }
        rotas.push(serde_json::from_value(value).map_err(|error| unfit(&error))?);
    }
    let count = rotas.len();
    let version = app.alerting.set_rotas(rotas, Some(expected)).await.map_err(refuse)?;
    let message = format!("wrote {count} rotas, version {version}");
    let entry = Entry::new("rotas.replace", &caller.principal, "rotas", message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    list_rotas(Extract(app)).await
}

/// The same facts in the other shape of the same names; what does not fit is the client's.
fn reshaped<T: DeserializeOwned>(from: &impl Serialize) -> Result<T, ApiError> {
    let value = serde_json::to_value(from).map_err(ApiError::internal)?;
    serde_json::from_value(value).map_err(|error| unfit(&error))
}

/// The version that the client has read.
pub(super) fn expected(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(given) = headers.get(header::IF_MATCH) else {
        return Err(ApiError::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "`If-Match` must hold the `ETag` of what was read",
        ));
    };
    let version = given.to_str().ok().and_then(|text| text.trim_matches('"').parse().ok());
    version.ok_or_else(|| ApiError::bad_request("`If-Match` holds no `ETag` of this list"))
}

/// An answer with its version.
pub(super) fn versioned(version: u64, body: impl Serialize) -> Response {
    let mut response = axum::Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// What the client is told when a list cannot be written.
pub(super) fn refuse(error: AlertingError) -> ApiError {
    match error {
        AlertingError::Conflict(reason) => {
            ApiError::new(StatusCode::PRECONDITION_FAILED, "changed", reason)
        }
        AlertingError::Config { .. } => ApiError::bad_request(error.to_string()),
        error => alerts::refuse(error),
    }
}
