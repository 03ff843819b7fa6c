//! Patterns a person writes: regular expressions and wildcards, bounded before they run.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::Test;

/// Bytes a compiled expression may take.
pub const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;
/// How often a wide part such as `.` or `\w` may be counted, as in `.{20}`. Each count doubles the
/// states a search may have to tell apart.
pub const WIDE_REPETITION_MAX: u32 = 24;
/// Levels of groups in an expression.
const REGEX_NESTING_MAX: u32 = 64;
/// Characters from which a class counts as wide; hexadecimal and decimal digits are far below.
const WIDE_CHARACTERS_MIN: u64 = 1_000;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not one.
    #[error("regular expression is malformed: {0}")]
    Malformed(String),
    /// It would take too much memory or time.
    #[error("regular expression is too large: {0}")]
    TooLarge(String),
}

impl Test {
    /// The test that `pattern` (syntax of the `regex` crate, case heeded unless it begins with
    /// `(?i)`) is found anywhere in the value.
    ///
    /// # Errors
    ///
    /// [`PatternError`] when it is malformed, compiles to more than [`REGEX_SIZE_BYTES_MAX`] or
    /// counts a wide part more than [`WIDE_REPETITION_MAX`] times.
    pub fn regex(pattern: &str) -> Result<Self, PatternError> {
        let mut parser = regex_syntax::ParserBuilder::new().nest_limit(REGEX_NESTING_MAX).build();
        let parsed = parser.parse(pattern).map_err(|error| {
            PatternError::Malformed(error.to_string().lines().last().unwrap_or_default().to_owned())
        })?;
        check_repetitions(&parsed)?;
        Ok(Self::Regex(Arc::new(compile(pattern)?)))
    }

    /// The test that the whole value is like `pattern`: `*` is any run, `?` any one character; `\*`,
    /// `\?` and `\\` are the characters themselves, any other backslash too.
    ///
    /// # Errors
    ///
    /// [`PatternError::TooLarge`] when it compiles to more than [`REGEX_SIZE_BYTES_MAX`].
    pub fn like(pattern: &str, cased: bool) -> Result<Self, PatternError> {
        let lowered = if cased { pattern.to_owned() } else { pattern.to_lowercase() };
        let regex = Arc::new(compile(&like_expression(&lowered))?);
        Ok(Self::Like { regex, pattern: pattern.to_owned(), cased })
    }
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_BYTES_MAX)
        .dfa_size_limit(REGEX_SIZE_BYTES_MAX)
        .nest_limit(REGEX_NESTING_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                PatternError::TooLarge(format!("it needs more than {REGEX_SIZE_BYTES_MAX} bytes"))
            }
            error => PatternError::Malformed(
                error.to_string().lines().last().unwrap_or_default().to_owned(),
            ),
        })
}

/// Refuses counted repetitions of wide parts. The recursion is bounded by [`REGEX_NESTING_MAX`].
fn check_repetitions(hir: &Hir) -> Result<(), PatternError> {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(0).max(repetition.min);
            if times > WIDE_REPETITION_MAX && is_wide(&repetition.sub) {
                return Err(PatternError::TooLarge(format!(
                    "it counts a part that matches nearly everything {times} times, at most \
                     {WIDE_REPETITION_MAX} are allowed; use `*` or name fewer characters, such as \
                     `[0-9a-z]`"
                )));
            }
            check_repetitions(&repetition.sub)
        }
        HirKind::Capture(capture) => check_repetitions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().try_for_each(check_repetitions)
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => Ok(()),
    }
}

/// Whether a part of it matches nearly every character.
fn is_wide(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            let characters = |range: &regex_syntax::hir::ClassUnicodeRange| {
                u64::from(u32::from(range.end()) - u32::from(range.start())) + 1
            };
            class.iter().map(characters).sum::<u64>() >= WIDE_CHARACTERS_MIN
        }
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = |range: &regex_syntax::hir::ClassBytesRange| {
                u64::from(range.end() - range.start()) + 1
            };
            class.iter().map(bytes).sum::<u64>() > 100
        }
        HirKind::Repetition(repetition) => is_wide(&repetition.sub),
        HirKind::Capture(capture) => is_wide(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(is_wide),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => false,
    }
}

/// The expression of a pattern with `*` and `?`, anchored.
pub(crate) fn like_expression(pattern: &str) -> String {
    let mut expression = String::from(r"(?s)\A");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '\\' => {
                let literal = chars.next_if(|next| ['*', '?', '\\'].contains(next)).unwrap_or('\\');
                expression.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
            }
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push_str(r"\z");
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_and_usual_expressions_are_not() {
        for bomb in [".*a.{30}", r"\w{40}", "(.{5}x){30}", "((a{100}){100}){100}", "(.{0,30})*"] {
            assert!(matches!(Test::regex(bomb), Err(PatternError::TooLarge(_))), "{bomb}");
        }
        for fine in [
            "[0-9a-f]{64}",
            r"^sshd\[\d+\]: Failed .{1,20} from",
            r"(?i)invoke-\w+",
            r"\d{1,3}\.\d",
        ] {
            assert!(Test::regex(fine).is_ok(), "{fine}");
        }
        let deep = "(".repeat(4_000) + &")".repeat(4_000);
        assert!(matches!(Test::regex(&deep), Err(PatternError::Malformed(_))));
        assert!(matches!(Test::regex("a("), Err(PatternError::Malformed(_))));
    }

    #[test]
    fn wildcards_stand_for_runs_and_single_characters() {
        let like = |pattern: &str, text: &str| {
            let Ok(Test::Like { regex, .. }) = Test::like(pattern, true) else { return false };
            regex.is_match(text)
        };
        assert!(like("*\\cmd.exe", r"C:\Windows\cmd.exe"));
        assert!(like(r"a\*b?", "a*bc"));
        assert!(!like(r"a\*b?", "axbc"));
        assert!(like("a*b", "a\nb"));
        assert!(!like("a.c", "abc"));
    }
}
