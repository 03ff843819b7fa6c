//! `/.well-known/security.txt`: whom to tell about a weakness (RFC 9116), where the operator says so.

use std::time::Duration;

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use utoipa_axum::routes;

use crate::App;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// How long what it says may be relied on; RFC 9116 recommends less than a year.
const GOOD_FOR: Duration = Duration::from_secs(180 * 86_400);

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::Open, routes!(contact))
}

/// Says whom to tell about a weakness of this installation; 404 where the operator names nobody.
#[utoipa::path(
    get, path = "/.well-known/security.txt", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn contact(Extract(app): Extract<App>) -> Result<Response, ApiError> {
    let contact = app.settings.security_contact.as_deref().ok_or_else(ApiError::not_found)?;
    let expires = app.audit.now().saturating_add(GOOD_FOR).secs();
    let expires = logwarden_event::Timestamp::from_secs(expires);
    let text = format!("Contact: {contact}\nExpires: {expires}\n");
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
