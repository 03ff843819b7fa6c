//! Takes an event apart into its shape and the texts in its slots.
//!
//! Slots are the texts of fields that lie in the buffer, and of what is left of a record the tokens
//! that are likely to differ from event to event: strings, numbers, `true` and `false` of JSON, and
//! runs with digits in other text. A message is literal words with slots between them; a word that
//! is the text of another slot refers to that slot. Whatever is chosen, putting the pieces together
//! gives the buffer back; how well it is chosen only decides how short the result is.

use std::io::Write as _;
use std::net::IpAddr;

use logwarden_event::Timestamp;
use logwarden_event::parts::{Entry, Name, Packed, Parts, Span};

use super::block::{put_address, put_decimal};
use super::shape::{
    ESCAPED, Kind, LITERAL, PARTS_MAX, Place, SLOT, ShapeField, ShapeName, ShapeValue, Stretch,
    TIME, put_field, put_head, put_stretch,
};
use super::text::{escape, is_word_byte, string_end, time_digits, time_len, token_len, unescape};
use super::wire::{put_bytes, put_number};

/// Bytes of a text that another slot may stand for, inside the message and elsewhere: shorter ones
/// are often equal by chance, and every chance is a shape of its own.
const COPY_BYTES_MIN: (usize, usize) = (3, 7);
/// Slots that are looked at for equal texts.
const COPY_SLOTS_MAX: usize = 64;

/// The event cannot be described by a shape; it is kept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit;

/// Whether the message is cut into words and slots, or one slot whose words are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageAs {
    /// Literal words and slots.
    Pieces,
    /// One text.
    Whole,
}

/// Takes events apart; keeps its buffers from one event to the next.
#[derive(Debug)]
pub(crate) struct Dissector {
    /// The shape of the last event.
    pub(crate) shape: Vec<u8>,
    tail: Vec<u8>,
    pieces: Vec<u8>,
    piece_count: usize,
    /// Where each piece begins in the buffer, and whether it is a literal.
    starts: Vec<(u32, bool)>,
    literal_from: Option<u32>,
    /// Texts of fields in the buffer, in order, disjoint.
    covered: Vec<Span>,
    cuts: Vec<(u32, u32)>,
    slots: Vec<Slot>,
    /// Slots of the record that may be the value of a field that has no text.
    claimable: Vec<u16>,
    first_bytes: [u64; 256],
    scratch: Vec<u8>,
    unescaped: Vec<u8>,
    buffer_len: u32,
    /// What [`Self::pieces_until`] found last.
    last_next: usize,
    is_in_string: bool,
    is_misaligned: bool,
}

/// What is known while the buffer is cut.
struct Walk<'a> {
    parts: &'a Parts<'a>,
    is_json: bool,
    /// Start and end of the message.
    message: (u32, u32),
    time: Option<Timestamp>,
    message_as: MessageAs,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u32,
    end: u32,
    is_in_scratch: bool,
    is_claimed: bool,
}

impl Dissector {
    /// A dissector.
    pub(crate) fn new() -> Self {
        Self {
            shape: Vec::new(),
            tail: Vec::new(),
            pieces: Vec::new(),
            piece_count: 0,
            starts: Vec::new(),
            literal_from: None,
            covered: Vec::new(),
            cuts: Vec::new(),
            slots: Vec::new(),
            claimable: Vec::new(),
            first_bytes: [0; 256],
            scratch: Vec::new(),
            unescaped: Vec::new(),
            buffer_len: 0,
            last_next: 0,
            is_in_string: false,
            is_misaligned: false,
        }
    }

    /// Takes an event apart; then [`Self::shape`] is its shape and [`Self::slot`] its texts.
    pub(crate) fn dissect(
        &mut self,
        parts: &Parts<'_>,
        message_as: MessageAs,
    ) -> Result<(), Misfit> {
        self.clear();
        self.buffer_len = parts.buffer.len() as u32;
        self.cover(parts);
        let walk = Walk {
            is_json: parts.buffer.trim_ascii_start().first() == Some(&b'{'),
            message: (parts.message.start, parts.message.start + parts.message.len),
            time: parts.timestamp,
            message_as,
            parts,
        };
        let (raw_pieces, raw_bytes) = self.cut_buffer(&walk)?;
        let mut tail = std::mem::take(&mut self.tail);
        tail.clear();
        let put = self.put_tail(parts, &mut tail);
        self.tail = tail;
        put?;
        let piece_count = self.piece_count;
        if self.slots.len() > PARTS_MAX || piece_count > PARTS_MAX || parts.fields.len() > PARTS_MAX
        {
            return Err(Misfit);
        }
        let is_indexed =
            message_as == MessageAs::Whole && parts.message.len > 0 || self.is_misaligned;
        let shape = &mut self.shape;
        shape.clear();
        put_head(shape, parts.severity, parts.timestamp.is_none(), is_indexed, self.slots.len());
        put_number(shape, raw_pieces as u64);
        shape.extend_from_slice(&self.pieces[..raw_bytes]);
        put_number(shape, (piece_count - raw_pieces) as u64);
        shape.extend_from_slice(&self.pieces[raw_bytes..]);
        shape.extend_from_slice(&self.tail);
        Ok(())
    }

    /// Appends what points into the buffer.
    fn put_tail(&mut self, parts: &Parts<'_>, tail: &mut Vec<u8>) -> Result<(), Misfit> {
        for span in [parts.source, parts.dataset, parts.class, parts.message] {
            put_stretch(tail, self.stretch(span)?);
        }
        put_number(tail, parts.fields.len() as u64);
        let mut next_claim = 0;
        for entry in parts.fields {
            let field = self.field(entry, parts.buffer, &mut next_claim)?;
            put_field(tail, &field);
        }
        Ok(())
    }

    /// The text in a slot of the last event, which is given again.
    pub(crate) fn slot<'a>(&'a self, slot: usize, buffer: &'a [u8]) -> &'a [u8] {
        let Slot { start, end, is_in_scratch, .. } = self.slots[slot];
        let text = if is_in_scratch { &self.scratch } else { buffer };
        &text[start as usize..end as usize]
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.piece_count = 0;
        self.starts.clear();
        self.literal_from = None;
        self.covered.clear();
        self.cuts.clear();
        self.slots.clear();
        self.claimable.clear();
        self.first_bytes = [0; 256];
        self.scratch.clear();
        self.is_in_string = false;
        self.is_misaligned = false;
    }

    /// Finds the texts of fields in the buffer. Where they overlap they are cut at each other's ends.
    fn cover(&mut self, parts: &Parts<'_>) {
        let texts = parts.fields.iter().filter_map(|entry| match entry.value {
            Packed::String(span) if span.len > 0 => Some((span.start, span.start + span.len)),
            _ => None,
        });
        self.cuts.extend(texts);
        self.cuts.sort_unstable();
        self.cuts.dedup();
        let message = [parts.message.start, parts.message.start + parts.message.len];
        let raw_end = parts.raw_len;
        let is_inside = |at: u32, start: u32, end: u32| start < at && at < end;
        let mut at = 0;
        while let Some((start, mut end)) = self.cuts.get(at).copied() {
            let first = at;
            at += 1;
            while let Some((_, other_end)) = self.cuts.get(at).filter(|(other, _)| *other < end) {
                end = end.max(*other_end);
                at += 1;
            }
            let mut inner: Vec<u32> = message
                .into_iter()
                .chain([raw_end])
                .filter(|cut| is_inside(*cut, start, end))
                .collect();
            if at - first > 1 || !inner.is_empty() {
                let ends = self.cuts[first..at].iter().flat_map(|(start, end)| [*start, *end]);
                inner.extend(ends);
                inner.sort_unstable();
                inner.dedup();
                let pairs = inner.iter().zip(&inner[1..]);
                self.covered
                    .extend(pairs.map(|(start, end)| Span { start: *start, len: end - start }));
            } else {
                self.covered.push(Span { start, len: end - start });
            }
        }
    }

    /// Cuts the whole buffer into pieces; tells how many make up the record, and their bytes.
    fn cut_buffer(&mut self, walk: &Walk<'_>) -> Result<(usize, usize), Misfit> {
        let buffer = walk.parts.buffer;
        for place in 0..self.covered.len() {
            let Span { start, len } = self.covered[place];
            self.new_slot(buffer, start, start + len);
        }
        let raw_end = walk.parts.raw_len;
        let mut raw_pieces = None;
        let mut at = 0;
        for place in 0..=self.covered.len() {
            let next = self.covered.get(place).copied();
            let gap_end = next.map_or(buffer.len() as u32, |span| span.start);
            if raw_pieces.is_none() && raw_end <= gap_end {
                self.gap(walk, at, raw_end);
                self.end_literal(buffer, raw_end);
                raw_pieces = Some((self.piece_count, self.pieces.len()));
                at = raw_end;
            }
            self.gap(walk, at, gap_end);
            let Some(Span { start, len }) = next else { break };
            self.end_literal(buffer, start);
            self.put_slot(place as u16, start);
            self.check_alignment(walk, start, start + len);
            at = start + len;
        }
        self.end_literal(buffer, buffer.len() as u32);
        raw_pieces.ok_or(Misfit)
    }

    /// Cuts what lies between two texts of fields.
    fn gap(&mut self, walk: &Walk<'_>, start: u32, end: u32) {
        let (message_start, message_end) = walk.message;
        let (from, to) = (start.max(message_start).min(end), end.min(message_end).max(start));
        if from >= to {
            self.plain_gap(walk, start, end);
            return;
        }
        self.plain_gap(walk, start, from);
        match walk.message_as {
            MessageAs::Whole => self.residual(walk, from, to, true),
            MessageAs::Pieces => self.words(walk, from, to, true),
        }
        self.plain_gap(walk, to, end);
    }

    fn plain_gap(&mut self, walk: &Walk<'_>, start: u32, end: u32) {
        if start >= end {
            return;
        }
        match (start < walk.parts.raw_len, walk.is_json) {
            (true, true) => self.json(walk, start, end),
            (true, false) => self.words(walk, start, end, false),
            (false, _) => self.literal(start),
        }
    }

    /// Cuts a part of a JSON record. It need not be right about strings, only usually.
    fn json(&mut self, walk: &Walk<'_>, start: u32, end: u32) {
        let bytes = &walk.parts.buffer[..end as usize];
        let mut at = start as usize;
        if self.is_in_string {
            let close = string_end(bytes, at);
            self.literal(start);
            self.is_in_string = close.is_none();
            at = close.map_or(bytes.len(), |close| close + 1);
        }
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    self.literal(at as u32);
                    let Some(close) = string_end(bytes, at + 1) else {
                        self.is_in_string = true;
                        return;
                    };
                    let is_key = bytes[close + 1..].trim_ascii_start().first() == Some(&b':');
                    if !is_key && close > at + 1 {
                        self.residual(walk, at as u32 + 1, close as u32, false);
                    }
                    self.literal(close as u32);
                    at = close + 1;
                }
                b'-' | b'0'..=b'9' => {
                    let is_number =
                        |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
                    let len = bytes[at..].iter().take_while(|byte| is_number(byte)).count();
                    self.residual(walk, at as u32, (at + len) as u32, false);
                    at += len;
                }
                b't' | b'f' => {
                    let word = if *byte == b't' { "true" } else { "false" };
                    if bytes[at..].starts_with(word.as_bytes()) {
                        self.residual(walk, at as u32, (at + word.len()) as u32, false);
                        at += word.len();
                    } else {
                        self.literal(at as u32);
                        at += 1;
                    }
                }
                _ => {
                    self.literal(at as u32);
                    at += 1;
                }
            }
        }
    }

    /// Cuts text into literal words and slots, so that no word lies in two pieces.
    fn words(&mut self, walk: &Walk<'_>, start: u32, end: u32, is_message: bool) {
        let bytes = &walk.parts.buffer[..end as usize];
        let mut at = start as usize;
        let mut is_after_word = false;
        while let Some(byte) = bytes.get(at) {
            let begins = !(is_after_word && is_word_byte(*byte));
            if begins
                && let Some((slot, len)) =
                    self.slot_at(walk.parts.buffer, at, end as usize, is_message)
            {
                self.end_literal(walk.parts.buffer, at as u32);
                self.put_slot(slot, at as u32);
                at += len;
                is_after_word = is_word_byte(bytes[at - 1]);
                continue;
            }
            if !is_word_byte(*byte) {
                self.literal(at as u32);
                is_after_word = false;
                at += 1;
                continue;
            }
            let run = time_len(&bytes[at..]).unwrap_or_else(|| token_len(&bytes[at..]));
            if bytes[at..at + run].iter().any(u8::is_ascii_digit) {
                self.residual(walk, at as u32, (at + run) as u32, is_message);
            } else {
                self.literal(at as u32);
            }
            at += run;
            is_after_word = true;
        }
    }

    /// The slot whose text stands here, between the ends of words.
    fn slot_at(
        &self,
        buffer: &[u8],
        at: usize,
        end: usize,
        is_message: bool,
    ) -> Option<(u16, usize)> {
        let len_min = if is_message { COPY_BYTES_MIN.0 } else { COPY_BYTES_MIN.1 };
        let mut places = self.first_bytes[usize::from(buffer[at])];
        let mut best: Option<(u16, usize)> = None;
        while places != 0 {
            let slot = places.trailing_zeros() as usize;
            places &= places - 1;
            let text = self.slot(slot, buffer);
            let after = at + text.len();
            let is_here = text.len() >= len_min && after <= end && buffer[at..after] == *text;
            let ends = is_here
                && !(after < end && is_word_byte(buffer[after]) && is_word_byte(buffer[after - 1]));
            if ends && best.is_none_or(|(_, len)| text.len() > len) {
                best = Some((slot as u16, text.len()));
            }
        }
        best
    }

    /// A part of the record that may differ from event to event.
    fn residual(&mut self, walk: &Walk<'_>, start: u32, end: u32, is_message: bool) {
        let buffer = walk.parts.buffer;
        let text = &buffer[start as usize..end as usize];
        self.end_literal(buffer, start);
        if !is_message && let Some(digits) = walk.time.and_then(|time| time_digits(text, time)) {
            self.starts.push((start, false));
            self.piece_count += 1;
            self.pieces.push(TIME);
            self.pieces.push(digits);
            return;
        }
        if !is_message
            && text.contains(&b'\\')
            && let Some(place) = self.escaped(walk, text)
        {
            self.starts.push((start, false));
            self.piece_count += 1;
            self.pieces.push(ESCAPED);
            put_number(&mut self.pieces, place);
            return;
        }
        if !is_message
            && let Some((slot, len)) = self.slot_at(buffer, start as usize, end as usize, false)
            && len == text.len()
        {
            self.put_slot(slot, start);
            return;
        }
        let slot = self.new_slot(buffer, start, end);
        self.claimable.push(slot);
        self.put_slot(slot, start);
    }

    /// The text, kept outside of the record, that this becomes with JSON's escapes.
    fn escaped(&mut self, walk: &Walk<'_>, text: &[u8]) -> Option<u64> {
        let Parts { raw_len, message, fields, buffer, .. } = walk.parts;
        self.unescaped.clear();
        if !unescape(text, &mut self.unescaped)
            || escape(&self.unescaped).is_none_or(|again| again != text)
        {
            return None;
        }
        let is_it = |span: &Span| {
            span.start >= *raw_len
                && buffer[span.start as usize..(span.start + span.len) as usize]
                    == self.unescaped[..]
        };
        if is_it(message) {
            return Some(0);
        }
        let field = fields.iter().position(|entry| match entry.value {
            Packed::String(span) => is_it(&span),
            _ => false,
        });
        field.filter(|field| *field < PARTS_MAX).map(|field| field as u64 + 1)
    }

    fn new_slot(&mut self, buffer: &[u8], start: u32, end: u32) -> u16 {
        let slot = self.slots.len();
        self.slots.push(Slot { start, end, is_in_scratch: false, is_claimed: false });
        if slot < COPY_SLOTS_MAX && start < end {
            self.first_bytes[usize::from(buffer[start as usize])] |= 1 << slot;
        }
        // What has more slots than that is refused in the end.
        slot.min(usize::from(u16::MAX)) as u16
    }

    fn put_slot(&mut self, slot: u16, start: u32) {
        self.starts.push((start, false));
        self.piece_count += 1;
        self.pieces.push(SLOT);
        put_number(&mut self.pieces, u64::from(slot));
    }

    fn literal(&mut self, start: u32) {
        self.literal_from.get_or_insert(start);
    }

    fn end_literal(&mut self, buffer: &[u8], end: u32) {
        let Some(start) = self.literal_from.take().filter(|start| *start < end) else { return };
        self.starts.push((start, true));
        self.piece_count += 1;
        self.pieces.push(LITERAL);
        put_bytes(&mut self.pieces, &buffer[start as usize..end as usize]);
    }

    /// A field's text in the message that begins or ends inside a word: its words are not those of
    /// the pieces.
    fn check_alignment(&mut self, walk: &Walk<'_>, start: u32, end: u32) {
        let (message_start, message_end) = walk.message;
        let buffer = walk.parts.buffer;
        let cuts_word = |at: u32| {
            message_start < at
                && at < message_end
                && is_word_byte(buffer[at as usize - 1])
                && is_word_byte(buffer[at as usize])
        };
        self.is_misaligned |= cuts_word(start) || cuts_word(end);
    }

    fn stretch(&mut self, span: Span) -> Result<Stretch, Misfit> {
        Ok(Stretch { start: self.place(span.start)?, end: self.place(span.start + span.len)? })
    }

    /// How many pieces begin at or before a byte. One text often lies where the last one did, or behind.
    fn pieces_until(&mut self, at: u32) -> usize {
        let is_after = |next: usize| {
            next > 0
                && self.starts.get(next - 1).is_some_and(|(start, _)| *start <= at)
                && self.starts.get(next).is_none_or(|(start, _)| *start > at)
        };
        if !is_after(self.last_next) {
            self.last_next = match is_after(self.last_next + 1) {
                true => self.last_next + 1,
                false => self.starts.partition_point(|(start, _)| *start <= at),
            };
        }
        self.last_next
    }

    fn place(&mut self, at: u32) -> Result<Place, Misfit> {
        let next = self.pieces_until(at);
        let Some(piece) = next.checked_sub(1) else {
            return if at == 0 { Ok(Place { piece: 0, offset: 0 }) } else { Err(Misfit) };
        };
        let (start, is_literal) = self.starts[piece];
        let offset = at - start;
        match self.starts.get(next) {
            // The end of the buffer lies behind the last piece.
            None if at == self.buffer_len => Ok(Place { piece: next as u16, offset: 0 }),
            _ if is_literal || offset == 0 => Ok(Place { piece: piece as u16, offset }),
            _ => Err(Misfit),
        }
    }

    fn field(
        &mut self,
        entry: &Entry,
        buffer: &[u8],
        next_claim: &mut usize,
    ) -> Result<ShapeField, Misfit> {
        let name = self.name(entry.name)?;
        let alias = entry.alias.map(|alias| self.name(alias)).transpose()?;
        let value = match entry.value {
            Packed::Null => ShapeValue::Null,
            Packed::String(span) | Packed::Json(span) => ShapeValue::Text(self.stretch(span)?),
            ref typed => ShapeValue::Slot(self.claim(typed, buffer, next_claim)),
        };
        Ok(ShapeField { name, alias, kind: Kind::of(&entry.value), options: entry.options, value })
    }

    /// The slot that holds the text of a value that is no text itself: one of the record, in its
    /// order, or one of its own.
    fn claim(&mut self, value: &Packed, buffer: &[u8], next_claim: &mut usize) -> u16 {
        let start = self.scratch.len();
        put_value(&mut self.scratch, value);
        let text = &self.scratch[start..];
        let len = self.claimable.len();
        let order = (*next_claim..len).chain(0..(*next_claim).min(len));
        let is_it = |place: &usize| {
            let slot = usize::from(self.claimable[*place]);
            !self.slots[slot].is_claimed && self.slot(slot, buffer) == text
        };
        if let Some(place) = order.into_iter().find(is_it) {
            *next_claim = place + 1;
            self.scratch.truncate(start);
            let slot = self.claimable[place];
            self.slots[usize::from(slot)].is_claimed = true;
            return slot;
        }
        let slot = self.slots.len();
        let (start, end) = (start as u32, self.scratch.len() as u32);
        self.slots.push(Slot { start, end, is_in_scratch: true, is_claimed: true });
        slot.min(usize::from(u16::MAX)) as u16
    }

    fn name(&mut self, name: Name) -> Result<ShapeName, Misfit> {
        Ok(match name {
            Name::Standard(place) => ShapeName::Standard(place),
            Name::Text(span) => ShapeName::Text(self.stretch(span)?),
        })
    }
}

/// Appends the text of a value that is no text, as [`logwarden_event::Value`] displays.
pub(super) fn put_value(out: &mut Vec<u8>, value: &Packed) {
    let written = match value {
        Packed::Bool(value) => out.write_all(if *value { b"true" } else { b"false" }),
        Packed::Integer(value) => {
            put_decimal(out, *value);
            Ok(())
        }
        Packed::Ip(IpAddr::V4(address)) => {
            put_address(out, address.to_bits());
            Ok(())
        }
        Packed::Unsigned(value) => write!(out, "{value}"),
        Packed::Float(value) => write!(out, "{value}"),
        Packed::Ip(value) => write!(out, "{value}"),
        Packed::Timestamp(value) => write!(out, "{value}"),
        Packed::Null | Packed::String(_) | Packed::Json(_) => Ok(()),
    };
    written.expect("writing to memory cannot fail");
}
