//! Telling people: who can be told about which alert, and how that goes.
//!
//! What is to be told lies in the outbox, written in the transaction that opened the alert
//! (`notify/outbox.rs`); each notifier has a worker of its own that sends from it. A kind of
//! notifier is one file below and one line of [`NOTIFIERS`].

mod address;
mod alertmanager;
#[cfg(test)]
mod delivery;
mod discord;
mod email;
mod mattermost;
mod message;
mod ntfy;
mod opsgenie;
pub(crate) mod outbox;
mod pagerduty;
mod post;
mod service;
#[cfg(test)]
mod services;
mod slack;
mod syslog;
mod teams;
mod telegram;
mod template;
mod webhook;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use logwarden_event::{NotificationId, Timestamp};
use logwarden_store::Statement;
use serde_json::{Map, Value};

use crate::alert::lifecycle::timeline_entry;
use crate::alert::tables::{instant, text};
use crate::alert::{Alert, AlertSummary, TimelineKind};
use crate::config::{Config, RouteConfig};
use crate::error::AlertingError;
use crate::identity::notification_id;
use crate::rule::{Level, Rule, RuleState};

/// Every kind of notifier, in the order of the manual.
pub static NOTIFIERS: &[&dyn NotifierKind] = &[
    &email::Email,
    &webhook::Webhook,
    &slack::Slack,
    &teams::Teams,
    &pagerduty::PagerDuty,
    &opsgenie::Opsgenie,
    &alertmanager::Alertmanager,
    &mattermost::Mattermost,
    &discord::Discord,
    &ntfy::Ntfy,
    &telegram::Telegram,
    &syslog::Syslog,
];

/// Notifiers one configuration may have.
const NOTIFIERS_MAX: usize = 64;
/// Notifications per hour and notifier where nothing is said.
const PER_HOUR_MAX_DEFAULT: u32 = 30;

/// A kind of notifier.
pub trait NotifierKind: Sync {
    /// The word in the configuration and the API.
    fn name(&self) -> &'static str;

    /// Makes a notifier of its settings, which stand at `path` in the configuration; the files they
    /// name start at `base`.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Config`] with the setting that cannot be used.
    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError>;
}

/// Somebody who can be told.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Where it sends to, without secrets.
    fn target(&self) -> String;

    /// Whether it tells about such occasions, such as `alert.acknowledged`.
    fn wants(&self, event: &str) -> bool;

    /// Notifications it may send in an hour; `None`: any number.
    fn per_hour_max(&self) -> Option<u32>;

    /// Whether many alerts at once become one message that lists them.
    fn lists_alerts(&self) -> bool;

    /// How often it gives a sign of life, so that its silence is noticed.
    fn heartbeat(&self) -> Option<Duration>;

    /// Sends, within a bounded time; answers the receiver's words. The same message sent again
    /// carries the same id.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the receiver did not take it.
    async fn send(&self, message: &Outgoing) -> Result<String, SendError>;
}

/// Why a notification did not arrive; it is tried again. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SendError(pub String);

/// A notification on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The id a receiver sees at every attempt.
    pub id: NotificationId,
    /// What it says, such as `alert.opened` or `notifier.test`.
    pub event: String,
    /// What it is about; `None` for a test and a sign of life.
    pub alert: Option<Alert>,
    /// Alerts that were opened at about the same time and are told of in the same message.
    pub also: Vec<AlertSummary>,
    /// When this attempt is made.
    pub sent_at: Timestamp,
    /// Where the dashboard is reached, without a slash at the end; empty when that is not known.
    pub public_url: String,
    /// Notifications held back since the last one, because there were too many.
    pub held_back: u64,
    /// Through which notifier.
    pub notifier: String,
}

/// Whether a notifier gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifierState {
    /// Its last attempt succeeded, or there was none.
    Ok,
    /// Its last attempt failed.
    Failing,
}

impl NotifierState {
    /// The word used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }
}

/// A notifier as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierSummary {
    /// What routes call it.
    pub id: String,
    /// The same, for people.
    pub name: String,
    /// Its kind's [`NotifierKind::name`].
    pub kind: &'static str,
    /// Where it sends to, without secrets.
    pub target: String,
    /// Whether it gets through.
    pub state: NotifierState,
}

/// What a receiver said to a test notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestAnswer {
    /// Whether it was taken.
    pub ok: bool,
    /// Its words, or why there are none.
    pub answer: String,
}

/// A notifier under its name.
#[derive(Clone)]
pub(crate) struct Named {
    pub name: String,
    pub kind: &'static str,
    pub notifier: Arc<dyn Notifier>,
}

/// Who is told about which alert.
#[derive(Clone, Default)]
pub(crate) struct Routing {
    notifiers: Vec<Named>,
    routes: Vec<RouteConfig>,
    /// Where the dashboard is reached, without a slash at the end.
    pub public_url: String,
}

impl Routing {
    /// Makes the notifiers of a configuration and checks its routes.
    pub(crate) fn new(config: &Config) -> Result<Self, AlertingError> {
        if config.notifiers.len() > NOTIFIERS_MAX {
            return Err(AlertingError::config("notifiers", format!("more than {NOTIFIERS_MAX}")));
        }
        let mut notifiers: Vec<Named> = Vec::new();
        for (place, notifier) in config.notifiers.iter().enumerate() {
            let path = format!("notifiers[{place}]");
            let kind =
                NOTIFIERS.iter().find(|kind| kind.name() == notifier.kind).ok_or_else(|| {
                    let known: Vec<&str> = NOTIFIERS.iter().map(|kind| kind.name()).collect();
                    let message = format!("`{}` is none of {}", notifier.kind, known.join(", "));
                    AlertingError::config(format!("{path}.kind"), message)
                })?;
            if notifiers.iter().any(|known| known.name == notifier.name) {
                let message = format!("`{}` is taken by another notifier", notifier.name);
                return Err(AlertingError::config(format!("{path}.name"), message));
            }
            let built = kind.build(&path, &notifier.settings, &config.base)?;
            let name = notifier.name.clone();
            notifiers.push(Named { name, kind: kind.name(), notifier: built });
        }
        for (place, route) in config.routes.iter().enumerate() {
            let unknown =
                route.notify.iter().find(|name| !notifiers.iter().any(|n| n.name == **name));
            if let Some(name) = unknown {
                let message = format!("there is no notifier `{name}`");
                return Err(AlertingError::config(format!("routes[{place}].notify"), message));
            }
        }
        let public_url =
            config.public_url.as_deref().unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self { notifiers, routes: config.routes.clone(), public_url })
    }

    /// Routes every alert to these.
    #[cfg(test)]
    pub(crate) fn of(notifiers: Vec<Named>) -> Self {
        Self { notifiers, ..Self::default() }
    }

    /// Every notifier but the one of this name.
    pub(crate) fn others(&self, name: &str) -> Vec<Named> {
        self.notifiers.iter().filter(|known| known.name != name).cloned().collect()
    }

    /// Every notifier.
    pub(crate) fn notifiers(&self) -> &[Named] {
        &self.notifiers
    }

    /// Who is told about a new alert of this rule; `suppressed`: nobody, for this reason.
    pub(crate) fn for_alert<'a>(&'a self, rule: &Rule, suppressed: Option<&'a str>) -> Told<'a> {
        if rule.settings.state == RuleState::Testing {
            return Told::Nobody("nobody is told: the rule is being tested");
        }
        if let Some(reason) = suppressed {
            return Told::Nobody(reason);
        }
        let names = match &rule.settings.notify {
            Some(names) => Some(names.as_slice()),
            None => self.route(rule.level, rule),
        };
        let told = self.notifiers.iter().filter(|known| match names {
            Some(names) => names.contains(&known.name),
            None => self.routes.is_empty(),
        });
        Told::These(told.collect())
    }

    /// The statements that tell those who were told of an alert's opening what became of it.
    pub(crate) fn statements_for_told(
        &self,
        told: &[String],
        summary: &AlertSummary,
        event: &str,
        now: Timestamp,
    ) -> Vec<Statement> {
        // The same alert may be resolved and reopened many times; each time is an occasion.
        let occasion = format!("{event} {}", now.nanos());
        self.notifiers
            .iter()
            .filter(|named| told.contains(&named.name) && named.notifier.wants(event))
            .map(|named| insert(summary, event, &occasion, &named.name, named.kind, now))
            .collect()
    }

    fn route(&self, level: Level, rule: &Rule) -> Option<&[String]> {
        let takes = |route: &&RouteConfig| {
            route.severity_min.is_none_or(|least| level >= least)
                && (route.rules.is_empty() || route.rules.iter().any(|name| rule.is_called(name)))
        };
        self.routes.iter().find(takes).map(|route| route.notify.as_slice())
    }
}

/// Who is told about an alert.
pub(crate) enum Told<'a> {
    /// Nobody, for this reason.
    Nobody(&'a str),
    /// These.
    These(Vec<&'a Named>),
}

impl Told<'_> {
    /// The statements that put a notification for each of them into the outbox, or say in the
    /// alert's timeline why there is none.
    pub(crate) fn statements(
        &self,
        summary: &AlertSummary,
        event: &str,
        now: Timestamp,
    ) -> Vec<Statement> {
        match self {
            Self::Nobody(reason) => {
                vec![timeline_entry(summary.id, TimelineKind::Notified, None, reason, now)]
            }
            Self::These(told) => told
                .iter()
                .filter(|known| known.notifier.wants(event))
                .map(|known| insert(summary, event, event, &known.name, known.kind, now))
                .collect(),
        }
    }
}

/// The statement that puts a notification into the outbox. The same alert, occasion and notifier
/// come to the same id, so repeating it adds nothing.
pub(crate) fn insert(
    summary: &AlertSummary,
    event: &str,
    occasion: &str,
    notifier: &str,
    kind: &str,
    now: Timestamp,
) -> Statement {
    let id = notification_id(summary.id, occasion, notifier, summary.opened_at);
    Statement {
        sql: "INSERT INTO alerting_outbox (id, alert_id, notifier, kind, event, state, attempts,
                created_ns, next_ns, lease_until_ns, answer)
            VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 0, ?6, ?6, 0, '')
            ON CONFLICT (id) DO NOTHING",
        values: vec![
            text(id.to_string()),
            text(summary.id.to_string()),
            text(notifier),
            text(kind),
            text(event),
            instant(now),
        ],
    }
}

/// How often a sign of life is given, from its setting.
fn heartbeat(minutes: Option<NonZeroU32>) -> Option<Duration> {
    minutes.map(|minutes| Duration::from_secs(60 * u64::from(minutes.get())))
}

/// Reads a kind's settings; unknown keys and wrong types are errors that name them.
fn read_settings<T: serde::de::DeserializeOwned>(
    path: &str,
    settings: &Map<String, Value>,
) -> Result<T, AlertingError> {
    serde_json::from_value(Value::Object(settings.clone())).map_err(|error| {
        let message = error.to_string();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        match unknown {
            Some((key, _)) => AlertingError::config(format!("{path}.{key}"), message),
            None => AlertingError::config(path, message),
        }
    })
}
