//! How long it takes from an event to its alert.
//!
//! In: what the newest alerts of a day took, as their rows keep it. Out: what half of them and 99 of 100 took at
//! most. An alert that had to wait, or was found in what is stored, says nothing of how fast we are: it is counted apart.

use std::time::Duration;

use serde::Deserialize;

use logwarden_store::Statement;

use super::tables::{Columns, instant, integer, rows};
use crate::Alerting;
use crate::error::AlertingError;

/// How old the alerts may be.
const SPAN: Duration = Duration::from_secs(86_400);
/// The newest of them that are looked at.
const ALERTS_MAX: i64 = 1_000;

/// What alerts took, each from our receiving the event that fired to the transaction that made it an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertLatency {
    /// Alerts that opened with an event that had just come; of the last 24 hours, at most the newest 1,000 are
    /// looked at.
    pub alerts: u64,
    /// Those of them that did not: their rule waits until no event can come any more, or they were found in what
    /// is stored, for a rule that was edited or an event that came late.
    pub waited: u64,
    /// What half of them took at most, in milliseconds; `None` without an alert.
    pub p50_ms: Option<i64>,
    /// What 99 of 100 of them took at most, in milliseconds; `None` without an alert.
    pub p99_ms: Option<i64>,
}

/// The parts of an alert's body that are read.
#[derive(Deserialize)]
struct Took {
    evaluated_ms: Option<i64>,
    #[serde(default)]
    waited: bool,
}

impl Alerting {
    /// What the alerts of the last 24 hours took.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Catalog`].
    pub async fn alert_latency(&self) -> Result<AlertLatency, AlertingError> {
        let since = self.shared.store.clock.now().saturating_sub(SPAN);
        let statement = Statement {
            sql: "SELECT body FROM alerting_alerts WHERE opened_ns > ?1 ORDER BY opened_ns DESC LIMIT ?2",
            values: vec![instant(since), integer(ALERTS_MAX)],
        };
        let answers = self.shared.store.catalog.query(vec![statement]).await?;
        let mut took_ms = Vec::new();
        let mut waited = 0;
        for row in rows(&answers, 0) {
            let took: Took = Columns::of(row).json()?;
            if took.waited {
                waited += 1;
            } else {
                took_ms.extend(took.evaluated_ms);
            }
        }
        Ok(AlertLatency { waited, ..of_all(took_ms) })
    }
}

/// The figures of what each took.
fn of_all(mut took_ms: Vec<i64>) -> AlertLatency {
    took_ms.sort_unstable();
    let at_most = |percent: usize| {
        let place = (took_ms.len() * percent).div_ceil(100);
        took_ms.get(place.saturating_sub(1)).copied()
    };
    AlertLatency {
        alerts: took_ms.len() as u64,
        p50_ms: at_most(50),
        p99_ms: at_most(99),
        ..AlertLatency::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_of_a_hundred_are_at_most_the_p99() {
        let check = |took_ms: Vec<i64>, p50_ms, p99_ms| {
            let figures = of_all(took_ms);
            assert_eq!((figures.p50_ms, figures.p99_ms), (p50_ms, p99_ms));
        };
        check(vec![], None, None);
        check(vec![7], Some(7), Some(7));
        check(vec![30, 10, 20], Some(20), Some(30));
        check((1..=100).rev().collect(), Some(50), Some(99));
        check((1..=200).collect(), Some(100), Some(198));
    }
}
