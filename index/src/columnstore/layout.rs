//! Which rows of a block have which shape: the order in which columns hold their texts.
//!
//! Texts of a column stand side by side for all rows of a shape, then for all rows of the next. So a
//! row's texts are found by its place among the rows of its shape, without counting those before it.
//! The order of the shapes is the block's own: a block moves to another split by naming its shapes anew.
//!
//! Where a row stands in that order is its spot. In a set of spots the rows of one shape are bits side
//! by side, in the order in which the columns have their texts.

use std::ops::Range;

use crate::columns::codes;
use crate::columns::wire::{Damaged, Packer, Reader, put_number};

/// The shape code of a row that is kept verbatim.
pub(crate) const VERBATIM: u32 = 0;

/// The rows of a block by shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// In the order in which columns have their texts.
    pub(crate) groups: Vec<Group>,
    /// Rows, group after group, each ascending.
    order: Vec<u16>,
}

/// The rows of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// The code of the shape: [`VERBATIM`], or its number plus one.
    pub(crate) shape: u32,
    start: u32,
    /// How many rows.
    pub(crate) len: u32,
}

impl Layout {
    /// The layout of a block whose rows have these shapes; at most 65,536 rows.
    pub(crate) fn of(shapes: &[u32]) -> Self {
        let most = shapes.iter().copied().max().map_or(0, |shape| shape as usize + 1);
        let mut next: Vec<u32> = vec![0; most];
        shapes.iter().for_each(|shape| next[*shape as usize] += 1);
        let mut groups: Vec<Group> = Vec::new();
        let mut start = 0;
        for (shape, len) in (0u32..).zip(next.iter_mut()).filter(|(_, len)| **len > 0) {
            groups.push(Group { shape, start, len: *len });
            start += std::mem::replace(len, start);
        }
        let mut order = vec![0; shapes.len()];
        for (row, shape) in shapes.iter().enumerate() {
            let place = &mut next[*shape as usize];
            order[*place as usize] = row as u16;
            *place += 1;
        }
        Self { groups, order }
    }

    /// Appends the layout; `number` gives the code that a shape has where it is written.
    pub(crate) fn encode(
        &self,
        number: impl Fn(u32) -> u32,
        packer: &mut Packer,
        out: &mut Vec<u8>,
    ) {
        put_number(out, self.groups.len() as u64);
        self.groups.iter().for_each(|group| put_number(out, u64::from(number(group.shape))));
        let mut group_of_row = vec![0; self.order.len()];
        for (place, group) in (0u32..).zip(&self.groups) {
            self.rows_of(group).iter().for_each(|row| group_of_row[usize::from(*row)] = place);
        }
        codes::encode(&group_of_row, packer, out);
    }

    /// Reads the layout of a block of so many rows, at most 65,536; shapes have codes up to `shape_max`.
    pub(crate) fn decode(bytes: &[u8], rows: usize, shape_max: usize) -> Result<Self, Damaged> {
        let mut reader = Reader::new(bytes);
        let shapes = read_shapes(&mut reader, rows, shape_max)?;
        let groups = codes::decode(&mut reader, rows)?;
        if groups.iter().any(|group| *group as usize >= shapes.len()) {
            return Err(Damaged("a row has a shape that is not there"));
        }
        let mut layout = Self::of(&groups);
        layout.groups.iter_mut().for_each(|group| group.shape = shapes[group.shape as usize]);
        Ok(layout)
    }

    /// The codes of the shapes in a layout, which is not read further.
    pub(crate) fn shapes_in(
        bytes: &[u8],
        rows: usize,
        shape_max: usize,
    ) -> Result<Vec<u32>, Damaged> {
        read_shapes(&mut Reader::new(bytes), rows, shape_max)
    }

    /// Bytes it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.order.len() * 2 + self.groups.len() * size_of::<Group>()
    }

    /// The rows of a group, ascending.
    pub(crate) fn rows_of(&self, group: &Group) -> &[u16] {
        &self.order[group.start as usize..(group.start + group.len) as usize]
    }

    /// The spots of a group in its block: its rows stand there side by side.
    pub(crate) fn spots_of(&self, group: &Group) -> Range<u32> {
        group.start..group.start + group.len
    }

    /// The rows of a block, by spot.
    pub(crate) fn rows_by_spot(&self) -> &[u16] {
        &self.order
    }

    /// A row's group and its place in it.
    pub(crate) fn find(&self, row: usize) -> Option<(usize, usize)> {
        let row = u16::try_from(row).ok()?;
        let find = |group: &Group| self.rows_of(group).binary_search(&row).ok();
        self.groups.iter().enumerate().find_map(|(group, of)| Some((group, find(of)?)))
    }

    /// The rows that are kept verbatim, ascending, and their first spot.
    pub(crate) fn verbatim(&self) -> (u32, &[u16]) {
        let group = self.groups.iter().find(|group| group.shape == VERBATIM);
        group.map_or((0, &[]), |group| (group.start, self.rows_of(group)))
    }
}

fn read_shapes(
    reader: &mut Reader<'_>,
    rows: usize,
    shape_max: usize,
) -> Result<Vec<u32>, Damaged> {
    let count = reader.number_up_to(rows)?;
    let shape = |_| reader.number_up_to(shape_max).map(|shape| shape as u32);
    (0..count).map(shape).collect()
}

/// The rows of a block in the order of these numbers.
pub(crate) fn order_by(numbers: &[i64]) -> Vec<u16> {
    let mut order: Vec<u16> = (0..numbers.len()).map(|row| row as u16).collect();
    order.sort_by_key(|row| numbers[usize::from(*row)]);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_among_those_of_its_shape() {
        let layout = Layout::of(&[3, 0, 3, 7, 3]);
        let shapes: Vec<u32> = layout.groups.iter().map(|group| group.shape).collect();
        assert_eq!(shapes, [0, 3, 7]);
        assert_eq!(layout.rows_of(&layout.groups[1]), [0, 2, 4]);
        assert_eq!((layout.find(4), layout.find(3)), (Some((1, 2)), Some((2, 0))));
        assert_eq!(layout.find(5), None);
        assert_eq!(order_by(&[5, -1, 3]), [1, 2, 0]);
    }
}
