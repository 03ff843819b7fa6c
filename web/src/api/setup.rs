//! `/setup`: the first administrator, once, with the code that the first start printed.

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_store::identity::SetupError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::session::{self, Session};
use super::users::refuse;
use crate::App;
use crate::audit::Entry;
use crate::body::Json;
use crate::error::ApiError;
use crate::origin::Origin;
use crate::route::{Permission, Routes};

/// Whether anybody can sign in yet.
#[derive(Debug, Serialize, ToSchema)]
struct SetupState {
    /// There is no administrator yet.
    needed: bool,
}

/// The first administrator.
#[derive(Deserialize, ToSchema)]
struct FirstAdministrator {
    /// The code that the first start printed.
    code: String,
    /// The name to sign in with.
    name: String,
    /// The password, at least 12 characters.
    password: String,
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::Open, routes!(show)).add(Permission::Open, routes!(complete))
}

/// Says whether the first administrator is still to be made.
#[utoipa::path(get, path = "/api/v1/setup", tag = "session", responses((status = 200, body = SetupState)))]
async fn show(Extract(app): Extract<App>) -> axum::Json<SetupState> {
    axum::Json(SetupState { needed: app.identity.needs_setup() })
}

/// Makes the first administrator and signs them in.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "session", request_body = FirstAdministrator,
    responses((status = 201, body = Session))
)]
async fn complete(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    Json(first): Json<FirstAdministrator>,
) -> Result<Response, ApiError> {
    let FirstAdministrator { code, name, password } = first;
    let entry = Entry::new("setup", &name, &name, "became the first administrator");
    let entry = entry.from_peer(origin.peer);
    if let Err(error) = app.identity.complete_setup(&code, &name, &password).await {
        let mut entry = entry.failed();
        "could not become the first administrator".clone_into(&mut entry.message);
        app.audit.note_stranger(entry);
        return Err(match error {
            SetupError::Done => ApiError::conflict("setup_done", "there is an administrator"),
            SetupError::WrongCode => ApiError::new(
                StatusCode::FORBIDDEN,
                "wrong_code",
                "this is not the code that the first start printed",
            ),
            SetupError::Identity(error) => refuse(error),
        });
    }
    app.audit.record(entry).await;
    let signed_in = session::open(&app.identity, &origin, (&name, &password, None)).await?;
    Ok((StatusCode::CREATED, signed_in).into_response())
}
