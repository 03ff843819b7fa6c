//! Segments: their names, how a new one is made, and which of them hold what.
//!
//! A new segment is written full of zeros under a temporary name and synced; its header is written
//! and synced when it is put to use, and only then it gets its name. A name is never given to
//! other content, with one exception: a segment without records is replaced by the next one, which
//! begins with the same seq and takes over what receipts it holds.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::format::{BLOCK_BYTES, Salt, SegmentHeader};
use crate::disk::{Disk, DiskFile};

/// The directory of segments.
pub(crate) const DIR: &str = "wal";
/// Segments being made; removed at start.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

const SUFFIX: &str = ".lwal";
const SEQ_DIGITS: usize = 20;
/// A reader takes at least this much from the disk at once, in whole groups.
const SPAN_BYTES: u64 = 64 * 1024;

/// The path of the segment that begins with `base_seq`.
pub(crate) fn path_of(base_seq: u64) -> String {
    format!("{DIR}/{base_seq:020}{SUFFIX}")
}

/// The seq a segment of this name begins with; `None` when it is no such name.
pub(crate) fn base_seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == SEQ_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// A file full of zeros, synced, without a name of its own.
pub(crate) struct Prepared {
    pub(crate) path: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) capacity_bytes: u64,
}

/// Makes a file of `capacity_bytes` for a later segment.
pub(crate) fn prepare(disk: &dyn Disk, name: &str, capacity_bytes: u64) -> io::Result<Prepared> {
    let path = format!("{DIR}/{name}{TEMPORARY_SUFFIX}");
    let filled = disk.create_zeroed(&path, capacity_bytes);
    match filled.and_then(|file| file.sync().map(|()| file)) {
        Ok(file) => Ok(Prepared { path, file, capacity_bytes }),
        Err(error) => {
            // What is left over is removed at the next start.
            let _ = disk.remove(&path);
            Err(error)
        }
    }
}

/// Puts a prepared file to use: header and first groups, sync, name, directory sync.
pub(crate) fn put_to_use(
    disk: &dyn Disk,
    prepared: &Prepared,
    header: &SegmentHeader,
    groups: &[u8],
) -> io::Result<()> {
    prepared.file.write_all_at(&header.encode(), 0)?;
    prepared.file.write_all_at(groups, BLOCK_BYTES as u64)?;
    prepared.file.sync()?;
    disk.rename(&prepared.path, &path_of(header.base_seq))?;
    disk.sync_dir(DIR)
}

/// Groups that are read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first seq.
    pub(crate) seq_first: u64,
    /// The first seq after it.
    pub(crate) seq_next: u64,
    /// Where it begins in the segment.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) len: u64,
}

/// One segment, as readers need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base_seq: u64,
    /// The first seq after it.
    pub(crate) seq_next: u64,
    pub(crate) salt: Salt,
    pub(crate) size_bytes: u64,
    pub(crate) spans: Vec<Span>,
}

impl Segment {
    /// A segment without groups.
    pub(crate) fn new(base_seq: u64, salt: Salt, size_bytes: u64) -> Self {
        Self { base_seq, seq_next: base_seq, salt, size_bytes, spans: Vec::new() }
    }

    /// Adds a group at its end. Groups without records of their own leave no trace.
    pub(crate) fn push_group(&mut self, seq_first: u64, seq_next: u64, offset: u64, len: u64) {
        debug_assert!(offset >= BLOCK_BYTES as u64 && seq_first >= self.seq_next);
        if seq_next == seq_first {
            return;
        }
        self.seq_next = seq_next;
        if let Some(last) = self.spans.last_mut()
            && last.seq_next == seq_first
            && last.offset + last.len == offset
            && last.len < SPAN_BYTES
        {
            last.seq_next = seq_next;
            last.len += len;
            return;
        }
        self.spans.push(Span { seq_first, seq_next, offset, len });
    }
}

/// Where a seq is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this span of the segment that begins with `base_seq`.
    Span { base_seq: u64, salt: Salt, span: Span },
    /// Trimmed or lost; `to` is the next that can be read.
    Gap { to: u64 },
}

/// All segments, oldest first. Bounded by the room for the journal: about a kilobyte per mebibyte.
#[derive(Default)]
pub(crate) struct Segments {
    list: RwLock<VecDeque<Segment>>,
}

impl Segments {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        Self { list: RwLock::new(segments.into()) }
    }

    /// Adds a segment, in place of an empty one of the same name.
    pub(crate) fn add(&self, segment: Segment) {
        let mut list = self.write();
        if list.back().is_some_and(|last| last.base_seq == segment.base_seq) {
            list.pop_back();
        }
        list.push_back(segment);
    }

    /// Adds a durable group to the newest segment.
    pub(crate) fn push_group(&self, seq_first: u64, seq_next: u64, offset: u64, len: u64) {
        let mut list = self.write();
        let newest = list.back_mut().expect("a group is written into a segment");
        newest.push_group(seq_first, seq_next, offset, len);
    }

    /// Where `seq` is; the caller knows that it is below the end.
    pub(crate) fn locate(&self, seq: u64) -> Option<Place> {
        let list = self.read();
        let after = list.partition_point(|segment| segment.seq_next <= seq);
        list.range(after..).find_map(|segment| {
            let at = segment.spans.partition_point(|span| span.seq_next <= seq);
            let span = *segment.spans.get(at)?;
            if span.seq_first > seq {
                return Some(Place::Gap { to: span.seq_first });
            }
            Some(Place::Span { base_seq: segment.base_seq, salt: segment.salt, span })
        })
    }

    /// The first seq that can be read, if there is any segment.
    pub(crate) fn start(&self) -> Option<u64> {
        let list = self.read();
        let first_span = list.iter().find_map(|segment| segment.spans.first());
        first_span.map(|span| span.seq_first).or_else(|| list.front().map(|first| first.base_seq))
    }

    /// The oldest segments that hold nothing from `floor` on, but the newest of these and never
    /// the newest of all.
    pub(crate) fn below(&self, floor: u64) -> Vec<Segment> {
        let list = self.read();
        let below = list.iter().take_while(|segment| segment.seq_next <= floor).count();
        let count = below.min(list.len().saturating_sub(1)).saturating_sub(1);
        list.iter().take(count).cloned().collect()
    }

    /// The oldest segment, unless fewer than three are left.
    pub(crate) fn oldest_to_drop(&self) -> Option<Segment> {
        let list = self.read();
        if list.len() < 3 { None } else { list.front().cloned() }
    }

    /// Forgets the oldest segment.
    pub(crate) fn forget(&self, base_seq: u64) {
        self.write().retain(|segment| segment.base_seq != base_seq);
    }

    /// Whether the newest one begins with `base_seq`.
    pub(crate) fn has_base(&self, base_seq: u64) -> bool {
        self.read().back().is_some_and(|newest| newest.base_seq == base_seq)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Bytes of all of them.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.read().iter().map(|segment| segment.size_bytes).sum()
    }

    // A panic while the lock was held left the list as it was: every change is one call.
    fn read(&self) -> RwLockReadGuard<'_, VecDeque<Segment>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, VecDeque<Segment>> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_twenty_digits() {
        assert_eq!(path_of(42), "wal/00000000000000000042.lwal");
        assert_eq!(base_seq_of("00000000000000000042.lwal"), Some(42));
        for name in ["42.lwal", "0000000000000000004x.lwal", "00000000000000000042.lwal.tmp", ""] {
            assert_eq!(base_seq_of(name), None, "{name}");
        }
        assert_eq!(base_seq_of("99999999999999999999.lwal"), None);
    }

    fn segment(base_seq: u64, groups: &[(u64, u64)]) -> Segment {
        let mut segment = Segment::new(base_seq, [0; 16], 1 << 20);
        for ((first, next), index) in groups.iter().zip(1..) {
            segment.push_group(*first, *next, index * SPAN_BYTES, SPAN_BYTES);
        }
        segment
    }

    #[test]
    fn a_seq_is_found_or_is_a_gap() {
        let segments = Segments::new(vec![
            segment(5, &[(5, 8), (10, 12)]),
            segment(12, &[]),
            segment(14, &[(14, 15)]),
        ]);
        let check = |seq: u64, expected: &str| {
            let found = match segments.locate(seq) {
                Some(Place::Span { span, .. }) => format!("{}..{}", span.seq_first, span.seq_next),
                Some(Place::Gap { to }) => format!("gap to {to}"),
                None => "nothing".to_owned(),
            };
            assert_eq!(found, expected, "seq {seq}");
        };
        check(1, "gap to 5");
        check(5, "5..8");
        check(7, "5..8");
        check(8, "gap to 10");
        check(11, "10..12");
        check(12, "gap to 14");
        check(14, "14..15");
        check(15, "nothing");
        assert_eq!(segments.start(), Some(5));
    }

    #[test]
    fn trimming_keeps_one_extra_and_the_newest() {
        let segments = Segments::new(vec![
            segment(1, &[(1, 10)]),
            segment(10, &[(10, 20)]),
            segment(20, &[(20, 30)]),
            segment(30, &[(30, 40)]),
        ]);
        let check = |floor: u64, expected: &[u64]| {
            let below: Vec<u64> =
                segments.below(floor).iter().map(|segment| segment.base_seq).collect();
            assert_eq!(below, expected, "floor {floor}");
        };
        check(1, &[]);
        check(10, &[]);
        check(20, &[1]);
        check(29, &[1]);
        check(30, &[1, 10]);
        check(100, &[1, 10]);
    }
}
