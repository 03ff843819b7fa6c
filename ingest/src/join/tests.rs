//! Lines in, groups out.

use super::*;

/// Shows groups and single lines in the order in which they end, the lines of a group by `⏎`.
fn check(lines: &str, expected: &str) {
    let (mut streams, mut shown) = (Streams::default(), Vec::new());
    let show = |group: &Group<Kept>| {
        group.with(|wrapped| {
            let content = String::from_utf8_lossy(wrapped.content).replace('\n', "⏎");
            let partial = if wrapped.is_partial { " partial" } else { "" };
            format!("{}{partial}: {content}", wrapped.joined)
        })
    };
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.strip_prefix("        ").unwrap_or(line).as_bytes();
        let mut ended = Vec::new();
        let keep = || Kept::of(number, &Wrapped::bare(line));
        let is_kept = streams.take(line, keep, &mut ended);
        shown.extend(ended.iter().map(show));
        if !is_kept {
            shown.push(format!("0: {}", String::from_utf8_lossy(line)));
        }
    }
    shown.extend(streams.finish().iter().map(show));
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(shown, expected, "{lines}");
}

#[test]
fn traces_of_one_program_are_joined_in_syslog() {
    check(
        "<11>Oct 11 22:14:15 h app[7]: ERROR no card
        <11>Oct 11 22:14:15 h other[8]: ERROR of another
        <11>Oct 11 22:14:15 h app[7]: #011at shop.Pay.pay(Pay.java:12)
        <11>Oct 11 22:14:15 h app[7]: \tat shop.Net.read(Net.java:1)
        <11>Oct 11 22:14:16 h app[7]: going on
        <11>1 - h app 7 - - java.io.IOException: closed
        <11>1 - h app 7 - -  \tat shop.Net.read(Net.java:1)
        <14>1 - h app 7 - -  \tat another priority",
        "3: <11>Oct 11 22:14:15 h app[7]: ERROR no card⏎\tat shop.Pay.pay(Pay.java:12)⏎\tat shop.Net.read(Net.java:1)
        0: <11>Oct 11 22:14:16 h app[7]: going on
        0: <14>1 - h app 7 - -  \tat another priority
        1: <11>Oct 11 22:14:15 h other[8]: ERROR of another
        2: <11>1 - h app 7 - - java.io.IOException: closed⏎\tat shop.Net.read(Net.java:1)",
    );
}

#[test]
fn traces_are_joined_to_the_line_that_names_the_error() {
    check(
        "12:00 INFO started
        12:01 ERROR payment failed
        java.lang.IllegalStateException: no card
        \tat shop.Pay.pay(Pay.java:12)
        \t... 3 more
        Caused by: java.io.IOException: closed
        \tat shop.Net.read(Net.java:1)
        12:02 INFO going on",
        "0: 12:00 INFO started
        6: 12:01 ERROR payment failed⏎java.lang.IllegalStateException: no card⏎\tat shop.Pay.pay(Pay.java:12)⏎\t... 3 more⏎Caused by: java.io.IOException: closed⏎\tat shop.Net.read(Net.java:1)
        0: 12:02 INFO going on",
    );
    check(
        "Traceback (most recent call last):
          File \"a.py\", line 1, in <module>
            pay()
        KeyError: 'card'
        During handling of the above exception, another exception occurred:
        Traceback (most recent call last):
          File \"a.py\", line 3
        shop.PayError: no
        shop.PayError: no",
        "8: Traceback (most recent call last):⏎  File \"a.py\", line 1, in <module>⏎    pay()⏎KeyError: 'card'⏎During handling of the above exception, another exception occurred:⏎Traceback (most recent call last):⏎  File \"a.py\", line 3⏎shop.PayError: no
        1: shop.PayError: no",
    );
    check(
        "panic: runtime error: index out of range
        goroutine 1 [running]:
        main.(*Shop).pay(0x1, {0xc0, 2})
        \t/app/main.go:12 +0x1d
        exit status 2
        listening on 80",
        "5: panic: runtime error: index out of range⏎goroutine 1 [running]:⏎main.(*Shop).pay(0x1, {0xc0, 2})⏎\t/app/main.go:12 +0x1d⏎exit status 2
        0: listening on 80",
    );
    check(
        "TypeError: x is not a function
            at pay (/app/pay.js:1:2)
            at async Promise.all (index 0) {
          code: 'E'
        }
        done",
        "5: TypeError: x is not a function⏎    at pay (/app/pay.js:1:2)⏎    at async Promise.all (index 0) {⏎  code: 'E'⏎}
        0: done",
    );
}

#[test]
fn what_caused_an_exception_of_dotnet_belongs_to_it() {
    check(
        "fail: Shop.Pay[0] Unhandled exception
        System.InvalidOperationException: no card
         ---> System.IO.IOException: closed
           at Shop.Net.Read() in /app/Net.cs:line 1
           --- End of inner exception stack trace ---
           at Shop.Pay.Charge() in /app/Pay.cs:line 12
        --- End of stack trace from previous location ---
           at Shop.Main()
        done
        System.AggregateException: One or more errors occurred. (closed)
         ---> System.IO.IOException: closed
           --- End of inner exception stack trace ---
        done",
        "0: fail: Shop.Pay[0] Unhandled exception
        7: System.InvalidOperationException: no card⏎ ---> System.IO.IOException: closed⏎   at Shop.Net.Read() in /app/Net.cs:line 1⏎   --- End of inner exception stack trace ---⏎   at Shop.Pay.Charge() in /app/Pay.cs:line 12⏎--- End of stack trace from previous location ---⏎   at Shop.Main()
        0: done
        3: System.AggregateException: One or more errors occurred. (closed)⏎ ---> System.IO.IOException: closed⏎   --- End of inner exception stack trace ---
        0: done",
    );
}

#[test]
fn a_private_key_is_one_record() {
    check(
        "12:00 key is -----BEGIN RSA PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        MIIEowIBAAKCAQEA
        b+/=
        -----END RSA PRIVATE KEY-----
        done
        -----BEGIN PRIVATE KEY-----
        MIIEow
        cut off here
        -----BEGIN CERTIFICATE-----
        <13>Oct 11 22:14:15 h app[7]: -----BEGIN PRIVATE KEY-----
        <13>Oct 11 22:14:15 h app[7]: MIIEow==",
        "5: 12:00 key is -----BEGIN RSA PRIVATE KEY-----⏎Proc-Type: 4,ENCRYPTED⏎MIIEowIBAAKCAQEA⏎b+/=⏎-----END RSA PRIVATE KEY-----
        0: done
        2: -----BEGIN PRIVATE KEY-----⏎MIIEow
        0: cut off here
        0: -----BEGIN CERTIFICATE-----
        2: <13>Oct 11 22:14:15 h app[7]: -----BEGIN PRIVATE KEY-----⏎MIIEow==",
    );
}

#[test]
fn a_private_key_is_one_record_in_objects_too() {
    check(
        r#"{"level":"info","message":"-----BEGIN PRIVATE KEY-----","at":1}
        {"level":"error","message":"Error: another","at":1}
        {"level":"info","msg":"-----BEGIN PRIVATE KEY-----","at":1}
        {"level":"info","msg":"MIIEow","at":2}
        {"level":"info","other":"Error"}
        {"level":"info","msg":"-----END PRIVATE KEY-----","at":3}
        {"level":"info","msg":"done","at":4}"#,
        r#"1: {"level":"info","message":"-----BEGIN PRIVATE KEY-----","at":1}
        0: {"level":"error","message":"Error: another","at":1}
        0: {"level":"info","other":"Error"}
        3: {"level":"info","msg":"-----BEGIN PRIVATE KEY-----\nMIIEow\n-----END PRIVATE KEY-----","at":1}
        0: {"level":"info","msg":"done","at":4}"#,
    );
}

#[test]
fn what_has_no_form_of_a_trace_stays_alone() {
    check(
        "ERROR one
        ERROR two
        \tat alone
        <13>ERROR syslog
        <13>\tat syslog
        {\"message\":\"Error\"}",
        "1: ERROR one
        0: <13>ERROR syslog
        0: <13>\tat syslog
        0: {\"message\":\"Error\"}
        2: ERROR two⏎\tat alone",
    );
    check("\tat alone\n        INFO", "0: \tat alone\n0: INFO");
}

#[test]
fn lines_that_a_runtime_split_are_whole_again_by_stream() {
    check(
        "2026-01-02T03:04:05.1Z stdout P one 
        2026-01-02T03:04:05.2Z stderr P ERROR a
        2026-01-02T03:04:05.3Z stdout F two
        2026-01-02T03:04:05.4Z stderr F b
        2026-01-02T03:04:05.5Z stderr F \tat c
        2026-01-02T03:04:05.6Z stderr P last",
        "2: 2026-01-02T03:04:05.1Z stdout F one two
        3: 2026-01-02T03:04:05.2Z stderr F ERROR ab⏎\tat c
        1 partial: 2026-01-02T03:04:05.6Z stderr P last",
    );
    check(
        r#"{"log":"one ","stream":"stdout","time":"t1"}
        {"log":"x\n","stream":"stderr","time":"t2"}
        {"log":"two\n","stream":"stdout","time":"t3"}
        {"log":"three","stream":"stdout","time":"t4"}"#,
        r#"0: {"log":"x\n","stream":"stderr","time":"t2"}
        2: {"log":"one two","stream":"stdout","time":"t1"}
        1 partial: {"log":"three","stream":"stdout","time":"t4"}"#,
    );
    // Written anew on the way, with other spaces and in another order.
    check(
        r#"{"time": "t1", "stream": "stdout", "log": "one "}
        { "stream":"stdout","attrs":{"tag":"a"},"log":"two\n", "time":"t2"}
        {"stream":"stdout","log":"three","time":"t3","logtag":"F"}
        {"stream":"events","log":"four","time":"t4"}"#,
        r#"2: {"time":"t1","stream":"stdout","log":"one two"}
        0: {"stream":"stdout","log":"three","time":"t3","logtag":"F"}
        0: {"stream":"events","log":"four","time":"t4"}"#,
    );
    check(
        r#"{"container_id":"c","log":"one ","partial_message":"true","partial_id":"p","partial_ordinal":"1","partial_last":"false"}
        {"container_id":"c","log":"other"}
        {"container_id":"c","log":"two","partial_message":"true","partial_id":"p","partial_ordinal":"2","partial_last":"true"}
        {"container_id":"d","log":"a","partial_message":true}
        {"container_id":"d","log":"b"}
        {"container_id":"d","log":"c"}"#,
        r#"0: {"container_id":"c","log":"other"}
        2: {"container_id":"c","log":"one two"}
        2: {"container_id":"d","log":"ab"}
        0: {"container_id":"d","log":"c"}"#,
    );
}

#[test]
fn a_panic_of_a_server_of_go_is_one() {
    check(
        "2026/01/02 03:04:05 http: panic serving 192.0.2.9:5: boom
        goroutine 7 [running]:
        net/http.(*conn).serve.func1()
        2026/01/02 03:04:06 next",
        "3: 2026/01/02 03:04:05 http: panic serving 192.0.2.9:5: boom⏎goroutine 7 [running]:⏎net/http.(*conn).serve.func1()
        0: 2026/01/02 03:04:06 next",
    );
}

#[test]
fn groups_have_bounds() {
    let long = format!("2026-01-02T03:04:05.1Z stdout P {}", "x".repeat(100 << 10));
    let (mut streams, mut ended) = (Streams::default(), Vec::new());
    for _ in 0..5 {
        assert!(streams.take(long.as_bytes(), || (), &mut ended));
    }
    ended.extend(streams.finish());
    assert_eq!(ended.iter().map(|group| group.records.len()).collect::<Vec<_>>(), [2, 2, 1]);
    ended.clear();
    for number in 0..=STREAMS_MAX {
        let piece = format!(r#"{{"container_id":"{number}","log":"a","partial_message":true}}"#);
        assert!(streams.take(piece.as_bytes(), || (), &mut ended));
    }
    assert_eq!((ended.len(), streams.finish().len()), (1, STREAMS_MAX));
    streams.take(b"Error", || (), &mut ended);
    for _ in 0..LINES_MAX - 1 {
        assert!(streams.take(b"\tat x", || (), &mut ended));
    }
    assert!(!streams.take(b"\tat x", || (), &mut ended), "one too many stands alone");
}

#[test]
fn what_may_go_on_is_known() {
    let open = |lines: &[&str]| open_records(lines.iter().map(|line| line.as_bytes()));
    assert_eq!(open(&["a", "ERROR b", "c"]), 0);
    assert_eq!(open(&["a", "ERROR b", "\tat c"]), 2);
    assert_eq!(open(&["ERROR a", "ERROR b"]), 1);
    assert_eq!(open(&["2026-01-02T03:04:05.1Z stdout P a", "x", "y"]), 3);
    let [out, err] = ["stdout", "stderr"].map(|to| format!("2026-01-02T03:04:05.1Z {to}"));
    let pieces = [format!("{out} P a"), format!("{err} F Error"), format!("{out} F b")];
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    assert_eq!(open(&pieces), 3, "a group is not torn");
    assert_eq!(open(&["{\"a\":1}", "<13>ERROR"]), 0);
}
