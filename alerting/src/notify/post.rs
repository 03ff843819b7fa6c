//! The way out over HTTP: one POST to a receiver, which nobody can turn inwards.
//!
//! The receiver's name is resolved at every delivery, every address it has is checked, and the
//! connection goes to a checked address. Redirects are not followed, answers are read up to a bound,
//! and only the status counts. Addresses of receivers often are passwords: they are never shown whole,
//! and may be given as references to secrets.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use logwarden_store::SecretRef;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::address::{check, check_all};
use super::{SendError, heartbeat, read_settings};
use crate::alert::wording::visible;
use crate::error::AlertingError;

/// How long one delivery may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// Settings of every kind of notifier that posts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where to: an address, or a reference to a secret that is one.
    url: Option<String>,
    /// Allows an address without TLS.
    #[serde(default)]
    allow_http: bool,
    /// Networks that are not public and yet may be connected to.
    #[serde(default)]
    allow_networks: Vec<String>,
    /// Notifications per hour. Default: any number.
    per_hour_max: Option<u32>,
    /// A sign of life every so many minutes. Default: none.
    heartbeat_mins: Option<NonZeroU32>,
}

/// The keys of [`Settings`].
const KEYS: [&str; 5] = ["url", "allow_http", "allow_networks", "per_hour_max", "heartbeat_mins"];

/// Where notifications are posted to.
pub(super) struct Receiver {
    client: reqwest::Client,
    /// The address.
    pub url: Url,
    allowed: Arc<[IpNet]>,
    /// Notifications it takes in an hour.
    pub per_hour_max: Option<u32>,
    /// How often it gets a sign of life.
    pub heartbeat: Option<Duration>,
}

impl Receiver {
    /// Takes what is its own out of a notifier's settings; `default`: the address where none is said.
    pub(super) fn take(
        path: &str,
        settings: &mut Map<String, Value>,
        base: &Path,
        default: Option<&str>,
    ) -> Result<Self, AlertingError> {
        let own = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), settings.remove(*key)?)));
        let own: Settings = read_settings(path, &own.collect())?;
        let fault =
            |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
        let address = match own.url.as_deref().or(default) {
            None => return Err(fault("url", String::from("is missing"))),
            Some(text) if SecretRef::is_reference(text) => {
                let reference: Result<SecretRef, _> = serde_json::from_value(text.into());
                let reference = reference.map_err(|error| fault("url", error.to_string()))?;
                let secret = reference.relative_to(base).resolve();
                secret.map_err(|error| fault("url", error.to_string()))?.expose().clone()
            }
            Some(text) => text.to_owned(),
        };
        let url = read_url(address.trim(), own.allow_http).map_err(|text| fault("url", text))?;
        let network = |text: &String| {
            let message = format!("`{text}` is no network, such as 10.0.0.0/8");
            text.parse::<IpNet>().map_err(|_| fault("allow_networks", message))
        };
        let allowed: Arc<[IpNet]> =
            own.allow_networks.iter().map(network).collect::<Result<_, _>>()?;
        let client =
            client(&allowed, own.allow_http).map_err(|error| fault("url", error.to_string()))?;
        let heartbeat = heartbeat(own.heartbeat_mins);
        Ok(Self { client, url, allowed, per_hour_max: own.per_hour_max, heartbeat })
    }

    /// The address without its path, which often is a password.
    pub(super) fn shown(&self) -> String {
        let port = self.url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{}{port}/…", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    /// Posts JSON to `url`, which is on the receiver's host; answers its words.
    pub(super) async fn post(
        &self,
        url: Url,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<String, SendError> {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = literal {
            check(address, &self.allowed).map_err(|error| SendError(error.to_string()))?;
        }
        let mut request = self.client.post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answered = tokio::time::timeout(SEND_TIMEOUT, async {
            let response = request.body(body).send().await.map_err(|error| failed(&error))?;
            let status = response.status();
            let words = read_answer(response).await;
            Ok::<_, SendError>((status, words))
        });
        let (status, words) = answered
            .await
            .map_err(|_| SendError(format!("no answer within {} s", SEND_TIMEOUT.as_secs())))??;
        let answer = visible(format!("{} {words}", status.as_u16()).trim_end(), 300);
        if status.is_success() { Ok(answer) } else { Err(SendError(answer)) }
    }
}

fn read_url(text: &str, allow_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => return Err(String::from("must be https, or `allow_http` set")),
        // Not named: it may be the beginning of a secret.
        _ => return Err(String::from("must be https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(String::from("must not hold a password; use `secret`"));
    }
    if url.host().is_none() {
        return Err(String::from("has no host"));
    }
    Ok(url)
}

fn client(allowed: &Arc<[IpNet]>, allow_http: bool) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config())
        .dns_resolver(Arc::new(CheckingResolver { allowed: allowed.clone() }))
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!allow_http)
        .no_proxy()
        .no_gzip()
        .timeout(SEND_TIMEOUT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("logwarden/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The system's authorities; where there are none every https receiver is refused, and http still
/// works for those who allow it.
fn tls_config() -> rustls::ClientConfig {
    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
    };
    match builder().with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "the system has no certificate authorities, https webhooks will fail");
            builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
    }
}

/// Resolves as the system does and hands out addresses only when all of them may be connected to.
struct CheckingResolver {
    allowed: Arc<[IpNet]>,
}

impl Resolve for CheckingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            check_all(&addresses, &allowed)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// An error in words, without the URL, which may hold a password in its path.
fn failed(error: &reqwest::Error) -> SendError {
    let mut text = String::from("request failed");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    if error.is_timeout() {
        text = format!("no answer within {} s", SEND_TIMEOUT.as_secs());
    }
    SendError(visible(&text, 300))
}

async fn read_answer(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for address in
            ["hunter2:x/y", "xoxb-hunter2", "https://a:hunter2@b.example/", "hunter2://b"]
        {
            let refused = read_url(address, true).expect_err(address);
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
