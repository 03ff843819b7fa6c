//! `logwarden deadletters`: records that could not become events, and another try with each.

use std::io::Write;

use anyhow::anyhow;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::terminal::{printable, printable_json};
use crate::client::{Client, Connection};

/// Letters of one request.
const PAGE: usize = 1_000;
/// What a replay counts, as the API names it.
const COUNTS: [&str; 7] = [
    "letters",
    "replayed",
    "events",
    "replayed_before",
    "still_bad",
    "not_replayable",
    "unsettled",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, newest first.
    List {
        #[command(flatten)]
        which: Which,
        /// Letters at most, up to 10,000.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Print each as a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one with its record, as JSON.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send them through the present parser: what reads now is stored, each once.
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Which letters are meant; all, when nothing is said.
#[derive(Debug, Clone, clap::Args)]
struct Which {
    /// Who sent them.
    #[arg(long)]
    source: Option<String>,
    /// Why they are here, such as `invalid_json`.
    #[arg(long)]
    code: Option<String>,
    /// A query that they must match too.
    #[arg(long)]
    query: Option<String>,
    /// The first instant: RFC 3339, Unix seconds or milliseconds, or relative (`now-15m`).
    #[arg(long)]
    from: Option<String>,
    /// The instant after the last.
    #[arg(long)]
    to: Option<String>,
}

impl Which {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let Self { source, code, query, from, to } = self;
        [("source", source), ("code", code), ("q", query), ("from", from), ("to", to)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List { which, limit, json, connection } => {
            let mut query = which.parameters();
            query.push(("limit", limit.to_string()));
            let answer = Client::open(&connection)?.get("/api/v1/deadletters", &query).await?;
            print(&list(&answer, json));
            Ok(())
        }
        Action::Show { id, connection } => {
            let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_id {
                return Err(Failure::Usage(anyhow!("`{id}` is no id")));
            }
            let path = format!("/api/v1/events/{id}");
            let letter = Client::open(&connection)?.get(&path, &[]).await?;
            print(&printable_json(&format!("{letter:#}\n")));
            Ok(())
        }
        Action::Replay { which, connection } => replay(&Client::open(&connection)?, &which).await,
    }
}

/// Replays page by page; letters that come meanwhile are newer than the first page, and left alone.
async fn replay(client: &Client, which: &Which) -> Result<(), Failure> {
    let mut body = json!({ "limit": PAGE });
    for (name, value) in which.parameters() {
        body[name] = value.into();
    }
    let mut sums = [0u64; COUNTS.len()];
    loop {
        let answer = client.post_json("/api/v1/deadletters/replay", &body).await?;
        for (sum, name) in sums.iter_mut().zip(COUNTS) {
            *sum += answer[name].as_u64().unwrap_or_default();
        }
        for problem in answer["problems"].as_array().into_iter().flatten() {
            let text = |name: &str| printable(problem[name].as_str().unwrap_or_default());
            print(&format!("{}: {}\n", text("id"), text("reason")));
        }
        match answer["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => break,
        }
    }
    let counts = COUNTS.iter().zip(sums).map(|(name, sum)| format!("{name} {sum}"));
    print(&format!("{}\n", counts.collect::<Vec<_>>().join(", ")));
    Ok(())
}

fn list(answer: &Value, is_json: bool) -> String {
    let letters = answer["items"].as_array().into_iter().flatten();
    if is_json {
        return letters.map(|letter| printable_json(&format!("{letter}\n"))).collect();
    }
    let line = |letter: &Value| {
        let field = |name: &str| letter["fields"][name].as_str().unwrap_or("-").to_owned();
        let text = |name: &str| letter[name].as_str().unwrap_or("-").to_owned();
        let state = if letter["replayed_at"].is_null() { "" } else { " (replayed)" };
        let (id, at, source) = (text("id"), text("observed_at"), text("source"));
        let (code, reason) = (field("lw.code"), field("lw.reason"));
        let line = format!("{id}  {at}  {source}  {code}: {reason}{state}");
        format!("{}\n", printable(&line))
    };
    letters.map(line).collect()
}

/// A reader that closed the pipe has seen enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_line_whatever_it_says() {
        let letter = json!({ "items": [{
            "id": "1", "observed_at": "2026-01-01T00:00:00Z", "source": "shop",
            "fields": { "lw.code": "invalid_json", "lw.reason": "a\nb" }, "replayed_at": null,
        }] });
        let line = list(&letter, false);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.starts_with("1  2026-01-01T00:00:00Z  shop  invalid_json: a"), "{line}");
    }
}
