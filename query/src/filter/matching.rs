//! Whether a condition holds: for events, and for anything else that has named values.

use std::net::IpAddr;

use logwarden_event::{Event, Timestamp, Value};

use super::text::{self, with_text};
use super::words::has_words;
use super::{Comparison, Filter, Number, Predicate, Target, Test};

/// Something that has values under names: an event, or a row of an answer.
pub(crate) trait Subject {
    /// Whether any value of `target` passes `test`; the values are tried in order.
    fn any_value(&self, target: &Target, test: &mut dyn FnMut(Value<'_>) -> bool) -> bool;

    /// Whether `target` is there, whatever its value is.
    fn has(&self, target: &Target) -> bool {
        self.any_value(target, &mut |_| true)
    }
}

impl Subject for Event {
    fn any_value(&self, target: &Target, test: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        let mut text = |text: &str| !text.is_empty() && test(Value::String(text));
        match target {
            Target::Record => text(self.message()) || self.fields().any(|field| test(field.value)),
            Target::Message => text(self.message()),
            Target::Severity => text(self.severity().name()),
            Target::Dataset => text(self.dataset()),
            Target::Source => text(self.source()),
            Target::Class => self.class().as_str().split(';').any(text),
            Target::Timestamp => test(Value::Timestamp(self.timestamp())),
            Target::ObservedAt => test(Value::Timestamp(self.observed_at())),
            Target::Seq => test(Value::Integer(self.seq().into())),
            Target::Field(name) => self.values(name).any(test),
            Target::FirstOf(names) => names
                .iter()
                .find(|name| self.values(name).any(|value| value != Value::Null))
                .is_some_and(|name| self.values(name).any(test)),
        }
    }

    fn has(&self, target: &Target) -> bool {
        match target {
            Target::Field(name) => has_field(self, name),
            Target::FirstOf(names) => names.iter().any(|name| has_field(self, name)),
            target => self.any_value(target, &mut |_| true),
        }
    }
}

/// Whether there is a field of this name, or one below it.
fn has_field(event: &Event, name: &str) -> bool {
    let is_below = |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    event.values(name).next().is_some()
        || event.fields().any(|field| is_below(field.path) || field.alias.is_some_and(is_below))
}

impl Filter {
    pub(crate) fn holds(&self, subject: &impl Subject) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::And(filters) => filters.iter().all(|filter| filter.holds(subject)),
            Self::Or(filters) => filters.iter().any(|filter| filter.holds(subject)),
            Self::Not(filter) => !filter.holds(subject),
            Self::Is(predicate) => predicate.holds(subject),
        }
    }
}

impl Predicate {
    pub(crate) fn holds(&self, subject: &impl Subject) -> bool {
        match &self.test {
            Test::IsNull => !subject.any_value(&self.target, &mut |value| value != Value::Null),
            Test::Present => subject.has(&self.target),
            Test::SameAs { name, cased } => {
                let other = Target::of_name(name);
                subject.any_value(&self.target, &mut |value| {
                    subject.any_value(&other, &mut |other| is_same_text(value, other, *cased))
                })
            }
            test => subject.any_value(&self.target, &mut |value| test.passes(value)),
        }
    }
}

impl Test {
    /// Whether a value passes. [`Test::IsNull`], [`Test::Present`] and [`Test::SameAs`] need more than
    /// the value and fail here; the predicate decides them.
    pub fn passes(&self, value: Value<'_>) -> bool {
        if value == Value::Null {
            return false;
        }
        match self {
            Self::Exists => true,
            Self::IsNull | Self::Present | Self::SameAs { .. } => false,
            Self::Words(words) => with_text(value, |text| has_words(text, words, None)),
            Self::WordsThenPrefix(words, prefix) => {
                with_text(value, |text| has_words(text, words, Some(prefix)))
            }
            Self::Equals { text, cased } => {
                with_text(value, |found| text::equals(found, text, *cased))
                    || is_same_number(value, text)
                    || is_same_address(value, text)
            }
            Self::StartsWith { text, cased } => {
                with_text(value, |found| text::starts_with(found, text, *cased))
            }
            Self::EndsWith { text, cased } => {
                with_text(value, |found| text::ends_with(found, text, *cased))
            }
            Self::Contains { text, cased } => {
                with_text(value, |found| text::contains(found, text, *cased))
            }
            Self::Like { regex, cased: true, .. } | Self::Regex(regex) => {
                with_text(value, |found| regex.is_match(found))
            }
            Self::Like { regex, cased: false, .. } => {
                with_text(value, |found| regex.is_match(&text::lower(found)))
            }
            Self::Network(networks) => address_of(value)
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
            Self::Address(wanted) => address_of(value) == Some(wanted.to_canonical()),
            Self::Number(comparison, bound) => {
                exact_number_of(value).is_some_and(|number| comparison.holds(&number, bound))
            }
            Self::Time(comparison, bound) => {
                time_of(value).is_some_and(|time| comparison.holds(&time, bound))
            }
            Self::TimePart(part, comparison, number) => time_of(value).is_some_and(|time| {
                let found = time.part(*part);
                comparison.map_or(found == *number, |comparison| comparison.holds(&found, number))
            }),
            Self::Text(comparison, bound) => {
                with_text(value, |found| passes_order(*comparison, text::compare(found, bound)))
            }
            Self::Each(tests) => tests.iter().all(|test| test.passes(value)),
        }
    }
}

impl Test {
    /// Whether it looks at nothing but the text of a value.
    pub(crate) fn is_about_text(&self) -> bool {
        match self {
            Self::Words(_)
            | Self::WordsThenPrefix(..)
            | Self::StartsWith { .. }
            | Self::EndsWith { .. }
            | Self::Contains { .. }
            | Self::Like { .. }
            | Self::Regex(_)
            | Self::Text(..) => true,
            Self::Each(tests) => !tests.is_empty() && tests.iter().all(Self::is_about_text),
            _ => false,
        }
    }
}

fn passes_order(comparison: Comparison, order: std::cmp::Ordering) -> bool {
    match comparison {
        Comparison::Lt => order.is_lt(),
        Comparison::Lte => order.is_le(),
        Comparison::Gt => order.is_gt(),
        Comparison::Gte => order.is_ge(),
    }
}

fn is_same_text(value: Value<'_>, other: Value<'_>, cased: bool) -> bool {
    with_text(value, |text| with_text(other, |other| text::equals(text, other, cased)))
}

/// Whether a value that is a number is the number that `text` reads as.
fn is_same_number(value: Value<'_>, text: &str) -> bool {
    match value {
        // Whole numbers are compared as such: not all of them are different as floats.
        Value::Integer(number) => match text.trim().parse::<i128>() {
            Ok(wanted) => number == wanted,
            Err(_) => number_of_text(text).is_some_and(|wanted| number as f64 == wanted),
        },
        Value::Float(number) => number_of_text(text) == Some(number),
        _ => false,
    }
}

fn is_same_address(value: Value<'_>, text: &str) -> bool {
    match value {
        Value::Ip(address) => {
            text.parse::<IpAddr>().is_ok_and(|wanted| wanted.to_canonical() == address)
        }
        _ => false,
    }
}

fn address_of(value: Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Ip(address) => Some(address),
        Value::String(text) => text.parse::<IpAddr>().ok().map(|address| address.to_canonical()),
        _ => None,
    }
}

/// The number a value is or reads as, as exactly as it is said.
fn exact_number_of(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Integer(number) => Some(Number::Whole(number)),
        Value::Float(number) => Some(Number::Float(number)),
        Value::String(text) => Number::parse(text),
        _ => None,
    }
}

/// The number a value is or reads as.
pub(crate) fn number_of(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::String(text) => number_of_text(text),
        _ => None,
    }
}

/// The finite number that `text` reads as; the index reads numbers in the same way.
pub(crate) fn number_of_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let begins_so =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    let number = if begins_so { text.parse::<f64>().ok() } else { None };
    number.filter(|number| number.is_finite())
}

fn time_of(value: Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Timestamp(time) => Some(time),
        Value::String(text) => Timestamp::parse_rfc3339(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use logwarden_event::{Class, EventBuilder, FieldOptions, Position, Severity, TimePart};

    use super::*;

    fn event() -> Event {
        let mut event = EventBuilder::new(b"{}");
        event
            .timestamp(Timestamp::parse_rfc3339("2026-11-22T04:22:59Z"))
            .severity(Severity::Error)
            .source("shop")
            .dataset("shop.auth")
            .class(Class::new("linux//sshd;linux/authentication/"))
            .message("Failed password for Root from 10.2.0.9")
            .field_with("source.ip", Some("src.ip"), ip("10.2.0.9"), FieldOptions::default())
            .field("peer", Value::String("10.2.7.1"))
            .field("status", Value::Integer(500))
            .field("status_text", Value::String("500"))
            .field("big", Value::Integer(9_007_199_254_740_993))
            .field("ratio", Value::Float(0.5))
            .field("user.name", Value::String("Ärger"))
            .field("user.alias", Value::String("ärger"))
            .field("tags", Value::Integer(300))
            .field("tags", Value::Integer(600))
            .field("nothing", Value::Null)
            .field("empty", Value::String(""))
            .field("ok", Value::Bool(true))
            .field("at", Value::String("2026-01-01T00:00:00Z"));
        let mut event = event.build();
        event.stamp(Position { lane: 0, seq: 7 }, Timestamp::from_secs(1));
        event
    }

    fn ip(text: &str) -> Value<'static> {
        Value::Ip(text.parse().expect("an address"))
    }

    /// Whether `name` (a field, or one of our own) passes on the event above.
    fn check(name: &str, test: Test, expected: bool) {
        let target = if name == "record" { Target::Record } else { Target::of_name(name) };
        let filter = Filter::is(target, test);
        assert_eq!(filter.matches(&event()), expected, "{filter:?}");
    }

    fn equals(text: &str) -> Test {
        Test::Equals { text: text.to_owned(), cased: false }
    }

    fn words(text: &str) -> Test {
        Test::Words(logwarden_event::words(text).map(|word| word.into_owned()).collect())
    }

    #[test]
    fn our_own_attributes_are_asked_by_their_names() {
        check("message", words("password for root"), true);
        check("message", words("shop"), false);
        check("record", words("10 2 7 1"), true);
        check("record", words("shop"), false);
        check("severity", equals("ERROR"), true);
        check("dataset", equals("shop.auth"), true);
        check("lw.source", equals("shop"), true);
        check("lw.seq", Test::Number(Comparison::Gte, 7.0.into()), true);
        let large = |text: &str| Number::parse(text).expect("a number");
        check("big", Test::Number(Comparison::Gt, large("9007199254740992")), true);
        check("big", Test::Number(Comparison::Lt, large("9007199254740994")), true);
        check("big", Test::Number(Comparison::Gt, large("9007199254740993")), false);
        check("lw.class", equals("linux//sshd"), true);
        check("lw.class", equals("linux"), false);
        let bound = Timestamp::parse_rfc3339("2026-11-22T04:22:59Z").expect("valid");
        check("timestamp", Test::Time(Comparison::Gte, bound), true);
        check("lw.observed_at", Test::Time(Comparison::Gte, bound), false);
    }

    #[test]
    fn numbers_are_compared_as_text_and_as_number() {
        check("status", equals("500"), true);
        check("status", equals("5e2"), true);
        check("status_text", equals("500"), true);
        check("status_text", equals("5e2"), false);
        check("status_text", Test::Number(Comparison::Gt, 499.0.into()), true);
        check("ratio", equals(".5"), true);
        check("big", equals("9007199254740993"), true);
        check("big", equals("9007199254740992"), false);
        check("ok", equals("TRUE"), true);
        check("ok", Test::Number(Comparison::Gte, 0.0.into()), false);
        let at = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("valid");
        check("at", Test::Time(Comparison::Lte, at), true);
        check("status", Test::Text(Comparison::Gt, "4".into()), true);
    }

    #[test]
    fn parts_of_a_time_are_numbers_in_utc() {
        let part = |part, comparison, number| Test::TimePart(part, comparison, number);
        check("timestamp", part(TimePart::Hour, None, 4), true);
        check("timestamp", part(TimePart::Minute, Some(Comparison::Gte), 23), false);
        check("timestamp", part(TimePart::Week, None, 47), true);
        check("at", part(TimePart::Month, Some(Comparison::Lt), 2), true);
        check("at", part(TimePart::Year, None, 2026), true);
        check("status", part(TimePart::Hour, Some(Comparison::Gte), 0), false);
    }

    #[test]
    fn addresses_are_compared_by_address_under_either_name() {
        check("source.ip", equals("::ffff:10.2.0.9"), true);
        check("src.ip", equals("10.2.0.9"), true);
        let network = || Test::Network(vec!["10.2.0.0/16".parse().expect("a network")]);
        check("source.ip", network(), true);
        check("peer", network(), true);
        check("user.name", network(), false);
        check("peer", Test::Address("10.2.7.1".parse().expect("an address")), true);
    }

    #[test]
    fn case_counts_only_when_asked() {
        let cased = |text: &str| Test::Equals { text: text.to_owned(), cased: true };
        check("user.name", equals("ÄRGER"), true);
        check("user.name", cased("ÄRGER"), false);
        check("user.name", cased("Ärger"), true);
        check("user.name", Test::StartsWith { text: "äR".into(), cased: false }, true);
        check("user.name", Test::EndsWith { text: "GER".into(), cased: false }, true);
        check("user.name", Test::EndsWith { text: "GER".into(), cased: true }, false);
        check("message", Test::Contains { text: "FOR R".into(), cased: false }, true);
        check("user.name", Test::like("ä?G*", false).expect("valid"), true);
        check("user.name", Test::like("ä?G*", true).expect("valid"), false);
        check("message", Test::regex("^Failed .* from").expect("valid"), true);
        check("message", Test::regex("^failed").expect("valid"), false);
        let same = |name: &str, cased| Test::SameAs { name: name.into(), cased };
        check("user.name", same("user.alias", false), true);
        check("user.name", same("user.alias", true), false);
        check("user.name", same("peer", false), false);
        for (name, is_there) in
            [("nothing", true), ("user", true), ("us", false), ("absent", false)]
        {
            check(name, Test::Present, is_there);
        }
    }

    #[test]
    fn null_is_no_value_and_empty_is_one() {
        check("nothing", Test::Exists, false);
        check("nothing", Test::IsNull, true);
        check("nothing", equals("null"), false);
        check("absent", Test::IsNull, true);
        check("empty", Test::Exists, true);
        check("empty", equals(""), true);
        check("status", Test::IsNull, false);
    }

    #[test]
    fn a_range_wants_one_value_inside() {
        let bounds = |low, high| {
            Test::Each(vec![
                Test::Number(Comparison::Gte, low),
                Test::Number(Comparison::Lte, high),
            ])
        };
        check("tags", bounds(400.0.into(), 499.0.into()), false);
        check("tags", bounds(500.0.into(), 700.0.into()), true);
    }

    #[test]
    fn the_first_field_that_has_a_value_decides() {
        let first = |names: &[&str], text: &str| {
            let names = names.iter().map(ToString::to_string).collect();
            Filter::is(Target::FirstOf(names), equals(text)).matches(&event())
        };
        assert!(first(&["absent", "nothing", "status"], "500"));
        assert!(!first(&["peer", "status"], "500"));
        assert!(!first(&[], "500"));
    }
}
