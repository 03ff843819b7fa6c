//! Links by which whoever was told acknowledges an alert without signing in.
//!
//! In: an alert, the notification that carries the link, and who it goes to. Out: a token of
//! [`TOKEN_BYTES`] random bytes. The catalog keeps its SHA-256 only, so nobody who reads the catalog
//! can act with it. A token does one thing, to one alert, once, and ends after [`VALID_FOR`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::{AlertId, NotificationId, Timestamp};
use logwarden_store::{Catalog, Statement, Step};
use sha2::{Digest, Sha256};

use super::lifecycle::{Act, commit};
use super::tables::{Columns, instant, rows, text};
use super::wording::visible;
use super::{AlertState, AlertSummary, TimelineKind, tables};
use crate::{Alerting, AlertingError};

/// Random bytes of a token: nobody guesses one.
const TOKEN_BYTES: usize = 24;
/// How long a link can be used.
pub const VALID_FOR: Duration = Duration::from_secs(72 * 3_600);
/// How long it is known afterwards, to be called expired and not unknown.
const KNOWN_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// Characters of a recipient in an alert's timeline.
const RECIPIENT_CHARS_MAX: usize = 160;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It has ended; it says nothing about the alert any more.
    Expired,
    /// It can be used, or its work is done.
    Known(Box<KnownLink>),
}

/// A link that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLink {
    /// The alert.
    pub alert_id: AlertId,
    /// Its title, with controls made visible; its rule's where the notifier has a mask, or is gone.
    pub title: String,
    /// How bad it is.
    pub severity: crate::Level,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Who the link was sent to.
    pub recipient: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// Where the alert stands.
    pub state: LinkState,
}

/// Where the alert of a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Nobody has acknowledged it.
    Open,
    /// Somebody has: who, and when.
    Acknowledged {
        /// A user, or who a link was sent to.
        by: String,
        /// By our clock.
        at: Timestamp,
    },
    /// It is done with.
    Resolved,
    /// This link was used before, and the alert was opened again since.
    Used,
}

/// The name under which a link acts.
fn actor(recipient: &str) -> String {
    format!("{} (by mail link)", visible(recipient, RECIPIENT_CHARS_MAX))
}

fn hash_of(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a link for a notification that is about to be sent; answers its token. Links that were
/// known long enough are forgotten.
pub(crate) async fn issue(
    catalog: &dyn Catalog,
    (alert, notification): (AlertId, NotificationId),
    recipient: &str,
    now: Timestamp,
) -> Result<String, AlertingError> {
    let mut bytes = [0u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| AlertingError::Invalid(format!("no random numbers: {error}")))?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let forget = Statement {
        sql: "DELETE FROM alerting_links WHERE expires_ns < ?1",
        values: vec![instant(now.saturating_sub(KNOWN_AFTER))],
    };
    let insert = Statement {
        sql: "INSERT INTO alerting_links (hash, alert_id, notification_id, recipient, expires_ns)
            VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (hash) DO NOTHING",
        values: vec![
            text(hash_of(&token)),
            text(alert.to_string()),
            text(notification.to_string()),
            text(recipient),
            instant(now.saturating_add(VALID_FOR)),
        ],
    };
    commit(catalog, Step { statements: vec![forget, insert], ..Step::default() }).await?;
    Ok(token)
}

struct Row {
    alert_id: AlertId,
    /// Through which notifier it was sent.
    notifier: Option<String>,
    recipient: String,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

async fn find(catalog: &dyn Catalog, token: &str) -> Result<Row, AlertingError> {
    let statement = Statement {
        sql: "SELECT l.alert_id, o.notifier, l.recipient, l.expires_ns, l.used_ns
            FROM alerting_links l LEFT JOIN alerting_outbox o ON o.id = l.notification_id
            WHERE l.hash = ?1",
        values: vec![text(hash_of(token))],
    };
    let answers = catalog.query(vec![statement]).await?;
    let row = rows(&answers, 0).first().ok_or(AlertingError::NotFound)?;
    let mut columns = Columns::of(row);
    Ok(Row {
        alert_id: columns.id()?,
        notifier: columns.optional_text()?.map(str::to_owned),
        recipient: columns.text()?.to_owned(),
        expires_at: columns.instant()?,
        used_at: columns.optional_instant()?,
    })
}

impl Alerting {
    /// What the link of a token leads to; changes nothing.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`] when there is no such link, [`AlertingError::Catalog`].
    pub async fn link(&self, token: &str) -> Result<Link, AlertingError> {
        let store = &self.shared.store;
        let row = find(&*store.catalog, token).await?;
        if row.expires_at <= store.clock.now() {
            return Ok(Link::Expired);
        }
        let found = tables::row_of(&*store.catalog, row.alert_id).await?;
        let summary = found.ok_or(AlertingError::NotFound)?.summary;
        let state = self.state_of(&summary, row.used_at).await?;
        Ok(Link::Known(Box::new(KnownLink {
            alert_id: row.alert_id,
            title: visible(self.title_for(row.notifier.as_deref(), &summary), 300),
            severity: summary.severity,
            opened_at: summary.opened_at,
            recipient: row.recipient,
            expires_at: row.expires_at,
            state,
        })))
    }

    /// What receivers may see: where something is hidden from them, the rule alone.
    fn title_for<'s>(&self, notifier: Option<&str>, summary: &'s AlertSummary) -> &'s str {
        let routing = self.shared.routing();
        let known = routing.notifiers().iter().find(|known| Some(known.name.as_str()) == notifier);
        match known {
            Some(known) if known.mask.is_empty() => &summary.title,
            _ => &summary.rule.title,
        }
    }

    async fn state_of(
        &self,
        summary: &AlertSummary,
        used_at: Option<Timestamp>,
    ) -> Result<LinkState, AlertingError> {
        match summary.state {
            AlertState::Open if used_at.is_some() => Ok(LinkState::Used),
            AlertState::Open => Ok(LinkState::Open),
            AlertState::Resolved => Ok(LinkState::Resolved),
            AlertState::Acknowledged => {
                let alert = tables::load(&*self.shared.store.catalog, summary.id).await?;
                let entries = alert.timeline.into_iter().rev();
                let mut done = entries.filter(|entry| entry.kind == TimelineKind::Acknowledged);
                let (by, at) = done.next().map_or_else(
                    || (String::from("somebody"), summary.updated_at),
                    |entry| (entry.actor.unwrap_or_default(), entry.at),
                );
                Ok(LinkState::Acknowledged { by: visible(&by, 256), at })
            }
        }
    }

    /// Acknowledges the alert of a link that can be used, in the recipient's name. What the link
    /// leads to then; one whose work is done changes nothing. The name under which it was done, when
    /// it was done now.
    ///
    /// # Errors
    ///
    /// As [`Alerting::link`] and [`Alerting::act`].
    pub async fn use_link(&self, token: &str) -> Result<(Link, Option<String>), AlertingError> {
        let Link::Known(known) = self.link(token).await? else {
            return Ok((Link::Expired, None));
        };
        if known.state != LinkState::Open {
            return Ok((Link::Known(known), None));
        }
        let actor = actor(&known.recipient);
        let now = self.shared.store.clock.now();
        let used = Statement {
            sql: "UPDATE alerting_links SET used_ns = ?2 WHERE hash = ?1 AND used_ns IS NULL",
            values: vec![text(hash_of(token)), instant(now)],
        };
        self.act_with(known.alert_id, Act::Acknowledge, &actor, vec![used]).await?;
        Ok((self.link(token).await?, Some(actor)))
    }
}
