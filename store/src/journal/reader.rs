//! Reading from the disk, for readers that are behind what is in memory.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use logwarden_event::{Event, Position};
use metrics::counter;
use tracing::error;

use super::cache::part_of;
use super::damage::Lost;
use super::format::{self, BLOCK_BYTES, Group, RecordType, Salt};
use super::segment::{self, Place, Segments, Span};
use super::{Chunk, JournalError, Record};
use crate::disk::Disk;
use crate::metrics::WAL_SEGMENTS_DAMAGED;

/// Spans kept decoded, so that a reader that takes few records at a time decodes them once.
const SPANS_MAX: usize = 4;

/// What is decoded of a span: runs of contiguous records, with the first seq of each.
type Runs = Vec<(u64, Arc<[Record]>)>;

/// Reads spans from segments.
pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    decoded: Mutex<VecDeque<(u64, Span, Arc<Runs>)>>,
}

impl Reader {
    pub(crate) fn new(disk: Arc<dyn Disk>, segments: Arc<Segments>) -> Self {
        Self { disk, segments, decoded: Mutex::default() }
    }

    /// Reads from `seq` on, which is below `end`; also tells what is lost to damage there.
    pub(crate) fn read(
        &self,
        seq: u64,
        records_max: usize,
        end: u64,
    ) -> Result<(Chunk, Option<Lost>), JournalError> {
        loop {
            let (base_seq, salt, span) = match self.segments.locate(seq) {
                Some(Place::Span { base_seq, salt, span }) => (base_seq, salt, span),
                Some(Place::Gap { to }) => return Ok((gap(seq, to), None)),
                None => return Ok((gap(seq, end), None)),
            };
            let path = segment::path_of(base_seq);
            match self.runs(&path, base_seq, &salt, span) {
                Ok(runs) => {
                    let chunk = chunk_of(&runs, span, seq, records_max);
                    let lost = match &chunk {
                        Chunk::Records { .. } => None,
                        Chunk::Gap { from, to } => Some(Lost {
                            from: from.seq,
                            to: to.seq,
                            segment: path,
                            offset: span.offset,
                        }),
                    };
                    return Ok((chunk, lost));
                }
                // Trimmed a moment ago: it is a gap now.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && !self.is_still_there(seq, base_seq) => {}
                Err(error) => {
                    let offset = span.offset;
                    return Err(JournalError::Failed(format!(
                        "`{path}` cannot be read at byte {offset}: {error}"
                    )));
                }
            }
        }
    }

    fn is_still_there(&self, seq: u64, base_seq: u64) -> bool {
        matches!(
            self.segments.locate(seq),
            Some(Place::Span { base_seq: found, .. }) if found == base_seq
        )
    }

    fn runs(&self, path: &str, base_seq: u64, salt: &Salt, span: Span) -> io::Result<Arc<Runs>> {
        let is_same = |entry: &&(u64, Span, Arc<Runs>)| entry.0 == base_seq && entry.1 == span;
        if let Some((_, _, runs)) = self.lock().iter().find(is_same) {
            return Ok(Arc::clone(runs));
        }
        let mut bytes = vec![0; span.len as usize];
        self.disk.open(path)?.read_exact_at(&mut bytes, span.offset)?;
        let runs = Arc::new(decode(path, &bytes, salt, span)?);
        let mut decoded = self.lock();
        if decoded.len() >= SPANS_MAX {
            decoded.pop_front();
        }
        decoded.push_back((base_seq, span, Arc::clone(&runs)));
        Ok(runs)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Span, Arc<Runs>)>> {
        self.decoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gap(from: u64, to: u64) -> Chunk {
    let at = |seq| Position { lane: 0, seq };
    Chunk::Gap { from: at(from), to: at(to) }
}

/// The records of a span from `seq` on; a gap when they are damaged.
fn chunk_of(runs: &Runs, span: Span, seq: u64, records_max: usize) -> Chunk {
    for (first, records) in runs {
        if seq < *first {
            return gap(seq, *first);
        }
        if seq < first + records.len() as u64 {
            let records = part_of(records, *first, seq, records_max);
            let next = Position { lane: 0, seq: seq + records.len() as u64 };
            return Chunk::Records { records, next };
        }
    }
    gap(seq, span.seq_next)
}

/// Decodes all whole groups of a span. A group that is damaged since recovery is left out.
fn decode(path: &str, bytes: &[u8], salt: &Salt, span: Span) -> io::Result<Runs> {
    let mut runs: Runs = Vec::new();
    let mut records: Vec<Record> = Vec::new();
    let mut run_first = span.seq_first;
    let mut offset = 0;
    while offset < bytes.len() {
        let Some(group) = format::read_group(&bytes[offset..], salt) else {
            let at = span.offset + offset as u64;
            counter!(WAL_SEGMENTS_DAMAGED).increment(1);
            error!(segment.path = %path, segment.offset = at, "segment `{path}` is damaged at {at}");
            offset += BLOCK_BYTES;
            continue;
        };
        if group.commit.seq_first != run_first + records.len() as u64 {
            push_run(&mut runs, run_first, &mut records);
            run_first = group.commit.seq_first;
        }
        decode_group(bytes, offset, &group, &mut records)?;
        offset += group.len;
    }
    push_run(&mut runs, run_first, &mut records);
    Ok(runs)
}

fn push_run(runs: &mut Runs, first: u64, records: &mut Vec<Record>) {
    if !records.is_empty() {
        runs.push((first, std::mem::take(records).into()));
    }
}

fn decode_group(
    bytes: &[u8],
    offset: usize,
    group: &Group,
    records: &mut Vec<Record>,
) -> io::Result<()> {
    for (header, range) in &group.records {
        let RecordType::Data(kind) = header.record_type else {
            continue;
        };
        let payload = &bytes[offset + range.start..offset + range.end];
        let position = Position { lane: 0, seq: header.seq };
        let event = Event::decode(payload, position, header.observed_at).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("record {}: {error}", header.seq))
        })?;
        let batch_id = (header.batch_id != [0; 16]).then_some(header.batch_id);
        records.push(Record { kind, event, batch_id });
    }
    Ok(())
}
