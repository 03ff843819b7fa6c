//! What a record says about the ones before and after it.
//!
//! Input: a record. Output: the stream it is of, its text, and whether the line ends with it; nothing
//! for records that stand for themselves. Known are lines of the CRI (`P` and `F`), entries of Docker's
//! json-file, whose text ends with a line feed when the line does, records with `partial_message` as
//! Docker's log drivers make them, syslog messages, and lines without any envelope. Other JSON objects stand for
//! themselves, unless they hold a private key line by line.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::syslog;
use super::trace::Trace;
use crate::protocol::members::{Object, members, string};

static PARTIAL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"partial_message\""));
/// What every entry of Docker's json-file has, and little else.
static STREAM: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"stream\""));
/// What the first line of a private key ends with.
static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("PRIVATE KEY-----"));
/// How rsyslog writes a tab.
const TAB: &[u8] = b"#011";
/// Members that hold the text of a record.
const TEXTS: [&str; 3] = ["log", "message", "msg"];

/// What tells streams apart: equal forms are the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines without envelope.
    Text,
    /// `TIME stdout|stderr P|F TEXT`, by output.
    Cri { is_error: bool },
    /// `{"log":…,"stream":…,"time":…}`, by output.
    Docker { is_error: bool },
    /// Records with `partial_message`, by the hash of what names their line or container.
    Partial(u64),
    /// Other objects, by the hash of their members' names.
    Object(u64),
    /// Syslog messages, by the hash of who wrote them.
    Syslog(u64),
}

/// One record as a piece of others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'r> {
    pub(super) form: Form,
    pub(super) text: Cow<'r, [u8]>,
    /// The line ends here.
    pub(super) is_whole: bool,
    /// It can only be the end of something.
    pub(super) is_last: bool,
}

impl<'r> Piece<'r> {
    /// `has_open`: some record before may go on.
    pub(super) fn of(record: &'r [u8], has_open: bool) -> Option<Self> {
        match record.first()? {
            b'{' => {
                let finders = [&STREAM, &PARTIAL, &KEY];
                let may_be = has_open || finders.iter().any(|one| one.find(record).is_some());
                may_be.then(|| Self::of_object(record)).flatten()
            }
            b'<' => Self::of_syslog(record),
            b'0'..=b'9' => Self::of_cri(record).or_else(|| Some(Self::of_text(record))),
            _ => Some(Self::of_text(record)),
        }
    }

    /// How its trace stands when it goes on with nothing: of objects, only a key is one.
    pub(super) fn begin(&self) -> Trace {
        let trace = Trace::begin(&self.text);
        let is_one = !matches!(self.form, Form::Object(_)) || trace == Trace::Key;
        if is_one { trace } else { Trace::None }
    }

    fn of_text(record: &'r [u8]) -> Self {
        Self { form: Form::Text, text: Cow::Borrowed(record), is_whole: true, is_last: false }
    }

    fn of_syslog(record: &'r [u8]) -> Option<Self> {
        let message = syslog::message(record)?;
        let text = &record[message.text_start..];
        if text.first() == Some(&b'{') {
            return None;
        }
        let form = Form::Syslog(hash((message.priority, message.writer)));
        let text = match text.strip_prefix(TAB) {
            Some(rest) => Cow::Owned([b"\t", rest].concat()),
            None => Cow::Borrowed(text),
        };
        Some(Self { form, text, is_whole: true, is_last: false })
    }

    fn of_cri(record: &'r [u8]) -> Option<Self> {
        let (_, tag, text) = cri(record)?;
        let is_error = record.get(..48).unwrap_or(record).windows(7).any(|word| word == b" stderr");
        let is_whole = match tag.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        let form = Form::Cri { is_error };
        Some(Self { form, text: Cow::Borrowed(text), is_whole, is_last: false })
    }

    fn of_object(record: &[u8]) -> Option<Self> {
        let document = std::str::from_utf8(record).ok()?;
        let (mut text, mut output, mut id, mut container) = (None, None, None, None);
        let (mut is_partial, mut is_last) = (false, None);
        // An entry of json-file has these and no others, whoever wrote it anew.
        let (mut has_log, mut has_time, mut has_others) = (false, false, false);
        let mut names = DefaultHasher::new();
        for member in members(document) {
            let (key, value) = member.ok()?;
            key.hash(&mut names);
            has_log |= key == "log";
            has_others |= !matches!(&*key, "log" | "stream" | "time" | "attrs");
            match &*key {
                key if TEXTS.contains(&key) && text.is_none() => text = string(value),
                "stream" => output = string(value),
                "time" => has_time = true,
                "partial_message" => is_partial = is_true(value),
                "partial_last" => is_last = Some(is_true(value)),
                "partial_id" => id = string(value),
                "container_id" => container = string(value),
                _ => {}
            }
        }
        let mut text = text?.into_owned().into_bytes();
        let is_of_file = has_log && has_time && !has_others;
        let (form, is_whole, is_last) = match (is_partial, &output) {
            (false, Some(output)) if is_of_file && ["stdout", "stderr"].contains(&&**output) => {
                let is_whole = text.pop_if(|byte| *byte == b'\n').is_some();
                (Form::Docker { is_error: output == "stderr" }, is_whole, false)
            }
            (false, _) => match container {
                Some(container) => (Form::Partial(hash(container)), true, true),
                None => (Form::Object(names.finish()), true, false),
            },
            // Drivers that name no last piece leave the mark away on it.
            (true, _) => {
                let named = id.filter(|_| is_last.is_some()).or(container);
                (Form::Partial(hash(named?)), is_last == Some(true), is_last == Some(true))
            }
        };
        Some(Self { form, text: Cow::Owned(text), is_whole, is_last })
    }
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "\"true\"")
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What stands before the tag, the tag, and the text.
fn cri(record: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut spaces = memchr::memchr_iter(b' ', record);
    let (stamp, output) = (spaces.next()?, spaces.next()?);
    let is_stamp = (20..=40).contains(&stamp) && record.get(10) == Some(&b'T');
    let is_output = matches!(&record[stamp + 1..output], b"stdout" | b"stderr");
    if !is_stamp || !is_output {
        return None;
    }
    let rest = &record[output + 1..];
    let tag = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    Some((&record[..=output], &rest[..tag], rest.get(tag + 1..).unwrap_or_default()))
}

/// The first record with the text of all.
pub(super) fn content(first: &[u8], text: &[u8], is_whole: bool) -> Vec<u8> {
    if let (Some(b'<'), Some(message)) = (first.first(), syslog::message(first)) {
        return [&first[..message.text_start], text].concat();
    }
    if let Some((head, ..)) = cri(first) {
        let tag: &[u8] = if is_whole { b"F " } else { b"P " };
        return [head, tag, text].concat();
    }
    let document = String::from_utf8_lossy(first);
    let text = String::from_utf8_lossy(text);
    let (mut object, mut has_text) = (Object::default(), false);
    for (key, value) in members(&document).map_while(Result::ok) {
        match &*key {
            key if TEXTS.contains(&key) && !has_text => {
                has_text = true;
                object.put_text(key, &text);
            }
            key if key.starts_with("partial_") => {}
            key => object.put(key, value),
        }
    }
    object.finish().into_bytes()
}
