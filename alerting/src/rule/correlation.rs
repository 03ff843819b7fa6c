//! Sigma correlations (specification 2.1.0): what other rules found, by group, over a span of time.
//!
//! event_count, value_count, temporal and temporal_ordered with `gt` and `gte` are judged when an event
//! comes. What a further event can undo (`lt`, `lte`, `eq`, `neq`, sums, means, percentiles, and conditions in
//! words, [`super::together`]) waits until none can come ([`Judged`]).

use std::time::Duration;

use logwarden_query::Filter;

use super::judged::{Bounds, Branch, Judge, Judged, Measure};
use super::settings::read_span;
use super::sigma::Selection;
use super::together::read_branches;
use super::yaml::{Fault, Node, Place};
use super::{Lists, Logic, RuleType};

/// Rules one correlation may name.
const MEMBERS_MAX: usize = 64;
/// Fields one correlation may group by.
pub(super) const GROUP_FIELDS_MAX: usize = 16;
/// The longest span: state is kept for it.
const TIMESPAN_MAX: Duration = Duration::from_secs(31 * 86_400);
/// The largest count: a group keeps about twice as many points.
pub(super) const COUNT_MAX: u64 = 100_000;

/// The kind told by `correlation:`.
pub(super) struct Correlations;

/// What is counted or worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CorrelationKind {
    /// Events.
    EventCount,
    /// Distinct values of fields.
    ValueCount,
    /// Distinct rules, in any order.
    Temporal,
    /// All rules, in their order.
    TemporalOrdered,
    /// A field's sum.
    ValueSum,
    /// A field's mean.
    ValueAvg,
    /// A field's percentile.
    ValuePercentile,
    /// A field's median.
    ValueMedian,
    /// A multiple of what it was.
    Spike,
    /// Too little.
    Flatline,
    /// A value that was not there before.
    NewTerm,
    /// A value that few have.
    Rare,
    /// Another value than the last one.
    Change,
    /// The share of a part.
    Ratio,
    /// Far from what is usual.
    Baseline,
    /// Points of risk.
    Risk,
}

impl CorrelationKind {
    /// The kinds of Sigma, in the order of its specification.
    const SIGMA: [Self; 8] = [
        Self::EventCount,
        Self::ValueCount,
        Self::Temporal,
        Self::TemporalOrdered,
        Self::ValueSum,
        Self::ValueAvg,
        Self::ValuePercentile,
        Self::ValueMedian,
    ];

    /// The word used in rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile => "value_percentile",
            Self::ValueMedian => "value_median",
            Self::Spike => "spike",
            Self::Flatline => "flatline",
            Self::NewTerm => "new_term",
            Self::Rare => "rare",
            Self::Change => "change",
            Self::Ratio => "ratio",
            Self::Baseline => "baseline",
            Self::Risk => "risk",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        // So some call those whose condition is in words.
        let name = match name {
            "temporal_extended" => "temporal",
            "temporal_ordered_extended" => "temporal_ordered",
            name => name,
        };
        Self::SIGMA.into_iter().find(|kind| kind.name() == name)
    }

    fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }

    /// Whether it is a number of things.
    fn is_count(self) -> bool {
        matches!(self, Self::EventCount | Self::ValueCount)
    }

    fn measure(self, rank: Option<f64>) -> Measure {
        match self {
            Self::ValueCount => Measure::Distinct,
            Self::ValueSum => Measure::Sum,
            Self::ValueAvg => Measure::Avg,
            Self::ValuePercentile => Measure::Percentile(rank.unwrap_or(50.0)),
            Self::ValueMedian => Measure::Percentile(50.0),
            _ => Measure::Count,
        }
    }
}

/// A reference to another rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The id or name as it was written.
    pub text: String,
    /// Where.
    pub at: Place,
}

/// A field that makes up groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupField {
    /// What the group calls it.
    pub name: String,
    /// What a rule calls it, where that differs: (the rule, the field).
    pub aliases: Vec<(Reference, String)>,
}

impl GroupField {
    /// What the rule that `is_called` by a reference calls this field.
    pub fn field_of(&self, is_called: impl Fn(&str) -> bool) -> &str {
        self.aliases
            .iter()
            .find(|(rule, _)| is_called(&rule.text))
            .map_or(self.name.as_str(), |(_, field)| field.as_str())
    }
}

/// A correlation.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// What is counted.
    pub kind: CorrelationKind,
    /// The rules it looks at.
    pub rules: Vec<Reference>,
    /// Selections of its own that it looks at; loading makes rules of them.
    pub inputs: Vec<Selection>,
    /// The fields whose values make up a group; none: all events are one group.
    pub group_by: Vec<GroupField>,
    /// The length of the window `[t - timespan, t]`.
    pub timespan: Duration,
    /// How many are needed, at least 1.
    pub count_min: u64,
    /// Whose distinct values are counted.
    pub fields: Vec<String>,
    /// Whether the rules it looks at open alerts of their own besides.
    pub generate: bool,
    /// How it is judged, when that must wait until no further event can come.
    pub judged: Option<Judged>,
    /// Which of the events its rules look for are the part whose share counts.
    pub part: Option<Box<Filter>>,
    /// When nothing is said yet.
    pub quiet: Quiet,
    /// How late an event may come, where the detector says it.
    pub lateness: Option<Duration>,
    /// Groups that are known before any event of theirs, each by the values of its fields.
    pub expected: Vec<Vec<String>>,
}

/// When a rule says nothing, whatever it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quiet {
    /// So long after the first event of any of its groups.
    pub learn: Duration,
    /// While its window, or what it knows of the group, has fewer events.
    pub events_min: u64,
}

impl RuleType for Correlations {
    fn name(&self) -> &'static str {
        "correlation"
    }

    fn key(&self) -> &'static str {
        "correlation"
    }

    fn read(&self, document: &Node, _lists: &Lists) -> Result<Logic, Vec<Fault>> {
        let Some(node) = document.get("correlation").filter(|node| node.entries().is_some()) else {
            return Err(vec![Fault::new(document.at, "`correlation` must be a mapping")]);
        };
        let mut faults = Vec::new();
        for (key, _) in node.entries().unwrap_or_default() {
            if !KEYS.contains(&key.text.as_str()) {
                faults.push(Fault::new(key.at, format!("unknown key `{}`", key.text)));
            }
        }
        let mut keep = |fault: Fault| faults.push(fault);
        let kind = read_kind(node).map_err(&mut keep).ok();
        let rules = read_rules(node, kind).map_err(&mut keep).ok();
        let timespan = read_timespan(node).map_err(&mut keep).ok();
        let group_by = read_group_by(node).map_err(&mut keep).ok();
        let condition = read_condition(node, kind, rules.as_deref().unwrap_or_default())
            .map_err(&mut keep)
            .ok();
        let generate = read_flag(node, "generate").map_err(&mut keep).ok();
        match (kind, rules, timespan, group_by, condition, generate) {
            (
                Some(_),
                Some(rules),
                Some(timespan),
                Some(group_by),
                Some(condition),
                Some(generate),
            ) if faults.is_empty() => Ok(Logic::Correlate(Correlation {
                kind: condition.kind,
                rules,
                inputs: Vec::new(),
                group_by,
                timespan,
                count_min: condition.count_min,
                fields: condition.fields,
                generate,
                judged: condition.judged,
                part: None,
                quiet: Quiet::default(),
                lateness: None,
                expected: Vec::new(),
            })),
            _ => Err(faults),
        }
    }
}

const KEYS: [&str; 8] =
    ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "name"];

fn required<'a>(node: &'a Node, key: &str) -> Result<&'a Node, Fault> {
    node.get(key).ok_or_else(|| Fault::new(node.at, format!("the correlation has no `{key}`")))
}

fn read_kind(node: &Node) -> Result<CorrelationKind, Fault> {
    let node = required(node, "type")?;
    let name = node.text().ok_or_else(|| Fault::new(node.at, "`type` must be a text"))?;
    CorrelationKind::from_name(name).ok_or_else(|| {
        Fault::new(
            node.at,
            format!(
                "correlation type `{name}` is none of {}",
                CorrelationKind::SIGMA.map(CorrelationKind::name).join(", ")
            ),
        )
    })
}

fn read_rules(node: &Node, kind: Option<CorrelationKind>) -> Result<Vec<Reference>, Fault> {
    let node = required(node, "rules")?;
    let mut rules: Vec<Reference> = Vec::new();
    for item in node.items() {
        let text = item.text().ok_or_else(|| Fault::new(item.at, "must be a rule's id or name"))?;
        if rules.iter().any(|known| known.text == text) {
            return Err(Fault::new(item.at, format!("rule `{text}` is named twice")));
        }
        rules.push(Reference { text: text.to_owned(), at: item.at });
    }
    let needed = match kind {
        Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered) => 2,
        _ => 1,
    };
    if rules.len() < needed || rules.len() > MEMBERS_MAX {
        let message = format!("between {needed} and {MEMBERS_MAX} rules are needed");
        return Err(Fault::new(node.at, message));
    }
    Ok(rules)
}

fn read_timespan(node: &Node) -> Result<Duration, Fault> {
    let node = required(node, "timespan")?;
    let span = read_span(node)?;
    if span.is_zero() || span > TIMESPAN_MAX {
        return Err(Fault::new(node.at, "a timespan lies between 1s and 31d"));
    }
    Ok(span)
}

fn read_group_by(node: &Node) -> Result<Vec<GroupField>, Fault> {
    let mut fields = Vec::new();
    for item in node.get("group-by").map_or(&[][..], Node::items) {
        let name = item.text().ok_or_else(|| Fault::new(item.at, "must be a field's name"))?;
        fields.push(GroupField { name: name.to_owned(), aliases: Vec::new() });
    }
    if fields.len() > GROUP_FIELDS_MAX {
        let message = format!("at most {GROUP_FIELDS_MAX} fields make up a group");
        return Err(Fault::new(node.at, message));
    }
    let Some(aliases) = node.get("aliases") else { return Ok(fields) };
    let entries =
        aliases.entries().ok_or_else(|| Fault::new(aliases.at, "`aliases` must be a mapping"))?;
    for (alias, by_rule) in entries {
        let field = fields.iter_mut().find(|field| field.name == alias.text).ok_or_else(|| {
            Fault::new(alias.at, format!("alias `{}` is not used in `group-by`", alias.text))
        })?;
        let by_rule = by_rule
            .entries()
            .ok_or_else(|| Fault::new(by_rule.at, "must map rules to their fields"))?;
        for (rule, name) in by_rule {
            let name = name.text().ok_or_else(|| Fault::new(name.at, "must be a field's name"))?;
            let rule = Reference { text: rule.text.clone(), at: rule.at };
            field.aliases.push((rule, name.to_owned()));
        }
    }
    Ok(fields)
}

fn read_flag(node: &Node, key: &str) -> Result<bool, Fault> {
    node.get(key).map_or(Ok(false), |node| {
        node.boolean().ok_or_else(|| Fault::new(node.at, format!("`{key}` is true or false")))
    })
}

/// What a condition comes to.
struct Condition {
    kind: CorrelationKind,
    count_min: u64,
    fields: Vec<String>,
    judged: Option<Judged>,
}

impl Condition {
    /// What is said in words. Where a further event cannot undo it, and counting rules says the same, that is
    /// done, at once.
    fn of_branches(
        kind: CorrelationKind,
        branches: Vec<Branch>,
        text: &str,
        all_rules: u64,
    ) -> Self {
        let is_ordered = kind == CorrelationKind::TemporalOrdered;
        let in_order: Vec<u32> = (0..u32::try_from(all_rules).unwrap_or(u32::MAX)).collect();
        let at_once = |count_min: u64| Self { kind, count_min, fields: Vec::new(), judged: None };
        let is_plain = branches.iter().all(|branch| branch.absent.is_empty());
        if let [only] = branches.as_slice()
            && is_plain
        {
            let mut needed = only.needed.clone();
            if !is_ordered {
                needed.sort_unstable();
            }
            if needed == in_order {
                return at_once(all_rules);
            }
        }
        let mut single: Vec<u32> = branches.iter().flat_map(|one| one.needed.clone()).collect();
        single.sort_unstable();
        if is_plain && !is_ordered && branches.len() == single.len() && single == in_order {
            return at_once(1);
        }
        let judge = Judge::Temporal { branches, is_ordered, text: text.trim().to_owned() };
        // Samples of different rules must stay apart, as those of different values do.
        let judged = Judged { measure: Measure::Distinct, judge };
        Self { kind, count_min: 1, fields: Vec::new(), judged: Some(judged) }
    }
}

/// What must be found, and of which fields.
fn read_condition(
    node: &Node,
    kind: Option<CorrelationKind>,
    rules: &[Reference],
) -> Result<Condition, Fault> {
    let kind = kind.unwrap_or(CorrelationKind::EventCount);
    let all_rules = u64::try_from(rules.len()).unwrap_or(u64::MAX).max(1);
    let is_temporal = kind.is_temporal();
    let Some(condition) = node.get("condition") else {
        return if is_temporal {
            Ok(Condition { kind, count_min: all_rules, fields: Vec::new(), judged: None })
        } else {
            Err(Fault::new(node.at, "the correlation has no `condition`"))
        };
    };
    if is_temporal && let Some(text) = condition.text() {
        let branches = read_branches(condition, rules)?;
        return Ok(Condition::of_branches(kind, branches, text, all_rules));
    }
    let entries = condition.entries().ok_or_else(|| {
        Fault::new(condition.at, "`condition` must be a mapping, such as gte: 10")
    })?;
    let mut bounds = Bounds::default();
    let (mut fields, mut rank) = (Vec::new(), None);
    for (key, value) in entries {
        let bound = match key.text.as_str() {
            "gt" => &mut bounds.gt,
            "gte" => &mut bounds.gte,
            "lt" => &mut bounds.lt,
            "lte" => &mut bounds.lte,
            "eq" => &mut bounds.eq,
            "neq" => &mut bounds.neq,
            "percentile" => &mut rank,
            "field" => {
                for item in value.items() {
                    let field =
                        item.text().ok_or_else(|| Fault::new(item.at, "must be a field's name"))?;
                    fields.push(field.to_owned());
                }
                continue;
            }
            other => return Err(Fault::new(key.at, format!("unknown key `{other}`"))),
        };
        let is_count = is_temporal || kind.is_count();
        let fits = |number: &f64| !is_count || (*number >= 0.0 && number.fract() == 0.0);
        let number = value.number().filter(|number| number.is_finite()).filter(fits);
        let wanted = if is_count { "must be a whole number from 0 on" } else { "must be a number" };
        *bound = Some(number.ok_or_else(|| Fault::new(value.at, wanted))?);
    }
    check_fields(condition.at, kind, &fields, rank)?;
    if bounds.is_empty() && !is_temporal {
        let message = "the condition has none of gt, gte, lt, lte, eq and neq";
        return Err(Fault::new(condition.at, message));
    }
    let grows = bounds.lt.or(bounds.lte).or(bounds.eq).or(bounds.neq).is_none();
    if (grows && kind.is_count()) || is_temporal {
        if !grows {
            let message = "a temporal correlation counts rules with gt and gte";
            return Err(Fault::new(condition.at, message));
        }
        let least = bounds.gte.into_iter().chain(bounds.gt.map(|bound| bound + 1.0));
        let least =
            least.fold(None, |most: Option<f64>, bound| Some(most.unwrap_or(0.0).max(bound)));
        let count_min = least.map(|least| least as u64);
        check_count(condition.at, kind, count_min, all_rules)?;
        let count_min = count_min.unwrap_or(all_rules);
        return Ok(Condition { kind, count_min, fields, judged: None });
    }
    let judged = Judged { measure: kind.measure(rank), judge: Judge::Within(bounds) };
    Ok(Condition { kind, count_min: 1, fields, judged: Some(judged) })
}

fn check_fields(
    at: Place,
    kind: CorrelationKind,
    fields: &[String],
    rank: Option<f64>,
) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new(at, message));
    let is_percentile = kind == CorrelationKind::ValuePercentile;
    if is_percentile != rank.is_some() {
        return refuse(String::from("`percentile` is for value_percentile, which needs it"));
    }
    if rank.is_some_and(|rank| !(0.0..=100.0).contains(&rank)) {
        return refuse(String::from("a percentile is a number from 0 to 100"));
    }
    match kind {
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered
            if !fields.is_empty() =>
        {
            refuse(format!("{} takes no `field`", kind.name()))
        }
        CorrelationKind::ValueCount if fields.is_empty() => {
            refuse(String::from("value_count needs `field`"))
        }
        kind if kind.measure(rank).needs_number() && fields.len() != 1 => {
            refuse(format!("{} needs one `field`", kind.name()))
        }
        _ => Ok(()),
    }
}

fn check_count(
    at: Place,
    kind: CorrelationKind,
    count_min: Option<u64>,
    rules: u64,
) -> Result<(), Fault> {
    let refuse = |message: &str| Err(Fault::new(at, message));
    match count_min {
        Some(0) => refuse("at least one must be needed"),
        Some(count) if count > COUNT_MAX => refuse("at most 100000 can be counted"),
        Some(count) if kind.is_temporal() && count > rules => {
            refuse("more rules are needed than there are")
        }
        Some(count) if kind == CorrelationKind::TemporalOrdered && count != rules => {
            refuse("temporal_ordered needs all of its rules")
        }
        _ => Ok(()),
    }
}
