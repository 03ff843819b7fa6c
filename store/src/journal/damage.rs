//! What is noted about damage, so that a crash in the middle of recovery forgets none of it.
//!
//! Two files in the data directory. `damage` stands as long as nobody has acknowledged what was
//! lost: the journal is degraded. `damage.unreported` holds what the audit records do not say yet.

use std::io;
use std::sync::Arc;

use logwarden_event::{Event, EventBuilder, Severity, Value};

use super::{Draft, RecordKind};
use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;

const NOTE_PATH: &str = "damage";
const UNREPORTED_PATH: &str = "damage.unreported";
/// Most that is read of a note.
const NOTE_BYTES_MAX: u64 = 1024 * 1024;

/// Records that are lost, and where they stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The first one.
    pub(crate) from: u64,
    /// The first one after them.
    pub(crate) to: u64,
    /// The segment they were in.
    pub(crate) segment: String,
    /// Where in it the damage begins.
    pub(crate) offset: u64,
}

impl Lost {
    fn to_line(&self) -> String {
        format!("{} {} {} {}\n", self.from, self.to, self.offset, self.segment)
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let mut number = || words.next()?.parse().ok();
        let (from, to, offset) = (number()?, number()?, number()?);
        Some(Self { from, to, offset, segment: words.next()?.to_owned() })
    }

    /// The audit record that says so.
    pub(crate) fn to_draft(&self) -> Draft {
        Draft { kind: RecordKind::Audit, event: self.to_event() }
    }

    fn to_event(&self) -> Event {
        let last = self.to - 1;
        let segment = &self.segment;
        let record = serde_json::json!({
            "action": "journal_gap", "seq_first": self.from, "seq_last": last,
            "segment": segment, "offset": self.offset,
        })
        .to_string();
        let message =
            format!("segment `{segment}` is damaged, records {} to {last} are lost", self.from);
        let mut event = EventBuilder::new(record.as_bytes());
        event
            .severity(Severity::Critical)
            .source("logwarden")
            .dataset("logwarden.audit")
            .message(&message)
            .field("event.action", Value::String("journal_gap"))
            .field("lw.gap.seq_first", Value::Integer(i128::from(self.from)))
            .field("lw.gap.seq_last", Value::Integer(i128::from(last)))
            .field("lw.gap.segment", Value::String(segment))
            .field("lw.gap.offset", Value::Integer(i128::from(self.offset)));
        event.build()
    }
}

/// Notes what is lost, durably, before anything is put in order.
pub(crate) fn note(disk: &dyn Disk, lost: &[Lost]) -> Result<(), OpenError> {
    let lines: String = lost.iter().map(Lost::to_line).collect();
    for path in [NOTE_PATH, UNREPORTED_PATH] {
        append(disk, path, &lines).map_err(|error| OpenError::io_at(path, &error))?;
    }
    disk.sync_dir("").map_err(|error| OpenError::io_at("", &error))
}

/// Appends the lines that are not there yet.
fn append(disk: &dyn Disk, path: &str, lines: &str) -> io::Result<()> {
    let file = open_or_create(disk, path)?;
    let there = read(&*file)?;
    // A line that was cut off when the process died stays alone.
    let mut text = String::from(if there.is_empty() || there.ends_with('\n') { "" } else { "\n" });
    for line in lines.lines().filter(|line| !there.lines().any(|known| known == *line)) {
        text.push_str(line);
        text.push('\n');
    }
    file.write_all_at(text.as_bytes(), file.size_bytes()?)?;
    file.sync()
}

fn read(file: &dyn DiskFile) -> io::Result<String> {
    let mut bytes = vec![0; file.size_bytes()?.min(NOTE_BYTES_MAX) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open_or_create(disk: &dyn Disk, path: &str) -> io::Result<Arc<dyn DiskFile>> {
    match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create_new(path),
        opened => opened,
    }
}

/// Whether there is damage that nobody has acknowledged.
pub(crate) fn is_noted(disk: &dyn Disk) -> bool {
    disk.open(NOTE_PATH).is_ok()
}

/// What the audit records do not say yet. Lines that are not whole say nothing: they were being
/// written when the process died, and recovery finds the same damage again.
pub(crate) fn unreported(disk: &dyn Disk) -> io::Result<Vec<Lost>> {
    let file = match disk.open(UNREPORTED_PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    Ok(read(&*file)?.lines().filter_map(Lost::from_line).collect())
}

/// Forgets what the audit records say now.
pub(crate) fn forget_unreported(disk: &dyn Disk) -> io::Result<()> {
    remove(disk, UNREPORTED_PATH)
}

/// Somebody has taken note.
pub(crate) fn acknowledge(disk: &dyn Disk) -> io::Result<()> {
    remove(disk, NOTE_PATH)
}

fn remove(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.sync_dir(""),
    }
}
