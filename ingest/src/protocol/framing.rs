//! Where one record of a byte stream ends and the next begins.
//!
//! Input: bytes as they come. Output: frames. Three forms: lines, messages that end in NUL, and
//! counted octets (RFC 6587); and streams that have not shown yet which of lines and NUL they mean. A
//! frame beyond the bound is cut to its beginning and the rest of it skipped.

use bytes::{Buf, Bytes, BytesMut};

/// A count has at most so many digits.
const COUNT_DIGITS_MAX: usize = 10;
/// Undecided data beyond this counts as lines.
const UNDECIDED_BYTES_MAX: usize = 64 << 10;

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Each ends with a line feed.
    Lines,
    /// Each ends with NUL and may have line breaks inside.
    Nul,
    /// Lines or NUL: the first read that ends in one of them decides.
    Undecided,
    /// JSON lines, or GELF, whose objects end in NUL: the first of these ends decides.
    Objects,
    /// The same where GELF is expected: an object may have line breaks inside, so that lines are meant
    /// when the first of them is a whole object.
    ObjectsOverLines,
    /// Each has its length before it: `LENGTH SP RECORD`.
    Counted,
}

/// One piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole record.
    Record(Bytes),
    /// The beginning of a record that is too long, and its length where that is known.
    TooLong(Bytes, usize),
    /// The stream ended inside of it.
    Truncated(Bytes),
    /// No record can begin here; nothing after it can be read.
    Broken(Bytes),
}

impl Frame {
    pub(crate) const fn bytes(&self) -> &Bytes {
        match self {
            Self::Record(bytes)
            | Self::TooLong(bytes, _)
            | Self::Truncated(bytes)
            | Self::Broken(bytes) => bytes,
        }
    }
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub(crate) struct Framing {
    form: Form,
    record_bytes_max: usize,
    kept_bytes_max: usize,
    /// Bytes of the buffer known to hold no end.
    scanned: usize,
    skipping: Option<Skipping>,
    is_broken: bool,
}

/// A record that is too long, while its rest goes by.
#[derive(Debug)]
struct Skipping {
    beginning: Bytes,
    size_bytes: usize,
    /// Bytes of a counted record still to come.
    left: usize,
}

impl Framing {
    pub(crate) const fn new(form: Form, record_bytes_max: usize, kept_bytes_max: usize) -> Self {
        Self {
            form,
            record_bytes_max,
            kept_bytes_max,
            scanned: 0,
            skipping: None,
            is_broken: false,
        }
    }

    /// How records are told apart, as far as that is known.
    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Takes the next frame out of `buffer`, if it is whole.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        if self.is_broken {
            buffer.clear();
            return None;
        }
        self.decide(buffer);
        match self.form {
            Form::Lines => self.delimited(buffer, b'\n'),
            Form::Nul => self.delimited(buffer, b'\0'),
            Form::Undecided | Form::Objects | Form::ObjectsOverLines => None,
            Form::Counted => self.counted(buffer),
        }
    }

    /// Takes the next frame of what is left when the stream has ended.
    pub(crate) fn finish(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        match self.form {
            Form::Undecided | Form::Objects => self.form = Form::Lines,
            Form::ObjectsOverLines => self.form = Form::Nul,
            Form::Lines | Form::Nul | Form::Counted => {}
        }
        if let Some(frame) = self.next(buffer) {
            return Some(frame);
        }
        if let Some(skipping) = self.skipping.take() {
            let size_bytes = skipping.size_bytes + buffer.len();
            buffer.clear();
            return Some(Frame::TooLong(skipping.beginning, size_bytes));
        }
        let rest = buffer.split().freeze();
        self.scanned = 0;
        (!rest.trim_ascii().is_empty()).then_some(Frame::Truncated(rest))
    }

    /// Senders of NUL (Python's SysLogHandler) have line breaks inside their messages, so that
    /// cutting at those would let anybody who is logged forge an event.
    fn decide(&mut self, buffer: &BytesMut) {
        if matches!(self.form, Form::Objects | Form::ObjectsOverLines) {
            self.decide_objects(buffer);
        } else if self.form == Form::Undecided {
            let ends_message = |at: usize| buffer.get(at + 1).is_none_or(|next| *next == b'<');
            if memchr::memchr(b'\0', buffer).is_some_and(ends_message) {
                self.form = Form::Nul;
            } else if buffer.ends_with(b"\n") || buffer.len() > UNDECIDED_BYTES_MAX {
                self.form = Form::Lines;
            }
        } else if self.scanned == 0 && self.skipping.is_none() {
            match self.form {
                Form::Lines if buffer.ends_with(b"\0") => self.form = Form::Nul,
                // It was a line that ended in NUL: without a way back whoever gets one logged would
                // make one record of all that follow.
                Form::Nul if buffer.starts_with(b"\n") => self.form = Form::Lines,
                _ => {}
            }
        }
    }

    /// JSON has no NUL inside, and one that is not spread over lines no line feed.
    fn decide_objects(&mut self, buffer: &BytesMut) {
        let blanks = buffer.len() - buffer.trim_ascii_start().len();
        let object = &buffer[blanks..];
        let may_span_lines = self.form == Form::ObjectsOverLines;
        let unknown = if may_span_lines { Form::Nul } else { Form::Lines };
        self.form = match memchr::memchr2(b'\n', b'\0', object) {
            None if object.len() > self.record_bytes_max => unknown,
            None => return,
            Some(end) if object[end] == b'\0' => Form::Nul,
            Some(end) if may_span_lines && !is_whole(&object[..end]) => Form::Nul,
            Some(_) => Form::Lines,
        };
    }

    fn delimited(&mut self, buffer: &mut BytesMut, delimiter: u8) -> Option<Frame> {
        if self.skipping.is_some() {
            return self.skip_to(buffer, delimiter);
        }
        match memchr::memchr(delimiter, &buffer[self.scanned..]) {
            Some(offset) => {
                let record = buffer.split_to(self.scanned + offset).freeze();
                buffer.advance(1);
                self.scanned = 0;
                if record.len() > self.record_bytes_max {
                    let beginning = record.slice(..self.kept_bytes_max.min(record.len()));
                    return Some(Frame::TooLong(beginning, record.len()));
                }
                Some(Frame::Record(record))
            }
            None => {
                self.scanned = buffer.len();
                if buffer.len() > self.record_bytes_max {
                    let size_bytes = buffer.len();
                    let beginning =
                        Bytes::copy_from_slice(&buffer[..self.kept_bytes_max.min(size_bytes)]);
                    buffer.clear();
                    self.scanned = 0;
                    self.skipping = Some(Skipping { beginning, size_bytes, left: 0 });
                }
                None
            }
        }
    }

    fn skip_to(&mut self, buffer: &mut BytesMut, delimiter: u8) -> Option<Frame> {
        let skipping = self.skipping.as_mut()?;
        match memchr::memchr(delimiter, buffer) {
            Some(offset) => {
                skipping.size_bytes += offset;
                buffer.advance(offset + 1);
                let Skipping { beginning, size_bytes, .. } = self.skipping.take()?;
                Some(Frame::TooLong(beginning, size_bytes))
            }
            None => {
                skipping.size_bytes += buffer.len();
                buffer.clear();
                None
            }
        }
    }

    fn counted(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        if let Some(skipping) = self.skipping.as_mut() {
            let taken = skipping.left.min(buffer.len());
            buffer.advance(taken);
            skipping.left -= taken;
            if skipping.left > 0 {
                return None;
            }
            let Skipping { beginning, size_bytes, .. } = self.skipping.take()?;
            return Some(Frame::TooLong(beginning, size_bytes));
        }
        // Some senders end a counted record with a line feed that they did not count.
        while let Some(b'\n' | b'\r' | b'\0') = buffer.first() {
            buffer.advance(1);
        }
        let digits =
            buffer.iter().take(COUNT_DIGITS_MAX + 1).take_while(|b| b.is_ascii_digit()).count();
        if digits == buffer.len() && digits <= COUNT_DIGITS_MAX {
            return None;
        }
        let length = std::str::from_utf8(&buffer[..digits])
            .ok()
            .and_then(|count| count.parse::<usize>().ok());
        let Some(length) = length
            .filter(|length| *length > 0 && digits <= COUNT_DIGITS_MAX && buffer[digits] == b' ')
        else {
            self.is_broken = true;
            let kept = buffer.len().min(self.kept_bytes_max);
            return Some(Frame::Broken(buffer.split_to(kept).freeze()));
        };
        let start = digits + 1;
        if length > self.record_bytes_max {
            // The beginning must be here before the rest goes by.
            let kept = self.kept_bytes_max.min(length);
            if buffer.len() < start + kept {
                return None;
            }
            buffer.advance(start);
            let beginning = Bytes::copy_from_slice(&buffer[..kept]);
            self.skipping = Some(Skipping { beginning, size_bytes: length, left: length });
            return self.counted(buffer);
        }
        if buffer.len() < start + length {
            return None;
        }
        buffer.advance(start);
        Some(Frame::Record(buffer.split_to(length).freeze()))
    }
}

fn is_whole(object: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(object).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `reads` one by one and shows the frames.
    fn check(form: Form, reads: &[&str], expected: &[&str]) {
        let mut framing = Framing::new(form, 20, 4);
        let mut buffer = BytesMut::new();
        let mut shown = Vec::new();
        for read in reads {
            buffer.extend_from_slice(read.as_bytes());
            while let Some(frame) = framing.next(&mut buffer) {
                shown.push(show(&frame));
            }
        }
        shown.extend(std::iter::from_fn(|| framing.finish(&mut buffer)).map(|frame| show(&frame)));
        assert_eq!(shown, expected, "{reads:?}");
    }

    fn show(frame: &Frame) -> String {
        let text = String::from_utf8_lossy(frame.bytes()).into_owned();
        match frame {
            Frame::Record(_) => text,
            Frame::TooLong(_, size) => format!("{text}… {size}"),
            Frame::Truncated(_) => format!("{text}|"),
            Frame::Broken(_) => format!("{text}?"),
        }
    }

    #[test]
    fn lines_end_with_a_line_feed() {
        check(Form::Lines, &["a\nb", "c\n\n", "d"], &["a", "bc", "", "d|"]);
        check(Form::Lines, &["0123456789", "0123456789x", "yz\nb\n"], &["0123… 23", "b"]);
        check(Form::Lines, &["0123456789012345678901\nb\n"], &["0123… 22", "b"]);
        check(Form::Lines, &["01234567890123456789012"], &["0123… 23"]);
    }

    #[test]
    fn a_message_that_ends_in_nul_keeps_its_line_breaks() {
        check(Form::Undecided, &["<1>a\n<2>forged\0<1>b\0"], &["<1>a\n<2>forged", "<1>b"]);
        check(Form::Undecided, &["<1>a\n<2>fo", "rged\0"], &["<1>a\n<2>forged"]);
        check(Form::Undecided, &["<1>a\n<2>b\n", "<1>c\n"], &["<1>a", "<2>b", "<1>c"]);
        check(Form::Undecided, &["<1>a\n<2>b"], &["<1>a", "<2>b|"]);
        check(Form::Undecided, &["<1>a\n", "<1>b\n<2>x\0"], &["<1>a", "<1>b\n<2>x"]);
        check(
            Form::Undecided,
            &["<1>a\n", "<1>b\0", "\n<1>c\n<1>d\n"],
            &["<1>a", "<1>b", "", "<1>c", "<1>d"],
        );
    }

    #[test]
    fn the_first_end_of_an_object_decides() {
        check(Form::Objects, &["{\"a\"", ":1}", "\0{}\0"], &["{\"a\":1}", "{}"]);
        check(Form::Objects, &["{\"a\":1}\n{", "}\n"], &["{\"a\":1}", "{}"]);
        check(Form::Objects, &["{\"a\":\n{}\n"], &["{\"a\":", "{}"]);
        check(Form::Objects, &["\n{}\0{}"], &["\n{}", "{}|"]);
        check(Form::Objects, &["{", "}"], &["{}|"]);
        check(Form::Objects, &["{0123456789012345678901", "\n{}\n"], &["{012… 23", "{}"]);
        check(Form::ObjectsOverLines, &["{\"a\":\n", "1}\0{\n}\0"], &["{\"a\":\n1}", "{\n}"]);
        check(Form::ObjectsOverLines, &["{\"a\":1}\n{}\n"], &["{\"a\":1}", "{}"]);
        check(Form::ObjectsOverLines, &["{0123456789012345678901", "\0{}\0"], &["{012… 23", "{}"]);
        check(Form::ObjectsOverLines, &["{\n}"], &["{\n}|"]);
    }

    #[test]
    fn counted_records_may_hold_anything() {
        check(Form::Counted, &["3 a\nb4 ", "cdef", "\n2 gh"], &["a\nb", "cdef", "gh"]);
        check(Form::Counted, &["25 0123456789", "0123456789abcde1 x"], &["0123… 25", "x"]);
        check(Form::Counted, &["25 012", "3456789", "0123456789abcde1 x"], &["0123… 25", "x"]);
        check(Form::Counted, &["5 abc"], &["5 abc|"]);
        check(Form::Counted, &["1 a<13>x", "1 b"], &["a", "<13>?"]);
        check(Form::Counted, &["99999999999 x"], &["9999?"]);
        check(Form::Counted, &["0 x"], &["0 x?"]);
    }

    proptest! {
        #[test]
        fn cutting_does_not_depend_on_the_reads(
            stream in "[a-c0-9 \n<>]{0,80}",
            form in proptest::sample::select(vec![Form::Lines, Form::Counted]),
            size in 1usize..9,
        ) {
            let frames = |size: usize| {
                let mut framing = Framing::new(form, 20, 4);
                let (mut buffer, mut shown) = (BytesMut::new(), Vec::new());
                for read in stream.as_bytes().chunks(size) {
                    buffer.extend_from_slice(read);
                    while let Some(frame) = framing.next(&mut buffer) {
                        // How much of a broken stream is there depends on the reads.
                        let is_broken = matches!(frame, Frame::Broken(_));
                        shown.push(if is_broken { "?".to_owned() } else { show(&frame) });
                    }
                }
                while let Some(frame) = framing.finish(&mut buffer) {
                    let is_broken = matches!(frame, Frame::Broken(_));
                    shown.push(if is_broken { "?".to_owned() } else { show(&frame) });
                }
                shown
            };
            prop_assert_eq!(frames(size), frames(stream.len().max(1)));
        }
    }
}
