//! What texts mean, and what is said about those that mean nothing.

use logwarden_event::{Event, EventBuilder, FieldOptions, Position, Severity, Value};
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T05:00:00Z").expect("valid")
}

fn event() -> Event {
    let mut event = EventBuilder::new(b"{}");
    event
        .timestamp(Timestamp::parse_rfc3339("2026-11-22T04:50:00Z"))
        .severity(Severity::Error)
        .source("edge")
        .dataset("shop.auth")
        .message("Failed password for root from 10.2.0.9 port 51")
        .field("user.name", Value::String("O\"Neil Smith"))
        .field("process.executable", Value::String(r"C:\Windows\cmd.exe"))
        .field("source", Value::String("auth"))
        .field_with(
            "source.ip",
            Some("src.ip"),
            Value::Ip("10.2.0.9".parse().expect("an address")),
            FieldOptions::default(),
        )
        .field("host.ip", Value::Ip("fe80::1".parse().expect("an address")))
        .field("http.response.status_code", Value::Integer(404))
        .field("delta", Value::Integer(-5))
        .field("id", Value::String("550e8400-e29b-41d4-a716-446655440000"))
        .field("Threat Name", Value::String("EICAR"))
        .field("url.path", Value::String("/a/b"));
    let mut event = event.build();
    event.stamp(Position { lane: 0, seq: 7 }, now());
    event
}

fn finds(text: &str) {
    let query = parse_query(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(query.filter.matches(&event()), "{text}: {:?}", query.filter);
}

fn misses(text: &str) {
    let query = parse_query(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(!query.filter.matches(&event()), "{text}: {:?}", query.filter);
}

/// The message, with `^` before the character it is about, and what was expected.
fn refuses(text: &str, expected: &str) {
    let error = parse_query(text, now()).expect_err(text);
    assert_eq!(format!("{}: {}", error.offset, error.message), expected, "{text}");
}

#[test]
fn words_are_searched_everywhere() {
    for text in
        ["", "*", "failed", "FAILED root", "fail*", "\"password for ROOT\"", "\"password fo\"*"]
    {
        finds(text);
    }
    for text in ["10.2.0.9", "fe80::1", "550e8400-e29b-41d4-a716-446655440000", "/a/b", "10.2.*"] {
        finds(text);
    }
    for text in [r"C:\Windows\cmd.exe", "\"O\\\"Neil\"", "~\"Neil Sm\"", "eicar", "edge OR eicar"] {
        finds(text);
    }
    for text in ["edge", "9.0.2.10", "\"root for\"", "http://nowhere.example", "10.2.0.9:51"] {
        misses(text);
    }
    // The words of an address stand side by side in the message, so its beginning does too.
    finds("10.2.0");
    misses("passwor");
}

#[test]
fn operators_bind_as_people_expect() {
    finds("nobody AND nobody OR root");
    finds("root OR nobody AND nobody");
    misses("(root OR nobody) AND nobody");
    finds("NOT nobody root");
    finds("-nobody -user.name:x");
    misses("-root");
    misses("NOT (root OR nobody)");
    finds("NOT NOT root");
    finds("(((root)))");
    misses("root and nobody");
}

#[test]
fn fields_are_asked_by_value_beginning_and_expression() {
    for text in [
        "user.name:\"o\\\"neil smith\"",
        "source:auth",
        "lw.source:edge",
        "dataset:shop.*",
        "dataset:shop.auth",
        "src.ip:10.2.0.9",
        "source.ip:10.2.0.0/16",
        "source.ip:[10.2.0.1 TO 10.2.0.9]",
        "source.ip:>10.2.0.8",
        "host.ip:fe80::/10",
        "host.ip:FE80:0::1",
        r"process.executable:C:\Windows\*",
        r#"process.executable:"C:\Windows\\cmd.exe""#,
        r#"process.executable:~"\\cmd\.exe$""#,
        "url.path:/a/b",
        "\"Threat Name\":eicar",
        "message:\"failed password\"",
        "message:pass*",
        "message:*",
        "delta:-5",
        "delta:(-5 OR 7)",
        "delta:>=-5",
        "lw.seq:7",
        "lw.seq:[1 TO 7]",
    ] {
        finds(text);
    }
    for text in [
        "user.name:smith",
        "source:edge",
        "source.ip:{10.2.0.9 TO 10.2.0.99]",
        "source.ip:10.3.0.0/16",
        "message:eicar",
        "absent:*",
        "delta:(NOT -5)",
    ] {
        misses(text);
    }
}

#[test]
fn numbers_severities_and_times_have_an_order() {
    for text in [
        "http.response.status_code:>=400",
        "http.response.status_code:[400 TO 499]",
        "http.response.status_code:{403 TO 404]",
        "http.response.status_code:[* TO 404]",
        "http.response.status_code:(500 OR >=404)",
        "severity:err",
        "severity:>=warning",
        "severity:[notice TO error]",
        "severity:(error OR critical)",
        "timestamp:>=now-15m",
        "timestamp:2026-11-22",
        "timestamp:[now-1h TO now]",
        "timestamp:<2026-11-22T04:50:01Z",
        "lw.observed_at:now",
    ] {
        finds(text);
    }
    for text in [
        "http.response.status_code:<400",
        "http.response.status_code:{404 TO 500]",
        "severity:>error",
        "severity:<debug",
        "timestamp:<now-15m",
        "timestamp:2026-11-21",
    ] {
        misses(text);
    }
}

#[test]
fn a_refusal_says_where_and_what() {
    refuses("root AND", "8: a condition is missing");
    refuses("(root", "0: this parenthesis is never closed");
    refuses("root)", "4: this parenthesis was never opened");
    refuses("é AND OR x", "6: `OR` stands between conditions");
    refuses(
        "user:",
        "5: `user:` has no value; a text with a colon is searched for in quotes, such as `\"user:\"`",
    );
    refuses("severity:purple", "9: `purple` is no severity");
    refuses("a:[1 TO", "2: a range needs two ends, `*` for an open one");
    refuses("a:[1 2]", "5: a range is `[from TO to]`");
    refuses("* | stat count()", "4: there is no pipe `stat`; did you mean `stats`?");
    refuses("* | stats cuont()", "10: there is no function `cuont`; did you mean `count`?");
    refuses("* | stats sum()", "15: `sum` needs a field");
    refuses(
        "* | head 5 | stats count()",
        "13: what makes rows stands before `sort`, `head` and `fields`",
    );
    refuses("a:~x", "3: a regular expression stands in quotes");
    for text in [
        "\"open",
        "*foo",
        "a:*foo",
        "fo*o",
        "!!!",
        "timestamp:>yesterday",
        "a:~\"(\"",
        "a:10.0.0.0/99",
        "a:fe80::/129",
        "a | ",
        "a | | b",
    ] {
        assert!(parse_query(text, now()).is_err(), "{text}");
    }
    for text in ["a:10.0.0.0/32", "a:10.0.0.0/index", "a:\"10.0.0.0/99\"", "a:7/99"] {
        assert!(parse_query(text, now()).is_ok(), "{text}");
    }
}

#[test]
fn hostile_queries_are_refused_before_they_are_read() {
    let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse_query(&nested(NESTING_MAX), now()).is_ok());
    refuses(&nested(65), "64: parentheses are nested more than 64 deep");
    refuses(&"(".repeat(4_000), "64: parentheses are nested more than 64 deep");
    refuses(&"(".repeat(20_000), "8192: the query has 20000 bytes, at most 8192 are read");
    assert!(parse_query(&vec!["a"; CLAUSES_MAX].join(" OR "), now()).is_ok());
    assert!(parse_query(&vec!["a"; CLAUSES_MAX + 1].join(" OR "), now()).is_err());
    assert!(parse_query(&"\"a\"".repeat(CLAUSES_MAX + 1), now()).is_err());
    assert!(parse_query(&"a:b ".repeat(CLAUSES_MAX), now()).is_ok());
    assert!(parse_query(&format!("{}a", "-".repeat(8_000)), now()).is_ok());
    assert!(parse_query(&format!("{}a", "NOT ".repeat(2_000)), now()).is_ok());
    refuses(
        "a:~\".*a.{30}\"",
        "2: regular expression is too large: it counts a part that matches nearly everything 30 \
         times, at most 24 are allowed; use `*` or name fewer characters, such as `[0-9a-z]`",
    );
}

fn pipes(text: &str) -> Vec<Pipe> {
    parse_query(text, now()).unwrap_or_else(|error| panic!("{text}: {error}")).pipes
}

fn aggregate(text: &str) -> Aggregate {
    match pipes(text).remove(0) {
        Pipe::Aggregate(aggregate) => aggregate,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn pipes_are_read() {
    let stats = aggregate(
        "x | stats count(), p95(took_ms), count_distinct(user.name) as users by source.ip, bin(5m)",
    );
    let names: Vec<_> = stats.figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(names, ["count", "p95(took_ms)", "users"]);
    assert_eq!(stats.figures[1].function, Function::Percentile(95.0));
    assert_eq!(
        stats.by,
        [GroupBy::Field("source.ip".into()), GroupBy::Bin(Duration::from_secs(300))]
    );
    let top = aggregate("| top 5 user.name");
    assert_eq!((top.limit, top.order), (Some(5), RowOrder::GreatestFirst));
    assert_eq!(aggregate("* | rare user.name").order, RowOrder::SmallestFirst);
    let chart = aggregate("* | timechart 1h by severity");
    assert_eq!(
        chart.by,
        [GroupBy::Bin(Duration::from_secs(3_600)), GroupBy::Field("severity".into())]
    );
    assert_eq!(aggregate("* | timechart 1h avg(took_ms)").figures[0].name, "avg(took_ms)");
    let [
        Pipe::Aggregate(_),
        Pipe::Where(filter),
        Pipe::Sort(keys),
        Pipe::Head(3),
        Pipe::Fields(names),
    ] = &pipes(
        "* | stats count by a | where count > 5 | sort -count, a | head 3 | fields a, count",
    )[..]
    else {
        panic!("five pipes");
    };
    assert_eq!(filter.to_query_text().as_deref(), Some("count:>5"));
    assert_eq!(keys[0], SortKey::parse("-count"));
    assert_eq!(names, &["a", "count"]);
    assert_eq!(pipes("a | where b:c | sort -timestamp | head 5 | fields x").len(), 4);
    assert!(matches!(
        &pipes("* | stats avg(x) | where avg(x) != 5")[1],
        Pipe::Where(Filter::Not(_))
    ));
}

/// Queries of the manual: the lines of its blocks, and the first cells of its tables of queries.
fn examples_of_the_manual() -> Vec<&'static str> {
    let manual = include_str!("../../../docs/QUERY.md");
    let mut examples = Vec::new();
    let (mut is_block, mut is_table) = (false, false);
    for line in manual.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            examples.push(line);
        } else if let Some(cells) = line.strip_prefix('|') {
            is_table |= cells.starts_with(" query ");
            let first = cells.split(" | ").next().unwrap_or_default();
            let queries = first.split('`').skip(1).step_by(2);
            examples.extend(queries.filter(|_| is_table));
        } else {
            is_table = false;
        }
    }
    examples
}

#[test]
fn the_examples_of_the_manual_are_read() {
    let examples = examples_of_the_manual();
    assert!(examples.len() > 35, "{examples:?}");
    let mut refused = examples.into_iter().filter(|text| parse_query(text, now()).is_err());
    assert_eq!(
        refused.by_ref().collect::<Vec<_>>(),
        [
            "* | stats cuont() by user.name",
            "          ^ there is no function `cuont`; did you mean `count`?",
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(AND|OR|NOT|[a(){}\\[\\]:\"~*|\\\\<>=\\-/. é5]| TO |now|stats|count|by|where){0,30}") {
        let _ = parse_query(&text, now());
    }

    #[test]
    fn a_text_that_is_read_says_itself_again(text in arbitrary::query_text(), events in arbitrary::events(20)) {
        let query = parse_query(&text, now()).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let again = query.filter.to_query_text();
        prop_assert!(again.is_some(), "{:?}", query.filter);
        let again = again.unwrap_or_default();
        let reread = parse_query(&again, now()).map_err(|error| TestCaseError::fail(format!("{again}: {error}")))?;
        for event in &events {
            prop_assert_eq!(query.filter.matches(event), reread.filter.matches(event), "{} -> {}", text, again);
        }
    }

    #[test]
    fn a_filter_that_has_a_text_means_the_same(filter in arbitrary::filter(), events in arbitrary::events(20)) {
        if let Some(text) = filter.to_query_text() {
            let reread = parse_query(&text, now()).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            for event in &events {
                prop_assert_eq!(filter.matches(event), reread.filter.matches(event), "{}", text);
            }
        }
    }
}
