//! Text from records on its way to a terminal or a spreadsheet.
//!
//! Records are written by attackers: nothing in them may move a cursor, ring a bell or become a
//! formula.

use std::borrow::Cow;

use logwarden_event::is_hidden;

/// `text` with control, bidirectional and zero-width characters as visible escapes.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// `1 rule`, `2 rules`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// JSON with the same characters as JSON's own escapes: it stays the JSON it was. They stand only
/// inside of strings, for a line end between values is not one that is hidden.
pub(crate) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hidden(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
}

/// One quoted cell of a CSV file (RFC 4180); what a spreadsheet would compute gets an apostrophe.
pub(crate) fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let apostrophe = if is_formula { "'" } else { "" };
    format!("\"{apostrophe}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_shown() {
        assert_eq!(printable("plain ä"), "plain ä");
        assert_eq!(printable("user\u{ad}name"), "user\\u{ad}name");
        assert_eq!(printable("\u{1b}[31mred\u{202e}\n"), "\\u{1b}[31mred\\u{202e}\\n");
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({ "m": "a\u{1b}\u{9b}2J\u{202e}\u{7f}" });
        let shown = printable_json(&format!("{value:#}\n"));
        assert!(shown.contains("\\u009b2J\\u202e\\u007f"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }

    #[test]
    fn a_formula_becomes_text() {
        assert_eq!(csv_cell("=1+1"), "\"'=1+1\"");
        assert_eq!(csv_cell("say \"hi\""), "\"say \"\"hi\"\"\"");
    }
}
