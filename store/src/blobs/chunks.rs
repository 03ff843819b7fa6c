//! What was read of blobs far away, kept on the local disk up to a bound.
//!
//! The unit is a chunk: 256 KiB of what is stored, at a multiple of that. Each is a file: the bytes,
//! then their crc32c. One that is damaged or cannot be read is fetched again. Nothing is synced, and
//! the directory is emptied at every start: what a crash leaves in it is worth nothing.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use metrics::{counter, gauge};
use tracing::warn;

use super::BlobError;
use super::blocks::ReadStored;
use crate::disk::Disk;
use crate::metrics::{
    BLOB_CACHE_BYTES, BLOB_CACHE_DAMAGED, BLOB_CACHE_FETCHED_BYTES, BLOB_CACHE_HITS,
    BLOB_CACHE_MISSES, BLOB_CACHE_UNWRITTEN,
};

/// Length of a chunk; the last one of a blob is shorter.
const CHUNK_BYTES: u64 = 256 * 1024;
/// Chunks fetched in one request.
const FETCH_CHUNKS_MAX: u64 = 32;
const DIR: &str = "cache";

/// Chunks of blobs, as files.
pub(crate) struct ChunkCache {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    chunks: HashMap<(String, u64), Chunk>,
    bytes: u64,
    uses: u64,
    next_file: u64,
}

#[derive(Clone, Copy)]
struct Chunk {
    file: u64,
    len: u64,
    last_use: u64,
}

impl ChunkCache {
    /// An empty cache of at most `bytes_max` bytes; what is in the directory is removed.
    pub(crate) fn open(disk: Arc<dyn Disk>, bytes_max: u64) -> io::Result<Self> {
        disk.create_dir(DIR)?;
        for name in disk.list(DIR)? {
            disk.remove(&format!("{DIR}/{name}"))?;
        }
        Ok(Self { disk, bytes_max, kept: Mutex::default() })
    }

    /// Bytes `range` of what is stored of a blob, `stored_bytes` long; `fetch` gets what is not here.
    pub(crate) fn read(
        &self,
        name: &str,
        stored_bytes: u64,
        range: Range<u64>,
        fetch: &ReadStored<'_>,
    ) -> Result<Bytes, BlobError> {
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        let last = range.end.saturating_sub(1) / CHUNK_BYTES;
        let mut next = range.start / CHUNK_BYTES;
        while next <= last {
            if let Some(chunk) = self.get(name, next) {
                counter!(BLOB_CACHE_HITS).increment(1);
                append_inside(&mut bytes, next * CHUNK_BYTES, &chunk, &range);
                next += 1;
                continue;
            }
            let mut end = next + 1;
            while end <= last && end - next < FETCH_CHUNKS_MAX && !self.has(name, end) {
                end += 1;
            }
            let start = next * CHUNK_BYTES;
            let fetched = fetch(start..stored_bytes.min(end * CHUNK_BYTES))?;
            counter!(BLOB_CACHE_MISSES).increment(end - next);
            counter!(BLOB_CACHE_FETCHED_BYTES).increment(fetched.len() as u64);
            append_inside(&mut bytes, start, &fetched, &range);
            for (number, chunk) in (next..end).zip(fetched.chunks(CHUNK_BYTES as usize)) {
                self.keep(name, number, chunk);
            }
            next = end;
        }
        Ok(bytes.freeze())
    }

    /// Forgets what is kept of a blob.
    pub(crate) fn forget(&self, name: &str) {
        let mut kept = self.kept();
        let gone: Vec<(String, u64)> =
            kept.chunks.keys().filter(|(of, _)| of == name).cloned().collect();
        let files = gone.iter().filter_map(|key| kept.remove(key)).collect();
        drop(kept);
        self.remove_files(files);
    }

    fn has(&self, name: &str, number: u64) -> bool {
        self.kept().chunks.contains_key(&(name.to_owned(), number))
    }

    fn get(&self, name: &str, number: u64) -> Option<Bytes> {
        let key = (name.to_owned(), number);
        let chunk = {
            let mut kept = self.kept();
            kept.uses += 1;
            let uses = kept.uses;
            let chunk = kept.chunks.get_mut(&key)?;
            chunk.last_use = uses;
            *chunk
        };
        let mut bytes = vec![0; chunk.len as usize + 4];
        let read = self.disk.open(&path_of(chunk.file)).and_then(|file| {
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        });
        if let Ok(mut bytes) = read {
            let sum = bytes.split_off(chunk.len as usize);
            if crc32c::crc32c(&bytes).to_le_bytes() == *sum {
                return Some(bytes.into());
            }
        }
        // Somebody else may have let it go just now; then it was not damaged.
        let is_here = self.kept().chunks.get(&key).is_some_and(|here| here.file == chunk.file);
        if is_here {
            counter!(BLOB_CACHE_DAMAGED).increment(1);
            warn!(blob = name, "a chunk in the cache is damaged, it is fetched again");
            let file = self.kept().remove(&key);
            self.remove_files(file.into_iter().collect());
        }
        None
    }

    fn keep(&self, name: &str, number: u64, bytes: &[u8]) {
        let len = bytes.len() as u64;
        if len > self.bytes_max || self.has(name, number) {
            return;
        }
        let file = {
            let mut kept = self.kept();
            kept.next_file += 1;
            kept.next_file
        };
        let mut content = bytes.to_vec();
        content.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
        let written =
            self.disk.create_new(&path_of(file)).and_then(|new| new.write_all_at(&content, 0));
        if written.is_err() {
            counter!(BLOB_CACHE_UNWRITTEN).increment(1);
            return self.remove_files(vec![file]);
        }
        let mut kept = self.kept();
        kept.uses += 1;
        let chunk = Chunk { file, len, last_use: kept.uses };
        let mut gone = Vec::new();
        if let Some(before) = kept.chunks.insert((name.to_owned(), number), chunk) {
            kept.bytes -= before.len;
            gone.push(before.file);
        }
        kept.bytes += len;
        gone.extend(kept.make_room(self.bytes_max));
        gauge!(BLOB_CACHE_BYTES).set(kept.bytes as f64);
        drop(kept);
        self.remove_files(gone);
    }

    fn remove_files(&self, files: Vec<u64>) {
        for file in files {
            // The next start removes what stays.
            let _ = self.disk.remove(&path_of(file));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Forgets what was used longest ago until no more than the bound is kept; a part is given up at
    /// once, so that sorting pays. The files that are to go.
    fn make_room(&mut self, bytes_max: u64) -> Vec<u64> {
        if self.bytes <= bytes_max {
            return Vec::new();
        }
        let mut by_use: Vec<(u64, (String, u64))> =
            self.chunks.iter().map(|(key, chunk)| (chunk.last_use, key.clone())).collect();
        by_use.sort_unstable();
        let mut gone = Vec::new();
        for (_, key) in by_use {
            if self.bytes <= bytes_max - bytes_max / 8 {
                break;
            }
            gone.extend(self.remove(&key));
        }
        gone
    }

    fn remove(&mut self, key: &(String, u64)) -> Option<u64> {
        let chunk = self.chunks.remove(key)?;
        self.bytes -= chunk.len;
        Some(chunk.file)
    }
}

/// Appends what of `bytes`, which begin at `start`, lies inside `range`.
fn append_inside(to: &mut BytesMut, start: u64, bytes: &[u8], range: &Range<u64>) {
    let from = range.start.saturating_sub(start).min(bytes.len() as u64);
    let end = range.end.saturating_sub(start).min(bytes.len() as u64);
    to.extend_from_slice(&bytes[from as usize..end as usize]);
}

fn path_of(file: u64) -> String {
    format!("{DIR}/{file}")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::disk::simulated::SimulatedDisk;
    use crate::random::Random;

    const STORED: u64 = 10 * CHUNK_BYTES + 100;

    fn content() -> Vec<u8> {
        (0..STORED).map(|place| (place / 1_000 + place) as u8).collect()
    }

    /// Reads ranges one after another through a cache of so many bytes; how often was fetched.
    fn fetches(cache: &ChunkCache, ranges: &[(u64, u64)]) -> u64 {
        let content = content();
        let fetched = Cell::new(0);
        let fetch = |range: Range<u64>| {
            fetched.set(fetched.get() + 1);
            Ok(Bytes::copy_from_slice(&content[range.start as usize..range.end as usize]))
        };
        for (start, end) in ranges {
            let range = *start..*end;
            let read = cache.read("a", STORED, range.clone(), &fetch).expect("it can be fetched");
            assert_eq!(*read, content[range.start as usize..range.end as usize], "{range:?}");
        }
        fetched.get()
    }

    fn disk() -> SimulatedDisk {
        SimulatedDisk::new(Random::new(1), 1 << 30)
    }

    #[test]
    fn what_was_read_is_not_fetched_again() {
        let cache = ChunkCache::open(Arc::new(disk()), 1 << 30).expect("a disk");
        let ranges = [
            (0, 10),
            (5, CHUNK_BYTES + 1),
            (CHUNK_BYTES, STORED),
            (0, STORED),
            (STORED - 1, STORED),
        ];
        assert_eq!(fetches(&cache, &ranges), 3);
        cache.forget("a");
        assert_eq!(fetches(&cache, &[(0, STORED)]), 1);
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_what_was_used_last_stays() {
        let disk = disk();
        let bytes_max = 4 * CHUNK_BYTES;
        let cache = ChunkCache::open(Arc::new(disk.clone()), bytes_max).expect("a disk");
        for chunk in 0..10 {
            fetches(&cache, &[(0, 1), (chunk * CHUNK_BYTES, chunk * CHUNK_BYTES + 1)]);
            let kept = cache.kept().bytes;
            assert!(kept <= bytes_max, "{kept}");
            assert!(disk.used_bytes().expect("a disk") <= bytes_max + 4 * 10);
        }
        assert_eq!(fetches(&cache, &[(0, 1)]), 0, "it was used all the time");
        assert_eq!(fetches(&cache, &[(CHUNK_BYTES, CHUNK_BYTES + 1)]), 1, "it was not");
    }

    #[test]
    fn a_damaged_chunk_is_fetched_again() {
        let disk = disk();
        let cache = ChunkCache::open(Arc::new(disk.clone()), 1 << 30).expect("a disk");
        fetches(&cache, &[(0, STORED)]);
        for (file, number) in [("cache/1", 0), ("cache/2", 1)] {
            let damaged = disk.open(file).expect("a chunk");
            damaged.write_all_at(b"damage", 77).expect("a disk");
            let range = (number * CHUNK_BYTES, number * CHUNK_BYTES + 200);
            assert_eq!(fetches(&cache, &[range, range]), 1);
        }
    }

    #[test]
    fn without_room_everything_is_fetched() {
        let disk = disk();
        let cache = ChunkCache::open(Arc::new(disk.clone()), 1 << 30).expect("a disk");
        disk.set_free_bytes(0);
        assert_eq!(fetches(&cache, &[(0, 100), (0, 100)]), 2);
        disk.set_free_bytes(1 << 29);
        assert_eq!(fetches(&cache, &[(0, 100), (0, 100)]), 1);
    }

    #[test]
    fn a_start_empties_it() {
        let disk = disk();
        let cache = ChunkCache::open(Arc::new(disk.clone()), 1 << 30).expect("a disk");
        fetches(&cache, &[(0, STORED)]);
        let again = ChunkCache::open(Arc::new(disk.clone()), 1 << 30).expect("a disk");
        assert_eq!(disk.used_bytes().expect("a disk"), 0);
        assert_eq!(fetches(&again, &[(0, STORED)]), 1);
    }
}
