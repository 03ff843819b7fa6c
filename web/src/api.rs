//! The HTTP API: one file per group of endpoints, and their list.

mod acknowledge;
mod alerts;
mod backtest;
mod config;
mod coverage;
mod deadletters;
mod events;
mod export;
mod exports;
mod fields;
mod health;
mod histogram;
mod import;
mod ingest;
mod me;
mod notifiers;
mod oidc;
mod own;
mod passkeys;
mod retention;
mod roles;
mod routing;
mod rules;
mod saved;
mod scope;
mod search;
mod security;
mod session;
mod setup;
mod shape;
mod silences;
mod sources;
mod tail;
mod tokens;
mod users;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, Paths};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::routes;

use crate::error::ErrorBody;
use crate::route::{Permission, Routes};

pub use deadletters::{Replay, ReplayOutcome, ReplayedAt};
pub(crate) use exports::Exports;
pub(crate) use health::recovering;
pub use health::{
    DetectorDetails, EnrichmentDetails, HealthDetails, HealthReport, IndexDetails, InputDetails,
    JournalDetails,
};
pub use sources::{SourceFailures, SourceField, SourceHealth, SourceQuota};

/// Every route of the API, in the order of the manual. A new group adds one line.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .join(session::routes())
        .join(oidc::routes())
        .join(me::routes())
        .join(passkeys::routes())
        .join(setup::routes())
        .join(search::routes())
        .join(histogram::routes())
        .join(fields::routes())
        .join(events::routes())
        .join(tail::routes())
        .join(export::routes())
        .join(exports::routes())
        .join(alerts::routes())
        .join(acknowledge::routes())
        .join(rules::routes())
        .join(import::routes())
        .join(backtest::routes())
        .join(coverage::routes())
        .join(notifiers::routes())
        .join(routing::routes())
        .join(silences::routes())
        .join(saved::routes())
        .join(sources::routes())
        .join(deadletters::routes())
        .join(own::routes())
        .join(retention::routes())
        .join(tokens::routes())
        .join(users::routes())
        .join(roles::routes())
        .join(config::routes())
        .join(health::routes())
        .join(security::routes())
        .add(Permission::AnyCredential, routes!(document))
}

/// The description of the API, generated from the handlers.
pub(crate) fn openapi() -> OpenApi {
    let mut components = Components::new();
    components
        .add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    schemas.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    components.schemas.extend(schemas);
    let info = InfoBuilder::new()
        .title("Logwarden")
        .version("1")
        .description(Some("Search, alerts and administration; see docs/API.md."))
        .build();
    let mut api = OpenApiBuilder::new()
        .info(info)
        .paths(Paths::new())
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build();
    routes().document(&mut api);
    api.merge(ingest::Ingest::openapi());
    api
}

/// Describes the API.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "health",
    responses((status = 200, body = serde_json::Value, description = "An OpenAPI 3.1 document."))
)]
async fn document() -> axum::Json<OpenApi> {
    axum::Json(openapi())
}
