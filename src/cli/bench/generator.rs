//! The seeded stream of records: ordinary life, and what was planted in it.
//!
//! Input: how many events, over which time, and a seed. Output: one JSON line per event, strictly
//! later than the one before, and at the end the [`Truth`] about all of them. The same input gives
//! the same bytes on every machine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use logwarden_event::Timestamp;

use super::records::{Facts, Mark, Scene, Who};
use super::truth::{Planted, Truth};
use crate::cli::random::Random;

/// Fewest events in which everything that is planted finds a place.
pub(super) const EVENTS_MIN: u64 = 20_000;
/// The first instant: 2026-01-01. Fixed, so that the same seed gives the same bytes.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);
/// Words planted once each in a message, and as many in a field.
const NEEDLES: usize = 64;
/// Words planted a few times each.
const RARE_WORDS: usize = 48;
/// Parts of a longer word, planted a few times each.
const FRAGMENTS: usize = 48;
const FRAGMENT_COUNT: usize = 7;
/// Traces whose events are counted.
const TRACES: u64 = 64;
const ATTACKS: usize = 12;
const ADMINISTRATORS: usize = 3;

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Events, at least [`EVENTS_MIN`].
    pub(super) events: u64,
    /// Over which time; at least a microsecond for each event.
    pub(super) span: Duration,
    /// Decides what the events say.
    pub(super) seed: u64,
}

/// What one planted event is for.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Needle(usize),
    Label(usize),
    Rare(usize),
    Fragment(usize),
    Administrator,
    Attack { attack: usize, step: u64 },
}

/// How an attacker proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approach {
    /// Guesses the password of one account.
    Guess,
    /// Tries one password on many accounts.
    Spray,
    /// Guesses until it gets in.
    TakeOver,
}

/// An attack that was planted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attack {
    /// Where it comes from; nothing else does.
    pub(super) from: Ipv4Addr,
    /// How it proceeds.
    pub(super) approach: Approach,
    /// Failed sign-ins.
    pub(super) failures: u64,
}

/// What was planted, with the times it is found at.
#[derive(Debug)]
pub(super) struct Plants {
    /// Words in one message each.
    pub(super) needles: Vec<Planted>,
    /// Words in one field each.
    pub(super) labels: Vec<Planted>,
    /// Words in a few messages each.
    pub(super) rare: Vec<Planted>,
    /// Parts of words in paths, followed by two digits and an `x`.
    pub(super) fragments: Vec<Planted>,
    /// Attacks.
    pub(super) attacks: Vec<Attack>,
    /// Users made administrators.
    pub(super) administrators: usize,
}

/// Writes the records of a [`Plan`].
#[derive(Debug)]
pub(super) struct Generator {
    plan: Plan,
    scene: Scene,
    places: BTreeMap<u64, Plant>,
    plants: Plants,
    truth: Truth,
    next: u64,
}

impl Generator {
    /// At the beginning of a plan.
    pub(super) fn new(plan: Plan) -> Self {
        let end = START.saturating_add(plan.span);
        let mut random = Random::new(plan.seed ^ 0x706C_616E_7473);
        let mut words = |count: usize| -> Vec<Planted> {
            let planted = |_| Planted { word: word(&mut random), at: Vec::new() };
            (0..count).map(planted).collect()
        };
        let plants = Plants {
            needles: words(NEEDLES),
            labels: words(NEEDLES),
            rare: words(RARE_WORDS),
            fragments: words(FRAGMENTS),
            attacks: (0..ATTACKS).map(attack).collect(),
            administrators: ADMINISTRATORS,
        };
        let places = places(plan.events, &plants);
        let truth = Truth::new(START, end);
        Self { plan, scene: Scene::new(plan.seed), places, plants, truth, next: 0 }
    }

    /// Appends the next record to `lines`, with its line end; answers when it happens, `None` after
    /// the last.
    pub(super) fn write_next(&mut self, lines: &mut String) -> Option<Timestamp> {
        if self.next == self.plan.events {
            return None;
        }
        let at = self.time_of_next();
        let begin = lines.len();
        let facts = match self.places.get(&self.next).copied() {
            Some(plant) => self.write_planted(plant, at, lines),
            None => self.scene.ordinary(at, lines),
        };
        lines.push('\n');
        // Half the distance between samples: none lies at the very beginning.
        let every = self.plan.events / TRACES;
        let samples_trace = self.truth.traces.len() < (self.next / every) as usize;
        self.truth.count(at, &facts, lines.len() - begin, samples_trace);
        self.next += 1;
        Some(at)
    }

    /// What was written, and what was planted in it.
    pub(super) fn finish(self) -> (Truth, Plants) {
        (self.truth, self.plants)
    }

    /// Each event has its own equal part of the span and happens somewhere in it.
    fn time_of_next(&mut self) -> Timestamp {
        let span_us = self.plan.span.as_micros() as u64;
        let begin = |place: u64| {
            (u128::from(span_us) * u128::from(place) / u128::from(self.plan.events)) as u64
        };
        let (from, to) = (begin(self.next), begin(self.next + 1));
        let offset_us = from + self.scene.random.below((to - from).max(1));
        START.saturating_add(Duration::from_micros(offset_us))
    }

    fn write_planted(&mut self, plant: Plant, at: Timestamp, lines: &mut String) -> Facts {
        let scene = &mut self.scene;
        let who = scene.somebody();
        match plant {
            Plant::Needle(place) => {
                let note = Some(found_at(&mut self.plants.needles[place], at));
                scene.sign_in(at, true, who, Mark { note, label: None }, lines)
            }
            Plant::Rare(place) => {
                let note = Some(found_at(&mut self.plants.rare[place], at));
                scene.sign_in(at, true, who, Mark { note, label: None }, lines)
            }
            Plant::Label(place) => {
                let label = Some(found_at(&mut self.plants.labels[place], at));
                scene.sign_in(at, true, who, Mark { note: None, label }, lines)
            }
            Plant::Fragment(place) => {
                let digits = 10 + scene.random.below(90);
                let part = format!("{}{digits}x", found_at(&mut self.plants.fragments[place], at));
                scene.request(at, Some(&part), lines)
            }
            Plant::Administrator => scene.new_administrator(at, lines),
            Plant::Attack { attack, step } => {
                let Attack { from, approach, failures } = self.plants.attacks[attack];
                let who = match approach {
                    Approach::Spray => Who::User(step as usize * 7 % 900),
                    Approach::Guess | Approach::TakeOver => Who::Named("root"),
                };
                let succeeded = step == failures;
                if approach == Approach::Spray {
                    scene.sign_in(at, succeeded, (who, from), Mark::default(), lines)
                } else {
                    scene.ssh(at, succeeded, (who, from), lines)
                }
            }
        }
    }
}

fn found_at(planted: &mut Planted, at: Timestamp) -> &str {
    planted.at.push(at);
    &planted.word
}

/// Ten letters that begin as no other word does.
fn word(random: &mut Random) -> String {
    let letters = (0..8).map(|_| char::from(b'a' + random.below(26) as u8));
    "zq".chars().chain(letters).collect()
}

fn attack(place: usize) -> Attack {
    let approach = [Approach::Guess, Approach::Spray, Approach::TakeOver][place % 3];
    let from = Ipv4Addr::new(203, 0, 113, 10 + place as u8);
    Attack { from, approach, failures: 30 + 7 * place as u64 }
}

/// Which events are planted: spread over all, the parts of an attack close together.
fn places(events: u64, plants: &Plants) -> BTreeMap<u64, Plant> {
    let mut places = BTreeMap::new();
    let mut put = |wanted: u64, plant: Plant| {
        let mut place = wanted;
        while places.contains_key(&place) {
            place += 1;
        }
        places.insert(place, plant);
        place
    };
    for (attack, planted) in plants.attacks.iter().enumerate() {
        let steps = planted.failures + u64::from(planted.approach == Approach::TakeOver);
        let mut place = events * (2 * attack as u64 + 1) / (2 * ATTACKS as u64);
        for step in 0..steps {
            place = put(place, Plant::Attack { attack, step }) + 2;
        }
    }
    let mut spread = |count: usize, plant: &dyn Fn(usize) -> Plant| {
        for index in 0..count {
            put(events * (2 * index as u64 + 1) / (2 * count as u64 + 1), plant(index));
        }
    };
    spread(plants.needles.len(), &Plant::Needle);
    spread(plants.labels.len(), &Plant::Label);
    spread(plants.administrators, &|_| Plant::Administrator);
    let fragments = plants.fragments.len();
    spread(fragments * FRAGMENT_COUNT, &|index| Plant::Fragment(index % fragments));
    // 5 to 23 of each: the words that come first are the rarest.
    let rare = plants.rare.len();
    for round in 0..23 {
        let begin = if round < 5 { 0 } else { rare * (round - 4) / 19 };
        spread(rare - begin.min(rare), &|index| Plant::Rare(begin + index));
    }
    places
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use logwarden_event::{Event, Value};
    use logwarden_ingest::{Normalizer, Origin};

    use super::*;
    use crate::cli::bench::records::{WORDS, WORDS_IN_MESSAGES};

    const PLAN: Plan = Plan { events: EVENTS_MIN, span: Duration::from_secs(86_400), seed: 7 };

    fn generate(plan: Plan) -> (String, Truth, Plants) {
        let (mut generator, mut lines) = (Generator::new(plan), String::new());
        let mut last = Timestamp::MIN;
        while let Some(at) = generator.write_next(&mut lines) {
            assert!(at > last, "each event is later than the one before");
            last = at;
        }
        let (truth, plants) = generator.finish();
        (lines, truth, plants)
    }

    fn text(event: &Event, field: &str) -> Option<String> {
        event.value_of(field).map(|value| value.to_string())
    }

    fn words_of(text: &str) -> BTreeSet<&str> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        let (lines, truth, _) = generate(PLAN);
        assert_eq!(lines, generate(PLAN).0);
        assert_ne!(lines, generate(Plan { seed: 8, ..PLAN }).0);
        assert_eq!(truth.raw_bytes, lines.len() as u64);
        let average = truth.raw_bytes / truth.events;
        assert!((400..=700).contains(&average), "{average} bytes per event");
    }

    /// What the records say by the normalizer is what the generator says.
    #[test]
    fn the_account_agrees_with_the_normalizer() {
        let (lines, truth, _) = generate(PLAN);
        let mut found = Truth::new(truth.start, truth.end);
        let (mut failures, mut successes, mut users) = (0, 0, BTreeMap::<String, u64>::new());
        for line in lines.lines() {
            let event = Normalizer.normalize(line.as_bytes(), &Origin::new("x"), truth.end);
            let outcome = text(&event, "event.outcome");
            failures += u64::from(outcome.as_deref() == Some("failure"));
            successes += u64::from(outcome.as_deref() == Some("success"));
            if let Some(user) = text(&event, "user.name") {
                *users.entry(user).or_default() += 1;
            }
            let address = text(&event, "source.ip").map(|ip| ip.parse().expect("an address"));
            let number = |field| match event.value_of(field) {
                Some(Value::Integer(number)) => Some(number),
                _ => None,
            };
            let facts = Facts {
                address,
                succeeded: outcome.map(|outcome| outcome == "success"),
                status: number("http.response.status_code").map(|number| number as u16),
                body_bytes: number("http.response.body.bytes").map(|number| number as u64),
                duration_us: number("duration_us").map(|number| number as u32),
                ..Facts::default()
            };
            found.count(event.timestamp(), &facts, line.len() + 1, false);
        }
        assert_eq!(
            truth.outcomes.each_ref().map(|minutes| minutes.iter().sum::<u64>()),
            [failures, successes]
        );
        assert_eq!(truth.busiest_users().into_iter().collect::<BTreeMap<_, _>>(), users);
        assert!(truth.addresses == found.addresses, "addresses differ");
        assert_eq!(truth.statuses, found.statuses);
        assert!(truth.durations == found.durations, "durations differ");
        assert_eq!(truth.body_bytes_sum, found.body_bytes_sum);
        assert_eq!((truth.raw_bytes, truth.minutes), (found.raw_bytes, found.minutes));
        assert_eq!(truth.latest, found.latest);
    }

    #[test]
    fn words_stand_where_the_account_says() {
        let (lines, truth, plants) = generate(PLAN);
        let mut found = [[0u64; 2]; WORDS.len()];
        for line in lines.lines() {
            let event = Normalizer.normalize(line.as_bytes(), &Origin::new("x"), truth.end);
            let message = event.message().to_lowercase();
            let others: String =
                event.fields().map(|field| field.value.to_string() + "\n").collect();
            let others = others.to_lowercase();
            let (message, others) = (words_of(&message), words_of(&others));
            for (word, [in_message, anywhere]) in WORDS.iter().zip(&mut found) {
                *in_message += u64::from(message.contains(word));
                *anywhere += u64::from(message.contains(word) || others.contains(word));
            }
        }
        for (place, [in_message, anywhere]) in found.into_iter().enumerate() {
            let expected: u64 = truth.words[place].iter().sum();
            assert_eq!(anywhere, expected, "{}", WORDS[place]);
            if place < WORDS_IN_MESSAGES {
                assert_eq!(in_message, expected, "{} in messages", WORDS[place]);
            }
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in lines.lines() {
            for word in words_of(line).into_iter().filter(|word| word.contains("zq")) {
                *counts.entry(word).or_default() += 1;
            }
        }
        for planted in plants.needles.iter().chain(&plants.labels).chain(&plants.rare) {
            let count = counts.get(&*planted.word).copied();
            assert_eq!(count, Some(planted.at.len()), "{}", planted.word);
        }
        for planted in &plants.fragments {
            let inside = counts.iter().filter(|(word, _)| word.contains(&planted.word));
            let count: usize = inside.map(|(_, count)| count).sum();
            assert_eq!((count, planted.at.len()), (FRAGMENT_COUNT, FRAGMENT_COUNT));
        }
    }
}
