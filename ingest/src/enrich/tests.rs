//! Records with what is known besides, end to end from files; the MaxMind file is written here.

use std::fs;
use std::path::Path;

use logwarden_event::{Event, Timestamp};

use super::*;
use crate::normalize::{Normalizer, Origin, Wrapped};

fn normalized(enrichment: &Arc<Enrichment>, record: &str) -> Event {
    let (origin, now) = (Origin::new("shop"), Timestamp::from_secs(1_767_225_600));
    let wrapped = Wrapped::bare(record.as_bytes());
    Normalizer.normalize_with(Some(enrichment), &wrapped, &origin, now).expect("it is no envelope")
}

fn field(event: &Event, name: &str) -> String {
    event.values(name).map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}

fn list(name: &str, file: &str) -> ListConfig {
    ListConfig { name: name.into(), file: file.into(), ..ListConfig::default() }
}

fn opened(base: &Path, geo: &[&str], lists: Vec<ListConfig>) -> Arc<Enrichment> {
    let geo = geo.iter().map(PathBuf::from).collect();
    Enrichment::open(EnrichConfig { geo, lists, base: base.to_owned() }).expect("something is set")
}

/// Parts of the format of MaxMind DB 2.0 that a file with one network needs.
mod mmdb {
    pub(super) fn text(out: &mut Vec<u8>, text: &str) {
        assert!(text.len() < 29);
        out.push(0x40 | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn map(out: &mut Vec<u8>, entries: usize) {
        out.push(0xE0 | entries as u8);
    }

    /// A number of type 5 (two bytes), 6 (four bytes) or 9 (eight bytes, of which four are written).
    pub(super) fn number(out: &mut Vec<u8>, kind: u8, value: u32) {
        match kind {
            5 => {
                out.push(5 << 5 | 2);
                out.extend_from_slice(&value.to_be_bytes()[2..]);
                return;
            }
            6 => out.push(6 << 5 | 4),
            // Types above 7 stand in a byte of their own.
            other => out.extend([4, other - 7]),
        }
        out.extend_from_slice(&value.to_be_bytes());
    }

    /// A file of IPv4 in which `network` has `data`.
    pub(super) fn file(network: ([u8; 4], u32), data: &[u8]) -> Vec<u8> {
        let (address, length) = (u32::from_be_bytes(network.0), network.1);
        let nodes = length;
        let mut out = Vec::new();
        for depth in 0..length {
            let next = if depth + 1 == length { nodes + 16 } else { depth + 1 };
            let is_one = address >> (31 - depth) & 1 == 1;
            let (left, right) = if is_one { (nodes, next) } else { (next, nodes) };
            for record in [left, right] {
                out.extend_from_slice(&record.to_be_bytes()[1..]);
            }
        }
        out.extend([0; 16]);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\xAB\xCD\xEFMaxMind.com");
        map(&mut out, 9);
        for (key, kind, value) in [
            ("node_count", 6, nodes),
            ("record_size", 5, 24),
            ("ip_version", 5, 4),
            ("binary_format_major_version", 5, 2),
            ("binary_format_minor_version", 5, 0),
            ("build_epoch", 9, 1),
        ] {
            text(&mut out, key);
            number(&mut out, kind, value);
        }
        text(&mut out, "database_type");
        text(&mut out, "Test");
        text(&mut out, "languages");
        out.extend([1, 4]);
        text(&mut out, "en");
        text(&mut out, "description");
        map(&mut out, 0);
        out
    }
}

#[test]
fn an_address_gets_its_country_and_network() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut data = Vec::new();
    mmdb::map(&mut data, 3);
    mmdb::text(&mut data, "country");
    mmdb::map(&mut data, 2);
    mmdb::text(&mut data, "iso_code");
    mmdb::text(&mut data, "NZ");
    mmdb::text(&mut data, "names");
    mmdb::map(&mut data, 1);
    mmdb::text(&mut data, "en");
    mmdb::text(&mut data, "New Zealand");
    mmdb::text(&mut data, "autonomous_system_number");
    mmdb::number(&mut data, 6, 64_500);
    mmdb::text(&mut data, "unknown");
    mmdb::text(&mut data, "skipped");
    fs::write(dir.path().join("a.mmdb"), mmdb::file(([203, 0, 113, 0], 24), &data))
        .expect("written");
    let known = opened(dir.path(), &["a.mmdb"], Vec::new());
    assert_eq!(known.reports()[0].problem, "");
    let event = normalized(&known, r#"{"source.ip":"203.0.113.9","destination.ip":"203.0.114.9"}"#);
    assert_eq!(field(&event, "source.geo.country_iso_code"), "NZ");
    assert_eq!(field(&event, "source.geo.country_name"), "New Zealand");
    assert_eq!(field(&event, "source.as.number"), "64500");
    assert_eq!(field(&event, "destination.geo.country_iso_code"), "");
    // What the sender says counts more.
    let record = r#"{"source.ip":"203.0.113.9","source.geo.country_iso_code":"FR"}"#;
    assert_eq!(field(&normalized(&known, record), "source.geo.country_iso_code"), "FR");
}

#[test]
fn every_form_of_list_is_read_and_matched() {
    let dir = tempfile::tempdir().expect("a directory");
    let sha = "a".repeat(64);
    let files = [
        ("plain.txt", "# a comment\n192.0.2.7 seen in June\n198.51.100.0/24\n0.0.0.0 ads.example\nwhat?\n".to_owned()),
        ("some.csv", "first_seen,dst_ip,malware\n2026-01-01,\"192.0.2.8\",\"Cat, black\"\n".to_owned()),
        (
            "stix.json",
            format!(
                r#"{{"type":"bundle","objects":[{{"type":"indicator","name":"Dropper","pattern_type":"stix",
                "pattern":"[file:hashes.'SHA-256' = '{sha}' OR domain-name:value = 'evil.example']"}},
                {{"type":"indicator","pattern":"[ipv4-addr:value = '192.0.2.9' AND a:b = 'c']"}},
                {{"type":"indicator","revoked":true,"pattern":"[ipv4-addr:value = '192.0.2.10']"}}]}}"#
            ),
        ),
        (
            "misp.json",
            r#"{"Event":{"info":"Campaign","Attribute":[{"type":"ip-dst|port","value":"192.0.2.11|443","to_ids":true},
            {"type":"ip-dst","value":"192.0.2.12","to_ids":false}],
            "Object":[{"Attribute":[{"type":"md5","value":"0123456789ABCDEF0123456789abcdef","to_ids":true}]}]}}"#
                .to_owned(),
        ),
    ];
    for (name, text) in &files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let lists = files.iter().map(|(name, _)| list(name, name)).collect();
    let known = opened(dir.path(), &[], lists);
    let counts: Vec<(usize, u64)> =
        known.reports().iter().map(|report| (report.indicators, report.left_out)).collect();
    assert_eq!(counts, [(3, 1), (1, 0), (2, 2), (2, 1)], "{:?}", known.reports());
    let found = |record: &str| {
        let event = normalized(&known, record);
        format!(
            "{} {} {}",
            field(&event, "threat.indicator.provider"),
            field(&event, "threat.indicator.type"),
            field(&event, "threat.enrichments.matched.field")
        )
    };
    for (record, expected) in [
        (r#"{"source.ip":"192.0.2.7"}"#, "plain.txt ipv4-addr source.ip"),
        (r#"{"destination.ip":"198.51.100.77"}"#, "plain.txt ipv4-addr destination.ip"),
        (r#"{"dns.question.name":"x.ADS.example."}"#, "plain.txt domain-name dns.question.name"),
        (r#"{"destination.ip":"192.0.2.8"}"#, "some.csv ipv4-addr destination.ip"),
        (r#"{"url.domain":"evil.example"}"#, "stix.json domain-name url.domain"),
        (r#"{"source.ip":"192.0.2.9"}"#, "  "),
        (r#"{"source.ip":"192.0.2.10"}"#, "  "),
        (r#"{"source.ip":"192.0.2.11"}"#, "misp.json ipv4-addr source.ip"),
        (r#"{"source.ip":"192.0.2.12"}"#, "  "),
        (r#"{"Hashes":"SHA1=00,MD5=0123456789abcdef0123456789ABCDEF"}"#, "misp.json file Hashes"),
        (r#"{"note":"192.0.2.7 evil.example"}"#, "  "),
    ] {
        assert_eq!(found(record), expected, "{record}");
    }
    let hash = format!(r#"{{"file.hash.sha256":"{sha}"}}"#);
    assert_eq!(found(&hash), "stix.json file file.hash.sha256");
    let event = normalized(&known, r#"{"destination.ip":"192.0.2.8"}"#);
    assert_eq!(field(&event, "threat.indicator.description"), "2026-01-01, Cat, black");
}

fn news(known: &Enrichment) -> Vec<String> {
    known.take_news().indicators.into_iter().map(|new| new.value).collect()
}

#[test]
fn what_came_into_a_list_between_two_runs_is_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("l.txt");
    let open = || opened(dir.path(), &[], vec![list("l", "l.txt")]);
    fs::write(&path, "192.0.2.1\nevil.example\n").expect("written");
    let first = open();
    first.compare_with(ListMarks::new());
    let mut known = first.take_news().lists;
    assert_eq!(known.get("l").map(Vec::len), Some(2));
    assert_eq!(first.take_news(), ListNews::default(), "it is told once");

    fs::write(&path, "192.0.2.2\nevil.example said more\n").expect("written");
    let second = open();
    known.insert("gone".into(), vec![1]);
    assert_eq!(second.compare_with(known.clone()), ["gone"]);
    assert_eq!(news(&second), ["192.0.2.2"]);

    // A list that cannot be read at the start is compared when it can.
    fs::remove_file(&path).expect("removed");
    let third = open();
    third.compare_with(known);
    assert_eq!(third.take_news(), ListNews::default(), "nothing was read");
    fs::write(&path, "192.0.2.1\n192.0.2.3\n").expect("written");
    third.refresh();
    let news = third.take_news();
    let values: Vec<&str> = news.indicators.iter().map(|new| new.value.as_str()).collect();
    assert_eq!((values, news.lists.len()), (vec!["192.0.2.3"], 1));
}

#[test]
fn a_list_is_read_again_when_it_changes_and_its_new_entries_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("l.txt");
    fs::write(&path, "192.0.2.1\n").expect("written");
    let known = opened(dir.path(), &[], vec![list("l", "l.txt")]);
    assert_eq!(known.compare_with(ListMarks::new()), Vec::<String>::new());
    assert_eq!(news(&known), ["192.0.2.1"], "all of a list that nobody knew");
    let is_found = || {
        let event = normalized(&known, r#"{"source.ip":"192.0.2.2"}"#);
        !field(&event, "threat.indicator.name").is_empty()
    };
    assert!(!is_found());
    fs::write(&path, "192.0.2.1\n192.0.2.2\n").expect("written");
    known.refresh();
    assert!(is_found());
    assert_eq!(news(&known), ["192.0.2.2"]);
    // A file that went away leaves what was read.
    fs::remove_file(&path).expect("removed");
    known.refresh();
    assert!(is_found() && !known.reports()[0].problem.is_empty());
}

#[test]
fn what_is_no_file_of_addresses_is_refused_and_nothing_is_added() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("a.mmdb"), b"nothing of the kind").expect("written");
    let known = opened(dir.path(), &["a.mmdb", "b.mmdb"], Vec::new());
    assert!(known.reports().iter().all(|report| !report.problem.is_empty()));
    let event = normalized(&known, r#"{"source.ip":"203.0.113.9"}"#);
    assert_eq!(field(&event, "source.geo.country_iso_code"), "");
    assert!(Enrichment::open(EnrichConfig::default()).is_none());
}
