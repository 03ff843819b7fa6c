//! Secrets that stand in records by mistake: keys of AWS, tokens of well-known services, JSON web tokens, private
//! keys, passwords, also in addresses.
//!
//! Input: the bytes of a record. Output: where what looks like a secret stands, or the same bytes with
//! each replaced by `***KIND:HASH***`. One pass looks for a few beginnings that every secret has; only
//! what it stops at is looked at closely, so that a record without secrets costs little more than
//! reading it. Equal secrets have equal hashes for as long as the server runs: their key is made at the
//! start and kept nowhere, because a password could be guessed from a hash that anybody can compute.

mod named;
mod shapes;
mod unescaped;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::reading::{Held, Reading};
use super::scan::unescape;
use super::standard;
use named::Quote;
use unescaped::Unescaped;

/// Findings listed on one event; all are masked.
const LISTED_MAX: usize = 8;
/// Bytes of a value that is worth hiding.
const VALUE_BYTES_MIN: usize = 4;
/// Bytes of a line of a private key that can be nothing else.
const KEY_LINE_BYTES_MIN: usize = 16;
const HASH_BYTES: usize = 4;
const STARS: &[u8] = b"***";

/// What secrets begin with, or what is in the name of one. No case is folded, for speed: the first
/// letter is left out where it may be a capital. Short words are looked for with what follows them.
const BEGINNINGS: &[(&str, Look)] = &[
    ("AKIA", Look::AwsKey),
    ("ASIA", Look::AwsKey),
    ("eyJ", Look::Token),
    ("ghp_", Look::Issued),
    ("gho_", Look::Issued),
    ("ghs_", Look::Issued),
    ("ghu_", Look::Issued),
    ("github_pat_", Look::Issued),
    ("glpat-", Look::Issued),
    ("xoxb-", Look::Issued),
    ("xoxp-", Look::Issued),
    ("sk_live_", Look::Issued),
    ("rk_live_", Look::Issued),
    ("AIza", Look::Issued),
    ("://", Look::Url),
    (":\\/\\/", Look::Url),
    ("-----BEGIN ", Look::PrivateKey),
    ("assword", Look::Name),
    ("ASSWORD", Look::Name),
    ("asswd", Look::Name),
    ("ASSWD", Look::Name),
    ("assphrase", Look::Name),
    ("ASSPHRASE", Look::Name),
    ("ass=", Look::Name),
    ("ass\"", Look::Name),
    ("ass\\", Look::Name),
    ("ass'", Look::Name),
    ("ass:", Look::Name),
    ("ass_", Look::Name),
    ("ASS=", Look::Name),
    ("ASS\"", Look::Name),
    ("ASS\\", Look::Name),
    ("ASS'", Look::Name),
    ("ASS:", Look::Name),
    ("ASS_", Look::Name),
    ("wd=", Look::Name),
    ("wd\"", Look::Name),
    ("wd\\", Look::Name),
    ("wd'", Look::Name),
    ("wd:", Look::Name),
    ("WD=", Look::Name),
    ("WD\"", Look::Name),
    ("WD:", Look::Name),
    ("ecret", Look::Name),
    ("ECRET", Look::Name),
    ("pi_key", Look::Name),
    ("pi-key", Look::Name),
    ("pikey", Look::Name),
    ("piKey", Look::Name),
    ("pi-Key", Look::Name),
    ("PI_KEY", Look::Name),
    ("PI-KEY", Look::Name),
    ("PIKEY", Look::Name),
    ("PIKey", Look::Name),
    ("ccess_token", Look::Name),
    ("ccess-token", Look::Name),
    ("ccessToken", Look::Name),
    ("ccess-Token", Look::Name),
    ("CCESS_TOKEN", Look::Name),
    ("efresh_token", Look::Name),
    ("efreshToken", Look::Name),
    ("EFRESH_TOKEN", Look::Name),
];

/// How what the pass stopped at is looked at.
#[derive(Debug, Clone, Copy)]
enum Look {
    AwsKey,
    Token,
    Issued,
    Url,
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
        name_service(reading);
    }
}

/// Says whose secret it is where the record does not name its service: the program's, else the source's, else
/// that of who sends from the address.
fn name_service(reading: &mut Reading<'_>) {
    if reading.first(standard::SERVICE_NAME).is_some() {
        return;
    }
    let program = reading.first_text(standard::PROCESS_NAME).filter(|name| !name.is_empty());
    if let Some(program) = program {
        reading.add("service.name", Held::Text(program));
    } else if !reading.origin.source.is_empty() {
        reading.add_text("service.name", &reading.origin.source);
    } else if let Some(peer) = reading.origin.peer {
        reading.add_text("service.name", &peer.to_string());
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

impl Masked {
    /// What was replaced in either, without their bytes.
    pub(crate) fn both(one: Option<&Self>, other: Option<&Self>) -> Option<Self> {
        let marks = one.into_iter().chain(other).flat_map(|masked| masked.marks.iter().cloned());
        let marks: Vec<_> = marks.collect();
        (!marks.is_empty()).then_some(Self { bytes: Vec::new(), marks })
    }
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
            // Each line of a key may have stood in a record of its own.
            if secret.kind == shapes::PRIVATE_KEY {
                let lines = plain.lines().map(str::trim).filter(|line| !line.starts_with('-'));
                for line in lines.filter(|line| line.len() >= KEY_LINE_BYTES_MIN) {
                    add_all(record, line.as_bytes(), secret.kind, &mut secrets);
                }
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

/// What looks like a secret, in order, without overlaps; letters that JSON may write as `\u0070` count as
/// themselves.
fn find(record: &[u8]) -> Secrets {
    match Unescaped::of(record) {
        None => find_in(record),
        Some(plain) => {
            let found = find_in(&plain.bytes);
            found.into_iter().map(|secret| plain.in_record(secret)).collect()
        }
    }
}

fn find_in(record: &[u8]) -> Secrets {
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
        let mut found = Secrets::new();
        match look {
            Look::AwsKey => found.extend(shapes::aws_key(record, hit.start())),
            Look::Token => found.extend(shapes::token(record, hit.start())),
            Look::Issued => found.extend(shapes::issued(record, hit.start(), hit.end())),
            Look::Url => found.extend(shapes::in_url(record, hit.end())),
            Look::PrivateKey => found.extend(shapes::private_key(record, hit.start())),
            Look::Name => named::named(record, hit.start(), hit.end(), &mut found),
        }
        for secret in found {
            if secret.start >= end {
                end = secret.end;
                secrets.push(secret);
            }
        }
    }
    secrets
}

/// How many bytes at the start are so.
fn run(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_so(*byte)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests;
