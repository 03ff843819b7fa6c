//! From spots to rows and back.
//!
//! Conditions are tried in the order in which columns have their texts: there the rows of a shape stand
//! side by side, so that sets of them are runs of bits. Rows are asked for only where the order of time
//! matters: for the events that are wanted, and in the blocks at the ends of a range.

use std::ops::Range;

use super::ColumnStore;
use crate::rowset::RowSet;

impl ColumnStore {
    /// Adds the spots of shapes, said by their codes.
    pub(crate) fn insert_shapes(
        &self,
        codes: &[u32],
        range: &Range<u32>,
        spots: &mut RowSet,
    ) -> Result<(), String> {
        if codes.is_empty() {
            return Ok(());
        }
        let mut is_wanted = vec![false; self.shapes().len() + 1];
        codes.iter().for_each(|code| is_wanted[*code as usize] = true);
        let rows_of = |code: &u32| match code.checked_sub(1) {
            Some(shape) => u64::from(self.shapes()[shape as usize].rows),
            None => u64::MAX,
        };
        let mut left = codes.iter().map(rows_of).fold(0, u64::saturating_add);
        for block in self.blocks_in(range) {
            if left == 0 {
                break;
            }
            let Some(layout) = self.layout_with(&is_wanted, block)? else { continue };
            let first = self.rows_of(block).start;
            for group in layout.groups.iter().filter(|group| is_wanted[group.shape as usize]) {
                let of_group = layout.spots_of(group);
                spots.insert_range(first + of_group.start..first + of_group.end);
                left = left.saturating_sub(group.len.into());
            }
        }
        Ok(())
    }

    /// The spots of those of these rows that lie in blocks with rows inside `range`.
    pub(crate) fn spots_of(&self, rows: &RowSet, range: &Range<u32>) -> Result<RowSet, String> {
        let mut spots = RowSet::empty(self.rows);
        for block in self.blocks_in(range) {
            let of_block = self.rows_of(block);
            if rows.count(of_block.clone()) == 0 {
                continue;
            }
            let layout = self.layout(block)?;
            let by_spot = layout.rows_by_spot();
            let is_in = |spot| rows.contains(of_block.start + u32::from(by_spot[spot]));
            spots.insert_bits(of_block.start, by_spot.len(), is_in);
        }
        Ok(spots)
    }

    /// The rows of a block at these spots, ascending.
    pub(crate) fn rows_at(&self, spots: &RowSet, block: usize) -> Result<Vec<u32>, String> {
        let of_block = self.rows_of(block);
        let found = spots.count(of_block.clone());
        if found == of_block.len() as u64 || found == 0 {
            return Ok(if found == 0 { Vec::new() } else { of_block.collect() });
        }
        let layout = self.layout(block)?;
        let first = of_block.start;
        let mut rows = RowSet::empty(of_block.len() as u32);
        for spot in spots.rows(of_block.clone()) {
            rows.insert(layout.rows_by_spot()[(spot - first) as usize].into());
        }
        Ok(rows.rows(0..of_block.len() as u32).map(|row| first + row).collect())
    }

    /// How many of the rows at these spots lie inside `range`.
    pub(crate) fn count_at(&self, spots: &RowSet, range: &Range<u32>) -> Result<u64, String> {
        let mut count = 0;
        for block in self.blocks_in(range) {
            let of_block = self.rows_of(block);
            let found = spots.count(of_block.clone());
            let inside = of_block.start.max(range.start)..of_block.end.min(range.end);
            if found == 0 || inside == of_block {
                count += found;
            } else if found == of_block.len() as u64 {
                count += inside.len() as u64;
            } else {
                let layout = self.layout(block)?;
                let by_spot = layout.rows_by_spot();
                let row =
                    |spot| of_block.start + u32::from(by_spot[(spot - of_block.start) as usize]);
                let rows = spots.rows(of_block.clone()).map(row);
                count += rows.filter(|row| inside.contains(row)).count() as u64;
            }
        }
        Ok(count)
    }

    /// The blocks that have rows inside a range.
    pub(crate) fn blocks_in(&self, range: &Range<u32>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        self.block_of(range.start)..self.block_of(range.end - 1) + 1
    }
}
