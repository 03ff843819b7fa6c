//! OpenSSH's server: what it says about sign-ins and connections.
//!
//! Input: the message of a record whose program is sshd. Output: who, from where, what was done and
//! how it ended. Whoever connects chooses the user name (spaces, ` from `, whole forged endings) and
//! what stands in a disconnect's reason, so each line is read from the end that only sshd writes.
//!
//! Rules count attempts, so `event.category` authentication with an outcome is only given to lines of
//! which sshd writes exactly one per attempt: `Failed …` and `Accepted …`. PAM, `Invalid user` and
//! `maximum authentication attempts exceeded` speak of the same attempts once more; they get an
//! action, no outcome.

use std::net::IpAddr;

use logwarden_event::FieldOptions;

use super::authentication::{Outcome, mark};
use super::reading::{Held, Reading, Text};
use super::{Parser, standard, syslog};

/// Reads sshd's lines.
pub(crate) struct Sshd;

/// sshd's programs: since 9.8 sessions, since 10.0 sign-ins have one of their own.
const PROGRAMS: &[&str] = &["sshd", "sshd-session", "sshd-auth"];

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'t> {
    action: &'static str,
    kind: &'static str,
    category: &'static str,
    attempt: Option<Outcome>,
    user: Option<&'t str>,
    host: Option<&'t str>,
    port: Option<u16>,
    method: Option<&'t str>,
    reason: Option<&'t str>,
    repeated: Option<i64>,
}

const NOTHING: Line<'_> = Line {
    action: "",
    kind: "info",
    category: "",
    attempt: None,
    user: None,
    host: None,
    port: None,
    method: None,
    reason: None,
    repeated: None,
};

impl Parser for Sshd {
    fn name(&self) -> &'static str {
        "sshd"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        let named = [standard::PROCESS_NAME, standard::SERVICE_NAME].into_iter().any(|place| {
            reading
                .first_text(place)
                .is_some_and(|text| PROGRAMS.contains(&syslog::program_of(reading.str(text))))
        });
        if !named {
            return false;
        }
        if !reading.is_json {
            reading.retract_class("linux//syslog");
        }
        reading.add_class("linux//sshd");
        reading.add_class("linux//auth");
        if !reading.is_json || reading.dataset().is_empty() {
            let dataset = reading.keep("sshd.auth");
            reading.set_dataset(dataset);
        }
        let content = reading.content;
        if let Some(line) = understand(reading.str(content)) {
            let parts = [line.user, line.host, line.method, line.reason]
                .map(|part| part.map(|part| reading.part(content, part)));
            apply(reading, line_facts(line), parts);
        }
        true
    }
}

/// What of a line does not borrow from it.
struct Facts {
    action: &'static str,
    kind: &'static str,
    category: &'static str,
    attempt: Option<Outcome>,
    port: Option<u16>,
    repeated: Option<i64>,
}

const fn line_facts(line: Line<'_>) -> Facts {
    Facts {
        action: line.action,
        kind: line.kind,
        category: line.category,
        attempt: line.attempt,
        port: line.port,
        repeated: line.repeated,
    }
}

fn apply(reading: &mut Reading<'_>, facts: Facts, [user, host, method, reason]: [Option<Text>; 4]) {
    reading.add_text("event.action", facts.action);
    reading.add_text("event.type", facts.kind);
    reading.add_text("event.category", facts.category);
    if let Some(outcome) = facts.attempt {
        mark(reading, outcome);
        reading.add_class("linux/authentication/");
    }
    if let Some(user) = user {
        reading.add_missing("user.name", Held::Text(user));
    }
    if let Some(host) = host {
        add_source(reading, host);
    }
    if let Some(port) = facts.port {
        reading.add_missing("source.port", Held::Signed(i64::from(port)));
    }
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        reading.add_missing("event.reason", Held::Text(reason));
    }
    let own = [
        ("sshd.method", method.map(Held::Text)),
        ("sshd.repeated", facts.repeated.map(Held::Signed)),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            let path = reading.keep(name);
            reading.push(path, value, FieldOptions::default());
        }
    }
}

/// Where it came from: an address, or a name where sshd resolves them.
pub(crate) fn add_source(reading: &mut Reading<'_>, host: Text) {
    match reading.str(host).parse::<IpAddr>() {
        Ok(ip) => reading.add_missing("source.ip", Held::Ip(ip)),
        Err(_) => reading.add_missing("source.address", Held::Text(host)),
    }
}

/// What the message says; nothing when it is not a known line of sshd itself.
fn understand(message: &str) -> Option<Line<'_>> {
    let message = message.trim_end();
    let message = message.strip_suffix("[preauth]").map_or(message, str::trim_end);
    if let Some(rest) = message.strip_prefix("message repeated ") {
        let (count, rest) = rest.split_once(" times: [")?;
        let inner = rest.strip_suffix(']')?.strip_prefix(' ')?;
        let line = understand(inner)?;
        return Some(Line { repeated: Some(count.parse().ok()?), ..line });
    }
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.strip_prefix("fatal: ").unwrap_or(message);
    sign_in(message).or_else(|| connection(message)).or_else(|| complaint(message))
}

/// Lines about somebody signing in.
fn sign_in(message: &str) -> Option<Line<'_>> {
    let line = Line { kind: "start", category: "authentication", ..NOTHING };
    if let Some(rest) = message.strip_prefix("Failed ") {
        let attempt = attempt(rest)?;
        return Some(Line {
            action: "ssh_login",
            attempt: Some(Outcome::Failure),
            ..attempt.over(line)
        });
    }
    if let Some(rest) = message.strip_prefix("Accepted ") {
        let attempt = attempt(rest)?;
        return Some(Line {
            action: "ssh_login",
            attempt: Some(Outcome::Success),
            ..attempt.over(line)
        });
    }
    for (prefix, action) in
        [("Postponed ", "ssh_login_postponed"), ("Partial ", "ssh_login_partial")]
    {
        if let Some(rest) = message.strip_prefix(prefix) {
            return Some(Line { action, ..attempt(rest)?.over(NOTHING) });
        }
    }
    if let Some(rest) =
        message.strip_prefix("Invalid user ").or_else(|| message.strip_prefix("Illegal user "))
    {
        let (user, peer) = last_from(rest)?;
        return Some(Line { action: "ssh_invalid_user", user: Some(user), ..peer.over(NOTHING) });
    }
    if let Some(user) = message.strip_prefix("input_userauth_request: invalid user ") {
        return Some(Line { action: "ssh_invalid_user", user: Some(user), ..NOTHING });
    }
    if let Some(rest) = message.strip_prefix("maximum authentication attempts exceeded for ") {
        let attempt = user_from(rest, false)?;
        return Some(Line { action: "ssh_too_many_attempts", ..attempt.over(NOTHING) });
    }
    if let Some(rest) = message.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        let (peer, _) = host_and_port(rest)?;
        return Some(Line { action: "ssh_user_not_allowed", ..peer.over(NOTHING) });
    }
    if let Some(rest) = message.strip_prefix("User ") {
        let (before, reason) = rest.rsplit_once(" not allowed because ")?;
        let (user, peer) = last_from(before)?;
        let line = Line { user: Some(user), reason: Some(reason), ..peer.over(NOTHING) };
        return Some(Line { action: "ssh_user_not_allowed", ..line });
    }
    None
}

/// Method, user and peer of an attempt.
#[derive(Debug, Clone, Copy, Default)]
struct Attempt<'t> {
    method: Option<&'t str>,
    user: &'t str,
    peer: Peer<'t>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer<'t> {
    host: &'t str,
    port: Option<u16>,
}

impl<'t> Attempt<'t> {
    fn over(self, line: Line<'t>) -> Line<'t> {
        Line { method: self.method, user: Some(self.user), ..self.peer.over(line) }
    }
}

impl<'t> Peer<'t> {
    fn over(self, line: Line<'t>) -> Line<'t> {
        Line { host: Some(self.host), port: self.port, ..line }
    }
}

/// `METHOD for [invalid user ]USER from HOST port PORT[ ssh2[: KEY]]`.
fn attempt(rest: &str) -> Option<Attempt<'_>> {
    let (method, rest) = rest.split_once(" for ")?;
    if method.is_empty() || method.contains(' ') {
        return None;
    }
    // Only keys and tickets are described behind the protocol; elsewhere it would be a forged ending.
    let may_have_key = matches!(
        method,
        "publickey"
            | "hostbased"
            | "certificate"
            | "rsa"
            | "dsa"
            | "gssapi-with-mic"
            | "gssapi-keyex"
            | "gssapi"
    );
    let attempt = user_from(rest, may_have_key)?;
    Some(Attempt { method: Some(method), ..attempt })
}

fn user_from(rest: &str, may_have_key: bool) -> Option<Attempt<'_>> {
    let (user, peer) = memchr::memmem::rfind_iter(rest.as_bytes(), " from ").find_map(|at| {
        let (peer, after) = host_and_port(&rest[at + " from ".len()..])?;
        let is_end = match after {
            "" | " ssh2" | " ssh1" | " ssh" => true,
            _ => may_have_key && after.starts_with(" ssh2: "),
        };
        is_end.then_some((&rest[..at], peer))
    })?;
    Some(Attempt { method: None, user: without_standing(user), peer })
}

fn without_standing(user: &str) -> &str {
    ["invalid user ", "illegal user ", "authenticating user "]
        .into_iter()
        .find_map(|standing| user.strip_prefix(standing))
        .unwrap_or(user)
}

/// `HOST port PORT` at the start, and what follows.
fn host_and_port(text: &str) -> Option<(Peer<'_>, &str)> {
    let (host, rest) = text.split_once(" port ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let port = rest[..digits].parse().ok()?;
    is_host(host).then_some((Peer { host, port: Some(port) }, &rest[digits..]))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.contains([' ', '\n', '\''])
}

/// `… from HOST[ port PORT]` at the end of the line: what stands before it, and the peer.
fn last_from(text: &str) -> Option<(&str, Peer<'_>)> {
    memchr::memmem::rfind_iter(text.as_bytes(), " from ").find_map(|at| {
        let tail = &text[at + " from ".len()..];
        let peer = whole_peer(tail)?;
        Some((&text[..at], peer))
    })
}

/// `HOST` or `HOST port PORT`, and nothing else.
fn whole_peer(text: &str) -> Option<Peer<'_>> {
    match host_and_port(text) {
        Some((peer, "")) => Some(peer),
        Some(_) => None,
        None => is_host(text).then_some(Peer { host: text, port: None }),
    }
}

/// `[invalid user USER ]HOST[ port PORT]` at the end of the line.
fn standing_and_peer(text: &str) -> Option<(Option<&str>, Peer<'_>)> {
    let rest = ["invalid user ", "authenticating user ", "user "]
        .into_iter()
        .find_map(|standing| text.strip_prefix(standing));
    let Some(rest) = rest else { return whole_peer(text).map(|peer| (None, peer)) };
    let (before, port) = match rest.rsplit_once(" port ") {
        Some((before, port)) => (before, Some(port.parse().ok()?)),
        None => (rest, None),
    };
    let (user, host) = before.rsplit_once(' ')?;
    is_host(host).then_some((Some(user), Peer { host, port }))
}

/// Lines about connections.
fn connection(message: &str) -> Option<Line<'_>> {
    let network = Line { category: "network", ..NOTHING };
    let end = Line { kind: "end", ..network };
    for (prefix, action) in [
        ("Connection closed by ", "ssh_connection_closed"),
        ("Connection reset by ", "ssh_connection_reset"),
        ("Disconnected from ", "ssh_disconnected"),
    ] {
        if let Some(rest) = message.strip_prefix(prefix) {
            let (user, peer) = standing_and_peer(rest)?;
            return Some(Line { action, user, ..peer.over(end) });
        }
    }
    if let Some(rest) = message.strip_prefix("Received disconnect from ") {
        return received_disconnect(rest, end);
    }
    if let Some(rest) = message.strip_prefix("Disconnecting") {
        return disconnecting(rest, end);
    }
    if let Some(rest) = message.strip_prefix("Connection from ") {
        let (peer, after) = host_and_port(rest)?;
        let is_plain = after.is_empty() || after.starts_with(" on ");
        let line = Line { kind: "start", action: "ssh_connection_opened", ..peer.over(network) };
        return is_plain.then_some(line);
    }
    if let Some(rest) = message.strip_prefix("drop connection #") {
        let (_, rest) = rest.split_once(" from [")?;
        let (host, rest) = rest.split_once("]:")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let peer = Peer { host, port: rest[..digits].parse().ok() };
        return Some(Line {
            action: "ssh_connection_dropped",
            kind: "denied",
            ..peer.over(network)
        });
    }
    if let Some(rest) = message.strip_prefix("Timeout before authentication for ") {
        let rest = rest.strip_prefix("connection from ").unwrap_or(rest);
        let host = rest.split([' ', ',']).next().filter(|host| is_host(host))?;
        let peer = Peer { host, port: None };
        return Some(Line { action: "ssh_timeout", ..peer.over(end) });
    }
    None
}

/// `HOST[ port PORT]:[ ]CODE: REASON`; the reason is the peer's word.
fn received_disconnect<'t>(rest: &'t str, line: Line<'t>) -> Option<Line<'t>> {
    let (peer, after) = match host_and_port(rest) {
        Some((peer, after)) if after.starts_with(':') => (peer, &after[1..]),
        _ => {
            let (host, after) = rest.split_once(": ")?;
            (is_host(host).then_some(Peer { host, port: None })?, after)
        }
    };
    let reason = after.split_once(": ").map_or(after, |(_, reason)| reason);
    Some(Line { action: "ssh_disconnect_received", reason: Some(reason), ..peer.over(line) })
}

/// `: REASON` or ` [invalid user USER] HOST port PORT: REASON`.
fn disconnecting<'t>(rest: &'t str, line: Line<'t>) -> Option<Line<'t>> {
    const TOO_MANY: &str = "Too many authentication failures";
    if let Some(reason) = rest.strip_prefix(": ") {
        let user = reason.strip_prefix(TOO_MANY).and_then(|rest| rest.strip_prefix(" for "));
        let action = if reason.starts_with(TOO_MANY) {
            "ssh_too_many_attempts"
        } else {
            "ssh_disconnecting"
        };
        return Some(Line { action, user, reason: Some(reason), ..line });
    }
    let rest = rest.strip_prefix(' ')?;
    let colon = memchr::memmem::rfind_iter(rest.as_bytes(), ": ")
        .find(|at| standing_and_peer(&rest[..*at]).is_some_and(|(_, peer)| peer.port.is_some()))?;
    let (user, peer) = standing_and_peer(&rest[..colon])?;
    let reason = &rest[colon + 2..];
    let action =
        if reason.starts_with(TOO_MANY) { "ssh_too_many_attempts" } else { "ssh_disconnecting" };
    Some(Line { action, user, reason: Some(reason), ..peer.over(line) })
}

/// Lines about peers that misbehave.
fn complaint(message: &str) -> Option<Line<'_>> {
    let network = Line { category: "network", ..NOTHING };
    if let Some(rest) = message.strip_prefix("Did not receive identification string from ") {
        let peer = whole_peer(rest)?;
        return Some(Line { action: "ssh_no_identification", ..peer.over(network) });
    }
    if let Some(rest) = message.strip_prefix("Bad protocol version identification ") {
        let (_, peer) = last_from(rest)?;
        return Some(Line { action: "ssh_bad_protocol", ..peer.over(network) });
    }
    if let Some(rest) = message.strip_prefix("banner exchange: Connection from ") {
        let (peer, after) = host_and_port(rest)?;
        let reason = after.strip_prefix(": ");
        return Some(Line { action: "ssh_bad_protocol", reason, ..peer.over(network) });
    }
    if let Some(rest) = message.strip_prefix("Unable to negotiate with ") {
        let (peer, after) = match host_and_port(rest) {
            Some(found) => found,
            None => {
                let (host, _) = rest.split_once(": ")?;
                (is_host(host).then_some(Peer { host, port: None })?, &rest[host.len()..])
            }
        };
        let reason = after.strip_prefix(": ");
        return Some(Line { action: "ssh_negotiation_failed", reason, ..peer.over(network) });
    }
    if message.starts_with("no matching ") || message.starts_with("no hostkey alg") {
        return Some(Line { action: "ssh_negotiation_failed", reason: Some(message), ..network });
    }
    if let Some(rest) = message.strip_prefix("ssh_dispatch_run_fatal: Connection from ") {
        let (before, reason) = rest.rsplit_once(": ")?;
        let (user, peer) = standing_and_peer(before)?;
        let line = Line { user, reason: Some(reason), ..peer.over(network) };
        return Some(Line { action: "ssh_connection_failed", ..line });
    }
    break_in(message)
}

/// Names and addresses that do not fit together.
fn break_in(message: &str) -> Option<Line<'_>> {
    let line = Line { action: "ssh_reverse_mapping_failed", category: "network", ..NOTHING };
    if message.starts_with("reverse mapping checking getaddrinfo for ") {
        // The name is the peer's; sshd itself writes the address behind it in brackets.
        let before = message.split_once("] failed").map_or(message, |(before, _)| before);
        let host = before.rsplit_once('[').map(|(_, host)| host).filter(|host| is_host(host))?;
        return Some(Peer { host, port: None }.over(line));
    }
    if let Some(rest) = message.strip_prefix("Address ") {
        let (host, rest) = rest.split_once(" maps to ")?;
        let is_known = rest.contains("but this does not map back");
        return (is_known && is_host(host)).then(|| Peer { host, port: None }.over(line));
    }
    if message.starts_with("Nasty PTR record ") {
        let (_, rest) = message.rsplit_once(" is set up for ")?;
        let host = rest.split(',').next().filter(|host| is_host(host))?;
        return Some(Peer { host, port: None }.over(line));
    }
    None
}
