//! What requests about events have in common: a query, a range of time, and who asks.

use std::time::Duration;

use logwarden_event::{TimeRange, Timestamp};
use logwarden_query::{
    Control, Query, QueryError, Visibility, parse_query, parse_time, time_range,
};
use serde::Deserialize;
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::ToSchema;

use crate::App;
use crate::audit::Entry;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::visibility;

/// A time or a number, as a query string or JSON gives it.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Word {
    /// As text.
    Text(String),
    /// As a whole number.
    Number(i64),
}

impl Word {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Which events, for whom.
pub(super) struct Scope {
    /// As it was asked.
    pub(super) text: String,
    /// As it was understood.
    pub(super) query: Query,
    /// Over which time.
    pub(super) range: TimeRange,
    /// What the caller may see.
    pub(super) visibility: Visibility,
    /// When the request came.
    pub(super) now: Timestamp,
}

impl Scope {
    /// Reads the parameters `q`, `from` and `to` of a request.
    pub(super) fn read(
        app: &App,
        caller: &Caller,
        q: Option<String>,
        from: Option<Word>,
        to: Option<Word>,
    ) -> Result<Self, ApiError> {
        let now = app.audit.now();
        let text = q.unwrap_or_default();
        let query = parse_query(&text, now).map_err(visibility::refuse)?;
        let range = time_range(instant("from", from, now)?, instant("to", to, now)?);
        let visibility = visibility::of(&caller.principal, now)?;
        Ok(Self { text, query, range, visibility, now })
    }

    /// Notes in the audit records that `caller` has seen `count` events of this scope.
    pub(super) fn note(&self, app: &App, caller: &Caller, action: &'static str, count: u64) {
        let entry = Entry::new(action, &caller.principal, &self.text, "searched");
        app.audit.note(entry.from_peer(caller.peer).counting(count));
    }
}

/// Watches a request: dropping the guard, as a closed connection does, cancels it.
pub(super) fn control(caller: &Caller) -> (Control, DropGuard) {
    let cancel = CancellationToken::new();
    let principal = format!("{:?}:{}", caller.principal.kind, caller.principal.name);
    let control = Control { cancel: cancel.clone(), progress: None, principal };
    (control, cancel.drop_guard())
}

/// What the client is told about a request that has no answer.
pub(super) fn refuse(error: QueryError) -> ApiError {
    match error {
        QueryError::Invalid(reason) => ApiError::bad_request(reason),
        QueryError::TooExpensive { .. } => ApiError::too_expensive(error.to_string()),
        QueryError::NotFound => ApiError::not_found(),
        QueryError::Busy(reason) => {
            metrics::counter!(crate::metrics::REFUSED_BUSY_TOTAL).increment(1);
            ApiError::too_many_requests(reason, 1)
        }
        QueryError::Cancelled => ApiError::unavailable("the request was cancelled"),
        QueryError::Index(error) => {
            tracing::error!(error = %error, "index cannot be read: {error}");
            ApiError::unavailable("events cannot be read at the moment")
        }
        QueryError::Internal => ApiError::internal(error),
    }
}

/// Reads a list with commas between its items.
pub(super) fn names(text: Option<&str>) -> Vec<String> {
    let names = text.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Reads a whole number with its unit: `ms`, `s`, `m`, `h`, `d` or `w`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit_ms).map(Duration::from_millis)
}

fn instant(name: &str, word: Option<Word>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    let text = word.map(Word::into_text).filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(None) };
    let instant = parse_time(&text, now)
        .map_err(|error| ApiError::bad_request(format!("`{name}`: {error}")))?;
    Ok(Some(instant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, secs) in [("90d", 7_776_000), ("12h", 43_200), ("0s", 0), ("2w", 1_209_600)] {
            assert_eq!(duration(text), Some(Duration::from_secs(secs)), "{text}");
        }
        for text in ["90", "-1d", "d", "", "9é", "1.5h", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn names_stand_between_commas() {
        assert_eq!(names(Some("a, b,,c")), ["a", "b", "c"]);
        assert!(names(None).is_empty());
    }
}
