//! Error logs of PostgreSQL and MySQL (and MariaDB).
//!
//! Input: `TIME ZONE [PID] [USER@DATABASE ]LEVEL:  TEXT` (PostgreSQL with a usual `log_line_prefix`) and
//! `TIME THREAD [LEVEL] [CODE] [SUBSYSTEM] TEXT` (MySQL 8, MariaDB). Output: level, user, database,
//! refused sign-ins and their address.

use super::line::{Line, is_digits, looks_like};
use super::{Context, Fact, Facts, Path};
use crate::normalize::authentication::Outcome;
use crate::normalize::time;

const LEVELS: &[&str] = &[
    "LOG",
    "ERROR",
    "FATAL",
    "PANIC",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
    "STATEMENT",
    "DETAIL",
    "HINT",
    "CONTEXT",
    "QUERY",
];

/// Reads a line of PostgreSQL.
pub(super) fn postgresql<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000-00-00 00:00:00") {
        return None;
    }
    let (before, rest) = text.split_once(":  ")?;
    let (prefix, level) = before.rsplit_once(' ')?;
    if prefix.len() > 300 || !LEVELS.contains(&level) {
        return None;
    }
    let mut facts = Facts::of("database", "", "");
    facts.level = level;
    facts.message = Some(rest);
    let (stamp, rest_of_prefix) = prefix.split_once('[').unwrap_or((prefix, ""));
    let stamp = stamp.trim_end();
    // A zone that is a word of letters is not understood; the source's own is taken then.
    facts.time = time::from_text(stamp, context.zone, context.now).or_else(|| {
        let (stamp, _) = stamp.rsplit_once(' ')?;
        time::from_text(stamp, context.zone, context.now)
    });
    facts.time?;
    let mut line = Line::new(rest_of_prefix);
    if let Some(pid) = line.until("]") {
        facts.integer("process.pid", pid.split('-').next().unwrap_or(pid));
    }
    for word in line.rest.split([' ', ',']) {
        if let Some((user, database)) = word.trim_matches(':').split_once('@') {
            facts.text("user.name", user);
            facts.text("postgresql.database", database);
        } else if let Some((name, value)) = word.split_once('=') {
            match name {
                "user" => facts.text("user.name", value),
                "db" => facts.text("postgresql.database", value),
                "client" | "host" => facts.source(value),
                _ => {}
            }
        }
    }
    add_postgresql_sign_in(&mut facts, rest);
    Some(facts)
}

/// Reads what PostgreSQL says over syslog, without time and process.
pub(super) fn postgresql_message<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    // `[3-1] ` counts the messages and their lines.
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => text,
    };
    let (before, rest) = text.split_once(":  ")?;
    let level = before.rsplit(' ').next()?;
    if !LEVELS.contains(&level) {
        return None;
    }
    let mut facts = Facts::of("database", "", "");
    facts.level = level;
    facts.message = Some(rest);
    add_postgresql_sign_in(&mut facts, rest);
    Some(facts)
}

fn add_postgresql_sign_in<'t>(facts: &mut Facts<'t>, text: &'t str) {
    let failed = ["password authentication failed for user \"", "role \""]
        .into_iter()
        .find_map(|start| text.strip_prefix(start))
        .and_then(|rest| rest.rsplit_once('"'))
        .filter(|(_, after)| after.is_empty() || *after == " is not permitted to log in");
    if let Some((user, _)) = failed {
        facts.text("user.name", user);
        facts.word("event.action", "login");
        facts.sign_in = Some(Outcome::Failure);
        return;
    }
    // `no pg_hba.conf entry for host "192.0.2.1", user "bob", database "shop"`.
    if let Some(rest) = text.strip_prefix("no pg_hba.conf entry for host \"") {
        let (host, rest) = rest.split_once('"').unwrap_or((rest, ""));
        facts.source(host);
        if let Some((user, _)) = rest.strip_prefix(", user \"").and_then(|r| r.split_once('"')) {
            facts.text("user.name", user);
        }
        facts.word("event.action", "login");
        facts.sign_in = Some(Outcome::Failure);
    }
    if let Some(rest) = text.strip_prefix("connection authorized: user=") {
        facts.text("user.name", rest.split(' ').next().unwrap_or(rest));
        facts.word("event.action", "login");
        facts.sign_in = Some(Outcome::Success);
    }
    if let Some(rest) = text.strip_prefix("connection received: host=") {
        facts.source(rest.split(' ').next().unwrap_or(rest));
    }
}

/// Reads a line of MySQL or MariaDB.
pub(super) fn mysql<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let is_mysql = looks_like(text, "0000-00-00T00:00:00");
    if !is_mysql && !looks_like(text, "0000-00-00 ") {
        return None;
    }
    // MariaDB puts a space between day and time, and one before an hour of one digit.
    let end = if is_mysql { text.find(' ')? } else { 11 + text[11..].trim_start().find(' ')? };
    let padding = text.len().min(11);
    let skip =
        if is_mysql { 0 } else { text[padding..].len() - text[padding..].trim_start().len() };
    let end = end + skip;
    let (stamp, rest) = (text.get(..end)?, text.get(end..)?.trim_start());
    let mut line = Line::new(rest);
    let thread = line.short_word(20)?;
    let level = line.bracketed()?;
    if !is_digits(thread) || !matches!(level, "Note" | "Warning" | "ERROR" | "Error" | "System") {
        return None;
    }
    let mut facts = Facts::of("database", "", "");
    facts.time = time::from_text(stamp, context.zone, context.now);
    facts.add(Path::Ours("mysql.thread_id"), Fact::Text(thread));
    facts.level = if level == "System" || level == "Note" { "" } else { level };
    if let Some(code) = line.bracketed() {
        facts.text("event.code", code);
        if let Some(subsystem) = line.bracketed() {
            facts.text("log.logger", subsystem);
        }
    }
    facts.message = Some(line.rest);
    // `Access denied for user 'bob'@'192.0.2.1' (using password: YES)`.
    if let Some(rest) = line.rest.strip_prefix("Access denied for user '")
        && let Some((user, rest)) = rest.split_once("'@'")
        && let Some((host, _)) = rest.split_once('\'')
    {
        facts.text("user.name", user);
        facts.source(host);
        facts.word("event.action", "login");
        facts.sign_in = Some(Outcome::Failure);
    }
    Some(facts)
}
