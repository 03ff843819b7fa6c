//! Notifiers, routes and rotas that administrators write over the API, beside those of the
//! configuration file.
//!
//! Each kind is one document with a version, so that nobody overwrites what they have not read. What
//! is written is checked with the whole configuration first. Secrets are references here too, and
//! only to what the operator has laid out for this: variables named `LOGWARDEN_…`, and files in
//! `secrets/` beside the configuration file; otherwise whoever may write notifiers could read any
//! file of the host.

use std::path::{Component, Path};

use logwarden_event::{NotificationId, Timestamp};
use logwarden_store::{Catalog, Statement, Step, StepOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::Routing;
use super::rota::Turn;
use crate::alert::lifecycle::commit;
use crate::alert::tables::{Columns, instant, integer, rows, text};
use crate::config::{NotifierConfig, RotaConfig, RouteConfig};
use crate::{Alerting, AlertingError};

/// Bytes of one document.
const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// What a masked address ends with.
const MASK: &str = "/***";
/// The folder whose files may be named, beside the configuration file.
const FOLDER: &str = "secrets";
/// What the names of variables begin with that may be named.
const VARIABLE_PREFIX: &str = "LOGWARDEN_";
/// Settings that name a file.
const FILE_KEYS: [&str; 3] = ["ca", "cert", "key"];

/// What was written of one kind, with how often that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<T> {
    /// Changes so far.
    pub version: u64,
    /// In their order.
    pub items: Vec<T>,
}

impl<T> Default for Document<T> {
    fn default() -> Self {
        Self { version: 0, items: Vec::new() }
    }
}

/// Everything that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub notifiers: Document<NotifierConfig>,
    pub routes: Document<RouteConfig>,
    pub rotas: Document<RotaConfig>,
}

/// One kind: those of the configuration file, and those that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both<T> {
    /// Of the file; they come first and are changed there.
    pub configured: Vec<T>,
    /// Written over the API.
    pub written: Document<T>,
}

/// A rota with who is on duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The rota's name.
    pub rota: String,
    /// From now on, one after the other.
    pub turns: Vec<Turn>,
}

impl Stored {
    /// Reads the documents.
    pub(crate) async fn load(catalog: &dyn Catalog) -> Result<Self, AlertingError> {
        Ok(Self {
            notifiers: load(catalog, "notifiers").await?,
            routes: load(catalog, "routes").await?,
            rotas: load(catalog, "rotas").await?,
        })
    }
}

async fn load<T: DeserializeOwned>(
    catalog: &dyn Catalog,
    name: &str,
) -> Result<Document<T>, AlertingError> {
    let statement = Statement {
        sql: "SELECT version, body FROM alerting_settings WHERE name = ?1",
        values: vec![text(name)],
    };
    let answers = catalog.query(vec![statement]).await?;
    let Some(row) = rows(&answers, 0).first() else { return Ok(Document::default()) };
    let mut columns = Columns::of(row);
    Ok(Document { version: columns.count()?, items: columns.json()? })
}

/// Refuses what a written notifier may not name.
pub(super) fn check_references(
    path: &str,
    settings: &Map<String, Value>,
) -> Result<(), AlertingError> {
    for (key, value) in settings {
        let fault = |message: String| AlertingError::config(format!("{path}.{key}"), message);
        let is_inside = |file: &str| {
            let mut parts = Path::new(file).components();
            parts.next() == Some(Component::Normal(FOLDER.as_ref()))
                && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        let Some(value) = value.as_str() else { continue };
        let file =
            value.strip_prefix("file:").or(FILE_KEYS.contains(&key.as_str()).then_some(value));
        if let Some(file) = file
            && !is_inside(file)
        {
            return Err(fault(format!(
                "names a file in `{FOLDER}/` beside the configuration file, such as file:{FOLDER}/pager"
            )));
        }
        if let Some(name) = value.strip_prefix("env:")
            && !name.starts_with(VARIABLE_PREFIX)
        {
            return Err(fault(format!("names a variable that begins with {VARIABLE_PREFIX}")));
        }
        if ["exec:", "vault:"].iter().any(|kind| value.starts_with(kind)) {
            return Err(fault(String::from("is for the configuration file only")));
        }
    }
    Ok(())
}

/// An address up to its path, which often is a password.
fn masked(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) if url.path() == "/" && url.query().is_none() => address.to_owned(),
        Ok(url) if url.has_host() => format!("{}{MASK}", url.origin().ascii_serialization()),
        _ => address.to_owned(),
    }
}

impl NotifierConfig {
    /// The same with its address masked, for people.
    pub fn masked(mut self) -> Self {
        if let Some(Value::String(address)) = self.settings.get_mut("url") {
            *address = masked(address);
        }
        self
    }

    /// Takes the address of `before` where this one's is that masked: it was not changed.
    fn unmasked(mut self, before: &[Self]) -> Self {
        let known = before.iter().find(|known| known.name == self.name);
        let known = known.and_then(|known| known.settings.get("url")).and_then(Value::as_str);
        if let (Some(Value::String(address)), Some(known)) = (self.settings.get_mut("url"), known)
            && address.ends_with(MASK)
            && *address == masked(known)
        {
            known.clone_into(address);
        }
        self
    }
}

impl Alerting {
    /// The notifiers, addresses masked.
    pub fn notifier_settings(&self) -> Both<NotifierConfig> {
        let settings = crate::read(&self.shared.settings);
        let masked =
            |all: &[NotifierConfig]| all.iter().cloned().map(NotifierConfig::masked).collect();
        let written = &settings.stored.notifiers;
        Both {
            configured: masked(&settings.config.notifiers),
            written: Document { version: written.version, items: masked(&written.items) },
        }
    }

    /// The routes, from the top.
    pub fn route_settings(&self) -> Both<RouteConfig> {
        let settings = crate::read(&self.shared.settings);
        Both { configured: settings.config.routes.clone(), written: settings.stored.routes.clone() }
    }

    /// The rotas.
    pub fn rota_settings(&self) -> Both<RotaConfig> {
        let settings = crate::read(&self.shared.settings);
        Both { configured: settings.config.rotas.clone(), written: settings.stored.rotas.clone() }
    }

    /// Who is on duty in each rota from now on, `turns` turns at most.
    pub fn duties(&self, turns: usize) -> Vec<Duty> {
        let now = self.shared.store.clock.now();
        let routing = self.shared.routing();
        let duty = |rota: &super::rota::Rota| Duty {
            rota: rota.name.clone(),
            turns: rota.turns(now, turns),
        };
        routing.rotas().iter().map(duty).collect()
    }

    /// Who would be told now of an alert of this rule and severity.
    pub fn ask_routes(
        &self,
        rule: &str,
        severity: crate::Level,
        group: &[(String, String)],
        at: Option<Timestamp>,
    ) -> super::RouteAnswer {
        let rules = self.shared.rules();
        let now = at.unwrap_or_else(|| self.shared.store.clock.now());
        let asked = super::route::Asked { rule: rules.find(rule), severity, group, now };
        self.shared.routing().asked(asked)
    }

    /// Sends a notification that was sent or given up once more, under the id it had.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Conflict`] when there is none of this id, or it waits to be sent anyway.
    pub async fn send_again(&self, id: NotificationId) -> Result<(), AlertingError> {
        let now = self.shared.store.clock.now();
        let statement = Statement {
            sql: "UPDATE alerting_outbox SET state = 'pending', next_ns = ?2, created_ns = ?2,
                    attempts = CASE WHEN attempts > 0 THEN 1 ELSE 0 END, answer = ''
                WHERE id = ?1 AND state <> 'pending'",
            values: vec![text(id.to_string()), instant(now)],
        };
        let step = Step { statements: vec![statement], ..Step::default() };
        let outcome = self.shared.store.catalog.step(step).await?;
        if !matches!(outcome, StepOutcome::Done { ref changed, .. } if changed == &[1]) {
            let message = "there is none of this id that was sent or given up";
            return Err(AlertingError::Conflict(message.to_owned()));
        }
        self.shared.wake_workers();
        Ok(())
    }

    /// What written settings do not work any more, because the configuration file changed.
    pub fn routing_problems(&self) -> Vec<String> {
        self.shared.routing().problems.clone()
    }

    /// Sets the written notifiers; answers the new version. `expected`: the version that was read.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Conflict`] when it is another one now, [`AlertingError::Config`] with the
    /// place of what cannot be used, [`AlertingError::Catalog`].
    pub async fn set_notifiers(
        &self,
        items: Vec<NotifierConfig>,
        expected: Option<u64>,
    ) -> Result<u64, AlertingError> {
        let change = |stored: &mut Stored| {
            let before = std::mem::take(&mut stored.notifiers.items);
            stored.notifiers.items = items.into_iter().map(|item| item.unmasked(&before)).collect();
        };
        self.change_stored("notifiers", expected, change, |stored| &stored.notifiers).await
    }

    /// Sets the written routes. As [`Alerting::set_notifiers`].
    ///
    /// # Errors
    ///
    /// As [`Alerting::set_notifiers`].
    pub async fn set_routes(
        &self,
        items: Vec<RouteConfig>,
        expected: Option<u64>,
    ) -> Result<u64, AlertingError> {
        let change = |stored: &mut Stored| stored.routes.items = items;
        self.change_stored("routes", expected, change, |stored| &stored.routes).await
    }

    /// Sets the written rotas. As [`Alerting::set_notifiers`].
    ///
    /// # Errors
    ///
    /// As [`Alerting::set_notifiers`].
    pub async fn set_rotas(
        &self,
        items: Vec<RotaConfig>,
        expected: Option<u64>,
    ) -> Result<u64, AlertingError> {
        let change = |stored: &mut Stored| stored.rotas.items = items;
        self.change_stored("rotas", expected, change, |stored| &stored.rotas).await
    }

    async fn change_stored<T: Serialize>(
        &self,
        name: &'static str,
        expected: Option<u64>,
        change: impl FnOnce(&mut Stored),
        document: impl Fn(&Stored) -> &Document<T>,
    ) -> Result<u64, AlertingError> {
        // Whoever writes alerts waits: an alert is routed by settings that are on disk.
        let _writing = self.shared.writing.lock().await;
        let (config, mut stored) = {
            let settings = crate::read(&self.shared.settings);
            (settings.config.clone(), settings.stored.clone())
        };
        let found = document(&stored).version;
        if expected.is_some_and(|expected| expected != found) {
            return Err(AlertingError::Conflict(format!(
                "{name} were changed: version {found} now"
            )));
        }
        change(&mut stored);
        let version = found + 1;
        let body = serde_json::to_string(&document(&stored).items)
            .map_err(|error| AlertingError::Invalid(error.to_string()))?;
        if body.len() > DOCUMENT_BYTES_MAX {
            let message = format!("{name} have more than {DOCUMENT_BYTES_MAX} bytes");
            return Err(AlertingError::Invalid(message));
        }
        match name {
            "notifiers" => stored.notifiers.version = version,
            "routes" => stored.routes.version = version,
            _ => stored.rotas.version = version,
        }
        let both = (config.clone(), stored.clone());
        let routing = crate::resolving(move || Routing::strict(&both.0, &both.1)).await?;
        let statement = Statement {
            sql: "INSERT INTO alerting_settings (name, version, body) VALUES (?1, ?2, ?3)
                ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body",
            values: vec![text(name), integer(version), text(body)],
        };
        let step = Step { statements: vec![statement], ..Step::default() };
        commit(&*self.shared.store.catalog, step).await?;
        {
            let mut settings = crate::write(&self.shared.settings);
            settings.stored = stored;
            settings.routing = routing;
        }
        self.shared.routing_changes.send_modify(|count| *count += 1);
        Ok(version)
    }
}

/// The next digest of this period: periods begin at midnight UTC.
pub(super) fn next_digest(now: Timestamp, every: std::time::Duration) -> Timestamp {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    let day_begins = now.secs() - now.secs().rem_euclid(86_400);
    let periods = (now.secs() - day_begins) / every + 1;
    Timestamp::from_secs(day_begins.saturating_add((periods * every).min(86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_notifier_reads_only_what_was_laid_out_for_it() {
        for (settings, is_good) in [
            (r#"{"secret": "file:secrets/hook"}"#, true),
            (r#"{"secret": "env:LOGWARDEN_HOOK"}"#, true),
            (r#"{"url": "https://hooks.example/x", "allow_http": false}"#, true),
            (r#"{"secret": "file:/etc/shadow"}"#, false),
            (r#"{"secret": "file:secrets/../logwarden.toml"}"#, false),
            (r#"{"secret": "file:secrets"}"#, true),
            (r#"{"url": "env:AWS_SECRET_ACCESS_KEY"}"#, false),
            (r#"{"secret": "exec:/bin/cat /etc/shadow"}"#, false),
            (r#"{"url": "exec:/bin/cat /etc/shadow"}"#, false),
            (r#"{"secret": "vault:secret/data/x#y"}"#, false),
            (r#"{"ca": "/etc/ssl/own.pem"}"#, false),
            (r#"{"ca": "secrets/own.pem"}"#, true),
        ] {
            let parsed: Map<String, Value> = serde_json::from_str(settings).expect("JSON");
            assert_eq!(check_references("notifiers[0]", &parsed).is_ok(), is_good, "{settings}");
        }
    }

    #[test]
    fn an_address_that_comes_back_masked_was_not_changed() {
        let of = |url: &str| -> NotifierConfig {
            let json = format!(r#"{{"name": "n", "kind": "webhook", "url": "{url}"}}"#);
            serde_json::from_str(&json).expect("a notifier")
        };
        let known = of("https://hooks.example/services/key");
        assert_eq!(known.clone().masked(), of("https://hooks.example/***"));
        let back = known.clone().masked().unmasked(std::slice::from_ref(&known));
        assert_eq!(back, known);
        let other = of("https://other.example/***");
        assert_eq!(other.clone().unmasked(std::slice::from_ref(&known)), other);
    }

    #[test]
    fn digests_come_at_even_times() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).expect("a time");
        let hour = std::time::Duration::from_secs(3_600);
        for (now, every, next) in [
            ("2026-12-01T10:20:00Z", hour, "2026-12-01T11:00:00Z"),
            ("2026-12-01T11:00:00Z", hour, "2026-12-01T12:00:00Z"),
            ("2026-12-01T23:59:59Z", hour * 7, "2026-12-02T00:00:00Z"),
            ("2026-12-01T00:00:00Z", hour * 24, "2026-12-02T00:00:00Z"),
        ] {
            assert_eq!(next_digest(at(now), every), at(next), "{now}");
        }
    }
}
