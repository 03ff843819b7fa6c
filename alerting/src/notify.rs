//! Telling people: who can be told about which alert, and how that goes.
//!
//! What is to be told lies in the outbox, written in the transaction that opened the alert
//! (`notify/outbox.rs`); each notifier has a worker of its own that sends from it. A kind of
//! notifier is one file below and one line of [`NOTIFIERS`].

mod address;
mod alertmanager;
mod breaker;
#[cfg(test)]
mod delivery;
pub(crate) mod direct;
mod discord;
mod email;
pub(crate) mod escalation;
pub(crate) mod growth;
pub(crate) mod handover;
mod hidden;
mod mattermost;
mod message;
mod ntfy;
mod opsgenie;
pub(crate) mod outbox;
mod pagerduty;
pub(crate) mod plan;
mod post;
pub mod rota;
pub(crate) mod route;
mod service;
#[cfg(test)]
mod services;
mod slack;
pub mod stored;
mod syslog;
mod teams;
mod telegram;
mod template;
mod tried;
mod webhook;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use logwarden_event::{NotificationId, Timestamp};
use logwarden_query::Mask;
use logwarden_store::Statement;
use serde_json::{Map, Value};

use crate::alert::{Alert, AlertSummary};
use crate::config::{Config, EscalationConfig, NotifierConfig, RotaConfig, RouteConfig};
use crate::error::AlertingError;
use crate::rule::{Rule, RuleState};
use plan::{Pending, Plan, Told, group_of, insert};
use rota::Rota;
use route::{Asked, ROTA, Route, Taken};
use stored::Stored;

pub use direct::Trouble;
pub(crate) use plan::{Occasion, Quiet};

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
/// Rotas one configuration may have.
const ROTAS_MAX: usize = 64;
/// The field by which an alert of our own names the notifier that fails. No sender can set it.
const ABOUT_NOTIFIER: &str = "lw.notifier";
/// Bytes of a notifier's name.
const NAME_BYTES_MAX: usize = 100;
/// How often a digest is sent where a route does not say.
const DIGEST_DEFAULT: Duration = Duration::from_secs(3_600);
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

    /// Whether it wakes people: alerts about events that came late are then noted and not sent.
    fn pages(&self) -> bool {
        false
    }

    /// Who could use a link that acknowledges an alert; `None`: its messages carry none.
    fn acknowledges(&self) -> Option<String> {
        None
    }

    /// What it sends, as the receiver gets it, without secrets.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the message cannot be written.
    fn text(&self, message: &Outgoing) -> Result<String, SendError>;

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
    /// What it is about; `None` for a test, a sign of life and a trouble of the server.
    pub alert: Option<Alert>,
    /// What is wrong with the server, or was, where no alert can tell of it.
    pub trouble: Option<Trouble>,
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
    /// The token of a link that acknowledges the alert.
    pub acknowledge: Option<String>,
    /// The rule wakes people also for events that came late.
    pub page_late: bool,
}

/// Whether a notifier gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifierState {
    /// Its last attempt succeeded, or there was none.
    Ok,
    /// Its last attempt failed.
    Failing,
    /// It failed so often that it is left alone until then.
    Paused(Timestamp),
}

impl NotifierState {
    /// The word used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Paused(_) => "paused",
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
    /// What it was sent, without secrets.
    pub text: String,
}

/// A notifier under its name.
#[derive(Clone)]
pub(crate) struct Named {
    pub name: String,
    pub kind: &'static str,
    pub notifier: Arc<dyn Notifier>,
    /// The fields that its receivers may not see.
    pub mask: Mask,
}

/// Who is told about which alert.
#[derive(Clone, Default)]
pub(crate) struct Routing {
    notifiers: Vec<Named>,
    routes: Vec<Route>,
    rotas: Vec<Rota>,
    /// Where the dashboard is reached, without a slash at the end.
    pub public_url: String,
    /// What was written over the API and does not work any more.
    pub problems: Vec<String>,
}

impl Routing {
    /// Makes the notifiers of a configuration and of what was written, and checks rotas and routes.
    /// What was written and cannot be used any more is left out and said.
    pub(crate) fn new(config: &Config, stored: &Stored) -> Result<Self, AlertingError> {
        let mut routing = Self::configured(config)?;
        let configured = Stored::default();
        let mut usable = configured.clone();
        let mut problems = Vec::new();
        let mut is_usable = |trial: &Stored| match Self::strict(config, trial) {
            Ok(found) => {
                routing = found;
                true
            }
            Err(error) => {
                problems.push(format!("written {error}"));
                false
            }
        };
        if is_usable(stored) {
            return Ok(routing);
        }
        for notifier in &stored.notifiers.items {
            usable.notifiers.items.push(notifier.clone());
            if !is_usable(&usable) {
                usable.notifiers.items.pop();
            }
        }
        for rota in &stored.rotas.items {
            usable.rotas.items.push(rota.clone());
            if !is_usable(&usable) {
                usable.rotas.items.pop();
            }
        }
        for route in &stored.routes.items {
            usable.routes.items.push(route.clone());
            if !is_usable(&usable) {
                usable.routes.items.pop();
            }
        }
        for problem in &problems {
            tracing::warn!(%problem, "a notifier, rota or route is left out");
        }
        routing.problems = problems;
        Ok(routing)
    }

    /// The same; what cannot be used is an error with its place.
    pub(crate) fn strict(config: &Config, stored: &Stored) -> Result<Self, AlertingError> {
        let mut routing = Self::configured(config)?;
        for (place, notifier) in stored.notifiers.items.iter().enumerate() {
            let path = format!("notifiers[{place}]");
            stored::check_references(&path, &notifier.settings)?;
            routing.add_notifier(&path, notifier, &config.base)?;
        }
        routing.add_rotas(&stored.rotas.items)?;
        routing.add_routes(&stored.routes.items)?;
        Ok(routing)
    }

    /// What the configuration file says.
    fn configured(config: &Config) -> Result<Self, AlertingError> {
        let mut routing = Self::default();
        for (place, notifier) in config.notifiers.iter().enumerate() {
            routing.add_notifier(&format!("notifiers[{place}]"), notifier, &config.base)?;
        }
        routing.add_rotas(&config.rotas)?;
        routing.add_routes(&config.routes)?;
        let public_url = config.public_url.as_deref().unwrap_or_default();
        public_url.trim_end_matches('/').clone_into(&mut routing.public_url);
        Ok(routing)
    }

    fn add_notifier(
        &mut self,
        path: &str,
        notifier: &NotifierConfig,
        base: &Path,
    ) -> Result<(), AlertingError> {
        if self.notifiers.len() >= NOTIFIERS_MAX {
            return Err(AlertingError::config("notifiers", format!("more than {NOTIFIERS_MAX}")));
        }
        let kind = NOTIFIERS.iter().find(|kind| kind.name() == notifier.kind).ok_or_else(|| {
            let known: Vec<&str> = NOTIFIERS.iter().map(|kind| kind.name()).collect();
            let message = format!("`{}` is none of {}", notifier.kind, known.join(", "));
            AlertingError::config(format!("{path}.kind"), message)
        })?;
        let name = notifier.name.clone();
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
            && !name.starts_with(ROTA)
            && !name.chars().any(char::is_control);
        if !is_name {
            let message = format!(
                "has 1 to {NAME_BYTES_MAX} bytes, no control characters, and does not begin with {ROTA}"
            );
            return Err(AlertingError::config(format!("{path}.name"), message));
        }
        if self.notifiers.iter().any(|known| known.name == name) {
            let message = format!("`{name}` is taken by another notifier");
            return Err(AlertingError::config(format!("{path}.name"), message));
        }
        let mut settings = notifier.settings.clone();
        let mask = hidden::take(path, &mut settings)?;
        let built = kind.build(path, &settings, base)?;
        self.notifiers.push(Named { name, kind: kind.name(), notifier: built, mask });
        Ok(())
    }

    fn add_rotas(&mut self, configs: &[RotaConfig]) -> Result<(), AlertingError> {
        for (place, config) in configs.iter().enumerate() {
            let path = format!("rotas[{place}]");
            if self.rotas.iter().any(|known| known.name == config.name) {
                let message = format!("`{}` is taken by another rota", config.name);
                return Err(AlertingError::config(format!("{path}.name"), message));
            }
            if self.rotas.len() >= ROTAS_MAX {
                return Err(AlertingError::config("rotas", format!("more than {ROTAS_MAX}")));
            }
            let knows = |name: &str| self.notifiers.iter().any(|known| known.name == name);
            let rota = Rota::new(&path, config, &knows)?;
            self.rotas.push(rota);
        }
        Ok(())
    }

    fn add_routes(&mut self, configs: &[RouteConfig]) -> Result<(), AlertingError> {
        let knows = |name: &str| match name.strip_prefix(ROTA) {
            Some(rota) => self.rotas.iter().any(|known| known.name == rota),
            None => self.notifiers.iter().any(|known| known.name == name),
        };
        let routes = Route::all("routes", configs, &knows)?;
        self.routes.extend(routes);
        Ok(())
    }

    /// Routes every alert to these.
    #[cfg(test)]
    pub(crate) fn of(notifiers: Vec<Named>) -> Self {
        Self { notifiers, ..Self::default() }
    }

    /// Routes alerts to these as `config` says, whose own notifiers do not count.
    #[cfg(test)]
    pub(crate) fn of_config(notifiers: Vec<Named>, config: &Config) -> Result<Self, AlertingError> {
        let mut routing = Self::of(notifiers);
        routing.add_rotas(&config.rotas)?;
        routing.add_routes(&config.routes)?;
        Ok(routing)
    }

    /// Every notifier but the one of this name.
    pub(crate) fn others(&self, name: &str) -> Vec<Named> {
        self.notifiers.iter().filter(|known| known.name != name).cloned().collect()
    }

    /// Every notifier.
    pub(crate) fn notifiers(&self) -> &[Named] {
        &self.notifiers
    }

    /// Every rota.
    pub(crate) fn rotas(&self) -> &[Rota] {
        &self.rotas
    }

    /// Whether a name is that of a notifier or a rota.
    pub(crate) fn has(&self, name: &str) -> bool {
        match name.strip_prefix(ROTA) {
            Some(rota) => self.rotas.iter().any(|known| known.name == rota),
            None => self.notifiers.iter().any(|known| known.name == name),
        }
    }

    /// The notifiers that these names stand for now, each once, with why where a rota says so.
    pub(crate) fn named_by(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Vec<(&Named, Option<String>)> {
        let mut told: Vec<(&Named, Option<String>)> = Vec::new();
        let mut add = |name: &str, why: Option<String>| {
            let known = self.notifiers.iter().find(|known| known.name == name);
            if let Some(known) = known
                && !told.iter().any(|(before, _)| before.name == known.name)
            {
                told.push((known, why));
            }
        };
        for name in names {
            let Some(rota) = name.strip_prefix(ROTA) else {
                add(name, None);
                continue;
            };
            for rota in self.rotas.iter().filter(|known| known.name == rota) {
                let person = rota.on_duty(now);
                for name in &person.notify {
                    add(name, Some(format!("{} is on duty", person.name)));
                }
            }
        }
        told
    }

    /// Who is told about a new alert of this rule, how and when.
    pub(crate) fn for_alert<'a>(
        &'a self,
        rule: &'a Rule,
        summary: &AlertSummary,
        occasion: Occasion<'a>,
    ) -> Told<'a> {
        if rule.settings.state == RuleState::Testing {
            return Told::Nobody("nobody is told: the rule is being tested");
        }
        let silenced = match occasion.quiet {
            Some(Quiet::Nobody(reason)) => Some(reason.as_str()),
            _ => None,
        };
        let now = occasion.now;
        let taken = self.taken(rule, summary, now);
        let everybody: Vec<String>;
        let names = match (self.named_in(rule), &taken) {
            (Some(names), _) => names,
            (None, Some(taken)) => taken.notify,
            (None, None) if self.routes.is_empty() => {
                everybody = self.notifiers.iter().map(|known| known.name.clone()).collect();
                &everybody
            }
            (None, None) => {
                return Told::Nobody(silenced.unwrap_or("nobody is told: no route takes it"));
            }
        };
        let told = self.named_by(names, now).into_iter().map(|(named, _)| named).collect();
        let told = self.past_failing(summary, told);
        let mut plan = Plan { told, event: "alert.opened", due: now, ..Plan::default() };
        if let Some(taken) = &taken {
            plan.route = taken.route;
        }
        if silenced.is_some() {
            plan.silenced = silenced;
            return Told::These(plan);
        }
        if let Some(taken) = taken {
            plan.escalate = taken.escalate;
            plan.digest(taken.digest, now);
            if plan.event == "alert.opened" && !taken.group_by.is_empty() {
                plan.group = group_of(&taken, summary);
                plan.due = now.saturating_add(taken.group_wait);
            }
        }
        if let Some(Quiet::Digest(reason)) = occasion.quiet {
            plan.why = Some(reason);
            plan.escalate = &[];
            let every = taken.and_then(|taken| taken.digest).unwrap_or(DIGEST_DEFAULT);
            plan.digest(Some(every), now);
        }
        Told::These(plan)
    }

    /// The notifiers that the rule itself names. Where there is none of them any more the routes decide, for somebody
    /// has to be told.
    fn named_in<'a>(&self, rule: &'a Rule) -> Option<&'a [String]> {
        let names = rule.settings.notify.as_deref()?;
        let is_usable = names.is_empty() || names.iter().any(|name| self.has(name));
        is_usable.then_some(names)
    }

    /// The route that takes an alert of this rule, where the rule itself names nobody.
    pub(crate) fn taken<'a>(
        &'a self,
        rule: &Rule,
        summary: &AlertSummary,
        now: Timestamp,
    ) -> Option<Taken<'a>> {
        if self.named_in(rule).is_some() {
            return None;
        }
        let group = &summary.group;
        let asked = Asked { rule: Some(rule), severity: summary.severity, group, now };
        route::find(&self.routes, asked)
    }

    /// The same without the notifier that the alert itself is about; when nobody is left, all others.
    fn past_failing<'a>(
        &'a self,
        summary: &AlertSummary,
        mut told: Vec<&'a Named>,
    ) -> Vec<&'a Named> {
        let Some((_, failing)) = summary.group.iter().find(|(field, _)| field == ABOUT_NOTIFIER)
        else {
            return told;
        };
        told.retain(|named| named.name != *failing);
        if told.is_empty() {
            told.extend(self.notifiers.iter().filter(|named| named.name != *failing));
        }
        told
    }

    /// What the routes say about an alert of this kind, without opening one.
    pub(crate) fn asked(&self, asked: Asked<'_>) -> RouteAnswer {
        let of_rule = asked.rule.and_then(|rule| self.named_in(rule)).map(<[String]>::to_vec);
        let taken = match of_rule {
            Some(_) => None,
            None => route::find(&self.routes, asked),
        };
        let everybody = || self.notifiers.iter().map(|known| known.name.clone()).collect();
        let names: Vec<String> = match (&taken, of_rule) {
            (_, Some(names)) => names,
            (Some(taken), None) => taken.notify.to_vec(),
            (None, None) if self.routes.is_empty() => everybody(),
            (None, None) => Vec::new(),
        };
        let told = |names: &[String]| {
            let told = self.named_by(names, asked.now).into_iter();
            told.map(|(named, why)| (named.name.clone(), why)).collect()
        };
        let step = |step: &EscalationConfig| (step.after_mins.get(), told(&step.notify));
        RouteAnswer {
            route: taken.map(|taken| taken.route.to_owned()),
            told: told(&names),
            digest_mins: taken.and_then(|taken| taken.digest).map(|every| every.as_secs() / 60),
            escalate: taken
                .map(|taken| taken.escalate.iter().map(step).collect())
                .unwrap_or_default(),
        }
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
            .map(|named| insert(summary, named, &Pending::now(event, &occasion, now)))
            .collect()
    }
}

/// Who would be told about an alert: names of notifiers, with why where a rota says so.
pub type ToldNames = Vec<(String, Option<String>)>;

/// What the routes say about an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAnswer {
    /// The route that takes it; `None`: none does, or the rule itself names notifiers.
    pub route: Option<String>,
    /// Who is told.
    pub told: ToldNames,
    /// In a digest every so many minutes; `None`: at once.
    pub digest_mins: Option<u64>,
    /// Who is told after so many minutes when nobody acknowledges.
    pub escalate: Vec<(u32, ToldNames)>,
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
