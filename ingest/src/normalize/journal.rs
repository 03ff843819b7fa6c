//! Messages of the journal that are no text: its JSON has them as a list of numbers, one for each byte.
//!
//! Input: a record of the journal. Output: the message they spell, under the name that the journal has for it.

use logwarden_event::FieldOptions;

use super::reading::{Held, Reading};

const MESSAGE: &str = "MESSAGE";

/// Puts a text in place of the bytes of the message.
pub(super) fn spell_message(reading: &mut Reading<'_>) {
    let is_bytes = reading.kind.is_some_and(|kind| kind.name == "journald")
        && reading.message.is_empty()
        && matches!(reading.sent(MESSAGE), Some(Held::Signed(_)));
    if !is_bytes {
        return;
    }
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for (place, entry) in reading.entries.iter().enumerate() {
        if entry.is_dropped || reading.str(entry.path) != MESSAGE {
            continue;
        }
        match entry.value {
            Held::Signed(byte) if entry.options.is_array_item => match u8::try_from(byte) {
                Ok(byte) => bytes.push(byte),
                Err(_) => return,
            },
            _ => return,
        }
        places.push(place);
    }
    for place in places {
        reading.entries[place].is_dropped = true;
    }
    if std::str::from_utf8(&bytes).is_err() {
        reading.flag("lw.invalid_utf8");
    }
    let text = reading.keep(&String::from_utf8_lossy(&bytes));
    let path = reading.keep(MESSAGE);
    reading.push(path, Held::Text(text), FieldOptions::default());
    reading.message = text;
}
