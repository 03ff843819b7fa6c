//! Error logs of nginx and Apache.
//!
//! Input: `2026/01/02 03:04:05 [error] 7#7: *1 TEXT, client: …, server: …, request: "…"` and
//! `[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 1:tid 2] [client 192.0.2.1:5] TEXT`. Output: the
//! level, the client and the request.

use super::line::{Line, is_digits, looks_like};
use super::{Context, Facts};
use crate::normalize::authentication::Outcome;
use crate::normalize::time;

/// Reads a line of nginx's error log.
pub(super) fn nginx<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000/00/00 00:00:00 [") {
        return None;
    }
    let (stamp, rest) = text.split_at(19);
    let mut line = Line::new(&rest[1..]);
    let level = line.bracketed()?;
    let pid = line.until("#")?;
    let thread = line.until(": ")?;
    if !is_digits(pid) || !is_digits(thread) {
        return None;
    }
    let mut facts = Facts::of("web", "error", "");
    facts.time = time::from_text(stamp, context.zone, context.now);
    facts.level = level;
    facts.integer("process.pid", pid);
    facts.message = Some(line.rest);
    // `*7`: the number of the connection.
    let text = match line.rest.strip_prefix('*').and_then(|rest| rest.split_once(' ')) {
        Some((number, text)) if is_digits(number) => {
            facts.integer("nginx.connection", number);
            text
        }
        _ => line.rest,
    };
    facts.text("error.message", text.split(", client: ").next().unwrap_or(text));
    // `user "bob": password mismatch`, `user "bob" was not found in "/etc/nginx/.htpasswd"`.
    if let Some((user, after)) = text.strip_prefix("user \"").and_then(|rest| rest.split_once('"'))
        && (after.starts_with(": password mismatch") || after.starts_with(" was not found in "))
    {
        facts.text("user.name", user);
        facts.sign_in = Some(Outcome::Failure);
    }
    // What the client sent stands behind these names, so each counts where it comes first.
    if let Some((_, rest)) = text.split_once(", client: ") {
        facts.source(rest.split(',').next().unwrap_or(rest));
        if let Some((_, rest)) = rest.split_once(", server: ") {
            facts.text("url.domain", rest.split(',').next().unwrap_or(rest));
        }
        if let Some((_, rest)) = rest.split_once(", request: ") {
            let request = Line::new(rest).quoted();
            if let Some(request) = request {
                super::access::add_request(&mut facts, request);
            }
        }
    }
    facts.classes.push("nginx//nginx");
    facts.classes.push("//nginx");
    Some(facts)
}

/// Reads a line of Apache's error log, version 2.2 and later.
pub(super) fn apache<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let stamp = line.bracketed()?;
    if !(20..=40).contains(&stamp.len()) || stamp.as_bytes()[3] != b' ' {
        return None;
    }
    let at = time::from_text(stamp, context.zone, context.now)?;
    let module = line.bracketed()?;
    let (module, level) = module.split_once(':').unwrap_or(("", module));
    let mut facts = Facts::of("web", "error", "");
    facts.time = Some(at);
    facts.level = level;
    facts.text("log.logger", module);
    while let Some(inner) = line.bracketed() {
        if let Some(pid) = inner.strip_prefix("pid ") {
            facts.integer("process.pid", pid.split(':').next().unwrap_or(pid));
        } else if let Some(client) =
            inner.strip_prefix("client ").or_else(|| inner.strip_prefix("remote "))
        {
            // Since 2.4, which names modules, with a port.
            if module.is_empty() {
                facts.source_pair(client);
            } else {
                facts.source_with_port(client);
            }
        }
    }
    facts.message = Some(line.rest);
    facts.text("error.message", line.rest);
    if let Some((code, _)) = line.rest.split_once(": ")
        && code.starts_with("AH")
        && is_digits(&code[2..])
    {
        facts.text("event.code", code);
    }
    add_sign_in(&mut facts, line.rest);
    facts.classes.push("apache//apache");
    facts.classes.push("//apache");
    Some(facts)
}

/// `AH01617: user NAME: authentication failure for "/": Password Mismatch` and its relatives.
fn add_sign_in<'t>(facts: &mut Facts<'t>, text: &'t str) {
    let text =
        text.split_once(": ").filter(|(code, _)| code.starts_with("AH")).map_or(text, |p| p.1);
    let Some(rest) = text.strip_prefix("user ") else { return };
    let failed = [": authentication failure for ", " not found: "]
        .into_iter()
        .find_map(|end| rest.split_once(end));
    if let Some((user, _)) = failed {
        facts.text("user.name", user);
        facts.sign_in = Some(Outcome::Failure);
    }
}
