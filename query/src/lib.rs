//! Query language, filter, planning, search, aggregation and tail.

#[cfg(test)]
mod arbitrary;
mod filter;
mod language;

pub use filter::{
    Comparison, Filter, PatternError, Predicate, REGEX_SIZE_BYTES_MAX, Target, Test,
    WIDE_REPETITION_MAX,
};
pub use language::{
    Aggregate, CLAUSES_MAX, Figure, Function, GroupBy, NESTING_MAX, Pipe, QUERY_BYTES_MAX, Query,
    RowOrder, SortKey, SyntaxError, TimeError, parse_query, parse_time,
};
