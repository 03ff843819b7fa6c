//! The one condition on an event: what searches, tails and rules all come down to.
//!
//! For every filter and event, [`Filter::matches`] on the stream equals being found by the index.
//! What a value is as text is what it displays as; case is ignored by comparing the lower-case
//! forms that [`str::to_lowercase`] gives, as the index does.

mod matching;
mod number;
mod pattern;
mod text;
mod words;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use logwarden_event::{Event, Severity, TimePart, Timestamp};
use regex::Regex;

pub(crate) use matching::{Subject, number_of, number_of_text};
pub use number::Number;
pub(crate) use pattern::like_expression;
pub use pattern::{PatternError, REGEX_SIZE_BYTES_MAX, WIDE_REPETITION_MAX};
pub(crate) use text::{lower, with_text};

/// A condition on one event.
///
/// Matching, printing and dropping recurse once per level; the parser builds at most a few hundred
/// levels, other builders must bound theirs.
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
///
/// A message, dataset or source that is empty counts as absent; an empty field does not.
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
    /// The first of these fields that has a value other than null: how a rule's name resolves on an
    /// event.
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

/// What must hold for a value. Case is ignored (full Unicode lower-casing) unless `cased`. Null
/// passes no test.
#[derive(Debug, Clone)]
pub enum Test {
    /// There is a value that is not null.
    Exists,
    /// The field is absent or null (Sigma's `null`): the opposite of [`Test::Exists`].
    IsNull,
    /// The field is there, also when it is null, empty or has only fields below it (Sigma's `exists`).
    Present,
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
    /// The whole value as text is like this pattern: `*` any run, `?` any one character. Made by
    /// [`Test::like`].
    Like {
        /// Compiled from the pattern, anchored.
        regex: Arc<Regex>,
        /// As it was written.
        pattern: String,
        /// Letters must agree in case; otherwise the expression sees the value in lower case.
        cased: bool,
    },
    /// The expression is found anywhere in the value as text. Made by [`Test::regex`] when a person
    /// wrote it.
    Regex(Arc<Regex>),
    /// The address lies in one of these networks. Text that reads as an address counts.
    Network(Vec<IpNet>),
    /// The address is this one. Text that reads as an address counts.
    Address(IpAddr),
    /// The number compares so. Text that reads as a number counts.
    Number(Comparison, Number),
    /// The time compares so. Text in RFC 3339 counts.
    Time(Comparison, Timestamp),
    /// A part of the time (UTC) compares so with this number; `None`: it is this number. Text in RFC
    /// 3339 counts.
    TimePart(TimePart, Option<Comparison>, i64),
    /// The value as text, in lower case, compares so with this text in lower case.
    Text(Comparison, String),
    /// The value as text is that of another field (Sigma's `fieldref`).
    SameAs {
        /// The other field.
        name: String,
        /// Letters must agree in case.
        cased: bool,
    },
    /// One and the same value passes each of these tests: how ranges are said.
    Each(Vec<Test>),
}

impl Filter {
    /// Whether `event` satisfies the condition.
    pub fn matches(&self, event: &Event) -> bool {
        self.holds(event)
    }

    /// The condition that `target` passes `test`.
    pub fn is(target: Target, test: Test) -> Self {
        Self::Is(Predicate { target, test })
    }

    /// Both conditions.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// The opposite condition.
    pub fn negated(self) -> Self {
        match self {
            Self::All => Self::Nothing,
            Self::Nothing => Self::All,
            Self::Not(filter) => *filter,
            filter => Self::Not(Box::new(filter)),
        }
    }

    /// The condition that the severity compares so with `severity`.
    pub fn severity(comparison: Comparison, severity: Severity) -> Self {
        let is = |severity: &Severity| {
            let text = severity.name().to_owned();
            Self::is(Target::Severity, Test::Equals { text, cased: false })
        };
        let passing = Severity::ALL.iter().filter(|other| comparison.holds(*other, &severity));
        match passing.collect::<Vec<_>>().as_slice() {
            [] => Self::Nothing,
            [one] => is(one),
            several => Self::Or(several.iter().map(|severity| is(severity)).collect()),
        }
    }

    /// Whether any predicate in it satisfies `wanted`.
    pub fn any_predicate(&self, wanted: &mut dyn FnMut(&Predicate) -> bool) -> bool {
        match self {
            Self::All | Self::Nothing => false,
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().any(|filter| filter.any_predicate(wanted))
            }
            Self::Not(filter) => filter.any_predicate(wanted),
            Self::Is(predicate) => wanted(predicate),
        }
    }
}

impl Predicate {
    /// Whether any value of the target passes the test.
    pub fn matches(&self, event: &Event) -> bool {
        self.holds(event)
    }
}

impl Target {
    /// What a name in a query means: our own attributes by their names, anything else a field.
    pub fn of_name(name: &str) -> Self {
        match name {
            "message" => Self::Message,
            "severity" => Self::Severity,
            "dataset" => Self::Dataset,
            "timestamp" => Self::Timestamp,
            "lw.source" => Self::Source,
            "lw.seq" => Self::Seq,
            "lw.observed_at" => Self::ObservedAt,
            "lw.class" => Self::Class,
            other => Self::Field(other.to_owned()),
        }
    }

    /// The name in a query; `None` for the whole record and for several fields.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Record | Self::FirstOf(_) => None,
            Self::Message => Some("message"),
            Self::Severity => Some("severity"),
            Self::Dataset => Some("dataset"),
            Self::Timestamp => Some("timestamp"),
            Self::Source => Some("lw.source"),
            Self::Seq => Some("lw.seq"),
            Self::ObservedAt => Some("lw.observed_at"),
            Self::Class => Some("lw.class"),
            Self::Field(name) => Some(name),
        }
    }
}

impl Target {
    /// The name by which the index counts its values; `None`: it does not.
    pub(crate) fn counted_name(&self) -> Option<&str> {
        match self {
            Self::Severity => Some("severity"),
            Self::Dataset => Some("dataset"),
            Self::Source => Some("lw.source"),
            // A field of that name is not the part of the event.
            Self::Field(name) if ["severity", "dataset", "lw.source"].contains(&name.as_str()) => {
                None
            }
            Self::Field(name) => Some(name),
            _ => None,
        }
    }
}

impl Comparison {
    /// Whether `left` compares so with `right`.
    pub fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
        }
    }

    /// The sign in a query.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
        }
    }
}
