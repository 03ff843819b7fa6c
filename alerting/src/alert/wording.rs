//! What an alert says: its title and why it was opened, with the numbers in it, and the search that
//! shows its events. Values from records are cut and made visible; they never format anything.

use logwarden_event::is_hidden;
use logwarden_query::{Filter, Test};

use super::tables::Body;
use super::{EntityCount, SeriesPoint};
use crate::engine::GroupValues;
use crate::rule::{CorrelationKind, Logic, Rule, RuleSet, Title, TitlePart, target_of};

/// Characters of one value in a title.
const TITLE_VALUE_CHARS_MAX: usize = 64;
/// Characters of a title.
pub(crate) const TITLE_CHARS_MAX: usize = 300;
/// Different values of one field that an alert counts; more are shown as so many and a plus.
pub(crate) const ENTITY_VALUES_MAX: usize = 256;

/// The numbers that titles and reasons are made of.
pub(crate) struct Numbers<'a> {
    /// Events, exactly.
    pub events: u64,
    /// Who and what is in them.
    pub entities: &'a [EntityCount],
    /// The group.
    pub group: &'a GroupValues,
    /// The fields of the event by which a sequence was complete.
    pub decided_by: &'a [(String, String)],
    /// Why, of a rule whose numbers alone do not say it.
    pub explained: Option<&'a super::tables::Told>,
}

impl Numbers<'_> {
    fn values_of(&self, field: &str) -> usize {
        self.entities.iter().filter(|known| known.entity.field == field).count()
    }

    fn count_text(&self, field: &str) -> String {
        match self.values_of(field) {
            ENTITY_VALUES_MAX => format!("{ENTITY_VALUES_MAX}+"),
            count => count.to_string(),
        }
    }

    fn value_of(&self, field: &str) -> String {
        let known = self.group.iter().chain(self.decided_by);
        let known = known.rev().find(|(name, _)| name == field).map(|(_, value)| value);
        let most_frequent = || {
            let of_field = self.entities.iter().filter(|known| known.entity.field == field);
            of_field.max_by_key(|known| known.count).map(|known| &known.entity.value)
        };
        known.or_else(most_frequent).map_or_else(|| String::from("(unknown)"), |v| shown(v))
    }
}

/// A value as a title shows it: controls and characters that turn text around become visible.
pub(crate) fn shown(value: &str) -> String {
    let mut out = visible(value, TITLE_VALUE_CHARS_MAX);
    if value.chars().count() > TITLE_VALUE_CHARS_MAX {
        out.push('…');
    }
    out
}

/// At most `chars_max` characters of a text, with controls and invisible characters as escapes.
pub(crate) fn visible(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(4 * chars_max));
    for c in text.chars().take(chars_max) {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The title of an alert.
pub(crate) fn title(rule: &Rule, numbers: &Numbers<'_>) -> String {
    let text = match &rule.settings.title {
        Some(Title(parts)) => parts
            .iter()
            .map(|part| match part {
                TitlePart::Text(text) => text.clone(),
                TitlePart::Events => numbers.events.to_string(),
                TitlePart::Field(field) => numbers.value_of(field),
                TitlePart::Count(field) => numbers.count_text(field),
            })
            .collect(),
        None => {
            let events = if numbers.events == 1 { "event" } else { "events" };
            let mut text = format!("{}: {} {events}", rule.title, numbers.events);
            for (field, value) in numbers.group {
                text.push_str(&format!(", {field} {}", shown(value)));
            }
            text
        }
    };
    visible(&text, TITLE_CHARS_MAX)
}

/// The fields a rule's titles and reasons count values of, besides its group.
pub(crate) fn counted_fields(rule: &Rule) -> Vec<&str> {
    let mut fields: Vec<&str> = rule.settings.title.iter().flat_map(Title::fields).collect();
    if let Logic::Correlate(correlation) = &rule.logic {
        fields.extend(correlation.fields.iter().map(String::as_str));
    }
    fields
}

/// What was counted, what the rule asks for, and the window in seconds.
pub(crate) fn figures(rule: &Rule, numbers: &Numbers<'_>) -> (u64, u64, u64) {
    match &rule.logic {
        Logic::Match(_) => (numbers.events, 1, 0),
        Logic::Correlate(correlation) => {
            if let Some(told) = numbers.explained {
                return (told.observed, told.threshold, correlation.timespan.as_secs());
            }
            let observed = match correlation.kind {
                CorrelationKind::ValueCount if correlation.fields.len() == 1 => {
                    let values = numbers.values_of(&correlation.fields[0]);
                    u64::try_from(values).unwrap_or(u64::MAX).max(correlation.count_min)
                }
                CorrelationKind::ValueCount => numbers.events.max(correlation.count_min),
                // So many rules are needed, and so many matched.
                CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                    correlation.count_min
                }
                _ => numbers.events,
            };
            (observed, correlation.count_min, correlation.timespan.as_secs())
        }
    }
}

/// Why an alert was opened, in words with the numbers in them.
pub(crate) fn reason(rules: &RuleSet, rule: &Rule, numbers: &Numbers<'_>) -> String {
    let group = match numbers.group.as_slice() {
        [] => String::new(),
        group => {
            let parts: Vec<String> =
                group.iter().map(|(field, value)| format!("{field} {}", shown(value))).collect();
            format!(" with {}", parts.join(", "))
        }
    };
    let events = numbers.events;
    if let Some(told) = numbers.explained {
        let mut text = format!("{}{group}.", told.text);
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        return text;
    }
    let Logic::Correlate(correlation) = &rule.logic else {
        let verb = if events == 1 { "event matches" } else { "events match" };
        return format!("{events} {verb} the rule \"{}\"{group}.", rule.title);
    };
    let titles: Vec<String> = correlation
        .rules
        .iter()
        .map(|reference| {
            let title = rules.find(&reference.text).map_or(&reference.text, |rule| &rule.title);
            format!("\"{title}\"")
        })
        .collect();
    let span = span_text(correlation.timespan.as_secs());
    let least = correlation.count_min;
    match correlation.kind {
        CorrelationKind::ValueCount => format!(
            "{} different values of {} in {events} events of {}{group}; the threshold is {least} in \
             {span}.",
            figures(rule, numbers).0,
            correlation.fields.join(" and "),
            titles.join(" or ")
        ),
        CorrelationKind::Temporal => format!(
            "At least {least} of {} matched within {span}{group}, {events} events in all.",
            titles.join(", ")
        ),
        CorrelationKind::TemporalOrdered => format!(
            "{} matched in this order within {span}{group}, {events} events in all.",
            titles.join(", then ")
        ),
        _ => format!(
            "{events} events of {}{group}; the threshold is {least} in {span}.",
            titles.join(" or ")
        ),
    }
}

/// `1 event`, `2 events`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A span of time as people say it.
pub(crate) fn span_text(secs: u64) -> String {
    match secs {
        secs if secs >= 86_400 && secs % 86_400 == 0 => format!("{} d", secs / 86_400),
        secs if secs >= 3_600 && secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs if secs >= 60 && secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}

/// The query that finds an alert's events: what its rules look for, within its group. Where the
/// query language cannot say what the rules look for, the group alone.
pub(crate) fn search_query(rules: &RuleSet, rule: &Rule, group: &GroupValues) -> String {
    let mut filters = vec![selected_by(rules, rule, 0)];
    let of_value = |(field, value): &(String, String)| {
        let test = Test::Equals { text: value.clone(), cased: false };
        Filter::is(target_of(field), test)
    };
    let mut of_group: Vec<Filter> = group.iter().map(of_value).collect();
    if let (Logic::Correlate(correlation), true) = (&rule.logic, rule.settings.missing_as_null) {
        let fields = correlation.group_by.iter().map(|field| &field.name);
        let missing = fields.filter(|name| group.iter().all(|(known, _)| known != *name));
        of_group.extend(missing.map(|name| Filter::is(target_of(name), Test::IsNull)));
    }
    filters.extend(of_group.iter().cloned());
    Filter::And(filters)
        .to_query_text()
        .or_else(|| Filter::And(of_group).to_query_text())
        .unwrap_or_else(|| String::from("*"))
}

/// What the Sigma rules under `rule` look for. The recursion is as deep as loading allows.
fn selected_by(rules: &RuleSet, rule: &Rule, depth: usize) -> Filter {
    match &rule.logic {
        Logic::Match(selection) => selection.filter.clone(),
        Logic::Correlate(_) if depth > 16 => Filter::All,
        Logic::Correlate(correlation) => {
            let below = correlation.rules.iter().filter_map(|r| rules.find(&r.text));
            let mut filters: Vec<Filter> =
                below.map(|rule| selected_by(rules, rule, depth + 1)).collect();
            if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) }
        }
    }
}

/// Adds an event to the events per minute.
pub(crate) fn add_to_series(series: &mut Vec<SeriesPoint>, at_ns: i64, events: u64) {
    let minute = at_ns.div_euclid(60_000_000_000);
    match series.binary_search_by_key(&minute, |point| point.minute) {
        Ok(place) => series[place].count += events,
        Err(place) => series.insert(place, SeriesPoint { minute, count: events }),
    }
    let surplus = series.len().saturating_sub(super::SERIES_MINUTES_MAX);
    series.drain(..surplus);
}

/// Brings title and reason up to the numbers.
pub(crate) fn refresh(rules: &RuleSet, rule: &Rule, events: u64, body: &mut Body) -> String {
    let numbers = Numbers {
        events,
        entities: &body.entities,
        group: &body.group,
        decided_by: &body.decided_by,
        explained: body.explained.as_ref(),
    };
    let title = title(rule, &numbers);
    let text = reason(rules, rule, &numbers);
    let (observed, threshold, window_secs) = figures(rule, &numbers);
    body.why.text = text;
    body.why.observed = observed;
    body.why.threshold = threshold;
    body.why.usual = body.explained.as_ref().and_then(|told| told.usual);
    body.why.window_secs = window_secs;
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_are_seen_and_cut() {
        assert_eq!(shown("a\r\nBcc: x"), "a\\u{d}\\u{a}Bcc: x");
        assert_eq!(shown("\u{202E}cod"), "\\u{202e}cod");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 65);
        assert_eq!(span_text(300), "5 min");
    }
}
