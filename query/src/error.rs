//! What can go wrong with a query, by what the caller does about it.

use logwarden_index::IndexError;

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The request itself is wrong; asking again does not help.
    #[error("{0}")]
    Invalid(String),
    /// It needs more than one query may take.
    #[error("the query is too expensive: {hint}")]
    TooExpensive {
        /// What to do about it.
        hint: String,
    },
    /// Whoever asked went away.
    #[error("the query was cancelled")]
    Cancelled,
    /// No event has this id, or none that may be seen.
    #[error("there is no such event")]
    NotFound,
    /// As much runs as may run; later it may work.
    #[error("{0}")]
    Busy(String),
    /// The index cannot serve at all.
    #[error("the index cannot be read: {0}")]
    Index(#[from] IndexError),
    /// A defect of ours; the log has its place.
    #[error("the query failed inside")]
    Internal,
}

impl QueryError {
    pub(crate) fn too_expensive(hint: impl Into<String>) -> Self {
        Self::TooExpensive { hint: hint.into() }
    }
}
