//! The rows of several splits on their way into one, newest first.
//!
//! Blocks that are damaged are left out. A block that lies before all rows of the other splits is
//! taken over whole. Any other row is taken over as it is: the number of its shape is another, its
//! texts are the same. Only rows that are kept verbatim, and those of shapes whose words must be read,
//! become events on the way.

use std::cmp::Reverse;

use logwarden_event::Timestamp;

use crate::builder::SplitBuilder;
use crate::columnstore::carry::Known;
use crate::columnstore::{BLOCK_ROWS, BlockView};
use crate::split::Split;

/// Adds the rows of all splits to a builder; `go_on` is asked before each.
pub(crate) fn add_rows_of(
    splits: &[Split],
    builder: &mut SplitBuilder,
    mut go_on: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut all: Vec<Rows<'_>> = splits.iter().map(Rows::new).collect::<Result<_, _>>()?;
    loop {
        let next = (0..all.len()).filter(|place| all[*place].next.is_some());
        let Some(place) = next.min_by_key(|place| all[*place].next.map(Reverse)) else {
            return Ok(());
        };
        go_on()?;
        if all[place].may_move() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != place);
            let before = others.filter_map(|(_, rows)| rows.next).max();
            if all[place].take_block(builder, before)? {
                continue;
            }
        }
        all[place].take_next(builder)?;
    }
}

/// The rows of a split, one block at a time.
struct Rows<'a> {
    split: &'a Split,
    shapes: Vec<Vec<u8>>,
    known: Known,
    /// Which shapes were tried.
    is_tried: Vec<bool>,
    block: usize,
    row: usize,
    view: Option<BlockView<'a>>,
    /// Time and seq of the next row.
    next: Option<(Timestamp, u64)>,
}

impl<'a> Rows<'a> {
    fn new(split: &'a Split) -> Result<Self, String> {
        let shapes = split.shape_bytes()?;
        let is_tried = vec![false; shapes.len()];
        let known = Known::new(shapes.len());
        let (block, row, view, next) = (0, 0, None, None);
        let mut rows = Self { split, shapes, known, is_tried, block, row, view, next };
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

    /// Whether the next row begins a block that is worth keeping together.
    fn may_move(&self) -> bool {
        self.row == 0 && self.split.columns().rows_of(self.block).len() >= BLOCK_ROWS / 2
    }

    /// Takes the block when its rows come before `others` and have shapes that can be adopted.
    fn take_block(
        &mut self,
        builder: &mut SplitBuilder,
        others: Option<(Timestamp, u64)>,
    ) -> Result<bool, String> {
        let Some(view) = &self.view else { return Ok(false) };
        let last = view.order(self.split.columns().rows_of(self.block).len() - 1);
        if last <= others {
            return Ok(false);
        }
        for group in &view.layout.groups {
            let Some(shape) = group.shape.checked_sub(1) else { return Ok(false) };
            let shape = shape as usize;
            if !std::mem::replace(&mut self.is_tried[shape], true) {
                self.known.shapes[shape] = builder.adopt(&self.shapes[shape]);
            }
        }
        if !builder.add_block(self.split, self.block, &mut self.known)? {
            return Ok(false);
        }
        self.block += 1;
        self.open_block()?;
        Ok(true)
    }

    fn take_next(&mut self, builder: &mut SplitBuilder) -> Result<(), String> {
        let Some(view) = &mut self.view else { return Ok(()) };
        let lane = self.split.footer.lane;
        let shape = view.shape(self.row).map(|shape| shape as usize);
        let number = shape.and_then(|shape| {
            if !std::mem::replace(&mut self.is_tried[shape], true) {
                self.known.shapes[shape] = builder.adopt(&self.shapes[shape]);
            }
            self.known.shapes[shape]
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
