//! What can go wrong, by what the caller does about it.

use logwarden_event::Position;
use logwarden_store::{CatalogError, JournalError};

/// Why the index cannot serve.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// The checkpoint was made with another journal; somebody must decide what holds.
    #[error(
        "checkpoint {position} belongs to journal {expected}, but the journal here is {found}: \
         restore the journal that belongs to this catalog"
    )]
    ForeignJournal {
        /// The journal of the checkpoint.
        expected: String,
        /// The journal that is here.
        found: String,
        /// Where the checkpoint stands.
        position: Position,
    },
    /// The journal ends before the checkpoint: it lost what was indexed already.
    #[error("journal ends at {end}, before checkpoint {position}: it is older than this catalog")]
    JournalBehind {
        /// The journal's end.
        end: Position,
        /// Where the checkpoint stands.
        position: Position,
    },
    /// Another one moved the checkpoint; this index must not go on.
    #[error("another indexer moved the checkpoint from {expected:?} to {found:?}")]
    Stale {
        /// Where it should have stood.
        expected: Option<Position>,
        /// Where it stands.
        found: Option<Position>,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A split cannot be built, stored or read; an answer without it is incomplete.
    #[error("split `{name}` is unreadable: {reason}")]
    Split {
        /// The split.
        name: String,
        /// Why, in words.
        reason: String,
    },
}
