//! `logwarden bench`: measures this very program from outside, as a server of its own.
//!
//! Starts `serve` in an empty directory, ships it seeded events over HTTP with the journal's sync on,
//! waits until everything is searchable, and reads the kernel's account of the server's process.
//! Prints one JSON object. Figures of one machine compare only with figures of the same run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Subcommand;
use logwarden_event::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::demo::{Attack, Shipped, Traffic, as_json};

/// Events in one request.
const BATCH_EVENTS: u32 = 1_000;
/// Requests under way at once.
const SENDERS: usize = 4;
/// How often each query is asked.
const QUERY_RUNS: usize = 20;
/// The kernel's unit of CPU time in `/proc`, which is fixed for programs (`man 5 proc`).
const TICKS_PER_SEC: f64 = 100.0;

/// A query of each class, so that figures can be compared over releases.
const QUERIES: [(&str, &str, u32); 8] = [
    ("count all", "*", 0),
    ("latest 100", "*", 100),
    ("needle", "\"user kofi signed in\" AND source.ip:198.51.100.7", 100),
    ("field", "event.outcome:failure", 0),
    ("common word", "order", 0),
    ("field and word", "event.outcome:success AND signed", 0),
    ("top 10", "* | top 10 source.ip", 100),
    ("expression", "message:~\"orders? [0-9]{4}7 \"", 0),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// CPU seconds per GB, bytes on disk per raw byte, peak memory.
    Ingest(Load),
    /// The same, then p50 and p95 of a query of each class.
    Search(Load),
}

#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// Events to ship.
    #[arg(long, default_value_t = 200_000)]
    events: u32,
    /// Decides what the events say.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An empty directory to work in; a temporary one when it is not said.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (load, with_search) = match arguments.action {
        Action::Ingest(load) => (load, false),
        Action::Search(load) => (load, true),
    };
    let name = format!("logwarden-bench-{}", std::process::id());
    let dir = load.dir.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    let server = Subject::start(&dir).await?;
    let mut report = server.measure_ingest(&load).await?;
    if with_search {
        report["queries"] = server.measure_queries().await?;
        report["peak_resident_bytes"] = json!(server.peak_resident_bytes()?);
    }
    drop(server);
    if load.dir.is_none() {
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("cannot remove `{}`", dir.display()))?;
    }
    println!("{report:#}");
    Ok(())
}

/// The server that is measured; killed when it is dropped.
struct Subject {
    process: Child,
    data_dir: PathBuf,
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Subject {
    async fn start(dir: &Path) -> anyhow::Result<Self> {
        let data_dir = dir.join("data");
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let program = std::env::current_exe()?;
        let data_dir_text =
            data_dir.to_str().context("the directory's name is no text")?.to_owned();
        let made = Command::new(&program)
            .args(["token", "create", "--role", "admin", "--name", "bench", "--source", "bench"])
            .args(["--data-dir", &data_dir_text])
            .output()?;
        let token = String::from_utf8(made.stdout)?.trim().to_owned();
        anyhow::ensure!(made.status.success() && !token.is_empty(), "cannot make a token");

        let said = dir.join("said");
        let process = Command::new(&program)
            .args([
                "serve",
                "--http",
                "127.0.0.1:0",
                "--tcp",
                "127.0.0.1:0",
                "--data-dir",
                &data_dir_text,
            ])
            .env("LOGWARDEN_LOG", "warn")
            .stdout(Stdio::from(std::fs::File::create(&said)?))
            .spawn()?;
        let mut subject =
            Self { process, data_dir, url: String::new(), token, http: reqwest::Client::new() };
        for _ in 0..600 {
            let text = std::fs::read_to_string(&said)?;
            if let Some(url) = text.lines().find_map(|line| line.strip_prefix("http: ")) {
                subject.url = url.to_owned();
                return Ok(subject);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("the server did not start within 30 s"))
    }

    async fn measure_ingest(&self, load: &Load) -> anyhow::Result<Value> {
        let cpu_before = self.cpu_secs()?;
        let started = Instant::now();
        let mut traffic = Traffic::new(load.seed, Attack::None);
        let first = SystemClock
            .now()
            .saturating_sub(Duration::from_secs(u64::from(load.events / BATCH_EVENTS) + 60));
        let (mut raw_bytes, mut sent, mut second) = (0u64, 0u32, 0i64);
        let mut under_way = tokio::task::JoinSet::new();
        while sent < load.events {
            let now = Timestamp::from_secs(first.secs() + second);
            let count = BATCH_EVENTS.min(load.events - sent);
            let body = batch(&mut traffic, now, count);
            raw_bytes += body.len() as u64;
            (sent, second) = (sent + count, second + 1);
            if under_way.len() == SENDERS {
                under_way.join_next().await.context("a request is under way")???;
            }
            under_way.spawn(post(
                self.http.clone(),
                format!("{}/api/v1/ingest", self.url),
                self.token.clone(),
                body,
            ));
        }
        while let Some(ended) = under_way.join_next().await {
            ended??;
        }
        let acknowledged_secs = started.elapsed().as_secs_f64();
        self.settle().await?;
        let settled_secs = started.elapsed().as_secs_f64();
        let cpu_secs = self.cpu_secs()? - cpu_before;
        let gigabytes = raw_bytes as f64 / 1e9;
        let parts = self.bytes_by_part()?;
        let disk: u64 = parts.values().filter_map(Value::as_u64).sum();
        Ok(json!({
            "events": sent, "raw_bytes": raw_bytes,
            "acknowledged_secs": acknowledged_secs, "settled_secs": settled_secs,
            "cpu_secs": cpu_secs, "cpu_secs_per_gb": cpu_secs / gigabytes,
            "disk_bytes": disk, "disk_bytes_by_part": parts,
            "disk_bytes_per_raw_byte": disk as f64 / raw_bytes as f64,
            "peak_resident_bytes": self.peak_resident_bytes()?,
        }))
    }

    /// Waits until every event is searchable.
    async fn settle(&self) -> anyhow::Result<()> {
        loop {
            let health = self.get("/api/v1/health", &[]).await?;
            if health["details"]["index"]["lag_events"] == json!(0)
                && health["details"]["detector"]["lag_events"] == json!(0)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn measure_queries(&self) -> anyhow::Result<Value> {
        let mut figures = Vec::new();
        for (class, query, limit) in QUERIES {
            let mut millis = Vec::with_capacity(QUERY_RUNS);
            let mut answer = Value::Null;
            for _ in 0..QUERY_RUNS {
                let started = Instant::now();
                answer = self
                    .get("/api/v1/search", &[("q", query.to_owned()), ("limit", limit.to_string())])
                    .await?;
                millis.push(started.elapsed().as_secs_f64() * 1e3);
            }
            millis.sort_by(f64::total_cmp);
            figures.push(json!({ "class": class, "query": query, "total": answer["total"],
                "p50_ms": millis[QUERY_RUNS / 2], "p95_ms": millis[QUERY_RUNS * 95 / 100] }));
        }
        Ok(Value::Array(figures))
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = url::Url::parse(&format!("{}{path}", self.url))?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.http.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        anyhow::ensure!(status.is_success(), "{path} answered {status}: {body}");
        Ok(body)
    }

    /// User and system time of the server so far (`man 5 proc`, `/proc/PID/stat`, fields 14 and 15).
    fn cpu_secs(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit(") ").next().context("stat has a name")?;
        let ticks = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(str::parse::<f64>)
            .sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_PER_SEC)
    }

    fn peak_resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("status has a peak")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn bytes_by_part(&self) -> anyhow::Result<serde_json::Map<String, Value>> {
        let entries = std::fs::read_dir(&self.data_dir)?;
        entries
            .map(|entry| {
                let entry = entry?;
                Ok((
                    entry.file_name().to_string_lossy().into_owned(),
                    json!(bytes_below(&entry.path())?),
                ))
            })
            .collect()
    }
}

fn bytes_below(path: &Path) -> std::io::Result<u64> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    std::fs::read_dir(path)?.map(|entry| bytes_below(&entry?.path())).sum()
}

fn batch(traffic: &mut Traffic, now: Timestamp, events: u32) -> String {
    let records = traffic.next_second(now, events);
    records.iter().fold(String::new(), |lines, record| match record {
        Shipped::Json(line) => lines + line + "\n",
        Shipped::Syslog(line) => lines + &as_json(line) + "\n",
    })
}

async fn post(
    http: reqwest::Client,
    url: String,
    token: String,
    body: String,
) -> anyhow::Result<()> {
    loop {
        let answer = http.post(&url).bearer_auth(&token).body(body.clone()).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        // Refused for now is an answer a sender obeys; anything else ends the measurement.
        anyhow::ensure!(
            status.as_u16() == 429 || status.as_u16() == 503,
            "the server answered {status}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
