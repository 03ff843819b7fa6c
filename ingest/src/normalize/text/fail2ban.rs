//! Lines of fail2ban: who was banned and unbanned, from what jail.
//!
//! Input: `2026-01-02 03:04:05,678 fail2ban.actions [123]: NOTICE [sshd] Ban 192.0.2.1`. Output: the
//! jail, the address, and what was done.

use super::line::{Line, looks_like};
use super::{Context, Facts};
use crate::normalize::time;

/// Reads a line of fail2ban.
pub(super) fn fail2ban<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000-00-00 00:00:00") {
        return None;
    }
    let (stamp, rest) = text.split_once(" fail2ban.")?;
    let mut facts = message(rest, context)?;
    facts.time = Some(time::from_text(stamp, context.zone, context.now)?);
    Some(facts)
}

/// Reads `actions [123]: NOTICE [sshd] Ban 192.0.2.1`, with or without the first two.
pub(super) fn message<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let mut facts = Facts::default();
    if !text.starts_with(|c: char| c.is_ascii_uppercase()) {
        facts.text("log.logger", line.word()?);
        let pid = line.bracketed()?;
        facts.integer("process.pid", pid);
        line.tag(":")?;
        line.skip_spaces();
    }
    facts.level = line.short_word(16)?;
    facts.message = Some(line.rest);
    let Some(jail) = line.bracketed() else { return Some(facts) };
    facts.text("rule.name", jail);
    let restored = line.tag("Restore ").is_some();
    let action = match line.word()? {
        "Ban" | "Restored" => "ip_banned",
        "Unban" => "ip_unbanned",
        "Found" => "failure_found",
        "Increase" => return Some(facts),
        "Ignore" => "ip_ignored",
        _ => return Some(facts),
    };
    facts.word("event.category", "intrusion_detection");
    facts.word("event.type", if action == "ip_banned" { "denied" } else { "info" });
    facts.word("event.action", action);
    let word = line.word()?;
    let address = if restored && word == "Ban" { line.word()? } else { word };
    facts.source(address);
    Some(facts)
}
