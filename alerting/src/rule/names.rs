//! How a rule's field names resolve on an event.
//!
//! A name is first the record's own, then what well-known senders wrap it in, then its counterpart
//! in ECS; the first that is present wins. Names of ECS mean themselves.

use logwarden_event::standard_field;
use logwarden_query::Target;

/// Names of the Sigma taxonomy (specification 2.1.0, appendix) and where else the same is found.
const COUNTERPARTS: &[(&str, &[&str])] = &[
    ("Image", &["NewProcessName", "process.executable"]),
    ("ParentImage", &["ParentProcessName", "process.parent.executable"]),
    ("CommandLine", &["ProcessCommandLine", "process.command_line"]),
    ("ParentCommandLine", &["process.parent.command_line"]),
    ("ProcessId", &["NewProcessId", "process.pid"]),
    ("ParentProcessId", &["process.parent.pid"]),
    ("User", &["SubjectUserName", "user.name"]),
    ("Computer", &["host.name"]),
    ("ComputerName", &["host.name"]),
    ("EventID", &["EventCode", "event_id", "event.code", "winlog.event_id"]),
    ("EventType", &["event.action"]),
    ("Channel", &["winlog.channel", "channel"]),
    ("Provider_Name", &["winlog.provider_name", "event.provider"]),
    // Defender's `Feature Name`, of which all other rules leave the blank out.
    ("Feature_Name", &["FeatureName"]),
    ("IpAddress", &["source.ip"]),
    ("IpPort", &["source.port"]),
    ("SourceIp", &["source.ip"]),
    ("SourcePort", &["source.port"]),
    ("DestinationIp", &["destination.ip"]),
    ("DestinationPort", &["destination.port"]),
    ("DestinationHostname", &["destination.domain", "destination.address"]),
    ("Protocol", &["network.transport"]),
    ("TargetUserName", &["user.target.name", "user.name"]),
    ("SubjectUserName", &["user.name"]),
    ("TargetFilename", &["file.path"]),
    ("ImageLoaded", &["dll.path"]),
    ("TargetObject", &["registry.path"]),
    ("Details", &["registry.data.strings"]),
    ("QueryName", &["dns.question.name"]),
    ("query", &["dns.question.name"]),
    ("PipeName", &["file.name"]),
    ("ScriptBlockText", &["powershell.file.script_block_text"]),
    ("cs-method", &["http.request.method"]),
    ("cs-uri", &["url.original"]),
    ("cs-uri-query", &["url.query"]),
    ("cs-uri-stem", &["url.path"]),
    ("c-uri", &["url.original"]),
    ("c-uri-query", &["url.query"]),
    ("cs-user-agent", &["user_agent.original"]),
    ("c-useragent", &["user_agent.original"]),
    ("cs-username", &["user.name"]),
    ("c-ip", &["source.ip"]),
    ("sc-status", &["http.response.status_code"]),
    ("src_ip", &["source.ip"]),
    ("src_port", &["source.port"]),
    ("dst_ip", &["destination.ip"]),
    ("dst_port", &["destination.port"]),
    ("exe", &["process.executable"]),
    ("comm", &["process.name"]),
    ("a0", &["process.args"]),
];

/// What Windows events wrap their fields in, by the shipper that sent them.
const WINDOWS_WRAPS: &[&str] = &[
    "Event.EventData.",
    "winlog.event_data.",
    "EventData.",
    "Event.System.",
    "System.",
    "Event.System.Provider.#attributes.",
    "winlog.",
];

/// The part of an event that a rule's field name means.
pub fn target_of(name: &str) -> Target {
    let plain = Target::of_name(name);
    if !matches!(plain, Target::Field(_)) || standard_field(name).is_some() {
        return plain;
    }
    let known = COUNTERPARTS.iter().find(|(sigma, _)| *sigma == name).map(|(_, others)| *others);
    // Windows names are in camel case; other names stand in the record as they are.
    let is_windows = name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('.');
    if known.is_none() && !is_windows {
        return plain;
    }
    let mut names = vec![name.to_owned()];
    if is_windows {
        names.extend(WINDOWS_WRAPS.iter().map(|wrap| format!("{wrap}{name}")));
    }
    for other in known.unwrap_or_default() {
        names.push((*other).to_owned());
        if is_windows && other.starts_with(|c: char| c.is_ascii_uppercase()) {
            names.push(format!("Event.EventData.{other}"));
            names.push(format!("winlog.event_data.{other}"));
        }
    }
    if name == "Provider_Name" {
        names.push(String::from("Event.System.Provider.#attributes.Name"));
    }
    Target::FirstOf(names)
}
