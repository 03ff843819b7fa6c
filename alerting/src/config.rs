//! Settings of this crate: the file's `[rules]`, `[[notifiers]]`, `[[routes]]`, `[[rotas]]` and
//! `public_url`.
//!
//! Input: parsed TOML. What only a notifier's own file understands stays a table until that file
//! reads it ([`crate::notify::NOTIFIERS`]); unknown keys are errors there and here.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rule::Level;

/// Everything alerting can be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which rules are loaded.
    pub rules: RulesConfig,
    /// Who can be told about alerts.
    pub notifiers: Vec<NotifierConfig>,
    /// Who is told about which alert: from the top, the first match. Without routes every alert
    /// goes to every notifier.
    pub routes: Vec<RouteConfig>,
    /// Who is on duty when.
    pub rotas: Vec<RotaConfig>,
    /// Where the dashboard is reached, for the links in notifications, such as
    /// `https://logs.example`. Without it notifications hold paths only.
    pub public_url: Option<String>,
    /// Where relative paths of notifiers start: the configuration file's directory. Default: the
    /// working directory.
    #[serde(skip)]
    pub base: PathBuf,
    /// How late the events of a source may come, by its name, where a rule does not say. Default: 2
    /// minutes.
    #[serde(skip)]
    pub lateness: HashMap<String, Duration>,
}

/// Which rules are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// The rules that come with the program. Default: true.
    pub bundled: bool,
    /// Directories whose `.yml` and `.yaml` files are loaded, with those below them; watched for
    /// changes. Default: none.
    pub dirs: Vec<PathBuf>,
    /// Where rules that people write in the dashboard are kept. Default: nowhere, none can be written.
    #[serde(skip)]
    pub written: Option<PathBuf>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self { bundled: true, dirs: Vec::new(), written: None }
    }
}

/// Somebody who can be told about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifierConfig {
    /// What routes call it; unique.
    pub name: String,
    /// Which kind it is, such as `email` or `webhook`; [`crate::notify::NOTIFIERS`] has them all.
    pub kind: String,
    /// What that kind is told besides; checked by it.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Which alerts go to whom. A route takes an alert when everything it says holds; of its own routes
/// the first that takes it too decides, and says only what is different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// What deliveries call it. Default: its place, such as `2` or `2.1`.
    pub name: Option<String>,
    /// Milder alerts do not take this route. Default: every level does.
    pub severity_min: Option<Level>,
    /// Names or ids of rules. Default: every rule.
    pub rules: Vec<String>,
    /// Labels of the rule or fields of the alert's group, each with its value; `*` at a value's end
    /// stands for anything. All must be there. Default: none.
    pub labels: BTreeMap<String, String>,
    /// Only at these times. Default: always.
    pub hours: Option<HoursConfig>,
    /// Names of notifiers, and `rota:NAME` for who is on duty; an empty list: nobody. Default: those
    /// of the route around it; the outermost must say.
    pub notify: Option<Vec<String>>,
    /// Alerts that agree in these become one message: `rule`, `severity`, or a field of the group.
    /// Default: those of the route around it, or each alert is told of alone.
    pub group_by: Option<Vec<String>>,
    /// How long a message waits for further alerts of its group, in seconds, at most 3,600.
    /// Default: 30 with `group_by`.
    pub group_wait_secs: Option<u64>,
    /// Alerts are told of in a digest every so many minutes, counted from midnight UTC; at most
    /// 1,440. Default: at once.
    pub digest_mins: Option<NonZeroU32>,
    /// Alerts of which people are told at once by this route in an hour; further ones are in the digest
    /// alone. Critical alerts are always told of at once. Default: that of the route around it, or any
    /// number.
    pub per_hour_max: Option<NonZeroU32>,
    /// Who is told when nobody acknowledges. Default: those of the route around it.
    pub escalate: Option<Vec<EscalationConfig>>,
    /// Routes within this one.
    pub routes: Vec<RouteConfig>,
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoursConfig {
    /// The time zone, such as `Europe/Berlin`. Default: UTC.
    #[serde(default = "utc")]
    pub zone: String,
    /// `mon` to `sun`. Default: every day.
    #[serde(default)]
    pub days: Vec<String>,
    /// The first minute, `HH:MM`.
    pub from: String,
    /// The minute after the last one, `HH:MM`; before `from` it is on the next day.
    pub to: String,
}

/// Who is told when an alert stays unacknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationConfig {
    /// Minutes after the alert was opened.
    pub after_mins: NonZeroU32,
    /// Names of notifiers, and `rota:NAME`.
    pub notify: Vec<String>,
}

/// People who take turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotaConfig {
    /// What routes call it, after `rota:`; unique.
    pub name: String,
    /// The time zone, such as `Europe/Berlin`. Default: UTC.
    #[serde(default = "utc")]
    pub zone: String,
    /// When the first person's first turn begins, `YYYY-MM-DDTHH:MM` in the zone. Hand-over is at
    /// this time of day, whatever the season.
    pub starts: String,
    /// Days of one turn. Default: 7.
    #[serde(default = "week")]
    pub shift_days: NonZeroU32,
    /// Who takes turns, in this order.
    pub people: Vec<PersonConfig>,
    /// Who stands in, and when; the last that holds counts.
    #[serde(default)]
    pub overrides: Vec<OverrideConfig>,
}

/// Somebody who takes turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonConfig {
    /// Who; unique in the rota.
    pub name: String,
    /// Names of notifiers that reach them.
    pub notify: Vec<String>,
}

/// Somebody stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideConfig {
    /// One of the rota's people.
    pub person: String,
    /// From when, RFC 3339.
    pub from: String,
    /// Until when, RFC 3339.
    pub to: String,
}

fn utc() -> String {
    String::from("UTC")
}

fn week() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(6)
}
