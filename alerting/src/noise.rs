//! Which new alerts are too many to tell people of at once: of one rule in a day, its budget of noise, or by one
//! route in an hour, its ceiling.
//!
//! Input: the new alerts of a step and what the catalog knows of the time before. Output: by alert why it
//! goes to the digest. The alerts exist all the same. There is no state besides alerts and outbox, so a restart
//! changes nothing; people are told at once again when the last 24 hours, or the last one, are within bounds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use logwarden_event::{AlertId, Timestamp};
use logwarden_store::{Catalog, Statement};

use crate::alert::AlertSummary;
use crate::alert::tables::{self, Columns, integer, text};
use crate::error::AlertingError;
use crate::notify::Routing;
use crate::notify::route::Taken;
use crate::rule::{Level, Rule, RuleSet, RuleState};

/// The largest budget a rule can have.
pub(crate) const BUDGET_MAX: u64 = 10_000;
/// How far back what a route told counts.
const HOUR: Duration = Duration::from_secs(3_600);
/// How far back alerts of a rule count.
const SPAN: Duration = Duration::from_secs(86_400);

/// By id of each new alert that is over its rule's budget or its route's ceiling: why it goes to the digest.
///
/// `new`: the alerts of one step with their rules' places, in any order. Critical ones are never over.
///
/// # Errors
///
/// [`AlertingError::Catalog`].
pub(crate) async fn demoted(
    catalog: &dyn Catalog,
    rules: &RuleSet,
    routing: &Routing,
    new: &[(&AlertSummary, usize)],
    now: Timestamp,
) -> Result<HashMap<AlertId, String>, AlertingError> {
    let mut demoted = over_budget(catalog, rules, new, now).await?;
    let mut by_route: BTreeMap<&str, (u64, Vec<AlertId>)> = BTreeMap::new();
    for (summary, place) in new {
        let rule = &rules.rules()[*place];
        let is_counted = rule.level != Level::Critical
            && rule.settings.state != RuleState::Testing
            && !demoted.contains_key(&summary.id);
        let taken = is_counted.then(|| routing.taken(rule, summary, now)).flatten();
        if let Some(Taken { route, per_hour_max: Some(most), digest: None, .. }) = taken {
            let (_, ids) = by_route.entry(route).or_insert((u64::from(most.get()), Vec::new()));
            ids.push(summary.id);
        }
    }
    for (route, (most, mut ids)) in by_route {
        let before = told_since(catalog, route, minus(now, HOUR)).await?;
        ids.sort();
        let room = usize::try_from(most.saturating_sub(before)).unwrap_or(usize::MAX);
        for id in ids.into_iter().skip(room) {
            let words = format!("route `{route}` tells of {most} alerts an hour at most");
            demoted.insert(id, words);
        }
    }
    Ok(demoted)
}

async fn over_budget(
    catalog: &dyn Catalog,
    rules: &RuleSet,
    new: &[(&AlertSummary, usize)],
    now: Timestamp,
) -> Result<HashMap<AlertId, String>, AlertingError> {
    let mut by_rule: HashMap<usize, Vec<AlertId>> = HashMap::new();
    for (summary, place) in new {
        if budget_of(&rules.rules()[*place]).is_some() {
            by_rule.entry(*place).or_default().push(summary.id);
        }
    }
    let mut demoted = HashMap::new();
    for (place, mut ids) in by_rule {
        let rule = &rules.rules()[place];
        let Some(budget) = budget_of(rule) else { continue };
        let before = opened_since(catalog, &rule.id, minus(now, SPAN), budget).await?;
        ids.sort();
        let room = usize::try_from(budget.saturating_sub(before)).unwrap_or(usize::MAX);
        for id in ids.into_iter().skip(room) {
            let words = format!("the rule is over its budget of {budget} alerts a day");
            demoted.insert(id, words);
        }
    }
    Ok(demoted)
}

fn minus(at: Timestamp, span: Duration) -> Timestamp {
    let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(at.nanos().saturating_sub(nanos))
}

/// `None`: there is no bound.
fn budget_of(rule: &Rule) -> Option<u64> {
    if rule.level == Level::Critical {
        return None;
    }
    rule.settings.budget
}

/// Alerts of which a route told at once since then.
async fn told_since(
    catalog: &dyn Catalog,
    route: &str,
    since: Timestamp,
) -> Result<u64, AlertingError> {
    let statement = Statement {
        sql: "SELECT COUNT(DISTINCT alert_id) FROM alerting_outbox
            WHERE created_ns >= ?2 AND route = ?1 AND event = 'alert.opened'
                AND state <> 'silenced'",
        values: vec![text(route), integer(since.nanos())],
    };
    let answers = catalog.query(vec![statement]).await?;
    match tables::rows(&answers, 0).first() {
        Some(row) => Ok(Columns::of(row).count()?),
        None => Ok(0),
    }
}

/// Alerts of a rule opened since then, at most `count_max`.
async fn opened_since(
    catalog: &dyn Catalog,
    rule_id: &str,
    since: Timestamp,
    count_max: u64,
) -> Result<u64, AlertingError> {
    let statement = Statement {
        sql: "SELECT COUNT(*) FROM (SELECT 1 FROM alerting_alerts
            WHERE opened_ns >= ?2 AND rule_id = ?1 LIMIT ?3)",
        values: vec![
            text(rule_id),
            integer(since.nanos()),
            integer(i64::try_from(count_max).unwrap_or(i64::MAX)),
        ],
    };
    let answers = catalog.query(vec![statement]).await?;
    match tables::rows(&answers, 0).first() {
        Some(row) => Ok(Columns::of(row).count()?),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use logwarden_store::{Step, Store};

    use super::*;
    use crate::alert::{AlertRule, AlertState};
    use crate::rule::RuleFile;

    const HOUR_SECS: i64 = 3_600;

    fn summary(rule: &Rule, entropy: u128, at: Timestamp) -> AlertSummary {
        AlertSummary {
            id: AlertId::from_parts(at, entropy),
            title: String::new(),
            severity: rule.level,
            state: AlertState::Open,
            rule: AlertRule {
                id: rule.id.clone(),
                name: rule.id.clone(),
                title: rule.title.clone(),
                kind: String::from("sigma"),
                version: 1,
                attack: Vec::new(),
                runbook: None,
                labels: Default::default(),
            },
            entity: None,
            group: Vec::new(),
            opened_at: at,
            updated_at: at,
            first_event_at: at,
            last_event_at: at,
            ended_at: None,
            detections: 1,
            events: 1,
            assignee: None,
            resolution: None,
        }
    }

    fn row(rule: &str, at: Timestamp) -> Statement {
        Statement {
            sql:
                "INSERT INTO alerting_alerts (id, rule_id, rule_name, group_key, title, title_lower,
                severity, state, opened_ns, updated_ns, first_event_ns, last_event_ns, detections,
                events, body, in_journal)
                VALUES (?1, ?2, ?2, ?1, '', '', 'low', 'resolved', ?3, ?3, ?3, ?3, 1, 1, '{}', 1)",
            values: vec![text(format!("{}", at.nanos())), text(rule), integer(at.nanos())],
        }
    }

    #[tokio::test]
    async fn what_is_over_a_days_budget_is_demoted_and_critical_rules_never_are() {
        let (store, _) = Store::simulated(5);
        crate::Alerting::open(store.clone(), crate::Config::default()).await.expect("opened");
        let rule = |id: &str, rest: &str| {
            format!(
                "title: {id}\nid: {id}\nlogsource: {{}}\ndetection: {{ s: {{ k: v }}, condition: s }}\n{rest}\n---\n"
            )
        };
        let file = rule("noisy", "level: low\nlogwarden: { budget: 2 }")
            + &rule("critical", "level: critical\nlogwarden: { budget: 1 }")
            + &rule("free", "level: low");
        let (rules, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text: file }]);
        assert_eq!(problems, []);
        let now = Timestamp::from_secs(1_780_000_000);
        let ago = |hours: i64| Timestamp::from_secs(1_780_000_000 - hours * HOUR_SECS);
        let statements = vec![row("noisy", ago(1)), row("noisy", ago(25)), row("free", ago(2))];
        store.catalog.step(Step { statements, ..Step::default() }).await.expect("written");
        let mut new = Vec::new();
        for (place, rule) in rules.rules().iter().enumerate() {
            let first = place as u128 * 10;
            new.extend((first..first + 3).map(|entropy| (summary(rule, entropy, now), place)));
        }
        let new: Vec<_> = new.iter().map(|(summary, place)| (summary, *place)).collect();
        let found = demoted(&*store.catalog, &rules, &Routing::default(), &new, now)
            .await
            .expect("counted");
        // One of today leaves room for one more; the first by id is told.
        let ids: Vec<bool> = new.iter().map(|(one, _)| found.contains_key(&one.id)).collect();
        assert_eq!(ids, [false, true, true, false, false, false, false, false, false]);
        assert!(found.values().all(|words| words.contains("budget of 2 alerts a day")));
    }
}
