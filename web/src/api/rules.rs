//! `/rules`: what is looked for, and trying it out before it counts.

use axum::extract::State as Extract;
use logwarden_alerting::{Problem as RuleProblem, RuleFile, RuleSet, RuleSummary, test_rules};
use logwarden_event::Event;
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::shape::List;
use crate::App;
use crate::body::{Json, RULE_TEST_BYTES_MAX, RULES_BYTES_MAX, Yaml};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const READ: Permission = Permission::May(Action::ReadRules);

/// What problems of rules sent in a request name as file.
const SENT_FILE: &str = "rules.yml";
/// Records in one test.
const TEST_EVENTS_MAX: usize = 10_000;

/// A rule as lists show it.
#[derive(Debug, Serialize, ToSchema)]
struct Rule {
    id: String,
    name: String,
    title: String,
    /// `sigma`, `correlation` or `detector`.
    kind: &'static str,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    level: &'static str,
    /// `enabled`, `testing` or `disabled`.
    state: &'static str,
    /// The file it stands in.
    file: String,
    problems: Vec<Problem>,
}

/// Something wrong with a rule.
#[derive(Debug, Serialize, ToSchema)]
struct Problem {
    file: String,
    /// From 1 on.
    line: usize,
    /// From 1 on, in characters.
    column: usize,
    message: String,
}

/// What checking found.
#[derive(Debug, Serialize, ToSchema)]
struct CheckedRules {
    problems: Vec<Problem>,
    /// Rules that can be used.
    rules: usize,
}

/// Rules and records to run them over.
#[derive(Debug, Deserialize, ToSchema)]
struct RuleTrial {
    /// The rules, as YAML.
    rules: String,
    /// Raw records, as a sender would send them; at most 10,000.
    events: Vec<String>,
}

/// What running rules over records found.
#[derive(Debug, Serialize, ToSchema)]
struct RuleTrialResult {
    matches: Vec<RuleMatch>,
    problems: Vec<Problem>,
}

/// One match.
#[derive(Debug, Serialize, ToSchema)]
struct RuleMatch {
    rule_id: String,
    /// Which of the records, from 0 on.
    event_index: usize,
}

impl From<RuleSummary> for Rule {
    fn from(rule: RuleSummary) -> Self {
        Self {
            id: rule.id,
            name: rule.name,
            title: rule.title,
            kind: rule.kind,
            level: rule.level.name(),
            state: rule.state.name(),
            file: rule.file,
            problems: rule.problems.into_iter().map(Problem::from).collect(),
        }
    }
}

impl From<RuleProblem> for Problem {
    fn from(problem: RuleProblem) -> Self {
        let RuleProblem { file, line, column, message } = problem;
        Self { file, line, column, message }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new().add(READ, routes!(list)).add(READ, routes!(check)).add(READ, routes!(test))
}

/// Lists the rules in use, testing and disabled.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", responses((status = 200, body = List<Rule>)))]
async fn list(Extract(app): Extract<App>) -> axum::Json<List<Rule>> {
    axum::Json(List::whole(app.alerting.rules().into_iter().map(Rule::from).collect()))
}

/// Says what is wrong with rules, without using them.
#[utoipa::path(
    post, path = "/api/v1/rules/check", tag = "rules",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = CheckedRules))
)]
async fn check(Yaml(text): Yaml<RULES_BYTES_MAX>) -> Result<axum::Json<CheckedRules>, ApiError> {
    compute(move || {
        let (rules, problems) = load(text);
        let rules = rules.summaries().len();
        CheckedRules { problems, rules }
    })
    .await
}

/// Runs rules over records: the same normalization and the same engine as live.
#[utoipa::path(
    post, path = "/api/v1/rules/test", tag = "rules", request_body = RuleTrial,
    responses((status = 200, body = RuleTrialResult))
)]
async fn test(
    Extract(app): Extract<App>,
    Json(trial): Json<RuleTrial, RULE_TEST_BYTES_MAX>,
) -> Result<axum::Json<RuleTrialResult>, ApiError> {
    if trial.events.len() > TEST_EVENTS_MAX {
        let message = format!("a test has at most {TEST_EVENTS_MAX} records");
        return Err(ApiError::bad_request(message));
    }
    compute(move || {
        let (rules, problems) = load(trial.rules);
        let records = trial.events.iter();
        let events: Vec<Event> = records.map(|record| (app.normalize)(record.as_bytes())).collect();
        let matches = test_rules(&rules, &events)
            .into_iter()
            .map(|found| RuleMatch { rule_id: found.rule_id, event_index: found.event_index });
        RuleTrialResult { matches: matches.collect(), problems }
    })
    .await
}

fn load(text: String) -> (RuleSet, Vec<Problem>) {
    let (rules, problems) = RuleSet::load(&[RuleFile { name: SENT_FILE.to_owned(), text }]);
    (rules, problems.into_iter().map(Problem::from).collect())
}

/// Compiling and running rules may take longer than an async thread has.
async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<axum::Json<T>, ApiError> {
    tokio::task::spawn_blocking(work).await.map(axum::Json).map_err(ApiError::internal)
}
