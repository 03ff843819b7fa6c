//! A cursor over one line, and what lines of all layouts have in common.
//!
//! Input: a line. Output: its parts, as slices of it. Nothing here copies or fails: what is not there
//! is `None`, and the line is then of another layout.

/// What is left of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'t> {
    pub(super) rest: &'t str,
}

impl<'t> Line<'t> {
    pub(super) const fn new(rest: &'t str) -> Self {
        Self { rest }
    }

    /// Takes `text`, which must come next.
    pub(super) fn tag(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Takes what stands before `end`, and `end`.
    pub(super) fn until(&mut self, end: &str) -> Option<&'t str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    /// Takes a word and the spaces behind it; not empty.
    pub(super) fn word(&mut self) -> Option<&'t str> {
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.rest = self.rest[end..].trim_start_matches(' ');
        (!word.is_empty()).then_some(word)
    }

    /// Takes a word whose end is known and the spaces behind it, at most `bytes_max` long.
    pub(super) fn short_word(&mut self, bytes_max: usize) -> Option<&'t str> {
        let word = self.word()?;
        (word.len() <= bytes_max).then_some(word)
    }

    /// Takes what stands in brackets, and the spaces behind them.
    pub(super) fn bracketed(&mut self) -> Option<&'t str> {
        self.tag("[")?;
        let inner = self.until("]")?;
        self.skip_spaces();
        Some(inner)
    }

    /// Takes what stands in quotes, with its escapes, and the spaces behind them.
    pub(super) fn quoted(&mut self) -> Option<&'t str> {
        self.tag("\"")?;
        let end = closing_quote(self.rest)?;
        let inner = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        self.skip_spaces();
        Some(inner)
    }

    pub(super) fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }
}

/// The first quote that no backslash stands before.
pub(super) fn closing_quote(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Writes `escaped` without its backslashes: `\n`, `\r` and `\t` are what they mean, any other stands
/// for what follows it, and one before anything else than those stays.
pub(super) fn unescape(escaped: &str, out: &mut String) {
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(next) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        match next {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            '\\' | '"' | '\'' | '=' | '|' | '/' => out.push(next),
            _ => {
                out.push('\\');
                out.push(next);
            }
        }
        rest = &rest[next.len_utf8()..];
    }
    out.push_str(rest);
}

/// `HOST:PORT`, `[HOST]:PORT` or `HOST`; the port is empty when there is none.
pub(super) fn host_and_port(text: &str) -> (&str, &str) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').unwrap_or_default());
    }
    match text.rsplit_once(':') {
        // More colons without brackets are an address of IPv6 alone.
        Some((host, port)) if !host.contains(':') && is_digits(port) => (host, port),
        _ => (text, ""),
    }
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` begins with letters as `pattern` shows: `0` for a digit, others for themselves.
pub(super) fn looks_like(text: &str, pattern: &str) -> bool {
    text.len() >= pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}
