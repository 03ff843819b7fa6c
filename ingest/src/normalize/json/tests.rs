//! Records in, fields out.

use std::fmt::Write as _;

use logwarden_event::Timestamp;

use super::*;
use crate::normalize::Origin;

/// Shows the fields of `record`, one per line, as `path=value`, with marks for items and leaves.
fn check(record: &str, expected: &str) {
    let origin = Origin::new("test");
    let mut reading = Reading::new(record, &origin, Timestamp::default());
    let mut shown = String::new();
    if let Err(malformed) = flatten(&mut reading, 0, record.len()) {
        write!(shown, "{malformed}").expect("a String takes everything");
    }
    let event = reading.build(record.as_bytes());
    if shown.is_empty() {
        for field in event.fields() {
            let mark = match (field.options.is_array_item, field.options.is_inner) {
                (true, _) => "[]",
                (_, true) => "~",
                _ => "",
            };
            let kind = field.value.type_name();
            writeln!(shown, "{}{mark}={} {kind}", field.path, field.value)
                .expect("a String takes everything");
        }
    }
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{record}");
}

#[test]
fn leaves_become_dotted_paths() {
    check(
        r#"{"a":{"b":{"c":1},"d":"x\\ty"},"e.f":null,"g":[],"h":{},"i":18446744073709551615}"#,
        "a.b.c=1 integer
         a.d=x\\ty string
         e.f=null null
         g=[] json
         h={} json
         i=18446744073709551615 integer",
    );
}

#[test]
fn an_array_is_one_field_per_item_and_its_objects_are_searched_leaf_by_leaf() {
    check(
        r#"{"t":["a",2],"o":[{"x":1,"y":[3,{"z":4}]},5,[6]],"after":true}"#,
        r#"t[]=a string
         t[]=2 integer
         o[]={"x":1,"y":[3,{"z":4}]} json
         o[]=5 integer
         o[]=[6] json
         o.x~=1 integer
         o.y~=3 integer
         o.y.z~=4 integer
         o~=6 integer
         after=true bool"#,
    );
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    check(
        r#"{"a":{"x":1,"y":2},"b":3,"\u0061":4,"c":{"k":1,"k":2},"b":5}"#,
        "lw.duplicate_keys=a string
         a=4 integer
         lw.duplicate_keys=c.k string
         c.k=2 integer
         lw.duplicate_keys=b string
         b=5 integer",
    );
}

#[test]
fn numbers_that_fit_no_type_are_kept_as_text() {
    check(
        r#"{"a":1e400,"b":123456789012345678901,"c":NaN,"d":-0.5}"#,
        "lw.number_as_text=a string
         a=1e400 string
         lw.number_as_text=b string
         b=123456789012345678901 string
         lw.number_as_text=c string
         c=NaN string
         d=-0.5 float",
    );
}

#[test]
fn nul_and_other_control_characters_are_text() {
    check("{\"a\":\"x\u{0}\ty\\u0000\"}", "a=x\u{0}\ty\u{0} string");
    check(r#"{"a":"\ud800"}"#, "lw.invalid_utf8=true bool\na=\u{FFFD} string");
}

#[test]
fn what_lies_beyond_the_bound_is_kept_as_text() {
    let mut record = String::from(r#"{"o":{"#);
    for number in 0..1_200 {
        write!(record, r#""k{number}":{number},"#).expect("a String takes everything");
    }
    record.push_str(r#""last":"here"},"p":[1,2]}"#);
    let origin = Origin::new("test");
    let mut reading = Reading::new(&record, &origin, Timestamp::default());
    assert_eq!(flatten(&mut reading, 0, record.len()), Ok(()));
    let event = reading.build(record.as_bytes());
    assert_eq!(event.fields().count(), FIELDS_MAX + 2);
    let overflow = event.value_of("lw.overflow").expect("overflow").to_string();
    let parsed: serde_json::Value = serde_json::from_str(&overflow).expect("JSON");
    assert_eq!(parsed["o"]["k1000"], 1_000);
    assert_eq!(parsed["o"]["last"], "here");
    assert_eq!(parsed["p"][1], 2);
    assert_eq!(event.value_of("lw.truncated").map(|v| v.to_string()), Some("true".into()));
}

#[test]
fn long_keys_and_long_paths_are_cut() {
    let key = "k".repeat(512);
    check(&format!(r#"{{"{key}":1}}"#), &format!("{key}=1 integer"));
    check(
        &format!(r#"{{"{key}a":1,"b":2,"{key}c":{{"d":3}}}}"#),
        &format!("lw.truncated=true bool\n{key}=1 integer\nb=2 integer\n{key}.d=3 integer"),
    );
    check(
        &format!(r#"{{"{}é\u0041":1}}"#, &key[1..]),
        &format!("lw.truncated=true bool\n{}=1 integer", &key[1..]),
    );
    let long = format!("{}1{}", format!(r#"{{"{key}":"#).repeat(100), "}".repeat(100));
    let origin = Origin::new("test");
    let mut reading = Reading::new(&long, &origin, Timestamp::default());
    assert_eq!(flatten(&mut reading, 0, long.len()), Ok(()));
}

#[test]
fn what_is_nested_too_deep_is_kept_as_text() {
    let path = ["a"; 64].join(".");
    let of_levels = |levels: usize, inner: &str| {
        format!("{}{inner}{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    };
    check(&of_levels(64, "1"), &format!("{path}=1 integer"));
    for inner in ["{}", "[]", "[1,2]", r#"{"a":{"b":[{}]}}"#] {
        let expected = format!("lw.truncated=true bool\n{path}={inner} string");
        check(&of_levels(64, inner), &expected);
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    check(
        &format!(r#"{{"b":{deep},"c":[{{"d":2}},{deep}],"e":3}}"#),
        &format!(
            r#"lw.truncated=true bool
             b[]={} string
             c[]={{"d":2}} json
             c[]={deep} string
             c.d~=2 integer
             e=3 integer"#,
            &deep[1..200]
        ),
    );
    check("[1]", "expected an object at column 1");
    check(r#"{"a":1} x"#, "expected the end of the record at column 9");
}
