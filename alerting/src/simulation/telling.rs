//! Stories of who is told, when and how often: links, pauses, groups, digests, escalation.

use super::*;
use crate::alert::DeliveryState;
use crate::config::RotaConfig;
use crate::config::RouteConfig;
use crate::notify::escalation::escalate_due;
use crate::notify::{growth, handover};
use crate::{DeliveryQuery, Link, LinkState};

const BENIGN: Act<'static> = Act::Resolve { reason: Resolution::Benign, note: None };

/// Two receivers, and alerts routed as `json` says.
async fn routed(seed: u64, json: &str, lists_alerts: bool) -> (World, Arc<Receiver>) {
    let receiver = Receiver { lists_alerts, ..Receiver::default() };
    let world = World::told_through(seed, receiver).await;
    let boss = Arc::new(Receiver::default());
    route(&world, &boss, json);
    (world, boss)
}

fn route(world: &World, boss: &Arc<Receiver>, json: &str) {
    let routes: Vec<RouteConfig> = serde_json::from_str(json).expect("routes");
    let config = Config { routes, ..Config::default() };
    let named = vec![named("test", &world.receiver), named("boss", boss)];
    let routing = Routing::of_config(named, &config).expect("good routes");
    crate::write(&world.alerting.shared.settings).routing = Arc::new(routing);
}

fn events(receiver: &Receiver) -> Vec<String> {
    receiver.taken.lock().expect("not poisoned").iter().map(|taken| taken.1.clone()).collect()
}

async fn state_of(world: &World, token: &str) -> LinkState {
    match world.alerting.link(token).await.expect("known") {
        Link::Known(known) => known.state,
        Link::Expired => panic!("expired"),
    }
}

#[tokio::test]
async fn a_link_acknowledges_once_in_the_recipients_name() {
    let mut world = World::new(21).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let token = world.receiver.links.lock().expect("not poisoned")[0].clone();

    for _ in 0..2 {
        assert_eq!(state_of(&world, &token).await, LinkState::Open, "looking changes nothing");
    }
    assert!(matches!(world.alerting.link("guessed").await, Err(crate::AlertingError::NotFound)));
    let (_, actor) = world.alerting.use_link(&token).await.expect("used");
    let actor = actor.expect("it was done now");
    assert_eq!(actor, "oncall@example.org (by mail link)");
    let alert = world.alerts().await.remove(0);
    assert_eq!(alert.summary.state, AlertState::Acknowledged);
    let (_, again) = world.alerting.use_link(&token).await.expect("answered");
    assert_eq!(again, None, "a second use does nothing");
    assert!(matches!(
        state_of(&world, &token).await,
        LinkState::Acknowledged { by, .. } if by == actor
    ));

    let id = alert.summary.id;
    world.alerting.act(id, BENIGN, &ana()).await.expect("resolved");
    assert_eq!(state_of(&world, &token).await, LinkState::Resolved);
    world.alerting.act(id, Act::Reopen, &ana()).await.expect("reopened");
    assert_eq!(world.alerting.use_link(&token).await.expect("answered").1, None);
    assert_eq!(state_of(&world, &token).await, LinkState::Used);
    assert_eq!(world.alerts().await[0].summary.state, AlertState::Open);
}

#[tokio::test]
async fn a_link_ends_after_three_days_and_its_token_is_nowhere() {
    let mut world = World::new(22).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let token = world.receiver.links.lock().expect("not poisoned")[0].clone();
    let statement =
        logwarden_store::Statement { sql: "SELECT hash FROM alerting_links", values: Vec::new() };
    let rows = world.store.catalog.query(vec![statement]).await.expect("answered");
    assert!(!format!("{rows:?}").contains(&token) && rows[0].len() == 1, "{rows:?}");
    world.simulation.advance(crate::alert::link::VALID_FOR);
    assert_eq!(world.alerting.link(&token).await.expect("known"), Link::Expired);
    assert_eq!(world.alerting.use_link(&token).await.expect("answered").1, None);
    assert_eq!(world.alerts().await[0].summary.state, AlertState::Open);
}

#[tokio::test]
async fn nobody_acknowledges_and_the_next_is_told_once_over_crashes() {
    let json = r#"[{"name": "all", "notify": ["test"], "escalate": [
        {"after_mins": 15, "notify": ["boss"]}, {"after_mins": 30, "notify": ["test", "boss"]}]}]"#;
    let (mut world, boss) = routed(23, json, false).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    escalate_due(&world.alerting.shared).await.expect("looked");
    world.send_through(1).await;
    assert_eq!(events(&boss), [""; 0], "not before its time");

    world.simulation.advance(Duration::from_secs(15 * 60));
    escalate_due(&world.alerting.shared).await.expect("escalated");
    world.crash().await;
    route(&world, &boss, json);
    for _ in 0..3 {
        escalate_due(&world.alerting.shared).await.expect("looked");
        world.send_through(1).await;
    }
    assert_eq!(events(&boss), ["alert.escalated"]);
    let alert = world.alerts().await.remove(0);
    let told =
        alert.timeline.iter().find(|entry| entry.kind == crate::alert::TimelineKind::Escalated);
    assert_eq!(told.expect("said").text, "not acknowledged for 15 min: boss");

    world.alerting.act(alert.summary.id, Act::Acknowledge, &ana()).await.expect("acknowledged");
    world.simulation.advance(Duration::from_secs(3_600));
    escalate_due(&world.alerting.shared).await.expect("looked");
    world.send_through(1).await;
    assert_eq!(events(&boss), ["alert.escalated", "alert.acknowledged"], "the rest is off");

    let id = alert.summary.id;
    world.alerting.act(id, BENIGN, &ana()).await.expect("resolved");
    world.alerting.act(id, Act::Reopen, &ana()).await.expect("reopened");
    world.simulation.advance(Duration::from_secs(31 * 60));
    escalate_due(&world.alerting.shared).await.expect("escalated");
    world.send_through(1).await;
    let told = events(&boss).iter().filter(|event| *event == "alert.escalated").count();
    assert_eq!(told, 3, "both steps again, of the alert that was opened again");
}

#[tokio::test]
async fn alerts_of_a_group_become_one_message_and_the_next_waits() {
    let json = r#"[{"notify": ["test"], "group_by": ["rule"], "group_wait_secs": 30}]"#;
    let (mut world, _) = routed(24, json, true).await;
    for n in 0..3 {
        let now = world.now_secs();
        world.append(&attack(now - 60, &format!("10.2.0.{n}"), 10)).await;
        world.detector.catch_up().await.expect("detector");
        world.send().await;
        world.simulation.advance(Duration::from_secs(10));
    }
    let told = |world: &World| world.receiver.told.lock().expect("not poisoned").clone();
    assert_eq!(told(&world), [0; 0], "it waits for others of the group");
    world.simulation.advance(Duration::from_secs(1));
    world.send().await;
    assert_eq!(told(&world), [3]);

    let now = world.now_secs();
    world.append(&attack(now - 60, "10.2.0.77", 10)).await;
    world.detector.catch_up().await.expect("detector");
    world.simulation.advance(Duration::from_secs(60));
    world.send().await;
    assert_eq!(told(&world), [3], "the group was told of a short while ago");
    world.simulation.advance(Duration::from_secs(300));
    world.send().await;
    assert_eq!(told(&world), [3, 1]);
}

#[tokio::test]
async fn a_digest_tells_of_everything_at_its_time() {
    let json = r#"[{"name": "quiet", "notify": ["test"], "digest_mins": 60}]"#;
    let (mut world, _) = routed(25, json, true).await;
    for n in 0..12 {
        let now = world.now_secs();
        world.append(&attack(now - 60, &format!("10.2.0.{n}"), 10)).await;
    }
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    assert_eq!(events(&world.receiver), [""; 0]);
    world.simulation.advance(Duration::from_secs(3_600));
    world.send().await;
    assert_eq!(*world.receiver.told.lock().expect("not poisoned"), [12]);
    assert_eq!(events(&world.receiver), ["alert.digest"]);
    let alert = world.alerts().await.remove(0);
    assert!(alert.timeline.iter().any(|entry| entry.text.starts_with("told in the digest of ")));
    assert_eq!(alert.notifications[0].route.as_deref(), Some("quiet"));
}

#[tokio::test]
async fn what_is_over_a_rules_budget_is_in_the_digest() {
    let receiver = Receiver { lists_alerts: true, ..Receiver::default() };
    let mut world = World::told_through(28, receiver).await;
    let text = "title: Probe\nid: 6a0f6a0e-6f0e-4b1c-9d0e-0a4a1a1f0077\nlevel: low\nlogsource: {}\n\
        detection: { a: { probe: '1' }, condition: a }\n\
        logwarden: { budget: 1, entity: host.name }\n";
    let file = RuleFile { name: "probe.yml".into(), text: text.into() };
    let (rules, problems) = RuleSet::load(&[file]);
    assert_eq!(problems, []);
    crate::write(&world.alerting.shared.settings).rules = Arc::new(rules);
    world.detector = Detector::open(world.alerting.shared.clone()).await.expect("opened");
    for host in 0..3 {
        let record = format!(r#"{{"probe": "1", "host": {{"name": "h{host}"}}}}"#);
        world.append(&[record]).await;
        world.detector.catch_up().await.expect("detector");
    }
    world.send().await;
    assert_eq!(events(&world.receiver), ["alert.opened"], "one a day at once");
    world.simulation.advance(Duration::from_secs(3_600));
    world.send().await;
    assert_eq!(events(&world.receiver), ["alert.opened", "alert.digest"]);
    assert_eq!(*world.receiver.told.lock().expect("not poisoned"), [1, 2]);
}

#[tokio::test]
async fn a_receiver_that_fails_again_and_again_is_left_alone_and_then_gets_everything() {
    let mut world = World::new(26).await;
    *world.receiver.failures.lock().expect("not poisoned") = 5;
    for n in 0..8 {
        let now = world.now_secs();
        world.append(&attack(now - 60, &format!("10.2.0.{n}"), 10)).await;
    }
    world.detector.catch_up().await.expect("detector");
    let routing = world.alerting.shared.routing();
    let states = Arc::new(Mutex::new(Vec::new()));
    let reported = states.clone();
    let worker = Worker {
        store: world.store.clone(),
        shared: world.alerting.shared.clone(),
        others: Vec::new(),
        named: routing.notifiers()[0].clone(),
        public_url: String::new(),
        report: Arc::new(move |_, state| reported.lock().expect("not poisoned").push(state.name())),
        wake_others: Arc::new(|| {}),
        is_well: Arc::new(|| true),
        breaker: Mutex::default(),
    };
    for _ in 0..5 {
        worker.send_due().await.expect("sent");
    }
    assert_eq!(events(&world.receiver), [""; 0]);
    assert_eq!(
        *states.lock().expect("not poisoned"),
        ["failing", "failing", "failing", "failing", "paused"]
    );
    let waiting = world.alerts().await;
    let waiting =
        waiting.iter().filter(|alert| alert.notifications[0].answer.starts_with("waiting"));
    assert_eq!(waiting.count(), 3, "those that were not tried say why");
    world.simulation.advance(Duration::from_secs(15));
    worker.send_due().await.expect("sent");
    assert_eq!(events(&world.receiver).len(), 8, "all are sent once it is back");
}

#[tokio::test]
async fn an_alert_says_how_long_each_part_of_its_way_took() {
    let mut world = World::new(27).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.simulation.advance(Duration::from_millis(200));
    world.detector.catch_up().await.expect("detector");
    world.simulation.advance(Duration::from_millis(300));
    *world.receiver.failures.lock().expect("not poisoned") = 1;
    world.send().await;
    world.simulation.advance(Duration::from_secs(5));
    world.send().await;
    let latency = world.alerts().await.remove(0).latency;
    assert_eq!((latency.durable_ms, latency.evaluated_ms), (Some(200), Some(200)));
    assert_eq!((latency.notified_ms, latency.delivered_ms), (Some(500), Some(5_500)));
    let of_all = world.alerting.alert_latency().await.expect("catalog answers");
    assert_eq!((of_all.alerts, of_all.waited, of_all.p99_ms), (1, 0, Some(200)));
}

#[tokio::test]
async fn an_alert_about_a_notifier_is_told_through_another() {
    let (mut world, boss) = routed(31, r#"[{"notify": ["test"]}]"#, false).await;
    let mut event = EventBuilder::new(b"fails");
    event.severity(Severity::Critical).source("logwarden").dataset("logwarden.health");
    for (name, value) in [
        ("event.action", "notifier.failing"),
        ("lw.trouble.phase", "began"),
        ("lw.notifier", "test"),
    ] {
        event.field(name, Value::String(value));
    }
    let draft = Draft { kind: RecordKind::Audit, event: event.build() };
    let append = Append { drafts: vec![draft], ..Append::default() };
    world.store.journal.append(append).await.expect("taken");
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send_through(0).await;
    world.send_through(1).await;
    assert_eq!(world.alerts().await.len(), 2);
    assert_eq!(events(&world.receiver), ["alert.opened"], "the attack, as the route says");
    assert_eq!(events(&boss), ["alert.opened"], "the failing notifier, although no route says so");
}

#[tokio::test]
async fn no_sign_of_life_is_given_while_alerts_would_come_late() {
    let world = World::new(32).await;
    let named = world.alerting.shared.routing().notifiers()[0].clone();
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let worker = Worker {
        store: world.store.clone(),
        shared: world.alerting.shared.clone(),
        others: Vec::new(),
        named,
        public_url: String::new(),
        report: Arc::new(|_, _| {}),
        breaker: Mutex::default(),
        wake_others: Arc::new(|| {}),
        is_well: Arc::new(move || well.load(Ordering::Relaxed)),
    };
    worker.give_sign_of_life().await;
    assert_eq!(events(&world.receiver), [""; 0]);
    is_well.store(true, Ordering::Relaxed);
    worker.give_sign_of_life().await;
    assert_eq!(events(&world.receiver), ["notifier.heartbeat"]);
}

#[tokio::test]
async fn an_alert_that_goes_on_is_told_again_seldom_over_crashes() {
    let json = r#"[{"notify": ["test"]}]"#;
    let (mut world, boss) = routed(33, json, false).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    // Ten times as many, and once more as many: told once, after a while.
    for _ in 0..12 {
        world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
        world.detector.catch_up().await.expect("detector");
    }
    growth::tell(&world.alerting.shared).await.expect("looked");
    world.send().await;
    assert_eq!(events(&world.receiver), ["alert.opened"], "it was told a moment ago");
    world.simulation.advance(Duration::from_secs(5 * 60));
    growth::tell(&world.alerting.shared).await.expect("told");
    world.crash().await;
    route(&world, &boss, json);
    for _ in 0..3 {
        growth::tell(&world.alerting.shared).await.expect("looked");
        world.send().await;
    }
    assert_eq!(events(&world.receiver), ["alert.opened", "alert.updated"]);
    let alert = world.alerts().await.remove(0);
    let words = alert.timeline.iter().find(|entry| entry.text.starts_with("told again"));
    assert!(words.expect("said").text.starts_with("told again: 156 events"), "{words:?}");
    assert_eq!(events(&boss), [""; 0], "nobody else");

    // It fires again, within and after the pause; somebody who looks at it is not told.
    let mut told = Vec::new();
    for minutes in [20, 60, 60, 60] {
        world.simulation.advance(Duration::from_secs(60 * minutes));
        world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
        world.detector.catch_up().await.expect("detector");
        growth::tell(&world.alerting.shared).await.expect("looked");
        world.send().await;
        told.push(events(&world.receiver).len());
        if minutes == 60 && told.len() == 3 {
            let id = world.alerts().await[0].summary.id;
            world.alerting.act(id, Act::Acknowledge, &ana()).await.expect("acknowledged");
            world.send().await;
        }
    }
    assert_eq!(
        told,
        [2, 3, 3, 4],
        "the last is the acknowledgement: {:?}",
        events(&world.receiver)
    );
}

#[tokio::test]
async fn a_silence_keeps_an_alert_that_goes_on_quiet() {
    let (mut world, _) = routed(34, r#"[{"notify": ["test"]}]"#, false).await;
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let muted = Muted { rule_id: Some(String::from("failed_login_spike")), entity: None };
    let until = world.store.clock.now().saturating_add(Duration::from_secs(3_600));
    world.alerting.create_silence(muted, "known", until, "ana").await.expect("silenced");
    for _ in 0..12 {
        world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
        world.detector.catch_up().await.expect("detector");
    }
    world.simulation.advance(Duration::from_secs(10 * 60));
    growth::tell(&world.alerting.shared).await.expect("looked");
    world.simulation.advance(Duration::from_secs(3_600));
    growth::tell(&world.alerting.shared).await.expect("looked");
    world.send().await;
    assert_eq!(events(&world.receiver), ["alert.opened"]);
}

#[tokio::test]
async fn deliveries_show_who_would_have_been_told_of_a_silenced_alert() {
    let (mut world, boss) = routed(37, r#"[{"notify": ["test", "boss"]}]"#, false).await;
    let muted = Muted { rule_id: Some(String::from("failed_login_spike")), entity: None };
    let until = world.store.clock.now().saturating_add(Duration::from_secs(3_600));
    world.alerting.create_silence(muted, "known", until, "ana").await.expect("silenced");
    world.append(&attack(world.now_secs(), "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let silenced = DeliveryQuery {
        state: Some(DeliveryState::Silenced),
        limit: 10,
        ..DeliveryQuery::default()
    };
    let page = world.alerting.deliveries(&silenced, &ana()).await.expect("read");
    let of: Vec<&str> = page.items.iter().map(|delivery| delivery.notifier.as_str()).collect();
    assert!(of.contains(&"test") && of.contains(&"boss") && of.len() == 2, "{of:?}");
    for delivery in &page.items {
        assert!(delivery.answer.contains("known"), "{delivery:?}");
        assert_eq!((delivery.attempts, delivery.next_attempt_at), (0, None));
    }
    let alert = &world.alerts().await[0];
    world.alerting.act(alert.summary.id, BENIGN, &ana()).await.expect("resolved");
    world.send().await;
    assert_eq!((events(&world.receiver), events(&boss)), (Vec::new(), Vec::new()));
    world.alerting.send_again(page.items[0].id).await.expect("asked for");
    world.send().await;
    assert_eq!(events(&world.receiver).len() + events(&boss).len(), 1);
    let answer = async |viewer: Viewer| {
        let sent = DeliveryQuery { state: Some(DeliveryState::Sent), ..DeliveryQuery::default() };
        world.alerting.deliveries(&sent, &viewer).await.expect("read").items[0].answer.clone()
    };
    assert_eq!(answer(ana()).await, "200 taken");
    assert_eq!(answer(Viewer { sees_answers: false, ..ana() }).await, "200");
}

#[tokio::test]
async fn nobody_is_woken_for_what_came_late_unless_somebody_asks_for_it() {
    let mut world = World::told_through(43, Receiver { pages: true, ..Receiver::default() }).await;
    let long_ago = world.now_secs() - 5 * 3_600;
    world.append(&attack(long_ago, "10.2.0.9", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    assert_eq!(events(&world.receiver), Vec::<String>::new());
    let page = world.alerting.deliveries(&DeliveryQuery::default(), &ana()).await.expect("read");
    let [delivery] = &page.items[..] else { panic!("{:?}", page.items) };
    assert_eq!(delivery.state, DeliveryState::Silenced);
    assert_eq!(delivery.answer, "not paged: these events are 4 h old");
    let timeline = &world.alerts().await[0].timeline;
    let said = "not paged: these events are 4 h old; not sent";
    assert!(timeline.iter().any(|entry| entry.text.contains(said)), "{timeline:?}");
    world.alerting.send_again(delivery.id).await.expect("asked for");
    world.send().await;
    assert_eq!(events(&world.receiver), ["alert.opened"]);
}

#[tokio::test]
async fn what_is_over_a_receivers_hour_stands_as_limited_and_the_next_counts_it() {
    let receiver = Receiver { per_hour_max: Some(2), ..Receiver::default() };
    let mut world = World::told_through(38, receiver).await;
    for n in 0..5 {
        world.append(&attack(world.now_secs(), &format!("10.2.0.{n}"), 12)).await;
        world.detector.catch_up().await.expect("detector");
        world.send().await;
    }
    let limited = DeliveryQuery {
        state: Some(DeliveryState::Limited),
        limit: 10,
        ..DeliveryQuery::default()
    };
    let page = world.alerting.deliveries(&limited, &ana()).await.expect("read");
    assert_eq!(page.items.len(), 3);
    assert!(page.items.iter().all(|delivery| delivery.answer.starts_with("held back")));
    world.simulation.advance(Duration::from_secs(3_601));
    world.append(&attack(world.now_secs(), "10.2.0.77", 12)).await;
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let counted = world.receiver.held_back.lock().expect("not poisoned").clone();
    assert_eq!(counted, [0, 0, 3]);
}

#[tokio::test]
async fn who_comes_on_duty_is_told_once_what_is_open() {
    let (mut world, boss) = routed(35, "[]", false).await;
    let rotas = |world: &World| {
        let starts = (world.store.clock.now().to_string())[..16].to_owned();
        let json = format!(
            r#"[{{"name": "primary", "starts": "{starts}", "shift_days": 1, "people": [
                {{"name": "ana", "notify": ["test"]}}, {{"name": "bob", "notify": ["boss"]}}]}}]"#
        );
        let rotas: Vec<RotaConfig> = serde_json::from_str(&json).expect("rotas");
        let routes = serde_json::from_str(r#"[{"notify": ["rota:primary"]}]"#).expect("routes");
        Config { rotas, routes, ..Config::default() }
    };
    let config = rotas(&world);
    let route = |world: &World| {
        let named = vec![named("test", &world.receiver), named("boss", &boss)];
        let routing = Routing::of_config(named, &config).expect("good");
        crate::write(&world.alerting.shared.settings).routing = Arc::new(routing);
    };
    route(&world);
    handover::tell(&world.alerting.shared).await.expect("looked");
    for n in 0..3 {
        world.append(&attack(world.now_secs(), &format!("10.2.0.{n}"), 12)).await;
    }
    world.detector.catch_up().await.expect("detector");
    world.send().await;
    let resolved = world.alerts().await[0].summary.id;
    world.alerting.act(resolved, BENIGN, &ana()).await.expect("resolved");
    handover::tell(&world.alerting.shared).await.expect("looked");
    world.send_through(1).await;
    assert_eq!(events(&boss), [""; 0], "not before its turn");

    world.simulation.advance(Duration::from_secs(24 * 3_600));
    handover::tell(&world.alerting.shared).await.expect("handed over");
    world.crash().await;
    route(&world);
    for _ in 0..3 {
        handover::tell(&world.alerting.shared).await.expect("looked");
        world.send_through(1).await;
    }
    assert_eq!(events(&boss), ["rota.handover"], "one message, although it lists no alerts");
    assert_eq!(*boss.told.lock().expect("not poisoned"), [2], "the two that are open");
    let alert = world.alerts().await.remove(2);
    let said = alert.timeline.iter().any(|entry| entry.text.starts_with("bob is on duty now"));
    assert!(said, "{:?}", alert.timeline);
}

#[tokio::test]
async fn a_route_tells_of_so_many_alerts_an_hour_and_of_the_rest_in_a_digest() {
    let json = r#"[{"name": "desk", "notify": ["test"], "per_hour_max": 2, "digest_mins": null,
        "routes": [{"rules": ["nothing"]}]}]"#;
    let (mut world, _) = routed(36, json, true).await;
    let mut at_once = Vec::new();
    for hour in 0..2 {
        for n in 0..4 {
            world.append(&attack(world.now_secs(), &format!("10.2.{hour}.{n}"), 12)).await;
            world.detector.catch_up().await.expect("detector");
            world.send().await;
        }
        let opened = |event: &&String| *event == "alert.opened";
        at_once.push(events(&world.receiver).iter().filter(opened).count());
        world.simulation.advance(Duration::from_secs(3_601));
        world.send().await;
    }
    assert_eq!(at_once, [2, 4], "two an hour");
    let digests = events(&world.receiver).iter().filter(|event| *event == "alert.digest").count();
    assert_eq!(digests, 2);
    let alerts = world.alerts().await;
    let held = alerts.iter().filter(|alert| {
        let is_said = |text: &str| text.contains("route `desk` tells of 2 alerts an hour");
        alert.timeline.iter().any(|entry| is_said(&entry.text))
    });
    assert_eq!(held.count(), 4);
}

#[tokio::test]
async fn many_alerts_at_once_become_one_message() {
    let receiver = Receiver { lists_alerts: true, ..Receiver::default() };
    let mut world = World::told_through(6, receiver).await;
    let now = world.now_secs();
    let records: Vec<String> =
        (0..12).flat_map(|n| attack(now - 60, &format!("10.2.0.{n}"), 10)).collect();
    world.append(&records).await;
    world.detector.catch_up().await.expect("detector");
    *world.receiver.failures.lock().expect("not poisoned") = 1;
    for _ in 0..2 {
        world.send().await;
        world.simulation.advance(Duration::from_secs(5));
    }
    assert_eq!(*world.receiver.told.lock().expect("not poisoned"), [12]);
    let alerts = world.alerts().await;
    assert!(alerts.iter().all(|alert| alert.notifications[0].answer == "200 taken"));
}

#[tokio::test]
async fn what_is_over_ten_messages_a_minute_waits() {
    let receiver = Receiver { lists_alerts: true, ..Receiver::default() };
    let mut world = World::told_through(7, receiver).await;
    for n in 0..12 {
        let now = world.now_secs();
        world.append(&attack(now - 60, &format!("10.2.0.{n}"), 10)).await;
        world.detector.catch_up().await.expect("detector");
        world.send().await;
        world.simulation.advance(Duration::from_secs(1));
    }
    assert_eq!(*world.receiver.told.lock().expect("not poisoned"), [1; 10]);
    world.simulation.advance(Duration::from_secs(60));
    world.send().await;
    assert_eq!(*world.receiver.told.lock().expect("not poisoned"), [1; 12]);
}
