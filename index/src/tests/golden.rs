//! A split that was written when its format was made can still be read.
//!
//! `golden.N.lws` holds [`events`] of format N and is never made anew.

use std::ops::ControlFlow;
use std::sync::Arc;

use logwarden_event::{
    Event, EventBuilder, FieldOptions, Position, Severity, SplitId, TimeRange, Timestamp, Value,
};
use logwarden_store::Store;

use crate::builder::{BuiltSplit, SplitBuilder};
use crate::cache::Cache;
use crate::columnstore::writer::DISSECT;
use crate::head::order_of;
use crate::lookup::Lookup;
use crate::split::Split;

/// By format.
const GOLDEN: [(u32, &[u8]); 2] =
    [(5, include_bytes!("golden.5.lws")), (6, include_bytes!("golden.6.lws"))];

/// A login in JSON, a line of syslog, prose, and an event whose name for a field is never the same.
fn event(format: u32, number: u64) -> Event {
    let user = ["kofi", "chiara", "mallory"][number as usize % 3];
    let port = 40_000 + number * 7;
    let ip = std::net::Ipv4Addr::from_bits(0x0A02_0000 + number as u32 * 77);
    let id = format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let at = Timestamp::from_millis(1_760_000_000_000 + number as i64 * 250);
    let path = match format {
        5 => r"C:\x".to_owned(),
        _ => format!("/v1/{user}/orders/{port}"),
    };
    let record = match number % 4 {
        0 | 1 => format!(
            r#"{{"@timestamp":"{at}","user":{{"name":"{user}"}},"src":{{"ip":"{ip}","port":{port}}},"id":"{id}","path":{},"message":"user {user} signed in, session {id}"}}"#,
            serde_json::Value::from(&*path)
        ),
        2 => format!("<38>1 {at} bastion sshd {number} - - Failed password for {user} port {port}"),
        _ => format!("the {number}th event of {user} says {id} in words of its own"),
    };
    let slice = |text: &str| record.find(text).map(|start| &record[start..start + text.len()]);
    let mut event = EventBuilder::new(record.as_bytes());
    event.timestamp(Some(at)).severity(Severity::Warning).source("golden").dataset("golden.log");
    event.field("user.name", Value::String(slice(user).expect("it is there")));
    let port = Value::Integer(i128::from(port));
    match number % 4 {
        0 | 1 => {
            event.message(slice("user ").map_or("", |from| tail(&record, from, 2)));
            let address = Value::Ip(ip.into());
            event.field_with("source.ip", Some("src.ip"), address, FieldOptions::default());
            event.field_with("source.port", Some("src.port"), port, FieldOptions::default());
            event.field("id", Value::String(slice(&id).expect("it is there")));
            event.field("path", Value::String(&path));
        }
        2 => {
            event.message(slice("Failed").map_or("", |from| tail(&record, from, 0)));
            event.field("source.port", port);
        }
        _ => {
            event.message(&record);
            event.field(&format!("name {number}"), Value::Float(0.5));
        }
    }
    let mut event = event.build();
    event.stamp(Position { lane: 0, seq: number + 1 }, Timestamp::from_secs(1_760_000_100));
    event
}

/// What stands from `from` on, less the last bytes.
fn tail<'r>(record: &'r str, from: &str, less: usize) -> &'r str {
    &record[from.as_ptr() as usize - record.as_ptr() as usize..record.len() - less]
}

fn events(format: u32) -> Vec<Event> {
    let mut events: Vec<Event> = (0..60).map(|number| event(format, number)).collect();
    events.sort_by_key(order_of);
    events
}

fn built(format: u32) -> BuiltSplit {
    let mut builder = SplitBuilder::new(Some(DISSECT)).expect("an empty split");
    events(format).iter().for_each(|event| builder.add(event).expect("in memory"));
    builder.finish(SplitId::from_u128(7), Vec::new()).expect("in memory")
}

#[test]
fn a_split_of_a_format_is_read_and_found_in() {
    for (format, golden) in GOLDEN {
        is_read_and_found_in(format, golden);
    }
}

fn is_read_and_found_in(format: u32, golden: &[u8]) {
    let BuiltSplit { mut meta, .. } = built(format);
    meta.size_bytes = golden.len() as u64;
    let (store, _simulation) = Store::simulated(0);
    store.blobs.put_new(&meta.blob(), &mut &golden[..]).expect("room");
    let split =
        Split::open(store.blobs, meta, Arc::new(Cache::new(1 << 20)), None).expect("the format");

    let events = events(format);
    let mut back = Vec::new();
    let mut take = |event: &Event| {
        back.push(event.clone());
        ControlFlow::Continue(())
    };
    split.search(&Lookup::All, TimeRange::ALL, &mut take).expect("readable");
    assert_eq!(back.len(), events.len());
    for (event, back) in events.iter().zip(&back) {
        assert_eq!(event.parts(), back.parts());
        assert_eq!((event.id(), event.observed_at()), (back.id(), back.observed_at()));
    }
    let word = |word: &str| Lookup::Word { field: None, word: word.to_owned() };
    let value = |field: &str, value: &str| Lookup::Value {
        field: field.to_owned(),
        value: value.to_owned(),
    };
    for lookup in [
        word("signed"),
        word("mallory"),
        word("says"),
        word("9e3779b97f4a7c15"),
        value("user.name", "kofi"),
        value("src.port", "40028"),
        value("source.ip", "10.2.1.52"),
        value("path", if format == 5 { r"c:\x" } else { "/v1/mallory/orders/40035" }),
        Lookup::WordPrefix { field: None, prefix: "4003".to_owned() },
        word("40035"),
        Lookup::Exists { field: "name 3".to_owned() },
    ] {
        let mut found = Vec::new();
        let mut visit = |event: &Event| {
            found.push(event.seq());
            ControlFlow::Continue(())
        };
        split.search(&lookup, TimeRange::ALL, &mut visit).expect("readable");
        let expected = events.iter().filter(|event| lookup.matches(event)).map(Event::seq);
        let expected: Vec<u64> = expected.collect();
        assert!(
            !expected.is_empty() && found == expected,
            "{lookup:?}: {found:?}, not {expected:?}"
        );
    }
}
