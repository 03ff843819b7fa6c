//! Correlations and detectors by cases: what fires when. Each case runs in order, in many other
//! orders, event by event as its time comes, and with a restart between any two events; all must
//! agree.

mod chains;

use std::sync::Arc;

use logwarden_event::{Event, EventBuilder, Position, Timestamp, Value};

use super::Explained;
use crate::engine::{Engine, Finding, Found};
use crate::rule::{RuleFile, RuleSet};

/// Orders in which each case runs besides its own; all cases together come to 10,000.
const SHUFFLES: u64 = 200;

const RULES: &str = "title: a\nname: a\nlogsource: {}\ndetection: { s: { k: a }, condition: s }\n---\n\
    title: b\nname: b\nlogsource: {}\ndetection: { s: { k: b }, condition: s }\n---\n\
    title: c\nname: c\nlogsource: {}\ndetection: { s: { k: c }, condition: s }\n---\n";

/// `at kind field=value…`, separated by `;`, where `at` is a second.
fn events(text: &str) -> Vec<Event> {
    let event = |(line, seq): (&str, u64)| {
        let mut words = line.split_whitespace();
        let mut builder = EventBuilder::new(b"{}");
        let at: f64 = words.next().and_then(|word| word.parse().ok()).expect("a second");
        builder.timestamp(Some(Timestamp::from_millis((at * 1e3) as i64))).source("test");
        builder.field("k", Value::String(words.next().expect("a kind")));
        for word in words {
            let (field, value) = word.split_once('=').expect("field=value");
            match value.parse::<f64>() {
                Ok(number) => builder.field(field, Value::Float(number)),
                Err(_) => builder.field(field, Value::String(value)),
            };
        }
        let mut event = builder.build();
        event.stamp(Position { lane: 0, seq }, Timestamp::from_secs(1_000_000));
        event
    };
    let lines = text.split(';').map(str::trim).filter(|line| !line.is_empty());
    lines.zip(1..).map(event).collect()
}

fn load(rule: &str) -> Arc<RuleSet> {
    let text = format!("{RULES}title: t\nid: t\nlevel: high\n{rule}\n");
    let (rules, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text }]);
    assert_eq!(problems, [], "{rule}");
    Arc::new(rules)
}

/// What began, as `second` or `second/group`, of the rule on trial.
#[derive(Default)]
struct Began(std::collections::BTreeMap<(String, u128), String>);

impl Began {
    fn take(&mut self, engine: &Engine, findings: Vec<Finding>) {
        for finding in findings {
            if engine.rules().rules()[finding.rule].id != "t" {
                continue;
            }
            let key = finding.key.to_string();
            let (episode, absorbed) = match finding.what {
                Found::Began { episode, .. } => (episode, Vec::new()),
                Found::Grew { episode, absorbed, .. } => (episode, absorbed),
                Found::Ended { .. } => continue,
            };
            for other in absorbed {
                self.0.remove(&(key.clone(), other.key));
            }
            let values: Vec<&str> = finding.group.iter().map(|(_, value)| value.as_str()).collect();
            let at = episode.started_at / 1_000_000_000;
            let text = [&[at.to_string().as_str()], values.as_slice()].concat().join("/");
            self.0.insert((key, episode.key), text);
        }
    }

    fn text(self) -> String {
        let mut all: Vec<String> = self.0.into_values().collect();
        all.sort_by_key(|text| {
            let at = text.split('/').next().and_then(|at| at.parse::<i64>().ok());
            (at, text.clone())
        });
        all.join(" ")
    }
}

/// All events received at one moment, in this order; `restart`: after so many of them.
fn at_once(rules: &Arc<RuleSet>, events: &[Event], order: &[usize], restart: usize) -> String {
    let mut engine = Engine::new(rules.clone());
    let mut began = Began::default();
    for (turn, place) in order.iter().enumerate() {
        if turn == restart {
            engine = restarted(&mut engine);
        }
        let found = engine.process(&events[*place]).found;
        began.take(&engine, found);
    }
    finish(engine, events, began)
}

/// Each event received when it happened.
fn as_it_happens(rules: &Arc<RuleSet>, events: &[Event], restart: usize) -> String {
    let mut engine = Engine::new(rules.clone());
    let mut began = Began::default();
    let mut sorted: Vec<Event> = events.to_vec();
    sorted.sort_by_key(|event| (event.timestamp(), event.seq()));
    for (turn, event) in sorted.iter_mut().enumerate() {
        if turn == restart {
            engine = restarted(&mut engine);
        }
        event.stamp(Position { lane: 0, seq: event.seq() }, event.timestamp());
        let found = engine.process(event).found;
        began.take(&engine, found);
    }
    finish(engine, events, began)
}

fn restarted(engine: &mut Engine) -> Engine {
    let mut fresh = Engine::new(engine.rules().clone());
    for part in engine.take_changed_parts().into_iter().filter(|part| part.state.is_some()) {
        assert_eq!(fresh.restore(&part), 0, "{part:?}");
    }
    fresh
}

fn finish(mut engine: Engine, events: &[Event], mut began: Began) -> String {
    let last = events.iter().map(Event::timestamp).max().expect("an event");
    let found = engine.finish(last);
    began.take(&engine, found);
    began.text()
}

fn check(rule: &str, timeline: &str, expected: &str) {
    let rules = load(rule);
    let events = events(timeline);
    let in_order: Vec<usize> = (0..events.len()).collect();
    let case = format!("{rule}\n{timeline}");
    assert_eq!(at_once(&rules, &events, &in_order, usize::MAX), expected, "{case}");
    for seed in 0..SHUFFLES {
        let mut order = in_order.clone();
        let key =
            |place: &usize| crate::identity::hash(&[&seed.to_le_bytes(), &place.to_le_bytes()]);
        order.sort_by_key(key);
        let restart = (seed as usize) % (events.len() + 1);
        let found = at_once(&rules, &events, &order, restart);
        assert_eq!(found, expected, "{case}\nin order {order:?}, restart at {restart}");
    }
    for restart in 0..=events.len() {
        let found = as_it_happens(&rules, &events, restart);
        assert_eq!(found, expected, "{case}\nas it happens, restart at {restart}");
    }
}

fn correlation(kind: &str, rest: &str) -> String {
    format!("correlation: {{ type: {kind}, timespan: 10s, {rest} }}")
}

#[test]
fn counts_of_events() {
    let at_least = |rest: &str| correlation("event_count", &format!("rules: [a], {rest}"));
    let three = at_least("condition: { gte: 3 }");
    check(&three, "0 a; 1 a; 2 a", "2");
    check(&three, "0 a; 5 a; 10 a", "10");
    check(&three, "0 a; 5 a; 11 a", "");
    check(&three, "5 a; 5 a; 5 a", "5");
    check(&three, "0 a; 1 b; 2 a; 3 b", "");
    check(&three, "0 a; 1 a; 2 a; 8 a; 14 a; 15 a", "2");
    check(&three, "0 a; 1 a; 2 a; 40 a; 41 a; 42 a", "2 42");
    check(&at_least("condition: { gt: 3 }"), "0 a; 1 a; 2 a; 3 a", "3");
    let by = at_least("group-by: [u], condition: { gte: 2 }");
    check(&by, "0 a u=x; 1 a u=y; 2 a u=x; 3 a", "2/x");
    check(&by, "0 a u=x; 1 a u=y; 2 a u=x; 3 a u=y", "2/x 3/y");
    check(&by, "0 a; 1 a; 2 a", "");
    let null = format!("{by}\nlogwarden: {{ missing: as-null }}");
    check(&null, "0 a; 1 a; 2 a u=x", "1");
    check(&null, "0 a; 1 a u=null; 2 a u=x", "");
    check(
        &at_least("group-by: [u, v], condition: { gte: 2 }"),
        "0 a u=x v=1; 1 a u=x v=2; 2 a u=x v=1",
        "2/x/1",
    );
}

#[test]
fn counts_that_further_events_can_undo() {
    let count = |condition: &str| {
        correlation("event_count", &format!("rules: [a], condition: {{ {condition} }}"))
    };
    check(&count("lt: 2"), "0 a; 5 a; 10 a; 15 a; 30 a", "20");
    check(&count("lt: 2"), "0 a; 4 a; 8 a; 12 a", "");
    check(&count("lte: 1"), "0 a; 5 a; 12 a; 30 a", "10");
    check(&count("eq: 0"), "0 a; 5 a; 40 a", "15");
    check(&count("eq: 0"), "0 a; 9 a; 18 a", "");
    check(&count("eq: 3"), "0 a; 4 a; 8 a; 40 b", "8");
    // At 3 there were three of them, whatever came then; at 23 again.
    check(&count("eq: 3"), "0 a; 1 a; 3 a; 4 a; 40 a; 41 a; 42 a; 43 a", "3 42");
    check(&count("neq: 2"), "0 a; 5 a; 10 a; 15 a", "10");
    check(&count("gte: 2, lte: 3"), "0 a; 1 a; 9 a; 11 a; 12 a", "10");
    check(&count("gte: 1, lt: 3"), "0 a; 1 a; 2 a; 3 a; 13 a", "11");
}

#[test]
fn counts_of_values() {
    let count = |rest: &str| correlation("value_count", &format!("rules: [a], {rest}"));
    let two = count("condition: { field: u, gte: 2 }");
    check(&two, "0 a u=x; 1 a u=x; 2 a u=y", "2");
    check(&two, "0 a u=x; 11 a u=y", "");
    check(&two, "0 a; 1 a u=x; 2 a", "");
    check(
        &count("condition: { field: [u, v], gte: 3 }"),
        "0 a u=x v=1; 1 a u=x v=2; 2 a u=y v=1",
        "2",
    );
    check(
        &count("condition: { field: u, lt: 2 }"),
        "0 a u=x; 5 a u=y; 9 a u=x; 14 a u=x; 18 a u=x",
        "15",
    );
    check(
        &count("group-by: [h], condition: { field: u, gte: 2 }"),
        "0 a h=1 u=x; 1 a h=2 u=y; 2 a h=1 u=y",
        "2/1",
    );
}

#[test]
fn rules_together_and_in_order() {
    let both = correlation("temporal", "rules: [a, b]");
    check(&both, "0 a; 10 b", "10");
    check(&both, "0 b; 3 a", "3");
    check(&both, "0 a; 11 b", "");
    check(&correlation("temporal", "rules: [a, b, c], condition: { gte: 2 }"), "0 a; 1 c", "1");
    let ordered = correlation("temporal_ordered", "rules: [a, b]");
    check(&ordered, "0 a; 5 b", "5");
    check(&ordered, "0 b; 5 a", "");
    check(&ordered, "5 a; 5 b", "5");
    check(&ordered, "0 b; 1 a; 2 b", "2");
    let alias = "correlation:\n  type: temporal\n  rules: [a, b]\n  timespan: 10s\n  group-by: [ip]\n  aliases: { ip: { a: src, b: dst } }";
    check(alias, "0 a src=x; 1 b src=x; 2 b dst=x", "2/x");
}

#[test]
fn rules_together_in_words() {
    let words = |kind: &str, rules: &str, condition: &str| {
        correlation(kind, &format!("rules: [{rules}], condition: {condition}"))
    };
    let absent = words("temporal", "a, b", "a and not b");
    check(&absent, "0 a; 30 c", "10");
    check(&absent, "0 a; 5 b; 30 c", "");
    check(&absent, "0 a; 10 b; 30 c", "");
    check(&absent, "0 a; 11 b; 30 c", "10");
    check(&absent, "0 b; 1 a; 30 c", "11");
    check(&absent, "0 a; 3 a; 12 b; 30 c", "10");
    check(&absent, "0 a; 9 c", "");
    check(&absent, "0 a; 40 a; 41 b; 80 a; 99 c", "10 90");
    let by = words("temporal", "a, b", "a and not b, group-by: [u]");
    check(&by, "0 a u=x; 1 a u=y; 2 b u=x; 30 c", "11/y");
    check(&words("temporal", "a, b, c", "a and (b or c)"), "0 a; 3 c; 30 a", "3");
    check(&words("temporal", "a, b, c", "a and (b or c)"), "0 b; 3 c; 30 a", "");
    let either = words("temporal_extended", "a, b, c", "(a or b) and not c");
    check(&either, "0 a; 4 b; 40 b; 41 c; 60 a", "10");
    check(&words("temporal", "a, b, c", "a and (b or not c)"), "0 a; 2 c; 3 b; 40 a; 60 b", "3 50");
    let ordered = words("temporal_ordered", "a, b, c", "a and b and not c");
    check(&ordered, "0 a; 2 b; 40 a", "10");
    check(&ordered, "0 b; 2 a; 40 a", "");
    check(&ordered, "0 a; 2 b; 5 c; 40 a", "");
    check(&ordered, "0 b; 0 a; 40 c", "10");
    check(&words("temporal_ordered", "a, b, c", "c and (a or b)"), "0 a; 1 c; 2 b; 30 a", "2");
    // What counting rules says is judged at once.
    for (condition, expected) in [("a and b", "1"), ("a or b", "0"), ("1 of them", "0")] {
        let rule = words("temporal", "a, b", condition);
        check(&rule, "0 a; 1 b", expected);
        let judged =
            load(&rule).rules().iter().find(|rule| rule.id == "t").map(|rule| match &rule.logic {
                crate::rule::Logic::Correlate(correlation) => correlation.judged.is_some(),
                crate::rule::Logic::Match(_) => true,
            });
        assert_eq!(judged, Some(false), "{condition}");
    }
}

#[test]
fn conditions_in_words_that_cannot_be_are_refused() {
    for (condition, expected) in [
        ("a and x", "there is no member rule `x`"),
        ("not a", "holds where no rule matches"),
        ("a or not b", "holds where no rule matches"),
        ("a and not a", "can never hold"),
        ("a and", "ends early"),
        ("a | count() > 1", "aggregations after `|`"),
    ] {
        let rule = correlation("temporal", &format!("rules: [a, b], condition: '{condition}'"));
        let text = format!("{RULES}title: t\nid: t\n{rule}\n");
        let (_, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text }]);
        let found: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(found.len() == 1 && found[0].contains(expected), "{condition}: {found:?}");
    }
}

#[test]
fn sums_means_and_percentiles() {
    let value = |kind: &str, condition: &str| {
        correlation(kind, &format!("rules: [a], condition: {{ field: n, {condition} }}"))
    };
    check(&value("value_sum", "gt: 10"), "0 a n=4; 1 a n=6; 2 a n=1", "2");
    check(&value("value_sum", "gte: 10"), "0 a n=4; 11 a n=6; 12 a n=4", "12");
    check(&value("value_sum", "lt: 3"), "0 a n=5; 12 a n=1; 14 b", "10");
    check(&value("value_avg", "gte: 5"), "0 a n=1; 5 a n=9; 6 a n=6", "5");
    check(&value("value_avg", "lt: 5"), "0 a n=9; 5 a n=9; 12 a n=1; 20 b", "15");
    check(&value("value_median", "gte: 5"), "0 a n=1; 1 a n=2; 2 a n=50; 3 a n=60; 4 a n=70", "4");
    check(&value("value_percentile", "percentile: 90, gte: 50"), "0 a n=1; 1 a n=60", "1");
    check(&value("value_percentile", "percentile: 50, gte: 50"), "0 a n=1; 1 a n=60", "");
    check(&value("value_sum", "gte: 1"), "0 a; 1 a n=x", "");
}

#[test]
fn chains() {
    let chain = "name: t\ncorrelation: { type: event_count, timespan: 60s, rules: [inner], condition: { gte: 2 } }\n---\n\
        title: inner\nname: inner\ncorrelation: { type: event_count, timespan: 10s, rules: [a], CONDITION }";
    let of = |condition: &str| chain.replace("CONDITION", &format!("condition: {{ {condition} }}"));
    check(&of("gte: 2"), "0 a; 1 a; 30 a; 31 a", "31");
    check(&of("gte: 2"), "0 a; 1 a; 30 a", "");
    check(&of("gte: 2"), "0 a; 1 a; 2 a", "2");
    check(&of("gte: 2, lte: 2"), "0 a; 1 a; 30 a; 31 a; 50 b", "31");
    let ordered = "correlation: { type: temporal_ordered, timespan: 30s, rules: [inner, b], group-by: [u] }\n---\n\
        title: inner\nname: inner\ncorrelation: { type: event_count, timespan: 10s, rules: [a], group-by: [u], condition: { gte: 2 } }";
    check(ordered, "0 a u=x; 1 a u=x; 5 b u=x", "5/x");
    check(ordered, "0 a u=x; 1 a u=y; 5 b u=x", "");
}

#[test]
fn spikes() {
    let spike = |rest: &str| {
        format!("detector: {{ type: spike, input: {{ rules: [a] }}, window: 60s, {rest} }}")
    };
    let quiet_then_many =
        "0 a; 30 a; 60 a; 100 a; 110 a; 120 a; 121 a; 122 a; 123 a; 124 a; 190 b; 400 a";
    check(&spike("factor: 3, min_current: 5"), quiet_then_many, "123");
    check(&spike("factor: 10"), quiet_then_many, "");
    check(&spike("factor: 3, min_current: 5"), "0 a; 1 a; 2 a; 3 a; 4 a", "");
    check(&spike("factor: 2, direction: down"), "0 a; 10 a; 20 a; 30 a; 40 a; 100 a; 200 a", "119");
    let sum = "detector: { type: spike, input: { rules: [a] }, window: 60s, reference: 10m, factor: 2, measure: { sum: n } }";
    check(sum, "0 a n=1; 50 a n=100; 350 a n=10; 700 a n=10; 800 b", "710");
    check(
        &spike("factor: 3, reference: 5m"),
        "0 a; 60 a; 120 a; 180 a; 240 a; 300 a; 360 a; 365 a; 366 a; 367 a; 400 b",
        "374",
    );
    let steady: String = (0..80).map(|turn| format!("{} a;", turn * 5)).collect();
    check(&spike("factor: 1.2, reference: 5m"), &steady, "");
    check(
        &spike("factor: 1.2, reference: 5m"),
        &format!("{steady} 391 a; 392 a; 393 a; 394 a; 394.5 a; 420 b"),
        "404",
    );
    check(
        "detector: { type: spike, input: { rules: [a] }, group-by: [u], window: 60s, factor: 2, measure: { sum: n } }",
        "0 a u=x n=5; 65 a u=x n=5; 126 a u=x n=4; 130 a u=x n=9; 131 a u=y n=90",
        "130/x",
    );
}

#[test]
fn silence() {
    let flat = "detector: { type: flatline, input: { rules: [a] }, group-by: [h], window: 10s }";
    check(flat, "0 a h=x; 8 a h=x; 30 b", "18/x");
    check(flat, "0 a h=x; 8 a h=x; 16 a h=x; 20 b", "");
    check(flat, "0 a h=x; 40 a h=x; 80 b", "10/x 50/x");
    let two = "detector: { type: flatline, input: { rules: [a] }, window: 10s, below: 2 }";
    check(two, "0 a; 4 a; 8 a; 16 a; 30 b", "14");
    let forgets = "detector: { type: flatline, input: { rules: [a] }, window: 10s, keys: { seen-within: 20s } }";
    check(forgets, "0 a; 8 a; 100 a; 101 b", "18");
}

#[test]
fn a_baseline_of_any_numbers_is_no_trouble() {
    let rule = |measure: &str| {
        format!(
            "detector: {{ type: baseline, input: {{ rules: [a] }}, bucket: 60s, season: none, measure: {{ {measure}: n }}, \
             sensitivity: 2, learn: 0s }}"
        )
    };
    let below: String = (0..15).map(|turn| format!("{} a n=-10;", turn * 60)).collect();
    check(&rule("avg"), &below, "");
    check(&rule("avg"), &format!("{below} 900 a n=-90; 960 a n=-10; 1020 a n=-10"), "959");
    let huge: String =
        (0..15).map(|turn| format!("{} a n={}1e60;", turn * 60, ["", "-"][turn % 2])).collect();
    check(&rule("max"), &huge, "779");
}

#[test]
fn what_held_is_over_whatever_was_known_of_later_events() {
    let two = "correlation: { type: event_count, rules: [a], group-by: [u], timespan: 60s, condition: { eq: 2 } }";
    for lateness in ["10s", "10m"] {
        let rule = format!("{two}\nlogwarden: {{ lateness: {lateness} }}");
        check(&rule, "0 a u=x; 0 a u=x; 30 a u=x; 100 a u=x; 101 a u=x", "0/x 101/x");
    }
}

#[test]
fn what_was_forgotten_begins_anew_whenever_somebody_looks() {
    let two = "detector: { type: flatline, input: { rules: [a] }, window: 20s, below: 3, keys: { seen-within: 60s } }";
    check(two, "0 a; 1000 a; 1100 b", "20 1020");
    let terms = "detector: { type: new_term, input: { rules: [a] }, fields: [g], history: 600s, learn: 300s }";
    check(terms, "0 a g=1; 400 a g=2; 1700 a g=3; 1800 a g=4; 2100 a g=5", "400/2 2100/5");
    let spike = "detector: { type: spike, input: { rules: [a] }, window: 10s, factor: 2, new_key: alert, min_current: 2 }";
    check(spike, "0 a; 5000 a; 5000 a; 5020 b", "5000");
    let learns = spike.replace("new_key: alert", "new_key: learn, min_reference: 0");
    check(&learns, "0 a; 5000 a; 5000 a; 5020 b", "");
    let enough = "detector: { type: new_term, input: { rules: [a] }, fields: [g], history: 1h, min_events: 3 }";
    check(enough, "0 a g=1; 1 a g=2; 2 a g=3; 9000 a g=1; 9001 a g=2; 9002 a g=3", "2/3 9002/3");
}

#[test]
fn silence_of_what_was_never_seen() {
    let rule = "detector: { type: flatline, input: { rules: [a] }, window: 60s, group-by: [h], \
                keys: { list: [x, y] } }";
    check(rule, "0 b; 30 a h=x; 40 a h=z; 200 b", "60/y 90/x 100/z");
    check(rule, "0 b; 10 a h=x; 20 a h=y; 50 b", "");
    check(rule, "0 b; 70 a h=y; 71 a h=x; 300 b", "60/x 60/y 130/y 131/x");
    let pairs = rule.replace("[h]", "[h, d]").replace("[x, y]", "[[x, 1], [y, 2]]");
    check(&pairs, "0 b; 30 a h=x d=1; 80 b", "60/y/2");
}

#[test]
fn keys_that_all_detectors_have() {
    let often = |rest: &str| {
        format!(
            "detector: {{ type: threshold, input: {{ rules: [a] }}, window: 10s, count: 2, {rest} }}"
        )
    };
    check(&often("learn: 60s"), "0 a; 1 a; 70 a; 71 a", "71");
    check(&often("min_events: 3"), "0 a; 1 a; 20 a; 21 a; 22 a", "22");
    check(
        &often("distinct: [u], min_events: 3"),
        "0 a u=x; 1 a u=y; 20 a u=x; 21 a u=y; 22 a u=y",
        "22",
    );
    let new = "detector: { type: new_term, input: { rules: [a] }, fields: [g], min_events: 3 }";
    check(new, "0 a g=de; 1 a g=fr; 2 a g=us", "2/us");
    let quiet = "detector: { type: flatline, input: { rules: [a] }, window: 60s, learn: 100s }";
    check(quiet, "0 a; 200 a; 300 b", "100 260");
    check(quiet, "0 a; 50 a; 300 b", "110");
    let late = load(&often("lateness: 1h"));
    let lateness =
        late.rules().iter().find(|rule| rule.id == "t").and_then(|t| t.settings.lateness);
    assert_eq!(lateness, Some(std::time::Duration::from_secs(3_600)));
}

#[test]
fn cells_name_the_same_event_whatever_the_order() {
    let rule = "detector: { type: spike, input: { rules: [a] }, window: 60s, factor: 2, new_key: alert, min_current: 3 }";
    let named = |order: &[usize]| {
        let events = events("100 a; 100.2 a; 100.5 a; 100.9 a");
        let mut engine = Engine::new(load(rule));
        for (place, seq) in order.iter().zip(1..) {
            let mut event = events[*place].clone();
            event.stamp(Position { lane: 0, seq }, Timestamp::from_secs(1_000_000));
            engine.process(&event);
        }
        let found = engine.finish(Timestamp::from_secs(200));
        let ids = found.iter().find_map(|finding| match &finding.what {
            Found::Began { episode, members, .. } => Some((episode.started_by, members[0].at)),
            _ => None,
        });
        let (id, at) = ids.expect("a detection");
        let seq = logwarden_event::EventId::from_u128(id).position().seq;
        (order[usize::try_from(seq).expect("small") - 1], at)
    };
    assert_eq!(named(&[0, 1, 2, 3]), (0, 100_000_000_000));
    assert_eq!(named(&[3, 1, 2, 0]), (0, 100_000_000_000));
}

#[test]
fn silence_where_a_baseline_expects_more() {
    let rule = |rest: &str| {
        format!(
            "detector: {{ type: flatline, input: {{ rules: [a] }}, group-by: [h], window: 10s, \
             expected: baseline, season: none, learn: 60s{rest} }}"
        )
    };
    // Ten events in each bucket: none is more than three spreads below, three are not.
    let busy: String = (0..150).map(|second| format!("{second} a h=x;")).collect();
    check(&rule(""), &format!("{busy} 200 b"), "159/x");
    check(&rule(""), &format!("{busy} 150 a h=x; 151 a h=x; 152 a h=x; 155 b"), "");
    check(&rule(", sensitivity: 4"), &format!("{busy} 200 b"), "");
    // Silence does not become usual, and two silences are two detections.
    check(&rule(""), &format!("{busy} 900 b"), "159/x");
    let again: String = (600..750).map(|second| format!("{second} a h=x;")).collect();
    check(&rule(""), &format!("{busy}{again} 800 b"), "159/x 759/x");
    // Of a group with two events in each bucket nobody can say that it is silent.
    let calm: String = (0..30).map(|turn| format!("{} a h=x;", turn * 5)).collect();
    check(&rule(""), &format!("{calm} 200 b"), "");
}

#[test]
fn new_rare_and_changed_values() {
    let new = |rest: &str| {
        format!(
            "detector: {{ type: new_term, input: {{ rules: [a] }}, group-by: [u], fields: [g], {rest} }}"
        )
    };
    check(&new("history: 1d"), "0 a u=x g=de; 5 a u=x g=de; 9 a u=x g=fr; 9 a u=y g=us", "9/x/fr");
    check(
        &new("history: 1d, learn: 60s"),
        "0 a u=x g=de; 5 a u=x g=fr; 70 a u=x g=us; 71 a u=x g=us",
        "70/x/us",
    );
    check(
        &new("history: 60s"),
        "0 a u=x g=de; 1 a u=x g=fr; 50 a u=x g=fr; 790 a u=x g=de; 800 a u=x g=fr; 801 b",
        "1/x/fr 800/x/fr",
    );
    // Each value that is new is told of, however soon it follows, also at one moment.
    check(
        &new("history: 1d"),
        "0 a u=x g=de; 5 a u=x g=fr; 6 a u=x g=us; 7 a u=x g=fr; 900 a u=x g=kp; 900 a u=x g=ru",
        "5/x/fr 6/x/us 900/x/kp 900/x/ru",
    );
    let pairs = new("history: 1d").replace("[g]", "[g, n]").replace("group-by: [u], ", "");
    check(&pairs, "0 a g=de n=i; 3 a g=de n=j; 4 a g=fr n=j", "3/de/j 4/fr/j");
    let change =
        "detector: { type: change, input: { rules: [a] }, group-by: [u], field: g, remember: 1h }";
    check(change, "0 a u=x g=1; 5 a u=x g=1; 9 a u=x g=2; 10 a u=y g=3", "9/x/2");
    check(change, "0 a u=x g=1; 5 a u=x g=2; 6 a u=x g=1; 7 a u=x g=2", "5/x/2 6/x/1 7/x/2");
    check(change, "0 a u=x g=1; 5 a u=x g=2; 5 a u=x g=1", "5/x/2");
    check(change, "0 a u=x g=1; 4000 a u=x g=2", "");
    check(change, "0 a u=x g=1; 960 a u=x g=2", "960/x/2");
    let rare = "detector: { type: rare, input: { rules: [a] }, group-by: [h], field: p, history: 1h, max_entities: 1, learn: 10s }";
    check(rare, "0 a h=1 p=sh; 1 a h=2 p=sh; 20 a h=1 p=sh; 21 a h=1 p=nc", "21/nc");
    check(rare, "0 a h=1 p=sh; 20 a p=nc; 21 a h=1", "");
    let null = format!("{rare}\nlogwarden: {{ missing: as-null }}");
    check(&null, "0 a h=1 p=sh; 20 a p=nc; 21 a h=1; 22 a p=sh", "20/nc");
    let share = |rest: &str| {
        format!(
            "detector: {{ type: rare, input: {{ rules: [a] }}, field: p, history: 1h, {rest} }}"
        )
    };
    let fifth = share("max_share: 0.2");
    check(&fifth, "0 a p=sh; 1 a p=sh; 2 a p=sh; 3 a p=sh; 4 a p=sh; 5 a p=nc", "5/nc");
    check(&fifth, "0 a p=sh; 1 a p=sh; 2 a p=sh; 3 a p=nc", "");
    check(&fifth, "0 a p=1; 1 a p=2; 2 a p=3; 3 a p=4; 4 a p=5", "4/5");
    check(&fifth, "0 a p=1; 1 a p=2; 2 a p=3; 3 a p=4; 4 a p=5; 5 a p=6", "4/5 5/6");
    check(&fifth, "0 a p=sh; 1 a p=sh; 2 a p=sh; 3 a p=sh; 4 a p=nc; 4 a p=nc", "");
    let many: String = (0..71).map(|at| format!("{at} a p=y;")).collect();
    let some: String = (71..100).map(|at| format!("{at} a p=x;")).collect();
    check(&share("max_share: 0.29, min_events: 100"), &format!("{many}{some}"), "99/x");
    check(&share("max_share: 0.2, learn: 1h"), "0 a p=1; 1 a p=2; 2 a p=3; 3 a p=4; 4 a p=5", "");
    let by = share("max_share: 0.5, group-by: [h]");
    check(&by, "0 a h=1 p=sh; 1 a h=2 p=sh; 2 a h=1 p=nc; 3 a h=2 p=sh", "2/1/nc");
    let short = share("max_share: 0.2").replace("1h", "10s");
    check(&short, "0 a p=sh; 1 a p=sh; 2 a p=sh; 3 a p=sh; 20 a p=nc", "");
}

#[test]
fn shares() {
    let ratio = |rest: &str| {
        format!(
            "detector:\n  type: ratio\n  window: 60s\n  input: {{ logsource: {{}}, detection: {{ s: {{ k: a }}, condition: s }} }}\n  part: {{ ok: no }}\n  {rest}"
        )
    };
    check(&ratio("above: 0.4\n  min_events: 3"), "0 a ok=yes; 1 a ok=no; 2 a ok=no; 70 b", "2");
    check(&ratio("above: 0.7\n  min_events: 3"), "0 a ok=yes; 1 a ok=no; 2 a ok=no; 70 b", "");
    check(&ratio("below: 0.2\n  min_events: 2"), "0 a ok=yes; 1 a ok=yes; 70 b", "1");
    let tenth = ratio("above: 0.1\n  min_events: 3");
    check(&tenth, "0 a ok=no; 59.5 a ok=yes; 59.6 a ok=yes; 70 b", "59");
    check(&tenth, "0 a ok=no; 60.5 a ok=yes; 60.6 a ok=yes; 70 b", "");
    let both = "---\ntitle: w\nid: w\nlogsource: {}\ndetection: { s: { ok: '*' }, condition: s }\n---\n\
        title: f\nlogsource: {}\nfilter: { rules: [a], n: { n: 9 }, condition: not n }";
    let of_rules = |rules: &str| {
        format!(
            "detector: {{ type: ratio, window: 60s, input: {{ rules: {rules} }}, part: {{ ok: no }}, \
             above: 0.4, min_events: 3 }}\n{both}"
        )
    };
    // An event that both rules match counts once; one that a filter leaves out of its rule does not.
    for rules in ["[a]", "[a, w]"] {
        check(&of_rules(rules), "0 a ok=yes; 1 a ok=no; 2 a ok=no; 70 b", "2");
        check(&of_rules(rules), "0 a ok=yes; 1 a ok=no; 70 b", "");
    }
    check(&of_rules("[a]"), "0 a ok=yes; 1 a ok=no; 2 a ok=no n=9; 70 b", "");
}

#[test]
fn risk_adds_up_over_rules() {
    let rules = |score: &str| {
        format!(
            "detector: {{ type: risk, entity: u, window: 60s, score: {score}, min_rules: 2 }}\n---\n\
             title: x\nid: x\nlogsource: {{}}\ndetection: {{ s: {{ k: x }}, condition: s }}\n\
             logwarden: {{ risk: 40, entity: u }}\n---\n\
             title: y\nid: y\nlogsource: {{}}\ndetection: {{ s: {{ k: y }}, condition: s }}\n\
             logwarden: {{ risk: 60, entity: u }}"
        )
    };
    check(&rules("100"), "0 x u=eve; 20 y u=eve; 25 x u=bob", "20/eve");
    check(&rules("101"), "0 x u=eve; 20 y u=eve; 25 x u=bob", "");
    check(&rules("100"), "0 x u=eve; 100 y u=eve; 101 b", "");
}

#[test]
fn a_late_event_is_left_out_of_what_was_judged() {
    let rules = load(&correlation("value_sum", "rules: [a], condition: { field: n, gte: 9 }"));
    let mut engine = Engine::new(rules.clone());
    let mut found = 0;
    for (event, observed) in events("0 a n=5; 300 b; 5 a n=5; 310 b").iter().zip([0, 300, 301, 600])
    {
        let mut event = event.clone();
        event.stamp(Position { lane: 0, seq: event.seq() }, Timestamp::from_secs(observed));
        let of_rule = |finding: &&Finding| rules.rules()[finding.rule].id == "t";
        found += engine.process(&event).found.iter().filter(of_rule).count();
    }
    assert_eq!(found, 0);
}

/// Why the first detection of these events began, judged up to a second.
fn why_of(rule: &str, listed: &str, until: i64) -> Explained {
    let mut engine = Engine::new(load(rule));
    for event in events(listed) {
        engine.process(&event);
    }
    let found = engine.finish(Timestamp::from_secs(until));
    let why = found.iter().find_map(|finding| match &finding.what {
        Found::Began { why, .. } => why.clone(),
        _ => None,
    });
    why.expect("a detection")
}

#[test]
fn a_sentence_names_its_numbers() {
    let mean = correlation("value_avg", "rules: [a], condition: { field: n, gte: 5 }");
    let why = why_of(&mean, "0 a n=4; 1 a n=7", 1);
    assert_eq!(why.text, "the mean of n is 5.5 within 10 s; the rule asks for at least 5");
    assert_eq!(why.usual, None);
    let spike =
        "detector: { type: spike, input: { rules: [a] }, window: 60s, factor: 3, min_current: 5 }";
    let why = why_of(spike, "0 a; 30 a; 100 a; 110 a; 121 a; 122 a; 123 a; 124 a", 124);
    assert_eq!(why.usual.map(|usual| usual[0] * 3.0), Some(why.threshold), "{}", why.text);
}
