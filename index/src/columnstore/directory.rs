//! Where the parts of the columns lie, and the shapes.

use std::ops::Range;

use super::CORE_PARTS;
use crate::columns::block;
use crate::columns::shape::{self, Shape};
use crate::columns::wire::{Damaged, Reader, unfold};

/// Columns, and shapes, a directory may claim to have.
const COUNT_MAX: usize = 1 << 16;

/// Where everything lies; parts stand side by side from the beginning of the blob on.
#[derive(Debug)]
pub(super) struct Directory {
    /// By block and core part.
    pub(super) core: Vec<[Range<u64>; CORE_PARTS]>,
    /// By column.
    pub(super) columns: Vec<ColumnParts>,
    /// By number.
    pub(super) shapes: Vec<StoredShape>,
}

/// Where a column lies.
#[derive(Debug)]
pub(super) struct ColumnParts {
    /// The texts of its blocks, which ascend.
    pub(super) parts: Vec<Part>,
    /// Its dictionary; empty when it has none.
    pub(super) dictionary: Range<u64>,
    /// The shapes with slots of this column, ascending, and how many they have.
    pub(super) shapes: Vec<(u32, u32)>,
}

/// The texts of a column in a block.
#[derive(Debug)]
pub(super) struct Part {
    /// The block.
    pub(super) block: u32,
    /// Where they lie.
    pub(super) range: Range<u64>,
    /// The form in which they are.
    pub(super) form: u8,
    /// The least and the greatest, when they are numbers.
    pub(super) span: Option<(i64, i64)>,
}

/// A shape and the columns of its slots.
#[derive(Debug)]
pub(crate) struct StoredShape {
    /// The shape.
    pub(crate) shape: Shape,
    /// Rows of this shape.
    pub(crate) rows: u32,
    /// By slot: its column, and how many slots before it have the same one.
    pub(crate) slots: Vec<(u32, u32)>,
    dataset: String,
    source: String,
}

impl StoredShape {
    /// The text of that part of its events, empty when there is none; `None` when `field` is none of
    /// the names that mean a part.
    pub(crate) fn event_part(&self, field: &str) -> Option<&str> {
        match field {
            "dataset" => Some(&self.dataset),
            "severity" => Some(self.shape.severity.name()),
            "lw.source" => Some(&self.source),
            _ => None,
        }
    }

    /// How many slots are of a column.
    pub(crate) fn slots_of(&self, column: u32) -> u32 {
        self.slots.iter().filter(|(other, _)| *other == column).count() as u32
    }
}

/// The bytes of all shapes of a split with so many blocks, by number.
pub(crate) fn shape_bytes(directory: &[u8], blocks: usize) -> Result<Vec<Vec<u8>>, Damaged> {
    Ok(Directory::decode_with_bytes(directory, blocks)?.1)
}

impl Directory {
    /// Reads the directory of a split with so many blocks.
    pub(super) fn decode(bytes: &[u8], blocks: usize) -> Result<Self, Damaged> {
        Ok(Self::decode_with_bytes(bytes, blocks)?.0)
    }

    fn decode_with_bytes(bytes: &[u8], blocks: usize) -> Result<(Self, Vec<Vec<u8>>), Damaged> {
        let mut outer = Reader::new(bytes);
        let bytes = outer.packed()?;
        let mut reader = Reader::new(&bytes);
        if reader.number_up_to(COUNT_MAX)? != blocks {
            return Err(Damaged("the directory is of other blocks"));
        }
        let mut next = 0;
        let core = read_core(&mut reader, blocks, &mut next)?;
        let count = reader.number_up_to(COUNT_MAX)?;
        let mut columns: Vec<ColumnParts> = (0..count)
            .map(|_| read_column(&mut reader, blocks, &mut next))
            .collect::<Result<_, _>>()?;
        let count = reader.number_up_to(COUNT_MAX)?;
        let mut shapes = Vec::new();
        let mut shape_bytes = Vec::new();
        for _ in 0..count {
            let bytes = reader.bytes()?;
            let stored = read_shape(bytes, &mut reader, columns.len())?;
            let number = shapes.len() as u32;
            for (column, before) in &stored.slots {
                let of_column = &mut columns[*column as usize].shapes;
                match of_column.last_mut().filter(|(shape, _)| *shape == number) {
                    Some((_, slots)) => *slots = before + 1,
                    None => of_column.push((number, 1)),
                }
            }
            shapes.push(stored);
            shape_bytes.push(bytes.to_vec());
        }
        if !reader.is_empty() {
            return Err(Damaged("the directory goes on after its end"));
        }
        Ok((Self { core, columns, shapes }, shape_bytes))
    }
}

/// Sizes are said block by block, but the parts lie core part by core part.
fn read_core(
    reader: &mut Reader<'_>,
    blocks: usize,
    next: &mut u64,
) -> Result<Vec<[Range<u64>; CORE_PARTS]>, Damaged> {
    let mut sizes = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        let mut block = [0u64; CORE_PARTS];
        for size in &mut block {
            *size = u64::from(
                u32::try_from(reader.number()?).map_err(|_| Damaged("a part is too large"))?,
            );
        }
        sizes.push(block);
    }
    let mut core = vec![[const { 0..0 }; CORE_PARTS]; blocks];
    for part in 0..CORE_PARTS {
        for (ranges, sizes) in core.iter_mut().zip(&sizes) {
            ranges[part] = *next..*next + sizes[part];
            *next += sizes[part];
        }
    }
    Ok(core)
}

fn read_column(
    reader: &mut Reader<'_>,
    blocks: usize,
    next: &mut u64,
) -> Result<ColumnParts, Damaged> {
    let mut part = |reader: &mut Reader<'_>| -> Result<Range<u64>, Damaged> {
        let size = u32::try_from(reader.number()?).map_err(|_| Damaged("a part is too large"))?;
        let start = *next;
        *next += u64::from(size);
        Ok(start..*next)
    };
    let mut parts = Vec::new();
    let mut block = 0;
    for _ in 0..reader.number_up_to(blocks)? {
        block += reader.number_up_to(blocks)?;
        if block >= blocks {
            return Err(Damaged("a column has a block that is not there"));
        }
        let range = part(reader)?;
        let form = reader.byte()?;
        let span = match form {
            block::INTS => {
                let least = unfold(reader.number()?);
                Some((least, least.saturating_add_unsigned(reader.number()?)))
            }
            _ => None,
        };
        parts.push(Part { block: block as u32, range, form, span });
        block += 1;
    }
    Ok(ColumnParts { parts, dictionary: part(reader)?, shapes: Vec::new() })
}

fn read_shape(
    bytes: &[u8],
    reader: &mut Reader<'_>,
    columns: usize,
) -> Result<StoredShape, Damaged> {
    let shape = shape::decode(bytes)?;
    let rows = u32::try_from(reader.number()?).map_err(|_| Damaged("a shape has too many rows"))?;
    let mut slots: Vec<(u32, u32)> = Vec::with_capacity(shape.slots);
    for _ in 0..shape.slots {
        let column = reader.number_up_to(columns)? as u32;
        if column as usize == columns {
            return Err(Damaged("a slot has a column that is not there"));
        }
        let before = slots.iter().filter(|(other, _)| *other == column).count() as u32;
        slots.push((column, before));
    }
    let dataset = shape.constant(shape.dataset).unwrap_or_default();
    let source = shape.constant(shape.source).unwrap_or_default();
    Ok(StoredShape { shape, rows, slots, dataset, source })
}
