//! Secrets that stand in records by mistake: keys of AWS, JSON web tokens, private keys, passwords.
//!
//! Input: the bytes of a record. Output: where what looks like a secret stands, or the same bytes with
//! each replaced by `***KIND:HASH***`. One pass looks for a few beginnings that every secret has; only
//! what it stops at is looked at closely, so that a record without secrets costs little more than
//! reading it. Equal secrets have equal hashes for as long as the server runs: their key is made at the
//! start and kept nowhere, because a password could be guessed from a hash that anybody can compute.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::reading::{Held, Reading};
use super::scan::unescape;
use super::standard;

/// Findings listed on one event; all are masked.
const LISTED_MAX: usize = 8;
/// Bytes of a value that is worth hiding.
const VALUE_BYTES_MIN: usize = 4;
/// What comes so late after its name is no value of it.
const VALUE_BYTES_MAX: usize = 1_024;
const NAME_BYTES_MAX: usize = 64;
const PRIVATE_KEY_BYTES_MAX: usize = 16 << 10;
const HASH_BYTES: usize = 4;
const STARS: &[u8] = b"***";

/// What secrets begin with, or what is in the name of one. No case is folded, for speed: the first
/// letter is left out where it may be a capital.
const BEGINNINGS: &[(&str, Look)] = &[
    ("AKIA", Look::AwsKey),
    ("ASIA", Look::AwsKey),
    ("eyJ", Look::Token),
    ("-----BEGIN ", Look::PrivateKey),
    ("assword", Look::Name),
    ("ASSWORD", Look::Name),
    ("asswd", Look::Name),
    ("assphrase", Look::Name),
    ("pwd=", Look::Name),
    ("pwd\"", Look::Name),
    ("ecret", Look::Name),
    ("ECRET", Look::Name),
    ("api_key", Look::Name),
    ("apikey", Look::Name),
    ("apiKey", Look::Name),
    ("API_KEY", Look::Name),
    ("ccess_token", Look::Name),
    ("ccessToken", Look::Name),
    ("efresh_token", Look::Name),
    ("efreshToken", Look::Name),
];

/// Ends of the names whose values are secrets, in lower case and without joints.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secretkey",
    "secretaccesskey",
    "apikey",
    "accesstoken",
    "refreshtoken",
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

/// How what the pass stopped at is looked at.
#[derive(Debug, Clone, Copy)]
enum Look {
    AwsKey,
    Token,
    PrivateKey,
    Name,
}

/// One finding: bytes `start..end` of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Secret {
    kind: &'static str,
    start: usize,
    end: usize,
    /// What its mark stands in, as the value of JSON that had no quotes.
    quote: Option<Quote>,
}

impl Secret {
    fn put_quote(&self, bytes: &mut Vec<u8>) {
        if let Some(Quote { letter, escapes }) = self.quote {
            bytes.extend(std::iter::repeat_n(b'\\', escapes));
            bytes.push(letter);
        }
    }
}

type Secrets = SmallVec<[Secret; 2]>;

/// Lists what looks like a secret in `lw.secrets` of the event, as `KIND:PLACE`.
pub(super) fn list(reading: &mut Reading<'_>) {
    let text = reading.record();
    for secret in find(text.as_bytes()).iter().take(LISTED_MAX) {
        let found = &text[secret.start..secret.end];
        add(reading, secret.kind, found);
    }
}

/// Lists those that were masked before the record was read.
pub(super) fn list_masked(reading: &mut Reading<'_>, masked: &Masked) {
    for (kind, mark) in masked.marks.iter().take(LISTED_MAX) {
        add(reading, kind, mark);
    }
}

fn add(reading: &mut Reading<'_>, kind: &'static str, found: &str) {
    // Escapes are taken off in fields; up to the first the texts agree.
    let plain = found.split('\\').next().unwrap_or_default();
    let holder = reading.entries.iter().find(|entry| {
        let holds = match entry.value {
            Held::Text(text) => reading.str(text).contains(plain),
            Held::Signed(number) => number.to_string() == plain,
            _ => false,
        };
        holds && !plain.is_empty() && !entry.is_dropped
    });
    let place = match holder {
        Some(entry) if !entry.path.is_empty() => entry.path,
        Some(entry) => match Reading::standard_of(entry) {
            Some(place) => reading.keep(logwarden_event::STANDARD_FIELDS[usize::from(place)].name),
            None => reading.keep("record"),
        },
        None if reading.str(reading.message).contains(plain) => reading.keep("message"),
        None => reading.keep("record"),
    };
    let mut listed = format!("{kind}:");
    listed.push_str(reading.str(place));
    let is_listed = reading.standard_texts(standard::SECRETS).any(|known| known == listed);
    if !is_listed {
        reading.add_text("lw.secrets", &listed);
    }
}

/// Bytes in which each secret was replaced.
#[derive(Debug)]
pub(crate) struct Masked {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Kind and replacement of each.
    marks: Vec<(&'static str, String)>,
}

/// Replaces what looks like a secret; `None` when there is none.
pub(crate) fn mask(record: &[u8]) -> Option<Masked> {
    replace(record, &find(record))
}

/// Replaces what looks like a secret in a record, and what does in the JSON that was made of it: in a binary form
/// a name does not stand beside its value as text has it. `None` when there is none.
pub(crate) fn mask_with(record: &[u8], made: &[&[u8]]) -> Option<Masked> {
    let mut secrets = find(record);
    for made in made {
        for secret in find(made) {
            let value = &made[secret.start..secret.end];
            let mut plain = String::new();
            if let Ok(text) = std::str::from_utf8(value) {
                unescape(text, &mut plain);
            }
            for said in [value, plain.as_bytes()] {
                add_all(record, said, secret.kind, &mut secrets);
            }
        }
    }
    replace(record, &secrets)
}

/// Adds every place of a value, where no secret is known yet.
fn add_all(record: &[u8], value: &[u8], kind: &'static str, secrets: &mut Secrets) {
    if value.len() < VALUE_BYTES_MIN {
        return;
    }
    for start in memchr::memmem::find_iter(record, value) {
        let end = start + value.len();
        let place = secrets.partition_point(|known| known.end <= start);
        if secrets.get(place).is_none_or(|next| end <= next.start) {
            secrets.insert(place, Secret { kind, start, end, quote: None });
        }
    }
}

fn replace(record: &[u8], secrets: &Secrets) -> Option<Masked> {
    if secrets.is_empty() {
        return None;
    }
    let mut masked = Masked { bytes: Vec::with_capacity(record.len()), marks: Vec::new() };
    let mut end = 0;
    for secret in secrets {
        masked.bytes.extend_from_slice(&record[end..secret.start]);
        let hash = hash(&record[secret.start..secret.end]);
        let mark = format!("***{}:{hash}***", secret.kind);
        secret.put_quote(&mut masked.bytes);
        masked.bytes.extend_from_slice(mark.as_bytes());
        secret.put_quote(&mut masked.bytes);
        masked.marks.push((secret.kind, mark));
        end = secret.end;
    }
    masked.bytes.extend_from_slice(&record[end..]);
    Some(masked)
}

/// The record with stars for each secret, masked or not; `None` when there is none. It is the same of a
/// record and of what was kept of it in an earlier life of the server, where hashes were others.
pub(crate) fn without_secrets(record: &[u8]) -> Option<Vec<u8>> {
    let masked = mask(record);
    let mut rest = masked.as_ref().map_or(record, |masked| &masked.bytes);
    let (mut blank, mut has_secrets) = (Vec::new(), false);
    while let Some(at) = memchr::memmem::find(rest, STARS) {
        blank.extend_from_slice(&rest[..at]);
        let mark = mark_bytes(&rest[at..]);
        has_secrets |= mark.is_some();
        blank.extend_from_slice(if mark.is_some() { STARS } else { b"*" });
        rest = &rest[at + mark.unwrap_or(1)..];
    }
    blank.extend_from_slice(rest);
    has_secrets.then_some(blank)
}

/// How long the mark is that `text` begins with.
fn mark_bytes(text: &[u8]) -> Option<usize> {
    let kind = &text[STARS.len()..];
    let kind_bytes = run(kind, |byte| byte.is_ascii_lowercase() || byte == b'_');
    let hash = kind[kind_bytes..].strip_prefix(b":")?;
    let hash_bytes = run(hash, |byte| byte.is_ascii_hexdigit());
    let is_mark = hash_bytes == 2 * HASH_BYTES && hash[hash_bytes..].starts_with(STARS);
    is_mark.then_some(STARS.len() + kind_bytes + 1 + hash_bytes + STARS.len())
}

fn hash(secret: &[u8]) -> String {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system has randomness");
        key
    });
    let digest = Sha256::new().chain_update(*KEY).chain_update(secret).finalize();
    digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What looks like a secret, in order, without overlaps.
fn find(record: &[u8]) -> Secrets {
    static SEARCHER: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(BEGINNINGS.iter().map(|(beginning, _)| beginning))
            .expect("a few short patterns always fit")
    });
    let mut secrets = Secrets::new();
    let mut end = 0;
    for hit in SEARCHER.find_iter(record) {
        if hit.start() < end {
            continue;
        }
        let look = BEGINNINGS[hit.pattern().as_usize()].1;
        let found = match look {
            Look::AwsKey => aws_key(record, hit.start()),
            Look::Token => token(record, hit.start()),
            Look::PrivateKey => private_key(record, hit.start()),
            Look::Name => named(record, hit.start(), hit.end()),
        };
        if let Some(secret) = found.filter(|secret| secret.start >= end) {
            end = secret.end;
            secrets.push(secret);
        }
    }
    secrets
}

/// `AKIA` and 16 capitals or digits, standing alone.
fn aws_key(record: &[u8], start: usize) -> Option<Secret> {
    let end = start + run(&record[start..], |byte| byte.is_ascii_alphanumeric());
    let is_alone = start == 0 || !record[start - 1].is_ascii_alphanumeric();
    let is_key = end - start == 20
        && record[start..end].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (is_alone && is_key).then_some(Secret { kind: "aws_access_key", start, end, quote: None })
}

/// Three parts of base 64 with dots between them, the first two JSON objects.
fn token(record: &[u8], start: usize) -> Option<Secret> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if start > 0 && is_letter(record[start - 1]) {
        return None;
    }
    let part = |from: usize| {
        let length = run(record.get(from..)?, is_letter);
        (length >= 10).then_some(from + length)
    };
    let header = part(start)?;
    let body_start = header + 1;
    if record.get(header) != Some(&b'.') || !record.get(body_start..)?.starts_with(b"eyJ") {
        return None;
    }
    let body = part(body_start)?;
    if record.get(body) != Some(&b'.') {
        return None;
    }
    Some(Secret { kind: "jwt", start, end: part(body + 1)?, quote: None })
}

/// From `-----BEGIN … PRIVATE KEY-----` to its end, line breaks in whatever form.
fn private_key(record: &[u8], start: usize) -> Option<Secret> {
    let text = &record[start..record.len().min(start + PRIVATE_KEY_BYTES_MAX)];
    let label = memchr::memmem::find(&text[..text.len().min(64)], b"PRIVATE KEY-----")?;
    let end = memchr::memmem::find(&text[label..], b"-----END ").and_then(|end| {
        let close = label + end + b"-----END ".len();
        Some(close + memchr::memmem::find(&text[close..], b"-----")? + 5)
    });
    // Cut off before its end it is still one, up to where its letters end.
    let end = end.unwrap_or_else(|| {
        let body = label + b"PRIVATE KEY-----".len();
        let is_body = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=\\".contains(&byte)
        };
        body + run(&text[body..], is_body)
    });
    Some(Secret { kind: "private_key", start, end: start + end, quote: None })
}

/// `password=…`, `"password": "…"` and the like.
fn named(record: &[u8], hit: usize, hit_end: usize) -> Option<Secret> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let before = record[..hit].iter().rev().take(NAME_BYTES_MAX);
    let name_start = hit - before.take_while(|byte| is_name(**byte)).count();
    // The hit itself may end with what follows the name.
    let name_end = hit + run(&record[hit..], is_name);
    if hit_end > name_end + 1 || name_end - name_start > NAME_BYTES_MAX {
        return None;
    }
    let mut rest = Cursor { record, at: name_end };
    let name_quote = rest.quote();
    rest.spaces();
    let separator = *record.get(rest.at)?;
    // `Password: …` without quotes is what a program asks, not what it was told.
    if separator != b'=' && !(separator == b':' && name_quote.is_some()) {
        return None;
    }
    rest.at += 1;
    rest.spaces();
    let quote = rest.quote();
    let start = rest.at;
    let value = &record[start..record.len().min(start + VALUE_BYTES_MAX)];
    let end = match quote {
        Some(quote) => closing(value, quote)?,
        None => run(value, |byte| {
            byte.is_ascii_graphic() && !b",;&\"'<>(){}[]\\|".contains(&byte) || !byte.is_ascii()
        }),
    };
    // Cut in the middle of a letter, a value would be no text.
    let end = if end == VALUE_BYTES_MAX {
        let back =
            (0..4).find(|back| record.get(start + end - back).is_none_or(|b| b & 0xC0 != 0x80));
        end - back.unwrap_or(0)
    } else {
        end
    };
    let kind = kind_of(&record[name_start..name_end])?;
    let mark_quote = if separator == b':' && quote.is_none() { name_quote } else { None };
    let secret = Secret { kind, start, end: start + end, quote: mark_quote };
    is_secret(&value[..end]).then_some(secret)
}

struct Cursor<'r> {
    record: &'r [u8],
    at: usize,
}

/// A quote, and the backslashes before it where it stands in a text of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    letter: u8,
    escapes: usize,
}

impl Cursor<'_> {
    fn spaces(&mut self) {
        self.at += run(&self.record[self.at..], |byte| byte == b' ').min(4);
    }

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

/// Where the text ends that began with `quote`: at the same one, with as many backslashes.
fn closing(value: &[u8], quote: Quote) -> Option<usize> {
    memchr::memchr_iter(quote.letter, value).find_map(|at| {
        let escapes = value[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        (escapes == quote.escapes).then_some(at - escapes)
    })
}

fn kind_of(name: &[u8]) -> Option<&'static str> {
    let mut word = SmallVec::<[u8; NAME_BYTES_MAX]>::new();
    word.extend(
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase),
    );
    let end = NAMES.iter().find(|end| word.ends_with(end.as_bytes()))?;
    Some(match *end {
        "password" | "passwd" | "pwd" | "passphrase" => "password",
        "apikey" => "api_key",
        "accesstoken" | "refreshtoken" => "token",
        _ => "secret",
    })
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

/// How many bytes at the start are so.
fn run(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_so(*byte)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(record: &str, expected: &[(&str, &str)]) {
        let found: Vec<_> = find(record.as_bytes())
            .iter()
            .map(|secret| (secret.kind, &record[secret.start..secret.end]))
            .collect();
        assert_eq!(found, expected, "{record}");
    }

    // Made up, in the form of such tokens.
    const JWT: &str =
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

    #[test]
    fn what_has_the_form_of_a_secret_is_one() {
        check("key AKIAIOSFODNN7EXAMPLE used", &[("aws_access_key", "AKIAIOSFODNN7EXAMPLE")]);
        check(&format!("Bearer {JWT}, next"), &[("jwt", JWT)]);
        let key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow==\\n-----END RSA PRIVATE KEY-----";
        check(&format!("{{\"a\":\"{key}\\n\"}}"), &[("private_key", key)]);
        check(
            "-----BEGIN PRIVATE KEY-----\nMIIEow",
            &[("private_key", "-----BEGIN PRIVATE KEY-----\nMIIEow")],
        );
        for not in [
            "AKIAIOSFODNN7EXAMPL",
            "XAKIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7EXAMPLEX",
            "AKIAiosfodnn7example",
            "eyJhbGciOiJIUzI1NiJ9",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
            "-----BEGIN CERTIFICATE-----\nMIIEow==\n-----END CERTIFICATE-----",
        ] {
            check(not, &[]);
        }
    }

    #[test]
    fn what_has_the_name_of_a_secret_is_one() {
        for (record, kind, value) in [
            ("login password=hunter2 ok", "password", "hunter2"),
            ("?user=a&Password=hunter2&x=1", "password", "hunter2"),
            ("DB_PASSWORD=\"hunter two\"", "password", "hunter two"),
            (r#"{"password":"hunter2"}"#, "password", "hunter2"),
            (r#"{"user.passwd" : "hun\"ter2"}"#, "password", r#"hun\"ter2"#),
            (r#"{"message":"{\"password\":\"hunter2\"}"}"#, "password", "hunter2"),
            (r#"{"pin":1,"password":12345}"#, "password", "12345"),
            ("client_secret=abcd1234", "secret", "abcd1234"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "secret", "wJalrXUtnFEMI/K7MDENG"),
            (r#"{"apiKey":"k-12345"}"#, "api_key", "k-12345"),
            ("access_token=abcdef&x", "token", "abcdef"),
            ("mysql://x?pwd=hunter2", "password", "hunter2"),
        ] {
            check(record, &[(kind, value)]);
        }
        for not in [
            "Failed password for root from 192.0.2.9",
            "Enter password: bob",
            "(using password: YES)",
            "alice : TTY=pts/0 ; PWD=/home/alice ; USER=root",
            r#"{"password_changed":true,"password":null,"passwordPolicy":"strong"}"#,
            "password=***",
            "password=***password:0a1b2c3d***",
            "password=<redacted> password=${DB_PASSWORD} password=xxxxxx",
            r#"{"secretName":"tls-shop","password":""}"#,
            "password=",
        ] {
            check(not, &[]);
        }
    }

    #[test]
    fn a_value_that_is_cut_is_cut_between_letters() {
        for long in ["x€".repeat(600), "€".repeat(600), format!("ab{}", "€".repeat(600))] {
            let record = format!("password={long}");
            let found = find(record.as_bytes());
            assert!(
                record.get(found[0].start..found[0].end).is_some_and(|value| value.len() > 1_000)
            );
        }
    }

    #[test]
    fn masking_hides_and_still_tells_equal_from_different() {
        let masked = |record: &str| {
            String::from_utf8(mask(record.as_bytes()).expect("a secret").bytes).expect("text")
        };
        let [one, same, other] =
            ["a password=hunter2", "b password=hunter2", "c password=hunter3"].map(masked);
        assert!(!one.contains("hunter"));
        assert!(one.starts_with("a password=***password:"));
        assert_eq!(one[1..], same[1..]);
        assert_ne!(one[1..], other[1..]);
        assert!(mask(one.as_bytes()).is_none(), "what is masked is no secret");
        assert!(mask(b"nothing here").is_none());
    }

    #[test]
    fn what_was_found_in_the_json_is_hidden_in_the_form_it_came_in() {
        let came = b"\x82\xa7message\xa6signed\xa8password\xaahun\"ter2abc and hun\"ter2abc";
        let made = br#"{"message":"signed","password":"hun\"ter2abc"}"#;
        let masked = mask_with(came, &[made, b""]).expect("a secret");
        let shown = String::from_utf8_lossy(&masked.bytes);
        assert!(!shown.contains("ter2abc") && shown.contains("signed"), "{shown}");
        assert_eq!(shown.matches("***password:").count(), 2, "{shown}");
        assert!(mask_with(b"nothing", &[b"here", b""]).is_none());
    }

    #[test]
    fn json_stays_json() {
        for record in [
            r#"{"a":1,"password":12345678901,"b":2}"#,
            r#"{"api_key": 12.5e7}"#,
            r#"{"message":"{\"secret\":98765,\"a\":1}"}"#,
        ] {
            let bytes = mask(record.as_bytes()).expect("a secret").bytes;
            let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            if let Some(inner) = value["message"].as_str() {
                let inner: serde_json::Value = serde_json::from_str(inner).expect("JSON");
                assert!(
                    inner["secret"].as_str().is_some_and(|mark| mark.starts_with("***secret:"))
                );
            }
            assert_eq!(without_secrets(&bytes), without_secrets(record.as_bytes()));
        }
    }

    #[test]
    fn without_secrets_a_record_is_what_was_kept_of_it_in_another_life() {
        let check = |record: &str, expected: Option<&str>| {
            let blank = without_secrets(record.as_bytes());
            assert_eq!(blank.as_deref(), expected.map(str::as_bytes), "{record}");
        };
        check("a password=hunter2 b", Some("a password=*** b"));
        check("a password=***password:0a1b2c3d*** b", Some("a password=*** b"));
        check("**** ***jwt:00000000*** ***", Some("**** *** ***"));
        for none in ["a b", "***password:0a1b2c3***", "***password:0a1b2c3d", "****", "***"] {
            check(none, None);
        }
    }

    proptest! {
        #[test]
        fn every_byte_string_is_survived(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "password", "=", "\"", ":", "\\", "eyJ", ".", "AKIA", "-----BEGIN ",
                        "PRIVATE KEY-----", "-----END ", "pwd=", "pwd\"", "apikey",
                    ]).prop_map(|part| part.as_bytes().to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..12),
                ],
                0..12,
            ),
        ) {
            let record = parts.concat();
            let found = find(&record);
            for pair in found.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            if let Some(masked) = mask(&record) {
                prop_assert_eq!(without_secrets(&masked.bytes), without_secrets(&record));
            }
            let text = String::from_utf8_lossy(&record);
            for secret in find(text.as_bytes()) {
                prop_assert!(text.get(secret.start..secret.end).is_some());
            }
        }
    }
}
