//! `/me` and `/sessions`: a person's own settings, password and second factor, and who is signed in where.

use std::net::{IpAddr, Ipv4Addr};

use axum::Extension;
use axum::extract::{Path, State as Extract};
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{StatusCode, header};
use logwarden_store::identity::{IdentityError, PrincipalKind, Role, SessionInfo, SignInError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::session::refuse as refuse_sign_in;
use super::shape::List;
use super::users::refuse;
use crate::App;
use crate::audit::Entry;
use crate::auth::{self, Caller, Cookie, SignedIn};
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::origin::Origin;
use crate::route::{Permission, Routes};
use crate::saved::{Item, Kind};

/// Bytes of a person's settings.
const SETTINGS_BYTES_MAX: usize = 16 * 1024;

/// Where somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SignedInAt {
    /// Names it.
    id: String,
    /// Whose it is.
    user: String,
    /// When it began.
    created_at: String,
    /// When it was last used.
    used_at: String,
    /// Whether this answer was asked for with it.
    current: bool,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present one.
    current: String,
    /// The new one, at least 12 characters.
    password: String,
}

/// Whether signing in needs a code.
#[derive(Debug, Serialize, ToSchema)]
struct SecondFactor {
    enabled: bool,
}

/// A secret for an authenticator app, shown this once; it counts once it is confirmed.
#[derive(Serialize, ToSchema)]
struct NewSecondFactor {
    /// In base 32, to be typed.
    secret: String,
    /// The same for apps that take a link.
    url: String,
}

/// A secret with a code that the app made of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmedSecondFactor {
    secret: String,
    /// Six digits.
    code: String,
    /// The present password: whoever took over a session does not know it.
    current: String,
}

/// The present password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PresentPassword {
    current: String,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::AnyCredential, routes!(settings))
        .add(Permission::AnyCredential, routes!(replace_settings))
        .add(Permission::AnyCredential, routes!(change_password))
        .add(Permission::AnyCredential, routes!(second_factor))
        .add(Permission::AnyCredential, routes!(begin_second_factor))
        .add(Permission::AnyCredential, routes!(set_second_factor))
        .add(Permission::AnyCredential, routes!(remove_second_factor))
        .add(Permission::AnyCredential, routes!(sessions))
        .add(Permission::AnyCredential, routes!(session))
        .add(Permission::AnyCredential, routes!(end_session))
}

/// Gives one's own settings; what was never set is left out.
#[utoipa::path(
    get, path = "/api/v1/me/settings", tag = "session",
    responses((status = 200, body = serde_json::Value))
)]
async fn settings(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<serde_json::Value>, ApiError> {
    let id = settings_id(person(&caller)?);
    let item = app.saved.find(Kind::Settings, &id).await.map_err(ApiError::internal)?;
    Ok(axum::Json(item.map_or_else(|| serde_json::json!({}), |item| item.content)))
}

/// Sets one's own settings: an object of at most 16 KiB that only the dashboard understands.
#[utoipa::path(
    put, path = "/api/v1/me/settings", tag = "session", request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value))
)]
async fn replace_settings(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(content): Json<serde_json::Value, SETTINGS_BYTES_MAX>,
) -> Result<axum::Json<serde_json::Value>, ApiError> {
    if !content.is_object() {
        return Err(ApiError::bad_request("settings are an object"));
    }
    let name = person(&caller)?;
    let item = Item {
        id: settings_id(name),
        name: name.to_owned(),
        owner: name.to_owned(),
        is_shared: false,
        content,
        updated_at: app.audit.now(),
    };
    let item = app.saved.put(Kind::Settings, item).await.map_err(ApiError::internal)?;
    Ok(axum::Json(item.content))
}

/// Changes one's own password. Every session ends; this one goes on under a new cookie.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "session", request_body = PasswordChange,
    responses((status = 204))
)]
async fn change_password(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
    Json(change): Json<PasswordChange>,
) -> Result<Response, ApiError> {
    let name = person(&caller)?;
    let peer = origin.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let entry = Entry::new("user.password", name, name, "changed the own password");
    let entry = entry.from_peer(caller.peer);
    match app.identity.change_password(name, &change.current, &change.password, peer).await {
        Ok(session) => {
            app.audit.record(entry).await;
            let cookie = auth::set_cookie(&origin, Cookie::Session, session.expose())?;
            let headers = AppendHeaders([(header::SET_COOKIE, cookie)]);
            Ok((StatusCode::NO_CONTENT, headers).into_response())
        }
        Err(error) => {
            app.audit.record(entry.failed()).await;
            Err(refuse_present(error))
        }
    }
}

/// Says whether signing in needs a code.
#[utoipa::path(
    get, path = "/api/v1/me/second-factor", tag = "session",
    responses((status = 200, body = SecondFactor))
)]
async fn second_factor(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<SecondFactor>, ApiError> {
    let name = person(&caller)?;
    let users = app.identity.list_users();
    let enabled = users.iter().any(|user| user.name == name && user.has_second_factor);
    Ok(axum::Json(SecondFactor { enabled }))
}

/// Makes a secret for an authenticator app; nothing changes before it is confirmed.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor", tag = "session",
    responses((status = 200, body = NewSecondFactor))
)]
async fn begin_second_factor(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<NewSecondFactor>, ApiError> {
    let name = person(&caller)?;
    let secret = app.identity.new_second_factor();
    let label: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let url = format!("otpauth://totp/Logwarden:{label}?secret={secret}&issuer=Logwarden");
    Ok(axum::Json(NewSecondFactor { secret, url }))
}

/// Asks for codes of this secret from now on; the present password is needed.
#[utoipa::path(
    put, path = "/api/v1/me/second-factor", tag = "session", request_body = ConfirmedSecondFactor,
    responses((status = 200, body = SecondFactor))
)]
async fn set_second_factor(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
    Json(confirmed): Json<ConfirmedSecondFactor>,
) -> Result<axum::Json<SecondFactor>, ApiError> {
    let name = person(&caller)?;
    confirm(&app, name, &confirmed.current, &origin).await?;
    let set = app.identity.set_second_factor(name, &confirmed.secret, &confirmed.code).await;
    set.map_err(|error| match error {
        SignInError::BadCredentials => {
            ApiError::bad_request("the code does not go with the secret")
        }
        error => refuse_sign_in(error),
    })?;
    let entry = Entry::new("user.second-factor", name, name, "set up a second factor");
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(axum::Json(SecondFactor { enabled: true }))
}

/// Asks for no code any more; the present password is needed.
#[utoipa::path(
    delete, path = "/api/v1/me/second-factor", tag = "session", request_body = PresentPassword,
    responses((status = 200, body = SecondFactor))
)]
async fn remove_second_factor(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
    Json(present): Json<PresentPassword>,
) -> Result<axum::Json<SecondFactor>, ApiError> {
    let name = person(&caller)?;
    confirm(&app, name, &present.current, &origin).await?;
    app.identity.remove_second_factor(name).await.map_err(refuse)?;
    let entry = Entry::new("user.second-factor", name, name, "removed the second factor");
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(axum::Json(SecondFactor { enabled: false }))
}

/// Refuses a change when `current` is not the password of who is signed in.
pub(super) async fn confirm(
    app: &App,
    name: &str,
    current: &str,
    origin: &Origin,
) -> Result<(), ApiError> {
    let peer = origin.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    app.identity.confirm_password(name, current, peer).await.map_err(refuse_present)
}

/// Which sessions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SessionParams {
    /// Only those of this user.
    user: Option<String>,
}

/// Lists where people are signed in: administrators see everybody, others themselves.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "session", params(SessionParams),
    responses((status = 200, body = List<SignedInAt>))
)]
async fn sessions(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<SessionParams>,
) -> Result<axum::Json<List<SignedInAt>>, ApiError> {
    let allowed = may_see(&caller)?;
    if params.user.is_some() && allowed.is_some() && allowed != params.user.as_deref() {
        return Err(ApiError::forbidden());
    }
    let asked = params.user.as_deref().or(allowed);
    Ok(axum::Json(List::whole(sessions_of(&app, &caller, asked))))
}

/// Gives one session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "session",
    params(("id" = String, Path, description = "The session's id.")),
    responses((status = 200, body = SignedInAt))
)]
async fn session(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<SignedInAt>, ApiError> {
    let sessions = sessions_of(&app, &caller, may_see(&caller)?);
    let session = sessions.into_iter().find(|session| session.id == id);
    session.map(axum::Json).ok_or_else(ApiError::not_found)
}

/// Whose sessions the caller may see and end; `None` is everybody's.
fn may_see(caller: &Caller) -> Result<Option<&str>, ApiError> {
    if caller.principal.role == Role::Admin {
        return Ok(None);
    }
    person(caller).map(Some)
}

fn sessions_of(app: &App, caller: &Caller, user: Option<&str>) -> Vec<SignedInAt> {
    let present = caller.session().map(|token| app.identity.id_of_session(token));
    let shown = |session: SessionInfo| SignedInAt {
        current: present.as_ref() == Some(&session.id),
        id: session.id,
        user: session.user,
        created_at: session.created_at.to_string(),
        used_at: session.used_at.to_string(),
    };
    app.identity.sessions(user).into_iter().map(shown).collect()
}

/// Ends a session, at once.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "session",
    params(("id" = String, Path, description = "The session's id.")),
    responses((status = 204))
)]
async fn end_session(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let user = app.identity.end_session(may_see(&caller)?, &id).await.map_err(refuse)?;
    let text = format!("ended a session of {user}");
    let entry = Entry::new("session.delete", &caller.principal, &id, text);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What somebody is told whose present password was asked for.
fn refuse_present(error: SignInError) -> ApiError {
    match error {
        // Not 401: the session is as good as before.
        SignInError::BadCredentials => ApiError::new(
            StatusCode::FORBIDDEN,
            "bad_credentials",
            "the present password is another one",
        ),
        SignInError::Identity(error @ IdentityError::Password(_)) => refuse(error),
        error => refuse_sign_in(error),
    }
}

/// The user behind the request; tokens have neither settings nor sessions.
pub(super) fn person(caller: &Caller) -> Result<&str, ApiError> {
    match caller.principal.kind {
        PrincipalKind::User => Ok(&caller.principal.name),
        PrincipalKind::Token | PrincipalKind::Certificate => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not_a_person",
            "only people who signed in have settings and sessions",
        )),
    }
}

fn settings_id(name: &str) -> String {
    format!("settings/{name}")
}
