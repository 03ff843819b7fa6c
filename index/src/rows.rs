//! The rows of several splits on their way into one, newest first.
//!
//! Blocks that are damaged are left out. A row is taken over as it is: the number of its shape is
//! another, its texts are the same. Only rows that are kept verbatim, and those of shapes whose words
//! must be read, become events on the way.

use std::cmp::Reverse;

use logwarden_event::Timestamp;

use crate::builder::SplitBuilder;
use crate::columnstore::BlockView;
use crate::split::Split;

/// Adds the rows of all splits to a builder; `go_on` is asked before each.
pub(crate) fn add_rows_of(
    splits: &[Split],
    builder: &mut SplitBuilder,
    mut go_on: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut all: Vec<Rows<'_>> = splits.iter().map(Rows::new).collect::<Result<_, _>>()?;
    loop {
        let next = all.iter_mut().filter(|rows| rows.next.is_some());
        let Some(rows) = next.min_by_key(|rows| rows.next.map(Reverse)) else { return Ok(()) };
        go_on()?;
        rows.take_next(builder)?;
    }
}

/// The rows of a split, one block at a time.
struct Rows<'a> {
    split: &'a Split,
    shapes: Vec<Vec<u8>>,
    /// By number of a shape: whether it was adopted, and then its number there.
    adopted: Vec<Option<Option<u32>>>,
    block: usize,
    row: usize,
    view: Option<BlockView<'a>>,
    /// Time and seq of the next row.
    next: Option<(Timestamp, u64)>,
}

impl<'a> Rows<'a> {
    fn new(split: &'a Split) -> Result<Self, String> {
        let shapes = split.shape_bytes()?;
        let adopted = vec![None; shapes.len()];
        let mut rows = Self { split, shapes, adopted, block: 0, row: 0, view: None, next: None };
        rows.open_block()?;
        Ok(rows)
    }

    fn open_block(&mut self) -> Result<(), String> {
        self.row = 0;
        let columns = self.split.columns();
        while self.split.damage().is_some_and(|damage| damage.has(self.block)) {
            self.block += 1;
        }
        self.view = match self.block < columns.blocks().len() {
            true => Some(BlockView::new(columns, self.block)?),
            false => None,
        };
        self.next = self.view.as_ref().and_then(|view| view.order(0));
        Ok(())
    }

    fn take_next(&mut self, builder: &mut SplitBuilder) -> Result<(), String> {
        let Some(view) = &mut self.view else { return Ok(()) };
        let lane = self.split.footer.lane;
        let shape = view.shape(self.row).map(|shape| shape as usize);
        let number = shape.and_then(|shape| {
            *self.adopted[shape].get_or_insert_with(|| builder.adopt(&self.shapes[shape]))
        });
        let stored = match number {
            Some(number) => view.stored(self.row)?.map(|row| (number, row)),
            None => None,
        };
        match stored {
            Some((number, row)) => builder.add_stored(number, lane, &row),
            None => builder.add(&view.event(lane, self.row)?)?,
        }
        self.row += 1;
        self.next = view.order(self.row);
        if self.next.is_none() {
            self.block += 1;
            self.open_block()?;
        }
        Ok(())
    }
}
