//! `/oidc`: signing in at a provider of identities, and coming back.
//!
//! What must be remembered meanwhile travels in a cookie, sealed under a key of this process: it is
//! bound to the browser, ends after ten minutes, and costs no memory here.

use axum::Extension;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use logwarden_event::Timestamp;
use logwarden_store::identity::IdentityError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::{self, Cookie};
use crate::body::Params;
use crate::error::ApiError;
use crate::oidc::{FlowError, Person};
use crate::origin::Origin;
use crate::route::{Permission, Routes};

/// How long somebody may take to sign in at the provider.
const PENDING_SECS: i64 = 600;
/// What the cookie is sealed for.
const CONTEXT: &str = "oidc";
/// Bytes of the path to go to afterwards.
const NEXT_BYTES_MAX: usize = 1_024;

/// A provider of identities.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderItem {
    /// What it is called: "Continue with …".
    name: String,
}

/// Where to go afterwards.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct BeginParams {
    /// A path of the dashboard; `/` when nothing is said.
    next: Option<String>,
}

/// What the provider says.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CallbackParams {
    /// What stands for the tokens; without it nobody was signed in.
    code: Option<String>,
    /// What was handed to the provider.
    state: Option<String>,
}

/// What is remembered while somebody is at the provider.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: String,
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    ends_at_secs: i64,
}

/// What the login page is told: a word in its address.
#[derive(Debug, Clone, Copy)]
enum Problem {
    /// It took too long, or another browser began it.
    Expired,
    /// The provider did not sign them in.
    Denied,
    /// The provider's answer is not one to believe.
    Untrusted,
    /// The provider does not answer.
    Unreachable,
    /// No group of theirs has a role.
    NoRole,
    /// The provider tells no name, or one that cannot be.
    NoName,
    /// There is another account of that name.
    NameTaken,
}

impl Problem {
    fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Untrusted => "untrusted",
            Self::Unreachable => "unreachable",
            Self::NoRole => "no-role",
            Self::NoName => "no-name",
            Self::NameTaken => "name-taken",
        }
    }
}

impl From<&FlowError> for Problem {
    fn from(error: &FlowError) -> Self {
        match error {
            FlowError::Unreachable => Self::Unreachable,
            FlowError::Untrusted => Self::Untrusted,
            FlowError::NoName => Self::NoName,
            FlowError::NoRole { .. } => Self::NoRole,
        }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::Open, routes!(list))
        .add(Permission::Open, routes!(begin))
        .add(Permission::Open, routes!(callback))
}

/// Lists the providers at which people may sign in.
#[utoipa::path(get, path = "/api/v1/oidc", tag = "session", responses((status = 200, body = List<ProviderItem>)))]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<ProviderItem>> {
    let items = app.providers.names().map(|name| ProviderItem { name: name.to_owned() });
    axum::Json(List::whole(items.collect()))
}

/// Sends the browser to a provider.
#[utoipa::path(
    get, path = "/api/v1/oidc/{name}/begin", tag = "session",
    params(("name" = String, Path, description = "The provider's name."), BeginParams),
    responses((status = 303, description = "To the provider, or to the login page with a problem."))
)]
async fn begin(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    Path(name): Path<String>,
    Params(params): Params<BeginParams>,
) -> Result<Response, ApiError> {
    let provider = app.providers.find(&name).ok_or_else(ApiError::not_found)?;
    let begun = match provider.begin(&redirect(&app, &name)).await {
        Ok(begun) => begun,
        Err(error) => return to_login(&origin, Problem::from(&error)),
    };
    let pending = Pending {
        provider: name,
        state: begun.state,
        nonce: begun.nonce,
        verifier: begun.verifier,
        next: params.next.filter(|next| is_own_path(next)).unwrap_or_else(|| "/".to_owned()),
        ends_at_secs: app.audit.now().secs() + PENDING_SECS,
    };
    let text = serde_json::to_vec(&pending).map_err(ApiError::internal)?;
    let sealed = URL_SAFE_NO_PAD.encode(app.seal().seal(CONTEXT, &text));
    let cookie = auth::set_cookie(&origin, Cookie::Pending, &sealed)?;
    to(begun.url.as_str(), &[cookie])
}

/// Takes the browser back from a provider: opens a session, or says what was wrong.
#[utoipa::path(
    get, path = "/api/v1/oidc/{name}/callback", tag = "session",
    params(("name" = String, Path, description = "The provider's name."), CallbackParams),
    responses((status = 303, description = "To the page that was asked for, or to the login page."))
)]
async fn callback(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    Path(name): Path<String>,
    Params(params): Params<CallbackParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let provider = app.providers.find(&name).ok_or_else(ApiError::not_found)?;
    let now = app.audit.now();
    let pending = pending(&app, &origin, &headers, now);
    let pending =
        pending.filter(|one| one.provider == name && Some(&one.state) == params.state.as_ref());
    let Some(pending) = pending else { return to_login(&origin, Problem::Expired) };
    let Some(code) = params.code else {
        note(&app, &origin, &name, Problem::Denied).await;
        return to_login(&origin, Problem::Denied);
    };
    let Pending { nonce, verifier, next, .. } = pending;
    match provider.finish(&redirect(&app, &name), code, verifier, nonce, now).await {
        Err(error) => {
            if let FlowError::NoRole { subject } = &error {
                let ended = app.identity.end_external_sessions(&name, subject).await;
                ended.map_err(ApiError::internal)?;
            }
            let problem = Problem::from(&error);
            note(&app, &origin, &name, problem).await;
            to_login(&origin, problem)
        }
        Ok(person) => enter(&app, &origin, &person, &next).await,
    }
}

/// Opens a session for somebody whom the provider has signed in.
async fn enter(
    app: &App,
    origin: &Origin,
    person: &Person,
    next: &str,
) -> Result<Response, ApiError> {
    let session = match app.identity.sign_in_external(person).await {
        Ok(session) => session,
        Err(error) => {
            let problem = match error {
                IdentityError::Taken(_) => Problem::NameTaken,
                IdentityError::BadName(_) => Problem::NoName,
                IdentityError::NoRole(_) => Problem::NoRole,
                error => return Err(ApiError::internal(error)),
            };
            note(app, origin, &person.provider, problem).await;
            return to_login(origin, problem);
        }
    };
    let message = format!("signed in at {}", person.provider);
    let entry = Entry::new("session.create", &person.name, &person.name, message);
    app.audit.record(entry.from_peer(origin.peer)).await;
    let session = auth::set_cookie(origin, Cookie::Session, session.expose())?;
    to(next, &[session, auth::no_cookie(origin, Cookie::Pending)?])
}

/// Writes down that somebody was not signed in.
async fn note(app: &App, origin: &Origin, provider: &str, problem: Problem) {
    let message = format!("could not sign in at {provider}: {}", problem.word());
    let entry = Entry::new("session.create", "", provider, message);
    app.audit.note_stranger(entry.failed().from_peer(origin.peer));
}

fn pending(app: &App, origin: &Origin, headers: &HeaderMap, now: Timestamp) -> Option<Pending> {
    let sealed = auth::cookie(origin, Cookie::Pending, headers)?;
    let text = app.seal().open(CONTEXT, &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()?;
    let pending: Pending = serde_json::from_slice(&text).ok()?;
    (pending.ends_at_secs > now.secs()).then_some(pending)
}

fn redirect(app: &App, name: &str) -> String {
    format!("{}/api/v1/oidc/{name}/callback", app.own_url())
}

/// Whether a path stays in the dashboard.
fn is_own_path(next: &str) -> bool {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    next.len() <= NEXT_BYTES_MAX && next.starts_with('/') && !next.starts_with("//") && is_plain
}

fn to_login(origin: &Origin, problem: Problem) -> Result<Response, ApiError> {
    let gone = auth::no_cookie(origin, Cookie::Pending)?;
    to(&format!("/login?problem={}", problem.word()), &[gone])
}

fn to(place: &str, cookies: &[HeaderValue]) -> Result<Response, ApiError> {
    let place = HeaderValue::from_str(place).map_err(ApiError::internal)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, place);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_the_browser_stays_here() {
        for path in ["/", "/search?q=a%20b", "/alerts/1#x"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "alerts",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/\r\nx",
        ] {
            assert!(!is_own_path(path), "{path}");
        }
        assert!(!is_own_path(&format!("/{}", "x".repeat(NEXT_BYTES_MAX))));
    }
}
