//! What part of the events a principal sees.
//!
//! The row filter of a principal is made here and nowhere else: its source and its filter, both of
//! them. It stands beside the user's query, never inside it.

use logwarden_event::Timestamp;
use logwarden_query::{Filter, Predicate, SyntaxError, Target, Test, Visibility, parse_query};
use logwarden_store::identity::{Action, Object, Principal, authorize};

use crate::error::ApiError;

/// Reads the row filter of a token: a condition without pipes.
pub(crate) fn parse_filter(text: &str, now: Timestamp) -> Result<Filter, ApiError> {
    let query = parse_query(text, now).map_err(refuse)?;
    if !query.pipes.is_empty() {
        return Err(ApiError::bad_request("a filter has no pipes"));
    }
    Ok(query.filter)
}

/// What the client is told about a query that is none.
pub(crate) fn refuse(error: SyntaxError) -> ApiError {
    ApiError::syntax(error.message, error.offset, error.expected)
}

/// What `principal` may see.
pub(crate) fn of(principal: &Principal, now: Timestamp) -> Result<Visibility, ApiError> {
    let may = |action| authorize(principal, action, &Object::Any).is_ok();
    Ok(Visibility {
        row_filter: row_filter(principal, now)?,
        may_see_own_records: may(Action::ReadOwnRecords) && may(Action::ReadAudit),
    })
}

/// The condition on every event that `principal` may see; `None`: it may see all.
fn row_filter(principal: &Principal, now: Timestamp) -> Result<Option<Filter>, ApiError> {
    let mut conditions = Vec::new();
    if let Some(source) = &principal.source {
        let test = Test::Equals { text: source.clone(), cased: true };
        conditions.push(Filter::Is(Predicate { target: Target::Source, test }));
    }
    if let Some(text) = &principal.filter {
        // It was checked when the token was made; one that cannot be read any more shows nothing.
        let filter = parse_filter(text, now).map_err(|error| {
            ApiError::internal(format_args!(
                "the filter of `{}` is no query: {}",
                principal.name,
                error.detail().message
            ))
        })?;
        conditions.push(filter);
    }
    Ok((!conditions.is_empty()).then_some(Filter::And(conditions)))
}

/// Refuses principals that see a part of the events only.
///
/// Alerts and notifications are about all events and carry parts of them.
pub(crate) fn check_sees_everything(principal: &Principal) -> Result<(), ApiError> {
    if principal.filter.is_none() && principal.source.is_none() {
        return Ok(());
    }
    Err(ApiError::forbidden())
}
