//! Whether an event has a shape that is known already, and then the texts in its slots.
//!
//! Most events do, and finding out costs far less than taking the event apart: every piece is
//! compared where it must lie, and every field with what the shape says of it. So an event that fits
//! is given back exactly by its shape and slots, whatever the texts are.

use logwarden_event::parts::{Entry, Name, Packed, Parts, Span};

use super::dissect::put_value;
use super::shape::{Kind, Piece, Place, Shape, ShapeName, ShapeValue, Stretch};
use super::text::{escape, is_word_byte, put_time};

/// What must be known of a shape to try an event on it.
#[derive(Debug)]
pub(crate) struct Mold {
    /// By slot: the field whose text it is.
    owners: Vec<Option<usize>>,
    /// By piece: for the first one with a slot of no field, where the slot ends.
    ends: Vec<Option<End>>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// Before this byte.
    Before(u8),
    /// With the record or the buffer.
    Last,
}

impl Mold {
    /// The mold of a shape; `None` when the end of a slot can only be told by taking events apart.
    pub(crate) fn new(shape: &Shape) -> Option<Self> {
        let mut owners = vec![None; shape.slots];
        for (place, field) in shape.fields.iter().enumerate() {
            if let Some(slot) = shape.slot_of(field) {
                owners[usize::from(slot)].get_or_insert(place);
            }
        }
        let mut ends = vec![None; shape.pieces.len()];
        let mut is_known: Vec<bool> = owners.iter().map(Option::is_some).collect();
        for (place, piece) in shape.pieces.iter().enumerate() {
            let Piece::Slot(slot) = piece else { continue };
            if std::mem::replace(&mut is_known[usize::from(*slot)], true) {
                continue;
            }
            let is_last = place + 1 == shape.raw_pieces || place + 1 == shape.pieces.len();
            ends[place] = Some(match shape.pieces.get(place + 1) {
                _ if is_last => End::Last,
                Some(next) => End::Before(*shape.literal(*next).first()?),
                None => End::Last,
            });
        }
        is_known.iter().all(|is_known| *is_known).then_some(Self { owners, ends })
    }
}

/// Tries events on shapes; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Fitter {
    /// Where each piece begins, and the end.
    starts: Vec<u32>,
    slots: Vec<Text>,
    scratch: Vec<u8>,
}

/// A text in the buffer, or in the scratch.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    start: u32,
    end: u32,
    is_in_scratch: bool,
}

impl Fitter {
    /// Whether the event has the shape; then [`Self::slot`] has its texts.
    pub(crate) fn fits(&mut self, shape: &Shape, mold: &Mold, parts: &Parts<'_>) -> bool {
        shape.severity == parts.severity
            && shape.is_observed == parts.timestamp.is_none()
            && shape.fields.len() == parts.fields.len()
            && self.take_owned(mold, parts.fields)
            && self.walk(shape, mold, parts)
            && self.has_fields(shape, mold, parts)
            && [
                (shape.source, parts.source),
                (shape.dataset, parts.dataset),
                (shape.class, parts.class),
                (shape.message, parts.message),
            ]
            .into_iter()
            .all(|(stretch, span)| self.span(stretch) == span)
            && (shape.is_indexed || self.is_aligned(shape, parts))
    }

    /// The text in a slot of the event that fitted last, which is given again.
    pub(crate) fn slot<'a>(&'a self, slot: usize, buffer: &'a [u8]) -> &'a [u8] {
        let Text { start, end, is_in_scratch } = self.slots[slot];
        let text = if is_in_scratch { &self.scratch } else { buffer };
        &text[start as usize..end as usize]
    }

    /// Takes the texts of slots that are values of fields.
    fn take_owned(&mut self, mold: &Mold, fields: &[Entry]) -> bool {
        self.scratch.clear();
        self.slots.clear();
        for owner in &mold.owners {
            let Some(field) = owner else {
                self.slots.push(Text::default());
                continue;
            };
            self.slots.push(match &fields[*field].value {
                Packed::String(Span { start, len }) => {
                    Text { start: *start, end: start + len, is_in_scratch: false }
                }
                Packed::Null | Packed::Json(_) => return false,
                typed => {
                    let start = self.scratch.len() as u32;
                    put_value(&mut self.scratch, typed);
                    Text { start, end: self.scratch.len() as u32, is_in_scratch: true }
                }
            });
        }
        true
    }

    /// Compares the pieces, one after another, with the buffer.
    fn walk(&mut self, shape: &Shape, mold: &Mold, parts: &Parts<'_>) -> bool {
        let buffer = parts.buffer;
        let raw_len = parts.raw_len as usize;
        let mut at = 0;
        self.starts.clear();
        for (place, piece) in shape.pieces.iter().enumerate() {
            if place == shape.raw_pieces && at != raw_len {
                return false;
            }
            self.starts.push(at as u32);
            let limit = if place < shape.raw_pieces { raw_len } else { buffer.len() };
            let Some(rest) = buffer.get(at..limit) else { return false };
            let len = match piece {
                Piece::Literal { .. } => after(rest, shape.literal(*piece)),
                Piece::Slot(slot) => match mold.ends[place] {
                    None => after(rest, self.slot(usize::from(*slot), buffer)),
                    Some(end) => {
                        let len = match end {
                            End::Before(byte) => memchr::memchr(byte, rest),
                            End::Last => Some(rest.len()),
                        };
                        let end = (at + len.unwrap_or_default()) as u32;
                        self.slots[usize::from(*slot)] =
                            Text { start: at as u32, end, is_in_scratch: false };
                        len
                    }
                },
                Piece::Time(digits) => parts.timestamp.and_then(|time| {
                    let start = self.scratch.len();
                    put_time(&mut self.scratch, time, *digits);
                    let len = after(rest, &self.scratch[start..]);
                    self.scratch.truncate(start);
                    len
                }),
                Piece::Escaped(text) => plain_text(*text, parts)
                    .and_then(escape)
                    .and_then(|escaped| after(rest, &escaped)),
            };
            // An empty piece would make two places of one.
            let Some(len) = len.filter(|len| *len > 0) else { return false };
            at += len;
        }
        self.starts.push(at as u32);
        at == buffer.len() && (shape.raw_pieces < shape.pieces.len() || at == raw_len)
    }

    fn has_fields(&self, shape: &Shape, mold: &Mold, parts: &Parts<'_>) -> bool {
        shape.fields.iter().zip(parts.fields).enumerate().all(|(place, (field, entry))| {
            let has_alias = match (field.alias, entry.alias) {
                (None, None) => true,
                (Some(one), Some(other)) => self.is_name(one, other),
                _ => false,
            };
            let has_value = match (field.value, entry.value) {
                (ShapeValue::Text(stretch), Packed::String(span) | Packed::Json(span)) => {
                    self.span(stretch) == span
                }
                (ShapeValue::Slot(slot), _) if mold.owners[usize::from(slot)] == Some(place) => {
                    true
                }
                (ShapeValue::Slot(slot), typed) => self.is_value(slot, &typed, parts.buffer),
                (ShapeValue::Null, _) => true,
                _ => false,
            };
            field.kind == Kind::of(&entry.value)
                && field.options == entry.options
                && self.is_name(field.name, entry.name)
                && has_alias
                && has_value
        })
    }

    /// Whether a slot's text is that of a value; a slot may be the value of several fields.
    fn is_value(&self, slot: u16, value: &Packed, buffer: &[u8]) -> bool {
        let mut text = Vec::new();
        put_value(&mut text, value);
        self.slot(usize::from(slot), buffer) == text
    }

    fn is_name(&self, one: ShapeName, other: Name) -> bool {
        match (one, other) {
            (ShapeName::Standard(one), Name::Standard(other)) => one == other,
            (ShapeName::Text(stretch), Name::Text(span)) => self.span(stretch) == span,
            _ => false,
        }
    }

    fn span(&self, stretch: Stretch) -> Span {
        let at = |place: Place| self.starts[usize::from(place.piece)] + place.offset;
        let start = at(stretch.start);
        Span { start, len: at(stretch.end) - start }
    }

    /// Whether no word of the message lies in two pieces.
    fn is_aligned(&self, shape: &Shape, parts: &Parts<'_>) -> bool {
        let Stretch { start, end } = shape.message;
        let inside = &self.starts[usize::from(start.piece)..=usize::from(end.piece)];
        let message = parts.message.start + 1..parts.message.start + parts.message.len;
        inside.iter().filter(|at| message.contains(at)).all(|at| {
            let at = *at as usize;
            !(is_word_byte(parts.buffer[at - 1]) && is_word_byte(parts.buffer[at]))
        })
    }
}

/// The length of `beginning` when `text` begins so.
fn after(text: &[u8], beginning: &[u8]) -> Option<usize> {
    text.starts_with(beginning).then_some(beginning.len())
}

/// The text that an escaped piece is made of.
fn plain_text<'a>(text: u16, parts: &Parts<'a>) -> Option<&'a [u8]> {
    let span = match text.checked_sub(1) {
        None => parts.message,
        Some(field) => match parts.fields.get(usize::from(field))?.value {
            Packed::String(span) | Packed::Json(span) => span,
            _ => return None,
        },
    };
    parts.buffer.get(span.start as usize..(span.start + span.len) as usize)
}

/// A number that events of one shape share, and few others.
pub(crate) fn signature(parts: &Parts<'_>) -> u64 {
    let name = |name: Name| match name {
        Name::Standard(place) => u64::from(place),
        Name::Text(span) => u64::from(span.len) | 1 << 20,
    };
    let start = u64::from(parts.severity.rank()) | u64::from(parts.message.len == 0) << 8;
    parts.fields.iter().fold(start, |signature, entry| {
        let alias = entry.alias.map_or(0, name);
        let field = name(entry.name) << 32 | alias << 8 | Kind::of(&entry.value) as u64;
        (signature.rotate_left(7) ^ field).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}
