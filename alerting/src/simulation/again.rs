//! What happens after an alert was resolved, and values that are each told of by themselves.

use super::*;

const ROOT: &str = "title: Root\nid: root\nlogsource: {}\ndetection: { s: { user.name: root }, condition: s }\n---\n\
    title: Guess\nname: guess\nlogsource: {}\ndetection: { s: { k: guess }, condition: s }\n---\n\
    title: Guesses\nid: guesses\ncorrelation:\n  type: event_count\n  rules: [guess]\n  \
    group-by: [source.ip]\n  timespan: 5m\n  condition: { gte: 3 }\n---\n\
    title: Country\nid: country\ndetector:\n  type: new_term\n  history: 30d\n  \
    input: { logsource: {}, detection: { s: { g: '*' }, condition: s } }\n  \
    group-by: [user.name]\n  fields: [g]\n---\n\
    title: Scan\nid: scan\ncorrelation:\n  type: value_count\n  rules: [path]\n  \
    group-by: [tenant]\n  timespan: 5m\n  condition: { field: path, gte: 2 }\n\
    logwarden: { entity: customer.id }\n---\n\
    title: Path\nname: path\nlogsource: {}\ndetection: { s: { path: '*' }, condition: s }\n";

async fn with_rules(seed: u64) -> World {
    let mut world = World::new(seed).await;
    use_rules(&mut world).await;
    world
}

async fn use_rules(world: &mut World) {
    let file = RuleFile { name: "r.yml".into(), text: ROOT.into() };
    let (rules, problems) = RuleSet::load(&[file]);
    assert_eq!(problems, []);
    crate::write(&world.alerting.shared.settings).rules = Arc::new(rules);
    world.detector = Detector::open(world.alerting.shared.clone()).await.expect("opened");
}

impl World {
    async fn see(&mut self, rest: &str) {
        let at = self.now_secs();
        self.append(&[format!(r#"{{"time":{at},"source.ip":"10.2.0.9",{rest}}}"#)]).await;
        self.detector.catch_up().await.expect("detector");
    }

    async fn resolve(&self, place: usize) {
        let id = self.alerts().await[place].summary.id;
        let done = Act::Resolve { reason: Resolution::Benign, note: None };
        self.alerting.act(id, done, &ana()).await.expect("resolved");
    }

    /// The alerts, oldest first: state, detections, events.
    async fn listed(&self) -> Vec<(&'static str, u64, u64)> {
        let mut alerts = self.alerts().await;
        alerts.sort_by_key(|alert| alert.summary.opened_at);
        let listed = |alert: Alert| {
            let summary = alert.summary;
            (summary.state.name(), summary.detections, summary.events)
        };
        alerts.into_iter().map(listed).collect()
    }

    async fn opened(&self) -> usize {
        self.send().await;
        let taken = self.receiver.taken.lock().expect("not poisoned");
        taken.iter().filter(|(_, event, _)| event == "alert.opened").count()
    }
}

#[tokio::test]
async fn a_match_after_its_alert_was_resolved_opens_another() {
    let mut world = with_rules(31).await;
    world.see(r#""user.name":"root""#).await;
    world.simulation.advance(Duration::from_secs(60));
    world.see(r#""user.name":"root""#).await;
    assert_eq!(world.listed().await, [("open", 1, 2)]);
    world.simulation.advance(Duration::from_secs(60));
    world.resolve(0).await;
    world.simulation.advance(Duration::from_secs(60));
    world.see(r#""user.name":"root""#).await;
    assert_eq!(world.listed().await, [("resolved", 1, 2), ("open", 1, 1)]);
    assert_eq!(world.opened().await, 2, "the person on call is told");
    // What follows joins it, also after a crash.
    world.crash().await;
    use_rules(&mut world).await;
    world.simulation.advance(Duration::from_secs(60));
    world.see(r#""user.name":"root""#).await;
    assert_eq!(world.listed().await, [("resolved", 1, 2), ("open", 1, 2)]);
    let newer = world.alerts().await.iter().position(|a| a.summary.state == AlertState::Open);
    world.simulation.advance(Duration::from_secs(1));
    world.resolve(newer.expect("one is open")).await;
    world.simulation.advance(Duration::from_secs(60));
    world.see(r#""user.name":"root""#).await;
    let listed = world.listed().await;
    assert_eq!(listed, [("resolved", 1, 2), ("resolved", 1, 2), ("open", 1, 1)]);
}

#[tokio::test]
async fn a_count_that_holds_on_after_its_alert_was_resolved_opens_another_with_its_window() {
    let mut world = with_rules(32).await;
    for _ in 0..3 {
        world.see(r#""k":"guess""#).await;
        world.simulation.advance(Duration::from_secs(10));
    }
    assert_eq!(world.listed().await, [("open", 1, 3)]);
    world.resolve(0).await;
    world.simulation.advance(Duration::from_secs(10));
    world.see(r#""k":"guess""#).await;
    let alerts = world.alerts().await;
    let open = alerts.iter().find(|a| a.summary.state == AlertState::Open).expect("another");
    assert_eq!((open.summary.events, open.why.observed, open.why.threshold), (4, 4, 3));
    assert_eq!(world.opened().await, 2);
}

#[tokio::test]
async fn an_alert_is_found_by_what_its_rule_says_it_is_about() {
    let mut world = with_rules(35).await;
    for path in ["/a", "/b"] {
        world.see(&format!(r#""tenant":"t1","customer.id":"c-7","path":"{path}""#)).await;
    }
    let alert = world.alerts().await.remove(0);
    let about = alert.summary.entity.clone().map(|one| (one.kind, one.field, one.value));
    assert_eq!(about, Some(("other".into(), "customer.id".into(), "c-7".into())));
    let mut fields: Vec<&str> = alert.subjects().map(|one| one.entity.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["customer.id", "source.ip"], "a path is counted, not what it is about");
    assert!(alert.why.text.starts_with("2 different values of path"), "{}", alert.why.text);
    for (entity, found) in [("c-7", 1), ("/a", 0)] {
        let query = AlertQuery { entity: Some(entity.into()), ..AlertQuery::default() };
        let page = world.alerting.alerts(&query, &ana()).await.expect("a page");
        assert_eq!(page.items.len(), found, "{entity}");
    }
}

#[tokio::test]
async fn what_only_follows_stays_with_the_resolved_alert() {
    let mut world = with_rules(33).await;
    for _ in 0..3 {
        world.see(r#""k":"guess""#).await;
    }
    world.simulation.advance(Duration::from_secs(400));
    world.resolve(0).await;
    world.simulation.advance(Duration::from_secs(60));
    world.see(r#""k":"guess""#).await;
    assert_eq!(world.listed().await, [("resolved", 1, 4)], "one guess alone is below the count");
}

#[tokio::test]
async fn each_new_value_is_an_alert_of_its_own_and_told_of() {
    let mut world = with_rules(34).await;
    for country in ["de", "fr", "fr", "kp"] {
        world.see(&format!(r#""user.name":"ana","g":"{country}""#)).await;
        world.simulation.advance(Duration::from_secs(600));
        world.crash().await;
        use_rules(&mut world).await;
    }
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    let mut values: Vec<&str> =
        alerts.iter().map(|alert| alert.summary.group[1].1.as_str()).collect();
    values.sort_unstable();
    assert_eq!(values, ["fr", "kp"]);
    for alert in &alerts {
        assert_eq!((alert.summary.events, alert.evidence.len()), (1, 1), "{:?}", alert.summary);
        assert_eq!(alert.summary.entity.as_ref().map(|one| one.value.as_str()), Some("ana"));
    }
    assert_eq!(world.opened().await, 2);
    world.simulation.advance(Duration::from_secs(3_600));
    world.detector.catch_up().await.expect("detector");
    assert!(world.alerts().await.iter().all(|alert| alert.summary.ended_at.is_some()));
}

#[tokio::test]
async fn a_success_in_the_second_of_a_failure_is_the_one_that_counts() {
    let mut world = World::new(13).await;
    let start = world.now_secs() - 300;
    let failed = |second: i64, user: &str| login(start + second, "10.2.0.9", user, "failure");
    let mut records: Vec<String> = (0..6).map(|n| failed(n, "root")).collect();
    records.extend([failed(6, "admin"), failed(6, "guest")]);
    records.push(login(start + 6, "10.2.0.9", "deploy", "success"));
    world.append(&records).await;
    world.detector.catch_up().await.expect("detector");
    let of_rule = |alert: &Alert| alert.summary.rule.name == "login_after_failures";
    let alert = world.alerts().await.into_iter().find(of_rule).expect("it opened");
    assert_eq!(alert.summary.title, "Successful login after failures from 10.2.0.9, user deploy");
    let flagged = alert.evidence.iter().filter(|evidence| evidence.flag.is_some());
    assert_eq!(
        flagged.map(|evidence| &*evidence.message).collect::<Vec<_>>(),
        ["success for deploy from 10.2.0.9"]
    );
}
