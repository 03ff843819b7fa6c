//! Why a query is refused, and where.

use std::fmt;

use nom::error::{ErrorKind, ParseError};

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {offset}{}", Expected(expected))]
pub struct SyntaxError {
    /// Where, in characters from the beginning.
    pub offset: usize,
    /// What is wrong there, in words.
    pub message: String,
    /// What could stand there instead.
    pub expected: Vec<String>,
}

struct Expected<'a>(&'a [String]);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", expected {}", self.0.join(" or "))
    }
}

/// What the parsers pass along: like [`SyntaxError`], by the bytes that were left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    rest_bytes: usize,
    message: String,
    expected: Vec<String>,
}

impl Failure {
    /// A failure at the beginning of `rest`.
    pub(super) fn at(rest: &str, message: impl Into<String>, expected: &[&str]) -> Self {
        let expected = expected.iter().map(ToString::to_string).collect();
        Self { rest_bytes: rest.len(), message: message.into(), expected }
    }

    /// The same as a result that ends parsing.
    pub(super) fn fatal(
        rest: &str,
        message: impl Into<String>,
        expected: &[&str],
    ) -> nom::Err<Self> {
        nom::Err::Failure(Self::at(rest, message, expected))
    }

    pub(super) fn from_nom(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(failure) | nom::Err::Failure(failure) => failure,
            nom::Err::Incomplete(_) => Self::at("", "the query ends early", &[]),
        }
    }

    pub(super) fn into_syntax_error(self, text: &str) -> SyntaxError {
        let bytes = text.len().saturating_sub(self.rest_bytes);
        let offset = text.get(..bytes).map_or(0, |before| before.chars().count());
        SyntaxError { offset, message: self.message, expected: self.expected }
    }
}

impl ParseError<&str> for Failure {
    fn from_error_kind(rest: &str, _kind: ErrorKind) -> Self {
        let message = match rest.chars().next() {
            None => "the query ends early".to_owned(),
            Some(found) => format!("`{}` cannot stand here", found.escape_debug()),
        };
        Self::at(rest, message, &[])
    }

    fn append(_rest: &str, _kind: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The name in `known` that `text` is most likely meant to be.
pub fn closest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let distances = known.iter().map(|name| (distance(&text, name), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() / 2).max(1)).then_some(name)
}

/// Letters to add, leave out or replace (Levenshtein). Both are short names.
fn distance(text: &str, name: &str) -> usize {
    const LETTERS_MAX: usize = 40;
    let letters: Vec<char> = text.chars().take(LETTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=letters.len()).collect();
    for (line, wanted) in name.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, found) in letters.iter().enumerate() {
            let replaced = diagonal + usize::from(*found != wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[letters.len()]
}
