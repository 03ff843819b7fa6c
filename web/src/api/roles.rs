//! `/roles`: which roles there are, and what their holders see.

use axum::extract::State as Extract;
use logwarden_store::identity::{Action, Grant};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::shape::List;
use crate::App;
use crate::route::{Permission, Routes};

/// A role: one there always is, or one of the configuration that narrows it.
#[derive(Debug, Serialize, ToSchema)]
struct RoleItem {
    /// What users and tokens call it.
    name: String,
    /// What its holders may do: `ingest`, `reader`, `analyst`, `admin` or `metrics`.
    role: &'static str,
    /// Queries that every event they see must match, all of them.
    filters: Vec<String>,
    /// Fields that are hidden from them, each with everything below it.
    mask: Vec<String>,
}

impl From<&Grant> for RoleItem {
    fn from(grant: &Grant) -> Self {
        let Grant { name, role, filters, mask } = grant.clone();
        Self { name, role: role.as_str(), filters, mask }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ManageUsers), routes!(list))
}

/// Lists the roles by name. They are configured in the file.
#[utoipa::path(get, path = "/api/v1/roles", tag = "users", responses((status = 200, body = List<RoleItem>)))]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<RoleItem>> {
    axum::Json(List::whole(app.identity.roles().iter().map(RoleItem::from).collect()))
}
