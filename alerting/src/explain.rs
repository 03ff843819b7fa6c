//! Why a rule matches an event, or why not: its condition as a tree, each line with its verdict.
//!
//! The filters are the ones that decide live. Values of the event are cut and their controls visible.

use logwarden_event::{Event, Value};
use logwarden_query::{Comparison, Filter, Predicate, Target, Test};

use crate::alert::wording::visible;
use crate::engine::field_text;
use crate::rule::{Logic, Rule, RuleSet, Selection};

/// Values of one field that are shown.
const VALUES_MAX: usize = 3;
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 80;
/// Lines of one explanation; a rule may name thousands of values.
const LINES_MAX: usize = 400;
/// Correlations below each other that are followed.
const DEPTH_MAX: usize = 8;

/// A line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How deep it stands, from 0 on.
    pub depth: usize,
    /// Whether this part holds.
    pub holds: bool,
    /// What it says.
    pub text: String,
}

/// Explains what a rule says of an event; the first line is the verdict. A correlation is explained by
/// the rules it looks at, and by the group the event would count in.
pub fn explain(rules: &RuleSet, rule: &Rule, event: &Event) -> Vec<Reason> {
    let mut reasons = Vec::new();
    explain_rule(rules, rule, event, 0, &mut reasons);
    if reasons.len() > LINES_MAX {
        let left_out = reasons.len() - LINES_MAX;
        reasons.truncate(LINES_MAX);
        let text = format!("… {left_out} more lines");
        reasons.push(Reason { depth: 0, holds: reasons[0].holds, text });
    }
    reasons
}

fn explain_rule(
    rules: &RuleSet,
    rule: &Rule,
    event: &Event,
    depth: usize,
    reasons: &mut Vec<Reason>,
) {
    let title = visible(&rule.title, 200);
    match &rule.logic {
        Logic::Match(selection) => {
            let holds = selection.matches(event);
            reasons.push(Reason { depth, holds, text: format!("rule \"{title}\"") });
            explain_selection(selection, event, depth + 1, reasons);
        }
        Logic::Correlate(correlation) => {
            let place = reasons.len();
            let text = format!("{} \"{title}\" counts this event", correlation.kind.name());
            reasons.push(Reason { depth, holds: false, text });
            let mut is_member = false;
            for reference in correlation.rules.iter().filter(|_| depth < DEPTH_MAX) {
                if let Some(member) = rules.find(&reference.text) {
                    let at = reasons.len();
                    explain_rule(rules, member, event, depth + 1, reasons);
                    is_member |= reasons[at].holds;
                }
            }
            let mut has_group = true;
            for field in &correlation.group_by {
                let (shown, holds) = match field_text(event, &field.name) {
                    Some(value) => (visible(&value, VALUE_CHARS_MAX), true),
                    None if rule.settings.missing_as_null => {
                        (String::from("no such field: counted with others without it"), true)
                    }
                    None => (String::from("no such field: the event is not counted"), false),
                };
                has_group &= holds;
                let text = format!("group by {}: {shown}", field.name);
                reasons.push(Reason { depth: depth + 1, holds, text });
            }
            reasons[place].holds = is_member && has_group;
        }
    }
}

fn explain_selection(
    selection: &Selection,
    event: &Event,
    depth: usize,
    reasons: &mut Vec<Reason>,
) {
    let wanted = [
        ("product", &selection.product),
        ("category", &selection.category),
        ("service", &selection.service),
    ];
    let wanted: Vec<String> = wanted
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if !wanted.is_empty() {
        let class = visible(event.class().as_str(), 200);
        let class = if class.is_empty() { String::from("none") } else { class };
        let text = format!("logsource {}; the event's: {class}", wanted.join(", "));
        reasons.push(Reason { depth, holds: selection.applies_to(event.class()), text });
    }
    for list in &selection.missing_lists {
        let text = format!("list `{}` has values", visible(list, VALUE_CHARS_MAX));
        reasons.push(Reason { depth, holds: false, text });
    }
    explain_filter(&selection.filter, event, depth, reasons);
}

/// The recursion is as deep as the filter, whose builders bound it.
fn explain_filter(filter: &Filter, event: &Event, depth: usize, reasons: &mut Vec<Reason>) {
    let mut say = |text: &str| {
        let text = text.to_owned();
        reasons.push(Reason { depth, holds: filter.matches(event), text });
    };
    match filter {
        Filter::All => say("everything"),
        Filter::Nothing => say("nothing"),
        Filter::And(parts) | Filter::Or(parts) => {
            say(if matches!(filter, Filter::And(_)) { "all of" } else { "any of" });
            for part in parts {
                explain_filter(part, event, depth + 1, reasons);
            }
        }
        Filter::Not(part) => {
            say("not");
            explain_filter(part, event, depth + 1, reasons);
        }
        Filter::Is(predicate) => say(&predicate_text(predicate, event)),
    }
}

fn predicate_text(predicate: &Predicate, event: &Event) -> String {
    let test = &predicate.test;
    let (name, values) = match &predicate.target {
        Target::Field(name) => (name.as_str(), values_of(event, name, test)),
        Target::FirstOf(names) => {
            let has_value = |name: &&String| event.values(name).any(|value| value != Value::Null);
            let found = names.iter().find(has_value);
            let name = found.or(names.first()).map_or("", String::as_str);
            (name, values_of(event, name, test))
        }
        Target::Message => ("message", vec![visible(event.message(), VALUE_CHARS_MAX)]),
        Target::Record => ("the record", place_in(event, test).into_iter().collect()),
        other => (other.name().unwrap_or_default(), Vec::new()),
    };
    let found = match (&predicate.target, values.as_slice()) {
        (Target::Field(name), [])
            if matches!(test, Test::Present) && Filter::Is(predicate.clone()).matches(event) =>
        {
            format!("; there are fields below {name}")
        }
        (Target::Field(_) | Target::FirstOf(_), []) => String::from("; no such field"),
        (_, []) => String::new(),
        (Target::Record, values) => format!("; found in {}", values.join(", ")),
        (_, values) => format!("; found: {}", values.join(", ")),
    };
    let other = match test {
        Test::SameAs { name, .. } => {
            let values = values_of(event, name, test);
            let values =
                if values.is_empty() { String::from("nothing") } else { values.join(", ") };
            format!("; there: {values}")
        }
        _ => String::new(),
    };
    format!("{name} {}{found}{other}", test_text(test))
}

/// A few of the values of a field, first those that pass.
fn values_of(event: &Event, name: &str, test: &Test) -> Vec<String> {
    let mut values: Vec<Value<'_>> = event.values(name).collect();
    values.sort_by_key(|value| !test.passes(*value));
    let values = values.into_iter().take(VALUES_MAX);
    values.map(|value| visible(&value.to_string(), VALUE_CHARS_MAX)).collect()
}

/// The first part of a record that passes by itself.
fn place_in(event: &Event, test: &Test) -> Option<String> {
    if test.passes(Value::String(event.message())) {
        return Some(String::from("message"));
    }
    let mut fields = event.fields();
    let found = fields.find(|field| test.passes(field.value));
    found.map(|field| visible(field.path, VALUE_CHARS_MAX))
}

fn test_text(test: &Test) -> String {
    let shown = |text: &str| visible(text, VALUE_CHARS_MAX);
    let case = |cased: bool| if cased { " (case matters)" } else { "" };
    match test {
        Test::Exists => String::from("has a value"),
        Test::IsNull => String::from("is absent or null"),
        Test::Present => String::from("is there"),
        Test::Equals { text, cased } => format!("is `{}`{}", shown(text), case(*cased)),
        Test::StartsWith { text, cased } => format!("begins `{}`{}", shown(text), case(*cased)),
        Test::EndsWith { text, cased } => format!("ends `{}`{}", shown(text), case(*cased)),
        Test::Contains { text, cased } => format!("contains `{}`{}", shown(text), case(*cased)),
        Test::Like { pattern, cased, .. } => {
            format!("is like `{}`{}", shown(pattern), case(*cased))
        }
        Test::Regex(regex) => format!("matches /{}/", shown(regex.as_str())),
        Test::Network(networks) => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            format!("lies in {}", networks.join(", "))
        }
        Test::Number(comparison, bound) => format!("{} {bound}", comparison.sign()),
        Test::TimePart(part, comparison, number) => {
            let sign = comparison.map_or("=", Comparison::sign);
            format!("{} {sign} {number}", format!("{part:?}").to_lowercase())
        }
        Test::SameAs { name, .. } => format!("is the same as {}", shown(name)),
        other => shown(&format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleFile;
    use crate::sample::event_of_json;

    fn check(event: &str, reference: &str, expected: &[&str]) {
        let text = "title: Root\nname: root\nlogsource: { product: linux }\ndetection:\n  sel: { user.name: root }\n  \
            inside: { source.ip|cidr: 10.0.0.0/8 }\n  condition: sel and not inside\n---\n\
            title: Often\nname: often\ncorrelation:\n  type: event_count\n  rules: [root]\n  group-by: [source.ip]\n  \
            timespan: 5m\n  condition: { gte: 5 }\n";
        let file = RuleFile { name: "r.yml".into(), text: text.to_owned() };
        let (rules, problems) = RuleSet::load(&[file]);
        assert_eq!(problems, []);
        let rule = rules.find(reference).expect("a rule");
        let reasons = explain(&rules, rule, &event_of_json(event.as_bytes()));
        let line = |reason: &Reason| {
            let sign = if reason.holds { "+" } else { "-" };
            format!("{}{sign} {}", "  ".repeat(reason.depth), reason.text)
        };
        assert_eq!(reasons.iter().map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_match_and_a_miss_say_what_was_found() {
        check(
            r#"{"class":"linux//sshd","user.name":"Root","source.ip":"192.0.2.1"}"#,
            "root",
            &[
                "+ rule \"Root\"",
                "  + logsource product linux; the event's: linux//sshd",
                "  + all of",
                "    + user.name is `root`; found: Root",
                "    + not",
                "      - source.ip lies in 10.0.0.0/8; found: 192.0.2.1",
            ],
        );
        check(
            r#"{"user.name":"root"}"#,
            "often",
            &[
                "- event_count \"Often\" counts this event",
                "  - rule \"Root\"",
                "    - logsource product linux; the event's: none",
                "    + all of",
                "      + user.name is `root`; found: root",
                "      + not",
                "        - source.ip lies in 10.0.0.0/8; no such field",
                "  - group by source.ip: no such field: the event is not counted",
            ],
        );
    }

    #[test]
    fn a_test_shows_the_value_and_the_field_that_passed() {
        let why = |detection: &str, event: &str| {
            let text = format!(
                "title: t\nid: t\nlogsource: {{}}\ndetection:\n  s: {detection}\n  condition: s\n"
            );
            let (rules, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text }]);
            assert_eq!(problems, []);
            let reasons = explain(&rules, &rules.rules()[0], &event_of_json(event.as_bytes()));
            reasons.last().map(|reason| (reason.holds, reason.text.clone())).expect("a reason")
        };
        let many = why("{ a: zz }", r#"{"a":["u","v","w","zz"]}"#);
        assert_eq!(many, (true, String::from("a is `zz`; found: zz, u, v")));
        let word = why("[ needle ]", r#"{"a":"x","b":"a needle here"}"#);
        assert_eq!(word, (true, String::from("the record contains `needle`; found in b")));
        let same = why("{ 'a|fieldref': b }", r#"{"a":"x","b":"y"}"#);
        assert_eq!(same, (false, String::from("a is the same as b; found: x; there: y")));
        let below = why("{ 'a|exists': true }", r#"{"a":{"b":1}}"#);
        assert_eq!(below, (true, String::from("a is there; there are fields below a")));
    }
}
