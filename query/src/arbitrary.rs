//! Random events, filters and queries that have a good chance to meet.

use logwarden_event::{
    Class, Event, EventBuilder, FieldOptions, Position, Severity, Timestamp, Value, words,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::filter::{Comparison, Filter, Target, Test};
use crate::scan::Memory;

/// Memory that does not end.
pub(crate) fn memory() -> Memory {
    Memory::new(usize::MAX)
}

const NAMES: &[&str] = &[
    "user.name",
    "source.ip",
    "src.ip",
    "http.response.status_code",
    "tags",
    "peer",
    "Threat Name",
    "a",
    "deep.path.x",
    "lw.received_at",
];

const TEXTS: &[&str] = &[
    "root",
    "Root",
    "ROOT admin",
    "alice",
    "",
    "10.2.0.9",
    "10.2.7.1",
    "::ffff:10.2.0.9",
    "2001:DB8::1",
    "0:0:0:0:0:ffff:a02:9",
    "fe80::1",
    "500",
    "-5",
    "0.5",
    "5e2",
    " 7 ",
    "404",
    "Ärger im Büro",
    "ärger",
    "ΟΔΟΣ",
    "a\"b\\c",
    "C:\\Windows\\cmd.exe",
    "/a/b?c=d",
    "null",
    "true",
    "2026-11-22T04:22:59Z",
    "failed password for root",
    "x_y-z",
    "日本語 ログ",
    "{\"k\":\"root\"}",
];

/// A text that other generators make too, or a long word.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => select(TEXTS).prop_map(str::to_owned),
        2 => "[a-c ]{1,4}",
        1 => (250..270usize).prop_map(|len| "w".repeat(len)),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        select(&[0.0, 0.5, -5.0, 7.0, 404.0, 499.5, 500.0, 9_007_199_254_740_992.0][..]),
        (-10i32..10).prop_map(f64::from),
    ]
}

#[derive(Debug, Clone)]
enum Content {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Ip(std::net::IpAddr),
    Time(i64),
    Json(String),
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        1 => Just(Content::Null),
        1 => any::<bool>().prop_map(Content::Bool),
        2 => select(&[500i128, 404, -5, 7, 0, 9_007_199_254_740_993, u64::MAX as i128][..])
            .prop_map(Content::Integer),
        1 => number().prop_map(Content::Float),
        6 => text().prop_map(Content::Text),
        2 => select(&["10.2.0.9", "10.2.7.1", "10.3.0.1", "2001:db8::1", "fe80::1"][..])
            .prop_map(|text| Content::Ip(text.parse().expect("an address"))),
        1 => (0i64..5).prop_map(Content::Time),
        1 => Just(Content::Json("[{\"k\":\"root\",\"n\":500}]".to_owned())),
    ]
}

impl Content {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(value) => Value::String(value),
            Self::Ip(value) => Value::Ip(*value),
            Self::Time(minutes) => Value::Timestamp(minute(*minutes)),
            Self::Json(value) => Value::Json(value),
        }
    }
}

/// A minute of the hour that all events lie in.
pub(crate) fn minute(number: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + 60 * number)
}

type Fields = Vec<(&'static str, Option<&'static str>, Vec<Content>)>;

fn fields() -> impl Strategy<Value = Fields> {
    let contents = prop_oneof![
        4 => content().prop_map(|one| vec![one]),
        1 => vec(content(), 2..4),
    ];
    vec((select(NAMES), option::weighted(0.3, select(NAMES)), contents), 0..6)
}

/// An event that the journal has not stamped yet. Some are of datasets of our own.
pub(crate) fn draft() -> impl Strategy<Value = Event> {
    let datasets = select(&["", "shop.auth", "sshd", "Shop.Auth", "logwarden.audit"][..]);
    let head = (text(), datasets, 0u8..8, option::of(0i64..60), select(&["edge", "shop"][..]));
    (head, fields()).prop_map(|((message, dataset, rank, minutes, source), fields)| {
        let mut event = EventBuilder::new(b"{}");
        event
            .timestamp(minutes.map(minute))
            .severity(Severity::from_rank(rank).unwrap_or_default())
            .source(source)
            .dataset(dataset)
            .class(Class::new("linux//sshd;linux/authentication/"))
            .message(&message);
        for (path, alias, contents) in &fields {
            let is_array_item = contents.len() > 1;
            for content in contents {
                let options = FieldOptions { is_array_item, is_inner: false };
                event.field_with(path, *alias, content.value(), options);
            }
        }
        event.build()
    })
}

/// Up to `max` stamped events, seq from 1 on.
pub(crate) fn events(max: usize) -> impl Strategy<Value = Vec<Event>> {
    vec(draft(), 0..=max).prop_map(|drafts| {
        let stamped = drafts.into_iter().zip(1u64..).map(|(mut event, seq)| {
            event.stamp(Position { lane: 0, seq }, minute(30 + (seq / 4) as i64));
            event
        });
        stamped.collect()
    })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    select(&[Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte][..])
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        6 => select(NAMES).prop_map(|name| Target::Field(name.to_owned())),
        2 => Just(Target::Record),
        2 => Just(Target::Message),
        1 => Just(Target::Severity),
        1 => Just(Target::Dataset),
        1 => Just(Target::Timestamp),
        1 => Just(Target::Source),
        1 => Just(Target::Seq),
        1 => Just(Target::ObservedAt),
        1 => Just(Target::Class),
        1 => vec(select(NAMES), 0..4)
            .prop_map(|names| Target::FirstOf(names.into_iter().map(str::to_owned).collect())),
    ]
}

fn wanted_words(text: &str) -> Vec<String> {
    words(text).map(|word| word.into_owned()).collect()
}

fn text_test() -> impl Strategy<Value = Test> {
    (text(), any::<bool>(), 0..6).prop_map(|(text, cased, kind)| match kind {
        0 => Test::StartsWith { text, cased },
        1 => Test::EndsWith { text, cased },
        2 => Test::Contains { text, cased },
        3 => Test::like(&format!("*{text}?*"), cased).expect("small"),
        4 => Test::like(&format!("{text}*"), cased).expect("small"),
        _ => Test::Equals { text, cased },
    })
}

fn test() -> impl Strategy<Value = Test> {
    let severities = Severity::ALL.map(Severity::name);
    let networks = select(
        &[
            "10.2.0.0/16",
            "10.2.0.0/20",
            "10.0.0.0/7",
            "::/0",
            "0.0.0.0/0",
            "fe80::/10",
            "10.2.7.1/32",
        ][..],
    );
    prop_oneof![
        1 => Just(Test::Exists),
        1 => Just(Test::IsNull),
        2 => text().prop_filter_map("no words", |text| {
            let words = wanted_words(&text);
            (!words.is_empty()).then_some(Test::Words(words))
        }),
        2 => text().prop_filter_map("no words", |text| {
            let mut words = wanted_words(&text);
            let last = words.pop()?;
            let end = last.floor_char_boundary(last.len().min(2));
            Some(Test::WordsThenPrefix(words, last[..end].to_owned()))
        }),
        4 => text().prop_map(|text| Test::Equals { text, cased: false }),
        1 => select(severities.to_vec()).prop_map(|text| Test::Equals { text: text.into(), cased: false }),
        5 => text_test(),
        1 => select(&["(?i)root", "^a", "\\d+", "\"b"][..])
            .prop_map(|pattern| Test::regex(pattern).expect("valid")),
        2 => vec(networks, 1..3).prop_map(|nets| {
            Test::Network(nets.iter().map(|net| net.parse().expect("a network")).collect())
        }),
        1 => select(&["10.2.0.9", "::ffff:10.2.0.9", "2001:db8::1"][..])
            .prop_map(|text| Test::Address(text.parse().expect("an address"))),
        2 => (comparison(), number()).prop_map(|(comparison, bound)| Test::Number(comparison, bound.into())),
        2 => (comparison(), 0i64..60).prop_map(|(comparison, at)| Test::Time(comparison, minute(at))),
        1 => (comparison(), text()).prop_map(|(comparison, bound)| Test::Text(comparison, bound)),
        1 => (select(NAMES), any::<bool>())
            .prop_map(|(name, cased)| Test::SameAs { name: name.to_owned(), cased }),
        1 => Just(Test::Present),
        2 => (number(), number()).prop_map(|(from, to)| Test::Each(vec![
            Test::Number(Comparison::Gte, from.into()), Test::Number(Comparison::Lt, to.into()),
        ])),
        2 => (0i64..60, 0i64..60).prop_map(|(from, to)| Test::Each(vec![
            Test::Time(Comparison::Gt, minute(from)), Test::Time(Comparison::Lte, minute(to)),
        ])),
    ]
}

/// Any filter, also those that no query can say.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        1 => Just(Filter::All),
        1 => Just(Filter::Nothing),
        20 => (target(), test()).prop_map(|(target, test)| Filter::is(target, test)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Filter::And),
            vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn clause() -> impl Strategy<Value = String> {
    let name = || {
        select(
            &[
                "user.name",
                "src.ip",
                "source.ip",
                "http.response.status_code",
                "tags",
                "peer",
                "\"Threat Name\"",
                "deep.path.x",
                "message",
                "dataset",
                "lw.source",
                "lw.class",
            ][..],
        )
    };
    let quoted = || {
        text().prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
    };
    let spoken = || quoted().prop_filter("has words", |text| words(text).next().is_some());
    prop_oneof![
        3 => select(&["root", "admin", "10.2.0.9", "ro*", "10.2.*", "ärger", "500", "fe80::1", "/a/b"][..])
            .prop_map(str::to_owned),
        2 => spoken(),
        1 => spoken().prop_map(|text| text + "*"),
        4 => (name(), spoken()).prop_map(|(name, text)| format!("{name}:{text}")),
        1 => (name(), spoken()).prop_map(|(name, text)| format!("{name}:{text}*")),
        1 => name().prop_map(|name| format!("{name}:*")),
        2 => (name(), select(&[">=5", "<500", ">\"alice\"", "<=-5", "[0 TO 499]", "{5 TO 500}", "[* TO 404]",
            "[a TO m]", "(root OR 500)", "(NOT ro* 500)"][..])).prop_map(|(name, term)| format!("{name}:{term}")),
        1 => (name(), select(&["(?i)ROOT", "^10\\\\.2", "[\\\"0-9]$"][..]))
            .prop_map(|(name, pattern)| format!("{name}:~\"{}\"", pattern.replace("\\\\", "\\"))),
        2 => select(&["source.ip:10.2.0.0/16", "peer:10.0.0.0/8", "src.ip:[10.2.0.0 TO 10.2.7.1]", "peer:>10.2.0.9",
            "severity:>=error", "severity:info", "severity:[notice TO alert]", "severity:warn*",
            "timestamp:>=2023-11-14T22:30:00Z", "timestamp:{1700000000 TO 1700001000]", "lw.seq:>5",
            "lw.observed_at:<1700002000", "lw.seq:(1 OR 3)", "lw.received_at:>0"][..]).prop_map(str::to_owned),
    ]
}

/// A condition that the parser reads.
pub(crate) fn query_text() -> impl Strategy<Value = String> {
    clause().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(|parts| parts.join(" ")),
            vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" OR "))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            inner.clone().prop_map(|part| format!("NOT ({part})")),
            inner.prop_map(|part| format!("-({part})")),
        ]
    })
}
