//! What each fuzz target does with its bytes, by the target's name.
//!
//! Input: the name of a target and bytes a fuzzer made up. Output: none: a panic, a hang or too much memory is the
//! finding. Names and first inputs stand in [`TARGETS`]; each has a file in `fuzz_targets`.

mod doors;
mod targets;

use std::path::PathBuf;

use doors::Node;
use logwarden_event::Timestamp;
use logwarden_ingest::{Normalizer, Origin, fuzzing};
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
        kind => NODE.with_borrow_mut(|node| {
            if node.as_ref().is_none_or(Node::is_worn) {
                *node = Some(Node::new());
            }
            node.as_mut().expect("made above").take(kind, bytes);
        }),
    }
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
