//! The grammar of conditions: AND, OR, NOT, parentheses, and what stands between them.
//!
//! `OR` binds least, then `AND`, which may be left out, then `NOT` and `-`. The recursion goes one
//! round per level of parentheses, which [`super::limits`] has bounded.

use std::net::IpAddr;

use logwarden_event::Timestamp;
use nom::Parser;

use crate::filter::{Filter, Target, Test};

use super::error::Failure;
use super::term::{self, Term};
use super::token::{self, Parsed, bare, operator, quoted, skip_space};

/// What a condition could begin with.
const CONDITION: [&str; 4] = ["a word", "a phrase in quotes", "`field:value`", "`(`"];

/// Reads conditions; `target` is what values without a name are about.
#[derive(Debug, Clone)]
pub(super) struct Grammar {
    now: Timestamp,
    target: Target,
    /// Comparisons such as `count > 5` are read too, and names may be those of columns.
    has_columns: bool,
}

impl Grammar {
    /// The grammar of a query.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, target: Target::Record, has_columns: false }
    }

    /// The grammar behind `| where`.
    pub(super) fn of_columns(&self) -> Self {
        Self { has_columns: true, ..self.clone() }
    }

    /// The grammar inside `field:( )`.
    fn within(&self, target: Target) -> Self {
        Self { now: self.now, target, has_columns: false }
    }

    fn is_within_field(&self) -> bool {
        self.target != Target::Record
    }

    /// A condition up to a `|` or the end; nothing at all is every event.
    pub(super) fn whole_condition<'a>(&self, input: &'a str) -> Parsed<'a, Filter> {
        let input = skip_space(input);
        if input.is_empty() || input.starts_with('|') {
            return Ok((input, Filter::All));
        }
        let (rest, filter) = self.any_of(input)?;
        let rest = skip_space(rest);
        if rest.is_empty() || rest.starts_with('|') {
            return Ok((rest, filter));
        }
        Err(Failure::fatal(rest, "this parenthesis was never opened", &["a condition", "`|`"]))
    }

    /// Conditions with `OR` between them.
    fn any_of<'a>(&self, input: &'a str) -> Parsed<'a, Filter> {
        let (mut rest, first) = self.all_of(input)?;
        let mut filters = vec![first];
        while let Some(after) = operator(skip_space(rest), "OR") {
            let (after, filter) = self.all_of(after)?;
            filters.push(filter);
            rest = after;
        }
        Ok((rest, one_or(filters, Filter::Or)))
    }

    /// Conditions with `AND` or nothing between them.
    fn all_of<'a>(&self, input: &'a str) -> Parsed<'a, Filter> {
        let (mut rest, first) = self.negated(input)?;
        let mut filters = vec![first];
        loop {
            let next = skip_space(rest);
            if let Some(after) = operator(next, "AND") {
                let (after, filter) = self.negated(after)?;
                filters.push(filter);
                rest = after;
            } else if next.is_empty()
                || next.starts_with([')', '|'])
                || operator(next, "OR").is_some()
            {
                return Ok((rest, one_or(filters, Filter::And)));
            } else {
                let (after, filter) = self.negated(next)?;
                filters.push(filter);
                rest = after;
            }
        }
    }

    /// One condition behind any number of `NOT` and `-`.
    fn negated<'a>(&self, input: &'a str) -> Parsed<'a, Filter> {
        let mut rest = skip_space(input);
        let mut is_negated = false;
        loop {
            if let Some(after) = operator(rest, "NOT") {
                rest = skip_space(after);
            } else if let Some(after) = self.minus(rest) {
                rest = after;
            } else {
                break;
            }
            is_negated = !is_negated;
        }
        let (rest, filter) = self.primary(rest)?;
        Ok((rest, if is_negated { filter.negated() } else { filter }))
    }

    /// A `-` that negates: not one that stands alone, nor that of a number inside `field:( )`.
    fn minus<'a>(&self, input: &'a str) -> Option<&'a str> {
        let after = input.strip_prefix('-')?;
        let next = after.chars().next()?;
        let is_number = self.is_within_field() && (next.is_ascii_digit() || next == '.');
        (!next.is_whitespace() && !matches!(next, ')' | '|') && !is_number).then_some(after)
    }

    fn primary<'a>(&self, input: &'a str) -> Parsed<'a, Filter> {
        if let Some(inside) = input.strip_prefix('(') {
            return self.parenthesis(inside, input);
        }
        for word in ["AND", "OR"] {
            if operator(input, word).is_some() {
                let message = format!("`{word}` stands between conditions");
                return Err(Failure::fatal(input, message, &CONDITION));
            }
        }
        if input.is_empty() || input.starts_with([')', '|']) {
            return Err(Failure::fatal(input, "a condition is missing", &CONDITION));
        }
        if self.is_within_field() {
            let (rest, term) = term::term(input)?;
            return Ok((rest, term.about(&self.target, self.now, input)?));
        }
        if self.has_columns
            && let Some(compared) = term::column_comparison(input, self.now)?
        {
            return Ok(compared);
        }
        match field_name(input)? {
            Some((rest, name)) => self.field(rest, &name),
            None => words(input),
        }
    }

    fn parenthesis<'a>(&self, inside: &'a str, from: &'a str) -> Parsed<'a, Filter> {
        let (rest, filter) = self.any_of(inside)?;
        match skip_space(rest).strip_prefix(')') {
            Some(rest) => Ok((rest, filter)),
            None => Err(Failure::fatal(from, "this parenthesis is never closed", &["`)`"])),
        }
    }

    /// What stands behind `name:`.
    fn field<'a>(&self, input: &'a str, name: &str) -> Parsed<'a, Filter> {
        let target = Target::of_name(name);
        if let Some(inside) = input.strip_prefix('(') {
            return self.within(target).parenthesis(inside, input);
        }
        if input.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|')) {
            let message = format!(
                "`{name}:` has no value; a text with a colon is searched for in quotes, \
                 such as `\"{name}:\"`"
            );
            return Err(Failure::fatal(input, message, &["a value", "`*`", "`>=`", "`[`", "`(`"]));
        }
        let (rest, term) = term::term(input)?;
        Ok((rest, term.about(&target, self.now, input)?))
    }
}

fn one_or(mut filters: Vec<Filter>, several: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            several(filters)
        }
        None => Filter::All,
    }
}

/// A field's name and its colon; `None` when a word stands here that has a colon of its own, such
/// as an address, a time, a URL or a path.
fn field_name(input: &str) -> Result<Option<(&str, String)>, nom::Err<Failure>> {
    if input.starts_with('"') {
        let (rest, name) = quoted(input)?;
        return Ok(rest.strip_prefix(':').map(|rest| (rest, name)));
    }
    let Ok((rest, name)) = token::name(input) else { return Ok(None) };
    let Some(value) = rest.strip_prefix(':') else { return Ok(None) };
    let whole = bare(input).map_or("", |(_, word)| word);
    let is_drive = name.len() == 1 && value.starts_with(['\\', '/']);
    if value.starts_with("//") || is_drive || whole.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    Ok(Some((value, name.to_owned())))
}

/// A word, the beginning of one, a phrase, an expression, or `*`, anywhere in the record.
fn words(input: &str) -> Parsed<'_, Filter> {
    if input.starts_with("~\"") {
        let (rest, term) = term::term(input)?;
        return Ok((rest, term.about(&Target::Record, Timestamp::default(), input)?));
    }
    let (rest, term) = match quoted.parse(input) {
        Ok((rest, text)) => term::after_quotes(rest, text),
        Err(failure @ nom::Err::Failure(_)) => return Err(failure),
        Err(_) => {
            let (rest, word) = bare(input)?;
            (rest, Term::Bare(word))
        }
    };
    if matches!(term, Term::Bare("*")) {
        return Ok((rest, Filter::All));
    }
    let test: Test = term.into_words(input)?;
    Ok((rest, Filter::is(Target::Record, test)))
}
