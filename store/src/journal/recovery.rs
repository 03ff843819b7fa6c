//! What happens to the segments at start: which groups are whole, what is a torn tail, what is
//! damage, and how both are put in order before anybody trusts them.
//!
//! A group that is not whole is the torn tail when no whole group follows it, in this segment or a
//! later one: it was never acknowledged and is cut off. Otherwise records are lost: the segment is
//! copied to `quarantine/`, its whole groups are kept, and a gap record takes the place of the
//! lost ones. The newest segment is written again under a new salt before it is trusted: after a
//! failed sync its bytes may live in memory only.
//!
//! One segment is in memory at a time, however long the journal is.

use std::io;
use std::ops::Range;

use logwarden_event::{Position, Timestamp};
use metrics::{counter, gauge};
use tracing::{error, info, warn};

use super::damage::{self, Lost};
use super::format::SegmentHeader;
use super::format::{
    self, BLOCK_BYTES, Commit, Group, HEADER_BYTES, HeaderError, RecordHeader, Salt,
};
use super::idempotency::Known;
use super::segment::{self, Segment};
use crate::config::OnCorruption;
use crate::disk::{Disk, is_no_room};
use crate::error::OpenError;
use crate::metrics::{WAL_SEGMENTS_DAMAGED, WAL_TORN_TAIL_BYTES};
use crate::random::Entropy;
use crate::{Gap, Recovery};

/// Where damaged and unknown files are put aside.
const QUARANTINE_DIR: &str = "quarantine";
/// Copies of one name in quarantine; more are not kept.
const QUARANTINE_COPIES_MAX: u32 = 16;

/// What recovery hands to the writer and the readers.
pub(crate) struct Recovered {
    pub(crate) identity: [u8; 16],
    pub(crate) segments: Vec<Segment>,
    pub(crate) next_seq: u64,
    pub(crate) last_observed: Timestamp,
    pub(crate) keys: Vec<Known>,
    pub(crate) report: Recovery,
}

/// One segment file and what is whole in it; its bytes are not kept.
struct Scanned {
    path: String,
    size_bytes: u64,
    header: SegmentHeader,
    parts: Vec<Part>,
    /// Where the last whole group ends.
    end: usize,
    /// Bytes behind it up to the last one that is not zero.
    torn_bytes: u64,
    is_damaged: bool,
}

/// A group to keep, or records that are lost.
enum Part {
    Group(Kept),
    Lost { from: u64, to: u64, offset: usize },
}

/// What recovery remembers of a whole group.
struct Kept {
    offset: usize,
    len: usize,
    commit: Commit,
    last_observed: Timestamp,
    keys: Vec<Known>,
}

impl Kept {
    fn new(bytes: &[u8], offset: usize, group: &Group) -> Self {
        let headers = group.records.iter().map(|(header, _)| header);
        let key = |(header, range): &(RecordHeader, Range<usize>)| {
            Known::read(header, &bytes[offset + range.start..offset + range.end])
        };
        Self {
            offset,
            len: group.len,
            commit: group.commit,
            last_observed: headers.map(|header| header.observed_at).max().unwrap_or(Timestamp::MIN),
            keys: group.records.iter().filter_map(key).collect(),
        }
    }
}

/// Brings the segments in order.
pub(crate) fn recover(
    disk: &dyn Disk,
    on_corruption: OnCorruption,
    entropy: &mut Entropy,
) -> Result<Recovered, OpenError> {
    let lost = Vec::new();
    let mut recovery = Run {
        disk,
        on_corruption,
        entropy,
        report: Recovery::default(),
        lost,
        to_put_aside: Vec::new(),
    };
    disk.create_dir(segment::DIR).map_err(|error| OpenError::io_at(segment::DIR, &error))?;
    disk.sync_dir("").map_err(|error| OpenError::io_at("", &error))?;
    let bases = recovery.list()?;
    let mut scanned = recovery.scan_all(&bases)?;
    recovery.find_gaps(&mut scanned)?;
    recovery.finish(scanned)
}

struct Run<'a> {
    disk: &'a dyn Disk,
    on_corruption: OnCorruption,
    entropy: &'a mut Entropy,
    report: Recovery,
    lost: Vec<Lost>,
    /// Segments whose header is damaged, moved away when all else is in order.
    to_put_aside: Vec<String>,
}

impl Run<'_> {
    /// The segments by name; removes unfinished files and puts unknown ones aside.
    fn list(&mut self) -> Result<Vec<u64>, OpenError> {
        let names =
            self.disk.list(segment::DIR).map_err(|error| OpenError::io_at(segment::DIR, &error))?;
        let mut bases = Vec::new();
        for name in names {
            let path = format!("{}/{name}", segment::DIR);
            if let Some(base_seq) = segment::base_seq_of(&name) {
                bases.push(base_seq);
            } else if name.ends_with(segment::TEMPORARY_SUFFIX) {
                self.disk.remove(&path).map_err(|error| OpenError::io_at(&path, &error))?;
            } else {
                error!(file.path = %path, "`{path}` is no segment, it goes to quarantine");
                self.put_aside(&path)?;
            }
        }
        Ok(bases)
    }

    /// Moves a file to quarantine under a name that is not taken.
    fn put_aside(&mut self, path: &str) -> Result<(), OpenError> {
        let target = self.quarantine_name(path)?;
        if let Some(target) = target {
            self.disk.rename(path, &target).map_err(|error| OpenError::io_at(path, &error))?;
            self.sync_quarantine()?;
            self.report.quarantined.push(target);
        }
        Ok(())
    }

    fn quarantine_name(&self, path: &str) -> Result<Option<String>, OpenError> {
        let failed = |error: io::Error| OpenError::io_at(QUARANTINE_DIR, &error);
        self.disk.create_dir(QUARANTINE_DIR).map_err(failed)?;
        let taken = self.disk.list(QUARANTINE_DIR).map_err(failed)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok((0..QUARANTINE_COPIES_MAX)
            .map(|number| format!("{name}.{number}"))
            .find(|name| !taken.contains(name))
            .map(|name| format!("{QUARANTINE_DIR}/{name}")))
    }

    fn sync_quarantine(&self) -> Result<(), OpenError> {
        for dir in ["", QUARANTINE_DIR, segment::DIR] {
            self.disk.sync_dir(dir).map_err(|error| OpenError::io_at(dir, &error))?;
        }
        Ok(())
    }

    fn scan_all(&mut self, bases: &[u64]) -> Result<Vec<Scanned>, OpenError> {
        let mut scanned: Vec<Scanned> = Vec::with_capacity(bases.len());
        for (index, base_seq) in bases.iter().enumerate() {
            let path = segment::path_of(*base_seq);
            let bytes = read_file(self.disk, &path)?;
            let identity = scanned.first().map(|first| first.header.identity);
            match check_header(&path, &bytes, *base_seq, identity)? {
                Some(header) => {
                    // What a failed sync left behind here was written again into the next one.
                    let limit = bases.get(index + 1).copied().unwrap_or(u64::MAX);
                    scanned.push(scan(path, &bytes, header, limit));
                }
                None => {
                    // Nobody knows how many records it held, and no seq may be used twice.
                    let most = *base_seq + (bytes.len() / HEADER_BYTES) as u64;
                    let to = bases.get(index + 1).copied().unwrap_or(most);
                    self.lose_segment(&path, *base_seq, to, &mut scanned)?;
                }
            }
            info!(segments.done = index + 1, segments.all = bases.len(), "recovering the journal");
        }
        Ok(scanned)
    }

    /// A segment without a header: nothing in it can be checked.
    fn lose_segment(
        &mut self,
        path: &str,
        base_seq: u64,
        to: u64,
        scanned: &mut [Scanned],
    ) -> Result<(), OpenError> {
        let from = scanned.last().map_or(base_seq, Scanned::seq_next);
        if from < to {
            self.refuse_or_count(path, 0, from, to)?;
        }
        // The gap is written down by the segment before it, which must still know of it when the
        // next recovery no longer finds this one: it is moved away only after that.
        if let Some(last) = scanned.last_mut().filter(|_| from < to) {
            let offset = last.end;
            last.parts.push(Part::Lost { from, to, offset });
            last.is_damaged = true;
        }
        self.to_put_aside.push(path.to_owned());
        Ok(())
    }

    /// Notes every jump in the seqs that no gap record explains.
    fn find_gaps(&mut self, scanned: &mut [Scanned]) -> Result<(), OpenError> {
        for index in 0..scanned.len() {
            let next_base = scanned.get(index + 1).map(|next| next.header.base_seq);
            let segment = &mut scanned[index];
            let mut expected = segment.header.base_seq;
            let mut offset_after = BLOCK_BYTES;
            let mut parts = Vec::with_capacity(segment.parts.len());
            for part in std::mem::take(&mut segment.parts) {
                let (first, next, end) = part.extent();
                if first < expected {
                    // A group of seqs that stand before it already; it cannot have been read.
                    segment.is_damaged = true;
                    continue;
                }
                if first > expected {
                    parts.push(Part::Lost { from: expected, to: first, offset: offset_after });
                    self.refuse_or_count(&segment.path, offset_after, expected, first)?;
                    segment.is_damaged = true;
                }
                expected = next;
                offset_after = end;
                parts.push(part);
            }
            if let Some(to) = next_base.filter(|base| *base > expected) {
                parts.push(Part::Lost { from: expected, to, offset: offset_after });
                self.refuse_or_count(&segment.path, offset_after, expected, to)?;
                segment.is_damaged = true;
            }
            segment.parts = parts;
        }
        Ok(())
    }

    fn refuse_or_count(
        &mut self,
        path: &str,
        offset: usize,
        from: u64,
        to: u64,
    ) -> Result<(), OpenError> {
        if self.on_corruption == OnCorruption::Refuse {
            let offset = offset as u64;
            return Err(OpenError::Damaged { path: path.to_owned(), offset, from, to: to - 1 });
        }
        counter!(WAL_SEGMENTS_DAMAGED).increment(1);
        error!(
            segment.path = %path,
            segment.offset = offset,
            seq.first = from,
            seq.last = to - 1,
            "segment `{path}` is damaged, records {from} to {} are lost",
            to - 1,
        );
        let (segment, offset) = (path.to_owned(), offset as u64);
        self.lost.push(Lost { from, to, segment, offset });
        let at = |seq| Position { lane: 0, seq };
        self.report.gaps.push(Gap { from: at(from), to: at(to) });
        Ok(())
    }

    /// Notes what is lost before anything is put in order.
    fn note(&self) -> Result<(), OpenError> {
        if self.lost.is_empty() {
            return Ok(());
        }
        match damage::note(self.disk, &self.lost) {
            Err(OpenError::Io { path, error }) if is_no_room(&error) => {
                error!("no room to note the damage in `{path}`");
                Ok(())
            }
            noted => noted,
        }
    }

    /// Writes again what must not be trusted as it is, and sums up.
    fn finish(mut self, scanned: Vec<Scanned>) -> Result<Recovered, OpenError> {
        self.note()?;
        let identity = scanned.first().map(|first| first.header.identity);
        let identity = identity.unwrap_or_else(|| self.entropy.bytes16());
        let mut segments = Vec::with_capacity(scanned.len());
        let mut keys = Vec::new();
        let mut next_seq = 1;
        let mut last_observed = Timestamp::MIN;
        let count = scanned.len();
        for (index, scanned) in scanned.into_iter().enumerate() {
            let is_newest = index + 1 == count;
            if is_newest {
                self.report.torn_tail_bytes = scanned.torn_bytes;
            }
            next_seq = scanned.seq_next();
            segments.push(self.settle(&scanned, is_newest)?);
            for kept in scanned.parts.into_iter().filter_map(Part::into_group) {
                last_observed = last_observed.max(kept.last_observed);
                self.report.records += u64::from(kept.commit.count);
                keys.extend(kept.keys);
            }
        }
        for path in std::mem::take(&mut self.to_put_aside) {
            self.put_aside(&path)?;
        }
        self.disk.sync_dir(segment::DIR).map_err(|error| OpenError::io_at(segment::DIR, &error))?;
        gauge!(WAL_TORN_TAIL_BYTES).set(self.report.torn_tail_bytes as f64);
        if self.report.torn_tail_bytes > 0 {
            let torn_bytes = self.report.torn_tail_bytes;
            info!(torn.size_bytes = torn_bytes, "a torn tail of {torn_bytes} bytes was cut off");
        }
        self.report.segments = segments.len();
        let report = self.report;
        Ok(Recovered { identity, segments, next_seq, last_observed, keys, report })
    }

    /// Makes a segment trustworthy; answers where its groups are then.
    fn settle(&mut self, scanned: &Scanned, is_newest: bool) -> Result<Segment, OpenError> {
        let is_empty = scanned.parts.is_empty();
        if !(scanned.is_damaged || (is_newest && !is_empty)) {
            return Ok(scanned.as_it_is());
        }
        let failed = |error: io::Error| OpenError::io_at(&scanned.path, &error);
        let bytes = read_file(self.disk, &scanned.path)?;
        match self.write_again(scanned, &bytes) {
            Ok(segment) => Ok(segment),
            Err(error) if is_no_room(&error) => {
                // The same bytes once more in the same place: a sync that succeeds now makes them
                // durable, and one that tears them leaves what was there.
                warn!(segment.path = %scanned.path, "no room for a new segment, the old one stays");
                let file = self.disk.open(&scanned.path).map_err(failed)?;
                file.write_all_at(&bytes[..scanned.end], 0).map_err(failed)?;
                file.sync().map_err(failed)?;
                Ok(scanned.as_it_is())
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn write_again(&mut self, scanned: &Scanned, bytes: &[u8]) -> io::Result<Segment> {
        if scanned.is_damaged {
            self.copy_to_quarantine(&scanned.path, bytes)?;
        }
        let header = SegmentHeader { salt: self.entropy.bytes16(), ..scanned.header };
        let (bytes, segment) = scanned.rewritten(bytes, &header)?;
        let temporary = format!("{}{}", scanned.path, segment::TEMPORARY_SUFFIX);
        let written = self.disk.create_new(&temporary).and_then(|file| {
            file.write_all_at(&bytes, 0)?;
            // Tried once: after an error nobody knows what the file holds.
            file.sync()
        });
        if let Err(error) = written {
            // The next start removes it when this fails.
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        self.disk.rename(&temporary, &scanned.path)?;
        self.disk.sync_dir(segment::DIR)?;
        Ok(segment)
    }

    fn copy_to_quarantine(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let other = |error: OpenError| io::Error::other(error.to_string());
        let Some(target) = self.quarantine_name(path).map_err(other)? else {
            return Ok(());
        };
        let written = self.disk.create_new(&target).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.sync()
        });
        if let Err(error) = written {
            let _ = self.disk.remove(&target);
            return Err(error);
        }
        self.sync_quarantine().map_err(other)?;
        self.report.quarantined.push(target);
        Ok(())
    }
}

impl Scanned {
    fn seq_next(&self) -> u64 {
        self.parts.last().map_or(self.header.base_seq, |last| last.extent().1)
    }

    /// The segment without writing anything.
    fn as_it_is(&self) -> Segment {
        let mut segment = Segment::new(self.header.base_seq, self.header.salt, self.size_bytes);
        for part in &self.parts {
            if let Part::Group(Kept { offset, len, commit, .. }) = part {
                if commit.is_gap() {
                    segment.seq_next = commit.seq_next;
                } else {
                    let (offset, len) = (*offset as u64, *len as u64);
                    segment.push_group(commit.seq_first, commit.seq_next, offset, len);
                }
            }
        }
        segment.seq_next = self.seq_next();
        segment
    }

    /// The segment written again under `header`, with gap records for what is lost.
    ///
    /// # Errors
    ///
    /// When `bytes`, read again, are not what was scanned.
    fn rewritten(&self, bytes: &[u8], header: &SegmentHeader) -> io::Result<(Vec<u8>, Segment)> {
        let mut out = header.encode();
        let mut segment = Segment::new(header.base_seq, header.salt, 0);
        for part in &self.parts {
            let start = out.len();
            match part {
                Part::Group(Kept { offset, commit, .. }) => {
                    let bytes = bytes.get(*offset..).unwrap_or_default();
                    let group = format::read_group(bytes, &self.header.salt)
                        .filter(|group| group.commit == *commit)
                        .ok_or_else(|| io::Error::other("it reads otherwise a second time"))?;
                    format::reseal(&group, bytes, &header.salt, &mut out);
                    if !commit.is_gap() {
                        let (start, len) = (start as u64, (out.len() - start) as u64);
                        segment.push_group(commit.seq_first, commit.seq_next, start, len);
                    }
                }
                Part::Lost { from, to, offset } => {
                    let at = header.created_at;
                    let gap = format::gap_group(*from, *to, *offset as u64, at, &header.salt);
                    out.extend_from_slice(&gap);
                }
            }
        }
        segment.seq_next = self.seq_next();
        segment.size_bytes = out.len() as u64;
        Ok((out, segment))
    }
}

impl Part {
    /// First seq, next seq, and where in the segment it ends.
    fn extent(&self) -> (u64, u64, usize) {
        match self {
            Self::Group(kept) => {
                (kept.commit.seq_first, kept.commit.seq_next, kept.offset + kept.len)
            }
            Self::Lost { from, to, offset } => (*from, *to, *offset),
        }
    }

    fn into_group(self) -> Option<Kept> {
        match self {
            Self::Group(kept) => Some(kept),
            Self::Lost { .. } => None,
        }
    }
}

fn read_file(disk: &dyn Disk, path: &str) -> Result<Vec<u8>, OpenError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(path)?;
        let mut bytes = vec![0; file.size_bytes()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    read().map_err(|error| OpenError::io_at(path, &error))
}

/// `None` when the header is damaged or belongs to something else.
fn check_header(
    path: &str,
    bytes: &[u8],
    base_seq: u64,
    identity: Option<[u8; 16]>,
) -> Result<Option<SegmentHeader>, OpenError> {
    let block = &bytes[..bytes.len().min(BLOCK_BYTES)];
    match SegmentHeader::decode(block) {
        Ok(header) => {
            let is_ours = header.base_seq == base_seq
                && identity.is_none_or(|identity| identity == header.identity);
            Ok(is_ours.then_some(header))
        }
        Err(HeaderError::Damaged) => Ok(None),
        Err(HeaderError::TooNew(found)) => {
            Err(OpenError::TooNew { path: path.to_owned(), found, known: format::FORMAT })
        }
    }
}

/// Finds every whole group of a segment with seqs below `limit`.
fn scan(path: String, bytes: &[u8], header: SegmentHeader, limit: u64) -> Scanned {
    let mut parts = Vec::new();
    let mut offset = BLOCK_BYTES;
    let mut end = offset.min(bytes.len());
    let salt: &Salt = &header.salt;
    while offset < bytes.len() {
        match format::read_group(&bytes[offset..], salt) {
            Some(group) => {
                let next = offset + group.len;
                let commit = group.commit;
                // A receipt alone has no seq of its own: it stands before the next one.
                let is_below = commit.seq_first < limit && commit.seq_next <= limit;
                if is_below || (commit.count == 0 && commit.seq_next == limit) {
                    parts.push(Part::Group(Kept::new(bytes, offset, &group)));
                    end = next;
                }
                offset = next;
            }
            None => offset += BLOCK_BYTES,
        }
    }
    let size_bytes = bytes.len() as u64;
    let torn_bytes = torn_bytes(&bytes[end..]);
    Scanned { path, size_bytes, header, parts, end, torn_bytes, is_damaged: false }
}

/// Bytes up to the last one that is not zero.
fn torn_bytes(tail: &[u8]) -> u64 {
    tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}
