//! What the generator knows about what it wrote, so that every answer can be checked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::Ipv4Addr;

use logwarden_event::Timestamp;

use super::population::{USERS, user_name};
use super::records::{DURATION_US_MAX, Facts, SERVICE_COUNT, WORDS, Who};

/// Events that "the latest" are asked for.
pub(super) const LATEST: usize = 100;
const STATUSES: usize = 600;
const MINUTE_NANOS: i64 = 60_000_000_000;

/// Events per minute of the generated span.
pub(super) type Minutes = Vec<u64>;

/// A word that was planted, where it stands and how often.
#[derive(Debug, Clone)]
pub(super) struct Planted {
    /// The word; it stands nowhere else.
    pub(super) word: String,
    /// When the events with it happened, oldest first.
    pub(super) at: Vec<Timestamp>,
}

/// The account of everything that was written.
#[derive(Debug)]
pub(super) struct Truth {
    /// Begin of the generated span, a whole minute.
    pub(super) start: Timestamp,
    /// The first instant after it.
    pub(super) end: Timestamp,
    /// Records.
    pub(super) events: u64,
    /// Their bytes, with the line ends.
    pub(super) raw_bytes: u64,
    /// All events.
    pub(super) minutes: Minutes,
    /// `event.outcome`: failures and successes.
    pub(super) outcomes: [Minutes; 2],
    /// Each of [`WORDS`].
    pub(super) words: Vec<Minutes>,
    /// Each of [`WORDS`] together with failure and success.
    pub(super) words_with_outcome: Vec<[u64; 2]>,
    /// Each of [`WORDS`] together with a status.
    pub(super) words_with_status: Vec<BTreeMap<u16, u64>>,
    /// By `http.response.status_code`.
    pub(super) statuses: Vec<u64>,
    /// By `duration_us`.
    pub(super) durations: Vec<u32>,
    /// Of `http.response.body.bytes`.
    pub(super) body_bytes_sum: u64,
    /// Requests of each service by the last digit of the number in their path.
    pub(super) last_digits: [[u64; 10]; SERVICE_COUNT],
    /// By `source.ip`: all events and failures.
    pub(super) addresses: HashMap<Ipv4Addr, [u64; 2]>,
    /// By `user.name`, those with an account.
    pub(super) users: Vec<u64>,
    /// By `user.name`, the others.
    pub(super) named: BTreeMap<&'static str, u64>,
    /// The newest times of all events, and of failures and successes.
    pub(super) latest: [VecDeque<Timestamp>; 3],
    /// Some `trace.id` with the times of their events.
    pub(super) traces: HashMap<u128, Vec<Timestamp>>,
}

/// The place of all events in [`Truth::latest`].
pub(super) const ALL: usize = 0;

impl Truth {
    /// Nothing was written yet.
    pub(super) fn new(start: Timestamp, end: Timestamp) -> Self {
        let minutes = vec![0; ((end.nanos() - start.nanos()) / MINUTE_NANOS) as usize + 1];
        Self {
            start,
            end,
            events: 0,
            raw_bytes: 0,
            outcomes: [minutes.clone(), minutes.clone()],
            words: vec![minutes.clone(); WORDS.len()],
            words_with_outcome: vec![[0; 2]; WORDS.len()],
            words_with_status: vec![BTreeMap::new(); WORDS.len()],
            statuses: vec![0; STATUSES],
            durations: vec![0; DURATION_US_MAX],
            body_bytes_sum: 0,
            last_digits: [[0; 10]; SERVICE_COUNT],
            addresses: HashMap::new(),
            users: vec![0; USERS],
            named: BTreeMap::new(),
            latest: Default::default(),
            traces: HashMap::new(),
            minutes,
        }
    }

    /// Counts one record. `samples_trace`: its trace is one that will be asked for.
    pub(super) fn count(&mut self, at: Timestamp, facts: &Facts, size: usize, samples_trace: bool) {
        let minute = ((at.nanos() - self.start.nanos()) / MINUTE_NANOS) as usize;
        self.events += 1;
        self.raw_bytes += size as u64;
        self.minutes[minute] += 1;
        keep_latest(&mut self.latest[ALL], at);
        if let Some(succeeded) = facts.succeeded {
            self.outcomes[usize::from(succeeded)][minute] += 1;
            keep_latest(&mut self.latest[1 + usize::from(succeeded)], at);
        }
        for (word, minutes) in self.words.iter_mut().enumerate() {
            if facts.words & 1 << word == 0 {
                continue;
            }
            minutes[minute] += 1;
            if let Some(succeeded) = facts.succeeded {
                self.words_with_outcome[word][usize::from(succeeded)] += 1;
            }
            if let Some(status) = facts.status {
                *self.words_with_status[word].entry(status).or_default() += 1;
            }
        }
        if let Some(status) = facts.status {
            self.statuses[usize::from(status)] += 1;
        }
        if let Some(duration_us) = facts.duration_us {
            self.durations[duration_us as usize] += 1;
        }
        self.body_bytes_sum += facts.body_bytes.unwrap_or_default();
        if let Some((service, digit)) = facts.last_digit {
            self.last_digits[service][digit] += 1;
        }
        if let Some(address) = facts.address {
            let counts = self.addresses.entry(address).or_default();
            counts[0] += 1;
            counts[1] += u64::from(facts.succeeded == Some(false));
        }
        match facts.who {
            Some(Who::User(place)) => self.users[place] += 1,
            Some(Who::Named(name)) => *self.named.entry(name).or_default() += 1,
            None => {}
        }
        if let Some((trace, is_first)) = facts.trace {
            if let Some(times) = self.traces.get_mut(&trace) {
                times.push(at);
            } else if samples_trace && is_first {
                self.traces.insert(trace, vec![at]);
            }
        }
    }

    /// Users with the most events, the busiest first, of all that have a name.
    pub(super) fn busiest_users(&self) -> Vec<(String, u64)> {
        let users = self.users.iter().enumerate().map(|(place, count)| (user_name(place), *count));
        let named = self.named.iter().map(|(name, count)| ((*name).to_owned(), *count));
        ranked(users.chain(named))
    }

    /// Addresses with the most events, or failures, the busiest first.
    pub(super) fn busiest_addresses(&self, only_failures: bool) -> Vec<(String, u64)> {
        let place = usize::from(only_failures);
        ranked(self.addresses.iter().map(|(address, counts)| (address.to_string(), counts[place])))
    }

    /// How many names are in `user.name`.
    pub(super) fn distinct_users(&self) -> u64 {
        self.users.iter().filter(|count| **count > 0).count() as u64 + self.named.len() as u64
    }

    /// The nearest-rank percentile of `duration_us`; zero when no event has one.
    pub(super) fn duration_percentile(&self, percent: u64) -> u64 {
        let total: u64 = self.durations.iter().map(|count| u64::from(*count)).sum();
        let rank = (total * percent).div_ceil(100).max(1);
        let mut sum = 0;
        let place = self.durations.iter().position(|count| {
            sum += u64::from(*count);
            sum >= rank
        });
        place.unwrap_or_default() as u64
    }
}

fn keep_latest(latest: &mut VecDeque<Timestamp>, at: Timestamp) {
    if latest.len() == LATEST {
        latest.pop_front();
    }
    latest.push_back(at);
}

fn ranked(counts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    counts.sort_by(|(left, few), (right, many)| many.cmp(few).then_with(|| left.cmp(right)));
    counts
}
