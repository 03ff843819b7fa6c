//! Conditions of source files on one field each.
//!
//! Input: `name` (it is there), `!name` (it is not), `name=#` (a number), `name>=7` (a number so large),
//! `name=value|begin*|*end|*middle*` and, for none of these, `name!=value`. Output: whether a record has it so. Names are exact; values are compared without regard to case.

use super::super::names::table::{Key, Table};
use super::super::reading::{Held, Known, Reading};

/// One condition.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) key: Key,
    name: String,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Present,
    Absent,
    Number,
    AtLeast(f64),
    Any(Vec<Pattern>),
    NoneOf(Vec<Pattern>),
}

#[derive(Debug)]
struct Pattern {
    text: String,
    is_open_before: bool,
    is_open_after: bool,
}

impl Condition {
    /// Reads one; the name gets a number in `table`.
    pub(super) fn read(text: &str, table: &mut Table) -> Result<Self, String> {
        let (name, wanted) = match text.split_once('=') {
            Some((_, "")) => return Err(format!("`{text}` has no value")),
            Some((name, "#")) => (name, Wanted::Number),
            Some((name, value)) => with_value(name, value)?,
            None => match text.strip_prefix('!') {
                Some(name) => (name, Wanted::Absent),
                None => (text, Wanted::Present),
            },
        };
        Ok(Self { key: table.key(name), name: name.to_owned(), wanted })
    }

    pub(super) const fn is_absence(&self) -> bool {
        matches!(self.wanted, Wanted::Absent)
    }

    /// Whether it holds of the record.
    pub(super) fn holds(&self, reading: &Reading<'_>) -> bool {
        let mut fields = reading.known.iter().filter(|known| self.is_named(reading, known));
        match &self.wanted {
            Wanted::Present => fields.next().is_some(),
            Wanted::Absent => fields.next().is_none(),
            Wanted::Number => fields.any(|known| number(reading, known).is_some()),
            Wanted::AtLeast(least) => {
                fields.any(|known| number(reading, known).is_some_and(|number| number >= *least))
            }
            Wanted::Any(patterns) => fields.any(|known| is_one(reading, known, patterns)),
            Wanted::NoneOf(patterns) => fields.any(|known| {
                !matches!(reading.entries[known.index()].value, Held::Null)
                    && !is_one(reading, known, patterns)
            }),
        }
    }

    fn is_named(&self, reading: &Reading<'_>, known: &Known) -> bool {
        known.slot.key == self.key
            && reading.str(reading.entries[known.index()].path).get(usize::from(known.skip)..)
                == Some(&self.name)
    }
}

fn with_value<'t>(name: &'t str, value: &str) -> Result<(&'t str, Wanted), String> {
    if let Some(name) = name.strip_suffix('>') {
        let least = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        return Ok((name, Wanted::AtLeast(least)));
    }
    let patterns = value.split('|').map(Pattern::read).collect();
    Ok(match name.strip_suffix('!') {
        Some(name) => (name, Wanted::NoneOf(patterns)),
        None => (name, Wanted::Any(patterns)),
    })
}

fn number(reading: &Reading<'_>, known: &Known) -> Option<f64> {
    match reading.entries[known.index()].value {
        Held::Signed(number) => Some(number as f64),
        Held::Unsigned(number) => Some(number as f64),
        Held::Float(number) => Some(number),
        _ => None,
    }
}

fn is_one(reading: &Reading<'_>, known: &Known, patterns: &[Pattern]) -> bool {
    let value = reading.entries[known.index()].value;
    patterns.iter().any(|pattern| pattern.matches(reading, &value))
}

impl Pattern {
    fn read(text: &str) -> Self {
        let inner = text.strip_prefix('*');
        let (is_open_before, text) = (inner.is_some(), inner.unwrap_or(text));
        let inner = text.strip_suffix('*');
        let (is_open_after, text) = (inner.is_some(), inner.unwrap_or(text));
        Self { text: text.to_owned(), is_open_before, is_open_after }
    }

    fn matches(&self, reading: &Reading<'_>, value: &Held) -> bool {
        match value {
            Held::Text(text) => self.is_in(reading.str(*text)),
            Held::Bool(value) => self.text == if *value { "true" } else { "false" },
            Held::Signed(number) => self.text.parse() == Ok(*number),
            _ => false,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        let (text, wanted) = (text.as_bytes(), self.text.as_bytes());
        let Some(room) = text.len().checked_sub(wanted.len()) else { return false };
        match (self.is_open_before, self.is_open_after) {
            (false, false) => room == 0 && text.eq_ignore_ascii_case(wanted),
            (false, true) => text[..wanted.len()].eq_ignore_ascii_case(wanted),
            (true, false) => text[room..].eq_ignore_ascii_case(wanted),
            (true, true) => {
                (0..=room).any(|at| text[at..at + wanted.len()].eq_ignore_ascii_case(wanted))
            }
        }
    }
}
