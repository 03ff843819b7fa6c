//! A batch on its way to the journal: events and dead letters, in the order of their records.
//!
//! Input: records, from whatever protocol. Output: drafts, and what was wrong with which line.
//! A record whose conversion panics becomes a dead letter; its neighbours are not touched.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use logwarden_event::{Event, Timestamp};
use logwarden_store::{Draft, RecordKind};
use metrics::counter;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::deadletter::{self, Rejection};
use crate::enrich::Enrichment;
use crate::join::{Group, Kept, Streams};
use crate::listed;
use crate::metrics::{
    DEAD_LETTERS_DROPPED_TOTAL, DEAD_LETTERS_TOTAL, LISTS_KEPT_WHOLE_TOTAL, PANICS_TOTAL,
};
use crate::normalize::scan::Malformed;
use crate::normalize::secret;
use crate::normalize::{Normalizer, Origin, Wrapped};
use crate::quota::{Cost, Quota};

/// Bytes of the list of errors in an answer; the journal keeps it for senders that ask again.
const ERRORS_BYTES_MAX: usize = 900 << 10;
/// Bytes of one error beside its reason.
const ERROR_BYTES: usize = 64;
/// Records of a batch up to which lists are taken apart: the journal takes 10,000, and a connection may
/// have a thousand more at hand.
const LISTED_MAX: u64 = 9_000;

/// What was wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineError {
    pub(crate) line: u64,
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// What became of the records of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) errors: Vec<LineError>,
}

/// Where the records of a batch come from, and by what bounds they are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intake<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) quota: &'a Quota,
    pub(crate) now: Timestamp,
    pub(crate) dead_letter_bytes_max: usize,
    /// What is known besides the records.
    pub(crate) known: Option<&'a Enrichment>,
}

impl Intake<'_> {
    fn normalize(&self, wrapped: &Wrapped<'_>) -> Result<Event, Malformed> {
        Normalizer.normalize_with(self.known, wrapped, self.origin, self.now)
    }
}

/// Events and dead letters, in the order of their records.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) tally: Tally,
    /// Bytes of the records, as they came.
    pub(crate) bytes: u64,
    /// What the journal knows it by, when its sender may send it again without a key.
    pub(crate) id: Option<[u8; 16]>,
    dead_letter_bytes: u64,
    errors_bytes: usize,
    rejected: BTreeMap<&'static str, (u64, String)>,
    /// Records that may go on with the next, in a batch that joins them.
    streams: Option<Box<Streams<Kept>>>,
}

impl Batch {
    /// A batch in which pieces of one record become one event; it must be [finished](Self::finish).
    pub(crate) fn joining() -> Self {
        Self { streams: Some(Box::default()), ..Self::default() }
    }

    /// A hash of its events by which the same ones are known when they come again, and which tells nothing of the
    /// secrets that stood in them before they were masked.
    pub(crate) fn hash_without_secrets(&self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for draft in self.drafts.iter().filter(|draft| draft.kind == RecordKind::Event) {
            let raw = draft.event.raw();
            let blank = secret::without_secrets(raw);
            let blank = blank.as_deref().unwrap_or(raw);
            hasher.update((blank.len() as u64).to_be_bytes());
            hasher.update(blank);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize()[..16]);
        short
    }

    /// Records so far, good and bad.
    pub(crate) fn record_count(&self) -> u64 {
        self.tally.accepted + self.tally.rejected
    }

    /// How many records were rejected by which code, with the reason of the last one.
    pub(crate) const fn rejected_by_code(&self) -> &BTreeMap<&'static str, (u64, String)> {
        &self.rejected
    }

    /// What it takes of its source's quota.
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            events: self.record_count(),
            bytes: self.bytes,
            dead_letter_bytes: self.dead_letter_bytes,
        }
    }

    /// Adds a record that must be one JSON object.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is none; nothing was added then.
    pub(crate) fn add_json(
        &mut self,
        intake: Intake<'_>,
        line: u64,
        record: &[u8],
    ) -> Result<(), Malformed> {
        let wrapped = Wrapped { must_be_json: true, ..Wrapped::bare(record) };
        if self.add_list(intake, line, &wrapped) || self.keep(intake, line, &wrapped) {
            return Ok(());
        }
        let convert = || intake.normalize(&wrapped);
        match catch_unwind(AssertUnwindSafe(convert)) {
            Ok(Ok(event)) => self.accept(event, record.len()),
            Ok(Err(malformed)) => return Err(malformed),
            Err(_) => self.reject_panic(intake, line, record),
        }
        Ok(())
    }

    /// Adds a record inside what its sender's protocol puts around it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] as of [`Normalizer::normalize_wrapped`]; nothing was added then.
    pub(crate) fn add_wrapped(
        &mut self,
        intake: Intake<'_>,
        line: u64,
        wrapped: &Wrapped<'_>,
    ) -> Result<(), Malformed> {
        if self.add_list(intake, line, wrapped) || self.keep(intake, line, wrapped) {
            return Ok(());
        }
        self.add_one(intake, line, wrapped)
    }

    fn add_one(
        &mut self,
        intake: Intake<'_>,
        line: u64,
        wrapped: &Wrapped<'_>,
    ) -> Result<(), Malformed> {
        let convert = || intake.normalize(wrapped);
        match catch_unwind(AssertUnwindSafe(convert)) {
            Ok(Ok(event)) => self.accept(event, wrapped.record.len()),
            Ok(Err(malformed)) => return Err(malformed),
            Err(_) => self.reject_panic(intake, line, wrapped.record),
        }
        Ok(())
    }

    /// Adds the records of a document that is nothing but a list of them; false when it is none. Each
    /// says itself when it happened.
    fn add_list(&mut self, intake: Intake<'_>, line: u64, wrapped: &Wrapped<'_>) -> bool {
        let Some(records) = listed::records_of(wrapped.content) else { return false };
        if self.record_count() + records.len() as u64 > LISTED_MAX {
            counter!(LISTS_KEPT_WHOLE_TOTAL).increment(1);
            return false;
        }
        for record in records {
            let record = &wrapped.content[record];
            let listed = Wrapped { record, content: record, time: None, ..*wrapped };
            if let Err(malformed) = self.add_one(intake, line, &listed) {
                let (code, reason) = (malformed.problem.code(), malformed.to_string());
                let size_bytes = record.len();
                self.reject(intake, record, Rejection { line, code, reason, size_bytes });
            }
        }
        true
    }

    /// Keeps a record that may go on with the next one; false when it is to be added now.
    fn keep(&mut self, intake: Intake<'_>, line: u64, wrapped: &Wrapped<'_>) -> bool {
        let Some(streams) = &mut self.streams else { return false };
        let mut ended = Vec::new();
        let is_kept = streams.take(wrapped.content, || Kept::of(line, wrapped), &mut ended);
        for group in ended {
            self.add_group(intake, &group);
        }
        is_kept
    }

    /// Adds what was kept because it might go on.
    pub(crate) fn finish(&mut self, intake: Intake<'_>) {
        let open = self.streams.as_mut().map(|streams| streams.finish());
        for group in open.into_iter().flatten() {
            self.add_group(intake, &group);
        }
    }

    fn add_group(&mut self, intake: Intake<'_>, group: &Group<Kept>) {
        let line = group.records[0].line;
        group.with(|wrapped| {
            if let Err(malformed) = self.add_one(intake, line, wrapped) {
                let (code, reason) = (malformed.problem.code(), malformed.to_string());
                let size_bytes = wrapped.record.len();
                self.reject(intake, wrapped.record, Rejection { line, code, reason, size_bytes });
            }
        });
    }

    /// Takes records out again, which are known by their places among events and dead letters, in
    /// order.
    pub(crate) fn leave_out(&mut self, places: &[u64]) {
        let mut places = places.iter().peekable();
        let mut place = 0;
        self.drafts.retain(|draft| {
            let is_out = places.next_if(|out| **out == place).is_some();
            place += 1;
            if is_out {
                self.tally.accepted = self.tally.accepted.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(draft.event.raw().len() as u64);
            }
            !is_out
        });
    }

    /// Adds a record of any kind.
    pub(crate) fn add(&mut self, intake: Intake<'_>, line: u64, record: &[u8]) {
        let wrapped = Wrapped::bare(record);
        if self.add_list(intake, line, &wrapped) || self.keep(intake, line, &wrapped) {
            return;
        }
        let convert = || {
            let event = intake.normalize(&wrapped);
            event.expect("only an envelope can be malformed here, and there is none")
        };
        match catch_unwind(AssertUnwindSafe(convert)) {
            Ok(event) => self.accept(event, record.len()),
            Err(_) => self.reject_panic(intake, line, record),
        }
    }

    fn accept(&mut self, event: Event, bytes: usize) {
        self.tally.accepted += 1;
        self.bytes += bytes as u64;
        self.drafts.push(Draft { kind: RecordKind::Event, event });
    }

    fn reject_panic(&mut self, intake: Intake<'_>, line: u64, record: &[u8]) {
        counter!(PANICS_TOTAL).increment(1);
        let reason = "the record could not be converted, which is our fault".to_owned();
        let size_bytes = record.len();
        self.reject(
            intake,
            record,
            Rejection { line, code: "conversion_failed", reason, size_bytes },
        );
    }

    /// Adds a dead letter, unless the source has too many; `record` may be its beginning alone.
    pub(crate) fn reject(&mut self, intake: Intake<'_>, record: &[u8], rejection: Rejection) {
        self.tally.rejected += 1;
        self.bytes += rejection.size_bytes as u64;
        counter!(DEAD_LETTERS_TOTAL, "source" => intake.origin.source.clone(), "code" => rejection.code)
            .increment(1);
        let is_whole = record.len() <= intake.dead_letter_bytes_max;
        let kept = if is_whole { record } else { &record[..intake.dead_letter_bytes_max] };
        let kept_bytes = self.dead_letter_bytes + kept.len() as u64;
        if intake.quota.may_keep_dead_letter(intake.now, kept_bytes) {
            self.dead_letter_bytes = kept_bytes;
            let masked = intake.origin.mask_secrets.then(|| secret::mask(kept)).flatten();
            let kept = masked.as_ref().map_or(kept, |masked| &masked.bytes);
            let event = deadletter::make(kept, &rejection, intake.origin);
            self.tally.dead_lettered += 1;
            self.drafts.push(Draft { kind: RecordKind::DeadLetter, event });
        } else {
            counter!(DEAD_LETTERS_DROPPED_TOTAL).increment(1);
        }
        let (count, last) = self.rejected.entry(rejection.code).or_default();
        *count += 1;
        last.clone_from(&rejection.reason);
        let error_bytes = ERROR_BYTES + rejection.reason.len();
        if self.errors_bytes + error_bytes <= ERRORS_BYTES_MAX {
            self.errors_bytes += error_bytes;
            self.tally.errors.push(LineError {
                line: rejection.line,
                code: rejection.code.to_owned(),
                reason: rejection.reason,
            });
        }
    }
}
