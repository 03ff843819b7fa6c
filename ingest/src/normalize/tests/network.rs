//! Sensors, firewalls, name servers and databases.

use super::check;

#[test]
fn zeek_with_and_without_the_name_of_the_log() {
    check(
        r#"{"_path":"dns","ts":1767323045.678901,"uid":"C1","id.orig_h":"192.0.2.9","id.orig_p":50123,"id.resp_h":"192.0.2.53","id.resp_p":53,"proto":"udp","trans_id":1,"query":"c2.example","qtype_name":"A","rcode_name":"NOERROR","answers":["203.0.113.9","203.0.113.10"]}"#,
        "at=2026-01-02T03:04:05.678901Z
         event.id=C1 (uid)
         user.id=-
         source.ip=192.0.2.9 (id.orig_h)
         source.port=50123 (id.orig_p)
         destination.ip=192.0.2.53 (id.resp_h)
         network.transport=udp (proto)
         dns.question.name=c2.example (query)
         dns.answers.data=203.0.113.9 (answers) 203.0.113.10 (answers)
         dataset=zeek
         class=zeek//dns;/dns/",
    );
    check(
        r#"{"ts":1767323045.678901,"uid":"C1","id.orig_h":"192.0.2.9","id.orig_p":1,"id.resp_h":"203.0.113.9","id.resp_p":443,"proto":"tcp","service":"ssl","orig_bytes":5,"resp_bytes":7,"conn_state":"SF"}"#,
        "network.protocol=ssl (service)\nsource.bytes=5 (orig_bytes)\ndestination.bytes=7 (resp_bytes)\nclass=zeek//conn",
    );
    check(
        r#"{"_path":"http","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"203.0.113.9","method":"GET","host":"shop.example","uri":"/a?b","status_code":200,"user_agent":"curl"}"#,
        "url.original=/a?b (uri)\nurl.path=/a\nurl.query=b\nurl.domain=shop.example (host)\nhost.name=-\nclass=zeek//http",
    );
    for (is_good, outcome) in [(true, "success"), (false, "failure")] {
        check(
            &format!(
                r#"{{"_path":"ssh","ts":1767323045.6,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"203.0.113.9","auth_success":{is_good},"auth_attempts":2}}"#
            ),
            &format!("event.outcome={outcome}\nclass=zeek//ssh"),
        );
    }
}

#[test]
fn suricata() {
    check(
        r#"{"timestamp":"2026-01-02T03:04:05.678901+0000","flow_id":1,"in_iface":"eth0","event_type":"alert","src_ip":"192.0.2.9","src_port":50123,"dest_ip":"203.0.113.9","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2100498,"rev":7,"signature":"GPL ATTACK_RESPONSE id check returned root","category":"Potentially Bad Traffic","severity":1},"app_proto":"http"}"#,
        "at=2026-01-02T03:04:05.678901Z
         severity=error
         message=GPL ATTACK_RESPONSE id check returned root
         event.kind=alert
         event.action=allowed (alert.action)
         rule.name=GPL ATTACK_RESPONSE id check returned root (alert.signature)
         rule.id=2100498 (alert.signature_id)
         source.ip=192.0.2.9 (src_ip)
         destination.ip=203.0.113.9 (dest_ip)
         destination.port=80 (dest_port)
         class=suricata//alert
         dataset=suricata.eve",
    );
    check(
        r#"{"timestamp":"2026-01-02T03:04:05.678901+0000","flow_id":1,"event_type":"dns","src_ip":"192.0.2.9","dest_ip":"192.0.2.53","proto":"UDP","dns":{"type":"query","id":1,"rrname":"c2.example","rrtype":"A"}}"#,
        "dns.question.name=c2.example (dns.rrname)\ndns.question.type=A (dns.rrtype)\nnetwork.transport=udp\nproto=UDP\nclass=suricata//dns;/dns/",
    );
    check(
        r#"{"timestamp":"2026-01-02T03:04:05.678901+0000","flow_id":1,"event_type":"dns","src_ip":"192.0.2.9","dest_ip":"192.0.2.53","proto":"UDP","dns":{"version":3,"type":"response","rcode":"NOERROR","queries":[{"rrname":"c2.example","rrtype":"A"}],"answers":[{"rrname":"c2.example","rdata":"203.0.113.9"}]}}"#,
        "dns.question.name=c2.example\ndns.question.type=A\ndns.answers.data=203.0.113.9\ndns.response_code=NOERROR (dns.rcode)\nclass=suricata//dns;/dns/",
    );
    check(
        r#"{"timestamp":"2026-01-02T03:04:05.678901+0000","flow_id":1,"event_type":"http","src_ip":"192.0.2.9","dest_ip":"203.0.113.9","proto":"TCP","http":{"hostname":"shop.example","url":"/a?b=c","http_method":"GET","protocol":"HTTP/1.1","status":200}}"#,
        "url.path=/a\nurl.query=b=c\nhttp.version=1.1\nhttp.protocol=HTTP/1.1\nclass=suricata//http",
    );
    check(
        r#"{"timestamp":"2026-01-02T03:04:05.678901+0000","flow_id":1,"event_type":"flow","src_ip":"192.0.2.9","dest_ip":"203.0.113.9","proto":"TCP","flow":{"pkts_toserver":1,"bytes_toserver":74,"bytes_toclient":60,"state":"new"}}"#,
        "source.bytes=74 (flow.bytes_toserver)\ndestination.bytes=60 (flow.bytes_toclient)",
    );
}

#[test]
fn cef_with_its_escapes() {
    check(
        r"<134>Feb 10 06:55:46 fw CEF:0|Acme|Fire\|Wall|1.0|100|worm \| stopped|10|src=192.0.2.9 spt=1232 dst=203.0.113.9 dpt=443 act=blocked suser=alice msg=a\=b with spaces and C:\\x request=https://shop.example/a?b=c rt=1767323045678",
        "at=2026-02-10T06:55:46Z
         severity=critical
         observer.vendor=Acme
         observer.product=Fire|Wall
         event.code=100
         rule.name=worm | stopped
         event.severity=10
         source.ip=192.0.2.9 (src)
         source.port=1232 (spt)
         destination.ip=203.0.113.9 (dst)
         destination.port=443 (dpt)
         event.action=blocked (act)
         user.name=alice (suser)
         url.original=https://shop.example/a?b=c (request)
         message=a=b with spaces and C:\\x
         dataset=cef
         class=",
    );
    check("CEF:0|a|b|c|d|e|Low|", "severity=info\nmessage=e\ndataset=cef");
    check("CEF:0|a|b|c|d", "dataset=shop\nmessage=CEF:0|a|b|c|d");
}

#[test]
fn leef_in_both_versions() {
    check(
        "LEEF:1.0|Acme|Proxy|1.0|denied|src=192.0.2.9\tdst=203.0.113.9\tusrName=alice smith\tsev=5\tdevTime=2026-01-02T03:04:05Z",
        "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9 (src)
         destination.ip=203.0.113.9 (dst)
         user.name=alice smith (usrName)
         event.code=denied
         event.severity=5 (sev)
         dataset=leef",
    );
    check(
        "LEEF:2.0|Acme|Proxy|1.0|denied|^|src=192.0.2.9^url=http://x/?a=b",
        "source.ip=192.0.2.9 (src)\nurl.original=http://x/?a=b (url)",
    );
    check("LEEF:2.0|Acme|Proxy|1.0|denied|x7C|src=192.0.2.9|srcPort=5", "source.port=5 (srcPort)");
}

#[test]
fn pairs_of_keys_and_values() {
    check(
        r#"time=2026-01-02T03:04:05.678Z level=WARN msg="slow \"query\"" user=alice dur=1.5 retries=3 zip=01234"#,
        r#"at=2026-01-02T03:04:05.678Z
         severity=warning
         message=slow "query"
         user.name=alice (user)
         dur=1.5
         retries=3
         zip=01234"#,
    );
    check(
        r#"<189>date=2026-01-02 time=03:04:05 devname="fw-1" devid="FG1" eventtime=1767323045678901234 logid="0100032001" type="event" subtype="system" level="information" user="admin" ui="ssh(192.0.2.9)" action="login" status="failed" srcip=192.0.2.9 msg="Administrator admin login failed""#,
        "at=2026-01-02T03:04:05.678901234Z
         message=Administrator admin login failed
         observer.name=fw-1 (devname)
         event.action=login (action)
         event.outcome=failure
         status=failed
         user.name=admin (user)
         source.ip=192.0.2.9 (srcip)
         dataset=fortigate
         class=fortigate//event;fortios//sslvpnd",
    );
    check("x=1 happened to somebody", "x=-\nmessage=x=1 happened to somebody");
    check("the sum a=b c=d is odd", "a=-");
}

#[test]
fn name_servers() {
    check(
        "02-Jan-2026 03:04:05.678 queries: info: client @0x7f1 192.0.2.9#5353 (c2.example): query: c2.example IN A +E(0)K (192.0.2.53)",
        "at=2026-01-02T03:04:05.678Z
         source.ip=192.0.2.9
         source.port=5353
         dns.question.name=c2.example
         dns.question.type=A
         dataset=dns.bind
         class=/dns/",
    );
    check(
        "<30>Feb 10 06:55:46 ns named[77]: client @0x7f1 192.0.2.9#5353 (c2.example): query (cache) 'c2.example/A/IN' denied",
        "dns.question.name=c2.example\nevent.outcome=failure\nclass=/dns/\ndataset=dns.bind",
    );
    check(
        "02-Jan-2026 03:04:05.678 query-errors: debug 1: client @0x7f1 192.0.2.9#5353 (c2.example): query failed (SERVFAIL) for c2.example/IN/A at query.c:7837",
        "at=2026-01-02T03:04:05.678Z
         severity=debug
         log.logger=query-errors
         source.ip=192.0.2.9
         dns.question.name=c2.example
         dns.question.type=A
         dns.response_code=SERVFAIL
         event.outcome=failure
         dataset=dns.bind",
    );
    check(
        "[INFO] 192.0.2.9:43251 - 17 \"A IN c2.example. udp 41 false 4096\" NOERROR qr,rd,ra 116 0.003s",
        "source.ip=192.0.2.9\ndns.question.name=c2.example\ndns.response_code=NOERROR\nevent.duration=3000000\ndataset=dns.coredns",
    );
    let dnsmasq = |message: &str, wanted: &str| {
        check(&format!("<30>Feb 10 06:55:46 ns dnsmasq[77]: {message}"), wanted)
    };
    dnsmasq(
        "query[AAAA] c2.example from 192.0.2.9",
        "source.ip=192.0.2.9\ndns.question.name=c2.example\ndns.question.type=AAAA\nclass=/dns/\ndataset=dns.dnsmasq",
    );
    dnsmasq(
        "reply c2.example is 203.0.113.9",
        "dns.question.name=c2.example\ndns.answers.data=203.0.113.9\nclass=",
    );
    dnsmasq(
        "7 192.0.2.9/50123 query[A] c2.example from 192.0.2.9",
        "source.ip=192.0.2.9\nsource.port=50123\ndns.question.type=A",
    );
    dnsmasq("started, version 2.90", "dns.question.name=-");
}

#[test]
fn postgresql() {
    check(
        "2026-01-02 03:04:05.678 UTC [77] alice@shop FATAL:  password authentication failed for user \"alice\"",
        "at=2026-01-02T03:04:05.678Z
         severity=critical
         message=password authentication failed for user \"alice\"
         event.outcome=failure
         user.name=alice
         postgresql.database=shop
         process.pid=77
         dataset=postgresql
         class=/authentication/;/database/;sql/application/",
    );
    check(
        "2026-01-02 03:04:05.678 CET [77] LOG:  connection received: host=192.0.2.9 port=50123",
        "at=2026-01-02T02:04:05.678Z\nsource.ip=192.0.2.9\nlw.time_suspect=-\nclass=/database/;sql/application/",
    );
    check(
        "2026-01-02 03:04:05.678 XYZ [77] LOG:  ready",
        "at=-\nlw.time_suspect=true\nlw.original_time=2026-01-02 03:04:05.678 XYZ\nmessage=ready\ndataset=postgresql",
    );
    check(
        "<134>Feb 10 06:55:46 db postgres[77]: [3-1] ERROR:  relation \"x\" does not exist at character 15",
        "severity=error\nlog.level=ERROR\nmessage=relation \"x\" does not exist at character 15\ndataset=postgresql",
    );
    check(
        r#"{"timestamp":"2026-01-02 03:04:05.678 UTC","user":"alice","dbname":"shop","pid":77,"remote_host":"192.0.2.9","remote_port":50123,"session_id":"s","backend_type":"client backend","error_severity":"FATAL","state_code":"28P01","message":"password authentication failed for user \"alice\""}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=critical
         event.outcome=failure
         user.name=alice (user)
         source.ip=192.0.2.9 (remote_host)
         error.code=28P01 (state_code)
         class=/authentication/;/database/;sql/application/",
    );
    check(
        r#"{"timestamp":"2026-01-02 03:04:05.678 EST","pid":77,"backend_type":"client backend","error_severity":"LOG","message":"ready"}"#,
        "at=2026-01-02T08:04:05.678Z\nlw.time_suspect=-",
    );
    check(
        r#"{"timestamp":"2026-01-02 03:04:05.678 XYZ","pid":77,"backend_type":"client backend","error_severity":"LOG","message":"ready"}"#,
        "at=-\nlw.time_suspect=true\nlw.original_time=2026-01-02 03:04:05.678 XYZ",
    );
    let csv = |columns: &str| format!("2026-01-02 03:04:05.678 CET,{columns}");
    check(
        &csv(
            r#""alice","shop",77,"192.0.2.9:50123",69575565.4d,2,"authentication",2026-01-02 03:04:00 CET,3/12,0,FATAL,28P01,"password authentication failed for user ""alice""","Connection matched pg_hba.conf line 95",,,,,,,,"psql","client backend",,0"#,
        ),
        "at=2026-01-02T02:04:05.678Z
         severity=critical
         message=password authentication failed for user \"alice\"
         event.outcome=failure
         user.name=alice
         source.ip=192.0.2.9
         source.port=50123
         process.pid=77
         postgresql.database=shop
         service.name=psql
         error.code=28P01
         class=/authentication/;/database/;sql/application/
         dataset=postgresql",
    );
    check(
        &csv(
            r#",,1,,69575565.1,1,,2026-01-02 03:04:00 CET,,0,LOG,00000,"ready, ""now""",,,,,,,,,"""#,
        ),
        "severity=info\nmessage=ready, \"now\"\nuser.name=-\ndataset=postgresql",
    );
}

#[test]
fn mysql() {
    check(
        "2026-01-02T03:04:05.678901Z 8 [Note] [MY-010926] [Server] Access denied for user 'alice'@'192.0.2.9' (using password: YES)",
        "at=2026-01-02T03:04:05.678901Z
         severity=info
         event.code=MY-010926
         event.outcome=failure
         user.name=alice
         source.ip=192.0.2.9
         dataset=mysql
         class=/authentication/;/database/;sql/application/",
    );
    check(
        "2026-01-02T03:04:05.678901Z 8 [Note] [MY-010914] [Server] Aborted connection 8 to db: 'shop' user: 'alice' host: '192.0.2.9' (Got an error reading communication packets).",
        "event.action=connection_aborted
         event.reason=Got an error reading communication packets
         user.name=alice
         mysql.database=shop
         source.ip=192.0.2.9
         event.outcome=-",
    );
    check(
        "2026-01-02 13:04:05 8 [Warning] Aborted connection 8 to db: 'unconnected' user: 'unauthenticated' host: '192.0.2.9' (This connection closed normally without authentication)",
        "event.action=connection_aborted\nuser.name=-\nmysql.database=-\nsource.ip=192.0.2.9\nseverity=warning",
    );
    check(
        "2026-01-02T03:04:05.678901Z\t    8 Connect\talice@192.0.2.9 on shop using TCP/IP",
        "at=2026-01-02T03:04:05.678901Z
         event.action=Connect
         user.name=alice
         source.ip=192.0.2.9
         mysql.database=shop
         event.outcome=-
         dataset=mysql",
    );
    check(
        "2026-01-02T03:04:05.678901Z\t    8 Connect\tAccess denied for user 'alice'@'192.0.2.9' (using password: YES)",
        "event.outcome=failure\nuser.name=alice\nsource.ip=192.0.2.9\nclass=/authentication/;/database/;sql/application/",
    );
    check(
        "2026-01-02T03:04:05.678901Z\t    8 Query\tDROP TABLE users",
        "event.action=Query\nmysql.query=DROP TABLE users\nmessage=DROP TABLE users",
    );
    check(
        "2026-01-02T03:04:05.678901Z\t    8 Quit\t",
        "event.action=Quit\nat=2026-01-02T03:04:05.678901Z\ndataset=mysql",
    );
    check(
        r#"{"prio":3,"err_code":10926,"source_line":2,"source_file":"a.cc","function":"f","msg":"Access denied for user 'alice'@'192.0.2.9' (using password: YES)","time":"2026-01-02T03:04:05.678901Z","ts":1767323045678,"thread":8,"err_symbol":"ER_ACCESS_DENIED_ERROR_WITH_PASSWORD","SQL_state":"HY000","subsystem":"Server","label":"Note"}"#,
        "at=2026-01-02T03:04:05.678901Z
         severity=info
         message=Access denied for user 'alice'@'192.0.2.9' (using password: YES)
         event.action=login
         event.outcome=failure
         event.code=10926 (err_code)
         user.name=alice
         source.ip=192.0.2.9
         class=/authentication/;/database/;sql/application/
         dataset=mysql",
    );
    check(
        "2026-01-02  3:04:05 0 [ERROR] InnoDB: boom",
        "severity=error\nmessage=InnoDB: boom\ndataset=mysql",
    );
}

#[test]
fn cef_has_times_in_letters_and_words_of_arcsight() {
    let record =
        |extension: &str| format!("CEF:0|V|P|1|4625|An account failed|5|src=192.0.2.9 {extension}");
    check(
        &record("outcome=/Failure rt=Jan 02 2026 03:04:05.678 UTC"),
        "at=2026-01-02T03:04:05.678Z\nevent.outcome=failure\nlw.time_suspect=-",
    );
    check(&record("end=Jan 02 2026 04:04:05 CET cs1=x"), "at=2026-01-02T03:04:05Z");
    check(&record("rt=some day"), "at=-\nlw.original_time=some day\nlw.time_suspect=true");
}
