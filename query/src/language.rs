//! The query language: text in, a [`Query`] out.
//!
//! A query is a condition and, behind `|`, what is done with the events that satisfy it; the manual
//! is `docs/QUERY.md`. Length and nesting are bounded by a linear look before anything recursive
//! sees the text, so that no query can exhaust the stack, neither here nor when its filter is
//! matched or dropped. A query that is refused says where and what was expected there.

mod condition;
mod error;
mod limits;
mod pipe;
mod print;
mod term;
mod time;
mod token;

use std::time::Duration;

use logwarden_event::Timestamp;

use crate::filter::Filter;

pub use error::{SyntaxError, closest};
pub use limits::{CLAUSES_MAX, NESTING_MAX, QUERY_BYTES_MAX};
pub use time::{TimeError, parse_time};

/// A condition and what is done with the events that satisfy it.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// What is done with them, in order. Filters, then at most one sort, head and choice of fields;
    /// or filters, an aggregation, and then steps on its rows.
    pub pipes: Vec<Pipe>,
}

/// One step behind a `|`.
#[derive(Debug, Clone)]
pub enum Pipe {
    /// Keeps the events or rows that satisfy a condition.
    Where(Filter),
    /// Makes rows out of events: `stats`, `top`, `rare`, `timechart`.
    Aggregate(Aggregate),
    /// Makes rows out of events: one per pattern of their messages.
    Patterns,
    /// Orders by these, the first one first.
    Sort(Vec<SortKey>),
    /// Keeps the first so many.
    Head(usize),
    /// Keeps these fields or columns.
    Fields(Vec<String>),
}

impl Pipe {
    /// Whether it makes rows out of events.
    pub(crate) fn makes_rows(&self) -> bool {
        matches!(self, Self::Aggregate(_) | Self::Patterns)
    }
}

/// Rows made out of events: one per group, groups first, then figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// What is computed for each group; at least one.
    pub figures: Vec<Figure>,
    /// What makes a group; none: all events are one.
    pub by: Vec<GroupBy>,
    /// How rows are ordered before any `sort`.
    pub order: RowOrder,
    /// Rows kept, of `top` and `rare`.
    pub limit: Option<usize>,
}

/// How the rows of an aggregation are ordered. Equal ones are ordered by their groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// By the first figure, the greatest first.
    GreatestFirst,
    /// By the first figure, the smallest first.
    SmallestFirst,
    /// By the groups.
    Groups,
}

/// What makes a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// The value of a field; each item of an array counts in its own group, and an event without
    /// the field in the group of null.
    Field(String),
    /// The span of this length that the event's time lies in; spans begin at the Unix epoch.
    Bin(Duration),
}

/// One figure of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// How it is computed.
    pub function: Function,
    /// Of which field; `None` only for `count()`.
    pub field: Option<String>,
    /// The name of its column.
    pub name: String,
}

/// How a figure is computed. All are exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Events, or events that have a value.
    Count,
    /// Different values.
    CountDistinct,
    /// The sum of the values that are numbers.
    Sum,
    /// Their mean.
    Avg,
    /// The least value: of numbers and times by size, of texts by letters.
    Min,
    /// The greatest value.
    Max,
    /// The value that this share (0 to 100) of the numbers does not exceed (nearest rank).
    Percentile(f64),
}

/// One key to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// A field or column.
    pub name: String,
    /// The greatest first.
    pub is_descending: bool,
}

impl SortKey {
    /// Reads `field` or `-field`.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(name) => Self { name: name.to_owned(), is_descending: true },
            None => {
                let name = text.strip_prefix('+').unwrap_or(text).to_owned();
                Self { name, is_descending: false }
            }
        }
    }
}

impl Query {
    /// The query that finds every event.
    pub const fn all() -> Self {
        Self { filter: Filter::All, pipes: Vec::new() }
    }
}

/// Reads a query; relative times count from `now`. An empty text finds every event.
///
/// # Errors
///
/// [`SyntaxError`] with the place and what was expected there.
pub fn parse_query(text: &str, now: Timestamp) -> Result<Query, SyntaxError> {
    limits::check(text)?;
    let parsed = parse_whole(text, now);
    parsed.map_err(|failure| failure.into_syntax_error(text))
}

fn parse_whole(text: &str, now: Timestamp) -> Result<Query, error::Failure> {
    let grammar = condition::Grammar::new(now);
    let (rest, filter) = grammar.whole_condition(text).map_err(error::Failure::from_nom)?;
    let (rest, pipes) = pipe::pipes(&grammar, rest).map_err(error::Failure::from_nom)?;
    if rest.is_empty() {
        return Ok(Query { filter, pipes });
    }
    Err(error::Failure::at(rest, "this closes nothing", &["a condition", "`|`"]))
}

#[cfg(test)]
mod tests;
