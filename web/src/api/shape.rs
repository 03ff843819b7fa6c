//! Shapes that more than one group of the API uses.

use std::collections::BTreeMap;

use logwarden_query::Cell;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A list; `next` asks for the next page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// What is on this page.
    pub(super) items: Vec<T>,
    /// Hand it back as `cursor` for the next page; null on the last one.
    pub(super) next: Option<String>,
}

impl<T> List<T> {
    /// A list that has one page.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// One event as searches give it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `json.rs` writes by hand")]
pub(super) struct Hit {
    /// The event's id; sorts by time.
    id: String,
    /// Its number in the journal.
    seq: u64,
    /// When it happened, RFC 3339 in UTC with as many digits as are known.
    timestamp: String,
    /// When it was received.
    observed_at: String,
    /// The configured sender.
    source: String,
    /// The kind of log.
    dataset: String,
    /// `debug`, `info`, `notice`, `warning`, `error`, `critical`, `alert` or `emergency`.
    severity: String,
    /// What happened, in words.
    message: String,
    /// Dotted path to value.
    fields: BTreeMap<String, serde_json::Value>,
}

/// One event with everything that is known of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `json.rs` writes by hand")]
pub(super) struct SingleEvent {
    /// What searches give.
    #[schema(inline)]
    #[serde(flatten)]
    hit: Hit,
    /// The record as text; what is no UTF-8 is replaced.
    raw: String,
    /// The record's bytes in base 64.
    raw_base64: String,
    /// Logsource tuples, each `product/category/service`.
    class: Vec<String>,
    /// Field to the name the sender gave it, where that differs.
    aliases: BTreeMap<String, String>,
    /// Field to the parser, or the file of a kind of source, that finds it in the record now. What the sender named
    /// itself, or what has a standard name by general knowledge, is not here.
    parsers: BTreeMap<String, String>,
}

/// How many parts of the index were read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Splits {
    /// Read to the end.
    read: usize,
    /// To be read.
    of: usize,
}

impl From<logwarden_query::Splits> for Splits {
    fn from(splits: logwarden_query::Splits) -> Self {
        Self { read: splits.read, of: splits.of }
    }
}

/// One value of a table or facet: a JSON value of its type.
#[derive(Debug)]
pub(super) struct Datum<'a>(pub(super) &'a Cell);

impl Serialize for Datum<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(value) => serializer.serialize_bool(*value),
            Cell::Integer(value) => serializer.serialize_i128(*value),
            Cell::Float(value) => serializer.serialize_f64(*value),
            Cell::String(text) => serializer.serialize_str(text),
            Cell::Ip(address) => serializer.collect_str(address),
            Cell::Timestamp(at) => serializer.collect_str(at),
        }
    }
}
