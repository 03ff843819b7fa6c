//! Who wrote a syslog message, and what it says: enough to tell the lines of one program from others.
//!
//! Input: one message with its priority, in the layouts of RFC 5424 and RFC 3164. Output: where its
//! text begins, and the parts of its header that stay the same from line to line; nothing for a
//! message without a program, which nobody can tell from others.

/// Bytes in which a header ends.
const HEADER_BYTES_MAX: usize = 512;

/// One message, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'r> {
    /// Priority.
    pub(super) priority: &'r [u8],
    /// Host, program and process.
    pub(super) writer: &'r [u8],
    /// Where the text begins.
    pub(super) text_start: usize,
}

/// Takes a message apart.
pub(super) fn message(record: &[u8]) -> Option<Message<'_>> {
    let head = &record[..record.len().min(HEADER_BYTES_MAX)];
    let end = memchr::memchr(b'>', head.get(..5)?)?;
    let priority = head.get(1..end)?;
    if priority.is_empty() || !priority.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let start = end + 1;
    let (writer, text_start) = match head.get(start..start + 2) {
        Some(b"1 ") => rfc5424(head, start + 2)?,
        _ => rfc3164(head, start)?,
    };
    Some(Message { priority, writer, text_start })
}

/// `TIME HOST PROGRAM PROCESS ID DATA TEXT`.
fn rfc5424(head: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let mut spaces = memchr::memchr_iter(b' ', &head[start..]).map(|at| start + at);
    let (time, _host, _program) = (spaces.next()?, spaces.next()?, spaces.next()?);
    let (process, id) = (spaces.next()?, spaces.next()?);
    let mut at = id + 1;
    if head.get(at) == Some(&b'-') {
        at += 1;
    } else {
        let mut is_quoted = false;
        loop {
            match head.get(at)? {
                b'\\' if is_quoted => at += 1,
                b'"' => is_quoted = !is_quoted,
                b']' if !is_quoted && head.get(at + 1) != Some(&b'[') => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
    Some((&head[time + 1..process], text_start(head, at)))
}

/// `TIME HOST PROGRAM[PROCESS]: TEXT`, of which time and host may be missing.
fn rfc3164(head: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = &head[start..];
    let is_stamp = rest.first().is_some_and(u8::is_ascii_digit) && rest.get(10) == Some(&b'T');
    let is_bsd =
        rest.get(3) == Some(&b' ') && rest.get(9) == Some(&b':') && rest.get(12) == Some(&b':');
    let time = match (is_stamp, is_bsd) {
        (true, _) => memchr::memchr(b' ', rest)? + 1,
        (_, true) => 16.min(rest.len()),
        _ => 0,
    };
    let rest = &rest[time..];
    let colon = memchr::memmem::find(rest, b": ")?;
    let writer = &rest[..colon];
    let words = writer.split(|byte| *byte == b' ').count();
    let is_writer = words <= 2 && !writer.is_empty();
    is_writer.then(|| (writer, start + time + colon + 2))
}

/// What stands before the text besides its blank: a second one is of rsyslog, three bytes say that it
/// is UTF-8.
fn text_start(head: &[u8], at: usize) -> usize {
    let mut at = at;
    for mark in [&b" "[..], b"\xEF\xBB\xBF", b" "] {
        if head.get(at..).is_some_and(|rest| rest.starts_with(mark)) {
            at += mark.len();
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, expected: Option<(&str, &str, &str)>) {
        let found = message(record.as_bytes()).map(|found| {
            let text = |bytes| std::str::from_utf8(bytes).expect("text");
            (text(found.priority), text(found.writer), &record[found.text_start..])
        });
        assert_eq!(found, expected, "{record}");
    }

    #[test]
    fn a_header_says_who_wrote_a_line() {
        check("<11>1 2026-01-02T03:04:05Z h app 7 - - at x", Some(("11", "h app 7", "at x")));
        check("<11>1 - h app - - [a b=\"]\\\"\"][c d=\"e\"] text", Some(("11", "h app -", "text")));
        check("<11>1 - h app - - -  two blanks", Some(("11", "h app -", "two blanks")));
        check("<11>Oct 11 22:14:15 h app[7]: \tat x", Some(("11", "h app[7]", "\tat x")));
        check("<11>2026-01-02T03:04:05+00:00 h app: text", Some(("11", "h app", "text")));
        check("<11>app: text", Some(("11", "app", "text")));
        for other in
            ["<13>ERROR syslog", "<x>a: b", "<11>1 - h", "<11>1 - h a - - [x", "<", "<13>a b c: d"]
        {
            check(other, None);
        }
    }
}
