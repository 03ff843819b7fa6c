//! Which rules cannot match what a server receives, and why: the report of dead rules.
//!
//! Input: rules, and which logsources and fields were seen. Output: a verdict for each rule. A rule is
//! called dead only when no event of what was seen could satisfy its condition whatever the values are;
//! one that could, and never did, is not.

use std::collections::{BTreeSet, HashSet};

use logwarden_event::Class;
use logwarden_query::{Filter, Predicate, Target, Test};

use crate::rule::{
    CorrelationKind, GroupPart, Logic, Rule, RuleSet, RuleState, Selection, target_of,
};

/// Fields that a verdict names.
const FIELDS_MAX: usize = 5;
/// Correlations below each other that are followed.
const DEPTH_MAX: usize = 8;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Logsource tuples of events, each as `product/category/service`.
    pub logsources: BTreeSet<String>,
    /// Names of fields, by either of their names.
    pub fields: HashSet<String>,
}

/// Whether a rule can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Alive,
    /// It is switched off.
    Disabled,
    /// No event of its logsource was seen.
    NoSource,
    /// Its condition needs fields that no event has; some of them, in the order of the rule.
    NoField(Vec<String>),
    /// Lists that it names with `expand` have no values.
    EmptyList(Vec<String>),
    /// A rule it looks at cannot match; its id.
    DeadInput(String),
}

impl Verdict {
    /// The word used in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Disabled => "disabled",
            Self::NoSource => "no_source",
            Self::NoField(_) => "no_field",
            Self::EmptyList(_) => "empty_list",
            Self::DeadInput(_) => "dead_input",
        }
    }

    /// Whether it cannot match although it should.
    pub const fn is_dead(&self) -> bool {
        !matches!(self, Self::Alive | Self::Disabled)
    }
}

/// The verdict on one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCoverage {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The file it stands in.
    pub file: String,
    /// What it looks for, as `product/category/service`; empty: everything, or a correlation.
    pub logsource: String,
    /// Whether it can match.
    pub verdict: Verdict,
}

impl RuleCoverage {
    /// Why, in words.
    pub fn reason(&self) -> String {
        match &self.verdict {
            Verdict::Alive => String::from("can match"),
            Verdict::Disabled => String::from("is switched off"),
            Verdict::NoSource => format!("no event of logsource {} was seen", self.logsource),
            Verdict::NoField(fields) => format!("no event has {}", fields.join(", ")),
            Verdict::EmptyList(lists) => format!("list {} has no values", lists.join(", ")),
            Verdict::DeadInput(id) => format!("it looks at `{id}`, which cannot match"),
        }
    }
}

/// Judges every rule that lists show.
pub fn coverage(rules: &RuleSet, seen: &Seen) -> Vec<RuleCoverage> {
    let shown: HashSet<String> = rules.summaries().into_iter().map(|rule| rule.id).collect();
    let judged = |rule: &Rule| RuleCoverage {
        id: rule.id.clone(),
        title: rule.title.clone(),
        file: rule.file.clone(),
        logsource: match &rule.logic {
            Logic::Match(selection) => logsource(selection),
            Logic::Correlate(_) => String::new(),
        },
        verdict: verdict(rules, rule, seen, 0),
    };
    rules.rules().iter().filter(|rule| shown.contains(&rule.id)).map(judged).collect()
}

/// The names of fields that are needed by a rule and were not seen, over all rules.
pub fn unseen_fields(rules: &RuleSet, seen: &Seen) -> BTreeSet<String> {
    let mut missing = Vec::new();
    for rule in rules.rules() {
        if let Logic::Match(selection) = &rule.logic {
            can_hold(&selection.filter, seen, &mut missing);
        }
    }
    missing.into_iter().flat_map(|names| names.0).collect()
}

/// A field that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedField {
    /// What events may call it; the first is what the text says.
    pub names: Vec<String>,
    /// Where the text names it first, from 1 on.
    pub line: usize,
    /// The same within the line, in characters.
    pub column: usize,
}

/// The fields that the rules of a file name: in their conditions, their groups and what they count.
pub(crate) fn named_fields(rules: &RuleSet, file: &str, text: &str) -> Vec<NamedField> {
    let mut targets: Vec<Target> = Vec::new();
    for rule in rules.rules().iter().filter(|rule| rule.file == file) {
        match &rule.logic {
            Logic::Match(selection) => add_targets(&selection.filter, &mut targets),
            Logic::Correlate(correlation) => {
                let members = correlation.rules.iter().filter_map(|one| rules.find(&one.text));
                let parts = members.flat_map(|member| GroupPart::all_of(correlation, member));
                targets.extend(parts.map(|part| part.target));
                targets.extend(correlation.fields.iter().map(|field| target_of(field)));
            }
        }
    }
    let mut found: Vec<NamedField> = Vec::new();
    for target in targets {
        let names = match target {
            Target::Field(name) => vec![name],
            Target::FirstOf(names) => names,
            _ => continue,
        };
        if !found.iter().any(|known| known.names == names) {
            let (line, column) = names.iter().find_map(|name| place(text, name)).unwrap_or((1, 1));
            found.push(NamedField { names, line, column });
        }
    }
    found
}

fn add_targets(filter: &Filter, targets: &mut Vec<Target>) {
    match filter {
        Filter::All | Filter::Nothing => {}
        Filter::Not(part) => add_targets(part, targets),
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().for_each(|part| add_targets(part, targets));
        }
        Filter::Is(predicate) => targets.push(predicate.target.clone()),
    }
}

/// Where a text names a field: line and column, from 1 on. A key comes before a value, and both before a
/// sentence.
pub(crate) fn place(text: &str, name: &str) -> Option<(usize, usize)> {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@');
    let mut found: Option<(u8, usize, usize)> = None;
    for (line, content) in text.lines().enumerate() {
        let is_words =
            ["title:", "description:", "#"].iter().any(|key| content.trim_start().starts_with(key));
        for (at, _) in content.match_indices(name) {
            let (before, after) = (&content[..at], &content[at + name.len()..]);
            if before.ends_with(goes_on) || after.starts_with(goes_on) {
                continue;
            }
            let is_key = after.trim_start_matches(['"', '\'']).starts_with([':', '|']);
            let rank = if is_words { 2 } else { u8::from(!is_key) };
            if found.is_none_or(|(best, ..)| rank < best) {
                found = Some((rank, line + 1, before.chars().count() + 1));
            }
        }
    }
    found.map(|(_, line, column)| (line, column))
}

fn logsource(selection: &Selection) -> String {
    let Selection { product, category, service, .. } = selection;
    let text = format!("{product}/{category}/{service}");
    if text == "//" { String::new() } else { text }
}

fn verdict(rules: &RuleSet, rule: &Rule, seen: &Seen, depth: usize) -> Verdict {
    if rule.settings.state == RuleState::Disabled {
        return Verdict::Disabled;
    }
    match &rule.logic {
        Logic::Match(selection) => selection_verdict(selection, seen),
        Logic::Correlate(_) if depth >= DEPTH_MAX => Verdict::Alive,
        Logic::Correlate(correlation) => {
            let members = correlation.rules.iter().filter_map(|one| rules.find(&one.text));
            let verdicts: Vec<(&Rule, Verdict)> =
                members.map(|member| (member, verdict(rules, member, seen, depth + 1))).collect();
            let dead = |of: &(&Rule, Verdict)| of.1 != Verdict::Alive;
            let needs_all = match correlation.kind {
                CorrelationKind::TemporalOrdered => true,
                CorrelationKind::Temporal => correlation.count_min >= verdicts.len() as u64,
                _ => false,
            };
            let is_dead = match needs_all {
                true => verdicts.iter().any(dead),
                false => !verdicts.is_empty() && verdicts.iter().all(dead),
            };
            match verdicts.into_iter().find(dead) {
                // The selection inside a detector is the detector's own.
                Some((member, verdict))
                    if is_dead && member.id.starts_with(&format!("{}#", rule.id)) =>
                {
                    verdict
                }
                Some((member, _)) if is_dead => Verdict::DeadInput(member.id.clone()),
                _ => Verdict::Alive,
            }
        }
    }
}

fn selection_verdict(selection: &Selection, seen: &Seen) -> Verdict {
    if !selection.missing_lists.is_empty() {
        return Verdict::EmptyList(selection.missing_lists.clone());
    }
    let applies = |tuple: &String| selection.applies_to(Class::new(tuple));
    if !selection.applies_to(Class::default()) && !seen.logsources.iter().any(applies) {
        return Verdict::NoSource;
    }
    let mut missing = Vec::new();
    if can_hold(&selection.filter, seen, &mut missing) {
        return Verdict::Alive;
    }
    let mut names: Vec<String> = Vec::new();
    for Missing(known) in missing {
        let name = known.first().cloned().unwrap_or_default();
        if !names.contains(&name) && names.len() < FIELDS_MAX {
            names.push(name);
        }
    }
    Verdict::NoField(names)
}

/// The names one field goes by, none of which was seen.
struct Missing(Vec<String>);

/// Whether some event with the fields that were seen can satisfy the condition.
fn can_hold(filter: &Filter, seen: &Seen, missing: &mut Vec<Missing>) -> bool {
    match filter {
        Filter::All | Filter::Not(_) => true,
        Filter::Nothing => false,
        // Every part is asked, so that all that is missing is named.
        Filter::And(parts) => {
            let can: Vec<bool> = parts.iter().map(|part| can_hold(part, seen, missing)).collect();
            can.into_iter().all(|can| can)
        }
        Filter::Or(parts) => {
            let before = missing.len();
            let can: Vec<bool> = parts.iter().map(|part| can_hold(part, seen, missing)).collect();
            let any = can.into_iter().any(|can| can);
            if any {
                missing.truncate(before);
            }
            any
        }
        Filter::Is(Predicate { test: Test::IsNull, .. }) => true,
        Filter::Is(predicate) => {
            let names = match &predicate.target {
                Target::Field(name) => std::slice::from_ref(name),
                Target::FirstOf(names) => names.as_slice(),
                _ => return true,
            };
            let is_below = |name: &str, path: &String| {
                path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
            };
            let is_present = |name: &String| {
                matches!(predicate.test, Test::Present)
                    && seen.fields.iter().any(|path| is_below(name, path))
            };
            let is_seen = names.iter().any(|name| seen.fields.contains(name) || is_present(name));
            if !is_seen {
                missing.push(Missing(names.to_vec()));
            }
            is_seen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleFile;

    const RULES: &str = r"
title: web
id: web
logsource: { category: webserver }
detection:
  a: { url.path|contains: x }
  b: { never.there: y, also.not: z }
  c: { gone: null }
  condition: a and (b or c)
---
title: needs
id: needs
logsource: {}
detection: { a: { never.there: y }, b: { url.path: z }, condition: a and b }
---
title: windows
id: windows
logsource: { product: windows }
detection: { a: { url.path: z }, condition: a }
---
title: list
id: list
logsource: {}
detection: { a: { 'url.path|expand': '%none%' }, condition: a }
---
title: off
id: off
logsource: {}
detection: { a: { never.there: z }, condition: a }
logwarden: { state: disabled }
---
title: some
id: some
correlation: { type: event_count, rules: [web, windows], timespan: 5m, condition: { gte: 2 } }
---
title: both
id: both
correlation: { type: temporal, rules: [web, windows], timespan: 5m }
---
title: own
id: own
detector: { type: threshold, window: 5m, input: { query: 'never.there:*' } }
";

    #[test]
    fn each_rule_that_cannot_match_says_why() {
        let file = RuleFile { name: "r.yml".into(), text: RULES.into() };
        let (rules, problems) = RuleSet::load(&[file]);
        assert_eq!(problems, []);
        let seen = Seen {
            logsources: BTreeSet::from(["/webserver/".into(), "linux//sshd".into()]),
            fields: HashSet::from(["url.path".into()]),
        };
        let found = coverage(&rules, &seen);
        let found: Vec<String> = found
            .iter()
            .map(|rule| format!("{} {}: {}", rule.id, rule.verdict.name(), rule.reason()))
            .collect();
        assert_eq!(
            found,
            [
                "web alive: can match",
                "needs no_field: no event has never.there",
                "windows no_source: no event of logsource windows// was seen",
                "list empty_list: list none has no values",
                "off disabled: is switched off",
                "some alive: can match",
                "both dead_input: it looks at `windows`, which cannot match",
                "own no_field: no event has never.there",
            ]
        );
        assert!(unseen_fields(&rules, &seen).contains("never.there"));
        assert!(!unseen_fields(&rules, &seen).contains("url.path"));
    }

    #[test]
    fn the_fields_a_text_names_are_known_with_their_places() {
        let text = "title: t\nid: t\nlogsource: {}\ndetection:\n  a: { sorce.ip: 10.0.0.1 }\n  \
            b: { url.path: x, message: y }\n  condition: a and not b\n---\ntitle: many\nid: many\n\
            correlation: { type: value_count, rules: [t], group-by: [user.nam], timespan: 5m, \
            condition: { field: hots, gte: 2 } }\n";
        let file = RuleFile { name: "r.yml".into(), text: text.into() };
        let (rules, problems) = RuleSet::load(&[file]);
        assert_eq!(problems, []);
        let fields = named_fields(&rules, "r.yml", text);
        let fields: Vec<(&str, usize, usize)> =
            fields.iter().map(|one| (one.names[0].as_str(), one.line, one.column)).collect();
        assert_eq!(
            fields,
            [("sorce.ip", 5, 8), ("url.path", 6, 8), ("user.nam", 11, 58), ("hots", 11, 103)]
        );
        assert_eq!(named_fields(&rules, "other.yml", text), []);
    }
}
