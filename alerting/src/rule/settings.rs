//! What Logwarden adds to a rule, under its own key `logwarden:` that other tools ignore.
//!
//! Unknown keys are faults with their place: a misspelt setting must not be silently without effect.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::RuleState;
use super::yaml::{Fault, Key, Node, Place, Yaml};
use crate::noise::BUDGET_MAX;

/// Events of one embedded test, repetitions counted.
const TEST_EVENTS_MAX: usize = 10_000;

/// What stands under `logwarden:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether the rule works.
    pub state: RuleState,
    /// After an alert, nobody is told about another one of the same group for so long.
    pub suppress: Option<Duration>,
    /// Notifiers, instead of those the routes name.
    pub notify: Option<Vec<String>>,
    /// Wakes people also for events that came late.
    pub page_late: bool,
    /// What routes may ask for, such as `team: infra`.
    pub labels: BTreeMap<String, String>,
    /// The field that says who or what an alert is about; also groups a plain rule's alerts.
    pub entity: Option<String>,
    /// How many points of risk a detection is worth.
    pub risk: Option<u64>,
    /// Alerts in a day of which people are told at once; `None`: there is no bound.
    pub budget: Option<u64>,
    /// How late an event may come and still count, whatever its source is allowed.
    pub lateness: Option<Duration>,
    /// An event without a group-by field counts in the group of its own, instead of not at all.
    pub missing_as_null: bool,
    /// The title of alerts.
    pub title: Option<Title>,
    /// What to do, in words.
    pub what_to_do: String,
    /// Where more is written about what to do.
    pub runbook: Option<String>,
    /// Lists of its own for `expand`, by name.
    pub lists: HashMap<String, Vec<String>>,
    /// Embedded tests.
    pub tests: Vec<TestCase>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: RuleState::Enabled,
            suppress: None,
            notify: None,
            page_late: false,
            labels: BTreeMap::new(),
            entity: None,
            risk: None,
            budget: None,
            lateness: None,
            missing_as_null: false,
            title: None,
            what_to_do: String::new(),
            runbook: None,
            lists: HashMap::new(),
            tests: Vec::new(),
        }
    }
}

/// A title with numbers: text, and in braces what is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title(pub Vec<TitlePart>);

/// A piece of a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TitlePart {
    /// This text.
    Text(String),
    /// `{events}`: how many events.
    Events,
    /// `{field}`: the field's most frequent value.
    Field(String),
    /// `{count(field)}`: how many different values the field has.
    Count(String),
}

impl Title {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or("`{` without `}`; fill-ins are `{events}`, `{field}`")?;
            if !before.is_empty() {
                parts.push(TitlePart::Text(before.to_owned()));
            }
            let counted = name.strip_prefix("count(").and_then(|name| name.strip_suffix(')'));
            parts.push(match (name, counted) {
                ("" | "count()", _) => return Err(String::from("a fill-in is empty")),
                (_, Some(field)) => TitlePart::Count(field.to_owned()),
                ("events", None) => TitlePart::Events,
                (field, None) => TitlePart::Field(field.to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(TitlePart::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The fields it fills in.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            TitlePart::Field(field) | TitlePart::Count(field) => Some(field.as_str()),
            TitlePart::Text(_) | TitlePart::Events => None,
        })
    }
}

/// A test that stands in a rule file.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// The records, in the order they come.
    pub events: Vec<TestEvent>,
    /// For how long nothing comes after the last record.
    pub silence: Duration,
    /// How often the rule must match: for a correlation, how often it fires.
    pub expect: usize,
}

/// Records of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestEvent {
    /// The record, as JSON.
    pub record: serde_json::Value,
    /// How often it comes.
    pub times: usize,
    /// How long after the record before each of them comes.
    pub every: Duration,
}

/// Reads the value of `logwarden:`.
///
/// # Errors
///
/// Every fault found, in the order of the file.
pub(super) fn read(node: &Node) -> Result<Settings, Vec<Fault>> {
    let mut settings = Settings::default();
    let Some(entries) = node.entries() else {
        return Err(vec![Fault::new(node.at, "`logwarden` must be a mapping")]);
    };
    let mut faults = Vec::new();
    for (key, value) in entries {
        if let Err(fault) = settings.take(&key.text, key.at, value) {
            faults.push(fault);
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

impl Settings {
    fn take(&mut self, key: &str, at: Place, value: &Node) -> Result<(), Fault> {
        let text =
            || value.text().ok_or_else(|| Fault::new(value.at, format!("`{key}` must be a text")));
        match key {
            "state" => {
                self.state = RuleState::from_name(text()?).ok_or_else(|| {
                    Fault::new(value.at, "`state` is enabled, testing or disabled")
                })?;
            }
            "suppress" => self.suppress = Some(read_span(value)?),
            "lateness" => self.lateness = Some(read_span(value)?),
            "notify" => {
                let name = |item: &Node| {
                    let is_name = item.number().is_none() && item.boolean().is_none();
                    item.text().filter(|_| is_name).map(str::to_owned).ok_or_else(|| {
                        Fault::new(item.at, "`notify` lists notifiers' names, which are texts")
                    })
                };
                self.notify = Some(value.items().iter().map(name).collect::<Result<_, _>>()?);
            }
            "page_late" => {
                let no_flag = || Fault::new(value.at, "`page_late` is true or false");
                self.page_late = value.boolean().ok_or_else(no_flag)?;
            }
            "labels" => self.labels = read_labels(value)?,
            "entity" => self.entity = Some(text()?.to_owned()),
            "risk" => {
                self.risk =
                    Some(value.count().ok_or_else(|| Fault::new(value.at, "`risk` is a number"))?);
            }
            "budget" => {
                let number = value.count().filter(|number| (1..=BUDGET_MAX).contains(number));
                self.budget = match (text()?, number) {
                    ("none", _) => None,
                    (_, Some(number)) => Some(number),
                    _ => {
                        let message = format!(
                            "`budget` is a number of alerts a day up to {BUDGET_MAX}, or none"
                        );
                        return Err(Fault::new(value.at, message));
                    }
                };
            }
            "missing" => {
                self.missing_as_null = match text()? {
                    "as-null" => true,
                    "skip" => false,
                    _ => return Err(Fault::new(value.at, "`missing` is skip or as-null")),
                };
            }
            "title" => {
                self.title =
                    Some(Title::parse(text()?).map_err(|message| Fault::new(value.at, message))?);
            }
            "what_to_do" => self.what_to_do = text()?.trim_end().to_owned(),
            "runbook" => self.runbook = Some(read_link(text()?, value.at)?),
            "tests" => self.tests = read_tests(value)?,
            "lists" => self.lists = read_lists(value)?,
            other => return Err(Fault::new(at, format!("unknown key `{other}`"))),
        }
        Ok(())
    }
}

fn read_lists(node: &Node) -> Result<HashMap<String, Vec<String>>, Fault> {
    let entries =
        node.entries().ok_or_else(|| Fault::new(node.at, "`lists` maps names to values"))?;
    let list = |(name, values): &(Key, Node)| {
        let values: Option<Vec<String>> =
            values.items().iter().map(|value| value.text().map(str::to_owned)).collect();
        let values = values.ok_or_else(|| Fault::new(name.at, "must be a list of texts"))?;
        Ok((name.text.clone(), values))
    };
    entries.iter().map(list).collect()
}

fn read_labels(node: &Node) -> Result<BTreeMap<String, String>, Fault> {
    let entries =
        node.entries().ok_or_else(|| Fault::new(node.at, "`labels` maps names to texts"))?;
    let label = |(name, value): &(Key, Node)| {
        let value = value.text().ok_or_else(|| Fault::new(value.at, "must be a text"))?;
        Ok((name.text.clone(), value.to_owned()))
    };
    entries.iter().map(label).collect()
}

fn read_link(text: &str, at: Place) -> Result<String, Fault> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.into()),
        _ => Err(Fault::new(at, "`runbook` is a link that begins with https:// or http://")),
    }
}

/// Reads a span of time such as `30s`, `5m`, `12h`, `7d`.
pub(super) fn read_span(node: &Node) -> Result<Duration, Fault> {
    let fault = || Fault::new(node.at, "must be a span of time such as 30s, 5m, 12h or 7d");
    let text = node.text().ok_or_else(fault)?;
    let (digits, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let secs: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(fault()),
    };
    let number: u64 = digits.parse().map_err(|_| fault())?;
    Ok(Duration::from_secs(number.saturating_mul(secs)))
}

fn read_tests(node: &Node) -> Result<Vec<TestCase>, Fault> {
    let Yaml::List(items) = &node.value else {
        return Err(Fault::new(node.at, "`tests` must be a list"));
    };
    items.iter().map(read_test).collect()
}

fn read_test(node: &Node) -> Result<TestCase, Fault> {
    let entries =
        node.entries().ok_or_else(|| Fault::new(node.at, "a test has name, events and expect"))?;
    for (key, _) in entries {
        if !["name", "events", "silence", "expect"].contains(&key.text.as_str()) {
            return Err(Fault::new(key.at, format!("unknown key `{}`", key.text)));
        }
    }
    let missing = |key: &str| Fault::new(node.at, format!("the test has no `{key}`"));
    let name = node.get("name").and_then(Node::text).ok_or_else(|| missing("name"))?;
    let events = node.get("events").ok_or_else(|| missing("events"))?;
    let expect = node.get("expect").and_then(Node::count).ok_or_else(|| missing("expect"))?;
    let events = events.items().iter().map(read_event).collect::<Result<Vec<_>, _>>()?;
    if events.iter().map(|event| event.times).sum::<usize>() > TEST_EVENTS_MAX {
        return Err(Fault::new(node.at, format!("a test has at most {TEST_EVENTS_MAX} events")));
    }
    let expect = usize::try_from(expect).unwrap_or(usize::MAX);
    let silence = node.get("silence").map_or(Ok(Duration::ZERO), read_span)?;
    Ok(TestCase { name: name.to_owned(), at: node.at, events, silence, expect })
}

/// A record as it is, or `{ times, every, event }` for the same record several times.
fn read_event(node: &Node) -> Result<TestEvent, Fault> {
    let entries = node.entries().ok_or_else(|| Fault::new(node.at, "an event is a mapping"))?;
    let second = Duration::from_secs(1);
    let is_repeated = node.get("times").is_some()
        && node.get("event").is_some()
        && entries.iter().all(|(key, _)| ["times", "every", "event"].contains(&key.text.as_str()));
    if !is_repeated {
        return Ok(TestEvent { record: node.to_json(), times: 1, every: second });
    }
    let times = node
        .get("times")
        .and_then(Node::count)
        .and_then(|times| usize::try_from(times).ok())
        .filter(|times| *times <= TEST_EVENTS_MAX)
        .ok_or_else(|| Fault::new(node.at, "`times` is a number up to 10000"))?;
    let every = node.get("every").map_or(Ok(second), read_span)?;
    let record = node.get("event").map(Node::to_json).unwrap_or_default();
    Ok(TestEvent { record, times, every })
}
