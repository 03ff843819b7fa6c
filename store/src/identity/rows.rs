//! From rows of the catalog to values, and back.

use logwarden_event::Timestamp;

use crate::catalog::{Catalog, CatalogError, Row, SqlValue, Statement, Step, StepOutcome};

/// Repetitions of a step whose outcome is unknown, before the caller is told so.
const STEP_ATTEMPTS_MAX: usize = 3;

pub(super) fn select_version() -> Statement {
    Statement { sql: "SELECT version FROM identity_version WHERE one = 1", values: Vec::new() }
}

/// The version in the first answer.
pub(super) fn version_of(answers: &[Vec<Row>]) -> i64 {
    match answers.first().and_then(|rows| rows.first()).and_then(|row| row.0.first()) {
        Some(SqlValue::Integer(version)) => *version,
        _ => 0,
    }
}

/// Does statements in one transaction; answers how many rows each changed.
pub(super) async fn change(
    catalog: &dyn Catalog,
    statements: Vec<Statement>,
) -> Result<Vec<usize>, CatalogError> {
    let mut attempt = 1;
    loop {
        let step = Step { statements: statements.clone(), ..Step::default() };
        match catalog.step(step).await {
            Ok(StepOutcome::Done { changed, .. }) => return Ok(changed),
            Ok(_) => return Err(unexpected("outcome of a step")),
            Err(CatalogError::Unknown) if attempt < STEP_ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn unexpected(what: &str) -> CatalogError {
    CatalogError::Failed(format!("unexpected {what} among users and tokens"))
}

pub(super) fn text(value: &SqlValue) -> Result<String, CatalogError> {
    match value {
        SqlValue::Text(text) => Ok(text.clone()),
        _ => Err(unexpected("value")),
    }
}

pub(super) fn optional_text(value: &SqlValue) -> Result<Option<String>, CatalogError> {
    match value {
        SqlValue::Null => Ok(None),
        value => text(value).map(Some),
    }
}

pub(super) fn time(value: &SqlValue) -> Result<Timestamp, CatalogError> {
    match value {
        SqlValue::Integer(nanos) => Ok(Timestamp::from_nanos(*nanos)),
        _ => Err(unexpected("time")),
    }
}

pub(super) fn optional_time(value: &SqlValue) -> Result<Option<Timestamp>, CatalogError> {
    match value {
        SqlValue::Null => Ok(None),
        value => time(value).map(Some),
    }
}

pub(super) fn hash(value: &SqlValue) -> Result<[u8; 32], CatalogError> {
    match value {
        SqlValue::Blob(bytes) => bytes.as_slice().try_into().map_err(|_| unexpected("hash")),
        _ => Err(unexpected("hash")),
    }
}

pub(super) fn from_text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

pub(super) fn from_optional(text: Option<&str>) -> SqlValue {
    text.map_or(SqlValue::Null, from_text)
}

pub(super) fn from_time(at: Timestamp) -> SqlValue {
    SqlValue::Integer(at.nanos())
}
