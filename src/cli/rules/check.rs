//! `logwarden rules check`: what is wrong with rule files, what they may cost, which cannot match.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::anyhow;
use logwarden_alerting::{
    RuleCoverage, RuleFile, RuleSet, Seen, StateBound, Verdict, check_rules, coverage,
    unseen_fields,
};
use serde_json::Value;

use super::{print, read_rules};
use crate::cli::Failure;
use crate::cli::terminal::{counted, printable};
use crate::client::{Client, Connection};

/// Names of fields that the server is asked for one by one; further ones count as seen.
const NAMES_MAX: usize = 200;

/// Rules whose windows may keep more than this are named, the most first, at most so many.
const NOTED_BYTES: u64 = 1 << 30;
const NOTED_MAX: usize = 20;

/// Which files, and whether a server is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files and directories.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Ask the server which rules cannot match what it received: no such logsource, no such field.
    #[arg(long)]
    live: bool,
    /// With --live: since when logsources count.
    #[arg(long, default_value = "now-30d")]
    from: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        files.extend(read_rules(path)?);
    }
    let report = check_rules(&files);
    let mut text = String::new();
    for problem in &report.problems {
        text = text + &printable(&problem.to_string()) + "\n";
    }
    let dead = match arguments.live {
        true => live(arguments, &files).await?,
        false => offline(&files),
    };
    for rule in &dead {
        let line = format!("{}: `{}` cannot match: {}", rule.file, rule.id, rule.reason());
        text = text + &printable(&line) + "\n";
    }
    let large = report.state.iter().filter(|bound| bound.bytes_max > NOTED_BYTES);
    for bound in large.take(NOTED_MAX) {
        text = text + &printable(&memory(bound)) + "\n";
    }
    text += &format!(
        "{}, {}, {} cannot match",
        counted(report.rules.len(), "rule"),
        counted(report.problems.len(), "problem"),
        dead.len()
    );
    if let Some(most) = report.state.first() {
        text += &format!("; the most memory: {}", printable(&memory(most)));
    }
    print(&(text + "\n"));
    if report.problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Bad(anyhow!("rule files have problems")))
    }
}

/// What the windows of a rule may keep. Plain rules forget a group ten minutes after its last match, others after
/// their span: so many groups at once are an attack, or a field that is no good to group by.
fn memory(bound: &StateBound) -> String {
    let StateBound { rule, group_bytes, bytes_max } = bound;
    let (kib, mib) = (group_bytes.div_ceil(1 << 10), bytes_max.div_ceil(1 << 20));
    format!("`{rule}` keeps up to {kib} KiB a group, {mib} MiB in all its groups")
}

/// What the files alone tell: lists without values.
fn offline(files: &[RuleFile]) -> Vec<RuleCoverage> {
    let (rules, _) = RuleSet::load(files);
    let mut found = coverage(&rules, &Seen::default());
    found.retain(|rule| matches!(rule.verdict, Verdict::EmptyList(_)));
    found
}

async fn live(arguments: &Arguments, files: &[RuleFile]) -> Result<Vec<RuleCoverage>, Failure> {
    let client = Client::open(&arguments.connection)?;
    let asked = [
        ("q", String::new()),
        ("fields", String::from("lw.class")),
        ("limit", String::from("1000")),
        ("from", arguments.from.clone()),
    ];
    let classes = client.get("/api/v1/facets", &asked).await?;
    let fields = client.get("/api/v1/fields", &[]).await?;
    if classes["complete"] != true {
        let message = "the server cannot read all of the range, so no rule can be called dead";
        return Err(Failure::Environment(anyhow!(message)));
    }
    let names = |list: &Value, key: &str| -> Vec<String> {
        let items = list.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| item[key].as_str()).map(str::to_owned).collect()
    };
    let mut seen = Seen {
        logsources: BTreeSet::from_iter(names(&classes["fields"][0]["values"], "value")),
        fields: HashSet::from_iter(names(&fields["items"], "name")),
    };
    let (rules, _) = RuleSet::load(files);
    for (place, name) in unseen_fields(&rules, &seen).into_iter().enumerate() {
        let asked = [("q", format!("{name}:*")), ("limit", String::from("0"))];
        // A name that cannot be asked for counts as seen.
        let is_there = place >= NAMES_MAX
            || !matches!(client.get("/api/v1/search", &asked).await, Ok(found) if found["total"] == 0);
        if is_there {
            seen.fields.insert(name);
        }
    }
    let mut found = coverage(&rules, &seen);
    found.retain(|rule| rule.verdict.is_dead());
    Ok(found)
}
