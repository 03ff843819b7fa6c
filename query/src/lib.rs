//! Query language, filter, planning, search, aggregation and tail.

mod filter;

pub use filter::{Comparison, Filter, Predicate, Target, Test};
