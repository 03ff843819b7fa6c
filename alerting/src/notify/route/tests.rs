//! Which route takes which alert, told as a table.

use super::*;
use crate::rule::{RuleFile, RuleSet};

const ROUTES: &str = r#"[
    {"name": "night", "severity_min": "high",
     "hours": {"zone": "Europe/Berlin", "days": ["fri"], "from": "22:00", "to": "06:00"},
     "notify": ["pager"], "escalate": [{"after_mins": 15, "notify": ["boss"]}],
     "routes": [{"name": "night-db", "labels": {"team": "db*"}, "notify": ["dba"]}]},
    {"severity_min": "high", "notify": ["mail", "pager"],
     "routes": [{"rules": ["login"]}, {"labels": {"source.ip": "10.9.*"}, "notify": []}]},
    {"name": "rest", "notify": ["mail"], "group_by": ["rule"], "digest_mins": 60}
]"#;

fn rule_of(labels: &str) -> Rule {
    let text = format!(
        "title: Login\nid: 6a0f6a0e-6f0e-4b1c-9d0e-0a4a1a1f0001\nname: login\nlevel: high\n\
         logsource: {{}}\ndetection: {{ a: {{ b: c }}, condition: a }}\n\
         logwarden: {{ labels: {{ {labels} }}, tests: [] }}\n"
    );
    let (rules, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text }]);
    assert_eq!(problems, []);
    rules.rules()[0].clone()
}

fn all(json: &str) -> Result<Vec<Route>, AlertingError> {
    let configs: Vec<RouteConfig> = serde_json::from_str(json).expect("routes");
    let known = ["mail", "pager", "boss", "dba", "rota:primary"];
    Route::all("routes", &configs, &|name| known.contains(&name))
}

#[test]
fn the_first_route_that_takes_it_decides_and_its_own_say_what_is_different() {
    let routes = all(ROUTES).expect("good routes");
    // 2026-12-04 is a Friday; Berlin is an hour ahead of UTC.
    for (now, labels, severity, ip, expected) in [
        ("2026-12-04T20:59:00Z", "", Level::High, "10.1.1.1", "2.1 mail,pager 0"),
        ("2026-12-04T21:00:00Z", "", Level::High, "10.1.1.1", "night pager 1"),
        ("2026-12-05T04:59:00Z", "", Level::High, "10.1.1.1", "night pager 1"),
        ("2026-12-05T05:00:00Z", "", Level::High, "10.1.1.1", "2.1 mail,pager 0"),
        ("2026-12-05T21:00:00Z", "", Level::High, "10.1.1.1", "2.1 mail,pager 0"),
        ("2026-12-04T21:00:00Z", "team: db-eu", Level::High, "10.1.1.1", "night-db dba 1"),
        ("2026-12-04T21:00:00Z", "team: web", Level::High, "10.1.1.1", "night pager 1"),
        ("2026-12-04T21:00:00Z", "", Level::Low, "10.1.1.1", "rest mail 0"),
    ] {
        let now = Timestamp::parse_rfc3339(now).expect("a time");
        let (rule, group) = (rule_of(labels), [(String::from("source.ip"), ip.to_owned())]);
        let asked = Asked { rule: Some(&rule), severity, group: &group, now };
        let taken = find(&routes, asked).expect("taken");
        let said = format!("{} {} {}", taken.route, taken.notify.join(","), taken.escalate.len());
        assert_eq!(said, expected, "{now} {labels}");
    }
    let asked =
        Asked { rule: None, severity: Level::Low, group: &[], now: Timestamp::from_secs(0) };
    let rest = find(&routes, asked).expect("taken");
    assert_eq!(rest.digest, Some(Duration::from_secs(3_600)));
    assert_eq!(rest.group_by, ["rule"]);
}

#[test]
fn a_wrong_route_is_named_with_its_place() {
    for (json, place) in [
        (r#"[{"severity_min": "high"}]"#, "routes[0].notify"),
        (r#"[{"notify": ["nobody"]}]"#, "routes[0].notify"),
        (r#"[{"notify": ["rota:second"]}]"#, "routes[0].notify"),
        (r#"[{"notify": ["mail"], "routes": [{"notify": ["x"]}]}]"#, "routes[0].routes[0].notify"),
        (
            r#"[{"notify": [], "hours": {"zone": "Mars", "from": "1:00", "to": "2:00"}}]"#,
            "routes[0].hours.zone",
        ),
        (r#"[{"notify": [], "hours": {"from": "25:00", "to": "2:00"}}]"#, "routes[0].hours.from"),
        (
            r#"[{"notify": [], "hours": {"days": ["mo"], "from": "1:00", "to": "2:00"}}]"#,
            "routes[0].hours.days",
        ),
        (r#"[{"notify": [], "group_wait_secs": 4000}]"#, "routes[0].group_wait_secs"),
        (
            r#"[{"notify": [], "escalate": [{"after_mins": 5, "notify": ["x"]}]}]"#,
            "routes[0].escalate[0].notify",
        ),
    ] {
        let error = all(json).expect_err(json).to_string();
        assert!(error.starts_with(place), "{json}: {error}");
    }
    assert!(all(r#"[{"notify": ["rota:primary"]}]"#).is_ok());
}
