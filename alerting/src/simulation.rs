//! Stories and seeded crash tests of the whole role over the simulated store.

mod again;
mod restart;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use logwarden_event::{EventBuilder, Severity, Timestamp, Value};
use logwarden_query::Mask;
use logwarden_store::simulation::Faults;
use logwarden_store::{
    Append, AppendOutcome, Draft, IdempotencyKey, RecordKind, Simulation, Store,
};

use crate::alert::{EVIDENCE_EVENTS_MAX, TimelineEntry};
use crate::detector::Detector;
use crate::identity::hash;
use crate::notify::outbox::Worker;
use crate::notify::{Named, Notifier, Outgoing, Routing, SendError};
use crate::rule::{RuleFile, RuleSet};
use crate::sample::event_of_json;
use crate::{Act, Alert, AlertQuery, AlertState, Alerting, Config, Muted, Resolution, Viewer};

/// A receiver that remembers what it took and fails when it is told to.
#[derive(Default)]
struct Receiver {
    taken: Mutex<Vec<(String, String, String)>>,
    /// Alerts in each message.
    told: Mutex<Vec<usize>>,
    failures: Mutex<u32>,
    /// Tokens of the links in the messages it took.
    links: Mutex<Vec<String>>,
    /// It does not answer the next message.
    is_silent: AtomicBool,
    lists_alerts: bool,
    pages: bool,
    per_hour_max: Option<u32>,
    /// What each message says was held back before it.
    held_back: Mutex<Vec<u64>>,
}

#[async_trait]
impl Notifier for Receiver {
    fn target(&self) -> String {
        String::from("memory")
    }

    fn wants(&self, _event: &str) -> bool {
        true
    }

    fn per_hour_max(&self) -> Option<u32> {
        self.per_hour_max
    }

    fn lists_alerts(&self) -> bool {
        self.lists_alerts
    }

    fn heartbeat(&self) -> Option<Duration> {
        None
    }

    fn pages(&self) -> bool {
        self.pages
    }

    fn acknowledges(&self) -> Option<String> {
        Some(String::from("oncall@example.org"))
    }

    fn text(&self, message: &Outgoing) -> Result<String, SendError> {
        Ok(message.event.clone())
    }

    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        if self.is_silent.swap(false, Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let mut failures = self.failures.lock().expect("not poisoned");
        if *failures > 0 {
            *failures -= 1;
            return Err(SendError(String::from("503 try later")));
        }
        let alert = message.alert.as_ref().map(|alert| alert.summary.id.to_string());
        self.told.lock().expect("not poisoned").push(1 + message.also.len());
        let taken = (message.id.to_string(), message.event.clone(), alert.unwrap_or_default());
        self.taken.lock().expect("not poisoned").push(taken);
        self.held_back.lock().expect("not poisoned").push(message.held_back);
        self.links.lock().expect("not poisoned").extend(message.acknowledge.clone());
        Ok(String::from("200 taken"))
    }
}

struct World {
    store: Store,
    simulation: Simulation,
    alerting: Arc<Alerting>,
    detector: Detector,
    receiver: Arc<Receiver>,
    batches: u64,
}

fn named(name: &str, receiver: &Arc<Receiver>) -> Named {
    let notifier = receiver.clone() as Arc<dyn Notifier>;
    Named { name: name.to_owned(), kind: "webhook", notifier, mask: Mask::default() }
}

async fn open(store: &Store, receiver: &Arc<Receiver>) -> (Arc<Alerting>, Detector) {
    let alerting = loop {
        match Alerting::open(store.clone(), Config::default()).await {
            Ok(alerting) => break alerting,
            Err(error) => assert!(error.to_string().contains("did not say"), "{error}"),
        }
    };
    let routing = Routing::of(vec![named("test", receiver)]);
    crate::write(&alerting.shared.settings).routing = Arc::new(routing);
    let detector = loop {
        match Detector::open(alerting.shared.clone()).await {
            Ok(detector) => break detector,
            Err(error) => assert!(error.to_string().contains("did not say"), "{error}"),
        }
    };
    (alerting, detector)
}

impl World {
    async fn new(seed: u64) -> Self {
        Self::told_through(seed, Receiver::default()).await
    }

    async fn told_through(seed: u64, receiver: Receiver) -> Self {
        let (store, simulation) = Store::simulated(seed);
        let receiver = Arc::new(receiver);
        let (alerting, detector) = open(&store, &receiver).await;
        Self { store, simulation, alerting, detector, receiver, batches: 0 }
    }

    async fn append(&mut self, records: &[String]) {
        self.batches += 1;
        let drafts = records
            .iter()
            .map(|record| Draft {
                kind: RecordKind::Event,
                event: event_of_json(record.as_bytes()),
            })
            .collect();
        let number = self.batches.to_le_bytes();
        let key = hash(&[&number]).to_be_bytes();
        let append = Append {
            drafts,
            idempotency: Some(IdempotencyKey { key, body: key }),
            ..Append::default()
        };
        let outcome = self.store.journal.append(append).await.expect("journal takes the batch");
        assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
    }

    async fn crash(&mut self) {
        self.simulation.crash();
        let (store, _) = self.simulation.reopen().expect("the store opens again");
        let (alerting, detector) = open(&store, &self.receiver).await;
        (self.store, self.alerting, self.detector) = (store, alerting, detector);
    }

    async fn send(&self) {
        self.send_through(0).await;
    }

    /// Lets the worker of the notifier in this place send what is due.
    async fn send_through(&self, place: usize) {
        let routing = self.alerting.shared.routing();
        let named = routing.notifiers()[place].clone();
        let worker = Worker {
            store: self.store.clone(),
            shared: self.alerting.shared.clone(),
            others: routing.others(&named.name),
            named,
            public_url: String::new(),
            report: Arc::new(|_, _| {}),
            breaker: Mutex::default(),
            wake_others: Arc::new(|| {}),
            is_well: Arc::new(|| true),
        };
        // A catalog that does not know is asked again at the next turn.
        let _ = worker.send_due().await;
    }

    async fn alerts(&self) -> Vec<Alert> {
        let page =
            self.alerting.alerts(&AlertQuery::default(), &ana()).await.expect("catalog answers");
        let mut alerts = Vec::new();
        for summary in page.items {
            alerts.push(self.alerting.alert(summary.id, &ana()).await.expect("it is there"));
        }
        alerts.sort_by_key(|alert| alert.summary.id);
        alerts
    }

    fn now_secs(&self) -> i64 {
        self.store.clock.now().secs()
    }
}

fn ana() -> Viewer {
    Viewer::of_everything("ana")
}

fn login(second: i64, address: &str, user: &str, outcome: &str) -> String {
    format!(
        r#"{{"time":{second},"message":"{outcome} for {user} from {address}","event.category":"authentication","event.outcome":"{outcome}","user.name":"{user}","source.ip":"{address}"}}"#
    )
}

fn attack(from_second: i64, address: &str, failures: i64) -> Vec<String> {
    (0..failures).map(|n| login(from_second + n, address, "root", "failure")).collect()
}

#[tokio::test]
async fn silence_opens_an_alert_without_events_that_resolves_when_the_thing_is_back() {
    let mut world = World::new(23).await;
    let text = "title: Quiet\nname: quiet\ndetector:\n  type: flatline\n  window: 5m\n  group-by: [host.name]\n  \
        input: { logsource: {}, detection: { all: { host.name: '*' }, condition: all } }\n";
    let file = RuleFile { name: "r.yml".into(), text: text.to_owned() };
    let (rules, problems) = RuleSet::load(&[file]);
    assert_eq!(problems, []);
    crate::write(&world.alerting.shared.settings).rules = Arc::new(rules);
    world.detector = Detector::open(world.alerting.shared.clone()).await.expect("opened");
    let from = |second: i64| format!(r#"{{"time":{second},"host.name":"db1"}}"#);
    for _ in 0..6 {
        world.append(&[from(world.now_secs())]).await;
        world.detector.catch_up().await.expect("caught up");
        world.simulation.advance(Duration::from_secs(60));
    }
    assert_eq!(world.alerts().await.len(), 0);
    world.simulation.advance(Duration::from_secs(600));
    world.detector.catch_up().await.expect("caught up");
    let [alert] = world.alerts().await.try_into().expect("one alert");
    assert_eq!((alert.summary.state, alert.summary.events), (AlertState::Open, 0));
    assert!(alert.summary.first_event_at > Timestamp::from_secs(0));
    let words = "0 events within 5 min, where at least 1 are expected with host.name db1.";
    assert_eq!(alert.why.text, words);
    let took = world.alerting.alert_latency().await.expect("catalog answers");
    assert_eq!((took.alerts, took.waited), (0, 1), "it waited, it was not slow");
    let back = world.now_secs();
    for _ in 0..6 {
        world.append(&[from(world.now_secs())]).await;
        world.detector.catch_up().await.expect("caught up");
        world.simulation.advance(Duration::from_secs(120));
    }
    let [alert] = world.alerts().await.try_into().expect("still one alert");
    assert_eq!(alert.summary.state, AlertState::Resolved);
    assert_eq!(alert.summary.resolution, Some(Resolution::Other));
    // Until just before its first event, within the part of a window that samples are gathered in.
    let ended = alert.summary.ended_at.expect("it ended").nanos() + 1;
    assert!((back..=back + 5).contains(&(ended / 1_000_000_000)), "back at {back}, ended {ended}");
}

#[tokio::test]
async fn a_spike_opens_one_alert_with_its_numbers_and_evidence() {
    let mut world = World::new(1).await;
    let now = world.now_secs();
    let mut records: Vec<String> = (0..27)
        .map(|n| login(now - 60 + n, "10.2.0.9", &format!("user{}", n % 5), "failure"))
        .collect();
    records.extend((0..2).map(|n| login(now - 30 + n, "10.0.0.1", "alice", "failure")));
    records.extend((0..2).map(|n| login(now - 30 + n, "10.0.0.2", "bob", "failure")));
    world.append(&records).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    assert_eq!(alert.summary.title, "Failed-login spike: 27 failures from 10.2.0.9, users: 5");
    assert_eq!((alert.summary.events, alert.evidence.len()), (27, 27));
    assert_eq!((alert.why.observed, alert.why.threshold, alert.why.window_secs), (27, 10, 300));
    assert_eq!(alert.entities[0].entity.value, "10.2.0.9");
    assert_eq!(alert.why.series.iter().map(|point| point.count).sum::<u64>(), 27);
    assert!(alert.search.query.contains("10.2.0.9"), "{}", alert.search.query);

    world.append(&attack(now - 20, "10.2.0.9", 5)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let alerts = world.alerts().await;
    assert_eq!((alerts.len(), alerts[0].summary.events), (1, 32));
    assert_eq!(alerts[0].notifications.len(), 1);
    assert_eq!(world.receiver.taken.lock().expect("not poisoned").len(), 1);
    let title_told = alerts[0].notifications[0].title.clone();

    world.append(&attack(now - 10, "10.2.0.9", 5)).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    assert_eq!(alerts[0].summary.events, 37);
    assert_eq!(alerts[0].notifications[0].title, title_told, "later mails keep the subject");
}

#[tokio::test]
async fn a_silenced_alert_is_opened_says_why_and_tells_nobody() {
    let mut world = World::new(1).await;
    let now = world.now_secs();
    let muted = Muted { rule_id: None, entity: Some("10.2.0.9".to_owned()) };
    let ends_at = world.store.clock.now().saturating_add(Duration::from_secs(3_600));
    let begun = world.alerting.create_silence(muted.clone(), "load test", ends_at, "ana").await;
    begun.expect("begun");
    let mut records = attack(now - 60, "10.2.0.9", 12);
    records.extend(attack(now - 60, "10.2.0.8", 12));
    world.append(&records).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let alerts = world.alerts().await;
    let about = |address: &str| {
        let group = ("source.ip".to_owned(), address.to_owned());
        alerts.iter().find(|alert| alert.summary.group.contains(&group)).expect("opened")
    };
    let silenced = about("10.2.0.9");
    let of_them: Vec<_> = silenced.notifications.iter().map(|one| one.state).collect();
    assert_eq!(of_them, [crate::alert::DeliveryState::Silenced]);
    let said = |entry: &TimelineEntry| entry.text.contains("silenced by ana");
    assert!(silenced.timeline.iter().any(said), "{:?}", silenced.timeline);
    assert_eq!(about("10.2.0.8").notifications.len(), 1);
    let previewed = world.alerting.preview_silence(&muted, &ana()).await.expect("read");
    assert_eq!(previewed.len(), 1);
    assert_eq!(previewed[0].id, silenced.summary.id);
}

#[tokio::test]
async fn a_success_after_failures_names_who_got_in() {
    let mut world = World::new(11).await;
    let start = world.now_secs() - 300;
    let mut records = vec![login(start, "10.2.0.9", "ana", "success")];
    // More failures than an alert keeps: the success that follows is kept all the same.
    let failures = i64::try_from(EVIDENCE_EVENTS_MAX).expect("small") + 5;
    records.extend(attack(start + 1, "10.2.0.9", failures));
    records.push(login(start + 150, "10.2.0.9", "deploy", "success"));
    records.push(login(start + 160, "10.2.0.9", "bob", "success"));
    world.append(&records).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    let of_rule = |alert: &&Alert| alert.summary.rule.name == "login_after_failures";
    let alert = alerts.iter().find(of_rule).expect("it opened");
    assert_eq!(alert.summary.title, "Successful login after failures from 10.2.0.9, user deploy");
    assert_eq!((alert.why.observed, alert.why.threshold), (2, 2));
    let flagged: Vec<&str> = alert
        .evidence
        .iter()
        .filter(|evidence| evidence.flag.as_deref() == Some("first_success"))
        .map(|evidence| evidence.message.as_str())
        .collect();
    assert_eq!(flagged, ["success for deploy from 10.2.0.9"]);
}

#[tokio::test]
async fn a_notifier_that_fails_for_a_day_is_told_of_through_another() {
    let mut world = World::new(8).await;
    let other = Arc::new(Receiver::default());
    let routing = Routing::of(vec![named("test", &world.receiver), named("other", &other)]);
    crate::write(&world.alerting.shared.settings).routing = Arc::new(routing);
    *world.receiver.failures.lock().expect("not poisoned") = u32::MAX;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    for _ in 0..3 {
        world.send_through(0).await;
        world.send_through(1).await;
        world.simulation.advance(Duration::from_secs(25 * 3_600));
    }
    let taken = other.taken.lock().expect("not poisoned").clone();
    let events: Vec<&str> = taken.iter().map(|(_, event, _)| event.as_str()).collect();
    assert_eq!(events, ["alert.opened", "notifier.failed"]);
    let alerts = world.alerts().await;
    let failed = alerts[0].notifications.iter().find(|delivery| delivery.notifier == "test");
    let failed = failed.expect("it stays visible");
    assert_eq!((failed.state.name(), failed.answer.as_str()), ("failed", "503 try later"));
}

#[tokio::test]
async fn an_alert_lives_joins_ends_and_opens_again() {
    let mut world = World::new(2).await;
    let id = |alerts: &[Alert]| alerts[0].summary.id;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    let first = id(&world.alerts().await);

    world.simulation.advance(Duration::from_secs(3_600));
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    assert!(alerts[0].summary.ended_at.is_some(), "the condition no longer holds");
    assert_eq!(alerts[0].summary.state, AlertState::Open, "people resolve alerts");

    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    assert_eq!((alerts.len(), alerts[0].summary.detections), (1, 2));
    assert_eq!((alerts[0].summary.ended_at, alerts[0].summary.events), (None, 24));

    world.alerting.act(first, Act::Acknowledge, &ana()).await.expect("acknowledged");
    let done = Act::Resolve { reason: Resolution::TruePositive, note: Some("blocked <b>") };
    let resolved = world.alerting.act(first, done, &ana()).await.expect("resolved");
    assert_eq!(resolved.summary.state, AlertState::Resolved);
    assert_eq!(resolved.summary.assignee.as_deref(), Some("ana"));
    assert!(world.alerting.act(first, Act::Acknowledge, &ana()).await.is_err());

    world.simulation.advance(Duration::from_secs(3_600));
    world.detector.catch_up().await.expect("detector");
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    assert_eq!(alerts.len(), 2, "after it was resolved a new one opens");
    assert!(world.alerting.act(first, Act::Reopen, &ana()).await.is_err(), "another one is open");
    world.send().await;
    let taken = world.receiver.taken.lock().expect("not poisoned").clone();
    let mut events: Vec<&str> = taken.iter().map(|(_, event, _)| event.as_str()).collect();
    events.sort_unstable();
    assert_eq!(events, ["alert.acknowledged", "alert.opened", "alert.opened", "alert.resolved"]);
}

#[tokio::test]
async fn a_failing_receiver_gets_the_same_notification_later() {
    let mut world = World::new(3).await;
    *world.receiver.failures.lock().expect("not poisoned") = 2;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    for _ in 0..3 {
        world.send().await;
        world.simulation.advance(Duration::from_secs(5));
    }
    let alerts = world.alerts().await;
    let delivery = &alerts[0].notifications[0];
    assert_eq!((delivery.attempts, delivery.answer.as_str()), (3, "200 taken"));
    let taken = world.receiver.taken.lock().expect("not poisoned").clone();
    assert_eq!(taken.iter().map(|t| t.0.clone()).collect::<Vec<_>>(), [delivery.id.to_string()]);
}

#[tokio::test]
async fn what_a_killed_process_was_sending_is_sent_by_the_next_at_once() {
    let mut world = World::new(9).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.receiver.is_silent.store(true, Ordering::Relaxed);
    {
        let mut sending = std::pin::pin!(world.send());
        while world.receiver.is_silent.load(Ordering::Relaxed) {
            tokio::select! {
                () = &mut sending => panic!("the receiver answered"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    world.crash().await;
    world.send().await;
    let alerts = world.alerts().await;
    let delivery = &alerts[0].notifications[0];
    assert_eq!((delivery.attempts, delivery.answer.as_str()), (2, "200 taken"));
}

#[tokio::test]
async fn an_alert_that_only_the_journal_knows_is_put_back() {
    let mut world = World::new(4).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.take_next().await.expect("detector");
    let before = world.alerts().await;
    // The catalog lost its tail after the journal was told; the rule would not fire again.
    let statements = ["DELETE FROM alerting_alerts", "DELETE FROM alerting_outbox"]
        .map(|sql| logwarden_store::Statement { sql, values: Vec::new() });
    let step = logwarden_store::Step { statements: statements.to_vec(), ..Default::default() };
    world.store.catalog.step(step).await.expect("catalog");
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let after = world.alerts().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].summary.id, before[0].summary.id);
    assert_eq!(after[0].summary.title, before[0].summary.title);
    assert_eq!(after[0].notifications.len(), 1);
}

#[tokio::test]
async fn the_role_detects_tells_and_stops() {
    let (store, simulation) = Store::simulated(5);
    let receiver = Arc::new(Receiver::default());
    let (alerting, detector) = open(&store, &receiver).await;
    let mut world = World { store, simulation, alerting, detector, receiver, batches: 0 };
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(world.alerting.clone().run(shutdown.clone()));
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    let told = async {
        while world.receiver.taken.lock().expect("not poisoned").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("told in time");
    shutdown.cancel();
    running.await.expect("stopped in order");
    let health = world.alerting.health();
    assert!(health.position.seq >= 13 && health.stalled.is_none(), "{health:?}");
}

/// Random numbers of a test, from its seed.
struct Dice(u64, u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.1 += 1;
        let number = hash(&[&self.0.to_le_bytes(), &self.1.to_le_bytes()]);
        u64::try_from(number % u128::from(sides)).expect("below sides")
    }
}

/// Attacks, crashes, receivers that fail, a catalog that does not say whether it committed. Every
/// alert of the model is opened once, and delivered at least once under one id.
async fn survive(seed: u64) {
    let mut dice = Dice(seed, 0);
    let mut world = World::new(seed).await;
    let mut failures: BTreeMap<u64, i64> = BTreeMap::new();
    for _ in 0..30 {
        match dice.roll(8) {
            0..=2 => {
                let address = dice.roll(6);
                let count = i64::try_from(dice.roll(6)).expect("small") + 1;
                let second = world.now_secs() - i64::try_from(dice.roll(60)).expect("small");
                world.append(&attack(second, &format!("10.0.0.{address}"), count)).await;
                *failures.entry(address).or_default() += count;
            }
            3 | 4 => {
                let _ = world.detector.catch_up().await;
            }
            5 => {
                *world.receiver.failures.lock().expect("not poisoned") =
                    u32::try_from(dice.roll(3)).expect("small");
                world.send().await;
            }
            6 => {
                let faults = Faults {
                    catalog_unknown_per_mille: u32::try_from(dice.roll(400)).expect("small"),
                    ..Faults::default()
                };
                world.simulation.set_faults(faults);
            }
            _ => world.crash().await,
        }
    }
    world.simulation.set_faults(Faults::default());
    world.crash().await;
    world.detector.catch_up().await.expect("nothing goes wrong any more");
    *world.receiver.failures.lock().expect("not poisoned") = 0;
    for _ in 0..3 {
        world.send().await;
        world.simulation.advance(Duration::from_secs(3_600));
    }
    check_against_model(&world, seed, &failures).await;
}

async fn check_against_model(world: &World, seed: u64, failures: &BTreeMap<u64, i64>) {
    let expected: BTreeSet<String> = failures
        .iter()
        .filter(|(_, count)| **count >= 10)
        .map(|(address, _)| format!("10.0.0.{address}"))
        .collect();
    let mut found: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for alert in world.alerts().await {
        let address = alert.summary.group[0].1.clone();
        let id = alert.summary.id.to_string();
        let twice = found.insert(address, (id, alert.summary.events));
        assert_eq!(twice, None, "seed {seed}: opened twice");
    }
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected, "seed {seed}");
    let taken = world.receiver.taken.lock().expect("not poisoned").clone();
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (notification, _, alert) in taken {
        ids.entry(alert).or_default().insert(notification);
    }
    for (address, (id, events)) in found {
        let count = failures[&address[7..].parse::<u64>().expect("a number")];
        assert_eq!(Ok(events), u64::try_from(count), "seed {seed}: events of {address}");
        let delivered = ids.get(&id).map(BTreeSet::len);
        assert_eq!(delivered, Some(1), "seed {seed}: delivered under one id, {address}");
    }
}

#[tokio::test]
async fn every_alert_is_opened_once_and_delivered_across_crashes() {
    for seed in 0..25 {
        survive(seed).await;
    }
}

#[tokio::test]
async fn a_restart_in_the_middle_comes_to_identical_alerts() {
    let mut stories = Vec::new();
    for restart_after in [None, Some(1), Some(4), Some(7)] {
        let mut world = World::new(9).await;
        let start = world.now_secs();
        for step in 0..10i64 {
            let records = [
                login(start + step * 7, "10.0.0.1", &format!("u{step}"), "failure"),
                login(start + step * 3, "10.0.0.1", "root", "failure"),
            ];
            world.append(&records).await;
            world.detector.catch_up().await.expect("detector");
            if restart_after == Some(step) {
                world.crash().await;
            }
        }
        let alerts = world.alerts().await;
        let story: Vec<(String, String, u64, Timestamp)> = alerts
            .iter()
            .map(|alert| {
                let summary = &alert.summary;
                let id = summary.id.to_string();
                (id, summary.title.clone(), summary.events, summary.first_event_at)
            })
            .collect();
        assert_eq!(story.len(), 2, "the spike and the spray: {story:?}");
        stories.push((story, alerts.iter().map(|a| a.evidence.clone()).collect::<Vec<_>>()));
    }
    assert!(stories.windows(2).all(|pair| pair[0] == pair[1]), "{stories:#?}");
}

fn own_draft(action: &str, field: &str, severity: Severity) -> Draft {
    let mut event = EventBuilder::new(action.as_bytes());
    event.severity(severity).source("logwarden").dataset("logwarden.audit");
    event.field("event.action", Value::String(action)).field(field, Value::Integer(17));
    Draft { kind: RecordKind::Audit, event: event.build() }
}

#[tokio::test]
async fn what_is_wrong_with_the_server_itself_opens_an_alert() {
    let mut world = World::new(21).await;
    let drafts = vec![
        own_draft("journal_gap", "lw.gap.seq_first", Severity::Critical),
        own_draft("record_left_out", "lw.left_out.seq", Severity::Critical),
        own_draft("journal_gap", "lw.gap.seq_first", Severity::Info),
        own_draft("split.damaged", "lw.lost", Severity::Critical),
    ];
    let append = Append { drafts, ..Append::default() };
    world.store.journal.append(append).await.expect("taken");
    world.append(&[String::from(r#"{"event.action":"journal_gap"}"#)]).await;
    world.detector.catch_up().await.expect("caught up");
    let mut titles: Vec<(String, u64)> = (world.alerts().await.into_iter())
        .map(|alert| (alert.summary.title, alert.summary.events))
        .collect();
    titles.sort();
    let expected = [
        (String::from("Records of the journal are lost"), 1),
        (String::from("Stored events were damaged"), 1),
        (String::from("The server died of a record and leaves it out"), 1),
    ];
    assert_eq!(titles, expected);
}

#[tokio::test]
async fn a_record_of_which_the_detector_died_twice_is_left_out_and_told_of() {
    let mut world = World::new(22).await;
    let now = world.now_secs();
    world.append(&attack(now - 60, "10.2.0.9", 20)).await;
    for _ in 0..2 {
        world.simulation.kill();
        let (store, _) = world.simulation.reopen().expect("opened");
        store.replay("detector").await.begin(5);
    }
    world.simulation.kill();
    let (store, _) = world.simulation.reopen().expect("opened");
    let (alerting, detector) = open(&store, &world.receiver).await;
    (world.store, world.alerting, world.detector) = (store, alerting, detector);
    world.detector.catch_up().await.expect("caught up");
    let mut found: Vec<(String, u64)> = (world.alerts().await.into_iter())
        .map(|alert| (alert.summary.rule.name, alert.summary.events))
        .collect();
    found.sort();
    let expected = [(String::from("failed_login_spike"), 19), (String::from("record_left_out"), 1)];
    assert_eq!(found, expected);
}
