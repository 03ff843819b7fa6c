//! The disk as the journal and the blobs see it: files, directories, syncs. Private to the store.
//!
//! Two forms: [`real::RealDisk`], one directory of the machine, and [`simulated::SimulatedDisk`],
//! which loses, tears and refuses by seed. What is promised is what POSIX promises: written bytes
//! are durable after [`DiskFile::sync`], names after [`Disk::sync_dir`] of their directory.

pub(crate) mod real;
pub(crate) mod simulated;

use std::io;
use std::sync::Arc;

/// The unit in which a disk loses or keeps bytes.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// Room on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Its size.
    pub(crate) total_bytes: u64,
    /// What we may still take of it.
    pub(crate) free_bytes: u64,
}

/// A directory tree. Paths are relative, separated by `/`, without `.` and `..`.
pub(crate) trait Disk: Send + Sync {
    /// Makes a directory and those above it; one that exists is fine.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Names of the files right in a directory, in order.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Paths of all files in and under a directory, in order.
    fn list_all(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes an empty file under a name that is not taken.
    fn create_new(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a file of `size_bytes` zeros under a name that is not taken; not synced. What an error
    /// leaves behind is the caller's to remove.
    fn create_zeroed(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.create_new(path)?;
        fill_with(&vec![0; ZEROS_BYTES.min(size_bytes as usize)], &*file, size_bytes)?;
        Ok(file)
    }
    /// Opens a file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name; what has that name is replaced in the same instant.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Room on the volume.
    fn volume(&self) -> io::Result<Volume>;
    /// Bytes that all files in and under the root take.
    fn used_bytes(&self) -> io::Result<u64>;
}

/// An open file. It stays readable after it was removed.
pub(crate) trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// An early end is [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, extending the file as needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Takes room for `size_bytes`, whatever they hold.
    fn allocate(&self, size_bytes: u64) -> io::Result<()>;
    /// Makes what was written durable. After an error nobody knows what is.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// Zeros written at once.
const ZEROS_BYTES: usize = 256 * 1024;

/// Fills a file with `zeros`, again and again.
fn fill_with(zeros: &[u8], file: &dyn DiskFile, size_bytes: u64) -> io::Result<()> {
    let mut offset = 0;
    while offset < size_bytes {
        let len = (size_bytes - offset).min(zeros.len() as u64);
        file.write_all_at(&zeros[..len as usize], offset)?;
        offset += len;
    }
    Ok(())
}

/// Whether an error says that there is no room.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The directory a path lies in; the root is empty.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
