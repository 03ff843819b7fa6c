//! Words that stand side by side: within one piece of a text, or across several.

use std::borrow::Cow;

use logwarden_event::{has_words_in_order, words};

use super::{Finder, Found, ShapeSet};
use crate::columns::shape::{Piece, ShapeValue, Stretch};
use crate::columnstore::StoredShape;
use crate::columnstore::search::{Places, Probe, TextTest};
use crate::lookup::TextCondition;
use crate::rowset::RowSet;

/// What is looked for.
struct Phrase<'l> {
    words: &'l [String],
    probe: Probe<'l>,
    /// Texts in which a single piece has all of the words.
    places: Places,
    /// Texts that must be put together.
    stretches: Vec<(u32, Stretch)>,
}

impl Finder<'_> {
    /// The rows with these words, at least two, side by side in the message or, without a `field`, in
    /// any text; of texts that must be put together only those `within` these rows.
    pub(super) fn phrase(
        &self,
        field: Option<&str>,
        wanted: &[String],
        among: &ShapeSet,
        within: Option<&RowSet>,
    ) -> Result<Found, String> {
        let Some(probe) = Probe::new(self.store, TextTest::Phrase(wanted)) else {
            return Ok(self.nothing());
        };
        let (places, stretches) = (Places::default(), Vec::new());
        let mut phrase = Phrase { words: wanted, probe, places, stretches };
        let mut indexed = Vec::new();
        for (number, stored) in self.shapes(among) {
            let shape = &stored.shape;
            if !shape.is_indexed {
                self.add_text(&mut phrase, (number, stored), shape.message);
            } else if shape.pieces_of(shape.message).any(|piece| piece.is_made()) {
                phrase.places.unsure.push(number);
            } else {
                indexed.push((number, shape.message));
            }
            for named in shape.fields.iter().filter(|_| field.is_none()) {
                match (shape.slot_of(named), named.value) {
                    (Some(slot), _) => phrase.places.add_slot(number, stored, slot),
                    (None, ShapeValue::Text(stretch)) => {
                        self.add_text(&mut phrase, (number, stored), stretch);
                    }
                    _ => {}
                }
            }
        }
        let Phrase { probe, places, mut stretches, .. } = phrase;
        let mut found = self.passing(&places, &probe, false, among)?;
        stretches.retain(|(number, _)| !found.whole[*number as usize]);
        indexed.retain(|(number, _)| !found.whole[*number as usize]);
        let condition = side_by_side(wanted);
        self.add_stretches(&stretches, &condition, within, &mut found.spots)?;
        if let Some(index) = self.words.filter(|_| !indexed.is_empty()) {
            let mut rows = self.all();
            for word in wanted {
                let mut of_word = self.none();
                index.insert(&TextTest::Word(word), &mut of_word)?;
                rows.intersect(&of_word);
            }
            let spots = self.store.spots_of(&rows, &self.range)?;
            for stretch in &indexed {
                let asked = (&self.range, Some(&spots));
                self.store.insert_stretch(*stretch, &condition, asked, &mut found.spots)?;
            }
        }
        for (number, _) in stretches.iter().chain(&indexed) {
            found.part[*number as usize] = true;
        }
        Ok(found)
    }

    fn add_text(
        &self,
        phrase: &mut Phrase<'_>,
        (number, stored): (u32, &StoredShape),
        stretch: Stretch,
    ) {
        let shape = &stored.shape;
        let pieces: Vec<Piece> = shape.pieces_of(stretch).collect();
        if let Some(text) = shape.constant(stretch) {
            if phrase.probe.test.passes(&text) {
                phrase.places.whole.push(number);
            }
        } else if pieces.iter().any(Piece::is_made) {
            phrase.places.unsure.push(number);
        } else if !shape.is_clear(stretch) {
            phrase.stretches.push((number, stretch));
        } else {
            phrase.places.add_pieces((number, stored), pieces.iter().copied(), &phrase.probe.test);
            if self.may_cross(phrase, stored, &pieces) {
                phrase.stretches.push((number, stretch));
            }
        }
    }

    /// Whether the words may lie in several pieces of a text, none of them in two.
    fn may_cross(&self, phrase: &Phrase<'_>, stored: &StoredShape, pieces: &[Piece]) -> bool {
        let wanted = phrase.words;
        let count = wanted.len();
        // By number: whether so many of the words may stand right before the next piece.
        let mut begun = vec![false; count];
        for piece in pieces {
            let mut next = vec![false; count];
            if let Piece::Slot(slot) = piece {
                let (column, _) = stored.slots[usize::from(*slot)];
                let may_hold = |place: usize| phrase.probe.may_hold(self.store, column, place);
                begun[0] = true;
                for before in (0..count).filter(|before| begun[*before]) {
                    // The slot may be empty.
                    next[before] = true;
                    let held = (before..count).take_while(|place| may_hold(*place)).count();
                    if before > 0 && before + held == count {
                        return true;
                    }
                    next[before..count.min(before + held + 1)].fill(true);
                }
                begun = next;
                continue;
            }
            let literal = String::from_utf8_lossy(stored.shape.literal(*piece));
            let own: Vec<Cow<'_, str>> = words(&literal).collect();
            for before in (1..count).filter(|before| begun[*before]) {
                let left = &wanted[before..];
                if left.iter().zip(&own).any(|(wanted, word)| wanted != word) {
                    continue;
                }
                match left.len() <= own.len() {
                    true => return true,
                    false => next[before + own.len()] = true,
                }
            }
            for before in 1..count.min(own.len() + 1) {
                next[before] |= own[own.len() - before..] == wanted[..before];
            }
            begun = next;
        }
        false
    }
}

/// The condition that these words stand side by side.
fn side_by_side(wanted: &[String]) -> TextCondition {
    let longest = wanted.iter().filter(|word| word.is_ascii()).max_by_key(|word| word.len());
    let wanted = wanted.to_vec();
    TextCondition::new(longest.cloned(), move |text| has_words_in_order(text, &wanted))
}
