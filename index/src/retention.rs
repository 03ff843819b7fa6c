//! Retention: which splits are due, and whether it is safe to let them go.
//!
//! Pure: policies, what is held and the present in, a plan out. Age is counted from when an event was
//! received (`observed_at`), never from what its sender claims. A split goes whole, and only when
//! every dataset in it is due; a dataset without a policy holds its splits for ever. Our own records
//! (`logwarden.*`) hold nothing back unless a policy names them: they go with the split they lie in.
//!
//! Before anything goes, [`check`] asks whether a wrong clock or a slip of the pen may be behind it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use logwarden_event::{SplitId, Timestamp};
use serde::{Deserialize, Serialize};

/// Policies at most.
pub const POLICIES_MAX: usize = 1_000;
/// Share of all bytes that one run removes at most, unless somebody confirmed it, in percent.
pub(crate) const SHARE_MAX_PERCENT: u64 = 20;
/// A clock that moved by more than this against its own course is not believed for a while.
pub(crate) const CLOCK_JUMP_MAX: Duration = Duration::from_secs(3_600);
/// How long it is not believed.
pub(crate) const CLOCK_DISTRUST: Duration = Duration::from_secs(24 * 3_600);

const DAY: Duration = Duration::from_secs(86_400);
/// What the datasets of our own records begin with.
const OWN_DATASETS: &str = "logwarden.";

/// How long, and how much of, some datasets are kept; `[[retention]]`. The first that matches a
/// dataset governs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The datasets: a name, with `*` for any letters.
    pub dataset: String,
    /// Days an event is kept after it was received, at least 1. Default: for ever.
    pub keep_days: Option<u32>,
    /// Bytes on disk that all datasets it governs may take together; the oldest go first. Default:
    /// no bound of its own.
    pub bytes_max: Option<u64>,
}

impl Policy {
    /// Says what is wrong with it.
    ///
    /// # Errors
    ///
    /// The reason, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.dataset.is_empty() {
            return Err("`dataset` must name something; `*` means all".to_owned());
        }
        if self.keep_days == Some(0) || self.bytes_max == Some(0) {
            return Err("`keep_days` and `bytes_max` must be at least 1".to_owned());
        }
        if self.keep_days.is_none() && self.bytes_max.is_none() {
            return Err("either `keep_days` or `bytes_max` must be there".to_owned());
        }
        Ok(())
    }
}

/// What retention knows about a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Which.
    pub(crate) id: SplitId,
    /// When the newest of its events was received.
    pub(crate) observed_last: Timestamp,
    /// Bytes of its blob.
    pub(crate) size_bytes: u64,
    /// Events of each dataset; those that are not named one by one under an empty name.
    pub(crate) datasets: BTreeMap<String, u64>,
}

/// A split that goes, with the policies that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: SplitId,
    /// Bytes that become free.
    pub size_bytes: u64,
    /// Events that go.
    pub events: u64,
    /// Of each dataset with a policy: the policy's place and why.
    pub reasons: BTreeMap<String, (usize, Reason)>,
}

/// Why a dataset is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is older than `keep_days`.
    Age,
    /// What is newer takes all of `bytes_max`.
    Size,
}

/// Why nothing goes although something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much at once.
    #[error(
        "{due_bytes} of {held_bytes} bytes are due, more than {SHARE_MAX_PERCENT} % in one run must be confirmed"
    )]
    Share {
        /// Bytes that are due.
        due_bytes: u64,
        /// Bytes of all splits.
        held_bytes: u64,
    },
    /// The clock moved by itself.
    #[error("the clock jumped: nothing is removed before {until} unless it is confirmed")]
    Clock {
        /// When the clock is believed again.
        until: Timestamp,
    },
}

/// The place of the policy that governs a dataset.
fn governing(policies: &[Policy], dataset: &str) -> Option<usize> {
    policies.iter().position(|policy| matches(policy.dataset.as_bytes(), dataset.as_bytes()))
}

/// The splits that are due at `now`, oldest first.
pub(crate) fn plan(policies: &[Policy], holdings: &[Holding], now: Timestamp) -> Vec<Due> {
    let mut newest_first: Vec<&Holding> = holdings.iter().collect();
    newest_first.sort_by_key(|held| Reverse((held.observed_last, held.id)));
    let mut used_bytes = vec![0u64; policies.len()];
    let mut due: Vec<Due> = newest_first
        .into_iter()
        .filter_map(|held| due_of(policies, held, &mut used_bytes, now))
        .collect();
    due.reverse();
    due
}

/// Adds what the split takes to what each policy's datasets use, and says whether all are due.
fn due_of(
    policies: &[Policy],
    held: &Holding,
    used_bytes: &mut [u64],
    now: Timestamp,
) -> Option<Due> {
    let events: u64 = held.datasets.values().sum();
    let governed = held.datasets.iter().map(|(dataset, count)| {
        // The events that are not named one by one may be of any dataset.
        let place = (!dataset.is_empty()).then(|| governing(policies, dataset)).flatten();
        (dataset, *count, place)
    });
    let governed: Vec<_> = governed.collect();
    for (_, count, place) in &governed {
        if let Some(place) = *place {
            let share =
                u128::from(held.size_bytes) * u128::from(*count) / u128::from(events.max(1));
            used_bytes[place] += u64::try_from(share).unwrap_or(u64::MAX);
        }
    }
    let mut reasons = BTreeMap::new();
    for (dataset, _, place) in governed {
        let Some(place) = place else {
            if dataset.starts_with(OWN_DATASETS) {
                continue;
            }
            return None;
        };
        let policy = &policies[place];
        let is_old =
            policy.keep_days.is_some_and(|days| now.since(held.observed_last) > DAY * days);
        let is_much = policy.bytes_max.is_some_and(|bytes_max| used_bytes[place] > bytes_max);
        let reason = match (is_old, is_much) {
            (true, _) => Reason::Age,
            (false, true) => Reason::Size,
            (false, false) => return None,
        };
        reasons.insert(dataset.clone(), (place, reason));
    }
    // A split with nothing but records of our own waits for a policy.
    (!reasons.is_empty()).then_some(Due {
        id: held.id,
        size_bytes: held.size_bytes,
        events,
        reasons,
    })
}

/// Says whether what is due may go without being confirmed.
///
/// # Errors
///
/// [`Refusal`]: nothing may go.
pub(crate) fn check(
    due: &[Due],
    holdings: &[Holding],
    clock: &ClockWatch,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(until) = clock.distrusted_until.filter(|until| now < *until) {
        return Err(Refusal::Clock { until });
    }
    let due_bytes: u64 = due.iter().map(|due| due.size_bytes).sum();
    let held_bytes: u64 = holdings.iter().map(|held| held.size_bytes).sum();
    let is_much =
        u128::from(due_bytes) * 100 > u128::from(held_bytes) * u128::from(SHARE_MAX_PERCENT);
    if is_much { Err(Refusal::Share { due_bytes, held_bytes }) } else { Ok(()) }
}

/// Watches whether the wall clock goes as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockWatch {
    last: Timestamp,
    /// Until when the clock is not believed.
    pub(crate) distrusted_until: Option<Timestamp>,
}

impl ClockWatch {
    /// Goes on from what an earlier process wrote down last. How long nobody watched cannot be told
    /// from a jump, so a long pause counts as one.
    pub(crate) fn resume(
        last: Timestamp,
        distrusted_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let mut watch = Self { last, distrusted_until };
        watch.observe(now, Duration::ZERO);
        watch
    }

    /// Starts at `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { last: now, distrusted_until: None }
    }

    /// Looks at the wall clock, `elapsed` after the last look by a clock that nobody sets.
    pub(crate) fn observe(&mut self, now: Timestamp, elapsed: Duration) {
        let expected = self.last.saturating_add(elapsed);
        let moved = now.since(expected).max(expected.since(now));
        if moved > CLOCK_JUMP_MAX {
            self.distrusted_until = Some(now.saturating_add(CLOCK_DISTRUST));
        }
        self.last = now;
    }
}

/// Whether `name` has the form of `pattern`, where `*` stands for any letters. Never looks back
/// further than to the last `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if pattern.get(at) == Some(&name[read]) {
            (at, read) = (at + 1, read + 1);
        } else if let Some((star_at, star_read)) = star {
            star = Some((star_at, star_read + 1));
            (at, read) = (star_at + 1, star_read + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_DAY: i64 = 1_000;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_secs(number * 86_400)
    }

    /// `sshd.* 90d 500b` and so on, one policy per line.
    fn policies(text: &str) -> Vec<Policy> {
        let policy = |line: &str| {
            let mut words = line.split_whitespace();
            let dataset = words.next().expect("a dataset").to_owned();
            let mut policy = Policy { dataset, keep_days: None, bytes_max: None };
            for word in words {
                match word.split_at(word.len() - 1) {
                    (days, "d") => policy.keep_days = days.parse().ok(),
                    (bytes, _) => policy.bytes_max = bytes.parse().ok(),
                }
            }
            policy
        };
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(policy).collect()
    }

    /// `AGE_DAYS SIZE_BYTES dataset=events …`, one split per line, named by its place.
    fn holdings(text: &str) -> Vec<Holding> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).zip(0..);
        let holding = |(line, place): (&str, u128)| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |word: &str| word.parse::<u64>().expect("a number");
            let datasets = words[2..].iter().map(|word| {
                let (name, count) = word.split_once('=').expect("dataset=events");
                (name.to_owned(), number(count))
            });
            Holding {
                id: SplitId::from_u128(place),
                observed_last: day(NOW_DAY - number(words[0]) as i64),
                size_bytes: number(words[1]),
                datasets: datasets.collect(),
            }
        };
        lines.map(holding).collect()
    }

    /// Places of the splits that are due, oldest first, each with the letters of its reasons.
    fn check_plan(policy_lines: &str, split_lines: &str, expected: &str) {
        let due = plan(&policies(policy_lines), &holdings(split_lines), day(NOW_DAY));
        let text = due.iter().map(|due| {
            let letters = due.reasons.values().map(|(place, reason)| match reason {
                Reason::Age => format!("a{place}"),
                Reason::Size => format!("s{place}"),
            });
            format!("{}:{}", due.id.to_u128(), letters.collect::<Vec<_>>().join(","))
        });
        assert_eq!(text.collect::<Vec<_>>().join(" "), expected, "{policy_lines} / {split_lines}");
    }

    #[test]
    fn a_split_goes_when_its_newest_event_is_older_than_it_is_kept() {
        check_plan("* 90d", "91 10 a=1\n 90 10 a=1\n 1 10 a=1", "0:a0");
        check_plan("* 90d", "100 10 a=1\n 200 10 b=1", "1:a0 0:a0");
    }

    #[test]
    fn the_first_policy_that_matches_governs() {
        check_plan("sshd.* 10d\n * 300d", "20 10 sshd.auth=1\n 20 10 nginx.access=1", "0:a0");
        check_plan("* 300d\n sshd.* 10d", "20 10 sshd.auth=1", "");
    }

    #[test]
    fn a_split_stays_while_one_of_its_datasets_is_kept() {
        check_plan("a 10d\n b 100d", "20 10 a=9 b=1", "");
        check_plan("a 10d\n b 100d", "120 10 a=9 b=1", "0:a0,a1");
        check_plan("a 10d", "20 10 a=9 b=1", "");
        // What is not named one by one may be anything.
        check_plan("* 10d", "20 10 a=9 =1", "");
    }

    #[test]
    fn our_own_records_go_with_their_split_unless_a_policy_names_them() {
        check_plan("a 10d", "20 10 a=9 logwarden.audit=1", "0:a0");
        check_plan("a 10d\n logwarden.* 400d", "20 10 a=9 logwarden.audit=1", "");
        check_plan("a 10d", "20 10 logwarden.audit=1", "");
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        check_plan("* 100b", "3 60 a=1\n 2 60 a=1\n 1 40 a=1", "0:s0");
        // A quarter of the first split's bytes are of `a`.
        check_plan("a 100b\n b 15b", "2 40 a=1 b=3\n 1 95 a=1", "0:s0,s1");
        check_plan("a 105b\n b 15b", "2 40 a=1 b=3\n 1 95 a=1", "");
    }

    #[test]
    fn much_at_once_must_be_confirmed() {
        let held = holdings("100 21 a=1\n 1 79 a=1");
        let due = plan(&policies("* 90d"), &held, day(NOW_DAY));
        let clock = ClockWatch::new(day(NOW_DAY));
        let refused = Err(Refusal::Share { due_bytes: 21, held_bytes: 100 });
        assert_eq!(check(&due, &held, &clock, day(NOW_DAY)), refused);
        let held = holdings("100 20 a=1\n 1 80 a=1");
        let due = plan(&policies("* 90d"), &held, day(NOW_DAY));
        assert_eq!(check(&due, &held, &clock, day(NOW_DAY)), Ok(()));
    }

    #[test]
    fn a_clock_that_jumps_is_not_believed_for_a_day() {
        let mut clock = ClockWatch::new(day(0));
        clock.observe(day(1), Duration::from_secs(86_400));
        assert_eq!(clock.distrusted_until, None);
        clock.observe(day(20_000), Duration::from_secs(60));
        assert_eq!(clock.distrusted_until, Some(day(20_001)));
        let refused = Err(Refusal::Clock { until: day(20_001) });
        assert_eq!(check(&[], &[], &clock, day(20_000)), refused);
        assert_eq!(check(&[], &[], &clock, day(20_001)), Ok(()));
        // Set right again, it jumped once more.
        clock.observe(day(1), Duration::from_secs(60));
        assert_eq!(clock.distrusted_until, Some(day(2)));
        assert_eq!(ClockWatch::resume(day(1), None, day(3)).distrusted_until, Some(day(4)));
    }

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("sshd.*", "sshd.auth", true),
            ("sshd.*", "sshd", false),
            ("*", "", true),
            ("*.auth", "a.auth.auth", true),
            ("a*b*c", "a.b.b.c", true),
            ("a*b*c", "a.c.b", false),
            ("a", "ab", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_policy_says_what_is_wrong_with_it() {
        let wrong = |text| policies(text)[0].check().expect_err("it is wrong");
        assert!(wrong("a").contains("either"));
        assert!(wrong("a 0d").contains("at least 1"));
        assert_eq!(policies("a 1d")[0].check(), Ok(()));
    }
}
