//! `/saved-searches` and `/dashboards`: what people keep of the dashboard and show each other.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_store::identity::{Action, PrincipalKind, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::{Caller, SignedIn};
use crate::body::Json;
use crate::error::ApiError;
use crate::route::{Permission, Routes};
use crate::saved::{Item, Kind, NAME_CHARS_MAX, PER_OWNER_MAX};

const READ: Permission = Permission::May(Action::ReadSaved);
const WRITE: Permission = Permission::May(Action::WriteSaved);

/// A saved search or dashboard.
#[derive(Debug, Serialize, ToSchema)]
struct SavedItem {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// Whose it is.
    owner: String,
    /// Whether everybody sees it.
    shared: bool,
    /// When it was last changed.
    updated_at: String,
    /// What it is; only the dashboard knows what that means.
    content: serde_json::Value,
}

impl From<Item> for SavedItem {
    fn from(item: Item) -> Self {
        Self {
            id: item.id,
            name: item.name,
            owner: item.owner,
            shared: item.is_shared,
            updated_at: item.updated_at.to_string(),
            content: item.content,
        }
    }
}

/// A saved search or dashboard to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSavedItem {
    /// What to call it: 1 to 200 characters.
    name: String,
    /// Whether everybody sees it.
    #[serde(default)]
    shared: bool,
    /// What it is: an object.
    content: serde_json::Value,
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(READ, routes!(list_searches))
        .add(WRITE, routes!(create_search))
        .add(READ, routes!(show_search))
        .add(WRITE, routes!(replace_search))
        .add(WRITE, routes!(remove_search))
        .add(READ, routes!(list_dashboards))
        .add(WRITE, routes!(create_dashboard))
        .add(READ, routes!(show_dashboard))
        .add(WRITE, routes!(replace_dashboard))
        .add(WRITE, routes!(remove_dashboard))
}

/// Lists one's own saved searches and those that are shown to everybody.
#[utoipa::path(
    get, path = "/api/v1/saved-searches", tag = "saved",
    responses((status = 200, body = List<SavedItem>))
)]
async fn list_searches(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<SavedItem>>, ApiError> {
    list(&app, &caller, Kind::Search).await
}

/// Keeps a search.
#[utoipa::path(
    post, path = "/api/v1/saved-searches", tag = "saved", request_body = NewSavedItem,
    responses((status = 201, body = SavedItem))
)]
async fn create_search(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewSavedItem>,
) -> Result<Response, ApiError> {
    create(&app, &caller, Kind::Search, new).await
}

/// Gives a saved search.
#[utoipa::path(
    get, path = "/api/v1/saved-searches/{id}", tag = "saved",
    params(("id" = String, Path, description = "The saved search's id.")),
    responses((status = 200, body = SavedItem))
)]
async fn show_search(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<SavedItem>, ApiError> {
    Ok(axum::Json(visible(&app, &caller, Kind::Search, &id).await?.into()))
}

/// Changes a saved search.
#[utoipa::path(
    put, path = "/api/v1/saved-searches/{id}", tag = "saved", request_body = NewSavedItem,
    params(("id" = String, Path, description = "The saved search's id.")),
    responses((status = 200, body = SavedItem))
)]
async fn replace_search(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(new): Json<NewSavedItem>,
) -> Result<axum::Json<SavedItem>, ApiError> {
    replace(&app, &caller, Kind::Search, &id, new).await
}

/// Keeps a saved search no longer.
#[utoipa::path(
    delete, path = "/api/v1/saved-searches/{id}", tag = "saved",
    params(("id" = String, Path, description = "The saved search's id.")),
    responses((status = 204))
)]
async fn remove_search(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    remove(&app, &caller, Kind::Search, &id).await
}

/// Lists one's own dashboards and those that are shown to everybody.
#[utoipa::path(
    get, path = "/api/v1/dashboards", tag = "saved",
    responses((status = 200, body = List<SavedItem>))
)]
async fn list_dashboards(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<SavedItem>>, ApiError> {
    list(&app, &caller, Kind::Dashboard).await
}

/// Keeps a dashboard.
#[utoipa::path(
    post, path = "/api/v1/dashboards", tag = "saved", request_body = NewSavedItem,
    responses((status = 201, body = SavedItem))
)]
async fn create_dashboard(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Json(new): Json<NewSavedItem>,
) -> Result<Response, ApiError> {
    create(&app, &caller, Kind::Dashboard, new).await
}

/// Gives a dashboard.
#[utoipa::path(
    get, path = "/api/v1/dashboards/{id}", tag = "saved",
    params(("id" = String, Path, description = "The dashboard's id.")),
    responses((status = 200, body = SavedItem))
)]
async fn show_dashboard(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<SavedItem>, ApiError> {
    Ok(axum::Json(visible(&app, &caller, Kind::Dashboard, &id).await?.into()))
}

/// Changes a dashboard.
#[utoipa::path(
    put, path = "/api/v1/dashboards/{id}", tag = "saved", request_body = NewSavedItem,
    params(("id" = String, Path, description = "The dashboard's id.")),
    responses((status = 200, body = SavedItem))
)]
async fn replace_dashboard(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(new): Json<NewSavedItem>,
) -> Result<axum::Json<SavedItem>, ApiError> {
    replace(&app, &caller, Kind::Dashboard, &id, new).await
}

/// Keeps a dashboard no longer.
#[utoipa::path(
    delete, path = "/api/v1/dashboards/{id}", tag = "saved",
    params(("id" = String, Path, description = "The dashboard's id.")),
    responses((status = 204))
)]
async fn remove_dashboard(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    remove(&app, &caller, Kind::Dashboard, &id).await
}

async fn list(
    app: &App,
    caller: &Caller,
    kind: Kind,
) -> Result<axum::Json<List<SavedItem>>, ApiError> {
    let items = app.saved.list(kind, &owner_of(caller)).await.map_err(ApiError::internal)?;
    Ok(axum::Json(List::whole(items.into_iter().map(SavedItem::from).collect())))
}

async fn create(
    app: &App,
    caller: &Caller,
    kind: Kind,
    new: NewSavedItem,
) -> Result<Response, ApiError> {
    check(&new)?;
    let owner = owner_of(caller);
    let known = app.saved.list(kind, &owner).await.map_err(ApiError::internal)?;
    if known.iter().filter(|item| item.owner == owner).count() >= PER_OWNER_MAX {
        let message = format!("{PER_OWNER_MAX} are kept already");
        return Err(ApiError::conflict("too_many", message));
    }
    let item = Item {
        id: new_id()?,
        name: new.name,
        owner,
        is_shared: new.shared,
        content: new.content,
        updated_at: app.audit.now(),
    };
    let item = put(app, caller, kind, item, "saved.create").await?;
    Ok((StatusCode::CREATED, axum::Json(SavedItem::from(item))).into_response())
}

async fn replace(
    app: &App,
    caller: &Caller,
    kind: Kind,
    id: &str,
    new: NewSavedItem,
) -> Result<axum::Json<SavedItem>, ApiError> {
    check(&new)?;
    let before = own(app, caller, kind, id).await?;
    let item = Item { name: new.name, is_shared: new.shared, content: new.content, ..before };
    Ok(axum::Json(put(app, caller, kind, item, "saved.change").await?.into()))
}

async fn remove(app: &App, caller: &Caller, kind: Kind, id: &str) -> Result<StatusCode, ApiError> {
    let item = own(app, caller, kind, id).await?;
    app.saved.remove(kind, id).await.map_err(ApiError::internal)?;
    let message = format!("removed `{}`", item.name);
    let entry = Entry::new("saved.delete", &caller.principal, id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn put(
    app: &App,
    caller: &Caller,
    kind: Kind,
    item: Item,
    action: &'static str,
) -> Result<Item, ApiError> {
    let item = app.saved.put(kind, item).await.map_err(ApiError::internal)?;
    let message = format!("kept `{}`", item.name);
    let entry = Entry::new(action, &caller.principal, &item.id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(item)
}

/// Whose an item is: a program is not the person of the same name. No name has a space in it.
fn owner_of(caller: &Caller) -> String {
    let name = &caller.principal.name;
    match caller.principal.kind {
        PrincipalKind::User => name.clone(),
        kind => format!("{} {name}", kind.name()),
    }
}

/// An item that the caller sees; another one is not there for them.
async fn visible(app: &App, caller: &Caller, kind: Kind, id: &str) -> Result<Item, ApiError> {
    let item = app.saved.find(kind, id).await.map_err(ApiError::internal)?;
    item.filter(|item| item.is_shared || item.owner == owner_of(caller))
        .ok_or_else(ApiError::not_found)
}

/// An item that the caller may change.
async fn own(app: &App, caller: &Caller, kind: Kind, id: &str) -> Result<Item, ApiError> {
    let item = visible(app, caller, kind, id).await?;
    let is_own = item.owner == owner_of(caller) || caller.principal.role == Role::Admin;
    if is_own { Ok(item) } else { Err(ApiError::forbidden()) }
}

fn check(new: &NewSavedItem) -> Result<(), ApiError> {
    let chars = new.name.trim().chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        let message = format!("`name` must have 1 to {NAME_CHARS_MAX} characters");
        return Err(ApiError::bad_request(message));
    }
    if !new.content.is_object() {
        return Err(ApiError::bad_request("`content` must be an object"));
    }
    Ok(())
}

/// An id that nobody guesses.
pub(super) fn new_id() -> Result<String, ApiError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
