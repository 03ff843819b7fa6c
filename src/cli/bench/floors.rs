//! The floors below a server's cost: the same bytes only parsed, and only written to a journal.
//!
//! Both run in this process, after the server has stopped, and are charged by the kernel's clocks of
//! CPU time: the thread's for parsing, the whole process's for the journal, whose threads are part
//! of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use logwarden_event::{Event, SystemClock, Timestamp};
use logwarden_ingest::{Normalizer, Origin};
use logwarden_store::{Append, AppendOutcome, Draft, RecordKind, Store};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::load::Batches;
use super::progress::Progress;

/// Bytes that are looked at: enough for a steady figure.
const BYTES_MAX: u64 = 1_000_000_000;
/// Batches that are parsed before and appended again and again.
const BATCHES_KEPT: usize = 32;
/// Batches that wait for the journal at once, as so many senders would.
const APPENDS_AT_ONCE: usize = 4;

/// CPU seconds of `clock` so far.
pub(super) fn cpu_secs(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Makes an event of each line.
pub(super) fn parse(batch: &[u8], now: Timestamp) -> Vec<Event> {
    let origin = Origin::new("bench");
    let lines = batch.strip_suffix(b"\n").unwrap_or(batch).split(|byte| *byte == b'\n');
    lines.map(|line| Normalizer.normalize(line, &origin, now)).collect()
}

/// Parses the records of a file.
pub(super) fn parse_only(file: &Path, now: Timestamp) -> anyhow::Result<Value> {
    let (mut batches, mut raw_bytes, mut secs, mut events) = (Batches::open(file)?, 0, 0.0, 0);
    let progress = Progress::new("parse", BYTES_MAX);
    while raw_bytes < BYTES_MAX
        && let Some(batch) = batches.next()?
    {
        let before = cpu_secs(ClockId::ThreadCPUTime);
        events += std::hint::black_box(parse(&batch, now)).len();
        secs += cpu_secs(ClockId::ThreadCPUTime) - before;
        raw_bytes += batch.len() as u64;
        progress.set(raw_bytes);
    }
    Ok(json!({ "events": events, "raw_bytes": raw_bytes, "cpu_secs": secs,
        "cpu_secs_per_gb": secs / raw_bytes as f64 * 1e9,
        "cpu_us_per_event": secs / events as f64 * 1e6 }))
}

/// Appends as many records as a file has to a journal of its own in `dir`, synced as a server's.
pub(super) async fn journal_only(file: &Path, dir: &Path, now: Timestamp) -> anyhow::Result<Value> {
    let mut batches = Batches::open(file)?;
    let (mut kept, mut kept_bytes) = (Vec::new(), 0);
    while kept.len() < BATCHES_KEPT
        && let Some(batch) = batches.next()?
    {
        let drafts =
            parse(&batch, now).into_iter().map(|event| Draft { kind: RecordKind::Event, event });
        kept.push(drafts.collect::<Vec<_>>());
        kept_bytes += batch.len() as u64;
    }
    let raw_bytes_max = std::fs::metadata(file)?.len().min(BYTES_MAX);
    let rounds = raw_bytes_max.div_ceil(kept_bytes.max(1));
    let config = logwarden_store::Config { data_dir: dir.to_owned(), ..Default::default() };
    let (store, _) = Store::embedded(&config, Arc::new(SystemClock))
        .await
        .context("cannot open the floor's journal")?;
    let progress = Progress::new("journal", rounds);
    let (before, begun) = (cpu_secs(ClockId::ProcessCPUTime), std::time::Instant::now());
    for _ in 0..rounds {
        for together in kept.chunks(APPENDS_AT_ONCE) {
            let mut under_way = tokio::task::JoinSet::new();
            for drafts in together {
                let (journal, drafts) = (Arc::clone(&store.journal), drafts.clone());
                under_way.spawn(async move {
                    journal.append(Append { drafts, ..Append::default() }).await
                });
            }
            while let Some(appended) = under_way.join_next().await {
                let outcome = appended??;
                anyhow::ensure!(
                    matches!(outcome, AppendOutcome::Appended(_)),
                    "the journal answered {outcome:?}"
                );
            }
        }
        progress.add(1);
    }
    let secs = cpu_secs(ClockId::ProcessCPUTime) - before;
    let (wall_secs, raw_bytes) = (begun.elapsed().as_secs_f64(), rounds * kept_bytes);
    store.journal.close().await;
    Ok(json!({ "raw_bytes": raw_bytes, "cpu_secs": secs, "wall_secs": wall_secs,
        "cpu_secs_per_gb": secs / raw_bytes as f64 * 1e9,
        "megabytes_per_sec": raw_bytes as f64 / wall_secs / 1e6 }))
}
