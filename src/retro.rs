//! New entries of threat lists against what is stored already.
//!
//! Input: the indicators that came since last time. Output: for each that stored events have, one event of
//! dataset `logwarden.threat` in the journal, once, for which a bundled rule opens an alert. Asks for at
//! most [`CHUNK`] indicators at a time; a failed search is tried again before anything newer. What waits is kept in
//! the catalog until it was looked for, and so is what the lists had: a restart loses none of it, and what came into
//! a list while the server was down is looked for at its start.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use logwarden_event::{Class, Event, EventBuilder, Severity, TimeRange, Value};
use logwarden_ingest::{Handle, IndicatorKind, ListMarks, NewIndicator};
use logwarden_query::{Control, Engine, SearchRequest, SortKey, Visibility, parse_query};
use logwarden_store::{
    Append, AppendOutcome, Catalog, CatalogError, Draft, IdempotencyKey, Migration, RecordKind,
    SqlValue, Statement, Step, Store,
};
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

/// What the catalog calls kinds of indicators.
const KINDS: [(IndicatorKind, &str); 3] = [
    (IndicatorKind::Address, "address"),
    (IndicatorKind::Domain, "domain"),
    (IndicatorKind::Hash, "hash"),
];
/// This part's name in the catalog.
const ROOM: &str = "retro";
/// Its tables: chunks of indicators, the oldest first; and what the lists had, eight bytes for each entry.
const MIGRATIONS: &[Migration] = &[
    "CREATE TABLE retro_waiting (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE retro_known (list TEXT PRIMARY KEY, marks BLOB NOT NULL)",
];

/// Indicators that are looked for together, under the name the catalog knows them by.
struct Chunk {
    id: String,
    indicators: Vec<NewIndicator>,
}

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
    store.catalog.migrate(ROOM, MIGRATIONS).await?;
    let mut waiting = load(&*store.catalog).await?;
    let gone = ingest.compare_lists_with(load_known(&*store.catalog).await?);
    let mut known = Vec::from_iter(gone.into_iter().map(|list| (list, None)));
    loop {
        let mut has_failed = false;
        while let Some(chunk) = waiting.front().filter(|_| !shutdown.is_cancelled()) {
            let looked = match look(&chunk.indicators, &engine, &store).await {
                Ok(found) => forget(&*store.catalog, chunk).await.map(|()| found),
                Err(error) => Err(error),
            };
            match looked {
                Ok(found) => {
                    let indicators = chunk.indicators.len();
                    info!(indicators, found, "new indicators were looked for");
                    waiting.pop_front();
                }
                Err(error) => {
                    warn!("new indicators were not looked for, they will be: {error:#}");
                    has_failed = true;
                    break;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        // What is known to ingest stays there while nothing can be looked for.
        if !has_failed {
            let news = ingest.take_list_news();
            waiting.extend(keep(&*store.catalog, news.indicators, &store).await);
            known.extend(news.lists.into_iter().map(|(list, marks)| (list, Some(marks))));
        }
        // Only now: a crash before looks for the same once more, one event comes of it.
        if let Err(error) = keep_known(&*store.catalog, &known).await {
            warn!(%error, "what is in threat lists is not written down, it will be");
        } else {
            known.clear();
        }
    }
}

/// What was not looked for before a restart.
async fn load(catalog: &dyn Catalog) -> anyhow::Result<VecDeque<Chunk>> {
    let all = Statement { sql: "SELECT id, body FROM retro_waiting ORDER BY id", values: vec![] };
    let answers = catalog.query(vec![all]).await?;
    let mut waiting = VecDeque::new();
    for row in answers.first().into_iter().flatten() {
        let [SqlValue::Text(id), SqlValue::Text(body)] = row.0.as_slice() else {
            anyhow::bail!("the table of indicators that wait is damaged: {row:?}");
        };
        let kept: Vec<(String, String, String)> = serde_json::from_str(body)?;
        let indicators = kept.into_iter().filter_map(|(kind, value, list)| {
            let kind = KINDS.into_iter().find(|(_, name)| *name == kind)?.0;
            Some(NewIndicator { kind, value, list })
        });
        waiting.push_back(Chunk { id: id.clone(), indicators: indicators.collect() });
    }
    Ok(waiting)
}

/// Writes down what came; what cannot be written is looked for all the same, and lost by a restart.
async fn keep(
    catalog: &dyn Catalog,
    new: Vec<NewIndicator>,
    store: &Store,
) -> impl Iterator<Item = Chunk> + use<> {
    let now = store.clock.now().nanos();
    let chunks = new.chunks(CHUNK).enumerate();
    let chunks: Vec<Chunk> = chunks
        .map(|(place, new)| Chunk { id: format!("{now:020}-{place:08}"), indicators: new.to_vec() })
        .collect();
    for some in chunks.chunks(CHUNK) {
        let statements = some.iter().map(|chunk| {
            let name = |kind: IndicatorKind| {
                KINDS.into_iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name)
            };
            let kept = chunk.indicators.iter();
            let kept: Vec<(&str, &str, &str)> =
                kept.map(|one| (name(one.kind), one.value.as_str(), one.list.as_str())).collect();
            let body = serde_json::to_string(&kept).unwrap_or_default();
            Statement {
                sql: "INSERT INTO retro_waiting (id, body) VALUES (?1, ?2)
                    ON CONFLICT (id) DO NOTHING",
                values: vec![SqlValue::Text(chunk.id.clone()), SqlValue::Text(body)],
            }
        });
        let step = Step { statements: statements.collect(), ..Step::default() };
        if let Err(error) = catalog.step(step).await {
            warn!(%error, "new indicators are not written down; a restart would forget them");
        }
    }
    chunks.into_iter()
}

/// What the lists had when they were read last.
async fn load_known(catalog: &dyn Catalog) -> anyhow::Result<ListMarks> {
    let all = Statement { sql: "SELECT list, marks FROM retro_known", values: vec![] };
    let answers = catalog.query(vec![all]).await?;
    let mut known = ListMarks::new();
    for row in answers.first().into_iter().flatten() {
        let [SqlValue::Text(list), SqlValue::Blob(bytes)] = row.0.as_slice() else {
            anyhow::bail!("the table of what is in threat lists is damaged: {row:?}");
        };
        let marks = bytes.as_chunks().0.iter().map(|mark| u64::from_be_bytes(*mark));
        known.insert(list.clone(), marks.collect());
    }
    Ok(known)
}

/// Writes down what lists have now; `None`: a list is none of ours any more.
async fn keep_known(
    catalog: &dyn Catalog,
    known: &[(String, Option<Vec<u64>>)],
) -> Result<(), CatalogError> {
    for (list, marks) in known {
        let list = SqlValue::Text(list.clone());
        let statement = match marks {
            None => {
                Statement { sql: "DELETE FROM retro_known WHERE list = ?1", values: vec![list] }
            }
            Some(marks) => {
                let bytes = marks.iter().flat_map(|mark| mark.to_be_bytes()).collect();
                Statement {
                    sql: "INSERT INTO retro_known (list, marks) VALUES (?1, ?2)
                        ON CONFLICT (list) DO UPDATE SET marks = excluded.marks",
                    values: vec![list, SqlValue::Blob(bytes)],
                }
            }
        };
        catalog.step(Step { statements: vec![statement], ..Step::default() }).await?;
    }
    Ok(())
}

async fn forget(catalog: &dyn Catalog, chunk: &Chunk) -> anyhow::Result<()> {
    let statement = Statement {
        sql: "DELETE FROM retro_waiting WHERE id = ?1",
        values: vec![SqlValue::Text(chunk.id.clone())],
    };
    catalog.step(Step { statements: vec![statement], ..Step::default() }).await?;
    Ok(())
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
    async fn what_waits_outlives_a_restart_until_it_was_looked_for() {
        let (store, _) = Store::simulated(4);
        store.catalog.migrate(ROOM, MIGRATIONS).await.expect("made");
        let new: Vec<NewIndicator> = (0..120)
            .map(|n| indicator(IndicatorKind::Domain, &format!("n{n}.example")))
            .chain([
                indicator(IndicatorKind::Hash, "00ff"),
                indicator(IndicatorKind::Address, "::1"),
            ])
            .collect();
        let kept: Vec<Chunk> = keep(&*store.catalog, new.clone(), &store).await.collect();
        assert_eq!(kept.len(), 3);
        let loaded = load(&*store.catalog).await.expect("read");
        let all: Vec<NewIndicator> =
            loaded.iter().flat_map(|chunk| chunk.indicators.clone()).collect();
        assert_eq!(all, new);
        forget(&*store.catalog, &loaded[0]).await.expect("forgotten");
        let rest = load(&*store.catalog).await.expect("read");
        assert_eq!((rest.len(), &rest[0].id), (2, &loaded[1].id));
    }

    #[tokio::test]
    async fn what_lists_had_outlives_a_restart() {
        let (store, _) = Store::simulated(5);
        store.catalog.migrate(ROOM, MIGRATIONS).await.expect("made");
        let catalog = &*store.catalog;
        let marks = |marks: &[u64]| Some(marks.to_vec());
        let known = [("a".to_owned(), marks(&[1, u64::MAX])), ("b".to_owned(), marks(&[7]))];
        keep_known(catalog, &known).await.expect("written");
        let changed = [("a".to_owned(), marks(&[2])), ("b".to_owned(), None)];
        keep_known(catalog, &changed).await.expect("written");
        let loaded = load_known(catalog).await.expect("read");
        assert_eq!(loaded, ListMarks::from([("a".to_owned(), vec![2])]));
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
