//! Which rows of a block have which shape: the order in which columns hold their texts.
//!
//! Texts of a column stand side by side for all rows of a shape, then for all rows of the next. So a
//! row's texts are found by its place among the rows of its shape, without counting those before it.

/// The shape code of a row that is kept verbatim.
pub(crate) const VERBATIM: u32 = 0;

/// The rows of a block by shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// In ascending order of their shape.
    pub(crate) groups: Vec<Group>,
    /// Rows, group after group, each ascending.
    order: Vec<u16>,
    /// By row, its group.
    group_of_row: Vec<u16>,
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
        let mut order: Vec<u16> = (0..shapes.len()).map(|row| row as u16).collect();
        order.sort_by_key(|row| shapes[usize::from(*row)]);
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of_row = vec![0; shapes.len()];
        for (place, row) in order.iter().enumerate() {
            let shape = shapes[usize::from(*row)];
            match groups.last_mut().filter(|group| group.shape == shape) {
                Some(group) => group.len += 1,
                None => groups.push(Group { shape, start: place as u32, len: 1 }),
            }
            group_of_row[usize::from(*row)] = (groups.len() - 1) as u16;
        }
        Self { groups, order, group_of_row }
    }

    /// Bytes it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.order.len() * 4 + self.groups.len() * size_of::<Group>()
    }

    /// The rows of a group, ascending.
    pub(crate) fn rows_of(&self, group: &Group) -> &[u16] {
        &self.order[group.start as usize..(group.start + group.len) as usize]
    }

    /// A row's group and its place in it.
    pub(crate) fn find(&self, row: usize) -> Option<(usize, usize)> {
        let group = usize::from(*self.group_of_row.get(row)?);
        let rows = self.rows_of(&self.groups[group]);
        Some((group, rows.binary_search(&(row as u16)).ok()?))
    }
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
