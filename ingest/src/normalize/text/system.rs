//! What cron, systemd, systemd-logind and the kernel say.
//!
//! Input: the message of a syslog line of the program. Output: commands, units, sessions, and what the
//! packet filter let through or stopped.

use super::line::{Line, is_digits};
use super::{Context, Facts, pairs};

/// `(root) CMD (run-parts /etc/cron.hourly)`, `(bob) RELOAD (crontabs/bob)`.
pub(super) fn cron<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    line.tag("(")?;
    let user = line.until(") ")?;
    let verb = line.word()?;
    let detail = line
        .rest
        .strip_prefix('(')
        .map_or(line.rest, |rest| rest.strip_suffix(')').unwrap_or(rest));
    let mut facts = match verb {
        "CMD" => Facts::of("process", "start", "cron_command"),
        "RELOAD" | "REPLACE" | "EDIT" | "BEGIN" | "END" | "LIST" | "DELETE" | "STARTUP"
        | "INFO" => Facts::of("configuration", "change", "crontab"),
        _ => return None,
    };
    facts.text("user.name", user);
    if verb == "CMD" {
        // Some versions put the number of the process before the command.
        let command = match detail.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((pid, command)) if is_digits(pid) => command,
            _ => detail,
        };
        facts.text("process.command_line", command.trim());
    } else {
        facts.text("cron.action", verb);
        facts.text("cron.detail", detail);
    }
    Some(facts)
}

/// `Started nginx.service - A web server.`, `shop.service: Main process exited, code=exited, status=1/FAILURE`.
pub(super) fn systemd<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    for (start, action, outcome) in [
        ("Started ", "unit_started", "success"),
        ("Starting ", "unit_starting", ""),
        ("Stopped ", "unit_stopped", "success"),
        ("Stopping ", "unit_stopping", ""),
        ("Reloaded ", "unit_reloaded", "success"),
        ("Finished ", "unit_finished", "success"),
        ("Failed to start ", "unit_failed", "failure"),
    ] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        let mut facts =
            Facts::of("process", if start.starts_with("Stop") { "end" } else { "start" }, action);
        facts.word("event.outcome", outcome);
        let unit = rest.split_once(" - ").map_or(rest, |(unit, _)| unit);
        facts.text("systemd.unit", unit.trim_end_matches('.'));
        return Some(facts);
    }
    let (unit, rest) = text.split_once(": ")?;
    if unit.contains(' ') || !unit.contains('.') {
        return None;
    }
    let mut facts = Facts::of("process", "info", "unit_state");
    facts.text("systemd.unit", unit);
    if let Some((_, status)) = rest.split_once("status=") {
        facts.integer("process.exit_code", status.split('/').next().unwrap_or(status));
    }
    if rest.starts_with("Failed") || rest.contains("Failed with result") {
        facts.word("event.outcome", "failure");
    }
    Some(facts)
}

/// `New session 5 of user bob.`, `Session 5 logged out. …`, `Removed session 5.`
pub(super) fn logind<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    if line.tag("New session ").is_some() {
        let mut facts = Facts::of("session", "start", "session_opened");
        // Newer versions put the number in quotes.
        facts.text("session.id", line.word()?.trim_matches('\''));
        line.tag("of user ")?;
        let user = line.word()?.trim_end_matches('.').trim_matches('\'');
        facts.text("user.name", user);
        return Some(facts);
    }
    let rest = text.strip_prefix("Removed session ")?;
    let mut facts = Facts::of("session", "end", "session_closed");
    facts.text("session.id", rest.trim_end_matches('.'));
    Some(facts)
}

/// The packet filter (`[UFW BLOCK] IN=eth0 OUT= SRC=… DST=… PROTO=TCP SPT=… DPT=…`), and processes that
/// were killed or crashed.
pub(super) fn kernel<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    // `[12345.678901] ` counts from the start of the system.
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((uptime, rest))
            if uptime.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') =>
        {
            rest
        }
        _ => text,
    };
    if text.starts_with("audit: ") {
        return super::audit::auditd(text, context);
    }
    if let Some(at) = text.find("IN=").filter(|_| text.contains(" SRC=") && text.contains(" DST="))
    {
        let prefix = text[..at].trim_matches([' ', '[', ']', ':']);
        let mut facts = Facts::default();
        facts.text("rule.name", prefix);
        pairs::among_words(&mut facts, &text[at..]);
        facts.word("event.category", "network");
        let is_stopped =
            ["BLOCK", "DROP", "DENY", "REJECT"].iter().any(|word| prefix.contains(word));
        facts.word("event.type", if is_stopped { "denied" } else { "connection" });
        facts.word("event.action", if is_stopped { "packet_dropped" } else { "packet_logged" });
        facts.classes.push("/firewall/");
        return Some(facts);
    }
    // `Out of memory: Killed process 123 (java) total-vm:…`.
    if let Some((_, rest)) = text.split_once("Killed process ") {
        let mut facts = Facts::of("process", "end", "out_of_memory");
        let (pid, rest) = rest.split_once(' ')?;
        facts.integer("process.pid", pid);
        let name = rest.strip_prefix('(')?.split_once(')')?.0;
        facts.text("process.target", name);
        return Some(facts);
    }
    // `shop[123]: segfault at 0 ip 00007f… sp … error 4 in libc.so[…]`.
    let (process, rest) = text.split_once("]: ")?;
    let (name, pid) = process.split_once('[')?;
    if !rest.starts_with("segfault at ") {
        return None;
    }
    let mut facts = Facts::of("process", "end", "segfault");
    facts.integer("process.pid", pid);
    facts.text("process.target", name);
    Some(facts)
}
