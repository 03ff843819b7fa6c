//! Turns events, newest first, into columns: shapes, blocks of rows, dictionaries and a filter.
//!
//! What a shape and its slots cannot give back exactly is kept verbatim, in the event's own binary
//! form; so is what comes after a bound is hit. Memory is one block of texts, the dictionaries and
//! what is already compressed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use logwarden_event::parts::{Packed, Parts};
use logwarden_event::{Event, Timestamp};
use tracing::error;

use super::layout::{Layout, VERBATIM, order_by};
use super::{BLOCK_ROWS, BlockInfo, CORE_PARTS, PartRange, StoreInfo, StoredRow};
use crate::columns::block::{CODES, ColumnBuilder, Encoded, IDS, INTS};
use crate::columns::dissect::{Dissector, MessageAs, Misfit};
use crate::columns::filter::{DICTIONARY, Words};
use crate::columns::fit::{Fitter, Mold, signature};
use crate::columns::hash::hash;
use crate::columns::ints;
use crate::columns::rebuild::Rebuilder;
use crate::columns::shape::{self, Kind, Piece, Shape};
use crate::columns::texts::{self, Texts};
use crate::columns::wire::{Packer, fold, put_bytes, put_number};
use crate::head::FieldStats;
use crate::lookup::text_of;
use crate::metrics::POISON_EVENTS_TOTAL;
use crate::piece::FieldStat;

/// Columns of a split at most; the events of more are kept verbatim.
const COLUMNS_MAX: usize = 4_000;
/// Shapes of a split at most, and how many there may be after so many rows: first with messages cut
/// into words, then with whole messages. Prose would be a shape per event otherwise.
const SHAPES_MAX: usize = 16_000;
const SHAPES_WITH_WORDS: (usize, usize) = (400, 24);
const SHAPES_WITH_TEXTS: (usize, usize) = (1_000, 12);
/// Shapes that are tried on an event before it is taken apart.
const LIKELY_SHAPES_MAX: usize = 8;
/// Bytes before a slot by which slots of no field are told apart.
const CONTEXT_BYTES: usize = 24;

/// How events are taken apart.
pub(crate) type Dissect = fn(&mut Dissector, &Parts<'_>, MessageAs) -> Result<(), Misfit>;

/// Into shapes and slots.
pub(crate) const DISSECT: Dissect = Dissector::dissect;

/// How a row that was added is found by the words of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageWords {
    /// By its pieces or, where reading them fails, by looking at the event.
    Elsewhere,
    /// By the word index, where they belong.
    ToIndex,
}

/// Turns events into columns.
pub(crate) struct Writer {
    /// `None`: every event is kept verbatim.
    dissect: Option<Dissect>,
    dissector: Dissector,
    fitter: Fitter,
    rebuilder: Rebuilder,
    pub(super) packer: Packer,
    pub(super) shapes: Vec<KnownShape>,
    /// Numbers of shapes by their bytes.
    numbers: HashMap<Box<[u8]>, u32, FastHash>,
    /// Shapes by the signature of their events, those met last first.
    likely: HashMap<u64, Vec<u32>>,
    pub(super) columns: Vec<Column>,
    column_numbers: HashMap<ColumnKey, u32>,
    open: OpenBlock,
    pub(super) blocks: Vec<BlockInfo>,
    pub(super) core: [Vec<u8>; CORE_PARTS],
    pub(super) core_bytes: Vec<[u32; CORE_PARTS]>,
    /// The words that a lookup may ask for.
    pub(super) words: Words,
    pub(super) rows: u32,
    raw_bytes: u64,
    stats: FieldStats,
    verbatim_datasets: BTreeMap<String, u64>,
}

/// An event's shape, and who has the texts of its slots.
#[derive(Debug, Clone, Copy)]
struct Found {
    shape: u32,
    is_fitted: bool,
}

pub(super) struct KnownShape {
    bytes: Box<[u8]>,
    shape: Shape,
    mold: Option<Mold>,
    pub(super) columns: Vec<u32>,
    pub(super) rows: u32,
    /// Texts whose words may lie across pieces, as places in the list of fields.
    unclear: Vec<usize>,
}

#[derive(Default)]
pub(super) struct Column {
    pub(super) builder: ColumnBuilder,
    pub(super) out: Vec<u8>,
    /// The parts of `out`.
    pub(super) parts: Vec<Part>,
    /// Lookups see its texts.
    pub(super) is_searched: bool,
}

/// The texts of a column in a block.
pub(super) struct Part {
    pub(super) block: u32,
    pub(super) size_bytes: u32,
    pub(super) form: u8,
    /// The least and the greatest number, when they are numbers.
    pub(super) span: Option<(i64, i64)>,
}

/// What makes two slots one column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ColumnKey {
    Field { name: String, alias: Option<String>, kind: Kind },
    Context { before: Vec<u8>, is_message: bool },
}

#[derive(Default)]
struct OpenBlock {
    shapes: Vec<u32>,
    times: Vec<i64>,
    seqs: Vec<i64>,
    observed: Vec<i64>,
    slots: Texts,
    first_slots: Vec<u32>,
    verbatim: Texts,
}

impl Writer {
    /// Nothing is written yet.
    pub(crate) fn new(dissect: Option<Dissect>) -> std::io::Result<Self> {
        Ok(Self {
            dissect,
            dissector: Dissector::new(),
            fitter: Fitter::default(),
            rebuilder: Rebuilder::default(),
            packer: Packer::new()?,
            shapes: Vec::new(),
            numbers: HashMap::default(),
            likely: HashMap::new(),
            columns: Vec::new(),
            column_numbers: HashMap::new(),
            open: OpenBlock::default(),
            blocks: Vec::new(),
            core: Default::default(),
            core_bytes: Vec::new(),
            words: Words::default(),
            rows: 0,
            raw_bytes: 0,
            stats: FieldStats::default(),
            verbatim_datasets: BTreeMap::new(),
        })
    }

    /// Bytes of the records and texts so far.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Appends a row.
    pub(crate) fn add(&mut self, event: &Event) -> MessageWords {
        let parts = event.parts();
        self.raw_bytes += parts.buffer.len() as u64;
        let found = catch_unwind(AssertUnwindSafe(|| self.shape_of(&parts, event)));
        let found = found.unwrap_or_else(|_| {
            note_poison(event);
            None
        });
        let code = found.map_or(VERBATIM, |found| found.shape + 1);
        self.open_row(code, (event.timestamp(), event.seq(), event.observed_at()));
        let words = match found {
            Some(found) => self.add_slots(found, &parts, event),
            None => self.add_verbatim(event),
        };
        self.end_row();
        words
    }

    /// The number of a shape of another split, whose rows can be taken as they are; `None` when there
    /// are too many shapes, or words of its events must be read.
    pub(crate) fn adopt(&mut self, bytes: &[u8]) -> Option<u32> {
        let number = match self.numbers.get(bytes) {
            Some(number) => *number,
            None if self.shapes.len() < SHAPES_MAX => self.add_shape(bytes.into())?,
            None => return None,
        };
        let known = &self.shapes[number as usize];
        (!known.shape.is_indexed && known.unclear.is_empty()).then_some(number)
    }

    /// Appends a row of another split, whose shape has this number here.
    pub(crate) fn add_stored(&mut self, number: u32, row: &StoredRow<'_>) {
        self.shapes[number as usize].rows += 1;
        self.open_row(number + 1, (row.timestamp, row.seq, row.observed_at));
        (0..row.texts.len()).for_each(|slot| self.open.slots.push(row.texts.get(slot)));
        self.end_row();
    }

    fn open_row(&mut self, code: u32, (time, seq, observed_at): (Timestamp, u64, Timestamp)) {
        self.open.shapes.push(code);
        self.open.times.push(time.nanos());
        self.open.seqs.push(seq as i64);
        self.open.observed.push(observed_at.nanos());
        self.open.first_slots.push(self.open.slots.len() as u32);
    }

    fn end_row(&mut self) {
        self.rows += 1;
        if self.open.shapes.len() == BLOCK_ROWS {
            self.close_block();
        }
    }

    /// The shape of an event that gives back exactly this event: a known one that it fits, or the one
    /// into which it is taken apart.
    fn shape_of(&mut self, parts: &Parts<'_>, event: &Event) -> Option<Found> {
        let dissect = self.dissect?;
        let signature = signature(parts);
        if let Some(shape) = self.fitting(signature, parts) {
            return Some(Found { shape, is_fitted: true });
        }
        let rows = self.rows as usize;
        for (message_as, (at_first, per_rows)) in
            [(MessageAs::Pieces, SHAPES_WITH_WORDS), (MessageAs::Whole, SHAPES_WITH_TEXTS)]
        {
            dissect(&mut self.dissector, parts, message_as).ok()?;
            let known = self.numbers.get(self.dissector.shape.as_slice()).copied();
            let budget = (at_first + rows / per_rows).min(SHAPES_MAX);
            let shape = match known {
                Some(shape) => Some(shape),
                None if self.shapes.len() < budget => {
                    let bytes: Box<[u8]> = self.dissector.shape.as_slice().into();
                    Some(self.add_shape(bytes)?)
                }
                None => None,
            };
            if let Some(shape) = shape {
                let likely = self.likely.entry(signature).or_default();
                if !likely.contains(&shape) {
                    likely.insert(0, shape);
                    likely.truncate(LIKELY_SHAPES_MAX);
                }
                let is_it = self.gives_back(shape, parts, event);
                return is_it.then_some(Found { shape, is_fitted: false });
            }
        }
        None
    }

    /// A known shape that the event fits.
    fn fitting(&mut self, signature: u64, parts: &Parts<'_>) -> Option<u32> {
        let likely = self.likely.get_mut(&signature)?;
        let place = likely.iter().position(|shape| {
            let known = &self.shapes[*shape as usize];
            let mold = known.mold.as_ref();
            mold.is_some_and(|mold| self.fitter.fits(&known.shape, mold, parts))
        })?;
        likely[..=place].rotate_right(1);
        Some(likely[0])
    }

    fn gives_back(&mut self, shape: u32, parts: &Parts<'_>, event: &Event) -> bool {
        let dissector = &self.dissector;
        let slot = |slot: usize| dissector.slot(slot, parts.buffer);
        let shape = &self.shapes[shape as usize].shape;
        let again = self.rebuilder.parts(shape, &slot, event.timestamp());
        again.is_ok_and(|again| again == *parts)
    }

    /// `None`: it is none that can be looked up in, or there are too many columns.
    fn add_shape(&mut self, bytes: Box<[u8]>) -> Option<u32> {
        let shape = shape::decode(&bytes).ok()?;
        let mut keys: Vec<Option<ColumnKey>> = vec![None; shape.slots];
        let mut is_searched = vec![false; shape.slots];
        for field in &shape.fields {
            let name = shape.name_text(field.name)?;
            let alias = match field.alias {
                Some(alias) => Some(shape.name_text(alias)?),
                None => None,
            };
            if let Some(slot) = shape.slot_of(field) {
                is_searched[usize::from(slot)] = true;
                let key = ColumnKey::Field { name, alias, kind: field.kind };
                keys[usize::from(slot)].get_or_insert(key);
            }
        }
        for stretch in [shape.source, shape.dataset, shape.class] {
            shape.constant(stretch)?;
        }
        for stretch in shape.searched_stretches() {
            for piece in shape.pieces_of(stretch) {
                if let Piece::Slot(slot) = piece {
                    is_searched[usize::from(slot)] = true;
                }
            }
        }
        for (place, piece) in shape.pieces.iter().enumerate() {
            if let Piece::Slot(slot) = piece {
                let key = &mut keys[usize::from(*slot)];
                key.get_or_insert_with(|| context(&shape, place));
            }
        }
        let new =
            keys.iter().flatten().filter(|key| !self.column_numbers.contains_key(key)).count();
        if self.columns.len() + new > COLUMNS_MAX || keys.iter().any(Option::is_none) {
            return None;
        }
        let columns = keys.into_iter().flatten().zip(&is_searched);
        let columns = columns.map(|(key, is_searched)| self.column(key, *is_searched)).collect();
        let literal_words = shape.searched_stretches().flat_map(|stretch| shape.pieces_of(stretch));
        for piece in literal_words.collect::<Vec<_>>() {
            self.words.add(shape.literal(piece));
        }
        let fields = shape.fields.iter().enumerate();
        let unclear =
            fields.filter(|(_, field)| shape.is_unclear(field)).map(|(place, _)| place).collect();
        let number = self.shapes.len() as u32;
        self.numbers.insert(bytes.clone(), number);
        let mold = Mold::new(&shape);
        self.shapes.push(KnownShape { bytes, shape, mold, columns, rows: 0, unclear });
        Some(number)
    }

    fn column(&mut self, key: ColumnKey, is_searched: bool) -> u32 {
        let next = self.columns.len() as u32;
        let number = *self.column_numbers.entry(key).or_insert(next);
        if number == next {
            self.columns.push(Column::default());
        }
        self.columns[number as usize].is_searched |= is_searched;
        number
    }

    fn add_slots(&mut self, found: Found, parts: &Parts<'_>, event: &Event) -> MessageWords {
        let known = &mut self.shapes[found.shape as usize];
        known.rows += 1;
        for slot in 0..known.shape.slots {
            self.open.slots.push(match found.is_fitted {
                true => self.fitter.slot(slot, parts.buffer),
                false => self.dissector.slot(slot, parts.buffer),
            });
        }
        for place in &known.unclear {
            if let Packed::String(span) | Packed::Json(span) = parts.fields[*place].value {
                let range = span.start as usize..(span.start + span.len) as usize;
                self.words.add(&parts.buffer[range]);
            }
        }
        if !known.shape.is_indexed {
            return MessageWords::Elsewhere;
        }
        self.words.add(event.message().as_bytes());
        MessageWords::ToIndex
    }

    fn add_verbatim(&mut self, event: &Event) -> MessageWords {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        self.open.verbatim.push(&bytes);
        let read = catch_unwind(AssertUnwindSafe(|| {
            self.stats.add(event);
            *self.verbatim_datasets.entry(event.dataset().to_owned()).or_default() += 1;
            self.words.add(event.message().as_bytes());
            for field in event.fields() {
                if let Some(text) = text_of(&field.value) {
                    self.words.add(text.as_bytes());
                }
            }
        }));
        match read {
            Ok(()) => MessageWords::ToIndex,
            Err(_) => {
                note_poison(event);
                MessageWords::Elsewhere
            }
        }
    }

    pub(super) fn close_block(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        let number = self.blocks.len() as u32;
        let Some(newest) = open.times.first().copied() else { return };
        let layout = Layout::of(&open.shapes);
        let mut texts: Vec<Vec<&[u8]>> = vec![Vec::new(); self.columns.len()];
        for group in layout.groups.iter().filter(|group| group.shape != VERBATIM) {
            let columns = &self.shapes[group.shape as usize - 1].columns;
            for row in layout.rows_of(group) {
                let first = open.first_slots[usize::from(*row)] as usize;
                for (slot, column) in columns.iter().enumerate() {
                    texts[*column as usize].push(open.slots.get(first + slot));
                }
            }
        }
        let columns = (0u32..).zip(&mut self.columns).zip(&texts);
        for ((place, column), texts) in columns.filter(|(_, texts)| !texts.is_empty()) {
            let start = column.out.len();
            let Encoded { form, span } =
                column.builder.encode(texts, &mut self.packer, &mut column.out);
            let size_bytes = (column.out.len() - start) as u32;
            column.parts.push(Part { block: number, size_bytes, form, span });
            if column.is_searched && !matches!(form, CODES | INTS) {
                self.words.add_part((place, number), form != IDS, texts.iter().copied());
            }
        }
        let by_seq = order_by(&open.seqs);
        let observed: Vec<i64> =
            by_seq.iter().map(|row| open.observed[usize::from(*row)]).collect();
        let packer = &mut self.packer;
        let before = self.core.each_ref().map(Vec::len);
        let [shapes, times, seqs, arrivals, verbatim] = &mut self.core;
        layout.encode(|shape| shape, packer, shapes);
        ints::encode(&open.times, packer, times);
        ints::encode(&open.seqs, packer, seqs);
        ints::encode(&observed, packer, arrivals);
        let all: Vec<&[u8]> = (0..open.verbatim.len()).map(|row| open.verbatim.get(row)).collect();
        put_number(verbatim, all.len() as u64);
        texts::encode(&all, packer, verbatim);
        let mut sizes = [0; CORE_PARTS];
        for ((size, part), before) in sizes.iter_mut().zip(&self.core).zip(before) {
            *size = (part.len() - before) as u32;
        }
        self.core_bytes.push(sizes);
        self.blocks.push(BlockInfo {
            first_row: self.rows - open.shapes.len() as u32,
            newest,
            seq_min: open.seqs.iter().map(|seq| *seq as u64).min().unwrap_or_default(),
            seq_max: open.seqs.iter().map(|seq| *seq as u64).max().unwrap_or_default(),
        });
        open.clear();
        self.open = open;
    }
}

impl OpenBlock {
    /// Forgets the rows, not the room for them.
    fn clear(&mut self) {
        self.shapes.clear();
        self.times.clear();
        self.seqs.clear();
        self.observed.clear();
        self.slots.truncate(0);
        self.first_slots.clear();
        self.verbatim.truncate(0);
    }
}

/// What a finished writer gives to the split.
pub(crate) struct Written {
    /// Everything but the directory.
    pub(crate) content: Vec<u8>,
    /// Where things lie, to be put near the end.
    pub(crate) directory: Vec<u8>,
    /// The same, for the footer.
    pub(crate) info: StoreInfo,
    /// Events per field and type.
    pub(crate) fields: Vec<FieldStat>,
    /// Events per dataset.
    pub(crate) datasets: BTreeMap<String, u64>,
}

impl Writer {
    /// Finishes: core parts, then each column's blocks and dictionary, then the filter.
    pub(crate) fn finish(mut self) -> Written {
        self.close_block();
        let mut content = Vec::new();
        let mut directory = Vec::new();
        put_number(&mut directory, self.blocks.len() as u64);
        for sizes in &self.core_bytes {
            sizes.iter().for_each(|size| put_number(&mut directory, u64::from(*size)));
        }
        self.core.iter().for_each(|part| content.extend_from_slice(part));
        put_number(&mut directory, self.columns.len() as u64);
        for (number, column) in (0u32..).zip(&mut self.columns) {
            content.append(&mut column.out);
            put_number(&mut directory, column.parts.len() as u64);
            let mut next = 0;
            for part in &column.parts {
                put_number(&mut directory, u64::from(part.block - next));
                put_number(&mut directory, u64::from(part.size_bytes));
                directory.push(part.form);
                if let Some((least, greatest)) = part.span {
                    put_number(&mut directory, fold(least));
                    put_number(&mut directory, greatest.abs_diff(least));
                }
                next = part.block + 1;
            }
            let start = content.len();
            if column.builder.dictionary.len() > 0 {
                column.builder.dictionary.encode(&mut self.packer, &mut content);
            }
            put_number(&mut directory, (content.len() - start) as u64);
            let texts = column.builder.dictionary.texts();
            if column.is_searched && texts.len() > 0 {
                let texts = (0..texts.len()).map(|code| texts.get(code));
                self.words.add_part((number, DICTIONARY), false, texts);
            }
        }
        put_number(&mut directory, self.shapes.len() as u64);
        for known in &self.shapes {
            put_bytes(&mut directory, &known.bytes);
            put_number(&mut directory, u64::from(known.rows));
            known.columns.iter().for_each(|column| put_number(&mut directory, u64::from(*column)));
        }
        let lines = std::mem::take(&mut self.words).build();
        let filter = PartRange { offset: content.len() as u64, size_bytes: lines.len() as u64 };
        content.extend_from_slice(&lines);
        let mut packed = Vec::new();
        self.packer.put(&mut packed, &directory);
        let mut datasets = std::mem::take(&mut self.verbatim_datasets);
        for known in &self.shapes {
            known.count_fields(&mut self.stats);
            let dataset = known.shape.constant(known.shape.dataset).unwrap_or_default();
            *datasets.entry(dataset).or_default() += u64::from(known.rows);
        }
        datasets.retain(|_, count| *count > 0);
        let directory_range = PartRange { offset: 0, size_bytes: packed.len() as u64 };
        let info = StoreInfo { blocks: self.blocks, directory: directory_range, filter };
        Written { content, directory: packed, info, fields: self.stats.into_list(), datasets }
    }
}

impl KnownShape {
    /// Counts its events under each of its fields and types.
    fn count_fields(&self, stats: &mut FieldStats) {
        let mut seen: Vec<(String, &str)> = Vec::new();
        for field in &self.shape.fields {
            let named =
                (self.shape.name_text(field.name).unwrap_or_default(), field.kind.type_name());
            if !seen.contains(&named) {
                stats.add_count(&named.0, named.1, u64::from(self.rows));
                seen.push(named);
            }
        }
    }
}

/// A slot that belongs to no field is told apart by what stands before it.
fn context(shape: &Shape, place: usize) -> ColumnKey {
    let before = place.checked_sub(1).map_or(&[][..], |before| shape.literal(shape.pieces[before]));
    let start = before.len().saturating_sub(CONTEXT_BYTES);
    let message = usize::from(shape.message.start.piece)..usize::from(shape.message.end.piece);
    ColumnKey::Context { before: before[start..].to_vec(), is_message: message.contains(&place) }
}

fn note_poison(event: &Event) {
    ::metrics::counter!(POISON_EVENTS_TOTAL).increment(1);
    error!(event.id = %event.id(), "event {} is kept as it is: reading it failed", event.id());
}

/// The hash of [`crate::columns::hash`] for a map of shapes.
#[derive(Debug, Clone, Copy, Default)]
struct FastHash;

struct FastHasher(u64);

impl BuildHasher for FastHash {
    type Hasher = FastHasher;

    fn build_hasher(&self) -> FastHasher {
        FastHasher(0)
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ hash(bytes);
    }
}
