//! Access logs of web servers and proxies: the common and the combined log format.
//!
//! Input: `HOST IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERRER" "AGENT" …]`, optionally behind a
//! virtual host and its port (Apache's `vhost_combined`). What Traefik, Kong and others write behind
//! the agent stays in the message. Output: a web event. The request is the client's: it is cut at its
//! first and last space, and may be nonsense.

use super::line::{Line, host_and_port, is_digits};
use super::{Context, Facts};
use crate::normalize::time;

/// Reads a line of an access log.
pub(super) fn access<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let mut host = line.short_word(255)?;
    // Lines of prose are turned away here: the time comes third.
    let mut ident = line.short_word(128)?;
    let mut virtual_host = None;
    let is_next_time = |line: &Line<'_>| line.rest.starts_with('[');
    let user = if is_next_time(&line) {
        return None;
    } else {
        let first = line.rest.find(" [")?;
        let user = &line.rest[..first];
        line.rest = &line.rest[first + 1..];
        match user.split_once(' ') {
            // One word more: the first was the virtual host.
            Some((before, user)) if ident.parse::<std::net::IpAddr>().is_ok() => {
                virtual_host = Some(host);
                (host, ident) = (ident, before);
                user
            }
            _ => user,
        }
    };
    if user.len() > 256 || ident.is_empty() {
        return None;
    }
    let stamp = line.bracketed()?;
    if !super::line::looks_like(stamp.get(2..)?, "/") || stamp.len() > 40 {
        return None;
    }
    let request = line.quoted()?;
    let status = line.short_word(3)?;
    let bytes = line.word().unwrap_or("-");
    if !is_digits(status) || !(is_digits(bytes) || bytes == "-") {
        return None;
    }
    let mut facts = Facts::of("web", "access", "");
    facts.classes.push("/webserver/");
    facts.time = time::from_text(stamp, context.zone, context.now);
    facts.source(host);
    facts.text("user.name", user);
    if let Some(virtual_host) = virtual_host {
        let (host, port) = host_and_port(virtual_host);
        facts.text("url.domain", host);
        facts.integer("destination.port", port);
    }
    add_request(&mut facts, request);
    facts.integer("http.response.status_code", status);
    facts.integer("http.response.body.bytes", bytes);
    if let Some(referrer) = line.quoted() {
        facts.escaped("http.request.referrer", referrer);
        if let Some(agent) = line.quoted() {
            facts.escaped("user_agent.original", agent);
        }
    }
    Some(facts)
}

/// Adds `METHOD TARGET HTTP/VERSION`, as far as it is that.
pub(super) fn add_request<'t>(facts: &mut Facts<'t>, request: &'t str) {
    let Some((method, rest)) = request.split_once(' ') else {
        facts.escaped("url.original", request);
        return;
    };
    let (target, version) = match rest.rsplit_once(" HTTP/") {
        Some((target, version)) => (target, version),
        None => (rest, ""),
    };
    facts.text("http.request.method", method);
    add_target(facts, target);
    facts.text("http.version", version);
}

/// Adds what was asked for: a path with its query, or a whole URL.
pub(super) fn add_target<'t>(facts: &mut Facts<'t>, target: &'t str) {
    facts.escaped("url.original", target);
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, _) = host_and_port(&rest[..end]);
            facts.text("url.domain", host);
            &rest[end..]
        }
        _ => target,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    facts.escaped("url.path", path);
    facts.escaped("url.query", query);
}
