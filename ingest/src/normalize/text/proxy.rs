//! Access logs of HAProxy and Envoy, which have layouts of their own.
//!
//! Input: HAProxy's `option httplog`, `option tcplog` and what it says without them; Envoy's default format. Output: a web or
//! network event.

use super::line::{Line, host_and_port, is_digits, looks_like};
use super::{Context, Fact, Facts, Path};
use crate::normalize::time;

/// `CLIENT:PORT [TIME] FRONTEND BACKEND/SERVER TIMERS STATUS BYTES - - ---- CONNS QUEUES {…} "REQUEST"`.
pub(super) fn haproxy<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if let Some(rest) = text.strip_prefix("Connect from ") {
        return haproxy_connect(rest);
    }
    let mut line = Line::new(text);
    let client = line.short_word(64)?;
    let stamp = line.bracketed()?;
    let frontend = line.word()?;
    if frontend.ends_with(':') {
        return haproxy_error((client, stamp, frontend), line.rest, context);
    }
    let (backend, server) = line.word()?.split_once('/')?;
    let timers = line.short_word(64)?;
    let at = time::from_text(stamp, context.zone, context.now)?;
    let is_http = timers.matches('/').count() == 4;
    let mut facts = if is_http {
        Facts::of("web", "access", "")
    } else {
        Facts::of("network", "connection", "")
    };
    facts.time = Some(at);
    facts.source_with_port(client);
    facts.text("haproxy.frontend", frontend.trim_end_matches('~'));
    facts.text("haproxy.backend", backend);
    facts.text("haproxy.server", server);
    if let Ok(millis) = timers.rsplit('/').next()?.trim_start_matches('+').parse::<i64>() {
        facts.add(Path::Ours("event.duration"), Fact::Integer(millis.saturating_mul(1_000_000)));
    }
    if !is_http {
        facts.integer("destination.bytes", line.word()?.trim_start_matches('+'));
        facts.text("haproxy.termination_state", line.word()?);
        return Some(facts);
    }
    facts.classes.push("/webserver/");
    let (status, bytes) = (line.word()?, line.word()?);
    facts.integer("http.response.status_code", status);
    facts.integer("http.response.body.bytes", bytes.trim_start_matches('+'));
    // Two captured cookies, the state at the end.
    let (_, _, state) = (line.word()?, line.word()?, line.word()?);
    facts.text("haproxy.termination_state", state);
    if let Some((_, request)) = line.rest.split_once('"') {
        // Cut short when it was long: then there is no quote at its end.
        super::access::add_request(&mut facts, request.strip_suffix('"').unwrap_or(request));
    }
    Some(facts)
}

/// `CLIENT:PORT to ADDRESS:PORT (FRONTEND/MODE)`, all that is said without `option httplog` or `tcplog`.
fn haproxy_connect(text: &str) -> Option<Facts<'_>> {
    let (client, rest) = text.split_once(" to ")?;
    let (server, frontend) = rest.split_once(" (")?;
    let mut facts = Facts::of("network", "connection", "");
    facts.source_with_port(client);
    if let Some((host, port)) = server.rsplit_once(':') {
        facts.address("destination.ip", "destination.address", host);
        facts.integer("destination.port", port);
    }
    facts.text("haproxy.frontend", frontend.split('/').next().unwrap_or(frontend));
    Some(facts)
}

/// `CLIENT:PORT [TIME] FRONTEND/BIND: SSL handshake failure`, of a connection that came to nothing.
fn haproxy_error<'t>(
    (client, stamp, frontend): (&'t str, &str, &'t str),
    reason: &'t str,
    context: &Context,
) -> Option<Facts<'t>> {
    let (frontend, _) = frontend.split_once('/')?;
    let at = time::from_text(stamp, context.zone, context.now)?;
    let mut facts = Facts::of("network", "connection", "connection_failed");
    facts.time = Some(at);
    facts.source_with_port(client);
    facts.text("haproxy.frontend", frontend.trim_end_matches('~'));
    facts.text("error.message", reason);
    facts.word("event.outcome", "failure");
    Some(facts)
}

/// `[TIME] "METHOD TARGET PROTOCOL" STATUS FLAGS … "X-FORWARDED-FOR" "AGENT" "ID" "AUTHORITY" "UPSTREAM"`.
pub(super) fn envoy<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "[0000-00-00T") {
        return None;
    }
    let mut line = Line::new(text);
    let stamp = line.bracketed()?;
    let request = line.quoted()?;
    let status = line.short_word(3)?;
    let flags = line.short_word(64)?;
    if !is_digits(status) {
        return None;
    }
    let mut facts = Facts::of("web", "access", "");
    facts.classes.push("/webserver/");
    facts.time = time::from_text(stamp, context.zone, context.now);
    let (method, rest) = request.split_once(' ')?;
    facts.text("http.request.method", method);
    let (target, protocol) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    super::access::add_target(&mut facts, target);
    facts.text("http.version", protocol.strip_prefix("HTTP/").unwrap_or(protocol));
    facts.integer("http.response.status_code", status);
    facts.text("envoy.response_flags", flags);
    // Istio puts details of the upstream here, words or in quotes, before the numbers.
    while !line.rest.is_empty() && !line.rest.starts_with(|c: char| c.is_ascii_digit()) {
        if line.quoted().is_none() {
            line.word()?;
        }
    }
    facts.integer("http.request.bytes", line.word()?);
    facts.integer("http.response.body.bytes", line.word()?);
    if let Ok(millis) = line.word()?.parse::<i64>() {
        facts.add(Path::Ours("event.duration"), Fact::Integer(millis.saturating_mul(1_000_000)));
    }
    line.word();
    let names = ["", "user_agent.original", "http.request.id", "url.domain", ""];
    for (place, name) in names.into_iter().enumerate() {
        let Some(value) = line.quoted() else { break };
        match place {
            // The first of the addresses is what the outermost proxy saw.
            0 => facts.source(value.split(',').next().unwrap_or(value).trim()),
            4 => {
                let (host, port) = host_and_port(value);
                facts.address("destination.ip", "destination.address", host);
                facts.integer("destination.port", port);
            }
            _ => facts.escaped(name, value),
        }
    }
    Some(facts)
}
