//! The events of a split, whole: blocks of encoded events, compressed one by one.
//!
//! A block holds rows in the order of the split, each as `seq` (u64), `observed_at` and `timestamp`
//! (i64, nanoseconds), length (u32) and the bytes of [`Event::encode`], little-endian. Checksums are
//! those of the blob the blocks lie in.

use bytes::Bytes;
use logwarden_event::{Event, Position, Timestamp};
use serde::{Deserialize, Serialize};

/// Bytes of rows at which a block is closed; small in tests, so that few events fill several.
const BLOCK_BYTES: usize = if cfg!(test) { 2 << 10 } else { 256 << 10 };
/// Bytes a block may claim to have; a larger claim is damage. A row has far fewer than 64 MiB.
const BLOCK_BYTES_MAX: u32 = (64 << 20) + BLOCK_BYTES as u32;
const ROW_HEADER_BYTES: usize = 28;
const ZSTD_LEVEL: i32 = 1;

/// Where a block lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockInfo {
    /// Its first byte in the blob.
    pub(crate) offset: u64,
    /// Bytes in the blob.
    pub(crate) size_bytes: u32,
    /// Bytes when decompressed.
    pub(crate) raw_bytes: u32,
    /// The first row.
    pub(crate) first_row: u32,
    /// Time of the first row, the newest, in nanoseconds.
    pub(crate) newest: i64,
    /// The smallest seq.
    pub(crate) seq_min: u64,
    /// The largest seq.
    pub(crate) seq_max: u64,
}

/// Turns events into blocks.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    out: Vec<u8>,
    blocks: Vec<BlockInfo>,
    open: Vec<u8>,
    open_rows: u32,
    rows: u32,
    newest: i64,
    seq_min: u64,
    seq_max: u64,
    raw_bytes: u64,
}

impl BlockWriter {
    /// Bytes of all rows before compression.
    pub(crate) fn raw_bytes_so_far(&self) -> u64 {
        self.raw_bytes + self.open.len() as u64
    }

    /// Appends a row.
    pub(crate) fn add(&mut self, event: &Event) -> std::io::Result<()> {
        if self.open_rows == 0 {
            self.newest = event.timestamp().nanos();
            (self.seq_min, self.seq_max) = (event.seq(), event.seq());
        }
        self.seq_min = self.seq_min.min(event.seq());
        self.seq_max = self.seq_max.max(event.seq());
        self.open.extend_from_slice(&event.seq().to_le_bytes());
        self.open.extend_from_slice(&event.observed_at().nanos().to_le_bytes());
        self.open.extend_from_slice(&event.timestamp().nanos().to_le_bytes());
        let len_at = self.open.len();
        self.open.extend_from_slice(&[0; 4]);
        event.encode(&mut self.open);
        let len = u32::try_from(self.open.len() - len_at - 4).expect("an event is below 4 GiB");
        self.open[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        self.open_rows += 1;
        if self.open.len() >= BLOCK_BYTES { self.close() } else { Ok(()) }
    }

    /// The blocks, one after another, and where each lies.
    pub(crate) fn finish(mut self) -> std::io::Result<(Vec<u8>, Vec<BlockInfo>)> {
        self.close()?;
        Ok((self.out, self.blocks))
    }

    fn close(&mut self) -> std::io::Result<()> {
        if self.open_rows == 0 {
            return Ok(());
        }
        let compressed = zstd::bulk::compress(&self.open, ZSTD_LEVEL)?;
        let size = |len: usize| u32::try_from(len).map_err(std::io::Error::other);
        self.blocks.push(BlockInfo {
            offset: self.out.len() as u64,
            size_bytes: size(compressed.len())?,
            raw_bytes: size(self.open.len())?,
            first_row: self.rows,
            newest: self.newest,
            seq_min: self.seq_min,
            seq_max: self.seq_max,
        });
        self.out.extend_from_slice(&compressed);
        self.raw_bytes += self.open.len() as u64;
        self.rows += self.open_rows;
        self.open.clear();
        self.open_rows = 0;
        Ok(())
    }
}

/// One block, decompressed.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    rows: Vec<RowInfo>,
}

#[derive(Debug, Clone, Copy)]
struct RowInfo {
    seq: u64,
    observed_at: i64,
    timestamp: i64,
    start: u32,
    len: u32,
}

impl Block {
    /// Decompresses a block of the blob.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn decode(info: &BlockInfo, compressed: &[u8]) -> Result<Self, String> {
        if info.raw_bytes > BLOCK_BYTES_MAX {
            return Err(format!("a block claims {} bytes", info.raw_bytes));
        }
        let bytes = zstd::bulk::decompress(compressed, info.raw_bytes as usize)
            .map_err(|error| format!("a block cannot be decompressed: {error}"))?;
        let rows = read_rows(&bytes).ok_or("a block ends inside a row")?;
        Ok(Self { bytes, rows })
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<RowInfo>()
    }

    /// How many rows, from the first on, are not older than `at`.
    pub(crate) fn rows_not_before(&self, at: Timestamp) -> usize {
        self.rows.partition_point(|row| row.timestamp >= at.nanos())
    }

    /// The event in that row of the block. It has its own buffer, so that keeping it does not keep
    /// the block.
    pub(crate) fn event(&self, lane: u32, row: usize) -> Result<Event, String> {
        let info = self.rows.get(row).ok_or("a block has too few rows")?;
        let payload = &self.bytes[info.start as usize..(info.start + info.len) as usize];
        let position = Position { lane, seq: info.seq };
        Event::decode(
            &Bytes::copy_from_slice(payload),
            position,
            Timestamp::from_nanos(info.observed_at),
        )
        .map_err(|error| error.to_string())
    }
}

fn read_rows(bytes: &[u8]) -> Option<Vec<RowInfo>> {
    let mut rows = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let (header, _) = bytes[offset..].split_first_chunk::<ROW_HEADER_BYTES>()?;
        let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let len = u32::from_le_bytes(header[24..].try_into().ok()?);
        let start = offset + ROW_HEADER_BYTES;
        rows.push(RowInfo {
            seq: number(0)?,
            observed_at: number(8)? as i64,
            timestamp: number(16)? as i64,
            start: u32::try_from(start).ok()?,
            len,
        });
        offset = start.checked_add(len as usize).filter(|end| *end <= bytes.len())?;
    }
    Some(rows)
}
