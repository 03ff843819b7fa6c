//! Query language, filter, planning, search, aggregation and tail.
//!
//! A text becomes a [`Query`] ([`parse_query`]): a [`Filter`], the one condition that searches,
//! tails and rules share, and pipes. The [`Engine`] plans it against the pieces of the index, reads
//! them within bounds of time, memory and threads, and judges every event by the filter itself, so
//! that what matches on the stream is what is found. It writes nothing.

mod aggregate;
#[cfg(test)]
mod arbitrary;
mod cell;
mod config;
mod engine;
mod error;
mod export;
mod facets;
mod filter;
mod histogram;
mod hits;
mod language;
mod lookups;
mod mask;
mod metrics;
mod patterns;
mod plan;
mod request;
mod scan;
mod search;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod values;
mod visibility;

pub use cell::Cell;
pub use config::Config;
pub use engine::Engine;
pub use error::QueryError;
pub use export::{ExportAnswer, ExportRequest};
pub use facets::{Facet, FacetsAnswer, FacetsRequest, FieldInfo};
pub use filter::{
    Comparison, Filter, Number, PatternError, Predicate, REGEX_SIZE_BYTES_MAX, Target, Test,
    WIDE_REPETITION_MAX,
};
pub use histogram::{Bucket, Cut, HistogramAnswer, HistogramRequest};
pub use language::{
    Aggregate, CLAUSES_MAX, Figure, Function, GroupBy, NESTING_MAX, Pipe, QUERY_BYTES_MAX, Query,
    RowOrder, SortKey, SyntaxError, TimeError, closest, parse_query, parse_time,
};
pub use logwarden_index::{
    POLICIES_MAX as RETENTION_POLICIES_MAX, Policy as RetentionPolicy, RetentionPreview,
};
pub use lookups::{ContextAnswer, ContextRequest};
pub use mask::{HIDDEN, HiddenWords, Mask, MaskError};
pub use request::{Control, Coverage, Progress, Splits, time_range};
pub use search::{SearchAnswer, SearchRequest};
pub use table::{Column, Table};
pub use tail::{Tail, TailItem};
pub use visibility::Visibility;
