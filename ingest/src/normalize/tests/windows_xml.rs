//! Windows events as the XML that Windows itself writes, wherever it comes.

use std::fmt::Write as _;

use serde_json::json;

use super::{check, event};

/// An event as `EvtRender` gives it, with `'` for quotes.
fn xml(id: &str, channel: &str, parts: &str) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Some-Provider' Guid='{{0a1b}}'/>{id}<Version>0</Version><Level>3</Level>\
         <TimeCreated SystemTime='2026-01-02T03:04:05.6789012Z'/><EventRecordID>77</EventRecordID>\
         <Correlation/><Execution ProcessID='640' ThreadID='7'/><Channel>{channel}</Channel>\
         <Computer>dc-9</Computer><Security/></System>{parts}</Event>"
    )
}

fn refused() -> String {
    xml(
        "<EventID>4625</EventID>",
        "Security",
        "<EventData><Data Name='TargetUserName'>bob</Data><Data Name='SubjectUserName'>-</Data>\
         <Data Name='IpAddress'>203.0.113.9</Data><Data Name='Why'>a &lt;b&gt; &amp;amp; c</Data>\
         <Data Name='LogonType'>3</Data></EventData>",
    )
}

const REFUSED: &str = "severity=warning
     event.code=4625 (Event.System.EventID)
     event.outcome=failure
     event.provider=Some-Provider (Event.System.Provider.#attributes.Name)
     user.name=bob (Event.EventData.TargetUserName)
     source.ip=203.0.113.9 (Event.EventData.IpAddress)
     Event.EventData.LogonType=3
     Event.EventData.Why=a <b> &amp; c
     Event.EventData.SubjectUserName=-
     Event.System.EventRecordID=77
     Event.System.Execution.#attributes.ProcessID=640
     dataset=windows.security
     lw.truncated=-
     class=windows//security;/authentication/;windows/authentication/";

#[test]
fn an_event_is_the_same_wherever_its_xml_comes() {
    let one = refused();
    let records = [
        one.clone(),
        one.replace('\'', "\""),
        format!("<?xml version='1.0'?>\n{one}\n"),
        one.replace("><", ">\n  <"),
        format!("<13>Jan  2 03:04:05 relay nxlog[8]: {one}"),
        format!("<13>1 2026-01-02T03:04:05Z relay Some-Provider 640 - - {one}"),
        json!({"message": one}).to_string(),
        json!({"@timestamp": "2026-01-02T03:04:09Z", "log": one, "host": {"name": "dc-9"}})
            .to_string(),
        json!({"System": one, "Message": "m", "StringInserts": ["bob"]}).to_string(),
    ];
    for record in records {
        check(&record, &format!("at=2026-01-02T03:04:05.678901200Z\n{REFUSED}"));
    }
    check(&one, &format!("host.name=dc-9 (Event.System.Computer)\nmessage={one}"));
}

#[test]
fn elements_of_all_kinds_have_the_names_of_evtx_files() {
    let rendered =
        "<RenderingInfo Culture='en-US'><Message>The log was cleared.</Message></RenderingInfo>";
    check(
        &xml(
            "<EventID Qualifiers='16384'>104</EventID>",
            "System",
            &format!(
                "<UserData><LogFileCleared xmlns='u'><SubjectUserName>eve</SubjectUserName><BackupPath/></LogFileCleared></UserData>{rendered}"
            ),
        ),
        "message=The log was cleared.
         event.code=104 (Event.System.EventID.#text)
         Event.System.EventID.#attributes.Qualifiers=16384
         Event.UserData.LogFileCleared.SubjectUserName=eve
         Event.UserData.LogFileCleared.BackupPath=
         user.name=eve (SubjectUserName)
         class=windows//system",
    );
    check(
        &xml(
            "<EventID>400</EventID>",
            "Windows PowerShell",
            "<EventData><Data>Available</Data><Data><![CDATA[a <b> &amp;]]>&#13;&#10;c</Data><Data Name='param1'>x</Data></EventData>",
        ),
        "Event.EventData.Data=Available a <b> &amp;\r⏎c
         param1=x
         class=windows//powershell-classic;windows/ps_classic_start/",
    );
    // The channel of nobody's rules, and none.
    check(&xml("<EventID>7</EventID>", "Shop/Admin", ""), "class=windows//");
    let without = xml("<EventID>7</EventID>", "X", "").replace("<Channel>X</Channel>", "");
    check(&format!("<13>Jan  2 03:04:05 relay x: {without}"), "class=windows//");
}

#[test]
fn what_an_event_says_first_counts() {
    let data = "<EventData><Data Name='Image'>C:\\a.exe</Data><Data Name='CommandLine'>a &lt;/Data&gt;&lt;Data Name='Image'&gt;b</Data>\
        <Data Name='Image'>C:\\b.exe</Data><!-- <Data Name='User'>x</Data> --></EventData>";
    check(
        &xml("<EventID>1</EventID>", "Microsoft-Windows-Sysmon/Operational", data),
        "process.executable=C:\\a.exe (Event.EventData.Image)
         process.command_line=a </Data><Data Name='Image'>b (Event.EventData.CommandLine)
         Event.EventData.User=-
         class=windows//sysmon;windows/process_creation/",
    );
}

#[test]
fn what_was_cut_is_read_to_its_end_and_flagged() {
    let whole = refused();
    let cut = &whole[..whole.find("9</Data>").expect("an address")];
    check(
        cut,
        "user.name=bob (Event.EventData.TargetUserName)
         Event.EventData.IpAddress=203.0.113.
         lw.truncated=true
         class=windows//security;/authentication/;windows/authentication/",
    );
    let mut many = String::from("<EventData>");
    for number in 0..400 {
        write!(many, "<Data Name='N{number}'>{number}</Data>").expect("a String takes everything");
    }
    check(
        &xml("<EventID>7</EventID>", "System", &many),
        "Event.EventData.N200=200\nEvent.EventData.N399=-\nlw.truncated=true",
    );
    let deep = format!("<UserData>{}x", "<a>".repeat(40));
    check(
        &xml("<EventID>7</EventID>", "System", &deep),
        "lw.truncated=true\nclass=windows//system",
    );
}

#[test]
fn other_xml_is_text() {
    for record in [
        "<Event>",
        "<Event><System><EventID>7</EventID></System></Event>",
        "<Event><System><Provider Name='x'/></System></Event>",
        "<Events><Event><System><Provider Name='x'/><EventID>7</EventID></System></Event></Events>",
        "<event><System><Provider Name='x'/><EventID>7</EventID></System></event>",
        "<Event <System",
        "<Event a='",
        "<Event ><",
        "<Event ></",
        "<Event ><System><Provider Name=x/><EventID>7</EventID></System></Event>",
        "<?xml",
    ] {
        assert_eq!(event(record).class().as_str(), "", "{record}");
        check(record, &format!("message={record}\nevent.code=-\nlw.truncated=-"));
    }
    // Winlogbeat brings the XML along.
    let record = json!({"winlog": {"channel": "System", "event_id": "8"}, "message": refused()});
    check(&record.to_string(), "event.code=8 (winlog.event_id)\nclass=windows//system");
}
