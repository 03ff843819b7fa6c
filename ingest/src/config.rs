//! The settings of this crate: listeners, networks that may send without a token, sources, limits.
//!
//! Input: the tables `[[listeners]]`, `[[sources]]` and, of `[http]`, what concerns ingest. The root
//! reads the file; [`Config::check`] refuses what could not work, with the path of the key.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use ipnet::IpNet;
use logwarden_event::is_own_name;
use logwarden_store::SecretRef;
use serde::Deserialize;

pub use crate::enrich::{EnrichConfig, ListConfig, ListKind};
pub use crate::input::{InputConfig, InputKind};
use crate::memory;

/// Where JSON and syslog are listened for when nothing is said.
pub const TCP_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5514);

/// Everything that can be set for ingest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses to listen on besides HTTP. Default: one `auto` listener on `127.0.0.1:5514`.
    pub listeners: Vec<ListenerConfig>,
    /// Who may send over HTTP without a token.
    pub http: HttpConfig,
    /// Settings of sources by name; a source not named here has the defaults.
    pub sources: Vec<SourceConfig>,
    /// What is fetched from files and queues. Default: nothing.
    pub inputs: Vec<InputConfig>,
    /// What is known of addresses, names and hashes besides the records. Default: nothing.
    pub enrich: EnrichConfig,
    /// Bounds that no file sets.
    #[serde(skip)]
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::auto(TCP_DEFAULT)],
            http: HttpConfig::default(),
            sources: Vec::new(),
            inputs: Vec::new(),
            enrich: EnrichConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// Of the table `[http]`, the two keys that concern ingest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Networks that may send to ingest paths without a token. Default: none.
    pub allow: Vec<IpNet>,
    /// The source of what they send.
    pub source: Option<String>,
}

/// What a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerKind {
    /// Any of the following, told apart by the first bytes.
    #[default]
    Auto,
    /// JSON lines.
    Json,
    /// Syslog, and plain lines of text.
    Syslog,
    /// GELF.
    Gelf,
    /// Fluent forward.
    Forward,
    /// Beats, which is Lumberjack in version 2.
    Beats,
    /// OpenTelemetry over gRPC.
    Otlp,
    /// RELP.
    Relp,
}

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerConfig {
    /// What it takes. Default: `auto`.
    pub kind: ListenerKind,
    /// TCP address.
    pub tcp: Option<SocketAddr>,
    /// UDP address. Datagrams get lost and their sender can be forged.
    pub udp: Option<SocketAddr>,
    /// Networks that may send without a token. Default: none.
    pub allow: Vec<IpNet>,
    /// The source of what they send, or holders of a client certificate of whom `[[certificates]]` says
    /// nothing.
    pub source: Option<String>,
    /// Certificates; without them the connection is plain.
    pub tls: Option<TlsConfig>,
    /// Networks of proxies, whose connections begin with a PROXY header: what it says is the sender's
    /// address. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// What senders must know, kind `forward` only; then no network is admitted without it. Read for
    /// each connection, so that it can be changed.
    pub shared_key: Option<SecretRef>,
    /// Allows an address off loopback without `tls`. Default: false.
    pub insecure: bool,
}

impl ListenerConfig {
    /// A listener that tells protocols by their first bytes.
    pub fn auto(tcp: SocketAddr) -> Self {
        Self { tcp: Some(tcp), ..Self::default() }
    }
}

/// Certificates of a listener, PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates: with them every client needs one.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Their list of revoked certificates.
    #[serde(default)]
    pub client_crl: Option<PathBuf>,
}

/// Settings of one source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its name, as in tokens and listeners.
    pub name: String,
    /// The zone of times that name none. Default: UTC.
    #[serde(default, deserialize_with = "zone")]
    pub zone: Tz,
    /// How much later than it happened an event may come and still count in rules, in seconds.
    /// Default: 120.
    #[serde(default = "lateness_secs")]
    pub lateness_secs: u64,
    /// Events per second; more are refused (429), or not read. Default: no limit.
    #[serde(default)]
    pub events_per_sec_max: Option<u64>,
    /// Bytes of records per second; more are refused (429), or not read. Default: no limit.
    #[serde(default)]
    pub bytes_per_sec_max: Option<u64>,
    /// For how many seconds the two rates may be saved up and then used at once. Default: 1.
    #[serde(default = "burst_secs")]
    pub burst_secs: u64,
    /// Seconds without a record after which the source is said to be silent; 0: never. Default: three
    /// times its longest pause, 15 minutes to a day.
    #[serde(default)]
    pub silent_after_secs: Option<u64>,
    /// Bytes of records per day in UTC; more are refused (429). Default: no limit.
    #[serde(default)]
    pub bytes_per_day_max: Option<u64>,
    /// Replaces what looks like a secret by `***KIND:HASH***` before anything is kept. Default: false.
    #[serde(default)]
    pub mask_secrets: bool,
}

/// How many seconds of its rates a source may save up when nothing is said.
pub(crate) const BURST_SECS_DEFAULT: u64 = 1;

const fn burst_secs() -> u64 {
    BURST_SECS_DEFAULT
}

const fn lateness_secs() -> u64 {
    120
}

fn zone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_| {
        serde::de::Error::custom(format!("`{name}` is no time zone such as `Europe/Berlin`"))
    })
}

/// Bounds of memory, time and connections. What happens at each is said there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one batch after decompression; more: 413. Default: 16 MiB.
    pub body_bytes_max: usize,
    /// Bytes of one record; more: its first [`Limits::dead_letter_bytes_max`] become a dead letter.
    /// Default: 1 MiB.
    pub record_bytes_max: usize,
    /// Records of one batch; more: 413. Default: 10,000.
    pub batch_records_max: usize,
    /// Bytes kept of a record that is too long. Default: 64 KiB.
    pub dead_letter_bytes_max: usize,
    /// Bytes of dead letters per source and day; more are counted, not kept. Default: 1 GiB.
    pub dead_letter_bytes_per_day_max: u64,
    /// Lines read and not yet durable per TCP connection; then reading stops. Default: 1,000.
    pub connection_records_max: usize,
    /// The same in bytes. Default: 1 MiB.
    pub connection_bytes_max: usize,
    /// Bytes in flight per source; HTTP: 429, TCP: reading stops. Default: 16 MiB.
    pub source_bytes_max: usize,
    /// Bytes in flight of all sources; HTTP: 429, TCP: reading stops. Default: a tenth of the memory,
    /// 64 MiB to 4 GiB.
    pub total_bytes_max: usize,
    /// How long an HTTP request waits for room before it is refused. Default: 2 s.
    pub room_wait: Duration,
    /// How long a body has room for all of itself; one that is not here by then has room for what
    /// came. Default: 1 s.
    pub body_room_held: Duration,
    /// TCP connections per listener; more are closed at once. Default: 1,024.
    pub connections_max: usize,
    /// Datagrams received and not yet durable, per listener; more are dropped. Default: 10,000.
    pub datagrams_max: usize,
    /// The same in bytes. Default: 8 MiB.
    pub datagram_bytes_max: usize,
    /// Time for the handshake and first bytes of a connection. Default: 10 s.
    pub first_bytes_timeout: Duration,
    /// A TCP connection without a byte for this long is closed: long, because syslog senders lose
    /// records when their idle connection is. Default: 1 h.
    pub idle_timeout: Duration,
    /// From here on a body must make progress of 1 KiB per second. Default: 10 s.
    pub body_grace: Duration,
    /// How long `?wait=searchable` waits at most. Default: 10 s.
    pub searchable_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            record_bytes_max: 1 << 20,
            batch_records_max: 10_000,
            dead_letter_bytes_max: 64 << 10,
            dead_letter_bytes_per_day_max: 1 << 30,
            connection_records_max: 1_000,
            connection_bytes_max: 1 << 20,
            source_bytes_max: 16 << 20,
            total_bytes_max: memory::in_flight_bytes(),
            room_wait: Duration::from_secs(2),
            body_room_held: Duration::from_secs(1),
            connections_max: 1_024,
            datagrams_max: 10_000,
            datagram_bytes_max: 8 << 20,
            first_bytes_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3_600),
            body_grace: Duration::from_secs(10),
            searchable_wait: Duration::from_secs(10),
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {problem}")]
pub struct ConfigError {
    /// The key, such as `listeners[0].udp`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Config {
    /// Sets the TCP address of the first `auto` listener, or adds one.
    pub fn set_tcp(&mut self, address: SocketAddr) {
        let auto = |listener: &&mut ListenerConfig| listener.kind == ListenerKind::Auto;
        match self.listeners.iter_mut().find(auto) {
            Some(listener) => listener.tcp = Some(address),
            None => self.listeners.insert(0, ListenerConfig::auto(address)),
        }
    }

    /// The settings of a source.
    pub fn source(&self, name: &str) -> Option<&SourceConfig> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The zone of times of a source that name none.
    pub fn zone_of(&self, source: &str) -> Tz {
        self.source(source).map_or(Tz::UTC, |source| source.zone)
    }

    /// Whether what looks like a secret is replaced in records of a source.
    pub fn masks_secrets_of(&self, source: &str) -> bool {
        self.source(source).is_some_and(|source| source.mask_secrets)
    }

    /// Refuses what could not work or would be open to everybody.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first such key.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (index, listener) in self.listeners.iter().enumerate() {
            listener.check().map_err(|(key, problem)| ConfigError {
                path: format!("listeners[{index}].{key}"),
                problem: problem.to_owned(),
            })?;
        }
        if !self.http.allow.is_empty() && self.http.source.is_none() {
            let problem = "`allow` needs a `source` that its records belong to".to_owned();
            return Err(ConfigError { path: "http.source".to_owned(), problem });
        }
        self.enrich.check().map_err(|(path, problem)| ConfigError { path, problem })?;
        let mut inputs = HashSet::new();
        for (index, input) in self.inputs.iter().enumerate() {
            let error = |key: &str, problem: &str| ConfigError {
                path: format!("inputs[{index}].{key}"),
                problem: problem.to_owned(),
            };
            input.check().map_err(|(key, problem)| error(key, problem))?;
            if !inputs.insert(&input.name) {
                return Err(error("name", "another input has this name"));
            }
        }
        let mut names = HashSet::new();
        for (index, source) in self.sources.iter().enumerate() {
            let error = |key: &str, problem: &str| ConfigError {
                path: format!("sources[{index}].{key}"),
                problem: problem.to_owned(),
            };
            if !is_source_name(&source.name) {
                return Err(error("name", SOURCE_NAME));
            }
            if !names.insert(&source.name) {
                return Err(error("name", "another source has this name"));
            }
        }
        Ok(())
    }
}

const SOURCE_NAME: &str =
    "a source has a name without control characters that does not begin with `logwarden`";

/// What a terminal would obey is no name, nor is one of ours.
fn is_source_name(name: &str) -> bool {
    !name.is_empty() && !is_own_name(name) && !name.chars().any(char::is_control)
}

impl ListenerConfig {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.tcp.is_none() && self.udp.is_none() {
            return Err(("tcp", "a listener needs an address, `tcp` or `udp`"));
        }
        if self.source.as_deref().is_some_and(|name| !is_source_name(name)) {
            return Err(("source", SOURCE_NAME));
        }
        if !self.allow.is_empty() && self.source.is_none() {
            return Err(("source", "`allow` needs a `source` that its records belong to"));
        }
        if self.shared_key.is_some() && self.kind != ListenerKind::Forward {
            return Err(("shared_key", "only a listener of kind `forward` has a `shared_key`"));
        }
        if self.shared_key.is_some() && self.source.is_none() {
            return Err(("source", "`shared_key` needs a `source` that its records belong to"));
        }
        let is_at_hand = |key: &SecretRef| matches!(key, SecretRef::Env(_) | SecretRef::File(_));
        if self.shared_key.as_ref().is_some_and(|key| !is_at_hand(key)) {
            return Err(("shared_key", "it is read for each connection: `env:` or `file:`"));
        }
        if self.shared_key.as_ref().is_some_and(|key| key.resolve().is_err()) {
            return Err(("shared_key", "the secret cannot be read, or is empty"));
        }
        let takes_datagrams = matches!(
            self.kind,
            ListenerKind::Auto | ListenerKind::Syslog | ListenerKind::Gelf | ListenerKind::Json
        );
        if self.udp.is_some() && !takes_datagrams {
            return Err((
                "udp",
                "only listeners of kind `auto`, `syslog`, `gelf` and `json` take datagrams",
            ));
        }
        if self.udp.is_some() && self.allow.is_empty() {
            return Err(("allow", "datagrams have no token, so `udp` needs `allow` and `source`"));
        }
        let is_tcp_off_loopback = self.tcp.is_some_and(|tcp| !tcp.ip().is_loopback());
        if is_tcp_off_loopback && self.tls.is_none() && !self.insecure {
            return Err(("tcp", "off loopback a listener needs `tls` or `insecure = true`"));
        }
        let is_udp_off_loopback = self.udp.is_some_and(|udp| !udp.ip().is_loopback());
        if is_udp_off_loopback && !self.insecure {
            return Err(("udp", "off loopback UDP needs `insecure = true`: it has no TLS"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(change: impl FnOnce(&mut ListenerConfig)) -> Config {
        let mut listener = ListenerConfig::auto(TCP_DEFAULT);
        change(&mut listener);
        Config { listeners: vec![listener], ..Config::default() }
    }

    fn check(config: &Config, expected: &str) {
        let said = config.check().map_or_else(|error| error.to_string(), |()| "good".into());
        assert_eq!(said, expected);
    }

    #[test]
    fn the_defaults_are_safe_and_good() {
        check(&Config::default(), "good");
        assert_eq!(Config::default().listeners[0].tcp, Some(TCP_DEFAULT));
    }

    #[test]
    fn an_open_door_is_refused() {
        let off_loopback = SocketAddr::from(([0, 0, 0, 0], 5514));
        check(
            &listener(|listener| listener.tcp = Some(off_loopback)),
            "`listeners[0].tcp`: off loopback a listener needs `tls` or `insecure = true`",
        );
        check(
            &listener(|listener| {
                listener.tcp = Some(off_loopback);
                listener.insecure = true;
            }),
            "good",
        );
        check(
            &listener(|listener| listener.udp = Some(TCP_DEFAULT)),
            "`listeners[0].allow`: datagrams have no token, so `udp` needs `allow` and `source`",
        );
        check(
            &listener(|listener| listener.allow = vec!["10.0.0.0/8".parse().expect("a network")]),
            "`listeners[0].source`: `allow` needs a `source` that its records belong to",
        );
        for name in ["", "Logwarden.audit", "ed\u{1b}[2Jge", "ed\nge"] {
            check(
                &listener(|listener| listener.source = Some(name.to_owned())),
                "`listeners[0].source`: a source has a name without control characters that does not begin with `logwarden`",
            );
        }
        check(
            &listener(|listener| listener.tcp = None),
            "`listeners[0].tcp`: a listener needs an address, `tcp` or `udp`",
        );
    }

    #[test]
    fn keys_are_those_of_the_manual_and_no_others() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "listeners": [{"kind": "syslog", "tcp": "127.0.0.1:0", "allow": ["127.0.0.0/8"], "source": "edge"}],
            "http": {"allow": ["10.2.0.0/16"], "source": "edge"},
            "sources": [{"name": "edge", "zone": "Europe/Berlin", "events_per_sec_max": 20000}],
        }))
        .expect("a configuration");
        check(&config, "good");
        assert_eq!(config.zone_of("edge"), Tz::Europe__Berlin);
        assert_eq!(config.source("edge").map(|source| source.lateness_secs), Some(120));
        for wrong in [
            serde_json::json!({"listeners": [{"port": 1}]}),
            serde_json::json!({"sources": [{"name": "a", "zone": "Mars/Base"}]}),
            serde_json::json!({"limits": {}}),
        ] {
            assert!(serde_json::from_value::<Config>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
