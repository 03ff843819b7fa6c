//! `logwarden rules check`: what is wrong with rule files, what they may cost, which cannot match.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::anyhow;
use logwarden_alerting::{
    RuleCoverage, RuleFile, RuleSet, Seen, Verdict, check_rules, coverage, unseen_fields,
};
use serde_json::Value;

use super::{print, read_rules};
use crate::cli::Failure;
use crate::cli::terminal::printable;
use crate::client::{Client, Connection};

/// Names of fields that the server is asked for one by one; further ones count as seen.
const NAMES_MAX: usize = 200;

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
    let memory_mib = report.state_bytes_max.div_ceil(1024 * 1024);
    print(&format!(
        "{text}{} rules, {} problems, {} cannot match, windows keep at most {memory_mib} MiB\n",
        report.rules.len(),
        report.problems.len(),
        dead.len()
    ));
    if report.problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Bad(anyhow!("rule files have problems")))
    }
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
