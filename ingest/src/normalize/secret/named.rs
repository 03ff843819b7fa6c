//! Secrets that are known by the name in front of them: `password=…`, `"password": "…"`, `api_key: …`.
//!
//! Input: a record, and where a part of such a name stands. Output: the value, or each of the values when a
//! list or an object stands there. `Password: …` is also what a program asks and what people write about, so
//! without any quotes a value counts only when it looks made up, or ends what is said.

use smallvec::SmallVec;

use super::{STARS, Secret, Secrets, VALUE_BYTES_MIN, run};

/// Bytes of a value without quotes.
const VALUE_BYTES_MAX: usize = 1_024;
/// Bytes in which the quote is looked for that ends a value, or what ends a list or an object.
const QUOTED_BYTES_MAX: usize = 16 << 10;
const NAME_BYTES_MAX: usize = 64;
/// Bytes of `ass=` and `wd"`, which stand for `pass` and `pwd`.
const SHORT_BYTES: usize = 4;
/// Lists and objects inside one another under the name of a secret.
const DEPTH_MAX: usize = 8;

/// Ends of the names whose values are secrets, in lower case and without joints.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "dbpass",
    "userpass",
    "adminpass",
    "rootpass",
    "secret",
    "secretkey",
    "secretaccesskey",
    "apikey",
    "accesstoken",
    "refreshtoken",
];
/// What may stand behind such a name without making it the name of something else.
const SUFFIXES: &[&str] = &[
    "new",
    "old",
    "current",
    "previous",
    "confirm",
    "confirmation",
    "repeat",
    "again",
    "verify",
    "value",
    "plain",
    "plaintext",
    "text",
    "raw",
    "clear",
    "cleartext",
    "string",
    "prod",
    "production",
    "dev",
    "test",
    "staging",
    "live",
    "db",
    "admin",
    "root",
    "main",
];
/// Suffixes that one name may have.
const SUFFIXES_MAX: usize = 3;

/// Members of an object that describe the secret it is about, by the last word of their names.
const DESCRIBING: &[&str] = &[
    "name",
    "id",
    "type",
    "kind",
    "mode",
    "policy",
    "version",
    "path",
    "algorithm",
    "alg",
    "status",
    "state",
    "format",
    "at",
    "date",
    "time",
    "created",
    "updated",
    "expires",
    "expiry",
    "length",
    "min",
    "max",
    "required",
    "optional",
    "field",
    "ref",
    "message",
    "reason",
    "error",
    "description",
    "label",
    "placeholder",
    "hint",
    "namespace",
    "provider",
    "source",
    "url",
    "uri",
];
/// Members of an object called no more than `secret` that are one; a volume of Kubernetes is called so too.
const TELLING: &[&str] = &[
    "value",
    "values",
    "data",
    "secret",
    "password",
    "plain",
    "plaintext",
    "text",
    "key",
    "token",
];

/// Values that say that there is none, or that somebody hid it before us; compared in lower case.
const PLACEHOLDERS: &[&str] = &[
    "null",
    "none",
    "true",
    "false",
    "undefined",
    "redacted",
    "[redacted]",
    "<redacted>",
    "masked",
    "hidden",
    "[filtered]",
    "filtered",
    "string",
    "empty",
];
/// What people say of passwords.
const PROSE: &[&str] = &[
    "required",
    "changed",
    "expired",
    "invalid",
    "incorrect",
    "wrong",
    "missing",
    "mismatch",
    "reset",
    "updated",
    "failed",
    "failure",
    "accepted",
    "rejected",
    "denied",
    "protected",
    "disabled",
    "enabled",
    "optional",
    "encrypted",
    "forgotten",
    "unknown",
    "error",
    "timeout",
    "success",
    "valid",
    "unset",
    "prompt",
    "password",
    "user",
    "given",
    "provided",
    "supplied",
    "default",
    "weak",
    "strong",
    "short",
    "long",
    "rotated",
    "revoked",
    "ignored",
    "skipped",
];

/// A quote, and the backslashes before it where it stands in a text of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) letter: u8,
    pub(super) escapes: usize,
}

/// Adds what stands behind the name of which `hit..hit_end` is a part.
pub(super) fn named(record: &[u8], hit: usize, hit_end: usize, found: &mut Secrets) {
    // `class` and `cwd` are everywhere: the short words that are looked for begin with a `p`.
    let is_short = hit_end - hit <= SHORT_BYTES;
    if is_short && !record[..hit].last().is_some_and(|first| first.eq_ignore_ascii_case(&b'p')) {
        return;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let before = record[..hit].iter().rev().take(NAME_BYTES_MAX);
    let name_start = hit - before.take_while(|byte| is_name(**byte)).count();
    // The hit itself may end with what follows the name.
    let name_end = hit + run(&record[hit..], is_name);
    if hit_end > name_end + 1 || name_end - name_start > NAME_BYTES_MAX {
        return;
    }
    let mut rest = Cursor { record, at: name_end };
    let name_quote = rest.quote();
    rest.spaces();
    let Some(separator @ (b'=' | b':')) = record.get(rest.at).copied() else { return };
    let Some(name) = Name::of(&record[name_start..name_end]) else { return };
    rest.at += 1;
    // `"password"=>"…"` of Ruby.
    rest.at += usize::from(separator == b'=' && record.get(rest.at) == Some(&b'>'));
    let has_space = rest.spaces() > 0;
    if let (Some(quote), Some(b'[' | b'{')) = (name_quote, record.get(rest.at)) {
        return inside(record, rest.at, quote, name, found);
    }
    let quote = rest.quote();
    let start = rest.at;
    let end = start + value_bytes(&record[start..], quote);
    let is_plain = separator == b':' && name_quote.is_none() && quote.is_none();
    // A mark of ours has its kind between stars.
    let is_mark = record[..name_start].ends_with(STARS);
    if is_plain && (is_mark || !is_said(record, (start, end), name, has_space)) {
        return;
    }
    let mark_quote = if separator == b':' && quote.is_none() { name_quote } else { None };
    if is_secret(&record[start..end]) {
        found.push(Secret { kind: name.kind, start, end, quote: mark_quote });
    }
}

/// How long the value is that `rest` begins with, behind its quote.
fn value_bytes(rest: &[u8], quote: Option<Quote>) -> usize {
    let within = &rest[..rest.len().min(QUOTED_BYTES_MAX)];
    if let Some(end) = quote.and_then(|quote| closing(within, quote)) {
        return end;
    }
    let value = &rest[..rest.len().min(VALUE_BYTES_MAX)];
    let end = run(value, |byte| {
        byte.is_ascii_graphic() && !b",;&\"'<>(){}[]\\|".contains(&byte) || !byte.is_ascii()
    });
    // Cut in the middle of a letter, a value would be no text.
    let is_between = |at: &usize| rest.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    if end == VALUE_BYTES_MAX { (0..=end).rev().find(is_between).unwrap_or(end) } else { end }
}

/// Whether a value without quotes, behind a name without quotes and a colon, is one rather than prose.
fn is_said(record: &[u8], (start, end): (usize, usize), name: Name, has_space: bool) -> bool {
    let value = &record[start..end];
    let is_address = std::str::from_utf8(value)
        .is_ok_and(|text| crate::normalize::names::address(text).is_some());
    if name.is_bare_secret || value.ends_with(b":") || is_address {
        return false;
    }
    let made_up = |byte: &u8| byte.is_ascii_digit() || b"!@#$%^*+=?~".contains(byte);
    if value.iter().any(made_up) {
        return true;
    }
    let is_prose = PROSE.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    // Without a space it may be any pair of words, but not in a structure that somebody printed.
    let is_apart = has_space || matches!(record.get(end), Some(b' ' | b'}'));
    is_apart && !is_prose && !name.is_program && ends_statement(&record[end..])
}

/// Whether nothing follows, or what follows is no prose: a mark, or another pair.
fn ends_statement(rest: &[u8]) -> bool {
    let spaces = run(rest, |byte| matches!(byte, b' ' | b'\t'));
    let rest = &rest[spaces..];
    let Some(first) = rest.first() else { return true };
    if matches!(first, b',' | b';' | b'"' | b'\'' | b'|' | b'}' | b'\n' | b'\r' | b'\\') {
        return true;
    }
    let word = run(rest, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    word > 0 && matches!(rest.get(word), Some(b':' | b'='))
}

/// Adds the texts and numbers of the list or object that begins at `start`, under the name of a secret.
fn inside(record: &[u8], start: usize, quote: Quote, name: Name, found: &mut Secrets) {
    let record = &record[..record.len().min(start + QUOTED_BYTES_MAX)];
    // Of each list and object that is open: whether its next value is worth hiding.
    let mut open = SmallVec::<[bool; DEPTH_MAX]>::new();
    let mut rest = Cursor { record, at: start };
    while let Some(byte) = record.get(rest.at).copied() {
        let hides = open.last().copied().unwrap_or(true);
        let before = rest.at;
        let next = rest.quote();
        if next != Some(quote) {
            rest.at = before;
        } else {
            let from = rest.at;
            let Some(length) = closing(&record[from..], quote) else {
                // Cut off inside it.
                let end = from + value_bytes(&record[from..], None);
                if hides && is_secret(&record[from..end]) {
                    found.push(Secret { kind: name.kind, start: from, end, quote: None });
                }
                return;
            };
            rest.at = from + length + quote.escapes + 1;
            rest.spaces();
            let text = &record[from..from + length];
            if record.get(rest.at) == Some(&b':') {
                rest.at += 1;
                if let Some(hides) = open.last_mut() {
                    *hides = is_worth_hiding(text, name);
                }
            } else if hides && is_secret(text) {
                found.push(Secret {
                    kind: name.kind,
                    start: from,
                    end: from + length,
                    quote: None,
                });
            }
            continue;
        }
        match byte {
            b'[' | b'{' if open.len() < DEPTH_MAX => {
                open.push(hides && !(byte == b'{' && name.is_bare_secret))
            }
            b'[' | b'{' => return,
            b']' | b'}' => {
                open.pop();
                if open.is_empty() {
                    return;
                }
            }
            b'0'..=b'9' | b'-' if hides => {
                let from = rest.at;
                let end = from + value_bytes(&record[from..], None);
                if is_secret(&record[from..end]) {
                    found.push(Secret { kind: name.kind, start: from, end, quote: Some(quote) });
                }
                rest.at = end.max(from + 1);
                continue;
            }
            _ => {}
        }
        rest.at += 1;
    }
}

/// Whether a member of an object under the name of a secret is one.
fn is_worth_hiding(key: &[u8], name: Name) -> bool {
    let words = Words::of(key);
    let last = words.last();
    if name.is_bare_secret { TELLING.contains(&last) } else { !DESCRIBING.contains(&last) }
}

struct Cursor<'r> {
    record: &'r [u8],
    at: usize,
}

impl Cursor<'_> {
    fn spaces(&mut self) -> usize {
        let spaces = run(&self.record[self.at..], |byte| byte == b' ').min(4);
        self.at += spaces;
        spaces
    }

    /// Takes a quote, if one comes next.
    fn quote(&mut self) -> Option<Quote> {
        let escapes = run(&self.record[self.at..], |byte| byte == b'\\');
        let letter = *self.record.get(self.at + escapes)?;
        if !matches!(letter, b'"' | b'\'') {
            return None;
        }
        self.at += escapes + 1;
        Some(Quote { letter, escapes })
    }
}

/// Where the text ends that began with `quote`: at the same one, with as many backslashes behind those that
/// stand for themselves.
fn closing(value: &[u8], quote: Quote) -> Option<usize> {
    memchr::memchr_iter(quote.letter, value).find_map(|at| {
        let escapes = value[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        let is_same = escapes % (2 * quote.escapes + 2) == quote.escapes;
        is_same.then(|| at - quote.escapes)
    })
}

/// What the name of a secret says.
#[derive(Debug, Clone, Copy)]
struct Name {
    kind: &'static str,
    /// It says no more than `secret`, as much does that is none.
    is_bare_secret: bool,
    /// It is the name of a program too.
    is_program: bool,
}

impl Name {
    /// Nothing when it is the name of something else.
    fn of(name: &[u8]) -> Option<Self> {
        let words = Words::of(name);
        let words = words.without_suffixes();
        let is_known = |said: &&str| NAMES.iter().any(|end| said.ends_with(end));
        // Several passwords are as secret as one; what is called `secrets` is mostly a list of their names.
        let one = words.letters.strip_suffix('s').filter(is_known);
        let said = one.filter(|one| !one.ends_with("secret")).unwrap_or(&words.letters);
        // Shells tell so where they are.
        if name == b"PWD" || name == b"OLDPWD" {
            return None;
        }
        let end = NAMES.iter().find(|end| said.ends_with(**end));
        let kind = match end {
            Some(&("password" | "passwd" | "pwd" | "passphrase")) => "password",
            Some(&"apikey") => "api_key",
            Some(&("accesstoken" | "refreshtoken")) => "token",
            Some(end) if end.ends_with("pass") => "password",
            Some(_) => "secret",
            // `bypass` and `class` end so too.
            None if words.last() == "pass" => "password",
            None => return None,
        };
        let is_program = said.ends_with("passwd");
        Some(Self { kind, is_bare_secret: said == "secret", is_program })
    }
}

/// The words of a name in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` have the same.
#[derive(Debug, Default)]
struct Words {
    letters: String,
    /// Where each begins.
    starts: SmallVec<[usize; 8]>,
}

impl Words {
    fn of(name: &[u8]) -> Self {
        let mut words = Self::default();
        let mut before = b'_';
        for (at, byte) in name.iter().copied().enumerate().take(NAME_BYTES_MAX) {
            if byte.is_ascii_alphanumeric() {
                let is_last_capital = byte.is_ascii_uppercase()
                    && before.is_ascii_uppercase()
                    && name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                let begins = !before.is_ascii_alphanumeric()
                    || byte.is_ascii_uppercase() && !before.is_ascii_uppercase()
                    || byte.is_ascii_digit() != before.is_ascii_digit()
                    || is_last_capital;
                if begins {
                    words.starts.push(words.letters.len());
                }
                words.letters.push(char::from(byte.to_ascii_lowercase()));
            }
            before = byte;
        }
        words
    }

    fn last(&self) -> &str {
        self.starts.last().map_or("", |start| &self.letters[*start..])
    }

    fn without_suffixes(mut self) -> Self {
        for _ in 0..SUFFIXES_MAX {
            let last = self.last();
            let is_number = last.starts_with(|c: char| c.is_ascii_digit());
            if self.starts.len() < 2 || !(is_number || SUFFIXES.contains(&last)) {
                break;
            }
            if let Some(start) = self.starts.pop() {
                self.letters.truncate(start);
            }
        }
        self
    }
}

fn is_secret(value: &[u8]) -> bool {
    let is_filler = |letter: u8| value.iter().all(|byte| *byte == letter);
    value.len() >= VALUE_BYTES_MIN
        && !is_filler(b'*')
        && !is_filler(b'x')
        && !value.starts_with(b"***")
        && !matches!(value[0], b'$' | b'%' | b'<' | b'/')
        && !value.starts_with(b"{{")
        && !PLACEHOLDERS.iter().any(|known| value.eq_ignore_ascii_case(known.as_bytes()))
}
