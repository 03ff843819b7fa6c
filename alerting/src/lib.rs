//! Rules, detections, alerts and notifications.
//!
//! One direction: rule files become rules ([`rule`]), the detector follows the journal and runs
//! them over every event, a detection opens or joins an alert ([`alert`]), and notifiers tell
//! people about it from an outbox that shares the alert's transaction ([`notify`]).

pub mod alert;
mod bundled;
pub mod config;
pub mod engine;
mod error;
mod identity;
pub mod matcher;
pub mod metrics;
pub mod notify;
pub mod rule;
#[cfg(test)]
mod sample;
mod testing;
pub mod window;

use std::sync::Arc;

use logwarden_event::{AlertId, Event, Position};
use logwarden_store::Store;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use alert::lifecycle::{Act, NOTE_BYTES_MAX};
pub use alert::tables::{DeliveryPage, DeliveryQuery};
pub use alert::{Alert, AlertPage, AlertQuery, AlertState, AlertSummary, Resolution};
pub use config::{Config, NotifierConfig, RouteConfig, RulesConfig};
pub use error::AlertingError;
pub use notify::{NotifierState, NotifierSummary, TestAnswer};
pub use rule::{
    Level, Match, Problem, Report, RuleFile, RuleSet, RuleState, RuleSummary, RuleTest,
    read_rule_files,
};

/// How alerting is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Up to where the detector's effects are durable.
    pub position: Position,
    /// Records of the journal it has yet to look at.
    pub lag_events: u64,
    /// Rules in use.
    pub rules: usize,
    /// What is wrong with rule files.
    pub rule_problems: usize,
    /// Notifications waiting to be sent.
    pub notifications_pending: u64,
    /// Notifications given up.
    pub notifications_failed: u64,
    /// Why the detector stands still, when it does.
    pub stalled: Option<String>,
}

/// The role: rules, alerts and notifications on one store.
pub struct Alerting {
    store: Store,
    rules: std::sync::RwLock<Arc<RuleSet>>,
    /// Held by whoever writes alerts, so that what was read stays true until it is written.
    writing: Mutex<()>,
}

impl Alerting {
    /// Opens the tables and loads rules and notifiers.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Config`] when the configuration cannot be used, [`AlertingError::Catalog`]
    /// when the tables cannot be opened.
    pub async fn open(store: Store, config: Config) -> Result<Arc<Self>, AlertingError> {
        store.catalog.migrate(alert::tables::ROOM, alert::tables::MIGRATIONS).await?;
        let rules = RuleSet::load(&[]).0;
        let _ = config;
        Ok(Arc::new(Self {
            store,
            rules: std::sync::RwLock::new(Arc::new(rules)),
            writing: Mutex::new(()),
        }))
    }

    /// Works until `shutdown`: follows the journal and sends notifications.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        shutdown.cancelled().await;
    }

    /// Takes a new configuration and reads the rule files again.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Config`]; the old configuration then stays in force.
    pub async fn reload(&self, config: Config) -> Result<(), AlertingError> {
        let _ = config;
        Ok(())
    }

    /// Alerts, newest first.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Cursor`] and [`AlertingError::Catalog`].
    pub async fn alerts(&self, query: &AlertQuery) -> Result<AlertPage, AlertingError> {
        alert::tables::page(&*self.store.catalog, query).await
    }

    /// All there is to know about one alert.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`] and [`AlertingError::Catalog`].
    pub async fn alert(&self, id: AlertId) -> Result<Alert, AlertingError> {
        alert::tables::load(&*self.store.catalog, id).await
    }

    /// Does something with an alert on behalf of `actor`; answers the alert as it is then.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`], [`AlertingError::Conflict`] when its state does not allow it,
    /// [`AlertingError::Invalid`] when a text breaks a bound.
    pub async fn act(
        &self,
        id: AlertId,
        act: Act<'_>,
        actor: &str,
    ) -> Result<Alert, AlertingError> {
        {
            let _writing = self.writing.lock().await;
            let now = self.store.clock.now();
            alert::lifecycle::perform(&*self.store.catalog, id, act, actor, now, |_| Vec::new())
                .await?;
        }
        self.alert(id).await
    }

    /// Says that `actor` looks at it. Errors as [`Alerting::act`].
    pub async fn acknowledge(&self, id: AlertId, actor: &str) -> Result<Alert, AlertingError> {
        self.act(id, Act::Acknowledge, actor).await
    }

    /// Makes `assignee` responsible, or nobody. Errors as [`Alerting::act`].
    pub async fn assign(
        &self,
        id: AlertId,
        actor: &str,
        assignee: Option<&str>,
    ) -> Result<Alert, AlertingError> {
        self.act(id, Act::Assign(assignee), actor).await
    }

    /// Is done with it. Errors as [`Alerting::act`].
    pub async fn resolve(
        &self,
        id: AlertId,
        actor: &str,
        reason: Resolution,
        note: Option<&str>,
    ) -> Result<Alert, AlertingError> {
        self.act(id, Act::Resolve { reason, note }, actor).await
    }

    /// Is not done with it after all. Errors as [`Alerting::act`].
    pub async fn reopen(&self, id: AlertId, actor: &str) -> Result<Alert, AlertingError> {
        self.act(id, Act::Reopen, actor).await
    }

    /// Writes something down. Errors as [`Alerting::act`].
    pub async fn add_note(
        &self,
        id: AlertId,
        actor: &str,
        note: &str,
    ) -> Result<Alert, AlertingError> {
        self.act(id, Act::Note(note), actor).await
    }

    /// The rules in use, testing and disabled, in the order they were loaded.
    pub fn rules(&self) -> Vec<RuleSummary> {
        self.rule_set().summaries()
    }

    /// What is wrong with the rule files.
    pub fn rule_problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Who can be told about alerts.
    pub fn notifiers(&self) -> Vec<NotifierSummary> {
        Vec::new()
    }

    /// Sends a test notification now; answers what the receiver said.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`].
    pub async fn test_notifier(&self, id: &str) -> Result<TestAnswer, AlertingError> {
        let _ = id;
        Err(AlertingError::NotFound)
    }

    /// Notifications, newest first.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Cursor`] and [`AlertingError::Catalog`].
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<DeliveryPage, AlertingError> {
        alert::tables::deliveries(&*self.store.catalog, query).await
    }

    /// How alerting is doing.
    pub fn health(&self) -> Health {
        Health::default()
    }

    fn rule_set(&self) -> Arc<RuleSet> {
        self.rules.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// Parses rule files and says what is wrong with them.
pub fn check_rules(files: &[RuleFile]) -> Report {
    let (rules, problems) = RuleSet::load(files);
    Report { rules: rules.summaries(), problems, state_bytes_max: rules.state_bytes_max() }
}

/// Runs rules over events as the detector would; matches by event, then in the order of the rules.
///
/// A Sigma rule matches at each event it looks for, unless only correlations look at it. A
/// correlation matches once for each detection, at the event with which its condition held first.
pub fn test_rules(rules: &RuleSet, events: &[Event]) -> Vec<Match> {
    testing::run(&Arc::new(rules.clone()), events)
}

/// Runs the tests that stand in the rule files; `normalize` makes an event of a JSON record.
pub fn run_rule_tests(rules: &RuleSet, normalize: &dyn Fn(&[u8]) -> Event) -> Vec<RuleTest> {
    testing::run_embedded(rules, normalize)
}

/// The rule files that come with the program.
pub fn bundled_rules() -> Vec<RuleFile> {
    bundled::files()
}
