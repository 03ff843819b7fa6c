//! Silences: time spans in which matching alerts notify nobody. The alerts still exist and say who
//! silenced them, until when and why.
//!
//! Every silence has an end and a reason, and names a rule, an entity, or both. Ended ones stay
//! readable for [`KEPT_AFTER_END`].

use std::time::Duration;

use logwarden_event::Timestamp;
use logwarden_store::{Catalog, Migration, Row, Statement, Step};

use crate::alert::lifecycle::commit;
use crate::alert::sight::{self, Viewer};
use crate::alert::tables::{self, Columns, instant, rows, text, text_or_null};
use crate::alert::{ALERTS_PAGE_MAX, AlertQuery, AlertSummary, EVIDENCE_MESSAGE_BYTES_MAX};
use crate::{Alerting, AlertingError};

/// Silences in force or to come; further ones are refused.
pub const SILENCES_MAX: usize = 1_000;
/// The longest silence.
pub const SILENCE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;
/// Bytes of a rule or entity: those of an alert's entity.
const WORD_BYTES_MAX: usize = EVIDENCE_MESSAGE_BYTES_MAX;
/// How long an ended silence can be read.
const KEPT_AFTER_END: Duration = Duration::from_secs(30 * 86_400);
/// What a preview looks back over.
const PREVIEW_OVER: Duration = Duration::from_secs(86_400);
/// Whose tables these are.
pub(crate) const ROOM: &str = "alerting_silences";

pub(crate) const MIGRATIONS: &[Migration] = &["
    CREATE TABLE alerting_silences (
        id TEXT NOT NULL PRIMARY KEY,
        rule_id TEXT,
        entity TEXT,
        reason TEXT NOT NULL,
        author TEXT NOT NULL,
        created_ns BIGINT NOT NULL,
        ends_ns BIGINT NOT NULL,
        ended_by TEXT
    );
    CREATE INDEX alerting_silences_by_end ON alerting_silences (ends_ns);
"];

/// Which alerts a silence mutes: those of the rule, about the entity, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Muted {
    /// The rule's id; `None`: any rule.
    pub rule_id: Option<String>,
    /// A value of the alert's entity or group, such as an address; `None`: any.
    pub entity: Option<String>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Names it.
    pub id: String,
    /// Which alerts it mutes.
    pub muted: Muted,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When it was made and began.
    pub created_at: Timestamp,
    /// When it ends or ended.
    pub ends_at: Timestamp,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
}

impl Muted {
    /// Whether an alert is among them.
    pub fn covers(&self, alert: &AlertSummary) -> bool {
        let is_rule = self.rule_id.as_ref().is_none_or(|id| *id == alert.rule.id);
        let is_entity = self.entity.as_ref().is_none_or(|value| {
            alert.entity.as_ref().is_some_and(|entity| entity.value == *value)
                || alert.group.iter().any(|(_, known)| known == value)
        });
        is_rule && is_entity
    }
}

impl Silence {
    /// What an alert's timeline says that it muted.
    pub(crate) fn words(&self) -> String {
        let Self { author, ends_at, reason, .. } = self;
        format!("nobody is told: silenced by {author} until {ends_at}: {reason}")
    }
}

impl Alerting {
    /// Those in force and those that ended in the last month that `viewer` sees, those that end last first.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Catalog`], and [`AlertingError::Evidence`] when it cannot be told what somebody
    /// sees who sees a part.
    pub async fn silences(&self, viewer: &Viewer) -> Result<Vec<Silence>, AlertingError> {
        let known = self.known_silences().await?;
        if viewer.visibility.is_partial() {
            return sight::silences(&self.shared, known, viewer).await;
        }
        Ok(known)
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`]; otherwise as [`Alerting::silences`].
    pub async fn silence(&self, id: &str, viewer: &Viewer) -> Result<Silence, AlertingError> {
        let known = self.silences(viewer).await?;
        known.into_iter().find(|silence| silence.id == id).ok_or(AlertingError::NotFound)
    }

    async fn known_silences(&self) -> Result<Vec<Silence>, AlertingError> {
        let store = &self.shared.store;
        load(&*store.catalog, store.clock.now().saturating_sub(KEPT_AFTER_END)).await
    }

    /// Begins a silence.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Invalid`] when it names nothing or no rule that there is, has no reason or no
    /// sensible end;
    /// [`AlertingError::Conflict`] when there are [`SILENCES_MAX`] already.
    pub async fn create_silence(
        &self,
        muted: Muted,
        reason: &str,
        ends_at: Timestamp,
        author: &str,
    ) -> Result<Silence, AlertingError> {
        let store = &self.shared.store;
        let now = store.clock.now();
        let (muted, reason) = self.sound(muted, reason, ends_at)?;
        if load(&*store.catalog, now).await?.len() >= SILENCES_MAX {
            let message = format!("{SILENCES_MAX} silences are in force already");
            return Err(AlertingError::Conflict(message));
        }
        let silence = Silence {
            id: new_id(&muted, author, now),
            muted,
            reason,
            author: author.to_owned(),
            created_at: now,
            ends_at,
            ended_by: None,
        };
        let statement = Statement {
            sql: "INSERT INTO alerting_silences
                    (id, rule_id, entity, reason, author, created_ns, ends_ns)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            values: vec![
                text(silence.id.clone()),
                text_or_null(silence.muted.rule_id.as_deref()),
                text_or_null(silence.muted.entity.as_deref()),
                text(silence.reason.clone()),
                text(silence.author.clone()),
                instant(silence.created_at),
                instant(silence.ends_at),
            ],
        };
        commit(&*store.catalog, Step { statements: vec![statement], ..Step::default() }).await?;
        Ok(silence)
    }

    /// Gives a silence in force another scope, reason and end; its author stays.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`], [`AlertingError::Conflict`] when it has ended, and otherwise as
    /// [`Alerting::create_silence`].
    pub async fn change_silence(
        &self,
        id: &str,
        muted: Muted,
        reason: &str,
        ends_at: Timestamp,
    ) -> Result<Silence, AlertingError> {
        let store = &self.shared.store;
        let viewer = Viewer::of_everything("");
        self.silence(id, &viewer).await?;
        let (muted, reason) = self.sound(muted, reason, ends_at)?;
        let statement = Statement {
            sql: "UPDATE alerting_silences SET rule_id = ?3, entity = ?4, reason = ?5, ends_ns = ?6
                WHERE id = ?1 AND ends_ns > ?2",
            values: vec![
                text(id),
                instant(store.clock.now()),
                text_or_null(muted.rule_id.as_deref()),
                text_or_null(muted.entity.as_deref()),
                text(reason.clone()),
                instant(ends_at),
            ],
        };
        commit(&*store.catalog, Step { statements: vec![statement], ..Step::default() }).await?;
        let changed = self.silence(id, &viewer).await?;
        if (&changed.muted, &changed.reason, changed.ends_at) != (&muted, &reason, ends_at) {
            return Err(AlertingError::Conflict(String::from("the silence has ended")));
        }
        Ok(changed)
    }

    /// What a silence mutes, by the rule's id, and why.
    fn sound(
        &self,
        mut muted: Muted,
        reason: &str,
        ends_at: Timestamp,
    ) -> Result<(Muted, String), AlertingError> {
        let now = self.shared.store.clock.now();
        check(&muted)?;
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(invalid(format!("a reason has 1 to {REASON_BYTES_MAX} bytes")));
        }
        if ends_at <= now || ends_at.since(now) > SILENCE_MAX {
            return Err(invalid("a silence ends within the next 90 days"));
        }
        if let Some(id) = &mut muted.rule_id {
            let rules = self.shared.rules();
            let rule = rules.find(id).ok_or_else(|| invalid(format!("there is no rule `{id}`")))?;
            id.clone_from(&rule.id);
        }
        Ok((muted, reason.to_owned()))
    }

    /// Ends a silence now; one that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`].
    pub async fn end_silence(&self, id: &str, actor: &str) -> Result<Silence, AlertingError> {
        let store = &self.shared.store;
        let now = store.clock.now();
        let find = async || {
            let known = self.known_silences().await?;
            known.into_iter().find(|silence| silence.id == id).ok_or(AlertingError::NotFound)
        };
        find().await?;
        let statement = Statement {
            sql: "UPDATE alerting_silences SET ends_ns = ?2, ended_by = ?3
                WHERE id = ?1 AND ends_ns > ?2",
            values: vec![text(id), instant(now), text(actor)],
        };
        commit(&*store.catalog, Step { statements: vec![statement], ..Step::default() }).await?;
        find().await
    }

    /// The alerts of the last 24 hours that a silence would have muted, of those that `viewer` sees, newest
    /// first.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Invalid`] when it names nothing; otherwise as [`Alerting::silences`].
    pub async fn preview_silence(
        &self,
        muted: &Muted,
        viewer: &Viewer,
    ) -> Result<Vec<AlertSummary>, AlertingError> {
        check(muted)?;
        let since = self.shared.store.clock.now().saturating_sub(PREVIEW_OVER);
        let query = AlertQuery {
            rule: muted.rule_id.clone(),
            entity: muted.entity.clone(),
            limit: ALERTS_PAGE_MAX,
            ..AlertQuery::default()
        };
        let mut alerts = match viewer.visibility.is_partial() {
            true => sight::newest(&self.shared, viewer).await?,
            false => tables::page(&*self.shared.store.catalog, &query).await?.items,
        };
        alerts.retain(|alert| alert.opened_at >= since && muted.covers(alert));
        Ok(alerts)
    }
}

/// Those that have not ended before `since`.
pub(crate) async fn load(
    catalog: &dyn Catalog,
    since: Timestamp,
) -> Result<Vec<Silence>, AlertingError> {
    let statement = Statement {
        sql: "SELECT id, rule_id, entity, reason, author, created_ns, ends_ns, ended_by
            FROM alerting_silences WHERE ends_ns > ?1 ORDER BY ends_ns DESC, id",
        values: vec![instant(since)],
    };
    let answers = catalog.query(vec![statement]).await?;
    rows(&answers, 0).iter().map(read).collect()
}

fn read(row: &Row) -> Result<Silence, AlertingError> {
    let mut columns = Columns::of(row);
    let id = columns.text()?.to_owned();
    let rule_id = columns.optional_text()?.map(str::to_owned);
    let entity = columns.optional_text()?.map(str::to_owned);
    Ok(Silence {
        id,
        muted: Muted { rule_id, entity },
        reason: columns.text()?.to_owned(),
        author: columns.text()?.to_owned(),
        created_at: columns.instant()?,
        ends_at: columns.instant()?,
        ended_by: columns.optional_text()?.map(str::to_owned),
    })
}

fn check(muted: &Muted) -> Result<(), AlertingError> {
    let words = [&muted.rule_id, &muted.entity];
    if words.iter().all(|word| word.as_deref().is_none_or(str::is_empty)) {
        return Err(invalid("a silence names a rule, an entity, or both"));
    }
    if words.into_iter().flatten().any(|word| word.is_empty() || word.len() > WORD_BYTES_MAX) {
        return Err(invalid(format!("a rule or entity has 1 to {WORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn new_id(muted: &Muted, author: &str, now: Timestamp) -> String {
    let nanos = now.nanos().to_string();
    let rule = muted.rule_id.as_deref().unwrap_or_default();
    let entity = muted.entity.as_deref().unwrap_or_default();
    crate::identity::hash_text(&[rule, entity, author, &nanos])
}

fn invalid(message: impl Into<String>) -> AlertingError {
    AlertingError::Invalid(message.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn opened() -> Arc<Alerting> {
        let (store, _) = logwarden_store::Store::simulated(7);
        Alerting::open(store, crate::Config::default()).await.expect("opened")
    }

    /// One of the bundled rules.
    const RULE: &str = "failed_login_spike";

    fn of_rule(id: &str) -> Muted {
        Muted { rule_id: Some(id.to_owned()), entity: None }
    }

    #[tokio::test]
    async fn a_silence_begins_and_is_ended_before_its_time() {
        let alerting = opened().await;
        let now = alerting.shared.store.clock.now();
        let ends_at = now.saturating_add(Duration::from_secs(7_200));
        let begun = alerting.create_silence(of_rule(RULE), " load test ", ends_at, "ana").await;
        let begun = begun.expect("begun");
        assert_eq!(begun.reason, "load test");
        let known = alerting.silences(&Viewer::of_everything("ana")).await.expect("read");
        assert_eq!(known, std::slice::from_ref(&begun));
        assert!(begun.words().starts_with("nobody is told: silenced by ana until "));
        let about = Muted { rule_id: None, entity: Some("10.2.0.9".to_owned()) };
        let later = ends_at.saturating_add(Duration::from_secs(60));
        let change = alerting.change_silence(&begun.id, about.clone(), "longer", later).await;
        let changed = change.expect("changed");
        assert_eq!((&changed.muted, &*changed.reason, changed.ends_at), (&about, "longer", later));
        assert_eq!((changed.author, changed.created_at), (begun.author, begun.created_at));
        let ended = alerting.end_silence(&begun.id, "bob").await.expect("ended");
        assert_eq!(ended.ended_by.as_deref(), Some("bob"));
        assert!(ended.ends_at <= alerting.shared.store.clock.now());
        let late = alerting.change_silence(&begun.id, about.clone(), "longer", later).await;
        assert!(matches!(late, Err(AlertingError::Conflict(_))), "{late:?}");
        let missing = alerting.change_silence("none", about, "longer", later).await;
        assert!(matches!(missing, Err(AlertingError::NotFound)), "{missing:?}");
        let missing = alerting.end_silence("none", "bob").await;
        assert!(matches!(missing, Err(AlertingError::NotFound)), "{missing:?}");
    }

    #[tokio::test]
    async fn a_silence_without_end_reason_or_scope_is_refused() {
        let alerting = opened().await;
        let now = alerting.shared.store.clock.now();
        let later = now.saturating_add(Duration::from_secs(60));
        let too_late = now.saturating_add(SILENCE_MAX + Duration::from_secs(60));
        for (muted, reason, ends_at) in [
            (Muted::default(), "why", later),
            (of_rule(""), "why", later),
            (of_rule("no_such_rule"), "why", later),
            (of_rule(RULE), "  ", later),
            (of_rule(RULE), "why", now),
            (of_rule(RULE), "why", too_late),
        ] {
            let refused = alerting.create_silence(muted, reason, ends_at, "ana").await;
            assert!(matches!(refused, Err(AlertingError::Invalid(_))), "{refused:?}");
        }
    }
}
