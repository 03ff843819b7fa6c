//! Puts an event together from its shape and the texts in its slots.

use std::net::IpAddr;

use logwarden_event::parts::{Entry, Packed, Parts, Span};
use logwarden_event::{Event, Position, Timestamp, Value};

use super::shape::{Kind, Piece, Place, Shape, ShapeField, ShapeValue, Stretch};
use super::text::{escape, put_time};
use super::wire::Damaged;

/// Puts events together; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Rebuilder {
    buffer: Vec<u8>,
    other: Vec<u8>,
    other_starts: Vec<u32>,
    /// Where each piece begins, and the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    escaped: Vec<u8>,
}

impl Rebuilder {
    /// The event of a shape with these texts in its slots.
    pub(crate) fn event<'t>(
        &mut self,
        shape: &Shape,
        slot: impl Fn(usize) -> &'t [u8],
        (timestamp, position, observed_at): (Timestamp, Position, Timestamp),
    ) -> Result<Event, Damaged> {
        let parts = self.parts(shape, &slot, timestamp)?;
        Event::from_parts(&parts, position, observed_at)
            .map_err(|_| Damaged("an event points outside of its texts"))
    }

    /// The parts of that event.
    pub(crate) fn parts<'t>(
        &mut self,
        shape: &Shape,
        slot: &impl Fn(usize) -> &'t [u8],
        timestamp: Timestamp,
    ) -> Result<Parts<'_>, Damaged> {
        self.fill(shape, slot, timestamp)?;
        self.entries.clear();
        for field in &shape.fields {
            let entry = self.entry(field, slot)?;
            self.entries.push(entry);
        }
        Ok(Parts {
            timestamp: (!shape.is_observed).then_some(timestamp),
            severity: shape.severity,
            buffer: &self.buffer,
            raw_len: self.starts[shape.raw_pieces],
            source: self.span(shape.source),
            dataset: self.span(shape.dataset),
            class: self.span(shape.class),
            message: self.span(shape.message),
            fields: &self.entries,
        })
    }

    /// Fills the buffer: first the texts outside of the record, for its escaped ones.
    fn fill<'t>(
        &mut self,
        shape: &Shape,
        slot: &impl Fn(usize) -> &'t [u8],
        timestamp: Timestamp,
    ) -> Result<(), Damaged> {
        let (raw, others) = shape.pieces.split_at(shape.raw_pieces);
        self.other.clear();
        self.other_starts.clear();
        for piece in others {
            self.other_starts.push(self.other.len() as u32);
            match piece {
                Piece::Literal { .. } => self.other.extend_from_slice(shape.literal(*piece)),
                Piece::Slot(number) => self.other.extend_from_slice(slot(usize::from(*number))),
                Piece::Time(_) | Piece::Escaped(_) => {
                    return Err(Damaged("a piece stands where it cannot"));
                }
            }
        }
        self.other_starts.push(self.other.len() as u32);
        self.buffer.clear();
        self.starts.clear();
        for piece in raw {
            self.starts.push(self.buffer.len() as u32);
            match piece {
                Piece::Literal { .. } => self.buffer.extend_from_slice(shape.literal(*piece)),
                Piece::Slot(number) => self.buffer.extend_from_slice(slot(usize::from(*number))),
                Piece::Time(digits) => put_time(&mut self.buffer, timestamp, *digits),
                Piece::Escaped(text) => {
                    self.escape(shape, *text, slot)?;
                    self.buffer.extend_from_slice(&self.escaped);
                }
            }
        }
        let raw_len = self.buffer.len() as u32;
        self.starts.extend(self.other_starts.iter().map(|start| raw_len + start));
        self.buffer.extend_from_slice(&self.other);
        Ok(())
    }

    fn escape<'t>(
        &mut self,
        shape: &Shape,
        text: u16,
        slot: &impl Fn(usize) -> &'t [u8],
    ) -> Result<(), Damaged> {
        let misplaced = Damaged("an escaped text lies where it cannot");
        let value = match text.checked_sub(1) {
            None => ShapeValue::Text(shape.message),
            Some(field) => shape.fields.get(usize::from(field)).ok_or(misplaced)?.value,
        };
        let plain: &[u8] = match value {
            ShapeValue::Slot(number) => slot(usize::from(number)),
            ShapeValue::Text(Stretch { start, end }) => {
                let at = |place: Place| {
                    let piece = usize::from(place.piece).checked_sub(shape.raw_pieces)?;
                    Some(*self.other_starts.get(piece)? as usize + place.offset as usize)
                };
                let range = at(start).zip(at(end)).ok_or(misplaced)?;
                self.other.get(range.0..range.1).ok_or(misplaced)?
            }
            ShapeValue::Null => return Err(misplaced),
        };
        self.escaped = escape(plain).ok_or(misplaced)?;
        Ok(())
    }

    fn span(&self, stretch: Stretch) -> Span {
        let at = |place: Place| self.starts[usize::from(place.piece)] + place.offset;
        let start = at(stretch.start);
        Span { start, len: at(stretch.end) - start }
    }

    fn entry<'t>(
        &self,
        field: &ShapeField,
        slot: &impl Fn(usize) -> &'t [u8],
    ) -> Result<Entry, Damaged> {
        let value = match field.value {
            ShapeValue::Null => Packed::Null,
            ShapeValue::Text(stretch) if field.kind == Kind::Json => {
                Packed::Json(self.span(stretch))
            }
            ShapeValue::Text(stretch) => Packed::String(self.span(stretch)),
            ShapeValue::Slot(number) => typed(field.kind, slot(usize::from(number)))?,
        };
        let name = field.name.to_name(|stretch| self.span(stretch));
        let alias = field.alias.map(|alias| alias.to_name(|stretch| self.span(stretch)));
        Ok(Entry { name, alias, value, options: field.options })
    }
}

/// The value that a slot's text reads as.
fn typed(kind: Kind, text: &[u8]) -> Result<Packed, Damaged> {
    let text = std::str::from_utf8(text).map_err(|_| Damaged("a value is not UTF-8"))?;
    let value = match kind {
        Kind::Bool => text.parse().ok().map(Packed::Bool),
        Kind::Integer => text.parse().ok().map(Packed::Integer),
        Kind::Unsigned => text.parse().ok().map(Packed::Unsigned),
        Kind::Float => text.parse().ok().map(Packed::Float),
        Kind::Ip => text.parse::<IpAddr>().ok().map(Packed::Ip),
        Kind::Timestamp => Timestamp::parse_rfc3339(text).map(Packed::Timestamp),
        Kind::Null | Kind::String | Kind::Json => None,
    };
    value.ok_or(Damaged("a value is not of its type"))
}

/// The value that a text of a column is.
pub(crate) fn value(kind: Kind, text: &[u8]) -> Result<Value<'_>, Damaged> {
    if matches!(kind, Kind::String | Kind::Json) {
        let text = std::str::from_utf8(text).map_err(|_| Damaged("a value is not UTF-8"))?;
        return Ok(if kind == Kind::Json { Value::Json(text) } else { Value::String(text) });
    }
    Ok(match typed(kind, text)? {
        Packed::Null | Packed::String(_) | Packed::Json(_) => Value::Null,
        Packed::Bool(value) => Value::Bool(value),
        Packed::Integer(value) => Value::Integer(value.into()),
        Packed::Unsigned(value) => Value::Integer(value.into()),
        Packed::Float(value) => Value::Float(value),
        Packed::Ip(value) => Value::Ip(value),
        Packed::Timestamp(value) => Value::Timestamp(value),
    })
}

#[cfg(test)]
mod tests {
    use logwarden_event::{Class, EventBuilder, FieldOptions, Severity};
    use proptest::prelude::*;

    use super::*;
    use crate::columns::dissect::{Dissector, MessageAs, Misfit};
    use crate::columns::fit::{Fitter, Mold};
    use crate::columns::shape;

    const AT: Position = Position { lane: 0, seq: 7 };

    /// The event, taken apart and put together again, and its shape.
    fn round_trip(event: &Event, message_as: MessageAs) -> Result<(Event, Shape), Misfit> {
        let mut dissector = Dissector::new();
        let parts = event.parts();
        dissector.dissect(&parts, message_as)?;
        let shape = shape::decode(&dissector.shape).expect("just written");
        let slot = |slot: usize| dissector.slot(slot, parts.buffer);
        let when = (event.timestamp(), AT, event.observed_at());
        let again = Rebuilder::default().event(&shape, slot, when).expect("its own slots");
        Ok((again, shape))
    }

    /// An event that has a known shape is given back by it, as by taking it apart.
    fn check_fit(event: &Event, shape: &Shape) {
        let Some(mold) = Mold::new(shape) else { return };
        let parts = event.parts();
        let mut fitter = Fitter::default();
        if fitter.fits(shape, &mold, &parts) {
            let slot = |slot: usize| fitter.slot(slot, parts.buffer);
            let mut rebuilder = Rebuilder::default();
            let again = rebuilder.parts(shape, &slot, event.timestamp()).expect("its own slots");
            assert_eq!(again, parts);
        }
    }

    fn check(event: &Event) {
        for message_as in [MessageAs::Pieces, MessageAs::Whole] {
            if let Ok((again, shape)) = round_trip(event, message_as) {
                check_fit(event, &shape);
                assert_eq!(again.parts(), event.parts());
                assert_eq!((again.timestamp(), again.id()), (event.timestamp(), event.id()));
            }
        }
    }

    /// The event with other letters and digits in its record, and everything else where it was.
    fn replace_letters(event: &Event) -> Event {
        let parts = event.parts();
        let mut buffer = parts.buffer.to_vec();
        for (place, byte) in buffer.iter_mut().enumerate() {
            match *byte {
                b'1' if place % 2 == 0 => *byte = b'7',
                b'a' if place % 3 == 0 => *byte = b' ',
                _ => {}
            }
        }
        Event::from_parts(&Parts { buffer: &buffer, ..parts }, AT, Timestamp::from_secs(9))
            .expect("ASCII was replaced by ASCII")
    }

    fn shape_of(event: &Event) -> Vec<u8> {
        let mut dissector = Dissector::new();
        dissector.dissect(&event.parts(), MessageAs::Pieces).expect("an ordinary event");
        dissector.shape
    }

    /// A login over JSON, as the normalizer makes it.
    fn login(user: &str, ip: &str, port: i64, at: &str) -> Event {
        let record = format!(
            r#"{{"@timestamp":"{at}","user":{{"name":"{user}"}},"src":{{"ip":"{ip}","port":{port}}},"ok":true,"message":"user {user} signed in from {ip}"}}"#
        );
        let span = |text: &str| &record[record.find(text).expect("there")..][..text.len()];
        let mut builder = EventBuilder::new(record.as_bytes());
        builder.timestamp(Timestamp::parse_rfc3339(at)).severity(Severity::Info);
        builder.source("shop").dataset("shop.auth").class(Class::new("/authentication/"));
        builder.field("user.name", Value::String(span(user)));
        let address = Value::Ip(ip.parse().expect("an address"));
        builder.field_with("source.ip", Some("src.ip"), address, FieldOptions::default());
        builder.field("source.port", Value::Integer(port.into()));
        builder.field("ok", Value::Bool(true));
        builder.message(span(&format!("user {user} signed in from {ip}")));
        let mut event = builder.build();
        event.stamp(AT, Timestamp::from_secs(9));
        event
    }

    #[test]
    fn events_that_differ_in_their_values_have_one_shape_and_come_back() {
        let one = login("kofi", "10.2.0.9", 50_123, "2026-11-24T13:51:22.5Z");
        let other = login("chiara", "198.51.100.7", 443, "2026-11-25T00:00:01.25Z");
        check(&one);
        check(&other);
        let third = login("amara", "2001:db8::1", 80, "2026-11-25T00:00:01.5Z");
        assert_eq!(shape_of(&one), shape_of(&third), "also with an address of the other family");
        let (_, shape) = round_trip(&one, MessageAs::Pieces).expect("ordinary");
        assert_eq!(
            shape.slots, 4,
            "user, address, port and true; the time and the message are made of others"
        );
        assert_ne!(shape_of(&one), shape_of(&other), "times have different lengths");
        let mold = Mold::new(&shape).expect("its slots have ends");
        let mut fitter = Fitter::default();
        assert!(
            fitter.fits(&shape, &mold, &one.parts()) && fitter.fits(&shape, &mold, &third.parts())
        );
        assert_eq!(fitter.slot(1, third.parts().buffer), b"2001:db8::1");
        assert!(!fitter.fits(&shape, &mold, &other.parts()));
    }

    fn texts() -> impl Strategy<Value = String> {
        proptest::sample::select(&[
            "kofi",
            "10.2.0.9",
            "-7",
            "true",
            "",
            "a\"b\\c\n",
            "été 12",
            "x_1.y-2",
            "GET /a/17?b=3",
            "00f067aa0ba902b7",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn every_event_comes_back_or_is_no_shape(
            record in r#"[ {}:"\\,a1.\[\]é-]{0,40}"#,
            spans in proptest::collection::vec((0usize..40, 0usize..9, any::<bool>()), 0..8),
            values in proptest::collection::vec((texts(), 0u8..6), 0..6),
            message in (0usize..40, 0usize..30),
        ) {
            let slice = |start: usize, len: usize| {
                let start = record.floor_char_boundary(start.min(record.len()));
                &record[start..record.floor_char_boundary((start + len).min(record.len()))]
            };
            let mut builder = EventBuilder::new(record.as_bytes());
            builder.timestamp(Some(Timestamp::from_secs(5))).dataset("test.log");
            for (start, len, is_json) in spans {
                let text = slice(start, len);
                builder.field("a.b", if is_json { Value::Json(text) } else { Value::String(text) });
            }
            for (text, kind) in &values {
                let value = match kind {
                    0 => Value::Integer(12),
                    1 => Value::Float(0.5),
                    2 => Value::Bool(true),
                    3 => Value::Null,
                    4 => Value::Ip("10.2.0.9".parse().expect("an address")),
                    _ => Value::String(text),
                };
                builder.field(if text.is_empty() { "x" } else { text }, value);
            }
            builder.message(slice(message.0, message.1));
            let mut event = builder.build();
            event.stamp(AT, Timestamp::from_secs(9));
            check(&event);
            // The same with other letters, which may fit the same shape.
            let other = replace_letters(&event);
            if let Ok((_, shape)) = round_trip(&event, MessageAs::Pieces) {
                check_fit(&other, &shape);
            }
        }

        #[test]
        fn a_damaged_shape_is_an_error_or_gives_some_event(place in 0usize..400, value in any::<u8>()) {
            let event = login("kofi", "10.2.0.9", 50_123, "2026-11-24T13:51:22.5Z");
            let mut bytes = shape_of(&event);
            let place = place % bytes.len();
            bytes[place] = value;
            if let Ok(shape) = shape::decode(&bytes) {
                let slot = |_: usize| &b"10.2.0.9"[..];
                let _ = Rebuilder::default().event(&shape, slot, (event.timestamp(), AT, Timestamp::MAX));
            }
        }
    }
}
