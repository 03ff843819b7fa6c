//! Normalizes the lines of a file and prints, per dataset, how many there are; with `--bench`,
//! compares the time with that of a plain parse of the same JSON.
//!
//! `cargo run --release -p logwarden-ingest --example normalize -- FILE [--bench | --classes | --show FILTER]`

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use logwarden_event::{Clock as _, Event, SystemClock};
use logwarden_ingest::{Normalizer, Origin};

const ROUNDS: usize = 20;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = arguments.first() else {
        eprintln!("usage: normalize FILE [--bench | --classes | --show FILTER]");
        return Ok(());
    };
    let bytes = std::fs::read(path)?;
    let records: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .filter(|record| !record.is_empty())
        .collect();
    match arguments.get(1).map(String::as_str) {
        Some("--bench") => bench(&records),
        Some("--classes") => {
            for event in events(&records) {
                println!("{}", event.class().as_str());
            }
        }
        Some("--show") => show(&records, arguments.get(2).map_or("", String::as_str)),
        _ => count(&records),
    }
    Ok(())
}

fn events(records: &[&[u8]]) -> impl Iterator<Item = Event> {
    let origin = Origin::new("file");
    let now = SystemClock.now();
    records.iter().map(move |record| Normalizer.normalize(record, &origin, now))
}

fn count(records: &[&[u8]]) {
    let mut counts = BTreeMap::new();
    for event in events(records) {
        let said = |name| event.value_of(name).map_or("-".to_owned(), |value| value.to_string());
        let key = format!(
            "{} [{}] {} {}",
            event.dataset(),
            event.class().as_str(),
            said("event.action"),
            said("event.outcome"),
        );
        *counts.entry(key).or_insert(0u64) += 1;
    }
    for (key, count) in counts {
        println!("{count:7} {key}");
    }
}

fn show(records: &[&[u8]], wanted: &str) {
    for event in events(records).filter(|event| event.message().contains(wanted)) {
        println!("{} {} {:?}", event.timestamp(), event.severity(), event.message());
        for field in event.fields() {
            println!("    {} {:?} = {}", field.path, field.alias, field.value);
        }
    }
}

fn bench(records: &[&[u8]]) {
    let bytes: usize = records.iter().map(|record| record.len()).sum();
    let per_gb = |seconds: f64| seconds / (bytes as f64 / 1e9) / ROUNDS as f64;
    for _ in 0..3 {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            for event in events(records) {
                black_box(event);
            }
        }
        let ours = started.elapsed().as_secs_f64();
        let started = Instant::now();
        for _ in 0..ROUNDS {
            for record in records {
                black_box(serde_json::from_slice::<serde_json::Value>(record).ok());
            }
        }
        let theirs = started.elapsed().as_secs_f64();
        println!(
            "normalize {:.2} s/GB, serde_json::Value {:.2} s/GB, ratio {:.2}",
            per_gb(ours),
            per_gb(theirs),
            ours / theirs,
        );
    }
}
