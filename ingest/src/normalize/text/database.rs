//! Error logs of PostgreSQL and MySQL (and MariaDB).
//!
//! Input: `TIME ZONE [PID] [USER@DATABASE ]LEVEL:  TEXT` (PostgreSQL with a usual `log_line_prefix`), the columns
//! of its `csvlog`, `TIME THREAD [LEVEL] [CODE] [SUBSYSTEM] TEXT` (MySQL 8, MariaDB) and `TIME THREAD COMMAND TEXT` of
//! their general log. Output: level, user, database, refused sign-ins and their address.

use logwarden_event::{Severity, Timestamp};

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
    // `TIME ZONE:HOST(PORT):USER@DATABASE:[PID]:LEVEL`, as Amazon RDS has it, puts no space before the level.
    let (prefix, level) = before.rsplit_once([' ', ':'])?;
    if prefix.len() > 300 {
        return None;
    }
    let mut facts = of_level(level)?;
    facts.message = Some(rest);
    if let Some((stamp, rest_of_prefix)) = of_rds(prefix) {
        add_time(&mut facts, stamp, context)?;
        add_rds_prefix(&mut facts, rest_of_prefix);
        add_postgresql_sign_in(&mut facts, rest);
        return Some(facts);
    }
    let (stamp, rest_of_prefix) = prefix.split_once('[').unwrap_or((prefix, ""));
    let stamp = stamp.trim_end();
    add_time(&mut facts, stamp, context)?;
    let mut line = Line::new(rest_of_prefix);
    if let Some(pid) = line.until("]") {
        facts.integer("process.pid", pid.split('-').next().unwrap_or(pid));
    }
    for word in line.rest.split([' ', ',']) {
        if let Some((user, database)) = word.trim_matches(':').split_once('@') {
            add_user(&mut facts, user, database);
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

/// Levels in the languages that servers are often set up in (`lc_messages`).
const TRANSLATED: &[(&str, &str)] = &[
    ("FEHLER", "ERROR"),
    ("WARNUNG", "WARNING"),
    ("HINWEIS", "NOTICE"),
    ("PANIK", "PANIC"),
    ("ANWEISUNG", "STATEMENT"),
    ("TIPP", "HINT"),
    ("ZUSAMMENHANG", "CONTEXT"),
    ("ERREUR", "ERROR"),
    ("ATTENTION", "WARNING"),
    ("INSTRUCTION", "STATEMENT"),
    ("DÉTAIL", "DETAIL"),
    ("ERRORE", "ERROR"),
    ("ATTENZIONE", "WARNING"),
    ("ERRO", "ERROR"),
    ("AVISO", "WARNING"),
    ("ADVERTENCIA", "WARNING"),
    ("REGISTRO", "LOG"),
    ("ОШИБКА", "ERROR"),
    ("ПРЕДУПРЕЖДЕНИЕ", "WARNING"),
    ("ВАЖНО", "FATAL"),
    ("СООБЩЕНИЕ", "LOG"),
    ("错误", "ERROR"),
    ("警告", "WARNING"),
    ("致命错误", "FATAL"),
    ("日志", "LOG"),
    ("エラー", "ERROR"),
];

/// What is known by the level, when it is one.
fn of_level(level: &str) -> Option<Facts<'_>> {
    let translated = TRANSLATED.iter().find(|(name, _)| *name == level);
    if translated.is_none() && !LEVELS.contains(&level) {
        return None;
    }
    let mut facts = Facts::of("database", "", "");
    facts.level = level;
    facts.severity = translated.and_then(|(_, english)| Severity::from_word(english));
    Some(facts)
}

/// Adds who is signed in where; before that is known both are `[unknown]`.
fn add_user<'t>(facts: &mut Facts<'t>, user: &'t str, database: &'t str) {
    for (name, said) in [("user.name", user), ("postgresql.database", database)] {
        if said != "[unknown]" {
            facts.text(name, said);
        }
    }
}

/// The time and what follows it in `TIME ZONE:HOST(PORT):USER@DATABASE:[PID]`.
fn of_rds(prefix: &str) -> Option<(&str, &str)> {
    let length = prefix.get(19..)?.find(':')?;
    let (stamp, rest) = prefix.split_at(19 + length);
    let is_such = stamp.len() <= 32 && !stamp.contains('[') && rest.ends_with(']');
    is_such.then_some((stamp, &rest[1..]))
}

fn add_rds_prefix<'t>(facts: &mut Facts<'t>, prefix: &'t str) {
    let Some((rest, pid)) = prefix.rsplit_once(":[") else { return };
    facts.integer("process.pid", pid.trim_end_matches(']'));
    // Addresses of IPv6 have colons; users and databases may have what they like, behind the port.
    let local = rest.trim_start_matches("[local]").trim_start_matches(':');
    let (client, user) = rest.split_once("):").unwrap_or(("", local));
    if let Some((host, port)) = client.rsplit_once('(') {
        facts.source(host);
        facts.integer("source.port", port);
    }
    if let Some((user, database)) = user.split_once('@') {
        add_user(facts, user, database);
    }
}

/// The time with its zone; one whose zone nobody knows is no time that could be believed.
fn add_time<'t>(facts: &mut Facts<'t>, stamp: &'t str, context: &Context) -> Option<()> {
    facts.time = time::from_text(stamp, context.zone, context.now);
    if facts.time.is_none() {
        let (local, _) = stamp.rsplit_once(' ')?;
        time::from_text(local, context.zone, context.now)?;
        facts.doubted = stamp;
    }
    Some(())
}

/// Columns of `csvlog`: 23 before version 13, 24 in it, 26 since.
const CSV_COLUMNS: std::ops::RangeInclusive<usize> = 23..=26;

/// Reads a line of PostgreSQL's `csvlog`.
pub(super) fn postgresql_csv<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000-00-00 00:00:00") {
        return None;
    }
    let columns = csv(text, *CSV_COLUMNS.end());
    let column = |place: usize| columns.get(place).copied().unwrap_or_default();
    if !CSV_COLUMNS.contains(&columns.len()) {
        return None;
    }
    let mut facts = of_level(column(11))?;
    add_time(&mut facts, column(0), context)?;
    for (name, place) in [
        ("user.name", 1),
        ("postgresql.database", 2),
        ("session.id", 5),
        ("postgresql.command", 7),
        ("message", 13),
        ("postgresql.detail", 14),
        ("postgresql.query", 19),
        ("service.name", 22),
    ] {
        if !column(place).is_empty() {
            facts.add(Path::Ours(name), Fact::Csv(column(place)));
        }
    }
    facts.integer("process.pid", column(3));
    facts.source_pair(column(4));
    facts.text("error.code", column(12));
    let failed = ["password authentication failed for user ", "no pg_hba.conf entry for host "];
    let message = column(13);
    let ended = if failed.iter().any(|start| message.starts_with(start))
        || message.ends_with(" is not permitted to log in")
    {
        Some(Outcome::Failure)
    } else {
        message.starts_with("connection authorized: user=").then_some(Outcome::Success)
    };
    if ended.is_some() {
        facts.word("event.action", "login");
        facts.sign_in = ended;
    }
    Some(facts)
}

/// The columns of a line, without their quotes; a quote inside stands twice. One more than `columns_max` at most.
fn csv(text: &str, columns_max: usize) -> Vec<&str> {
    let (mut columns, mut rest) = (Vec::new(), text);
    while columns.len() <= columns_max {
        let (column, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut quotes = quoted.match_indices('"').map(|(at, _)| at);
                let mut end = quotes.next();
                while let Some(at) = end
                    && quoted[at + 1..].starts_with('"')
                {
                    quotes.next();
                    end = quotes.next();
                }
                let end = end.unwrap_or(quoted.len());
                (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
            }
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        columns.push(column);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    columns
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
    let mut facts = of_level(level)?;
    facts.message = Some(rest);
    add_postgresql_sign_in(&mut facts, rest);
    Some(facts)
}

fn add_postgresql_sign_in<'t>(facts: &mut Facts<'t>, text: &'t str) {
    let failed = ["password authentication failed for user \"", "role \""]
        .into_iter()
        .find_map(|start| text.strip_prefix(start))
        .and_then(|rest| rest.rsplit_once('"'))
        .filter(|(_, after)| {
            // Statements speak of roles that are not there too, as errors.
            let is_unknown = *after == " does not exist" && facts.level == "FATAL";
            is_unknown || matches!(*after, "" | " is not permitted to log in")
        });
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
        let (host, port) = rest.split_once(" port=").unwrap_or((rest, ""));
        facts.source(host);
        facts.integer("source.port", port);
    }
}

/// Reads a line of MySQL or MariaDB.
pub(super) fn mysql<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let is_mysql = looks_like(text, "0000-00-00T00:00:00");
    if !is_mysql && !looks_like(text, "0000-00-00 ") {
        return None;
    }
    // MariaDB puts a space between day and time, and one before an hour of one digit.
    let end =
        if is_mysql { text.find([' ', '\t'])? } else { 11 + text[11..].trim_start().find(' ')? };
    let padding = text.len().min(11);
    let skip =
        if is_mysql { 0 } else { text[padding..].len() - text[padding..].trim_start().len() };
    let end = end + skip;
    let (stamp, rest) = (text.get(..end)?, text.get(end..)?.trim_start());
    let mut line = Line::new(rest);
    let thread = line.short_word(20)?;
    if is_digits(thread) && !line.rest.starts_with('[') {
        return general(stamp, thread, line.rest, context);
    }
    let level = line.bracketed()?;
    if !is_digits(thread) || !matches!(level, "Note" | "Warning" | "ERROR" | "Error" | "System") {
        return None;
    }
    let mut facts = Facts::of("database", "", "");
    facts.time = mysql_time(stamp, context);
    facts.add(Path::Ours("mysql.thread_id"), Fact::Text(thread));
    facts.level = if level == "System" || level == "Note" { "" } else { level };
    if let Some(code) = line.bracketed() {
        facts.text("event.code", code);
        if let Some(subsystem) = line.bracketed() {
            facts.text("log.logger", subsystem);
        }
    }
    facts.message = Some(line.rest);
    add_mysql_message(&mut facts, line.rest);
    Some(facts)
}

/// A time in which MariaDB may write an hour of one digit.
fn mysql_time(stamp: &str, context: &Context) -> Option<Timestamp> {
    if looks_like(stamp, "0000-00-00  0:") {
        return time::from_text(&stamp.replacen("  ", " 0", 1), context.zone, context.now);
    }
    time::from_text(stamp, context.zone, context.now)
}

/// Commands of the general log that tell who is there and what is done.
const COMMANDS: &[&str] = &[
    "Connect",
    "Quit",
    "Query",
    "Init DB",
    "Prepare",
    "Execute",
    "Close stmt",
    "Reset stmt",
    "Field List",
    "Change user",
    "Statistics",
    "Create DB",
    "Drop DB",
    "Refresh",
    "Shutdown",
    "Kill",
    "Ping",
    "Binlog Dump",
    "Binlog Dump GTID",
    "Register Slave",
];

/// `TIME<TAB>  THREAD COMMAND<TAB>TEXT` of the general log.
fn general<'t>(
    stamp: &str,
    thread: &'t str,
    rest: &'t str,
    context: &Context,
) -> Option<Facts<'t>> {
    let (command, said) = rest.split_once('\t').unwrap_or((rest, ""));
    let command = command.trim_end();
    if !COMMANDS.contains(&command) {
        return None;
    }
    let mut facts = Facts::of("database", "access", "");
    facts.time = mysql_time(stamp, context);
    facts.add(Path::Ours("mysql.thread_id"), Fact::Text(thread));
    facts.text("event.action", command);
    facts.message = Some(if said.is_empty() { rest } else { said });
    match command {
        "Query" | "Prepare" | "Execute" => facts.text("mysql.query", said),
        // `alice@192.0.2.9 on shop using TCP/IP`; whether it was let in is not said yet.
        "Connect" => {
            if let Some((user, rest)) = said.split_once('@')
                && let Some((host, rest)) = rest.split_once(" on ")
                && !user.contains(' ')
            {
                facts.text("user.name", user);
                facts.source(host);
                facts.text("mysql.database", rest.split(" using ").next().unwrap_or(rest));
            }
        }
        "Init DB" => facts.text("mysql.database", said),
        _ => {}
    }
    add_mysql_message(&mut facts, said);
    Some(facts)
}

/// Reads what MySQL says without anything around it.
pub(super) fn mysql_message<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut facts = Facts::of("database", "", "");
    add_mysql_message(&mut facts, text);
    (facts.fields.len() > 1).then_some(facts)
}

fn add_mysql_message<'t>(facts: &mut Facts<'t>, text: &'t str) {
    // `Access denied for user 'bob'@'192.0.2.1' (using password: YES)`.
    if let Some(rest) = text.strip_prefix("Access denied for user '")
        && let Some((user, rest)) = rest.split_once("'@'")
        && let Some((host, _)) = rest.split_once('\'')
    {
        facts.text("user.name", user);
        facts.source(host);
        facts.word("event.action", "login");
        facts.sign_in = Some(Outcome::Failure);
    }
    // `Aborted connection 8 to db: 'shop' user: 'bob' host: '192.0.2.1' (Got timeout …)`.
    if let Some(rest) = text.strip_prefix("Aborted connection ")
        && let Some((_, rest)) = rest.split_once(" to db: '")
        && let Some((database, rest)) = rest.split_once("' user: '")
        && let Some((user, rest)) = rest.split_once("' host: '")
        && let Some((host, rest)) = rest.split_once('\'')
    {
        // These words stand for none.
        facts.text("mysql.database", if database == "unconnected" { "" } else { database });
        facts.text("user.name", if user == "unauthenticated" { "" } else { user });
        facts.source(host);
        facts.word("event.action", "connection_aborted");
        let reason = rest.trim_start().trim_start_matches('(').trim_end_matches('.');
        facts.text("event.reason", reason.trim_end_matches(')'));
    }
}
