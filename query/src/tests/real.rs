//! The engine over the real index, fed through the journal: what matches on the stream is found.

use std::collections::BTreeSet;
use std::sync::Arc;

use logwarden_event::{Event, Position};
use logwarden_index::Index;
use logwarden_store::{Append, AppendOutcome, Draft, RecordKind, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio_util::sync::CancellationToken;

use super::request;
use crate::arbitrary;
use crate::{Config, Control, Engine, FacetsRequest, Filter, Query, SearchRequest, Visibility};

/// Events through journal and index, and an engine over them.
pub(super) struct Node {
    pub(super) engine: Arc<Engine>,
    pub(super) stamped: Vec<Event>,
    store: Store,
}

impl Node {
    /// Makes events durable.
    pub(super) async fn ship(&self, drafts: Vec<Event>) {
        append(&self.store, &drafts).await;
    }
}

/// With `is_settled` every full head has become a split before anything is asked.
pub(super) async fn node(drafts: Vec<Event>, events_per_split: usize, is_settled: bool) -> Node {
    let (store, _simulation) = Store::simulated(1);
    let config = logwarden_index::Config {
        head_events_max: events_per_split,
        ..logwarden_index::Config::default()
    };
    let index = Index::open(store.clone(), config).await.expect("an index");
    let shutdown = CancellationToken::new();
    let follower = tokio::spawn(Arc::clone(&index).run(shutdown.clone()));
    for batch in drafts.chunks(7) {
        append(&store, batch).await;
    }
    let end = store.journal.end(0);
    index.visible().wait_for(|position| *position >= end).await.expect("the index follows");
    while is_settled && heads_of(&index).await > 1 {
        tokio::task::yield_now().await;
    }
    let stamped = read_all(&store, end).await;
    shutdown.cancel();
    follower.await.expect("no panic").expect("the index stops");
    Node { engine: Engine::new(index, store.clone(), Config::default()), stamped, store }
}

async fn append(store: &Store, drafts: &[Event]) {
    let drafts = drafts.iter().map(|event| Draft { kind: RecordKind::Event, event: event.clone() });
    let batch = Append { drafts: drafts.collect(), ..Append::default() };
    let outcome = store.journal.append(batch).await.expect("a journal");
    assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
}

/// The heads among the pieces: the one that fills, and those that are becoming splits.
async fn heads_of(index: &Index) -> usize {
    let pieces = index.snapshot().await.expect("a snapshot").pieces;
    pieces.iter().filter(|piece| piece.name().starts_with("head")).count()
}

async fn read_all(store: &Store, end: Position) -> Vec<Event> {
    let mut from = store.journal.start(0);
    let mut events = Vec::new();
    while from < end {
        match store.journal.read(from, 1_000).await.expect("a journal") {
            logwarden_store::Chunk::Records { records, next } => {
                events.extend(records.iter().map(|record| record.event.clone()));
                from = next;
            }
            logwarden_store::Chunk::Gap { to, .. } => from = to,
        }
    }
    events
}

fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let one = prop_oneof![
        arbitrary::filter(),
        arbitrary::query_text().prop_map(|text| super::query(&text).filter),
    ];
    prop::collection::vec(one, 20..60)
}

/// The name of every form in a filter: of the filters, targets and tests in it.
fn forms(filter: &Filter, found: &mut BTreeSet<String>) {
    let name = |debug: String| {
        let end = debug.find(|c: char| !c.is_alphanumeric()).unwrap_or(debug.len());
        debug[..end].to_owned()
    };
    found.insert(name(format!("{filter:?}")));
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|filter| forms(filter, found));
        }
        Filter::Not(filter) => forms(filter, found),
        Filter::Is(predicate) => {
            found.insert(name(format!("{:?}", predicate.target)));
            found.insert(name(format!("{:?}", predicate.test)));
        }
        Filter::All | Filter::Nothing => {}
    }
}

#[test]
fn the_filters_that_are_tried_have_every_form() {
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeSet::new();
    for _ in 0..40 {
        let filters = filters().new_tree(&mut runner).expect("filters").current();
        filters.iter().for_each(|filter| forms(filter, &mut found));
    }
    // Those of `Filter`, `Target` and `Test`, in the order of their names.
    let every = "Address All And Class Contains Dataset Each EndsWith Equals Exists Field FirstOf Is \
        IsNull Like Message Network Not Nothing Number ObservedAt Or Present Record Regex SameAs Seq Severity \
        Source StartsWith Text Time Timestamp Words WordsThenPrefix";
    assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), every);
}

proptest! {
    // Each case is a whole node, so there are fewer of them.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 5))]

    #[test]
    fn what_matches_on_the_stream_is_found_by_the_index(
        drafts in prop::collection::vec(arbitrary::draft(), 0..60),
        events_per_split in prop::sample::select(vec![5, 20, 1_000]),
        is_settled in any::<bool>(),
        filters in filters(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
            .expect("a runtime");
        runtime.block_on(async {
            let node = node(drafts, events_per_split, is_settled).await;
            for filter in filters {
                let query = Query { filter, pipes: Vec::new() };
                let view = Visibility::default().view(&query);
                let expected: BTreeSet<_> =
                    node.stamped.iter().filter(|event| view.see(event).is_some()).map(Event::id).collect();
                let request = SearchRequest { query: query.clone(), ..request("*", 1_000) };
                let answer = node.engine.search(request, Control::default()).await.expect("an answer");
                let found: BTreeSet<_> = answer.hits.iter().map(Event::id).collect();
                prop_assert!(answer.coverage.complete);
                prop_assert_eq!(&found, &expected, "{:?}", query.filter);
                prop_assert_eq!(answer.total, expected.len() as u64, "{:?}", query.filter);
            }
            Ok(())
        })?;
    }

    #[test]
    fn tables_of_the_index_are_those_of_its_events(
        drafts in prop::collection::vec(arbitrary::draft(), 0..60),
        events_per_split in prop::sample::select(vec![5, 20, 1_000]),
        queries in prop::collection::vec((arbitrary::query_text(), pipe(), any::<bool>()), 20..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
            .expect("a runtime");
        runtime.block_on(async {
            let node = node(drafts, events_per_split, true).await;
            let plain = super::engine(&node.stamped, 1, Config::default());
            for (condition, pipe, is_of_all) in queries {
                let text = format!("{} | {pipe}", if is_of_all { "*" } else { &condition });
                let all = Visibility::default();
                let rows = rows_of(&node.engine, &text, &all).await;
                prop_assert_eq!(rows, rows_of(&plain, &text, &all).await, "{}", text);
                let fields = ["user.name", "dataset", "tags", "http.response.status_code"];
                let facets = facets_of(&node.engine, &condition, &fields, &all).await;
                prop_assert_eq!(facets, facets_of(&plain, &condition, &fields, &all).await, "{}", text);
            }
            Ok(())
        })?;
    }
}

pub(super) fn pipe() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "top 99 user.name",
            "rare 99 tags",
            "top 99 dataset",
            "stats count() by severity",
            "stats count(), count(tags), count_distinct(user.name)",
            "stats sum(http.response.status_code), avg(http.response.status_code)",
            "stats min(http.response.status_code), max(user.name), p50(http.response.status_code)",
            "stats count() by user.name, dataset",
            "timechart 10m by dataset",
        ][..],
    )
}

/// The rows of a table, as text and in its order: values of one text may be of several types, and the
/// first one decides.
pub(super) async fn rows_of(engine: &Engine, text: &str, visibility: &Visibility) -> Vec<String> {
    let request = SearchRequest { visibility: visibility.clone(), ..request(text, 100) };
    let answer = engine.search(request, Control::default()).await.expect(text);
    let rows = answer.table.expect("a table").rows;
    // Sums of floats depend on the order in their last digits, and so does which of a whole number, a
    // float and a text that are equal stands for all of them.
    let text = |cell: &crate::Cell| match cell.to_string().parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{number:.9e}"),
        _ => cell.to_string(),
    };
    let line = |row: &Vec<crate::Cell>| row.iter().map(text).collect::<Vec<_>>();
    let mut lines: Vec<String> = rows.iter().map(|row| line(row).join(" | ")).collect();
    lines.sort();
    lines
}

pub(super) async fn facets_of(
    engine: &Engine,
    text: &str,
    fields: &[&str],
    visibility: &Visibility,
) -> Vec<String> {
    let request = FacetsRequest {
        query: super::query(text),
        range: crate::time_range(None, None),
        fields: fields.iter().map(ToString::to_string).collect(),
        limit: 50,
        visibility: visibility.clone(),
    };
    let answer = engine.facets(request, Control::default()).await.expect(text);
    let value = |(cell, count): &(crate::Cell, u64)| format!("{cell}: {count}");
    let facet = |facet: &crate::Facet| {
        let mut values: Vec<String> = facet.values.iter().map(value).collect();
        values.sort();
        format!("{} {} {}", facet.name, facet.distinct, values.join(", "))
    };
    answer.fields.iter().map(facet).collect()
}
