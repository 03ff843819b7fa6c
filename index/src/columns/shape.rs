//! What many events have in common: everything of an event but the texts in its slots.
//!
//! A shape is written as bytes, which are also what tells shapes apart:
//!
//! ```text
//! marks | slots | pieces of the record | pieces of the other texts | source dataset class message | fields
//! ```
//!
//! A piece is a literal, a slot, the event's time in RFC 3339, or a text of the second part with
//! JSON's escapes. A span of the buffer is two places; a place is a piece and an offset in it, which
//! is 0 unless the piece is a literal. So a shape says where every text of an event lies, whatever
//! the length of its slots.

use logwarden_event::parts::{Name, Packed};
use logwarden_event::{FieldOptions, STANDARD_FIELDS, Severity};

use super::text::is_word_byte;
use super::wire::{Damaged, Reader, put_number};

/// Slots, pieces and fields of a shape at most; what has more is no shape.
pub(crate) const PARTS_MAX: usize = 4_000;

pub(super) const LITERAL: u8 = 0;
pub(super) const SLOT: u8 = 1;
pub(super) const TIME: u8 = 2;
pub(super) const ESCAPED: u8 = 3;

const MARK_OBSERVED: u64 = 1;
const MARK_INDEXED: u64 = 2;
const MARKS: u32 = 2;

const BIT_ALIAS: u8 = 0x10;
const BIT_ARRAY_ITEM: u8 = 0x20;
const BIT_INNER: u8 = 0x40;

/// A part of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes `start .. start + len` of the shape's literals.
    Literal { start: u32, len: u32 },
    /// The text in a slot.
    Slot(u16),
    /// The event's time with so many digits after the second.
    Time(u8),
    /// The text of a field, or with 0 the message, escaped; fields count from 1 on.
    Escaped(u16),
}

impl Piece {
    /// Whether its text is neither a literal nor in a slot.
    pub(crate) fn is_made(&self) -> bool {
        matches!(self, Self::Time(_) | Self::Escaped(_))
    }
}

/// A place in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The piece; one past the last is the end.
    pub(crate) piece: u16,
    /// Bytes into it.
    pub(crate) offset: u32,
}

/// From one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first byte.
    pub(crate) start: Place,
    /// The byte after the last.
    pub(crate) end: Place,
}

/// A field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShapeName {
    /// A place in [`STANDARD_FIELDS`].
    Standard(u16),
    /// Letters in the buffer.
    Text(Stretch),
}

/// The type of a value, as the event has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// No value.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A whole number above `i64::MAX`.
    Unsigned,
    /// A number.
    Float,
    /// Text.
    String,
    /// An address.
    Ip,
    /// An instant.
    Timestamp,
    /// Shown as it was sent.
    Json,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Null,
        Self::Bool,
        Self::Integer,
        Self::Unsigned,
        Self::Float,
        Self::String,
        Self::Ip,
        Self::Timestamp,
        Self::Json,
    ];

    /// The kind of a value.
    pub(super) fn of(value: &Packed) -> Self {
        match value {
            Packed::Null => Self::Null,
            Packed::Bool(_) => Self::Bool,
            Packed::Integer(_) => Self::Integer,
            Packed::Unsigned(_) => Self::Unsigned,
            Packed::Float(_) => Self::Float,
            Packed::String(_) => Self::String,
            Packed::Ip(_) => Self::Ip,
            Packed::Timestamp(_) => Self::Timestamp,
            Packed::Json(_) => Self::Json,
        }
    }

    /// The name of the type, as [`logwarden_event::Value::type_name`] gives it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Integer | Self::Unsigned => "integer",
            Self::Float => "float",
            Self::String => "string",
            Self::Ip => "ip",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// The kind of this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShapeValue {
    /// There is none.
    Null,
    /// The text in a slot, read as the field's kind says; not of the kinds that are text.
    Slot(u16),
    /// A text of the buffer.
    Text(Stretch),
}

/// A field of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeField {
    /// The standard name where there is one, else the sender's.
    pub(crate) name: ShapeName,
    /// What the sender called it, where that differs.
    pub(crate) alias: Option<ShapeName>,
    /// The type of its value.
    pub(crate) kind: Kind,
    /// What it is besides.
    pub(crate) options: FieldOptions,
    /// Where its value comes from.
    pub(crate) value: ShapeValue,
}

/// A shape, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How bad its events are.
    pub(crate) severity: Severity,
    /// Its events have no time of their own.
    pub(crate) is_observed: bool,
    /// The words of its messages are not those of the pieces: they stand in the word index.
    pub(crate) is_indexed: bool,
    /// How many slots it has.
    pub(crate) slots: usize,
    /// The pieces of the buffer.
    pub(crate) pieces: Vec<Piece>,
    /// How many of them make up the record.
    pub(crate) raw_pieces: usize,
    /// The letters of its literals.
    pub(crate) literals: Vec<u8>,
    /// The configured sender.
    pub(crate) source: Stretch,
    /// The kind of log.
    pub(crate) dataset: Stretch,
    /// The logsource tuples.
    pub(crate) class: Stretch,
    /// What happened, in words.
    pub(crate) message: Stretch,
    /// The fields.
    pub(crate) fields: Vec<ShapeField>,
}

/// Appends marks and the number of slots.
pub(super) fn put_head(
    out: &mut Vec<u8>,
    severity: Severity,
    is_observed: bool,
    is_indexed: bool,
    slots: usize,
) {
    let marks =
        if is_observed { MARK_OBSERVED } else { 0 } | if is_indexed { MARK_INDEXED } else { 0 };
    put_number(out, u64::from(severity.rank()) << MARKS | marks);
    put_number(out, slots as u64);
}

/// Appends a stretch.
pub(super) fn put_stretch(out: &mut Vec<u8>, stretch: Stretch) {
    for place in [stretch.start, stretch.end] {
        put_number(out, u64::from(place.piece));
        put_number(out, u64::from(place.offset));
    }
}

fn put_name(out: &mut Vec<u8>, name: ShapeName) {
    match name {
        ShapeName::Standard(place) => put_number(out, u64::from(place) + 1),
        ShapeName::Text(stretch) => {
            put_number(out, 0);
            put_stretch(out, stretch);
        }
    }
}

/// Appends a field.
pub(super) fn put_field(out: &mut Vec<u8>, field: &ShapeField) {
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        field.kind as u8
            | bit(field.alias.is_some(), BIT_ALIAS)
            | bit(field.options.is_array_item, BIT_ARRAY_ITEM)
            | bit(field.options.is_inner, BIT_INNER),
    );
    put_name(out, field.name);
    field.alias.iter().for_each(|alias| put_name(out, *alias));
    match field.value {
        ShapeValue::Null => {}
        ShapeValue::Slot(slot) => put_number(out, u64::from(slot)),
        ShapeValue::Text(stretch) => put_stretch(out, stretch),
    }
}

/// Reads a shape; everything in it points to something in it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Shape, Damaged> {
    let mut reader = Reader::new(bytes);
    let head = reader.number()?;
    let severity = u8::try_from(head >> MARKS).ok().and_then(Severity::from_rank);
    let slots = reader.number_up_to(PARTS_MAX)?;
    let mut shape = Shape {
        severity: severity.ok_or(Damaged("a shape has an impossible severity"))?,
        is_observed: head & MARK_OBSERVED != 0,
        is_indexed: head & MARK_INDEXED != 0,
        slots,
        pieces: Vec::new(),
        raw_pieces: 0,
        literals: Vec::new(),
        source: NOWHERE,
        dataset: NOWHERE,
        class: NOWHERE,
        message: NOWHERE,
        fields: Vec::new(),
    };
    shape.read_pieces(&mut reader)?;
    shape.raw_pieces = shape.pieces.len();
    shape.read_pieces(&mut reader)?;
    shape.source = shape.stretch(&mut reader)?;
    shape.dataset = shape.stretch(&mut reader)?;
    shape.class = shape.stretch(&mut reader)?;
    shape.message = shape.stretch(&mut reader)?;
    for _ in 0..reader.number_up_to(PARTS_MAX)? {
        let field = shape.field(&mut reader)?;
        shape.fields.push(field);
    }
    let is_text = |place: &u16| match place.checked_sub(1) {
        None => true,
        Some(field) => shape.fields.get(usize::from(field)).is_some_and(|field| {
            matches!(field.kind, Kind::String | Kind::Json) && field.value != ShapeValue::Null
        }),
    };
    let are_texts = shape.pieces.iter().enumerate().all(|(place, piece)| match piece {
        Piece::Escaped(text) => place < shape.raw_pieces && is_text(text),
        _ => true,
    });
    if are_texts && reader.is_empty() {
        Ok(shape)
    } else {
        Err(Damaged("a shape contradicts itself"))
    }
}

const NOWHERE: Stretch =
    Stretch { start: Place { piece: 0, offset: 0 }, end: Place { piece: 0, offset: 0 } };

impl Shape {
    fn read_pieces(&mut self, reader: &mut Reader<'_>) -> Result<(), Damaged> {
        for _ in 0..reader.number_up_to(PARTS_MAX)? {
            let piece = match reader.byte()? {
                LITERAL => {
                    let bytes = reader.bytes()?;
                    let start = self.literals.len() as u32;
                    self.literals.extend_from_slice(bytes);
                    Piece::Literal { start, len: bytes.len() as u32 }
                }
                SLOT => Piece::Slot(self.slot(reader)?),
                TIME => Piece::Time(reader.number_up_to(9)? as u8),
                ESCAPED => Piece::Escaped(reader.number_up_to(PARTS_MAX)? as u16),
                _ => return Err(Damaged("a piece of an unknown form")),
            };
            self.pieces.push(piece);
        }
        Ok(())
    }

    fn slot(&self, reader: &mut Reader<'_>) -> Result<u16, Damaged> {
        let slot = reader.number_up_to(PARTS_MAX)?;
        if slot < self.slots { Ok(slot as u16) } else { Err(Damaged("a slot is out of bounds")) }
    }

    fn stretch(&self, reader: &mut Reader<'_>) -> Result<Stretch, Damaged> {
        let (start, end) = (self.place(reader)?, self.place(reader)?);
        if start <= end {
            Ok(Stretch { start, end })
        } else {
            Err(Damaged("a text ends before it begins"))
        }
    }

    fn place(&self, reader: &mut Reader<'_>) -> Result<Place, Damaged> {
        let piece = reader.number_up_to(self.pieces.len())?;
        let offset_max = match self.pieces.get(piece) {
            Some(Piece::Literal { len, .. }) => *len as usize,
            _ => 0,
        };
        Ok(Place { piece: piece as u16, offset: reader.number_up_to(offset_max)? as u32 })
    }

    fn name(&self, reader: &mut Reader<'_>) -> Result<ShapeName, Damaged> {
        match reader.number_up_to(STANDARD_FIELDS.len())? {
            0 => Ok(ShapeName::Text(self.stretch(reader)?)),
            place => Ok(ShapeName::Standard((place - 1) as u16)),
        }
    }

    fn field(&self, reader: &mut Reader<'_>) -> Result<ShapeField, Damaged> {
        let head = reader.byte()?;
        let kind = Kind::from_number(head & 0x0F).ok_or(Damaged("a value of an unknown type"))?;
        let name = self.name(reader)?;
        let alias = if head & BIT_ALIAS != 0 { Some(self.name(reader)?) } else { None };
        let value = match kind {
            Kind::Null => ShapeValue::Null,
            Kind::String | Kind::Json => ShapeValue::Text(self.stretch(reader)?),
            _ => ShapeValue::Slot(self.slot(reader)?),
        };
        let options = FieldOptions {
            is_array_item: head & BIT_ARRAY_ITEM != 0,
            is_inner: head & BIT_INNER != 0,
        };
        Ok(ShapeField { name, alias, kind, options, value })
    }

    /// The letters of a literal piece; none of any other.
    pub(crate) fn literal(&self, piece: Piece) -> &[u8] {
        match piece {
            Piece::Literal { start, len } => &self.literals[start as usize..(start + len) as usize],
            _ => &[],
        }
    }

    /// The pieces of a stretch; literals are cut at its ends.
    pub(crate) fn pieces_of(&self, stretch: Stretch) -> impl Iterator<Item = Piece> {
        let Stretch { start, end } = stretch;
        let until = usize::from(end.piece) + usize::from(end.offset > 0);
        let pieces = self.pieces.get(usize::from(start.piece)..until).unwrap_or_default();
        pieces.iter().zip(start.piece..).filter_map(move |(piece, place)| match *piece {
            Piece::Literal { start: first, len } => {
                let from = if place == start.piece { start.offset } else { 0 };
                let to = if place == end.piece { end.offset } else { len };
                (from < to).then(|| Piece::Literal { start: first + from, len: to - from })
            }
            other => Some(other),
        })
    }

    /// The slot that holds a field's value and nothing else.
    pub(crate) fn slot_of(&self, field: &ShapeField) -> Option<u16> {
        match field.value {
            ShapeValue::Null => None,
            ShapeValue::Slot(slot) => Some(slot),
            ShapeValue::Text(Stretch { start, end }) => {
                match self.pieces.get(usize::from(start.piece)) {
                    Some(Piece::Slot(slot)) if end.piece == start.piece + 1 && end.offset == 0 => {
                        Some(*slot)
                    }
                    _ => None,
                }
            }
        }
    }

    /// The stretches whose words can be asked for: the message and the texts that are no single slot.
    pub(crate) fn searched_stretches(&self) -> impl Iterator<Item = Stretch> {
        let message = std::iter::once(self.message).filter(|_| !self.is_indexed);
        message.chain(self.fields.iter().filter_map(|field| match field.value {
            ShapeValue::Text(stretch) if self.slot_of(field).is_none() => Some(stretch),
            _ => None,
        }))
    }

    /// Whether a field's text is made of several pieces and a word of it may lie in two of them, or in
    /// one that is no slot and no literal.
    pub(crate) fn is_unclear(&self, field: &ShapeField) -> bool {
        match field.value {
            ShapeValue::Text(stretch) => self.slot_of(field).is_none() && !self.is_clear(stretch),
            _ => false,
        }
    }

    /// Whether the words of a stretch are those of its literals and slots, by what stands beside slots.
    /// Messages are cut so that they are, unless the shape is indexed.
    pub(crate) fn is_clear(&self, stretch: Stretch) -> bool {
        if stretch == self.message {
            return !self.is_indexed;
        }
        let pieces: Vec<Piece> = self.pieces_of(stretch).collect();
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| is_word_byte(*byte));
        !pieces.iter().any(Piece::is_made)
            && !pieces.windows(2).any(|pair| match (pair[0], pair[1]) {
                (Piece::Slot(_), Piece::Slot(_)) => true,
                (Piece::Slot(_), literal) => is_word(self.literal(literal).first()),
                (literal, Piece::Slot(_)) => is_word(self.literal(literal).last()),
                _ => false,
            })
    }

    /// The letters of a stretch that is the same in every event of the shape.
    pub(crate) fn constant(&self, stretch: Stretch) -> Option<String> {
        let mut bytes = Vec::new();
        for piece in self.pieces_of(stretch) {
            match piece {
                Piece::Literal { .. } => bytes.extend_from_slice(self.literal(piece)),
                _ => return None,
            }
        }
        String::from_utf8(bytes).ok()
    }

    /// Whether a stretch is these letters in every event of the shape.
    pub(crate) fn is_constant(&self, stretch: Stretch, letters: &[u8]) -> bool {
        let mut rest = letters;
        let are_same = self.pieces_of(stretch).all(|piece| {
            let is_literal = matches!(piece, Piece::Literal { .. });
            match rest.strip_prefix(self.literal(piece)).filter(|_| is_literal) {
                Some(after) => rest = after,
                None => return false,
            }
            true
        });
        are_same && rest.is_empty()
    }

    /// A field's name; `None` when it differs from event to event.
    pub(crate) fn name_text(&self, name: ShapeName) -> Option<String> {
        match name {
            ShapeName::Standard(place) => Some(STANDARD_FIELDS[usize::from(place)].name.to_owned()),
            ShapeName::Text(stretch) => self.constant(stretch),
        }
    }
}

impl ShapeName {
    /// The name as an event has it, with the span that its stretch became.
    pub(super) fn to_name(
        self,
        span: impl FnOnce(Stretch) -> logwarden_event::parts::Span,
    ) -> Name {
        match self {
            Self::Standard(place) => Name::Standard(place),
            Self::Text(stretch) => Name::Text(span(stretch)),
        }
    }
}
