//! Our engine and rsigma-eval over the same rules and events: what they differ in, and what each costs.
//!
//! Usage: `logwarden-differential RULES… [--variants N] [--seed N] [--records FILE]`. Prints one JSON
//! object; the first difference of each rule is a line on standard error. Exit code 1 when a rule differs
//! that is not excused (`excuse.rs`). With `--records`: what the rules cost over the lines of a file,
//! beside parsing them.

mod excuse;
mod generator;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use logwarden_alerting::matcher::Matcher;
use logwarden_alerting::{RuleSet, read_rule_files};
use logwarden_event::{Event, Position};
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::{SigmaRule, parse_sigma_directory};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use generator::{Chance, fields_for};
use shape::{Pair, Shape, normalized};

/// Rounds of the timed loops; the best of them counts, as the machine has other work.
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let (mut dirs, mut variants, mut seed, mut records) = (Vec::new(), 6, 1, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context("a value is missing");
        match argument.as_str() {
            "--variants" => variants = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--records" => records = Some(value()?),
            _ => dirs.push(PathBuf::from(argument)),
        }
    }
    anyhow::ensure!(!dirs.is_empty(), "name directories of rules");
    let theirs = their_rules(&dirs)?;
    let mut oracle = Engine::new();
    let refused: BTreeSet<String> = oracle
        .add_rules(&theirs)
        .into_iter()
        .filter_map(|(place, _)| theirs[place].id.clone())
        .collect();
    let (files, unreadable) = read_rule_files(&dirs);
    anyhow::ensure!(unreadable.is_empty(), "rule files cannot be read: {unreadable:?}");
    let (ours, problems) = RuleSet::load(&files);
    let ours = Arc::new(ours);
    if let Some(file) = records {
        println!("{:#}", cost_of_records(&std::fs::read_to_string(file)?, &ours));
        return Ok(());
    }
    let known: BTreeSet<&str> = ours.rules().iter().map(|rule| rule.id.as_str()).collect();
    let both = |id: &str| known.contains(id) && !refused.contains(id);

    let pairs = pairs(&theirs, variants, seed);
    let mut matcher = Matcher::new(ours.clone());
    let excused: BTreeMap<String, &str> =
        theirs.iter().filter_map(|rule| Some((rule.id.clone()?, excuse::of(rule)?))).collect();
    let mut by_excuse: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut matches, mut differences) = (0usize, 0usize);
    let mut by_rule: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for pair in &pairs {
        let own: BTreeSet<String> =
            our_matches(&mut matcher, &ours, pair).into_iter().filter(|id| both(id)).collect();
        let other: BTreeSet<String> =
            their_matches(&oracle, pair).into_iter().filter(|id| both(id)).collect();
        matches += own.len();
        for (id, whose) in own
            .difference(&other)
            .map(|id| (id, "only ours"))
            .chain(other.difference(&own).map(|id| (id, "only theirs")))
        {
            if let Some(excuse) = excused.get(id) {
                *by_excuse.entry(excuse).or_default() += 1;
                continue;
            }
            differences += 1;
            let count = by_rule.entry((id.clone(), whose)).or_default();
            *count += 1;
            if *count == 1 {
                eprintln!("{whose} {id} {:?}: {}", pair.shape, pair.record);
            }
        }
    }
    let report = json!({
        "rules": ours.rules().len(), "refused_by_us": problems.len(),
        "refused_by_them": refused.len(), "events": pairs.len(), "matches": matches,
        "differences": differences, "rules_that_differ": by_rule.len(), "excused": by_excuse,
        "cpu": costs(&pairs, &ours, &oracle),
    });
    println!("{report:#}");
    std::process::exit(i32::from(differences > 0));
}

/// Both stages over the lines of a file, and parsing them, in microseconds a line. Both stages are
/// charged for the second half: the first brings all classes, whose indexes are made then.
fn cost_of_records(records: &str, rules: &Arc<RuleSet>) -> Value {
    let mut events: Vec<Event> = records.lines().map(normalized).collect();
    for (event, seq) in events.iter_mut().zip(1..) {
        // As if each was received the moment it happened.
        event.stamp(Position { lane: 0, seq }, event.timestamp());
    }
    let lines = events.len() as f64;
    let micros = |secs: f64| secs / lines * 1e6;
    let cost = |look: &mut dyn FnMut()| {
        let round = |_: usize| {
            let before = cpu_secs();
            look();
            cpu_secs() - before
        };
        (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
    };
    let parse = cost(&mut || {
        records.lines().for_each(|line| {
            std::hint::black_box(normalized(line));
        });
    });
    let mut matcher = Matcher::new(rules.clone());
    let mut hits = Vec::new();
    let matching = cost(&mut || {
        for event in &events {
            hits.clear();
            matcher.match_event(event, &mut hits);
        }
    });
    let (first, second) = events.split_at(events.len() / 2);
    let round = |_: usize| {
        let mut engine = logwarden_alerting::engine::Engine::new(rules.clone());
        first.iter().for_each(|event| drop(engine.process(event)));
        let before = cpu_secs();
        second.iter().for_each(|event| drop(std::hint::black_box(engine.process(event))));
        cpu_secs() - before
    };
    let both = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min) / second.len() as f64 * 1e6;
    json!({ "rules": rules.rules().len(), "records": events.len(), "parse_us": micros(parse),
        "match_us": micros(matching), "match_and_windows_us": both,
        "rules_to_parse": both / micros(parse) })
}

fn their_rules(dirs: &[PathBuf]) -> anyhow::Result<Vec<SigmaRule>> {
    let mut rules = Vec::new();
    for dir in dirs {
        let collection = parse_sigma_directory(dir).map_err(|error| anyhow::anyhow!("{error}"))?;
        rules.extend(collection.rules);
    }
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rules)
}

fn pairs(rules: &[SigmaRule], variants: u64, seed: u64) -> Vec<Pair> {
    let mut chance = Chance::new(seed);
    let mut pairs = Vec::new();
    for rule in rules {
        for variant in 0..variants {
            let fields = fields_for(rule, &mut chance);
            let shape = [Shape::Flat, Shape::Raw, Shape::Ecs][variant as usize % 3];
            let made = Pair::made(rule, &fields, shape);
            pairs.extend(made.or_else(|| Pair::made(rule, &fields, Shape::Flat)));
        }
    }
    pairs
}

fn our_matches(matcher: &mut Matcher, rules: &RuleSet, pair: &Pair) -> Vec<String> {
    let mut hits = Vec::new();
    matcher.match_event(&pair.event, &mut hits);
    hits.into_iter().map(|place| rules.rules()[place].id.clone()).collect()
}

fn their_matches(oracle: &Engine, pair: &Pair) -> Vec<String> {
    let event = JsonEvent::borrow(&pair.flat);
    pair.logsources
        .iter()
        .flat_map(|source| oracle.evaluate_with_logsource(&event, source))
        .filter_map(|found| found.header.rule_id)
        .collect()
}

fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The best of several rounds, in microseconds per event.
fn best(pairs: &[Pair], mut look: impl FnMut(&Pair)) -> f64 {
    let round = |_: usize| {
        let before = cpu_secs();
        pairs.iter().for_each(&mut look);
        cpu_secs() - before
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min) / pairs.len() as f64 * 1e6
}

fn costs(pairs: &[Pair], ours: &Arc<RuleSet>, oracle: &Engine) -> Value {
    let mut matcher = Matcher::new(ours.clone());
    let mut hits = Vec::new();
    let own = best(pairs, |pair| {
        hits.clear();
        matcher.match_event(&pair.event, &mut hits);
    });
    let other = best(pairs, |pair| {
        std::hint::black_box(their_matches(oracle, pair));
    });
    let parse = best(pairs, |pair| {
        std::hint::black_box(normalized(&pair.record));
    });
    let json = best(pairs, |pair| {
        std::hint::black_box(serde_json::from_str::<Value>(&pair.record).ok());
    });
    json!({ "our_us_per_event": own, "their_us_per_event": other, "times_faster": other / own,
        "our_normalization_us": parse, "serde_json_value_us": json })
}
