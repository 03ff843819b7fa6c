//! Records of the Linux audit system, as auditd writes them to its file and hands them on.
//!
//! Input: `[node=HOST ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): key=value …`, also with `audit(…)`
//! alone, as the kernel logs it. Output: the type, the pairs under their own names, hexadecimal values
//! decoded, and the pairs inside `msg='…'`. Fields the daemon appends behind a group separator
//! (`UID="root"`) too.

use super::line::{Line, is_digits};
use super::{Context, Fact, Facts, Path};
use crate::normalize::time;

/// Reads a record of the audit system.
pub(super) fn auditd<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let mut facts = Facts::default();
    if line.tag("node=").is_some() {
        facts.text("host.name", line.word()?);
    }
    let kind = if line.tag("type=").is_some() { line.word()? } else { "" };
    if line.tag("msg=").is_none() && kind.is_empty() && !text.starts_with("audit") {
        return None;
    }
    // The kernel writes `audit: type=1400 audit(…):`.
    line.tag("audit: ");
    let kind = if kind.is_empty() && line.tag("type=").is_some() { line.word()? } else { kind };
    line.tag("audit(")?;
    let stamp = line.until(":")?;
    let serial = line.until("):")?;
    if !is_digits(serial) {
        return None;
    }
    line.skip_spaces();
    facts.time = time::from_text(stamp, context.zone, context.now);
    facts.add(Path::Ours("event.id"), Fact::Text(serial));
    if !kind.is_empty() {
        facts.has_own_names = true;
        facts.text("type", kind);
    }
    add_pairs(&mut facts, kind, line.rest);
    if kind == "EXECVE" {
        add_command_line(&mut facts);
    }
    add_decision(&mut facts, line.rest);
    add_meaning(&mut facts, kind);
    Some(facts)
}

/// What SELinux (`avc:  denied  { read } for …`, of a program inside `msg='…'`) and AppArmor
/// (`apparmor="DENIED"`) decided.
fn add_decision(facts: &mut Facts<'_>, text: &str) {
    let said = text.split_once("msg='").map_or(text, |(_, inner)| inner).trim_start();
    let word = said.strip_prefix("avc:").and_then(|rest| rest.trim_start().split(' ').next());
    let is_profile = |path: &Path<'_>| matches!(path, Path::Sent("apparmor"));
    let profile = facts.fields.iter().find_map(|(path, fact)| match fact {
        Fact::Text(text) if is_profile(path) => Some(*text),
        _ => None,
    });
    let is_denied = match word.or(profile) {
        Some("denied" | "DENIED") => true,
        Some("granted" | "ALLOWED" | "AUDIT") => false,
        _ => return,
    };
    facts.word("event.type", if is_denied { "denied" } else { "allowed" });
    facts.word("event.outcome", if is_denied { "failure" } else { "success" });
}

fn add_pairs<'t>(facts: &mut Facts<'t>, kind: &str, text: &'t str) {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\u{1d}', ',']);
        let Some((key, after)) = rest.split_once('=') else { return };
        let key = key.rsplit([' ', '\u{1d}']).next().unwrap_or(key);
        let was_quoted = after.starts_with('"');
        let (value, after) = if let Some(quoted) = after.strip_prefix('\'') {
            let end = quoted.rfind('\'').unwrap_or(quoted.len());
            // What a program of the user's says: pairs themselves.
            add_pairs(facts, kind, &quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        } else if let Some(quoted) = after.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
        } else {
            let end = after.find([' ', '\u{1d}']).unwrap_or(after.len());
            (&after[..end], &after[end..])
        };
        rest = after;
        let says_nothing = matches!(value, "" | "?" | "(none)" | "(null)");
        if !says_nothing && key.len() <= 64 {
            let may_be_hex = !was_quoted && is_text(kind, key);
            // What begins with a zero is octal, as the mode of a file.
            let is_octal = value.len() > 1 && value.starts_with('0');
            let is_number = !was_quoted && value.len() < 19 && is_digits(value) && !is_octal;
            let fact = match value.parse() {
                _ if may_be_hex => Fact::Hex(value),
                Ok(number) if is_number => Fact::Integer(number),
                _ => Fact::Text(value),
            };
            facts.sent(key, fact);
        }
    }
}

/// The arguments of a program as one line: `a0` to the last, without what the kernel says of long ones.
fn add_command_line(facts: &mut Facts<'_>) {
    let arguments = facts.fields.iter().filter_map(|(path, fact)| match (path, fact) {
        (Path::Sent(key), Fact::Text(value)) if is_argument(key) => Some((*value).to_owned()),
        (Path::Sent(key), Fact::Hex(value)) if is_argument(key) => {
            Some(decoded(value).unwrap_or_else(|| (*value).to_owned()))
        }
        _ => None,
    });
    let line = arguments.collect::<Vec<_>>().join(" ");
    if !line.is_empty() {
        facts.made.push(("process.command_line", line));
    }
}

/// `a0`, `a1` and so on.
fn is_argument(key: &str) -> bool {
    key.strip_prefix('a').is_some_and(is_digits)
}

/// Whether a value is text, which is written in hexadecimal when it has spaces. Arguments are text in
/// `EXECVE` and numbers in `SYSCALL`.
fn is_text(kind: &str, key: &str) -> bool {
    match key {
        "proctitle" | "exe" | "comm" | "name" | "cwd" | "cmd" | "acct" | "data" => true,
        _ => kind == "EXECVE" && is_argument(key),
    }
}

/// What the types that people ask for mean.
fn add_meaning(facts: &mut Facts<'_>, kind: &str) {
    // Only some records say how it ended; those of the same serial about paths and arguments do not.
    let ended = facts.fields.iter().find_map(|(path, fact)| match (path, fact) {
        (Path::Sent("res" | "success"), Fact::Text("failed" | "no")) => Some("failure"),
        (Path::Sent("res" | "success"), Fact::Integer(0)) => Some("failure"),
        (Path::Sent("res" | "success"), _) => Some("success"),
        _ => None,
    });
    let (category, action) = match kind {
        // Not counted as attempts: the programs write records of their own for the same.
        "USER_AUTH" => ("authentication", "user_auth"),
        "USER_LOGIN" => ("authentication", "user_login"),
        "SYSCALL" | "EXECVE" | "PROCTITLE" => ("process", ""),
        "USER_CMD" => ("process", "user_cmd"),
        "ADD_USER" => ("iam", "user_added"),
        "DEL_USER" => ("iam", "user_deleted"),
        "ADD_GROUP" => ("iam", "group_added"),
        "DEL_GROUP" => ("iam", "group_deleted"),
        "USER_CHAUTHTOK" => ("iam", "password_changed"),
        "CONFIG_CHANGE" => ("configuration", "audit_config_changed"),
        "SERVICE_START" => ("process", "service_started"),
        "SERVICE_STOP" => ("process", "service_stopped"),
        "PATH" | "CWD" => ("file", ""),
        "SOCKADDR" => ("network", ""),
        _ => ("", ""),
    };
    facts.word("event.category", category);
    facts.word("event.action", action);
    if let Some(outcome) = ended {
        facts.word("event.outcome", outcome);
    }
}

/// A value that is hexadecimal because it has spaces or control characters; NUL separates arguments.
pub(super) fn decoded(value: &str) -> Option<String> {
    if value.len() < 4
        || !value.len().is_multiple_of(2)
        || !value.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return None;
    }
    let bytes: Vec<u8> = value
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .map(|byte| if byte == 0 { b' ' } else { byte })
        .collect();
    String::from_utf8(bytes).ok()
}
