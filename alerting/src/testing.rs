//! Rules over events at hand: matches for the command line, and the tests embedded in rule files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{Event, EventId, Position, Timestamp};

use crate::engine::{Engine, Finding, Found};
use crate::rule::{Logic, Match, Problem, RuleSet, RuleTest, TestCase};

/// When the first event of an embedded test is received.
const TESTS_BEGIN_SECS: i64 = 1_767_225_600;

/// Runs rules over events, in the order given; matches by event, then in the order of the rules.
///
/// A Sigma rule matches at each event it looks for, unless only correlations look at it. A
/// correlation matches once for each detection, at the event with which its condition held first; a
/// detection of what was never seen, at the last event before. Nothing comes for `silence` after the last.
pub(crate) fn run(rules: &Arc<RuleSet>, events: &[Event], silence: Duration) -> Vec<Match> {
    let mut engine = Engine::new(rules.clone());
    let mut by_id: HashMap<u128, usize> = HashMap::new();
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut episodes = Episodes::new();
    for (index, event) in events.iter().enumerate() {
        let mut event = event.clone();
        // Events of a file have no place in a journal yet; their line serves as one. They are all
        // received at the same moment, so none is late and no window is forgotten meanwhile.
        let seq = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        event.stamp(Position { lane: 0, seq }, event.observed_at());
        by_id.insert(event.id().to_u128(), index);
        for place in engine.matches(&event) {
            if rules.opens_alerts(place) {
                found.push((index, place));
            }
        }
        note(rules, engine.process(&event).found, &mut episodes);
    }
    // What waits for the watermark is judged as long as it is known that nothing came.
    if let Some(last) = events.iter().map(Event::timestamp).max() {
        note(rules, engine.finish(last.saturating_add(silence)), &mut episodes);
    }
    let last_before = |at: i64| {
        let until = |index: &usize| events[*index].timestamp().nanos() <= at;
        (0..events.len()).filter(until).max_by_key(|index| events[*index].timestamp())
    };
    for ((place, _, _), (started_by, started_at)) in episodes {
        let by = by_id.get(&started_by).copied().or_else(|| last_before(started_at));
        found.extend(by.map(|index| (index, place)));
    }
    found.sort_unstable();
    let to_match = |(event_index, place): (usize, usize)| Match {
        rule_id: rules.rules()[place].id.clone(),
        event_index,
    };
    found.into_iter().map(to_match).collect()
}

/// Which event began which episode of a rule in a group, and when.
type Episodes = HashMap<(usize, Arc<str>, u128), (u128, i64)>;

fn note(rules: &RuleSet, findings: Vec<Finding>, episodes: &mut Episodes) {
    for finding in findings {
        if !matches!(rules.rules()[finding.rule].logic, Logic::Correlate(_)) {
            continue;
        }
        let (episode, absorbed) = match finding.what {
            Found::Began { episode, .. } => (episode, Vec::new()),
            Found::Grew { episode, absorbed, .. } => (episode, absorbed),
            Found::Ended { .. } => continue,
        };
        for other in absorbed {
            episodes.remove(&(finding.rule, finding.key.clone(), other.key));
        }
        let started = (episode.started_by, episode.started_at);
        episodes.insert((finding.rule, finding.key, episode.key), started);
    }
}

/// Runs the tests embedded in rule files. A rule is tested by itself, whatever its state and
/// whoever looks at it.
pub(crate) fn run_embedded(rules: &RuleSet, normalize: &dyn Fn(&[u8]) -> Event) -> Vec<RuleTest> {
    let mut results = Vec::new();
    for (place, rule) in rules.rules().iter().enumerate() {
        if rule.settings.tests.is_empty() {
            continue;
        }
        let alone = Arc::new(rules.only(place));
        for test in &rule.settings.tests {
            let events = test_events(test, normalize);
            let found = run(&alone, &events, test.silence);
            let found = found.iter().filter(|m| m.rule_id == rule.id).count();
            let at = Problem {
                file: rule.file.clone(),
                line: test.at.line,
                column: test.at.column,
                message: format!("test `{}` of rule `{}`", test.name, rule.id),
            };
            results.push(RuleTest {
                rule_id: rule.id.clone(),
                name: test.name.clone(),
                expected: test.expect,
                found,
                at,
            });
        }
    }
    results
}

fn test_events(test: &TestCase, normalize: &dyn Fn(&[u8]) -> Event) -> Vec<Event> {
    let mut now = Timestamp::from_secs(TESTS_BEGIN_SECS);
    let mut events = Vec::new();
    for item in &test.events {
        let record = item.record.to_string();
        let event = normalize(record.as_bytes());
        for _ in 0..item.times {
            let mut event = event.clone();
            event.stamp(EventId::default().position(), now);
            events.push(event);
            now = now.saturating_add(item.every.max(Duration::from_nanos(1)));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use logwarden_event::{EventBuilder, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::rule::RuleFile;
    use crate::sample::event_of_json;

    fn load(text: &str) -> (Arc<RuleSet>, Vec<String>) {
        let file = RuleFile { name: String::from("r.yml"), text: text.to_owned() };
        let (rules, problems) = RuleSet::load(&[file]);
        (Arc::new(rules), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists_bring_values_and_a_rule_whose_list_is_empty_waits() {
        let rule = "title: t\nid: t\nlogsource: {}\ndetection:\n  sel: { user.name|expand: '%admins%' }\n  \
            other: { k: a }\n  condition: other and not sel\n";
        let events = [r#"{"k":"a","user.name":"root"}"#, r#"{"k":"a","user.name":"eve"}"#];
        let events = events.map(|event| event_of_json(event.as_bytes()));
        let found = |list: &str, rest: &str| {
            let file = |name: &str, text: &str| RuleFile { name: name.into(), text: text.into() };
            let files = [file("l/admins.txt", list), file("r.yml", &format!("{rule}{rest}"))];
            let (rules, problems) = RuleSet::load(&files);
            assert_eq!(problems, []);
            let found = run(&Arc::new(rules), &events, Duration::ZERO);
            found.iter().map(|m| m.event_index).collect::<Vec<_>>()
        };
        assert_eq!(found("# all\nroot\n", ""), [1]);
        assert_eq!(found("", ""), [] as [usize; 0], "nobody is known to be left out");
        assert_eq!(found("root", "logwarden: { lists: { admins: [eve] } }\n"), [0]);
    }

    #[test]
    fn a_filter_is_added_to_the_rules_of_its_logsource() {
        let text = "title: a\nname: a\nlogsource: { product: linux }\ndetection: { s: { k: a }, condition: s }\n---\n\
            title: b\nname: b\nlogsource: {}\ndetection: { s: { k: a }, condition: s }\n---\n\
            title: f\nlogsource: { product: linux }\nfilter:\n  rules: WHO\n  \
            known: { user.name: root }\n  condition: not known\n";
        let event = event_of_json(br#"{"class":"linux//","k":"a","user.name":"root"}"#);
        for (who, expected) in [("any", &["b"][..]), ("[a]", &["b"]), ("[b]", &["a", "b"])] {
            let (rules, problems) = load(&text.replace("WHO", who));
            assert_eq!(problems, [] as [String; 0]);
            let found = run(&rules, std::slice::from_ref(&event), Duration::ZERO);
            let ids: Vec<&str> = found.iter().map(|m| m.rule_id.as_str()).collect();
            assert_eq!(ids, expected, "{who}");
        }
        let (_, problems) = load(&text.replace("WHO", "[x]"));
        assert_eq!(problems, ["r.yml:14:11: there is no rule `x`"]);
    }

    /// Runs one detection, written as YAML flow, over one event per line; answers the lines that
    /// match.
    fn check(selection: &str, events: &[&str], expected: &[usize]) {
        let text = format!(
            "title: t\nid: t\nlogsource: {{}}\ndetection:\n  sel: {selection}\n  condition: sel\n"
        );
        let (rules, problems) = load(&text);
        assert_eq!(problems, [] as [String; 0], "{selection}");
        let events: Vec<Event> = events.iter().map(|e| event_of_json(e.as_bytes())).collect();
        let found: Vec<usize> =
            run(&rules, &events, Duration::ZERO).iter().map(|m| m.event_index).collect();
        assert_eq!(found, expected, "{selection}");
    }

    #[test]
    fn values_match_as_sigma_says() {
        let users = [
            r#"{"user.name":"Root"}"#,
            r#"{"user.name":"alice"}"#,
            r#"{"user.name":null}"#,
            r#"{"message":"root logged in"}"#,
        ];
        check("{ user.name: root }", &users, &[0]);
        check("{ user.name|cased: root }", &users, &[]);
        check("{ user.name: [root, alice] }", &users, &[0, 1]);
        check("{ user.name: null }", &users, &[2, 3]);
        check("{ user.name: '*' }", &users, &[0, 1]);
        check("{ user.name: 'r?ot' }", &users, &[0]);
        check("{ user.name|contains: OO }", &users, &[0]);
        check("{ user.name|contains|all: [l, c] }", &users, &[1]);
        check("{ user.name|startswith: al }", &users, &[1]);
        check("{ user.name|endswith: [ot, ce] }", &users, &[0, 1]);
        check("{ user.name|exists: true }", &users, &[0, 1, 2]);
        check("{ user.name|exists: false }", &users, &[3]);
        check("{ user|exists: true }", &users, &[0, 1, 2]);
        check("{ use|exists: true }", &users, &[]);
        check("{ user.name|re: '^r.*t$' }", &users, &[]);
        check("{ user.name|re|i: '^r.*t$' }", &users, &[0]);
        check("{ user.name|neq: root }", &users, &[1, 2, 3]);
        check("[root]", &users, &[0, 3]);
        let times = [r#"{"at":"2026-11-22T04:22:59Z"}"#, r#"{"at":"2026-11-22T23:00:00Z"}"#];
        check("{ at|hour: 4 }", &times, &[0]);
        check("{ at|hour|gte: 22 }", &times, &[1]);
        check("{ at|month: [10, 11] }", &times, &[0, 1]);
        check("[ { user.name: root }, { message|contains: logged } ]", &users, &[0, 3]);
    }

    #[test]
    fn numbers_addresses_and_references() {
        let events = [
            r#"{"n":4624,"source.ip":"10.2.0.9","a":"x","b":"X"}"#,
            r#"{"n":"4625","source.ip":"192.168.1.1","a":"x","b":"y"}"#,
        ];
        check("{ n: 4624 }", &events, &[0]);
        check("{ n: '4625' }", &events, &[1]);
        check("{ n|gte: 4625 }", &events, &[1]);
        check("{ n|lt: 4625 }", &events, &[0]);
        check("{ source.ip|cidr: 10.0.0.0/8 }", &events, &[0]);
        check("{ source.ip: 10.2.0.9 }", &events, &[0]);
        check("{ a|fieldref: b }", &events, &[0]);
        check("{ a|fieldref|cased: b }", &events, &[]);
        let subject = r#"{"SubjectUserName":"ann","user.name":"ann"}"#;
        let target = r#"{"SubjectUserName":"ann","TargetUserName":"bob","user.name":"ann"}"#;
        check("{ SubjectUserName|fieldref: TargetUserName }", &[subject, target], &[0]);
        let large = [r#"{"n":9007199254740993}"#, r#"{"n":"9007199254740992"}"#];
        check("{ n|gt: 9007199254740992 }", &large, &[0]);
        check("{ n|gte: 9007199254740993 }", &large, &[0]);
        check("{ n|lt: 9007199254740993 }", &large, &[1]);
        check("{ n|lte: 0x20000000000000 }", &large, &[1]);
    }

    #[test]
    fn encoded_values_are_found() {
        let events = [
            r#"{"c":"cmd /enc x"}"#,
            r#"{"c":"cmd \u2013enc x"}"#,
            r#"{"c":"aWV4IChOZXctT2JqZWN0"}"#,
            r#"{"c":"eHBvd2Vyc2hlbGw="}"#,
            r#"{"c":"aQBlAHgA"}"#,
        ];
        check("{ c|windash|contains: ' -enc ' }", &events, &[0, 1]);
        check("{ c|base64offset|contains: 'New-Object' }", &events, &[2]);
        check("{ c|base64offset|contains: powershell }", &events, &[3]);
        check("{ c|wide|base64offset|contains: iex }", &events, &[4]);
        check("{ c|utf16le|base64: iex }", &events, &[4]);
    }

    #[test]
    fn windows_names_are_found_where_shippers_put_them() {
        let events = [
            r#"{"Event.EventData.Image":"C:\\a\\cmd.exe"}"#,
            r#"{"winlog.event_data.Image":"C:\\a\\cmd.exe"}"#,
            r#"{"Event.EventData.NewProcessName":"C:\\a\\cmd.exe"}"#,
            r#"{"process.executable":"C:\\a\\cmd.exe"}"#,
            r#"{"Image":"C:\\a\\other.exe","process.executable":"C:\\a\\cmd.exe"}"#,
        ];
        check(r"{ Image|endswith: '\cmd.exe' }", &events, &[0, 1, 2, 3]);
    }

    /// Loads one rule of this detection; answers its problem.
    fn refused(rule: &str, expected: &str) {
        let (rules, problems) = load(rule);
        assert_eq!((problems.join("; ").as_str(), rules.rules().len()), (expected, 0), "{rule}");
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_place() {
        let rule = |selection: &str, rest: &str| {
            format!(
                "title: t\nlogsource: {{}}\ndetection:\n  sel:\n    {selection}\n  condition: sel\n{rest}"
            )
        };
        refused(&rule("a|contians: x", ""), "r.yml:5:5: unknown modifier `contians`");
        refused(
            &rule("a|expand: '%x'", ""),
            "r.yml:5:15: `%x` is no text with names of lists, such as %admins%",
        );
        refused(&rule("a|hour: noon", ""), "r.yml:5:13: `noon` is no whole number");
        refused(&rule("a|cidr: 10.0", ""), "r.yml:5:13: `10.0` is no network, such as 10.0.0.0/8");
        refused(&rule("a: x", "logwarden: { supress: 1h }\n"), "r.yml:7:14: unknown key `supress`");
        refused(
            "title: t\ndetektor: { type: spike }\n",
            "r.yml:1:1: none of `detection`, `correlation`, `detector` and `filter` is there: this is no rule",
        );
        refused(
            "title: c\ncorrelation:\n  type: value_sum\n  rules: [x]\n  timespan: 5m\n  condition: { lt: 5 }\n",
            "r.yml:6:14: value_sum needs one `field`",
        );
        refused(
            "title: c\ndetector:\n  type: spike\n  windoe: 5m\n",
            "r.yml:4:3: unknown key `windoe`",
        );
        refused(
            "title: c\ncorrelation:\n  type: event_count\n  rules: [x]\n  timespan: 5m\n  condition: { gte: 5 }\n",
            "r.yml:4:11: there is no rule `x`",
        );
    }

    #[test]
    fn what_would_be_without_effect_is_refused_with_its_place() {
        let sigma = "title: a\nname: a\nlogsource: {}\ndetection: { s: { k: a }, condition: s }\n";
        refused(
            &sigma.replace("condition: s", "condition: []"),
            "r.yml:4:38: an empty list of conditions matches nothing",
        );
        refused(
            &format!("{sigma}logwarden: {{ notify: 5 }}\n"),
            "r.yml:5:22: `notify` lists notifiers' names, which are texts",
        );
        refused(
            &format!(
                "{sigma}correlation: {{ type: event_count, rules: [a], timespan: 1m, condition: {{ gte: 1 }} }}\n"
            ),
            "r.yml:5:1: `detection` and `correlation` are two rules: each has a document",
        );
        let beside = |rest: &str, expected: &str| {
            let (rules, problems) = load(&format!("{sigma}---\n{rest}"));
            let known: Vec<&str> = rules.rules().iter().map(|rule| rule.short_name()).collect();
            assert_eq!(problems, [expected], "{rest}");
            known.join(" ")
        };
        let count = "title: c\nname: c\ncorrelation:\n  type: event_count\n  rules: [a]\n  timespan: 1m\n  \
            condition: { gte: 2 }\n";
        let aliases = "  group-by: [ip]\n  aliases: { ip: { b: src } }\n";
        let found = beside(
            &format!("{count}{aliases}"),
            "r.yml:14:20: `b` is none of the rules of this correlation",
        );
        assert_eq!(found, "a");
        let filter =
            "---\ntitle: f\nlogsource: {}\nfilter: { rules: [c], n: { u: x }, condition: not n }\n";
        let found = beside(
            &format!("{count}{filter}"),
            "r.yml:16:19: `c` looks at other rules: a filter is added to rules over one event",
        );
        assert_eq!(found, "a c");
        let flat = "title: t\ndetector:\n  type: flatline\n  input: { rules: [a] }\n  window: 1m\n  group-by: [h]\n";
        beside(&format!("{flat}  keys: {{ lst: [x] }}\n"), "r.yml:12:11: unknown key `lst`");
        beside(
            &format!("{flat}  keys: 5\n"),
            "r.yml:12:9: `keys` has seen-within, such as 7d, or a list of groups",
        );
        beside(
            &format!("{flat}  keys: {{ list: [[x, y]] }}\n"),
            "r.yml:12:18: must be a value, or a list of one value for each field",
        );
        beside(
            &format!("{flat}  lateness: 1h\nlogwarden: {{ lateness: 2h }}\n"),
            "r.yml:6:1: `lateness` stands under `detector` and `logwarden`",
        );
        let ratio = "title: t\ndetector: { type: ratio, input: { rules: [c] }, window: 1m, part: { k: a }, above: 0.5 }\n";
        beside(
            &format!("{count}---\n{ratio}"),
            "r.yml:15:43: `c` is no rule over one event: no event of it is `part`",
        );
    }

    #[test]
    fn what_is_due_when_nothing_more_comes_is_judged() {
        let text = "title: a\nname: a\nlogsource: {}\ndetection: { s: { k: a }, condition: s }\n---\n\
            title: t\nid: t\ndetector: { type: flatline, input: { rules: [a] }, window: 10m, group-by: [h], keys: { list: [y] } }\n\
            logwarden:\n  tests:\n    - { name: at once, events: [{ k: a, h: x }], expect: 0 }\n    \
            - { name: later, events: [{ k: a, h: x }], silence: 11m, expect: 2 }\n";
        let (rules, problems) = load(text);
        assert_eq!(problems, [] as [String; 0]);
        let tests = run_embedded(&rules, &event_of_json);
        assert!(tests.len() == 2 && tests.iter().all(RuleTest::passed), "{tests:?}");
    }

    #[test]
    fn a_fault_leaves_the_other_documents_of_the_file_in_use() {
        let good = "title: good\nlogsource: {}\ndetection: { s: { a: b }, condition: s }\n";
        let (rules, problems) = load(&format!("{good}---\ntitle: bad\ndetection: 5\n---\n[1\n"));
        assert_eq!(rules.rules().len(), 1);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_chain_fires_in_every_order_and_only_once() {
        let files = crate::bundled_rules();
        let rules = Arc::new(RuleSet::load(&files).0);
        let event = |second: u32, outcome: &str| {
            event_of_json(
                format!(
                    r#"{{"time":{second},"event.category":"authentication","event.outcome":"{outcome}","user.name":"root","source.ip":"10.2.0.9"}}"#
                )
                .as_bytes(),
            )
        };
        let mut events: Vec<Event> = (0..12).map(|n| event(1_000 + n, "failure")).collect();
        events.push(event(1_020, "success"));
        let fired = |events: &[Event]| {
            let mut found: Vec<(String, Timestamp)> = run(&rules, events, Duration::ZERO)
                .into_iter()
                .map(|m| (m.rule_id, events[m.event_index].timestamp()))
                .collect();
            found.sort();
            found
        };
        let in_order = fired(&events);
        assert_eq!(in_order.len(), 2, "the spike and the success: {in_order:?}");
        events.reverse();
        assert_eq!(fired(&events), in_order);
        events.rotate_left(5);
        assert_eq!(fired(&events), in_order);
    }

    /// A sign-in of one of three addresses and twelve users, within a quarter of an hour.
    fn sign_in() -> impl Strategy<Value = (u32, u32, u32, bool)> {
        (0u32..900, 0u32..3, 0u32..12, proptest::bool::weighted(0.8))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
        #[test]
        fn bundled_rules_fire_the_same_in_every_order(
            sign_ins in proptest::collection::vec(sign_in(), 1..80),
            seed in any::<u64>(),
        ) {
            let rules = Arc::new(RuleSet::load(&crate::bundled_rules()).0);
            let record = |(second, address, user, is_failure): &(u32, u32, u32, bool)| {
                let outcome = if *is_failure { "failure" } else { "success" };
                event_of_json(format!(
                    r#"{{"time":{second},"event.category":"authentication","event.outcome":"{outcome}","user.name":"u{user}","source.ip":"10.2.0.{address}"}}"#
                ).as_bytes())
            };
            let mut events: Vec<Event> = sign_ins.iter().map(record).collect();
            let fired = |events: &[Event]| {
                let found = run(&rules, events, Duration::ZERO).into_iter();
                let mut found: Vec<(String, Timestamp)> =
                    found.map(|m| (m.rule_id, events[m.event_index].timestamp())).collect();
                found.sort();
                found
            };
            let expected = fired(&events);
            let mut places: Vec<usize> = (0..events.len()).collect();
            places.sort_by_key(|place| crate::identity::hash(&[&seed.to_le_bytes(), &place.to_le_bytes()]));
            events = places.iter().map(|place| events[*place].clone()).collect();
            prop_assert_eq!(fired(&events), expected);
        }
    }

    #[test]
    fn a_late_event_counts_as_long_as_its_rule_or_source_allows() {
        let fires = |settings: &str, source: &str| {
            let text = format!(
                "title: b\nname: b\nlogsource: {{}}\ndetection: {{ s: {{ k: a }}, condition: s }}\n---\n\
                 title: two\nid: two\ncorrelation:\n  type: event_count\n  rules: [b]\n  timespan: 60s\n  \
                 condition: {{ gte: 2 }}\n{settings}"
            );
            let (rules, problems) = load(&text);
            assert_eq!(problems, [] as [String; 0]);
            let slow = HashMap::from([("slow".to_owned(), Duration::from_secs(3_600))]);
            let mut engine = Engine::with_lateness(rules, Arc::new(slow));
            let mut found = 0;
            for (seq, (happened, received)) in [(0, 0), (30, 600)].into_iter().enumerate() {
                let mut event = EventBuilder::new(b"{}");
                event.source(source).timestamp(Some(Timestamp::from_secs(happened)));
                event.field("k", Value::String("a"));
                let mut event = event.build();
                event.stamp(
                    Position { lane: 0, seq: seq as u64 + 1 },
                    Timestamp::from_secs(received),
                );
                found += engine.process(&event).found.len();
            }
            found == 1
        };
        assert!(!fires("", "usual"), "ten minutes late, two are allowed");
        assert!(fires("", "slow"), "the source is allowed an hour");
        assert!(!fires("logwarden: { lateness: 1m }\n", "slow"), "the rule says a minute");
        assert!(fires("logwarden: { lateness: 1h }\n", "usual"), "the rule says an hour");
    }

    #[test]
    fn aliases_bring_different_fields_into_one_group() {
        let text = "title: a\nname: a\nlogsource: {}\ndetection: { s: { k: a }, condition: s }\n---\n\
            title: b\nname: b\nlogsource: {}\ndetection: { s: { k: b }, condition: s }\n---\n\
            title: both\nid: both\ncorrelation:\n  type: temporal\n  rules: [a, b]\n  group-by: [ip]\n  \
            timespan: 10s\n  generate: true\n  aliases: { ip: { a: src, b: dst } }\n";
        let (rules, problems) = load(text);
        assert_eq!(problems, [] as [String; 0]);
        let events = [
            r#"{"time":1,"k":"a","src":"1.1.1.1"}"#,
            r#"{"time":5,"k":"b","src":"1.1.1.1","dst":"2.2.2.2"}"#,
            r#"{"time":9,"k":"b","dst":"1.1.1.1"}"#,
        ]
        .map(|record| event_of_json(record.as_bytes()));
        let found: Vec<(String, usize)> = run(&rules, &events, Duration::ZERO)
            .into_iter()
            .map(|m| (m.rule_id, m.event_index))
            .collect();
        let expected = [("a", 0), ("b", 1), ("b", 2), ("both", 2)];
        assert_eq!(found, expected.map(|(id, index)| (id.to_owned(), index)));
    }
}
