//! Blobs as files of a disk, in the form of [`super::blocks`].
//!
//! A blob is written under a temporary name, synced, renamed, and its directory synced; only then
//! [`Blobs::put_new`] returns.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::blocks::{self, Blocks};
use super::{BlobError, Blobs};
use crate::disk::{Disk, DiskFile, is_no_room, parent};

/// Blobs kept open; the one unused for longest is closed first.
const OPEN_MAX: usize = 256;
const DIR: &str = "blobs";
const TEMPORARY_DIR: &str = "blobs/.tmp";
const QUARANTINE_DIR: &str = "quarantine";
/// What Linux answers when a medium cannot be read (`EIO`).
const MEDIUM_ERROR: i32 = 5;

/// Blobs in one directory of a disk.
pub(crate) struct LocalBlobs {
    disk: Arc<dyn Disk>,
    open: Mutex<OpenBlobs>,
    next_temporary: AtomicU64,
}

#[derive(Default)]
struct OpenBlobs {
    by_name: HashMap<String, Arc<OpenBlob>>,
    order: VecDeque<String>,
}

struct OpenBlob {
    file: Arc<dyn DiskFile>,
    blocks: Blocks,
}

impl LocalBlobs {
    /// Opens the directory and removes what was never finished.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        disk.create_dir(DIR)?;
        disk.create_dir(TEMPORARY_DIR)?;
        for name in disk.list(TEMPORARY_DIR)? {
            disk.remove(&format!("{TEMPORARY_DIR}/{name}"))?;
        }
        disk.sync_dir("")?;
        Ok(Self { disk, open: Mutex::default(), next_temporary: AtomicU64::new(0) })
    }

    fn find(&self, name: &str) -> Result<Arc<OpenBlob>, BlobError> {
        if let Some(blob) = self.lock().by_name.get(name) {
            return Ok(Arc::clone(blob));
        }
        let blob = Arc::new(self.open_blob(name)?);
        let mut open = self.lock();
        if open.order.len() >= OPEN_MAX
            && let Some(oldest) = open.order.pop_front()
        {
            open.by_name.remove(&oldest);
        }
        open.order.push_back(name.to_owned());
        open.by_name.insert(name.to_owned(), Arc::clone(&blob));
        Ok(blob)
    }

    fn open_blob(&self, name: &str) -> Result<OpenBlob, BlobError> {
        let file = self.disk.open(&path_of(name)?).map_err(|error| failed(name, &error))?;
        let file_bytes = file.size_bytes().map_err(|error| failed(name, &error))?;
        let blocks = Blocks::open(name, file_bytes, &|range| read_file(&*file, name, range))?;
        Ok(OpenBlob { file, blocks })
    }

    /// Writes the stored form and syncs it.
    fn write(&self, file: &dyn DiskFile, content: &mut dyn Read) -> io::Result<()> {
        let mut written = 0;
        blocks::store(content, |bytes| {
            file.write_all_at(bytes, written)?;
            written += bytes.len() as u64;
            Ok(())
        })?;
        file.sync()
    }

    fn publish(&self, temporary: &str, path: &str) -> io::Result<()> {
        self.disk.create_dir(parent(path))?;
        self.disk.rename(temporary, path)?;
        let mut dir = parent(path);
        self.disk.sync_dir(dir)?;
        // A new directory's own name must be durable too.
        while dir != DIR {
            dir = parent(dir);
            self.disk.sync_dir(dir)?;
        }
        Ok(())
    }

    fn forget(&self, name: &str) {
        let mut open = self.lock();
        open.by_name.remove(name);
        open.order.retain(|known| known != name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenBlobs> {
        self.open.lock().expect("no holder of this lock panics")
    }
}

impl Blobs for LocalBlobs {
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError> {
        let path = path_of(name)?;
        match self.disk.open(&path) {
            Ok(_) => return Err(BlobError::Exists(name.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(name, &error)),
        }
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY_DIR}/{number}");
        let file = self.disk.create_new(&temporary).map_err(|error| failed(name, &error))?;
        self.write(&*file, content).and_then(|()| self.publish(&temporary, &path)).map_err(
            |error| {
                // Start-up removes it when this fails too.
                let _ = self.disk.remove(&temporary);
                failed(name, &error)
            },
        )
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let blob = self.find(name)?;
        blob.blocks.read(name, range, &|range| read_file(&*blob.file, name, range))
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        Ok(self.find(name)?.blocks.size_bytes)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let paths = self.disk.list_all(DIR).map_err(|error| failed(prefix, &error))?;
        Ok(paths
            .iter()
            .filter_map(|path| path.strip_prefix("blobs/"))
            .filter(|name| !name.starts_with('.') && name.starts_with(prefix))
            .map(str::to_owned)
            .collect())
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        let path = path_of(name)?;
        self.forget(name);
        match self.disk.remove(&path).and_then(|()| self.disk.sync_dir(parent(&path))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, &error)),
            _ => Ok(()),
        }
    }

    fn put_aside(&self, name: &str) -> Result<(), BlobError> {
        let path = path_of(name)?;
        self.forget(name);
        let aside = format!("{QUARANTINE_DIR}/{}", name.replace('/', "-"));
        let moved = self.disk.create_dir(QUARANTINE_DIR).and_then(|()| {
            self.disk.rename(&path, &aside)?;
            ["", QUARANTINE_DIR, parent(&path)].iter().try_for_each(|dir| self.disk.sync_dir(dir))
        });
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, &error)),
            _ => Ok(()),
        }
    }
}

/// The path of a blob, when its name is one.
fn path_of(name: &str) -> Result<String, BlobError> {
    blocks::check_name(name)?;
    Ok(format!("{DIR}/{name}"))
}

fn read_file(file: &dyn DiskFile, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start).map_err(|error| match error.raw_os_error() {
        Some(MEDIUM_ERROR) => BlobError::Damaged { name: name.to_owned(), offset: range.start },
        _ => failed(name, &error),
    })?;
    Ok(bytes.into())
}

fn failed(name: &str, error: &io::Error) -> BlobError {
    let name = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(name),
        _ if is_no_room(error) => BlobError::Full(name),
        _ => BlobError::Io { name, reason: error.to_string() },
    }
}
