//! Syslog: one line of CEF (version 0) in RFC 5424, over TCP (octet counting) or UDP.
//!
//! UDP answers nothing: what is sent so counts as arrived.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

use super::address::check_all;
use super::message::{Said, said};
use super::{Notifier, NotifierKind, Outgoing, SendError, heartbeat, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

/// How long one delivery may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Facility 10, security and authorization (RFC 5424, 6.2.1).
const FACILITY: u8 = 10;

/// The kind `syslog`.
pub(super) struct Syslog;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Host and port.
    to: String,
    /// `tcp` (the default) or `udp`.
    transport: Option<Transport>,
    /// Networks that are not public and yet may be connected to.
    #[serde(default)]
    allow_networks: Vec<String>,
    per_hour_max: Option<u32>,
    heartbeat_mins: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    Tcp,
    Udp,
}

struct Collector {
    to: String,
    transport: Transport,
    allowed: Vec<IpNet>,
    per_hour_max: Option<u32>,
    heartbeat: Option<Duration>,
}

impl NotifierKind for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        _: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        let own: Settings = read_settings(path, settings)?;
        let fault =
            |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
        let has_port = own.to.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if !has_port {
            return Err(fault("to", String::from("must be host:port")));
        }
        let network = |text: &String| {
            let message = format!("`{text}` is no network, such as 10.0.0.0/8");
            text.parse::<IpNet>().map_err(|_| fault("allow_networks", message))
        };
        let allowed = own.allow_networks.iter().map(network).collect::<Result<_, _>>()?;
        Ok(Arc::new(Collector {
            to: own.to,
            transport: own.transport.unwrap_or(Transport::Tcp),
            allowed,
            per_hour_max: own.per_hour_max,
            heartbeat: heartbeat(own.heartbeat_mins),
        }))
    }
}

#[async_trait]
impl Notifier for Collector {
    fn target(&self) -> String {
        self.to.clone()
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

    fn text(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        Ok(line(&said(outgoing), outgoing))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let line = line(&said(outgoing), outgoing);
        let sending = async {
            let found = tokio::net::lookup_host(&self.to).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            check_all(&addresses, &self.allowed).map_err(std::io::Error::other)?;
            match self.transport {
                Transport::Tcp => {
                    let mut stream = TcpStream::connect(addresses.as_slice()).await?;
                    stream.write_all(format!("{} {line}", line.len()).as_bytes()).await?;
                    stream.shutdown().await?;
                }
                Transport::Udp => {
                    let address = addresses.first().ok_or(std::io::ErrorKind::NotFound)?;
                    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    UdpSocket::bind(own).await?.send_to(line.as_bytes(), address).await?;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(Ok(())) => Ok(String::from("sent")),
            Ok(Err(error)) => Err(SendError(error.to_string())),
            Err(_) => Err(SendError(format!("not taken within {} s", SEND_TIMEOUT.as_secs()))),
        }
    }
}

/// The whole line; nothing in it can begin another one.
fn line(said: &Said, outgoing: &Outgoing) -> String {
    let (severity, cef) = match said.level {
        Level::Critical => (2, 10),
        Level::High => (3, 8),
        Level::Medium => (4, 5),
        Level::Low => (5, 3),
        Level::Informational => (6, 1),
    };
    let priority = FACILITY * 8 + severity;
    let mut extension = format!(
        "externalId={} rt={} msg={} cs1Label=alert cs1={} cs2Label=state cs2={}",
        value(&said.key),
        outgoing.sent_at.millis(),
        value(&said.reasons().join(" ")),
        value(&said.link),
        said.state.name()
    );
    for (name, text) in &said.facts {
        let key = match name.as_str() {
            "source.ip" => "src",
            "destination.ip" => "dst",
            "user.name" => "suser",
            "host.name" => "shost",
            _ => continue,
        };
        extension.push_str(&format!(" {key}={}", value(text)));
    }
    format!(
        "<{priority}>1 {} - logwarden - {} - CEF:0|Logwarden|Logwarden|{}|{}|{}|{cef}|{extension}",
        outgoing.sent_at,
        outgoing.event.replace(|c: char| !c.is_ascii_graphic(), "_"),
        env!("CARGO_PKG_VERSION"),
        header(&said.rule.1),
        header(&said.title),
    )
}

fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace(['\r', '\n'], " ")
}
