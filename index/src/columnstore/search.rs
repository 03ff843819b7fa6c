//! Rows of a split by what their texts are, without putting events together.
//!
//! A condition on texts is tried once for each text of a dictionary, and on each text of the blocks
//! that have none. Which texts of a row count is said by its shape.

use std::collections::BTreeMap;
use std::ops::{Bound, Range, RangeBounds};

use super::layout::VERBATIM;
use super::view::{ColumnView, OpenColumns};
use super::{ColumnStore, StoredShape};
use crate::columns::block::{Values, address_of, number_of};
use crate::columns::shape::{Piece, Shape, ShapeField, ShapeName, Stretch};
use crate::columns::texts::contains;
use crate::lookup::{TextCondition, lower, number};
use crate::rowset::RowSet;
use crate::scan::{has_word, has_word_prefix};

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
            Self::WordPrefix(prefix) => has_word_prefix(text, prefix),
            Self::Contains(part) => contains(text, part),
            Self::Passes(condition) => condition.passes(text),
        }
    }

    /// What every text that passes contains, in lower case.
    fn part(&self) -> Option<&str> {
        match self {
            Self::Contains(part) => Some(part),
            Self::Passes(condition) => condition.part(),
            Self::Word(word) | Self::WordPrefix(word) => Some(*word).filter(|word| word.is_ascii()),
            Self::Is(_) | Self::BeginsWith(_) | Self::Number(..) => None,
        }
    }

    fn passes_bytes(&self, text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| self.passes(text))
    }
}

/// The texts that count: by column, the shapes and in them the slots.
#[derive(Debug, Default)]
pub(crate) struct Places {
    columns: BTreeMap<u32, Vec<(u32, u32)>>,
    /// Shapes of which every row passes.
    pub(crate) whole: Vec<u32>,
    /// Shapes of which any row may pass.
    pub(crate) unsure: Vec<u32>,
}

impl Places {
    /// A slot of a shape counts.
    pub(crate) fn add_slot(&mut self, number: u32, stored: &StoredShape, slot: u16) {
        let (column, before) = stored.slots[usize::from(slot)];
        let places = self.columns.entry(column).or_default();
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
    /// Adds the rows inside `range` of which a text that counts passes, and those of whole and unsure
    /// shapes.
    pub(crate) fn insert_passing(
        &self,
        places: &Places,
        test: &TextTest<'_>,
        range: &Range<u32>,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        let shapes: Vec<u32> =
            places.whole.iter().chain(&places.unsure).map(|shape| shape + 1).collect();
        self.insert_shapes(&shapes, range, rows)?;
        for (column, slots) in &places.columns {
            self.insert_column(*column, slots, test, range, rows)?;
        }
        Ok(())
    }

    /// Adds the rows of shapes, said by their codes.
    pub(crate) fn insert_shapes(
        &self,
        codes: &[u32],
        range: &Range<u32>,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        if codes.is_empty() {
            return Ok(());
        }
        let mut is_wanted = vec![false; self.shapes().len() + 1];
        codes.iter().for_each(|code| is_wanted[*code as usize] = true);
        for block in self.blocks_in(range) {
            let layout = self.layout(block)?;
            let first = self.rows_of(block).start;
            for group in layout.groups.iter().filter(|group| is_wanted[group.shape as usize]) {
                layout.rows_of(group).iter().for_each(|row| rows.insert(first + u32::from(*row)));
            }
        }
        Ok(())
    }

    /// Whether any event is kept verbatim.
    pub(crate) fn has_verbatim(&self) -> bool {
        self.shapes().iter().map(|stored| stored.rows).sum::<u32>() < self.rows
    }

    /// Adds the rows of verbatim events.
    pub(crate) fn insert_verbatim(
        &self,
        range: &Range<u32>,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        if self.has_verbatim() { self.insert_shapes(&[VERBATIM], range, rows) } else { Ok(()) }
    }

    /// The blocks that have rows inside a range.
    pub(crate) fn blocks_in(&self, range: &Range<u32>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        self.block_of(range.start)..self.block_of(range.end - 1) + 1
    }

    /// Adds the rows inside `range` and `within` whose text, put together, passes.
    pub(crate) fn insert_stretch(
        &self,
        (number, stretch): (u32, Stretch),
        condition: &TextCondition,
        (range, within): (&Range<u32>, Option<&RowSet>),
        rows: &mut RowSet,
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
            let group = layout.rows_of(&layout.groups[place]);
            let is_wanted = |row: u32| {
                range.contains(&row)
                    && within.is_none_or(|within| within.contains(row))
                    && !rows.contains(row)
            };
            let wanted: Vec<(u32, u32)> = group
                .iter()
                .zip(0u32..)
                .map(|(row, k)| (first + u32::from(*row), k))
                .filter(|(row, _)| is_wanted(*row))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let mut columns = OpenColumns::default();
            for (row, k) in wanted {
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
                    rows.insert(row);
                }
            }
        }
        Ok(())
    }

    fn insert_column(
        &self,
        column: u32,
        slots: &[(u32, u32)],
        test: &TextTest<'_>,
        range: &Range<u32>,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        let blocks = self.blocks_in(range);
        let dictionary = self.dictionary(column)?;
        let texts = &dictionary.texts;
        let passing: Vec<bool> =
            (0..texts.len()).map(|code| test.passes_bytes(texts.get(code))).collect();
        let any_passes = passing.contains(&true);
        for block in self.blocks_of(column).filter(|block| blocks.contains(block)) {
            let Some(values) = self.values(column, block)? else { continue };
            if !any_passes && matches!(*values, Values::Codes(_)) {
                continue;
            }
            let direct = DirectTest::new(&values, test);
            if matches!(direct, DirectTest::Never) {
                continue;
            }
            let layout = self.layout(block)?;
            let Some(view) = ColumnView::new(self, column, block, &layout)? else { continue };
            let first = self.rows_of(block).start;
            let mut buffer = Vec::new();
            for (group, (start, count)) in layout.groups.iter().zip(&view.starts) {
                let wanted = slots.iter().filter(|(shape, _)| shape + 1 == group.shape);
                for (_, before) in wanted {
                    for (place, row) in layout
                        .rows_of(group)
                        .iter()
                        .zip(0u32..)
                        .map(|(row, k)| (start + k * count + before, row))
                    {
                        if direct.passes(&values, place as usize, &passing, &mut buffer) {
                            rows.insert(first + u32::from(*row));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a part has a byte that no text of a block can have.
fn has_other(part: Option<&str>, may_be: impl Fn(&u8) -> bool) -> bool {
    part.is_some_and(|part| !part.as_bytes().iter().all(may_be))
}

/// How a condition is tried on the texts of one block.
enum DirectTest<'t> {
    /// By the code.
    Codes,
    /// No text of the block passes.
    Never,
    /// The number is this one.
    Integer(i64),
    /// The number lies in this range.
    Number(Bound<f64>, Bound<f64>),
    /// The id has this packed form.
    Id(Vec<u8>),
    /// The address is this one.
    Address(u32),
    /// By the text.
    Text(&'t TextTest<'t>),
}

impl<'t> DirectTest<'t> {
    fn new(values: &Values, test: &'t TextTest<'t>) -> Self {
        match (values, test) {
            (Values::Codes(_), _) => Self::Codes,
            (Values::Ints(_), TextTest::Is(wanted)) => {
                number_of(wanted.as_bytes()).map_or(Self::Never, Self::Integer)
            }
            (Values::Ints(_), TextTest::Number(from, to)) => Self::Number(*from, *to),
            (Values::Ids(ids), TextTest::Is(wanted)) => {
                ids.packed(wanted.as_bytes()).map_or(Self::Never, Self::Id)
            }
            (Values::Addresses(_), TextTest::Is(wanted)) => {
                address_of(wanted.as_bytes()).map_or(Self::Never, Self::Address)
            }
            (Values::Addresses(_), test)
                if has_other(test.part(), |byte| byte.is_ascii_digit()) =>
            {
                Self::Never
            }
            (Values::Texts(texts), test)
                if test.part().is_some_and(|part| !texts.may_contain(part)) =>
            {
                Self::Never
            }
            (Values::Ints(_), test) if has_other(test.part(), |byte| byte.is_ascii_digit()) => {
                Self::Never
            }
            (Values::Ids(_), test) if has_other(test.part(), |byte| byte.is_ascii_hexdigit()) => {
                Self::Never
            }
            (_, test) => Self::Text(test),
        }
    }

    fn passes(
        &self,
        values: &Values,
        place: usize,
        passing: &[bool],
        buffer: &mut Vec<u8>,
    ) -> bool {
        match (self, values) {
            (Self::Codes, Values::Codes(codes)) => {
                passing.get(codes.get(place) as usize).copied().unwrap_or_default()
            }
            (Self::Integer(wanted), Values::Ints(numbers)) => numbers[place] == *wanted,
            (Self::Number(from, to), Values::Ints(numbers)) => {
                (*from, *to).contains(&(numbers[place] as f64))
            }
            (Self::Id(packed), Values::Ids(ids)) => ids.is(place, packed),
            (Self::Address(wanted), Values::Addresses(addresses)) => addresses[place] == *wanted,
            (Self::Text(test), values) => {
                let no_dictionary = Default::default();
                values.text(place, &no_dictionary, buffer).is_ok_and(|text| test.passes_bytes(text))
            }
            _ => false,
        }
    }
}
