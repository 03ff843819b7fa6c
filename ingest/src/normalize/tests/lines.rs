//! Lines that logging libraries write when they do not write JSON.

use super::check;

#[test]
fn the_usual_patterns_of_java() {
    check(
        "2026-01-02 03:04:05,678 [main] ERROR com.shop.Cart - boom\njava.lang.RuntimeException: x\n\tat a.B.c(B.java:1)",
        "at=2026-01-02T03:04:05.678Z
         severity=error
         process.thread.name=main
         log.logger=com.shop.Cart
         message=boom⏎java.lang.RuntimeException: x⏎\tat a.B.c(B.java:1)",
    );
    check(
        "2026-01-02T03:04:05.678Z  WARN 77 --- [shop] [nio-8080-exec-1] com.shop.Cart : slow",
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         process.pid=77
         process.thread.name=nio-8080-exec-1
         service.name=shop
         log.logger=com.shop.Cart
         message=slow",
    );
    check(
        "03:04:05.678 [main] INFO com.shop.Cart -- started",
        "at=-\nseverity=info\nlog.level=INFO\nlog.logger=com.shop.Cart\nmessage=started",
    );
}

#[test]
fn the_usual_patterns_of_other_languages() {
    check(
        "2026-01-02 03:04:05,678 - shop.cart - WARNING - slow - very",
        "at=2026-01-02T03:04:05.678Z\nseverity=warning\nlog.logger=shop.cart\nmessage=slow - very",
    );
    check("WARNING:shop.cart:slow", "severity=warning\nlog.logger=shop.cart\nmessage=slow");
    check(
        "2026-01-02T03:04:05.678901Z  INFO shop::cart: added item=3",
        "at=2026-01-02T03:04:05.678901Z\nlog.logger=shop::cart\nmessage=added item=3",
    );
    check(
        "2026-01-02T03:04:05.678+0100\tERROR\tcart\tcart/add.go:17\tboom\t{\"a\": 1}",
        "at=2026-01-02T02:04:05.678Z\nseverity=error\nlog.logger=cart\nzap.caller=cart/add.go:17\nmessage=boom",
    );
    check(
        "2026-01-02 03:04:05.678 | WARNING  | shop.pay:charge:19 - slow - very",
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         log.logger=shop.pay
         message=slow - very
         class=python/application/",
    );
    check("[03:04:05 ERR] boom", "severity=error\nmessage=boom");
    check(
        "[2026-01-02T03:04:05.678+00:00] app.ERROR: boom {\"user\":\"bob\"} []",
        "at=2026-01-02T03:04:05.678Z\nseverity=error\nlog.logger=app\nmessage=boom {\"user\":\"bob\"} []",
    );
    check("[warn] low on memory", "severity=warning\nmessage=low on memory");
    check("Error: this is prose", "severity=info\nmessage=Error: this is prose");
    check("2026 was a good year", "message=2026 was a good year\nat=-");
}

#[test]
fn a_line_in_json_keeps_its_message_whole() {
    check(
        r#"{"message":"2026-01-02 03:04:05,678 [main] ERROR com.shop.Cart - boom","host":{"name":"h"}}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=error
         log.logger=com.shop.Cart
         message=2026-01-02 03:04:05,678 [main] ERROR com.shop.Cart - boom",
    );
}
