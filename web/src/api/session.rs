//! `/session`: who am I, sign in, sign out.

use std::net::{IpAddr, Ipv4Addr};

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{StatusCode, header};
use logwarden_store::identity::{Identity, Principal, SessionToken, SignInError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::App;
use crate::audit::Entry;
use crate::auth::{self, Cookie, SignedIn};
use crate::body::Json;
use crate::error::ApiError;
use crate::origin::Origin;
use crate::route::{Permission, Routes};

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// The name of the user or token, or one in the certificate.
    name: String,
    /// What it may do: `ingest`, `reader`, `analyst`, `admin` or `metrics`.
    role: &'static str,
    /// What its role is called, which may be one that narrows `role`.
    role_name: String,
    /// Whether every event may be seen, and all of it. Otherwise there are no rules, and of alerts what
    /// the events say that may be seen.
    sees_everything: bool,
    /// `user`, `token` or `certificate`.
    kind: &'static str,
    /// The IANA time zone the user chose; null: that of the browser.
    time_zone: Option<String>,
}

impl Session {
    pub(super) fn of(principal: &Principal) -> Self {
        let kind = principal.kind.name();
        let name = principal.name.clone();
        Self {
            name,
            role: principal.role.as_str(),
            role_name: principal.role_name.clone(),
            sees_everything: principal.sees_everything(),
            kind,
            time_zone: None,
        }
    }
}

/// A name with its password.
#[derive(Deserialize, ToSchema)]
pub(super) struct Credentials {
    /// The user's name.
    name: String,
    /// The user's password.
    password: String,
    /// A code of the second factor, for those who have one.
    code: Option<String>,
}

/// What a client is told that has to ask for a code.
const SECOND_FACTOR: &str = "second_factor_needed";

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::AnyCredential, routes!(show))
        .add(Permission::Open, routes!(sign_in))
        .add(Permission::AnyCredential, routes!(sign_out))
}

/// Says who the credential stands for.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = Session)))]
async fn show(SignedIn(caller): SignedIn) -> axum::Json<Session> {
    axum::Json(Session::of(&caller.principal))
}

/// Signs a user in and sets the session cookie.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "session", request_body = Credentials,
    responses((status = 200, body = Session))
)]
async fn sign_in(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    Json(credentials): Json<Credentials>,
) -> Result<Response, ApiError> {
    let Credentials { name, password, code } = credentials;
    let entry = Entry::new("session.create", &name, &name, "signed in").from_peer(origin.peer);
    match open(&app.identity, &origin, (&name, &password, code.as_deref())).await {
        Ok(answer) => {
            app.audit.record(entry).await;
            Ok(answer)
        }
        Err(error) => {
            let mut entry = entry.failed();
            "could not sign in".clone_into(&mut entry.message);
            if error.detail().code == SECOND_FACTOR {
                "was asked for a code".clone_into(&mut entry.message);
            }
            match error.status() {
                // Beyond the limit nothing was tried.
                StatusCode::TOO_MANY_REQUESTS => app.audit.note_stranger(entry),
                _ => app.audit.record(entry).await,
            }
            Err(error)
        }
    }
}

/// Opens a session and answers with its cookie.
pub(super) async fn open(
    identity: &Identity,
    origin: &Origin,
    (name, password, code): (&str, &str, Option<&str>),
) -> Result<Response, ApiError> {
    let peer = origin.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let session = identity.sign_in_with(name, password, code, peer).await.map_err(refuse)?;
    signed_in(identity, origin, &session)
}

/// Answers with the cookie of a session that was opened.
pub(super) fn signed_in(
    identity: &Identity,
    origin: &Origin,
    session: &SessionToken,
) -> Result<Response, ApiError> {
    let principal = identity.authenticate_session(session.expose()).ok_or_else(bad_credentials)?;
    let cookie = auth::set_cookie(origin, Cookie::Session, session.expose())?;
    let headers = AppendHeaders([(header::SET_COOKIE, cookie)]);
    Ok((headers, axum::Json(Session::of(&principal))).into_response())
}

/// What somebody is told who is not signed in.
pub(super) fn refuse(error: SignInError) -> ApiError {
    match error {
        SignInError::BadCredentials => bad_credentials(),
        SignInError::SecondFactor => ApiError::new(
            StatusCode::UNAUTHORIZED,
            SECOND_FACTOR,
            "a code of the second factor is needed besides, or a passkey",
        ),
        SignInError::TooManyAttempts { retry_after_secs } => ApiError::too_many_requests(
            "too many attempts to sign in, try again later",
            retry_after_secs,
        ),
        SignInError::Identity(error) => ApiError::internal(error),
    }
}

fn bad_credentials() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "bad_credentials", "the name or the password is wrong")
}

/// Ends the session. A token stays as it is.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
async fn sign_out(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
) -> Result<Response, ApiError> {
    if let Some(session) = caller.session() {
        app.identity.sign_out(session).await.map_err(ApiError::internal)?;
        let name = &caller.principal.name;
        let entry = Entry::new("session.delete", name, name, "signed out");
        app.audit.record(entry.from_peer(caller.peer)).await;
    }
    let cookie = auth::no_cookie(&origin, Cookie::Session)?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])).into_response())
}
