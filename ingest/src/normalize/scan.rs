//! Reading JSON text (RFC 8259) without building anything.
//!
//! Input: text and an offset. Output: where a literal ends, and what it says. Strict in its grammar,
//! with two liberties that real senders take: control characters inside strings are taken as they
//! are, and the `NaN` and `Infinity` of Python count as numbers out of range. Never recurses deeper
//! than [`DEPTH_MAX`]: what lies deeper is passed over as one value.

use std::fmt;

/// Objects and arrays inside each other (security requirement: nesting 64).
pub(crate) const DEPTH_MAX: usize = 64;

/// Why text is not the JSON that was expected, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Bytes before the place.
    pub(crate) offset: usize,
    pub(crate) problem: Problem,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Something else should stand there.
    Expected(&'static str),
    /// The text ends before the value does.
    Incomplete,
    /// A value, but no object.
    NotAnObject,
}

impl Problem {
    /// The code of a dead letter.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Expected(_) | Self::Incomplete => "invalid_json",
            Self::NotAnObject => "not_an_object",
        }
    }
}

/// The reason as a sender reads it; columns are bytes from 1 on.
impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.offset + 1;
        match self.problem {
            Problem::Expected(what) => write!(f, "expected {what} at column {column}"),
            Problem::Incomplete => write!(f, "the value is not finished at column {column}"),
            Problem::NotAnObject => write!(f, "expected an object at column {column}"),
        }
    }
}

/// A string literal: what stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) has_escapes: bool,
}

/// What a number literal says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// It fits none of these types.
    OutOfRange,
}

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    pub(crate) pos: usize,
    /// A value was passed over that has more than [`DEPTH_MAX`] levels.
    pub(crate) was_deep: bool,
    /// A line break inside a string is an error: it shows where a broken line ends.
    refuses_line_breaks: bool,
}

impl<'t> Scanner<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self { text, pos: 0, was_deep: false, refuses_line_breaks: false }
    }

    /// Starts at `pos`; a line break inside a string is an error.
    pub(crate) const fn over_lines(text: &'t str, pos: usize) -> Self {
        Self { text, pos, was_deep: false, refuses_line_breaks: true }
    }

    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes().get(self.pos).copied()
    }

    #[inline]
    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    pub(crate) fn expected(&self, what: &'static str) -> Malformed {
        let problem =
            if self.pos >= self.text.len() { Problem::Incomplete } else { Problem::Expected(what) };
        Malformed { offset: self.pos, problem }
    }

    /// Takes `byte`, or says that `what` was expected.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() == Some(byte) {
            self.pos += 1;
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    /// Takes the string that begins here with its quote.
    #[inline]
    pub(crate) fn string(&mut self, what: &'static str) -> Result<Literal, Malformed> {
        self.take(b'"', what)?;
        let start = self.pos;
        let mut has_escapes = false;
        loop {
            let Some(at) = find_quote_or_backslash(self.bytes(), self.pos) else {
                return Err(self.unfinished_string(start));
            };
            if self.bytes()[at] == b'"' {
                self.pos = at + 1;
                if self.refuses_line_breaks
                    && let Some(offset) = memchr::memchr(b'\n', &self.bytes()[start..at])
                {
                    let problem = Problem::Expected("`\"`");
                    return Err(Malformed { offset: start + offset, problem });
                }
                return Ok(Literal { start, end: at, has_escapes });
            }
            has_escapes = true;
            self.pos = at;
            self.escape()?;
        }
    }

    fn unfinished_string(&self, start: usize) -> Malformed {
        if self.refuses_line_breaks
            && let Some(offset) = memchr::memchr(b'\n', &self.bytes()[start..])
        {
            return Malformed { offset: start + offset, problem: Problem::Expected("`\"`") };
        }
        Malformed { offset: self.text.len(), problem: Problem::Incomplete }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.pos += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 1,
            Some(b'u') => {
                for _ in 0..4 {
                    self.pos += 1;
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.expected("four hexadecimal digits"));
                    }
                }
                self.pos += 1;
            }
            _ => return Err(self.expected("an escape such as `\\n`")),
        }
        Ok(())
    }

    /// Takes the number that begins here.
    pub(crate) fn number(&mut self) -> Result<(Number, &'t str), Malformed> {
        let start = self.pos;
        let is_negative = self.peek() == Some(b'-');
        if is_negative {
            self.pos += 1;
        }
        if self.peek() == Some(b'I') {
            self.keyword("Infinity")?;
            return Ok((Number::OutOfRange, &self.text[start..self.pos]));
        }
        let digits_start = self.pos;
        let mut magnitude: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.pos += 1;
        }
        let digits = self.pos - digits_start;
        if digits == 0 {
            return Err(self.expected("a value"));
        }
        if digits > 1 && self.bytes()[digits_start] == b'0' {
            self.pos = digits_start + 1;
            return Err(self.expected("`,` or the end of the value"));
        }
        if let Some(b'.' | b'e' | b'E') = self.peek() {
            self.fraction_and_exponent()?;
            let literal = &self.text[start..self.pos];
            let number = match literal.parse::<f64>() {
                Ok(value) if value.is_finite() => Number::Float(value),
                _ => Number::OutOfRange,
            };
            return Ok((number, literal));
        }
        let literal = &self.text[start..self.pos];
        // 19 digits fit a u64 whatever they are.
        let number = match (digits <= 19, is_negative) {
            (true, false) => match i64::try_from(magnitude) {
                Ok(value) => Number::Signed(value),
                Err(_) => Number::Unsigned(magnitude),
            },
            (true, true) => {
                0i64.checked_sub_unsigned(magnitude).map_or(Number::OutOfRange, Number::Signed)
            }
            (false, _) => literal.parse().map_or(Number::OutOfRange, Number::Unsigned),
        };
        Ok((number, literal))
    }

    fn fraction_and_exponent(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.pos;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
        if self.pos == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    /// Takes `word`.
    pub(crate) fn keyword(&mut self, word: &'static str) -> Result<(), Malformed> {
        let rest = &self.bytes()[self.pos..];
        if rest.starts_with(word.as_bytes()) {
            self.pos += word.len();
            Ok(())
        } else if word.as_bytes().starts_with(rest) {
            Err(Malformed { offset: self.text.len(), problem: Problem::Incomplete })
        } else {
            Err(self.expected("a value"))
        }
    }

    /// Takes the value that begins here, of any kind; `depth` levels are open around it.
    pub(crate) fn skip_value(&mut self, depth: usize) -> Result<&'t str, Malformed> {
        let start = self.pos;
        match self.peek() {
            Some(b'{' | b'[') if depth >= DEPTH_MAX => self.skip_deep()?,
            Some(b'{') => self.skip_object(depth + 1)?,
            Some(b'[') => self.skip_array(depth + 1)?,
            _ => self.skip_scalar()?,
        }
        Ok(&self.text[start..self.pos])
    }

    fn skip_scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string("a value").map(drop),
            Some(b't') => self.keyword("true"),
            Some(b'f') => self.keyword("false"),
            Some(b'n') => self.keyword("null"),
            Some(b'N') => self.keyword("NaN"),
            _ => self.number().map(drop),
        }
    }

    /// Takes an object or array with as many levels as it likes: it is not recursed into.
    fn skip_deep(&mut self) -> Result<(), Malformed> {
        self.was_deep = true;
        // The brackets that close what is open.
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.pos += 1;
                    self.skip_whitespace();
                    let closing = if bracket == b'{' { b'}' } else { b']' };
                    if self.peek() == Some(closing) {
                        self.pos += 1;
                    } else {
                        self.skip_key_in(closing)?;
                        open.push(closing);
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            while let Some(closing) = open.last() {
                let ends = if *closing == b'}' { self.ends_object()? } else { self.ends_array()? };
                if !ends {
                    self.skip_whitespace();
                    self.skip_key_in(*closing)?;
                    break;
                }
                open.pop();
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes what stands before a value: a key, in an object.
    fn skip_key_in(&mut self, closing: u8) -> Result<(), Malformed> {
        if closing == b'}' {
            self.string("a key in quotes")?;
            self.skip_whitespace();
            self.take(b':', "`:`")?;
            self.skip_whitespace();
        }
        Ok(())
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), Malformed> {
        self.pos += 1;
        self.skip_whitespace();
        if self.peek() == Some(b'}') {
            self.pos += 1;
            return Ok(());
        }
        loop {
            self.skip_whitespace();
            self.skip_key_in(b'}')?;
            self.skip_value(depth)?;
            if self.ends_object()? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), Malformed> {
        self.pos += 1;
        self.skip_whitespace();
        if self.peek() == Some(b']') {
            self.pos += 1;
            return Ok(());
        }
        loop {
            self.skip_whitespace();
            self.skip_value(depth)?;
            if self.ends_array()? {
                return Ok(());
            }
        }
    }

    /// After a member: takes `,` (false) or `}` (true).
    #[inline]
    pub(crate) fn ends_object(&mut self) -> Result<bool, Malformed> {
        self.ends(b'}', "`,` or `}`")
    }

    /// After an item: takes `,` (false) or `]` (true).
    #[inline]
    pub(crate) fn ends_array(&mut self) -> Result<bool, Malformed> {
        self.ends(b']', "`,` or `]`")
    }

    #[inline]
    fn ends(&mut self, closing: u8, what: &'static str) -> Result<bool, Malformed> {
        self.skip_whitespace();
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(false)
            }
            Some(byte) if byte == closing => {
                self.pos += 1;
                Ok(true)
            }
            _ => Err(self.expected(what)),
        }
    }
}

/// The first `"` or `\` from `at` on, eight bytes at a time: most strings are too short for the
/// set-up of a longer search to pay.
#[inline]
fn find_quote_or_backslash(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
        // A byte's high bit is set where it was zero; false hits only lie above a true one.
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash))
            & HIGHS;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|offset| at + offset)
}

/// Appends what the `literal`, whose escapes were checked, says. True when a lone surrogate had to
/// be replaced.
pub(crate) fn unescape(literal: &str, out: &mut String) -> bool {
    let mut rest = literal;
    let mut was_replaced = false;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut taken = at + 2;
        out.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (decoded, length) = unescape_unicode(&rest[at..]);
                taken = at + length;
                was_replaced |= decoded.is_none();
                decoded.unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        });
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    was_replaced
}

/// The character of `\uXXXX` or of a surrogate pair at the start of `text`, and its length.
fn unescape_unicode(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let escaped = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escaped, 16).ok()
    };
    let Some(first) = unit(0) else { return (None, 2) };
    if let Some(single) = char::from_u32(first) {
        return (Some(single), 6);
    }
    match unit(6) {
        Some(second) if (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second) => {
            let point = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            (char::from_u32(point), 12)
        }
        _ => (None, 6),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let mut scanner = Scanner::new(text);
        let said = match scanner.skip_value(0) {
            Ok(value) => format!("{} of {}", value.len(), text.len()),
            Err(malformed) => malformed.to_string(),
        };
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn a_value_ends_where_the_grammar_says() {
        check(r#"{"a":[1,-2.5e+3,true,null,"x\"y"],"b":{}} rest"#, "41 of 46");
        check("[ ]", "3 of 3");
        check("NaN", "3 of 3");
        check("-Infinity", "9 of 9");
    }

    #[test]
    fn a_broken_value_names_column_and_expectation() {
        check(r#"{"a":1 "b":2}"#, "expected `,` or `}` at column 8");
        check(r#"{"a":01}"#, "expected `,` or the end of the value at column 7");
        check(r#"{a:1}"#, "expected a key in quotes at column 2");
        check(r#"{"a":1,}"#, "expected a key in quotes at column 8");
        check(r#"["a\x"]"#, "expected an escape such as `\\n` at column 5");
        check(r#"["\u12g4"]"#, "expected four hexadecimal digits at column 7");
        check(r#"{"a":"#, "the value is not finished at column 6");
        check("tru", "the value is not finished at column 4");
        check("trux", "expected a value at column 1");
        check("1.x", "expected a digit at column 3");
        check(&"[".repeat(100_000), "the value is not finished at column 100001");
    }

    #[test]
    fn what_is_deep_is_passed_over_as_strictly() {
        let check_in = |inner: &str, expected: &str| {
            let (open, close) = (r#"[{"a":"#.repeat(500), "}]".repeat(500));
            let text = format!("{open}{inner}{close} rest");
            let place = |offset: usize| offset.saturating_sub(open.len());
            let mut scanner = Scanner::new(&text);
            let said = match scanner.skip_value(0) {
                Ok(value) => format!("{} {}", value.len() == text.len() - 5, scanner.was_deep),
                Err(malformed) => {
                    Malformed { offset: place(malformed.offset), ..malformed }.to_string()
                }
            };
            assert_eq!(said, expected, "{inner}");
        };
        check_in(r#" {"b" : [1 , "]"], "c":{ },"d":[ ]} "#, "true true");
        check_in(r#"{"b":1,}"#, "expected a key in quotes at column 8");
        check_in(r#"{"b":1]"#, "expected `,` or `}` at column 7");
        check_in("[1}", "expected `,` or `]` at column 3");
        check_in("[1,]", "expected a value at column 4");
        check_in("[", "expected a value at column 2");
    }

    #[test]
    fn numbers_keep_their_type_or_say_that_they_cannot() {
        let number = |text: &str| Scanner::new(text).number().map(|(number, _)| number);
        assert_eq!(number("-9223372036854775808"), Ok(Number::Signed(i64::MIN)));
        assert_eq!(number("-9223372036854775809"), Ok(Number::OutOfRange));
        assert_eq!(number("18446744073709551615"), Ok(Number::Unsigned(u64::MAX)));
        assert_eq!(number("18446744073709551616"), Ok(Number::OutOfRange));
        assert_eq!(number("1e400"), Ok(Number::OutOfRange));
        assert_eq!(number("0.5"), Ok(Number::Float(0.5)));
    }

    #[test]
    fn escapes_become_what_they_say() {
        let mut out = String::new();
        assert!(!unescape(r#"a\n\u0000\ud83d\ude00\/"#, &mut out));
        assert_eq!(out, "a\n\0😀/");
        out.clear();
        assert!(unescape(r"\ud83d!\udc00", &mut out));
        assert_eq!(out, "\u{FFFD}!\u{FFFD}");
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_writes(text in "\\PC{0,40}", number in any::<f64>(), whole in any::<i64>()) {
            let value = serde_json::json!({"k": text, "n": [number, whole], "o": {"": null}});
            let written = value.to_string();
            let mut scanner = Scanner::new(&written);
            prop_assert_eq!(scanner.skip_value(0), Ok(written.as_str()));
            let quoted = serde_json::to_string(&text).expect("text is JSON");
            let mut out = String::new();
            unescape(&quoted[1..quoted.len() - 1], &mut out);
            prop_assert_eq!(out, text);
        }

        #[test]
        fn every_text_is_survived(text in "[\\[\\]{}\",:\\\\u0-9a-f\\-. etrnN]{0,60}") {
            let shallow = Scanner::new(&text).skip_value(0);
            let mut deep = Scanner::new(&text);
            prop_assert_eq!(deep.skip_value(DEPTH_MAX), shallow);
            let is_open = matches!(text.as_bytes().first(), Some(b'{' | b'['));
            prop_assert_eq!(deep.was_deep, is_open);
            let _ = Scanner::over_lines(&text, 0).skip_value(0);
            unescape(&text, &mut String::new());
        }
    }
}
