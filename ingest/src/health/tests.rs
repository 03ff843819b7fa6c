//! Sources over hours and restarts, with time handed in.

use logwarden_event::Position;
use logwarden_store::{Chunk, Simulation};

use super::*;
use crate::config::SourceConfig;
use crate::tables;

const NOON: Timestamp = Timestamp::from_secs(1_750_000_000);

/// A store, what is known of its sources, and the time.
struct Node {
    store: Store,
    simulation: Simulation,
    health: Health,
    now: Timestamp,
}

fn config() -> Arc<Config> {
    let source = |settings| -> SourceConfig { serde_json::from_value(settings).expect("a source") };
    let sources = vec![
        source(serde_json::json!({"name": "edge", "silent_after_secs": 60})),
        source(serde_json::json!({"name": "never", "silent_after_secs": 0})),
    ];
    Arc::new(Config { sources, ..Config::default() })
}

async fn node() -> Node {
    let (store, simulation) = Store::simulated(3);
    store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await.expect("migrated");
    let health = Health::new(config());
    health.load(&store).await.expect("loaded");
    Node { store, simulation, health, now: NOON }
}

impl Node {
    /// Ships a batch with one sample of these fields.
    fn ship(&self, source: &str, fields: &[(&str, Kind)]) {
        let sample = fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        let glance = Glance { events: 1, bytes: 10, samples: vec![sample], ..Glance::default() };
        self.health.observe(source, self.now, glance);
    }

    /// Lets time pass, tick by tick.
    fn pass(&mut self, secs: u64) {
        for _ in 0..secs / TICK.as_secs() {
            self.now = self.now.saturating_add(TICK);
            self.health.tick(self.now);
        }
    }

    fn report(&self, source: &str) -> SourceReport {
        let reports = self.health.reports(self.now);
        reports.into_iter().find(|report| report.name == source).expect("it is watched")
    }

    /// What the journal holds, after what was found is told.
    async fn told(&self) -> Vec<String> {
        self.health.tell(&self.store).await;
        let (mut at, mut told) = (Position { lane: 0, seq: 1 }, Vec::new());
        while at < self.store.journal.end(0) {
            let chunk = self.store.journal.read(at, 1_000).await.expect("records");
            let Chunk::Records { records, next } = chunk else { panic!("a gap") };
            for record in records.iter() {
                let event = &record.event;
                assert_eq!((record.kind, event.dataset()), (RecordKind::Event, SOURCE_DATASET));
                let fields = event.fields().filter(|field| field.path.starts_with("lw.fields"));
                let fields: String =
                    fields.map(|field| format!(" {}={}", field.path, field.value)).collect();
                told.push(format!("{}{fields}", event.message()));
            }
            at = next;
        }
        told
    }

    /// The process ends and another begins.
    async fn restart(mut self) -> Self {
        self.health.save(&self.store).await;
        self.health = Health::new(config());
        self.health.load(&self.store).await.expect("loaded");
        self
    }
}

#[tokio::test]
async fn a_source_that_goes_silent_is_told_once_and_so_is_its_return() {
    let mut node = node().await;
    node.ship("edge", &[]);
    node.ship("never", &[]);
    node.pass(60);
    assert_eq!(node.told().await, [] as [&str; 0]);
    node.pass(600);
    assert_eq!(node.told().await, ["source `edge` has sent nothing for 70 s"]);
    assert!(node.report("edge").is_silent);
    assert!(!node.report("never").is_silent);
    node.ship("edge", &[]);
    node.pass(10);
    let returned = "source `edge` sends again after 660 s";
    assert_eq!(node.told().await, ["source `edge` has sent nothing for 70 s", returned]);
    assert!(!node.report("edge").is_silent);
}

#[tokio::test]
async fn a_source_silent_over_a_restart_is_noticed_and_our_own_absence_is_no_silence() {
    let mut node = node().await;
    node.ship("edge", &[]);
    node.pass(40);
    let mut node = node.restart().await;
    // A day in which nobody ran, then a jump of the clock.
    node.now = node.now.saturating_add(Duration::from_secs(86_400));
    node.pass(10);
    node.now = node.now.saturating_add(Duration::from_secs(86_400));
    assert_eq!(node.told().await, [] as [&str; 0]);
    node.pass(20);
    assert_eq!(node.told().await, ["source `edge` has sent nothing for 70 s"]);
    // It stays silent, and that was told.
    let mut node = node.restart().await;
    node.pass(600);
    assert_eq!(node.told().await.len(), 1);
    node.ship("edge", &[]);
    node.pass(10);
    assert_eq!(node.told().await.len(), 2);
}

#[tokio::test]
async fn a_source_that_never_sent_is_missed_when_the_configuration_says_so() {
    let mut node = node().await;
    node.pass(70);
    assert_eq!(node.told().await, ["source `edge` has sent nothing for 70 s"]);
}

#[tokio::test]
async fn others_are_missed_after_three_of_their_longest_pauses() {
    let mut node = node().await;
    for _ in 0..12 {
        node.ship("hourly", &[]);
        node.pass(3_600);
    }
    assert_eq!(node.told().await.len(), 1, "edge alone");
    assert!(!node.report("hourly").is_silent);
    node.pass(3 * 3_600);
    assert!(node.report("hourly").is_silent);
    // One that was only tried is not missed.
    node.ship("tried", &[]);
    node.pass(90_000);
    assert!(!node.report("tried").is_silent);
    assert_eq!(node.report("tried").silent_after, None);
}

#[tokio::test]
async fn fields_that_are_new_gone_back_or_retyped_are_told_together() {
    let mut node = node().await;
    let usual = [("user", Kind::Text), ("status", Kind::Number)];
    for _ in 0..101 {
        node.ship("shop", &usual);
    }
    node.pass(10);
    assert_eq!(node.told().await, [] as [&str; 0], "the first fields are not new");
    node.ship("shop", &[("user", Kind::Text), ("status", Kind::Text), ("zone", Kind::Text)]);
    for _ in 0..101 {
        node.ship("shop", &[("status", Kind::Number)]);
    }
    node.pass(10);
    let first = "source `shop` sends other fields than before lw.fields_new=zone \
                 lw.fields_gone=user lw.fields_retyped=status";
    assert_eq!(node.told().await, [first]);
    node.ship("shop", &usual);
    node.pass(60);
    assert_eq!(node.told().await.len(), 2, "edge is missed, fields wait for their interval");
    node.pass(600);
    let told = node.told().await;
    assert_eq!(told[2], "source `shop` sends other fields than before lw.fields_back=user");

    let node = node.restart().await;
    let report = node.report("shop");
    let field = |name| report.fields.iter().find(|field| field.name == name).expect("known");
    assert_eq!(field("status").kinds, ["text", "number"]);
    assert!(field("status").retyped_at.is_some() && field("zone").is_new);
    assert!(!field("user").is_gone && !field("user").is_new);
}

#[tokio::test]
async fn sketches_are_bounded() {
    let node = node().await;
    let names: Vec<String> = (0..300).map(|number| format!("field{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), Kind::Text)).collect();
    node.ship("shop", &fields);
    let report = node.report("shop");
    assert_eq!((report.fields.len(), report.fields_beyond), (256, 44));
    for number in 0..SOURCES_MAX + 5 {
        node.ship(&format!("source{number}"), &[]);
    }
    assert_eq!(node.health.reports(node.now).len(), SOURCES_MAX);
    for number in 0..40 {
        let rejected = BTreeMap::from([(["a", "b"][number % 2], (1, "x".repeat(900)))]);
        let glance = Glance { events: 1, rejected, ..Glance::default() };
        node.health.observe("shop", node.now, glance);
    }
    let report = node.report("shop");
    assert_eq!((report.rejected, report.failures["a"].count), (40, 20));
    assert_eq!(report.failures["a"].example.len(), EXAMPLE_BYTES_MAX);
}

#[tokio::test]
async fn rates_and_skew_are_of_the_last_minutes() {
    let mut node = node().await;
    for _ in 0..60 {
        let glance = Glance { events: 50, skew_ms: Some(-4_000), ..Glance::default() };
        node.health.observe("shop", node.now, glance);
        node.pass(10);
    }
    let report = node.report("shop");
    assert!((4.5..=5.0).contains(&report.events_per_sec), "{}", report.events_per_sec);
    assert_eq!(report.clock_skew_ms, Some(-4_000));
    node.pass(600);
    let report = node.report("shop");
    assert!(report.events_per_sec < 0.1, "{}", report.events_per_sec);
    assert_eq!(report.clock_skew_ms, None);
    assert_eq!(report.events, 3_000);
}

#[tokio::test]
async fn what_the_journal_does_not_take_is_told_later() {
    let mut node = node().await;
    node.simulation.set_free_bytes(0);
    node.simulation.advance(Duration::from_secs(60));
    node.ship("edge", &[]);
    node.pass(80);
    assert_eq!(node.told().await, [] as [&str; 0]);
    node.simulation.set_free_bytes(1 << 40);
    node.simulation.advance(Duration::from_secs(60));
    assert_eq!(node.told().await, ["source `edge` has sent nothing for 70 s"]);
}
