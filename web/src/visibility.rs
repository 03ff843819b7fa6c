//! What part of the events a principal sees.
//!
//! The row filter of a principal is made here and nowhere else: its source, the filters of its role
//! and its own, all of them. So is its mask. Both stand beside the user's query, never inside it.

use logwarden_event::Timestamp;
use logwarden_query::{
    Filter, Mask, Predicate, SyntaxError, Target, Test, Visibility, parse_query,
};
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
        mask: mask(principal)?,
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
    for text in &principal.filters {
        // It was checked when it was written; one that cannot be read any more shows nothing.
        let filter = parse_filter(text, now).map_err(|error| {
            ApiError::internal(format_args!(
                "a filter of `{}` is no query: {}",
                principal.name,
                error.detail().message
            ))
        })?;
        conditions.push(filter);
    }
    Ok((!conditions.is_empty()).then_some(Filter::And(conditions)))
}

/// The fields that are hidden from `principal`.
fn mask(principal: &Principal) -> Result<Mask, ApiError> {
    Mask::new(&principal.mask).map_err(|error| {
        ApiError::internal(format_args!("the mask of `{}` is none: {error}", principal.name))
    })
}
