//! What sudo, su, login and the programs that manage accounts say.
//!
//! Input: the message of a syslog line of the program. Output: who did what, as whom, and refusals. A
//! command line and a user's name are the user's words: what sudo itself writes counts from the left.

use super::line::Line;
use super::{Context, Facts};
use crate::normalize::authentication::Outcome;

/// `USER : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`, and refusals before the terminal.
pub(super) fn sudo<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let (user, rest) = text.trim_start().split_once(" : ")?;
    if user.contains(' ') {
        return None;
    }
    let mut facts = Facts::of("process", "start", "sudo");
    facts.text("user.name", user);
    let mut rest = rest;
    // `3 incorrect password attempts ; TTY=…`, `user NOT in sudoers ; TTY=…`.
    if let Some((reason, after)) = rest.split_once(" ; ")
        && !reason.contains('=')
    {
        facts.text("event.reason", reason);
        facts.word("event.outcome", "failure");
        if reason.ends_with("incorrect password attempts")
            || reason.ends_with("incorrect password attempt")
            || reason == "a password is required"
        {
            // PAM counts each attempt in a record of its own.
            facts.word("event.category", "authentication");
        }
        rest = after;
    } else {
        facts.word("event.outcome", "success");
    }
    loop {
        let (name, after) = rest.split_once('=')?;
        if name == "COMMAND" {
            facts.text("process.command_line", after);
            let program = after.split(' ').next().unwrap_or(after);
            facts.text("process.executable", program);
            return Some(facts);
        }
        let (value, after) = after.split_once(" ; ")?;
        match name {
            "TTY" => facts.text("sudo.tty", value),
            "PWD" => facts.text("process.working_directory", value),
            "USER" => facts.text("user.effective.name", value),
            _ => {}
        }
        rest = after;
    }
}

/// `(to root) bob on pts/0`, `FAILED SU (to root) bob on pts/0`, and the older `+ pts/0 bob:root`.
pub(super) fn su<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut facts = Facts::of("authentication", "start", "su");
    let (outcome, rest) =
        match text.strip_prefix("FAILED SU ").or_else(|| text.strip_prefix("FAILED su ")) {
            Some(rest) => (Outcome::Failure, rest),
            None => (Outcome::Success, text),
        };
    if let Some(rest) = rest.strip_prefix("(to ").or_else(|| rest.strip_prefix("for ")) {
        let (target, rest) = rest.split_once(") ").or_else(|| rest.split_once(" by "))?;
        facts.text("user.effective.name", target);
        facts.text("user.name", rest.split_once(" on ").map_or(rest, |(user, _)| user));
    } else if let Some(rest) = text.strip_prefix("Successful su for ") {
        let (target, user) = rest.split_once(" by ")?;
        facts.text("user.effective.name", target);
        facts.text("user.name", user);
    } else if let Some(rest) = text.strip_prefix(['+', '-']) {
        let (_, users) = rest.trim_start().split_once(' ')?;
        let (user, target) = users.split_once(':')?;
        facts.text("user.name", user);
        facts.text("user.effective.name", target);
        facts.word("event.outcome", if text.starts_with('+') { "success" } else { "failure" });
        return Some(facts);
    } else {
        return None;
    }
    // PAM writes a record of its own for a failure, and counts it.
    facts.word("event.outcome", outcome.name());
    Some(facts)
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure`, `ROOT LOGIN ON tty1`, `LOGIN ON tty1 BY bob`.
pub(super) fn login<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    if let Some(rest) = text.strip_prefix("FAILED LOGIN ") {
        let mut facts = Facts::of("authentication", "start", "login");
        let (before, after) = rest.split_once(" FOR ")?;
        if let Some((_, host)) = before.rsplit_once(" FROM ") {
            facts.source(host);
        }
        let (user, reason) = after.rsplit_once(", ").unwrap_or((after, ""));
        facts.text("user.name", user.trim_matches(['\'', '`']));
        facts.text("event.reason", reason);
        facts.word("event.outcome", "failure");
        return Some(facts);
    }
    let root = text.strip_prefix("ROOT LOGIN ");
    let rest = root.or_else(|| text.strip_prefix("LOGIN "))?;
    let mut facts = Facts::of("authentication", "start", "login");
    facts.sign_in = Some(Outcome::Success);
    facts.classes.push("linux/authentication/");
    if root.is_some() {
        facts.word("user.name", "root");
    } else if let Some((_, user)) = rest.rsplit_once(" BY ") {
        facts.text("user.name", user.split(' ').next().unwrap_or(user));
    }
    if let Some((_, host)) = rest.rsplit_once(" FROM ") {
        facts.source(host.split(' ').next().unwrap_or(host).trim_matches('\''));
    }
    Some(facts)
}

/// What useradd, usermod, userdel, groupadd, gpasswd, passwd, chage and chfn say.
pub(super) fn accounts<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let action_facts = |action| Facts::of("iam", "change", action);
    // `new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0`.
    for (start, action) in [
        ("new user: ", "user_added"),
        ("new group: ", "group_added"),
        ("group added to /etc/group: ", "group_added"),
        ("delete user ", "user_deleted"),
        ("removed group ", "group_deleted"),
        ("group '", "group_changed"),
        ("change user ", "user_changed"),
        ("lock user ", "user_locked"),
        ("unlock user ", "user_unlocked"),
        ("password for ", "password_changed"),
        ("changed password expiry for ", "password_expiry_changed"),
        ("failed adding user ", "user_added"),
        ("new password ", "password_changed"),
    ] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        let mut facts = action_facts(action);
        if start.starts_with("failed") {
            facts.word("event.outcome", "failure");
        }
        if let Some(name) = rest.strip_prefix("name=") {
            let (name, rest) = name.split_once(", ").unwrap_or((name, ""));
            let path = if action.starts_with("group") { "group.name" } else { "user.target.name" };
            facts.text(path, name);
            for pair in rest.split(", ") {
                match pair.split_once('=') {
                    Some(("UID", id)) => facts.text("accounts.uid", id),
                    Some(("GID", id)) => facts.text("accounts.gid", id),
                    Some(("home", home)) => facts.text("accounts.home", home),
                    Some(("shell", shell)) => facts.text("accounts.shell", shell),
                    _ => {}
                }
            }
        } else {
            // `password for 'bob' changed by 'root'`.
            if let Some((_, by)) = rest.split_once(" changed by ") {
                facts.text("user.name", by.trim_matches(['\'', '"']));
            }
            let name = rest.trim_start_matches(['\'', '"']);
            let name = name.split(['\'', '"', ' ', ',']).next().unwrap_or(name);
            let path = if action.starts_with("group") { "group.name" } else { "user.target.name" };
            facts.text(path, name);
        }
        return Some(facts);
    }
    membership(text)
}

/// `add 'bob' to group 'sudo'`, `delete 'bob' from shadow group 'sudo'`, `user bob added by root to group sudo`.
fn membership(text: &str) -> Option<Facts<'_>> {
    let mut line = Line::new(text);
    if line.tag("user ").is_some() {
        let user = line.word()?;
        let verb = line.word()?;
        let action = match verb {
            "added" => "group_member_added",
            "removed" => "group_member_removed",
            _ => return None,
        };
        let mut facts = Facts::of("iam", "change", action);
        facts.text("user.target.name", user);
        line.tag("by ")?;
        facts.text("user.name", line.word()?);
        let (_, group) = line.rest.split_once("group ")?;
        facts.text("group.name", group);
        return Some(facts);
    }
    let (action, rest) = match text.strip_prefix("add '") {
        Some(rest) => ("group_member_added", rest),
        None => ("group_member_removed", text.strip_prefix("delete '")?),
    };
    let (user, rest) = rest.split_once('\'')?;
    let (_, group) = rest.split_once("group '")?;
    let mut facts = Facts::of("iam", "change", action);
    facts.text("user.target.name", user);
    facts.text("group.name", group.trim_end_matches('\''));
    Some(facts)
}
