//! What is checked in one pass over a query before anything recursive reads it.

use super::error::{Failure, SyntaxError};

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 8 << 10;
/// Levels of parentheses.
pub const NESTING_MAX: usize = 64;
/// Words, phrases, comparisons and ranges of a query.
pub const CLAUSES_MAX: usize = 256;

/// Checks [`QUERY_BYTES_MAX`], [`NESTING_MAX`] and [`CLAUSES_MAX`].
pub(super) fn check(text: &str) -> Result<(), SyntaxError> {
    let failed = |rest: &str, message| Err(Failure::at(rest, message, &[]).into_syntax_error(text));
    if text.len() > QUERY_BYTES_MAX {
        let rest = &text[text.floor_char_boundary(QUERY_BYTES_MAX)..];
        let found = text.len();
        return failed(
            rest,
            format!("the query has {found} bytes, at most {QUERY_BYTES_MAX} are read"),
        );
    }
    let mut counts = Counts::default();
    for (place, c) in text.char_indices() {
        counts.see(c);
        if counts.nesting > NESTING_MAX {
            return failed(
                &text[place..],
                format!("parentheses are nested more than {NESTING_MAX} deep"),
            );
        }
        if counts.clauses > CLAUSES_MAX {
            return failed(
                &text[place..],
                format!("the query has more than {CLAUSES_MAX} conditions"),
            );
        }
    }
    Ok(())
}

/// A rough reading of the text: quotes, parentheses, and words that are not operators.
#[derive(Debug, Default)]
struct Counts {
    nesting: usize,
    clauses: usize,
    is_quoted: bool,
    is_escaped: bool,
    previous: Option<char>,
    /// Letters of the word at hand that may still turn out to be an operator.
    word: Word,
}

#[derive(Debug, Default)]
enum Word {
    #[default]
    None,
    /// It can still be `AND`, `OR`, `NOT`, `TO`, `-` or `|`.
    MaybeOperator(String),
    Counted,
}

impl Counts {
    fn see(&mut self, c: char) {
        let previous = self.previous.replace(c);
        if self.is_quoted {
            match c {
                _ if self.is_escaped => self.is_escaped = false,
                '\\' => self.is_escaped = true,
                '"' => self.is_quoted = false,
                _ => {}
            }
            return;
        }
        match c {
            '"' => {
                self.is_quoted = true;
                // The quotes of `field:"a"` belong to a word that counts already.
                if !previous.is_some_and(|c| ":~<>=[{".contains(c)) {
                    self.word = Word::None;
                }
                self.count();
            }
            '(' | ')' => {
                self.end_word();
                self.nesting =
                    if c == '(' { self.nesting + 1 } else { self.nesting.saturating_sub(1) };
            }
            '|' => self.end_word(),
            c if c.is_whitespace() => self.end_word(),
            c => self.letter(c),
        }
    }

    fn letter(&mut self, c: char) {
        match &mut self.word {
            Word::Counted => {}
            Word::None => self.word = Word::MaybeOperator(c.to_string()),
            Word::MaybeOperator(letters) => letters.push(c),
        }
        if let Word::MaybeOperator(letters) = &self.word
            && !OPERATORS.iter().any(|operator| operator.starts_with(letters.as_str()))
        {
            self.count();
        }
    }

    fn count(&mut self) {
        if !matches!(self.word, Word::Counted) {
            self.clauses += 1;
            self.word = Word::Counted;
        }
    }

    fn end_word(&mut self) {
        if let Word::MaybeOperator(letters) = &self.word
            && !OPERATORS.contains(&letters.as_str())
        {
            self.clauses += 1;
        }
        self.word = Word::None;
    }
}

const OPERATORS: [&str; 5] = ["AND", "OR", "NOT", "TO", "-"];
