//! Records that attack a parser, each between two good ones, over both doors.

use Verdict::{DeadLetter, Event, Nothing};

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is an event, however odd.
    Event,
    /// It is a dead letter with this code.
    DeadLetter(&'static str),
    /// There is no record.
    Nothing,
}

/// A record without a line feed, and what becomes of it.
pub(super) struct Record {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) verdict: Verdict,
}

const INVALID: Verdict = DeadLetter("invalid_json");
const NO_OBJECT: Verdict = DeadLetter("not_an_object");
const TOO_LONG: Verdict = DeadLetter("line_too_long");

/// A member `a` with this text as its value.
fn value(text: impl AsRef<[u8]>) -> Vec<u8> {
    [b"{\"a\":", text.as_ref(), b"}"].concat()
}

/// `depth` levels of brackets.
fn nested(open: &str, core: &str, close: &str, depth: usize) -> Vec<u8> {
    [open.repeat(depth), core.to_owned(), close.repeat(depth)].concat().into_bytes()
}

fn members(count: usize) -> Vec<u8> {
    let members: Vec<_> = (0..count).map(|n| format!("\"field{n}\":{n}")).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// Bytes of every value but line feeds, the same every time.
fn garbage(count: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).filter(|byte| *byte != b'\n' && *byte != b'\r').collect()
}

/// All of them.
pub(super) fn all() -> Vec<Record> {
    let tables = [shapes(), texts(), numbers(), claims(), broken()];
    let all = tables.into_iter().flatten();
    all.map(|(name, bytes, verdict)| Record { name, bytes, verdict }).collect()
}

type Row = (&'static str, Vec<u8>, Verdict);

fn shapes() -> Vec<Row> {
    vec![
        ("arrays 100,000 deep", value(nested("[", "", "]", 100_000)), Event),
        ("arrays 100,000 deep, never closed", value("[".repeat(100_000)), INVALID),
        ("objects 100,000 deep", nested("{\"a\":", "1", "}", 100_000), Event),
        ("arrays and objects in turn", nested("{\"a\":[", "1", "]}", 50_000), Event),
        ("63 levels", nested("{\"a\":", "1", "}", 63), Event),
        ("65 levels", nested("{\"a\":", "1", "}", 65), Event),
        ("20,000 fields", members(20_000), Event),
        ("50,000 items", value(format!("[{}1]", "1,".repeat(49_999))), Event),
        ("50,000 empty objects", value(format!("[{}{{}}]", "{},".repeat(49_999))), Event),
        ("items of every type", value("[1,\"a\",null,true,{\"b\":[2]},[3,[4]],1.5]"), Event),
        ("an empty object", b"{}".to_vec(), Event),
        ("an empty key", b"{\"\":1}".to_vec(), Event),
        ("a key of dots", b"{\"...\":1,\".a.\":2}".to_vec(), Event),
        ("a key of 100 KB", format!("{{\"{}\":1}}", "k".repeat(100_000)).into_bytes(), Event),
        (
            "keys of a prototype",
            br#"{"__proto__":{"x":1},"constructor":{"prototype":{"y":2}}}"#.to_vec(),
            Event,
        ),
        (
            "one key 50,000 times",
            format!("{{{}\"a\":1}}", "\"a\":0,".repeat(49_999)).into_bytes(),
            Event,
        ),
        ("one key as text and as object", br#"{"a":"x","a":{"b":1},"a":[1]}"#.to_vec(), Event),
        (
            "a text where others have numbers",
            br#"{"field1":"text","field2":{"deep":true}}"#.to_vec(),
            Event,
        ),
        (
            "a message that is an object",
            br#"{"message":{"a":[1,2]},"level":["x"],"timestamp":{}}"#.to_vec(),
            Event,
        ),
    ]
}

fn texts() -> Vec<Row> {
    let text = |content: &[u8]| value([b"\"", content, b"\""].concat());
    vec![
        ("bytes that are no UTF-8", text(b"\xFF\xFE\xFA"), Event),
        ("a key that is no UTF-8", b"{\"\xFFkey\":1}".to_vec(), Event),
        ("overlong UTF-8", text(b"\xC0\xAF\xE0\x80\xAF"), Event),
        ("surrogates in UTF-8", text(b"\xED\xA0\x80\xED\xB0\x80"), Event),
        ("half a character at the end", text(b"caf\xC3"), Event),
        ("a NUL as it is", text(b"a\0b"), Event),
        ("a NUL as an escape", text(b"a\\u0000b"), Event),
        ("every control character", text(b"\x01\x02\x07\x08\x0B\x1B[31mred\x7F"), Event),
        ("half a surrogate pair", text(b"\\ud800 \\udc00\\ud800"), Event),
        (
            "directions and invisible characters",
            text("\u{202E}evil\u{200B}\u{FEFF}".as_bytes()),
            Event,
        ),
        ("an escape that is none", text(b"\\x41"), INVALID),
        ("an escape cut off", value("\"\\u00"), INVALID),
        ("200,000 backslashes", text("\\".repeat(200_000).as_bytes()), Event),
        ("a word of 300,000 letters", text("x".repeat(300_000).as_bytes()), Event),
        ("a message of nearly 1 MiB", text("lorem ipsum ".repeat(87_000).as_bytes()), Event),
        ("a line of 2 MiB", text("y".repeat(2 << 20).as_bytes()), TOO_LONG),
        ("markup", text(b"<script>alert(1)</script><img src=x onerror=alert(1)>"), Event),
        ("a look-up", text(b"${jndi:ldap://127.0.0.1/a} {{7*7}} %n%n $(id) `id`"), Event),
        (
            "another record in a text",
            text(b"x\\r\\n{\\\"message\\\":\\\"forged\\\"}\\r\\nBcc: a@example.org"),
            Event,
        ),
        ("a formula", text(b"=cmd|' /C calc'!A0"), Event),
        ("a statement", text(b"'; DROP TABLE index_splits; --"), Event),
    ]
}

fn numbers() -> Vec<Row> {
    vec![
        ("1e400", value("1e400"), Event),
        ("-1e400", value("-1e400"), Event),
        ("1e-400", value("1e-400"), Event),
        ("1e999999999999999999", value("1e999999999999999999"), Event),
        ("a number below every integer", value("-9223372036854775809"), Event),
        ("a number above every integer", value("340282366920938463463374607431768211456"), Event),
        ("minus zero", value("-0"), Event),
        ("a number of 100,000 digits", value("7".repeat(100_000)), Event),
        ("a fraction of 100,000 digits", value(format!("0.{}", "3".repeat(100_000))), Event),
        ("NaN and Infinity", value("[NaN,Infinity,-Infinity]"), Event),
        ("a leading zero", value("0123"), INVALID),
        ("hexadecimal", value("0x1F"), INVALID),
        ("a plus sign", value("+1"), INVALID),
        ("a lone minus", value("-"), INVALID),
        ("an exponent without digits", value("1e"), INVALID),
    ]
}

fn claims() -> Vec<Row> {
    let object = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "a time in 2099",
            object(r#"{"timestamp":"2099-01-01T00:00:00Z","message":"later"}"#),
            Event,
        ),
        (
            "a time before there were computers",
            object(r#"{"timestamp":"0000-01-01T00:00:00Z"}"#),
            Event,
        ),
        ("a time that does not exist", object(r#"{"timestamp":"2023-02-30T25:61:61Z"}"#), Event),
        ("a time beyond every year", object(r#"{"timestamp":99999999999999999999999}"#), Event),
        ("a negative time", object(r#"{"timestamp":-9223372036854775808}"#), Event),
        (
            "a time of every kind",
            object(r#"{"timestamp":"now","@timestamp":[],"time":1e308,"ts":null}"#),
            Event,
        ),
        (
            "the name of another source",
            object(r#"{"lw":{"source":"bank","seq":1},"lw.source":"bank","source":"bank"}"#),
            Event,
        ),
        (
            "a dataset of ours",
            object(
                r#"{"dataset":"logwarden.audit","data_stream.dataset":"logwarden.audit","event.dataset":"logwarden.audit"}"#,
            ),
            Event,
        ),
        (
            "an id of another event",
            object(
                r#"{"id":"00000000000000000000000001","_id":"1","seq":1,"observed_at":"2000-01-01T00:00:00Z"}"#,
            ),
            Event,
        ),
        (
            "a severity beyond the scale",
            object(r#"{"level":999999,"severity":-1,"log.level":"SUPERFATAL"}"#),
            Event,
        ),
        (
            "addresses that are none",
            object(r#"{"source.ip":"999.1.1.1","client.ip":"::::","remote_addr":"-"}"#),
            Event,
        ),
        ("a token line again", object(r#"{"auth":"lw_wrong","ack":true}"#), Event),
    ]
}

fn broken() -> Vec<Row> {
    vec![
        ("binary garbage", garbage(10_000), INVALID),
        ("zeros", vec![0; 5_000], INVALID),
        ("half a record", b"{\"a\":1,\"b\":".to_vec(), INVALID),
        ("a text without an end", b"{\"a\":\"abc".to_vec(), INVALID),
        ("a record and more", b"{\"a\":1}x".to_vec(), INVALID),
        ("a comma too many", b"{\"a\":1,}".to_vec(), INVALID),
        ("single quotes", b"{'a':1}".to_vec(), INVALID),
        ("a comment", b"{\"a\":1/*x*/}".to_vec(), INVALID),
        ("no quotes", b"{a:1}".to_vec(), INVALID),
        ("no colon", b"{\"a\" 1}".to_vec(), INVALID),
        ("brackets crossed", b"{\"a\":[1}]".to_vec(), INVALID),
        ("a closing bracket", b"}".to_vec(), INVALID),
        ("a number", b"42".to_vec(), NO_OBJECT),
        ("a text", b"\"text\"".to_vec(), NO_OBJECT),
        ("null", b"null".to_vec(), NO_OBJECT),
        ("plain text", b"Jan  1 00:00:00 host sshd[1]: hello".to_vec(), INVALID),
        (
            "XML",
            b"<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"&a;&a;\">]><x>&a;</x>".to_vec(),
            INVALID,
        ),
        ("UTF-16", b"\xFF\xFE{\0\"\0a\0\"\0:\x001\0}\0".to_vec(), INVALID),
        ("two byte order marks", b"\xEF\xBB\xBF\xEF\xBB\xBF{\"a\":1}".to_vec(), INVALID),
        ("10,000 spaces", vec![b' '; 10_000], Nothing),
    ]
}
