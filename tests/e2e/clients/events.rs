//! The events that every client sends, and what became of them.

use serde_json::{Map, Value, json};

use crate::harness::client::Client;

/// When they happened.
pub(super) const TIME: &str = "2026-11-22T04:22:59.961Z";
pub(super) const SECONDS: u64 = 1_795_321_379;
/// The largest whole number that every client can say.
pub(super) const NUMBER: u64 = (1 << 53) - 1;
/// Bytes of the long line.
const LONG_BYTES: usize = 20_000;

/// One event, before a client has put it into its form.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) text: String,
    pub(super) level: &'static str,
    /// As the application says it.
    pub(super) time: &'static str,
    /// Beside the text.
    pub(super) extra: Map<String, Value>,
}

impl Event {
    /// As an object with these names for text, level and time.
    pub(super) fn object(&self, text: &str, level: &str, time: &str) -> Value {
        let mut object = self.extra.clone();
        object.insert(text.into(), self.text.clone().into());
        if !level.is_empty() {
            object.insert(level.into(), self.level.into());
        }
        if !time.is_empty() {
            object.insert(time.into(), self.time.into());
        }
        Value::Object(object)
    }

    /// The level as a number of syslog.
    pub(super) fn priority(&self) -> u8 {
        match self.level {
            "error" => 3,
            "warn" => 4,
            _ => 6,
        }
    }

    pub(super) fn is_one_line(&self) -> bool {
        !self.text.contains('\n')
    }
}

/// The events, each with the word `mark`.
pub(super) fn events(mark: &str) -> Vec<Event> {
    let plain = |text: String| Event { text, level: "info", time: TIME, extra: Map::new() };
    let with = |text: &str, extra: Value| {
        let Value::Object(extra) = extra else { panic!("an object") };
        Event { extra, ..plain(format!("{mark} {text}")) }
    };
    vec![
        plain(format!("{mark} zażółć \"gęślą\" 💡 日本 \\ 100%")),
        with("nested", json!({"order": {"id": 7, "items": [1, 2]}})),
        plain(format!("{mark} twice")),
        plain(format!("{mark} twice")),
        plain(format!("{mark} long {}", "x".repeat(LONG_BYTES))),
        Event {
            level: "error",
            ..plain(format!("{mark} Error: no card\n    at pay (/app/pay.js:1:2)\n    at main"))
        },
        Event {
            level: "warn",
            ..plain(format!("{mark} forged\n<13>Nov 22 04:22:59 root su: {mark} let in"))
        },
        with("number", json!({ "n": NUMBER })),
        Event { time: "yesterday at noon", ..plain(format!("{mark} when")) },
    ]
}

/// What of the events a client can say, and under which names it then stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Says {
    /// The number of the event that has one.
    pub(super) number: &'static str,
    /// The number inside the nested object.
    pub(super) order: &'static str,
    pub(super) level: bool,
    /// The time as the application says it, also a bad one.
    pub(super) time: bool,
    /// Line breaks become this.
    pub(super) line_break: Option<&'static str>,
    /// It sends texts of one line alone.
    pub(super) only_lines: bool,
}

/// What is wrong: each of `sent` has to be there exactly once, with what its client says of it.
pub(super) async fn check(desk: &Client, mark: &str, sent: &[Event], says: Says) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, found: &str, expected: &str| {
        if found != expected {
            wrong.push(format!("{what}: `{found}`, expected `{expected}`"));
        }
    };
    let found = desk.search(mark, 100).await;
    let hits = found["hits"].as_array().expect("hits");
    let mut texts: Vec<_> = hits.iter().map(|hit| hit["message"].as_str().expect("text")).collect();
    let expected = |event: &Event| match says.line_break {
        Some(instead) => event.text.replace('\n', instead),
        None => event.text.clone(),
    };
    let mut expected: Vec<_> = sent.iter().map(expected).collect();
    texts.sort_unstable();
    expected.sort_unstable();
    same("texts", &texts.join("|"), &expected.join("|"));
    let hit = |word: &str| {
        let beginning = format!("{mark} {word}");
        hits.iter()
            .find(|hit| hit["message"].as_str().is_some_and(|text| text.starts_with(&beginning)))
    };
    let field = |word: &str, name: &str| {
        let value = hit(word).map_or(Value::Null, |hit| hit["fields"][name].clone());
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    if !says.number.is_empty() {
        same(says.number, &field("number", says.number), &NUMBER.to_string());
    }
    if !says.order.is_empty() {
        same(says.order, &field("nested", says.order), "7");
    }
    let told = |word: &str, name: &str| {
        hit(word).and_then(|hit| hit[name].as_str()).unwrap_or_default().to_owned()
    };
    if says.level {
        same("severity", &told("twice", "severity"), "info");
        if !says.only_lines {
            same("severity", &told("Error", "severity"), "error");
            same("severity", &told("forged", "severity"), "warning");
        }
    }
    if says.time {
        same("lw.time_suspect", &field("when", "lw.time_suspect"), "true");
        same("time", &told("twice", "timestamp")[..TIME.len() - 1], &TIME[..TIME.len() - 1]);
    }
    wrong
}
