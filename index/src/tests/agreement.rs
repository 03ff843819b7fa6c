//! Head, split and merged split give exactly the events that satisfy a lookup, in one order.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, Range};
use std::sync::Arc;

use logwarden_event::{
    Event, EventBuilder, FieldOptions, Position, Severity, SplitId, TimeRange, Timestamp, Value,
};
use logwarden_store::{Record, RecordKind, Store};
use proptest::prelude::*;

use crate::builder::{BuiltSplit, SplitBuilder};
use crate::cache::Cache;
use crate::columns::dissect::Misfit;
use crate::columnstore::writer::{DISSECT, Dissect};
use crate::head::{Head, order_of};
use crate::lookup::{Lookup, TextCondition, event_part, text_of};
use crate::piece::{Counted, GroupPart, Grouped, Piece};
use crate::rows::add_rows_of;
use crate::split::Split;

const NAMES: [&str; 7] = ["source.ip", "user.name", "src", "dataset", "a\0b", "a", "lw.source"];

const TEXTS: [&str; 16] = [
    "root",
    "ROOT",
    "Ärger ΟΔΟΣ",
    "failed password",
    "10",
    "1e1",
    " 7 ",
    "a\0b",
    "",
    "-",
    "00f067aa0ba902b7",
    "00F067aa0ba902b7cd",
    "00f067aa0b",
    "10.2.0.9",
    "0.9",
    "2 0",
];

/// What a generated event is made of.
#[derive(Debug, Clone)]
struct Recipe {
    /// Whether the record is JSON, in which the texts stand.
    is_json: bool,
    /// Whether it has fields that no other event has alike.
    has_own: bool,
    timestamp: i64,
    message: String,
    dataset: String,
    fields: Vec<(String, Option<String>, Made)>,
}

#[derive(Debug, Clone)]
enum Made {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Ip([u8; 4]),
    Time(i64),
    Json(String),
}

/// The record, and where in it the message and each text stand letter for letter.
fn record_of(recipe: &Recipe) -> (String, Vec<Option<Range<usize>>>) {
    if !recipe.is_json {
        let len = recipe.message.len();
        let nowhere = recipe.fields.iter().map(|_| None);
        return (recipe.message.clone(), std::iter::once(Some(0..len)).chain(nowhere).collect());
    }
    let mut record = "{".to_owned();
    let mut places = Vec::new();
    let mut put = |name: &str, text: Option<&str>, other: String| {
        record.push_str(&format!("{}:", serde_json::to_string(name).expect("a text")));
        let value = text.map_or(other, |text| serde_json::to_string(text).expect("a text"));
        let start = record.len() + 1;
        record.push_str(&value);
        record.push(',');
        let is_plain = text.is_some_and(|text| value.len() == text.len() + 2);
        places.push(is_plain.then(|| start..start + value.len() - 2));
    };
    put("message", Some(&recipe.message), String::new());
    for (name, alias, made) in &recipe.fields {
        let text = match made {
            Made::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let ip = |octets: &[u8; 4]| format!("\"{}\"", std::net::IpAddr::from(*octets));
        let other = match made {
            Made::Null | Made::Text(_) => "null".to_owned(),
            Made::Bool(value) => value.to_string(),
            Made::Integer(value) => value.to_string(),
            Made::Float(value) => value.to_string(),
            Made::Ip(octets) => ip(octets),
            Made::Time(secs) => format!("\"{}\"", Timestamp::from_secs(*secs)),
            Made::Json(text) => text.clone(),
        };
        put(alias.as_ref().unwrap_or(name), text, other);
    }
    record.push_str(&format!("\"@timestamp\":\"{}\"}}", Timestamp::from_secs(recipe.timestamp)));
    (record, places)
}

fn event_of(recipe: &Recipe, seq: u64) -> Event {
    let (record, places) = record_of(recipe);
    let slice = |place: usize, text: &str| -> Option<&str> {
        places[place].clone().map(|range| &record[range]).filter(|found| *found == text)
    };
    let mut event = EventBuilder::new(record.as_bytes());
    event.timestamp(Some(Timestamp::from_secs(recipe.timestamp)));
    event.message(slice(0, &recipe.message).unwrap_or(&recipe.message));
    event.dataset(&recipe.dataset).severity(Severity::Error);
    for (place, (name, alias, made)) in recipe.fields.iter().enumerate() {
        let value = match made {
            Made::Null => Value::Null,
            Made::Bool(value) => Value::Bool(*value),
            Made::Integer(value) => Value::Integer(i128::from(*value)),
            Made::Float(value) => Value::Float(*value),
            Made::Text(text) => Value::String(slice(place + 1, text).unwrap_or(text)),
            Made::Ip(octets) => Value::Ip((*octets).into()),
            Made::Time(secs) => Value::Timestamp(Timestamp::from_secs(*secs)),
            Made::Json(text) => Value::Json(text),
        };
        event.field_with(name, alias.as_deref(), value, FieldOptions::default());
    }
    if recipe.has_own {
        event.field("own.id", Value::String(&own_id(seq)));
        event.field("own.number", Value::Integer(i128::from(seq) * 37 - 100));
        event.field("own.ip", Value::Ip(own_ip(seq).into()));
        event.field("own.path", Value::String(&own_path(seq)));
        event.field("own.target", Value::String(&own_target(seq)));
    }
    let mut event = event.build();
    event.stamp(Position { lane: 0, seq }, Timestamp::from_secs(1_000_000));
    event
}

/// Texts that hardly any other event has, so that they are in no dictionary.
fn own_id(seq: u64) -> String {
    format!("{:016x}", (seq + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn own_ip(seq: u64) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from_bits(0x0A01_0000 + seq as u32 / 2 * 259)
}

fn own_path(seq: u64) -> String {
    format!("/Srv/{seq}/x{}?y", seq * 31)
}

/// Texts that differ in their numbers.
fn own_target(seq: u64) -> String {
    match seq % 3 {
        0 => format!("/Orders/{seq}/items/{}", seq * 31),
        1 => format!("/Orders/0{seq}/{seq}-{}", seq * 7),
        _ => format!("{}:{seq}", own_ip(seq)),
    }
}

/// Lookups of such texts.
fn own() -> impl Strategy<Value = Lookup> {
    let word = |word: String| Lookup::Word { field: None, word };
    let is = |field: &str, value: String| Lookup::Value { field: field.to_owned(), value };
    let prefix = |len: usize, seq: u64| own_target(seq).to_lowercase()[..len].to_owned();
    let beginning =
        move |field: &str, prefix| Lookup::ValuePrefix { field: field.to_owned(), prefix };
    let inside = |part: String, is_told: bool| {
        let told = is_told.then(|| part.clone());
        let test = move |text: &str| text.to_lowercase().contains(&part);
        let condition = TextCondition::new(told, test);
        Lookup::Text { field: Some("own.target".to_owned()), condition }
    };
    (0u64..70, 0u8..16).prop_map(move |(seq, which)| match which {
        0 => word(own_id(seq)),
        1 => word(format!("x{}", seq * 31)),
        2 => word((seq * 37).to_string()),
        3 => is("own.id", own_id(seq)),
        4 => is("own.number", (seq as i64 * 37 - 100).to_string()),
        5 => is("own.ip", own_ip(seq).to_string()),
        6 => is("own.path", own_path(seq).to_lowercase()),
        7 => Lookup::WordPrefix { field: None, prefix: own_id(seq)[..3].to_owned() },
        8 => word(if seq < 35 { "items".to_owned() } else { format!("0{seq}") }),
        9 => is("own.target", own_target(seq).to_lowercase()),
        10 => beginning("own.target", prefix(if seq < 35 { 5 } else { 9 }, seq)),
        11 => Lookup::WordPrefix {
            field: None,
            prefix: ["", "ord", "1", "12"][seq as usize % 4].to_owned(),
        },
        12 => inside("s/1".to_owned(), seq < 35),
        13 => inside(["rder", "items/", "\0"][seq as usize % 3].to_owned(), seq < 35),
        14 => {
            Lookup::Phrase { field: None, words: vec!["items".to_owned(), (seq * 31).to_string()] }
        }
        _ => Lookup::Number {
            field: "own.number".to_owned(),
            from: Bound::Excluded(seq as f64 * 37.0 - 100.0),
            to: Bound::Included(seq as f64 * 50.0),
        },
    })
}

fn names() -> impl Strategy<Value = String> {
    proptest::sample::select(&NAMES).prop_map(str::to_owned)
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(&TEXTS).prop_map(str::to_owned),
        1 => "[a-c]{1,3}",
        // Around the bounds of a word and of a term.
        1 => (249usize..259).prop_map(|len| "x".repeat(len)),
        1 => (120usize..130).prop_map(|len| "Ä".repeat(len)),
    ]
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let made = prop_oneof![
        Just(Made::Null),
        any::<bool>().prop_map(Made::Bool),
        (-3i64..20).prop_map(Made::Integer),
        proptest::sample::select(&[0.5, 10.0, 1e300, -2.5]).prop_map(Made::Float),
        texts().prop_map(Made::Text),
        (0u8..3).prop_map(|last| Made::Ip([10, 0, 0, last])),
        (0i64..3).prop_map(Made::Time),
        Just(Made::Json(r#"[{"User":"Root"}]"#.to_owned())),
    ];
    let field = (names(), proptest::option::of(names()), made);
    let dataset = proptest::sample::select(&["", "sshd.auth", "Web"]).prop_map(str::to_owned);
    let message = prop_oneof![
        texts(),
        (texts(), texts()).prop_map(|(one, other)| format!("user {one} from {other}")),
        (texts(), texts()).prop_map(|(one, other)| format!("{one}:{other}")),
    ];
    let fields = proptest::collection::vec(field, 0..5);
    (any::<(bool, bool)>(), 0i64..20, message, dataset, fields).prop_map(
        |((is_json, has_own), timestamp, message, dataset, fields)| Recipe {
            is_json,
            has_own,
            timestamp,
            message,
            dataset,
            fields,
        },
    )
}

fn bounds() -> impl Strategy<Value = Bound<f64>> {
    let number = || proptest::sample::select(&[-2.5, 0.0, 7.0, 10.0, 11.0, 1e299]);
    prop_oneof![
        Just(Bound::Unbounded),
        number().prop_map(Bound::Included),
        number().prop_map(Bound::Excluded),
    ]
}

fn lookups() -> impl Strategy<Value = Lookup> {
    let field = || prop_oneof![names(), Just("severity".to_owned())];
    let lower = || texts().prop_map(|text| text.to_lowercase());
    let part = || proptest::sample::select(&[None, Some("message")]);
    let words = || prop_oneof![lower(), Just("password".to_owned()), Just("οδος".to_owned())];
    let phrase = || {
        (texts(), texts(), 0usize..6, 2usize..6).prop_map(|(one, other, from, len)| {
            let text = format!("user {one} from {other}");
            let mut all: Vec<String> =
                logwarden_event::words(&text).map(|word| word.into_owned()).collect();
            let from = from.min(all.len() - 2);
            all.rotate_left(from);
            all.truncate(len);
            all
        })
    };
    let leaf = prop_oneof![
        Just(Lookup::All),
        Just(Lookup::Nothing),
        (part(), words()).prop_map(|(field, word)| Lookup::Word { field, word }),
        (part(), words()).prop_map(|(field, prefix)| Lookup::WordPrefix { field, prefix }),
        (part(), phrase()).prop_map(|(field, words)| Lookup::Phrase { field, words }),
        (field(), lower()).prop_map(|(field, value)| Lookup::Value { field, value }),
        (field(), lower()).prop_map(|(field, prefix)| Lookup::ValuePrefix { field, prefix }),
        (field(), bounds(), bounds()).prop_map(|(field, from, to)| Lookup::Number {
            field,
            from,
            to
        }),
        field().prop_map(|field| Lookup::Exists { field }),
        (proptest::option::of(prop_oneof![field(), Just("message".to_owned())]), condition())
            .prop_map(|(field, condition)| Lookup::Text { field, condition }),
        (0u64..60, 0u64..60).prop_map(|(first, last)| Lookup::Seq { first, last }),
        own(),
        own(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            several.clone().prop_map(Lookup::And),
            several.prop_map(Lookup::Or),
            inner.prop_map(|inner| Lookup::Not(Box::new(inner))),
        ]
    })
}

/// Texts that contain some letters, told beforehand or not.
fn condition() -> impl Strategy<Value = TextCondition> {
    let part = proptest::sample::select(&["oo", "pass", "use", "er", "1", "f067", "x", "true"]);
    (part, any::<bool>()).prop_map(|(part, is_told)| {
        let test = move |text: &str| text.to_lowercase().contains(part);
        TextCondition::new(is_told.then(|| part.to_owned()), test)
    })
}

fn ranges() -> impl Strategy<Value = TimeRange> {
    let some = (-1i64..22, -1i64..22).prop_map(|(start, end)| TimeRange {
        start: Timestamp::from_secs(start),
        end: Timestamp::from_secs(end),
    });
    prop_oneof![Just(TimeRange::ALL), some]
}

/// A head that got the events in batches of these sizes, in turn.
fn head_of(events: &[Event], sizes: &[usize]) -> Head {
    let mut head = Head::new(Position { lane: 0, seq: 0 });
    let (mut rest, mut next) = (events, 0);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, after) = rest.split_at((*size).min(rest.len()));
        let record = |event: &Event| Record {
            kind: RecordKind::Event,
            event: event.clone(),
            batch_id: None,
        };
        next += batch.len() as u64;
        head.push(&batch.iter().map(record).collect(), Position { lane: 0, seq: next });
        rest = after;
    }
    head
}

fn split_of<'a>(events: impl Iterator<Item = &'a Event>, dissect: Option<Dissect>) -> Split {
    let mut builder = SplitBuilder::new(dissect).expect("an empty split");
    events.for_each(|event| builder.add(event).expect("in memory"));
    open(builder.finish(SplitId::from_u128(7), Vec::new()).expect("in memory"))
}

fn open(built: BuiltSplit) -> Split {
    let (store, _simulation) = Store::simulated(0);
    store.blobs.put_new(&built.meta.blob(), &mut built.content.as_slice()).expect("room");
    let cache = Arc::new(Cache::new(8 << 10));
    Split::open(store.blobs, built.meta, cache, None).expect("just built")
}

/// Keeps some events verbatim.
const PICKY: Dissect = |dissector, parts, message_as| match parts.buffer.len() % 3 {
    0 => Err(Misfit),
    _ => DISSECT(dissector, parts, message_as),
};

/// The split that is merged from splits of the head's events, which are dealt out in turn, or in runs:
/// then blocks are carried over whole.
fn merged(head: &Head, sizes: &[usize], in_runs: bool) -> Split {
    let splits = sizes.len() + 1;
    let run = head.len().div_ceil(splits);
    let is_of = |place: usize, split: usize| match in_runs {
        true => place / run == split,
        false => place % splits == split,
    };
    let dealt = |split: usize| {
        let events = head.every_event().enumerate();
        events.filter(move |(place, _)| is_of(*place, split)).map(|(_, event)| event)
    };
    let dealt = (0..splits).filter(|split| dealt(*split).next().is_some()).map(dealt);
    let splits: Vec<Split> = dealt.map(|events| split_of(events, Some(DISSECT))).collect();
    let mut builder = SplitBuilder::new(Some(DISSECT)).expect("an empty split");
    add_rows_of(&splits, &mut builder, || Ok(())).expect("readable");
    open(builder.finish(SplitId::from_u128(8), Vec::new()).expect("in memory"))
}

type Search<'a> = dyn Fn(&mut dyn FnMut(&Event) -> ControlFlow<()>) + 'a;

/// The events a search visits, stopped after `most`.
fn visited(search: &Search<'_>, most: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    search(&mut |event| {
        seqs.push(event.seq());
        if seqs.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    seqs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn head_and_split_find_what_satisfies_a_lookup_newest_first(
        recipes in proptest::collection::vec(recipes(), 1..60),
        sizes in proptest::collection::vec(1usize..9, 1..4),
        (is_merged, is_picky) in any::<(bool, bool)>(),
        lookups in proptest::collection::vec((lookups(), ranges(), 1usize..80), 12),
    ) {
        let events: Vec<Event> = recipes.iter().zip(0..).map(|(r, seq)| event_of(r, seq)).collect();
        let head = head_of(&events, &sizes);
        let split = match is_merged {
            true => merged(&head, &sizes, is_picky),
            false => split_of(head.every_event(), Some(if is_picky { PICKY } else { DISSECT })),
        };
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| order_of(event));
        for (lookup, range, most) in lookups {
            let satisfies = |event: &&&Event| {
                range.contains(event.timestamp()) && lookup.matches(event)
            };
            let all: Vec<u64> = sorted.iter().filter(satisfies).map(|event| event.seq()).collect();
            let first = &all[..most.min(all.len())];

            let in_head = visited(&|visit| head.search(&lookup, range, visit).expect("a head"), most);
            prop_assert_eq!(&in_head, first, "head: {:?} in {:?}", lookup, range);
            let in_split =
                visited(&|visit| split.search(&lookup, range, visit).expect("readable"), most);
            prop_assert_eq!(&in_split, first, "split: {:?} in {:?}", lookup, range);
            let counted_first = |visit: &mut dyn FnMut(&Event) -> ControlFlow<()>| {
                let known = split.count_and_keep(&lookup, range).expect("readable").1;
                split.search_from(&lookup, range, (&mut 0, known), visit).expect("readable");
            };
            prop_assert_eq!(&visited(&counted_first, most), first, "{:?} in {:?}", lookup, range);

            for field in ["user.name", "own.ip", "own.number"] {
                let told = told(&split, &lookup, range, field);
                let satisfying = events.iter().filter(|event| satisfies(&event));
                let expected = values_of(satisfying, field);
                prop_assert!(told.is_none() || told == Some(expected), "{:?}: {:?}", lookup, told);
            }
            for fields in [["user.name", "own.ip"], ["dataset", "own.number"]] {
                let told = told_groups(&split, &lookup, range, fields);
                let satisfying = events.iter().filter(|event| satisfies(&event));
                let expected = groups_of(satisfying, fields);
                prop_assert!(told.is_none() || told == Some(expected), "{:?}: {:?}", lookup, told);
            }
            let halves = [range, TimeRange { start: Timestamp::from_secs(7), ..range }];
            let halves_count = |range: TimeRange| split.count(&lookup, range).expect("readable");
            let each: Option<Vec<u64>> = halves.map(halves_count).into_iter().collect();
            prop_assert_eq!(split.count_each(&lookup, &halves).expect("readable"), each);

            let count = Some(all.len() as u64);
            prop_assert_eq!(head.count(&lookup, range).expect("a head"), count);
            let counted = split.count(&lookup, range).expect("readable");
            prop_assert!(counted.is_none() || counted == count, "{:?}: {:?}", lookup, counted);
        }
        prop_assert_eq!(head.fields(), split.footer.fields.clone());
    }
}

/// Events by the texts of their values of a field.
type Values = BTreeMap<Vec<String>, u64>;

fn values_of<'a>(events: impl Iterator<Item = &'a Event>, field: &str) -> Values {
    let mut values = Values::new();
    for event in events {
        let texts = event.values(field).filter_map(|value| text_of(&value));
        *values.entry(texts.map(|text| text.into_owned()).collect()).or_default() += 1;
    }
    values
}

/// The same as a split tells it.
fn told(split: &Split, lookup: &Lookup, range: TimeRange, field: &str) -> Option<Values> {
    let mut values = Values::new();
    let mut visit = |counted: Counted<'_>| {
        match counted {
            Counted::Value(value, times) => {
                let texts = text_of(&value).map(|text| text.into_owned());
                *values.entry(texts.into_iter().collect()).or_default() += times;
            }
            Counted::Addresses(addresses) => {
                for (address, times) in addresses.iter().filter(|(_, times)| *times > 0) {
                    let text = std::net::Ipv4Addr::from_bits(*address).to_string();
                    *values.entry(vec![text]).or_default() += u64::from(*times);
                }
            }
            Counted::Strings(strings) => {
                for (text, times) in strings.iter() {
                    *values.entry(vec![text.to_owned()]).or_default() += times;
                }
            }
            Counted::Integers(numbers) => {
                for number in numbers {
                    *values.entry(vec![number.to_string()]).or_default() += 1;
                }
            }
            Counted::Event(event) => {
                for (texts, times) in values_of(std::iter::once(event), field) {
                    *values.entry(texts).or_default() += times;
                }
            }
        }
        ControlFlow::Continue(())
    };
    split.count_values(lookup, range, field, &mut visit).expect("readable").then_some(values)
}

/// Nanoseconds of a span by which events are grouped.
const SPAN_NANOS: i64 = 3_000_000_000;

/// Events by their span and the texts of their values of two fields.
type OfGroups = BTreeMap<(i64, [Vec<String>; 2]), u64>;

fn texts_of(event: &Event, field: &str) -> Vec<String> {
    match event_part(event, field) {
        Some(text) => Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect(),
        None => {
            let texts = event.values(field);
            texts.filter_map(|value| Some(text_of(&value)?.into_owned())).collect()
        }
    }
}

fn groups_of<'a>(events: impl Iterator<Item = &'a Event>, fields: [&str; 2]) -> OfGroups {
    let mut groups = OfGroups::new();
    for event in events {
        let span = event.timestamp().nanos().div_euclid(SPAN_NANOS);
        let texts = fields.map(|field| texts_of(event, field));
        *groups.entry((span, texts)).or_default() += 1;
    }
    groups
}

/// The same as a split tells it.
fn told_groups(
    split: &Split,
    lookup: &Lookup,
    range: TimeRange,
    fields: [&str; 2],
) -> Option<OfGroups> {
    let mut groups = OfGroups::new();
    let mut visit = |grouped: Grouped<'_>| {
        match grouped {
            Grouped::Values([one, Value::Integer(span), other], times) => {
                let texts = [one, other].map(|value| {
                    text_of(value).map(|text| text.into_owned()).into_iter().collect()
                });
                let span = i64::try_from(*span).expect("as it was told");
                *groups.entry((span, texts)).or_default() += times;
            }
            Grouped::Values(values, _) => panic!("{values:?}"),
            Grouped::Event(event) => {
                for (group, times) in groups_of(std::iter::once(event), fields) {
                    *groups.entry(group).or_default() += times;
                }
            }
        }
        ControlFlow::Continue(())
    };
    let span_of = |at: Timestamp| {
        let span = at.nanos().div_euclid(SPAN_NANOS);
        let edge = |span: i64| Timestamp::from_nanos(span.saturating_mul(SPAN_NANOS));
        (span, TimeRange { start: edge(span), end: edge(span.saturating_add(1)) })
    };
    let [one, other] = fields.map(GroupPart::Field);
    let parts = [one, GroupPart::Time(&span_of), other];
    split.count_groups(lookup, range, &parts, &mut visit).expect("readable").then_some(groups)
}

#[test]
fn a_split_gives_back_every_event_whole() {
    let recipe = Recipe {
        is_json: true,
        has_own: false,
        timestamp: 5,
        message: "failed password".to_owned(),
        dataset: "sshd.auth".to_owned(),
        fields: vec![(
            "user.name".to_owned(),
            Some("user".to_owned()),
            Made::Text("x".repeat(900)),
        )],
    };
    let events: Vec<Event> = (0..20).map(|seq| event_of(&recipe, seq)).collect();
    let split = split_of(events.iter().rev(), Some(DISSECT));
    assert!(split.footer.columns.blocks.len() > 1, "several blocks");
    let mut back = Vec::new();
    let mut take = |event: &Event| {
        back.push(event.clone());
        ControlFlow::Continue(())
    };
    split.search(&Lookup::All, TimeRange::ALL, &mut take).expect("readable");
    for (event, back) in events.iter().rev().zip(&back) {
        assert_eq!((event.id(), event.timestamp()), (back.id(), back.timestamp()));
        assert_eq!((event.raw(), event.observed_at()), (back.raw(), back.observed_at()));
        assert!(event.fields().eq(back.fields()));
    }
    assert_eq!(back.len(), events.len());
}

#[test]
fn an_event_that_breaks_the_code_is_found_and_takes_no_other_with_it() {
    let dissect: Dissect = |dissector, parts, message_as| {
        assert!(!parts.buffer.starts_with(b"poison"));
        DISSECT(dissector, parts, message_as)
    };
    let recipe = |message: &str| Recipe {
        is_json: false,
        has_own: true,
        timestamp: 5,
        message: message.to_owned(),
        dataset: String::new(),
        fields: Vec::new(),
    };
    let messages = ["good", "poison", "other"];
    let events: Vec<Event> =
        messages.iter().zip(0..).map(|(message, seq)| event_of(&recipe(message), seq)).collect();
    let check = |dissect, expected: &[u64]| {
        let split = split_of(events.iter().rev(), dissect);
        let word = Lookup::Word { field: None, word: "good".to_owned() };
        let breaking = TextCondition::new(None, |text| {
            assert!(text != "poison");
            text == "good"
        });
        let breaking = Lookup::Text { field: None, condition: breaking };
        for (lookup, count) in [(word, Some(1)), (breaking, None)] {
            let search: &Search<'_> =
                &|visit| split.search(&lookup, TimeRange::ALL, visit).expect("readable");
            let is_sure = count.is_some();
            assert_eq!(visited(search, 9), if is_sure { &expected[1..] } else { expected });
            let counted = split.count(&lookup, TimeRange::ALL).expect("readable");
            assert_eq!(counted, count, "what breaks the code must be read");
        }
    };
    check(Some(dissect), &[1, 0]);
    check(None, &[1, 0]);
}
