//! Windows events in the shapes that collectors and forensic tools give them.

use serde_json::json;

use super::check;

/// What a refused sign-in says in every shape, but for where.
const REFUSED: &str = "event.outcome=failure
     dataset=windows.security
     class=windows//security;/authentication/;windows/authentication/";

#[test]
fn channels_of_mitigations_have_the_names_that_windows_gives_them() {
    for (channel, service) in [
        ("Microsoft-Windows-Security-Mitigations/KernelMode", "security-mitigations"),
        ("Microsoft-Windows-Security-Mitigations/UserMode", "security-mitigations"),
        ("Microsoft-Windows-Security-Mitigations/User Mode", "security-mitigations"),
        ("Microsoft-Windows-VHDMP-Operational", "vhdmp"),
        ("Microsoft-Windows-VHDMP/Operational", "vhdmp"),
    ] {
        let record = json!({"Event": {"System": {"Channel": channel, "EventID": 11}}});
        check(&record.to_string(), &format!("class=windows//{service}"));
    }
}

#[test]
fn numbers_and_truth_values_in_a_list_of_data_are_values() {
    let event = |data: serde_json::Value| {
        let system = json!({"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 3});
        json!({"Event": {"System": system, "EventData": {"Data": data}}}).to_string()
    };
    check(
        &event(json!([
            {"@Name": "ProcessId", "#text": 4711},
            {"@Name": "Initiated", "#text": true},
            {"@Name": "SourceIsIpv6", "#text": false},
            {"@Name": "Offset", "#text": -1.5},
            {"@Name": "RuleName", "#text": null},
            {"@Name": "Extra", "#text": {"a": 1}},
            {"@Name": "DestinationPort", "#text": 8443},
        ])),
        "process.pid=4711 (Event.EventData.ProcessId)
         Event.EventData.Initiated=true
         Event.EventData.SourceIsIpv6=false
         Event.EventData.Offset=-1.5
         Event.EventData.RuleName=-
         Event.EventData.Extra=-
         destination.port=8443 (Event.EventData.DestinationPort)",
    );
    check(
        &event(json!([{"Name": "Initiated", "Value": true}])),
        "Event.EventData.Initiated=true\nclass=windows//sysmon;windows/network_connection/",
    );
}

#[test]
fn attributes_beside_their_elements_are_read() {
    let system = json!({
        "Provider_attributes": {"Name": "Service Control Manager", "Guid": "555908d1"},
        "EventID": 7045, "EventID_attributes": {"Qualifiers": 16384}, "Level": 4,
        "TimeCreated_attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"},
        "Channel": "System", "Computer": "pc-9",
    });
    let wanted = |prefix: &str| {
        format!(
            "at=2026-01-02T03:04:05.678901Z
             event.code=7045 ({prefix}EventID)
             event.provider=Service Control Manager ({prefix}Provider_attributes.Name)
             host.name=pc-9 ({prefix}Computer)
             class=windows//system"
        )
    };
    let event = json!({"Event": {"System": system, "EventData": {"ServiceName": "x"}}});
    check(&event.to_string(), &wanted("Event.System."));
    let event = json!({"System": system, "EventData": {"ServiceName": "x"}});
    check(&event.to_string(), &wanted("System."));
    // What is an attribute of an element of its own has no plain name.
    let event = json!({"Event": {"System": system,
        "UserData": {"Cleared_attributes": {"xmlns": "u"}, "Cleared": {"BackupPath": "C:\\b"}}}});
    check(&event.to_string(), "BackupPath=C:\\b\nxmlns=-");
}

#[test]
fn the_opentelemetry_collector_has_a_map_or_a_list() {
    let event = |data: serde_json::Value| {
        json!({
            "channel": "Security", "computer": "dc-9", "event_id": {"id": 4625, "qualifiers": 0},
            "provider": {"name": "Microsoft-Windows-Security-Auditing", "guid": "{1}", "event_source": ""},
            "system_time": "2026-01-02T03:04:05.6789012Z", "level": "Warning", "record_id": 7,
            "message": "An account failed to log on.", "event_data": data,
        })
        .to_string()
    };
    let wanted = |user: &str, address: &str| {
        format!(
            "at=2026-01-02T03:04:05.678901200Z
             severity=warning
             message=An account failed to log on.
             event.code=4625 (event_id.id)
             event.provider=Microsoft-Windows-Security-Auditing (provider.name)
             host.name=dc-9 (computer)
             user.name=bob ({user})
             source.ip=203.0.113.9 ({address})
             LogonType=3
             {REFUSED}"
        )
    };
    check(
        &event(json!({"TargetUserName": "bob", "IpAddress": "203.0.113.9", "LogonType": "3"})),
        &wanted("event_data.TargetUserName", "event_data.IpAddress"),
    );
    let list = [("TargetUserName", "bob"), ("IpAddress", "203.0.113.9"), ("LogonType", "3")]
        .map(|(name, value)| json!({name: value}));
    check(&event(json!({"data": list})), &wanted("TargetUserName", "IpAddress"));
    check(&event(json!({"Old Value": "x"})), "OldValue=x");
    check(
        &event(json!({"data": [{"": "a"}, {"": "b"}, {"New Value": 7}, {"x": 1, "y": 2}, {}]})),
        "Data=a b\nNewValue=7\nx=-\nData.x=-\ndata.x=-",
    );
    let mut event: serde_json::Value = serde_json::from_str(&event(json!({}))).expect("JSON");
    event["channel"] = "System".into();
    event["event_id"]["id"] = 104.into();
    event["user_data"] = json!({"LogFileCleared": {"SubjectUserName": "eve"}});
    check(&event.to_string(), "user.name=eve (SubjectUserName)\nclass=windows//system");
}

#[test]
fn promtail_and_alloy_have_xml_in_a_text() {
    let event = |inner: serde_json::Value| {
        let mut event = json!({
            "source": "Microsoft-Windows-Security-Auditing", "channel": "Security", "computer": "dc-9",
            "event_id": 4625, "level": 4, "levelText": "Information", "eventRecordID": 7,
            "timeCreated": "2026-01-02T03:04:05.6789012Z", "message": "An account failed to log on.",
        });
        for (name, value) in inner.as_object().expect("an object") {
            event[name] = value.clone();
        }
        event.to_string()
    };
    for quote in ["'", "\""] {
        let data =
            "<Data Name='TargetUserName'>bob</Data><Data Name='IpAddress'>203.0.113.9</Data>\
            <Data Name='ProcessName'>C:\\a &amp; b&#x21;.exe</Data><Data Name='Empty'/>\
            <Data Name='LogonType'>3</Data>"
                .replace('\'', quote);
        check(
            &event(json!({"event_data": data})),
            &format!(
                "at=2026-01-02T03:04:05.678901200Z
                 severity=info
                 event.provider=Microsoft-Windows-Security-Auditing
                 host.name=dc-9 (computer)
                 user.name=bob (event_data.TargetUserName)
                 source.ip=203.0.113.9 (event_data.IpAddress)
                 process.name=C:\\a & b!.exe (ProcessName)
                 LogonType=3
                 Empty=
                 lw.truncated=-
                 {REFUSED}"
            ),
        );
    }
    check(
        &event(json!({"event_data": "<Data>a</Data><Data>b</Data><Binary>00FF</Binary>"})),
        "Data=a b\nBinary=00FF",
    );
    check(
        &event(
            json!({"channel": "System", "event_id": 104, "source": "Microsoft-Windows-Eventlog",
            "user_data": "<LogFileCleared xmlns='u'><SubjectUserName>eve</SubjectUserName></LogFileCleared>"}),
        ),
        "event.provider=Microsoft-Windows-Eventlog\nuser.name=eve (SubjectUserName)\nxmlns=-\nclass=windows//system",
    );
    check(
        &event(json!({"event_data": "<Data Name='a'>1</Data><Data Name='b'>2<Data Na"})),
        "a=1\nlw.truncated=true",
    );
    check(&event(json!({"event_data": "no XML"})), "event.provider=-\nevent_data=no XML");
}

#[test]
fn velociraptor_has_the_number_in_an_object() {
    let system = json!({
        "Provider": {"Name": "Microsoft-Windows-Security-Auditing"}, "EventID": {"Value": 4625},
        "Level": 0, "TimeCreated": {"SystemTime": 1_767_323_045.25}, "Channel": "Security", "Computer": "dc-9",
    });
    let data = json!({"TargetUserName": "bob", "IpAddress": "203.0.113.9", "LogonType": 3});
    for (event, prefix) in [
        (json!({"System": system, "EventData": data, "Message": "m"}), ""),
        (json!({"Event": {"System": system, "EventData": data}}), "Event."),
    ] {
        check(
            &event.to_string(),
            &format!(
                "at=2026-01-02T03:04:05.250Z
                 event.code=4625 ({prefix}System.EventID.Value)
                 host.name=dc-9 ({prefix}System.Computer)
                 user.name=bob ({prefix}EventData.TargetUserName)
                 {REFUSED}"
            ),
        );
    }
}
