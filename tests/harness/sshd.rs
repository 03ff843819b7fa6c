//! Lines of sshd under attack, of a real host or made up from a seed, and the truth about them.
//!
//! The truth is read off the lines by the plainest means, so that it shares no code and no mistake
//! with the program under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use logwarden_event::Timestamp;

use super::programs::repository;

/// A real host's lines, where the folder beside the repository has them: the OpenSSH sample of
/// Loghub (Zhu et al., "Loghub", ISSRE 2023).
const REAL_LINES: &str = "../shared/data/logs/OpenSSH_2k.log";
/// `Dec 10 06:55:46`.
const TIME_CHARS: usize = 15;
/// Lines to make up where there are no real ones, at least.
const MADE_UP_LINES: usize = 2_000;

/// A line and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When, to the second, as the line says it.
    pub(crate) at: Timestamp,
    /// The whole line.
    pub(crate) text: String,
}

/// A failed attempt, as a person reads it off a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Failure {
    /// From which address.
    pub(crate) address: String,
    /// From which of its ports.
    pub(crate) port: u64,
    /// As whom.
    pub(crate) user: String,
    /// The process of sshd.
    pub(crate) pid: u64,
}

impl Line {
    fn new(at: Timestamp, rest: &str) -> Self {
        Self { at, text: format!("{}{rest}", at.to_datetime().format("%b %e %H:%M:%S")) }
    }

    /// A line of sshd on `bastion-1`.
    pub(crate) fn of_sshd(at: Timestamp, pid: u64, message: &str) -> Self {
        Self::new(at, &format!(" bastion-1 sshd[{pid}]: {message}"))
    }

    /// The failed attempt it speaks of.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let (head, message) = self.text.split_once("]: ")?;
        let pid = head.rsplit_once('[')?.1.parse().ok()?;
        let attempt = match message.split_once(" times: [ ") {
            Some((_, repeated)) => repeated,
            None => message,
        };
        let (before, after) = attempt.strip_prefix("Failed ")?.rsplit_once(" from ")?;
        let user = before.split_once(" for ")?.1;
        let user = user.strip_prefix("invalid user ").unwrap_or(user).to_owned();
        let mut words = after.split(' ');
        let address = words.next()?.to_owned();
        let port = words.nth(1)?.parse().ok()?;
        Some(Failure { address, port, user, pid })
    }
}

/// The lines of an attacked host, the last of them at `now`, and where they are from.
pub(crate) fn attacked_host(now: Timestamp) -> (Vec<Line>, &'static str) {
    match fs::read_to_string(repository().join(REAL_LINES)) {
        Ok(text) => (moved(&text, now), "real lines"),
        Err(_) => (made_up(7, now), "made-up lines"),
    }
}

/// Addresses with at least `least` failures within `window`, both ends of it included.
pub(crate) fn spikes(lines: &[Line], least: usize, window: Duration) -> BTreeSet<String> {
    let mut by_address: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for line in lines {
        if let Some(failure) = line.failure() {
            by_address.entry(failure.address).or_default().push(line.at);
        }
    }
    let is_spike = |times: &Vec<Timestamp>| {
        times.windows(least).any(|run| run[least - 1].since(run[0]) <= window)
    };
    by_address
        .into_iter()
        .filter(|(_, times)| is_spike(times))
        .map(|(address, _)| address)
        .collect()
}

/// The address with the most failures.
pub(crate) fn busiest(lines: &[Line]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for failure in lines.iter().filter_map(Line::failure) {
        *counts.entry(failure.address).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).expect("there are failures").0
}

/// The lines of a file with all times moved by the same span, so that the last is at `now`.
fn moved(text: &str, now: Timestamp) -> Vec<Line> {
    let lines: Vec<&str> = text.lines().filter(|line| line.len() > TIME_CHARS).collect();
    let last = second_of(lines.last().expect("there are lines"));
    let at = |line: &str| Timestamp::from_secs(now.secs() - (last - second_of(line)));
    lines.into_iter().map(|line| Line::new(at(line), &line[TIME_CHARS..])).collect()
}

/// The second of its month at which a line was written.
fn second_of(line: &str) -> i64 {
    let numbers = line[4..TIME_CHARS].split([' ', ':']).filter(|part| !part.is_empty());
    let parts: Vec<i64> = numbers.map(|part| part.parse().expect("a number")).collect();
    ((parts[0] * 24 + parts[1]) * 60 + parts[2]) * 60 + parts[3]
}

/// A host that does not exist, and addresses that guess its passwords, some fast and some slowly;
/// decided by `seed`.
fn made_up(seed: u64, now: Timestamp) -> Vec<Line> {
    let mut random = Random(seed);
    let mut lines = Vec::new();
    let mut second = 0;
    while lines.len() < MADE_UP_LINES {
        // Few attackers: so many alerts that they are told of together are another story.
        let number = random.below(20);
        let attacker = format!("198.51.100.{}", 1 + number);
        let is_fast = number < 6;
        // A slow one stays below ten failures in five minutes.
        let (attempts, pause) = if is_fast { (30 + random.below(60), 2) } else { (4, 100) };
        let mut at = second;
        for _ in 0..attempts {
            attempt(&mut random, &attacker, Timestamp::from_secs(at), &mut lines);
            at += pause;
        }
        second += 60;
    }
    lines.sort_by_key(|line: &Line| line.at);
    let late = lines[lines.len() - 1].at.secs() - now.secs();
    let shift = |line: Line| {
        Line::new(Timestamp::from_secs(line.at.secs() - late), &line.text[TIME_CHARS..])
    };
    lines.into_iter().map(shift).collect()
}

/// What sshd writes about one failed attempt.
fn attempt(random: &mut Random, address: &str, at: Timestamp, lines: &mut Vec<Line>) {
    let user = ["root", "admin", "oracle", "test", "git", "backup"][random.below(6) as usize];
    let (pid, port) = (1_000 + random.below(30_000), 32_768 + random.below(28_000));
    let known = if user == "root" { "" } else { "invalid user " };
    if !known.is_empty() {
        lines.push(Line::of_sshd(at, pid, &format!("Invalid user {user} from {address}")));
    }
    let failed = format!("Failed password for {known}{user} from {address} port {port} ssh2");
    lines.push(Line::of_sshd(at, pid, &failed));
    let end = format!("Received disconnect from {address}: 11: Bye Bye [preauth]");
    lines.push(Line::of_sshd(at, pid, &end));
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Both hosts are attacked in ways that a rule can tell apart.
#[test]
fn some_addresses_attack_and_some_only_fail() {
    let now = Timestamp::from_secs(1_767_225_600);
    for lines in [made_up(7, now), attacked_host(now).0] {
        let attackers = spikes(&lines, 10, Duration::from_secs(300));
        let all: BTreeSet<String> =
            lines.iter().filter_map(Line::failure).map(|failure| failure.address).collect();
        assert!(!attackers.is_empty() && attackers.len() < all.len(), "{attackers:?} of {all:?}");
        assert!(attackers.contains(&busiest(&lines)));
        assert_eq!(lines.last().map(|line| line.at), Some(now));
        assert!(lines.len() >= MADE_UP_LINES);
    }
}
