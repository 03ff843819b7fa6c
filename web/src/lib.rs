//! HTTP API, sessions and dashboard.
//!
//! In: requests that the root's accept loop took in, with `ConnectInfo<SocketAddr>` and, over TLS,
//! [`OverTls`] as request extensions. Out: answers. [`router`] is the one way in; every route behind
//! it has declared who may use it. This crate decides neither what matches nor what alerts; everything
//! it shows comes from the crates below, but what people keep of the dashboard itself (`saved.rs`).

mod api;
mod assets;
mod audit;
mod auth;
mod body;
mod config;
mod csv;
mod error;
mod frame;
mod json;
mod limits;
mod metrics;
mod oidc;
mod origin;
mod route;
mod saved;
mod visibility;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use logwarden_alerting::Alerting;
use logwarden_event::Event;
use logwarden_query::Engine;
use logwarden_store::Journal;
use logwarden_store::identity::Identity;
use logwarden_store::seal::Seal;

pub use api::{
    DetectorDetails, EnrichmentDetails, HealthDetails, HealthReport, IndexDetails, InputDetails,
    JournalDetails, Replay, ReplayOutcome, ReplayedAt, SourceFailures, SourceField, SourceHealth,
    SourceQuota,
};
pub use audit::{Audit, DATASET as AUDIT_DATASET, Entry, Outcome};
pub use config::Settings;
pub use frame::refusal;
pub use oidc::{GroupRole, ProgramConfig, ProviderConfig, ProviderError, Providers};
pub use origin::OverTls;
pub use saved::Saved;

use api::Exports;
use assets::Assets;
use error::ApiError;
use limits::Limits;
use origin::Scheme;

/// Makes an event of a raw record, as ingest would.
pub type Normalize = Arc<dyn Fn(&[u8]) -> Event + Send + Sync>;

/// Standard fields of a raw record, each with the parser or source file that finds it.
pub type FoundBy = Arc<dyn Fn(&[u8]) -> BTreeMap<&'static str, &'static str> + Send + Sync>;

/// What the routes work with; cheap to clone.
#[derive(Clone)]
pub struct State {
    /// Users, tokens, sessions.
    pub identity: Arc<Identity>,
    /// Where people may sign in besides; the root runs it.
    pub providers: Arc<Providers>,
    /// Saved searches, dashboards, settings.
    pub saved: Arc<Saved>,
    /// Alerts, rules, notifiers.
    pub alerting: Arc<Alerting>,
    /// Searches, counts, tails.
    pub engine: Arc<Engine>,
    /// The way into the audit records; the root runs it.
    pub audit: Arc<Audit>,
    /// For taking note of what it lost.
    pub journal: Arc<dyn Journal>,
    /// For trying rules on raw records.
    pub normalize: Normalize,
    /// For saying of one event who found its fields.
    pub found_by: FoundBy,
    /// How the node is, now.
    pub health: Arc<dyn Fn() -> HealthReport + Send + Sync>,
    /// How every source is, by name.
    pub sources: Arc<dyn Fn() -> Vec<SourceHealth> + Send + Sync>,
    /// Dead letters through the present parser once more.
    pub replay: Replay,
    /// Which dead letters were replayed.
    pub replayed_at: ReplayedAt,
    /// The metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The configuration in force, secrets masked.
    pub config_view: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// What the operator has set.
    pub settings: Settings,
}

/// What handlers work with: the [`State`] and what follows from its settings.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    state: State,
    scheme: Scheme,
    limits: Limits,
    exports: Exports,
    /// For what browsers keep for us; ends with this process.
    seal: Seal,
}

impl App {
    /// Tells peers and schemes apart.
    fn scheme(&self) -> &Scheme {
        &self.0.scheme
    }

    /// Seals what browsers keep for us.
    fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// The address people use.
    fn own_url(&self) -> &str {
        self.settings.own_url.trim_end_matches('/')
    }

    /// What each principal has open.
    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What is written to files in the background.
    fn exports(&self) -> &Exports {
        &self.0.exports
    }
}

impl std::ops::Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0.state
    }
}

/// Serves the API and, with the feature `ui`, the dashboard.
pub fn router(state: State) -> Router {
    let settings = state.settings.clone();
    let assets = Assets::embedded();
    let app = App(Arc::new(Inner {
        scheme: Scheme::new(&settings),
        limits: Limits::default(),
        exports: Exports::new(settings.exports_dir.clone()),
        seal: Seal::ephemeral(),
        state,
    }));
    let routes = api::routes().into_router(&app).with_state(app.clone());
    framed(
        routes.fallback(async move |request: Request| fallback(&app, &assets, request).await),
        &settings,
    )
}

/// Answers a path that nobody declared: a file or page of the dashboard, or 404. Below `/api` only
/// holders of a credential learn that there is nothing.
async fn fallback(app: &App, assets: &Assets, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    if path != "/api" && !path.starts_with("/api/") {
        return assets.answer(&parts.method, path, &parts.headers);
    }
    match route::identify(app, &parts).await {
        Ok(Some(_)) => ApiError::not_found().into_response(),
        Ok(None) => ApiError::unauthorized().into_response(),
        Err(error) => error.into_response(),
    }
}

/// Gives every answer of `router` a request id and the security headers, and every error of the
/// framework the API's shape. Harmless on what [`router`] made.
pub fn framed(router: Router, settings: &Settings) -> Router {
    router.layer(middleware::from_fn_with_state(Scheme::new(settings), frame::frame))
}

/// Puts on record whom the doors of senders turn away; the API's own routes do so themselves.
pub fn on_record(doors: Router, state: &State) -> Router {
    let watch = route::Watch {
        identity: Arc::clone(&state.identity),
        audit: Arc::clone(&state.audit),
        scheme: Scheme::new(&state.settings),
    };
    doors.layer(middleware::from_fn_with_state(watch, route::note_denial))
}

/// Answers every path while the node is not ready yet: 503 with the code `recovering`.
pub fn recovering(settings: &Settings) -> Router {
    framed(Router::new().fallback(api::recovering), settings)
}

/// The description of the API, as `GET /api/v1/openapi.json` gives it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api::openapi()
}

#[cfg(test)]
mod tests;
