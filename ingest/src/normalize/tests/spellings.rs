//! What clients call time, text and level, and how they spell them, as it was recorded from them.

use super::check;

#[test]
fn every_spelling_of_a_level_is_read() {
    for (level, severity) in [
        // pino, bunyan.
        (r#""level":20"#, "debug"),
        (r#""level":30"#, "info"),
        (r#""level":40"#, "warning"),
        (r#""level":50"#, "error"),
        (r#""level":60"#, "critical"),
        // winston.
        (r#""level":"silly""#, "debug"),
        (r#""level":"verbose""#, "debug"),
        (r#""level":"http""#, "info"),
        (r#""level":"warn""#, "warning"),
        // Java.
        (r#""level":"SEVERE""#, "error"),
        (r#""level":"WARNING""#, "warning"),
        (r#""level":"CONFIG""#, "debug"),
        (r#""level":"FINEST""#, "debug"),
        (r#""level":"FATAL""#, "critical"),
        // Syslog, GELF, the journal.
        (r#""level":3"#, "error"),
        (r#""level":0"#, "emergency"),
        (r#""PRIORITY":"4""#, "warning"),
        // OpenTelemetry.
        (r#""severityNumber":9"#, "info"),
        (r#""severityNumber":13"#, "warning"),
        (r#""severityNumber":17"#, "error"),
        (r#""severityNumber":21"#, "critical"),
        (r#""severityText":"WARN""#, "warning"),
        // Python, Datadog, ECS, Go, Monolog.
        (r#""levelname":"CRITICAL""#, "critical"),
        (r#""levelno":40"#, "error"),
        (r#""status":"warn""#, "warning"),
        (r#""severity":"error""#, "error"),
        (r#""log.level":"error""#, "error"),
        (r#""log":{"level":"error"}"#, "error"),
        (r#""level":"WARN+2""#, "warning"),
        (r#""level":250"#, "notice"),
    ] {
        check(&format!("{{\"message\":\"m\",{level}}}"), &format!("severity={severity}"));
    }
}

#[test]
fn the_text_is_found_under_each_of_its_names() {
    for name in [
        "message",
        "msg",
        "MESSAGE",
        "MSG",
        "short_message",
        "full_message",
        "body",
        "line",
        "event",
        "log",
        "text",
    ] {
        check(&format!("{{\"{name}\":\"paid\",\"n\":1}}"), "message=paid");
    }
}

#[test]
fn the_time_is_found_under_each_of_its_names() {
    for time in [
        r#""@timestamp":"2026-01-02T03:04:05Z""#,
        r#""timestamp":"2026-01-02T03:04:05.000+00:00""#,
        r#""time":"1767323045""#,
        r#""ISODATE":"2026-01-02T03:04:05+00:00""#,
        r#""created":1767323045.0"#,
        r#""__REALTIME_TIMESTAMP":"1767323045000000""#,
        r#""timeUnixNano":"1767323045000000000""#,
        r#""instant":{"epochSecond":1767323045,"nanoOfSecond":0}"#,
    ] {
        check(
            &format!("{{\"message\":\"m\",{time}}}"),
            "at=2026-01-02T03:04:05Z\nlw.time_suspect=-",
        );
    }
    for name in ["@timestamp", "timestamp", "time", "ISODATE"] {
        check(&format!("{{\"{name}\":\"soon\"}}"), "at=-\nlw.time_suspect=true");
    }
}
