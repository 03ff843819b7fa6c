//! Troubles begin, last and end: what is told of them, and that the bundled rules hear it.

use std::collections::BTreeSet;

use logwarden_alerting::{Config, test_rules};

use super::*;

fn well(store: &Store) -> Glance {
    let journal = JournalHealth {
        volume_bytes: 1_000 * MIB,
        room_bytes: 700 * MIB,
        ..store.journal.health()
    };
    Glance {
        now: Timestamp::from_secs(1_780_000_000),
        passed: Duration::ZERO,
        journal,
        end: 100,
        visible: 100,
        detected: 100,
        stalled: None,
        failing: Vec::new(),
        refused: BTreeMap::new(),
        unreadable: BTreeMap::new(),
    }
}

/// The glance so many seconds later.
fn after(glance: &Glance, secs: u64) -> Glance {
    let span = Duration::from_secs(secs);
    let mut later = glance.clone();
    (later.now, later.passed) = (glance.now.saturating_add(span), glance.passed + span);
    later
}

/// Looks every five seconds so long; what was told, and when.
fn told(watch: &mut Watch, glance: &mut Glance, secs: u64) -> Vec<(u64, &'static str, bool)> {
    let mut told = Vec::new();
    for _ in 0..secs / 5 {
        *glance = after(glance, 5);
        let found = watch.look(glance);
        told.extend(found.iter().map(|f| (glance.passed.as_secs(), f.kind.action(), f.is_over)));
    }
    told
}

#[test]
fn a_trouble_is_told_once_when_it_lasts_and_once_when_it_is_over() {
    let (store, _) = Store::simulated(1);
    let (mut watch, mut glance) = (Watch::default(), well(&store));
    assert_eq!(told(&mut watch, &mut glance, 300), []);
    glance.failing = vec![String::from("pager")];
    assert_eq!(told(&mut watch, &mut glance, 25), [], "it may get through again");
    assert_eq!(told(&mut watch, &mut glance, 600), [(335, "notifier.failing", false)]);
    // It gets through for less than a minute.
    glance.failing.clear();
    assert_eq!(told(&mut watch, &mut glance, 55), []);
    glance.failing = vec![String::from("pager")];
    assert_eq!(told(&mut watch, &mut glance, 60), []);
    glance.failing.clear();
    let over = told(&mut watch, &mut glance, 300);
    assert_eq!(over, [(1_100, "notifier.failing", true)]);
}

#[test]
fn a_reader_is_behind_when_it_has_not_reached_what_came_two_minutes_ago() {
    let (store, _) = Store::simulated(1);
    let (mut watch, mut glance) = (Watch::default(), well(&store));
    assert_eq!(told(&mut watch, &mut glance, 200), []);
    // Always a thousand records behind, but never for long.
    for _ in 0..60 {
        (glance.end, glance.visible, glance.detected) =
            (glance.end + 1_000, glance.end, glance.end);
        assert_eq!(told(&mut watch, &mut glance, 5), []);
    }
    let behind = told(&mut watch, &mut glance, 600);
    assert_eq!(behind, [(620, "index.behind", false), (620, "detector.behind", false)]);
    assert!(watch.is_told(Kind::DetectorBehind));
    (glance.visible, glance.detected) = (glance.end, glance.end);
    told(&mut watch, &mut glance, 100);
    assert!(!watch.is_told(Kind::DetectorBehind));
}

#[test]
fn little_room_is_told_before_records_are_refused_and_does_not_flap() {
    let (store, _) = Store::simulated(1);
    let (mut watch, mut glance) = (Watch::default(), well(&store));
    glance.journal.room_bytes = 51 * MIB;
    assert_eq!(told(&mut watch, &mut glance, 60), []);
    glance.journal.room_bytes = 49 * MIB;
    assert_eq!(told(&mut watch, &mut glance, 60), [(65, "disk.low", false)]);
    glance.journal.room_bytes = 60 * MIB;
    assert_eq!(
        told(&mut watch, &mut glance, 600),
        [],
        "not over before there is half as much more"
    );
    glance.journal.room_bytes = 80 * MIB;
    assert_eq!(told(&mut watch, &mut glance, 65), [(780, "disk.low", true)]);
    // The oldest records go instead: nothing is ever refused.
    glance.journal.room_bytes = u64::MAX;
    assert_eq!(told(&mut watch, &mut glance, 600), []);
}

#[test]
fn a_clock_that_jumps_is_told_and_one_that_is_slewed_is_not() {
    let (store, _) = Store::simulated(1);
    let (mut watch, mut glance) = (Watch::default(), well(&store));
    told(&mut watch, &mut glance, 60);
    glance.now = glance.now.saturating_add(Duration::from_secs(20));
    assert_eq!(told(&mut watch, &mut glance, 10), []);
    glance.now = glance.now.saturating_sub(Duration::from_secs(3_600));
    glance = after(&glance, 5);
    let found = watch.look(&glance);
    assert_eq!(found.len(), 1);
    assert!(found[0].text.starts_with("the clock jumped back by 3600 s"), "{}", found[0].text);
    assert_eq!(told(&mut watch, &mut glance, 300), [], "once");
}

#[test]
fn what_no_alert_can_tell_of_is_told_directly_until_it_is_over() {
    let (store, _) = Store::simulated(1);
    let (mut watch, mut glance) = (Watch::default(), well(&store));
    let (mut direct, mut untold) = (BTreeMap::new(), VecDeque::new());
    let mut look = |glance: &mut Glance, secs: u64, is_taken: bool| {
        let mut told = BTreeSet::new();
        for _ in 0..secs / 5 {
            *glance = after(glance, 5);
            let found = watch.look(glance);
            watch.keep_direct(&mut direct, &found, &untold, glance.passed);
            untold.extend(found.into_iter().map(|finding| (glance.passed, finding)));
            if is_taken {
                untold.clear();
            }
            told = direct.values().map(|trouble| trouble.rule.clone()).collect();
        }
        told.into_iter().collect::<Vec<_>>().join(" ")
    };
    glance.unreadable.insert(String::from("bad"), String::from("permission denied"));
    assert_eq!(look(&mut glance, 120, true), "", "an alert tells of it");
    glance.journal.state = JournalState::Failed;
    assert_eq!(look(&mut glance, 30, false), "", "it may be taken yet");
    assert_eq!(look(&mut glance, 10, false), "journal_failed");
    glance.stalled = Some(String::from("a panic, see the log"));
    assert_eq!(look(&mut glance, 30, false), "journal_failed");
    assert_eq!(look(&mut glance, 10, false), "detector_stalled journal_failed");
    glance.journal.state = JournalState::Ready;
    assert_eq!(look(&mut glance, 70, true), "detector_stalled", "even when the journal takes it");
    glance.stalled = None;
    assert_eq!(look(&mut glance, 70, true), "");
}

#[tokio::test]
async fn a_bundled_rule_hears_of_each_trouble_once_and_of_none_that_is_over() {
    let (store, _) = Store::simulated(1);
    let config = Config { rules: Default::default(), ..Config::default() };
    let alerting = Alerting::open(store.clone(), config).await.expect("opened");
    let rules = alerting.rule_set();
    let mut heard = BTreeSet::new();
    for kind in Kind::ALL {
        let about = String::from("x");
        let began = Finding {
            kind,
            about,
            text: String::from("it is so"),
            is_over: false,
            at: Timestamp::from_secs(1),
        };
        let over = Finding { is_over: true, ..began.clone() };
        let found = test_rules(&rules, &[began.event(), over.event()], Duration::ZERO);
        let names: Vec<(&str, usize)> =
            found.iter().map(|found| (found.rule_id.as_str(), found.event_index)).collect();
        assert_eq!(names.len(), 1, "{kind:?}: {names:?}");
        assert_eq!(names[0].1, 0, "{kind:?}");
        heard.insert(names[0].0.to_owned());
        assert!(began.append(&store).await.is_ok());
        let end = store.journal.end(0);
        assert!(began.append(&store).await.is_ok());
        assert_eq!(store.journal.end(0), end, "it was told again");
    }
    assert_eq!(heard.len(), Kind::ALL.len(), "each has a rule of its own: {heard:?}");
}
