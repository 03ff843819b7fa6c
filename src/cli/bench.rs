//! `logwarden bench`: measures this very program from outside, as a server of its own.
//!
//! Generates seeded events into a file, starts `serve` in an empty directory, ships them by one protocol
//! with the journal's sync on, waits until nothing happens any more, and reads the kernel's account
//! of the server's process. Asks every class of queries and checks each answer against what the
//! generator knows. Prints one JSON object; a wrong answer ends with exit code 1. Figures of one
//! machine compare only with figures of the same run: docs/PERFORMANCE.md says what they mean.

mod population;
mod records;

mod generator;
mod truth;

mod load;
mod protocol;
mod subject;

mod answers;
mod questions;
mod search;

mod detect;
mod floors;
mod progress;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use logwarden_event::{Clock, SystemClock};
use serde_json::{Value, json};

use self::generator::{EVENTS_MIN, Plan};
use self::protocol::Protocol;
use self::subject::Subject;
use crate::cli::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// CPU seconds per GB, bytes on disk per raw byte, peak memory, time until searchable, floors.
    Ingest(Load),
    /// The same, then p50, p95 and cold time of every class of queries, each answer checked.
    Search(Load),
    /// Rules over generated events in this process, compared with parsing them.
    Detect {
        #[command(flatten)]
        events: Events,
        /// Files and directories of rules, besides the bundled ones.
        #[arg(long)]
        rules: Vec<PathBuf>,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct Events {
    /// Events to generate.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(EVENTS_MIN..=1_000_000_000))]
    events: u64,
    /// Decides what the events say.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hours over which they happen.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8_760))]
    hours: u64,
}

#[derive(Debug, Clone, clap::Args)]
struct Load {
    #[command(flatten)]
    events: Events,
    /// An empty directory to work in, kept afterwards; a temporary one when it is not said.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Run the bundled rules over what comes in.
    #[arg(long)]
    rules: bool,
    /// Requests under way at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    senders: u64,
    /// How records are sent.
    #[arg(long, value_enum, default_value_t = Protocol::Ndjson)]
    protocol: Protocol,
    /// Measure this program instead of the running one, such as an older build.
    #[arg(long)]
    program: Option<PathBuf>,
}

impl Events {
    fn plan(&self) -> Plan {
        let span = Duration::from_secs(self.hours * 3_600);
        Plan { events: self.events, span, seed: self.seed }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (report, wrong) = match arguments.action {
        Action::Ingest(load) => measure(&load, false).await?,
        Action::Search(load) => measure(&load, true).await?,
        Action::Detect { events, rules } => {
            let plan = events.plan();
            let measured = tokio::task::spawn_blocking(move || detect::measure(plan, &rules));
            measured.await.map_err(anyhow::Error::from)??
        }
    };
    println!("{report:#}");
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Bad(anyhow!("{} wrong answers:\n{}", wrong.len(), wrong.join("\n"))))
}

async fn measure(load: &Load, with_search: bool) -> anyhow::Result<(Value, Vec<String>)> {
    let name = format!("logwarden-bench-{}", std::process::id());
    let dir = load.dir.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    let measured = measure_in(&dir, load, with_search).await;
    if load.dir.is_none() {
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("cannot remove `{}`", dir.display()))?;
    }
    measured
}

async fn measure_in(
    dir: &Path,
    load: &Load,
    with_search: bool,
) -> anyhow::Result<(Value, Vec<String>)> {
    let program = load.program.clone().map_or_else(std::env::current_exe, Ok)?;
    let file = dir.join("events.ndjson");
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let (plan, path) = (load.events.plan(), file.clone());
    let generated = tokio::task::spawn_blocking(move || load::generate(plan, &path)).await;
    let (truth, plants) = generated??;

    let subject = Arc::new(Subject::start(&program, dir, load.rules).await?);
    let mut report =
        json!({ "seed": load.events.seed, "rules": load.rules, "senders": load.senders });
    report["protocol"] = json!(format!("{:?}", load.protocol).to_lowercase());
    let sending = load::Sending { senders: load.senders as usize, protocol: load.protocol };
    report["ingest"] = load::measure(&subject, &file, &truth, sending).await?;
    let mut subject = Arc::into_inner(subject).context("every sender has ended")?;
    let mut wrong = Vec::new();
    if with_search {
        let classes = questions::classes(&truth, &plants);
        let measured = search::measure(&subject, &classes).await?;
        report["search"] = Value::Array(measured.figures);
        report["peak_resident_bytes"] = json!(subject.peak_resident_bytes()?);
        report["restart"] = search::measure_restart(&mut subject, &classes).await?;
        wrong = measured.wrong;
    }
    drop(subject);
    let now = SystemClock.now();
    report["floors"] = json!({
        "parse_only": tokio::task::block_in_place(|| floors::parse_only(&file, now))?,
        "journal_only": floors::journal_only(&file, &dir.join("floor"), now).await?,
    });
    Ok((report, wrong))
}
