//! Values that outlive their event: in the rows of a table, and as keys to sort by.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::net::IpAddr;

use logwarden_event::{Timestamp, Value};
use serde::{Deserialize, Serialize};

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number.
    Float(f64),
    /// Text.
    String(String),
    /// An address.
    Ip(IpAddr),
    /// An instant.
    Timestamp(Timestamp),
}

impl Cell {
    /// The same as a borrowed value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Float(value) => Value::Float(*value),
            Self::String(value) => Value::String(value),
            Self::Ip(value) => Value::Ip(*value),
            Self::Timestamp(value) => Value::Timestamp(*value),
        }
    }

    /// Bytes it takes in memory, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::String(text) => size_of::<Self>() + text.len(),
            _ => size_of::<Self>(),
        }
    }
}

impl From<Value<'_>> for Cell {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Float(value) => Self::Float(value),
            Value::String(value) | Value::Json(value) => Self::String(value.to_owned()),
            Value::Ip(value) => Self::Ip(value),
            Value::Timestamp(value) => Self::Timestamp(value),
        }
    }
}

/// As text, as [`Value`] displays.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// A value's place in an order: numbers by size, then times, addresses, and texts by letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Rank {
    /// A number.
    Number(f64),
    /// Nanoseconds.
    Time(i64),
    /// IPv4 before IPv6.
    Address(IpAddr),
    /// Any other text.
    Text(String),
}

impl Rank {
    /// The rank of a value; null has none.
    pub(crate) fn of(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Integer(number) => Self::Number(number as f64),
            Value::Float(number) => Self::Number(number),
            Value::Timestamp(time) => Self::Time(time.nanos()),
            Value::Ip(address) => Self::Address(address),
            Value::Bool(value) => Self::Text(value.to_string()),
            Value::String(text) | Value::Json(text) => Self::Text(text.to_owned()),
        })
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Time(_) => 1,
            Self::Address(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Time(one), Self::Time(other)) => one.cmp(other),
            (Self::Address(one), Self::Address(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.kind().cmp(&other.kind()),
        }
    }
}

/// A rank in the direction that is asked for; what has none comes last in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Directed {
    /// The least first.
    Ascending(Rank),
    /// The greatest first.
    Descending(Reverse<Rank>),
    /// No value.
    Missing,
}

impl Directed {
    /// The rank of a value in this direction.
    pub(crate) fn of(value: Value<'_>, is_descending: bool) -> Self {
        match Rank::of(value) {
            None => Self::Missing,
            Some(rank) if is_descending => Self::Descending(Reverse(rank)),
            Some(rank) => Self::Ascending(rank),
        }
    }
}
