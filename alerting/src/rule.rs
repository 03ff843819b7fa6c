//! What to look for: rules, the files they stand in, and what is wrong with them.

use serde::{Deserialize, Serialize};

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
    /// `sigma` or `correlation`.
    pub kind: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Whether it works.
    pub state: RuleState,
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
    /// Most bytes of memory that the windows of all rules together may keep.
    pub state_bytes_max: u64,
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

/// Rules that were loaded together.
#[derive(Debug, Default)]
pub struct RuleSet {
    summaries: Vec<RuleSummary>,
}

impl RuleSet {
    /// Loads rules; those with problems are left out.
    pub fn load(files: &[RuleFile]) -> (Self, Vec<Problem>) {
        let _ = files;
        (Self::default(), Vec::new())
    }

    /// The rules as lists show them.
    pub fn summaries(&self) -> Vec<RuleSummary> {
        self.summaries.clone()
    }
}
