//! Values and comparisons, and what they mean for the part of the event they are about.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use logwarden_event::{FieldType, STANDARD_FIELDS, Severity, Timestamp, standard_field, words};
use nom::Parser;

use crate::filter::{Comparison, Filter, Number, Target, Test};

use super::error::Failure;
use super::time::{day, parse_time};
use super::token::{Parsed, bare, column, ends_word, quoted, raw_quoted, sign, skip_space};

/// What stands behind a field's name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term<'a> {
    /// A word, possibly ending in `*`.
    Bare(&'a str),
    /// A text in quotes.
    Quoted(String),
    /// A text in quotes and a `*`.
    QuotedPrefix(String),
    /// An expression in quotes, as it is written there.
    Regex(&'a str),
    /// A comparison with a text.
    Compare(Comparison, String),
    /// From here to there; without an end that is open.
    Range(Option<(Comparison, String)>, Option<(Comparison, String)>),
}

const COMPARISONS: [&str; 4] = [">=", "<=", ">", "<"];

fn comparison_of(sign: &str) -> Comparison {
    match sign {
        "<" => Comparison::Lt,
        "<=" => Comparison::Lte,
        ">" => Comparison::Gt,
        _ => Comparison::Gte,
    }
}

/// What stands behind `field:`.
pub(super) fn term(input: &str) -> Parsed<'_, Term<'_>> {
    if let Some(rest) = input.strip_prefix('~') {
        return expression(rest);
    }
    if let Some((rest, sign)) = sign(input, &COMPARISONS) {
        let (rest, text) = compared_with(rest)?;
        return Ok((rest, Term::Compare(comparison_of(sign), text)));
    }
    if input.starts_with(['[', '{']) {
        return range(input);
    }
    if input.starts_with('"') {
        let (rest, text) = quoted(input)?;
        return Ok(after_quotes(rest, text));
    }
    let (rest, word) = bare(input)?;
    Ok((rest, Term::Bare(word)))
}

fn expression(input: &str) -> Parsed<'_, Term<'_>> {
    if !input.starts_with('"') {
        return Err(Failure::fatal(input, "a regular expression stands in quotes", &["`\"`"]));
    }
    let (rest, raw) = raw_quoted(input)?;
    Ok((rest, Term::Regex(raw)))
}

/// Takes the `*` that may follow a quoted text.
pub(super) fn after_quotes(rest: &str, text: String) -> (&str, Term<'static>) {
    match rest.strip_prefix('*') {
        Some(rest) => (rest, Term::QuotedPrefix(text)),
        None => (rest, Term::Quoted(text)),
    }
}

fn compared_with(input: &str) -> Parsed<'_, String> {
    if input.chars().next().is_none_or(|c| c != '"' && ends_word(c)) {
        return Err(Failure::fatal(input, "a value to compare with is missing", &["a value"]));
    }
    quoted.or(bare.map(str::to_owned)).parse(input)
}

fn range(input: &str) -> Parsed<'_, Term<'_>> {
    let low = if input.starts_with('[') { Comparison::Gte } else { Comparison::Gt };
    let (rest, from) = bound(skip_space(&input[1..]), input)?;
    let rest = skip_space(rest);
    let Some(rest) = rest
        .strip_prefix("TO")
        .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    else {
        return Err(Failure::fatal(rest, "a range is `[from TO to]`", &["`TO`"]));
    };
    let (rest, to) = bound(skip_space(rest), input)?;
    let rest = skip_space(rest);
    let high = match rest.chars().next() {
        Some(']') => Comparison::Lte,
        Some('}') => Comparison::Lt,
        _ => return Err(Failure::fatal(rest, "this range is never closed", &["`]`", "`}`"])),
    };
    let open = |text: String, comparison| (text != "*").then_some((comparison, text));
    Ok((&rest[1..], Term::Range(open(from, low), open(to, high))))
}

fn bound<'a>(input: &'a str, whole: &'a str) -> Parsed<'a, String> {
    if input.starts_with('"') {
        return quoted(input);
    }
    let end = input.find(|c: char| ends_word(c) || matches!(c, ']' | '}'));
    let (text, rest) = input.split_at(end.unwrap_or(input.len()));
    if text.is_empty() {
        return Err(Failure::fatal(
            if rest.is_empty() { whole } else { rest },
            "a range needs two ends, `*` for an open one",
            &["a value", "`*`"],
        ));
    }
    Ok((rest, text.to_owned()))
}

/// `count > 5` and the like; `None` when no sign follows the name.
pub(super) fn column_comparison(
    input: &str,
    now: Timestamp,
) -> Result<Option<(&str, Filter)>, nom::Err<Failure>> {
    const SIGNS: [&str; 7] = [">=", "<=", "!=", "==", ">", "<", "="];
    let Ok((rest, name)) = column(input) else { return Ok(None) };
    let Some((rest, sign)) = sign(skip_space(rest), &SIGNS) else { return Ok(None) };
    let target = Target::of_name(&name);
    let (after, text) = compared_with(rest)?;
    let term = match sign {
        "=" | "==" | "!=" => Term::Quoted(text),
        sign => Term::Compare(comparison_of(sign), text),
    };
    let filter = term.about(&target, now, rest)?;
    Ok(Some((after, if sign == "!=" { filter.negated() } else { filter })))
}

impl Term<'_> {
    /// The condition that `target` is so; `input` is where the term stands.
    pub(super) fn about(
        self,
        target: &Target,
        now: Timestamp,
        input: &str,
    ) -> Result<Filter, nom::Err<Failure>> {
        if let Some(filter) = self.in_every_part(target, input)? {
            return Ok(filter);
        }
        let test = match target {
            Target::Severity => return self.into_severity(input),
            Target::Message | Target::Record => match self {
                Self::Compare(comparison, text) => Test::Text(comparison, text),
                Self::Range(from, to) => text_range(from, to),
                words => words.into_words(input)?,
            },
            Target::Timestamp | Target::ObservedAt => self.into_time(now, input)?,
            Target::Field(name) if is_time_field(name) => self.into_time(now, input)?,
            _ => self.into_value(input)?,
        };
        Ok(Filter::is(target.clone(), test))
    }

    /// What means the same wherever it stands: `*` and expressions.
    fn in_every_part(
        &self,
        target: &Target,
        input: &str,
    ) -> Result<Option<Filter>, nom::Err<Failure>> {
        let test = match self {
            Self::Bare("*") | Self::Range(None, None) => Test::Exists,
            Self::Regex(pattern) => Test::regex(pattern)
                .map_err(|error| Failure::fatal(input, error.to_string(), &[]))?,
            _ => return Ok(None),
        };
        Ok(Some(Filter::is(target.clone(), test)))
    }

    /// Words side by side, the last one possibly only begun.
    pub(super) fn into_words(self, input: &str) -> Result<Test, nom::Err<Failure>> {
        let (text, is_prefix) = match &self {
            Self::Bare(word) => prefix_of(word, input)?,
            Self::QuotedPrefix(text) => (text.as_str(), true),
            Self::Quoted(text) => (text.as_str(), false),
            _ => ("", false),
        };
        let mut found: Vec<String> = words(text).map(|word| word.into_owned()).collect();
        if found.is_empty() {
            return Err(Failure::fatal(
                input,
                "there is no letter or digit to search for; `message:~\"…\"` finds any character",
                &["a word"],
            ));
        }
        if !is_prefix {
            return Ok(Test::Words(found));
        }
        let ends_in_word =
            text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let prefix = if ends_in_word { found.pop().unwrap_or_default() } else { String::new() };
        Ok(Test::WordsThenPrefix(found, prefix))
    }

    /// The whole value of a field.
    fn into_value(self, input: &str) -> Result<Test, nom::Err<Failure>> {
        Ok(match self {
            Self::Bare(word) => match prefix_of(word, input)? {
                (text, true) => Test::StartsWith { text: text.to_owned(), cased: false },
                (text, false) if text.contains('/') => match text.parse::<IpNet>() {
                    Ok(network) => Test::Network(vec![network.trunc()]),
                    Err(_) if is_meant_as_network(text) => {
                        let message = "this network is none: its prefix is longer than an address";
                        return Err(Failure::fatal(input, message, &["`10.0.0.0/8`", "quotes"]));
                    }
                    Err(_) => equals(text),
                },
                (text, false) => equals(text),
            },
            Self::Quoted(text) => Test::Equals { text, cased: false },
            Self::QuotedPrefix(text) => Test::StartsWith { text, cased: false },
            Self::Compare(comparison, text) => compare(comparison, text),
            Self::Range(from, to) => match address_range(&from, &to) {
                Some(networks) => Test::Network(networks),
                None => value_range(from, to),
            },
            Self::Regex(_) => Test::Exists,
        })
    }

    fn into_time(self, now: Timestamp, input: &str) -> Result<Test, nom::Err<Failure>> {
        let time = |text: &str| {
            parse_time(text, now).map_err(|error| {
                Failure::fatal(input, error.to_string(), &["`now-15m`", "`2026-11-22T04:22:59Z`"])
            })
        };
        let at = |text: &str| {
            let first = time(text)?;
            let (comparison, end) = match day(text) {
                Some(_) => (Comparison::Lt, first.saturating_add(Duration::from_secs(86_400))),
                None => (Comparison::Lte, first),
            };
            Ok(Test::Each(vec![Test::Time(Comparison::Gte, first), Test::Time(comparison, end)]))
        };
        match self {
            Self::Bare(word) => match prefix_of(word, input)? {
                (text, true) => Ok(Test::StartsWith { text: text.to_owned(), cased: false }),
                (text, false) => at(text),
            },
            Self::Quoted(text) => at(&text),
            Self::QuotedPrefix(text) => Ok(Test::StartsWith { text, cased: false }),
            Self::Compare(comparison, text) => Ok(Test::Time(comparison, time(&text)?)),
            Self::Range(from, to) => {
                let ends = [from, to].into_iter().flatten();
                let tests: Result<Vec<Test>, _> = ends
                    .map(|(comparison, text)| Ok(Test::Time(comparison, time(&text)?)))
                    .collect();
                Ok(each(tests?))
            }
            Self::Regex(_) => Ok(Test::Exists),
        }
    }

    fn into_severity(self, input: &str) -> Result<Filter, nom::Err<Failure>> {
        let severity = |text: &str| {
            Severity::from_word(text).ok_or_else(|| {
                let names = Severity::ALL.map(Severity::name);
                Failure::fatal(input, format!("`{text}` is no severity"), &names)
            })
        };
        let is = |severity: Severity| Filter::is(Target::Severity, equals(severity.name()));
        match self {
            Self::Bare(word) => match prefix_of(word, input)? {
                (text, true) => {
                    let test = Test::StartsWith { text: text.to_owned(), cased: false };
                    Ok(Filter::is(Target::Severity, test))
                }
                (text, false) => Ok(is(severity(text)?)),
            },
            Self::Quoted(text) => Ok(is(severity(&text)?)),
            Self::QuotedPrefix(text) => {
                Ok(Filter::is(Target::Severity, Test::StartsWith { text, cased: false }))
            }
            Self::Compare(comparison, text) => Ok(Filter::severity(comparison, severity(&text)?)),
            Self::Range(from, to) => {
                let mut filter = Filter::All;
                for (comparison, text) in [from, to].into_iter().flatten() {
                    filter = filter.and(Filter::severity(comparison, severity(&text)?));
                }
                Ok(filter)
            }
            Self::Regex(_) => Ok(Filter::All),
        }
    }
}

/// A bare word without the `*` it ends in, and whether it had one.
fn prefix_of<'a>(word: &'a str, input: &str) -> Result<(&'a str, bool), nom::Err<Failure>> {
    let (text, is_prefix) = word.strip_suffix('*').map_or((word, false), |text| (text, true));
    match text.find('*') {
        None => Ok((text, is_prefix)),
        Some(place) => Err(Failure::fatal(
            input.get(place..).unwrap_or(input),
            "`*` stands at the end of a word; for a part inside a value write \
             `field:~\"expression\"`, for the character itself use quotes",
            &["`word*`"],
        )),
    }
}

/// Whether it is an address, a slash and a number.
fn is_meant_as_network(text: &str) -> bool {
    let parts = text.split_once('/');
    parts.is_some_and(|(address, prefix)| {
        address.parse::<IpAddr>().is_ok() && prefix.bytes().all(|c| c.is_ascii_digit())
    })
}

fn equals(text: &str) -> Test {
    Test::Equals { text: text.to_owned(), cased: false }
}

/// Whether values of the field are read as times.
pub(super) fn is_time_field(name: &str) -> bool {
    let spec = standard_field(name).map(|place| &STANDARD_FIELDS[usize::from(place)]);
    spec.is_some_and(|spec| spec.kind == FieldType::Timestamp)
}

/// Compares as number, as time or as text, by what the bound reads as.
fn compare(comparison: Comparison, text: String) -> Test {
    if let Some(number) = Number::parse(&text) {
        return Test::Number(comparison, number);
    }
    if let Some(time) = Timestamp::parse_rfc3339(&text) {
        return Test::Time(comparison, time);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Test::Network(addresses(comparison, address));
    }
    Test::Text(comparison, text)
}

type End = Option<(Comparison, String)>;

fn value_range(from: End, to: End) -> Test {
    let ends: Vec<_> = [from, to].into_iter().flatten().collect();
    let is_typed = |test: &Test| !matches!(test, Test::Text(..));
    let typed: Vec<Test> =
        ends.iter().map(|(comparison, text)| compare(*comparison, text.clone())).collect();
    let are_alike = typed
        .windows(2)
        .all(|pair| std::mem::discriminant(&pair[0]) == std::mem::discriminant(&pair[1]));
    if are_alike && typed.iter().all(is_typed) {
        return each(typed);
    }
    each(ends.into_iter().map(|(comparison, text)| Test::Text(comparison, text)).collect())
}

fn text_range(from: End, to: End) -> Test {
    let ends = [from, to].into_iter().flatten();
    each(ends.map(|(comparison, text)| Test::Text(comparison, text)).collect())
}

fn each(mut tests: Vec<Test>) -> Test {
    match tests.pop() {
        None => Test::Exists,
        Some(only) if tests.is_empty() => only,
        Some(last) => {
            tests.push(last);
            Test::Each(tests)
        }
    }
}

/// The networks that make up a range of addresses; `None` when its ends are not two of one kind.
fn address_range(from: &End, to: &End) -> Option<Vec<IpNet>> {
    let ((low, from), (high, to)) = (from.as_ref()?, to.as_ref()?);
    let (from, to) = (from.parse::<IpAddr>().ok()?, to.parse::<IpAddr>().ok()?);
    if from.is_ipv4() != to.is_ipv4() {
        return None;
    }
    let from = if *low == Comparison::Gt { step(from, true) } else { Some(from) };
    let to = if *high == Comparison::Lt { step(to, false) } else { Some(to) };
    Some(from.zip(to).map_or_else(Vec::new, |(from, to)| between(from, to)))
}

/// The networks of all addresses of the same kind that compare so.
fn addresses(comparison: Comparison, bound: IpAddr) -> Vec<IpNet> {
    let (first, last): (IpAddr, IpAddr) = match bound {
        IpAddr::V4(_) => ([0; 4].into(), [255; 4].into()),
        IpAddr::V6(_) => ([0u8; 16].into(), [255u8; 16].into()),
    };
    match comparison {
        Comparison::Gte => between(bound, last),
        Comparison::Lte => between(first, bound),
        Comparison::Gt => step(bound, true).map_or_else(Vec::new, |next| between(next, last)),
        Comparison::Lt => step(bound, false).map_or_else(Vec::new, |next| between(first, next)),
    }
}

/// The address after or before this one.
fn step(address: IpAddr, is_up: bool) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let bits = u32::from(v4);
            let next = if is_up { bits.checked_add(1) } else { bits.checked_sub(1) };
            next.map(|bits| IpAddr::V4(bits.into()))
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let next = if is_up { bits.checked_add(1) } else { bits.checked_sub(1) };
            next.map(|bits| IpAddr::V6(bits.into()))
        }
    }
}

fn between(from: IpAddr, to: IpAddr) -> Vec<IpNet> {
    let subnets = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) if from <= to => {
            IpSubnets::from(Ipv4Subnets::new(from, to, 0))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) if from <= to => {
            IpSubnets::from(Ipv6Subnets::new(from, to, 0))
        }
        _ => return Vec::new(),
    };
    subnets.collect()
}
