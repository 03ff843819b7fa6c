//! Rules about what is usual (`detector:`): spikes, silence, new and rare values, changes, shares,
//! baselines, and risk that adds up.
//!
//! Input: a document. Output: a [`Correlation`] over the rules or the selection it looks at. A key
//! that a kind does not have is refused with its place.

use std::time::Duration;

use logwarden_event::Timestamp;
use logwarden_query::{Filter, parse_query};

use super::correlation::{
    COUNT_MAX, Correlation, CorrelationKind, GROUP_FIELDS_MAX, GroupField, Quiet, Reference,
};
use super::judged::{Against, Bounds, Direction, Few, Judge, Judged, Measure, Season};
use super::settings::read_span;
use super::sigma::{Selection, read_selection};
use super::yaml::{Fault, Node};
use super::{Lists, Logic, RuleType};

/// The longest window.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// The longest memory.
const HISTORY_MAX: Duration = Duration::from_secs(400 * 86_400);
/// Shares of a group's events that count as rare: a group keeps some thousands of events.
const SHARES: std::ops::RangeInclusive<f64> = 0.001..=0.5;
const DAY: Duration = Duration::from_secs(86_400);
/// Keys that every kind has.
const COMMON_KEYS: [&str; 6] = ["type", "input", "group-by", "learn", "min_events", "lateness"];
/// Groups that a rule may know before it saw them.
const EXPECTED_MAX: usize = 1_000;

/// The kind told by `detector:`.
pub(super) struct Detectors;

impl RuleType for Detectors {
    fn name(&self) -> &'static str {
        "detector"
    }

    fn key(&self) -> &'static str {
        "detector"
    }

    fn read(&self, document: &Node, lists: &Lists) -> Result<Logic, Vec<Fault>> {
        let Some(node) = document.get("detector").filter(|node| node.entries().is_some()) else {
            return Err(vec![Fault::new(document.at, "`detector` must be a mapping")]);
        };
        let name = required(node, "type").and_then(|node| {
            node.text()
                .map(|name| (node, name))
                .ok_or_else(|| Fault::new(node.at, "must be a text"))
        });
        let (at, name) = name.map_err(|fault| vec![fault])?;
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            let message = format!("`{name}` is none of {}", known.join(", "));
            return Err(vec![Fault::new(at.at, message)]);
        };
        let unknown = node.entries().unwrap_or_default().iter().filter(|(key, _)| {
            !COMMON_KEYS.contains(&key.text.as_str()) && !kind.keys.contains(&key.text.as_str())
        });
        let faults: Vec<Fault> = unknown
            .map(|(key, _)| Fault::new(key.at, format!("unknown key `{}`", key.text)))
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut draft = Draft::read(node, lists)?;
        draft.read_common(node, kind).map_err(|fault| vec![fault])?;
        (kind.read)(node, lists, &mut draft).map_err(|fault| vec![fault])?;
        if kind.kind != CorrelationKind::Risk && draft.rules.is_empty() && draft.inputs.is_empty() {
            return Err(vec![Fault::new(node.at, "the detector has no `input`")]);
        }
        Ok(Logic::Correlate(Correlation {
            kind: draft.kind.unwrap_or(kind.kind),
            rules: draft.rules,
            inputs: draft.inputs,
            group_by: draft.group_by,
            timespan: draft.window,
            count_min: draft.count_min,
            fields: draft.fields,
            generate: true,
            judged: draft.judged,
            part: draft.part.map(Box::new),
            quiet: draft.quiet,
            lateness: draft.lateness,
            expected: draft.expected,
        }))
    }
}

/// What a detector comes to while it is read.
struct Draft {
    kind: Option<CorrelationKind>,
    rules: Vec<Reference>,
    inputs: Vec<Selection>,
    group_by: Vec<GroupField>,
    window: Duration,
    count_min: u64,
    fields: Vec<String>,
    judged: Option<Judged>,
    part: Option<Filter>,
    quiet: Quiet,
    lateness: Option<Duration>,
    expected: Vec<Vec<String>>,
}

struct Kind {
    name: &'static str,
    kind: CorrelationKind,
    keys: &'static [&'static str],
    read: fn(&Node, &Lists, &mut Draft) -> Result<(), Fault>,
}

/// Every kind, in the order of the manual.
static KINDS: &[Kind] = &[
    Kind {
        name: "threshold",
        kind: CorrelationKind::EventCount,
        keys: &["window", "count", "distinct"],
        read: threshold,
    },
    Kind {
        name: "spike",
        kind: CorrelationKind::Spike,
        keys: &[
            "window",
            "reference",
            "factor",
            "direction",
            "measure",
            "min_current",
            "min_reference",
            "new_key",
        ],
        read: spike,
    },
    Kind {
        name: "flatline",
        kind: CorrelationKind::Flatline,
        keys: &[
            "window",
            "below",
            "keys",
            "expected",
            "season",
            "sensitivity",
            "min_expected",
            "learn",
        ],
        read: flatline,
    },
    Kind {
        name: "new_term",
        kind: CorrelationKind::NewTerm,
        keys: &["fields", "history", "learn"],
        read: new_term,
    },
    Kind {
        name: "rare",
        kind: CorrelationKind::Rare,
        keys: &["field", "history", "max_entities", "max_share", "learn"],
        read: rare,
    },
    Kind {
        name: "change",
        kind: CorrelationKind::Change,
        keys: &["field", "remember"],
        read: change,
    },
    Kind {
        name: "ratio",
        kind: CorrelationKind::Ratio,
        keys: &["window", "part", "above", "below", "min_events"],
        read: ratio,
    },
    Kind {
        name: "baseline",
        kind: CorrelationKind::Baseline,
        keys: &[
            "measure",
            "bucket",
            "season",
            "sensitivity",
            "direction",
            "min_expected",
            "for",
            "learn",
        ],
        read: baseline,
    },
    Kind {
        name: "risk",
        kind: CorrelationKind::Risk,
        keys: &["entity", "window", "score", "min_rules", "min_tactics", "half_life"],
        read: risk,
    },
];

impl Draft {
    fn read(node: &Node, lists: &Lists) -> Result<Self, Vec<Fault>> {
        let mut draft = Self {
            kind: None,
            rules: Vec::new(),
            inputs: Vec::new(),
            group_by: Vec::new(),
            window: DAY,
            count_min: 1,
            fields: Vec::new(),
            judged: None,
            part: None,
            quiet: Quiet::default(),
            lateness: None,
            expected: Vec::new(),
        };
        let names = texts(node, "group-by").map_err(|fault| vec![fault])?;
        if names.len() > GROUP_FIELDS_MAX {
            let message = format!("at most {GROUP_FIELDS_MAX} fields make up a group");
            return Err(vec![Fault::new(node.at, message)]);
        }
        draft.group_by = groups(&names);
        let Some(input) = node.get("input") else { return Ok(draft) };
        for (key, _) in input.entries().unwrap_or_default() {
            if !["rules", "logsource", "detection", "query"].contains(&key.text.as_str()) {
                return Err(vec![Fault::new(key.at, format!("unknown key `{}`", key.text))]);
            }
        }
        if let Some(rules) = input.get("rules") {
            for item in rules.items() {
                let text =
                    item.text().ok_or_else(|| vec![Fault::new(item.at, "must be a rule")])?;
                draft.rules.push(Reference { text: text.to_owned(), at: item.at });
            }
        } else if let Some(query) = input.get("query") {
            draft.inputs.push(searched(query).map_err(|fault| vec![fault])?);
        } else if input.get("detection").is_some() {
            draft.inputs.push(read_selection(input, "detection", &[], lists)?);
        } else {
            let message = "`input` has `rules`, `query`, or `logsource` and `detection`";
            return Err(vec![Fault::new(input.at, message)]);
        }
        Ok(draft)
    }

    /// The keys of all kinds, where the kind does not read them in its own way.
    fn read_common(&mut self, node: &Node, kind: &Kind) -> Result<(), Fault> {
        if !kind.keys.contains(&"learn") {
            self.quiet.learn = span(node, "learn", Some(Duration::ZERO))?;
        }
        if let Some(value) = node.get("min_events").filter(|_| !kind.keys.contains(&"min_events")) {
            self.quiet.events_min = value
                .count()
                .filter(|number| *number <= COUNT_MAX)
                .ok_or_else(|| Fault::new(value.at, "`min_events` is a number from 0 to 100000"))?;
        }
        self.lateness = node.get("lateness").map(read_span).transpose()?;
        Ok(())
    }

    fn judge(&mut self, measure: Measure, judge: Judge) {
        self.judged = Some(Judged { measure, judge });
    }
}

fn searched(node: &Node) -> Result<Selection, Fault> {
    let text = node.text().ok_or_else(|| Fault::new(node.at, "`query` must be a text"))?;
    let query = parse_query(text, Timestamp::default())
        .map_err(|error| Fault::new(node.at, error.to_string()))?;
    if !query.pipes.is_empty() {
        return Err(Fault::new(node.at, "a search with pipes cannot be watched"));
    }
    Ok(Selection { filter: query.filter, ..Selection::default() })
}

fn threshold(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.window = window(node, "window", None)?;
    draft.fields = texts(node, "distinct")?;
    if !draft.fields.is_empty() {
        draft.kind = Some(CorrelationKind::ValueCount);
    }
    draft.count_min = match node.get("count") {
        None => 1,
        Some(count) => count
            .count()
            .filter(|number| (1..=COUNT_MAX).contains(number))
            .ok_or_else(|| Fault::new(count.at, "`count` is a number from 1 to 100000"))?,
    };
    if draft.quiet != Quiet::default() {
        let is_distinct = !draft.fields.is_empty();
        let measure = if is_distinct { Measure::Distinct } else { Measure::Count };
        let bounds = Bounds { gte: Some(draft.count_min as f64), ..Bounds::default() };
        draft.judge(measure, Judge::Within(bounds));
    }
    Ok(())
}

fn spike(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.window = window(node, "window", None)?;
    let against = match node.get("reference") {
        None => Against::Previous,
        Some(reference) => match reference.text() {
            Some("previous") => Against::Previous,
            Some("same-hour-last-week") => Against::WeekAgo,
            _ => Against::Span(span(node, "reference", None)?),
        },
    };
    if matches!(against, Against::Span(past) if past < draft.window || past > WINDOW_MAX) {
        return Err(Fault::new(
            node.at,
            "`reference` is as long as the window, or longer, up to 31d",
        ));
    }
    let factor = number(node, "factor", None)?;
    if factor < 1.0 {
        return Err(Fault::new(node.at, "`factor` is 1 or more"));
    }
    let new_alerts = match node.get("new_key").map(|node| (node.at, node.text())) {
        None | Some((_, Some("learn"))) => false,
        Some((_, Some("alert"))) => true,
        Some((at, _)) => return Err(Fault::new(at, "`new_key` is learn or alert")),
    };
    let measure = measure(node, draft)?;
    let judge = Judge::Spike {
        against,
        factor,
        direction: direction(node, Direction::Up)?,
        min_current: number(node, "min_current", Some(1.0))?,
        min_reference: number(node, "min_reference", Some(1.0))?,
        new_alerts,
    };
    draft.judge(measure, judge);
    Ok(())
}

fn flatline(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.window = window(node, "window", None)?;
    if let Some(expected) = node.get("expected") {
        return usual_flatline(node, expected, draft);
    }
    draft.quiet.learn = span(node, "learn", Some(Duration::ZERO))?;
    let of_baseline = ["season", "sensitivity", "min_expected"];
    if let Some(other) = of_baseline.iter().find_map(|key| node.get(key)) {
        return Err(Fault::new(other.at, "this goes with `expected: baseline`"));
    }
    let below = number(node, "below", Some(1.0))?;
    if !(1.0..=1_000.0).contains(&below) {
        return Err(Fault::new(node.at, "`below` is a number from 1 to 1000"));
    }
    let seen_within = known_groups(node, draft)?;
    draft.judge(Measure::Count, Judge::Flatline { below, seen_within });
    Ok(())
}

/// Which groups a flat line is about: those seen within this span, and those that are listed.
fn known_groups(node: &Node, draft: &mut Draft) -> Result<Duration, Fault> {
    let Some(keys) = node.get("keys") else { return Ok(7 * DAY) };
    let fault = || Fault::new(keys.at, "`keys` has seen-within, such as 7d, or a list of groups");
    for (key, _) in keys.entries().ok_or_else(fault)? {
        if !["seen-within", "list"].contains(&key.text.as_str()) {
            return Err(Fault::new(key.at, format!("unknown key `{}`", key.text)));
        }
    }
    if let Some(list) = keys.get("list") {
        if draft.group_by.is_empty() {
            return Err(Fault::new(list.at, "`group-by` says what these are values of"));
        }
        if list.items().len() > EXPECTED_MAX {
            return Err(Fault::new(list.at, format!("at most {EXPECTED_MAX} groups")));
        }
        for item in list.items() {
            let values: Option<Vec<String>> =
                item.items().iter().map(|value| value.text().map(str::to_owned)).collect();
            let values = values.filter(|values| values.len() == draft.group_by.len());
            draft.expected.push(values.ok_or_else(|| {
                Fault::new(item.at, "must be a value, or a list of one value for each field")
            })?);
        }
    }
    span(keys, "seen-within", Some(7 * DAY))
}

/// Fewer than is usual at such times, instead of fewer than a number.
fn usual_flatline(node: &Node, expected: &Node, draft: &mut Draft) -> Result<(), Fault> {
    if expected.text() != Some("baseline") {
        return Err(Fault::new(expected.at, "`expected` is baseline"));
    }
    if let Some(below) = node.get("below") {
        return Err(Fault::new(below.at, "either `below` or `expected`"));
    }
    let seen_within = known_groups(node, draft)?;
    if let Some(list) = node.get("keys").and_then(|keys| keys.get("list")) {
        return Err(Fault::new(
            list.at,
            "a list goes with `below`: of what was never seen nothing is usual",
        ));
    }
    let judge = Judge::Baseline {
        season: season(node)?,
        sensitivity: number(node, "sensitivity", Some(3.0))?,
        direction: Direction::Down,
        min_expected: number(node, "min_expected", Some(1.0))?,
        buckets: 1,
        learn: span(node, "learn", Some(DAY))?,
        absence: Some(seen_within),
    };
    draft.judge(Measure::Count, judge);
    Ok(())
}

fn new_term(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.fields = needed(node, "fields")?;
    let history = history(node, "history", Some(30 * DAY))?;
    let learn = match node.get("learn") {
        None => None,
        Some(_) => Some(span(node, "learn", None)?),
    };
    draft.judge(Measure::Distinct, Judge::NewTerm { history, learn });
    Ok(())
}

/// Few have the value: it makes up the group, and those who have it are counted. Or few events of a group have it:
/// then those with the same value are counted among all.
fn rare(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    let values = needed(node, "field")?;
    draft.window = history(node, "history", Some(7 * DAY))?.min(WINDOW_MAX);
    let learn = span(node, "learn", Some(Duration::ZERO))?;
    let few = match (node.get("max_share"), node.get("max_entities")) {
        (Some(share), Some(_)) => {
            return Err(Fault::new(share.at, "either `max_entities` or `max_share`"));
        }
        (Some(at), None) => {
            let share = number(node, "max_share", None)?;
            if !SHARES.contains(&share) {
                let message = format!("`max_share` is {} to {}", SHARES.start(), SHARES.end());
                return Err(Fault::new(at.at, message));
            }
            draft.fields = values;
            Few::Share(share)
        }
        (None, _) => {
            draft.fields = draft.group_by.iter().map(|field| field.name.clone()).collect();
            if draft.fields.is_empty() {
                return Err(Fault::new(node.at, "`group-by` says whose values are counted"));
            }
            draft.group_by = groups(&values);
            Few::Entities(number(node, "max_entities", Some(1.0))? as u32)
        }
    };
    draft.judge(Measure::Distinct, Judge::Rare { few, learn });
    Ok(())
}

fn change(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.fields = needed(node, "field")?;
    draft.window = window(node, "remember", Some(DAY))?;
    draft.judge(Measure::Distinct, Judge::Change);
    Ok(())
}

/// The part is a selection of its own, of the same logsource, or of the events of each rule.
fn ratio(node: &Node, lists: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.window = window(node, "window", None)?;
    let part = required(node, "part")?;
    let selected =
        super::detection::selection(part, lists).map_err(|mut faults| faults.remove(0))?;
    match draft.inputs.first() {
        Some(input) => {
            let filter = input.filter.clone().and(selected);
            draft.inputs.push(Selection { filter, ..input.clone() });
        }
        None => draft.part = Some(selected),
    }
    let share = |key: &str| match node.get(key) {
        None => Ok(None),
        Some(at) => number(node, key, None).and_then(|share| {
            let is_share = (0.0..=1.0).contains(&share);
            is_share.then_some(Some(share)).ok_or_else(|| Fault::new(at.at, "a share is 0 to 1"))
        }),
    };
    let bounds = Bounds { gt: share("above")?, lt: share("below")?, ..Bounds::default() };
    if bounds.is_empty() {
        return Err(Fault::new(node.at, "the ratio has neither `above` nor `below`"));
    }
    let min_events = number(node, "min_events", Some(1.0))?;
    draft.judge(Measure::Count, Judge::Ratio { bounds, min_events });
    Ok(())
}

fn baseline(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    draft.window = window(node, "bucket", None)?;
    let measure = measure(node, draft)?;
    let judge = Judge::Baseline {
        season: season(node)?,
        sensitivity: number(node, "sensitivity", Some(6.0))?,
        direction: direction(node, Direction::Both)?,
        min_expected: number(node, "min_expected", Some(1.0))?,
        buckets: number(node, "for", Some(1.0))? as u32,
        learn: span(node, "learn", Some(DAY))?,
        absence: None,
    };
    draft.judge(measure, judge);
    Ok(())
}

fn season(node: &Node) -> Result<Season, Fault> {
    match node.get("season").map(|node| (node.at, node.text())) {
        None | Some((_, Some("hour-of-week"))) => Ok(Season::HourOfWeek),
        Some((_, Some("hour-of-day"))) => Ok(Season::HourOfDay),
        Some((_, Some("none"))) => Ok(Season::None),
        Some((at, _)) => Err(Fault::new(at, "`season` is hour-of-week, hour-of-day or none")),
    }
}

fn risk(node: &Node, _: &Lists, draft: &mut Draft) -> Result<(), Fault> {
    let entity = required(node, "entity")?;
    let name = entity.text().ok_or_else(|| Fault::new(entity.at, "must be a field's name"))?;
    draft.group_by = groups(&[name.to_owned()]);
    draft.window = window(node, "window", Some(DAY))?;
    let half_life = match node.get("half_life") {
        None => None,
        Some(_) => Some(span(node, "half_life", None)?),
    };
    let judge = Judge::Risk {
        score: number(node, "score", None)?,
        rules_min: number(node, "min_rules", Some(1.0))? as u32,
        tactics_min: number(node, "min_tactics", Some(0.0))? as u32,
        half_life,
    };
    draft.judge(Measure::Sum, judge);
    Ok(())
}

fn groups(names: &[String]) -> Vec<GroupField> {
    names.iter().map(|name| GroupField { name: name.clone(), aliases: Vec::new() }).collect()
}

fn required<'a>(node: &'a Node, key: &str) -> Result<&'a Node, Fault> {
    node.get(key).ok_or_else(|| Fault::new(node.at, format!("the detector has no `{key}`")))
}

fn texts(node: &Node, key: &str) -> Result<Vec<String>, Fault> {
    let items = node.get(key).map_or(&[][..], Node::items);
    let text = |item: &Node| {
        let text = item.text().map(str::to_owned);
        text.ok_or_else(|| Fault::new(item.at, "must be a field's name"))
    };
    items.iter().map(text).collect()
}

fn needed(node: &Node, key: &str) -> Result<Vec<String>, Fault> {
    required(node, key)?;
    texts(node, key)
}

fn number(node: &Node, key: &str, default: Option<f64>) -> Result<f64, Fault> {
    match (node.get(key), default) {
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Fault::new(node.at, format!("the detector has no `{key}`"))),
        (Some(value), _) => value
            .number()
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| Fault::new(value.at, format!("`{key}` is a number from 0 on"))),
    }
}

fn span(node: &Node, key: &str, default: Option<Duration>) -> Result<Duration, Fault> {
    match (node.get(key), default) {
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Fault::new(node.at, format!("the detector has no `{key}`"))),
        (Some(value), _) => {
            let span = read_span(value)?;
            let is_short = span <= HISTORY_MAX;
            is_short.then_some(span).ok_or_else(|| Fault::new(value.at, "at most 400d"))
        }
    }
}

fn history(node: &Node, key: &str, default: Option<Duration>) -> Result<Duration, Fault> {
    let history = span(node, key, default)?;
    if history.is_zero() {
        return Err(Fault::new(node.at, format!("`{key}` is 1s or more")));
    }
    Ok(history)
}

fn window(node: &Node, key: &str, default: Option<Duration>) -> Result<Duration, Fault> {
    let window = history(node, key, default)?;
    if window > WINDOW_MAX {
        return Err(Fault::new(node.at, format!("`{key}` is at most 31d")));
    }
    Ok(window)
}

fn direction(node: &Node, default: Direction) -> Result<Direction, Fault> {
    match node.get("direction").map(|node| (node.at, node.text())) {
        None => Ok(default),
        Some((_, Some("up"))) => Ok(Direction::Up),
        Some((_, Some("down"))) => Ok(Direction::Down),
        Some((_, Some("both"))) => Ok(Direction::Both),
        Some((at, _)) => Err(Fault::new(at, "`direction` is up, down or both")),
    }
}

/// `count`, or one entry that names a field, such as `sum: source.bytes`.
fn measure(node: &Node, draft: &mut Draft) -> Result<Measure, Fault> {
    let Some(measure) = node.get("measure") else { return Ok(Measure::Count) };
    if measure.text() == Some("count") {
        return Ok(Measure::Count);
    }
    let fault = || {
        Fault::new(measure.at, "`measure` is count, or sum, avg, min, max or distinct of a field")
    };
    let [(key, field)] = measure.entries().ok_or_else(fault)? else { return Err(fault()) };
    let kind = match key.text.as_str() {
        "sum" => Measure::Sum,
        "avg" => Measure::Avg,
        "min" => Measure::Min,
        "max" => Measure::Max,
        "distinct" => Measure::Distinct,
        _ => return Err(fault()),
    };
    draft.fields = vec![field.text().ok_or_else(fault)?.to_owned()];
    Ok(kind)
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            product: String::new(),
            category: String::new(),
            service: String::new(),
            filter: Filter::Nothing,
            missing_lists: Vec::new(),
        }
    }
}
