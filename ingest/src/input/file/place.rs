//! Where we are in a file, and by what it is known again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// First bytes by which a file is known.
const HEAD_BYTES_MAX: u64 = 1_024;
/// Bytes before our position by which it is known.
const TAIL_BYTES_MAX: u64 = 256;

/// Some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Print {
    bytes: u64,
    hash: [u8; 16],
}

/// A batch under way: up to where it goes, and the key it has in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) nonce: [u8; 16],
    pub(super) end: u64,
    pub(super) tail: Print,
}

/// Where we are in a file. What lies before [`Place::done`] is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Device and inode.
    pub(super) inode: (u64, u64),
    /// The name it was last seen under.
    pub(super) name: String,
    pub(super) head: Print,
    pub(super) tail: Print,
    pub(super) done: u64,
    pub(super) pending: Option<Intent>,
    /// When this was written, in nanoseconds since the epoch.
    pub(super) saved_at: i64,
}

impl Place {
    /// The beginning of a file.
    pub(super) fn begin(inode: (u64, u64), name: String) -> Self {
        let (head, tail) = (Print::default(), Print::default());
        Self { inode, name, head, tail, done: 0, pending: None, saved_at: 0 }
    }

    /// Whether `file` still holds what was read.
    pub(super) fn is_in(&self, file: &File, size: u64) -> io::Result<bool> {
        Ok(size >= self.done
            && print_at(file, 0, self.head.bytes)? == self.head
            && print_at(file, self.done - self.tail.bytes, self.tail.bytes)? == self.tail)
    }
}

/// The first bytes of what was read up to `end`.
pub(super) fn head(file: &File, end: u64) -> io::Result<Print> {
    print_at(file, 0, end.min(HEAD_BYTES_MAX))
}

/// The bytes before `end`.
pub(super) fn tail(file: &File, end: u64) -> io::Result<Print> {
    let bytes = end.min(TAIL_BYTES_MAX);
    print_at(file, end - bytes, bytes)
}

fn print_at(file: &File, offset: u64, bytes: u64) -> io::Result<Print> {
    if bytes == 0 {
        return Ok(Print::default());
    }
    let mut buffer = vec![0; usize::try_from(bytes.min(HEAD_BYTES_MAX)).unwrap_or_default()];
    match file.read_exact_at(&mut buffer, offset) {
        Ok(()) => {}
        // It was cut short meanwhile: these are no bytes of ours.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Print::default()),
        Err(error) => return Err(error),
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(&buffer)[..16]);
    Ok(Print { bytes, hash })
}
