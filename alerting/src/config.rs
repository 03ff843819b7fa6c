//! Settings of this crate: the file's `[rules]`, `[[notifiers]]`, `[[routes]]` and `public_url`.
//!
//! Input: parsed TOML. What only a notifier's own file understands stays a table until that file
//! reads it ([`crate::notify::NOTIFIERS`]); unknown keys are errors there and here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

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
#[derive(Debug, Clone, Deserialize)]
pub struct NotifierConfig {
    /// What routes call it; unique.
    pub name: String,
    /// Which kind it is, such as `email` or `webhook`; [`crate::notify::NOTIFIERS`] has them all.
    pub kind: String,
    /// What that kind is told besides; checked by it.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Which alerts go to whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Milder alerts do not take this route. Default: every level does.
    pub severity_min: Option<Level>,
    /// Names or ids of rules. Default: every rule.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Names of notifiers.
    pub notify: Vec<String>,
}
