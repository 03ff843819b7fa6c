//! The whole configuration: one TOML file, the flags over it, checked once.
//!
//! Each crate owns its section; this file owns `[http]`, puts the sections together and makes
//! relative paths start at the file. Errors name the file, the line and the key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use ipnet::IpNet;
use logwarden_alerting::{AlertingError, NotifierConfig, RotaConfig, RouteConfig, RulesConfig};
use logwarden_event::{Clock, SystemClock};
use logwarden_ingest::config::{EnrichConfig, InputConfig, ListenerConfig, SourceConfig};
use logwarden_query::{Mask, parse_query};
use logwarden_store::SecretRef;
use logwarden_store::identity::{CertificateConfig, RoleConfig, Roles};
use logwarden_web::ProviderConfig;
use serde::Deserialize;
use toml::de::DeTable;
use url::Url;

/// Where the API and the dashboard listen when nothing is said.
const HTTP_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7514);

/// Everything a process needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Journal, blobs and catalog.
    pub(crate) store: logwarden_store::Config,
    /// The HTTP front.
    pub(crate) http: HttpConfig,
    /// Listeners, and what is known of sources.
    pub(crate) ingest: logwarden_ingest::Config,
    /// Head and splits.
    pub(crate) index: logwarden_index::Config,
    /// Limits of searches.
    pub(crate) query: logwarden_query::Config,
    /// Rules, notifiers and routes.
    pub(crate) alerting: logwarden_alerting::Config,
    /// The roles there are.
    pub(crate) roles: Roles,
    /// Local accounts.
    pub(crate) users: UsersConfig,
    /// Whom client certificates stand for.
    pub(crate) certificates: Vec<CertificateConfig>,
    /// Where people may sign in besides.
    pub(crate) providers: Vec<ProviderConfig>,
    /// The address people use, for links.
    pub(crate) public_url: Option<String>,
    /// Whom to tell about a weakness of this installation: a URL, such as `mailto:`.
    pub(crate) security_contact: Option<String>,
    /// The file as it was written, secrets masked.
    pub(crate) shown: serde_json::Value,
}

/// The HTTP front, `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// Where it listens. Default `127.0.0.1:7514`.
    pub(crate) listen: SocketAddr,
    /// Certificate and key. Default: plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    /// Plain HTTP off loopback. Default false.
    pub(crate) insecure: bool,
    /// Networks that may send to the ingest paths without a token. Default: none.
    pub(crate) allow: Vec<IpNet>,
    /// The source their records belong to; needed with `allow`.
    pub(crate) source: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed. Default: none.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Connections of trusted proxies begin with a PROXY header. Default false.
    pub(crate) proxy_protocol: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: HTTP_DEFAULT,
            tls: None,
            insecure: false,
            allow: Vec::new(),
            source: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
        }
    }
}

/// Files of TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The certificate chain, our own first.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// The authority of clients' certificates; with it every client must show one. `[[certificates]]`
    /// says whom they stand for.
    pub(crate) client_ca: Option<PathBuf>,
    /// The authority's list of revoked certificates.
    pub(crate) client_crl: Option<PathBuf>,
}

/// What flags say over the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// `--data-dir`.
    pub(crate) data_dir: Option<PathBuf>,
    /// `--http`.
    pub(crate) http: Option<SocketAddr>,
    /// `--tcp`.
    pub(crate) tcp: Option<SocketAddr>,
    /// `--insecure-http`.
    pub(crate) insecure: bool,
}

/// Where the demo's notifications go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DemoInbox {
    /// The mail server.
    pub(crate) smtp: SocketAddr,
    /// The webhook receiver.
    pub(crate) webhook: SocketAddr,
}

/// The file, table by table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    public_url: Option<String>,
    security_contact: Option<String>,
    storage: logwarden_store::Config,
    index: logwarden_index::Config,
    http: HttpConfig,
    listeners: Option<Vec<ListenerConfig>>,
    sources: Vec<SourceConfig>,
    inputs: Vec<InputConfig>,
    enrich: EnrichConfig,
    retention: Vec<logwarden_index::Policy>,
    rules: RulesConfig,
    notifiers: Vec<NotifierConfig>,
    routes: Vec<RouteConfig>,
    rotas: Vec<RotaConfig>,
    roles: Vec<RoleConfig>,
    certificates: Vec<CertificateConfig>,
    oidc: Vec<ProviderConfig>,
    users: UsersConfig,
}

/// Local accounts, `[users]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UsersConfig {
    /// A file of passwords that nobody may take. Default: none.
    pub(crate) breached_passwords_file: Option<PathBuf>,
}

/// Reads a file, or takes the defaults where none is named.
pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    load_with(file, &Overrides::default())
}

/// Reads a file with flags over it.
///
/// # Errors
///
/// When the file cannot be read, a key is unknown or a value cannot be used.
pub(crate) fn load_with(file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Config> {
    load_text(&read(file)?, file, overrides)
}

/// The same, and checks what else would keep a server from starting: notifiers and routes with the
/// secrets and files they name.
///
/// # Errors
///
/// As [`load_with`].
pub(crate) fn load_checked(file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Config> {
    let text = read(file)?;
    let config = load_text(&text, file, overrides)?;
    let checked = logwarden_alerting::check_config(&config.alerting);
    checked.map_err(|error| {
        let line = match &error {
            AlertingError::Config { path, .. } => line_of(&text, path),
            _ => None,
        };
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        anyhow!("configuration file {}: {place}{error}", name_of(file))
    })?;
    Ok(config)
}

/// Reads the text of a file.
///
/// # Errors
///
/// When a key is unknown or a value cannot be used.
pub(crate) fn load_text(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
) -> anyhow::Result<Config> {
    let parsed =
        toml::from_str(text).with_context(|| format!("configuration file {}", name_of(file)))?;
    let shown = masked(toml::from_str(text)?);
    let base = file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    assemble(parsed, shown, &base, overrides)
}

/// The line, from 1 on, of what stands at a path such as `notifiers[2].url`; that of the table's
/// beginning where the key is not there.
fn line_of(text: &str, path: &str) -> Option<usize> {
    let (table, rest) = path.split_once('[')?;
    let (place, key) = rest.split_once(']')?;
    let document = DeTable::parse(text).ok()?;
    let tables = document.get_ref().get(table)?.get_ref().as_array()?;
    let item = tables.get(place.parse::<usize>().ok()?)?;
    let keys = item.get_ref().as_table()?.keys();
    let wanted = key.trim_start_matches('.');
    let known = keys.into_iter().find(|known| known.get_ref().as_ref() == wanted);
    let at = known.map_or(item.span().start, |known| known.span().start);
    Some(text.get(..at)?.matches('\n').count() + 1)
}

/// What the file says, secrets masked.
pub(crate) fn show(file: Option<&Path>) -> anyhow::Result<String> {
    load(file)?;
    let value = masked(toml::from_str(&read(file)?)?);
    toml::to_string_pretty(&value).context("the configuration cannot be printed")
}

/// The demo's configuration: everything on loopback, ports of the system's choice but for the
/// dashboard's.
pub(crate) fn for_demo(data_dir: &Path, inbox: DemoInbox) -> anyhow::Result<Config> {
    let text = format!(
        r#"
        [[listeners]]
        kind = "auto"
        tcp = "127.0.0.1:0"
        allow = ["127.0.0.0/8"]
        source = "hosts"
        [[notifiers]]
        name = "mail"
        kind = "email"
        smtp = "{}"
        tls = "none"
        from = "logwarden@demo.example"
        to = ["oncall@demo.example"]
        [[notifiers]]
        name = "webhook"
        kind = "webhook"
        url = "http://{}/hook"
        allow_http = true
        allow_networks = ["127.0.0.0/8"]
        "#,
        inbox.smtp, inbox.webhook
    );
    let overrides = Overrides { data_dir: Some(data_dir.to_owned()), ..Overrides::default() };
    assemble(toml::from_str(&text)?, masked(toml::from_str(&text)?), Path::new(""), &overrides)
}

fn read(file: Option<&Path>) -> anyhow::Result<String> {
    match file {
        None => Ok(String::new()),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display())),
    }
}

fn name_of(file: Option<&Path>) -> String {
    file.map_or_else(|| "(none)".to_owned(), |file| format!("`{}`", file.display()))
}

fn assemble(
    file: File,
    shown: serde_json::Value,
    base: &Path,
    overrides: &Overrides,
) -> anyhow::Result<Config> {
    let mut store = file.storage;
    store.data_dir = match (&overrides.data_dir, file.data_dir) {
        (Some(flag), _) => flag.clone(),
        (None, Some(data_dir)) => base.join(data_dir),
        (None, None) => PathBuf::from("logwarden-data"),
    };
    store.master_key = store.master_key.take().map(|key| key.relative_to(base));
    let before = std::mem::take(&mut store.master_keys_before).into_iter();
    store.master_keys_before = before.map(|key| key.relative_to(base)).collect();
    if let Some(s3) = store.s3.take() {
        store.s3 = Some(s3.relative_to(base));
    }

    let mut http = file.http;
    http.listen = overrides.http.unwrap_or(http.listen);
    http.insecure |= overrides.insecure;
    if let Some(tls) = &mut http.tls {
        tls.cert = base.join(&tls.cert);
        tls.key = base.join(&tls.key);
        tls.client_ca = tls.client_ca.as_ref().map(|file| base.join(file));
        tls.client_crl = tls.client_crl.as_ref().map(|file| base.join(file));
        if tls.client_crl.is_some() && tls.client_ca.is_none() {
            bail!("http.tls.client_crl: it is a list of `client_ca`, which is not there");
        }
    }
    if !http.listen.ip().is_loopback() && http.tls.is_none() && !http.insecure {
        bail!(
            "http.listen: `{}` is not loopback: it needs `tls`, or `insecure = true`",
            http.listen
        );
    }
    if http.proxy_protocol && http.trusted_proxies.is_empty() {
        bail!("http.proxy_protocol: `trusted_proxies` names nobody who would speak it");
    }

    let fetched = (file.sources, file.inputs);
    let mut ingest = ingest_config(file.listeners, fetched, &http, base, overrides)?;
    ingest.enrich = EnrichConfig { base: base.to_owned(), ..file.enrich };
    ingest.check()?;
    let mut rules = file.rules;
    rules.dirs = rules.dirs.iter().map(|dir| base.join(dir)).collect();
    rules.written = Some(store.data_dir.join("rules"));
    let alerting = logwarden_alerting::Config {
        rules,
        notifiers: file.notifiers,
        routes: file.routes,
        rotas: file.rotas,
        public_url: file.public_url.clone(),
        base: base.to_owned(),
        lateness: ingest.sources.iter().map(lateness_of).collect(),
    };
    let index = logwarden_index::Config { retention: retention(file.retention)?, ..file.index };
    let query = logwarden_query::Config::default();
    let (roles, public_url) = (roles(&file.roles)?, file.public_url);
    if let Some(address) = &public_url {
        let is_page = Url::parse(address)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        ensure!(is_page, "public_url: must begin with `https://` or `http://` and name a host");
    }
    if let Some(contact) = &file.security_contact {
        let is_contact = !contact.contains(char::is_whitespace)
            && Url::parse(contact)
                .is_ok_and(|url| matches!(url.scheme(), "mailto" | "https" | "tel"));
        ensure!(is_contact, "security_contact: must be a `mailto:`, `https:` or `tel:` address");
    }
    let providers = providers(file.oidc, &roles, base)?;
    CertificateConfig::check(&file.certificates, &roles).map_err(|reason| anyhow!(reason))?;
    let breached = file.users.breached_passwords_file.map(|file| base.join(file));
    let users = UsersConfig { breached_passwords_file: breached };
    Ok(Config {
        store,
        http,
        ingest,
        index,
        query,
        alerting,
        roles,
        users,
        certificates: file.certificates,
        providers,
        public_url,
        security_contact: file.security_contact,
        shown,
    })
}

fn providers(
    mut providers: Vec<ProviderConfig>,
    roles: &Roles,
    base: &Path,
) -> anyhow::Result<Vec<ProviderConfig>> {
    for (place, provider) in providers.iter_mut().enumerate() {
        provider.check(roles).map_err(|reason| anyhow!("oidc[{place}].{reason}"))?;
        provider.ca = provider.ca.as_ref().map(|file| base.join(file));
        provider.client_secret =
            provider.client_secret.take().map(|secret| secret.relative_to(base));
    }
    Ok(providers)
}

fn roles(configs: &[RoleConfig]) -> anyhow::Result<Roles> {
    for (place, role) in configs.iter().enumerate() {
        if let Some(filter) = &role.filter {
            let query = parse_query(filter, SystemClock.now());
            let query = query.map_err(|error| anyhow!("roles[{place}].filter: {error}"))?;
            if !query.pipes.is_empty() {
                bail!("roles[{place}].filter: a filter has no pipes");
            }
        }
        Mask::new(&role.mask).map_err(|error| anyhow!("roles[{place}].mask: {error}"))?;
    }
    Roles::new(configs).map_err(|error| anyhow!("roles: {error}"))
}

fn retention(
    policies: Vec<logwarden_index::Policy>,
) -> anyhow::Result<Vec<logwarden_index::Policy>> {
    if policies.len() > logwarden_index::POLICIES_MAX {
        bail!("retention: at most {} policies", logwarden_index::POLICIES_MAX);
    }
    for (place, policy) in policies.iter().enumerate() {
        policy.check().map_err(|reason| anyhow::anyhow!("retention[{place}]: {reason}"))?;
    }
    Ok(policies)
}

fn ingest_config(
    listeners: Option<Vec<ListenerConfig>>,
    (sources, inputs): (Vec<SourceConfig>, Vec<InputConfig>),
    http: &HttpConfig,
    base: &Path,
    overrides: &Overrides,
) -> anyhow::Result<logwarden_ingest::Config> {
    let mut ingest = logwarden_ingest::Config { sources, inputs, ..Default::default() };
    if let Some(listeners) = listeners {
        ingest.listeners = listeners;
    }
    ingest.http.allow.clone_from(&http.allow);
    ingest.http.source.clone_from(&http.source);
    if let Some(address) = overrides.tcp {
        ingest.set_tcp(address);
    }
    for listener in &mut ingest.listeners {
        listener.insecure |= overrides.insecure;
        if let Some(tls) = &mut listener.tls {
            tls.cert = base.join(&tls.cert);
            tls.key = base.join(&tls.key);
            tls.client_ca = tls.client_ca.as_ref().map(|file| base.join(file));
            tls.client_crl = tls.client_crl.as_ref().map(|file| base.join(file));
        }
        listener.shared_key = listener.shared_key.take().map(|key| key.relative_to(base));
    }
    for input in &mut ingest.inputs {
        input.path = input.path.take().map(|path| base.join(path));
        input.password = input.password.take().map(|secret| secret.relative_to(base));
        input.token = input.token.take().map(|secret| secret.relative_to(base));
    }
    Ok(ingest)
}

fn lateness_of(source: &SourceConfig) -> (String, Duration) {
    (source.name.clone(), Duration::from_secs(source.lateness_secs))
}

/// Names of keys whose values nobody should see.
const SECRET_KEYS: [&str; 5] = ["password", "secret", "token", "shared_key", "client_secret"];

fn masked(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| {
                    let value = match value {
                        _ if SECRET_KEYS.contains(&key.as_str()) => Value::String("***".to_owned()),
                        Value::String(url) if key == "url" => Value::String(without_path(&url)),
                        other => masked(other),
                    };
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(masked).collect()),
        Value::String(text) => Value::String(without_user(text)),
        other => other,
    }
}

/// A URL up to its path, which often is a webhook's password; a reference to one as it is.
fn without_path(text: &str) -> String {
    if SecretRef::is_reference(text) {
        return text.to_owned();
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.path(), "" | "/") && url.query().is_none() => {
            without_user(text.to_owned())
        }
        Ok(url) => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{}://{host}:{port}/***", url.scheme()),
            (Some(host), None) => format!("{}://{host}/***", url.scheme()),
            (None, _) => format!("{}:***", url.scheme()),
        },
        Err(_) => "***".to_owned(),
    }
}

/// A text; of a URL what signs in is hidden.
fn without_user(text: String) -> String {
    let parsed = Url::parse(&text).ok().filter(|url| url.has_host());
    let Some(mut url) = parsed else { return text };
    if url.username().is_empty() && url.password().is_none() {
        return text;
    }
    match url.set_password(None).and_then(|()| url.set_username("***")) {
        Ok(()) => url.into(),
        Err(()) => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = toml::from_str(text).map_err(anyhow::Error::from);
        let assembled = parsed.and_then(|file| {
            assemble(file, serde_json::Value::Null, Path::new("/etc/lw"), &Overrides::default())
        });
        let said = match assembled {
            Ok(config) => format!("{} {}", config.store.data_dir.display(), config.http.listen),
            Err(error) => format!("{error:#}"),
        };
        assert!(said.contains(expected), "`{text}` gave: {said}");
    }

    #[test]
    fn an_empty_file_is_safe_and_a_wrong_one_says_where() {
        check("", "logwarden-data 127.0.0.1:7514");
        check("data_dir = \"data\"", "/etc/lw/data");
        check("[http]\nlisten = \"0.0.0.0:80\"", "http.listen: `0.0.0.0:80` is not loopback");
        check("[http]\nlisten = \"0.0.0.0:80\"\ninsecure = true", "0.0.0.0:80");
        check(
            "[http]\nproxy_protocol = true",
            "http.proxy_protocol: `trusted_proxies` names nobody",
        );
        check("[http]\nlitsen = \"x\"", "line 2");
        check("public_url = \"https://logs.example/lw\"", "127.0.0.1:7514");
        check("security_contact = \"mailto:security@example.org\"", "127.0.0.1:7514");
        for contact in ["security@example.org", "javascript:alert(1)", "mailto:a\\nExpires: x"] {
            check(&format!("security_contact = \"{contact}\""), "security_contact: must be");
        }
        for address in ["javascript:alert(1)", "ftp://logs.example", "logs.example", "https://", ""]
        {
            check(&format!("public_url = \"{address}\""), "public_url: must begin with `https://`");
        }
        check("[[retention]]\ndataset = \"a\"", "retention[0]: either `keep_days`");
        check("[[retention]]\ndataset = \"a\"\nkeep_days = 9", "127.0.0.1:7514");
        check("nonsense = 1", "unknown field `nonsense`");
        let role = "[[roles]]\nname = \"eu\"\nbase = \"reader\"\n";
        check(&format!("{role}filter = \"zone:eu\"\nmask = [\"user\"]"), "127.0.0.1:7514");
        check(&format!("{role}filter = \"(zone\""), "roles[0].filter: ");
        check(&format!("{role}filter = \"* | head 1\""), "roles[0].filter: a filter has no pipes");
        check(&format!("{role}mask = [\"dataset\"]"), "roles[0].mask: `dataset` is no field");
        let oidc = "[[oidc]]\nname = \"corp\"\nclient_id = \"lw\"\nissuer = \"http";
        check(&format!("{oidc}s://id.example\""), "127.0.0.1:7514");
        check(&format!("{oidc}://id.example\""), "oidc[0].issuer: `https://` is needed");
        let group = "roles = [{ group = \"soc\", role = \"eu\" }]";
        check(&format!("{oidc}s://id.example\"\n{group}"), "oidc[0].there is no role `eu`");
        let certificate = "[[certificates]]\nname = \"*.edge.example\"\n";
        check(certificate, "127.0.0.1:7514");
        let nobody = format!("{certificate}role = \"eu\"");
        check(&nobody, "certificates[0].role: there is no role `eu`");
        check("[[roles]]\nname = \"eu\"\nbase = \"admin\"", "roles: role `eu`: `base` is");
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let value = serde_json::json!({ "notifiers": [{ "password": "file:x", "name": "n" }] });
        assert_eq!(
            masked(value),
            serde_json::json!({ "notifiers": [{ "password": "***", "name": "n" }] })
        );
        let value = serde_json::json!({ "url": "https://hooks.example/services/T0/key?x=1" });
        assert_eq!(masked(value), serde_json::json!({ "url": "https://hooks.example/***" }));
        for (text, shown) in [
            ("https://user:s3cret@s3.example", "https://***@s3.example/"),
            ("https://token@s3.example:9000/x", "https://***@s3.example:9000/x"),
            ("127.0.0.1:7514", "127.0.0.1:7514"),
            ("file:secrets/key", "file:secrets/key"),
        ] {
            let value = serde_json::json!({ "endpoint": text, "all": [text] });
            let expected = serde_json::json!({ "endpoint": shown, "all": [shown] });
            assert_eq!(masked(value), expected);
        }
        assert_eq!(without_path("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
        assert_eq!(without_path("nats://u:p@127.0.0.1:4222/s3cret"), "nats://127.0.0.1:4222/***");
        let value = serde_json::json!({ "url": "env:HOOK_URL" });
        assert_eq!(masked(value.clone()), value);
    }

    #[test]
    fn a_wrong_notifier_is_named_with_its_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("logwarden.toml");
        let check = |text: &str, expected: &str| {
            std::fs::write(&file, text).expect("written");
            let checked = load_checked(Some(&file), &Overrides::default());
            let said = checked.map_or_else(|error| format!("{error:#}"), |_| "good".to_owned());
            assert!(said.contains(expected), "`{text}` gave: {said}");
        };
        let hook =
            "[[notifiers]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://a.example/\"\n";
        check(hook, "good");
        check(
            &format!("{hook}sekret = \"env:X\"\n"),
            "line 5: notifiers[0].sekret: unknown field `sekret`, expected `secret`",
        );
        check(
            &format!("{hook}\n[[routes]]\nnotify = [\"a\", \"b\"]\n"),
            "line 7: routes[0].notify: there is no notifier `b`",
        );
        // What a notifier names starts at the file, whatever the working directory.
        std::fs::write(dir.path().join("hook.secret"), "s3cret").expect("written");
        check(&format!("{hook}secret = \"file:hook.secret\"\n"), "good");
    }

    #[test]
    fn how_late_a_source_may_be_reaches_the_rules() {
        let file = toml::from_str("[[sources]]\nname = \"edge\"\nlateness_secs = 900\n");
        let file = file.expect("a file");
        let config = assemble(file, serde_json::Value::Null, Path::new(""), &Overrides::default())
            .expect("good");
        assert_eq!(config.alerting.lateness.get("edge"), Some(&Duration::from_secs(900)));
    }
}
