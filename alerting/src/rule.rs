//! What to look for: rules, the files they stand in, and what is wrong with them.
//!
//! A file holds any number of YAML documents. The kind of a document is told by its top key; each
//! kind is one file below and one line of [`RULE_TYPES`]. A document with a fault is left out and
//! reported with its place; the others of its file are used.

mod condition;
mod correlation;
mod detection;
mod detector;
mod files;
mod judged;
mod lists;
mod names;
mod restriction;
mod set;
mod settings;
mod sigma;
mod together;
mod value;
mod yaml;

use serde::{Deserialize, Serialize};

pub use correlation::{Correlation, CorrelationKind, GroupField, Quiet};
pub(crate) use files::keep_unreadable;
pub use files::read_rule_files;
pub use judged::{Against, Bounds, Branch, Direction, Few, Judge, Judged, Measure, Season};
pub use lists::Lists;
pub use names::target_of;
pub(crate) use set::{CHAIN_MAX, Edge, GroupPart};
pub use set::{RULE_FILES_MAX, RULES_MAX, RuleSet};
pub use settings::{Settings, TestCase, TestEvent, Title, TitlePart};
pub use sigma::Selection;
pub use yaml::{Fault, Node, Place};

/// The documents of a YAML file that holds no rules of ours.
///
/// # Errors
///
/// Where it cannot be read further, and why.
pub(crate) fn yaml_documents(text: &str) -> Result<Vec<serde_json::Value>, Fault> {
    let (documents, fault) = yaml::parse(text);
    match fault {
        None => Ok(documents.iter().map(Node::to_json).collect()),
        Some(fault) => Err(fault),
    }
}

/// Every kind of rule, in the order of the manual.
pub static RULE_TYPES: &[&dyn RuleType] =
    &[&sigma::Sigma, &correlation::Correlations, &detector::Detectors];

/// A kind of rule.
pub trait RuleType: Sync {
    /// What the API calls it.
    fn name(&self) -> &'static str;

    /// The top key that tells a document of this kind.
    fn key(&self) -> &'static str;

    /// Reads what is special about the kind.
    ///
    /// # Errors
    ///
    /// Every fault found, in the order of the file.
    fn read(&self, document: &Node, lists: &Lists) -> Result<Logic, Vec<Fault>>;
}

/// What a rule does.
#[derive(Debug, Clone)]
pub enum Logic {
    /// Looks at one event at a time.
    Match(Selection),
    /// Looks at what other rules found, over a span of time.
    Correlate(Correlation),
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The id: the document's, else its name, else one made of its title.
    pub id: String,
    /// The short name other rules and routes use.
    pub name: Option<String>,
    /// The title.
    pub title: String,
    /// What it looks for, in words.
    pub description: String,
    /// How bad its detections are.
    pub level: Level,
    /// ATT&CK techniques and tactics, such as `T1110`.
    pub attack: Vec<String>,
    /// What stands under `logwarden:`.
    pub settings: Settings,
    /// What it does.
    pub logic: Logic,
    /// Its kind's [`RuleType::name`].
    pub kind: &'static str,
    /// The file it stands in.
    pub file: String,
    /// Where in the file its document begins.
    pub at: Place,
    /// Changes when anything in the document does.
    pub fingerprint: String,
}

impl Rule {
    /// What people call it: the name, or the id where it has none.
    pub fn short_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// Whether `reference` (an id or a name) means this rule.
    pub fn is_called(&self, reference: &str) -> bool {
        self.id == reference || self.name.as_deref() == Some(reference)
    }

    /// The kind of correlation, or the kind of rule where it is none.
    pub fn type_name(&self) -> &'static str {
        match &self.logic {
            Logic::Match(_) => self.kind,
            Logic::Correlate(correlation) => correlation.kind.name(),
        }
    }
}

/// How bad a rule says its detections are: Sigma's five, mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For the record.
    Informational,
    /// Rarely worth a look by itself.
    Low,
    /// Worth a look today; what a rule has that says nothing.
    #[default]
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}

impl Level {
    /// All of them, mildest first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word used in rules, the API and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Whether a rule works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RuleState {
    /// It detects and notifies.
    #[default]
    Enabled,
    /// It detects and shows, and notifies nobody.
    Testing,
    /// It does nothing.
    Disabled,
}

impl RuleState {
    /// The word used in rules and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Testing => "testing",
            Self::Disabled => "disabled",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Testing, Self::Disabled].into_iter().find(|s| s.name() == name)
    }
}

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// What problems call it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Something wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which file.
    pub file: String,
    /// From 1 on.
    pub line: usize,
    /// From 1 on, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// A rule as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    /// The id.
    pub id: String,
    /// Its short name, or the id where it has none.
    pub name: String,
    /// The title.
    pub title: String,
    /// `sigma`, `correlation` or `detector`.
    pub kind: &'static str,
    /// The kind of correlation, or the kind of rule where it is none.
    pub type_name: &'static str,
    /// ATT&CK techniques and tactics, such as `T1110`.
    pub attack: Vec<String>,
    /// How bad it is.
    pub level: Level,
    /// Whether it works.
    pub state: RuleState,
    /// Points of risk that a detection of it is worth.
    pub risk: Option<u64>,
    /// The file it stands in.
    pub file: String,
    /// What is wrong with it while it works, such as a file beside it that was refused.
    pub problems: Vec<Problem>,
}

/// What checking rule files found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The rules that can be used.
    pub rules: Vec<RuleSummary>,
    /// Everything that is wrong; the rules concerned are not used.
    pub problems: Vec<Problem>,
    /// What the windows of each rule may keep, the most first.
    pub state: Vec<StateBound>,
}

/// What the windows of a rule may keep in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateBound {
    /// The rule's name, or its id where it has none.
    pub rule: String,
    /// Bytes of one group at most.
    pub group_bytes: u64,
    /// Bytes of as many groups as it may have.
    pub bytes_max: u64,
}

/// One match of a rule run over events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The rule's id.
    pub rule_id: String,
    /// Which of the events, from 0 on; for a correlation the one at which it fired.
    pub event_index: usize,
}

/// How one test embedded in a rule file went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// The rule's id.
    pub rule_id: String,
    /// The test's name.
    pub name: String,
    /// Matches expected.
    pub expected: usize,
    /// Matches found.
    pub found: usize,
    /// The file and line of the test.
    pub at: Problem,
}

impl RuleTest {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.expected == self.found
    }
}
