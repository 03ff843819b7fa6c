//! `/config`: the configuration in force, every secret masked.

use axum::extract::State as Extract;
use logwarden_store::identity::Action;
use utoipa_axum::routes;

use crate::App;
use crate::route::{Permission, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ReadConfig), routes!(show))
}

/// Gives the configuration in force; secrets are shown as references or `***`.
#[utoipa::path(
    get, path = "/api/v1/config", tag = "config",
    responses((status = 200, body = serde_json::Value))
)]
async fn show(Extract(app): Extract<App>) -> axum::Json<serde_json::Value> {
    axum::Json((app.config_view)())
}
