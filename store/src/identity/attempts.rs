//! Limits on sign-in attempts: per account and address together, per address, and per account
//! from addresses that never signed in to it. Somebody who guesses locks out nobody else.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use logwarden_event::Timestamp;

/// How long a failed attempt counts.
pub(super) const WINDOW: Duration = Duration::from_secs(300);

/// Failures of one account from one address within the window.
const PAIR_FAILURES_MAX: u32 = 10;
/// Failures from one address within the window, whatever the account.
const ADDRESS_FAILURES_MAX: u32 = 100;
/// Failures of one account within the window, from addresses it has never signed in from.
const ACCOUNT_FAILURES_MAX: u32 = 100;
/// Counters kept; above it those whose window is over go, and then all of them.
const COUNTERS_MAX: usize = 100_000;
/// Pairs of account and address that signed in; above it they are forgotten.
const KNOWN_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Pair(String, IpAddr),
    Address(IpAddr),
    Account(String),
}

#[derive(Debug, Default)]
pub(super) struct Attempts {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: HashMap<Key, (Timestamp, u32)>,
    known: HashSet<(String, IpAddr)>,
}

impl Attempts {
    /// Seconds to wait before this attempt is even looked at; `None` when it may go on. The
    /// attempt counts as failed until [`Attempts::succeeded`].
    pub(super) fn begin(&self, account: &str, address: IpAddr, now: Timestamp) -> Option<u64> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.make_room(now);
        let is_known = state.known.contains(&(account.to_owned(), address));
        let keys = [
            (Key::Pair(account.to_owned(), address), PAIR_FAILURES_MAX),
            (Key::Address(address), ADDRESS_FAILURES_MAX),
            (Key::Account(account.to_owned()), ACCOUNT_FAILURES_MAX),
        ];
        // An address the account has signed in from answers for itself alone.
        let counted = if is_known { &keys[..1] } else { &keys[..] };
        for (key, limit) in counted {
            if let Some((since, count)) = state.failures.get(key)
                && now.since(*since) < WINDOW
                && count >= limit
            {
                return Some((WINDOW - now.since(*since)).as_secs().max(1));
            }
        }
        for (key, _) in counted {
            let entry = state.failures.entry(key.clone()).or_insert((now, 0));
            if now.since(entry.0) >= WINDOW || now < entry.0 {
                *entry = (now, 0);
            }
            entry.1 += 1;
        }
        None
    }

    /// Takes back what [`Attempts::begin`] counted.
    pub(super) fn succeeded(&self, account: &str, address: IpAddr) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.failures.remove(&Key::Pair(account.to_owned(), address));
        for key in [Key::Address(address), Key::Account(account.to_owned())] {
            if let Some((_, count)) = state.failures.get_mut(&key) {
                *count = count.saturating_sub(1);
            }
        }
        if state.known.len() >= KNOWN_MAX {
            state.known.clear();
        }
        state.known.insert((account.to_owned(), address));
    }
}

impl State {
    fn make_room(&mut self, now: Timestamp) {
        if self.failures.len() >= COUNTERS_MAX {
            self.failures.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        if self.failures.len() >= COUNTERS_MAX {
            self.failures.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const GOOD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn sixty_bad_tries_lock_out_nobody_else() {
        let attempts = Attempts::default();
        let now = Timestamp::from_secs(1_000);
        let refused = (0..60).filter(|_| attempts.begin("ana", BAD, now).is_some()).count();
        assert_eq!(refused, 50);
        assert_eq!(attempts.begin("ana", GOOD, now), None, "another address");
        assert_eq!(attempts.begin("ben", BAD, now), None, "another account");
        let later = now.saturating_add(WINDOW);
        assert_eq!(attempts.begin("ana", BAD, later), None, "the window is over");
    }

    #[test]
    fn an_address_the_account_knows_is_not_locked_out_by_many_others() {
        let attempts = Attempts::default();
        let now = Timestamp::from_secs(1_000);
        assert_eq!(attempts.begin("ana", GOOD, now), None);
        attempts.succeeded("ana", GOOD);
        for last in 0..=255 {
            attempts.begin("ana", IpAddr::from([10, 9, 9, last]), now);
        }
        assert!(attempts.begin("ana", IpAddr::from([10, 8, 8, 8]), now).is_some());
        assert_eq!(attempts.begin("ana", GOOD, now), None);
    }
}
