//! `logwarden status`: how a running server is; exit code 1 when it is not ready.

use std::io::Write;

use anyhow::anyhow;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::terminal::printable;
use crate::client::{Client, Connection};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// Take note of what the journal lost, so that the server is ready again. Needs a token of an
    /// administrator.
    #[arg(long)]
    acknowledge_damage: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = Client::open(&arguments.connection)?;
    let health = match arguments.acknowledge_damage {
        true => client.post("/api/v1/health/acknowledge-damage").await?,
        false => client.health().await?,
    };
    print(&health, arguments.json);
    match health["status"].as_str() {
        Some("ready") => Ok(()),
        status => Err(Failure::Bad(anyhow!("the server is {}", status.unwrap_or("unknown")))),
    }
}

fn print(health: &Value, is_json: bool) {
    let mut out = std::io::stdout();
    if is_json {
        let _ = writeln!(out, "{health:#}");
        return;
    }
    let _ = writeln!(out, "status: {}", health["status"].as_str().unwrap_or("unknown"));
    let none = serde_json::Map::new();
    for (part, details) in health["details"].as_object().unwrap_or(&none) {
        // Of a list each item has a line of its own.
        let items = details.as_array().map_or(std::slice::from_ref(details), Vec::as_slice);
        for item in items {
            let _ = writeln!(out, "{part}: {}", printable(&in_words(item)));
        }
    }
}

fn in_words(details: &Value) -> String {
    match details.as_object() {
        Some(values) => {
            let values = values.iter().map(|(name, value)| format!("{name} {value}"));
            values.collect::<Vec<_>>().join(", ")
        }
        None => details.to_string(),
    }
}
