//! `logwarden tail`: follows events as they come.

use std::io::Write;

use anyhow::Context;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::terminal::{printable, printable_json};
use crate::client::{Client, Connection};

/// Bytes of one server-sent event; a longer one ends the command.
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to follow, in the query language.
    query: String,
    /// Print events as JSON, one per line.
    #[arg(long)]
    json: bool,
    /// Print control characters as they are.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = Client::open(&arguments.connection)?;
    let mut answer = client.stream("/api/v1/tail", &[("q", arguments.query.clone())]).await?;
    let mut buffer = Vec::new();
    while let Some(bytes) = answer.chunk().await.context("the connection was lost")? {
        buffer.extend_from_slice(&bytes);
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = buffer.drain(..end + 2).collect();
            let line = line_of(&String::from_utf8_lossy(&frame), arguments.json);
            let Some(line) = line else { continue };
            let line = match (arguments.raw, arguments.json) {
                (true, _) => line,
                (false, true) => printable_json(&line),
                (false, false) => printable(&line).into_owned(),
            };
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(());
            }
        }
        if buffer.len() > FRAME_BYTES_MAX {
            return Err(Failure::Bad(anyhow::anyhow!("the server sent an endless event")));
        }
    }
    Err(Failure::Environment(anyhow::anyhow!("the server ended the stream")))
}

/// What one server-sent event says, or nothing for those that keep the connection alive.
fn line_of(frame: &str, json: bool) -> Option<String> {
    let kind =
        frame.lines().find_map(|line| line.strip_prefix("event:")).map_or("message", str::trim);
    let data = frame.lines().find_map(|line| line.strip_prefix("data:"))?.trim();
    let Ok(value) = serde_json::from_str::<Value>(data) else {
        return Some(String::from("… an event left out: it cannot be read as JSON"));
    };
    match kind {
        "hit" if json => Some(value.to_string()),
        "hit" => {
            let part = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            Some(format!(
                "{} {:8} {} {}",
                part("timestamp"),
                part("severity"),
                part("dataset"),
                part("message")
            ))
        }
        "dropped" => Some(format!("… {} events left out: too many to follow", value["count"])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_becomes_a_line() {
        let hit = "event: hit\ndata: {\"timestamp\":\"T\",\"severity\":\"info\",\"dataset\":\"d\",\"message\":\"m\"}\n\n";
        assert_eq!(line_of(hit, false).as_deref(), Some("T info     d m"));
        assert_eq!(line_of(": keep-alive\n\n", false), None);
        let broken = line_of("event: hit\ndata: {\"k\":\"\\ud800\"}\n\n", false);
        assert!(broken.is_some_and(|line| line.contains("left out")));
    }
}
