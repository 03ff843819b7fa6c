//! Query language, filter, planning, search, aggregation and tail.
