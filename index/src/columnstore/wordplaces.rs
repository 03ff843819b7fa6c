//! Where the words of a split's texts stand: worked out from its shapes once, for all that is asked.

use std::collections::HashMap;
use std::sync::Arc;

use super::StoredShape;
use super::search::{Places, Slots, TextTest};
use crate::columns::shape::{Piece, ShapeValue, Stretch};
use crate::columns::texts::Texts;

/// The texts whose words count: those of the message, or of every field.
#[derive(Debug, Default)]
pub(crate) struct WordPlaces {
    columns: Arc<Slots>,
    /// The different literals, and the shapes that have each.
    literals: Texts,
    shapes_of: Vec<Vec<u32>>,
    /// Shapes of which any row may have any word.
    unsure: Vec<u32>,
}

impl WordPlaces {
    /// Those of these shapes, by number: of their messages, and of their other fields or not.
    pub(crate) fn of(shapes: &[StoredShape], only_messages: bool) -> Self {
        let mut places = Self::default();
        let mut known = HashMap::new();
        let mut slots = Places::default();
        for (number, stored) in (0u32..).zip(shapes) {
            let shape = &stored.shape;
            let mut add = |stretch: Stretch| {
                for piece in shape.pieces_of(stretch) {
                    match piece {
                        Piece::Slot(slot) => slots.add_slot(number, stored, slot),
                        literal => places.add_literal(shape.literal(literal), number, &mut known),
                    }
                }
            };
            if !shape.is_indexed {
                add(shape.message);
            }
            let mut unclear = false;
            let fields = shape.fields.iter().filter(|_| !only_messages);
            let mut of_fields = Vec::new();
            for field in fields {
                match (shape.slot_of(field), field.value) {
                    (Some(slot), _) => of_fields.push(slot),
                    (None, ShapeValue::Text(_)) if shape.is_unclear(field) => unclear = true,
                    (None, ShapeValue::Text(stretch)) => add(stretch),
                    _ => {}
                }
            }
            of_fields.into_iter().for_each(|slot| slots.add_slot(number, stored, slot));
            if unclear {
                places.unsure.push(number);
            }
        }
        places.columns = slots.columns;
        places
    }

    fn add_literal<'s>(
        &mut self,
        text: &'s [u8],
        shape: u32,
        known: &mut HashMap<&'s [u8], usize>,
    ) {
        let place = *known.entry(text).or_insert_with(|| {
            self.literals.push(text);
            self.shapes_of.push(Vec::new());
            self.shapes_of.len() - 1
        });
        if self.shapes_of[place].last() != Some(&shape) {
            self.shapes_of[place].push(shape);
        }
    }

    /// Where a text may pass, among some of the shapes.
    pub(crate) fn places(&self, test: &TextTest<'_>, among: &[bool]) -> Places {
        let is_asked = |shape: &u32| among[*shape as usize];
        let of_literals = test.passing_of(&self.literals).into_iter().zip(&self.shapes_of);
        let whole = of_literals.filter(|(passes, _)| *passes).flat_map(|(_, shapes)| shapes);
        Places {
            columns: Arc::clone(&self.columns),
            among: among.contains(&false).then(|| among.into()),
            whole: whole.copied().filter(is_asked).collect(),
            unsure: self.unsure.iter().copied().filter(is_asked).collect(),
        }
    }
}
