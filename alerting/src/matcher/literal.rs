//! What a test comes down to in one pass over a value in lower case: a literal at a place.
//!
//! Input: a test. Output: a literal that is the whole truth of it, one without which it cannot pass,
//! or neither. Texts whose lower case depends on the letters around them (a Greek final sigma) are
//! never cut into literals.

use std::net::IpAddr;

use logwarden_query::Test;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Whole numbers up to this are the same as floats and as integers.
const EXACT_FLOAT_MAX: i128 = 1 << 53;

/// Where in a value a literal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Anchor {
    /// It is the whole value.
    Whole,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Anywhere.
    Inside,
}

/// What is looked for, in lower case, not empty unless it is the whole value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Literal {
    pub anchor: Anchor,
    pub text: String,
}

/// How a test is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It passes exactly when the literal is found.
    Literal(Literal),
    /// It passes only when the literal is found; then the test is asked.
    Hint(Literal),
    /// It passes when there is a value.
    Present,
    /// It passes when there is none.
    Absent,
    /// Only the test itself can say, one value at a time.
    Itself,
    /// It needs more than a value.
    Whole,
}

/// How `test` is judged.
pub(super) fn judgement(test: &Test) -> Judgement {
    let literal = |anchor, text: &str, cased: bool| {
        let is_empty = text.is_empty() && anchor != Anchor::Whole;
        if is_empty || (cased && text.contains('Σ')) {
            return Judgement::Itself;
        }
        let literal = Literal { anchor, text: text.to_lowercase() };
        if cased { Judgement::Hint(literal) } else { Judgement::Literal(literal) }
    };
    match test {
        Test::Exists => Judgement::Present,
        Test::IsNull => Judgement::Absent,
        Test::Present | Test::SameAs { .. } => Judgement::Whole,
        Test::Equals { text, .. } if !is_plain(text) => Judgement::Itself,
        // A number or an address passes by what it is, whatever the case of letters.
        Test::Equals { text, cased } => literal(Anchor::Whole, text, *cased),
        Test::StartsWith { text, cased } => literal(Anchor::Start, text, *cased),
        Test::EndsWith { text, cased } => literal(Anchor::End, text, *cased),
        Test::Contains { text, cased } => literal(Anchor::Inside, text, *cased),
        Test::Like { pattern, .. } => hint(longest_piece(pattern)),
        Test::Regex(regex) => hint(required_text(regex.as_str())),
        _ => Judgement::Itself,
    }
}

fn hint(text: Option<String>) -> Judgement {
    let usable = text.filter(|text| !text.is_empty() && !text.contains(['Σ', 'σ', 'ς']));
    usable.map_or(Judgement::Itself, |text| {
        Judgement::Hint(Literal { anchor: Anchor::Inside, text: text.to_lowercase() })
    })
}

/// Whether a value that equals this text always reads as this text: numbers and addresses can be
/// written in several ways.
fn is_plain(text: &str) -> bool {
    let trimmed = text.trim();
    if let Ok(number) = trimmed.parse::<i128>() {
        return number.abs() <= EXACT_FLOAT_MAX && number.to_string() == text;
    }
    if let Ok(number) = trimmed.parse::<f64>() {
        return number.to_string() == text || !number.is_finite();
    }
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string() == text,
        Err(_) => true,
    }
}

/// The longest run of characters between the wildcards of a pattern.
fn longest_piece(pattern: &str) -> Option<String> {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let literal = match c {
            '*' | '?' => {
                pieces.push(String::new());
                continue;
            }
            '\\' => chars.next_if(|next| ['*', '?', '\\'].contains(next)).unwrap_or('\\'),
            other => other,
        };
        if let Some(piece) = pieces.last_mut() {
            piece.push(literal);
        }
    }
    pieces.into_iter().max_by_key(String::len)
}

/// A text that stands in everything the expression finds, letter case aside.
fn required_text(expression: &str) -> Option<String> {
    let hir = regex_syntax::parse(expression).ok()?;
    let mut pieces = vec![String::new()];
    collect(&hir, &mut pieces);
    pieces.into_iter().max_by_key(String::len)
}

/// Appends what must stand there to the last piece; begins a new one after anything else. The
/// recursion is as deep as the expression, whose nesting was bounded when it was read.
fn collect(hir: &Hir, pieces: &mut Vec<String>) {
    let append = |text: &str, pieces: &mut Vec<String>| {
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(text);
        }
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => append(text, pieces),
            Err(_) => pieces.push(String::new()),
        },
        HirKind::Class(class) => match one_letter(class) {
            Some(letter) => append(letter.encode_utf8(&mut [0; 4]), pieces),
            None => pieces.push(String::new()),
        },
        HirKind::Capture(capture) => collect(&capture.sub, pieces),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, pieces)),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            collect(&repetition.sub, pieces);
            pieces.push(String::new());
        }
        HirKind::Repetition(_) | HirKind::Alternation(_) => pieces.push(String::new()),
    }
}

/// The lower-case letter that all members of a class become.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut letter = None;
    for range in class.ranges() {
        if u32::from(range.end()) - u32::from(range.start()) > 1 {
            return None;
        }
        for member in [range.start(), range.end()] {
            let mut lower = member.to_lowercase();
            let (Some(first), None) = (lower.next(), lower.next()) else { return None };
            if *letter.get_or_insert(first) != first {
                return None;
            }
        }
    }
    letter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: Test, expected: &str) {
        let show = |literal: Literal| format!("{:?} {}", literal.anchor, literal.text);
        let found = match judgement(&test) {
            Judgement::Literal(literal) => show(literal),
            Judgement::Hint(literal) => format!("hint {}", show(literal)),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{test:?}");
    }

    fn equals(text: &str) -> Test {
        Test::Equals { text: text.to_owned(), cased: false }
    }

    #[test]
    fn what_can_be_written_in_several_ways_is_no_literal() {
        check(equals("Root"), "Whole root");
        check(equals("4624"), "Whole 4624");
        check(equals("0.5"), "Whole 0.5");
        check(equals("10.2.0.9"), "Whole 10.2.0.9");
        for text in ["007", " 5", "5e2", "9007199254740993", "::ffff:10.2.0.9", "0.50", "-0"] {
            check(equals(text), "Itself");
        }
        check(Test::Equals { text: "Ab".into(), cased: true }, "hint Whole ab");
        check(Test::Contains { text: String::new(), cased: false }, "Itself");
    }

    #[test]
    fn patterns_and_expressions_give_their_longest_certain_part() {
        check(Test::like(r"*\Temp\\*.exe", false).expect("valid"), r"hint Inside \temp\");
        check(Test::like("a?b", true).expect("valid"), "hint Inside b");
        check(Test::like("a?Σσ", true).expect("valid"), "Itself");
        check(Test::regex("^(?:x+)Power[0-9]{2}SHEL$").expect("valid"), "hint Inside power");
        check(Test::regex("(?i)abtk").expect("valid"), "hint Inside abtk");
        check(Test::regex("ab|cd").expect("valid"), "Itself");
        check(Test::regex("(?:ab)?c*").expect("valid"), "Itself");
    }
}
