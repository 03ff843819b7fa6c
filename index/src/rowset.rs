//! A set of rows of one split, or of their spots.

use std::ops::Range;

/// A set of rows out of `0 .. len`.
#[derive(Debug, Clone)]
pub(crate) struct RowSet {
    /// A bit per row; no words while there was never a row, which is so for most sets of a needle.
    words: Vec<u64>,
    len: u32,
}

impl RowSet {
    /// No row.
    pub(crate) fn empty(len: u32) -> Self {
        Self { words: Vec::new(), len }
    }

    /// Every row.
    pub(crate) fn full(len: u32) -> Self {
        let mut set = Self { words: vec![u64::MAX; len.div_ceil(64) as usize], len };
        set.clear_beyond();
        set
    }

    fn make_words(&mut self) {
        if self.words.is_empty() {
            self.words = vec![0; self.len.div_ceil(64) as usize];
        }
    }

    /// Adds a row; one outside of `0 .. len` is no row.
    pub(crate) fn insert(&mut self, row: u32) {
        if row < self.len {
            self.make_words();
            self.words[row as usize / 64] |= 1 << (row % 64);
        }
    }

    /// Adds all rows of a range that lies in `0 .. len`.
    pub(crate) fn insert_range(&mut self, range: Range<u32>) {
        self.make_words();
        let end = range.end.min(self.len);
        let mut at = range.start;
        while at < end {
            let next = (at / 64 + 1) * 64;
            let bits = u64::MAX << (at % 64);
            let bits = if next > end { bits & (u64::MAX >> (next - end)) } else { bits };
            self.words[at as usize / 64] |= bits;
            at = next;
        }
    }

    /// Adds those of so many rows from `start` on of which `is_in` holds, told by their place among
    /// these; tells whether there are any.
    #[inline]
    pub(crate) fn insert_bits(
        &mut self,
        start: u32,
        len: usize,
        mut is_in: impl FnMut(usize) -> bool,
    ) -> bool {
        let mut any = 0;
        let mut from = 0;
        while from < len {
            // Up to the end of a word.
            let at = start as usize + from;
            let end = len.min(from + 64 - at % 64);
            let mut bits = 0u64;
            for place in from..end {
                bits |= u64::from(is_in(place)) << (place - from);
            }
            if bits != 0 {
                self.make_words();
                if let Some(word) = self.words.get_mut(at / 64) {
                    *word |= bits << (at % 64);
                }
                any |= bits;
            }
            from = end;
        }
        any != 0
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    /// Whether a row is in it.
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word & 1 << (row % 64) != 0)
    }

    /// Keeps the rows that are also in `other`.
    pub(crate) fn intersect(&mut self, other: &Self) {
        if other.words.is_empty() {
            self.words.clear();
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Adds the rows of `other`.
    pub(crate) fn unite(&mut self, other: &Self) {
        if !other.words.is_empty() {
            self.make_words();
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes out the rows of `other`.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The rows inside `range`, ascending.
    pub(crate) fn rows(&self, range: Range<u32>) -> impl Iterator<Item = u32> {
        let first_word = range.start / 64;
        let words = self.words.get(first_word as usize..).unwrap_or_default();
        words
            .iter()
            .zip(first_word..)
            .flat_map(|(word, place)| Bits(*word).map(move |bit| place * 64 + bit))
            .skip_while(move |row| *row < range.start)
            .take_while(move |row| *row < range.end)
    }

    /// How many rows lie inside `range`.
    pub(crate) fn count(&self, range: Range<u32>) -> u64 {
        let (start, end) = (range.start.min(self.len), range.end.min(self.len));
        if start >= end || self.words.is_empty() {
            return 0;
        }
        let (first, last) = (start as usize / 64, (end - 1) as usize / 64);
        let before = (1u64 << (start % 64)) - 1;
        let until = u64::MAX >> (63 - (end - 1) % 64);
        if first == last {
            return u64::from((self.words[first] & until & !before).count_ones());
        }
        let whole: u64 =
            self.words[first + 1..last].iter().map(|word| u64::from(word.count_ones())).sum();
        whole
            + u64::from((self.words[first] & !before).count_ones())
            + u64::from((self.words[last] & until).count_ones())
    }

    fn clear_beyond(&mut self) {
        let used = self.len % 64;
        if let Some(last) = self.words.last_mut().filter(|_| used != 0) {
            *last &= (1 << used) - 1;
        }
    }
}

/// The places of the bits that are set, ascending.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < 64).then_some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_and_inside_the_range() {
        let mut set = RowSet::empty(130);
        for row in [129, 0, 63, 64, 130, 100] {
            set.insert(row);
        }
        assert_eq!(set.rows(0..130).collect::<Vec<_>>(), [0, 63, 64, 100, 129]);
        assert_eq!(set.rows(64..129).collect::<Vec<_>>(), [64, 100]);
        let mut others = RowSet::full(130);
        others.subtract(&set);
        let mut set = others;
        assert_eq!((set.count(0..130), set.count(60..70), set.count(65..128)), (125, 8, 62));
        assert_eq!((set.count(1..63), set.count(7..7), set.count(101..999)), (62, 0, 28));
        assert!(set.contains(1) && !set.contains(0) && !set.contains(130));
        set.remove(1);
        set.remove(130);
        set.intersect(&RowSet::full(130));
        assert_eq!(set.count(0..130), 124);
    }

    #[test]
    fn rows_side_by_side_are_added_at_once() {
        for (start, end) in [(0, 0), (0, 64), (3, 60), (60, 70), (63, 193), (64, 128), (199, 200)] {
            let mut set = RowSet::empty(200);
            set.insert_range(start..end);
            assert!(set.rows(0..200).eq(start..end), "{start}..{end}");
            let mut told = RowSet::empty(200);
            let any =
                told.insert_bits(start, (end - start) as usize, |k| (start + k as u32) % 3 != 1);
            assert!(told.rows(0..200).eq((start..end).filter(|row| row % 3 != 1)));
            assert_eq!(any, !told.is_empty());
        }
    }
}
