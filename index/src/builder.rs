//! Builds a split in memory, from events that come newest first.
//!
//! An event that breaks the code which reads it is kept, and its row becomes a candidate of every
//! lookup, so that it is found and no other event is lost with it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use logwarden_event::{Event, SplitId, Timestamp};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::index::{SegmentComponent, SegmentMeta};
use tantivy::store::Compressor;
use tantivy::{IndexSettings, SingleSegmentIndexWriter, TantivyDocument};
use tracing::error;

use crate::bundle::FileRange;
use crate::eventstore::BlockWriter;
use crate::head::FieldStats;
use crate::metrics::POISON_EVENTS_TOTAL;
use crate::schema::{Schema, document, tokenizers};
use crate::split::{FORMAT, Footer, MAGIC, SplitMeta};

/// Memory that tantivy plans with; it sizes its tables by it and is not held to it.
const WRITER_BYTES: usize = 64 << 20;
/// Datasets a footer counts at most; the events of more are counted under `""`.
const DATASETS_MAX: usize = 1_000;

/// How an event becomes terms.
pub(crate) type Convert = fn(&Schema, &Event) -> TantivyDocument;

/// By its words and values.
pub(crate) const CONVERT: Convert = document;

/// A split that is not stored yet.
pub(crate) struct BuiltSplit {
    /// What the catalog will know about it.
    pub(crate) meta: SplitMeta,
    /// What its blob will hold.
    pub(crate) content: Vec<u8>,
}

/// Takes events, newest first.
pub(crate) struct SplitBuilder {
    /// `None`: events get no terms at all.
    convert: Option<Convert>,
    schema: Schema,
    directory: RamDirectory,
    writer: SingleSegmentIndexWriter,
    blocks: BlockWriter,
    stats: FieldStats,
    datasets: BTreeMap<String, u64>,
    unsure_rows: Vec<u32>,
    event_count: u32,
    lane: u32,
    seq_first: u64,
    seq_last: u64,
    first: Timestamp,
    last: Timestamp,
}

impl SplitBuilder {
    /// An empty split. Without `convert` every event is a candidate of every lookup.
    pub(crate) fn new(convert: Option<Convert>) -> Result<Self, String> {
        let schema = Schema::new();
        let directory = RamDirectory::create();
        let settings = IndexSettings {
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let writer = tantivy::Index::builder()
            .schema(schema.tantivy.clone())
            .settings(settings)
            .tokenizers(tokenizers())
            .single_segment_index_writer(directory.clone(), WRITER_BYTES)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            convert,
            schema,
            directory,
            writer,
            blocks: BlockWriter::default(),
            stats: FieldStats::default(),
            datasets: BTreeMap::new(),
            unsure_rows: Vec::new(),
            event_count: 0,
            lane: 0,
            seq_first: u64::MAX,
            seq_last: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        })
    }

    /// Adds the next event, which is not newer than the last one.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), String> {
        debug_assert!(event.timestamp() <= self.first, "rows are newest first");
        let document = self.convert(event).unwrap_or_else(|| {
            self.unsure_rows.push(self.event_count);
            TantivyDocument::new()
        });
        self.writer.add_document(document).map_err(|error| error.to_string())?;
        self.blocks.add(event).map_err(|error| error.to_string())?;
        let dataset = event.dataset();
        let is_listed = self.datasets.len() < DATASETS_MAX || self.datasets.contains_key(dataset);
        let dataset = if is_listed { dataset } else { "" };
        *self.datasets.entry(dataset.to_owned()).or_default() += 1;
        self.event_count += 1;
        self.lane = event.id().position().lane;
        self.seq_first = self.seq_first.min(event.seq());
        self.seq_last = self.seq_last.max(event.seq());
        self.first = self.first.min(event.timestamp());
        self.last = self.last.max(event.timestamp());
        Ok(())
    }

    fn convert(&mut self, event: &Event) -> Option<TantivyDocument> {
        let convert = self.convert?;
        let converted = catch_unwind(AssertUnwindSafe(|| {
            let document = convert(&self.schema, event);
            self.stats.add(event);
            document
        }));
        if converted.is_err() {
            ::metrics::counter!(POISON_EVENTS_TOTAL).increment(1);
            error!(event.id = %event.id(), "event {} has no terms: reading it failed", event.id());
        }
        converted.ok()
    }

    /// Finishes the split under this id; `gaps` are positions that the journal did not have.
    pub(crate) fn finish(self, id: SplitId, gaps: Vec<(u64, u64)>) -> Result<BuiltSplit, String> {
        if self.event_count == 0 {
            return Err("a split holds at least one event".to_owned());
        }
        let raw_bytes = self.blocks.raw_bytes_so_far();
        let (mut content, blocks) = self.blocks.finish().map_err(|error| error.to_string())?;
        let index = self.writer.finalize().map_err(|error| error.to_string())?;
        let segments = index.searchable_segment_metas().map_err(|error| error.to_string())?;
        let segment = segments.first().ok_or("tantivy made no segment")?;
        let files = append_files(&self.directory, segment, &mut content)?;
        let footer = Footer {
            lane: self.lane,
            seq_first: self.seq_first,
            seq_last: self.seq_last,
            gaps,
            event_count: self.event_count,
            first: self.first.nanos(),
            last: self.last.nanos(),
            datasets: self.datasets,
            fields: self.stats.into_list(),
            unsure_rows: self.unsure_rows,
            blocks,
            files,
        };
        append_footer(&footer, &mut content)?;
        let meta = SplitMeta {
            id,
            lane: self.lane,
            seq_first: self.seq_first,
            seq_last: self.seq_last,
            event_count: u64::from(self.event_count),
            first: self.first,
            last: self.last,
            size_bytes: content.len() as u64,
            raw_bytes,
        };
        Ok(BuiltSplit { meta, content })
    }
}

fn append_files(
    directory: &RamDirectory,
    segment: &SegmentMeta,
    content: &mut Vec<u8>,
) -> Result<BTreeMap<String, FileRange>, String> {
    use SegmentComponent::{FastFields, FieldNorms, Positions, Postings, Store, Terms};
    let components = [Postings, Positions, Terms, Store, FastFields, FieldNorms];
    let paths = components.into_iter().map(|component| segment.relative_path(component));
    let mut files = BTreeMap::new();
    for path in paths.chain([META_FILE.into()]) {
        if !directory.exists(&path).map_err(|error| error.to_string())? {
            continue;
        }
        let file = directory.open_read(&path).map_err(|error| error.to_string())?;
        let bytes = file.read_bytes().map_err(|error| error.to_string())?;
        let range = FileRange { offset: content.len() as u64, size_bytes: bytes.len() as u64 };
        content.extend_from_slice(&bytes);
        files.insert(path.to_string_lossy().into_owned(), range);
    }
    Ok(files)
}

/// The file in which tantivy keeps schema and segments.
const META_FILE: &str = "meta.json";

fn append_footer(footer: &Footer, content: &mut Vec<u8>) -> Result<(), String> {
    let footer = serde_json::to_vec(footer).map_err(|error| error.to_string())?;
    content.extend_from_slice(&footer);
    content.extend_from_slice(&(footer.len() as u64).to_le_bytes());
    content.extend_from_slice(&FORMAT.to_le_bytes());
    content.extend_from_slice(&MAGIC);
    Ok(())
}
