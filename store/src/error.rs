//! Why a data directory cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::CatalogError;

/// Why a data directory cannot be opened. Nothing in it was changed, unless recovery had begun.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works with it.
    #[error("data directory `{0}` is in use by another process")]
    Locked(PathBuf),
    /// Others may read it; `chmod o-rwx` helps.
    #[error("`{path}` of the data directory has mode {mode:o}, others may read it")]
    Readable {
        /// The directory, or a file in it.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A newer release wrote it.
    #[error("`{path}` has format {found}, this release reads up to {known}; use the newer release")]
    TooNew {
        /// The file.
        path: String,
        /// The oldest format that can read it.
        found: u16,
        /// The newest format known here.
        known: u16,
    },
    /// A segment is damaged and `on_corruption` says to refuse.
    #[error("segment `{path}` is damaged at byte {offset}, records {from} to {to} are lost")]
    Damaged {
        /// The segment.
        path: String,
        /// Where the damage begins.
        offset: u64,
        /// The first record missing.
        from: u64,
        /// The last record missing.
        to: u64,
    },
    /// The journal is not the one the checkpoints were made with, or an older copy of it.
    #[error(
        "checkpoint of `{consumer}` at {position} does not belong to this journal, which ends \
             at {end}"
    )]
    ForeignJournal {
        /// Whose checkpoint.
        consumer: String,
        /// Where it stands.
        position: u64,
        /// Where the journal ends.
        end: u64,
    },
    /// What the catalog knew of records that the journal has let go is not in it: it is missing, or an
    /// older copy. Opening it would give up every split that only it knew.
    #[error(
        "the journal begins at {start}, the catalog knows of records before {known} only; restore \
         `catalog.db`, or set `on_foreign_journal = \"accept\"` to go on without the rest"
    )]
    CatalogBehind {
        /// The first record of the journal.
        start: u64,
        /// Up to where the consumer that is furthest behind has got, by the catalog.
        known: u64,
    },
    /// The bucket for the blobs cannot be used.
    #[error("blobs cannot be used: {0}")]
    Blobs(String),
    /// The disk failed.
    #[error("`{path}` cannot be read or written: {error}")]
    Io {
        /// The file or directory.
        path: String,
        /// The error underneath.
        error: io::Error,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::io_at(&path.display().to_string(), error)
    }

    pub(crate) fn io_at(path: &str, error: &io::Error) -> Self {
        // An `io::Error` cannot be cloned; its kind and words can.
        let error = error.raw_os_error().map_or_else(
            || io::Error::new(error.kind(), error.to_string()),
            io::Error::from_raw_os_error,
        );
        Self::Io { path: path.to_owned(), error }
    }
}
