//! Who acted and who was acted upon in Windows events, and how sign-ins at a domain controller ended.

use serde_json::{Value, json};

use super::check;

/// An event of a channel as EVTX tools, Winlogbeat and NXLog write it.
fn shapes(channel: &str, id: i64, data: &Value) -> [String; 3] {
    let mut flat = data.clone();
    flat["Channel"] = channel.into();
    flat["EventID"] = id.into();
    [
        json!({"Event": {"System": {"Channel": channel, "EventID": id}, "EventData": data}}),
        json!({"winlog": {"channel": channel, "event_id": id, "event_data": data}}),
        flat,
    ]
    .map(|record| record.to_string())
}

#[test]
fn of_a_changed_account_the_user_is_who_changed_it() {
    let data = json!({
        "TargetUserName": "eve", "TargetDomainName": "CORP", "TargetSid": "S-1-5-21-9",
        "SubjectUserSid": "S-1-5-21-7", "SubjectUserName": "alice", "SubjectDomainName": "ADM",
    });
    let prefixes = ["Event.EventData.", "winlog.event_data.", ""];
    for (record, prefix) in shapes("Security", 4720, &data).iter().zip(prefixes) {
        check(
            record,
            &format!(
                "user.name=alice ({prefix}SubjectUserName)
                 user.domain=ADM ({prefix}SubjectDomainName)
                 user.id=S-1-5-21-7
                 user.target.name=eve ({prefix}TargetUserName)
                 event.category=iam
                 event.action=user_added"
            ),
        );
    }
    for (id, action) in [(4726, "user_deleted"), (4740, "user_locked"), (4724, "password_reset")] {
        for record in shapes("Security", id, &data) {
            check(
                &record,
                &format!(
                    "user.name={}\nuser.target.name={}\nevent.action={action}",
                    aliased(&record, "Subject", "alice"),
                    aliased(&record, "Target", "eve")
                ),
            );
        }
    }
}

/// The value with the sender's name behind it, as `check` shows them.
fn aliased(record: &str, who: &str, name: &str) -> String {
    let prefix = match record {
        record if record.contains("\"Event\"") => "Event.EventData.",
        record if record.contains("\"winlog\"") => "winlog.event_data.",
        _ => "",
    };
    format!("{name} ({prefix}{who}UserName)")
}

#[test]
fn a_group_is_no_user_and_its_member_is() {
    let data = json!({
        "MemberName": "CN=eve,CN=Users,DC=corp", "MemberSid": "S-1-5-21-9", "TargetUserName": "Domain Admins",
        "TargetDomainName": "CORP", "SubjectUserName": "alice", "SubjectDomainName": "CORP",
    });
    for record in shapes("Security", 4728, &data) {
        let wanted = format!(
            "user.name={}\ngroup.name={}\nuser.target.name=eve\nevent.category=iam\nevent.action=group_member_added",
            aliased(&record, "Subject", "alice"),
            aliased(&record, "Target", "Domain Admins"),
        );
        check(&record, &wanted);
    }
}

#[test]
fn other_credentials_are_those_of_the_effective_user() {
    let data = json!({
        "SubjectUserName": "alice", "SubjectDomainName": "CORP", "TargetUserName": "root", "TargetDomainName": "CORP",
    });
    for record in shapes("Security", 4648, &data) {
        let wanted = format!(
            "user.name={}\nuser.effective.name={}\nevent.outcome=-",
            aliased(&record, "Subject", "alice"),
            aliased(&record, "Target", "root"),
        );
        check(&record, &wanted);
    }
    // Who signed in is who the event is about.
    let record = &shapes("Security", 4624, &data)[0];
    check(record, "user.name=root (Event.EventData.TargetUserName)\nuser.effective.name=-");
}

#[test]
fn a_domain_controller_says_how_a_sign_in_ended() {
    for (id, status, outcome) in [
        (4768, json!("0x18"), "failure"),
        (4768, json!("0x0"), "success"),
        (4771, json!("0x18"), "failure"),
        (4776, json!("0xc000006a"), "failure"),
        (4776, json!("0x0"), "success"),
        (4776, json!(0), "success"),
    ] {
        let data =
            json!({"TargetUserName": "alice", "Status": status, "IpAddress": "::ffff:192.0.2.9"});
        for record in shapes("Security", id, &data) {
            check(
                &record,
                &format!(
                    "event.category=authentication\nevent.outcome={outcome}\nclass=windows//security;/authentication/;windows/authentication/"
                ),
            );
        }
    }
    check(&shapes("Security", 4769, &json!({"Status": "0x0"}))[0], "event.category=-");
}

#[test]
fn what_ecs_has_a_word_for_is_called_so() {
    let sysmon = "Microsoft-Windows-Sysmon/Operational";
    for (channel, id, category, kind) in [
        (sysmon, 1, "process", "start"),
        (sysmon, 3, "network", "connection"),
        (sysmon, 5, "process", "end"),
        (sysmon, 7, "library", "start"),
        (sysmon, 10, "process", "access"),
        (sysmon, 11, "file", "creation"),
        (sysmon, 13, "registry", "change"),
        (sysmon, 22, "network", "protocol"),
        (sysmon, 23, "file", "deletion"),
        ("Security", 4688, "process", "start"),
    ] {
        for record in shapes(channel, id, &json!({"Image": "C:\\a.exe"})) {
            check(&record, &format!("event.category={category}\nevent.type={kind}"));
        }
    }
    check(
        r#"{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1"},"event":{"category":["process"],"type":["info"]}}"#,
        "event.category=process\nevent.type=info",
    );
}

#[test]
fn what_reaches_into_another_process_is_the_process() {
    let data = json!({
        "SourceImage": "C:\\a\\mimikatz.exe", "SourceProcessId": 42, "TargetImage": "C:\\lsass.exe", "TargetProcessId": 7,
    });
    for id in [8, 10] {
        let [evtx, beats, _] = shapes("Microsoft-Windows-Sysmon/Operational", id, &data);
        for (record, prefix) in [(evtx, "Event.EventData."), (beats, "winlog.event_data.")] {
            check(
                &record,
                &format!(
                    "process.executable=C:\\a\\mimikatz.exe ({prefix}SourceImage)\nprocess.name=mimikatz.exe\nprocess.pid=42 ({prefix}SourceProcessId)\n{prefix}TargetProcessId=7"
                ),
            );
        }
    }
}

#[test]
fn an_event_inside_syslog_is_one_of_windows() {
    for before in [
        "<14>Jan  2 03:04:05 DC1 ",
        "<14>1 2026-01-02T03:04:05Z DC1 Microsoft-Windows-Security-Auditing 700 - - ",
    ] {
        check(
            &format!(
                r#"{before}{{"EventID":4624,"Channel":"Security","Hostname":"DC1.corp.example","TargetUserName":"alice"}}"#
            ),
            "dataset=windows.security
             class=windows//security;/authentication/;windows/authentication/
             user.name=alice (TargetUserName)",
        );
    }
}

#[test]
fn every_audit_says_how_it_ended() {
    for (keywords, outcome) in [
        (json!("0x8010000000000000"), "failure"),
        (json!("0x8020000000000000"), "success"),
        (json!(-9_218_868_437_227_405_312_i64), "failure"),
        (json!(-9_214_364_837_600_034_816_i64), "success"),
        (json!(["Audit Failure"]), "failure"),
        (json!("0x8000000000000000"), "-"),
    ] {
        for record in [
            json!({"Event": {"System": {"Channel": "Security", "EventID": 4656, "Keywords": keywords}}}),
            json!({"Channel": "Security", "EventID": 4656, "Keywords": keywords}),
            json!({"winlog": {"channel": "Security", "event_id": "4656", "keywords": keywords}}),
        ] {
            check(&record.to_string(), &format!("event.outcome={outcome}\nevent.category=-"));
        }
    }
    // What the event itself says counts more.
    let record = json!({"Channel": "Security", "EventID": 4776, "Status": "0xc000006a", "Keywords": "0x8020000000000000"});
    check(&record.to_string(), "event.outcome=failure");
}
