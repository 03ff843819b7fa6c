//! Every field that SigmaHQ's rules for Windows name, in the shapes that shippers give events: rules and
//! events made here, one of each, through the command line.
//!
//! `windows_fields.txt` has a line for each logsource: category or, after a slash, service; channel,
//! number and type of an event; the fields of its rules.

use std::collections::HashSet;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::node::Place;

const FIELDS: &str = include_str!("windows_fields.txt");

/// An event of a logsource.
struct Kind<'f> {
    logsource: Value,
    channel: &'f str,
    number: u32,
    event_type: &'f str,
    fields: Vec<&'f str>,
}

fn kinds() -> Vec<Kind<'static>> {
    FIELDS
        .lines()
        .map(|line| {
            let parts: Vec<_> = line.split(" | ").collect();
            let [logsource, channel, number, event_type, fields] = parts[..] else {
                panic!("five parts: {line}")
            };
            Kind {
                logsource: match logsource.strip_prefix('/') {
                    Some(service) => json!({"product": "windows", "service": service}),
                    None => json!({"product": "windows", "category": logsource}),
                },
                channel,
                number: number.parse().expect("a number"),
                event_type,
                fields: fields.split(' ').collect(),
            }
        })
        .collect()
}

fn system(channel: &str, number: impl Into<Value>) -> Value {
    json!({
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Any", "Guid": "5770385F"}},
        "EventID": number.into(), "Version": 5, "Level": 2, "Task": 1, "Opcode": 0,
        "Keywords": "0x8080000000000000", "EventRecordID": 77, "Correlation": null,
        "TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"}},
        "Execution": {"#attributes": {"ProcessID": 3308, "ThreadID": 4008}},
        "Channel": channel, "Computer": "pc-1.corp.example",
        "Security": {"#attributes": {"UserID": "S-1-5-18"}},
    })
}

/// The event in every shape.
fn shapes(kind: &Kind<'_>, field: &str, value: &str) -> Vec<(&'static str, Value)> {
    let Kind { channel, number, event_type, .. } = kind;
    let mut data = vec![(field, value)];
    if *event_type != "-" && field != "EventType" {
        data.push(("EventType", *event_type));
    }
    let system = system(channel, *number);
    let items = |item: &dyn Fn(&str, &str) -> Value| -> Value {
        data.iter().map(|(name, value)| item(name, value)).collect()
    };
    let listed = |items: Value| json!({"Event": {"System": system, "EventData": {"Data": items}}});
    let mut map = json!({});
    let mut flat = json!({"Channel": channel, "EventID": number, "Hostname": "pc-1"});
    for (name, value) in &data {
        map[*name] = (*value).into();
        flat[*name] = (*value).into();
    }
    let mut shapes = vec![
        ("nested", json!({"Event": {"System": system, "EventData": map}})),
        ("without a root", json!({"System": system, "EventData": map})),
        (
            "in an element of UserData",
            json!({"Event": {"System": system, "UserData": {"One": map}}}),
        ),
        (
            "winlogbeat",
            json!({"winlog": {"channel": channel, "event_id": number.to_string(),
            "event_data": map, "computer_name": "pc-1"}}),
        ),
        ("NXLog", flat),
        ("listed", listed(items(&|name, value| json!({"@Name": name, "#text": value})))),
        (
            "listed, from EVTX",
            listed(items(&|name, value| json!({"#attributes": {"Name": name}, "#text": value}))),
        ),
    ];
    if let [(name, value)] = data[..] {
        shapes.push(("one", listed(json!({"#attributes": {"Name": name}, "#text": value}))));
    }
    shapes
}

/// A rule, an event, and what they try.
#[derive(Default)]
struct Trials(Vec<(String, String, Value)>);

impl Trials {
    fn add(&mut self, name: String, logsource: &Value, selection: &Value, event: Value) {
        let number = self.0.len();
        let rule = format!(
            "title: r{number}\nid: r{number}\nlogsource: {logsource}\n\
             detection: {{ s: {selection}, condition: s }}\n"
        );
        self.0.push((name, rule, event));
    }

    /// What was tried whose rule does not find its event.
    fn fail(&self) -> Vec<&str> {
        let place = Place::new("");
        let rules: Vec<_> = self.0.iter().map(|(_, rule, _)| rule.as_str()).collect();
        let events: String = self.0.iter().map(|(.., event)| format!("{event}\n")).collect();
        fs::write(place.file("rules.yml"), rules.join("---\n")).expect("rules");
        fs::write(place.file("events.json"), events).expect("events");
        let mut command: Command =
            place.command(&["rules", "test", "--rules", "rules.yml", "--events", "events.json"]);
        let output = command.stdin(Stdio::null()).output().expect("the binary starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let said = String::from_utf8(output.stdout).expect("text");
        let found: HashSet<_> = said
            .lines()
            .filter_map(|line| {
                let found: Value = serde_json::from_str(line).ok()?;
                let rule: u64 = found["rule_id"].as_str()?.strip_prefix('r')?.parse().ok()?;
                (found["event_index"] == rule).then_some(rule)
            })
            .collect();
        let trials = (0u64..).zip(&self.0);
        trials
            .filter(|(number, _)| !found.contains(number))
            .map(|(_, one)| one.0.as_str())
            .collect()
    }
}

#[test]
fn every_field_of_the_rules_is_found_in_every_shape() {
    let mut trials = Trials::default();
    for kind in kinds() {
        for field in &kind.fields {
            let value = format!("value{}", trials.0.len());
            for (shape, event) in shapes(&kind, field, &value) {
                let name = format!("{field} of {}, {shape}", kind.logsource);
                trials.add(name, &kind.logsource, &json!({*field: value}), event);
            }
        }
    }
    let failed = trials.fail();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), trials.0.len(), failed.join("\n"));
    assert!(trials.0.len() >= 2_000, "{} trials", trials.0.len());
}

/// Logsource, channel, number, what a rule asks for, and what the event says.
const VALUES: &str = r##"
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"Initiated": "true"} | {"Initiated": true}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"Initiated": true} | {"Initiated": "true"}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationPort": 443} | {"DestinationPort": "443"}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationPort": "443"} | {"DestinationPort": 443}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationIp|cidr": "10.0.0.0/8"} | {"DestinationIp": "10.1.2.3"}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"SourceIp": "-"} | {"SourceIp": "-"}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationHostname": null} | {"DestinationHostname": null}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationHostname": null} | {"A": "b"}
network_connection | Microsoft-Windows-Sysmon/Operational | 3 | {"DestinationHostname": ""} | {"DestinationHostname": ""}
image_load | Microsoft-Windows-Sysmon/Operational | 7 | {"Hashes|contains": "IMPHASH=AB"} | {"Hashes": "MD5=1,SHA256=2,IMPHASH=AB"}
image_load | Microsoft-Windows-Sysmon/Operational | 7 | {"Signed": "false"} | {"Signed": false}
/security | Security | 4624 | {"LogonType": 3} | {"LogonType": "3"}
/security | Security | 4624 | {"KeyLength": 0} | {"KeyLength": 0}
/security | Security | 4663 | {"TargetUserName": "bob", "SubjectUserName|endswith": "$"} | {"TargetUserName": "bob", "SubjectUserName": "PC$"}
process_creation | Security | 4688 | {"Image|endswith": "\\a.exe", "ParentImage|endswith": "\\b.exe"} | {"NewProcessName": "C:\\a.exe", "ParentProcessName": "C:\\b.exe"}
ps_classic_start | Windows PowerShell | 400 | {"Data|contains": "HostName=x"} | {"Data": ["Available", "\tHostName=x"]}
ps_classic_start | Windows PowerShell | 400 | {"Data|contains": "HostName=x"} | {"Data": {"#text": ["Available", "\tHostName=x"]}}
ps_classic_start | Windows PowerShell | 400 | {"Data|contains": "HostName=x"} | {"Data": {"#text": "\tHostName=x"}}
ps_classic_start | Windows PowerShell | 400 | {"Data|contains": "HostName=x"} | {"Data": "\tHostName=x"}
/windefend | Microsoft-Windows-Windows Defender/Operational | 3002 | {"Feature_Name": "%%886"} | {"Feature Name": "%%886"}
/windefend | Microsoft-Windows-Windows Defender/Operational | 1116 | {"ThreatName|contains": "x"} | {"Threat Name": "xy"}
"##;

#[test]
fn what_the_system_says_and_every_form_of_a_value_is_found() {
    let mut trials = Trials::default();
    let logsource = |name: &str| match name.strip_prefix('/') {
        Some(service) => json!({"product": "windows", "service": service}),
        None => json!({"product": "windows", "category": name}),
    };
    let mut attributes = system("System", 7045);
    attributes["Provider"] = json!({"@Name": "Microsoft-Windows-Any"});
    let mut bare = system("System", "7045");
    bare["Provider"] = json!({"Name": "Microsoft-Windows-Any"});
    let systems = [
        system("System", 7045),
        system("System", "7045"),
        system("System", json!({"#attributes": {"Qualifiers": 16_384}, "#text": 7045})),
        system("System", json!({"@Qualifiers": 16_384, "#text": "7045"})),
        attributes,
        bare,
    ];
    for system in systems {
        for selection in [
            json!({"EventID": 7045}),
            json!({"Provider_Name": "Microsoft-Windows-Any"}),
            json!({"Channel": "System"}),
            json!({"Computer|startswith": "PC-1."}),
            json!({"ComputerName|startswith": "pc-1."}),
            json!({"Level": 2}),
            json!({"Task": 1}),
            json!({"Opcode": 0}),
            json!({"Keywords|contains": "0x80800"}),
        ] {
            for event in [
                json!({"Event": {"System": system, "EventData": {"A": "b"}}}),
                json!({"System": system, "EventData": {"A": "b"}}),
            ] {
                trials.add(
                    format!("{selection} in {event}"),
                    &logsource("/system"),
                    &selection,
                    event,
                );
            }
        }
    }
    for line in VALUES.lines().filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.splitn(5, " | ").collect();
        let [name, channel, number, selection, data] = parts[..] else { panic!("five of {line}") };
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let (number, selection, data) = (json(number), json(selection), json(data));
        let event = json!({"Event": {"System": system(channel, number), "EventData": data}});
        trials.add(format!("{selection} in {data}"), &logsource(name), &selection, event);
    }
    let failed = trials.fail();
    assert!(failed.is_empty(), "{}:\n{}", failed.len(), failed.join("\n"));
}
