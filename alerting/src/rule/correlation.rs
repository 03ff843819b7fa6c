//! Sigma correlations (specification 2.1.0): what other rules found, by group, over a span of time.
//!
//! Kinds: event_count, value_count, temporal and temporal_ordered, with `gt` and `gte`. Conditions
//! that a further event can undo (`lt`, `lte`, `eq`, `neq`) and the kinds that sum or average are
//! refused: they can only be judged when a window is complete.

use std::time::Duration;

use super::settings::read_span;
use super::yaml::{Fault, Node, Place};
use super::{Lists, Logic, RuleType};

/// Rules one correlation may name.
const MEMBERS_MAX: usize = 64;
/// Fields one correlation may group by.
const GROUP_FIELDS_MAX: usize = 16;
/// The longest span: state is kept for it.
const TIMESPAN_MAX: Duration = Duration::from_secs(31 * 86_400);
/// The largest count: a group keeps about twice as many points.
pub(super) const COUNT_MAX: u64 = 100_000;

/// The kind told by `correlation:`.
pub(super) struct Correlations;

/// What is counted.
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
}

impl CorrelationKind {
    /// Sigma's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::EventCount, Self::ValueCount, Self::Temporal, Self::TemporalOrdered]
            .into_iter()
            .find(|kind| kind.name() == name)
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
    /// What a rule calls it, where that differs: (the rule's reference, the field).
    pub aliases: Vec<(String, String)>,
}

impl GroupField {
    /// What the rule that `is_called` by a reference calls this field.
    pub fn field_of(&self, is_called: impl Fn(&str) -> bool) -> &str {
        self.aliases
            .iter()
            .find(|(rule, _)| is_called(rule))
            .map_or(self.name.as_str(), |(_, field)| field.as_str())
    }
}

/// A correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// What is counted.
    pub kind: CorrelationKind,
    /// The rules it looks at.
    pub rules: Vec<Reference>,
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
        let condition =
            read_condition(node, kind, rules.as_ref().map_or(1, Vec::len)).map_err(&mut keep).ok();
        let generate = read_flag(node, "generate").map_err(&mut keep).ok();
        match (kind, rules, timespan, group_by, condition, generate) {
            (
                Some(kind),
                Some(rules),
                Some(timespan),
                Some(group_by),
                Some((count_min, fields)),
                Some(generate),
            ) if faults.is_empty() => Ok(Logic::Correlate(Correlation {
                kind,
                rules,
                group_by,
                timespan,
                count_min,
                fields,
                generate,
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
                "correlation type `{name}` is not supported; event_count, value_count, temporal \
                 and temporal_ordered are"
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
            field.aliases.push((rule.text.clone(), name.to_owned()));
        }
    }
    Ok(fields)
}

fn read_flag(node: &Node, key: &str) -> Result<bool, Fault> {
    node.get(key).map_or(Ok(false), |node| {
        node.boolean().ok_or_else(|| Fault::new(node.at, format!("`{key}` is true or false")))
    })
}

/// How many are needed, and of which fields' values.
fn read_condition(
    node: &Node,
    kind: Option<CorrelationKind>,
    rules: usize,
) -> Result<(u64, Vec<String>), Fault> {
    let all_rules = u64::try_from(rules).unwrap_or(u64::MAX);
    let is_temporal =
        matches!(kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered));
    let Some(condition) = node.get("condition") else {
        return if is_temporal {
            Ok((all_rules, Vec::new()))
        } else {
            Err(Fault::new(node.at, "the correlation has no `condition`"))
        };
    };
    let entries = condition.entries().ok_or_else(|| {
        Fault::new(condition.at, "`condition` must be a mapping, such as gte: 10")
    })?;
    let mut count_min = None;
    let mut fields = Vec::new();
    for (key, value) in entries {
        match key.text.as_str() {
            "gt" | "gte" => {
                let count = value
                    .count()
                    .ok_or_else(|| Fault::new(value.at, "must be a whole number from 0 on"))?;
                let at_least = count.saturating_add(u64::from(key.text == "gt"));
                count_min = count_min.max(Some(at_least));
            }
            "field" => {
                for item in value.items() {
                    let field =
                        item.text().ok_or_else(|| Fault::new(item.at, "must be a field's name"))?;
                    fields.push(field.to_owned());
                }
            }
            "lt" | "lte" | "eq" | "neq" => {
                return Err(Fault::new(
                    key.at,
                    format!(
                        "condition `{}` is not supported: it can only be judged when the window is \
                         complete; use gt or gte",
                        key.text
                    ),
                ));
            }
            other => return Err(Fault::new(key.at, format!("unknown key `{other}`"))),
        }
    }
    check_condition(condition.at, kind, count_min, &fields, all_rules)?;
    let default = if is_temporal { all_rules } else { 1 };
    Ok((count_min.unwrap_or(default), fields))
}

fn check_condition(
    at: Place,
    kind: Option<CorrelationKind>,
    count_min: Option<u64>,
    fields: &[String],
    rules: u64,
) -> Result<(), Fault> {
    let refuse = |message: &str| Err(Fault::new(at, message));
    let is_temporal =
        matches!(kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered));
    match count_min {
        Some(0) => return refuse("at least one must be needed"),
        Some(count) if count > COUNT_MAX => return refuse("at most 100000 can be counted"),
        Some(count) if is_temporal && count > rules => {
            return refuse("more rules are needed than there are");
        }
        Some(count) if kind == Some(CorrelationKind::TemporalOrdered) && count != rules => {
            return refuse("temporal_ordered needs all of its rules");
        }
        None if !is_temporal => return refuse("the condition has neither `gt` nor `gte`"),
        _ => {}
    }
    match kind {
        Some(CorrelationKind::ValueCount) if fields.is_empty() => {
            refuse("value_count needs `field`")
        }
        Some(CorrelationKind::ValueCount) | None => Ok(()),
        Some(_) if !fields.is_empty() => refuse("only value_count takes `field`"),
        Some(_) => Ok(()),
    }
}
