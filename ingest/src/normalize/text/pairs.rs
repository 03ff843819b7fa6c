//! Lines of `key=value` pairs: logfmt, Go's slog in text, firewalls, and programs that write so.
//!
//! Input: at least two pairs from the first letter on, separated by spaces or commas; a value may be in
//! quotes, with escapes. Output: each pair as a field of its own; words between pairs stay in the
//! message. `msg`, `time` and `level` mean what they mean everywhere.

use super::line::closing_quote;
use super::{Context, Fact, Facts};

const KEY_BYTES_MAX: usize = 64;

/// Reads a line of pairs.
pub(super) fn pairs<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut facts = Facts::default();
    let rest = read(&mut facts, text)?;
    // One pair may be an accident: `x=1 happened`.
    (facts.fields.len() >= 2 && rest.len() <= text.len() / 2).then_some(facts)
}

/// Adds the pairs that `text` begins with, and gives what follows them; `None` when it begins with none.
fn read<'t>(facts: &mut Facts<'t>, text: &'t str) -> Option<&'t str> {
    let mut rest = text;
    let mut has_any = false;
    while let Some((key, value, after)) = pair(rest) {
        has_any = true;
        if !value.is_empty() {
            facts.sent(key, typed(value, after.is_quoted));
        }
        rest = after.rest.trim_start_matches([' ', ',', ';', '\t']);
    }
    has_any.then_some(rest)
}

/// Adds the pairs among the words of `text`.
pub(super) fn among_words<'t>(facts: &mut Facts<'t>, text: &'t str) {
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = read(facts, rest) {
            rest = after;
        }
        rest = rest.split_once(' ').map_or("", |(_, after)| after.trim_start_matches(' '));
    }
}

struct After<'t> {
    rest: &'t str,
    is_quoted: bool,
}

/// The pair at the start.
fn pair(text: &str) -> Option<(&str, &str, After<'_>)> {
    let end = text.bytes().take(KEY_BYTES_MAX + 1).position(|byte| !is_key_byte(byte))?;
    let key = &text[..end];
    let rest = text[end..].strip_prefix('=')?;
    if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"')
        && let Some(end) = closing_quote(quoted)
    {
        return Some((key, &quoted[..end], After { rest: &quoted[end + 1..], is_quoted: true }));
    }
    let end = rest.find([' ', '\n', '\t']).unwrap_or(rest.len());
    let value = rest[..end].trim_end_matches([',', ';']);
    Some((key, value, After { rest: &rest[end..], is_quoted: false }))
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/')
}

/// Numbers and words as they are; in quotes everything is text.
fn typed(value: &str, is_quoted: bool) -> Fact<'_> {
    if is_quoted {
        return Fact::Escaped(value);
    }
    let may_be_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    // A leading zero is part of an id.
    let has_zero = value.len() > 1 && value.starts_with('0') && !value.starts_with("0.");
    if may_be_number && !has_zero && value.len() < 20 {
        if let Ok(number) = value.parse() {
            return Fact::Integer(number);
        }
        if let Ok(number) = value.parse::<f64>()
            && number.is_finite()
            && value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
        {
            return Fact::Float(number);
        }
    }
    Fact::Text(value)
}
