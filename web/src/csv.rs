//! Comma-separated values that a spreadsheet opens without running anything.
//!
//! Every cell is quoted. What a spreadsheet would read as a formula (it begins with `=`, `+`, `-`,
//! `@`, a tab or a carriage return) gets an apostrophe in front (OWASP, "CSV Injection"), a negative
//! number too.

use logwarden_event::Event;

use crate::json;

/// The columns of an export that names none; after them come the fields as one JSON cell.
const USUAL_COLUMNS: [&str; 8] =
    ["id", "seq", "timestamp", "observed_at", "source", "dataset", "severity", "message"];

/// Writes the head line: the named columns, or the usual ones.
pub(crate) fn write_head(columns: &[String], with_raw: bool, out: &mut Vec<u8>) {
    let mut row = Row::begin(out);
    if columns.is_empty() {
        USUAL_COLUMNS.iter().for_each(|name| row.text(name));
        row.text("fields");
    }
    columns.iter().for_each(|name| row.text(name));
    if with_raw {
        row.text("raw");
    }
    row.end();
}

/// Writes one event under that head.
pub(crate) fn write_event(event: &Event, columns: &[String], with_raw: bool, out: &mut Vec<u8>) {
    let mut row = Row::begin(out);
    if columns.is_empty() {
        USUAL_COLUMNS.iter().for_each(|name| row.column(event, name));
        let mut text = Vec::new();
        json::write_fields(event, &[], &mut text);
        row.text(&String::from_utf8_lossy(&text));
    }
    columns.iter().for_each(|name| row.column(event, name));
    if with_raw {
        row.text(&String::from_utf8_lossy(event.raw()));
    }
    row.end();
}

/// Writes a row that says why there are no more.
pub(crate) fn write_note(note: &str, out: &mut Vec<u8>) {
    let mut row = Row::begin(out);
    row.text(note);
    row.end();
}

struct Row<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Row<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, is_empty: true }
    }

    /// A cell of somebody else's text.
    fn text(&mut self, text: &str) {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        self.cell(if is_formula { "'" } else { "" }, text);
    }

    /// A cell whose letters we chose.
    fn bare(&mut self, text: &str) {
        self.cell("", text);
    }

    /// An attribute, or a field. A sender's own field of an attribute's name is found as
    /// `fields.NAME` in lines of JSON only.
    fn column(&mut self, event: &Event, name: &str) {
        match name {
            "id" => self.bare(&event.id().to_string()),
            "seq" | "lw.seq" => self.bare(&event.seq().to_string()),
            "timestamp" => self.bare(&event.timestamp().to_string()),
            "observed_at" | "lw.observed_at" => self.bare(&event.observed_at().to_string()),
            "source" | "lw.source" => self.text(event.source()),
            "dataset" => self.text(event.dataset()),
            "severity" => self.text(event.severity().name()),
            "message" => self.text(event.message()),
            "lw.class" => self.text(event.class().as_str()),
            name => self.values(event, name),
        }
    }

    /// The values of a field, with a semicolon between several.
    fn values(&mut self, event: &Event, name: &str) {
        let mut values = event.values(name);
        match (values.next(), values.next()) {
            (None, _) => self.bare(""),
            (Some(value), None) => self.text(&value.to_string()),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(values);
                self.text(&all.map(|value| value.to_string()).collect::<Vec<_>>().join(";"));
            }
        }
    }

    fn cell(&mut self, guard: &str, text: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(guard.as_bytes());
        self.out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        self.out.push(b'"');
    }

    fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use logwarden_event::{EventBuilder, Value};

    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_its_row() {
        let mut event = EventBuilder::new(b"=raw");
        event.source("@shop").message("=HYPERLINK(\"http://evil\")\r\nnext");
        event.field("a", Value::String("+1")).field("b", Value::Integer(-5));
        event.field("c", Value::String("\tx")).field("c", Value::String("y"));
        let columns = ["source", "message", "a", "b", "c", "d"].map(str::to_owned);
        let mut out = Vec::new();
        write_head(&columns, true, &mut out);
        write_event(&event.build(), &columns, true, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"source\",\"message\",\"a\",\"b\",\"c\",\"d\",\"raw\"\r\n\
             \"'@shop\",\"'=HYPERLINK(\"\"http://evil\"\")\r\nnext\",\"'+1\",\"'-5\",\"'\tx;y\",\"\",\"'=raw\"\r\n"
        );
    }
}
