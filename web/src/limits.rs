//! Bounds per principal that hold at this door.
//!
//! How many queries of one principal run at once is the engine's to bound; live tails stand apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use logwarden_store::identity::{Principal, PrincipalKind};

use crate::error::ApiError;
use crate::metrics;

/// Live tails of one principal at the same time; further ones are refused with 429.
const TAILS_PER_PRINCIPAL_MAX: usize = 16;

/// Requests that one principal may make at once; they come back at [`REQUESTS_PER_SEC`].
const REQUESTS_MAX: u32 = 10_000;
/// Far above what a person or a well-meant program needs; a flood stops here.
const REQUESTS_PER_SEC: u32 = 5_000;
/// Principals whose requests are counted; beyond them those who have made none lately are forgotten.
const PRINCIPALS_MAX: usize = 10_000;

/// What is left of a principal's requests.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    since: Instant,
}

type Buckets = Mutex<HashMap<(PrincipalKind, String), Bucket>>;

/// What a principal is told of its rate (draft-ietf-httpapi-ratelimit-headers, version 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Requests left now.
    pub(crate) remaining: u32,
    /// Seconds until all of them are back.
    pub(crate) reset_secs: u32,
}

impl Rate {
    /// Says it in the headers of an answer.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("ratelimit-limit", REQUESTS_MAX),
            ("ratelimit-remaining", self.remaining),
            ("ratelimit-reset", self.reset_secs),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

type Counts = Mutex<HashMap<(PrincipalKind, String), usize>>;

/// Counts what each principal has open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    tails: Arc<Counts>,
    requests: Arc<Buckets>,
}

/// The right to one live tail; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct TailPermit {
    tails: Arc<Counts>,
    principal: (PrincipalKind, String),
}

impl Limits {
    /// Counts a request of a principal; the error carries how long to wait.
    pub(crate) fn request(&self, principal: &Principal) -> Result<Rate, (Rate, ApiError)> {
        self.request_at(principal, Instant::now())
    }

    fn request_at(&self, principal: &Principal, now: Instant) -> Result<Rate, (Rate, ApiError)> {
        let (most, per_sec) = (f64::from(REQUESTS_MAX), f64::from(REQUESTS_PER_SEC));
        let refilled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.since).as_secs_f64();
            (bucket.left + passed * per_sec).min(most)
        };
        let mut buckets = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= PRINCIPALS_MAX {
            buckets.retain(|_, bucket| refilled(bucket) < most);
        }
        let key = (principal.kind, principal.name.clone());
        let left = buckets.get(&key).map_or(most, refilled);
        let is_refused = left < 1.0;
        let left = if is_refused { left } else { left - 1.0 };
        buckets.insert(key, Bucket { left, since: now });
        drop(buckets);
        let whole = |amount: f64| Duration::from_secs_f64(amount.max(0.0)).as_secs();
        let rate = Rate {
            remaining: u32::try_from(whole(left)).unwrap_or(0),
            reset_secs: u32::try_from(whole(((most - left) / per_sec).ceil())).unwrap_or(0),
        };
        if !is_refused {
            return Ok(rate);
        }
        ::metrics::counter!(metrics::REFUSED_BUSY_TOTAL).increment(1);
        let message = format!(
            "more than {REQUESTS_MAX} requests at once; {REQUESTS_PER_SEC} a second come back"
        );
        Err((rate, ApiError::too_many_requests(message, 1)))
    }

    /// Lets a principal open one more live tail.
    pub(crate) fn tail(&self, principal: &Principal) -> Result<TailPermit, ApiError> {
        let principal = (principal.kind, principal.name.clone());
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let open = tails.entry(principal.clone()).or_default();
        if *open >= TAILS_PER_PRINCIPAL_MAX {
            ::metrics::counter!(metrics::REFUSED_BUSY_TOTAL).increment(1);
            let message = format!("{TAILS_PER_PRINCIPAL_MAX} live tails are open already");
            return Err(ApiError::too_many_requests(message, 1));
        }
        *open += 1;
        ::metrics::gauge!(metrics::TAILS_OPEN).increment(1.0);
        Ok(TailPermit { tails: Arc::clone(&self.tails), principal })
    }
}

impl Drop for TailPermit {
    fn drop(&mut self) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = tails.get_mut(&self.principal) {
            *open -= 1;
            if *open == 0 {
                tails.remove(&self.principal);
            }
        }
        ::metrics::gauge!(metrics::TAILS_OPEN).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use logwarden_store::identity::Role;

    use super::*;

    #[test]
    fn a_flood_of_one_principal_is_refused_and_nobody_elses_requests() {
        let principal = |name: &str| Principal::unbound(name, PrincipalKind::Token, Role::Reader);
        let (limits, now) = (Limits::default(), Instant::now());
        let (flood, other) = (principal("flood"), principal("other"));
        let first = limits.request_at(&flood, now).expect("room");
        assert_eq!(first, Rate { remaining: REQUESTS_MAX - 1, reset_secs: 1 });
        for _ in 1..REQUESTS_MAX {
            assert!(limits.request_at(&flood, now).is_ok());
        }
        let (rate, error) = limits.request_at(&flood, now).expect_err("no room");
        assert_eq!((rate.remaining, error.status().as_u16()), (0, 429));
        assert!(limits.request_at(&other, now).is_ok());
        let later = now + Duration::from_millis(10);
        assert_eq!(limits.request_at(&flood, later).expect("room").remaining, 49);
        let mut headers = HeaderMap::new();
        rate.write(&mut headers);
        assert_eq!(headers["ratelimit-limit"], "10000");
    }

    #[test]
    fn tails_of_one_principal_are_bounded_and_given_back() {
        let principal = |kind| Principal::unbound("ana", kind, Role::Reader);
        let limits = Limits::default();
        let user = principal(PrincipalKind::User);
        let mut open: Vec<_> =
            (0..TAILS_PER_PRINCIPAL_MAX).map(|_| limits.tail(&user).expect("room")).collect();
        assert!(limits.tail(&user).is_err());
        assert!(limits.tail(&principal(PrincipalKind::Token)).is_ok());
        open.pop();
        assert!(limits.tail(&user).is_ok());
        drop(open);
        assert!(limits.tails.lock().expect("sound").is_empty());
    }
}
