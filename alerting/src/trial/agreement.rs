//! Which detections of one list another has too: of the same rule and group, at the same time.
//!
//! In: spans of time in which a rule's condition held for a group. Out: by place, whether the other list
//! has one that overlaps. Groups are compared by the fields that both lists have, rules where both lists
//! know them; what one list does not have cannot tell its spans apart. Pure; sorts once, then searches.

use std::collections::{BTreeSet, HashMap};

use logwarden_event::Timestamp;

use super::TrialDetection;
use crate::alert::AlertSummary;

/// A span of time in which a rule's condition held for a group.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    rule: &'a str,
    group: &'a [(String, String)],
    from: Timestamp,
    to: Timestamp,
}

impl<'a> Span<'a> {
    /// That of a detection on trial.
    pub fn of_detection(found: &'a TrialDetection) -> Self {
        Self { rule: &found.rule, group: &found.group, from: found.at, to: found.until }
    }

    /// That of an alert: its events'.
    pub fn of_alert(alert: &'a AlertSummary) -> Self {
        let (from, to) = (alert.first_event_at, alert.last_event_at);
        Self { rule: &alert.rule.id, group: &alert.group, from, to }
    }

    fn fields(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.group.iter().map(|(field, _)| field.as_str())
    }
}

/// What two spans must agree in.
struct Shared<'a> {
    fields: BTreeSet<&'a str>,
    rules: BTreeSet<&'a str>,
}

impl<'a> Shared<'a> {
    fn of(ones: &[Span<'a>], others: &[Span<'a>]) -> Self {
        let fields = |spans: &[Span<'a>]| -> BTreeSet<&'a str> {
            spans.iter().flat_map(Span::fields).collect()
        };
        let rules = |spans: &[Span<'a>]| -> BTreeSet<&'a str> {
            spans.iter().map(|span| span.rule).collect()
        };
        Self { fields: &fields(ones) & &fields(others), rules: &rules(ones) & &rules(others) }
    }

    fn key(&self, span: &Span<'a>) -> (Option<&'a str>, Vec<(&'a str, &'a str)>) {
        let pairs = span.group.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        let mut shared: Vec<_> = pairs.filter(|(field, _)| self.fields.contains(field)).collect();
        shared.sort_unstable();
        (self.rules.get(span.rule).copied(), shared)
    }
}

/// By place in `ones`: whether `others` have a span that agrees with it.
pub fn agreeing(ones: &[Span<'_>], others: &[Span<'_>]) -> Vec<bool> {
    let shared = Shared::of(ones, others);
    let mut by_key: HashMap<_, Vec<(Timestamp, Timestamp)>> = HashMap::new();
    for other in others {
        by_key.entry(shared.key(other)).or_default().push((other.from, other.to));
    }
    for spans in by_key.values_mut() {
        spans.sort_unstable();
        // Each end becomes the latest so far: one look then tells whether any of those before reaches.
        let mut latest = Timestamp::MIN;
        for (_, to) in spans {
            latest = latest.max(*to);
            *to = latest;
        }
    }
    let agrees = |one: &Span<'_>| {
        let Some(spans) = by_key.get(&shared.key(one)) else { return false };
        let begun = spans.partition_point(|(from, _)| *from <= one.to);
        begun > 0 && spans[begun - 1].1 >= one.from
    };
    ones.iter().map(agrees).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: &str, group: &[(&str, &str)], from: i64, to: i64) -> TrialDetection {
        TrialDetection {
            at: Timestamp::from_secs(from),
            until: Timestamp::from_secs(to),
            rule: rule.to_owned(),
            title: String::new(),
            group: group.iter().map(|(f, v)| ((*f).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn agree(ones: &[TrialDetection], others: &[TrialDetection]) -> Vec<bool> {
        agreeing(
            &ones.iter().map(Span::of_detection).collect::<Vec<_>>(),
            &others.iter().map(Span::of_detection).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn spans_agree_in_rule_group_and_time() {
        let others = [
            found("a", &[("source.ip", "1")], 100, 900),
            found("a", &[("source.ip", "1")], 200, 210),
            found("b", &[("source.ip", "2")], 100, 200),
        ];
        let ones = [
            found("a", &[("source.ip", "1")], 500, 510),
            found("a", &[("source.ip", "1")], 901, 950),
            found("a", &[("source.ip", "1")], 10, 99),
            found("a", &[("source.ip", "1")], 10, 100),
            found("a", &[("source.ip", "2")], 150, 150),
            found("b", &[("source.ip", "2")], 150, 150),
        ];
        assert_eq!(agree(&ones, &others), [true, false, false, true, false, true]);
        assert_eq!(agree(&ones, &[]), [false; 6]);
    }

    #[test]
    fn a_field_or_rule_that_one_side_lacks_does_not_part_them() {
        let ones = [found("old", &[("source.ip", "1"), ("user.name", "root")], 5, 9)];
        let by_ip = [found("new", &[("source.ip", "1")], 5, 9)];
        let by_other_ip = [found("new", &[("source.ip", "2")], 5, 9)];
        let whole = [found("new", &[], 5, 9)];
        assert_eq!(agree(&ones, &by_ip), [true]);
        assert_eq!(agree(&ones, &by_other_ip), [false]);
        assert_eq!(agree(&ones, &whole), [true]);
    }
}
