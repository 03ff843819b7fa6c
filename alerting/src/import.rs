//! Rules of other products made into ours, with a report of what was converted and what was lost.
//!
//! Input: files of ElastAlert2 (YAML) or Wazuh (XML). Output: rule documents and one entry for each
//! rule that was read. What cannot be said here is named, never left out silently; a rule that would
//! mean something else without it is not converted at all. What is given out loads: each document is
//! checked the way rule files are.

mod elastalert;
mod landing;
mod wazuh;

use crate::rule::{RuleFile, RuleSet};

/// Bytes of one file; longer ones are not read.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// ElastAlert2: one rule in each YAML file.
    ElastAlert,
    /// Wazuh 4: many rules in each XML file.
    Wazuh,
}

/// What became of one foreign rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRule {
    /// The file it stands in.
    pub file: String,
    /// What it is called there.
    pub name: String,
    /// Ids of the rules made of it; none: it was not converted.
    pub made: Vec<String>,
    /// What of it is not in them, or why there are none.
    pub lost: Vec<String>,
}

/// Rules made of foreign ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// One YAML file with all of them.
    pub text: String,
    /// One entry for each rule that was read.
    pub rules: Vec<ImportedRule>,
}

/// One foreign rule as its reader leaves it.
struct Draft {
    report: ImportedRule,
    /// Documents with their ids; those that others share stand first.
    documents: Vec<(String, String)>,
}

/// Makes rules of foreign files.
pub fn import_rules(foreign: Foreign, files: &[RuleFile]) -> Imported {
    let mut drafts = Vec::new();
    for file in files.iter().filter(|file| file.text.len() > FILE_BYTES_MAX) {
        let lost = format!("the file has more than {FILE_BYTES_MAX} bytes");
        drafts.push(Draft::refused(&file.name, &file.name, lost));
    }
    let files: Vec<&RuleFile> =
        files.iter().filter(|file| file.text.len() <= FILE_BYTES_MAX).collect();
    drafts.extend(match foreign {
        Foreign::ElastAlert => elastalert::read(&files),
        Foreign::Wazuh => wazuh::read(&files),
    });
    finish(drafts)
}

impl Draft {
    fn refused(file: &str, name: &str, reason: String) -> Self {
        let report = ImportedRule {
            file: file.to_owned(),
            name: name.to_owned(),
            made: Vec::new(),
            lost: vec![reason],
        };
        Self { report, documents: Vec::new() }
    }
}

/// Puts the documents together; what would not load is taken out again and says why.
fn finish(drafts: Vec<Draft>) -> Imported {
    let mut imported = Imported::default();
    let mut given: Vec<(String, String)> = Vec::new();
    for Draft { mut report, documents } in drafts {
        let text = documents.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>();
        let file = RuleFile { name: report.file.clone(), text: text.join("---\n") };
        let (_, problems) = RuleSet::load(&[file]);
        let is_taken = |id: &str| given.iter().any(|(known, _)| known == id);
        let own = documents.last().map(|(id, _)| id.clone());
        if let Some(problem) = problems.first() {
            report.lost.insert(0, format!("not converted: {}", problem.message));
        } else if let Some(id) = own.filter(|id| is_taken(id)) {
            report.lost.insert(0, format!("not converted: there is a rule `{id}` already"));
        } else {
            report.made = documents.iter().map(|(id, _)| id.clone()).collect();
            given.extend(documents.into_iter().filter(|(id, _)| !is_taken(id)).collect::<Vec<_>>());
        }
        imported.rules.push(report);
    }
    imported.text = given.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("---\n");
    imported
}

/// A text as YAML and JSON write it in quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Texts as a list on one line.
fn listed(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A span in seconds as rules write it.
fn span(secs: u64) -> String {
    match secs {
        secs if secs > 0 && secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
        secs if secs > 0 && secs.is_multiple_of(3_600) => format!("{}h", secs / 3_600),
        secs if secs > 0 && secs.is_multiple_of(60) => format!("{}m", secs / 60),
        secs => format!("{secs}s"),
    }
}

/// An id out of a name.
fn id_of(name: &str) -> String {
    let id: String = logwarden_event::words(name).collect::<Vec<_>>().join("-");
    if id.is_empty() { String::from("rule") } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::event_of_json;

    fn imported(foreign: Foreign, text: &str) -> Imported {
        let file = RuleFile { name: "theirs".into(), text: text.to_owned() };
        import_rules(foreign, &[file])
    }

    /// How often each rule fires on these records, a second apart.
    fn fired(imported: &Imported, records: &[&str]) -> Vec<String> {
        let file = RuleFile { name: "ours".into(), text: imported.text.clone() };
        let (rules, problems) = RuleSet::load(&[file]);
        assert_eq!(problems, [], "{}", imported.text);
        let stamped = |(record, at): (&&str, u64)| {
            let time = format!("{{\"time\":{},\"seq\":{},", 1_767_225_600 + at, at + 1);
            event_of_json(record.replacen('{', &time, 1).as_bytes())
        };
        let events: Vec<_> = records.iter().zip(0u64..).map(stamped).collect();
        let found = crate::test_rules(&rules, &events, std::time::Duration::ZERO);
        found.into_iter().map(|one| format!("{} {}", one.rule_id, one.event_index)).collect()
    }

    const FREQUENCY: &str = r#"
name: Many failed logins
type: frequency
index: auth-*
num_events: 3
timeframe: {minutes: 5}
filter:
- query: {query_string: {query: "event.outcome:failure AND NOT user.name:(svc OR bot)"}}
- term: {event.category.keyword: authentication}
query_key: [source.ip]
realert: {hours: 1}
alert: [email]
email: [a@example.org]
"#;

    #[test]
    fn a_frequency_rule_fires_at_the_same_event() {
        let imported = imported(Foreign::ElastAlert, FREQUENCY);
        let record = r#"{"event.outcome":"failure","event.category":"authentication","source.ip":"10.0.0.9","user.name":"eve"}"#;
        let other = record.replace("eve", "svc");
        let records = [record, &other, record, &other, record, record];
        assert_eq!(fired(&imported, &records), ["many-failed-logins 4"]);
        let rule = &imported.rules[0];
        assert!(rule.lost.iter().any(|lost| lost.contains("`alert`")), "{rule:?}");
        assert!(rule.lost.iter().any(|lost| lost.contains("`index`")), "{rule:?}");
        assert!(imported.text.contains("suppress: 1h"), "{}", imported.text);
    }

    #[test]
    fn every_kind_that_has_one_of_ours_becomes_it() {
        let kinds = [
            ("any", "", "type: threshold"),
            ("cardinality", "cardinality_field: user.name\nmax_cardinality: 5", "count: 6"),
            ("spike", "spike_height: 3\nspike_type: up\nthreshold_cur: 10", "factor: 3"),
            ("flatline", "threshold: 2", "below: 2"),
            ("new_term", "fields: [user.name]", "type: new_term"),
            ("change", "compare_key: country", "type: change"),
            ("blacklist", "compare_key: user.name\nblacklist: [eve]", "user.name:(\\\"eve\\\")"),
            ("whitelist", "compare_key: user.name\nignore_null: true\nwhitelist: [eve]", "NOT"),
            (
                "percentage_match",
                "match_bucket_filter: [{term: {level: error}}]\nmax_percentage: 30",
                "above: 0.3",
            ),
        ];
        for (kind, keys, expected) in kinds {
            let text = format!(
                "name: n {kind}\ntype: {kind}\ntimeframe: {{minutes: 10}}\nbuffer_time: {{minutes: 5}}\n\
                 query_key: host.name\nfilter: [{{term: {{a: b}}}}]\n{keys}\n"
            );
            let imported = imported(Foreign::ElastAlert, &text);
            assert_eq!(imported.rules[0].made.len(), 1, "{:?}", imported.rules);
            assert!(imported.text.contains(expected), "{kind}: {}", imported.text);
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_converted() {
        let kinds = [
            ("type: metric_aggregation", "metric_aggregation"),
            ("type: cardinality\ncardinality_field: a\nmin_cardinality: 2", "min_cardinality"),
            ("type: frequency\nnum_events: 2", "timeframe"),
            ("type: any\nfilter: [{script: {source: x}}]", "script"),
            ("type: any\nfilter: [{query: {query_string: {query: 'a:('}}}]", "filter"),
            ("x: [", ""),
        ];
        for (text, reason) in kinds {
            let imported = imported(Foreign::ElastAlert, &format!("name: n\n{text}\n"));
            let rule = &imported.rules[0];
            assert!(rule.made.is_empty() && imported.text.is_empty(), "{imported:?}");
            assert!(rule.lost[0].contains(reason), "{rule:?}");
        }
    }

    const WAZUH: &str = r#"
<var name="TRIES">Failed password|authentication failure</var>
<!-- a comment -->
<group name="syslog,sshd,">
  <rule id="5710" level="5">
    <match>illegal user|invalid user</match>
    <description>sshd: attempt of a user that is not there</description>
  </rule>
  <rule id="5716" level="5"><match>$TRIES</match><group>failures,</group></rule>
  <rule id="5712" level="10" frequency="3" timeframe="120" ignore="60">
    <if_matched_sid>5710</if_matched_sid>
    <same_source_ip />
    <description>sshd: brute force &amp; more</description>
    <mitre><id>T1110</id></mitre>
    <options>no_full_log</options>
  </rule>
  <rule id="5720" level="12" frequency="2" timeframe="60">
    <if_matched_group>failures</if_matched_group>
    <different_user />
  </rule>
  <rule id="5799" level="10" frequency="3"><if_matched_sid>1</if_matched_sid></rule>
  <rule id="5800" level="3"><regex type="osregex">^Accepted \S+ for \.+</regex></rule>
</group>
"#;

    #[test]
    fn a_rule_of_wazuh_that_counts_becomes_a_correlation_over_what_it_counts() {
        let imported = imported(Foreign::Wazuh, WAZUH);
        let record = r#"{"message":"Invalid user eve","source.ip":"10.0.0.9"}"#;
        assert_eq!(fired(&imported, &[record; 4]), ["wazuh-5712 2"]);
        let failure =
            |user: &str| format!(r#"{{"message":"Failed password","user.name":"{user}"}}"#);
        let (one, other) = (failure("a"), failure("b"));
        assert_eq!(fired(&imported, &[&one, &one, &other]), ["wazuh-5720 2"]);
        let of = |name: &str| {
            imported.rules.iter().find(|rule| rule.name == name).expect("it is reported")
        };
        assert_eq!(of("5712").made, ["wazuh-5710", "wazuh-5712"]);
        assert!(of("5712").lost.iter().any(|lost| lost.contains("options")), "{:?}", of("5712"));
        assert!(of("5799").made.is_empty() && of("5799").lost[0].contains("`1`"));
        assert!(of("5800").made.is_empty() && of("5800").lost[0].contains("counts nothing"));
        assert!(imported.text.contains("attack.t1110"), "{}", imported.text);
        assert!(imported.text.contains("suppress: 1m"), "{}", imported.text);
    }
}
