//! Spots of rows by what their texts are, without putting events together.
//!
//! A condition on texts is tried once for each text of a dictionary, and on each text of the blocks
//! that have none. Which texts of a row count is said by its shape.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use logwarden_event::{WORD_BYTES_MAX, has_words_in_order, words};

use super::direct::DirectTest;
use super::directory::Part;
use super::view::{ColumnView, OpenColumns};
use super::{ColumnStore, StoredShape};
use crate::columns::block::{self, Values, address_of, number_of};
use crate::columns::codes::Codes;
use crate::columns::filter::{DICTIONARY, hash_word, may_be_in, may_have};
use crate::columns::shape::{Piece, Shape, ShapeField, ShapeName, Stretch};
use crate::columns::texts::{Texts, contains};
use crate::lookup::{TextCondition, lower, number};
use crate::rowset::RowSet;
use crate::scan::{has_word, has_word_prefix, is_inside_word, is_plain};

/// Whether no word goes on here.
fn is_edge(byte: Option<u8>) -> bool {
    !is_inside_word(byte.as_ref())
}

/// Whether a part stands as it should, by the bytes before and after it.
type Stands = fn(Option<u8>, Option<u8>) -> bool;

/// A condition on one text.
pub(crate) enum TextTest<'a> {
    /// It is this in lower case.
    Is(&'a str),
    /// In lower case it begins so.
    BeginsWith(&'a str),
    /// It reads as a number in this range.
    Number(Bound<f64>, Bound<f64>),
    /// A word of it is this.
    Word(&'a str),
    /// These words of it stand side by side.
    Phrase(&'a [String]),
    /// A word of it begins so.
    WordPrefix(&'a str),
    /// In lower case it contains this.
    Contains(&'a str),
    /// It passes the caller's condition.
    Passes(&'a TextCondition),
}

impl TextTest<'_> {
    /// Whether a text passes.
    pub(crate) fn passes(&self, text: &str) -> bool {
        match self {
            Self::Is(wanted) => lower(text) == *wanted,
            Self::BeginsWith(prefix) => lower(text).starts_with(prefix),
            Self::Number(from, to) => {
                number(text).is_some_and(|number| (*from, *to).contains(&number))
            }
            Self::Word(word) => has_word(text, word),
            Self::Phrase(words) => has_words_in_order(text, words),
            Self::WordPrefix(prefix) => has_word_prefix(text, prefix),
            Self::Contains(part) => contains(text, part),
            Self::Passes(condition) => condition.passes(text),
        }
    }

    /// What every text that passes contains, in lower case.
    pub(super) fn part(&self) -> Option<&str> {
        match self {
            Self::Contains(part) => Some(part),
            Self::Passes(condition) => condition.part(),
            Self::Word(word) | Self::WordPrefix(word) => Some(*word).filter(|word| word.is_ascii()),
            Self::Phrase(words) => words.iter().map(String::as_str).find(|word| word.is_ascii()),
            Self::Is(_) | Self::BeginsWith(_) | Self::Number(..) => None,
        }
    }

    /// What stands in a text that passes, and how; in ASCII a text with it passes.
    fn stands(&self) -> Option<(&str, Stands)> {
        let is_lower =
            |text: &str| text.is_ascii() && !text.bytes().any(|b| b.is_ascii_uppercase());
        match self {
            Self::Word(word) if is_plain(word) && word.len() < WORD_BYTES_MAX => {
                Some((word, |before, after| is_edge(before) && is_edge(after)))
            }
            Self::WordPrefix(prefix) if is_plain(prefix) && prefix.len() <= WORD_BYTES_MAX => {
                Some((prefix, |before, _| is_edge(before)))
            }
            Self::Is(wanted) if is_lower(wanted) => {
                Some((wanted, |before, after| before.is_none() && after.is_none()))
            }
            Self::BeginsWith(prefix) if is_lower(prefix) => {
                Some((prefix, |before, _| before.is_none()))
            }
            Self::Contains(part) if is_lower(part) => Some((part, |_, _| true)),
            _ => None,
        }
    }

    /// The texts that pass, by place; `None`: each must be tried.
    pub(super) fn passing(&self, texts: &Texts) -> Option<Vec<bool>> {
        let (places, are_sure) = match self.stands() {
            Some((part, stands)) => (texts.places_of(part, stands)?, true),
            None => (texts.places_of(self.part()?, |_, _| true)?, false),
        };
        let mut passing = vec![false; texts.len()];
        for place in places {
            passing[place] = are_sure || self.passes_bytes(texts.get(place));
        }
        Some(passing)
    }

    /// The texts that pass, by place.
    pub(super) fn passing_of(&self, texts: &Texts) -> Vec<bool> {
        let passes = |place: usize| self.passes_bytes(texts.get(place));
        self.passing(texts).unwrap_or_else(|| (0..texts.len()).map(passes).collect())
    }

    pub(super) fn passes_bytes(&self, text: &[u8]) -> bool {
        match self {
            // The same text in ASCII has the same length.
            Self::Is(wanted) if wanted.is_ascii() && text.is_ascii() => {
                text.eq_ignore_ascii_case(wanted.as_bytes())
            }
            _ => std::str::from_utf8(text).is_ok_and(|text| self.passes(text)),
        }
    }
}

/// A condition, and the words that every text has which passes.
pub(crate) struct Probe<'t> {
    /// The condition.
    pub(crate) test: TextTest<'t>,
    words: Vec<SoughtWord>,
    /// The words as an address, which is a word of its own where all texts are addresses.
    pub(super) address: Option<(u32, SoughtWord)>,
}

/// A word that is looked for, with its line of the filter.
pub(super) struct SoughtWord {
    hash: u64,
    /// The number it is, if numbers are written so.
    number: Option<u64>,
    line: Bytes,
}

impl SoughtWord {
    fn new(store: &ColumnStore, word: &str) -> Self {
        let hash = hash_word(word.as_bytes());
        Self { hash, number: magnitude_of(word), line: store.filter_line(hash) }
    }
}

/// The number without its sign that has this word and no other.
pub(super) fn magnitude_of(word: &str) -> Option<u64> {
    let is_usual =
        word == "0" || !word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit());
    if is_usual { word.parse().ok() } else { None }
}

/// Whether a number between these two, both inside, has this magnitude.
fn has_magnitude((least, greatest): (i64, i64), magnitude: u64) -> bool {
    let numbers = i128::from(least)..=i128::from(greatest);
    numbers.contains(&i128::from(magnitude)) || numbers.contains(&-i128::from(magnitude))
}

impl<'t> Probe<'t> {
    /// The condition `test`; `None`: no text of the split passes.
    pub(crate) fn new(store: &ColumnStore, test: TextTest<'t>) -> Option<Self> {
        let words = match &test {
            TextTest::Word(word) => vec![Cow::Borrowed(*word)],
            TextTest::Is(value) if address_of(value.as_bytes()).is_some() => {
                vec![Cow::Borrowed(*value)]
            }
            // In other scripts lower case depends on what stands around a word.
            TextTest::Is(value) if value.is_ascii() => words(value).collect(),
            TextTest::Phrase(words) => words.iter().map(|word| Cow::Borrowed(&**word)).collect(),
            _ => Vec::new(),
        };
        let words: Vec<SoughtWord> =
            words.iter().map(|word| SoughtWord::new(store, word)).collect();
        let address = match &test {
            TextTest::Phrase(words) => {
                let text = words.join(".");
                address_of(text.as_bytes()).map(|address| (address, SoughtWord::new(store, &text)))
            }
            _ => None,
        };
        // Parts of numbers are not in the filter.
        let is_possible =
            |word: &SoughtWord| word.number.is_some() || may_have(&word.line, word.hash);
        words.iter().all(is_possible).then_some(Self { test, words, address })
    }

    /// A condition about which the filter says nothing.
    pub(crate) fn unfiltered(test: TextTest<'t>) -> Self {
        Self { test, words: Vec::new(), address: None }
    }

    fn may_be_in(&self, column: u32, block: u32) -> bool {
        self.words.iter().all(|word| may_be_in(&word.line, word.hash, column, block))
    }

    /// Whether a text of a column may have the word at this place of those that are sought.
    pub(crate) fn may_hold(&self, store: &ColumnStore, column: u32, place: usize) -> bool {
        let Some(word) = self.words.get(place) else { return true };
        let is_in = |block: u32| may_be_in(&word.line, word.hash, column, block);
        is_in(DICTIONARY)
            || store.parts_of(column).iter().any(|part| match (part.form, part.span) {
                (block::CODES, _) => false,
                (block::INTS, Some(span)) => {
                    word.number.is_some_and(|number| has_magnitude(span, number))
                }
                (block::INTS, None) => word.number.is_some(),
                _ => is_in(part.block),
            })
    }

    /// Whether a text of a part that is not codes may pass, without reading it.
    fn may_pass(&self, column: u32, part: &Part) -> bool {
        let has = |is_inside: fn(&u8) -> bool| {
            self.test.part().is_none_or(|part| part.as_bytes().iter().all(is_inside))
        };
        match (part.form, part.span, &self.test) {
            (block::INTS, Some((least, greatest)), TextTest::Number(from, to)) => {
                let is_below = match to {
                    Bound::Included(to) => *to < least as f64,
                    Bound::Excluded(to) => *to <= least as f64,
                    Bound::Unbounded => false,
                };
                let is_above = match from {
                    Bound::Included(from) => *from > greatest as f64,
                    Bound::Excluded(from) => *from >= greatest as f64,
                    Bound::Unbounded => false,
                };
                !is_below && !is_above
            }
            (block::INTS, Some((least, greatest)), TextTest::Is(wanted)) => {
                number_of(wanted.as_bytes()).is_some_and(|n| (least..=greatest).contains(&n))
            }
            (block::INTS, Some(span), TextTest::Word(word)) => {
                magnitude_of(word).is_some_and(|number| has_magnitude(span, number))
            }
            (block::INTS, _, TextTest::Phrase(_)) => false,
            (block::ADDRESSES, _, TextTest::Phrase(_))
                if let Some((_, address)) = &self.address =>
            {
                may_be_in(&address.line, address.hash, column, part.block)
            }
            (block::INTS, ..) => has(u8::is_ascii_digit),
            (block::IDS, ..) if !has(u8::is_ascii_hexdigit) => false,
            (block::ADDRESSES, ..) if !has(u8::is_ascii_digit) => false,
            _ => self.may_be_in(column, part.block),
        }
    }
}

/// By column, the shapes and in them the slots.
pub(super) type Slots = BTreeMap<u32, Vec<(u32, u32)>>;

/// The texts that count.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(super) columns: Arc<Slots>,
    /// Only slots of these shapes; `None`: of all.
    pub(super) among: Option<Box<[bool]>>,
    /// Shapes of which every row passes.
    pub(crate) whole: Vec<u32>,
    /// Shapes of which any row may pass.
    pub(crate) unsure: Vec<u32>,
}

/// Rows that were asked for, and shapes whose rows are found already.
type Asked<'a> = (&'a Range<u32>, &'a [bool]);

impl Places {
    /// A slot of a shape counts.
    pub(crate) fn add_slot(&mut self, number: u32, stored: &StoredShape, slot: u16) {
        let (column, before) = stored.slots[usize::from(slot)];
        let places = Arc::make_mut(&mut self.columns).entry(column).or_default();
        if places.last() != Some(&(number, before)) {
            places.push((number, before));
        }
    }

    /// The words of pieces count.
    pub(crate) fn add_pieces(
        &mut self,
        (number, stored): (u32, &StoredShape),
        pieces: impl Iterator<Item = Piece>,
        test: &TextTest<'_>,
    ) {
        for piece in pieces {
            match piece {
                Piece::Slot(slot) => self.add_slot(number, stored, slot),
                literal => {
                    if test.passes_bytes(stored.shape.literal(literal)) {
                        self.whole.push(number);
                    }
                }
            }
        }
    }
}

impl Shape {
    /// Whether a field is called so, by either of its names.
    pub(crate) fn is_named(&self, field: &ShapeField, path: &str, standard: Option<u16>) -> bool {
        let is_it = |name: ShapeName| match name {
            ShapeName::Standard(place) => Some(place) == standard,
            ShapeName::Text(stretch) => self.is_constant(stretch, path.as_bytes()),
        };
        is_it(field.name) || field.alias.is_some_and(is_it)
    }
}

impl ColumnStore {
    /// Adds the spots of rows of which a text in a slot that counts passes, and marks their shapes.
    pub(crate) fn insert_passing(
        &self,
        places: &Places,
        probe: &Probe<'_>,
        (range, found): Asked<'_>,
        (spots, part): (&mut RowSet, &mut [bool]),
    ) -> Result<(), String> {
        for (column, slots) in &*places.columns {
            let is_asked = |shape: usize| places.among.as_ref().is_none_or(|among| among[shape]);
            let left = slots.iter().filter(|(shape, _)| {
                let shape = *shape as usize;
                !found[shape] && is_asked(shape)
            });
            let left: Vec<(u32, u32)> = left.copied().collect();
            if !left.is_empty() {
                self.insert_column((*column, &left), probe, range, (spots, part))?;
            }
        }
        Ok(())
    }

    /// How many rows [`Self::insert_passing`] would add in the whole split, when dictionaries have
    /// counted them; `found` shapes aside, rows count only `among` these shapes.
    pub(crate) fn count_passing(
        &self,
        places: &Places,
        probe: &Probe<'_>,
        (found, among): (&[bool], &[bool]),
    ) -> Result<Option<u64>, String> {
        let mut count = 0;
        let mut claimed = vec![false; self.shapes().len()];
        for (column, slots) in &*places.columns {
            let counts_in = |shape: u32| !found[shape as usize] && among[shape as usize];
            if !slots.iter().any(|(shape, _)| counts_in(*shape)) {
                continue;
            }
            let direct = self.parts_of(*column).iter().filter(|part| part.form != block::CODES);
            if direct.into_iter().any(|part| probe.may_pass(*column, part)) {
                return Ok(None);
            }
            if !probe.may_be_in(*column, DICTIONARY) {
                continue;
            }
            let dictionary = self.dictionary(*column)?;
            let passing = probe.test.passing_of(&dictionary.texts);
            let of_column = dictionary.counts.iter().zip(&passing).filter(|(_, passes)| **passes);
            let of_column: u64 = of_column.map(|(count, _)| u64::from(*count)).sum();
            if of_column == 0 {
                continue;
            }
            for (shape, slots_of_shape) in self.shapes_of(*column) {
                let is_asked = slots.iter().any(|(asked, _)| asked == shape);
                let is_counted = *slots_of_shape == 1 && is_asked && counts_in(*shape);
                let is_new = !std::mem::replace(&mut claimed[*shape as usize], true);
                if !(is_counted && is_new) && self.shapes()[*shape as usize].rows > 0 {
                    return Ok(None);
                }
            }
            count += of_column;
        }
        Ok(Some(count))
    }

    /// Whether every text of a column is in its dictionary.
    pub(super) fn is_all_coded(&self, column: u32) -> bool {
        self.parts_of(column).iter().all(|part| part.form == block::CODES)
    }

    /// Adds the spots inside `range` and `within` whose text, put together, passes.
    pub(crate) fn insert_stretch(
        &self,
        (number, stretch): (u32, Stretch),
        condition: &TextCondition,
        (range, within): (&Range<u32>, Option<&RowSet>),
        spots: &mut RowSet,
    ) -> Result<(), String> {
        let stored = &self.shapes()[number as usize];
        let pieces: Vec<Piece> = stored.shape.pieces_of(stretch).collect();
        let mut text = Vec::new();
        let mut buffer = Vec::new();
        for block in self.blocks_in(range) {
            let layout = self.layout(block)?;
            let found = layout.groups.iter().position(|group| group.shape == number + 1);
            let Some(place) = found else { continue };
            let first = self.rows_of(block).start;
            let group = &layout.groups[place];
            let start = first + layout.spots_of(group).start;
            let is_wanted = |row: u16, spot: u32| {
                range.contains(&(first + u32::from(row)))
                    && within.is_none_or(|within| within.contains(spot))
                    && !spots.contains(spot)
            };
            let by_place = layout.rows_of(group).iter().zip(0u32..);
            let wanted: Vec<u32> =
                by_place.filter(|(row, k)| is_wanted(**row, start + k)).map(|(_, k)| k).collect();
            if wanted.is_empty() {
                continue;
            }
            let mut columns = OpenColumns::default();
            for k in wanted {
                text.clear();
                for piece in &pieces {
                    let Piece::Slot(slot) = piece else {
                        text.extend_from_slice(stored.shape.literal(*piece));
                        continue;
                    };
                    let (column, before) = stored.slots[usize::from(*slot)];
                    let view = columns.open(self, column, block, &layout)?;
                    let (start, count) = view.starts[place];
                    let at = (start + k * count + before) as usize;
                    text.extend_from_slice(view.values.text(at, &view.dictionary, &mut buffer)?);
                }
                if std::str::from_utf8(&text).is_ok_and(|text| condition.passes(text)) {
                    spots.insert(start + k);
                }
            }
        }
        Ok(())
    }

    fn insert_column(
        &self,
        (column, slots): (u32, &[(u32, u32)]),
        probe: &Probe<'_>,
        range: &Range<u32>,
        (spots, part_shapes): (&mut RowSet, &mut [bool]),
    ) -> Result<(), String> {
        let blocks = self.blocks_in(range);
        let passing = match probe.may_be_in(column, DICTIONARY) {
            true => probe.test.passing_of(&self.dictionary(column)?.texts),
            false => Vec::new(),
        };
        let any_passes = passing.contains(&true);
        for part in self.parts_of(column).iter().filter(|p| blocks.contains(&(p.block as usize))) {
            let may_pass = match part.form {
                block::CODES => any_passes,
                _ => probe.may_pass(column, part),
            };
            let block = part.block as usize;
            if !may_pass {
                continue;
            }
            let Some(values) = self.values(column, block)? else { continue };
            let direct = DirectTest::new(&values, probe);
            let by_code = match (&*values, &direct) {
                (Values::Codes(codes), _) => Some((codes, &*passing)),
                (Values::Patterns(patterns), DirectTest::Patterns(told)) => {
                    Some((&patterns.codes, &**told))
                }
                _ => None,
            };
            let none_passes = by_code.is_some_and(|(codes, passing)| !codes.has_any(passing));
            if none_passes || matches!(direct, DirectTest::Never) {
                continue;
            }
            let layout = self.layout(block)?;
            let Some(view) = ColumnView::new(self, column, block, &layout)? else { continue };
            let first = self.rows_of(block).start;
            let mut buffer = Vec::new();
            for (group, (start, count)) in layout.groups.iter().zip(&view.starts) {
                let wanted = slots.iter().filter(|(shape, _)| shape + 1 == group.shape);
                for (shape, before) in wanted {
                    let of_group = layout.spots_of(group);
                    let at = first + of_group.start;
                    let step = *count as usize;
                    let any = match by_code {
                        Some(by_code) => {
                            let places = (start + before, *count, group.len);
                            insert_codes(by_code, places, (spots, at))
                        }
                        None => {
                            let first = (start + before) as usize;
                            let place = |k: usize| first + k * step;
                            let passes = |k| direct.passes(&values, place(k), &mut buffer);
                            spots.insert_bits(at, of_group.len(), passes)
                        }
                    };
                    part_shapes[*shape as usize] |= any;
                }
            }
        }
        Ok(())
    }
}

/// Adds the spots from `at` on whose codes pass; these stand from `start` on, so many apart.
fn insert_codes(
    (codes, passing): (&Codes, &[bool]),
    (start, step, len): (u32, u32, u32),
    (spots, at): (&mut RowSet, u32),
) -> bool {
    let (start, step, len) = (start as usize, step.max(1) as usize, len as usize);
    let passes = |code: usize| passing.get(code) == Some(&true);
    match codes {
        Codes::Bytes(codes) => {
            // Every byte has a place in it, so none must be checked.
            let passing: [bool; 256] = std::array::from_fn(passes);
            let codes = &codes[start..];
            spots.insert_bits(at, len, |k| passing[usize::from(codes[k * step])])
        }
        Codes::Shorts(codes) => {
            let codes = &codes[start..];
            spots.insert_bits(at, len, |k| passes(usize::from(codes[k * step])))
        }
        Codes::Longs(codes) => {
            let codes = &codes[start..];
            spots.insert_bits(at, len, |k| passes(codes[k * step] as usize))
        }
    }
}
