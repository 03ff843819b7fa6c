//! Cutting a body into JSON documents: lines, objects back to back, pretty-printed ones, arrays.
//!
//! Input: a whole body. Output: each document with its line, or what is wrong there and the bytes
//! that belong to it. A bad line costs itself alone: reading goes on at the next line that begins
//! like a document. Where the body is one array its items are numbered instead of lines.

use std::borrow::Cow;

use crate::listed;
use crate::normalize::scan::{Malformed, Problem, Scanner};

/// Takes what is found in a body.
pub(crate) trait Sink {
    /// Takes one document; [`Malformed`] when it is no object after all.
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed>;

    /// Takes bytes that are no document.
    fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String);

    /// Whether nothing more may be taken.
    fn is_full(&self) -> bool;
}

/// Cuts `body`; stops when the sink is full. Documents are at most `document_bytes_max` long.
pub(crate) fn cut(body: &[u8], document_bytes_max: usize, sink: &mut impl Sink) {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut cutter = Cutter { body, text: None, pos: 0, line: 1, document_bytes_max };
    while cutter.skip_blanks() && !sink.is_full() {
        cutter.next(sink);
    }
}

struct Cutter<'b> {
    body: &'b [u8],
    /// The body as text of the same length, made when it is needed.
    text: Option<Cow<'b, str>>,
    pos: usize,
    line: u64,
    document_bytes_max: usize,
}

impl<'b> Cutter<'b> {
    /// Goes to the next document; false at the end.
    fn skip_blanks(&mut self) -> bool {
        // 0x1E begins each text of a JSON sequence (RFC 7464).
        while let Some(b' ' | b'\t' | b'\r' | b'\n' | 0x1E) = self.body.get(self.pos) {
            self.line += u64::from(self.body[self.pos] == b'\n');
            self.pos += 1;
        }
        self.pos < self.body.len()
    }

    fn next(&mut self, sink: &mut impl Sink) {
        let first = self.body[self.pos];
        let end = self.line_end(self.pos);
        let line = self.body[self.pos..end].trim_ascii_end();
        match first {
            b'{' => {
                let may_be_whole = line.len() <= self.document_bytes_max && line.ends_with(b"}");
                if may_be_whole && sink.take(self.line, line).is_ok() {
                    self.pos = end;
                } else {
                    self.group(sink);
                }
            }
            b'[' => self.array(sink),
            _ => self.no_object(sink, line, end),
        }
    }

    /// The offset of the line break at or after `at`, or the end.
    fn line_end(&self, at: usize) -> usize {
        memchr::memchr(b'\n', &self.body[at..]).map_or(self.body.len(), |offset| at + offset)
    }

    /// Moves on to `pos`, counting lines.
    fn advance(&mut self, pos: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.body[self.pos..pos]).count() as u64;
        self.pos = pos;
    }

    fn scanner(&mut self, pos: usize) -> Scanner<'_> {
        let body = self.body;
        let text = self.text.get_or_insert_with(|| same_length_text(body));
        Scanner::over_lines(text, pos)
    }

    /// Objects back to back or over several lines, up to the end of a line. All or none of them are
    /// taken, so that a line counts once.
    fn group(&mut self, sink: &mut impl Sink) {
        let start = self.pos;
        let mut documents = Vec::new();
        let mut at = start;
        loop {
            let mut scanner = self.scanner(at);
            let found = scanner.skip_value(0).map(drop);
            let end = scanner.pos;
            let malformed = match found {
                Ok(()) => {
                    documents.push(at..end);
                    at = end;
                    while let Some(b' ' | b'\t' | b'\r' | 0x1E) = self.body.get(at) {
                        at += 1;
                    }
                    match self.body.get(at) {
                        None | Some(b'\n') => break,
                        Some(b'{') => continue,
                        Some(_) => {
                            let what = "the end of the line or another object";
                            Malformed { offset: at, problem: Problem::Expected(what) }
                        }
                    }
                }
                Err(malformed) => malformed,
            };
            self.reject_until_next(sink, start, malformed);
            return;
        }
        for document in documents {
            self.advance(document.start);
            self.take(sink, document.end, self.line);
            if sink.is_full() {
                return;
            }
            self.advance(document.end);
        }
    }

    /// Gives the document from here to `end` to the sink, as number `line`.
    fn take(&self, sink: &mut impl Sink, end: usize, line: u64) {
        let document = &self.body[self.pos..end];
        if document.len() <= self.document_bytes_max {
            return self.take_one(sink, document, line);
        }
        // Of a list only the records have to be short.
        let Some(records) = listed::records_of(document) else {
            return self.take_one(sink, document, line);
        };
        for record in records {
            if sink.is_full() {
                return;
            }
            self.take_one(sink, &document[record], line);
        }
    }

    fn take_one(&self, sink: &mut impl Sink, document: &[u8], line: u64) {
        if document.len() > self.document_bytes_max {
            let reason = too_long(document.len(), self.document_bytes_max);
            sink.reject(line, document, "line_too_long", reason);
        } else if let Err(malformed) = sink.take(line, document) {
            sink.reject(line, document, malformed.problem.code(), malformed.to_string());
        }
    }

    /// Rejects the line that begins at `start`; when the problem lies on a later one, everything up
    /// to the next line that begins like a document.
    fn reject_until_next(&mut self, sink: &mut impl Sink, start: usize, malformed: Malformed) {
        let mut end = self.line_end(start);
        let spans_lines = malformed.offset > end;
        while spans_lines
            && end < self.body.len()
            && !matches!(self.body.get(end + 1), Some(b'{' | b'[') | None)
        {
            end = self.line_end(end + 1);
        }
        let bytes = self.body[start..end].trim_ascii_end();
        let (code, reason) = if bytes.len() > self.document_bytes_max {
            ("line_too_long", too_long(bytes.len(), self.document_bytes_max))
        } else {
            (malformed.problem.code(), self.reason(start, malformed))
        };
        sink.reject(self.line, bytes, code, reason);
        self.advance(end);
    }

    /// The reason with a column of its own line.
    fn reason(&self, start: usize, malformed: Malformed) -> String {
        let before = &self.body[..malformed.offset.min(self.body.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |offset| offset + 1);
        let offset = malformed.offset - line_start;
        let shown = Malformed { offset, ..malformed };
        if line_start > start {
            let lines = memchr::memchr_iter(b'\n', &before[start..]).count() as u64;
            format!("{shown} of line {}", self.line + lines)
        } else {
            shown.to_string()
        }
    }

    /// Whether the array that begins here is the whole body, rather than one of several lines.
    fn is_alone(&self) -> bool {
        let end = self.line_end(self.pos);
        let is_whole_line = self.body[self.pos..end].trim_ascii_end().ends_with(b"]");
        let is_first = self.body[..self.pos].trim_ascii().is_empty();
        is_first && (!is_whole_line || self.body[end..].trim_ascii().is_empty())
    }

    fn array(&mut self, sink: &mut impl Sink) {
        let is_alone = self.is_alone();
        self.pos += 1;
        let mut item = 0;
        loop {
            if !self.skip_blanks() {
                let malformed = Malformed { offset: self.pos, problem: Problem::Incomplete };
                let reason = self.reason(self.pos, malformed);
                let number = if is_alone { item + 1 } else { self.line };
                return sink.reject(number, b"", malformed.problem.code(), reason);
            }
            if self.body[self.pos] == b']' {
                self.pos += 1;
                return;
            }
            item += 1;
            let pos = self.pos;
            let mut scanner = self.scanner(pos);
            let found = scanner.skip_value(0).map(drop);
            let end = scanner.pos;
            let number = if is_alone { item } else { self.line };
            if let Err(malformed) = found {
                return self.reject_rest_of_array(sink, number, malformed);
            }
            self.take(sink, end, number);
            self.advance(end);
            if sink.is_full() {
                return;
            }
            if !self.skip_blanks() {
                // What is missing is named on the way round.
                continue;
            }
            match self.body[self.pos] {
                b',' => self.pos += 1,
                b']' => {}
                _ => {
                    let problem = Problem::Expected("`,` or `]`");
                    let malformed = Malformed { offset: self.pos, problem };
                    let number = if is_alone { item + 1 } else { self.line };
                    return self.reject_rest_of_array(sink, number, malformed);
                }
            }
        }
    }

    fn reject_rest_of_array(&mut self, sink: &mut impl Sink, item: u64, malformed: Malformed) {
        let line = self.line;
        self.line = item;
        self.reject_until_next(sink, self.pos, malformed);
        self.line = line;
    }

    fn no_object(&mut self, sink: &mut impl Sink, line: &[u8], end: usize) {
        let start = self.pos;
        let mut scanner = self.scanner(start);
        let is_value = scanner.skip_value(0).is_ok() && scanner.pos == start + line.len();
        let (code, reason) = if line.len() > self.document_bytes_max {
            ("line_too_long", too_long(line.len(), self.document_bytes_max))
        } else {
            let problem =
                if is_value { Problem::NotAnObject } else { Problem::Expected("an object") };
            (problem.code(), self.reason(start, Malformed { offset: start, problem }))
        };
        sink.reject(self.line, line, code, reason);
        self.pos = end;
    }
}

pub(crate) fn too_long(bytes: usize, bytes_max: usize) -> String {
    format!("the record has {bytes} bytes, the limit is {bytes_max}")
}

/// The bytes as text with every offset in its place: what is no UTF-8 becomes question marks. Only
/// the structure is read from it.
pub(crate) fn same_length_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Shown {
        text: String,
        records: usize,
        bytes: usize,
    }

    impl Sink for Shown {
        fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed> {
            let text = std::str::from_utf8(document).unwrap_or("{}");
            let mut scanner = Scanner::new(text);
            if !text.starts_with('{') {
                return Err(Malformed { offset: 0, problem: Problem::NotAnObject });
            }
            scanner.skip_value(0)?;
            if scanner.pos != text.len() {
                return Err(scanner.expected("the end"));
            }
            self.records += 1;
            self.bytes += document.len();
            writeln!(self.text, "{line}: {}", text.replace('\n', "⏎")).expect("a String");
            Ok(())
        }

        fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String) {
            self.records += 1;
            self.bytes += bytes.len();
            let text = String::from_utf8_lossy(bytes).replace('\n', "⏎");
            let text: String = text.chars().take(40).collect();
            writeln!(self.text, "{line}! {code}, {reason}: {text}").expect("a String");
        }

        fn is_full(&self) -> bool {
            self.records >= 100
        }
    }

    fn check(body: &str, expected: &str) {
        let mut shown = Shown::default();
        cut(body.as_bytes(), 64, &mut shown);
        let expected: Vec<_> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let lines: Vec<_> = shown.text.lines().map(str::trim_end).collect();
        assert_eq!(lines, expected, "{body}");
    }

    #[test]
    fn lines_and_objects_back_to_back() {
        check("{\"a\":1}\n\n{\"b\":2}\r\n", "1: {\"a\":1}\n3: {\"b\":2}");
        check(
            "{\"a\":1}{\"b\":2} {\"c\":3}\n{\"d\":4}",
            "1: {\"a\":1}\n1: {\"b\":2}\n1: {\"c\":3}\n2: {\"d\":4}",
        );
        check("\u{FEFF}{\n \"a\": 1\n}\n{\n \"b\": 2\n}", "1: {⏎ \"a\": 1⏎}\n4: {⏎ \"b\": 2⏎}");
        check("", "");
    }

    #[test]
    fn arrays_are_numbered_by_item() {
        check("[{\"a\":1},\n {\"b\":2}]", "1: {\"a\":1}\n2: {\"b\":2}");
        check("[]", "");
        check("[1,{\"a\":1}]", "1! not_an_object, expected an object at column 1: 1\n2: {\"a\":1}");
        check(
            "[{\"a\":1}, {\"b\":x}, {\"c\":3}]",
            "1: {\"a\":1}\n2! invalid_json, expected a value at column 16: {\"b\":x}, {\"c\":3}]",
        );
        check(
            "[{\"a\":1}",
            "1: {\"a\":1}\n2! invalid_json, the value is not finished at column 9:",
        );
        check(
            "[{\"a\":1} {\"b\":1}]\n{\"c\":1}",
            "1: {\"a\":1}\n1! invalid_json, expected `,` or `]` at column 10: {\"b\":1}]\n2: {\"c\":1}",
        );
    }

    #[test]
    fn arrays_on_lines_are_numbered_by_line() {
        check(
            "[{\"a\":1}, 1]\n[{\"b\":1},{\"c\":1}, 2]\n\n[{\"d\":x}]\n{\"e\":1}",
            "1: {\"a\":1}
             1! not_an_object, expected an object at column 1: 1
             2: {\"b\":1}
             2: {\"c\":1}
             2! not_an_object, expected an object at column 1: 2
             4! invalid_json, expected a value at column 7: {\"d\":x}]
             5: {\"e\":1}",
        );
        check("{\"a\":1}\n[{\"b\":1},\n{\"c\":1}]", "1: {\"a\":1}\n2: {\"b\":1}\n3: {\"c\":1}");
    }

    #[test]
    fn a_bad_line_costs_itself_alone() {
        check(
            "{\"a\":1}\n{\"b\":1 \"c\":2}\n{\"d\":\"x\n{\"e\":1}\nnonsense\n{\"f\":1}\n",
            "1: {\"a\":1}
             2! invalid_json, expected `,` or `}` at column 8: {\"b\":1 \"c\":2}
             3! invalid_json, expected `\"` at column 8: {\"d\":\"x
             4: {\"e\":1}
             5! invalid_json, expected an object at column 1: nonsense
             6: {\"f\":1}",
        );
        check(
            "{\"a\":1\n{\"b\":1}\n",
            "1! invalid_json, expected `,` or `}` at column 1 of line 2: {\"a\":1\n2: {\"b\":1}",
        );
        check(
            "{\"a\":1}x\n{\"b\":1}\n",
            "1! invalid_json, expected the end of the line or another object at column 8: {\"a\":1}x\n2: {\"b\":1}",
        );
        check(
            "{\n\"a\": oops\n}\n{\n\"b\":1\n}",
            "1! invalid_json, expected a value at column 6 of line 2: {⏎\"a\": oops⏎}\n4: {⏎\"b\":1⏎}",
        );
        check(
            "42\n\"x\"\n",
            "1! not_an_object, expected an object at column 1: 42\n2! not_an_object, expected an object at column 1: \"x\"",
        );
    }

    #[test]
    fn of_a_list_that_is_too_long_only_the_records_have_to_be_short() {
        let body = format!("{{\"Records\":[{}{{\"z\":26}}]}}", "{\"a\":1}, ".repeat(20));
        check(&body, &("1: {\"a\":1}\n".repeat(20) + "1: {\"z\":26}"));
    }

    #[test]
    fn a_document_that_is_too_long_is_named_and_its_neighbours_kept() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70));
        let body = format!("{{\"a\":1}}\n{long}\n{{\"b\":1}}");
        check(
            &body,
            "1: {\"a\":1}
             2! line_too_long, the record has 78 bytes, the limit is 64: {\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
             3: {\"b\":1}",
        );
        let many = "{\"a\":1}".repeat(20);
        check(&many, &"1: {\"a\":1}\n".repeat(20));
    }

    proptest! {
        #[test]
        fn every_body_is_cut_to_its_end(body in proptest::collection::vec(
            proptest::sample::select(b"{}[]\":,\n\r \\x1tn\xFF\xC3\xA9".to_vec()), 0..60,
        )) {
            let mut shown = Shown::default();
            cut(&body, 16, &mut shown);
            prop_assert!(shown.bytes <= body.len() || shown.records >= 100);
        }

        #[test]
        fn good_lines_survive_bad_neighbours(bad in "[a-z{}\\[\\]\":, ]{0,30}") {
            prop_assume!(!bad.trim().is_empty());
            let body = format!("{{\"a\":1}}\n{bad}\n{{\"z\":26}}\n");
            let mut shown = Shown::default();
            cut(body.as_bytes(), 64, &mut shown);
            let has_first = shown.text.starts_with("1: {\"a\":1}");
            prop_assert!(has_first, "{}", shown.text);
            let has_last = shown.text.contains("{\"z\":26}");
            prop_assert!(has_last || bad.trim().starts_with('['), "{}", shown.text);
        }
    }
}
