//! A Sigma `detection` as a [`Filter`]: selections, their values and modifiers.
//!
//! Input: the mapping under `detection`. Output: one filter, or every fault in it. What this engine
//! cannot do is refused, never skipped: a rule that silently means less is worse than none.

use logwarden_event::TimePart;
use logwarden_query::{Comparison, Filter, Number, Target, Test};

use super::condition;
use super::lists::Lists;
use super::names::target_of;
use super::value::{Pattern, encode_base64, offsets_base64, utf16, windash_variants};
use super::yaml::{Fault, Key, Node, Place, Yaml};

/// Values of one selection item; more are refused.
const VALUES_MAX: usize = LIST_VALUES_MAX;
/// Values that lists may bring into one selection item.
const LIST_VALUES_MAX: usize = 50_000;
/// Bytes a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 10 << 20;
/// Levels of groups in a regular expression.
const REGEX_NESTING_MAX: u32 = 64;

/// Reads a detection, or what has its form; `but` are keys that are no selections.
///
/// # Errors
///
/// Every fault found, in the order of the file.
pub(super) fn read(detection: &Node, but: &[&str], lists: &Lists) -> Result<Filter, Vec<Fault>> {
    let Some(entries) = detection.entries() else {
        return Err(vec![Fault::new(detection.at, "must be a mapping of selections")]);
    };
    let mut faults = Vec::new();
    let mut selections: Vec<(String, Filter)> = Vec::new();
    let mut conditions: Option<&Node> = None;
    for (key, node) in entries {
        match key.text.as_str() {
            "condition" => conditions = Some(node),
            name if but.contains(&name) => {}
            name => match selection(node, lists) {
                Ok(filter) => selections.push((name.to_owned(), filter)),
                Err(found) => faults.extend(found),
            },
        }
    }
    let Some(conditions) = conditions else {
        faults.push(Fault::new(detection.at, "there is no `condition`"));
        return Err(faults);
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    if conditions.items().is_empty() {
        return Err(vec![Fault::new(conditions.at, "an empty list of conditions matches nothing")]);
    }
    let mut filters = Vec::new();
    for node in conditions.items() {
        let Some(text) = node.text() else {
            faults.push(Fault::new(node.at, "a condition must be a text"));
            continue;
        };
        match condition::read(text, &selections) {
            Ok(filter) => filters.push(filter),
            Err((offset, message)) => {
                let at = Place { line: node.at.line, column: node.at.column + offset };
                faults.push(Fault::new(at, message));
            }
        }
    }
    if faults.is_empty() { Ok(any_of(filters)) } else { Err(faults) }
}

fn any_of(mut filters: Vec<Filter>) -> Filter {
    if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) }
}

fn all_of(mut filters: Vec<Filter>) -> Filter {
    if filters.len() == 1 { filters.remove(0) } else { Filter::And(filters) }
}

/// A mapping (all items hold), or a list of mappings and keywords (any of them holds).
pub(super) fn selection(node: &Node, lists: &Lists) -> Result<Filter, Vec<Fault>> {
    match &node.value {
        Yaml::Map(entries) => mapping(entries, lists),
        Yaml::List(items) if items.is_empty() => {
            Err(vec![Fault::new(node.at, "an empty list matches nothing")])
        }
        Yaml::List(items) => {
            let mut filters = Vec::new();
            let mut faults = Vec::new();
            for item in items {
                match selection(item, lists) {
                    Ok(filter) => filters.push(filter),
                    Err(found) => faults.extend(found),
                }
            }
            if faults.is_empty() { Ok(any_of(filters)) } else { Err(faults) }
        }
        Yaml::Scalar { .. } => keyword(node).map_err(|fault| vec![fault]),
    }
}

fn keyword(node: &Node) -> Result<Filter, Fault> {
    let text = node.text().ok_or_else(|| Fault::new(node.at, "null is no keyword"))?;
    let test = Pattern::parse(text)
        .contained()
        .to_test(false)
        .map_err(|message| Fault::new(node.at, message))?;
    Ok(Filter::is(Target::Record, test))
}

fn mapping(entries: &[(Key, Node)], lists: &Lists) -> Result<Filter, Vec<Fault>> {
    let mut filters = Vec::new();
    let mut faults = Vec::new();
    for (key, node) in entries {
        match item(key, node, lists) {
            Ok(filter) => filters.push(filter),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(all_of(filters)) } else { Err(faults) }
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Equal,
    Contains,
    StartsWith,
    EndsWith,
    Regex,
    Cidr,
    Exists,
    FieldRef,
    Number(Comparison),
    TimePart(TimePart, Option<Comparison>),
}

/// How a value is changed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf16Le,
    Utf16Be,
    Utf16,
    Base64,
    Base64Offset,
}

/// What the modifiers of one key come down to.
#[derive(Debug)]
struct Modifiers {
    form: Form,
    all: bool,
    cased: bool,
    windash: bool,
    negated: bool,
    /// Values are names of lists.
    expand: bool,
    regex_flags: String,
    encodings: Vec<Encoding>,
}

fn item(key: &Key, node: &Node, lists: &Lists) -> Result<Filter, Fault> {
    let mut parts = key.text.split('|');
    let field = parts.next().unwrap_or_default();
    let modifiers = read_modifiers(parts).map_err(|message| Fault::new(key.at, message))?;
    let target = if field.is_empty() { Target::Record } else { target_of(field) };
    let expanded;
    let values = if modifiers.expand {
        expanded = expand(node.items(), lists)?;
        expanded.as_slice()
    } else {
        node.items()
    };
    if values.is_empty() && modifiers.expand {
        return Ok(Filter::Nothing);
    }
    if values.len() > VALUES_MAX {
        let message = format!("`{field}` has {} values, the limit is {VALUES_MAX}", values.len());
        return Err(Fault::new(key.at, message));
    }
    if values.is_empty() {
        return Err(Fault::new(node.at, format!("`{field}` has an empty list of values")));
    }
    let mut filters = Vec::with_capacity(values.len());
    for value in values {
        let filter = match (modifiers.form, value.text().map(target_of)) {
            (Form::FieldRef, Some(Target::FirstOf(names))) => {
                same_as_first(&target, &names, modifiers.cased)
            }
            _ => {
                let tests = tests_of(value, &modifiers, field.is_empty())
                    .map_err(|message| Fault::new(value.at, message))?;
                any_of(tests.into_iter().map(|test| Filter::is(target.clone(), test)).collect())
            }
        };
        let is_absence = modifiers.form == Form::Exists && value.boolean() == Some(false);
        filters.push(if is_absence { filter.negated() } else { filter });
    }
    let filter = if modifiers.all { all_of(filters) } else { any_of(filters) };
    Ok(if modifiers.negated { filter.negated() } else { filter })
}

/// Whether a value is that of the first of these fields that has one.
fn same_as_first(target: &Target, names: &[String], cased: bool) -> Filter {
    let is_absent = |name: &String| Filter::is(Target::Field(name.clone()), Test::IsNull);
    let same = |place: usize| {
        let test = Test::SameAs { name: names[place].clone(), cased };
        let before = names[..place].iter().map(is_absent);
        all_of(before.chain([Filter::is(target.clone(), test)]).collect())
    };
    any_of((0..names.len()).map(same).collect())
}

/// The values of the lists that these values name; a value without `%` is one itself.
fn expand(values: &[Node], lists: &Lists) -> Result<Vec<Node>, Fault> {
    let mut expanded = Vec::new();
    for value in values {
        let text = value.text().ok_or_else(|| Fault::new(value.at, "must name a list"))?;
        if !text.contains('%') {
            expanded.push(value.clone());
            continue;
        }
        let texts = lists.expand(text).map_err(|message| Fault::new(value.at, message))?;
        expanded.extend(
            texts
                .into_iter()
                .map(|text| Node { at: value.at, value: Yaml::Scalar { text, is_plain: false } }),
        );
        if expanded.len() > LIST_VALUES_MAX {
            let message = format!("more than {LIST_VALUES_MAX} values come of these lists");
            return Err(Fault::new(value.at, message));
        }
    }
    Ok(expanded)
}

fn read_modifiers<'a>(words: impl Iterator<Item = &'a str>) -> Result<Modifiers, String> {
    let mut modifiers = Modifiers {
        form: Form::Equal,
        all: false,
        cased: false,
        windash: false,
        negated: false,
        expand: false,
        regex_flags: String::new(),
        encodings: Vec::new(),
    };
    for word in words {
        let form = match word {
            "contains" => Form::Contains,
            "startswith" => Form::StartsWith,
            "endswith" => Form::EndsWith,
            "re" => Form::Regex,
            "cidr" => Form::Cidr,
            "exists" => Form::Exists,
            "fieldref" => Form::FieldRef,
            "gt" => Form::Number(Comparison::Gt),
            "gte" => Form::Number(Comparison::Gte),
            "lt" => Form::Number(Comparison::Lt),
            "lte" => Form::Number(Comparison::Lte),
            "minute" => Form::TimePart(TimePart::Minute, None),
            "hour" => Form::TimePart(TimePart::Hour, None),
            "day" => Form::TimePart(TimePart::Day, None),
            "week" => Form::TimePart(TimePart::Week, None),
            "month" => Form::TimePart(TimePart::Month, None),
            "year" => Form::TimePart(TimePart::Year, None),
            other => {
                modifiers.add(other)?;
                continue;
            }
        };
        if let (Form::TimePart(part, None), Form::Number(comparison)) = (modifiers.form, form) {
            modifiers.form = Form::TimePart(part, Some(comparison));
            continue;
        }
        if modifiers.form != Form::Equal {
            return Err(format!("modifier `{word}` cannot follow another comparison"));
        }
        modifiers.form = form;
    }
    modifiers.check()
}

impl Modifiers {
    fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "all" => self.all = true,
            "cased" => self.cased = true,
            "windash" => self.windash = true,
            "neq" => self.negated = true,
            "i" | "m" | "s" | "ignorecase" | "multiline" | "dotall" if self.form == Form::Regex => {
                let flag = match word {
                    "i" | "ignorecase" => 'i',
                    "m" | "multiline" => 'm',
                    _ => 's',
                };
                self.regex_flags.push(flag);
            }
            "wide" | "utf16le" => self.encodings.push(Encoding::Utf16Le),
            "utf16be" => self.encodings.push(Encoding::Utf16Be),
            "utf16" => self.encodings.push(Encoding::Utf16),
            "base64" => self.encodings.push(Encoding::Base64),
            "base64offset" => self.encodings.push(Encoding::Base64Offset),
            "expand" => self.expand = true,
            "" => return Err(String::from("a modifier is empty")),
            other => return Err(format!("unknown modifier `{other}`")),
        }
        Ok(())
    }

    fn check(self) -> Result<Self, String> {
        let is_text =
            matches!(self.form, Form::Equal | Form::Contains | Form::StartsWith | Form::EndsWith);
        if !is_text && (self.windash || !self.encodings.is_empty()) {
            return Err(String::from("windash and encodings need a comparison of texts"));
        }
        if self.windash && !self.encodings.is_empty() {
            return Err(String::from("windash cannot be combined with an encoding"));
        }
        match self.encodings.as_slice() {
            []
            | [Encoding::Base64 | Encoding::Base64Offset]
            | [
                Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Utf16,
                Encoding::Base64 | Encoding::Base64Offset,
            ] => Ok(self),
            [Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Utf16] => {
                Err(String::from("a UTF-16 encoding must be followed by base64 or base64offset"))
            }
            _ => Err(String::from("this order of encodings is not supported")),
        }
    }

    fn frame(&self, pattern: Pattern) -> Pattern {
        match self.form {
            Form::Contains => pattern.contained(),
            Form::StartsWith => pattern.at_start(),
            Form::EndsWith => pattern.at_end(),
            _ => pattern,
        }
    }
}

/// The tests of which any must pass for `value`.
fn tests_of(value: &Node, modifiers: &Modifiers, is_keyword: bool) -> Result<Vec<Test>, String> {
    if modifiers.form == Form::Exists {
        return match value.boolean() {
            Some(_) => Ok(vec![Test::Present]),
            None => Err(String::from("`exists` takes true or false")),
        };
    }
    if value.is_null() {
        return match modifiers.form {
            Form::Equal => Ok(vec![Test::IsNull]),
            _ => Err(String::from("null cannot be compared so")),
        };
    }
    let text = value.text().ok_or("a value must be a text, a number, true, false or null")?;
    match modifiers.form {
        Form::Regex => {
            let flags = &modifiers.regex_flags;
            let expression =
                if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
            Ok(vec![regex_test(&expression)?])
        }
        Form::Cidr => {
            let network = text
                .parse()
                .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from))
                .map_err(|_| format!("`{text}` is no network, such as 10.0.0.0/8"))?;
            Ok(vec![Test::Network(vec![network])])
        }
        Form::FieldRef => Ok(vec![Test::SameAs { name: text.to_owned(), cased: modifiers.cased }]),
        Form::Number(comparison) => {
            let number = value.number().ok_or_else(|| format!("`{text}` is no number"))?;
            // As it is written, where that says it: not all whole numbers are floats.
            let number = Number::parse(text).unwrap_or(Number::Float(number));
            Ok(vec![Test::Number(comparison, number)])
        }
        Form::TimePart(part, comparison) => {
            let number = text.parse().map_err(|_| format!("`{text}` is no whole number"))?;
            Ok(vec![Test::TimePart(part, comparison, number)])
        }
        _ => text_tests(text, modifiers, is_keyword),
    }
}

/// Rules are written by those who run the program, so their expressions may be larger than those of
/// a search; matching takes time in proportion to the value all the same.
fn regex_test(expression: &str) -> Result<Test, String> {
    let regex = regex::RegexBuilder::new(expression)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(REGEX_NESTING_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            format!("regular expression: {}", text.lines().last().unwrap_or_default())
        })?;
    Ok(Test::Regex(std::sync::Arc::new(regex)))
}

fn text_tests(text: &str, modifiers: &Modifiers, is_keyword: bool) -> Result<Vec<Test>, String> {
    let frame = |pattern| {
        if is_keyword && modifiers.form == Form::Equal {
            Pattern::contained(pattern)
        } else {
            modifiers.frame(pattern)
        }
    };
    if modifiers.encodings.is_empty() {
        let texts = if modifiers.windash { windash_variants(text) } else { vec![text.to_owned()] };
        return texts
            .iter()
            .map(|text| frame(Pattern::parse(text)).to_test(modifiers.cased))
            .collect();
    }
    let mut bytes = Pattern::parse(text)
        .literal()
        .ok_or("a value with wildcards cannot be encoded")?
        .into_bytes();
    let mut texts = Vec::new();
    for encoding in &modifiers.encodings {
        match encoding {
            Encoding::Utf16Le => bytes = utf16(&bytes, false, false),
            Encoding::Utf16Be => bytes = utf16(&bytes, true, false),
            Encoding::Utf16 => bytes = utf16(&bytes, false, true),
            Encoding::Base64 => texts = vec![encode_base64(&bytes)],
            Encoding::Base64Offset => texts = offsets_base64(&bytes),
        }
    }
    texts.into_iter().map(|text| frame(Pattern::of_literal(text)).to_test(true)).collect()
}
