//! Blobs as files: content in blocks of 64 KiB, then a checksum per block, then a footer.
//!
//! A blob is written under a temporary name, synced, renamed, and its directory synced; only then
//! [`Blobs::put_new`] returns. Layout (little-endian): content; one crc32c (u32) per block; footer
//! of 32 bytes: magic `LWBLOB01`, content length u64, format u16, min_reader u16, reserved u32,
//! crc32c u32 of the checksums, crc32c u32 of the footer before it.
//! A block is checked the first time it is read after the blob was opened.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use metrics::counter;

use super::{BlobError, Blobs};
use crate::disk::{Disk, DiskFile, is_no_room, parent};
use crate::metrics::BLOB_BLOCKS_DAMAGED;

const BLOCK_BYTES: u64 = 64 * 1024;
const FOOTER_BYTES: u64 = 32;
const MAGIC: &[u8; 8] = b"LWBLOB01";
const FORMAT: u16 = 1;
/// Blobs kept open; the one unused for longest is closed first.
const OPEN_MAX: usize = 256;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;
const DIR: &str = "blobs";
const TEMPORARY_DIR: &str = "blobs/.tmp";

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
    size_bytes: u64,
    checksums: Vec<u32>,
    /// One bit per block: checked since the blob was opened.
    checked: Vec<AtomicU64>,
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
        let damaged = |offset| BlobError::Damaged { name: name.to_owned(), offset };
        let footer_at = file_bytes.checked_sub(FOOTER_BYTES).ok_or(damaged(0))?;
        let mut footer = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut footer, footer_at).map_err(|error| failed(name, &error))?;
        let size_bytes = read_u64(&footer, 8);
        let blocks = size_bytes.div_ceil(BLOCK_BYTES);
        let is_footer = footer[..8] == *MAGIC
            && read_u32(&footer, 28) == crc32c::crc32c(&footer[..28])
            && size_bytes.checked_add(blocks * 4) == Some(footer_at);
        if !is_footer {
            return Err(damaged(footer_at));
        }
        let min_reader = u16::from_le_bytes([footer[18], footer[19]]);
        if min_reader > FORMAT {
            let reason = format!("it has format {min_reader}, this release reads up to {FORMAT}");
            return Err(BlobError::Io { name: name.to_owned(), reason });
        }
        let mut table = vec![0; blocks as usize * 4];
        file.read_exact_at(&mut table, size_bytes).map_err(|error| failed(name, &error))?;
        if crc32c::crc32c(&table) != read_u32(&footer, 24) {
            return Err(damaged(size_bytes));
        }
        let checksums = (0..blocks as usize).map(|block| read_u32(&table, block * 4)).collect();
        let checked = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(OpenBlob { file, size_bytes, checksums, checked })
    }

    /// Writes content, checksums and footer, and syncs them.
    fn write(&self, file: &dyn DiskFile, content: &mut dyn Read) -> io::Result<()> {
        let mut table = Vec::new();
        let mut block = vec![0; BLOCK_BYTES as usize];
        let mut size_bytes = 0;
        loop {
            let len = read_full(content, &mut block)?;
            if len == 0 {
                break;
            }
            table.extend_from_slice(&crc32c::crc32c(&block[..len]).to_le_bytes());
            file.write_all_at(&block[..len], size_bytes)?;
            size_bytes += len as u64;
        }
        let mut footer = Vec::with_capacity(FOOTER_BYTES as usize);
        footer.extend_from_slice(MAGIC);
        footer.extend_from_slice(&size_bytes.to_le_bytes());
        footer.extend_from_slice(&FORMAT.to_le_bytes());
        footer.extend_from_slice(&FORMAT.to_le_bytes());
        footer.extend_from_slice(&[0; 4]);
        footer.extend_from_slice(&crc32c::crc32c(&table).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        table.extend_from_slice(&footer);
        file.write_all_at(&table, size_bytes)?;
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
        if range.start > range.end || range.end > blob.size_bytes {
            let reason = format!("bytes {range:?} of {} were asked for", blob.size_bytes);
            return Err(BlobError::Io { name: name.to_owned(), reason });
        }
        blob.read(name, range)
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        Ok(self.find(name)?.size_bytes)
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
        {
            let mut open = self.lock();
            open.by_name.remove(name);
            open.order.retain(|known| known != name);
        }
        match self.disk.remove(&path).and_then(|()| self.disk.sync_dir(parent(&path))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, &error)),
            _ => Ok(()),
        }
    }
}

impl OpenBlob {
    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let blocks = range.start / BLOCK_BYTES..(range.end - 1) / BLOCK_BYTES + 1;
        if blocks.clone().all(|block| self.is_checked(block)) {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            self.file
                .read_exact_at(&mut bytes, range.start)
                .map_err(|error| failed(name, &error))?;
            return Ok(bytes.into());
        }
        let start = blocks.start * BLOCK_BYTES;
        let mut bytes = vec![0; (self.size_bytes.min(blocks.end * BLOCK_BYTES) - start) as usize];
        self.file.read_exact_at(&mut bytes, start).map_err(|error| failed(name, &error))?;
        for (block, content) in blocks.zip(bytes.chunks(BLOCK_BYTES as usize)) {
            if crc32c::crc32c(content) != self.checksums[block as usize] {
                counter!(BLOB_BLOCKS_DAMAGED).increment(1);
                let offset = block * BLOCK_BYTES;
                return Err(BlobError::Damaged { name: name.to_owned(), offset });
            }
            self.checked[block as usize / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
        Ok(Bytes::from(bytes).slice((range.start - start) as usize..(range.end - start) as usize))
    }

    fn is_checked(&self, block: u64) -> bool {
        self.checked[block as usize / 64].load(Ordering::Relaxed) & (1 << (block % 64)) != 0
    }
}

/// The path of a blob, when its name is one.
fn path_of(name: &str) -> Result<String, BlobError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if name.len() <= NAME_BYTES_MAX && name.split('/').all(is_part) {
        return Ok(format!("{DIR}/{name}"));
    }
    Err(BlobError::Io { name: name.to_owned(), reason: "this is no name of a blob".to_owned() })
}

fn failed(name: &str, error: &io::Error) -> BlobError {
    let name = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(name),
        _ if is_no_room(error) => BlobError::Full(name),
        _ => BlobError::Io { name, reason: error.to_string() },
    }
}

/// Reads until `buffer` is full or the content ends.
fn read_full(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match content.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
