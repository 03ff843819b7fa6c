//! Webhooks: one signed POST of JSON per notification.
//!
//! The receiver's name is resolved at every delivery, every address it has is checked, and the
//! connection goes to a checked address. Redirects are not followed, answers are read up to a
//! bound, and only the status counts.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use logwarden_store::{Secret, SecretRef};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use url::{Host, Url};

use super::address::{check, check_all};
use super::{Notifier, NotifierKind, Outgoing, SendError, heartbeat, message, read_settings};
use crate::alert::wording::visible;
use crate::error::AlertingError;

/// How long one delivery may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// The kind `webhook`.
pub(super) struct Webhook;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    /// Signs, so that the receiver knows who sent.
    secret: Option<SecretRef>,
    /// Allows a URL without TLS.
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

struct Hook {
    client: reqwest::Client,
    url: Url,
    secret: Option<Secret<String>>,
    allowed: Arc<[IpNet]>,
    per_hour_max: Option<u32>,
    heartbeat: Option<Duration>,
}

impl NotifierKind for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        let settings: Settings = read_settings(path, settings)?;
        let fault =
            |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
        let url = read_url(&settings.url, settings.allow_http)
            .map_err(|message| fault("url", message))?;
        let secret = settings
            .secret
            .map(|secret| secret.relative_to(base).resolve())
            .transpose()
            .map_err(|error| fault("secret", error.to_string()))?;
        let network = |text: &String| {
            let message = format!("`{text}` is no network, such as 10.0.0.0/8");
            text.parse::<IpNet>().map_err(|_| fault("allow_networks", message))
        };
        let allowed: Arc<[IpNet]> =
            settings.allow_networks.iter().map(network).collect::<Result<_, _>>()?;
        let client = client(&allowed, settings.allow_http)
            .map_err(|error| fault("url", error.to_string()))?;
        let per_hour_max = settings.per_hour_max;
        let heartbeat = heartbeat(settings.heartbeat_mins);
        Ok(Arc::new(Hook { client, url, secret, allowed, per_hour_max, heartbeat }))
    }
}

fn read_url(text: &str, allow_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => return Err(String::from("must be https, or `allow_http` set")),
        other => return Err(format!("scheme `{other}` is not https")),
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

#[async_trait]
impl Notifier for Hook {
    fn target(&self) -> String {
        // The path of a webhook often is its password.
        let port = self.url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{}{port}/…", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    fn wants(&self, _event: &str) -> bool {
        true
    }

    fn per_hour_max(&self) -> Option<u32> {
        self.per_hour_max
    }

    fn lists_alerts(&self) -> bool {
        false
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let literal = match self.url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = literal {
            check(address, &self.allowed).map_err(|error| SendError(error.to_string()))?;
        }
        let body = message::to_json(outgoing).to_string();
        let mut request = self
            .client
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", outgoing.id.to_string());
        if let Some(secret) = &self.secret {
            let seconds = outgoing.sent_at.secs();
            let signature = sign(secret, seconds, &body);
            request =
                request.header("X-Logwarden-Signature", format!("t={seconds},v1={signature}"));
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

/// Hexadecimal HMAC-SHA-256 of `seconds.body`.
fn sign(secret: &Secret<String>, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
