//! The stored form of a blob, on a disk or far away: content, a checksum per block, a footer.
//!
//! Little-endian: content; one crc32c (u32) per block; footer of 32 bytes: magic `LWBLOB01`, content
//! length u64, format u16, min_reader u16, block length u32, crc32c u32 of the checksums, crc32c u32
//! of the footer before it. A block is checked the first time it is read after the blob was opened.
//! Damage costs what lies in the same block, so blocks are as small as what a disk damages.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use metrics::counter;

use super::BlobError;
use crate::metrics::BLOB_BLOCKS_DAMAGED;

/// Length of a block.
const BLOCK_BYTES: u64 = 4 * 1024;
/// Length of a block in format 1.
const BLOCK_BYTES_BEFORE: u64 = 64 * 1024;
/// Bytes written at once.
const WRITE_BYTES: usize = 64 * 1024;
const FOOTER_BYTES: u64 = 32;
const MAGIC: &[u8; 8] = b"LWBLOB01";
const FORMAT: u16 = 2;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Reads a range of what is stored.
pub(super) type ReadStored<'a> = dyn Fn(Range<u64>) -> Result<Bytes, BlobError> + 'a;

/// The blocks of an open blob.
pub(super) struct Blocks {
    /// Length of the content.
    pub(super) size_bytes: u64,
    block_bytes: u64,
    checksums: Vec<u32>,
    /// One bit per block: checked since the blob was opened.
    checked: Vec<AtomicU64>,
}

impl Blocks {
    /// Opens a blob of which `stored_bytes` are stored.
    pub(super) fn open(
        name: &str,
        stored_bytes: u64,
        read: &ReadStored<'_>,
    ) -> Result<Self, BlobError> {
        let damaged = |offset| BlobError::Damaged { name: name.to_owned(), offset };
        let footer_at = stored_bytes.checked_sub(FOOTER_BYTES).ok_or(damaged(0))?;
        let footer = read(footer_at..stored_bytes)?;
        if footer[..8] != *MAGIC || read_u32(&footer, 28) != crc32c::crc32c(&footer[..28]) {
            return Err(damaged(footer_at));
        }
        let min_reader = u16::from_le_bytes([footer[18], footer[19]]);
        if min_reader > FORMAT {
            let reason = format!("it has format {min_reader}, this release reads up to {FORMAT}");
            return Err(BlobError::Io { name: name.to_owned(), reason });
        }
        let size_bytes = read_u64(&footer, 8);
        let block_bytes = match read_u32(&footer, 20) {
            0 => BLOCK_BYTES_BEFORE,
            bytes => u64::from(bytes),
        };
        let blocks = size_bytes.div_ceil(block_bytes);
        if size_bytes.checked_add(blocks * 4) != Some(footer_at) {
            return Err(damaged(footer_at));
        }
        let table = read(size_bytes..footer_at)?;
        if crc32c::crc32c(&table) != read_u32(&footer, 24) {
            return Err(damaged(size_bytes));
        }
        let checksums = (0..blocks as usize).map(|block| read_u32(&table, block * 4)).collect();
        let checked = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { size_bytes, block_bytes, checksums, checked })
    }

    /// Bytes `range` of the content, checked.
    pub(super) fn read(
        &self,
        name: &str,
        range: Range<u64>,
        read: &ReadStored<'_>,
    ) -> Result<Bytes, BlobError> {
        if range.start > range.end || range.end > self.size_bytes {
            let reason = format!("bytes {range:?} of {} were asked for", self.size_bytes);
            return Err(BlobError::Io { name: name.to_owned(), reason });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let blocks = range.start / self.block_bytes..(range.end - 1) / self.block_bytes + 1;
        if blocks.clone().all(|block| self.is_checked(block)) {
            return read(range);
        }
        let start = blocks.start * self.block_bytes;
        let bytes = read(start..self.size_bytes.min(blocks.end * self.block_bytes))?;
        for (block, content) in blocks.zip(bytes.chunks(self.block_bytes as usize)) {
            if crc32c::crc32c(content) != self.checksums[block as usize] {
                counter!(BLOB_BLOCKS_DAMAGED).increment(1);
                let offset = block * self.block_bytes;
                return Err(BlobError::Damaged { name: name.to_owned(), offset });
            }
            self.checked[block as usize / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
        Ok(bytes.slice((range.start - start) as usize..(range.end - start) as usize))
    }

    fn is_checked(&self, block: u64) -> bool {
        self.checked[block as usize / 64].load(Ordering::Relaxed) & (1 << (block % 64)) != 0
    }
}

/// Hands the stored form of `content` to `write`, piece after piece.
pub(super) fn store(
    content: &mut dyn Read,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut table = Vec::new();
    let mut buffer = vec![0; WRITE_BYTES];
    let mut size_bytes = 0;
    loop {
        let len = read_full(content, &mut buffer)?;
        if len == 0 {
            break;
        }
        for block in buffer[..len].chunks(BLOCK_BYTES as usize) {
            table.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        }
        write(&buffer[..len])?;
        size_bytes += len as u64;
    }
    let mut footer = Vec::with_capacity(FOOTER_BYTES as usize);
    footer.extend_from_slice(MAGIC);
    footer.extend_from_slice(&size_bytes.to_le_bytes());
    footer.extend_from_slice(&FORMAT.to_le_bytes());
    footer.extend_from_slice(&FORMAT.to_le_bytes());
    footer.extend_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
    footer.extend_from_slice(&crc32c::crc32c(&table).to_le_bytes());
    footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
    table.extend_from_slice(&footer);
    write(&table)
}

/// Whether this is a name of a blob: parts of letters, digits, `-`, `_` and `.`, with `/` between.
pub(super) fn check_name(name: &str) -> Result<(), BlobError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if name.len() <= NAME_BYTES_MAX && name.split('/').all(is_part) {
        return Ok(());
    }
    Err(BlobError::Io { name: name.to_owned(), reason: "this is no name of a blob".to_owned() })
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
