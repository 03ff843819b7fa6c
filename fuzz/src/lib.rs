//! What each fuzz target does with its bytes, by the target's name.
//!
//! Input: the name of a target and bytes a fuzzer made up. Output: none: a panic, a hang or too much memory is the
//! finding. Names and first inputs stand in [`TARGETS`]; each has a file in `fuzz_targets`.

#[expect(dead_code, reason = "it is the program's own file, of which one function is called here")]
#[path = "../../src/config.rs"]
mod config;
mod doors;
mod targets;

use std::path::PathBuf;

use doors::Node;
use logwarden_alerting::{RuleFile, RuleSet, test_rules};
use logwarden_event::{Event, Timestamp};
use logwarden_ingest::{Normalizer, Origin, fuzzing};
use logwarden_query::parse_query;
pub use targets::{Kind, TARGETS, Target};

/// When everything happens.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

thread_local! {
    static NODE: std::cell::RefCell<Option<Node>> = const { std::cell::RefCell::new(None) };
}

/// Puts the first inputs of a target into the corpus that the process was started with: its first argument that is a
/// folder.
///
/// # Panics
///
/// When there is no such target, or the folder cannot be written.
pub fn seed(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of the list");
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from).filter(|path| path.is_dir());
    let Some(corpus) = folders.next() else { return };
    for (number, seed) in target.seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{number}")), seed).expect("a corpus to write to");
    }
}

/// Gives `bytes` to a target.
///
/// # Panics
///
/// When there is no such target, or when it has found a mistake.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of the list");
    match target.kind {
        Kind::Record { before } => record(before, bytes),
        Kind::Secret => fuzzing::mask(bytes),
        Kind::Query => query(&String::from_utf8_lossy(bytes)),
        Kind::Configuration => {
            // What is no configuration is refused, which is as good an answer as any.
            let text = String::from_utf8_lossy(bytes);
            let _ = config::load_text(&text, None, &config::Overrides::default());
        }
        Kind::Rules => rules(&String::from_utf8_lossy(bytes)),
        kind => NODE.with_borrow_mut(|node| {
            if node.as_ref().is_none_or(Node::is_worn) {
                *node = Some(Node::new());
            }
            node.as_mut().expect("made above").take(kind, bytes);
        }),
    }
}

/// What queries and rules are tried on.
fn event() -> Event {
    let record = br#"{"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx!","n":5,"user":{"name":"alice"},"source":{"ip":"10.0.0.1"},"Image":"/bin/sh","CommandLine":"sh -c a b","event":{"outcome":"failure"},"message":"a b"}"#;
    Normalizer.normalize(record, &Origin::new("fuzz"), NOW)
}

fn query(text: &str) {
    if let Ok(query) = parse_query(text, NOW) {
        std::hint::black_box(query.filter.matches(&event()));
    }
}

fn rules(text: &str) {
    let file = RuleFile { name: String::from("fuzz.yml"), text: text.to_owned() };
    let (rules, problems) = RuleSet::load(&[file]);
    std::hint::black_box((problems, test_rules(&rules, &[event()], std::time::Duration::ZERO)));
}

/// Reads a record twice, the second time with its secrets masked.
fn record(before: &[u8], bytes: &[u8]) {
    let record = [before, bytes].concat();
    let mut origin = Origin::new("fuzz");
    let event = Normalizer.normalize(&record, &origin, NOW);
    assert_eq!(event.raw(), record, "the record is kept as it came");
    origin.mask_secrets = true;
    let masked = Normalizer.normalize(&record, &origin, NOW);
    for event in [event, masked] {
        for field in event.fields() {
            std::hint::black_box(field.value.to_string());
        }
    }
}
