//! What is kept as JSON text, such that every reader of JSON takes it.
//!
//! Senders write what RFC 8259 does not know and we read all the same: halves of surrogate pairs, control
//! characters as they are, NaN, Infinity, numbers beyond every float. Given back as it was sent, one such
//! value would make a whole answer unreadable.

use serde_json::Value;

use crate::normalize::scan::{Malformed, Scanner, unescape};

/// Digits that every float holds.
const DIGITS_MAX: usize = 300;

/// A value that every reader of JSON takes.
pub(super) struct Mended {
    pub(super) text: String,
    /// Half of a surrogate pair had to be replaced.
    pub(super) was_replaced: bool,
}

/// The value, where it had to be written otherwise. Numbers that are none become texts.
pub(super) fn mended(text: &str) -> Option<Mended> {
    if !may_be_odd(text) || serde_json::from_str::<Value>(text).is_ok() {
        return None;
    }
    let mut mended = Mended { text: String::with_capacity(text.len() + 16), was_replaced: false };
    write_value(&mut Scanner::new(text), &mut mended).ok()?;
    Some(mended)
}

/// Whether a look at each byte is not enough to know that it is plain.
fn may_be_odd(text: &str) -> bool {
    let (mut before, mut digits) = (0, 0);
    text.bytes().any(|byte| {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        let is_odd = match byte {
            0..0x20 => true,
            b'u' => before == b'\\',
            b'e' | b'E' => before.is_ascii_digit(),
            b'N' | b'I' => matches!(before, b':' | b'[' | b',' | b' ' | b'-'),
            _ => digits > DIGITS_MAX,
        };
        before = byte;
        is_odd
    })
}

fn write_value(scanner: &mut Scanner<'_>, out: &mut Mended) -> Result<(), Malformed> {
    match scanner.peek() {
        Some(b'{') => write_members(scanner, out),
        Some(b'[') => write_items(scanner, out),
        Some(b'"') => write_string(scanner, out),
        Some(b't') => write_word(scanner, "true", "true", out),
        Some(b'f') => write_word(scanner, "false", "false", out),
        Some(b'n') => write_word(scanner, "null", "null", out),
        Some(b'N') => write_word(scanner, "NaN", "\"NaN\"", out),
        _ => {
            let (_, literal) = scanner.number()?;
            let is_number = literal.parse::<f64>().is_ok_and(f64::is_finite);
            let quote = if is_number { "" } else { "\"" };
            out.text.extend([quote, literal, quote]);
            Ok(())
        }
    }
}

fn write_word(
    scanner: &mut Scanner<'_>,
    word: &'static str,
    written: &str,
    out: &mut Mended,
) -> Result<(), Malformed> {
    scanner.keyword(word)?;
    out.text.push_str(written);
    Ok(())
}

fn write_string(scanner: &mut Scanner<'_>, out: &mut Mended) -> Result<(), Malformed> {
    let literal = scanner.string("a value")?;
    let mut said = String::new();
    out.was_replaced |= unescape(&scanner.text()[literal.start..literal.end], &mut said);
    out.text.push_str(&Value::from(said).to_string());
    Ok(())
}

fn write_members(scanner: &mut Scanner<'_>, out: &mut Mended) -> Result<(), Malformed> {
    scanner.pos += 1;
    out.text.push('{');
    scanner.skip_whitespace();
    if scanner.peek() == Some(b'}') {
        scanner.pos += 1;
        out.text.push('}');
        return Ok(());
    }
    loop {
        scanner.skip_whitespace();
        write_string(scanner, out)?;
        scanner.skip_whitespace();
        scanner.take(b':', "`:`")?;
        out.text.push(':');
        scanner.skip_whitespace();
        write_value(scanner, out)?;
        let is_over = scanner.ends_object()?;
        out.text.push(if is_over { '}' } else { ',' });
        if is_over {
            return Ok(());
        }
    }
}

fn write_items(scanner: &mut Scanner<'_>, out: &mut Mended) -> Result<(), Malformed> {
    scanner.pos += 1;
    out.text.push('[');
    scanner.skip_whitespace();
    if scanner.peek() == Some(b']') {
        scanner.pos += 1;
        out.text.push(']');
        return Ok(());
    }
    loop {
        scanner.skip_whitespace();
        write_value(scanner, out)?;
        let is_over = scanner.ends_array()?;
        out.text.push(if is_over { ']' } else { ',' });
        if is_over {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reader_takes_is_written_otherwise() {
        for (sent, kept) in [
            (r#"{"k":"\ud800"}"#, "{\"k\":\"\u{fffd}\"}"),
            (r#"{"\udfff" : [ {}, [], true ]}"#, "{\"\u{fffd}\":[{},[],true]}"),
            (r#"{"k":NaN,"n":-Infinity}"#, r#"{"k":"NaN","n":"-Infinity"}"#),
            (r#"[1e400,1e3,null,false]"#, r#"["1e400",1e3,null,false]"#),
            ("{\"k\":\"a\nb\u{1}\"}", r#"{"k":"a\nb\u0001"}"#),
        ] {
            let mended = mended(sent).map(|mended| mended.text);
            assert_eq!(mended.as_deref(), Some(kept), "{sent}");
        }
        let long = format!("[{}]", "9".repeat(400));
        assert_eq!(mended(&long).map(|m| m.text), Some(format!("[\"{}\"]", "9".repeat(400))));
    }

    #[test]
    fn what_readers_take_stays_as_it_was_sent() {
        for sent in [
            r#"{"k":"\ud83d\ude00 \u0041 a\n"}"#,
            r#"[{"a":1.50,"b":1e3},{ "c" : "x" }]"#,
            "[\n  {\"a\": 1}\n]",
            r#"{"N":"NaN","I":"I"}"#,
            "{}",
        ] {
            assert!(mended(sent).is_none(), "{sent}");
        }
    }
}
