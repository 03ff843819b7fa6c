//! The one condition on an event: what searches, tails and rules all come down to.
//!
//! For every filter and event, [`Filter::matches`] on the stream equals being found by the index.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use logwarden_event::{Event, Timestamp};
use regex::Regex;

/// A condition on one event.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Every event.
    All,
    /// No event.
    Nothing,
    /// Each of them holds; none: every event.
    And(Vec<Filter>),
    /// Any of them holds; none: no event.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// One field passes one test.
    Is(Predicate),
}

/// A test on a part of an event. It holds when any value of the target passes.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// What is looked at.
    pub target: Target,
    /// What must hold.
    pub test: Test,
}

/// The part of an event that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `message` and every field value.
    Record,
    /// The message.
    Message,
    /// The severity, by name.
    Severity,
    /// The dataset.
    Dataset,
    /// When it happened.
    Timestamp,
    /// `lw.source`.
    Source,
    /// `lw.seq`.
    Seq,
    /// `lw.observed_at`.
    ObservedAt,
    /// `lw.class`: each tuple as `product/category/service`.
    Class,
    /// A field, by either of its names.
    Field(String),
    /// The first of these fields that is present: how a rule's name resolves on an event.
    FirstOf(Vec<String>),
}

/// How a number, a time or a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

/// What must hold for a value. Case is ignored (full Unicode lower-casing) unless `cased`.
#[derive(Debug, Clone)]
pub enum Test {
    /// There is a value that is not null.
    Exists,
    /// The field is absent or null (Sigma's `null`).
    IsNull,
    /// The words stand side by side, in order, as `logwarden_event::words` gives them. At least one.
    Words(Vec<String>),
    /// A word begins so; the words before it stand before it, side by side.
    WordsThenPrefix(Vec<String>, String),
    /// The whole value as text; numbers also by number, addresses also by address.
    Equals {
        /// The text.
        text: String,
        /// Letters must agree in case.
        cased: bool,
    },
    /// The value as text begins so.
    StartsWith {
        /// The beginning.
        text: String,
        /// Letters must agree in case.
        cased: bool,
    },
    /// The value as text ends so.
    EndsWith {
        /// The end.
        text: String,
        /// Letters must agree in case.
        cased: bool,
    },
    /// The value as text contains this.
    Contains {
        /// The part.
        text: String,
        /// Letters must agree in case.
        cased: bool,
    },
    /// The whole value as text is like this pattern: `*` any run, `?` any one character.
    Like {
        /// Compiled from the pattern, anchored.
        regex: Arc<Regex>,
        /// As it was written.
        pattern: String,
    },
    /// The expression is found anywhere in the value as text.
    Regex(Arc<Regex>),
    /// The address lies in one of these networks.
    Network(Vec<IpNet>),
    /// The address is this one.
    Address(IpAddr),
    /// The number compares so. Text that reads as a number counts.
    Number(Comparison, f64),
    /// The time compares so.
    Time(Comparison, Timestamp),
    /// The value as text, in lower case, compares so with this text in lower case.
    Text(Comparison, String),
    /// The value as text is that of another field (Sigma's `fieldref`).
    SameAs(String),
}

impl Filter {
    /// Whether `event` satisfies the condition.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::And(filters) => filters.iter().all(|filter| filter.matches(event)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(event)),
            Self::Not(filter) => !filter.matches(event),
            Self::Is(predicate) => predicate.matches(event),
        }
    }
}

impl Predicate {
    /// Whether any value of the target passes the test.
    pub fn matches(&self, _event: &Event) -> bool {
        false
    }
}
