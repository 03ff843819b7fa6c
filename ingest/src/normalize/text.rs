//! Records that are lines of text, by the layouts their programs write.
//!
//! Input: what a program said, after its envelope (JSON, syslog) was taken off. Output: the facts in
//! it. A layout is a pure function from a line to [`Facts`] that point into it. Which layouts are
//! tried depends on the program where it is known, else on the line's first byte, so that a line of
//! prose costs one look at a table.

mod access;
mod accounts;
mod applications;
mod audit;
mod cef;
mod container;
mod database;
pub(crate) mod devices;
mod dns;
mod errors;
mod fail2ban;
mod flow;
mod lettered;
mod line;
mod pairs;
mod proxy;
pub(crate) mod sysmon;
mod system;

use std::net::IpAddr;

use chrono_tz::Tz;
use logwarden_event::{FieldOptions, Severity, Timestamp, standard_field};
use smallvec::SmallVec;

use super::authentication::{self, Outcome};
use super::names::table::Scale;
use super::reading::{Held, Reading, Text};
use super::source::Vocabulary;
use super::{Parser, json, names, standard};

/// Lines that are longer are read to here alone; the message has all of it.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Facts of one line; what lies beyond stays in the message.
const FACTS_MAX: usize = 300;

/// One layout.
#[derive(Debug)]
pub(crate) struct Layout {
    /// As source files call it.
    pub(crate) name: &'static str,
    /// The source file of lines that are known by their layout alone; empty: only of programs that
    /// name it.
    kind: &'static str,
    /// What such lines begin with.
    starts: Starts,
    read: for<'t> fn(&'t str, &Context) -> Option<Facts<'t>>,
}

/// What the lines of a layout may begin with.
#[derive(Debug, Clone, Copy)]
enum Starts {
    Never,
    Digit,
    Bytes(&'static [u8]),
    Letter,
}

/// What a line itself does not say.
#[derive(Debug, Clone, Copy)]
struct Context {
    zone: Tz,
    now: Timestamp,
}

/// What one line says, in places of its text.
#[derive(Debug, Default)]
struct Facts<'t> {
    fields: SmallVec<[(Path<'t>, Fact<'t>); 16]>,
    time: Option<Timestamp>,
    /// A time that cannot be read.
    doubted: &'t str,
    level: &'t str,
    /// How bad it is, where no word of the line says it.
    severity: Option<Severity>,
    /// What the program said, without what stands around it.
    message: Option<&'t str>,
    /// The rest is a JSON object, or may be.
    is_envelope: bool,
    sign_in: Option<Outcome>,
    classes: SmallVec<[&'static str; 2]>,
    /// Some names are the sender's own, and mean what such names mean.
    has_own_names: bool,
    /// Standard fields whose texts had to be put together.
    made: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Path<'t> {
    /// A standard name, or one of ours for what has none.
    Ours(&'static str),
    /// The sender's name.
    Sent(&'t str),
}

/// One value.
#[derive(Debug, Clone, Copy)]
enum Fact<'t> {
    Text(&'t str),
    /// With backslashes before what would end it.
    Escaped(&'t str),
    /// With entities of XML.
    Xml(&'t str),
    /// Bytes in hexadecimal, with NUL between arguments.
    Hex(&'t str),
    /// With each quote written twice.
    Csv(&'t str),
    Word(&'static str),
    Integer(i64),
    Float(f64),
    Ip(IpAddr),
}

impl<'t> Facts<'t> {
    /// Facts of an event with this category, type and action.
    fn of(category: &'static str, kind: &'static str, action: &'static str) -> Self {
        let mut facts = Self::default();
        facts.word("event.category", category);
        facts.word("event.type", kind);
        facts.word("event.action", action);
        facts
    }

    fn add(&mut self, path: Path<'t>, fact: Fact<'t>) {
        if self.fields.len() < FACTS_MAX {
            self.fields.push((path, fact));
        }
    }

    fn word(&mut self, path: &'static str, word: &'static str) {
        if !word.is_empty() {
            self.add(Path::Ours(path), Fact::Word(word));
        }
    }

    /// Adds a text; an empty one and `-` say nothing.
    fn text(&mut self, path: &'static str, text: &'t str) {
        if !text.is_empty() && text != "-" {
            self.add(Path::Ours(path), Fact::Text(text));
        }
    }

    fn escaped(&mut self, path: &'static str, text: &'t str) {
        if !text.is_empty() && text != "-" {
            self.add(Path::Ours(path), Fact::Escaped(text));
        }
    }

    /// Adds a whole number, if it is one.
    fn integer(&mut self, path: &'static str, digits: &str) {
        if let Ok(number) = digits.parse() {
            self.add(Path::Ours(path), Fact::Integer(number));
        }
    }

    /// Adds an address under `ip`, or a name under `name`.
    fn address(&mut self, ip: &'static str, name: &'static str, text: &'t str) {
        match text.parse() {
            Ok(address) => self.add(Path::Ours(ip), Fact::Ip(address)),
            Err(_) => self.text(name, text),
        }
    }

    /// Adds where it came from.
    fn source(&mut self, text: &'t str) {
        self.address("source.ip", "source.address", text);
    }

    /// Adds where it came from, `ADDRESS:PORT` or an address alone.
    fn source_pair(&mut self, text: &'t str) {
        let (address, port) = line::host_and_port(text);
        self.source(address);
        self.integer("source.port", port);
    }

    /// Adds where it came from, `ADDRESS:PORT` always, also of IPv6 without brackets.
    fn source_with_port(&mut self, text: &'t str) {
        match text.rsplit_once(':') {
            Some((address, port)) if !address.ends_with(']') && line::is_digits(port) => {
                self.source(address);
                self.integer("source.port", port);
            }
            _ => self.source_pair(text),
        }
    }

    /// Adds a field as the sender named it.
    fn sent(&mut self, name: &'t str, fact: Fact<'t>) {
        self.has_own_names = true;
        self.add(Path::Sent(name), fact);
    }
}

/// Every layout. Of those that begin alike the more exact stand first.
pub(crate) static LAYOUTS: &[Layout] = &[
    Layout { name: "cef", kind: "cef", starts: Starts::Bytes(b"C"), read: cef::cef },
    Layout { name: "leef", kind: "leef", starts: Starts::Bytes(b"L"), read: cef::leef },
    Layout { name: "auditd", kind: "auditd", starts: Starts::Bytes(b"tna"), read: audit::auditd },
    Layout { name: "sysmon", kind: "sysmon", starts: Starts::Bytes(b"<"), read: sysmon::sysmon },
    Layout { name: "cisco", kind: "cisco", starts: Starts::Bytes(b"%"), read: devices::cisco },
    Layout { name: "huawei", kind: "huawei", starts: Starts::Bytes(b"%"), read: devices::huawei },
    Layout { name: "panos", kind: "paloalto", starts: Starts::Digit, read: devices::panos },
    Layout { name: "cri", kind: "", starts: Starts::Digit, read: container::cri },
    Layout { name: "mysql", kind: "mysql", starts: Starts::Digit, read: database::mysql },
    Layout {
        name: "postgresql_csv",
        kind: "postgresql",
        starts: Starts::Digit,
        read: database::postgresql_csv,
    },
    Layout {
        name: "postgresql",
        kind: "postgresql",
        starts: Starts::Digit,
        read: database::postgresql,
    },
    Layout { name: "fail2ban", kind: "fail2ban", starts: Starts::Digit, read: fail2ban::fail2ban },
    Layout { name: "bind", kind: "bind", starts: Starts::Bytes(b"0123c"), read: dns::bind },
    Layout { name: "nginx_error", kind: "nginx", starts: Starts::Digit, read: errors::nginx },
    Layout { name: "haproxy", kind: "haproxy", starts: Starts::Digit, read: proxy::haproxy },
    Layout { name: "vpcflow", kind: "aws_vpcflow", starts: Starts::Digit, read: flow::vpc },
    Layout { name: "access", kind: "access", starts: Starts::Digit, read: access::access },
    Layout { name: "access_host", kind: "access", starts: Starts::Letter, read: access::access },
    Layout { name: "envoy", kind: "envoy", starts: Starts::Bytes(b"["), read: proxy::envoy },
    Layout { name: "coredns", kind: "coredns", starts: Starts::Bytes(b"["), read: dns::coredns },
    Layout {
        name: "apache_error",
        kind: "apache",
        starts: Starts::Bytes(b"["),
        read: errors::apache,
    },
    Layout { name: "monolog", kind: "", starts: Starts::Bytes(b"["), read: applications::monolog },
    Layout { name: "serilog", kind: "", starts: Starts::Bytes(b"["), read: applications::serilog },
    Layout {
        name: "bracketed",
        kind: "",
        starts: Starts::Bytes(b"["),
        read: applications::bracketed,
    },
    Layout { name: "klog", kind: "", starts: Starts::Bytes(b"IWEF"), read: lettered::klog },
    Layout { name: "ruby", kind: "", starts: Starts::Bytes(b"DIWEFA"), read: lettered::ruby },
    Layout { name: "go", kind: "", starts: Starts::Digit, read: lettered::go },
    Layout {
        name: "application",
        kind: "",
        starts: Starts::Digit,
        read: applications::application,
    },
    Layout {
        name: "application_level",
        kind: "",
        starts: Starts::Bytes(b"IWECDTF["),
        read: applications::level_first,
    },
    Layout { name: "pairs", kind: "", starts: Starts::Letter, read: pairs::pairs },
    Layout {
        name: "postgresql_message",
        kind: "",
        starts: Starts::Never,
        read: database::postgresql_message,
    },
    Layout {
        name: "mysql_message",
        kind: "",
        starts: Starts::Never,
        read: database::mysql_message,
    },
    Layout { name: "fail2ban_message", kind: "", starts: Starts::Never, read: fail2ban::message },
    Layout { name: "clamav", kind: "", starts: Starts::Never, read: devices::clamav },
    Layout { name: "dnsmasq", kind: "", starts: Starts::Never, read: dns::dnsmasq },
    Layout { name: "named", kind: "", starts: Starts::Never, read: dns::named },
    Layout { name: "sudo", kind: "", starts: Starts::Never, read: accounts::sudo },
    Layout { name: "su", kind: "", starts: Starts::Never, read: accounts::su },
    Layout { name: "login", kind: "", starts: Starts::Never, read: accounts::login },
    Layout { name: "accounts", kind: "", starts: Starts::Never, read: accounts::accounts },
    Layout { name: "cron", kind: "", starts: Starts::Never, read: system::cron },
    Layout { name: "systemd", kind: "", starts: Starts::Never, read: system::systemd },
    Layout { name: "kernel", kind: "", starts: Starts::Never, read: system::kernel },
    Layout { name: "logind", kind: "", starts: Starts::Never, read: system::logind },
];

/// For each first byte, the layouts that a line may have.
static BY_FIRST_BYTE: std::sync::LazyLock<[Vec<&'static Layout>; 256]> =
    std::sync::LazyLock::new(|| {
        std::array::from_fn(|byte| {
            let byte = byte as u8;
            let may_start = |layout: &&Layout| match layout.starts {
                Starts::Never => false,
                Starts::Digit => byte.is_ascii_digit(),
                Starts::Bytes(bytes) => bytes.contains(&byte),
                Starts::Letter => byte.is_ascii_alphabetic() || matches!(byte, b':' | b'_'),
            };
            LAYOUTS.iter().filter(may_start).collect()
        })
    });

/// Reads lines by their layout.
pub(crate) struct Lines;

impl Parser for Lines {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        read(reading, true)
    }
}

/// `may_open`: the line may be an envelope around another one, which is looked at once.
fn read(reading: &mut Reading<'_>, may_open: bool) -> bool {
    let content = without_colours(reading, reading.content);
    let whole = reading.str(content);
    let line = &whole[..whole.floor_char_boundary(LINE_BYTES_MAX)];
    let Some(first) = line.as_bytes().first() else { return false };
    let context = Context { zone: reading.origin.zone, now: reading.now };
    let by_program = reading.kind.map_or(&[][..], |kind| &kind.layouts);
    // A program that is known writes what its source file says; JSON may hold anybody's line.
    let may_be_any = reading.is_json || reading.kind.is_none_or(|kind| kind.is_envelope);
    let by_shape = if may_be_any { &BY_FIRST_BYTE[usize::from(*first)][..] } else { &[] };
    let mut layouts = by_program.iter().chain(by_shape);
    let Some((layout, facts)) =
        layouts.find_map(|layout| (layout.read)(line, &context).map(|facts| (*layout, facts)))
    else {
        return false;
    };
    if facts.is_envelope && !may_open {
        return false;
    }
    let is_by_shape = !by_program.iter().any(|known| std::ptr::eq(*known, layout));
    let said = Said::of(reading, content, facts);
    let is_free = is_by_shape && reading.kind.is_none_or(|kind| kind.is_envelope);
    if is_free && let Some(kind) = Vocabulary::get().named(layout.kind) {
        reading.kind = Some(kind);
    }
    said.apply(reading)
}

/// The line without the colours of a terminal, which some loggers write wherever they write to.
fn without_colours(reading: &mut Reading<'_>, content: Text) -> Text {
    let line = reading.str(content);
    if line.len() > LINE_BYTES_MAX || !line.contains("\u{1b}[") {
        return content;
    }
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let codes = part.bytes().take_while(|b| b.is_ascii_digit() || *b == b';').count();
        match part[codes..].strip_prefix('m') {
            Some(rest) => plain.push_str(rest),
            None => {
                plain.push_str("\u{1b}[");
                plain.push_str(part);
            }
        }
    }
    reading.keep(&plain)
}

/// Facts that no longer borrow the line.
struct Said {
    fields: SmallVec<[(Named, Value); 16]>,
    time: Option<Timestamp>,
    doubted: Text,
    level: Text,
    severity: Option<Severity>,
    message: Option<Text>,
    is_envelope: bool,
    sign_in: Option<Outcome>,
    classes: SmallVec<[&'static str; 2]>,
    has_own_names: bool,
    made: Vec<(&'static str, String)>,
}

enum Named {
    Ours(&'static str),
    Sent(Text),
}

enum Value {
    Held(Held),
    Escaped(Text),
    Xml(Text),
    Hex(Text),
    Csv(Text),
    Word(&'static str),
}

impl Said {
    fn of(reading: &Reading<'_>, whole: Text, facts: Facts<'_>) -> Self {
        // An empty text may be a constant, which is no part of the line.
        let part = |part: &str| match part {
            "" => Text::default(),
            part => reading.part(whole, part),
        };
        let fields = facts.fields.iter().map(|(path, fact)| {
            let named = match path {
                Path::Ours(name) => Named::Ours(name),
                Path::Sent(name) => Named::Sent(part(name)),
            };
            let value = match fact {
                Fact::Text(text) => Value::Held(Held::Text(part(text))),
                Fact::Escaped(text) if text.contains('\\') => Value::Escaped(part(text)),
                Fact::Escaped(text) => Value::Held(Held::Text(part(text))),
                Fact::Xml(text) if text.contains('&') => Value::Xml(part(text)),
                Fact::Xml(text) => Value::Held(Held::Text(part(text))),
                Fact::Hex(text) => Value::Hex(part(text)),
                Fact::Csv(text) if text.contains('"') => Value::Csv(part(text)),
                Fact::Csv(text) => Value::Held(Held::Text(part(text))),
                Fact::Word(word) => Value::Word(word),
                Fact::Integer(number) => Value::Held(Held::Signed(*number)),
                Fact::Float(number) => Value::Held(Held::Float(*number)),
                Fact::Ip(address) => Value::Held(Held::Ip(*address)),
            };
            (named, value)
        });
        Self {
            fields: fields.collect(),
            time: facts.time,
            doubted: part(facts.doubted),
            level: part(facts.level),
            severity: facts.severity,
            message: facts.message.map(part),
            is_envelope: facts.is_envelope,
            sign_in: facts.sign_in,
            classes: facts.classes.clone(),
            has_own_names: facts.has_own_names,
            made: facts.made,
        }
    }

    fn apply(mut self, reading: &mut Reading<'_>) -> bool {
        for (named, value) in self.fields {
            if matches!(named, Named::Ours("message")) {
                // What had to be written anew is no part of the line.
                self.message = said_anew(reading, value).or(self.message);
            } else {
                add(reading, named, value);
            }
        }
        if let Some(at) = self.time
            && !reading.time_is_given
            && reading.timestamp.is_none()
            && reading.first(standard::TIME_SUSPECT).is_none()
        {
            names::accept_time(reading, at, |at| at.to_string());
        }
        if !self.doubted.is_empty()
            && !reading.time_is_given
            && reading.timestamp.is_none()
            && reading.first(standard::TIME_SUSPECT).is_none()
        {
            let doubted = reading.str(self.doubted).to_owned();
            names::distrust(reading, &doubted);
        }
        if !self.level.is_empty() {
            let level = Held::Text(self.level);
            let severity = names::severity_of(reading, Scale::Any, &level);
            self.severity = self.severity.or(severity);
            reading.add_missing("log.level", level);
        }
        // What a program says counts more than the priority its line was sent with.
        reading.severity = if reading.is_json {
            reading.severity.or(self.severity)
        } else {
            self.severity.or(reading.severity)
        };
        // A JSON record's message stays as it was sent, unless the record was but an envelope.
        let may_replace = !reading.is_json || self.is_envelope;
        if let Some(message) = self.message.filter(|message| may_replace && !message.is_empty()) {
            reading.message = message;
        }
        if self.has_own_names {
            let message = std::mem::take(&mut reading.message);
            names::resolve(reading);
            if reading.message.is_empty() || !may_replace {
                reading.message = message;
            }
        }
        for (name, text) in &self.made {
            let text = Held::Text(reading.keep(text));
            reading.add_missing(name, text);
        }
        for class in &self.classes {
            reading.add_class(class);
        }
        if let Some(outcome) = self.sign_in {
            authentication::mark(reading, outcome);
        }
        if self.is_envelope {
            reading.content = reading.message;
            if !json::take_inner(reading) {
                read(reading, false);
            }
        }
        true
    }
}

fn said_anew(reading: &mut Reading<'_>, value: Value) -> Option<Text> {
    match held(reading, value) {
        Held::Text(text) => Some(text),
        _ => None,
    }
}

fn held(reading: &mut Reading<'_>, value: Value) -> Held {
    match value {
        Value::Held(held) => held,
        Value::Word(word) => Held::Text(reading.keep(word)),
        Value::Escaped(text) => {
            let escaped = reading.str(text).to_owned();
            Held::Text(reading.keep_with(|scratch| line::unescape(&escaped, scratch)))
        }
        Value::Xml(text) => {
            let escaped = reading.str(text).to_owned();
            Held::Text(reading.keep_with(|scratch| sysmon::unescape(&escaped, scratch)))
        }
        Value::Csv(text) => {
            let doubled = reading.str(text).replace("\"\"", "\"");
            Held::Text(reading.keep(&doubled))
        }
        Value::Hex(text) => match audit::decoded(reading.str(text)) {
            Some(decoded) => Held::Text(reading.keep(&decoded)),
            None => Held::Text(text),
        },
    }
}

fn add(reading: &mut Reading<'_>, named: Named, value: Value) {
    let held = held(reading, value);
    let path = match named {
        Named::Ours(name) if standard_field(name).is_some() => {
            reading.add_missing(name, held);
            return;
        }
        Named::Ours(name) => reading.keep(name),
        Named::Sent(name) => name,
    };
    reading.push(path, held, FieldOptions::default());
}
