//! New entries of threat lists against what is stored already.
//!
//! Input: the indicators that came since last time. Output: for each that stored events have, one event of
//! dataset `logwarden.threat` in the journal, once, for which a bundled rule opens an alert. Asks for at
//! most [`CHUNK`] indicators at a time; a failed search is tried again before anything newer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use logwarden_event::{Class, Event, EventBuilder, Severity, TimeRange, Value};
use logwarden_ingest::{Handle, IndicatorKind, NewIndicator};
use logwarden_query::{Control, Engine, SearchRequest, SortKey, Visibility, parse_query};
use logwarden_store::{Append, AppendOutcome, Draft, IdempotencyKey, RecordKind, Store};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often new indicators are asked for.
const INTERVAL: Duration = Duration::from_secs(5);
/// Indicators of one search.
const CHUNK: usize = 50;
/// Events of one search that are looked at, the newest.
const HITS: usize = 1_000;
const DATASET: &str = "logwarden.threat";
const CLASS: &str = "logwarden//threat";

/// What stored events have of one indicator.
#[derive(Debug, Default)]
struct Found {
    events: u64,
    /// The newest, and the field it has it in.
    newest: Option<(Event, String)>,
}

/// Looks for new indicators until `shutdown`.
pub(crate) async fn run(
    ingest: Handle,
    engine: std::sync::Arc<Engine>,
    store: Store,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut waiting: Vec<NewIndicator> = Vec::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if waiting.is_empty() {
            waiting = ingest.take_new_indicators();
        }
        while !waiting.is_empty() && !shutdown.is_cancelled() {
            let chunk = &waiting[..CHUNK.min(waiting.len())];
            match look(chunk, &engine, &store).await {
                Ok(found) => {
                    info!(indicators = chunk.len(), found, "new indicators were looked for");
                    waiting.drain(..chunk.len());
                }
                Err(error) => {
                    warn!("new indicators were not looked for, they will be: {error:#}");
                    break;
                }
            }
        }
    }
}

/// Looks for some indicators; answers how many were found.
async fn look(chunk: &[NewIndicator], engine: &Engine, store: &Store) -> anyhow::Result<usize> {
    let clauses: Vec<String> = chunk.iter().map(clause).collect();
    let query = parse_query(&clauses.join(" OR "), store.clock.now())
        .map_err(|error| anyhow::anyhow!("the search is refused: {}", error.message))?;
    let request = SearchRequest {
        query,
        range: TimeRange::ALL,
        limit: HITS,
        sort: vec![SortKey::parse("-lw.seq")],
        cursor: None,
        visibility: Visibility::default(),
    };
    let answer = engine.search(request, Control::default()).await?;
    anyhow::ensure!(answer.coverage.complete, "a part of what is stored cannot be read");
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    for event in answer.hits {
        for (place, indicator) in chunk.iter().enumerate() {
            let Some(field) = field_with(&event, indicator) else { continue };
            let one = found.entry(place).or_default();
            one.events += 1;
            one.newest.get_or_insert_with(|| (event.clone(), field));
        }
    }
    for (place, one) in &found {
        append(&chunk[*place], one, store).await?;
    }
    Ok(found.len())
}

/// A condition that every event with the indicator satisfies.
fn clause(indicator: &NewIndicator) -> String {
    let value = &indicator.value;
    match value.parse::<IpNet>() {
        Ok(_) => format!("source.ip:{value} OR destination.ip:{value}"),
        Err(_) => format!("\"{value}\""),
    }
}

/// The field that has the indicator; words of a message are no field.
fn field_with(event: &Event, indicator: &NewIndicator) -> Option<String> {
    let wanted = indicator.value.as_str();
    let network: Option<IpNet> = wanted.parse().ok();
    let has = |text: &str| match indicator.kind {
        IndicatorKind::Address => match &network {
            Some(network) => text.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
            None => text == wanted,
        },
        IndicatorKind::Domain => {
            let text = text.trim_end_matches('.').to_ascii_lowercase();
            text.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        IndicatorKind::Hash => {
            text.to_ascii_lowercase().split([',', ';', '=', ' ']).any(|part| part == wanted)
        }
    };
    let field = event.fields().find(|field| match field.value {
        Value::Ip(address) => has(&address.to_string()),
        Value::String(text) => field.path != "message" && has(text),
        _ => false,
    });
    field.map(|field| field.path.to_owned())
}

async fn append(indicator: &NewIndicator, found: &Found, store: &Store) -> anyhow::Result<()> {
    let (value, list, count) = (&indicator.value, &indicator.list, found.events);
    let text = format!("{count} stored events have `{value}` of threat list `{list}`");
    let mut event = EventBuilder::new(text.as_bytes());
    event.source("logwarden").dataset(DATASET).class(Class::new(CLASS));
    event.message(&text).severity(Severity::Error);
    event.field("event.action", Value::String("threat.retro_match"));
    event.field("lw.threat.value", Value::String(value));
    event.field("lw.threat.events", Value::Integer(i128::from(count)));
    event.field("threat.indicator.name", Value::String(value));
    event.field("threat.indicator.provider", Value::String(list));
    if let Some((newest, field)) = &found.newest {
        event.field("threat.enrichments.matched.field", Value::String(field));
        event.field("lw.threat.event_id", Value::String(&newest.id().to_string()));
        for name in ["source.ip", "host.name", "user.name"] {
            if let Some(value) = newest.value_of(name) {
                event.field(name, value);
            }
        }
    }
    let hash = Sha256::digest(format!("threat\0{list}\0{value}").as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    // The rules look at events; this one is for them.
    let append = Append {
        drafts: vec![Draft { kind: RecordKind::Event, event: event.build() }],
        idempotency: Some(IdempotencyKey { key, body: key }),
        ..Append::default()
    };
    let outcome = store.journal.append(append).await.context("the journal takes nothing now")?;
    match outcome {
        AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_) => Ok(()),
        other => anyhow::bail!("the journal answered {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn indicator(kind: IndicatorKind, value: &str) -> NewIndicator {
        NewIndicator { kind, value: value.to_owned(), list: "bad".to_owned() }
    }

    fn stored(address: [u8; 4], name: &str, message: &str) -> Draft {
        let mut event = EventBuilder::new(b"a record");
        event.source("shop").message(message);
        event.field("source.ip", Value::Ip(address.into()));
        event.field("dns.question.name", Value::String(name));
        Draft { kind: RecordKind::Event, event: event.build() }
    }

    #[tokio::test]
    async fn what_is_stored_is_found_by_its_fields_and_told_once() {
        let (store, _) = Store::simulated(3);
        let (engine, index) = Engine::over_store(store.clone()).await.expect("opened");
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&index).run(stop.clone()));
        let drafts = vec![
            stored([192, 0, 2, 7], "x.evil.example", "one"),
            stored([192, 0, 2, 8], "good.example", "said 203.0.113.5"),
        ];
        let append = Append { drafts, ..Append::default() };
        store.journal.append(append).await.expect("appended");
        let mut visible = index.visible();
        visible.wait_for(|visible| visible.seq >= 2).await.expect("the index runs");
        let chunk = [
            indicator(IndicatorKind::Address, "192.0.2.0/29"),
            indicator(IndicatorKind::Domain, "evil.example"),
            indicator(IndicatorKind::Address, "203.0.113.5"),
            indicator(IndicatorKind::Address, "198.51.100.1"),
        ];
        assert_eq!(look(&chunk, &engine, &store).await.expect("looked"), 2);
        let end = store.journal.end(0);
        assert_eq!(look(&chunk, &engine, &store).await.expect("looked"), 2);
        assert_eq!(store.journal.end(0), end, "it was told again");
        visible.wait_for(|visible| visible.seq >= end.seq).await.expect("the index runs");
        let request = SearchRequest {
            query: parse_query(&format!("dataset:{DATASET}"), store.clock.now()).expect("a query"),
            range: TimeRange::ALL,
            limit: 10,
            sort: vec![SortKey::parse("lw.seq")],
            cursor: None,
            visibility: Visibility::everything(),
        };
        let answer = engine.search(request, Control::default()).await.expect("an answer");
        let texts: Vec<&str> = answer.hits.iter().map(Event::message).collect();
        assert_eq!(
            texts,
            [
                "1 stored events have `192.0.2.0/29` of threat list `bad`",
                "1 stored events have `evil.example` of threat list `bad`",
            ]
        );
        stop.cancel();
        running.await.expect("no panic").expect("no error");
    }
}
