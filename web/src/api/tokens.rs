//! `/tokens`: credentials for programs.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_store::identity::{Action, NewToken as TokenToMake, TokenInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::duration;
use super::shape::List;
use super::users::refuse;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};
use crate::visibility;

const MANAGE: Permission = Permission::May(Action::ManageTokens);

/// A token, without what it is made of.
#[derive(Debug, Serialize, ToSchema)]
struct Token {
    /// Its name.
    name: String,
    /// `ingest`, `reader`, `analyst`, `admin`, `metrics`, or a configured role.
    role: String,
    /// The source it writes as, or the only one it sees.
    source: Option<String>,
    /// A query that every event it sees must match.
    filter: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it ends.
    expires_at: Option<String>,
    /// When it was last used, to about a minute.
    last_used_at: Option<String>,
    /// Whether it was revoked.
    revoked: bool,
}

impl From<TokenInfo> for Token {
    fn from(token: TokenInfo) -> Self {
        Self {
            name: token.name,
            role: token.role,
            source: token.source,
            filter: token.filter,
            created_at: token.created_at.to_string(),
            expires_at: Some(token.expires_at.to_string()),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            revoked: token.is_revoked,
        }
    }
}

/// A new token, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedToken {
    /// The credential itself.
    token: String,
    /// What the list shows of it.
    #[serde(flatten)]
    item: Token,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
struct NewToken {
    /// Its name: 1 to 128 letters, digits, `-`, `.`, `_` and `@`.
    name: String,
    /// `ingest`, `reader`, `analyst`, `admin` or `metrics`.
    role: String,
    /// The source it writes as, or the only one it sees.
    source: Option<String>,
    /// A query that every event it sees must match.
    filter: Option<String>,
    /// How long it counts, such as `90d`, `12h`; a year when nothing is said, at most that.
    expires: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(MANAGE, routes!(list))
        .add(MANAGE, routes!(create))
        .add(MANAGE, routes!(show))
        .add(MANAGE, routes!(revoke))
}

/// Lists the tokens.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = 200, body = List<Token>)))]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<Token>> {
    axum::Json(List::whole(app.identity.list_tokens().into_iter().map(Token::from).collect()))
}

/// Makes a token and shows it, this once.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = CreatedToken))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewToken>,
) -> Result<Response, ApiError> {
    make(&app, &caller, new).await
}

/// Makes a token of a source, of the role `ingest`.
pub(super) async fn make_for_source(
    app: &App,
    caller: &Caller,
    source: String,
    name: Option<String>,
    expires: Option<String>,
) -> Result<Response, ApiError> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| source.clone());
    let role = String::from("ingest");
    make(app, caller, NewToken { name, role, source: Some(source), filter: None, expires }).await
}

async fn make(app: &App, caller: &Caller, new: NewToken) -> Result<Response, ApiError> {
    let now = app.audit.now();
    if let Some(filter) = &new.filter {
        visibility::parse_filter(filter, now)?;
    }
    let expires_at = match new.expires.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(now.saturating_add(duration(text).ok_or_else(|| {
            ApiError::bad_request("`expires` must be a number with s, m, h, d or w, such as 90d")
        })?)),
        None => None,
    };
    let name = new.name.clone();
    let token = TokenToMake {
        name: new.name,
        role: new.role.clone(),
        source: new.source.filter(|text| !text.is_empty()),
        filter: new.filter.filter(|text| !text.trim().is_empty()),
        expires_at,
    };
    let token = app.identity.create_token(token).await.map_err(refuse)?;
    let message = format!("made token {name} with role {}", new.role);
    let entry = Entry::new("token.create", &caller.principal, &name, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    let item = find(app, &name)?;
    Ok((StatusCode::CREATED, axum::Json(CreatedToken { token, item })).into_response())
}

/// Gives one token, without what it is made of. A token does not change: another one takes its place.
#[utoipa::path(
    get, path = "/api/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "The token's name.")),
    responses((status = 200, body = Token))
)]
async fn show(
    Extract(app): Extract<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<Token>, ApiError> {
    find(&app, &name).map(axum::Json)
}

fn find(app: &App, name: &str) -> Result<Token, ApiError> {
    let token = app.identity.list_tokens().into_iter().find(|token| token.name == name);
    token.map(Token::from).ok_or_else(ApiError::not_found)
}

/// Revokes a token: it counts no longer, at once.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "The token's name.")),
    responses((status = 204))
)]
async fn revoke(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.identity.revoke_token(&name).await.map_err(refuse)?;
    let message = format!("revoked token {name}");
    let entry = Entry::new("token.revoke", &caller.principal, &name, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}
