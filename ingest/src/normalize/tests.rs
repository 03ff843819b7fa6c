//! Records in, events out.

mod applications;
mod clouds;
mod containers;
mod databases;
mod devices;
mod hosts;
mod lines;
mod loggers;
mod logsources;
mod network;
mod secrets;
mod sigma_logsources;
mod signins;
mod spellings;
mod sshd;
mod syslog;
mod times;
mod web;
mod windows;
mod windows_accounts;
mod windows_fields;
mod windows_logsources;
mod windows_shapes;
mod windows_xml;

use std::fmt::Write as _;

use logwarden_event::{Event, Timestamp};
use proptest::prelude::*;

use super::{Normalizer, Origin, parser_names};

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").expect("a time")
}

fn event(record: &str) -> Event {
    let mut origin = Origin::new("shop");
    origin.peer = Some("192.0.2.7".parse().expect("an address"));
    Normalizer.normalize(record.as_bytes(), &origin, now())
}

#[test]
fn who_found_a_field_is_known_of_each_that_was_not_just_sent() {
    let found = |record: &str| Normalizer.found_by(record.as_bytes(), &Origin::new("shop"), now());
    let okta =
        found(r#"{"legacyEventType":"x","client":{"ipAddress":"192.0.2.1"},"hostname":"a"}"#);
    assert_eq!((okta.get("source.ip"), okta.get("host.name")), (Some(&"okta"), None), "{okta:?}");
    let line = "<38>Mar  1 12:00:00 a sshd[1]: Failed password for root from 192.0.2.1 port 5 ssh2";
    let sshd = found(line);
    assert_eq!((sshd.get("source.ip"), sshd.get("user.name")), (Some(&"sshd"), Some(&"sshd")));
    let nginx =
        found(r#"192.0.2.1 - - [01/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#);
    assert!(nginx.contains_key("source.ip") && nginx.contains_key("url.path"), "{nginx:?}");
    // A field that it is said of is a field of the event.
    let (event, found) = (event(line), sshd);
    assert!(found.keys().all(|name| event.fields().any(|field| field.path == *name)), "{found:?}");
    assert_eq!(Normalizer.found_by(b"\xff{", &Origin::new("shop"), now()).len(), 0);
}

/// Shows what is asked for in `wanted`, one `name=value` or `name (alias)=value` each line: a field,
/// or one of `at`, `severity`, `message`, `dataset`, `class`. `-` stands for what is not there.
fn check(record: &str, wanted: &str) {
    let event = event(record);
    let mut shown = String::new();
    for line in wanted.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = line.split_once('=').map_or(line, |(name, _)| name);
        let value = match name {
            "at" if event.timestamp() == Timestamp::default() => "-".into(),
            "at" => event.timestamp().to_string(),
            "severity" => event.severity().to_string(),
            "message" => event.message().into(),
            "dataset" => event.dataset().into(),
            "class" => event.class().as_str().into(),
            path => value(&event, path),
        };
        let value = value.replace('\n', "⏎");
        writeln!(shown, "{name}={value}").expect("a String takes everything");
    }
    let wanted: Vec<_> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let all: Vec<_> = event.fields().map(|field| (field.path, field.alias, field.value)).collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), wanted, "{record}\n{all:#?}");
    assert_eq!(event.raw(), record.as_bytes());
}

/// The values of a field with its alias, as `value` or `value (alias)`.
fn value(event: &Event, path: &str) -> String {
    let values: Vec<_> = event
        .fields()
        .filter(|field| field.path == path && !field.options.is_inner)
        .map(|field| match field.alias {
            Some(alias) => format!("{} ({alias})", field.value),
            None => field.value.to_string(),
        })
        .collect();
    if values.is_empty() { "-".into() } else { values.join(" ") }
}

#[test]
fn every_parser_has_its_own_name() {
    let mut names: Vec<_> = parser_names().collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), parser_names().count());
}

#[test]
fn a_record_that_is_no_text_keeps_its_bytes() {
    let record = b"{\"user\":\"b\xFFb\"}";
    let event = Normalizer.normalize(record, &Origin::new("shop"), now());
    assert_eq!(event.raw(), record);
    assert_eq!(value(&event, "user.name"), "b\u{FFFD}b (user)");
    assert_eq!(value(&event, "lw.invalid_utf8"), "true");
}

#[test]
fn a_word_that_nobody_meant_as_one_is_flagged() {
    for (bytes, flag) in [(65_530, "-"), (65_531, "true")] {
        let long = "x".repeat(bytes);
        check(&format!("a {long} b"), &format!("lw.long_word={flag}"));
        check(&format!(r#"{{"message":"a","blob":"{long}"}}"#), &format!("lw.long_word={flag}"));
    }
    check(&"ab ".repeat(30_000), "lw.long_word=-");
}

#[test]
fn a_sender_cannot_say_what_only_we_say() {
    check(
        r#"{"lw":{"reason":"x"},"lw.code":"y","dataset":"logwarden.audit","source":"z","event":{"dataset":"logwarden"}}"#,
        "lw.reason=-
         lw.code=-
         sent.lw.reason=x
         sent.lw.code=y
         dataset=shop
         source=z",
    );
    for dataset in ["LOGWARDEN.audit", "Logwarden", "logwarden.x"] {
        check(&serde_json::json!({ "event.dataset": dataset }).to_string(), "dataset=shop");
    }
    check(r#"{"dataset":"logwardens"}"#, "dataset=logwardens");
}

proptest! {
    #[test]
    fn every_byte_string_is_survived(
        mut record in proptest::collection::vec(any::<u8>(), 0..80),
        head in proptest::sample::select(vec![
            "", "{", "{\"message\":\"", "<13>", "<13>1 ", "<34>1 2026-01-01T00:00:00Z h sshd 1 - [a b=\"",
            "Dec 10 06:55:46 h sshd[1]: Failed password for ", "<86>Dec 10 06:55:46 h sshd: Disconnecting ",
        ]),
    ) {
        let mut whole = head.as_bytes().to_vec();
        whole.append(&mut record);
        let event = Normalizer.normalize(&whole, &Origin::new("shop"), now());
        prop_assert_eq!(event.raw(), &whole[..]);
        let mut encoded = Vec::new();
        event.encode(&mut encoded);
        let read = Event::decode(&encoded, Default::default(), now());
        prop_assert!(read.is_ok());
    }

    #[test]
    fn every_text_is_survived(text in "\\PC{0,80}", program in "sshd|su|sshd\\(pam_unix\\)|x") {
        event(&format!("<86>Dec 10 06:55:46 host {program}[1]: {text}"));
        event(&serde_json::json!({"message": text, "program": program, "time": text, "level": text, "ip": text}).to_string());
    }
}
