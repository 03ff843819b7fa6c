//! Query language, filter, planning, search, aggregation and tail.

mod filter;

pub use filter::{
    Comparison, Filter, PatternError, Predicate, REGEX_SIZE_BYTES_MAX, Target, Test,
    WIDE_REPETITION_MAX,
};
