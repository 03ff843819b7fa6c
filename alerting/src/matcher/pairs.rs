//! Which values may have any of many texts in them, by pairs of bytes that stand side by side.
//!
//! Input: texts in lower case, and a value of ASCII in any case. Output: false only when none of the texts stands in
//! the value. Of each text the pair is known that is rarest in ordinary records, so most values have none of them.
//! Neither is the value lowered for this, nor does a look at a pair wait for the one before, as it does in an
//! automaton.

/// Sorts of bytes: letters whatever their case, digits, and what else is ASCII.
const SORTS: usize = 64;
/// Pairs that are looked at between two decisions.
const STEP: usize = 16;

#[derive(Debug)]
pub(super) struct Pairs {
    /// By sort of the first byte: a bit for each sort of the second one.
    rows: Box<[u64; SORTS]>,
    /// Whether one of the texts is a single byte, which stands in pairs with every other one.
    has_single: bool,
}

static SORT_OF: [u8; 256] = {
    let mut sorts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let lower = (byte as u8).to_ascii_lowercase();
        sorts[byte] = match lower {
            b'a'..=b'z' => lower - b'a',
            b'0'..=b'9' => 26 + lower - b'0',
            // Some share one; that costs a look in vain.
            other => 36 + other % 28,
        };
        byte += 1;
    }
    sorts
};

impl Pairs {
    /// Knows these texts, none of which is empty.
    pub(super) fn of(texts: &[String]) -> Self {
        let mut pairs = Self { rows: Box::new([0; SORTS]), has_single: false };
        for text in texts {
            if let [single] = text.as_bytes() {
                pairs.add_single(*single);
                continue;
            }
            let rarest = text.as_bytes().array_windows::<2>().min_by_key(|pair| {
                let is_known = pairs.has(pair[0], pair[1]);
                (frequency(pair[0]) * frequency(pair[1]), !is_known)
            });
            let Some(&[first, second]) = rarest else { continue };
            pairs.rows[SORT_OF[first as usize] as usize] |= 1 << SORT_OF[second as usize];
        }
        pairs
    }

    fn add_single(&mut self, single: u8) {
        let sort = SORT_OF[single as usize];
        self.rows.iter_mut().for_each(|row| *row |= 1 << sort);
        self.rows[sort as usize] = !0;
        self.has_single = true;
    }

    fn has(&self, first: u8, second: u8) -> bool {
        self.rows[SORT_OF[first as usize] as usize] >> SORT_OF[second as usize] & 1 != 0
    }

    /// Whether one of the texts may stand in `ascii`.
    pub(super) fn may_stand_in(&self, ascii: &str) -> bool {
        let bytes = ascii.as_bytes();
        let Some((_, seconds)) = bytes.split_first() else { return false };
        if seconds.is_empty() {
            return self.has_single;
        }
        let mut pairs = bytes.chunks(STEP).zip(seconds.chunks(STEP));
        pairs.any(|(firsts, seconds)| {
            let found = firsts.iter().zip(seconds).fold(0, |found, (first, second)| {
                let row = self.rows[SORT_OF[*first as usize] as usize & (SORTS - 1)];
                found | row >> (SORT_OF[*second as usize] & 63)
            });
            found & 1 != 0
        })
    }
}

/// How often a byte stands in ordinary records, in no unit.
fn frequency(byte: u8) -> u32 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 10,
        b'0'..=b'9' | b' ' | b'/' | b'.' | b'-' => 9,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'h' | b'g' => 8,
        b'_' | b':' | b'=' => 6,
        b'f' | b'b' | b'w' | b'y' | b'v' | b'k' | b',' | b';' | b'(' | b')' | b'"' => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_missed_whatever_its_case_and_place() {
        let texts = ["select ", "../", "x'", "{jndi", "0a", "zz", "\u{7f}~"].map(String::from);
        let pairs = Pairs::of(&texts);
        for text in &texts {
            for before in 0..40 {
                let mut value = "-".repeat(before) + text;
                assert!(pairs.may_stand_in(&value), "{value}");
                value.make_ascii_uppercase();
                assert!(pairs.may_stand_in(&(value.clone() + "- -")), "{value}");
            }
        }
        for value in ["", "a", "4bf92f3577b34da6a3ce929d0e0e4736", "GET /api/v2/orders/17 200"] {
            assert!(!pairs.may_stand_in(value), "{value}");
        }
        let pairs = Pairs::of(&[String::from("@"), String::from("ab")]);
        for value in ["@", "x", "@ b", "4@", "1 @ 2", "cab"] {
            assert!(pairs.may_stand_in(value), "{value}");
        }
        for value in ["", "a b", "b a"] {
            assert!(!pairs.may_stand_in(value), "{value}");
        }
    }
}
