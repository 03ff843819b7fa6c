//! The server that is measured: a process of its own, asked over HTTP and watched through `/proc`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::protocol::{Packed, Protocol};

/// The kernel's unit of CPU time in `/proc`, which is fixed for programs (`man 5 proc`).
const TICKS_PER_SEC: f64 = 100.0;
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Age at which a head becomes a split, in seconds. While records arrive heads are full long before;
/// this only ends the wait for the last one.
const HEAD_AGE_MAX_SECS: u64 = 5;
/// Nothing happens for so long: the last head became a split, and merges looked for work.
const QUIET: Duration = Duration::from_secs(15);
/// CPU seconds in [`QUIET`] that are not work.
const QUIET_CPU_SECS: f64 = 0.3;
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Segments of the journal that a running server keeps whatever it holds: the open one, the next
/// one, and the last that was trimmed up to.
const SEGMENTS_KEPT: usize = 3;

/// A running server; killed when it is dropped.
pub(super) struct Subject {
    process: Child,
    program: PathBuf,
    dir: PathBuf,
    url: String,
    tcp: SocketAddr,
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
    /// Starts `program` on an empty data directory in `dir`, with or without the bundled rules.
    pub(super) async fn start(
        program: &Path,
        dir: &Path,
        with_rules: bool,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let settings = format!(
            "data_dir = \"data\"\n[index]\nhead_age_max_secs = {HEAD_AGE_MAX_SECS}\n\
             [rules]\nbundled = {with_rules}\n\
             [[listeners]]\ntcp = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\nsource = \"bench\"\n"
        );
        std::fs::write(dir.join("bench.toml"), settings)?;
        let made = Command::new(program)
            .args(["token", "create", "--role", "admin", "--name", "bench", "--source", "bench"])
            .arg("--data-dir")
            .arg(dir.join("data"))
            .stderr(Stdio::inherit())
            .output()?;
        let token = String::from_utf8(made.stdout)?.trim().to_owned();
        anyhow::ensure!(made.status.success() && !token.is_empty(), "cannot make a token");
        let process = spawn(program, dir)?;
        let (program, dir) = (program.to_owned(), dir.to_owned());
        let (url, http) = (String::new(), reqwest::Client::new());
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut subject = Self { process, program, dir, url, tcp, token, http };
        subject.wait_until_ready().await?;
        Ok(subject)
    }

    /// Stops it in order; answers how many seconds that took.
    pub(super) async fn stop(&mut self) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        while self.process.try_wait()?.is_none() {
            anyhow::ensure!(begun.elapsed() < STOP_TIMEOUT, "the server does not stop");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Starts it again on the same data; answers the seconds until it took requests.
    pub(super) async fn start_again(&mut self) -> anyhow::Result<f64> {
        let begun = Instant::now();
        self.process = spawn(&self.program, &self.dir)?;
        self.wait_until_ready().await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            let said = std::fs::read_to_string(self.dir.join("said"))?;
            let line = |beginning| said.lines().find_map(|line| line.strip_prefix(beginning));
            if let (Some(url), Some(Ok(tcp))) = (line("http: "), line("tcp: ").map(str::parse)) {
                (self.url, self.tcp) = (url.to_owned(), tcp);
                return Ok(());
            }
            let ended = self.process.try_wait()?;
            anyhow::ensure!(ended.is_none(), "the server ended at its start: {ended:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(anyhow!("the server did not start within {} s", START_TIMEOUT.as_secs()))
    }

    /// Ships one batch until it is acknowledged; answers how often it was refused for now.
    pub(super) async fn ingest(&self, protocol: Protocol, batch: &[u8]) -> anyhow::Result<u64> {
        match protocol.pack(batch, &self.token) {
            Packed::Post { path, kind, body, answer } => self.post(path, kind, body, answer).await,
            Packed::Stream { bytes, answer } => self.write(&bytes, &answer).await,
        }
    }

    async fn post(
        &self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
        expected: &str,
    ) -> anyhow::Result<u64> {
        let url = format!("{}{path}", self.url);
        for refusals in 0.. {
            let request = self.http.post(&url).bearer_auth(&self.token).body(body.clone());
            let answer = request.header("content-type", kind).send().await?;
            let (status, said) = (answer.status(), answer.text().await?);
            if status.is_success() {
                anyhow::ensure!(said.contains(expected), "records were rejected: {said}");
                return Ok(refusals);
            }
            // Refused for now is an answer a sender obeys; anything else ends the measurement.
            let is_for_now = status.as_u16() == 429 || status.as_u16() == 503;
            anyhow::ensure!(is_for_now, "the server answered {status}: {said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("an endless loop ends by returning")
    }

    /// Over a connection of its own, whose end is an answer too. A stream that has to wait is not read
    /// on, so nothing is refused.
    async fn write(&self, bytes: &[u8], expected: &[u8]) -> anyhow::Result<u64> {
        let (mut reader, mut writer) = TcpStream::connect(self.tcp).await?.into_split();
        let write = async {
            writer.write_all(bytes).await?;
            if expected.is_empty() { writer.shutdown().await } else { Ok(()) }
        };
        let read = async {
            let mut said = Vec::new();
            while expected.is_empty() || !said.ends_with(expected) {
                if reader.read_buf(&mut said).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(said)
        };
        let (written, said) = tokio::join!(write, read);
        written?;
        let said = said?;
        let is_good = if expected.is_empty() { said.is_empty() } else { said.ends_with(expected) };
        anyhow::ensure!(is_good, "the server said `{}`", String::from_utf8_lossy(&said));
        Ok(0)
    }

    /// Asks; answers what was said and how long it took until the last byte of it.
    pub(super) async fn ask(
        &self,
        path: &str,
        params: &[(&str, String)],
    ) -> anyhow::Result<(Value, Duration)> {
        let mut url = url::Url::parse(&format!("{}{path}", self.url))?;
        url.query_pairs_mut().extend_pairs(params);
        let begun = Instant::now();
        let answer = self.http.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let took = begun.elapsed();
        let said: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{path} answered {status} and no JSON"))?;
        anyhow::ensure!(status.is_success(), "{path} {params:?} answered {status}: {said}");
        Ok((said, took))
    }

    /// Waits until everything is searchable, in splits, and merged; answers the moment from which
    /// nothing happened any more.
    pub(super) async fn settle(&self) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        let (mut since, mut before) = (Instant::now(), self.sign_of_work().await?);
        while since.elapsed() < QUIET {
            anyhow::ensure!(begun.elapsed() < SETTLE_TIMEOUT, "the server does not settle");
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = self.sign_of_work().await?;
            if now.lag > 0
                || now.splits != before.splits
                || now.cpu_secs - before.cpu_secs > QUIET_CPU_SECS
            {
                (since, before) = (Instant::now(), now);
            }
        }
        Ok(since)
    }

    async fn sign_of_work(&self) -> anyhow::Result<SignOfWork> {
        let (health, _) = self.ask("/api/v1/health", &[]).await?;
        let lag = |consumer: &str| health["details"][consumer]["lag_events"].as_u64();
        let lag = lag("index").zip(lag("detector")).context("health tells the lag")?;
        let splits =
            health["details"]["index"]["splits"].as_u64().context("health counts splits")?;
        Ok(SignOfWork { lag: lag.0 + lag.1, splits, cpu_secs: self.cpu_secs()? })
    }

    /// User and system time of all its threads so far, those that ended too (`man 5 proc`,
    /// `/proc/PID/stat`, fields 14 and 15).
    pub(super) fn cpu_secs(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit(") ").next().context("stat has a name")?;
        let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SEC)
    }

    /// The most memory it had at any time.
    pub(super) fn peak_resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.context("status has a peak")?.trim().trim_end_matches(" kB");
        Ok(peak.parse::<u64>()? * 1024)
    }

    /// Bytes on disk by part. `journal` leaves out the newest segments, which are there however
    /// little was written, and are told beside it with the reserve.
    pub(super) fn disk(&self) -> anyhow::Result<Map<String, Value>> {
        let data = self.dir.join("data");
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(data.join("wal"))? {
            let entry = entry?;
            segments.push((entry.file_name(), entry.metadata()?.len()));
        }
        segments.sort();
        let kept = segments.split_off(segments.len().saturating_sub(SEGMENTS_KEPT));
        let sum = |segments: &[(std::ffi::OsString, u64)]| {
            segments.iter().map(|(_, size)| size).sum::<u64>()
        };
        let mut catalog = 0;
        for entry in std::fs::read_dir(&data)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("catalog") {
                catalog += entry.metadata()?.len();
            }
        }
        let reserve = std::fs::metadata(data.join("reserve")).map_or(0, |meta| meta.len());
        let splits = bytes_below(&data.join("blobs"))?;
        let counted = [("splits", splits), ("catalog", catalog), ("journal", sum(&segments))];
        let constant = [("newest_segments", sum(&kept)), ("reserve", reserve)];
        let total: u64 = counted.iter().map(|(_, size)| size).sum();
        let parts = counted.into_iter().chain(constant).chain([("counted", total)]);
        Ok(parts.map(|(name, size)| (name.to_owned(), json!(size))).collect())
    }
}

/// What changes while a server works.
#[derive(Debug, Clone, Copy)]
struct SignOfWork {
    lag: u64,
    splits: u64,
    cpu_secs: f64,
}

fn spawn(program: &Path, dir: &Path) -> anyhow::Result<Child> {
    let said = std::fs::File::create(dir.join("said"))?;
    let process = Command::new(program)
        .args(["serve", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--config"])
        .arg(dir.join("bench.toml"))
        .env("LOGWARDEN_LOG", "warn")
        .stdout(Stdio::from(said))
        .spawn();
    process.with_context(|| format!("cannot start `{}`", program.display()))
}

fn bytes_below(path: &Path) -> std::io::Result<u64> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    std::fs::read_dir(path)?.map(|entry| bytes_below(&entry?.path())).sum()
}
