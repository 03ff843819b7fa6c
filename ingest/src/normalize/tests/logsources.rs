//! Which logsources records belong to.

use super::check;

fn class(record: &str, expected: &str) {
    check(record, &format!("class={expected}"));
}

#[test]
fn windows_events_by_channel_and_number() {
    for record in [
        r#"{"Event":{"System":{"EventID":13,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"pc"},"EventData":{"EventType":"SetValue","TargetObject":"HKLM"}}}"#,
        r#"{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"13","event_data":{"TargetObject":"HKLM"}}}"#,
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":13,"TargetObject":"HKLM"}"#,
        r#"{"EventID":13,"TargetObject":"HKLM"}"#,
    ] {
        class(record, "windows//sysmon;windows/registry_event/;windows/registry_set/");
    }
    class(
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":12,"EventType":"CreateKey"}"#,
        "windows//sysmon;windows/registry_event/;windows/registry_add/",
    );
    class(
        r#"{"Channel":"Security","EventID":4688}"#,
        "windows//security;windows/process_creation/",
    );
    class(r#"{"Channel":"Microsoft-Windows-Unheard/Of","EventID":1}"#, "windows//");
    class(r#"{"EventID":1,"message":"an application's own number"}"#, "");
    check(
        r##"{"Event":{"System":{"EventID":4625,"Channel":"Security","Computer":"pc","TimeCreated":{"#attributes":{"SystemTime":"2026-01-02T03:04:05.1Z"}}},"EventData":{"TargetUserName":"bob","IpAddress":"10.0.0.1","IpPort":"50123"}}}"##,
        "at=2026-01-02T03:04:05.100Z
         event.outcome=failure
         event.category=authentication
         user.name=bob (Event.EventData.TargetUserName)
         source.ip=10.0.0.1 (Event.EventData.IpAddress)
         host.name=pc (Event.System.Computer)
         class=windows//security;/authentication/;windows/authentication/",
    );
}

#[test]
fn clouds_clusters_and_sensors() {
    class(r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateUser"}"#, "aws//cloudtrail");
    class(
        r#"{"apiVersion":"audit.k8s.io/v1","verb":"create"}"#,
        "kubernetes//audit;kubernetes/application/audit",
    );
    class(r#"{"category":"AuditLogs","operationName":"Add member"}"#, "azure//auditlogs");
    class(r#"{"category":"books","operationName":"x"}"#, "");
    class(r#"{"type":"EXECVE","a0":"curl"}"#, "linux//auditd");
    class(r#"{"_path":"dns","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2"}"#, "zeek//dns");
    class(r#"{"path":"dns"}"#, "");
    class(
        r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"}}"#,
        "gcp//gcp.audit",
    );
}

#[test]
fn web_servers_and_processes() {
    class(r#"{"method":"GET","path":"/x","status":404}"#, "/webserver/");
    class(r#"{"cs-method":"GET","cs-uri-query":"a=b","sc-status":200}"#, "/webserver/");
    class(r#"{"Image":"/usr/bin/curl","CommandLine":"curl x"}"#, "linux/process_creation/");
    class(r#"{"Image":"C:\\a.exe","CommandLine":"a x"}"#, "windows/process_creation/");
    class(
        r#"{"process":{"executable":"/bin/sh","command_line":"sh"},"host":{"os":{"type":"macos"}}}"#,
        "macos/process_creation/",
    );
}
