//! Times of records: taken, or doubted.

use super::check;

#[test]
fn the_time_is_found_under_each_of_its_names() {
    for record in [
        r#"{"@timestamp":"2026-01-02T03:04:05.6Z"}"#,
        r#"{"timestamp":"2026-01-02 03:04:05,600"}"#,
        r#"{"time":1767323045600}"#,
        r#"{"ts":1767323045.6}"#,
        r#"{"@t":"2026-01-02T05:04:05.6+02:00"}"#,
        r#"{"instant":{"epochSecond":1767323045,"nanoOfSecond":600000000}}"#,
        r#"{"asctime":"2026-01-02 03:04:05,600"}"#,
        r#"{"__REALTIME_TIMESTAMP":"1767323045600000"}"#,
        r#"{"time":0.012,"timestamp":"2026-01-02T03:04:05.6Z"}"#,
    ] {
        check(record, "at=2026-01-02T03:04:05.600Z\nlw.time_suspect=-");
    }
}

#[test]
fn a_time_that_cannot_be_believed_is_kept_as_text() {
    check(
        r#"{"timestamp":"2026-03-01T12:10:01Z"}"#,
        "at=-
         lw.original_time=2026-03-01T12:10:01Z
         lw.time_suspect=true",
    );
    check(r#"{"timestamp":"2026-03-01T12:10:00Z"}"#, "at=2026-03-01T12:10:00Z\nlw.time_suspect=-");
    check(
        r#"{"time":"yesterday"}"#,
        "at=-
         lw.original_time=yesterday
         lw.time_suspect=true",
    );
    check(r#"{"timestamp":"1999-01-01T00:00:00Z"}"#, "at=1999-01-01T00:00:00Z");
    check(r#"{"message":"no time"}"#, "at=-\nlw.time_suspect=-");
}

#[test]
fn numbers_of_a_list_are_no_time_but_those_of_a_calendar() {
    check(
        r#"{"timestamp":[2026,1,2,3,4,5,678000000],"message":"m"}"#,
        "at=2026-01-02T03:04:05.678Z\ntimestamp=-",
    );
    check(r#"{"timestamp":[2026,1,2,3,4],"message":"m"}"#, "at=2026-01-02T03:04:00Z");
    for list in ["[1767323045,1767323046]", "[2026,13,2,3,4,500000000]", "[2026,1,2,500000000]"] {
        let record = format!(r#"{{"timestamp":{list},"message":"m"}}"#);
        check(&record, "at=-\nlw.time_suspect=-");
    }
    check(r#"{"timestamp":["2026-01-02T03:04:05Z"]}"#, "at=2026-01-02T03:04:05Z");
}

#[test]
fn date_and_clock_may_be_apart() {
    check(
        r#"date=2026-01-02 time=04:04:05 tz="+0100" devname="fw1" logid="0100032002" type="event" subtype="system" level="alert""#,
        "at=2026-01-02T03:04:05Z\nlw.time_suspect=-",
    );
    check(r#"{"date":"2026-01-02","time":"03:04:05","message":"m"}"#, "at=2026-01-02T03:04:05Z");
    check(
        r#"{"time":"03:04:05","message":"m"}"#,
        "at=-\nlw.original_time=03:04:05\nlw.time_suspect=true",
    );
}
