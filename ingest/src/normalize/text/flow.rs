//! VPC flow logs of AWS, in the default format and in those that people choose.
//!
//! Input: `2 ACCOUNT INTERFACE SRC DST SRCPORT DSTPORT PROTOCOL PACKETS BYTES START END ACTION STATUS` of
//! version 2, and lines of later versions. Those hold the fields that somebody chose, in an order that only the first
//! line of their file says: the default ones and all others behind them, as AWS lists them, are known by their
//! places, others by their form alone. Output: a network event.

use std::net::IpAddr;

use super::line::is_digits;
use super::{Context, Facts};
use crate::normalize::time;

/// Every field, in the order in which AWS offers them; the first of them are the default format.
const FIELDS: [&str; 29] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
];
const DEFAULT_FIELDS: usize = 14;
/// The format of AWS's own example of version 3.
const EXAMPLE: [&str; 21] = [
    "version",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "interface-id",
    "account-id",
    "type",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "protocol",
    "bytes",
    "packets",
    "start",
    "end",
    "action",
    "tcp-flags",
    "log-status",
];
/// Words of a line.
const WORDS_MAX: usize = 48;

/// Reads a line of a flow log.
pub(super) fn vpc<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let (version, _) = text.split_once(' ')?;
    if !matches!(version.parse(), Ok(2..=20)) || !text.contains("eni-") {
        return None;
    }
    let words: Vec<&str> = text.split(' ').take(WORDS_MAX).collect();
    let named = |fields: &'static [&'static str]| {
        let found: Vec<_> = fields.iter().copied().zip(words.iter().copied()).collect();
        (words.len() == fields.len() && fits(&found)).then_some(found)
    };
    let found = named(&FIELDS[..DEFAULT_FIELDS])
        .or_else(|| named(&FIELDS))
        .or_else(|| named(&EXAMPLE))
        .or_else(|| by_form(&words))?;
    let mut facts = Facts::of("network", "connection", "");
    for (name, word) in found {
        add(&mut facts, name, word);
    }
    Some(facts)
}

/// Whether each field that has a form of its own has it.
fn fits(found: &[(&str, &str)]) -> bool {
    found.iter().all(|(name, word)| match *name {
        "interface-id" => word.starts_with("eni-"),
        "start" | "end" => is_digits(word),
        "srcaddr" | "dstaddr" => *word == "-" || word.parse::<IpAddr>().is_ok(),
        "action" => matches!(*word, "ACCEPT" | "REJECT" | "-"),
        "log-status" => matches!(*word, "OK" | "NODATA" | "SKIPDATA"),
        _ => true,
    })
}

/// Names what can be nothing else: none of the numbers but the ports, behind both addresses.
fn by_form<'t>(words: &[&'t str]) -> Option<Vec<(&'static str, &'t str)>> {
    let mut found: Vec<(&'static str, &'t str)> = Vec::new();
    let is_time = |word: &str| word.len() == 10 && is_digits(word);
    let mut addresses = 0;
    for (at, word) in words.iter().enumerate().skip(1) {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let name = match *word {
            word if word.starts_with("eni-") => "interface-id",
            word if word.starts_with("vpc-") => "vpc-id",
            word if word.starts_with("subnet-") => "subnet-id",
            word if word.starts_with("i-") => "instance-id",
            "ACCEPT" | "REJECT" => "action",
            "OK" | "NODATA" | "SKIPDATA" => "log-status",
            "ingress" | "egress" => "flow-direction",
            word if word.len() == 12 && is_digits(word) => "account-id",
            word if is_time(word) && is_time(next) => "start",
            word if is_time(word) && is_time(words[at - 1]) => "end",
            word if word.parse::<IpAddr>().is_ok() => {
                addresses += 1;
                let ports = words.get(at + 1..at + 3).unwrap_or_default();
                if addresses == 2
                    && ports.len() == 2
                    && ports.iter().all(|p| p.parse::<u16>().is_ok())
                {
                    found.push(("srcport", ports[0]));
                    found.push(("dstport", ports[1]));
                }
                match addresses {
                    1 => "srcaddr",
                    2 => "dstaddr",
                    _ => continue,
                }
            }
            _ => continue,
        };
        found.push((name, word));
    }
    let has = |wanted: &str| found.iter().any(|(name, _)| *name == wanted);
    (has("interface-id") && (has("action") || has("log-status"))).then_some(found)
}

fn add<'t>(facts: &mut Facts<'t>, name: &str, word: &'t str) {
    match name {
        "account-id" => facts.text("cloud.account.id", word),
        "interface-id" => facts.text("aws.vpcflow.interface_id", word),
        "srcaddr" => facts.source(word),
        "dstaddr" => facts.address("destination.ip", "destination.address", word),
        "srcport" => facts.integer("source.port", word),
        "dstport" => facts.integer("destination.port", word),
        "protocol" => match word {
            "6" => facts.word("network.transport", "tcp"),
            "17" => facts.word("network.transport", "udp"),
            "1" => facts.word("network.transport", "icmp"),
            _ => facts.text("network.transport", word),
        },
        "packets" => facts.integer("aws.vpcflow.packets", word),
        "bytes" => facts.integer("source.bytes", word),
        "end" => {
            let end = word.parse::<i64>().ok();
            facts.time = end.and_then(|end| time::from_integer(i128::from(end)));
        }
        "action" => {
            match word {
                "ACCEPT" => facts.word("event.outcome", "success"),
                "REJECT" => facts.word("event.outcome", "failure"),
                _ => {}
            }
            facts.text("event.action", word);
        }
        "log-status" => facts.text("aws.vpcflow.log_status", word),
        "vpc-id" => facts.text("aws.vpcflow.vpc_id", word),
        "subnet-id" => facts.text("aws.vpcflow.subnet_id", word),
        "instance-id" => facts.text("cloud.instance.id", word),
        "region" => facts.text("cloud.region", word),
        "tcp-flags" => facts.integer("aws.vpcflow.tcp_flags", word),
        "pkt-srcaddr" => facts.text("aws.vpcflow.pkt_srcaddr", word),
        "pkt-dstaddr" => facts.text("aws.vpcflow.pkt_dstaddr", word),
        "flow-direction" => match word {
            "ingress" => facts.word("network.direction", "inbound"),
            "egress" => facts.word("network.direction", "outbound"),
            _ => {}
        },
        _ => {}
    }
}
