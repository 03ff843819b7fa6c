//! Blobs: immutable files under names that are never used twice.

mod blocks;
pub(crate) mod chunks;
pub(crate) mod local;
pub(crate) mod remote;

use std::io::Read;
use std::ops::Range;

use bytes::Bytes;

/// Why a blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is none of this name.
    #[error("blob `{0}` does not exist")]
    NotFound(String),
    /// The name was used before; names are never reused.
    #[error("blob `{0}` exists already")]
    Exists(String),
    /// A block's checksum is wrong.
    #[error("blob `{name}` is damaged at byte {offset}")]
    Damaged {
        /// Whose block it is.
        name: String,
        /// Where the block begins.
        offset: u64,
    },
    /// No room.
    #[error("no room for blob `{0}`")]
    Full(String),
    /// The server does not answer, or answers that it cannot serve: nothing is known about the blob.
    #[error("blob `{name}` cannot be had now: {reason}")]
    Unavailable {
        /// Which one.
        name: String,
        /// What happened, in words.
        reason: String,
    },
    /// The server refuses: it does not know us, or does not let us.
    #[error("blob `{name}` is denied to us: {reason}")]
    Denied {
        /// Which one.
        name: String,
        /// The server's reason.
        reason: String,
    },
    /// The disk or the network failed.
    #[error("blob `{name}` cannot be read or written: {reason}")]
    Io {
        /// Which one.
        name: String,
        /// The error underneath.
        reason: String,
    },
}

/// Immutable files. All calls block; call them off the async threads.
pub trait Blobs: Send + Sync {
    /// Stores `content` under a new name (letters, digits, `-`, `.` and `/`), durably: file, then
    /// directory. After an error the name may be taken but is never half readable.
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError>;

    /// Bytes `range` of the content, checked against the checksums of the blocks they lie in.
    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError>;

    /// Length of the content in bytes.
    fn size_bytes(&self, name: &str) -> Result<u64, BlobError>;

    /// All names that begin with `prefix`, in order.
    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError>;

    /// Removes a blob; one that does not exist counts as removed.
    fn delete(&self, name: &str) -> Result<(), BlobError>;

    /// Removes a damaged blob, but keeps its bytes where somebody can look at them; one that does not
    /// exist counts as removed.
    fn put_aside(&self, name: &str) -> Result<(), BlobError>;
}
