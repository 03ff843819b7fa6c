//! `/silences`: about which alerts nobody is told, until when and why.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_alerting::{Muted, Silence as ActiveSilence};
use logwarden_event::Timestamp;
use logwarden_query::parse_time;
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts::{AlertItem, refuse, viewer};
use super::scope::duration;
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const READ: Permission = Permission::May(Action::ReadSilences);
const WRITE: Permission = Permission::May(Action::WriteSilences);

/// A time span in which some alerts notify nobody.
#[derive(Debug, Serialize, ToSchema)]
struct Silence {
    id: String,
    /// Mutes alerts of this rule; null: of any.
    rule_id: Option<String>,
    /// Mutes alerts about this value; null: about any.
    entity: Option<String>,
    /// Why.
    reason: String,
    /// Who made it.
    author: String,
    created_at: String,
    /// When it ends or ended.
    ends_at: String,
    /// Whether it is in force.
    active: bool,
    /// Who ended it before its time.
    ended_by: Option<String>,
}

impl Silence {
    fn of(silence: ActiveSilence, now: Timestamp) -> Self {
        Self {
            id: silence.id,
            rule_id: silence.muted.rule_id,
            entity: silence.muted.entity,
            reason: silence.reason,
            author: silence.author,
            created_at: silence.created_at.to_string(),
            ends_at: silence.ends_at.to_string(),
            active: silence.ends_at > now,
            ended_by: silence.ended_by,
        }
    }
}

/// Which alerts to mute: those of the rule, about the entity, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SilenceScope {
    /// A rule's id.
    rule_id: Option<String>,
    /// A value of the alert's entity or group, such as an address.
    entity: Option<String>,
}

/// A silence to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    /// A rule's id.
    rule_id: Option<String>,
    /// A value of the alert's entity or group, such as an address.
    entity: Option<String>,
    /// Why: 1 to 1,000 bytes.
    reason: String,
    /// How long from now, such as `2h`; instead of `ends_at`.
    lasts: Option<String>,
    /// When it ends, at most 90 days from now; two hours from now when neither is said.
    ends_at: Option<String>,
}

/// How long a silence lasts that does not say.
const LASTS_DEFAULT: &str = "2h";

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(READ, routes!(list))
        .add(WRITE, routes!(create))
        .add(READ, routes!(preview))
        .add(READ, routes!(show))
        .add(WRITE, routes!(change))
        .add(WRITE, routes!(end))
}

/// Lists the silences in force and those that ended in the last 30 days. Who sees a part of the events sees
/// those of a rule alone and those about what their alerts show, without the words of others.
#[utoipa::path(
    get, path = "/api/v1/silences", tag = "notifications",
    responses((status = 200, body = List<Silence>))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<Silence>>, ApiError> {
    let now = app.audit.now();
    let (viewer, _guard) = viewer(&app, &caller)?;
    let silences = app.alerting.silences(&viewer).await.map_err(refuse)?;
    let items = silences.into_iter().map(|silence| Silence::of(silence, now)).collect();
    Ok(axum::Json(List::whole(items)))
}

/// Begins a silence. Alerts that it mutes are opened all the same, and say so.
#[utoipa::path(
    post, path = "/api/v1/silences", tag = "notifications", request_body = NewSilence,
    responses((status = 201, body = Silence))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewSilence>,
) -> Result<Response, ApiError> {
    let now = app.audit.now();
    let ends_at = end_of(&new, now)?;
    let muted = Muted { rule_id: given(new.rule_id), entity: given(new.entity) };
    let author = &caller.principal.name;
    let begun = app.alerting.create_silence(muted, &new.reason, ends_at, author).await;
    let begun = begun.map_err(refuse)?;
    let message = format!("began a silence until {}: {}", begun.ends_at, begun.reason);
    let entry = Entry::new("silence.create", author, &begun.id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok((StatusCode::CREATED, axum::Json(Silence::of(begun, now))).into_response())
}

/// Gives one silence.
#[utoipa::path(
    get, path = "/api/v1/silences/{id}", tag = "notifications",
    params(("id" = String, Path, description = "The silence's id.")),
    responses((status = 200, body = Silence))
)]
async fn show(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<Silence>, ApiError> {
    let (viewer, _guard) = viewer(&app, &caller)?;
    let silence = app.alerting.silence(&id, &viewer).await.map_err(refuse)?;
    Ok(axum::Json(Silence::of(silence, app.audit.now())))
}

/// Gives a silence in force another scope, reason and end.
#[utoipa::path(
    put, path = "/api/v1/silences/{id}", tag = "notifications", request_body = NewSilence,
    params(("id" = String, Path, description = "The silence's id.")),
    responses((status = 200, body = Silence))
)]
async fn change(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(new): Json<NewSilence>,
) -> Result<axum::Json<Silence>, ApiError> {
    let now = app.audit.now();
    let ends_at = end_of(&new, now)?;
    let muted = Muted { rule_id: given(new.rule_id), entity: given(new.entity) };
    let changed = app.alerting.change_silence(&id, muted, &new.reason, ends_at).await;
    let changed = changed.map_err(refuse)?;
    let message = format!("changed a silence, until {}: {}", changed.ends_at, changed.reason);
    let entry = Entry::new("silence.change", &caller.principal, &id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(axum::Json(Silence::of(changed, now)))
}

/// Lists the alerts of the last 24 hours that a silence would have muted.
#[utoipa::path(
    post, path = "/api/v1/silences/preview", tag = "notifications", request_body = SilenceScope,
    responses((status = 200, body = List<AlertItem>))
)]
async fn preview(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(scope): Json<SilenceScope>,
) -> Result<axum::Json<List<AlertItem>>, ApiError> {
    let muted = Muted { rule_id: given(scope.rule_id), entity: given(scope.entity) };
    let (viewer, _guard) = viewer(&app, &caller)?;
    let alerts = app.alerting.preview_silence(&muted, &viewer).await.map_err(refuse)?;
    Ok(axum::Json(List::whole(alerts.into_iter().map(AlertItem::from).collect())))
}

/// Ends a silence now.
#[utoipa::path(
    delete, path = "/api/v1/silences/{id}", tag = "notifications",
    params(("id" = String, Path, description = "The silence's id.")),
    responses((status = 204))
)]
async fn end(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = &caller.principal.name;
    let ended = app.alerting.end_silence(&id, name).await.map_err(refuse)?;
    let message = format!("ended a silence: {}", ended.reason);
    let entry = Entry::new("silence.end", &caller.principal, &id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// When a silence is to end.
fn end_of(new: &NewSilence, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Some(text) = &new.ends_at {
        return parse_time(text, now)
            .map_err(|error| ApiError::bad_request(format!("`ends_at`: {error}")));
    }
    let lasts = duration(new.lasts.as_deref().unwrap_or(LASTS_DEFAULT)).ok_or_else(|| {
        ApiError::bad_request("`lasts` must be a number with m, h, d or w, such as 2h")
    })?;
    Ok(now.saturating_add(lasts))
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
