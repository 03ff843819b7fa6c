//! Asks a server that settled: every class of queries warm and cold, each answer checked.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::answers::check;
use super::load::percentile;
use super::progress::Progress;
use super::questions::{Class, Question};
use super::subject::Subject;

/// How often each class is asked, at most and at least.
const RUNS: (usize, usize) = (40, 8);
/// A class that took so long is asked no more often than it must be.
const CLASS_TIME_MAX: Duration = Duration::from_secs(20);
/// Wrong answers of one class that are told.
const WRONG_TOLD: usize = 2;
/// Writing a 3 here empties the page cache (`man 5 proc`, root only).
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Figures of each class, and what was wrong.
pub(super) struct Measured {
    /// In the order of the classes.
    pub(super) figures: Vec<Value>,
    /// Wrong answers with their queries, the first of each class.
    pub(super) wrong: Vec<String>,
}

/// Asks each class's questions in turn, then, with an empty page cache, one that was not asked yet.
pub(super) async fn measure(subject: &Subject, classes: &[Class]) -> anyhow::Result<Measured> {
    let progress = Progress::new("search", classes.len() as u64);
    let mut measured = Measured { figures: Vec::new(), wrong: Vec::new() };
    for class in classes {
        let figure = warm(subject, class, &mut measured.wrong).await?;
        measured.figures.push(figure);
        progress.add(1);
    }
    let can_drop = drop_page_cache().is_ok();
    let progress = Progress::new("cold", classes.len() as u64);
    for (class, figure) in classes.iter().zip(&mut measured.figures) {
        figure["cold_ms"] = if can_drop {
            drop_page_cache()?;
            let (_, took) = put(subject, class, reserved(class), &mut measured.wrong).await?;
            json!(took.as_secs_f64() * 1e3)
        } else {
            json!("not measured: only root can empty the page cache")
        };
        progress.add(1);
    }
    Ok(measured)
}

/// Stops the server, empties the page cache where that is allowed, and starts it again: what the
/// first needle costs then.
pub(super) async fn measure_restart(
    subject: &mut Subject,
    classes: &[Class],
) -> anyhow::Result<Value> {
    let needles = classes.iter().find(|class| class.name == "needle present");
    let needles = needles.context("there are needles")?;
    // Not the one that is reserved, and none that was asked.
    let question = &needles.questions[RUNS.0.min(needles.questions.len() - 1) - 1];
    let stop_secs = subject.stop().await?;
    let is_cold = drop_page_cache().is_ok();
    let start_secs = subject.start_again().await?;
    let (_, took) = subject.ask(question.path, &question.params).await?;
    Ok(json!({ "stop_secs": stop_secs, "start_secs": start_secs, "page_cache_was_empty": is_cold,
        "first_needle_ms": took.as_secs_f64() * 1e3 }))
}

async fn warm(subject: &Subject, class: &Class, wrong: &mut Vec<String>) -> anyhow::Result<Value> {
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let asked = &class.questions[..class.questions.len() - 1];
    for question in asked.iter().cycle().take(RUNS.0) {
        if begun.elapsed() > CLASS_TIME_MAX && seen.len() >= RUNS.1 {
            break;
        }
        let (answer, took) = put(subject, class, question, wrong).await?;
        seen.push(took.as_secs_f64() * 1e3);
        told.extend(answer["took_ms"].as_f64());
    }
    let mut figure = json!({
        "class": class.name, "runs": seen.len(), "example": asked[0].params[0].1,
        "p50_ms": percentile(&mut seen, 50), "p95_ms": percentile(&mut seen, 95),
    });
    if !told.is_empty() {
        figure["took_p50_ms"] = json!(percentile(&mut told, 50));
        figure["took_p95_ms"] = json!(percentile(&mut told, 95));
    }
    Ok(figure)
}

/// The question of a class that is asked last.
fn reserved(class: &Class) -> &Question {
    &class.questions[class.questions.len() - 1]
}

async fn put(
    subject: &Subject,
    class: &Class,
    question: &Question,
    wrong: &mut Vec<String>,
) -> anyhow::Result<(Value, Duration)> {
    let (answer, took) = subject.ask(question.path, &question.params).await?;
    if let Err(difference) = check(&answer, &question.expected) {
        let known =
            wrong.iter().filter(|text| text.starts_with(&format!("{}: ", class.name))).count();
        if known < WRONG_TOLD {
            wrong.push(format!("{}: {:?}: {difference}", class.name, question.params));
        }
    }
    Ok((answer, took))
}

fn drop_page_cache() -> std::io::Result<()> {
    rustix::fs::sync();
    std::fs::write(DROP_CACHES, "3")
}
