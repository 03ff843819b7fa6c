//! The engine over pieces that only look at each event, and over the real index.

mod answers;
mod naive;
mod pages;
mod real;
mod restricted;
mod stop;

use std::sync::Arc;

use logwarden_event::{Event, EventBuilder, FieldOptions, Position, Severity, Timestamp, Value};
use logwarden_store::Store;

use crate::{Config, Engine, Query, SearchRequest, SortKey, Visibility, parse_query};
use naive::NaivePiece;

/// A moment to count relative times from.
fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T05:00:00Z").expect("valid")
}

fn query(text: &str) -> Query {
    parse_query(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn request(text: &str, limit: usize) -> SearchRequest {
    SearchRequest {
        query: query(text),
        range: crate::time_range(None, None),
        limit,
        sort: Vec::new(),
        cursor: None,
        visibility: Visibility::default(),
    }
}

fn sorted(text: &str, limit: usize, sort: &str) -> SearchRequest {
    SearchRequest { sort: vec![SortKey::parse(sort)], ..request(text, limit) }
}

/// An engine over these events, dealt out to so many pieces that overlap in time.
fn engine(events: &[Event], pieces: usize, config: Config) -> Arc<Engine> {
    let mut dealt: Vec<Vec<Event>> = vec![Vec::new(); pieces.max(1)];
    for (place, event) in events.iter().enumerate() {
        dealt[place % pieces.max(1)].push(event.clone());
    }
    let pieces = dealt.into_iter().enumerate();
    let pieces = pieces.map(|(place, events)| NaivePiece::new(place, events) as _).collect();
    let (store, _simulation) = Store::simulated(1);
    Engine::over_pieces(pieces, store, config)
}

/// Events from lines of `second severity dataset message | field=value …`; seq counts from 1.
fn events(text: &str) -> Vec<Event> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.zip(1u64..).map(|(line, seq)| event(line, seq)).collect()
}

fn event(line: &str, seq: u64) -> Event {
    let (head, fields) = line.split_once('|').unwrap_or((line, ""));
    let mut rest = head;
    let mut word = || {
        let (word, after) = rest.trim().split_once(' ').unwrap_or((rest, ""));
        rest = after;
        word.trim()
    };
    let mut event = EventBuilder::new(line.as_bytes());
    let second: i64 = word().parse().expect("a second");
    event
        .timestamp(Some(Timestamp::from_secs(now().secs() - 3_600 + second)))
        .severity(Severity::from_word(word()).expect("a severity"))
        .dataset(word())
        .source("edge");
    event.message(rest.trim());
    for field in fields.split_whitespace() {
        let (name, values) = field.split_once('=').expect("name=value");
        for text in values.split(',') {
            let options = FieldOptions { is_array_item: values.contains(','), is_inner: false };
            let value = match (text.parse(), text.parse(), text.parse()) {
                (Ok(number), _, _) => Value::Integer(number),
                (_, Ok(number), _) => Value::Float(number),
                (_, _, Ok(address)) => Value::Ip(address),
                _ => Value::String(text),
            };
            event.field_with(name, None, value, options);
        }
    }
    let mut event = event.build();
    event.stamp(Position { lane: 0, seq }, now());
    event
}
