//! Head and splits: what makes events searchable.
//!
//! [`Index::run`] follows the journal from its checkpoint, keeps the newest events in a searchable
//! head in memory, and publishes splits: immutable blobs with a catalog row, in one transaction with
//! the checkpoint. [`Index::snapshot`] gives one consistent view of both. What comes out of a piece
//! is a superset of the answer: the caller verifies each event with its own filter.

mod lookup;
mod piece;
mod scan;

mod config;
mod error;
mod metrics;

mod index;
mod indexer;

mod head;

mod split;

mod builder;
mod bundle;
mod candidates;
mod columns;
mod columnstore;
mod rowset;
mod wordindex;

mod cache;
mod damage;
mod expire;
mod merge;
mod publish;
mod reader;
mod rebuild;
mod retention;
mod rows;

pub use config::Config;
pub use error::IndexError;
pub use expire::{RetentionPreview, RetentionView};
pub use index::{Index, Snapshot};
pub use lookup::{Lookup, TextCondition};
pub use piece::{Counted, FieldStat, GroupPart, Grouped, Piece, StringCounts, UnreadableSplit};
pub use retention::{Due, POLICIES_MAX, Policy, Reason, Refusal};

#[cfg(test)]
mod tests;
