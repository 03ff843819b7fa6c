//! What Windows events say of how bad it is, of processes and of who acted, in the shapes of shippers.

use serde_json::json;

use super::check;

#[test]
fn levels_are_read_on_the_scale_of_windows() {
    for (level, word, severity) in [
        (0, "LogAlways", "info"),
        (1, "Critical", "critical"),
        (2, "Error", "error"),
        (3, "Warning", "warning"),
        (4, "Information", "info"),
        (5, "Verbose", "debug"),
    ] {
        let wanted = format!("severity={severity}");
        for record in [
            json!({"Event": {"System": {"Channel": "System", "EventID": 7, "Level": level}}}),
            json!({"Event": {"System": {"Channel": "System", "EventID": {"#text": 7}, "Level": level.to_string()}}}),
            json!({"System": {"Channel": "System", "EventID": 7, "Level": level}}),
            json!({"winlog": {"channel": "System", "event_id": "7", "level": level}}),
            json!({"winlog": {"channel": "System", "event_id": "7"}, "log": {"level": level}}),
            json!({"winlog": {"channel": "System", "event_id": "7"}, "log": {"level": word.to_lowercase()}}),
            json!({"Channel": "System", "EventID": 7, "Level": level}),
            json!({"Channel": "System", "EventID": 7, "Level": level.to_string()}),
            json!({"Channel": "System", "EventId": 7, "EventRecordId": "1", "Level": word}),
            json!({"channel": "System", "event_id": 7, "level": level}),
            json!({"log_name": "System", "event_id": 7, "level": word}),
        ] {
            check(&record.to_string(), &wanted);
        }
    }
    for (value, word, severity) in [
        (1, "DEBUG", "debug"),
        (2, "INFO", "info"),
        (3, "WARNING", "warning"),
        (4, "ERROR", "error"),
        (5, "CRITICAL", "critical"),
    ] {
        let record = json!({"Channel": "System", "EventID": 7, "SeverityValue": value});
        check(&record.to_string(), &format!("severity={severity}"));
        let record =
            json!({"Channel": "System", "EventID": 7, "SeverityValue": value, "Severity": word});
        check(&record.to_string(), &format!("severity={severity}\nlog.level={word} (Severity)"));
    }
    check(r#"{"message":"m","level":2}"#, "severity=critical");
}

#[test]
fn a_new_process_has_its_own_number_and_that_of_its_parent() {
    let data = json!({
        "SubjectUserSid": "S-1-5-21-1-2-3-1001", "SubjectUserName": "alice", "SubjectDomainName": "CORP",
        "NewProcessId": "0x1a4", "NewProcessName": "C:\\Windows\\System32\\whoami.exe", "ProcessId": "0x2f8",
        "ParentProcessName": "C:\\Windows\\System32\\cmd.exe",
        "TargetUserSid": "S-1-0-0", "TargetUserName": "-", "TargetDomainName": "-",
    });
    let wanted = "process.pid=420
         process.parent.pid=760
         process.name=whoami.exe
         process.parent.name=cmd.exe
         user.id=S-1-5-21-1-2-3-1001
         dataset=windows.security
         class=windows//security;windows/process_creation/";
    for record in [
        json!({"Event": {"System": {"Channel": "Security", "EventID": 4688, "Execution": {"#attributes": {"ProcessID": 4}}}, "EventData": data}}),
        json!({"winlog": {"channel": "Security", "event_id": 4688, "process": {"pid": 4}, "event_data": data}}),
        json!({"log_name": "Security", "event_id": 4688, "event_data": data}),
    ] {
        check(&record.to_string(), wanted);
    }
    let mut flat = data.clone();
    flat["Channel"] = "Security".into();
    flat["EventID"] = 4688.into();
    check(&flat.to_string(), wanted);
    flat["ProcessId"] = 760.into();
    flat["NewProcessId"] = 420.into();
    check(&flat.to_string(), wanted);
}

#[test]
fn other_events_number_their_process_in_hexadecimal_too() {
    check(
        r#"{"winlog":{"channel":"Security","event_id":4625,"event_data":{"TargetUserSid":"S-1-0-0","TargetUserName":"bob","SubjectUserSid":"S-1-5-18","SubjectUserName":"DC-1$","ProcessId":"0x1a4","ProcessName":"C:\\Windows\\System32\\svchost.exe"}}}"#,
        "process.pid=420\nuser.name=bob (winlog.event_data.TargetUserName)\nuser.id=-",
    );
    check(
        r#"{"Event":{"System":{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1},"EventData":{"ProcessId":4711,"ParentProcessId":"815","Image":"C:\\a\\curl.exe","ParentImage":"C:\\a\\cmd.exe"}}}"#,
        "process.pid=4711 (Event.EventData.ProcessId)
         process.parent.pid=815 (Event.EventData.ParentProcessId)
         process.name=curl.exe
         process.parent.name=cmd.exe
         dataset=windows.sysmon",
    );
}

#[test]
fn old_shippers_and_tools_have_shapes_of_their_own() {
    check(
        r#"{"@timestamp":"2026-01-02T03:04:05.678Z","beat":{"hostname":"pc-1"},"computer_name":"pc-1.corp.example","event_data":{"TargetUserName":"bob","IpAddress":"203.0.113.9","LogonType":"3"},"event_id":4625,"level":"Information","log_name":"Security","message":"An account failed to log on.","source_name":"Microsoft-Windows-Security-Auditing","type":"wineventlog"}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=info
         event.code=4625 (event_id)
         event.outcome=failure
         event.provider=Microsoft-Windows-Security-Auditing (source_name)
         host.name=pc-1.corp.example (computer_name)
         user.name=bob (event_data.TargetUserName)
         source.ip=203.0.113.9 (event_data.IpAddress)
         LogonType=3
         dataset=windows.security
         class=windows//security;/authentication/;windows/authentication/",
    );
    check(
        r##"{"ChunkNumber":0,"Computer":"pc-1","Payload":"{\"EventData\":{\"Data\":[{\"@Name\":\"TargetUserName\",\"#text\":\"bob\"},{\"@Name\":\"IpAddress\",\"#text\":\"203.0.113.9\"}]}}","Channel":"Security","Provider":"Microsoft-Windows-Security-Auditing","EventId":4624,"EventRecordId":"12","Level":"LogAlways","TimeCreated":"2026-01-02T03:04:05.6789012+00:00"}"##,
        "at=2026-01-02T03:04:05.678901200Z
         severity=info
         event.outcome=success
         event.provider=Microsoft-Windows-Security-Auditing (Provider)
         host.name=pc-1 (Computer)
         user.name=bob (TargetUserName)
         source.ip=203.0.113.9 (IpAddress)
         class=windows//security;/authentication/;windows/authentication/",
    );
    check(
        r##"{"Payload":"{\"EventData\":{\"Data\":{\"@Name\":\"param1\",\"#text\":\"x\"}}}","Channel":"System","EventId":7,"EventRecordId":"12"}"##,
        "param1=x\ndataset=windows.system",
    );
    check(
        r#"{"winlog":{"channel":"System","event_id":"7"},"host":{"name":["pc-1","pc-1.corp.example"]}}"#,
        "host.name=pc-1 pc-1.corp.example",
    );
}
