//! Records as HTML forms: what `logging.handlers.HTTPHandler` of Python sends.
//!
//! Input: a form of one record. Output: one JSON object with the form's names and values, of which
//! `message` is the text that the program logged: Python sends the format and its arguments apart.
//! A format that asks for what is not there stays as it is.

use super::members::Object;

/// Longest field that a format may ask for.
const WIDTH_MAX: usize = 1_000;
/// Longest text that a format may grow to; beyond, it stays as it is.
const FILLED_BYTES_MAX: usize = 1 << 20;

/// The record of a form, as a JSON object.
pub(super) fn object_of(form: &[u8]) -> String {
    let mut object = Object::default();
    let (mut format, mut arguments) = (None, None);
    for (name, value) in form_urlencoded::parse(form) {
        match &*name {
            // Python's word for nothing.
            _ if value == "None" => continue,
            "msg" => format = Some(value.clone()),
            "args" => arguments = items_of(&value),
            // What the record calls its logger.
            "name" => object.put_text("logger", &value),
            _ => {}
        }
        object.put_text(&name, &value);
    }
    if let (Some(format), Some(arguments)) = (format, arguments)
        && let Some(message) = filled(&format, &arguments)
    {
        object.put_text("message", &message);
    }
    object.finish()
}

/// One argument: what it reads as, and how Python writes it.
#[derive(Debug, PartialEq)]
struct Argument {
    text: String,
    written: String,
}

/// The items of a tuple as `repr` writes it, such as `('ann', 5)`.
fn items_of(tuple: &str) -> Option<Vec<Argument>> {
    let inner = tuple.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let (argument, after) = item(rest)?;
        items.push(argument);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(items)
}

/// The item at the start of `text`, and what follows it.
fn item(text: &str) -> Option<(Argument, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let Some(quote) = quote else {
        let end = end_of(text)?;
        let written = text[..end].trim_end().to_owned();
        return Some((Argument { text: written.clone(), written }, &text[end..]));
    };
    let mut said = String::new();
    let mut letters = text.char_indices().skip(1);
    loop {
        match letters.next()? {
            (at, letter) if letter == quote => {
                let end = at + 1;
                let written = text[..end].to_owned();
                return Some((Argument { text: said, written }, &text[end..]));
            }
            (_, '\\') => match letters.next()?.1 {
                'n' => said.push('\n'),
                'r' => said.push('\r'),
                't' => said.push('\t'),
                kind @ ('x' | 'u' | 'U') => {
                    let digits = match kind {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let number: String = letters.by_ref().take(digits).map(|(_, c)| c).collect();
                    said.push(char::from_u32(u32::from_str_radix(&number, 16).ok()?)?);
                }
                other => said.push(other),
            },
            (_, letter) => said.push(letter),
        }
    }
}

/// Where an item that is no text ends: before the comma that is in no bracket and no text.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => return Some(at),
            '\'' | '"' => loop {
                match letters.next()?.1 {
                    '\\' => {
                        letters.next()?;
                    }
                    other if other == letter => break,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    Some(text.len())
}

/// The format with its arguments put in, as Python's `%` does; nothing when they do not fit.
fn filled(format: &str, arguments: &[Argument]) -> Option<String> {
    if arguments.is_empty() {
        return Some(format.to_owned());
    }
    let mut out = String::with_capacity(format.len());
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (placed, after) = place(after, arguments.next()?)?;
        out.push_str(&placed);
        rest = after;
        if out.len() > FILLED_BYTES_MAX {
            return None;
        }
    }
    out.push_str(rest);
    arguments.next().is_none().then_some(out)
}

/// One argument by the conversion at the start of `text`, and what follows that.
fn place<'t>(text: &'t str, argument: &Argument) -> Option<(String, &'t str)> {
    let flags_end = text.find(|c: char| !matches!(c, '-' | '+' | ' ' | '0' | '#'))?;
    let (flags, rest) = text.split_at(flags_end);
    let width_end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (width, mut rest) = rest.split_at(width_end);
    let mut precision = None;
    if let Some(after) = rest.strip_prefix('.') {
        let end = after.find(|c: char| !c.is_ascii_digit())?;
        precision = Some(bounded(&after[..end])?);
        rest = &after[end..];
    }
    let conversion = rest.chars().next()?;
    let placed = match conversion {
        's' => argument.text.chars().take(precision.unwrap_or(usize::MAX)).collect(),
        'r' | 'a' => argument.written.clone(),
        'd' | 'i' | 'u' => argument.text.parse::<f64>().ok()?.trunc().to_string(),
        'f' | 'F' => {
            format!("{:.*}", precision.unwrap_or(6), argument.text.parse::<f64>().ok()?)
        }
        'x' => format!("{:x}", argument.text.parse::<i64>().ok()?),
        _ => return None,
    };
    let placed = match (conversion, argument.text.parse::<i128>()) {
        // No digit of a large number is lost.
        ('d' | 'i' | 'u', Ok(whole)) => whole.to_string(),
        _ => placed,
    };
    let width = bounded(width)?;
    let placed = if flags.contains('-') {
        format!("{placed:<width$}")
    } else if flags.contains('0') {
        format!("{placed:0>width$}")
    } else {
        format!("{placed:>width$}")
    };
    Some((placed, &rest[conversion.len_utf8()..]))
}

fn bounded(digits: &str) -> Option<usize> {
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (number <= WIDTH_MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(format: &str, arguments: &str, expected: &str) {
        let filled = items_of(arguments).and_then(|arguments| filled(format, &arguments));
        assert_eq!(filled.as_deref().unwrap_or("-"), expected, "{format} % {arguments}");
    }

    #[test]
    fn a_format_is_filled_as_python_does() {
        check("user %s paid %d of %s", "('ann', 5, None)", "user ann paid 5 of None");
        check(
            "%r %.2f %5d|%-4s|%03d%%",
            r#"("it's\n", 1.005, 7, 'ab', 9)"#,
            "\"it's\\n\" 1.00     7|ab  |009%",
        );
        check("%s", r"('caf\xe9 \'x\'',)", "café 'x'");
        check("%s %s", "({'a': (1, 2)}, [3, 'x,y'])", "{'a': (1, 2)} [3, 'x,y']");
        check("%d", "(9007199254740993,)", "9007199254740993");
        check("100%", "()", "100%");
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        check("%s %s", "('one',)", "-");
        check("%s", "('one', 'two')", "-");
        check("%d", "('x',)", "-");
        check("%(user)s", "{'user': 'ann'}", "-");
        check("%9999999999s", "('x',)", "-");
        check("%", "('x',)", "-");
        check("%s", "('unfinished", "-");
        let many = 2_000;
        check(&"%999d".repeat(many), &format!("({})", "1,".repeat(many)), "-");
    }

    proptest! {
        #[test]
        fn every_text_is_survived(format in "[%sdr.0-9 x-]{0,20}", arguments in "\\(?[\\\\'\"a,()0-9 ]{0,20}\\)?") {
            if let Some(arguments) = items_of(&arguments) {
                filled(&format, &arguments);
            }
        }
    }
}
