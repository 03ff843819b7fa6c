//! `/rules/import`: Sigma rules and those of other products, landing as testing.

use axum::extract::State as Extract;
use logwarden_alerting::{Foreign, ImportedRule, RuleFile};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::alerts::refuse;
use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::{Params, RULE_IMPORT_BYTES_MAX, RuleDocument};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

/// What a file is called when its sender does not say.
const UNNAMED_FILE: &str = "rules";

/// Whose rules the body holds.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportParams {
    /// `sigma` (the default), `elastalert` or `wazuh`.
    from: Option<String>,
    /// What the answer calls the file.
    name: Option<String>,
    /// Only say what would become of them.
    #[serde(default)]
    trial: bool,
}

/// What became of the rules of a file.
#[derive(Debug, Serialize, ToSchema)]
struct RuleImport {
    items: Vec<RuleImportItem>,
    next: Option<String>,
    /// Rules that were taken, or with `trial` would be.
    imported: usize,
}

/// What became of one rule.
#[derive(Debug, Serialize, ToSchema)]
struct RuleImportItem {
    /// The file it stands in.
    file: String,
    /// What it is called there.
    name: String,
    /// `converted`, `converted_with_loss` or `refused`.
    outcome: &'static str,
    /// Ids of the rules made of it; they are in use as testing.
    made: Vec<String>,
    /// What of it is not in them, or why there are none.
    lost: Vec<String>,
}

impl From<ImportedRule> for RuleImportItem {
    fn from(rule: ImportedRule) -> Self {
        let outcome = match (rule.made.is_empty(), rule.lost.is_empty()) {
            (true, _) => "refused",
            (false, true) => "converted",
            (false, false) => "converted_with_loss",
        };
        let ImportedRule { file, name, made, lost } = rule;
        Self { file, name, outcome, made, lost }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new().add(Permission::May(Action::WriteRules), routes!(import))
}

/// Takes the rules of a file, each as testing: it detects and shows, and tells nobody.
#[utoipa::path(
    post, path = "/api/v1/rules/import", tag = "rules", params(ImportParams),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = RuleImport))
)]
async fn import(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<ImportParams>,
    RuleDocument(text): RuleDocument<RULE_IMPORT_BYTES_MAX>,
) -> Result<axum::Json<RuleImport>, ApiError> {
    let foreign = match params.from.as_deref().filter(|from| !from.is_empty()) {
        None | Some("sigma") => None,
        Some("elastalert") => Some(Foreign::ElastAlert),
        Some("wazuh") => Some(Foreign::Wazuh),
        Some(_) => return Err(ApiError::bad_request("`from` is sigma, elastalert or wazuh")),
    };
    let name = params.name.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| UNNAMED_FILE.to_owned());
    let file = RuleFile { name: name.clone(), text };
    let rules = app.alerting.import(foreign, file, params.trial).await.map_err(refuse)?;
    let imported = rules.iter().map(|rule| rule.made.len()).sum();
    if !params.trial {
        let message = format!("imported {imported} rules from {name}");
        let entry = Entry::new("rules.import", &caller.principal, &name, message);
        app.audit.record(entry.from_peer(caller.peer)).await;
    }
    let items = rules.into_iter().map(RuleImportItem::from).collect();
    Ok(axum::Json(RuleImport { items, next: None, imported }))
}
