//! Somebody who sees a part of the events learns nothing of the rest, however they ask.

use logwarden_event::{Event, EventBuilder, FieldOptions, Severity, TimeRange, Value};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio_stream::StreamExt;

use super::real::{facets_of, node, rows_of};
use super::{engine, query, request};
use crate::arbitrary;
use crate::{
    Config, ContextRequest, Control, Cut, Engine, ExportRequest, HistogramRequest, Mask, Query,
    QueryError, SearchRequest, TailItem, Visibility,
};

/// What must never be told: it stands in foreign events and in hidden fields.
const CANARY: &str = "zq9canary";
/// Questions of the long run.
const QUESTIONS: usize = 10_000;

const FIELDS: &[&str] = &["user.name", "dataset", "tags", "peer", "lw.source"];

fn mask(names: &[&str]) -> Mask {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Mask::new(&names).expect("names of fields")
}

fn restricted(row_filter: &str, hidden: &[&str]) -> Visibility {
    let row_filter = Some(query(row_filter).filter);
    Visibility { row_filter, mask: mask(hidden), may_see_own_records: false }
}

/// Everything of what `seen` gives, by the way of those who see a part.
fn everything() -> Visibility {
    restricted("*", &[])
}

/// The events as they are seen, each by itself.
fn seen(events: &[Event], visibility: &Visibility) -> Vec<Event> {
    let may_see =
        |event: &&Event| visibility.row_filter.as_ref().is_none_or(|filter| filter.matches(event));
    events.iter().filter(may_see).map(|event| visibility.mask.apply(event).into_owned()).collect()
}

/// Every event as text, with everything that can be read of it.
fn told(events: &[Event]) -> Vec<String> {
    let mut lines: Vec<String> = events
        .iter()
        .map(|event| {
            let fields = event.fields().map(|field| format!("{field:?}")).collect::<String>();
            let raw = String::from_utf8_lossy(event.raw()).into_owned();
            format!("{} {} {} {raw} {fields}", event.seq(), event.source(), event.message())
        })
        .collect();
    lines.sort();
    lines
}

async fn hits(engine: &Engine, query: Query, visibility: Visibility) -> (u64, Vec<Event>) {
    let request = SearchRequest { query, visibility, ..request("*", 1_000) };
    let answer = engine.search(request, Control::default()).await.expect("an answer");
    assert!(answer.coverage.complete);
    (answer.total, answer.hits)
}

async fn histogram(engine: &Engine, text: &str, by: &str, visibility: Visibility) -> Vec<String> {
    let request = HistogramRequest {
        query: query(text),
        // Its ends are not those of the events that are not seen either.
        range: TimeRange::ALL,
        cut: Cut::Buckets(4),
        by: Some(by.to_owned()),
        visibility,
    };
    let answer = engine.histogram(request, Control::default()).await.expect("an answer");
    let bucket = |bucket: crate::Bucket| {
        let mut by = bucket.by;
        by.sort();
        format!("{} {} {by:?}", bucket.timestamp, bucket.count)
    };
    answer.buckets.into_iter().map(bucket).collect()
}

/// The names of fields, and the values of each that begin with `prefix`.
async fn suggestions(engine: &Engine, prefix: &str, visibility: &Visibility) -> Vec<String> {
    let ask = || (visibility.clone(), Control::default());
    let (seen, control) = ask();
    let fields = engine.fields("", seen, control).await.expect("an answer");
    let mut lines: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name, f.count)).collect();
    for name in FIELDS {
        let (seen, control) = ask();
        let values = engine.values(name, prefix, TimeRange::ALL, 100, seen, control).await;
        let mut values: Vec<String> = values
            .expect("an answer")
            .values
            .iter()
            .map(|(cell, count)| format!("{name} {cell} {count}"))
            .collect();
        values.sort();
        lines.extend(values);
    }
    lines
}

proptest! {
    // Each case is a whole node, so there are fewer of them.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 5))]

    #[test]
    fn a_part_of_the_events_is_all_there_is(
        drafts in prop::collection::vec(arbitrary::draft(), 0..50),
        row_filter in prop::option::of(arbitrary::query_text()),
        hidden in prop::collection::vec(
            select(&["user", "src.ip", "tags", "peer", "message", "a", "deep.path", "http"][..]), 0..4),
        filters in prop::collection::vec(arbitrary::filter(), 10..20),
        queries in prop::collection::vec((arbitrary::query_text(), super::real::pipe()), 10..20),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
            .expect("a runtime");
        runtime.block_on(async {
            let node = node(drafts, 20, true).await;
            let visibility = restricted(row_filter.as_deref().unwrap_or("*"), &hidden);
            let plain = engine(&seen(&node.stamped, &visibility), 1, Config::default());
            for filter in filters {
                let query = Query { filter, pipes: Vec::new() };
                let (total, found) = hits(&node.engine, query.clone(), visibility.clone()).await;
                let (all, expected) = hits(&plain, query.clone(), Visibility::default()).await;
                prop_assert_eq!(told(&found), told(&expected), "{:?}", query.filter);
                prop_assert_eq!(total, all);
            }
            for (condition, pipe) in queries {
                let text = format!("{condition} | {pipe}");
                let rows = rows_of(&node.engine, &text, &visibility).await;
                prop_assert_eq!(rows, rows_of(&plain, &text, &Visibility::default()).await, "{}", text);
                let facets = facets_of(&node.engine, &condition, FIELDS, &visibility).await;
                let expected = facets_of(&plain, &condition, FIELDS, &Visibility::default()).await;
                prop_assert_eq!(facets, expected, "{}", condition);
            }
            let suggested = suggestions(&node.engine, "", &visibility).await;
            prop_assert_eq!(suggested, suggestions(&plain, "", &everything()).await);
            Ok(())
        })?;
    }
}

/// An event of whom the canary is the user: foreign for those who see `edge` only.
fn login(source: &str, minute: i64, user: &str) -> Event {
    let mut event = EventBuilder::new(b"raw zq9canary");
    event
        .timestamp(Some(arbitrary::minute(minute)))
        .severity(Severity::Error)
        .source(source)
        .dataset("shop.auth")
        .message(&format!("login of {user} failed"))
        .field_with("user.name", Some("usr"), Value::String(user), FieldOptions::default())
        .field("tags", Value::String(if source == "edge" { "plain" } else { user }));
    event.build()
}

fn logins() -> Vec<Event> {
    let own = (0..20).map(|place| login("edge", place, &format!("{CANARY}{place}")));
    let foreign = (0..20).map(|place| login("shop", 20 + place, &format!("{CANARY}{place}")));
    own.chain(foreign).collect()
}

/// A query that asks for what it must not learn, in many words.
fn question() -> impl Strategy<Value = String> {
    let probe = select(
        &[
            "user.name:zq9*",
            "usr:zq9canary3",
            "zq9canary1",
            "zq9*",
            "\"login of zq9canary1\"",
            "message:~\"zq9\"",
            "NOT user.name:*",
            "NOT zq9canary1",
            "lw.source:shop",
            "tags:zq9*",
            "user.name:>a",
            "NOT tags:plain",
            "lw.seq:>=1",
        ][..],
    );
    (probe, arbitrary::query_text(), 0..4).prop_map(|(probe, other, kind)| match kind {
        0 => probe.to_owned(),
        1 => format!("{probe} OR ({other})"),
        2 => format!("NOT (NOT ({probe})) ({other})"),
        _ => format!("({other}) OR NOT ({probe})"),
    })
}

#[test]
fn ten_thousand_questions_tell_nothing_foreign() {
    let mut runner = TestRunner::deterministic();
    let mut next = || question().new_tree(&mut runner).expect("a question").current();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let node = node(logins(), 10, true).await;
        let visibility = restricted("lw.source:edge", &["user.name"]);
        let plain = engine(&seen(&node.stamped, &visibility), 1, Config::default());
        // Each round asks ten.
        for place in 0..QUESTIONS / 10 {
            let text = next();
            let (total, found) = hits(&node.engine, query(&text), visibility.clone()).await;
            let by = FIELDS[place % FIELDS.len()];
            let table = format!("{text} | stats count(), max(user.name) by {by}");
            let mut answers = told(&found);
            answers.push(total.to_string());
            answers.extend(histogram(&node.engine, &text, by, visibility.clone()).await);
            answers.extend(facets_of(&node.engine, &text, FIELDS, &visibility).await);
            answers.extend(rows_of(&node.engine, &table, &visibility).await);
            answers.extend(suggestions(&node.engine, "zq", &visibility).await);
            assert!(answers.iter().all(|line| !line.contains(CANARY)), "{text}: {answers:?}");
            // Counts, too, are those of somebody for whom the rest does not exist.
            let (all, expected) = hits(&plain, query(&text), everything()).await;
            let mut known = told(&expected);
            known.push(all.to_string());
            known.extend(histogram(&plain, &text, by, everything()).await);
            known.extend(facets_of(&plain, &text, FIELDS, &everything()).await);
            known.extend(rows_of(&plain, &table, &everything()).await);
            known.extend(suggestions(&plain, "zq", &everything()).await);
            assert_eq!(answers, known, "{text}");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn single_events_neighbours_exports_and_tails_are_masked_too() {
    let node = node(logins(), 10, true).await;
    let visibility = || restricted("lw.source:edge", &["user.name"]);
    let (own, foreign) = (node.stamped[0].id(), node.stamped[30].id());
    let event = |id| node.engine.event(id, visibility(), Control::default());
    let found = event(own).await.expect("an event");
    assert_eq!(
        told(&[found]),
        ["1 edge login of *** failed  Field { path: \"tags\", alias: None, \
        value: String(\"plain\"), options: FieldOptions { is_array_item: false, is_inner: false } }"]
    );
    assert!(matches!(event(foreign).await, Err(QueryError::NotFound)));

    let around = |by: &str| {
        let by = by.to_owned();
        let request =
            ContextRequest { id: own, before: 50, after: 50, by, visibility: visibility() };
        node.engine.context(request, Control::default())
    };
    let context = around("tags").await.expect("an answer");
    assert_eq!(context.after.len(), 19);
    assert!(!told(&context.after).concat().contains(CANARY));
    let refused = around("user.name").await;
    assert!(matches!(refused, Err(QueryError::Invalid(_))), "as if it had none");

    let (pages, mut received) = tokio::sync::mpsc::channel(10);
    let request =
        ExportRequest { query: query("*"), range: TimeRange::ALL, visibility: visibility() };
    let exported = node.engine.export(request, pages, Control::default()).await.expect("an answer");
    assert_eq!(exported.total, 20);
    let page = received.recv().await.expect("a page");
    assert!(!told(&page).concat().contains(CANARY));

    let mut sorted = super::sorted("*", 5, "-user.name");
    sorted.visibility = visibility();
    let answer = node.engine.search(sorted, Control::default()).await.expect("an answer");
    let cursor = answer.next.expect("there are more");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!cursor.contains(&hex), "{cursor}");

    let mut tail = node.engine.tail(&query("NOT zq9*"), &visibility()).expect("a tail");
    node.ship(vec![login("shop", 50, CANARY), login("edge", 51, CANARY)]).await;
    let Some(TailItem::Event(event)) = tail.next().await else { panic!("no event") };
    assert_eq!((event.source(), event.message()), ("edge", "login of *** failed"));
}
