//! What network devices say over syslog: Cisco, Huawei, Palo Alto Networks; and ClamAV's findings.
//!
//! Input: `%FACILITY-SEVERITY-MNEMONIC: text` (Cisco IOS, NX-OS, ASA), `%%01MODULE/SEVERITY/MNEMONIC(l):text`
//! (Huawei VRP), the comma-separated logs of PAN-OS, and `PATH: SIGNATURE FOUND`. Output: which message it
//! is, how bad, who did it, and the logsources that rules name. The line stays the message, since rules look
//! for its words.
//!
//! Cisco and Huawei put before their mark what no other program does (sequence numbers, a time behind the
//! host, a zone): see [`header`].

use chrono_tz::Tz;
use logwarden_event::{Severity, Timestamp};

use super::line::is_digits;
use super::{Context, Facts};
use crate::normalize::authentication::Outcome;
use crate::normalize::time;

/// Bytes in which a header ends.
const HEADER_BYTES_MAX: usize = 160;
const WORD_BYTES_MAX: usize = 80;

/// What stands before the mark of a device.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceHeader<'t> {
    pub(crate) time: Option<Timestamp>,
    /// Empty when it names none.
    pub(crate) host: &'t str,
    /// From the mark on.
    pub(crate) message: &'t str,
}

/// Reads what follows the priority of a message of a device; nothing for any other program's.
pub(crate) fn header(text: &str, zone: Tz, now: Timestamp) -> Option<DeviceHeader<'_>> {
    let head = &text[..text.floor_char_boundary(HEADER_BYTES_MAX)];
    let mark = memchr::memchr_iter(b'%', head.as_bytes()).find(|at| {
        let stands_alone = *at == 0 || matches!(head.as_bytes()[at - 1], b' ' | b':');
        stands_alone && (cisco_mark(&text[*at..]).is_some() || huawei_mark(&text[*at..]).is_some())
    })?;
    let mut found = DeviceHeader { message: &text[mark..], ..DeviceHeader::default() };
    let mut is_certain = false;
    for piece in text[..mark].split(": ") {
        let piece = piece.trim_matches([' ', ':']);
        // `*`: the clock was never set; `.`: it has lost its source.
        let stamp = piece.trim_start_matches(['*', '.']);
        let rest = match stamp_of(stamp, zone, now) {
            Some((at, rest)) => {
                let trusted = !piece.starts_with('*');
                if trusted || !is_certain {
                    found.time = Some(at);
                    is_certain |= trusted;
                }
                rest
            }
            None => piece,
        };
        let is_name = |word: &&str| !is_digits(word) && !is_zone(word);
        if let Some(host) = rest.split(' ').filter(|word| !word.is_empty()).find(is_name)
            && found.host.is_empty()
        {
            found.host = host;
        }
    }
    Some(found)
}

/// A time and what follows it, with the year where each device puts it.
fn stamp_of(text: &str, zone: Tz, now: Timestamp) -> Option<(Timestamp, &str)> {
    let is_utc = text.ends_with(" UTC") || text.ends_with(" GMT");
    let zone = if is_utc { Tz::UTC } else { zone };
    if let Some(read) = time::rfc3164(text, zone, now) {
        return Some(read);
    }
    // NX-OS: `2026 Mar  1 00:01:02 UTC`.
    let (year, rest) =
        text.split_once(' ').filter(|(year, _)| year.len() == 4 && is_digits(year))?;
    let (month_and_day, clock) = rest.split_at_checked(6)?;
    let (clock, after) = clock.trim_start().split_at_checked(8)?;
    let fraction = after.find(' ').unwrap_or(after.len());
    let stamp = format!("{month_and_day} {year} {clock}{}", &after[..fraction]);
    let (at, rest) = time::rfc3164(&stamp, zone, now)?;
    rest.is_empty().then_some((at, &after[fraction..]))
}

fn is_zone(word: &str) -> bool {
    let is_name =
        (3..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase());
    is_name && (word.ends_with('T') || word == "UTC")
}

/// Facility, severity and mnemonic, and the text behind them.
struct Mark<'t> {
    facility: &'t str,
    severity: u8,
    mnemonic: &'t str,
    text: &'t str,
}

/// `%FACILITY-SEVERITY-MNEMONIC: text`; a facility may have parts of its own.
fn cisco_mark(text: &str) -> Option<Mark<'_>> {
    let (word, rest) = text.strip_prefix('%')?.split_once(':')?;
    let (facility, mnemonic) = word.rsplit_once('-')?;
    let (facility, severity) = facility.rsplit_once('-')?;
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let is_mark = word.len() <= WORD_BYTES_MAX
        && is_word(facility)
        && is_word(mnemonic)
        && facility.starts_with(|c: char| c.is_ascii_uppercase());
    let severity = severity.parse().ok().filter(|severity| is_mark && *severity < 8)?;
    Some(Mark { facility, severity, mnemonic, text: rest.trim_start() })
}

/// `%%01MODULE/SEVERITY/MNEMONIC(l)[12]:text`.
fn huawei_mark(text: &str) -> Option<Mark<'_>> {
    let rest = text.strip_prefix("%%")?;
    let rest = rest.get(2..).filter(|_| is_digits(&rest[..2]))?;
    let (word, text) = rest.split_once(':')?;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let mut parts = word.splitn(3, '/');
    let (facility, severity, mnemonic) = (parts.next()?, parts.next()?, parts.next()?);
    let mnemonic = mnemonic.split('(').next().unwrap_or(mnemonic);
    let severity = severity.parse().ok().filter(|severity| *severity < 8)?;
    Some(Mark { facility, severity, mnemonic, text })
}

impl<'t> Mark<'t> {
    fn facts(&self) -> Facts<'t> {
        let severity = Severity::from_syslog(self.severity);
        let mut facts = Facts { severity, ..Facts::default() };
        facts.text("event.code", self.mnemonic);
        facts.text("log.logger", self.facility);
        facts
    }

    fn is_of(&self, facilities: &[&str]) -> bool {
        facilities.contains(&self.facility)
    }
}

/// Reads a message of Cisco's.
pub(super) fn cisco<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mark = cisco_mark(text)?;
    let mut facts = mark.facts();
    let says = |words: &str| memchr::memmem::find(text.as_bytes(), words.as_bytes()).is_some();
    let is_firewall =
        ["ASA", "FTD", "PIX", "FWSM"].iter().any(|name| mark.facility.starts_with(name));
    let is_command = matches!(mark.mnemonic, "CFGLOG_LOGGEDCMD" | "111008" | "111009" | "111010");
    if is_command || mark.is_of(&["AAA", "AAAA", "SEC_LOGIN", "PARSER", "TACACS", "HA_EM", "SYS"]) {
        facts.classes.push("cisco//aaa");
    }
    if mark.is_of(&["BGP", "BGP_SESSION"])
        || (mark.facility == "TCP" && (says(":179") || says("(179)")))
    {
        facts.classes.push("cisco//bgp");
    }
    if mark.is_of(&["LDP", "TDP"]) || says("LDP") {
        facts.classes.push("cisco//ldp");
    }
    if is_firewall {
        facts.classes.push("/firewall/");
    }
    facts.classes.push("cisco//syslog");
    match mark.facility {
        "SEC_LOGIN" => sign_in(&mut facts, &mark),
        "PARSER" => logged_command(&mut facts, mark.text),
        _ if is_firewall => firewall(&mut facts, &mark),
        _ => {}
    }
    Some(facts)
}

/// `Login failed [user: bob] [Source: 192.0.2.9] [localport: 22] [Reason: …]`.
fn sign_in<'t>(facts: &mut Facts<'t>, mark: &Mark<'t>) {
    for (name, key) in [("user.name", "[user: "), ("", "[Source: "), ("event.reason", "[Reason: ")]
    {
        let value = mark.text.split_once(key).and_then(|(_, rest)| rest.split_once(']'));
        match value {
            Some((value, _)) if name.is_empty() => facts.source(value.trim()),
            Some((value, _)) => facts.text(name, value.trim()),
            None => {}
        }
    }
    facts.word("event.action", "login");
    facts.sign_in = match mark.mnemonic {
        "LOGIN_SUCCESS" => Some(Outcome::Success),
        "LOGIN_FAILED" => Some(Outcome::Failure),
        _ => None,
    };
}

/// `User:bob  logged command:show running-config`.
fn logged_command<'t>(facts: &mut Facts<'t>, text: &'t str) {
    let Some((user, command)) =
        text.strip_prefix("User:").and_then(|rest| rest.split_once(" logged command:"))
    else {
        return;
    };
    facts.text("user.name", user.trim());
    facts.text("process.command_line", command.trim());
    facts.word("event.category", "configuration");
}

/// What the firewalls say of sign-ins, commands and connections that are denied.
fn firewall<'t>(facts: &mut Facts<'t>, mark: &Mark<'t>) {
    let quoted = |before: &str| {
        let (_, rest) = mark.text.split_once(before)?;
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split(quote).next()
    };
    match mark.mnemonic {
        "605004" | "605005" => {
            // `Login denied from 192.0.2.9/1234 to outside:203.0.113.1/ssh for user "bob"`.
            let from = mark.text.split_once(" from ").and_then(|(_, rest)| rest.split(' ').next());
            let (address, port) = from.and_then(|from| from.split_once('/')).unwrap_or_default();
            facts.source(address);
            facts.integer("source.port", port);
            facts.text("user.name", quoted(" for user ").unwrap_or_default());
            facts.word("event.action", "login");
            let is_denied = mark.mnemonic == "605004";
            facts.sign_in = Some(if is_denied { Outcome::Failure } else { Outcome::Success });
        }
        "111008" | "111009" | "111010" => {
            facts.text("user.name", quoted("User ").unwrap_or_default());
            let command = quoted("executed the ").or_else(|| quoted("executed "));
            facts.text("process.command_line", command.unwrap_or_default());
            facts.word("event.category", "configuration");
        }
        "106023" | "106001" | "106006" | "106015" | "106100" => {
            facts.word("event.category", "network");
            facts.word("event.type", "denied");
            let side = |before: &str| {
                let (_, rest) = mark.text.split_once(before)?;
                let (_, rest) = rest.split(' ').next()?.split_once(':')?;
                Some(rest.split_once('/').unwrap_or((rest, "")))
            };
            if let Some((address, port)) = side(" src ") {
                facts.source(address);
                facts.integer("source.port", port);
            }
            if let Some((address, port)) = side(" dst ") {
                facts.address("destination.ip", "destination.address", address);
                facts.integer("destination.port", port);
            }
        }
        _ => {}
    }
}

/// Reads a message of Huawei's.
pub(super) fn huawei<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mark = huawei_mark(text)?;
    let mut facts = mark.facts();
    if mark.facility == "BGP" {
        facts.classes.push("huawei//bgp");
    }
    Some(facts)
}

/// Where PAN-OS has what, counted from 0 (PAN-OS 11, "Syslog Field Descriptions").
const PANOS_TIME: usize = 1;
const PANOS_SERIAL: usize = 2;
const PANOS_TYPE: usize = 3;
const PANOS_SUBTYPE: usize = 4;

/// Reads a log of PAN-OS: `1,2026/03/01 12:00:00,001801000000,TRAFFIC,end,…`.
pub(super) fn panos<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let fields: Vec<&str> = text.splitn(64, ',').collect();
    let field = |place: usize| fields.get(place).copied().unwrap_or_default().trim_matches('"');
    let is_serial = !field(PANOS_SERIAL).is_empty()
        && field(PANOS_SERIAL).bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_digits(field(0)) || !is_serial {
        return None;
    }
    let at = time::from_text(field(PANOS_TIME), context.zone, context.now)?;
    let mut facts = Facts { time: Some(at), ..Facts::default() };
    facts.text("event.action", field(PANOS_SUBTYPE));
    match field(PANOS_TYPE) {
        "TRAFFIC" | "THREAT" => {
            facts.source(field(7));
            facts.address("destination.ip", "destination.address", field(8));
            facts.text("rule.name", field(11));
            facts.text("user.name", field(12));
            facts.text("network.protocol", field(14));
            facts.integer("source.port", field(24));
            facts.integer("destination.port", field(25));
            facts.text("network.transport", field(29));
            facts.word("event.category", "network");
            facts.classes.push("/firewall/");
            if field(PANOS_TYPE) == "THREAT" {
                facts.text("url.original", field(31));
                facts.severity = match field(34) {
                    "critical" => Some(Severity::Critical),
                    "high" => Some(Severity::Error),
                    "medium" => Some(Severity::Warning),
                    "low" => Some(Severity::Notice),
                    _ => None,
                };
            }
        }
        "GLOBALPROTECT" => facts.classes.push("paloalto/appliance/globalprotect"),
        "SYSTEM" | "CONFIG" | "USERID" | "HIPMATCH" | "DECRYPTION" | "AUTHENTICATION" => {}
        _ => return None,
    }
    Some(facts)
}

/// Reads what ClamAV says of a file: `/srv/up/a.php: Php.Webshell.Gen-1 FOUND`, with `-> ` before its
/// path from clamd's log of its own, and `(hash:size)` behind the signature.
pub(super) fn clamav<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let (path, signature) = text.strip_suffix(" FOUND")?.rsplit_once(": ")?;
    let path = path.rsplit_once("-> ").map_or(path, |(_, path)| path);
    let mut facts = Facts::of("malware", "info", "malware_found");
    facts.severity = Some(Severity::Error);
    facts.text("file.path", path);
    facts.text("rule.name", signature.split('(').next().unwrap_or(signature));
    // The names of Sigma's rules for virus scanners.
    facts.text("Signature", signature);
    facts.text("Filename", path);
    facts.classes.push("/antivirus/");
    Some(facts)
}
