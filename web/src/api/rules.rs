//! `/rules`: what is looked for, trying it out before it counts, and writing it.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use logwarden_alerting::{
    Problem as RuleProblem, RuleFile, RuleSet, RuleStatistics, RuleSummary, RuleText,
    WriteRuleError, test_rules,
};
use logwarden_event::Event;
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts::refuse;
use super::coverage::unknown_fields;
use super::shape::List;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::{Json, Params, RULE_TEST_BYTES_MAX, RULES_BYTES_MAX, Yaml};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const READ: Permission = Permission::May(Action::ReadRules);
const WRITE: Permission = Permission::May(Action::WriteRules);

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
    /// The kind of correlation, or the kind of rule where it is none.
    #[serde(rename = "type")]
    type_name: &'static str,
    /// ATT&CK techniques and tactics, such as `T1110`.
    attack: Vec<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    level: &'static str,
    /// `enabled`, `testing` or `disabled`.
    state: &'static str,
    /// Points of risk that a detection of it is worth.
    risk: Option<u64>,
    /// The file it stands in.
    file: String,
    problems: Vec<Problem>,
    /// Null for whom sees a part of the events, and where a single rule is shown.
    statistics: Option<Statistics>,
}

/// What the alerts of a rule say about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleStatistics)]
struct Statistics {
    /// Alerts of each of the last 30 days, the oldest first.
    alerts_per_day: Vec<u64>,
    /// Alerts of the last seven days.
    alerts_7d: u64,
    /// The share of false ones among those of them that were resolved; null: none was.
    false_share_7d: Option<f64>,
    last_alert_at: Option<String>,
    /// It opens more than 24 alerts a day, or more than half of at least ten resolved ones were false.
    noisy: bool,
    /// The groups that cause most alerts of a noisy rule, at most three.
    groups: Vec<NoisyGroup>,
    /// What 99 of 100 events that match it take less than in its windows, to the next power of two; null: none
    /// came since it was loaded.
    evaluation_p99_us: Option<f64>,
}

/// A group that causes many alerts.
#[derive(Debug, Serialize, ToSchema)]
struct NoisyGroup {
    /// Its values; empty: all events are one group.
    group: String,
    count: u64,
}

impl From<RuleStatistics> for Statistics {
    fn from(known: RuleStatistics) -> Self {
        let (resolved, wrong) = known.resolved_of_week;
        let values = |group: Vec<(String, String)>| {
            group.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(", ")
        };
        let groups = known.groups.into_iter();
        Self {
            alerts_per_day: known.per_day.to_vec(),
            alerts_7d: known.alerts_of_week,
            false_share_7d: (resolved > 0).then(|| wrong as f64 / resolved as f64),
            last_alert_at: known.last_alert_at.map(|at| at.to_string()),
            noisy: known.is_noisy,
            groups: groups
                .map(|(group, count)| NoisyGroup { group: values(group), count })
                .collect(),
            evaluation_p99_us: known.evaluation_p99.map(|took| took.as_secs_f64() * 1e6),
        }
    }
}

/// Something wrong with a rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleProblem)]
pub(super) struct Problem {
    pub(super) file: String,
    /// From 1 on.
    pub(super) line: usize,
    /// From 1 on, in characters.
    pub(super) column: usize,
    pub(super) message: String,
}

/// A rule with its text.
#[derive(Debug, Serialize, ToSchema)]
struct SingleRule {
    /// What the list shows of it.
    #[serde(flatten)]
    rule: Rule,
    /// What it looks for, in words.
    description: String,
    /// The YAML it stands in.
    text: String,
    /// Whether the text can be replaced here; files of the configuration are changed where they are.
    editable: bool,
}

impl From<RuleText> for SingleRule {
    fn from(rule: RuleText) -> Self {
        Self {
            rule: rule.summary.into(),
            description: rule.description,
            text: rule.text,
            editable: rule.is_written,
        }
    }
}

/// How rules are checked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CheckParams {
    /// Check them beside all rules in use, as when they are written; else by themselves.
    #[serde(default)]
    beside: bool,
    /// With `beside`: the id of a written rule whose text they replace.
    replaces: Option<String>,
}

/// What checking found.
#[derive(Debug, Serialize, ToSchema)]
struct CheckedRules {
    problems: Vec<Problem>,
    /// With `beside`: what is probably a mistake and yet no fault, as a field that no event has.
    warnings: Vec<Problem>,
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
            type_name: rule.type_name,
            attack: rule.attack,
            level: rule.level.name(),
            state: rule.state.name(),
            risk: rule.risk,
            file: rule.file,
            problems: rule.problems.into_iter().map(Problem::from).collect(),
            statistics: None,
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
    Routes::new()
        .add(READ, routes!(list))
        .add(WRITE, routes!(create))
        .add(READ, routes!(check))
        .add(READ, routes!(test))
        .add(READ, routes!(show))
        .add(WRITE, routes!(replace))
        .add(WRITE, routes!(remove))
}

/// Lists the rules in use, testing and disabled, with what their alerts say about them.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", responses((status = 200, body = List<Rule>)))]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<Rule>>, ApiError> {
    let mut rules: Vec<Rule> = app.alerting.rules().into_iter().map(Rule::from).collect();
    if caller.principal.sees_everything() {
        let mut known = app.alerting.rule_statistics().await.map_err(refuse)?;
        for rule in &mut rules {
            rule.statistics = Some(known.remove(&rule.id).unwrap_or_default().into());
        }
    }
    Ok(axum::Json(List::whole(rules)))
}

/// Gives one rule with its text.
#[utoipa::path(
    get, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = String, Path, description = "The rule's id or name.")),
    responses((status = 200, body = SingleRule))
)]
async fn show(
    Extract(app): Extract<App>,
    Path(id): Path<String>,
) -> Result<axum::Json<SingleRule>, ApiError> {
    Ok(axum::Json(app.alerting.rule(&id).map_err(refuse)?.into()))
}

/// Writes a text with new rules; they are in use at once.
#[utoipa::path(
    post, path = "/api/v1/rules", tag = "rules",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 201, body = SingleRule))
)]
async fn create(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Yaml(text): Yaml<RULES_BYTES_MAX>,
) -> Result<Response, ApiError> {
    let id = app.alerting.write_rule(None, text).await.map_err(refuse_text)?;
    let entry = Entry::new("rule.create", &caller.principal, &id, format!("wrote rule {id}"));
    app.audit.record(entry.from_peer(caller.peer)).await;
    let rule = app.alerting.rule(&id).map_err(refuse)?;
    Ok((StatusCode::CREATED, axum::Json(SingleRule::from(rule))).into_response())
}

/// Replaces the text in which a written rule stands.
#[utoipa::path(
    put, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = String, Path, description = "The rule's id or name.")),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = SingleRule))
)]
async fn replace(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Yaml(text): Yaml<RULES_BYTES_MAX>,
) -> Result<axum::Json<SingleRule>, ApiError> {
    let new_id = app.alerting.write_rule(Some(&id), text).await.map_err(refuse_text)?;
    let message = format!("changed rule {id}");
    let entry = Entry::new("rule.change", &caller.principal, &new_id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(axum::Json(app.alerting.rule(&new_id).map_err(refuse)?.into()))
}

/// Removes the text in which a written rule stands.
#[utoipa::path(
    delete, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = String, Path, description = "The rule's id or name.")),
    responses((status = 204))
)]
async fn remove(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.alerting.remove_rule(&id).await.map_err(refuse)?;
    let message = format!("removed rule {id}");
    let entry = Entry::new("rule.delete", &caller.principal, &id, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What the client is told about a text that was not taken: the first thing that is wrong.
fn refuse_text(error: WriteRuleError) -> ApiError {
    match error {
        WriteRuleError::Alerting(error) => refuse(error),
        WriteRuleError::Problems(problems) => {
            let mut message = String::from("the rules have problems");
            if let Some(RuleProblem { line, column, message: reason, .. }) = problems.first() {
                message = format!("line {line}, column {column}: {reason}");
            }
            if problems.len() > 1 {
                message = format!("{message} (and {} more)", problems.len() - 1);
            }
            ApiError::new(StatusCode::BAD_REQUEST, "rule_problems", message)
        }
    }
}

/// Says what is wrong with rules, without using them.
#[utoipa::path(
    post, path = "/api/v1/rules/check", tag = "rules",
    request_body(content = String, content_type = "application/yaml"), params(CheckParams),
    responses((status = 200, body = CheckedRules))
)]
async fn check(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<CheckParams>,
    Yaml(text): Yaml<RULES_BYTES_MAX>,
) -> Result<axum::Json<CheckedRules>, ApiError> {
    if params.beside {
        let replaced = params.replaces.as_deref().filter(|id| !id.is_empty());
        let checked = app.alerting.check_rule_text(replaced, text).await.map_err(refuse)?;
        let warnings = unknown_fields(&app, &caller, checked.fields).await?;
        let problems = checked.problems.into_iter().map(Problem::from).collect();
        let rules = checked.rules.len();
        return Ok(axum::Json(CheckedRules { problems, warnings, rules }));
    }
    compute(move || {
        let (rules, problems) = load(text);
        let rules = rules.summaries().len();
        CheckedRules { problems, warnings: Vec::new(), rules }
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
        let matches = test_rules(&rules, &events, std::time::Duration::ZERO)
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
