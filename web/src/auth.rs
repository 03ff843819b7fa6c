//! Who asks: from a token or a session cookie to a principal, and whether it may.
//!
//! A credential stands in `Authorization` (`Bearer TOKEN`, or `Basic` with the token as password) or
//! in the session cookie, or is the client certificate of the connection ([`ClientNames`], from the
//! accept loop); the first of them wins. A credential in a URL is refused wherever it points. Whatever
//! is wrong with a credential, the answer is the same. A change by cookie must come from one of our
//! own pages with a content type no form can send; one by certificate from no other site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, header};
use logwarden_store::identity::{ClientNames, Identity, Principal, TOKEN_PREFIX};
use logwarden_store::secret::Secret;

use crate::body;
use crate::error::ApiError;
use crate::origin::{Origin, Scheme};

/// Our cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Who is signed in.
    Session,
    /// Who is signing in at a provider.
    Pending,
}

impl Cookie {
    /// Its name over TLS and on loopback, where browsers tie it to the exact host, and over plain
    /// HTTP off loopback, where browsers keep no `Secure` one.
    fn name(self, origin: &Origin) -> &'static str {
        match (self, origin.keeps_secure_cookies()) {
            (Self::Session, true) => "__Host-session",
            (Self::Session, false) => "session",
            (Self::Pending, true) => "__Host-oidc",
            (Self::Pending, false) => "oidc",
        }
    }

    /// What it says besides: how long browsers keep it.
    fn life(self) -> &'static str {
        match self {
            Self::Session => "",
            Self::Pending => "; Max-Age=600",
        }
    }
}

/// What a request proves its principal with.
#[derive(Debug, Clone)]
enum Credential {
    Token(Secret<String>),
    Session(Secret<String>),
    Certificate(ClientNames),
}

impl Credential {
    /// For whom it stands now.
    fn principal(&self, identity: &Identity) -> Option<Principal> {
        match self {
            Self::Token(token) => identity.authenticate_token(token.expose()),
            Self::Session(session) => identity.authenticate_session(session.expose()),
            Self::Certificate(names) => identity.authenticate_certificate(names),
        }
    }
}

/// A principal, how it proved itself, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// On whose behalf the request is made.
    pub(crate) principal: Principal,
    /// The client's address.
    pub(crate) peer: Option<IpAddr>,
    credential: Credential,
}

/// A credential was given that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown;

/// The caller of a route that needs one.
pub(crate) struct SignedIn(pub(crate) Arc<Caller>);

/// The caller of an open route, if there is one.
pub(crate) struct MaybeSignedIn(pub(crate) Option<Arc<Caller>>);

impl Caller {
    /// Whether the credential still counts and still stands for the same rights; streams ask this
    /// again and again.
    pub(crate) fn is_still_valid(&self, identity: &Identity) -> bool {
        self.credential.principal(identity).is_some_and(|now| now == self.principal)
    }

    /// The session's secret, when the caller has one.
    pub(crate) fn session(&self) -> Option<&str> {
        match &self.credential {
            Credential::Session(session) => Some(session.expose()),
            Credential::Token(_) | Credential::Certificate(_) => None,
        }
    }

    /// Whether a program sent the credential, and no browser by itself.
    fn came_by_token(&self) -> bool {
        matches!(self.credential, Credential::Token(_))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        caller.map(Self).ok_or_else(ApiError::unauthorized)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeSignedIn {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Arc<Caller>>().cloned()))
    }
}

/// The token in a request that is none of ours: it may be a provider's.
pub(crate) fn foreign_token(headers: &HeaderMap) -> Option<String> {
    let token = token_of(headers.get(header::AUTHORIZATION)?.to_str().ok()?)?;
    Some(token).filter(|token| !token.starts_with(TOKEN_PREFIX))
}

/// Finds the principal of a request; `Ok(None)` when it brings no credential. A certificate that
/// stands for nobody is none: its owner may have a token besides.
pub(crate) fn authenticate(
    identity: &Identity,
    origin: &Origin,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Caller>, Unknown> {
    let (credential, principal) = match credential(origin, headers)? {
        Some(credential) => {
            let principal = credential.principal(identity).ok_or(Unknown)?;
            (credential, principal)
        }
        None => {
            let Some(names) = extensions.get::<ClientNames>().cloned() else { return Ok(None) };
            let credential = Credential::Certificate(names);
            let Some(principal) = credential.principal(identity) else { return Ok(None) };
            (credential, principal)
        }
    };
    Ok(Some(Caller { principal, peer: origin.peer, credential }))
}

/// Refuses a change that another site made a browser send.
pub(crate) fn check_cross_site(
    scheme: &Scheme,
    caller: Option<&Caller>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let is_same_origin = scheme.is_same_origin(headers);
    let is_allowed = if caller.is_some_and(|caller| caller.session().is_some()) {
        let is_no_form =
            method == Method::DELETE || body::is_json(headers) || body::is_yaml(headers);
        is_same_origin == Some(true) && is_no_form
    } else {
        // A token is sent by a program; else only a browser says where it stands.
        caller.is_some_and(Caller::came_by_token) || is_same_origin != Some(false)
    };
    if is_allowed { Ok(()) } else { Err(ApiError::cross_site()) }
}

/// The `Set-Cookie` that keeps a value.
pub(crate) fn set_cookie(
    origin: &Origin,
    cookie: Cookie,
    value: &str,
) -> Result<HeaderValue, ApiError> {
    write_cookie(origin, cookie, value, cookie.life())
}

/// The `Set-Cookie` that makes a browser forget it.
pub(crate) fn no_cookie(origin: &Origin, cookie: Cookie) -> Result<HeaderValue, ApiError> {
    write_cookie(origin, cookie, "", "; Max-Age=0")
}

fn write_cookie(
    origin: &Origin,
    cookie: Cookie,
    value: &str,
    life: &str,
) -> Result<HeaderValue, ApiError> {
    let name = cookie.name(origin);
    let secure = if origin.keeps_secure_cookies() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}");
    let mut value = HeaderValue::from_str(&text).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

fn credential(origin: &Origin, headers: &HeaderMap) -> Result<Option<Credential>, Unknown> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        if given.next().is_some() {
            return Err(Unknown);
        }
        let token = value.to_str().ok().and_then(token_of).ok_or(Unknown)?;
        return Ok(Some(Credential::Token(Secret::new(token))));
    }
    Ok(cookie(origin, Cookie::Session, headers)
        .map(|value| Credential::Session(Secret::new(value.to_owned()))))
}

/// The token in an `Authorization` header.
fn token_of(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        return decoded.split_once(':').map(|(_, token)| token.to_owned());
    }
    None
}

/// A cookie of this kind of origin; one of the other name does not count, so that plain HTTP cannot
/// plant a session into TLS. Given twice it does not count either.
pub(crate) fn cookie<'h>(
    origin: &Origin,
    cookie: Cookie,
    headers: &'h HeaderMap,
) -> Option<&'h str> {
    let name = cookie.name(origin);
    let pairs = headers.get_all(header::COOKIE).into_iter();
    let pairs = pairs.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut values =
        pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_bearer_and_basic() {
        for (value, token) in [
            ("Bearer lw_x", Some("lw_x")),
            ("bearer  lw_x", Some("lw_x")),
            ("Basic YW55Omx3X3g=", Some("lw_x")),
            ("Basic !!!", None),
            ("Splunk lw_x", None),
            ("lw_x", None),
        ] {
            assert_eq!(token_of(value).as_deref(), token, "{value}");
        }
    }
}
