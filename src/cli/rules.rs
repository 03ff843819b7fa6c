//! `logwarden rules`: checks, tests, imports and explains rule files; only stored events need a server.

mod backtest;
mod check;
mod import;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use logwarden_alerting::{
    Match, Reason, RuleFile, RuleSet, RuleTest, bundled_rules, explain, read_rule_files,
    run_rule_tests, test_rules,
};
use logwarden_event::{Clock, Event, SystemClock, Timestamp};
use logwarden_ingest::{Normalizer, Origin};
use logwarden_query::parse_time;
use serde::de::IgnoredAny;

use crate::cli::Failure;
use crate::cli::terminal::{counted, printable};
use crate::client::{Client, Connection};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Parse and validate rule files; exit code 1 when there are problems.
    Check(Box<check::Arguments>),
    /// Run the tests in rule files, or rules over a file of records.
    Test {
        /// A file or directory of rules; the bundled ones when it is not said.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// Records, one per line, or as JSON over several; they go through the same normalization as live.
        #[arg(long)]
        events: Option<PathBuf>,
        /// For how long nothing comes after the last record, such as `15m`: what is due by then is judged.
        #[arg(long, value_parser = read_span, requires = "events", default_value = "0s")]
        silence: Duration,
        /// How to print what was found.
        #[arg(long, value_enum, default_value_t = Format::Ndjson)]
        format: Format,
    },
    /// Say why a rule matches an event, or why not; exit code 1 when it does not.
    Explain(Box<Explained>),
    /// Run rule files over the stored events of a server: alerts a day, groups, difference to the version in use.
    Backtest(Box<backtest::Arguments>),
    /// Make rules of those of other products; exit code 1 when one of them was not converted.
    Import(import::Arguments),
}

/// Where the event to be explained is.
#[derive(Debug, clap::Args)]
struct Explained {
    /// The rule's id or name.
    rule: String,
    /// The id of a stored event; its record is normalized anew.
    event: Option<String>,
    /// A file of records instead of a stored event.
    #[arg(long, conflicts_with = "event")]
    events: Option<PathBuf>,
    /// Which record of the file, from 1 on.
    #[arg(long, default_value_t = 1, requires = "events")]
    line: usize,
    /// A file or directory of rules; the bundled ones when it is not said.
    #[arg(long)]
    rules: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Ndjson,
    Table,
    Junit,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::Check(asked) => check::run(&asked).await,
        Action::Explain(explained) => explain_event(&explained).await,
        Action::Backtest(asked) => backtest::run(&asked).await,
        Action::Import(asked) => import::run(&asked),
        Action::Test { rules, events, silence, format } => {
            let files = match &rules {
                Some(path) => read_rules(path)?,
                None => bundled_rules(),
            };
            let (rules, problems) = RuleSet::load(&files);
            for problem in &problems {
                let _ = writeln!(std::io::stderr(), "{}", printable(&problem.to_string()));
            }
            let all_passed = match events {
                Some(events) => {
                    let found = test_rules(&rules, &read_events(&events)?, silence);
                    print(&render_matches(&found, format));
                    true
                }
                None => {
                    let normalizer = Normalizer;
                    let tests = run_rule_tests(&rules, &|record| normalize(&normalizer, record));
                    print(&render_tests(&tests, format));
                    tests.iter().all(RuleTest::passed)
                }
            };
            match (problems.is_empty(), all_passed) {
                (true, true) => Ok(()),
                (false, _) => Err(Failure::Bad(anyhow!(
                    "{} in rule files",
                    counted(problems.len(), "problem")
                ))),
                (true, false) => Err(Failure::Bad(anyhow!("tests failed"))),
            }
        }
    }
}

/// Reads a span of time such as `30s`, `5m`, `12h` or `7d`.
fn read_span(text: &str) -> Result<Duration, String> {
    let start = Timestamp::from_secs(0);
    match parse_time(&format!("now-{text}"), start) {
        Ok(back) => Ok(start.since(back)),
        Err(_) => Err(String::from("must be a span of time such as 30s, 5m, 12h or 7d")),
    }
}

async fn explain_event(explained: &Explained) -> Result<(), Failure> {
    let files = match &explained.rules {
        Some(path) => read_rules(path)?,
        None => bundled_rules(),
    };
    let (rules, _) = RuleSet::load(&files);
    let rule = rules.find(&explained.rule);
    let rule = rule.ok_or_else(|| {
        Failure::Usage(anyhow!("there is no rule `{}` that can be loaded", explained.rule))
    })?;
    let event = match (&explained.events, &explained.event) {
        (Some(file), _) => {
            let events = read_events(file)?;
            let event =
                explained.line.checked_sub(1).and_then(|place| events.into_iter().nth(place));
            event
                .ok_or_else(|| Failure::Usage(anyhow!("the file has no line {}", explained.line)))?
        }
        (None, Some(id)) => {
            let client = Client::open(&explained.connection)?;
            let stored = client.get(&format!("/api/v1/events/{id}"), &[]).await?;
            let record = stored["raw"].as_str().unwrap_or_default();
            let source = stored["source"].as_str().unwrap_or_default();
            Normalizer.normalize(record.as_bytes(), &Origin::new(source), SystemClock.now())
        }
        (None, None) => {
            return Err(Failure::Usage(anyhow!("name an event's id, or a file with --events")));
        }
    };
    let reasons = explain(&rules, rule, &event);
    let line = |reason: &Reason| {
        let sign = if reason.holds { "yes" } else { "no " };
        format!("{}{sign} {}\n", "    ".repeat(reason.depth), printable(&reason.text))
    };
    print(&reasons.iter().map(line).collect::<String>());
    if reasons.first().is_some_and(|verdict| verdict.holds) {
        Ok(())
    } else {
        Err(Failure::Bad(anyhow!("the rule does not match")))
    }
}

fn print(text: &str) {
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The rule files at `path`: itself, or all of them below it, in order of their names.
fn read_rules(path: &Path) -> Result<Vec<RuleFile>, Failure> {
    let (files, problems) = read_rule_files(&[path.to_owned()]);
    match problems.first() {
        None => Ok(files),
        Some(problem) => Err(anyhow!("{problem}").into()),
    }
}

/// Every line is a record; an empty one too, so that line numbers and `event_index` agree. Objects of JSON
/// of which the first goes over several lines are a record each.
fn read_events(path: &Path) -> Result<Vec<Event>, Failure> {
    let records =
        std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let normalizer = Normalizer;
    if let Some(objects) = objects_over_lines(&records) {
        return Ok(objects.into_iter().map(|object| normalize(&normalizer, object)).collect());
    }
    let lines = records.strip_suffix(b"\n").unwrap_or(&records).split(|byte| *byte == b'\n');
    Ok(lines.map(|line| normalize(&normalizer, line)).collect())
}

/// The objects of a text that is nothing else, unless its first line is one already.
fn objects_over_lines(text: &[u8]) -> Option<Vec<&[u8]>> {
    let text = text.trim_ascii_start();
    let is_json = |text| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !text.starts_with(b"{") || text.split(|byte| *byte == b'\n').next().is_some_and(is_json) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let (mut objects, mut start) = (Vec::new(), 0);
    while let Some(value) = values.next() {
        value.ok()?;
        objects.push(text[start..values.byte_offset()].trim_ascii());
        start = values.byte_offset();
    }
    Some(objects)
}

fn normalize(normalizer: &Normalizer, record: &[u8]) -> Event {
    let now = SystemClock.now();
    normalizer.normalize(record, &Origin::new("test"), now)
}

/// For JUnit each match is a case that passed: nothing is expected of records that somebody brought.
fn render_matches(matches: &[Match], format: Format) -> String {
    let line = |found: &Match| match format {
        Format::Ndjson => {
            let rule_id = serde_json::Value::from(found.rule_id.as_str());
            format!("{{\"rule_id\":{rule_id},\"event_index\":{}}}\n", found.event_index)
        }
        Format::Table => format!("{:>8}  {}\n", found.event_index, found.rule_id),
        Format::Junit => {
            let rule_id = xml(&found.rule_id);
            format!("<testcase classname=\"{rule_id}\" name=\"event {}\"/>\n", found.event_index)
        }
    };
    let lines: String = matches.iter().map(line).collect();
    if format == Format::Junit { suite(matches.len(), 0, &lines) } else { lines }
}

fn suite(tests: usize, failures: usize, cases: &str) -> String {
    format!(
        "<testsuite name=\"rules\" tests=\"{tests}\" failures=\"{failures}\">\n{cases}</testsuite>\n"
    )
}

fn render_tests(tests: &[RuleTest], format: Format) -> String {
    let line = |test: &RuleTest| match format {
        Format::Ndjson => {
            serde_json::json!({ "rule_id": test.rule_id, "test": test.name, "passed": test.passed(),
                "expected": test.expected, "found": test.found })
            .to_string()
                + "\n"
        }
        Format::Table => {
            let verdict = if test.passed() { "passed" } else { "FAILED" };
            let text = format!(
                "{verdict}  {}: {} (expected {}, found {})",
                test.rule_id, test.name, test.expected, test.found
            );
            printable(&text).into_owned() + "\n"
        }
        Format::Junit => {
            let failure = if test.passed() {
                String::new()
            } else {
                format!("<failure message=\"expected {}, found {}\"/>", test.expected, test.found)
            };
            format!(
                "<testcase classname=\"{}\" name=\"{}\">{failure}</testcase>\n",
                xml(&test.rule_id),
                xml(&test.name)
            )
        }
    };
    let lines: String = tests.iter().map(line).collect();
    let failed = tests.iter().filter(|test| !test.passed()).count();
    match format {
        Format::Ndjson => lines,
        Format::Table => format!("{lines}{} passed, {failed} failed\n", tests.len() - failed),
        Format::Junit => suite(tests.len(), failed, &lines),
    }
}

fn xml(text: &str) -> String {
    let escaped =
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    escaped.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_one_line_of_json() {
        let found = [Match { rule_id: "a\"b".to_owned(), event_index: 7 }];
        let text = render_matches(&found, Format::Ndjson);
        assert_eq!(text, "{\"rule_id\":\"a\\\"b\",\"event_index\":7}\n");
        assert_eq!(
            render_matches(&found, Format::Junit),
            "<testsuite name=\"rules\" tests=\"1\" failures=\"0\">\n\
             <testcase classname=\"a&quot;b\" name=\"event 7\"/>\n</testsuite>\n"
        );
    }
}
