//! Layouts and levels of logging libraries.

use super::check;

const AT: &str = "at=2026-01-02T03:04:05.678Z";

#[test]
fn lines_of_every_logger_have_time_level_and_text() {
    for (line, severity, message) in [
        ("2026-01-02 04:04:05.678 +01:00 [ERR] Bad thing", "error", "Bad thing"),
        ("2026-01-02 03:04:05.6780|WARN|Shop.Auth|slow", "warning", "slow"),
        ("2026/01/02 03:04:05.678 INFO hello world user=bob", "info", "hello world user=bob"),
        ("2026/01/02 03:04:05.678 WARN+1 hello", "warning", "hello"),
        (
            "E0102 03:04:05.678000    4242 reflector.go:138] failed: Unauthorized",
            "error",
            "failed: Unauthorized",
        ),
        ("E, [2026-01-02T03:04:05.678000 #4242] ERROR -- : bad thing", "error", "bad thing"),
        (
            "[2026-01-02 03:04:05,678] WARN [Broker id=0] Slow (kafka.Server)",
            "warning",
            "[Broker id=0] Slow (kafka.Server)",
        ),
        (
            "[2026-01-02 04:04:05.678 +0100] [4242] [ERROR] Worker timeout",
            "error",
            "Worker timeout",
        ),
        (
            "02-Jan-2026 03:04:05.678 SEVERE [main] org.apache.Catalina Failed",
            "error",
            "org.apache.Catalina Failed",
        ),
        (
            "[02-Jan-2026 03:04:05.678] WARNING: [pool www] child 5 exited",
            "warning",
            "[pool www] child 5 exited",
        ),
        (
            "\u{1b}[2m2026-01-02T03:04:05.678Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2mshop\u{1b}[0m\u{1b}[2m:\u{1b}[0m slow",
            "warning",
            "slow",
        ),
    ] {
        check(line, &format!("{AT}\nseverity={severity}\nmessage={message}"));
    }
    check("2026/01/02 03:04:05 hello", "at=2026-01-02T03:04:05Z\nseverity=info\nmessage=hello");
    check("E0102 text", "at=-\nmessage=E0102 text");
    check(
        "[2026-01-02 03:04:05] nothing of a level",
        "message=[2026-01-02 03:04:05] nothing of a level",
    );
    check("E, [x", "message=E, [x");
}

#[test]
fn processes_and_callers_are_found() {
    check(
        "W0102 03:04:05.678000    4242 reflector.go:138] slow",
        "process.pid=4242\nklog.caller=reflector.go:138",
    );
    check(
        "W, [2026-01-02T03:04:05.678 #7]  WARN -- shop: slow",
        "process.pid=7\nlog.logger=shop\nseverity=warning",
    );
    check("[2026-01-02 04:04:05 +0100] [42] [INFO] Booting", "process.pid=42\nlog.level=INFO");
    check("2026-01-02 03:04:05.6780|WARN|Shop.Auth|slow", "log.logger=Shop.Auth");
}

#[test]
fn spring_boot_names_service_thread_and_trace() {
    const TRACE: &str = "65f0aa0011223344556677889900aabb";
    for (inside, wanted) in [
        ("[nio-1]", "service.name=-\nprocess.thread.name=nio-1\ntrace.id=-"),
        ("[shop] [           main]", "service.name=shop\nprocess.thread.name=main\ntrace.id=-"),
        (
            "[shop] [nio-1] [65f0aa0011223344556677889900aabb-77b1aa0011223344]",
            "service.name=shop\nprocess.thread.name=nio-1\ntrace.id=65f0aa0011223344556677889900aabb",
        ),
        (
            "[nio-1] [65f0aa0011223344556677889900aabb-77b1aa0011223344]",
            "service.name=-\nprocess.thread.name=nio-1\ntrace.id=65f0aa0011223344556677889900aabb",
        ),
    ] {
        let line = format!("2026-01-02T04:04:05.678+01:00  WARN 7 --- {inside} c.e.Shop  : slow");
        check(&line, &format!("{AT}\n{wanted}\nlog.logger=c.e.Shop\nmessage=slow\nprocess.pid=7"));
    }
    let line = format!(
        "2026-01-02T04:04:05.678+01:00  WARN 7 --- [shop,{TRACE},77b1] [nio-1] c.e.Shop  : slow"
    );
    check(
        &line,
        &format!("service.name=shop\ntrace.id={TRACE}\nspan.id=77b1\nprocess.thread.name=nio-1"),
    );
}

#[test]
fn a_coloured_level_is_a_level() {
    check(r#"{"level":"\u001b[31merror\u001b[39m","message":"m"}"#, "severity=error");
    check(r#"{"level":"\u001b[1;33mwarn\u001b[0m","message":"m"}"#, "severity=warning");
}

#[test]
fn requests_inside_other_objects_are_requests() {
    check(
        r#"{"level":"info","message":"HTTP GET /a","meta":{"req":{"url":"/a?b=1","method":"GET","headers":{"user-agent":"curl/8"}},"res":{"statusCode":200}}}"#,
        "http.request.method=GET (meta.req.method)
         http.response.status_code=200 (meta.res.statusCode)
         url.original=/a?b=1 (meta.req.url)
         user_agent.original=curl/8 (meta.req.headers.user-agent)",
    );
    check(
        r#"{"jsonPayload":{"message":"m"},"httpRequest":{"requestMethod":"GET","requestUrl":"https://shop.example/a","status":500,"userAgent":"curl","remoteIp":"192.0.2.9"},"severity":"WARNING"}"#,
        "http.request.method=GET (httpRequest.requestMethod)
         http.response.status_code=500 (httpRequest.status)
         source.ip=192.0.2.9 (httpRequest.remoteIp)
         user_agent.original=curl (httpRequest.userAgent)",
    );
}

#[test]
fn logback_is_no_program_of_node() {
    check(
        r#"{"timestamp":"1767323045678","level":"INFO","thread":"main","logger":"a.B","message":"hi","context":"default"}"#,
        &format!("{AT}\nclass=jvm/application/\nlog.logger=a.B (logger)"),
    );
}

#[test]
fn the_way_into_the_journal_is_no_transport_of_a_network() {
    check(
        r#"{"__REALTIME_TIMESTAMP":"1767323045678000","MESSAGE":"m","_TRANSPORT":"syslog","_PID":"7"}"#,
        &format!("{AT}\nnetwork.transport=-\n_TRANSPORT=syslog"),
    );
}

#[test]
fn a_trace_in_a_message_tells_its_error() {
    for (message, name, said) in [
        (
            "pay failed\njava.lang.IllegalStateException: no card\n\tat shop.Pay.pay(Pay.java:1)\nCaused by: java.io.IOException: x\n\t... 3 more",
            "java.lang.IllegalStateException",
            "no card",
        ),
        (
            "Exception in thread \"main\" java.lang.NullPointerException\n\tat a.B.c(B.java:1)",
            "java.lang.NullPointerException",
            "-",
        ),
        (
            "Unhandled exception. System.InvalidOperationException: bad: really\n   at A.B() in /a.cs:line 1",
            "System.InvalidOperationException",
            "bad: really",
        ),
        (
            "TypeError: x is not a function\n    at pay (/app/pay.js:1:2)",
            "TypeError",
            "x is not a function",
        ),
        (
            "failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    pay()\nKeyError: 'card'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3\nshop.PayError: no",
            "shop.PayError",
            "no",
        ),
    ] {
        let wanted = format!("error.type={name}\nerror.message={said}");
        check(message, &wanted);
        check(&serde_json::json!({"level": "error", "message": message}).to_string(), &wanted);
    }
    for message in ["one\ntwo", "meet us\n at noon", "Error\nlist", "http://a: b\n\tat x"] {
        check(message, "error.type=-\nerror.message=-");
    }
    check(
        r#"{"message":"x\njava.lang.Error: a\n\tat b","error":{"type":"Own"}}"#,
        "error.type=Own\nerror.message=-",
    );
}
