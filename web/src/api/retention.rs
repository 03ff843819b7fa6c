//! `/retention`: how long, and how much of, which datasets is kept.

use axum::extract::State as Extract;
use logwarden_query::{RETENTION_POLICIES_MAX, RetentionPolicy, RetentionPreview};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::App;
use crate::audit::Entry;
use crate::auth::SignedIn;
use crate::body::{Json, Params};
use crate::error::ApiError;
use crate::route::{Permission, Routes};

const MANAGE: Permission = Permission::May(Action::ManageRetention);

/// How long some datasets are kept; the first that matches a dataset governs it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Policy {
    /// The datasets: a name, with `*` for any letters.
    dataset: String,
    /// Days after an event was received; null: for ever.
    keep_days: Option<u32>,
    /// Bytes on disk of all datasets it governs together; null: no bound.
    bytes_max: Option<u64>,
    /// `configuration` for those of the file, which come first and are changed there; else `api`.
    origin: Option<String>,
}

/// Retention as it is, and what it would remove now.
#[derive(Debug, Serialize, ToSchema)]
struct Retention {
    /// In the order in which they are asked.
    policies: Vec<Policy>,
    /// Until when no more is removed than by the policies before the last change.
    change_waits_until: Option<String>,
    /// Everything that lies in splits.
    held: Amount,
    /// What is due.
    due: Amount,
    /// Why it is not removed before it is confirmed.
    refused: Option<String>,
}

/// Some splits.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Amount {
    splits: u64,
    size_bytes: u64,
}

/// The policies to set; those of the configuration may stand among them and are left as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRetention {
    policies: Vec<Policy>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ReplaceParams {
    /// Only say what would be due; change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What stands in [`Policy::origin`] of those that the file has.
const CONFIGURATION: &str = "configuration";

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(MANAGE, routes!(show))
        .add(MANAGE, routes!(replace))
        .add(MANAGE, routes!(confirm))
}

/// Gives the policies, and what they would remove now.
#[utoipa::path(
    get, path = "/api/v1/retention", tag = "retention",
    responses((status = 200, body = Retention))
)]
async fn show(Extract(app): Extract<App>) -> Result<axum::Json<Retention>, ApiError> {
    present(&app, None).await
}

/// Sets the policies behind those of the configuration. For a day no more is removed than by those
/// before.
#[utoipa::path(
    put, path = "/api/v1/retention", tag = "retention", params(ReplaceParams),
    request_body = NewRetention, responses((status = 200, body = Retention))
)]
async fn replace(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<ReplaceParams>,
    Json(new): Json<NewRetention>,
) -> Result<axum::Json<Retention>, ApiError> {
    if new.policies.len() > RETENTION_POLICIES_MAX {
        let message = format!("at most {RETENTION_POLICIES_MAX} policies");
        return Err(ApiError::bad_request(message));
    }
    let own =
        new.policies.into_iter().filter(|policy| policy.origin.as_deref() != Some(CONFIGURATION));
    let policies: Vec<RetentionPolicy> = own
        .map(|policy| RetentionPolicy {
            dataset: policy.dataset,
            keep_days: policy.keep_days,
            bytes_max: policy.bytes_max,
        })
        .collect();
    for (place, policy) in policies.iter().enumerate() {
        policy
            .check()
            .map_err(|reason| ApiError::bad_request(format!("policies[{place}]: {reason}")))?;
    }
    if params.dry_run {
        return present(&app, Some(policies)).await;
    }
    let index = app.engine.index().ok_or_else(ApiError::not_found)?;
    let text = serde_json::to_string(&policies).map_err(ApiError::internal)?;
    index.set_retention(policies).await.map_err(ApiError::internal)?;
    let message = "set the retention policies";
    let entry = Entry::new("retention.replace", &caller.principal, &text, message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    present(&app, None).await
}

/// Lets the next run remove what is due although a guard refuses it.
#[utoipa::path(
    post, path = "/api/v1/retention/confirm", tag = "retention",
    responses((status = 200, body = Retention))
)]
async fn confirm(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<Retention>, ApiError> {
    let shown = present(&app, None).await?;
    let (splits, size_bytes) = (shown.due.splits, shown.due.size_bytes);
    let message = format!("confirmed that {splits} splits of {size_bytes} bytes are removed");
    let entry = Entry::new("retention.confirm", &caller.principal, "retention", message);
    app.audit.record(entry.from_peer(caller.peer)).await;
    app.engine.index().ok_or_else(ApiError::not_found)?.confirm_retention();
    Ok(shown)
}

/// Retention as it is, with what is due by the policies in force or by `others`.
async fn present(
    app: &App,
    others: Option<Vec<RetentionPolicy>>,
) -> Result<axum::Json<Retention>, ApiError> {
    let index = app.engine.index().ok_or_else(ApiError::not_found)?;
    let view = index.retention();
    let shown = others.clone().unwrap_or(view.set);
    let preview = index.preview_retention(others).await;
    let policy = |origin: &'static str| {
        move |policy: RetentionPolicy| Policy {
            dataset: policy.dataset,
            keep_days: policy.keep_days,
            bytes_max: policy.bytes_max,
            origin: Some(origin.to_owned()),
        }
    };
    let configured = view.configured.into_iter().map(policy(CONFIGURATION));
    let RetentionPreview { due, held_bytes, held_splits, refusal } = preview;
    Ok(axum::Json(Retention {
        policies: configured.chain(shown.into_iter().map(policy("api"))).collect(),
        change_waits_until: view.change_waits_until.map(|until| until.to_string()),
        held: Amount { splits: held_splits as u64, size_bytes: held_bytes },
        refused: refusal.filter(|_| !due.is_empty()).map(|refusal| refusal.to_string()),
        due: Amount {
            splits: due.len() as u64,
            size_bytes: due.iter().map(|due| due.size_bytes).sum(),
        },
    }))
}
