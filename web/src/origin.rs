//! Where a request comes from: peer, scheme, and whether it was made by our own pages.
//!
//! The accept loop tells the peer (`ConnectInfo<SocketAddr>`) and marks TLS ([`OverTls`]). Headers of
//! proxies count only when the peer is a trusted proxy. The name of the session cookie follows from
//! the scheme: browsers keep `Secure` cookies over TLS and for loopback hosts (tried: Chromium 156
//! takes `__Host-` cookies from `http://127.0.0.1`, `http://localhost` and `http://127.0.0.2`, and
//! from no other plain HTTP address).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, header, uri::Authority};
use ipnet::IpNet;
use logwarden_store::identity::Site;

use crate::config::Settings;

/// Request extension with which the accept loop marks a connection that came over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverTls;

/// Tells peers and schemes apart, from the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Scheme {
    public: Option<Arc<PublicUrl>>,
    trusted_proxies: Arc<[IpNet]>,
}

#[derive(Debug)]
struct PublicUrl {
    is_https: bool,
    authority: Authority,
}

/// Where one request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address; `None` in tests and on transports without one.
    pub(crate) peer: Option<IpAddr>,
    is_tls: bool,
    is_loopback_host: bool,
}

impl Origin {
    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether a browser keeps a `Secure` cookie from this origin.
    pub(crate) fn keeps_secure_cookies(&self) -> bool {
        self.is_tls || self.is_loopback_host
    }
}

impl Scheme {
    /// Takes `public_url` and `trusted_proxies` of the settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let public = settings.public_url.as_deref().and_then(|url| {
            let uri: http::Uri = url.parse().ok()?;
            Some(Arc::new(PublicUrl {
                is_https: uri.scheme_str() == Some("https"),
                authority: uri.authority()?.clone(),
            }))
        });
        Self { public, trusted_proxies: settings.trusted_proxies.clone().into() }
    }

    /// Where a request with this head comes from.
    pub(crate) fn of(&self, Parts { headers, extensions, .. }: &Parts) -> Origin {
        let connected = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = connected.map(|ConnectInfo(address)| address.ip().to_canonical());
        let host = host(headers);
        let is_proxied = peer.is_some_and(|peer| self.is_trusted(peer));
        let forwarded_tls = is_proxied
            && text(headers, "x-forwarded-proto").is_some_and(|proto| proto.trim() == "https");
        let public_tls = self.public.as_ref().is_some_and(|public| {
            public.is_https && host.as_ref().is_some_and(|host| *host == public.authority)
        });
        Origin {
            peer: if is_proxied { self.forwarded_for(headers).or(peer) } else { peer },
            is_tls: extensions.get::<OverTls>().is_some() || forwarded_tls || public_tls,
            is_loopback_host: host.is_some_and(|host| is_loopback(host.host())),
        }
    }

    /// Whether a browser made this request from one of our own pages.
    ///
    /// `Sec-Fetch-Site` decides where a browser sends it (over TLS and on loopback), else `Origin`
    /// must name the host that was asked. `None`: neither says anything; no browser sent it, or a page
    /// without a referrer did. That is enough for no session.
    pub(crate) fn is_same_origin(&self, headers: &HeaderMap) -> Option<bool> {
        if let Some(site) = text(headers, "sec-fetch-site") {
            return Some(site == "same-origin");
        }
        // A page that says nothing of itself, as ours do in a form's request: it could be any.
        let origin = text(headers, "origin").filter(|origin| *origin != "null")?;
        let origin: Option<http::Uri> = Some(origin.parse().unwrap_or_default());
        let origin = origin.as_ref().and_then(http::Uri::authority);
        let public = self.public.as_ref().map(|public| &public.authority);
        let is_ours =
            |origin: &Authority| host(headers).as_ref() == Some(origin) || public == Some(origin);
        Some(origin.is_some_and(is_ours))
    }

    /// Where passkeys are used: at `public_url`, or, without one, at the name of this machine that was
    /// asked. `None`: at an address, where browsers have none.
    pub(crate) fn site(&self, headers: &HeaderMap, origin: &Origin) -> Option<Site> {
        let (authority, is_https) = match &self.public {
            Some(public) => (public.authority.clone(), public.is_https),
            None => {
                let host = host(headers).filter(|host| is_loopback(host.host()))?;
                (host, origin.is_tls())
            }
        };
        let scheme = if is_https { "https" } else { "http" };
        let host = authority.host().to_ascii_lowercase();
        let is_name = host.parse::<IpAddr>().is_err() && !host.starts_with('[');
        let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
        is_name.then_some(Site { host, origin })
    }

    fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }

    /// The last address that a trusted proxy vouches for.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let named = headers.get_all("x-forwarded-for").into_iter();
        let named: Vec<&str> = named
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let addresses = named.iter().rev().map_while(|name| name.trim().parse::<IpAddr>().ok());
        let mut last = None;
        for address in addresses.map(|address| address.to_canonical()) {
            last = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        last
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().map_or_else(
        |_| {
            bare.eq_ignore_ascii_case("localhost")
                || bare.to_ascii_lowercase().ends_with(".localhost")
        },
        |address| address.is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn scheme(public_url: &str, proxies: &[&str]) -> Scheme {
        Scheme::new(&Settings {
            public_url: Some(public_url.to_owned()).filter(|url| !url.is_empty()),
            trusted_proxies: proxies.iter().map(|net| net.parse().expect("a network")).collect(),
            ..Settings::default()
        })
    }

    fn request(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = SocketAddr::new(peer.parse().expect("an address"), 4000);
        request.extension(ConnectInfo(peer)).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn secure_cookies_are_for_tls_and_loopback_hosts() {
        for (host, keeps) in [
            ("127.0.0.1:7514", true),
            ("localhost:7514", true),
            ("[::1]:7514", true),
            ("10.1.2.3:7514", false),
            ("logs.example", true),
            ("localhost.example", false),
        ] {
            let origin =
                scheme("https://logs.example", &[]).of(&request("10.0.0.1", &[("host", host)]));
            assert_eq!(origin.keeps_secure_cookies(), keeps, "{host}");
        }
    }

    #[test]
    fn passkeys_belong_to_the_public_name_or_to_this_machines() {
        let check = |public: &str, host: &str, expected: Option<(&str, &str)>| {
            let scheme = scheme(public, &[]);
            let request = request("10.0.0.1", &[("host", host)]);
            let site = scheme.site(&request.headers, &scheme.of(&request));
            let expected = expected
                .map(|(host, origin)| Site { host: host.to_owned(), origin: origin.to_owned() });
            assert_eq!(site, expected, "{public} {host}");
        };
        let public = Some(("logs.example", "https://logs.example:8443"));
        check("https://Logs.example:8443", "evil.example", public);
        check("", "localhost:7514", Some(("localhost", "http://localhost:7514")));
        check("", "127.0.0.1:7514", None);
        check("", "evil.example", None);
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_another_peer() {
        let headers =
            [("x-forwarded-for", "6.6.6.6, 9.9.9.9, 10.0.0.2"), ("x-forwarded-proto", "https")];
        let trusted = scheme("", &["10.0.0.0/8"]).of(&request("10.0.0.1", &headers));
        assert_eq!((trusted.peer, trusted.is_tls()), (Some([9, 9, 9, 9].into()), true));
        let stranger = scheme("", &["10.0.0.0/8"]).of(&request("11.0.0.1", &headers));
        assert_eq!((stranger.peer, stranger.is_tls()), (Some([11, 0, 0, 1].into()), false));
    }

    #[test]
    fn a_request_is_ours_by_fetch_metadata_or_origin() {
        let scheme = scheme("https://logs.example", &[]);
        let check = |headers: &[(&str, &str)], expected| {
            let request = request("10.0.0.1", headers);
            assert_eq!(scheme.is_same_origin(&request.headers), expected, "{headers:?}");
        };
        check(&[("sec-fetch-site", "same-origin"), ("host", "a")], Some(true));
        check(
            &[("sec-fetch-site", "same-site"), ("origin", "http://a"), ("host", "a")],
            Some(false),
        );
        check(&[("sec-fetch-site", "none"), ("host", "a")], Some(false));
        check(&[("origin", "http://a:7514"), ("host", "a:7514")], Some(true));
        check(&[("origin", "https://logs.example"), ("host", "inner:80")], Some(true));
        check(&[("origin", "http://b:7514"), ("host", "a:7514")], Some(false));
        check(&[("origin", "null"), ("host", "a:7514")], None);
        check(&[("host", "a:7514")], None);
    }
}
