//! Rules that look at rules: correlations over correlations, risk.

use super::check;

#[test]
fn correlations_of_judged_ones_count_events() {
    let inner = "title: in\nname: in\ncorrelation: { type: value_sum, rules: [a], group-by: [u], timespan: 10s, condition: { field: n, gte: 5 } }\n---\n";
    let outer = |least: u32| {
        format!(
            "correlation: {{ type: event_count, rules: [in], group-by: [u], timespan: 60s, condition: {{ gte: {least} }} }}\n---\n{inner}"
        )
        .trim_end_matches("---\n")
        .to_owned()
    };
    check(&outer(3), "0 a u=q n=10; 5 a u=q n=10; 90 b", "");
    check(&outer(2), "0 a u=q n=10; 5 a u=q n=10; 90 b", "5/q");
    check(&outer(2), "0 a u=q n=10; 0 a u=q n=10; 90 b", "0/q");
    let both = "correlation: { type: event_count, rules: [in], timespan: 60s, condition: { gte: 2 } }\n---\n\
                title: in\nname: in\ncorrelation: { type: temporal, rules: [a, b], timespan: 60s }";
    check(both, "0 a; 1 b; 2 b; 90 c", "2");
}

#[test]
fn a_rule_over_a_later_one_waits_for_it() {
    let inner = "---\ntitle: in\nname: in\ncorrelation: { type: value_avg, rules: [a], group-by: [u], timespan: 5s, condition: { field: n, gte: 1 } }\nlogwarden: { lateness: 10m }";
    let outer = format!(
        "correlation: {{ type: event_count, rules: [in], group-by: [u], timespan: 60s, condition: {{ eq: 4 }} }}\n{inner}"
    );
    let events: String = (0..8)
        .flat_map(|turn| [0, 10, 20, 30].map(|at| format!("{} a u=x n=2;", turn * 200 + at)))
        .collect();
    check(&outer, &events, "30/x 230/x 430/x 630/x 830/x 1030/x 1230/x 1430/x");
}

#[test]
fn risk_counts_detections_as_they_are_in_the_end() {
    let rules = |window: &str, score: &str, entity: &str| {
        format!(
            "detector: {{ type: risk, entity: u, window: {window}, score: {score} }}\n---\n\
             title: x\nid: x\nlogsource: {{}}\ndetection: {{ s: {{ k: x }}, condition: s }}\n\
             logwarden: {{ risk: 40, entity: {entity} }}\n---\n\
             title: y\nid: y\nlogsource: {{}}\ndetection: {{ s: {{ k: y }}, condition: s }}\n\
             logwarden: {{ risk: 60, entity: {entity} }}\n---\n\
             title: z\nid: z\ncorrelation: {{ type: event_count, rules: [a], group-by: [u], timespan: 100s, \
             condition: {{ gte: 2 }} }}\nlogwarden: {{ risk: 50 }}"
        )
    };
    // What the event between them makes one detection counts once.
    let apart = "0 x u=eve; 900 x u=eve";
    check(&rules("1h", "80", "u"), apart, "900/eve");
    check(&rules("1h", "80", "u"), &format!("{apart}; 450 x u=eve"), "");
    check(&rules("1h", "100", "u"), &format!("{apart}; 450 x u=eve; 910 y u=eve"), "910/eve");
    // A detection counts when it starts, whenever that is known.
    check(&rules("60s", "100", "u"), "100 x u=eve; 115 y u=eve", "115/eve");
    check(&rules("60s", "100", "u"), "50 x u=eve; 100 x u=eve; 115 y u=eve", "");
    // And for whom its first event is about.
    let others = "50 x u=bob h=1; 100 x u=eve h=1; 101 y u=eve h=2; 110 y u=bob h=3";
    check(&rules("60s", "100", "h"), others, "110/bob");
    // So do correlations.
    check(&rules("60s", "90", "u"), "0 a u=eve; 50 a u=eve; 60 x u=eve", "60/eve");
    check(&rules("60s", "90", "u"), "0 a u=eve; 50 a u=eve; 99 a u=eve; 111 x u=eve", "");
}

#[test]
fn rules_can_look_at_risk() {
    let rules = "correlation: { type: event_count, rules: [r], group-by: [u], timespan: 1h, condition: { gte: 2 } }\n\
         logwarden: { risk: 100 }\n---\n\
         title: r\nname: r\nid: r\ndetector: { type: risk, entity: u, window: 60s, score: 40 }\n---\n\
         title: x\nid: x\nlogsource: {}\ndetection: { s: { k: x }, condition: s }\n\
         logwarden: { risk: 40, entity: u }";
    check(rules, "0 x u=eve; 2000 x u=eve; 2001 x u=bob", "2000/eve");
}
