//! `logwarden rules backtest`: what rule files would have found in the events of a server.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use indicatif::ProgressBar;
use logwarden_alerting::{RuleFile, RuleSet};
use serde_json::{Value, json};

use super::{print, read_rules};
use crate::cli::Failure;
use crate::cli::terminal::{counted, printable};
use crate::client::{Client, Connection};

const PATH: &str = "/api/v1/rules/backtest";
const MS_PER_DAY: f64 = 86_400_000.0;

/// Which rules, over which events.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A file or directory of rules; they may look at rules that the server uses.
    #[arg(long)]
    rules: PathBuf,
    /// The first instant: RFC 3339, Unix seconds or milliseconds, or relative (`now-30d`).
    #[arg(long)]
    from: String,
    /// The instant after the last.
    #[arg(long, default_value = "now")]
    to: String,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = read_rules(&arguments.rules)?;
    let client = Client::open(&arguments.connection)?;
    let replaced = replaced(&client, &files).await?;
    let texts = files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>();
    let progress = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
    if let Some(progress) = &progress {
        progress.set_message("running the rules over stored events");
        progress.enable_steady_tick(Duration::from_millis(120));
    }
    let mut asked =
        json!({ "rules": texts.join("\n---\n"), "from": arguments.from, "to": arguments.to });
    if let Some((id, text)) = &replaced {
        asked["replaces"] = json!(id);
        asked["against"] = json!(text);
    }
    let found = client.post_json(PATH, &asked).await;
    if let Some(progress) = &progress {
        progress.finish_and_clear();
    }
    let found = found?;
    let problems = found["problems"].as_array().map_or(0, Vec::len);
    match arguments.format {
        Format::Json => print(&format!("{found:#}\n")),
        Format::Text => print(&render(&found)),
    }
    if problems > 0 {
        return Err(Failure::Bad(anyhow!(
            "{} in the rules, nothing was run",
            counted(problems, "problem")
        )));
    }
    Ok(())
}

/// The id of a rule in use that the files have too, and the text it stands in.
async fn replaced(
    client: &Client,
    files: &[RuleFile],
) -> Result<Option<(String, String)>, Failure> {
    let (rules, _) = RuleSet::load(files);
    let ours: BTreeSet<&str> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    let in_use = client.get("/api/v1/rules", &[]).await?;
    let in_use = in_use["items"].as_array().map_or(&[][..], Vec::as_slice);
    let same: Vec<&Value> = in_use
        .iter()
        .filter(|rule| rule["id"].as_str().is_some_and(|id| ours.contains(id)))
        .collect();
    let same_files: BTreeSet<&str> = same.iter().filter_map(|rule| rule["file"].as_str()).collect();
    if same_files.len() > 1 {
        let names = same_files.into_iter().collect::<Vec<_>>().join("`, `");
        let message = format!(
            "rules of several files in use have the same ids (`{names}`); try one file at a time"
        );
        return Err(Failure::Usage(anyhow!(message)));
    }
    let Some(id) = same.first().and_then(|rule| rule["id"].as_str()) else { return Ok(None) };
    let mut text = String::new();
    for rule in same.iter().filter_map(|rule| rule["id"].as_str()) {
        let shown = client.get(&format!("/api/v1/rules/{rule}"), &[]).await?;
        text = text + shown["text"].as_str().unwrap_or_default() + "\n---\n";
    }
    Ok(Some((id.to_owned(), text)))
}

fn render(found: &Value) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{}", printable(text));
    };
    let items = |key: &str| found[key].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for problem in items("problems") {
        let (at, column) = (&problem["line"], &problem["column"]);
        line(&format!("line {at}, column {column}: {}", text(&problem["message"])));
    }
    if !items("problems").is_empty() {
        return out;
    }
    let whole = if found["complete"] == true { "all of the range" } else { "NOT ALL of the range" };
    let events = counted(found["events"].as_u64().unwrap_or_default() as usize, "event");
    line(&format!("{events}, {whole}"));
    let alerts = found["alerts"].as_u64().unwrap_or_default();
    let days = found["interval_ms"].as_f64().unwrap_or_default() * items("per_bucket").len() as f64
        / MS_PER_DAY;
    let a_day = if days > 0.0 { alerts as f64 / days } else { 0.0 };
    line(&format!("{}, {a_day:.1} a day", counted(alerts as usize, "alert")));
    let difference = &found["difference"];
    if difference["problems"].as_array().is_some_and(|problems| !problems.is_empty()) {
        line("the version in use has problems of its own and is not compared");
    } else if let (Some(gained), Some(lost)) =
        (difference["gained"].as_u64(), difference["lost"].as_u64())
    {
        line(&format!("compared with the version in use: +{gained}, -{lost}"));
    }
    let known = &found["known"];
    if let (Some(missed), Some(of @ 1..)) = (known["missed"].as_u64(), known["alerts"].as_u64()) {
        line(&format!("known alerts missed: {missed} of {of}"));
        for alert in known["items"].as_array().map_or(&[][..], Vec::as_slice) {
            line(&format!("  {}  {}", text(&alert["opened_at"]), text(&alert["title"])));
        }
    }
    for (title, key, first, second) in [
        ("groups with the most alerts:", "groups", "count", "group"),
        ("newest alerts:", "examples", "at", "title"),
    ] {
        if !items(key).is_empty() {
            line(title);
        }
        for item in items(key) {
            let first = item[first].as_str().map_or_else(|| item[first].to_string(), str::to_owned);
            line(&format!("  {first:>8}  {}", text(&item[second])));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said_in_words_with_the_difference() {
        let found = json!({ "events": 9, "complete": false, "alerts": 6, "interval_ms": 2_880_000,
            "per_bucket": vec![json!({}); 60], "problems": [],
            "difference": { "alerts": 8, "gained": 1, "lost": 3, "problems": [] },
            "known": { "alerts": 2, "missed": 1, "quieted": 0,
                "items": [{ "opened_at": "2025-12-31T00:00:00Z", "title": "Known\u{7}" }] },
            "groups": [{ "group": "10.0.0.1", "count": 5 }],
            "examples": [{ "at": "2026-01-01T00:00:00Z", "title": "T\u{1b}" }] });
        let text = render(&found);
        assert!(text.contains("9 events, NOT ALL of the range\n6 alerts, 3.0 a day\n"), "{text}");
        assert!(text.contains("compared with the version in use: +1, -3\n"), "{text}");
        assert!(
            text.contains("known alerts missed: 1 of 2\n  2025-12-31T00:00:00Z  Known"),
            "{text}"
        );
        assert!(text.contains("       5  10.0.0.1\n") && !text.contains('\u{1b}'), "{text}");
        let wrong = json!({ "problems": [{ "line": 3, "column": 1, "message": "no" }] });
        assert_eq!(render(&wrong), "line 3, column 1: no\n");
    }
}
