//! VPC flow logs of AWS, in the default format (version 2).
//!
//! Input: `2 ACCOUNT INTERFACE SRC DST SRCPORT DSTPORT PROTOCOL PACKETS BYTES START END ACTION STATUS`.
//! Output: a network event.

use super::line::is_digits;
use super::{Context, Facts};
use crate::normalize::time;

/// Reads a line of a flow log.
pub(super) fn vpc<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    if !text.starts_with("2 ") {
        return None;
    }
    let mut words = text.split(' ');
    let mut parts = [""; 14];
    for part in &mut parts {
        *part = words.next()?;
    }
    let [
        _,
        account,
        interface,
        source,
        target,
        sport,
        dport,
        protocol,
        packets,
        bytes,
        start,
        end,
        action,
        status,
    ] = parts;
    if words.next().is_some() || !interface.starts_with("eni-") || !is_digits(start) {
        return None;
    }
    let mut facts = Facts::of("network", "connection", "");
    facts.text("cloud.account.id", account);
    facts.text("aws.vpcflow.interface_id", interface);
    facts.source(source);
    facts.address("destination.ip", "destination.address", target);
    facts.integer("source.port", sport);
    facts.integer("destination.port", dport);
    match protocol {
        "6" => facts.word("network.transport", "tcp"),
        "17" => facts.word("network.transport", "udp"),
        "1" => facts.word("network.transport", "icmp"),
        _ => facts.text("network.transport", protocol),
    }
    facts.integer("aws.vpcflow.packets", packets);
    facts.integer("source.bytes", bytes);
    facts.time = end.parse::<i64>().ok().and_then(|end| time::from_integer(i128::from(end)));
    match action {
        "ACCEPT" => facts.word("event.outcome", "success"),
        "REJECT" => facts.word("event.outcome", "failure"),
        _ => {}
    }
    facts.text("event.action", action);
    facts.text("aws.vpcflow.log_status", status);
    Some(facts)
}
