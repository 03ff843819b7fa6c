//! Windows event logs in the shapes that shippers give them.

use super::check;

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";

#[test]
fn a_process_is_the_same_in_every_shape() {
    let raw = serde_json::json!({"Event": {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"}},
            "EventID": 1, "Version": 5, "Level": 4, "Task": 1, "Opcode": 0,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"}},
            "EventRecordID": 77, "Correlation": null,
            "Execution": {"#attributes": {"ProcessID": 3308, "ThreadID": 4008}},
            "Channel": SYSMON, "Computer": "pc-1.corp.example",
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": {"UtcTime": "2026-01-02 03:04:05.670", "ProcessId": 4711,
            "Image": "C:\\Windows\\System32\\curl.exe", "CommandLine": "curl -k http://203.0.113.9/a",
            "CurrentDirectory": "C:\\", "User": "CORP\\alice",
            "ParentImage": "C:\\Windows\\System32\\cmd.exe", "ParentCommandLine": "cmd /c x"},
    }});
    let wanted = |prefix: &str| {
        format!(
            "at=2026-01-02T03:04:05.678901Z
             process.executable=C:\\Windows\\System32\\curl.exe ({prefix}Image)
             process.command_line=curl -k http://203.0.113.9/a ({prefix}CommandLine)
             process.parent.executable=C:\\Windows\\System32\\cmd.exe ({prefix}ParentImage)
             process.parent.command_line=cmd /c x ({prefix}ParentCommandLine)
             user.name=alice
             user.domain=CORP
             {prefix}User=CORP\\alice
             event.category=process
             event.type=start
             class=windows//sysmon;windows/process_creation/"
        )
    };
    check(
        &raw.to_string(),
        &format!(
            "{}\nhost.name=pc-1.corp.example (Event.System.Computer)\nevent.code=1 (Event.System.EventID)\nevent.provider=Microsoft-Windows-Sysmon (Event.System.Provider.#attributes.Name)\nprocess.pid=4711 (Event.EventData.ProcessId)",
            wanted("Event.EventData."),
        ),
    );
    let data = &raw["Event"]["EventData"];
    let beats = serde_json::json!({"@timestamp": "2026-01-02T03:04:05.678901Z", "agent": {"type": "winlogbeat"},
        "host": {"name": "pc-1"}, "message": "Process Create", "winlog": {"channel": SYSMON, "event_id": "1",
        "provider_name": "Microsoft-Windows-Sysmon", "computer_name": "pc-1.corp.example", "event_data": data}});
    check(
        &beats.to_string(),
        &format!(
            "{}\nmessage=Process Create\nevent.code=1 (winlog.event_id)",
            wanted("winlog.event_data.")
        ),
    );
    let mut flat = data.clone();
    for (name, value) in [
        ("EventTime", "2026-01-02T03:04:05.678901Z"),
        ("Channel", SYSMON),
        ("Hostname", "pc-1"),
        ("SourceName", "Microsoft-Windows-Sysmon"),
        ("EventType", "INFO"),
        ("Message", "Process Create"),
    ] {
        flat[name] = value.into();
    }
    flat["EventID"] = 1.into();
    check(
        &flat.to_string(),
        &format!("{}\nmessage=Process Create\nhost.name=pc-1 (Hostname)", wanted("")),
    );
    // From EVTX files, with the number under `#text` and attributes under `@`.
    let evtx = serde_json::json!({"Event": {"System": {"EventID": {"#text": "1", "#attributes": {"Qualifiers": ""}},
        "Channel": SYSMON, "TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"}}},
        "EventData": data}});
    check(&evtx.to_string(), &wanted("Event.EventData."));
    let bare = serde_json::json!({"System": {"EventID": 1, "Channel": SYSMON, "Computer": "pc-1",
        "TimeCreated": {"SystemTime": "2026-01-02T03:04:05.678901Z"}}, "EventData": data});
    check(&bare.to_string(), &wanted("EventData."));
}

#[test]
fn the_security_channel_says_who_signed_in_and_what_was_started() {
    check(
        r#"{"Channel":"Security","EventID":4688,"EventTime":"2026-01-02 03:04:05","Hostname":"pc-1","SubjectUserName":"alice","NewProcessName":"C:\\Windows\\System32\\whoami.exe","CommandLine":"whoami /all","ParentProcessName":"C:\\Windows\\System32\\cmd.exe"}"#,
        "process.executable=C:\\Windows\\System32\\whoami.exe (NewProcessName)
         process.parent.executable=C:\\Windows\\System32\\cmd.exe (ParentProcessName)
         user.name=alice (SubjectUserName)
         class=windows//security;windows/process_creation/",
    );
    check(
        r#"{"winlog":{"channel":"Security","event_id":4625,"event_data":{"TargetUserName":"bob","SubjectUserName":"-","IpAddress":"203.0.113.9","IpPort":"50123","LogonType":"3","Status":"0xc000006d"}},"host":{"name":"dc-1"}}"#,
        "event.outcome=failure
         user.name=bob (winlog.event_data.TargetUserName)
         source.ip=203.0.113.9 (winlog.event_data.IpAddress)
         source.port=50123 (winlog.event_data.IpPort)
         host.name=dc-1
         class=windows//security;/authentication/;windows/authentication/",
    );
    check(
        r#"{"LogName":"Security","EventCode":"4624","TargetUserName":"bob","IpAddress":"-"}"#,
        "event.outcome=success\nuser.name=bob (TargetUserName)\nsource.ip=-\nclass=windows//security;/authentication/;windows/authentication/",
    );
}

#[test]
fn what_sysmon_sees_besides_processes() {
    let sysmon = |id: u16, data: serde_json::Value, wanted: &str| {
        let record = serde_json::json!({"Event": {"System": {"EventID": id, "Channel": SYSMON}, "EventData": data}});
        check(&record.to_string(), wanted);
    };
    sysmon(
        3,
        serde_json::json!({"Protocol": "tcp", "SourceIp": "192.0.2.9", "SourcePort": 50123, "DestinationIp": "203.0.113.9", "DestinationPort": 443, "DestinationHostname": "c2.example", "Initiated": "true"}),
        "source.ip=192.0.2.9 (Event.EventData.SourceIp)
         source.port=50123 (Event.EventData.SourcePort)
         destination.ip=203.0.113.9 (Event.EventData.DestinationIp)
         destination.domain=c2.example (Event.EventData.DestinationHostname)
         network.transport=tcp (Event.EventData.Protocol)
         class=windows//sysmon;windows/network_connection/",
    );
    sysmon(
        7,
        serde_json::json!({"ImageLoaded": "C:\\a.dll"}),
        "dll.path=C:\\a.dll (Event.EventData.ImageLoaded)\nclass=windows//sysmon;windows/image_load/",
    );
    sysmon(
        11,
        serde_json::json!({"TargetFilename": "C:\\a.dmp"}),
        "file.path=C:\\a.dmp (Event.EventData.TargetFilename)\nclass=windows//sysmon;windows/file_event/",
    );
    sysmon(
        13,
        serde_json::json!({"EventType": "SetValue", "TargetObject": "HKLM\\A", "Details": "DWORD (0x00000001)"}),
        "registry.path=HKLM\\A (Event.EventData.TargetObject)
         registry.data.strings=DWORD (0x00000001) (Event.EventData.Details)
         class=windows//sysmon;windows/registry_event/;windows/registry_set/",
    );
    sysmon(
        12,
        serde_json::json!({"EventType": "DeleteKey", "TargetObject": "HKLM\\A"}),
        "class=windows//sysmon;windows/registry_event/;windows/registry_delete/",
    );
    sysmon(
        17,
        serde_json::json!({"EventType": "CreatePipe", "PipeName": "\\x"}),
        "class=windows//sysmon;windows/pipe_created/",
    );
    sysmon(
        22,
        serde_json::json!({"QueryName": "c2.example", "QueryStatus": "0"}),
        "dns.question.name=c2.example (Event.EventData.QueryName)\nclass=windows//sysmon;windows/dns_query/",
    );
    sysmon(
        26,
        serde_json::json!({"TargetFilename": "C:\\a"}),
        "class=windows//sysmon;windows/file_delete_detected/;windows/file_delete/",
    );
}

#[test]
fn what_a_shipper_hides_has_its_plain_name_too() {
    check(
        r##"{"Event":{"System":{"EventID":5007,"Channel":"Microsoft-Windows-Windows Defender/Operational"},"EventData":{"Product Name":"Defender","New Value":"HKLM\\A = 0x0"}}}"##,
        "Event.EventData.New Value=HKLM\\A = 0x0\nNewValue=HKLM\\A = 0x0\nProductName=Defender",
    );
    check(
        r##"{"Event":{"System":{"EventID":104,"Channel":"System"},"UserData":{"LogFileCleared":{"#attributes":{"xmlns":"u"},"SubjectUserName":"bob","BackupPath":null}}}}"##,
        "Event.UserData.LogFileCleared.SubjectUserName=bob
         user.name=bob (SubjectUserName)
         xmlns=-
         class=windows//system",
    );
    let item = |name: &str, value: &str| serde_json::json!({"@Name": name, "#text": value});
    let data = serde_json::json!([item("Image", "C:\\a.exe"), item("CommandLine", "a x")]);
    let record = serde_json::json!({"Event": {"System": {"EventID": 1, "Channel": SYSMON}, "EventData": {"Data": data}}});
    check(
        &record.to_string(),
        "process.executable=C:\\a.exe (Event.EventData.Image)
         process.command_line=a x (Event.EventData.CommandLine)
         class=windows//sysmon;windows/process_creation/",
    );
    let event = |data: serde_json::Value| {
        let system = serde_json::json!({"EventID": 400, "Channel": "Windows PowerShell"});
        serde_json::json!({"Event": {"System": system, "EventData": data}}).to_string()
    };
    // As EVTX files have what has no name, and the only one that has.
    check(
        &event(serde_json::json!({"Data": {"#text": ["Available", "HostName=x"]}, "Binary": null})),
        "Event.EventData.Data=Available HostName=x\nclass=windows//powershell-classic;windows/ps_classic_start/",
    );
    for attributes in ["@Name", "#attributes.Name"] {
        let mut data = serde_json::json!({"#text": "x"});
        match attributes.split_once('.') {
            Some((outer, inner)) => data[outer] = serde_json::json!({inner: "param1"}),
            None => data[attributes] = "param1".into(),
        }
        check(&event(serde_json::json!({"Data": data})), "Event.EventData.param1=x\nparam1=x");
    }
    check(&event(serde_json::json!({"param1": "x", "Param2": "y"})), "param1=x\nParam2=-");
    let named = serde_json::json!([item("param1", "x"), item("New Name", "y")]);
    check(
        &event(serde_json::json!({"Data": named})),
        "Event.EventData.param1=x\nparam1=x\nNewName=y",
    );
}

#[test]
fn what_has_no_name_is_found_as_data_where_it_is_counted() {
    check(
        r#"{"winlog":{"channel":"Windows PowerShell","event_id":"400","event_data":{"param1":"Available","param2":"None","param3":"HostName=x"}}}"#,
        "winlog.event_data.Data=Available None HostName=x
         winlog.event_data.param3=HostName=x
         param1=Available
         class=windows//powershell-classic;windows/ps_classic_start/",
    );
    let list = serde_json::json!([{"@Name": "PackageFamilyName", "#text": "a"}, {"#attributes": {"Name": "Bundle Name"}, "#text": "b"}]);
    let event = |data: serde_json::Value| {
        let system = serde_json::json!({"EventID": 1, "Channel": "Microsoft-Windows-AppModel-Runtime/Admin"});
        serde_json::json!({"Event": {"System": system, "UserData": {"EventXML": {"Data": data}}}})
            .to_string()
    };
    check(&event(list), "PackageFamilyName=a\nBundleName=b");
    check(&event(serde_json::json!(["a", "b"])), "Data=a b");
    check(&event(serde_json::json!({"#text": "a", "@Name": "Family"})), "Family=a");
}

#[test]
fn hashes_of_sysmon_have_names_of_their_own() {
    let sysmon = |id: u16, data: serde_json::Value, wanted: &str| {
        let record = serde_json::json!({"Event": {"System": {"EventID": id, "Channel": SYSMON}, "EventData": data}});
        check(&record.to_string(), wanted);
    };
    let hashes = "SHA1=AA01,MD5=BB02,SHA256=CC03,IMPHASH=DD04";
    sysmon(
        1,
        serde_json::json!({"Image": "C:\\a.exe", "Hashes": hashes}),
        "Event.EventData.Hashes=SHA1=AA01,MD5=BB02,SHA256=CC03,IMPHASH=DD04
         process.hash.sha1=aa01
         process.hash.md5=bb02
         process.hash.sha256=cc03
         process.hash.imphash=dd04
         file.hash.sha1=-",
    );
    sysmon(7, serde_json::json!({"Hashes": hashes}), "file.hash.imphash=dd04\nprocess.hash.md5=-");
    sysmon(
        15,
        serde_json::json!({"Hash": "SHA256=CC03"}),
        "file.hash.sha256=cc03\nfile.hash.md5=-",
    );
    check(
        r#"{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1","event_data":{"Hashes":"MD5=BB02,X=1,SHA1"}},"process":{"hash":{"md5":"ee"}}}"#,
        "process.hash.md5=ee\nprocess.hash.sha1=-\nprocess.hash.x=-",
    );
}

#[test]
fn a_dash_is_nobodys_name() {
    check(
        r#"{"Event":{"System":{"Channel":"Security","EventID":4688,"Computer":"pc-1"},"EventData":{"SubjectUserName":"alice","SubjectDomainName":"SHOP","TargetUserName":"-","TargetDomainName":"-","NewProcessName":"C:\\Windows\\System32\\whoami.exe"}}}"#,
        "user.name=alice (Event.EventData.SubjectUserName)
         user.domain=SHOP (Event.EventData.SubjectDomainName)",
    );
}
