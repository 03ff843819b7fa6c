//! The one place that decides who may do what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes records, reads nothing.
    Ingest,
    /// Searches and sees alerts.
    Reader,
    /// A reader who handles alerts and writes rules and silences.
    Analyst,
    /// Everything.
    Admin,
    /// Reads metrics.
    Metrics,
}

impl Role {
    /// Every role, in the order of the manual.
    pub const ALL: [Self; 5] =
        [Self::Ingest, Self::Reader, Self::Analyst, Self::Admin, Self::Metrics];

    /// The name, as in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Reader => "reader",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: ingest, reader, analyst, admin or metrics")]
pub struct NoRole(pub String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| NoRole(text.to_owned()))
    }
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A user with a session.
    User,
    /// A token.
    Token,
    /// A client certificate.
    Certificate,
}

impl PrincipalKind {
    /// The word in the API and the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// The user, token or certificate on whose behalf something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's or token's name, or one in the certificate.
    pub name: String,
    /// How they proved it.
    pub kind: PrincipalKind,
    /// What they are here for.
    pub role: Role,
    /// What their role is called: that of `role`, or the name of one that narrows it.
    pub role_name: String,
    /// The only source they may write as or, for readers, see.
    pub source: Option<String>,
    /// Queries that every event they see must match, all of them.
    pub filters: Vec<String>,
    /// Fields that are hidden from them.
    pub mask: Vec<String>,
}

impl Principal {
    /// Somebody with this role and no bounds.
    pub fn unbound(name: &str, kind: PrincipalKind, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            role,
            role_name: role.to_string(),
            source: None,
            filters: Vec::new(),
            mask: Vec::new(),
        }
    }

    /// Whether no event, and no part of one, is out of their sight.
    pub fn sees_everything(&self) -> bool {
        self.source.is_none() && self.filters.is_empty() && self.mask.is_empty()
    }
}

/// Something a principal may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Write records.
    Ingest,
    /// Search, count, facets, fields, tail.
    Search,
    /// Take out everything that matches a query.
    Export,
    /// See records of our own: dead letters, alerts, source health, self-test.
    ReadOwnRecords,
    /// See the audit records.
    ReadAudit,
    /// See alerts.
    ReadAlerts,
    /// See how long alerts took, all together.
    ReadAlertLatency,
    /// Acknowledge, assign, resolve, reopen alerts and write notes.
    HandleAlerts,
    /// See, check and test rules.
    ReadRules,
    /// Write, enable, disable and import rules.
    WriteRules,
    /// See silences.
    ReadSilences,
    /// Write silences.
    WriteSilences,
    /// See notifiers, routes and deliveries.
    ReadNotifiers,
    /// Write notifiers and routes, send tests.
    WriteNotifiers,
    /// See sources and how they are.
    ReadSources,
    /// Write sources.
    WriteSources,
    /// See saved searches and dashboards.
    ReadSaved,
    /// Write saved searches and dashboards.
    WriteSaved,
    /// See dead letters and send them through normalization again.
    HandleDeadLetters,
    /// See or change retention.
    ManageRetention,
    /// See, make and revoke tokens.
    ManageTokens,
    /// See, make, change and delete users, end sessions.
    ManageUsers,
    /// See the configuration, secrets masked.
    ReadConfig,
    /// See how the node is, in detail.
    ReadHealth,
    /// Take note of what the journal lost, so that the node is ready again.
    AcknowledgeDamage,
    /// Read metrics.
    ReadMetrics,
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// Nothing in particular, or something every holder of the role may touch.
    Any,
    /// A source, by name.
    Source(&'a str),
}

/// The principal may not do that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{principal}` with role `{role}` may not do that")]
pub struct Denied {
    /// Who wanted to.
    pub principal: String,
    /// Their role.
    pub role: Role,
    /// What they wanted to do.
    pub action: Action,
}

/// Decides whether `principal` may do `action` to `object`. Nothing else does.
///
/// # Errors
///
/// [`Denied`] unless the role allows the action and the principal's source, if any, is the object.
pub fn authorize(principal: &Principal, action: Action, object: &Object<'_>) -> Result<(), Denied> {
    let is_own_source = match (object, &principal.source) {
        (Object::Source(source), Some(own)) => source == own,
        _ => true,
    };
    let is_in_view = principal.sees_everything() || !is_about_all_events(action);
    if is_own_source && is_in_view && role_allows(principal.role, action) {
        return Ok(());
    }
    Err(Denied { principal: principal.name.clone(), role: principal.role, action })
}

/// Whether it tells about all events: who sees a part of them must not do it.
///
/// A rule can be written to count any event, a silence mutes alerts about any, retention deletes any, and
/// whoever makes tokens and users makes one that sees all. Rules, routes and
/// notifiers themselves are no events: they can be read. Of alerts, and of the silences and deliveries about
/// them, who sees a part sees what is seen of their evidence.
fn is_about_all_events(action: Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::ReadOwnRecords
            | A::ReadAudit
            | A::ReadAlertLatency
            | A::WriteRules
            | A::WriteSilences
            | A::WriteNotifiers
            | A::HandleDeadLetters
            | A::ManageRetention
            | A::ManageTokens
            | A::ManageUsers
    )
}

fn role_allows(role: Role, action: Action) -> bool {
    match role {
        Role::Ingest => action == Action::Ingest,
        Role::Metrics => action == Action::ReadMetrics,
        Role::Reader => reader_may(action),
        Role::Analyst => reader_may(action) || analyst_may(action),
        Role::Admin => true,
    }
}

fn reader_may(action: Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::Search
            | A::Export
            | A::ReadAlerts
            | A::ReadAlertLatency
            | A::ReadRules
            | A::ReadSilences
            | A::ReadSources
            | A::ReadSaved
            | A::ReadHealth
    )
}

fn analyst_may(action: Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::HandleAlerts | A::WriteRules | A::WriteSilences | A::ReadNotifiers | A::WriteSaved
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(role: Role) -> Principal {
        Principal::unbound("ana", PrincipalKind::User, role)
    }

    #[test]
    fn who_writes_cannot_read_and_who_reads_cannot_write() {
        let check = |role, action, may: bool| {
            assert_eq!(authorize(&principal(role), action, &Object::Any).is_ok(), may, "{role}");
        };
        check(Role::Ingest, Action::Ingest, true);
        check(Role::Ingest, Action::Search, false);
        check(Role::Ingest, Action::ReadMetrics, false);
        check(Role::Reader, Action::Search, true);
        check(Role::Reader, Action::Ingest, false);
        check(Role::Reader, Action::HandleAlerts, false);
        check(Role::Reader, Action::ReadAudit, false);
        check(Role::Analyst, Action::WriteRules, true);
        check(Role::Analyst, Action::WriteNotifiers, false);
        check(Role::Analyst, Action::ManageTokens, false);
        check(Role::Analyst, Action::AcknowledgeDamage, false);
        check(Role::Metrics, Action::ReadMetrics, true);
        check(Role::Metrics, Action::Search, false);
        check(Role::Admin, Action::Ingest, true);
        check(Role::Admin, Action::ReadAudit, true);
    }

    #[test]
    fn a_source_binds() {
        let mut bound = principal(Role::Ingest);
        bound.source = Some("shop".to_owned());
        assert!(authorize(&bound, Action::Ingest, &Object::Source("shop")).is_ok());
        assert!(authorize(&bound, Action::Ingest, &Object::Source("bank")).is_err());
    }

    #[test]
    fn whoever_sees_a_part_learns_nothing_about_all() {
        let check = |bind: fn(&mut Principal)| {
            let mut bound = principal(Role::Admin);
            bind(&mut bound);
            for action in [
                Action::ReadAudit,
                Action::WriteSilences,
                Action::WriteRules,
                Action::ManageTokens,
                Action::ManageUsers,
                Action::ManageRetention,
            ] {
                assert!(authorize(&bound, action, &Object::Any).is_err(), "{action:?}");
            }
            for action in [Action::Search, Action::ReadAlerts, Action::ReadRules] {
                assert!(authorize(&bound, action, &Object::Any).is_ok(), "{action:?}");
            }
        };
        check(|bound| bound.filters = vec!["source:shop".to_owned()]);
        check(|bound| bound.mask = vec!["user".to_owned()]);
        check(|bound| bound.source = Some("shop".to_owned()));
    }
}
