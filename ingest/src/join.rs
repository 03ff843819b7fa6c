//! Records that are pieces of one: lines that a container runtime split, and the lines of a stack
//! trace.
//!
//! Input: records in the order in which they came. Output: groups of them, of which each becomes one
//! event; a record that is no piece of anything goes its own way at once. Streams are kept apart: what
//! a container writes to its two outputs, and lines without any envelope. A group is bounded by
//! [`LINES_MAX`] and [`BYTES_MAX`], the groups that are open by [`STREAMS_MAX`]: beyond them a group
//! ends early, which counts. Lines of a stack trace in syslog messages are joined when host, program, process and
//! priority are the same.

mod piece;
mod syslog;
mod trace;

use std::borrow::Cow;
use std::time::Duration;

use logwarden_event::Timestamp;
use metrics::counter;
use tokio::time::Instant;

use crate::metrics::GROUPS_CUT_TOTAL;
use crate::normalize::Wrapped;
use piece::{Form, Piece};
use trace::Trace;

/// How long a connection or file is waited for when what came last may go on.
pub(crate) const WAIT: Duration = Duration::from_millis(300);
/// How long it waits while others come all the time.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Records of one group.
const LINES_MAX: usize = 500;
/// Bytes of the records of one group.
const BYTES_MAX: usize = 256 << 10;
/// Groups that are open at once.
const STREAMS_MAX: usize = 32;

/// Streams with records that may go on. `T` is what is kept of a record.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    /// Oldest first.
    open: Vec<Group<T>>,
}

/// Records that belong together, in order.
#[derive(Debug)]
pub(crate) struct Group<T> {
    form: Form,
    pub(crate) records: Vec<T>,
    /// What they say together.
    text: Vec<u8>,
    /// Bytes of the records.
    bytes: usize,
    trace: Trace,
    /// The last line has ended.
    is_whole: bool,
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self { open: Vec::new() }
    }
}

impl<T> Streams<T> {
    /// Looks at the next record. True when it was kept, by `keep`; groups that have ended with it or
    /// before it are put into `ended`, and come before the record when it was not kept.
    pub(crate) fn take(
        &mut self,
        record: &[u8],
        keep: impl FnOnce() -> T,
        ended: &mut Vec<Group<T>>,
    ) -> bool {
        let Some(piece) = Piece::of(record, !self.open.is_empty()) else { return false };
        let bytes = record.len();
        if let Some(place) = self.open.iter().position(|group| group.form == piece.form) {
            let group = &mut self.open[place];
            let is_cut = group.records.len() >= LINES_MAX || group.bytes + bytes > BYTES_MAX;
            match group.trace_with(&piece) {
                Some(trace) if !is_cut => {
                    group.push(keep(), &piece, bytes, trace);
                    if !group.may_go_on() {
                        ended.push(self.open.remove(place));
                    }
                    return true;
                }
                Some(_) => counter!(GROUPS_CUT_TOTAL, "reason" => "too_long").increment(1),
                None => {}
            }
            ended.push(self.open.remove(place));
        }
        let trace = piece.begin();
        if (piece.is_whole && trace == Trace::None) || piece.is_last {
            return false;
        }
        if self.open.len() >= STREAMS_MAX {
            counter!(GROUPS_CUT_TOTAL, "reason" => "too_many").increment(1);
            ended.push(self.open.remove(0));
        }
        let mut group = Group {
            form: piece.form,
            records: Vec::new(),
            text: Vec::new(),
            bytes: 0,
            trace,
            is_whole: true,
        };
        group.push(keep(), &piece, bytes, trace);
        self.open.push(group);
        true
    }

    /// Ends all groups.
    pub(crate) fn finish(&mut self) -> Vec<Group<T>> {
        std::mem::take(&mut self.open)
    }
}

impl<T> Group<T> {
    /// How the trace stands when the piece belongs to the group; nothing when it does not.
    fn trace_with(&self, piece: &Piece<'_>) -> Option<Trace> {
        if self.is_whole { self.trace.next(&piece.text) } else { Some(self.trace) }
    }

    fn push(&mut self, record: T, piece: &Piece<'_>, bytes: usize, trace: Trace) {
        if self.is_whole && !self.records.is_empty() {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(&piece.text);
        self.records.push(record);
        self.bytes += bytes;
        self.trace = trace;
        self.is_whole = piece.is_whole;
    }

    fn may_go_on(&self) -> bool {
        !self.is_whole || self.trace != Trace::None
    }
}

/// How many records at the end must wait: those that may go on with the next one, which is not here
/// yet, and what stands between the records of a group.
pub(crate) fn open_records<'r>(records: impl Iterator<Item = &'r [u8]>) -> usize {
    let (mut streams, mut ended, mut count) = (Streams::default(), Vec::new(), 0);
    for record in records {
        streams.take(record, || count, &mut ended);
        count += 1;
    }
    let mut waiting = streams.open.iter().filter_map(|group| group.records.first()).min().copied();
    // A group is never torn: the last ones to end reach furthest.
    for group in ended.iter().rev() {
        if let (Some(from), [first, .., last]) = (waiting, &group.records[..])
            && *last >= from
        {
            waiting = Some(from.min(*first));
        }
    }
    waiting.map_or(0, |from| count - from)
}

/// Since when the records at the end of a stream wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    since: Option<Instant>,
    count: usize,
}

impl Waiting {
    /// How many of `open` records, the last of `count`, may wait still: all, or none once they have
    /// waited for [`WAIT_MAX`].
    pub(crate) fn allow(&mut self, open: usize, count: usize, now: Instant) -> usize {
        // Those that waited before are no more among them.
        if count - open >= self.count {
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        let may_wait = open > 0 && now.duration_since(since) < WAIT_MAX;
        self.count = if may_wait { open } else { 0 };
        self.count
    }

    /// When what waits has waited long enough, should nothing come; nothing when nothing waits.
    pub(crate) fn end(&self, now: Instant) -> Option<Instant> {
        let since = self.since.filter(|_| self.count > 0)?;
        Some((since + WAIT_MAX).min(now + WAIT))
    }
}

/// A record as it came, while others may follow.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) line: u64,
    record: Vec<u8>,
    /// What is to be understood, where that is not the record.
    content: Option<Vec<u8>>,
    must_be_json: bool,
    envelope: String,
    time: Option<Timestamp>,
}

impl Kept {
    pub(crate) fn of(line: u64, wrapped: &Wrapped<'_>) -> Self {
        let is_bare = std::ptr::eq(wrapped.record, wrapped.content);
        Self {
            line,
            record: wrapped.record.to_vec(),
            content: (!is_bare).then(|| wrapped.content.to_vec()),
            must_be_json: wrapped.must_be_json,
            envelope: wrapped.envelope.to_owned(),
            time: wrapped.time,
        }
    }

    fn content(&self) -> &[u8] {
        self.content.as_deref().unwrap_or(&self.record)
    }
}

impl Group<Kept> {
    /// Gives the record that they are together to `take`: their bytes one after another, lines on
    /// lines of their own, with what was around the first of them.
    pub(crate) fn with<R>(&self, take: impl FnOnce(&Wrapped<'_>) -> R) -> R {
        let first = &self.records[0];
        let is_one = self.records.len() == 1;
        let records: Vec<_> = self.records.iter().map(|kept| &kept.record[..]).collect();
        let separator: &[u8] = if first.content.is_none() { b"\n" } else { b"" };
        let record =
            if is_one { Cow::Borrowed(&first.record[..]) } else { records.join(separator).into() };
        let content = match self.form {
            _ if is_one => Cow::Borrowed(first.content()),
            Form::Text => Cow::Borrowed(&record[..]),
            _ => piece::content(first.content(), &self.text, self.is_whole).into(),
        };
        take(&Wrapped {
            record: &record,
            content: &content,
            must_be_json: first.must_be_json,
            envelope: &first.envelope,
            time: first.time,
            joined: u32::try_from(self.records.len()).unwrap_or(u32::MAX),
            is_partial: !self.is_whole,
        })
    }
}

#[cfg(test)]
mod tests;
