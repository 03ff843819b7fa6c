//! `/users`: local accounts.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_store::identity::{Action, IdentityError, UserInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const MANAGE: Permission = Permission::May(Action::ManageUsers);

/// A local account.
#[derive(Debug, Serialize, ToSchema)]
struct User {
    /// The name to sign in with.
    name: String,
    /// `reader`, `analyst`, `admin`, or a configured role.
    role: String,
    /// When it was made.
    created_at: String,
    /// Whether signing in needs a code besides the password.
    second_factor: bool,
    /// The provider that signs them in and gives the role; null: a local account.
    provider: Option<String>,
}

impl From<UserInfo> for User {
    fn from(user: UserInfo) -> Self {
        let created_at = user.created_at.to_string();
        let second_factor = user.has_second_factor;
        let provider = user.provider;
        Self { name: user.name, role: user.role, created_at, second_factor, provider }
    }
}

/// An account to make.
#[derive(Deserialize, ToSchema)]
struct NewUser {
    /// The name to sign in with: 1 to 128 letters, digits, `-`, `.`, `_` and `@`.
    name: String,
    /// `reader`, `analyst`, `admin`, or a configured role.
    role: String,
    /// The password, at least 12 characters.
    password: String,
}

/// What changes of an account; what is left out stays. Its sessions end.
#[derive(Deserialize, ToSchema)]
struct UserChange {
    /// The new role.
    role: Option<String>,
    /// The new password.
    password: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(MANAGE, routes!(list))
        .add(MANAGE, routes!(create))
        .add(MANAGE, routes!(show))
        .add(MANAGE, routes!(change))
        .add(MANAGE, routes!(remove))
        .add(MANAGE, routes!(remove_second_factor))
}

/// Lists the local accounts.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", responses((status = 200, body = List<User>)))]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<User>> {
    axum::Json(List::whole(app.identity.list_users().into_iter().map(User::from).collect()))
}

/// Makes an account.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = User))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewUser>,
) -> Result<Response, ApiError> {
    app.identity.create_user(&new.name, &new.role, &new.password).await.map_err(refuse)?;
    let message = format!("made user {} with role {}", new.name, new.role);
    let entry = Entry::new("user.create", &caller.principal, &new.name, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok((StatusCode::CREATED, axum::Json(find(&app, &new.name)?)).into_response())
}

/// Gives one account.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The account's name.")),
    responses((status = 200, body = User))
)]
async fn show(
    Extract(app): Extract<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<User>, ApiError> {
    find(&app, &name).map(axum::Json)
}

/// Changes role or password of an account and ends its sessions.
#[utoipa::path(
    put, path = "/api/v1/users/{name}", tag = "users", request_body = UserChange,
    params(("name" = String, Path, description = "The account's name.")),
    responses((status = 200, body = User))
)]
async fn change(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<axum::Json<User>, ApiError> {
    let record = |action, message| {
        let entry = Entry::new(action, &caller.principal, &name, message);
        app.audit.record(entry.from_peer(caller.peer))
    };
    if let Some(role) = &change.role {
        app.identity.set_role(&name, role).await.map_err(refuse)?;
        record("user.role", format!("gave user {name} the role {role}")).await;
    }
    if let Some(password) = &change.password {
        app.identity.set_password(&name, password).await.map_err(refuse)?;
        record("user.password", format!("gave user {name} another password")).await;
    }
    Ok(axum::Json(find(&app, &name)?))
}

/// Removes an account and ends its sessions.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The account's name.")),
    responses((status = 204))
)]
async fn remove(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.identity.delete_user(&name).await.map_err(refuse)?;
    let message = format!("removed user {name}");
    let entry = Entry::new("user.delete", &caller.principal, &name, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the second factor from an account whose owner has lost it.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/second-factor", tag = "users",
    params(("name" = String, Path, description = "The account's name.")),
    responses((status = 204))
)]
async fn remove_second_factor(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.identity.remove_all_factors(&name).await.map_err(refuse)?;
    let message = format!("removed the second factor of user {name}");
    let entry = Entry::new("user.second-factor", &caller.principal, &name, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, name: &str) -> Result<User, ApiError> {
    let user = app.identity.list_users().into_iter().find(|user| user.name == name);
    user.map(User::from).ok_or_else(ApiError::not_found)
}

/// What the client is told about a change that was not made.
pub(super) fn refuse(error: IdentityError) -> ApiError {
    match error {
        IdentityError::Taken(_) => ApiError::conflict("name_taken", error.to_string()),
        IdentityError::LastAdministrator(_) => {
            ApiError::conflict("last_administrator", error.to_string())
        }
        IdentityError::NotFound(_) => ApiError::not_found(),
        IdentityError::BadName(_)
        | IdentityError::NoRole(_)
        | IdentityError::RoleOfTokens(_)
        | IdentityError::External(_)
        | IdentityError::Password(_)
        | IdentityError::BadSource
        | IdentityError::BadExpiry => ApiError::bad_request(error.to_string()),
        IdentityError::Catalog(_) | IdentityError::WrongKey(_) => ApiError::internal(error),
    }
}
