//! The smallest parts of a query: names, quoted texts, bare words, operators.

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{recognize, verify};
use nom::{IResult, Parser};

use super::error::Failure;

/// What a parser of this language gives.
pub(super) type Parsed<'a, T> = IResult<&'a str, T, Failure>;

/// Whether a bare word ends before `c`.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|')
}

/// Skips white space.
pub(super) fn skip_space(input: &str) -> &str {
    input.trim_start()
}

/// A word up to white space, a parenthesis, a quote or `|`; at least one letter.
pub(super) fn bare(input: &str) -> Parsed<'_, &str> {
    take_while1(|c| !ends_word(c)).parse(input)
}

/// A field's name without quotes: letters, digits and `_ . - @ / $ + #`, not beginning with a digit
/// or a sign.
pub(super) fn name(input: &str) -> Parsed<'_, &str> {
    let begins = |c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$' | '#');
    verify(take_while1(is_name_letter), move |name: &str| name.starts_with(begins)).parse(input)
}

fn is_name_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '/' | '$' | '+' | '#')
}

/// A quoted text as it is written between its quotes; `\"` does not end it.
pub(super) fn raw_quoted(input: &str) -> Parsed<'_, &str> {
    let (inside, _) = char('"').parse(input)?;
    let mut is_escaped = false;
    for (place, c) in inside.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Ok((&inside[place + 1..], &inside[..place])),
            _ => {}
        }
    }
    Err(Failure::fatal(
        input,
        "this quote is never closed; a backslash before a closing quote is written `\\\\`",
        &["`\"`"],
    ))
}

/// A quoted text. `\"` is a quote and `\\` a backslash; any other backslash is one.
pub(super) fn quoted(input: &str) -> Parsed<'_, String> {
    raw_quoted.map(unescape).parse(input)
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('"' | '\\')) => text.push(next),
                Some(next) => text.extend(['\\', next]),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

/// A quoted text as it must be written to be read as `text`.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The operator `word`, which must stand alone.
pub(super) fn operator<'a>(input: &'a str, word: &str) -> Option<&'a str> {
    let rest = input.strip_prefix(word)?;
    rest.chars().next().is_none_or(ends_word).then_some(rest)
}

/// A word of a pipe in any case, such as `by`; it must stand alone.
pub(super) fn keyword<'a>(input: &'a str, word: &str) -> Option<&'a str> {
    let start = input.get(..word.len())?;
    let rest = &input[word.len()..];
    let is_alone = rest.chars().next().is_none_or(|c| !is_name_letter(c));
    (start.eq_ignore_ascii_case(word) && is_alone).then_some(rest)
}

/// A field's name in a pipe, bare or quoted.
pub(super) fn field(input: &str) -> Parsed<'_, String> {
    if input.starts_with('"') {
        return quoted(input);
    }
    let bare = verify(take_while1(is_name_letter), |name: &str| !name.starts_with(['-', '+']));
    bare.map(str::to_owned).parse(input)
}

/// A column: a field's name, or a function with its field such as `p95(http.duration)`. `count()`
/// is the column `count`.
pub(super) fn column(input: &str) -> Parsed<'_, String> {
    if input.starts_with('"') {
        return quoted(input);
    }
    let call =
        recognize((take_while1(is_name_letter), char('('), take_while(is_name_letter), char(')')));
    let (rest, text) = call.or(take_while1(is_name_letter)).parse(input)?;
    Ok((rest, text.strip_suffix("()").unwrap_or(text).to_owned()))
}

/// A comma with white space around it.
pub(super) fn comma(input: &str) -> Parsed<'_, ()> {
    let (rest, _) = char(',').parse(skip_space(input))?;
    Ok((skip_space(rest), ()))
}

/// The first of these signs that stands here, and what follows it; the longer ones come first.
pub(super) fn sign<'a>(input: &'a str, signs: &[&'static str]) -> Option<(&'a str, &'static str)> {
    signs.iter().find_map(|sign| {
        let matched: Parsed<'a, &str> = tag(*sign).parse(input);
        matched.ok().map(|(rest, _)| (skip_space(rest), *sign))
    })
}
