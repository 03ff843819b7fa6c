//! What a piece of the index can be asked for: a cheap superset of a filter.

use std::ops::Bound;

/// A condition the index can narrow by. Every event that satisfies it is found; a piece may give
/// more events (never fewer), unless it says that its answer is exact.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Every event.
    All,
    /// No event.
    Nothing,
    /// Events that satisfy each.
    And(Vec<Lookup>),
    /// Events that satisfy any.
    Or(Vec<Lookup>),
    /// Events that do not satisfy it. Exact only where the inner one is exact.
    Not(Box<Lookup>),
    /// The word (as `logwarden_event::words` gives it) stands in the message or, without a `field`,
    /// in any value.
    Word {
        /// `message`, or `None` for the whole record.
        field: Option<&'static str>,
        /// One word.
        word: String,
    },
    /// A word that begins so, in the message or anywhere.
    WordPrefix {
        /// `message`, or `None` for the whole record.
        field: Option<&'static str>,
        /// The beginning, in lower case.
        prefix: String,
    },
    /// The field, by either of its names, has a value that is this text in lower case.
    Value {
        /// A dotted path, or `dataset`, `severity`, `lw.source`.
        field: String,
        /// The whole value as text, in lower case.
        value: String,
    },
    /// The field has a value that begins so.
    ValuePrefix {
        /// A dotted path, or `dataset`, `severity`, `lw.source`.
        field: String,
        /// The beginning, in lower case.
        prefix: String,
    },
    /// The field has a number in this range.
    Number {
        /// A dotted path.
        field: String,
        /// Lower bound.
        from: Bound<f64>,
        /// Upper bound.
        to: Bound<f64>,
    },
    /// The field has any value but null.
    Exists {
        /// A dotted path.
        field: String,
    },
    /// Events with these numbers in their lane.
    Seq {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}
