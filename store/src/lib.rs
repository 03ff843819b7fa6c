//! Everything durable: journal, blobs, catalog, identity, secrets.
//!
//! Three doors, each with an embedded and a simulated form, shaped so that a clustered form is one
//! more implementation: [`Journal`] (the ordered log of records), [`Blobs`] (immutable files) and
//! [`Catalog`] (small records with transactions). This crate knows neither alerts nor queries.

pub mod blobs;
pub mod catalog;
pub mod journal;

use std::sync::Arc;

use logwarden_event::Clock;

pub use blobs::{BlobError, Blobs};
pub use catalog::{
    Catalog, CatalogError, Checkpoint, Migration, Row, SqlValue, Statement, Step, StepOutcome,
};
pub use journal::{
    Append, AppendOutcome, Chunk, Draft, IdempotencyKey, Journal, JournalError, Receipt, Record,
    RecordKind,
};

/// The doors a role works through.
#[derive(Clone)]
pub struct Store {
    /// The ordered, durable log of records.
    pub journal: Arc<dyn Journal>,
    /// Immutable files.
    pub blobs: Arc<dyn Blobs>,
    /// Small records with transactions.
    pub catalog: Arc<dyn Catalog>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}
