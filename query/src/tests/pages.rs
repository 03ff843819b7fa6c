//! Hits: found if and only if the filter matches, in order, page by page.

use std::cmp::Reverse;

use logwarden_event::{Event, TimeRange, Timestamp};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::{engine, request, sorted};
use crate::arbitrary;
use crate::hits::HitOrder;
use crate::{
    Config, Control, Engine, ExportRequest, Filter, Query, SearchRequest, SortKey, Visibility,
};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// All hits, page by page, and the total that each page told.
async fn all_pages(engine: &Engine, mut request: SearchRequest) -> (Vec<Event>, Vec<u64>) {
    let (mut hits, mut totals) = (Vec::new(), Vec::new());
    loop {
        let answer = engine.search(request.clone(), Control::default()).await.expect("an answer");
        assert!(answer.coverage.complete);
        totals.push(answer.total);
        hits.extend(answer.hits);
        match answer.next {
            Some(next) => request.cursor = Some(next),
            None => return (hits, totals),
        }
    }
}

async fn exported(engine: &Engine, query: Query, range: TimeRange) -> Vec<Event> {
    let (pages, mut received) = tokio::sync::mpsc::channel(1_000);
    let request = ExportRequest { query, range, visibility: Visibility::default() };
    let answer = engine.export(request, pages, Control::default()).await.expect("an answer");
    assert!(answer.complete);
    let mut events = Vec::new();
    while let Ok(page) = received.try_recv() {
        events.extend(page);
    }
    events
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::seq).collect()
}

fn any_filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        arbitrary::filter(),
        arbitrary::query_text().prop_map(|text| super::query(&text).filter),
    ]
}

proptest! {
    #[test]
    fn hits_are_those_that_match_on_the_stream(
        filter in any_filter(),
        events in arbitrary::events(40),
        pieces in 1usize..5,
        limit in 1usize..10,
        (start, end) in (-1i64..70, -1i64..70),
    ) {
        let query = Query { filter, pipes: Vec::new() };
        let range = TimeRange {
            start: if start < 0 { Timestamp::MIN } else { arbitrary::minute(start) },
            end: if end < 0 { Timestamp::MAX } else { arbitrary::minute(end) },
        };
        let view = Visibility::default().view(&query);
        let mut expected: Vec<Event> = events
            .iter()
            .filter(|event| range.contains(event.timestamp()) && view.see(event).is_some())
            .cloned()
            .collect();
        expected.sort_by_key(|event| Reverse((event.timestamp(), event.seq())));
        let engine = engine(&events, pieces, Config::default());
        let request = SearchRequest { query: query.clone(), range, ..request("*", limit) };
        let runtime = runtime();
        let (hits, totals) = runtime.block_on(all_pages(&engine, request));
        prop_assert_eq!(seqs(&hits), seqs(&expected));
        prop_assert!(totals.iter().all(|total| *total == expected.len() as u64), "{:?}", totals);
        prop_assert_eq!(seqs(&runtime.block_on(exported(&engine, query, range))), seqs(&expected));
    }

    #[test]
    fn pages_of_any_order_give_every_event_once(
        events in arbitrary::events(40),
        pieces in 1usize..5,
        limit in 1usize..10,
        sort in prop::sample::select(vec![
            "timestamp", "-timestamp", "user.name", "-http.response.status_code", "severity", "-severity", "lw.seq", "tags",
        ]),
    ) {
        let order = HitOrder::new(&[SortKey::parse(sort)]);
        let mut expected: Vec<Event> =
            events.iter().filter(|event| !event.dataset().starts_with("logwarden.")).cloned().collect();
        expected.sort_by_key(|event| order.key(event));
        let engine = engine(&events, pieces, Config::default());
        let (hits, _) = runtime().block_on(all_pages(&engine, sorted("*", limit, sort)));
        prop_assert_eq!(seqs(&hits), seqs(&expected));
    }
}
