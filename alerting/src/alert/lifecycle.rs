//! What people do with an alert: acknowledge, assign, resolve, reopen, write notes.
//!
//! Each act is one transaction with its entry in the timeline. An act that would change nothing
//! succeeds without an entry, so that a repeated click is harmless.

use logwarden_event::{AlertId, Timestamp};
use logwarden_store::{Catalog, CatalogError, SqlValue, Statement, Step};

use super::tables::{self, instant, text, text_or_null};
use super::{AlertState, Resolution, TimelineKind};
use crate::error::AlertingError;

/// Bytes of a note.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an assignee's name.
const NAME_BYTES_MAX: usize = 256;

/// Something a person does with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act<'a> {
    /// Says that they look at it.
    Acknowledge,
    /// Makes somebody responsible, or nobody.
    Assign(Option<&'a str>),
    /// Is done with it.
    Resolve {
        /// Why.
        reason: Resolution,
        /// In words.
        note: Option<&'a str>,
    },
    /// Is not done with it after all.
    Reopen,
    /// Writes something down.
    Note(&'a str),
}

impl Act<'_> {
    /// What a notification about it is called; `None`: nobody is told.
    pub(crate) const fn event(&self) -> Option<&'static str> {
        match self {
            Self::Acknowledge => Some("alert.acknowledged"),
            Self::Resolve { .. } => Some("alert.resolved"),
            Self::Reopen => Some("alert.reopened"),
            Self::Assign(_) | Self::Note(_) => None,
        }
    }

    /// Where the alert stands afterwards; `None`: where it stood.
    pub(crate) const fn leads_to(&self) -> Option<AlertState> {
        match self {
            Self::Acknowledge => Some(AlertState::Acknowledged),
            Self::Resolve { .. } => Some(AlertState::Resolved),
            Self::Reopen => Some(AlertState::Open),
            Self::Assign(_) | Self::Note(_) => None,
        }
    }
}

/// The statements of an act; empty when it changes nothing.
///
/// # Errors
///
/// [`AlertingError::Conflict`] when the alert's state does not allow it, [`AlertingError::Invalid`]
/// when a text breaks a bound.
pub(crate) fn statements(
    state: AlertState,
    id: AlertId,
    act: Act<'_>,
    actor: &str,
    now: Timestamp,
) -> Result<Vec<Statement>, AlertingError> {
    let entry = |kind, words: String| timeline_entry(id, kind, Some(actor), &words, now);
    let change = |sql: &'static str, value: SqlValue| Statement {
        sql,
        values: vec![text(id.to_string()), instant(now), value],
    };
    match act {
        Act::Acknowledge => match state {
            AlertState::Open => Ok(vec![
                change(
                    "UPDATE alerting_alerts SET state = 'acknowledged', updated_ns = ?2,
                        assignee = COALESCE(assignee, ?3) WHERE id = ?1 AND state = 'open'",
                    text(actor),
                ),
                entry(TimelineKind::Acknowledged, String::from("acknowledged")),
            ]),
            AlertState::Acknowledged => Ok(Vec::new()),
            AlertState::Resolved => Err(conflict("a resolved alert cannot be acknowledged")),
        },
        Act::Assign(assignee) => {
            check_length("assignee", assignee.unwrap_or("nobody"), NAME_BYTES_MAX)?;
            Ok(vec![
                change(
                    "UPDATE alerting_alerts SET assignee = ?3, updated_ns = ?2 WHERE id = ?1",
                    text_or_null(assignee),
                ),
                entry(
                    TimelineKind::Assigned,
                    assignee.map_or(String::from("unassigned"), |who| format!("assigned to {who}")),
                ),
            ])
        }
        Act::Resolve { .. } if state == AlertState::Resolved => {
            Err(conflict("the alert is resolved already"))
        }
        Act::Resolve { reason, note } => {
            let mut words = format!("resolved as {}", reason.name());
            let mut statements = vec![change(
                "UPDATE alerting_alerts SET state = 'resolved', resolution = ?3, updated_ns = ?2
                    WHERE id = ?1",
                text(reason.name()),
            )];
            if let Some(note) = note.filter(|note| !note.trim().is_empty()) {
                check_length("note", note, NOTE_BYTES_MAX)?;
                words.push_str(": ");
                words.push_str(note);
                statements.push(entry(TimelineKind::Note, note.to_owned()));
            }
            statements.push(entry(TimelineKind::Resolved, words));
            Ok(statements)
        }
        Act::Reopen if state != AlertState::Resolved => {
            Err(conflict("only a resolved alert can be reopened"))
        }
        Act::Reopen => Ok(vec![
            change(
                "UPDATE alerting_alerts SET state = 'open', resolution = ?3, updated_ns = ?2
                    WHERE id = ?1",
                SqlValue::Null,
            ),
            entry(TimelineKind::Reopened, String::from("reopened")),
        ]),
        Act::Note(note) => {
            check_length("note", note, NOTE_BYTES_MAX)?;
            Ok(vec![
                change(
                    "UPDATE alerting_alerts SET updated_ns = ?2 WHERE id = ?1 AND ?3 IS NULL",
                    SqlValue::Null,
                ),
                entry(TimelineKind::Note, note.to_owned()),
            ])
        }
    }
}

fn conflict(message: &str) -> AlertingError {
    AlertingError::Conflict(message.to_owned())
}

fn check_length(what: &str, given: &str, bytes_max: usize) -> Result<(), AlertingError> {
    if given.trim().is_empty() {
        return Err(AlertingError::Invalid(format!("{what} is empty")));
    }
    if given.len() > bytes_max {
        let found = given.len();
        return Err(AlertingError::Invalid(format!(
            "{what} has {found} bytes, the limit is {bytes_max}"
        )));
    }
    Ok(())
}

/// The statement that adds one entry to an alert's timeline. Its id comes from its content, so that
/// repeating the statement adds nothing.
pub(crate) fn timeline_entry(
    id: AlertId,
    kind: TimelineKind,
    actor: Option<&str>,
    words: &str,
    at: Timestamp,
) -> Statement {
    let entry_id = format!(
        "{:020}-{}",
        at.nanos(),
        crate::identity::hash_text(&[kind.name(), actor.unwrap_or_default(), words])
    );
    Statement {
        sql: "INSERT INTO alerting_timeline (alert_id, id, at_ns, kind, actor, text)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (alert_id, id) DO NOTHING",
        values: vec![
            text(id.to_string()),
            text(entry_id),
            instant(at),
            text(kind.name()),
            text_or_null(actor),
            text(words),
        ],
    }
}

/// Does an act; answers whether it changed the alert's state.
pub(crate) async fn perform(
    catalog: &dyn Catalog,
    id: AlertId,
    act: Act<'_>,
    actor: &str,
    now: Timestamp,
    notify: impl FnOnce(&tables::AlertRow) -> Vec<Statement>,
) -> Result<(), AlertingError> {
    let row = tables::row_of(catalog, id).await?.ok_or(AlertingError::NotFound)?;
    let mut statements = statements(row.summary.state, id, act, actor, now)?;
    if statements.is_empty() {
        return Ok(());
    }
    statements.extend(notify(&row));
    let step = Step { statements, ..Step::default() };
    match commit(catalog, step).await {
        Err(AlertingError::Catalog(CatalogError::Conflict(_))) => {
            Err(conflict("another alert of the same rule and group is open"))
        }
        other => other,
    }
}

/// Commits a step without checkpoints; repeats it while the catalog does not say what became of it.
/// Its statements must be repeatable.
pub(crate) async fn commit(catalog: &dyn Catalog, step: Step) -> Result<(), AlertingError> {
    const TRIES_MAX: u32 = 5;
    for _ in 1..TRIES_MAX {
        match catalog.step(step.clone()).await {
            Err(CatalogError::Unknown) => {}
            other => return Ok(other.map(|_| ())?),
        }
    }
    Ok(catalog.step(step).await.map(|_| ())?)
}
