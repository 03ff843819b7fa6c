//! The journal's format, version 1, byte by byte. Pure; all numbers are little-endian.
//!
//! A segment is a file: a header block of 4 KiB, then groups. A group begins at a multiple of
//! 4 KiB: its records, one group commit record, and padding up to the next multiple, so that a
//! synced group never shares a page with later writes. Every checksum is crc32c, seeded with the
//! segment's salt: bytes of another segment, or of an older one in the same place, never validate.
//! See `docs/JOURNAL.md`.

use std::ops::Range;

use logwarden_event::Timestamp;

use super::RecordKind;

/// The version this release writes, and the newest it reads.
pub(crate) const FORMAT: u16 = 1;
/// Groups begin at multiples of this.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Length of a record's header.
pub(crate) const HEADER_BYTES: usize = 64;
/// Payload of a group commit record.
pub(crate) const COMMIT_BYTES: usize = 60;
/// What a receipt record holds before the receipt itself.
pub(crate) const RECEIPT_PREFIX_BYTES: usize = 16;
/// Payload of a gap record.
const GAP_BYTES: usize = 24;

const SEGMENT_MAGIC: &[u8; 8] = b"LWWAL\0\0\0";
const SEGMENT_HEADER_BYTES: usize = 96;
/// The header stands in its block twice, so that one damaged place does not hide a whole segment.
const SEGMENT_HEADER_PLACES: [usize; 2] = [0, 2048];
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"LWRC");

const TYPE_EVENT: u8 = 1;
const TYPE_DEAD_LETTER: u8 = 2;
const TYPE_ALERT_FIRED: u8 = 3;
const TYPE_AUDIT: u8 = 4;
const TYPE_GROUP_COMMIT: u8 = 5;
const TYPE_PAD: u8 = 6;
const TYPE_RECEIPT: u8 = 7;
const TYPE_GAP: u8 = 8;

/// Random bytes of one segment, the seed of all its checksums.
pub(crate) type Salt = [u8; 16];

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Who the journal is.
    pub(crate) identity: [u8; 16],
    /// The seed of all checksums in the segment.
    pub(crate) salt: Salt,
    /// The seq of its first record; also its name.
    pub(crate) base_seq: u64,
    /// The root of the last group before it; zero while sealing is off.
    pub(crate) base_hash: [u8; 32],
    /// When it was made.
    pub(crate) created_at: Timestamp,
}

/// Why a header block is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Neither copy of the header is whole.
    Damaged,
    /// It can be read by this format and later ones only.
    TooNew(u16),
}

impl SegmentHeader {
    /// The header block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        header.extend_from_slice(SEGMENT_MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&self.identity);
        header.extend_from_slice(&self.salt);
        header.extend_from_slice(&self.base_seq.to_le_bytes());
        header.extend_from_slice(&self.base_hash);
        header.extend_from_slice(&self.created_at.nanos().to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
        let mut block = vec![0; BLOCK_BYTES];
        for place in SEGMENT_HEADER_PLACES {
            block[place..place + SEGMENT_HEADER_BYTES].copy_from_slice(&header);
        }
        block
    }

    /// Reads the header block.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let mut error = HeaderError::Damaged;
        for place in SEGMENT_HEADER_PLACES {
            let header = block.get(place..place + SEGMENT_HEADER_BYTES);
            let Some(header) = header.filter(|header| {
                header[..8] == *SEGMENT_MAGIC && u32_at(header, 92) == crc32c::crc32c(&header[..92])
            }) else {
                continue;
            };
            let min_reader = u16_at(header, 10);
            if min_reader > FORMAT {
                error = HeaderError::TooNew(min_reader);
                continue;
            }
            return Ok(Self {
                identity: array_at(header, 12),
                salt: array_at(header, 28),
                base_seq: u64_at(header, 44),
                base_hash: array_at(header, 52),
                created_at: Timestamp::from_nanos(u64_at(header, 84).cast_signed()),
            });
        }
        Err(error)
    }
}

/// What a record is, as the format knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordType {
    /// A record with a seq of its own.
    Data(RecordKind),
    /// The end of a group.
    GroupCommit,
    /// Fills a group up to the end of its block.
    Pad,
    /// The idempotency key of the batch before it, the hash of its body, and the sender's receipt.
    Receipt,
    /// Records that are lost, put here by recovery.
    Gap,
}

impl RecordType {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Data(RecordKind::Event) => TYPE_EVENT,
            Self::Data(RecordKind::DeadLetter) => TYPE_DEAD_LETTER,
            Self::Data(RecordKind::AlertFired) => TYPE_ALERT_FIRED,
            Self::Data(RecordKind::Audit) => TYPE_AUDIT,
            Self::GroupCommit => TYPE_GROUP_COMMIT,
            Self::Pad => TYPE_PAD,
            Self::Receipt => TYPE_RECEIPT,
            Self::Gap => TYPE_GAP,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            TYPE_EVENT => Self::Data(RecordKind::Event),
            TYPE_DEAD_LETTER => Self::Data(RecordKind::DeadLetter),
            TYPE_ALERT_FIRED => Self::Data(RecordKind::AlertFired),
            TYPE_AUDIT => Self::Data(RecordKind::Audit),
            TYPE_GROUP_COMMIT => Self::GroupCommit,
            TYPE_PAD => Self::Pad,
            TYPE_RECEIPT => Self::Receipt,
            TYPE_GAP => Self::Gap,
            _ => return None,
        })
    }
}

/// The header of a record, without its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// What it is.
    pub(crate) record_type: RecordType,
    /// Bytes of payload that follow the header.
    pub(crate) payload_len: u32,
    /// The record's number; of a receipt, that of its batch's first record.
    pub(crate) seq: u64,
    /// The first four bytes of the SHA-256 of the source's name.
    pub(crate) source: u32,
    /// When it was taken in.
    pub(crate) observed_at: Timestamp,
    /// What its batch is known by, the hash of its idempotency key if it has one; zero for nothing.
    pub(crate) batch_id: [u8; 16],
    /// Which record of its batch it is.
    pub(crate) index_in_batch: u16,
    /// Records in its batch.
    pub(crate) batch_len: u16,
}

impl RecordHeader {
    /// A header of something that is not part of a batch.
    fn alone(record_type: RecordType, payload_len: usize, seq: u64, at: Timestamp) -> Self {
        Self {
            record_type,
            payload_len: payload_len as u32,
            seq,
            source: 0,
            observed_at: at,
            batch_id: [0; 16],
            index_in_batch: 0,
            batch_len: 0,
        }
    }

    fn write(&self, payload_crc: u32, salt: &Salt, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&RECORD_MAGIC.to_le_bytes());
        // Type, flags (none are defined), header length.
        out.extend_from_slice(&[self.record_type.to_byte(), 0]);
        out.extend_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        out.extend_from_slice(&self.payload_len.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        // The tenant: version 1 has one.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.source.to_le_bytes());
        out.extend_from_slice(&self.observed_at.nanos().to_le_bytes());
        out.extend_from_slice(&self.batch_id);
        out.extend_from_slice(&self.index_in_batch.to_le_bytes());
        out.extend_from_slice(&self.batch_len.to_le_bytes());
        out.extend_from_slice(&payload_crc.to_le_bytes());
        let header_crc = checksum(salt, &out[start..]);
        out.extend_from_slice(&header_crc.to_le_bytes());
    }

    /// Reads a header and the checksum of its payload; `None` when it is not one of this segment.
    fn read(bytes: &[u8], salt: &Salt) -> Option<(Self, u32)> {
        let header = bytes.get(..HEADER_BYTES)?;
        let is_whole = u32_at(header, 0) == RECORD_MAGIC
            && u16_at(header, 6) as usize == HEADER_BYTES
            && u32_at(header, 60) == checksum(salt, &header[..60]);
        if !is_whole {
            return None;
        }
        let read = Self {
            record_type: RecordType::from_byte(header[4])?,
            payload_len: u32_at(header, 8),
            seq: u64_at(header, 12),
            source: u32_at(header, 24),
            observed_at: Timestamp::from_nanos(u64_at(header, 28).cast_signed()),
            batch_id: array_at(header, 36),
            index_in_batch: u16_at(header, 52),
            batch_len: u16_at(header, 54),
        };
        Some((read, u32_at(header, 56)))
    }
}

/// Appends one record.
pub(crate) fn write_record(header: &RecordHeader, payload: &[u8], salt: &Salt, out: &mut Vec<u8>) {
    debug_assert_eq!(header.payload_len as usize, payload.len());
    header.write(checksum(salt, payload), salt, out);
    out.extend_from_slice(payload);
}

/// What a group holds, as its commit record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The first seq.
    pub(crate) seq_first: u64,
    /// The first seq after it.
    pub(crate) seq_next: u64,
    /// Records with a seq of their own. Zero with `seq_next > seq_first`: they are lost.
    pub(crate) count: u32,
}

impl Commit {
    /// Whether the group stands for records that are lost.
    pub(crate) fn is_gap(&self) -> bool {
        self.count == 0 && self.seq_next > self.seq_first
    }
}

/// Ends the group that `out` holds since `start`: commit record and padding.
pub(crate) fn write_commit(
    commit: &Commit,
    at: Timestamp,
    salt: &Salt,
    start: usize,
    out: &mut Vec<u8>,
) {
    let mut payload = Vec::with_capacity(COMMIT_BYTES);
    payload.extend_from_slice(&commit.seq_first.to_le_bytes());
    payload.extend_from_slice(&commit.seq_next.wrapping_sub(1).to_le_bytes());
    payload.extend_from_slice(&commit.count.to_le_bytes());
    payload.extend_from_slice(&((out.len() - start) as u64).to_le_bytes());
    // The Merkle root of the group: zero while sealing is off.
    payload.extend_from_slice(&[0; 32]);
    let header = RecordHeader::alone(RecordType::GroupCommit, COMMIT_BYTES, commit.seq_first, at);
    write_record(&header, &payload, salt, out);
    write_padding(at, salt, start, out);
}

fn write_padding(at: Timestamp, salt: &Salt, start: usize, out: &mut Vec<u8>) {
    let end = start + padded(out.len() - start);
    if let Some(payload_len) = (end - out.len()).checked_sub(HEADER_BYTES) {
        let header = RecordHeader::alone(RecordType::Pad, payload_len, 0, at);
        write_record(&header, &vec![0; payload_len], salt, out);
    }
    out.resize(end, 0);
}

/// A group that stands for records that are lost.
pub(crate) fn gap_group(from: u64, to: u64, offset: u64, at: Timestamp, salt: &Salt) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK_BYTES);
    let mut payload = Vec::with_capacity(GAP_BYTES);
    for number in [from, to, offset] {
        payload.extend_from_slice(&number.to_le_bytes());
    }
    let header = RecordHeader::alone(RecordType::Gap, GAP_BYTES, from, at);
    write_record(&header, &payload, salt, &mut out);
    write_commit(&Commit { seq_first: from, seq_next: to, count: 0 }, at, salt, 0, &mut out);
    out
}

/// The length of a group of `len` bytes with its padding.
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(BLOCK_BYTES)
}

/// One group, found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// What it holds.
    pub(crate) commit: Commit,
    /// Its length with padding.
    pub(crate) len: usize,
    /// Its records but commit and padding: header, and where the payload lies.
    pub(crate) records: Vec<(RecordHeader, Range<usize>)>,
}

/// Reads the group that begins `bytes`; `None` when it is not whole.
///
/// Every checksum is right, the commit record counts what stands before it, and the seqs are
/// contiguous.
pub(crate) fn read_group(bytes: &[u8], salt: &Salt) -> Option<Group> {
    let mut records = Vec::new();
    let mut offset = 0;
    let mut data_records = 0;
    loop {
        let (header, payload_crc) = RecordHeader::read(&bytes[offset..], salt)?;
        let payload_at = offset + HEADER_BYTES;
        let payload = payload_at..payload_at.checked_add(header.payload_len as usize)?;
        if checksum(salt, bytes.get(payload.clone())?) != payload_crc {
            return None;
        }
        let next = payload.end;
        match header.record_type {
            RecordType::GroupCommit => {
                let commit = read_commit(&bytes[payload], offset)?;
                let len = padded(next).min(bytes.len());
                let is_whole = u64::from(commit.count) == data_records
                    && (commit.is_gap() || commit.seq_next == commit.seq_first + data_records)
                    && has_contiguous_seqs(&records, commit.seq_first);
                return is_whole.then_some(Group { commit, len, records });
            }
            RecordType::Pad => return None,
            RecordType::Data(_) => data_records += 1,
            RecordType::Receipt | RecordType::Gap => {}
        }
        records.push((header, payload));
        offset = next;
    }
}

fn read_commit(payload: &[u8], group_bytes: usize) -> Option<Commit> {
    if payload.len() != COMMIT_BYTES || u64_at(payload, 20) != group_bytes as u64 {
        return None;
    }
    Some(Commit {
        seq_first: u64_at(payload, 0),
        seq_next: u64_at(payload, 8).wrapping_add(1),
        count: u32_at(payload, 16),
    })
}

fn has_contiguous_seqs(records: &[(RecordHeader, Range<usize>)], seq_first: u64) -> bool {
    let data =
        records.iter().filter(|(header, _)| matches!(header.record_type, RecordType::Data(_)));
    data.zip(seq_first..).all(|((header, _), seq)| header.seq == seq)
}

/// Writes a group again under another salt.
pub(crate) fn reseal(group: &Group, bytes: &[u8], salt: &Salt, out: &mut Vec<u8>) {
    let start = out.len();
    for (header, payload) in &group.records {
        write_record(header, &bytes[payload.clone()], salt, out);
    }
    let at = group.records.last().map_or(Timestamp::default(), |(header, _)| header.observed_at);
    write_commit(&group.commit, at, salt, start, out);
}

fn checksum(salt: &Salt, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(salt), bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the caller checked the length")
}

#[cfg(test)]
mod tests;
