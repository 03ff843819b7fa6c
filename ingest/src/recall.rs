//! What was stored before this start, as far as it decides what is new.
//!
//! Input: the newest records of the journal. Output: documents with ids that are
//! [remembered](crate::remembered), and records and batches that are [in doubt](crate::doubt). What cannot be read is
//! taken for new when it comes again.

use std::borrow::Cow;

use logwarden_event::{Event, Position};
use logwarden_store::{Chunk, RecordKind, Store};
use tracing::warn;

use crate::normalize::secret::without_secrets;
use crate::pipeline::Pipeline;

/// Records that are looked at.
const RECORDS_BACK: u64 = 100_000;
/// Records of one read.
const READ_RECORDS: usize = 10_000;
/// The embedded journal has one lane.
const LANE: u32 = 0;

/// Reads the end of the journal.
pub(crate) async fn recall(pipeline: &Pipeline, store: &Store) {
    let (start, end) = (store.journal.start(LANE), store.journal.end(LANE));
    let mut at = Position { lane: LANE, seq: end.seq.saturating_sub(RECORDS_BACK) };
    at.seq = at.seq.max(start.seq);
    let mut newest = pipeline.doubts.recalling();
    while at < end {
        match store.journal.read(at, READ_RECORDS).await {
            Ok(Chunk::Records { records, next }) => {
                for (record, seq) in records.iter().zip(at.seq..) {
                    let raw = known_by(pipeline, &record.event);
                    if record.kind == RecordKind::Event {
                        pipeline.remembered.recall(&record.event, &raw, seq);
                    }
                    newest.take(record, &raw, seq);
                }
                at = next;
            }
            Ok(Chunk::Gap { to, .. }) => at = to,
            Err(error) => {
                warn!(error = %error, "records stored before are not remembered: {error}");
                break;
            }
        }
    }
    newest.doubt();
}

/// The bytes that tell a stored record from others. Where secrets are masked they count for nothing: what
/// comes again has them, and hashes of an earlier start are others.
pub(crate) fn known_by<'e>(pipeline: &Pipeline, event: &'e Event) -> Cow<'e, [u8]> {
    let masks = pipeline.config.masks_secrets_of(event.source());
    let without = if masks { without_secrets(event.raw()) } else { None };
    without.map_or(Cow::Borrowed(event.raw()), Cow::Owned)
}
