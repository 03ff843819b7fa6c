//! Linux-PAM: what its modules say in the name of a program.
//!
//! Input: the message of a syslog line, `pam_unix(sshd:auth): …` or, from old systems, a tag
//! `sshd(pam_unix)` and the message alone. Output: user, remote host and action. An authentication
//! failure counts as an attempt, except where sshd writes its own `Failed …` line for the same one.

use super::authentication::{Outcome, mark};
use super::reading::{Held, Reading};
use super::{Parser, sshd, standard};

/// Reads the lines of PAM modules.
pub(crate) struct Pam;

impl Parser for Pam {
    fn name(&self) -> &'static str {
        "pam"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        let Some(tag) = reading.first_text(standard::PROCESS_NAME) else { return false };
        let tag = reading.str(tag);
        let is_old = tag.ends_with("(pam_unix)");
        let content = reading.str(reading.content);
        if !is_old && !content.starts_with("pam_") && !content.starts_with("PAM ") {
            return false;
        }
        parse_content(reading)
    }
}

/// What a line says, in places of its text.
struct Line<'t> {
    action: &'static str,
    kind: &'static str,
    category: &'static str,
    is_attempt: bool,
    user: Option<&'t str>,
    host: Option<&'t str>,
}

fn parse_content(reading: &mut Reading<'_>) -> bool {
    let content = reading.content;
    let Some(line) = understand(reading.str(content)) else { return false };
    let part = |part: &str| reading.part(content, part);
    let (user, host) = (line.user.map(part), line.host.map(part));
    let (action, kind, category, is_attempt) =
        (line.action, line.kind, line.category, line.is_attempt);
    reading.add_text("event.action", action);
    reading.add_text("event.type", kind);
    reading.add_text("event.category", category);
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        reading.add_missing("user.name", Held::Text(user));
    }
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        sshd::add_source(reading, host);
    }
    if is_attempt {
        mark(reading, Outcome::Failure);
        reading.add_class("linux/authentication/");
    }
    reading.add_class("linux//auth");
    if reading.dataset() == "syslog" {
        let dataset = reading.keep("auth");
        reading.set_dataset(dataset);
    }
    true
}

fn understand(message: &str) -> Option<Line<'_>> {
    let message = message.trim_end();
    let line = |action| Line {
        action,
        kind: "info",
        category: "",
        is_attempt: false,
        user: None,
        host: None,
    };
    // `PAM service(sshd) ignoring max retries; 6 > 3`.
    if message.starts_with("PAM service(") && message.contains(" ignoring max retries") {
        return Some(line("pam_retries_ignored"));
    }
    // `PAM 5 more authentication failures; …` is what sshd adds up at the end.
    if let Some(rest) = message.strip_prefix("PAM ") {
        let more = rest.split_once(" more authentication failure")?.1;
        let (user, host) = user_and_host(more);
        return Some(Line { user, host, ..line("pam_more_failures") });
    }
    let (service, rest) = if message.starts_with("pam_") {
        let (module, rest) = message.split_once("): ")?;
        let service = module.split_once('(')?.1;
        (service.split(':').next()?, rest)
    } else {
        ("", message)
    };
    if let Some(rest) = rest.strip_prefix("authentication failure;") {
        let (user, host) = user_and_host(rest);
        // Of an old tag there is no service, and no other line.
        let is_attempt = service != "sshd";
        let kind = if is_attempt { "start" } else { "info" };
        let line = line("pam_authentication_failure");
        return Some(Line { kind, user, host, is_attempt, ..line });
    }
    // `Consecutive login failures for user bob account temporarily locked`.
    if let Some(rest) = rest.strip_prefix("Consecutive login failures for user ") {
        let user = rest.strip_suffix(" account temporarily locked").unwrap_or(rest);
        let line = line("account_locked");
        return Some(Line { kind: "change", category: "iam", user: Some(user), ..line });
    }
    if let Some(user) = rest.strip_prefix("password changed for ") {
        let line = line("password_changed");
        return Some(Line { kind: "change", category: "iam", user: Some(user), ..line });
    }
    if rest.starts_with("check pass; user unknown") {
        return Some(line("pam_user_unknown"));
    }
    if let Some(rest) = rest.strip_prefix("session opened for user ") {
        let user = rest.rsplit_once(" by ").map_or(rest, |(user, _)| user);
        let user = user.split_once("(uid=").map_or(user, |(user, _)| user);
        let line = line("session_opened");
        return Some(Line { kind: "start", category: "session", user: Some(user), ..line });
    }
    if let Some(user) = rest.strip_prefix("session closed for user ") {
        let line = line("session_closed");
        return Some(Line { kind: "end", category: "session", user: Some(user), ..line });
    }
    None
}

/// `… rhost=HOST[ ][ user=USER]` from the right: `user` comes last and may hold anything.
fn user_and_host(text: &str) -> (Option<&str>, Option<&str>) {
    let Some((_, rest)) = text.split_once(" rhost=") else { return (None, None) };
    let (host, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    (rest.trim_start().strip_prefix("user="), Some(host))
}
