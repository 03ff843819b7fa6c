//! Query logs of name servers: BIND, CoreDNS and dnsmasq.
//!
//! Input: `client @0x… 192.0.2.1#5353 (name): query: name IN A +E(0)K (192.0.2.53)` with or without
//! BIND's own time before it; CoreDNS's `[INFO] 192.0.2.1:5353 - 1 "A IN name. udp 41 false 4096" NOERROR …`;
//! dnsmasq's `query[A] name from 192.0.2.1`, `reply name is …`. Output: who asked for what, and the answer.

use super::line::{Line, host_and_port, looks_like};
use super::{Context, Fact, Facts, Path};
use crate::normalize::time;

/// Reads a line of BIND's query log, as in its file.
pub(super) fn bind<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if text.starts_with("client ") {
        return named(text, context);
    }
    if !looks_like(text, "00-") || text.as_bytes().get(6) != Some(&b'-') {
        return None;
    }
    let (stamp, rest) = text.split_at_checked(text.match_indices(' ').nth(1)?.0)?;
    let mut facts = named(rest.trim_start(), context)?;
    facts.time = stamp_of(stamp, context);
    Some(facts)
}

/// `02-Jan-2026 03:04:05.678`.
fn stamp_of(stamp: &str, context: &Context) -> Option<logwarden_event::Timestamp> {
    let spaced = stamp.replacen('-', " ", 2);
    time::from_text(&spaced, context.zone, context.now)
}

/// Reads what BIND says, with or without its category and level before it.
pub(super) fn named<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut facts = Facts::default();
    let mut rest = text;
    if !rest.starts_with("client ") {
        let (category, after) = rest.split_once(": ")?;
        let (level, after) = after.split_once(": ").filter(|_| !category.contains(' '))?;
        facts.text("log.logger", category);
        // `debug 1` says how much of it.
        facts.level = level.split(' ').next().unwrap_or(level);
        rest = after;
    }
    facts.message = Some(rest);
    let mut line = Line::new(rest);
    line.tag("client ")?;
    if line.rest.starts_with("@0x") {
        line.word();
    }
    let client = line.short_word(64)?;
    let (address, port) = client.trim_end_matches(':').split_once('#')?;
    facts.source(address);
    facts.integer("source.port", port);
    line.rest = line.rest.split_once("): ").map_or(line.rest, |(_, after)| after);
    if line.rest.starts_with("view ") {
        line.rest = line.rest.split_once(": ").map_or(line.rest, |(_, after)| after);
    }
    if line.tag("query: ").is_some() {
        let name = line.word()?;
        let _class = line.word()?;
        let kind = line.word()?;
        add_question(&mut facts, name, kind);
    } else if line.tag("query failed (").is_some() {
        // `query failed (SERVFAIL) for name/IN/A at query.c:7837`.
        let code = line.until(") for ")?;
        let mut parts = line.word()?.rsplitn(3, '/');
        let (kind, _class, name) = (parts.next()?, parts.next()?, parts.next()?);
        add_question(&mut facts, name, kind);
        facts.text("dns.response_code", code);
        facts.word("event.outcome", "failure");
    } else if line.tag("query (cache) '").is_some() || line.tag("query '").is_some() {
        // `query (cache) 'name/A/IN' denied`.
        let name = line.until("'")?;
        let mut parts = name.split('/');
        add_question(&mut facts, parts.next()?, parts.next().unwrap_or_default());
        if line.rest.contains("denied") {
            facts.word("event.outcome", "failure");
        }
    }
    Some(facts)
}

/// Reads a line of CoreDNS's `log` plugin.
pub(super) fn coredns<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let level = line.bracketed()?;
    let client = line.short_word(64)?;
    let (address, port) = host_and_port(client);
    if address.parse::<std::net::IpAddr>().is_err() {
        return None;
    }
    line.tag("- ")?;
    let _id = line.word()?;
    let question = line.quoted()?;
    let mut words = question.split(' ');
    let (kind, _class, name) = (words.next()?, words.next()?, words.next()?);
    let mut facts = Facts { level, ..Facts::default() };
    facts.source(address);
    facts.integer("source.port", port);
    add_question(&mut facts, name, kind);
    facts.text("network.transport", words.next().unwrap_or_default());
    facts.text("dns.response_code", line.word()?);
    let (_flags, _bytes) = (line.word(), line.word());
    let seconds = line.word().and_then(|word| word.strip_suffix('s')?.parse::<f64>().ok());
    if let Some(seconds) = seconds {
        facts.add(Path::Ours("event.duration"), Fact::Integer((seconds * 1e9) as i64));
    }
    Some(facts)
}

/// Reads what dnsmasq says.
pub(super) fn dnsmasq<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    // With `log-queries=extra` the number and the client come first.
    let mut text = text;
    let mut facts = Facts::default();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let mut line = Line::new(text);
        let (_number, client) = (line.word()?, line.word()?);
        let (address, port) = client.rsplit_once('/')?;
        facts.source(address);
        facts.integer("source.port", port);
        text = line.rest;
    }
    let mut line = Line::new(text);
    let verb = line.short_word(32)?;
    if let Some(kind) = verb.strip_prefix("query[").and_then(|rest| rest.strip_suffix(']')) {
        let name = line.word()?;
        add_question(&mut facts, name, kind);
        line.tag("from ")?;
        facts.source(line.rest);
        return Some(facts);
    }
    if !matches!(verb, "reply" | "cached" | "config" | "forwarded") && !verb.starts_with('/') {
        return None;
    }
    let name = line.word()?;
    facts.word("event.category", "network");
    facts.text("dns.question.name", name);
    if line.tag("is ").is_some() {
        match line.rest {
            "NXDOMAIN" | "NODATA" | "SERVFAIL" => facts.text("dns.response_code", line.rest),
            answer => facts.text("dns.answers.data", answer),
        }
    } else if line.tag("to ").is_some() {
        facts.address("destination.ip", "destination.address", line.rest);
    }
    Some(facts)
}

fn add_question<'t>(facts: &mut Facts<'t>, name: &'t str, kind: &'t str) {
    facts.word("event.category", "network");
    facts.word("event.type", "protocol");
    facts.word("network.protocol", "dns");
    let name = if name.len() > 1 { name.trim_end_matches('.') } else { name };
    facts.text("dns.question.name", name);
    facts.text("dns.question.type", kind);
    facts.classes.push("/dns/");
}
