//! How a route comes to be: a handler, its documentation and the permission it declares.
//!
//! [`Routes::add`] is the only way to a router, and it takes a [`Permission`], so that a route nobody
//! decided about does not compile. The guard around every route checks in this order: credential in
//! the URL, credential, cross-site, permission, rate. The body is read after all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, header};
use logwarden_store::identity::{
    Action, ClientNames, Identity, Object, authorize, is_credential_in_url,
};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, Response as DocumentedResponse, ResponseBuilder,
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::App;
use crate::audit::{Audit, Entry};
use crate::auth::{self, Caller};
use crate::error::ApiError;
use crate::origin::Scheme;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Everybody; a credential is looked at but not needed.
    Open,
    /// Whoever has a valid credential.
    AnyCredential,
    /// Principals whom `authorize` lets do this.
    May(Action),
}

/// One registered route.
struct Route {
    permission: Permission,
    handler: UtoipaMethodRouter<App>,
}

/// Routes with their permissions, in the order of the manual.
#[derive(Default)]
pub(crate) struct Routes(Vec<Route>);

impl Routes {
    /// No routes yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds what `utoipa_axum::routes!` made of one handler.
    pub(crate) fn add(mut self, permission: Permission, handler: UtoipaMethodRouter<App>) -> Self {
        self.0.push(Route { permission, handler });
        self
    }

    /// Adds the routes of another group.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Documents every route in `api`, each with its permission and the shape of its errors.
    pub(crate) fn document(self, api: &mut OpenApi) {
        for Route { permission, handler: (schemas, paths, _) } in self.0 {
            for (path, mut item) in paths.paths {
                for operation in operations(&mut item) {
                    let responses = &mut operation.responses.responses;
                    responses.insert("default".to_owned(), RefOr::T(error_response()));
                    if permission != Permission::Open {
                        let extensions = operation.extensions.get_or_insert_default();
                        extensions
                            .insert("x-permission".to_owned(), permission_name(permission).into());
                    } else {
                        operation.security = Some(Vec::new());
                    }
                }
                match api.paths.paths.get_mut(&path) {
                    Some(known) => known.merge_operations(item),
                    None => {
                        api.paths.paths.insert(path, item);
                    }
                }
            }
            api.components.get_or_insert_default().schemas.extend(schemas);
        }
    }

    /// Every method and path with its permission.
    #[cfg(test)]
    pub(crate) fn declared(&self) -> Vec<(Method, String, Permission)> {
        let mut declared = Vec::new();
        for Route { permission, handler: (_, paths, _) } in &self.0 {
            for (path, item) in &paths.paths {
                for (method, is_there) in [
                    (Method::GET, item.get.is_some()),
                    (Method::POST, item.post.is_some()),
                    (Method::PUT, item.put.is_some()),
                    (Method::DELETE, item.delete.is_some()),
                    (Method::PATCH, item.patch.is_some()),
                ] {
                    if is_there {
                        declared.push((method, path.clone(), *permission));
                    }
                }
            }
        }
        declared
    }

    /// A router in which every route stands behind its guard.
    pub(crate) fn into_router(self, app: &App) -> Router<App> {
        self.0.into_iter().fold(Router::new(), |router, route| {
            let (_, paths, handler) = route.handler;
            let guarded = handler
                .layer(middleware::from_fn_with_state((app.clone(), route.permission), guard));
            paths.paths.keys().fold(router, |router, path| router.route(path, guarded.clone()))
        })
    }
}

fn permission_name(permission: Permission) -> String {
    match permission {
        Permission::Open => "open".to_owned(),
        Permission::AnyCredential => "any credential".to_owned(),
        Permission::May(action) => format!("{action:?}"),
    }
}

fn operations(
    item: &mut utoipa::openapi::PathItem,
) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

fn error_response() -> DocumentedResponse {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new()
        .description("Any other answer is an error.")
        .content("application/json", content)
        .build()
}

/// Lets a request through to its handler, with its [`Caller`] and [`Origin`] as extensions.
///
/// [`Origin`]: crate::origin::Origin
async fn guard(
    Extract((app, permission)): Extract<(App, Permission)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match admit(&app, permission, &parts).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let rate = match caller.as_ref().map(|caller| app.limits().request(&caller.principal)) {
        None => None,
        Some(Ok(rate)) => Some(rate),
        Some(Err((rate, error))) => {
            let mut response = error.into_response();
            rate.write(response.headers_mut());
            return response;
        }
    };
    let origin = app.scheme().of(&parts);
    parts.extensions.insert(origin);
    if let Some(caller) = caller {
        parts.extensions.insert(Arc::new(caller));
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(rate) = rate {
        rate.write(response.headers_mut());
    }
    response
}

async fn admit(
    app: &App,
    permission: Permission,
    parts: &Parts,
) -> Result<Option<Caller>, ApiError> {
    let caller = match (permission, identify(app, parts).await) {
        (Permission::Open, _) if is_credential_in_url(parts.uri.query()) => {
            return Err(ApiError::unauthorized());
        }
        // An old cookie must not keep its owner from signing in again.
        (Permission::Open, caller) => caller.ok().flatten(),
        (_, caller) => match caller? {
            Some(caller) => Some(caller),
            None => {
                note_stranger(app, parts, "", "came without a credential");
                return Err(ApiError::unauthorized());
            }
        },
    };
    let proven = caller.as_ref().filter(|_| permission != Permission::Open);
    let checked = auth::check_cross_site(app.scheme(), proven, &parts.method, &parts.headers);
    if let Err(refused) = checked {
        let name = proven.map_or("", |caller| &caller.principal.name);
        note_stranger(app, parts, name, "was denied: another site made a browser send it");
        return Err(refused);
    }
    if let (Permission::May(action), Some(caller)) = (permission, &caller)
        && authorize(&caller.principal, action, &Object::Any).is_err()
    {
        let entry = Entry::new("access", &caller.principal, target(parts), "was denied");
        app.audit.record(entry.failed().from_peer(caller.peer)).await;
        return Err(ApiError::forbidden());
    }
    Ok(caller)
}

/// Notes a refusal that anybody can cause.
fn note_stranger(app: &App, parts: &Parts, name: &str, message: &str) {
    let entry = Entry::new("access", name, target(parts), message);
    app.audit.note_stranger(entry.failed().from_peer(app.scheme().of(parts).peer));
}

/// Finds the caller of any request; an unknown credential is noted.
pub(crate) async fn identify(app: &App, parts: &Parts) -> Result<Option<Caller>, ApiError> {
    let origin = app.scheme().of(parts);
    if let Some(token) = auth::foreign_token(&parts.headers) {
        app.providers.prepare(&token).await;
    }
    let found = if is_credential_in_url(parts.uri.query()) {
        Err(auth::Unknown)
    } else {
        auth::authenticate(&app.identity, &origin, &parts.headers, &parts.extensions)
    };
    found.map_err(|auth::Unknown| {
        note_stranger(app, parts, "", "came with an unknown credential");
        ApiError::unauthorized()
    })
}

/// What it takes to know whom a door has turned away.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) identity: Arc<Identity>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) scheme: Scheme,
}

/// Notes a request that a door of senders refused for its credential or its role. Anybody can make
/// them, so beyond a number per second they are but counted.
pub(crate) async fn note_denial(
    Extract(watch): Extract<Watch>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    // What is kept of an ordinary request costs no copy of its head.
    let origin = watch.scheme.of(&parts);
    let target = (parts.method.clone(), parts.uri.clone());
    let authorization = parts.headers.get(header::AUTHORIZATION).cloned();
    let certificate = parts.extensions.get::<ClientNames>().cloned();
    let response = next.run(Request::from_parts(parts, body)).await;
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        certificate.map(|names| extensions.insert(names));
        let known = auth::authenticate(&watch.identity, &origin, &headers, &extensions);
        let (name, message) = match known {
            Ok(Some(caller)) => (caller.principal.name, "was denied"),
            Ok(None) => (String::new(), "came without a credential that counts"),
            Err(auth::Unknown) => (String::new(), "came with an unknown credential"),
        };
        let entry = Entry::new("access", &name, shown_target(&target.0, &target.1), message);
        watch.audit.note_stranger(entry.failed().from_peer(origin.peer));
    }
    response
}

/// What a request asks for, without the query string: it may hold a credential.
fn target(parts: &Parts) -> String {
    shown_target(&parts.method, &parts.uri)
}

fn shown_target(method: &Method, uri: &Uri) -> String {
    format!("{method} {}", shown_path(uri.path()))
}

/// A path for logs and audit records: without the token of a mail's link.
pub(crate) fn shown_path(path: &str) -> &str {
    if path.starts_with("/a/") { "/a/***" } else { path }
}
