//! Rules over generated events, in this process and on one thread: what they cost beside parsing,
//! and whether they find exactly the attacks that were planted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use logwarden_alerting::engine::{Engine, Found};
use logwarden_alerting::{RuleSet, bundled_rules, read_rule_files};
use logwarden_event::{Position, Timestamp};
use rustix::time::ClockId;
use serde_json::{Value, json};

use super::floors::{cpu_secs, parse};
use super::generator::{Approach, Generator, Plan, Plants};
use super::load::BATCH_EVENTS;
use super::progress::Progress;

const SPIKE: &str = "failed_login_spike";
const SPRAY: &str = "password_spray";
const TAKE_OVER: &str = "login_after_failures";
const ADMINISTRATOR: &str = "admin_group_member_added";

/// Detections by rule and group; those of users made administrators by rule alone, because the host
/// they happen on is left to chance.
type Detections = BTreeMap<(String, String), u64>;

/// Runs the bundled rules and those in `rule_dirs` over a plan. Answers the figures, and what was
/// found that should not have been or the other way round.
pub(super) fn measure(plan: Plan, rule_dirs: &[PathBuf]) -> anyhow::Result<(Value, Vec<String>)> {
    let mut files = bundled_rules();
    let (own, unreadable) = read_rule_files(rule_dirs);
    anyhow::ensure!(unreadable.is_empty(), "rule files cannot be read: {unreadable:?}");
    files.extend(own);
    let before = cpu_secs(ClockId::ThreadCPUTime);
    let (rules, problems) = RuleSet::load(&files);
    let load_secs = cpu_secs(ClockId::ThreadCPUTime) - before;
    let rules = Arc::new(rules);
    let (mut engine, mut generator) = (Engine::new(Arc::clone(&rules)), Generator::new(plan));
    let mut found = Detections::new();
    let (mut parse_secs, mut rules_secs, mut events) = (0.0, 0.0, 0u64);
    let mut first_batch_secs = None;
    let progress = Progress::new("detect", plan.events);
    loop {
        let (lines, at) = next_batch(&mut generator);
        let Some(at) = at else { break };
        let before = cpu_secs(ClockId::ThreadCPUTime);
        let mut batch = parse(lines.as_bytes(), at);
        parse_secs += cpu_secs(ClockId::ThreadCPUTime) - before;
        for event in &mut batch {
            events += 1;
            // As if each was received the moment it happened.
            event.stamp(Position { lane: 0, seq: events }, event.timestamp());
        }
        let before = cpu_secs(ClockId::ThreadCPUTime);
        for event in &batch {
            for finding in engine.process(event).found {
                if let Found::Began { .. } = finding.what {
                    note(&mut found, rules.rules()[finding.rule].short_name(), &finding.group);
                }
            }
        }
        engine.expire(at);
        let spent = cpu_secs(ClockId::ThreadCPUTime) - before;
        // The first batch brings every class, and for each class its index is made.
        match first_batch_secs {
            None => first_batch_secs = Some(spent),
            Some(_) => rules_secs += spent,
        }
        progress.set(events);
    }
    let (_, plants) = generator.finish();
    let detections: u64 = found.values().sum();
    let parse_us = parse_secs / events as f64 * 1e6;
    let rules_us = rules_secs / events.saturating_sub(BATCH_EVENTS as u64) as f64 * 1e6;
    let figures = json!({
        "events": events, "rules": rules.rules().len(), "rule_problems": problems.len(),
        "load_secs": load_secs, "first_batch_secs": first_batch_secs, "detections": detections,
        "parse_us_per_event": parse_us, "rules_us_per_event": rules_us,
        "rules_to_parse": rules_us / parse_us, "rules_events_per_sec": 1e6 / rules_us,
    });
    Ok((figures, differences(&found, &expected(&plants))))
}

fn next_batch(generator: &mut Generator) -> (String, Option<Timestamp>) {
    let (mut lines, mut last) = (String::with_capacity(BATCH_EVENTS * 600), None);
    for _ in 0..BATCH_EVENTS {
        match generator.write_next(&mut lines) {
            Some(at) => last = Some(at),
            None => break,
        }
    }
    (lines, last)
}

fn note(found: &mut Detections, rule: &str, group: &[(String, String)]) {
    if ![SPIKE, SPRAY, TAKE_OVER, ADMINISTRATOR].contains(&rule) {
        return;
    }
    let values: Vec<&str> = group.iter().map(|(_, value)| value.as_str()).collect();
    let group = if rule == ADMINISTRATOR { String::new() } else { values.join(" ") };
    *found.entry((rule.to_owned(), group)).or_default() += 1;
}

fn expected(plants: &Plants) -> Detections {
    let mut expected = Detections::new();
    for attack in &plants.attacks {
        let more = match attack.approach {
            Approach::Guess => None,
            Approach::Spray => Some(SPRAY),
            Approach::TakeOver => Some(TAKE_OVER),
        };
        for rule in [SPIKE].into_iter().chain(more) {
            expected.insert((rule.to_owned(), attack.from.to_string()), 1);
        }
    }
    expected.insert((ADMINISTRATOR.to_owned(), String::new()), plants.administrators as u64);
    expected
}

fn differences(found: &Detections, expected: &Detections) -> Vec<String> {
    let counts = |detections: &Detections, key| detections.get(key).copied().unwrap_or_default();
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    keys.into_iter()
        .filter(|key| counts(found, key) != counts(expected, key))
        .map(|key| {
            let (rule, group) = key;
            let (found, expected) = (counts(found, key), counts(expected, key));
            format!("{rule} {group}: {found} detections instead of {expected}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::generator::EVENTS_MIN;

    #[test]
    fn the_bundled_rules_find_exactly_what_was_planted() {
        for (seed, hours) in [(1, 24), (2, 2)] {
            let span = Duration::from_secs(hours * 3_600);
            let (figures, wrong) =
                measure(Plan { events: EVENTS_MIN, span, seed }, &[]).expect("it runs");
            assert_eq!(wrong, Vec::<String>::new(), "seed {seed}: {figures}");
        }
    }
}
