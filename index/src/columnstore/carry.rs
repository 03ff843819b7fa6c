//! Carries whole blocks of another split over, as they are.
//!
//! Most blocks of splits that are merged lie before or behind all rows of the others. Their parts stay
//! as they are: what changes is the numbers of their shapes and the codes of their dictionaries. The
//! words of texts that are in no dictionary are read, for the filter.

use std::collections::BTreeMap;

use super::layout::{Layout, VERBATIM};
use super::writer::{Part, Writer};
use super::{ARRIVALS, BlockInfo, CORE_PARTS, ColumnStore, SEQS, SHAPES, TIMES, VERBATIM_EVENTS};
use crate::columns::block::{CODES, Encoded, IDS, INTS, Values};
use crate::columns::dictionary::Dictionary;
use crate::columns::texts::Texts;

/// What is known of a split whose blocks are carried over.
#[derive(Debug)]
pub(crate) struct Known {
    /// By number of a shape there: its number here.
    pub(crate) shapes: Vec<Option<u32>>,
    /// By column there and code there: the code here.
    codes: BTreeMap<u32, Vec<Option<u32>>>,
}

impl Known {
    /// Nothing is known yet of a split with so many shapes.
    pub(crate) fn new(shapes: usize) -> Self {
        Self { shapes: vec![None; shapes], codes: BTreeMap::new() }
    }
}

/// Whether a block can be carried over: every row has a shape that is known here.
pub(crate) fn can_carry(layout: &Layout, known: &Known) -> bool {
    let is_known = |shape: u32| known.shapes.get(shape as usize - 1).is_some_and(Option::is_some);
    layout.groups.iter().all(|group| group.shape != VERBATIM && is_known(group.shape))
}

impl Writer {
    /// Appends a block that [`can_carry`] said yes to, whose rows are older than all before.
    pub(crate) fn carry(
        &mut self,
        from: &ColumnStore,
        block: usize,
        known: &mut Known,
    ) -> Result<(), String> {
        self.close_block();
        let number = self.blocks.len() as u32;
        let layout = from.layout(block)?;
        let mut columns = BTreeMap::new();
        for group in &layout.groups {
            let there = &from.shapes()[group.shape as usize - 1].slots;
            let shape = known.shapes[group.shape as usize - 1].ok_or("a shape is not known")?;
            let here = &mut self.shapes[shape as usize];
            here.rows += group.len;
            columns
                .extend(there.iter().map(|(column, _)| *column).zip(here.columns.iter().copied()));
        }
        for (there, here) in columns {
            let codes = known.codes.entry(there).or_default();
            self.carry_column((from, there, block), (here, number), codes)?;
        }
        let mut sizes = [0; CORE_PARTS];
        let start = self.core[SHAPES].len();
        let code = |shape: u32| {
            known.shapes[shape as usize - 1].expect("every shape was looked up before") + 1
        };
        layout.encode(code, &mut self.packer, &mut self.core[SHAPES]);
        sizes[SHAPES] = (self.core[SHAPES].len() - start) as u32;
        for part in [TIMES, SEQS, ARRIVALS, VERBATIM_EVENTS] {
            let bytes = from.core_bytes(part, block)?;
            self.core[part].extend_from_slice(&bytes);
            sizes[part] = bytes.len() as u32;
        }
        self.core_bytes.push(sizes);
        self.blocks.push(BlockInfo { first_row: self.rows, ..from.blocks()[block].clone() });
        self.rows += from.rows_of(block).len() as u32;
        Ok(())
    }

    fn carry_column(
        &mut self,
        (from, there, block): (&ColumnStore, u32, usize),
        (here, number): (u32, u32),
        known: &mut Vec<Option<u32>>,
    ) -> Result<(), String> {
        let values = from.values(there, block)?.ok_or("a block lacks a column")?;
        let dictionary = from.dictionary(there)?;
        let column = &mut self.columns[here as usize];
        let start = column.out.len();
        let part = from.part(there, block)?;
        let (mut form, mut span) = (part.form, part.span);
        let mut texts = None;
        match &*values {
            Values::Codes(codes) => {
                let builder = &mut column.builder;
                if !builder.adopt((codes, &dictionary), known, &mut self.packer, &mut column.out)? {
                    let all = texts_of(&values, &dictionary)?;
                    let slices: Vec<&[u8]> = (0..all.len()).map(|place| all.get(place)).collect();
                    Encoded { form, span } =
                        builder.encode(&slices, &mut self.packer, &mut column.out);
                    texts = Some(all);
                }
            }
            _ => column.out.extend_from_slice(&from.column_bytes(there, block)?),
        }
        let size_bytes = (column.out.len() - start) as u32;
        column.parts.push(Part { block: number, size_bytes, form, span });
        if column.is_searched && !matches!(form, CODES | INTS) {
            let texts = match texts {
                Some(texts) => texts,
                None => texts_of(&values, &dictionary)?,
            };
            let all = (0..texts.len()).map(|place| texts.get(place));
            self.words.add_part((here, number), form != IDS, all);
        }
        Ok(())
    }
}

fn texts_of(values: &Values, dictionary: &Dictionary) -> Result<Texts, String> {
    let mut texts = Texts::default();
    let mut buffer = Vec::new();
    for place in 0..values.len() {
        texts.push(values.text(place, dictionary, &mut buffer)?);
    }
    Ok(texts)
}
