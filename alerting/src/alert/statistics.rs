//! What the alerts of the last weeks say about the rules that opened them.
//!
//! In: the table of alerts, and how long the rules take. Out: per rule how often it fired and when last, how
//! many of its alerts were false, and what causes most of them if people are told too much.

use std::collections::HashMap;
use std::time::Duration;

use logwarden_event::Timestamp;
use logwarden_store::Statement;

use super::tables::{Columns, instant, integer, rows};
use crate::engine::GroupValues;
use crate::error::AlertingError;
use crate::{Alerting, read};

/// Days of which is said how many alerts there were.
const DAYS: usize = 30;
/// Days that are looked at when a rule is judged.
const WEEK: usize = 7;
const DAY: Duration = Duration::from_secs(86_400);
/// More alerts than a person can read in a day,
const NOISY_PER_DAY: u64 = 24;
/// or more false ones of a hundred resolved,
const NOISY_FALSE_PERCENT: u64 = 50;
/// of at least so many.
const NOISY_RESOLVED_MIN: u64 = 10;
/// Groups named of a noisy rule.
const GROUPS: i64 = 3;

/// What is known of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleStatistics {
    /// Alerts of each of the last 30 days, the oldest first.
    pub per_day: [u64; DAYS],
    /// Alerts of the last seven days.
    pub alerts_of_week: u64,
    /// Those of them that were resolved, and how many of these were false.
    pub resolved_of_week: (u64, u64),
    /// When it opened its last alert.
    pub last_alert_at: Option<Timestamp>,
    /// More than people read, or mostly false.
    pub is_noisy: bool,
    /// The groups with most alerts of the week, of a noisy rule.
    pub groups: Vec<(GroupValues, u64)>,
    /// What 99 of 100 events that came to it took less than.
    pub evaluation_p99: Option<Duration>,
}

impl Alerting {
    /// What is known of each rule, by id; a rule of which nothing is known is not there.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Catalog`].
    pub async fn rule_statistics(&self) -> Result<HashMap<String, RuleStatistics>, AlertingError> {
        let now = self.shared.store.clock.now();
        let mut found: HashMap<String, RuleStatistics> = HashMap::new();
        let answers = self.shared.store.catalog.query(statements(now)).await?;
        for row in rows(&answers, 0) {
            let mut columns = Columns::of(row);
            let known = found.entry(columns.text()?.to_owned()).or_default();
            known.last_alert_at = Some(columns.instant()?);
        }
        for row in rows(&answers, 1) {
            let mut columns = Columns::of(row);
            let known = found.entry(columns.text()?.to_owned()).or_default();
            let (days_ago, count) = (columns.count()?, columns.count()?);
            let day = usize::try_from(days_ago).unwrap_or(DAYS).min(DAYS - 1);
            known.per_day[DAYS - 1 - day] += count;
        }
        for row in rows(&answers, 2) {
            let mut columns = Columns::of(row);
            let known = found.entry(columns.text()?.to_owned()).or_default();
            known.resolved_of_week = (columns.count()?, columns.count()?);
        }
        for known in found.values_mut() {
            known.alerts_of_week = known.per_day[DAYS - WEEK..].iter().sum();
            known.is_noisy = is_noisy(known);
        }
        for row in rows(&answers, 3) {
            let mut columns = Columns::of(row);
            let Some(known) = found.get_mut(columns.text()?).filter(|known| known.is_noisy) else {
                continue;
            };
            known.groups.push((columns.json()?, columns.count()?));
        }
        if let Some((rules, timings)) = &read(&self.shared.status).timings {
            for (rule, timing) in rules.rules().iter().zip(timings.iter()) {
                if let Some(took) = timing.p99() {
                    found.entry(rule.id.clone()).or_default().evaluation_p99 = Some(took);
                }
            }
        }
        Ok(found)
    }
}

fn statements(now: Timestamp) -> Vec<Statement> {
    let days_ago = |days: usize| now.saturating_sub(DAY * u32::try_from(days).unwrap_or(u32::MAX));
    let of = |sql, values| Statement { sql, values };
    vec![
        of("SELECT rule_id, MAX(opened_ns) FROM alerting_alerts GROUP BY rule_id", Vec::new()),
        of(
            "SELECT rule_id, (?2 - opened_ns) / 86400000000000, COUNT(*) FROM alerting_alerts
            WHERE opened_ns > ?1 AND opened_ns <= ?2 GROUP BY 1, 2",
            vec![instant(days_ago(DAYS)), instant(now)],
        ),
        of(
            "SELECT rule_id, COUNT(*), COUNT(CASE WHEN resolution = 'false_positive' THEN 1 END)
            FROM alerting_alerts WHERE opened_ns > ?1 AND state = 'resolved' GROUP BY rule_id",
            vec![instant(days_ago(WEEK))],
        ),
        of(
            "SELECT rule_id, group_key, alerts FROM (
                SELECT rule_id, group_key, COUNT(*) AS alerts,
                    ROW_NUMBER() OVER (PARTITION BY rule_id ORDER BY COUNT(*) DESC, group_key) AS place
                FROM alerting_alerts WHERE opened_ns > ?1 GROUP BY rule_id, group_key) AS ranked
            WHERE place <= ?2 ORDER BY rule_id, place",
            vec![instant(days_ago(WEEK)), integer(GROUPS)],
        ),
    ]
}

fn is_noisy(known: &RuleStatistics) -> bool {
    let (resolved, wrong) = known.resolved_of_week;
    let is_mostly_wrong =
        resolved >= NOISY_RESOLVED_MIN && wrong * 100 > resolved * NOISY_FALSE_PERCENT;
    let is_too_much = known.per_day[DAYS - 1] > NOISY_PER_DAY
        || known.alerts_of_week > NOISY_PER_DAY * WEEK as u64;
    is_mostly_wrong || is_too_much
}

#[cfg(test)]
mod tests {
    use logwarden_store::{Step, Store};

    use super::*;
    use crate::alert::tables::text;

    #[tokio::test]
    async fn a_rule_is_noisy_by_number_or_by_what_people_say_of_it() {
        let (store, _) = Store::simulated(3);
        let alerting =
            Alerting::open(store.clone(), crate::Config::default()).await.expect("opened");
        let now = store.clock.now();
        let insert = |rule: &str, group: &str, days: u32, number: u32, resolution: &str| {
            let at = now.saturating_sub(DAY * days);
            Statement {
                sql: "INSERT INTO alerting_alerts (id, rule_id, rule_name, group_key, title,
                    title_lower, severity, state, resolution, opened_ns, updated_ns,
                    first_event_ns, last_event_ns, detections, events, body, in_journal)
                    VALUES (?1, ?2, ?2, ?3, '', '', 'low', 'resolved', ?5, ?4, ?4, ?4, ?4, 1, 1, '{}', 1)",
                values: vec![
                    text(format!("{rule}-{days}-{number}")),
                    text(rule),
                    text(format!(r#"[["k","{group}"]]"#)),
                    instant(at),
                    text(resolution),
                ],
            }
        };
        let mut statements = Vec::new();
        for number in 0..10 {
            let resolution = if number < 6 { "false_positive" } else { "benign" };
            statements.push(insert("wrong", &format!("g{}", number % 4), 1, number, resolution));
        }
        for number in 0..25 {
            statements.push(insert("loud", "g", 0, number, "true_positive"));
            statements.push(insert("was-loud", "g", 2, number, "true_positive"));
        }
        statements.push(insert("calm", "g", 0, 0, "benign"));
        statements.push(insert("calm", "g", 29, 0, "false_positive"));
        statements.push(insert("calm", "g", 90, 0, "false_positive"));
        store.catalog.step(Step { statements, ..Step::default() }).await.expect("written");

        let found = alerting.rule_statistics().await.expect("read");
        let wrong = &found["wrong"];
        assert!(wrong.is_noisy, "{wrong:?}");
        assert_eq!((wrong.alerts_of_week, wrong.resolved_of_week), (10, (10, 6)));
        assert_eq!(wrong.per_day[DAYS - 2], 10);
        let groups: Vec<u64> = wrong.groups.iter().map(|(_, count)| *count).collect();
        assert_eq!(groups, [3, 3, 2]);
        assert!(found["loud"].is_noisy, "25 in a day");
        assert!(!found["was-loud"].is_noisy, "of a week it is no more than people read");
        let calm = &found["calm"];
        assert!(!calm.is_noisy && calm.groups.is_empty(), "{calm:?}");
        assert_eq!((calm.alerts_of_week, calm.per_day.iter().sum::<u64>()), (1, 2));
        assert_eq!(calm.last_alert_at, Some(now));
    }
}
