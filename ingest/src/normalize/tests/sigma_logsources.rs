//! Every logsource besides Windows' that SigmaHQ's rules name, and a record of each as its sender writes it.

use logwarden_event::Logsource;

use super::event;

/// Product, category and service of the rules, and a record.
const RECORDS: &[(&str, &str)] = &[
    (
        "//apache",
        "[Fri Jan 02 03:04:05.678901 2026] [core:notice] [pid 7:tid 8] AH00051: child pid 9 exit signal Segmentation Fault (11), possible coredump in /tmp",
    ),
    (
        "//nginx",
        "2026/01/02 03:04:05 [alert] 7#7: worker process 9 exited on signal 6 (core dumped)",
    ),
    (
        "//netflow",
        r#"{"type":"NETFLOW_V9","time_received_ns":1767323045678000000,"src_addr":"192.0.2.9","dst_addr":"203.0.113.9","src_port":50123,"dst_port":21,"proto":"TCP","bytes":120,"packets":2}"#,
    ),
    (
        "//netflow",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","netflow":{"type":"netflow_flow","source_ipv4_address":"192.0.2.9","destination_ipv4_address":"203.0.113.9"}}"#,
    ),
    (
        "/antivirus/",
        "<12>Jan  2 03:04:05 web1 clamd[7]: /srv/up/a.php: Php.Webshell.Generic-1 FOUND",
    ),
    (
        "/database/",
        r#"{"timestamp":"2026-01-02 03:04:05.678 UTC","backend_type":"client backend","error_severity":"ERROR","message":"x"}"#,
    ),
    ("/dns/", "<30>Jan  2 03:04:05 ns1 dnsmasq[7]: query[A] c2.example from 192.0.2.9"),
    (
        "/firewall/",
        "<166>Jan 02 2026 03:04:05 fw1 : %ASA-4-106023: Deny tcp src outside:203.0.113.9/50123 dst inside:192.0.2.9/22 by access-group \"in\"",
    ),
    (
        "/firewall/",
        "1,2026/01/02 03:04:05,001801000000,TRAFFIC,end,2305,2026/01/02 03:04:05,192.0.2.9,203.0.113.9,0.0.0.0,0.0.0.0,allow-web,corp\\alice,,web-browsing,vsys1,trust,untrust,ae1,ae2,default,x,7,1,50123,443,0,0,0x19,tcp,allow,1200,700,500",
    ),
    (
        "/proxy/",
        r#"{"c-ip":"192.0.2.9","c-uri":"https://c2.example/a","cs-method":"GET","c-useragent":"curl"}"#,
    ),
    (
        "/webserver/",
        r#"192.0.2.9 - - [02/Jan/2026:03:04:05 +0000] "GET /a?b HTTP/1.1" 200 12 "-" "curl""#,
    ),
    (
        "aws//cloudtrail",
        r#"{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1"}"#,
    ),
    (
        "azure//activitylogs",
        r#"{"category":"Administrative","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE","resultType":"Success"}"#,
    ),
    ("azure//auditlogs", r#"{"category":"AuditLogs","operationName":"Add member to role"}"#),
    (
        "azure//pim",
        r#"{"riskEventType":"noMfaOnRoleActivationAlertIncident","roleDisplayName":"Global Administrator"}"#,
    ),
    (
        "azure//riskdetection",
        r#"{"riskEventType":"tokenIssuerAnomaly","userPrincipalName":"alice@example.com","riskLevel":"high"}"#,
    ),
    (
        "azure//signinlogs",
        r#"{"category":"SignInLogs","operationName":"Sign-in activity","resultType":"0"}"#,
    ),
    (
        "bitbucket//audit",
        r#"{"timestamp":"2026-01-02T03:04:05Z","author":{"name":"alice","id":"7"},"auditType":{"category":"Permissions","action":"Global permission granted","area":"PERMISSIONS"},"source":"192.0.2.9"}"#,
    ),
    (
        "cisco//aaa",
        "<189>45: Router1: *Jan  2 03:04:05.678: %PARSER-5-CFGLOG_LOGGEDCMD: User:alice  logged command:show running-config",
    ),
    (
        "cisco//bgp",
        "<190>46: Jan  2 03:04:05.678 UTC: %TCP-6-BADAUTH: No MD5 digest from 203.0.113.9(179) to 192.0.2.1(40159) tableid - 0",
    ),
    (
        "cisco//duo",
        r#"{"txid":"340a23e3","event_type":"authentication","factor":"duo_push","reason":"bypass_user","result":"success","isotimestamp":"2026-01-02T03:04:05.678901+00:00","user":{"key":"D1","name":"alice"},"access_device":{"ip":"203.0.113.9"},"application":{"name":"VPN"}}"#,
    ),
    ("cisco//ldp", "<189>47: Jan  2 03:04:05: %LDP-5-TCPMD5AuthenFail: neighbor 203.0.113.9"),
    (
        "cisco//syslog",
        "<187>: 2026 Jan  2 03:04:05 UTC: %ETHPORT-3-IF_DOWN_LINK_FAILURE: Interface Ethernet1/1 is down",
    ),
    (
        "django/application/",
        r#"{"levelname":"ERROR","name":"django.security.DisallowedHost","message":"Invalid HTTP_HOST header","funcName":"response_for_exception","lineno":7}"#,
    ),
    ("django/application/", "ERROR:django.security.SuspiciousOperation:Invalid session"),
    (
        "fortigate//event",
        r#"date=2026-01-02 time=03:04:05 devname="fw1" devid="FG100" logid="0100032001" type="event" subtype="system" level="information" logdesc="Admin login" user="alice""#,
    ),
    (
        "fortios//sslvpnd",
        r#"date=2026-01-02 time=03:04:05 devname="fw1" devid="FG100" logid="0101039949" type="event" subtype="vpn" action="tunnel-up""#,
    ),
    (
        "gcp//gcp.audit",
        r#"{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"iam.googleapis.com"}}"#,
    ),
    (
        "gcp//google_workspace.admin",
        r#"{"kind":"admin#reports#activity","id":{"applicationName":"admin","time":"2026-01-02T03:04:05Z"},"actor":{"email":"alice@example.com"},"events":[{"name":"CREATE_USER"}]}"#,
    ),
    (
        "gcp//google_workspace.login",
        r#"{"kind":"admin#reports#activity","id":{"applicationName":"login","time":"2026-01-02T03:04:05Z"},"actor":{"email":"alice@example.com"},"events":[{"name":"login_failure"}]}"#,
    ),
    (
        "github//audit",
        r#"{"@timestamp":1767323045678,"action":"repo.destroy","actor":"alice","org":"shop","_document_id":"x"}"#,
    ),
    (
        "huawei//bgp",
        "<187>Jan  2 2026 03:04:05 Router1 %%01BGP/3/BGP_AUTH_FAILED(l)[12]:BGP session authentication failed. (PeerSession=203.0.113.9:179)",
    ),
    (
        "juniper//bgp",
        "<30>Jan  2 03:04:05 r1 /kernel: tcp_auth_ok: Packet from 203.0.113.9:179 missing MD5 digest",
    ),
    (
        "juniper//bgp",
        "<28>Jan  2 03:04:05 r1 rpd[1234]: bgp_recv: peer 203.0.113.9:179 missing MD5 digest",
    ),
    (
        "jvm/application/",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","logger_name":"shop.Pay","thread_name":"main","level":"ERROR","message":"java.io.FileNotFoundException: /a/../../../etc/passwd"}"#,
    ),
    (
        "jvm/application/",
        "<11>Jan  2 03:04:05 web1 shop[7]: java.io.IOException: Cannot run program\n\tat java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)",
    ),
    (
        "kubernetes//audit",
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","auditID":"x"}"#,
    ),
    (
        "kubernetes/application/audit",
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","auditID":"x"}"#,
    ),
    ("linux//auditd", "type=EXECVE msg=audit(1767323045.678:42): argc=2 a0=\"curl\" a1=\"x\""),
    (
        "linux//auth",
        "<86>Jan  2 03:04:05 web1 useradd[7]: new user: name=bob, UID=0, GID=0, home=/root, shell=/bin/bash",
    ),
    (
        "linux//clamav",
        "<12>Jan  2 03:04:05 web1 clamd[7]: /srv/up/a.php: Php.Trojan.Generic-1 FOUND",
    ),
    ("linux//cron", "<78>Jan  2 03:04:05 web1 CRON[7]: (root) CMD (/tmp/a.sh)"),
    (
        "linux//guacamole",
        "<30>Jan  2 03:04:05 web1 guacd[7]: User \"@1\" joined connection \"$2\" (2 users now present)",
    ),
    (
        "linux//sshd",
        "<86>Jan  2 03:04:05 web1 sshd[7]: Failed password for root from 203.0.113.9 port 50123 ssh2",
    ),
    (
        "linux//sudo",
        "<86>Jan  2 03:04:05 web1 sudo: alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
    ),
    ("linux//syslog", "<13>Jan  2 03:04:05 web1 shop[7]: started"),
    (
        "linux//vsftpd",
        "<28>Jan  2 03:04:05 web1 vsftpd[7]: [alice] Client \"203.0.113.9\", \"Connection refused: too many sessions for this address.\"",
    ),
    (
        "linux/file_event/",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","event":{"category":["file"],"type":["creation"],"action":"creation"},"file":{"path":"/etc/doas.conf"},"process":{"executable":"/usr/bin/vi"},"host":{"os":{"type":"linux"}}}"#,
    ),
    (
        "linux/network_connection/",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","event":{"category":["network"],"action":"connection_attempted"},"process":{"executable":"/bin/bash"},"destination":{"ip":"203.0.113.9","port":4444},"host":{"os":{"type":"linux"}}}"#,
    ),
    (
        "linux/process_creation/",
        r#"{"process":{"executable":"/usr/bin/curl","command_line":"curl x"},"host":{"os":{"type":"linux"}}}"#,
    ),
    (
        "m365//audit",
        r#"{"CreationTime":"2026-01-02T03:04:05","Operation":"Disable Strong Authentication.","Workload":"AzureActiveDirectory","RecordType":8,"UserId":"alice@example.com"}"#,
    ),
    (
        "m365//exchange",
        r#"{"CreationTime":"2026-01-02T03:04:05","Operation":"New-InboxRule","Workload":"Exchange","RecordType":1,"UserId":"alice@example.com"}"#,
    ),
    (
        "m365//threat_detection",
        r#"{"CreationTime":"2026-01-02T03:04:05","Operation":"AlertTriggered","Workload":"SecurityComplianceCenter","RecordType":40,"eventSource":"SecurityComplianceCenter"}"#,
    ),
    (
        "m365//threat_management",
        r#"{"CreationTime":"2026-01-02T03:04:05","Operation":"AlertTriggered","Workload":"SecurityComplianceCenter","RecordType":40,"eventSource":"SecurityComplianceCenter"}"#,
    ),
    (
        "macos/file_event/",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","event":{"category":"file","type":"creation"},"file":{"path":"/etc/emond.d/rules/a.plist"},"host":{"os":{"type":"macos"}}}"#,
    ),
    (
        "macos/process_creation/",
        r#"{"process":{"executable":"/usr/bin/osascript","command_line":"osascript -e x"},"host":{"os":{"type":"macos"}}}"#,
    ),
    (
        "nodejs/application/",
        r#"{"level":50,"time":1767323045678,"pid":42,"hostname":"web-1","msg":"Error: spawn x\n    at node:child_process:1"}"#,
    ),
    (
        "nodejs/application/",
        "Error: spawn x ENOENT\n    at ChildProcess._handle.onexit (node:internal/child_process:285:19)\n    at pay (/app/pay.js:1:2)",
    ),
    (
        "okta//okta",
        r#"{"eventType":"user.session.start","published":"2026-01-02T03:04:05Z","legacyEventType":"core.user_auth.login_failed","actor":{"alternateId":"alice@example.com"},"outcome":{"result":"FAILURE"}}"#,
    ),
    (
        "onelogin//onelogin.events",
        r#"{"id":7,"created_at":"2026-01-02T03:04:05Z","account_id":123,"event_type_id":3,"user_name":"bob","actor_user_name":"alice","ipaddr":"203.0.113.9"}"#,
    ),
    (
        "opencanary/application/",
        r#"{"dst_host":"192.0.2.7","dst_port":22,"local_time":"2026-01-02 03:04:05.678901","logdata":{"USERNAME":"root","PASSWORD":"x"},"logtype":4002,"node_id":"canary-1","src_host":"203.0.113.9","src_port":50123,"utc_time":"2026-01-02 03:04:05.678901"}"#,
    ),
    (
        "paloalto/appliance/globalprotect",
        r#"{"level":"error","task":"1393405-22","time":"2026-01-02T03:04:05.678901-07:00","message":"failed to unmarshal session(../../../../opt/panlogs/tmp/device_telemetry/minute/x) map , EOF"}"#,
    ),
    (
        "paloalto/file_event/globalprotect",
        r#"{"TargetFilename":"/opt/panlogs/tmp/device_telemetry/minute/`curl${IFS}x.example`"}"#,
    ),
    (
        "python/application/",
        r#"{"levelname":"ERROR","name":"shop","message":"Traceback (most recent call last):\n  File \"a.py\", line 1\nImportError: x","funcName":"pay","lineno":7}"#,
    ),
    (
        "python/application/",
        "2026-01-02 03:04:05,678 - shop - ERROR - eval failed\nTraceback (most recent call last):\n  File \"a.py\", line 1\nNameError: x",
    ),
    ("qualys//", r#"{"host":{"scan":{"vuln":11507,"vuln_name":"x"},"ip":"192.0.2.9"}}"#),
    (
        "rpc_firewall/application/",
        r#"{"Event":{"System":{"Channel":"RPCFW","EventID":3,"Computer":"pc","Provider":{"Name":"RPCFW"}},"EventData":{"InterfaceUuid":"1ff70682-0a51-30e8-076d-740be8cee98b","OpNum":0}}}"#,
    ),
    (
        "ruby_on_rails/application/",
        r#"{"method":"POST","path":"/pay","format":"html","controller":"PayController","action":"create","status":422,"duration":12.5,"exception":["ActionController::InvalidAuthenticityToken","x"]}"#,
    ),
    (
        "ruby_on_rails/application/",
        "ActionController::BadRequest (bad request):\napp/controllers/pay_controller.rb:7:in `create'",
    ),
    (
        "spring/application/",
        r#"{"instant":{"epochSecond":1767323045,"nanoOfSecond":678000000},"loggerName":"org.springframework.security.web.csrf.CsrfFilter","thread":"main","level":"WARN","message":"InvalidCsrfTokenException"}"#,
    ),
    (
        "spring/application/",
        "2026-01-02T03:04:05.678Z ERROR 7 --- [main] o.s.s.w.FilterChainProxy : RequestRejectedException",
    ),
    (
        "sql/application/",
        "2026-01-02T03:04:05.678901Z 8 [ERROR] [MY-000000] [Server] You have an error in your SQL syntax",
    ),
    (
        "velocity/application/",
        r#"{"@timestamp":"2026-01-02T03:04:05Z","logger_name":"org.apache.velocity.runtime","thread_name":"main","level":"ERROR","message":"ParseErrorException"}"#,
    ),
    (
        "zeek//dce_rpc",
        r#"{"_path":"dce_rpc","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"192.0.2.1","endpoint":"svcctl","operation":"CreateServiceW"}"#,
    ),
    (
        "zeek//dns",
        r#"{"_path":"dns","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"192.0.2.53","query":"c2.example"}"#,
    ),
    (
        "zeek//http",
        r#"{"_path":"http","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"203.0.113.9","method":"GET","uri":"/a"}"#,
    ),
    (
        "zeek//kerberos",
        r#"{"_path":"kerberos","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"192.0.2.1","request_type":"TGS","cipher":"rc4-hmac"}"#,
    ),
    (
        "zeek//rdp",
        r#"{"_path":"rdp","ts":1767323045.6,"uid":"C1","id.orig_h":"203.0.113.9","id.resp_h":"192.0.2.1","cookie":"alice"}"#,
    ),
    (
        "zeek//smb_files",
        r#"{"_path":"smb_files","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"192.0.2.1","action":"SMB::FILE_OPEN","path":"\\\\srv\\ADMIN$","name":"a.exe"}"#,
    ),
    (
        "zeek//x509",
        r#"{"_path":"x509","ts":1767323045.6,"id":"F1","certificate.serial":"8BB00EE","certificate.subject":"CN=x"}"#,
    ),
];

#[test]
fn a_record_of_every_logsource_has_its_class() {
    let mut wrong = Vec::new();
    for (wanted, record) in RECORDS {
        let mut parts = wanted.splitn(3, '/');
        let mut part = || parts.next().expect("three parts");
        let rule = Logsource { product: part(), category: part(), service: part() };
        let event = event(record);
        if !event.class().is_covered_by(&rule) {
            wrong.push(format!("`{}` without {wanted}: {record}", event.class().as_str()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
