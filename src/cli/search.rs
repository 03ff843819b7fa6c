//! `logwarden search`: the HTTP API's search from the terminal.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table};
use indicatif::ProgressBar;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::terminal::{counted, csv_cell, printable, printable_json};
use crate::client::{Client, Connection};

/// Fields that earn a column of their own in a table, when any hit has them.
const TABLE_FIELDS: [&str; 4] = ["host.name", "user.name", "source.ip", "event.outcome"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to look for, in the query language; `*` is everything.
    query: String,
    /// The first instant: RFC 3339, Unix seconds or milliseconds, or relative (`now-15m`).
    #[arg(long)]
    from: Option<String>,
    /// The instant after the last.
    #[arg(long)]
    to: Option<String>,
    /// Events at most, up to 10,000; 0 for the count alone.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print control characters as they are.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = Client::open(&arguments.connection)?;
    let mut query = vec![("q", arguments.query.clone()), ("limit", arguments.limit.to_string())];
    query.extend(arguments.from.clone().map(|from| ("from", from)));
    query.extend(arguments.to.clone().map(|to| ("to", to)));

    let progress = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
    if let Some(progress) = &progress {
        progress.set_message("searching");
        progress.enable_steady_tick(Duration::from_millis(120));
    }
    let answer = client.get("/api/v1/search", &query).await;
    if let Some(progress) = &progress {
        progress.finish_and_clear();
    }
    let text = render(&answer?, arguments.format, arguments.raw);
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// With `is_raw` control characters stay what they are, but for those that JSON escapes itself.
fn render(answer: &Value, format: Format, is_raw: bool) -> String {
    let text = match (format, answer.get("columns"), answer.get("rows")) {
        (Format::Json, ..) => format!("{answer:#}\n"),
        (_, Some(Value::Array(columns)), Some(Value::Array(rows))) => {
            render_groups(columns, rows, format, is_raw)
        }
        _ => render_hits(answer, format, is_raw),
    };
    let is_json = matches!(format, Format::Json | Format::Ndjson);
    if is_json && !is_raw { printable_json(&text) } else { text }
}

fn render_groups(columns: &[Value], rows: &[Value], format: Format, is_raw: bool) -> String {
    let plain = |value: &Value| cell(value, is_raw);
    let names: Vec<String> = columns.iter().map(|column| plain(&column["name"])).collect();
    let cells =
        |row: &Value| row.as_array().map(|row| row.iter().map(plain).collect()).unwrap_or_default();
    match format {
        Format::Ndjson => rows.iter().fold(String::new(), |text, row| {
            let keys = columns.iter().map(|column| column["name"].as_str().unwrap_or_default());
            let values = row.as_array().cloned().unwrap_or_default();
            let object: serde_json::Map<String, Value> =
                keys.map(str::to_owned).zip(values).collect();
            text + &Value::Object(object).to_string() + "\n"
        }),
        Format::Csv => csv(&names, rows.iter().map(cells)),
        Format::Table | Format::Json => table(&names, rows.iter().map(cells)),
    }
}

fn render_hits(answer: &Value, format: Format, is_raw: bool) -> String {
    let plain = |value: &Value| cell(value, is_raw);
    let none = Vec::new();
    let hits = answer["hits"].as_array().unwrap_or(&none);
    let fixed = ["timestamp", "severity", "dataset"];
    match format {
        Format::Ndjson => {
            hits.iter().fold(String::new(), |text, hit| text + &hit.to_string() + "\n")
        }
        Format::Csv => {
            let fields: BTreeSet<&str> = hits
                .iter()
                .filter_map(|hit| hit["fields"].as_object())
                .flat_map(|fields| fields.keys().map(String::as_str))
                .collect();
            let first = ["id", "timestamp", "severity", "source", "dataset", "message"];
            // What a field is called is the sender's word, too.
            let names = first.into_iter().chain(fields.iter().copied());
            let names: Vec<String> = names.map(|name| plain(&name.into())).collect();
            let cells = hits.iter().map(|hit| {
                let own = first.iter().map(|name| plain(&hit[*name]));
                own.chain(fields.iter().map(|name| plain(&hit["fields"][*name]))).collect()
            });
            csv(&names, cells)
        }
        Format::Table | Format::Json => {
            let fields: Vec<&str> = TABLE_FIELDS
                .into_iter()
                .filter(|field| hits.iter().any(|hit| hit["fields"].get(*field).is_some()))
                .collect();
            let names: Vec<String> = fixed
                .into_iter()
                .chain(fields.iter().copied())
                .chain(["message"])
                .map(str::to_owned)
                .collect();
            let cells = hits.iter().map(|hit| {
                let own = fixed.iter().map(|name| plain(&hit[*name]));
                let fields = fields.iter().map(|name| plain(&hit["fields"][*name]));
                own.chain(fields).chain([plain(&hit["message"])]).collect()
            });
            let table = if hits.is_empty() { String::new() } else { table(&names, cells) };
            format!("{table}{}\n", summary(answer, hits.len()))
        }
    }
}

fn summary(answer: &Value, shown: usize) -> String {
    let total = counted(answer["total"].as_u64().unwrap_or_default() as usize, "event");
    let partial = if answer["complete"] == Value::Bool(false) {
        ", PARTIAL: not everything was read"
    } else {
        ""
    };
    format!("{shown} of {total}, {} ms{partial}", answer["took_ms"])
}

fn cell(value: &Value, is_raw: bool) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if is_raw => text.clone(),
        Value::String(text) => printable(text).into_owned(),
        other if is_raw => other.to_string(),
        other => printable_json(&other.to_string()),
    }
}

fn table(names: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(names);
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}

fn csv(names: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| {
        cells.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",") + "\r\n"
    };
    rows.fold(line(names), |text, row| text + &line(&row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_unless_they_are_asked_for() {
        let hits = serde_json::json!({ "total": 1, "complete": true, "took_ms": 1, "hits": [
            { "timestamp": "T", "message": "a\u{1b}[31m\u{9b}b",
              "fields": { "x\u{1b}": ["\u{9b}"] } } ] });
        for format in [Format::Table, Format::Json, Format::Ndjson, Format::Csv] {
            let shown = render(&hits, format, false);
            assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{format:?}: {shown}");
            assert!(render(&hits, format, true).contains('\u{9b}'), "{format:?}");
        }
        let line = render(&hits, Format::Ndjson, false);
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read, hits["hits"][0]);
    }

    #[test]
    fn hits_and_groups_are_printed_in_every_format() {
        let hits = serde_json::json!({ "total": 1, "complete": true, "took_ms": 1.5, "hits": [
            { "id": "A", "timestamp": "T", "severity": "info", "source": "s", "dataset": "d",
              "message": "=x", "fields": { "user.name": "root" } } ] });
        let csv = render(&hits, Format::Csv, false);
        assert_eq!(csv.lines().last(), Some(r#""A","T","info","s","d","'=x","root""#));
        assert!(render(&hits, Format::Table, false).contains("1 of 1 event"));

        let groups = serde_json::json!({ "columns": [{"name": "source.ip"}, {"name": "count"}], "rows": [["1.1.1.1", 4]] });
        assert_eq!(
            render(&groups, Format::Ndjson, false),
            "{\"count\":4,\"source.ip\":\"1.1.1.1\"}\n"
        );
    }
}
