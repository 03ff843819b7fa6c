//! The tantivy files inside a split, as a read-only tantivy directory over ranges of a blob.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logwarden_store::Blobs;
use serde::{Deserialize, Serialize};
use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, OpenReadError, OpenWriteError};
use tantivy::directory::{Directory, FileHandle, OwnedBytes, WatchCallback, WatchHandle, WritePtr};

/// Where a file lies in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRange {
    /// Its first byte.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) size_bytes: u64,
}

/// Files by name, inside one blob.
#[derive(Clone)]
pub(crate) struct Bundle {
    blobs: Arc<dyn Blobs>,
    blob: Arc<str>,
    files: Arc<BTreeMap<String, FileRange>>,
}

impl Bundle {
    /// The files of the blob of that name.
    pub(crate) fn new(
        blobs: Arc<dyn Blobs>,
        blob: Arc<str>,
        files: Arc<BTreeMap<String, FileRange>>,
    ) -> Self {
        Self { blobs, blob, files }
    }

    fn file(&self, path: &Path) -> Result<BundledFile, OpenReadError> {
        let range = path.to_str().and_then(|name| self.files.get(name));
        let range = *range.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(BundledFile { bundle: self.clone(), range })
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("blob", &self.blob).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct BundledFile {
    bundle: Bundle,
    range: FileRange,
}

impl HasLen for BundledFile {
    fn len(&self) -> usize {
        usize::try_from(self.range.size_bytes).unwrap_or(usize::MAX)
    }
}

impl FileHandle for BundledFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let (start, end) = (range.start as u64, range.end as u64);
        if start > end || end > self.range.size_bytes {
            return Err(io::Error::other("a range outside of the file was asked for"));
        }
        let range = self.range.offset + start..self.range.offset + end;
        let bytes =
            self.bundle.blobs.get_range(&self.bundle.blob, range).map_err(io::Error::other)?;
        Ok(OwnedBytes::new(bytes.to_vec()))
    }
}

impl Directory for Bundle {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.file(path).is_ok())
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.file(path)?;
        let bytes = file.read_bytes(0..file.len());
        bytes
            .map(|bytes| bytes.to_vec())
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), PathBuf::from(path)))
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a split is never changed")
}
