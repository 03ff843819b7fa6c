//! Whether an answer is the one that the generator knows to be right.

use logwarden_event::Timestamp;
use serde_json::Value;

/// What a query must answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// So many events.
    Total(u64),
    /// So many events, of which these are handed out, by their times.
    Hits {
        /// Events found.
        total: u64,
        /// Times of the hits, in their order.
        times: Vec<Timestamp>,
    },
    /// One figure.
    Figure(f64),
    /// The most frequent values with their counts, and how many events have none: those may be a
    /// row of their own, in the place of the last value.
    Top {
        /// Most frequent first.
        values: Vec<(String, u64)>,
        /// Events without the field.
        without: u64,
    },
    /// Counts of a histogram, oldest first.
    Buckets(Vec<u64>),
}

/// Says how an answer differs from what it must be.
pub(super) fn check(answer: &Value, expected: &Expected) -> Result<(), String> {
    if answer["complete"] != true {
        return Err(format!("the answer is not complete: {}", short(answer)));
    }
    match expected {
        Expected::Total(total) => same("total", &answer["total"], &Value::from(*total)),
        Expected::Hits { total, times } => {
            same("total", &answer["total"], &Value::from(*total))?;
            let hits = answer["hits"].as_array().ok_or("there are no hits")?;
            let found: Option<Vec<Timestamp>> = hits
                .iter()
                .map(|hit| hit["timestamp"].as_str().and_then(Timestamp::parse_rfc3339))
                .collect();
            let found = found.ok_or("a hit has no time")?;
            if found == *times {
                return Ok(());
            }
            let place = found.iter().zip(times).position(|(found, expected)| found != expected);
            Err(format!(
                "{} hits instead of {}, the first that differs is {place:?}",
                found.len(),
                times.len()
            ))
        }
        Expected::Figure(figure) => {
            let found = &answer["rows"][0][0];
            let differs =
                found.as_f64().is_none_or(|found| (found - figure).abs() > figure.abs() * 1e-9);
            if differs { Err(format!("figure {found} instead of {figure}")) } else { Ok(()) }
        }
        Expected::Top { values, without } => check_top(&answer["rows"], values, *without),
        Expected::Buckets(expected) => {
            let buckets = answer["buckets"].as_array().ok_or("there are no buckets")?;
            let found: Vec<u64> =
                buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).collect();
            if found == *expected {
                return Ok(());
            }
            let sums = (found.iter().sum::<u64>(), expected.iter().sum::<u64>());
            Err(format!(
                "{} buckets with {} events instead of {} with {}",
                found.len(),
                sums.0,
                expected.len(),
                sums.1
            ))
        }
    }
}

fn check_top(rows: &Value, values: &[(String, u64)], without: u64) -> Result<(), String> {
    let differ = || format!("rows {} instead of {values:?} and {without} without", short(rows));
    let mut found = Vec::new();
    let mut is_null_seen = false;
    for row in rows.as_array().ok_or("there are no rows")? {
        let count = row[1].as_u64().ok_or_else(differ)?;
        match row[0].as_str() {
            Some(value) => found.push((value.to_owned(), count)),
            None if row[0].is_null() && count == without && !is_null_seen => is_null_seen = true,
            None => return Err(differ()),
        }
    }
    // Between equals the order is free.
    found.sort_by(|(left, few), (right, many)| many.cmp(few).then_with(|| left.cmp(right)));
    let is_right =
        found.len() + usize::from(is_null_seen) == values.len() && values.starts_with(&found);
    if is_right { Ok(()) } else { Err(differ()) }
}

fn same(what: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} {found} instead of {expected}")) }
}

fn short(answer: &Value) -> String {
    answer.to_string().chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_of(answer: Value, expected: &Expected, difference: Option<&str>) {
        let mut answer = answer;
        answer["complete"] = json!(true);
        let found = check(&answer, expected);
        match difference {
            None => assert_eq!(found, Ok(())),
            Some(said) => assert!(found.expect_err("it differs").contains(said)),
        }
    }

    #[test]
    fn every_kind_of_wrong_answer_is_noticed() {
        let at = Timestamp::from_secs(1);
        let hits = Expected::Hits { total: 2, times: vec![at] };
        let values = vec![("a".to_owned(), 3), ("b".to_owned(), 3)];
        let top = Expected::Top { values, without: 9 };
        check_of(json!({ "total": 3 }), &Expected::Total(3), None);
        check_of(json!({ "total": 4 }), &Expected::Total(3), Some("total 4 instead of 3"));
        check_of(json!({ "total": 2, "hits": [{ "timestamp": at.to_string() }] }), &hits, None);
        check_of(json!({ "total": 2, "hits": [] }), &hits, Some("0 hits instead of 1"));
        check_of(json!({ "rows": [["b", 3], ["a", 3]] }), &top, None);
        check_of(json!({ "rows": [[null, 9], ["a", 3]] }), &top, None);
        check_of(json!({ "rows": [[null, 8], ["a", 3]] }), &top, Some("rows"));
        check_of(json!({ "rows": [["a", 3]] }), &top, Some("rows"));
        check_of(json!({ "rows": [[7.0]] }), &Expected::Figure(7.0), None);
        check_of(json!({ "rows": [[7.1]] }), &Expected::Figure(7.0), Some("figure 7.1"));
        check_of(json!({ "buckets": [{ "count": 1 }] }), &Expected::Buckets(vec![1]), None);
        check_of(json!({ "buckets": [] }), &Expected::Buckets(vec![1]), Some("0 buckets"));
        let incomplete = json!({ "total": 3, "complete": false });
        assert!(check(&incomplete, &Expected::Total(3)).is_err());
    }
}
