//! Network devices, and programs with logs of their own kind.

use super::check;

#[test]
fn cisco_puts_its_time_and_host_where_nobody_else_does() {
    for (record, at, host) in [
        (
            "<189>45: Router1: *Mar  1 00:01:02.123: %SYS-5-CONFIG_I: Configured from console by alice",
            "2026-03-01T00:01:02.123Z",
            "Router1",
        ),
        (
            "<189>45: *Mar  1 00:01:02.123: %SYS-5-CONFIG_I: Configured from console by alice",
            "2026-03-01T00:01:02.123Z",
            "-",
        ),
        (
            "<189>Mar  1 00:01:03 Router1 45: *Mar  1 00:01:02.123: %SYS-5-CONFIG_I: Configured from console by alice",
            "2026-03-01T00:01:03Z",
            "Router1",
        ),
        (
            "<189>: 2026 Mar  1 00:01:02.123 UTC: %SYS-5-CONFIG_I: Configured from console by alice",
            "2026-03-01T00:01:02.123Z",
            "-",
        ),
        ("<189>%SYS-5-CONFIG_I: Configured from console by alice", "-", "-"),
    ] {
        check(
            record,
            &format!(
                "at={at}
                 severity=notice
                 message=%SYS-5-CONFIG_I: Configured from console by alice
                 event.code=CONFIG_I
                 log.logger=SYS
                 host.name={host}
                 observer.vendor=Cisco
                 dataset=cisco
                 class=cisco//aaa;cisco//syslog"
            ),
        );
    }
    // A per cent sign alone makes no device.
    check("<13>Mar  1 00:01:02 web1 shop: 100 %SURE-thing: x", "process.name=shop\ndataset=syslog");
}

#[test]
fn cisco_says_who_signs_in_and_what_they_do() {
    check(
        "<188>46: Mar  1 00:01:02.123: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: bob] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 00:01:02 UTC Sun Mar 1 2026",
        "event.outcome=failure
         event.category=authentication
         event.reason=Login Authentication Failed
         user.name=bob
         source.ip=203.0.113.9
         class=cisco//aaa;cisco//syslog;/authentication/",
    );
    check(
        "<189>47: Mar  1 00:01:02.123: %PARSER-5-CFGLOG_LOGGEDCMD: User:alice  logged command:show running-config",
        "user.name=alice\nprocess.command_line=show running-config\nevent.category=configuration",
    );
    check(
        "<166>Mar 01 2026 00:01:02 fw1 : %ASA-6-605005: Login permitted from 203.0.113.9/50123 to inside:192.0.2.1/ssh for user \"alice\"",
        "at=2026-03-01T00:01:02Z
         host.name=fw1
         event.outcome=success
         user.name=alice
         source.ip=203.0.113.9
         source.port=50123",
    );
    check(
        "<165>Mar 01 2026 00:01:02: %ASA-5-111008: User 'alice' executed the 'write erase' command.",
        "user.name=alice\nprocess.command_line=write erase\nclass=cisco//aaa;/firewall/;cisco//syslog",
    );
    check(
        "<164>%ASA-4-106023: Deny tcp src outside:203.0.113.9/50123 dst inside:192.0.2.9/22 by access-group \"in\" [0x0, 0x0]",
        "event.type=denied
         source.ip=203.0.113.9
         source.port=50123
         destination.ip=192.0.2.9
         destination.port=22",
    );
}

#[test]
fn huawei_juniper_and_palo_alto() {
    check(
        "<187>Mar  1 2026 00:01:02 Router1 %%01BGP/3/BGP_AUTH_FAILED(l)[12]:BGP session authentication failed. (PeerSession=203.0.113.9:179)",
        "at=2026-03-01T00:01:02Z
         severity=error
         host.name=Router1
         event.code=BGP_AUTH_FAILED
         log.logger=BGP
         observer.vendor=Huawei
         dataset=huawei
         class=huawei//bgp",
    );
    check(
        "<30>Mar  1 00:01:02 r1 /kernel: tcp_auth_ok: Packet from 203.0.113.9:179 missing MD5 digest",
        "process.name=/kernel
         message=tcp_auth_ok: Packet from 203.0.113.9:179 missing MD5 digest
         dataset=juniper
         class=juniper//bgp",
    );
    check("<4>Mar  1 00:01:02 web1 kernel: oom", "dataset=kernel\nobserver.vendor=-");
    check(
        "<14>Mar  1 00:01:02 fw1 1,2026/03/01 00:01:02,001801000000,THREAT,url,2305,2026/03/01 00:01:02,192.0.2.9,203.0.113.9,0.0.0.0,0.0.0.0,allow-web,corp\\alice,,web-browsing,vsys1,trust,untrust,ae1,ae2,default,x,7,1,50123,443,0,0,0x19,tcp,block-url,\"c2.example/a\",(9999),malware,high,client-to-server",
        "event.action=url
         source.ip=192.0.2.9
         source.port=50123
         destination.ip=203.0.113.9
         destination.port=443
         user.name=corp\\alice
         rule.name=allow-web
         url.original=c2.example/a
         severity=error
         dataset=paloalto
         class=/firewall/",
    );
}

#[test]
fn clamav_names_what_it_found() {
    check(
        "<12>Mar  1 00:01:02 web1 clamd[7]: /srv/up/a.php: Php.Webshell.Generic-1 FOUND",
        "severity=error
         event.category=malware
         event.action=malware_found
         file.path=/srv/up/a.php
         rule.name=Php.Webshell.Generic-1
         Signature=Php.Webshell.Generic-1
         Filename=/srv/up/a.php
         dataset=clamav
         class=/antivirus/;linux//clamav",
    );
    check(
        "<14>Mar  1 00:01:02 web1 freshclam[7]: daily.cld updated",
        "message=daily.cld updated\ndataset=clamav\nclass=linux//clamav",
    );
}

#[test]
fn programs_that_rules_name() {
    check(
        "<30>Mar  1 00:01:02 web1 guacd[7]: User \"@1\" joined connection \"$2\" (2 users now present)",
        "process.pid=7
         message=User \"@1\" joined connection \"$2\" (2 users now present)
         dataset=guacamole
         class=linux//guacamole",
    );
    check(
        "<28>Mar  1 00:01:02 web1 vsftpd[7]: [alice] OK LOGIN: Client \"203.0.113.9\"",
        "message=[alice] OK LOGIN: Client \"203.0.113.9\"\ndataset=vsftpd\nclass=linux//vsftpd",
    );
    check(
        r#"{"__REALTIME_TIMESTAMP":"1772323262123456","_SOURCE_REALTIME_TIMESTAMP":"1772323262123000","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"shop","_PID":"7","_UID":"1000","_EXE":"/usr/bin/shop","PRIORITY":"4","MESSAGE":"slow"}"#,
        "at=2026-03-01T00:01:02.123Z
         severity=warning
         message=slow
         process.name=shop (SYSLOG_IDENTIFIER)
         process.pid=7 (_PID)
         process.executable=/usr/bin/shop (_EXE)
         host.name=web1 (_HOSTNAME)
         user.id=1000 (_UID)
         class=linux//syslog",
    );
}

#[test]
fn services_that_rules_name() {
    check(
        r#"{"id":7,"created_at":"2026-03-01T00:01:02Z","account_id":123,"event_type_id":3,"user_name":"bob","actor_user_name":"alice","ipaddr":"203.0.113.9"}"#,
        "at=2026-03-01T00:01:02Z
         event.code=3 (event_type_id)
         user.name=alice (actor_user_name)
         user.target.name=bob (user_name)
         source.ip=203.0.113.9 (ipaddr)
         dataset=onelogin.events
         class=onelogin//onelogin.events",
    );
    check(
        r#"{"dst_host":"192.0.2.7","dst_port":22,"local_time":"2026-03-01 01:01:02.123456","logdata":{"USERNAME":"root","PASSWORD":"x"},"logtype":4002,"node_id":"canary-1","src_host":"203.0.113.9","src_port":50123,"utc_time":"2026-03-01 00:01:02.123456"}"#,
        "at=2026-03-01T00:01:02.123456Z
         event.code=4002 (logtype)
         source.ip=203.0.113.9 (src_host)
         source.port=50123 (src_port)
         destination.ip=192.0.2.7 (dst_host)
         user.name=root (logdata.USERNAME)
         observer.name=canary-1 (node_id)
         dataset=opencanary
         class=opencanary/application/",
    );
    check(
        r#"{"txid":"340a23e3","event_type":"authentication","factor":"duo_push","reason":"user_marked_fraud","result":"fraud","isotimestamp":"2026-03-01T00:01:02.123456+00:00","user":{"key":"D1","name":"alice"},"access_device":{"ip":"203.0.113.9"},"application":{"name":"VPN"}}"#,
        "at=2026-03-01T00:01:02.123456Z
         event.outcome=failure
         event.reason=user_marked_fraud (reason)
         user.name=alice
         source.ip=203.0.113.9 (access_device.ip)
         dataset=cisco.duo
         class=/authentication/;cisco//duo",
    );
}
