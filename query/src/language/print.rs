//! Filters as text that is read back as the same condition.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use logwarden_event::{Severity, Timestamp, words};

use crate::filter::{Comparison, Filter, Predicate, Target, Test, like_expression, number_of_text};

use super::limits;
use super::term::is_time_field;
use super::token::{name, quote};

impl Filter {
    /// The condition in the query language; [`super::parse_query`] reads a text that holds for the
    /// same events. `None` when the language cannot say it or the text would be too long.
    ///
    /// Parts and ends of values become regular expressions, which take a few letters outside ASCII
    /// for the same that lower-casing keeps apart (`k` and the Kelvin sign).
    pub fn to_query_text(&self) -> Option<String> {
        let text = condition(self)?;
        limits::check(&text).is_ok().then_some(text)
    }
}

fn condition(filter: &Filter) -> Option<String> {
    match filter {
        Filter::All => Some("*".to_owned()),
        Filter::Nothing => Some("NOT *".to_owned()),
        Filter::And(filters) => joined(filters, " AND ", "*"),
        Filter::Or(filters) => joined(filters, " OR ", "NOT *"),
        Filter::Not(filter) => Some(format!("NOT {}", operand(filter)?)),
        Filter::Is(predicate) => predicate_text(predicate),
    }
}

fn joined(filters: &[Filter], between: &str, empty: &str) -> Option<String> {
    let parts: Option<Vec<String>> = filters.iter().map(operand).collect();
    Some(match parts? {
        parts if parts.is_empty() => empty.to_owned(),
        parts => parts.join(between),
    })
}

/// A condition that can stand beside an operator.
fn operand(filter: &Filter) -> Option<String> {
    let text = condition(filter)?;
    let is_plain = match filter {
        Filter::All => true,
        Filter::Is(Predicate { target, test }) => match test {
            Test::IsNull | Test::Network(_) => false,
            _ => !matches!(target, Target::FirstOf(_)),
        },
        _ => false,
    };
    Some(if is_plain { text } else { format!("({text})") })
}

fn predicate_text(predicate: &Predicate) -> Option<String> {
    let Predicate { target, test } = predicate;
    if let Target::FirstOf(names) = target {
        return first_of(names, test);
    }
    if let Target::Field(field) = target
        && Target::of_name(field) != *target
    {
        // The name means something of our own.
        return None;
    }
    let name = target.name().map(name_text);
    match (test, name) {
        (Test::IsNull, Some(name)) => Some(format!("NOT {name}:*")),
        (Test::Network(networks), Some(name)) => network_text(target, &name, networks),
        (Test::Address(address), Some(name)) => {
            network_text(target, &name, &[IpNet::from(address.to_canonical())])
        }
        (test, Some(name)) => Some(format!("{name}:{}", term_text(target, test)?)),
        (test, None) => term_text(target, test),
    }
}

/// Each field in turn, where those before it have no value.
fn first_of(names: &[String], test: &Test) -> Option<String> {
    let is = |name: &String, test: Test| Filter::is(Target::of_name(name), test);
    let is_expressible =
        |name: &String| matches!(Target::of_name(name), Target::Field(field) if field == *name);
    if !names.iter().all(is_expressible) {
        return None;
    }
    if matches!(test, Test::IsNull) {
        return condition(&Filter::And(names.iter().map(|name| is(name, Test::IsNull)).collect()));
    }
    let turn = |(place, name): (usize, &String)| {
        let mut all: Vec<Filter> = names[..place].iter().map(|n| is(n, Test::IsNull)).collect();
        all.push(is(name, test.clone()));
        Filter::And(all)
    };
    condition(&Filter::Or(names.iter().enumerate().map(turn).collect()))
}

fn name_text(text: &str) -> String {
    match name(text) {
        Ok(("", _)) => text.to_owned(),
        _ => quote(text),
    }
}

fn network_text(target: &Target, name: &str, networks: &[IpNet]) -> Option<String> {
    if !matches!(target, Target::Field(name) if !is_time_field(name)) {
        return None;
    }
    if networks.is_empty() {
        return Some("NOT *".to_owned());
    }
    let each: Vec<String> = networks.iter().map(|net| format!("{name}:{}", net.trunc())).collect();
    Some(each.join(" OR "))
}

/// What stands behind the name's colon, or alone for the whole record.
fn term_text(target: &Target, test: &Test) -> Option<String> {
    let has_words = matches!(target, Target::Record | Target::Message);
    let has_values = match target {
        Target::Field(name) => !is_time_field(name),
        Target::Dataset | Target::Source | Target::Seq | Target::Class => true,
        _ => false,
    };
    match test {
        Test::Exists => target.name().map(|_| "*".to_owned()),
        Test::Words(list) if has_words => words_text(list, None),
        Test::WordsThenPrefix(list, prefix) if has_words => words_text(list, Some(prefix)),
        Test::Equals { text, cased: false } if has_values => Some(quote(text)),
        Test::Equals { text, cased: false } if *target == Target::Severity => {
            let name = Severity::ALL.map(Severity::name).into_iter().find(|name| *name == text);
            name.map(str::to_owned)
        }
        Test::StartsWith { text, cased: false } if !has_words => Some(quote(text) + "*"),
        Test::Regex(regex) => expression_text(regex.as_str()),
        Test::Number(comparison, bound) if has_values && bound.approximate().is_finite() => {
            Some(format!("{}{bound}", comparison.sign()))
        }
        Test::Time(comparison, time) if has_times(target) => {
            Some(format!("{}{time}", comparison.sign()))
        }
        Test::Text(comparison, text) if has_texts(target, text) => {
            Some(format!("{}{}", comparison.sign(), quote(text)))
        }
        Test::Each(tests) => range_text(target, tests),
        other => expression_of(target, other),
    }
}

fn has_times(target: &Target) -> bool {
    matches!(target, Target::Timestamp | Target::ObservedAt | Target::Field(_))
}

/// Whether a comparison with `text` is read as one of texts.
fn has_texts(target: &Target, text: &str) -> bool {
    let is_typed = number_of_text(text).is_some()
        || Timestamp::parse_rfc3339(text).is_some()
        || text.parse::<IpAddr>().is_ok();
    match target {
        Target::Message => true,
        Target::Field(name) if is_time_field(name) => false,
        Target::Field(_) | Target::Dataset | Target::Source | Target::Class => !is_typed,
        _ => false,
    }
}

fn words_text(list: &[String], prefix: Option<&str>) -> Option<String> {
    let mut text = list.join(" ");
    if !words(&text).eq(list.iter().map(String::as_str)) {
        return None;
    }
    let Some(prefix) = prefix else {
        return (!list.is_empty()).then(|| quote(&text));
    };
    let is_word = words(prefix).eq([prefix]);
    if !(is_word || prefix.is_empty() && !list.is_empty()) {
        return None;
    }
    let _ = write!(text, " {prefix}");
    Some(quote(text.trim_start()) + "*")
}

/// Tests of texts that only an expression can say.
fn expression_of(target: &Target, test: &Test) -> Option<String> {
    let flags = |cased: &bool| if *cased { "" } else { "(?i)" };
    let pattern = match test {
        Test::Equals { text, cased } => {
            let is_text = *target == Target::Message
                || number_of_text(text).is_none() && text.parse::<IpAddr>().is_err();
            is_text.then(|| format!("{}^{}$", flags(cased), regex::escape(text)))?
        }
        Test::StartsWith { text, cased } => format!("{}^{}", flags(cased), regex::escape(text)),
        Test::EndsWith { text, cased } => format!("{}{}$", flags(cased), regex::escape(text)),
        Test::Contains { text, cased } => format!("{}{}", flags(cased), regex::escape(text)),
        Test::Like { pattern, cased, .. } => flags(cased).to_owned() + &like_expression(pattern),
        _ => return None,
    };
    expression_text(&pattern)
}

fn expression_text(pattern: &str) -> Option<String> {
    let mut raw = String::with_capacity(pattern.len());
    let mut is_escaped = false;
    for c in pattern.chars() {
        if c == '"' && !is_escaped {
            raw.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        raw.push(c);
    }
    Test::regex(&raw).ok()?;
    Some(format!("~\"{raw}\""))
}

/// A lower and an upper bound of one kind.
fn range_text(target: &Target, tests: &[Test]) -> Option<String> {
    let [from, to] = tests else {
        return match tests {
            [only] => term_text(target, only),
            _ => None,
        };
    };
    let (low, from) = bound_text(target, from)?;
    let (high, to) = bound_text(target, to)?;
    let alike = std::mem::discriminant(&tests[0]) == std::mem::discriminant(&tests[1]);
    let open = match low {
        Comparison::Gte => '[',
        Comparison::Gt => '{',
        _ => return None,
    };
    let close = match high {
        Comparison::Lte => ']',
        Comparison::Lt => '}',
        _ => return None,
    };
    alike.then(|| format!("{open}{from} TO {to}{close}"))
}

fn bound_text(target: &Target, test: &Test) -> Option<(Comparison, String)> {
    match test {
        Test::Number(..) | Test::Time(..) | Test::Text(..) => {
            let text = term_text(target, test)?;
            let comparison = match test {
                Test::Number(comparison, _)
                | Test::Time(comparison, _)
                | Test::Text(comparison, _) => *comparison,
                _ => return None,
            };
            let bound = text.strip_prefix(comparison.sign())?;
            Some((comparison, bound.to_owned()))
        }
        _ => None,
    }
}
