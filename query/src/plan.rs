//! From a filter to what the index is asked for: a superset, and whether it is the answer itself.
//!
//! Bounds on `timestamp` that hold for the whole filter become the range of time. What the lookup
//! cannot say is left to [`Filter::matches`] on each event.

use std::net::IpAddr;
use std::ops::Bound;

use ipnet::IpNet;
use logwarden_event::{TimeRange, Timestamp, Value};
use logwarden_index::{Lookup, TextCondition};
use regex_syntax::hir::{Hir, HirKind};

use crate::filter::{Comparison, Filter, Number, Predicate, Target, Test, lower, number_of_text};

/// What the index is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Every event of the filter inside `range` satisfies it.
    pub(crate) lookup: Lookup,
    /// Every event inside `range` that satisfies the lookup satisfies the filter.
    pub(crate) is_exact: bool,
    /// Every event of the filter lies inside.
    pub(crate) range: TimeRange,
}

/// Plans `filter` within `range`.
pub(crate) fn plan(filter: &Filter, range: TimeRange) -> Plan {
    let mut range = range;
    let Narrowed { lookup, is_exact } = narrow(filter, Some(&mut range));
    Plan { lookup, is_exact, range }
}

/// A lookup and whether it says all of its filter.
struct Narrowed {
    lookup: Lookup,
    is_exact: bool,
}

fn exact(lookup: Lookup) -> Narrowed {
    Narrowed { lookup, is_exact: true }
}

fn superset(lookup: Lookup) -> Narrowed {
    Narrowed { lookup, is_exact: false }
}

/// With a `range`, the filter holds for the whole answer and may narrow it.
fn narrow(filter: &Filter, mut range: Option<&mut TimeRange>) -> Narrowed {
    match filter {
        Filter::All => exact(Lookup::All),
        Filter::Nothing => exact(Lookup::Nothing),
        Filter::And(filters) => {
            all_of(filters.iter().map(|filter| narrow(filter, range.as_deref_mut())))
        }
        Filter::Or(filters) => any_of(filters.iter().map(|filter| narrow(filter, None))),
        Filter::Not(filter) => match narrow(filter, None) {
            Narrowed { lookup, is_exact: true } => exact(not(lookup)),
            _ => superset(Lookup::All),
        },
        Filter::Is(Predicate { target: Target::Timestamp, test }) => {
            let is_exact = range.is_some_and(|range| narrow_range(test, range));
            Narrowed { lookup: Lookup::All, is_exact }
        }
        Filter::Is(predicate) => predicate_lookup(predicate),
    }
}

fn not(lookup: Lookup) -> Lookup {
    match lookup {
        Lookup::All => Lookup::Nothing,
        Lookup::Nothing => Lookup::All,
        lookup => Lookup::Not(Box::new(lookup)),
    }
}

fn all_of(parts: impl Iterator<Item = Narrowed>) -> Narrowed {
    let mut lookups = Vec::new();
    let mut is_exact = true;
    for part in parts {
        match part.lookup {
            // Nothing is exact whatever else is asked.
            Lookup::Nothing => return exact(Lookup::Nothing),
            Lookup::All => {}
            lookup => lookups.push(lookup),
        }
        is_exact &= part.is_exact;
    }
    let lookup = match lookups.len() {
        0 => Lookup::All,
        1 => lookups.swap_remove(0),
        _ => Lookup::And(lookups),
    };
    Narrowed { lookup, is_exact }
}

fn any_of(parts: impl Iterator<Item = Narrowed>) -> Narrowed {
    let mut lookups = Vec::new();
    let mut is_exact = true;
    let mut is_all = false;
    for part in parts {
        match part.lookup {
            Lookup::All if part.is_exact => return exact(Lookup::All),
            Lookup::All => is_all = true,
            Lookup::Nothing => {}
            lookup => lookups.push(lookup),
        }
        is_exact &= part.is_exact;
    }
    if is_all {
        return superset(Lookup::All);
    }
    let lookup = match lookups.len() {
        0 => Lookup::Nothing,
        1 => lookups.swap_remove(0),
        _ => Lookup::Or(lookups),
    };
    Narrowed { lookup, is_exact }
}

/// Narrows the range by a test on the timestamp; false when the range cannot say it.
fn narrow_range(test: &Test, range: &mut TimeRange) -> bool {
    let after = |time: Timestamp| Timestamp::from_nanos(time.nanos().saturating_add(1));
    match test {
        Test::Exists => true,
        Test::Time(comparison, time) => {
            match comparison {
                Comparison::Gte => range.start = range.start.max(*time),
                Comparison::Gt => range.start = range.start.max(after(*time)),
                Comparison::Lt => range.end = range.end.min(*time),
                Comparison::Lte => range.end = range.end.min(after(*time)),
            }
            // The instant after the last one cannot be said.
            *time != Timestamp::MAX
        }
        Test::Each(tests) => {
            let mut is_said = true;
            for test in tests {
                is_said &= narrow_range(test, range);
            }
            is_said
        }
        _ => false,
    }
}

fn predicate_lookup(predicate: &Predicate) -> Narrowed {
    let test = &predicate.test;
    if matches!(test, Test::Present) {
        // The index does not know of what is null.
        return superset(Lookup::All);
    }
    match &predicate.target {
        Target::Record => words_lookup(None, test),
        Target::Message => words_lookup(Some("message"), test),
        Target::Severity => part_lookup("severity", test),
        Target::Dataset => part_lookup("dataset", test),
        Target::Source => part_lookup("lw.source", test),
        Target::Seq => seq_lookup(test),
        Target::Field(name) => field_lookup(name, test),
        Target::FirstOf(names) => match (names.as_slice(), test) {
            ([name], test) => field_lookup(name, test),
            (names, Test::IsNull) => all_of(names.iter().map(|name| field_lookup(name, test))),
            (names, test) => Narrowed {
                is_exact: names.is_empty(),
                ..any_of(names.iter().map(|name| field_lookup(name, test)))
            },
        },
        Target::Timestamp | Target::ObservedAt | Target::Class => superset(Lookup::All),
    }
}

/// Tests of the whole record or the message: only words narrow.
fn words_lookup(field: Option<&'static str>, test: &Test) -> Narrowed {
    let word = |word: &String| exact(Lookup::Word { field, word: word.clone() });
    match test {
        Test::Words(words) => match words.as_slice() {
            [one] => word(one),
            words => exact(Lookup::Phrase { field, words: words.to_vec() }),
        },
        Test::WordsThenPrefix(words, prefix) if prefix.is_empty() => {
            superset(all_of(words.iter().map(word)).lookup)
        }
        Test::WordsThenPrefix(words, prefix) => {
            let prefix = exact(Lookup::WordPrefix { field, prefix: prefix.clone() });
            let narrowed = all_of(words.iter().map(word).chain([prefix]));
            Narrowed { is_exact: words.is_empty(), ..narrowed }
        }
        test => match text_lookup(field, test) {
            Some(text) => exact(text),
            None => superset(Lookup::All),
        },
    }
}

/// A test that looks at nothing but a text, as a condition for the index.
fn text_lookup(field: Option<&str>, test: &Test) -> Option<Lookup> {
    test.is_about_text().then(|| text_condition(field, test))
}

/// The condition that a text passes `test`.
fn text_condition(field: Option<&str>, test: &Test) -> Lookup {
    let passes = test.clone();
    let test_text = move |text: &str| passes.passes(Value::String(text));
    let condition = TextCondition::new(part_of(test), test_text);
    Lookup::Text { field: field.map(str::to_owned), condition }
}

/// Tests of severity, dataset and source, which are text; an empty one counts as absent.
fn part_lookup(part: &str, test: &Test) -> Narrowed {
    let field = part.to_owned();
    match test {
        Test::Equals { text, .. } | Test::StartsWith { text, .. } if text.is_empty() => {
            superset(Lookup::All)
        }
        Test::Exists => exact(Lookup::Exists { field }),
        Test::IsNull => exact(not(Lookup::Exists { field })),
        Test::Equals { text, cased: false } => {
            exact(Lookup::Value { field, value: lower(text).into_owned() })
        }
        Test::StartsWith { text, cased: false } => {
            exact(Lookup::ValuePrefix { field, prefix: lower(text).into_owned() })
        }
        Test::Equals { .. } => exact(text_condition(Some(part), test)),
        test => text_lookup(Some(part), test).map_or_else(|| superset(Lookup::All), exact),
    }
}

fn seq_lookup(test: &Test) -> Narrowed {
    match test {
        Test::Exists => exact(Lookup::All),
        Test::IsNull => exact(Lookup::Nothing),
        Test::Equals { text, .. } => match text.parse::<u64>() {
            Ok(seq) if seq.to_string() == *text && Number::Whole(seq.into()).is_exact_float() => {
                exact(Lookup::Seq { first: seq, last: seq })
            }
            _ => superset(Lookup::All),
        },
        Test::Number(comparison, bound) if bound.is_exact_float() => {
            let bound = bound.approximate();
            let (first, last) = match comparison {
                Comparison::Gt => (bound.floor() + 1.0, f64::MAX),
                Comparison::Gte => (bound.ceil(), f64::MAX),
                Comparison::Lt => (0.0, bound.ceil() - 1.0),
                Comparison::Lte => (0.0, bound.floor()),
            };
            if last < 0.0 {
                return exact(Lookup::Nothing);
            }
            // Casts saturate: below 0 is 0, and f64::MAX is u64::MAX.
            exact(Lookup::Seq { first: first as u64, last: last as u64 })
        }
        Test::Each(tests) => all_of(tests.iter().map(seq_lookup)),
        _ => superset(Lookup::All),
    }
}

/// The names that mean a part of the event to the index, never one of its fields.
const EVENT_PARTS: [&str; 3] = ["dataset", "severity", "lw.source"];

fn field_lookup(name: &str, test: &Test) -> Narrowed {
    if EVENT_PARTS.contains(&name) {
        return superset(Lookup::All);
    }
    let field = || name.to_owned();
    let exists = || Lookup::Exists { field: field() };
    let prefix = |prefix: &str| Lookup::ValuePrefix { field: field(), prefix: prefix.to_owned() };
    match test {
        Test::Exists => exact(exists()),
        Test::IsNull => exact(not(exists())),
        Test::Equals { text, cased } => {
            let equals = equals_lookup(name, text);
            Narrowed { is_exact: equals.is_exact && !cased, ..equals }
        }
        Test::StartsWith { text, cased: false } => exact(prefix(&lower(text))),
        Test::Words(words) | Test::WordsThenPrefix(words, _) if name != "message" => {
            let word = |word: &String| exact(Lookup::Word { field: None, word: word.clone() });
            // The words alone say less; they are asked first because a filter knows them.
            let text = text_lookup(Some(name), test).map(exact);
            all_of(words.iter().map(word).chain(text))
        }
        Test::Words(words) | Test::WordsThenPrefix(words, _) => {
            let word = |word: &String| superset(Lookup::Word { field: None, word: word.clone() });
            superset(all_of(words.iter().map(word).chain([superset(exists())])).lookup)
        }
        Test::Number(comparison, bound) => number_lookup(name, &[(*comparison, *bound)]),
        Test::Each(tests) => each_lookup(name, tests),
        Test::Network(networks) => {
            let lookups = networks.iter().map(|network| superset(network_lookup(name, network)));
            superset(any_of(lookups).lookup)
        }
        Test::Address(address) => {
            superset(network_lookup(name, &IpNet::from(address.to_canonical())))
        }
        // To the index that name means the message.
        test if name != "message" && test.is_about_text() => {
            text_lookup(Some(name), test).map_or_else(|| superset(exists()), exact)
        }
        _ => superset(exists()),
    }
}

/// The whole value as text, and the other texts that are the same number or address.
fn equals_lookup(name: &str, text: &str) -> Narrowed {
    let value = |value: String| exact(Lookup::Value { field: name.to_owned(), value });
    let same = value(lower(text).into_owned());
    if let Some(number) = number_of_text(text) {
        // Equal numbers are written alike, but for zero and what floats cannot tell apart.
        if number != 0.0 && number.to_string() == text {
            return same;
        }
        let by_number =
            number_lookup(name, &[Comparison::Gte, Comparison::Lte].map(|c| (c, number.into())));
        return superset(any_of([same, by_number].into_iter()).lookup);
    }
    match text.parse::<IpAddr>().map(|address| address.to_canonical().to_string()) {
        Ok(canonical) if canonical != text => {
            superset(any_of([same, value(canonical)].into_iter()).lookup)
        }
        _ => same,
    }
}

/// The index has floats: what these do not tell apart is found with the bound.
fn number_lookup(name: &str, tests: &[(Comparison, Number)]) -> Narrowed {
    let (mut from, mut to) = (Bound::Unbounded, Bound::Unbounded);
    let is_exact = tests.iter().all(|(_, bound)| bound.is_exact_float());
    for (comparison, number) in tests {
        let bound = &number.approximate();
        let comparison = match comparison {
            Comparison::Gt if !number.is_exact_float() => Comparison::Gte,
            Comparison::Lt if !number.is_exact_float() => Comparison::Lte,
            comparison => *comparison,
        };
        if bound.is_nan() {
            return exact(Lookup::Nothing);
        }
        match comparison {
            Comparison::Gt => from = tighter(from, Bound::Excluded(*bound), |new, old| new >= old),
            Comparison::Gte => from = tighter(from, Bound::Included(*bound), |new, old| new > old),
            Comparison::Lt => to = tighter(to, Bound::Excluded(*bound), |new, old| new <= old),
            Comparison::Lte => to = tighter(to, Bound::Included(*bound), |new, old| new < old),
        }
    }
    Narrowed { lookup: Lookup::Number { field: name.to_owned(), from, to }, is_exact }
}

fn tighter(old: Bound<f64>, new: Bound<f64>, is_tighter: impl Fn(f64, f64) -> bool) -> Bound<f64> {
    match (old, new) {
        (Bound::Unbounded, new) => new,
        (
            Bound::Included(old_number) | Bound::Excluded(old_number),
            Bound::Included(number) | Bound::Excluded(number),
        ) if is_tighter(number, old_number) => new,
        (old, _) => old,
    }
}

/// Whether no value passes by itself.
fn needs_more_than_a_value(test: &Test) -> bool {
    matches!(test, Test::IsNull | Test::Present | Test::SameAs { .. })
}

/// Tests that one value must pass together.
fn each_lookup(name: &str, tests: &[Test]) -> Narrowed {
    let numbers: Option<Vec<(Comparison, Number)>> = tests
        .iter()
        .map(|test| match test {
            Test::Number(comparison, bound) => Some((*comparison, *bound)),
            _ => None,
        })
        .collect();
    match numbers {
        Some(numbers) if !numbers.is_empty() => number_lookup(name, &numbers),
        _ if tests.is_empty() => exact(Lookup::Exists { field: name.to_owned() }),
        // A value that passes nothing at all cannot pass these.
        _ if tests.iter().any(needs_more_than_a_value) => exact(Lookup::Nothing),
        _ => superset(all_of(tests.iter().map(|test| field_lookup(name, test))).lookup),
    }
}

/// Values that may read as an address of the network, by how their text begins.
fn network_lookup(name: &str, network: &IpNet) -> Lookup {
    let field = || name.to_owned();
    let prefix = |prefix: String| Lookup::ValuePrefix { field: field(), prefix };
    let IpNet::V4(network) = network else { return Lookup::Exists { field: field() } };
    let whole_octets = usize::from(network.prefix_len() / 8);
    if whole_octets == 0 {
        return Lookup::Exists { field: field() };
    }
    let octets = network.network().octets();
    let mut beginning: Vec<String> =
        octets[..whole_octets].iter().map(ToString::to_string).collect();
    if whole_octets < octets.len() {
        beginning.push(String::new());
    }
    // Text may hold an IPv4 address in the form of IPv6, which begins with zeros.
    Lookup::Or(vec![prefix(beginning.join(".")), prefix("::".into()), prefix("0".into())])
}

/// Letters, digits and `_` side by side, in lower case, that every text contains which passes.
fn part_of(test: &Test) -> Option<String> {
    let found = match test {
        Test::StartsWith { text, .. }
        | Test::EndsWith { text, .. }
        | Test::Contains { text, .. } => longest_run(&lower(text)),
        Test::Like { pattern, .. } => longest_run(&lower(&pattern.replace('\\', "*"))),
        Test::Regex(regex) => {
            let parsed = regex_syntax::parse(regex.as_str()).ok()?;
            longest_run(&lower(&required_literal(&parsed)?))
        }
        Test::Words(words) | Test::WordsThenPrefix(words, _) => {
            words.iter().filter_map(|word| longest_run(word)).max_by_key(String::len)
        }
        Test::Each(tests) => tests.iter().find_map(part_of),
        _ => None,
    };
    found.filter(|part| part.len() >= PART_BYTES_MIN)
}

/// Shorter parts are in too many texts.
const PART_BYTES_MIN: usize = 3;

fn longest_run(text: &str) -> Option<String> {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    runs.filter(|run| !run.is_empty()).max_by_key(|run| run.len()).map(str::to_owned)
}

/// A literal that stands in every text in which the expression is found.
fn required_literal(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_owned),
        HirKind::Capture(capture) => required_literal(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required_literal(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(required_literal).max_by_key(String::len),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;
    use crate::language::parse_query;

    fn planned(text: &str) -> Plan {
        let filter = parse_query(text, Timestamp::from_secs(1_000)).expect(text).filter;
        plan(&filter, TimeRange::ALL)
    }

    #[test]
    fn usual_queries_are_answered_by_the_index_alone() {
        for text in [
            "root",
            "ro*",
            "root -admin",
            "\"a b\"",
            "user.name:root",
            "status:404",
            "ratio:0.5",
            "source.ip:10.2.0.9",
            "status:[400 TO 499]",
            "severity:>=error dataset:shop.*",
            "NOT a:*",
            "lw.seq:[5 TO 9]",
            "timestamp:>=now-15m root",
            "a:~\"x\"",
            "a:\"b c\"",
            "message:~\"x[0-9]\"",
            "lw.source:* lw.source:~\"x\"",
        ] {
            assert!(planned(text).is_exact, "{text}: {:?}", planned(text));
        }
        for text in ["status:0", "status:5e2", "peer:10.0.0.0/8", "(timestamp:>5 OR x)"] {
            assert!(!planned(text).is_exact, "{text}");
        }
    }

    #[test]
    fn what_a_principal_may_see_is_answered_by_the_index_alone() {
        let test = Test::Equals { text: "Shop".to_owned(), cased: true };
        let planned = plan(&Filter::is(Target::Source, test), TimeRange::ALL);
        assert!(planned.is_exact, "{planned:?}");
    }

    #[test]
    fn a_part_of_every_text_that_passes_is_known() {
        let part = |text: &str| match planned(text).lookup {
            Lookup::Text { condition, .. } => format!("{condition:?}"),
            other => format!("{other:?}"),
        };
        assert!(part(r#"message:~"ab[0-9]Login/x""#).contains(r#"Some("login")"#));
        assert!(part(r#"message:~"(?i)login""#).contains("None"));
        assert!(part(r#"message:~"login|out""#).contains("None"));
        let like = Test::like("*Pass-word1*", false).expect("a pattern");
        assert_eq!(part_of(&like).as_deref(), Some("word1"));
    }

    #[test]
    fn time_bounds_of_the_whole_query_narrow_the_range() {
        let range = planned("root timestamp:[100 TO 200} (timestamp:>150 x)").range;
        assert_eq!(range.start.nanos(), Timestamp::from_secs(150).nanos() + 1);
        assert_eq!(range.end, Timestamp::from_secs(200));
        assert_eq!(planned("root OR timestamp:>100").range, TimeRange::ALL);
        assert_eq!(planned("NOT timestamp:>100").range, TimeRange::ALL);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_plan_finds_every_event_of_its_filter(
            filter in prop_oneof![
                arbitrary::filter(),
                arbitrary::query_text().prop_map(|text| {
                    parse_query(&text, arbitrary::minute(40)).expect("valid").filter
                }),
            ],
            events in arbitrary::events(20),
        ) {
            let plan = plan(&filter, TimeRange::ALL);
            for event in &events {
                let is_found = plan.range.contains(event.timestamp()) && plan.lookup.matches(event);
                let is_wanted = filter.matches(event);
                prop_assert!(is_found || !is_wanted, "missed by {:?}: {:?}", plan, event);
                prop_assert!(!plan.is_exact || is_found == is_wanted, "not exact: {:?}", plan);
            }
        }
    }
}
