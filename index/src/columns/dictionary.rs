//! The different texts of a column, each with a code and how often it stands there.
//!
//! Codes are given in the order of first appearance, so that frequent texts have small ones.

use super::codes;
use super::hash::hash;
use super::texts::{self, Texts};
use super::wire::{Damaged, Packer, Reader, put_number};

/// Texts a dictionary holds at most.
pub(crate) const TEXTS_MAX: usize = 1 << 16;
/// Bytes of texts a dictionary holds at most.
const BYTES_MAX: usize = 4 << 20;

/// A dictionary in the making.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    texts: Texts,
    counts: Vec<u32>,
    hashes: Vec<u64>,
    /// Codes plus one by hash, open addressed, at most half full.
    slots: Vec<u32>,
}

impl Builder {
    /// How many texts it has.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Appends the codes of these texts to `out` and counts them; `false`, with no text added, when
    /// more than `new_max` of them are new or the dictionary would be too large.
    pub(crate) fn add_all(&mut self, texts: &[&[u8]], new_max: usize, out: &mut Vec<u32>) -> bool {
        let (len, start) = (self.len(), out.len());
        for text in texts {
            let code = self.code(text);
            out.push(code);
            let new = self.len() - len;
            if new > new_max || self.len() > TEXTS_MAX || self.texts.size_bytes() > BYTES_MAX {
                self.forget_after(len);
                out.truncate(start);
                return false;
            }
        }
        out[start..].iter().for_each(|code| self.counts[*code as usize] += 1);
        true
    }

    /// Turns codes of another dictionary into codes of this one and counts them; `ours` has those that
    /// are known already. `false`, with nothing counted: this one would be too large.
    pub(crate) fn adopt(
        &mut self,
        codes: &mut [u32],
        other: &Dictionary,
        ours: &mut Vec<Option<u32>>,
    ) -> Result<bool, Damaged> {
        let len = self.len();
        ours.resize(other.texts.len(), None);
        for code in codes.iter_mut() {
            let text = *code as usize;
            let known = ours.get_mut(text).ok_or(Damaged("a code is not in its dictionary"))?;
            *code = *known.get_or_insert_with(|| self.code(other.texts.get(text)));
        }
        if self.len() > TEXTS_MAX || self.texts.size_bytes() > BYTES_MAX {
            self.forget_after(len);
            ours.iter_mut().for_each(|known| *known = known.filter(|code| (*code as usize) < len));
            return Ok(false);
        }
        codes.iter().for_each(|code| self.counts[*code as usize] += 1);
        Ok(true)
    }

    fn code(&mut self, text: &[u8]) -> u32 {
        if self.slots.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let hash = hash(text);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot].checked_sub(1) {
                None => break,
                Some(code)
                    if self.hashes[code as usize] == hash
                        && self.texts.get(code as usize) == text =>
                {
                    return code;
                }
                Some(_) => slot = (slot + 1) & mask,
            }
        }
        let code = self.len() as u32;
        self.slots[slot] = code + 1;
        self.texts.push(text);
        self.hashes.push(hash);
        self.counts.push(0);
        code
    }

    fn grow(&mut self) {
        self.slots = vec![0; (self.slots.len() * 2).max(64)];
        self.fill_slots();
    }

    fn fill_slots(&mut self) {
        let mask = self.slots.len() - 1;
        for (hash, code) in self.hashes.iter().zip(1..) {
            let mut slot = *hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = code;
        }
    }

    fn forget_after(&mut self, len: usize) {
        self.texts.truncate(len);
        self.counts.truncate(len);
        self.hashes.truncate(len);
        self.slots.fill(0);
        self.fill_slots();
    }

    /// The texts so far.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Appends the dictionary.
    pub(crate) fn encode(&self, packer: &mut Packer, out: &mut Vec<u8>) {
        put_number(out, self.len() as u64);
        codes::encode(&self.counts, packer, out);
        let all: Vec<&[u8]> = (0..self.len()).map(|code| self.texts.get(code)).collect();
        texts::encode(&all, packer, out);
    }
}

/// A dictionary of a split.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dictionary {
    /// By code.
    pub(crate) texts: Texts,
    /// How often each stands in the column, by code.
    pub(crate) counts: Vec<u32>,
}

impl Dictionary {
    /// Bytes it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.texts.size_bytes() + self.counts.len() * 4
    }
}

/// Reads a dictionary.
pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Dictionary, Damaged> {
    let len = reader.number_up_to(TEXTS_MAX)?;
    let counts = codes::decode(reader, len)?;
    Ok(Dictionary { texts: texts::decode(reader, len)?, counts })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_stand_for_their_texts(batches in proptest::collection::vec(
            proptest::collection::vec("[a-c]{0,3}", 0..30), 1..5), new_max in 0usize..20)
        {
            let mut builder = Builder::default();
            let mut kept: Vec<(u32, String)> = Vec::new();
            for batch in &batches {
                let texts: Vec<&[u8]> = batch.iter().map(|text| text.as_bytes()).collect();
                let (mut codes, len) = (Vec::new(), builder.len());
                if builder.add_all(&texts, new_max, &mut codes) {
                    kept.extend(codes.into_iter().zip(batch.iter().cloned()));
                } else {
                    prop_assert_eq!((builder.len(), codes.len()), (len, 0));
                }
            }
            let mut out = Vec::new();
            builder.encode(&mut Packer::new().expect("memory"), &mut out);
            let dictionary = decode(&mut Reader::new(&out)).expect("just written");
            for (code, text) in &kept {
                prop_assert_eq!(dictionary.texts.get(*code as usize), text.as_bytes());
            }
            prop_assert_eq!(dictionary.counts.iter().sum::<u32>() as usize, kept.len());
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&mut Reader::new(&bytes));
        }
    }
}
