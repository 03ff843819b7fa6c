//! The lines of a stack trace, as Java, Node, .NET, Python and Go print them, and those of a private key.
//!
//! Input: one line after another. Output: whether a line goes on with the trace before it, by its form
//! alone. A first line is one that names an error; only what has the form of a trace is joined to it,
//! so that two errors in a row stay two. A key that somebody logs line by line is one secret: alone none of its
//! lines could be told from other text.

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing that goes on.
    None,
    /// A line that names an error.
    Head,
    /// A frame: `\tat …`, `Caused by: …`.
    Frames,
    /// A line of `Traceback (most recent call last):`.
    Python,
    /// The line that ends it: `ValueError: …`.
    PythonEnd,
    /// A line of a panic.
    Go,
    /// A line of a private key whose end has not come.
    Key,
}

/// What a line has that names an error.
const ERRORS: [&[u8]; 8] = [
    b"Exception",
    b"Error",
    b"ERROR",
    b"FATAL",
    b"SEVERE",
    b"Throwable",
    b"CRITICAL",
    b"http: panic serving ",
];
const TRACEBACK: &[u8] = b"Traceback (most recent call last)";
/// How further lines of a panic begin.
const GO: [&[u8]; 6] =
    [b"goroutine ", b"created by ", b"[signal ", b"panic: ", b"exit status ", b"runtime."];
/// How frames begin behind their indent.
const FRAMES: [&[u8]; 6] =
    [b"at ", b"... ", b"---> ", b"--- End of ", b"Caused by: ", b"Suppressed: "];
/// From here on they stand without an indent too.
const UNINDENTED: usize = 2;
/// What the first line of a private key has, and what the last one begins with.
const KEY_BEGIN: [&[u8]; 2] = [b"-----BEGIN ", b"PRIVATE KEY-----"];
const KEY_END: &[u8] = b"-----END ";
/// Bytes of a line of a key: 64 in PEM, 76 of other writers.
const KEY_LINE_BYTES_MAX: usize = 80;
/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 1_024;

impl Trace {
    /// How it stands after a line that goes on with nothing.
    pub(super) fn begin(line: &[u8]) -> Self {
        let line = &line[..line.len().min(LOOKED_AT)];
        if memchr::memmem::find(line, TRACEBACK).is_some() {
            Self::Python
        } else if begins_key(line) {
            Self::Key
        } else if starts_with(line, &[b"panic: ", b"fatal error: ", b"goroutine "]) {
            Self::Go
        } else if names_error(line) {
            Self::Head
        } else {
            Self::None
        }
    }

    /// How it stands after a line that goes on with it; nothing for one that does not.
    pub(super) fn next(self, line: &[u8]) -> Option<Self> {
        let line = &line[..line.len().min(LOOKED_AT)];
        let inner = line.trim_ascii_start();
        let is_indented = inner.len() < line.len() && !inner.is_empty();
        let is_frame = starts_with(line, &FRAMES[UNINDENTED..])
            || (is_indented && starts_with(inner, &FRAMES));
        match self {
            Self::None => None,
            Self::Head if is_frame => Some(Self::Frames),
            Self::Head if line.starts_with(TRACEBACK) => Some(Self::Python),
            Self::Head if line.starts_with(b"goroutine ") => Some(Self::Go),
            Self::Head => (is_error(line) && names_error(line)).then_some(Self::Head),
            // Node shows what an error holds behind its frames.
            Self::Frames => (is_frame || is_indented || line == b"}").then_some(Self::Frames),
            Self::Python if is_indented => Some(Self::Python),
            Self::Python => is_error(line).then_some(Self::PythonEnd),
            Self::PythonEnd if line.starts_with(TRACEBACK) => Some(Self::Python),
            Self::PythonEnd => {
                let links: [&[u8]; 2] =
                    [b"During handling of the above exception", b"The above exception was the"];
                starts_with(line, &links).then_some(Self::PythonEnd)
            }
            Self::Go => {
                (is_indented || starts_with(line, &GO) || is_call(line)).then_some(Self::Go)
            }
            Self::Key if inner.starts_with(KEY_END) => Some(Self::None),
            Self::Key => is_of_key(inner).then_some(Self::Key),
        }
    }
}

fn starts_with(line: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| line.starts_with(word))
}

fn names_error(line: &[u8]) -> bool {
    ERRORS.iter().any(|word| memchr::memmem::find(line, word).is_some())
}

/// `java.lang.IllegalStateException: …`, `ValueError`: the name of a class and nothing before it.
fn is_error(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$".contains(byte);
    name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(is_name)
}

fn begins_key(line: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(line, KEY_BEGIN[0]) else { return false };
    let rest = &line[at..];
    let is_key = memchr::memmem::find(&rest[..rest.len().min(64)], KEY_BEGIN[1]).is_some();
    is_key && memchr::memmem::find(rest, KEY_END).is_none()
}

/// Base 64, or a header such as `DEK-Info: AES-256-CBC,…`.
fn is_of_key(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let is_header = starts_with(line, &[b"Proc-Type: ", b"DEK-Info: "]);
    is_header || line.len() <= KEY_LINE_BYTES_MAX && line.iter().all(is_base64)
}

/// `main.(*Shop).pay(0x1, {0xc0, 2})`.
fn is_call(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b'(').next().unwrap_or_default();
    line.ends_with(b")") && !name.is_empty() && !name.contains(&b' ') && name.contains(&b'.')
}
