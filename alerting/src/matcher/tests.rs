//! The matcher against its definition: the filters of the rules, one after the other.

use logwarden_event::{Class, EventBuilder, Position, Timestamp};
use logwarden_query::{Comparison, Filter, Predicate, Target, Test};
use proptest::prelude::*;
use proptest::sample::select;

use super::predicates::Predicates;
use super::*;
use crate::rule::RuleFile;

const NAMES: [&str; 5] = ["a", "b", "user.name", "Image", "message"];
const TEXTS: [&str; 14] = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "abc",
    "500",
    "5e2",
    "10.2.0.9",
    "::ffff:10.2.0.9",
    "ÄΣ",
    "äσ",
    "b*c",
    "k\u{212A}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(&TEXTS[..]).prop_map(str::to_owned),
        1 => "[aAbBcÄΣσKks]{0,5}",
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let cased = any::<bool>;
    prop_oneof![
        4 => (text(), cased()).prop_map(|(text, cased)| Test::Equals { text, cased }),
        2 => (text(), cased()).prop_map(|(text, cased)| Test::StartsWith { text, cased }),
        2 => (text(), cased()).prop_map(|(text, cased)| Test::EndsWith { text, cased }),
        3 => (text(), cased()).prop_map(|(text, cased)| Test::Contains { text, cased }),
        2 => ("[aAbB*?Σ\\\\]{0,4}", cased())
            .prop_map(|(pattern, cased)| Test::like(&pattern, cased).expect("small")),
        2 => select(vec!["(?i)aB", "^a.*c$", "b+c", "k", "(?i)ks", "x|a", "[Aa]b"])
            .prop_map(|regex| Test::regex(regex).expect("valid")),
        1 => Just(Test::Exists),
        1 => Just(Test::IsNull),
        1 => Just(Test::Present),
        1 => (select(&NAMES[..]), any::<bool>())
            .prop_map(|(name, cased)| Test::SameAs { name: name.to_owned(), cased }),
        1 => Just(Test::Number(Comparison::Gte, 10.0.into())),
        1 => Just(Test::Network(vec!["10.0.0.0/8".parse().expect("a network")])),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let names = || NAMES.iter().map(|name| (*name).to_owned());
    prop_oneof![
        3 => select(&NAMES[..]).prop_map(|name| Target::Field(name.to_owned())),
        2 => proptest::sample::subsequence(names().collect::<Vec<_>>(), 1..4)
            .prop_map(Target::FirstOf),
        1 => select(vec![
            Target::Record, Target::Message, Target::Severity, Target::Dataset, Target::Source,
            Target::Seq, Target::Class, Target::Timestamp,
        ]),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        20 => (target(), test()).prop_map(|(target, test)| Filter::Is(Predicate { target, test })),
        1 => Just(Filter::All),
        1 => Just(Filter::Nothing),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            3 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            1 => inner.prop_map(Filter::negated),
        ]
    })
}

#[derive(Debug, Clone)]
enum Given {
    Null,
    Text(String),
    Number(i64),
    Float(f64),
    Ip,
}

fn event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        1 => Just(Given::Null),
        5 => text().prop_map(Given::Text),
        1 => select(vec![5, 500, 7]).prop_map(Given::Number),
        1 => select(vec![500.0, 0.5]).prop_map(Given::Float),
        1 => Just(Given::Ip),
    ];
    let alias = proptest::option::of(select(&NAMES[..]));
    let fields = proptest::collection::vec((select(&NAMES[..]), alias, value), 0..6);
    (fields, text(), text()).prop_map(|(fields, message, source)| {
        let mut builder = EventBuilder::new(b"{}");
        builder.timestamp(Some(Timestamp::from_secs(500))).class(Class::new("a//b;ab//"));
        builder.message(&message).source(&source).dataset("ab");
        for (name, alias, value) in &fields {
            let value = match value {
                Given::Null => Value::Null,
                Given::Text(text) => Value::String(text),
                Given::Number(number) => Value::Integer((*number).into()),
                Given::Float(number) => Value::Float(*number),
                Given::Ip => Value::Ip("10.2.0.9".parse().expect("an address")),
            };
            builder.field_with(name, *alias, value, Default::default());
        }
        let mut event = builder.build();
        event.stamp(Position { lane: 0, seq: 500 }, Timestamp::from_secs(500));
        event
    })
}

/// Which of the filters match, by the matcher.
fn found(filters: &[Filter], events: &[Event]) -> Vec<Vec<usize>> {
    let predicates = Predicates::of(filters.iter().map(Some));
    let places: Vec<u32> = (0u32..).zip(filters).map(|(place, _)| place).collect();
    let index = Index::new(&predicates, &places);
    let mut matcher = Matcher::new(Arc::default());
    matcher.scratch = Scratch {
        holds: vec![0; predicates.len()],
        judged: vec![0; predicates.len()],
        present: vec![(0, 0); predicates.targets().len()],
        wanted: vec![0; filters.len()],
        // The numbers of rounds run out between the events.
        round: u32::MAX - 1,
        ..Scratch::default()
    };
    matcher.predicates = predicates;
    matcher.by_class.insert("a//b;ab//".into(), Arc::new(index));
    let mut look = |event: &Event| {
        let mut hits = Vec::new();
        matcher.match_event(event, &mut hits);
        hits
    };
    events.iter().map(&mut look).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn what_matches_is_what_the_filters_say(
        filters in proptest::collection::vec(filter(), 1..8),
        events in proptest::collection::vec(event(), 1..5),
    ) {
        let expected: Vec<Vec<usize>> = events
            .iter()
            .map(|event| {
                let places = (0..filters.len()).filter(|place| filters[*place].matches(event));
                places.collect()
            })
            .collect();
        prop_assert_eq!(found(&filters, &events), expected);
    }
}

#[test]
fn a_class_that_comes_again_and_one_without_rules_are_known() {
    let text = "title: t\nid: t\nlogsource: { product: linux }\ndetection:\n  s: { a: b }\n  condition: s\n";
    let file = RuleFile { name: "r.yml".into(), text: text.to_owned() };
    let (rules, problems) = RuleSet::load(&[file]);
    assert_eq!(problems, []);
    let mut matcher = Matcher::new(Arc::new(rules));
    for (class, expected) in [("linux//", 1), ("windows//", 0), ("linux//x", 1), ("linux//", 1)] {
        let mut builder = EventBuilder::new(b"{}");
        builder.class(Class::new(class)).field("a", Value::String("B"));
        let mut hits = Vec::new();
        matcher.match_event(&builder.build(), &mut hits);
        assert_eq!(hits.len(), expected, "{class}");
    }
    assert_eq!((matcher.by_class.len(), matcher.by_rules.len()), (3, 2));
}
