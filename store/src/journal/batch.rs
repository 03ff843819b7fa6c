//! A batch on its way into a group: encoded by the caller, numbered and stamped by the writer.

use bytes::Bytes;
use logwarden_event::{Position, Timestamp};
use sha2::{Digest, Sha256};

use super::format::{
    self, COMMIT_BYTES, Commit, HEADER_BYTES, RECEIPT_PREFIX_BYTES, RecordHeader, RecordType, Salt,
};
use super::{Append, Draft, IdempotencyKey, JournalError, Record};

/// Records in one batch.
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// Bytes of the records of one batch, as received.
pub const BATCH_RAW_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one batch with all that normalization added.
pub const BATCH_ENCODED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one receipt.
pub const RECEIPT_BYTES_MAX: usize = 1024 * 1024;

/// A batch that can be written into any segment at any seq.
pub(crate) struct Batch {
    records: Vec<Record>,
    /// Source and payload length of every record.
    shapes: Vec<(u32, u32)>,
    payloads: Vec<u8>,
    batch_id: Option<[u8; 16]>,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) receipt: Bytes,
}

impl Batch {
    /// Takes the drafts and encodes them; their place and time come later.
    pub(crate) fn encode(append: &mut Append) -> Result<Self, JournalError> {
        check(append.drafts.len(), BATCH_RECORDS_MAX, "records")?;
        check(append.receipt.len(), RECEIPT_BYTES_MAX, "bytes of receipt")?;
        let raw_bytes = append.drafts.iter().map(|draft| draft.event.raw().len()).sum();
        check(raw_bytes, BATCH_RAW_BYTES_MAX, "bytes")?;
        let encoded_bytes_max: usize =
            append.drafts.iter().map(|draft| draft.event.encoded_bytes_max()).sum();
        let room = encoded_bytes_max.min(BATCH_ENCODED_BYTES_MAX);
        let mut payloads = Vec::with_capacity(room);
        let mut shapes = Vec::with_capacity(append.drafts.len());
        let mut records = Vec::with_capacity(append.drafts.len());
        let batch_id = append.idempotency.map(|key| key.key).or(append.batch_id);
        let mut last_source = (String::new(), source_number(""));
        for draft in std::mem::take(&mut append.drafts) {
            if draft.event.source() != last_source.0 {
                let source = draft.event.source();
                last_source = (source.to_owned(), source_number(source));
            }
            let start = payloads.len();
            draft.event.encode(&mut payloads);
            shapes.push((last_source.1, (payloads.len() - start) as u32));
            records.push(Record { kind: draft.kind, event: draft.event, batch_id });
            check(payloads.len(), BATCH_ENCODED_BYTES_MAX, "bytes with what normalization added")?;
        }
        let (key, receipt) = (append.idempotency, std::mem::take(&mut append.receipt));
        Ok(Self { records, shapes, payloads, batch_id, key, receipt })
    }

    /// Records in the batch.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes it takes in a group.
    pub(crate) fn group_bytes(&self) -> usize {
        let receipt = match self.key {
            Some(_) => HEADER_BYTES + RECEIPT_PREFIX_BYTES + self.receipt.len(),
            None => 0,
        };
        self.records.len() * HEADER_BYTES + self.payloads.len() + receipt
    }

    /// Gives every record its place and time, from `seq` and `last_observed` on.
    pub(crate) fn stamp(&mut self, seq: u64, now: Timestamp, last_observed: &mut Timestamp) {
        for (record, seq) in self.records.iter_mut().zip(seq..) {
            let next = Timestamp::from_nanos(last_observed.nanos().saturating_add(1));
            *last_observed = now.max(next);
            record.event.stamp(Position { lane: 0, seq }, *last_observed);
        }
    }

    /// Appends the stamped records and the receipt to a group. `seq` is that of the first record.
    fn write(&self, seq: u64, at: Timestamp, salt: &Salt, out: &mut Vec<u8>) {
        let batch_id = self.batch_id.unwrap_or_default();
        let batch_len = self.records.len() as u16;
        let mut start = 0;
        for (index, (record, (source, len))) in self.records.iter().zip(&self.shapes).enumerate() {
            let header = RecordHeader {
                record_type: RecordType::Data(record.kind),
                payload_len: *len,
                seq: seq + index as u64,
                source: *source,
                observed_at: record.event.observed_at(),
                batch_id,
                index_in_batch: index as u16,
                batch_len,
            };
            let end = start + *len as usize;
            format::write_record(&header, &self.payloads[start..end], salt, out);
            start = end;
        }
        if let Some(key) = self.key {
            let mut payload = Vec::with_capacity(RECEIPT_PREFIX_BYTES + self.receipt.len());
            payload.extend_from_slice(&key.body);
            payload.extend_from_slice(&self.receipt);
            let header = RecordHeader {
                record_type: RecordType::Receipt,
                payload_len: payload.len() as u32,
                seq,
                source: 0,
                observed_at: at,
                batch_id,
                index_in_batch: 0,
                batch_len,
            };
            format::write_record(&header, &payload, salt, out);
        }
    }

    /// Puts the drafts back where they came from.
    pub(crate) fn give_back(self, append: &mut Append) {
        let drafts = self.records.into_iter();
        append.drafts = drafts.map(|Record { kind, event, .. }| Draft { kind, event }).collect();
        append.receipt = self.receipt;
    }

    /// The stamped records.
    pub(crate) fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// Bytes a group of these batches takes, with commit record and padding.
pub(crate) fn group_bytes(batches: &[Batch]) -> usize {
    let records: usize = batches.iter().map(Batch::group_bytes).sum();
    format::padded(records + HEADER_BYTES + COMMIT_BYTES)
}

/// Writes stamped batches as one group.
pub(crate) fn write_group(
    batches: &[Batch],
    seq_first: u64,
    at: Timestamp,
    salt: &Salt,
    out: &mut Vec<u8>,
) {
    out.clear();
    let mut seq = seq_first;
    for batch in batches {
        batch.write(seq, at, salt, out);
        seq += batch.len() as u64;
    }
    let count = (seq - seq_first) as u32;
    format::write_commit(&Commit { seq_first, seq_next: seq, count }, at, salt, 0, out);
}

/// The number a source has in record headers.
fn source_number(source: &str) -> u32 {
    let hash: [u8; 32] = Sha256::digest(source.as_bytes()).into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn check(found: usize, limit: usize, what: &'static str) -> Result<(), JournalError> {
    if found > limit {
        return Err(JournalError::TooLarge { what, found, limit });
    }
    Ok(())
}
