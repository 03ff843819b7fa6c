//! Every target: a parser, and what it is given first.

use logwarden_ingest::config::ListenerKind;

/// What is done with the bytes of a target.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// They are the body of a request.
    Http {
        /// Where it is posted.
        path: &'static str,
        /// What it says it is.
        content_type: &'static str,
    },
    /// They come over a connection; the first of them decides how many at once.
    Stream(ListenerKind),
    /// They are datagrams, each with its length in two bytes before it.
    Datagrams(ListenerKind),
    /// They begin with the header of a proxy.
    Proxied,
    /// They are a record, after something that is always there.
    Record {
        /// What its parser is told by.
        before: &'static [u8],
    },
    /// They are searched for secrets.
    Secret,
    /// They are a query, as somebody types it.
    Query,
    /// They are the configuration file.
    Configuration,
    /// They are a file of rules, which are then tried on an event.
    Rules,
}

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As its file in `fuzz_targets`.
    pub name: &'static str,
    /// What is done with its bytes.
    pub kind: Kind,
    /// The first inputs.
    pub seeds: &'static [&'static [u8]],
}

const fn http(
    name: &'static str,
    path: &'static str,
    content_type: &'static str,
    seeds: &'static [&'static [u8]],
) -> Target {
    Target { name, kind: Kind::Http { path, content_type }, seeds }
}

const fn stream(name: &'static str, kind: ListenerKind, seeds: &'static [&'static [u8]]) -> Target {
    Target { name, kind: Kind::Stream(kind), seeds }
}

const fn record(
    name: &'static str,
    before: &'static [u8],
    seeds: &'static [&'static [u8]],
) -> Target {
    Target { name, kind: Kind::Record { before }, seeds }
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const TEXT: &str = "text/plain";

/// Every target, in the order in which `make fuzz` runs them.
pub static TARGETS: &[Target] = &[
    http("http_json", "/api/v1/ingest", JSON, &[
        br#"{"Records":[{"eventName":"A","eventTime":"2025-01-02T03:04:05Z","n":9007199254740991}]}"#,
        b"{\"a\":1}\n{\"b\":[1,{\"c\":null}]}{\"d\":\"\\u00e9\\ud83d\\udca1\"}\n[{\"e\":1e400},{\"a\":1,\"a\":2}]",
        b"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2025-01-02T03:04:05Z\"}\n{\"message\":\"{\\\"a\\\":1}\"}",
    ]),
    http("form", "/api/v1/ingest", "application/x-www-form-urlencoded", &[
        b"name=a&msg=%25s+%05.1f+b&args=%28%27c%27%2C+1.5%29&created=1735787045.25&levelname=INFO",
        b"msg=%25%28a%29s&args=%7B%27a%27%3A+%5B1%2C+None%5D%7D",
    ]),
    http("elastic_bulk", "/_bulk", JSON, &[
        "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"message\":\"zażółć\",\"a\":{\"b\":[1,2]}}\n".as_bytes(),
        b"{\"create\":{},\"attempts\":0}\n{\"a\":1}\n{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{}}\n{\"doc\":{}}\n\n",
    ]),
    http("splunk_event", "/services/collector", TEXT, &[
        br#"{"event":{"message":"a"},"time":"1735787045.25"}{"event":"{\"b\":1}","fields":{"c":2}}"#,
    ]),
    http("splunk_raw", "/services/collector/raw", TEXT, &[
        b"<13>a: b\n2025-01-02T03:04:05.1Z stdout P c\n2025-01-02T03:04:05.2Z stdout F d\n",
    ]),
    http("loki_json", "/loki/api/v1/push", JSON, &[
        br#"{"streams":[{"stream":{"a":"b"},"values":[["1735787045000000000","line",{"c":"d"}]]}]}"#,
    ]),
    http("loki_protobuf", "/loki/api/v1/push", PROTOBUF, &[
        b"\x10\x3C\x0A\x0E\x0A\x04{a=}\x12\x06\x12\x04line",
        b"\x19\x60\x0A\x17\x0A\x07{a=\"b\"}\x12\x0C\x0A\x04\x08\x80\xF1\x55\x12\x04line",
    ]),
    http("otlp_json", "/v1/logs", JSON, &[
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"5"}}]}}}]}]}]}"#,
        br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1735787045000000000","severityNumber":9,"traceId":"00","body":{"stringValue":"{\"a\":1}"},"attributes":[{"key":"x","value":{"arrayValue":{"values":[{"doubleValue":1.5}]}}}]}]}]}]}"#,
    ]),
    http("otlp_protobuf", "/v1/logs", PROTOBUF, &[
        b"\x0A\x14\x12\x12\x12\x10\x2A\x0E\x0A\x0Ca\xC5\xBCb\xF0\x9F\x92\xA1cdef",
        b"\x0A\x1E\x12\x1C\x12\x1A\x09\x00\x00\x00\x00\x00\x00\x10\x18\x10\x09\x2A\x03\x0A\x01a\x32\x0A\x0A\x01k\x12\x05\x2A\x03\x0A\x01\x18",
    ]),
    http("journal_upload", "/upload", "application/vnd.fdo.journal", &[
        b"__CURSOR=a\n__REALTIME_TIMESTAMP=1735787045000000\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n\n",
        b"__CURSOR=a\nMESSAGE=a\n\n__CURSOR=b\n_COMM=sshd\nMESSAGE=Accepted password for a from 1.2.3.4 port 5 ssh2\n\n",
    ]),
    http("firehose", "/aws/firehose", JSON, &[
        br#"{"requestId":"r","records":[{"data":"eyJhIjoxfQ=="},{"data":"bGluZQ=="}]}"#,
    ]),
    http("gelf_http", "/gelf", JSON, &[
        br#"{"version":"1.1","short_message":"a","_b":{"c":1},"level":3,"timestamp":1735787045.25}"#,
        b"\x78\x9C\xAB\x56\x2A\xCE\xC8\x2F\x2A\x89\xCF\x4D\x2D\x2E\x4E\x4C\x4F\x55\xB2\x52\x4A\x54\xAA\x05\x00\x58\x39\x07\x55",
    ]),
    http("datadog", "/api/v2/logs?ddtags=a:b", JSON, &[
        br#"[{"message":"{\"a\":1}","ddtags":"a:b,c,a:d","status":"warn"},{}]"#,
        b"a line\nanother",
    ]),
    stream("json_lines", ListenerKind::Json, &[
        b"\x40{\"auth\":\"lw_x\",\"ack\":true}\n{\"a\":1}\n",
        b"\x01{\"a\":1}\n{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"t\"}\nnonsense\n",
    ]),
    stream("syslog_stream", ListenerKind::Syslog, &[
        b"\x08<13>1 2025-01-02T03:04:05Z h a 1 - [x@1 k=\"v\\\"\"] b\n<34>Oct  1 00:00:00 h sshd[1]: c\n",
        b"\x0215 <13>a: b\xC5\xBC\n c\n20 CEF:0|a|b|c|d|e|f|g=h",
        b"\x10<14>a: b\n c\0<14>a: d\0",
    ]),
    stream("gelf_stream", ListenerKind::Gelf, &[
        b"\x08{\"short_message\":\"a\"}\0{\"short_message\":\"b\",\n\"_c\":1}\0",
    ]),
    stream("beats", ListenerKind::Beats, &[
        b"\x102W\0\0\0\x022J\0\0\0\x01\0\0\0\x07{\"a\":1}2J\0\0\0\x02\0\0\0\x07{\"a\":2}",
        b"\x402W\0\0\0\x012D\0\0\0\x01\0\0\0\x01\0\0\0\x01a\0\0\0\x01b2C\0\0\0\x02ab",
    ]),
    stream("forward", ListenerKind::Forward, &[
        b"\x10\x93\xA1t\x92\x92\xCE\x65\x53\xF1\x00\x81\xA3log\xA1a\x92\xD7\x00\x65\x53\xF1\x00\0\0\0\0\x81\xA1b\xC3\x82\xA5chunk\xA2c1\xA4size\x02",
        b"\x20\x93\xA1t\xCE\x65\x53\xF1\x00\x82\xA3log\xA7{\"a\":1}\xA1b\xCB\x3F\xF8\0\0\0\0\0\0",
        b"\x20\x92\xA1t\xC4\x0A\x92\x00\x81\xA3log\xA1a\xC0\xC0",
    ]),
    stream("relp", ListenerKind::Relp, &[
        b"\x081 open 14 relp_version=0\n2 syslog 8 <13>a: b\n3 close 0\n",
    ]),
    stream("otlp_grpc", ListenerKind::Otlp, &[
        b"\x40PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x01\x05\0\0\0\x01\x82\x86\x84\x83",
    ]),
    stream("auto", ListenerKind::Auto, &[
        b"\x04ERROR a\n\tat b.C.d(E.java:1)\n2025-01-02T03:04:05.1Z stdout P c\n",
        b"\x041 open 14 relp_version=0\n",
        b"\x042W\0\0\0\x01",
        b"\x04{\"a\":1}\0",
    ]),
    Target {
        name: "gelf_chunks",
        kind: Kind::Datagrams(ListenerKind::Gelf),
        seeds: &[
            b"\0\x1A\x1E\x0FABCDEFGH\0\x02{\"short_messa\0\x15\x1E\x0FABCDEFGH\x01\x02ge\":\"a\"}",
            b"\0\x15{\"short_message\":\"a\"}",
        ],
    },
    Target {
        name: "datagrams",
        kind: Kind::Datagrams(ListenerKind::Auto),
        seeds: &[b"\0\x08<13>a: b\0\x0F<34>Oct  1 a: c\0", b"\0\x10Exception: a\n\tat\0\x04\tat b"],
    },
    Target {
        name: "proxy_header",
        kind: Kind::Proxied,
        seeds: &[
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n",
            b"PROXY UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02",
        ],
    },
    record("json", b"{", &[
        br#""Event":{"System":{"EventID":1,"Channel":"Security"},"EventData":{"a b":"c"}}}"#,
        br#""winlog":{"channel":"Security","event_id":4625,"event_data":{"TargetUserName":"bob"}}}"#,
        br#""type":"AuditLogs","operationName":"Add member","time":"2025-01-02T03:04:05Z"}"#,
        br#""protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"},"severity":"NOTICE"}"#,
        br#""level":30,"time":1735787045000,"pid":1,"hostname":"h","msg":"a","v":1}"#,
        br#""_path":"dns","ts":1735787045.1,"id.orig_h":"10.0.0.1","query":"a.example"}"#,
    ]),
    record("flatted", b"[{", &[
        br#""startTime":"1","level":"2","data":"3","error":"4","pid":7},"2026-01-02T03:04:05.6Z",{"levelStr":"5"},["6",1,null],"__LOG4JS_undefined__","WARN","text"]"#,
        br#""a":"1","me":"0"},["1","2"],"x"]"#,
    ]),
    record("syslog", b"<", &[
        b"34>1 2003-10-11T22:14:15.003Z host su 1 ID47 [a@1 b=\"c\\]\"][d@2 e=\"f\"] \xEF\xBB\xBFtext",
        b"13>Oct 11 22:14:15 host sshd[4721]: Accepted publickey for root from 192.0.2.1 port 22 ssh2",
        b"189>123: host: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console",
        b"14>2026-11-22T04:22:59.961985+00:00 host tag: msg",
    ]),
    record("sshd", b"<38>Oct 11 22:14:15 h sshd[1]: ", &[
        b"Failed password for invalid user a from 192.0.2.1 port 22 ssh2",
        b"Disconnected from authenticating user root 2001:db8::1 port 5 [preauth]",
        b"Connection closed by invalid user x 192.0.2.9 port 41 [preauth]",
    ]),
    record("pam", b"<86>Oct 11 22:14:15 h su[1]: ", &[
        b"pam_unix(su:auth): authentication failure; logname= uid=0 euid=0 tty=pts/0 ruser=a rhost= user=root",
        b"pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
    ]),
    record("access", b"", &[
        b"192.0.2.1 - a [02/Jan/2025:03:04:05 +0000] \"GET /a?b=c HTTP/1.1\" 200 12 \"-\" \"curl\\\"x\"",
        b"a.example:443 192.0.2.1 - - [02/Jan/2025:03:04:05 +0000] \"\\x16\\x03\" 400 0",
    ]),
    record("accounts", b"<86>Oct 11 22:14:15 h useradd[1]: ", &[
        b"new user: name=m, UID=0, GID=0, home=/home/m, shell=/bin/sh, from=/dev/pts/0",
        b"add 'm' to group 'sudo'",
    ]),
    record("sudo", b"<86>Oct 11 22:14:15 h sudo[1]: ", &[
        b"   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow",
        b"bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh -c a;b",
    ]),
    record("login", b"<86>Oct 11 22:14:15 h login[1]: ", &[
        b"FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure",
        b"LOGIN ON tty1 BY alice FROM 192.0.2.9",
    ]),
    record("applications", b"", &[
        b"2025-01-02 03:04:05,600 [main] ERROR a.B - text",
        b"[2025-01-02T03:04:05.6+00:00] app.WARNING: text {\"a\":1} []",
        b"[03:04:05 INF] text",
        b"WARN a.b:text",
        b"I0102 03:04:05.600000       1 a.go:7] text",
    ]),
    record("auditd", b"", &[
        b"type=EXECVE msg=audit(1735787045.123:45): argc=2 a0=\"curl\" a1=2F612062",
        b"node=h type=SYSCALL msg=audit(1735787045.123:45): arch=c000003e syscall=59 success=yes exe=\"/bin/a\" key=(null)\x1DUID=\"root\"",
    ]),
    record("sysmon", b"<Event><System><Provider Name=\"Linux-Sysmon\"", &[
        b"/><EventID>1</EventID><TimeCreated SystemTime=\"2026-01-02T03:04:05.6Z\"/><Channel>a</Channel></System><EventData><Data Name=\"Image\">/a</Data><Data Name=\"CommandLine\">a &quot;&#x41;&amp;</Data></EventData></Event>",
        b"/></System><EventData><Data Name=\"Hashes\"/><Data Name=\"a",
    ]),
    record("cef", b"CEF:", &[b"0|a|b|1.0|d|e\\|f|5|src=192.0.2.1 msg=a\\=b c cs1=d cs1Label=e"]),
    record("leef", b"LEEF:", &[b"2.0|a|b|1|d|^|src=192.0.2.1^usrName=a^devTime=1735787045", b"1.0|a|b|1|d|x=y\tz=1"]),
    record("container", b"2025-01-02T03:04:05.1Z ", &[b"stdout F {\"a\":1}", b"stderr P half"]),
    record("mysql", b"2025-01-02T03:04:05.123456Z ", &[
        b"10 [Note] [MY-010926] [Server] Access denied for user 'a'@'192.0.2.1' (using password: YES)",
        b"10 Query\tselect 1",
    ]),
    record("postgresql", b"2025-01-02 03:04:05.123 ", &[
        b"UTC [12] a@b FATAL:  password authentication failed for user \"a\"",
        b"UTC [12] LOG:  connection received: host=192.0.2.1 port=5",
    ]),
    record("bind", b"", &[
        b"02-Jan-2025 03:04:05.123 queries: info: client @0x7f 192.0.2.1#5 (a.example): query: a.example IN A +E(0)K (10.0.0.1)",
    ]),
    record("coredns", b"[", &[b"INFO] 192.0.2.1:5 - 1 \"A IN a.example. udp 40 false 512\" NOERROR qr,rd 60 0.001s"]),
    record("dnsmasq", b"<30>Oct 11 22:14:15 h dnsmasq[1]: ", &[b"query[A] a.example from 192.0.2.1", b"reply a is 1.2.3.4"]),
    record("web_errors", b"", &[
        b"2025/01/02 03:04:05 [error] 1#2: *3 open() \"/a\" failed (2: No such file), client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\"",
        b"[Thu Jan 02 03:04:05.123456 2025] [core:error] [pid 1:tid 2] [client 192.0.2.1:5] AH00126: text",
    ]),
    record("fail2ban", b"", &[b"2025-01-02 03:04:05,123 fail2ban.actions [1]: NOTICE [sshd] Ban 192.0.2.1"]),
    record("vpc_flow", b"2 ", &[b"123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1735787045 1735787046 REJECT OK"]),
    record("pairs", b"", &[b"time=2025-01-02T03:04:05Z level=warn msg=\"a \\\"b\\\"\" c=1 d=", b"date=2025-01-02 devname=\"f\" logid=1 action=\"deny\""]),
    record("proxies", b"", &[
        b"192.0.2.1:5 [02/Jan/2025:03:04:05.123] f b/s 0/0/1/2/3 200 12 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
        b"[2025-01-02T03:04:05.123Z] \"GET /a HTTP/1.1\" 200 - 0 12 3 2 \"-\" \"curl\" \"id\" \"a\" \"10.0.0.1:80\"",
    ]),
    record("devices", b"<189>", &[
        b"45: Router1: *Mar  1 00:01:02.123: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: a] [Source: 192.0.2.1] [localport: 22]",
        b": 2025 Mar  1 00:01:02 UTC: %ETHPORT-5-IF_UP: text",
        b"Mar 01 2025 00:01:02 fw1 : %ASA-4-106023: Deny tcp src a:192.0.2.1/5 dst b:10.0.0.1/22 by access-group \"x\"",
        b"Mar  1 2025 00:01:02 Router1 %%01BGP/3/BGP_AUTH_FAILED(l)[12]:text",
        b"Mar  1 00:01:02 fw1 1,2025/03/01 00:01:02,0018,THREAT,url,1,,192.0.2.1,10.0.0.1,,,r,u,,web,,,,,,,,,,5,443,,,,tcp,allow,\"a/b\",,,high",
        b"Mar  1 00:01:02 h clamd[1]: /a: Php.Webshell-1(5:6) FOUND",
    ]),
    record("system", b"<30>Oct 11 22:14:15 h kernel: ", &[
        b"[ 12.345678] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=10.0.0.1 PROTO=TCP SPT=5 DPT=22",
        b"audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\"",
    ]),
    record("cron", b"<78>Oct 11 22:14:15 h CRON[1]: ", &[b"(root) CMD (   cd / && run-parts /etc/cron.hourly)"]),
    record("systemd", b"<30>Oct 11 22:14:15 h systemd[1]: ", &[b"Started a.service - Text.", b"a.service: Main process exited, code=exited, status=1/FAILURE"]),
    record("time", b"{\"timestamp\":", &[
        b"\"2025-01-02T03:04:05.123+01:00\"}",
        b"1735787045.123}",
        b"\"02/Jan/2025:03:04:05 +0000\"}",
        b"\"Jan  2 03:04:05\"}",
        b"\"Thu, 02 Jan 2025 03:04:05 GMT\"}",
        b"{\"epochSecond\":1735787045,\"nanoOfSecond\":5}}",
        b"\"20250102T030405Z\"}",
    ]),
    Target {
        name: "secret",
        kind: Kind::Secret,
        seeds: &[
            b"password=hunter2 AKIAIOSFODNN7EXAMPLE token: \"eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.abcdefghijklmnop\"",
            b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
        ],
    },
    Target {
        name: "query",
        kind: Kind::Query,
        seeds: &[
            b"event.outcome:failure and (user.name:al* or source.ip:10.0.0.0/8) not message:\"a b\" since 2h",
            b"_exists_:a.b and n>=5 and /re(g|x)/ | count by user.name, host.name | sort -count | limit 5",
        ],
    },
    Target {
        name: "configuration",
        kind: Kind::Configuration,
        seeds: &[
            b"data_dir = \"/d\"\n[http]\nlisten = \"127.0.0.1:1\"\nallow = [\"10.0.0.0/8\"]\nsource = \"a\"\n",
            b"[[listeners]]\nkind = \"syslog\"\ntcp = \"127.0.0.1:2\"\nsource = \"a\"\n[[sources]]\nname = \"a\"\nzone = \"Europe/Berlin\"\nevents_per_sec_max = 5\n",
            b"[[inputs]]\nname = \"f\"\nkind = \"file\"\npath = \"/a\"\nsource = \"a\"\n[[notifiers]]\nname = \"m\"\nkind = \"webhook\"\nurl = \"https://a.example/b\"\n[[routes]]\nto = [\"m\"]\n",
        ],
    },
    Target {
        name: "rules",
        kind: Kind::Rules,
        seeds: &[
            b"title: a\nid: 7d3a1c52-0a6f-4c5e-9b1f-2f6d8a1b3c4d\nlogsource: {product: linux}\ndetection:\n  s: {Image|endswith: '/sh', CommandLine|contains|all: [a, b]}\n  k: ['*x*', y?z]\n  condition: s and not 1 of k*\nlevel: high\n",
            b"title: c\nname: c\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [user.name]\n  timespan: 5m\n  condition: {gte: 3}\n",
            b"title: t\nlogsource: {category: authentication}\ndetection: {s: {event.outcome: failure}, condition: s}\ndetector: {type: threshold, count: 5, window: 1m, by: [user.name]}\n",
            b"title: r\nlogsource: {}\ndetection:\n  s:\n    a|re|i: '^(x+)+$'\n    b|cidr: 10.0.0.0/8\n    c|base64offset|contains: abc\n    d|windash: '-a'\n    e|gte: 5\n  condition: all of them\n",
        ],
    },
];
