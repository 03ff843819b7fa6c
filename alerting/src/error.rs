//! What can go wrong at this crate's boundary.

use logwarden_store::CatalogError;

/// Why alerting cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// There is no alert or notifier of this id.
    #[error("there is none of this id")]
    NotFound,
    /// The thing's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// What was handed in breaks a bound or is empty.
    #[error("{0}")]
    Invalid(String),
    /// The cursor is none that a list gave out.
    #[error("cursor is not one that this list gave out")]
    Cursor,
    /// The configuration cannot be used.
    #[error("{path}: {message}")]
    Config {
        /// Where it stands, such as `notifiers[2].url`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The checkpoint belongs to another journal: the journal was replaced, somebody must decide.
    #[error("the detector's checkpoint belongs to another journal")]
    ForeignJournal,
    /// The catalog cannot serve; trying again later may help.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// What somebody sees of alerts cannot be told at the moment; trying again later may help.
    #[error("events of alerts cannot be read: {0}")]
    Evidence(String),
    /// A rule file cannot be written or removed.
    #[error("rule file cannot be written: {0}")]
    Unwritable(String),
    /// A row of ours cannot be read.
    #[error("catalog holds what this release cannot read: {0}")]
    Damaged(String),
}

impl AlertingError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    pub(crate) fn config(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { path: path.into(), message: message.into() }
    }
}
