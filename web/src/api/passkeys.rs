//! `/me/passkeys`, and signing in with one: what a person's device keeps in place of a secret.
//!
//! Bytes are base64url without padding, as WebAuthn writes them in JSON.

use axum::Extension;
use axum::extract::{Path, State as Extract};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use logwarden_store::identity::{
    Assertion, IdentityError, NewPasskey, PasskeyInfo, SignInError, Site,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::me::{confirm, person};
use super::session::{refuse, signed_in};
use super::shape::List;
use super::users::refuse as refuse_change;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::Json;
use crate::error::ApiError;
use crate::origin::Origin;
use crate::route::{Permission, Routes};

/// Bytes of the handle that devices keep instead of a name.
const HANDLE_BYTES: usize = 16;

/// What a device is to sign.
#[derive(Debug, Serialize, ToSchema)]
struct Challenge {
    /// Random to whoever does not hold our key; good for five minutes, once.
    challenge: String,
    /// The host whose keys are asked for.
    host: String,
}

/// What a device is to make a key for.
#[derive(Debug, Serialize, ToSchema)]
struct NewPasskeyChallenge {
    #[serde(flatten)]
    challenge: Challenge,
    /// Stands for the user; it is no name.
    handle: String,
    /// The user's name.
    name: String,
    /// The ids of the passkeys there are: a device that has one of them makes no other.
    known: Vec<String>,
}

/// A key that a device has made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MadePasskey {
    /// What its owner calls it.
    name: String,
    id: String,
    /// SubjectPublicKeyInfo of a P-256 or Ed25519 key.
    public_key: String,
    authenticator_data: String,
    client_data: String,
    /// The present password: whoever took over a session does not know it.
    current: String,
}

/// What a device has signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignedChallenge {
    id: String,
    authenticator_data: String,
    client_data: String,
    signature: String,
}

/// A passkey of one's own.
#[derive(Debug, Serialize, ToSchema)]
struct Passkey {
    id: String,
    name: String,
    created_at: String,
    /// When somebody last signed in with it.
    used_at: Option<String>,
}

impl From<PasskeyInfo> for Passkey {
    fn from(passkey: PasskeyInfo) -> Self {
        let PasskeyInfo { id, name, created_at, used_at } = passkey;
        let used_at = used_at.map(|at| at.to_string());
        Self { id, name, created_at: created_at.to_string(), used_at }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Permission::Open, routes!(open))
        .add(Permission::Open, routes!(sign_in))
        .add(Permission::AnyCredential, routes!(list))
        .add(Permission::AnyCredential, routes!(begin))
        .add(Permission::AnyCredential, routes!(add))
        .add(Permission::AnyCredential, routes!(remove))
}

/// Gives a challenge to sign in with a passkey.
#[utoipa::path(
    post, path = "/api/v1/session/challenge", tag = "session",
    responses((status = 200, body = Challenge))
)]
async fn open(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Result<axum::Json<Challenge>, ApiError> {
    let site = site(&app, &headers, &origin)?;
    let challenge = app.identity.open_challenge(None);
    Ok(axum::Json(Challenge { challenge, host: site.host }))
}

/// Signs the owner of a passkey in and sets the session cookie.
#[utoipa::path(
    post, path = "/api/v1/session/passkey", tag = "session", request_body = SignedChallenge,
    responses((status = 200, body = super::session::Session))
)]
async fn sign_in(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Json(signed): Json<SignedChallenge>,
) -> Result<Response, ApiError> {
    let site = site(&app, &headers, &origin)?;
    let assertion = Assertion {
        id: bytes(&signed.id)?,
        authenticator_data: bytes(&signed.authenticator_data)?,
        client_data: bytes(&signed.client_data)?,
        signature: bytes(&signed.signature)?,
    };
    match app.identity.sign_in_with_passkey(&site, &assertion).await {
        Ok((name, session)) => {
            let entry = Entry::new("session.create", &name, &name, "signed in with a passkey");
            app.audit.record(entry.from_peer(origin.peer)).await;
            signed_in(&app.identity, &origin, &session)
        }
        Err(error) => {
            let entry = Entry::new("session.create", "", "", "could not sign in with a passkey");
            app.audit.note_stranger(entry.failed().from_peer(origin.peer));
            Err(refuse(error))
        }
    }
}

/// Lists one's own passkeys.
#[utoipa::path(
    get, path = "/api/v1/me/passkeys", tag = "session",
    responses((status = 200, body = List<Passkey>))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<Passkey>>, ApiError> {
    let passkeys = app.identity.passkeys(person(&caller)?);
    Ok(axum::Json(List::whole(passkeys.into_iter().map(Passkey::from).collect())))
}

/// Gives a challenge for a new passkey.
#[utoipa::path(
    post, path = "/api/v1/me/passkeys/challenge", tag = "session",
    responses((status = 200, body = NewPasskeyChallenge))
)]
async fn begin(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
) -> Result<axum::Json<NewPasskeyChallenge>, ApiError> {
    let name = person(&caller)?;
    let site = site(&app, &headers, &origin)?;
    let challenge = app.identity.open_challenge(Some(name));
    let hash = Sha256::digest(format!("passkeys of {name}"));
    Ok(axum::Json(NewPasskeyChallenge {
        challenge: Challenge { challenge, host: site.host },
        handle: URL_SAFE_NO_PAD.encode(&hash[..HANDLE_BYTES]),
        name: name.to_owned(),
        known: app.identity.passkeys(name).into_iter().map(|passkey| passkey.id).collect(),
    }))
}

/// Adds a passkey; the present password is needed. From now on signing in needs a passkey, or a code besides the
/// password.
#[utoipa::path(
    post, path = "/api/v1/me/passkeys", tag = "session", request_body = MadePasskey,
    responses((status = 200, body = List<Passkey>))
)]
async fn add(
    Extract(app): Extract<App>,
    Extension(origin): Extension<Origin>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
    Json(made): Json<MadePasskey>,
) -> Result<axum::Json<List<Passkey>>, ApiError> {
    let name = person(&caller)?;
    if made.name.trim().is_empty() {
        return Err(ApiError::bad_request("`name` is empty"));
    }
    confirm(&app, name, &made.current, &origin).await?;
    let site = site(&app, &headers, &origin)?;
    let new = NewPasskey {
        id: bytes(&made.id)?,
        public_key: bytes(&made.public_key)?,
        authenticator_data: bytes(&made.authenticator_data)?,
        client_data: bytes(&made.client_data)?,
        name: made.name,
    };
    let added = app.identity.add_passkey(name, &site, &new).await;
    added.map_err(|error| match error {
        SignInError::BadCredentials => {
            ApiError::bad_request("the device did not answer as it should")
        }
        SignInError::Identity(IdentityError::Taken(_)) => {
            ApiError::conflict("conflict", "the passkey is known, or there are 20 already")
        }
        SignInError::Identity(error) => refuse_change(error),
        error => refuse(error),
    })?;
    let entry = Entry::new("user.passkey", name, name, "added a passkey");
    app.audit.record(entry.from_peer(caller.peer)).await;
    list(Extract(app), SignedIn(caller)).await
}

/// Takes one of one's own passkeys away.
#[utoipa::path(
    delete, path = "/api/v1/me/passkeys/{id}", tag = "session",
    params(("id" = String, Path, description = "The passkey's id.")),
    responses((status = 204))
)]
async fn remove(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = person(&caller)?;
    app.identity.remove_passkey(name, &id).await.map_err(refuse_change)?;
    let entry = Entry::new("user.passkey", name, name, "removed a passkey");
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

fn site(app: &App, headers: &HeaderMap, origin: &Origin) -> Result<Site, ApiError> {
    let none = "passkeys belong to a name: set `public_url`, or open http://localhost";
    app.scheme().site(headers, origin).ok_or_else(|| ApiError::conflict("no_site", none))
}

fn bytes(text: &str) -> Result<Vec<u8>, ApiError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ApiError::bad_request("bytes are base64url"))
}
