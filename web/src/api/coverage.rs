//! `/rules/coverage`: which rules cannot match what this server receives, and why.
//!
//! What was seen is asked of the index: the logsources of a range of time, and the names of all fields.
//! A field by another of its names is not in that list, so each name that seems to be missing is looked
//! for, at most [`NAMES_MAX`]; beyond that it counts as seen.

use std::collections::BTreeSet;

use axum::extract::State as Extract;
use http::StatusCode;
use logwarden_alerting::{NamedField, RuleCoverage, Seen, coverage as judge, unseen_fields};
use logwarden_event::{STANDARD_FIELDS, standard_field};
use logwarden_query::{FacetsRequest, SearchRequest, SortKey, closest, parse_query};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::rules::Problem;
use super::scope::{Scope, Word, control, refuse};
use super::shape::List;
use crate::App;
use crate::auth::{Caller, SignedIn};
use crate::body::Params;
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// How far back logsources count when nothing is said.
const FROM_DEFAULT: &str = "now-30d";
/// Different logsources of one answer.
const LOGSOURCES_MAX: usize = 1_000;
/// Names of fields that are looked for one by one.
const NAMES_MAX: usize = 200;

/// Unknown fields of one text that are told of.
const UNKNOWN_MAX: usize = 20;

/// Since when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CoverageParams {
    /// Since when logsources count; `now-30d` when nothing is said.
    from: Option<String>,
}

/// Whether a rule can match.
#[derive(Debug, Serialize, ToSchema)]
struct Coverage {
    id: String,
    title: String,
    /// The file it stands in.
    file: String,
    /// `product/category/service`; empty: every event, or a rule that looks at others.
    logsource: String,
    /// `alive`, `disabled`, `no_source`, `no_field`, `empty_list` or `dead_input`.
    verdict: &'static str,
    /// Why, in words.
    reason: String,
}

impl From<RuleCoverage> for Coverage {
    fn from(rule: RuleCoverage) -> Self {
        let (verdict, reason) = (rule.verdict.name(), rule.reason());
        let RuleCoverage { id, title, file, logsource, .. } = rule;
        Self { id, title, file, logsource, verdict, reason }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::ReadRules), routes!(coverage))
}

/// Says of each rule whether it can match what is received.
#[utoipa::path(
    get, path = "/api/v1/rules/coverage", tag = "rules", params(CoverageParams),
    responses((status = 200, body = List<Coverage>))
)]
async fn coverage(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<CoverageParams>,
) -> Result<axum::Json<List<Coverage>>, ApiError> {
    let from = params.from.unwrap_or_else(|| FROM_DEFAULT.to_owned());
    let scope = Scope::read(&app, &caller, None, Some(Word::Text(from)), None)?;
    let mut seen = seen(&app, &caller, &scope).await?;
    let rules = app.alerting.rule_set();
    let missing = unseen_fields(&rules, &seen);
    for (place, name) in missing.into_iter().enumerate() {
        if place >= NAMES_MAX || has_field(&app, &caller, &scope, &name).await? {
            seen.fields.insert(name);
        }
    }
    let items = judge(&rules, &seen).into_iter().map(Coverage::from).collect();
    Ok(axum::Json(List::whole(items)))
}

async fn seen(app: &App, caller: &Caller, scope: &Scope) -> Result<Seen, ApiError> {
    let request = FacetsRequest {
        query: scope.query.clone(),
        range: scope.range,
        fields: vec![String::from("lw.class")],
        limit: LOGSOURCES_MAX,
        visibility: scope.visibility.clone(),
    };
    let (asking, _guard) = control(caller);
    let classes = app.engine.facets(request, asking).await.map_err(refuse)?;
    let (asking, _guard) = control(caller);
    let fields = app.engine.fields("", scope.visibility.clone(), asking).await.map_err(refuse)?;
    if !classes.coverage.complete {
        let message = "parts of the range cannot be read, so no rule can be called dead";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "incomplete", message));
    }
    let values = classes.fields.iter().flat_map(|facet| &facet.values);
    Ok(Seen {
        logsources: values.map(|(value, _)| value.to_string()).collect(),
        fields: fields.into_iter().map(|field| field.name).collect(),
    })
}

/// What is known of the fields that a text names and no event has; at most [`UNKNOWN_MAX`].
pub(super) async fn unknown_fields(
    app: &App,
    caller: &Caller,
    named: Vec<NamedField>,
) -> Result<Vec<Problem>, ApiError> {
    let is_standard = |name: &String| standard_field(name).is_some();
    let mut named: Vec<NamedField> =
        named.into_iter().filter(|field| !field.names.iter().any(is_standard)).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let scope = Scope::read(app, caller, None, None, None)?;
    let (asking, _guard) = control(caller);
    let seen = app.engine.fields("", scope.visibility.clone(), asking).await.map_err(refuse)?;
    let seen: BTreeSet<&str> = seen.iter().map(|field| field.name.as_str()).collect();
    if seen.is_empty() {
        // Before the first event every field is one that none has.
        return Ok(Vec::new());
    }
    named.retain(|field| !field.names.iter().any(|name| seen.contains(name.as_str())));
    let standard = STANDARD_FIELDS.iter().map(|field| field.name);
    let known: Vec<&str> = standard.chain(seen.iter().copied()).collect();
    let mut unknown = Vec::new();
    for NamedField { names, line, column } in named.into_iter().take(UNKNOWN_MAX) {
        let mut is_known = false;
        for name in &names {
            is_known = is_known || has_field(app, caller, &scope, name).await?;
        }
        if !is_known {
            let name = names.first().map_or("", String::as_str);
            let near = closest(name, &known).map(|near| format!("; did you mean `{near}`?"));
            let hint = near.unwrap_or_default();
            let message = format!("unknown field `{name}`, which no event has{hint}");
            unknown.push(Problem { file: String::new(), line, column, message });
        }
    }
    Ok(unknown)
}

/// Whether any stored event has this field, by any of its names.
async fn has_field(
    app: &App,
    caller: &Caller,
    scope: &Scope,
    name: &str,
) -> Result<bool, ApiError> {
    // A name that cannot be asked for counts as seen.
    let Ok(query) = parse_query(&format!("{name}:*"), scope.now) else { return Ok(true) };
    let request = SearchRequest {
        query,
        range: logwarden_event::TimeRange::ALL,
        limit: 1,
        sort: vec![SortKey::parse("lw.seq")],
        cursor: None,
        visibility: scope.visibility.clone(),
    };
    let (asking, _guard) = control(caller);
    let answer = app.engine.search(request, asking).await.map_err(refuse)?;
    Ok(!answer.hits.is_empty())
}
