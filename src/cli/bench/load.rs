//! The load: generated once into a file, then shipped from it while the server is watched.
//!
//! Making records takes as much CPU as taking them, so it is done before anything is measured.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use logwarden_event::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use super::generator::{Generator, Plan, Plants};
use super::progress::Progress;
use super::protocol::{Protocol, time_of};
use super::subject::Subject;
use super::truth::Truth;

/// Events in one request.
pub(super) const BATCH_EVENTS: usize = 1_000;
/// Bytes that are read and written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Every so many batches, one is asked for from its acknowledgement until it is found, unless another
/// one still is.
const PROBE_EVERY: u64 = 8;
/// The first pause between two questions, and the longest; each is longer than the last by a quarter.
const PROBE_PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// After this an acknowledged event counts as lost.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1_800);

/// Writes the records of a plan into a file.
pub(super) fn generate(plan: Plan, file: &Path) -> anyhow::Result<(Truth, Plants)> {
    let out = File::create(file).with_context(|| format!("cannot make `{}`", file.display()))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let progress = Progress::new("generate", plan.events);
    let (mut generator, mut lines) = (Generator::new(plan), String::new());
    let mut count = 0;
    while generator.write_next(&mut lines).is_some() {
        count += 1;
        if lines.len() >= BUFFER_BYTES {
            out.write_all(lines.as_bytes())?;
            lines.clear();
            progress.set(count);
        }
    }
    out.write_all(lines.as_bytes())?;
    // Dirty pages would be written while the server syncs.
    out.into_inner()?.sync_all()?;
    Ok(generator.finish())
}

/// The batches of a file, one after another.
pub(super) struct Batches {
    file: BufReader<File>,
}

impl Batches {
    /// From the first on.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let open = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER_BYTES, open) })
    }

    /// The next batch, whole lines; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut batch = Vec::with_capacity(BATCH_EVENTS * 600);
        for _ in 0..BATCH_EVENTS {
            if self.file.read_until(b'\n', &mut batch)? == 0 {
                break;
            }
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }
}

/// By how many senders, and how, records are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) senders: usize,
    pub(super) protocol: Protocol,
}

/// Ships everything, waits until it settles, and tells what it cost.
pub(super) async fn measure(
    subject: &Arc<Subject>,
    file: &Path,
    truth: &Truth,
    sending: Sending,
) -> anyhow::Result<Value> {
    let cpu_before = subject.cpu_secs()?;
    let begun = Instant::now();
    let shipped = ship(subject, file, truth, sending).await?;
    let acknowledged_secs = begun.elapsed().as_secs_f64();
    let acknowledged_cpu_secs = subject.cpu_secs()? - cpu_before;
    let settled_secs = subject.settle().await?.duration_since(begun).as_secs_f64();
    let cpu_secs = subject.cpu_secs()? - cpu_before;
    let (found, _) = subject.ask("/api/v1/search", &everything()).await?;
    anyhow::ensure!(found["total"] == truth.events, "{} events are there: {found}", truth.events);
    let disk = subject.disk()?;
    let (raw_bytes, megabytes) = (truth.raw_bytes, truth.raw_bytes as f64 / 1e6);
    let per_raw_byte =
        |part: &str| disk[part].as_u64().unwrap_or_default() as f64 / raw_bytes as f64;
    let mut millis: Vec<f64> =
        shipped.found_after.iter().map(|took| took.as_secs_f64() * 1e3).collect();
    Ok(json!({
        "events": truth.events, "raw_bytes": raw_bytes,
        "raw_bytes_per_event": raw_bytes as f64 / truth.events as f64,
        "acknowledged_secs": acknowledged_secs, "settled_secs": settled_secs,
        "megabytes_per_sec": { "acknowledged": megabytes / acknowledged_secs, "settled": megabytes / settled_secs },
        "cpu_secs": cpu_secs, "cpu_secs_until_acknowledged": acknowledged_cpu_secs,
        "cpu_secs_per_gb": cpu_secs / megabytes * 1e3,
        "disk_bytes_per_raw_byte": per_raw_byte("counted"),
        "splits_bytes_per_raw_byte": per_raw_byte("splits"),
        "disk_bytes": disk,
        "peak_resident_bytes": subject.peak_resident_bytes()?,
        "refused_batches": shipped.refusals,
        "acknowledged_to_searchable": {
            "probes": millis.len(),
            "p50_ms": percentile(&mut millis, 50), "p99_ms": percentile(&mut millis, 99),
            "longest_ms": percentile(&mut millis, 100),
        },
    }))
}

/// A query that finds whatever the bench sent.
fn everything() -> [(&'static str, String); 2] {
    [("q", "lw.source:bench".to_owned()), ("limit", "0".to_owned())]
}

struct Shipped {
    refusals: u64,
    found_after: Vec<Duration>,
}

/// What the senders share.
struct Shipping {
    subject: Arc<Subject>,
    protocol: Protocol,
    batches: Mutex<(u64, Batches)>,
    /// Held by the probe under way.
    probe: Arc<Semaphore>,
    progress: Progress,
}

impl Shipping {
    fn next_batch(&self) -> anyhow::Result<Option<(u64, Vec<u8>)>> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.0 += 1;
        Ok(batches.1.next()?.map(|batch| (batches.0, batch)))
    }
}

async fn ship(
    subject: &Arc<Subject>,
    file: &Path,
    truth: &Truth,
    sending: Sending,
) -> anyhow::Result<Shipped> {
    let shipping = Arc::new(Shipping {
        subject: Arc::clone(subject),
        protocol: sending.protocol,
        batches: Mutex::new((0, Batches::open(file)?)),
        probe: Arc::new(Semaphore::new(1)),
        progress: Progress::new("ship", truth.events),
    });
    let mut under_way = JoinSet::new();
    for _ in 0..sending.senders {
        under_way.spawn(send(Arc::clone(&shipping)));
    }
    let mut shipped = Shipped { refusals: 0, found_after: Vec::new() };
    while let Some(ended) = under_way.join_next().await {
        let (refusals, probes) = ended??;
        shipped.refusals += refusals;
        for probe in probes {
            shipped.found_after.push(probe.await??);
        }
    }
    Ok(shipped)
}

type Probes = Vec<JoinHandle<anyhow::Result<Duration>>>;

async fn send(shipping: Arc<Shipping>) -> anyhow::Result<(u64, Probes)> {
    let (mut refusals, mut probes) = (0, Vec::new());
    while let Some((number, batch)) = shipping.next_batch()? {
        let last = last_time(&batch).context("a batch ends with an event that has a time")?;
        refusals += shipping.subject.ingest(shipping.protocol, &batch).await?;
        if number % PROBE_EVERY == 0
            && let Ok(turn) = Arc::clone(&shipping.probe).try_acquire_owned()
        {
            let found = until_found(Arc::clone(&shipping.subject), last, turn);
            probes.push(tokio::spawn(found));
        }
        shipping.progress.add(BATCH_EVENTS as u64);
    }
    Ok((refusals, probes))
}

/// Asks for the one event of this time until it is found; answers how long that took.
async fn until_found(
    subject: Arc<Subject>,
    at: Timestamp,
    _turn: OwnedSemaphorePermit,
) -> anyhow::Result<Duration> {
    let (acknowledged, mut pause) = (Instant::now(), PROBE_PAUSES.0);
    let to = at.saturating_add(Duration::from_micros(1));
    let params = [
        ("q", "*".to_owned()),
        ("limit", "0".to_owned()),
        ("from", at.to_string()),
        ("to", to.to_string()),
    ];
    loop {
        let (answer, _) = subject.ask("/api/v1/search", &params).await?;
        if answer["total"] == 1 {
            return Ok(acknowledged.elapsed());
        }
        anyhow::ensure!(
            acknowledged.elapsed() < PROBE_TIMEOUT,
            "an acknowledged event is not found: {answer}"
        );
        tokio::time::sleep(pause).await;
        pause = pause.mul_f64(1.25).min(PROBE_PAUSES.1);
    }
}

/// The time of the last record of a batch.
fn last_time(batch: &[u8]) -> Option<Timestamp> {
    let lines = std::str::from_utf8(batch).ok()?;
    time_of(lines.lines().next_back()?)
}

/// The nearest-rank percentile; sorts. Zero when there is nothing.
pub(super) fn percentile(millis: &mut [f64], percent: usize) -> f64 {
    millis.sort_by(f64::total_cmp);
    let rank = (millis.len() * percent).div_ceil(100).max(1);
    millis.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_of_a_batch_is_its_last_records() {
        let batch =
            "{\"ts\":\"2026-01-01T00:00:01Z\"}\n{\"n\":\"a\",\"t\":\"2026-01-01T00:00:02.5Z\"}\n";
        let expected = Timestamp::from_millis(1_767_225_602_500);
        assert_eq!(last_time(batch.as_bytes()), Some(expected));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut millis: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut millis, 50), 100.0);
        assert_eq!(percentile(&mut millis, 99), 198.0);
        assert_eq!(percentile(&mut [], 99), 0.0);
    }
}
