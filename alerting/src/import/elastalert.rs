//! ElastAlert2: one rule in each YAML file becomes one detector over a search.
//!
//! Its filters are Elasticsearch's query language; they are said in ours, which is close to it. Which
//! keys mean what was read in ElastAlert2's own documentation (docs/source/ruletypes.rst).

use serde_json::Value;

use super::{Draft, ImportedRule, id_of, listed, quoted, span};
use crate::rule::{RuleFile, yaml_documents};

/// Levels of nesting of a filter that are followed.
const DEPTH_MAX: usize = 16;

/// Keys that need no word: what they say is always so here, or is about how a server is asked.
const SILENT: &[&str] = &[
    "name",
    "type",
    "filter",
    "timestamp_field",
    "timestamp_type",
    "es_host",
    "es_port",
    "is_enabled",
    "use_count_query",
    "use_terms_query",
    "doc_type",
    "description",
    "priority",
    "query_key",
    "timeframe",
    "realert",
    "buffer_time",
    "attach_related",
    "use_strftime_index",
    "run_every",
];

/// Keys whose loss is explained.
const EXPLAINED: &[(&str, &str)] = &[
    ("index", "a rule looks at every dataset; add `dataset:` to its query where that is too much"),
    ("alert", "who is told is said by `[[notifiers]]` and `[[routes]]`"),
    ("aggregation", "what is sent together is said by the routes"),
    ("exponential_realert", "`suppress` has one length"),
    ("limit_execution", "rules are always on"),
    ("query_delay", "late events are waited for; see `lateness`"),
];

/// Why a rule is not converted.
type Refusal = String;

/// Reads rules.
pub(super) fn read(files: &[&RuleFile]) -> Vec<Draft> {
    files.iter().flat_map(|file| read_file(file)).collect()
}

fn read_file(file: &RuleFile) -> Vec<Draft> {
    let documents = match yaml_documents(&file.text) {
        Ok(documents) => documents,
        Err(fault) => {
            let (at, message) = (fault.at, fault.message);
            let reason = format!("line {}, column {}: {message}", at.line, at.column);
            return vec![Draft::refused(&file.name, &file.name, reason)];
        }
    };
    documents
        .iter()
        .filter(|document| !document.is_null())
        .map(|rule| convert(file, rule))
        .collect()
}

fn convert(file: &RuleFile, rule: &Value) -> Draft {
    let name = text(rule, "name").unwrap_or_else(|| file.name.clone());
    let mut used = Vec::new();
    match detector(rule, &mut used) {
        Err(reason) => Draft::refused(&file.name, &name, format!("not converted: {reason}")),
        Ok(lines) => {
            let id = id_of(&name);
            let document = document(rule, &name, &id, &lines);
            let report = ImportedRule {
                file: file.name.clone(),
                name,
                made: Vec::new(),
                lost: lost(rule, &used),
            };
            Draft { report, documents: vec![(id, document)] }
        }
    }
}

fn document(rule: &Value, name: &str, id: &str, lines: &[String]) -> String {
    let mut out = format!("title: {}\nid: {}\n", quoted(name), quoted(id));
    if let Some(description) = text(rule, "description") {
        out += &format!("description: {}\n", quoted(&description));
    }
    out += "detector:\n";
    for line in lines {
        out += &format!("  {line}\n");
    }
    let level = match rule.get("priority").and_then(Value::as_u64) {
        Some(0) => "informational",
        Some(1) => "low",
        Some(3) => "high",
        Some(4..) => "critical",
        _ => "medium",
    };
    out += &format!("level: {level}\n");
    let realert = realert(rule);
    if realert > 0 {
        out += &format!("logwarden: {{ suppress: {} }}\n", span(realert));
    }
    out
}

fn lost(rule: &Value, used: &[&str]) -> Vec<String> {
    let keys = rule.as_object().into_iter().flat_map(|map| map.keys());
    keys.filter(|key| !SILENT.contains(&key.as_str()) && !used.contains(&key.as_str()))
        .map(|key| match EXPLAINED.iter().find(|(known, _)| known == key) {
            Some((_, why)) => format!("`{key}`: {why}"),
            None => format!("`{key}` is left out"),
        })
        .collect()
}

/// The lines of the detector; the keys that are in it are added to `used`.
fn detector(rule: &Value, used: &mut Vec<&'static str>) -> Result<Vec<String>, Refusal> {
    let kind = text(rule, "type").ok_or("it has no `type`")?;
    let mut query = filters(rule.get("filter").unwrap_or(&Value::Null), 0)?;
    let (ours, mut lines) = match kind.as_str() {
        "any" => ("threshold", vec![format!("window: {}", span(realert(rule).max(1)))]),
        "frequency" => {
            used.push("num_events");
            let count = number(rule, "num_events")?;
            ("threshold", vec![timeframe(rule)?, format!("count: {count}")])
        }
        "cardinality" => ("threshold", cardinality(rule, used)?),
        "spike" | "spike_aggregation" => ("spike", spike(rule, &kind, used)?),
        "flatline" => {
            used.push("threshold");
            let below = number(rule, "threshold")?;
            ("flatline", vec![timeframe(rule)?, format!("below: {below}")])
        }
        "new_term" => {
            used.extend(["fields", "terms_window_size"]);
            let fields =
                texts(rule.get("fields").or(rule.get("query_key")).unwrap_or(&Value::Null));
            let history = duration(rule, "terms_window_size").unwrap_or(30 * 86_400);
            let history = format!("history: {}", span(history));
            ("new_term", vec![format!("fields: {}", listed(&fields)), history])
        }
        "change" => {
            used.extend(["compare_key", "ignore_null"]);
            let fields = texts(rule.get("compare_key").unwrap_or(&Value::Null));
            let mut lines = vec![format!("field: {}", listed(&fields))];
            let remember = duration(rule, "timeframe").map(span);
            lines.extend(remember.map(|remember| format!("remember: {remember}")));
            ("change", lines)
        }
        "blacklist" | "whitelist" => {
            let clause = listed_values(rule, &kind, used)?;
            query = if query.is_empty() { clause } else { format!("({query}) AND {clause}") };
            ("threshold", vec![format!("window: {}", span(realert(rule).max(1)))])
        }
        "percentage_match" => ("ratio", share(rule, used)?),
        other => return Err(format!("rules of type `{other}` have no counterpart here")),
    };
    let keys: Vec<String> = texts(rule.get("query_key").unwrap_or(&Value::Null))
        .iter()
        .map(|key| field_of(key))
        .collect();
    let keys_are_terms = kind == "new_term" && rule.get("fields").is_none();
    if !keys.is_empty() && !keys_are_terms {
        lines.insert(0, format!("group-by: {}", listed(&keys)));
    }
    let query = if query.is_empty() { "*" } else { &query };
    lines.insert(0, format!("input: {{ query: {} }}", quoted(query)));
    lines.insert(0, format!("type: {ours}"));
    Ok(lines)
}

fn number(rule: &Value, key: &str) -> Result<f64, Refusal> {
    rule.get(key).and_then(Value::as_f64).ok_or_else(|| format!("it has no `{key}`"))
}

fn timeframe(rule: &Value) -> Result<String, Refusal> {
    let secs = duration(rule, "timeframe").ok_or("it has no `timeframe`")?;
    Ok(format!("window: {}", span(secs)))
}

/// Seconds in which nobody is told again; without a word it is a minute.
fn realert(rule: &Value) -> u64 {
    duration(rule, "realert").unwrap_or(60)
}

fn cardinality(rule: &Value, used: &mut Vec<&'static str>) -> Result<Vec<String>, Refusal> {
    if rule.get("min_cardinality").is_some() {
        return Err("`min_cardinality` has no counterpart over a search".into());
    }
    used.extend(["cardinality_field", "max_cardinality"]);
    let field = text(rule, "cardinality_field").ok_or("it has no `cardinality_field`")?;
    Ok(vec![
        timeframe(rule)?,
        format!("distinct: {}", quoted(&field_of(&field))),
        format!("count: {}", number(rule, "max_cardinality")? + 1.0),
    ])
}

fn spike(rule: &Value, kind: &str, used: &mut Vec<&'static str>) -> Result<Vec<String>, Refusal> {
    used.extend(["spike_height", "spike_type", "threshold_cur", "threshold_ref"]);
    let direction = text(rule, "spike_type").unwrap_or_else(|| String::from("both"));
    let mut lines = vec![
        timeframe(rule)?,
        format!("factor: {}", number(rule, "spike_height")?),
        format!("direction: {direction}"),
    ];
    for (theirs, ours) in [("threshold_cur", "min_current"), ("threshold_ref", "min_reference")] {
        lines.extend(number(rule, theirs).ok().map(|least| format!("{ours}: {least}")));
    }
    if kind == "spike_aggregation" {
        used.extend(["metric_agg_key", "metric_agg_type"]);
        lines.push(measure(rule)?);
    }
    Ok(lines)
}

/// The condition on the value that is in a list, or in none.
fn listed_values(
    rule: &Value,
    kind: &str,
    used: &mut Vec<&'static str>,
) -> Result<String, Refusal> {
    let is_black = kind == "blacklist";
    used.push("compare_key");
    used.extend(if is_black { &["blacklist"][..] } else { &["whitelist", "ignore_null"] });
    let values = texts(rule.get(kind).unwrap_or(&Value::Null));
    if values.iter().any(|value| value.starts_with("!file")) {
        return Err(format!("`{kind}` names a file; write its values down, or use `expand`"));
    }
    let field = field_of(&text(rule, "compare_key").ok_or("it has no `compare_key`")?);
    let any = any_of(&field, &values)?;
    let ignores_null = rule.get("ignore_null").and_then(Value::as_bool) == Some(true);
    Ok(match (is_black, ignores_null) {
        (true, _) => any,
        (false, true) => format!("{field}:* AND NOT {any}"),
        (false, false) => format!("NOT {any}"),
    })
}

fn share(rule: &Value, used: &mut Vec<&'static str>) -> Result<Vec<String>, Refusal> {
    used.extend(["match_bucket_filter", "max_percentage", "min_percentage", "min_denominator"]);
    let secs = duration(rule, "buffer_time").ok_or("it has no `buffer_time`")?;
    let mut lines = vec![format!("window: {}", span(secs)), format!("part: {}", part(rule)?)];
    for (theirs, ours) in [("max_percentage", "above"), ("min_percentage", "below")] {
        let share = number(rule, theirs).ok();
        lines.extend(share.map(|share| format!("{ours}: {}", share / 100.0)));
    }
    let least = number(rule, "min_denominator").ok();
    lines.extend(least.map(|least| format!("min_events: {least}")));
    Ok(lines)
}

fn measure(rule: &Value) -> Result<String, Refusal> {
    let kind = text(rule, "metric_agg_type").ok_or("it has no `metric_agg_type`")?;
    let field = field_of(&text(rule, "metric_agg_key").ok_or("it has no `metric_agg_key`")?);
    let ours = match kind.as_str() {
        "sum" | "avg" | "min" | "max" => kind.as_str(),
        "cardinality" => "distinct",
        _ => return Err(format!("`metric_agg_type: {kind}` has no counterpart here")),
    };
    Ok(format!("measure: {{ {ours}: {} }}", quoted(&field)))
}

/// The part of a ratio as a selection: only equal values can be said.
fn part(rule: &Value) -> Result<String, Refusal> {
    let filter = rule.get("match_bucket_filter").ok_or("it has no `match_bucket_filter`")?;
    let filters = filter.as_array().map_or(std::slice::from_ref(filter), Vec::as_slice);
    let mut items = Vec::new();
    for filter in filters {
        let pair = filter.as_object().and_then(|map| map.iter().next());
        match pair {
            Some((kind, Value::Object(of)))
                if kind == "term" || kind == "terms" || kind == "match" =>
            {
                for (field, value) in of {
                    items.push(format!("{}: {}", quoted(&field_of(field)), listed(&texts(value))));
                }
            }
            _ => return Err("`match_bucket_filter` is more than equal values".into()),
        }
    }
    Ok(format!("{{ {} }}", items.join(", ")))
}

/// Filters that must all hold, as a query; empty: everything.
fn filters(filter: &Value, depth: usize) -> Result<String, Refusal> {
    let list = match filter {
        Value::Null => return Ok(String::new()),
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    joined(list, " AND ", depth)
}

fn joined(list: &[Value], word: &str, depth: usize) -> Result<String, Refusal> {
    let clauses = list.iter().map(|one| clause(one, depth + 1)).collect::<Result<Vec<_>, _>>()?;
    Ok(match clauses.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        many => many.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(word),
    })
}

fn clause(filter: &Value, depth: usize) -> Result<String, Refusal> {
    if depth > DEPTH_MAX {
        return Err("the filter is nested too deep".into());
    }
    let map = filter.as_object().filter(|map| map.len() == 1);
    let Some((kind, of)) = map.and_then(|map| map.iter().next()) else {
        return Err("a filter is a mapping with one key".into());
    };
    let field = || {
        let pair = of.as_object().and_then(|of| of.iter().find(|(key, _)| *key != "boost"));
        pair.map(|(field, value)| (field_of(field), value))
            .ok_or(format!("`{kind}` names no field"))
    };
    let value_of = |value: &Value, inner: &str| value.get(inner).unwrap_or(value).clone();
    match kind.as_str() {
        "query" | "filter" => filters(of, depth),
        "match_all" => Ok("*".into()),
        "query_string" => {
            let query =
                of.get("query").and_then(Value::as_str).ok_or("`query_string` has no query")?;
            checked(with_exists(query))
        }
        "term" | "match_phrase" | "match" => {
            let (field, value) = field()?;
            let inner = if kind == "term" { "value" } else { "query" };
            any_of(&field, &texts(&value_of(value, inner)))
        }
        "terms" => {
            let (field, values) = field()?;
            any_of(&field, &texts(values))
        }
        "wildcard" | "prefix" => {
            let (field, value) = field()?;
            let text = scalar(&value_of(value, "value")).ok_or("a value is no text")?;
            let star = if kind == "prefix" { "*" } else { "" };
            checked(format!("{field}:{}{star}", plain(&text)))
        }
        "regexp" => {
            let (field, value) = field()?;
            let text = scalar(&value_of(value, "value")).ok_or("a value is no text")?;
            checked(format!("{field}:~{}", quoted(&format!("^(?:{text})$"))))
        }
        "exists" => {
            let field = of.get("field").and_then(Value::as_str).ok_or("`exists` names no field")?;
            checked(format!("{}:*", field_of(field)))
        }
        "range" => {
            let (field, bounds) = field()?;
            let mut parts = Vec::new();
            for (word, sign) in [("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")] {
                if let Some(bound) = bounds.get(word).and_then(scalar) {
                    parts.push(format!("{field}:{sign}{bound}"));
                }
            }
            checked(parts.join(" AND "))
        }
        "bool" => boolean(of, depth),
        "not" => Ok(format!("NOT ({})", filters(of, depth)?)),
        "and" | "or" => {
            let list = of.as_array().map_or(&[][..], Vec::as_slice);
            joined(list, if kind == "and" { " AND " } else { " OR " }, depth)
        }
        other => Err(format!("a filter of kind `{other}` cannot be said")),
    }
}

fn boolean(of: &Value, depth: usize) -> Result<String, Refusal> {
    let mut parts = Vec::new();
    for (key, value) in of.as_object().ok_or("`bool` is a mapping")? {
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let part = match key.as_str() {
            "must" | "filter" => joined(list, " AND ", depth)?,
            "should" => joined(list, " OR ", depth)?,
            "must_not" => format!("NOT ({})", joined(list, " OR ", depth)?),
            "minimum_should_match" if value.as_u64() == Some(1) => continue,
            other => return Err(format!("`bool` with `{other}` cannot be said")),
        };
        parts.push(format!("({part})"));
    }
    Ok(parts.join(" AND "))
}

/// `_exists_:field` is `field:*` in ours.
fn with_exists(query: &str) -> String {
    let mut parts = query.split("_exists_:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([' ', ')']).unwrap_or(part.len());
        out = format!("{out}{}:*{}", &part[..end], &part[end..]);
    }
    out
}

/// A query that ours reads.
fn checked(query: String) -> Result<String, Refusal> {
    match logwarden_query::parse_query(&query, logwarden_event::Timestamp::default()) {
        Ok(parsed) if parsed.pipes.is_empty() => Ok(query),
        Ok(_) => Err(format!("the filter `{query}` has a pipe")),
        Err(error) => Err(format!("the filter `{query}` cannot be read: {error}")),
    }
}

fn any_of(field: &str, values: &[String]) -> Result<String, Refusal> {
    if values.is_empty() {
        return Err(format!("there is no value for `{field}`"));
    }
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    checked(format!("{field}:({})", values.join(" OR ")))
}

/// A value with wildcards; what else means something in a query is escaped.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !(c.is_alphanumeric() || "*?_-./@".contains(c)) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The field that is meant: the part behind it says how Elasticsearch keeps it.
fn field_of(name: &str) -> String {
    match name.strip_suffix(".keyword").or_else(|| name.strip_suffix(".raw")).unwrap_or(name) {
        "@timestamp" => "timestamp".to_owned(),
        name => name.to_owned(),
    }
}

fn text(rule: &Value, key: &str) -> Option<String> {
    rule.get(key).and_then(scalar)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(scalar).collect(),
        one => scalar(one).into_iter().collect(),
    }
}

/// Seconds, of a mapping such as `{minutes: 5}`.
fn duration(rule: &Value, key: &str) -> Option<u64> {
    let units = [
        ("weeks", 604_800.0),
        ("days", 86_400.0),
        ("hours", 3_600.0),
        ("minutes", 60.0),
        ("seconds", 1.0),
    ];
    let map = rule.get(key)?.as_object()?;
    let secs: f64 = map
        .iter()
        .filter_map(|(unit, count)| {
            let secs = units.iter().find(|(name, _)| name == unit)?.1;
            Some(count.as_f64()? * secs)
        })
        .sum();
    Some(secs.round() as u64)
}
