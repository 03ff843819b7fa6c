//! Whole lines of a file from an offset on, in bounded pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes looked at together when a line has no end yet.
const STEP_BYTES: usize = 256 << 10;

/// What bounds the lines of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) record_bytes_max: usize,
    pub(super) kept_bytes_max: usize,
    pub(super) lines_max: usize,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// The beginning of a line that is too long, and its length.
    TooLong(Vec<u8>, usize),
}

impl Line {
    /// What is kept of it.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::TooLong(bytes, _) => bytes,
        }
    }
}

/// Reads whole lines from `from` on, at most one record's bound of bytes; the lines and the offset
/// after them. `scanned` remembers how far a long line is known to have no end. With `is_final` the
/// end of the file ends the last line.
pub(super) fn read(
    file: &File,
    from: u64,
    size: u64,
    scanned: &mut u64,
    is_final: bool,
    bounds: Bounds,
) -> io::Result<(Vec<Line>, u64)> {
    let wanted = size.saturating_sub(from).min(bounds.record_bytes_max as u64 + 1);
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or_default()];
    let read = read_at(file, &mut buffer, from)?;
    buffer.truncate(read);
    let is_whole_rest = from + read as u64 >= size;
    let (mut lines, mut taken) = (Vec::new(), 0);
    for end in memchr::memchr_iter(b'\n', &buffer) {
        if lines.len() >= bounds.lines_max {
            return Ok((lines, from + taken as u64));
        }
        lines.push(Line::Whole(buffer[taken..end].to_vec()));
        taken = end + 1;
    }
    if is_final
        && is_whole_rest
        && taken < buffer.len()
        && lines.len() < bounds.lines_max
        && buffer.len() - taken <= bounds.record_bytes_max
    {
        lines.push(Line::Whole(buffer[taken..].to_vec()));
        taken = buffer.len();
    }
    if !lines.is_empty() || buffer.len() <= bounds.record_bytes_max {
        return Ok((lines, from + taken as u64));
    }
    // No line ends within the bound: its end is looked for without keeping it.
    *scanned = (*scanned).max(from + buffer.len() as u64);
    let Some(end) = find_end(file, size, scanned)? else {
        if !is_final {
            return Ok((Vec::new(), from));
        }
        buffer.truncate(bounds.kept_bytes_max);
        let length = usize::try_from(size - from).unwrap_or(usize::MAX);
        return Ok((vec![Line::TooLong(buffer, length)], size));
    };
    buffer.truncate(bounds.kept_bytes_max);
    let length = usize::try_from(end - from).unwrap_or(usize::MAX);
    Ok((vec![Line::TooLong(buffer, length)], end + 1))
}

fn find_end(file: &File, size: u64, scanned: &mut u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; STEP_BYTES];
    while *scanned < size {
        let read = read_at(file, &mut buffer, *scanned)?;
        if read == 0 {
            return Ok(None);
        }
        if let Some(offset) = memchr::memchr(b'\n', &buffer[..read]) {
            return Ok(Some(*scanned + offset as u64));
        }
        *scanned += read as u64;
    }
    Ok(None)
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
